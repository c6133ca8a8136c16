"""Lots of the base currency: exact, rounded down, for both payoffs."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from covenue_contracts.energibridge import Instrument
from covenue_contracts.examples import COIN_MARGINED, SPOT

SPOT_BOOK = Instrument.model_validate(SPOT)
INVERSE_BOOK = Instrument.model_validate(COIN_MARGINED)
LOT = Fraction(1, 100_000)


def test_a_linear_quantity_does_not_depend_on_the_price() -> None:
    assert SPOT_BOOK.base_lots(7, 6_009_540, LOT) == 7
    assert SPOT_BOOK.base_lots(7, 1, LOT) == 7


def test_an_inverse_contract_is_its_dollars_over_the_price() -> None:
    assert INVERSE_BOOK.base_lots(1, 500_000, LOT) == 200
    assert INVERSE_BOOK.base_lots(1, 500_001, LOT) == 199


@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_lots_are_rounded_down_and_never_lose_a_whole_one(steps: int, ticks: int) -> None:
    lots = INVERSE_BOOK.base_lots(steps, ticks, LOT)
    exact = Fraction(steps) * 100 / (ticks * Fraction("0.1"))
    assert lots * LOT <= exact < (lots + 1) * LOT
