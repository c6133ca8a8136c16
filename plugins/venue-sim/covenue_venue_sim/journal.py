"""How the journal of a simulated venue writes down what an order took."""

from typing import Any

from covenue.hooks.journal import JournalFormat
from covenue_venue_sim.fold import Take

Takes = tuple[Take, ...]


def _write(takes: Takes) -> list[dict[str, str]]:
    return [
        {
            "time": str(take.time),
            "side": str(take.side),
            "ticks": str(take.ticks),
            "steps": str(take.steps),
        }
        for take in takes
    ]


def _read(document: Any) -> Takes:
    return tuple(
        Take(int(item["time"]), int(item["side"]), int(item["ticks"]), int(item["steps"]))
        for item in document
    )


FORMAT = JournalFormat("venue-sim/1", _write, _read)
