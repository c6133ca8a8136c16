"""One step of sharing ADMM on the coordinator's side: averages in, the next centre out.

    xhat = a xbar + (1 - a) z        z <- clip(xhat + u + r / w, limits / n)
    u <- u + xhat - z                v = -w u              w_k = 2^E r_k^2

z is an average share of the totals, so that it lies within 1/n of their limits; U(y) = r'y.
Floats of m coordinates, + - * / only, elementwise: the same bits everywhere.
Source: solvers.md, sections 3.4 and 4.
"""

from dataclasses import dataclass

import numpy as np

from covenue.hooks.prox import COEFFICIENT_BITS, MEAN_MOST, ProxQuestion
from covenue.numerics.ldlt import Reals
from covenue_solver_admm.terms import Terms, Whole

RELAXED = 1.6
Floats = tuple[float, ...]


@dataclass(frozen=True)
class Point:
    """What one round came to: the image of a state, and the coordinator's part of its residual.

    totals: summed nets in words; z, u: units of the Space; moved: of z and u, price-scaled.
    after: digest of the query.
    """

    query: str
    totals: Whole
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
    terms: Terms, stand: Stand, exponent: int, totals: Whole, parties: int, inset: Whole, query: str
) -> Point:
    """Where a state goes once the cohort has answered."""
    n = float(parties)
    w, z, u = weights(terms, exponent), np.array(stand.z), np.array(stand.u)
    relaxed = RELAXED * (terms.totals(totals) / n) + (1.0 - RELAXED) * z
    low = terms.totals(tuple(a + e for a, e in zip(terms.least, inset, strict=True))) / n
    high = terms.totals(tuple(a - e for a, e in zip(terms.most, inset, strict=True))) / n
    new = np.clip(relaxed + u + terms.prices / w, low, high)
    dual = u + relaxed - new
    moved = np.concatenate([(new - z) * terms.prices, (dual - u) * terms.prices])
    return Point(query, totals, _floats(new), _floats(dual), _floats(moved))


def combined(
    terms: Terms, points: tuple[Point, ...], shares: tuple[int, ...], parties: int
) -> Stand:
    """The state that coefficients make of the images, the newest first."""
    z, u, mean = (np.zeros(terms.size) for _ in range(3))
    for share, point in zip(shares, points, strict=True):
        part = float(share) * 2.0**-COEFFICIENT_BITS
        z += part * np.array(point.z)
        u += part * np.array(point.u)
        mean += part * (terms.totals(point.totals) / float(parties))
    return Stand(_floats(z), _floats(u), _floats(mean))


def question(
    terms: Terms, stand: Stand, exponent: int, gram: int, shares: tuple[int, ...]
) -> ProxQuestion:
    """The question at a state; shares: of the answers that participants combine, or ()."""
    shift = np.array(stand.z) - np.array(stand.mean) - np.array(stand.u)
    return ProxQuestion(
        exponent, gram, _words(terms, np.array(stand.mean)), _words(terms, shift), shares
    )


def multipliers(terms: Terms, stand: Stand, exponent: int) -> Whole:
    """v at a state, on its grid and within its range."""
    grid = np.rint(weights(terms, exponent) * -np.array(stand.u) * 2.0**terms.multiplier_bits)
    rows = zip(grid.tolist(), terms.lowest, terms.highest, strict=True)
    return tuple(int(min(max(v, float(low)), float(high))) for v, low, high in rows)


def product(left: Point, right: Point, parties: int) -> float:
    """n times the product of the coordinator's residuals, added up in order."""
    total = 0.0
    for a, b in zip(left.moved, right.moved, strict=True):
        total += a * b
    return total * float(parties)


def _words(terms: Terms, amounts: Reals) -> Whole:
    most = float(MEAN_MOST)
    return tuple(map(int, np.clip(np.rint(amounts * 2.0**terms.scale_bits), -most, most).tolist()))


def _floats(array: Reals) -> Floats:
    return tuple(array.tolist())
