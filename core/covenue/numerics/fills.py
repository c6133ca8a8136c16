"""Immediate-or-cancel legs against the levels of a venue: pure, and never more than asked for."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Actions, Fill, Leg


@dataclass(frozen=True)
class Executed:
    """What a leg gets. short: why it does not get all, or empty."""

    fills: tuple[Fill, ...]
    short: str

    @property
    def steps(self) -> int:
        """Steps of all fills."""
        return sum(int(fill.quantity_steps) for fill in self.fills)


def execute(
    levels: Iterable[tuple[int, int]], leg: Leg, number: int, instrument: Instrument, unit: Fraction
) -> Executed:
    """Walk the levels of the other side, best first, to the leg's limit.

    levels: pairs of ticks and resting steps. unit: of the actions. Each fill counts its own whole
    units, rounded down. The leg ends when its quantity is filled, the next level is beyond the
    limit, or the next unit would pass `most_units`; the fill cut short by `most_units` takes the
    fewest steps that make its units.
    """
    wanted, units_left = int(leg.quantity_steps), int(leg.most_units)
    fills: list[Fill] = []
    for ticks, resting in levels:
        if not wanted or not is_within(ticks, leg):
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


def is_within(ticks: int, leg: Leg) -> bool:
    """Whether a level is not worse than a leg's limit."""
    limit = int(leg.limit_ticks)
    return ticks <= limit if leg.side == "buy" else ticks >= limit


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


def refusal(actions: Actions, instrument: Instrument, valid_until: int, instant: int) -> str:
    """Why none of the legs may execute at an instant, or empty."""
    if instant > valid_until:
        return "late"
    if actions.swaps:
        return "there are no pools for swaps here"
    if Fraction(actions.unit) <= 0:
        return f"unit {actions.unit} counts nothing"
    least = Fraction(instrument.minimum) / Fraction(instrument.step)
    for leg in actions.legs:
        if leg.instrument != instrument.canonical:
            return f"instrument {leg.instrument} is not traded here"
        if 0 < int(leg.quantity_steps) < least:
            return f"quantity below the minimum of {instrument.minimum}"
    return ""
