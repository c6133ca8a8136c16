"""`covenue demo arbitrage` as a person runs it, and what its one JSON object has to hold."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("arbitrage") / "run"
    command = ["covenue", "demo", "arbitrage", "--json", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_five_parties_with_thousands_of_pools_certify_every_standing_plan(
    demo: dict[str, Any],
) -> None:
    assert (demo["status"], demo["replay"], demo["parties"]) == ("ok", "identical", 5)
    assert demo["pools"] == 10_000
    assert 0 <= demo["gap"] <= 1e-6
    assert demo["rounds_median"] <= 12
    assert demo["replan_rounds_median"] <= 12
    assert demo["bytes_per_party_per_round"] > 0
    rows = demo["standing"]["plans"]
    assert len(rows) == 20
    assert {row["status"] for row in rows} == {"certified"}
    assert demo["certificate_holds"] is True
    assert demo["uncertified"] == 0


def test_the_run_says_under_which_policy_and_where_it_is_written_down(demo: dict[str, Any]) -> None:
    policy = demo["cohort_policy"]
    assert (policy["least"], policy["colluders"], policy["differencing"]) == (3, 0, "override")
    assert Path(demo["ledger"]).is_absolute()
    assert Path(demo["ledger"]).is_file()
    assert len(demo["root"]) == 64
    assert demo["mechanism"] == "secagg"
    assert len(demo["overrides"]) >= 10
    assert all("differencing-exposed" in row["detail"] for row in demo["overrides"])


def test_the_coordinator_saw_masked_words_and_no_partys_own(demo: dict[str, Any]) -> None:
    shown = demo["coordinator_saw"]["parties"]
    assert len(shown) == 5
    for words in shown.values():
        assert not set(words["seen"]) & set(words["own"])


def test_executed_plans_take_something_and_owe_nothing(demo: dict[str, Any]) -> None:
    executed = demo["executed"]
    assert executed["go"] >= 1
    assert executed["owed"] == []
    assert float(executed["profit"]) > 0
    assert demo["profit"] == executed["profit"]


def test_the_report_is_beside_the_ledger(demo: dict[str, Any]) -> None:
    page = Path(demo["report"]).read_text()
    assert "What the coordinator saw, and what it did not" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
