"""Family `ledgers`: where entries are kept. Backends never hash or sign."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from covenue.hooks import hookspec


@dataclass(frozen=True)
class Seal:
    """What a group of entries adds to the tree.

    size: entries after the group. leaves: 32-byte leaf hashes of the group's entries. tiles:
    (level, index, hash) of nodes that the group completed, levels 8, 16, …. frontier: hashes of
    the perfect subtrees that make up `size`, largest first. checkpoint: signed note, or None
    while signing is deferred.
    """

    size: int
    leaves: tuple[bytes, ...]
    tiles: tuple[tuple[int, int, bytes], ...]
    frontier: tuple[bytes, ...]
    checkpoint: bytes | None


class LedgerBackend(Protocol):
    """Keeps entries, hashes and blobs.

    Duties, each a case of `covenue.testing.ledgers`: when `append` returns, the entries are
    durable, all of them or none (a memory says in its manifest that it is not); a second writer
    fails on `expected_size`; what was appended never changes. `put_blob` is durable no later
    than the `append` that follows it, or `close`. What is asked for and not stored raises
    LedgerDamaged, never a shorter answer. Every failure raises LedgerDamaged or BadInput; nothing
    is acknowledged that is not stored. Bytes come back as they were given, on every backend.
    """

    def append(self, entries: Sequence[bytes], expected_size: int, seal: Seal) -> None:
        """Store one group atomically. Raises LedgerDamaged if the size is not `expected_size`."""
        ...

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Entries [start, end), in order."""
        ...

    def hashes(self, level: int, start: int, end: int) -> bytes:
        """Stored node hashes, 32 bytes each: level 0 are the leaves, then 8, 16, …."""
        ...

    def latest(self) -> Seal | None:
        """The newest complete group, or None while the ledger is empty."""
        ...

    def seals(self) -> Iterator[Seal]:
        """Every stored group in order, as it was sealed."""
        ...

    def attach(self, size: int, lines: Sequence[bytes]) -> None:
        """Add late signature lines, each ending in a newline, to the checkpoint of `size`."""
        ...

    def put_blob(self, digest: str, body: bytes) -> None:
        """Keep bytes by their SHA-256 (hex)."""
        ...

    def get_blob(self, digest: str) -> bytes:
        """The bytes of a digest. Raises LedgerDamaged when they are missing."""
        ...

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """Every blob with the digest it is stored under."""
        ...

    def check(self) -> None:
        """Raise LedgerDamaged where the container itself (schema, file, rows) is not as made."""
        ...

    def close(self) -> None:
        """Release the ledger; another process may open it. A second call does nothing."""
        ...


class LedgerFactory(Protocol):
    """Opens or creates a ledger."""

    def __call__(self, path: Path | None, *, create: bool, writable: bool) -> LedgerBackend:
        """Create or open a ledger; reading alone never changes what is stored.

        Raises OutputExists, BadInput (nothing there) or LedgerDamaged (no ledger of ours).
        """
        ...


RegisterLedger = Callable[[str, LedgerFactory], None]


@hookspec
def register_ledgers(register: RegisterLedger) -> None:
    """Hand over backends: `register("sqlite", open_sqlite)`."""
