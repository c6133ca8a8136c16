"""Which orders a paper venue has seen, kept across a kill -9: append-only JSON lines.

A line is on disk before the outcome is returned, so an order is either answered and kept, or never
seen. Without a path, orders are kept in memory only.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from covenue.errors import BadInput
from covenue_contracts.canonical import canonical
from covenue_contracts.local import Outcome
from covenue_venue_recorded.book import Take

FORMAT = "venue-recorded/1"


@dataclass(frozen=True)
class Applied:
    """What became of one order id, and what it took from the book."""

    outcome: Outcome
    takes: tuple[Take, ...]


class Journal:
    """Orders by id. `source` names the capture: takes from another one would be nonsense.

    The file is made with the first order. Raises BadInput when the file
    is another capture's, was changed, or is written by another process.
    """

    def __init__(self, path: Path | None, source: str) -> None:
        self._path = path
        self._orders: dict[str, Applied] = {}
        self._size = 0
        self._header = canonical({"format": FORMAT, "source": source}) + b"\n"
        if path is not None:
            self._restore(path)

    @property
    def orders(self) -> Mapping[str, Applied]:
        """Every order seen, by id, in the order of arrival."""
        return MappingProxyType(self._orders)

    def keep(self, order: str, applied: Applied) -> None:
        """Record an order; when this returns, it is durable."""
        if self._path is not None:
            first = b"" if self._size else self._header
            self._append(self._path, first + _to_line(applied))
        self._orders[order] = applied

    def _restore(self, path: Path) -> None:
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            # The line that a crash cut off was never answered: the order is not seen.
            os.truncate(path, len(whole))
        self._size = len(whole)
        if whole and not whole.startswith(self._header):
            raise _refused(path, 1, whole.splitlines()[0], "is not the journal of this capture")
        for number, line in _numbered(whole[len(self._header) :]):
            applied = _from_line(path, number, line)
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


def _to_line(applied: Applied) -> bytes:
    takes = [
        {
            "time": str(take.time),
            "side": take.side,
            "ticks": str(take.ticks),
            "steps": str(take.steps),
            "refreshed": None if take.refreshed is None else str(take.refreshed),
        }
        for take in applied.takes
    ]
    return canonical({"outcome": applied.outcome.model_dump(mode="json"), "takes": takes}) + b"\n"


def _from_line(path: Path, number: int, line: bytes) -> Applied:
    try:
        document = json.loads(line)
        outcome = Outcome.model_validate_json(json.dumps(document["outcome"]))
        takes = tuple(_take(item) for item in document["takes"])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise _refused(path, number, line, "is no order of this format") from error
    return Applied(outcome, takes)


def _take(item: Mapping[str, Any]) -> Take:
    refreshed = item["refreshed"]
    return Take(
        int(item["time"]),
        int(item["side"]),
        int(item["ticks"]),
        int(item["steps"]),
        None if refreshed is None else int(refreshed),
    )


def _numbered(data: bytes) -> Iterator[tuple[int, bytes]]:
    yield from enumerate(data.splitlines(), start=2)


def _refused(path: Path, number: int, line: bytes, why: str) -> BadInput:
    return BadInput(
        f"line {number} of the journal {why}",
        "give each capture a journal of its own; restore this one from a copy if it was changed",
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
