"""What a round released, read, and what it proves: the bound and the best plan so far.

    D(v) = sum_k max((r_k - v_k) least_k, (r_k - v_k) most_k) + sum_i phi_i(v)

bounds every plan, whatever v. The answers of a round are themselves a plan if their totals y lie
within their limits; it is worth r'y - sum_i f_i. All in exact integers. Source: solvers.md,
section 1.
"""

from dataclasses import dataclass
from fractions import Fraction

from covenue.hooks.solvers import Choice, Total
from covenue.numerics.words import integers
from covenue_solver_admm.terms import Terms, Whole


@dataclass(frozen=True)
class Answer:
    """Multipliers and what the cohort of so many participants answered.

    value: the sum of phi_i in value words. nets: summed net amounts in words; cost: that of these,
    in value words. products: of residuals, in the query's grid. query: its digest, empty where none
    was given.
    """

    multipliers: Whole
    value: int
    nets: Whole
    cost: int
    products: Whole
    parties: int
    query: str


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


def first(terms: Terms, answer: Answer) -> Best:
    """What the first round has shown."""
    return Best(dual(terms, answer), 0, None).with_answer(terms, answer)


def read(terms: Terms, multipliers: Whole, products: int, release: Total | Choice) -> Answer | None:
    """A released total, or None if it is noised or no cohort could have given it."""
    expected = 2 + terms.size + products
    if not isinstance(release, Total) or not release.exact or len(release.words) != expected:
        return None
    whole = integers(release.words)
    if max(map(abs, whole)) > terms.bound * len(release.cohort) or whole[2 + terms.size] < 0:
        return None
    value, *nets = whole[: 1 + terms.size]
    cost, *rest = whole[1 + terms.size :]
    parties = len(release.cohort)
    return Answer(multipliers, value, tuple(nets), cost, tuple(rest), parties, release.query)


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
    worth = sum(r * net for r, net in zip(terms.reference, answer.nets, strict=True))
    return terms.of_products(worth) - terms.of_words(answer.cost)
