"""A resumed run is the run that was begun: scenario, settings, logs and journals."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.replay.tiny import child, scenario_text, write_scenario

from covenue.errors import BadInput, CapabilityMissing, CovenueError, LedgerDamaged
from covenue.registry.load import Registry
from covenue.rounds import output, preflight, session
from covenue.rounds.scenario import read_scenario


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run killed in its last order, after something was executed."""
    folder = tmp_path_factory.mktemp("broken-off")
    write_scenario(folder / "data")
    command, environment = child(str(folder), "2")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(4)]
        for file in (folder / "out" / output.PARTIES).glob("usdm.ledger*"):
            shutil.copy(file, folder / f"older-{file.name}")
        assert [*seen, process.stdout.readline()][-1] == "plan 3\n"
        os.kill(process.pid, signal.SIGKILL)
    return folder


@pytest.fixture
def folder(broken_off: Path, tmp_path: Path) -> Path:
    shutil.copytree(broken_off, tmp_path / "run")
    notes = tmp_path / "run" / "out" / output.SIDECAR
    notes.write_text(notes.read_text().replace(str(broken_off), str(tmp_path / "run")))
    return tmp_path / "run"


def resume(folder: Path) -> session.RunResult:
    return session.resume(folder / "out" / output.LEDGER, Registry())


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "data" / "scenario.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_unchanged_run_goes_on_to_its_end(folder: Path) -> None:
    assert resume(folder).status == "ok"


def test_another_goal_is_refused_with_its_field(folder: Path) -> None:
    text = (folder / "data" / "scenario.toml").read_text()
    line = next(line for line in text.splitlines() if line.startswith("quantity"))
    edit(folder, line, 'quantity = "0.7"')
    with pytest.raises(BadInput, match="not the one that this ledger was begun with") as caught:
        resume(folder)
    assert "/goal/" in caught.value.field


def test_other_fees_are_refused_with_the_party_s_name(folder: Path) -> None:
    (folder / "data" / "scenario.toml").write_text(
        (folder / "data" / "scenario.toml").read_text().replace('fee_bps = "2.4"', 'fee_bps = "3"')
    )
    with pytest.raises(BadInput, match="settings of party") as caught:
        resume(folder)
    assert caught.value.field.startswith("party.")


def test_a_party_that_left_the_scenario_is_missed(folder: Path) -> None:
    path = folder / "data" / "scenario.toml"
    text = scenario_text((0, 1)).replace("least = 3", "least = 2")
    path.write_text(text)
    with pytest.raises(CovenueError):
        resume(folder)


def test_a_node_whose_log_was_set_back_says_nothing_more(folder: Path) -> None:
    """An older copy of a party's ledger is restored: budget and deeds in it are old."""
    ledger = output.party_ledger(folder / "out", "usdm")
    for file in ledger.parent.glob(f"{ledger.name}*"):
        file.unlink()
    for file in folder.glob(f"older-{ledger.name}*"):
        shutil.copy(file, ledger.parent / file.name.removeprefix("older-"))
    with pytest.raises(LedgerDamaged, match="set back"):
        resume(folder)


def test_a_venue_that_forgot_what_it_did_is_refused(folder: Path) -> None:
    journals = sorted((folder / "out" / output.PARTIES).glob("*.journal"))
    assert journals
    for journal in journals:
        journal.unlink()
    with pytest.raises(LedgerDamaged, match="forgotten an order"):
        resume(folder)


def test_a_ledger_in_memory_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    text = scenario_text().replace('backend = "sqlite"', 'backend = "memory"')
    path = write_scenario(tmp_path / "data", text)
    with pytest.raises(CapabilityMissing, match="memory"):
        preflight.prepare(read_scenario(path), Registry())
