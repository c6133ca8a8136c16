"""Envelopes and rosters: sealed once, opened strictly."""

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import CovenueError, EnvelopeRefused, IdentityRefused
from covenue.identity import envelopes as envelopes_module
from covenue.identity.dsse import decode_base64
from covenue.identity.envelopes import open_envelope, payload_of, seal
from covenue.identity.keys import SigningKey, verify
from covenue.identity.roster import check_roster, make_roster, roster_digest
from covenue_contracts.canonical import ValidationError, canonical
from covenue_contracts.envelope import Envelope
from covenue_contracts.plan import Member

KEY = SigningKey.from_seed(bytes(32))
OTHER = SigningKey.from_seed(b"\x01" * 32)
SECRET = b"canary-of-the-payload"


def sealed(key: SigningKey = KEY, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "plan": "a" * 64,
        "round": 3,
        "phase": "upload",
        "sequence": 7,
        "sent": "1723161260000000000",
        "contract": "b" * 64,
        "payload": SECRET,
    }
    return seal(key, **{**fields, **changes})


def test_the_bytes_of_an_envelope_are_pinned() -> None:
    assert sealed().decode() == (
        '{"contract":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","'
        'payload":"Y2FuYXJ5LW9mLXRoZS1wYXlsb2Fk","phase":"upload","plan":"aaaaaaaaaaaaaaa'
        'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","round":3,"sender":"did:key:z'
        '6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp","sent":"1723161260000000000","s'
        'equence":7,"signature":"duIEdoSrJ7iwcqk27r0rwpmEewOCBTDUdvTnp9YndcTfBFj9/CsgvPX2'
        'vTtaz7D2AuPIflRS7EjfDqf/I6rCAg=="}'
    )


@given(st.binary(max_size=300), st.integers(0, 2**53 - 1))
def test_what_is_sealed_opens(payload: bytes, sequence: int) -> None:
    data = sealed(payload=payload, sequence=sequence)
    envelope = open_envelope(data)
    assert payload_of(envelope) == payload
    assert (envelope.sender, envelope.sequence) == (KEY.did, sequence)
    assert canonical(envelope) == data == sealed(payload=payload, sequence=sequence)


@given(st.text("AQgw+/=", max_size=9) | st.binary(max_size=9).map(lambda b: b64encode(b).decode()))
def test_an_envelope_holds_base64_only_that_decodes_and_has_one_spelling(text: str) -> None:
    document = {**json.loads(sealed()), "payload": text}
    try:
        Envelope.model_validate_json(canonical(document))
    except ValidationError:
        with pytest.raises(IdentityRefused):
            decode_base64(text)
    else:
        assert b64encode(decode_base64(text)).decode() == text


@given(st.binary(max_size=40), st.sampled_from(["upload", "vote"]), st.integers(0, 2**53 - 1))
def test_what_is_signed_is_all_of_the_envelope_but_the_signature(
    payload: bytes, phase: str, number: int
) -> None:
    data = sealed(payload=payload, phase=phase, round=number)
    document = json.loads(data)
    signature = b64decode(document.pop("signature"))
    assert verify(KEY.did, envelopes_module.TAG, canonical(document), signature)


@pytest.mark.parametrize("field", ["plan", "phase", "sent", "contract"])
def test_a_field_that_no_envelope_can_hold_is_not_sealed(field: str) -> None:
    with pytest.raises(ValidationError):
        sealed(KEY, **{field: "No Name"})


def test_every_flipped_byte_is_refused() -> None:
    data = sealed()
    for at in range(len(data)):
        for mask in (1, 0x20, 0x80):
            changed = data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]
            with pytest.raises(EnvelopeRefused) as refused:
                open_envelope(changed)
            assert SECRET.decode() not in str(refused.value)


def test_every_swapped_field_is_refused() -> None:
    good, other = json.loads(sealed()), json.loads(sealed(OTHER, plan="c" * 64, round=4,
        phase="vote", sequence=8, sent="1", contract="d" * 64, payload=b"x"))  # fmt: skip
    for field in good:
        with pytest.raises(EnvelopeRefused):
            open_envelope(canonical({**good, field: other[field]}))


MALFORMED = {
    "no JSON": b"\xff",
    "a list": b"[]",
    "an empty document": b"{}",
    "a space": sealed().replace(b",", b", ", 1),
    "a final newline": sealed() + b"\n",
    "an unknown field": canonical({**json.loads(sealed()), "extra": 1}),
    "a missing signature": canonical(
        {name: value for name, value in json.loads(sealed()).items() if name != "signature"}
    ),
    "an empty signature": canonical({**json.loads(sealed()), "signature": ""}),
    "a sender that is no key": canonical(
        {**json.loads(sealed()), "sender": "did:key:z" + "1" * 48}
    ),
    "deep nesting": b"[" * 5000 + b"]" * 5000,
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_bytes_are_refused(case: str) -> None:
    with pytest.raises(EnvelopeRefused):
        open_envelope(MALFORMED[case])


@given(st.binary(max_size=200))
def test_any_bytes_give_a_typed_refusal(data: bytes) -> None:
    with pytest.raises(EnvelopeRefused):
        open_envelope(data)


def test_a_second_spelling_of_the_signature_is_refused() -> None:
    document = json.loads(sealed())
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    text = document["signature"]
    at = len(text.rstrip("=")) - 1
    respelled = text[:at] + letters[letters.index(text[at]) ^ 1] + text[at + 1 :]
    with pytest.raises(EnvelopeRefused):
        open_envelope(canonical({**document, "signature": respelled}))


def test_without_the_signature_check_a_forged_sender_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forged = canonical({**json.loads(sealed(OTHER)), "sender": KEY.did})
    with pytest.raises(EnvelopeRefused):
        open_envelope(forged)
    monkeypatch.setattr(envelopes_module, "verify", lambda *_: True)
    assert open_envelope(forged).sender == KEY.did


def member(seed: int, slot: int, name: str) -> Member:
    return Member(did=SigningKey.from_seed(bytes([seed]) * 32).did, slot=slot, name=name)


def test_a_roster_is_the_same_in_any_order() -> None:
    members = [member(1, 0, "a"), member(2, 1, "b"), member(3, 2, "c")]
    roster = make_roster(KEY.did, members)
    assert roster == make_roster(KEY.did, reversed(members))
    assert [m.did for m in roster.members] == sorted(m.did for m in members)
    assert (
        roster_digest(roster) == "8fa2e44b93ec77265e51a58e4046d8653e2e780a74a44701e19af0b690a4d46c"
    )


REPEATED = {
    "did": [member(1, 0, "a"), member(1, 1, "b")],
    "slot": [member(1, 0, "a"), member(2, 0, "b")],
    "name": [member(1, 0, "a"), member(2, 1, "a")],
}


@pytest.mark.parametrize("field", REPEATED)
def test_a_roster_that_repeats_a_value_is_refused(field: str) -> None:
    with pytest.raises(IdentityRefused) as refused:
        make_roster(KEY.did, REPEATED[field])
    assert refused.value.field == f"members.{field}"


def test_a_received_roster_is_checked_too() -> None:
    roster = make_roster(KEY.did, [member(1, 0, "a"), member(2, 1, "b")])
    turned = roster.model_copy(update={"members": roster.members[::-1]})
    no_key = roster.model_copy(update={"coordinator": "did:key:z" + "1" * 48})
    for bad in (turned, no_key):
        with pytest.raises(CovenueError):
            check_roster(bad)
    with pytest.raises(IdentityRefused):
        make_roster(KEY.did, [])
