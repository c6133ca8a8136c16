"""Reads a party's folder, strictly: its instrument, and everybody else's orders.

`orders.csv`, or `orders.csv.gz`, has a header and one request a line, without quotes and empty
lines. Whatever does not fit is a BadInput that names file, line, column and value.
"""

import gzip
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from covenue.errors import BadInput
from covenue_contracts.energibridge import Instrument
from covenue_venue_sim.engine import BUY, SELL, TERMS, Amend, Cancel, New, Request, Terms
from covenue_venue_sim.flow import Timed

COLUMNS = ("time_ns", "kind", "id", "side", "ticks", "steps")
FLAGS = "flags"
SIDES: Mapping[str, int] = {"buy": BUY, "sell": SELL}
KINDS = (*TERMS, "cancel", "amend")
MOST = 10**12
TIME_MAX = 2**63 - 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
OWNER = "owner="


def read_instrument(folder: Path) -> Instrument:
    """The instrument of a folder. Raises BadInput."""
    file = folder / "instrument.json"
    try:
        instrument = Instrument.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise BadInput(
            "the instrument is not there",
            "write it into the party's folder, as instrument/v1",
            file=str(file),
        ) from error
    except OSError as error:
        raise BadInput(
            "the instrument cannot be read",
            "make it a file that this user may read",
            file=str(file),
            value=str(error)[:200],
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            f"the instrument is no instrument/v1: {first['msg']}",
            "compare it with `covenue contracts show instrument/v1`",
            file=str(file),
            field=".".join(str(part) for part in first["loc"]),
            value=str(first["input"])[:200],
        ) from error
    if instrument.payoff != "linear":
        raise BadInput(
            "only linear instruments are simulated",
            "write linear, or use recorded data of the contract",
            file=str(file),
            field="payoff",
            value=instrument.payoff,
        )
    return instrument


def orders_file(folder: Path) -> Path | None:
    """The table of orders of a folder, or None. Raises BadInput when it is there twice."""
    plain, packed = folder / "orders.csv", folder / "orders.csv.gz"
    if plain.exists() and packed.exists():
        raise BadInput("the table is there twice", "delete orders.csv", file=str(packed))
    if packed.exists():
        return packed
    return plain if plain.exists() else None


def read_orders(file: Path) -> tuple[Timed, ...]:
    """Everybody else's requests, in order of time. Raises BadInput."""
    lines = [line.removesuffix("\r") for line in _text(file).split("\n")]
    if lines[-1] == "":
        lines.pop()
    reader = _Reader(file, _columns(file, lines[0] if lines else ""))
    flow = tuple(reader.read(number, line) for number, line in enumerate(lines[1:], start=2))
    if not flow:
        raise _damaged(file, "line 2", "", "the table is empty", "add orders, or set seed")
    return flow


class _Reader:
    """Reads lines in order; knows the ids and the time of those before."""

    def __init__(self, file: Path, columns: tuple[str, ...]) -> None:
        self._file = file
        self._columns = columns
        self._lines: dict[str, int] = {}
        self._before = 0
        self._number = 0
        self._fields: dict[str, str] = {}

    def read(self, number: int, line: str) -> Timed:
        """The request of one line. Raises BadInput."""
        fields = line.split(",")
        if len(fields) != len(self._columns):
            raise _damaged(
                self._file,
                f"line {number}",
                line,
                f"{len(self._columns)} fields are expected, not {len(fields)}",
                f"write {','.join(self._columns)}, without quotes and empty lines",
            )
        self._number, self._fields = number, dict(zip(self._columns, fields, strict=True))
        time = self._integer("time_ns", 0, TIME_MAX)
        if time < self._before:
            raise self._wrong("time_ns", f"time goes back from {self._before}", "sort the table")
        self._before = time
        return Timed(time, self._request())

    def _request(self) -> Request:
        kind, name = self._fields["kind"], self._name("id", self._fields["id"])
        if kind in {"cancel", "amend"}:
            return self._change(kind, name)
        terms = next((known for known in TERMS if known == kind), None)
        if terms is None:
            raise self._wrong("kind", "no such kind of request", f"use one of {', '.join(KINDS)}")
        return self._new(terms, name)

    def _change(self, kind: str, name: str) -> Request:
        if name not in self._lines:
            raise self._wrong(
                "id", "no order of this id came before", "correct it, or leave the line out"
            )
        if kind == "cancel":
            self._empty("side", "ticks", "steps", FLAGS)
            return Cancel(name)
        self._empty("side", FLAGS)
        return Amend(name, self._integer("ticks", 1, MOST), self._integer("steps", 1, MOST))

    def _new(self, terms: Terms, name: str) -> Request:
        if name in self._lines:
            raise self._wrong(
                "id", f"the id is there twice, first in line {self._lines[name]}", "rename it"
            )
        self._lines[name] = self._number
        side = self._fields["side"]
        if side not in SIDES:
            raise self._wrong("side", "no such side", "use buy or sell")
        ticks, steps = self._integer("ticks", 1, MOST), self._integer("steps", 1, MOST)
        return New(name, self._owner() or name, SIDES[side], ticks, steps, terms)

    def _owner(self) -> str:
        text = self._fields.get(FLAGS, "")
        if not text:
            return ""
        if not text.startswith(OWNER):
            raise self._wrong(FLAGS, "no such flag", "write owner=NAME, or leave it empty")
        return self._name(FLAGS, text.removeprefix(OWNER))

    def _name(self, column: str, text: str) -> str:
        if not NAME.fullmatch(text):
            raise self._wrong(
                column, "a name is expected", "use 1 to 64 letters, digits and . _ : / -"
            )
        return text

    def _integer(self, column: str, least: int, most: int) -> int:
        text = self._fields[column]
        if not INTEGER.fullmatch(text) or not least <= int(text) <= most:
            raise self._wrong(
                column, "a whole number is expected", f"write digits only, {least} to {most}"
            )
        return int(text)

    def _empty(self, *columns: str) -> None:
        for column in columns:
            if self._fields.get(column):
                raise self._wrong(
                    column, f"a request to {self._fields['kind']} has none", "leave it empty"
                )

    def _wrong(self, column: str, what: str, advice: str) -> BadInput:
        place = f"line {self._number}: {column}"
        return _damaged(self._file, place, self._fields[column], what, advice)


def _columns(file: Path, header: str) -> tuple[str, ...]:
    for columns in (COLUMNS, (*COLUMNS, FLAGS)):
        if header == ",".join(columns):
            return columns
    asked = f"write {','.join(COLUMNS)}, and {FLAGS} behind it if needed"
    raise _damaged(file, "line 1", header, "the header is another", asked)


def _text(file: Path) -> str:
    """The text of a file, unpacked where its name says so. Raises BadInput."""
    data = b""
    try:
        data = file.read_bytes()
        if file.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = data[error.start : error.end].hex()
        raise _damaged(
            file, f"line {line}", text, "the table is not UTF-8 text", "save it as UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            "the table cannot be read: it is truncated, no gzip file, or no file",
            "copy it again and compare its SHA-256",
            file=str(file),
            value=str(error)[:200],
        ) from error


def _damaged(file: Path, place: str, value: str, what: str, advice: str) -> BadInput:
    return BadInput(what, advice, file=str(file), field=place, value=value[:200])


def request_text(request: Request) -> str:
    """A request as a line of the table has it, flags included, without its time."""
    if isinstance(request, Cancel):
        return f"cancel,{request.id},,,,"
    if isinstance(request, Amend):
        return f"amend,{request.id},,{request.ticks},{request.steps},"
    side = "buy" if request.side == BUY else "sell"
    owner = "" if request.owner == request.id else f"{OWNER}{request.owner}"
    return f"{request.terms},{request.id},{side},{request.ticks},{request.steps},{owner}"
