"""What a coordinator and its colluders try against secure aggregation; each guard switched off.

Attacks A1 to A11 of privacy.md, section 7, as far as a round tolerates no drop-out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from covenue.hooks.privacy import (
    Aborted,
    Begin,
    PlanContext,
    Received,
    Released,
    Role,
    RoundContext,
    Send,
    Sign,
    Signed,
    StageEffect,
)
from covenue.hooks.solvers import Total
from covenue.numerics.words import Words, frozen, integers, subtract, to_bytes, total, words
from covenue.rounds import messages
from covenue.rounds.messages import round_context
from covenue.rounds.votes import choice_text, sign_vote
from covenue.testing import privacy
from covenue.testing.privacy import Bench, Session
from covenue_contracts.canonical import sha256
from covenue_privacy_secagg import (
    coordinator,
    graph,
    masks,
    participant,
    phases,
    setup,
    votes,
    wire,
)
from covenue_privacy_secagg.stage import SecAgg

Patch = pytest.MonkeyPatch
WIDE = 4096
UNIFORM = (180.0, 340.0)  # 255 +- 3.5 standard deviations of a chi-square on 255 degrees


def chi_square(data: bytes) -> float:
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    expected = len(data) / 256
    return float(((counts - expected) ** 2).sum() / expected)


def seen(body: bytes, width: int) -> Words:
    found = SecAgg().seen(phases.UPLOAD, body, width)
    assert found is not None
    return found


@dataclass
class Nodes:
    """Honest nodes in the hands of a coordinator that shows each of them what it likes."""

    bench: Bench
    states: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)

    def start(self, did: str, plan: PlanContext | None = None) -> None:
        self.sent[did] = []
        self.states[did], _ = SecAgg().start(Role.PARTICIPANT, plan or self.bench.plan(did))

    def begin(self, did: str, ctx: RoundContext, answer: Words | None = None) -> None:
        own = self.bench.answer(did) if answer is None else answer
        self._take(did, Begin(ctx, own, did.encode()))

    def show(self, did: str, phase: str, body: bytes) -> None:
        self._take(did, Received("", phase, body))

    def last(self, did: str, phase: str) -> bytes:
        return [body for said, body in self.sent[did] if said == phase][-1]

    def said(self, did: str) -> list[str]:
        return [phase for phase, _ in self.sent[did]]

    def _take(self, did: str, event: Any) -> None:
        self.states[did], effects = SecAgg().advance(self.states[did], event)
        self._perform(did, effects)

    def _perform(self, did: str, effects: Sequence[StageEffect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.sent[did].append((effect.phase, effect.body))
            elif isinstance(effect, Sign):
                signature = signed(did, self.states[did].ctx.round, effect.choice, effect.abort)
                self._take(did, Signed(effect.choice, effect.abort, signature))


def signed(did: str, number: int, choice: str, abort: bool) -> bytes:
    key = next(k for k in map(privacy._key, count()) if k.did == did)
    return sign_vote(key, "a" * 64, number, choice_text(choice, abort=abort))


def begun(bench: Bench, ctx: RoundContext | None = None) -> Nodes:
    """Everybody has begun a round and opened its nonce, and has been shown all of them."""
    nodes = Nodes(bench)
    for did in bench.dids:
        nodes.start(did)
        nodes.begin(did, ctx or bench.context())
        nodes.show(did, phases.OPEN, wire.write_places(bench.dids, bench.dids))
    for did in bench.dids:
        nodes.show(did, phases.NONCES, openings(nodes))
    return nodes


def openings(nodes: Nodes) -> bytes:
    return b"".join(nodes.last(did, phases.NONCE) for did in nodes.bench.dids)


def survivors(nodes: Nodes, ctx: RoundContext) -> bytes:
    digests = {did: masks.hashed(nodes.last(did, phases.UPLOAD)) for did in ctx.expected}
    return wire.write_rows(digests, ctx.expected)


def certificate(nodes: Nodes, voters: Sequence[str], ctx: RoundContext) -> bytes:
    rows = {did: nodes.last(did, phases.VOTE)[1:] for did in voters}
    return wire.write_rows(rows, ctx.expected)


# ---- A1: the two-time pad


def another_input_for_a_masked_round(*changes: Callable[[Patch], None]) -> Words | None:
    """What the coordinator learns of the change between two inputs of one round."""
    bench = Bench(SecAgg(), 3)
    with Patch.context() as patch:
        for change in changes:
            change(patch)
        nodes, did = begun(bench), bench.dids[0]
        nodes.begin(did, bench.context(), words([10**6, 5]))
        nodes.show(did, phases.NONCES, openings(nodes))
        uploads = [seen(body, 2) for phase, body in nodes.sent[did] if phase == phases.UPLOAD]
    return subtract(uploads[1], uploads[0]) if len(uploads) > 1 else None


def any_input(patch: Patch) -> None:
    patch.setattr(participant, "may_mask_again", lambda mark, new: True)


def no_digest(patch: Patch) -> None:
    patch.setattr(participant, "input_digest", lambda secret, event: b"")


def test_another_input_for_a_masked_round_sends_nothing() -> None:
    assert another_input_for_a_masked_round() is None


@pytest.mark.parametrize("mutant", [any_input, no_digest])
def test_without_the_mark_two_inputs_of_a_round_give_the_exact_change(
    mutant: Callable[[Patch], None],
) -> None:
    bench = Bench(SecAgg(), 3)
    change = subtract(words([10**6, 5]), bench.answer(bench.dids[0]))
    learnt = another_input_for_a_masked_round(mutant)
    assert learnt is not None
    assert integers(learnt) == integers(change)


def test_the_same_input_gives_the_same_bytes_and_an_older_round_none() -> None:
    bench = Bench(SecAgg(), 3)
    nodes, did = begun(bench, bench.context(5)), bench.dids[0]
    before = nodes.states[did]
    nodes.begin(did, bench.context(5))
    assert nodes.sent[did][-1] == nodes.sent[did][-2]
    assert nodes.states[did] is before
    count_before = len(nodes.sent[did])
    nodes.begin(did, bench.context(4))
    nodes.begin(did, bench.context(5, bench.dids))
    assert len(nodes.sent[did]) == count_before
    nodes.begin(did, bench.context(6))
    assert len(nodes.sent[did]) == count_before + 1


def test_an_input_that_waits_for_nonces_is_the_only_one_of_its_round() -> None:
    bench = Bench(SecAgg(), 3)
    nodes, did = Nodes(bench), bench.dids[0]
    for each in bench.dids:
        nodes.start(each)
        nodes.begin(each, bench.context())
        nodes.show(each, phases.OPEN, wire.write_places(bench.dids, bench.dids))
    nodes.begin(did, bench.context(), words([10**6, 5]))
    nodes.show(did, phases.NONCES, openings(nodes))
    (first,) = [body for phase, body in nodes.sent[did] if phase == phases.UPLOAD]
    assert first == begun(bench).last(did, phases.UPLOAD)


def test_who_declined_a_round_answers_it_no_more() -> None:
    bench = Bench(SecAgg(), 3)
    nodes, did = begun(bench), bench.dids[0]
    nodes._take(did, Begin(bench.context(2), None, b""))
    before = len(nodes.sent[did])
    nodes.begin(did, bench.context(2))
    assert len(nodes.sent[did]) == before


# ---- A2: replayed messages


def replayed(phase: str) -> Released | Aborted:
    """How round 2 ends when one party's message of a phase is that of round 1."""
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    session.begin(bench.context(1))
    session.run()
    old = {(d, p): b for d, p, b in session.sent}
    session.begin(bench.context(2))
    while not session.ends:
        if not session.uplink:
            session.run()
            break
        sender, said, body = session.uplink.pop(0)
        if (sender, said) == (bench.dids[0], phase):
            body = old[sender, said]
        session.tell(Received(sender, said, body))
    (end,) = session.ends
    return end


@pytest.mark.parametrize("phase", [phases.UPLOAD, phases.ANSWER])
def test_a_message_of_an_earlier_round_ends_this_one(phase: str) -> None:
    assert isinstance(replayed(phase), Aborted)


def test_a_vote_of_an_earlier_round_counts_for_nothing() -> None:
    end = replayed(phases.VOTE)
    assert isinstance(end, Released)  # two votes of this round are a quorum of three
    bench = Bench(SecAgg(), 3)
    ctx = bench.context()
    vote = signed(bench.dids[0], 1, votes.survivors_choice(ctx, b"", b""), abort=False)
    choice = votes.survivors_choice(bench.context(2), b"", b"")
    assert not bench.plan().vote_holds(bench.dids[0], 2, choice, False, vote)


def test_without_the_context_in_the_seeds_an_old_upload_is_summed_again(
    monkeypatch: Patch,
) -> None:
    monkeypatch.setattr(participant, "self_seed", lambda secret, ctx: masks.keyed(secret, b"b"))
    monkeypatch.setattr(participant, "pair_seed", lambda root, ctx: masks.keyed(root, b"s"))
    monkeypatch.setattr(participant, "names_own_upload", lambda state, named: True)
    assert isinstance(replayed(phases.UPLOAD), Released)


def test_a_certificate_of_an_earlier_round_opens_no_seed(monkeypatch: Patch) -> None:
    def shown_again() -> list[str]:
        bench = Bench(SecAgg(), 3)
        ctx, did = bench.context(), bench.dids[0]
        nodes = begun(bench)
        for each in bench.dids:
            nodes.show(each, phases.SURVIVORS, survivors(nodes, ctx))
        old = certificate(nodes, bench.dids, ctx)
        nodes.begin(did, bench.context(2))
        nodes.show(did, phases.SURVIVORS, survivors(nodes, ctx))
        nodes.show(did, phases.CERTIFICATE, old)
        return nodes.said(did)

    assert phases.ANSWER not in shown_again()
    monkeypatch.setattr(participant, "certified", lambda *_, **__: True)
    assert phases.ANSWER in shown_again()


# ---- A3: flipped bytes


def flipped(which: int, at: int) -> Released | Aborted:
    """How a round ends when one byte of its which-th message differs on arrival."""
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    session.begin(bench.context())
    for number in count():
        if session.ends:
            break
        if not session.uplink:
            session.run()
            break
        sender, phase, body = session.uplink.pop(0)
        if number == which:
            body = body[:at] + bytes([body[at] ^ 0x11]) + body[at + 1 :]
        session.tell(Received(sender, phase, body))
    (end,) = session.ends
    return end


def every_flip() -> list[tuple[int, int, Released | Aborted]]:
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    session.begin(bench.context())
    session.run()
    return [
        (which, at, flipped(which, at))
        for which, (_, phase, body) in enumerate(session.sent)
        for at in range(0, len(body), 1 if phase == phases.UPLOAD else 5)
    ]


def wrong(end: Released | Aborted) -> bool:
    bench = Bench(SecAgg(), 3)
    if not isinstance(end, Released) or not isinstance(end.release, Total):
        return False
    attached = {did: did.encode() for did in bench.dids}
    return integers(end.release.words) != bench.plain(bench.dids) or end.attached != attached


def test_no_flipped_byte_of_a_message_gives_a_wrong_total(monkeypatch: Patch) -> None:
    ends = every_flip()
    assert len(ends) > 400
    assert not any(wrong(end) for _, _, end in ends)
    assert sum(isinstance(end, Aborted) for _, _, end in ends) > 300
    monkeypatch.setattr(participant, "names_own_upload", lambda state, named: True)
    assert any(wrong(end) for _, _, end in every_flip())


@pytest.mark.parametrize("phase", [phases.NONCES, phases.SURVIVORS, phases.CERTIFICATE])
def test_no_flipped_byte_of_a_broadcast_opens_a_seed(phase: str) -> None:
    """One node is shown a byte that differs: it keeps its seed, whatever the others do."""
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    session.begin(bench.context())
    session.run()
    told = dict(session.told)
    did = bench.dids[0]
    for at in range(len(told[phase])):
        nodes = Nodes(bench)
        nodes.start(did)
        nodes.begin(did, bench.context())
        for name, body in session.told:
            flip = body[:at] + bytes([body[at] ^ 0x40]) + body[at + 1 :] if name == phase else body
            nodes.show(did, name, flip)
        assert phases.ANSWER not in nodes.said(did)


# ---- A4: a field of the context that differs between nodes

FIELDS: dict[str, tuple[int, Any]] = {
    "opened": (1, "c" * 64),
    "plan": (2, "c" * 64),
    "number": (3, 2),
    "roster": (4, "c" * 64),
    "query": (5, "c" * 64),
    "width": (6, 3),
    "mechanism": (7, "another"),
    "cohort": (-1, "everybody"),
}


def asked(bench: Bench, swap: str = "") -> RoundContext:
    given: dict[str, Any] = {
        "opened": "d" * 64,
        "plan": "a" * 64,
        "number": 1,
        "roster": "b" * 64,
        "query": "b" * 64,
        "width": bench.width,
        "mechanism": "secagg",
        "expected": bench.dids,
        "cohort": None,
    }
    if swap:
        given[swap] = bench.dids if swap == "cohort" else FIELDS[swap][1]
    return round_context(**given)


def one_is_asked_otherwise(field_name: str) -> Released | Aborted:
    """One node is shown a question that differs in one field from what the others are shown."""
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    odd = replace(asked(bench, field_name), width=bench.width, round=1)
    for did in bench.dids:
        ctx = odd if did == bench.dids[0] else asked(bench)
        session.node(did, Begin(ctx, bench.answer(did), b""))
    session.ctx = asked(bench)
    session.tell(Begin(session.ctx, None, b""))
    session.run()
    (end,) = session.ends
    return end


@pytest.mark.parametrize("name", FIELDS)
def test_answers_to_two_questions_are_never_one_sum(name: str, monkeypatch: Patch) -> None:
    assert isinstance(one_is_asked_otherwise(name), Aborted)
    index, whole = FIELDS[name][0], sha256

    def without(*parts: bytes) -> str:
        at = index % len(parts)
        return whole(*parts[:at], *parts[at + 1 :])

    monkeypatch.setattr(messages, "sha256", without)
    assert isinstance(one_is_asked_otherwise(name), Released)


# ---- A5: keys of the coordinator's in others' names


def keys_in_others_names() -> tuple[bool, Words | None]:
    """The coordinator shows one victim its own keys in everybody else's name.

    It joins in no name but theirs, so that a plan that proves its joins never gets so far; what
    is tried here is what a node still refuses that believed them. Whether the victim's seed left,
    and its words, if all masks can be taken off.
    """
    bench = Bench(SecAgg(), 3)
    victim, *others = bench.dids
    forged = {did: SecAgg().setup("a" * 64, b"mine" + did.encode()) for did in others}
    ctx, nodes = bench.context(), begun(bench)
    plan = replace(bench.plan(victim), setups={**bench.plan().setups, **forged})
    nodes.start(victim, plan)
    nodes.begin(victim, ctx)
    own = setup.own_nonce("a" * 64, victim.encode())
    lies = [setup.own_nonce("a" * 64, b"mine" + did.encode()) for did in others]
    nodes.show(victim, phases.NONCES, b"".join([own, *lies]))
    for did in bench.dids:
        nodes.show(did, phases.SURVIVORS, survivors(nodes, ctx))
    for voter in range(3):
        voters = bench.dids[: voter + 1]
        nodes.show(victim, phases.CERTIFICATE, certificate(nodes, voters, ctx))
    if phases.ANSWER not in nodes.said(victim):
        return False, None
    return True, unmasked(nodes, plan, forged)


def unmasked(nodes: Nodes, plan: PlanContext, forged: Mapping[str, bytes]) -> Words:
    """Take off the self mask that was revealed, and pair masks whose other end is one's own."""
    bench, victim = nodes.bench, plan.own
    upload = seen(nodes.last(victim, phases.UPLOAD), bench.width)
    setups = setup.read_setups(plan)
    assert setups is not None
    added, removed = [nodes.last(victim, phases.ANSWER)], list[bytes]()
    for did in forged:
        mine = replace(plan, own=did, secret=b"mine" + did.encode())
        roots = setup.pair_roots(mine, setups, [victim])
        assert roots is not None
        seed = masks.pair_seed(roots[victim], bench.context().digest)
        (added if victim < did else removed).append(seed)
    return masks.masked(upload, removed, added)


def test_keys_that_only_one_node_was_shown_win_it_no_votes(monkeypatch: Patch) -> None:
    assert keys_in_others_names() == (False, None)
    true_choice = votes.survivors_choice

    def of_any_keys(ctx: RoundContext, beacon: bytes, body: bytes) -> str:
        return true_choice(ctx, b"", body)

    monkeypatch.setattr(participant, "survivors_choice", of_any_keys)
    revealed, learnt = keys_in_others_names()
    bench = Bench(SecAgg(), 3)
    assert revealed
    assert learnt is not None
    assert integers(learnt) == integers(bench.answer(bench.dids[0]))


def test_a_node_that_is_shown_another_key_in_its_own_name_masks_nothing(
    monkeypatch: Patch,
) -> None:
    bench = Bench(SecAgg(), 3)
    victim = bench.dids[0]
    other = {victim: SecAgg().setup("a" * 64, b"another secret")}
    plan = replace(bench.plan(victim), setups={**bench.plan().setups, **other})
    assert setup.read_setups(plan) is None
    monkeypatch.setattr(setup, "_own_is_there", lambda plan: True)
    assert setup.read_setups(plan) is not None


# ---- A6: split views


def split(colluders: int, quorum: Callable[[int, int], int] | None = None) -> tuple[bool, bool]:
    """Half the honest nodes are told a set, half to abort; colluders sign both.

    Whether some node then reveals its seed, and whether the abort is proven: with both, the total
    is known and every charge comes back.
    """
    bench = Bench(SecAgg(), 4 + colluders, colluders=colluders)
    ctx, nodes = bench.context(), begun(bench)
    with Patch.context() as patch:
        if quorum is not None:
            patch.setattr(votes, "quorum", quorum)
        honest, false = bench.dids[:4], bench.dids[4:]
        named = survivors(nodes, ctx)
        for did in honest[:2]:
            nodes.show(did, phases.SURVIVORS, named)
            nodes.show(did, phases.ABORT, b"")
        for did in honest[2:]:
            nodes.show(did, phases.ABORT, b"")
            nodes.show(did, phases.SURVIVORS, named)
        choice = votes.survivors_choice(ctx, nodes.states[honest[0]].beacon, named)
        for_set = {did: nodes.sent[did][2][1][1:] for did in honest[:2]}
        for_abort = {did: nodes.sent[did][2][1][1:] for did in honest[2:]}
        for did in false:
            for_set[did] = signed(did, 1, choice, abort=False)
            for_abort[did] = signed(did, 1, votes.abort_choice(ctx), abort=True)
        nodes.show(honest[0], phases.CERTIFICATE, wire.write_rows(for_set, ctx.expected))
        proof = wire.write_rows(for_abort, ctx.expected)
        proven = SecAgg().proves_abort(bench.plan(), ctx, proof)
        return phases.ANSWER in nodes.said(honest[0]), proven


@pytest.mark.parametrize("colluders", [0, 1])
def test_no_split_of_the_votes_gives_two_certificates(colluders: int) -> None:
    assert split(colluders) == (False, False)


def test_a_quorum_that_two_halves_reach_gives_a_total_free_of_charge() -> None:
    assert split(0, lambda expected, colluders: expected // 2) == (True, True)


def test_a_quorum_that_forgets_the_colluders_gives_a_total_free_of_charge() -> None:
    assert split(1, lambda expected, colluders: expected // 2 + 1) == (True, True)


def told_to_each_its_own() -> list[str]:
    """Every other node is told that another upload than the victim's stands in its place."""
    bench = Bench(SecAgg(), 4)
    ctx, nodes, victim = bench.context(), begun(bench), bench.dids[0]
    truth = survivors(nodes, ctx)
    lie = truth[:2] + bytes(32) + truth[34:]
    for did in bench.dids:
        nodes.show(did, phases.SURVIVORS, truth if did == victim else lie)
    voters = [did for did in bench.dids if phases.VOTE in nodes.said(did)]
    nodes.show(victim, phases.CERTIFICATE, certificate(nodes, voters, ctx))
    return nodes.said(victim)


def test_votes_for_another_set_do_not_certify_this_one(monkeypatch: Patch) -> None:
    """Shape (i): the victim hears one set, everybody else another."""
    assert phases.ANSWER not in told_to_each_its_own()

    def anybodys(plan: Any, ctx: Any, choice: str, signatures: Any, *, abort: bool) -> bool:
        return len(signatures) >= votes.quorum_of(plan, ctx)

    monkeypatch.setattr(participant, "certified", anybodys)
    assert phases.ANSWER in told_to_each_its_own()


def told_that_others_are_lost() -> set[str]:
    """Shape (ii): each node is told a set without somebody; what any of them then says."""
    bench = Bench(SecAgg(), 5)
    ctx, nodes = bench.context(), begun(bench)
    whole = {did: masks.hashed(nodes.last(did, phases.UPLOAD)) for did in bench.dids}
    for index, did in enumerate(bench.dids):
        lost = bench.dids[(index + 1) % 5]
        without = {d: h for d, h in whole.items() if d != lost}
        nodes.show(did, phases.SURVIVORS, wire.write_rows(without, ctx.expected))
    return {phase for did in bench.dids for phase in nodes.said(did)}


def test_no_node_votes_for_a_set_without_somebody(monkeypatch: Patch) -> None:
    assert phases.VOTE not in told_that_others_are_lost()
    monkeypatch.setattr(participant, "may_be_summed", lambda plan, ctx, members: True)
    assert phases.VOTE in told_that_others_are_lost()


def both_choices(first: str) -> list[int]:
    bench = Bench(SecAgg(), 3)
    ctx, nodes, did = bench.context(), begun(bench), bench.dids[0]
    named = {phases.SURVIVORS: survivors(nodes, ctx), phases.ABORT: b""}
    second = phases.ABORT if first == phases.SURVIVORS else phases.SURVIVORS
    nodes.show(did, first, named[first])
    nodes.show(did, second, named[second])
    return [body[0] for phase, body in nodes.sent[did] if phase == phases.VOTE]


@pytest.mark.parametrize("first", [phases.SURVIVORS, phases.ABORT])
def test_a_node_asks_to_sign_one_choice_a_round(first: str, monkeypatch: Patch) -> None:
    assert len(both_choices(first)) == 1
    monkeypatch.setattr(participant, "has_voted", lambda state: False)
    assert sorted(both_choices(first)) == [0, 1]


def test_a_seed_leaves_once_and_after_a_quorum_only() -> None:
    bench = Bench(SecAgg(), 4)
    ctx, nodes, did = bench.context(), begun(bench), bench.dids[0]
    for each in bench.dids:
        nodes.show(each, phases.SURVIVORS, survivors(nodes, ctx))
    for voters in range(3):
        nodes.show(did, phases.CERTIFICATE, certificate(nodes, bench.dids[:voters], ctx))
        assert phases.ANSWER not in nodes.said(did)
    for voters in (3, 4, 3):
        nodes.show(did, phases.CERTIFICATE, certificate(nodes, bench.dids[:voters], ctx))
    assert nodes.said(did).count(phases.ANSWER) == 1


# ---- A8: small cohorts


def two_are_asked() -> Words | None:
    """A victim and a colluder alone; what the colluder learns of the victim."""
    bench = Bench(SecAgg(), 2, least=2)
    session = Session(bench)
    session.begin(bench.context())
    session.run()
    if phases.UPLOAD not in {phase for _, phase, _ in session.sent}:
        return None
    (end,) = session.ends
    assert isinstance(end, Released)
    assert isinstance(end.release, Total)
    return subtract(end.release.words, bench.answer(bench.dids[1]))


def test_of_two_nobody_uploads(monkeypatch: Patch) -> None:
    assert two_are_asked() is None
    monkeypatch.setattr(participant, "large_enough", lambda plan, members: True)
    learnt = two_are_asked()
    bench = Bench(SecAgg(), 2)
    assert learnt is not None
    assert integers(learnt) == integers(bench.answer(bench.dids[0]))


def test_fewer_than_the_policy_asks_for_are_not_masked_for(monkeypatch: Patch) -> None:
    bench = Bench(SecAgg(), 5, least=5)

    def four_are_asked() -> set[str]:
        session = Session(bench)
        session.begin(bench.context(1))
        session.run()
        session.begin(replace(bench.context(2), expected=bench.dids[:4], digest="f" * 64))
        before = len(session.sent)
        session.begin(replace(bench.context(3), expected=bench.dids[:4], digest="e" * 64))
        return {phase for _, phase, _ in session.sent[before:]}

    assert phases.UPLOAD not in four_are_asked()
    monkeypatch.setattr(participant, "may_be_masked", lambda plan, ctx: True)
    assert phases.UPLOAD in four_are_asked()


@pytest.mark.parametrize(
    "expected",
    [
        lambda dids: (dids[0], dids[0], dids[1]),
        lambda dids: (*dids[:3], "did:key:zStranger"),
        lambda dids: dids[1:],
        lambda dids: (dids[1], dids[0], dids[2]),
    ],
    ids=["twice", "a stranger", "without oneself", "in disorder"],
)
def test_a_strange_set_is_not_masked_for(expected: Any, monkeypatch: Patch) -> None:
    bench = Bench(SecAgg(), 4, least=3)
    ctx = replace(bench.context(), expected=expected(bench.dids))
    assert not participant.may_be_masked(bench.plan(bench.dids[0]), ctx)
    nodes, did = begun(bench), bench.dids[0]
    nodes.begin(did, replace(ctx, round=2, digest="f" * 64))
    assert nodes.said(did).count(phases.UPLOAD) == 1


# ---- A9: who masks with whom


def grind(bench: Bench, colluders: Sequence[str]) -> tuple[int, int]:
    """A late joiner tries keys until it predicts its colluders around the victim.

    It knows every other key and commitment, and none of the others' nonces. The corrupt
    neighbours that it predicted, and those that the victim then has.
    """
    victim, late = bench.dids[0], colluders[0]
    plan, ctx = bench.plan(victim), bench.context()
    nonces = {did: setup.own_nonce(plan.plan, did.encode()) for did in bench.dids}

    def corrupt(secret: bytes, known: Mapping[str, bytes]) -> int:
        body = SecAgg().setup(plan.plan, secret)
        setups = {did: setup.read_setup(plan.setups[did]) for did in bench.dids}
        setups[late] = setup.read_setup(body)
        read = {did: each for did, each in setups.items() if each is not None}
        drawn = setup.beacon(plan.plan, read, known)
        near = graph.neighbours(plan, ctx, drawn, victim)
        return len(set(near) & set(colluders))

    guess = {did: bytes(32) for did in bench.dids}
    tries = [b"try" + bytes([index]) for index in range(120)]
    best = max(tries, key=lambda secret: corrupt(secret, guess))
    return corrupt(best, guess), corrupt(best, nonces)


def test_a_late_key_cannot_choose_the_neighbours(monkeypatch: Patch) -> None:
    bench = Bench(SecAgg(), 40, colluders=4)
    colluders = bench.dids[1:5]
    predicted, found = grind(bench, colluders)
    assert predicted >= 3
    assert found < predicted

    true_beacon = setup.beacon

    def of_keys_alone(plan: str, setups: Any, nonces: Mapping[str, bytes]) -> bytes:
        return true_beacon(plan, setups, {did: bytes(32) for did in setups})

    monkeypatch.setattr(setup, "beacon", of_keys_alone)
    predicted, found = grind(bench, colluders)
    assert found == predicted >= 3


def test_a_nonce_that_was_not_committed_makes_no_beacon(monkeypatch: Patch) -> None:
    bench = Bench(SecAgg(), 3)

    def shown_another_nonce() -> list[str]:
        nodes, did = Nodes(bench), bench.dids[0]
        nodes.start(did)
        nodes.begin(did, bench.context())
        own = setup.own_nonce("a" * 64, did.encode())
        nodes.show(did, phases.NONCES, own + bytes(64))
        return nodes.said(did)

    assert shown_another_nonce() == []
    monkeypatch.setattr(participant, "all_opened", lambda plan, setups, nonces: True)
    assert shown_another_nonce() == [phases.UPLOAD]


def test_the_coordinator_takes_no_nonce_but_the_committed_one(monkeypatch: Patch) -> None:
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    session.begin(bench.context())
    assert not session.tell(Received(bench.dids[0], phases.NONCE, bytes(32)))
    monkeypatch.setattr(coordinator, "opens", lambda plan, each, nonce: True)
    assert session.tell(Received(bench.dids[0], phases.NONCE, bytes(32)))


def test_neighbours_are_uniform() -> None:
    """Over 3000 beacons, everybody is a victim's neighbour equally often (chi-square, 38 d.f.)."""
    bench = Bench(SecAgg(), 40, colluders=4)
    plan, ctx, victim = bench.plan(), bench.context(), bench.dids[0]
    hits = dict.fromkeys(bench.dids[1:], 0)
    for number in range(3000):
        for did in graph.neighbours(plan, ctx, number.to_bytes(32, "big"), victim):
            hits[did] += 1
    expected = 3000 * graph.degree_of(plan, ctx) / 39
    spread = sum((n - expected) ** 2 for n in hits.values()) / expected
    assert 12 < spread < 75


def test_a_copied_commitment_opens_for_its_own_key_only() -> None:
    """Who copies a setup would open its victim's nonce as its own: two keys are never the same."""
    plan, secret = "a" * 64, b"victim"
    copied = setup.read_setup(SecAgg().setup(plan, secret))
    assert copied is not None
    nonce = setup.own_nonce(plan, secret)
    own_key = X25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    thief = setup.Setup(own_key.public_bytes_raw(), copied.commitment)
    assert setup.opens(plan, copied, nonce)
    assert not setup.opens(plan, thief, nonce)
    assert not setup.opens("b" * 64, copied, nonce)


# ---- A11: a late upload


def late_remainder(answer: Words) -> bytes:
    """A late upload after everybody else told all pair seeds: what is left of it."""
    bench = Bench(SecAgg(), 3, width=len(answer))
    nodes, late = Nodes(bench), bench.dids[0]
    for did in bench.dids:
        nodes.start(did)
        nodes.begin(did, bench.context(), answer)
        nodes.show(did, phases.OPEN, wire.write_places(bench.dids, bench.dids))
    for did in bench.dids:
        nodes.show(did, phases.NONCES, openings(nodes))
    others = {did: nodes.states[did].roots[late] for did in bench.dids[1:]}
    seeds = {did: masks.pair_seed(root, bench.context().digest) for did, root in others.items()}
    added = [seed for did, seed in seeds.items() if late < did]
    removed = [seed for did, seed in seeds.items() if did < late]
    upload = seen(nodes.last(late, phases.UPLOAD), bench.width)
    return to_bytes(masks.masked(upload, removed, added))


def test_a_late_upload_stays_covered_though_all_pairs_are_known(monkeypatch: Patch) -> None:
    zeros = frozen(np.zeros(WIDE, dtype=np.int64))
    assert UNIFORM[0] < chi_square(late_remainder(zeros)) < UNIFORM[1]
    whole = masks.masked

    def pairs_alone(answer: Words, added: Sequence[bytes], removed: Sequence[bytes]) -> Words:
        return whole(answer, added[1:], removed)

    monkeypatch.setattr(participant, "masked", pairs_alone)
    assert not any(late_remainder(zeros))


# ---- A7, A19: what the coordinator receives in a whole plan


class Talkative(Bench):
    """Every round has its own answer, so that a plan's differences say something."""

    number = 1

    def answer(self, did: str) -> Words:
        index = self.dids.index(did) + 1
        return words([10**6 * index + Talkative.number * 7**index, -(5**index) * 12_345])


def overheard(rounds: int = 3) -> tuple[Session, dict[tuple[str, int], Words]]:
    """All that is sent in a plan, and what each party truly answered in each round."""
    bench = Talkative(SecAgg(), 4)
    session, truth = Session(bench), {}
    for number in range(1, rounds + 1):
        Talkative.number = number
        session.begin(bench.context(number, bench.dids if number > 1 else None))
        truth.update({(did, number): bench.answer(did) for did in bench.dids})
        session.run()
    return session, truth


def leaks(session: Session, truth: Mapping[tuple[str, int], Words]) -> list[str]:
    """Words of a party that stand in the bytes, and changes that two of its uploads give away."""
    heard = b"".join(body for _, _, body in session.sent)
    found = [
        f"{did} said word {at} of round {number}"
        for (did, number), answer in truth.items()
        for at in range(len(answer))
        if to_bytes(answer[at : at + 1]) in heard
    ]
    for did in session.bench.dids:
        uploads = [seen(b, 2) for d, p, b in session.sent if (d, p) == (did, phases.UPLOAD)]
        for number, (old, new) in enumerate(pairwise(uploads), 1):
            change = subtract(truth[did, number + 1], truth[did, number])
            if integers(subtract(new, old)) == integers(change):
                found.append(f"{did} gave its change after round {number} away")
    return found


def test_nothing_that_is_sent_in_a_plan_holds_a_partys_words(monkeypatch: Patch) -> None:
    assert leaks(*overheard()) == []

    def bare(answer: Words, added: Sequence[bytes], removed: Sequence[bytes]) -> Words:
        return answer

    for module in (participant, coordinator):
        monkeypatch.setattr(module, "masked", bare)
    found = leaks(*overheard())
    assert any("said word" in sentence for sentence in found)
    assert any("gave its change" in sentence for sentence in found)


def test_masks_that_do_not_change_give_every_change_away(monkeypatch: Patch) -> None:
    monkeypatch.setattr(participant, "self_seed", lambda secret, ctx: masks.keyed(secret, b"b"))
    monkeypatch.setattr(participant, "pair_seed", lambda root, ctx: masks.keyed(root, b"s"))
    assert any("gave its change" in sentence for sentence in leaks(*overheard()))


def test_no_pair_secret_ever_leaves_and_one_self_seed_a_round() -> None:
    """A7: what would undo a late upload, and what undoes a summed one, are never both said."""
    session, _ = overheard()
    heard = b"".join(body for _, _, body in session.sent)
    for did in session.bench.dids:
        state = session.nodes[did]
        assert len(state.roots) == 3
        assert setup.private_key("a" * 64, did.encode()).private_bytes_raw() not in heard
        for root in state.roots.values():
            assert root not in heard
            for number in (1, 2, 3):
                digest = session.bench.context(number, session.bench.dids if number > 1 else None)
                assert masks.pair_seed(root, digest.digest) not in heard
        assert [p for d, p, _ in session.sent if d == did].count(phases.ANSWER) == 3


def test_no_broadcast_however_strange_makes_a_node_say_more() -> None:
    """Drawn bytes in every phase, between and instead of the true ones."""
    drawn = np.random.Generator(np.random.PCG64(11))
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    session.begin(bench.context())
    session.run()
    honest = {body for _, _, body in session.sent}
    names = [phases.OPEN, phases.NONCES, phases.SURVIVORS, phases.CERTIFICATE, phases.ANSWER]
    did = bench.dids[0]
    for _ in range(300):
        nodes = Nodes(bench)
        nodes.start(did)
        nodes.begin(did, bench.context())
        for phase, body in session.told:
            if drawn.random() < 0.5:
                nodes.show(did, str(drawn.choice(names)), drawn.bytes(int(drawn.integers(200))))
            if drawn.random() < 0.8:
                nodes.show(did, phase, body)
        assert {body for _, body in nodes.sent[did]} <= honest


def test_secrets_are_in_no_text_of_a_state() -> None:
    """What might be logged or raised: the state's own text says no root, input or seed."""
    bench = Bench(SecAgg(), 3)
    nodes, did = begun(bench), bench.dids[0]
    text = repr(nodes.states[did])
    assert not any(repr(root) in text for root in nodes.states[did].roots.values())
    waiting = replace(nodes.states[did], waiting=(bench.answer(did), b"attached"))
    assert "attached" not in repr(waiting)


def test_the_sum_itself_is_all_that_a_total_says() -> None:
    session, truth = overheard(1)
    (end,) = session.ends
    assert isinstance(end, Released)
    assert isinstance(end.release, Total)
    plain = total([truth[did, 1] for did in session.bench.dids])
    assert integers(end.release.words) == integers(plain)
