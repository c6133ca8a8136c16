"""Legs of ours on the engine's levels: which side they meet, and what they leave of it."""

from collections.abc import Sequence

from covenue_contracts.local import Fill, Leg
from covenue_venue_sim.engine import BUY

Levels = Sequence[tuple[int, int]]


def less(levels: Levels, fills: Sequence[Fill]) -> list[tuple[int, int]]:
    """Levels without what fills took from them."""
    taken: dict[int, int] = {}
    for fill in fills:
        ticks = int(fill.price_ticks)
        taken[ticks] = taken.get(ticks, 0) + int(fill.quantity_steps)
    rest = ((ticks, steps - taken.get(ticks, 0)) for ticks, steps in levels)
    return [(ticks, steps) for ticks, steps in rest if steps]


def side_of(leg: Leg) -> int:
    """The engine's side of a leg."""
    return BUY if leg.side == "buy" else 1 - BUY
