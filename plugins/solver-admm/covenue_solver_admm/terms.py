"""The public side of the problem, read once and checked: integers for what is decided."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.solvers import Coupling, DualCoupling, Tracking
from covenue.numerics.ldlt import Reals

Whole = tuple[int, ...]
MOST_BITS = 62
UNLIMITED = 2**61
"""A total with limits beyond this both ways is not steered: what it is worth is public."""


@dataclass(frozen=True)
class Terms:
    """The integers of a DualCoupling, each a tuple of m; see there for what they mean.

    bound: of one participant's word. tracking: the path that totals follow, or None.
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
    bound: int
    tracking: Tracking | None = None

    @property
    def size(self) -> int:
        """Number of shared coordinates."""
        return len(self.reference)

    @property
    def product_bits(self) -> int:
        """A multiplier times a net word counts 2^-product_bits."""
        return self.multiplier_bits + self.scale_bits

    @property
    def bits(self) -> tuple[int, int]:
        """Those of the multipliers and of the Space."""
        return self.multiplier_bits, self.scale_bits

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

    @cached_property
    def prices(self) -> Reals:
        """The references as floats."""
        return reals(self.reference) * 2.0**-self.multiplier_bits

    @cached_property
    def loose(self) -> NDArray[np.bool_]:
        """Coordinates whose totals nobody limits: their multipliers are the references."""
        pairs = zip(self.least, self.most, strict=True)
        return np.array([low <= -UNLIMITED and high >= UNLIMITED for low, high in pairs])

    def totals(self, integers: Whole) -> Reals:
        """Net words as floats, in units of the Space."""
        return reals(integers) * 2.0**-self.scale_bits


def reals(integers: Whole) -> Reals:
    """Each integer rounded once to a float."""
    return np.array([float(value) for value in integers], dtype=np.float64)


def terms_of(coupling: Coupling) -> Terms:
    """Read and check a coupling.

    Raises CapabilityMissing unless it is a DualCoupling, and BadInput where its integers cannot be.
    """
    if not isinstance(coupling, DualCoupling):
        raise CapabilityMissing(
            "solver 'admm' needs a coupling that multipliers solve",
            "use solver 'search' for offers on one axis",
            field="solver.name",
            value="admm",
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
        bound=int(coupling.space.bound),
        tracking=coupling.tracking,
    )
    _check(terms)
    return terms


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


def _check(terms: Terms) -> None:
    for field in ("reference", "lowest", "least", "most", "margin"):
        if len(getattr(terms, field)) != terms.size or terms.size != len(terms.names):
            raise BadInput(
                f"the coupling's {field} does not fit its space of {len(terms.names)} coordinates",
                "give one integer for each coordinate of the space",
                field=f"coupling.{field}",
                value=str(len(getattr(terms, field))),
            )
    for field in ("multiplier_bits", "value_bits", "scale_bits"):
        if not 0 <= getattr(terms, field) <= MOST_BITS:
            raise BadInput(
                "a grid of the coupling is finer or coarser than words can hold",
                f"give 0 to {MOST_BITS} bits",
                field=f"coupling.{field}",
                value=str(getattr(terms, field)),
            )
    for k, name in enumerate(terms.names):
        _check_coordinate(terms, k, name)
    if terms.tracking is not None:
        _check_path(terms, terms.tracking)


def _check_coordinate(terms: Terms, k: int, name: str) -> None:
    if terms.reference[k] < 1 or not 1 <= terms.lowest[k] <= terms.highest[k]:
        raise BadInput(
            f"the reference or the multiplier range of '{name}' is not positive",
            "give a positive reference, a lowest multiplier of at least 1, a highest no smaller",
            field="coupling.multiplier_range",
            value=f"{terms.reference[k]} in {terms.lowest[k]}..{terms.highest[k]}",
        )
    if terms.tracking is None and not _has_room(terms, k):
        raise BadInput(
            f"between least and most total of '{name}' there is no room for twice the margin",
            "widen the limits, or count in finer words so that the margin can be smaller",
            field="coupling.margin",
            value=f"{terms.least[k]}..{terms.most[k]}, margin {terms.margin[k]}",
        )


def _has_room(terms: Terms, k: int) -> bool:
    return terms.margin[k] >= 0 and terms.least[k] + 2 * terms.margin[k] <= terms.most[k]


def _check_path(terms: Terms, tracking: Tracking) -> None:
    path, lot = tracking.path, tracking.lot
    fits = len(path) == terms.size and lot >= 2 and tracking.weight > 0 and tracking.tie_bits >= 0
    if not fits or not 0 <= path[-1] < 2**MOST_BITS or path[-1] % lot:
        raise BadInput(
            "the coupling's path does not fit its slices or its lots",
            "give one total a slice, a positive weight, and whole lots of at least two words",
            field="coupling.tracking",
            value=f"{len(path)} of {terms.size} slices, lots of {lot}",
        )
    if (lot - 1) << tracking.tie_bits >= 2**MOST_BITS:
        raise BadInput(
            "keys of lots do not fit words",
            f"keep them below 2^{MOST_BITS}",
            field="coupling.tracking",
            value=f"lots of {lot}, {tracking.tie_bits} bits of ties",
        )
