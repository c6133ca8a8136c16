"""AuditLog: one append-only log, made of a backend, a signing key, an origin and a log secret.

The author of every entry is the owner of the log: author key and log key are one, so the signed
checkpoint of a group, which covers every entry under it, also attributes it. A separate DSSE
signature per batch root would sign the same bytes with the same key; `open` and `check_integrity`
refuse a log whose author is not its key. Source: ledger.md, sections 2 to 5.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from covenue.errors import BadInput, ForeignLedger, LedgerDamaged, OutputExists
from covenue.hooks.ledgers import LedgerBackend, Seal
from covenue.identity.keys import SigningKey
from covenue.ledger.checkpoint import open_checkpoint, sign_checkpoint
from covenue.ledger.entries import Entry, decode_entry, encode_entry
from covenue.ledger.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    TILE_HEIGHT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    range_root,
    verify_inclusion,
)
from covenue_contracts.contract import Contract, Scalar
from covenue_contracts.ledger import (
    ClockReading,
    ClockRegression,
    Durability,
    EntryHeader,
    Genesis,
)

ORACLE_EVERY = 256
NONCE_BYTES = 16
SECRET_BYTES_MIN = 16
_RESTORE = "restore the ledger from a copy that verifies"


@dataclass(frozen=True)
class Receipt:
    """What proves an entry offline: its index, its audit path, and the signed head above it."""

    index: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


def verify_receipt(entry: bytes, receipt: Receipt, origin: str, did: str) -> bool:
    """Whether the log `origin` of `did` holds exactly these bytes at that index.

    Raises LedgerDamaged when the checkpoint is not that log's.
    """
    head = open_checkpoint(receipt.checkpoint, origin, did)
    return verify_inclusion(leaf_hash(entry), receipt.index, head.size, receipt.proof, head.root)


def entry_nonce(secret: bytes, index: int) -> str:
    """The nonce of an entry, in hex: a leaf betrays no short body, and a replay repeats it."""
    digest = hmac.digest(secret, index.to_bytes(8, "big"), "sha256")
    return digest[:NONCE_BYTES].hex()


def blob_digest(body: bytes) -> str:
    """The name of a blob: the SHA-256 of its bytes, in hex."""
    return hashlib.sha256(body).hexdigest()


class AuditLog:
    """An open log. One process writes; `append` is one atomic group under one signature."""

    def __init__(
        self,
        backend: LedgerBackend,
        *,
        genesis: Genesis,
        frontier: Frontier,
        checkpoint: bytes,
        wall: int,
        writer: tuple[SigningKey, bytes] | None,
    ) -> None:
        """Hold what `create` or `open` has checked; writer: key and log secret."""
        self._backend = backend
        self._genesis = genesis
        self._frontier = frontier
        self._checkpoint = checkpoint
        self._wall = wall
        self._writer = writer
        self._encoded = 0

    @classmethod
    def create(
        cls,
        backend: LedgerBackend,
        key: SigningKey,
        *,
        origin: str,
        secret: bytes,
        clock: ClockReading,
        config: Mapping[str, Scalar | tuple[Scalar, ...]] | None = None,
        demo: bool = False,
        durability: Durability = "full",
    ) -> "AuditLog":
        """Begin a log in an empty backend with its genesis entry.

        origin: schema-less URL that names the log. secret: at least 16 bytes, from which nonces
        derive. Raises OutputExists when the backend already holds entries.
        """
        if backend.latest() is not None:
            raise OutputExists("the ledger already holds entries", "open it, or choose a new one")
        genesis = Genesis(
            origin=origin,
            author=key.did,
            log_key=key.did,
            durability=durability,
            clock_source=clock.source,
            demo=demo,
            config=dict(config or {}),
        )
        writer = (key, _checked_secret(secret))
        log = cls(
            backend,
            genesis=genesis,
            frontier=Frontier(),
            checkpoint=b"",
            wall=int(clock.wall),
            writer=writer,
        )
        log.append([("genesis", genesis)], clock)
        return log

    @classmethod
    def open(
        cls,
        backend: LedgerBackend,
        key: SigningKey | None = None,
        *,
        secret: bytes | None = None,
        did: str | None = None,
        origin: str | None = None,
    ) -> "AuditLog":
        """Open a log; without `key` for reading only.

        did, origin: whose log and which one is expected. The newest group is verified; the whole
        log is `check_integrity`'s. Raises ForeignLedger when key, secret, did or origin are
        another log's, BadInput when it is empty, and LedgerDamaged.
        """
        seal = backend.latest()
        if seal is None:
            raise BadInput("the ledger holds no entries", "create it first", field="ledger")
        first = decode_entry(_only(backend.read(0, 1)), "entry 0")
        genesis = first.body
        if not isinstance(genesis, Genesis):
            raise LedgerDamaged("the first entry is no genesis", _RESTORE, "entry 0")
        _check_owner(genesis, key.did if key else did, origin)
        writer = None
        if key is not None:
            writer = (key, _matching_secret(secret, first))
        frontier, checkpoint = _newest_head(backend, seal, genesis)
        last = seal.size - 1
        newest = decode_entry(_only(backend.read(last, seal.size)), f"entry {last}")
        return cls(
            backend,
            genesis=genesis,
            frontier=frontier,
            checkpoint=checkpoint,
            wall=int(newest.header.clock.wall),
            writer=writer,
        )

    @property
    def size(self) -> int:
        """Entries in the log."""
        return self._frontier.size

    @property
    def genesis(self) -> Genesis:
        """The log's first entry."""
        return self._genesis

    @property
    def origin(self) -> str:
        """The log's name in its checkpoints."""
        return self._genesis.origin

    @property
    def did(self) -> str:
        """Whose log it is: author and log key."""
        return self._genesis.log_key

    @property
    def frontier(self) -> Frontier:
        """The state of the tree, from which a replica verifies what follows."""
        return self._frontier

    def append(
        self,
        items: Sequence[tuple[str, Contract]],
        clock: ClockReading,
        refs: Sequence[str] = (),
    ) -> range:
        """Enter (kind, body) pairs as one group, durable and signed when this returns.

        refs: digests of blobs that every entry of the group names. A wall clock that went back is
        entered first, as `clock_regression`. The returned indexes are those of `items`.
        Raises EntryTooLarge, BadInput, and what the backend raises; then nothing was entered.
        """
        start = self.size
        if not items:
            return range(start, start)
        entries = [
            self._encode(start + offset, kind, body, clock, ())
            for offset, (kind, body) in enumerate(self._regression(clock))
        ]
        first = start + len(entries)
        entries += [
            self._encode(first + offset, kind, body, clock, refs)
            for offset, (kind, body) in enumerate(items)
        ]
        self._commit(entries)
        self._wall = int(clock.wall)
        return range(first, first + len(items))

    def root(self, size: int | None = None) -> bytes:
        """The root hash of the first `size` entries, or of all."""
        if size is None or size == self.size:
            return self._frontier.root()
        return range_root(0, self._within(size), self._node) if size else EMPTY_ROOT

    def checkpoint(self) -> bytes:
        """The newest signed head, as stored."""
        return self._checkpoint

    def heads(self) -> dict[int, bytes]:
        """Every signed head by its size, as stored."""
        seals = self._backend.seals()
        return {seal.size: seal.checkpoint for seal in seals if seal.checkpoint is not None}

    def entry(self, index: int) -> Entry:
        """One entry. Raises LedgerDamaged when it is not stored or not as it was entered."""
        return next(self.entries(index, index + 1))

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Entries [start, end), decoded and checked against their contracts."""
        for offset, raw in enumerate(self.raw(start, end)):
            yield decode_entry(raw, f"entry {start + offset}")

    def raw(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes of entries [start, end)."""
        return self._backend.read(start, self.size if end is None else self._within(end))

    def prove_inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """The audit path of an entry in the tree of `size` entries. Raises BadInput outside it."""
        within = self._within(self.size if size is None else size)
        try:
            return inclusion_proof(index, within, self._node)
        except ValueError as error:
            raise _out_of_range(error, index) from error

    def prove_consistency(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """The proof that the log of `new` entries extends that of `old`. Raises BadInput."""
        within = self._within(self.size if new is None else new)
        try:
            return consistency_proof(old, within, self._node)
        except ValueError as error:
            raise _out_of_range(error, old) from error

    def receipt(self, index: int) -> Receipt:
        """What proves an entry under the newest checkpoint."""
        return Receipt(index, self.prove_inclusion(index), self._checkpoint)

    def put_blob(self, body: bytes) -> str:
        """Keep bytes beside the log; their digest. They are durable before the next `append`."""
        digest = blob_digest(body)
        self._backend.put_blob(digest, body)
        return digest

    def get_blob(self, digest: str) -> bytes:
        """The bytes of a digest. Raises LedgerDamaged when they are missing or changed."""
        body = self._backend.get_blob(digest)
        if blob_digest(body) != digest:
            raise LedgerDamaged("a blob is not what its digest says", _RESTORE, f"blob {digest}")
        return body

    def close(self) -> None:
        """Release the backend."""
        self._backend.close()

    def _encode(
        self, index: int, kind: str, body: Contract, clock: ClockReading, refs: Sequence[str]
    ) -> bytes:
        _, secret = self._writing()
        header = EntryHeader(
            v=1,
            kind=kind,
            author=self._genesis.author,
            nonce=entry_nonce(secret, index),
            clock=clock,
            refs=tuple(refs),
        )
        ask_oracle = self._encoded % ORACLE_EVERY == 0
        self._encoded += 1
        return encode_entry(header, body, ask_oracle=ask_oracle)

    def _regression(self, clock: ClockReading) -> Sequence[tuple[str, Contract]]:
        if int(clock.wall) >= self._wall:
            return ()
        return (("clock_regression", ClockRegression(before=str(self._wall), after=clock.wall)),)

    def _commit(self, entries: Sequence[bytes]) -> None:
        """Hash, sign and store one group; nothing of it is kept or shown before it is durable."""
        key, _ = self._writing()
        leaves = tuple(leaf_hash(entry) for entry in entries)
        frontier, tiles = self._frontier.extended(leaves)
        checkpoint = sign_checkpoint(key, self.origin, frontier.size, frontier.root())
        seal = Seal(frontier.size, leaves, tiles, frontier.hashes, checkpoint)
        self._backend.append(entries, self.size, seal)
        self._frontier, self._checkpoint = frontier, checkpoint

    def _writing(self) -> tuple[SigningKey, bytes]:
        if self._writer is None:
            raise BadInput(
                "the ledger is open for reading only",
                "open it with the key and secret that wrote it",
                field="key",
            )
        return self._writer

    def _within(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise BadInput(
                f"the log has {self.size} entries, not {size}",
                "ask for a size that the log has reached",
                field="size",
                value=str(size),
            )
        return size

    def _node(self, level: int, index: int) -> bytes:
        """The hash of a perfect subtree, folded from the nearest stored level below it."""
        span = level % TILE_HEIGHT
        data = self._backend.hashes(level - span, index << span, (index + 1) << span)
        nodes = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
        while len(nodes) > 1:
            nodes = [node_hash(*nodes[at : at + 2]) for at in range(0, len(nodes), 2)]
        return nodes[0]


def _checked_secret(secret: bytes | None) -> bytes:
    if secret is None or len(secret) < SECRET_BYTES_MIN:
        raise BadInput(
            "the log secret is missing or too short to hide a nonce",
            f"derive at least {SECRET_BYTES_MIN} bytes from the node's master key",
            field="secret",
        )
    return secret


def _matching_secret(secret: bytes | None, first: Entry) -> bytes:
    checked = _checked_secret(secret)
    if entry_nonce(checked, 0) != first.header.nonce:
        raise ForeignLedger(
            "the ledger was written under another log secret",
            "give the node's own master key",
            field="secret",
        )
    return checked


def _check_owner(genesis: Genesis, did: str | None, origin: str | None) -> None:
    if genesis.author != genesis.log_key:
        raise LedgerDamaged("the log's author is not its key", _RESTORE, "entry 0")
    if did is not None and did != genesis.log_key:
        raise ForeignLedger(
            f"the ledger was written by {genesis.log_key}",
            "give the key that wrote it, or another ledger",
            field="key",
            value=did,
        )
    if origin is not None and origin != genesis.origin:
        raise ForeignLedger(
            f"the ledger is {genesis.origin}",
            "give the ledger that you mean",
            field="origin",
            value=origin,
        )


def _newest_head(backend: LedgerBackend, seal: Seal, genesis: Genesis) -> tuple[Frontier, bytes]:
    """Verify the newest group: bodies, leaves, frontier, and the signed checkpoint over them."""
    start = seal.size - len(seal.leaves)
    for offset, raw in enumerate(backend.read(start, seal.size)):
        if leaf_hash(raw) != seal.leaves[offset]:
            raise LedgerDamaged(
                "an entry is not what its leaf says", _RESTORE, f"entry {start + offset}"
            )
    try:
        frontier = Frontier(seal.size, seal.frontier)
    except ValueError as error:
        raise LedgerDamaged(
            "the frontier fits no tree", _RESTORE, f"frontier of size {seal.size}"
        ) from error
    return frontier, check_head(seal, genesis, frontier.root())


def check_head(seal: Seal, genesis: Genesis, root: bytes) -> bytes:
    """A group's checkpoint, once it is found to be the log's signature under size and root.

    Raises LedgerDamaged, naming the checkpoint by its size.
    """
    place = f"checkpoint of size {seal.size}"
    if seal.checkpoint is None:
        raise LedgerDamaged("a group is not signed", _RESTORE, place)
    try:
        head = open_checkpoint(seal.checkpoint, genesis.origin, genesis.log_key)
    except LedgerDamaged as error:
        raise LedgerDamaged(error.what, _RESTORE, place) from error
    if (head.size, head.root) != (seal.size, root):
        raise LedgerDamaged("the signed head is not that of the entries", _RESTORE, place)
    return seal.checkpoint


def _out_of_range(error: ValueError, value: int) -> BadInput:
    return BadInput(str(error), "ask for what the log holds", field="index", value=str(value))


def _only(entries: Iterator[bytes]) -> bytes:
    (entry,) = entries
    return entry
