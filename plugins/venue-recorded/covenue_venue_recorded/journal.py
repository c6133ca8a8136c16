"""How the journal of a paper venue writes down what an order took from the book."""

from collections.abc import Mapping
from typing import Any

from covenue.hooks.journal import JournalFormat
from covenue_venue_recorded.book import Take

Takes = tuple[Take, ...]


def _write(takes: Takes) -> list[dict[str, Any]]:
    return [
        {
            "time": str(take.time),
            "side": take.side,
            "ticks": str(take.ticks),
            "steps": str(take.steps),
            "refreshed": None if take.refreshed is None else str(take.refreshed),
        }
        for take in takes
    ]


def _read(document: Any) -> Takes:
    return tuple(_take(item) for item in document)


def _take(item: Mapping[str, Any]) -> Take:
    refreshed = item["refreshed"]
    return Take(
        int(item["time"]),
        int(item["side"]),
        int(item["ticks"]),
        int(item["steps"]),
        None if refreshed is None else int(refreshed),
    )


FORMAT = JournalFormat("venue-recorded/1", _write, _read)
