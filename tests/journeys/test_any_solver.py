"""One scenario, any capable solver, by one flag; the two runs are held against each other."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.small_cohort import prepared, write_scenario

from covenue.errors import CapabilityMissing, PluginUnknown
from covenue.registry.load import Registry
from covenue.replay import differential
from covenue.rounds import session


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenario(tmp_path_factory.mktemp("any-solver"))


def covenue(*arguments: str, code: int = 0) -> Any:
    done = subprocess.run(
        ["covenue", *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == code, done.stderr
    return done


def test_a_second_solver_finds_the_same_plans_and_the_difference_is_printed(
    scenario: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "run")
    done = covenue("run", str(scenario), "--compare", "lbfgs", "--json", "--out", out)
    compared = json.loads(done.stdout)["compared"]
    assert (compared["solver"], compared["other"]) == ("dual", "lbfgs")
    assert compared["agree"] is True
    assert compared["missing"] == []
    assert len(compared["plans"]) == 4
    for row in compared["plans"]:
        assert int(row["difference"]) <= int(row["gaps"])
        assert int(row["value"]) > 0
    assert any(row["rounds"] != row["other_rounds"] for row in compared["plans"])
    assert (tmp_path / "run/compare-lbfgs/plan.ledger").is_file()


def test_the_comparison_is_a_table_for_people(scenario: Path, tmp_path: Path) -> None:
    done = covenue("run", str(scenario), "--solver", "lbfgs", "--compare", "dual",
                   "--privacy", "open", "--out", str(tmp_path / "run"))  # fmt: skip
    assert "solver lbfgs against dual" in done.stdout
    assert "first of" in done.stdout
    assert "NO" not in done.stdout.split("solver lbfgs against dual")[1].split("run")[0]


def test_plans_of_another_goal_do_not_agree(scenario: Path, tmp_path: Path) -> None:
    """The check can fail: a run at other references is not the same problem."""
    first = session.run(prepared(scenario), tmp_path / "first")
    text = scenario.read_text().replace("band = 4", 'band = 4\nmost = "1"')
    other_path = scenario.with_name("other.toml")
    other_path.write_text(text)
    other = session.run(prepared(other_path), tmp_path / "other")
    found = differential.compare(first.ledger, other.ledger, ("dual", "dual"), Registry())
    assert found["agree"] is False
    assert int(found["difference_most"]) > 0


def test_a_solver_that_no_problem_serves_is_refused_before_anything_is_written(
    scenario: Path, tmp_path: Path
) -> None:
    with pytest.raises(CapabilityMissing):
        prepared(scenario, solver="search")
    with pytest.raises(PluginUnknown):
        prepared(scenario, solver="simplex")
    done = covenue(
        "run", str(scenario), "--compare", "search", "--out", str(tmp_path / "x"), code=2
    )
    assert "solver 'search' needs" in done.stderr
    assert not (tmp_path / "x").exists()
