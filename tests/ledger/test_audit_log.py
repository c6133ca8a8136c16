"""AuditLog: groups, nonces, clocks, proofs, owners; and what a replica verifies."""

import hashlib
import hmac
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue.errors import (
    BadInput,
    CovenueError,
    EntryTooLarge,
    ForeignLedger,
    LedgerDamaged,
    LedgerUnavailable,
    OutputExists,
)
from covenue.hooks.ledgers import LedgerBackend, Seal
from covenue.identity.keys import SigningKey
from covenue.ledger import audit_log as audit_log_module
from covenue.ledger import entries as entries_module
from covenue.ledger import integrity as integrity_module
from covenue.ledger.audit_log import (
    AuditLog,
    Receipt,
    blob_digest,
    entry_nonce,
    verify_receipt,
)
from covenue.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from covenue.ledger.integrity import check_integrity, extend
from covenue.ledger.tree import Frontier, leaf_hash, root_of, verify_consistency, verify_inclusion
from covenue_contracts.ledger import ClockReading, ClockRegression, Genesis, KillSwitch, Tail
from covenue_ledger_memory import MemoryLedger
from covenue_ledger_sqlite import open_sqlite

KEY = SigningKey.from_seed(bytes(32))
OTHER = SigningKey.from_seed(b"\x01" * 32)
SECRET = bytes(range(32))
ORIGIN = "example.org/log"


def clock(wall: int) -> ClockReading:
    return ClockReading(
        wall=str(wall), monotonic=str(wall), boot="boot", source="sim", divergence="0"
    )


def kills(count: int, text: str = "r") -> list[tuple[str, KillSwitch]]:
    return [("kill_switch", KillSwitch(plan="a" * 64, reason=text))] * count


def new_log(backend: LedgerBackend | None = None, **changes: Any) -> AuditLog:
    fields: dict[str, Any] = {"origin": ORIGIN, "secret": SECRET, "clock": clock(1000)}
    return AuditLog.create(backend or MemoryLedger(), KEY, **{**fields, **changes})


def grown_log(sizes: Sequence[int], backend: LedgerBackend | None = None) -> AuditLog:
    log = new_log(backend)
    for at, size in enumerate(sizes):
        log.append(kills(size, f"group {at}"), clock(1001 + at))
    return log


def test_a_log_begins_with_its_genesis() -> None:
    log = new_log(config={"fees": "demo", "parties": 3}, demo=True)
    entry = log.entry(0)
    assert entry.body == log.genesis
    assert isinstance(entry.body, Genesis)
    assert (entry.body.author, entry.body.log_key, entry.body.origin) == (KEY.did, KEY.did, ORIGIN)
    assert (entry.body.demo, entry.body.config) == (True, {"fees": "demo", "parties": 3})
    assert (log.size, log.did, log.origin) == (1, KEY.did, ORIGIN)


def test_a_group_is_one_append_under_one_checkpoint() -> None:
    backend = MemoryLedger()
    log = new_log(backend)
    indexes = log.append(kills(5), clock(1001), refs=[log.put_blob(b"x")])
    assert indexes == range(1, 6)
    assert [seal.size for seal in backend.seals()] == [1, 6]
    head = open_checkpoint(log.checkpoint(), ORIGIN, KEY.did)
    assert head == Checkpoint(6, log.root())
    assert log.root() == root_of([leaf_hash(raw) for raw in log.raw()])
    assert {entry.header.refs for entry in log.entries(1)} == {(blob_digest(b"x"),)}


def test_an_empty_group_is_no_entry() -> None:
    log = new_log()
    assert log.append([], clock(1001)) == range(1, 1)
    assert log.size == 1


def test_nonces_are_the_log_secrets_own() -> None:
    log = grown_log((3, 1))
    for index, entry in enumerate(log.entries()):
        expected = hmac.new(SECRET, index.to_bytes(8, "big"), hashlib.sha256).hexdigest()[:32]
        assert entry.header.nonce == expected == entry_nonce(SECRET, index)


def test_a_clock_that_went_back_is_entered_first() -> None:
    log = new_log()
    log.append(kills(1), clock(2000))
    indexes = log.append(kills(2), clock(1500))
    assert indexes == range(3, 5)
    entry = log.entry(2)
    assert entry.body == ClockRegression(before="2000", after="1500")
    assert entry.header.kind == "clock_regression"
    log.append(kills(1), clock(1500))  # equal is not back
    assert [entry.header.kind for entry in log.entries(5)] == ["kill_switch"]
    reopened = AuditLog.open(log._backend, KEY, secret=SECRET)
    reopened.append(kills(1), clock(1499))
    assert reopened.entry(6).header.kind == "clock_regression"


def test_two_runs_give_the_same_bytes() -> None:
    one, two = grown_log((1, 20, 3)), grown_log((1, 20, 3))
    assert list(one.raw()) == list(two.raw())
    assert (one.root(), one.checkpoint()) == (two.root(), two.checkpoint())


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), max_size=6))
def test_both_backends_hold_identical_bytes_and_hashes(sizes: list[int]) -> None:
    memory = MemoryLedger()
    with tempfile.TemporaryDirectory() as folder:
        file = open_sqlite(Path(folder) / "log", create=True, writable=True)
        logs = [grown_log(sizes, memory), grown_log(sizes, file)]
        size = logs[0].size
        assert list(memory.read(0, size)) == list(file.read(0, size))
        assert memory.hashes(0, 0, size) == file.hashes(0, 0, size)
        assert list(memory.seals()) == list(file.seals())
        assert len({log.checkpoint() for log in logs}) == 1
        file.close()


@pytest.fixture(scope="module")
def long_log() -> AuditLog:
    return grown_log((254, 1, 1, 300, 7, 530))


def test_every_kind_of_index_and_size_is_proved(long_log: AuditLog) -> None:
    leaves = [leaf_hash(raw) for raw in long_log.raw()]
    for size in (1, 2, 3, 255, 256, 257, 511, 512, 513, 769, long_log.size):
        root = root_of(leaves[:size])
        assert long_log.root(size) == root
        for index in {0, 1, size // 2, 255, 256, size - 1}:
            if index < size:
                proof = long_log.prove_inclusion(index, size)
                assert verify_inclusion(leaves[index], index, size, proof, root)
        for old in (0, 1, 2, 255, 256, 300, 512, size):
            if old <= size:
                proof = long_log.prove_consistency(old, size)
                assert verify_consistency(old, size, long_log.root(old), root, proof)


def test_what_lies_outside_the_log_is_refused(long_log: AuditLog) -> None:
    size = long_log.size
    for ask in (
        lambda: long_log.prove_inclusion(size),
        lambda: long_log.prove_inclusion(-1),
        lambda: long_log.prove_inclusion(0, size + 1),
        lambda: long_log.prove_consistency(0, size + 1),
        lambda: long_log.prove_consistency(5, 4),
        lambda: long_log.root(size + 1),
        lambda: long_log.root(-1),
        lambda: list(long_log.raw(0, size + 1)),
        lambda: long_log.entry(size),
        lambda: long_log.receipt(size),
    ):
        with pytest.raises((BadInput, LedgerDamaged)):
            ask()


def test_a_receipt_proves_an_entry_offline(long_log: AuditLog) -> None:
    for index in (0, 1, 300, long_log.size - 1):
        raw = long_log.entry(index).raw
        receipt = long_log.receipt(index)
        assert verify_receipt(raw, receipt, ORIGIN, KEY.did)
        assert not verify_receipt(raw + b" ", receipt, ORIGIN, KEY.did)
        moved = Receipt(index + 1, receipt.proof, receipt.checkpoint)
        assert not verify_receipt(raw, moved, ORIGIN, KEY.did)
        with pytest.raises(LedgerDamaged):
            verify_receipt(raw, receipt, ORIGIN, OTHER.did)


def test_a_log_is_reopened_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = grown_log((3, 260), open_sqlite(path, create=True, writable=True))
    root, checkpoint = log.root(), log.checkpoint()
    log.close()
    again = AuditLog.open(
        open_sqlite(path, create=False, writable=True), KEY, secret=SECRET, origin=ORIGIN
    )
    assert (again.root(), again.checkpoint(), again.size) == (root, checkpoint, 264)
    again.append(kills(1), clock(5000))
    again.close()
    reader = AuditLog.open(open_sqlite(path, create=False, writable=False), did=KEY.did)
    assert reader.size == 265
    assert verify_consistency(264, 265, root, reader.root(), reader.prove_consistency(264))
    with pytest.raises(BadInput, match="reading only"):
        reader.append(kills(1), clock(5001))
    reader.close()


def test_a_foreign_ledger_is_refused() -> None:
    backend = MemoryLedger()
    new_log(backend)
    foreign: list[dict[str, Any]] = [
        {"key": OTHER, "secret": SECRET},
        {"did": OTHER.did},
        {"origin": "other.org/log"},
        {"key": KEY, "secret": b"another secret.."},
    ]
    for arguments in foreign:
        with pytest.raises(ForeignLedger):
            AuditLog.open(backend, **arguments)
    with pytest.raises(ForeignLedger):
        check_integrity(backend, OTHER.did)
    with pytest.raises(ForeignLedger):
        check_integrity(backend, origin="other.org/log")
    for secret in (None, b"short"):
        with pytest.raises(BadInput):
            AuditLog.open(backend, KEY, secret=secret)
        with pytest.raises(BadInput):
            new_log(secret=secret)


def test_a_ledger_is_created_once_and_opened_only_when_it_holds_something() -> None:
    backend = MemoryLedger()
    with pytest.raises(BadInput, match="no entries"):
        AuditLog.open(backend)
    with pytest.raises(LedgerDamaged):
        check_integrity(backend)
    new_log(backend)
    with pytest.raises(OutputExists):
        new_log(backend)


def test_a_group_with_one_entry_too_large_enters_nothing() -> None:
    log = new_log()
    big = Tail(start=0, end=1, bundle="a" * 64, checkpoint="A" * 65_536)
    with pytest.raises(EntryTooLarge):
        log.append([*kills(2), ("tail", big)], clock(1001))
    assert log.size == 1
    assert log.append(kills(1), clock(1001)) == range(1, 2)
    check_integrity(log._backend, secret=SECRET)


class FailsOnce(MemoryLedger):
    """Refuses one append after `healthy` ones, before or after it is stored."""

    def __init__(self, healthy: int, *, stores: bool) -> None:
        super().__init__()
        self.healthy, self.stores = healthy, stores

    def append(self, entries: Sequence[bytes], expected_size: int, seal: Seal) -> None:
        self.healthy -= 1
        if self.healthy != -1:
            super().append(entries, expected_size, seal)
            return
        if self.stores:
            super().append(entries, expected_size, seal)
        raise LedgerUnavailable("the disk is full", "free it")


def test_what_a_backend_refuses_was_not_entered_and_may_be_tried_again() -> None:
    log = new_log(FailsOnce(1, stores=False))
    before = (log.size, log.root(), log.checkpoint())
    with pytest.raises(LedgerUnavailable):
        log.append(kills(2), clock(1001))
    assert (log.size, log.root(), log.checkpoint()) == before
    assert log.append(kills(2), clock(1001)) == range(1, 3)
    check_integrity(log._backend, secret=SECRET)


def test_an_append_of_unknown_fate_never_makes_a_second_history() -> None:
    log = new_log(FailsOnce(1, stores=True))
    with pytest.raises(LedgerUnavailable):
        log.append(kills(2, "first"), clock(1001))
    with pytest.raises(LedgerDamaged, match="expected"):
        log.append(kills(1, "second"), clock(1001))
    assert AuditLog.open(log._backend).size == 3


def test_blobs_are_hashed_again_when_they_are_read() -> None:
    backend = MemoryLedger()
    log = new_log(backend)
    digest = log.put_blob(b"body")
    assert digest == hashlib.sha256(b"body").hexdigest()
    assert log.get_blob(digest) == b"body"
    backend._blobs[digest] = b"Body"
    with pytest.raises(LedgerDamaged) as damaged:
        log.get_blob(digest)
    assert damaged.value.place == f"blob {digest}"


def test_the_oracle_is_asked_for_the_first_entry_and_every_256th(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []
    encode = entries_module.encode_entry

    def spy(*arguments: Any, ask_oracle: bool) -> bytes:
        asked.append(ask_oracle)
        return encode(*arguments, ask_oracle=ask_oracle)

    monkeypatch.setattr(audit_log_module, "encode_entry", spy)
    grown_log((600,))
    assert [at for at, is_asked in enumerate(asked) if is_asked] == [0, 256, 512]


def test_a_replica_verifies_what_it_receives() -> None:
    log = new_log()
    frontier = extend(Frontier(), list(log.raw()), log.checkpoint(), ORIGIN, KEY.did)
    for at in range(5):
        start = log.size
        log.append(kills(at + 1), clock(2000 + at))
        frontier = extend(frontier, list(log.raw(start)), log.checkpoint(), ORIGIN, KEY.did)
        assert frontier == log.frontier
    assert extend(frontier, [], log.checkpoint(), ORIGIN, KEY.did) == frontier


def test_a_replica_refuses_rollback_fork_gap_and_change() -> None:
    log = new_log()
    early = log.checkpoint()
    log.append(kills(3), clock(2000))
    entries, head = list(log.raw()), log.checkpoint()
    frontier = extend(Frontier(), entries, head, ORIGIN, KEY.did)
    fork = sign_checkpoint(KEY, ORIGIN, 4, bytes(32))
    cases = {
        "ROLLBACK": (frontier, [], early),
        "FORK": (frontier, [], fork),
        "covers": (Frontier(), entries[:-1], head),
        "covers 4": (Frontier(), [*entries, b"more"], head),
        "FORK: ": (Frontier(), [*entries[:-1], entries[-1] + b" "], head),
        "does not verify": (frontier, [], head[:-8] + b"AAAAAAA=\n"[-8:]),
        "has not signed": (Frontier(), entries, sign_checkpoint(OTHER, ORIGIN, 4, log.root())),
    }
    for message, (held, received, checkpoint) in cases.items():
        with pytest.raises(LedgerDamaged, match=message.strip()):
            extend(held, received, checkpoint, ORIGIN, KEY.did)


def test_without_the_root_check_a_replica_takes_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    log = new_log()
    lie = next(log.raw()).replace(b'"demo":false', b'"demo":true')
    with pytest.raises(LedgerDamaged):
        extend(Frontier(), [lie], log.checkpoint(), ORIGIN, KEY.did)
    root = extend(Frontier(), list(log.raw()), log.checkpoint(), ORIGIN, KEY.did).root()
    monkeypatch.setattr(Frontier, "root", lambda _: root)
    assert extend(Frontier(), [lie], log.checkpoint(), ORIGIN, KEY.did).size == 1


@pytest.mark.parametrize("name", ["author", "log_key"])
def test_a_log_whose_author_is_not_its_key_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tampered(**fields: Any) -> Genesis:
        return Genesis(**{**fields, name: OTHER.did})

    backend = MemoryLedger()
    monkeypatch.setattr(audit_log_module, "Genesis", tampered)
    try:
        new_log(backend)
    finally:
        monkeypatch.undo()
    for read in (lambda: AuditLog.open(backend), lambda: check_integrity(backend)):
        with pytest.raises(CovenueError):
            read()
    assert integrity_module.IntegrityReport.__doc__
