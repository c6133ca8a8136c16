"""What one plan leaves for the next, where a plan starts, and which tolerance can be reached."""

from dataclasses import dataclass
from fractions import Fraction

from covenue.errors import BadInput
from covenue_solver_dual.terms import Integers, Terms


@dataclass(frozen=True)
class WarmDual:
    """Multipliers of the last plan, the reference that they belonged to, and the slopes' copy.

    matrix: bytes of m x m float64, or b"". The rest says which space and which grids they fit.
    """

    names: tuple[str, ...]
    bits: tuple[int, int, int]
    reference: Integers
    multipliers: Integers
    matrix: bytes

    def fits(self, terms: Terms) -> bool:
        """Whether coordinates and grids are the same."""
        return self.names == terms.names and self.bits == _bits(terms)


def warm_for(terms: Terms, multipliers: Integers, matrix: bytes) -> WarmDual:
    """What to hand to the next plan."""
    return WarmDual(terms.names, _bits(terms), terms.reference, multipliers, matrix)


def start_at(terms: Terms, warm: WarmDual | None) -> Integers:
    """The reference, or the last multipliers moved as their reference moved; within range.

    A multiplier that rested at its reference rests at the new one.
    """
    wanted = terms.reference if warm is None else _moved(terms, warm)
    return tuple(
        min(max(value, low), high)
        for value, low, high in zip(wanted, terms.lowest, terms.highest, strict=True)
    )


def plan_before(terms: Terms, warm: WarmDual | None) -> Integers:
    """The multipliers of the plan before, if the same ones can be asked at again; else ().

    Where answers are smoothed a plan is its width as well, and the first one asked is the widest.
    """
    if warm is None or warm.reference != terms.reference or terms.smoothing:
        return ()
    return warm.multipliers


def check_tolerance(terms: Terms, tolerance: Fraction) -> None:
    """Raise BadInput for a tolerance that not even the largest bound could meet in value words."""
    largest = sum(
        max(abs(low), abs(high)) * r
        for low, high, r in zip(terms.least, terms.most, terms.reference, strict=True)
    )
    words = Fraction(largest, 2**terms.product_bits) * 2**terms.value_bits
    if tolerance * max(words, terms.value_floor) < 1:
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
