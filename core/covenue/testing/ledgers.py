"""Conformance of ledger backends: one numbered case for each duty in `covenue.hooks.ledgers`.

A plugin's own tests say `TestMine = ledger_conformance(open_mine)`. Numbers never change their
meaning; `LEDGER_1` is the profile `ledger-1`, a frozen list, so that a new case breaks no
published plugin. Source: plugins.md, section 5.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from covenue.errors import BadInput, LedgerDamaged, OutputExists
from covenue.hooks.ledgers import LedgerBackend, LedgerFactory, Seal
from covenue.identity.keys import SigningKey
from covenue.ledger.audit_log import AuditLog
from covenue.ledger.integrity import check_integrity
from covenue.ledger.tree import HASH_BYTES, Frontier, leaf_hash
from covenue_contracts.ledger import ClockReading, KillSwitch

LEDGER_1 = tuple(f"LED-{number:03d}" for number in range(1, 28))
IDENTICAL_ROOT = "019e34133c424ea324d8dea8ba91dd80278448b9d8a6ce3c11aee7358a1a0009"
"""Root of the log that LED-025 writes: equal on every backend, for ever."""

_REFUSED = (LedgerDamaged, BadInput)


def ledger_conformance(factory: LedgerFactory, *, reopens: bool = True) -> type["LedgerCases"]:
    """The cases for a backend, as a test class.

    reopens: the manifest's capability REOPEN; a backend without it must refuse to open.
    """
    made = type(
        "LedgerConformance",
        (LedgerCases,),
        {"factory": staticmethod(factory), "reopens": reopens},
    )
    assert issubclass(made, LedgerCases)
    return made


def seal_group(frontier: Frontier, entries: Sequence[bytes]) -> tuple[Frontier, Seal]:
    """The seal of a group over any bytes; its checkpoint is a stand-in that nobody opens."""
    leaves = tuple(leaf_hash(entry) for entry in entries)
    grown, tiles = frontier.extended(leaves)
    note = f"stand-in {grown.size}\n\n".encode()
    return grown, Seal(grown.size, leaves, tiles, grown.hashes, note)


def write_groups(backend: LedgerBackend, groups: Sequence[Sequence[bytes]]) -> list[Seal]:
    """Append groups to an empty backend; their seals."""
    frontier = Frontier()
    seals: list[Seal] = []
    for entries in groups:
        size = frontier.size
        frontier, seal = seal_group(frontier, entries)
        backend.append(entries, size, seal)
        seals.append(seal)
    return seals


class LedgerCases:
    """The cases; `ledger_conformance` fills in factory and capability."""

    factory: LedgerFactory
    reopens: bool = True

    def create(self, folder: Path) -> LedgerBackend:
        """A new, empty ledger."""
        return self.factory(self.path(folder), create=True, writable=True)

    def open(self, folder: Path, *, writable: bool = True) -> LedgerBackend:
        """The ledger that `create` made."""
        return self.factory(self.path(folder), create=False, writable=writable)

    def path(self, folder: Path) -> Path | None:
        """Where the ledger is, or None for a backend without a file."""
        return folder / "ledger" if self.reopens else None

    def need_reopening(self) -> None:
        """Skip, saying why, where the backend declares REOPEN unsupported."""
        if not self.reopens:
            pytest.skip("capability REOPEN is UNSUPPORTED; LED-024 asks for a proper refusal")

    def test_led_001_an_empty_ledger_holds_nothing(self, tmp_path: Path) -> None:
        """LED-001. A reader must tell an empty ledger from a damaged one."""
        backend = self.create(tmp_path)
        assert backend.latest() is None
        assert list(backend.seals()) == []
        assert list(backend.read(0, 0)) == []
        assert backend.hashes(0, 0, 0) == b""
        assert list(backend.blobs()) == []
        backend.close()

    def test_led_002_entries_come_back_byte_for_byte(self, tmp_path: Path) -> None:
        """LED-002. Leaves are hashes of bytes; a backend that re-encodes breaks every proof."""
        entries = [b"\x00", b"\xff\xfe not text", b"{}", b"x" * 65_535, b"", b"\r\n"]
        backend = self.create(tmp_path)
        write_groups(backend, [entries])
        assert list(backend.read(0, len(entries))) == entries
        backend.close()

    def test_led_003_every_range_is_read_across_groups(self, tmp_path: Path) -> None:
        """LED-003. Catching up starts at any index, whatever the groups were."""
        entries, groups = _groups((1, 3, 1, 5, 2))
        backend = self.create(tmp_path)
        write_groups(backend, groups)
        for start in range(len(entries) + 1):
            for end in range(start, len(entries) + 1):
                assert list(backend.read(start, end)) == entries[start:end]
        backend.close()

    def test_led_004_a_range_beyond_the_end_is_refused(self, tmp_path: Path) -> None:
        """LED-004. A shorter answer would hide a lost tail."""
        backend = self.create(tmp_path)
        write_groups(backend, _groups((2, 2))[1])
        for start, end in ((0, 5), (4, 5), (5, 5), (-1, 2), (3, 2)):
            with pytest.raises(LedgerDamaged):
                list(backend.read(start, end))
            with pytest.raises(LedgerDamaged):
                backend.hashes(0, start, end)
        backend.close()

    def test_led_005_leaf_hashes_come_back_as_sealed(self, tmp_path: Path) -> None:
        """LED-005. Proofs are made from stored hashes."""
        entries, groups = _groups((1, 4, 2))
        backend = self.create(tmp_path)
        write_groups(backend, groups)
        leaves = b"".join(leaf_hash(entry) for entry in entries)
        for start in range(len(entries) + 1):
            for end in range(start, len(entries) + 1):
                wanted = leaves[start * HASH_BYTES : end * HASH_BYTES]
                assert backend.hashes(0, start, end) == wanted
        backend.close()

    def test_led_006_completed_tiles_come_back(self, tmp_path: Path) -> None:
        """LED-006. Levels 8 and 16 make proofs cheap; they cross group borders."""
        backend = self.create(tmp_path)
        _, groups = _groups((250, 5, 1, 300, 44, 65_536 - 600))
        seals = write_groups(backend, groups)
        tiles = [tile for seal in seals for tile in seal.tiles]
        assert [tile[0] for tile in tiles].count(16) == 1
        for level, index, node in tiles:
            assert backend.hashes(level, index, index + 1) == node
        level_8 = b"".join(node for level, _, node in tiles if level == 8)
        assert backend.hashes(8, 0, 256) == level_8
        assert backend.hashes(8, 1, 3) == level_8[HASH_BYTES : 3 * HASH_BYTES]
        with pytest.raises(LedgerDamaged):
            backend.hashes(8, 255, 257)
        with pytest.raises(LedgerDamaged):
            backend.hashes(16, 1, 2)
        backend.close()

    def test_led_007_a_level_that_is_not_stored_is_refused(self, tmp_path: Path) -> None:
        """LED-007. Only 0, 8, 16, … exist; the kernel folds the others itself."""
        backend = self.create(tmp_path)
        write_groups(backend, _groups((300,))[1])
        for level in (1, 7, 9, -8):
            with pytest.raises(LedgerDamaged):
                backend.hashes(level, 0, 1)
        backend.close()

    def test_led_008_seals_come_back_as_sealed_and_in_order(self, tmp_path: Path) -> None:
        """LED-008. A restart continues from the newest group; an audit walks all of them."""
        backend = self.create(tmp_path)
        seals = write_groups(backend, _groups((1,) * 70 + (200, 3))[1])
        assert list(backend.seals()) == seals
        assert backend.latest() == seals[-1]
        backend.close()

    def test_led_009_a_writer_that_expects_another_size_changes_nothing(
        self, tmp_path: Path
    ) -> None:
        """LED-009. Compare and set: two writers never make two histories in one store."""
        backend = self.create(tmp_path)
        seals = write_groups(backend, _groups((3,))[1])
        for size in (0, 2, 4):
            leaf = leaf_hash(b"other")
            with pytest.raises(LedgerDamaged):
                backend.append([b"other"], size, Seal(size + 1, (leaf,), (), (leaf,), b"n\n"))
        assert list(backend.seals()) == seals
        backend.close()

    def test_led_010_a_seal_that_does_not_fit_changes_nothing(self, tmp_path: Path) -> None:
        """LED-010. A group is its entries and their leaves, one to one, and never empty."""
        backend = self.create(tmp_path)
        leaf = leaf_hash(b"a")
        for entries, size, leaves in (
            ([], 0, ()),
            ([b"a"], 2, (leaf,)),
            ([b"a"], 1, (leaf, leaf)),
            ([b"a", b"b"], 1, (leaf,)),
        ):
            with pytest.raises(_REFUSED):
                backend.append(entries, 0, Seal(size, leaves, (), (leaf,), b"n\n"))
        assert backend.latest() is None
        backend.close()

    def test_led_011_an_entry_above_the_limit_is_refused(self, tmp_path: Path) -> None:
        """LED-011. 65,535 bytes is what a bundle's length prefix can say."""
        backend = self.create(tmp_path)
        entries = [b"small", b"x" * 65_536]
        with pytest.raises(_REFUSED):
            backend.append(entries, 0, seal_group(Frontier(), entries)[1])
        assert backend.latest() is None
        assert list(backend.read(0, 0)) == []
        backend.close()

    def test_led_012_an_unsigned_group_stays_unsigned(self, tmp_path: Path) -> None:
        """LED-012. Deferred signing must be seen after a crash, not filled in."""
        backend = self.create(tmp_path)
        _, seal = seal_group(Frontier(), [b"a"])
        unsigned = Seal(seal.size, seal.leaves, seal.tiles, seal.frontier, None)
        backend.append([b"a"], 0, unsigned)
        assert backend.latest() == unsigned
        with pytest.raises(LedgerDamaged):
            backend.attach(1, ["— w AAAA\n".encode()])
        backend.close()

    def test_led_013_late_signatures_join_their_checkpoint_only(self, tmp_path: Path) -> None:
        """LED-013. Cosignatures arrive later, for one size; nothing else may change."""
        backend = self.create(tmp_path)
        seals = write_groups(backend, _groups((1, 2, 3))[1])
        line = "— w AAAA\n".encode()
        backend.attach(3, [line, line])
        after = list(backend.seals())
        assert after[1].checkpoint == (seals[1].checkpoint or b"") + line * 2
        assert [after[0], after[2]] == [seals[0], seals[2]]
        assert after[1].leaves == seals[1].leaves
        for size, lines in ((2, [line]), (0, [line]), (7, [line]), (3, [b"no newline"])):
            with pytest.raises(_REFUSED):
                backend.attach(size, lines)
        assert list(backend.seals()) == after
        backend.close()

    def test_led_014_blobs_come_back_by_digest(self, tmp_path: Path) -> None:
        """LED-014. An entry names bulk by SHA-256; a missing blob is damage, not an empty one."""
        backend = self.create(tmp_path)
        bodies = [b"", b"\x00\xff", b"x" * 200_000, b"y" * (5 << 20)]
        named = {hashlib.sha256(body).hexdigest(): body for body in bodies}
        for digest, body in named.items():
            backend.put_blob(digest, body)
            backend.put_blob(digest, body)
        for digest, body in named.items():
            assert backend.get_blob(digest) == body
        assert sorted(backend.blobs()) == sorted(named.items())
        with pytest.raises(LedgerDamaged):
            backend.get_blob("0" * 64)
        backend.close()

    def test_led_015_a_blob_is_named_by_64_hex_digits(self, tmp_path: Path) -> None:
        """LED-015. One digest has one spelling, or a blob hides behind another name."""
        backend = self.create(tmp_path)
        for name in ("", "ab", "A" * 64, "g" * 64, "0" * 66, "0" * 63 + "\n"):
            with pytest.raises(_REFUSED):
                backend.put_blob(name, b"body")
        assert list(backend.blobs()) == []
        backend.close()

    def test_led_016_what_the_backend_wrote_passes_its_own_check(self, tmp_path: Path) -> None:
        """LED-016. A false alarm teaches people to ignore the true one."""
        backend = self.create(tmp_path)
        backend.check()
        write_groups(backend, _groups((1, 300, 2))[1])
        backend.put_blob(hashlib.sha256(b"b").hexdigest(), b"b")
        backend.check()
        backend.close()

    def test_led_017_a_closed_ledger_refuses_and_closes_twice(self, tmp_path: Path) -> None:
        """LED-017. What is acknowledged is stored, so nothing is taken after the end."""
        backend = self.create(tmp_path)
        write_groups(backend, [[b"a"]])
        backend.close()
        backend.close()
        grown, seal = seal_group(Frontier(1, (leaf_hash(b"a"),)), [b"b"])
        assert grown.size == seal.size
        with pytest.raises(_REFUSED):
            backend.append([b"b"], 1, seal)
        with pytest.raises(_REFUSED):
            backend.latest()

    def test_led_018_everything_is_there_after_reopening(self, tmp_path: Path) -> None:
        """LED-018. Durable means that another process finds it."""
        self.need_reopening()
        entries, groups = _groups((1, 3, 260))
        backend = self.create(tmp_path)
        seals = write_groups(backend, groups)
        digest = hashlib.sha256(b"late").hexdigest()
        backend.put_blob(digest, b"late")
        backend.close()
        for writable in (True, False):
            again = self.open(tmp_path, writable=writable)
            assert list(again.seals()) == seals
            assert list(again.read(0, len(entries))) == entries
            assert again.get_blob(digest) == b"late"
            assert again.hashes(8, 0, 1) == seals[-1].tiles[0][2]
            again.check()
            again.close()

    def test_led_019_creating_over_anything_is_refused(self, tmp_path: Path) -> None:
        """LED-019. An output file that exists is never replaced."""
        self.need_reopening()
        backend = self.create(tmp_path)
        seals = write_groups(backend, [[b"a"]])
        backend.close()
        before = _files(tmp_path)
        with pytest.raises(OutputExists):
            self.create(tmp_path)
        assert _files(tmp_path) == before
        again = self.open(tmp_path)
        assert list(again.seals()) == seals
        again.close()

    def test_led_020_opening_what_is_not_there_makes_nothing(self, tmp_path: Path) -> None:
        """LED-020. A mistyped path must not become an empty ledger."""
        self.need_reopening()
        for writable in (True, False):
            with pytest.raises(BadInput):
                self.open(tmp_path, writable=writable)
            with pytest.raises(BadInput):
                self.open(tmp_path / "absent", writable=writable)
        assert _files(tmp_path) == {}

    def test_led_021_a_foreign_file_is_refused_unchanged(self, tmp_path: Path) -> None:
        """LED-021. Bad input changes nothing, least of all somebody else's file."""
        self.need_reopening()
        path = self.path(tmp_path)
        assert path is not None
        for content in (b"", b"{}\n", b"SQLite format 3\x00", bytes(4096)):
            path.write_bytes(content)
            for writable in (True, False):
                with pytest.raises(_REFUSED):
                    self.open(tmp_path, writable=writable)
            assert _files(tmp_path) == {path.name: content}

    def test_led_022_reading_changes_no_file(self, tmp_path: Path) -> None:
        """LED-022. An auditor's copy stays the copy that was given."""
        self.need_reopening()
        backend = self.create(tmp_path)
        write_groups(backend, _groups((1, 2))[1])
        backend.close()
        before = _files(tmp_path)
        reader = self.open(tmp_path, writable=False)
        assert len(list(reader.read(0, 3))) == 3
        reader.check()
        _, seal = seal_group(Frontier(), [b"x"])
        with pytest.raises(_REFUSED):
            reader.append([b"x"], 3, Seal(4, seal.leaves, (), (), b"n\n"))
        with pytest.raises(_REFUSED):
            reader.put_blob(hashlib.sha256(b"x").hexdigest(), b"x")
        with pytest.raises(_REFUSED):
            reader.attach(3, [b"l\n"])
        assert _files(tmp_path) == before
        reader.close()
        assert _files(tmp_path) == before

    def test_led_023_of_two_writers_one_wins(self, tmp_path: Path) -> None:
        """LED-023. The second learns it; nothing that was acknowledged is lost."""
        self.need_reopening()
        one = self.create(tmp_path)
        write_groups(one, [[b"a"]])
        other = self.open(tmp_path)
        frontier = Frontier(1, (leaf_hash(b"a"),))
        one.append([b"one"], 1, seal_group(frontier, [b"one"])[1])
        with pytest.raises(LedgerDamaged):
            other.append([b"other"], 1, seal_group(frontier, [b"other"])[1])
        assert list(other.read(0, 2)) == [b"a", b"one"]
        other.close()
        one.close()

    def test_led_024_a_ledger_that_cannot_reopen_refuses_properly(self, tmp_path: Path) -> None:
        """LED-024. UNSUPPORTED is said, not met with an empty ledger."""
        if self.reopens:
            pytest.skip("capability REOPEN is FULL; LED-018 to LED-023 apply")
        for writable in (True, False):
            with pytest.raises(BadInput):
                self.factory(None, create=False, writable=writable)
        with pytest.raises(BadInput):
            self.factory(tmp_path / "ledger", create=True, writable=True)
        assert _files(tmp_path) == {}

    def test_led_025_the_same_log_has_the_same_bytes_on_every_backend(self, tmp_path: Path) -> None:
        """LED-025. Same entries, key and sizes: same root; and the whole log verifies."""
        backend = self.create(tmp_path)
        log = write_sample_log(backend)
        assert log.root().hex() == IDENTICAL_ROOT
        report = check_integrity(backend, log.did, origin=log.origin, secret=SAMPLE_SECRET)
        assert (report.size, report.root) == (log.size, IDENTICAL_ROOT)
        log.close()

    def test_led_026_a_blob_is_durable_with_the_append_that_follows(self, tmp_path: Path) -> None:
        """LED-026. An entry must never name a blob that a crash has lost."""
        self.need_reopening()
        backend = self.create(tmp_path)
        digest = hashlib.sha256(b"bulk").hexdigest()
        backend.put_blob(digest, b"bulk")
        write_groups(backend, [[b"names the blob"]])
        reader = self.open(tmp_path, writable=False)
        assert reader.get_blob(digest) == b"bulk"
        assert list(reader.read(0, 1)) == [b"names the blob"]
        reader.close()
        backend.close()

    def test_led_027_reading_goes_on_while_the_log_grows(self, tmp_path: Path) -> None:
        """LED-027. A tail is served while the next group is written."""
        entries, groups = _groups((1,) * 100)
        backend = self.create(tmp_path)
        frontier = Frontier()
        for group in groups[:90]:
            size = frontier.size
            frontier, seal = seal_group(frontier, group)
            backend.append(group, size, seal)
        reading, sealing = backend.read(0, 90), backend.seals()
        seen = [next(reading)]
        next(sealing)
        for group in groups[90:]:
            size = frontier.size
            frontier, seal = seal_group(frontier, group)
            backend.append(group, size, seal)
            seen.append(next(reading))
        assert seen + list(reading) == entries[:90]
        assert len(list(sealing)) >= 89
        backend.close()


SAMPLE_SECRET = bytes(range(32))


def write_sample_log(backend: LedgerBackend) -> AuditLog:
    """A small log with fixed key, secret and clock, which goes back once; groups of many sizes."""
    key = SigningKey.from_seed(hashlib.sha256(b"covenue conformance").digest())
    log = AuditLog.create(
        backend,
        key,
        origin="conformance.example/log",
        secret=SAMPLE_SECRET,
        clock=_clock(1_000),
        demo=True,
    )
    for number in range(40):
        bodies = [
            ("kill_switch", KillSwitch(plan=f"{number:064x}", reason=f"reason {part} é"))
            for part in range(1 + number % 17)
        ]
        refs = (log.put_blob(f"blob {number}".encode()),)
        log.append(bodies, _clock(1_000 + number * 10 if number != 20 else 5), refs)
    return log


def _clock(wall: int) -> ClockReading:
    return ClockReading(
        wall=str(wall), monotonic=str(wall), boot="boot", source="recorded", divergence="0"
    )


def _groups(sizes: Sequence[int]) -> tuple[list[bytes], list[list[bytes]]]:
    entries = [f"entry {index}".encode() for index in range(sum(sizes))]
    groups: list[list[bytes]] = []
    start = 0
    for size in sizes:
        groups.append(entries[start : start + size])
        start += size
    return entries, groups


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
