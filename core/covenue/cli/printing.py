"""What commands print: one JSON object, or tables; progress bars where somebody watches.

rich is imported only for a terminal. Text from ledgers, manifests and files is made plain first:
it may not steer the terminal.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from covenue.rounds.session import Progress

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def plain(text: str, *, lines: bool = False) -> str:
    """Text without control characters, which are shown escaped; `lines` keeps line feeds."""
    return "".join(
        char if char.isprintable() or (lines and char == "\n") else ascii(char)[1:-1]
        for char in text
    )


def print_json(document: Mapping[str, Any]) -> None:
    """Print exactly one JSON object on one line, ASCII only, keys as given."""
    click.echo(json.dumps(document, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: by rich on a terminal, as aligned text elsewhere."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(title, columns, cells)
        return
    click.echo(title)
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in (columns, *cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(f"  {line.rstrip()}")


def _print_rich(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def figures(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, value) of a nested summary, dotted; a long list is only counted."""
    for key, value in summary.items():
        if isinstance(value, Mapping):
            yield from figures(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and len(value) > 4:
            yield f"{prefix}{key}", f"{len(value)} entries"
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


@contextmanager
def watching(*, as_json: bool) -> Iterator["Callable[[Progress], None]"]:
    """A progress callback: bars, one an act, on a terminal; silence elsewhere."""
    if as_json or not sys.stderr.isatty():
        yield lambda _progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    shown: dict[str, Any] = {}
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def show(progress: "Progress") -> None:
            """Move the bar of the act that reports."""
            if progress.act not in shown:
                shown[progress.act] = bars.add_task(plain(progress.act), total=None, note="")
            bars.update(
                shown[progress.act],
                completed=progress.done,
                total=progress.total or None,
                note=plain(progress.note),
            )

        yield show
