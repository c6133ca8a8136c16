"""Reads one TOML table field by field; every refusal names file, field, value and a way out.

Numbers with a decimal point arrive as `DecimalText`, exactly as written: nothing that reaches a
ledger may pass through a float.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from covenue.errors import BadInput
from covenue.registry.names import nearest
from covenue_contracts.contract import SAFE_INTEGER, Scalar

BYTES_MAX = 1024 * 1024
NAME = re.compile(r"[a-z][a-z0-9]*([-._][a-z0-9]+)*")
KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")

Value = Scalar | tuple[Scalar, ...]


class DecimalText(str):
    """A number with a decimal point, kept as its decimal text; `inf` and `nan` stay as they are."""

    __slots__ = ()

    @classmethod
    def from_literal(cls, literal: str) -> "DecimalText":
        """The plain decimal text of a TOML float literal: no exponent, no underscores."""
        try:
            number = Decimal(literal.replace("_", ""))
        except InvalidOperation:
            return cls(literal)
        small = number.is_finite() and abs(number.adjusted()) <= 64
        return cls(format(number, "f") if small else literal)

    @property
    def is_plain(self) -> bool:
        """Whether this is a finite decimal number of bounded length."""
        return re.fullmatch(r"-?[0-9]{1,65}(\.[0-9]{1,65})?", self) is not None


def read_toml(path: Path) -> dict[str, Any]:
    """The document of a TOML file. Raises BadInput, with line and column where it is malformed."""
    try:
        with path.open("rb") as file:
            body = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise BadInput(
            f"the scenario cannot be read: {error.strerror}",
            "give the path of a SCENARIO.toml, or run `covenue demo --list`",
            file=str(path),
        ) from error
    if len(body) > BYTES_MAX:
        raise BadInput(
            f"the scenario is larger than {BYTES_MAX} bytes",
            "keep data in the parties' folders, not in the scenario",
            file=str(path),
        )
    return _parse(path, body)


def _parse(path: Path, body: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(body.decode("utf-8"), parse_float=DecimalText.from_literal)
    except UnicodeDecodeError as error:
        raise BadInput(
            f"the scenario is not UTF-8 text: byte {error.start}",
            "save it as UTF-8",
            file=str(path),
        ) from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        what, _, place = str(error).partition(" (at ")
        raise BadInput(
            f"malformed TOML: {what}",
            "correct the line named above; the format is described at https://toml.io",
            file=str(path),
            field=place.rstrip(")"),
        ) from error


class Table:
    """One table of a scenario; unknown keys are refused when it is opened.

    where: its dotted place, "" for the root. known: the keys it may have; None allows any key
    that is a plain lower-case name.
    """

    def __init__(
        self, file: str, where: str, values: Any, known: Sequence[str] | None = None
    ) -> None:
        self.file = file
        self.where = where
        if not isinstance(values, dict):
            raise self._wrong("", values, f"a table: [{where}]")
        self.values: Mapping[str, Any] = values
        for key in values:
            self._check_key(key, known)

    def place(self, key: str) -> str:
        """The dotted place of a key."""
        return ".".join(part for part in (self.where, key) if part)

    def bad(self, key: str, what: str, advice: str, value: object = "") -> BadInput:
        """A refusal at a key of this table."""
        return BadInput(what, advice, file=self.file, field=self.place(key), value=shown(value))

    def _wrong(self, key: str, value: object, wanted: str) -> BadInput:
        return self.bad(key, f"{_type(value)} where {wanted} is expected", f"write {wanted}", value)

    def _check_key(self, key: str, known: Sequence[str] | None) -> None:
        if known is not None and key not in known:
            close = nearest(key, known)
            advice = (
                f"did you mean {close!r}?" if close else f"remove it; known: {', '.join(known)}"
            )
            raise self.bad(key, f"unknown key {key!r}", advice, self.values[key])
        if known is None and not KEY.fullmatch(key):
            raise self.bad(
                key,
                f"key {key!r} is no plain name",
                "use lower-case letters, digits and _, starting with a letter",
                self.values[key],
            )

    def _get(self, key: str, default: Any) -> Any:
        if key in self.values:
            return self.values[key]
        if default is not None:
            return default
        place = f"[{self.where}]" if self.where else "the scenario"
        raise self.bad(key, f"{key!r} is missing from {place}", f"add {key} to {place}")

    def text(self, key: str, default: str | None = None) -> str:
        """A text."""
        value = self._get(key, default)
        if not isinstance(value, str) or isinstance(value, DecimalText):
            raise self._wrong(key, value, "text in quotes")
        return value

    def name(self, key: str, default: str | None = None) -> str:
        """A name: lower-case words joined by `-`, `.` or `_`, at most 64 characters."""
        value = self.text(key, default)
        if not NAME.fullmatch(value) or len(value) > 64:
            raise self.bad(
                key,
                f"{value!r} is no name",
                "use lower-case letters and digits, joined by -, . or _, at most 64 characters",
                value,
            )
        return value

    def choice(self, key: str, known: Sequence[str], default: str | None = None) -> str:
        """One text of a list."""
        value = self.text(key, default)
        if value not in known:
            close = nearest(value, known)
            hint = f"did you mean {close!r}? " if close else ""
            raise self.bad(
                key, f"{value!r} is not possible here", f"{hint}possible: {', '.join(known)}", value
            )
        return value

    def whole(
        self, key: str, default: int | None = None, least: int = 0, most: int = SAFE_INTEGER
    ) -> int:
        """A whole number in [least, most]."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, value, "a whole number without quotes")
        if not least <= value <= most:
            what = "is negative" if value < 0 <= least else f"is outside {least} … {most}"
            raise self.bad(key, f"{key} {what}", f"give a number from {least} to {most}", value)
        return value

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def names(self, key: str) -> tuple[str, ...]:
        """A list of at least one name, none twice."""
        value = self._get(key, None)
        if not isinstance(value, list) or not value:
            raise self._wrong(key, value, "a list of at least one name")
        inner = Table(self.file, self.place(key), {str(i): v for i, v in enumerate(value)}, _ANY)
        found = tuple(inner.name(str(i)) for i in range(len(value)))
        if len(set(found)) != len(found):
            raise self.bad(key, "a name stands twice", "name each once", ", ".join(found))
        return found

    def table(self, key: str, known: Sequence[str] | None = None) -> "Table":
        """A table inside this one; missing means empty."""
        return Table(self.file, self.place(key), self.values.get(key, {}), known)

    def tables(self, key: str, known: Sequence[str]) -> tuple["Table", ...]:
        """An array of at least one table, as `[[key]]`."""
        value = self._get(key, None)
        if not isinstance(value, list) or not value:
            raise self._wrong(key, value, f"at least one table [[{key}]]")
        return tuple(
            Table(self.file, f"{self.place(key)}.{_label(item, index)}", item, known)
            for index, item in enumerate(value)
        )

    def document(self, key: str) -> dict[str, Value]:
        """A flat table of texts, whole numbers, flags and lists of these; decimals become text."""
        table = self.table(key)
        return {name: table.value(name) for name in table.values}

    def value(self, key: str) -> Value:
        """One value of a flat table, or a list of such values."""
        value = self.values[key]
        if isinstance(value, list):
            return tuple(self._scalar(key, item) for item in value)
        return self._scalar(key, value)

    def scalars(self, key: str) -> dict[str, Scalar]:
        """A flat table without lists."""
        table = self.table(key)
        return {name: table._scalar(name, table.values[name]) for name in table.values}

    def _scalar(self, key: str, value: object) -> Scalar:
        if isinstance(value, DecimalText) and not value.is_plain:
            raise self.bad(
                key, "not a finite number of sane length", "write a decimal number", value
            )
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            if abs(value) > SAFE_INTEGER:
                raise self.bad(
                    key, "a whole number beyond 2^53 - 1", "write it as text, in quotes", value
                )
            return value
        if isinstance(value, str):
            return str(value)
        raise self._wrong(key, value, "a text, a number or true/false")


_ANY = tuple(str(i) for i in range(64))


def _label(item: object, index: int) -> str:
    """Parties are named in dotted places, other tables are numbered from 0."""
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) and NAME.fullmatch(name) else str(index)


def _type(value: object) -> str:
    names: dict[type, str] = {
        bool: "true/false",
        int: "a whole number",
        DecimalText: "a decimal number",
        str: "text",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")


def shown(value: object) -> str:
    """A value as an error shows it: booleans as in TOML, long ones cut."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 80 else text[:77] + "…"
