"""The envelope that every message between processes travels in: sealed once, opened strictly."""

import base64

from covenue.errors import EnvelopeRefused, IdentityRefused
from covenue.identity.dsse import decode_base64
from covenue.identity.keys import SigningKey, verify
from covenue_contracts.canonical import ProfileBroken, ValidationError, canonical, parse
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
    signature = base64.b64encode(key.sign(TAG, canonical(unsigned))).decode("ascii")
    return canonical(Envelope.model_validate({**unsigned, "signature": signature}))


def open_envelope(data: bytes) -> Envelope:
    """The envelope, once its bytes are canonical and signed by its sender.

    Raises EnvelopeRefused, which shows neither payload nor signature.
    """
    try:
        document = parse(data)
        envelope = Envelope.model_validate_json(data)
        signature = decode_base64(envelope.signature)
        decode_base64(envelope.payload)
    except ProfileBroken as error:
        raise _refused("its bytes are not canonical", error.where) from error
    except ValidationError as error:
        raise _refused("it is no envelope/v1", _places(error)) from None
    except IdentityRefused as error:
        raise _refused("a base64 field is malformed", "payload, signature") from error
    signed = canonical({name: document[name] for name in document if name != "signature"})
    try:
        is_signed = verify(envelope.sender, TAG, signed, signature)
    except IdentityRefused as error:
        raise _refused("its sender names no usable key", "sender", envelope.sender) from error
    if not is_signed:
        raise _refused("the signature is not its sender's", "signature", envelope.sender)
    return envelope


def payload_of(envelope: Envelope) -> bytes:
    """The payload's bytes."""
    return decode_base64(envelope.payload)


def _places(error: ValidationError) -> str:
    return ", ".join("/".join(str(part) for part in item["loc"]) for item in error.errors())[:200]


def _refused(why: str, field: str, value: str = "") -> EnvelopeRefused:
    return EnvelopeRefused(
        f"an envelope is refused: {why}",
        "have the sender send its stored bytes again, unchanged",
        field=field,
        value=value,
    )
