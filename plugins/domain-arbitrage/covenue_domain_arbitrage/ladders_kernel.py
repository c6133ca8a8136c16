"""What venues with coupled ladders answer: touches only the levels that a multiplier can move.

Levels of one venue share its capital. With v the multiplier of an instrument, q that of the quote
asset, p a level's price and t a level's part in the answer that this one continues from:

    part = clip(t + (v - p (q + o)) / (width r), 0, 1) when buying
    part = clip(t + (p q - v) / (width r), 0, 1)       when selling

o >= 0 is the private price of capital: 0, or so that what is paid is the capital. It is found on
the parts themselves, by Newton on a function that is piecewise linear and falls. phi is that of
whole levels, a fractional knapsack: for every c >= q

    phi <= capital (c - q) + sum max(v - p c, 0) size + sum max(p q - v, 0) size

with equality at the best c. Parts never rise along a ladder, so the full, the partly taken and the
empty levels are three runs, found by bisection. Only + - * /, floor, ceil and comparison, in a
fixed order. Source: solvers.md, sections 2(d), 3.3 and 4.

Arrays: (venue, side, instrument, level), side 0 buys and side 1 sells, best level first; `held` and
`costs` are running sums of size and of price * size, one longer than the levels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from covenue.numerics.compiled import compiled

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Parts = NDArray[np.int32]

PART_BITS = 30
WHOLE = 1 << PART_BITS
ONE_PART = 2.0**-PART_BITS
SAVED = 1.0 - 2.0**-40
NEAR = 2.0**-40
EXACT = 2.0**-48
FLOAT_MOST = 2.0**62
STEPS = 200


class Levels(NamedTuple):
    """A batch of ladders as the kernel reads it; arrays as in the module's docstring.

    depth: levels of each ladder. lots: whole units of each ladder. capital: of each venue.
    """

    price: Floats
    size: Floats
    held: Floats
    costs: Floats
    depth: Integers
    lots: Integers
    capital: Floats


class At(NamedTuple):
    """Where it is asked: multipliers v of the instruments, the quote's, and 1 / (width r).

    centre: parts that this answer continues from.
    """

    v: Floats
    quote: float
    pace: Floats
    centre: Parts


class Grid(NamedTuple):
    """Scales of words, the unit of a lot, what floats can be wrong by, and where words go.

    place: coordinate of each instrument; cash: that of the quote asset. rise / run: words of a lot
    as a fraction, run 0 where its products pass an int64.
    """

    unit: float
    amounts: float
    values: float
    slopes: float
    slack: float
    place: Integers
    cash: int
    rise: int = 0
    run: int = 0


class Answer(NamedTuple):
    """What the kernel fills: parts, whole lots of each ladder, net words, packed slope words.

    slopes: empty where none are asked for.
    """

    parts: Parts
    lots: Integers
    net: Integers
    slopes: Integers


@compiled
def part_of(  # noqa: PLR0917 -- compiled code is called by position
    levels: Levels, at: At, i: int, side: int, k: int, j: int, c: float
) -> float:
    """A level's part before clipping, at cost c of the quote."""
    gain = at.v[k] - levels.price[i, side, k, j] * c
    signed = gain if side == 0 else -gain
    return float(at.centre[i, side, k, j] * ONE_PART + signed * at.pace[k])


@compiled
def whole_levels(  # noqa: PLR0917 -- compiled code is called by position
    levels: Levels, at: At, i: int, side: int, k: int, c: float
) -> int:
    """How many levels of a ladder are taken whole; those taken in part come next."""
    low, high = 0, levels.depth[i, side, k]
    while low < high:
        middle = (low + high) // 2
        if part_of(levels, at, i, side, k, middle, c) >= 1.0:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def spent(levels: Levels, at: At, i: int, c: float) -> tuple[float, float]:
    """What a venue pays at cost c of the quote, and how fast that falls in c."""
    total, slope = 0.0, 0.0
    for k in range(len(at.v)):
        full = whole_levels(levels, at, i, 0, k, c)
        total += levels.costs[i, 0, k, full]
        for j in range(full, levels.depth[i, 0, k]):
            part = part_of(levels, at, i, 0, k, j, c)
            if part < ONE_PART:
                break
            price, size = levels.price[i, 0, k, j], levels.size[i, 0, k, j]
            total += price * size * part
            slope += price * price * size * at.pace[k]
    return total, slope


@compiled
def marginal_cost(levels: Levels, at: At, i: int) -> float:
    """The least cost of the quote, from its multiplier up, at which capital covers what is paid."""
    budget = levels.capital[i] * SAVED
    total, slope = spent(levels, at, i, at.quote)
    if total <= budget:
        return at.quote
    low, high = at.quote, at.quote
    for k in range(len(at.v)):
        if levels.depth[i, 0, k] > 0:
            none_left = (at.v[k] + 1.0 / at.pace[k]) / levels.price[i, 0, k, 0]
            high = max(high, none_left * (1.0 + NEAR))
    c = low
    for step in range(STEPS):
        c = c + (total - budget) / slope if slope > 0.0 and step % 4 < 3 else low
        if not low < c < high:
            c = low + 0.5 * (high - low)
            if not low < c < high:
                break
        total, slope = spent(levels, at, i, c)
        if total > budget:
            low = c
        else:
            high = c
            if budget - total <= budget * NEAR:
                break
    return high


@compiled
def covered(levels: Levels, at: At, grid: Grid, i: int, c: float) -> tuple[float, float]:
    """The knapsack's bound at cost c, with what floats can be wrong by, and its slope in c."""
    gain, paid, moved = 0.0, 0.0, 0.0
    for k in range(len(at.v)):
        low, high = 0, levels.depth[i, 0, k]
        while low < high:
            middle = (low + high) // 2
            if at.v[k] - levels.price[i, 0, k, middle] * c > 0.0:
                low = middle + 1
            else:
                high = middle
        worth, cost = at.v[k] * levels.held[i, 0, k, low], c * levels.costs[i, 0, k, low]
        gain += worth - cost
        moved += worth + cost
        paid += levels.costs[i, 0, k, low]
    rest = levels.capital[i] * (c - at.quote)
    return gain + rest + grid.slack * (moved + levels.capital[i] * c), levels.capital[i] - paid


@compiled
def bought_at_best(levels: Levels, at: At, grid: Grid, i: int, guess: float) -> float:
    """The best that a venue's capital can buy, from above: cutting planes from both ends.

    Whatever c it ends at, the value bounds the knapsack; guess: where to cut first.
    """
    low = at.quote
    at_low, falls = covered(levels, at, grid, i, low)
    if falls >= 0.0:
        return at_low
    high = low
    for k in range(len(at.v)):
        if levels.depth[i, 0, k] > 0:
            high = max(high, at.v[k] / levels.price[i, 0, k, 0])
    at_high, rises = covered(levels, at, grid, i, high)
    best, c = min(at_low, at_high), guess
    for step in range(STEPS):
        if not low < c < high:
            c = low + 0.5 * (high - low)
            if not low < c < high:
                break
        value, slope = covered(levels, at, grid, i, c)
        best = min(best, value)
        if slope < 0.0:
            low, at_low, falls = c, value, slope
        else:
            high, at_high, rises = c, value, slope
        ahead = (at_high - at_low - rises * (high - low)) / (falls - rises)
        if best - (at_low + falls * ahead) <= grid.slack * best:
            break
        c = low + ahead if step % 3 < 2 else low
    return best


@compiled
def sold_at_best(levels: Levels, at: At, grid: Grid, i: int) -> float:
    """What a venue's inventory is worth above the multipliers, from above."""
    total = 0.0
    for k in range(len(at.v)):
        low, high = 0, levels.depth[i, 1, k]
        while low < high:
            middle = (low + high) // 2
            if levels.price[i, 1, k, middle] * at.quote - at.v[k] > 0.0:
                low = middle + 1
            else:
                high = middle
        got, given = at.quote * levels.costs[i, 1, k, low], at.v[k] * levels.held[i, 1, k, low]
        total += max(got - given, 0.0) + grid.slack * (got + given)
    return total


@compiled
def paid_for(levels: Levels, i: int, side: int, k: int, amount: float) -> float:
    """What an amount costs, or brings, when it is taken from the best level on."""
    low, high = 0, levels.depth[i, side, k]
    while low < high:
        middle = (low + high) // 2
        if levels.held[i, side, k, middle + 1] <= amount:
            low = middle + 1
        else:
            high = middle
    total = float(levels.costs[i, side, k, low])
    if low < levels.depth[i, side, k]:
        total += levels.price[i, side, k, low] * (amount - levels.held[i, side, k, low])
    return total


@compiled
def amount_words(grid: Grid, lots: int, side: int) -> int:
    """Words of so many lots of an instrument: rounded down when bought, up when sold.

    Exact where the grid's fraction allows it: most amounts are whole levels, and a word lost on
    each would be dearer than all else that is rounded.
    """
    if grid.run > 0:
        rest = (lots % grid.run) * grid.rise
        return int((lots // grid.run) * grid.rise + (rest + side * (grid.run - 1)) // grid.run)
    amount = lots * grid.unit * grid.amounts
    if side == 0:
        return int(np.floor(amount * (1.0 - grid.slack)))
    return int(np.ceil(amount * (1.0 + grid.slack)))


@compiled
def delivered(levels: Levels, grid: Grid, lots: Integers, net: Integers) -> None:
    """Add the net words of whole lots: what is received rounded down, what is given up."""
    up, down = 1.0 + grid.slack, 1.0 - grid.slack
    for i in range(lots.shape[0]):
        for k in range(lots.shape[2]):
            if lots[i, 0, k] > 0:
                amount = lots[i, 0, k] * grid.unit
                paid = paid_for(levels, i, 0, k, amount)
                net[grid.place[k]] += amount_words(grid, lots[i, 0, k], 0)
                net[grid.cash] -= np.int64(np.ceil(paid * grid.amounts * up))
            if lots[i, 1, k] > 0:
                amount = lots[i, 1, k] * grid.unit
                got = paid_for(levels, i, 1, k, amount)
                net[grid.place[k]] -= amount_words(grid, lots[i, 1, k], 1)
                net[grid.cash] += np.int64(np.floor(got * grid.amounts * down))


@compiled
def whole_lots(levels: Levels, grid: Grid, parts: Parts, lots: Integers) -> None:
    """Whole lots of each ladder: the parts of its levels, added and rounded down."""
    for i in range(lots.shape[0]):
        for side in range(2):
            for k in range(lots.shape[2]):
                count = levels.depth[i, side, k]
                low, high = 0, count
                while low < high:
                    middle = (low + high) // 2
                    if parts[i, side, k, middle] == WHOLE:
                        low = middle + 1
                    else:
                        high = middle
                total, j = levels.held[i, side, k, low], low
                while j < count and parts[i, side, k, j] > 0:
                    total += levels.size[i, side, k, j] * (parts[i, side, k, j] * ONE_PART)
                    j += 1
                made = np.int64(np.floor(total / grid.unit * (1.0 + EXACT)))
                lots[i, side, k] = min(made, levels.lots[i, side, k])


@compiled
def most_on_ramps(levels: Levels, reach: Floats, worth: Floats) -> float:
    """The most that levels within a reach of prices hold, in each ladder, times worth, summed.

    reach, worth: one an instrument. More cannot be taken in part at once, wherever it is asked.
    """
    total = 0.0
    for i in range(levels.depth.shape[0]):
        for side in range(2):
            for k in range(levels.depth.shape[2]):
                most, low = 0.0, 0
                for j in range(levels.depth[i, side, k]):
                    price = levels.price[i, side, k, j]
                    while abs(price - levels.price[i, side, k, low]) > reach[k]:
                        low += 1
                    held = levels.held[i, side, k, j + 1] - levels.held[i, side, k, low]
                    most = max(most, held)
                total += most * worth[k]
    return total


@compiled
def entry(row: int, column: int) -> int:
    """Where a pair of coordinates lies in a packed lower triangle."""
    high, low = max(row, column), min(row, column)
    return high * (high + 1) // 2 + low


@compiled
def add_slopes(  # noqa: PLR0917 -- compiled code is called by position
    levels: Levels, at: At, grid: Grid, i: int, c: float, words: Integers
) -> None:
    """Add a venue's price-scaled slopes, each word rounded once.

    Where capital binds, what is spent cannot move: the buying side loses the rank-one part along
    its prices, and with it all that it does to the quote asset.
    """
    size = len(at.v)
    weights = np.zeros(size)
    bound, squares = c > at.quote, 0.0
    for k in range(size):
        own, cross, cash = 0.0, 0.0, 0.0
        for side in range(2):
            cost = c if side == 0 else at.quote
            full = whole_levels(levels, at, i, side, k, cost)
            for j in range(full, levels.depth[i, side, k]):
                if part_of(levels, at, i, side, k, j, cost) < ONE_PART:
                    break
                rate = levels.size[i, side, k, j] * at.pace[k]
                price = levels.price[i, side, k, j]
                own += rate
                if side == 0 and bound:
                    weights[k] += rate * price
                    squares += rate * price * price
                else:
                    cross += rate * price
                    cash += rate * price * price
        v = at.v[k]
        to, from_cash = grid.place[k], entry(grid.place[k], grid.cash)
        words[entry(to, to)] += np.int64(np.rint(own * v * v * grid.slopes))
        words[from_cash] -= np.int64(np.rint(cross * v * at.quote * grid.slopes))
        words[entry(grid.cash, grid.cash)] += np.int64(
            np.rint(cash * at.quote * at.quote * grid.slopes)
        )
    if squares > 0.0:
        for k in range(size):
            if weights[k] > 0.0:
                share = weights[k] * at.v[k] / squares * grid.slopes
                for other in range(k + 1):
                    held = share * (weights[other] * at.v[other])
                    words[entry(grid.place[k], grid.place[other])] -= np.int64(np.rint(held))


@compiled
def answer(levels: Levels, at: At, grid: Grid, out: Answer) -> int:
    """Fill an answer, and return the words of phi: of all venues, each rounded up."""
    value = 0
    for i in range(len(levels.capital)):
        c = marginal_cost(levels, at, i)
        best = bought_at_best(levels, at, grid, i, c) + sold_at_best(levels, at, grid, i)
        value += int(min(np.ceil(best * grid.values * (1.0 + grid.slack)), FLOAT_MOST))
        for side in range(2):
            cost = c if side == 0 else at.quote
            for k in range(len(at.v)):
                full = whole_levels(levels, at, i, side, k, cost)
                for j in range(full):
                    out.parts[i, side, k, j] = WHOLE
                for j in range(full, levels.depth[i, side, k]):
                    part = part_of(levels, at, i, side, k, j, cost)
                    if part < ONE_PART:
                        break
                    out.parts[i, side, k, j] = np.int32(np.floor(part * WHOLE))
        if len(out.slopes) > 0:
            add_slopes(levels, at, grid, i, c, out.slopes)
    whole_lots(levels, grid, out.parts, out.lots)
    delivered(levels, grid, out.lots, out.net)
    return value
