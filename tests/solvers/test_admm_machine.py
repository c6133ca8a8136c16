"""The solver `admm` through the whole machine, on books whose parties offer a prox."""

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
CHANGES = (
    ("plans = 5", "plans = 2"),
    ("plans = 10", "plans = 1"),
    ('tolerance = "0.00002"', 'tolerance = "0.001"'),
    ('name = "proximal"', 'name = "admm"'),
    ("least = 2", "least = 3"),
    ('reason = "two parties hide nothing from each other"', 'reason = "a test"'),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunResult]:
    """The shipped two books and a third party, a few plans, under both mechanisms."""
    folder = tmp_path_factory.mktemp("books") / "three"
    shutil.copytree(SHIPPED, folder)
    shutil.copytree(folder / "north", folder / "east")
    text = (folder / "scenario.toml").read_text()
    for before, after in CHANGES:
        assert before in text
        text = text.replace(before, after)
    path = folder / "scenario.toml"
    path.write_text(text + EAST)
    out = tmp_path_factory.mktemp("runs")
    return {name: run(path, out / name, privacy=name) for name in ("open", "secagg")}


def test_open_and_secret_sums_give_the_same_plans(runs: dict[str, RunResult]) -> None:
    found = {name: transcripts(done.ledger) for name, done in runs.items()}
    assert found["open"] == found["secagg"]
    assert len(found["open"]) >= 2


def test_a_run_replays_identically(runs: dict[str, RunResult]) -> None:
    for done in runs.values():
        assert verify(done.ledger, Registry()).status == "ok"
        verdict = replay(done.ledger, None, Registry())
        assert (verdict.ok, verdict.status) == (True, "identical")


def test_every_plan_is_certified_and_continues_from_a_prox_query(
    runs: dict[str, RunResult],
) -> None:
    said = bodies(runs["open"].ledger)
    deltas = [body for body in said if isinstance(body, PlanDelta)]
    queries = {body.digest: body.query for body in said if isinstance(body, QueryAsked)}
    assert {delta.status for delta in deltas} == {"certified"}
    assert {queries[str(delta.after)].kind for delta in deltas} == {"prox"}
    kinds = {query.kind for query in queries.values()}
    assert kinds <= {"prox", "commit", "settle"}
    assert any(query.after is not None for query in queries.values() if query.kind == "prox")
