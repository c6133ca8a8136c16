"""The public side of an arbitrage plan: no more is owed in the end, or taken, than allowed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from covenue.errors import CapabilityMissing
from covenue.hooks.programs import Optimum, Program, disclosure_width
from covenue.hooks.prox import prox_width
from covenue.numerics.words import RING_HALF, Words, integers
from covenue_contracts.plan import Goal, Member
from covenue_contracts.shared import Query, Space
from covenue_domain_arbitrage import disclosed
from covenue_domain_arbitrage.goals import GREATEST_BOUND, MULTIPLIER_BITS, Terms, read_terms

SIGNAL = "net-amounts"


def space(terms: Terms, members: int) -> Space:
    """One coordinate an asset: its net amount."""
    return Space(
        signal=SIGNAL,
        names=terms.assets,
        units=terms.assets,
        scale_bits=terms.scale_bits,
        bound=str((RING_HALF - 1) // max(1, members)),
    )


def triangle(size: int) -> int:
    """Words of a packed lower triangle."""
    return size * (size + 1) // 2


@dataclass(frozen=True)
class ArbitrageCoupling:
    """A DualCoupling (hooks/solvers.py): max r'y over net amounts y, least <= y <= remaining.

    Also a DisclosedCoupling (hooks/programs.py). slots: one more than the greatest of the roster.
    r: the public references. What is taken is a profit at these references; no asset may be owed
    in the end, but for what the goal allows (`owed`). Raises BadInput when the goal's terms do not
    fit.
    """

    goal: Goal
    members: int
    slots: int
    terms: Terms = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the terms once."""
        object.__setattr__(self, "terms", read_terms(self.goal))

    @cached_property
    def space(self) -> Space:
        """Net amounts by asset."""
        return space(self.terms, self.members)

    @property
    def reference(self) -> tuple[int, ...]:
        """The references."""
        return self.terms.references

    @property
    def multiplier_bits(self) -> int:
        """The grid of references and multipliers."""
        return MULTIPLIER_BITS

    @property
    def multiplier_range(self) -> tuple[tuple[int, int], ...]:
        """Within the band around the references."""
        return self.terms.ranges

    @property
    def least(self) -> tuple[int, ...]:
        """What has to be brought back; without a debt, minus what may be owed."""
        return self.terms.least

    @cached_property
    def most(self) -> tuple[int, ...]:
        """What may still be taken."""
        pairs = zip(self.terms.remaining, self.terms.least, strict=True)
        return tuple(max(most, least) for most, least in pairs)

    @cached_property
    def margin(self) -> tuple[int, ...]:
        """What covers rounding, at most half of what lies between least and most."""
        rows = zip(self.terms.margin, self.least, self.most, strict=True)
        return tuple(min(margin, (most - least) // 2) for margin, least, most in rows)

    @property
    def value_bits(self) -> int:
        """Scale of values."""
        return self.terms.value_bits

    @property
    def value_floor(self) -> int:
        """What is worth planning at all."""
        return self.terms.floor

    @property
    def slope_bits(self) -> int:
        """Scale of slopes."""
        return self.terms.slope_bits

    @property
    def smoothing(self) -> tuple[int, ...]:
        """Widths where a party's answer may jump."""
        return self.terms.widths if self.terms.jumps else ()

    @property
    def tracking(self) -> None:
        """No path: only bounds."""
        return

    def width(self, query: Query) -> int:
        """Respond: value and net amounts; curvature: slopes as well; commit: net amounts.

        Prox: see `hooks/prox.py`. Disclose: a word a slot, then the concatenation.
        """
        if query.kind == "disclose":
            return disclosure_width(query, self.slots)
        size = len(self.terms.assets)
        if query.kind == "prox":
            return prox_width(query, size)
        widths = {
            "respond": 1 + size,
            "curvature": 1 + size + triangle(size),
            "commit": size,
            "settle": 3 * size,
        }
        if query.kind not in widths:
            raise CapabilityMissing(
                f"domain 'arbitrage' answers no query of kind '{query.kind}'",
                "choose a solver that needs RESPOND or CURVATURE, such as 'dual'",
                field="solver.name",
                value=query.kind,
            )
        return widths[query.kind]

    def program(
        self, parts: Sequence[Words], slack: Sequence[int], near: Optimum | None
    ) -> Program:
        """All pools and books in one convex program."""
        return disclosed.program(parts, self.terms, (self.least, self.most), slack, near)

    def proposals(self, parts: Sequence[Words], optimum: Optimum) -> tuple[Query, ...]:
        """The multipliers of the optimum, and with books such as take levels in the same parts."""
        return disclosed.proposals(parts, self.terms, self.smoothing, optimum)

    def admits(self, total: Words, goal: Goal) -> bool:
        """Something is done, no more stays owed than allowed, no bound is passed."""
        terms = read_terms(goal)
        amounts = integers(total)
        rows = zip(amounts, terms.least, terms.remaining, strict=True)
        return any(amounts) and all(low <= a <= max(low, high) for a, low, high in rows)

    def left(self, settled: Words, reserved: Words, committed: Words) -> Goal:
        """What may still be taken, and what half-done legs left to bring back.

        What is in doubt or committed counts where it hurts: against the bounds when it would be
        taken, as a debt when it would be owed. Where nothing is owed, what was taken is kept;
        where something is, the next plan may give what is surely held for it. Owed is what the
        position is short of beyond the goal's allowance.
        """
        rows = list(zip(*map(integers, (settled, reserved, committed)), strict=True))
        most = [sure + max(0, doubt) + max(0, planned) for sure, doubt, planned in rows]
        held = [sure + min(0, doubt) + min(0, planned) for sure, doubt, planned in rows]
        allowed = self.terms.owed
        owes = any(amount < -owed for amount, owed in zip(held, allowed, strict=True))
        kept = held if owes else [min(0, amount) for amount in held]
        pairs = zip(self.terms.most, most, strict=True)
        return self.goal.model_copy(
            update={
                "remaining": tuple(str(max(0, bound - amount)) for bound, amount in pairs),
                "terms": {
                    **self.goal.terms,
                    "least": tuple(map(_least, kept, allowed)),
                },
            }
        )


def _least(held: int, owed: int) -> str:
    """The least total that leaves a position no further below zero than allowed."""
    return str(-GREATEST_BOUND if owed == GREATEST_BOUND else max(-GREATEST_BOUND, -owed - held))


def coupling(goal: Goal, members: Sequence[Member]) -> ArbitrageCoupling:
    """The coupling of one plan; the order of members does not matter."""
    return ArbitrageCoupling(goal, len(members), slots_of(members))


def slots_of(members: Sequence[Member]) -> int:
    """Slots of a roster: one more than the greatest."""
    return max((member.slot for member in members), default=0) + 1


def continues(order: Goal, plan: Goal) -> bool:
    """Whether a plan's goal is the order's, but for `least` and `remaining`.

    What remains can exceed the bound by what is short: that has to be brought back first.
    """
    terms = {**plan.terms, "least": order.terms.get("least")}
    same = plan.model_copy(update={"remaining": order.remaining, "terms": terms}) == order
    if not same or len(plan.remaining) != len(order.remaining):
        return False
    rows = zip(plan.remaining, order.remaining, read_terms(plan).least, read_terms(order).least,
               strict=True)  # fmt: skip
    return all(int(left) <= int(most) + max(0, now - then) for left, most, now, then in rows)
