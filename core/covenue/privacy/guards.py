"""Guards that the coordinator follows and every node checks for itself.

Source: privacy.md, section 5; architecture.md, section 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from covenue_contracts.plan import CohortPolicy

Verdict = Literal["pass", "override", "void"]


@dataclass(frozen=True)
class Attendance:
    """Who joined a plan, and whose pinned state differs from the one of its last plan."""

    members: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Past:
    """Which version of whose input was in each plan that may have released a total.

    A party's version rises whenever it says that its input changed; one that comes back to an
    earlier input counts as changed, since nobody else can tell. versions: the newest by party.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    plans: tuple[Mapping[str, int], ...] = ()

    def at(self, now: Attendance) -> Mapping[str, int]:
        """The versions in a plan of this attendance."""
        return {did: self.versions.get(did, 0) + (did in now.changed) for did in now.members}

    def after(self, now: Attendance) -> "Past":
        """The past once a plan of this attendance may have released a total."""
        inputs = self.at(now)
        return Past({**self.versions, **inputs}, (*self.plans, inputs))


def moved(before: Mapping[str, int], now: Mapping[str, int]) -> int:
    """How many parties' inputs differ between two plans: changed, joined or left."""
    return sum(before.get(did) != now.get(did) for did in {*before, *now})


def differencing(policy: CohortPolicy, past: Past, now: Attendance, *, noised: bool) -> Verdict:
    """What a nearly unchanged re-plan may do: its sums less an earlier plan's tell the change.

    Every earlier plan counts, not the last alone. Colluders can say that they changed; so many
    changes protect nobody.
    """
    if noised:
        return "pass"
    inputs = past.at(now)
    counts = [moved(before, inputs) for before in past.plans]
    if all(count == 0 or count - policy.colluders >= policy.min_changed for count in counts):
        return "pass"
    return "override" if policy.differencing == "override" else "void"


def large_enough(policy: CohortPolicy, least: int, members: tuple[str, ...]) -> bool:
    """Whether a cohort reaches what policy and mechanism demand."""
    return len(members) >= max(policy.least, least)


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
