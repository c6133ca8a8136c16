"""Reads a party's folder, strictly: its instrument, and everybody else's orders.

`orders.csv`, or `orders.csv.gz`, has a header and one request a line, without quotes and empty
lines. Whatever does not fit is a BadInput that names file, line, column and value.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from covenue.errors import BadInput
from covenue.hooks.tables import Table, is_name, read_table, table_file
from covenue_contracts.energibridge import Instrument
from covenue_venue_sim.engine import BUY, SELL, TERMS, Amend, Cancel, New, Request, Terms
from covenue_venue_sim.flow import Timed

COLUMNS = ("time_ns", "kind", "id", "side", "ticks", "steps")
FLAGS = "flags"
SIDES: Mapping[str, int] = {"buy": BUY, "sell": SELL}
KINDS = (*TERMS, "cancel", "amend")
MOST = 10**12
TIME_MAX = 2**63 - 1
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
    return table_file(folder, "orders")


def read_orders(file: Path) -> tuple[Timed, ...]:
    """Everybody else's requests, in order of time. Raises BadInput."""
    table = read_table(file, COLUMNS, FLAGS)
    table.refuse_empty("add orders, or set seed")
    reader = _Reader(table)
    return tuple(reader.read(row) for row in range(len(table.rows)))


class _Reader:
    """Reads rows in order; knows the ids and the time of those before."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._lines: dict[str, int] = {}
        self._before = 0
        self._row = 0

    def read(self, row: int) -> Timed:
        """The request of one row. Raises BadInput."""
        self._row = row
        time = self._integer("time_ns", 0, TIME_MAX)
        if time < self._before:
            raise self._wrong("time_ns", f"time goes back from {self._before}", "sort the table")
        self._before = time
        return Timed(time, self._request())

    def _request(self) -> Request:
        kind, name = self._text("kind"), self._table.name(self._row, "id")
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
        self._lines[name] = self._row + 2
        side = self._text("side")
        if side not in SIDES:
            raise self._wrong("side", "no such side", "use buy or sell")
        ticks, steps = self._integer("ticks", 1, MOST), self._integer("steps", 1, MOST)
        return New(name, self._owner() or name, SIDES[side], ticks, steps, terms)

    def _owner(self) -> str:
        text = self._text(FLAGS)
        if not text:
            return ""
        if not text.startswith(OWNER):
            raise self._wrong(FLAGS, "no such flag", "write owner=NAME, or leave it empty")
        owner = text.removeprefix(OWNER)
        if not is_name(owner):
            raise self._table.no_name(self._row, FLAGS)
        return owner

    def _empty(self, *columns: str) -> None:
        for column in columns:
            if self._text(column):
                raise self._wrong(
                    column, f"a request to {self._text('kind')} has none", "leave it empty"
                )

    def _text(self, column: str) -> str:
        return self._table.text(self._row, column)

    def _integer(self, column: str, least: int, most: int) -> int:
        return self._table.integer(self._row, column, least, most)

    def _wrong(self, column: str, what: str, advice: str) -> BadInput:
        return self._table.wrong(self._row, column, what, advice)


def request_text(request: Request) -> str:
    """A request as a line of the table has it, flags included, without its time."""
    if isinstance(request, Cancel):
        return f"cancel,{request.id},,,,"
    if isinstance(request, Amend):
        return f"amend,{request.id},,{request.ticks},{request.steps},"
    side = "buy" if request.side == BUY else "sell"
    owner = "" if request.owner == request.id else f"{OWNER}{request.owner}"
    return f"{request.terms},{request.id},{side},{request.ticks},{request.steps},{owner}"
