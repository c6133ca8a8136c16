"""Generates a party's folder of pools: `python -m covenue_venue_amm.generate --out DIR …`.

Integers of PCG64 only, so the same arguments give the same bytes on every machine. Reserves agree
with public marks up to noise: with V = 100·2^{0..11}, a pool holds V/mark_a of one asset and
V/mark_b·(1 + noise) of the other. Parties with the same assets and the same asset seed share marks
and decimals. Source: solvers.md, section 6, family 1, kind market.
"""

from collections.abc import Iterable, Sequence
from math import isqrt
from pathlib import Path

import click
import numpy as np

from covenue.errors import BadInput, CovenueError, OutputExists
from covenue.hooks.tables import is_name
from covenue_venue_amm.ranges import FIXED_BITS
from covenue_venue_amm.swaps import WHOLE
from covenue_venue_amm.tables import ASSET_COLUMNS, POOL_COLUMNS, RANGE_COLUMNS, TRADE_COLUMNS

FAMILY = int.from_bytes(b"pool", "big")
ASSETS, POOLS, TRADES, RANGES = 1, 2, 3, 4
REFERENCE_COLUMNS = ("asset", "reference")
SECOND = 1_000_000_000
FEES_PPM = (100, 500, 3_000, 10_000)
DECIMALS = (10, 11)
VALUE_LEAST, DOUBLINGS = 100, 12
GRAIN = 2**20
SHARES = 100_000
WIDTHS_PPM = (2_000, 10_000, 50_000)
OUTER = 4
THIN = (12, 4, 12)
"""A pool of ranges: one of half width w around its middle, and one on either side to 4 w; the
liquidity of each is that of the whole pool over these. Root prices have these widths."""
Line = Sequence[str]


def generate(
    out: Path,
    *,
    pools: int,
    assets: Sequence[str],
    seed: int,
    asset_seed: int = 0,
    start: int = 0,
    seconds: int = 0,
    trades_per_second: int = 0,
    mispricing_bps: int = 100,
    concentrated: int = 0,
) -> None:
    """Write `assets.csv`, `references.csv`, `pools.csv` and `trades.csv` into the new folder `out`.

    seed: the party's own. asset_seed: of marks and decimals, equal for parties that share assets.
    start: time of the first possible trade, ns. mispricing_bps: standard deviation of a pool's
    price from the marks. A trade pays at most 1 % of what the pool held at the start.
    concentrated: how many pools, the last ones, are ranges of concentrated liquidity instead, in
    `ranges.csv`. Raises OutputExists, BadInput.
    """
    _check_assets(assets)
    marks = _Marks(len(assets), asset_seed)
    drawn = _Pools(pools, marks, seed, mispricing_bps)
    whole = max(0, pools - concentrated)
    tables: dict[str, list[Line]] = {
        "assets": [ASSET_COLUMNS, *marks.assets(assets)],
        "references": [REFERENCE_COLUMNS, *marks.references(assets)],
        "pools": [POOL_COLUMNS, *drawn.rows(assets, whole)],
        "ranges": [RANGE_COLUMNS, *drawn.ranges(assets, seed, whole)],
        "trades": [TRADE_COLUMNS, *drawn.trades(assets, seed, start, seconds, trades_per_second)],
    }
    needed = {"pools": bool(whole), "ranges": whole < pools}
    _write(out, {name: rows for name, rows in tables.items() if needed.get(name, True)})


def asset_names(text: str) -> tuple[str, ...]:
    """Names of a comma-separated list, or as many as a number says, from a00 on."""
    if text.isascii() and text.isdigit():
        return tuple(f"a{number:02d}" for number in range(int(text)))
    return tuple(text.split(","))


class _Marks:
    """What the assets are worth, in millionths, and how many decimals they have."""

    def __init__(self, count: int, seed: int) -> None:
        random = _random(ASSETS, seed, count)
        self.worth = [int(value) for value in random.integers(10_000, WHOLE, count)]
        self.decimals = [DECIMALS[choice] for choice in random.integers(0, len(DECIMALS), count)]

    def assets(self, names: Sequence[str]) -> Iterable[Line]:
        """Rows of the table of assets."""
        return zip(names, map(str, self.decimals), strict=True)

    def references(self, names: Sequence[str]) -> Iterable[Line]:
        """Rows of the public marks."""
        return zip(names, (_text(worth, 6) for worth in self.worth), strict=True)


class _Pools:
    """Pools by row: two asset numbers, two native reserves, a fee."""

    def __init__(self, count: int, marks: _Marks, seed: int, mispricing_bps: int) -> None:
        random = _random(POOLS, seed, count)
        total = len(marks.worth)
        self._marks = marks
        ones, others = random.integers(0, total, count), random.integers(0, total - 1, count)
        self.sides = [
            _pair(number, min(count, total), total, int(one), int(other))
            for number, (one, other) in enumerate(zip(ones, others, strict=True))
        ]
        value = VALUE_LEAST << random.integers(0, DOUBLINGS, count)
        noise = random.integers(0, GRAIN, (count, 12)).sum(axis=1) - 6 * GRAIN
        self.fees = [FEES_PPM[choice] for choice in random.integers(0, len(FEES_PPM), count)]
        self.reserves = [
            (self._native(int(v), 0, a), self._native(int(v), int(e) * mispricing_bps, b))
            for (a, b), v, e in zip(self.sides, value, noise, strict=True)
        ]

    def _native(self, value: int, noise: int, asset: int) -> int:
        """Native units of an asset worth `value`·(1 + noise/(10^4·GRAIN)), rounded down."""
        factor, whole = 10_000 * GRAIN + noise, 10_000 * GRAIN
        units = value * WHOLE * int(10 ** self._marks.decimals[asset]) * factor
        return units // (self._marks.worth[asset] * whole)

    def rows(self, names: Sequence[str], whole: int) -> Iterable[Line]:
        """Rows of the table of pools: the first ones."""
        columns = (self.sides[:whole], self.reserves[:whole], self.fees[:whole])
        for number, ((a, b), held, fee) in enumerate(zip(*columns, strict=True)):
            amounts = (self._amount(held[0], a), self._amount(held[1], b))
            yield (_pool(number), names[a], names[b], *amounts, str(fee))

    def ranges(self, names: Sequence[str], seed: int, whole: int) -> Iterable[Line]:
        """Rows of the table of ranges, of all other pools: three a pool, where its price lies."""
        random = _random(RANGES, seed, len(self.sides))
        for number in range(whole, len(self.sides)):
            (a, b), (held_a, held_b) = self.sides[number], self.reserves[number]
            liquidity, root = isqrt(held_a * held_b), isqrt((held_b << 2 * FIXED_BITS) // held_a)
            width = WIDTHS_PPM[int(random.integers(0, len(WIDTHS_PPM)))]
            middle = root * (WHOLE + int(random.integers(-2 * width, 2 * width))) // WHOLE
            steps = (-OUTER * width, -width, width, OUTER * width)
            ends = [middle * (WHOLE + step) // WHOLE for step in steps]
            for lower, upper, part in zip(ends, ends[1:], THIN, strict=False):
                fixed = (_pool(number), names[a], names[b], str(self.fees[number]))
                yield (*fixed, str(root), str(lower), str(upper), str(liquidity // part))

    def trades(
        self, names: Sequence[str], seed: int, start: int, seconds: int, per_second: int
    ) -> Iterable[Line]:
        """Rows of the table of trades, in order of time."""
        count = seconds * per_second
        random = _random(TRADES, seed, count)
        times = np.sort(random.integers(0, max(1, seconds * SECOND), count))
        pools = random.integers(0, len(self.sides), count)
        sides = random.integers(0, 2, count)
        shares = random.integers(1, SHARES // 100, count, endpoint=True)
        columns = (column.tolist() for column in (times, pools, sides, shares))
        for time, pool, side, share in zip(*columns, strict=True):
            asset = self.sides[pool][side]
            paid = max(1, self.reserves[pool][side] * share // SHARES)
            yield (str(start + time), _pool(pool), names[asset], self._amount(paid, asset))

    def _amount(self, native: int, asset: int) -> str:
        return _text(native, self._marks.decimals[asset])


def _pair(number: int, ring: int, assets: int, one: int, other: int) -> tuple[int, int]:
    """Two different assets; the first pools are a ring, so that all assets hang together."""
    if number < ring:
        return number, (number + 1) % assets
    return one, other + (other >= one)


def _random(part: int, seed: int, size: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([FAMILY, part, seed, size])))


def _pool(number: int) -> str:
    return f"pool-{number:05d}"


def _text(native: int, decimals: int) -> str:
    """Native units as decimal text with all decimals."""
    whole, part = divmod(native, 10**decimals)
    return f"{whole}.{part:0{decimals}d}"


def _check_assets(assets: Sequence[str]) -> None:
    """Raise BadInput unless there are at least two different, well-formed names."""
    for name in assets:
        if not is_name(name):
            raise BadInput(
                "this is no name of an asset",
                "use 1 to 64 letters, digits and . _ : / -",
                field="assets",
                value=name[:80],
            )
    if len(set(assets)) < len(assets) or len(assets) < 2:
        raise BadInput(
            "at least two assets are expected, all different",
            "name them like usdc,weth,dai, or give their number",
            field="assets",
            value=",".join(assets)[:80],
        )


def _write(out: Path, tables: dict[str, list[Line]]) -> None:
    """All tables or none, in a new folder. Raises OutputExists."""
    partial = out.with_name(f"{out.name}.partial")
    for place in (out, partial):
        if place.exists():
            raise OutputExists("the output exists", "name another folder", file=str(place))
    partial.mkdir(parents=True)
    for name, rows in tables.items():
        text = "".join(",".join(row) + "\n" for row in rows)
        (partial / f"{name}.csv").write_text(text, encoding="utf-8", newline="\n")
    partial.rename(out)


NATURAL = click.IntRange(min=0)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@click.option("--pools", type=click.IntRange(1, 100_000), required=True, help="How many pools.")
@click.option("--assets", required=True, metavar="NAMES|COUNT", help="As a,b,c or as a number.")
@click.option("--seed", type=NATURAL, required=True, help="The party's own.")
@click.option("--asset-seed", type=NATURAL, default=0, help="Of marks; the same for all parties.")
@click.option("--start", type=NATURAL, default=0, metavar="NS", help="When the history begins.")
@click.option("--seconds", type=NATURAL, default=0, help="How long it lasts.")
@click.option("--trades-per-second", type=NATURAL, default=0, help="Swaps of others.")
@click.option(
    "--mispricing-bps",
    type=click.IntRange(0, 1_000),
    default=100,
    help="Standard deviation of a pool's price from the marks.",
)
@click.option(
    "--concentrated", type=NATURAL, default=0, help="How many pools, the last ones, are ranges."
)
def main(assets: str, out: Path, **numbers: int) -> None:
    """Write a party's folder of pools, deterministically."""
    try:
        generate(out, assets=asset_names(assets), **numbers)
    except CovenueError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
