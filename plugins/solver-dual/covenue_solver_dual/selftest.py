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
from covenue.numerics.fixed_draws import fixed_draws
from covenue.numerics.ldlt import factored, solved
from covenue_solver_dual.algebra import extremes, times, unpacked
from covenue_solver_dual.costs import Costs
from covenue_solver_dual.held import Held, Reals
from covenue_solver_dual.model import insets, judged, misplaced
from covenue_solver_dual.newton import Curvature, secant, step
from covenue_solver_dual.pairs import Pairs, quasi_newton_step, stiffness, with_pair
from covenue_solver_dual.terms import Terms
from covenue_solver_dual.totals import Point, point

PINNED = "2db643d8913713073255f81440bf09e92a6e044e2f9213fbaf16fbd1f4e8d016"
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
    draws = fixed_draws(1)
    matrix = _laplacian(draws)
    terms = _terms(draws)
    before, after = _point(terms, draws, 4), _point(terms, draws, 3)
    return sha256(b"".join([*_algebra(matrix), *_steps(terms, matrix, before, after)])).hexdigest()


def _algebra(matrix: Reals) -> Iterator[bytes]:
    """Factoring, products, slopes from words."""
    factor = factored(matrix + np.diag(np.diagonal(matrix)) * 2.0**-10, np.full(SIZE, 2.0**-20))
    image = np.empty(SIZE)
    times(matrix, Held(matrix[0] / 7.0).array, image)
    packed = np.rint(matrix[np.tril_indices(SIZE)] * 1000.0).astype(np.int64)
    able, full = unpacked(Held(packed).array, SIZE, 1.0 / 3.0, 2.0**16)
    yield from (factor.unit_upper.tobytes(), factor.pivots.tobytes())
    yield from (solved(factor, matrix[0]).tobytes(), image.tobytes(), full.tobytes(), bytes([able]))
    yield repr(extremes(packed)).encode()


def _steps(terms: Terms, matrix: Reals, before: Point, after: Point) -> Iterator[bytes]:
    """Both steps, straight and bent, from what was learnt; and what decisions rest on."""
    units, inset = (terms.v_unit, terms.s_unit), Held(np.full(SIZE, 64))
    for bent in (False, True):
        learned = secant(terms, matrix, before, after, bent=bent)
        yield learned.array.tobytes()
        walls = Held(0.5 * np.diagonal(learned.array))
        memory = Curvature(Costs(), learned, after.at, walls=walls, bent=bent)
        convex, trial = step(terms, memory, learned, after, inset, (-0.7, 1.5))
        yield bytes([convex]) + trial.tobytes()
        pairs = with_pair(terms, Pairs(2), before, after, bent=bent)
        pairs = with_pair(terms, pairs, after, before, bent=bent)
        yield quasi_newton_step(terms, pairs, before, inset, (-0.7, 1.5)).tobytes()
    steps = Held(matrix[:3] / 7.0).array
    yield stiffness(steps, Held(steps * matrix.diagonal()).array, 1.0 / 3.0).tobytes()
    both = before.v, before.s, after.v, after.s
    yield repr(judged(terms.limits, inset.array, *both, *units)).encode()
    yield repr(misplaced(terms.limits, inset.array, *both[:2], *units)).encode()
    diagonal, widest = Held(matrix.diagonal().copy()), Held(np.full(SIZE, 2**50))
    yield insets(terms.limits, before.v, 1.0, diagonal.array, *units, widest.array).tobytes()


def _take(draws: Iterator[int], count: int) -> tuple[int, ...]:
    return tuple(islice(draws, count))


def _laplacian(draws: Iterator[int]) -> Reals:
    """A weighted graph's Laplacian with odd weights, so that every operation rounds."""
    matrix = np.zeros((SIZE, SIZE))
    for row in range(SIZE):
        for far in (1, 5, 17):
            column = (row + far) % SIZE
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
    )


def _point(terms: Terms, draws: Iterator[int], rests: int) -> Point:
    """Multipliers at and above their references, and totals on both sides of zero."""
    multipliers = tuple(
        r if k % rests == 0 else r + (draw << 20)
        for k, (r, draw) in enumerate(zip(terms.reference, _take(draws, SIZE), strict=True))
    )
    nets = tuple((draw - 2**15) << 24 for draw in _take(draws, SIZE))
    return point(multipliers, 2**40, nets)
