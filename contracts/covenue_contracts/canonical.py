"""Canonical bytes: RFC 8785, restricted to where correct encoders agree.

No floats, integers within 2^53 - 1, ASCII keys, valid UTF-8, bounded depth. A reader requires
`canonical(parse(b)) == b`, which also rejects duplicate keys. Source: ledger.md, section 2.
"""

import hashlib
import json
from collections.abc import Collection
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from covenue_contracts.contract import SAFE_INTEGER, Contract

MAX_DEPTH = 16
_TEXT = frozenset({str})
C = TypeVar("C", bound=Contract)


class ProfileBroken(ValueError):
    """A document lies outside the canonical profile; `where` is a JSON pointer."""

    def __init__(self, where: str, why: str) -> None:
        """Name the place and the rule that it breaks."""
        super().__init__(f"{where or '/'}: {why}")
        self.where = where
        self.why = why


def check_profile(value: Any, where: str = "", depth: int = 0) -> None:
    """Raise ProfileBroken, naming the first place outside the canonical profile."""
    if depth > MAX_DEPTH:
        raise ProfileBroken(where, f"nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if abs(value) > SAFE_INTEGER:
            raise ProfileBroken(where, "integer beyond 2^53 - 1; write it as a decimal string")
    elif isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, list | tuple):
        is_plain = depth < MAX_DEPTH and _are_plain_texts(value)
        for index, item in enumerate(() if is_plain else value):
            check_profile(item, f"{where}/{index}", depth + 1)
    elif isinstance(value, dict):
        is_plain = _are_plain_texts(value) and _are_plain_texts(value.values())
        for key, item in () if is_plain and depth < MAX_DEPTH else value.items():
            if not isinstance(key, str) or not key.isascii():
                raise ProfileBroken(where, f"key {key!r} is not ASCII text")
            check_profile(item, f"{where}/{key}", depth + 1)
    else:
        raise ProfileBroken(where, f"{type(value).__name__} is not in the profile")


def _are_plain_texts(values: Collection[Any]) -> bool:
    """Whether all are ASCII texts, found without a call for each: long rows of amounts are."""
    return _TEXT.issuperset(map(type, values)) and "".join(values).isascii()


def _check_text(value: str, where: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ProfileBroken(where, "text holds a lone surrogate") from None


def canonical(value: Any) -> bytes:
    """Encode a document of the profile, or a contract, as its one canonical byte string."""
    document = value.model_dump(mode="json") if isinstance(value, Contract) else value
    check_profile(document)
    return to_json(_in_order(document))


def _in_order(value: Any) -> Any:
    """The document with the keys of every object in order; the encoder keeps what it is given."""
    if isinstance(value, dict):
        if _are_plain_texts(value.values()):
            return dict(sorted(value.items()))
        return {key: _in_order(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple) and not _are_plain_texts(value):
        return [_in_order(item) for item in value]
    return value


def parse(data: bytes) -> Any:
    """Decode canonical bytes; anything that is not its own canonical form is refused.

    Raises ProfileBroken when the bytes are no JSON, leave the profile or are not canonical.
    """
    try:
        value = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ProfileBroken("", f"no JSON text: {error}") from error
    if canonical(value) != data:
        raise ProfileBroken("", "bytes are not in canonical form")
    return value


def parse_as(model: type[C], data: bytes) -> C:
    """Decode canonical bytes as `model`; raises ProfileBroken or pydantic's ValidationError."""
    try:
        value = model.model_validate_json(data)
    except ValidationError:
        parse(data)  # what is not canonical is refused as that, whatever else is wrong with it
        raise
    if canonical(value) != data:
        parse(data)
    return value


def digest(value: Any, tag: str = "") -> str:
    """SHA-256, in hex, over length-prefixed `tag` and canonical bytes."""
    body = canonical(value)
    return sha256(tag.encode(), body)


def sha256(*parts: bytes) -> str:
    """SHA-256, in hex, over length-prefixed parts, so that `a|bc` differs from `ab|c`."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.hexdigest()


__all__ = [
    "MAX_DEPTH",
    "ProfileBroken",
    "ValidationError",
    "canonical",
    "check_profile",
    "digest",
    "parse",
    "parse_as",
    "sha256",
]
