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
from covenue_contracts.shared import Query
from covenue_solver_dual import lots
from covenue_solver_dual.tracked_ends import closed, ended, is_whole_order, nearer, refused
from covenue_solver_dual.tracked_model import moved_by, newton, product
from covenue_solver_dual.tracked_state import Phase, Tracked, Wishes
from covenue_solver_dual.tracked_steps import (
    excess,
    falls,
    least_of,
    met,
    premium_at,
    retried,
    step_from,
)
from covenue_solver_dual.tracked_terms import (
    Place,
    Track,
    answered,
    array,
    certified,
    conflict,
    matrix,
    real,
    slopes_of,
    track_of,
)
from covenue_solver_dual.tracked_warm import WarmTracked

CURVED_ROUNDS = 2
CONTRACTION = 16.0
SAFETY = 0.25
MOST_REJECTED, MOST_FLAT, MOST_AIMS = 16, 3, 8
MOST_WARM, MOST_ANSWERS, MOST_TRIES, MOST_WORSE = 6, 96, 6, 1
LONGER = 4.0
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
        reach=premium_at(terms, trial),
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


def premium_of(terms: Track, place: Place) -> float:
    """Mean cost of the amounts at a place, above the reference.

    All of it at one price, the marginal cost of about half of it is below this.
    """
    v, nets = array(place.multipliers), array(place.nets)
    made = product(real(v - terms.origin, terms.grid), real(nets, terms.unit))
    total = float(int(nets.sum(dtype=np.int64))) * terms.unit
    return (made - place.value * 2.0 ** -terms.bits[2]) / total


def raised(terms: Track, premium: float) -> Words:
    """The reference with a premium, the same in all slices, within range."""
    shift = np.full(terms.size, premium)
    return moved_by(terms.origin, shift, abs(premium), terms.ends, terms.grid)


def shortage(terms: Track, place: Place) -> int | None:
    """Words of the lots that all together lack at the highest multipliers, or None.

    Rounding of the answers is no lack; whether lots are is seen when they are recovered.
    """
    supply = int(array(place.nets).sum(dtype=np.int64))
    supply += int(terms.rounding.sum(dtype=np.int64))
    if terms.path[-1] == 0 or supply < terms.path[-1]:
        return -(min(supply - terms.path[-1], 0) // terms.lot) * terms.lot
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
        reach=premium_at(terms, trial),
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
    least = least_of(terms, state.least, place)
    state = replace(state, least=least, answers=state.answers + 1)
    at = state.at
    if at is not None:
        lower = falls(state, at, place)
        across = state.across
        if (excess(state, at) > 0) != (excess(state, place) > 0):
            across = at if lower else place
        known = met(state, at, place, slopes if lower else None)
        state = replace(state, slopes=known.tobytes(), across=across)
        if not lower:
            return _shortened(state, at, place, slopes)
    elif slopes is not None:
        state = replace(state, slopes=slopes.tobytes())
    state = replace(state, at=place, seen=state.seen + 1, rejected=0)
    return _onward(state, place)


def _onward(state: Tracked, place: Place) -> Tracked | Solution:
    """The Newton step from the accepted place: answered next, or lots at once."""
    terms, before = state.terms, state.gap
    survey = terms.survey(place, state.aim)
    step, trial = step_from(state, place, matrix(state.slopes, terms.size), state.reach)
    gap = max(survey.shape, -0.5 * product(survey.slope, step))
    tolerated = float(state.wishes.tolerance) * terms.worthwhile(survey.dual)
    fell = state.dual is None or state.dual - survey.dual > SAFETY * tolerated
    flat = 0 if before is None or fell or gap <= 0.9 * before else state.flat + 1
    state = replace(state, gap=gap, dual=survey.dual, flat=flat, reach=LONGER * state.reach)
    near = abs(excess(state, place)) < terms.lot
    if state.before and (state.seen >= MOST_WARM or (flat >= MOST_FLAT and not near)):
        return _afresh(state)
    spent = flat >= (MOST_FLAT if near else MOST_REJECTED) or state.answers >= MOST_ANSWERS
    rest = spent or trial == place.multipliers
    if state.careful and (rest or (gap <= tolerated and near)):
        if state.pending and state.pending.multipliers == terms.broadcast(place.multipliers):
            return _refined(replace(state, best=None), state.pending)
        return _recovering(state, place.multipliers)
    ahead = gap if before is None else gap * min(max(gap / before, FASTEST), 1.0)
    if rest or (not state.careful and ahead <= SAFETY * tolerated):
        return _recovering(state, place.multipliers if rest else trial)
    poor = before is not None and CONTRACTION * gap > before
    curved = state.wishes.every or state.seen < CURVED_ROUNDS or poor
    return replace(state, phase="descend", trial=trial, curved=curved, points=())


def _afresh(state: Tracked) -> Tracked:
    """What an earlier plan left does not help: begin at the top, as if there were none."""
    return replace(
        Tracked(state.terms, state.wishes, "top", state.terms.top.tobytes()),
        least=state.least,
        centre=state.centre,
    )


def _shortened(state: Tracked, at: Place, place: Place, slopes: Reals | None) -> Tracked | Solution:
    """The trial after a rejected one, or lots where there is none left."""
    if state.before and state.rejected >= MOST_FLAT:
        return _afresh(state)
    spent = state.rejected >= MOST_REJECTED or state.answers >= MOST_ANSWERS
    trial = None if spent else retried(state, at, place, slopes)
    if trial is None:
        return _recovering(state, at.multipliers)
    moved = np.abs(array(trial) - array(at.multipliers)).max()
    reach = LONGER * float(moved) * state.terms.grid
    return replace(state, trial=trial, curved=True, rejected=state.rejected + 1, reach=reach)


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
        points=lots.first_keys(end, centre, state.wishes.probes),
    )


def _recovered(state: Tracked, release: Total) -> Tracked | Solution:
    """A bracket became narrower; or the lots do not reach the total, and it is steered there."""
    known = state.bracket
    depths = lots.read(known, state.points, release)
    if depths is None:
        return refused("stalled")
    wanted = state.terms.lots - depths.floor
    offered = depths.at[-1] if known.at_high is None else wanted
    if known.at_high is None:
        state = replace(state, uneven=lots.below_half(depths, state.terms.key_end) - wanted)
    if not 0 <= wanted <= offered:
        if state.best and state.tries:
            return closed(state, state.best)
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
    if state.before:
        return _afresh(state)
    if state.aims >= MOST_AIMS or state.answers >= MOST_ANSWERS:
        return refused("stalled")
    state = replace(
        state,
        aim=state.aim + missing * terms.lot,
        aims=state.aims + 1,
        gap=None,
        dual=None,
        flat=0,
        rejected=0,
        across=None,
    )
    return _onward(state, at)


def _careful(state: Tracked, pending: Solution | None) -> Tracked:
    """The step that was taken on trust is answered, and from here on every one is."""
    return replace(
        state,
        phase="descend",
        curved=True,
        points=(),
        careful=True,
        pending=pending,
        best=pending,
        flat=0,
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
    least = least_of(terms, state.least, Place(state.trial, plan.value, plan.nets))
    state = replace(state, least=least)
    end = ended(state, plan, stands=False)
    if end.multipliers is None:
        return end
    if end.status == "certified" or answer or state.careful:
        return _refined(state, end)
    return _careful(state, end)


def _refined(state: Tracked, end: Solution) -> Tracked | Solution:
    """The end if it is certified, or whole lots at multipliers at which they should be better."""
    best = state.best
    worse = 0 if best is None or end.value > best.value else state.worse + 1
    best = end if best is None or end.value > best.value else best
    done = end.status == "certified" or worse >= MOST_WORSE or state.tries >= MOST_TRIES
    if done or end.multipliers is None:
        return closed(state, best)
    trial = nearer(state, end.multipliers, end.warm.nets, 1.0 + worse)
    if trial is None:
        return closed(state, best)
    state = replace(state, best=best, worse=worse, tries=state.tries + 1, careful=True)
    return _recovering(state, trial)


def _stood(state: Tracked, release: Total) -> Tracked | Solution:
    """The plan before on today's state: it stands, or says where today's differs.

    Where most participants answer as before, their lots are the same, and only the others' show:
    the change of the lots' totals is then the gradient: to the lot, so that only a step that is
    worth next to nothing is taken on trust.
    """
    terms, before = state.terms, state.before
    plan = certified(terms, release)
    if plan is None or before is None:
        return refused("stalled")
    if is_whole_order(terms, plan):
        end = ended(state, plan, stands=True)
        if end.status == "certified" or end.multipliers is None:
            return end
    slope = real(array(plan.nets) - array(before.nets), terms.unit)
    v = array(state.trial)
    fixed = terms.fixed(v, slope)
    step = newton(matrix(state.slopes, terms.size), slope, fixed, terms.loose)
    trial = moved_by(v, step, state.reach, terms.ends, terms.grid).tobytes()
    dual = terms.bound_at(state.trial, plan.value) * 2.0 ** -terms.bits[2]
    ahead = -0.5 * product(slope, step)
    if ahead <= SAFETY * float(state.wishes.tolerance) * terms.worthwhile(dual):
        return _recovering(state, trial)
    return replace(state, phase="descend", trial=trial, points=())


# ---- small


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
