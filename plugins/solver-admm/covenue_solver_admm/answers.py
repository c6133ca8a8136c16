"""What a round released, read, and what it proves: the bound and the best plan so far.

    D(v) = sum_k max((r_k - v_k) least_k, (r_k - v_k) most_k) + sum_i phi_i(v)

bounds every plan, whatever v. The answers of a round are themselves a plan if their totals y lie
within their limits; it is worth r'y - sum_i f_i. On a path the first sum is the path's conjugate,
what is worth is less by leaving it, and a plan is whole lots. All exact. Source: solvers.md,
sections 1 and 2(c).
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from covenue.hooks.paths import conjugate, worth
from covenue.hooks.solvers import Choice, Total
from covenue.numerics.words import integers
from covenue_solver_admm.terms import Terms, Whole


@dataclass(frozen=True)
class Answer:
    """Multipliers and what the cohort answered, which is so many points.

    value: the sum of phi_i in value words. nets: summed net amounts in words; cost: that of these,
    in value words. products: of residuals, in the query's grid. query: its digest, empty where none
    was given. lots: (key, lots at it) of a plan of whole lots. at: the sums of x in words, of which
    the nets are what can be traded.
    """

    multipliers: Whole
    value: int
    nets: Whole
    cost: int
    products: Whole
    count: int
    query: str
    lots: tuple[int, int] | None = None
    at: Whole = ()

    @property
    def points(self) -> Whole:
        """What a solution says of it: the key and the lots at it, or the nets."""
        return self.nets if self.lots is None else self.lots


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
    expected = 3 + 2 * terms.size + products
    if not isinstance(release, Total) or not release.exact or len(release.words) != expected:
        return None
    whole = integers(release.words)
    value, *nets = whole[: 1 + terms.size]
    cost, count, *rest = whole[1 + terms.size :]
    at, rest = rest[: terms.size], rest[terms.size :]
    if max(map(abs, whole)) > terms.bound * len(release.cohort) or count < 1 or rest[0] < 0:
        return None
    return Answer(
        multipliers, value, tuple(nets), cost, tuple(rest), count, release.query, at=tuple(at)
    )


def dual(terms: Terms, answer: Answer) -> int:
    """D at an answer, in 2^-fine_bits, rounded up."""
    if terms.tracking is not None:
        path, weight = terms.tracking.path, terms.tracking.weight
        public = conjugate(answer.multipliers, terms.reference, path, terms.bits, weight)
        fine: int = ceil(public * (1 << terms.fine_bits))
        return fine + terms.of_words(answer.value)
    rows = zip(terms.reference, answer.multipliers, terms.least, terms.most, strict=True)
    offset = sum(max((r - v) * low, (r - v) * high) for r, v, low, high in rows)
    return terms.of_products(offset) + terms.of_words(answer.value)


def admitted(terms: Terms, answer: Answer) -> bool:
    """Whether the totals are within their limits, exactly; on a path, all of the whole lots."""
    if terms.tracking is not None:
        return answer.lots is not None and sum(answer.nets) == terms.tracking.path[-1]
    rows = zip(terms.least, answer.nets, terms.most, strict=True)
    return all(low <= net <= high for low, net, high in rows)


def plan_value(terms: Terms, answer: Answer) -> int:
    """What the plan of an answer is surely worth, in 2^-fine_bits, rounded down."""
    if terms.tracking is not None:
        path, weight = terms.tracking.path, terms.tracking.weight
        made = worth(answer.nets, terms.reference, path, terms.bits, weight)
        fine: int = floor(made * (1 << terms.fine_bits))
        return fine - terms.of_words(answer.cost)
    product = sum(r * net for r, net in zip(terms.reference, answer.nets, strict=True))
    return terms.of_products(product) - terms.of_words(answer.cost)


def is_better(best: Best, before: Best | None) -> bool:
    """Whether a round has lowered the bound, or brought a plan or a better one."""
    if before is None or (best.plan is not None and before.plan is None):
        return True
    return best.bound < before.bound or best.value > before.value
