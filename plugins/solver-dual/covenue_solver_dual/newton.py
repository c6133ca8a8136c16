"""The Newton step on the dual, with kinks: an active set on the model, then clipped and landed.

In relative steps d = (v' - v) / v the model of the price-scaled totals is z + M d, z = v s and
M = diag(v) H diag(v). Coordinates are in one of three states: free on their side of the reference
(z + M d meets the limit of that side), at the reference (d leads there, and z + M d lies between
the limits), or held at the end of their range.
Source: solvers.md, section 3.1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covenue.numerics.ldlt import Reals, factored, solved
from covenue_solver_dual.coordinates import Reach, free, gradient, landed, sides
from covenue_solver_dual.ordered import dot, times
from covenue_solver_dual.terms import Integers, Terms, reals
from covenue_solver_dual.totals import Point

Flags = NDArray[np.bool_]
Signs = NDArray[np.int64]
ACTIVE_SETS = 12
FLAT = 1e-6
SINGULAR, CURVED = 1e-12, 1e-12


@dataclass(frozen=True, eq=False)
class Slopes:
    """A price-scaled matrix, what its diagonal is not to fall below, and how much to damp."""

    matrix: Reals
    walls: Reals
    damping: float


@dataclass(frozen=True, eq=False)
class Model:
    """The model at a point, in value units; every array has one number a coordinate.

    low, high: price-scaled limits; kink: the relative step to the reference. origin: the side that
    a coordinate is on or leaves for, 0 at rest; up, down: whether its range has room there.
    """

    slopes: Slopes
    scaled: Reals
    low: Reals
    high: Reals
    kink: Reals
    origin: Signs
    able: Flags
    up: Flags
    down: Flags


def newton_step(terms: Terms, point: Point, slopes: Slopes, reach: Reach) -> Integers:
    """Multipliers after one step, on the grid; equal to those of the point where none can move.

    reach: how far any multiplier may fall and rise, relative to itself.
    """
    model = _model(terms, point, slopes)
    step, side, lands = _active_set(model)
    moved = reals(point.multipliers) * (1.0 + np.clip(step, *reach))
    within = lands & (model.kink >= reach[0]) & (model.kink <= reach[1])
    wanted = tuple(
        r if at_reference else int(value)
        for value, r, at_reference in zip(
            np.rint(moved).tolist(), terms.reference, within.tolist(), strict=True
        )
    )
    leaving = np.where(step == 0.0, 0, side)
    return landed(terms, point.multipliers, tuple(leaving.tolist()), wanted)


def _model(terms: Terms, point: Point, slopes: Slopes) -> Model:
    v, r = terms.values(point.multipliers), terms.values(terms.reference)
    pull = gradient(terms, point)
    ends = zip(point.multipliers, terms.lowest, terms.highest, strict=True)
    room = np.array([(at < high, at > low) for at, low, high in ends])
    return Model(
        slopes=slopes,
        scaled=v * terms.totals(point.nets),
        low=v * terms.totals(terms.lower),
        high=v * terms.totals(terms.upper),
        kink=(r - v) / v,
        origin=np.array(sides(terms, point.multipliers, pull), dtype=np.int64),
        able=np.array(free(terms, point.multipliers, pull)),
        up=room[:, 0],
        down=room[:, 1],
    )


def _active_set(model: Model) -> tuple[Reals, Signs, Flags]:
    """The step, the side that each coordinate is on or leaves for, and which end at the reference.

    A coordinate off its reference never changes sides: it lands, and may go on in the next round.
    Ends when no coordinate changes its state, or after a fixed number of sets.
    """
    resting = model.kink == 0.0
    side, moves, lands = model.origin, model.able, model.origin == 0
    step = _solved(model, side, moves, lands)
    for _ in range(ACTIVE_SETS):
        predicted = model.scaled + times(model.slopes.matrix, step)
        crosses = moves & (side * (step - model.kink) < 0.0)
        rises = lands & (predicted < model.low) & model.up & (resting | (model.origin > 0))
        falls = lands & (predicted > model.high) & model.down & (resting | (model.origin < 0))
        if not bool((crosses | rises | falls).any()):
            break
        lands = (lands | crosses) & ~rises & ~falls
        moves = (moves & ~crosses) | rises | falls
        side = np.where(rises, 1, np.where(falls, -1, side))
        step = _solved(model, side, moves, lands)
    crossed = moves & (side * (step - model.kink) < 0.0)
    return step, side, lands | crossed


def _solved(model: Model, side: Signs, moves: Flags, lands: Flags) -> Reals:
    """The step of free coordinates, given those that land on their reference and those held."""
    step = np.where(lands, model.kink, 0.0)
    chosen = np.flatnonzero(moves)
    if not len(chosen):
        return step
    target = np.where(side > 0, model.low, model.high)
    right = (target - model.scaled - times(model.slopes.matrix, step))[chosen]
    part = np.ascontiguousarray(model.slopes.matrix[np.ix_(chosen, chosen)])
    diagonal = np.maximum(np.diagonal(part), model.slopes.walls[chosen])
    top = float(diagonal.max())
    damped = diagonal + model.slopes.damping * np.maximum(diagonal, FLAT * top)
    part[np.diag_indices(len(chosen))] = damped
    least = np.full(len(chosen), max(SINGULAR * top, 2.0**-40))
    step[chosen] = solved(factored(part, least), right)
    return step


def seen(terms: Terms, before: Point, after: Point) -> tuple[Reals, Reals]:
    """(relative step, price-scaled gain of the totals) between two points.

    Only answers are compared, not the coupling: a step stays on one branch of every kink, where
    the gradient gains what the totals gain, and totals are monotone in the multipliers.
    """
    v, w = terms.values(before.multipliers), terms.values(after.multipliers)
    middle = 0.5 * (v + w)
    gained = terms.totals(after.nets) - terms.totals(before.nets)
    return (w - v) / middle, middle * gained


def secant(terms: Terms, matrix: Reals, before: Point, after: Point) -> Reals:
    """The matrix after a BFGS update, so that it maps the step to what the totals gained.

    It stays positive semidefinite; a pair without curvature changes nothing.
    """
    moved, gained = seen(terms, before, after)
    image = times(matrix, moved)
    gain, held = dot(moved, gained), dot(moved, image)
    if not (gain > CURVED * held > 0.0):
        return matrix
    return (
        matrix
        - image[:, None] * (image / held)[None, :]
        + gained[:, None] * (gained / gain)[None, :]
    )
