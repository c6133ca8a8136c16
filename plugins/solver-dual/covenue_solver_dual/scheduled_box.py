"""Totals within limits, as a schedule sees them: the same face as a tracked path.

    D(v) = sum_k max((r_k - v_k) lower_k, (r_k - v_k) upper_k) + Phi(v)

with a kink at v_k = r_k, where a multiplier rests while its total is within limits.
Source: solvers.md, section 3.1.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from covenue.numerics.ldlt import Reals
from covenue.numerics.words import Words
from covenue_contracts.shared import DualVariables
from covenue_solver_dual.terms import Terms
from covenue_solver_dual.tracked_model import product
from covenue_solver_dual.tracked_terms import Integers, Place, Survey, array, real


@dataclass(frozen=True)
class Box:
    """The integers of a DualCoupling without tracking; lower, upper: limits less their margin."""

    names: tuple[str, ...]
    bits: tuple[int, int, int, int]
    reference: Integers
    lowest: Integers
    highest: Integers
    lower: Integers
    upper: Integers
    value_floor: int
    bound: int

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return len(self.names)

    @property
    def grid(self) -> float:
        """What one of a multiplier stands for."""
        return 2.0 ** -self.bits[1]

    @property
    def unit(self) -> float:
        """What one word stands for."""
        return 2.0 ** -self.bits[0]

    @cached_property
    def origin(self) -> Words:
        """The reference, within range, as an array."""
        held = np.maximum(np.array(self.reference, dtype=np.int64), self.bottom)
        result: Words = np.minimum(held, self.top)
        return result

    @cached_property
    def bottom(self) -> Words:
        """Lowest multipliers as an array."""
        return np.array(self.lowest, dtype=np.int64)

    @cached_property
    def top(self) -> Words:
        """Highest multipliers as an array."""
        return np.array(self.highest, dtype=np.int64)

    @cached_property
    def limits(self) -> tuple[Reals, Reals]:
        """lower and upper in units."""
        return (
            np.array(self.lower, dtype=np.float64) * self.unit,
            np.array(self.upper, dtype=np.float64) * self.unit,
        )

    def survey(self, place: Place, aim: int) -> Survey:
        """D, its subgradient of least size, and what the answer lacks as a plan.

        aim: not used here; limits are fixed.
        """
        low, high = self.limits
        apart = real(array(place.multipliers) - self.origin, self.grid)
        nets = real(array(place.nets), self.unit)
        rest = np.minimum(nets - low, 0.0) + np.maximum(nets - high, 0.0)
        slope = np.where(apart > 0.0, nets - low, np.where(apart < 0.0, nets - high, rest))
        offset = product(-apart, np.where(apart > 0.0, low, high))
        gap = product(np.abs(apart), np.abs(slope))
        return Survey(offset + place.value * 2.0 ** -self.bits[2], slope, gap)

    def fixed(self, multipliers: Words, slope: Reals) -> Words:
        """1 for each multiplier at rest, or pushed against the end of its range, else 0."""
        above = (multipliers >= self.top) & (slope < 0.0)
        below = (multipliers <= self.bottom) & (slope > 0.0)
        rests = (multipliers == self.origin) & (slope == 0.0)
        held: Words = (above | below | rests).astype(np.int64)
        return held

    def landed(self, start: Words, wanted: Words) -> Words:
        """Multipliers after a move, landed on their reference where they would cross it."""
        crosses = ((start > self.origin) & (wanted < self.origin)) | (
            (start < self.origin) & (wanted > self.origin)
        )
        result: Words = np.where(crosses, self.origin, wanted)
        return result

    def broadcast(self, multipliers: bytes) -> DualVariables:
        """Multipliers as a query carries them."""
        values = tuple(map(str, array(multipliers).tolist()))
        return DualVariables(scale_bits=self.bits[1], values=values)


def box_of(terms: Terms) -> Box:
    """The box of terms that were read and checked before."""
    rows = list(zip(terms.least, terms.most, terms.margin, strict=True))
    return Box(
        names=terms.names,
        bits=(terms.scale_bits, terms.multiplier_bits, terms.value_bits, terms.slope_bits),
        reference=terms.reference,
        lowest=terms.lowest,
        highest=terms.highest,
        lower=tuple(least + margin for least, _, margin in rows),
        upper=tuple(most - margin for _, most, margin in rows),
        value_floor=terms.value_floor,
        bound=terms.bound,
    )
