"""Sums and products whose order is fixed, so that no build of numpy can change a bit."""

from math import fsum

import numpy as np

from covenue.numerics.ldlt import Reals


def dot(left: Reals, right: Reals) -> float:
    """Sum of products, each rounded once, then their exact sum rounded once."""
    return fsum((left * right).tolist())


def times(matrix: Reals, vector: Reals) -> Reals:
    """Symmetric matrix times vector, row after row in ascending order."""
    result = np.zeros(len(vector))
    for k in range(len(vector)):
        result += matrix[k] * vector[k]
    return result
