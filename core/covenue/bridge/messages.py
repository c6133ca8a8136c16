"""Files of messages: JSON documents one after the other, one a line when written.

A message is `{"dialect", "type", "metadata", "body"}`, in any spelling of JSON when read and in
canonical bytes when written. Floats, repeated keys and unknown fields are refused.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from covenue.bridge.spelling import Unsayable, pointer
from covenue.errors import BadInput
from covenue_contracts.canonical import ProfileBroken, canonical, check_profile

FIELDS = ("dialect", "type", "metadata", "body")
SPACE = " \t\r\n"
VALUE_SHOWN = 80


@dataclass(frozen=True)
class Message:
    """One message of a dialect; metadata: what is known of its envelope, in the same spelling.

    place: where it was read, for errors: a file and a number from 1.
    """

    dialect: str
    type: str
    metadata: dict[str, Any]
    body: Any
    place: tuple[str, int] = ("", 0)

    def document(self) -> dict[str, Any]:
        """The message as JSON."""
        return {name: getattr(self, name) for name in FIELDS}

    def raw(self) -> bytes:
        """The canonical bytes of the message."""
        return canonical(self.document())

    def refused(self, why: Unsayable, part: str, advice: str) -> BadInput:
        """The error that names this message, the field and its value, and what to do."""
        file, number = self.place
        return BadInput(
            f"message {number or 1} ({self.dialect} {self.type}): {why.why}",
            advice,
            file=file,
            field=f"/{part}{pointer(why.where)}",
            value=shown(why.value),
        )


def shown(value: object) -> str:
    """A value as an error shows it: JSON, cut short; nothing where there is none."""
    if value is None or value == "":
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_SHOWN else text[: VALUE_SHOWN - 1] + "…"


def written(messages: tuple[Message, ...]) -> bytes:
    """Messages as JSON Lines, each line in canonical bytes."""
    return b"".join(message.raw() + b"\n" for message in messages)


def read_messages(data: bytes, file: str = "") -> tuple[Message, ...]:
    """The messages of a file, at least one. Raises BadInput, naming file, message and field."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"the file is no UTF-8 text: {error}", "write JSON in UTF-8", file) from None
    found = tuple(_message(item, file, n) for n, item in enumerate(_documents(text, file), 1))
    if not found:
        raise BadInput("the file holds no message", "write one JSON document a message", file)
    return found


def _documents(text: str, file: str) -> Iterator[Any]:
    """The JSON values of a text, one after the other."""
    decoder = json.JSONDecoder(object_pairs_hook=_unrepeated)
    place, number = _past_space(text, 0), 1
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
            check_profile(value)
        except ProfileBroken as error:
            raise _broken(error, number, file) from error
        except (ValueError, RecursionError) as error:
            raise BadInput(
                f"message {number} is no JSON: {error}",
                "write JSON documents, one after the other",
                file=file,
            ) from error
        yield value
        place, number = _past_space(text, place), number + 1


def _past_space(text: str, place: int) -> int:
    while place < len(text) and text[place] in SPACE:
        place += 1
    return place


def _broken(error: ProfileBroken, number: int, file: str) -> BadInput:
    return BadInput(
        f"message {number} leaves the canonical profile: {error.why}",
        "write amounts and times as decimal strings",
        file=file,
        field=error.where or "/",
    )


def _message(document: Any, file: str, number: int) -> Message:
    fault = _fault(document)
    if fault is not None:
        field, why, value = fault
        raise BadInput(
            f"message {number}: {why}",
            f"a message has exactly {', '.join(FIELDS)}; see `covenue bridge dialects`",
            file=file,
            field=field,
            value=shown(value),
        )
    return Message(**document, place=(file, number))


def _fault(document: Any) -> tuple[str, str, Any] | None:
    """Field, reason and value of what makes this no message, or None."""
    if not isinstance(document, dict):
        return "/", "it is no map", document
    for name in FIELDS:
        if name not in document:
            return f"/{name}", "the field is missing", None
    for name, value in document.items():
        if name not in FIELDS:
            return f"/{name}", "a message has no such field", value
    for name in ("dialect", "type"):
        if not isinstance(document[name], str):
            return f"/{name}", "it is no text", document[name]
    if not isinstance(document["metadata"], dict):
        return "/metadata", "it is no map", document["metadata"]
    return None


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            message = f"key {key!r} stands twice"
            raise ValueError(message)
        found[key] = value
    return found
