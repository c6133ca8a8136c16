"""Writes folders of pools, from the scripts of the conformance suite or row by row."""

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path

from covenue.hooks.venues import VenueAdapter
from covenue.testing.venues import PoolScript, at
from covenue_contracts.contract import Scalar
from covenue_venue_amm.tables import (
    ASSET_COLUMNS,
    POOL_COLUMNS,
    RANGE_COLUMNS,
    TRADE_COLUMNS,
)
from covenue_venue_amm.venue import PoolVenue

HEADERS = {
    "assets": ASSET_COLUMNS,
    "pools": POOL_COLUMNS,
    "ranges": RANGE_COLUMNS,
    "trades": TRADE_COLUMNS,
}
Rows = Iterable[Sequence[object]]


def text(native: int, decimals: int) -> str:
    """Native units as decimal text."""
    whole, part = divmod(native, 10**decimals)
    return f"{whole}.{part:0{decimals}d}" if decimals else str(whole)


def save(folder: Path, name: str, rows: Rows, *, packed: bool = False) -> Path:
    """Write one table with its header."""
    lines = (HEADERS[name], *rows)
    data = "".join(",".join(map(str, line)) + "\n" for line in lines).encode()
    file = folder / (f"{name}.csv.gz" if packed else f"{name}.csv")
    file.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return file


def save_script(folder: Path, script: PoolScript, *, packed: bool = False) -> None:
    """Write all tables of a script."""
    decimals = dict(script.assets)
    save(folder, "assets", script.assets, packed=packed)
    pools = (
        (
            line.pool,
            *line.assets,
            *(
                text(reserve, decimals[asset])
                for reserve, asset in zip(line.reserves, line.assets, strict=True)
            ),
            line.fee_ppm,
        )
        for line in script.pools
    )
    save(folder, "pools", pools, packed=packed)
    trades = (
        (trade.time, trade.pool, trade.pays, text(trade.paid, decimals[trade.pays]))
        for trade in script.trades
    )
    save(folder, "trades", trades, packed=packed)


def opened(
    folder: Path, script: PoolScript, *, packed: bool = False, **config: Scalar
) -> PoolVenue:
    """A venue over a script."""
    folder.mkdir(exist_ok=True)
    save_script(folder, script, packed=packed)
    return PoolVenue({"since": str(at(0)), **config}, folder)


def build(script: PoolScript, folder: Path, *, stale_ms: int | None, journal: Path) -> VenueAdapter:
    """What the conformance suite asks of an adapter's author."""
    return opened(folder, script, stale_ms=stale_ms, journal=str(journal))
