"""The certificate: the least bound and the best plan of all rounds, in exact integers.

    D(v) = sum_k max((r_k - v_k) least_k, (r_k - v_k) most_k) + Phi(v)        Phi = sum_i phi_i

bounds every plan, whatever v. The answer to v is itself a plan if its totals y lie within their
limits, and it is worth r'y - sum f, where sum f is v'y - Phi(v) for the answer that attains Phi,
and 0 for participants without cost. The lesser of r'y and Phi(v) + (r - v)'y is taken: without
cost that is r'y, since Phi is rounded up and y so that it can be delivered.
Source: solvers.md, section 1.
"""

from dataclasses import dataclass
from fractions import Fraction

from covenue_solver_dual.terms import Integers, Terms
from covenue_solver_dual.totals import Point


@dataclass(frozen=True)
class Best:
    """The least bound so far, and the best plan with its value; both in 2^-fine_bits."""

    bound: int
    value: int
    plan: Point | None

    def with_point(self, terms: Terms, point: Point) -> "Best":
        """The better of this and what one more round has shown."""
        bound = min(self.bound, dual(terms, point, terms.least, terms.most))
        if not admitted(terms, point):
            return Best(bound, self.value, self.plan)
        value = plan_value(terms, point)
        if self.plan is not None and value <= self.value:
            return Best(bound, self.value, self.plan)
        return Best(bound, value, point)

    def contradicts(self, terms: Terms) -> bool:
        """Whether the plan is worth more than its bound, by more than rounding can explain."""
        return self.plan is not None and self.value > self.bound + terms.noise


def first(terms: Terms, point: Point) -> Best:
    """What the first round has shown."""
    bound = dual(terms, point, terms.least, terms.most)
    return Best(bound, 0, None).with_point(terms, point)


def dual(terms: Terms, point: Point, least: Integers, most: Integers) -> int:
    """D at a point under limits of the totals, in 2^-fine_bits."""
    shift = terms.fine_bits - terms.product_bits
    offset = sum(
        max((r - v) * low, (r - v) * high)
        for r, v, low, high in zip(terms.reference, point.multipliers, least, most, strict=True)
    )
    return (offset << shift) + (point.value << (terms.fine_bits - terms.value_bits))


def admitted(terms: Terms, point: Point) -> bool:
    """Whether the totals are within their limits, exactly."""
    return all(
        low <= net <= high
        for low, net, high in zip(terms.least, point.nets, terms.most, strict=True)
    )


def plan_value(terms: Terms, point: Point) -> int:
    """What the plan of a point is surely worth, in 2^-fine_bits."""
    shift = terms.fine_bits - terms.product_bits
    rows = zip(terms.reference, point.multipliers, point.nets, strict=True)
    worth = rest = 0
    for r, v, net in rows:
        worth += r * net
        rest += (r - v) * net
    answered = point.value << (terms.fine_bits - terms.value_bits)
    return min(worth << shift, (rest << shift) + answered)


def rounded(terms: Terms, best: Best) -> tuple[int, int]:
    """(value, bound) in value words: the value rounded down, the bound up.

    Where rounding of the answers lifts a value above its bound, the bound is the value.
    """
    shift = terms.fine_bits - terms.value_bits
    bound = -((-best.bound) >> shift)
    return min(best.value >> shift, bound), bound


def closed(terms: Terms, best: Best, tolerance: Fraction) -> bool:
    """Whether gap <= tolerance * max(|bound|, value floor), on the rounded integers."""
    if best.plan is None:
        return False
    value, bound = rounded(terms, best)
    return bound - value <= tolerance * max(abs(bound), terms.value_floor)


def conflicts(terms: Terms, left: Point, right: Point) -> bool:
    """Whether two answers cannot come from one cohort: Phi is convex, and lies above its tangents.

    Where answers are smoothed they are no tangents, and nothing is said.
    """
    if left.width or right.width:
        return False
    return _below_tangent(terms, left, right) or _below_tangent(terms, right, left)


def _below_tangent(terms: Terms, at: Point, other: Point) -> bool:
    shift = terms.fine_bits - terms.product_bits
    tangent = slack = 0
    rows = zip(at.multipliers, other.multipliers, at.nets, terms.margin, strict=True)
    for v, w, net, margin in rows:
        tangent += net * (w - v)
        slack += (v + w) * (margin + 1)
    rise = (other.value - at.value) << (terms.fine_bits - terms.value_bits)
    return rise < (tangent - slack) << shift
