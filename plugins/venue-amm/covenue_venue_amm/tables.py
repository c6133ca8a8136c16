"""Reads a party's tables of assets, pools, ranges and trades, strictly.

Whatever does not fit is a BadInput that names file, line, column and value. Nothing is rounded: an
amount with more digits than its asset is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from covenue.hooks.tables import Table, is_name, read_table, table_file
from covenue_contracts.energibridge import Asset
from covenue_venue_amm.ranges import ENDS_MAX, Range, range_of
from covenue_venue_amm.swaps import WHOLE

ASSET_COLUMNS = ("asset", "decimals")
POOL_COLUMNS = ("pool", "asset_a", "asset_b", "reserve_a", "reserve_b", "fee_ppm")
RANGE_COLUMNS = (
    "pool",
    "asset_a",
    "asset_b",
    "fee_ppm",
    "root_x96",
    "lower_x96",
    "upper_x96",
    "liquidity",
)
TRADE_COLUMNS = ("time_ns", "pool", "pays", "amount")
DECIMALS_MAX = 18
NATIVE_MAX = 2**62
TIME_MAX = 2**63 - 1
LONG = re.compile(r"[1-9][0-9]{0,48}")
AMOUNT = re.compile(r"(0|[1-9][0-9]{0,18})(?:\.([0-9]+))?")
Column = NDArray[np.int64]


@dataclass(frozen=True)
class Pools:
    """The tables of pools and of ranges: names with their rows, and columns of int64.

    sides: int64[n, 2], indices into `assets`. reserves: int64[n, 2], native units, as of the first
    instant. fee_ppm: int64[n]. rows: a row by its name: whole pools first, then every range, called
    `<pool>/<k>`, k from 0 by ascending price. asset_rows: the same for assets. ranges: the rows of
    a pool of ranges, by its name. floors: int64[n, 2], what is never paid out; 0 for whole pools.
    """

    assets: tuple[Asset, ...]
    asset_rows: Mapping[str, int]
    rows: Mapping[str, int]
    sides: Column
    reserves: Column
    fee_ppm: Column
    ranges: Mapping[str, range]
    floors: Column

    @property
    def whole(self) -> int:
        """How many rows are whole pools; all later ones are ranges."""
        return len(self.rows) - sum(map(len, self.ranges.values()))

    @cached_property
    def neighbours(self) -> Mapping[int, range]:
        """The rows of a range's pool, by its own row."""
        return {row: rows for rows in self.ranges.values() for row in rows}

    def nearer(self, row: int, side: int) -> range:
        """Rows of a range's pool that are used up before it when a side is paid, nearest first.

        Paying a lowers the price of a in b, and paying b raises it.
        """
        rows = self.neighbours[row]
        return range(rows.stop - 1, row, -1) if side == 0 else range(rows.start, row)

    def product(self, row: int) -> int:
        """The product of a row's first reserves."""
        one, other = self.reserves[row].tolist()
        return int(one * other)

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
    """The tables `assets`, `pools` and `ranges` of a folder; one of the last two may be missing.

    Raises BadInput.
    """
    assets = _read_assets(_table(folder, "assets", ASSET_COLUMNS))
    held = _Held(assets, {asset.name: row for row, asset in enumerate(assets)})
    ranges = table_file(folder, "ranges")
    if ranges is None or table_file(folder, "pools") is not None:
        held.add_pools(_table(folder, "pools", POOL_COLUMNS))
    if ranges is not None:
        held.add_ranges(_table(folder, "ranges", RANGE_COLUMNS))
    return Pools(
        assets,
        held.asset_rows,
        held.rows,
        sides=_column(held.sides, (-1, 2)),
        reserves=_column(held.reserves, (-1, 2)),
        fee_ppm=_column(held.fees, (-1,)),
        ranges=held.ranges,
        floors=_column(held.floors, (-1, 2)),
    )


@dataclass
class _Held:
    """What the tables hold so far, row by row."""

    assets: tuple[Asset, ...]
    asset_rows: Mapping[str, int]
    rows: dict[str, int] = field(default_factory=dict)
    sides: list[list[int]] = field(default_factory=list)
    reserves: list[Sequence[int]] = field(default_factory=list)
    floors: list[Sequence[int]] = field(default_factory=list)
    fees: list[int] = field(default_factory=list)
    ranges: dict[str, range] = field(default_factory=dict)

    def add_pools(self, table: Table) -> None:
        """All whole pools."""
        for row in range(len(table.rows)):
            pool = table.name(row, "pool")
            if pool in self.rows:
                what = f"the pool is there twice, first in line {self.rows[pool] + 2}"
                raise table.wrong(row, "pool", what, "rename it")
            a, b = self._pair(table, row)
            reserves = (
                amount(table, row, "reserve_a", self.assets[a]),
                amount(table, row, "reserve_b", self.assets[b]),
            )
            self._add(pool, [a, b], Range(reserves, (0, 0)), _fee(table, row))

    def add_ranges(self, table: Table) -> None:
        """All ranges; those of one pool stand together, by ascending price."""
        before = -1
        for row in range(len(table.rows)):
            pool = table.name(row, "pool")
            is_next = before >= 0 and table.text(before, "pool") == pool
            if is_next:
                _refuse_another_pool(table, before, row)
            elif pool in self.ranges or pool in self.rows:
                raise table.wrong(
                    row, "pool", "the pool is there already", "put its ranges together, or rename"
                )
            first = self.ranges[pool].start if is_next else len(self.rows)
            name = f"{pool}/{len(self.rows) - first}"
            if name in self.rows or not is_name(name):
                raise table.wrong(row, "pool", f"a range cannot be called {name}", "rename it")
            self._add(name, self._pair(table, row), _range(table, row), _fee(table, row))
            self.ranges[pool] = range(first, len(self.rows))
            before = row

    def _add(self, name: str, sides: list[int], held: Range, fee: int) -> None:
        self.rows[name] = len(self.rows)
        self.sides.append(sides)
        self.reserves.append(held.reserves)
        self.floors.append(held.floors)
        self.fees.append(fee)

    def _pair(self, table: Table, row: int) -> list[int]:
        columns = ("asset_a", "asset_b")
        pair = [_known(table, row, column, self.asset_rows) for column in columns]
        if pair[0] == pair[1]:
            raise table.wrong(
                row, "asset_b", "both sides of the pool are the same asset", "name another"
            )
        return pair


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


def _range(table: Table, row: int) -> Range:
    root, lower, upper, liquidity = (
        _long(table, row, column) for column in RANGE_COLUMNS[RANGE_COLUMNS.index("root_x96") :]
    )
    if upper <= lower:
        raise table.wrong(row, "upper_x96", "the range ends before it begins", "swap its ends")
    held = range_of(root, lower, upper, liquidity)
    if held is None:
        raise table.wrong(
            row,
            "liquidity",
            f"at an end the reserves are no whole numbers from 1 to {ENDS_MAX}",
            "give the assets other decimals, or leave the range out",
        )
    if held.is_empty:
        raise table.wrong(row, "liquidity", "the range can give nothing", "leave it out")
    return held


def _long(table: Table, row: int, column: str) -> int:
    text = table.text(row, column)
    if not LONG.fullmatch(text):
        raise table.wrong(
            row, column, "a positive whole number is expected", "write at most 49 digits"
        )
    return int(text)


def _refuse_another_pool(table: Table, before: int, row: int) -> None:
    """Raise BadInput unless a range goes on with the pool of the row above, at higher prices."""
    for column in ("asset_a", "asset_b", "fee_ppm", "root_x96"):
        if table.text(row, column) != table.text(before, column):
            raise table.wrong(
                row,
                column,
                "the ranges of one pool differ in this",
                "repeat it, or rename the pool",
            )
    if _long(table, row, "lower_x96") < _long(table, before, "upper_x96"):
        raise table.wrong(
            row, "lower_x96", "the range begins below the end of the one above", "sort by price"
        )


def _trade(table: Table, row: int, pools: Pools) -> list[int]:
    pool = table.name(row, "pool")
    place = pools.ranges[pool].start if pool in pools.ranges else pools.rows.get(pool, -1)
    if place < 0 or (place >= pools.whole and pool not in pools.ranges):
        raise table.wrong(
            row, "pool", "the pool is not in the table of pools", "add it there, or correct it"
        )
    pays = table.name(row, "pays")
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
    """Raise BadInput where what was ever paid in could not be counted any more.

    A range takes no more than its ends allow, and those were checked.
    """
    held: dict[tuple[int, int], int] = {}
    for row, (_, place, side, paid) in enumerate(trades):
        if place >= pools.whole:
            continue
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
