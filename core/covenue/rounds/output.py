"""The folder that a run writes: its ledgers, its notes, its lock, and somebody's wish to stop."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from covenue.errors import BadInput, LedgerBusy
from covenue.registry.load import Registry
from covenue.rounds.identities import Identity, demo_identity, kept_identity
from covenue.rounds.preflight import Prepared, prepare
from covenue.rounds.scenario import read_scenario

LEDGER = "plan.ledger"
SIDECAR = "run.json"
LOCK = "run.lock"
STOP = "stop.json"
STOPPED = "stopped.json"
PARTIES = "parties"
WRITTEN = (LEDGER, SIDECAR, PARTIES, "keys", "report.html", "report.json", "tables")
"""What a run writes; an output folder that holds one of these is taken."""


def reopen(ledger: Path, registry: Registry) -> tuple[Prepared, Path]:
    """The scenario that a ledger was written from, prepared again."""
    out = ledger.resolve().parent
    if not ledger.is_file():
        raise BadInput("there is no ledger", "give the path of a plan.ledger", file=str(ledger))
    try:
        sidecar = json.loads((out / SIDECAR).read_text())
        path, chosen = Path(sidecar["scenario"]), dict(sidecar["options"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            "the run's own notes are missing or unreadable",
            "keep run.json beside the ledger; it names the scenario and the parties' folders",
            file=str(out / SIDECAR),
        ) from error
    return prepare(read_scenario(path, chosen), registry), out


def write_sidecar(prepared: Prepared, out: Path) -> None:
    """What describes this machine stays outside the ledger: paths, and the options chosen."""
    scenario = prepared.scenario
    body = {
        "scenario": str(scenario.path.resolve()),
        "options": dict(scenario.chosen),
        "folders": {party.entry.name: str(party.entry.folder) for party in prepared.parties},
    }
    write_private(out / SIDECAR, json.dumps(body, indent=2, sort_keys=True) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file, whole or not at all, readable by its owner only."""
    part = path.with_name(f"{path.name}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    part.replace(path)


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the folder: one run at a time."""
    handle = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LedgerBusy(
                "another process is running this ledger",
                "wait for it, or stop its plan with `covenue kill`",
                file=str(out / LEDGER),
            ) from error
        yield
    finally:
        os.close(handle)


def identities(prepared: Prepared, out: Path, *, create: bool) -> dict[str, Identity]:
    """The coordinator's and every party's identity, by name. Raises ForeignLedger."""
    scenario = prepared.scenario
    names = ["coordinator", *(party.entry.name for party in prepared.parties)]
    if scenario.demo:
        roles = ["coordinator", *(["party"] * len(prepared.parties))]
        return {
            name: demo_identity(scenario.seed, role, name)
            for role, name in zip(roles, names, strict=True)
        }
    return {name: kept_identity(out / "keys" / f"{name}.master", create=create) for name in names}


def party_ledger(out: Path, name: str) -> Path:
    """Where a party's own ledger lies beside the plan's."""
    return out / PARTIES / f"{name}.ledger"


def party_journal(out: Path, name: str) -> Path:
    """Where a party's venue writes what it did."""
    return out / PARTIES / f"{name}.journal"


def read_stop(path: Path) -> dict[str, str]:
    """Which plan somebody wants stopped, and why; an unreadable wish names no plan."""
    try:
        body = json.loads(path.read_text())
        return {"plan": str(body["plan"]), "reason": str(body["reason"])}
    except (ValueError, KeyError, TypeError):
        return {"plan": "0" * 64, "reason": "unreadable"}
