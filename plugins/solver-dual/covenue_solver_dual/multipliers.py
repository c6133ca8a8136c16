"""Multipliers between rounds: as they are asked, where a range ends, and at the next width."""

import numpy as np

from covenue_contracts.shared import DualVariables
from covenue_solver_dual.held import Held
from covenue_solver_dual.terms import Terms
from covenue_solver_dual.totals import Point


def broadcast(terms: Terms, multipliers: Held) -> DualVariables:
    """The multipliers as a query carries them; what int64 prints needs no check of its form."""
    values = tuple(map(str, multipliers.array.tolist()))
    return DualVariables.model_construct(scale_bits=terms.multiplier_bits, values=values)


def pinned_outside(terms: Terms, point: Point) -> tuple[int, ...]:
    """Coordinates whose multiplier is at the end of its range, and whose total is out of limits."""
    _, lowest, highest, least, most, _ = terms.limits
    short = (point.v == highest) & (point.s < least)
    outside = short | ((point.v == lowest) & (point.s > most))
    return tuple(np.flatnonzero(outside).tolist())


def extrapolated(terms: Terms, last: Held, ends: tuple[Held | None, ...]) -> Held:
    """Where the next width will end, if multipliers go on as they went over the last two.

    An offer that is taken in part holds its multiplier at its own value plus a part of the width:
    as long as the same offers are, multipliers are linear in the width.
    """
    if len(ends) < 2 or ends[-2] is None or ends[-1] is None:
        return last
    wide, middle, narrow = terms.smoothing[len(ends) - 2 : len(ends) + 1]
    rows = zip(
        ends[-2].array.tolist(),
        last.array.tolist(),
        terms.reference,
        terms.lowest,
        terms.limits[2].tolist(),
        strict=True,
    )
    result = []
    for before, at, r, low, high in rows:
        moved = at + (at - before) * (middle - narrow) // (wide - middle)
        kept = max(moved, r) if at > r else min(moved, r) if at < r else r
        result.append(min(max(kept, low), high))
    return Held(np.array(result, dtype=np.int64))
