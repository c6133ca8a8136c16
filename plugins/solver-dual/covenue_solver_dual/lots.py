"""Whole lots: what `dual` may be told of them, beside what all solvers of a path share.

Sources: solvers.md, sections 2(b), 3.2 and 5.4.
"""

from collections.abc import Mapping
from fractions import Fraction

from covenue.errors import BadInput
from covenue.hooks.paths import (
    Bracket,
    Depths,
    first_probes,
    found,
    narrowed,
    next_probes,
    read,
    whole,
)
from covenue.hooks.solvers import QUERY_BYTES_MAX
from covenue_contracts.contract import INTEGER_DIGITS, Scalar

__all__ = [
    "Bracket",
    "Depths",
    "below_half",
    "first_keys",
    "found",
    "lot_tolerance_of",
    "narrowed",
    "next_probes",
    "probes_of",
    "read",
    "whole",
]

DEFAULT_LOT_TOLERANCE = "0.00001"
DEFAULT_PROBES = 511
FRAME = 16 * 1024
MOST_PROBES = (QUERY_BYTES_MAX - FRAME) // (INTEGER_DIGITS + 3)
"""As many keys as a query holds beside its multipliers."""
LEAST_PROBES = 8


def first_keys(end: int, centre: int, count: int) -> tuple[int, ...]:
    """The first probes, and the key at which half a lot was cut off, as `below_half` needs it."""
    return tuple(sorted({*first_probes(end, centre, count - 1), _half(end)}))


def below_half(depths: Depths, end: int) -> int:
    """Lots offered for what is more than half of one, of a total that answers `first_keys`."""
    return depths.at[depths.keys.index(_half(end))]


def _half(end: int) -> int:
    return max(1, end // 2)


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
