"""Values on both sides, and what has no form on the other."""

from fractions import Fraction
from typing import Any

import pytest

from covenue.bridge.spelling import Unsayable, first_difference, pointer, read, spell, value_at
from covenue.hooks.dialects import (
    Binary,
    Cases,
    Field,
    Hex,
    Instant,
    Int64s,
    Listed,
    Maybe,
    Measured,
    Named,
    Record,
    Same,
    Scaled,
    Value,
)

BOOK = {"instrument": {"tick": "0.50"}, "per": 10_000, "bits": 3, "state": "a"}
PAIRS: dict[str, tuple[Value, Any, Any]] = {
    "anything stays": (Same(), {"a": [1, None, True]}, {"a": [1, None, True]}),
    "a word": (Named({"buy": "BUY"}), "buy", "BUY"),
    "billionths": (Scaled(Fraction(1, 10**9)), "1500000000", "1.5"),
    "a negative amount": (Scaled(Fraction(1, 100)), "-5", "-0.05"),
    "a number, not text": (Scaled(Fraction(1, 10**6), is_text=False), 3000, "0.003"),
    "a number of thousands": (Scaled(Fraction(1000)), "2", "2000"),
    "ticks": (Measured("instrument/tick"), "124001", "62000.5"),
    "units of a scale": (Measured("per", per_unit=True), "620000001", "62000.0001"),
    "a grid of a field": (Binary("bits"), "-1", "-0.125"),
    "a grid of 2^-40": (Binary(40), "1", "0.0000000000009094947017729282379150390625"),
    "an instant": (Instant(), "1723160860000000001", "2024-08-08T23:47:40.000000001Z"),
    "the first instant": (Instant(), "0", "1970-01-01T00:00:00.000000000Z"),
    "the last instant": (Instant(), "9" * 20, "5138-11-16T09:46:39.999999999Z"),
    "hex": (Hex(), "AP8=", "00ff"),
    "no bytes": (Hex(), "", ""),
    "words": (Int64s(), "//////////8BAAAAAAAAAA==", ["-1", "1"]),
    "null": (Maybe(Hex()), None, None),
    "a value that may be null": (Maybe(Hex()), "AP8=", "00ff"),
    "a list": (Listed(Measured("instrument/tick")), ["1", "3"], ["0.5", "1.5"]),
    "a case": (Cases("state", {"a": Hex()}), "AP8=", "00ff"),
    "nested": (
        Record((Field("a/b", "c"), Field("a/d", "e/f"), Field("g", "e/h", optional=False))),
        {"a": {"b": 1, "d": 2}, "g": 3},
        {"c": 1, "e": {"f": 2, "h": 3}},
    ),
    "what is absent": (Record((Field("a", "b", optional=True),)), {}, {}),
    "a unit told later": (
        Record((Field("n", "amount", Measured("lot")), Field("lot", "z"))),
        {"n": "3", "lot": "0.5"},
        {"amount": "1.5", "z": "0.5"},
    ),
    "an inner unit before an outer one": (
        Record((Field("bits", "x"), Field("n", "amount", Binary("bits")))),
        {"bits": 1, "n": "1"},
        {"x": 1, "amount": "0.5"},
    ),
}


@pytest.mark.parametrize("sentence", PAIRS)
def test_a_value_reads_as_it_was_spelled(sentence: str) -> None:
    value, known, spoken = PAIRS[sentence]
    assert spell(value, known, (BOOK,)) == spoken
    assert read(value, spoken, (BOOK,)) == known


UNSPELLABLE: dict[str, tuple[Value, Any, str]] = {
    "a word nobody knows": (Named({"buy": "BUY"}), "hold", "only these can be said: buy"),
    "an amount that is no integer": (Scaled(), "1.5", "no whole number"),
    "an amount with leading zeros": (Scaled(), "007", "no whole number"),
    "a boolean": (Scaled(is_text=False), True, "no whole number"),
    "a third": (Measured("third", per_unit=True), "1", "does not end"),
    "a unit of zero": (Measured("zero"), "1", "no positive number"),
    "a unit that is no number": (Measured("word"), "1", "no positive number"),
    "a unit that is missing": (Measured("gone"), "1", "'gone', which is missing"),
    "a grid that is text": (Binary("word"), "1", "2^-62"),
    "half a word": (Int64s(), "AP8=", "2 bytes are no whole number"),
    "base64 of nothing known": (Hex(), "A", "no base64"),
    "a time before 1970": (Instant(), "-1", "no time"),
    "a map where a list stands": (Listed(Same()), {}, "no list"),
    "a list where a map stands": (Record(()), [], "no map"),
    "a field nobody named": (Record(()), {"x": 1}, "no such field"),
    "a deep field nobody named": (Record((Field("a/b", "c"),)), {"a": {"b": 1, "x": 2}}, "no such"),
    "a missing field": (Record((Field("a", "b"),)), {}, "missing"),
    "a case nobody listed": (Cases("word", {"a": Same()}), 1, "no words for it"),
}
UNITS = {"third": 3, "zero": "0", "word": "w"}


@pytest.mark.parametrize("sentence", UNSPELLABLE)
def test_what_a_dialect_cannot_say_is_refused(sentence: str) -> None:
    value, known, why = UNSPELLABLE[sentence]
    with pytest.raises(Unsayable, match=why.replace("^", r"\^")):
        spell(value, known, (UNITS,))


UNREADABLE: dict[str, tuple[Value, Any, str]] = {
    "idle zeros": (Scaled(Fraction(1, 100)), "1.50", "idle zeros"),
    "minus zero": (Scaled(Fraction(1, 100)), "-0", "no plain decimal"),
    "an exponent": (Scaled(Fraction(1, 100)), "1e2", "no plain decimal"),
    "digits of another script": (Scaled(), "١", "no plain decimal"),
    "a number where text stands": (Scaled(), 1, "no plain decimal"),
    "an amount of thousands of digits": (Scaled(), "9" * 5000, "no plain decimal"),
    "an amount off the grid": (Scaled(Fraction(1, 100)), "0.001", "nothing is rounded"),
    "an amount between ticks": (Measured("tick"), "1.25", "off the grid of tick"),
    "an amount off a scale": (Measured("per", per_unit=True), "0.5", "off the grid of 1/per"),
    "an amount off a binary grid": (Binary(2), "0.3", r"off the grid of 2\^-2"),
    "a word nobody knows": (Named({"buy": "BUY"}), "buy", "only these can be said: BUY"),
    "a day that never was": (Instant(), "2024-02-30T00:00:00.000000000Z", "no time like"),
    "a time without its zone": (Instant(), "2024-02-29T00:00:00.000000000", "no time like"),
    "a time with too few digits": (Instant(), "2024-02-29T00:00:00.0Z", "no time like"),
    "a time before the first": (Instant(), "1969-12-31T23:59:59.000000000Z", "no time like"),
    "hex in capitals": (Hex(), "FF", "lower-case hex"),
    "half a byte": (Hex(), "f", "lower-case hex"),
    "a word beyond 64 bits": (Int64s(), [str(2**63)], "no int64"),
    "a word that is a number": (Int64s(), [1], "no int64"),
}


@pytest.mark.parametrize("sentence", UNREADABLE)
def test_what_a_dialect_does_not_write_is_refused(sentence: str) -> None:
    value, spoken, why = UNREADABLE[sentence]
    with pytest.raises(Unsayable, match=why):
        read(value, spoken, ({"tick": "0.5", "per": 1},))


def test_a_refusal_names_the_place_on_the_side_it_comes_from() -> None:
    table = Record((Field("levels", "rows", Listed(Record((Field("n", "size", Scaled()),)))),))
    with pytest.raises(Unsayable) as spelled:
        spell(table, {"levels": [{"n": "1"}, {"n": "x"}]})
    with pytest.raises(Unsayable) as reading:
        read(table, {"rows": [{"size": "1"}, {"size": "x"}]})
    assert pointer(spelled.value.where) == "/levels/1/n"
    assert pointer(reading.value.where) == "/rows/1/size"


def test_a_difference_is_found_in_type_and_in_length() -> None:
    assert first_difference({"a": [1, True]}, {"a": [1, 1]}) == ("a", 1)
    assert first_difference({"a": 1}, {"a": 1, "b": 2}) == ("b",)
    assert first_difference([1], [1, 2]) == ()
    assert value_at({"a": [1, 2]}, ("a", 1)) == 2
    assert value_at({"a": [1, 2]}, ("a", 2)) is None
