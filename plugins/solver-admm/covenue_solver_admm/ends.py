"""How a search of the solver `admm` ends."""

from covenue.hooks.solvers import Solution
from covenue_contracts.plan import SolutionStatus
from covenue_contracts.shared import DualVariables
from covenue_solver_admm.sharing import Stand
from covenue_solver_admm.state import Search, WarmAdmm
from covenue_solver_admm.terms import Terms, Whole

MOST_ROUNDS, MOST_IDLE = 1000, 300


def ended(state: Search, status: SolutionStatus) -> Solution:
    """The best plan of all rounds; without one, an end without a plan."""
    terms, best, newest = state.terms, state.best, state.newest
    if best is None or best.plan is None:
        return refused(status)
    plan, warm = best.plan, None
    if newest is not None:
        stand = Stand(newest.z, newest.u, newest.mean)
        warm = WarmAdmm(terms.names, grids(terms), state.exponent, stand, newest.query)
    value, bound = best.rounded(terms)
    return Solution(
        status=status,
        after=plan.query or None,
        multipliers=broadcast(terms, plan.multipliers),
        points=plan.points,
        value=value,
        bound=bound,
        shortfall=0,
        warm=warm,
        stands=state.is_warm and state.rounds == 1 and status == "certified",
    )


def refused(status: SolutionStatus, shortfall: int = 0) -> Solution:
    """An end without a plan; shortfall in words."""
    return Solution(status, None, None, (), 0, 0, shortfall, None)


def halted(state: Search) -> Solution | None:
    """The end of a search that has had its rounds, or that brings nothing more."""
    if state.rounds >= MOST_ROUNDS:
        return ended(state, "max_rounds")
    return ended(state, "stalled") if state.idle >= MOST_IDLE else None


def grids(terms: Terms) -> tuple[int, ...]:
    """What a warm start has to agree with."""
    return terms.scale_bits, terms.multiplier_bits


def broadcast(terms: Terms, values: Whole) -> DualVariables:
    """Multipliers as a query carries them."""
    return DualVariables(
        scale_bits=terms.multiplier_bits, values=tuple(str(value) for value in values)
    )
