"""A recorded solver end to end: replay takes its questions from the ledger, and judges the sums."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.small_cohort import bodies, prepared, run, write_scenario
from tests.replay.forge import forge, once

from covenue.errors import CapabilityMissing, PluginBroken
from covenue.hooks.programs import Program, RecordedSolver
from covenue.registry.load import Registry
from covenue.replay import differential, replay, verify
from covenue.rounds import fold, parts
from covenue.rounds.identities import demo_identity
from covenue_contracts.plan import PlanDelta, QueryAsked
from covenue_solver_reference import Reference, conic

COORDINATOR = demo_identity("small", "coordinator", "coordinator")


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenario(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def ledger(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    return run(scenario, out, solver="reference", privacy="open").ledger


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A machine whose Clarabel computes other bits; the list says when it was asked."""
    asked: list[str] = []
    true = conic.solve

    def other(program: Program) -> Any:
        asked.append("solved")
        found = true(program)
        return replace(found, duals=found.duals * (1.0 + 1e-9))

    monkeypatch.setattr(conic, "solve", other)
    yield asked
    monkeypatch.undo()


def test_it_plans_and_carries_out_what_the_dual_solver_finds(
    scenario: Path, ledger: Path, tmp_path: Path
) -> None:
    """Standing and executed orders; both certificates enclose one optimum."""
    deltas = [body for body in bodies(ledger) if isinstance(body, PlanDelta)]
    assert [delta.status for delta in deltas] == ["certified"] * 7
    assert all(int(delta.value) > 0 for delta in deltas)
    other = run(scenario, tmp_path / "dual", solver="dual", privacy="open")
    found = differential.compare(ledger, other.ledger, ("reference", "dual"), Registry())
    assert found["agree"] is True
    assert len(found["plans"]) == 4


def test_another_machine_verifies_and_replays_it_without_computing_it(
    ledger: Path, elsewhere: list[str]
) -> None:
    verdict = verify(ledger, Registry())
    assert verdict.ok
    assert [check for check in verdict.checks if check[0] == "solver reference"]
    assert replay(ledger, None, Registry()).status == "identical"
    assert elsewhere == []


def test_without_following_another_machine_would_call_it_false(
    ledger: Path, elsewhere: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: recompute what was recorded."""
    monkeypatch.setattr(fold, "_following", lambda own, said: own)
    verdict = verify(ledger, Registry())
    assert elsewhere
    assert not verdict.ok
    assert verdict.difference is not None
    assert verdict.difference["pointer"].startswith("/body")


def boasting(entry: Any) -> Any:
    """A better value than the sums certify."""
    value = int(entry.value) + 1000
    return entry.model_copy(update={"value": str(value), "bound": str(value), "gap": "0"})


def test_a_recorded_value_that_the_sums_do_not_certify_is_found(
    ledger: Path, tmp_path: Path
) -> None:
    """What is followed are questions: a plan's value, bound and status are computed again."""
    forged = forge(ledger, COORDINATOR, tmp_path / "forged.ledger", once("plan.delta", boasting))
    assert forged.changed
    verdict = verify(forged.path, Registry())
    assert not verdict.ok
    assert verdict.difference is not None
    assert verdict.difference["pointer"].startswith("/body/")


def test_it_is_refused_under_a_mechanism_that_hides(scenario: Path) -> None:
    with pytest.raises(CapabilityMissing) as caught:
        prepared(scenario, solver="reference")
    assert caught.value.field == "privacy.mechanism"
    assert "DISCLOSE" in str(caught.value)


def test_questions_are_disclosures_first_and_certificates_then(ledger: Path) -> None:
    first: dict[str, list[str]] = {}
    for body in bodies(ledger):
        if isinstance(body, QueryAsked):
            first.setdefault(body.plan, []).append(body.query.kind)
    for kinds in first.values():
        assert kinds[:3] == ["disclose", "disclose", "respond"]


def test_what_a_manifest_says_of_determinism_is_true_of_every_installed_solver() -> None:
    registry = Registry()
    for name in registry.names("solvers"):
        manifest = registry.find("solvers", name).manifest
        assert manifest is not None
        built = parts.solver_of(registry, name, {})
        assert isinstance(built, RecordedSolver) == (manifest.determinism == "recorded")


def test_a_solver_that_is_recorded_and_does_not_say_so_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry()
    monkeypatch.setattr(Registry, "build", lambda *_, **__: Reference())
    with pytest.raises(PluginBroken):
        parts.solver_of(registry, "search", {})
