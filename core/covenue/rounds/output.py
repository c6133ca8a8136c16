"""The folder that a run writes: its ledgers, its notes, its lock, and somebody's wish to stop."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from covenue.errors import BadInput, LedgerBusy, OutputExists
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
COMPANIONS = ("", "-wal", "-shm", "-journal")
"""A ledger's file, and what SQLite keeps beside it while it is open or after a crash."""


def reopen(ledger: Path, registry: Registry) -> tuple[Prepared, Path]:
    """The scenario that a ledger was written from, prepared again."""
    out = ledger.resolve().parent
    refuse_unbegun(out)
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


def write_sidecar(prepared: Prepared, out: Path, *, begun: bool) -> None:
    """What describes this machine stays outside the ledger: paths, and the options chosen.

    begun: whether all logs of the run are there. Until then nobody has planned anything, and what
    the start made may be taken away.
    """
    scenario = prepared.scenario
    body = {
        "scenario": str(scenario.path.resolve()),
        "options": dict(scenario.chosen),
        "folders": {party.entry.name: str(party.entry.folder) for party in prepared.parties},
        "begun": begun,
    }
    write_private(out / SIDECAR, json.dumps(body, indent=2, sort_keys=True) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file, whole or not at all and durably, readable by its owner only."""
    part = path.with_name(f"{path.name}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def is_unbegun(out: Path) -> bool:
    """Whether a run was started there and was cut short before its logs were all made."""
    return _notes(out).get("begun") is False


def refuse_unbegun(out: Path) -> None:
    """Raise BadInput where there is nothing to go on with: the start was cut short."""
    if is_unbegun(out):
        raise BadInput(
            "this run never began: its start was cut short before its ledgers were made",
            "give the command that started it again, with the same --out; what the start left is "
            "taken away first",
            file=str(out / SIDECAR),
        )


def refuse_begun(out: Path) -> None:
    """Raise OutputExists where a ledger is, unless it is what a start that was cut short left."""
    if (out / LEDGER).exists() and not is_unbegun(out):
        raise OutputExists(
            "there is a ledger already",
            "choose another --out, or continue it with `covenue run --resume`",
            file=str(out / LEDGER),
        )


def clear_start(out: Path) -> None:
    """Take away what a start that was cut short has made, and nothing else. Nobody has used it."""
    if not is_unbegun(out):
        return
    names = [name for name in _notes(out).get("folders", {}) if Path(name).name == name]
    ledgers = [out / LEDGER, *(party_ledger(out, name) for name in names)]
    made = [ledger.with_name(ledger.name + end) for ledger in ledgers for end in COMPANIONS]
    made += [party_journal(out, name) for name in names]
    made += [key_file(out, name) for name in ("coordinator", *names)]
    for path in (*made, out / SIDECAR):  # the notes last: until then it is known to be unbegun
        path.unlink(missing_ok=True)


def _notes(out: Path) -> Mapping[str, Any]:
    """What a run noted of itself; nothing where there is no such file."""
    try:
        notes = json.loads((out / SIDECAR).read_text())
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


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
    return {name: kept_identity(key_file(out, name), create=create) for name in names}


def key_file(out: Path, name: str) -> Path:
    """Where the master of a process's own identity is kept."""
    return out / "keys" / f"{name}.master"


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
