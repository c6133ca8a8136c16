"""Constant-product pools, a whole batch at once: what they would give and take at multipliers.

    one side pays, the other is received:  out = R_out g in / (R_in + g in),   g = 1 - fee
    worth it iff g R_out v_out > R_in v_in, and then best at
        in  = (sqrt(g R_in R_out v_out / v_in) - R_in) / g
        phi = (sqrt(v_out R_out) - sqrt(v_in R_in / g))^2
        w   = 1/2 sqrt(R_in R_out v_in v_out / g), slopes of log-multipliers: w [[1, -1], [-1, 1]]

Every pool is rounded before anything is summed: what is paid up, what is received down, phi up, by
more than floats can be wrong; so each net amount is deliverable and the dual value is a bound.
Only + - * / sqrt and comparisons. Source: solvers.md, sections 2(a) and 4.
"""

from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput, HeadroomMissing
from covenue.hooks.venues import PoolBatch
from covenue_contracts.local import Swap
from covenue_domain_arbitrage.goals import Terms

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

PPM = 1_000_000
SLACK = 2.0**-50
RECEIVED_SLACK = 2.0**-47
FLOAT_MOST = 2.0**62
WORD_MOST = 2**62


@dataclass(frozen=True)
class Trades:
    """What pools would do, one row a pool that does something.

    pool: its row in the batch. pays, gets: coordinates. paid: native units of the asset paid.
    """

    pool: Integers
    pays: Integers
    gets: Integers
    paid: Integers
    paid_words: Integers
    received_words: Integers
    value_words: Integers
    slope_words: Integers


@dataclass(frozen=True, eq=False)
class Pools:
    """A batch of pools on the coordinates of a plan; arrays of length n or (n, 2).

    coordinates: of both sides. units: native units to one of each side. reserves: in units.
    """

    batch: PoolBatch
    terms: Terms
    coordinates: Integers
    units: Floats
    reserves: Floats
    keep: Floats

    def trades(self, multipliers: Floats) -> Trades:
        """The best that every pool can do at multipliers, rounded so that it can be done."""
        v = multipliers[self.coordinates]
        worth = self.reserves * v
        forward = self.keep * worth[:, 1] > worth[:, 0]
        backward = self.keep * worth[:, 0] > worth[:, 1]
        (pool,) = np.nonzero(forward | backward)
        pays = np.where(forward[pool], 0, 1)
        gets = 1 - pays
        return self._rounded(pool, pays, gets, v)

    def _rounded(self, pool: Integers, pays: Integers, gets: Integers, v: Floats) -> Trades:
        keep = self.keep[pool]
        r_in, r_out = self.reserves[pool, pays], self.reserves[pool, gets]
        v_in, v_out = v[pool, pays], v[pool, gets]
        unit_in, unit_out = self.units[pool, pays], self.units[pool, gets]
        wanted = (np.sqrt(keep * r_in * r_out * v_out / v_in) - r_in) / keep
        native = np.floor(np.maximum(wanted, 0.0) * unit_in)
        paid = native / unit_in
        kept = keep * paid
        received = r_out * kept / (r_in + kept)
        scale = float(2**self.terms.scale_bits)
        up = np.sqrt(v_out * r_out)
        down = np.sqrt(v_in * r_in / keep)
        edge = np.maximum(up - down, 0.0) + (up + down) * SLACK
        return Trades(
            pool=pool,
            pays=self.coordinates[pool, pays],
            gets=self.coordinates[pool, gets],
            paid=native.astype(np.int64),
            paid_words=_up(paid * scale),
            received_words=_down((received * (1.0 - RECEIVED_SLACK) - 1.0 / unit_out) * scale),
            value_words=_up(edge * edge * float(2**self.terms.value_bits)),
            slope_words=_nearest(
                0.5 * np.sqrt(r_in * r_out * v_in * v_out / keep) * float(2**self.terms.slope_bits)
            ),
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
        high = np.maximum(trades.pays, trades.gets)
        low = np.minimum(trades.pays, trades.gets)
        for row, column, sign in ((high, high, 1), (low, low, 1), (high, low, -1)):
            np.add.at(words, row * (row + 1) // 2 + column, sign * trades.slope_words)

    def swaps(self, trades: Trades) -> tuple[tuple[Swap, ...], Integers]:
        """The swaps of a plan, in exact integers, and their net words: never less than answered.

        What is received is what the pool's own integer formula gives, rounded down.
        """
        amounts = [0] * len(self.terms.assets)
        made: list[Swap] = []
        scale = 2**self.terms.scale_bits
        rows = zip(trades.pool.tolist(), trades.pays.tolist(), trades.gets.tolist(),
                   trades.paid.tolist(), strict=True)  # fmt: skip
        for pool, pays, gets, paid in rows:
            side = 0 if self.coordinates[pool, 0] == pays else 1
            given, got = (
                self.batch.assets[int(self.batch.sides[pool, s])] for s in (side, 1 - side)
            )
            r_in, r_out = (int(self.batch.reserves[pool, s]) for s in (side, 1 - side))
            received = swapped(r_in, r_out, int(self.batch.fee_ppm[pool]), paid)
            if not paid or not received:
                continue
            made.append(
                Swap(
                    pool=self.batch.pools[pool],
                    pays=given.name,
                    gets=got.name,
                    paid=str(paid),
                    least=str(received),
                )
            )
            amounts[pays] -= -(-paid * scale // 10**given.decimals)
            amounts[gets] += received * scale // 10**got.decimals
        return tuple(made), np.array(amounts, dtype=np.int64)


def swapped(reserve_in: int, reserve_out: int, fee_ppm: int, paid: int) -> int:
    """What a constant-product pool gives for `paid`, in native units, rounded down."""
    kept = paid * (PPM - fee_ppm)
    return reserve_out * kept // (reserve_in * PPM + kept)


def pools_of(batch: PoolBatch, terms: Terms) -> Pools:
    """A venue's pools on a plan's coordinates.

    Raises BadInput for an asset without a reference or a pool that is none, and HeadroomMissing
    where the greatest answer within the band could pass the bound of a word.
    """
    _check_pools(batch)
    places = {asset: place for place, asset in enumerate(terms.assets)}
    for row in np.unique(batch.sides).tolist():
        if batch.assets[row].name not in places:
            raise _no_reference(batch, row)
    of_asset = np.array([places.get(asset.name, -1) for asset in batch.assets], dtype=np.int64)
    decimals = np.array([float(10**asset.decimals) for asset in batch.assets])
    units = decimals[batch.sides]
    return Pools(
        batch,
        terms,
        coordinates=of_asset[batch.sides],
        units=units,
        reserves=batch.reserves / units,
        keep=(PPM - batch.fee_ppm) / float(PPM),
    )


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
    most = np.zeros((2, len(pools.batch.pools)))
    native = 0.0
    for pays, gets in ((0, 1), (1, 0)):
        r_in, r_out = pools.reserves[:, pays], pools.reserves[:, gets]
        v_in, v_out = low[pools.coordinates[:, pays]], high[pools.coordinates[:, gets]]
        paid = np.sqrt(r_in * r_out * v_out / (v_in * pools.keep)) - r_in / pools.keep
        gain = np.maximum(np.sqrt(r_out * v_out) - np.sqrt(r_in * v_in / pools.keep), 0.0)
        np.add.at(amounts, pools.coordinates[:, pays], np.maximum(paid, r_in))
        most[pays] = gain * gain
        native = max(native, float((paid * pools.units[:, pays]).max(initial=0.0)))
        np.add.at(slopes, pools.coordinates[:, gets], _steepest(pools, high))
    return Mostly(
        amounts * float(2**pools.terms.scale_bits),
        fsum(most.max(axis=0).tolist()) * float(2**pools.terms.value_bits),
        float(slopes.max()) * float(2**pools.terms.slope_bits),
        native * (1.0 + SLACK),
    )


def _steepest(pools: Pools, high: Floats) -> Floats:
    v = high[pools.coordinates]
    worth = pools.reserves * v
    return np.asarray(0.5 * np.sqrt(worth[:, 0] * worth[:, 1] / pools.keep), dtype=np.float64)


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
