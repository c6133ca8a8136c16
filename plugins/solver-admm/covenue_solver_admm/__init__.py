"""Sharing ADMM with Anderson acceleration, for venues that offer only a prox."""

from covenue.hooks import hookimpl
from covenue.hooks.solvers import RegisterSolver
from covenue_solver_admm.admm import Admm

__all__ = ["Admm", "register_solvers"]


@hookimpl
def register_solvers(register: RegisterSolver) -> None:
    """Hand over the solver `admm`."""
    register("admm", Admm.from_options)
