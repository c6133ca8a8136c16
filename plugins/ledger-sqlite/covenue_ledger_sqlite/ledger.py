"""SqliteLedger: one row a group, one transaction an append, one file in the end.

Every column is covered by `covenue.ledger.integrity`: a segment's end follows from its leaves, so
nothing is stored twice. Source: ledger.md, section 4.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from covenue.errors import BadInput, LedgerUnavailable
from covenue.hooks.ledgers import Seal
from covenue.ledger.tree import HASH_BYTES, TILE_HEIGHT
from covenue_ledger_sqlite.container import (
    check_schema,
    create_container,
    is_io_error,
    mapped,
    mapped_errors,
    open_readonly,
    open_writable,
)
from covenue_ledger_sqlite.segments import (
    damaged,
    pack_entries,
    pack_tiles,
    split_entries,
    split_hashes,
    split_tiles,
)

_PAGE = 64
_PENDING_BYTES_MAX = 4 << 20
_DIGEST_BYTES = 32
_LEAF_BYTES = "CASE typeof(leaves) WHEN 'blob' THEN length(leaves) END"
_NEWEST = f"SELECT start, {_LEAF_BYTES} FROM segments ORDER BY start DESC LIMIT 1"  # noqa: S608 -- names of ours
_SEAL = "SELECT start, leaves, tiles, frontier, checkpoint FROM segments"


class SqliteLedger:
    """A ledger backend in one SQLite file; one process writes, others may read."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        writable: bool,
        after_close: Callable[[], None],
    ) -> None:
        """Hold a checked connection. Blobs wait for the append that names them: one commit."""
        self._connection = connection
        self._path = path
        self._is_writable = writable
        self._after_close = after_close
        self._is_open = True
        self._is_poisoned = False
        self._pending: dict[bytes, bytes] = {}
        self._pending_bytes = 0

    def append(self, entries: Sequence[bytes], expected_size: int, seal: Seal) -> None:
        """Store one group, and the blobs that wait for it, in one durable transaction."""
        self._check_writable()
        if not entries or not len(entries) == len(seal.leaves) == seal.size - expected_size:
            raise BadInput("a seal does not fit its entries", "seal exactly one group's entries")
        row = (
            expected_size,
            pack_entries(entries),
            b"".join(seal.leaves),
            pack_tiles(seal.tiles),
            b"".join(seal.frontier),
            seal.checkpoint,
        )
        with self._transaction():
            size = self._size()
            if size != expected_size:
                raise damaged(
                    f"the ledger has {size} entries, not the {expected_size} that the writer "
                    "expected: another writer was here",
                    f"entry {size}",
                )
            self._store_pending()
            self._connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", row)
        self._forget_pending()

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Entries [start, end), in order."""
        self._check_range(start, end, "entry")
        for first, last, bundle in self._column("entries", start, end):
            entries = split_entries(bundle, first, last)
            yield from entries[max(0, start - first) : end - first]

    def hashes(self, level: int, start: int, end: int) -> bytes:
        """Stored node hashes of a level that is a multiple of 8."""
        if level < 0 or level % TILE_HEIGHT or not 0 <= start <= end:
            raise damaged(f"hash level {level} is never stored", f"index (hash level {level})")
        if level == 0:
            return self._leaf_hashes(start, end)
        place = f"index (hash level {level}, tile {start})"
        found: list[bytes] = []
        completed = (((start + 1) << level) - 1, end << level)
        if start < end and completed[1] > self._size():
            raise damaged("a tile is asked for that is not complete", place)
        for first, _, data in self._column("tiles", *completed) if start < end else ():
            for tile_level, index, node in split_tiles(data, f"index: tiles from entry {first}"):
                if tile_level == level and index == start + len(found) and index < end:
                    found.append(node)
        if len(found) != end - start:
            raise damaged("a stored node hash is missing", place)
        return b"".join(found)

    def latest(self) -> Seal | None:
        """The newest group's seal."""
        rows = self._query(f"{_SEAL} ORDER BY start DESC LIMIT 1")
        return _seal(rows[0]) if rows else None

    def seals(self) -> Iterator[Seal]:
        """Every group's seal, in order."""
        at = 0
        while rows := self._query(f"{_SEAL} WHERE start >= ? ORDER BY start LIMIT ?", at, _PAGE):
            for row in rows:
                if row[0] != at:
                    raise damaged("a group does not follow the one before it", f"index: entry {at}")
                seal = _seal(row)
                if not seal.leaves:
                    raise damaged("a group has no leaves", f"leaf {at}")
                at = seal.size
                yield seal

    def attach(self, size: int, lines: Sequence[bytes]) -> None:
        """Add signature lines to the checkpoint of `size`."""
        self._check_writable()
        if not all(line.endswith(b"\n") for line in lines):
            raise BadInput("a signature line has no newline", "end every line with one")
        with self._transaction():
            rows = self._query(f"{_SEAL} WHERE start < ? ORDER BY start DESC LIMIT 1", size)
            seal = _seal(rows[0]) if rows else None
            if seal is None or seal.size != size or seal.checkpoint is None:
                raise damaged("no signed group ends there", f"checkpoint of size {size}")
            self._connection.execute(
                "UPDATE segments SET checkpoint = ? WHERE start = ?",
                (seal.checkpoint + b"".join(lines), rows[0][0]),
            )

    def put_blob(self, digest: str, body: bytes) -> None:
        """Keep bytes by their digest; they are committed with the next append, or at close."""
        self._check_writable()
        name = _digest_bytes(digest)
        if name not in self._pending:
            self._pending[name] = bytes(body)
            self._pending_bytes += len(body)
        if self._pending_bytes > _PENDING_BYTES_MAX:
            self._flush()

    def get_blob(self, digest: str) -> bytes:
        """The bytes of a digest."""
        name = _digest_bytes(digest)
        if name in self._pending:
            return self._pending[name]
        rows = self._query("SELECT body FROM blobs WHERE digest = ?", name)
        if not rows:
            raise damaged("the blob is not here", f"blob {digest}")
        return _bytes(rows[0][0], f"blob {digest}")

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """Every blob, in order of digest."""
        if self._pending:
            self._flush()
        name = b""
        while rows := self._query(
            "SELECT digest, body FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?", name, _PAGE
        ):
            for digest, body in rows:
                name = _bytes(digest, "blob index")
                yield name.hex(), _bytes(body, f"blob {name.hex()}")

    def check(self) -> None:
        """Compare header and schema, and have SQLite check every page, row and index."""
        self._check_open()
        with mapped_errors(self._path):
            check_schema(self._connection)
            faults = self._connection.execute("PRAGMA integrity_check(1)").fetchall()
            unseen = self._connection.execute(
                "SELECT count(*) FROM segments WHERE start < 0 UNION ALL SELECT count(*) FROM "
                "blobs WHERE typeof(digest) != 'blob' OR length(digest) != ?",
                (_DIGEST_BYTES,),
            ).fetchall()
        if faults != [("ok",)]:
            raise damaged(f"SQLite finds the file inconsistent: {faults[0][0]}", "file")
        if unseen != [(0,), (0,)]:
            raise damaged("a row is stored where no reader looks", "index")

    def close(self) -> None:
        """Commit what waits, fold the write-ahead log into the file, release it."""
        if not self._is_open:
            return
        try:
            if self._is_writable and not self._is_poisoned:
                if self._pending:
                    self._flush()
                with mapped_errors(self._path):
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._is_open = False
            self._connection.close()
            self._after_close()

    def _leaf_hashes(self, start: int, end: int) -> bytes:
        self._check_range(start, end, "leaf")
        return b"".join(
            data[max(0, start - first) * HASH_BYTES : (end - first) * HASH_BYTES]
            for first, _, data in self._column("leaves", start, end)
        )

    def _column(self, name: str, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
        """(first, last + 1, cell) of every segment that overlaps entries [start, end)."""
        if start >= end:
            return
        rows = self._query("SELECT max(start) FROM segments WHERE start <= ?", start)
        at: int | None = rows[0][0]
        if at is None:
            raise damaged("a group is missing", f"index: entry {start}")
        while at < end:
            rows = self._query(
                f"SELECT start, {_LEAF_BYTES}, {name} FROM segments "  # noqa: S608 -- names of ours
                "WHERE start >= ? AND start < ? ORDER BY start LIMIT ?",
                at,
                end,
                _PAGE,
            )
            for first, leaf_bytes, cell in rows:
                if first != at:
                    raise damaged("a group does not follow the one before it", f"index: entry {at}")
                at += _leaf_count(leaf_bytes, first)
                yield first, at, _bytes(cell, f"{name} from entry {first}")
            if not rows:
                raise damaged("a group is missing", f"index: entry {at}")

    def _size(self) -> int:
        rows = self._query(_NEWEST)
        return int(rows[0][0]) + _leaf_count(rows[0][1], rows[0][0]) if rows else 0

    def _query(self, statement: str, *values: object) -> list[Any]:
        self._check_open()
        with mapped_errors(self._path):
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of the block or nothing; after a disk error the handle is never used again."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            self._is_poisoned = self._is_poisoned or is_io_error(error)
            raise mapped(error, self._path) from error

    def _store_pending(self) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO blobs VALUES (?, ?)", self._pending.items()
        )

    def _flush(self) -> None:
        with self._transaction():
            self._store_pending()
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._pending_bytes = 0

    def _check_open(self) -> None:
        if not self._is_open:
            raise BadInput("the ledger is closed", "open it again", file=str(self._path))

    def _check_writable(self) -> None:
        self._check_open()
        if not self._is_writable:
            raise BadInput(
                "the ledger is open for reading only", "open it for writing", file=str(self._path)
            )
        if self._is_poisoned:
            raise LedgerUnavailable(
                "the disk failed under this ledger; what it stored last is unknown",
                "open the ledger again and verify it",
                file=str(self._path),
            )

    def _check_range(self, start: int, end: int, what: str) -> None:
        size = self._size()
        if not 0 <= start <= end <= size:
            raise damaged(f"[{start}, {end}) is asked for and {size} are stored", f"{what} {size}")


def open_sqlite(path: Path | None, *, create: bool, writable: bool) -> SqliteLedger:
    """Create or open the ledger in one file.

    Raises OutputExists when creating over anything, BadInput when nothing is there, and
    LedgerDamaged when the file is no ledger of ours.
    """
    if path is None:
        raise BadInput(
            "a ledger in SQLite needs a file", "give a path, or choose 'memory'", field="ledger"
        )
    if create and not writable:
        raise BadInput("a ledger cannot be created for reading only", "open it for writing")
    if create:
        return SqliteLedger(
            create_container(path), path, writable=True, after_close=_nothing_follows
        )
    if writable:
        return SqliteLedger(open_writable(path), path, writable=True, after_close=_nothing_follows)
    connection, after_close = open_readonly(path)
    return SqliteLedger(connection, path, writable=False, after_close=after_close)


def _leaf_count(leaf_bytes: int | None, first: int) -> int:
    if not leaf_bytes or leaf_bytes % HASH_BYTES:
        raise damaged("a group's leaves are cut", f"leaf {first}")
    return leaf_bytes // HASH_BYTES


def _seal(row: tuple[Any, ...]) -> Seal:
    start, leaves, tiles, frontier, checkpoint = row
    hashes = split_hashes(_bytes(leaves, f"leaf {start}"), f"leaf {start}")
    size = start + len(hashes)
    head = f"frontier of size {size}"
    return Seal(
        size=size,
        leaves=hashes,
        tiles=split_tiles(_bytes(tiles, "index"), f"index: tiles from entry {start}"),
        frontier=split_hashes(_bytes(frontier, head), head),
        checkpoint=None if checkpoint is None else _bytes(checkpoint, f"checkpoint of size {size}"),
    )


def _bytes(value: object, place: str) -> bytes:
    if not isinstance(value, bytes):
        raise damaged("a stored part is not bytes", place)
    return value


def _digest_bytes(digest: str) -> bytes:
    try:
        name = bytes.fromhex(digest)
    except ValueError:
        name = b""
    if len(name) != _DIGEST_BYTES or name.hex() != digest:
        raise BadInput(
            "a blob is named by no SHA-256", "name it by 64 hex digits", value=digest[:80]
        )
    return name


def _nothing_follows() -> None:
    return
