"""A basket with all books opened: a linear program, and the question that certifies its plan.

    max sum (v_k - price) x    sum_k x <= Q_k,  sum price x <= B,  0 <= x <= lots,  sum x >= 1

An optimum in floats tells the marginal offers only up to ties, so cuts and ratio key are counted
off the levels in integers. That they are optimal the participants' sums show.
Source: solvers.md, section 2(b), budget form.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from covenue.errors import LayoutMismatch
from covenue.hooks.programs import Entries, Program, halves, wholes
from covenue.hooks.solvers import BasketCoupling
from covenue.numerics.words import Words
from covenue_contracts.shared import Query
from covenue_domain_routing.basket_goals import VALUE_BITS
from covenue_domain_routing.stacks import Array, Stack

LEVEL_WORDS = 3


@dataclass(frozen=True, eq=False)
class Offers:
    """All levels, int64[N] each: of which slot and instrument, price units a lot, lots."""

    slot: Array
    instrument: Array
    price: Array
    lots: Array


def disclose_basket(stacks: Sequence[Stack]) -> Words:
    """Instrument, price and lots of every level that holds any."""
    rows = [
        np.column_stack([np.full(len(held.lots), k), held.axis, held.lots])[held.lots > 0]
        for k, held in enumerate(stacks)
    ]
    return halves(np.concatenate(rows).astype(np.int64).reshape(-1))


def offers(parts: Sequence[Words], values: Sequence[int]) -> Offers:
    """All levels of all slots. Raises LayoutMismatch for what is none."""
    rows = [_rows(part, values) for part in parts]
    slots = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
    columns = np.concatenate(rows).T
    return Offers(slots, columns[0], columns[1], columns[2])


def _rows(part: Words, values: Sequence[int]) -> Array:
    numbers = wholes(part)
    if len(numbers) % LEVEL_WORDS:
        raise LayoutMismatch("a part discloses no whole levels", "see disclosed_basket.py")
    rows = numbers.reshape(-1, LEVEL_WORDS)
    known = bool(np.all((rows[:, 0] >= 0) & (rows[:, 0] < len(values))) and np.all(rows[:, 1:] > 0))
    if not known or bool(np.any(rows[:, 1] >= np.array(values)[rows[:, 0]])):
        raise LayoutMismatch("a part discloses levels that are none", "see disclosed_basket.py")
    return rows


def basket_program(parts: Sequence[Words], coupling: BasketCoupling) -> Program:
    """The linear program in lots, and in value of the dearest instrument."""
    found = offers(parts, coupling.values)
    count, size = len(found.price), len(coupling.values)
    unit = float(max(coupling.values))
    places, some = np.arange(count), max(count, 1)
    cost, high = np.zeros(some), np.zeros(some)
    cost[:count] = (found.price - np.array(coupling.values)[found.instrument]) / unit
    high[:count] = found.lots
    limits = [float(most) for most in coupling.quantities]
    return Program(
        cost=cost,
        low=np.zeros(some),
        high=high,
        rows=Entries(
            np.concatenate([found.instrument, np.full(count, size), np.full(count, size + 1)]),
            np.concatenate([places, places, places]),
            np.concatenate([np.ones(count), found.price / unit, np.ones(count)]),
        ),
        row_low=np.array([*[-np.inf] * (size + 1), 1.0]),
        row_high=np.array([*limits, coupling.budget / unit, np.inf]),
        coupling=tuple(range(size + 1)),
    )


def basket_proposals(parts: Sequence[Words], coupling: BasketCoupling) -> tuple[Query, ...]:
    """Depth around every cut, and spend around the ratio key where the budget ends.

    A cut is asked at itself and its successor, or at the end of the keys where all depth is taken;
    so is the ratio key, and at both ends of its block of equal ratios.
    """
    found = offers(parts, coupling.values)
    within = np.zeros(len(found.price), dtype=np.int64)
    asked: list[tuple[int, ...]] = []
    chosen: list[int] = []
    for k, most in enumerate(coupling.quantities):
        rows = np.flatnonzero(found.instrument == k)
        keys = (found.price[rows] << coupling.cut_shift) + found.slot[rows]
        order = np.argsort(keys, kind="stable")
        lots = found.lots[rows[order]]
        before = np.cumsum(lots) - lots
        within[rows[order]] = np.clip(most - before, 0, lots)
        end = coupling.values[k] << coupling.cut_shift
        if int(lots.sum()) <= most or most < 1:
            asked.append((end,))
            chosen += [end, 0] if most > 0 else [0, 0]
            continue
        key = int(keys[order][np.searchsorted(before, most) - 1])
        below = int(found.lots[rows[keys < key]].sum())
        asked.append((key, key + 1))
        chosen += [key, most - below]
    ratio = _ratio_points(found, within, coupling)
    points = (*map(len, asked), *(key for each in asked for key in each), *chosen, *ratio)
    return (Query(kind="depth", after=None, multipliers=None, points=tuple(map(str, points))),)


def _ratio_points(found: Offers, within: Array, coupling: BasketCoupling) -> tuple[int, ...]:
    size, shift = len(coupling.values), coupling.ratio_shift
    ratio = (found.price << VALUE_BITS) // np.array(coupling.values)[found.instrument]
    keys = (ratio << shift) + found.slot * size + found.instrument
    order = np.argsort(keys, kind="stable")
    spent = np.cumsum((within * found.price)[order])
    over = int(np.searchsorted(spent, coupling.budget, side="right"))
    if over == len(spent):
        return (1 << (VALUE_BITS + shift),)
    key = int(keys[order][over])
    return key, key + 1, key >> shift << shift, ((key >> shift) + 1) << shift
