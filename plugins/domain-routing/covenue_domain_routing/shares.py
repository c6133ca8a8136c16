"""Why a venue got its share of a plan: its best offer against the marginal level."""

from collections.abc import Sequence
from typing import Any

from covenue_domain_routing.central import OpenedVenue, offers
from covenue_domain_routing.goals import Terms
from covenue_domain_routing.grid import KeyGrid


def why_share(
    venue: OpenedVenue | None, terms: Terms, grid: KeyGrid, key: int, lots: int
) -> dict[str, Any]:
    """What a venue offered against the marginal key, in lots and price units, and in words.

    best: the best all-in price, None without an offer. offered: lots at the marginal level or
    better, of the whole book: a plan's own ladder ends at what it asks for.
    """
    if venue is None:
        return {"best": None, "offered": 0, "because": "it was not in the cohort"}
    book = list(offers(venue, terms))
    if not book:
        return {"best": None, "offered": 0, "because": "it offers nothing that the order may take"}
    within = [n for price, n in book if grid.key_of(price, venue.slot) <= key]
    offered = sum(within)
    return {"best": book[0][0], "offered": offered, "because": _because(book, within, lots)}


def _because(book: Sequence[tuple[int, int]], within: Sequence[int], lots: int) -> str:
    offered = sum(within)
    if not offered:
        return "its best all-in price is beyond the marginal level"
    if lots < offered:
        return f"it holds the marginal level, of which {offered - lots} lots are not needed"
    if len(within) == len(book):
        return "all that it offers is taken"
    return "all that it offers within the marginal price is taken"
