"""Segments: how one group lies in the columns of one row.

entries: each with its length in 2 bytes before it (the entry bundle of C2SP tlog-tiles). leaves,
frontier: 32 bytes each. tiles: level in 1 byte, index in 8, hash in 32, big endian.
"""

from collections.abc import Sequence

from covenue.errors import EntryTooLarge, LedgerDamaged
from covenue.ledger.tree import HASH_BYTES, Tile
from covenue_contracts.ledger import ENTRY_BYTES_MAX

_LENGTH_BYTES = 2
_INDEX_BYTES = 8
_TILE_BYTES = 1 + _INDEX_BYTES + HASH_BYTES


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """The entry bundle of a group. Raises EntryTooLarge."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise EntryTooLarge(
                f"an entry of {len(entry)} bytes exceeds {ENTRY_BYTES_MAX}",
                "put its bulk into a blob and enter the digest",
            )
        parts += (len(entry).to_bytes(_LENGTH_BYTES, "big"), entry)
    return b"".join(parts)


def split_entries(bundle: bytes, start: int, end: int) -> list[bytes]:
    """The entries [start, end) of a bundle. Raises LedgerDamaged when lengths do not add up."""
    entries: list[bytes] = []
    at = 0
    while at < len(bundle):
        body = at + _LENGTH_BYTES
        at = body + int.from_bytes(bundle[at:body], "big")
        entries.append(bundle[body:at])
    if at != len(bundle) or len(entries) != end - start:
        raise damaged(
            "the lengths of a group's entries do not add up", f"entries {start} to {end - 1}"
        )
    return entries


def split_hashes(data: bytes, place: str) -> tuple[bytes, ...]:
    """The 32-byte hashes of a column. Raises LedgerDamaged when one is cut."""
    if len(data) % HASH_BYTES:
        raise damaged("a hash is cut", place)
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def pack_tiles(tiles: Sequence[Tile]) -> bytes:
    """The tiles that a group completed."""
    return b"".join(
        level.to_bytes(1, "big") + index.to_bytes(_INDEX_BYTES, "big") + node
        for level, index, node in tiles
    )


def split_tiles(data: bytes, place: str) -> tuple[Tile, ...]:
    """The tiles of a column. Raises LedgerDamaged when one is cut."""
    if len(data) % _TILE_BYTES:
        raise damaged("a tile is cut", place)
    records = (data[at : at + _TILE_BYTES] for at in range(0, len(data), _TILE_BYTES))
    return tuple(
        (record[0], int.from_bytes(record[1 : 1 + _INDEX_BYTES], "big"), record[-HASH_BYTES:])
        for record in records
    )


def damaged(what: str, place: str) -> LedgerDamaged:
    """The error for a stored part that is not as it was written."""
    return LedgerDamaged(what, "restore the ledger from a copy that verifies", place)
