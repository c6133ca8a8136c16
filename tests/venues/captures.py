"""Writes small captures in the three dialects, from the market events of the conformance suite."""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from covenue.hooks.venues import VenueAdapter
from covenue.testing.venues import BuildVenue, Depth, Levels, MarketEvent
from covenue_contracts.contract import Scalar
from covenue_contracts.energibridge import Instrument
from covenue_venue_recorded.dialects import COINM, SPOT, USDM, Dialect
from covenue_venue_recorded.venue import RecordedVenue

LOT = Fraction(1, 100_000)
AHEAD_MS = 1_270
THREE = (SPOT, USDM, COINM)


def instrument(dialect: Dialect) -> Instrument:
    """The dialect's default instrument."""
    return dialect.instrument(dialect.symbol, dialect.canonical, dialect.tick, dialect.step)


def raw(dialect: Dialect, levels: Levels) -> list[list[str]]:
    """Levels as the wire writes them."""
    return [
        [f"{price * Decimal(dialect.tick):f}", f"{size * Decimal(dialect.step):f}"]
        for price, size in levels
    ]


def message(dialect: Dialect, event: MarketEvent) -> dict[str, Any]:
    """The JSON of an event."""
    sent = event.time // 1_000_000 + AHEAD_MS
    if isinstance(event, Depth):
        body: dict[str, Any] = {"lastUpdateId": event.last}
        if dialect is not SPOT:
            body |= {"E": sent, "T": sent - 5}
        if dialect is COINM:
            body |= {"symbol": dialect.symbol, "pair": "BTCUSD"}
        return body | {"bids": raw(dialect, event.bids), "asks": raw(dialect, event.asks)}
    body = {"e": "depthUpdate", "E": sent, "s": dialect.symbol, "U": event.first, "u": event.last}
    if dialect is not SPOT:
        body |= {"T": sent - 5, "pu": event.previous}
    if dialect is COINM:
        body |= {"ps": "BTCUSD"}
    body |= {"b": raw(dialect, event.bids), "a": raw(dialect, event.asks)}
    return {"stream": f"{dialect.symbol.lower()}@depth@0ms", "data": body}


def line(time: int, document: Mapping[str, Any]) -> bytes:
    """One line of a capture."""
    return f"{time} {json.dumps(document, separators=(',', ':'))}\n".encode()


def capture_lines(dialect: Dialect, events: Iterable[MarketEvent]) -> list[bytes]:
    """The lines of a capture."""
    return [line(event.time, message(dialect, event)) for event in events]


def save(folder: Path, lines: Iterable[bytes]) -> Path:
    """Write `capture.gz` into a folder."""
    file = folder / "capture.gz"
    file.write_bytes(gzip.compress(b"".join(lines), mtime=0))
    return file


def opened(
    dialect: Dialect, folder: Path, events: Sequence[MarketEvent], **config: Scalar
) -> RecordedVenue:
    """A venue over events."""
    folder.mkdir(exist_ok=True)
    save(folder, capture_lines(dialect, events))
    return RecordedVenue({"dialect": dialect.name, **config}, folder)


def builder(dialect: Dialect) -> BuildVenue:
    """What the conformance suite asks of an adapter's author."""

    def build(
        events: Sequence[MarketEvent],
        folder: Path,
        *,
        stale_ms: int,
        journal: Path,
        chunk_bytes: int,
    ) -> VenueAdapter:
        save(folder, capture_lines(dialect, events))
        config: dict[str, Scalar] = {
            "dialect": dialect.name,
            "stale_ms": stale_ms,
            "journal": str(journal),
        }
        return RecordedVenue(config, folder, chunk_bytes=chunk_bytes)

    return build
