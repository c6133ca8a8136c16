"""Whether this machine computes the words that every other one does (solvers.md, R10).

Fixed venues in integers are asked at fixed multipliers for amounts, slopes, lots and costs. The
digest of all words is pinned; it takes a few milliseconds, once a process.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from itertools import islice
from typing import Any

import numpy as np

from covenue.errors import PluginBroken
from covenue.hooks.domains import EMPTY
from covenue.numerics.fixed_draws import fixed_draws
from covenue_contracts.plan import Member
from covenue_contracts.shared import DualVariables, Query, QueryKind
from covenue_domain_execution.goals import MULTIPLIER_BITS, Terms, parse_goal, read_terms
from covenue_domain_execution.problem import problem_of

PINNED = "e5f5690e42dccd0c4bbc70b940c3bb51305a2339d670ca910692474c97900618"
VENUES, SLICES, PLACES = 12, 24, 4
LOT_BITS = 40
"""So fine that words hold nearly every bit of a float."""
MEMBER = Member(did="did:key:z" + "6" * 47, name="self-test", slot=0)


@cache
def self_test() -> bool:
    """Whether the fixed instance gives the pinned digest."""
    return computed() == PINNED


def require_self_test() -> None:
    """Raise PluginBroken unless `self_test` holds."""
    if not self_test():
        raise PluginBroken(
            "domain 'execution' computes other bits here than on other machines",
            "use a numpy built for IEEE 754 doubles without fast-math",
        )


def computed() -> str:
    """SHA-256 over the answers of the fixed instance."""
    draws = fixed_draws(1)
    terms = _terms()
    made = problem_of(terms, (MEMBER,), MEMBER, _table(draws), {})
    said = sha256()
    for _ in range(PLACES):
        place = _place(draws, terms)
        asked: dict[QueryKind, tuple[str, ...]] = {
            "curvature": (),
            "recover": tuple(str(next(draws) << LOT_BITS - 16) for _ in range(8)),
            "certify": (str(next(draws) << LOT_BITS - 16), "1"),
        }
        for kind, points in asked.items():
            query = Query(kind=kind, after=None, multipliers=place, points=points)
            said.update(made.answer(query, EMPTY)[0].astype("<i8").tobytes())
    return said.hexdigest()


def _array(draws: Iterator[int], *shape: int) -> Any:
    count = int(np.prod(shape, dtype=np.int64))
    return np.array(list(islice(draws, count)), dtype=np.int64).reshape(shape)


def _terms() -> Terms:
    goal = parse_goal(
        {
            "side": "buy",
            "quantity": "5000",
            "price": "100",
            "slices": SLICES,
            "tracking_bps": "100",
            "scale_bits": LOT_BITS,
            "value_bits": 36,
            "slope_bits": 30,
        }
    )
    return read_terms(goal)


def _place(draws: Iterator[int], terms: Terms) -> DualVariables:
    """Multipliers up to three in a hundred above the price."""
    offsets = islice(draws, SLICES)
    values = tuple(str(terms.price + draw * terms.price // 2**21) for draw in offsets)
    return DualVariables(scale_bits=MULTIPLIER_BITS, values=values)


def _table(draws: Iterator[int]) -> Any:
    """Costs, impacts and caps of every venue and slice; credits that bind at some venues."""
    volume = 1000 + _array(draws, VENUES, SLICES) % 4001
    cap = volume // 5
    credit = cap.sum(axis=1, dtype=np.int64) * (20 + _array(draws, VENUES) % 60) // 100
    return {
        "a": (1 + _array(draws, VENUES, SLICES) % 997) / 700.0,
        "eta": (1 + _array(draws, VENUES, SLICES) % 7) / volume,
        "cap": cap.astype(np.float64),
        "credit": credit.astype(np.float64),
    }
