"""DSSE v1: statements signed together with their type.

Source: secure-systems-lab/dsse, protocol.md and envelope.md, version 1.0.
"""

import base64
import binascii
from collections.abc import Sequence

from covenue.errors import IdentityRefused
from covenue.identity.keys import SigningKey, verify_untagged
from covenue_contracts.ledger import Attestation, DsseSignature


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding: what a DSSE signature covers; lengths count bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def attest(keys: Sequence[SigningKey], payload_type: str, payload: bytes) -> Attestation:
    """Sign a statement with every key, in order of did."""
    message = pae(payload_type, payload)
    signatures = tuple(
        DsseSignature(keyid=key.did, sig=_encode(key.sign_untagged(message)))
        for key in sorted(keys, key=lambda key: key.did)
    )
    return Attestation(payload_type=payload_type, payload=_encode(payload), signatures=signatures)


def open_attestation(
    attestation: Attestation, payload_type: str, signers: Sequence[str], threshold: int = 1
) -> bytes:
    """The payload, once at least `threshold` of the distinct `signers` have signed it.

    Signatures by others are ignored; a bad one by a known signer refuses the whole. The payload
    is returned only after verification. Raises IdentityRefused.
    """
    if threshold < 1:
        raise _refused(f"a threshold of {threshold} would accept an unsigned statement")
    if attestation.payload_type != payload_type:
        raise _refused(f"the type is {attestation.payload_type!r}, not {payload_type!r}")
    payload = decode_base64(attestation.payload)
    message = pae(payload_type, payload)
    found: set[str] = set()
    for signature in attestation.signatures:
        if signature.keyid not in signers:
            continue
        if not verify_untagged(signature.keyid, message, decode_base64(signature.sig)):
            raise _refused(f"the signature of {signature.keyid} does not verify")
        found.add(signature.keyid)
    if len(found) < threshold:
        raise _refused(f"{len(found)} of the named signers signed, {threshold} are needed")
    return payload


def decode_base64(text: str) -> bytes:
    """Decode padded base64; a second spelling of the same bytes is refused."""
    try:
        body = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused("a field is no padded base64") from error
    if _encode(body) != text:
        raise _refused("a base64 field is not in its one canonical spelling")
    return body


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _refused(why: str) -> IdentityRefused:
    return IdentityRefused(
        f"the attestation is not acceptable: {why}",
        "ask its signers for the original; do not use the payload",
        field="attestation",
    )
