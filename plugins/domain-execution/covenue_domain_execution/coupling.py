"""The public side of an execution plan: all lots are placed, near the path, by all together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import accumulate

from covenue.errors import CapabilityMissing
from covenue.hooks.programs import Optimum, Program, disclosure_width
from covenue.hooks.prox import prox_width
from covenue.hooks.solvers import Tracking
from covenue.numerics.words import RING_HALF, Words, integers
from covenue_contracts.plan import Goal, Member
from covenue_contracts.shared import Query, Space
from covenue_domain_execution import disclosed
from covenue_domain_execution.goals import BPS, GRID, MULTIPLIER_BITS, Terms, read_terms

SIGNAL = "slice-amounts"
ROUNDING_WORDS = 4096


def space(terms: Terms, members: int) -> Space:
    """One coordinate a slice: lots that are traded in it, at all venues."""
    return Space(
        signal=SIGNAL,
        names=tuple(f"slice-{number}" for number in range(terms.size)),
        units=("lots",) * terms.size,
        scale_bits=terms.scale_bits,
        bound=str((RING_HALF - 1) // max(1, members)),
    )


def tie_bits(members: Sequence[Member]) -> int:
    """Bits that hold the slot of any member."""
    return max(member.slot for member in members).bit_length()


def slots_of(members: Sequence[Member]) -> int:
    """Slots of a roster: one more than the greatest."""
    return max(member.slot for member in members) + 1


def triangle(size: int) -> int:
    """Words of a packed lower triangle."""
    return size * (size + 1) // 2


@dataclass(frozen=True)
class ExecutionCoupling:
    """A DualCoupling with a `tracking` (hooks/solvers.py): every lot is placed, near the path.

    Also a DisclosedCoupling (hooks/programs.py).
    Prices are absolute: r is the arrival price in every slice, so r'y is the notional at arrival,
    and the value of a plan is what it costs beyond that, below zero. Raises BadInput when the
    goal's terms do not fit.
    """

    goal: Goal
    members: tuple[Member, ...]
    terms: Terms = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the terms once."""
        object.__setattr__(self, "terms", read_terms(self.goal))

    @cached_property
    def space(self) -> Space:
        """Lots by slice."""
        return space(self.terms, len(self.members))

    @property
    def reference(self) -> tuple[int, ...]:
        """The arrival price."""
        return (self.terms.price,) * self.terms.size

    @property
    def multiplier_bits(self) -> int:
        """The grid of prices."""
        return MULTIPLIER_BITS

    @property
    def multiplier_range(self) -> tuple[tuple[int, int], ...]:
        """As far from the arrival price as the band reaches."""
        price, reach = self.terms.price, self.terms.reach
        return ((price - reach, price + reach),) * self.terms.size

    @property
    def least(self) -> tuple[int, ...]:
        """Nothing; it does not bind."""
        return (0,) * self.terms.size

    @property
    def most(self) -> tuple[int, ...]:
        """All that is wanted, in any slice; it does not bind."""
        return (self.terms.wanted << self.terms.scale_bits,) * self.terms.size

    @property
    def margin(self) -> tuple[int, ...]:
        """Words that rounding takes from a sum: one an amount, for some thousand venues."""
        return (min(ROUNDING_WORDS, 1 << self.terms.scale_bits),) * self.terms.size

    @property
    def value_bits(self) -> int:
        """As the goal says."""
        return self.terms.value_bits

    @property
    def value_floor(self) -> int:
        """As the goal says: a part of the notional."""
        return self.terms.floor

    @property
    def slope_bits(self) -> int:
        """As the goal says."""
        return self.terms.slope_bits

    @property
    def smoothing(self) -> tuple[int, ...]:
        """Answers do not jump."""
        return ()

    @cached_property
    def tracking(self) -> Tracking:
        """The cumulative target of what is left, and what leaving it costs."""
        terms = self.terms
        worst = terms.tracking_bps * Fraction(terms.price, BPS * GRID)
        return Tracking(
            path=tuple(lots << terms.scale_bits for lots in accumulate(terms.remaining)),
            weight=worst / terms.quantity,
            lot=1 << terms.scale_bits,
            tie_bits=tie_bits(self.members),
        )

    def width(self, query: Query) -> int:
        """Respond: value and amounts; curvature: slopes as well; certify: value, amounts, cost.

        Prox: see `hooks/prox.py`. Recover: a word a probe and one more. Commit: lots by slice;
        settle: its three parts.
        """
        size = self.terms.size
        if query.kind == "prox":
            return prox_width(query, size)
        if query.kind == "disclose":
            return disclosure_width(query, self.slots)
        widths = {
            "respond": 1 + size,
            "curvature": 1 + size + triangle(size),
            "recover": len(query.points) + 1,
            "certify": 2 + size,
            "commit": size,
            "settle": 3 * size,
        }
        if query.kind not in widths:
            raise unanswered(query.kind)
        return widths[query.kind]

    @property
    def slots(self) -> int:
        """Slots of the roster: one more than the greatest."""
        return slots_of(self.members)

    def program(
        self, parts: Sequence[Words], slack: Sequence[int], near: Optimum | None
    ) -> Program:
        """All venues in one quadratic program; neither slack nor an optimum nearby changes it."""
        return disclosed.program(parts, self.terms, self.tracking)

    def proposals(self, parts: Sequence[Words], optimum: Optimum) -> tuple[Query, ...]:
        """The plan of whole lots at the multipliers of the optimum."""
        return disclosed.proposals(parts, self.terms, self.tracking, optimum)

    def admits(self, total: Words, goal: Goal) -> bool:
        """Exactly the lots that are wanted, over all slices; none of them negative."""
        lots = integers(total)
        return min(lots) >= 0 and sum(lots) == read_terms(goal).wanted > 0

    def left(self, settled: Words, reserved: Words, committed: Words) -> Goal:
        """What is settled, in doubt or committed is gone, whatever its slice; the rest rolls on.

        What was not filled stays on the path where it was: the next plan is behind by it.
        """
        taken = sum(map(sum, map(integers, (settled, reserved, committed))))
        remaining = tuple(str(lots) for lots in self.terms.rest(taken))
        return self.goal.model_copy(update={"remaining": remaining})


def coupling(goal: Goal, members: Sequence[Member]) -> ExecutionCoupling:
    """The coupling of one plan; the order of members does not matter."""
    return ExecutionCoupling(goal, tuple(sorted(members, key=lambda member: member.did)))


def continues(order: Goal, plan: Goal) -> bool:
    """Whether a plan's goal is the order's terms, and the rest of its path after some lots."""
    if plan.model_copy(update={"remaining": order.remaining}) != order:
        return False
    terms = read_terms(plan)
    return terms.wanted <= terms.quantity and terms.remaining == terms.rest(
        terms.quantity - terms.wanted
    )


def unanswered(kind: str) -> CapabilityMissing:
    """That no query of this kind is answered."""
    return CapabilityMissing(
        f"domain 'execution' answers no query of kind '{kind}'",
        "choose a solver for tracked paths, such as 'dual'",
        field="solver.name",
        value=kind,
    )
