"""Fixed-order LDL' of symmetric positive semidefinite matrices: the same bytes on any machine.

Every entry a_ij receives its updates one at a time, in ascending order of the pivot k:

    a_ij <- a_ij - (a_ik / d_k) * a_kj        k = 0, 1, ..., min(i, j) - 1

by elementwise operations that round once each. Blocks and tiles change what is in the cache and
no order of operations, so no bit depends on BLAS, on threads, on the SIMD level or on the tiles;
nor on whether numba is installed: then loops over entries are machine code, else tiles are numpy's.
Source: solvers.md, section 4 (R1, R3).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput, LayoutMismatch
from covenue.numerics.compiled import compiled, is_compiling

Reals = NDArray[np.float64]
BLOCK = 32
TILE_ROWS = 64
TILE_COLUMNS = 640


@dataclass(frozen=True, eq=False)
class Factor:
    """A = L D L'; read-only.

    unit_upper: L' with its unit diagonal, m x m; below the diagonal zeros. pivots: D, positive.
    raised: how many pivots were below their least and set to it.
    """

    unit_upper: Reals
    pivots: Reals
    raised: int


def factored(matrix: Reals, least_pivots: Reals) -> Factor:
    """Factor a symmetric matrix, raising each pivot that is below its least to that least.

    matrix: m x m; only the upper triangle is read. least_pivots: m positive numbers; what is below
    them counts as singular, so a semidefinite matrix is factored as well.
    Raises LayoutMismatch on shapes; BadInput on numbers that are not finite or not positive, and on
    a matrix that is so far from semidefinite that its factors are beyond floats.
    """
    _check(matrix, least_pivots)
    upper = np.array(matrix, dtype=np.float64, order="C")
    pivots = np.empty(len(upper))
    with np.errstate(over="ignore", invalid="ignore"):
        raised = eliminate(upper, least_pivots, pivots)
    upper[np.tril_indices(len(upper), -1)] = 0.0
    np.fill_diagonal(upper, 1.0)
    _check_finite(upper, "factor")
    return Factor(_read_only(upper), _read_only(pivots), raised)


def solved(factor: Factor, right: Reals) -> Reals:
    """x with L D L' x = right, by columns: each entry is updated in a fixed order.

    Raises LayoutMismatch unless `right` has one number a row, BadInput where x is beyond floats.
    """
    upper, size = factor.unit_upper, len(factor.pivots)
    if right.shape != (size,):
        raise LayoutMismatch(
            f"a right side of shape {right.shape} does not fit {size} pivots",
            "give one number for each row of the matrix",
        )
    x = np.array(right, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        substitute(upper, factor.pivots, x)
    _check_finite(x, "solution")
    return x


def _substitute_by_entries(upper: Reals, pivots: Reals, x: Reals) -> None:
    size = len(x)
    for k in range(size - 1):
        factor = x[k]
        for j in range(k + 1, size):
            x[j] -= upper[k, j] * factor
    for k in range(size):
        x[k] /= pivots[k]
    for i in range(size - 2, -1, -1):
        entry = x[i]
        for k in range(size - 1, i, -1):
            entry -= upper[i, k] * x[k]
        x[i] = entry


def _substitute_by_columns(upper: Reals, pivots: Reals, x: Reals) -> None:
    size = len(x)
    for k in range(size - 1):
        x[k + 1 :] -= upper[k, k + 1 :] * x[k]
    x /= pivots
    for k in range(size - 1, 0, -1):
        x[:k] -= upper[:k, k] * x[k]


def _eliminate_by_entries(upper: Reals, least: Reals, pivots: Reals) -> int:
    """Fill `pivots` and overwrite the upper triangle by L'; return how many pivots were raised."""
    size, raised = len(upper), 0
    scaled = np.empty((BLOCK, size))
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        for k in range(start, stop):
            pivot = upper[k, k]
            if not pivot >= least[k]:
                pivot, raised = least[k], raised + 1
            pivots[k] = pivot
            for j in range(k + 1, size):
                scaled[k - start, j] = upper[k, j] / pivot
            for i in range(k + 1, stop):
                factor = scaled[k - start, i]
                for j in range(i, size):
                    upper[i, j] -= factor * upper[k, j]
        for i in range(stop, size):
            _subtract(upper, scaled, start, stop, i)
        for k in range(start, stop):
            for j in range(k + 1, size):
                upper[k, j] = scaled[k - start, j]
    return raised


@compiled
def _subtract(upper: Reals, scaled: Reals, start: int, stop: int, row: int) -> None:
    """Subtract a panel's products from one row: four pivots a pass, each rounded on its own."""
    size, k = len(upper), start
    while k + 3 < stop:
        a, b = scaled[k - start, row], scaled[k + 1 - start, row]
        c, d = scaled[k + 2 - start, row], scaled[k + 3 - start, row]
        for j in range(row, size):
            upper[row, j] = (
                ((upper[row, j] - a * upper[k, j]) - b * upper[k + 1, j]) - c * upper[k + 2, j]
            ) - d * upper[k + 3, j]
        k += 4
    while k < stop:
        a = scaled[k - start, row]
        for j in range(row, size):
            upper[row, j] -= a * upper[k, j]
        k += 1


def _eliminate_by_tiles(upper: Reals, least: Reals, pivots: Reals) -> int:
    """The same by whole rows and tiles, in numpy."""
    size, raised = len(upper), 0
    scratch = np.empty((max(BLOCK, TILE_ROWS), max(size, TILE_COLUMNS)))
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        panel, scaled = upper[start:stop, start:], np.empty((stop - start, size - start))
        raised += _eliminate(panel, scaled, least[start:stop], pivots[start:stop], scratch)
        _update(upper[stop:, stop:], panel, scaled, scratch)
        panel[:] = scaled
    return raised


def _eliminate(panel: Reals, scaled: Reals, least: Reals, found: Reals, scratch: Reals) -> int:
    """Eliminate a panel's own rows, and return how many pivots were raised.

    Fills `scaled` with rows of L' and `found` with the pivots. Column 0 of the panel is that of
    its first pivot.
    """
    raised = 0
    for k in range(len(panel)):
        row, pivot = panel[k, k + 1 :], panel[k, k]
        if not pivot >= least[k]:
            pivot, raised = least[k], raised + 1
        found[k] = pivot
        right = scaled[k, k + 1 :]
        np.divide(row, pivot, out=right)
        rest = panel[k + 1 :, k + 1 :]
        product = scratch[: rest.shape[0], : rest.shape[1]]
        np.multiply(right[: len(rest), None], row[None, :], out=product)
        np.subtract(rest, product, out=rest)
    return raised


def _update(rest: Reals, panel: Reals, scaled: Reals, scratch: Reals) -> None:
    """Subtract a panel's products from all later rows, one tile at a time, k ascending."""
    size, first = len(rest), panel.shape[1] - len(rest)
    for top in range(0, size, TILE_ROWS):
        bottom = min(top + TILE_ROWS, size)
        for left in range(top, size, TILE_COLUMNS):
            tile = rest[top:bottom, left : left + TILE_COLUMNS]
            product = scratch[: tile.shape[0], : tile.shape[1]]
            for k in range(len(panel)):
                factors = scaled[k, first + top : first + bottom]
                row = panel[k, first + left : first + left + TILE_COLUMNS]
                np.multiply(factors[:, None], row[None, :], out=product)
                np.subtract(tile, product, out=tile)


eliminate = compiled(_eliminate_by_entries) if is_compiling() else _eliminate_by_tiles
"""Factors the upper triangle in place: loops compiled, tiles in numpy; the same bits."""

substitute = compiled(_substitute_by_entries) if is_compiling() else _substitute_by_columns
"""Solves in place: loops compiled, columns in numpy; the same bits."""


def _check(matrix: Reals, least_pivots: Reals) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise LayoutMismatch(
            f"a matrix of shape {matrix.shape} is not square", "give m x m numbers"
        )
    if least_pivots.shape != matrix.shape[:1]:
        raise LayoutMismatch(
            f"{matrix.shape[0]} rows have least pivots of shape {least_pivots.shape}",
            "give one least pivot for each row",
        )
    _check_finite(matrix, "matrix")
    usable = np.isfinite(least_pivots) & (least_pivots > 0)
    if not bool(usable.all()):
        raise BadInput(
            "a least pivot is not a positive number",
            "give the smallest number that still counts as a pivot",
            field="least_pivots",
            value=str(float(least_pivots[~usable][0])),
        )


def _check_finite(array: Reals, field: str) -> None:
    finite = np.isfinite(array)
    if not bool(finite.all()):
        raise BadInput(
            f"a {field} has an entry that is not finite",
            "check the range of what it was computed from; it may be far from semidefinite",
            field=field,
            value=str(float(array[~finite][0])),
        )


def _read_only(array: Reals) -> Reals:
    array.flags.writeable = False
    return array
