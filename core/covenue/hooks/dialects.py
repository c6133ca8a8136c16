"""What a dialect is: the words of a seed system laid against the contracts, as data, never code.

A domain fills tables; EnergiBridge (`covenue.bridge`) reads them both ways and refuses a table that
would drop, merge or round anything. In all of them `contract` is the canonical side, `spelled` the
dialect's. A path is names joined by "/": several on one side nest what is flat on the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeAlias

from covenue_contracts.catalogue import kinds, schema


@dataclass(frozen=True)
class Same:
    """The value as it is."""


@dataclass(frozen=True)
class Named:
    """One word of a closed list; words: the contract's word to the dialect's, both unique."""

    words: Mapping[str, str]


@dataclass(frozen=True)
class Scaled:
    """An integer times `factor`, as a plain decimal; is_text: the contract writes it as text."""

    factor: Fraction = Fraction(1)
    is_text: bool = True


@dataclass(frozen=True)
class Measured:
    """An integer in units that another field states, as a plain decimal.

    unit: path of that field, a positive number, in this record or one around it. per_unit: the
    field says how many make one, so it divides; else it says what one is worth, and multiplies.
    """

    unit: str
    per_unit: bool = False


@dataclass(frozen=True)
class Binary:
    """An integer on the grid 2^-bits, as a plain decimal; bits: their number, or its field."""

    bits: int | str


@dataclass(frozen=True)
class Instant:
    """Nanoseconds since 1970 as RFC 3339 in UTC, always with nine digits of a second."""


@dataclass(frozen=True)
class Hex:
    """Bytes in lower-case hex; the contract writes base64."""


@dataclass(frozen=True)
class Int64s:
    """Little-endian int64 words as a list of decimal integers; the contract writes base64."""


@dataclass(frozen=True)
class Listed:
    """A list, item by item."""

    item: "Value"


@dataclass(frozen=True)
class Maybe:
    """A value or null."""

    item: "Value"


@dataclass(frozen=True)
class Cases:
    """A part whose form another field decides; a case that is not listed cannot be said.

    by: path of that field, on the canonical side.
    """

    by: str
    cases: Mapping[str, "Value"]


@dataclass(frozen=True)
class Field:
    """One field on both sides; optional: it may be absent, and then is on both.

    A field with a longer path is never optional: an absent one would leave its parent's emptiness.
    """

    contract: str
    spelled: str
    value: "Value" = field(default_factory=Same)
    optional: bool = False

    @cached_property
    def contract_path(self) -> tuple[str, ...]:
        """Names from the record down, on the canonical side."""
        return tuple(self.contract.split("/"))

    @cached_property
    def spelled_path(self) -> tuple[str, ...]:
        """Names from the record down, in the dialect."""
        return tuple(self.spelled.split("/"))


@dataclass(frozen=True)
class Record:
    """A closed map: every field of the contract once, and no other field on either side."""

    fields: tuple[Field, ...]

    @cached_property
    def in_reading_order(self) -> tuple[Field, ...]:
        """Fields so that one whose value needs another comes after it; a cycle stays in order."""
        left, ordered = list(self.fields), list[Field]()
        while left:
            heads = {item.contract_path[0] for item in left}
            ready = [item for item in left if not _heads(item.value) & heads] or left
            ordered.extend(ready)
            left = [item for item in left if item not in ready]
        return tuple(ordered)


Value: TypeAlias = (
    Same
    | Named
    | Scaled
    | Measured
    | Binary
    | Instant
    | Hex
    | Int64s
    | Listed
    | Maybe
    | Cases
    | Record
)
"""How one value is written on both sides; every one of them can be read back."""


@dataclass(frozen=True)
class MessageType:
    """One message of a dialect: its name there, the contract that it stands for, and its body."""

    name: str
    kind: str
    body: Record


@dataclass(frozen=True)
class Dialect:
    """The vocabulary of a system; metadata: how it spells `envelope/v1` without the payload.

    Of metadata a message carries what is known of it, so each field is optional.
    """

    name: str
    summary: str
    metadata: Record
    types: tuple[MessageType, ...]


def needs(value: Value) -> frozenset[str]:
    """Paths of the fields that must be known before `value` can be read or written."""
    if isinstance(value, Measured):
        return frozenset({value.unit})
    if isinstance(value, Binary):
        return frozenset({value.bits} if isinstance(value.bits, str) else ())
    if isinstance(value, Listed | Maybe):
        return needs(value.item)
    if isinstance(value, Cases):
        return frozenset({value.by}).union(*map(needs, value.cases.values()))
    if isinstance(value, Record):
        own = {item.contract_path[0] for item in value.fields}
        inner = frozenset[str]().union(*(needs(item.value) for item in value.fields))
        return frozenset(path for path in inner if path.split("/")[0] not in own)
    return frozenset()


def _heads(value: Value) -> frozenset[str]:
    return frozenset(path.split("/")[0] for path in needs(value))


def respelled(
    kind: str, spell: Callable[[str], str], own: Mapping[str, Value] | None = None
) -> Record:
    """A contract field by field, each name through `spell`; own: values by the contract's name.

    For what a dialect has no words of its own for. Free maps stay as they are.
    """
    root = schema(kind)
    return _respelled(root, root, spell, own or {})


RHO = Binary(40)
"""An allowance of zCDP, as its contract counts it: in units of 2^-40."""


def attendance(spell: Callable[[str], str]) -> tuple[MessageType, ...]:
    """Join, Upload and Decline: how a participant takes part, field by field through `spell`."""
    return tuple(
        MessageType(name, kind, respelled(kind, spell))
        for name, kind in (("Join", "join/v1"), ("Upload", "upload/v1"), ("Decline", "decline/v1"))
    )


def any_entry_body(
    spell: Callable[[str], str],
    own: Mapping[str, Value] | None = None,
    bodies: Mapping[str, Value] | None = None,
) -> Cases:
    """The body of an entry, whatever its kind: every contract of this host, through `respelled`.

    bodies: those that the dialect has words of its own for, by the entry's kind.
    """
    names = (kind.removesuffix("/v1") for kind in kinds() if kind.endswith("/v1"))
    cases: dict[str, Value] = {kind: respelled(f"{kind}/v1", spell, own) for kind in names}
    return Cases("kind", {**cases, **(bodies or {})})


def _respelled(
    root: dict[str, Any],
    part: dict[str, Any],
    spell: Callable[[str], str],
    own: Mapping[str, Value],
) -> Record:
    fields = (
        Field(name, spell(name), own.get(name) or _value(root, item, spell, own))
        for name, item in part["properties"].items()
    )
    return Record(tuple(fields))


def _value(
    root: dict[str, Any],
    part: dict[str, Any],
    spell: Callable[[str], str],
    own: Mapping[str, Value],
) -> Value:
    if "$ref" in part:
        part = root["$defs"][part["$ref"].removeprefix("#/$defs/")]
    if "properties" in part:
        return _respelled(root, part, spell, own)
    if part.get("type") == "array":
        item = _value(root, part["items"], spell, own)
        return item if isinstance(item, Same) else Listed(item)
    options = [option for option in part.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        item = _value(root, options[0], spell, own)
        return item if isinstance(item, Same) else Maybe(item)
    return Same()


__all__ = [
    "RHO",
    "Binary",
    "Cases",
    "Dialect",
    "Field",
    "Hex",
    "Instant",
    "Int64s",
    "Listed",
    "Maybe",
    "Measured",
    "MessageType",
    "Named",
    "Record",
    "Same",
    "Scaled",
    "Value",
    "any_entry_body",
    "attendance",
    "needs",
    "respelled",
]
