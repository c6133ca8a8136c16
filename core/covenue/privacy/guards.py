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


def default_least(members: int) -> int:
    """The cohort that a node asks for by itself, of a roster of so many: max(5, two thirds)."""
    return max(5, -(-2 * members // 3))


def needs_consent(policy: CohortPolicy, members: int, *, sees_everything: bool) -> bool:
    """Whether a policy protects less than the default, so that every member has to sign it.

    Where the coordinator sees every answer anyway there is nothing that a cohort could protect.
    """
    return not sees_everything and policy.least < default_least(members)


def fixed_cohort(
    policy: CohortPolicy,
    joined: tuple[str, ...],
    released: tuple[str, ...] | None,
    *,
    noised: bool,
) -> tuple[str, ...] | None:
    """The cohort that a round must have, or None while parties may still drop out.

    The plan's first total fixes it. Where nearly unchanged re-plans are refused, all that joined
    are the cohort from the first round: a party that drops out would be a change of one.
    """
    if released is not None:
        return released
    refuses = policy.min_changed > 0 and policy.differencing != "override" and not noised
    return joined if refuses else None


def remembered(memories: Mapping[str, bytes], after: str | None) -> bytes:
    """The memory that a query continues from: the one of `after`, else the empty one."""
    return b"" if after is None else memories.get(after, b"")
