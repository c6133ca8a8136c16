"""Why a venue got its share of a schedule: what bound it, or the price at which it stopped."""

from typing import Any

import numpy as np

from covenue_domain_execution.kernels import Integers, Rows


def why_share(rows: Rows | None, schedule: Integers | None) -> dict[str, Any]:
    """Lots by slice of one party, and why not more, in words.

    rows: the party's venues, None outside the cohort; schedule: whole lots int64[n, T].
    """
    if rows is None or schedule is None:
        return {"lots": [], "because": "it was not in the cohort"}
    lots = [int(lot) for lot in schedule.sum(axis=0, dtype=np.int64)]
    return {"lots": lots, "because": _because(rows, schedule)}


def _because(rows: Rows, schedule: Integers) -> str:
    taken = schedule.sum(axis=1, dtype=np.int64)
    open_slices = int(np.count_nonzero((rows.caps >= 1.0).any(axis=0)))
    if not open_slices:
        return "its limits leave no whole lot to trade"
    if not taken.any():
        return "its first lot costs more than every slice's marginal price"
    if (taken + 1 > rows.credits).all():
        return "its credit is used up"
    full = int(np.count_nonzero(((schedule + 1 > rows.caps) & (rows.caps >= 1.0)).any(axis=0)))
    if full:
        return (
            f"its participation is used up in {full} of {open_slices} slices; "
            "in the others its marginal cost meets the price"
        )
    return "its marginal cost meets the marginal price of each slice"
