"""How the journal of a pool venue writes down the swaps that it made."""

from typing import Any

from covenue.hooks.journal import JournalFormat
from covenue_venue_amm.fold import OwnSwap

Swaps = tuple[OwnSwap, ...]


def _write(swaps: Swaps) -> list[dict[str, str]]:
    return [
        {
            "time": str(swap.time),
            "row": str(swap.row),
            "side": str(swap.side),
            "paid": str(swap.paid),
            "received": str(swap.received),
        }
        for swap in swaps
    ]


def _read(document: Any) -> Swaps:
    return tuple(
        OwnSwap(
            int(item["time"]),
            int(item["row"]),
            int(item["side"]),
            int(item["paid"]),
            int(item["received"]),
        )
        for item in document
    )


FORMAT = JournalFormat("venue-amm/1", _write, _read)
