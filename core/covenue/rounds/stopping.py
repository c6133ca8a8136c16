"""The kill switch: through the running process, or in a ledger at rest."""

import json
import time
from pathlib import Path
from typing import Any

from covenue.errors import BadInput, LedgerBusy
from covenue.registry.load import Registry
from covenue.rounds.clocks import RecordedClock
from covenue.rounds.output import STOP, STOPPED, identities, locked, reopen, write_private
from covenue.rounds.parts import parts_of
from covenue.rounds.run import CoordinatorProcess
from covenue.rounds.session import open_log

PAUSE_S = 0.1
PATIENCE = 150
"""How often, and how many times, a running process is asked."""


def kill(plan: str, reason: str, ledger: Path, registry: Registry) -> dict[str, Any]:
    """Stop a plan, its order, and the orders that would follow it in this run.

    Through the running process, whose answer is waited for, or, where none runs, in the ledger
    itself. Raises BadInput when the ledger knows no such plan, or it cannot be stopped any more.
    """
    out = ledger.resolve().parent
    if not ledger.is_file():
        raise BadInput("there is no ledger", "give the path of a plan.ledger", file=str(ledger))
    (out / STOPPED).unlink(missing_ok=True)
    wish = json.dumps({"plan": plan, "reason": reason})
    for _ in range(PATIENCE):
        try:
            with locked(out):
                if (answer := _answered(out, plan)) is not None:
                    return _told(answer, plan, ledger)
                (out / STOP).unlink(missing_ok=True)
                return _kill_at_rest(plan, reason, ledger, registry)
        except LedgerBusy:
            if (answer := _answered(out, plan)) is not None:
                return _told(answer, plan, ledger)
            write_private(out / STOP, wish)
            time.sleep(PAUSE_S)
    return {"plan": plan, "ledger": str(ledger), "how": "told the running process; no answer yet"}


def _answered(out: Path, plan: str) -> bool | None:
    """Whether the running process stopped that plan; None while it has not said."""
    try:
        body = json.loads((out / STOPPED).read_text())
    except (OSError, ValueError):
        return None
    if body.get("plan") != plan:
        return None
    (out / STOPPED).unlink(missing_ok=True)
    (out / STOP).unlink(missing_ok=True)
    return bool(body.get("stopped"))


def _told(stopped: bool, plan: str, ledger: Path) -> dict[str, Any]:
    if not stopped:
        raise _too_late(plan, ledger)
    return {"plan": plan, "ledger": str(ledger), "how": "stopped by the running process"}


def _too_late(plan: str, ledger: Path) -> BadInput:
    return BadInput(
        "this plan cannot be stopped: it is unknown or its order has ended",
        "see the open plans with `covenue ledger show --kind plan.open`",
        file=str(ledger),
        field="plan",
        value=plan,
    )


def _kill_at_rest(plan: str, reason: str, ledger: Path, registry: Registry) -> dict[str, Any]:
    prepared, out = reopen(ledger, registry)
    who = identities(prepared, out, create=False)
    clock = RecordedClock(0)
    log = open_log(
        prepared, ledger, who["coordinator"], "coordinator", clock, create=False, pins={}
    )
    try:
        last = log.entry(log.size - 1).header.clock
        process = CoordinatorProcess(log, parts_of(registry))
        if not process.kill(plan, reason, last):
            raise _too_late(plan, ledger)
    finally:
        log.close()
    return {"plan": plan, "ledger": str(ledger), "how": "written into the resting ledger"}
