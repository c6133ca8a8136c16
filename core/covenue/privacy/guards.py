"""Guards that the coordinator follows and every node checks for itself.

Source: privacy.md, section 5; architecture.md, section 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from covenue_contracts.plan import CohortPolicy

Verdict = Literal["pass", "override", "void"]


@dataclass(frozen=True)
class Attendance:
    """Who joined a plan, and whose pinned state differs from the one of its last plan."""

    members: tuple[str, ...]
    changed: tuple[str, ...]


def moved(before: Attendance, now: Attendance) -> int:
    """How many parties' inputs differ between two plans: changed, joined or left."""
    here, there = set(now.members), set(before.members)
    return len((here & set(now.changed)) | (here ^ there))


def differencing(
    policy: CohortPolicy, before: Attendance | None, now: Attendance, *, noised: bool
) -> Verdict:
    """What a nearly unchanged re-plan may do: its sums minus the last give the change away."""
    if before is None or noised:
        return "pass"
    count = moved(before, now)
    if count == 0 or count >= policy.min_changed:
        return "pass"
    return "override" if policy.differencing == "override" else "void"


def large_enough(policy: CohortPolicy, least: int, members: tuple[str, ...]) -> bool:
    """Whether a cohort reaches what policy and mechanism demand."""
    return len(members) >= max(policy.least, least)


def same_cohort(fixed: tuple[str, ...] | None, expected: tuple[str, ...]) -> bool:
    """Whether a round asks the cohort that the plan's first total fixed."""
    return fixed is None or fixed == expected


def remembered(memories: Mapping[str, bytes], after: str | None) -> bytes:
    """The memory that a query continues from: the one of `after`, else the empty one."""
    return b"" if after is None else memories.get(after, b"")
