"""Ladders from a notebook: arrays of levels, or a frame with one row a level.

A table is a mapping: `ask`, `ask_size`, `bid`, `bid_size`, each of shape (venues, instruments,
levels), prices all-in and positive; a size of 0 is no level. Optional: `capital`, one number a
venue; `inventory`, shape (venues, instruments); `assets`, the instruments' names; `quote`; `unit`.
A frame has the columns `FRAME_COLUMNS`, and may have `capital` and `inventory`, the same in all
rows of a venue, or of a venue and an asset.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import fsum
from typing import Any

import numpy as np

from covenue.errors import BadInput
from covenue.numerics.decimals import as_toml, parse_decimal
from covenue_domain_arbitrage.books import Floats
from covenue_domain_arbitrage.goals import Terms
from covenue_domain_arbitrage.ladders import Ladders
from covenue_domain_arbitrage.ladders_kernel import Levels
from covenue_domain_arbitrage.ladders_memory import LEVELS_MOST

ARRAYS = ("ask", "ask_size", "bid", "bid_size")
FRAME_COLUMNS = ("venue", "asset", "side", "price", "size")
TABLE_KEYS = (*ARRAYS, "capital", "inventory", "assets", "quote", "unit")
UNIT = "0.000001"
AMOUNT_MOST = 2.0**62


def is_ladders(held: Any) -> bool:
    """Whether this is a table or a frame of ladders."""
    if hasattr(held, "columns"):
        return set(FRAME_COLUMNS) <= set(held.columns)
    return isinstance(held, Mapping) and set(ARRAYS) <= set(held)


def ladders_of(held: Any, terms: Terms) -> Ladders:
    """Ladders on a plan's coordinates. Raises BadInput, naming the field and what it has to be."""
    table = _table_of(held) if hasattr(held, "columns") else held
    for key in table:
        if key not in TABLE_KEYS:
            raise _bad(key, "ladders have no such field", f"use only {', '.join(TABLE_KEYS)}", key)
    quote = str(table.get("quote", terms.assets[-1]))
    others = tuple(asset for asset in terms.assets if asset != quote)
    assets = tuple(map(str, table.get("assets", others)))
    places = {asset: place for place, asset in enumerate(terms.assets)}
    for name in (quote, *assets):
        if name not in places:
            raise _bad("assets", f"asset '{name}' has no reference",
                       "add it to domain.goal.assets and domain.goal.references", name)  # fmt: skip
    if len({quote, *assets}) <= len(assets):
        raise _bad("assets", "an asset is named twice", "name every instrument once", quote)
    unit = parse_decimal(table.get("unit", UNIT), "ladders.unit")
    if unit <= 0:
        raise _bad("unit", "a lot of nothing", "give the amount of one lot", as_toml(unit))
    place = np.array([places[asset] for asset in assets], dtype=np.int64)
    return Ladders(terms, _levels(table, len(assets), unit), place, places[quote], unit)


def _levels(table: Mapping[str, Any], instruments: int, unit: Fraction) -> Levels:
    ask, asked, bid, wanted = (_array(table, name, instruments) for name in ARRAYS)
    if ask.shape != asked.shape or bid.shape != wanted.shape or len(ask) != len(bid):
        raise _bad("ask_size", "prices and sizes are of two shapes", "give one size a price",
                   str(asked.shape))  # fmt: skip
    venues = len(ask)
    depth = max(ask.shape[2], bid.shape[2])
    price, size = np.ones((2, venues, 2, instruments, depth))
    size[:] = 0.0
    for side, (levels, sizes) in enumerate(((ask, asked), (bid, wanted))):
        _fill(price[:, side], size[:, side], levels, sizes, falling=side == 1)
    inventory = _limits(table, "inventory", (venues, instruments))
    size[:, 1] = _cut(size[:, 1], inventory)
    count = (size > 0).sum(axis=3, dtype=np.int64)
    held, costs = _running(size), _running(price * size)
    paid = np.array([fsum(row) for row in costs[:, 0, :, -1].tolist()])
    capital = np.minimum(_limits(table, "capital", (venues,)), paid)
    lots = np.floor(held[..., -1] / float(unit) * (1.0 - 2.0**-48)).astype(np.int64)
    return Levels(price, size, held, costs, count, lots, capital)


def _array(table: Mapping[str, Any], name: str, instruments: int) -> Floats:
    try:
        array = np.asarray(table[name], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _bad(name, "levels are no numbers", "give an array of numbers", name) from error
    if array.ndim != 3 or array.shape[1] != instruments or array.shape[2] > LEVELS_MOST:
        raise _bad(name, "levels have another shape",
                   f"give (venues, {instruments}, at most {LEVELS_MOST} levels)",
                   str(array.shape))  # fmt: skip
    if not bool((np.isfinite(array) & (array >= 0.0) & (array < AMOUNT_MOST)).all()):
        raise _bad(name, "a number is negative or not finite", "give numbers of at least 0", name)
    return array


def _fill(price: Floats, size: Floats, levels: Floats, sizes: Floats, *, falling: bool) -> None:
    """Best level first, and levels without size or price last; equal prices keep their order."""
    real = (sizes > 0) & (levels > 0)
    key = np.where(real, -levels if falling else levels, np.inf)
    order = np.argsort(key, axis=2, kind="stable")
    depth = levels.shape[2]
    price[..., :depth] = np.take_along_axis(np.where(real, levels, 1.0), order, axis=2)
    size[..., :depth] = np.take_along_axis(np.where(real, sizes, 0.0), order, axis=2)


def _cut(size: Floats, limit: Floats) -> Floats:
    """Sizes of which no more than a limit can be taken, from the best level on."""
    before = _running(size)[..., :-1]
    return np.asarray(np.clip(limit[..., None] - before, 0.0, size), dtype=np.float64)


def _running(amounts: Floats) -> Floats:
    """Sums of the levels before each, one longer, added level by level."""
    sums = np.zeros((*amounts.shape[:-1], amounts.shape[-1] + 1))
    for level in range(amounts.shape[-1]):
        sums[..., level + 1] = sums[..., level] + amounts[..., level]
    return sums


def _limits(table: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Floats:
    value = table.get(name)
    if value is None:
        return np.full(shape, np.inf)
    array = np.asarray(value, dtype=np.float64)
    if array.shape not in ((), shape) or not bool((array >= 0.0).all()):
        raise _bad(name, "limits do not fit", f"give numbers of at least 0, of shape {shape}", name)
    return np.broadcast_to(array, shape)


def _table_of(frame: Any) -> dict[str, Any]:
    """The arrays of a frame; venues in the order in which they appear."""
    columns = {name: list(frame[name].tolist()) for name in frame.columns}
    venues, assets = (list(dict.fromkeys(map(str, columns[name]))) for name in ("venue", "asset"))
    rows = list(zip(*(columns[name] for name in FRAME_COLUMNS), strict=True))
    cells: dict[tuple[int, int, str], list[tuple[float, float]]] = {}
    for number, (venue, asset, side, price, size) in enumerate(rows):
        if side not in {"ask", "bid"}:
            raise _bad("side", f"row {number} is on no side", 'give "ask" or "bid"', str(side))
        at = (venues.index(str(venue)), assets.index(str(asset)), str(side))
        cells.setdefault(at, []).append((price, size))
    depth = max((len(levels) for levels in cells.values()), default=0)
    table: dict[str, Any] = {"assets": tuple(assets)}
    for name in ARRAYS:
        table[name] = np.zeros((len(venues), len(assets), depth))
    for (i, k, side), levels in cells.items():
        for name, values in zip((side, f"{side}_size"), zip(*levels, strict=True), strict=True):
            table[name][i, k, : len(levels)] = values
    return table | _limit_columns(columns, venues, assets)


def _limit_columns(
    columns: Mapping[str, Sequence[Any]], venues: Sequence[str], assets: Sequence[str]
) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    at = [venues.index(str(venue)) for venue in columns["venue"]]
    if "capital" in columns:
        found["capital"] = np.zeros(len(venues))
        found["capital"][at] = columns["capital"]
    if "inventory" in columns:
        found["inventory"] = np.full((len(venues), len(assets)), np.inf)
        of = [assets.index(str(asset)) for asset in columns["asset"]]
        found["inventory"][at, of] = columns["inventory"]
    return found


def _bad(field: str, what: str, advice: str, value: str) -> BadInput:
    return BadInput(what, advice, field=f"ladders.{field}", value=value)
