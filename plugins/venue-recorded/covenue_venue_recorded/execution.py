"""Immediate-or-cancel legs against levels: pure, and never more than asked for."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction

from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Fill, Leg
from covenue_venue_recorded.book import Levels, Sides


@dataclass(frozen=True)
class Executed:
    """What a leg got. short: why it did not get all, or empty."""

    fills: tuple[Fill, ...]
    short: str


def execute(
    sides: Sides, leg: Leg, number: int, instrument: Instrument, unit: Fraction
) -> Executed:
    """Walk the opposite side from its best level to the leg's limit.

    unit: of the actions. Each fill counts its own whole units, rounded down. The leg ends when its
    quantity is filled, the next level is beyond the limit, or the next unit would pass
    `most_units`; the fill cut short by `most_units` takes the fewest steps that make its units.
    """
    levels = reachable(sides, leg)
    wanted, units_left = int(leg.quantity_steps), int(leg.most_units)
    fills: list[Fill] = []
    for ticks, resting in levels.tolist():
        if not wanted:
            break
        steps = affordable(min(wanted, resting), ticks, units_left, instrument, unit)
        units = instrument.base_lots(steps, ticks, unit)
        if steps:
            fills.append(
                Fill(
                    leg=number,
                    price_ticks=str(ticks),
                    quantity_steps=str(steps),
                    units=str(units),
                )
            )
        units_left -= units
        if steps < min(wanted, resting):
            return Executed(tuple(fills), "most units reached")
        wanted -= steps
    return Executed(tuple(fills), "no more quantity within the limit" if wanted else "")


def reachable(sides: Sides, leg: Leg) -> Levels:
    """The levels that a leg may take, best first."""
    limit = int(leg.limit_ticks)
    if leg.side == "buy":
        return sides.asks[sides.asks[:, 0] <= limit]
    return sides.bids[sides.bids[:, 0] >= limit]


def affordable(
    steps: int, ticks: int, units_left: int, instrument: Instrument, unit: Fraction
) -> int:
    """At most `steps`, such that their units do not pass `units_left`; whole steps only."""

    def units(quantity: int) -> int:
        return instrument.base_lots(quantity, ticks, unit)

    if units(steps) <= units_left:
        return steps
    most = bisect_right(range(steps + 1), units_left, key=units) - 1
    return bisect_left(range(most + 1), units(most), key=units)
