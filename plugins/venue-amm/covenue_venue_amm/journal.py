"""How the journal of a pool venue writes down a swap that it made."""

from typing import Any

from covenue.hooks.journal import JournalFormat
from covenue_venue_amm.fold import OwnSwap


def _write(swap: OwnSwap) -> dict[str, str]:
    return {
        "time": str(swap.time),
        "row": str(swap.row),
        "side": str(swap.side),
        "paid": str(swap.paid),
        "received": str(swap.received),
    }


def _read(item: Any) -> OwnSwap:
    return OwnSwap(
        int(item["time"]),
        int(item["row"]),
        int(item["side"]),
        int(item["paid"]),
        int(item["received"]),
    )


FORMAT = JournalFormat("venue-amm/1", _write, _read)
