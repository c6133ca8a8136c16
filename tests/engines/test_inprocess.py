"""The in-process engine: its conformance, and what is its own (latency, order, duplicates)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue.errors import BadInput
from covenue.hooks.engines import (
    CoordinatorHandle,
    Engine,
    EngineClock,
    EngineFactory,
    NodeHandle,
    TailReply,
)
from covenue.registry.load import Registry
from covenue.testing.engines import (
    ENGINE_1,
    PATIENCE,
    START,
    EngineCases,
    ProcessFailed,
    TinyClock,
    TinyCoordinator,
    TinyNode,
    engine_conformance,
)
from covenue_contracts.contract import Scalar
from covenue_contracts.ledger import ClockReading
from covenue_engine_inprocess import register_engines
from covenue_engine_inprocess.engine import InProcess, _Link, _Run

MS = 1_000_000

TestAtOnce = engine_conformance(InProcess.from_options)
TestWithLatency = engine_conformance(InProcess.from_options, {"latency_ms": 40})


def run(
    nodes: list[TinyNode],
    latency_ms: int = 0,
    stop: Callable[[], bool] = lambda: False,
    coordinator: TinyCoordinator | None = None,
) -> tuple[TinyCoordinator, TinyClock]:
    asker = coordinator or TinyCoordinator(sorted(node.did for node in nodes))
    clock = TinyClock()
    asker.begin(clock.wall)
    InProcess.from_options({"latency_ms": latency_ms}).run(asker, nodes, clock, stop)
    return asker, clock


def nodes(count: int = 3) -> list[TinyNode]:
    return [TinyNode(f"n{number}") for number in range(count)]


def test_the_profile_is_exactly_the_cases_that_exist() -> None:
    cases = [name for name in vars(EngineCases) if name.startswith("test_eng_")]
    numbers = [f"ENG-{name.split('_')[2]}" for name in cases]
    assert tuple(numbers) == ENGINE_1
    for name, number in zip(cases, numbers, strict=True):
        assert (getattr(EngineCases, name).__doc__ or "").startswith(f"{number}. ")


def test_the_plugin_registers_what_its_manifest_names() -> None:
    found: dict[str, EngineFactory] = {}
    register_engines(found.__setitem__)
    assert found == {"inprocess": InProcess.from_options}
    assert isinstance(Registry().build("engines", "inprocess", {}), InProcess)


@pytest.mark.parametrize("latency_ms", [0, 1, 40, 60_000])
def test_every_message_takes_its_latency_each_way(latency_ms: int) -> None:
    asker, clock = run(nodes(), latency_ms)
    if latency_ms * MS * 2 <= PATIENCE:
        assert asker.fired == []
        # news out and answers back in each of three rounds, then the news that all is over
        assert clock.wall - START == 7 * latency_ms * MS
    else:
        assert len(asker.fired) == asker.rounds, "answers come later than the timer"


def test_an_answer_that_is_late_by_its_latency_meets_a_fired_timer() -> None:
    half = PATIENCE // 2 // MS
    assert run(nodes(), half)[0].fired == [], "exactly in time is in time"
    assert len(run(nodes(), half + 1)[0].fired) == 3


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(6)), st.integers(0, 500))
def test_the_order_of_parties_changes_nothing(order: list[int], latency_ms: int) -> None:
    here, clock = run(nodes(6), latency_ms)
    there, other = run([TinyNode(f"n{number}") for number in order], latency_ms)
    assert there.entries == here.entries
    assert there.taken == here.taken
    assert other.waits == clock.waits


def test_an_envelope_that_a_node_repeats_is_sent_once() -> None:
    asker, _ = run(nodes())
    assert len(asker.taken) == len(set(asker.taken))


def test_mutant_without_suppression_repeats_flood_the_coordinator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Deaf(TinyCoordinator):
        """Takes nothing of n0, which therefore owes it at every news from the others."""

        def submit(self, sender: str, envelope: bytes, clock: ClockReading) -> None:
            if sender == "n0":
                self.taken.append((sender, envelope))
            else:
                super().submit(sender, envelope, clock)

    def deliver(self: _Run, link: _Link) -> None:
        link.sent.clear()  # the mutant forgets what it has sent
        real(self, link)

    asker, _ = run(nodes(), coordinator=Deaf(["n0", "n1", "n2"]))
    assert len(asker.taken) == len(set(asker.taken))
    real = _Run.deliver
    monkeypatch.setattr(_Run, "deliver", deliver)
    asker, _ = run(nodes(), coordinator=Deaf(["n0", "n1", "n2"]))
    assert len(asker.taken) > len(set(asker.taken))


def test_nothing_is_left_to_wait_for_when_a_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[_Run] = []

    def kept(*arguments: object) -> _Run:
        runs.append(_Run(*arguments))  # type: ignore[arg-type]  # the engine's own arguments
        return runs[-1]

    monkeypatch.setattr("covenue_engine_inprocess.engine._Run", kept)
    asker, clock = run([*nodes(2), TinyNode("deaf", deaf=True)], latency_ms=3)
    assert runs[0].arrivals == []
    assert asker.next_due() is None
    assert clock.wall == START + 3 * PATIENCE + 3 * MS, "the end is the last thing heard"


def test_a_timer_of_a_coordinator_that_is_done_is_not_waited_for() -> None:
    class Late(TinyCoordinator):
        def next_due(self) -> int | None:
            return START + 3_600 * PATIENCE

    asker, clock = run(nodes(), coordinator=Late(["n0", "n1", "n2"]))
    assert asker.done()
    assert clock.wall == START


def test_stop_is_asked_between_all_steps_and_at_once() -> None:
    asked = iter(range(100))
    asker, _ = run(nodes(), stop=lambda: next(asked) >= 0)
    assert asker.taken == []
    assert next(asked) == 1
    for most in (1, 2, 5, 9):
        asked = iter(range(100))
        asker, _ = run(nodes(), stop=lambda least=most, count=asked: next(count) >= least)  # type: ignore[misc]  # bound early on purpose
        assert not asker.done()
        assert next(asked) == most + 1


def test_what_stop_writes_is_heard() -> None:
    """`stop` may pull the kill switch, which ends the order with nobody left to speak."""
    asker = TinyCoordinator(["deaf"], patient=False)
    deaf = TinyNode("deaf", deaf=True)

    def stop() -> bool:
        if deaf.seen and not asker.done():
            asker.entries.append(b"done")
        return False

    run([deaf], stop=stop, coordinator=asker)
    assert deaf.seen == asker.entries


def test_what_a_failed_node_raised_is_raised_at_the_end() -> None:
    members = [TinyNode("n0", breaks_at=2), TinyNode("n1"), TinyNode("n2", breaks_at=1)]
    asker = TinyCoordinator(["n0", "n1", "n2"])
    with pytest.raises(ProcessFailed, match="n0"):
        run(members, coordinator=asker)
    assert asker.done()
    assert len(members[2].times) == 1, "a node that failed is asked no more"


def test_a_failing_coordinator_ends_the_run() -> None:
    class Broken(TinyCoordinator):
        def submit(self, *_: object) -> None:
            raise ProcessFailed("coordinator")

    with pytest.raises(ProcessFailed, match="coordinator"):
        run(nodes(), coordinator=Broken(["n0", "n1", "n2"]))


def test_the_process_itself_can_be_ended() -> None:
    class Ended(TinyNode):
        def deliver(self, *_: object) -> list[bytes]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([Ended("n0")])


@pytest.mark.parametrize("value", [-1, 60_001, True, "20", 2.5, None, (1,)])
def test_a_latency_that_is_none_is_refused_by_name(value: object) -> None:
    with pytest.raises(BadInput) as refused:
        InProcess.from_options({"latency_ms": value})  # type: ignore[dict-item]  # the point
    assert refused.value.field == "engine.options.latency_ms"
    assert refused.value.value == str(value)
    assert refused.value.advice


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(BadInput) as refused:
        InProcess.from_options({"latency": 3})
    assert refused.value.field == "engine.options.latency"
    assert "latency_ms" in refused.value.advice


# ---- the cases themselves: each must turn red on the engine that it is there for


Run = Callable[[CoordinatorHandle, Sequence[NodeHandle], EngineClock, Callable[[], bool]], None]
Deliver = Callable[[TailReply, ClockReading], Sequence[bytes]]


@dataclass(frozen=True)
class Mutant:
    """An engine that is the real one with something wrong."""

    run: Run


def tells_nobody_the_end(
    asker: CoordinatorHandle,
    members: Sequence[NodeHandle],
    clock: EngineClock,
    stop: Callable[[], bool],
) -> None:
    InProcess().run(asker, members, clock, lambda: asker.done() or stop())


def fires_timers_that_are_not_due(
    asker: CoordinatorHandle,
    members: Sequence[NodeHandle],
    clock: EngineClock,
    stop: Callable[[], bool],
) -> None:
    due, left = asker.next_due, iter(range(150))
    early = lambda: None if (at := due()) is None else at - 1  # noqa: E731 -- a mutant of one line
    setattr(asker, "next_due", early)  # noqa: B010 -- mypy refuses to assign to a method
    InProcess().run(asker, members, clock, lambda: next(left, None) is None or stop())


def ends_with_the_first_node_that_fails(
    asker: CoordinatorHandle,
    members: Sequence[NodeHandle],
    clock: EngineClock,
    stop: Callable[[], bool],
) -> None:
    broken: list[bool] = []

    def noting(deliver: Deliver) -> Deliver:
        def noted(tail: TailReply, now: ClockReading) -> Sequence[bytes]:
            try:
                return deliver(tail, now)
            except ProcessFailed:
                broken.append(True)
                raise

        return noted

    for node in members:
        setattr(node, "deliver", noting(node.deliver))  # noqa: B010 -- as above
    InProcess().run(asker, members, clock, lambda: bool(broken) or stop())


def hands_envelopes_over_in_another_order(
    asker: CoordinatorHandle,
    members: Sequence[NodeHandle],
    clock: EngineClock,
    stop: Callable[[], bool],
) -> None:
    def reversing(deliver: Deliver) -> Deliver:
        return lambda tail, now: list(deliver(tail, now))[::-1]

    for node in members:
        setattr(node, "deliver", reversing(node.deliver))  # noqa: B010 -- as above
    InProcess().run(asker, members, clock, stop)


def never_looks_at_stop(
    asker: CoordinatorHandle,
    members: Sequence[NodeHandle],
    clock: EngineClock,
    _: Callable[[], bool],
) -> None:
    InProcess().run(asker, members, clock, lambda: False)


MUTANTS: dict[Run, str] = {
    tells_nobody_the_end: "test_eng_003_every_node_hears_the_end",
    fires_timers_that_are_not_due: "test_eng_008_a_silent_node_costs_a_timer_and_no_more",
    ends_with_the_first_node_that_fails: "test_eng_011_a_node_that_fails_stops_no_other",
    hands_envelopes_over_in_another_order:
        "test_eng_004_envelopes_arrive_in_the_order_they_were_sent",
    never_looks_at_stop: "test_eng_012_stop_ends_the_run",
}  # fmt: skip


@pytest.mark.parametrize("run", MUTANTS, ids=lambda run: run.__name__)
def test_a_case_turns_red_on_an_engine_that(run: Run) -> None:
    def build(_: Mapping[str, Scalar | tuple[Scalar, ...]]) -> Engine:
        return Mutant(run)

    with pytest.raises(AssertionError):
        getattr(engine_conformance(build)(), MUTANTS[run])()
