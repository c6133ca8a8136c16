"""The same run gives the same ledger, whatever else differs; and the kill switch stops one."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.replay.test_crash import crash
from tests.replay.tiny import Done, child, executed_lots, run_tiny, scenario_text, write_scenario

from covenue.errors import BadInput
from covenue.ledger.audit_log import AuditLog
from covenue.registry.load import Registry
from covenue.replay import open_ledger, replay, verify
from covenue.rounds import session, stopping
from covenue.rounds.output import LEDGER, STOP, party_ledger
from covenue_contracts.plan import PlanClose, PlanOpen

ENVIRONMENTS: Mapping[str, dict[str, str]] = {
    "other hashes, zone and threads": {
        "PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C",
    },
    "yet other hashes, zone and threads": {
        "PYTHONHASHSEED": "4242", "TZ": "America/St_Johns", "OMP_NUM_THREADS": "4",
        "OPENBLAS_NUM_THREADS": "4", "LC_ALL": "C.UTF-8", "PYTHONOPTIMIZE": "1",
    },
}  # fmt: skip


def plans(ledger: Path, *, closed: bool) -> list[str]:
    """Digests of the plans of a ledger that are closed, or still open."""
    with open_ledger(ledger, Registry()) as backend:
        bodies = [entry.body for entry in AuditLog.open(backend).entries()]
    ended = {body.plan for body in bodies if isinstance(body, PlanClose)}
    opened = [body.plan for body in bodies if isinstance(body, PlanOpen)]
    return [plan for plan in opened if (plan in ended) is closed]


def bytes_of(out: Path) -> dict[str, str]:
    """The root of every ledger of a run."""
    found = {}
    for path in (out / LEDGER, *(party_ledger(out, n) for n in ("spot", "usdm", "coinm"))):
        with open_ledger(path, Registry()) as backend:
            found[path.name] = AuditLog.open(backend).root().hex()
    return found


def test_the_same_run_twice_gives_the_same_roots(done: Done, tmp_path: Path) -> None:
    assert bytes_of(run_tiny(tmp_path).out) == bytes_of(done.out)


def test_parties_in_another_order_give_the_same_roots(done: Done, tmp_path: Path) -> None:
    again = run_tiny(tmp_path, scenario_text(order=(2, 0, 1)))
    assert bytes_of(again.out) == bytes_of(done.out)


def test_another_seed_gives_other_identities_and_the_same_plan(done: Done, tmp_path: Path) -> None:
    other = run_tiny(tmp_path, scenario_text().replace('seed = "tiny"', 'seed = "other"'))
    assert other.result.root != done.result.root
    assert other.result.summary["executed"] == done.result.summary["executed"]


@pytest.mark.parametrize(
    "name",
    [
        next(iter(ENVIRONMENTS)),
        *(pytest.param(n, marks=pytest.mark.slow) for n in [*ENVIRONMENTS][1:]),
    ],
)
def test_another_environment_gives_the_same_root(done: Done, tmp_path: Path, name: str) -> None:
    write_scenario(tmp_path / "data")
    command, environment = child(str(tmp_path), "0", **ENVIRONMENTS[name])
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == f"root {done.result.root}"


def test_a_folder_of_a_party_holds_its_own_capture_and_nothing_else(done: Done) -> None:
    """And the run neither reads more nor writes there."""
    for name in ("spot", "usdm", "coinm"):
        assert [path.name for path in (done.data / name).iterdir()] == ["capture.gz"]


# ---- the kill switch


def test_a_plan_at_rest_is_stopped_in_the_ledger_and_settled_on_resume(tmp_path: Path) -> None:
    """A process died inside an executed order; somebody stops the plan before it is resumed."""
    write_scenario(tmp_path / "data")
    assert crash(tmp_path, "applied", 3) == 9
    ledger = tmp_path / "out" / LEDGER
    (plan,) = plans(ledger, closed=False)
    told = stopping.kill(plan, "enough", ledger, Registry())
    assert "resting" in told["how"]
    assert verify(ledger, Registry()).ok
    result = session.resume(ledger, Registry())
    assert result.status == "killed"
    assert plans(ledger, closed=False) == []
    verdict = replay(ledger, None, Registry())
    assert (verdict.status, verdict.depth) == ("identical", "full")
    assert (
        sum(executed_lots(tmp_path / "out").values()) == result.summary["executed"]["filled_lots"]
    )
    assert sum(executed_lots(tmp_path / "out").values()) < 40_000


def test_a_plan_that_is_over_cannot_be_stopped(copy: Done) -> None:
    for plan in (plans(copy.ledger, closed=True)[-1], "0" * 64):
        before = copy.ledger.read_bytes()
        with pytest.raises(BadInput, match="cannot be stopped"):
            stopping.kill(plan, "enough", copy.ledger, Registry())
        assert copy.ledger.read_bytes() == before


def test_a_running_plan_is_stopped_through_its_process(tmp_path: Path) -> None:
    """The last order runs slowly; its open plan is read from the ledger and stopped."""
    write_scenario(tmp_path / "data")
    ledger = tmp_path / "out" / LEDGER
    command, environment = child(str(tmp_path), "1")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "plan 1\n"
        assert process.stdout.readline() == "plan 2\n"
        assert process.stdout.readline() == "plan 1\n"
        (plan,) = plans(ledger, closed=False) or plans(ledger, closed=True)[-1:]
        told = stopping.kill(plan, "enough", ledger, Registry())
        assert "running" in told["how"]
        process.communicate(timeout=20)
        assert process.returncode == 0
    assert verify(ledger, Registry()).ok
    assert replay(ledger, None, Registry()).depth == "full"
    assert sum(executed_lots(tmp_path / "out").values()) <= 10_000
    with open_ledger(ledger, Registry()) as backend:
        kinds = [entry.header.kind for entry in AuditLog.open(backend).entries()]
    assert kinds.count("kill_switch") == 1
    assert not (tmp_path / "out" / STOP).exists()


def test_two_processes_do_not_run_one_ledger(tmp_path: Path) -> None:
    write_scenario(tmp_path / "data")
    command, environment = child(str(tmp_path), "2")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(BadInput, match="another process"):
            session.resume(tmp_path / "out" / LEDGER, Registry())
        process.kill()
