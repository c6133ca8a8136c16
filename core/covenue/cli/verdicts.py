"""How `verify` and `replay` print what they found, and what they exit with."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covenue.cli.failures import FAILED
from covenue.cli.printing import figures, plain, print_json, print_table
from covenue.errors import LedgerDamaged, ReplayDiffers

if TYPE_CHECKING:
    from covenue.replay import Verdict


def conclude(
    ctx: click.Context, ledger: Path, check: "Callable[[], Verdict]", *, as_json: bool
) -> None:
    """Run a check and print it; a check that fails exits with 1.

    A damaged ledger is a failed check, whether the check returns or raises it.
    """
    try:
        document = _document(ledger, check())
    except (LedgerDamaged, ReplayDiffers) as error:
        document = {
            "ok": False,
            "status": "damaged" if isinstance(error, LedgerDamaged) else "differs",
            "ledger": str(ledger),
            "depth": "",
            "reached": "",
            "missing": [],
            "checks": [],
            "difference": error.diagnostics(),
        }
    if as_json:
        print_json(document)
    else:
        _print(document)
    if not document["ok"]:
        ctx.exit(FAILED)


def _document(ledger: Path, verdict: "Verdict") -> dict[str, Any]:
    return {
        "ok": verdict.ok,
        "status": verdict.status,
        "ledger": str(ledger),
        "depth": verdict.depth,
        "reached": verdict.reached,
        "missing": list(verdict.missing),
        "checks": [
            {"name": name, "verdict": result, "detail": detail}
            for name, result, detail in verdict.checks
        ],
        "difference": verdict.difference,
    }


def _print(document: dict[str, Any]) -> None:
    rows = [(c["name"], c["verdict"], c["detail"]) for c in document["checks"]]
    depth = f" ({document['reached']})" if document["reached"] else ""
    title = f"{document['status']}{depth}: {document['ledger']}"
    print_table(title, ("check", "verdict", "detail"), rows)
    if document["difference"]:
        print_table("first difference", ("field", "value"), list(figures(document["difference"])))
    if document["status"] == "partial":
        click.echo(plain(f"NOT REPLAYED: {'; '.join(document['missing'])}"))
