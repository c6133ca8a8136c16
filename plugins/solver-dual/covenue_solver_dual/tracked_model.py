"""Arithmetic of a tracked dual: gradient, value and Newton step.

With u = r - v, d_t = u_t - u_{t+1}, path w, weight W, and Q = w_T, all public:

    Uhat(v) = sum_{t<T} (d_t w_t + d_t^2 / 2W) + u_T Q       c_t = w_t + d_t / W,  c_T = Q
    D(v) = Uhat(v) + Phi(v)      g = X - y,  y_t = c_t - c_{t-1}      B = H + (path Laplacian) / W

The answer to v, were its total Q, would be a plan whose gap is W/2 sum_{t<T} (sums of g up to t)^2.
Steps are decided on floats in one fixed order; exact values and bounds: `covenue.hooks.paths`.
Source: solvers.md, sections 2(c) and 3.1.
"""

import numpy as np

from covenue.numerics.compiled import compiled, is_compiling
from covenue.numerics.ldlt import Reals
from covenue.numerics.words import Words

SINGULAR = 2.0**-40
DAMPING = 2.0**-40
SLOPE_SLACK = 2.0**16
FURTHEST = 2.0**62


@compiled
def surveyed(
    under: Words, nets: Words, path: Words, units: tuple[float, float], loose: float
) -> tuple[Reals, float, float]:
    """(g, Uhat(v), gap of the answer as a plan).

    under: r - v on the grid; nets, path: words; units: what one of the grid and one word stand for.
    loose: 1 / W.
    """
    grid, unit = units
    size = len(under)
    slope = np.empty(size)
    lead, target, off = 0.0, 0.0, 0.0
    conjugate, shape = 0.0, 0.0
    for t in range(size):
        bend, at = 0.0, path[t] * unit
        if t + 1 < size:
            bend = (under[t] - under[t + 1]) * grid
            conjugate += bend * at + 0.5 * loose * (bend * bend)
        else:
            conjugate += under[t] * grid * at
        target, lead = at + loose * bend, target
        slope[t] = nets[t] * unit - (target - lead)
        off += slope[t]
        if t + 1 < size:
            shape += off * off
    return slope, conjugate, 0.5 * shape / loose


@compiled
def unscaled(triangle: Words, v: Words, slope_unit: float, grid: float) -> tuple[Reals, bool]:
    """(H, whether it may be one) from the packed words of diag(v) H diag(v).

    It may not if a 2 x 2 minor forbids that it is positive semidefinite, beyond rounding.
    """
    size = len(v)
    full = np.empty((size, size))
    fits, at = True, 0
    for row in range(size):
        full[row, : row + 1] = triangle[at : at + row + 1]
        full[: row + 1, row] = full[row, : row + 1]
        at += row + 1
    roots = np.empty(size)
    for row in range(size):
        fits = fits and full[row, row] >= -SLOPE_SLACK
        roots[row] = np.sqrt(max(full[row, row], 0.0) + SLOPE_SLACK)
    for row in range(size):
        fits = fits and bool(np.all(np.abs(full[row]) <= roots[row] * roots))
    prices = v * grid
    for row in range(size):
        full[row] = full[row] * slope_unit / prices / prices[row]
    return full, fits


@compiled
def assembled(slopes: Reals, fixed: Words, loose: float, damping: float) -> Reals:
    """B = H + L / W, damped; rows and columns of fixed coordinates are those of the identity."""
    size = len(slopes)
    full = slopes.copy()
    for t in range(size - 1):
        full[t, t] += loose
        full[t + 1, t + 1] += loose
        full[t, t + 1] -= loose
        full[t + 1, t] -= loose
    for t in range(size):
        full[t, t] += damping * full[t, t]
    for t in range(size):
        if fixed[t] != 0:
            full[t, :] = 0.0
            full[:, t] = 0.0
            full[t, t] = 1.0
    return full


@compiled
def learned(slopes: Reals, moved: Reals, gained: Reals) -> Reals:
    """H after a BFGS update: it maps the move to what the totals gained, and stays semidefinite."""
    size = len(moved)
    image = np.zeros(size)
    for k in range(size):
        image += slopes[k] * moved[k]
    gain, held = 0.0, 0.0
    for k in range(size):
        gain += moved[k] * gained[k]
        held += moved[k] * image[k]
    result = slopes.copy()
    if gain > 1e-12 * held and held > 0.0:
        for k in range(size):
            result[k] = slopes[k] - image[k] * (image / held) + gained[k] * (gained / gain)
    return result


@compiled
def along(slopes: Reals, moved: Reals) -> float:
    """moved' H moved."""
    result = 0.0
    for k in range(len(moved)):
        part = 0.0
        for j in range(len(moved)):
            part += slopes[k, j] * moved[j]
        result += moved[k] * part
    return result


@compiled
def product(left: Reals, right: Reals) -> float:
    """Sum of products, in order."""
    result = 0.0
    for k in range(len(left)):
        result += left[k] * right[k]
    return result


@compiled
def moved_by(v: Words, step: Reals, reach: float, ends: tuple[Words, Words], grid: float) -> Words:
    """v + step on the grid, within range; the step is shortened until no part is over reach."""
    low, high = ends
    longest = 0.0
    for k in range(len(step)):
        longest = max(longest, abs(step[k]))
    share = min(1.0, reach / longest) if longest > 0.0 else 1.0
    result = np.empty_like(v)
    for k in range(len(step)):
        move = min(max(np.rint(share * step[k] / grid), -FURTHEST), FURTHEST)
        result[k] = min(max(v[k] + np.int64(move), low[k]), high[k])
    return result


@compiled
def by_entries(full: Reals, right: Reals, least: float) -> Reals:
    """x with A x = right by LDL', each entry updated in ascending order of the pivot.

    full: symmetric A, of which the upper triangle is read, and overwritten. A pivot below `least`
    is raised to it. The order is that of numerics.ldlt, in one pass: no checks, no copies.
    """
    size = len(right)
    x = right.copy()
    for k in range(size):
        full[k, k] = max(full[k, k], least)
        row = full[k]
        for i in range(k + 1, size):
            share = row[i] / row[k]
            target = full[i]
            for j in range(i, size):
                target[j] -= share * row[j]
            x[i] -= share * x[k]
    for k in range(size - 1, -1, -1):
        for i in range(size - 1, k, -1):
            x[k] -= full[k, i] * x[i]
        x[k] /= full[k, k]
    return x


def by_rows(full: Reals, right: Reals, least: float) -> Reals:
    """The same bits as `by_entries`, a row or column at a time: for where nothing is compiled."""
    size = len(right)
    x = right.copy()
    for k in range(size):
        full[k, k] = max(full[k, k], least)
        row, rest = full[k, k:], full[k + 1 :, k + 1 :]
        share = row[1:] / row[0]
        rest -= share[:, None] * row[None, 1:]
        x[k + 1 :] -= share * x[k]
    for k in range(size - 1, -1, -1):
        x[k] /= full[k, k]
        x[:k] -= full[:k, k] * x[k]
    return x


solved = by_entries if is_compiling() else by_rows


def newton(slopes: Reals, slope: Reals, fixed: Words, loose: float) -> Reals:
    """The step -B^-1 g with the fixed coordinates held."""
    full = assembled(slopes, fixed, loose, DAMPING)
    top = max(float(full.diagonal().max()), 1.0)
    right = -slope if not fixed.any() else np.where(fixed != 0, 0.0, -slope)
    return solved(full, right, SINGULAR * top)
