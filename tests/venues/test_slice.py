"""The shipped slice: pinned counts and digests, and an independent oracle that shares no code."""

import gzip
import hashlib
import json
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue_venue_recorded.cut import kept, main
from covenue_venue_recorded.dialects import DIALECTS
from covenue_venue_recorded.venue import RecordedVenue

SECOND = 1_000_000_000
FIRST, END = 1_723_161_260, 1_723_161_361
SLICE = Path(str(files("covenue_domain_routing"))) / "scenarios" / "btc-three-engines"
PARTIES = ("spot", "usdm", "coinm")


def venue(party: str) -> RecordedVenue:
    return RecordedVenue({"dialect": f"binance-{party}"}, SLICE / party)


@pytest.fixture(scope="module")
def venues() -> dict[str, RecordedVenue]:
    return {party: venue(party) for party in PARTIES}


@pytest.fixture(scope="module")
def another() -> RecordedVenue:
    return venue("coinm")


COUNTS = {
    "spot": (1_069, 1_068, 32_509),
    "usdm": (2_023, 2_022, 125_134),
    "coinm": (8_286, 8_285, 82_505),
}
TOPS = {
    ("spot", 1_723_161_260): (1_029, 1_069, [6_182_976, 318_041_000], [6_182_977, 49_726_000]),
    ("spot", 1_723_161_359): (1_190, 1_297, [6_178_225, 36_991_000], [6_178_226, 371_918_000]),
    ("usdm", 1_723_161_260): (1_258, 1_096, [618_094, 4_084], [618_095, 2_103]),
    ("usdm", 1_723_161_359): (2_718, 2_651, [617_603, 2_923], [617_604, 5_098]),
    ("coinm", 1_723_161_260): (1_033, 975, [618_112, 1_841], [618_113, 355]),
    ("coinm", 1_723_161_359): (1_135, 1_213, [617_637, 716], [617_638, 2_032]),
}
DIGESTS = {
    ("spot", 1_723_161_260): "685215a06a8b44aa5fbbc469945167d8cb17b0ba4ef8d56179bfebb709b83c94",
    ("spot", 1_723_161_359): "df12a24ecceaf46d7e591b7c7b1cbabdb987e029f370df4f4bc8b3eb4a0757ca",
    ("usdm", 1_723_161_260): "8ade33aa6edb326d625d7d952ba9c53bf8d13155b7431c7edcc454b9d564f35e",
    ("usdm", 1_723_161_359): "e8a893c4c3973529d3ed3c46b736e54801f8a88a25eb33da93fe732be992a459",
    ("coinm", 1_723_161_260): "4414cd1c96ba5e494877e0b603c8b7235f2d9eb993d1f09ef7093e9ee0ab3dad",
    ("coinm", 1_723_161_359): "aadec1756634146d2af0f44aef9e036ba24ac7ae01f8eb47b77708a13d62ea64",
}
UNPACKED = {
    "spot": "07add9397917805260e6350ec11d1467245c4cc068862853faa952335d057325",
    "usdm": "319c975f1a320e8fe8563f08b458551fbcad98762535c64511aaaf79d271a7ab",
    "coinm": "79695040c7844e53e891c4f463cbf9c5b6b80319d3838f8537c988ca803a4fbb",
}


@pytest.mark.parametrize("party", PARTIES)
def test_row_counts_are_pinned(party: str, venues: dict[str, RecordedVenue]) -> None:
    facts = venues[party].facts()
    assert (facts["lines"], facts["diffs"], facts["rows"]) == COUNTS[party]
    assert (facts["gaps"], facts["snapshots"], facts["skipped_lines"]) == (0, 1, 0)


@pytest.mark.parametrize(("party", "second"), sorted(TOPS))
def test_states_and_digests_are_pinned(
    party: str, second: int, venues: dict[str, RecordedVenue]
) -> None:
    pinned = venues[party].pin(second * SECOND)
    state = pinned.state
    assert (
        len(state.bids),
        len(state.asks),
        state.bids[0].tolist(),
        state.asks[0].tolist(),
    ) == TOPS[party, second]
    assert pinned.digest == DIGESTS[party, second]


@pytest.mark.parametrize("party", PARTIES)
def test_each_partys_folder_holds_nothing_but_its_own_capture(party: str) -> None:
    assert [entry.name for entry in (SLICE / party).iterdir()] == ["capture.gz"]
    body = gzip.decompress((SLICE / party / "capture.gz").read_bytes())
    assert hashlib.sha256(body).hexdigest() == UNPACKED[party]
    assert b"".join(kept(body.splitlines(keepends=True), END * SECOND)) == body


def test_provenance_names_the_digests_of_what_is_shipped() -> None:
    text = (SLICE / "PROVENANCE.md").read_text("utf-8")
    assert "nkaz001/hftbacktest" in text
    assert "MIT License" in (SLICE / "LICENSE").read_text("utf-8")
    for party in PARTIES:
        data = (SLICE / party / "capture.gz").read_bytes()
        assert hashlib.sha256(data).hexdigest() in text
        assert UNPACKED[party] in text


@pytest.mark.parametrize("party", PARTIES)
def test_the_local_clock_is_about_1270_ms_behind(
    party: str, venues: dict[str, RecordedVenue]
) -> None:
    facts = venues[party].facts()
    event = facts["offset_event_ns"]
    assert isinstance(event, int)
    assert -1_275_000_000 < event < -1_265_000_000
    transaction = facts["offset_transaction_ns"]
    if party == "spot":
        assert transaction is None
    else:
        assert isinstance(transaction, int)
        assert 0 < transaction - event < (2_000_000 if party == "usdm" else 8_000_000)


class SlowBook:
    """A list-based book that reads the lines itself, in Decimal, one level at a time."""

    def __init__(self, party: str) -> None:
        with gzip.open(SLICE / party / "capture.gz", "rt", encoding="ascii") as lines:
            pairs = [line.split(" ", 1) for line in lines]
        self.party = party
        self.messages = [(int(time), json.loads(text)) for time, text in pairs]
        dialect = DIALECTS[f"binance-{party}"]
        self.units = (Decimal(dialect.tick), Decimal(dialect.step))

    def sides(self, as_of: int) -> list[list[list[int]]]:
        (depth,) = [body for _, body in self.messages if "lastUpdateId" in body]
        sides = {"b": list(map(list, depth["bids"])), "a": list(map(list, depth["asks"]))}
        for time, body in self.messages:
            if time <= as_of and "data" in body and self.is_new(body["data"], depth):
                for name, levels in sides.items():
                    for change in body["data"][name]:
                        self.put(levels, change)
        return [self.sorted(sides["b"], True), self.sorted(sides["a"], False)]

    def is_new(self, data: dict[str, Any], depth: dict[str, Any]) -> bool:
        last: int = data["u"]
        known: int = depth["lastUpdateId"]
        return last > known if self.party == "spot" else last >= known

    def put(self, levels: list[list[str]], change: list[str]) -> None:
        for index, level in enumerate(levels):
            if level[0] == change[0]:
                del levels[index]
                break
        if Decimal(change[1]):
            levels.append(change)

    def sorted(self, levels: list[list[str]], descending: bool) -> list[list[int]]:
        tick, step = self.units
        whole = [[Decimal(price) / tick, Decimal(size) / step] for price, size in levels]
        assert all(value == int(value) for level in whole for value in level)
        return sorted(
            ([int(price), int(size)] for price, size in whole),
            key=lambda level: level[0],
            reverse=descending,
        )


@pytest.mark.parametrize("party", PARTIES)
def test_a_slow_book_of_lists_agrees(party: str, venues: dict[str, RecordedVenue]) -> None:
    slow = SlowBook(party)
    for as_of in (FIRST * SECOND - 2 * SECOND, FIRST * SECOND + 777_777_777):
        state = venues[party].pin(as_of).state
        assert [state.bids.tolist(), state.asks.tolist()] == slow.sides(as_of)


@settings(max_examples=25, deadline=None)
@given(times=st.lists(st.integers(FIRST * SECOND, END * SECOND), min_size=2, max_size=6))
def test_any_order_of_pins_gives_the_same_digests(
    times: list[int], venues: dict[str, RecordedVenue], another: RecordedVenue
) -> None:
    walked = venues["coinm"]
    there = {time: walked.pin(time).digest for time in times}
    back = {time: walked.pin(time).digest for time in reversed(times)}
    forward = {time: another.pin(time).digest for time in sorted(times)}
    assert there == back == forward


@pytest.mark.parametrize("chunk_bytes", [777, 65_536, 1 << 26])
def test_any_chunk_size_gives_the_same_columns(chunk_bytes: int) -> None:
    config = {"dialect": "binance-spot"}
    chunked = RecordedVenue(config, SLICE / "spot", chunk_bytes=chunk_bytes)
    assert chunked.pin(1_723_161_359 * SECOND).digest == DIGESTS["spot", 1_723_161_359]
    assert chunked.facts() == venue("spot").facts()


def test_cutting_keeps_original_lines_and_is_deterministic(tmp_path: Path) -> None:
    lines = [
        b'5 {"stream":"x@depth@0ms","data":{}}\n',
        b'6 {"stream":"x@bookTicker","data":{}}\n',
        b'7 {"lastUpdateId":1,"bids":[],"asks":[]}\n',
        b'8 {"stream":"x@depth@0ms",  "data":{}}\n',
        b'9 {"stream":"x@depth@0ms","data":{}}\n',
    ]
    source = tmp_path / "source.gz"
    source.write_bytes(gzip.compress(b"".join(lines), mtime=0))
    cuts = []
    for name in ("one.gz", "two.gz"):
        result = CliRunner().invoke(main, [str(source), str(tmp_path / name), "--until", "8"])
        assert result.exit_code == 0, result.output
        cuts.append((tmp_path / name).read_bytes())
    assert cuts[0] == cuts[1]
    assert gzip.decompress(cuts[0]) == lines[0] + lines[2] + lines[3]


def test_cutting_never_overwrites(tmp_path: Path) -> None:
    source = tmp_path / "source.gz"
    source.write_bytes(gzip.compress(b"", mtime=0))
    (tmp_path / "dest.gz").write_bytes(b"kept")
    result = CliRunner().invoke(main, [str(source), str(tmp_path / "dest.gz"), "--until", "8"])
    assert result.exit_code == 1
    assert "exists" in result.output
    assert (tmp_path / "dest.gz").read_bytes() == b"kept"


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"no time {}\n", mtime=0)])
def test_cutting_something_else_leaves_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "source.gz").write_bytes(content)
    result = CliRunner().invoke(
        main, [str(tmp_path / "source.gz"), str(tmp_path / "dest.gz"), "--until", "8"]
    )
    assert result.exit_code == 1
    assert "no capture" in result.output
    assert not (tmp_path / "dest.gz").exists()
