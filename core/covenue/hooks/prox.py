"""What a `prox` query asks, and how a participant with a prox answers it.

A participant is as many points x_i of the m shared coordinates as it has parts that are bound
together by nothing but the totals: venues, as a rule. Each of its points answers for itself, and
only their sums are told. With E the query's exponent and r the public references

    x = argmin f_i(x) + sum_k w_k (x_k - c_k)^2 / 2         w_k = 2^E r_k^2
    c = g + shift      g = sum_j a_j x^(j), or `mean` where nothing that fits is remembered

A coordinate whose total nobody limits is loose: its w is 0, and a unit of it is worth r, so that
f(x) - r x is what is minimised there. x^(j) are the point's own last answers in the line of queries
that `after` names, the newest first, and a_j the query's coefficients: an accelerated step moves
what a participant keeps to itself as well. All vectors count words of the Space.
Source: solvers.md, sections 1 and 3.4.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from covenue.errors import LayoutMismatch
from covenue.hooks.domains import Memory
from covenue.numerics.words import Words, clip, frozen
from covenue_contracts.shared import DualVariables, Query, Space

Reals = NDArray[np.float64]
KEPT = 5
"""Earlier answers that a participant keeps beside the newest."""
COEFFICIENT_BITS = 32
COEFFICIENT_MOST = 2**48
EXPONENT_MOST, GRAM_MOST = 200, 400
MEAN_MOST = 2**62
FLOAT_MOST = 2.0**62


@dataclass(frozen=True)
class ProxQuestion:
    """The parts of a `prox` query, whose points they are in this order.

    exponent: E of the weights. gram: products of residuals count 2^-gram. loose: coordinates, in
    order. mean, shift: m words each. coefficients: in 2^-COEFFICIENT_BITS, of the newest answer
    first; they add up to one. None where everybody starts from `mean`; a single one forgets all
    answers but the newest.
    """

    exponent: int
    gram: int
    loose: tuple[int, ...]
    mean: tuple[int, ...]
    shift: tuple[int, ...]
    coefficients: tuple[int, ...]

    def query(self, after: str | None, multipliers: DualVariables) -> Query:
        """As it is asked. multipliers: where phi is wanted as well."""
        loose = (len(self.loose), *self.loose)
        whole = (self.exponent, self.gram, *loose, *self.mean, *self.shift, *self.coefficients)
        points = tuple(str(point) for point in whole)
        return Query(kind="prox", after=after, multipliers=multipliers, points=points)

    @classmethod
    def of(cls, query: Query, size: int) -> Self:
        """Read a query about m = size coordinates. Raises LayoutMismatch where it is none."""
        points = tuple(map(int, query.points))
        parts = None
        loose = points[2] if len(points) > 2 and 0 <= points[2] <= size else 0
        start, middle, end = (3 + loose + size * each for each in range(3))
        if len(points) >= end:
            vectors = points[3:start], points[start:middle], points[middle:end], points[end:]
            parts = cls(points[0], points[1], *vectors)
        if query.kind != "prox" or parts is None or not parts._can_be(size):
            raise LayoutMismatch(
                f"the points of a prox query do not fit {size} coordinates",
                "give exponent, gram bits, mean, shift and coefficients that add up to one",
            )
        return parts

    @property
    def products(self) -> int:
        """Words that the answer has for the Gram matrix."""
        return 1 + min(len(self.coefficients), KEPT)

    def free(self, size: int) -> NDArray[np.bool_]:
        """Which of m = size coordinates are loose."""
        marked = np.zeros(size, dtype=np.bool_)
        marked[list(self.loose)] = True
        return marked

    def _can_be(self, size: int) -> bool:
        whole = not self.coefficients or sum(self.coefficients) == 1 << COEFFICIENT_BITS
        small = max(map(abs, self.coefficients), default=0) <= COEFFICIENT_MOST
        near = max(map(abs, (*self.mean, *self.shift))) <= MEAN_MOST
        scales = abs(self.exponent) <= EXPONENT_MOST and abs(self.gram) <= GRAM_MOST
        placed = list(self.loose) == sorted(set(self.loose) & set(range(size)))
        short = len(self.coefficients) <= KEPT + 1
        return whole and small and near and scales and placed and short


def prox_width(query: Query, size: int) -> int:
    """Words of an answer: phi at the query's multipliers, m net amounts, their cost, points, more.

    phi and the cost are in 2^-value_bits, both rounded up; phi is that of `respond`, so that every
    answer bounds all plans and is a plan. Points: how many the participant is. Then m words of x
    itself, which the nets are rounded from where plans are coarse. Then products: of the residuals
    x - g with themselves and with those of the answers kept, the newest first, each
    sum_k r_k^2 (x - g)_k (x' - g')_k over all points and all k that are not loose, in value units
    squared, in 2^-gram. Raises LayoutMismatch where the points are none of a prox query.
    """
    return 3 + 2 * size + ProxQuestion.of(query, size).products


@dataclass(frozen=True, eq=False)
class Nearest:
    """A plan of every point: nets, int64[points, m], in words, and what just those cost.

    Words are such that the participant can surely deliver them; the cost in 2^-value_bits is
    rounded up. plan: whatever the participant needs beside the nets to carry it out. at: x, which
    the nets are rounded from; None where they are as fine as words.
    """

    nets: Words
    cost: int
    plan: bytes = b""
    at: Words | None = None


class LocalProx(Protocol):
    """What a participant has to offer to take part; deterministic as solvers.md, section 4."""

    @property
    def points(self) -> int:
        """How many points it is."""
        ...

    def nearest(self, centres: Reals, weights: Reals) -> Nearest:
        """argmin f(x) + sum w (x - centre)^2 / 2 of every point.

        centres: float64[points, m], in units of the Space. weights: float64[m]; where one is 0,
        a unit is worth its reference.
        """
        ...

    def surplus(self, multipliers: Reals) -> int:
        """phi: the most of v'x - f(x) over all x and all points, in 2^-value_bits, rounded up."""
        ...


@dataclass(frozen=True, eq=False)
class ProxAnswers:
    """Answers to prox queries from a `LocalProx`, with the memory that they continue from.

    reference: m floats, in value units. Memory, little-endian: the number k of answers, then
    int64[2, k, points, m]: the last answers, the newest first, and their residuals; then the
    newest one's plan.
    """

    space: Space
    reference: Reals
    prox: LocalProx

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """The words of `prox_width`, and what to remember. Raises LayoutMismatch."""
        asked = ProxQuestion.of(query, len(self.reference))
        kept = _unpacked(memory, self._shape, len(asked.coefficients))
        start = self._start(asked, kept.answers)
        scale = 2.0**-self.space.scale_bits
        centres = (start + np.array(asked.shift, dtype=np.int64).astype(np.float64)) * scale
        free = asked.free(len(self.reference))
        weights = np.where(free, 0.0, self.reference * self.reference * 2.0**asked.exponent)
        found = self.prox.nearest(centres, weights)
        at = found.nets if found.at is None else found.at
        moved = np.rint(at - start).astype(np.int64)
        residuals = np.concatenate([moved[None], kept.residuals[:KEPT]])
        phi = self.prox.surplus(_multipliers(query, len(self.reference)))
        bound = int(self.space.bound)
        head, tail = ([min(words, bound)] for words in (phi, found.cost))
        nets, exact = (each.sum(axis=0, dtype=np.int64).tolist() for each in (found.nets, at))
        more = [self.prox.points, *exact, *self._products(asked, residuals)]
        answers = np.concatenate([at[None], kept.answers[:KEPT]])
        words = np.array([*head, *nets, *tail, *more], dtype=np.int64)
        return clip(words, bound), _packed(_Kept(answers, residuals, found.plan))

    def planned(self, memory: Memory) -> Words:
        """x of the answer that a commitment continues from, int64[points, m].

        Zeros without a memory. The nets themselves, where these are as fine as words.
        """
        kept = _unpacked(memory, self._shape, 1)
        zeros = np.zeros(self._shape, dtype=np.int64)
        return frozen(kept.answers[0].copy() if len(kept.answers) else zeros)

    def plan(self, memory: Memory) -> bytes | None:
        """What that answer's `nearest` said of it; None without a memory."""
        kept = _unpacked(memory, self._shape, 1)
        return kept.plan if len(kept.answers) else None

    @property
    def _shape(self) -> tuple[int, int]:
        return self.prox.points, len(self.reference)

    def _start(self, asked: ProxQuestion, kept: Words) -> Reals:
        """Where every point stands, in words: the mean where it remembers nothing that fits."""
        start = np.zeros(self._shape)
        if not len(kept):
            return start + np.array(asked.mean, dtype=np.int64).astype(np.float64)
        for coefficient, row in zip(asked.coefficients, kept, strict=True):
            start += float(coefficient) * 2.0**-COEFFICIENT_BITS * row
        return start

    def _products(self, asked: ProxQuestion, residuals: Words) -> list[int]:
        """Each part is rounded before they are added; none is so great that their sum wraps."""
        counted = np.where(asked.free(len(self.reference)), 0.0, self.reference)
        unit = counted * 2.0**-self.space.scale_bits
        most = MEAN_MOST // max(1, residuals[0].size)
        products = [0] * asked.products
        newest = residuals[0] * unit
        for place in range(min(len(residuals), asked.products)):
            parts = newest * (residuals[place] * unit) * 2.0**asked.gram
            rounded = np.rint(np.clip(parts, -float(most), float(most))).astype(np.int64)
            products[place] = int(rounded.sum(dtype=np.int64))
        return products


def prox_memory(memory: Memory) -> bool:
    """Whether a memory may be one of prox answers: it says so in its first word."""
    return memory[:8] in _MARKS


@dataclass(frozen=True, eq=False)
class _Kept:
    """The newest answers and residuals, int64[k, points, m], and the newest one's plan."""

    answers: Words
    residuals: Words
    plan: bytes


def _multipliers(query: Query, size: int) -> Reals:
    asked = query.multipliers
    if asked is None or len(asked.values) != size:
        raise LayoutMismatch("a prox query has no multiplier a coordinate", "ask phi at some")
    grid = np.array([float(int(value)) for value in asked.values])
    return grid * 2.0**-asked.scale_bits


_MARK = 0x786F7270 << 32
_MARKS = tuple((_MARK + k).to_bytes(8, "little") for k in range(1, KEPT + 2))


def _packed(kept: _Kept) -> Memory:
    both = np.stack([kept.answers, kept.residuals]).astype("<i8").tobytes()
    return Memory(_MARKS[len(kept.answers) - 1] + both + kept.plan)


def _unpacked(memory: Memory, shape: tuple[int, int], wanted: int) -> _Kept:
    """The newest `wanted` answers and residuals; none where fewer are remembered."""
    none = np.zeros((0, *shape), dtype=np.int64)
    count = _MARKS.index(memory[:8]) + 1 if prox_memory(memory) else 0
    end = 8 + 16 * count * shape[0] * shape[1]
    if not wanted or count < wanted or len(memory) < end:
        return _Kept(none, none, b"")
    both = np.frombuffer(memory[8:end], dtype="<i8").astype(np.int64).reshape(2, count, *shape)
    return _Kept(both[0, :wanted], both[1, :wanted], memory[end:])
