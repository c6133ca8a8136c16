"""The envelope that every message between processes travels in: sealed once, opened strictly."""

import base64

from covenue.errors import EnvelopeRefused, IdentityRefused
from covenue.identity.dsse import decode_base64
from covenue.identity.keys import SigningKey, verify
from covenue_contracts.canonical import ProfileBroken, ValidationError, canonical, parse_as
from covenue_contracts.envelope import Envelope

TAG = "covenue/envelope/1"


def seal(
    key: SigningKey,
    *,
    plan: str,
    round: int,  # noqa: A002 -- the contract's own word for it
    phase: str,
    sequence: int,
    sent: str,
    contract: str,
    payload: bytes,
) -> bytes:
    """The canonical bytes of a signed envelope/v1.

    sent: wall nanoseconds as a decimal string. contract: digest of the payload's schema. The same
    arguments give the same bytes: Ed25519 draws no randomness.
    """
    unsigned = {
        "sender": key.did,
        "plan": plan,
        "round": round,
        "phase": phase,
        "sequence": sequence,
        "sent": sent,
        "contract": contract,
        "payload": base64.b64encode(payload).decode("ascii"),
    }
    body = canonical(unsigned)
    checked = {**unsigned, "payload": ""}  # long, and base64 because it was encoded above
    signature = base64.b64encode(key.sign(TAG, body)).decode("ascii")
    Envelope.model_validate({**checked, "signature": signature})
    return _signed(body, signature)


def open_envelope(data: bytes) -> Envelope:
    """The envelope, once its bytes are canonical and signed by its sender.

    Raises EnvelopeRefused, which shows neither payload nor signature.
    """
    try:
        envelope = parse_as(Envelope, data)
        signature = decode_base64(envelope.signature)
    except ProfileBroken as error:
        raise _refused("its bytes are not canonical", error.where) from error
    except ValidationError as error:
        raise _refused("it is no envelope/v1", _places(error)) from None
    except IdentityRefused as error:
        raise _refused("a base64 field is malformed", "signature") from error
    try:
        is_signed = verify(envelope.sender, TAG, _unsigned(data, envelope.signature), signature)
    except IdentityRefused as error:
        raise _refused("its sender names no usable key", "sender", envelope.sender) from error
    if not is_signed:
        raise _refused("the signature is not its sender's", "signature", envelope.sender)
    return envelope


def payload_of(envelope: Envelope) -> bytes:
    """The payload's bytes; the contract has seen to it that they have one spelling."""
    return base64.b64decode(envelope.payload)


def _signed(body: bytes, signature: str) -> bytes:
    """The canonical bytes of a document with its signature, whose key stands after all others."""
    return body[:-1] + _last(signature)


def _unsigned(data: bytes, signature: str) -> bytes:
    """What was signed: canonical bytes without the signature that they end in."""
    return data.removesuffix(_last(signature)) + b"}"


def _last(signature: str) -> bytes:
    return f',"signature":"{signature}"}}'.encode()


def _places(error: ValidationError) -> str:
    return ", ".join("/".join(str(part) for part in item["loc"]) for item in error.errors())[:200]


def _refused(why: str, field: str, value: str = "") -> EnvelopeRefused:
    return EnvelopeRefused(
        f"an envelope is refused: {why}",
        "have the sender send its stored bytes again, unchanged",
        field=field,
        value=value,
    )
