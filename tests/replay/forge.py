"""A ledger written anew by its own key, with other bodies: what signatures alone do not find."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from covenue.ledger.audit_log import AuditLog
from covenue.registry.load import Registry
from covenue.replay import open_ledger
from covenue.rounds.identities import Identity
from covenue_contracts.contract import Contract
from covenue_ledger_sqlite.ledger import open_sqlite

Change = Callable[[int, str, Contract], Contract | None]
"""From an entry's index, kind and body to the body that is written instead; None drops it."""


@dataclass(frozen=True)
class Forged:
    path: Path
    changed: tuple[int, ...]


def forge(ledger: Path, identity: Identity, path: Path, change: Change) -> Forged:
    """Write `ledger` again into `path`, changed, in the same groups, signed by its own key."""
    changed: list[int] = []
    with open_ledger(ledger, Registry()) as backend:
        old = AuditLog.open(backend)
        entries = list(old.entries())
        config = old.genesis.config
        first = entries[0].header.clock
        new = AuditLog.create(
            open_sqlite(path, create=True, writable=True),
            identity.key,
            origin=old.origin,
            secret=identity.log_secret,
            clock=first,
            config=config,
            demo=old.genesis.demo,
        )
        for _, blob in backend.blobs():
            new.put_blob(blob)
        at = 1
        for end in [seal.size for seal in backend.seals()][1:]:
            items = []
            for index in range(at, end):
                header, body = entries[index].header, entries[index].body
                if header.kind == "clock_regression":
                    continue
                other = change(index, header.kind, body)
                if other != body:
                    changed.append(index)
                if other is not None:
                    items.append((header.kind, other))
            new.append(items, entries[at].header.clock)
            at = end
        new.close()
    return Forged(path, tuple(changed))


def once(kind: str, change: Callable[[Contract], Contract | None]) -> Change:
    """Change the first entry of a kind."""
    done: list[int] = []

    def apply(index: int, found: str, body: Contract) -> Contract | None:
        if found != kind or done:
            return body
        done.append(index)
        return change(body)

    return apply


def rows(ledger: Path) -> list[tuple[object, ...]] | str:
    """Everything stored: schema and all cells; or why SQLite cannot read it."""
    try:
        connection = sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            stored = connection.execute("SELECT * FROM sqlite_schema ORDER BY name").fetchall()
            stored += connection.execute("SELECT * FROM segments ORDER BY start").fetchall()
            return stored + connection.execute("SELECT * FROM blobs ORDER BY digest").fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return str(error)
