"""A routing plan with all ladders opened: a linear program, and the key that its optimum means.

    min sum price x    sum x = wanted,  0 <= x <= lots       (selling: max)

The marginal key is read off the optimum; that it is one, the participants' depth there shows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from covenue.errors import LayoutMismatch
from covenue.hooks.programs import Entries, Optimum, Program, halves, wholes
from covenue.numerics.words import Words
from covenue_contracts.plan import Member
from covenue_contracts.shared import Query
from covenue_domain_routing.grid import KeyGrid
from covenue_domain_routing.ladders import Ladder

Array = NDArray[np.int64]
HALF_A_LOT = 0.5


def slots_of(members: Sequence[Member]) -> int:
    """Slots of a roster: one more than the greatest."""
    return max((member.slot for member in members), default=0) + 1


def disclose(ladder: Ladder) -> Words:
    """Keys and lots of every level, each in two words."""
    return halves(np.concatenate([ladder.keys, ladder.lots]))


def offers(parts: Sequence[Words]) -> tuple[Array, Array]:
    """(keys, lots) of all levels, by key. Raises LayoutMismatch for what is no ladder."""
    opened = [wholes(part) for part in parts if len(part)]
    if any(len(each) % 2 for each in opened):
        raise LayoutMismatch("a ladder discloses as many lots as keys", "disclose both")
    halved = [np.split(each, 2) for each in opened]
    keys = np.concatenate([pair[0] for pair in halved]) if halved else np.zeros(0, dtype=np.int64)
    lots = np.concatenate([pair[1] for pair in halved]) if halved else np.zeros(0, dtype=np.int64)
    if np.any(keys < 0) or np.any(lots < 0):
        raise LayoutMismatch("a ladder discloses negative words", "disclose keys and lots")
    order = np.argsort(keys, kind="stable")
    return keys[order], lots[order]


def program(parts: Sequence[Words], grid: KeyGrid, wanted: int, least: int) -> Program:
    """The linear program in steps of price above the best, infeasible where too little is offered.

    Where the depth is less than what is wanted, all of it is.
    """
    keys, lots = offers(parts)
    steps = (keys >> grid.shift).astype(np.float64)
    need = max(1, min(least, wanted))
    target = float(max(need, min(wanted, int(lots.sum()))))
    count = len(keys)
    size = count or 1
    return Program(
        cost=steps - steps.min() if count else np.zeros(1),
        low=np.zeros(size),
        high=lots.astype(np.float64) if count else np.zeros(1),
        rows=Entries(np.zeros(size, dtype=np.int64), np.arange(size), np.ones(size)),
        row_low=np.array([target]),
        row_high=np.array([target]),
        coupling=(0,),
    )


def proposals(
    parts: Sequence[Words], grid: KeyGrid, wanted: int, optimum: Optimum
) -> tuple[Query, ...]:
    """Depth at the key where the optimum stops, or at the end where all depth is wanted.

    It stops at the worst price that it takes anything at. Several participants may offer there;
    any split of them is optimal, and the plan takes lower keys first.
    """
    keys, lots = offers(parts)
    if int(lots.sum()) < wanted:
        return (_depth(grid.key_range[1]),)
    steps = keys >> grid.shift
    worst = steps[optimum.x >= HALF_A_LOT].max(initial=steps[0])
    at = np.flatnonzero(steps == worst)
    reached = np.cumsum(lots)[at]
    key = int(keys[at[min(int(np.searchsorted(reached, wanted)), len(at) - 1)]])
    return (_depth(key, key + 1),)


def _depth(*points: int) -> Query:
    return Query(
        kind="depth", after=None, multipliers=None, points=tuple(str(point) for point in points)
    )
