"""Goals of domain `arbitrage`: read exactly, refused by field."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue.errors import BadInput
from covenue.hooks.solvers import QUERY_BYTES_MAX
from covenue_contracts.canonical import canonical
from covenue_contracts.shared import DualVariables, Query
from covenue_domain_arbitrage import Arbitrage, against
from covenue_domain_arbitrage.goals import ASSETS_MOST, MULTIPLIER_BITS, parse_goal, read_terms

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


def test_an_asset_too_many_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        parse_goal(wide(ASSETS_MOST + 1))
    assert (caught.value.field, caught.value.value) == ("domain.goal.assets", "1001")
    assert len(parse_goal(wide(ASSETS_MOST)).remaining) == ASSETS_MOST


def test_the_questions_and_the_solution_of_the_most_assets_fit_their_entries() -> None:
    """Multipliers and net words as large as solvers keep them; not so for a thousand more."""
    sizes = [
        len(canonical(Query(kind="commit", after=None, multipliers=at, points=points)))
        for count in (ASSETS_MOST, 2 * ASSETS_MOST)
        for at in [DualVariables(scale_bits=40, values=(str(2**62),) * count)]
        for points in [(str(-(2**62)),) * count]
    ]
    assert sizes[0] <= QUERY_BYTES_MAX < sizes[1]


def wide(count: int) -> dict[str, Any]:
    return {"assets": [f"a{number}" for number in range(count)], "references": ["1"] * count}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(-5, 5), min_size=2, max_size=2),
    st.lists(st.sampled_from(["low", "high", "middle", "far", "below"]), min_size=2, max_size=2),
    st.sampled_from([2, 128, 65_536]),
    st.sampled_from(["0.0001", "2000.5", "1048576"]),
)
def test_multipliers_are_read_as_exactly_as_their_band_is_kept(
    off: list[int], ends: list[str], band: int, reference: str
) -> None:
    terms = read_terms(parse_goal({**GOOD, "references": (reference, "1"), "band": band}))
    places = [
        {"low": low, "high": high, "middle": (low + high) // 2, "far": high**2, "below": -high}
        for low, high in terms.ranges
    ]
    grid = [place[end] + by for place, end, by in zip(places, ends, off, strict=True)]
    found = terms.within_band([str(v) for v in grid])
    inside = all(low <= v <= high for v, (low, high) in zip(grid, terms.ranges, strict=True))
    assert (found is not None) == inside
    if found is not None:
        assert found.tolist() == [float(v) for v in grid]


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
