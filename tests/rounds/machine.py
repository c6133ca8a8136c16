"""The schedules: a Hypothesis state machine whose rules are a cohort's faults."""

from collections.abc import Callable
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from covenue.hooks.ledgers import LedgerBackend
from covenue.hooks.privacy import PrivacyStage
from covenue.testing.cohorts import Cohort, Setting
from covenue.testing.laws import broken_laws
from covenue.testing.privacy import VotedSum
from covenue.testing.venues import Behaviour
from covenue_contracts.plan import PlanGo
from covenue_ledger_memory import MemoryLedger
from covenue_privacy_open.stage import OpenSum

STAGES: dict[str, Callable[[], PrivacyStage]] = {"open": OpenSum, "voted": VotedSum}

SETTINGS = st.builds(
    Setting,
    parties=st.sampled_from((2, 3)),
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

SKEWS = st.sampled_from((-300, -5, -2, 0, 2, 5, 300))
PARTY = st.integers(0, 2)
ANYBODY = st.integers(0, 3)
BEATS = st.integers(0, 3)


class Around:
    """Ledgers in memory, and a stage by name."""

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def ledger(self) -> LedgerBackend:
        return MemoryLedger()

    def stage(self) -> PrivacyStage:
        return STAGES[self._stage]()


class Schedules(RuleBasedStateMachine):
    """One schedule: faults in any order, and the cohort's ordinary life between them."""

    stage: ClassVar[str] = "open"
    count: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.cohort: Cohort | None = None

    @initialize(setting=SETTINGS)
    def begin(self, setting: Setting) -> None:
        type(self).count += 1
        self.cohort = Cohort(Around(self.stage), setting)

    @property
    def at(self) -> Cohort:
        assert self.cohort is not None
        return self.cohort

    def party(self, index: int) -> int:
        return index % self.at.setting.parties

    def anybody(self, index: int) -> int:
        return index % (self.at.setting.parties + 1)

    def beats(self, count: int) -> None:
        for _ in range(count):
            self.at.beat()

    @rule(beats=st.integers(1, 6))
    def ordinary_life(self, beats: int) -> None:
        self.beats(beats)

    @rule(party=PARTY, which=st.integers(0, 5))
    def one_reads_and_one_message_arrives(self, party: int, which: int) -> None:
        self.at.read(self.party(party))
        self.at.arrive(which)

    @rule(party=PARTY, beats=BEATS)
    def a_tail_is_delayed(self, party: int, beats: int) -> None:
        self.at.hold(self.party(party))
        self.beats(beats)
        self.at.release(self.party(party))

    @rule(party=PARTY)
    def an_old_tail_arrives(self, party: int) -> None:
        self.at.release(self.party(party))

    @rule(party=PARTY, which=st.integers(0, 5))
    def a_message_is_lost(self, party: int, which: int) -> None:
        self.at.read(self.party(party))
        self.at.drop(which)

    @rule(party=PARTY, which=st.integers(0, 5), beats=BEATS)
    def a_message_arrives_twice(self, party: int, which: int, beats: int) -> None:
        self.at.read(self.party(party))
        self.at.duplicate(which)
        self.beats(beats)

    @rule(who=ANYBODY, boundary=st.integers(0, 5), beats=BEATS)
    def somebody_dies(self, who: int, boundary: int, beats: int) -> None:
        self.at.crash(self.anybody(who), boundary)
        self.beats(beats)

    @rule(who=ANYBODY)
    def somebody_restarts(self, who: int) -> None:
        self.at.restart(self.anybody(who))

    @rule(who=ANYBODY, beats=BEATS)
    def a_disk_is_full(self, who: int, beats: int) -> None:
        self.at.refuse_write(self.anybody(who))
        self.beats(beats)

    @rule(who=ANYBODY, seconds=SKEWS)
    def a_clock_is_wrong(self, who: int, seconds: int) -> None:
        self.at.skew(self.anybody(who), seconds)

    @rule(party=PARTY, beats=st.integers(0, 12))
    def a_party_is_offline(self, party: int, beats: int) -> None:
        host = self.at.hosts[self.party(party)]
        host.online = False
        self.beats(beats)
        host.online = beats < 12

    @rule(party=PARTY, behaviour=st.sampled_from(Behaviour), beats=BEATS)
    def a_venue_misbehaves(self, party: int, behaviour: Behaviour, beats: int) -> None:
        self.at.venues[self.party(party)].then(behaviour)
        self.beats(beats)

    @rule(party=PARTY, beats=BEATS)
    def a_state_is_stale(self, party: int, beats: int) -> None:
        venue = self.at.venues[self.party(party)]
        venue.stale = True
        self.beats(beats)
        venue.stale = False

    @rule(seconds=st.sampled_from((0.5, 1, 4)))
    def time_passes(self, seconds: float) -> None:
        self.at.wait(seconds)

    @rule(chance=st.integers(0, 3))
    def the_kill_switch_is_pulled(self, chance: int) -> None:
        if chance == 3:
            self.at.kill()

    @rule(beats=st.integers(0, 10), reader=PARTY)
    def the_kill_switch_follows_a_go(self, beats: int, reader: int) -> None:
        known = self.goes()
        for _ in range(beats):
            self.at.beat()
            if self.goes() > known:
                self.at.read(self.party(reader))
                self.at.kill()
                return

    def goes(self) -> int:
        return sum(isinstance(body, PlanGo) for body in self.at.public)

    @invariant()
    def nothing_is_broken_yet(self) -> None:
        assert self.cohort is None or not self.cohort.broken, self.at.broken[0]

    def teardown(self) -> None:
        if self.cohort is not None and not self.cohort.broken:
            self.cohort.calm()
            found = broken_laws(self.cohort)
            assert not found, "; ".join(found)


def profile(examples: int, steps: int = 20, *, shrink: bool = True) -> settings:
    """Bounded, derandomised, without a database of earlier failures."""
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def schedules(stage_name: str) -> type[Schedules]:
    """A machine of its own for a stage, with its own count."""
    return type(f"Schedules_{stage_name}", (Schedules,), {"stage": stage_name, "count": 0})
