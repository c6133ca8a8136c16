"""Limited-memory BFGS: pairs of steps and gains, and the step that they lead to.

Relative steps against price-scaled gains, as in newton.py: one unit for coordinates of any size.
Source: Nocedal, Updating quasi-Newton matrices with limited storage (1980).
"""

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from covenue.numerics.ldlt import Reals
from covenue_solver_dual.coordinates import Reach, free, gradient, landed, sides
from covenue_solver_dual.newton import CURVED, Flags, seen
from covenue_solver_dual.ordered import dot
from covenue_solver_dual.terms import Integers, Terms, reals
from covenue_solver_dual.totals import Point

FIRST_STEP = 0.1


@dataclass(frozen=True)
class Pairs:
    """Remembered steps and what they gained, newest last, each as bytes of m float64.

    length: of the next step along its direction; shortened by each rejection.
    """

    most: int
    steps: tuple[bytes, ...] = ()
    gains: tuple[bytes, ...] = ()
    length: float = 1.0


def quasi_newton_step(terms: Terms, memory: Pairs, origin: Point, reach: Reach) -> Integers:
    """Multipliers after a step of the remembered length along the quasi-Newton direction."""
    slopes = gradient(terms, origin)
    able = np.array(free(terms, origin.multipliers, slopes))
    v = terms.values(origin.multipliers)
    pull = np.where(able, v * terms.totals(slopes), 0.0)
    relative = np.clip(memory.length * _direction(memory, able, pull), *reach)
    moved = np.rint(reals(origin.multipliers) * (1.0 + relative)).tolist()
    side = tuple(
        b if moves else 0
        for b, moves in zip(sides(terms, origin.multipliers, slopes), able.tolist(), strict=True)
    )
    wanted = tuple(int(value) for value in moved)
    return landed(terms, origin.multipliers, side, wanted)


def with_pair(terms: Terms, memory: Pairs, origin: Point, point: Point) -> Pairs:
    """The memory with one more step; without curvature along it, as it was.

    A step stays on one branch of every kink, so what the gradient gained is what the totals did.
    """
    step, gain = seen(terms, origin, point)
    if not dot(step, gain) > CURVED * sqrt(dot(gain, gain) * dot(step, step)):
        return memory
    steps = (*memory.steps, step.tobytes())[-memory.most :]
    gains = (*memory.gains, gain.tobytes())[-memory.most :]
    return replace(memory, steps=steps, gains=gains)


def _direction(memory: Pairs, able: Flags, pull: Reals) -> Reals:
    """Minus the approximate inverse times the pull, on the coordinates that may move.

    Without a usable pair: steepest descent whose largest relative step is FIRST_STEP.
    """
    left = pull.copy()
    used = []
    for step, gain in zip(reversed(memory.steps), reversed(memory.gains), strict=True):
        s = np.where(able, np.frombuffer(step), 0.0)
        y = np.where(able, np.frombuffer(gain), 0.0)
        curved = dot(s, y)
        if curved > 0.0:
            share = dot(s, left) / curved
            left = left - share * y
            used.append((s, y, curved, share))
    if not used:
        largest = float(np.abs(pull).max())
        return -pull * (FIRST_STEP / largest) if largest > 0.0 else -pull
    s, y, curved, _ = used[0]
    left = left * (curved / dot(y, y))
    for s, y, curved, share in reversed(used):
        left = left + s * (share - dot(y, left) / curved)
    return -left
