"""Reads and writes one value by a dialect's tables: `spell` from the contract, `read` back to it.

Both are pure, and each refuses what the other could not return. Documents around a value are its
scope, innermost first, always on the canonical side.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from covenue.bridge import decimals
from covenue.hooks.dialects import (
    Binary,
    Cases,
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
)
from covenue_contracts.canonical import canonical

Path = tuple[str | int, ...]
Scope = tuple[Mapping[str, Any], ...]
Scalar = Named | Scaled | Measured | Binary | Instant | Hex | Int64s
"""A value that holds no other; each is turned in its own way in each direction."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 10**9
INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z", re.ASCII)
WORD = 8
MISSING = object()


class Unsayable(ValueError):
    """A value has no form on the other side; where: its path on the side that it comes from."""

    def __init__(self, where: Path, value: object, why: str) -> None:
        """Name the place, the value and why it cannot be said."""
        super().__init__(f"{pointer(where)}: {why}")
        self.where = where
        self.value = value
        self.why = why


def pointer(where: Path) -> str:
    """A path as a JSON pointer."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in where)
    return "".join(f"/{step}" for step in steps)


def spell(value: Value, given: Any, scope: Scope = (), where: Path = ()) -> Any:
    """A canonical value as the dialect writes it. Raises Unsayable."""
    return _across(SPELLING, value, given, scope, where)


def read(value: Value, given: Any, scope: Scope = (), where: Path = ()) -> Any:
    """A value of the dialect as the contract writes it. Raises Unsayable."""
    return _across(READING, value, given, scope, where)


@dataclass(frozen=True)
class _Way:
    """One of the two ways across a table; only this tells them apart.

    start, end: a field's path where the value comes from, and where it goes to. order: of a
    record's fields. is_reading: whether the canonical side is the one being made. scalar: turns a
    value that holds no other.
    """

    start: Callable[[Field], tuple[str, ...]]
    end: Callable[[Field], tuple[str, ...]]
    order: Callable[[Record], tuple[Field, ...]]
    is_reading: bool
    scalar: Callable[[Scalar, Any, Scope, Path], Any]


def _across(way: _Way, value: Value, given: Any, scope: Scope, where: Path) -> Any:
    """A value taken across one way, part by part."""
    if isinstance(value, Same):
        return given
    if isinstance(value, Maybe):
        return None if given is None else _across(way, value.item, given, scope, where)
    if isinstance(value, Listed):
        return [_across(way, value.item, g, scope, (*where, i)) for i, g in _items(given, where)]
    if isinstance(value, Record):
        return _record(way, value, given, scope, where)
    if isinstance(value, Cases):
        return _across(way, _case(value, scope, where), given, scope, where)
    return way.scalar(value, given, scope, where)


def _record(way: _Way, record: Record, given: Any, scope: Scope, where: Path) -> dict[str, Any]:
    _refuse_others(given, tuple(way.start(item) for item in record.fields), where)
    made: dict[str, Any] = {}
    around = (made if way.is_reading else given, *scope)
    for item in way.order(record):
        start = way.start(item)
        found = _found(given, item, start, where)
        if found is not MISSING:
            _put(made, way.end(item), _across(way, item.value, found, around, (*where, *start)))
    return made


def _spelled(value: Scalar, given: Any, scope: Scope, where: Path) -> Any:
    if isinstance(value, Named):
        return _renamed(value.words, given, where)
    if isinstance(value, Instant):
        return _rfc3339(given, where)
    if isinstance(value, Hex):
        return _bytes(given, where).hex()
    if isinstance(value, Int64s):
        return _int64s(_bytes(given, where), given, where)
    amount = decimals.integer(given)
    if amount is None:
        raise Unsayable(where, given, "no whole number stands there")
    text = decimals.written(amount * _factor(value, scope, where))
    if text is None:
        raise Unsayable(where, given, "its exact decimal does not end")
    return text


def _understood(value: Scalar, given: Any, scope: Scope, where: Path) -> Any:
    if isinstance(value, Named):
        return _renamed({word: own for own, word in value.words.items()}, given, where)
    if isinstance(value, Instant):
        return _nanoseconds(given, where)
    if isinstance(value, Hex):
        return _base64(_hex(given, where))
    if isinstance(value, Int64s):
        return _base64(b"".join(_word(g, (*where, i)) for i, g in _items(given, where)))
    amount = decimals.read(given)
    if amount is None:
        raise Unsayable(where, given, "no plain decimal without idle zeros stands there")
    units = amount / _factor(value, scope, where)
    if units.denominator != 1:
        raise Unsayable(where, given, f"it is off the grid of {_grid(value)}; nothing is rounded")
    as_number = isinstance(value, Scaled) and not value.is_text
    return int(units) if as_number else str(int(units))


SPELLING = _Way(
    start=lambda item: item.contract_path,
    end=lambda item: item.spelled_path,
    order=lambda record: record.fields,
    is_reading=False,
    scalar=_spelled,
)
READING = _Way(
    start=lambda item: item.spelled_path,
    end=lambda item: item.contract_path,
    order=lambda record: record.in_reading_order,
    is_reading=True,
    scalar=_understood,
)


def _refuse_others(given: Any, paths: tuple[tuple[str, ...], ...], where: Path) -> None:
    """Raise Unsayable unless `given` is a map that holds nothing but the paths."""
    if not isinstance(given, dict):
        raise Unsayable(where, given, "no map stands there")
    for key in given:
        tails = tuple(path[1:] for path in paths if path[0] == key)
        if not tails:
            raise Unsayable((*where, key), given[key], "no such field is known there")
        if () not in tails:
            _refuse_others(given[key], tails, (*where, key))


def _found(given: Any, item: Field, path: tuple[str, ...], where: Path) -> Any:
    found = _at(given, path)
    if found is MISSING and not item.optional:
        raise Unsayable((*where, *path), None, "the field is missing")
    return found


def _at(given: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(given, dict) or name not in given:
            return MISSING
        given = given[name]
    return given


def _put(made: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        made = made.setdefault(name, {})
    made[path[-1]] = value


def _known(path: str, scope: Scope, where: Path) -> Any:
    """The canonical value of a field of this record or of one around it."""
    names = tuple(path.split("/"))
    for document in scope:
        if names[0] in document:
            found = _at(document, names)
            if found is not MISSING:
                return found
    raise Unsayable(where, None, f"it is told by the field {path!r}, which is missing")


def _case(value: Cases, scope: Scope, where: Path) -> Value:
    known = _known(value.by, scope, where)
    if not isinstance(known, str) or known not in value.cases:
        raise Unsayable((*where[:-1], *value.by.split("/")), known, "there are no words for it")
    return value.cases[known]


def _factor(value: Scaled | Measured | Binary, scope: Scope, where: Path) -> Fraction:
    if isinstance(value, Scaled):
        return value.factor
    if isinstance(value, Binary):
        bits = value.bits if isinstance(value.bits, int) else _known(value.bits, scope, where)
        if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits <= 62:
            raise Unsayable(where, bits, "its grid is not 2^-0 to 2^-62")
        return Fraction(1, 2**bits)
    known = _known(value.unit, scope, where)
    unit = decimals.positive(known)
    if unit is None:
        raise Unsayable(where, known, f"its unit {value.unit!r} is no positive number")
    return 1 / unit if value.per_unit else unit


def _grid(value: Scaled | Measured | Binary) -> str:
    if isinstance(value, Scaled):
        return str(value.factor)
    if isinstance(value, Binary):
        return f"2^-{value.bits}"
    return f"1/{value.unit}" if value.per_unit else value.unit


def _items(given: Any, where: Path) -> list[tuple[int, Any]]:
    if not isinstance(given, list):
        raise Unsayable(where, given, "no list stands there")
    return list(enumerate(given))


def _renamed(words: Mapping[str, str], given: Any, where: Path) -> str:
    if not isinstance(given, str) or given not in words:
        raise Unsayable(where, given, f"only these can be said: {', '.join(sorted(words))}")
    return words[given]


def _rfc3339(given: Any, where: Path) -> str:
    amount = decimals.integer(given)
    if amount is None or amount < 0 or amount >= 10**20:
        raise Unsayable(where, given, "no time in nanoseconds stands there")
    seconds, rest = divmod(amount, SECOND)
    at = EPOCH + timedelta(seconds=seconds)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _nanoseconds(given: Any, where: Path) -> str:
    parts = INSTANT.fullmatch(given) if isinstance(given, str) else None
    try:
        at = datetime.fromisoformat(f"{parts[1]}+00:00") if parts else None
    except ValueError:
        at = None
    if parts is None or at is None or at < EPOCH:
        raise Unsayable(where, given, "no time like 2024-08-08T23:47:40.000000000Z stands there")
    since = at - EPOCH
    return str((since.days * 86_400 + since.seconds) * SECOND + int(parts[2]))


def _bytes(given: Any, where: Path) -> bytes:
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise Unsayable(where, given, "no base64 stands there") from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _hex(given: Any, where: Path) -> bytes:
    if not isinstance(given, str) or not re.fullmatch(r"([0-9a-f]{2})*", given):
        raise Unsayable(where, given, "no bytes in lower-case hex stand there")
    return bytes.fromhex(given)


def _int64s(data: bytes, given: Any, where: Path) -> list[str]:
    if len(data) % WORD:
        raise Unsayable(where, given, f"{len(data)} bytes are no whole number of int64 words")
    starts = range(0, len(data), WORD)
    return [str(int.from_bytes(data[i : i + WORD], "little", signed=True)) for i in starts]


def _word(given: Any, where: Path) -> bytes:
    amount = decimals.integer(given) if isinstance(given, str) else None
    if amount is None or not -(2**63) <= amount < 2**63:
        raise Unsayable(where, given, "no int64 as decimal text stands there")
    return amount.to_bytes(WORD, "little", signed=True)


def spelled_path(value: Value, where: Path) -> Path:
    """Where a canonical path lies in the dialect; what no table names stays as it is."""
    if isinstance(value, Maybe):
        return spelled_path(value.item, where)
    if isinstance(value, Listed) and where:
        return (where[0], *spelled_path(value.item, where[1:]))
    if isinstance(value, Cases):
        return next(
            (spelled_path(c, where) for c in value.cases.values() if _names(c, where)), where
        )
    if not isinstance(value, Record):
        return where
    for item in value.fields:
        length = len(item.contract_path)
        if where[:length] == item.contract_path:
            return (*item.spelled_path, *spelled_path(item.value, where[length:]))
    return where


def _names(value: Value, where: Path) -> bool:
    """Whether a table names the first step of a canonical path."""
    return isinstance(value, Record) and any(
        item.contract_path[0] == where[0] for item in value.fields if where
    )


def first_difference(one: Any, other: Any) -> Path:
    """The path of the first place at which two documents differ, in type too."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key not in one or key not in other or is_other(one[key], other[key]):
                return (key, *first_difference(one.get(key), other.get(key)))
    if isinstance(one, list) and isinstance(other, list):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=False)):
            if is_other(mine, theirs):
                return (index, *first_difference(mine, theirs))
    return ()


def is_other(one: Any, other: Any) -> bool:
    """Whether two documents have other canonical bytes: here True is not 1."""
    return canonical(one) != canonical(other)


def value_at(document: Any, where: Path) -> Any:
    """The value at a path; None where there is none."""
    for step in where:
        inside = isinstance(document, dict) and step in document
        listed = isinstance(document, list) and isinstance(step, int) and step < len(document)
        if not inside and not listed:
            return None
        document = document[step]
    return document
