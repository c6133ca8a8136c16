"""The prox of venues with coupled ladders: each venue is pulled to a centre of its own.

A venue minimises sum_k w_k (net_k - g_k)^2 / 2 + w (cash - g)^2 / 2 over what its ladders and its
capital allow. With q >= 0 the private price of the quote asset, c >= q that of capital, and v_k of
an instrument, every ask with p c < v_k and every bid with p q > v_k is taken whole, and

    v_k = w_k (g_k - net_k)      q = max(0, w (g - cash))      paid <= capital, = where c > q

For given q and c the v_k are independent of each other: two bisections over levels, and the level
on which v_k lies is taken in part. What is paid falls in c and cash rises in q, both piecewise
linear: Newton steps within a bracket, of which nothing that is promised depends. Where a weight
is 0 an asset is worth its reference: an instrument within a part in 2^30 of it, so that levels of
that price can be taken in part. Parts of levels are rounded down, and delivered like any.
Only + - * /, floor, ceil and comparison, in a fixed order. Source: solvers.md, sections 2(d), 3.4.
"""

from typing import NamedTuple

import numpy as np

from covenue.numerics.compiled import compiled
from covenue_domain_arbitrage.ladders_kernel import (
    FLOAT_MOST,
    NEAR,
    SAVED,
    WHOLE,
    At,
    Floats,
    Grid,
    Integers,
    Levels,
    Parts,
    bought_at_best,
    delivered,
    paid_for,
    sold_at_best,
)

STEPS = 120
NARROW = 2.0**-30


class Pull(NamedTuple):
    """What a prox pulls to: w_k and w_k g_k of a venue's instruments, w and w g of the quote.

    quote: the reference of the quote asset.
    """

    weight: Floats
    centre: Floats
    cash_weight: float
    cash_centre: float
    quote: float


class Traded(NamedTuple):
    """What a venue pays and gets at some prices, and how fast both move with them."""

    paid: float
    paid_slope: float
    got: float
    got_slope: float


class Covered(NamedTuple):
    """What capital covers at a price of the quote: at c = high, and a share of more at c = low.

    cash: got less paid. slope: how fast it rises with the price.
    """

    low: float
    high: float
    share: float
    cash: float
    slope: float


@compiled
def cheaper(levels: Levels, i: int, k: int, c: float, v: float) -> int:
    """How many asks of an instrument cost less than v."""
    low, high = 0, levels.depth[i, 0, k]
    while low < high:
        middle = (low + high) // 2
        if levels.price[i, 0, k, middle] * c < v:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def dearer(levels: Levels, i: int, k: int, q: float, v: float) -> int:
    """How many bids for an instrument bring more than v."""
    low, high = 0, levels.depth[i, 1, k]
    while low < high:
        middle = (low + high) // 2
        if levels.price[i, 1, k, middle] * q > v:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def bought(  # noqa: PLR0917 -- compiled code is called by position
    levels: Levels, pull: Pull, i: int, k: int, q: float, c: float
) -> tuple[int, float]:
    """How many asks are taken whole, and how much of the next one."""
    weight, centre = pull.weight[k], pull.centre[k]
    low, high = 0, levels.depth[i, 0, k]
    while low < high:
        middle = (low + high) // 2
        v = levels.price[i, 0, k, middle] * c
        sold = levels.held[i, 1, k, dearer(levels, i, k, q, v)]
        if v + weight * (levels.held[i, 0, k, middle + 1] - sold) <= centre:
            low = middle + 1
        else:
            high = middle
    if low == levels.depth[i, 0, k]:
        return low, 0.0
    v = levels.price[i, 0, k, low] * c
    sold = levels.held[i, 1, k, dearer(levels, i, k, q, v)]
    rest = (centre - v) / weight + sold - levels.held[i, 0, k, low]
    return low, min(max(rest, 0.0), levels.size[i, 0, k, low])


@compiled
def given_up(  # noqa: PLR0917 -- compiled code is called by position
    levels: Levels, pull: Pull, i: int, k: int, q: float, c: float
) -> tuple[int, float]:
    """How many bids are taken whole, and how much of the next one."""
    weight, centre = pull.weight[k], pull.centre[k]
    low, high = 0, levels.depth[i, 1, k]
    while low < high:
        middle = (low + high) // 2
        v = levels.price[i, 1, k, middle] * q
        held = levels.held[i, 0, k, cheaper(levels, i, k, c, v)]
        if v + weight * (held - levels.held[i, 1, k, middle + 1]) >= centre:
            low = middle + 1
        else:
            high = middle
    if low == levels.depth[i, 1, k]:
        return low, 0.0
    v = levels.price[i, 1, k, low] * q
    held = levels.held[i, 0, k, cheaper(levels, i, k, c, v)]
    rest = (v - centre) / weight + held - levels.held[i, 1, k, low]
    return low, min(max(rest, 0.0), levels.size[i, 1, k, low])


@compiled
def traded(levels: Levels, pull: Pull, i: int, q: float, c: float) -> Traded:
    """All that a venue pays and gets at prices of the quote and of capital."""
    paid, paid_slope, got, got_slope = 0.0, 0.0, 0.0, 0.0
    for k in range(len(pull.weight)):
        whole, part = bought(levels, pull, i, k, q, c)
        paid += levels.costs[i, 0, k, whole]
        if part > 0.0:
            price = levels.price[i, 0, k, whole]
            paid += price * part
            if part < levels.size[i, 0, k, whole]:
                paid_slope += price * price / pull.weight[k]
        whole, part = given_up(levels, pull, i, k, q, c)
        got += levels.costs[i, 1, k, whole]
        if part > 0.0:
            price = levels.price[i, 1, k, whole]
            got += price * part
            if part < levels.size[i, 1, k, whole]:
                got_slope += price * price / pull.weight[k]
    return Traded(paid, paid_slope, got, got_slope)


@compiled
def covered_by(levels: Levels, pull: Pull, i: int, q: float) -> Covered:
    """The least cost c from q up at which capital covers what is paid.

    Where what is paid jumps there, because bids at q outweigh asks at c, a share of the jump does.
    """
    budget = levels.capital[i] * SAVED
    at_low = traded(levels, pull, i, q, q)
    if at_low.paid <= budget:
        return Covered(q, q, 0.0, at_low.got - at_low.paid, at_low.got_slope + at_low.paid_slope)
    low, high = q, q
    for k in range(len(pull.weight)):
        if levels.depth[i, 0, k] > 0:
            none_left = pull.centre[k] + pull.weight[k] * levels.held[i, 1, k, -1]
            high = max(high, none_left / levels.price[i, 0, k, 0] * (1.0 + NEAR))
    at_high = traded(levels, pull, i, q, high)
    now, c = at_low, low
    for step in range(STEPS):
        c = c + (now.paid - budget) / now.paid_slope if now.paid_slope > 0.0 else low
        if not low < c < high or step % 4 == 3:
            c = low + 0.5 * (high - low)
            if not low < c < high:
                break
        now = traded(levels, pull, i, q, c)
        if now.paid > budget:
            low, at_low = c, now
        else:
            high, at_high = c, now
            if budget - now.paid <= budget * NEAR:
                return Covered(c, c, 0.0, now.got - now.paid, now.got_slope)
    share = (budget - at_high.paid) / (at_low.paid - at_high.paid)
    share = min(max(share, 0.0), 1.0)
    cash = at_high.got - at_high.paid
    cash += share * (at_low.got - at_low.paid - cash)
    return Covered(low, high, share, cash, at_high.got_slope)


@compiled
def quoted(levels: Levels, pull: Pull, i: int) -> tuple[float, Covered]:
    """q of a venue, and what its capital covers there."""
    if pull.cash_weight == 0.0:
        return pull.quote, covered_by(levels, pull, i, pull.quote)
    low, high = 0.0, pull.cash_centre + pull.cash_weight * levels.capital[i]
    if not high > 0.0:
        return 0.0, covered_by(levels, pull, i, 0.0)
    q = pull.quote if pull.quote < high else 0.5 * high
    for step in range(STEPS):
        found = covered_by(levels, pull, i, q)
        over = q + pull.cash_weight * found.cash - pull.cash_centre
        if abs(over) <= q * NEAR:
            return q, found
        low, high = (low, q) if over > 0.0 else (q, high)
        q = q - over / (1.0 + pull.cash_weight * found.slope)
        if not low < q < high or step % 4 == 3:
            q = low + 0.5 * (high - low)
            if not low < q < high:
                break
    return high, covered_by(levels, pull, i, high)


@compiled
def fill(  # noqa: PLR0917 -- compiled code is called by position
    levels: Levels, i: int, side: int, k: int, amount: float, parts: Parts
) -> None:
    """An amount from the best level of a ladder on, rounded down."""
    for j in range(levels.depth[i, side, k]):
        rest = amount - levels.held[i, side, k, j]
        if rest >= levels.size[i, side, k, j]:
            parts[i, side, k, j] = WHOLE
        else:
            if rest > 0.0:
                share = rest / levels.size[i, side, k, j]
                parts[i, side, k, j] = np.int32(np.floor(share * WHOLE))
            break


@compiled
def amounts(  # noqa: PLR0917 -- compiled code is called by position
    levels: Levels, pull: Pull, i: int, k: int, q: float, c: float
) -> tuple[float, float]:
    """What is bought and what is sold of an instrument."""
    whole, part = bought(levels, pull, i, k, q, c)
    buys = levels.held[i, 0, k, whole] + part
    whole, part = given_up(levels, pull, i, k, q, c)
    return buys, levels.held[i, 1, k, whole] + part


@compiled
def nearest(  # noqa: PLR0917 -- compiled code is called by position
    levels: Levels,
    grid: Grid,
    centres: Floats,
    weights: Floats,
    worth: Floats,
    parts: Parts,
    nets: Floats,
) -> None:
    """Fill the parts of all levels, and the nets that they are rounded from, zeros before.

    centres, weights, worth: of the coordinates of the plan; worth: the references, which are paid
    where a weight is 0.
    """
    size = levels.depth.shape[2]
    weight, centre = np.empty(size), np.empty(size)
    for i in range(len(levels.capital)):
        for k in range(size):
            own, at = weights[grid.place[k]], worth[grid.place[k]]
            held = levels.held[i, 0, k, -1] + levels.held[i, 1, k, -1]
            weight[k] = own if own > 0.0 else at * NARROW / max(held, 1.0)
            centre[k] = own * centres[i, grid.place[k]] if own > 0.0 else at
        cash = weights[grid.cash]
        pull = Pull(weight, centre, cash, cash * centres[i, grid.cash], worth[grid.cash])
        q, found = quoted(levels, pull, i)
        for k in range(size):
            buys, sells = amounts(levels, pull, i, k, q, found.high)
            if found.share > 0.0:
                more, less = amounts(levels, pull, i, k, q, found.low)
                buys += found.share * (more - buys)
                sells += found.share * (less - sells)
            fill(levels, i, 0, k, buys, parts)
            fill(levels, i, 1, k, sells, parts)
            nets[i, grid.place[k]] += buys - sells
            paid, got = paid_for(levels, i, 0, k, buys), paid_for(levels, i, 1, k, sells)
            nets[i, grid.cash] += got - paid


@compiled
def each_delivered(levels: Levels, grid: Grid, lots: Integers, nets: Integers) -> None:
    """Add to nets[i] the words of each venue's lots."""
    for i in range(len(lots)):
        own = Levels(
            levels.price[i : i + 1],
            levels.size[i : i + 1],
            levels.held[i : i + 1],
            levels.costs[i : i + 1],
            levels.depth[i : i + 1],
            levels.lots[i : i + 1],
            levels.capital[i : i + 1],
        )
        delivered(own, grid, lots[i : i + 1], nets[i])


@compiled
def surplus(levels: Levels, at: At, grid: Grid) -> int:
    """The words of phi: of all venues, each rounded up."""
    value = 0
    for i in range(len(levels.capital)):
        best = bought_at_best(levels, at, grid, i, at.quote) + sold_at_best(levels, at, grid, i)
        value += int(min(np.ceil(best * grid.values * (1.0 + grid.slack)), FLOAT_MOST))
    return value
