"""The coordinator's copy of the slopes: steps from it, and what it learns from answers."""

from typing import NamedTuple

import numpy as np

from covenue_solver_dual.algebra import updated
from covenue_solver_dual.costs import CURVED_ROUNDS, Costs
from covenue_solver_dual.held import Held, Reals, Whole
from covenue_solver_dual.method import Reach, Seen
from covenue_solver_dual.model import newton_trial, seen
from covenue_solver_dual.terms import Terms
from covenue_solver_dual.totals import Answer, Point
from covenue_solver_dual.warm import WarmDual, warm_for

WEAKENED = 0.25
LEAST_DAMPING, FIRST_DAMPING, AFTER_REJECT = 1e-12, 1e-9, 1e-6
FURTHER, UNREJECTED = 2.0, 16.0
"""How much further a bent step may go than a straight one, as it bends as answers do; and how much
before any trial was rejected."""


class Curvature(NamedTuple):
    """The coordinator's copy of the price-scaled slopes, and when to ask for new ones.

    matrix: m x m, None while there is none; scaled: the multipliers that it is scaled at. aside:
    the copy before a detour. walls: m numbers that the diagonal is not to fall below, None where
    no answer jumps; held: whether the last trial ran into one. bent: which model of model.py.
    warm: whether the copy is one of an earlier plan. rounds: answers taken so far. stale: ask
    for slopes next.
    """

    costs: Costs
    matrix: Held | None = None
    scaled: Held | None = None
    aside: Held | None = None
    walls: Held | None = None
    held: bool = False
    bent: bool = False
    warm: bool = False
    rounds: int = 0
    damping: float = FIRST_DAMPING
    stale: bool = False


class NewtonMethod:
    """Steps of model.py on the copy of the slopes; see `Curvature` for what is kept."""

    detours = True
    patience = 4

    def with_slopes(self, memory: Curvature) -> bool:
        """As the option says; always where the copy is missing or stale."""
        hessian = memory.costs.hessian
        if hessian == "every" or memory.matrix is None or memory.stale:
            return True
        return hessian == "cached" and not memory.warm and memory.rounds + 1 in CURVED_ROUNDS

    def accepted(
        self, terms: Terms, memory: Curvature, origin: Point | None, answer: Answer, seen: Seen
    ) -> Curvature:
        """Less damping; the copy is stale if what is out of place has not fallen far enough."""
        memory = _learned(terms, memory._replace(bent=seen.exchanges), origin, answer)
        costs = memory.costs
        if origin is None:
            far = not memory.warm or costs.is_far(seen.misplaced, seen.enough)
            return memory._replace(stale=far and costs.asks_again(terms.size))
        memory = _walled(terms, memory._replace(aside=None), origin, answer.point, held=False)
        stale = costs.renews(terms.size, seen.before, seen.misplaced, seen.enough, warm=memory.warm)
        damping = max(memory.damping / 10, LEAST_DAMPING)
        return memory._replace(damping=damping, stale=stale)

    def detoured(self, terms: Terms, memory: Curvature, at: Point, answer: Answer) -> Curvature:
        """Slopes as they are at the trial; those at the accepted point are put aside."""
        aside = _at(terms, memory, at) if memory.aside is None else memory.aside
        learned = _learned(terms, memory, at, answer)
        return learned._replace(aside=aside, stale=True)

    def rejected(
        self, terms: Terms, memory: Curvature, at: Point, answer: Answer, share: float
    ) -> Curvature:
        """A wall where there are walls; else damping, and the stiffer of the slopes on both sides.

        Without a detour the trial was too far off for its slopes to say anything.
        """
        rounds, aside = memory.rounds + 1, memory.aside
        if memory.walls is not None:
            return _walled(terms, memory, at, answer.point, held=True)._replace(rounds=rounds)
        damping = max(30 * memory.damping, AFTER_REJECT)
        memory = memory._replace(rounds=rounds, damping=damping, aside=None)
        if aside is None:
            return memory
        both = _stiffer(_at(terms, memory, at).array, aside.array)
        return memory._replace(matrix=Held(both), scaled=at.at, stale=True)

    def narrowed(self, memory: Curvature) -> Curvature:
        """Ask for the slopes of the new width; until they show, steps are those of the wider."""
        walls = None if memory.matrix is None else Held(np.diagonal(memory.matrix.array).copy())
        return memory._replace(walls=walls, held=False, damping=FIRST_DAMPING, stale=True)

    def next(
        self, terms: Terms, memory: Curvature, origin: Point, inset: Held, reach: Reach
    ) -> Whole:
        """A Newton step from the point: bent where answers exchange, and where that is convex."""
        matrix = _at(terms, memory, origin)
        if memory.bent:
            fall, rise = reach
            further = UNREJECTED if memory.damping <= FIRST_DAMPING else FURTHER
            convex, trial = step(terms, memory, matrix, origin, inset, (fall, further * rise))
            if convex:
                return trial
        memory = memory._replace(bent=False)
        return step(terms, memory, matrix, origin, inset, reach)[1]

    def diagonal(self, terms: Terms, memory: Curvature) -> Held:
        """That of the copy."""
        if memory.matrix is None:
            return Held(np.zeros(terms.size))
        return Held(memory.matrix.array.diagonal().copy())

    def warm(self, terms: Terms, memory: Curvature, plan: Point) -> WarmDual:
        """The plan, and the copy of the slopes, unless it belongs to a width."""
        if terms.smoothing:
            return warm_for(terms, plan)
        return warm_for(terms, plan, memory.matrix, memory.scaled)


def step(  # noqa: PLR0917 -- what a step rests on, each from another place
    terms: Terms, memory: Curvature, matrix: Held, origin: Point, inset: Held, reach: Reach
) -> tuple[bool, Whole]:
    """`newton_trial` from a point."""
    walls = Held(np.zeros(terms.size)) if memory.walls is None else memory.walls
    return newton_trial(
        terms.limits,
        inset.array,
        origin.v,
        origin.s,
        matrix.array,
        walls.array,
        terms.v_unit,
        terms.s_unit,
        memory.damping,
        reach[0],
        reach[1],
        memory.bent,
    )


def secant(terms: Terms, matrix: Reals, before: Point, after: Point, *, bent: bool) -> Held:
    """The matrix after the update that maps the step to what the totals gained, at `after`."""
    pair = seen(before.v, before.s, after.v, after.s, terms.v_unit, terms.s_unit, bent)
    return Held(updated(matrix, *(Held(each).array for each in pair)))


def _at(terms: Terms, memory: Curvature, point: Point) -> Held:
    """The copy, scaled at a point."""
    if memory.matrix is None:
        return Held(np.zeros((terms.size, terms.size)))
    if not memory.bent or memory.scaled is None or memory.scaled == point.at:
        return memory.matrix
    grown = np.sqrt(point.v.astype(np.float64) / memory.scaled.array.astype(np.float64))
    still = Held(np.zeros(terms.size)).array
    return Held(updated(memory.matrix.array, still, still, Held(grown).array))


def _learned(terms: Terms, memory: Curvature, origin: Point | None, answer: Answer) -> Curvature:
    """One more round, and the slopes that it brought: asked for, or seen between two points."""
    rounds, there = memory.rounds + 1, answer.point
    if answer.slopes is not None:
        matrix = Held(answer.slopes)
        return memory._replace(
            matrix=matrix, scaled=there.at, rounds=rounds, warm=False, stale=False
        )
    if origin is None or memory.matrix is None:
        return memory._replace(rounds=rounds)
    matrix = secant(terms, _at(terms, memory, origin).array, origin, there, bent=memory.bent)
    return memory._replace(matrix=matrix, scaled=there.at, rounds=rounds)


def _walled(terms: Terms, memory: Curvature, start: Point, end: Point, *, held: bool) -> Curvature:
    """The walls after one more step: what it met, or what is left of those before.

    Between two offers an answer is flat, and its slopes say nothing of the jump ahead; what each
    coordinate gained over the last step does. A wall that was not met weakens, unless the step
    before ran into it.
    """
    if memory.walls is None:
        return memory
    moved, gained, _ = seen(start.v, start.s, end.v, end.s, terms.v_unit, terms.s_unit, False)
    met = np.where(moved != 0.0, gained / np.where(moved != 0.0, moved, 1.0), 0.0)
    kept = memory.walls.array * (1.0 if held or memory.held else WEAKENED)
    return memory._replace(walls=Held(np.maximum(met, kept)), held=held)


def _stiffer(left: Reals, right: Reals) -> Reals:
    """Between the mean of both copies and, entry by entry, the stiffer of them.

    Between the two points some answers came to life: with the stiffer entries no step passes their
    edge by much, with the mean none is too short.
    """
    off = np.minimum(left, right)
    np.fill_diagonal(off, 0.0)
    rows = [np.add.accumulate(each - off, axis=1)[:, -1] for each in (left, right)]
    np.fill_diagonal(off, np.maximum(*rows))
    return 0.5 * off + 0.25 * (left + right)
