"""What is left of a run: its report, written beside the ledger, and its figures."""

from typing import TYPE_CHECKING, Any

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


def _report(result: "RunResult", facts: dict[str, str]) -> str:
    from covenue.reports import write_report

    page = result.ledger.resolve().parent / "report.html"
    if not page.exists():
        write_report(page.parent, facts.get("scenario", "run"), facts, result.sections)
    return str(page)
