"""What the documents say is done: their blocks run, their links lead somewhere."""

import re
from pathlib import Path

import pytest
from tests.journeys.blocks import blocks
from tests.tidy.tree import ROOT, files, name

PAGES = tuple(path for path in files() if path.suffix == ".md")
RUN = tuple(page for page in PAGES if any(True for _ in blocks(page)))
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", RUN, ids=name)
def test_the_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if not block.why_not:
            block.run(tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_block_is_left_out_by_another_name(page: Path) -> None:
    fences = re.findall(r"^```(\w+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(fences) <= {"bash", "python", "toml", "json", "text"}


def test_the_readme_has_one_picture_both_commands_and_every_reader() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install -r starter.txt && covenue demo" in text
    assert "bash test.sh" in text
    for reader in ("Operator", "Auditor", "Plugin author", "Quant"):
        assert f"**{reader}**" in text


def test_a_failing_block_fails_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```bash\nfalse | true\n```\n")
    (block,) = blocks(page)
    with pytest.raises(AssertionError, match="false"):
        block.run(tmp_path)
