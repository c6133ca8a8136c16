"""Integrity: whatever stored byte changes, verification fails and names the place."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from covenue.errors import LedgerDamaged
from covenue.hooks.ledgers import Seal
from covenue.identity.keys import SigningKey
from covenue.ledger import integrity as integrity_module
from covenue.ledger.audit_log import AuditLog, entry_nonce
from covenue.ledger.checkpoint import sign_checkpoint
from covenue.ledger.entries import encode_entry
from covenue.ledger.integrity import check_integrity
from covenue.ledger.tree import Frontier, leaf_hash
from covenue_contracts.contract import Contract
from covenue_contracts.ledger import ClockReading, EntryHeader, Genesis, KillSwitch, Submit
from covenue_ledger_memory import MemoryLedger
from covenue_ledger_memory.ledger import Group

KEY = SigningKey.from_seed(bytes(32))
SECRET = bytes(range(32))
ORIGIN = "example.org/log"


def clock(wall: int) -> ClockReading:
    return ClockReading(
        wall=str(wall), monotonic=str(wall), boot="boot", source="sim", divergence="0"
    )


def sample(groups: tuple[int, ...] = (2, 3)) -> MemoryLedger:
    backend = MemoryLedger()
    log = AuditLog.create(backend, KEY, origin=ORIGIN, secret=SECRET, clock=clock(1000))
    for number, size in enumerate(groups):
        bodies: list[tuple[str, Contract]] = []
        for part in range(size):
            blob = log.put_blob(b"blob %d %d" % (number, part))
            bodies.append(
                ("submit", Submit(plan="a" * 64, round=1, sender=KEY.did, phase="p", blob=blob))
            )
        log.append(bodies, clock(1001 + number))
    return backend


def place_of(backend: MemoryLedger, **arguments: Any) -> str:
    with pytest.raises(LedgerDamaged) as damaged:
        check_integrity(backend, **arguments)
    assert damaged.value.place
    return damaged.value.place


def flips(data: bytes) -> Iterator[bytes]:
    """`data` with one bit flipped, once in every byte."""
    for at in range(len(data)):
        yield data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def test_a_whole_ledger_is_reported() -> None:
    backend = sample()
    report = check_integrity(backend, KEY.did, origin=ORIGIN, secret=SECRET)
    assert (report.size, report.groups, report.blobs, report.blobs_named) == (6, 3, 5, 5)
    assert (report.did, report.origin) == (KEY.did, ORIGIN)
    assert report.root == AuditLog.open(backend).root().hex()


def test_every_byte_of_every_entry_is_covered_and_the_entry_named() -> None:
    backend = sample()
    for at, group in enumerate(backend._groups):
        for offset, entry in enumerate(group.entries):
            index = backend._starts[at] + offset
            for changed in flips(entry):
                entries = (*group.entries[:offset], changed, *group.entries[offset + 1 :])
                backend._groups[at] = replace(group, entries=entries)
                assert place_of(backend) == f"entry {index}"
        backend._groups[at] = group
    check_integrity(backend)


def seal_parts(seal: Seal) -> Iterator[tuple[str, Seal]]:
    """Every seal with one bit changed, and the place that must be named."""
    start = seal.size - len(seal.leaves)
    for offset, leaf in enumerate(seal.leaves):
        for changed in flips(leaf):
            leaves = (*seal.leaves[:offset], changed, *seal.leaves[offset + 1 :])
            yield f"leaf {start + offset}", replace(seal, leaves=leaves)
    for at, node in enumerate(seal.frontier):
        for changed in flips(node):
            frontier = (*seal.frontier[:at], changed, *seal.frontier[at + 1 :])
            yield f"frontier of size {seal.size}", replace(seal, frontier=frontier)
    for changed in flips(seal.checkpoint or b""):
        yield f"checkpoint of size {seal.size}", replace(seal, checkpoint=changed)
    yield f"checkpoint of size {seal.size}", replace(seal, checkpoint=None)
    yield f"frontier of size {seal.size}", replace(seal, frontier=seal.frontier[:-1])


def test_every_byte_of_every_leaf_frontier_and_checkpoint_is_covered() -> None:
    backend = sample()
    for at, group in enumerate(backend._groups):
        for place, seal in seal_parts(group.seal):
            backend._groups[at] = Group(group.entries, seal)
            assert place_of(backend) == place
        backend._groups[at] = group
    check_integrity(backend)


def test_every_byte_of_a_tile_is_covered_wherever_it_is_kept() -> None:
    backend = sample((300,))
    group = backend._groups[1]
    place = "index (hash level 8, tile 0)"
    for changed in flips(group.seal.tiles[0][2]):
        backend._groups[1] = Group(group.entries, replace(group.seal, tiles=((8, 0, changed),)))
        assert place_of(backend) == place
    for tiles in ((), ((8, 1, group.seal.tiles[0][2]),), ((16, 0, group.seal.tiles[0][2]),)):
        backend._groups[1] = Group(group.entries, replace(group.seal, tiles=tiles))
        assert place_of(backend) == place
    extra = (*group.seal.tiles, (8, 1, bytes(32)))
    backend._groups[1] = Group(group.entries, replace(group.seal, tiles=extra))
    assert place_of(backend) == "index (hash level 8, tile 1)"
    backend._groups[1] = group
    backend._tiles[8, 0] = bytes(32)
    assert place_of(backend) == place


def test_every_byte_of_every_blob_is_covered_and_a_missing_one_named() -> None:
    backend = sample()
    for digest, body in list(backend._blobs.items()):
        for changed in flips(body):
            backend._blobs[digest] = changed
            assert place_of(backend) == f"blob {digest}"
        del backend._blobs[digest]
        assert place_of(backend) == f"blob {digest}"
        backend._blobs[digest] = body
    backend._blobs["0" * 64] = b"nobody's"
    assert place_of(backend) == "blob " + "0" * 64
    del backend._blobs["0" * 64]
    check_integrity(backend)


def test_lost_repeated_and_exchanged_groups_are_found() -> None:
    def losing_the_first(backend: MemoryLedger) -> None:
        del backend._groups[0], backend._starts[0]

    def losing_one(backend: MemoryLedger) -> None:
        del backend._groups[1], backend._starts[1]

    def repeating_one(backend: MemoryLedger) -> None:
        backend._groups.append(backend._groups[-1])
        backend._starts.append(backend._starts[-1])

    def exchanging_two(backend: MemoryLedger) -> None:
        backend._groups[1:] = reversed(backend._groups[1:])

    for change in (losing_the_first, losing_one, repeating_one, exchanging_two):
        backend = sample()
        change(backend)
        assert place_of(backend)


class Forger:
    """Somebody with the log's key, who signs whatever groups it likes."""

    def __init__(self) -> None:
        self.backend, self.frontier = MemoryLedger(), Frontier()

    def entry(self, kind: str, body: Contract, **changes: Any) -> bytes:
        fields: dict[str, Any] = {
            "v": 1,
            "kind": kind,
            "author": KEY.did,
            "nonce": entry_nonce(SECRET, self.frontier.size),
            "clock": clock(1000 + self.frontier.size),
            "refs": (),
        }
        return encode_entry(EntryHeader(**{**fields, **changes}), body)

    def append(self, entry: bytes) -> None:
        leaf = leaf_hash(entry)
        grown, tiles = self.frontier.extended([leaf])
        note = sign_checkpoint(KEY, ORIGIN, grown.size, grown.root())
        seal = Seal(grown.size, (leaf,), tiles, grown.hashes, note)
        self.backend.append([entry], self.frontier.size, seal)
        self.frontier = grown


GENESIS = Genesis(
    origin=ORIGIN,
    author=KEY.did,
    log_key=KEY.did,
    durability="full",
    clock_source="sim",
    demo=False,
    config={},
)
KILL = KillSwitch(plan="a" * 64, reason="r")
OTHER = SigningKey.from_seed(b"\x01" * 32)

FORGED: dict[str, Callable[[Forger], bytes]] = {
    "an author who is not the log's key": lambda f: f.entry("kill_switch", KILL, author=OTHER.did),
    "a nonce used twice": lambda f: f.entry("kill_switch", KILL, nonce=entry_nonce(SECRET, 0)),
    "a second genesis": lambda f: f.entry("genesis", GENESIS),
    "a clock that went back unsaid": lambda f: f.entry("kill_switch", KILL, clock=clock(999)),
    "bytes that are not canonical": lambda f: f.entry("kill_switch", KILL) + b" ",
    "bytes that are no entry": lambda _: b"{}",
}


@pytest.mark.parametrize("rule", FORGED)
def test_even_the_key_holder_cannot_break_a_rule_of_entries(rule: str) -> None:
    forger = Forger()
    forger.append(forger.entry("genesis", GENESIS))
    forger.append(forger.entry("kill_switch", KILL))
    check_integrity(forger.backend, KEY.did, secret=SECRET)
    forger.append(FORGED[rule](forger))
    assert place_of(forger.backend) == "entry 2"


def test_a_nonce_of_another_secret_is_found_by_who_knows_it() -> None:
    forger = Forger()
    forger.append(forger.entry("genesis", GENESIS))
    forger.append(forger.entry("kill_switch", KILL, nonce="f" * 32))
    check_integrity(forger.backend)
    assert place_of(forger.backend, secret=SECRET) == "entry 1"


def test_a_log_that_begins_with_anything_else_is_refused() -> None:
    forger = Forger()
    forger.append(forger.entry("kill_switch", KILL))
    assert place_of(forger.backend) == "entry 0"
    with pytest.raises(LedgerDamaged):
        AuditLog.open(forger.backend)


def test_attached_signatures_of_others_do_not_disturb() -> None:
    backend = sample()
    backend.attach(3, ["\u2014 witness.org AAAAAAAA\n".encode()])
    check_integrity(backend)


def test_opening_verifies_the_newest_group() -> None:
    backend = sample()
    group = backend._groups[-1]
    for place, seal in seal_parts(group.seal):
        backend._groups[-1] = Group(group.entries, seal)
        with pytest.raises(LedgerDamaged) as damaged:
            AuditLog.open(backend)
        # Opening holds no earlier leaves, so it names the head where a frontier node differs.
        named = {place.replace("leaf", "entry"), f"checkpoint of size {seal.size}"}
        assert damaged.value.place in named
    backend._groups[-1] = Group((*group.entries[:-1], b"{}"), group.seal)
    with pytest.raises(LedgerDamaged, match="entry 5"):
        AuditLog.open(backend)


def test_without_hashing_bodies_again_a_changed_body_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = sample()
    group = backend._groups[1]
    changed = group.entries[0].replace(b'"round":1', b'"round":2')
    stored = dict(zip((changed, *group.entries[1:]), group.seal.leaves, strict=True))
    backend._groups[1] = replace(group, entries=(changed, *group.entries[1:]))
    assert place_of(backend) == "entry 1"
    monkeypatch.setattr(
        integrity_module, "leaf_hash", lambda raw: stored.get(raw) or leaf_hash(raw)
    )
    check_integrity(backend)


def test_without_hashing_blobs_again_a_changed_blob_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = sample()
    digest = next(iter(backend._blobs))
    backend._blobs[digest] = b"another"
    assert place_of(backend) == f"blob {digest}"
    names = {body: name for name, body in backend._blobs.items()}
    monkeypatch.setattr(integrity_module, "blob_digest", lambda body: names[body])
    check_integrity(backend)
    assert hashlib.sha256(b"another").hexdigest() != digest
