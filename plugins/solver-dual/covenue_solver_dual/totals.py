"""What a round released, read: a value, net amounts, slopes; or nothing where it cannot be true."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from covenue.hooks.solvers import Choice, Total
from covenue_solver_dual.algebra import extremes, unpacked
from covenue_solver_dual.held import Held, Reals, Whole
from covenue_solver_dual.terms import FARTHEST, Terms

SLOPE_SLACK = 2.0**16
"""Slope words by which a sum of rounded slopes may differ from one that is not rounded."""
GREATEST_WORD = 2**63 - 1


class Point(NamedTuple):
    """Multipliers and what the cohort answered to them.

    at: int64[m], multipliers on their grid. value: the sum of phi_i in value words. nets: int64[m],
    the summed net amounts in words. width: the smoothing of the answer, 0 where nothing is
    smoothed.
    """

    at: Held
    value: int
    nets: Held
    width: int

    @property
    def v(self) -> Whole:
        """The multipliers."""
        return self.at.array

    @property
    def s(self) -> Whole:
        """The net amounts."""
        return self.nets.array

    def at_rest(self) -> "Point":
        """The plan that nobody acts on, at the same multipliers."""
        return self._replace(value=0, nets=Held(np.zeros(len(self.v), dtype=np.int64)))


class Answer(NamedTuple):
    """A point, and the slopes there in the value unit if they were asked for (m x m)."""

    point: Point
    slopes: Reals | None


def point(multipliers: Sequence[int], value: int, nets: Sequence[int], width: int = 0) -> Point:
    """A point from integers."""
    at, found = (Held(np.array(each, dtype=np.int64)) for each in (multipliers, nets))
    return Point(at, value, found, width)


def read(
    terms: Terms, at: Held, width: int, with_slopes: bool, release: Total | Choice
) -> Answer | None:
    """A released total, or None if it is noised or no cohort could have given it."""
    size = terms.size
    expected = 1 + size + (size * (size + 1) // 2 if with_slopes else 0)
    if not isinstance(release, Total) or not release.exact or len(release.words) != expected:
        return None
    words = np.array(release.words[: 1 + size], dtype=np.int64)
    bound = min(terms.bound * len(release.cohort), GREATEST_WORD)
    least, most = extremes(words)
    if least < -bound or most > bound:
        return None
    nets = words[1:]
    if least <= -FARTHEST or most >= FARTHEST:
        nets = np.clip(nets, 1 - FARTHEST, FARTHEST - 1)
    found = Point(at, int(words[0]), Held(nets), width)
    if not with_slopes:
        return Answer(found, None)
    slopes = _slopes(terms, release.words[1 + size :])
    return None if slopes is None else Answer(found, slopes)


def _slopes(terms: Terms, triangle: Whole) -> Reals | None:
    """The full matrix, or None if no convex answers have it."""
    rows = Held(np.ascontiguousarray(triangle)[:]).array
    able, full = unpacked(rows, terms.size, 2.0**-terms.slope_bits, SLOPE_SLACK)
    return Held(full).array if able else None
