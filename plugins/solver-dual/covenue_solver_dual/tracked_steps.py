"""How far to step on a tracked dual where its slopes do not tell: plateaus, walls, kinks.

Where all are at their limits in some slices, slopes vanish there, and a Newton step leads too far.
Known then are the tangents of D at every place that was answered, and the slopes on the far side.
Source: solvers.md, sections 2(c) and 3.1.
"""

import numpy as np

from covenue.numerics.ldlt import Reals
from covenue.numerics.words import Words
from covenue_solver_dual.tracked_model import along, learned, moved_by, newton, product
from covenue_solver_dual.tracked_state import Tracked
from covenue_solver_dual.tracked_terms import FLOAT_NOISE, Place, Track, array, matrix, real

ARMIJO = 1e-4
HALF, NEAREST = 0.5, 2.0**-6
LEAST_DAMPING, MORE_DAMPING, MOST_DAMPINGS = 2.0**-30, 2.0, 72
NEAR = 2.0**-10
FADED, NOTICED = 0.25, 0.25


def excess(state: Tracked, place: Place) -> int:
    """Words by which the total at a place is beyond what it is steered to."""
    return int(array(place.nets).sum(dtype=np.int64)) - state.terms.path[-1] - state.aim


def premium_at(terms: Track, multipliers: Words) -> float:
    """The largest distance from the reference, and no less than a thousandth of it."""
    apart = np.abs(multipliers - terms.origin).max()
    return float(max(apart * terms.grid, terms.origin.max() * terms.grid * NEAR))


def least_of(terms: Track, before: Place | None, place: Place) -> Place:
    """The place of the two where D, for the order as it is, is less."""
    if before is None or terms.survey(place, 0).dual < terms.survey(before, 0).dual:
        return place
    return before


def met(state: Tracked, at: Place, place: Place, slopes: Reals | None) -> Reals:
    """H after a move: as answered, unless it met more than is left of it there; else by BFGS.

    Where all are at their limits slopes vanish, and only the move knows of the wall behind it.
    """
    terms = state.terms
    v, w = array(at.multipliers), array(place.multipliers)
    moved = real(w - v, terms.grid)
    gained = real(array(place.nets) - array(at.nets), terms.unit)
    if slopes is None:
        return learned(matrix(state.slopes, terms.size), moved, gained)
    if along(slopes, moved) < FADED * product(moved, gained):
        return learned(slopes, moved, gained)
    return slopes


def falls(state: Tracked, at: Place, place: Place) -> bool:
    """Whether D fell enough along a move.

    By values where these show it, by slopes where the change is no more than rounding.
    """
    terms = state.terms
    here, there = terms.survey(at, state.aim), terms.survey(place, state.aim)
    move = real(array(place.multipliers) - array(at.multipliers), terms.grid)
    start, end = product(here.slope, move), product(there.slope, move)
    change = there.dual - here.dual
    scale = abs(at.value) * 2.0 ** -terms.bits[2] + abs(here.dual)
    if abs(change) <= terms.noise + FLOAT_NOISE * scale:
        return start + end <= 2.0 * ARMIJO * min(start, 0.0)
    return change <= ARMIJO * min(start, 0.0)


def step_from(state: Tracked, place: Place, slopes: Reals, reach: float) -> tuple[Reals, bytes]:
    """The Newton step from a place, and the trial that it leads to within reach.

    What is beyond reach is damped, so that slices whose slopes are known still take their own step
    while others, where all are at their limits, are held. A step does not pass where the total was
    last on the other side.
    """
    terms, v = state.terms, array(place.multipliers)
    slope = terms.survey(place, state.aim).slope
    fixed = terms.fixed(v, slope)
    step = short = newton(slopes, slope, fixed, terms.loose)
    if state.across is not None and state.across != place:
        way = real(array(state.across.multipliers) - v, terms.grid)
        apart = float(np.abs(way).max())
        gained = real(array(state.across.nets) - array(place.nets), terms.unit)
        blind = along(slopes, way) < FADED * product(way, gained)
        if blind and float(np.abs(step).max()) >= apart:
            wall = apart * (HALF if state.flat % 2 else meeting(state, place, state.across))
            reach = min(reach, wall) if state.rejected else wall
    if float(np.abs(step).max()) > reach:
        short = _damped(terms, v, (slopes, slope, fixed), reach)
    return step, moved_by(v, short, reach, terms.ends, terms.grid).tobytes()


def _damped(terms: Track, v: Words, system: tuple[Reals, Reals, Words], reach: float) -> Reals:
    """The Newton step with ever more added to all slopes, until it is within reach.

    What is added is at first a very small part of what the order comes to over all of its premium.
    The step is as long as reach in the end.
    """
    slopes, slope, fixed = system
    damping = terms.path[-1] * terms.unit / (terms.size * premium_at(terms, v)) * LEAST_DAMPING
    step, longest = slope, float("inf")
    for _ in range(MOST_DAMPINGS):
        damping *= MORE_DAMPING
        full = slopes + np.diag(np.full(terms.size, damping))
        step = newton(full, slope, fixed, terms.loose)
        longest = float(np.abs(step).max())
        if longest <= reach:
            break
    return step * (reach / longest) if longest > 0.0 else step


def retried(state: Tracked, at: Place, place: Place, slopes: Reals | None) -> bytes | None:
    """A trial after a rejected one, `place`: the Newton point of that, or a shorter step; or None.

    Where all are at their limits at the accepted place, only the other side knows of slopes; where
    they vanish there as well, tangents at both ends meet at the wall between. slopes: of the
    rejected place, if they were asked for.
    """
    terms, turn = state.terms, state.rejected % 3
    way = real(array(place.multipliers) - array(at.multipliers), terms.grid)
    longest = float(np.abs(way).max())
    trial = hopped(state, at, place, slopes, longest) if turn == 1 and slopes is not None else None
    if turn == 0:
        share = way * meeting(state, at, place)
        trial = moved_by(array(at.multipliers), share, longest, terms.ends, terms.grid).tobytes()
    if trial is None:
        part = HALF if turn == 2 else meeting(state, at, place)
        _, trial = step_from(state, at, matrix(state.slopes, terms.size), part * longest)
    known = {at.multipliers, place.multipliers}
    if trial in known:
        trial = moved_by(
            array(at.multipliers), way * HALF, longest, terms.ends, terms.grid
        ).tobytes()
    return None if trial in known else trial


def hopped(state: Tracked, at: Place, place: Place, slopes: Reals, longest: float) -> bytes | None:
    """The Newton point of a rejected place, if the model has D noticeably less there than at `at`.

    Where it is the same, that model does not see the kink between the two.
    """
    terms = state.terms
    here, there = terms.survey(at, state.aim), terms.survey(place, state.aim)
    step, trial = step_from(state, place, slopes, longest)
    ahead = there.dual + 0.5 * product(there.slope, step)
    noticed = NOTICED * float(state.wishes.tolerance) * terms.worthwhile(here.dual)
    passes = float(np.abs(step).max()) > longest
    return None if passes or ahead > here.dual - noticed else trial


def meeting(state: Tracked, at: Place, other: Place) -> float:
    """Share of the way from one place to another at which the tangents of D at both meet."""
    terms = state.terms
    way = real(array(other.multipliers) - array(at.multipliers), terms.grid)
    here, there = terms.survey(at, state.aim), terms.survey(other, state.aim)
    start, end = product(here.slope, way), product(there.slope, way)
    if start >= end:
        return HALF
    return min(max((there.dual - here.dual - end) / (start - end), NEAREST), 1.0 - NEAREST)
