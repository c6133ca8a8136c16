"""delta-sync: a node catches up from what it last folded; catching up is the normal path.

The coordinator sends the entries after a size, under its newest checkpoint, with the envelopes
that nodes must check themselves. A node takes them only if its own tree, extended by them, has
the signed root. Source: architecture.md, section 3.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from covenue.errors import LedgerDamaged
from covenue.hooks.engines import TailReply
from covenue.ledger.audit_log import blob_digest
from covenue.ledger.entries import Entry, decode_entry
from covenue.ledger.integrity import extend
from covenue.ledger.tree import Frontier

LENGTH = 4


@dataclass(frozen=True)
class Followed:
    """The coordinator's log as one node follows it: whose it is, and how far."""

    origin: str
    log_key: str
    frontier: Frontier

    def size(self) -> int:
        """Entries folded so far."""
        return self.frontier.size


def follow(followed: Followed, tail: TailReply) -> Followed:
    """The log extended by a tail.

    Raises LedgerDamaged when the tail starts elsewhere, is inconsistent with what was folded
    before, or is not signed by the log's key.
    """
    if tail.start != followed.size():
        raise LedgerDamaged(
            f"the tail starts at {tail.start}, this node has folded {followed.size()}",
            "ask for the tail from the folded size",
            f"tail of {tail.start}",
        )
    frontier = extend(
        followed.frontier, tail.entries, tail.checkpoint, followed.origin, followed.log_key
    )
    return Followed(followed.origin, followed.log_key, frontier)


def pack(tail: TailReply) -> bytes:
    """A tail as one blob: entries, then the blobs that nodes check, each length-prefixed."""
    return _packed(tail.entries) + _packed(tail.blobs[name] for name in sorted(tail.blobs))


def unpack(bundle: bytes) -> tuple[tuple[bytes, ...], Mapping[str, bytes]]:
    """Entries and blobs of a bundle. Raises LedgerDamaged when it is cut or has a rest."""
    entries, rest = _unpacked(bundle)
    blobs, rest = _unpacked(rest)
    if rest:
        raise _cut()
    return entries, {blob_digest(body): body for body in blobs}


@lru_cache(maxsize=4096)
def read_entry(data: bytes) -> Entry:
    """Decode an entry; nodes of one process share the work."""
    return decode_entry(data)


def _packed(items: Iterable[bytes]) -> bytes:
    listed = list(items)
    count = len(listed).to_bytes(LENGTH, "big")
    return count + b"".join(len(item).to_bytes(LENGTH, "big") + item for item in listed)


def _unpacked(data: bytes) -> tuple[tuple[bytes, ...], bytes]:
    if len(data) < LENGTH:
        raise _cut()
    count, at = int.from_bytes(data[:LENGTH], "big"), LENGTH
    items = []
    for _ in range(count):
        end = at + LENGTH + int.from_bytes(data[at : at + LENGTH], "big")
        if end > len(data):
            raise _cut()
        items.append(data[at + LENGTH : end])
        at = end
    return tuple(items), data[at:]


def _cut() -> LedgerDamaged:
    return LedgerDamaged("a bundle of entries is cut", "restore the node's ledger", "tail bundle")
