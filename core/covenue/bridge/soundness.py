"""Refuses a dialect whose tables would drop, merge or round anything, before it reads a message.

Each table is laid against the schema of its contract: every field once, on both sides; words one
to one; units that are stated where they are needed; factors whose decimals end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from re import search
from typing import Any

from pydantic import TypeAdapter

from covenue.bridge import kinds
from covenue.bridge.decimals import is_finite
from covenue.errors import PluginBroken
from covenue.hooks.dialects import (
    Binary,
    Cases,
    Dialect,
    Field,
    Hex,
    Instant,
    Int64s,
    Listed,
    Maybe,
    Measured,
    Named,
    Record,
    Same,
    Scaled,
    Value,
    needs,
)
from covenue_contracts import catalogue
from covenue_contracts import contract as types
from covenue_contracts.samples import resolve

CANONICAL = "canonical"
FREE = "patternProperties"
NULL = {"type": "null"}
BITS_MAX = 62
Schema = dict[str, Any]
Fault = tuple[str, str]
"""Where in a table, and what is wrong there."""


@dataclass(frozen=True)
class Side:
    """One part of a contract, with the whole schema that its references point into."""

    root: Schema
    part: Schema

    def at(self, part: Schema) -> "Side":
        """Another part of the same schema, its reference followed."""
        return Side(self.root, resolve(self.root, part))


@dataclass(frozen=True)
class Room:
    """Where a value stands: its side, the sides around it, and parts that other contracts hold."""

    side: Side
    contents: Mapping[str, kinds.Part] = field(default_factory=dict)
    around: tuple[Side, ...] = ()

    @property
    def sides(self) -> tuple[Side, ...]:
        """This side and those around it, innermost first."""
        return (self.side, *self.around)

    def inside(self, side: Side) -> "Room":
        """The room of a field of this one."""
        return Room(side, around=self.sides)

    def beside(self, side: Side) -> "Room":
        """The room of what stands in this one's place."""
        return Room(side, around=self.around)


def check(dialect: Dialect) -> None:
    """Raise PluginBroken, naming dialect, message and field, at the first fault of its tables."""
    for where, why in faults(dialect):
        raise PluginBroken(
            f"dialect {dialect.name!r} is refused at {where}: {why}",
            "repair the dialect's table in its domain plugin: nothing may be lost on the way",
        )


def faults(dialect: Dialect) -> Iterator[Fault]:
    """Everything that is wrong with a dialect's tables."""
    if dialect.name == CANONICAL:
        yield "its name", f"{CANONICAL!r} is what the contracts themselves are called"
    yield from _twice("its messages", [item.name for item in dialect.types], "name")
    yield from _twice("its messages", [item.kind for item in dialect.types], "contract")
    metadata = kinds.metadata_schema()
    yield from _record(dialect.metadata, Room(Side(metadata, metadata)), "metadata")
    for item in dialect.types:
        if item.kind not in catalogue.kinds():
            yield item.name, f"no contract of this host is called {item.kind!r}"
            continue
        schema, contents = _message_schema(item.kind)
        yield from _record(item.body, Room(Side(schema, schema), contents), item.name)


def _message_schema(kind: str) -> tuple[Schema, Mapping[str, kinds.Part]]:
    """The schema of a kind's messages, and the parts of it that other contracts describe."""
    schema, parts = catalogue.schema(kind), kinds.PARTS.get(kind, {})
    for key in parts:
        schema["properties"][key] = {}
        schema["required"].append(key)
    return schema, parts


def _record(record: Record, room: Room, where: str) -> Iterator[Fault]:
    """Faults of a record laid against a map of a contract."""
    paths = [item.contract_path for item in record.fields]
    yield from _paths(where, paths, "canonical")
    yield from _paths(where, [item.spelled_path for item in record.fields], "spelled")
    yield from _uncovered(room.side, paths, where)
    for item in record.fields:
        yield from _field(item, record, room, f"{where}/{item.contract}")


def _field(item: Field, record: Record, room: Room, where: str) -> Iterator[Fault]:
    if item.optional and len(item.contract_path) + len(item.spelled_path) > 2:
        yield where, "an optional field has a longer path, so its absence could not be told"
    yield from _untold(item, record, room, where)
    if item.contract in room.contents:
        yield from _content(item.value, room.contents[item.contract], where)
        return
    target = _descend(room.side, item.contract_path)
    parent = _descend(room.side, item.contract_path[:-1])
    if target is None or parent is None:
        yield where, "the contract has no such field"
        return
    if item.optional == (item.contract_path[-1] in parent.part.get("required", ())):
        yield where, "it is optional on one side only"
    yield from _value(item.value, room.inside(target), where)


def _untold(item: Field, record: Record, room: Room, where: str) -> Iterator[Fault]:
    """Faults of what a field must know: nobody tells it, or only a field that comes after it."""
    order = [own.contract_path[0] for own in record.in_reading_order]
    for path in sorted(needs(item.value)):
        head = path.split("/")[0]
        if head in order and order.index(head) >= order.index(item.contract_path[0]):
            yield where, f"it needs {path!r}, which needs it"
        elif not _is_told(path, head in order, room):
            yield where, f"it needs {path!r}, which no field around it tells"


def _is_told(path: str, by_own: bool, room: Room) -> bool:
    """Whether a field of this record or of one around it tells a path; free maps tell by tables."""
    sides = room.sides if by_own or FREE not in room.side.part else room.around
    return any(_descend(side, tuple(path.split("/"))) is not None for side in sides)


def _content(value: Value, part: kinds.Part, where: str) -> Iterator[Fault]:
    """Faults of a part whose contract is fixed, or named by another field."""
    if part.kind:
        yield from _whole(value, part.kind, where)
    elif not isinstance(value, Cases) or value.by != part.by:
        yield where, f"its form is told by {part.by!r}: write Cases by that"
    else:
        for word, case in value.cases.items():
            yield from _whole(case, part.kind_named(word), f"{where}[{word}]")


def _whole(value: Value, kind: str, where: str) -> Iterator[Fault]:
    if kind not in catalogue.kinds():
        yield where, f"no contract of this host is called {kind!r}"
        return
    schema = catalogue.schema(kind)
    yield from _value(value, Room(Side(schema, schema)), where)


def _value(value: Value, room: Room, where: str) -> Iterator[Fault]:
    part = room.side.part
    if isinstance(value, Maybe):
        inner = _not_null(room.side)
        if inner is None:
            yield where, "it is never null, so Maybe would read a null that nobody may write"
        else:
            yield from _value(value.item, room.beside(inner), where)
    elif isinstance(value, Listed):
        if part.get("type", "array") != "array" or "anyOf" in part:
            yield where, "it is no list"
        else:
            inner = room.side.at(part.get("items", {}))
            yield from _value(value.item, room.beside(inner), where)
    elif isinstance(value, Record):
        if part.get("type") != "object":
            yield where, "it is no map"
        else:
            yield from _record(value, room, where)
    elif isinstance(value, Cases):
        yield where, "only a part that another field names has cases"
    elif isinstance(value, Named):
        yield from _words(value, room.side, where)
    elif not isinstance(value, Same):
        yield from _scalar(value, room.side, where)


def _not_null(side: Side) -> Side | None:
    """What a part is when it is not null; None where it never is null. Free parts may be."""
    if not side.part:
        return side
    options = [option for option in side.part.get("anyOf", ()) if option != NULL]
    if len(options) != 1 or NULL not in side.part["anyOf"]:
        return None
    return side.at(options[0])


def _words(value: Named, side: Side, where: str) -> Iterator[Fault]:
    yield from _twice(where, list(value.words.values()), "word")
    allowed = side.part.get("enum", [side.part["const"]] if "const" in side.part else None)
    if allowed is not None and set(allowed) != set(value.words):
        differing = ", ".join(sorted(set(allowed) ^ set(value.words)))
        yield where, f"its words are not those of the contract: {differing}"


def _scalar(
    value: Scaled | Measured | Binary | Instant | Hex | Int64s, side: Side, where: str
) -> Iterator[Fault]:
    if side.part and not _fits(value, side.part):
        yield where, f"{type(value).__name__} does not read what the contract writes there"
    if isinstance(value, Scaled) and (value.factor <= 0 or not is_finite(value.factor)):
        yield where, f"it rescales by {value.factor}, whose decimals do not end: it would round"
    bits = value.bits if isinstance(value, Binary) else 0
    if isinstance(bits, int) and not 0 <= bits <= BITS_MAX:
        yield where, f"its grid is not 2^-0 to 2^-{BITS_MAX}"


def _fits(value: Scaled | Measured | Binary | Instant | Hex | Int64s, part: Schema) -> bool:
    if isinstance(value, Scaled) and not value.is_text:
        return bool(part.get("type") == "integer")
    if isinstance(value, Hex | Int64s):
        return part.get("pattern") == _pattern(types.Base64)
    if isinstance(value, Instant):
        return part.get("pattern") == _pattern(types.Time)
    whole = {_pattern(alias) for alias in (types.Integer, types.Natural, types.Time)}
    return part.get("pattern") in whole


@cache
def _pattern(alias: Any) -> str:
    return str(TypeAdapter(alias).json_schema()["pattern"])


def _descend(side: Side, path: tuple[str, ...]) -> Side | None:
    """The part of a contract at a path; in a free map any name that fits its pattern."""
    side = side.at(side.part)
    for name in path:
        if name in side.part.get("properties", {}):
            side = side.at(side.part["properties"][name])
            continue
        fitting = [item for rule, item in side.part.get(FREE, {}).items() if search(rule, name)]
        if not fitting:
            return None
        side = side.at({})
    return side


def _uncovered(side: Side, paths: list[tuple[str, ...]], where: str) -> Iterator[Fault]:
    """Fields of a contract that no path names: they would be dropped."""
    side = side.at(side.part)
    for name, part in side.part.get("properties", {}).items():
        tails = [path[1:] for path in paths if path[0] == name]
        if not tails:
            yield f"{where}/{name}", "no field of the table names it: it would be dropped"
        elif () not in tails:
            yield from _uncovered(side.at(part), tails, f"{where}/{name}")


def _paths(where: str, paths: list[tuple[str, ...]], label: str) -> Iterator[Fault]:
    """Faults of the paths of one side: each once, none inside another, plain names."""
    for index, path in enumerate(paths):
        if not all(name and name.isascii() for name in path):
            yield where, f"a {label} path is empty or not ASCII: {'/'.join(path)!r}"
        for other in paths[:index]:
            shorter = min(len(path), len(other))
            if path[:shorter] == other[:shorter]:
                yield f"{where}/{'/'.join(path)}", f"two fields share that {label} place"


def _twice(where: str, names: list[str], label: str) -> Iterator[Fault]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield where, f"the {label} {name!r} stands twice, so it could not be read back"
