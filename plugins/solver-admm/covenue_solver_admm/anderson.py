"""Anderson acceleration (type II) from a Gram matrix of residuals alone.

    min over a with sum a = 1 of |sum_j a_j f_j|^2        next point = sum_j a_j G(w_j)

f_j = G(w_j) - w_j, the newest first. With g_j = f_0 - f_j the least squares have the matrix
<g_j, g_l> and the right side <g_j, f_0>: both follow from products of residuals, which add up over
participants. Source: solvers.md, section 3.4.
"""

import numpy as np

from covenue.errors import BadInput
from covenue.hooks.prox import COEFFICIENT_BITS, COEFFICIENT_MOST
from covenue.numerics.ldlt import Reals, factored, solved

Gram = tuple[tuple[float, ...], ...]
ONE = 1 << COEFFICIENT_BITS
REGULAR = 1e-8
LARGEST = 64.0
PLAIN = (ONE,)


def coefficients(gram: Gram) -> tuple[int, ...]:
    """The coefficients in 2^-COEFFICIENT_BITS, adding up to one; PLAIN where none can be trusted.

    gram: symmetric, the newest residual first.
    """
    size = len(gram) - 1
    if size == 0:
        return PLAIN
    matrix, right, trace = np.zeros((size, size)), np.zeros(size), 0.0
    for j in range(size):
        right[j] = gram[0][0] - gram[0][j + 1]
        for k in range(size):
            cross = gram[0][0] - gram[0][j + 1]
            matrix[j, k] = cross - gram[0][k + 1] + gram[j + 1][k + 1]
        trace += matrix[j, j]
    if not trace > 0.0:
        return PLAIN
    for j in range(size):
        matrix[j, j] += REGULAR * trace
    return _whole(matrix, right, REGULAR * trace * 1e-4)


def _whole(matrix: Reals, right: Reals, least: float) -> tuple[int, ...]:
    """The solution as integers, the newest's coefficient being what is left of one."""
    try:
        shares = solved(factored(matrix, np.full(len(right), least)), right)
    except BadInput:  # products that no residuals can have
        return PLAIN
    if not float(np.max(np.abs(shares))) <= LARGEST:
        return PLAIN
    others = tuple(int(np.rint(share * ONE)) for share in shares)
    newest = ONE - sum(others)
    return (newest, *others) if abs(newest) <= COEFFICIENT_MOST else PLAIN
