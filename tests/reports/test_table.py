import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import LayoutMismatch
from covenue.hooks.domains import Section
from covenue.reports.figures import is_decimal
from covenue.reports.table import check, csv_bytes, guarded, numeric_columns

DIGEST = "ab" * 32
FORMULAS = ("=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "-", "+5")


def unguarded(cell: str) -> str:
    return cell


def runs(cell: str) -> bool:
    """What a spreadsheet would take for a formula: the rule of the attack, written apart."""
    return cell.lstrip("\t\r\n ")[:1] in set("=+-@＝＋－＠") and not is_decimal(cell)


@pytest.mark.parametrize("cell", FORMULAS)
def test_text_that_a_spreadsheet_would_run_is_guarded(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", FORMULAS)
def test_without_the_guard_a_formula_reaches_the_spreadsheet(cell: str) -> None:
    assert runs(unguarded(cell))
    assert not runs(guarded(cell))


@pytest.mark.parametrize("cell", ["0", "-5", "12.50", "-0.25", "612345678901234567890"])
def test_decimal_numbers_stay_as_they_are(cell: str) -> None:
    assert guarded(cell) == cell


@pytest.mark.parametrize("cell", ["+5", "1e5", "01", "1,000", ".5", "5.", "--5", "NaN", "٥", "5\n"])
def test_what_is_not_a_plain_decimal_is_text(cell: str) -> None:
    assert not is_decimal(cell)


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=4))
def test_every_table_reads_back_row_by_row(rows: list[list[str]]) -> None:
    body = csv_bytes(("name", "value"), rows, DIGEST).decode()
    read = list(csv.reader(io.StringIO(body, newline="")))
    assert read[0] == ["name", "value", "report_sha256"]
    assert len(read) == len(rows) + 1
    for cells in read[1:]:
        assert cells[2] == DIGEST
        assert not any(runs(cell) for cell in cells)


def test_a_row_without_one_cell_a_column_is_refused() -> None:
    with pytest.raises(LayoutMismatch, match="row 1 has 1 cells"):
        check(Section("fills", "", columns=("a", "b"), rows=(("1", "2"), ("1",))))


def test_a_column_is_numeric_only_when_all_its_cells_are() -> None:
    rows = (("1", "x", ""), ("", "2", ""))
    assert numeric_columns(rows, 3) == (True, False, False)
