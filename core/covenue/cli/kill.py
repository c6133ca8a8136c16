"""`covenue kill`: the kill switch. Before go it voids the plan; after go it stops the idle."""

import re
from pathlib import Path

import click

from covenue.cli.printing import figures, json_option, print_json, print_table
from covenue.cli.scenario_arguments import PATH, existing_ledger
from covenue.errors import BadInput

REASON_MAX = 4096


@click.command("kill")
@click.argument("plan")
@click.option(
    "--ledger",
    type=PATH,
    metavar="LEDGER",
    help="The coordinator's ledger (default: the only one in a folder here).",
)
@click.option("--reason", default="operator", show_default=True, help="Written into the ledger.")
@json_option
def command(plan: str, ledger: Path | None, reason: str, as_json: bool) -> None:
    """Stop a plan.

    PLAN is its digest, as `covenue ledger show LEDGER --kind plan.open` prints it. Before
    `plan.go` the plan is void; after it, those who have not acted stop, and the plan is settled.
    """
    from covenue.registry.load import Registry
    from covenue.rounds.stopping import kill

    _check(plan, reason)
    path = _only_ledger_here() if ledger is None else existing_ledger(ledger)
    document = kill(plan, reason, path, Registry())
    if as_json:
        print_json(document)
    else:
        print_table("kill", ("field", "value"), list(figures(document)))


def _check(plan: str, reason: str) -> None:
    if not re.fullmatch(r"[0-9a-f]{64}", plan):
        raise BadInput(
            "that is no plan's digest",
            "copy it from `covenue ledger show LEDGER --kind plan.open`: 64 hexadecimal digits",
            field="PLAN",
            value=plan,
        )
    if len(reason) > REASON_MAX:
        raise BadInput(
            f"the reason is longer than {REASON_MAX} characters", "shorten it", field="--reason"
        )


def _only_ledger_here() -> Path:
    from covenue.rounds.output import LEDGER

    found = sorted([*Path().glob(LEDGER), *Path().glob(f"*/{LEDGER}")])
    if len(found) == 1:
        return found[0].resolve()
    raise BadInput(
        f"{len(found)} ledgers lie in folders here",
        "name the coordinator's: --ledger LEDGER",
        field="--ledger",
        value=" ".join(str(path) for path in found),
    )
