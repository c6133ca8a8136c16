"""Reads one capture, strictly, into columns that this process owns.

A line is `<local receive ns> <json>`: a REST snapshot, a depth diff, or a stream that is known
and skipped. Anything else ends the reading with file, line, field and value.
"""

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from covenue.errors import CaptureDamaged
from covenue_venue_recorded.dialects import Dialect, RawDepth, RawDiff, RawLevel
from covenue_venue_recorded.grid import INT64_MAX, DecimalGrid, OffGrid

CHUNK_BYTES = 1 << 20
LINE_BYTES_MAX = 1 << 24
GZIP_ONLY = 16 + zlib.MAX_WBITS
DEPTH_STREAM = re.compile(r"depth(@[0-9]+ms)?", re.ASCII)
SKIPPED_STREAMS = frozenset({"bookTicker", "trade"})
BID, ASK = 0, 1
ABSENT = -1
Column = NDArray[np.int64]


@dataclass(frozen=True)
class Depth:
    """A REST snapshot: where it lies in the capture, its id, and its levels.

    position: diffs that the capture holds before it. side, ticks, steps: one row a level.
    """

    line: int
    position: int
    local: int
    last: int
    side: Column
    ticks: Column
    steps: Column


@dataclass(frozen=True)
class Capture:
    """A capture in columns, read-only; one item a diff, and one row a level change.

    local: receive time, ns. event, transaction: exchange times, ms, -1 where the dialect has none.
    first, last, previous: sequence ids. starts: first row of each diff, and the end (n + 1 items).
    side, ticks, steps: rows; 0 is a bid, steps 0 deletes. skipped: lines of other known streams.
    """

    file: Path
    dialect: Dialect
    lines: int
    skipped: int
    line: Column
    local: Column
    event: Column
    transaction: Column
    first: Column
    last: Column
    previous: Column
    starts: Column
    side: Column
    ticks: Column
    steps: Column
    depths: tuple[Depth, ...]

    def diffs_until(self, as_of: int) -> int:
        """How many diffs had arrived at a local time."""
        return int(np.searchsorted(self.local, as_of, side="right"))


class _Head(msgspec.Struct):
    stream: str = ""


class _Framed(msgspec.Struct, forbid_unknown_fields=True):
    stream: str
    data: msgspec.Raw


def read_capture(
    file: Path,
    dialect: Dialect,
    symbol: str,
    tick: Fraction,
    step: Fraction,
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> Capture:
    """Read a gzip capture; the chunk size changes speed only, never the result.

    Raises CaptureDamaged, naming the line, for anything that is not this dialect's, and for a
    truncated file.
    """
    reader = _Reader(file, dialect, symbol, tick, step)
    for line in _lines(file, chunk_bytes):
        reader.take(line)
    return reader.capture()


def _lines(file: Path, chunk_bytes: int) -> Iterator[bytes]:
    """Lines without their end; the last one may lack it."""
    count = 0
    rest = b""
    try:
        for chunk in _inflated(file, chunk_bytes):
            *whole, rest = (rest + chunk).split(b"\n")
            count += len(whole)
            yield from whole
            if len(rest) > LINE_BYTES_MAX:
                raise _damaged(file, count + 1, "line", f"over {LINE_BYTES_MAX} bytes")
    except FileNotFoundError as error:
        raise CaptureDamaged(
            "the capture is not there", "put the party's capture into its folder", file=str(file)
        ) from error
    except IsADirectoryError as error:
        raise CaptureDamaged(
            "the capture is a folder, not a file",
            "name the gzip file that lies in the party's folder",
            file=str(file),
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise CaptureDamaged(
            "the capture is truncated or no gzip file",
            "copy the file again and compare its SHA-256",
            file=str(file),
            field=f"line {count + 1}",
            value=str(error),
        ) from error
    if rest:
        yield rest


def _inflated(file: Path, chunk_bytes: int) -> Iterator[bytes]:
    """The bytes of a gzip file, of one member or more, at most `chunk_bytes` at a time.

    Stricter than the standard library, which skips zero bytes behind a member. Raises EOFError or
    zlib.error when the file ends early, or holds anything but members.
    """
    with file.open("rb") as source:
        data = b""
        while True:
            member = zlib.decompressobj(wbits=GZIP_ONLY)
            while not member.eof:
                data = data or source.read(chunk_bytes)
                if not data:
                    raise EOFError("the file ends within its compressed data")
                yield member.decompress(data, chunk_bytes)
                data = member.unconsumed_tail
            data = member.unused_data or source.read(chunk_bytes)
            if not data:
                return


def _refuse_twins(pairs: Sequence[tuple[str, object]]) -> None:
    """Raise _Twin when a key of a JSON object is there twice."""
    seen = [key for key, _ in pairs]
    if len(set(seen)) < len(seen):
        raise _Twin


class _Twin(Exception):
    """A key of a JSON object is there twice; decoders would silently take the last."""


def _damaged(file: Path, line: int, name: str, value: str) -> CaptureDamaged:
    return CaptureDamaged(
        f"line {line} is not of this capture's dialect",
        "check the dialect, tick and step, or record the capture again",
        file=str(file),
        field=f"line {line}: {name}",
        value=value[:200],
    )


@dataclass
class _Rows:
    """Growing rows of level changes."""

    side: list[int] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def add(
        self, side: int, levels: Sequence[RawLevel], prices: DecimalGrid, sizes: DecimalGrid
    ) -> None:
        """Append one side's levels. Raises OffGrid."""
        self.ticks.extend([prices[price] for price, _ in levels])
        self.steps.extend([sizes[size] for _, size in levels])
        self.side.extend([side] * len(levels))


class _Reader:
    """Folds lines into columns; knows one dialect and one symbol."""

    def __init__(
        self, file: Path, dialect: Dialect, symbol: str, tick: Fraction, step: Fraction
    ) -> None:
        self._file = file
        self._dialect = dialect
        self._symbol = symbol
        self._prices = DecimalGrid(tick, least=1)
        self._sizes = DecimalGrid(step, least=0)
        self._head = msgspec.json.Decoder(_Head)
        self._framed = msgspec.json.Decoder(_Framed)
        self._diff = msgspec.json.Decoder[RawDiff](dialect.diff)
        self._depth = msgspec.json.Decoder[RawDepth](dialect.depth)
        self._rows = _Rows()
        self._diffs: dict[str, list[int]] = {
            name: []
            for name in (
                "line",
                "local",
                "event",
                "transaction",
                "first",
                "last",
                "previous",
                "starts",
            )
        }
        self._depths: list[Depth] = []
        self._count = 0
        self._skipped = 0
        self._time = 0

    def take(self, line: bytes) -> None:
        """Fold one line. Raises CaptureDamaged."""
        self._count += 1
        stamp, _, text = line.partition(b" ")
        local = self._local_time(stamp)
        try:
            stream = self._head.decode(text).stream
            if not stream:
                depth = self._depth.decode(text)
                self._require_keys(text, self._dialect.depth)
                self._take_depth(local, depth)
            elif self._is_depth(stream):
                diff = self._diff.decode(self._framed.decode(text).data)
                self._require_keys(text, _Framed, self._dialect.diff)
                self._take_diff(local, diff)
            else:
                json.loads(text, object_pairs_hook=_refuse_twins)
                self._skipped += 1
        except _Twin as error:
            raise _damaged(self._file, self._count, "keys", "a key is there twice") from error
        except msgspec.ValidationError as error:
            why, _, where = str(error).partition(" - at ")
            raise _damaged(self._file, self._count, where.strip("`") or "fields", why) from error
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            json.JSONDecodeError,
            RecursionError,
        ) as error:
            raise CaptureDamaged(
                f"line {self._count} is cut off or no JSON",
                "copy the file again and compare its SHA-256",
                file=str(self._file),
                field=f"line {self._count}",
                value=str(error),
            ) from error
        except OffGrid as error:
            raise _damaged(self._file, self._count, "level", str(error)) from error

    def capture(self) -> Capture:
        """The columns, read-only."""
        self._diffs["starts"].append(len(self._rows.ticks))
        columns = {name: _column(values) for name, values in self._diffs.items()}
        return Capture(
            file=self._file,
            dialect=self._dialect,
            lines=self._count,
            skipped=self._skipped,
            side=_column(self._rows.side),
            ticks=_column(self._rows.ticks),
            steps=_column(self._rows.steps),
            depths=tuple(self._depths),
            **columns,
        )

    def _local_time(self, stamp: bytes) -> int:
        if not stamp.isdigit() or len(stamp) > 19 or int(stamp) > INT64_MAX:
            raise _damaged(self._file, self._count, "local time", stamp.decode("ascii", "replace"))
        local = int(stamp)
        if local < self._time:
            raise _damaged(
                self._file, self._count, "local time", f"{local} after {self._time}: it went back"
            )
        self._time = local
        return local

    def _is_depth(self, stream: str) -> bool:
        """Whether a stream is the depth diffs (else a known one). Raises CaptureDamaged."""
        symbol, _, name = stream.partition("@")
        if symbol == self._symbol.lower():
            if DEPTH_STREAM.fullmatch(name):
                return True
            if name in SKIPPED_STREAMS:
                return False
        raise _damaged(self._file, self._count, "stream", stream)

    def _take_diff(self, local: int, diff: RawDiff) -> None:
        self._require("s", diff.s, diff.s == self._symbol)
        self._require("u", f"{diff.u} below U {diff.U}", diff.u >= diff.U)
        diffs = self._diffs
        diffs["line"].append(self._count)
        diffs["local"].append(local)
        diffs["event"].append(diff.E)
        diffs["transaction"].append(getattr(diff, "T", ABSENT))
        diffs["first"].append(diff.U)
        diffs["last"].append(diff.u)
        diffs["previous"].append(self._dialect.previous(diff))
        diffs["starts"].append(len(self._rows.ticks))
        self._rows.add(BID, diff.b, self._prices, self._sizes)
        self._rows.add(ASK, diff.a, self._prices, self._sizes)

    def _take_depth(self, local: int, depth: RawDepth) -> None:
        symbol = getattr(depth, "symbol", self._symbol)
        self._require("symbol", symbol, symbol == self._symbol)
        rows = _Rows()
        rows.add(BID, depth.bids, self._prices, self._sizes)
        rows.add(ASK, depth.asks, self._prices, self._sizes)
        side, ticks, steps = _column(rows.side), _column(rows.ticks), _column(rows.steps)
        for name, which, sign in (("bids", BID, -1), ("asks", ASK, 1)):
            ordered = bool(np.all(np.diff(ticks[side == which]) * sign > 0))
            self._require(name, "levels are not best first", ordered)
            filled = bool(np.all(steps[side == which] > 0))
            self._require(name, "a level without quantity", filled)
        position = len(self._diffs["local"])
        self._depths.append(
            Depth(self._count, position, local, depth.lastUpdateId, side, ticks, steps)
        )

    def _require_keys(self, text: bytes, *kinds: type[msgspec.Struct]) -> None:
        """Raise CaptureDamaged unless the text has one colon a field.

        All fields are required, unknown ones refused, and no value of a sound line holds a colon:
        one more is a key given twice.
        """
        expected = sum(len(kind.__struct_fields__) for kind in kinds)
        self._require("keys", "a key is there twice", text.count(b":") == expected)

    def _require(self, name: str, value: str, holds: bool) -> None:
        if not holds:
            raise _damaged(self._file, self._count, name, value)


def _column(values: list[int]) -> Column:
    column = np.array(values, dtype=np.int64)
    column.flags.writeable = False
    return column
