"""What solvers of a coupling with a `tracking` share: its exact value and bound, and whole lots.

    Uhat(v) = sum_{t<T} (d_t w_t + d_t^2 / 2W) + u_T w_T     u = r - v, d_t = u_t - u_{t+1}
    S(t) = lots offered at keys below t      floor = lots that amounts rounded down come to
    plan (t, r): every offered lot below t, and r at t, with S(t) + r = lots of the order - floor

w: the path, W its weight. Keys are found from sums alone: S rises, so a bracket narrows.
Sources: solvers.md, sections 1, 2(b), 2(c), 3.2 and 5.4.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from covenue.hooks.solvers import Total


@dataclass(frozen=True)
class Bracket:
    """Keys low < high with S(low) below and S(high) above what is wanted; None while unknown.

    floor: lots after rounding down, None before the first total.
    """

    low: int
    at_low: int
    high: int
    at_high: int | None
    floor: int | None = None


@dataclass(frozen=True)
class Depths:
    """One released total: keys in order, S at each, and the floor."""

    keys: tuple[int, ...]
    at: tuple[int, ...]
    floor: int


def whole(end: int) -> Bracket:
    """Before anything is known."""
    return Bracket(0, 0, end, None)


def first_probes(end: int, centre: int, count: int) -> tuple[int, ...]:
    """`end`, and keys on both sides of the centre, dense near it and sparse far away (cubic)."""
    half = (count - 2) // 2
    cube = (half + 1) ** 3
    below = {centre - centre * j**3 // cube for j in range(half + 1)}
    above = {centre + (end - centre) * j**3 // cube for j in range(half + 1)}
    return tuple(sorted({key for key in below | above if 0 < key < end} | {end}))


def next_probes(bracket: Bracket, count: int) -> tuple[int, ...]:
    """At most `count` keys strictly inside, as evenly as integers allow."""
    low, width = bracket.low, bracket.high - bracket.low
    if width - 1 <= count:
        return tuple(range(low + 1, bracket.high))
    return tuple(low + width * j // (count + 1) for j in range(1, count + 1))


def read(bracket: Bracket, points: tuple[int, ...], release: Total) -> Depths | None:
    """A total as depths by key, or None if no offers could have given it."""
    values = release.words.tolist()
    if len(values) != len(points) + 1 or bracket.floor not in (None, values[-1]) or values[-1] < 0:
        return None
    last = values[-2] if bracket.at_high is None else bracket.at_high
    depths = [bracket.at_low, *values[:-1], last]
    if depths != sorted(depths):
        return None
    return Depths(points, tuple(values[:-1]), values[-1])


def narrowed(bracket: Bracket, depths: Depths, wanted: int) -> Bracket:
    """The bracket after a total; `wanted` lies between 0 and all that is offered."""
    k = bisect_left(depths.at, wanted)
    low, at_low = (depths.keys[k - 1], depths.at[k - 1]) if k else (bracket.low, bracket.at_low)
    inside = k < len(depths.at)
    high, at_high = (depths.keys[k], depths.at[k]) if inside else (bracket.high, bracket.at_high)
    return Bracket(low, at_low, high, at_high, depths.floor)


def found(bracket: Bracket, wanted: int) -> tuple[int, int] | None:
    """(t, r) once it is known."""
    if wanted == 0:
        return 0, 0
    if bracket.at_high == wanted:
        return bracket.high, 0
    if bracket.high == bracket.low + 1:
        return bracket.low, wanted - bracket.at_low
    return None


def conjugate(
    v: Sequence[int], r: Sequence[int], path: Sequence[int], bits: tuple[int, int], weight: Fraction
) -> Fraction:
    """Uhat(v), exactly. bits: those of the multipliers and of the Space."""
    grid, unit = bits
    u = [b - a for a, b in zip(v, r, strict=True)]
    bends = [a - b for a, b in pairwise(u)]
    linear = u[-1] * path[-1] + sum(d * w for d, w in zip(bends, path, strict=False))
    square = sum(d * d for d in bends)
    return Fraction(linear, 2 ** (grid + unit)) + Fraction(square, 2 ** (2 * grid + 1)) / weight


def worth(
    nets: Sequence[int],
    r: Sequence[int],
    path: Sequence[int],
    bits: tuple[int, int],
    weight: Fraction,
) -> Fraction:
    """r'y - W/2 |cumulative(y) - w|^2 of totals y, exactly. bits: as in `conjugate`."""
    grid, unit = bits
    linear, square, total = 0, 0, 0
    for net, each, target in zip(nets, r, path, strict=True):
        total += net
        linear += net * each
        square += (total - target) ** 2
    return Fraction(linear, 2 ** (grid + unit)) - weight * Fraction(square, 2 ** (2 * unit + 1))
