"""A ledger in one SQLite file, durable when acknowledged."""

from covenue.hooks import hookimpl
from covenue.hooks.ledgers import RegisterLedger
from covenue_ledger_sqlite.ledger import SqliteLedger, open_sqlite

__all__ = ["SqliteLedger", "open_sqlite", "register_ledgers"]


@hookimpl
def register_ledgers(register: RegisterLedger) -> None:
    """Hand over the backend `sqlite`."""
    register("sqlite", open_sqlite)
