"""The simulated venue passes the suite with two instruments; each guard off is caught."""

from pathlib import Path

import pytest
from tests.venues.mutants import (
    JOURNAL_MUTANTS,
    LOT,
    Mutant,
    forgetful,
    is_killed,
    leg_mutants,
    without_mutant,
)
from tests.venues.simulated import COARSE, INSTRUMENT, builder

from covenue.hooks.journal import Journal
from covenue.testing.venues import engine_conformance
from covenue_venue_sim import venue
from covenue_venue_sim.fold import EngineFold
from covenue_venue_sim.venue import SimVenue

TestSim = engine_conformance(builder(INSTRUMENT), INSTRUMENT, LOT)
TestCoarse = engine_conformance(builder(COARSE), COARSE, LOT)
SUITES = (TestSim, TestCoarse)
LEVELS, UNTIL = venue._levels, EngineFold.seen_until

MUTANTS: dict[str, Mutant] = {
    **JOURNAL_MUTANTS,
    **leg_mutants(venue),
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
    "consumption is forgotten": (Journal, "once", forgetful, "ven_019_what_was_taken"),
    "swaps are passed over": (
        venue,
        "refusal",
        lambda actions, traded, valid_until, instant: "",
        "ven_022_what_the_venue",
    ),
    "an emptied level stays": (
        venue,
        "_levels",
        lambda engine, side: LEVELS(engine, side) * [[1, 0]],
        "ven_014_a_side_of_quantity_zero",
    ),
}


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_each_mutant_is_killed_by_its_case_and_only_then(
    mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_killed(SUITES, MUTANTS[mutant], tmp_path, monkeypatch)


def test_every_case_has_a_mutant() -> None:
    assert without_mutant(TestSim, MUTANTS) == set()
