"""An arbitrage plan with all pools and books opened: one convex program, and what it proposes.

    pool    either way, in units of its reserves: get = x, pay = (x + e) / g, e (1 - x) >= x^2
    level   a part of it, from 0 to 1, at its own all-in price
    venue   all that its levels are bought for is within its capital
    max     r'y    least <= y <= most,  y = all that is got less all that is paid

A pool gives x of one reserve for e more than as much of the other, e of the order of x^2: both are
scaled by what a pool will give, else a conic solver could not tell e from 0. That is guessed from
the references, and near an optimum from its multipliers. At any multipliers one way at most is
worth it, so that two ways at once add nothing.

Every row is in value at the references, so the duals are relative moves of the multipliers. Nothing
here reaches a participant but multipliers on the grid and a width of the coupling: whatever they
are, the answers to them decide.
Source: solvers.md, sections 2(a), 2(d) and 3.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covenue.errors import LayoutMismatch
from covenue.hooks.programs import Entries, Optimum, Products, Program, halves, wholes
from covenue.numerics.words import Words
from covenue_contracts.shared import DualVariables, Query
from covenue_domain_arbitrage.books import Book
from covenue_domain_arbitrage.goals import MULTIPLIER_BITS, Terms
from covenue_domain_arbitrage.ladders_kernel import Levels
from covenue_domain_arbitrage.pools import PPM, Pools

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

POOLS, LEVELS = 1, 2
POOL_WORDS, LEVEL_WORDS = 9, 6
NO_CAPITAL = -1
DECIMALS_MOST = 18
WHOLE = 1e-7
"""A part of a level nearer to nothing or all of it than this is that."""
TIED = 1e-12
NEAREST = 1e-4
"""No pool is taken for nearer to its multipliers than this: they move as well."""
OUT_OF_REACH = 0.05
"""A way that loses so much at the multipliers of one optimum is not in the next program."""
SNAP = 1e-8
"""A relative move smaller than this is none: the coordinate is not short."""


@dataclass(frozen=True, eq=False)
class OpenedPools:
    """Both ways through all pools, each a row; first all that pay side a.

    pays, gets: coordinates. held_in, held_out: reserves, in units. most: the part of its reserve
    that the paid side gives. keep: 1 - fee.
    """

    pays: Integers
    gets: Integers
    held_in: Floats
    held_out: Floats
    most: Floats
    keep: Floats

    def kept(self, rows: NDArray[np.bool_]) -> "OpenedPools":
        """Some of them."""
        return OpenedPools(
            self.pays[rows],
            self.gets[rows],
            self.held_in[rows],
            self.held_out[rows],
            self.most[rows],
            self.keep[rows],
        )

    def gains(self, prices: Floats) -> Floats:
        """The logarithm of what the first unit is worth, got over paid; above 0 it is made."""
        worth_in = self.held_in * prices[self.pays]
        worth_out = self.keep * self.held_out * prices[self.gets]
        return np.asarray(np.log(worth_out / worth_in), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class OpenedLevels:
    """All levels of books: coordinates of base and quote, and what one whole level is.

    purse: which of the capitals a level is bought from, or NO_CAPITAL.
    """

    capital: Floats
    purse: Integers
    base: Integers
    quote: Integers
    buying: NDArray[np.bool_]
    amount: Floats
    price: Floats


def disclose_pools(pools: Pools) -> Words:
    """Coordinates, decimals, reserves and what is available by side, and the fee, of every pool."""
    batch = pools.batch
    decimals = np.array([asset.decimals for asset in batch.assets], dtype=np.int64)
    available = batch.reserves if batch.available is None else batch.available
    at = pools.rows
    sides = (
        pools.coordinates.astype(np.int64),
        decimals[batch.sides[at]],
        batch.reserves[at],
        available[at],
    )
    rows = np.column_stack([*sides, batch.fee_ppm[at]])
    return halves(np.concatenate([[POOLS], rows.reshape(-1)]))


def disclose_book(book: Book) -> Words:
    """Coordinates, side, amount and all-in price of every level; floats by their bits.

    Capital and inventory have cut the book off already.
    """
    rows = [
        _level_rows(
            book.base,
            book.quote,
            ladder.buying,
            NO_CAPITAL,
            np.asarray(ladder.steps * float(book.step), dtype=np.float64),
            ladder.price,
        )
        for ladder in book.ladders
    ]
    return _disclosed(np.zeros(0), rows)


def disclose_ladders(levels: Levels, place: Integers, cash: int) -> Words:
    """Every level of a batch of venues, and the capital that each venue's purchases share."""
    rows = []
    for side in (0, 1):
        sizes = levels.size[:, side]
        venue, instrument, level = np.nonzero(sizes > 0)
        at = (venue, instrument, level)
        prices = levels.price[:, side][at]
        purse = venue if side == 0 else np.full(len(venue), NO_CAPITAL)
        rows.append(_level_rows(place[instrument], cash, side == 0, purse, sizes[at], prices))
    return _disclosed(levels.capital, rows)


def _level_rows(  # noqa: PLR0917 -- a row of a level with all its cells
    base: Integers | int,
    quote: int,
    buying: bool,
    purse: Integers | int,
    amount: Floats,
    price: Floats,
) -> Integers:
    rows = np.empty((len(price), LEVEL_WORDS), dtype=np.int64)
    for column, cell in enumerate((base, quote, int(buying), purse)):
        rows[:, column] = cell
    rows[:, 4] = np.ascontiguousarray(amount).view(np.int64)
    rows[:, 5] = np.ascontiguousarray(price).view(np.int64)
    return rows


def _disclosed(capital: Floats, rows: Sequence[Integers]) -> Words:
    purses = np.ascontiguousarray(capital, dtype=np.float64).view(np.int64)
    head = np.array([LEVELS, len(capital)], dtype=np.int64)
    return halves(np.concatenate([head, purses, np.concatenate(rows).reshape(-1)]))


def opened(parts: Sequence[Words], terms: Terms) -> tuple[OpenedPools, OpenedLevels]:
    """All that was disclosed. Raises LayoutMismatch for what is neither pools nor levels."""
    pools: list[Integers] = []
    levels: list[Integers] = []
    capitals: list[Integers] = []
    purses = 0
    for part in parts:
        if not len(part):
            continue
        words = wholes(part)
        if int(words[0]) == POOLS:
            pools.append(_rows(words[1:], POOL_WORDS))
            continue
        count = int(words[1]) if int(words[0]) == LEVELS and len(words) > 1 else -1
        if not 0 <= count <= len(words) - 2:
            raise LayoutMismatch("a part discloses neither pools nor levels", "see disclosed.py")
        rows = _rows(words[2 + count :], LEVEL_WORDS).copy()
        if np.any((rows[:, 3] < NO_CAPITAL) | (rows[:, 3] >= count)):
            raise LayoutMismatch("a level is bought from no capital", "see disclosed.py")
        rows[rows[:, 3] >= 0, 3] += purses
        purses += count
        levels.append(rows)
        capitals.append(words[2 : 2 + count])
    assets = len(terms.assets)
    capital = np.concatenate([np.zeros(0, dtype=np.int64), *capitals]).view(np.float64)
    return _pools(_stacked(pools, POOL_WORDS), assets), _levels(
        _stacked(levels, LEVEL_WORDS), capital, assets
    )


def _rows(words: Integers, size: int) -> Integers:
    if len(words) % size:
        raise LayoutMismatch("a part discloses no whole rows", "see disclosed.py")
    return words.reshape(-1, size)


def _stacked(rows: Sequence[Integers], size: int) -> Integers:
    return np.concatenate(rows) if rows else np.zeros((0, size), dtype=np.int64)


def _pools(rows: Integers, assets: int) -> OpenedPools:
    sides, decimals, reserves = rows[:, 0:2], rows[:, 2:4], rows[:, 4:6]
    available, fee = rows[:, 6:8], rows[:, 8]
    is_pool = (
        _known(sides, assets)
        and bool(np.all((decimals >= 0) & (decimals <= DECIMALS_MOST)))
        and bool(np.all((reserves > 0) & (available >= 0) & (available <= reserves)))
        and bool(np.all((fee >= 0) & (fee < PPM)))
    )
    if not is_pool:
        raise LayoutMismatch("a part discloses pools that are none", "see disclosed.py")
    held, keep = reserves / 10.0**decimals, (PPM - fee) / float(PPM)
    ways = [(0, 1), (1, 0)]
    return OpenedPools(
        pays=np.concatenate([sides[:, a] for a, _ in ways]),
        gets=np.concatenate([sides[:, b] for _, b in ways]),
        held_in=np.concatenate([held[:, a] for a, _ in ways]),
        held_out=np.concatenate([held[:, b] for _, b in ways]),
        most=np.concatenate([available[:, b] / reserves[:, b] for _, b in ways]),
        keep=np.concatenate([keep, keep]),
    )


def _levels(rows: Integers, capital: Floats, assets: int) -> OpenedLevels:
    numbers = np.ascontiguousarray(rows[:, 4:6]).view(np.float64)
    amount, price = numbers[:, 0], numbers[:, 1]
    is_level = (
        _known(rows[:, 0:2], assets)
        and bool(np.all((rows[:, 2] == 0) | (rows[:, 2] == 1)))
        and bool(np.all(np.isfinite(numbers) & (numbers >= 0.0)) and np.all(price > 0.0))
        and bool(np.all(capital >= 0.0))
    )
    if not is_level:
        raise LayoutMismatch("a part discloses levels that are none", "see disclosed.py")
    buying = rows[:, 2] == 1
    return OpenedLevels(capital, rows[:, 3], rows[:, 0], rows[:, 1], buying, amount, price)


def _known(coordinates: Integers, assets: int) -> bool:
    apart = coordinates[:, 0] != coordinates[:, 1]
    return bool(np.all((coordinates >= 0) & (coordinates < assets)) and np.all(apart))


@dataclass(frozen=True, eq=False)
class _Columns:
    """Net amounts of the columns that move any: value[e] units of coordinate[e] a column[e]."""

    coordinate: Integers
    column: Integers
    value: Floats


def _reached(pools: OpenedPools, terms: Terms, near: Optimum | None) -> tuple[OpenedPools, Floats]:
    """The ways that can be worth it, and the order of the part of its reserve that each gives.

    Without an optimum at hand: all that the band allows, none nearer than the mean of them.
    """
    prices = np.array([float(r) for r in terms.references])
    if near is None:
        pools = pools.kept(pools.gains(prices) > -2.0 * np.log(terms.band))
        off = 0.5 * np.abs(pools.gains(prices))
        nearest = max(NEAREST, float(np.minimum(off, 1.0).mean()) if len(off) else 0.0)
        return pools, np.clip(off, nearest, 1.0)
    prices = prices * np.maximum(1.0 + near.duals[: len(prices)], 1.0 / terms.band)
    pools = pools.kept(pools.gains(prices) > -OUT_OF_REACH)
    return pools, np.clip(0.5 * np.abs(pools.gains(prices)), NEAREST, 1.0)


def _pool_columns(pools: OpenedPools, scale: Floats) -> _Columns:
    """Three columns a way: what is got, what is paid beyond it, and what is left, moving none."""
    count = len(pools.keep)
    got, beyond = np.arange(count), count + np.arange(count)
    paid = pools.held_in / pools.keep
    return _Columns(
        np.concatenate([pools.gets, pools.pays, pools.pays]),
        np.concatenate([got, got, beyond]),
        np.concatenate([pools.held_out * scale, -paid * scale, -paid * scale * scale]),
    )


def _level_columns(levels: OpenedLevels, first: int) -> _Columns:
    sign = np.where(levels.buying, 1.0, -1.0)
    columns = first + np.arange(len(levels.price))
    return _Columns(
        np.concatenate([levels.base, levels.quote]),
        np.concatenate([columns, columns]),
        np.concatenate([sign * levels.amount, -sign * levels.amount * levels.price]),
    )


def program(
    parts: Sequence[Words],
    terms: Terms,
    limits: tuple[Sequence[int], Sequence[int]],
    slack: Sequence[int],
    near: Optimum | None = None,
) -> Program:
    """The convex program. limits: least and most of the totals; slack: words kept from them."""
    every, levels = opened(parts, terms)
    pools, scale = _reached(every, terms, near)
    count, steps = len(pools.keep), len(levels.price)
    size, assets = 3 * count + steps, len(terms.assets)
    reference = np.array([float(r) for r in terms.references]) / 2.0**MULTIPLIER_BITS
    of_pools, of_levels = _pool_columns(pools, scale), _level_columns(levels, 3 * count)
    coordinate = np.concatenate([of_pools.coordinate, of_levels.coordinate])
    column = np.concatenate([of_pools.column, of_levels.column])
    worth = np.concatenate([of_pools.value, of_levels.value]) * reference[coordinate]
    unit = float(np.abs(worth).mean()) if len(worth) else 1.0
    worth = worth / unit
    cost = np.zeros(max(size, 1))
    np.subtract.at(cost, column, worth)
    low, high = _bounds(pools, scale, steps)
    kept = _kept(terms, slack, near)
    row_low, row_high = _limits(terms, limits, kept, reference / unit, coordinate, worth)
    left = _left_rows(scale, assets)
    bought = _purse_rows(levels, assets + count, 3 * count)
    return Program(
        cost=cost,
        low=low if size else np.zeros(1),
        high=high if size else np.zeros(1),
        rows=Entries(
            np.concatenate([coordinate, left.row, bought.row]),
            np.concatenate([column, left.column, bought.column]),
            np.concatenate([worth, left.value, bought.value]),
        ),
        row_low=np.concatenate([row_low, np.ones(count), np.full(len(levels.capital), -np.inf)]),
        row_high=np.concatenate([row_high, np.ones(count), _purses(levels)]),
        coupling=tuple(range(assets)),
        products=Products(count + np.arange(count), 2 * count + np.arange(count), np.arange(count)),
    )


def _bounds(pools: OpenedPools, scale: Floats, steps: int) -> tuple[Floats, Floats]:
    count = len(pools.keep)
    low = np.concatenate([np.zeros(2 * count), np.full(count, -np.inf), np.zeros(steps)])
    most = pools.most / scale
    return low, np.concatenate([most, np.full(2 * count, np.inf), np.ones(steps)])


def _left_rows(scale: Floats, first: int) -> Entries:
    """left + got = 1."""
    count = len(scale)
    rows, columns = first + np.arange(count), np.arange(count)
    return Entries(
        np.concatenate([rows, rows]),
        np.concatenate([columns, 2 * count + columns]),
        np.concatenate([scale, np.ones(count)]),
    )


def _purse_rows(levels: OpenedLevels, first: int, column: int) -> Entries:
    """Parts of its purse that a venue's purchases take."""
    (rows,) = np.nonzero(levels.purse >= 0)
    purse = levels.purse[rows]
    spent = levels.amount[rows] * levels.price[rows]
    scale = np.where(_purses(levels) > 0, levels.capital, 1.0)
    return Entries(first + purse, column + rows, spent / scale[purse])


def _purses(levels: OpenedLevels) -> Floats:
    return np.where(levels.capital > 0, 1.0, 0.0)


def _kept(terms: Terms, slack: Sequence[int], near: Optimum | None) -> list[int]:
    """Words by which each total keeps from its limits: the margin, and the slack asked for.

    First the margin is given away. What then still has a multiplier of its own is scarce, and only
    there the second program keeps the margin: where nothing is traded at a profit nobody could.
    Where answers jump the margin is a native lot, and only what was missed is kept.
    """
    if terms.jumps:
        return list(slack) or [0] * len(terms.assets)
    duals = np.zeros(len(terms.assets)) if near is None else near.duals
    scarce = [abs(dual) >= SNAP for dual in duals[: len(terms.assets)].tolist()]
    rows = zip(tuple(slack) or (0,) * len(scarce), terms.margin, scarce, strict=True)
    return [s + margin if short else s - margin for s, margin, short in rows]


def _limits(  # noqa: PLR0917 -- the rows of a program with all that they are made of
    terms: Terms,
    limits: tuple[Sequence[int], Sequence[int]],
    kept: Sequence[int],
    prices: Floats,
    coordinate: Integers,
    worth: Floats,
) -> tuple[Floats, Floats]:
    """Limits of the totals in value; none above where nobody holds so much."""
    least, most = limits
    rooms = [min(s, (b - a) // 2) for s, a, b in zip(kept, least, most, strict=True)]
    scale = prices / 2.0**terms.scale_bits
    low = np.array([float(a + s) for a, s in zip(least, rooms, strict=True)]) * scale
    high = np.array([float(b - s) for b, s in zip(most, rooms, strict=True)]) * scale
    reach = np.zeros(len(low))
    np.add.at(reach, coordinate, np.abs(worth))
    return low, np.where(high >= reach, np.inf, high)


def proposals(
    parts: Sequence[Words], terms: Terms, widths: Sequence[int], optimum: Optimum
) -> tuple[Query, ...]:
    """The multipliers of an optimum; where answers jump, also such as take the same parts.

    A level that the optimum takes in part lies at the multipliers' own ratio. Over a width it is
    taken in that part where the ratio passes its price by as much; a vertex has as many of those
    as multipliers that are free to move.
    """
    duals = optimum.duals[: len(terms.assets)]
    moves = 1.0 + np.where(np.abs(duals) < SNAP, 0.0, duals)
    queries = [_respond(terms, moves)]
    if widths:
        _, levels = opened(parts, terms)
        taken = optimum.x[len(optimum.x) - len(levels.price) :]
        for width in reversed(widths):
            tilted = _tilted(terms, levels, taken, moves, width)
            queries.append(_respond(terms, tilted, width))
    return tuple(queries)


def _tilted(terms: Terms, levels: OpenedLevels, taken: Floats, moves: Floats, width: int) -> Floats:
    """Moves of the multipliers at which the levels are taken in the parts that they are."""
    reference = np.array([float(r) for r in terms.references])
    at = np.maximum(reference * moves, 1.0)
    ratio = at[levels.base] / at[levels.quote]
    tied = np.abs(ratio / levels.price - 1.0) <= TIED
    (rows,) = np.nonzero((taken > WHOLE) & (taken < 1.0 - WHOLE) | (tied & (taken >= 1.0 - WHOLE)))
    (free,) = np.nonzero(np.abs(moves - 1.0) > TIED)
    if not len(rows) or not len(free):
        return moves
    e = width / 2.0**MULTIPLIER_BITS
    sign = np.where(levels.buying[rows], 1.0, -1.0)
    over = np.log(levels.price[rows] / ratio[rows]) + sign * np.log1p(taken[rows] * e)
    places = np.full(len(terms.assets), -1)
    places[free] = np.arange(len(free))
    tilt = np.zeros((len(rows), len(free) + 1))
    tilt[np.arange(len(rows)), places[levels.base[rows]]] += 1.0
    tilt[np.arange(len(rows)), places[levels.quote[rows]]] -= 1.0
    by, *_ = np.linalg.lstsq(tilt[:, :-1], over, rcond=None)
    moved = moves.copy()
    moved[free] *= np.exp(by)
    return moved


def _respond(terms: Terms, moves: Floats, width: int | None = None) -> Query:
    """The question at the references times their moves, on the grid and within the band."""
    rows = zip(terms.references, moves.tolist(), terms.ranges, strict=True)
    values = [min(max(round(r * move), low), high) for r, move, (low, high) in rows]
    return Query(
        kind="respond",
        after=None,
        multipliers=DualVariables(
            scale_bits=MULTIPLIER_BITS, values=tuple(str(value) for value in values)
        ),
        points=() if width is None else (str(width),),
    )
