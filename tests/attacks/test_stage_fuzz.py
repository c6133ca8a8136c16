"""Any bytes, in any phase, in any order, to both sides of the stage: nothing falls over.

What changes nothing returns the very state, so that it becomes no entry; what changes something
leaves no words but under a mask, no seed but for a certified set, and no total but everybody's.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from covenue.hooks.privacy import (
    Begin,
    Received,
    Released,
    Role,
    Send,
    Sign,
    Signed,
    StageDeadline,
    StageEvent,
)
from covenue.hooks.solvers import Total
from covenue.numerics.words import integers, words
from covenue.testing.privacy import Bench, Session
from covenue_privacy_secagg import phases, votes, wire
from covenue_privacy_secagg.stage import SecAgg

STRANGER = "did:key:zNobody"
PHASES = (
    phases.OPEN,
    phases.NONCE,
    phases.NONCES,
    phases.UPLOAD,
    phases.DECLINE,
    phases.SURVIVORS,
    phases.VOTE,
    phases.CERTIFICATE,
    phases.ANSWER,
    phases.ABORT,
    phases.REVOTE,
    "",
    "no-such-phase",
)
BENCHES = {n: Bench(SecAgg(), n, width=width) for n, width in ((3, 2), (4, 0), (5, 1))}
SIZES = (0, 1, 2, 32, 34, 64, 65, 66, 96, 98, 134, 165)

Law = Callable[[st.DataObject], None]
FUZZ = 400
HUNT = 20_000
"""Examples until a mutant must have been found; most are after a few dozen."""


def true_messages(n: int) -> tuple[Sequence[tuple[str, bytes]], Sequence[tuple[str, bytes]]]:
    """(phase, bytes) of everything that nodes say, and the coordinator, in an honest round."""
    session = Session(BENCHES[n])
    session.begin(BENCHES[n].context())
    session.run()
    return [(phase, body) for _, phase, body in session.sent], list(session.told)


TRUE = {n: true_messages(n) for n in BENCHES}
"""Said once, before any mutant is made."""

ANY_BYTES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(SIZES).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
)


@st.composite
def messages(draw: st.DrawFn, n: int) -> tuple[str, bytes]:
    """Any bytes in any phase; or what was truly said, whole, changed, cut short, or displaced."""
    said, told = map(st.sampled_from, TRUE[n])
    phase, body = draw(st.one_of(st.tuples(st.sampled_from(PHASES), ANY_BYTES), said, told))
    how = draw(st.sampled_from(("whole", "whole", "whole", "changed", "cut", "displaced")))
    if how == "displaced":
        return draw(st.sampled_from(PHASES)), body
    if how == "whole" or not body:
        return phase, body
    at = draw(st.integers(0, len(body) - 1))
    changed = bytes([draw(st.integers(0, 255))])
    return phase, body[:at] + (changed + body[at + 1 :] if how == "changed" else b"")


def less_a_row(n: int) -> list[tuple[str, bytes]]:
    """The true survivors and certificate of a round, each without its last member."""
    sizes = {phases.SURVIVORS: wire.DIGEST_BYTES, phases.CERTIFICATE: wire.SIGNATURE_BYTES}
    told = TRUE[n][1]
    return [(p, body[: -wire.PLACE_BYTES - sizes[p]]) for p, body in told if p in sizes]


@st.composite
def begins(draw: st.DrawFn, n: int, own: str) -> Begin:
    """A round, perhaps of others than all that joined; a node may be asked about strangers."""
    bench = BENCHES[n]
    ctx = bench.context(draw(st.integers(0, 4)))
    asked = st.sampled_from((*bench.dids, STRANGER) if own else bench.dids)
    anybody = st.lists(asked, max_size=6, unique=not own)
    expected = draw(st.sampled_from((bench.dids, bench.dids[:-1], None)))
    if expected != bench.dids:
        named = tuple(draw(anybody)) if expected is None else expected
        ctx = replace(ctx, expected=named, digest="e" * 64)
    if not own or draw(st.booleans()):
        return Begin(ctx, None, b"")
    word = st.integers(-(2**63), 2**63 - 1)
    answer = words(draw(st.lists(word, min_size=ctx.width, max_size=ctx.width)))
    return Begin(ctx, answer, draw(st.binary(max_size=5)))


@st.composite
def events(draw: st.DrawFn, n: int, own: str) -> StageEvent:
    match draw(st.integers(0, 9)):
        case 0 | 1:
            return draw(begins(n, own))
        case 2:
            return StageDeadline(draw(st.sampled_from(PHASES)), draw(st.integers(0, 9)))
        case 3:
            return Received("", *draw(st.sampled_from(less_a_row(n))))
        case 4 if not own:
            sender = draw(st.sampled_from(BENCHES[n].dids))
            return Received(sender, phases.ANSWER, draw(st.binary(min_size=32, max_size=32)))
        case 4:
            signature = draw(st.binary(min_size=64, max_size=64))
            return Signed(draw(st.text(max_size=4)), draw(st.booleans()), signature)
        case _:
            sender = draw(st.sampled_from((*BENCHES[n].dids, "", STRANGER)))
            return Received(sender, *draw(messages(n)))


@st.composite
def started(draw: st.DrawFn, n: int, own: str) -> Any:
    """The state of one side: of a plan with any setups, or some way into an honest round."""
    bench = BENCHES[n]
    if draw(st.booleans()):
        session = Session(bench)
        session.begin(bench.context())
        so_far = st.one_of(st.integers(0, 4 * n), st.integers(2 * n, 3 * n), st.just(4 * n - 1))
        for _ in range(draw(so_far)):
            if session.uplink:
                session.tell(Received(*session.uplink.pop(0)))
        return session.nodes[own] if own else session.coordinator
    plan = bench.plan(own)
    if draw(st.booleans()):
        plan = replace(plan, setups={did: draw(ANY_BYTES) for did in bench.dids})
    return SecAgg().start(Role.PARTICIPANT if own else Role.COORDINATOR, plan)[0]


def node_law(data: st.DataObject) -> None:
    n = data.draw(st.sampled_from(sorted(BENCHES)))
    own = BENCHES[n].dids[0]
    state = data.draw(started(n, own))
    for event in data.draw(st.lists(events(n, own), max_size=14)):
        after, effects = SecAgg().advance(state, event)
        if after == state and not isinstance(event, Begin):
            assert after is state
        for effect in effects:
            assert isinstance(effect, Send | Sign)
            if isinstance(effect, Send) and effect.phase == phases.UPLOAD:
                assert_is_masked(event, state, effect.body)
            if isinstance(effect, Send) and effect.phase == phases.ANSWER:
                assert_is_certified(event, state)
        state = after


def assert_is_masked(event: StageEvent, state: Any, body: bytes) -> None:
    """An upload of a round over all that joined, whose words are not the answer."""
    ctx = event.ctx if isinstance(event, Begin) else state.ctx
    assert ctx.expected == state.plan.members
    seen = SecAgg().seen(phases.UPLOAD, body, ctx.width)
    assert seen is not None
    answer = event.words if isinstance(event, Begin) else state.waiting[0]
    assert answer is not None
    assert ctx.width == 0 or integers(seen) != integers(answer)


def assert_is_certified(event: StageEvent, state: Any) -> None:
    """A seed leaves for a quorum's signatures on the one set that the node signed for."""
    assert isinstance(event, Received)
    signatures = wire.read_signatures(event.body, state.ctx.expected)
    assert signatures is not None
    assert votes.certified(state.plan, state.ctx, state.choice, signatures, abort=False)


def coordinator_law(data: st.DataObject) -> None:
    n = data.draw(st.sampled_from(sorted(BENCHES)))
    state = data.draw(started(n, ""))
    for event in data.draw(st.lists(events(n, ""), max_size=14)):
        after, effects = SecAgg().advance(state, event)
        if after == state and not isinstance(event, Begin):
            assert after is state
        for effect in effects:
            if isinstance(effect, Released):
                assert isinstance(effect.release, Total)
                assert effect.release.cohort == state.ctx.expected
                assert_is_the_sum(n, state, effect.release)
        state = after


def assert_is_the_sum(n: int, state: Any, release: Total) -> None:
    """Where every upload is a true one, whatever else was said, the total is the plain sum."""
    true = {body for _, body in TRUE[n][0]}
    if set(state.uploads.values()) <= true:
        assert integers(release.words) == BENCHES[n].plain(BENCHES[n].dids)


def wire_law(data: st.DataObject) -> None:
    n = data.draw(st.sampled_from(sorted(BENCHES)))
    bench, (_, body) = BENCHES[n], data.draw(messages(n))
    for width in (0, 1, 2, 3):
        upload = wire.read_upload(body, width)
        assert upload is None or wire.write_upload(upload) == body
    for read in (wire.read_survivors, wire.read_signatures):
        rows = read(body, bench.dids)
        assert rows is None or wire.write_rows(rows, bench.dids) == body
    places = wire.read_places(body, bench.dids)
    assert places is None or wire.write_places(places, bench.dids) == body
    vote = wire.read_vote(body)
    assert vote is None or wire.write_vote(vote[1], abort=vote[0]) == body
    nonces = wire.read_nonces(body, bench.dids)
    assert nonces is None or b"".join(nonces.values()) == body
    assert wire.read_seed(body) in (None, body)


def abort_law(data: st.DataObject) -> None:
    n = data.draw(st.sampled_from(sorted(BENCHES)))
    bench, (_, body) = BENCHES[n], data.draw(messages(n))
    SecAgg().seen(phases.UPLOAD, body, data.draw(st.integers(0, 5)))
    assert not SecAgg().proves_abort(bench.plan(), bench.context(), body)


# ---- the laws hold


def examples(law: Law, count: int) -> None:
    """Hold a law against so many examples, the same ones every time. Raises where one breaks it."""
    tried = settings(
        max_examples=count,
        phases=(Phase.generate,),
        print_blob=False,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    tried(given(st.data())(law))()


def test_a_node_falls_over_nothing_and_says_nothing_that_is_not_masked() -> None:
    examples(node_law, FUZZ)


def test_a_coordinator_falls_over_nothing_and_releases_no_other_sum() -> None:
    examples(coordinator_law, FUZZ)


def test_whatever_is_read_from_the_wire_is_written_as_it_came() -> None:
    examples(wire_law, FUZZ)


def test_no_bytes_prove_an_abort_that_nobody_signed() -> None:
    examples(abort_law, FUZZ)


# ---- the laws go red


def unordered_rows(body: bytes, size: int, among: Sequence[str]) -> dict[str, bytes] | None:
    step = wire.PLACE_BYTES + size
    rows = [body[start : start + step] for start in range(0, len(body), step)]
    return {among[int.from_bytes(row[:2], "big")]: row[2:] for row in rows}


MUTANTS: dict[str, tuple[str, Any, Law]] = {
    "a node that masks nothing": (
        "covenue_privacy_secagg.participant.masked",
        lambda answer, added, removed: answer,
        node_law,
    ),
    "a node that masks for any set": (
        "covenue_privacy_secagg.participant.may_be_masked",
        lambda plan, ctx: plan.own in ctx.expected,
        node_law,
    ),
    "a node that opens its seed to anybody": (
        "covenue_privacy_secagg.participant.certified",
        lambda *_, **__: True,
        node_law,
    ),
    "a coordinator that takes any seed": (
        "covenue_privacy_secagg.coordinator.is_the_seed",
        lambda upload, seed: True,
        coordinator_law,
    ),
    "a coordinator that believes any upload to be one": (
        "covenue_privacy_secagg.wire.read_upload",
        lambda body, width: wire.Upload(b"", b"", (), words([0] * width)),
        wire_law,
    ),
    "rows whose places are not looked at": (
        "covenue_privacy_secagg.wire._rows",
        unordered_rows,
        wire_law,
    ),
    "an abort that needs no signatures": (
        "covenue_privacy_secagg.votes.quorum",
        lambda expected, colluders: 0,
        abort_law,
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_without_its_guard_a_law_is_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guard, instead, law = MUTANTS[name]
    monkeypatch.setattr(guard, instead)
    with pytest.raises((AssertionError, IndexError, KeyError)):
        examples(law, HUNT)
