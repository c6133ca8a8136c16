"""The recorded venue passes the suite in all three dialects; each switched-off guard is caught."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.venues.captures import LOT, THREE, builder, instrument

from covenue.errors import CovenueError
from covenue.hooks.journal import Applied, Journal
from covenue.testing.venues import venue_conformance
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Actions, Leg, Outcome
from covenue_venue_recorded import execution, join, venue
from covenue_venue_recorded.book import BookReplay, Sides, Take
from covenue_venue_recorded.capture import Capture
from covenue_venue_recorded.dialects import COINM, SPOT, USDM
from covenue_venue_recorded.execution import Executed
from covenue_venue_recorded.join import Span
from covenue_venue_recorded.venue import RecordedVenue

TestSpot = venue_conformance(builder(SPOT), instrument(SPOT), LOT)
TestUsdm = venue_conformance(builder(USDM), instrument(USDM), LOT)
TestCoinm = venue_conformance(builder(COINM), instrument(COINM), LOT)


def blind(
    self: RecordedVenue, order: str, actions: Actions, valid_until: int, now: int
) -> Sequence[Outcome]:
    applied = self._execute(order, actions, valid_until, now)
    self._journal.keep(f"{order}@{now}", applied)
    self._journal.keep(order, Applied(applied.outcome, ()))
    return (applied.outcome,)


def seek_without_rewinding(self: BookReplay, span: Span, end: int) -> None:
    if self._span is not None and end < self._end:
        return
    SEEK(self, span, end)


def contracts_read_as_coins(
    sides: Sides, leg: Leg, number: int, traded: Instrument, lot: Fraction
) -> Executed:
    got = execution.execute(sides, leg, number, traded, lot)
    fills = [fill.model_copy(update={"units": fill.quantity_steps}) for fill in got.fills]
    return Executed(tuple(fills), got.short)


def lots_of_ones_own(
    sides: Sides, leg: Leg, number: int, traded: Instrument, unit: Fraction
) -> Executed:
    return execution.execute(sides, leg, number, traded, LOT)


SEEK = BookReplay._seek
UNTIL = Capture.diffs_until

MUTANTS: dict[str, tuple[Any, str, Any, str]] = {
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
    "a blind re-send executes again": (RecordedVenue, "apply", blind, "ven_013_the_same_order"),
    "an outcome is invented for an unknown order": (
        RecordedVenue,
        "reconcile",
        lambda self, order: (
            Outcome(order=order, status="refused", fills=(), swaps=(), reason="not found"),
        ),
        "ven_013_reconcile",
    ),
    "orders are kept in memory only": (
        Journal,
        "_append",
        lambda self, path, data: None,
        "ven_013_an_order_survives",
    ),
    "a late order executes": (
        RecordedVenue,
        "_refusal",
        lambda self, actions, valid_until, now: "",
        "ven_013_nothing_executes_after",
    ),
    "steps are read as units": (
        venue,
        "execute",
        contracts_read_as_coins,
        "ven_014_units_are_whole",
    ),
    "the unit of the actions is ignored": (
        venue,
        "execute",
        lots_of_ones_own,
        "ven_014_units_are_those",
    ),
    "most_units is ignored": (
        execution,
        "affordable",
        lambda steps, ticks, units_left, instrument, lot: steps,
        "ven_014_no_more_than_most",
    ),
    "the limit is ignored": (
        execution,
        "reachable",
        lambda sides, leg: sides.asks if leg.side == "buy" else sides.bids,
        "ven_014_no_more_than_the_quantity",
    ),
    "the legs' own side of the book is walked": (
        execution,
        "reachable",
        lambda sides, leg: sides.bids if leg.side == "buy" else sides.asks,
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
    "the digest depends on the instant": (
        venue,
        "state_digest",
        lambda instrument, sides, last: str(id(sides)),
        "ven_019_neither_chunks",
    ),
}


def run(suite: type, case: str, folder: Path) -> None:
    """Run one case by the start of its name."""
    (name,) = (name for name in dir(suite) if name.startswith(f"test_{case}"))
    folder.mkdir()
    getattr(suite(), name)(folder)


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_each_mutant_is_killed_by_its_case_and_only_then(
    mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, name, replacement, case = MUTANTS[mutant]
    suites = [venue_conformance(builder(dialect), instrument(dialect), LOT) for dialect in THREE]
    for number, suite in enumerate(suites):
        run(suite, case, tmp_path / f"clean-{number}")
    monkeypatch.setattr(home, name, replacement)
    for number, suite in enumerate(suites):
        with pytest.raises((AssertionError, CovenueError)):
            run(suite, case, tmp_path / f"mutant-{number}")


def test_the_suite_names_a_case_for_every_mutant() -> None:
    cases = {name for name in dir(TestSpot) if name.startswith("test_ven_")}
    for _, _, _, case in MUTANTS.values():
        assert sum(name.startswith(f"test_{case}") for name in cases) == 1


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
