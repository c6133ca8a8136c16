"""What a verification or replay found."""

from dataclasses import dataclass
from typing import Any, Literal

from covenue.errors import CovenueError

Check = tuple[str, str, str]
"""Name, verdict (pass, fail, not available) and detail."""

Status = Literal["ok", "identical", "differs", "damaged"]


@dataclass(frozen=True)
class Verdict:
    """The result: `depth` says how far it went, `difference` where the first fault lies."""

    ok: bool
    status: Status
    depth: str
    checks: tuple[Check, ...]
    difference: dict[str, Any] | None = None


def failed(status: Status, depth: str, checks: tuple[Check, ...], error: CovenueError) -> Verdict:
    """The verdict of an error: its fields are the difference."""
    return Verdict(False, status, depth, checks, dict(error.diagnostics()))
