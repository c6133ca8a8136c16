"""Whole lots on a path: asked for when a state is near enough, at its multipliers.

    supply   first: lots that there are at the highest multipliers; too few is `infeasible`
    prox     rounds of ADMM, until the answers as a plan are within the tolerance of lots
    recover  keys of lots cut off, until (t, r) is known for which the plan is the whole order
    certify  the plan of whole lots: its exact totals and cost against the least bound

Where lots do not come to the order, or the certificate does not close, ADMM goes on, and lots are
asked for again after a pause that doubles, a few times. Source: solvers.md, section 5.
"""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Literal

from covenue.hooks import paths
from covenue.hooks.solvers import Solution, Total, Tracking
from covenue.numerics.words import integers
from covenue_contracts.shared import Query
from covenue_solver_admm.answers import Answer, plan_value
from covenue_solver_admm.ends import broadcast, ended, refused
from covenue_solver_admm.state import Lots, Phase, Search
from covenue_solver_admm.terms import Terms

NEAR = Fraction(1, 4)
MOST_TRIES, LONGEST_PAUSE = 6, 64
PROBES = 255


def opening(terms: Terms, tracking: Tracking, tolerance: Fraction) -> Lots:
    """The first question: what there is at the highest multipliers."""
    end = _key_end(tracking)
    return Lots(tolerance, PROBES, "supply", terms.highest, (end,), paths.whole(end))


def query(terms: Terms, lots: Lots) -> Query:
    """The question about lots that is due."""
    points = tuple(map(str, lots.keys))
    kind: Literal["certify", "recover"] = "certify" if lots.phase == "certify" else "recover"
    return Query(kind=kind, after=None, multipliers=broadcast(terms, lots.at), points=points)


def told(state: Search, lots: Lots, tracking: Tracking, release: Total) -> Search | Solution:
    """One round of questions about lots further."""
    steps: dict[Phase, Callable[[Search, Lots, Tracking, Total], Search | Solution]] = {
        "supply": _supplied,
        "recover": _recovered,
        "certify": _certified,
    }
    if _beyond(state.terms, release):
        return refused("stalled")
    return steps[lots.phase](state, lots, tracking, release)


def after_prox(state: Search, lots: Lots, tracking: Tracking, answer: Answer) -> Search:
    """Ask for lots where the answers are near enough to a plan, and the pause is over."""
    if lots.paused < lots.pause:
        return replace(state, lots=replace(lots, paused=lots.paused + 1))
    if not _is_near(state, lots, tracking, answer):
        return state
    end = _key_end(tracking)
    keys = paths.first_probes(end, end // 2, lots.probes)
    asked = replace(
        lots, phase="recover", at=answer.multipliers, keys=keys, bracket=paths.whole(end)
    )
    return replace(state, lots=asked)


def _is_near(state: Search, lots: Lots, tracking: Tracking, answer: Answer) -> bool:
    """Whether the answers, with what they lack of the order at the last multiplier, would do."""
    terms, best = state.terms, state.best
    if best is None:
        return False
    missing = tracking.path[-1] - sum(answer.nets)
    priced = terms.of_products((terms.reference[-1] - answer.multipliers[-1]) * missing)
    gap = abs(best.bound - plan_value(terms, answer) - priced)
    return gap <= NEAR * lots.tolerance * max(abs(best.bound), terms.of_words(terms.value_floor))


def _supplied(state: Search, lots: Lots, tracking: Tracking, release: Total) -> Search | Solution:
    """Go on if there are lots enough, and any are wanted."""
    depths = paths.read(lots.bracket, lots.keys, release)
    if depths is None:
        return refused("stalled")
    wanted = tracking.path[-1] // tracking.lot
    short = wanted - depths.floor - depths.at[0]
    if short > 0 or wanted == 0:
        return refused("infeasible", max(short, 0) * tracking.lot)
    return replace(state, lots=replace(lots, phase="prox"))


def _recovered(state: Search, lots: Lots, tracking: Tracking, release: Total) -> Search | Solution:
    """A bracket became narrower; or lots at these multipliers do not come to the order."""
    known = lots.bracket
    depths = paths.read(known, lots.keys, release)
    if depths is None:
        return refused("stalled")
    wanted = tracking.path[-1] // tracking.lot - depths.floor
    offered = depths.at[-1] if known.at_high is None else wanted
    if not 0 <= wanted <= offered:
        return _waiting(state, lots)
    bracket = paths.narrowed(known, depths, wanted)
    pair = paths.found(bracket, wanted)
    if pair is not None:
        return replace(state, lots=replace(lots, phase="certify", bracket=bracket, keys=pair))
    keys = paths.next_probes(bracket, lots.probes)
    return replace(state, lots=replace(lots, bracket=bracket, keys=keys))


def _certified(state: Search, lots: Lots, tracking: Tracking, release: Total) -> Search | Solution:
    """The plan of whole lots, which ends the search if its certificate closes."""
    terms, best = state.terms, state.best
    if len(release.words) != terms.size + 2 or best is None:
        return refused("stalled")
    value, *nets, cost = integers(release.words)
    t, r = lots.keys
    plan = Answer(lots.at, value, tuple(nets), cost, (), 0, "", (t, r))
    if not is_whole_order(tracking, nets):
        return refused("stalled")
    state = replace(state, best=best.with_answer(terms, plan))
    if state.best is None or state.best.contradicts(terms):
        return refused("stalled")
    if state.best.is_closed(terms, lots.tolerance):
        return ended(state, "certified")
    return _waiting(state, lots)


def is_whole_order(tracking: Tracking, nets: list[int]) -> bool:
    """Whether a plan comes to exactly what was ordered."""
    return sum(nets) == tracking.path[-1]


def _waiting(state: Search, lots: Lots) -> Search | Solution:
    """Back to ADMM, for twice as many rounds as the last time, or the end of trying."""
    tries, pause = lots.tries + 1, min(max(2 * lots.pause, 2), LONGEST_PAUSE)
    if tries >= MOST_TRIES:
        return ended(state, "stalled")
    return replace(state, lots=replace(lots, phase="prox", pause=pause, tries=tries, paused=0))


def _key_end(tracking: Tracking) -> int:
    """Every offered lot's key is less."""
    return (tracking.lot - 1) << tracking.tie_bits


def _beyond(terms: Terms, release: Total) -> bool:
    limit = terms.bound * len(release.cohort)
    return max(map(abs, integers(release.words)), default=0) > limit
