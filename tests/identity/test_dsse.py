"""DSSE: the official encoding vector, securesystemslib as oracle, and who must have signed."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OracleEnvelope
from securesystemslib.signer._key import SSlibKey

from covenue.errors import IdentityRefused
from covenue.identity.dsse import attest, decode_base64, open_attestation, pae
from covenue.identity.keys import SigningKey
from covenue_contracts.ledger import Attestation, DsseSignature

ONE, TWO, THREE = (SigningKey.from_seed(bytes([n]) * 32) for n in (1, 2, 3))
TYPE = "application/vnd.in-toto+json"


def oracle_key(key: SigningKey) -> SSlibKey:
    return SSlibKey(key.did, "ed25519", "ed25519", {"public": key.public.hex()})


def oracle_envelope(attestation: Attestation) -> OracleEnvelope:
    return OracleEnvelope.from_dict(
        {
            "payload": attestation.payload,
            "payloadType": attestation.payload_type,
            "signatures": [
                {"keyid": signature.keyid, "sig": signature.sig}
                for signature in attestation.signatures
            ],
        }
    )


def test_the_official_pae_vector() -> None:
    encoded = pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("", b"") == b"DSSEv1 0  0 "
    assert pae("é", b"\x00\n") == b"DSSEv1 2 \xc3\xa9 2 \x00\n"


@given(st.text(max_size=40), st.binary(max_size=80))
def test_the_oracle_encodes_the_same_bytes(payload_type: str, payload: bytes) -> None:
    assert pae(payload_type, payload) == OracleEnvelope(payload, payload_type, {}).pae()


@given(st.binary(max_size=200))
def test_the_oracle_verifies_what_we_sign(payload: bytes) -> None:
    envelope = oracle_envelope(attest([ONE, TWO], TYPE, payload))
    found = envelope.verify([oracle_key(ONE), oracle_key(TWO)], threshold=2)
    assert sorted(found) == sorted([ONE.did, TWO.did])


def test_a_payload_comes_out_only_with_enough_named_signers() -> None:
    attestation = attest([TWO, ONE], TYPE, b"body")
    assert open_attestation(attestation, TYPE, [ONE.did]) == b"body"
    assert open_attestation(attestation, TYPE, [ONE.did, TWO.did, THREE.did], 2) == b"body"
    with pytest.raises(IdentityRefused, match="2 are needed"):
        open_attestation(attestation, TYPE, [ONE.did, THREE.did], 2)
    with pytest.raises(IdentityRefused):
        open_attestation(attestation, TYPE, [THREE.did])
    with pytest.raises(IdentityRefused, match="threshold"):
        open_attestation(attestation, TYPE, [ONE.did], 0)
    with pytest.raises(IdentityRefused, match="type"):
        open_attestation(attestation, "other/type", [ONE.did])


def test_one_key_twice_counts_once() -> None:
    once = attest([ONE], TYPE, b"body")
    twice = once.model_copy(update={"signatures": once.signatures * 2})
    with pytest.raises(IdentityRefused, match="2 are needed"):
        open_attestation(twice, TYPE, [ONE.did, TWO.did], 2)


def test_a_bad_signature_of_a_known_signer_refuses_the_whole() -> None:
    good = attest([ONE, TWO], TYPE, b"body")
    moved = DsseSignature(keyid=ONE.did, sig=good.signatures[1].sig)
    if good.signatures[0].keyid != ONE.did:
        moved = DsseSignature(keyid=ONE.did, sig=good.signatures[0].sig)
    mixed = good.model_copy(update={"signatures": (*good.signatures, moved)})
    with pytest.raises(IdentityRefused, match="does not verify"):
        open_attestation(mixed, TYPE, [ONE.did])
    assert open_attestation(mixed, TYPE, [TWO.did]) == b"body"


@given(st.integers(min_value=0))
def test_any_flipped_bit_of_the_payload_is_refused(bit: int) -> None:
    payload = b"the signed statement"
    attestation = attest([ONE], TYPE, payload)
    flipped = bytearray(payload)
    flipped[bit // 8 % len(payload)] ^= 1 << bit % 8
    changed = attestation.model_copy(update={"payload": base64.b64encode(flipped).decode()})
    with pytest.raises(IdentityRefused):
        open_attestation(changed, TYPE, [ONE.did])


@pytest.mark.parametrize("text", ["QR==", "QQ", "QQ==\n", "Q-==", "é", "QQ==QQ=="])
def test_a_second_spelling_of_base64_is_refused(text: str) -> None:
    with pytest.raises(IdentityRefused):
        decode_base64(text)
