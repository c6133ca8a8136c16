"""Projected semismooth Newton on the dual, with a certified gap; L-BFGS beside it."""

from covenue.hooks import hookimpl
from covenue.hooks.solvers import RegisterSolver
from covenue_solver_dual.dual import Dual
from covenue_solver_dual.lbfgs import Lbfgs
from covenue_solver_dual.warm import WarmDual

__all__ = ["Dual", "Lbfgs", "WarmDual", "register_solvers"]


@hookimpl
def register_solvers(register: RegisterSolver) -> None:
    """Hand over the solvers `dual` and `lbfgs`."""
    register("dual", Dual.from_options)
    register("lbfgs", Lbfgs.from_options)
