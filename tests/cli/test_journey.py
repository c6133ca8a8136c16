"""A short run of real data through the commands, in child processes."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from covenue.cli.ledger import ENTRY_KINDS
from covenue_contracts.catalogue import kinds

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "plugins/domain-routing/covenue_domain_routing/scenarios/btc-three-engines"
COVENUE = Path(sys.executable).with_name("covenue")


def covenue(folder: Path, *arguments: str, exits: int = 0) -> dict[str, Any]:
    """The one object that `covenue ARGUMENTS --json` prints."""
    done = subprocess.run(
        [str(COVENUE), *arguments, "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exits, done.stderr + done.stdout
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a three-plan scenario beside links to the shipped captures."""
    place = tmp_path_factory.mktemp("journey")
    text = (SHIPPED / "scenario.toml").read_text().replace("plans = 100", "plans = 3")
    (place / "short.toml").write_text(text)
    for party in ("spot", "usdm", "coinm"):
        (place / party).symlink_to(SHIPPED / party, target_is_directory=True)
    return place


@pytest.fixture(scope="module")
def ran(folder: Path) -> dict[str, Any]:
    """What the run printed."""
    return covenue(folder, "run", "short.toml", "--quantity", "5", "--out", "o")


def test_a_run_prints_its_ledger_root_and_report(ran: dict[str, Any], folder: Path) -> None:
    assert (ran["parties"], len(ran["root"])) == (3, 64)
    assert ran["ledger"] == str((folder / "o" / "plan.ledger").resolve())
    assert Path(ran["report"]).read_bytes().startswith(b"<!")


def test_its_ledger_verifies_and_replays(ran: dict[str, Any], folder: Path) -> None:
    assert covenue(folder, "verify", "o")["status"] == "ok"
    assert covenue(folder, "replay", "o")["status"] == "identical"


def test_its_entries_can_be_shown_by_kind(ran: dict[str, Any], folder: Path) -> None:
    shown = covenue(folder, "ledger", "show", "o", "--kind", "plan.open")
    assert shown["size"] == ran["entries"]
    assert {entry["kind"] for entry in shown["entries"]} == {"plan.open"}
    part = covenue(folder, "ledger", "show", "o", "--start", "2", "--limit", "3")
    assert [entry["index"] for entry in part["entries"]] == [2, 3, 4]
    past = covenue(folder, "ledger", "show", "o", "--start", str(ran["entries"] + 5))
    assert past["entries"] == []
    refused = covenue(folder, "ledger", "show", "o", "--kind", "plan.opn", exits=2)
    assert refused["advice"] == "did you mean 'plan.open'?"
    for kind in ("nope", "member"):  # the latter is a contract, and never an entry
        refused = covenue(folder, "ledger", "show", "o", "--kind", kind, exits=2)
        suggested = set(re.findall(r"[a-z_.]+", refused["advice"]))
        assert suggested & {"plan.open", "memory"}
        assert not suggested & {"member", "roster", "goal"}


def test_every_kind_of_entry_is_known(ran: dict[str, Any], folder: Path) -> None:
    known = {kind.partition("/")[0] for kind in kinds()}
    assert set(ENTRY_KINDS) <= known
    for ledger in ("o", *(f"o/parties/{name}.ledger" for name in ("spot", "usdm", "coinm"))):
        shown = covenue(folder, "ledger", "show", ledger, "--limit", "10000")
        assert {entry["kind"] for entry in shown["entries"]} <= set(ENTRY_KINDS)


def test_a_report_is_its_owners_only(ran: dict[str, Any], folder: Path) -> None:
    out = folder / "o"
    files = [out / "report.html", out / "report.json", *(out / "tables").iterdir()]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert (out / "tables").stat().st_mode & 0o777 == 0o700


def test_a_plan_that_has_ended_cannot_be_killed(ran: dict[str, Any], folder: Path) -> None:
    assert covenue(folder, "kill", "ab" * 32, "--ledger", "o", exits=2)["field"] == "plan"


def test_a_changed_byte_fails_verification_with_exit_1(
    ran: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    body = bytearray(Path(ran["ledger"]).read_bytes())
    body[body.index(b"genesis") + 1] ^= 1
    (tmp_path / "plan.ledger").write_bytes(body)
    assert covenue(tmp_path, "verify", "plan.ledger", exits=1)["status"] == "damaged"


def test_a_solver_of_another_name_changes_nothing_on_disk(folder: Path, tmp_path: Path) -> None:
    text = (folder / "short.toml").read_text().replace('name = "search"', 'name = "serach"')
    (folder / "other.toml").write_text(text)
    refused = covenue(folder, "run", "other.toml", "--out", str(tmp_path / "o"), exits=2)
    assert refused["error"] == "PluginUnknown"
    assert refused["advice"] == "did you mean 'search'?"
    assert not (tmp_path / "o").exists()


def test_this_host_speaks_the_contracts_of_its_plugins(folder: Path) -> None:
    for plugin in covenue(folder, "plugins", "list")["plugins"]:
        shown = covenue(folder, "plugins", "show", plugin["id"])
        assert shown["contracts"] == "spoken by this host"
