"""Newton on a tracked dual, then whole lots: what `dual` does where a coupling follows a path.

    top      cold only: the answer to the highest multipliers tells what there is, and its mean cost
    descend  Newton steps on D; a trial that lifts D is followed by a shorter one
    recover  keys of lots cut off, at multipliers whose answer as a plan is within tolerance
    certify  the plan of whole lots: its exact totals and cost against the least D
    stands   warm only, first: certify for the plan before, on today's state

The last Newton step is not answered before lots are asked for where the model says that it will
do; the certificate decides, and where it does not close, the step is answered after all.
Source: solvers.md, sections 2(c), 3.1, 3.2 and 5.
"""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import numpy as np

from covenue.errors import BadInput
from covenue.hooks.solvers import Choice, DualCoupling, Solution, State, Total, Tracking
from covenue.numerics.ldlt import Reals
from covenue.numerics.words import Words
from covenue_contracts.plan import SolutionStatus
from covenue_contracts.shared import Query
from covenue_solver_dual import lots
from covenue_solver_dual.tracked_model import along, learned, moved_by, newton, product
from covenue_solver_dual.tracked_state import Phase, Tracked, Wishes
from covenue_solver_dual.tracked_terms import (
    FLOAT_NOISE,
    Place,
    Track,
    WholeLots,
    answered,
    array,
    certified,
    conflict,
    matrix,
    real,
    slopes_of,
    track_of,
)
from covenue_solver_dual.tracked_warm import WarmTracked, warm_from

ARMIJO = 1e-4
CURVED_ROUNDS = 2
CONTRACTION = 16.0
SAFETY = 0.25
MOST_REJECTED, MOST_FLAT, MOST_AIMS = 16, 3, 8
LONGER = 4.0
SHORTEST, LONGEST = 0.1, 0.5
NEAR = 2.0**-10
FADED = 0.25
FASTEST = 1e-4


def start(
    coupling: DualCoupling, tracking: Tracking, wishes: Wishes, warm: State | None
) -> Tracked:
    """Begin at the top, or where an earlier plan ended if its slices hold all of this one's.

    Raises BadInput where the coupling or the tolerance cannot be.
    """
    terms = track_of(coupling, tracking)
    _check_tolerance(terms, wishes)
    known = warm if isinstance(warm, WarmTracked) and warm.fits(terms) else None
    if known is None:
        return Tracked(terms, wishes, "top", terms.top.tobytes())
    trial, slopes = known.moved_to(terms)
    state = Tracked(
        terms,
        wishes,
        "descend",
        trial.tobytes(),
        curved=not slopes,
        slopes=slopes,
        seen=CURVED_ROUNDS if slopes else 0,
        reach=_premium(terms, trial),
        centre=known.points[0] if known.points else None,
        before=known,
    )
    if known.is_of(terms):
        return replace(state, phase="stands", points=known.points)
    return state


def ask(state: Tracked, digest_of: Callable[[Query], str]) -> Query:
    """The question of the round now due; answers leave no memory, so `after` is None."""
    kinds: dict[Phase, Literal["respond", "recover", "certify"]] = {
        "recover": "recover",
        "certify": "certify",
        "stands": "certify",
    }
    return Query(
        kind="curvature" if state.curved else kinds.get(state.phase, "respond"),
        after=None,
        multipliers=state.terms.broadcast(state.trial),
        points=tuple(map(str, state.points)),
    )


def tell(state: Tracked, release: Total | Choice) -> Tracked | Solution:
    """One round further, or the end."""
    if not isinstance(release, Total) or not release.exact:
        return refused("stalled")
    steps: dict[Phase, Callable[[Tracked, Total], Tracked | Solution]] = {
        "top": _from_top,
        "descend": _descended,
        "recover": _recovered,
        "certify": _certified,
        "stands": _stood,
    }
    try:
        return steps[state.phase](state, release)
    except BadInput:  # slopes whose factors are beyond floats: no convex answer has them
        return refused("stalled")


def refused(status: SolutionStatus, shortfall: int = 0) -> Solution:
    """An end without a plan; shortfall in words."""
    return Solution(status, None, None, (), 0, 0, shortfall, None)


def premium_of(terms: Track, place: Place) -> float:
    """Mean cost of the amounts at a place, above the reference.

    All of it at one price, the marginal cost of about half of it is below this.
    """
    v, nets = array(place.multipliers), array(place.nets)
    made = product(real(v - terms.origin, terms.grid), real(nets, terms.unit))
    total = float(int(nets.sum())) * terms.unit
    return (made - place.value * 2.0 ** -terms.bits[2]) / total


def raised(terms: Track, premium: float) -> Words:
    """The reference with a premium, the same in all slices, within range."""
    shift = np.full(terms.size, premium)
    return moved_by(terms.origin, shift, abs(premium), terms.ends, terms.grid)


def is_whole_order(terms: Track, plan: WholeLots) -> bool:
    """Whether a plan comes to exactly what was ordered."""
    return int(array(plan.nets).sum()) == terms.path[-1]


def shortage(terms: Track, place: Place) -> int | None:
    """Words that all participants together lack at the highest multipliers, or None.

    Rounding of the answers is no lack; whether lots are is seen when they are recovered.
    """
    supply = int(array(place.nets).sum()) + int(terms.rounding.sum())
    if terms.path[-1] == 0 or supply < terms.path[-1]:
        return max(terms.path[-1] - supply, 0)
    return None


# ---- descend


def _from_top(state: Tracked, release: Total) -> Tracked | Solution:
    """What there is, and the mean cost of it: the level at which to begin."""
    terms = state.terms
    place = answered(terms, state.trial, release)
    if place is None:
        return refused("stalled")
    short = shortage(terms, place)
    if short is not None:
        return refused("infeasible", short)
    trial = raised(terms, premium_of(terms, place))
    return replace(
        state,
        phase="descend",
        trial=trial.tobytes(),
        curved=True,
        reach=_premium(terms, trial),
        least=place,
    )


def _descended(state: Tracked, release: Total) -> Tracked | Solution:
    """A trial was answered: accepted, or rejected and followed by a shorter one."""
    terms = state.terms
    place = answered(terms, state.trial, release)
    if place is None or (state.at and conflict(terms, state.at, place)):
        return refused("stalled")
    slopes = slopes_of(terms, state.trial, release) if state.curved else None
    if state.curved and slopes is None:
        return refused("stalled")
    state = replace(state, least=_least(terms, state.least, place))
    at = state.at
    if at is not None:
        start, end, falls = _falls(state, at, place)
        slopes, across = _met(state, at, place, slopes), state.across
        if (_excess(state, at) > 0) != (_excess(state, place) > 0):
            across = at.multipliers if falls else place.multipliers
        state = replace(state, slopes=slopes.tobytes(), across=across)
        if not falls:
            return _shortened(state, at, start, end)
    elif slopes is not None:
        state = replace(state, slopes=slopes.tobytes())
    state = replace(state, at=place, seen=state.seen + 1, rejected=0)
    return _onward(state, place)


def _excess(state: Tracked, place: Place) -> int:
    """Words by which the total at a place is beyond what it is steered to."""
    return int(array(place.nets).sum()) - state.terms.path[-1] - state.aim


def _met(state: Tracked, at: Place, place: Place, slopes: Reals | None) -> Reals:
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


def _onward(state: Tracked, place: Place) -> Tracked | Solution:
    """The Newton step from the accepted place: answered next, or lots at once."""
    terms, before = state.terms, state.gap
    v = array(place.multipliers)
    survey = terms.survey(place, state.aim)
    fixed = terms.fixed(v, survey.slope)
    step = newton(matrix(state.slopes, terms.size), survey.slope, fixed, terms.loose)
    gap = max(survey.shape, -0.5 * product(survey.slope, step))
    reach = state.reach
    if state.across:
        apart = float(np.abs(array(state.across) - v).max()) * terms.grid
        if float(np.abs(step).max()) >= apart:
            reach = min(reach, LONGEST * apart)
    trial = moved_by(v, step, reach, terms.ends, terms.grid).tobytes()
    tolerated = float(state.wishes.tolerance) * terms.worthwhile(survey.dual)
    flat = state.flat + 1 if before is not None and gap > 0.9 * before else 0
    state = replace(state, gap=gap, flat=flat, reach=LONGER * state.reach)
    rest = trial == place.multipliers or flat >= MOST_FLAT
    near = abs(_excess(state, place)) < terms.lot
    if state.careful and (rest or (gap <= tolerated and near)):
        if state.pending and state.pending.multipliers == terms.broadcast(place.multipliers):
            return state.pending
        return _recovering(state, place.multipliers)
    ahead = gap if before is None else gap * min(max(gap / before, FASTEST), 1.0)
    if rest or (not state.careful and ahead <= SAFETY * tolerated):
        return _recovering(state, place.multipliers if rest else trial)
    poor = before is not None and CONTRACTION * gap > before
    curved = state.wishes.every or state.seen < CURVED_ROUNDS or poor
    return replace(state, phase="descend", trial=trial, curved=curved, points=())


def _falls(state: Tracked, at: Place, place: Place) -> tuple[float, float, bool]:
    """Slopes of D along the move at both ends, and whether D fell enough.

    By values where these show it, by slopes where the change is no more than rounding.
    """
    terms = state.terms
    here, there = terms.survey(at, state.aim), terms.survey(place, state.aim)
    move = real(array(place.multipliers) - array(at.multipliers), terms.grid)
    start, end = product(here.slope, move), product(there.slope, move)
    change = there.dual - here.dual
    scale = abs(at.value) * 2.0 ** -terms.bits[2] + abs(here.dual)
    if abs(change) <= terms.noise + FLOAT_NOISE * scale:
        return start, end, start + end <= 2.0 * ARMIJO * min(start, 0.0)
    return start, end, change <= ARMIJO * min(start, 0.0)


def _shortened(state: Tracked, at: Place, start: float, end: float) -> Tracked | Solution:
    """A trial between the accepted place and the rejected one, where the slopes put the least."""
    if state.rejected >= MOST_REJECTED:
        return refused("stalled")
    share = start / (start - end) if start < end else LONGEST
    share = min(max(share, SHORTEST), LONGEST)
    terms = state.terms
    v = array(at.multipliers)
    move = real(array(state.trial) - v, terms.grid) * share
    longest = float(np.abs(move).max())
    trial = moved_by(v, move, longest, terms.ends, terms.grid).tobytes()
    if trial == at.multipliers:
        return _recovering(state, trial)
    return replace(
        state, trial=trial, curved=True, rejected=state.rejected + 1, reach=LONGER * longest
    )


# ---- whole lots


def _recovering(state: Tracked, multipliers: bytes) -> Tracked:
    """The first probes for lots at multipliers: around the last key, or around half of the range.

    What is cut off is spread evenly as a rule, and half of it is to be given back.
    """
    end = state.terms.key_end
    centre = min(end // 2 if state.centre is None else state.centre, end)
    return replace(
        state,
        phase="recover",
        trial=multipliers,
        curved=False,
        bracket=lots.whole(end),
        points=lots.first_probes(end, centre, state.wishes.probes),
    )


def _recovered(state: Tracked, release: Total) -> Tracked | Solution:
    """A bracket became narrower; or the lots do not reach the total, and it is steered there."""
    known = state.bracket
    depths = lots.read(known, state.points, release)
    if depths is None:
        return refused("stalled")
    wanted = state.terms.lots - depths.floor
    offered = depths.at[-1] if known.at_high is None else wanted
    if not 0 <= wanted <= offered:
        return _aimed(state, wanted - offered if wanted > 0 else wanted)
    bracket = lots.narrowed(known, depths, wanted)
    pair = lots.found(bracket, wanted)
    if pair is not None:
        return replace(state, phase="certify", bracket=bracket, points=pair)
    points = lots.next_probes(bracket, state.wishes.probes)
    return replace(state, bracket=bracket, points=points)


def _aimed(state: Tracked, missing: int) -> Tracked | Solution:
    """Steer the total by as many lots as are missing (or too many, if negative)."""
    terms, at = state.terms, state.at
    if missing > 0 and state.trial == terms.top.tobytes():
        return refused("infeasible", missing * terms.lot)
    if at is None or at.multipliers != state.trial:
        return _careful(state, None)
    if state.aims >= MOST_AIMS:
        return refused("stalled")
    state = replace(
        state,
        aim=state.aim + missing * terms.lot,
        aims=state.aims + 1,
        gap=None,
        flat=0,
        across=b"",
    )
    return _onward(state, at)


def _careful(state: Tracked, pending: Solution | None) -> Tracked:
    """The step that was taken on trust is answered, and from here on every one is."""
    return replace(
        state, phase="descend", curved=True, points=(), careful=True, pending=pending, flat=0
    )


def _certified(state: Tracked, release: Total) -> Tracked | Solution:
    """The plan of whole lots against the least bound."""
    terms = state.terms
    plan = certified(terms, release)
    if plan is None or not is_whole_order(terms, plan):
        return refused("stalled")
    answer = state.at if state.at and state.at.multipliers == state.trial else None
    if answer and answer.value != plan.value:
        return refused("stalled")
    end = _ended(state, plan, stands=False)
    if end.status == "certified" or answer or state.careful or end.multipliers is None:
        return end
    return _careful(state, end)


def _stood(state: Tracked, release: Total) -> Tracked | Solution:
    """The plan before on today's state: it stands, or says where today's differs.

    Where most participants answer as before, their lots are the same, and only the others' show:
    the change of the lots' totals is then the gradient.
    """
    terms, before = state.terms, state.before
    plan = certified(terms, release)
    if plan is None or before is None:
        return refused("stalled")
    if is_whole_order(terms, plan):
        end = _ended(state, plan, stands=True)
        if end.status == "certified" or end.multipliers is None:
            return end
    slope = real(array(plan.nets) - array(before.nets), terms.unit)
    v = array(state.trial)
    fixed = terms.fixed(v, slope)
    step = newton(matrix(state.slopes, terms.size), slope, fixed, terms.loose)
    trial = moved_by(v, step, state.reach, terms.ends, terms.grid).tobytes()
    dual = terms.bound_at(state.trial, plan.value) * 2.0 ** -terms.bits[2]
    ahead = -0.5 * product(slope, step) / CONTRACTION
    if ahead <= SAFETY * float(state.wishes.tolerance) * terms.worthwhile(dual):
        return _recovering(state, trial)
    return replace(state, phase="descend", trial=trial, points=())


def _ended(state: Tracked, plan: WholeLots, *, stands: bool) -> Solution:
    """The solution of a plan of whole lots; refused where it is worth more than its bound."""
    terms, tolerance = state.terms, state.wishes.lot_tolerance
    value, bound = terms.value_of(plan), terms.bound_at(state.trial, plan.value)
    if value > bound:
        return refused("stalled")
    if state.least is not None:
        bound = min(bound, terms.bound_at(state.least.multipliers, state.least.value))
    bound = max(bound, value)
    closed = bound - value <= tolerance * max(abs(bound), terms.value_floor)
    t, r = state.points
    return Solution(
        status="certified" if closed else "stalled",
        after=None,
        multipliers=terms.broadcast(state.trial),
        points=(t, r),
        value=value,
        bound=bound,
        shortfall=0,
        warm=warm_from(terms, state.trial, state.slopes, (t, r), plan.nets),
        stands=stands and closed,
    )


# ---- small


def _least(terms: Track, before: Place | None, place: Place) -> Place:
    if before is None or terms.survey(place, 0).dual < terms.survey(before, 0).dual:
        return place
    return before


def _premium(terms: Track, multipliers: Words) -> float:
    """The largest distance from the reference, and no less than a thousandth of it."""
    apart = np.abs(multipliers - terms.origin).max()
    return float(max(apart * terms.grid, terms.origin.max() * terms.grid * NEAR))


def _check_tolerance(terms: Track, wishes: Wishes) -> None:
    """Raise BadInput for a tolerance that is below one value word whatever the plan costs."""
    most = terms.path[-1] * max(terms.highest)
    shift = terms.bits[0] + terms.bits[1] - terms.bits[2]
    largest = max(Fraction(most, 2**shift) if shift >= 0 else most * 2**-shift, terms.value_floor)
    if wishes.tolerance * largest < 1:
        raise BadInput(
            "the tolerance is finer than one value word, so rounding alone is beyond it",
            f"give a greater one, or count values in finer words than 2^-{terms.bits[2]}",
            field="solver.options.tolerance",
            value=str(wishes.tolerance),
        )
