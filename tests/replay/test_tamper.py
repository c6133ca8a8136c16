"""A ledger with any byte changed fails `verify` with the place named, and never with a traceback.

The oracle for flips anywhere in the file: they must fail, unless every stored cell still reads as
before. What then differs is unused: free space of a page, or header fields that hold no value.
"""

import hashlib
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.replay.forge import rows
from tests.replay.tiny import NAMES, Done, check_of, run_tiny, scenario_text

from covenue.cli.program import program
from covenue.errors import BadInput
from covenue.registry.load import Registry
from covenue.replay import Verdict, replay, verify
from covenue.rounds.output import party_ledger

COLUMNS = (
    ("segments", "start"),
    ("segments", "entries"),
    ("segments", "leaves"),
    ("segments", "tiles"),
    ("segments", "frontier"),
    ("segments", "checkpoint"),
    ("blobs", "digest"),
    ("blobs", "body"),
)
KEYS = {"segments": "start", "blobs": "digest"}
REGISTRY = Registry()


def ledgers(done: Done) -> dict[str, Path]:
    """The plan's ledger, and one node's."""
    return {"plan": done.ledger, "node": party_ledger(done.out, "spot")}


def change(ledger: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute(statement, values)
        connection.commit()


def cells(ledger: Path, table: str, column: str) -> list[tuple[object, object]]:
    """(key, value) of every cell of a column."""
    with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        statement = f"SELECT {KEYS[table]}, {column} FROM {table}"  # noqa: S608 -- names of ours
        return connection.execute(statement).fetchall()


def damaged(ledger: Path) -> Verdict:
    """The verdict on a damaged ledger: it is not ok, and says where."""
    verdict = verify(ledger, REGISTRY)
    assert not verdict.ok, "the damage went unseen"
    assert verdict.difference is not None
    place = verdict.difference.get("place") or verdict.difference.get("pointer")
    assert place, verdict
    return verdict


def flips(value: object, chance: random.Random, count: int) -> Iterator[object]:
    """A value with one bit of it changed; of an empty one, with something in it."""
    if isinstance(value, int):
        for bit in chance.sample(range(20), min(count, 20)):
            yield value ^ (1 << bit)
        return
    assert isinstance(value, bytes)
    if not value:
        yield b"\0" * 41
        return
    for at in chance.sample(range(len(value)), min(count, len(value))):
        changed = bytearray(value)
        changed[at] ^= 1 << chance.randrange(8)
        yield bytes(changed)


def check_column(ledger: Path, table: str, column: str, most_rows: int, each: int) -> None:
    chance = random.Random(f"{table} {column}")
    found = cells(ledger, table, column)
    assert found
    for key, value in chance.sample(found, min(most_rows, len(found))):
        for other in flips(value, chance, each):
            if column in KEYS.values() and any(other == known for known, _ in found):
                continue  # two rows cannot have one key
            key_column = KEYS[table]
            statement = f"UPDATE {table} SET {column} = ? WHERE {key_column} = ?"  # noqa: S608 -- names of ours
            change(ledger, statement, other, key)
            damaged(ledger)
            change(ledger, statement, value, other if column == KEYS[table] else key)
    assert verify(ledger, REGISTRY).ok, "each damage was that of one cell"


@pytest.mark.parametrize("which", ["plan", "node"])
@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_flipped_bit_in_any_column_is_found(
    copy: Done, which: str, table: str, column: str
) -> None:
    check_column(ledgers(copy)[which], table, column, most_rows=4, each=1)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["plan", "node"])
@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_flipped_bit_in_any_cell_is_found(
    copy: Done, which: str, table: str, column: str
) -> None:
    check_column(ledgers(copy)[which], table, column, most_rows=10_000, each=3)


def test_the_columns_are_all_that_is_stored(done: Done) -> None:
    with closing(sqlite3.connect(f"{done.ledger.as_uri()}?mode=ro&immutable=1", uri=True)) as found:
        tables = found.execute("SELECT name FROM sqlite_schema ORDER BY name DESC").fetchall()
        stored = [(t, c[1]) for (t,) in tables for c in found.execute(f"PRAGMA table_info({t})")]
    assert sorted(stored) == sorted(COLUMNS)


def last_start(ledger: Path) -> object:
    return max(int(str(key)) for key, _ in cells(ledger, "segments", "start"))


def place(verdict: Verdict) -> str:
    assert verdict.difference is not None
    return str(verdict.difference["place"])


def test_the_last_group_cannot_be_taken_away_where_a_party_has_seen_it(copy: Done) -> None:
    start = last_start(copy.ledger)
    change(copy.ledger, "DELETE FROM segments WHERE start = ?", start)
    verdict = damaged(copy.ledger)
    assert place(verdict).startswith("checkpoint of size ")
    assert "ROLLBACK" in verdict.checks[-1][2]
    assert not replay(copy.ledger, None, REGISTRY).ok


def test_mutant_without_the_parties_heads_the_last_group_is_not_missed(copy: Done) -> None:
    """By itself such a log is one that a crash ended there."""
    change(copy.ledger, "DELETE FROM segments WHERE start = ?", last_start(copy.ledger))
    for name in NAMES:
        party_ledger(copy.out, name).unlink()
    verdict = verify(copy.ledger, REGISTRY)
    assert verdict.ok
    assert ("followers", "not available") in [check[:2] for check in verdict.checks]


def test_an_inner_group_cannot_be_taken_away(copy: Done) -> None:
    starts = [key for key, _ in cells(copy.ledger, "segments", "start")]
    change(copy.ledger, "DELETE FROM segments WHERE start = ?", starts[len(starts) // 2])
    assert place(damaged(copy.ledger)).startswith("index: entry ")


def test_two_groups_cannot_change_places(copy: Done) -> None:
    with closing(sqlite3.connect(copy.ledger)) as connection:
        found = connection.execute(
            "SELECT start, entries, leaves, tiles, frontier, checkpoint FROM segments"
        ).fetchall()
        sizes: dict[int, list[tuple[object, ...]]] = {}
        for row in found:
            sizes.setdefault(len(row[2]), []).append(row)
        one, two = next(group for group in sizes.values() if len(group) > 1)[:2]
        for key, row in ((one[0], two), (two[0], one)):
            connection.execute(
                "UPDATE segments SET entries=?, leaves=?, tiles=?, frontier=?, checkpoint=? "
                "WHERE start=?",
                (*row[1:], key),
            )
        connection.commit()
    assert place(damaged(copy.ledger))


def test_two_entries_of_a_group_cannot_change_places(copy: Done) -> None:
    """Bundle and leaves both, so that every entry still has its own leaf."""
    with closing(sqlite3.connect(copy.ledger)) as connection:
        found = connection.execute("SELECT start, entries, leaves FROM segments").fetchall()
        start, bundle, leaves = next(row for row in found if len(row[2]) == 64)
        first = 2 + int.from_bytes(bundle[:2], "big")
        connection.execute(
            "UPDATE segments SET entries=?, leaves=? WHERE start=?",
            (bundle[first:] + bundle[:first], leaves[32:] + leaves[:32], start),
        )
        connection.commit()
    assert place(damaged(copy.ledger))


def test_a_blob_cannot_be_taken_away(copy: Done) -> None:
    keys = [key for key, _ in cells(copy.ledger, "blobs", "digest")]
    change(copy.ledger, "DELETE FROM blobs WHERE digest = ?", keys[3])
    assert place(damaged(copy.ledger)).startswith("blob ")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (a)",
        "CREATE INDEX more ON segments (checkpoint)",
        "CREATE VIEW more AS SELECT 1",
        "PRAGMA user_version = 9",
        "PRAGMA application_id = 9",
        "DELETE FROM segments",
        "UPDATE segments SET entries = 'text' WHERE start = 0",
        "UPDATE segments SET checkpoint = NULL",
        "INSERT INTO segments VALUES (-5, x'', x'', x'', x'', NULL)",
        "INSERT INTO blobs VALUES ('text', x'')",
    ],
)
def test_nothing_can_be_added_or_put_out_of_sight(copy: Done, statement: str) -> None:
    change(copy.ledger, statement)
    damaged(copy.ledger)


# ---- the file itself


def check_flip(ledger: Path, original: bytes, stored: object, at: int, bit: int) -> bool:
    """Flip one bit of the file; whether verify saw it. A flip may stay unseen only where every
    cell still reads as before."""
    ledger.write_bytes(original[:at] + bytes([original[at] ^ (1 << bit)]) + original[at + 1 :])
    if not verify(ledger, REGISTRY).ok:
        return True
    assert rows(ledger) == stored, f"byte {at} changed what is stored, and nobody saw it"
    return False


def check_file(ledger: Path, offsets: Callable[[int, random.Random], list[int]]) -> float:
    """The share of flips that were seen."""
    original, stored = ledger.read_bytes(), rows(ledger)
    chance = random.Random(len(original))
    seen = [
        check_flip(ledger, original, stored, at, chance.randrange(8))
        for at in offsets(len(original), chance)
    ]
    ledger.write_bytes(original)
    return sum(seen) / len(seen)


@pytest.mark.parametrize("which", ["plan", "node"])
def test_a_flipped_bit_of_the_file_is_seen_or_lies_in_unused_space(copy: Done, which: str) -> None:
    share = check_file(ledgers(copy)[which], lambda size, chance: chance.sample(range(size), 40))
    assert share > 0.5, "most of the file is used"


def test_a_flipped_bit_of_the_files_header_is_seen_or_holds_no_value(copy: Done) -> None:
    check_file(copy.ledger, lambda _, chance: chance.sample(range(100), 30))


@pytest.mark.slow
@pytest.mark.parametrize("which", ["plan", "node"])
def test_many_flipped_bits_of_the_file(copy: Done, which: str) -> None:
    check_file(ledgers(copy)[which], lambda size, chance: chance.sample(range(size), 3_000))


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.3, 0.5, 0.9, 0.9999])
def test_a_truncated_file_is_damaged(copy: Done, share: float) -> None:
    data = copy.ledger.read_bytes()
    copy.ledger.write_bytes(data[: max(1, int(len(data) * share))])
    damaged(copy.ledger)


@pytest.mark.parametrize(
    ("name", "content"),
    {"an empty file": b"", "some text": b"no ledger" * 99, "zeros": bytes(8192)}.items(),
)
def test_what_never_was_a_ledger_is_bad_input(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name.replace(" ", "-")
    path.write_bytes(content)
    with pytest.raises(BadInput, match="no ledger"):
        verify(path, REGISTRY)
    for command in (["verify"], ["replay"], ["ledger", "show"]):
        assert CliRunner().invoke(program, [*command, str(path)]).exit_code == 2


def test_a_ledger_whose_first_bytes_are_damaged_is_still_damaged(copy: Done) -> None:
    """Damage must not turn the failed check into bad input."""
    content = copy.ledger.read_bytes()
    copy.ledger.write_bytes(b"\0\0\0\0" + content[4:])
    assert place(damaged(copy.ledger)) == "file header"
    assert CliRunner().invoke(program, ["verify", str(copy.ledger)]).exit_code == 1


def test_another_sqlite_database_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "other"
    change(path, "CREATE TABLE segments (start INTEGER PRIMARY KEY)")
    assert place(damaged(path)) == "file header"


def test_a_missing_ledger_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing"):
        verify(tmp_path / "nothing", REGISTRY)
    with pytest.raises(BadInput, match="no ledger"):
        verify(tmp_path, REGISTRY)


def test_a_damaged_party_log_beside_a_ledger_is_named(copy: Done) -> None:
    ledger = party_ledger(copy.out, "coinm")
    (_, body), *_ = cells(ledger, "segments", "leaves")
    assert isinstance(body, bytes)
    change(ledger, "UPDATE segments SET leaves = ? WHERE start = 0", bytes(len(body)))
    for check in (verify(copy.ledger, REGISTRY), replay(copy.ledger, None, REGISTRY)):
        assert (check.ok, check.status, check.depth) == (False, "damaged", "transcript")
        assert check_of(check, "followers") == "fail"
        assert check_of(check, "integrity") == "pass", "the plan's own ledger is not concerned"
        assert place(check) == "parties/coinm.ledger"


SPOILT: dict[str, bytes] = {"an empty file": b"", "text": b"no ledger", "half of it": b""}


@pytest.mark.parametrize("how", SPOILT)
def test_a_party_log_that_cannot_be_read_fails_the_followers(copy: Done, how: str) -> None:
    """And it is named, with the others that are whole."""
    ledger = party_ledger(copy.out, "spot")
    half = ledger.read_bytes()[: ledger.stat().st_size // 2]
    ledger.write_bytes(half if how == "half of it" else SPOILT[how])
    verdict = verify(copy.ledger, REGISTRY)
    assert check_of(verdict, "followers") == "fail"
    assert place(verdict) == "parties/spot.ledger"
    assert CliRunner().invoke(program, ["verify", str(copy.ledger)]).exit_code == 1


def test_a_party_log_of_another_run_is_no_witness(copy: Done, tmp_path: Path) -> None:
    other = run_tiny(tmp_path / "other", scenario_text().replace('"tiny"', '"other"'))
    shutil.copy(party_ledger(other.out, "spot"), party_ledger(copy.out, "spot"))
    verdict = verify(copy.ledger, REGISTRY)
    assert verdict.difference is not None
    assert "spot (it follows another log)" in verdict.difference["what"]


def test_mutant_that_passes_over_unreadable_party_logs_sees_no_cut(
    copy: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is cut and its witnesses are spoilt: only the failed check says so."""
    change(copy.ledger, "DELETE FROM segments WHERE start = (SELECT max(start) FROM segments)")
    assert not verify(copy.ledger, REGISTRY).ok
    for name in NAMES:
        party_ledger(copy.out, name).write_bytes(b"")
    assert not verify(copy.ledger, REGISTRY).ok
    monkeypatch.setattr(sys.modules["covenue.replay.verify"], "_fault", lambda *_: None)
    assert verify(copy.ledger, REGISTRY).ok


def test_blobs_that_no_entry_names_are_stated(copy: Done) -> None:
    """They are no damage: an interrupted append leaves one, and a party whose plan was void."""
    body = b"foreign"
    change(copy.ledger, "INSERT INTO blobs VALUES (?, ?)", hashlib.sha256(body).digest(), body)
    verdict = verify(copy.ledger, REGISTRY)
    assert verdict.ok
    (detail,) = [detail for name, _, detail in verdict.checks if name == "integrity"]
    assert detail.endswith("; 1 blobs that no entry names")


def test_a_damaged_ledger_exits_with_one_and_prints_no_traceback(copy: Done) -> None:
    change(copy.ledger, "UPDATE segments SET frontier = zeroblob(32) WHERE start = 0")
    for command in ("verify", "replay"):
        result = CliRunner().invoke(program, [command, str(copy.ledger)])
        assert result.exit_code == 1
        assert "Traceback" not in result.output
        assert "frontier of size 1" in result.output
