"""Ranges of concentrated liquidity as bounded products, in exact integers.

A range with liquidity L between root prices l < u (roots of native b for one native a, times 2^96)
behaves at root price s as a pool with the virtual reserves (L / s, L s), which gives no more than
what lies above its floors (L / u, L l); below l it holds a alone, above u it holds b alone.
A fee, and what rounding leaves, is the providers': beside what is left of one reserve, the other is
what the product of the first reserves asks for, so that a range's ends stay where they are.
Source: Uniswap v3 core, sections 3.2 and 6.2.
"""

from dataclasses import dataclass

from covenue_venue_amm.swaps import WHOLE, received

FIXED_BITS = 96
ENDS_MAX = 2**61
GRAIN, GRAIN_SHIFT = 4, 40


@dataclass(frozen=True)
class Range:
    """Virtual reserves, and the part of each that is never paid out, in native units."""

    reserves: tuple[int, int]
    floors: tuple[int, int]

    @property
    def is_empty(self) -> bool:
        """Whether neither side can be paid out."""
        return self.reserves == self.floors


def range_of(root: int, lower: int, upper: int, liquidity: int) -> Range | None:
    """A range at a root price, all roots times 2^96; None where its reserves cannot be counted.

    What it can give is rounded down.
    """
    least_a, most_a = (liquidity << FIXED_BITS) // upper, (liquidity << FIXED_BITS) // lower
    least_b, most_b = (liquidity * lower) >> FIXED_BITS, (liquidity * upper) >> FIXED_BITS
    if min(least_a, least_b) < 1 or max(most_a, most_b) > ENDS_MAX:
        return None
    at = min(max(root, lower), upper)
    reserves = (liquidity << FIXED_BITS) // at, (liquidity * at) >> FIXED_BITS
    floor_a = -(-(liquidity << FIXED_BITS) // upper)
    floor_b = -(-liquidity * lower >> FIXED_BITS)
    return Range(reserves, (min(floor_a, reserves[0]), min(floor_b, reserves[1])))


def crossing(
    reserve_in: int, reserve_out: int, floor_out: int, paid: int, fee_ppm: int
) -> tuple[int, int]:
    """(paid, received): a range takes no more than it needs to give all that it has."""
    left = reserve_out - floor_out
    taken = min(paid, needed(reserve_in, reserve_out, left, fee_ppm))
    return taken, min(left, received(reserve_in, reserve_out, taken, fee_ppm))


def refilled(product: int, reserve_out: int) -> int:
    """The reserve that was paid into, beside what is left of the other: rounded up.

    product: of the range's first reserves. It never falls, and no path of swaps makes it grow; no
    swap adds more than was paid for it without its fee, rounded up.
    """
    return -(-product // reserve_out)


def needed(reserve_in: int, reserve_out: int, left: int, fee_ppm: int) -> int:
    """The least payment for which a range gives all that is left in it."""
    return -(-reserve_in * WHOLE * left // ((WHOLE - fee_ppm) * (reserve_out - left)))


def is_used_up(reserve_in: int, reserve_out: int, floor_out: int, fee_ppm: int) -> bool:
    """Whether what is left of a range is rounding, on either side: a few native units, or 2^-40.

    A plan is made in floats, and a range's reserves are whole: neighbours meet up to that.
    """
    left = reserve_out - floor_out
    return left <= GRAIN + (reserve_out >> GRAIN_SHIFT) or (
        needed(reserve_in, reserve_out, left, fee_ppm) <= GRAIN + (reserve_in >> GRAIN_SHIFT)
    )
