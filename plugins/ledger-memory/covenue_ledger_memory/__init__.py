"""A ledger in memory: for tests, notebooks and dry runs; it ends with its process."""

from covenue.hooks import hookimpl
from covenue.hooks.ledgers import RegisterLedger
from covenue_ledger_memory.ledger import MemoryLedger, open_memory

__all__ = ["MemoryLedger", "open_memory", "register_ledgers"]


@hookimpl
def register_ledgers(register: RegisterLedger) -> None:
    """Hand over the backend `memory`."""
    register("memory", open_memory)
