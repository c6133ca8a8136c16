"""What a ledger says, as canonical messages: its entries, and the envelopes that they name."""

from collections.abc import Iterator

from covenue.bridge.messages import Message
from covenue.bridge.soundness import CANONICAL
from covenue.errors import BadInput, LedgerDamaged
from covenue.hooks.ledgers import LedgerBackend
from covenue.identity.envelopes import open_envelope, payload_of
from covenue_contracts.canonical import ProfileBroken, parse
from covenue_contracts.catalogue import kinds, schema_digest

SENT = {"submit": "blob", "reply": "blob"}
"""Kinds of entries that name an envelope, and the field that does."""


def messages_of(ledger: LedgerBackend, name: str = "") -> Iterator[Message]:
    """Every entry in order, each followed by the envelope that it names, if any.

    An entry's message has no metadata: a ledger is no envelope. An envelope's message carries its
    metadata, and its payload as body. Raises LedgerDamaged, EnvelopeRefused or BadInput.
    """
    latest = ledger.latest()
    number = 0
    for index, raw in enumerate(ledger.read(0, latest.size if latest else 0)):
        number += 1
        entry = entry_message(raw, index, (name, number))
        yield entry
        field = SENT.get(entry.body["kind"])
        if field is not None:
            number += 1
            yield envelope_message(ledger.get_blob(entry.body["body"][field]), (name, number))


def entry_message(raw: bytes, index: int, place: tuple[str, int] = ("", 0)) -> Message:
    """One entry. Raises LedgerDamaged for bytes that are none."""
    try:
        body = parse(raw)
    except ProfileBroken as error:
        raise _no_entry(index) from error
    if not isinstance(body, dict) or not isinstance(body.get("body"), dict) or "kind" not in body:
        raise _no_entry(index)
    return Message(CANONICAL, "entry/v1", {}, body, place)


def envelope_message(raw: bytes, place: tuple[str, int] = ("", 0)) -> Message:
    """One envelope, its payload as body. Raises EnvelopeRefused, or BadInput for its contract."""
    envelope = open_envelope(raw)
    named = {schema_digest(kind): kind for kind in kinds()}
    kind = named.get(envelope.contract)
    if kind is None:
        raise BadInput(
            "an envelope carries a contract that this host does not know",
            "export with the version of covenue that wrote the ledger",
            field="contract",
            value=envelope.contract,
        )
    try:
        body = parse(payload_of(envelope))
    except ProfileBroken as error:
        raise BadInput(
            "an envelope carries a payload that is not in canonical form",
            "have its sender write canonical bytes: other bytes would not come back",
            field="payload",
            value=kind,
        ) from error
    metadata = envelope.model_dump(mode="json", exclude={"payload"})
    return Message(CANONICAL, kind, metadata, body, place)


def _no_entry(index: int) -> LedgerDamaged:
    return LedgerDamaged(
        "an entry is no document with a kind and a body",
        "run `covenue verify`, and restore the ledger from a copy that verifies",
        f"entry {index}",
    )
