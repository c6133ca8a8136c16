"""Disclosed problems: what a central solver sees where a mechanism lets the coordinator see all.

Two rounds of kind `disclose`, both sums in which everybody fills what is its own and leaves zeros
elsewhere. The first (no points) has one word a slot: how many words its disclosure has. The second
(points: slots + 1 offsets, from 0, never falling) is the concatenation: slot i fills the words
from offset i up to offset i + 1. A node answers neither under a mechanism that hides.

A word of a Space is bounded, and data may need all 64 bits: `halves` cuts each in two.
Source: architecture.md, section 3; solvers.md, sections 1 and 3.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from covenue.errors import LayoutMismatch
from covenue.hooks.solvers import Choice, Coupling, Solver, State, Total
from covenue.numerics.words import Words, frozen
from covenue_contracts.plan import PlanDelta
from covenue_contracts.shared import Query

Reals = NDArray[np.float64]
Places = NDArray[np.int64]

DISCLOSED_WORDS_MAX = 2**23
"""Words of a concatenation: 64 MiB for everybody who takes part."""
HALF_BITS = 31
HALF_MASK = 2**HALF_BITS - 1


def _no_places() -> Places:
    return np.zeros(0, dtype=np.int64)


def _no_reals() -> Reals:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Entries:
    """A sparse matrix: value[e] at (row[e], column[e]); what is given twice adds up."""

    row: Places = field(default_factory=_no_places)
    column: Places = field(default_factory=_no_places)
    value: Reals = field(default_factory=_no_reals)


@dataclass(frozen=True, eq=False)
class Products:
    """Cones x[first] * x[second] >= x[middle]^2, first and second at least 0; of one length."""

    first: Places = field(default_factory=_no_places)
    second: Places = field(default_factory=_no_places)
    middle: Places = field(default_factory=_no_places)


@dataclass(frozen=True, eq=False)
class Program:
    """A convex program, well scaled by whoever makes it.

        min cost'x + x'Px / 2    row_low <= Ax <= row_high,  low <= x <= high,  products

    quadratic: P, symmetric and positive semidefinite, both triangles. coupling: the row of each
    shared coordinate, in order; their duals are what multipliers come from. Infinite bounds bind
    nothing.
    """

    cost: Reals
    low: Reals
    high: Reals
    rows: Entries
    row_low: Reals
    row_high: Reals
    coupling: tuple[int, ...]
    quadratic: Entries = field(default_factory=Entries)
    products: Products = field(default_factory=Products)


Verdict = Literal["optimal", "inaccurate", "infeasible", "unbounded", "failed"]


@dataclass(frozen=True, eq=False)
class Optimum:
    """What a central solver found.

    duals: one a row, the derivative of the optimal cost in the row's bounds. culprit: for an
    infeasible program the coordinate whose row weighs most in the proof, if one does.
    """

    verdict: Verdict
    x: Reals
    duals: Reals
    culprit: int | None = None


@runtime_checkable
class DisclosedCoupling(Coupling, Protocol):
    """A coupling whose whole problem can be written down once everybody has disclosed."""

    @property
    def slots(self) -> int:
        """Slots of the roster: one more than the greatest."""
        ...

    def program(
        self, parts: Sequence[Words], slack: Sequence[int], near: Optimum | None
    ) -> Program:
        """The program of what the slots disclosed.

        slack: words by which each coordinate keeps from its limits, beyond rounding; () for none.
        near: an optimum of the same data, by which this one may be scaled.
        Raises CovenueError where the words are no disclosure.
        """
        ...

    def proposals(self, parts: Sequence[Words], optimum: Optimum) -> tuple[Query, ...]:
        """The questions that make a plan of an optimum and certify it, to be asked in turn.

        `depth` for keyed offers: points (t, t + 1). `respond` at multipliers: bound and plan.
        `certify` with a tracking: the plan of whole lots.
        """
        ...


@runtime_checkable
class RecordedSolver(Solver, Protocol):
    """A solver whose questions other machines need not compute alike: `determinism = recorded`.

    Replay and restart take its questions from the record. What makes a plan of the answers, its
    value, bound and status, is computed from the sums again.
    """

    def follow(self, state: State, release: Total | Choice, said: Query | PlanDelta) -> State:
        """As `tell`, but with the next question, or the end without a plan, as it was recorded.

        Whatever is recorded, a solution that claims a certificate rests on the sums alone.
        """
        ...


def halves(values: Places) -> Words:
    """Two words for each int64: its high 33 bits, then its low 31."""
    pairs = np.stack([values >> HALF_BITS, values & HALF_MASK], axis=-1)
    return frozen(pairs.reshape(-1).astype(np.int64))


def wholes(words: Words) -> Places:
    """The int64 that `halves` cut. Raises LayoutMismatch for words that it never gives."""
    high, low = words[0::2], words[1::2]
    fits = len(high) == len(low) and np.all((low >= 0) & (low <= HALF_MASK))
    if not fits or np.any(np.abs(high) > 2 ** (63 - HALF_BITS)):
        raise LayoutMismatch("words are no halves of int64", "disclose with `halves`")
    return np.asarray((high << HALF_BITS) | low, dtype=np.int64)


def disclosure_width(query: Query, slots: int) -> int:
    """Words of an answer to a `disclose` query. Raises LayoutMismatch for offsets that are none."""
    return _offsets(query, slots)[-1] if query.points else slots


def disclosure(query: Query, slots: int, slot: int, own: Words) -> Words:
    """One participant's answer to either round: its own words in its place, zeros elsewhere.

    Raises LayoutMismatch where the offsets do not fit the slots, or its own words.
    """
    if not query.points:
        answer = np.zeros(slots, dtype=np.int64)
        answer[slot] = len(own)
        return frozen(answer)
    offsets = _offsets(query, slots)
    if offsets[slot + 1] - offsets[slot] != len(own):
        raise LayoutMismatch("a slot has another width than what it discloses", "ask for widths")
    answer = np.zeros(offsets[-1], dtype=np.int64)
    answer[offsets[slot] : offsets[slot + 1]] = own
    return frozen(answer)


def _offsets(query: Query, slots: int) -> list[int]:
    offsets = [int(point) for point in query.points]
    rising = offsets[0] == 0 and all(a <= b for a, b in pairwise(offsets))
    if len(offsets) != slots + 1 or not rising or offsets[-1] > DISCLOSED_WORDS_MAX:
        raise LayoutMismatch("the offsets of a disclosure do not fit", "give slots + 1, from 0")
    return offsets
