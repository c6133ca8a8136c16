"""Goals of domain `arbitrage`: read exactly, refused by field."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from covenue.errors import BadInput
from covenue_domain_arbitrage import Arbitrage, against
from covenue_domain_arbitrage.goals import MULTIPLIER_BITS, parse_goal, read_terms

GOOD: Mapping[str, Any] = {"assets": ["eth", "usdc"], "references": ["2000.5", "1"]}


def test_a_goal_reads_back_as_it_was_written() -> None:
    goal = Arbitrage().goal({**GOOD, "most": "10", "scale_bits": 20, "mode": "executed"})
    terms = read_terms(goal)
    assert goal.aim == "allow"
    assert terms.assets == ("eth", "usdc")
    assert terms.references == (int(Fraction("2000.5") * 2**MULTIPLIER_BITS), 2**MULTIPLIER_BITS)
    assert terms.most == terms.remaining == (10 * 2**20,) * 2
    assert terms.least == (0, 0)
    assert terms.floor == 2**terms.value_bits


def test_a_notebook_writes_the_same_goal() -> None:
    assert against({"eth": "2000.5", "usdc": "1"}, most="10") == parse_goal({**GOOD, "most": "10"})


BAD: Mapping[str, tuple[dict[str, Any], str]] = {
    "no assets": ({"assets": []}, "assets"),
    "an asset in capitals": ({"assets": ["ETH", "usdc"]}, "assets"),
    "an asset twice": ({"assets": ["eth", "eth"]}, "assets"),
    "a missing reference": ({"references": ["1"]}, "references"),
    "a reference too many": ({"references": ["1", "1", "1"]}, "references"),
    "a reference of zero": ({"references": ["0", "1"]}, "references"),
    "a negative reference": ({"references": ["-1", "1"]}, "references"),
    "a reference that is a float": ({"references": [0.5, "1"]}, "references"),
    "a bound below zero": ({"most": "-1"}, "most"),
    "a bound beyond the words": ({"most": "1e30"}, "most"),
    "bounds of another number": ({"most": ["1"]}, "most"),
    "a scale of 60 bits": ({"scale_bits": 60}, "scale_bits"),
    "a scale that is true": ({"value_bits": True}, "value_bits"),
    "a band of one": ({"band": 1}, "band"),
    "a floor of nothing": ({"floor": "0"}, "floor"),
    "jumps as text": ({"jumps": "yes"}, "jumps"),
    "an unknown field": ({"asset": ["x"]}, "asset"),
    "an unknown mode": ({"mode": "later"}, "mode"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_goal_that_does_not_fit_names_field_value_and_what_to_do(case: str) -> None:
    change, field = BAD[case]
    with pytest.raises(BadInput) as caught:
        parse_goal({**GOOD, **change}, "scenario.toml")
    assert caught.value.field == f"domain.goal.{field}"
    assert caught.value.file == "scenario.toml"
    assert caught.value.advice


def test_a_missing_reference_names_its_asset() -> None:
    short = {**GOOD, "references": ("2000",)}
    with pytest.raises(BadInput) as caught:
        parse_goal(short, "scenario.toml")
    assert caught.value.value == "usdc"
    assert "'usdc' has no reference" in caught.value.what


def test_terms_of_another_domain_are_refused() -> None:
    goal = parse_goal(GOOD).model_copy(update={"domain": "routing"})
    with pytest.raises(BadInput):
        read_terms(goal)


@pytest.mark.parametrize("name", ["least", "margin", "most", "references", "band", "jumps"])
def test_a_term_that_was_tampered_with_is_refused(name: str) -> None:
    goal = parse_goal(GOOD)
    broken = goal.model_copy(update={"terms": {**goal.terms, name: "x"}})
    with pytest.raises(BadInput) as caught:
        read_terms(broken)
    assert caught.value.field == f"domain.goal.{name}"
