"""The simulated venue passes the suite with two instruments; each guard off is caught."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.venues.simulated import COARSE, INSTRUMENT, LOT, builder

from covenue.errors import CovenueError
from covenue.hooks.journal import Applied, Journal
from covenue.testing.venues import engine_conformance
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Actions, Leg, Outcome
from covenue_venue_sim import execution, venue
from covenue_venue_sim.execution import Executed, Levels
from covenue_venue_sim.fold import EngineFold
from covenue_venue_sim.venue import SimVenue

TestSim = engine_conformance(builder(INSTRUMENT), INSTRUMENT, LOT)
TestCoarse = engine_conformance(builder(COARSE), COARSE, LOT)
SUITES = (TestSim, TestCoarse)
LEVELS = venue._levels
REFUSAL, UNTIL, EXECUTE = SimVenue._refusal, EngineFold.seen_until, execution.execute


def blind(
    self: SimVenue, order: str, actions: Actions, valid_until: int, now: int
) -> Sequence[Outcome]:
    applied = self._execute(order, actions, valid_until, now)
    self._journal.keep(order, applied)
    self._takes += applied.takes
    return (applied.outcome,)


def forgetful(
    self: SimVenue, order: str, actions: Actions, valid_until: int, now: int
) -> Sequence[Outcome]:
    if order not in self._journal.orders:
        applied = self._execute(order, actions, valid_until, now)
        self._journal.keep(order, Applied(applied.outcome, ()))
    return (self._journal.orders[order].outcome,)


def steps_read_as_units(
    levels: Levels, leg: Leg, number: int, traded: Instrument, unit: Fraction
) -> Executed:
    got = EXECUTE(levels, leg, number, traded, unit)
    fills = [fill.model_copy(update={"units": fill.quantity_steps}) for fill in got.fills]
    return Executed(tuple(fills), got.short)


def units_of_ones_own(
    levels: Levels, leg: Leg, number: int, traded: Instrument, unit: Fraction
) -> Executed:
    return EXECUTE(levels, leg, number, traded, LOT)


MUTANTS: dict[str, tuple[Any, str, Any, str]] = {
    "the last request is lost": (
        EngineFold,
        "seen_until",
        lambda self, as_of: min(UNTIL(self, as_of), len(self.times) - 1),
        "ven_002_the_last_diff",
    ),
    "the book is served before its first order": (
        SimVenue,
        "_heard",
        lambda self, as_of: as_of,
        "ven_005_nothing_is_known",
    ),
    "the watchdog sleeps": (SimVenue, "_heard", lambda self, as_of: as_of, "ven_005_silence"),
    "a blind re-send executes again": (SimVenue, "apply", blind, "ven_013_the_same_order"),
    "an outcome is invented for an unknown order": (
        SimVenue,
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
        SimVenue,
        "_refusal",
        lambda self, actions, valid_until, instant: REFUSAL(self, actions, instant, instant),
        "ven_013_nothing_executes_after",
    ),
    "steps are read as units": (venue, "execute", steps_read_as_units, "ven_014_units_are_whole"),
    "the unit of the actions is ignored": (
        venue,
        "execute",
        units_of_ones_own,
        "ven_014_units_are_those",
    ),
    "most_units is ignored": (
        execution,
        "affordable",
        lambda steps, ticks, units_left, instrument, unit: steps,
        "ven_014_no_more_than_most",
    ),
    "the limit is ignored": (
        execution,
        "is_within",
        lambda ticks, leg: True,
        "ven_014_no_more_than_the_quantity",
    ),
    "the legs' own side of the book is walked": (
        venue,
        "side_of",
        lambda leg: int(leg.side == "buy"),
        "ven_014_units_are_whole",
    ),
    "a future request is visible": (
        EngineFold,
        "seen_until",
        lambda self, as_of: UNTIL(self, as_of + 1),
        "ven_015_a_future_row",
    ),
    "time does not rewind": (
        EngineFold,
        "_is_ahead",
        lambda self, seen, made, takes: False,
        "ven_019_neither_chunks",
    ),
    "the digest depends on the instant": (
        venue,
        "state_digest",
        lambda instrument, bids, asks, last: str(id(bids)),
        "ven_019_neither_chunks",
    ),
    "consumption is forgotten": (SimVenue, "apply", forgetful, "ven_019_what_was_taken"),
    "swaps are passed over": (
        SimVenue,
        "_refusal",
        lambda self, actions, valid_until, instant: "",
        "ven_022_what_the_venue",
    ),
    "an emptied level stays": (
        venue,
        "_levels",
        lambda engine, side: LEVELS(engine, side) * [[1, 0]],
        "ven_014_a_side_of_quantity_zero",
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
    for number, suite in enumerate(SUITES):
        run(suite, case, tmp_path / f"clean-{number}")
    monkeypatch.setattr(home, name, replacement)
    for number, suite in enumerate(SUITES):
        with pytest.raises((AssertionError, CovenueError)):
            run(suite, case, tmp_path / f"mutant-{number}")


def test_every_case_has_a_mutant() -> None:
    cases = {name for name in dir(TestSim) if name.startswith("test_ven_")}
    killed = {
        name for name in cases for *_, case in MUTANTS.values() if name.startswith(f"test_{case}")
    }
    assert killed == cases
