"""The central optimum with all data in one place, by Clarabel and HiGHS."""

from covenue.hooks import hookimpl
from covenue.hooks.solvers import RegisterSolver
from covenue_solver_reference.reference import Reference

__all__ = ["Reference"]


@hookimpl
def register_solvers(register: RegisterSolver) -> None:
    """Hand over the central reference."""
    register("reference", Reference.from_options)
