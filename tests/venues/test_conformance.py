"""The recorded venue passes the suite in all three dialects; each switched-off guard is caught."""

from pathlib import Path

import pytest
from tests.venues.captures import builder, instrument
from tests.venues.mutants import JOURNAL_MUTANTS, LOT, Mutant, is_killed, leg_mutants, named

from covenue.testing.venues import venue_conformance
from covenue_contracts.local import Actions, Leg
from covenue_venue_recorded import join, venue
from covenue_venue_recorded.book import BookReplay, Sides, Take
from covenue_venue_recorded.capture import Capture
from covenue_venue_recorded.dialects import COINM, SPOT, USDM
from covenue_venue_recorded.join import Span
from covenue_venue_recorded.venue import RecordedVenue

TestSpot = venue_conformance(builder(SPOT), instrument(SPOT), LOT)
TestUsdm = venue_conformance(builder(USDM), instrument(USDM), LOT)
TestCoinm = venue_conformance(builder(COINM), instrument(COINM), LOT)
SUITES = (TestSpot, TestUsdm, TestCoinm)


def seek_without_rewinding(self: BookReplay, span: Span, end: int) -> None:
    if self._span is not None and end < self._end:
        return
    SEEK(self, span, end)


SEEK = BookReplay._seek
UNTIL = Capture.diffs_until

MUTANTS: dict[str, Mutant] = {
    **JOURNAL_MUTANTS,
    **leg_mutants(venue),
    "a diff is applied across a gap": (
        join,
        "links",
        lambda previous, last: True,
        "ven_001_a_missing_diff",
    ),
    "a repeated diff is applied": (
        join,
        "links",
        lambda previous, last: previous <= last,
        "ven_001_a_repeated_diff",
    ),
    "a snapshot older than the buffer is joined": (
        join,
        "bridges",
        lambda first, last, snapshot, lead: True,
        "ven_002_a_snapshot_older",
    ),
    "diffs before the snapshot's line are lost": (
        join,
        "_first_kept",
        lambda capture, depth, buffered: depth.position,
        "ven_002_the_bridging_diff",
    ),
    "a diff that the snapshot holds is applied again": (
        join,
        "_first_kept",
        lambda capture, depth, buffered: 0,
        "ven_002_the_bridging_diff",
    ),
    "the last diff is lost": (
        Capture,
        "diffs_until",
        lambda self, as_of: min(UNTIL(self, as_of), len(self.local) - 1),
        "ven_002_the_last_diff",
    ),
    "the book is served before its snapshot": (
        RecordedVenue,
        "_span",
        lambda self, as_of: self._joined.spans[0],
        "ven_005_nothing_is_known",
    ),
    "the watchdog sleeps": (
        RecordedVenue,
        "_heard",
        lambda self, span, end: 2**62,
        "ven_005_silence",
    ),
    "a crossed book is served": (Sides, "is_crossed", False, "ven_005_a_crossed"),
    "the legs' own side of the book is walked": (
        venue,
        "against",
        lambda leg, sides: sides.bids if leg.side == "buy" else sides.asks,
        "ven_014_units_are_whole",
    ),
    "a future row is visible": (
        Capture,
        "diffs_until",
        lambda self, as_of: UNTIL(self, as_of + 1),
        "ven_015_a_future_row",
    ),
    "time does not rewind": (
        BookReplay,
        "_seek",
        seek_without_rewinding,
        "ven_019_neither_chunks",
    ),
    "consumption is forgotten": (
        Take,
        "counts_at",
        lambda self, as_of: False,
        "ven_019_what_was_taken",
    ),
    "consumption never ends": (
        Take,
        "counts_at",
        lambda self, as_of: self.time <= as_of,
        "ven_019_what_was_taken",
    ),
    "consumption reaches into the past": (
        Take,
        "counts_at",
        lambda self, as_of: self.refreshed is None or as_of < self.refreshed,
        "ven_019_what_was_taken",
    ),
}


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_each_mutant_is_killed_by_its_case_and_only_then(
    mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_killed(SUITES, MUTANTS[mutant], tmp_path, monkeypatch)


def test_the_suite_names_a_case_for_every_mutant() -> None:
    assert [len(named(TestSpot, case)) for *_, case in MUTANTS.values()] == [1] * len(MUTANTS)


def test_a_leg_for_a_foreign_instrument_is_refused_whole(tmp_path: Path) -> None:
    suite = TestSpot()
    adapter = suite.venue(tmp_path)
    good = suite.market.actions(1, "buy", 1, 1, 10**9)
    foreign = Leg(
        side="buy",
        instrument="another",
        limit_ticks="618001",
        quantity_steps="1000",
        most_units="9",
    )
    both = Actions(plan=good.plan, unit=good.unit, legs=(*good.legs, foreign), swaps=())
    (outcome,) = adapter.apply("a" * 64, both, 2**63, adapter.pin(1_700_000_000_300_000_000).as_of)
    assert (outcome.status, outcome.fills) == ("refused", ())
    assert outcome.reason is not None
    assert "another" in outcome.reason
