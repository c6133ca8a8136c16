"""The solver `admm`: sharing ADMM with Anderson acceleration, on sums of prox answers alone.

Each participant is one point x_i. A round moves all x_i, and the coordinator's z and u, by one step
of ADMM; the next starts from a combination of the last such steps, whose coefficients rest on a
Gram matrix of sums: participants combine what they keep to themselves, the coordinator the rest.
Every answer is a plan, and carries phi at the round's multipliers, so every round bounds all plans:
the certificate needs no query of another kind. Source: solvers.md, section 3.4.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import frexp

from covenue.hooks.prox import EXPONENT_MOST, GRAM_MOST, KEPT, ProxQuestion
from covenue.hooks.solvers import Choice, Coupling, DualCoupling, Solution, State, Suits, Total
from covenue_contracts.contract import Scalar
from covenue_contracts.plan import SolutionStatus
from covenue_contracts.shared import Capability, DualVariables, Query
from covenue_solver_admm.anderson import PLAIN, Gram, coefficients
from covenue_solver_admm.answers import Answer, Best, first, read
from covenue_solver_admm.options import tolerance_of
from covenue_solver_admm.sharing import (
    Point,
    Stand,
    combined,
    image,
    multipliers,
    opening,
    product,
    question,
)
from covenue_solver_admm.terms import Terms, Whole, check_tolerance, terms_of

MOST_ROUNDS, MOST_IDLE = 1000, 300
WORSE = 4.0
"""Times the best squared residual: twice the best residual."""
BALANCED_EVERY, BALANCED_UNTIL = 8, 96
UNBALANCED, STEP = 16.0, 2
GRAM_BITS = 40
INSET_SHARE = Fraction(1, 8)


@dataclass(frozen=True)
class WarmAdmm:
    """What one plan leaves for the next: its exponent and where the coordinator stood.

    query: digest of the plan's query, whose memory the next plan continues from, "" for none.
    """

    names: tuple[str, ...]
    grids: tuple[int, ...]
    exponent: int
    stand: Stand
    query: str


@dataclass(frozen=True)
class Search:
    """A search between two rounds.

    stand: the state that the round now due starts from; shares: how participants come to theirs;
    after: digest of the query whose memory they continue from. points: the last images, the newest
    first, with the products of their residuals. least: the least squared residual since the
    exponent changed, and `anchor` its image. idle: rounds since bound or plan became better.
    """

    terms: Terms
    tolerance: Fraction
    exponent: int
    gram_bits: int
    stand: Stand
    shares: tuple[int, ...]
    after: str | None
    inset: Whole
    is_warm: bool = False
    points: tuple[Point, ...] = ()
    gram: Gram = ()
    least: float = 0.0
    anchor: Point | None = None
    best: Best | None = None
    rounds: int = 0
    idle: int = 0

    @property
    def question(self) -> ProxQuestion:
        """What the round now due asks."""
        return question(self.terms, self.stand, self.exponent, self.gram_bits, self.shares)

    @property
    def multipliers(self) -> Whole:
        """Where the round now due asks for phi."""
        return multipliers(self.terms, self.stand, self.exponent)


class Admm:
    """Sharing ADMM, certified by sums alone.

    memory: how many earlier images a step combines with the newest; 0 is plain ADMM.
    """

    def __init__(self, tolerance: Fraction = Fraction(1, 10**6), memory: int = KEPT) -> None:
        self.tolerance, self.memory = tolerance, memory

    @classmethod
    def from_options(cls, options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> "Admm":
        """Build from `{"tolerance": "0.000001"}`. Raises BadInput, naming option and value."""
        return cls(tolerance_of(options))

    @property
    def needs(self) -> frozenset[Capability]:
        """Prox answers alone."""
        return frozenset({"PROX"})

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """Where everybody has a prox; every other solver that can serve comes first."""
        if not isinstance(coupling, DualCoupling) or not self.needs <= offered:
            return None
        if coupling.tracking is not None:
            return None
        return Suits(60, "participants answer with a prox: sharing ADMM needs nothing else")

    def start(self, coupling: Coupling, warm: State | None) -> Search:
        """Begin at the references, or where an earlier plan of the same shape ended.

        Raises CapabilityMissing unless the coupling is a DualCoupling with limits alone, BadInput
        where it or the tolerance cannot be.
        """
        terms = terms_of(coupling)
        check_tolerance(terms, self.tolerance)
        if isinstance(warm, WarmAdmm) and (warm.names, warm.grids) == (terms.names, _grids(terms)):
            return Search(
                terms, self.tolerance, warm.exponent, _gram_bits(_extent(terms)), warm.stand,
                PLAIN if warm.query else (), warm.query or None, terms.margin, is_warm=True,
            )  # fmt: skip
        extent = _extent(terms)
        exponent = -frexp(extent)[1] // 2 - 10
        stand = opening(terms, exponent)
        return Search(
            terms, self.tolerance, exponent, _gram_bits(extent), stand, (), None, terms.margin
        )

    def ask(self, state: Search, digest_of: Callable[[Query], str]) -> Query:
        """The question of the round that is due: a prox, and phi at its multipliers."""
        return state.question.query(state.after, _broadcast(state.terms, state.multipliers))

    def tell(self, state: Search, release: Total | Choice) -> Search | Solution:
        """One round further, or the end."""
        terms = state.terms
        answer = read(terms, state.multipliers, state.question.products, release)
        if answer is None:
            return _refused("stalled")
        best = state.best.with_answer(terms, answer) if state.best else first(terms, answer)
        if best.contradicts(terms):
            return _refused("stalled")
        idle = 0 if _is_better(best, state.best) else state.idle + 1
        counted = replace(state, best=best, rounds=state.rounds + 1, idle=idle)
        point = image(terms, state.stand, state.exponent, answer.nets, answer.parties,
                      state.inset, answer.query)  # fmt: skip
        if best.is_closed(terms, state.tolerance):
            return _ended(counted, best, point, "certified")
        if counted.rounds >= MOST_ROUNDS:
            return _ended(counted, best, point, "max_rounds")
        if counted.idle >= MOST_IDLE:
            return _ended(counted, best, point, "stalled")
        return _onward(counted, answer, point, self.memory)


def _onward(state: Search, answer: Answer, point: Point, memory: int) -> Search:
    """The next state: balanced, back at the best, or accelerated."""
    own = tuple(product(point, other, answer.parties) for other in (point, *state.points))
    unit = 2.0**-state.gram_bits
    theirs = tuple(float(word) * unit for word in answer.products)
    row = tuple(a + b for a, b in zip(theirs, own, strict=False))
    exponent = _balanced(state, answer, point, theirs[0])
    state = replace(state, inset=_inset(state), gram_bits=_gram_bits_of(row[0]))
    if exponent != state.exponent:
        return _rescaled(state, answer, point, exponent)
    if state.anchor is None or row[0] < state.least:
        state = replace(state, least=row[0], anchor=point)
    elif is_diverging(row[0], state.least):
        return _restarted(state, answer, state.anchor)
    points = (point, *state.points)[: memory + 1]
    gram = _grown(state.gram, row)[: memory + 1]
    gram = tuple(each[: memory + 1] for each in gram)
    shares = coefficients(gram)
    kept = len(shares) if shares != PLAIN else 1
    stand = combined(state.terms, points[:kept], shares, answer.parties)
    keep = min(kept, KEPT)
    return replace(
        state,
        stand=stand,
        shares=shares,
        after=point.query or None,
        points=points[:keep],
        gram=tuple(each[:keep] for each in gram[:keep]),
    )


def is_diverging(squared: float, least: float) -> bool:
    """Whether a residual is so far beyond the best that acceleration starts anew from there."""
    return squared > WORSE * least


def _restarted(state: Search, answer: Answer, point: Point) -> Search:
    """From an image alone, with nothing before it."""
    return replace(
        state,
        stand=combined(state.terms, (point,), PLAIN, answer.parties),
        shares=PLAIN,
        after=point.query or None,
        points=(),
        gram=(),
        anchor=None,
    )


def _rescaled(state: Search, answer: Answer, point: Point, exponent: int) -> Search:
    """From an image, at another weight: u is rescaled so that the multipliers stay."""
    ratio = 2.0 ** (state.exponent - exponent)
    scaled = replace(point, u=tuple(ratio * value for value in point.u))
    return _restarted(replace(state, exponent=exponent), answer, scaled)


def _balanced(state: Search, answer: Answer, point: Point, moved: float) -> int:
    """The exponent at which the x_i move about as fast as they come to agree with z."""
    if state.rounds % BALANCED_EVERY or state.rounds > BALANCED_UNTIL:
        return state.exponent
    terms, apart = state.terms, 0.0
    means = terms.totals(answer.nets) / float(answer.parties)
    for price, mean, z in zip(terms.prices.tolist(), means.tolist(), point.z, strict=True):
        apart += (price * (mean - z)) * (price * (mean - z)) * float(answer.parties)
    if apart > UNBALANCED * moved:
        return min(state.exponent + STEP, EXPONENT_MOST)
    return max(state.exponent - STEP, -EXPONENT_MOST) if moved > UNBALANCED * apart else (
        state.exponent
    )  # fmt: skip


def _grown(gram: Gram, row: tuple[float, ...]) -> Gram:
    """The products with those of a newer residual before them."""
    later = zip(row[1:], gram, strict=True)
    return (row, *((cross, *each) for cross, each in later))


def _inset(state: Search) -> Whole:
    """How far within their limits totals are steered: a part of the tolerance pays for it."""
    if state.rounds % BALANCED_EVERY or state.rounds > 2 * BALANCED_UNTIL:
        return state.inset
    terms, best = state.terms, state.best
    floor = terms.of_words(terms.value_floor)
    worth = max(abs(best.bound) if best else 0, floor)
    share = int(state.tolerance * INSET_SHARE * worth) >> (terms.fine_bits - terms.product_bits)
    rows = zip(state.multipliers, terms.reference, terms.least, terms.most, terms.margin,
               strict=True)  # fmt: skip
    return tuple(
        max(e, min(share // terms.size // max(abs(v - r), r >> 10, 1), (most - least) // 4))
        for v, r, least, most, e in rows
    )


def _extent(terms: Terms) -> float:
    """The square of the least room of a coordinate, in value units."""
    rows = zip(terms.most, terms.least, terms.reference, strict=True)
    room = min((most - least) * r for most, least, r in rows)
    value = max(float(room) * 2.0**-terms.product_bits, 2.0**-terms.value_bits)
    return value * value


def _gram_bits(squared: float) -> int:
    return max(-GRAM_MOST, min(GRAM_MOST, GRAM_BITS - frexp(squared)[1]))


def _gram_bits_of(squared: float) -> int:
    return _gram_bits(max(squared, 2.0**-300))


def _ended(state: Search, best: Best, point: Point, status: SolutionStatus) -> Solution:
    """The best plan of all rounds; without one, an end without a plan."""
    terms, plan = state.terms, best.plan
    if plan is None:
        return _refused(status)
    value, bound = best.rounded(terms)
    mean = terms.totals(point.totals) / float(plan.parties)
    stand = Stand(point.z, point.u, tuple(mean.tolist()))
    return Solution(
        status=status,
        after=plan.query or None,
        multipliers=_broadcast(terms, plan.multipliers),
        points=plan.nets,
        value=value,
        bound=bound,
        shortfall=0,
        warm=WarmAdmm(terms.names, _grids(terms), state.exponent, stand, point.query),
        stands=state.is_warm and state.rounds == 1 and status == "certified",
    )


def _refused(status: SolutionStatus) -> Solution:
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


def _is_better(best: Best, before: Best | None) -> bool:
    if before is None or (best.plan is not None and before.plan is None):
        return True
    return best.bound < before.bound or best.value > before.value


def _grids(terms: Terms) -> tuple[int, ...]:
    return terms.scale_bits, terms.multiplier_bits


def _broadcast(terms: Terms, values: Whole) -> DualVariables:
    return DualVariables(
        scale_bits=terms.multiplier_bits, values=tuple(str(value) for value in values)
    )
