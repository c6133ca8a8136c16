"""Whether this machine computes the bits that every other one does (solvers.md, R10).

A fixed instance in integers runs through everything that can reach a multiplier: factoring and
solving, updates, both steps. Its digest is pinned; it takes a few milliseconds, once a process.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from itertools import islice

import numpy as np

from covenue.errors import PluginBroken
from covenue.numerics.ldlt import Reals, factored, solved
from covenue_solver_dual.coordinates import WIDE_REACH
from covenue_solver_dual.newton import Slopes, newton_step, secant
from covenue_solver_dual.pairs import Pairs, quasi_newton_step, with_pair
from covenue_solver_dual.terms import Terms
from covenue_solver_dual.totals import Point

PINNED = "c5f8951dd5766334c2908bc44d83c8905a3b622b918f34a96076de92861d289a"
SIZE = 48


@cache
def self_test() -> bool:
    """Whether the fixed instance gives the pinned digest."""
    return computed() == PINNED


def require_self_test() -> None:
    """Raise PluginBroken unless `self_test` holds."""
    if not self_test():
        raise PluginBroken(
            "the solvers of covenue-solver-dual compute other bits here than on other machines",
            "use a numpy built for IEEE 754 doubles without fast-math, or another solver",
        )


def computed() -> str:
    """SHA-256 over the results of the fixed instance."""
    draws = _draws(1)
    matrix = _laplacian(draws)
    terms = _terms(draws)
    before = _point(terms, draws, 4)
    after = _point(terms, draws, 3)
    learned = secant(terms, matrix, before, after)
    factor = factored(learned + np.diag(np.diagonal(learned)) * 2.0**-10, np.full(SIZE, 2.0**-20))
    pairs = with_pair(terms, with_pair(terms, Pairs(2), before, after), after, before)
    slopes = Slopes(learned, 0.5 * np.diagonal(matrix), 2.0**-20)
    parts = [
        learned.tobytes(),
        factor.unit_upper.tobytes(),
        factor.pivots.tobytes(),
        solved(factor, learned[0]).tobytes(),
        repr(newton_step(terms, after, slopes, WIDE_REACH)).encode(),
        repr(quasi_newton_step(terms, pairs, after, WIDE_REACH)).encode(),
    ]
    return sha256(b"".join(parts)).hexdigest()


def _draws(state: int) -> Iterator[int]:
    """Integers below 2^16 from a linear congruence: the same wherever integers are."""
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 48


def _take(draws: Iterator[int], count: int) -> tuple[int, ...]:
    return tuple(islice(draws, count))


def _laplacian(draws: Iterator[int]) -> Reals:
    """A weighted graph's Laplacian with odd weights, so that every operation rounds."""
    matrix = np.zeros((SIZE, SIZE))
    for row in range(SIZE):
        for step in (1, 5, 17):
            column = (row + step) % SIZE
            weight = (2 * next(draws) + 1) / 3.0
            matrix[row, row] += weight
            matrix[column, column] += weight
            matrix[row, column] -= weight
            matrix[column, row] -= weight
    return matrix


def _terms(draws: Iterator[int]) -> Terms:
    reference = tuple(2**40 + (value << 20) for value in _take(draws, SIZE))
    return Terms(
        names=tuple(f"c{k}" for k in range(SIZE)),
        reference=reference,
        lowest=tuple(r >> 4 for r in reference),
        highest=tuple(r << 4 for r in reference),
        least=(0,) * SIZE,
        most=(2**60,) * SIZE,
        margin=(64,) * SIZE,
        scale_bits=30,
        multiplier_bits=40,
        value_bits=30,
        value_floor=2**30,
        slope_bits=20,
        smoothing=(),
        bound=2**62,
        inset=(64,) * SIZE,
    )


def _point(terms: Terms, draws: Iterator[int], rests: int) -> Point:
    """Multipliers at and above their references, and totals on both sides of zero."""
    multipliers = tuple(
        r if k % rests == 0 else r + (draw << 20)
        for k, (r, draw) in enumerate(zip(terms.reference, _take(draws, SIZE), strict=True))
    )
    nets = tuple((draw - 2**15) << 24 for draw in _take(draws, SIZE))
    return Point(multipliers, value=2**40, nets=nets, width=0)
