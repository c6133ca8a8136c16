"""What is left of a run: its report, written beside the ledger, and its figures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from covenue.cli.printing import figures, print_table

if TYPE_CHECKING:
    from covenue.replay import Verdict
    from covenue.rounds.session import RunResult


CAME_THROUGH = frozenset({"ok", "unfilled", "killed"})
"""A run that ended by its rules: filled, at its deadline, or by the kill switch."""


def came_through(status: object) -> bool:
    """Whether no check failed: what is left unfilled is a result, not a failure."""
    return status in CAME_THROUGH


def summed_up(result: "RunResult", verdict: "Verdict | None" = None) -> dict[str, Any]:
    """Write the report, unless a resumed run finds it there, and return the figures to print."""
    summary: dict[str, Any] = {**result.summary, "status": result.status}
    facts = dict(result.facts)
    if verdict is not None:
        facts["replay"] = summary["replay"] = verdict.status
        if verdict.difference is not None:
            summary["difference"] = verdict.difference
    summary |= {"ledger": str(result.ledger.resolve()), "root": result.root}
    summary["report"] = _report(result, facts)
    return summary


LONG = ("venues", "overrides", "coordinator_saw", "compared")
"""Figures that stand in the JSON and the report, or in a table of their own."""


def print_summary(title: str, summary: dict[str, Any]) -> None:
    """The figures of a run as tables: what was overridden, what was seen, what came out."""
    _print_overrides(summary.get("overrides", []))
    _print_sight(summary.get("coordinator_saw"))
    if "compared" in summary:
        _print_comparison(summary["compared"])
    brief = {name: value for name, value in summary.items() if name not in LONG}
    print_table(title, ("figure", "value"), list(figures(brief)))


def _print_overrides(overrides: Sequence[dict[str, Any]]) -> None:
    """Every re-plan at which the policy overrode a guard, so that nobody overlooks it."""
    if overrides:
        columns = ("plan", "guard", "what it means", "why it was overridden")
        rows = [(str(o["k"]), o["guard"], o["detail"], o["reason"]) for o in overrides]
        print_table("guards overridden", columns, rows)


def _print_sight(shown: dict[str, Any] | None) -> None:
    if shown is not None:
        columns = ("party", "what the coordinator saw", "what the party had")
        rows = [
            (name, " ".join(words["seen"]), " ".join(words["own"]))
            for name, words in shown["parties"].items()
        ]
        title = f"first of {shown['words']} words, plan {shown['plan']}, round {shown['round']}"
        print_table(title, columns, rows)


def _print_comparison(compared: dict[str, Any]) -> None:
    columns = ("plan", "value", "by the other", "rounds", "by the other", "agree")
    rows = [
        (str(r["k"]), r["value"], r["other_value"], str(r["rounds"]), str(r["other_rounds"]),
         "yes" if r["agree"] else "NO")
        for r in compared["plans"]
    ]  # fmt: skip
    print_table(f"solver {compared['solver']} against {compared['other']}", columns, rows)


def _report(result: "RunResult", facts: dict[str, str]) -> str:
    from covenue.reports import write_report

    page = result.ledger.resolve().parent / "report.html"
    if not page.exists():
        write_report(page.parent, facts.get("scenario", "run"), facts, result.sections)
    return str(page)
