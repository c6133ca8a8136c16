"""What an order may ask for, what a party may configure, and what the package ships."""

import importlib
import json
import re
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import covenue_domain_routing
import covenue_solver_search
from covenue.errors import BadInput
from covenue.hooks.domains import Domain
from covenue.hooks.solvers import Solver
from covenue.numerics.decimals import plain
from covenue_contracts.canonical import canonical
from covenue_contracts.contract import Scalar
from covenue_contracts.plan import Goal
from covenue_contracts.plugin import PluginManifest
from covenue_domain_routing import Routing, buy, register_domains, sell
from covenue_domain_routing.goals import read_terms
from covenue_domain_routing.ladders import parse_charges
from covenue_solver_search import Search, register_solvers

PLAIN: Mapping[str, Scalar] = {"side": "buy", "quantity": "100", "lot": "0.00001"}


def test_a_goal_carries_whole_lots_and_price_units() -> None:
    goal = Routing().goal({**PLAIN, "limit_price": "62000.5", "minimum": "0.5", "pace": "2"})
    assert goal.remaining == ("10000000",)
    assert goal.terms == {
        "side": "buy",
        "instrument": None,
        "lot": "0.00001",
        "price_scale": 10_000,
        "limit_price": "620005000",
        "minimum_lots": "50000",
        "quantity_lots": "10000000",
        "pace_lots": "200000",
        "whole_steps": False,
    }
    terms = read_terms(goal)
    assert (terms.wanted, terms.left, terms.limit) == (200_000, 10_000_000, 620_005_000)


BAD_GOALS: Mapping[str, tuple[Mapping[str, Scalar], str, str]] = {
    "a negative quantity": ({"quantity": "-1"}, "quantity", "-1"),
    "a quantity of nothing": ({"quantity": "0"}, "quantity", "0"),
    "a quantity of nothing, written longer": ({"quantity": "0.000"}, "quantity", "0.000"),
    "no quantity": ({"quantity": None}, "quantity", "missing"),
    "a quantity off the lot grid": ({"quantity": "0.000001"}, "quantity", "0.000001"),
    "a quantity that is no number": ({"quantity": "lots"}, "quantity", "lots"),
    "a quantity with an exponent": ({"quantity": "1e2"}, "quantity", "1e2"),
    "a quantity that is not a number": ({"quantity": "nan"}, "quantity", "nan"),
    "a quantity with a comma": ({"quantity": "1,5"}, "quantity", "1,5"),
    "a truth value": ({"quantity": True}, "quantity", "true"),
    "a quantity beyond 2^53 lots": ({"quantity": "99999999999999"}, "quantity", "99999999999999"),
    "a lot of nothing": ({"lot": "0"}, "lot", "0"),
    "a negative lot": ({"lot": "-0.1"}, "lot", "-0.1"),
    "a limit off the price grid": ({"limit_price": "1.00001"}, "limit_price", "1.00001"),
    "a negative limit": ({"limit_price": "-5"}, "limit_price", "-5"),
    "a limit of nothing": ({"limit_price": "0"}, "limit_price", "0"),
    "a limit too high to sum": (
        {"limit_price": "999999999999999"},
        "limit_price",
        "999999999999999",
    ),
    "a minimum above the quantity": ({"minimum": "101"}, "minimum", "101"),
    "a minimum above the pace": ({"minimum": "3", "pace": "2"}, "minimum", "3"),
    "a minimum off the lot grid": ({"minimum": "0.000015"}, "minimum", "0.000015"),
    "a pace of nothing": ({"pace": "0"}, "pace", "0"),
    "a negative pace": ({"pace": "-2"}, "pace", "-2"),
    "no side": ({"side": None}, "side", "missing"),
    "a side of its own": ({"side": "hold"}, "side", "hold"),
    "a misspelt field": ({"quantitty": "1"}, "quantitty", "1"),
    "an instrument of nothing": ({"instrument": ""}, "instrument", ""),
    "a scale of nothing": ({"price_scale": 0}, "price_scale", "0"),
    "a scale as text": ({"price_scale": "10"}, "price_scale", "10"),
    "a deadline, which is the order's": ({"deadline": "1"}, "deadline", "1"),
    "a mode of its own": ({"mode": "paper"}, "mode", "paper"),
    "a mode of truth": ({"mode": True}, "mode", "true"),
    "a lot finer than an action can carry": (
        {"lot": "0." + "0" * 18 + "1"},
        "lot",
        "0." + "0" * 18 + "1",
    ),
    "a lot larger than an action can carry": ({"lot": "1" + "0" * 21}, "lot", "1" + "0" * 21),
}


@pytest.mark.parametrize("name", BAD_GOALS)
def test_a_goal_that_does_not_fit_is_refused_by_file_field_and_value(name: str) -> None:
    change, field, value = BAD_GOALS[name]
    with pytest.raises(BadInput) as caught:
        Routing().goal({**PLAIN, **change}, "order.toml")
    assert (caught.value.file, caught.value.field, caught.value.value) == (
        "order.toml",
        f"domain.goal.{field}",
        value,
    )
    assert caught.value.advice


@pytest.mark.parametrize("key", ["quantity", "side", "lot", "mode", "price_scale", "quantitty"])
def test_a_list_is_shown_as_toml_writes_it(key: str) -> None:
    listed: Any = {**PLAIN, key: (1,)}
    with pytest.raises(BadInput) as caught:
        Routing().goal(listed)
    assert (caught.value.field, caught.value.value) == (f"domain.goal.{key}", "[1]")
    charge: Any = {"fee_bps": ("a", True)}
    with pytest.raises(BadInput) as caught:
        parse_charges(charge)
    assert (caught.value.field, caught.value.value) == ("party.config.fee_bps", '["a", true]')


def test_a_deadline_is_sent_to_where_it_belongs() -> None:
    with pytest.raises(BadInput, match=r"`until` of its \[\[order\]\]"):
        Routing().goal({**PLAIN, "deadline": "1723161361000000000"})


def test_only_an_executed_order_leaves_out_what_it_could_not_fill() -> None:
    modes = {mode: Routing().goal({**PLAIN, "mode": mode}) for mode in ("standing", "executed")}
    assert [goal.terms["whole_steps"] for goal in modes.values()] == [False, True]
    assert [read_terms(goal).whole_steps for goal in modes.values()] == [False, True]
    assert modes["standing"] == Routing().goal(PLAIN)


@given(st.integers(0, 2**63), st.integers(0, 18))
def test_a_decimal_is_written_as_contracts_want_it(digits: int, places: int) -> None:
    value = Fraction(digits, 10**places)
    text = plain(value)
    assert Fraction(text) == value
    assert re.fullmatch(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{0,17}[1-9])?", text)
    with pytest.raises(ValueError, match="places"):
        plain(value + Fraction(1, 3 * 10**18))


def test_lot_and_tick_violations_say_so() -> None:
    for change in ({"quantity": "0.000001"}, {"limit_price": "1.00001"}):
        with pytest.raises(BadInput, match="tick or lot violation"):
            Routing().goal({**PLAIN, **change})


def test_a_misspelt_field_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(BadInput, match="did you mean 'quantity'"):
        Routing().goal({**PLAIN, "quantitty": "1"})


@given(st.integers(1, 2**53 - 1), st.integers(0, 8))
def test_quantities_are_exact_at_any_size(lots: int, places: int) -> None:
    lot = "1" if not places else "0." + "0" * (places - 1) + "1"
    digits = str(lots).rjust(places + 1, "0")
    quantity = digits if not places else f"{digits[:-places]}.{digits[-places:]}"
    goal = buy(quantity, lot=lot)
    assert goal.remaining == (str(lots),)
    canonical(goal)


def test_notebook_goals_are_those_of_a_scenario() -> None:
    assert buy("100") == Routing().goal(PLAIN)
    assert sell("1", pace="0.5").terms["side"] == "sell"
    with pytest.raises(BadInput):
        buy(0.1)  # type: ignore[arg-type]  # on purpose: what is refused or handed on


def test_a_goal_of_another_domain_or_with_broken_terms_is_refused() -> None:
    goal = buy("1")
    broken = [
        goal.model_copy(update={"domain": "passes"}),
        goal.model_copy(update={"remaining": ("1", "2")}),
        goal.model_copy(update={"terms": {**goal.terms, "price_scale": "7"}}),
        goal.model_copy(update={"terms": {**goal.terms, "quantity_lots": 7}}),
        goal.model_copy(update={"terms": {**goal.terms, "limit_price": "-7"}}),
        goal.model_copy(update={"terms": {**goal.terms, "lot": None}}),
        goal.model_copy(update={"terms": {**goal.terms, "side": None}}),
        goal.model_copy(update={"terms": {**goal.terms, "whole_steps": "yes"}}),
    ]
    for each in broken:
        with pytest.raises(BadInput):
            read_terms(each)


BAD_CHARGES: Mapping[str, Mapping[str, Scalar]] = {
    "fee_bps": {"fee_bps": "10000"},
    "basis_bps": {"basis_bps": "-10000"},
    "fee": {"fee": "1"},
}


@pytest.mark.parametrize("field", BAD_CHARGES)
def test_charges_that_do_not_fit_are_refused(field: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_charges(BAD_CHARGES[field])
    assert caught.value.field == f"party.config.{field}"


def test_charges_are_exact_and_nothing_where_not_given() -> None:
    charges = parse_charges({"fee_bps": "2.4", "basis_bps": "-3.5"})
    assert charges.fee * 10**6 == 240
    assert charges.basis * 10**6 == -350
    assert parse_charges({}).factor(buying=True) == 1
    with pytest.raises(BadInput):
        parse_charges({"fee_bps": "two"})


# ---- what is shipped


def test_the_shipped_scenario_fits_the_domain_and_the_solver() -> None:
    (scenario,) = Routing().scenarios()
    table = tomllib.loads(scenario.path.read_text())
    assert (scenario.name, scenario.summary) == (
        table["scenario"]["name"],
        table["scenario"]["summary"],
    )
    goal = Routing().goal(table["domain"]["goal"], str(scenario.path))
    assert isinstance(goal, Goal)
    for order in table["order"]:
        Routing().goal({**table["domain"]["goal"], **order.get("goal", {})})
    Search.from_options(table["solver"]["options"])
    assert [party["slot"] for party in table["party"]] == [0, 1, 2]
    for party in table["party"]:
        parse_charges(party["config"])


def test_the_options_of_the_scenario_name_what_exists() -> None:
    (scenario,) = Routing().scenarios()
    table = tomllib.loads(scenario.path.read_text())
    parties = {party["name"]: party for party in table["party"]}
    fees = table["options"]["fees"]
    assert fees["default"] in fees["choices"]
    for choice in fees["choices"].values():
        for path, value in choice.items():
            head, name, room, key = path.split(".")
            assert head == "party"
            assert key in parties[name][room]
            parse_charges({key: value})
    assert table["options"]["quantity"]["sets"] == ["domain.goal.quantity"]


@pytest.mark.parametrize("package", [covenue_domain_routing, covenue_solver_search])
def test_a_manifest_names_objects_that_exist(package: object) -> None:
    where = getattr(package, "__file__", None)
    assert isinstance(where, str)
    text = Path(where).with_name("plugin.json").read_text()
    manifest = PluginManifest.model_validate_json(json.dumps(json.loads(text)))
    for provided in manifest.provides:
        module, name = provided.object.split(":")
        assert hasattr(importlib.import_module(module), name)


def test_registration_hands_over_working_factories() -> None:
    domains: dict[str, Domain] = {}
    register_domains(lambda name, factory: domains.update({name: factory()}))
    assert [type(domain).__name__ for domain in domains.values()] == ["Routing"]
    solvers: dict[str, Solver] = {}
    register_solvers(lambda name, factory: solvers.update({name: factory({"probes": 9})}))
    assert solvers["search"].needs == {"DEPTH"}
