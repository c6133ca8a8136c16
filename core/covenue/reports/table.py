"""Tables as CSV that no spreadsheet runs: text is guarded, numbers are plain decimals.

Every row ends with the SHA-256 of the report that it belongs to.
"""

import csv
import io
from collections.abc import Sequence

from covenue.errors import LayoutMismatch
from covenue.hooks.domains import Section
from covenue.reports.figures import is_decimal

_FORMULA = tuple("=+-@＝＋－＠")


def check(section: Section) -> None:
    """Raise LayoutMismatch, naming the first row that has not one cell a column."""
    for number, row in enumerate(section.rows):
        if len(row) != len(section.columns):
            raise LayoutMismatch(
                f"section {section.title!r}: row {number} has {len(row)} cells, "
                f"the table has {len(section.columns)} columns",
                "give every row one cell a column",
            )


def csv_bytes(columns: Sequence[str], rows: Sequence[Sequence[str]], digest: str) -> bytes:
    """One table as UTF-8 CSV; `digest` is the report's, in hex, and fills the last column."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*map(guarded, columns), "report_sha256"])
    for row in rows:
        writer.writerow([*map(guarded, row), digest])
    return out.getvalue().encode("utf-8", "replace")


def guarded(cell: str) -> str:
    """A decimal number as it is; text that a spreadsheet would run gets a leading apostrophe."""
    if is_decimal(cell):
        return cell
    text = cell.replace("\0", "\ufffd")
    runs = text.startswith(("\t", "\r", "\n")) or text.lstrip().startswith(_FORMULA)
    return f"'{text}" if runs else text


def numeric_columns(rows: Sequence[Sequence[str]], width: int) -> tuple[bool, ...]:
    """Which columns hold nothing but decimal numbers (or nothing), and at least one of them."""
    return tuple(
        all(is_decimal(row[place]) or not row[place] for row in rows)
        and any(row[place] for row in rows)
        for place in range(width)
    )
