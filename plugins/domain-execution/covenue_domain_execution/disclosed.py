"""An execution plan with all venues opened: one quadratic program, and the lots that it means.

    min sum a_it x_it + eta_it x_it^2 / 2 + kappa / 2 sum_t (c_t - w_t)^2
    sum_i x_it = c_t - c_(t-1),   0 <= x_it <= cap_it,   sum_t x_it <= C_i,   c_T = w_T

The duals of the slices are multipliers above the arrival price. At these the venues' own answers,
computed here from the same numbers by the same code, say which lots are recovered (lots.py): so
one question certifies the plan, and its gap is that of whole lots.

x_it counts parts of its cap, and every row lots of a mean slice. What no multiplier in the band
makes worth it is not in the program.
Source: solvers.md, sections 2(c), 3.5 and 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from covenue.errors import LayoutMismatch
from covenue.hooks.programs import Entries, Optimum, Program, halves, wholes
from covenue.hooks.solvers import Tracking
from covenue.numerics.words import Words
from covenue_contracts.shared import DualVariables, Query, QueryKind
from covenue_domain_execution.goals import GRID, MULTIPLIER_BITS, Terms
from covenue_domain_execution.kernels import Floats, Rows, respond
from covenue_domain_execution.lots import lots_of


@dataclass(frozen=True, eq=False)
class Opened:
    """All venues, by slot; what is worth it within the band; and the scales of the program.

    costs, steep, caps: float64[n, T], of all venues in turn; caps are no more than the band makes
    worth it. mean: lots of a mean slice. price: above the arrival, as half of the venues ask it.
    """

    slots: tuple[Rows, ...]
    costs: Floats
    steep: Floats
    caps: Floats
    credits: Floats
    mean: float
    price: float


def disclose(rows: Rows) -> Words:
    """Credits, costs, slopes and caps of every venue; floats by their bits."""
    tables = (rows.credits, rows.costs, rows.steep, rows.caps)
    bits = [np.ascontiguousarray(table).view(np.int64).reshape(-1) for table in tables]
    return halves(np.concatenate(bits))


def opened(parts: Sequence[Words], terms: Terms) -> Opened:
    """All that was disclosed. Raises LayoutMismatch for what is no venues."""
    slots = tuple(_rows(part, terms.size) for part in parts)
    costs, steep, caps, credit = (
        np.concatenate([getattr(rows, name) for rows in slots])
        for name in ("costs", "steep", "caps", "credits")
    )
    caps = np.minimum(caps, np.maximum(terms.reach / GRID - costs, 0.0) / steep)
    mean = max(1.0, terms.wanted / terms.size)
    asked = (np.abs(costs) + steep * np.minimum(caps, mean))[caps > 0.0]
    price = float(np.median(asked)) if len(asked) else 1.0
    return Opened(slots, costs, steep, caps, credit, mean, price)


def _rows(part: Words, slices: int) -> Rows:
    numbers = wholes(part)
    count, rest = divmod(len(numbers), 1 + 3 * slices)
    floats = numbers.view(np.float64)
    credit, costs, steep, caps = np.split(
        floats[: len(floats) - rest], [count, count * (1 + slices), count * (1 + 2 * slices)]
    )
    fits = bool(
        not rest
        and np.all(np.isfinite(floats))
        and np.all(credit >= 0.0)
        and np.all(caps >= 0.0)
        and np.all(steep > 0.0)
    )
    if not fits:
        raise LayoutMismatch("a part discloses venues that are none", "see disclosed.py")
    costs, steep, caps = (table.reshape(count, slices) for table in (costs, steep, caps))
    return Rows(costs=costs, steep=steep, inverse=1.0 / steep, caps=caps, credits=credit)


def program(parts: Sequence[Words], terms: Terms, tracking: Tracking) -> Program:
    """The quadratic program; infeasible where caps, credits and band hold less than is wanted.

    The last row asks for half a lot at least, so that an order for nothing has no plan.
    """
    given = opened(parts, terms)
    size, mean, worth = terms.size, given.mean, given.mean * given.price
    venue, at = np.nonzero(given.caps > 0.0)
    cap, cost, slope = (table[venue, at] for table in (given.caps, given.costs, given.steep))
    placed, aside = np.arange(len(cap)), len(cap) + np.arange(size)
    path = np.diff([0.0, *(word / tracking.lot for word in tracking.path)]) / mean
    binds = given.caps.sum(axis=1) > given.credits
    purse, share = np.maximum(given.credits, 1.0), cap / mean
    one = np.full(len(cap), size + len(purse))
    away = float(tracking.weight) * mean * mean
    last = np.where(np.arange(size) < size - 1, np.inf, 0.0)
    every = np.concatenate([placed, aside])
    return Program(
        cost=np.concatenate([cost * cap, np.zeros(size)]) / worth,
        low=np.concatenate([np.zeros(len(cap)), -last]),
        high=np.concatenate([np.ones(len(cap)), last]),
        rows=Entries(
            np.concatenate([at, np.arange(size), np.arange(1, size), size + venue, one]),
            np.concatenate([placed, aside, aside[:-1], placed, placed]),
            np.concatenate([share, -np.ones(size), np.ones(size - 1), cap / purse[venue], share]),
        ),
        row_low=np.concatenate([path, np.full(len(purse), -np.inf), [0.5 / mean]]),
        row_high=np.concatenate([path, np.where(binds, given.credits / purse, np.inf), [np.inf]]),
        coupling=tuple(range(size)),
        quadratic=Entries(
            every, every, np.concatenate([slope * cap * cap, np.full(size, away)]) / worth
        ),
    )


def proposals(
    parts: Sequence[Words], terms: Terms, tracking: Tracking, optimum: Optimum
) -> tuple[Query, ...]:
    """The plan of whole lots at the multipliers of an optimum.

    Where the lots there do not reach the total, all multipliers move, by halving the band, to where
    they do. If they nowhere do, the answer to the multipliers still bounds every plan.
    """
    given = opened(parts, terms)
    duals = optimum.duals[: terms.size] * given.price
    at = [round(float(dual) * GRID) for dual in duals]
    low, high, shift = -2 * terms.reach, 2 * terms.reach, 0
    while low <= high:
        moved = [min(max(v + shift, -terms.reach), terms.reach) for v in at]
        plan, missing = recovered(given, terms, tracking, moved)
        if not missing:
            return (_query("certify", terms, moved, plan),)
        low, high = (shift + 1, high) if missing > 0 else (low, shift - 1)
        shift = (low + high) // 2
    kept = [min(max(v, -terms.reach), terms.reach) for v in at]
    return (_query("respond", terms, kept, ()),)


def recovered(
    given: Opened, terms: Terms, tracking: Tracking, excess: Sequence[int]
) -> tuple[tuple[int, int], int]:
    """(key, lots at it) of the plan at multipliers, and how many lots it lacks; below 0, has more.

    excess: multipliers above the arrival price, on their grid.
    """
    prices = np.array(excess, dtype=np.float64) / float(GRID)
    word, unit = float(2**terms.scale_bits), float(2**terms.value_bits)
    down, offers = 0, [np.zeros(0, dtype=np.int64)]
    for slot, rows in enumerate(given.slots):
        if len(rows.credits):
            answer = respond(prices, rows, word, unit)
            lots = lots_of(answer, rows, terms.scale_bits, tracking.tie_bits, slot)
            down += int(lots.down.sum(dtype=np.int64))
            offers.append(lots.offered)
    keys = np.sort(np.concatenate(offers))
    wanted = terms.wanted - down
    if not 0 <= wanted <= len(keys):
        return (0, 0), wanted if wanted < 0 else wanted - len(keys)
    if wanted == len(keys):
        return (int(keys[-1]) + 1 if wanted else 0, 0), 0
    key = int(keys[wanted])
    return (key, wanted - int(np.searchsorted(keys, key))), 0


def _query(kind: QueryKind, terms: Terms, excess: Sequence[int], points: Sequence[int]) -> Query:
    values = tuple(str(terms.price + v) for v in excess)
    return Query(
        kind=kind,
        after=None,
        multipliers=DualVariables(scale_bits=MULTIPLIER_BITS, values=values),
        points=tuple(map(str, points)),
    )
