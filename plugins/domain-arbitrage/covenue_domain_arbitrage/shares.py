"""Why a venue got its share of a plan: what it has that is off the plan's values."""

from typing import Any

ABSENT = {"value": None, "because": "it was not in the cohort"}
REMEMBERED = {
    "value": None,
    "because": "what it gives follows from the rounds, which only it remembers",
}


def why_share(offered: int, acting: int, sort: str, value: str) -> dict[str, Any]:
    """What a venue gives in a plan, at the references, and why not more, in words.

    offered: pools or levels that it has; acting: those that the plan uses.
    """
    if not offered:
        because = f"it has no {sort}"
    elif not acting:
        because = f"none of its {offered} {sort} is off the plan's values by more than its fee"
    else:
        because = (
            f"{acting} of its {offered} {sort} are off the plan's values by more than their fee"
        )
    return {"value": value, "because": because}
