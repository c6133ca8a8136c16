"""One semismooth Newton step on the smoothed dual, kinks and all, and what is decided about it.

In relative steps d = (v' - v) / v the model of the price-scaled totals is z + M d, z = v s and
M = diag(v) H diag(v). The dual has a kink at every reference: above it a total is steered to its
lower limit, below to its upper, and at it to anything between. So a coordinate is free on its side
of the reference, lands on it, rests there, or is held at the end of its range. A step never crosses
a reference: it lands, and may go on in the next round. Source: solvers.md, section 3.3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covenue.numerics.ldlt import Reals, factored, solved
from covenue_solver_proximal.answers import Answer
from covenue_solver_proximal.terms import Terms, Whole, reals

Flags = NDArray[np.bool_]
Signs = NDArray[np.int64]
ACTIVE_SETS = 12
DAMPING, TREND_SHARE = 1e-4, 0.03
SINGULAR, LEAST_PIVOT = 1e-12, 2.0**-40
TREND_FLOOR = 0.01


@dataclass(frozen=True)
class Aim:
    """Where the totals of an answer are steered to, and from where.

    pull: the subgradient of least size, in words; 0 where a multiplier may rest. side: the branch
    that a multiplier is on, or leaves its reference for: 1 above, -1 below, 0 rests. able: those
    that are not held at the end of their range.
    """

    lower: Whole
    upper: Whole
    pull: Whole
    side: Whole
    able: tuple[bool, ...]


def aim_of(terms: Terms, answer: Answer, limits: tuple[Whole, Whole]) -> Aim:
    """The aim of an answer under limits (lower, upper) of its totals."""
    lower, upper = limits
    rows = list(zip(answer.multipliers, terms.reference, answer.nets, lower, upper, strict=True))
    pull = tuple(
        net - low if v > r else net - high if v < r else min(net - low, 0) + max(net - high, 0)
        for v, r, net, low, high in rows
    )
    side = tuple(
        (v > r) - (v < r) or (g < 0) - (g > 0) for (v, r, *_), g in zip(rows, pull, strict=True)
    )
    ends = zip(answer.multipliers, pull, side, terms.lowest, terms.highest, strict=True)
    able = tuple(
        b != 0 and not (g < 0 and v >= high) and not (g > 0 and v <= low)
        for v, g, b, low, high in ends
    )
    return Aim(lower, upper, pull, side, able)


def trend_of(slopes: Reals) -> Reals:
    """The diagonal of slopes at the widest width: what a multiplier moves on average."""
    diagonal = np.maximum(np.diagonal(slopes), 0.0)
    middle = float(np.sort(diagonal)[len(diagonal) // 2])
    return np.maximum(diagonal, TREND_FLOOR * middle)


def newton_step(
    terms: Terms, answer: Answer, aim: Aim, trend: Reals, trusts: tuple[float | Reals, ...]
) -> tuple[Whole, ...]:
    """Multipliers after one step, on the grid; equal to the answer's where none can move.

    trend: price-scaled slopes that damp, against answers that are flat between two levels. trusts:
    how far any multiplier may move, or each of them, relative to itself; one result each. Raises
    BadInput for slopes whose factors are beyond floats.
    """
    v, r = terms.values(answer.multipliers), terms.values(terms.reference)
    slopes = answer.matrix(terms.size)
    diagonal = np.diagonal(slopes)
    damped = slopes + np.diag(DAMPING * np.maximum(diagonal, TREND_SHARE * trend))
    model = _Model(
        damped,
        scaled=v * terms.totals(answer.nets),
        low=v * terms.totals(aim.lower),
        high=v * terms.totals(aim.upper),
        kink=(r - v) / v,
        origin=np.array(aim.side, dtype=np.int64),
        able=np.array(aim.able),
    )
    found = _active_set(model)
    return tuple(_clipped(terms, answer, model, found, trust) for trust in trusts)


def _clipped(
    terms: Terms,
    answer: Answer,
    model: "_Model",
    found: tuple[Reals, Signs, Flags],
    trust: float | Reals,
) -> Whole:
    """A step on the grid, no longer than trusted in any coordinate."""
    step, side, lands = found
    clipped = np.clip(step, -trust, trust)
    moved = np.rint(reals(answer.multipliers) * (1.0 + clipped)).tolist()
    within = lands & (np.abs(model.kink) <= trust)
    rows = zip(answer.multipliers, moved, within.tolist(), side.tolist(), strict=True)
    ends = zip(terms.reference, terms.lowest, terms.highest, strict=True)
    return tuple(
        _landed(at, r if on else int(to), branch if to != at or on else 0, (r, low, high))
        for (at, to, on, branch), (r, low, high) in zip(rows, ends, strict=True)
    )


def slopes_along(start: Answer, end: Answer, aim: Aim, terms: Terms) -> tuple[int, int]:
    """Slope of the smoothed dual along the step between two answers: at its start, at its end.

    In 2^-product_bits, for the whole step. A step lies on one branch of every kink, so the slope
    shows whether the dual, which nobody sees where answers are spread, still falls.
    """
    first = last = 0
    rows = zip(start.multipliers, end.multipliers, terms.reference, start.nets, end.nets,
               aim.lower, aim.upper, strict=True)  # fmt: skip
    for v, w, r, before, after, low, high in rows:
        limit = low if max(v, w) > r else high
        first += (before - limit) * (w - v)
        last += (after - limit) * (w - v)
    return first, last


def between(terms: Terms, start: Answer, end: Answer, aims: tuple[Aim, Aim]) -> Reals:
    """Slopes for a step that overshot, from `start`: the mean of both ends, with walls.

    Between two levels an answer is flat, and its slopes say nothing of the jump ahead. So where a
    total passed its aim, its own slope is no less than what it gained by its multiplier's move.
    """
    mean = 0.5 * (start.matrix(terms.size) + end.matrix(terms.size))
    v, w = terms.values(start.multipliers), terms.values(end.multipliers)
    gained = v * (terms.totals(end.nets) - terms.totals(start.nets))
    pulls = zip(aims[0].pull, aims[1].pull, strict=True)
    passed = np.array([before * after < 0 for before, after in pulls]) & (w != v)
    met = np.where(passed, gained / np.where(passed, (w - v) / v, 1.0), 0.0)
    raised = np.where(passed, np.maximum(met - np.diagonal(mean), 0.0), 0.0)
    return np.asarray(mean + np.diag(raised), dtype=np.float64)


def _landed(at: int, wanted: int, branch: int, ends: tuple[int, int, int]) -> int:
    """A wanted multiplier on its side of the reference, within its range."""
    reference, low, high = ends
    if branch == 0:
        return at
    kept = max(wanted, reference) if branch > 0 else min(wanted, reference)
    return min(max(kept, low), high)


@dataclass(frozen=True, eq=False)
class _Model:
    """The model at a point, in value units; every array has one number a coordinate."""

    slopes: Reals
    scaled: Reals
    low: Reals
    high: Reals
    kink: Reals
    origin: Signs
    able: Flags


def _active_set(model: _Model) -> tuple[Reals, Signs, Flags]:
    """The step, the side that each coordinate is on or leaves for, and which land.

    Ends when no coordinate changes its state, or after a fixed number of sets.
    """
    resting = model.kink == 0.0
    side, moves, lands = model.origin, model.able, model.origin == 0
    step = _solved(model, side, moves, lands)
    for _ in range(ACTIVE_SETS):
        predicted = model.scaled + _times(model.slopes, step)
        crosses = moves & (side * (step - model.kink) < 0.0)
        rises = lands & (predicted < model.low) & (resting | (model.origin > 0))
        falls = lands & (predicted > model.high) & (resting | (model.origin < 0))
        if not bool((crosses | rises | falls).any()):
            break
        lands = (lands | crosses) & ~rises & ~falls
        moves = (moves & ~crosses) | rises | falls
        side = np.where(rises, 1, np.where(falls, -1, side))
        step = _solved(model, side, moves, lands)
    return step, side, lands | (moves & (side * (step - model.kink) < 0.0))


def _solved(model: _Model, side: Signs, moves: Flags, lands: Flags) -> Reals:
    """The step of free coordinates, given those that land on their reference and those held."""
    step = np.where(lands, model.kink, 0.0)
    chosen = np.flatnonzero(moves)
    if not len(chosen):
        return step
    target = np.where(side > 0, model.low, model.high)
    right = (target - model.scaled - _times(model.slopes, step))[chosen]
    part = np.ascontiguousarray(model.slopes[np.ix_(chosen, chosen)])
    top = float(np.diagonal(part).max())
    least = np.full(len(chosen), max(SINGULAR * top, LEAST_PIVOT))
    step[chosen] = solved(factored(part, least), right)
    return step


def _times(matrix: Reals, vector: Reals) -> Reals:
    """Symmetric matrix times vector, row after row in ascending order, whatever numpy is built."""
    result = np.zeros(len(vector))
    for k in np.flatnonzero(vector).tolist():
        result += matrix[k] * vector[k]
    return result
