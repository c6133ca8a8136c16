"""The SQLite ledger: every cell covered, durability read back, one file left."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covenue.errors import (
    BadInput,
    CovenueError,
    LedgerDamaged,
    LedgerUnavailable,
    OutputExists,
)
from covenue.identity.keys import SigningKey
from covenue.ledger.audit_log import AuditLog
from covenue.ledger.integrity import IntegrityReport, check_integrity
from covenue_contracts.ledger import ClockReading, KillSwitch
from covenue_ledger_sqlite import SqliteLedger, open_sqlite
from covenue_ledger_sqlite import container as container_module
from covenue_ledger_sqlite.container import SCHEMA

KEY = SigningKey.from_seed(bytes(32))
SECRET = bytes(range(32))


def clock(wall: int) -> ClockReading:
    return ClockReading(
        wall=str(wall), monotonic=str(wall), boot="boot", source="sim", divergence="0"
    )


def write(path: Path, groups: int = 3) -> AuditLog:
    backend = open_sqlite(path, create=True, writable=True)
    log = AuditLog.create(backend, KEY, origin="a.org/b", secret=SECRET, clock=clock(0))
    for number in range(groups):
        refs = (log.put_blob(b"blob %d" % number),)
        body = KillSwitch(plan="a" * 64, reason=f"group {number}")
        log.append([("kill_switch", body)] * (1 + number % 3), clock(number + 1), refs)
    return log


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "a.ledger"
    write(path).close()
    return path


def verify(path: Path) -> IntegrityReport:
    backend = open_sqlite(path, create=False, writable=False)
    try:
        return check_integrity(backend, KEY.did, secret=SECRET)
    finally:
        backend.close()


def tamper(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()


def cells(connection: sqlite3.Connection) -> Iterator[tuple[str, str, Any, str, bytes]]:
    """(table, key column, key, column, value) of every cell that is bytes."""
    for table, key, columns in (
        ("segments", "start", ("entries", "leaves", "tiles", "frontier", "checkpoint")),
        ("blobs", "digest", ("digest", "body")),
    ):
        for column in columns:
            rows = connection.execute(f"SELECT {key}, {column} FROM {table}")  # noqa: S608 -- names of this test
            for name, value in rows.fetchall():
                yield table, key, name, column, value


def expected_place(column: str, start: int, size: int) -> tuple[str, ...]:
    return {
        "entries": ("entry", "entries"),
        "leaves": ("leaf",),
        "frontier": (f"frontier of size {size}",),
        "checkpoint": (f"checkpoint of size {size}",),
        "digest": ("blob",),
        "body": ("blob",),
    }[column]


def test_every_byte_of_every_cell_is_covered_and_the_place_named(ledger: Path) -> None:
    backend = open_sqlite(ledger, create=False, writable=True)
    connection = backend._connection
    checked = 0
    for table, key, name, column, value in list(cells(connection)):
        size = 0
        if table == "segments":
            leaves = connection.execute("SELECT length(leaves) FROM segments WHERE start=?", [name])
            size = name + leaves.fetchone()[0] // 32
        stride = 7 if column == "entries" else 1
        for at in range(0, len(value), stride):
            changed = value[:at] + bytes([value[at] ^ 1 << at % 8]) + value[at + 1 :]
            connection.execute("BEGIN")
            update = f"UPDATE {table} SET {column} = ? WHERE {key} = ?"  # noqa: S608 -- as above
            connection.execute(update, (changed, name))
            with pytest.raises(LedgerDamaged) as damaged:
                check_integrity(backend, KEY.did, secret=SECRET)
            connection.execute("ROLLBACK")
            assert damaged.value.place.startswith(expected_place(column, name, size))
            checked += 1
    assert checked > 1200
    check_integrity(backend, KEY.did, secret=SECRET)
    backend.close()


CHANGES = {
    "an entry longer by a byte": "UPDATE segments SET entries = entries || x'00' WHERE start = 1",
    "an entry cut": "UPDATE segments SET entries = substr(entries, 1, 50) WHERE start = 1",
    "no entries": "UPDATE segments SET entries = x'' WHERE start = 1",
    "a leaf cut": "UPDATE segments SET leaves = substr(leaves, 1, 31) WHERE start = 1",
    "no leaves": "UPDATE segments SET leaves = x'' WHERE start = 1",
    "a tile too many": "UPDATE segments SET tiles = zeroblob(41) WHERE start = 1",
    "a tile cut": "UPDATE segments SET tiles = zeroblob(40) WHERE start = 1",
    "a frontier too long": "UPDATE segments SET frontier = frontier || zeroblob(32)",
    "a frontier cut": "UPDATE segments SET frontier = substr(frontier, 2)",
    "no checkpoint": "UPDATE segments SET checkpoint = NULL WHERE start = 1",
    "a text for bytes": "UPDATE segments SET checkpoint = CAST(checkpoint AS TEXT)",
    "leaves as text": "UPDATE segments SET leaves = CAST(leaves AS TEXT) WHERE start = 1",
    "a number for bytes": "UPDATE segments SET tiles = 5 WHERE start = 1",
    "a group moved": "UPDATE segments SET start = start + 1 WHERE start = 2",
    "a group moved below zero": "UPDATE segments SET start = -1 WHERE start = 2",
    "a group lost": "DELETE FROM segments WHERE start = 1",
    "the first group lost": "DELETE FROM segments WHERE start = 0",
    "all groups lost": "DELETE FROM segments",
    "a group too many": "INSERT INTO segments SELECT start + 100, entries, leaves, tiles, frontier,"
    " checkpoint FROM segments WHERE start = 0",
    "a hidden group": "INSERT INTO segments SELECT -100, entries, leaves, tiles, frontier,"
    " checkpoint FROM segments WHERE start = 0",
    "a group repeated in its place": "INSERT INTO segments SELECT 3, entries, leaves, tiles,"
    " frontier, checkpoint FROM segments WHERE start = 2",
    "a blob lost": "DELETE FROM blobs WHERE digest = (SELECT min(digest) FROM blobs)",
    "a blob's name as text": "UPDATE blobs SET digest = hex(digest)",
    "a blob of no name": "INSERT INTO blobs VALUES (x'', x'00')",
    "a blob that is a text": "UPDATE blobs SET body = CAST(body AS TEXT)",
    "another table": "CREATE TABLE extra (x)",
    "another index": "CREATE INDEX extra ON segments (checkpoint)",
    "a trigger": "CREATE TRIGGER extra AFTER INSERT ON segments BEGIN DELETE FROM blobs; END",
    "a view": "CREATE VIEW extra AS SELECT * FROM segments",
    "a column": "ALTER TABLE segments ADD COLUMN extra",
    "another name": "ALTER TABLE blobs RENAME TO extra",
    "statistics": "ANALYZE",
    "another application": "PRAGMA application_id = 5",
    "another version": "PRAGMA user_version = 2",
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_rows_and_schema_is_found(change: str, ledger: Path) -> None:
    tamper(ledger, CHANGES[change])
    with pytest.raises(LedgerDamaged) as damaged:
        verify(ledger)
    assert damaged.value.place


def test_a_changed_index_page_is_found(ledger: Path) -> None:
    """Somebody edits the file itself, so that what SQLite looks up is not what it lists."""
    with sqlite3.connect(ledger) as connection:
        digest = connection.execute("SELECT max(digest) FROM blobs").fetchone()[0]
    connection.close()
    data = ledger.read_bytes()
    assert data.count(digest) == 1
    ledger.write_bytes(data.replace(digest, bytes([0]) + digest[1:]))
    with pytest.raises(LedgerDamaged):
        verify(ledger)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(where=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_in_the_file_changes_nothing_or_is_found(
    where: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    path = folder / "a.ledger"
    write(path).close()
    content = logical_content(path)
    data = bytearray(path.read_bytes())
    data[where % len(data)] ^= 1 << bit
    path.write_bytes(data)
    try:
        verify(path)
    except CovenueError:
        return
    assert logical_content(path) == content


def logical_content(path: Path) -> list[Any]:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        return [
            connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 -- names below
            for table in ("segments", "blobs", "sqlite_schema")
        ]
    finally:
        connection.close()


@pytest.mark.parametrize("offset", [0, 5, 15, 60, 63, 68, 71])
def test_a_changed_header_is_refused_before_sqlite_opens_it(ledger: Path, offset: int) -> None:
    data = bytearray(ledger.read_bytes())
    data[offset] ^= 4
    ledger.write_bytes(data)
    for writable in (True, False):
        with pytest.raises(LedgerDamaged) as damaged:
            open_sqlite(ledger, create=False, writable=writable)
        assert damaged.value.place == "file header"
    assert ledger.read_bytes() == bytes(data)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_cut_file_is_refused(ledger: Path, keep: float) -> None:
    data = ledger.read_bytes()
    ledger.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(CovenueError):
        verify(ledger)


def test_a_foreign_database_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "foreign.db"
    tamper(path, "CREATE TABLE t (x)")
    before = path.read_bytes()
    for writable in (True, False):
        with pytest.raises(LedgerDamaged, match="no ledger"):
            open_sqlite(path, create=False, writable=writable)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_nothing_that_exists_is_replaced(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "a.ledger"
    other = tmp_path / f"a.ledger{suffix}"
    other.write_bytes(b"somebody's")
    with pytest.raises(OutputExists):
        open_sqlite(path, create=True, writable=True)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {other.name: b"somebody's"}


def test_a_ledger_that_is_open_is_named_itself_and_nothing_of_it_is_to_be_moved(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.ledger"
    log = write(path)
    assert (tmp_path / "a.ledger-wal").exists()
    with pytest.raises(OutputExists) as caught:
        open_sqlite(path, create=True, writable=True)
    log.close()
    assert caught.value.file == str(path)
    assert "-wal" not in str(caught.value)
    assert "choose another path" in caught.value.advice
    assert verify(path).size == 7


def test_what_a_ledger_left_behind_is_never_to_be_moved_away(tmp_path: Path) -> None:
    (tmp_path / "a.ledger-wal").write_bytes(b"its last entries")
    with pytest.raises(OutputExists) as caught:
        open_sqlite(tmp_path / "a.ledger", create=True, writable=True)
    assert "put a.ledger back beside it" in caught.value.advice


def test_bad_places_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    for path in (None, tmp_path / "absent" / "a.ledger"):
        with pytest.raises(BadInput):
            open_sqlite(path, create=True, writable=True)
    with pytest.raises(BadInput):
        open_sqlite(tmp_path / "a.ledger", create=True, writable=False)
    assert list(tmp_path.iterdir()) == []


def test_durability_is_full_when_made_and_when_opened(tmp_path: Path) -> None:
    for create in (True, False):
        backend = open_sqlite(tmp_path / "a.ledger", create=create, writable=True)
        asked = backend._connection.execute
        assert asked("PRAGMA journal_mode").fetchone() == ("wal",)
        assert asked("PRAGMA synchronous").fetchone() == (2,)
        backend.close()


class Grants:
    """A connection that answers one pragma its own way, as a file system without locks does."""

    def __init__(self, connection: sqlite3.Connection, pragma: str, answer: object) -> None:
        self.connection, self.pragma, self.answer = connection, pragma, answer

    def execute(self, statement: str, *values: Any) -> Any:
        if statement == f"PRAGMA {self.pragma}":
            return self
        return self.connection.execute(statement, *values)

    def fetchone(self) -> tuple[object]:
        return (self.answer,)

    def close(self) -> None:
        self.connection.close()


@pytest.mark.parametrize(("pragma", "answer"), [("journal_mode", "delete"), ("synchronous", 1)])
def test_anything_weaker_than_asked_for_is_refused(
    ledger: Path, pragma: str, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = container_module._connect
    monkeypatch.setattr(
        container_module, "_connect", lambda *where: Grants(connect(*where), pragma, answer)
    )
    with pytest.raises(LedgerUnavailable, match="not durable"):
        open_sqlite(ledger, create=False, writable=True)
    with pytest.raises(LedgerUnavailable):
        open_sqlite(ledger.with_name("new"), create=True, writable=True)
    assert not ledger.with_name("new").exists()


def test_a_closed_ledger_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    log = write(path)
    assert path.with_name("a.ledger-wal").exists()
    log.close()
    assert [p.name for p in tmp_path.iterdir()] == ["a.ledger"]
    assert path.stat().st_mode & 0o777 == 0o600


def crashed(tmp_path: Path, *companions: str) -> Path:
    """The files that a killed writer leaves, with the companions that survive."""
    live = tmp_path / "live"
    live.mkdir()
    log = write(live / "a.ledger")
    left = tmp_path / "left"
    left.mkdir()
    for suffix in ("", *companions):
        shutil.copyfile(live / f"a.ledger{suffix}", left / f"a.ledger{suffix}")
    log.close()
    return left / "a.ledger"


@pytest.mark.parametrize("companions", [("-wal",), ("-wal", "-shm")])
def test_what_a_crash_left_is_read_without_changing_it(
    tmp_path: Path, companions: tuple[str, ...]
) -> None:
    path = crashed(tmp_path, *companions)
    kept = ("a.ledger", "a.ledger-wal")
    before = {name: (path.parent / name).read_bytes() for name in kept}
    names = sorted(p.name for p in path.parent.iterdir())
    assert verify(path).size == 7
    assert {name: (path.parent / name).read_bytes() for name in kept} == before
    assert sorted(p.name for p in path.parent.iterdir()) == names


def test_what_a_crash_left_is_taken_up_by_the_next_writer(tmp_path: Path) -> None:
    path = crashed(tmp_path, "-wal")
    log = AuditLog.open(open_sqlite(path, create=False, writable=True), KEY, secret=SECRET)
    assert log.size == 7
    log.append([("kill_switch", KillSwitch(plan="a" * 64, reason="on"))], clock(9))
    log.close()
    assert [p.name for p in path.parent.iterdir()] == ["a.ledger"]
    assert verify(path).size == 8


def test_a_reader_follows_a_live_writer_without_disturbing_it(tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    log = write(path)
    assert verify(path).size == 7
    log.append([("kill_switch", KillSwitch(plan="a" * 64, reason="on"))], clock(9))
    assert verify(path).size == 8
    log.close()
    assert [p.name for p in tmp_path.iterdir()] == ["a.ledger"]


def test_a_read_only_folder_can_be_verified(ledger: Path) -> None:
    ledger.chmod(0o400)
    ledger.parent.chmod(0o500)
    try:
        assert verify(ledger).size == 7
    finally:
        ledger.parent.chmod(0o700)


def test_another_writers_lock_is_named_and_nothing_is_acknowledged(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_module, "BUSY_TIMEOUT_S", 0.05)
    log = AuditLog.open(open_sqlite(ledger, create=False, writable=True), KEY, secret=SECRET)
    other = sqlite3.connect(ledger, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    body = KillSwitch(plan="a" * 64, reason="r")
    with pytest.raises(LedgerUnavailable, match="another process"):
        log.append([("kill_switch", body)], clock(50))
    assert log.size == 7
    other.execute("ROLLBACK")
    other.close()
    assert log.append([("kill_switch", body)], clock(50)) == range(7, 8)
    log.close()
    assert verify(ledger).size == 8


def test_a_full_disk_loses_nothing_and_is_survived(ledger: Path) -> None:
    backend = open_sqlite(ledger, create=False, writable=True)
    log = AuditLog.open(backend, KEY, secret=SECRET)
    pages = backend._connection.execute("PRAGMA page_count").fetchone()[0]
    backend._connection.execute(f"PRAGMA max_page_count={pages}")
    bodies = [("kill_switch", KillSwitch(plan="a" * 64, reason="x" * 4000))] * 9
    refs = (log.put_blob(b"waits for the append"),)
    with pytest.raises(LedgerUnavailable, match="disk is full"):
        log.append(bodies, clock(50), refs)
    assert log.size == 7
    check_integrity(backend)
    backend._connection.execute("PRAGMA max_page_count=1000000")
    log.append(bodies, clock(50), refs)
    log.close()
    report = verify(ledger)
    assert (report.size, report.blobs) == (16, 4)


class FailingDisk:
    """A connection whose commits fail as a disk does."""

    def __init__(self, connection: sqlite3.Connection, code: int) -> None:
        self.connection, self.code = connection, code

    def execute(self, statement: str, *values: Any) -> Any:
        if statement == "COMMIT":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self.code
            raise error
        return self.connection.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def test_after_a_disk_error_the_handle_is_never_used_again(ledger: Path) -> None:
    backend = open_sqlite(ledger, create=False, writable=True)
    log = AuditLog.open(backend, KEY, secret=SECRET)
    connection: Any = FailingDisk(backend._connection, sqlite3.SQLITE_IOERR_FSYNC)
    backend._connection = connection
    body = KillSwitch(plan="a" * 64, reason="r")
    with pytest.raises(LedgerUnavailable, match="disk failed"):
        log.append([("kill_switch", body)], clock(50))
    backend._connection = connection.connection
    with pytest.raises(LedgerUnavailable, match="open the ledger again"):
        log.append([("kill_switch", body)], clock(50))
    log.close()
    assert verify(ledger).size == 7


def test_misuse_is_not_called_damage(ledger: Path) -> None:
    backend = open_sqlite(ledger, create=False, writable=False)
    backend._connection.close()
    with pytest.raises(sqlite3.ProgrammingError):
        backend.latest()
    backend.close()


def test_without_the_schema_check_a_trigger_waits_in_the_ledger(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper(ledger, CHANGES["a trigger"])
    monkeypatch.setattr(container_module, "check_schema", lambda _: None)
    monkeypatch.setattr("covenue_ledger_sqlite.ledger.check_schema", lambda _: None)
    assert verify(ledger).blobs == 3
    log = AuditLog.open(open_sqlite(ledger, create=False, writable=True), KEY, secret=SECRET)
    log.append([("kill_switch", KillSwitch(plan="a" * 64, reason="r"))], clock(50))
    log.close()
    with pytest.raises(LedgerDamaged):  # the trigger has eaten the blobs
        verify(ledger)


def test_without_compare_and_set_two_writers_lose_a_history(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = [
        AuditLog.open(open_sqlite(ledger, create=False, writable=True), KEY, secret=SECRET)
        for _ in range(2)
    ]
    body = ("kill_switch", KillSwitch(plan="a" * 64, reason="r"))
    logs[0].append([body], clock(50))
    with pytest.raises(LedgerDamaged, match="another writer"):
        logs[1].append([body], clock(51))
    monkeypatch.setattr(SqliteLedger, "_size", lambda _: 7)
    with pytest.raises(CovenueError):  # only the primary key still stands in the way
        logs[1].append([body], clock(51))
    monkeypatch.undo()
    for log in logs:
        log.close()
    assert verify(ledger).size == 8


def test_the_tables_are_pinned(ledger: Path) -> None:
    with sqlite3.connect(ledger) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    connection.close()
    assert dict(rows) == SCHEMA
    assert os.path.getsize(ledger) < 64_000


def test_a_damaged_copy_leaves_no_private_copy_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = crashed(tmp_path, "-wal")
    data = bytearray(path.read_bytes())
    at = data.index(b"CREATE TABLE segments")
    data[at : at + 6] = b"CREATF"
    path.write_bytes(data)
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(copies))
    monkeypatch.setattr(container_module, "_COMPANIONS", ("-wal", "-none", "-journal"))
    path.with_name("a.ledger-wal").write_bytes(b"\0")  # not empty, and nothing to take up
    with pytest.raises(LedgerDamaged):
        open_sqlite(path, create=False, writable=False)
    assert list(copies.iterdir()) == []


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_reading_around_a_lost_group_is_refused(ledger: Path, lost: int) -> None:
    with sqlite3.connect(ledger) as connection:
        connection.execute("DELETE FROM segments WHERE start = ?", [lost])
    connection.close()
    backend = open_sqlite(ledger, create=False, writable=False)
    for read in (lambda: list(backend.read(0, 7)), lambda: backend.hashes(0, 0, 7)):
        with pytest.raises(LedgerDamaged):
            read()
    backend.close()


def test_a_lost_tile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    log = write(path, groups=0)
    log.append([("kill_switch", KillSwitch(plan="a" * 64, reason="r"))] * 300, clock(1))
    log.close()
    tamper(path, "UPDATE segments SET tiles = x''")
    backend = open_sqlite(path, create=False, writable=False)
    with pytest.raises(LedgerDamaged) as damaged:
        backend.hashes(8, 0, 1)
    assert damaged.value.place == "index (hash level 8, tile 0)"
    backend.close()
