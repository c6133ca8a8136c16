"""Whole lots: how many of those cut off to give back, found by keys, from sums alone.

    S(t) = lots offered at keys below t      floor = lots that amounts rounded down come to
    plan (t, r): every offered lot below t, and r at t, with S(t) + r = lots of the order - floor

Sources: solvers.md, sections 2(b), 3.2 and 5.4.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from covenue.errors import BadInput
from covenue.hooks.solvers import QUERY_BYTES_MAX, Total
from covenue_contracts.contract import INTEGER_DIGITS, Scalar

DEFAULT_LOT_TOLERANCE = "0.00001"
DEFAULT_PROBES = 255
FRAME = 16 * 1024
MOST_PROBES = (QUERY_BYTES_MAX - FRAME) // (INTEGER_DIGITS + 3)
"""As many keys as a query holds beside its multipliers."""
LEAST_PROBES = 8


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


def lot_tolerance_of(
    options: Mapping[str, Scalar | tuple[Scalar, ...]], tolerance: Fraction
) -> Fraction:
    """The relative gap that certifies a plan of whole lots: decimal text, no less than the other.

    Raises BadInput, naming the option and its value.
    """
    text = options.get("lot_tolerance", DEFAULT_LOT_TOLERANCE)
    try:
        value = Fraction(text) if isinstance(text, str) and text.startswith("0.") else Fraction(0)
    except ValueError:
        value = Fraction(0)
    if not 0 < value < 1:
        raise BadInput(
            "the lot tolerance is not usable",
            f'give a decimal as text between 0 and 1; "{DEFAULT_LOT_TOLERANCE}" is usual',
            field="solver.options.lot_tolerance",
            value=str(text),
        )
    return max(value, tolerance)


def probes_of(options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> int:
    """Keys asked a round. Raises BadInput, naming the option and its value."""
    value = options.get("probes", DEFAULT_PROBES)
    whole_number = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, int) and whole_number and LEAST_PROBES <= value <= MOST_PROBES:
        return value
    raise BadInput(
        "the number of probes a round is not usable",
        f"give a whole number from {LEAST_PROBES} to {MOST_PROBES}; {DEFAULT_PROBES} is usual",
        field="solver.options.probes",
        value=str(value),
    )
