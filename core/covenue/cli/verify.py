"""`covenue verify`: signatures, proofs, budgets, totals and transcript; no private data."""

from pathlib import Path

import click

from covenue.cli.printing import json_option
from covenue.cli.scenario_arguments import PATH, existing_ledger
from covenue.cli.verdicts import conclude


@click.command("verify")
@click.argument("ledger", type=PATH)
@json_option
@click.pass_context
def command(ctx: click.Context, ledger: Path, as_json: bool) -> None:
    """Check a ledger without any private data.

    Exit 0: it holds. Exit 1: the first damage is named. Exit 2: the file is no ledger.
    """
    from covenue.registry.load import Registry
    from covenue.replay import verify

    path = existing_ledger(ledger)
    conclude(ctx, path, lambda: verify(path, Registry()), as_json=as_json)
