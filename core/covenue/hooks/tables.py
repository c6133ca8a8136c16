"""Reads a table strictly: a header, then one row a line, no quotes, no empty lines.

A table is `<name>.csv`, or `<name>.csv.gz`. Whatever does not fit is a BadInput that names file,
line, column and value.
"""

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from covenue.errors import BadInput

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Table:
    """Lines of text, cut into fields; row i stands in line i + 2.

    columns: all that may be there; a field of an optional column that is not there is empty.
    """

    file: Path
    columns: tuple[str, ...]
    rows: Sequence[list[str]]

    @cached_property
    def places(self) -> dict[str, int]:
        """Where in a row each column stands."""
        return {column: place for place, column in enumerate(self.columns)}

    def text(self, row: int, column: str) -> str:
        """A field as it was written."""
        return self.rows[row][self.places[column]]

    def name(self, row: int, column: str) -> str:
        """A name. Raises BadInput."""
        text = self.rows[row][self.places[column]]
        if not is_name(text):
            raise self.no_name(row, column)
        return text

    def integer(self, row: int, column: str, least: int, most: int) -> int:
        """A whole number from `least` to `most`, neither of them negative. Raises BadInput."""
        text = self.rows[row][self.places[column]]
        if not INTEGER.fullmatch(text) or not least <= int(text) <= most:
            raise self.wrong(
                row, column, "a whole number is expected", f"write digits only, {least} to {most}"
            )
        return int(text)

    def wrong(self, row: int, column: str, what: str, advice: str) -> BadInput:
        """An error at one field."""
        return _damaged(
            self.file, f"line {row + 2}: {column}", self.text(row, column), what, advice
        )

    def no_name(self, row: int, column: str) -> BadInput:
        """The error at a field that holds no name."""
        advice = "use 1 to 64 letters, digits and . _ : / -"
        return self.wrong(row, column, "a name is expected", advice)

    def refuse_empty(self, advice: str) -> None:
        """Raise BadInput for a table without rows."""
        if not self.rows:
            raise _damaged(self.file, "line 2", "", "the table is empty", advice)


def is_name(text: str) -> bool:
    """Whether a text is 1 to 64 letters, digits and . _ : / -, the first a letter or digit."""
    return NAME.fullmatch(text) is not None


def table_file(folder: Path, name: str) -> Path | None:
    """The file of a table, plain or packed, or None. Raises BadInput when it is there twice."""
    plain, packed = folder / f"{name}.csv", folder / f"{name}.csv.gz"
    if plain.exists() and packed.exists():
        raise BadInput("the table is there twice", f"delete {plain.name}", file=str(packed))
    if packed.exists():
        return packed
    return plain if plain.exists() else None


def read_table(file: Path, columns: tuple[str, ...], optional: str = "") -> Table:
    """A table with exactly these columns, and perhaps an optional one behind them.

    Raises BadInput.
    """
    lines = [line.removesuffix("\r") for line in _text(file).split("\n")]
    if lines[-1] == "":
        lines.pop()
    known = (*columns, optional) if optional else columns
    there = _columns(file, lines[0] if lines else "", columns, known)
    rows = [line.split(",") for line in lines[1:]]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(there):
            raise _damaged(
                file,
                f"line {number}",
                lines[number - 1],
                f"{len(there)} fields are expected, not {len(row)}",
                f"write {','.join(there)}, without quotes and empty lines",
            )
    if there != known:
        rows = [[*row, ""] for row in rows]
    return Table(file, known, rows)


def _columns(
    file: Path, header: str, least: tuple[str, ...], most: tuple[str, ...]
) -> tuple[str, ...]:
    """Which of the two a header names. Raises BadInput."""
    for columns in (least, most):
        if header == ",".join(columns):
            return columns
    behind = f", and {most[-1]} behind it if needed" if most != least else ""
    asked = f"write {','.join(least)}{behind}"
    raise _damaged(file, "line 1", header, "the header is another", asked)


def _text(file: Path) -> str:
    """The text of a file, unpacked where its name says so. Raises BadInput."""
    data = b""
    try:
        data = file.read_bytes()
        if file.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode("utf-8")
    except FileNotFoundError as error:
        raise BadInput(
            "the table is not there", "put it into the party's folder", file=str(file)
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = data[error.start : error.end].hex()
        raise _damaged(
            file, f"line {line}", text, "the table is not UTF-8 text", "save it as UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            "the table cannot be read: it is truncated, no gzip file, or no file",
            "copy it again and compare its SHA-256",
            file=str(file),
            value=str(error)[:200],
        ) from error


def _damaged(file: Path, place: str, value: str, what: str, advice: str) -> BadInput:
    return BadInput(what, advice, file=str(file), field=place, value=value[:200])
