"""The search for lots by keys: exact on any offers, and deaf to what no offers give."""

from bisect import bisect_left
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue.hooks import paths
from covenue.hooks.paths import first_probes
from covenue.hooks.solvers import Total
from covenue.numerics.words import words
from covenue_solver_dual.lots import (
    Bracket,
    found,
    narrowed,
    next_probes,
    read,
    whole,
)


def answer(keys: Sequence[int], probes: Sequence[int], floor: int) -> Total:
    """What a cohort with these offers says."""
    offered = sorted(keys)
    return Total(words([*(bisect_left(offered, probe) for probe in probes), floor]), ("a",), True)


def searched(
    keys: Sequence[int], end: int, wanted: int, probes: int, centre: int
) -> tuple[tuple[int, int], int]:
    """(t, r) and the rounds it took."""
    bracket, points, rounds = whole(end), first_probes(end, centre, probes), 0
    while True:
        rounds += 1
        depths = read(bracket, points, answer(keys, points, 7))
        assert depths is not None
        bracket = narrowed(bracket, depths, wanted)
        pair = found(bracket, wanted)
        if pair is not None:
            return pair, rounds
        points = next_probes(bracket, probes)


@settings(max_examples=150, deadline=None)
@given(
    keys=st.lists(st.integers(0, 9999), max_size=60),
    share=st.floats(0, 1),
    probes=st.integers(8, 64),
    centre=st.integers(0, 10_000),
)
def test_the_pair_gives_back_exactly_what_is_wanted_wherever_the_search_begins(
    keys: list[int], share: float, probes: int, centre: int
) -> None:
    wanted = int(share * len(keys))
    (key, rest), rounds = searched(keys, 10_000, wanted, probes, centre)
    below = sum(each < key for each in keys)
    assert below + rest == wanted
    assert 0 <= rest <= keys.count(key)
    assert rounds <= 7


def test_offers_with_one_key_are_taken_in_part() -> None:
    assert searched([500] * 40, 10_000, 25, 16, 5000)[0] == (500, 25)


def test_evenly_spread_offers_take_two_rounds_from_cold() -> None:
    """Half of what is cut off is given back, and the first probes are dense there."""
    end = (2**20 - 1) << 10
    keys = [(end // 40_000) * k + 17 for k in range(40_000)]
    pair, rounds = searched(keys, end, 20_123, 255, end // 2)
    assert rounds <= 2
    assert bisect_left(keys, pair[0]) + pair[1] == 20_123


def test_probes_are_in_order_within_the_range_and_no_more_than_asked() -> None:
    for centre in (0, 1, 777, 9999, 10_000):
        points = first_probes(10_000, centre, 31)
        assert list(points) == sorted(set(points))
        assert points[0] > 0
        assert points[-1] == 10_000
        assert len(points) <= 31


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        [1, 2, 3, 9, 9],
        [3, 2, 3, 9],
        [1, 2, -3, 9],
        [1, 2, 4, 9],
        [0, 2, 3, 9],
        [1, 2, 3, 8],
    ],
)
def test_totals_that_no_offers_give_are_refused(values: list[int]) -> None:
    """Too few, too many, falling, negative, above the end, below the start, another floor."""
    bracket = Bracket(low=10, at_low=1, high=50, at_high=3, floor=9)
    assert read(bracket, (20, 30, 40), Total(words(values), ("a",), True)) is None
    assert read(bracket, (20, 30, 40), Total(words([1, 2, 3, 9]), ("a",), True)) is not None


def test_without_the_check_of_order_a_false_bracket_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: `sorted` leaves its argument as it is, and S(high) comes out below S(low)."""
    monkeypatch.setattr(paths, "sorted", list, raising=False)
    bracket = Bracket(low=10, at_low=5, high=50, at_high=9, floor=9)
    depths = read(bracket, (20, 30), Total(words([7, 1, 9]), ("a",), True))
    assert depths is not None
    assert depths.at[1] < bracket.at_low
