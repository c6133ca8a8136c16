"""What a round released, read, and what it proves: the bound and the best plan so far.

    D(v) = sum_k max((r_k - v_k) least_k, (r_k - v_k) most_k) + Phi(v)        Phi = sum_i phi_i

bounds every plan, whatever v and however answers are spread: Phi is that of whole levels. The
answer to v is itself a plan if its totals y lie within their limits. It is worth r'y - sum f, and
where nothing else costs, sum f = 0; the lesser of r'y and Phi + (r - v)'y is taken, which is right
in both cases. All in exact integers. Source: solvers.md, section 1.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from covenue.hooks.solvers import Choice, Total
from covenue.numerics.ldlt import Reals
from covenue.numerics.words import integers
from covenue_solver_proximal.terms import Terms, Whole

SLOPE_SLACK = 2**16
"""Slope words by which a sum of rounded slopes may differ from one that is not rounded."""


@dataclass(frozen=True)
class Answer:
    """Multipliers and what the cohort answered to them.

    value: the sum of phi_i in value words. nets: summed net amounts in words. width: over which the
    answer is spread. query: its digest, empty where none was given; centre: that of the query whose
    memory it continues from, empty without one. slopes: price-scaled, the bytes
    of m x m float64 in the value unit; bytes, so that states and solutions compare.
    """

    multipliers: Whole
    value: int
    nets: Whole
    width: int
    query: str
    centre: str
    slopes: bytes

    def matrix(self, size: int) -> Reals:
        """The slopes, read-only."""
        return np.frombuffer(self.slopes, dtype=np.float64).reshape(size, size)


@dataclass(frozen=True)
class Best:
    """The least bound so far, and the best plan with its value; both in 2^-fine_bits."""

    bound: int
    value: int
    plan: Answer | None

    def with_answer(self, terms: Terms, answer: Answer) -> "Best":
        """The better of this and what one more round has shown."""
        bound = min(self.bound, dual(terms, answer))
        value = plan_value(terms, answer)
        if not admitted(terms, answer) or (self.plan is not None and value <= self.value):
            return Best(bound, self.value, self.plan)
        return Best(bound, value, answer)

    def contradicts(self, terms: Terms) -> bool:
        """Whether the plan is worth more than its bound, by more than rounding can explain."""
        return self.plan is not None and self.value > self.bound + terms.noise

    def rounded(self, terms: Terms) -> tuple[int, int]:
        """(value, bound) in value words: the value rounded down, the bound up.

        Where rounding of the answers lifts a value above its bound, the bound is the value.
        """
        shift = terms.fine_bits - terms.value_bits
        bound = -((-self.bound) >> shift)
        return min(self.value >> shift, bound), bound

    def is_closed(self, terms: Terms, tolerance: Fraction) -> bool:
        """Whether gap <= tolerance * max(|bound|, value floor), on the rounded integers."""
        value, bound = self.rounded(terms)
        within = bound - value <= tolerance * max(abs(bound), terms.value_floor)
        return self.plan is not None and within

    def of_answer(self, terms: Terms, answer: Answer) -> "Best":
        """The least bound, and the plan of this answer, which has to be admitted."""
        return Best(self.bound, plan_value(terms, answer), answer)


def first(terms: Terms, answer: Answer) -> Best:
    """What the first round has shown."""
    return Best(dual(terms, answer), 0, None).with_answer(terms, answer)


def closes_alone(terms: Terms, answer: Answer, tolerance: Fraction) -> bool:
    """Whether an answer certifies its own plan: asked again, it would do so in one round."""
    return first(terms, answer).is_closed(terms, tolerance)


def read(
    terms: Terms, multipliers: Whole, width: int, centre: str, release: Total | Choice
) -> Answer | None:
    """A released total, or None if it is noised or no cohort could have given it."""
    size = terms.size
    expected = 1 + size + size * (size + 1) // 2
    if not isinstance(release, Total) or not release.exact or len(release.words) != expected:
        return None
    value, *nets = integers(release.words[: 1 + size])
    if max(map(abs, (value, *nets))) > terms.bound * len(release.cohort):
        return None
    slopes = np.zeros((size, size))
    rows, columns = np.tril_indices(size)
    slopes[rows, columns] = release.words[1 + size :]
    slopes[columns, rows] = release.words[1 + size :]
    if not _may_be_slopes(slopes):
        return None
    packed = (slopes * 2.0**-terms.slope_bits).tobytes()
    return Answer(multipliers, value, tuple(nets), width, release.query, centre, packed)


def dual(terms: Terms, answer: Answer) -> int:
    """D at an answer, in 2^-fine_bits."""
    rows = zip(terms.reference, answer.multipliers, terms.least, terms.most, strict=True)
    offset = sum(max((r - v) * low, (r - v) * high) for r, v, low, high in rows)
    return terms.of_products(offset) + terms.of_words(answer.value)


def admitted(terms: Terms, answer: Answer) -> bool:
    """Whether the totals are within their limits, exactly."""
    rows = zip(terms.least, answer.nets, terms.most, strict=True)
    return all(low <= net <= high for low, net, high in rows)


def plan_value(terms: Terms, answer: Answer) -> int:
    """What the plan of an answer is surely worth, in 2^-fine_bits."""
    rows = list(zip(terms.reference, answer.multipliers, answer.nets, strict=True))
    rest = terms.of_products(sum((r - v) * net for r, v, net in rows))
    worth = terms.of_products(sum(r * net for r, _, net in rows))
    return min(worth, rest + terms.of_words(answer.value))


def spread_cost(terms: Terms, answer: Answer) -> int:
    """Phi(v) - v'y in 2^-fine_bits: what spreading costs the answer at its own multipliers."""
    made = sum(v * net for v, net in zip(answer.multipliers, answer.nets, strict=True))
    return terms.of_words(answer.value) - terms.of_products(made)


def _may_be_slopes(slopes: Reals) -> bool:
    """Whether every 2 x 2 minor allows the matrix to be positive semidefinite, up to rounding."""
    diagonal = np.diagonal(slopes)
    if bool((diagonal < -SLOPE_SLACK).any()):
        return False
    roots = np.sqrt(np.maximum(diagonal, 0.0) + SLOPE_SLACK)
    return bool((np.abs(slopes) <= roots[:, None] * roots[None, :]).all())
