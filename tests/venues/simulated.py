"""Writes folders of the simulated venue, from the suite's market events or order by order."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from covenue.hooks.venues import VenueAdapter
from covenue.testing.venues import BuildVenue, Change, Depth, Levels, MarketEvent, order_id
from covenue_contracts.canonical import canonical
from covenue_contracts.contract import Scalar
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Actions, Leg
from covenue_venue_sim.engine import BUY, SELL, Cancel, New, Request
from covenue_venue_sim.flow import Timed
from covenue_venue_sim.generate import HEADER, linear
from covenue_venue_sim.tables import request_text
from covenue_venue_sim.venue import SimVenue

INSTRUMENT = linear("sim", "base-quote", base="BASE", quote="QUOTE", tick="0.1", step="0.001")
COARSE = INSTRUMENT.model_copy(update={"step": "0.25", "minimum": "1.5", "multiplier": "3"})
LOT = Fraction(1, 100_000)
UNIT = "0.001"


def save(folder: Path, flow: Iterable[Timed], instrument: Instrument = INSTRUMENT) -> None:
    """Write a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "instrument.json").write_bytes(canonical(instrument))
    rows = (f"{timed.time},{request_text(timed.request)}" for timed in flow)
    text = "".join(f"{row}\n" for row in (HEADER, *rows))
    (folder / "orders.csv").write_text(text, encoding="utf-8")


def opened(
    folder: Path, flow: Iterable[Timed], instrument: Instrument = INSTRUMENT, **config: Scalar
) -> SimVenue:
    """A venue over requests."""
    save(folder, flow, instrument)
    return SimVenue(config, folder)


def orders(events: Sequence[MarketEvent]) -> Iterator[Timed]:
    """The suite's events as orders: one a level, placed anew whenever an event names the level."""
    depth = next(event for event in events if isinstance(event, Depth))
    placed: dict[tuple[int, int], str] = {}
    before = [event for event in events if event.time <= depth.time and event is not depth]
    bridging = [event for event in before if isinstance(event, Change) and event.last > depth.last]
    for number, event in enumerate((depth, *bridging, *events[events.index(depth) + 1 :])):
        time = max(event.time, depth.time)
        for side, levels in ((BUY, event.bids), (SELL, event.asks)):
            for request in placing(placed, number, side, levels):
                yield Timed(time, request)


def placing(
    placed: dict[tuple[int, int], str], number: int, side: int, levels: Levels
) -> Iterator[Request]:
    """Cancel what stands at each level, and place its new quantity."""
    for ticks, steps in levels:
        if (side, ticks) in placed:
            yield Cancel(placed.pop((side, ticks)))
        if steps:
            name = placed[side, ticks] = f"level-{side}-{ticks}-{number}"
            yield New(name, name, side, ticks, steps)


def builder(instrument: Instrument) -> BuildVenue:
    """What the conformance suite asks of an adapter's author."""

    def build(
        events: Sequence[MarketEvent],
        folder: Path,
        *,
        stale_ms: int,
        journal: Path,
        chunk_bytes: int,
    ) -> VenueAdapter:
        config: dict[str, Scalar] = {"stale_ms": stale_ms, "journal": str(journal)}
        return opened(folder, orders(events), instrument, **config)

    return build


def taking(side: str, limit: int, steps: int, units: int = 10**15) -> Leg:
    """A leg on the instrument."""
    return Leg(
        side="buy" if side == "buy" else "sell",
        instrument=INSTRUMENT.canonical,
        limit_ticks=str(limit),
        quantity_steps=str(steps),
        most_units=str(units),
    )


def legs_of(*legs: Leg) -> Actions:
    """An order of legs only; a unit is one step."""
    return Actions(plan=order_id(0), unit=UNIT, legs=legs, swaps=())
