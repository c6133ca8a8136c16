"""Starting and stopping a run: nothing half-begun is taken for a run, nothing is left open."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.replay.tiny import run_tiny, write_scenario

from covenue.errors import BadInput, OutputExists
from covenue.ledger.audit_log import AuditLog
from covenue.registry.load import Registry
from covenue.replay import replay, verify
from covenue.rounds import output, preflight, session
from covenue.rounds.scenario import read_scenario
from covenue_ledger_sqlite import SqliteLedger


class Crash(Exception):
    """The process dies here."""


@pytest.mark.parametrize("opened", range(4))
def test_a_start_that_dies_leaves_nothing_that_could_be_resumed(
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
    with pytest.raises(BadInput):
        session.resume(tmp_path / "out" / output.LEDGER, Registry())
    with pytest.raises(OutputExists):
        session.run(preflight.prepare(read_scenario(path), Registry()), tmp_path / "out")


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
        assert process.wait(20) == 143
    assert said.startswith("Terminated: ended by SIGTERM\n")
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
