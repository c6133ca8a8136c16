"""Both backends keep every duty of the hook; a backend that breaks one is caught."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from covenue.errors import BadInput, LedgerDamaged
from covenue.hooks.ledgers import Seal
from covenue.testing.ledgers import LEDGER_1, LedgerCases, ledger_conformance
from covenue_ledger_memory import MemoryLedger, open_memory
from covenue_ledger_sqlite import open_sqlite

TestMemory = ledger_conformance(open_memory, reopens=False)
TestSqlite = ledger_conformance(open_sqlite)


def case_names() -> list[str]:
    return sorted(name for name in dir(LedgerCases) if name.startswith("test_led_"))


def test_the_profile_is_exactly_the_cases_that_exist() -> None:
    numbers = [re.match(r"test_led_(\d{3})_", name) for name in case_names()]
    assert [f"LED-{match[1]}" for match in numbers if match] == list(LEDGER_1)


def test_every_case_states_its_number_and_a_reason() -> None:
    for name in case_names():
        text = getattr(LedgerCases, name).__doc__
        assert text.startswith(f"LED-{name[9:12]}. ")
        assert len(text) > 40


class ForgetsToCompare(MemoryLedger):
    def append(self, entries: Sequence[bytes], expected_size: int, seal: Seal) -> None:
        size = self._size()
        super().append(entries, size, Seal(size + len(entries), *_rest(seal)))


class AnswersShort(MemoryLedger):
    def read(self, start: int, end: int) -> Iterator[bytes]:
        return super().read(start, min(end, self._size()))


class Reencodes(MemoryLedger):
    def read(self, start: int, end: int) -> Iterator[bytes]:
        for entry in super().read(start, end):
            yield entry.decode("utf-8", "replace").encode()


class SkipsTiles(MemoryLedger):
    def append(self, entries: Sequence[bytes], expected_size: int, seal: Seal) -> None:
        super().append(entries, expected_size, Seal(seal.size, seal.leaves, (), *_rest(seal)[2:]))


class ChangesWhatIsStored(MemoryLedger):
    def put_blob(self, digest: str, body: bytes) -> None:
        super().put_blob(digest, body.strip(b"\x00"))


class InventsBlobs(MemoryLedger):
    def get_blob(self, digest: str) -> bytes:
        try:
            return super().get_blob(digest)
        except LedgerDamaged:
            return b""


class AttachesEverywhere(MemoryLedger):
    def attach(self, size: int, lines: Sequence[bytes]) -> None:
        for seal in list(self.seals()):
            super().attach(seal.size, lines)


class StaysOpen(MemoryLedger):
    def close(self) -> None:
        return


class SealsLoosely(MemoryLedger):
    def append(self, entries: Sequence[bytes], expected_size: int, seal: Seal) -> None:
        try:
            super().append(entries, expected_size, seal)
        except BadInput:
            self._starts.append(expected_size)


class FoldsLevels(MemoryLedger):
    def hashes(self, level: int, start: int, end: int) -> bytes:
        return super().hashes(0 if level in {1, 7, 9, -8} else level, start, end)


class CriesWolf(MemoryLedger):
    def check(self) -> None:
        raise LedgerDamaged("nothing is wrong", "ignore me", "nowhere")


class ForgetsOrder(MemoryLedger):
    def seals(self) -> Iterator[Seal]:
        return reversed(list(super().seals()))


def _rest(
    seal: Seal,
) -> tuple[tuple[bytes, ...], tuple[tuple[int, int, bytes], ...], tuple[bytes, ...], bytes | None]:
    return seal.leaves, seal.tiles, seal.frontier, seal.checkpoint


HOSTILE: dict[str, Callable[[], MemoryLedger]] = {
    kind.__name__: kind
    for kind in (
        ForgetsToCompare,
        AnswersShort,
        Reencodes,
        SkipsTiles,
        ChangesWhatIsStored,
        InventsBlobs,
        AttachesEverywhere,
        StaysOpen,
        SealsLoosely,
        FoldsLevels,
        CriesWolf,
        ForgetsOrder,
    )
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_backend_that_breaks_a_duty_fails_a_case(name: str, tmp_path: Path) -> None:
    def factory(path: Path | None, *, create: bool, writable: bool) -> MemoryLedger:
        open_memory(path, create=create, writable=writable)
        return HOSTILE[name]()

    cases = ledger_conformance(factory, reopens=False)()
    assert any(fails(getattr(cases, case), tmp_path) for case in case_names())


def fails(case: Callable[[Path], None], folder: Path) -> bool:
    try:
        case(folder)
    except pytest.skip.Exception:
        return False
    except (Exception, pytest.fail.Exception):
        return True
    return False
