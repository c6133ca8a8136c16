"""One step of sharing ADMM on the coordinator's side: averages in, the next centre out.

    xhat = a xbar + (1 - a) z        z <- clip(xhat + u + r / w, limits / n)
    u <- u + xhat - z                v = -w u              w_k = 2^E r_k^2

z is an average share of the totals, so that it lies within 1/n of their limits; U(y) = r'y. Where
totals follow a path, z is what makes the most of U less the distance.
Floats of m coordinates, + - * / only, elementwise: the same bits everywhere.
Source: solvers.md, sections 3.4 and 4.
"""

from dataclasses import dataclass

import numpy as np

from covenue.hooks.prox import COEFFICIENT_BITS, MEAN_MOST, ProxQuestion
from covenue.hooks.solvers import Tracking
from covenue.numerics.ldlt import Reals
from covenue_solver_admm.terms import Terms, Whole

RELAXED = 1.6
Floats = tuple[float, ...]


@dataclass(frozen=True)
class Point:
    """What one round came to: the image of a state, and the coordinator's part of its residual.

    mean: of the x_i; it, z and u in units of the Space. moved: of z and u, price-scaled. query: the
    digest of what was asked.
    """

    query: str
    mean: Floats
    z: Floats
    u: Floats
    moved: Floats


@dataclass(frozen=True)
class Stand:
    """The state that the next round starts from: z, u, and the mean of the x_i, in units."""

    z: Floats
    u: Floats
    mean: Floats


def opening(terms: Terms, exponent: int) -> Stand:
    """Nobody gives or takes anything, at the references as multipliers."""
    nothing = (0.0,) * terms.size
    return Stand(nothing, tuple(map(float, -terms.prices / weights(terms, exponent))), nothing)


def weights(terms: Terms, exponent: int) -> Reals:
    """w of all coordinates."""
    return np.asarray(terms.prices * terms.prices * 2.0**exponent)


def image(  # noqa: PLR0917 -- a map of all that it depends on
    terms: Terms, stand: Stand, exponent: int, totals: Whole, count: int, inset: Whole, query: str
) -> Point:
    """Where a state goes once the cohort has answered."""
    n = float(count)
    w, z, u = weights(terms, exponent), np.array(stand.z), np.array(stand.u)
    mean = terms.totals(totals) / n
    relaxed = RELAXED * mean + (1.0 - RELAXED) * z
    new = np.where(terms.loose, mean, _steered(terms, relaxed + u, w, n, inset))
    dual = np.where(terms.loose, -terms.prices / w, u + relaxed - new)
    prices = np.where(terms.loose, 0.0, terms.prices)
    moved = np.concatenate([(new - z) * prices, (dual - u) * prices])
    return Point(query, _floats(mean), _floats(new), _floats(dual), _floats(moved))


def _steered(terms: Terms, pushed: Reals, w: Reals, n: float, inset: Whole) -> Reals:
    """The average share at which U(n z) - n w (z - pushed)^2 / 2 is greatest."""
    if terms.tracking is not None:
        return along(terms, terms.tracking, pushed, w, n)
    low = terms.totals(tuple(a + e for a, e in zip(terms.least, inset, strict=True))) / n
    high = terms.totals(tuple(a - e for a, e in zip(terms.most, inset, strict=True))) / n
    return np.asarray(np.clip(pushed + terms.prices / w, low, high))


def along(terms: Terms, tracking: Tracking, pushed: Reals, w: Reals, n: float) -> Reals:
    """The same on a path, where the last total is given.

    With s the cumulative totals and W the weight, for t < T,

        (W + (w_t + w_t+1) / n) s_t - w_t / n s_t-1 - w_t+1 / n s_t+1
            = W path_t + r_t - r_t+1 + w_t pushed_t - w_t+1 pushed_t+1     s_0 = 0, s_T = path_T

    which is eliminated from the first slice to the last.
    """
    size, weight = terms.size, float(tracking.weight)
    path, r = terms.totals(tracking.path), terms.prices
    pivot, right = np.empty(size), np.empty(size)
    pivot[size - 1], right[size - 1] = 1.0, path[size - 1]
    for t in range(size - 1):
        pivot[t] = weight + (w[t] + w[t + 1]) / n
        right[t] = weight * path[t] + r[t] - r[t + 1] + w[t] * pushed[t] - w[t + 1] * pushed[t + 1]
        if t > 0:
            share = w[t] / n / pivot[t - 1]
            pivot[t] -= share * (w[t] / n)
            right[t] += share * right[t - 1]
    for t in range(size - 2, -1, -1):
        right[t] = (right[t] + w[t + 1] / n * right[t + 1]) / pivot[t]
    right[1:] -= right[:-1].copy()
    return right / n


def combined(terms: Terms, points: tuple[Point, ...], shares: tuple[int, ...]) -> Stand:
    """The state that coefficients make of the images, the newest first."""
    z, u, mean = (np.zeros(terms.size) for _ in range(3))
    for share, point in zip(shares, points, strict=True):
        part = float(share) * 2.0**-COEFFICIENT_BITS
        z += part * np.array(point.z)
        u += part * np.array(point.u)
        mean += part * np.array(point.mean)
    return Stand(_floats(z), _floats(u), _floats(mean))


def question(
    terms: Terms, stand: Stand, exponent: int, gram: int, shares: tuple[int, ...]
) -> ProxQuestion:
    """The question at a state; shares: of the answers that participants combine, or ()."""
    shift = np.array(stand.z) - np.array(stand.mean) - np.array(stand.u)
    return ProxQuestion(
        exponent,
        gram,
        tuple(np.flatnonzero(terms.loose).tolist()),
        _words(terms, np.array(stand.mean)),
        _words(terms, shift),
        shares,
    )


def multipliers(terms: Terms, stand: Stand, exponent: int) -> Whole:
    """v at a state, on its grid and within its range; the reference where totals are loose."""
    grid = np.rint(weights(terms, exponent) * -np.array(stand.u) * 2.0**terms.multiplier_bits)
    rows = zip(grid.tolist(), terms.lowest, terms.highest, strict=True)
    within = tuple(int(min(max(v, float(low)), float(high))) for v, low, high in rows)
    trios = zip(terms.loose.tolist(), terms.reference, within, strict=True)
    return tuple(r if loose else v for loose, r, v in trios)


def product(left: Point, right: Point, count: int) -> float:
    """n times the product of the coordinator's residuals, added up in order."""
    total = 0.0
    for a, b in zip(left.moved, right.moved, strict=True):
        total += a * b
    return total * float(count)


def _words(terms: Terms, amounts: Reals) -> Whole:
    most = float(MEAN_MOST)
    return tuple(map(int, np.clip(np.rint(amounts * 2.0**terms.scale_bits), -most, most).tolist()))


def _floats(array: Reals) -> Floats:
    return tuple(array.tolist())
