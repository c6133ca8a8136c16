"""What one plan leaves for the next, where a plan starts, and which tolerance can be reached."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from covenue.errors import BadInput
from covenue_solver_dual.held import Held
from covenue_solver_dual.pairs import Pairs
from covenue_solver_dual.terms import FARTHEST, Integers, Terms, cut
from covenue_solver_dual.totals import Point


@dataclass(frozen=True)
class WarmDual:
    """What the last plan leaves: its multipliers and points, and what was learnt on the way.

    reference: that the multipliers belonged to. points: as in Solution. matrix: the copy of the
    slopes (m x m), price-scaled at the multipliers `scaled`; None where there is none. pairs: what
    a quasi-Newton descent remembered. names, bits: which space and which grids they fit.
    """

    names: tuple[str, ...]
    bits: tuple[int, int, int]
    reference: Integers
    multipliers: Integers
    points: Integers
    matrix: Held | None = None
    scaled: Held | None = None
    pairs: Pairs | None = None

    def fits(self, terms: Terms) -> bool:
        """Whether coordinates and grids are the same."""
        return self.names == terms.names and self.bits == _bits(terms)


def warm_for(
    terms: Terms,
    plan: Point,
    matrix: Held | None = None,
    scaled: Held | None = None,
    pairs: Pairs | None = None,
) -> WarmDual:
    """What to hand to the next plan."""
    nets = tuple(plan.s.tolist())
    points = (*nets, plan.width) if plan.width else nets
    multipliers = tuple(plan.v.tolist())
    return WarmDual(
        terms.names, _bits(terms), terms.reference, multipliers, points, matrix, scaled, pairs
    )


def start_at(terms: Terms, warm: WarmDual | None) -> tuple[Held, Integers | None]:
    """The first trial, and the points of the plan before if that is asked about again.

    The trial: the reference, or the last multipliers moved as their reference moved; within range.
    A multiplier that rested at its reference rests at the new one.
    """
    wanted, lowest, highest, *_ = terms.limits
    if warm is not None and warm.reference == terms.reference:
        wanted = cut(warm.multipliers, 0, FARTHEST)
    elif warm is not None:
        wanted = cut(_moved(terms, warm), 0, FARTHEST)
    first = np.minimum(np.maximum(wanted, lowest), highest)
    stands = warm is not None and tuple(first.tolist()) == warm.multipliers
    return Held(first), warm.points if warm is not None and stands else None


def check_tolerance(terms: Terms, tolerance: Fraction) -> None:
    """Raise BadInput for a tolerance that not even the largest bound could meet in value words."""
    if tolerance.numerator * terms.value_floor >= tolerance.denominator:
        return
    largest = sum(
        max(abs(low), abs(high)) * r
        for low, high, r in zip(terms.least, terms.most, terms.reference, strict=True)
    )
    exact = largest << terms.fine_bits - terms.product_bits
    words = max(exact >> terms.fine_bits - terms.value_bits, terms.value_floor)
    if tolerance.numerator * words < tolerance.denominator:
        raise BadInput(
            "the tolerance is finer than one value word, so rounding alone is beyond it",
            f"give a greater one, or count values in finer words than 2^-{terms.value_bits}",
            field="solver.options.tolerance",
            value=str(tolerance),
        )


def _bits(terms: Terms) -> tuple[int, int, int]:
    return terms.scale_bits, terms.multiplier_bits, terms.slope_bits


def _moved(terms: Terms, warm: WarmDual) -> Integers:
    rows = zip(warm.multipliers, warm.reference, terms.reference, strict=True)
    return tuple((v * new + old // 2) // old for v, old, new in rows)
