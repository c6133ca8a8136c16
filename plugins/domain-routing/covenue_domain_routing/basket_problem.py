"""One participant's side of a basket: depth, spend within cuts, orders level by level.

Each level has a leg of its own, limited to its own price. Whatever part of the legs fills, and at
whatever better prices, it costs no more than what was committed: no set of partial fills can take
the order over its budget.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import ceil
from typing import Any

import numpy as np

from covenue.errors import BadInput, CapabilityMissing, HeadroomMissing
from covenue.hooks.domains import Acted, Memory, PartyConfig
from covenue.hooks.programs import disclosure
from covenue.hooks.venues import BookState, Snapshot
from covenue.numerics.decimals import plain
from covenue.numerics.words import Words, frozen, words
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Actions, Fill, Leg
from covenue_contracts.plan import Member
from covenue_contracts.shared import Capability, Query, Space
from covenue_domain_routing.basket_coupling import (
    BasketGrid,
    BasketPlan,
    basket_grid,
    basket_space,
    read_plan,
    read_query,
    refused_kind,
)
from covenue_domain_routing.basket_goals import HIGHEST_BASKET_PRICE, BasketTerms
from covenue_domain_routing.batch import refuse_charges
from covenue_domain_routing.books import book_of, taken_side
from covenue_domain_routing.disclosed import slots_of
from covenue_domain_routing.disclosed_basket import disclose_basket
from covenue_domain_routing.goals import ROOM, Terms
from covenue_domain_routing.ladders import Charges, all_in, lots_of, parse_charges
from covenue_domain_routing.racks import Rack, racked
from covenue_domain_routing.stacks import Array, Books, Stack, headroom, stack

NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Traded:
    """How a leg's instrument counts: its place in the basket, lots a step, price units a tick."""

    instrument: int
    lots: Fraction
    price: Fraction

    def spend(self, fill: Fill) -> Fraction:
        """What a fill cost, all-in, its price rounded up."""
        return ceil(int(fill.price_ticks) * self.price) * int(fill.quantity_steps) * self.lots


@dataclass(frozen=True, eq=False)
class Shelf:
    """One instrument's books.

    ticks: native price of each level of the stack. names: what legs call each book. least: fewest
    steps of an order.
    """

    stack: Stack
    ticks: Array
    names: tuple[str, ...]
    least: int


@dataclass(frozen=True, eq=False)
class BasketProblem:
    """A participant's shelves for one plan, one an instrument; pure, and without memory.

    rack: all shelves, end to end. lot: in base currency. traded: by the name that legs give a
    book. slot: the party's, of so many slots.
    """

    space: Space
    lot: Fraction
    grid: BasketGrid
    shelves: tuple[Shelf, ...]
    rack: Rack
    traded: Mapping[str, Traded]
    slot: int
    slots: int

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Depth and spend at probe keys, and all levels where the coordinator may see them."""
        return frozenset({"DEPTH", "DISCLOSE"})

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """Words as a BasketCoupling has them.

        Raises CapabilityMissing for another kind of query, LayoutMismatch for other points.
        """
        if query.kind == "disclose":
            own = disclose_basket([shelf.stack for shelf in self.shelves])
            return disclosure(query, self.slots, self.slot, own), memory
        if query.kind != "depth":
            raise refused_kind(query)
        asked = read_query(query, len(self.shelves))
        parts = [self._depths(asked.cuts)]
        if len(asked.ratio):
            parts += self._within_cuts(asked.chosen, asked.ratio)
        return frozen(np.concatenate(parts)), memory

    def shares(self, plan: BasketPlan) -> tuple[Array, ...]:
        """Lots of every level of each instrument under a solution."""
        return tuple(self._shares(k, plan) for k in range(len(self.shelves)))

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """A leg for each level that has a share; planned lots by instrument, then their most spend.

        A level's share is rounded down to native steps; what that leaves is for the next plan.
        Raises LayoutMismatch unless the points are those of a basket's solution.
        """
        solution = read_plan(query.points, len(self.shelves))
        legs: list[Leg] = []
        planned = [0] * (len(self.shelves) + 1)
        for k, shares in enumerate(self.shares(solution)):
            for leg, spend in self._legs(self.shelves[k], shares):
                legs.append(leg)
                planned[k] += int(leg.most_units)
                planned[-1] += spend
        actions = Actions(plan=plan, unit=plain(self.lot), legs=tuple(legs), swaps=())
        return actions, words(planned), memory

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """(executed, unknown) over an order: lots by instrument, then spend.

        A leg's spend is that of its fills at their own prices, rounded up once; so it is never more
        than the leg was planned to cost. What is not known counts up to what was planned.
        """
        size = len(self.shelves) + 1
        executed, unknown = [0] * size, [0] * size
        for deed in acted:
            done = self._done(deed)
            executed = [a + b for a, b in zip(executed, done, strict=True)]
            reports = deed.outcomes
            if reports is None or any(report.status == "unknown" for report in reports):
                planned = map(int, deed.planned)
                open_ = [max(0, a - b) for a, b in zip(planned, done, strict=True)]
                unknown = [a + b for a, b in zip(unknown, open_, strict=True)]
        return words(executed), words(unknown)

    @property
    def _instruments(self) -> Array:
        return np.arange(len(self.shelves), dtype=np.int64)

    def _depths(self, cuts: Sequence[Array]) -> Array:
        """Lots at each instrument's keys below its own ones."""
        ends = np.array(list(accumulate(map(len, cuts), initial=0)), dtype=np.int64)
        of = np.repeat(self._instruments, np.diff(ends))
        edges = self.grid.cut_edges(np.concatenate(cuts), of, self.slot)
        order = np.lexsort((edges, of))
        depths = np.empty(len(edges), dtype=np.int64)
        depths[order] = self.rack.depth(edges[order], ends)
        return depths

    def _within_cuts(self, chosen: Sequence[int], keys: Array) -> tuple[Array, Array]:
        """Spend within the cuts at ratio keys below each, and units of each below the first."""
        price, at = (each[:, None] for each in self._cuts(chosen))
        order = np.argsort(keys, kind="stable")
        edges, ends = self._ratio_edges(keys[order])
        below = self.rack.value(np.minimum(edges, price).reshape(-1), ends).reshape(edges.shape)
        spend = np.empty(len(keys), dtype=np.int64)
        spend[order] = (below + np.where(edges > price, at * price, 0)).sum(axis=0, dtype=np.int64)
        edges, ends = self._ratio_edges(keys[:1])
        units = self.rack.depth(np.minimum(edges, price).reshape(-1), ends)
        return spend, units + np.where(edges > price, at, 0).reshape(-1)

    def _ratio_edges(self, keys: Array) -> tuple[Array, Array]:
        """Edges int64[m, K] of ratio keys, and where each instrument's begin and end in a row."""
        edges = self.grid.ratio_edges(keys, self._instruments[:, None], self.slot)
        return edges, np.arange(len(edges) + 1, dtype=np.int64) * len(keys)

    def _cuts(self, chosen: Sequence[int]) -> tuple[Array, Array]:
        """(price, lots at it) of each cut: everything cheaper; lots are 0 at another's key."""
        keys, residual = np.array(chosen, dtype=np.int64).reshape(-1, 2).T
        price = self.grid.cut_edges(keys, self._instruments, self.slot)
        own = (price << self.grid.cut_shift) + self.slot == keys
        both = np.stack([price, price + 1], axis=1).reshape(-1)
        low, high = self.rack.depth(both, 2 * np.arange(len(keys) + 1)).reshape(-1, 2).T
        return price, np.minimum(np.where(own, np.maximum(residual, 0), 0), high - low)

    def _shares(self, k: int, plan: BasketPlan) -> Array:
        """Within the cut: all below the ratio key, and the plan's units at it."""
        price, at_price = (int(each[k]) for each in self._cuts(plan.chosen))
        held = self.shelves[k].stack
        within = held.taken(price, at_price)
        key = np.array([plan.key], dtype=np.int64)
        edge = int(self._ratio_edges(key)[0][k, 0])
        shares = np.where(held.axis < edge, within, 0)
        if plan.units and self.grid.offer_at(plan.key) == (k, edge) and self._is_own(plan.key):
            at = np.flatnonzero(held.axis == edge)
            reached = np.minimum(np.cumsum(within[at]), plan.units)
            shares[at] = np.diff(reached, prepend=0)
        return shares

    def _is_own(self, key: int) -> bool:
        tie = key & ((1 << self.grid.ratio_shift) - 1)
        return tie // len(self.shelves) == self.slot

    def _legs(self, shelf: Shelf, shares: Array) -> Iterator[tuple[Leg, int]]:
        """Each level's order, and the most that it can cost."""
        for level in np.flatnonzero(shares).tolist():
            name = shelf.names[int(shelf.stack.book[level])]
            traded = self.traded[name]
            steps = int(int(shares[level]) // traded.lots)
            planned = ceil(steps * traded.lots)
            if steps >= max(1, shelf.least):
                price = int(shelf.stack.axis[level])
                yield (
                    Leg(
                        side="buy",
                        instrument=name,
                        limit_ticks=str(shelf.ticks[level]),
                        quantity_steps=str(steps),
                        most_units=str(planned),
                    ),
                    planned * price,
                )

    def _done(self, deed: Acted) -> list[int]:
        """Lots by instrument and spend that were reported."""
        done = [0] * (len(self.shelves) + 1)
        by_leg: dict[int, list[Fill]] = {}
        for report in deed.outcomes or ():
            for fill in report.fills:
                by_leg.setdefault(fill.leg, []).append(fill)
        for number, fills in by_leg.items():
            traded = self.traded[deed.actions.legs[number].instrument]
            steps = sum(int(fill.quantity_steps) for fill in fills)
            done[traded.instrument] += ceil(steps * traded.lots)
            done[-1] += ceil(sum(map(traded.spend, fills), Fraction(0)))
        return done


@dataclass(frozen=True)
class _Shop:
    """What a problem is built from, beside the state."""

    terms: BasketTerms
    member: Member
    charges: Charges
    most: int

    def of_book(self, k: int, book: BookState) -> tuple[Shelf, dict[str, Traded]]:
        """One venue's book of instrument k."""
        instrument = book.instrument
        if instrument.payoff != "linear":
            raise CapabilityMissing(
                "a basket takes linear contracts only: the base amount of an inverse one depends "
                "on the price that it fills at, and so does what it costs",
                "give the party a linear instrument",
                field="state",
            )
        single = _as_single(self.terms, k)
        side = taken_side(book, single)
        ticks, steps = side[:, 0], side[:, 1]
        price = np.array(_capped(all_in(ticks, instrument, single, self.charges)), dtype=np.int64)
        lots = lots_of(steps, ticks, instrument, self.terms.lot)
        traded = _traded(self.terms, k, instrument, self.charges)
        least = _least_steps(instrument)
        kept = np.array(
            [i for i, n in enumerate(lots) if n // traded.lots >= least], dtype=np.int64
        )
        whole = np.minimum(np.array([lots[i] for i in kept], dtype=np.int64), self.terms.left[k])
        if self.terms.whole_steps and self.terms.left[k] // traded.lots < least:
            kept, whole = kept[:0], whole[:0]
        price = price[kept]
        held = self._shelf(k, price, whole, np.array([0, len(kept)], dtype=np.int64))
        return (
            Shelf(held, ticks[kept], (instrument.canonical,), least),
            {instrument.canonical: traded},
        )

    def of_books(self, k: int, prices: Array, lots: Array) -> tuple[Shelf, dict[str, Traded]]:
        """A table's books of instrument k: int64[n, L]; a step is a lot, a tick a price unit."""
        _capped([int(prices.max(initial=0))])
        count, depth = prices.shape
        name = self.terms.instruments[k]
        starts = np.arange(count + 1, dtype=np.int64) * depth
        held = self._shelf(
            k, prices.reshape(-1), np.minimum(lots, self.terms.left[k]).reshape(-1), starts
        )
        names = tuple(f"{name}.{book}" for book in range(count))
        one = Traded(k, Fraction(1), Fraction(1))
        return Shelf(held, held.axis, names, 1), dict.fromkeys(names, one)

    def of_nothing(self, k: int) -> Shelf:
        """No book of instrument k."""
        held = self._shelf(k, NOTHING, NOTHING, np.zeros(1, dtype=np.int64))
        return Shelf(held, NOTHING, (), 1)

    def _shelf(self, k: int, price: Array, lots: Array, starts: Array) -> Stack:
        """A stack in which what is worth no more than its price holds nothing."""
        useful = np.where(price < self.terms.values[k], lots, 0)
        return stack(
            price,
            lots=useful,
            starts=starts,
            price=price,
            most=self.most,
            scale=self.terms.price_scale,
        )


def basket_of(
    terms: BasketTerms, members: Sequence[Member], member: Member, state: Any, config: PartyConfig
) -> BasketProblem:
    """One participant's problem.

    state: a Snapshot of an order book of one of the instruments, a mapping from instruments to
    books or tables of prices and quantities, or Books of shape (n, m, L). Raises BadInput and
    CapabilityMissing on a state or configuration that does not fit.
    """
    space = basket_space(terms, members)
    shop = _Shop(terms, member, parse_charges(config), int(space.bound))
    traded: dict[str, Traded] = {}
    shelves: list[Shelf] = []
    for k in range(len(terms.instruments)):
        found = _found(shop, k, state, config)
        shelves.append(found[0] if found is not None else shop.of_nothing(k))
        for name, how in found[1].items() if found is not None else ():
            if name in traded:
                raise _ambiguous(name)
            traded[name] = how
    if not traded:
        raise BadInput(
            "the party holds no book of an instrument of the basket",
            f"give it a venue of one of {', '.join(terms.instruments)}",
            field=f"{ROOM}instruments",
            value=", ".join(terms.instruments),
        )
    if sum(int(shelf.stack.value_before[-1]) for shelf in shelves) > shop.most:
        raise headroom(terms.price_scale)
    return BasketProblem(
        space=space,
        lot=terms.lot,
        grid=basket_grid(terms, members),
        shelves=tuple(shelves),
        rack=racked([shelf.stack for shelf in shelves]),
        traded=traded,
        slot=member.slot,
        slots=slots_of(members),
    )


def _found(
    shop: _Shop, k: int, state: Any, config: PartyConfig
) -> tuple[Shelf, dict[str, Traded]] | None:
    """The party's books of instrument k, if it has any."""
    held = state.state if isinstance(state, Snapshot) else state
    name = shop.terms.instruments[k]
    if isinstance(held, Books):
        refuse_charges(config)
        prices, lots = held.checked(3)
        if prices.shape[1] != len(shop.terms.instruments):
            raise BadInput(
                "the table has books of another number of instruments than the basket",
                "give one row of books an instrument: arrays of shape (n, m, L)",
                field="state",
            )
        return shop.of_books(k, prices[:, k], lots[:, k])
    if isinstance(held, BookState):
        traded = {held.instrument.canonical, held.instrument.base.lower()}
        return shop.of_book(k, held) if name in traded else None
    if isinstance(held, Mapping):
        if unknown := set(held) - set(shop.terms.instruments):
            raise BadInput(
                "the party holds a book of no instrument of the basket",
                f"name books by {', '.join(shop.terms.instruments)}",
                field="state",
                value=str(min(map(str, unknown))),
            )
        if name not in held:
            return None
        return shop.of_book(k, book_of(held[name], _as_single(shop.terms, k), shop.member))
    raise CapabilityMissing(
        f"a basket needs order books; party '{shop.member.name}' holds another kind of state",
        "give a venue with books, a mapping from instruments to tables, or Books",
        field="state",
    )


def _as_single(terms: BasketTerms, k: int) -> Terms:
    """The order of one instrument alone, as the code of one book reads it."""
    return Terms(
        side="buy",
        instrument=terms.instruments[k],
        lot=terms.lot,
        price_scale=terms.price_scale,
        limit=None,
        minimum=0,
        quantity=terms.quantities[k],
        pace=None,
        left=terms.left[k],
        whole_steps=terms.whole_steps,
    )


def _traded(terms: BasketTerms, k: int, instrument: Instrument, charges: Charges) -> Traded:
    lots = Fraction(instrument.step) * Fraction(instrument.multiplier) / terms.lot
    price = Fraction(instrument.tick) * terms.price_scale * charges.factor(buying=True)
    return Traded(k, lots, price)


def _least_steps(instrument: Instrument) -> int:
    return max(1, ceil(Fraction(instrument.minimum) / Fraction(instrument.step)))


def _capped(prices: list[int]) -> list[int]:
    """The prices, if a ratio of each has room in 64 bits."""
    if max(prices, default=0) >= HIGHEST_BASKET_PRICE:
        raise HeadroomMissing(
            "a price of the book is 2^33 price units or more, too high for a basket's keys",
            "use a smaller price_scale, or leave far levels out",
            field=f"{ROOM}price_scale",
        )
    return prices


def _ambiguous(name: str) -> BadInput:
    return BadInput(
        "two instruments of the basket are traded under one name",
        "name the instruments so that a book is of one of them",
        field=f"{ROOM}instruments",
        value=name,
    )
