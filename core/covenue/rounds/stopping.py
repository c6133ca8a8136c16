"""The kill switch: through the running process, or in a ledger at rest."""

import json
from pathlib import Path
from typing import Any

from covenue.errors import BadInput
from covenue.registry.load import Registry
from covenue.rounds.clocks import RecordedClock
from covenue.rounds.output import STOP, identities, locked, reopen
from covenue.rounds.parts import parts_of
from covenue.rounds.run import CoordinatorProcess
from covenue.rounds.session import open_log


def kill(plan: str, reason: str, ledger: Path, registry: Registry) -> dict[str, Any]:
    """Stop a plan: through its running process, or, where none runs, in the ledger itself.

    Raises BadInput when the ledger knows no such plan, or it cannot be stopped any more.
    """
    out = ledger.resolve().parent
    if not ledger.is_file():
        raise BadInput("there is no ledger", "give the path of a plan.ledger", file=str(ledger))
    try:
        with locked(out):
            return _kill_at_rest(plan, reason, ledger, registry)
    except BadInput as error:
        if "another process" not in error.what:
            raise
    waiting = out / f"{STOP}.part"
    waiting.write_text(json.dumps({"plan": plan, "reason": reason}))
    waiting.replace(out / STOP)
    return {"plan": plan, "ledger": str(ledger), "how": "told the running process"}


def _kill_at_rest(plan: str, reason: str, ledger: Path, registry: Registry) -> dict[str, Any]:
    prepared, out = reopen(ledger, registry)
    who = identities(prepared, out, create=False)
    clock = RecordedClock(0)
    log = open_log(prepared, ledger, who["coordinator"], "coordinator", clock, create=False)
    try:
        last = log.entry(log.size - 1).header.clock
        process = CoordinatorProcess(log, parts_of(registry))
        if not process.kill(plan, reason, last):
            raise BadInput(
                "this plan cannot be stopped: it is unknown or its order has ended",
                "see the open plans with `covenue ledger show --kind plan.open`",
                file=str(ledger),
                field="plan",
                value=plan,
            )
    finally:
        log.close()
    return {"plan": plan, "ledger": str(ledger), "how": "written into the resting ledger"}
