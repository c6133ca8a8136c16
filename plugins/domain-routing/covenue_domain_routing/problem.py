"""One venue's side of a routing plan: depth answers, native orders, and what they came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from covenue.errors import CapabilityMissing, LayoutMismatch
from covenue.hooks.domains import Acted, Memory, PartyConfig
from covenue.hooks.programs import disclosure
from covenue.numerics.decimals import plain
from covenue.numerics.words import Words, frozen, words
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Actions, Leg
from covenue_contracts.plan import Member
from covenue_contracts.shared import Capability, Query, Space
from covenue_domain_routing.books import book_of
from covenue_domain_routing.disclosed import disclose, slots_of
from covenue_domain_routing.goals import Side, Terms
from covenue_domain_routing.grid import key_grid, space
from covenue_domain_routing.ladders import Ladder, build_ladder, parse_charges
from covenue_domain_routing.settled import settled


@dataclass(frozen=True)
class NativeOrder:
    """A share of a plan in native steps. planned: lots that it can fill, at most the share."""

    steps: int
    planned: int
    worst: int


@dataclass(frozen=True, eq=False)
class RoutingProblem:
    """A venue's ladder for one plan; every method is pure and leaves no memory.

    lot: in base currency. ladder: built from the pinned book, the party's charges and the goal.
    slot: the party's, of so many slots.
    """

    space: Space
    side: Side
    lot: Fraction
    instrument: Instrument
    ladder: Ladder
    slot: int
    slots: int

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Depth at probe keys, and the whole ladder where the coordinator may see everything."""
        return frozenset({"DEPTH", "DISCLOSE"})

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """Lots at keys below each point, then the all-in value of those below the first point.

        Raises CapabilityMissing for another kind of query, LayoutMismatch without points.
        """
        if query.kind == "disclose":
            return disclosure(query, self.slots, self.slot, disclose(self.ladder)), memory
        if query.kind != "depth":
            raise CapabilityMissing(
                f"domain 'routing' offers DEPTH and was asked '{query.kind}'",
                "choose a solver that needs DEPTH, such as 'search'",
                field="solver.name",
                value=query.kind,
            )
        if not query.points:
            raise LayoutMismatch("a depth query has no points", "ask at one key at least")
        places = np.searchsorted(self.ladder.keys, _keys(query.points), side="left")
        value = self.ladder.value_before[places[:1]]
        return frozen(np.concatenate([self.ladder.lots_before[places], value])), memory

    def shares(self, key: int, residual: int) -> tuple[int, ...]:
        """Lots of each level under a solution: all below the key, the residual at the key."""
        taken = []
        for level, lots in zip(self.ladder.keys.tolist(), self.ladder.lots.tolist(), strict=True):
            if level < key:
                taken.append(lots)
            elif level == key:
                taken.append(min(lots, residual))
                residual -= taken[-1]
            else:
                break
        return tuple(taken)

    def native(self, shares: Sequence[int]) -> NativeOrder:
        """The largest native order within the shares of the first levels, rounded down.

        No order is made that is below the instrument's minimum.
        """
        if self.instrument.payoff == "linear":
            order = self._linear(shares)
        else:
            order = self._inverse(shares)
        smallest = Fraction(self.instrument.minimum) / Fraction(self.instrument.step)
        return order if order.planned > 0 and order.steps >= smallest else NativeOrder(0, 0, 0)

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """One immediate-or-cancel leg for this venue's share; planned lots as the only word.

        The actions count in lots of the goal. The leg's limit is the native price of its worst
        level. Raises LayoutMismatch unless the points are (key, residual).
        """
        if len(query.points) != 2:
            raise LayoutMismatch(
                f"a commit query has {len(query.points)} points, not (key, residual)",
                "check that the solver is one for keyed offers",
            )
        key, residual = (int(point) for point in query.points)
        order = self.native(self.shares(key, max(0, residual)))
        leg = Leg(
            side=self.side,
            instrument=self.instrument.canonical,
            limit_ticks=str(order.worst),
            quantity_steps=str(order.steps),
            most_units=str(order.planned),
        )
        legs = (leg,) if order.planned else ()
        actions = Actions(plan=plan, unit=plain(self.lot), legs=legs, swaps=())
        return actions, words([order.planned]), memory

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """(executed, unknown) lots over an order; see `settled`."""
        return settled(acted)

    def _linear(self, shares: Sequence[int]) -> NativeOrder:
        """Steps of a constant amount of base currency: the shares are rounded together."""
        step = Fraction(self.instrument.step) * Fraction(self.instrument.multiplier)
        steps = int(sum(shares) * self.lot // step)
        planned = int(steps * step // self.lot)
        return NativeOrder(steps, planned, self._worst(shares, planned))

    def _inverse(self, shares: Sequence[int]) -> NativeOrder:
        """Contracts of a constant amount of quote currency: each level at its own price."""
        contract = Fraction(self.instrument.step) * Fraction(self.instrument.multiplier)
        tick = Fraction(self.instrument.tick)
        steps, planned = 0, 0
        for level, share in enumerate(shares):
            resting, ticks = int(self.ladder.steps[level]), int(self.ladder.ticks[level])
            base = contract / (ticks * tick)
            whole = self.instrument.base_lots(resting, ticks, self.lot)
            taken = resting if share == whole else int(share * self.lot // base)
            steps += taken
            planned += self.instrument.base_lots(taken, ticks, self.lot)
        return NativeOrder(steps, planned, self._worst(shares, planned))

    def _worst(self, shares: Sequence[int], planned: int) -> int:
        """Native price of the level that the last planned lot comes from."""
        reached = 0
        for level, share in enumerate(shares):
            reached += share
            if reached >= planned > 0:
                return int(self.ladder.ticks[level])
        return 0


def problem_of(
    terms: Terms, members: Sequence[Member], member: Member, state: Any, config: PartyConfig
) -> RoutingProblem:
    """One venue's problem from parsed terms."""
    book = book_of(state, terms, member)
    grid = key_grid(terms, members)
    ladder = build_ladder(book, terms, grid, parse_charges(config), member.slot)
    return RoutingProblem(
        space=space(members),
        side=terms.side,
        lot=terms.lot,
        instrument=book.instrument,
        ladder=ladder,
        slot=member.slot,
        slots=slots_of(members),
    )


def _keys(points: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Probe keys; what lies beyond 64 bits is as good as the end of them."""
    return np.array([min(max(int(p), -(2**63)), 2**63 - 1) for p in points], dtype=np.int64)
