"""How the journal of a paper venue writes down what an order took from the book."""

from typing import Any

from covenue.hooks.journal import JournalFormat
from covenue_venue_recorded.book import Take


def _write(take: Take) -> dict[str, Any]:
    return {
        "time": str(take.time),
        "side": take.side,
        "ticks": str(take.ticks),
        "steps": str(take.steps),
        "refreshed": None if take.refreshed is None else str(take.refreshed),
    }


def _read(item: Any) -> Take:
    refreshed = item["refreshed"]
    return Take(
        int(item["time"]),
        int(item["side"]),
        int(item["ticks"]),
        int(item["steps"]),
        None if refreshed is None else int(refreshed),
    )


FORMAT = JournalFormat("venue-recorded/1", _write, _read)
