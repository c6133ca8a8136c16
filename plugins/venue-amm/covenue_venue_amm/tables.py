"""Reads a party's tables, strictly: a header, then one row a line, no quotes, no empty lines.

A table is `<name>.csv`, or `<name>.csv.gz`. Whatever does not fit is a BadInput that names file,
line, column and value. Nothing is rounded: an amount with more digits than its asset is refused.
"""

import gzip
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput
from covenue_contracts.energibridge import Asset
from covenue_venue_amm.swaps import WHOLE

ASSET_COLUMNS = ("asset", "decimals")
POOL_COLUMNS = ("pool", "asset_a", "asset_b", "reserve_a", "reserve_b", "fee_ppm")
TRADE_COLUMNS = ("time_ns", "pool", "pays", "amount")
DECIMALS_MAX = 18
NATIVE_MAX = 2**62
TIME_MAX = 2**63 - 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
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


@dataclass(frozen=True)
class Table:
    """Lines of text, cut into fields; row i stands in line i + 2."""

    file: Path
    columns: tuple[str, ...]
    rows: Sequence[list[str]]

    def wrong(self, row: int, column: str, what: str, advice: str) -> BadInput:
        """An error at one field."""
        value = self.rows[row][self.columns.index(column)]
        return _damaged(self.file, f"line {row + 2}: {column}", value, what, advice)

    def name(self, row: int, column: str) -> str:
        """A name. Raises BadInput."""
        text = self.rows[row][self.columns.index(column)]
        if not NAME.fullmatch(text):
            raise self.wrong(
                row,
                column,
                "a name is expected",
                "use 1 to 64 letters, digits and . _ : / -",
            )
        return text

    def integer(self, row: int, column: str, most: int) -> int:
        """A whole number from 0 to `most`. Raises BadInput."""
        text = self.rows[row][self.columns.index(column)]
        if not INTEGER.fullmatch(text) or int(text) > most:
            raise self.wrong(
                row, column, "a whole number is expected", f"write digits only, 0 to {most}"
            )
        return int(text)

    def amount(self, row: int, column: str, asset: Asset) -> int:
        """A positive amount in native units of an asset. Raises BadInput."""
        found = AMOUNT.fullmatch(self.rows[row][self.columns.index(column)])
        if found is None:
            raise self.wrong(
                row, column, "a positive decimal is expected", "write it like 1250.75, no sign"
            )
        digits = found[2] or ""
        if len(digits) > asset.decimals:
            raise self.wrong(
                row,
                column,
                f"{asset.name} has {asset.decimals} decimals, this amount has {len(digits)}",
                "round it yourself, or give the asset more decimals",
            )
        native = int(found[1] + digits.ljust(asset.decimals, "0"))
        if not 0 < native <= NATIVE_MAX:
            raise self.wrong(
                row,
                column,
                "the amount is zero" if not native else "the amount is beyond 2^62 native units",
                "leave the row out" if not native else "give the asset fewer decimals",
            )
        return native


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
                table.amount(row, "reserve_a", assets[pair[0]]),
                table.amount(row, "reserve_b", assets[pair[1]]),
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
    if any(file.exists() for file in _places(folder, "trades")):
        table = _table(folder, "trades", TRADE_COLUMNS)
        columns = [_trade(table, row, pools) for row in range(len(table.rows))]
        _refuse_going_back(table, columns, since)
        _refuse_overflow(table, columns, pools)
    time, row, side, paid = _column(columns, (-1, 4)).T
    return Trades(time, row, side, paid)


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
        assets.append(Asset(name=name, decimals=table.integer(row, "decimals", DECIMALS_MAX)))
    return tuple(assets)


def _known(table: Table, row: int, column: str, asset_rows: Mapping[str, int]) -> int:
    name = table.name(row, column)
    if name not in asset_rows:
        raise table.wrong(
            row, column, "the asset is not in the table of assets", "add it there, or correct it"
        )
    return asset_rows[name]


def _fee(table: Table, row: int) -> int:
    fee = table.integer(row, "fee_ppm", NATIVE_MAX)
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
    time = table.integer(row, "time_ns", TIME_MAX)
    return [time, place, side, table.amount(row, "amount", asset)]


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


def _places(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.csv", folder / f"{name}.csv.gz"


def _table(folder: Path, name: str, columns: tuple[str, ...]) -> Table:
    """One table with exactly these columns. Raises BadInput."""
    plain, packed = _places(folder, name)
    if plain.exists() and packed.exists():
        raise BadInput("the table is there twice", f"delete {plain.name}", file=str(packed))
    file = packed if packed.exists() else plain
    lines = _text(file).split("\n")
    if lines[-1] == "":
        lines.pop()
    lines = [line.removesuffix("\r") for line in lines]
    header = ",".join(columns)
    if not lines or lines[0] != header:
        first = lines[0] if lines else ""
        raise _damaged(file, "line 1", first, "the header is another", f"write {header}")
    rows = [line.split(",") for line in lines[1:]]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            raise _damaged(
                file,
                f"line {number}",
                lines[number - 1],
                f"{len(columns)} fields are expected, not {len(row)}",
                f"write {header}, without quotes and empty lines",
            )
    if not rows and name != "trades":
        raise _damaged(file, "line 2", "", "the table is empty", f"add rows of {header}")
    return Table(file, columns, rows)


def _text(file: Path) -> str:
    """The text of a file, unpacked where its name says so. Raises BadInput."""
    data = b""
    try:
        data = file.read_bytes()
        if file.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode("utf-8")
    except FileNotFoundError as error:
        raise BadInput(
            "the table is not there", "put it into the party's folder", file=str(file)
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = data[error.start : error.end].hex()
        raise _damaged(
            file, f"line {line}", text, "the table is not UTF-8 text", "save it as UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            "the table cannot be read: it is truncated, no gzip file, or no file",
            "copy it again and compare its SHA-256",
            file=str(file),
            value=str(error)[:200],
        ) from error


def _damaged(file: Path, place: str, value: str, what: str, advice: str) -> BadInput:
    return BadInput(what, advice, file=str(file), field=place, value=value[:200])


def _column(values: Sequence[object], shape: tuple[int, ...]) -> Column:
    column = np.array(values, dtype=np.int64).reshape(shape)
    column.flags.writeable = False
    return column
