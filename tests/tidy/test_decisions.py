import re
from pathlib import Path

import pytest
from tests.tidy.tree import ROOT, settings

DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in DECISIONS)
TRIVIAL = {"importlib-metadata"}  # a backport of the standard library


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_status_options_and_why(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.fullmatch(r"[0-9]{4}-[a-z0-9-]+", path.stem)
    assert re.search(r"^Status: (accepted|superseded by [0-9]{4})", text, re.MULTILINE)
    assert "## Options" in text
    assert "## Why" in text


def test_decisions_are_numbered_without_gaps() -> None:
    assert [path.name[:4] for path in DECISIONS] == [
        f"{n:04d}" for n in range(1, len(DECISIONS) + 1)
    ]


@pytest.mark.parametrize("requirement", settings(ROOT)["project"]["dependencies"])
def test_every_library_of_the_kernel_has_a_decision(requirement: str) -> None:
    library = re.split("[<>=]", requirement)[0]
    if library.startswith("covenue") or library in TRIVIAL:
        return
    assert f"`{library}`" in TEXT
