"""Exact key search on integer offers, one by one or several under a budget."""

from covenue.hooks import hookimpl
from covenue.hooks.solvers import RegisterSolver
from covenue_solver_search.basket import BasketState, WarmBasket
from covenue_solver_search.search import Search, SearchState, WarmKey

__all__ = ["BasketState", "Search", "SearchState", "WarmBasket", "WarmKey", "register_solvers"]


@hookimpl
def register_solvers(register: RegisterSolver) -> None:
    """Hand over the solver `search`."""
    register("search", Search.from_options)
