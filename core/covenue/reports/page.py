"""The page: what the run proves and what it does not, its facts, then one block a section."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from covenue.hooks.domains import Section
from covenue.reports import style
from covenue.reports.figures import grouped, shown
from covenue.reports.markup import Node, element, html_bytes
from covenue.reports.plot import draw
from covenue.reports.table import numeric_columns

LONG_TABLE = 16

PROVES = (
    "This page prints what the ledger records. `covenue verify` and `covenue replay` recompute "
    "it: as far as they pass, the following holds for anyone who runs them again.",
    "The entries are the ones that were signed, in that order: one changed byte of an entry, "
    "an index or a checkpoint is found and named.",
    "The plan follows from the sums that were released: each question, each total and each plan "
    "is recomputed from the entries before it, byte for byte.",
    "What left a party is what the ledger holds, and it was charged to the party's budget before "
    "it left.",
)
LIMITS = (
    "That a venue's answers describe what it really holds is not proven. A party that answers "
    "falsely is recorded, not found out; replaying its own log against its own data shows whether "
    "it computed what it says.",
    "Who holds a key, and what the clocks were worth, is recorded and not proven.",
    "Figures labelled as opened come from all parties' data put together outside the cohort, "
    "after the run. No party and no coordinator could have computed them during it.",
)


def page(title: str, facts: Mapping[str, str], sections: Sequence[Section], digest: str) -> bytes:
    """The whole page as UTF-8; it needs no script and fetches nothing.

    digest: SHA-256 of `report.json`, in hex. Raises what `draw` raises.
    """
    head = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": style.policy()}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "referrer", "content": "no-referrer"}),
        element("title", None, title),
        element("style", None, style.SHEET),
    )
    body = element(
        "body",
        None,
        element("p", {"class": "eyebrow"}, "Covenue report"),
        element("h1", None, title),
        _statement(),
        _facts(facts),
        *(_section(section) for section in sections),
        _footer(digest),
    )
    return html_bytes(element("html", {"lang": "en"}, head, body))


def _statement() -> Node:
    proves = [element("li", None, *_coded(text)) for text in PROVES]
    limits = [element("li", None, *_coded(text)) for text in LIMITS]
    return element(
        "div",
        {"class": "statement"},
        element("section", None, element("h2", None, "What this run proves"), _list(proves)),
        element(
            "section",
            {"class": "limits"},
            element("h2", None, "What it does not prove"),
            _list(limits),
        ),
    )


def _list(items: Sequence[Node]) -> Node:
    return element("ul", None, *items)


def _coded(text: str) -> Iterator[Node | str]:
    """Text in which parts between backticks are code."""
    for number, part in enumerate(text.split("`")):
        yield element("code", None, part) if number % 2 else part


def _facts(facts: Mapping[str, str]) -> Node:
    pairs: list[Node] = []
    for name, text in facts.items():
        pairs += [element("dt", None, name), element("dd", None, text)]
    return element("dl", {"class": "facts"}, *pairs)


def _section(section: Section) -> Node:
    parts: list[Node] = [element("h2", None, section.title)]
    parts += [element("p", None, text) for text in section.text.split("\n\n") if text]
    tiles = [
        element("div", None, element("dt", None, name), element("dd", None, text))
        for name, text in flat(section.figures)
    ]
    if tiles:
        parts.append(element("dl", {"class": "figures"}, *tiles))
    for plot in section.plots:
        heading = element("h3", None, plot.title)
        parts.append(element("div", {"class": "plot"}, heading, draw(plot)))
    if section.columns:
        parts.append(_table(section))
    return element("section", None, *parts)


def flat(figures: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """(label, text) of every figure; nested ones carry their path, lists stay on one line."""
    for name, value in figures.items():
        label = f"{above} · {name}" if above else str(name)
        label = label.replace("_", " ")
        if isinstance(value, Mapping):
            yield from flat(value, label)
        elif isinstance(value, list | tuple):
            yield label, ", ".join(shown(item) for item in value)
        else:
            yield label, shown(value)


def _table(section: Section) -> Node:
    numeric = numeric_columns(section.rows, len(section.columns))
    looks = [{"class": "number"} if right else {} for right in numeric]
    heads = [element("th", look, text) for look, text in zip(looks, section.columns, strict=True)]
    rows = [
        element("tr", None, *(_cell(look, text) for look, text in zip(looks, row, strict=True)))
        for row in section.rows
    ]
    table = element(
        "table",
        None,
        element("thead", None, element("tr", None, *heads)),
        element("tbody", None, *rows),
    )
    scroll = element("div", {"class": "scroll"}, table)
    if len(rows) <= LONG_TABLE:
        return scroll
    return element("details", None, element("summary", None, f"All {len(rows)} rows"), scroll)


def _cell(look: Mapping[str, str], text: str) -> Node:
    return element("td", look, grouped(text) if look else text)


def _footer(digest: str) -> Node:
    return element(
        "footer",
        None,
        "Made from ",
        element("a", {"href": "report.json"}, "report.json"),
        ", SHA-256 ",
        element("code", None, digest),
        ". The same ledger and data give the same bytes. This page runs no script, loads nothing.",
    )
