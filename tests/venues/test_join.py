"""Joining snapshots and diffs: the boundaries of each dialect's rule, gaps, and their mutants."""

from pathlib import Path

import numpy as np
import pytest
from tests.venues.captures import THREE, opened

from covenue.errors import CaptureDamaged, StateStale
from covenue.testing.venues import PRICE, Change, Depth, MarketEvent, at
from covenue_venue_recorded import join as joining
from covenue_venue_recorded.dialects import COINM, SPOT, USDM, Dialect

LAST = 1_000
ASK = PRICE + 1


def around(first: int, last: int) -> list[MarketEvent]:
    """A snapshot up to LAST, then a diff [first, last] that moves the ask from 4 to 9."""
    return [
        Depth(at(0), LAST, ((PRICE - 1, 5),), ((ASK, 4),)),
        Change(at(1), first, last, first - 1, asks=((ASK, 9),)),
    ]


RULES: dict[str, tuple[tuple[Dialect, ...], int, int, str]] = {
    "spot: the next id follows at once": ((SPOT,), 1_001, 1_005, "kept"),
    "spot: a diff of just the next id": ((SPOT,), 1_001, 1_001, "kept"),
    "spot: a diff across the end": ((SPOT,), 990, 1_001, "kept"),
    "spot: a diff that ends with the snapshot": ((SPOT,), 990, 1_000, "dropped"),
    "spot: one id is missing": ((SPOT,), 1_002, 1_005, "refused"),
    "futures: a diff that begins at the end": ((USDM, COINM), 1_000, 1_005, "kept"),
    "futures: a diff that ends with the snapshot": ((USDM, COINM), 990, 1_000, "kept"),
    "futures: a diff that ends before": ((USDM, COINM), 990, 999, "dropped"),
    "futures: one id is missing": ((USDM, COINM), 1_001, 1_005, "refused"),
}


def verdict(dialect: Dialect, folder: Path, first: int, last: int) -> str:
    """Whether a diff after the snapshot is kept, dropped or refused; another diff links to it."""
    follow = Change(at(2), last + 1, last + 50, last, bids=((PRICE - 9, 1),))
    try:
        venue = opened(dialect, folder, [*around(first, last), follow])
    except CaptureDamaged:
        return "refused"
    size = int(venue.pin(at(1)).state.asks[0, 1])
    return {9: "kept", 4: "dropped"}[size]


@pytest.mark.parametrize("sentence", sorted(RULES))
def test_the_bridging_rule_holds_at_its_boundaries(sentence: str, tmp_path: Path) -> None:
    dialects, first, last, expected = RULES[sentence]
    for number, dialect in enumerate(dialects):
        assert verdict(dialect, tmp_path / f"{number}", first, last) == expected


OFF_BY_ONE = {
    "spot keeps what the snapshot already holds": (
        "drops",
        lambda last, snapshot, lead: last < snapshot,
        "spot: a diff that ends with the snapshot",
    ),
    "futures drop a diff that ends with the snapshot": (
        "drops",
        lambda last, snapshot, lead: last <= snapshot,
        "futures: a diff that ends with the snapshot",
    ),
    "spot wants an overlap": (
        "bridges",
        lambda first, last, snapshot, lead: first <= snapshot <= last,
        "spot: the next id follows at once",
    ),
    "futures do not want an overlap": (
        "bridges",
        lambda first, last, snapshot, lead: first <= snapshot + 1,
        "futures: one id is missing",
    ),
    "spot forgives one missing id": (
        "bridges",
        lambda first, last, snapshot, lead: first <= snapshot + 2,
        "spot: one id is missing",
    ),
}


@pytest.mark.parametrize("mutant", sorted(OFF_BY_ONE))
def test_an_off_by_one_in_the_bridging_rule_turns_a_boundary_red(
    mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, replacement, sentence = OFF_BY_ONE[mutant]
    dialects, first, last, expected = RULES[sentence]
    monkeypatch.setattr(joining, name, replacement)
    for number, dialect in enumerate(dialects):
        assert verdict(dialect, tmp_path / f"{number}", first, last) != expected


def chain(ids: list[tuple[int, int, int]], start: int = 1) -> list[Change]:
    """Diffs (first, last, previous); the k-th sets the ask at ASK to 10 + k."""
    return [
        Change(at(start + k), first, last, previous, asks=((ASK, 10 + k),))
        for k, (first, last, previous) in enumerate(ids)
    ]


DEPTH = Depth(at(0), LAST, ((PRICE - 1, 5),), ((ASK, 4),))


@pytest.mark.parametrize("dialect", THREE, ids=lambda dialect: dialect.name)
def test_a_gap_names_its_line_field_and_value(dialect: Dialect, tmp_path: Path) -> None:
    events: list[MarketEvent] = [DEPTH, *chain([(1_000, 1_010, 999), (1_012, 1_020, 1_011)])]
    with pytest.raises(CaptureDamaged, match="gap") as caught:
        opened(dialect, tmp_path, events)
    assert caught.value.field == f"line 3: {dialect.link_field}"
    assert caught.value.value == "follows 1011, the last good id is 1010"
    assert "wait" in caught.value.advice


def test_futures_ids_may_jump_where_pu_links(tmp_path: Path) -> None:
    events: list[MarketEvent] = [DEPTH, *chain([(1_000, 1_010, 999), (1_500, 1_510, 1_010)])]
    assert opened(USDM, tmp_path, events).pin(at(2)).state.asks.tolist() == [[ASK, 11]]


def test_waiting_out_a_gap_serves_no_time_between_gap_and_snapshot(tmp_path: Path) -> None:
    first = chain([(1_001, 1_010, 1_000), (1_012, 1_020, 1_011), (1_021, 1_030, 1_020)])
    again = Depth(at(4), 1_025, ((PRICE - 1, 5),), ((ASK, 3), (ASK + 1, 8)))
    rest = chain([(1_031, 1_040, 1_030)], start=5)
    venue = opened(SPOT, tmp_path, [DEPTH, *first, again, *rest], gaps="wait")
    assert venue.pin(at(1)).state.asks.tolist() == [[ASK, 10]]
    for silent in (at(2), at(3), at(4) - 1):
        with pytest.raises(StateStale, match="gap"):
            venue.pin(silent)
    assert venue.pin(at(4)).state.asks.tolist() == [[ASK, 12], [ASK + 1, 8]]
    assert venue.pin(at(4)).state.last == 1_030
    assert venue.pin(at(5)).state.asks.tolist() == [[ASK, 10], [ASK + 1, 8]]
    assert venue.pin(at(1)).state.asks.tolist() == [[ASK, 10]]
    assert venue.facts()["gaps"] == 1


def test_a_gap_at_the_end_leaves_the_book_unusable(tmp_path: Path) -> None:
    events: list[MarketEvent] = [DEPTH, *chain([(1_001, 1_010, 1_000), (1_012, 1_020, 1_011)])]
    venue = opened(SPOT, tmp_path, events, gaps="wait")
    assert venue.pin(at(2) - 1).state.last == 1_010
    with pytest.raises(StateStale, match="gap"):
        venue.pin(at(2))


def test_a_gap_between_the_bridging_diff_and_its_snapshot_voids_that_snapshot(
    tmp_path: Path,
) -> None:
    events: list[MarketEvent] = [
        Change(at(0), 990, 1_005, 989),
        Change(at(1), 1_007, 1_010, 1_006),
        Depth(at(2), LAST, ((PRICE - 1, 5),), ((ASK, 4),)),
        Change(at(3), 1_011, 1_012, 1_010),
    ]
    for gaps in ("refuse", "wait"):
        with pytest.raises(CaptureDamaged, match="gap"):
            opened(SPOT, tmp_path, events, gaps=gaps)


def test_a_gap_among_diffs_that_the_snapshot_holds_does_no_harm(tmp_path: Path) -> None:
    events: list[MarketEvent] = [
        Change(at(0), 100, 200, 99),
        Change(at(1), 900, 1_005, 850, asks=((ASK, 9),)),
        Depth(at(2), LAST, ((PRICE - 1, 5),), ((ASK, 4),)),
        Change(at(3), 1_006, 1_012, 1_005),
    ]
    assert opened(SPOT, tmp_path, events).pin(at(2)).state.asks.tolist() == [[ASK, 9]]


def test_a_snapshot_that_is_too_old_is_passed_over_for_the_next(tmp_path: Path) -> None:
    old = Depth(at(0), 500, ((PRICE - 1, 1),), ((ASK, 1),))
    fresh = Depth(at(2), 1_005, ((PRICE - 1, 5),), ((ASK, 4),))
    events: list[MarketEvent] = [
        old,
        *chain([(1_001, 1_010, 1_000)]),
        fresh,
        *chain([(1_011, 1_012, 1_010)], 3),
    ]
    venue = opened(SPOT, tmp_path, events)
    with pytest.raises(StateStale):
        venue.pin(at(1))
    assert venue.pin(at(2)).state.asks.tolist() == [[ASK, 10]]


def test_a_second_snapshot_without_a_gap_changes_nothing(tmp_path: Path) -> None:
    events: list[MarketEvent] = [DEPTH, *chain([(1_001, 1_010, 1_000), (1_011, 1_020, 1_010)])]
    middle = Depth(at(1), 1_010, ((PRICE - 1, 5),), ((ASK, 10),))
    plain = opened(SPOT, tmp_path / "plain", events)
    more = opened(SPOT, tmp_path / "more", [*events[:2], middle, *events[2:]])
    assert plain.pin(at(2)).digest == more.pin(at(2)).digest
    assert more.facts()["snapshots"] == 2


def test_a_capture_without_a_snapshot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureDamaged, match="no snapshot") as caught:
        opened(SPOT, tmp_path, chain([(1_001, 1_010, 1_000)]))
    assert caught.value.field == "lastUpdateId"


@pytest.mark.parametrize("dialect", THREE, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    "diffs", [[], [(1, 900, 0)], [(1_002, 1_010, 1_001)]], ids=["none", "all older", "all newer"]
)
def test_a_snapshot_that_no_diff_bridges_is_refused(
    diffs: list[tuple[int, int, int]], dialect: Dialect, tmp_path: Path
) -> None:
    with pytest.raises(CaptureDamaged, match="no diff bridges") as caught:
        opened(dialect, tmp_path, [DEPTH, *chain(diffs)])
    assert caught.value.field == "line 1: lastUpdateId"
    assert caught.value.value.startswith(str(LAST))


def test_deleting_a_level_that_is_not_there_is_normal(tmp_path: Path) -> None:
    absent = Change(at(1), 1_001, 1_010, 1_000, asks=((ASK + 70, 0),), bids=((PRICE - 70, 0),))
    state = opened(SPOT, tmp_path, [DEPTH, absent]).pin(at(1)).state
    assert state.asks.tolist() == [[ASK, 4]]
    assert state.bids.tolist() == [[PRICE - 1, 5]]


def test_an_emptied_side_is_empty_not_zero(tmp_path: Path) -> None:
    emptied = Change(at(1), 1_001, 1_010, 1_000, asks=((ASK, 0),))
    state = opened(SPOT, tmp_path, [DEPTH, emptied]).pin(at(1)).state
    assert state.asks.shape == (0, 2)
    assert state.asks.dtype == np.int64
    assert not state.asks.flags.writeable


def test_equal_states_have_equal_digests_wherever_and_whenever(tmp_path: Path) -> None:
    one = opened(SPOT, tmp_path / "one", [DEPTH, *chain([(1_001, 1_010, 1_000)])])
    quiet = one.pin(at(1))
    assert one.pin(at(1) + 5).digest == quiet.digest
    elsewhere = opened(
        SPOT,
        tmp_path / "two",
        [Depth(at(0), LAST, ((PRICE - 1, 5),), ((ASK, 10),)), *chain([(1_001, 1_010, 1_000)])],
    )
    assert elsewhere.pin(at(1)).digest == quiet.digest
    renamed = opened(
        SPOT, tmp_path / "three", [DEPTH, *chain([(1_001, 1_010, 1_000)])], canonical="other"
    )
    assert renamed.pin(at(1)).digest != quiet.digest
