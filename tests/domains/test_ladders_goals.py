"""What may be owed in the end, and over which widths jumps are spread: goals and their remains."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domains.ladder_markets import goal

from covenue.errors import BadInput
from covenue.numerics.words import Words, integers, words
from covenue_contracts.canonical import canonical
from covenue_contracts.plan import Goal
from covenue_domain_arbitrage import against
from covenue_domain_arbitrage.coupling import ArbitrageCoupling, continues, coupling
from covenue_domain_arbitrage.goals import GREATEST_BOUND, WIDTHS, parse_goal, read_terms

PLAIN: Mapping[str, Any] = {"assets": ("eth", "usdc"), "references": ("2000", "1"), "jumps": True}
UNIT = 2**26


def allowing(owed: Any, most: Any = "10") -> ArbitrageCoupling:
    return coupling(parse_goal({**PLAIN, "owed": owed, "most": most}), ())


def left(of: ArbitrageCoupling, sure: Words, doubt: Words, planned: Words) -> ArbitrageCoupling:
    return coupling(of.left(sure, doubt, planned), ())


def amounts(*units: int) -> Words:
    return words([unit * UNIT for unit in units])


def test_without_the_new_keys_a_goal_keeps_its_bytes() -> None:
    made = parse_goal(PLAIN)
    assert canonical(made) == canonical(parse_goal({**PLAIN, "owed": "0"}))
    assert "owed" not in made.terms
    assert "widths" not in made.terms
    assert read_terms(made).owed == (0, 0)
    assert read_terms(made).widths == WIDTHS
    assert coupling(made, ()).smoothing == WIDTHS


def test_what_may_be_owed_is_below_zero_by_asset() -> None:
    made = allowing(("3", "unlimited"), ("10", "unlimited"))
    assert made.least == (-3 * UNIT, -GREATEST_BOUND)
    assert made.most == (10 * UNIT, GREATEST_BOUND)
    assert made.admits(amounts(-3, -5000), made.goal)
    assert not made.admits(words([-3 * UNIT - 1, 0]), made.goal)


def test_a_notebook_writes_the_same_goal() -> None:
    by_hand = against({"eth": "2000", "usdc": "1"}, owed="2", widths=(8, 12), jumps=True)
    assert canonical(by_hand) == canonical(
        parse_goal({**PLAIN, "owed": "2", "widths": (8, 12), "band": 128})
    )


def test_widths_are_powers_of_two_of_a_price() -> None:
    made = goal(1, widths=(10, 20))
    assert coupling(made, ()).smoothing == (2**30, 2**20)


BAD: Mapping[str, tuple[dict[str, Any], str]] = {
    "less than nothing owed": ({"owed": "-1"}, "owed"),
    "one amount for three": ({"owed": ("1", "1", "1")}, "owed"),
    "owed as a word": ({"owed": "any"}, "owed"),
    "widths that fall": ({"widths": (12, 10)}, "widths"),
    "a width twice": ({"widths": (12, 12)}, "widths"),
    "no widths": ({"widths": ()}, "widths"),
    "a width of a whole price": ({"widths": (0,)}, "widths"),
    "a width finer than multipliers": ({"widths": (28,)}, "widths"),
    "a width that is true": ({"widths": (True,)}, "widths"),
    "widths where nothing jumps": ({"widths": (10,), "jumps": False}, "widths"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_goal_that_does_not_fit_names_its_field(case: str) -> None:
    change, field = BAD[case]
    with pytest.raises(BadInput) as caught:
        parse_goal({**PLAIN, **change}, "scenario.toml")
    assert caught.value.field == f"domain.goal.{field}"
    assert caught.value.file == "scenario.toml"


@pytest.mark.parametrize("name", ["owed", "widths"])
def test_a_term_that_was_tampered_with_is_refused(name: str) -> None:
    made = goal(1)
    with pytest.raises(BadInput) as caught:
        read_terms(made.model_copy(update={"terms": {**made.terms, name: ("x",)}}))
    assert caught.value.field == f"domain.goal.{name}"


def test_within_the_allowance_a_debt_leaves_less_to_owe() -> None:
    made = left(allowing("3"), amounts(-2, 0), amounts(0, 0), amounts(0, 0))
    assert made.least == (-1 * UNIT, -3 * UNIT)
    assert made.most == (12 * UNIT, 10 * UNIT)


def test_within_the_allowance_what_was_taken_is_kept() -> None:
    """Held amounts are not given again, but what may be owed may still be owed."""
    made = left(allowing("3"), amounts(4, 0), amounts(0, 0), amounts(0, 0))
    assert made.least == (-3 * UNIT, -3 * UNIT)
    assert made.most == (6 * UNIT, 10 * UNIT)


def test_beyond_the_allowance_the_rest_has_to_be_brought_back() -> None:
    made = left(allowing("3"), amounts(-5, 700), amounts(0, 0), amounts(0, 0))
    assert made.least == (2 * UNIT, -703 * UNIT)


def test_what_is_in_doubt_counts_as_owed() -> None:
    made = left(allowing("3"), amounts(0, 0), amounts(-2, 0), amounts(-2, 0))
    assert made.least[0] == 1 * UNIT


@settings(max_examples=60, deadline=None)
@given(
    owed=st.lists(st.integers(0, 9), min_size=2, max_size=2),
    sums=st.lists(st.lists(st.integers(-12, 12), min_size=2, max_size=2), min_size=3, max_size=3),
)
def test_every_order_continues_into_what_is_left_of_it(
    owed: list[int], sums: list[list[int]]
) -> None:
    of = allowing(tuple(str(amount) for amount in owed))
    after = of.left(*(amounts(*row) for row in sums))
    assert continues(of.goal, after)
    terms = read_terms(after)
    sure, doubt, planned = sums
    for k, allowed in enumerate(owed):
        worst = sure[k] + min(0, doubt[k]) + min(0, planned[k])
        assert (worst * UNIT + terms.least[k]) >= -allowed * UNIT


def test_an_order_does_not_continue_into_a_plan_that_may_owe_more() -> None:
    order = allowing("3").goal
    assert not continues(order, with_terms(order, owed=("4", "4")))
    more = order.model_copy(update={"remaining": (str(11 * UNIT), str(10 * UNIT))})
    assert not continues(order, more)


def with_terms(made: Goal, **terms: Any) -> Goal:
    return made.model_copy(update={"terms": {**made.terms, **terms}})


def test_remains_are_whole_words() -> None:
    made = allowing("3")
    after = made.left(words([1, 2]), words([0, 0]), words([0, 0]))
    assert integers(words(int(x) for x in after.remaining)) == (10 * UNIT - 1, 10 * UNIT - 2)
