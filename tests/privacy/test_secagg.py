"""Secure aggregation by itself: sums, bytes, masks, and what a fixed round looks like."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue.errors import BadInput
from covenue.hooks.privacy import (
    Aborted,
    Begin,
    PlanContext,
    Received,
    Released,
    Role,
    Signed,
    StageDeadline,
)
from covenue.hooks.solvers import Total
from covenue.numerics.words import Words, frozen, integers, to_bytes, words
from covenue.registry.index import PluginRow, scan, search_path
from covenue.registry.load import Registry
from covenue.registry.negotiate import check_privacy
from covenue.rounds.participant import ANSWER_QUERY
from covenue.testing.privacy import Bench, Session
from covenue_contracts.shared import Space
from covenue_privacy_secagg import coordinator, masks, participant, phases, wire
from covenue_privacy_secagg.setup import commitment, own_nonce
from covenue_privacy_secagg.stage import SecAgg

DERANDOMISED = settings(max_examples=60, deadline=None, derandomize=True, database=None)


class Many(Bench):
    """A bench whose parties answer with drawn words, over the whole ring."""

    def answer(self, did: str) -> Words:
        drawn = np.random.Generator(np.random.PCG64(self.dids.index(did)))
        ring = drawn.integers(0, 2**64, self.width, dtype=np.uint64)
        return frozen(ring.view(np.int64))


def released(session: Session) -> Total:
    (end,) = session.ends
    assert isinstance(end, Released)
    assert isinstance(end.release, Total)
    return end.release


def drawn_order(seed: int) -> Any:
    drawn = Random(seed)
    return drawn.randrange


# ---- sums


@DERANDOMISED
@given(n=st.integers(3, 8), width=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_the_total_is_the_plain_sum_in_every_order_of_arrival(
    n: int, width: int, seed: int
) -> None:
    bench = Many(SecAgg(), n, width=width)
    session = Session(bench)
    for number in (1, 2):
        session.begin(bench.context(number, bench.dids if number > 1 else None))
        session.run(order=drawn_order(seed + number))
        assert integers(released(session).words) == bench.plain(bench.dids)
        assert released(session).cohort == bench.dids


@pytest.mark.parametrize("n", [33, 40])
def test_the_total_is_the_plain_sum_where_not_everybody_masks_with_everybody(n: int) -> None:
    bench = Many(SecAgg(), n, width=5, colluders=3)
    session = Session(bench)
    for number in (1, 2):
        session.begin(bench.context(number))
        session.run(order=drawn_order(number))
        assert integers(released(session).words) == bench.plain(bench.dids)
    (uploaded, *_) = (m for m in session.sent if m[1] == phases.UPLOAD)
    upload = wire.read_upload(uploaded[2], 5)
    assert upload is not None
    assert len(upload.pair_hashes) == 10


def test_what_is_attached_comes_back_with_the_release() -> None:
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    session.begin(bench.context())
    session.run()
    (end,) = session.ends
    assert isinstance(end, Released)
    assert end.attached == {did: did.encode() for did in bench.dids}


# ---- how a round ends without a total


@pytest.mark.parametrize(
    ("lost", "proven"), [(phases.NONCE, True), (phases.UPLOAD, True), (phases.ANSWER, False)]
)
def test_one_silent_party_ends_the_round(lost: str, proven: bool) -> None:
    """A quorum of the others still signs; only what was certified cannot be called back."""
    bench = Bench(SecAgg(), 4)
    session = Session(bench)
    session.begin(bench.context())
    session.run(bench.dids[:1], lost=[lost])
    (end,) = session.ends
    assert isinstance(end, Aborted)
    assert (end.proof is not None) is proven
    assert end.present == bench.dids[1:]
    if end.proof is not None:
        assert bench.stage.proves_abort(bench.plan(), bench.context(), end.proof)
        assert not bench.stage.proves_abort(bench.plan(), bench.context(2), end.proof)
        assert not bench.stage.proves_abort(bench.plan(), bench.context(), end.proof[:-66])


def test_one_lost_vote_is_not_missed() -> None:
    bench = Bench(SecAgg(), 4)
    session = Session(bench)
    session.begin(bench.context())
    session.run(bench.dids[:1], lost=[phases.VOTE])
    assert integers(released(session).words) == bench.plain(bench.dids)


def test_votes_that_are_lost_end_the_round_without_a_proof() -> None:
    """Who has signed for the set does not sign the abort."""
    bench = Bench(SecAgg(), 4)
    session = Session(bench)
    session.begin(bench.context())
    session.run(bench.dids[:2], lost=[phases.VOTE])
    (end,) = session.ends
    assert isinstance(end, Aborted)
    assert end.proof is None
    assert phases.ANSWER not in {phase for _, phase, _ in session.sent}


def test_without_a_quorum_nothing_is_proven() -> None:
    bench = Bench(SecAgg(), 4)
    session = Session(bench)
    session.begin(bench.context())
    session.run(bench.dids[:2])
    (end,) = session.ends
    assert isinstance(end, Aborted)
    assert end.proof is None


def test_nothing_is_revealed_in_an_abort() -> None:
    for lost in (phases.NONCE, phases.UPLOAD):
        bench = Bench(SecAgg(), 4)
        session = Session(bench)
        session.begin(bench.context())
        session.run(bench.dids[:1], lost=[lost])
        assert phases.ANSWER not in {phase for _, phase, _ in session.sent}


def test_a_later_round_opens_only_the_nonces_that_were_missing() -> None:
    bench = Bench(SecAgg(), 4)
    session = Session(bench)
    session.begin(bench.context(1))
    session.run(bench.dids[:1], lost=[phases.NONCE])
    session.uplink, before = [], len(session.sent)
    session.begin(bench.context(2))
    session.run()
    opened = [did for did, phase, _ in session.sent[before:] if phase == phases.NONCE]
    assert opened == [bench.dids[0]]
    assert integers(released(session).words) == bench.plain(bench.dids)


def test_who_was_away_when_the_nonces_were_told_is_told_them_again() -> None:
    bench = Bench(SecAgg(), 4)
    session = Session(bench)
    away = bench.dids[0]
    session.begin(bench.context(1))
    blank = session.nodes[away]
    session.run([away], lost=[phases.UPLOAD])
    session.nodes[away], session.uplink = blank, []
    session.begin(bench.context(2))
    session.run()
    assert integers(released(session).words) == bench.plain(bench.dids)
    session.told.clear()
    session.begin(bench.context(3))
    session.run()
    assert phases.NONCES not in {phase for phase, _ in session.told}


@pytest.mark.parametrize("body", [b"", bytes(63), bytes(65), bytes(64)])
def test_a_setup_that_is_none_keeps_everybody_from_masking(body: bytes) -> None:
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    spoil(session, body)
    session.begin(bench.context())
    session.run()
    (end,) = session.ends
    assert isinstance(end, Aborted)
    assert phases.UPLOAD not in {phase for _, phase, _ in session.sent}


def shown(bench: Bench, own: str, setups: dict[str, bytes]) -> PlanContext:
    """The plan as a node knows it that was shown some other setups."""
    plan = bench.plan(own)
    return replace(plan, setups={**plan.setups, **setups})


def spoil(session: Session, body: bytes) -> None:
    bench = session.bench
    setups = {bench.dids[2]: body}
    session.coordinator, _ = bench.stage.start(Role.COORDINATOR, shown(bench, "", setups))
    for did in bench.dids:
        plan = shown(bench, did, setups)
        session.nodes[did], _ = bench.stage.start(Role.PARTICIPANT, plan)


def test_a_key_that_gives_every_pair_one_secret_is_masked_with_by_nobody() -> None:
    """A point of low order: X25519 with it is zero, whoever computes it."""
    bench = Bench(SecAgg(), 3)
    own, _, bad = bench.dids
    nonces = {did: own_nonce("a" * 64, did.encode()) for did in bench.dids}
    body = bytes(32) + commitment("a" * 64, bytes(32), nonces[bad])
    state, _ = bench.stage.start(Role.PARTICIPANT, shown(bench, own, {bad: body}))
    state, _ = bench.stage.advance(state, Begin(bench.context(), bench.answer(own), b""))
    told = Received("", phases.NONCES, b"".join(nonces[did] for did in bench.dids))
    state, effects = bench.stage.advance(state, told)
    assert state.beacon
    assert not effects


def test_two_members_with_one_key_keep_everybody_from_masking() -> None:
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    spoil(session, bench.plan().setups[bench.dids[0]])
    session.begin(bench.context())
    session.run()
    assert phases.UPLOAD not in {phase for _, phase, _ in session.sent}


def test_a_nonce_that_comes_after_all_serves_the_next_round() -> None:
    """The last nonce arrives when the round is being aborted: nobody has to open it again."""
    bench = Bench(SecAgg(), 4)
    session = Session(bench)
    session.begin(bench.context(1))
    late = session.uplink.pop(0)
    while session.uplink:
        session.tell(Received(*session.uplink.pop(0)))
    assert session.tell(StageDeadline(phases.NONCE, 0))
    assert session.tell(Received(*late))
    assert not session.tell(StageDeadline(phases.NONCE, 0))
    session.run()
    assert isinstance(session.ends[0], Aborted)
    session.told.clear()
    session.begin(bench.context(2))
    session.run()
    assert phases.OPEN not in {phase for phase, _ in session.told}
    assert integers(released(session).words) == bench.plain(bench.dids)


def test_what_comes_at_the_wrong_time_changes_nothing() -> None:
    bench = Bench(SecAgg(), 4)
    session, own = Session(bench), bench.dids[0]
    fresh = session.nodes[own]
    for event in (Received("", phases.ABORT, b""), Signed("c" * 64, False, bytes(64))):
        assert bench.stage.advance(fresh, event) == (fresh, ())
    session.begin(bench.context())
    begun = session.nodes[own]
    assert bench.stage.advance(begun, StageDeadline(phases.VOTE, 0)) == (begun, ())
    again = Begin(bench.context(), bench.answer(own), own.encode())
    assert bench.stage.advance(begun, again) == (begun, ())  # it waits for nonces still
    while phases.UPLOAD not in {phase for _, phase, _ in session.sent}:
        session.tell(Received(*session.uplink.pop(0)))
    first = session.uplink.pop(0)
    session.tell(Received(*first))
    assert not session.tell(Received(first[0], phases.DECLINE, b""))
    assert session.tell(Received(bench.dids[-1], phases.DECLINE, b""))
    early = wire.write_vote(bytes(64), abort=False)
    assert not session.tell(Received(own, phases.VOTE, early))
    assert not session.tell(Received(bench.dids[-1], phases.DECLINE, b""))
    session.run()
    (end,) = session.ends
    assert isinstance(end, Aborted)
    assert end.proof is not None
    assert end.present == (first[0],)


# ---- wrong seeds, wrong pairs


def carry(session: Session, change: Any) -> None:
    """Run the round with every message changed on its way."""
    while not session.ends and (session.uplink or session.timers):
        if not session.uplink:
            session.timers.pop(0)
            break
        sender, phase, body = session.uplink.pop(0)
        session.tell(Received(sender, phase, change(sender, phase, body)))


def test_a_wrong_seed_ends_the_round_and_leaves_its_sender_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(SecAgg(), 4)
    liar = bench.dids[1]

    def lie(sender: str, phase: str, body: bytes) -> bytes:
        return bytes(32) if (sender, phase) == (liar, phases.ANSWER) else body

    session = Session(bench)
    session.begin(bench.context())
    carry(session, lie)
    (end,) = session.ends
    assert isinstance(end, Aborted)
    assert end.proof is None
    assert end.present == tuple(did for did in bench.dids if did != liar)

    monkeypatch.setattr(coordinator, "is_the_seed", lambda upload, seed: True)
    session = Session(bench)
    session.begin(bench.context())
    carry(session, lie)
    assert integers(released(session).words) != bench.plain(bench.dids)


def test_two_ends_of_a_pair_that_name_other_seeds_are_not_summed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One party masks with other roots than its neighbours: the masks would not cancel."""
    bench = Bench(SecAgg(), 4)
    odd = bench.dids[1]
    true_seed = masks.pair_seed

    def masks_differently() -> Session:
        session = Session(bench)
        session.begin(bench.context())
        upload = participant.upload_bytes

        def own_way(state: participant.Masking, *rest: Any) -> bytes:
            salt = b"odd" if state.plan.own == odd else b""
            with monkeypatch.context() as patch:
                patch.setattr(
                    participant, "pair_seed", lambda root, ctx: true_seed(root + salt, ctx)
                )
                return upload(state, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(participant, "upload_bytes", own_way)
            session.run()
        return session

    (end,) = masks_differently().ends
    assert isinstance(end, Aborted)
    assert end.proof is not None
    monkeypatch.setattr(coordinator, "_in_conflict", lambda state, ctx: frozenset())
    assert integers(released(masks_differently()).words) != bench.plain(bench.dids)


# ---- masks


def counter_keystream(seed: bytes, count: int) -> bytes:
    """The keystream built from AES of a block counter: NIST SP 800-38A, section 6.5."""
    blocks = b"".join(number.to_bytes(16, "big") for number in range(-(-count // 16)))
    return Cipher(AES(seed), ECB()).encryptor().update(blocks)[:count]  # noqa: S305 -- an oracle of counter mode


@pytest.mark.parametrize("width", [1, 2, 3, masks.CHUNK_WORDS - 1, masks.CHUNK_WORDS + 1, 40_000])
def test_a_mask_is_aes_of_a_block_counter(width: int) -> None:
    seed = bytes(range(32))
    zeros = frozen(np.zeros(width, dtype=np.int64))
    assert to_bytes(masks.masked(zeros, [seed], [])) == counter_keystream(seed, 8 * width)


def test_a_counter_stream_agrees_with_the_published_vector() -> None:
    """NIST SP 800-38A, F.5.5, first block: the oracle above is AES-256 as published."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    block = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305 -- an oracle of counter mode
    assert encryptor.update(block).hex() == "0bdf7df1591716335e9a8b15c860c502"


def test_masks_that_are_added_and_removed_cancel() -> None:
    seeds = [bytes([index]) * 32 for index in range(5)]
    answer = words(range(-50, 50))
    once = masks.masked(answer, seeds[:3], seeds[3:])
    assert integers(masks.masked(once, seeds[3:], seeds[:3])) == integers(answer)
    assert integers(answer) == tuple(range(-50, 50))


def chi_square(data: bytes) -> float:
    """Of bytes against the uniform distribution, on 255 degrees of freedom."""
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    expected = len(data) / 256
    return float(((counts - expected) ** 2).sum() / expected)


UNIFORM = (180.0, 340.0)  # 255 +- 3.5 standard deviations of a chi-square on 255 degrees


class Silence(Bench):
    """A bench whose parties answer zero."""

    def answer(self, did: str) -> Words:
        return frozen(np.zeros(self.width, dtype=np.int64))


def upload_of(bench: Bench, which: int = 0) -> bytes:
    session = Session(bench)
    session.begin(bench.context())
    session.run()
    return next(b for d, p, b in session.sent if (d, p) == (bench.dids[which], phases.UPLOAD))


def test_a_masked_zero_is_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Silence(SecAgg(), 3, width=8192)
    seen = bench.stage.seen(phases.UPLOAD, upload_of(bench), bench.width)
    assert seen is not None
    assert UNIFORM[0] < chi_square(to_bytes(seen)) < UNIFORM[1]
    monkeypatch.setattr(participant, "masked", lambda words, added, removed: words)
    seen = bench.stage.seen(phases.UPLOAD, upload_of(bench), bench.width)
    assert seen is not None
    assert chi_square(to_bytes(seen)) > UNIFORM[1]


def test_each_of_two_rounds_has_its_own_masks() -> None:
    bench = Silence(SecAgg(), 3, width=8192)
    session = Session(bench)
    seen = []
    for number in (1, 2):
        session.begin(bench.context(number))
        session.run()
        body = [b for d, p, b in session.sent if (d, p) == (bench.dids[0], phases.UPLOAD)][-1]
        seen.append(bench.stage.seen(phases.UPLOAD, body, bench.width))
    first, second = seen
    assert first is not None
    assert second is not None
    difference = (first.view(np.uint64) - second.view(np.uint64)).tobytes()
    assert UNIFORM[0] < chi_square(difference) < UNIFORM[1]


# ---- bytes


UPLOADS = st.builds(
    wire.Upload,
    st.binary(max_size=40),
    st.binary(min_size=32, max_size=32),
    st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5).map(words),
)


@DERANDOMISED
@given(upload=UPLOADS, junk=st.binary(min_size=1, max_size=9))
def test_an_upload_reads_as_it_was_written_and_nothing_may_follow(
    upload: wire.Upload, junk: bytes
) -> None:
    body, width = wire.write_upload(upload), len(upload.words)
    read = wire.read_upload(body, width)
    assert read is not None
    assert (read.attached, read.self_hash, read.pair_hashes) == (
        upload.attached,
        upload.self_hash,
        upload.pair_hashes,
    )
    assert integers(read.words) == integers(upload.words)
    assert wire.read_upload(body + junk, width) is None
    assert wire.read_upload(body[: -len(junk)], width) is None


@DERANDOMISED
@given(body=st.binary(max_size=300), width=st.integers(0, 8))
def test_any_bytes_read_as_an_upload_that_writes_the_same_or_as_none(
    body: bytes, width: int
) -> None:
    read = wire.read_upload(body, width)
    assert read is None or wire.write_upload(read) == body


AMONG = tuple(f"did:{index}" for index in range(5))


@DERANDOMISED
@given(body=st.binary(max_size=3 * 34))
def test_any_bytes_read_as_rows_that_write_the_same_or_as_none(body: bytes) -> None:
    named = wire.read_survivors(body, AMONG)
    assert named is None or wire.write_rows(named, AMONG) == body
    places = wire.read_places(body, AMONG)
    assert places is None or wire.write_places(places, AMONG) == body


@pytest.mark.parametrize(
    "places",
    [[1, 0], [1, 1], [0, 5], [4, 65535]],
    ids=["falling", "twice", "too high", "far too high"],
)
def test_places_ascend_among_those_there_are(places: Sequence[int]) -> None:
    body = b"".join(place.to_bytes(2, "big") + bytes(32) for place in places)
    assert wire.read_survivors(body, AMONG) is None


@pytest.mark.parametrize("body", [b"", bytes(64), bytes(66), b"\x02" + bytes(64)])
def test_a_vote_is_a_mark_and_a_signature(body: bytes) -> None:
    assert wire.read_vote(body) is None
    assert wire.read_vote(wire.write_vote(bytes(64), abort=True)) == (True, bytes(64))


# ---- one fixed round, byte for byte


GOLDEN = {
    "open": "a31e910680405ce5f30bc28f9a1cef773c238ba2574e121d94d63271a1651b94",
    "nonce": "c6d33ca5814d7771cf2bfb8edd6f2651832d5c9f53b107b8bb47ac1a9a2eae14",
    "nonces": "c6d33ca5814d7771cf2bfb8edd6f2651832d5c9f53b107b8bb47ac1a9a2eae14",
    "upload": "135c5a5ef89c9c157f99a17ed8f764fba9c850010956e063dfabfd716c5651e7",
    "survivors": "7fe0f2c41ea7ea1f02d7cfeed0052a0a893846e5ee5e4f63c1a8090190c3ba06",
    "vote": "f85952e120d93ee5b2128ce50514b26fcb5d05a80418a031c126d11be73dd37a",
    "certificate": "73cadcb841995f17d4b2090dc4c1df9fd74361eeb256ed82563cf304709b5d0d",
    "answer": "eb2964ac1d2fc0fe5a7a349d51adb092fe00046d621d9a34c53f7592cc95dec7",
}


def fixed_round() -> dict[str, str]:
    """SHA-256 of all that is sent, by phase, in two rounds of three parties."""
    bench = Bench(SecAgg(), 3)
    session = Session(bench)
    for number in (1, 2):
        session.begin(bench.context(number))
        session.run()
    sent = [*((p, b) for _, p, b in session.sent), *session.told]
    by_phase: dict[str, Any] = {}
    for phase, body in sent:
        by_phase.setdefault(phase, hashlib.sha256()).update(body)
    return {phase: state.hexdigest() for phase, state in by_phase.items()}


def test_two_rounds_of_fixed_secrets_give_the_bytes_they_always_gave() -> None:
    """A changed byte is another protocol: its tags then end in another number."""
    assert fixed_round() == GOLDEN


def prefixed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, prefixed(*parts), hashlib.sha256).digest()


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 for one block of output."""
    extracted = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def keystream_words(seed: bytes, width: int) -> list[int]:
    stream = counter_keystream(seed, 8 * width)
    return [int.from_bytes(stream[8 * at : 8 * at + 8], "little") for at in range(width)]


def test_an_upload_is_what_the_note_says_computed_by_hand() -> None:
    """privacy.md, section 4, a second time: from did:keys and secrets to masked words."""
    bench = Bench(SecAgg(), 3)
    plan, ctx = b"a" * 64, bench.context().digest.encode()
    keys = {
        did: X25519PrivateKey.from_private_bytes(mac(did.encode(), b"covenue/secagg/key/1", plan))
        for did in bench.dids
    }
    public = {did: key.public_key().public_bytes_raw() for did, key in keys.items()}
    for own in bench.dids:
        expected = [word % 2**64 for word in integers(bench.answer(own))]
        self_seed = mac(own.encode(), b"covenue/secagg/self/1", ctx)
        seeds = [(self_seed, 1)]
        for other in (did for did in bench.dids if did != own):
            low, high = sorted((own, other))
            info = prefixed(
                b"covenue/secagg/root/1", low.encode(), high.encode(), public[low], public[high]
            )
            root = hkdf(keys[own].exchange(keys[other].public_key()), plan, info)
            seeds.append((mac(root, b"covenue/secagg/mask/1", ctx), 1 if own < other else -1))
        for seed, sign in seeds:
            mask = keystream_words(seed, bench.width)
            expected = [(a + sign * b) % 2**64 for a, b in zip(expected, mask, strict=True)]
        upload = wire.read_upload(upload_of(bench, bench.dids.index(own)), bench.width)
        assert upload is not None
        assert [word % 2**64 for word in integers(upload.words)] == expected
        hashes = [
            hashlib.sha256(prefixed(b"covenue/secagg/seed/1", seed)).digest() for seed, _ in seeds
        ]
        assert [upload.self_hash, *upload.pair_hashes] == hashes


# ---- what stands before a plan


def own_row() -> PluginRow:
    (row,) = (row for row in scan(search_path()) if row.id == "covenue-privacy-secagg")
    return row


def test_it_is_found_by_its_name() -> None:
    assert isinstance(Registry().build("privacy", "secagg"), SecAgg)


def test_a_policy_that_allows_two_is_refused_with_advice() -> None:
    row = own_row()
    assert row.manifest is not None
    policy = Bench(SecAgg(), 3).plan().policy
    check_privacy([row.manifest], policy.model_copy(update={"least": 3}))
    with pytest.raises(BadInput, match="cohorts of at least 3") as caught:
        check_privacy([row.manifest], policy.model_copy(update={"least": 2}))
    assert (caught.value.field, caught.value.value) == ("cohort.least", "2")
    assert "set least = 3" in caught.value.advice


def test_a_solver_that_needs_open_answers_is_refused() -> None:
    row = own_row()
    assert row.manifest is not None
    policy = Bench(SecAgg(), 3).plan().policy
    with pytest.raises(BadInput, match="sees sums only"):
        check_privacy([row.manifest], policy, frozenset({"DISCLOSE"}))
    assert not SecAgg().coordinator_sees_everything


def test_a_round_costs_one_noiseless_sum() -> None:
    space = Space(signal="s", names=("n",), units=("u",), scale_bits=0, bound="1")
    charge = SecAgg().cost(ANSWER_QUERY, space)
    assert (charge.kind, charge.amount) == ("exact", "1")
