"""Where to ask: as few rounds as a query's size allows, and near what is known from before."""

from itertools import count

import numpy as np

from covenue.hooks.solvers import QUERY_BYTES_MAX
from covenue_contracts.contract import INTEGER_DIGITS

QUERY_FRAME = 128
POINT_FRAME = len('"",')
LONGEST_KEY = POINT_FRAME + INTEGER_DIGITS
MOST_PROBES = (QUERY_BYTES_MAX - QUERY_FRAME) // LONGEST_KEY
"""As many keys as a query holds whatever their length, and so as its entry does."""
LEAST_WARM_PROBES = 8
ROUND_KEYS = 2500
"""A round trip takes as long as sending so many words: 20 ms, at 1 MB/s."""
ROUNDS_MOST = 5
SAFE = 2**62
"""Products below this are exact in 64 bits."""


def room(end: int) -> int:
    """How many keys up to `end` a query holds."""
    return (QUERY_BYTES_MAX - QUERY_FRAME) // (POINT_FRAME + len(str(end)))


def balanced(width: int, most: int, lanes: int = 1) -> int:
    """The number of probes a round that finds one of `width` keys soonest: trips and words weighed.

    At most ROUNDS_MOST rounds, or the fewest where so few are not possible. lanes: how many such
    searches go on side by side. The first round also asks at the end of the range, so it has one
    interval less than the others.
    """
    first = _rounds(most, width)
    chosen = {r: _least(width, most, r) for r in range(first, max(first, ROUNDS_MOST) + 1)}
    return min((r * (ROUND_KEYS + lanes * probes), probes) for r, probes in chosen.items())[1]


def _rounds(probes: int, width: int) -> int:
    """In how many rounds so many probes find one of `width` keys."""
    return next(r for r in count(1) if _reach(probes, r) >= width)


def _least(width: int, most: int, rounds: int) -> int:
    """The least number of probes that so many rounds need; `most` are enough."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _reach(middle, rounds) >= width else (middle + 1, high)
    return max(2, low)


def _reach(probes: int, rounds: int) -> int:
    """How many keys so many rounds tell apart."""
    return int(probes * (probes + 1) ** (rounds - 1))


def spread(low: int, high: int, most: int) -> tuple[int, ...]:
    """At most so many keys strictly between low and high, as evenly as integers allow."""
    width = high - low
    if width - 1 <= most:
        return tuple(range(low + 1, high))
    if width * (most + 1) < SAFE:
        steps = width * np.arange(1, most + 1, dtype=np.int64) // (most + 1)
        return tuple([low + step for step in steps.tolist()])
    return tuple([low + width * j // (most + 1) for j in range(1, most + 1)])


def tiers(first: int, end: int, key: int, probes: int) -> tuple[int, ...]:
    """Probes around an earlier key: itself first, its successor and the end, then both sides.

    Tier j steps by (K + 1)^j, so that whatever falls into it takes j more rounds; each tier has
    half of the probes that are left, so nearness is favoured and the whole range is covered.
    """
    centre = min(max(key, first), end - 1)
    step, below, above = 1, centre, centre + 1
    points = {centre, centre + 1, end}
    left = (probes - 3) // 2
    while left > 0 and (below > first or above < end):
        step *= probes + 1
        for _ in range(max(1, left // 2)):
            below, above, left = below - step, above + step, left - 1
            points |= {p for p in (below, above) if first < p < end}
    return (centre, *sorted(points - {centre}))
