"""The solver `proximal`: answers spread over falling widths, then proximal points; sums alone.

First answers have no centre: Newton steps, one a width, follow them to a narrow one. If their plan
is not within the tolerance there, answers are spread around a centre, what participants keep of an
earlier answer: inside, Newton steps bring totals within their limits; outside, the centre moves to
the answer that was found. Every answer, spread or not, is a plan, and every round bounds all plans;
see `answers`. Source: solvers.md, section 3.3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from covenue.errors import BadInput
from covenue.hooks.solvers import Choice, Coupling, DualCoupling, Solution, State, Suits, Total
from covenue.numerics.ldlt import Reals
from covenue_contracts.contract import Scalar
from covenue_contracts.plan import SolutionStatus
from covenue_contracts.shared import Capability, DualVariables, Query
from covenue_solver_proximal.answers import (
    Answer,
    Best,
    admitted,
    closes_alone,
    first,
    read,
    spread_cost,
)
from covenue_solver_proximal.narrowing import Move, first_paces, held_back, paced
from covenue_solver_proximal.options import tolerance_of
from covenue_solver_proximal.selftest import require_self_test
from covenue_solver_proximal.step import Aim, aim_of, between, newton_step, slopes_along, trend_of
from covenue_solver_proximal.terms import Terms, Whole, check_tolerance, terms_of

MOST_ROUNDS, MOST_IDLE = 400, 60
CAP, WIDEST = 3e-3, 1.0
WIDTHS_AHEAD = 30.0
LONGER, FLAT_LONGER, AFTER_MOVE = 4.0, 8.0, 2.0
SHORTEST, SHORTER, LEAST_TRUST = 0.05, 0.5, 1e-11
INSET_SHARE = Fraction(1, 20)
STORED_AHEAD = 3
FEW, MOST_STRAY = 8, 2
ROUNDS_AHEAD = 32
MOST_LATE = 4
INNER_SHARE = 100
WORTH_MOVING = Fraction(1, 2)
LITTLE, NOTHING = Fraction(7, 10), Fraction(99, 100)
RESTS = 2
FIRST_AHEAD = 20.0


@dataclass(frozen=True)
class WarmProximal:
    """What one plan leaves for the next: where it ended, and whose answer to continue from.

    centre: digest of a query that participants still remember in the next plan, "" for none: that
    which the plan's answer continues from, so that in an unchanged market its repetition is the
    plan; where that was asked too long ago, the plan's own. width: of the plan's answer. slopes:
    of an answer at a wider width, which the first step goes by: bytes of m x m float64. The rest
    says which space and which grids they fit.
    """

    names: tuple[str, ...]
    grids: tuple[int, ...]
    reference: Whole
    multipliers: Whole
    centre: str
    width: int
    slopes: bytes


@dataclass(frozen=True)
class Search:
    """A search between two rounds.

    trial: the multipliers of the round now due. centre: digest of the query that its answer
    continues from, or None. at: the accepted answer around this centre, None before the first.
    inherited: that of the first round, asked in the plan before. trust: the largest relative move
    of a step. paces: of each multiplier while answers have no centre, bytes of m float64; b"" once
    they have one. slopes: of a wider answer, m x m float64, b"" before they are known. trend: what
    a multiplier moves on average, m float64. rests: how often in a row a new centre brought little;
    cost: what spreading cost at the last one. idle: rounds since bound or plan became better.
    """

    terms: Terms
    tolerance: Fraction
    trial: Whole
    stage: int
    centre: str | None
    trust: float
    trend: bytes
    is_warm: bool
    paces: bytes
    slopes: bytes = b""
    inherited: str = ""
    at: Answer | None = None
    best: Best | None = None
    cost: int = 0
    rests: int = 0
    rounds: int = 0
    idle: int = 0
    late: int = 0
    is_afresh: bool = False

    @property
    def width(self) -> int:
        """Over how much of a price the answer now due is spread."""
        return self.terms.widths[self.stage]


class Proximal:
    """Proximal-point Newton, certified by sums alone; see the README for its ends."""

    def __init__(self, tolerance: Fraction = Fraction(1, 10**6)) -> None:
        self.tolerance = tolerance

    @classmethod
    def from_options(cls, options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> "Proximal":
        """Build from `{"tolerance": "0.000001"}`.

        Raises BadInput, naming the option and its value; PluginBroken if this machine does not
        compute as it must.
        """
        require_self_test()
        return cls(tolerance_of(options))

    @property
    def needs(self) -> frozenset[Capability]:
        """Answers with their slopes."""
        return frozenset({"RESPOND", "CURVATURE"})

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """Where answers jump at a price and can be spread."""
        if not isinstance(coupling, DualCoupling) or not self.needs <= offered:
            return None
        if not coupling.smoothing or coupling.tracking is not None:
            return None
        return Suits(15, "answers jump at prices: proximal points make each subproblem smooth")

    def start(self, coupling: Coupling, warm: State | None) -> Search:
        """Begin at the references, or where an earlier plan of the same shape ended.

        Raises CapabilityMissing unless the coupling is a DualCoupling with smoothing, BadInput
        where it or the tolerance cannot be.
        """
        terms = terms_of(coupling)
        check_tolerance(terms, self.tolerance)
        known = warm if isinstance(warm, WarmProximal) else None
        if known is None or (known.names, known.grids) != (terms.names, _grids(terms)):
            return _from_nothing(terms, self.tolerance, _within(terms, terms.reference))
        stage = terms.widths.index(known.width)
        return Search(
            terms,
            self.tolerance,
            trial=_within(terms, _moved(terms, known)),
            stage=stage,
            centre=known.centre or None,
            trust=_trust(terms, stage),
            trend=trend_of(_matrix(terms, known.slopes)).tobytes(),
            is_warm=True,
            paces=first_paces(terms).tobytes(),
            slopes=known.slopes,
            inherited=known.centre,
        )

    def ask(self, state: Search, digest_of: Callable[[Query], str]) -> Query:
        """The question of the round that is due: an answer and its slopes around the centre."""
        return Query(
            kind="curvature",
            after=state.centre,
            multipliers=_broadcast(state.terms, state.trial),
            points=(str(state.width),),
        )

    def tell(self, state: Search, release: Total | Choice) -> Search | Solution:
        """One round further, or the end."""
        terms = state.terms
        answer = read(terms, state.trial, state.width, state.centre or "", release)
        if answer is None:
            return _refused("stalled")
        best = state.best.with_answer(terms, answer) if state.best else first(terms, answer)
        if best.contradicts(terms):
            return _refused("stalled")
        idle = 0 if _is_better(best, state.best) else state.idle + 1
        counted = replace(state, best=best, rounds=state.rounds + 1, idle=idle)
        if closes_alone(terms, answer, state.tolerance):
            return _ended(counted, best.of_answer(terms, answer), "certified")
        if best.is_closed(terms, state.tolerance):
            if counted.late >= MOST_LATE:
                return _ended(counted, best, "certified")
            counted = replace(counted, late=state.late + 1)
        if counted.rounds >= MOST_ROUNDS:
            return _ended(counted, best, "max_rounds")
        try:
            return _onward(counted, best, answer)
        except BadInput:  # slopes whose factors are beyond floats: no convex answer has them
            return _refused("stalled")


def _from_nothing(terms: Terms, tolerance: Fraction, multipliers: Whole) -> Search:
    """The start without anything that participants would remember."""
    return Search(
        terms,
        tolerance,
        trial=multipliers,
        stage=0,
        centre=None,
        trust=_trust(terms, 0),
        trend=b"",
        is_warm=False,
        paces=first_paces(terms).tobytes(),
    )


def _ahead(state: Search, best: Best, answer: Answer) -> Search | Solution:
    """The next trial without a centre: a step at this width or the next, or on to a centre."""
    terms, at = state.terms, answer
    paces, aim = np.frombuffer(state.paces), _aim(state, best, answer)
    if state.at is not None and state.at.width == answer.width:
        move = Move(state.at, answer, _aim(state, best, state.at), aim)
        paces, slopes = paced(terms, move, paces)
        at = replace(answer, slopes=slopes.tobytes())
    if state.is_warm and state.rounds == 1:
        return _returned(state, answer, aim)
    trend = state.trend or trend_of(answer.matrix(terms.size)).tobytes()
    reach = paces * terms.relative(answer.width) * (1.0 if state.stage else FIRST_AHEAD)
    reach = np.minimum(reach, CAP)
    trial, far = newton_step(terms, at, aim, np.frombuffer(trend), (reach, WIDEST))
    onward = replace(state, at=answer, paces=paces.tobytes(), trend=trend, centre=None)
    if state.stage <= max(0, terms.last_ahead - STORED_AHEAD):
        onward = replace(onward, slopes=answer.slopes)
    ends = trial == answer.multipliers or _is_close(terms, answer, aim)
    if state.stage < terms.last_ahead:
        few = held_back(terms, answer.multipliers, far, reach) * FEW <= terms.size
        stage = state.stage + 1 if few or ends else state.stage
        paces = first_paces(terms) if stage != state.stage else paces
        return replace(onward, trial=trial, stage=stage, paces=paces.tobytes())
    if ends and state.stage + 1 < len(terms.widths):
        paces = first_paces(terms)
        return replace(onward, trial=trial, stage=state.stage + 1, paces=paces.tobytes())
    if ends or state.rounds >= ROUNDS_AHEAD:
        return _around(replace(onward, paces=b""), best, answer)
    return replace(onward, trial=trial)


def _around(state: Search, best: Best, answer: Answer) -> Search | Solution:
    """The first round around a centre, one width wider: few levels are left that can move."""
    terms = state.terms
    if not answer.query:
        return _recentred(state, best, answer)
    stage = max(0, min(state.stage, terms.last_ahead) - 1)
    moved = replace(state, trial=answer.multipliers, stage=stage, trust=_trust(terms, stage))
    return replace(moved, centre=answer.query, at=None)


def _returned(state: Search, answer: Answer, aim: Aim) -> Search:
    """After the first round of a warm start: a step by slopes of before, to a width in between.

    Where most multipliers would go further than the slopes reach, the search begins anew.
    """
    terms = state.terms
    stored = max(0, terms.last_ahead - STORED_AHEAD)
    reach = np.full(terms.size, terms.relative(terms.widths[stored]))
    at = replace(answer, slopes=state.slopes)
    trial, far = newton_step(terms, at, aim, np.frombuffer(state.trend), (reach, WIDEST))
    if held_back(terms, answer.multipliers, far, reach) * MOST_STRAY > terms.size:
        again = _from_nothing(terms, state.tolerance, answer.multipliers)
        return replace(again, best=state.best, rounds=state.rounds)
    stage = min(stored + 1, terms.last_ahead)
    return replace(state, trial=trial, stage=stage, centre=None)


def _onward(state: Search, best: Best, answer: Answer) -> Search | Solution:
    """The next trial, around this centre or the next; or the end, where there is none."""
    if state.paces:
        return _ahead(state, best, answer)
    state = _taken(state, best, answer)
    at = state.at
    assert at is not None  # noqa: S101 -- an answer was just taken
    aim = _aim(state, best, at)
    trusts = (state.trust, max(state.trust, _trust(state.terms, state.stage)))
    trial, far = newton_step(state.terms, at, aim, np.frombuffer(state.trend), trusts)
    if state.idle >= MOST_IDLE:
        return _without_certificate(state, best)
    if trial == at.multipliers or _is_settled(state, best, aim, far):
        return _recentred(state, best, at)
    return replace(state, trial=trial)


def _taken(state: Search, best: Best, answer: Answer) -> Search:
    """The state after an answer was accepted or rejected, on the sums alone.

    Rejected is what overshot by more than the step began with. Then the next step is shorter, and
    its slopes are those between both ends.
    """
    terms, at = state.terms, state.at
    if at is None:
        return replace(state, at=answer)
    aim = _aim(state, best, at)
    start, end = slopes_along(at, answer, aim, terms)
    if end <= abs(start):
        return replace(state, at=answer, trust=_lengthened(state.trust, start, end))
    steps = zip(answer.multipliers, at.multipliers, strict=True)
    length = max(abs(to - v) / v for to, v in steps)
    share = min(max(2 * start / (start - end), SHORTEST), SHORTER)
    slopes = between(terms, at, answer, (aim, _aim(state, best, answer)))
    return replace(
        state,
        at=replace(at, slopes=slopes.tobytes()),
        trust=max(share * length, LEAST_TRUST),
    )


def _lengthened(trust: float, start: int, end: int) -> float:
    """How far the next step may go; beyond the cap only where the totals hardly move at all."""
    if 10 * end < 9 * start:
        return min(trust * FLAT_LONGER, WIDEST)
    return min(trust * LONGER, max(CAP, trust)) if 2 * end < start else min(trust, CAP)


def _aim(state: Search, best: Best, at: Answer) -> Aim:
    """Where totals are steered to: so far within their limits as a part of the gap pays for."""
    terms = state.terms
    floor = terms.of_words(terms.value_floor)
    budget = int(state.tolerance * INSET_SHARE * max(abs(best.bound), floor))
    return aim_of(terms, at, terms.limits(at.multipliers, budget))


def _falls(terms: Terms, at: Answer, aim: Aim, trial: Whole) -> int:
    """By how much the smoothed dual falls along a step, to first order, in 2^-fine_bits."""
    rows = zip(aim.pull, at.multipliers, trial, strict=True)
    return -terms.of_products(sum(g * (to - v) for g, v, to in rows))


def _is_close(terms: Terms, at: Answer, aim: Aim) -> bool:
    """Whether all totals are where they are steered to, as far as multipliers can move."""
    rows = zip(aim.pull, aim.able, aim.lower, terms.least, strict=True)
    close = all(abs(g) <= (low - least) or not moves for g, moves, low, least in rows)
    return close and (admitted(terms, at) or not all(aim.able))


def _is_settled(state: Search, best: Best, aim: Aim, far: Whole) -> bool:
    """Whether a further step around this centre is not worth a round.

    It is not once all totals are where they are steered to, or where a step promises a hundredth
    of what spreading costs, as long as that cost alone is beyond half the tolerance, and a new
    centre still brings something.
    """
    terms, at = state.terms, state.at
    assert at is not None  # noqa: S101 -- an answer was just taken
    if _is_close(terms, at, aim):
        return True
    cost = spread_cost(terms, at)
    floor = terms.of_words(terms.value_floor)
    tolerated = state.tolerance * WORTH_MOVING * max(abs(best.bound), floor)
    return (
        cost > tolerated and not state.rests and _falls(terms, at, aim, far) * INNER_SHARE <= cost
    )


def _recentred(state: Search, best: Best, at: Answer) -> Search | Solution:
    """The first round around the answer that was found, at the next width while they fall.

    Later the width stays, unless new centres bring little twice in a row. Without a memory to
    continue from, only a narrower width can bring anything; at the narrowest, the search ends where
    new centres bring nothing.
    """
    terms = state.terms
    cost = spread_cost(terms, at)
    little = state.cost > 0 and cost > LITTLE * state.cost
    nothing = state.cost > 0 and cost > NOTHING * state.cost
    rests = state.rests + 1 if little and state.stage >= terms.settled_stage else 0
    narrower = state.stage < terms.settled_stage or rests >= RESTS or not at.query
    last = state.stage + 1 == len(terms.widths)
    if narrower and last and (nothing or not at.query):
        return _without_certificate(state, best)
    stage = min(state.stage + 1, len(terms.widths) - 1) if narrower else state.stage
    trust = _trust(terms, stage)
    if stage == state.stage:
        trust = min(trust, AFTER_MOVE * state.trust)
    return replace(
        state,
        trial=at.multipliers,
        stage=stage,
        centre=at.query or None,
        trust=trust,
        at=None,
        cost=cost if stage == state.stage else 0,
        rests=rests,
    )


def _without_certificate(state: Search, best: Best) -> Search | Solution:
    """The end where no round brings more: the best plan as it is, or none.

    Once, centres are tried from the widest width on before that: what was followed to narrow
    widths may have led past the plan.
    """
    at, terms = state.at, state.terms
    if best.is_closed(terms, state.tolerance):
        return _ended(state, best, "certified")
    assert at is not None  # noqa: S101 -- an answer was just taken
    rows = zip(at.multipliers, at.nets, terms.lowest, terms.highest, terms.least, terms.most,
               strict=True)  # fmt: skip
    outside = tuple(
        k
        for k, (v, net, low, high, least, most) in enumerate(rows)
        if (v == high and net < least) or (v == low and net > most)
    )
    if best.plan is None and outside:
        return _refused("infeasible", outside[:1])
    if state.is_afresh:
        return _ended(state, best, "stalled")
    again = _from_nothing(terms, state.tolerance, at.multipliers)
    kept = replace(again, best=best, rounds=state.rounds, slopes=state.slopes, trend=state.trend)
    return replace(kept, paces=b"", is_afresh=True)


def _ended(state: Search, best: Best, status: SolutionStatus) -> Solution:
    """The best plan of all rounds; without one, an end without a plan."""
    terms, plan = state.terms, best.plan
    if plan is None:
        return _refused(status)
    value, bound = best.rounded(terms)
    return Solution(
        status=status,
        after=plan.query or None,
        multipliers=_broadcast(terms, plan.multipliers),
        points=(*plan.nets, plan.width),
        value=value,
        bound=bound,
        shortfall=0,
        warm=WarmProximal(
            terms.names,
            _grids(terms),
            terms.reference,
            plan.multipliers,
            plan.query if plan.centre and plan.centre == state.inherited else plan.centre,
            plan.width,
            state.slopes or plan.slopes,
        ),
        stands=state.is_warm and state.rounds == 1 and status == "certified",
    )


def _refused(status: SolutionStatus, points: tuple[int, ...] = ()) -> Solution:
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


def _is_better(best: Best, before: Best | None) -> bool:
    if before is None or (best.plan is not None and before.plan is None):
        return True
    return best.bound < before.bound or best.value > before.value


def _trust(terms: Terms, stage: int) -> float:
    """How far the first step at a width may go."""
    return min(WIDTHS_AHEAD * terms.relative(terms.widths[stage]), CAP)


def _grids(terms: Terms) -> tuple[int, ...]:
    return terms.scale_bits, terms.multiplier_bits, terms.slope_bits, *terms.widths


def _matrix(terms: Terms, slopes: bytes) -> Reals:
    return np.frombuffer(slopes, dtype=np.float64).reshape(terms.size, terms.size)


def _moved(terms: Terms, warm: WarmProximal) -> Whole:
    """The last multipliers, moved as their references moved."""
    rows = zip(warm.multipliers, warm.reference, terms.reference, strict=True)
    return tuple((v * new + old // 2) // old for v, old, new in rows)


def _within(terms: Terms, wanted: Whole) -> Whole:
    rows = zip(wanted, terms.lowest, terms.highest, strict=True)
    return tuple(min(max(value, low), high) for value, low, high in rows)


def _broadcast(terms: Terms, multipliers: Whole) -> DualVariables:
    return DualVariables(
        scale_bits=terms.multiplier_bits, values=tuple(str(value) for value in multipliers)
    )
