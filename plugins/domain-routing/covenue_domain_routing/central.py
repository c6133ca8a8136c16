"""The optimum with all books opened, by code that shares nothing with the plan's own.

A heap merges the venues' native levels one by one, in exact fractions: the oracle that a plan is
held against, outside the cohort. Of this package only the parsed terms are used.
"""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from covenue.hooks.domains import PartyConfig
from covenue.hooks.venues import BookState
from covenue_domain_routing.goals import Terms


@dataclass(frozen=True)
class OpenedVenue:
    """One venue with everything opened: its public slot, its book and its configuration."""

    slot: int
    book: BookState
    config: PartyConfig


@dataclass(frozen=True)
class CentralPlan:
    """Lots a venue, in the order given; their all-in value; and how many lots found no offer."""

    lots: tuple[int, ...]
    value: int
    missing: int


def central_plan(venues: Sequence[OpenedVenue], terms: Terms) -> CentralPlan:
    """Best all-in value of the plan's quantity: take the best level until it is filled.

    Equal all-in prices go to the lower slot, as in the plan. Greedy exchange shows that no other
    split of whole lots is better.
    """
    sign = 1 if terms.side == "buy" else -1
    ladders = [offers(venue, terms) for venue in venues]
    heap: list[tuple[int, int, int, int]] = []
    for index, ladder in enumerate(ladders):
        _push(heap, ladder, sign, venues[index].slot, index)
    lots = [0] * len(venues)
    missing, value = terms.wanted, 0
    while heap and missing > 0:
        signed, slot, index, offered = heapq.heappop(heap)
        taken = min(offered, missing)
        lots[index] += taken
        missing -= taken
        value += taken * signed * sign
        _push(heap, ladders[index], sign, slot, index)
    return CentralPlan(tuple(lots), value, missing)


def _push(
    heap: list[tuple[int, int, int, int]],
    ladder: Iterator[tuple[int, int]],
    sign: int,
    slot: int,
    index: int,
) -> None:
    """Put a venue's next level on the heap, if it has one."""
    for price, offered in ladder:
        heapq.heappush(heap, (sign * price, slot, index, offered))
        return


def offers(venue: OpenedVenue, terms: Terms) -> Iterator[tuple[int, int]]:
    """(all-in price, whole lots) of a venue, best first, within the limit; no other rule."""
    instrument = venue.book.instrument
    buying = terms.side == "buy"
    tick, step = Fraction(instrument.tick), Fraction(instrument.step)
    multiplier = Fraction(instrument.multiplier)
    fee = Fraction(str(venue.config.get("fee_bps", "0"))) / 10_000
    basis = Fraction(str(venue.config.get("basis_bps", "0"))) / 10_000
    worth = (1 + fee if buying else 1 - fee) / (1 + basis) * terms.price_scale
    side = venue.book.asks if buying else venue.book.bids
    for ticks, steps in side.tolist():
        px = ticks * tick
        inverse = instrument.payoff == "inverse"
        base = steps * step * multiplier / (px if inverse else 1)
        lots = math.floor(base / terms.lot)
        price = math.ceil(px * worth) if buying else math.floor(px * worth)
        if terms.limit is not None and (price > terms.limit if buying else price < terms.limit):
            return
        if lots:
            yield price, lots
