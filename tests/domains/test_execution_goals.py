"""The goal of an execution order: what is read, what is refused, and when slices are due."""

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import BadInput
from covenue_contracts.contract import Scalar
from covenue_domain_execution import Execution, buy, sell
from covenue_domain_execution.goals import GRID, parse_goal, read_terms

BASE: dict[str, Scalar] = {
    "side": "buy",
    "quantity": "100",
    "price": "50",
    "slices": 4,
}
SECOND = 10**9


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("side", "hold"),
        ("quantity", "0.5"),
        ("quantity", "0"),
        ("quantity", 1.5),
        ("price", "-1"),
        ("price", "2000000"),
        ("slices", 0),
        ("slices", 201),
        ("slices", True),
        ("lot", "0"),
        ("lot", "0.0000000000000000001"),
        ("curve", "v"),
        ("curve", ("1", "2", "3")),
        ("curve", ("0", "0", "0", "0")),
        ("curve", ("1", "-1", "1", "1")),
        ("tracking_bps", "0"),
        ("limit_price", "0"),
        ("band", "1"),
        ("band", "0"),
        ("scale_bits", 0),
        ("value_bits", 41),
        ("slope_bits", "9"),
        ("floor_bps", "0"),
        ("instrument", ""),
        ("mode", "often"),
    ],
)
def test_a_field_that_does_not_fit_is_refused_by_name(field: str, value: Scalar) -> None:
    with pytest.raises(BadInput) as refused:
        parse_goal({**BASE, field: value}, "scenario.toml")
    assert refused.value.field == f"domain.goal.{field}"
    assert refused.value.file == "scenario.toml"


@pytest.mark.parametrize("field", ["side", "quantity", "price", "slices"])
def test_what_has_to_be_given_is_asked_for(field: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_goal({key: value for key, value in BASE.items() if key != field})
    assert refused.value.field == f"domain.goal.{field}"


def test_a_misspelt_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput) as refused:
        parse_goal({**BASE, "tracking_bp": "1"})
    assert "tracking_bps" in refused.value.advice


def test_an_executed_order_needs_the_time_of_its_slices() -> None:
    with pytest.raises(BadInput) as refused:
        parse_goal({**BASE, "mode": "executed"})
    assert refused.value.field == "domain.goal.start"
    halves: tuple[tuple[dict[str, Scalar], str], ...] = (
        ({"start": "5"}, "every_ms"),
        ({"every_ms": 5}, "start"),
        ({"start": str(2**63), "every_ms": 5}, "start"),
    )
    for times, field in halves:
        with pytest.raises(BadInput) as half:
            parse_goal({**BASE, **times})
        assert half.value.field == f"domain.goal.{field}"
    timed = read_terms(parse_goal({**BASE, "mode": "executed", "start": 7, "every_ms": 1000}))
    assert (timed.start, timed.every) == (7, SECOND)


def test_a_quantity_is_rounded_down_to_whole_lots() -> None:
    terms = read_terms(parse_goal({**BASE, "quantity": "100.9", "lot": "0.25"}))
    assert terms.quantity == 403
    assert terms.lot == Fraction(1, 4)
    assert sum(terms.remaining) == terms.wanted == 403


def test_the_u_curve_is_that_of_its_formula() -> None:
    """0.6 + 2.4 u^2 in the middle of each slice, u from -1/2 to 1/2; solvers.md, section 6."""
    terms = read_terms(parse_goal({**BASE, "slices": 78, "quantity": "100000"}))
    shape = [
        Fraction(6, 10) + Fraction(24, 10) * (Fraction(2 * t + 1, 156) - Fraction(1, 2)) ** 2
        for t in range(78)
    ]
    share = sum(shape)
    for weight, exact in zip(terms.curve, shape, strict=True):
        assert Fraction(weight, sum(terms.curve)) == exact / share
    assert list(terms.target) == [int(100_000 * upto / share) for upto in accumulate(shape)]


def test_a_curve_of_decimals_keeps_its_proportions() -> None:
    terms = read_terms(parse_goal({**BASE, "curve": ("0.5", "1.25", "0", "3.25")}))
    assert terms.target == (10, 35, 35, 100)
    flat = read_terms(parse_goal({**BASE, "curve": "flat"}))
    assert flat.target == (25, 50, 75, 100)


@given(
    st.integers(1, 10**9),
    st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any),
    st.integers(0, 2 * 10**9),
)
def test_what_rests_ends_where_the_order_ends(quantity: int, curve: list[int], taken: int) -> None:
    weights = tuple(str(weight) for weight in curve)
    terms = read_terms(
        parse_goal({**BASE, "quantity": quantity, "slices": len(curve), "curve": weights})
    )
    assert terms.target[-1] == quantity
    rest = terms.rest(taken)
    assert sum(rest) == max(0, quantity - taken)
    assert min(rest) >= 0


def test_scales_leave_room_for_the_notional() -> None:
    for quantity, price, lot in (("6", "60000", "0.00001"), ("1000000000", "1", "1")):
        terms = read_terms(parse_goal({**BASE, "quantity": quantity, "price": price, "lot": lot}))
        notional = terms.price * terms.quantity // GRID
        assert notional << terms.value_bits < 2**57
        assert terms.scale_bits == 20
    small = read_terms(parse_goal(BASE))
    assert (small.value_bits, small.slope_bits) == (20, 20)
    assert small.floor == int(Fraction(50 * 100, 10_000) * 2**20)


def test_notebook_goals_are_those_of_a_scenario() -> None:
    assert buy("100", "50", 4) == Execution().goal(BASE)
    assert sell(100, 50, 4, curve="flat") == Execution().goal(
        {**BASE, "side": "sell", "curve": "flat", "quantity": 100, "price": 50}
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price": "0"}, "domain.goal.price"),
        ({"price": 5}, "domain.goal.price"),
        ({"reach": str(50 * 2**40)}, "domain.goal.reach"),
        ({"curve": ("1", "1")}, "domain.goal.remaining"),
        ({"curve": 5}, "domain.goal.curve"),
        ({"start": "5"}, "domain.goal.every"),
        ({"start": "5", "every": "0"}, "domain.goal.every"),
        ({"lot": "x"}, "domain.goal.lot"),
        ({"side": None}, "domain.goal.side"),
    ],
)
def test_terms_that_no_parsed_goal_has_are_refused(change: dict[str, Scalar], field: str) -> None:
    made = parse_goal(BASE)
    with pytest.raises(BadInput) as refused:
        read_terms(made.model_copy(update={"terms": {**made.terms, **change}}))
    assert refused.value.field == field


def test_a_goal_of_another_domain_is_refused() -> None:
    made = parse_goal(BASE).model_copy(update={"domain": "routing"})
    with pytest.raises(BadInput) as refused:
        read_terms(made)
    assert refused.value.field == "goal.domain"
