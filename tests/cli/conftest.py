"""A command line in an empty folder, and golden texts.

`COVENUE_GOLDEN=write .venv/bin/pytest tests/cli` writes the golden texts anew.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from covenue.cli.program import program

GOLDEN = Path(__file__).parent / "golden"
Invoke = Callable[..., Result]


@pytest.fixture
def covenue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`covenue ARGUMENTS` in an empty folder, 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(program, arguments, prog_name="covenue")

    return invoke


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with its golden file, or write it."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("COVENUE_GOLDEN") == "write":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare
