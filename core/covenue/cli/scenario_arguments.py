"""A scenario's own options on the command line: `--fees retail --quantity=25`."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from covenue.errors import BadInput, OutputExists

ANY_OPTION = {"ignore_unknown_options": True}
"""Context settings of commands that hand unknown options to the scenario."""
PACE_MOST = 1_000_000


class _GivenPath(click.Path):
    """A path that is not empty: an empty one would silently be the folder that one is in."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """The path. Raises BadInput for an empty text, which an unset variable leaves."""
        if value == "":
            name = "" if param is None else param.opts[-1]
            name = name if name.startswith("-") else name.upper()
            raise BadInput(f"{name} is empty", "name a file or folder; . is this one", field=name)
        return super().convert(value, param, ctx)


class _Pace(click.FloatRange):
    """A multiple of recorded speed; refused in words that do not change with click's version."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Fails outside the range, and for `nan`, which no range excludes."""
        try:
            pace = float(value)
        except ValueError:
            pace = math.nan
        if math.isnan(pace):
            self.fail(f"{value!r} is not a number", param, ctx)
        if not 0 <= pace <= PACE_MOST:
            self.fail(f"{value!r} is not in the range from 0 to {PACE_MOST}", param, ctx)
        return pace


PATH = _GivenPath(path_type=Path)
"""The type of every path on the command line."""


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Positional arguments, and options with their values; a scenario's option takes one value."""
    positional: list[str] = []
    options: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("--") or argument == "--":
            positional.append(argument)
            continue
        name, equals, value = argument[2:].partition("=")
        if not equals:
            value = next(rest, "")
        if not value:
            raise BadInput(f"--{name} needs a value", f"write --{name} VALUE", field=f"--{name}")
        if name in options:
            raise BadInput(f"--{name} is given twice", "give it once", field=f"--{name}")
        options[name] = value
    return positional, options


def one_positional(positional: Sequence[str], what: str) -> str | None:
    """The only positional argument, or None. Raises BadInput on a second one."""
    if len(positional) > 1:
        raise BadInput(
            f"one {what} is expected, not {len(positional)}",
            f"name one {what}",
            value=" ".join(positional),
        )
    return positional[0] if positional else None


def refuse_used(out: Path) -> Path:
    """The absolute output folder. Raises OutputExists when it holds anything that a run writes.

    Other files in it are left alone: a shell's redirection may have made one already. A run whose
    start was cut short is begun again.
    """
    from covenue.rounds.output import WRITTEN, is_unbegun

    found = [out / name for name in WRITTEN if (out / name).exists()]
    if out.is_dir() and (not found or is_unbegun(out)):
        return out.resolve()
    if out.exists() or out.is_symlink():
        raise OutputExists(
            "the output is already there; nothing was written",
            "choose another folder with --out, move this one away, or continue its run with "
            "`covenue run --resume LEDGER`",
            file=str(found[0] if found else out),
            field="--out",
        )
    return out.resolve()


def existing_file(path: Path, what: str) -> Path:
    """The absolute path of a file or folder that is there. Raises BadInput."""
    if not path.exists():
        raise BadInput(f"there is no {what} at that path", f"give the path of a {what}", str(path))
    return path.resolve()


def existing_ledger(path: Path) -> Path:
    """The absolute path of a ledger, given as file or as its run's folder. Raises BadInput."""
    from covenue.rounds.output import LEDGER

    return existing_file(path / LEDGER if path.is_dir() else path, "ledger")


compare_option = click.option(
    "--compare",
    metavar="SOLVER",
    help="Run the same with another solver as well, and print how the plans differ.",
)
pace_option = click.option(
    "--pace",
    type=_Pace(min=0, max=PACE_MOST),
    default=0.0,
    metavar="X",
    help="X times recorded speed; 0 (default) is as fast as it goes.",
)
out_option = click.option("--out", type=PATH, metavar="DIR", help="Folder for all that is written.")
