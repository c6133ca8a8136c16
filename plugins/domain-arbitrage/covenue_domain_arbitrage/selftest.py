"""Whether this machine computes the words that every other one does (solvers.md, R10).

A fixed instance in integers, of pools, of a book or of ladders, is asked at fixed multipliers.
Scales are so fine that words hold nearly every bit of a float. The digests of all words are pinned;
each takes a few milliseconds, once a process.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from itertools import islice
from typing import Any, Literal

import numpy as np

from covenue.errors import PluginBroken
from covenue.hooks.domains import EMPTY
from covenue.hooks.venues import BookState, PoolBatch, Snapshot
from covenue.numerics.fixed_draws import fixed_draws
from covenue_contracts.energibridge import Asset, ClockStamp, Instrument
from covenue_contracts.shared import DualVariables, Query
from covenue_domain_arbitrage.goals import MULTIPLIER_BITS, Terms, parse_goal, read_terms
from covenue_domain_arbitrage.ladders_table import is_ladders
from covenue_domain_arbitrage.problem import problem_of

Kind = Literal["pools", "books", "ladders"]
PINNED: Mapping[Kind, str] = {
    "pools": "1c56d6537f0fb25d4845fb08672d473b17de90eaeafc41e284ea86dc54a39c26",
    "books": "caad92920ae6e3b2296d298366e48a678e38977f0bdea5bfde3a74da6685a467",
    "ladders": "6308b74ea5cceefd2d18aaa215d2e89abbf0d44c5a8afa276527957ad3b650dd",
}
SCALES: Mapping[Kind, int] = {"pools": 45, "books": 46, "ladders": 46}
"""As fine as the bound of a word allows."""
ASSETS = tuple(f"a{number}" for number in range(12))
POOLS, BOOK_LEVELS, LEVELS, PLACES = 96, 40, 6, 5
STAMP = ClockStamp(venue_time=None, local_time="0", clock="test", offset="0", half_width="0")


def kind_of(state: Any) -> Kind:
    """Which instance is computed as a state is."""
    held = state.state if isinstance(state, Snapshot) else state
    if isinstance(held, BookState):
        return "books"
    return "ladders" if is_ladders(held) else "pools"


@cache
def self_test(kind: Kind) -> bool:
    """Whether the fixed instance gives the pinned digest."""
    return computed(kind) == PINNED[kind]


def require_self_test(kind: Kind) -> None:
    """Raise PluginBroken unless `self_test` holds."""
    if not self_test(kind):
        raise PluginBroken(
            f"the {kind} of domain 'arbitrage' have other bits here than on other machines",
            "use a numpy built for IEEE 754 doubles without fast-math",
        )


def computed(kind: Kind) -> str:
    """SHA-256 over the answers of the fixed instance, with slopes, at several multipliers."""
    draws = fixed_draws(1)
    terms = _terms(kind)
    make = {"pools": _pools, "books": _book, "ladders": _table}[kind]
    made = problem_of(terms, 1, make(draws), {})
    said = sha256()
    for width in terms.widths if terms.jumps else (None,) * PLACES:
        points = () if width is None else (str(width),)
        query = Query(kind="curvature", after=None, multipliers=_place(draws, terms), points=points)
        said.update(made.answer(query, EMPTY)[0].astype("<i8").tobytes())
    return said.hexdigest()


def _array(draws: Iterator[int], *shape: int) -> Any:
    count = int(np.prod(shape, dtype=np.int64))
    return np.array(list(islice(draws, count)), dtype=np.int64).reshape(shape)


def _terms(kind: Kind) -> Terms:
    jumps: Mapping[str, Any] = {"jumps": True, "widths": (8, 11, 14), "most": "unlimited"}
    goal = parse_goal(
        {
            "assets": ASSETS,
            "references": ("3",) * len(ASSETS),
            "scale_bits": SCALES[kind],
            "value_bits": 44,
            "slope_bits": 24,
            "band": 2,
            **({} if kind == "pools" else jumps),
        }
    )
    return read_terms(goal)


def _place(draws: Iterator[int], terms: Terms) -> DualVariables:
    """Multipliers up to a part in 64 off their references."""
    rows = zip(terms.references, islice(draws, len(ASSETS)), strict=True)
    values = tuple(str(r + ((draw - 2**15) << 19)) for r, draw in rows)
    return DualVariables(scale_bits=MULTIPLIER_BITS, values=values)


def _pools(draws: Iterator[int]) -> PoolBatch:
    """Every other pool gives no more than a part of its reserves."""
    a = np.arange(POOLS) % len(ASSETS)
    b = (a + 1 + _array(draws, POOLS) % (len(ASSETS) - 1)) % len(ASSETS)
    reserves = (_array(draws, POOLS, 1) + 2**14) * 2**34 + _array(draws, POOLS, 2) * 2**18
    given = np.where(a[:, None] % 2, reserves, reserves // (2 + _array(draws, POOLS, 2) % 64))
    return PoolBatch(
        "self-test",
        tuple(Asset(name=name, decimals=13) for name in ASSETS),
        tuple(f"pool-{number}" for number in range(POOLS)),
        sides=np.stack([a, b], axis=1),
        reserves=reserves,
        fee_ppm=_array(draws, POOLS) % 10_000,
        stamp=STAMP,
        available=given,
    )


def _book(draws: Iterator[int]) -> BookState:
    """Crowded levels around a price of one: ticks of a millionth, steps of a thousandth."""
    instrument = Instrument(
        venue="self-test",
        symbol="A0A1",
        canonical="a0-a1",
        base="A0",
        quote="A1",
        tick="0.000001",
        step="0.001",
        minimum="0",
        multiplier="1",
        payoff="linear",
        hours="24/7",
        zone="UTC",
    )
    away = np.cumsum(1 + _array(draws, 2, BOOK_LEVELS) % 997, axis=1)
    size = 1 + _array(draws, 2, BOOK_LEVELS) % 9973
    return BookState(
        instrument,
        bids=np.stack([1_003_000 - away[0], size[0]], axis=1),
        asks=np.stack([997_000 + away[1], size[1]], axis=1),
        last=1,
        stamp=STAMP,
    )


def _table(draws: Iterator[int]) -> Mapping[str, Any]:
    """Ladders against the last asset, around a price of one; the first venue's capital binds."""
    shape = (2, len(ASSETS) - 1, LEVELS)
    up, down = (np.cumsum(1 + _array(draws, *shape) % 997, axis=2) for _ in range(2))
    asked, wanted = (1 + _array(draws, *shape) % 509 for _ in range(2))
    return {
        "assets": ASSETS[:-1],
        "quote": ASSETS[-1],
        "ask": (999_000 + up) / 1e6,
        "bid": (1_001_000 - down) / 1e6,
        "ask_size": asked / 7.0,
        "bid_size": wanted / 7.0,
        "capital": (1 + _array(draws, 2) % 997) / np.array([3.0, 0.3]),
        "inventory": (1 + _array(draws, *shape[:2]) % 997) / 3.0,
    }
