import hashlib
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import BadInput, LayoutMismatch, OutputExists
from covenue.hooks.domains import Plot, Section
from covenue.reports import style, write_report
from covenue.reports.folder import plain, report_files
from covenue.reports.page import LIMITS
from covenue_contracts.canonical import canonical, parse

HOSTILE = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)>&\x00\ud800"
FACTS = {"Ledger root": "9f" * 32, "Replay": "identical"}


def section(title: str = "Act 1", text: str = "100 plans.") -> Section:
    return Section(
        title,
        text,
        {"plans": 100, "saving_bps": 4.25, "unfilled_share": {"1": 0.04}, "root": None},
        ("venue", "lots"),
        (("spot", "31"), ("=cmd()", "-5")),
        (Plot("split", "area", "second", "BTC", (0.0, 1.0), {title: (1.0, 2.0)}),),
    )


class Tags(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def html(title: str = "Demo", sections: tuple[Section, ...] = (section(),)) -> str:
    return report_files(title, FACTS, sections)["report.html"].decode()


def test_a_report_is_json_page_and_one_csv_a_table(tmp_path: Path) -> None:
    made = write_report(tmp_path / "out", "Demo", FACTS, [section(), section("Act 2: an order")])
    assert made == tmp_path / "out" / "report.html"
    files = sorted(p.relative_to(tmp_path / "out").as_posix() for p in made.parent.rglob("*.*"))
    assert files == [
        "report.html",
        "report.json",
        "tables/01-act-1.csv",
        "tables/02-act-2-an-order.csv",
    ]


def test_tables_are_numbered_as_they_are_written_whatever_sections_have_none() -> None:
    plain = Section(title="Words", text="only", figures={}, columns=(), rows=(), plots=())
    files = report_files("Demo", FACTS, [section(), plain, section("Act 2"), plain])
    tables = [name for name in files if name.startswith("tables/")]
    assert tables == ["tables/01-act-1.csv", "tables/02-act-2.csv"]


def test_page_and_tables_carry_the_digest_of_the_json() -> None:
    files = report_files("Demo", FACTS, [section()])
    digest = hashlib.sha256(files["report.json"]).hexdigest()
    assert all(digest.encode() in body for name, body in files.items() if name != "report.json")


def test_the_json_is_canonical_and_keeps_every_value() -> None:
    body = report_files("Demo", FACTS, [section()])["report.json"]
    document = parse(body)
    assert canonical(document) == body
    assert document["sections"][0]["figures"] == {
        "plans": 100,
        "saving_bps": "4.25",
        "unfilled_share": {"1": "0.04"},
        "root": None,
    }
    assert document["sections"][0]["rows"][1] == ["=cmd()", "-5"]


def test_the_first_block_says_what_is_proven_and_what_is_not() -> None:
    page = html()
    assert page.index("What this run proves") < page.index("What it does not prove")
    assert page.index("What it does not prove") < page.index(FACTS["Ledger root"])
    assert LIMITS[0].startswith(
        "That a venue's answers describe what it really holds is not proven."
    )
    assert LIMITS[0] in page


def test_hostile_text_adds_no_tag_and_no_attribute() -> None:
    calm = Tags(html("Demo", (section("Act", "text"),)))
    facts = {HOSTILE: HOSTILE}
    hostile = Section(
        HOSTILE,
        HOSTILE,
        {"a" + HOSTILE: HOSTILE, "b": {HOSTILE: 1.5}, "c": [HOSTILE], "d": None},
        (HOSTILE, "lots"),
        ((HOSTILE, "31"), (HOSTILE, "-5")),
        (Plot(HOSTILE, "area", HOSTILE, HOSTILE, (0.0, 1.0), {HOSTILE: (1.0, 2.0)}),),
    )
    files = report_files(HOSTILE, facts, [hostile])
    attacked = Tags(files["report.html"].decode())
    assert {tag for tag, _ in attacked.seen} == {tag for tag, _ in calm.seen}
    names = {name for _, attributes in attacked.seen for name in attributes}
    assert names == {name for _, attributes in calm.seen for name in attributes}
    assert json.loads(files["report.json"])["title"].startswith("<script>")


def test_without_escaping_the_same_text_adds_a_script() -> None:
    raw = html().replace("Demo", HOSTILE)
    assert "script" in {tag for tag, _ in Tags(raw).seen}


def test_the_page_loads_nothing_and_its_policy_names_only_its_sheet() -> None:
    page = Tags(html())
    assert {tag for tag, _ in page.seen} & {"script", "link", "img", "iframe", "object"} == set()
    targets = {a["href"] for tag, a in page.seen if "href" in a}
    assert targets == {"report.json"}
    policies = [a["content"] for _, a in page.seen if a.get("http-equiv")]
    assert policies == [style.policy()]
    assert not any("style" in attributes for _, attributes in page.seen)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", html())


def test_other_processes_make_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_report import FACTS, section\n"
        "from covenue.reports.folder import report_files\n"
        "files = report_files('Demo', FACTS, [section()])\n"
        "print({n: hashlib.sha256(b).hexdigest() for n, b in files.items()})\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            env={"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("7", "Asia/Tokyo"))
    }
    assert len(told) == 1


def test_an_existing_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputExists) as caught:
        write_report(tmp_path, "Demo", FACTS, [section()])
    assert caught.value.file == str(tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_section_that_cannot_be_shown_writes_nothing(tmp_path: Path) -> None:
    broken = Section("fills", "", columns=("a",), rows=(("1", "2"),))
    with pytest.raises(LayoutMismatch):
        write_report(tmp_path, "Demo", FACTS, [section(), broken])
    assert not list(tmp_path.iterdir())


def test_a_long_table_folds_away() -> None:
    rows = tuple((str(number),) for number in range(100))
    page = html("Demo", (Section("plans", "", columns=("k",), rows=rows),))
    assert "<summary>All 100 rows</summary>" in page


@pytest.mark.parametrize("value", [math.inf, object(), b"bytes", {1, 2}])
def test_figures_that_are_no_json_are_refused(value: Any) -> None:
    with pytest.raises(BadInput):
        plain({"figure": value})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(figures=st.dictionaries(st.text(), json_values, max_size=4), title=st.text())
def test_any_json_figures_make_a_canonical_report(figures: dict[str, Any], title: str) -> None:
    files = report_files(title, {title: title}, [Section(title, title, figures)])
    assert parse(files["report.json"])["format"] == "report/v1"
    files["report.html"].decode()
