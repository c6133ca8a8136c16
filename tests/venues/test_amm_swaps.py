"""The swap formula against fractions, against the closed form of two pools, and its laws."""

from fractions import Fraction
from math import isqrt

from hypothesis import given
from hypothesis import strategies as st

from covenue_venue_amm.swaps import WHOLE, received

RESERVES = st.integers(1, 2**62)
FEES = st.integers(0, WHOLE - 1)


@given(RESERVES, RESERVES, RESERVES, FEES)
def test_a_swap_gives_the_floor_of_the_exact_amount(
    reserve_in: int, reserve_out: int, paid: int, fee_ppm: int
) -> None:
    counted = paid * (1 - Fraction(fee_ppm, WHOLE))
    exact = reserve_out * counted / (reserve_in + counted)
    got = received(reserve_in, reserve_out, paid, fee_ppm)
    assert got <= exact < got + 1


@given(RESERVES, RESERVES, RESERVES, FEES)
def test_the_invariant_never_falls_and_something_of_both_remains(
    reserve_in: int, reserve_out: int, paid: int, fee_ppm: int
) -> None:
    left = reserve_out - received(reserve_in, reserve_out, paid, fee_ppm)
    assert left > 0
    assert (reserve_in + paid) * left >= reserve_in * reserve_out


@given(RESERVES, RESERVES, st.integers(1, 2**40), st.integers(1, 2**40), FEES)
def test_splitting_a_swap_gains_at_most_what_rounding_gives(
    reserve_in: int, reserve_out: int, one: int, other: int, fee_ppm: int
) -> None:
    """A fee that stays in the pool makes the second half dearer, never cheaper."""
    whole = received(reserve_in, reserve_out, one + other, fee_ppm)
    first = received(reserve_in, reserve_out, one, fee_ppm)
    second = received(reserve_in + one, reserve_out - first, other, fee_ppm)
    assert first + second <= whole + 1


LARGE = st.integers(10**12, 10**15)


def composed(r: tuple[int, int], s: tuple[int, int], fee_ppm: int) -> tuple[Fraction, Fraction]:
    """The one virtual pool (E_a, E_b) of two in a row. Source: venues.md, section 6."""
    gamma = 1 - Fraction(fee_ppm, WHOLE)
    below = s[0] + gamma * r[1]
    return r[0] * s[0] / below, gamma * r[1] * s[1] / below


@given(LARGE, LARGE, LARGE, LARGE, st.sampled_from([0, 100, 500, 3_000, 10_000]))
def test_two_pools_in_a_row_earn_the_most_where_the_closed_form_says(
    r_a: int, r_b: int, s_b: int, s_a: int, fee_ppm: int
) -> None:
    gamma = 1 - Fraction(fee_ppm, WHOLE)
    e_a, e_b = composed((r_a, r_b), (s_b, s_a), fee_ppm)

    def earned(paid: int) -> int:
        between = received(r_a, r_b, paid, fee_ppm)
        return received(s_b, s_a, between, fee_ppm) - paid

    product = gamma * e_a * e_b
    root = Fraction(isqrt(product.numerator * product.denominator), product.denominator)
    best = int((root - e_a) / gamma) if gamma * e_b > e_a else 0
    rounding = 2 + s_a // s_b  # one native unit lost between the pools is worth that many here
    if best:
        expected = gamma * e_b * best / (e_a + gamma * best) - best
        assert expected - rounding <= earned(best) <= expected
    for paid in (best // 2, best * 9 // 10, best * 11 // 10, best * 2, best + 10**9):
        assert earned(paid) <= earned(best) + rounding
