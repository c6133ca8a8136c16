"""`covenue replay`: the run again, from its ledger and whatever data is at hand."""

from pathlib import Path

import click

from covenue.cli.printing import json_option
from covenue.cli.scenario_arguments import PATH, existing_file, existing_ledger
from covenue.cli.verdicts import conclude


@click.command("replay")
@click.argument("ledger", type=PATH)
@click.option(
    "--data",
    type=PATH,
    metavar="DIR",
    help="Folder that holds the parties' folders, where they have moved.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, ledger: Path, data: Path | None, as_json: bool) -> None:
    """Recompute a ledger and name the first byte that differs.

    Exit 0: identical; or partial, and what could not be replayed. Exit 1: entry, field and both
    values of the first difference. Exit 2: no ledger, or DIR holds no party.
    """
    from covenue.registry.load import Registry
    from covenue.replay import replay

    path = existing_ledger(ledger)
    folder = existing_file(data, "data folder") if data is not None else None
    conclude(ctx, path, lambda: replay(path, folder, Registry()), as_json=as_json)
