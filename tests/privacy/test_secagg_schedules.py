"""Secure aggregation inside the whole machine, under schedules of faults; and a mutant of it."""

from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test
from tests.rounds.conftest import (
    pure_work_is_remembered,  # noqa: F401 -- an autouse fixture: signatures are checked once
)
from tests.rounds.machine import Schedules, profile

from covenue.hooks.ledgers import LedgerBackend
from covenue.hooks.privacy import PlanContext, PrivacyStage, RoundContext
from covenue.testing.cohorts import Cohort, Setting
from covenue.testing.laws import broken_laws
from covenue_contracts.shared import SharedSignals
from covenue_ledger_memory import MemoryLedger
from covenue_privacy_secagg import coordinator, participant
from covenue_privacy_secagg.stage import SecAgg

PARTIES = 4

SETTINGS = st.builds(
    Setting,
    parties=st.just(PARTIES),
    least=st.just(3),
    colluders=st.sampled_from((0, 1)),
    quantity=st.sampled_from((5, 2, 9)),
    pace=st.sampled_from((None, 2)),
    plans=st.sampled_from((3, 2)),
    retries=st.sampled_from((0, 1)),
    budgets=st.sampled_from(((), (), (8,), (9, 40), (22, 40))),
    min_changed=st.sampled_from((0, 0, 2)),
    differencing=st.sampled_from(("override", "refuse")),
    still=st.booleans(),
    seed=st.sampled_from(("0", "1", "2", "3")),
)


class Around:
    """Ledgers in memory, and secure aggregation."""

    def ledger(self) -> LedgerBackend:
        return MemoryLedger()

    def stage(self) -> PrivacyStage:
        return SecAgg()


class Secure(Schedules):
    """The faults of the other stages' schedules, on four parties that mask."""

    released: ClassVar[int] = 0
    crashes: ClassVar[int] = 0

    @initialize(setting=SETTINGS)
    def begin(self, setting: Setting) -> None:
        type(self).count += 1
        self.cohort = Cohort(Around(), setting)

    def anybody(self, index: int) -> int:
        return PARTIES if index == 3 else index  # the coordinator's index follows the parties'

    def teardown(self) -> None:
        super().teardown()
        if self.cohort is not None:
            type(self).released += sum(isinstance(b, SharedSignals) for b in self.cohort.public)
            type(self).crashes += self.cohort.moves["crash"]


def secure() -> type[Secure]:
    return type("Schedules_secagg", (Secure,), {"count": 0, "released": 0, "crashes": 0})


def test_no_schedule_of_faults_breaks_a_law() -> None:
    machine = secure()
    run_state_machine_as_test(machine, settings=profile(200))
    assert machine.count >= 200
    assert machine.released >= 200
    assert machine.crashes >= 200


@pytest.mark.slow
def test_no_long_schedule_of_faults_breaks_a_law() -> None:
    run_state_machine_as_test(secure(), settings=profile(3_000, steps=60))


def one_goes_before_it_uploads() -> list[str]:
    """The laws that are broken when a party is lost for good between its join and its upload."""
    cohort = Cohort(Around(), Setting(parties=PARTIES, least=3, plans=2))
    cohort.beat()
    cohort.beat()
    cohort.hosts[0].online = False
    while cohort.beat():
        pass
    cohort.calm()
    return broken_laws(cohort)


def test_a_lost_party_is_in_no_sum_and_breaks_no_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coordinator that sums the rest, and nodes that let it: pair masks stay in that sum."""
    assert one_goes_before_it_uploads() == []
    ask_abort = coordinator._ask_abort

    def go_on(state: coordinator.Counting) -> coordinator.Result:
        if state.ctx is None or len(state.uploads) < 3:
            return ask_abort(state)
        return coordinator._name_survivors(state, state.ctx)

    def any_who_are_enough(plan: PlanContext, ctx: RoundContext, members: tuple[str, ...]) -> bool:
        return set(members) <= set(ctx.expected) and participant.large_enough(plan, members)

    for module in (participant, coordinator):
        monkeypatch.setattr(module, "may_be_summed", any_who_are_enough)
    monkeypatch.setattr(coordinator, "_in_conflict", lambda state, ctx: frozenset())
    monkeypatch.setattr(coordinator, "_ask_abort", go_on)
    assert any("the plain sum is" in sentence for sentence in one_goes_before_it_uploads())


def test_a_process_that_dies_at_any_boundary_says_one_thing_a_round() -> None:
    """Its log is folded into the same masks; the laws count every message that ever left."""
    crashes = 0
    for boundary in range(0, 24, 2):
        cohort = Cohort(Around(), Setting(parties=PARTIES, least=3, plans=2))
        for index in range(PARTIES + 1):
            cohort.crash(index, boundary + index)
        while cohort.beat():
            pass
        cohort.calm()
        assert broken_laws(cohort) == []
        crashes += cohort.moves["crash"]
        uploads = [place for place in cohort.said if place[3] == "upload"]
        assert len(uploads) >= 2 * PARTIES
    assert crashes == 12 * (PARTIES + 1)
