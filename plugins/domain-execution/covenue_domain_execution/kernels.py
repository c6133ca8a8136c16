"""What venues would trade at marginal prices, many at once: one row a venue, one column a slice.

    x_t = clip((e_t - a_t - mu) / eta_t, 0, cap_t),   mu >= 0,   mu (sum_t x_t - C) = 0

e: what the multipliers are above the arrival price. mu is found by Newton's method inside a
bracket; the sum is piecewise linear in it, so a step is exact once it starts on the right piece,
and bisection ends what Newton does not. Nothing that is promised hangs on mu: amounts are cut to
the credit afterwards, and for any mu >= 0

    phi <= mu C + sum_t max over 0 <= x <= cap_t of (e_t - a_t - mu) x - eta_t x^2 / 2

Each kernel is written twice, in loops for the compiler and in columns for numpy, with the same
operations in the same order on every number, so the words are the same.
Source: solvers.md, sections 2(c) and 4.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covenue.numerics.compiled import compiled, is_compiling

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

NEWTON_STEPS = 24
STEPS_MOST = 120
CLOSE = 2.0**-42
EDGE_SLACK = 2.0**-51
SUM_SLACK = 1.0 + 2.0**-43


@dataclass(frozen=True, eq=False)
class Rows:
    """Venues of one participant: float64[n, T], and credits float64[n]; amounts in whole lots.

    costs: a, above the arrival price. steep: eta, price a lot; inverse: 1 / eta. caps: most lots.
    """

    costs: Floats
    steep: Floats
    inverse: Floats
    caps: Floats
    credits: Floats


@dataclass(frozen=True, eq=False)
class Response:
    """values: words of phi by row. amounts: words int64[n, T]. shadows: mu by row."""

    values: Integers
    amounts: Integers
    shadows: Floats


def respond(excess: Floats, rows: Rows, word: float, unit: float) -> Response:
    """What each row trades at prices above the arrival, float64[T].

    word: words of a lot; unit: words of a value of one. Amounts are rounded down, and keep cap and
    credit; phi is rounded up by more than floats can be wrong.
    """
    count = len(rows.credits)
    made = Response(
        np.empty(count, np.int64), np.empty(rows.costs.shape, np.int64), np.empty(count)
    )
    kernel = respond_loops if is_compiling() else respond_columns
    kernel(excess, rows.costs, rows.steep, rows.inverse, rows.caps, rows.credits, word, unit,
           made.amounts, made.values, made.shadows)  # fmt: skip
    return made


def slopes(excess: Floats, prices: Floats, rows: Rows, shadows: Floats, unit: float) -> Integers:
    """Words of the packed lower triangle of the slopes, scaled by the prices on both sides.

    prices: the multipliers, float64[T]. unit: words of a value of one. Every row's own entries are
    rounded before they are summed.
    """
    kernel = slope_loops if is_compiling() else slope_columns
    sums = np.zeros(len(prices) * (len(prices) + 1) // 2, dtype=np.int64)
    kernel(excess, prices, rows.costs, rows.inverse, rows.caps, shadows, unit, sums)
    return sums


@compiled
def respond_loops(  # noqa: PLR0917, PLR0912 -- arrays in the order of the formula; one kernel
    excess: Floats, costs: Floats, steep: Floats, inverse: Floats, caps: Floats, credit: Floats,
    word: float, unit: float, amounts: Integers, values: Integers, shadows: Floats,
) -> None:  # fmt: skip
    """Fill amounts, values and shadows, row by row."""
    slices = len(excess)
    edge = np.empty(slices)
    for i in range(len(credit)):
        purse, total, slope, low, high = credit[i], 0.0, 0.0, 0.0, 0.0
        for t in range(slices):
            edge[t] = excess[t] - costs[i, t]
            high = max(high, edge[t])
            x = edge[t] * inverse[i, t]
            total += min(max(x, 0.0), caps[i, t])
            slope += inverse[i, t] if 0.0 < x < caps[i, t] else 0.0
        mu = 0.0
        if purse == 0.0:
            mu, total = high, 0.0
        for step in range(STEPS_MOST):
            over = total - purse
            if (mu == 0.0 and over <= 0.0) or abs(over) <= CLOSE * purse:
                break
            if over > 0.0:
                low = mu
            else:
                high = mu
            following = low + 0.5 * (high - low)
            if slope > 0.0 and step < NEWTON_STEPS:
                newton = mu + over / slope
                if low < newton < high:
                    following = newton
            if following <= low or following >= high:
                mu = high
                break
            mu, total, slope = following, 0.0, 0.0
            for t in range(slices):
                x = (edge[t] - mu) * inverse[i, t]
                total += min(max(x, 0.0), caps[i, t])
                slope += inverse[i, t] if 0.0 < x < caps[i, t] else 0.0
        shadows[i] = mu
        worth, held = 0.0, 0
        for t in range(slices):
            s = edge[t] - mu
            amount = int(np.floor(min(max(s * inverse[i, t], 0.0), caps[i, t]) * word))
            amounts[i, t] = amount
            held += amount
            s += (abs(excess[t]) + abs(costs[i, t]) + mu) * EDGE_SLACK
            x = min(max(s * inverse[i, t], 0.0), caps[i, t])
            worth += x * (s - 0.5 * steep[i, t] * x)
        values[i] = int(np.ceil((worth + mu * purse) * SUM_SLACK * unit))
        held -= int(purse * word)
        for t in range(slices - 1, -1, -1):
            if held <= 0:
                break
            cut = min(held, amounts[i, t])
            amounts[i, t] -= cut
            held -= cut


def respond_columns(  # noqa: PLR0917 -- as respond_loops
    excess: Floats, costs: Floats, steep: Floats, inverse: Floats, caps: Floats, credit: Floats,
    word: float, unit: float, amounts: Integers, values: Integers, shadows: Floats,
) -> None:  # fmt: skip
    """The same numbers as `respond_loops`, all rows at once."""
    edge = excess - costs
    shadows[:] = _shadows(edge, inverse, caps, credit)
    mu = shadows[:, None]
    s = edge - mu
    x = np.minimum(np.maximum(s * inverse, 0.0), caps)
    amounts[:] = np.floor(x * word).astype(np.int64)
    s += (np.abs(excess) + np.abs(costs) + mu) * EDGE_SLACK
    x = np.minimum(np.maximum(s * inverse, 0.0), caps)
    worth = _across(x * (s - 0.5 * steep * x))
    values[:] = np.ceil((worth + shadows * credit) * SUM_SLACK * unit).astype(np.int64)
    held = amounts.sum(axis=1, dtype=np.int64) - (credit * word).astype(np.int64)
    for t in range(len(excess) - 1, -1, -1):
        cut = np.minimum(np.maximum(held, 0), amounts[:, t])
        amounts[:, t] -= cut
        held -= cut


def _shadows(edge: Floats, inverse: Floats, caps: Floats, credit: Floats) -> Floats:
    """mu of each row; rows that are done keep theirs."""
    low = np.zeros(len(credit))
    high = np.maximum(edge.max(axis=1, initial=0.0), 0.0)
    mu = np.where(credit == 0.0, high, 0.0)
    total, slope = _sums(edge, inverse, caps)
    total = np.where(credit == 0.0, 0.0, total)
    left = np.arange(len(credit))
    for step in range(STEPS_MOST):
        over = total[left] - credit[left]
        m = mu[left]
        on = ~(((m == 0.0) & (over <= 0.0)) | (np.abs(over) <= CLOSE * credit[left]))
        left, over, m = left[on], over[on], m[on]
        low[left] = np.where(over > 0.0, m, low[left])
        high[left] = np.where(over > 0.0, high[left], m)
        near, far, steepness = low[left], high[left], slope[left]
        following = near + 0.5 * (far - near)
        newton = m + over / np.where(steepness > 0.0, steepness, 1.0)
        steps = (steepness > 0.0) & (step < NEWTON_STEPS) & (near < newton) & (newton < far)
        following = np.where(steps, newton, following)
        shut = (following <= near) | (following >= far)
        mu[left] = np.where(shut, far, following)
        left = left[~shut]
        if not len(left):
            break
        total[left], slope[left] = _sums(edge[left] - mu[left, None], inverse[left], caps[left])
    return mu


def _sums(edge: Floats, inverse: Floats, caps: Floats) -> tuple[Floats, Floats]:
    """Lots of each row, and how many fewer they are when mu rises by one."""
    x = edge * inverse
    inside = (x > 0.0) & (x < caps)
    amounts = np.minimum(np.maximum(x, 0.0), caps)
    return _across(amounts), _across(np.where(inside, inverse, 0.0))


def _across(table: Floats) -> Floats:
    """Sums of the rows, each from its first column to its last."""
    sums = np.zeros(len(table))
    for t in range(table.shape[1]):
        sums += table[:, t]
    return sums


@compiled
def slope_loops(  # noqa: PLR0917 -- arrays, in the order of the formula
    excess: Floats, prices: Floats, costs: Floats, inverse: Floats, caps: Floats, shadows: Floats,
    unit: float, sums: Integers,
) -> None:  # fmt: skip
    """Add every row's slopes: of what is inside its caps, less what its credit takes back."""
    slices = len(excess)
    inside = np.empty(slices, dtype=np.int64)
    steep = np.empty(slices)
    for i in range(len(shadows)):
        count, slope = 0, 0.0
        for t in range(slices):
            x = (excess[t] - costs[i, t] - shadows[i]) * inverse[i, t]
            if 0.0 < x < caps[i, t]:
                inside[count] = t
                steep[count] = prices[t] * inverse[i, t]
                slope += inverse[i, t]
                count += 1
        for k in range(count):
            t = inside[k]
            row = t * (t + 1) // 2
            own = prices[t] * steep[k]
            if shadows[i] > 0.0:
                own -= steep[k] * steep[k] / slope
                for j in range(k):
                    taken = steep[k] * steep[j] / slope
                    sums[row + inside[j]] -= int(np.rint(taken * unit))
            sums[row + t] += int(np.rint(own * unit))


def slope_columns(  # noqa: PLR0917 -- as slope_loops
    excess: Floats, prices: Floats, costs: Floats, inverse: Floats, caps: Floats, shadows: Floats,
    unit: float, sums: Integers,
) -> None:  # fmt: skip
    """The same words as `slope_loops`, one matrix a row."""
    size = len(excess)
    lower = np.tril_indices(size)
    diagonal = np.zeros(size, dtype=np.int64)
    whole = np.zeros((size, size), dtype=np.int64)
    x = (excess - costs - shadows[:, None]) * inverse
    weights = np.where((x > 0.0) & (x < caps), inverse, 0.0)
    across = _across(weights)
    steep = prices * weights
    own = prices * steep
    for i in range(len(shadows)):
        if shadows[i] > 0.0 and across[i] > 0.0:
            own[i] -= steep[i] * steep[i] / across[i]
            taken = np.rint(steep[i][:, None] * steep[i][None, :] / across[i] * unit)
            whole -= taken.astype(np.int64)
    diagonal += np.rint(own * unit).astype(np.int64).sum(axis=0, dtype=np.int64)
    np.fill_diagonal(whole, diagonal)
    sums += whole[lower]
