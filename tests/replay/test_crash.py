"""A run that is killed goes on where its ledgers end: nothing twice, nothing forgotten."""

import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.replay.tiny import (
    GOAL_LOTS,
    check_of,
    child,
    executed_lots,
    journalled,
    scenario_text,
    write_scenario,
)

from covenue.registry.load import Registry
from covenue.replay import replay, venues, verify
from covenue.rounds import participant, session
from covenue.rounds.fold import Group
from covenue.rounds.output import LEDGER, SIDECAR
from covenue.rounds.session import RunResult

SLOW_LINKS = (
    scenario_text()
    .replace("latency_ms = 5", "latency_ms = 70")
    .replace("join = 200", "join = 900")
    .replace("upload = 200", "upload = 900")
)
"""A restart costs a latency or two; deadlines that do not forgive that would void plans rightly."""


@dataclass(frozen=True)
class Resumed:
    out: Path
    result: RunResult

    def check(self) -> None:
        """Everything that must hold after any crash."""
        ledger = self.out / LEDGER
        assert self.result.status == "ok"
        assert verify(ledger, Registry()).ok
        verdict = replay(ledger, None, Registry())
        assert (verdict.status, verdict.depth) == ("identical", "full"), verdict
        assert sum(executed_lots(self.out).values()) == GOAL_LOTS
        journals = journalled(self.out)
        for lines in journals.values():
            assert len({order for order, _ in lines}) == len(lines), "an order was applied twice"
        assert {name: sum(n for _, n in lines) for name, lines in journals.items()} == (
            executed_lots(self.out)
        )


def resume(folder: Path) -> Resumed:
    return Resumed(folder / "out", session.resume(folder / "out" / LEDGER, Registry()))


def crash(folder: Path, point: str, number: int) -> int:
    """Run in a process that ends itself at a point; its exit code."""
    command, environment = child(str(folder), "0", point, str(number))
    return subprocess.run(
        command, env=environment, check=False, stdout=subprocess.DEVNULL
    ).returncode


def kill_after(folder: Path, delay_s: float, pace: str) -> None:
    """Run in a process at a pace, and kill it some time after its first plan."""
    command, environment = child(str(folder), pace)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("plan"), "the child never began"
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)


POINTS: Sequence[tuple[str, int]] = (
    ("appended", 30),
    ("append", 131),
    ("applied", 3),
)


@pytest.mark.parametrize(("point", "number"), POINTS)
def test_a_run_that_dies_at_a_boundary_goes_on(tmp_path: Path, point: str, number: int) -> None:
    write_scenario(tmp_path / "data", SLOW_LINKS)
    assert crash(tmp_path, point, number) == 9
    resume(tmp_path).check()


@pytest.mark.slow
@pytest.mark.parametrize("point", ["append", "appended", "applied"])
def test_a_run_that_dies_at_any_boundary_goes_on(tmp_path: Path, point: str) -> None:
    first = 8  # seven appends open the four logs, before there is a run to go on with
    for number in range(
        1 if point == "applied" else first, 10_000, 1 if point == "applied" else 11
    ):
        folder = tmp_path / str(number)
        write_scenario(folder / "data", SLOW_LINKS)
        code = crash(folder, point, number)
        if code == 0:
            return
        assert code == 9
        resume(folder).check()


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 9))]
)
def test_a_run_that_is_killed_at_a_random_moment_goes_on(tmp_path: Path, seed: int) -> None:
    write_scenario(tmp_path / "data")
    kill_after(tmp_path, random.Random(seed).uniform(0.0, 1.0), pace="6")
    resume(tmp_path).check()


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_goes_on(tmp_path: Path) -> None:
    """Every process but the last is killed; the next one resumes."""
    chance = random.Random(5)
    write_scenario(tmp_path / "data")
    kill_after(tmp_path, 0.2, pace="6")
    code = f"""
from pathlib import Path
from covenue.registry.load import Registry
from covenue.rounds import session
print("plan", flush=True)
session.resume(Path({str(tmp_path / "out" / LEDGER)!r}), Registry(), pace=6)
"""
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        with process:
            try:
                process.wait(chance.uniform(0.2, 1.2))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    resume(tmp_path).check()


def test_an_outcome_that_was_entered_late_is_recomputed_at_its_own_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue answered, the process died, and the next one entered the answer, by then too late
    to act. Replay finds the time; the mutant that looks only at the entry's own does not."""
    slower = SLOW_LINKS.replace("latency_ms = 70", "latency_ms = 120")
    write_scenario(tmp_path / "data", slower.replace("every_ms = 1000", "every_ms = 3000"))
    assert crash(tmp_path, "applied", 2) == 9
    resumed = resume(tmp_path)
    resumed.check()
    monkeypatch.setattr(venues._VenueReplay, "note_actions", only_the_entrys_own_time)
    verdict = replay(resumed.out / LEDGER, None, Registry())
    assert verdict.status == "differs"
    assert verdict.difference is not None
    assert verdict.difference["pointer"] == "/body/outcomes"


def only_the_entrys_own_time(self: venues._VenueReplay, group: Group) -> None:
    """A mutant of `note_actions` that keeps no earlier times."""
    for act in participant.due(self.fold.state).acts:
        self.actions.setdefault(act.order, act)
        self.walls[act.order] = []


def test_a_run_that_is_over_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    write_scenario(tmp_path / "data")
    command, environment = child(str(tmp_path), "0")
    out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    before = (tmp_path / "out" / LEDGER).read_bytes()
    resumed = resume(tmp_path)
    assert out.stdout.splitlines()[-1] == f"root {resumed.result.root}"
    resumed.check()
    assert (tmp_path / "out" / LEDGER).read_bytes() == before


def test_without_data_a_replay_goes_no_deeper_than_the_transcript(tmp_path: Path) -> None:
    write_scenario(tmp_path / "data")
    assert crash(tmp_path, "appended", 60) == 9
    (tmp_path / "out" / SIDECAR).unlink()
    verdict = replay(tmp_path / "out" / LEDGER, None, Registry())
    assert verdict.ok
    assert verdict.depth == "transcript"
    assert check_of(verdict, "venues") == "not available"
