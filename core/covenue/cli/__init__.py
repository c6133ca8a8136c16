"""The command line: parse, call, print.

program   the group; subcommands are imported when invoked
failures  errors as one screen, or one JSON object, and the exit code
printing  tables, progress and JSON
one module a subcommand
"""


def main() -> None:
    """Run `covenue` with the arguments of this process, and exit."""
    from covenue.cli.program import program

    program(prog_name="covenue")


__all__ = ["main"]
