"""Where a tracked solve ends: plans of whole lots, and where better ones may be."""

from dataclasses import replace

import numpy as np

from covenue.hooks.solvers import Solution
from covenue_contracts.plan import SolutionStatus
from covenue_contracts.shared import DualVariables
from covenue_solver_dual.tracked_model import moved_by, newton, product
from covenue_solver_dual.tracked_state import Tracked
from covenue_solver_dual.tracked_steps import premium_at
from covenue_solver_dual.tracked_terms import Place, Track, WholeLots, array, matrix
from covenue_solver_dual.tracked_warm import warm_from


def refused(status: SolutionStatus, shortfall: int = 0) -> Solution:
    """An end without a plan; shortfall in words."""
    return Solution(status, None, None, (), 0, 0, shortfall, None)


def is_whole_order(terms: Track, plan: WholeLots) -> bool:
    """Whether a plan comes to exactly what was ordered."""
    return int(array(plan.nets).sum(dtype=np.int64)) == terms.path[-1]


def ended(state: Tracked, plan: WholeLots, *, stands: bool) -> Solution:
    """The solution of a plan of whole lots; refused where it is worth more than its bound."""
    terms, tolerance = state.terms, state.wishes.lot_tolerance
    value, bound = terms.value_of(plan), terms.bound_at(state.trial, plan.value)
    if value > bound:
        return refused("stalled")
    if state.least is not None:
        bound = min(bound, terms.bound_at(state.least.multipliers, state.least.value))
    bound = max(bound, value)
    within = bound - value <= tolerance * max(abs(bound), terms.value_floor)
    t, r = state.points
    return Solution(
        status="certified" if within else "stalled",
        after=None,
        multipliers=terms.broadcast(state.trial),
        points=(t, r),
        value=value,
        bound=bound,
        shortfall=0,
        warm=warm_from(terms, state.trial, state.slopes, (t, r), plan.nets),
        stands=stands and within,
    )


def closed(state: Tracked, best: Solution) -> Solution:
    """The best plan of whole lots, against the least bound of all."""
    terms, least = state.terms, state.least
    bound = best.bound
    if least is not None:
        bound = max(min(bound, terms.bound_at(least.multipliers, least.value)), best.value)
    tolerated = state.wishes.lot_tolerance * max(abs(bound), terms.value_floor)
    return replace(
        best, bound=bound, status="certified" if bound - best.value <= tolerated else "stalled"
    )


def nearer(state: Tracked, multipliers: DualVariables, nets: bytes, part: float) -> bytes | None:
    """Multipliers at which whole lots should be better than at these, or None.

    Rounding leaves totals off what these multipliers ask for: the step is Newton's, for the totals
    of whole lots. It also takes the total to where rounding to the nearest lot meets the order:
    then lots are given back where this costs least. part: how many such steps make a whole one.
    """
    terms = state.terms
    v = np.array([int(value) for value in multipliers.values], dtype=np.int64)
    slopes = matrix(state.slopes, terms.size)
    slope = terms.survey(Place(v.tobytes(), 0, nets), 0).slope
    rows = np.zeros(terms.size)
    for row in slopes:
        rows += row
    level = product(rows, np.ones(terms.size))
    if level > 0.0:
        slope = slope + rows * (state.uneven * terms.lot * terms.unit / level)
    step = newton(slopes, slope, terms.fixed(v, slope), terms.loose) / part
    trial = moved_by(v, step, premium_at(terms, v), terms.ends, terms.grid).tobytes()
    return None if trial == v.tobytes() else trial
