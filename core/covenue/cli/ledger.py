"""`covenue ledger show`: entries as they were written, by whichever backend can open the file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covenue.cli.printing import json_option, print_json, print_table
from covenue.cli.scenario_arguments import PATH, existing_ledger
from covenue.errors import BadInput

if TYPE_CHECKING:
    from covenue.hooks.ledgers import LedgerBackend


ENTRY_KINDS = (
    "action", "attestation", "budget.charge", "budget.open", "budget.refund", "budget.refused",
    "clock_regression", "commitment", "deadline", "genesis", "kill_switch", "memory", "order",
    "outcome", "override", "plan.close", "plan.delta", "plan.go", "plan.joined", "plan.open",
    "plan.settled", "plan.stands", "plan.void", "query", "reply", "round.abort", "signals.total",
    "snapshot", "stage", "submit", "tail",
)  # fmt: skip
"""Contracts that stand in a ledger as entries of their own; others are parts of these."""


@click.group("ledger")
def command() -> None:
    """Look into a ledger."""


@command.command("show")
@click.argument("ledger", type=PATH)
@click.option("--kind", metavar="K", help="Only entries of this kind, as plan.go.")
@click.option("--start", type=click.IntRange(min=0), default=0, help="First entry, from 0.")
@click.option("--limit", type=click.IntRange(min=1), default=50, help="Entries at most.")
@json_option
def show(ledger: Path, kind: str | None, start: int, limit: int, as_json: bool) -> None:
    """Print entries of a ledger; nothing is checked, see `covenue verify`."""
    from covenue.registry.load import Registry
    from covenue.replay import open_ledger

    path = existing_ledger(ledger)
    with open_ledger(path, Registry()) as backend:
        latest = backend.latest()
        size = latest.size if latest else 0
        entries = list(_entries(backend, size, kind, start, limit))
    if kind is not None and not entries:
        _refuse_unknown_kind(kind)
    if as_json:
        print_json({"ledger": str(path), "size": size, "start": start, "entries": entries})
        return
    rows = [
        (str(entry["index"]), str(entry["kind"]), _author(entry), _brief(entry))
        for entry in entries
    ]
    title = f"{path}: {size} entries, {len(rows)} shown"
    print_table(title, ("entry", "kind", "author", "body"), rows)


def _entries(
    backend: "LedgerBackend", size: int, kind: str | None, start: int, limit: int
) -> Iterator[dict[str, Any]]:
    for index, raw in enumerate(backend.read(min(start, size), size), start):
        entry = _decode(index, raw)
        if kind in (None, entry["kind"]):
            yield entry
            limit -= 1
        if limit == 0:
            return


def _decode(index: int, raw: bytes) -> dict[str, Any]:
    """An entry's document; bytes that are none are shown as such, for `verify` to judge."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return {"index": index, "kind": "unreadable", "entry": raw.hex()}
    return {"index": index, "kind": document.get("kind"), "entry": document}


def _refuse_unknown_kind(kind: str) -> None:
    from covenue.registry.names import nearest

    if kind not in ENTRY_KINDS:
        close = nearest(kind, ENTRY_KINDS)
        advice = f"did you mean {close!r}?" if close else f"one of: {', '.join(ENTRY_KINDS)}"
        raise BadInput(f"no entry can be of kind {kind!r}", advice, field="--kind", value=kind)


def _author(entry: dict[str, Any]) -> str:
    document = entry["entry"]
    author = str(document.get("author", "")) if isinstance(document, dict) else ""
    return author if len(author) < 20 else f"…{author[-8:]}"


def _brief(entry: dict[str, Any]) -> str:
    document = entry["entry"]
    body = document.get("body") if isinstance(document, dict) else document
    text = json.dumps(body, separators=(",", ":"))
    return text if len(text) <= 100 else text[:99] + "…"
