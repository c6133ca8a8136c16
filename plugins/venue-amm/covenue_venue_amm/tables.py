"""Reads a party's tables of assets, pools and trades, strictly.

Whatever does not fit is a BadInput that names file, line, column and value. Nothing is rounded: an
amount with more digits than its asset is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from covenue.hooks.tables import Table, read_table, table_file
from covenue_contracts.energibridge import Asset
from covenue_venue_amm.swaps import WHOLE

ASSET_COLUMNS = ("asset", "decimals")
POOL_COLUMNS = ("pool", "asset_a", "asset_b", "reserve_a", "reserve_b", "fee_ppm")
TRADE_COLUMNS = ("time_ns", "pool", "pays", "amount")
DECIMALS_MAX = 18
NATIVE_MAX = 2**62
TIME_MAX = 2**63 - 1
AMOUNT = re.compile(r"(0|[1-9][0-9]{0,18})(?:\.([0-9]+))?")
Column = NDArray[np.int64]


@dataclass(frozen=True)
class Pools:
    """The pool table: names with their rows, and columns of int64.

    sides: int64[n, 2], indices into `assets`. reserves: int64[n, 2], native units, as of the first
    instant. fee_ppm: int64[n]. rows: a pool's row by its name. asset_rows: the same for assets.
    """

    assets: tuple[Asset, ...]
    asset_rows: Mapping[str, int]
    rows: Mapping[str, int]
    sides: Column
    reserves: Column
    fee_ppm: Column

    def side(self, row: int, asset: str) -> int | None:
        """Which side of a pool an asset is, 0 or 1; None when the pool does not hold it."""
        known = self.asset_rows.get(asset)
        sides = self.sides[row].tolist()
        return sides.index(known) if known in sides else None


@dataclass(frozen=True)
class Trades:
    """Somebody else's swaps, in order of time: when, with which pool, paying which side how much.

    All int64[n].
    """

    time: Column
    row: Column
    side: Column
    paid: Column


def read_pools(folder: Path) -> Pools:
    """The tables `assets` and `pools` of a folder. Raises BadInput."""
    assets = _read_assets(_table(folder, "assets", ASSET_COLUMNS))
    asset_rows = {asset.name: row for row, asset in enumerate(assets)}
    table = _table(folder, "pools", POOL_COLUMNS)
    rows: dict[str, int] = {}
    sides, reserves, fees = [], [], []
    for row in range(len(table.rows)):
        pool = table.name(row, "pool")
        if pool in rows:
            raise table.wrong(
                row, "pool", f"the pool is there twice, first in line {rows[pool] + 2}", "rename it"
            )
        rows[pool] = row
        pair = [_known(table, row, column, asset_rows) for column in ("asset_a", "asset_b")]
        if pair[0] == pair[1]:
            raise table.wrong(
                row, "asset_b", "both sides of the pool are the same asset", "name another"
            )
        sides.append(pair)
        reserves.append(
            [
                amount(table, row, "reserve_a", assets[pair[0]]),
                amount(table, row, "reserve_b", assets[pair[1]]),
            ]
        )
        fees.append(_fee(table, row))
    return Pools(
        assets,
        asset_rows,
        rows,
        sides=_column(sides, (-1, 2)),
        reserves=_column(reserves, (-1, 2)),
        fee_ppm=_column(fees, (-1,)),
    )


def read_trades(folder: Path, pools: Pools, since: int) -> Trades:
    """The table `trades` of a folder, empty where there is none. Raises BadInput."""
    columns: list[list[int]] = []
    file = table_file(folder, "trades")
    if file is not None:
        table = read_table(file, TRADE_COLUMNS)
        columns = [_trade(table, row, pools) for row in range(len(table.rows))]
        _refuse_going_back(table, columns, since)
        _refuse_overflow(table, columns, pools)
    time, row, side, paid = _column(columns, (-1, 4)).T
    return Trades(time, row, side, paid)


def amount(table: Table, row: int, column: str, asset: Asset) -> int:
    """A positive amount in native units of an asset. Raises BadInput."""
    found = AMOUNT.fullmatch(table.text(row, column))
    if found is None:
        raise table.wrong(
            row, column, "a positive decimal is expected", "write it like 1250.75, no sign"
        )
    digits = found[2] or ""
    if len(digits) > asset.decimals:
        raise table.wrong(
            row,
            column,
            f"{asset.name} has {asset.decimals} decimals, this amount has {len(digits)}",
            "round it yourself, or give the asset more decimals",
        )
    native = int(found[1] + digits.ljust(asset.decimals, "0"))
    if not 0 < native <= NATIVE_MAX:
        raise table.wrong(
            row,
            column,
            "the amount is zero" if not native else "the amount is beyond 2^62 native units",
            "leave the row out" if not native else "give the asset fewer decimals",
        )
    return native


def _read_assets(table: Table) -> tuple[Asset, ...]:
    lines: dict[str, int] = {}
    assets = []
    for row in range(len(table.rows)):
        name = table.name(row, "asset")
        if name in lines:
            raise table.wrong(
                row, "asset", f"the asset is there twice, first in line {lines[name]}", "rename it"
            )
        lines[name] = row + 2
        assets.append(Asset(name=name, decimals=table.integer(row, "decimals", 0, DECIMALS_MAX)))
    return tuple(assets)


def _known(table: Table, row: int, column: str, asset_rows: Mapping[str, int]) -> int:
    name = table.name(row, column)
    if name not in asset_rows:
        raise table.wrong(
            row, column, "the asset is not in the table of assets", "add it there, or correct it"
        )
    return asset_rows[name]


def _fee(table: Table, row: int) -> int:
    fee = table.integer(row, "fee_ppm", 0, NATIVE_MAX)
    if fee >= WHOLE:
        raise table.wrong(
            row, "fee_ppm", "a fee of 100 % or more leaves nothing", f"use 0 to {WHOLE - 1}"
        )
    return fee


def _trade(table: Table, row: int, pools: Pools) -> list[int]:
    pool = table.name(row, "pool")
    if pool not in pools.rows:
        raise table.wrong(
            row, "pool", "the pool is not in the table of pools", "add it there, or correct it"
        )
    place, pays = pools.rows[pool], table.name(row, "pays")
    side = pools.side(place, pays)
    if side is None:
        raise table.wrong(
            row, "pays", f"the pool {pool} does not hold this asset", "name one of its two assets"
        )
    asset = pools.assets[pools.asset_rows[pays]]
    time = table.integer(row, "time_ns", 0, TIME_MAX)
    return [time, place, side, amount(table, row, "amount", asset)]


def _refuse_going_back(table: Table, trades: Sequence[list[int]], since: int) -> None:
    """Raise BadInput for a trade before `since`, or before the one above it."""
    before = since
    for row, (time, *_) in enumerate(trades):
        if time < before:
            raise table.wrong(
                row,
                "time_ns",
                f"time goes back from {before}",
                "sort the trades by time; none may lie before `since`",
            )
        before = time


def _refuse_overflow(table: Table, trades: Sequence[list[int]], pools: Pools) -> None:
    """Raise BadInput where what was ever paid in could not be counted any more."""
    held: dict[tuple[int, int], int] = {}
    for row, (_, place, side, paid) in enumerate(trades):
        known = held.get((place, side), int(pools.reserves[place, side]))
        if known + paid > NATIVE_MAX:
            raise table.wrong(
                row,
                "amount",
                "the trades so far pay more than 2^62 native units into one side of this pool",
                "give the asset fewer decimals, or begin the history later",
            )
        held[place, side] = known + paid


def _table(folder: Path, name: str, columns: tuple[str, ...]) -> Table:
    """A table that has to be there, with at least one row. Raises BadInput."""
    table = read_table(table_file(folder, name) or folder / f"{name}.csv", columns)
    table.refuse_empty(f"add rows of {','.join(columns)}")
    return table


def _column(values: Sequence[object], shape: tuple[int, ...]) -> Column:
    column = np.array(values, dtype=np.int64).reshape(shape)
    column.flags.writeable = False
    return column
