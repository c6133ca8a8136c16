"""Integrity: recompute a whole ledger from its bodies, and verify what a replica receives.

Nothing stored is believed: bodies are hashed again (a log that checks only its hashes misses a
changed body), the tree is grown again, every signature is opened. Source: ledger.md, section 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from covenue.errors import ForeignLedger, LedgerDamaged
from covenue.hooks.ledgers import LedgerBackend, Seal
from covenue.ledger.audit_log import blob_digest, check_head, entry_nonce
from covenue.ledger.checkpoint import open_checkpoint
from covenue.ledger.entries import Entry, decode_entry, named_blobs
from covenue.ledger.tree import Frontier, Tile, leaf_hash
from covenue_contracts.ledger import Genesis

_RESTORE = "restore the ledger from a copy that verifies; trust nothing after the named place"


@dataclass(frozen=True)
class IntegrityReport:
    """What was recomputed and found to agree. root: hex."""

    origin: str
    did: str
    size: int
    root: str
    groups: int
    blobs: int
    blobs_named: int


@dataclass
class _Walk:
    """Whose log is expected, and what the walk over the groups has established so far."""

    did: str | None
    origin: str | None
    secret: bytes | None
    frontier: Frontier = field(default_factory=Frontier)
    genesis: Genesis | None = None
    wall: int = 0
    groups: int = 0
    nonces: set[bytes] = field(default_factory=set)
    named: dict[str, int] = field(default_factory=dict)
    newest: Seal | None = None


def check_integrity(
    backend: LedgerBackend,
    did: str | None = None,
    *,
    origin: str | None = None,
    secret: bytes | None = None,
) -> IntegrityReport:
    """Recompute everything: container, entries, leaves, tiles, frontiers, checkpoints, blobs.

    did, origin: whose log and which one is expected; without them the genesis entry says. secret:
    with it every nonce is recomputed too. Signature lines of other keys that were attached later
    are left to those who know the keys. Raises LedgerDamaged with the first place that does not
    agree, and ForeignLedger.
    """
    backend.check()
    walk = _Walk(did, origin, secret)
    for seal in backend.seals():
        _check_group(backend, walk, seal)
    if walk.genesis is None:
        raise LedgerDamaged("the ledger holds no entries", _RESTORE, "entry 0")
    if backend.latest() != walk.newest:
        raise LedgerDamaged(
            "the newest group is not the last one", _RESTORE, f"index: size {walk.frontier.size}"
        )
    stored = _check_blobs(backend, walk)
    return IntegrityReport(
        origin=walk.genesis.origin,
        did=walk.genesis.log_key,
        size=walk.frontier.size,
        root=walk.frontier.root().hex(),
        groups=walk.groups,
        blobs=stored,
        blobs_named=len(walk.named),
    )


def extend(
    frontier: Frontier, entries: Sequence[bytes], checkpoint: bytes, origin: str, did: str
) -> Frontier:
    """The frontier after `entries`, once the signed checkpoint is found to cover exactly them.

    Raises LedgerDamaged: a rollback (the signed size is below what is held), a fork (two roots at
    one size), or entries that the checkpoint does not cover.
    """
    head = open_checkpoint(checkpoint, origin, did)
    place = f"checkpoint of size {head.size}"
    if head.size < frontier.size:
        raise LedgerDamaged(
            f"ROLLBACK: the log shows {head.size} entries and has shown {frontier.size}",
            "keep both checkpoints: they prove it",
            place,
        )
    grown, _ = frontier.extended(leaf_hash(entry) for entry in entries)
    if head.size != grown.size:
        raise LedgerDamaged(
            f"the checkpoint covers {head.size} entries and {grown.size} are here",
            "ask again for the entries from the last one that verified",
            place,
        )
    if head.root != grown.root():
        raise LedgerDamaged(
            "FORK: the signed root is not that of these entries",
            "keep entries and both checkpoints: they prove it",
            place,
        )
    return grown


def _check_group(backend: LedgerBackend, walk: _Walk, seal: Seal) -> None:
    start = walk.frontier.size
    if not seal.leaves or seal.size != start + len(seal.leaves):
        raise LedgerDamaged(
            "a group does not follow the one before it", _RESTORE, f"index: entry {start}"
        )
    raws = list(backend.read(start, seal.size))
    leaves = tuple(leaf_hash(raw) for raw in raws)
    grown, tiles = walk.frontier.extended(leaves)
    if leaves != seal.leaves:
        raise _blame(walk, seal, leaves)
    for offset, raw in enumerate(raws):
        entry = decode_entry(raw, f"entry {start + offset}")
        _check_entry(walk, entry, start + offset)
        if start + offset == 0:
            _check_expected(walk)
    _check_hashes(backend, seal, tiles, start)
    if seal.frontier != grown.hashes:
        raise LedgerDamaged("the frontier differs", _RESTORE, f"frontier of size {seal.size}")
    if walk.genesis is None:
        raise LedgerDamaged("a log begins with one genesis entry", _RESTORE, "entry 0")
    check_head(seal, walk.genesis, grown.root())
    walk.frontier, walk.newest = grown, seal
    walk.groups += 1


def _blame(walk: _Walk, seal: Seal, leaves: Sequence[bytes]) -> LedgerDamaged:
    """Name the entry or the leaf: the frontier says which of the two still leads to it."""
    start = walk.frontier.size
    offset = next(at for at, leaf in enumerate(leaves) if leaf != seal.leaves[at])
    grown, _ = walk.frontier.extended(leaves)
    part = "leaf" if grown.hashes == seal.frontier else "entry"
    return LedgerDamaged(f"the {part} is not what was sealed", _RESTORE, f"{part} {start + offset}")


def _check_entry(walk: _Walk, entry: Entry, index: int) -> None:
    place = f"entry {index}"
    header = entry.header
    if isinstance(entry.body, Genesis) != (index == 0):
        raise LedgerDamaged("a log begins with one genesis entry", _RESTORE, place)
    if index == 0:
        assert isinstance(entry.body, Genesis)  # noqa: S101 -- said by the line above
        walk.genesis, walk.wall = entry.body, int(header.clock.wall)
    if walk.genesis is None or header.author != walk.genesis.log_key:
        raise LedgerDamaged("the author is not the log's key", _RESTORE, place)
    nonce = bytes.fromhex(header.nonce)
    if nonce in walk.nonces:
        raise LedgerDamaged("a nonce is used twice", _RESTORE, place)
    if walk.secret is not None and header.nonce != entry_nonce(walk.secret, index):
        raise LedgerDamaged("the nonce is not the log secret's", _RESTORE, place)
    if int(header.clock.wall) < walk.wall and header.kind != "clock_regression":
        raise LedgerDamaged("the clock went back and no entry says so", _RESTORE, place)
    walk.nonces.add(nonce)
    walk.wall = int(header.clock.wall)
    for digest in named_blobs(entry):
        walk.named.setdefault(digest, index)


def _check_expected(walk: _Walk) -> None:
    genesis = walk.genesis
    if genesis is None or genesis.author != genesis.log_key:
        raise LedgerDamaged("the log's author is not its key", _RESTORE, "entry 0")
    for name, expected, found in (
        ("key", walk.did, genesis.log_key),
        ("origin", walk.origin, genesis.origin),
    ):
        if expected is not None and expected != found:
            raise ForeignLedger(
                f"the ledger's {name} is {found}",
                "give the ledger that you mean",
                field=name,
                value=expected,
            )


def _check_hashes(backend: LedgerBackend, seal: Seal, tiles: tuple[Tile, ...], start: int) -> None:
    for offset, (made, stored) in enumerate(zip(tiles, seal.tiles, strict=False)):
        if made != stored:
            raise _tile_damaged(made if offset < len(tiles) else stored)
    if len(tiles) != len(seal.tiles):
        longer = max(tiles, seal.tiles, key=len)
        raise _tile_damaged(longer[min(len(tiles), len(seal.tiles))])
    if backend.hashes(0, start, seal.size) != b"".join(seal.leaves):
        raise LedgerDamaged("the leaf index differs", _RESTORE, f"index: leaf {start}")
    for level, index, node in tiles:
        if backend.hashes(level, index, index + 1) != node:
            raise _tile_damaged((level, index, node))


def _tile_damaged(tile: Tile) -> LedgerDamaged:
    return LedgerDamaged(
        "a stored node hash differs", _RESTORE, f"index (hash level {tile[0]}, tile {tile[1]})"
    )


def _check_blobs(backend: LedgerBackend, walk: _Walk) -> int:
    missing = dict(walk.named)
    count = 0
    for digest, body in backend.blobs():
        if blob_digest(body) != digest:
            raise LedgerDamaged("a blob is not what its digest says", _RESTORE, f"blob {digest}")
        missing.pop(digest, None)
        count += 1
    for digest, index in missing.items():
        raise LedgerDamaged(
            f"entry {index} names a blob that is not here", _RESTORE, f"blob {digest}"
        )
    return count
