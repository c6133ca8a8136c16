"""The solver `proximal` through the whole machine: memories at the parties, ledgers, replay."""

import shutil
from pathlib import Path

import pytest
from tests.attacks.small_cohort import bodies, run, transcripts

import covenue_domain_arbitrage
from covenue.registry.load import Registry
from covenue.replay import replay, verify
from covenue.rounds.session import RunResult
from covenue_contracts.plan import PlanDelta, QueryAsked

SHIPPED = Path(covenue_domain_arbitrage.__file__).parent / "scenarios" / "two-venues"
EAST = """
[[party]]
name = "east"
slot = 2
venue = "sim"
folder = "east"

[party.config]
fee_bps = "2"
capital = "9000"
inventory = "0.02"

[party.budget]
exact_max = 2000
rho_max = 0
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped two books and a third party, a few plans."""
    folder = tmp_path_factory.mktemp("books") / "three"
    shutil.copytree(SHIPPED, folder)
    shutil.copytree(folder / "north", folder / "east")
    text = (folder / "scenario.toml").read_text()
    for before, after in (
        ("plans = 5", "plans = 2"),
        ("plans = 10", "plans = 1"),
        ('tolerance = "0.00002"', 'tolerance = "0.001"'),
        ("least = 2", "least = 3"),
        ('reason = "two parties hide nothing from each other"', 'reason = "a test"'),
    ):
        assert before in text
        text = text.replace(before, after)
    path = folder / "scenario.toml"
    path.write_text(text + EAST)
    return path


@pytest.fixture(scope="module")
def runs(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunResult]:
    out = tmp_path_factory.mktemp("runs")
    return {name: run(scenario, out / name, privacy=name) for name in ("open", "secagg")}


def test_open_and_secret_sums_give_the_same_plans(runs: dict[str, RunResult]) -> None:
    """What a party continues from is its own; the transcript shows sums and names of queries."""
    found = {name: transcripts(done.ledger) for name, done in runs.items()}
    assert found["open"] == found["secagg"]
    assert len(found["open"]) >= 2


def test_a_run_replays_with_every_memory(runs: dict[str, RunResult]) -> None:
    for done in runs.values():
        assert verify(done.ledger, Registry()).status == "ok"
    verdict = replay(runs["secagg"].ledger, None, Registry())
    assert (verdict.ok, verdict.status) == (True, "identical")


def test_plans_continue_from_queries_that_parties_remember(runs: dict[str, RunResult]) -> None:
    said = bodies(runs["open"].ledger)
    deltas = [body for body in said if isinstance(body, PlanDelta)]
    queries = [body for body in said if isinstance(body, QueryAsked)]
    assert {delta.status for delta in deltas} == {"certified"}
    asked = {query.digest for query in queries}
    assert all(delta.after in asked for delta in deltas)
    centres = [query.query.after for query in queries if query.query.kind == "curvature"]
    assert any(centre is not None for centre in centres)
    assert all(centre is None or centre in asked for centre in centres)
