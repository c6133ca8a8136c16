"""The public side of a dual problem, read once: integers for what is decided, floats for steps."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.solvers import Coupling, DualCoupling
from covenue.numerics.ldlt import Reals

Integers = tuple[int, ...]
MOST_BITS = 62
NEAR = 10


@dataclass(frozen=True)
class Terms:
    """The integers of a DualCoupling, each a tuple of m; see there for what they mean.

    lowest, highest: the multiplier range. least, most: limits of the totals; within them, by
    `inset`, lie `lower` and `upper`, which a plan is steered to. bound: of one participant's word.
    """

    names: tuple[str, ...]
    reference: Integers
    lowest: Integers
    highest: Integers
    least: Integers
    most: Integers
    margin: Integers
    scale_bits: int
    multiplier_bits: int
    value_bits: int
    value_floor: int
    slope_bits: int
    smoothing: Integers
    bound: int
    inset: Integers

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

    @cached_property
    def lower(self) -> Integers:
        """Least total plus inset."""
        return tuple(a + e for a, e in zip(self.least, self.inset, strict=True))

    @cached_property
    def upper(self) -> Integers:
        """Greatest total less inset."""
        return tuple(a - e for a, e in zip(self.most, self.inset, strict=True))

    @cached_property
    def noise(self) -> int:
        """Value, in 2^-fine_bits, of twice the margin at the reference: more than any rounding."""
        pairs = zip(self.reference, self.margin, strict=True)
        products = sum(r * (e + 1) for r, e in pairs) << (self.fine_bits - self.product_bits)
        return 2 * products

    def steered(self, multipliers: Integers, budget: int) -> "Terms":
        """The same terms with an inset that a plan may waste: `budget` value words in all.

        A total that is off its limit by e costs |v - r| e, so each coordinate gets an equal share
        of the budget, never less than the margin, never more than a quarter of its room. A wide
        inset is met sooner, and finer than the multipliers' grid can steer it need not be.
        """
        share = (budget << self.fine_bits - self.value_bits) // self.size
        share >>= self.fine_bits - self.product_bits
        rows = zip(multipliers, self.reference, self.least, self.most, self.margin, strict=True)
        return replace(
            self,
            inset=tuple(
                max(margin, min(share // max(abs(v - r), r >> NEAR, 1), (most - least) // 4))
                for v, r, least, most, margin in rows
            ),
        )

    def values(self, integers: Integers) -> Reals:
        """Multipliers as floats."""
        return reals(integers) * 2.0**-self.multiplier_bits

    def totals(self, integers: Integers) -> Reals:
        """Net words as floats, in units of the Space."""
        return reals(integers) * 2.0**-self.scale_bits


def reals(integers: Integers) -> Reals:
    """Each integer rounded once to a float."""
    return np.array([float(value) for value in integers], dtype=np.float64)


def terms_of(coupling: Coupling, solver: str) -> Terms:
    """Read and check a coupling.

    Raises CapabilityMissing unless it is a DualCoupling, BadInput where its integers cannot be.
    """
    if not isinstance(coupling, DualCoupling):
        raise CapabilityMissing(
            f"solver '{solver}' needs a coupling that multipliers solve (DualCoupling)",
            "choose a domain with net amounts, such as 'arbitrage', or another solver",
            field="solver.name",
            value=solver,
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
        smoothing=coupling.smoothing,
        bound=int(coupling.space.bound),
        inset=coupling.margin,
    )
    _check_shape(terms)
    for k in range(terms.size):
        _check_coordinate(terms, k)
    return terms


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
    if terms.value_floor < 0:
        raise BadInput(
            "the coupling's value floor is negative",
            "give the value below which a plan is worth nothing, or 0",
            field="coupling.value_floor",
            value=str(terms.value_floor),
        )
    if list(terms.smoothing) != sorted(set(terms.smoothing), reverse=True) or any(
        width < 1 for width in terms.smoothing
    ):
        raise BadInput(
            "the coupling's smoothing widths do not fall from the widest to the narrowest",
            "give positive widths, each smaller than the one before, or none",
            field="coupling.smoothing",
            value=str(terms.smoothing),
        )


def _check_coordinate(terms: Terms, k: int) -> None:
    name = terms.names[k]
    if terms.reference[k] < 1:
        raise BadInput(
            f"the reference of '{name}' is not positive",
            "give every coordinate a positive reference on the multipliers' grid",
            field="coupling.reference",
            value=str(terms.reference[k]),
        )
    if not 1 <= terms.lowest[k] <= terms.highest[k]:
        raise BadInput(
            f"the multiplier range of '{name}' is empty or not positive",
            "give a lowest multiplier of at least 1, and a highest that is no smaller",
            field="coupling.multiplier_range",
            value=f"{terms.lowest[k]}..{terms.highest[k]}",
        )
    if terms.margin[k] < 0 or terms.lower[k] > terms.upper[k]:
        raise BadInput(
            f"between least and most total of '{name}' there is no room for twice the margin",
            "widen the limits, or count in finer words so that the margin can be smaller",
            field="coupling.margin",
            value=f"{terms.least[k]}..{terms.most[k]}, margin {terms.margin[k]}",
        )
