"""Conformance of engines: one numbered case for each duty in `covenue.hooks.engines`.

A plugin's own tests say `TestMine = engine_conformance(Mine.from_options)`. Numbers never change
their meaning; `ENGINE_1` is the profile `engine-1`, a frozen list, so that a new case breaks no
published plugin. The handles are tiny: they say little and note everything that an engine does.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from covenue.errors import BadInput
from covenue.hooks.engines import Engine, EngineFactory, TailReply
from covenue_contracts.contract import Scalar
from covenue_contracts.ledger import ClockReading

ENGINE_1 = tuple(f"ENG-{number:03d}" for number in range(1, 16))
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
PATIENCE = 10 * SECOND
MOST_STEPS = 10_000


@dataclass
class TinyClock:
    """A clock that jumps where somebody waits for; `waits` are the times waited for."""

    wall: int = START
    waits: list[int] = field(default_factory=list)

    def read(self) -> ClockReading:
        """The time now."""
        return ClockReading(
            wall=str(self.wall),
            monotonic=str(self.wall - START),
            boot="tiny-1",
            source="tiny",
            divergence="0",
        )

    def wait_until(self, wall: int) -> None:
        """Jump there; going back is no move."""
        self.waits.append(wall)
        self.wall = max(self.wall, wall)


@dataclass
class TinyCoordinator:
    """Asks a number of questions, each until all have answered or a timer fires.

    entries: its log. taken: (sender, envelope) as they arrived, duplicates and strangers too.
    fired: (due, time) of every timer. asks: answers wanted from each member to one question.
    """

    members: Sequence[str]
    rounds: int = 3
    asks: int = 2
    patient: bool = True
    entries: list[bytes] = field(default_factory=list)
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    fired: list[tuple[int, int]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    round: int = 0
    due: int | None = None
    said: set[bytes] = field(default_factory=set)

    def begin(self, wall: int) -> None:
        """Ask the next question, or be done."""
        self.said, self.due = set(), None
        if self.round == self.rounds:
            self.entries.append(b"done")
            return
        self.round += 1
        self.entries.append(b"ask %d %d" % (self.round, self.asks))
        self.due = wall + PATIENCE if self.patient else None

    def size(self) -> int:
        """Entries in the log."""
        return len(self.entries)

    def tail(self, start: int) -> TailReply:
        """Entries from `start` on."""
        return TailReply(start, tuple(self.entries[start:]), b"%d" % len(self.entries), {})

    def submit(self, sender: str, envelope: bytes, clock: ClockReading) -> None:
        """Note a message; take it when it answers the question asked, once."""
        self.times.append(int(clock.wall))
        self.taken.append((sender, envelope))
        named, _, rest = envelope.partition(b" ")
        fits = named == sender.encode() and rest.startswith(b"%d." % self.round)
        if self.done() or not fits or envelope in self.said:
            return
        self.said.add(envelope)
        self.entries.append(b"said " + envelope)
        if len(self.said) == self.asks * len(self.members):
            self.begin(int(clock.wall))

    def next_due(self) -> int | None:
        """The timer of the question, if there is one."""
        return self.due

    def fire(self, clock: ClockReading) -> None:
        """Give the question up."""
        self.times.append(int(clock.wall))
        if self.due is None or int(clock.wall) < self.due:
            return
        self.fired.append((self.due, int(clock.wall)))
        self.entries.append(b"lost %d" % self.round)
        self.begin(int(clock.wall))

    def done(self) -> bool:
        """Whether every question has ended."""
        return bool(self.entries) and self.entries[-1] == b"done"


@dataclass
class TinyNode:
    """Folds tails; owes the answers to the newest question until the log shows them.

    deaf: it never answers. breaks_at: the question at which its process fails. forgets: it repeats
    nothing, so that every envelope is sent once only.
    """

    name: str
    deaf: bool = False
    breaks_at: int = 0
    forgets: bool = False
    seen: list[bytes] = field(default_factory=list)
    starts: list[tuple[int, int]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    owed: list[bytes] = field(default_factory=list)

    @property
    def did(self) -> str:
        """Who it is."""
        return self.name

    def wants(self) -> int:
        """Entries folded."""
        return len(self.seen)

    def deliver(self, tail: TailReply, clock: ClockReading) -> Sequence[bytes]:
        """Fold a tail; the envelopes that now leave."""
        self.times.append(int(clock.wall))
        self.starts.append((tail.start, len(self.seen)))
        if tail.start != len(self.seen):
            return ()
        for entry in tail.entries:
            self._fold(entry)
        leaving = list(self.owed)
        self.owed = [] if self.forgets else self.owed
        self.sent += leaving
        return leaving

    def _fold(self, entry: bytes) -> None:
        self.seen.append(entry)
        word, _, rest = entry.partition(b" ")
        if word == b"said":
            self.owed = [envelope for envelope in self.owed if envelope != rest]
        elif word == b"ask":
            number, asks = (int(part) for part in rest.split())
            if number == self.breaks_at:
                raise ProcessFailed(self.name)
            name = self.name.encode()
            answers = [b"%s %d.%d" % (name, number, n) for n in range(asks)]
            self.owed = [] if self.deaf else answers
        else:
            self.owed = []


class ProcessFailed(Exception):
    """A node's process failed; any exception may come out of a handle."""


@dataclass(frozen=True)
class Ran:
    """What a run came to."""

    coordinator: TinyCoordinator
    nodes: tuple[TinyNode, ...]
    clock: TinyClock
    steps: int


def engine_conformance(
    factory: EngineFactory,
    options: Mapping[str, Scalar | tuple[Scalar, ...]] | None = None,
    *,
    identical: bool = True,
) -> type["EngineCases"]:
    """The cases for an engine, as a test class.

    identical: the manifest's determinism; an engine without it may order what nodes say otherwise.
    """
    made = type(
        "EngineConformance",
        (EngineCases,),
        {
            "factory": staticmethod(factory),
            "options": dict(options or {}),
            "identical": identical,
        },
    )
    assert issubclass(made, EngineCases)
    return made


class EngineCases:
    """The cases; `engine_conformance` fills in factory and options."""

    factory: EngineFactory
    options: Mapping[str, Scalar | tuple[Scalar, ...]]
    identical: bool

    def engine(self) -> Engine:
        """A new engine."""
        return self.factory(self.options)

    def play(
        self,
        nodes: Sequence[TinyNode],
        coordinator: TinyCoordinator | None = None,
        stop: Callable[[TinyCoordinator], bool] = lambda _: False,
        engine: Engine | None = None,
    ) -> Ran:
        """Run to the end; a run that never ends fails after 10,000 steps."""
        asker = coordinator or TinyCoordinator(sorted(node.did for node in nodes))
        clock, steps = TinyClock(), 0
        if not asker.entries:
            asker.begin(clock.wall)

        def counted() -> bool:
            nonlocal steps
            steps += 1
            assert steps < MOST_STEPS, "the engine goes round in circles"
            return stop(asker)

        (engine or self.engine()).run(asker, nodes, clock, counted)
        return Ran(asker, tuple(nodes), clock, steps)

    def test_eng_001_a_run_ends_when_the_coordinator_is_done(self) -> None:
        """ENG-001. The kernel goes on with the next order when `run` returns."""
        ran = self.play(_nodes())
        assert ran.coordinator.done()
        assert ran.coordinator.fired == []
        assert ran.coordinator.round == ran.coordinator.rounds

    def test_eng_002_every_node_folds_the_log_from_where_it_stands(self) -> None:
        """ENG-002. A tail from elsewhere is refused: the node's tree would not fit it."""
        ran = self.play(_nodes())
        for node in ran.nodes:
            assert all(start == folded for start, folded in node.starts)
            assert node.seen == ran.coordinator.entries[: len(node.seen)]

    def test_eng_003_every_node_hears_the_end(self) -> None:
        """ENG-003. Who is not told that an order has ended believes that it owes something."""
        for nodes in (_nodes(), [*_nodes(2), TinyNode("deaf", deaf=True)]):
            ran = self.play(nodes)
            assert all(node.seen == ran.coordinator.entries for node in ran.nodes)

    def test_eng_004_envelopes_arrive_in_the_order_they_were_sent(self) -> None:
        """ENG-004. A stage's phases follow each other; sequence numbers are signed."""
        ran = self.play(_nodes())
        for node in ran.nodes:
            arrived = _once(body for sender, body in ran.coordinator.taken if sender == node.did)
            assert arrived == _once(node.sent)
            assert arrived == sorted(arrived)

    def test_eng_005_every_envelope_arrives_even_if_it_is_sent_once(self) -> None:
        """ENG-005. At least once: a node that says a thing once must not be waited for in vain."""
        ran = self.play([TinyNode(f"n{number}", forgets=True) for number in range(3)])
        assert ran.coordinator.fired == []
        arrived = {body for _, body in ran.coordinator.taken}
        assert arrived >= {body for node in ran.nodes for body in node.sent}

    def test_eng_006_the_sender_is_the_node_that_sent(self) -> None:
        """ENG-006. The coordinator drops an envelope that comes over another's link."""
        ran = self.play(_nodes())
        assert all(body.startswith(f"{who} ".encode()) for who, body in ran.coordinator.taken)

    def test_eng_007_a_node_that_repeats_itself_ends_no_run_late(self) -> None:
        """ENG-007. What is owed is sent until the log shows it; that must not flood the link."""
        ran = self.play(_nodes(5))
        answers = 5 * ran.coordinator.asks * ran.coordinator.rounds
        assert len(set(ran.coordinator.taken)) == answers
        assert len(ran.coordinator.taken) <= answers * 5

    def test_eng_008_a_silent_node_costs_a_timer_and_no_more(self) -> None:
        """ENG-008. One party that is away must not hold up the others."""
        ran = self.play([*_nodes(2), TinyNode("deaf", deaf=True)])
        assert ran.coordinator.done()
        assert len(ran.coordinator.fired) == ran.coordinator.rounds
        assert len({body for _, body in ran.coordinator.taken}) == 2 * 2 * ran.coordinator.rounds

    def test_eng_009_no_timer_fires_early(self) -> None:
        """ENG-009. An early deadline takes the vote from those who were in time."""
        ran = self.play([*_nodes(2), TinyNode("deaf", deaf=True)])
        assert all(now >= due for due, now in ran.coordinator.fired)

    def test_eng_010_time_never_goes_back(self) -> None:
        """ENG-010. Entries of one log carry the readings that the engine hands over."""
        ran = self.play([*_nodes(2), TinyNode("deaf", deaf=True)])
        for times in (ran.coordinator.times, *(node.times for node in ran.nodes)):
            assert times == sorted(times)

    def test_eng_011_a_node_that_fails_stops_no_other(self) -> None:
        """ENG-011. One party's full disk is not everyone's."""
        nodes = [TinyNode("n0"), TinyNode("n1", breaks_at=2), TinyNode("n2")]
        coordinator = TinyCoordinator(["n0", "n1", "n2"])
        with contextlib.suppress(ProcessFailed):
            self.play(nodes, coordinator)
        assert coordinator.done()
        assert len(coordinator.fired) == coordinator.rounds - 1
        assert nodes[0].seen == nodes[2].seen == coordinator.entries

    def test_eng_012_stop_ends_the_run(self) -> None:
        """ENG-012. Nobody waits for a run that is to be over."""
        ran = self.play(_nodes(), stop=lambda coordinator: coordinator.round >= 2)
        assert not ran.coordinator.done()
        assert ran.coordinator.round == 2

    def test_eng_013_a_run_with_nothing_to_wait_for_ends(self) -> None:
        """ENG-013. No message under way and no timer: waiting would be for ever."""
        coordinator = TinyCoordinator(["deaf"], patient=False)
        ran = self.play([TinyNode("deaf", deaf=True)], coordinator)
        assert not ran.coordinator.done()
        assert ran.nodes[0].seen == coordinator.entries

    def test_eng_014_nothing_is_carried_from_run_to_run(self) -> None:
        """ENG-014. One engine serves every order of a scenario."""
        engine = self.engine()
        first, second = (self.play(_nodes(), engine=engine) for _ in range(2))
        assert sorted(first.coordinator.taken) == sorted(second.coordinator.taken)
        assert second.coordinator.done()
        if self.identical:
            assert first.coordinator.entries == second.coordinator.entries
            listed = self.play(_nodes()[::-1])
            assert listed.coordinator.entries == first.coordinator.entries
            assert listed.clock.waits == first.clock.waits

    def test_eng_015_an_option_that_it_does_not_know_is_refused_by_name(self) -> None:
        """ENG-015. A misspelt option would be a default without anybody knowing."""
        with pytest.raises(BadInput) as refused:
            self.factory({**self.options, "no_such_option": 1})
        assert "no_such_option" in refused.value.field


def _nodes(count: int = 3) -> list[TinyNode]:
    return [TinyNode(f"n{number}") for number in range(count)]


def _once(bodies: Iterable[bytes]) -> list[bytes]:
    """The bodies without repetitions, in the order of their first occurrence."""
    return list(dict.fromkeys(bodies))
