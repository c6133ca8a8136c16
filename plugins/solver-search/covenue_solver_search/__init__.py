"""Exact key search on integer offers."""

from covenue.hooks import hookimpl
from covenue.hooks.solvers import RegisterSolver
from covenue_solver_search.search import Search, SearchState, WarmKey

__all__ = ["Search", "SearchState", "WarmKey", "register_solvers"]


@hookimpl
def register_solvers(register: RegisterSolver) -> None:
    """Hand over the solver `search`."""
    register("search", Search.from_options)
