"""`covenue kill`: the kill switch. Before go it voids the plan; after go it stops the idle."""

from pathlib import Path

import click

from covenue.cli.printing import figures, json_option, print_json, print_table
from covenue.cli.scenario_arguments import existing_file


@click.command("kill")
@click.argument("plan")
@click.option(
    "--ledger",
    type=click.Path(path_type=Path),
    metavar="LEDGER",
    help="The coordinator's ledger, where several lie here.",
)
@click.option("--reason", default="operator", show_default=True, help="Written into the ledger.")
@json_option
def command(plan: str, ledger: Path | None, reason: str, as_json: bool) -> None:
    """Stop a plan.

    PLAN is its digest, or enough of its first digits. Before `plan.go` the plan is void; after it,
    those who have not acted stop, and the plan is settled.
    """
    from covenue.rounds.run import kill

    path = existing_file(ledger, "ledger") if ledger is not None else None
    document = kill(plan, reason, path)
    if as_json:
        print_json(document)
    else:
        print_table("kill", ("field", "value"), list(figures(document)))
