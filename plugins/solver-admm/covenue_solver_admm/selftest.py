"""Whether this machine computes the bits that every other one does (solvers.md, R10).

A fixed instance in integers runs through everything that can reach a question: steps within limits
and along a path, combinations, coefficients. Its digest is pinned; a few milliseconds a process.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from hashlib import sha256
from itertools import islice

from covenue.errors import PluginBroken
from covenue.hooks.solvers import Tracking
from covenue.numerics.fixed_draws import fixed_draws
from covenue_solver_admm.anderson import coefficients
from covenue_solver_admm.sharing import (
    Point,
    combined,
    image,
    multipliers,
    opening,
    product,
    question,
)
from covenue_solver_admm.terms import Terms

PINNED = "03dbc3e71e6621c34a8da649f22267a6c8083cf7b99d62c14722f0c5a282bfb8"
SIZE, COUNT, EXPONENT = 24, 7, 3


@cache
def self_test() -> bool:
    """Whether the fixed instance gives the pinned digest."""
    return computed() == PINNED


def require_self_test() -> None:
    """Raise PluginBroken unless `self_test` holds."""
    if not self_test():
        raise PluginBroken(
            "solver 'admm' computes other bits here than on other machines",
            "use a numpy built for IEEE 754 doubles without fast-math, or another solver",
        )


def computed() -> str:
    """SHA-256 over the results of the fixed instance, within limits and along a path."""
    path = tuple(sorted(draw << 20 for draw in _take(fixed_draws(3), SIZE)))
    lots = (*path[:-1], path[-1] >> 30 << 30)
    tracked = Tracking(lots, Fraction(1, 3), 1 << 30, 3)
    return sha256(b"".join([*_run(None), *_run(tracked)])).hexdigest()


def _run(tracking: Tracking | None) -> Iterator[bytes]:
    """Three steps on drawn answers, and what their combination asks."""
    draws = fixed_draws(1)
    terms = _terms(draws, tracking)
    stand, points = opening(terms, EXPONENT), list[Point]()
    gram: tuple[tuple[float, ...], ...] = ()
    for _ in range(4):
        totals = tuple((draw - 2**15) << 24 for draw in _take(draws, SIZE))
        point = image(terms, stand, EXPONENT, totals, COUNT, terms.margin, "")
        points.insert(0, point)
        row = tuple(product(point, other, COUNT) for other in points)
        gram = (row, *((a, *old) for a, old in zip(row[1:], gram, strict=True)))
        shares = coefficients(gram)
        stand = combined(terms, tuple(points[: len(shares)]), shares)
        yield repr(question(terms, stand, EXPONENT, 9, shares)).encode()
        yield repr((multipliers(terms, stand, EXPONENT), point, gram)).encode()


def _take(draws: Iterator[int], count: int) -> tuple[int, ...]:
    return tuple(islice(draws, count))


def _terms(draws: Iterator[int], tracking: Tracking | None) -> Terms:
    reference = tuple(2**40 + (value << 24) for value in _take(draws, SIZE))
    loose = 2**62 if tracking is None else 0
    return Terms(
        names=tuple(f"c{k}" for k in range(SIZE)),
        reference=reference,
        lowest=tuple(r >> 4 for r in reference),
        highest=tuple(r << 4 for r in reference),
        least=(*(-(draw << 20) for draw in _take(draws, SIZE - 1)), -loose),
        most=(*(draw << 20 for draw in _take(draws, SIZE - 1)), loose),
        margin=(64,) * SIZE,
        scale_bits=30,
        multiplier_bits=40,
        value_bits=30,
        value_floor=2**30,
        bound=2**60,
        tracking=tracking,
    )
