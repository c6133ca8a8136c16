"""How the journal of a simulated venue writes down what an order took."""

from typing import Any

from covenue.hooks.journal import JournalFormat
from covenue_venue_sim.fold import Take


def _write(take: Take) -> dict[str, str]:
    return {
        "time": str(take.time),
        "side": str(take.side),
        "ticks": str(take.ticks),
        "steps": str(take.steps),
    }


def _read(item: Any) -> Take:
    return Take(int(item["time"]), int(item["side"]), int(item["ticks"]), int(item["steps"]))


FORMAT = JournalFormat("venue-sim/1", _write, _read)
