"""Starting and stopping a run: nothing half-begun is taken for a run, nothing is left open."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.replay.tiny import run_tiny, scenario_text, write_scenario

from covenue.errors import BadInput, OutputExists
from covenue.ledger.audit_log import AuditLog
from covenue.registry.load import Registry
from covenue.replay import replay, verify
from covenue.rounds import output, preflight, session
from covenue.rounds.choosing import Chosen
from covenue.rounds.scenario import read_scenario
from covenue_ledger_sqlite import SqliteLedger


class Crash(Exception):
    """The process dies here."""


@pytest.mark.parametrize("opened", range(4))
def test_a_start_that_dies_leaves_nothing_to_resume_and_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: int
) -> None:
    path = write_scenario(tmp_path / "data")
    prepared = preflight.prepare(read_scenario(path), Registry())
    create, created = AuditLog.create, []

    def dying(*arguments: object, **options: object) -> AuditLog:
        created.append(options["origin"])
        if len(created) > opened:
            raise Crash
        return create(*arguments, **options)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(AuditLog, "create", dying)
    with pytest.raises(Crash):
        session.run(prepared, tmp_path / "out")
    monkeypatch.undo()
    with pytest.raises(BadInput, match="never began"):
        session.resume(tmp_path / "out" / output.LEDGER, Registry())
    again = session.run(preflight.prepare(read_scenario(path), Registry()), tmp_path / "out")
    assert again.status == "ok"
    with pytest.raises(OutputExists):
        session.run(preflight.prepare(read_scenario(path), Registry()), tmp_path / "out")


def killing_itself(folder: Path, created: int, moment: str) -> list[str]:
    """A process that is killed (-9) before or after it has made so many logs."""
    code = f"""
import os, signal
from pathlib import Path
from covenue.ledger.audit_log import AuditLog
from covenue.registry.load import Registry
from covenue.rounds import preflight, session
from covenue.rounds.scenario import read_scenario
made, create = [], AuditLog.create
def dying(*arguments, **options):
    made.append(1)
    if len(made) == {created} and {moment!r} == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    log = create(*arguments, **options)
    if len(made) == {created}:
        os.kill(os.getpid(), signal.SIGKILL)
    return log
AuditLog.create = dying
path = Path({str(folder / "data" / "scenario.toml")!r})
session.run(preflight.prepare(read_scenario(path), Registry()), Path({str(folder / "out")!r}))
"""
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("created", "moment"),
    [
        (4, "before"),
        (4, "after"),
        pytest.param(1, "before", marks=pytest.mark.slow),
        pytest.param(2, "after", marks=pytest.mark.slow),
    ],
)
def test_a_start_that_is_killed_is_begun_again_by_the_same_command(
    tmp_path: Path, created: int, moment: str
) -> None:
    path, out = write_scenario(tmp_path / "data"), tmp_path / "out"
    killed = subprocess.run(killing_itself(tmp_path, created, moment), check=False)
    assert killed.returncode == -signal.SIGKILL
    (out / "parties" / "mine.txt").write_text("left alone")
    script = str(Path(sys.executable).with_name("covenue"))
    resumed = subprocess.run(
        [script, "run", "--resume", str(out)], capture_output=True, text=True, check=False
    )
    assert resumed.returncode == 2
    assert "this run never began" in resumed.stderr
    assert "with the same --out" in resumed.stderr
    command = [script, "run", str(path), "--out", str(out)]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert replay(out / output.LEDGER, None, Registry()).status == "identical"
    assert (out / "parties" / "mine.txt").read_text() == "left alone"
    taken = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "OutputExists" in taken.stderr, "a run that began is never taken away"


def test_a_run_that_began_is_not_cleared_though_its_ledger_is_gone(tmp_path: Path) -> None:
    done = run_tiny(tmp_path)
    done.ledger.unlink()
    before = {path.name for path in done.out.rglob("*")}
    output.clear_start(done.out)
    assert {path.name for path in done.out.rglob("*")} == before
    with pytest.raises(BadInput, match="there is no ledger"):
        session.resume(done.ledger, Registry())


def test_the_mutant_that_takes_any_run_for_unbegun_destroys_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_tiny(tmp_path)
    monkeypatch.setattr(output, "is_unbegun", lambda _: True)
    output.clear_start(done.out)
    assert not done.ledger.exists()


def test_notes_that_name_strange_parties_remove_nothing_elsewhere(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside.ledger"
    out.mkdir()
    outside.write_text("somebody's")
    notes = {"begun": False, "folders": {"../../outside": "x"}}
    (out / output.SIDECAR).write_text(json.dumps(notes))
    output.clear_start(out)
    assert outside.read_text() == "somebody's"
    assert not (out / output.SIDECAR).exists()


def test_a_party_s_log_that_is_gone_is_to_be_restored(tmp_path: Path) -> None:
    done = run_tiny(tmp_path)
    gone = output.party_ledger(done.out, "usdm")
    gone.unlink()
    with pytest.raises(BadInput, match="the log of party 'usdm' is gone") as caught:
        session.resume(done.ledger, Registry())
    assert (caught.value.file, caught.value.field) == (str(gone), "party.usdm")
    assert "restore the newest copy of that party's log" in caught.value.advice


def test_the_plan_s_ledger_is_opened_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create, created = AuditLog.create, []

    def noted(*arguments: object, **options: object) -> AuditLog:
        created.append(str(options["origin"]).rpartition("/")[2])
        return create(*arguments, **options)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(AuditLog, "create", noted)
    run_tiny(tmp_path)
    assert created[-1] == "coordinator"
    assert len(created) == 4


def test_a_run_that_is_terminated_exits_143_closed_and_goes_on(tmp_path: Path) -> None:
    path = write_scenario(tmp_path / "data")
    out, script = tmp_path / "out", Path(sys.executable).with_name("covenue")
    command = [str(script), "run", str(path), "--out", str(out), "--pace", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        until = time.monotonic() + 60
        while not (out / output.LEDGER).exists() and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.5)
        process.terminate()
        said = process.stderr.read()
        code = process.wait(20)
    assert said.startswith("Terminated: ended by SIGTERM\n")
    assert code == 143
    assert "Traceback" not in said
    assert not list(out.rglob("*-wal")), "a ledger was left open"
    assert verify(out / output.LEDGER, Registry()).ok
    assert session.resume(out / output.LEDGER, Registry()).status == "ok"
    assert replay(out / output.LEDGER, None, Registry()).status == "identical"


def test_a_run_that_fails_closes_what_it_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[SqliteLedger] = []
    close = SqliteLedger.close

    def noted(ledger: SqliteLedger) -> None:
        closed.append(ledger)
        close(ledger)

    def failing(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(SqliteLedger, "close", noted)
    monkeypatch.setattr(session, "_drive", failing)
    with pytest.raises(Crash):
        run_tiny(tmp_path)
    assert len({id(ledger) for ledger in closed}) == 4


LEFT_OPEN = scenario_text().replace('name = "search"', 'name = "auto"')


def test_a_run_whose_solver_was_left_open_replays_with_the_one_that_was_taken(
    tmp_path: Path,
) -> None:
    done = run_tiny(tmp_path, LEFT_OPEN)
    assert done.result.summary["solver"] == "search"
    assert "integer keys" in done.result.summary["solver_why"]
    assert replay(done.ledger, None, Registry()).status == "identical"
    (done.out / output.SIDECAR).unlink()
    assert replay(done.ledger, done.data, Registry()).status == "identical"


def test_a_run_goes_on_with_the_solver_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_tiny(tmp_path, LEFT_OPEN)
    monkeypatch.setattr(preflight, "choose", lambda *_: Chosen("dual", "it is newer"))
    again = session.resume(done.ledger, Registry())
    assert again.root == done.result.root
    assert again.summary["solver"] == "search"
