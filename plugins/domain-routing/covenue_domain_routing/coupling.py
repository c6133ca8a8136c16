"""The public side of a routing plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from covenue.errors import CapabilityMissing
from covenue.hooks.programs import Optimum, Program, disclosure_width
from covenue.numerics.words import Words, integers
from covenue_contracts.plan import Goal, Member
from covenue_contracts.shared import Query, Space
from covenue_domain_routing import disclosed
from covenue_domain_routing.goals import Terms, read_terms
from covenue_domain_routing.grid import KeyGrid, key_grid, space


@dataclass(frozen=True)
class RoutingCoupling:
    """What ties the venues: their fills add up to the quantity of this plan.

    A KeyedCoupling (hooks/solvers.py) and a DisclosedCoupling (hooks/programs.py). Raises BadInput
    when the goal does not fit the grid.
    """

    goal: Goal
    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        """Refuse a goal that cannot be summed before anything is asked."""
        _ = self.grid

    @cached_property
    def terms(self) -> Terms:
        """The goal's terms, parsed."""
        return read_terms(self.goal)

    @cached_property
    def grid(self) -> KeyGrid:
        """How keys and prices correspond."""
        return key_grid(self.terms, self.members)

    @property
    def space(self) -> Space:
        """Lots and value, exact."""
        return space(self.members)

    @property
    def key_range(self) -> tuple[int, int]:
        """(first, end) of the keys."""
        return self.grid.key_range

    @property
    def key_shift(self) -> int:
        """Bits that hold a slot."""
        return self.grid.shift

    @property
    def wanted(self) -> int:
        """Lots that this plan asks for."""
        return self.terms.wanted

    @property
    def least(self) -> int:
        """Fewest lots of a plan; what is left at the end may be fewer."""
        return self.terms.minimum

    def unit_value(self, key: int) -> int:
        """The all-in price of a key: what a lot costs, or brings when selling."""
        return self.grid.price_of(key)

    def width(self, query: Query) -> int:
        """Depth: a word a probe and one value; commit: planned lots; settle: its three words.

        Disclose: a word a slot, then the concatenation.
        """
        if query.kind == "depth":
            return len(query.points) + 1
        if query.kind in {"commit", "settle"}:
            return 1 if query.kind == "commit" else 3
        if query.kind == "disclose":
            return disclosure_width(query, self.slots)
        raise CapabilityMissing(
            f"domain 'routing' answers no query of kind '{query.kind}'",
            "choose a solver that needs DEPTH, such as 'search'",
            field="solver.name",
            value=query.kind,
        )

    @property
    def slots(self) -> int:
        """One more than the greatest slot."""
        return disclosed.slots_of(self.members)

    def program(
        self, parts: Sequence[Words], slack: Sequence[int], near: Optimum | None
    ) -> Program:
        """Least all-in cost over all ladders; whole lots need no slack."""
        return disclosed.program(parts, self.grid, self.wanted, self.least)

    def proposals(self, parts: Sequence[Words], optimum: Optimum) -> tuple[Query, ...]:
        """Depth at the marginal key."""
        return disclosed.proposals(parts, self.grid, self.wanted, optimum)

    def admits(self, total: Words, goal: Goal) -> bool:
        """Some lots, no more than this plan asks for, and no fewer than the minimum."""
        (lots,) = integers(total)
        terms = read_terms(goal)
        return max(1, min(terms.minimum, terms.wanted)) <= lots <= terms.wanted

    def left(self, settled: Words, reserved: Words, committed: Words) -> Goal:
        """The whole quantity less what is settled, in doubt or committed; never negative."""
        taken = sum(integers(settled)) + sum(integers(reserved)) + sum(integers(committed))
        lots = max(0, self.terms.quantity - taken)
        return self.goal.model_copy(update={"remaining": (str(lots),)})


def coupling(goal: Goal, members: Sequence[Member]) -> RoutingCoupling:
    """The coupling of one plan; the order of members does not matter."""
    return RoutingCoupling(goal, tuple(sorted(members, key=lambda member: member.did)))
