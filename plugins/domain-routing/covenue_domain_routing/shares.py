"""Why a venue got its share of a plan: its best offer against the marginal level."""

from typing import Any

import numpy as np

from covenue_domain_routing.problem import RoutingProblem


def why_share(problem: RoutingProblem | None, key: int, lots: int) -> dict[str, Any]:
    """What a venue offered against the marginal key, in lots and price units, and in words.

    best: the best all-in price, None without an offer. offered: lots at the marginal level or
    better, of those that the order alone could take there.
    """
    if problem is None:
        return {"best": None, "offered": 0, "because": "it was not in the cohort"}
    ladder = problem.ladder
    if not len(ladder.keys):
        return {"best": None, "offered": 0, "because": "it offers nothing that the order may take"}
    place = int(np.searchsorted(ladder.keys, key, side="right"))
    offered = int(ladder.lots_before[place])
    is_marginal = place > 0 and int(ladder.keys[place - 1]) == key
    return {
        "best": int(ladder.prices[0]),
        "offered": offered,
        "because": _because(offered, lots, is_marginal=is_marginal),
    }


def _because(offered: int, lots: int, *, is_marginal: bool) -> str:
    if not offered:
        return "its best all-in price is beyond the marginal level"
    if is_marginal and lots < offered:
        return f"it holds the marginal level, of which {offered - lots} lots are not needed"
    if is_marginal:
        return "it holds the marginal level, and all of that is taken"
    return "all that it offers within the marginal price is taken"
