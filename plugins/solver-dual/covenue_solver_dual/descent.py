"""The frame that both solvers share: read, certify, accept or reject, end, or step on.

What is decided is decided on exact integers. A trial is accepted if the dual with margin falls:

    D_e(v') <= D_e(v) + 1e-4 g'(v' - v)

or, where the fall is too small for rounded values to show, or where answers are smoothed and
their own dual is not visible, if the slopes at both ends say that it falls.
Source: solvers.md, sections 3.1 and 4 (R9).
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol

from covenue.errors import BadInput
from covenue.hooks.solvers import Choice, Solution, State, Total
from covenue_contracts.plan import SolutionStatus
from covenue_contracts.shared import DualVariables, Query
from covenue_solver_dual.certificate import Best, closed, conflicts, dual, first, rounded
from covenue_solver_dual.coordinates import (
    WIDE_REACH,
    Reach,
    falls,
    free,
    gradient,
    pinned_outside,
    residual,
)
from covenue_solver_dual.terms import Integers, Terms
from covenue_solver_dual.totals import Answer, Point, read

ARMIJO = 10_000
FLAT_FALL = 10**13
MOST_REJECTED, MOST_IDLE = 12, 40
SETTLED = 10
SMOOTHED_PATIENCE = 8
INSET_SHARE = Fraction(1, 3)
WIDEST = WIDE_REACH[1]
SHORTER, LONGER, LEAST_TRUST = 0.125, 4.0, 1e-9


class Method(Protocol):
    """How a solver chooses its next multipliers; its memory is frozen and only its own."""

    def with_slopes(self, memory: Any) -> bool:
        """Whether the round now due asks for slopes."""
        ...

    def accepted(self, terms: Terms, memory: Any, origin: Point | None, answer: Answer) -> Any:
        """Memory after an accepted trial; `origin` is where it started, None for the first."""
        ...

    @property
    def patience(self) -> int:
        """How many accepted steps in a row may lead nowhere."""
        ...

    @property
    def detours(self) -> bool:
        """Whether a step may start from a trial that was just rejected, where nothing jumps."""
        ...

    def detoured(self, terms: Terms, memory: Any, at: Point, answer: Answer) -> Any:
        """Memory after a rejected trial, if the next step starts from that trial."""
        ...

    def rejected(self, terms: Terms, memory: Any, at: Point, answer: Answer) -> Any:
        """Memory after a rejected trial, if the next step starts from the accepted point."""
        ...

    def narrowed(self, memory: Any) -> Any:
        """Memory at the first trial of the next width."""
        ...

    def next(self, terms: Terms, memory: Any, origin: Point, reach: Reach) -> Integers:
        """The trial after a point; its own multipliers if there is none."""
        ...

    def warm(self, terms: Terms, memory: Any, multipliers: Integers) -> State:
        """What the next plan may start from."""
        ...


@dataclass(frozen=True)
class Path:
    """Where a descent stands at one width.

    at: the accepted point. origin: where the next step starts: there, or once at the trial that
    was just rejected (a watchdog: beyond a kink, slopes lead better from the far side). flat,
    rejected: how many steps in a row led nowhere, or were rejected.
    """

    at: Point
    origin: Point
    flat: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class Descent:
    """A descent between two rounds.

    trial: the multipliers of the round now due. path: None before the first answer at a width.
    best: None before the first answer of all. stage: index into the smoothing widths. ends: where
    the descent settled at those before, () where it did not. idle: rounds since bound or plan
    became better. trust: the largest relative move of the next step; a rejected one shortens it.
    before: the multipliers of the plan before, () without one.
    """

    terms: Terms
    tolerance: Fraction
    trial: Integers
    memory: Any
    path: Path | None = None
    best: Best | None = None
    stage: int = 0
    ends: tuple[Integers, ...] = ()
    idle: int = 0
    trust: float = WIDEST
    before: Integers = ()

    @property
    def width(self) -> int:
        """The smoothing of the round now due; 0 where nothing is smoothed."""
        return self.terms.smoothing[self.stage] if self.terms.smoothing else 0


def ask(state: Descent, with_slopes: bool) -> Query:
    """The question of the round now due."""
    return Query(
        kind="curvature" if with_slopes else "respond",
        after=None,
        multipliers=_broadcast(state.terms, state.trial),
        points=(str(state.width),) if state.width else (),
    )


def tell(method: Method, state: Descent, release: Total | Choice) -> Descent | Solution:
    """One round further, or the end."""
    terms, slopes = state.terms, method.with_slopes(state.memory)
    answer = read(terms, state.trial, state.width, slopes, release)
    if answer is None or (state.path and conflicts(terms, state.path.at, answer.point)):
        return refused("stalled")
    is_first = state.best is None
    best = state.best.with_point(terms, answer.point) if state.best else first(terms, answer.point)
    if best.contradicts(terms):
        return refused("stalled")
    path, memory = _taken(method, state, answer)
    idle = 0 if _gain(best, state.best) > 0 else state.idle + 1
    grows = _gain(best, state.best) > terms.noise
    steered = _steered(state, best, path.at, grows=grows)
    trust = _trust(state, path)
    state = replace(
        state, terms=steered, path=path, best=best, memory=memory, idle=idle, trust=trust
    )
    if closed(terms, best, state.tolerance):
        ended = _ended(method, state, best, "certified")
        return replace(ended, stands=is_first and state.trial == state.before)
    try:
        return _onward(method, state, path, best)
    except BadInput:  # slopes whose factors are beyond floats: no convex answer has them
        return refused("stalled")


def refused(status: SolutionStatus) -> Solution:
    """An end without a plan."""
    return Solution(
        status=status,
        after=None,
        multipliers=None,
        points=(),
        value=0,
        bound=0,
        shortfall=0,
        warm=None,
    )


def misplaced(terms: Terms, point: Point) -> int:
    """The residual of a point, in 2^-product_bits."""
    slopes = gradient(terms, point)
    return residual(point.multipliers, slopes, free(terms, point.multipliers, slopes))


def _taken(method: Method, state: Descent, answer: Answer) -> tuple[Path, Any]:
    """The path and the method's memory after the trial was accepted or rejected."""
    terms, path, point, memory = state.terms, state.path, answer.point, state.memory
    if path is None:
        return Path(point, point), method.accepted(terms, memory, None, answer)
    if _is_fall(terms, path.at, point):
        flat = path.flat + 1 if _is_flat(terms, path.at, point) else 0
        return Path(point, point, flat), method.accepted(terms, memory, path.origin, answer)
    rejected = path.rejected + 1
    near = _with_inset(terms, point) <= 2 * _with_inset(terms, path.at) + _worth(terms)
    if method.detours and near and not terms.smoothing and path.origin == path.at:
        onward = replace(path, origin=point, rejected=rejected)
        return onward, method.detoured(terms, memory, path.at, answer)
    back = replace(path, origin=path.at, rejected=rejected)
    return back, method.rejected(terms, memory, path.at, answer)


def _worth(terms: Terms) -> int:
    """The value floor, in 2^-fine_bits."""
    return terms.value_floor << (terms.fine_bits - terms.value_bits)


def _trust(state: Descent, path: Path) -> float:
    """How far the next step may go: further after an accepted one, an eighth of a rejected one."""
    if state.path is None or path.rejected <= state.path.rejected:
        return min(state.trust * LONGER, WIDEST)
    moves = zip(state.trial, path.at.multipliers, strict=True)
    return max(SHORTER * max(abs(to - at) / at for to, at in moves), LEAST_TRUST)


def _gain(best: Best, before: Best | None) -> int:
    """By how much a round bettered the bound or the plan; a first plan betters it by its value."""
    if before is None:
        return max(abs(best.bound), 1)
    return max(before.bound - best.bound, best.value - before.value)


def _steered(state: Descent, best: Best, at: Point, *, grows: bool) -> Terms:
    """The terms with the inset that a share of the tolerated gap pays for.

    Once rounds bring no more than noise the inset only shrinks: what is steered to comes to rest.
    """
    terms = state.terms
    _, bound = rounded(terms, best)
    tolerated = state.tolerance * max(abs(bound), terms.value_floor)
    steered = terms.steered(at.multipliers, int(tolerated * INSET_SHARE))
    if grows:
        return steered
    kept = tuple(map(min, steered.inset, terms.inset))
    return replace(steered, inset=kept)


def _is_fall(terms: Terms, at: Point, point: Point) -> bool:
    """Whether the trial is accepted, by values where they show it and by slopes where not."""
    start, end = falls(terms, at, point)
    by_slopes = ARMIJO * (start + end) <= 2 * min(start, 0)
    if point.width:
        return by_slopes
    change = _with_inset(terms, point) - _with_inset(terms, at)
    if abs(change) <= terms.noise:
        return by_slopes
    return ARMIJO * change <= min(start, 0) << (terms.fine_bits - terms.product_bits)


def _is_flat(terms: Terms, at: Point, point: Point) -> bool:
    """Whether an accepted step brought neither a fall worth the name nor less out of place."""
    if 10 * misplaced(terms, point) <= 9 * misplaced(terms, at):
        return False
    value = _with_inset(terms, point)
    return _with_inset(terms, at) - value <= max(terms.noise, abs(value) // FLAT_FALL)


def _with_inset(terms: Terms, point: Point) -> int:
    return dual(terms, point, terms.lower, terms.upper)


def _onward(method: Method, state: Descent, path: Path, best: Best) -> Descent | Solution:
    """The next trial; or the next width, or the end, where there is none worth a round."""
    trial = _next(method, state, path) if state.idle < MOST_IDLE else None
    if trial is not None:
        return replace(state, trial=trial)
    if state.stage + 1 < len(state.terms.smoothing):
        return _narrowed(method, state, path)
    if best.plan is None and pinned_outside(state.terms, path.at):
        return refused("infeasible")
    return _ended(method, state, best, "stalled")


def _narrowed(method: Method, state: Descent, path: Path) -> Descent:
    """The first trial of the next width."""
    settled = _is_settled(state.terms, path.at)
    ends = (*state.ends, path.at.multipliers if settled else ())
    return replace(
        state,
        trial=_extrapolated(state.terms, path.at.multipliers, ends),
        memory=method.narrowed(state.memory),
        path=None,
        stage=state.stage + 1,
        ends=ends,
        idle=0,
    )


def _extrapolated(terms: Terms, last: Integers, ends: tuple[Integers, ...]) -> Integers:
    """Where the next width will end, if multipliers go on as they went over the last two.

    An offer that is taken in part holds its multiplier at its own value plus a part of the width:
    as long as the same offers are, multipliers are linear in the width.
    """
    if len(ends) < 2 or not (ends[-2] and ends[-1]):
        return last
    wide, middle, narrow = terms.smoothing[len(ends) - 2 : len(ends) + 1]
    rows = zip(ends[-2], last, terms.reference, terms.lowest, terms.highest, strict=True)
    result = []
    for before, at, r, low, high in rows:
        moved = at + (at - before) * (middle - narrow) // (wide - middle)
        kept = max(moved, r) if at > r else min(moved, r) if at < r else r
        result.append(min(max(kept, low), high))
    return tuple(result)


def _next(method: Method, state: Descent, path: Path) -> Integers | None:
    """The next trial, or None where no further one at this width is worth a round."""
    patience = SMOOTHED_PATIENCE if state.width else method.patience
    if path.flat >= patience or path.rejected >= MOST_REJECTED:
        return None
    if state.stage + 1 < len(state.terms.smoothing) and _is_settled(state.terms, path.at):
        return None
    trial = method.next(state.terms, state.memory, path.origin, _reach(state))
    return None if trial in (path.at.multipliers, path.origin.multipliers) else trial


def _reach(state: Descent) -> Reach:
    """How far one step may go: no further than the last width at which the descent settled."""
    settled = [n for n, end in enumerate(state.ends) if end]
    if not settled:
        detoured = state.path is not None and state.path.origin != state.path.at
        trust = WIDEST if detoured else state.trust
        return max(WIDE_REACH[0], -trust), min(WIDE_REACH[1], trust)
    width = state.terms.smoothing[settled[-1]] * 2.0**-state.terms.multiplier_bits
    return -width, width


def _is_settled(terms: Terms, at: Point) -> bool:
    """Whether what is still out of place is small beside what the smoothing costs, or is noise.

    Its cost is Phi(v) - v'y: what the participants could make of v, less what they do.
    """
    shift = terms.fine_bits - terms.product_bits
    made = sum(v * net for v, net in zip(at.multipliers, at.nets, strict=True))
    cost = (at.value << (terms.fine_bits - terms.value_bits)) - (made << shift)
    return misplaced(terms, at) << shift <= max(cost // SETTLED, terms.noise)


def _ended(method: Method, state: Descent, best: Best, status: SolutionStatus) -> Solution:
    """The best plan of all rounds; without one, an end without a plan."""
    terms, plan = state.terms, best.plan
    if plan is None:
        return refused(status)
    value, bound = rounded(terms, best)
    return Solution(
        status=status,
        after=None,
        multipliers=_broadcast(terms, plan.multipliers),
        points=(*plan.nets, plan.width) if plan.width else plan.nets,
        value=value,
        bound=bound,
        shortfall=0,
        warm=method.warm(terms, state.memory, plan.multipliers),
    )


def _broadcast(terms: Terms, multipliers: Integers) -> DualVariables:
    return DualVariables(
        scale_bits=terms.multiplier_bits, values=tuple(str(value) for value in multipliers)
    )
