"""The certificate: the least bound and the best plan of all rounds, in exact integers.

    D(v) = sum_k max((r_k - v_k) least_k, (r_k - v_k) most_k) + Phi(v)        Phi = sum_i phi_i

bounds every plan, whatever v. The answer to v is itself a plan if its totals y lie within their
limits, and it is worth r'y - sum f, where sum f is v'y - Phi(v) for the answer that attains Phi,
and 0 for participants without cost. The lesser of r'y and Phi(v) + (r - v)'y is taken: without
cost that is r'y, since Phi is rounded up and y so that it can be delivered.

From round to round both are estimated in floats, which choose the rounds that are kept; what is
said of these is computed from their integers, so no estimate can certify.
Source: solvers.md, section 1.
"""

from fractions import Fraction
from operator import add, mul, sub
from typing import NamedTuple

from covenue_solver_dual.held import Held
from covenue_solver_dual.model import Surveyed, surveyed
from covenue_solver_dual.terms import Terms
from covenue_solver_dual.totals import Point

ESTIMATED = 2.0**-40
"""More than what m sums in floats can be off, relative to the largest of their parts."""


class Survey(NamedTuple):
    """What one answer shows, estimated in the unit of the references.

    bound: D. steered: D under the limits that a plan is steered to. value: of the plan, if
    `within` its limits. made: v'y. phi: what participants could make of v.
    """

    bound: float
    steered: float
    within: bool
    value: float
    made: float
    phi: float


class Best(NamedTuple):
    """The round with the least bound so far, and that with the best plan, with their estimates."""

    bound: float
    value: float
    lowest: Point
    plan: Point | None

    def with_point(self, survey: Survey, point: Point) -> "Best":
        """The better of this and what one more round has shown."""
        bound, lowest, value, plan = self.bound, self.lowest, self.value, self.plan
        if survey.bound < bound:
            bound, lowest = survey.bound, point
        if survey.within and (plan is None or survey.value > value):
            value, plan = survey.value, point
        return Best(bound, value, lowest, plan)

    def contradicts(self, terms: Terms) -> bool:
        """Whether the plan is worth more than its bound, by more than rounding can explain."""
        if self.plan is None or self.value <= self.bound:
            return False
        over = plan_value(terms, self.plan) - dual(terms, self.lowest)
        return over > terms.noise


def survey(terms: Terms, inset: Held, point: Point) -> Survey:
    """Estimates for one answer; `inset` as in model.py."""
    found = surveyed(terms.limits, inset.array, point.v, point.s, terms.v_unit, terms.s_unit)
    return surveyed_at(terms, found, point)


def surveyed_at(terms: Terms, found: Surveyed, point: Point) -> Survey:
    """What `surveyed` found at a point, with the value of its answer."""
    bound, steered, within, worth, rest, made = found
    phi = float(point.value) * terms.value_unit
    return Survey(bound + phi, steered + phi, within, min(worth, rest + phi), made, phi)


def first(terms: Terms, survey: Survey, point: Point) -> Best:
    """What the first round has shown; where doing nothing is a plan, that is one, worth 0."""
    plan = point.at_rest() if terms.may_rest else None
    return Best(survey.bound, 0.0, point, plan).with_point(survey, point)


def dual(terms: Terms, point: Point) -> int:
    """D at a point, in 2^-fine_bits."""
    shift = terms.fine_bits - terms.product_bits
    over: list[int] = list(map(sub, terms.reference, point.v.tolist()))
    rows = zip(over, terms.least, terms.most, strict=True)
    offset: int = sum(map(mul, over, [least if each < 0 else most for each, least, most in rows]))
    return (offset << shift) + (point.value << (terms.fine_bits - terms.value_bits))


def plan_value(terms: Terms, point: Point) -> int:
    """What the plan of a point is surely worth, in 2^-fine_bits."""
    shift = terms.fine_bits - terms.product_bits
    nets: list[int] = point.s.tolist()
    worth: int = sum(map(mul, terms.reference, nets))
    rest: int = worth - sum(map(mul, point.v.tolist(), nets))
    answered = point.value << (terms.fine_bits - terms.value_bits)
    return min(worth << shift, (rest << shift) + answered)


def certified(terms: Terms, best: Best) -> tuple[int, int]:
    """(value, bound) in value words, exact: the value rounded down, the bound up.

    Where rounding of the answers lifts a value above its bound, the bound is the value. Without a
    plan the value is 0.
    """
    exact = plan_value(terms, best.plan) if best.plan is not None else 0
    return rounded(terms, exact, dual(terms, best.lowest))


def rounded(terms: Terms, value: int, bound: int) -> tuple[int, int]:
    """Both from 2^-fine_bits to value words, so that they still enclose."""
    shift = terms.fine_bits - terms.value_bits
    above = -((-bound) >> shift)
    return min(value >> shift, above), above


def closed(terms: Terms, best: Best, tolerance: Fraction) -> tuple[int, int] | None:
    """What `certified` says, if gap <= tolerance * max(|bound|, value floor) on these integers.

    They are computed only where the estimates do not rule it out.
    """
    if best.plan is None:
        return None
    allowed = tolerance.numerator / tolerance.denominator * max(abs(best.bound), terms.floor)
    doubt = ESTIMATED * (abs(best.bound) + abs(best.value)) + 2.0 * terms.value_unit
    if best.bound - best.value > allowed + doubt:
        return None
    value, bound = certified(terms, best)
    most = max(abs(bound), terms.value_floor)
    within = tolerance.denominator * (bound - value) <= tolerance.numerator * most
    return (value, bound) if within else None


def conflicts(terms: Terms, left: Point, right: Point) -> bool:
    """Whether two answers cannot come from one cohort: Phi is convex, and lies above its tangents.

    Where answers are smoothed they are no tangents, and nothing is said.
    """
    if left.width or right.width:
        return False
    return _below_tangent(terms, left, right) or _below_tangent(terms, right, left)


def _below_tangent(terms: Terms, at: Point, other: Point) -> bool:
    shift = terms.fine_bits - terms.product_bits
    start, end = at.v.tolist(), other.v.tolist()
    tangent: int = sum(map(mul, at.s.tolist(), map(sub, end, start)))
    both = list(map(add, start, end))
    slack: int = sum(map(mul, both, terms.margin)) + sum(both)
    rise = (other.value - at.value) << (terms.fine_bits - terms.value_bits)
    return rise < (tangent - slack) << shift
