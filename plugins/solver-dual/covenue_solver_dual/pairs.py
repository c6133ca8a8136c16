"""Limited-memory BFGS: pairs of steps and gains, and the step that they lead to.

Relative steps against price-scaled gains, as in model.py: one unit for coordinates of any size.
Where the model is bent, pairs move with the multipliers: a step shrinks and a gain grows as the
root of the price does, so that older pairs still say what they said. Before any pair corrects it,
the matrix is a multiple of one; where participants only exchange, it is that of an exchange of
everybody with everybody,

    M = diag(d) - d d' / sum d        M 1 = 0, as for every exchange

with d from the pairs themselves: a step gains d_k (step_k - mean step), the mean weighted by d.
Source: Nocedal, Updating quasi-Newton matrices with limited storage (1980).
"""

from math import sqrt
from typing import NamedTuple

import numpy as np

from covenue.numerics.compiled import compiled
from covenue_solver_dual.algebra import CURVED, dot
from covenue_solver_dual.held import Held, Reals, Whole
from covenue_solver_dual.model import (
    HIGHEST,
    LEAST,
    LOWEST,
    MOST,
    REFERENCE,
    landed,
    movable,
    pull,
    seen,
    side,
)
from covenue_solver_dual.terms import Terms
from covenue_solver_dual.totals import Point

FIRST_STEP, FIRST_EXCHANGE = 0.1, 0.01
OLDER, SPREAD, TRUSTED, SOFTEST, PASSES = 0.9, 4.0, 0.3, 0.01, 3
"""A pair's weight against the next one; how far d may be from its mean, and how much of it counts
as known; least of a group's slope against the rest; passes that d takes to agree with its mean."""


class Pairs(NamedTuple):
    """Remembered steps and what they gained, oldest first: each float64[pairs, m].

    most: how many are remembered. at: the multipliers that they are scaled at, None without any.
    bent: as in model.py. length: of the next step along its direction; a rejection shortens it.
    """

    most: int
    steps: Held | None = None
    gains: Held | None = None
    at: Held | None = None
    bent: bool = False
    length: float = 1.0


def with_pair(terms: Terms, memory: Pairs, origin: Point, point: Point, *, bent: bool) -> Pairs:
    """The memory with one more step; without curvature along it, as it was but for its scale.

    A step stays on one branch of every kink, so what the gradient gained is what the totals did.
    Full length again.
    """
    step, gain, grown = seen(origin.v, origin.s, point.v, point.s, terms.v_unit, terms.s_unit, bent)
    old = scaled(memory, origin) if bent else memory
    steps, gains = _arrays(old, terms.size)
    if dot(step, gain) > CURVED * sqrt(dot(gain, gain) * dot(step, step)):
        steps, gains = np.vstack((steps, step)), np.vstack((gains, gain))
    steps, gains = steps[-memory.most :] / grown, gains[-memory.most :] * grown
    return Pairs(memory.most, Held(steps), Held(gains), point.at, bent)


def scaled(memory: Pairs, point: Point) -> Pairs:
    """The memory at other multipliers."""
    if memory.at is None or memory.at == point.at:
        return memory
    steps, gains = _arrays(memory, len(point.v))
    grown = np.sqrt(point.v.astype(np.float64) / memory.at.array.astype(np.float64))
    return Pairs(
        memory.most, Held(steps / grown), Held(gains * grown), point.at, memory.bent, memory.length
    )


def quasi_newton_step(
    terms: Terms, memory: Pairs, origin: Point, inset: Held, reach: tuple[float, float]
) -> Whole:
    """Multipliers after a step of the remembered length along the quasi-Newton direction."""
    steps, gains = _arrays(memory, terms.size)
    return quasi_newton_trial(
        terms.limits,
        inset.array,
        origin.v,
        origin.s,
        Held(steps).array,
        Held(gains).array,
        terms.v_unit,
        terms.s_unit,
        memory.length,
        *reach,
        memory.bent,
    )


def _arrays(memory: Pairs, size: int) -> tuple[Reals, Reals]:
    if memory.steps is None or memory.gains is None:
        return np.empty((0, size)), np.empty((0, size))
    return memory.steps.array, memory.gains.array


@compiled
def stiffness(steps: Reals, gains: Reals, base: float) -> Reals:
    """d of each coordinate, by least squares over the pairs, within a factor SPREAD of `base`.

    Pairs say little of a coordinate that moved as the mean did: it is drawn to `base`.
    """
    count, size = steps.shape
    own, ones = np.full(size, base), np.ones(size)
    for _ in range(PASSES):
        total, weight = dot(own, ones), 1.0
        up, low = np.zeros(size), np.zeros(size)
        for pair in range(count - 1, -1, -1):
            gained = dot(gains[pair], gains[pair])
            if gained > 0.0:
                off = steps[pair] - dot(own, steps[pair]) / total
                up += (weight / gained) * (gains[pair] * off)
                low += (weight / gained) * (off * off)
            weight *= OLDER
        known = TRUSTED * dot(low, ones) / size
        if known > 0.0:
            found = (up + known * base) / (low + known)
            own = np.minimum(np.maximum(found, base / SPREAD), base * SPREAD)
    return own


@compiled
def quasi_newton_trial(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    limits: Whole,
    inset: Whole,
    at: Whole,
    nets: Whole,
    steps: Reals,
    gains: Reals,
    v_unit: float,
    s_unit: float,
    length: float,
    fall: float,
    rise: float,
    bent: bool,
) -> Whole:
    """Minus the approximate inverse times the pull, on the coordinates that may move.

    The pull is that of the whole inset: one that ended at the limits would jump there, and pairs
    say nothing of jumps. Without a usable pair: steepest descent whose largest relative step is
    FIRST_STEP, or at first FIRST_EXCHANGE where the model is bent.
    """
    m, count = len(at), len(steps)
    branch, able = np.zeros(m, np.int64), np.zeros(m)
    left, kink = np.zeros(m), np.zeros(m)
    largest = 0.0
    for k in range(m):
        r = limits[REFERENCE, k]
        slope = pull(at[k], r, nets[k], limits[LEAST, k] + inset[k], limits[MOST, k] - inset[k])
        leaves = side(at[k], r, slope)
        kink[k] = float(r - at[k]) / float(at[k])
        if movable(at[k], leaves, slope, limits[LOWEST, k], limits[HIGHEST, k]):
            able[k], branch[k] = 1.0, leaves
            left[k] = float(at[k]) * v_unit * (float(slope) * s_unit)
            largest = max(largest, abs(left[k]))
    shares, curves, newest = np.zeros(count), np.zeros(count), -1
    for pair in range(count - 1, -1, -1):
        curves[pair] = dot(steps[pair] * able, gains[pair])
        if curves[pair] > 0.0:
            newest = max(newest, pair)
            shares[pair] = dot(steps[pair] * able, left) / curves[pair]
            left -= gains[pair] * (shares[pair] * able)
    if newest < 0:
        first = FIRST_EXCHANGE if bent and count == 0 else FIRST_STEP
        left *= first / largest if largest > 0.0 else 0.0
    else:
        base = dot(gains[newest] * able, gains[newest]) / curves[newest]
        if bent:
            own, ones = stiffness(steps, gains, base), np.ones(m)
            total = dot(own, ones)
            soft = max(total - dot(own, able), SOFTEST * total)
            left = able * (left / own + dot(left, ones) / soft)
        else:
            left *= 1.0 / base
    for pair in range(count):
        if curves[pair] > 0.0:
            share = dot(gains[pair] * able, left) / curves[pair]
            left += steps[pair] * ((shares[pair] - share) * able)
    left *= -length
    least = 2.0 * (sqrt(1.0 + fall) - 1.0) if bent else fall
    most = 2.0 * (sqrt(1.0 + rise) - 1.0) if bent else rise
    lands = np.zeros(m, np.bool_)
    return landed(limits, at, branch, lands, left, kink, least, most, bent)
