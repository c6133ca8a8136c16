"""A party with many books of one instrument: one problem, one answer, one slot.

Equal keys within a party are its own affair: a residual at its key goes to its books in their own
order. So a roster needs no room for books, and nobody learns how many a party holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput, CapabilityMissing, HeadroomMissing, LayoutMismatch
from covenue.hooks.domains import Acted, Memory, PartyConfig
from covenue.hooks.programs import disclosure, halves
from covenue.numerics.decimals import plain
from covenue.numerics.words import Words, frozen, words
from covenue_contracts.local import Actions, Leg
from covenue_contracts.plan import Member
from covenue_contracts.shared import Capability, Query, Space
from covenue_domain_routing.disclosed import slots_of
from covenue_domain_routing.goals import Side, Terms
from covenue_domain_routing.grid import KeyGrid, key_grid, space
from covenue_domain_routing.ladders import parse_charges
from covenue_domain_routing.settled import settled
from covenue_domain_routing.stacks import Array, Books, Stack, stack


@dataclass(frozen=True, eq=False)
class BatchProblem:
    """Books side by side for one plan; every method is pure and leaves no memory.

    name: of the instrument; book i is called `<name>.<i>` in legs. lot: in base currency. slot: the
    party's, of so many slots. A level's native step is one lot, its tick one price unit.
    """

    space: Space
    side: Side
    name: str
    lot: Fraction
    grid: KeyGrid
    stack: Stack
    slot: int
    slots: int

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Depth at probe keys, and all levels where the coordinator may see everything."""
        return frozenset({"DEPTH", "DISCLOSE"})

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """Lots at keys below each point, then the all-in value of those below the first point.

        Raises CapabilityMissing for another kind of query, LayoutMismatch without points.
        """
        if query.kind == "disclose":
            keys = (self.stack.axis << self.grid.shift) + self.slot
            own = halves(np.concatenate([keys, self.stack.lots]))
            return disclosure(query, self.slots, self.slot, own), memory
        if query.kind != "depth":
            raise CapabilityMissing(
                f"domain 'routing' offers DEPTH and was asked '{query.kind}'",
                "choose a solver that needs DEPTH, such as 'search'",
                field="solver.name",
                value=query.kind,
            )
        if not query.points:
            raise LayoutMismatch("a depth query has no points", "ask at one key at least")
        points = points_of(query.points)
        edges = edges_of(points, self.grid.key_range, self.grid.shift, self.slot)
        order = np.argsort(edges, kind="stable")
        depth = np.empty(len(edges) + 1, dtype=np.int64)
        depth[order] = self.stack.depth(edges[order])
        depth[-1:] = self.stack.value(edges[:1])
        return frozen(depth), memory

    def shares(self, key: int, residual: int) -> Array:
        """Lots of each level under a solution: all below the key, the residual at the key."""
        (step,) = edges_of(
            np.array([key], dtype=np.int64), self.grid.key_range, self.grid.shift, self.slot
        ).tolist()
        own = (step << self.grid.shift) + self.slot == key
        return self.stack.taken(step, residual if own else 0)

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """One immediate-or-cancel leg a book that has a share; planned lots as the only word.

        A leg's limit is the price of its worst level. Raises LayoutMismatch unless the points are
        (key, residual).
        """
        if len(query.points) != 2:
            raise LayoutMismatch(
                f"a commit query has {len(query.points)} points, not (key, residual)",
                "check that the solver is one for keyed offers",
            )
        key, residual = (int(point) for point in query.points)
        shares = self.shares(key, max(0, residual))
        legs = tuple(self._legs(shares))
        planned = words([int(shares.sum(dtype=np.int64))])
        return Actions(plan=plan, unit=plain(self.lot), legs=legs, swaps=()), planned, memory

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """(executed, unknown) lots over an order, as one book's problem counts them."""
        return settled(acted)

    def _legs(self, shares: Array) -> list[Leg]:
        taken = np.flatnonzero(shares)
        books = self.stack.book[taken]
        worst = taken[np.flatnonzero(np.diff(books, append=-1))]
        sums = np.zeros(len(self.stack.starts) - 1, dtype=np.int64)
        np.add.at(sums, books, shares[taken])
        legs = []
        for level in worst.tolist():
            book, step = int(self.stack.book[level]), int(self.stack.axis[level])
            legs.append(
                Leg(
                    side=self.side,
                    instrument=f"{self.name}.{book}",
                    limit_ticks=str(step if self.grid.buying else self.grid.top - step),
                    quantity_steps=str(sums[book]),
                    most_units=str(sums[book]),
                )
            )
        return legs


def batch_of(
    terms: Terms, members: Sequence[Member], member: Member, books: Books, config: PartyConfig
) -> BatchProblem:
    """A party's books of one instrument. Raises BadInput where they do not fit.

    Levels beyond the limit are kept, and never counted: no probe lies beyond it. A level holds no
    more than the plan asks for.
    """
    refuse_charges(config)
    grid = key_grid(terms, members)
    prices, lots = books.checked(2)
    if prices.max(initial=0) > grid.top:
        raise HeadroomMissing(
            "a price of the table is above the highest one that a key can hold",
            "use a smaller price_scale",
            field="domain.goal.price_scale",
            value=str(terms.price_scale),
        )
    count, depth = prices.shape
    price = prices.reshape(-1)
    return BatchProblem(
        space=space(members),
        side=terms.side,
        name=terms.instrument or "asset",
        lot=terms.lot,
        grid=grid,
        stack=stack(
            axis=price if grid.buying else grid.top - price,
            lots=np.minimum(lots.reshape(-1), terms.wanted),
            starts=np.arange(count + 1, dtype=np.int64) * depth,
            price=price,
            most=grid.most_value,
            scale=terms.price_scale,
        ),
        slot=member.slot,
        slots=slots_of(members),
    )


def refuse_charges(config: PartyConfig) -> None:
    """Refuse a fee or a basis beside prices that have them already."""
    charges = parse_charges(config)
    if charges.fee or charges.basis:
        raise BadInput(
            "prices of a table of books are all-in, and the party has charges",
            "add fee and basis to the prices, and leave them out of the configuration",
            field="party.config.fee_bps" if charges.fee else "party.config.basis_bps",
        )


def points_of(points: Sequence[str]) -> NDArray[np.int64]:
    """Points as int64; what lies beyond 64 bits is as good as their end."""
    values = list(map(int, points))
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return np.array([min(max(v, -(2**63)), 2**63 - 1) for v in values], dtype=np.int64)


def edges_of(keys: Array, within: tuple[int, int | Array], shift: int, tie: int | Array) -> Array:
    """Steps such that an own key is below `key` just where its step is below the edge."""
    low, high = within
    inside: Array = np.minimum(np.maximum(keys, low), high)
    return (inside - tie + ((1 << shift) - 1)) >> shift
