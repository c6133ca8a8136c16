"""The public side of a basket: two sorts of keys, and one budget.

    cut key    price * 2^cut_shift + slot                                of one instrument
    ratio key  floor(price * 2^30 / v) * 2^ratio_shift + slot * m + k    of instrument k of m

With v < 2^30 two prices of an instrument have different ratios, and the low bits tell instruments
and slots apart: every key is one participant's, of one instrument, at one price.
Source: solvers.md, section 2(b), budget form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from covenue.errors import BadInput, CapabilityMissing, LayoutMismatch
from covenue.hooks.programs import Optimum, Program, disclosure_width
from covenue.numerics.words import Words, integers
from covenue_contracts.plan import Goal, Member
from covenue_contracts.shared import Query, Space
from covenue_domain_routing.basket_goals import VALUE_BITS, BasketTerms, read_basket
from covenue_domain_routing.batch import edges_of, points_of
from covenue_domain_routing.disclosed import slots_of
from covenue_domain_routing.disclosed_basket import basket_program, basket_proposals
from covenue_domain_routing.goals import ROOM
from covenue_domain_routing.grid import MOST_MEMBERS, RING_MOST, SIGNAL, word_bound
from covenue_domain_routing.stacks import Array


@dataclass(frozen=True)
class BasketGrid:
    """How keys, prices and instruments correspond; the same for all participants of an order.

    values: of each instrument. slots: of the roster, by number of members or greatest slot.
    """

    values: tuple[int, ...]
    slots: int

    @property
    def cut_shift(self) -> int:
        """Bits that hold a slot."""
        return (self.slots - 1).bit_length()

    @property
    def ratio_shift(self) -> int:
        """Bits that hold a slot and an instrument."""
        return (self.slots * len(self.values) - 1).bit_length()

    @cached_property
    def worth(self) -> Array:
        """The values, int64[m]."""
        return np.array(self.values, dtype=np.int64)

    def cut_edges(self, keys: Array, instruments: Array | int, slot: int) -> Array:
        """Prices below which a slot's keys of instruments are below the given ones.

        keys, instruments: int64, of shapes that go together; so in `ratio_edges`.
        """
        ends = self.worth[instruments] << self.cut_shift
        return edges_of(keys, (0, ends), self.cut_shift, slot)

    def ratio_edges(self, keys: Array, instruments: Array | int, slot: int) -> Array:
        """Prices below which a slot's ratio keys of instruments are below the given ones."""
        end = 1 << (VALUE_BITS + self.ratio_shift)
        ties = slot * len(self.values) + instruments
        ratios = edges_of(keys, (0, end), self.ratio_shift, ties)
        return (ratios * self.worth[instruments] + (1 << VALUE_BITS) - 1) >> VALUE_BITS

    def ratio_key(self, price: int, instrument: int, slot: int) -> int:
        """The ratio key of a price."""
        ratio = (price << VALUE_BITS) // self.values[instrument]
        return (ratio << self.ratio_shift) + slot * len(self.values) + instrument

    def offer_at(self, key: int) -> tuple[int, int] | None:
        """(instrument, price) of a ratio key, or None where no price has it."""
        tie = key & ((1 << self.ratio_shift) - 1)
        slot, instrument = divmod(tie, len(self.values))
        value = self.values[instrument]
        price = -(-((key >> self.ratio_shift) * value) >> VALUE_BITS)
        sound = slot < self.slots and 0 < price < value
        return (
            (instrument, price)
            if sound and key == self.ratio_key(price, instrument, slot)
            else None
        )


@dataclass(frozen=True)
class BasketQuery:
    """A depth query, read: cut keys by instrument; then cuts and ratio keys, or neither."""

    cuts: tuple[Array, ...]
    chosen: tuple[int, ...]
    ratio: Array


def read_query(query: Query, size: int) -> BasketQuery:
    """The parts of a depth query for so many instruments. Raises LayoutMismatch on another form."""
    values = points_of(query.points)
    counts = values[:size].tolist()
    if len(counts) != size or min(counts) < 0 or sum(counts) > len(values) - size:
        raise _misshapen()
    places = list(accumulate(counts, initial=size))
    rest = values[places[-1] :]
    if 0 < len(rest) <= 2 * size or (not len(rest) and not any(counts)):
        raise _misshapen()
    cuts = tuple(values[a:b] for a, b in pairwise(places))
    return BasketQuery(cuts, tuple(rest[: 2 * size].tolist()), rest[2 * size :])


@dataclass(frozen=True)
class BasketPlan:
    """A basket's solution: cuts t_1, r_1, ..., t_m, r_m, the last ratio key, and units at it."""

    chosen: tuple[int, ...]
    key: int
    units: int


def read_plan(points: Sequence[str], size: int) -> BasketPlan:
    """A solution for so many instruments. Raises LayoutMismatch on another number of points."""
    if len(points) != 2 * size + 2:
        raise LayoutMismatch(
            f"a basket's solution has {len(points)} points, not {2 * size + 2}",
            "check that the solver is one for baskets",
        )
    values = points_of(points).tolist()
    return BasketPlan(tuple(values[: 2 * size]), values[-2], max(0, values[-1]))


@dataclass(frozen=True)
class BasketRouting:
    """What ties the venues: units of each instrument, and one budget.

    A BasketCoupling (hooks/solvers.py) and a DisclosedCoupling (hooks/programs.py).
    Raises BadInput when the order's sums could leave 64 bits.
    """

    goal: Goal
    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        """Refuse a goal that cannot be summed before anything is asked."""
        slots = self.grid.slots
        if slots > MOST_MEMBERS:
            raise BadInput(
                "a slot is too large for the tie bits of a key",
                f"number the members from 0, at most {MOST_MEMBERS} of them",
                field="party.slot",
                value=str(slots - 1),
            )
        if slots * max(self.terms.quantities) > RING_MOST:
            raise BadInput(
                "the order is too large: the sum of its lots could leave 64 bits",
                "use a larger lot, or split the order",
                field=f"{ROOM}quantities",
                value=str(max(self.terms.quantities)),
            )

    @cached_property
    def terms(self) -> BasketTerms:
        """The goal's terms, parsed."""
        return read_basket(self.goal)

    @cached_property
    def grid(self) -> BasketGrid:
        """How keys and prices correspond."""
        return basket_grid(self.terms, self.members)

    @property
    def space(self) -> Space:
        """Lots of each instrument, and spend; exact."""
        return basket_space(self.terms, self.members)

    @property
    def values(self) -> tuple[int, ...]:
        """What a lot of each instrument is worth, in price units."""
        return self.terms.values

    @property
    def quantities(self) -> tuple[int, ...]:
        """Most lots of each instrument."""
        return self.terms.left

    @property
    def budget(self) -> int:
        """Most that this plan may cost."""
        return self.terms.budget_left

    @property
    def cut_shift(self) -> int:
        """Bits that hold a slot."""
        return self.grid.cut_shift

    @property
    def ratio_shift(self) -> int:
        """Bits that hold a slot and an instrument."""
        return self.grid.ratio_shift

    def offer_at(self, key: int) -> tuple[int, int] | None:
        """(instrument, price) of a ratio key, or None."""
        return self.grid.offer_at(key)

    def width(self, query: Query) -> int:
        """Depth: a word a cut key, a word a ratio key and units beside them; commit; settle.

        Disclose: a word a slot, then the concatenation.
        """
        size = len(self.values)
        if query.kind == "depth":
            asked = read_query(query, size)
            return sum(map(len, asked.cuts)) + len(asked.ratio) + size * bool(len(asked.ratio))
        if query.kind in {"commit", "settle"}:
            return (size + 1) * (1 if query.kind == "commit" else 3)
        if query.kind == "disclose":
            return disclosure_width(query, self.slots)
        raise refused_kind(query)

    @property
    def slots(self) -> int:
        """One more than the greatest slot."""
        return slots_of(self.members)

    def program(
        self, parts: Sequence[Words], slack: Sequence[int], near: Optimum | None
    ) -> Program:
        """What all levels are worth at most under the budget; whole lots need no slack."""
        return basket_program(parts, self)

    def proposals(self, parts: Sequence[Words], optimum: Optimum) -> tuple[Query, ...]:
        """Depth and spend where cuts and budget end."""
        return basket_proposals(parts, self)

    def admits(self, total: Words, goal: Goal) -> bool:
        """Some lots, no more of an instrument than is wanted, and no more spend than the budget."""
        *lots, spend = integers(total)
        terms = read_basket(goal)
        sound = all(0 <= n <= most for n, most in zip(lots, terms.left, strict=True))
        return sound and any(lots) and 0 <= spend <= terms.budget_left

    def left(self, settled: Words, reserved: Words, committed: Words) -> Goal:
        """Quantities and budget less what is settled, in doubt or committed; never negative.

        Nothing is left at all once either is used up.
        """
        whole = (*self.terms.quantities, self.terms.budget)
        taken = zip(integers(settled), integers(reserved), integers(committed), strict=True)
        left = [max(0, most - sum(each)) for most, each in zip(whole, taken, strict=True)]
        if not left[-1] or not any(left[:-1]):
            left = [0] * len(left)
        return self.goal.model_copy(update={"remaining": tuple(map(str, left))})


def basket_grid(terms: BasketTerms, members: Sequence[Member]) -> BasketGrid:
    """The grid of an order: it depends on neither its quantities nor its budget."""
    return BasketGrid(terms.values, max(len(members), slots_of(members), 1))


def basket_space(terms: BasketTerms, members: Sequence[Member]) -> Space:
    """Lots of each instrument, and spend; exact integers."""
    lots = ("lot",) * len(terms.instruments)
    return Space(
        signal=SIGNAL,
        names=(*terms.instruments, "spend"),
        units=(*lots, "lot-price"),
        scale_bits=0,
        bound=str(word_bound(members)),
    )


def refused_kind(query: Query) -> CapabilityMissing:
    """A basket was asked what it does not offer."""
    return CapabilityMissing(
        f"a basket of domain 'routing' offers DEPTH and was asked '{query.kind}'",
        "choose a solver that needs DEPTH, such as 'search'",
        field="solver.name",
        value=query.kind,
    )


def _misshapen() -> LayoutMismatch:
    return LayoutMismatch(
        "the points of a depth query are no counts, cut keys, cuts and ratio keys",
        "check that the solver is one for baskets",
    )


def coupling_of(goal: Goal, members: Sequence[Member]) -> BasketRouting:
    """The coupling of one plan; the order of members does not matter."""
    return BasketRouting(goal, tuple(sorted(members, key=lambda member: member.did)))
