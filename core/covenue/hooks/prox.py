"""What a `prox` query asks, and how a participant with a prox answers it.

A participant is one point x_i of the m shared coordinates, whatever it holds inside; n participants
are n points. With E the query's exponent and r the public references, it answers with

    x = argmin f_i(x) + sum_k w_k (x_k - c_k)^2 / 2         w_k = 2^E r_k^2
    c = g + shift      g = sum_j a_j x^(j), or `mean` where it remembers nothing that fits

x^(j) are its own last answers in the line of queries that `after` names, the newest first, and a_j
the query's coefficients: an accelerated step moves what a participant keeps to itself as well.
All vectors count words of the Space. Source: solvers.md, sections 1 and 3.4.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from covenue.errors import LayoutMismatch
from covenue.hooks.domains import EMPTY, Memory
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

    exponent: E of the weights. gram: products of residuals count 2^-gram. mean, shift: m words
    each. coefficients: in 2^-COEFFICIENT_BITS, of the newest answer first; they add up to one. None
    where everybody starts from `mean`; a single one forgets all answers but the newest.
    """

    exponent: int
    gram: int
    mean: tuple[int, ...]
    shift: tuple[int, ...]
    coefficients: tuple[int, ...]

    def query(self, after: str | None, multipliers: DualVariables) -> Query:
        """As it is asked. multipliers: where phi is wanted as well."""
        whole = (self.exponent, self.gram, *self.mean, *self.shift, *self.coefficients)
        points = tuple(str(point) for point in whole)
        return Query(kind="prox", after=after, multipliers=multipliers, points=points)

    @classmethod
    def of(cls, query: Query, size: int) -> Self:
        """Read a query about m = size coordinates. Raises LayoutMismatch where it is none."""
        points = tuple(map(int, query.points))
        parts = None
        if len(points) >= 2 + 2 * size:
            ends = 2 + size, 2 + 2 * size
            vectors = points[2 : ends[0]], points[ends[0] : ends[1]], points[ends[1] :]
            parts = cls(points[0], points[1], *vectors)
        if query.kind != "prox" or parts is None or not parts._can_be():
            raise LayoutMismatch(
                f"the points of a prox query do not fit {size} coordinates",
                "give exponent, gram bits, mean, shift and coefficients that add up to one",
            )
        return parts

    @property
    def products(self) -> int:
        """Words that the answer has for the Gram matrix."""
        return 1 + min(len(self.coefficients), KEPT)

    def _can_be(self) -> bool:
        whole = not self.coefficients or sum(self.coefficients) == 1 << COEFFICIENT_BITS
        small = max(map(abs, self.coefficients), default=0) <= COEFFICIENT_MOST
        near = max(map(abs, (*self.mean, *self.shift))) <= MEAN_MOST
        scales = abs(self.exponent) <= EXPONENT_MOST and abs(self.gram) <= GRAM_MOST
        return whole and small and near and scales and len(self.coefficients) <= KEPT + 1


def prox_width(query: Query, size: int) -> int:
    """Words of an answer: phi at the query's multipliers, m net amounts, their cost, products.

    phi and the cost are in 2^-value_bits, both rounded up; phi is that of `respond`, so that every
    answer bounds all plans and is a plan. Products: of the residual x - g with itself and with
    those of the answers kept, the newest first, each sum_k r_k^2 (x - g)_k (x' - g')_k in value
    units squared, in 2^-gram. Raises LayoutMismatch where the points are none of a prox query.
    """
    return 2 + size + ProxQuestion.of(query, size).products


class LocalProx(Protocol):
    """What a participant has to offer to take part; deterministic as solvers.md, section 4."""

    def nearest(self, centre: Reals, weights: Reals) -> tuple[Words, int]:
        """The net words of argmin f(x) + sum w (x - centre)^2 / 2, and the cost of just those.

        centre: units of the Space. Words are such that the participant can surely deliver them,
        and their cost in 2^-value_bits is rounded up.
        """
        ...

    def surplus(self, multipliers: Reals) -> int:
        """phi: the most of v'x - f(x) over all x, in 2^-value_bits, rounded up."""
        ...


@dataclass(frozen=True, eq=False)
class ProxAnswers:
    """Answers to prox queries from a `LocalProx`, with the memory that they continue from.

    reference: m floats, in value units. Memory: int64[2, k, m], little-endian: the last answers,
    the newest first, then their residuals.
    """

    space: Space
    reference: Reals
    prox: LocalProx

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """The words of `prox_width`, and what to remember. Raises LayoutMismatch."""
        size = len(self.reference)
        asked = ProxQuestion.of(query, size)
        kept, residuals = _unpacked(memory, size, len(asked.coefficients))
        start = _combined(asked, kept)
        scale = 2.0**-self.space.scale_bits
        centre = (start + np.array(asked.shift, dtype=np.int64).astype(np.float64)) * scale
        weights = self.reference * self.reference * 2.0**asked.exponent
        net, cost = self.prox.nearest(centre, weights)
        moved = np.rint(net - start).astype(np.int64)
        residuals = np.concatenate([moved[None], residuals[:KEPT]])
        products = np.zeros(asked.products, dtype=np.int64)
        unit = self.reference * scale
        for place in range(min(len(residuals), asked.products)):
            products[place] = _product(moved * unit, residuals[place] * unit, asked.gram)
        phi = self.prox.surplus(_multipliers(query, size))
        bound = int(self.space.bound)
        head, tail = (np.array([min(w, bound)], dtype=np.int64) for w in (phi, cost))
        answers = np.concatenate([np.asarray(net)[None], kept[:KEPT]])
        return clip(np.concatenate([head, net, tail, products]), bound), _packed(answers, residuals)

    def planned(self, memory: Memory) -> Words:
        """Net words of the answer that a commitment continues from; zeros without a memory."""
        size = len(self.reference)
        kept, _ = _unpacked(memory, size, 1)
        return frozen(kept[0].copy() if len(kept) else np.zeros(size, dtype=np.int64))


def _combined(asked: ProxQuestion, kept: Words) -> Reals:
    """Where the participant stands, in words: the mean where it remembers nothing that fits."""
    if not len(kept):
        return np.array(asked.mean, dtype=np.int64).astype(np.float64)
    start = np.zeros(kept.shape[1])
    for coefficient, row in zip(asked.coefficients, kept, strict=True):
        start += float(coefficient) * 2.0**-COEFFICIENT_BITS * row
    return start


def _product(left: Reals, right: Reals, gram: int) -> int:
    """The product of two residuals; each coordinate's part is rounded before they are added."""
    parts = np.rint(np.clip(left * right * 2.0**gram, -FLOAT_MOST, FLOAT_MOST))
    return int(min(max(sum(map(int, parts)), -MEAN_MOST), MEAN_MOST))


def _multipliers(query: Query, size: int) -> Reals:
    asked = query.multipliers
    if asked is None or len(asked.values) != size:
        raise LayoutMismatch("a prox query has no multiplier a coordinate", "ask phi at some")
    grid = np.array([float(int(value)) for value in asked.values])
    return grid * 2.0**-asked.scale_bits


def _packed(answers: Words, residuals: Words) -> Memory:
    return Memory(np.stack([answers, residuals]).astype("<i8").tobytes())


def _unpacked(memory: Memory, size: int, wanted: int) -> tuple[Words, Words]:
    """The newest `wanted` answers and residuals; none where fewer are remembered."""
    row = 16 * size
    if memory == EMPTY or len(memory) % row or len(memory) // row < wanted or not wanted:
        none = np.zeros((0, size), dtype=np.int64)
        return none, none
    both = np.frombuffer(memory, dtype="<i8").astype(np.int64).reshape(2, -1, size)
    return both[0, :wanted], both[1, :wanted]
