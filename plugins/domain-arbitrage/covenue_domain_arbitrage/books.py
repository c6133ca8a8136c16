"""One venue's order book as offers between two assets: levels at all-in prices.

A level is taken when the multipliers' ratio passes its all-in price. Over a width e > 0 it is
taken in part,

    part = clip((ratio / price - 1) / e, 0, 1) when buying,   clip((price / ratio - 1) / e, 0, 1)

so that the answer does not jump; what is paid is the level's own price, so that every part is
deliverable, and phi is that of the whole level. Native steps are rounded down, what is paid up.
An answer that continues from another adds that one's parts before clipping. Capital and inventory
cut off the ladders, in whole steps: a book is one instrument, so no other could use them.
Source: solvers.md, sections 2(d) and 3.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import fsum

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.domains import Memory
from covenue.hooks.venues import BookState
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Leg
from covenue_domain_arbitrage.goals import Terms
from covenue_domain_arbitrage.pools import Mostly

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Parts = tuple[Floats, Floats]

BPS = 10_000
SLACK = 2.0**-50
DOWN_SLACK = 2.0**-47
FLOAT_MOST = 2.0**62


@dataclass(frozen=True)
class Ladder:
    """One side of a book, best level first; all arrays of one length.

    ticks, steps: native. amount: base units that all steps of a level are. price: all-in, in the
    quote asset, rounded against us.
    """

    buying: bool
    ticks: Integers
    steps: Integers
    amount: Floats
    price: Floats


@dataclass(frozen=True)
class Taken:
    """What one side would take, one row a level. slope: of log-multipliers, in value words."""

    steps: Integers
    base_words: Integers
    quote_words: Integers
    value_words: Integers
    slope_words: Integers


@dataclass(frozen=True, eq=False)
class Book:
    """A book on the coordinates of a plan. base, quote: coordinates. step: base units."""

    instrument: Instrument
    terms: Terms
    base: int
    quote: int
    step: Fraction
    fee: Fraction
    ladders: tuple[Ladder, Ladder]

    def parts(self, multipliers: Floats, width: float, memory: Memory) -> Parts:
        """The part of every level that is taken at multipliers, spread over a relative width.

        memory: the parts that it continues from; none where it is of a book of another depth.
        """
        depths = [len(ladder.price) for ladder in self.ladders]
        centre = np.frombuffer(memory, dtype="<f8").astype(np.float64)
        if len(centre) != sum(depths):
            centre = np.zeros(sum(depths))
        asks, bids = (
            np.clip(part + self._over(ladder, multipliers) / width, 0.0, 1.0)
            if width > 0
            else (self._over(ladder, multipliers) > 0).astype(np.float64)
            for ladder, part in zip(self.ladders, np.split(centre, depths[:1]), strict=True)
        )
        return asks, bids

    def _over(self, ladder: Ladder, multipliers: Floats) -> Floats:
        at_price = float(multipliers[self.quote]) * ladder.price
        v_base = float(multipliers[self.base])
        over = v_base / at_price - 1.0 if ladder.buying else at_price / v_base - 1.0
        return np.asarray(over, dtype=np.float64)

    def taken(self, ladder: Ladder, part: Floats, multipliers: Floats, width: float) -> Taken:
        """What parts of one side's levels come to."""
        v_base, v_quote = float(multipliers[self.base]), float(multipliers[self.quote])
        at_price = v_quote * ladder.price
        steps = np.floor(part * ladder.steps).astype(np.int64)
        scale = float(2**self.terms.scale_bits)
        base: Floats = np.asarray(steps * float(self.step), dtype=np.float64)
        quote = base * ladder.price
        gain = v_base - at_price if ladder.buying else at_price - v_base
        edge = np.maximum(gain + (v_base + at_price) * SLACK, 0.0)
        inside = (part > 0) & (part < 1)
        slope = np.where(inside, v_base * ladder.amount / max(width, SLACK), 0.0)
        round_base, round_quote = (_down, _up) if ladder.buying else (_up, _down)
        return Taken(
            steps,
            base_words=round_base(base * scale),
            quote_words=round_quote(quote * scale),
            value_words=_up(edge * ladder.amount * float(2**self.terms.value_bits)),
            slope_words=np.rint(slope * float(2**self.terms.slope_bits)).astype(np.int64),
        )

    def add(
        self,
        parts: Parts,
        multipliers: Floats,
        width: float,
        net: Integers,
        slopes: Integers | None,
    ) -> int:
        """Add both sides' net words and slopes; returns the words of phi."""
        value = 0
        for ladder, part in zip(self.ladders, parts, strict=True):
            taken = self.taken(ladder, part, multipliers, width)
            sign = 1 if ladder.buying else -1
            net[self.base] += sign * int(taken.base_words.sum(dtype=np.int64))
            net[self.quote] -= sign * int(taken.quote_words.sum(dtype=np.int64))
            value += int(taken.value_words.sum(dtype=np.int64))
            if slopes is not None:
                slope = int(taken.slope_words.sum(dtype=np.int64))
                high, low = max(self.base, self.quote), min(self.base, self.quote)
                for row, column, share in (
                    (high, high, slope),
                    (low, low, slope),
                    (high, low, -slope),
                ):
                    slopes[row * (row + 1) // 2 + column] += share
        return value

    def legs(self, steps: tuple[Integers, Integers]) -> tuple[Leg, ...]:
        """One immediate-or-cancel leg a side that takes something; steps: of every level."""
        pairs = zip(self.ladders, steps, strict=True)
        legs = (self._leg(ladder, taken) for ladder, taken in pairs)
        return tuple(leg for leg in legs if leg is not None)

    def _leg(self, ladder: Ladder, taken: Integers) -> Leg | None:
        steps = int(taken.sum(dtype=np.int64))
        if not steps or steps * Fraction(self.instrument.step) < Fraction(self.instrument.minimum):
            return None
        worst = int(ladder.ticks[int(np.nonzero(taken)[0][-1])])
        return Leg(
            side="buy" if ladder.buying else "sell",
            instrument=self.instrument.canonical,
            limit_ticks=str(worst),
            quantity_steps=str(steps),
            most_units=str(steps),
        )

    def moved(self, leg: Leg, fills: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Net words (base, quote) of (ticks, steps) fills of a leg: paid up, received down."""
        scale = 2**self.terms.scale_bits
        base = sum(steps for _, steps in fills) * self.step * scale
        tick = Fraction(self.instrument.tick)
        quote = sum((steps * ticks for ticks, steps in fills), 0) * tick * self.step * scale
        if leg.side == "buy":
            return base // 1, -quote * (1 + self.fee) // 1
        return -base // 1, quote * (1 - self.fee) // 1

    def planned(self, legs: Sequence[Leg], steps: tuple[Integers, Integers]) -> tuple[int, int]:
        """Net words (base, quote) of the legs, filled at the levels that they are meant for."""
        total = [0, 0]
        for leg in legs:
            side = 0 if leg.side == "buy" else 1
            rows = zip(self.ladders[side].ticks.tolist(), steps[side].tolist(), strict=True)
            base, quote = self.moved(leg, [(ticks, taken) for ticks, taken in rows if taken])
            total[0] += base
            total[1] += quote
        return total[0], total[1]


@dataclass(frozen=True)
class Limits:
    """What a party puts into a plan: capital in the quote asset, inventory in the base asset."""

    capital: Fraction | None = None
    inventory: Fraction | None = None


UNBOUND = Limits()


def book_of(  # noqa: PLR0917 -- a book with all that its party says of it
    state: BookState, terms: Terms, base: str, quote: str, fee: Fraction, limits: Limits = UNBOUND
) -> Book:
    """A venue's book on a plan's coordinates, cut off where capital or inventory ends.

    Raises BadInput for an asset without a reference, CapabilityMissing for an inverse instrument.
    """
    instrument = state.instrument
    if instrument.payoff != "linear":
        raise CapabilityMissing(
            f"domain 'arbitrage' plans linear instruments; {instrument.canonical} is inverse",
            "leave this venue out, or plan it with domain 'routing'",
            field="payoff",
            value=instrument.payoff,
        )
    places = {asset: place for place, asset in enumerate(terms.assets)}
    for asset in (base, quote):
        if asset not in places:
            raise BadInput(
                f"asset '{asset}' has no reference, and instrument {instrument.canonical} needs it",
                "add it to domain.goal.assets and domain.goal.references, or name the venue's "
                "assets with base and quote in party.config",
                field="domain.goal.references",
                value=asset,
            )
    step = Fraction(instrument.step) * Fraction(instrument.multiplier)
    tick = Fraction(instrument.tick)
    return Book(
        instrument,
        terms,
        places[base],
        places[quote],
        step,
        fee,
        (
            _ladder(
                _affordable(state.asks, tick * (1 + fee) * step, limits.capital),
                tick,
                step,
                1 + fee,
                buying=True,
            ),
            _ladder(_held(state.bids, step, limits.inventory), tick, step, 1 - fee, buying=False),
        ),
    )


def most_words(book: Book) -> Mostly:
    """Upper bounds of an answer's words, anywhere in the band."""
    scale = float(2**book.terms.scale_bits)
    amounts = np.zeros(len(book.terms.assets))
    for ladder in book.ladders:
        amounts[book.base] += fsum(ladder.amount.tolist())
        amounts[book.quote] += fsum((ladder.amount * ladder.price).tolist())
    high = [float(high) / 2.0**40 for _, high in book.terms.ranges]
    worth = amounts[book.base] * high[book.base] + amounts[book.quote] * high[book.quote]
    narrowest = min(book.terms.widths) / 2.0**40
    return Mostly(
        amounts * scale,
        float(worth) * float(2**book.terms.value_bits),
        float(worth) / narrowest * float(2**book.terms.slope_bits),
    )


def _affordable(levels: Integers, worth: Fraction, capital: Fraction | None) -> Integers:
    """The levels that capital can buy, in whole steps; worth: of a step at one tick."""
    if capital is None:
        return levels
    left, kept = capital, []
    for ticks, steps in levels.tolist():
        most = min(steps, int(left / (worth * ticks)))
        left -= most * ticks * worth
        kept.append((ticks, most))
        if most < steps:
            break
    return _taking(kept)


def _held(levels: Integers, step: Fraction, inventory: Fraction | None) -> Integers:
    """The levels that inventory can fill, in whole steps."""
    if inventory is None:
        return levels
    left, kept = int(inventory / step), []
    for ticks, steps in levels.tolist():
        kept.append((ticks, min(steps, left)))
        left -= kept[-1][1]
    return _taking(kept)


def _taking(rows: Sequence[tuple[int, int]]) -> Integers:
    return np.array([row for row in rows if row[1]], dtype=np.int64).reshape(-1, 2)


def _ladder(
    levels: Integers, tick: Fraction, step: Fraction, factor: Fraction, *, buying: bool
) -> Ladder:
    slack = 1.0 + SLACK if buying else 1.0 - SLACK
    price: Floats = np.asarray(levels[:, 0] * float(tick * factor) * slack, dtype=np.float64)
    amount: Floats = np.asarray(levels[:, 1] * float(step) * (1.0 + SLACK), dtype=np.float64)
    return Ladder(
        buying,
        ticks=levels[:, 0],
        steps=levels[:, 1],
        amount=amount,
        price=price,
    )


def _up(amounts: Floats) -> Integers:
    return np.minimum(np.ceil(amounts * (1.0 + DOWN_SLACK)), FLOAT_MOST).astype(np.int64)


def _down(amounts: Floats) -> Integers:
    return np.clip(np.floor(amounts * (1.0 - DOWN_SLACK)), 0.0, FLOAT_MOST).astype(np.int64)
