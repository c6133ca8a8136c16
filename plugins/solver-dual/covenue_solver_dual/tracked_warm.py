"""What a tracked plan leaves for the next one of its order."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from covenue.numerics.words import Words
from covenue_solver_dual.tracked_terms import Integers, Track, array, matrix


@dataclass(frozen=True)
class WarmTracked:
    """Multipliers, H, and the plan's (t, r) with its totals; arrays as bytes.

    grids: which grids and lots they fit. slopes: b"" where unknown. points: () without a plan.
    """

    names: tuple[str, ...]
    grids: tuple[int, ...]
    reference: Integers
    path: Integers
    weight: Fraction
    multipliers: bytes
    slopes: bytes
    points: tuple[int, ...]
    nets: bytes

    def fits(self, terms: Track) -> bool:
        """Whether grids are the same, and every slice of today was one of that plan."""
        return self.grids == _grids(terms) and set(terms.names) <= set(self.names)

    def is_of(self, terms: Track) -> bool:
        """Whether there is a plan, and everything public is as it was."""
        public = (terms.names, terms.reference, terms.path, terms.weight)
        before = (self.names, self.reference, self.path, self.weight)
        return bool(self.points and self.slopes) and public == before

    def moved_to(self, terms: Track) -> tuple[Words, bytes]:
        """Multipliers and H of today's slices, moved as their reference moved, within range."""
        chosen = [self.names.index(name) for name in terms.names]
        values, reference = array(self.multipliers).tolist(), self.reference
        rows = zip(chosen, terms.reference, terms.lowest, terms.highest, strict=True)
        moved = [min(max(values[k] + r - reference[k], low), high) for k, r, low, high in rows]
        slopes = b""
        if self.slopes:
            full = matrix(self.slopes, len(self.names))
            slopes = np.ascontiguousarray(full[np.ix_(chosen, chosen)]).tobytes()
        return np.array(moved, dtype=np.int64), slopes


def warm_from(
    terms: Track, multipliers: bytes, slopes: bytes, points: tuple[int, ...], nets: bytes
) -> WarmTracked:
    """What to hand to the next plan."""
    return WarmTracked(
        terms.names,
        _grids(terms),
        terms.reference,
        terms.path,
        terms.weight,
        multipliers,
        slopes,
        points,
        nets,
    )


def _grids(terms: Track) -> tuple[int, ...]:
    return (*terms.bits, terms.lot, terms.tie_bits)
