"""The command group: names and one-line helps stand here, modules are imported when invoked."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from covenue.cli.failures import Terminated, exit_code_of, report, termination_raised

COMMANDS: dict[str, tuple[str, str]] = {
    "bridge": (
        "covenue.cli.bridge",
        "Translate messages between the vocabularies of the seed systems, losing nothing.",
    ),
    "contracts": ("covenue.cli.contracts", "List, show and validate message contracts."),
    "demo": ("covenue.cli.demo", "Run a shipped scenario, replay it, and show what came out."),
    "kill": ("covenue.cli.kill", "Stop a plan."),
    "ledger": ("covenue.cli.ledger", "Look into a ledger."),
    "plugins": ("covenue.cli.plugins", "List and show installed plugins; none is imported."),
    "replay": ("covenue.cli.replay", "Recompute a ledger and name the first byte that differs."),
    "run": ("covenue.cli.run", "Run a scenario file, or resume an interrupted run."),
    "verify": ("covenue.cli.verify", "Check a ledger without any private data."),
}
"""Subcommands: module (which has `command`), and the help that the overview prints."""


class Program(click.Group):
    """The root command; it alone turns errors into a screen and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the subcommands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the subcommand's module, and no other."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown command names the nearest one without importing any."""
        from covenue.registry.names import nearest

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            close = nearest(args[0], COMMANDS)
            hint = f"\n  try: covenue {close}" if close else "\n  try: covenue --help"
            ctx.fail(f"no such command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the overview from the table above; no subcommand is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, then exit: 0 ok, 1 the check failed, 2 bad input. A defect is 70.

        Without any argument it is asked for help.
        """
        given = list(sys.argv[1:] if args is None else args) or ["--help"]
        try:
            with termination_raised():
                code = super().main(given, prog_name, complete_var, standalone_mode=False, **extra)
        except (Exception, KeyboardInterrupt, Terminated) as error:
            if not standalone_mode:
                raise
            report(error, as_json="--json" in given)
            sys.exit(exit_code_of(error))
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib import metadata

        click.echo(f"covenue {metadata.version('covenue')}")
        ctx.exit()


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
def program() -> None:
    """Plan together without sharing data, and prove afterwards how.

    Exit codes: 0 ok, 1 the check failed, 2 bad input.
    """
