"""What a venue did with each order id, kept across a kill -9: append-only JSON lines.

A line is on disk before the outcome is returned, so an order is either answered and kept, or never
seen. Without a path, orders are kept in memory only. A line holds the outcome, and the venue's own
document of what the order took, from which the venue restores its state.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from covenue.errors import BadInput
from covenue_contracts.canonical import canonical
from covenue_contracts.local import Outcome

T = TypeVar("T")


@dataclass(frozen=True)
class Applied(Generic[T]):
    """What became of one order id, and what it took."""

    outcome: Outcome
    takes: T


@dataclass(frozen=True)
class JournalFormat(Generic[T]):
    """How one sort of venue writes down what an order took.

    name: of the format, in the journal's first line. write: to a document of the canonical
    profile. read: back; raises ValueError, KeyError or TypeError for any other document.
    """

    name: str
    write: Callable[[T], Any]
    read: Callable[[Any], T]


class Journal(Generic[T]):
    """Orders by id. `source` names what they were applied to: takes elsewhere would be nonsense.

    The file is made with the first order. Raises BadInput when the file belongs to another source,
    was changed, or is written by another process.
    """

    def __init__(self, path: Path | None, form: JournalFormat[T], source: str) -> None:
        self._path = path
        self._form = form
        self._orders: dict[str, Applied[T]] = {}
        self._size = 0
        self._header = canonical({"format": form.name, "source": source}) + b"\n"
        if path is not None:
            self._restore(path)

    @property
    def orders(self) -> Mapping[str, Applied[T]]:
        """Every order seen, by id, in the order of arrival."""
        return MappingProxyType(self._orders)

    def keep(self, order: str, applied: Applied[T]) -> None:
        """Record an order; when this returns, it is durable."""
        if self._path is not None:
            first = b"" if self._size else self._header
            self._append(self._path, first + self._to_line(applied))
        self._orders[order] = applied

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
        return canonical({"outcome": outcome, "takes": self._form.write(applied.takes)}) + b"\n"

    def _from_line(self, path: Path, number: int, line: bytes) -> Applied[T]:
        try:
            document = json.loads(line)
            outcome = Outcome.model_validate_json(json.dumps(document["outcome"]))
            takes = self._form.read(document["takes"])
        except (ValueError, KeyError, TypeError) as error:
            raise _refused(path, number, line, "is no order of this format") from error
        return Applied(outcome, takes)


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
