"""The public side of a tracked dual, read once, and what rounds released about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Protocol

import numpy as np

from covenue.errors import BadInput
from covenue.hooks.paths import conjugate, worth
from covenue.hooks.solvers import Choice, DualCoupling, Total, Tracking
from covenue.numerics.ldlt import Reals
from covenue.numerics.words import Words, integers
from covenue_contracts.shared import DualVariables
from covenue_solver_dual.tracked_model import product, surveyed, unscaled

Integers = tuple[int, ...]
MOST_BITS = 62
FLOAT_NOISE = 1e-12


@dataclass(frozen=True)
class Place:
    """Multipliers, and the sum of phi_i and of net amounts there; arrays as int64 bytes."""

    multipliers: bytes
    value: int
    nets: bytes


@dataclass(frozen=True)
class WholeLots:
    """The totals of a plan of whole lots as its certify round gave them; nets as int64 bytes."""

    value: int
    nets: bytes
    cost: int


@dataclass(frozen=True)
class Survey:
    """What a place says: D, the gradient, and the gap of the answer as a plan; floats."""

    dual: float
    slope: Reals
    shape: float


@dataclass(frozen=True)
class Track:
    """The integers of a DualCoupling with a tracking; see there for what they mean.

    bits: those of the Space, the multipliers, values and slopes. bound: of a participant's word.
    """

    names: tuple[str, ...]
    bits: tuple[int, int, int, int]
    reference: Integers
    lowest: Integers
    highest: Integers
    margin: Integers
    value_floor: int
    bound: int
    path: Integers
    weight: Fraction
    lot: int
    tie_bits: int

    @property
    def size(self) -> int:
        """Number of slices."""
        return len(self.names)

    @property
    def lots(self) -> int:
        """Lots of the whole order."""
        return self.path[-1] // self.lot

    @property
    def key_end(self) -> int:
        """Every offered lot's key is at least 0 and less than this."""
        return (self.lot - 1) << self.tie_bits

    @property
    def grid(self) -> float:
        """What one of a multiplier stands for."""
        return 2.0 ** -self.bits[1]

    @property
    def unit(self) -> float:
        """What one word stands for."""
        return 2.0 ** -self.bits[0]

    @cached_property
    def loose(self) -> float:
        """1 / weight."""
        return float(1 / self.weight)

    @cached_property
    def origin(self) -> Words:
        """The reference as an array."""
        return _array(self.reference)

    @cached_property
    def bottom(self) -> Words:
        """Lowest multipliers as an array."""
        return _array(self.lowest)

    @cached_property
    def top(self) -> Words:
        """Highest multipliers as an array."""
        return _array(self.highest)

    @cached_property
    def ends(self) -> tuple[Words, Words]:
        """Lowest and highest multipliers."""
        return self.bottom, self.top

    @cached_property
    def target(self) -> Words:
        """The path as an array."""
        return _array(self.path)

    @cached_property
    def rounding(self) -> Words:
        """Words by which a slice's total may be off by rounding, and one more."""
        return _array([margin + 1 for margin in self.margin])

    @cached_property
    def noise(self) -> float:
        """What rounding of the answers may change in a value."""
        return (sum(self.margin) + self.size) * 2.0 ** -self.bits[2]

    def survey(self, place: Place, aim: int) -> Survey:
        """What a place says of the order with `aim` more words in its last slice."""
        target = self.target
        if aim:
            target = target.copy()
            target[-1] += aim
        v, nets = array(place.multipliers), array(place.nets)
        units = self.grid, self.unit
        slope, offset, shape = surveyed(self.origin - v, nets, target, units, self.loose)
        return Survey(offset + place.value * 2.0 ** -self.bits[2], slope, shape)

    def worthwhile(self, dual: float) -> float:
        """What gaps are relative to, as a float."""
        return max(abs(dual), self.value_floor * 2.0 ** -self.bits[2])

    @property
    def value_scale(self) -> int:
        """Value words in one unit of value."""
        return 1 << self.bits[2]

    def bound_at(self, multipliers: bytes, value: int) -> int:
        """D, exactly, rounded up to value words."""
        v = array(multipliers).tolist()
        bits = (self.bits[1], self.bits[0])
        fine = conjugate(v, self.reference, self.path, bits, self.weight) * self.value_scale
        return value - (-fine.numerator // fine.denominator)

    def value_of(self, plan: WholeLots) -> int:
        """What a plan of whole lots is surely worth, rounded down to value words."""
        bits = (self.bits[1], self.bits[0])
        nets = array(plan.nets).tolist()
        fine = worth(nets, self.reference, self.path, bits, self.weight) * self.value_scale
        return fine.numerator // fine.denominator - plan.cost

    def fixed(self, multipliers: Words, slope: Reals) -> Words:
        """1 for each multiplier that is pushed against the end of its range, else 0."""
        above = (multipliers >= self.top) & (slope < 0.0)
        below = (multipliers <= self.bottom) & (slope > 0.0)
        return (above | below).astype(np.int64)

    def broadcast(self, multipliers: bytes) -> DualVariables:
        """Multipliers as a query carries them."""
        values = tuple(map(str, array(multipliers).tolist()))
        return DualVariables(scale_bits=self.bits[1], values=values)


class Framed(Protocol):
    """What is needed to read a total: how many coordinates, and the bound of a word."""

    @property
    def size(self) -> int:
        """Number of coordinates."""
        ...

    @property
    def bound(self) -> int:
        """Of one participant's word."""
        ...


def real(integers: Words, unit: float) -> Reals:
    """Integers as floats, each of them `unit`."""
    return integers.astype(np.float64) * unit


def array(data: bytes) -> Words:
    """Read-only int64 from bytes."""
    return np.frombuffer(data, dtype=np.int64)


def matrix(data: bytes, size: int) -> Reals:
    """Read-only float64 rows from bytes."""
    return np.frombuffer(data, dtype=np.float64).reshape(size, size)


def answered(terms: Framed, multipliers: bytes, release: Total) -> Place | None:
    """The place of a `respond` or `curvature` total, or None if no cohort could have given it."""
    head = release.words[: 1 + terms.size]
    if len(head) != 1 + terms.size or _beyond(terms, head, release):
        return None
    return Place(multipliers, int(head[0]), head[1:].tobytes())


def slopes_of(terms: Track, multipliers: bytes, release: Total) -> Reals | None:
    """H from a `curvature` total, or None if it cannot be positive semidefinite."""
    triangle = release.words[1 + terms.size :]
    if len(triangle) != terms.size * (terms.size + 1) // 2:
        return None
    slopes, fits = unscaled(triangle, array(multipliers), 2.0 ** -terms.bits[3], terms.grid)
    return slopes if fits else None


def certified(terms: Track, release: Total) -> WholeLots | None:
    """The plan of a `certify` total, or None if no cohort could have given it."""
    if len(release.words) != terms.size + 2 or _beyond(terms, release.words, release):
        return None
    value, *_, cost = integers(release.words[[0, -1]])
    return WholeLots(value, release.words[1:-1].tobytes(), cost)


def conflict(terms: Track, left: Place, right: Place) -> bool:
    """Whether two answers cannot come from one cohort: Phi is convex, and above its tangents."""
    v, w = array(left.multipliers), array(right.multipliers)
    move = real(w - v, terms.grid)
    slack_value = product(real(v + w, terms.grid), real(terms.rounding, terms.unit)) + terms.noise
    slack_value += FLOAT_NOISE * (abs(left.value) + abs(right.value)) * 2.0 ** -terms.bits[2]
    rise = (right.value - left.value) * 2.0 ** -terms.bits[2]
    from_left = product(move, real(array(left.nets), terms.unit))
    from_right = product(move, real(array(right.nets), terms.unit))
    return rise < from_left - slack_value or rise > from_right + slack_value


def track_of(coupling: DualCoupling, tracking: Tracking) -> Track:
    """Read and check a coupling and its tracking. Raises BadInput where they cannot be."""
    space, ends = coupling.space, coupling.multiplier_range
    terms = Track(
        names=space.names,
        bits=(
            space.scale_bits,
            coupling.multiplier_bits,
            coupling.value_bits,
            coupling.slope_bits,
        ),
        reference=coupling.reference,
        lowest=tuple(low for low, _ in ends),
        highest=tuple(high for _, high in ends),
        margin=coupling.margin,
        value_floor=coupling.value_floor,
        bound=int(space.bound),
        path=tracking.path,
        weight=tracking.weight,
        lot=tracking.lot,
        tie_bits=tracking.tie_bits,
    )
    for field in ("reference", "lowest", "margin", "path"):
        if len(getattr(terms, field)) != terms.size:
            _refuse(field, len(getattr(terms, field)), f"give {terms.size}, one a slice")
    _check(terms)
    return terms


def _check(terms: Track) -> None:
    if not all(0 <= bits <= MOST_BITS for bits in terms.bits):
        _refuse("bits", terms.bits, f"give 0 to {MOST_BITS} bits for every grid")
    if terms.weight <= 0:
        _refuse("weight", terms.weight, "give a positive weight")
    if terms.lot < 2 or terms.path[-1] < 0 or terms.path[-1] % terms.lot:
        _refuse("path", terms.path[-1], "end it at whole lots of at least two words each")
    if terms.tie_bits < 0 or terms.key_end >= 2**MOST_BITS or terms.path[-1] >= 2**MOST_BITS:
        _refuse("tie_bits", terms.tie_bits, f"keep keys and the path below 2^{MOST_BITS}")
    for low, at, high in zip(terms.lowest, terms.reference, terms.highest, strict=True):
        if not 1 <= low <= at <= high < 2**MOST_BITS:
            _refuse(
                "multiplier_range",
                f"{low}..{high} around {at}",
                "give positive ends, the reference between them",
            )
    if min(terms.margin) < 0 or terms.value_floor < 0:
        _refuse("margin", min(terms.margin), "give margins and a value floor of at least 0")


def _refuse(field: str, value: object, advice: str) -> None:
    raise BadInput(
        f"the coupling's {field} does not fit a tracked path",
        advice,
        field=f"coupling.{field}",
        value=str(value),
    )


def _beyond(terms: Framed, words: Words, release: Total | Choice) -> bool:
    limit = terms.bound * len(release.cohort)
    return max(int(words.max()), -int(words.min())) > limit


def _array(values: Sequence[int]) -> Words:
    result = np.array(values, dtype=np.int64)
    result.flags.writeable = False
    return result
