"""Constant-product pools, a whole batch at once: what they would give and take at multipliers.

    one side pays, the other is received:  out = R_out g in / (R_in + g in),   g = 1 - fee
    worth it iff g R_out v_out > R_in v_in, and then best at
        in  = (sqrt(g R_in R_out v_out / v_in) - R_in) / g
        phi = (sqrt(v_out R_out) - sqrt(v_in R_in / g))^2
        w   = 1/2 sqrt(R_in R_out v_in v_out / g), slopes of log-multipliers: w [[1, -1], [-1, 1]]

A range of concentrated liquidity is such a pool that gives no more than A_out < R_out: once
in >= I = R_in A_out / (g (R_out - A_out)) it gives A_out for I, phi = v_out A_out - v_in I, w = 0.

Every pool is rounded before anything is summed: what is paid up, what is received down, phi up, by
more than floats can be wrong; so each net amount is deliverable and the dual value is a bound.
Only + - * / sqrt and comparisons. Roots of multipliers are taken once, roots of reserves when the
batch is built. Source: solvers.md, sections 2(a) and 4.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import fsum, inf, nextafter
from typing import Any

import numpy as np

from covenue.errors import BadInput, HeadroomMissing
from covenue.hooks.venues import PoolBatch
from covenue.numerics.compiled import is_compiling
from covenue_contracts.local import Actions, Swap
from covenue_domain_arbitrage.goals import Terms
from covenue_domain_arbitrage.pool_kernels import (
    AVAILABLE,
    EDGE_SLACK,
    FLOAT_MOST,
    INVERSE,
    INVERSE_ROOT,
    MOST_IN,
    MOST_PAID,
    RECEIVED_SLACK,
    RESERVES,
    ROOTS,
    SLACK,
    STEP_SLACK,
    Floats,
    Integers,
    Places,
    summed,
)

PPM = 1_000_000
WORD_MOST = 2**62
BLOCK = 4096
"""Swaps that are made at a time, so that a large plan takes little more memory than its swaps."""
SWAP_FIELDS = set(Swap.model_fields)


@dataclass(frozen=True)
class Trades:
    """What pools would do, one row a pool that does something.

    pool: its row in the batch. pays, gets: coordinates. paid: native units of the asset paid.
    """

    pool: Places
    pays: Places
    gets: Places
    paid: Integers
    paid_words: Integers
    received_words: Integers
    value_words: Integers
    slope_words: Integers


@dataclass(frozen=True, eq=False)
class Pools:
    """A batch of pools on the coordinates of a plan; nothing in it depends on multipliers.

    Arrays of n rows stand in the order of the slopes' triangle, so that one pass goes through it
    once. rows: int32[n], where in the batch each stands. coordinates: int32[n, 2], of both sides.
    starts: float64[n, 2]; paying a side is worth it where the other's multiplier times this passes
    its own. shapes: float64[n, 6], limits: float64[n, 6] or no rows where no pool is bounded;
    columns as in `pool_kernels`. units: float64[m], native units to one, by coordinate. scales: of
    words, of values, of slopes. is_compiled: whether `answer` is one compiled pass.
    """

    batch: PoolBatch
    terms: Terms
    rows: Places
    coordinates: Places
    starts: Floats
    shapes: Floats
    limits: Floats
    units: Floats
    scales: Floats
    is_compiled: bool

    def answer(self, multipliers: Floats, slopes: Integers | None) -> tuple[int, Integers]:
        """Words of phi, and net words; slopes are added to a packed lower triangle, if given.

        Compiled or not, the same words.
        """
        if not self.is_compiled:
            trades = self.trades(multipliers)
            if slopes is not None:
                self.slopes(trades, slopes)
            return self.value(trades), self.net(trades)
        net = np.zeros(len(multipliers), dtype=np.int64)
        triangle = np.zeros(0, dtype=np.int64) if slopes is None else slopes
        value = summed(multipliers, self.coordinates, self.starts, self.shapes, self.limits,
                       self.units, self.scales, net, triangle)  # fmt: skip
        return value + 1, net

    def trades(self, multipliers: Floats) -> Trades:
        """The best that every pool can do at multipliers, rounded so that it can be done."""
        v = multipliers[self.coordinates]
        forward = v[:, 1] * self.starts[:, 0] > v[:, 0]
        backward = v[:, 0] * self.starts[:, 1] > v[:, 1]
        (pool,) = np.nonzero(forward | backward)
        return self._rounded(pool, np.where(forward[pool], 0, 1), multipliers)

    def _rounded(self, pool: Integers, side: Integers, multipliers: Floats) -> Trades:
        """Operation by operation what `pool_kernels.summed` does."""
        other, shape = 1 - side, self.shapes[pool]
        pays, gets = self.coordinates[pool, side], self.coordinates[pool, other]
        root = np.sqrt(multipliers)
        inverse, step, grain = 1.0 / root, 1.0 / self.units, self.scales[0] / self.units
        rows = np.arange(len(pool))
        deep = shape[:, ROOTS] * shape[:, ROOTS + 1] * shape[:, INVERSE_ROOT]
        level = shape[rows, RESERVES + side] * shape[:, INVERSE]
        wanted = np.maximum(deep * (root[gets] * inverse[pays]) - level, 0.0)
        native = np.floor(wanted * self.units[pays])
        up = root[gets] * shape[rows, ROOTS + other]
        down = root[pays] * (shape[rows, ROOTS + side] * shape[:, INVERSE_ROOT])
        edge = np.maximum(up - down, 0.0) + (up + down) * EDGE_SLACK
        worth = edge * edge
        steep = 0.5 * deep * root[pays] * root[gets]
        paid = native * step[pays]
        got = shape[rows, RESERVES + other] * paid / (level + paid)
        if len(self.limits):
            got = np.minimum(got, self.limits[pool, AVAILABLE + other])
        got = got * (1.0 - RECEIVED_SLACK) - step[gets]
        if len(self.limits):
            (full,) = np.nonzero(native >= self.limits[pool, MOST_PAID + side])
            limits, s, o = self.limits[pool[full]], side[full], other[full]
            at = np.arange(len(full))
            most = limits[at, AVAILABLE + o]
            native[full] = limits[at, MOST_PAID + s]
            got[full] = most * (1.0 - RECEIVED_SLACK)
            steep[full] = 0.0
            for_all = multipliers[pays[full]] * limits[at, MOST_IN + s]
            of_all = multipliers[gets[full]] * most
            whole = up[full] + down[full]
            worth[full] = (
                np.maximum(of_all - for_all, 0.0)
                + (of_all + for_all) * EDGE_SLACK
                + whole * whole * STEP_SLACK
            )
        return Trades(
            pool=self.rows[pool],
            pays=pays,
            gets=gets,
            paid=np.minimum(native, FLOAT_MOST).astype(np.int64),
            paid_words=_up(native * grain[pays]),
            received_words=_down(got * self.scales[0]),
            value_words=_up(worth * self.scales[1]),
            slope_words=_nearest(steep * self.scales[2]),
        )

    def net(self, trades: Trades) -> Integers:
        """Net words of every coordinate; summed as int64, in any order the same."""
        amounts = np.zeros(len(self.terms.assets), dtype=np.int64)
        np.add.at(amounts, trades.gets, trades.received_words)
        np.subtract.at(amounts, trades.pays, trades.paid_words)
        return amounts

    def value(self, trades: Trades) -> int:
        """Words that phi of the whole batch does not pass.

        One more for the pools that floats find just not worth it.
        """
        return int(np.sum(trades.value_words, dtype=np.int64)) + 1

    def slopes(self, trades: Trades, words: Integers) -> None:
        """Add the price-scaled Laplacian of every pool to a packed lower triangle."""
        high = np.maximum(trades.pays, trades.gets).astype(np.int64)
        low = np.minimum(trades.pays, trades.gets).astype(np.int64)
        for row, column, sign in ((high, high, 1), (low, low, 1), (high, low, -1)):
            np.add.at(words, row * (row + 1) // 2 + column, sign * trades.slope_words)

    def swaps(self, trades: Trades) -> tuple[tuple[Swap, ...], Integers]:
        """The swaps of a plan, in exact integers, and their net words: never less than answered.

        What is received is what the pool's own integer formula gives, rounded down.
        """
        amounts = [0] * len(self.terms.assets)
        made: list[Swap] = []
        block: list[dict[str, str]] = []
        scale = 2**self.terms.scale_bits
        native = [10**asset.decimals for asset in self.batch.assets]
        names = [asset.name for asset in self.batch.assets]
        for row, pays, gets, given, got, r_in, r_out, fee_ppm, paid, most in self._by_row(trades):
            received = swapped(r_in, r_out, fee_ppm, paid, most)
            if not paid or not received:
                continue
            if len(block) == BLOCK:
                made += _swaps(block)
                block = []
            block.append(
                {
                    "pool": self.batch.pools[row],
                    "pays": names[given],
                    "gets": names[got],
                    "paid": str(paid),
                    "least": str(received),
                }
            )
            amounts[pays] -= -(-paid * scale // native[given])
            amounts[gets] += received * scale // native[got]
        return (*made, *_swaps(block)), np.array(amounts, dtype=np.int64)

    def _by_row(self, trades: Trades) -> Iterator[tuple[Any, ...]]:
        """What `swaps` unpacks, one tuple of integers a trade, in the order of the batch.

        most: what a range has of the asset got; None for whole pools.
        """
        batch, order = self.batch, np.argsort(trades.pool, kind="stable")
        row, pays, gets = (c[order] for c in (trades.pool, trades.pays, trades.gets))
        first = np.zeros(len(self.rows), dtype=np.int64)
        first[self.rows] = self.coordinates[:, 0]
        side = np.where(first[row] == pays, 0, 1)
        other = 1 - side
        columns = (
            *(row, pays, gets, batch.sides[row, side], batch.sides[row, other]),
            *(batch.reserves[row, side], batch.reserves[row, other], batch.fee_ppm[row]),
            trades.paid[order],
        )
        most = None if batch.available is None else batch.available[row, other]
        for start in range(0, len(row), BLOCK):
            part = slice(start, start + BLOCK)
            lists = [column[part].tolist() for column in columns]
            limits = [None] * len(lists[0]) if most is None else most[part].tolist()
            yield from zip(*lists, limits, strict=True)


def _swaps(block: list[dict[str, str]]) -> tuple[Swap, ...]:
    """All as contracts at once, in half the time of one by one.

    They share one set of the fields that were given: pydantic's own, one each, takes most memory.
    """
    fields = {"plan": "0" * 64, "unit": "1", "legs": (), "swaps": tuple(block)}
    swaps = Actions.model_validate(fields).swaps
    for swap in swaps:
        object.__setattr__(swap, "__pydantic_fields_set__", SWAP_FIELDS)
    return swaps


def swapped(
    reserve_in: int, reserve_out: int, fee_ppm: int, paid: int, available: int | None = None
) -> int:
    """What a constant-product pool gives for `paid`, in native units, rounded down.

    available: the most that a range gives, whatever is paid; None for a whole pool.
    """
    kept = paid * (PPM - fee_ppm)
    received = reserve_out * kept // (reserve_in * PPM + kept)
    return received if available is None else min(received, available)


def paid_for_all(reserve_in: int, reserve_out: int, fee_ppm: int, available: int) -> int:
    """The least that makes a range give all that it has, below its reserve; native units."""
    return -(-reserve_in * PPM * available // ((PPM - fee_ppm) * (reserve_out - available)))


def pools_of(batch: PoolBatch, terms: Terms) -> Pools:
    """A venue's pools on a plan's coordinates.

    Raises BadInput for an asset without a reference or a pool that is none.
    """
    _check_assets(batch)
    _check_pools(batch)
    places = {asset: place for place, asset in enumerate(terms.assets)}
    for row in np.unique(batch.sides).tolist():
        if batch.assets[row].name not in places:
            raise _no_reference(batch, row)
    of_asset = np.array([places.get(asset.name, -1) for asset in batch.assets], dtype=np.int32)
    decimals = np.array([float(10**asset.decimals) for asset in batch.assets])
    units = np.ones(len(terms.assets))
    units[of_asset[of_asset >= 0]] = decimals[of_asset >= 0]
    sides = of_asset[batch.sides]
    order = np.lexsort((sides.min(axis=1), sides.max(axis=1))).astype(np.int32)
    reserves = (batch.reserves / decimals[batch.sides])[order]
    keep = ((PPM - batch.fee_ppm) / float(PPM))[order]
    inverse = 1.0 / keep
    starts = keep[:, None] * (reserves[:, ::-1] / reserves)
    if batch.available is not None:
        starts[batch.available[order, ::-1] == 0] = 0.0
    return Pools(
        batch,
        terms,
        rows=order,
        coordinates=sides[order],
        starts=starts,
        shapes=np.column_stack([reserves, np.sqrt(reserves), inverse, np.sqrt(inverse)]),
        limits=_limits(batch, decimals, order),
        units=units,
        scales=np.array(
            [float(2**bits) for bits in (terms.scale_bits, terms.value_bits, terms.slope_bits)]
        ),
        is_compiled=is_compiling(),
    )


def _limits(batch: PoolBatch, decimals: Floats, order: Places) -> Floats:
    """Columns as in `pool_kernels`; infinite where a side gives up to its reserve."""
    if batch.available is None:
        return np.zeros((0, 6))
    unit = decimals[batch.sides]
    limits = np.full((len(batch.fee_ppm), 6), inf)
    limits[:, AVAILABLE : AVAILABLE + 2] = batch.available / unit
    for side in (0, 1):
        bounded = batch.available[:, 1 - side] < batch.reserves[:, 1 - side]
        (rows,) = np.nonzero(bounded)
        columns = (
            rows,
            batch.reserves[rows, side],
            batch.reserves[rows, 1 - side],
            batch.fee_ppm[rows],
            batch.available[rows, 1 - side],
            unit[rows, side].astype(np.int64),
        )
        for row, r_in, r_out, fee, most, to_one in zip(*(c.tolist() for c in columns), strict=True):
            limits[row, MOST_PAID + side] = _float_up(paid_for_all(r_in, r_out, fee, most))
            exact_of = (PPM - fee) * (r_out - most) * to_one
            limits[row, MOST_IN + side] = r_in * PPM * most / exact_of
    return limits[order]


def _float_up(whole: int) -> float:
    """The least float that is no less."""
    nearest = float(whole)
    return nearest if int(nearest) >= whole else nextafter(nearest, inf)


@dataclass(frozen=True)
class Mostly:
    """Upper bounds of an answer: |net words| by coordinate, the value word, any slope word.

    native: the most native units that one swap or leg pays or receives.
    """

    amounts: Floats
    value: float
    slope: float
    native: float = 0.0


def most_words(pools: Pools) -> Mostly:
    """Upper bounds of an answer's words, anywhere in the band."""
    low, high = (
        np.array(part, dtype=np.float64) / 2.0**40 for part in zip(*pools.terms.ranges, strict=True)
    )
    amounts = np.zeros(len(pools.terms.assets))
    slopes = np.zeros(len(pools.terms.assets))
    most = np.zeros((2, len(pools.shapes)))
    native = 0.0
    reserves, inverse = pools.shapes[:, RESERVES : RESERVES + 2], pools.shapes[:, INVERSE]
    for pays, gets in ((0, 1), (1, 0)):
        r_in, r_out = reserves[:, pays], reserves[:, gets]
        v_in, v_out = low[pools.coordinates[:, pays]], high[pools.coordinates[:, gets]]
        units = pools.units[pools.coordinates[:, pays]]
        paid = np.sqrt(r_in * r_out * v_out * inverse / v_in) - r_in * inverse
        gain = np.maximum(np.sqrt(r_out * v_out) - np.sqrt(r_in * v_in * inverse), 0.0)
        most[pays], given = gain * gain, r_in
        if len(pools.limits):
            paid = np.minimum(paid, pools.limits[:, MOST_PAID + pays] / units)
            given = pools.limits[:, AVAILABLE + pays]
            most[pays] = np.minimum(most[pays], pools.limits[:, AVAILABLE + gets] * v_out)
        np.add.at(amounts, pools.coordinates[:, pays], np.maximum(paid, given))
        native = max(native, float((paid * units).max(initial=0.0)))
        np.add.at(slopes, pools.coordinates[:, gets], _steepest(pools, high))
    return Mostly(
        amounts * float(2**pools.terms.scale_bits),
        fsum(most.max(axis=0).tolist()) * float(2**pools.terms.value_bits),
        float(slopes.max()) * float(2**pools.terms.slope_bits),
        native * (1.0 + SLACK),
    )


def _steepest(pools: Pools, high: Floats) -> Floats:
    v = high[pools.coordinates]
    worth = pools.shapes[:, RESERVES : RESERVES + 2] * v
    return np.asarray(
        0.5 * np.sqrt(worth[:, 0] * worth[:, 1] * pools.shapes[:, INVERSE]), dtype=np.float64
    )


def check_headroom(most: Mostly, terms: Terms, bound: int) -> None:
    """Raise HeadroomMissing, naming the coordinate, where an answer could pass a word's bound."""
    bound = min(bound, WORD_MOST)
    for asset, words in zip(terms.assets, most.amounts.tolist(), strict=True):
        if words >= bound:
            raise _no_headroom(f"'{asset}': net amounts", words, bound, "scale_bits",
                               terms.scale_bits, f", or band below {terms.band}")  # fmt: skip
    if most.value >= bound:
        raise _no_headroom("'value': values", most.value, bound, "value_bits", terms.value_bits)
    if most.native >= WORD_MOST:
        raise _no_headroom("'native units': what a pool is paid", most.native, WORD_MOST, "band",
                           terms.band, ", or give the assets fewer decimals")  # fmt: skip
    if most.slope >= bound:
        raise _no_headroom("'slopes': slopes", most.slope, bound, "slope_bits", terms.slope_bits)


def _no_headroom(  # noqa: PLR0917 -- a coordinate with all that its refusal names
    coordinate: str, words: float, bound: int, key: str, bits: int, instead: str = ""
) -> HeadroomMissing:
    return HeadroomMissing(
        f"coordinate {coordinate} can reach {_power(words)}, a word of this cohort holds "
        f"{_power(float(bound))}",
        f"set domain.goal.{key} below {bits}{instead}, or quote references in a larger unit",
        field=f"domain.goal.{key}",
        value=str(bits),
    )


def _power(size: float) -> str:
    """A size as the power of two above it: what an error may say of private amounts."""
    return f"2^{int(np.frexp(size)[1])}"


def _check_assets(batch: PoolBatch) -> None:
    names = [asset.name for asset in batch.assets]
    twice = sorted(name for name in set(names) if names.count(name) > 1)
    if twice:
        raise BadInput("an asset of the pools is there twice", "name every asset once",
                       field="assets", value=twice[0])  # fmt: skip


def _check_pools(batch: PoolBatch) -> None:
    faults = (
        (
            "reserves",
            "a reserve is zero or negative",
            "leave it out",
            batch.reserves.min(axis=1) <= 0,
        ),
        (
            "fee_ppm",
            "the fee is not below 100 %",
            "give 0 to 999999 parts per million",
            (batch.fee_ppm < 0) | (batch.fee_ppm >= PPM),
        ),
        (
            "available",
            "a side gives less than nothing or more than its reserve",
            "give 0 to the reserve",
            np.zeros(len(batch.fee_ppm), dtype=bool)
            if batch.available is None
            else ((batch.available < 0) | (batch.available > batch.reserves)).any(axis=1),
        ),
        (
            "sides",
            "both sides are one asset",
            "name two assets",
            batch.sides[:, 0] == batch.sides[:, 1],
        ),
    )
    for field, what, advice, bad in faults:
        if bad.any():
            raise _bad_pool(batch.pools[int(np.argmax(bad))], field, what, advice)


def _bad_pool(name: str, field: str, what: str, advice: str) -> BadInput:
    return BadInput(f"pool '{name}' cannot be planned with: {what}", advice, field=f"pools.{field}",
                    value=name)  # fmt: skip


def _no_reference(batch: PoolBatch, row: int) -> BadInput:
    named = batch.assets[row].name
    pool = int(np.nonzero((batch.sides == row).any(axis=1))[0][0])
    return BadInput(
        f"asset '{named}' has no reference, and pool '{batch.pools[pool]}' holds it",
        "add it to domain.goal.assets and domain.goal.references, or leave its pools out",
        field="domain.goal.references",
        value=named,
    )


def _up(amounts: Floats) -> Integers:
    return np.minimum(np.ceil(amounts * (1.0 + SLACK)), FLOAT_MOST).astype(np.int64)


def _down(amounts: Floats) -> Integers:
    return np.clip(np.floor(amounts), 0.0, FLOAT_MOST).astype(np.int64)


def _nearest(amounts: Floats) -> Integers:
    return np.minimum(np.rint(amounts), FLOAT_MOST).astype(np.int64)
