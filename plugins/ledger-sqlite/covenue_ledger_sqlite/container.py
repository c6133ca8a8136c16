"""The SQLite file that contains a ledger: made once, recognised, opened durably or untouched.

Source: sqlite.org/fileformat2.html, sections 1.3 and 4; sqlite.org/wal.html, "Read-only
databases"; sqlite.org/pragma.html.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from covenue.errors import BadInput, CovenueError, LedgerUnavailable, OutputExists
from covenue_ledger_sqlite.segments import damaged

APPLICATION_ID = 0x436F764C  # "CovL"
USER_VERSION = 1
BUSY_TIMEOUT_S = 5.0
SCHEMA = {
    "blobs": "CREATE TABLE blobs (digest BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
    "segments": (
        "CREATE TABLE segments (start INTEGER PRIMARY KEY, entries BLOB NOT NULL, "
        "leaves BLOB NOT NULL, tiles BLOB NOT NULL, frontier BLOB NOT NULL, checkpoint BLOB)"
    ),
}
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\x00"
_SYNCHRONOUS_FULL = 2
_COMPANIONS = ("-wal", "-shm", "-journal")
_REFUSALS = {
    sqlite3.SQLITE_BUSY: "another process is writing to it",
    sqlite3.SQLITE_LOCKED: "another process is writing to it",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "it may not be opened",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
}


def create_container(path: Path) -> sqlite3.Connection:
    """Make the file and open it for writing. Raises OutputExists, and BadInput for its folder.

    The tables are written under a rollback journal, so that the file is complete on its own
    before the write-ahead log begins.
    """
    _claim(path)
    try:
        with mapped_errors(path):
            connection = _connect(path, "mode=rw")
            try:
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={USER_VERSION}")
                connection.execute("BEGIN EXCLUSIVE")
                for statement in SCHEMA.values():
                    connection.execute(statement)
                connection.execute("COMMIT")
                _make_durable(connection, path)
            except BaseException:
                connection.close()
                raise
        _sync_folder(path.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return connection


def open_writable(path: Path) -> sqlite3.Connection:
    """Open an existing ledger for appending; a write-ahead log left by a crash is taken up."""
    check_header(path)
    with mapped_errors(path):
        connection = _connect(path, "mode=rw")
        try:
            _make_durable(connection, path)
            check_schema(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def open_readonly(path: Path) -> tuple[sqlite3.Connection, Callable[[], None]]:
    """Open a ledger without changing its folder, and what to call after closing.

    Without a write-ahead log the file is read as immutable. With one that a process shares, it is
    read beside that process. With one that is left alone, a private copy is read: SQLite would
    have to write its index.
    """
    check_header(path)
    wal, shm, journal = (path.with_name(path.name + suffix) for suffix in _COMPANIONS)
    has_wal = wal.exists() and (shm.exists() or wal.stat().st_size > 0)
    if not has_wal and not journal.exists():
        return _checked(path, "mode=ro&immutable=1"), _nothing
    if has_wal and shm.exists() and not journal.exists():
        return _checked(path, "mode=ro"), _nothing
    folder = tempfile.TemporaryDirectory(prefix="covenue-ledger-")
    try:
        for source in (path, wal, journal):
            if source.exists():
                shutil.copyfile(source, Path(folder.name) / source.name)
        connection = _checked(Path(folder.name) / path.name, "mode=rw")
    except BaseException:
        folder.cleanup()
        raise
    return connection, folder.cleanup


def check_header(path: Path) -> None:
    """Recognise a ledger by the file's first 100 bytes, before SQLite touches it.

    Raises BadInput when nothing is there, and LedgerDamaged when it is no ledger of ours.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise BadInput(
            f"no ledger can be read there: {error.strerror}",
            "give the path of a ledger file",
            file=str(path),
        ) from error
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise damaged("the file is no SQLite database", "file header")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise damaged("the file is a SQLite database, but no ledger", "file header")
    version = int.from_bytes(header[60:64], "big")
    if version != USER_VERSION:
        raise damaged(
            f"the ledger's format is {version}, and this version reads {USER_VERSION}",
            "file header",
        )


def check_schema(connection: sqlite3.Connection) -> None:
    """Refuse a file with any other table, index, view, trigger or pragma than was made."""
    for pragma, expected in (("application_id", APPLICATION_ID), ("user_version", USER_VERSION)):
        if connection.execute(f"PRAGMA {pragma}").fetchone() != (expected,):
            raise damaged(f"{pragma} is not a ledger's", "file header")
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")
    if rows.fetchall() != [("table", name, name, sql) for name, sql in SCHEMA.items()]:
        raise damaged("the tables are not those of a ledger", "schema")


@contextmanager
def mapped_errors(path: Path | str) -> Iterator[None]:
    """Map what sqlite3 raises to the errors of the kernel, cause kept; misuse stays as it is."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.Error as error:
        raise mapped(error, path) from error
    except UnicodeDecodeError as error:  # sqlite3 cannot word its own error about damaged text
        raise damaged("SQLite cannot read the file", "file") from error


def mapped(error: sqlite3.Error, path: Path | str) -> CovenueError:
    """LedgerUnavailable where the world refuses, LedgerDamaged where the file is wrong."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _REFUSALS:
        return LedgerUnavailable(
            f"the ledger cannot be used: {_REFUSALS[code]}",
            "free the disk, stop the other process or mend the permissions; then open it again",
            file=str(path),
        )
    return damaged(f"SQLite cannot read the file ({error})", "file")


def is_io_error(error: BaseException | None) -> bool:
    """Whether the disk failed: what was written is then unknown, and the handle is done."""
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, sqlite3.Error) and code & 0xFF == sqlite3.SQLITE_IOERR


def _claim(path: Path) -> None:
    """Make the empty file. A ledger that is there is named itself, never what belongs to it."""
    if not path.exists():
        _refuse_left_behind(path)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError as error:
        raise OutputExists(
            "a file is already there; nothing was written",
            "choose another path; close a ledger that is open before you move it",
            file=str(path),
        ) from error
    except OSError as error:
        raise BadInput(
            f"the ledger cannot be made: {error.strerror}",
            "give a path in a folder that exists and may be written",
            file=str(path),
        ) from error


def _refuse_left_behind(path: Path) -> None:
    """SQLite would take the log of a ledger that is gone for that of the new one."""
    for companion in (path.with_name(path.name + suffix) for suffix in _COMPANIONS):
        if companion.exists():
            raise OutputExists(
                "this belongs to a ledger that is not here any more; it may hold its last entries",
                f"put {path.name} back beside it, or choose another path",
                file=str(companion),
            )


def _connect(path: Path, query: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{query}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_S,
    )
    connection.text_factory = _text
    try:
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _text(data: bytes) -> str:
    """Text of a damaged file need not be UTF-8; it then differs from what was made."""
    return data.decode("utf-8", "replace")


def _checked(path: Path, query: str) -> sqlite3.Connection:
    with mapped_errors(path):
        connection = _connect(path, query)
        try:
            check_schema(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _make_durable(connection: sqlite3.Connection, path: Path) -> None:
    """Ask for full durability and read back what was granted."""
    connection.execute("PRAGMA journal_mode=WAL")
    for pragma, value in (("synchronous", "FULL"), ("fullfsync", 1), ("checkpoint_fullfsync", 1)):
        connection.execute(f"PRAGMA {pragma}={value}")
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != _SYNCHRONOUS_FULL:
        raise LedgerUnavailable(
            f"the file grants journal_mode={mode}, synchronous={synchronous}: not durable",
            "keep the ledger on a local disk",
            file=str(path),
            field="durability",
        )


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _nothing() -> None:
    return
