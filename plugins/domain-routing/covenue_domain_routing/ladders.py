"""A venue's side of a book as a ladder of whole lots at all-in prices, exact.

    lots  = floor(native quantity in base currency / lot), level by level
    price = ceil(px (1 + fee) / (1 + basis)) buying, floor(px (1 - fee) / (1 + basis)) selling

Rounding is always against us. Source: solvers.md, section 2(b).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import ceil

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput, HeadroomMissing
from covenue.hooks.domains import PartyConfig
from covenue.hooks.venues import BookState
from covenue.numerics.decimals import as_toml, parse_decimal
from covenue_contracts.energibridge import Instrument
from covenue_domain_routing.books import taken_side
from covenue_domain_routing.goals import Terms
from covenue_domain_routing.grid import KeyGrid

Array = NDArray[np.int64]
SAFE = 2**62
BPS = 10_000
PARTY_KEYS = ("basis_bps", "fee_bps")


@dataclass(frozen=True)
class Charges:
    """What a party adds to its venue's prices; configured by the party and never sent.

    fee: part of the notional, negative for a rebate. basis: part by which the venue's instrument
    is dearer than what the order is measured in.
    """

    fee: Fraction
    basis: Fraction

    def factor(self, *, buying: bool) -> Fraction:
        """All-in price over native price, before rounding."""
        return (1 + self.fee if buying else 1 - self.fee) / (1 + self.basis)


def parse_charges(config: PartyConfig) -> Charges:
    """Fee and basis from a party's `[party.config]`, in basis points; 0 where not given.

    Raises BadInput, naming field and value, unless both lie strictly between -10000 and 10000.
    """
    for key in config:
        if key not in PARTY_KEYS:
            raise BadInput(
                "domain 'routing' has no such party setting",
                f"use only {', '.join(PARTY_KEYS)}",
                field=f"party.config.{key}",
                value=as_toml(config[key]),
            )
    parts = []
    for key in PARTY_KEYS:
        value = config.get(key, "0")
        points = parse_decimal(value, f"party.config.{key}")
        if not -BPS < points < BPS:
            raise BadInput(
                f"{key} is no plausible number of basis points",
                "give a decimal between -10000 and 10000",
                field=f"party.config.{key}",
                value=as_toml(value),
            )
        parts.append(points / BPS)
    basis, fee = parts
    return Charges(fee, basis)


@dataclass(frozen=True)
class Ladder:
    """Levels that a plan may use, best first; all arrays int64[n], read-only.

    ticks, steps: native price and resting quantity. lots: whole lots offered; together no more
    than the plan asks for. prices: all-in. keys: on the public axis, never falling.
    lots_before, value_before: sums over the levels before each, int64[n + 1].
    """

    ticks: Array
    steps: Array
    lots: Array
    prices: Array
    keys: Array
    lots_before: Array
    value_before: Array


def build_ladder(
    book: BookState, terms: Terms, grid: KeyGrid, charges: Charges, slot: int
) -> Ladder:
    """The ladder of one venue for one plan.

    Levels beyond the limit, and such as hold no whole lot, are left out; for an executed order
    also those at which the plan could take no native step. The ladder ends where it reaches the
    plan's quantity: no comparison of a sum with that quantity can tell the difference, and less is
    revealed. Raises HeadroomMissing when its value, in a sum, could leave 64 bits.
    """
    side = taken_side(book, terms)
    ticks, steps = side[:, 0], side[:, 1]
    prices = all_in(ticks, book.instrument, terms, charges)
    lots = lots_of(steps, ticks, book.instrument, terms.lot)
    levels = zip(ticks.tolist(), lots, prices, strict=True)
    kept, offered = _offered(levels, book.instrument, terms, grid)
    kept_prices = _int64([prices[i] for i in kept])
    axis = kept_prices if grid.buying else grid.top - kept_prices
    value = [price * lot for price, lot in zip(kept_prices.tolist(), offered, strict=True)]
    if sum(value) > grid.most_value:
        raise HeadroomMissing(
            "the value of what the book offers to this order could leave 64 bits in a sum",
            "use a larger lot, a smaller price_scale, or a smaller pace",
            field="domain.goal.price_scale",
            value=str(terms.price_scale),
        )
    return Ladder(
        ticks=_frozen(ticks[kept]),
        steps=_frozen(steps[kept]),
        lots=_int64(offered),
        prices=kept_prices,
        keys=_frozen((axis << grid.shift) + slot),
        lots_before=_int64(list(accumulate(offered, initial=0))),
        value_before=_int64(list(accumulate(value, initial=0))),
    )


def lots_of(steps: Array, ticks: Array, instrument: Instrument, lot: Fraction) -> list[int]:
    """Whole lots of every level, rounded down; the same as Instrument.base_lots, faster."""
    unit = Fraction(instrument.step) * Fraction(instrument.multiplier) / lot
    if instrument.payoff == "linear":
        return _floored(steps, unit)
    unit /= Fraction(instrument.tick)
    most = int(steps.max(initial=0)) * unit.numerator
    if max(most, int(ticks.max(initial=0)) * unit.denominator) < SAFE:
        return ((steps * unit.numerator) // (ticks * unit.denominator)).tolist()  # type: ignore[no-any-return] # numpy's tolist is Any
    pairs = zip(steps.tolist(), ticks.tolist(), strict=True)
    return [step * unit.numerator // (tick * unit.denominator) for step, tick in pairs]


def all_in(ticks: Array, instrument: Instrument, terms: Terms, charges: Charges) -> list[int]:
    """All-in prices in price units, rounded against us: up when buying, down when selling."""
    buying = terms.side == "buy"
    unit = Fraction(instrument.tick) * terms.price_scale * charges.factor(buying=buying)
    return [-price for price in _floored(-ticks, unit)] if buying else _floored(ticks, unit)


def _floored(values: Array, unit: Fraction) -> list[int]:
    """floor(value * unit) of every value; in 64 bits where that is provably safe."""
    largest = int(np.abs(values).max(initial=0))
    if max(largest * unit.numerator, unit.denominator) < SAFE:
        return ((values * unit.numerator) // unit.denominator).tolist()  # type: ignore[no-any-return] # numpy's tolist is Any
    return [value * unit.numerator // unit.denominator for value in values.tolist()]


def _within(price: int, grid: KeyGrid, scale: int, *, best: bool) -> bool:
    """Whether a price is within the limit; when buying, what is above the grid is not.

    Raises HeadroomMissing for a bid above the grid, and for a book of offers that begins there.
    """
    begins_above = best and grid.limit == grid.top
    if price > grid.top and (begins_above or not grid.buying):
        raise HeadroomMissing(
            "a price of the book is above the highest one that a key can hold",
            "use a smaller price_scale",
            field="domain.goal.price_scale",
            value=str(scale),
        )
    if grid.buying:
        return 0 <= price <= grid.limit
    return price >= grid.limit


def _least_tick(instrument: Instrument, terms: Terms) -> int | None:
    """The lowest native price at which the plan's quantity holds the smallest native order.

    None where no price is high enough (a linear contract's size does not depend on its price). An
    order that is not executed has no such rule: its plans are the merge of all books, in lots.
    """
    if not terms.whole_steps:
        return 0
    least = max(Fraction(instrument.step), Fraction(instrument.minimum))
    base = least * Fraction(instrument.multiplier)
    wanted = terms.wanted * terms.lot
    if instrument.payoff == "linear":
        return 0 if base <= wanted else None
    return ceil(base / (wanted * Fraction(instrument.tick))) if wanted > 0 else None


def _offered(
    levels: Iterable[tuple[int, int, int]], instrument: Instrument, terms: Terms, grid: KeyGrid
) -> tuple[list[int], list[int]]:
    """Positions and lots of the levels that are offered, until they hold what is wanted.

    levels: (ticks, lots, all-in price), best first. The last one offered is cut to fit.
    """
    kept: list[int] = []
    offered: list[int] = []
    missing = terms.wanted
    least_tick = _least_tick(instrument, terms)
    if least_tick is None:
        return kept, offered
    for position, (tick, lot, price) in enumerate(levels):
        if missing <= 0:
            break
        if (
            lot > 0
            and tick >= least_tick
            and _within(price, grid, terms.price_scale, best=not kept)
        ):
            kept.append(position)
            offered.append(min(lot, missing))
            missing -= lot
    return kept, offered


def _int64(values: list[int]) -> Array:
    return _frozen(np.array(values, dtype=np.int64))


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
