"""Sums and products in one fixed order: what neither numba, numpy, BLAS nor a CPU can change.

An entry of a product receives its terms one at a time, in ascending order of the row, each rounded
once; a dot product adds from the first to the last. How many rows are read at a time is no matter
of order.
Source: solvers.md, section 4 (R1, R5).
"""

from math import sqrt

import numpy as np

from covenue.numerics.compiled import compiled, is_compiling
from covenue_solver_dual.held import Reals, Whole

CURVED = 1e-12
SPARE_PRODUCTS = 20
TILE = 32


@compiled
def dot(left: Reals, right: Reals) -> float:
    """Sum of products, first to last."""
    result = 0.0
    for k in range(len(left)):
        result += left[k] * right[k]
    return result


def _by_entries(matrix: Reals, vector: Reals, result: Reals) -> None:
    size = len(vector)
    row = 0
    result[:] = 0.0
    while row + 3 < size:
        a, b, c, d = vector[row], vector[row + 1], vector[row + 2], vector[row + 3]
        if a != 0.0 or b != 0.0 or c != 0.0 or d != 0.0:
            for j in range(size):
                result[j] = (
                    ((result[j] + matrix[row, j] * a) + matrix[row + 1, j] * b)
                    + matrix[row + 2, j] * c
                ) + matrix[row + 3, j] * d
        row += 4
    while row < size:
        a = vector[row]
        for j in range(size):
            result[j] += matrix[row, j] * a
        row += 1


def _by_rows(matrix: Reals, vector: Reals, result: Reals) -> None:
    result[:] = 0.0
    for row in range(len(vector)):
        result += matrix[row] * vector[row]


times = compiled(_by_entries) if is_compiling() else _by_rows
"""Fills `result` with a symmetric matrix times a vector: loops compiled, whole rows in numpy.

Rows whose factors are zero add a signed zero at most, so leaving them out changes no number.
"""


@compiled
def conjugated(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    matrix: Reals,
    diagonal: Reals,
    extra: Reals,
    right: Reals,
    moves: Reals,
    step: Reals,
    solved: float,
) -> int:
    """Solve (matrix + diag(extra)) step = right on the coordinates where `moves` is 1.

    Conjugate gradients, scaled by `diagonal` (that of the whole, positive where it moves), from
    the step as it is, until what is left of `right` is below `solved`, both squared. Elsewhere
    `moves` is 0 and the step stays. Returns the products it took, or -1 at a direction without
    curvature: the matrix is then not positive definite.
    Source: Hestenes, Stiefel, Methods of conjugate gradients (1952).
    """
    size = len(right)
    image, along, rest = np.zeros(size), np.zeros(size), np.zeros(size)
    for k in range(size):
        along[k] = step[k] * moves[k]
    times(matrix, along, image)
    whole = power = 0.0
    for k in range(size):
        rest[k] = (right[k] - image[k] - extra[k] * along[k]) * moves[k]
        along[k] = rest[k] / diagonal[k]
        whole += moves[k] * right[k] * (right[k] / diagonal[k])
        power += rest[k] * along[k]
    for product in range(size + SPARE_PRODUCTS):
        if power <= solved * whole:
            return product
        times(matrix, along, image)
        curved = 0.0
        for k in range(size):
            image[k] = (image[k] + extra[k] * along[k]) * moves[k]
            curved += along[k] * image[k]
        if not curved > 0.0:
            return -1
        share = power / curved
        before, power = power, 0.0
        for k in range(size):
            step[k] += share * along[k]
            rest[k] -= share * image[k]
            power += rest[k] * (rest[k] / diagonal[k])
        share = power / before
        for k in range(size):
            along[k] = rest[k] / diagonal[k] + share * along[k]
    return size + SPARE_PRODUCTS


@compiled
def ranks(matrix: Reals, moved: Reals, gained: Reals) -> tuple[Reals, float, float]:
    """(image of `moved`, and what a BFGS update divides by: moved'image, moved'gained).

    Both are infinite where the pair has no curvature: then nothing is updated.
    """
    image = np.zeros(len(moved))
    times(matrix, moved, image)
    gain, held = dot(moved, gained), dot(moved, image)
    if gain > CURVED * held and held > 0.0:
        return image, held, gain
    return image, np.inf, np.inf


def _updated_by_entries(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    matrix: Reals, image: Reals, gained: Reals, held: float, gain: float, grown: Reals
) -> Reals:
    size = len(image)
    result = np.empty((size, size))
    for i in range(size):
        less, more, scale = image[i] / held, gained[i] / gain, grown[i]
        for j in range(size):
            result[i, j] = (matrix[i, j] - image[j] * less + gained[j] * more) * (grown[j] * scale)
    return result


def _updated_by_rows(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    matrix: Reals, image: Reals, gained: Reals, held: float, gain: float, grown: Reals
) -> Reals:
    result = np.empty(matrix.shape)
    for i in range(len(image)):
        row = matrix[i] - image * (image[i] / held) + gained * (gained[i] / gain)
        result[i] = row * (grown * grown[i])
    return result


spread = compiled(_updated_by_entries) if is_compiling() else _updated_by_rows
"""The matrix less image image' / held plus gained gained' / gain, then scaled on both sides."""


def updated(matrix: Reals, moved: Reals, gained: Reals, grown: Reals) -> Reals:
    """The matrix after a BFGS update that maps `moved` to `gained`, then scaled on both sides.

    It stays positive semidefinite; a pair without curvature changes nothing but the scale. grown:
    by how much each coordinate's scale grew, m numbers.
    """
    image, held, gain = ranks(matrix, moved, gained)
    return spread(matrix, image, gained, held, gain, grown)


@compiled
def extremes(words: Whole) -> tuple[int, int]:
    """The least and the greatest of some words."""
    least = most = words[0]
    for word in words:
        least, most = min(least, word), max(most, word)
    return int(least), int(most)


def _unpacked_by_entries(
    triangle: Whole, size: int, unit: float, slack: float
) -> tuple[bool, Reals]:
    full, roots = np.empty((size, size)), np.empty(size)
    place, able = 0, True
    for i in range(size):
        place += i
        last = float(triangle[place + i])
        able = able and bool(last >= -slack)
        root = sqrt(max(last, 0.0) + slack)
        roots[i] = root
        beyond = 0
        for j in range(i + 1):
            entry = float(triangle[place + j])
            beyond += abs(entry) > roots[j] * root
            full[i, j] = entry * unit
        able = able and bool(beyond == 0)
    for top in range(0, size, TILE):
        for left in range(0, top + 1, TILE):
            for i in range(top, min(top + TILE, size)):
                for j in range(left, min(left + TILE, i)):
                    full[j, i] = full[i, j]
    return able, full


def _unpacked_by_rows(triangle: Whole, size: int, unit: float, slack: float) -> tuple[bool, Reals]:
    full, roots = np.empty((size, size)), np.empty(size)
    place, able = 0, True
    for i in range(size):
        place += i
        row = triangle[place : place + i + 1].astype(np.float64)
        able = able and bool(row[i] >= -slack)
        roots[i] = sqrt(max(row[i], 0.0) + slack)
        able = able and bool((np.abs(row) <= roots[: i + 1] * roots[i]).all())
        row *= unit
        full[i, : i + 1] = row
        full[: i + 1, i] = row
    return able, full


unpacked = compiled(_unpacked_by_entries) if is_compiling() else _unpacked_by_rows
"""A packed lower triangle as a full matrix times `unit`: loops compiled, whole rows in numpy.

And whether every 2 x 2 minor lets it be positive semidefinite, but for `slack` words.
"""
