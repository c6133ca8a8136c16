"""`covenue ledger show`: entries as they were written, by whichever backend can open the file."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covenue.cli.printing import json_option, print_json, print_table
from covenue.cli.scenario_arguments import existing_file
from covenue.errors import BadInput, CovenueError, LedgerDamaged

if TYPE_CHECKING:
    from covenue.hooks.ledgers import LedgerBackend


@click.group("ledger")
def command() -> None:
    """Look into a ledger."""


@command.command("show")
@click.argument("ledger", type=click.Path(path_type=Path))
@click.option("--kind", metavar="K", help="Only entries of this kind, as plan.go.")
@click.option("--start", type=click.IntRange(min=0), default=0, help="First entry, from 0.")
@click.option("--limit", type=click.IntRange(min=1), default=50, help="Entries at most.")
@json_option
def show(ledger: Path, kind: str | None, start: int, limit: int, as_json: bool) -> None:
    """Print entries of a ledger; nothing is checked, see `covenue verify`."""
    path = existing_file(ledger, "ledger")
    with closing(open_ledger(path)) as backend:
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


def open_ledger(path: Path) -> "LedgerBackend":
    """The ledger at a path, read only, by the first installed backend that knows it.

    Raises BadInput when none does, with what each of them said; LedgerDamaged when the only
    backend that knows the file finds it damaged.
    """
    from covenue.registry.load import Registry

    if path.is_dir():
        raise BadInput(
            "that is a folder, not a ledger",
            "give the ledger file inside it",
            file=str(path),
            field="LEDGER",
        )
    registry, said = Registry(), []
    for name in registry.names("ledgers"):
        try:
            backend: LedgerBackend = registry.build(
                "ledgers", name, path, create=False, writable=False
            )
        except CovenueError as error:
            said.append((name, error))
        else:
            return backend
    damaged = [error for _, error in said if isinstance(error, LedgerDamaged)]
    if len(damaged) == 1:
        raise damaged[0]
    raise BadInput(
        "no installed ledger backend can open that file: "
        + "; ".join(f"{name}: {error.what}" for name, error in said),
        "install the backend that wrote it: see `covenue plugins list`",
        file=str(path),
        field="LEDGER",
    )


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
    from covenue_contracts.catalogue import kinds

    known = {name.partition("/")[0] for name in kinds()}
    if kind not in known:
        close = nearest(kind, known)
        advice = f"did you mean {close!r}?" if close else "see `covenue contracts list`"
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
