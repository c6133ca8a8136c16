"""What a round released, read: a value, net amounts, slopes; or nothing where it cannot be true."""

from dataclasses import dataclass

import numpy as np

from covenue.hooks.solvers import Choice, Total
from covenue.numerics.ldlt import Reals
from covenue.numerics.words import integers
from covenue_solver_dual.terms import Integers, Terms

SLOPE_SLACK = 2**16
"""Slope words by which a sum of rounded slopes may differ from one that is not rounded."""


@dataclass(frozen=True)
class Point:
    """Multipliers and what the cohort answered to them.

    value: the sum of phi_i in value words. nets: the summed net amounts in words. width: the
    smoothing of the answer, 0 where nothing is smoothed.
    """

    multipliers: Integers
    value: int
    nets: Integers
    width: int


@dataclass(frozen=True, eq=False)
class Answer:
    """A point, and the slopes there in the value unit if they were asked for (m x m)."""

    point: Point
    slopes: Reals | None


def read(
    terms: Terms, multipliers: Integers, width: int, with_slopes: bool, release: Total | Choice
) -> Answer | None:
    """A released total, or None if it is noised or no cohort could have given it."""
    size = terms.size
    expected = 1 + size + (size * (size + 1) // 2 if with_slopes else 0)
    if not isinstance(release, Total) or not release.exact or len(release.words) != expected:
        return None
    value, *nets = integers(release.words[: 1 + size])
    if max(map(abs, (value, *nets))) > terms.bound * len(release.cohort):
        return None
    point = Point(multipliers, value, tuple(nets), width)
    if not with_slopes:
        return Answer(point, None)
    slopes = _unpacked(release.words[1 + size :], size)
    if not _may_be_slopes(slopes):
        return None
    return Answer(point, slopes * 2.0**-terms.slope_bits)


def _unpacked(triangle: "np.ndarray[tuple[int], np.dtype[np.int64]]", size: int) -> Reals:
    full = np.zeros((size, size))
    rows, columns = np.tril_indices(size)
    full[rows, columns] = triangle
    full[columns, rows] = triangle
    return full


def _may_be_slopes(slopes: Reals) -> bool:
    """Whether every 2 x 2 minor allows the matrix to be positive semidefinite, up to rounding."""
    diagonal = np.diagonal(slopes)
    if bool((diagonal < -SLOPE_SLACK).any()):
        return False
    roots = np.sqrt(np.maximum(diagonal, 0.0) + SLOPE_SLACK)
    return bool((np.abs(slopes) <= roots[:, None] * roots[None, :]).all())
