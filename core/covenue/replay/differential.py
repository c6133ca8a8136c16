"""Two runs of one scenario by different solvers: the same plans, by value and certificate."""

from pathlib import Path
from typing import Any

from covenue.ledger.audit_log import AuditLog
from covenue.registry.load import Registry
from covenue.replay.verify import open_ledger
from covenue.rounds.opened import in_force
from covenue_contracts.plan import PlanDelta, PlanOpen, PlanStands


def compare(first: Path, second: Path, solvers: tuple[str, str], registry: Registry) -> Any:
    """How the proposals of two ledgers differ, plan by plan; JSON types.

    Two certified values agree when they differ by no more than their gaps together: both enclose
    the same optimum. Standing plans are compared: executed ones start from what their run did.
    """
    ours, theirs = (_proposals(path, registry) for path in (first, second))
    rows = []
    for place, mine in ours.items():
        other = theirs.get(place)
        if other is None:
            continue
        rows.append(_row(place, mine, other))
    missing = sorted(set(ours) ^ set(theirs))
    return {
        "solver": solvers[0],
        "other": solvers[1],
        "plans": rows,
        "missing": [f"order {order}, plan {number}" for order, number in missing],
        "agree": bool(rows) and not missing and all(row["agree"] for row in rows),
        "difference_most": str(max((int(row["difference"]) for row in rows), default=0)),
    }


def _row(place: tuple[int, int], mine: PlanDelta, other: PlanDelta) -> dict[str, Any]:
    difference = abs(int(mine.value) - int(other.value))
    certified = mine.status == other.status == "certified"
    return {
        "order": place[0],
        "k": place[1],
        "value": mine.value,
        "other_value": other.value,
        "difference": str(difference),
        "gaps": str(int(mine.gap) + int(other.gap)),
        "rounds": mine.rounds,
        "other_rounds": other.rounds,
        "agree": certified and difference <= int(mine.gap) + int(other.gap),
    }


def _proposals(path: Path, registry: Registry) -> dict[tuple[int, int], PlanDelta]:
    """Standing proposals by order and number: they do not depend on what was executed before."""
    found: dict[tuple[int, int], PlanDelta] = {}
    orders: list[str] = []
    opened: PlanOpen | None = None
    last = 0
    with open_ledger(path, registry) as backend:
        for entry in AuditLog.open(backend).entries():
            body = entry.body
            if isinstance(body, PlanOpen):
                opened = body
                if body.number == 0:
                    orders.append(body.order)
            elif isinstance(body, PlanStands) and opened is not None:
                before = found[len(orders) - 1, last]
                last = opened.number
                found[len(orders) - 1, last] = in_force(before, body)
            elif isinstance(body, PlanDelta) and opened is not None and opened.mode == "standing":
                last = opened.number
                found[len(orders) - 1, last] = body
    return found
