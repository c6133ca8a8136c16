"""Everybody else's orders: timed requests from a seed, in integers of PCG64 only.

Prices follow a walk of the middle that depends on `walk_seed` alone, so venues can share it and
stand a fixed distance apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from covenue.errors import BadInput
from covenue_venue_sim.engine import BUY, TERMS, Amend, Cancel, New, Request

FAMILY = int.from_bytes(b"flow", "big")
OPENING, EVENTS, WALK = 1, 2, 3
SECOND = 1_000_000_000
EVENTS_MAX = 5_000_000
OWNERS = ("", "", "", "", "mm0", "mm1", "mm2", "mm3")
SHARES: tuple[tuple[int, str], ...] = (
    (50, "limit"),
    (84, "cancel"),
    (92, "ioc"),
    (96, "amend"),
    (98, "post"),
    (100, "fok"),
)
"""Of a hundred requests, up to which one each sort reaches."""


@dataclass(frozen=True)
class Timed:
    """A request, and when it reaches the venue, ns."""

    time: int
    request: Request


@dataclass(frozen=True)
class Flow:
    """What a generated flow is like.

    mid_ticks, spread_ticks, levels: the book at `start`, one order a price and side. size_steps:
    mean size. rate: requests a second, for `seconds`. walk_ticks: most that the middle moves in a
    second.
    """

    seed: int
    walk_seed: int = 0
    start: int = 0
    seconds: int = 60
    rate: int = 20
    mid_ticks: int = 100_000
    spread_ticks: int = 2
    levels: int = 20
    size_steps: int = 1_000
    walk_ticks: int = 1


def generated(flow: Flow) -> tuple[Timed, ...]:
    """All requests of a flow, in order of time. Raises BadInput for one that cannot be."""
    _check(flow)
    return (*_opening(flow), *_events(flow))


def _opening(flow: Flow) -> Iterator[Timed]:
    sizes = _random(OPENING, flow.seed).integers(1, 2 * flow.size_steps, (flow.levels, 2))
    for level, pair in enumerate(sizes.tolist()):
        for side, steps in enumerate(pair):
            ticks = _ticks(flow, flow.mid_ticks, side, level)
            name = f"open-{'bs'[side]}{level:04d}"
            yield Timed(flow.start, New(name, name, side, ticks, steps))


class _Drawn(NamedTuple):
    """What chance says of one request."""

    time: int
    share: int
    side: int
    level: int
    steps: int
    owner: int
    pick: int


def _events(flow: Flow) -> Iterator[Timed]:
    middles = _walk(flow)
    resting: list[New] = []
    for number, drawn in enumerate(_drawn(flow)):
        sort = next(sort for up_to, sort in SHARES if drawn.share < up_to)
        request: Request | None
        if sort in {"cancel", "amend"}:
            request = _change(resting, sort, drawn)
        else:
            request = _new(flow, sort, number, middles[drawn.time // SECOND], drawn)
            if request.terms in {"limit", "post"}:
                resting.append(request)
        if request is not None:
            yield Timed(flow.start + drawn.time, request)


def _drawn(flow: Flow) -> Iterator[_Drawn]:
    count = flow.rate * flow.seconds
    random = _random(EVENTS, flow.seed)
    columns = (
        np.sort(random.integers(0, max(1, flow.seconds * SECOND), count)),
        random.integers(0, 100, count),
        random.integers(0, 2, count),
        random.integers(0, flow.levels, count),
        random.integers(1, 2 * flow.size_steps, count),
        random.integers(0, len(OWNERS), count),
        random.integers(0, 2**31, count),
    )
    return map(_Drawn._make, zip(*(column.tolist() for column in columns), strict=True))


def _new(flow: Flow, sort: str, number: int, middle: int, drawn: _Drawn) -> New:
    """An order; one that takes reaches as far into the other side as its level says."""
    name = f"o{number:07d}"
    terms = next(known for known in TERMS if known == sort)
    side = 1 - drawn.side if terms in {"ioc", "fok"} else drawn.side
    ticks = _ticks(flow, middle, side, drawn.level)
    return New(name, OWNERS[drawn.owner] or name, drawn.side, ticks, drawn.steps, terms)


def _change(resting: list[New], sort: str, drawn: _Drawn) -> Request | None:
    """Cancel or amend an order that may still rest; none when nothing was ever left."""
    if not resting:
        return None
    place = drawn.pick % len(resting)
    order = resting[place]
    if sort == "amend":
        return Amend(order.id, order.ticks, drawn.steps)
    resting[place] = resting[-1]
    resting.pop()
    return Cancel(order.id)


def _ticks(flow: Flow, middle: int, side: int, level: int) -> int:
    """The price `level` steps away from the best one of a side."""
    below = flow.spread_ticks // 2
    if side == BUY:
        return middle - below - level
    return middle + (flow.spread_ticks - below) + level


def _walk(flow: Flow) -> list[int]:
    """The middle in each second; it stays where every level has a positive price."""
    steps = _random(WALK, flow.walk_seed).integers(
        -flow.walk_ticks, flow.walk_ticks, flow.seconds, endpoint=True
    )
    steps[:1] = 0
    least = flow.spread_ticks + flow.levels + 1
    return [max(least, flow.mid_ticks + int(moved)) for moved in np.cumsum(steps)]


def _random(part: int, seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([FAMILY, part, seed])))


def _check(flow: Flow) -> None:
    """Raise BadInput for a flow without room for its levels, or without end."""
    if flow.mid_ticks <= flow.spread_ticks + flow.levels:
        raise BadInput(
            "the levels below the middle would reach price 0",
            "raise mid_ticks, or lower levels and spread_ticks",
            field="mid_ticks",
            value=str(flow.mid_ticks),
        )
    if flow.rate * flow.seconds > EVENTS_MAX:
        raise BadInput(
            f"the flow has more than {EVENTS_MAX} requests",
            "lower rate or seconds",
            field="rate",
            value=str(flow.rate),
        )
