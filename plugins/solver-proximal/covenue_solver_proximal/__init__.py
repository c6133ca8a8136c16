"""Proximal-point Newton for coupled problems that are piecewise linear."""

from covenue.hooks import hookimpl
from covenue.hooks.solvers import RegisterSolver
from covenue_solver_proximal.proximal import Proximal, WarmProximal

__all__ = ["Proximal", "WarmProximal", "register_solvers"]


@hookimpl
def register_solvers(register: RegisterSolver) -> None:
    """Hand over the solver `proximal`."""
    register("proximal", Proximal.from_options)
