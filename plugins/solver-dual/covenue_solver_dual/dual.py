"""The solver `dual`: projected semismooth Newton, with curvature asked for only while it pays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt
from typing import Literal

import numpy as np

from covenue.hooks.solvers import Choice, Coupling, DualCoupling, Solution, State, Suits, Total
from covenue.numerics.ldlt import Reals
from covenue_contracts.contract import Scalar
from covenue_contracts.shared import Capability, Query
from covenue_solver_dual.coordinates import Reach
from covenue_solver_dual.descent import Descent, ask, misplaced, tell
from covenue_solver_dual.newton import Slopes, newton_step, secant, seen
from covenue_solver_dual.options import check_names, hessian_of, tolerance_of
from covenue_solver_dual.selftest import require_self_test
from covenue_solver_dual.terms import Integers, Terms, terms_of
from covenue_solver_dual.totals import Answer, Point
from covenue_solver_dual.warm import (
    WarmDual,
    check_tolerance,
    plan_before,
    start_at,
    warm_for,
)

Hessian = Literal["cached", "every"]
CURVED_ROUNDS = (1, 3, 5)
CONTRACTION = 4
WEAKENED = 0.25
LEAST_DAMPING, FIRST_DAMPING, AFTER_REJECT = 1e-12, 1e-9, 1e-6


@dataclass(frozen=True)
class Curvature:
    """The coordinator's copy of the price-scaled slopes, and when to ask for new ones.

    matrix: the bytes of m x m float64, b"" while there is none; bytes, so that states and
    solutions compare. aside: the copy before a detour. walls: m float64 that the diagonal is not
    to fall below, b"" where no answer jumps; held: whether the last trial ran into one.
    rounds: answers taken so far. stale: the copy did not lead far enough.
    """

    hessian: Hessian
    matrix: bytes
    warm: bool
    aside: bytes = b""
    walls: bytes = b""
    held: bool = False
    rounds: int = 0
    damping: float = FIRST_DAMPING
    stale: bool = False


class NewtonMethod:
    """Steps of newton.py on the copy of the slopes; see `Curvature` for what is kept."""

    detours = True
    patience = 2

    def with_slopes(self, memory: Curvature) -> bool:
        """In rounds 1, 3 and 5 of a cold start, and whenever the copy is missing or stale."""
        if memory.hessian == "every" or not memory.matrix or memory.stale:
            return True
        return not memory.warm and memory.rounds + 1 in CURVED_ROUNDS

    def accepted(
        self, terms: Terms, memory: Curvature, origin: Point | None, answer: Answer
    ) -> Curvature:
        """Less damping; the copy is stale unless what is out of place has fallen fourfold."""
        memory = _learned(terms, memory, origin, answer)
        if origin is None:
            return memory
        memory = _walled(terms, memory, origin, answer.point, held=False)
        damping = max(memory.damping / 10, LEAST_DAMPING)
        stale = CONTRACTION * misplaced(terms, answer.point) > misplaced(terms, origin)
        return replace(memory, damping=damping, stale=stale)

    def detoured(self, terms: Terms, memory: Curvature, at: Point, answer: Answer) -> Curvature:
        """Slopes as they are at the trial; those at the accepted point are put aside."""
        aside = memory.matrix
        return replace(_learned(terms, memory, at, answer), aside=aside, stale=True)

    def rejected(self, terms: Terms, memory: Curvature, at: Point, answer: Answer) -> Curvature:
        """A wall where there are walls; else damping, and the mean of the slopes on both sides.

        Without a detour the trial was too far off for its slopes to say anything.
        """
        rounds, aside = memory.rounds + 1, memory.aside
        if memory.walls:
            return replace(_walled(terms, memory, at, answer.point, held=True), rounds=rounds)
        damping = max(30 * memory.damping, AFTER_REJECT)
        memory = replace(memory, rounds=rounds, damping=damping, aside=b"")
        if not aside:
            return memory
        mean = 0.5 * (_matrix(memory.matrix, terms.size) + _matrix(aside, terms.size))
        return replace(memory, matrix=mean.tobytes(), stale=True)

    def narrowed(self, memory: Curvature) -> Curvature:
        """Ask for the slopes of the new width; until they show, steps are those of the wider."""
        size = isqrt(len(memory.matrix) // 8)
        walls = np.diagonal(_matrix(memory.matrix, size)).tobytes()
        return replace(memory, walls=walls, held=False, damping=FIRST_DAMPING, stale=True)

    def next(self, terms: Terms, memory: Curvature, origin: Point, reach: Reach) -> Integers:
        """A Newton step from the point."""
        walls = np.frombuffer(memory.walls) if memory.walls else np.zeros(terms.size)
        slopes = Slopes(_matrix(memory.matrix, terms.size), walls, memory.damping)
        return newton_step(terms, origin, slopes, reach)

    def warm(self, terms: Terms, memory: Curvature, multipliers: Integers) -> WarmDual:
        """The plan's multipliers and the copy of the slopes, unless it belongs to a width."""
        return warm_for(terms, multipliers, b"" if terms.smoothing else memory.matrix)


class Dual:
    """Newton on the dual, certified by sums alone; see the README for its ends and options."""

    def __init__(
        self, tolerance: Fraction = Fraction(1, 10**6), hessian: Hessian = "cached"
    ) -> None:
        self.tolerance = tolerance
        self.hessian: Hessian = hessian

    @classmethod
    def from_options(cls, options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> "Dual":
        """Build from `{"tolerance": "0.000001", "hessian": "cached" | "every"}`.

        Raises BadInput, naming the option and its value; PluginBroken if this machine does not
        compute as it must.
        """
        check_names("dual", options, ("tolerance", "hessian"))
        require_self_test()
        return cls(tolerance_of(options), hessian_of(options))

    @property
    def needs(self) -> frozenset[Capability]:
        """Answers, with and without their slopes."""
        return frozenset({"RESPOND", "CURVATURE"})

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """Where multipliers solve the coupling."""
        if not isinstance(coupling, DualCoupling) or not self.needs <= offered:
            return None
        return Suits(
            20, "answers are smooth and their slopes are offered: a Newton step is a round"
        )

    def start(self, coupling: Coupling, warm: State | None) -> Descent:
        """Begin at the reference, or where an earlier plan of the same shape ended.

        Raises CapabilityMissing unless the coupling is a DualCoupling, BadInput where it or the
        tolerance cannot be.
        """
        terms = terms_of(coupling, "dual")
        check_tolerance(terms, self.tolerance)
        known = warm if isinstance(warm, WarmDual) and warm.fits(terms) else None
        matrix = known.matrix if known else b""
        walls = np.zeros(terms.size).tobytes() if terms.smoothing else b""
        memory = Curvature(self.hessian, matrix, warm=bool(matrix), walls=walls)
        return Descent(
            terms, self.tolerance, start_at(terms, known), memory, before=plan_before(terms, known)
        )

    def ask(self, state: Descent, digest_of: Callable[[Query], str]) -> Query:
        """The question of the round that is due; answers leave no memory, so `after` is None."""
        return ask(state, METHOD.with_slopes(state.memory))

    def tell(self, state: Descent, release: Total | Choice) -> Descent | Solution:
        """One round further, or the end."""
        return tell(METHOD, state, release)


METHOD = NewtonMethod()


def _learned(terms: Terms, memory: Curvature, origin: Point | None, answer: Answer) -> Curvature:
    """One more round, and the slopes that it brought: asked for, or seen between two points."""
    matrix = memory.matrix
    if answer.slopes is not None:
        matrix = answer.slopes.tobytes()
    elif origin is not None:
        matrix = secant(terms, _matrix(matrix, terms.size), origin, answer.point).tobytes()
    return replace(memory, matrix=matrix, rounds=memory.rounds + 1)


def _walled(terms: Terms, memory: Curvature, start: Point, end: Point, *, held: bool) -> Curvature:
    """The walls after one more step: what it met, or what is left of those before.

    Between two offers an answer is flat, and its slopes say nothing of the jump ahead; what each
    coordinate gained over the last step does. A wall that was not met weakens, unless the step
    before ran into it.
    """
    if not memory.walls:
        return memory
    moved, gained = seen(terms, start, end)
    met = np.where(moved != 0.0, gained / np.where(moved != 0.0, moved, 1.0), 0.0)
    kept = np.frombuffer(memory.walls) * (1.0 if held or memory.held else WEAKENED)
    return replace(memory, walls=np.maximum(met, kept).tobytes(), held=held)


def _matrix(data: bytes, size: int) -> Reals:
    return np.frombuffer(data, dtype=np.float64).reshape(size, size)
