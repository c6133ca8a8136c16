"""Each guard of the rounds, switched off: the schedules must notice within a bound."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis.stateful import run_state_machine_as_test
from tests.rounds.machine import profile, schedules

from covenue.hooks.engines import TailReply
from covenue.hooks.venues import NEVER_SEEN
from covenue.numerics.words import Words
from covenue.rounds import coordinator, node_state, participant, run
from covenue.testing import domains
from covenue_contracts.contract import Contract
from covenue_contracts.ledger import ClockReading, KillSwitch
from covenue_contracts.plan import Goal

SCHEDULES_MOST = 400

Mutant = Callable[[pytest.MonkeyPatch], None]


def memory_from_the_last_query(patch: pytest.MonkeyPatch) -> None:
    def last(memories: Mapping[str, bytes], after: str | None) -> bytes:
        return list(memories.values())[-1] if memories else b""

    patch.setattr(participant, "remembered", last)


def acting_on_a_late_go(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(participant, "in_time", lambda wall, valid_until: True)


def acting_after_the_settle_query(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(participant, "_settling", lambda view: False)


def blind_resend_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(run, "reconciled", lambda venue, order: NEVER_SEEN)


def sending_before_the_append(patch: pytest.MonkeyPatch) -> None:
    late: dict[run.NodeProcess, list[tuple[Any, ...]]] = defaultdict(list)
    store, deliver = run.NodeProcess._store, run.NodeProcess.deliver

    def store_later(
        node: run.NodeProcess,
        event: node_state.Event,
        step: node_state.Step,
        clock: ClockReading,
    ) -> None:
        late[node].append((event, step, clock))

    def deliver_then_store(
        node: run.NodeProcess, tail: TailReply, clock: ClockReading
    ) -> Sequence[bytes]:
        for waiting in late.pop(node, []):
            store(node, *waiting)
        return deliver(node, tail, clock)

    patch.setattr(run.NodeProcess, "_store", store_later)
    patch.setattr(run.NodeProcess, "deliver", deliver_then_store)


def remainder_without_what_is_owed(patch: pytest.MonkeyPatch) -> None:
    def left(
        coupling: domains.LadderCoupling, settled: Words, reserved: Words, committed: Words
    ) -> Goal:
        quantity = int(str(coupling.goal.terms["quantity"]))
        remaining = (str(max(0, quantity - int(settled[0]))),)
        return coupling.goal.model_copy(update={"remaining": remaining})

    patch.setattr(domains.LadderCoupling, "left", left)


def refund_on_any_abort(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(participant, "_refundable", lambda *_: True)


def a_cohort_that_may_change(patch: pytest.MonkeyPatch) -> None:
    for module in (coordinator, participant):
        patch.setattr(module, "fixed_cohort", lambda *_, **__: None)


def a_kill_switch_that_nobody_reads(patch: pytest.MonkeyPatch) -> None:
    read = participant._read

    def deaf(turn: Any, body: Contract, blobs: Mapping[str, bytes]) -> None:
        if not isinstance(body, KillSwitch):
            read(turn, body, blobs)

    patch.setattr(participant, "_read", deaf)


def a_budget_without_reserve(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(participant, "_reserve", lambda *_: ())


MUTANTS: dict[str, tuple[Mutant, str, str]] = {
    "memory taken from the last query instead of `after`": (
        memory_from_the_last_query,
        "open",
        "the plain sum is",
    ),
    "acting on a late go": (acting_on_a_late_go, "open", "somebody acted late"),
    "acting after the settle query": (
        acting_after_the_settle_query,
        "open",
        "somebody acted after the settle query",
    ),
    "blind re-send after a restart": (
        blind_resend_after_a_restart,
        "open",
        "executed",
    ),
    "sending before the append": (
        sending_before_the_append,
        "open",
        "a message left before its entry was durable",
    ),
    "remainder = goal - settled": (remainder_without_what_is_owed, "open", "committed"),
    "refund on any abort": (refund_on_any_abort, "open", "free of charge"),
    "refund on any abort, under votes": (refund_on_any_abort, "voted", "free of charge"),
    "cohort allowed to change after the first total": (
        a_cohort_that_may_change,
        "open",
        "has totals over 2 cohorts",
    ),
    "acting after the kill switch": (
        a_kill_switch_that_nobody_reads,
        "open",
        "somebody acted after the kill switch",
    ),
    "a budget without a reserve for the settlement": (
        a_budget_without_reserve,
        "open",
        "cannot afford to",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_guard_switched_off_turns_the_schedules_red(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate, stage, sentence = MUTANTS[name]
    mutate(monkeypatch)
    machine = schedules(stage)
    with pytest.raises(AssertionError, match=sentence):
        run_state_machine_as_test(machine, settings=profile(SCHEDULES_MOST, shrink=False))
