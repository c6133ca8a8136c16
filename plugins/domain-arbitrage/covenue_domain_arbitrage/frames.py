"""Tables of pools from a notebook: arrays and data frames become a batch of pools."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from covenue.errors import BadInput
from covenue.hooks.venues import PoolBatch
from covenue_contracts.energibridge import Asset, ClockStamp

COLUMNS = ("asset_a", "asset_b", "reserve_a", "reserve_b", "fee_ppm")
DECIMALS = 9
NATIVE_MOST = 2**60
AT_NO_TIME = ClockStamp(venue_time=None, local_time="0", clock="none", offset="0", half_width="0")


def batch_of(given: Any, assets: Sequence[str], band: int) -> PoolBatch:
    """Pools from an array of shape (n, 5), rows of five, or a frame with columns `COLUMNS`.

    Assets are names, or numbers from 0 in the order of `assets`; reserves are in units and are
    rounded down to 9 decimals, or to as many as leave room for what a pool may be paid within the
    band. Raises BadInput, naming the row and the column.
    """
    rows = _rows(given)
    decimals = _decimals(rows, band)
    sides = [[_asset(row, c, number, assets) for c in (0, 1)] for number, row in enumerate(rows)]
    reserves = [
        [_native(row[c], c, number, decimals) for c in (2, 3)] for number, row in enumerate(rows)
    ]
    return PoolBatch(
        "notebook",
        tuple(Asset(name=name, decimals=decimals) for name in assets),
        tuple(f"pool-{number}" for number in range(len(rows))),
        sides=np.array(sides, dtype=np.int64).reshape(-1, 2),
        reserves=np.array(reserves, dtype=np.int64).reshape(-1, 2),
        fee_ppm=np.array([_fee(row[4], number) for number, row in enumerate(rows)], dtype=np.int64),
        stamp=AT_NO_TIME,
    )


def _rows(given: Any) -> list[Sequence[Any]]:
    if hasattr(given, "columns"):
        missing = [name for name in COLUMNS if name not in given.columns]
        if missing:
            raise BadInput("a frame of pools lacks a column", f"name columns {', '.join(COLUMNS)}",
                           field="problems", value=missing[0])  # fmt: skip
        given = zip(*(given[name].tolist() for name in COLUMNS), strict=True)
    elif isinstance(given, np.ndarray):
        given = given.tolist()
    try:
        rows = [tuple(row) for row in given]
    except TypeError as error:
        raise _bad(type(given).__name__, "problems", "pools are no table", "give rows of five") \
            from error  # fmt: skip
    for number, row in enumerate(rows):
        if len(row) != len(COLUMNS):
            raise _bad(f"{len(row)} columns", f"row {number}", "a pool is no row of five",
                       f"give {', '.join(COLUMNS)}")  # fmt: skip
    return list(rows)


def _asset(row: Sequence[Any], column: int, number: int, assets: Sequence[str]) -> int:
    value = row[column]
    if isinstance(value, str) and value in assets:
        return list(assets).index(value)
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    if not isinstance(value, str) and whole and 0 <= int(value) < len(assets):
        return int(value)
    raise _bad(str(value), f"row {number}, {COLUMNS[column]}", "an asset has no reference",
               f"name one of the {len(assets)} assets, or its number from 0")  # fmt: skip


def _decimals(rows: Sequence[Sequence[Any]], band: int) -> int:
    """As many decimals as fit the largest reserve, at most 9."""
    reserves = (row[column] for row in rows for column in (2, 3))
    numbers = (r for r in reserves if isinstance(r, int | float) and isfinite(r))
    largest = max(numbers, default=0)
    fitting = (d for d in range(DECIMALS, 0, -1) if largest * band * 10**d <= NATIVE_MOST)
    return next(fitting, 0)


def _native(value: Any, column: int, number: int, decimals: int) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and 1 <= value * 10**decimals <= NATIVE_MOST:
        return int(value * 10**decimals)
    raise _bad(str(value), f"row {number}, {COLUMNS[column]}", "a reserve does not fit",
               "give a positive number of units that leaves room within the band")  # fmt: skip


def _fee(value: Any, number: int) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and value == int(value) and 0 <= value < 10**6:
        return int(value)
    raise _bad(str(value), f"row {number}, fee_ppm", "a fee is not below 100 %",
               "give whole parts per million from 0 to 999999")  # fmt: skip


def _bad(value: str, field: str, what: str, advice: str) -> BadInput:
    return BadInput(what, advice, field=field, value=value)
