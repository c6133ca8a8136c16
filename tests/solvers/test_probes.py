"""How many probes a round may have: as many as the entry that asks them holds."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import BadInput
from covenue.hooks.solvers import QUERY_BYTES_MAX
from covenue_contracts.canonical import canonical
from covenue_contracts.contract import INTEGER_DIGITS
from covenue_contracts.shared import Query
from covenue_solver_search import Search
from covenue_solver_search.probing import (
    LONGEST_KEY,
    MOST_PROBES,
    ROUND_KEYS,
    ROUNDS_MOST,
    balanced,
    room,
    spread,
    tiers,
)


def asking(points: int) -> Query:
    """A depth query of the longest keys that a contract holds."""
    return Query(
        kind="depth", after=None, multipliers=None, points=("9" * INTEGER_DIGITS,) * points
    )


def test_the_most_probes_fit_a_query_whatever_their_length() -> None:
    assert Search.from_options({"probes": MOST_PROBES}).probes == MOST_PROBES
    spare = QUERY_BYTES_MAX - len(canonical(asking(MOST_PROBES)))
    assert 0 <= spare < 3 * LONGEST_KEY, "the bound is not sharper than it need be"


def test_the_readme_names_the_bound() -> None:
    readme = Path(__file__).parents[2] / "plugins" / "solver-search" / "README.md"
    assert f"2 to {MOST_PROBES};" in readme.read_text()


@pytest.mark.parametrize("probes", [MOST_PROBES + 1, 5000, 65_535])
def test_more_probes_than_a_query_holds_are_refused(probes: int) -> None:
    with pytest.raises(BadInput, match="one entry holds") as caught:
        Search.from_options({"probes": probes})
    assert caught.value.field == "solver.options.probes"
    assert str(MOST_PROBES) in caught.value.advice


def rounds(width: int, probes: int) -> int:
    """Rounds that find one of so many keys, by dividing as the search does."""
    width, count = -(-width // probes), 1
    while width > 1:
        width, count = -(-width // (probes + 1)), count + 1
    return count


@given(st.integers(2, 2**60), st.integers(2, 4_000), st.integers(1, 64))
def test_no_number_of_probes_finds_a_key_sooner_in_at_most_five_rounds(
    width: int, most: int, lanes: int
) -> None:
    chosen = balanced(width, most, lanes)
    assert 2 <= chosen <= most
    least = rounds(width, most)
    assert rounds(width, chosen) <= max(least, ROUNDS_MOST)
    soonest = rounds(width, chosen) * (ROUND_KEYS + lanes * chosen)
    others = [*(most >> shift for shift in range(9)), *range(chosen - 3, chosen + 3)]
    for other in others:
        if 2 <= other <= most and rounds(width, other) <= max(least, ROUNDS_MOST):
            assert soonest <= rounds(width, other) * (ROUND_KEYS + lanes * other)


def test_left_alone_a_search_weighs_round_trips_against_words() -> None:
    assert Search.from_options({}).probes is None
    assert Search.from_options({"probes": "auto"}).probes is None
    assert (balanced(2**40, room(2**40)), rounds(2**40, 256)) == (256, 5)
    assert (balanced(2**28, room(2**28)), rounds(2**28, 645)) == (645, 3)
    assert rounds(2**50, balanced(2**50, room(2**50))) == 5
    assert rounds(2**60, balanced(2**60, room(2**60))) == rounds(2**60, room(2**60)) == 6


@given(st.integers(0, 2**60))
def test_a_query_has_room_for_as_many_keys_as_are_said(end: int) -> None:
    query = Query(kind="depth", after=None, multipliers=None, points=(str(end),) * room(end))
    spare = QUERY_BYTES_MAX - len(canonical(query))
    assert 0 <= spare < 128 + 2 * LONGEST_KEY


@given(st.integers(0, 2**70), st.integers(1, 2**70), st.integers(1, 300))
def test_a_spread_is_the_same_in_64_bits_and_beyond(low: int, width: int, most: int) -> None:
    points = spread(low, low + width, most)
    if width - 1 > most:
        assert points == tuple(low + width * j // (most + 1) for j in range(1, most + 1))
    assert all(type(point) is int for point in points)


@given(st.integers(0, 2**40), st.integers(1, 2**40), st.integers(1, 300))
def test_a_spread_lies_strictly_within_and_rises(low: int, width: int, most: int) -> None:
    points = spread(low, low + width, most)
    assert len(points) == min(most, width - 1)
    assert list(points) == sorted(set(points))
    assert all(low < point < low + width for point in points)


@given(st.integers(1, 2**50), st.integers(-(2**50), 2**51), st.integers(8, 2_000))
def test_tiers_hold_the_key_its_successor_and_the_end(end: int, key: int, probes: int) -> None:
    first, *others = tiers(0, end, key, probes)
    assert 0 <= first < end
    assert others == sorted(set(others) - {first})
    assert {first + 1, end} <= set(others)
    assert len(others) < probes
