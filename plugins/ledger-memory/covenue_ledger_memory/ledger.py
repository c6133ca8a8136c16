"""MemoryLedger: the duties of a ledger backend, kept in lists; nothing survives the process."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from covenue.errors import BadInput, LedgerDamaged
from covenue.hooks.ledgers import Seal
from covenue_contracts.ledger import ENTRY_BYTES_MAX

_LEVEL_HEIGHT = 8
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Group:
    """One appended group: its entries and its seal."""

    entries: tuple[bytes, ...]
    seal: Seal


class MemoryLedger:
    """A ledger backend without a file."""

    def __init__(self) -> None:
        """Begin empty."""
        self._groups: list[Group] = []
        self._starts: list[int] = []
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._blobs: dict[str, bytes] = {}
        self._is_open = True

    def append(self, entries: Sequence[bytes], expected_size: int, seal: Seal) -> None:
        """Keep one group, all of it or nothing."""
        self._check_open()
        size = self._size()
        if size != expected_size:
            raise _damaged(
                f"the ledger has {size} entries, not the {expected_size} that the writer expected",
                f"entry {size}",
            )
        if not entries or not len(entries) == len(seal.leaves) == seal.size - size:
            raise BadInput("a seal does not fit its entries", "seal exactly one group's entries")
        if any(len(entry) > ENTRY_BYTES_MAX for entry in entries):
            raise BadInput(f"an entry exceeds {ENTRY_BYTES_MAX} bytes", "put its bulk into a blob")
        for level, index, node in seal.tiles:
            self._tiles[level, index] = node
        self._starts.append(size)
        self._groups.append(Group(tuple(entries), seal))

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Entries [start, end), in order."""
        self._check_range(start, end, self._size(), "entry")
        while start < end:
            at = bisect_right(self._starts, start) - 1
            first, group = self._starts[at], self._groups[at]
            taken = group.entries[start - first : end - first]
            yield from taken
            start += len(taken)

    def hashes(self, level: int, start: int, end: int) -> bytes:
        """Stored node hashes of a level that is a multiple of 8."""
        self._check_open()
        if level == 0:
            return b"".join(self._leaves(start, end))
        if level < 0 or level % _LEVEL_HEIGHT or not 0 <= start <= end:
            raise _damaged(f"hash level {level} is never stored", f"index (hash level {level})")
        wanted = [(level, index) for index in range(start, end)]
        for tile in wanted:
            if tile not in self._tiles:
                place = f"index (hash level {level}, tile {tile[1]})"
                raise _damaged("a stored node hash is missing", place)
        return b"".join(self._tiles[tile] for tile in wanted)

    def latest(self) -> Seal | None:
        """The newest group's seal."""
        self._check_open()
        return self._groups[-1].seal if self._groups else None

    def seals(self) -> Iterator[Seal]:
        """Every group's seal, in order."""
        self._check_open()
        for group in tuple(self._groups):
            yield group.seal

    def attach(self, size: int, lines: Sequence[bytes]) -> None:
        """Add signature lines to the checkpoint of `size`."""
        self._check_open()
        for at, group in enumerate(self._groups):
            if group.seal.size == size and group.seal.checkpoint is not None:
                if not all(line.endswith(b"\n") for line in lines):
                    raise BadInput("a signature line has no newline", "end every line with one")
                checkpoint = group.seal.checkpoint + b"".join(lines)
                self._groups[at] = replace(group, seal=replace(group.seal, checkpoint=checkpoint))
                return
        raise _damaged("no signed group ends there", f"checkpoint of size {size}")

    def put_blob(self, digest: str, body: bytes) -> None:
        """Keep bytes by their digest; keeping them again changes nothing."""
        self._check_open()
        if not _DIGEST.fullmatch(digest):
            raise BadInput(
                "a blob is named by no SHA-256", "name it by 64 hex digits", value=digest[:80]
            )
        self._blobs.setdefault(digest, bytes(body))

    def get_blob(self, digest: str) -> bytes:
        """The bytes of a digest."""
        self._check_open()
        if digest not in self._blobs:
            raise _damaged("the blob is not here", f"blob {digest}")
        return self._blobs[digest]

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """Every blob, in order of digest."""
        self._check_open()
        yield from sorted(self._blobs.items())

    def check(self) -> None:
        """Nothing but the process can change lists; their lengths are looked at all the same."""
        self._check_open()
        if self._starts != [g.seal.size - len(g.entries) for g in self._groups]:
            raise _damaged("the groups do not follow one another", "index")

    def close(self) -> None:
        """Forget everything."""
        self._is_open = False

    def _leaves(self, start: int, end: int) -> Iterator[bytes]:
        self._check_range(start, end, self._size(), "leaf")
        while start < end:
            at = bisect_right(self._starts, start) - 1
            first, leaves = self._starts[at], self._groups[at].seal.leaves
            taken = leaves[start - first : end - first]
            yield from taken
            start += len(taken)

    def _size(self) -> int:
        self._check_open()
        return self._groups[-1].seal.size if self._groups else 0

    def _check_open(self) -> None:
        if not self._is_open:
            raise BadInput("the ledger is closed", "open it again")

    @staticmethod
    def _check_range(start: int, end: int, size: int, what: str) -> None:
        if not 0 <= start <= end <= size:
            raise _damaged(f"[{start}, {end}) is asked for and {size} are stored", f"{what} {size}")


def open_memory(path: Path | None, *, create: bool, writable: bool) -> MemoryLedger:
    """A new ledger in memory. Raises BadInput for a path, or when asked to open an old one."""
    if path is not None:
        raise BadInput(
            "a ledger in memory has no file",
            "leave the path out, or choose the ledger 'sqlite'",
            field="ledger",
            value=str(path),
        )
    if not create or not writable:
        raise BadInput(
            "a ledger in memory ends with its process, so there is none to open",
            "create one, or choose the ledger 'sqlite'",
            field="ledger",
        )
    return MemoryLedger()


def _damaged(what: str, place: str) -> LedgerDamaged:
    return LedgerDamaged(what, "restore the ledger from a copy that verifies", place)
