"""What a verification or replay found."""

from dataclasses import dataclass
from typing import Any, Literal

from covenue.errors import CovenueError

Check = tuple[str, str, str]
"""Name, verdict (pass, fail, not available) and detail."""

Status = Literal["ok", "identical", "partial", "differs", "damaged"]
"""Of a replay: `identical` when all of it came out again, `partial` when only some could run."""

VENUES = "venues"
NOT_HERE = "not available"


@dataclass(frozen=True)
class Verdict:
    """The result: `depth` says how far it went, `difference` where the first fault lies."""

    ok: bool
    status: Status
    depth: str
    checks: tuple[Check, ...]
    difference: dict[str, Any] | None = None

    @property
    def reached(self) -> str:
        """The depth; where only some parties were replayed, with their names."""
        passed = [name for name, result, _ in self.checks if result == "pass"]
        parties = [name.removeprefix("venue ") for name in passed if name.startswith("venue ")]
        return f"{VENUES}: {', '.join(parties)}" if self.depth == VENUES and parties else self.depth

    @property
    def missing(self) -> tuple[str, ...]:
        """What was not available, each with the reason."""
        return tuple(f"{name} ({why})" for name, result, why in self.checks if result == NOT_HERE)


def failed(status: Status, depth: str, checks: tuple[Check, ...], error: CovenueError) -> Verdict:
    """The verdict of an error: its fields are the difference."""
    return Verdict(False, status, depth, checks, dict(error.diagnostics()))
