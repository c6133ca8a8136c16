"""Two faces of one coordinator: what it may learn from nodes that vote, and what it may not."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from tests.attacks.forger import Forger

from covenue.hooks.privacy import Begin, Received, Role, Send, Sign, Signed
from covenue.numerics.words import from_bytes, integers, subtract
from covenue.rounds import participant
from covenue.rounds.votes import choice_text, sign_vote, votes_of
from covenue.testing import privacy
from covenue.testing.cohorts import identity
from covenue.testing.privacy import Bench, VotedSum, abort_of, choice_of, mask, round_seed
from covenue_contracts.canonical import sha256
from covenue_contracts.contract import Contract
from covenue_contracts.envelope import Upload
from covenue_contracts.plan import RoundAbort, StageMessage
from covenue_contracts.privacy import BudgetRefunded


def begun(parties: int = 3, **setting: Any) -> tuple[Forger, dict[str, bytes]]:
    """Everybody has joined and uploaded in round 1; the uploads by did."""
    forger = Forger("voted", parties=parties, **setting)
    forger.write(forger.joined(forger.joins()), forger.ask(1, forger.dids))
    uploads = {}
    for did in forger.dids:
        (message,) = forger.show(did)
        assert isinstance(message.payload, Upload)
        uploads[did] = base64.b64decode(message.payload.body)
    return forger, uploads


def broadcast(forger: Forger, phase: str, body: bytes) -> Contract:
    return StageMessage(
        plan=forger.plan.plan, round=1, phase=phase, body=base64.b64encode(body).decode("ascii")
    )


def survivors(uploads: dict[str, bytes]) -> bytes:
    return privacy._write({did: sha256(body) for did, body in uploads.items()})


def phases(forger: Forger, did: str) -> list[str]:
    return [message.envelope.phase for message in forger.show(did)]


def test_a_node_signs_one_set_of_uploads_a_round() -> None:
    forger, uploads = begun()
    victim = forger.dids[0]
    without = {did: body for did, body in uploads.items() if did != forger.dids[2]}
    forger.write(broadcast(forger, "survivors", survivors(uploads)))
    assert phases(forger, victim) == ["upload", "vote"]
    forger.write(broadcast(forger, "survivors", survivors(without)))
    assert phases(forger, victim) == ["upload", "vote"]


def test_the_kernel_signs_one_choice_even_for_a_stage_that_asks_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stage forgets that it has voted; the kernel does not."""
    judge = privacy._judge

    def forgetful(state: privacy.Voter, ctx: Any, body: bytes) -> Any:
        after, effects = judge(state, ctx, body)
        return replace(after, voted=False), effects

    monkeypatch.setattr(privacy, "_judge", forgetful)
    forger, uploads = begun()
    victim = forger.dids[0]
    without = {did: body for did, body in uploads.items() if did != forger.dids[2]}
    named = (survivors(uploads), survivors(without))
    forger.write(*(broadcast(forger, "survivors", body) for body in named))
    assert phases(forger, victim) == ["upload", "vote"]

    def signs_anything(turn: Any, number: int, sign: Sign) -> None:
        text = choice_text(sign.choice, abort=sign.abort)
        key = turn.own.key
        signature = sign_vote(key, turn.state.plan.plan, number, text)
        participant._stage(turn, number, Signed(sign.choice, sign.abort, signature))

    monkeypatch.setattr(participant, "_vote", signs_anything)
    forger, uploads = begun()
    forger.write(*(broadcast(forger, "survivors", body) for body in named))
    assert phases(forger, forger.dids[0]).count("vote") == 2


@pytest.mark.parametrize(
    "named",
    [
        lambda uploads: dict(list(uploads.items())[:1]),
        lambda uploads: {**uploads, "did:key:zNobody": b"?"},
        lambda uploads: {**uploads, min(uploads): b"another upload"},
    ],
    ids=["too few", "a stranger", "another upload in its name"],
)
def test_a_node_does_not_vote_for_a_set_that_may_not_be_summed(named: Any) -> None:
    forger, uploads = begun()
    forger.write(broadcast(forger, "survivors", survivors(named(uploads))))
    assert phases(forger, forger.dids[0]) == ["upload"]


def certificate(forger: Forger, uploads: dict[str, bytes], voters: int) -> bytes:
    """The true votes of the first few members."""
    forger.write(broadcast(forger, "survivors", survivors(uploads)))
    votes = {}
    for did in forger.dids[:voters]:
        payload = forger.show(did)[-1].payload
        assert isinstance(payload, Upload)
        read = privacy._read(base64.b64decode(payload.body))
        assert read is not None
        votes[did] = read["total"]
    return privacy._write(votes)


@pytest.mark.parametrize(("voters", "reveals"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_mask_is_revealed_to_a_quorum_only(voters: int, reveals: bool) -> None:
    forger, uploads = begun()
    body = certificate(forger, uploads, voters)
    forger.show(forger.dids[0])
    forger.write(broadcast(forger, "certificate", body))
    assert ("reveal" in phases(forger, forger.dids[0])) is reveals


def test_colluders_are_counted_into_the_quorum() -> None:
    forger, uploads = begun(parties=3, colluders=1)
    body = certificate(forger, uploads, 2)
    forger.write(broadcast(forger, "certificate", body))
    assert "reveal" not in phases(forger, forger.dids[0])


def test_a_vote_signed_by_somebody_else_counts_for_nobody() -> None:
    forger, uploads = begun()
    body = certificate(forger, uploads, 1)
    read = privacy._read(body)
    assert read is not None
    (signature,) = read.values()
    forger.write(
        broadcast(forger, "certificate", privacy._write(dict.fromkeys(forger.dids, signature)))
    )
    assert "reveal" not in phases(forger, forger.dids[0])


def test_an_upload_says_nothing_before_its_mask_is_revealed() -> None:
    bench = Bench(VotedSum(), 3)
    did, ctx = bench.dids[0], bench.context()
    state, _ = VotedSum().start(Role.PARTICIPANT, bench.plan(did))
    state, effects = VotedSum().advance(state, Begin(ctx, bench.answer(did), b""))
    (send,) = effects
    assert isinstance(send, Send)
    read = privacy._read(send.body)
    assert read is not None
    masked = from_bytes(read["words"])
    assert integers(masked) != integers(bench.answer(did))
    seed = round_seed(bench.plan(did).secret, ctx)
    assert integers(subtract(masked, mask(seed, ctx.width))) == integers(bench.answer(did))
    assert round_seed(b"another", ctx) != seed
    state, effects = VotedSum().advance(state, Received("", "certificate", b"{}"))
    assert effects == ()


def refunds(forger: Forger, did: str) -> int:
    index = next(i for i in range(3) if forger.cohort.did(i) == did)
    entries = forger.cohort.log(index).entries()
    return sum(isinstance(entry.body, BudgetRefunded) for entry in entries)


def abort(forger: Forger, proof: bytes | None) -> RoundAbort:
    return RoundAbort(
        plan=forger.plan.plan,
        round=1,
        present=forger.dids,
        proof=None if proof is None else base64.b64encode(proof).decode("ascii"),
        reason="for a test",
    )


def abort_proof(forger: Forger, voters: int) -> bytes:
    """True votes to abort round 1, by the first few parties."""
    victim = forger.dids[0]
    index = next(i for i in range(3) if forger.cohort.did(i) == victim)
    node_plan = forger.cohort.node(index).state.plan
    assert node_plan is not None
    assert node_plan.ctx is not None
    choice = abort_of(node_plan.ctx)
    text = choice_text(choice, abort=True)
    signed: dict[str, bytes] = {}
    for number in range(3):
        key = identity("party", f"p{number}").key
        if len(signed) < voters:
            signed[key.did] = sign_vote(key, forger.plan.plan, 1, text)
    return privacy._write(signed)


@pytest.mark.parametrize(("voters", "expected"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_a_charge_comes_back_for_a_quorum_of_aborts_only(voters: int, expected: int) -> None:
    forger, _ = begun()
    victim = forger.dids[0]
    forger.write(abort(forger, abort_proof(forger, voters)))
    forger.show(victim)
    assert refunds(forger, victim) == expected


def test_a_charge_comes_back_once_and_for_no_unproven_abort() -> None:
    forger, _ = begun()
    victim = forger.dids[0]
    proof = abort_proof(forger, 2)
    forger.write(abort(forger, None), abort(forger, b"junk"))
    forger.show(victim)
    assert refunds(forger, victim) == 0
    forger.write(abort(forger, proof), abort(forger, proof))
    forger.show(victim)
    assert refunds(forger, victim) == 1


def test_votes_are_bound_to_plan_round_choice_and_kind() -> None:
    key = identity("party", "p0").key
    bench = Bench(VotedSum(), 3)
    choice = choice_of(bench.context(), {})
    signature = sign_vote(key, "a" * 64, 1, choice_text(choice, abort=False))
    holds = votes_of("a" * 64)
    assert holds(key.did, 1, choice, False, signature)
    assert not votes_of("b" * 64)(key.did, 1, choice, False, signature)
    assert not holds(key.did, 2, choice, False, signature)
    assert not holds(key.did, 1, choice, True, signature)
    assert not holds(key.did, 1, "0" * 64, False, signature)
    assert not holds(identity("party", "p1").key.did, 1, choice, False, signature)
    assert not holds("did:key:zNobody", 1, choice, False, signature)
