"""Whether this machine computes a path's steps in the bits of every other (solvers.md, R10)."""

from functools import cache
from hashlib import sha256

import numpy as np

from covenue.errors import PluginBroken
from covenue_solver_dual.tracked_model import learned, moved_by, newton, surveyed, unscaled
from covenue_solver_dual.tracked_terms import real

PINNED = "2e5c45889dfcb880df4a10046b3c16a6e93c06cef3332ec6ae3acd96fd1de4cb"
SIZE = 24


def computed() -> str:
    """SHA-256 over the results of a fixed instance in integers."""
    draws = [(k * 2654435761) % 2**32 >> 8 for k in range(1, 4 * SIZE + 1)]
    under, nets, path, other = (
        np.array(draws[k::4], dtype=np.int64) * 2**14 // (3 + k) for k in range(4)
    )
    v = under + 2**42
    triangle = [
        2**34 + draws[row] * 2**6 if row == column else -draws[(row * column) % SIZE] * 8
        for row in range(SIZE)
        for column in range(row + 1)
    ]
    units = 2.0**-40, 2.0**-20
    slope, offset, shape = surveyed(under, nets, np.sort(path), units, 1.0 / 3.0)
    slopes, _ = unscaled(np.array(triangle, dtype=np.int64), v, 2.0**-20, units[0])
    gained = real(other, units[1])
    known = learned(slopes, real(under, units[0]), gained)
    step = newton(known, slope, np.zeros(SIZE, dtype=np.int64), 1.0 / 3.0)
    moved = moved_by(v, step, 0.7, (v - 2**38, v + 2**39), units[0])
    reals = np.array([offset, shape, *slope.tolist(), *step.tolist()])
    return sha256(known.tobytes() + reals.tobytes() + moved.tobytes()).hexdigest()


@cache
def self_test() -> bool:
    """Whether the fixed instance gives the pinned digest."""
    return computed() == PINNED


def require_self_test() -> None:
    """Raise PluginBroken unless `self_test` holds."""
    if not self_test():
        raise PluginBroken(
            "the steps of covenue-solver-dual on a path have other bits here than elsewhere",
            "use a numpy built for IEEE 754 doubles without fast-math, or another solver",
        )
