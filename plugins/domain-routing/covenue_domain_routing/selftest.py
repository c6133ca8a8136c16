"""Whether this machine computes the words that every other one does (solvers.md, R10).

Fixed books in integers, of one instrument and of several, are asked for depth and spend at fixed
keys. The digest of all words is pinned; it takes a few milliseconds, once a process.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from itertools import islice
from typing import Any

import numpy as np

from covenue.errors import PluginBroken
from covenue.hooks.domains import EMPTY, LocalProblem
from covenue.numerics.fixed_draws import fixed_draws
from covenue_contracts.plan import Member
from covenue_contracts.shared import Query
from covenue_domain_routing.basket_coupling import basket_grid
from covenue_domain_routing.basket_goals import parse_basket, read_basket
from covenue_domain_routing.basket_problem import basket_of
from covenue_domain_routing.batch import batch_of
from covenue_domain_routing.coupling import coupling
from covenue_domain_routing.goals import parse_goal, read_terms
from covenue_domain_routing.stacks import Books

PINNED = "0f09f7af33aa0b80e1861db8085d39dba2c3cfb284436a88216ad9de836ea845"
BOOKS, INSTRUMENTS, LEVELS, PROBES = 9, 3, 16, 24
PRICE = 2**20
MEMBER = Member(did="did:key:z" + "6" * 47, name="self-test", slot=0)


@cache
def self_test() -> bool:
    """Whether the fixed instance gives the pinned digest."""
    return computed() == PINNED


def require_self_test() -> None:
    """Raise PluginBroken unless `self_test` holds."""
    if not self_test():
        raise PluginBroken(
            "domain 'routing' counts other lots here than on other machines",
            "use a numpy whose int64 has 64 bits, or update covenue-domain-routing",
        )


def computed() -> str:
    """SHA-256 over the answers of the fixed instances."""
    draws = fixed_draws(1)
    said = sha256()
    for made, points in (*_one(draws), *_several(draws)):
        query = Query(kind="depth", after=None, multipliers=None, points=tuple(map(str, points)))
        said.update(made.answer(query, EMPTY)[0].astype("<i8").tobytes())
    return said.hexdigest()


def _array(draws: Iterator[int], *shape: int) -> Any:
    count = int(np.prod(shape, dtype=np.int64))
    return np.array(list(islice(draws, count)), dtype=np.int64).reshape(shape)


def _books(draws: Iterator[int], *shape: int) -> Books:
    """Prices that tie within and between books; some levels hold nothing."""
    steps = np.cumsum(_array(draws, *shape) % 5, axis=-1)
    return Books(PRICE + 64 * steps, _array(draws, *shape) % 997)


def _keys(draws: Iterator[int], low: int, high: int) -> list[int]:
    """Probes that rise from one key to another."""
    parts = sorted(islice(draws, PROBES))
    return [low + (high - low) * part // 2**16 for part in parts]


def _one(draws: Iterator[int]) -> Iterator[tuple[LocalProblem, list[int]]]:
    goal = parse_goal({"side": "buy", "quantity": "5000", "lot": "1", "price_scale": 1})
    terms = read_terms(goal)
    shift = coupling(goal, (MEMBER,)).key_shift
    made = batch_of(terms, (MEMBER,), MEMBER, _books(draws, BOOKS, LEVELS), {})
    top = PRICE + 64 * 5 * LEVELS
    for _ in range(3):
        yield made, _keys(draws, PRICE << shift, top << shift)


def _several(draws: Iterator[int]) -> Iterator[tuple[LocalProblem, list[int]]]:
    values = tuple(PRICE + 64 * (30 + 7 * k) for k in range(INSTRUMENTS))
    table: Any = {
        "instruments": tuple(f"i{k}" for k in range(INSTRUMENTS)),
        "quantities": (3000,) * INSTRUMENTS,
        "values": values,
        "budget": 5000 * PRICE,
        "lot": "1",
        "price_scale": 1,
    }
    goal = parse_basket(table)
    grid = basket_grid(read_basket(goal), (MEMBER,))
    books = _books(draws, BOOKS, INSTRUMENTS, LEVELS)
    made = basket_of(read_basket(goal), (MEMBER,), MEMBER, books, {})
    shift = grid.cut_shift
    cuts = [_keys(draws, PRICE << shift, value << shift) for value in values]
    yield made, [*map(len, cuts), *(key for each in cuts for key in each)]
    chosen = [part for each in cuts for part in (each[PROBES // 2], next(draws) % 97)]
    ratios = _keys(draws, 2**30 - 2**22 << grid.ratio_shift, 2**30 << grid.ratio_shift)
    yield made, [*(0,) * INSTRUMENTS, *chosen, *ratios]
