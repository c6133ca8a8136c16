"""Small pool and book states of arbitrage plans, for tests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from covenue.hooks.domains import PartyConfig
from covenue.hooks.venues import BookState, PoolBatch
from covenue.testing.domains import DomainExample
from covenue_contracts.energibridge import Asset, ClockStamp, Instrument
from covenue_contracts.plan import Goal, Member
from covenue_domain_arbitrage.goals import parse_goal

STAMP = ClockStamp(venue_time=None, local_time="0", clock="test", offset="0", half_width="0")
DECIMALS = 9
UNIT = 10**DECIMALS
DIDS = (
    "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
    "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG",
)


def member(slot: int) -> Member:
    return Member(did=DIDS[slot], name=f"p{slot}", slot=slot)


def pools(
    assets: Sequence[str], rows: Sequence[tuple[int, int, float, float, int]], venue: str = "v"
) -> PoolBatch:
    """Rows of (asset, asset, reserve, reserve, fee in ppm); reserves in units."""
    return PoolBatch(
        venue,
        tuple(Asset(name=name, decimals=DECIMALS) for name in assets),
        tuple(f"pool-{number}" for number in range(len(rows))),
        sides=np.array([row[:2] for row in rows], dtype=np.int64).reshape(-1, 2),
        reserves=np.array(
            [[int(row[2] * UNIT), int(row[3] * UNIT)] for row in rows], dtype=np.int64
        ).reshape(-1, 2),
        fee_ppm=np.array([row[4] for row in rows], dtype=np.int64),
        stamp=STAMP,
    )


def drawn(assets: Sequence[str], count: int, seed: int, noise: float = 0.02) -> PoolBatch:
    """Pools near references of 1, 2, 3 … by drawing; every asset is in a ring."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, seed, count])))
    rows = []
    for number in range(count):
        a = number % len(assets)
        b = (a + 1 + int(random.integers(0, len(assets) - 1))) % len(assets)
        size = float(random.integers(50, 5000))
        tilt = 1 + noise * (2 * float(random.random()) - 1)
        fee = int(random.choice([100, 500, 3000, 10000]))
        rows.append((a, b, size / (a + 1), size / (b + 1) * tilt, fee))
    return pools(assets, rows, f"v{seed}")


def ranged(assets: Sequence[str], count: int, seed: int) -> PoolBatch:
    """Drawn pools whose sides give a part of their reserves; every fifth side gives nothing."""
    whole = drawn(assets, count, seed)
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([6, seed, count])))
    parts = random.integers(0, 5, (count, 2))
    divisors = random.choice(np.array([20, 200, 2000]), (count, 2))
    available = np.where(parts == 4, whole.reserves, whole.reserves * np.minimum(parts, 1))
    return replace(whole, available=np.where(parts == 4, available, available // divisors))


def book(
    bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]], minimum: str = "0"
) -> BookState:
    """A book of `b` in `a`: ticks of 0.001, steps of 0.01."""
    return BookState(
        Instrument(
            venue="book",
            symbol="BA",
            canonical="b-a",
            base="B",
            quote="A",
            tick="0.001",
            step="0.01",
            minimum=minimum,
            multiplier="1",
            payoff="linear",
            hours="24/7",
            zone="UTC",
        ),
        bids=np.array(bids, dtype=np.int64).reshape(-1, 2),
        asks=np.array(asks, dtype=np.int64).reshape(-1, 2),
        last=1,
        stamp=STAMP,
    )


def goal(assets: Sequence[str], **more: Any) -> Goal:
    """References 1, 2, 3 … of the assets."""
    references = tuple(str(number + 1) for number in range(len(assets)))
    bits = {"scale_bits": 30, "value_bits": 30, "band": 16}
    terms: Mapping[str, Any] = {"assets": tuple(assets), "references": references, **bits, **more}
    return parse_goal(terms)


def example(
    made: Goal, states: Sequence[Any], configs: Sequence[PartyConfig] | None = None
) -> DomainExample:
    members = tuple(member(slot) for slot in range(len(states)))
    return DomainExample(made, members, tuple(states), tuple(configs or ({},) * len(states)))


def pool_example() -> DomainExample:
    assets = ("a", "b", "c")
    return example(goal(assets), [drawn(assets, 12, seed) for seed in range(3)])


def range_example() -> DomainExample:
    """One party with ranges, one with whole pools."""
    assets = ("a", "b", "c")
    return example(goal(assets), [ranged(assets, 20, 1), drawn(assets, 12, 2)])


def book_example() -> DomainExample:
    """A pool that is dear in b, and a book of b in a that sells it."""
    dear = pools(("a", "b"), [(0, 1, 2100.0, 1000.0, 3000)])
    held = book([(1990, 500), (1985, 900)], [(2005, 400), (2010, 700), (2020, 2000)])
    made = goal(("a", "b"), jumps=True, slope_bits=12, margin=("0", "0.05"), band=2)
    return example(made, [dear, held], [{}, {"fee_bps": "1"}])
