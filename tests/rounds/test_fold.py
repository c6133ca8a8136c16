import pytest
from tests.rounds.machine import Around

from covenue.errors import ReplayDiffers
from covenue.ledger.entries import Entry
from covenue.rounds.fold import (
    COORDINATOR_INPUTS,
    CoordinatorFold,
    Group,
    check,
    first_difference,
    groups,
)
from covenue.testing.cohorts import Cohort, Setting
from covenue_contracts.contract import Contract
from covenue_contracts.ledger import KillSwitch, Submit
from covenue_contracts.plan import PlanOpen


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    at = Cohort(Around("open"), Setting())
    at.calm()
    return list(at.log(3).entries())


@pytest.fixture(scope="module")
def first(entries: list[Entry]) -> Group:
    return next(groups(entries, COORDINATOR_INPUTS))


def derived(group: Group) -> tuple[Contract, ...]:
    return tuple(entry.body for entry in group.derived)


def test_a_log_splits_into_inputs_and_what_follows_from_them(entries: list[Entry]) -> None:
    steps = list(groups(entries, COORDINATOR_INPUTS))
    assert sum(1 + len(step.derived) for step in steps) == len(entries) - 1
    assert all(step.input.header.kind in COORDINATOR_INPUTS for step in steps)
    assert steps[0].index == 1


def test_a_derived_entry_without_an_input_is_named(entries: list[Entry]) -> None:
    without = [entry for entry in entries if entry.header.kind != "order"]
    with pytest.raises(ReplayDiffers, match="stands before any input") as caught:
        list(groups(without, COORDINATOR_INPUTS))
    assert (caught.value.entry, caught.value.recorded) == (1, "plan.open")


def test_equal_steps_pass(first: Group) -> None:
    check(first, derived(first))


def test_a_step_without_effect_is_no_entry(first: Group) -> None:
    with pytest.raises(ReplayDiffers) as caught:
        check(first, None)
    assert caught.value.entry == first.index


def test_the_first_field_that_differs_is_named_with_both_values(first: Group) -> None:
    (opened,) = derived(first)
    assert isinstance(opened, PlanOpen)
    goal = opened.goal.model_copy(update={"remaining": ("7",)})
    with pytest.raises(ReplayDiffers) as caught:
        check(first, (opened.model_copy(update={"goal": goal, "seed": "f" * 64}),))
    said = caught.value
    assert (said.entry, said.pointer) == (first.index + 1, "/body/goal/remaining/0")
    assert (said.recorded, said.recomputed) == ("6", "7")


def test_another_kind_of_entry_is_named(first: Group) -> None:
    with pytest.raises(ReplayDiffers) as caught:
        check(first, (KillSwitch(plan="0" * 64, reason="?"),))
    assert (caught.value.pointer, caught.value.recomputed) == ("/kind", "kill_switch")


@pytest.mark.parametrize("count", [0, 2])
def test_too_few_or_too_many_derived_entries_are_counted(first: Group, count: int) -> None:
    with pytest.raises(ReplayDiffers) as caught:
        check(first, (derived(first) * 2)[:count])
    assert caught.value.recomputed == f"{count} derived entries"


def test_differences_are_found_in_order_and_in_depth() -> None:
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) is None
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == ("/a/1/b", 2, 3)
    assert first_difference({"a": 1}, {"a": 1, "b": 2}) == ("/b", None, 2)
    assert first_difference([1, 2], [1]) == ("/length", 2, 1)
    assert first_difference((1, 2), (1, 2)) is None
    assert first_difference({"a": 1}, [1]) == ("", {"a": 1}, [1])


def test_an_input_before_any_order_changes_nothing() -> None:
    at = Cohort(Around("open"), Setting())
    fold = CoordinatorFold(at._resolve)
    nothing = Submit(plan="0" * 64, round=0, sender=at.did(0), phase="join", blob="0" * 64)
    assert fold.apply(0, nothing) is None
