"""The frame that both solvers share: read, certify, accept or reject, end, or step on.

What is decided is decided on the integer sums, by + - * / and comparison in one order. A trial is
accepted if the dual with margin falls:

    D_e(v') <= D_e(v) + 1e-4 g'(v' - v)

or, where the fall is too small for rounded values to show, or where answers are smoothed and
their own dual is not visible, if the slopes at both ends say that it falls.
Source: solvers.md, sections 3.1 and 4 (R9).
"""

from fractions import Fraction
from typing import Any, NamedTuple

from covenue.hooks.solvers import Choice, Solution, Total
from covenue_contracts.plan import SolutionStatus
from covenue_contracts.shared import Query
from covenue_solver_dual.certificate import (
    ESTIMATED,
    Best,
    Survey,
    certified,
    closed,
    conflicts,
    first,
    survey,
    surveyed_at,
)
from covenue_solver_dual.held import Held
from covenue_solver_dual.method import Method, Reach, Seen
from covenue_solver_dual.model import insets, judged, misplaced
from covenue_solver_dual.multipliers import broadcast, extrapolated, pinned_outside
from covenue_solver_dual.terms import Terms
from covenue_solver_dual.totals import Answer, Point, read

ARMIJO = 1e-4
FLAT_FALL = 1e-13
MOST_REJECTED, MOST_IDLE = 12, 40
SETTLED = 0.1
LEADS = 2.0
MOST_DETOURED = 4
SMOOTHED_PATIENCE = 8
INSET_SHARE = 1.0 / 3.0
WIDEST = 1.5
FURTHEST_DOWN = 0.7
SHORTER, LONGER, LEAST_TRUST = 0.125, 4.0, 1e-9
EXCHANGED = 1e-9


class Path(NamedTuple):
    """Where a descent stands at one width.

    at: the accepted point. origin: where the next step starts: there, or once at the trial that
    was just rejected (a watchdog: beyond a kink, slopes lead better from the far side). flat,
    rejected: how many steps in a row led nowhere, or were rejected.
    """

    at: Point
    origin: Point
    flat: int = 0
    rejected: int = 0


class Descent(NamedTuple):
    """A descent between two rounds.

    trial: the multipliers of the round now due. inset: how far inside its limits each total is
    steered. stands: the plan before, if it is asked about again first. path: None before the first
    answer at a width. best: None before the first answer of all. stage: index into the smoothing
    widths. ends: where the descent settled at those before, None where it did not. idle: rounds
    since bound or plan became better. trust: the largest relative move of the next step; a
    rejected one shortens it.
    """

    terms: Terms
    tolerance: Fraction
    trial: Held
    memory: Any
    inset: Held
    stands: tuple[int, ...] | None = None
    path: Path | None = None
    best: Best | None = None
    stage: int = 0
    ends: tuple[Held | None, ...] = ()
    idle: int = 0
    trust: float = WIDEST

    @property
    def width(self) -> int:
        """The smoothing of the round now due; 0 where nothing is smoothed."""
        return self.terms.smoothing[self.stage] if self.terms.smoothing else 0


def begun(
    terms: Terms,
    tolerance: Fraction,
    trial: Held,
    memory: Any,
    stands: tuple[int, ...] | None = None,
) -> Descent:
    """A descent before its first round."""
    return Descent(terms, tolerance, trial, memory, Held(terms.limits[-1].copy()), stands)


def ask(state: Descent, with_slopes: bool) -> Query:
    """The question of the round now due."""
    return Query(
        kind="curvature" if with_slopes else "respond",
        after=None,
        multipliers=broadcast(state.terms, state.trial),
        points=(str(state.width),) if state.width else (),
    )


def tell(method: Method, state: Descent, release: Total | Choice) -> Descent | Solution:
    """One round further, or the end."""
    terms, path = state.terms, state.path
    answer = read(terms, state.trial, state.width, method.with_slopes(state.memory), release)
    if answer is None:
        return refused("stalled")
    step = _Step.of(state, answer.point)
    if path and step.doubtful and conflicts(terms, path.at, answer.point):
        return refused("stalled")
    best = (
        state.best.with_point(step.there, answer.point)
        if state.best
        else first(terms, step.there, answer.point)
    )
    if best.contradicts(terms):
        return refused("stalled")
    path, memory = _taken(method, state, answer, step)
    known = closed(terms, best, state.tolerance)
    if known is not None:
        return _solved(method, state._replace(memory=memory), best, "certified", known)
    gain = _gain(best, state.best)
    state = state._replace(
        memory=memory,
        inset=_steered(
            state, best, path.at, method.diagonal(terms, memory), grows=gain > terms.rounding
        ),
        stands=None,
        path=path,
        best=best,
        idle=0 if gain > 0.0 else state.idle + 1,
        trust=_trust(state, path, step.farthest),
    )
    return _onward(method, state, path, best)


def refused(status: SolutionStatus, points: tuple[int, ...] = ()) -> Solution:
    """An end without a plan; for an infeasible one, `points` names the coordinate."""
    return Solution(
        status=status,
        after=None,
        multipliers=None,
        points=points,
        value=0,
        bound=0,
        shortfall=0,
        warm=None,
    )


def out_of_place(terms: Terms, inset: Held, point: Point) -> float:
    """Value of what is still out of place at a point."""
    return misplaced(terms.limits, inset.array, point.v, point.s, terms.v_unit, terms.s_unit)


class _Step(NamedTuple):
    """A trial beside the accepted point: surveys of both, and what `judged` says of them.

    start, end: slopes of the dual along the step. there, here: what is out of place. doubtful:
    whether the answers may be in conflict. farthest: the largest relative move.
    """

    there: Survey
    here: Survey
    misplaced: float
    before: float
    start: float
    end: float
    doubtful: bool
    farthest: float

    @classmethod
    def of(cls, state: Descent, point: Point) -> "_Step":
        """Of a trial; the first is beside itself."""
        terms = state.terms
        at = state.path.at if state.path else point
        here, there, before, misplaced, both = judged(
            terms.limits,
            state.inset.array,
            at.v,
            at.s,
            point.v,
            point.s,
            terms.v_unit,
            terms.s_unit,
        )
        start, end, onward, back, slack, farthest = both
        near, far = surveyed_at(terms, here, at), surveyed_at(terms, there, point)
        rise = far.phi - near.phi
        doubt = ESTIMATED * (abs(far.phi) + abs(near.phi) + abs(onward) + abs(back))
        doubtful = min(rise - onward, -rise - back) + slack < doubt
        return cls(far, near, misplaced, before, start, end, doubtful, farthest)

    def falls(self, terms: Terms, width: int) -> bool:
        """Whether it is accepted, by values where they show it and by slopes where not."""
        by_slopes = self.start + self.end <= 2.0 * ARMIJO * min(self.start, 0.0)
        if width:
            return by_slopes
        change = self.there.steered - self.here.steered
        if abs(change) <= terms.rounding:
            return by_slopes
        return change <= ARMIJO * min(self.start, 0.0)

    def share(self) -> float:
        """Of the step, where the slopes at both ends put the least of the dual."""
        return self.start / (self.start - self.end) if self.start < self.end else 1.0


def _taken(method: Method, state: Descent, answer: Answer, step: _Step) -> tuple[Path, Any]:
    """The path and the method's memory after the trial was accepted or rejected."""
    terms, path, point, memory = state.terms, state.path, answer.point, state.memory
    enough = _tolerated(state, step.there.bound)
    seen = Seen(
        step.misplaced, step.before, enough, not point.width and _exchanges(terms, step.there)
    )
    if path is None:
        return Path(point, point), method.accepted(terms, memory, None, answer, seen)
    if step.falls(terms, point.width):
        flat = path.flat + 1 if _is_flat(terms, step, seen) else 0
        return Path(point, point, flat), method.accepted(terms, memory, path.origin, answer, seen)
    rejected = path.rejected + 1
    able = method.detours and not terms.smoothing and rejected <= MOST_DETOURED
    if able and _leads(state, path, step, seen):
        onward = path._replace(origin=point, rejected=rejected)
        return onward, method.detoured(terms, memory, path.origin, answer)
    back = path._replace(origin=path.at, rejected=rejected)
    return back, method.rejected(terms, memory, path.at, answer, step.share())


def _leads(state: Descent, path: Path, step: _Step, seen: Seen) -> bool:
    """Whether the next step starts from a rejected trial: a first detour, or one that leads on."""
    if path.origin == path.at:
        return step.there.steered <= 2.0 * step.here.steered + state.terms.floor
    before = survey(state.terms, state.inset, path.origin)
    left = out_of_place(state.terms, state.inset, path.origin)
    return step.there.steered < before.steered and LEADS * seen.misplaced <= left


def _exchanges(terms: Terms, there: Survey) -> bool:
    """Whether phi is v'y but for rounding: no participant has costs."""
    return abs(there.phi - there.made) <= terms.rounding + EXCHANGED * abs(there.phi)


def _trust(state: Descent, path: Path, farthest: float) -> float:
    """How far the next step may go: further after an accepted one, an eighth of a rejected one."""
    if state.path is None or path.rejected <= state.path.rejected:
        return min(state.trust * LONGER, WIDEST)
    return max(SHORTER * farthest, LEAST_TRUST)


def _gain(best: Best, before: Best | None) -> float:
    """By how much a round bettered the bound or the plan; a first plan betters it by its value."""
    if before is None:
        return max(abs(best.bound), 1.0)
    return max(before.bound - best.bound, best.value - before.value)


def _steered(state: Descent, best: Best, at: Point, diagonal: Held, *, grows: bool) -> Held:
    """The inset that a share of the tolerated gap pays for, the same share for each coordinate.

    A wide inset is met sooner. Once rounds bring no more than noise it only shrinks: what is
    steered to comes to rest.
    """
    terms = state.terms
    share = _tolerated(state, best.bound) * INSET_SHARE / terms.size
    widest = terms.unlimited if grows else state.inset.array
    return Held(
        insets(terms.limits, at.v, share, diagonal.array, terms.v_unit, terms.s_unit, widest)
    )


def _tolerated(state: Descent, bound: float) -> float:
    """The gap that certifies, in the unit of the references."""
    share = state.tolerance.numerator / state.tolerance.denominator
    return share * max(abs(bound), state.terms.floor)


def _is_flat(terms: Terms, step: _Step, seen: Seen) -> bool:
    """Whether an accepted step brought neither a fall worth the name nor less out of place."""
    if seen.misplaced <= 0.9 * seen.before:
        return False
    value = step.there.steered
    return step.here.steered - value <= max(terms.rounding, abs(value) * FLAT_FALL)


def _onward(method: Method, state: Descent, path: Path, best: Best) -> Descent | Solution:
    """The next trial; or the next width, or the end, where there is none worth a round."""
    trial = _next(method, state, path) if state.idle < MOST_IDLE else None
    if trial is not None:
        return state._replace(trial=trial)
    if state.stage + 1 < len(state.terms.smoothing):
        return _narrowed(method, state, path)
    if best.plan is None and (pinned := pinned_outside(state.terms, path.at)):
        return refused("infeasible", pinned[:1])
    return _ended(method, state, best, "stalled")


def _narrowed(method: Method, state: Descent, path: Path) -> Descent:
    """The first trial of the next width."""
    settled = _is_settled(state, path.at)
    ends = (*state.ends, path.at.at if settled else None)
    return state._replace(
        trial=extrapolated(state.terms, path.at.at, ends),
        memory=method.narrowed(state.memory),
        path=None,
        stage=state.stage + 1,
        ends=ends,
        idle=0,
    )


def _next(method: Method, state: Descent, path: Path) -> Held | None:
    """The next trial, or None where no further one at this width is worth a round."""
    patience = SMOOTHED_PATIENCE if state.width else method.patience
    if path.flat >= patience or path.rejected >= MOST_REJECTED:
        return None
    if state.stage + 1 < len(state.terms.smoothing) and _is_settled(state, path.at):
        return None
    trial = Held(method.next(state.terms, state.memory, path.origin, state.inset, _reach(state)))
    return None if trial in (path.at.at, path.origin.at) else trial


def _reach(state: Descent) -> Reach:
    """How far one step may go: no further than the last width at which the descent settled."""
    settled = [n for n, end in enumerate(state.ends) if end is not None]
    if not settled:
        detoured = state.path is not None and state.path.origin != state.path.at
        trust = WIDEST if detoured else state.trust
        return max(-FURTHEST_DOWN, -trust), min(WIDEST, trust)
    width = state.terms.smoothing[settled[-1]] * state.terms.v_unit
    return -width, width


def _is_settled(state: Descent, at: Point) -> bool:
    """Whether what is still out of place is small beside what the smoothing costs, or is noise.

    Its cost is Phi(v) - v'y: what the participants could make of v, less what they do.
    """
    there = survey(state.terms, state.inset, at)
    allowed = max((there.phi - there.made) * SETTLED, state.terms.rounding)
    return out_of_place(state.terms, state.inset, at) <= allowed


def _ended(method: Method, state: Descent, best: Best, status: SolutionStatus) -> Solution:
    """The best plan of all rounds; without one, an end without a plan."""
    if best.plan is None:
        return refused(status)
    return _solved(method, state, best, status, certified(state.terms, best))


def _solved(
    method: Method, state: Descent, best: Best, status: SolutionStatus, known: tuple[int, int]
) -> Solution:
    """The best plan of all rounds, with its value and bound."""
    terms, plan = state.terms, best.plan or best.lowest
    if not plan.s.any():
        plan = best.lowest.at_rest()
    warm = method.warm(terms, state.memory, plan)
    return Solution(
        status=status,
        after=None,
        multipliers=broadcast(terms, plan.at),
        points=warm.points,
        value=known[0],
        bound=known[1],
        shortfall=0,
        warm=warm,
        stands=status == "certified" and state.stands == warm.points,
    )
