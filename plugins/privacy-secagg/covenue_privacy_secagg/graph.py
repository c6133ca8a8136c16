"""Who masks with whom: everybody up to 32; above, a circulant graph that nobody could choose.

The members stand in a ring, in an order drawn from the beacon, and each masks with the k/2 nearest
on either side. k and t are the least for which, by the exact hypergeometric tail over all nodes,

    P[some node has >= t corrupt neighbours]  <= 2^-40      t - 1 of them learn nothing
    P[some node has < t surviving neighbours] <= 2^-20      t are enough to recover
    P[k/2 corrupt members stand in a row]     <= 2^-40      fewer cut no honest member off

where a tenth is taken to be corrupt even if the policy assumes less. Source: privacy.md, 4.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from math import comb

from covenue.hooks.privacy import PlanContext, RoundContext
from covenue_privacy_secagg.masks import hashed

COMPLETE_MOST = 32
CORRUPT_MOST = Fraction(1, 2**40)
LOST_MOST = Fraction(1, 2**20)
DRAW_BYTES = 4


def neighbours(plan: PlanContext, ctx: RoundContext, beacon: bytes, did: str) -> tuple[str, ...]:
    """The members that a member masks with in a round, in order of did."""
    expected = ctx.expected
    degree = degree_of(plan, ctx)
    if degree == len(expected) - 1:
        return tuple(other for other in expected if other != did)
    ring = permutation(beacon, expected)
    at, reach = ring.index(did), degree // 2
    steps = (*range(-reach, 0), *range(1, reach + 1))
    return tuple(sorted(ring[(at + step) % len(ring)] for step in steps))


def degree_of(plan: PlanContext, ctx: RoundContext) -> int:
    """How many neighbours each member of a round has."""
    members = len(ctx.expected)
    if members <= COMPLETE_MOST:
        return members - 1
    return least_degree(members, plan.policy.colluders, plan.policy.drops)


@lru_cache(maxsize=64)
def permutation(beacon: bytes, members: tuple[str, ...]) -> tuple[str, ...]:
    """The members in an order drawn from the beacon: Fisher-Yates, no remainder favoured."""
    ring = list(members)
    draws = _draws(hashed(b"covenue/secagg/graph/1", beacon, *(m.encode() for m in members)))
    for last in range(len(ring) - 1, 0, -1):
        chosen = _below(last + 1, draws)
        ring[last], ring[chosen] = ring[chosen], ring[last]
    return tuple(ring)


def _draws(seed: bytes) -> Iterator[int]:
    counter = 0
    while True:
        block = hashed(b"covenue/secagg/draw/1", seed, counter.to_bytes(8, "big"))
        for start in range(0, len(block), DRAW_BYTES):
            yield int.from_bytes(block[start : start + DRAW_BYTES], "big")
        counter += 1


def _below(bound: int, draws: Iterator[int]) -> int:
    """A uniform integer below the bound: draws above its largest multiple are rejected."""
    whole = 256**DRAW_BYTES // bound * bound
    return next(draw % bound for draw in draws if draw < whole)


@lru_cache(maxsize=64)
def least_degree(members: int, colluders: int, drops: int) -> int:
    """The least even degree that meets the three bounds; all others where none does."""
    corrupt = max(colluders, -(-members // 10))
    for degree in range(2, members - 1, 2):
        if members * _in_a_row(members, corrupt, degree // 2) > CORRUPT_MOST:
            continue
        least = _least_threshold(members, corrupt, degree)
        if least <= degree and members * _lost(members, drops, degree, least) <= LOST_MOST:
            return degree
    return members - 1


def _least_threshold(members: int, corrupt: int, degree: int) -> int:
    """The least t for which no node has t corrupt neighbours but with a negligible chance."""
    return next(
        t
        for t in range(1, degree + 2)
        if members * _tail(members - 1, corrupt, degree, t) <= CORRUPT_MOST
    )


def _lost(members: int, drops: int, degree: int, threshold: int) -> Fraction:
    """The chance that fewer than `threshold` of a node's neighbours survive."""
    return _tail(members - 1, drops, degree, degree - threshold + 1)


def _tail(others: int, marked: int, drawn: int, least: int) -> Fraction:
    """P[at least `least` of `drawn` others are marked], without replacement."""
    ways = sum(
        comb(marked, hits) * comb(others - marked, drawn - hits)
        for hits in range(least, min(marked, drawn) + 1)
    )
    return Fraction(ways, comb(others, drawn))


def _in_a_row(members: int, corrupt: int, length: int) -> Fraction:
    """P[the `length` members from a given place on are all corrupt]."""
    return Fraction(comb(corrupt, length), comb(members, length))
