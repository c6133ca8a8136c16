"""The translator: from a dialect to the contracts and on to another dialect, losing nothing.

Contracts are the canonical form. Objects are messages, and every dialect lies next to them: to go
from A to C is to go from A to the contracts and from there to C, so translations compose and a
round trip returns the same bytes. A step counts only once it has been read back.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from covenue.bridge import kinds
from covenue.bridge.messages import Message
from covenue.bridge.soundness import CANONICAL, check
from covenue.bridge.spelling import (
    Path,
    Unsayable,
    first_difference,
    read,
    spell,
    spelled_path,
    value_at,
)
from covenue.errors import BadInput, EnvelopeRefused, PluginBroken
from covenue.hooks.dialects import Dialect, MessageType, Record
from covenue.identity.envelopes import open_envelope
from covenue.registry.names import nearest
from covenue_contracts.canonical import ProfileBroken, canonical
from covenue_contracts.catalogue import schema_digest
from covenue_contracts.envelope import Envelope

SIGNED = tuple(name for name in Envelope.model_fields if name != "payload")
"""What the metadata of a message must hold for its signature to be checked."""


class Signature(Enum):
    """What is known of the signature that a message carries in its metadata.

    It covers the canonical form of the message and never a translation of it: it is carried
    unchanged, and it can be checked from any dialect, because any leads back to the same bytes.
    """

    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    HOLDS = "holds"
    BROKEN = "broken"


@dataclass(frozen=True)
class Translation:
    """One message in another dialect, its canonical form, and what its signature is worth."""

    message: Message
    canonical: Message
    signature: Signature


class EnergiBridge:
    """Translates messages between dialects, and refuses whatever would lose information.

    dialects: each is checked at once; raises PluginBroken for one whose tables are unsound, or
    for two of one name. "canonical" is always known: the contracts' own names and units.
    """

    def __init__(self, dialects: Sequence[Dialect] = ()) -> None:
        """Check the dialects and keep them by name."""
        self._dialects: dict[str, Dialect] = {}
        for dialect in dialects:
            check(dialect)
            if dialect.name in self._dialects:
                raise PluginBroken(
                    f"two domains speak a dialect {dialect.name!r}",
                    "uninstall one of them: load order must not choose",
                )
            self._dialects[dialect.name] = dialect

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """Dialects besides the canonical one, by name."""
        return tuple(self._dialects[name] for name in sorted(self._dialects))

    @property
    def names(self) -> tuple[str, ...]:
        """What can be translated from and to, the canonical dialect first."""
        return (CANONICAL, *sorted(self._dialects))

    def translate(self, message: Message, to: str) -> Translation:
        """The message in dialect `to`.

        Raises BadInput, naming message, field, value and what to do, when the message is no
        message of its dialect or when `to` cannot say all of it.
        """
        self.require(to, "--to")
        known = self.to_canonical(message)
        return Translation(self.from_canonical(known, to, message), known, signature_of(known))

    def require(self, name: str, field: str) -> None:
        """Raise BadInput, naming the nearest, unless a dialect has that name."""
        if name in self.names:
            return
        close = nearest(name, self.names)
        advice = f"did you mean {close!r}?" if close else "see `covenue bridge dialects`"
        raise BadInput(f"no installed domain speaks {name!r}", advice, field=field, value=name)

    def to_canonical(self, message: Message) -> Message:
        """The message in the contracts' own names and units. Raises BadInput."""
        self.require(message.dialect, "/dialect")
        if message.dialect == CANONICAL:
            _validate(message, message, None, None)
            return message
        dialect = self._dialects[message.dialect]
        chosen = _named(dialect, message)
        metadata = _read(dialect.metadata, message, "metadata")
        body = _read(chosen.body, message, "body")
        known = replace(message, dialect=CANONICAL, type=chosen.kind, metadata=metadata, body=body)
        _validate(known, message, dialect.metadata, chosen.body)
        _require_read_back(message, "metadata", dialect.metadata, metadata)
        _require_read_back(message, "body", chosen.body, body)
        return known

    def from_canonical(self, known: Message, to: str, origin: Message | None = None) -> Message:
        """A canonical message in dialect `to`; origin: the message that errors name.

        Raises BadInput where `to` cannot say it.
        """
        origin = known if origin is None else origin
        if to == CANONICAL:
            return known
        dialect = self._dialects[to]
        chosen = _standing_for(dialect, known, origin)
        metadata = self._spell(dialect, dialect.metadata, known, origin, "metadata")
        body = self._spell(dialect, chosen.body, known, origin, "body")
        return replace(known, dialect=to, type=chosen.name, metadata=metadata, body=body)

    def _spell(
        self, dialect: Dialect, record: Record, known: Message, origin: Message, part: str
    ) -> Any:
        """One part of a message in a dialect, once it has been read back to the same bytes."""
        given = getattr(known, part)
        try:
            made = spell(record, given)
            _require_same(given, read(record, made))
        except Unsayable as error:
            where = self._where(origin, part, error.where)
            raise origin.refused(
                Unsayable(
                    where, error.value, f"dialect {dialect.name!r} cannot say it: {error.why}"
                ),
                part,
                f"change that field, or keep the message in {origin.dialect!r}",
            ) from error
        return made

    def _where(self, origin: Message, part: str, where: Path) -> Path:
        """A canonical path in the words of the message that it came from."""
        if origin.dialect == CANONICAL:
            return where
        dialect = self._dialects[origin.dialect]
        record = dialect.metadata if part == "metadata" else _named(dialect, origin).body
        return spelled_path(record, where)


def envelope_of(known: Message) -> bytes | None:
    """The envelope that a canonical message travelled in, byte for byte; None if some is unknown.

    Its payload is the canonical bytes of the body, which every dialect leads back to.
    """
    if any(name not in known.metadata for name in SIGNED):
        return None
    payload = base64.b64encode(canonical(known.body)).decode("ascii")
    return canonical({**known.metadata, "payload": payload})


def signature_of(known: Message) -> Signature:
    """Whether a canonical message's signature is its sender's, over the canonical form."""
    if "signature" not in known.metadata:
        return Signature.ABSENT
    envelope = envelope_of(known)
    if envelope is None:
        return Signature.INCOMPLETE
    try:
        open_envelope(envelope)
    except EnvelopeRefused:
        return Signature.BROKEN
    return Signature.HOLDS


def _named(dialect: Dialect, message: Message) -> MessageType:
    """The table of a message's type. Raises BadInput, naming the nearest."""
    for item in dialect.types:
        if item.name == message.type:
            return item
    names = [item.name for item in dialect.types]
    raise _type_unknown(message, f"dialect {dialect.name!r} has no message of that type", names)


def _standing_for(dialect: Dialect, known: Message, origin: Message) -> MessageType:
    """The type of a dialect that stands for a contract. Raises BadInput where it has none."""
    for item in dialect.types:
        if item.kind == known.type:
            return item
    names = ", ".join(item.name for item in dialect.types)
    raise _refused(
        origin,
        f"dialect {dialect.name!r} has no message that stands for {known.type}",
        f"it says only {names}; keep the message in {origin.dialect!r}",
    )


def _type_unknown(message: Message, why: str, names: Sequence[str]) -> BadInput:
    close = nearest(message.type, names)
    return _refused(
        message, why, f"did you mean {close!r}?" if close else f"use {', '.join(names)}"
    )


def _refused(message: Message, why: str, advice: str) -> BadInput:
    """An error about the type of a message."""
    file, number = message.place
    return BadInput(
        f"message {number or 1}: {why}", advice, file=file, field="/type", value=message.type
    )


def _read(record: Record, message: Message, part: str) -> Any:
    """One part of a dialect's message in the contracts' words. Raises BadInput."""
    try:
        return read(record, getattr(message, part))
    except Unsayable as error:
        raise message.refused(
            error, part, f"write it as dialect {message.dialect!r} does"
        ) from error


def _validate(
    known: Message, origin: Message, metadata: Record | None, body: Record | None
) -> None:
    """Raise BadInput, in the words of `origin`, unless a canonical message keeps its contract."""
    if known.type not in kinds.known():
        raise _type_unknown(origin, "no contract of this host has that name", kinds.known())
    try:
        canonical(known.document())
        kinds.validate_metadata(known.metadata)
        _require_contract(known)
    except ProfileBroken as error:
        raise origin.refused(
            Unsayable((), "", f"it leaves the canonical profile at {error.where}: {error.why}"),
            "",
            "write amounts and times as decimal strings",
        ) from error
    except Unsayable as error:
        raise origin.refused(
            _moved(error, metadata), "metadata", "metadata is what is known of an envelope/v1"
        ) from error
    try:
        kinds.validate(known.type, known.body)
    except Unsayable as error:
        advice = f"compare it with `covenue contracts show {known.type}`"
        raise origin.refused(_moved(error, body), "body", advice) from error


def _require_contract(known: Message) -> None:
    """Raise Unsayable when the metadata says that the body keeps another contract."""
    named = known.metadata.get("contract")
    if named is not None and named != schema_digest(known.type):
        raise Unsayable(
            ("contract",), named, f"the body is a {known.type}, whose schema has another digest"
        )


def _moved(error: Unsayable, record: Record | None) -> Unsayable:
    """The same fault at its place in the dialect."""
    if record is None:
        return error
    return Unsayable(spelled_path(record, error.where), error.value, error.why)


def _require_read_back(message: Message, part: str, record: Record, known: Any) -> None:
    """Raise BadInput where a message would come back from the contracts in other bytes."""
    try:
        _require_same(getattr(message, part), spell(record, known))
    except Unsayable as error:
        raise message.refused(
            error, part, f"write it as dialect {message.dialect!r} does, so that it comes back"
        ) from error


def _require_same(given: Any, again: Any) -> None:
    """Raise Unsayable, naming the first place at which two documents have other bytes."""
    if canonical(given) == canonical(again):
        return
    where = first_difference(given, again)
    raise Unsayable(where, value_at(given, where), "it does not come back as it was")
