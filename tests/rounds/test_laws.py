"""Every law sees what it forbids; the mutants show the rest."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.rounds.machine import Around

from covenue.errors import LedgerDamaged
from covenue.privacy.accountant import Account
from covenue.rounds import node_state, participant, run
from covenue.testing.cohorts import Cohort, Setting
from covenue.testing.laws import broken_laws
from covenue_contracts.ledger import ClockReading
from covenue_contracts.local import Outcome
from covenue_contracts.plan import PlanGo


def ended(**setting: Any) -> Cohort:
    at = Cohort(Around("open"), Setting(**setting))
    at.calm()
    return at


def sentences(at: Cohort) -> str:
    return "; ".join(broken_laws(at))


def test_a_plan_that_does_not_close_is_seen() -> None:
    at = Cohort(Around("open"), Setting())
    at.beat()
    assert "plan 0 never closes" in sentences(at)
    assert "the order never ends" in sentences(at)


def test_an_overspent_budget_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Account, "allows", lambda self, *charges: True)
    assert "node 0 has spent 4 of 3" in sentences(ended(budget=3))


def test_a_settlement_counted_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(participant, "subtract", lambda left, right: left)
    at = Cohort(Around("open"), Setting(pace=2, still=True))
    for _ in range(200):
        at.beat()
    assert "logs say" in "; ".join(at.broken) + sentences(at)


def test_a_log_that_folds_into_another_state_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    at, other = ended(), ended(quantity=5)
    monkeypatch.setattr(at, "fresh_node", other.fresh_node)
    monkeypatch.setattr(at, "fresh_coordinator", other.fresh_coordinator)
    assert "the log of node 0 folds into another state" in sentences(at)


def test_a_log_that_does_not_fold_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    at = ended()

    def damaged(*_: Any) -> Any:
        raise LedgerDamaged("cut", "restore it")

    monkeypatch.setattr(at, "fresh_node", damaged)
    monkeypatch.setattr(at, "fresh_coordinator", damaged)
    assert "the coordinator's log does not fold: cut" in sentences(at)
    assert "the log of node 2 does not fold: cut" in sentences(at)


def test_an_act_without_a_go_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    at = Cohort(Around("open"), Setting())
    at.read(0)
    at._check_act(0, "0" * 64)
    assert at.broken == ["somebody acted without a go"]


def test_an_act_after_the_kill_switch_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = run.NodeProcess._outcomes

    def anyway(
        node: run.NodeProcess, act: node_state.Act, clock: ClockReading
    ) -> Sequence[Outcome]:
        allowed = node_state.Act(act.order, act.actions, act.valid_until, may_apply=True)
        return outcomes(node, allowed, clock)

    monkeypatch.setattr(run.NodeProcess, "_outcomes", anyway)
    monkeypatch.setattr(participant, "_may_act", lambda view, plan, did, wall: view.go is not None)
    at = Cohort(Around("open"), Setting())
    for _ in range(30):
        if any(isinstance(body, PlanGo) for body in at.public):
            at.kill()
            break
        at.beat()
    at.calm()
    assert "somebody acted after the kill switch" in at.broken
