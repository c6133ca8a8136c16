"""Whether this machine computes the bits that every other one does (solvers.md, R10).

A fixed instance in integers runs through everything that can reach a multiplier. Its digest is
pinned; it takes a few milliseconds, once a process.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from itertools import islice

import numpy as np

from covenue.errors import PluginBroken
from covenue.numerics.fixed_draws import fixed_draws
from covenue_solver_proximal.answers import Answer
from covenue_solver_proximal.step import aim_of, between, newton_step, trend_of
from covenue_solver_proximal.terms import Terms

PINNED = "193142fca4570957797e65656901e614fa25a0b482d798c1bcfa1af733051076"
SIZE = 32


@cache
def self_test() -> bool:
    """Whether the fixed instance gives the pinned digest."""
    return computed() == PINNED


def require_self_test() -> None:
    """Raise PluginBroken unless `self_test` holds."""
    if not self_test():
        raise PluginBroken(
            "solver 'proximal' computes other bits here than on other machines",
            "use a numpy built for IEEE 754 doubles without fast-math, or another solver",
        )


def computed() -> str:
    """SHA-256 over the results of the fixed instance: steps near and far, with kinks."""
    draws = fixed_draws(1)
    terms = _terms(draws)
    parts = []
    for rests in (3, 4):
        answer = _answer(draws, terms, rests)
        trend = trend_of(answer.matrix(SIZE))
        aim = aim_of(terms, answer, terms.limits(answer.multipliers, 2**80))
        parts.append(repr(newton_step(terms, answer, aim, trend, (2.0**-20, 0.5))).encode())
        other = _answer(draws, terms, rests)
        aims = aim, aim_of(terms, other, terms.limits(other.multipliers, 2**80))
        parts.append(between(terms, answer, other, aims).tobytes())
    return sha256(b"".join(parts)).hexdigest()


def _terms(draws: Iterator[int]) -> Terms:
    reference = tuple(2**40 + (value << 20) for value in islice(draws, SIZE))
    return Terms(
        names=tuple(f"c{k}" for k in range(SIZE)),
        reference=reference,
        lowest=tuple(r >> 2 for r in reference),
        highest=tuple(r << 2 for r in reference),
        least=(-(2**40),) * SIZE,
        most=(2**40,) * SIZE,
        margin=(64,) * SIZE,
        scale_bits=30,
        multiplier_bits=40,
        value_bits=30,
        value_floor=2**30,
        slope_bits=20,
        widths=(2**28, 2**21),
        bound=2**62,
    )


def _answer(draws: Iterator[int], terms: Terms, rests: int) -> Answer:
    """Multipliers on both sides of their references, and the slopes of a weighted graph."""
    offsets = [(draw - 2**15) << 16 for draw in islice(draws, SIZE)]
    multipliers = tuple(
        r if k % rests == 0 else r + offset
        for k, (r, offset) in enumerate(zip(terms.reference, offsets, strict=True))
    )
    slopes = np.zeros((SIZE, SIZE))
    for row in range(SIZE):
        for apart in (1, 5, 17):
            column = (row + apart) % SIZE
            weight = (2 * next(draws) + 1) / 3.0
            slopes[row, row] += weight
            slopes[column, column] += weight
            slopes[row, column] -= weight
            slopes[column, row] -= weight
    nets = tuple((draw - 2**15) << 26 for draw in islice(draws, SIZE))
    return Answer(multipliers, 2**40, nets, terms.widths[0], "", "", slopes.tobytes())
