"""The public side of a dual problem, read once: exact integers, and the same as arrays."""

from dataclasses import dataclass
from functools import cache, cached_property
from operator import mul
from typing import TypeGuard

import numpy as np

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.solvers import Coupling, DualCoupling
from covenue_solver_dual.held import Held, Whole

Integers = tuple[int, ...]
MOST_BITS = 62
FARTHEST = 2**62
LIMITS_LEAST = np.array([[0], [0], [0], [2 - FARTHEST], [2 - FARTHEST], [-1]])
LIMITS_MOST = np.array(
    [[FARTHEST], [FARTHEST], [FARTHEST], [FARTHEST - 2], [FARTHEST - 2], [FARTHEST]]
)
MEMBERS = tuple(name for name in dir(DualCoupling) if not name.startswith("_"))


@dataclass(frozen=True)
class Terms:
    """The integers of a DualCoupling, each a tuple of m; see there for what they mean.

    lowest, highest: the multiplier range. least, most: limits of the totals. bound: of one
    participant's word.
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
        """Exact values count 2^-fine_bits: products and value words are whole numbers of it."""
        return max(self.product_bits, self.value_bits)

    @cached_property
    def may_rest(self) -> bool:
        """Whether doing nothing is a plan: every total may be 0."""
        rows = zip(self.least, self.most, strict=True)
        return all(least <= 0 <= most for least, most in rows)

    @cached_property
    def v_unit(self) -> float:
        """What one grid step of a multiplier is."""
        return 2.0**-self.multiplier_bits

    @cached_property
    def s_unit(self) -> float:
        """What one word of a total is."""
        return 2.0**-self.scale_bits

    @cached_property
    def value_unit(self) -> float:
        """What one value word is."""
        return 2.0**-self.value_bits

    @cached_property
    def limits(self) -> Whole:
        """int64[6, m], read-only: rows as in model.py; limits of totals are cut to less than 2^62.

        Totals are cut to 2^62 - 1 where they are read, so none that was cut is within its limits.
        """
        rows = (self.reference, self.lowest, self.highest, self.least, self.most, self.margin)
        try:
            whole = np.array(rows, dtype=np.int64)
        except OverflowError:
            whole = np.array([cut(row, -FARTHEST, FARTHEST) for row in rows])
        return Held(np.minimum(np.maximum(whole, LIMITS_LEAST), LIMITS_MOST)).array

    @cached_property
    def unlimited(self) -> Whole:
        """int64[m], read-only: insets of any width."""
        return Held(np.full(self.size, FARTHEST)).array

    @cached_property
    def noise(self) -> int:
        """Value, in 2^-fine_bits, of twice the margin at the reference: more than any rounding."""
        products: int = sum(map(mul, self.reference, self.margin)) + sum(self.reference)
        return products << (self.fine_bits - self.product_bits + 1)

    @cached_property
    def rounding(self) -> float:
        """The same in the unit of the references."""
        return float(self.noise) * 2.0**-self.fine_bits

    @cached_property
    def floor(self) -> float:
        """The value floor in the unit of the references."""
        return float(self.value_floor) * self.value_unit


def is_dual(coupling: Coupling) -> TypeGuard[DualCoupling]:
    """Whether multipliers solve it, as isinstance says.

    Where the class has all members, an instance is not asked to compute each of them.
    """
    return _has_members(type(coupling)) or isinstance(coupling, DualCoupling)


@cache
def _has_members(kind: type) -> bool:
    fields = getattr(kind, "__dataclass_fields__", ())
    return all(hasattr(kind, name) or name in fields for name in MEMBERS)


def terms_of(coupling: Coupling, solver: str) -> Terms:
    """Read and check a coupling.

    Raises CapabilityMissing unless it is a DualCoupling, BadInput where its integers cannot be.
    """
    if not is_dual(coupling):
        raise CapabilityMissing(
            f"solver '{solver}' needs a coupling that multipliers solve (DualCoupling)",
            "choose a domain with net amounts, such as 'arbitrage', or another solver",
            field="solver.name",
            value=solver,
        )
    space, ranges = coupling.space, coupling.multiplier_range
    lows, highs = tuple(zip(*ranges, strict=True)) or ((), ())
    terms = Terms(
        names=space.names,
        reference=coupling.reference,
        lowest=lows,
        highest=highs,
        least=coupling.least,
        most=coupling.most,
        margin=coupling.margin,
        scale_bits=space.scale_bits,
        multiplier_bits=coupling.multiplier_bits,
        value_bits=coupling.value_bits,
        value_floor=coupling.value_floor,
        slope_bits=coupling.slope_bits,
        smoothing=coupling.smoothing,
        bound=int(space.bound),
    )
    _check_shape(terms)
    reference, lowest, highest, least, most, margin = terms.limits
    usable = (reference >= 1) & (lowest >= 1) & (lowest <= highest) & (margin >= 0)
    if not bool((usable & (least + margin <= most - margin)).all()):
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


def cut(values: Integers, least: int, most: int) -> Whole:
    """The integers as int64, none below the least or above the most."""
    try:
        return np.clip(np.array(values, dtype=np.int64), least, most)
    except OverflowError:
        return np.array([min(max(value, least), most) for value in values], dtype=np.int64)


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
    if terms.margin[k] < 0 or terms.least[k] + 2 * terms.margin[k] > terms.most[k]:
        raise BadInput(
            f"between least and most total of '{name}' there is no room for twice the margin",
            "widen the limits, or count in finer words so that the margin can be smaller",
            field="coupling.margin",
            value=f"{terms.least[k]}..{terms.most[k]}, margin {terms.margin[k]}",
        )
