"""One report as a folder: canonical JSON first, then the page and the tables made from it."""

import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from covenue.errors import BadInput, OutputExists
from covenue.hooks.domains import Plot, Section
from covenue.reports import plot as plots
from covenue.reports import table as tables
from covenue.reports.figures import decimal_text
from covenue.reports.markup import clean
from covenue.reports.page import page
from covenue_contracts.canonical import canonical
from covenue_contracts.contract import SAFE_INTEGER

FORMAT = "report/v1"


def write_report(
    folder: Path, title: str, facts: Mapping[str, str], sections: Sequence[Section]
) -> Path:
    """Write `report.json`, `report.html` and `tables/*.csv`; returns the path of the page.

    They show every party's figures side by side: only their owner may read them.
    Raises OutputExists, before anything is written, when one of the files is there; BadInput or
    LayoutMismatch when a section cannot be shown as it says.
    """
    files = report_files(title, facts, sections)
    for name in files:
        if (folder / name).exists():
            raise OutputExists(
                "a report is already there; nothing was written",
                "choose another folder, or move the old report away",
                file=str(folder / name),
            )
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(body)
    return folder / "report.html"


def report_files(
    title: str, facts: Mapping[str, str], sections: Sequence[Section]
) -> dict[str, bytes]:
    """The bytes of every file of a report by its relative name; equal inputs, equal bytes."""
    for section in sections:
        tables.check(section)
        for plot in section.plots:
            plots.check(plot)
    body = canonical(document(title, facts, sections))
    digest = hashlib.sha256(body).hexdigest()
    files = {"report.json": body, "report.html": page(title, facts, sections, digest)}
    tabled = [section for section in sections if section.columns]
    for number, section in enumerate(tabled, start=1):
        name = f"tables/{number:02d}-{_slug(section.title)}.csv"
        files[name] = tables.csv_bytes(section.columns, section.rows, digest)
    return files


def document(title: str, facts: Mapping[str, str], sections: Sequence[Section]) -> dict[str, Any]:
    """The report as a document of the canonical profile: decimals as text, a gap as null."""
    return {
        "format": FORMAT,
        "title": clean(title),
        "facts": [{"name": clean(name), "text": clean(text)} for name, text in facts.items()],
        "sections": [_section(section) for section in sections],
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": clean(section.title),
        "text": clean(section.text),
        "figures": plain(section.figures),
        "columns": plain(section.columns),
        "rows": plain(section.rows),
        "plots": [_plot(plot) for plot in section.plots],
    }


def _plot(plot: Plot) -> dict[str, Any]:
    return {
        "title": clean(plot.title),
        "kind": plot.kind,
        "x_label": clean(plot.x_label),
        "y_label": clean(plot.y_label),
        "x": plain(plot.x),
        "series": [
            {"name": clean(name), "values": plain(values)} for name, values in plot.series.items()
        ],
    }


def plain(value: Any) -> Any:
    """JSON types of the canonical profile; keys become ASCII, other characters escaped.

    Raises BadInput for an infinite number or another type.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int):
        return value if abs(value) <= SAFE_INTEGER else str(value)
    if isinstance(value, float) and not math.isinf(value):
        return None if math.isnan(value) else decimal_text(value)
    if isinstance(value, Mapping):
        return {_ascii(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise BadInput(
        f"a report cannot hold {type(value).__name__}",
        "give JSON types: text, whole or finite numbers, lists, maps",
        value=repr(value)[:80],
    )


def _ascii(key: str) -> str:
    return key.encode("ascii", "backslashreplace").decode("ascii")


def _slug(title: str) -> str:
    """A file name from a title: lower-case ASCII letters and digits, at most 40."""
    words = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")
    return words[:40].rstrip("-") or "table"
