"""Where a multiplier stands to its reference and to its range, and where it may go.

The dual has a kink at v_k = r_k. With s_k the total of coordinate k, its slope in v_k is

    v_k > r_k:  s_k - lower_k        v_k < r_k:  s_k - upper_k        v_k = r_k:  anything between

so a multiplier rests at its reference while lower_k <= s_k <= upper_k.
"""

from covenue_solver_dual.terms import Integers, Terms
from covenue_solver_dual.totals import Point

Reach = tuple[float, float]
"""How far a multiplier may fall and rise in one step, relative to itself."""

WIDE_REACH: Reach = (-0.7, 1.5)


def gradient(terms: Terms, point: Point) -> Integers:
    """The subgradient of least size, with margin, in words; 0 where a multiplier may rest."""
    rows = zip(
        point.multipliers, terms.reference, point.nets, terms.lower, terms.upper, strict=True
    )
    return tuple(_slope(v, r, net, low, high) for v, r, net, low, high in rows)


def _slope(v: int, r: int, net: int, low: int, high: int) -> int:
    if v > r:
        return net - low
    if v < r:
        return net - high
    return min(net - low, 0) + max(net - high, 0)


def sides(terms: Terms, multipliers: Integers, slopes: Integers) -> Integers:
    """Which branch a multiplier is on, or leaves its reference for: 1 above, -1 below, 0 rests."""
    rows = zip(multipliers, terms.reference, slopes, strict=True)
    return tuple((v > r) - (v < r) or (g < 0) - (g > 0) for v, r, g in rows)


def free(terms: Terms, multipliers: Integers, slopes: Integers) -> tuple[bool, ...]:
    """Which multipliers may move: all but those at rest, or pushed against the end of a range."""
    side = sides(terms, multipliers, slopes)
    rows = zip(side, multipliers, slopes, terms.lowest, terms.highest, strict=True)
    return tuple(
        b != 0 and not (g < 0 and v >= high) and not (g > 0 and v <= low)
        for b, v, g, low, high in rows
    )


def landed(terms: Terms, start: Integers, side: Integers, wanted: Integers) -> Integers:
    """Wanted multipliers, kept within range and on their side: what would cross lands on r."""
    result = []
    rows = zip(start, side, wanted, terms.reference, terms.lowest, terms.highest, strict=True)
    for stays, branch, value, r, low, high in rows:
        kept = max(value, r) if branch > 0 else min(value, r)
        result.append(min(max(kept, low), high) if branch else stays)
    return tuple(result)


def residual(multipliers: Integers, slopes: Integers, able: tuple[bool, ...]) -> int:
    """Value of what is still out of place, in 2^-product_bits: sum of v_k |g_k| over the free."""
    rows = zip(multipliers, slopes, able, strict=True)
    return sum(v * abs(g) for v, g, moves in rows if moves)


def pinned_outside(terms: Terms, point: Point) -> bool:
    """Whether a multiplier stands at the end of its range and its total is still out of limits."""
    rows = zip(
        point.multipliers,
        point.nets,
        terms.lowest,
        terms.highest,
        terms.least,
        terms.most,
        strict=True,
    )
    return any(
        (v == high and net < least) or (v == low and net > most)
        for v, net, low, high, least, most in rows
    )


def falls(terms: Terms, start: Point, end: Point) -> tuple[int, int]:
    """Slope of the dual with margin along the step from start to end: at its start, at its end.

    In 2^-product_bits, for the whole step. A step never crosses a reference, so it lies on one
    branch of every coordinate, and there the slope is linear in the net amount.
    """
    first = last = 0
    rows = zip(
        start.multipliers,
        end.multipliers,
        terms.reference,
        start.nets,
        end.nets,
        terms.lower,
        terms.upper,
        strict=True,
    )
    for v, w, r, before, after, low, high in rows:
        limit = low if max(v, w) > r else high
        first += (before - limit) * (w - v)
        last += (after - limit) * (w - v)
    return first, last
