"""Exact decimals, and the sentence that each other value gets."""

from fractions import Fraction

import pytest

from covenue.errors import BadInput
from covenue.numerics.decimals import parse_decimal
from covenue_domain_routing import buy


@pytest.mark.parametrize(("value", "exact"), [("0.001", Fraction(1, 1000)), (12, Fraction(12))])
def test_texts_and_whole_numbers_are_exact(value: str | int, exact: Fraction) -> None:
    assert parse_decimal(value, "lot") == exact


@pytest.mark.parametrize("value", [0.001, 1e-5, float("nan"), float("inf"), -0.0])
def test_a_float_is_called_a_float_and_is_to_be_put_in_quotes(value: float) -> None:
    with pytest.raises(BadInput) as caught:
        parse_decimal(value, "lot")
    assert "a float; write it in quotes" in caught.value.advice
    assert (caught.value.field, caught.value.value) == ("lot", repr(value))


def test_a_notebook_s_float_is_refused_as_such() -> None:
    with pytest.raises(BadInput, match="a float; write it in quotes"):
        buy("9", lot=0.001)  # type: ignore[arg-type]  # what a person writes first


@pytest.mark.parametrize("value", [None, True, "9,5", "1e3", "", "9" * 65])
def test_what_is_no_decimal_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="no plain decimal"):
        parse_decimal(value, "lot")
