"""What a venue did with each order id, kept across a kill -9: append-only JSON lines.

A line is on disk before the outcome is returned, so an order is either answered and kept, or never
seen. Without a path, orders are kept in memory only. A line holds the outcome, and the venue's own
documents of what the order took, from which the venue restores its state.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from covenue.errors import BadInput
from covenue.hooks.venues import NEVER_SEEN, NeverSeen
from covenue_contracts.canonical import canonical
from covenue_contracts.local import Fill, Outcome, OutcomeStatus, SwapFill

T = TypeVar("T")


@dataclass(frozen=True)
class Applied(Generic[T]):
    """What became of one order id, and what it took, in order."""

    outcome: Outcome
    takes: tuple[T, ...]


@dataclass(frozen=True)
class JournalFormat(Generic[T]):
    """How one sort of venue writes down one thing that an order took.

    name: of the format, in the journal's first line. write: to a document of the canonical
    profile. read: back; raises ValueError, KeyError or TypeError for any other document.
    """

    name: str
    write: Callable[[T], Any]
    read: Callable[[Any], T]


class Journal(Generic[T]):
    """Orders by id. `source` names what they were applied to: takes elsewhere would be nonsense.

    The file is made with the first order. Raises BadInput when the file belongs to another source,
    was changed, or is written by another process. takes: of all orders, in the order of arrival.
    """

    def __init__(self, path: Path | None, form: JournalFormat[T], source: str) -> None:
        self._path = path
        self._form = form
        self._orders: dict[str, Applied[T]] = {}
        self._takes: list[T] = []
        self._size = 0
        self._header = canonical({"format": form.name, "source": source}) + b"\n"
        if path is not None:
            self._restore(path)

    @property
    def orders(self) -> Mapping[str, Applied[T]]:
        """Every order seen, by id, in the order of arrival."""
        return MappingProxyType(self._orders)

    @property
    def takes(self) -> Sequence[T]:
        """What all orders took, in the order of arrival; it grows with the next one."""
        return self._takes

    def once(self, order: str, execute: Callable[[], Applied[T]]) -> Sequence[Outcome]:
        """Execute an order unless its id was seen; its outcome is kept before it is returned."""
        if order not in self._orders:
            self.keep(order, execute())
        return (self._orders[order].outcome,)

    def outcomes(self, order: str) -> Sequence[Outcome] | NeverSeen:
        """The stored outcome of an order id, or NEVER_SEEN."""
        applied = self._orders.get(order)
        return NEVER_SEEN if applied is None else (applied.outcome,)

    def keep(self, order: str, applied: Applied[T]) -> None:
        """Record an order; when this returns, it is durable."""
        if self._path is not None:
            first = b"" if self._size else self._header
            self._append(self._path, first + self._to_line(applied))
        self._orders[order] = applied
        self._takes += applied.takes

    def _restore(self, path: Path) -> None:
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            # The line that a crash cut off was never answered: the order is not seen.
            os.truncate(path, len(whole))
        self._size = len(whole)
        if whole and not whole.startswith(self._header):
            raise _refused(path, 1, whole.splitlines()[0], "is not the journal of this source")
        for number, line in _numbered(whole[len(self._header) :]):
            applied = self._from_line(path, number, line)
            self._orders[applied.outcome.order] = applied
        self._takes = [take for applied in self._orders.values() for take in applied.takes]

    def _append(self, path: Path, line: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.fstat(handle).st_size != self._size:
                raise BadInput(
                    "another process wrote to the journal, or a write of this one failed",
                    "run one process a journal, make room, and start again",
                    file=str(path),
                )
            if os.write(handle, line) != len(line):
                raise BadInput("the journal's disk is full", "make room", file=str(path))
            os.fsync(handle)
        finally:
            os.close(handle)
        if not self._size:
            _sync_folder(path.parent)
        self._size += len(line)

    def _to_line(self, applied: Applied[T]) -> bytes:
        outcome = applied.outcome.model_dump(mode="json")
        takes = [self._form.write(take) for take in applied.takes]
        return canonical({"outcome": outcome, "takes": takes}) + b"\n"

    def _from_line(self, path: Path, number: int, line: bytes) -> Applied[T]:
        try:
            document = json.loads(line)
            outcome = Outcome.model_validate_json(json.dumps(document["outcome"]))
            takes = tuple(self._form.read(take) for take in document["takes"])
        except (ValueError, KeyError, TypeError) as error:
            raise _refused(path, number, line, "is no order of this format") from error
        return Applied(outcome, takes)


def outcome_of(
    order: str, fills: tuple[Fill, ...], swaps: tuple[SwapFill, ...], short: str
) -> Outcome:
    """What became of an order. short: why it did not get all, or empty."""
    status: OutcomeStatus = "done"
    if short:
        status = "partial" if fills or swaps else "refused"
    return Outcome(order=order, status=status, fills=fills, swaps=swaps, reason=short or None)


def refused(order: str, why: str) -> Applied[Any]:
    """An order of which nothing happened, and which took nothing."""
    return Applied(outcome_of(order, (), (), why), ())


def _numbered(data: bytes) -> Iterator[tuple[int, bytes]]:
    yield from enumerate(data.splitlines(), start=2)


def _refused(path: Path, number: int, line: bytes, why: str) -> BadInput:
    return BadInput(
        f"line {number} of the journal {why}",
        "give each source a journal of its own; restore this one from a copy if it was changed",
        file=str(path),
        field=f"line {number}",
        value=line[:80].decode("utf-8", "replace"),
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
