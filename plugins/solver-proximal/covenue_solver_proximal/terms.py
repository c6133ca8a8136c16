"""The public side of the problem, read once and checked: integers for what is decided."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.solvers import Coupling, DualCoupling
from covenue.numerics.ldlt import Reals

Whole = tuple[int, ...]
MOST_BITS = 62
FINE_ENOUGH = 18
"""Answers spread over less than 2^-18 of a price hold few levels on a ramp: then centres move."""
NARROW_ENOUGH = 20
"""Narrower than 2^-20 of a price, answers are too close to jumps to follow without a centre."""
FINEST_SHARE = 10


@dataclass(frozen=True)
class Terms:
    """The integers of a DualCoupling, each a tuple of m; see there for what they mean.

    widths: those over which answers can be spread, widest first. bound: of one participant's word.
    """

    names: tuple[str, ...]
    reference: Whole
    lowest: Whole
    highest: Whole
    least: Whole
    most: Whole
    margin: Whole
    scale_bits: int
    multiplier_bits: int
    value_bits: int
    value_floor: int
    slope_bits: int
    widths: Whole
    bound: int

    @property
    def size(self) -> int:
        """Number of shared coordinates."""
        return len(self.reference)

    @property
    def product_bits(self) -> int:
        """A multiplier times a net word counts 2^-product_bits."""
        return self.multiplier_bits + self.scale_bits

    @property
    def fine_bits(self) -> int:
        """Values are compared in 2^-fine_bits: products and value words are whole numbers of it."""
        return max(self.product_bits, self.value_bits)

    def of_words(self, value: int) -> int:
        """A value word in 2^-fine_bits."""
        return value << (self.fine_bits - self.value_bits)

    def of_products(self, product: int) -> int:
        """A multiplier times a net word in 2^-fine_bits."""
        return product << (self.fine_bits - self.product_bits)

    @property
    def noise(self) -> int:
        """Twice the margins' value at the reference, in 2^-fine_bits: more than any rounding."""
        pairs = zip(self.reference, self.margin, strict=True)
        return 2 * self.of_products(sum(r * (e + 1) for r, e in pairs))

    @property
    def settled_stage(self) -> int:
        """The widest width that is fine enough to stay at while centres move."""
        enough = [w << FINE_ENOUGH <= 1 << self.multiplier_bits for w in self.widths]
        return enough.index(True) if True in enough else len(enough) - 1

    @property
    def last_ahead(self) -> int:
        """The narrowest width that answers without a centre are followed to."""
        wide = [w << NARROW_ENOUGH >= 1 << self.multiplier_bits for w in self.widths]
        return max(sum(wide) - 1, self.settled_stage)

    def relative(self, width: int) -> float:
        """A width as a part of a price."""
        return float(width) * 2.0**-self.multiplier_bits

    def limits(self, multipliers: Whole, budget: int) -> tuple[Whole, Whole]:
        """(lower, upper) totals that a plan is steered to, within least and most.

        A total that is off its limit by e costs |v - r| e. Each coordinate may waste an equal part
        of `budget` (2^-fine_bits), at least its margin, at most a quarter of its room: a wide inset
        is met sooner.
        """
        share = (budget >> (self.fine_bits - self.product_bits)) // self.size
        insets = [
            max(margin, min(share // max(abs(v - r), r >> FINEST_SHARE, 1), (most - least) // 4))
            for v, r, least, most, margin in zip(
                multipliers, self.reference, self.least, self.most, self.margin, strict=True
            )
        ]
        lower = tuple(low + e for low, e in zip(self.least, insets, strict=True))
        return lower, tuple(high - e for high, e in zip(self.most, insets, strict=True))

    def values(self, integers: Whole) -> Reals:
        """Multipliers as floats."""
        return reals(integers) * 2.0**-self.multiplier_bits

    def totals(self, integers: Whole) -> Reals:
        """Net words as floats, in units of the Space."""
        return reals(integers) * 2.0**-self.scale_bits


def reals(integers: Whole) -> Reals:
    """Each integer rounded once to a float."""
    return np.array([float(value) for value in integers], dtype=np.float64)


def terms_of(coupling: Coupling) -> Terms:
    """Read and check a coupling.

    Raises CapabilityMissing unless it is a DualCoupling whose answers can be spread, and BadInput
    where its integers cannot be.
    """
    if not isinstance(coupling, DualCoupling) or not coupling.smoothing or coupling.tracking:
        raise CapabilityMissing(
            "solver 'proximal' needs a coupling whose answers jump and can be spread (smoothing)",
            "set domain.goal.jumps = true where a party holds books, or use solver 'dual'",
            field="solver.name",
            value="proximal",
        )
    terms = Terms(
        names=coupling.space.names,
        reference=coupling.reference,
        lowest=tuple(low for low, _ in coupling.multiplier_range),
        highest=tuple(high for _, high in coupling.multiplier_range),
        least=coupling.least,
        most=coupling.most,
        margin=coupling.margin,
        scale_bits=coupling.space.scale_bits,
        multiplier_bits=coupling.multiplier_bits,
        value_bits=coupling.value_bits,
        value_floor=coupling.value_floor,
        slope_bits=coupling.slope_bits,
        widths=coupling.smoothing,
        bound=int(coupling.space.bound),
    )
    check(terms)
    return terms


def check(terms: Terms) -> None:
    """Raise BadInput where the integers of a coupling cannot be, naming the field."""
    _check_shape(terms)
    for k, name in enumerate(terms.names):
        _check_coordinate(terms, k, name)


def check_tolerance(terms: Terms, tolerance: Fraction) -> None:
    """Raise BadInput for a tolerance that not even the largest bound could meet in value words."""
    rows = zip(terms.least, terms.most, terms.reference, strict=True)
    largest = sum(max(abs(low), abs(high)) * r for low, high, r in rows)
    words = Fraction(largest, 2**terms.product_bits) * 2**terms.value_bits
    if tolerance * max(words, terms.value_floor) < 1:
        raise BadInput(
            "the tolerance is finer than one value word, so rounding alone is beyond it",
            f"give a greater one, or count values in finer words than 2^-{terms.value_bits}",
            field="solver.options.tolerance",
            value=str(tolerance),
        )


def _check_shape(terms: Terms) -> None:
    for field in ("reference", "lowest", "least", "most", "margin"):
        if len(getattr(terms, field)) != len(terms.names):
            raise BadInput(
                f"the coupling's {field} does not fit its space of {len(terms.names)} coordinates",
                "give one integer for each coordinate of the space",
                field=f"coupling.{field}",
                value=str(len(getattr(terms, field))),
            )
    for field in ("multiplier_bits", "value_bits", "slope_bits"):
        if not 0 <= getattr(terms, field) <= MOST_BITS:
            raise BadInput(
                "a grid of the coupling is finer or coarser than words can hold",
                f"give 0 to {MOST_BITS} bits",
                field=f"coupling.{field}",
                value=str(getattr(terms, field)),
            )
    falling = list(terms.widths) == sorted(set(terms.widths), reverse=True)
    if not falling or terms.widths[-1] < 1:
        raise BadInput(
            "the coupling's smoothing widths do not fall from the widest to the narrowest",
            "give positive widths, each smaller than the one before",
            field="coupling.smoothing",
            value=str(terms.widths),
        )


def _check_coordinate(terms: Terms, k: int, name: str) -> None:
    if terms.reference[k] < 1 or not 1 <= terms.lowest[k] <= terms.highest[k]:
        raise BadInput(
            f"the reference or the multiplier range of '{name}' is not positive",
            "give a positive reference, a lowest multiplier of at least 1, a highest no smaller",
            field="coupling.multiplier_range",
            value=f"{terms.reference[k]} in {terms.lowest[k]}..{terms.highest[k]}",
        )
    if terms.margin[k] < 0 or terms.least[k] + 2 * terms.margin[k] > terms.most[k]:
        raise BadInput(
            f"between least and most total of '{name}' there is no room for twice the margin",
            "widen the limits, or count in finer words so that the margin can be smaller",
            field="coupling.margin",
            value=f"{terms.least[k]}..{terms.most[k]}, margin {terms.margin[k]}",
        )
