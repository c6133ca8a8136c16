"""The strict reader: a foreign line ends the reading, with line, field and value named."""

import gzip
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.venues.captures import THREE, capture_lines, instrument, line, message, opened, save

from covenue.errors import BadInput, CaptureDamaged, StateStale
from covenue.testing.venues import PRICE, Change, Depth, MarketEvent, at
from covenue_venue_recorded.capture import Capture, read_capture
from covenue_venue_recorded.dialects import COINM, SPOT, USDM, Dialect
from covenue_venue_recorded.grid import DecimalGrid, OffGrid
from covenue_venue_recorded.venue import RecordedVenue


def session() -> list[MarketEvent]:
    return [
        Change(at(0), 91, 105, 90, asks=((PRICE + 1, 5),)),
        Depth(at(1), 100, ((PRICE - 1, 5),), ((PRICE + 1, 4), (PRICE + 2, 5))),
        Change(at(2), 106, 110, 105, bids=((PRICE - 2, 5),), asks=((PRICE + 2, 0),)),
    ]


def read(dialect: Dialect, folder: Path, lines: list[bytes]) -> Capture:
    traded = instrument(dialect)
    return read_capture(
        save(folder, lines),
        dialect,
        traded.symbol,
        Fraction(traded.tick),
        Fraction(traded.step),
    )


def edited(dialect: Dialect, number: int, **fields: Any) -> list[bytes]:
    """The session's lines with fields of one message set, or removed where None."""
    lines = capture_lines(dialect, session())
    event = session()[number]
    document = message(dialect, event)
    body = document.get("data", document)
    for name, value in fields.items():
        if value is None:
            del body[name]
        else:
            body[name] = value
    lines[number] = line(event.time, document)
    return lines


def refused(dialect: Dialect, folder: Path, lines: list[bytes]) -> CaptureDamaged:
    with pytest.raises(CaptureDamaged) as caught:
        read(dialect, folder, lines)
    assert caught.value.file == str(folder / "capture.gz")
    assert caught.value.advice
    return caught.value


@pytest.mark.parametrize("dialect", THREE, ids=lambda dialect: dialect.name)
def test_a_session_becomes_columns(dialect: Dialect, tmp_path: Path) -> None:
    capture = read(dialect, tmp_path, capture_lines(dialect, session()))
    assert capture.lines == 3
    assert capture.first.tolist() == [91, 106]
    assert capture.last.tolist() == [105, 110]
    assert capture.previous.tolist() == [90, 105]
    assert capture.starts.tolist() == [0, 1, 3]
    assert capture.ticks.tolist() == [PRICE + 1, PRICE - 2, PRICE + 2]
    assert capture.steps.tolist() == [5, 5, 0]
    assert capture.side.tolist() == [1, 0, 1]
    assert capture.transaction.tolist()[0] == (-1 if dialect is SPOT else capture.event[0] - 5)
    assert [depth.position for depth in capture.depths] == [1]


def test_columns_are_owned_and_read_only(tmp_path: Path) -> None:
    capture = read(SPOT, tmp_path, capture_lines(SPOT, session()))
    with pytest.raises(ValueError, match="read-only"):
        capture.ticks[0] = 1


@pytest.mark.parametrize("dialect", THREE, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("other", THREE, ids=lambda dialect: dialect.name)
def test_a_capture_is_read_in_its_own_dialect_only(
    dialect: Dialect, other: Dialect, tmp_path: Path
) -> None:
    if dialect is not other:
        refused(other, tmp_path, capture_lines(dialect, session()))


CASES: dict[str, tuple[Dialect, int, dict[str, Any], str, str]] = {
    "a spot diff has no transaction time": (SPOT, 0, {"T": 5}, "line 1", "unknown field `T`"),
    "a spot diff has no pu": (SPOT, 0, {"pu": 5}, "line 1", "unknown field `pu`"),
    "a spot snapshot has no event time": (SPOT, 1, {"E": 5}, "line 2", "unknown field `E`"),
    "a futures diff without pu": (USDM, 0, {"pu": None}, "line 1", "missing required field `pu`"),
    "a COIN-M snapshot without pair": (COINM, 1, {"pair": None}, "line 2", "field `pair`"),
    "another symbol": (USDM, 2, {"s": "ETHUSDT"}, "line 3: s", "ETHUSDT"),
    "another symbol's snapshot": (COINM, 1, {"symbol": "ETH"}, "line 2: symbol", "ETH"),
    "another event": (SPOT, 0, {"e": "kline"}, "line 1: $.e", "kline"),
    "ids that go back": (SPOT, 2, {"u": 9}, "line 3: u", "9 below U 106"),
    "an id beyond 64 bits": (SPOT, 2, {"u": 2**70}, "line 3: $.u", "Expected `int`"),
    "a negative id": (SPOT, 2, {"U": -1}, "line 3: $.U", "Expected `int`"),
    "a time beyond its range": (SPOT, 0, {"E": 10**18}, "line 1: $.E", "Expected `int`"),
    "an id as text": (SPOT, 0, {"u": "105"}, "line 1: $.u", "Expected `int`"),
    "a price as a number": (SPOT, 0, {"b": [[1, "1"]]}, "line 1: $.b[0][0]", "Expected `str`"),
    "three items a level": (SPOT, 0, {"b": [["1", "1", "1"]]}, "line 1: $.b[0]", "length 2"),
    "a price off the tick grid": (SPOT, 0, {"b": [["1.005", "1"]]}, "line 1: level", "1.005"),
    "a quantity off the step grid": (USDM, 0, {"b": [["1", "0.0005"]]}, "line 1", "0.0005"),
    "half a contract": (COINM, 0, {"a": [["1.0", "0.5"]]}, "line 1: level", "0.5"),
    "a price of zero": (USDM, 0, {"a": [["0.0", "1"]]}, "line 1: level", "0.0"),
    "a negative quantity": (USDM, 0, {"a": [["1.0", "-1"]]}, "line 1: level", "-1"),
    "an exponent": (USDM, 0, {"a": [["1e3", "1"]]}, "line 1: level", "1e3"),
    "a snapshot in no order": (
        SPOT,
        1,
        {"asks": [["2", "1"], ["1", "1"]]},
        "line 2: asks",
        "best first",
    ),
    "a snapshot that names a price twice": (
        SPOT,
        1,
        {"bids": [["2", "1"], ["2", "1"]]},
        "line 2: bids",
        "best first",
    ),
    "a snapshot with an empty level": (SPOT, 1, {"bids": [["2", "0"]]}, "line 2: bids", "without"),
    "an error where the snapshot should be": (SPOT, 1, {"code": -1003}, "line 2", "`code`"),
}


@pytest.mark.parametrize("sentence", sorted(CASES))
def test_a_foreign_field_or_value_is_named(sentence: str, tmp_path: Path) -> None:
    dialect, number, fields, place, value = CASES[sentence]
    error = refused(dialect, tmp_path, edited(dialect, number, **fields))
    assert error.field.startswith(place)
    assert value in error.value


@pytest.mark.parametrize(
    "stream",
    [
        "btcusdt@depth20@100ms",
        "btcusdt@depth5",
        "btcusdt@aggTrade",
        "btcusdt@kline_1m",
        "ethusdt@depth@100ms",
        "ethusdt@trade",
        "btcusdt",
    ],
)
def test_an_unmapped_stream_ends_the_reading(stream: str, tmp_path: Path) -> None:
    lines = capture_lines(SPOT, session())
    lines.append(line(at(3), {"stream": stream, "data": {}}))
    error = refused(SPOT, tmp_path, lines)
    assert (error.field, error.value) == ("line 4: stream", stream)


def test_known_streams_are_skipped_and_counted(tmp_path: Path) -> None:
    lines = capture_lines(SPOT, session())
    for name in ("bookTicker", "trade"):
        lines.append(line(at(3), {"stream": f"btcusdt@{name}", "data": {"u": 1}}))
    capture = read(SPOT, tmp_path, lines)
    assert (capture.lines, capture.skipped, len(capture.local)) == (5, 2, 2)


def test_local_time_may_stand_still_but_not_go_back(tmp_path: Path) -> None:
    lines = capture_lines(SPOT, session())
    same = line(at(2), {"stream": "btcusdt@trade", "data": {}})
    assert read(SPOT, tmp_path, [*lines, same]).lines == 4
    back = line(at(2) - 1, {"stream": "btcusdt@trade", "data": {}})
    error = refused(SPOT, tmp_path, [*lines, back])
    assert error.field == "line 4: local time"
    assert str(at(2) - 1) in error.value


@pytest.mark.parametrize(
    "stamp", [b"", b"-5", b"1.5", b"x", b"99999999999999999999", b"9999999999999999999"]
)
def test_a_line_without_a_local_time_is_refused(stamp: bytes, tmp_path: Path) -> None:
    assert refused(SPOT, tmp_path, [stamp + b' {"stream":"btcusdt@trade","data":{}}\n']).field == (
        "line 1: local time"
    )


@pytest.mark.parametrize("garbage", [b"\xff", b"nul", b"[1]", b"1", b'{"stream":"\xff"}', b"{} {}"])
def test_a_line_that_is_no_json_object_is_refused(garbage: bytes, tmp_path: Path) -> None:
    lines = capture_lines(SPOT, session())
    error = refused(SPOT, tmp_path, [*lines, b"%d %s\n" % (at(3), garbage)])
    assert error.field.startswith("line 4")


def test_a_capture_cut_off_anywhere_is_refused_or_ends_at_a_line(tmp_path: Path) -> None:
    whole = b"".join(capture_lines(SPOT, session()))
    ends = {index + 1 for index, byte in enumerate(whole) if byte == 10}
    ends |= {end - 1 for end in ends}
    for length in range(1, len(whole)):
        if length in ends:
            read(SPOT, tmp_path, [whole[:length]])
        else:
            refused(SPOT, tmp_path, [whole[:length]])


def test_a_truncated_gzip_is_refused_at_every_length(tmp_path: Path) -> None:
    file = save(tmp_path, capture_lines(SPOT, session()))
    whole = file.read_bytes()
    for length in range(1, len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(CaptureDamaged):
            RecordedVenue({"dialect": "binance-spot"}, tmp_path)


def test_a_changed_byte_of_the_gzip_body_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path, capture_lines(SPOT, session()))
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(CaptureDamaged, match="truncated or no gzip"):
        RecordedVenue({"dialect": "binance-spot"}, tmp_path)


@pytest.mark.parametrize("content", [b"", b"1700000000000000000 {}\n", gzip.compress(b"", mtime=0)])
def test_an_empty_or_plain_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "capture.gz").write_bytes(content)
    with pytest.raises(CaptureDamaged):
        RecordedVenue({"dialect": "binance-spot"}, tmp_path)


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 600, b"x", b"\x1f", b"\x1f\x8b", b"{}\n"])
def test_bytes_behind_the_gzip_are_refused(tail: bytes, tmp_path: Path) -> None:
    file = save(tmp_path, capture_lines(SPOT, session()))
    RecordedVenue({"dialect": "binance-spot"}, tmp_path)
    file.write_bytes(file.read_bytes() + tail)
    for chunk_bytes in (1, 7, 1 << 20):
        with pytest.raises(CaptureDamaged, match="truncated or no gzip"):
            RecordedVenue({"dialect": "binance-spot"}, tmp_path, chunk_bytes=chunk_bytes)


def test_a_capture_in_several_gzip_members_is_read_whole(tmp_path: Path) -> None:
    lines = capture_lines(SPOT, session())
    members = [gzip.compress(part, mtime=0) for part in (lines[0][:9], lines[0][9:], *lines[1:])]
    for chunk_bytes in (1, 7, 1 << 20):
        (tmp_path / "capture.gz").write_bytes(b"".join(members))
        venue = RecordedVenue({"dialect": "binance-spot"}, tmp_path, chunk_bytes=chunk_bytes)
        assert venue.facts()["lines"] == len(lines)


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    for dialect in (SPOT, USDM, COINM):
        for number, whole in enumerate(capture_lines(dialect, session()), start=1):
            stamp, _, text = whole.rstrip().partition(b" ")
            held = json.loads(text)
            inner = held.get("data", held)
            for key in inner:
                twin = json.dumps({key: inner[key]})[1:-1]
                end = "}}" if "data" in held else "}"
                body = text.decode().removesuffix(end) + f",{twin}{end}"
                lines = capture_lines(dialect, session())
                lines[number - 1] = stamp + b" " + body.encode() + b"\n"
                assert refused(dialect, tmp_path, lines).field == f"line {number}: keys"


@pytest.mark.parametrize(
    "text",
    [
        b'{"stream":"btcusdt@trade","stream":"btcusdt@trade","data":{}}',
        b'{"stream":"btcusdt@depth","stream":"btcusdt@trade","data":{}}',
        b'{"stream":"btcusdt@trade","data":{"u":1,"u":1}}',
    ],
)
def test_a_key_that_is_there_twice_in_a_skipped_line_is_refused(
    text: bytes, tmp_path: Path
) -> None:
    lines = [*capture_lines(SPOT, session()), b"%d %s\n" % (at(3), text)]
    assert refused(SPOT, tmp_path, lines).field == "line 4: keys"


def test_a_capture_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "capture.gz").mkdir()
    with pytest.raises(CaptureDamaged, match="is a folder") as caught:
        RecordedVenue({"dialect": "binance-spot"}, tmp_path)
    assert caught.value.file == str(tmp_path / "capture.gz")


def test_a_missing_capture_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureDamaged, match="not there") as caught:
        RecordedVenue({"dialect": "binance-spot"}, tmp_path)
    assert caught.value.file == str(tmp_path / "capture.gz")


def test_a_line_without_end_is_not_kept_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covenue_venue_recorded.capture.LINE_BYTES_MAX", 100)
    file = save(tmp_path, [b"1 " + b"x" * 1000])
    with pytest.raises(CaptureDamaged, match="line 1"):
        read_capture(file, SPOT, "BTCUSDT", Fraction(1, 100), Fraction(1), chunk_bytes=64)


@given(
    multiples=st.integers(1, 2**63 - 1),
    exponent=st.integers(0, 8),
    zeros=st.integers(0, 3),
)
def test_a_multiple_of_a_power_of_ten_is_read_exactly(
    multiples: int, exponent: int, zeros: int
) -> None:
    digits = str(multiples).rjust(exponent + 1, "0")
    text = digits[: len(digits) - exponent]
    if exponent or zeros:
        text += "." + digits[len(digits) - exponent :] + "0" * zeros
    grid = DecimalGrid(Fraction(1, 10**exponent), least=1)
    assert grid[text] == multiples
    assert grid[text] == multiples


@given(numerator=st.integers(0, 10**12), exponent=st.integers(0, 6))
def test_a_decimal_is_on_the_grid_exactly_when_it_divides(numerator: int, exponent: int) -> None:
    text = f"{numerator // 10**exponent}"
    if exponent:
        text += f".{numerator % 10**exponent:0{exponent}d}"
    value, increment = Fraction(numerator, 10**exponent), Fraction(1, 40)
    grid = DecimalGrid(increment, least=0)
    if (value / increment).denominator == 1:
        assert grid[text] * increment == value
    else:
        with pytest.raises(OffGrid):
            grid[text]


@pytest.mark.parametrize("text", ["", " 1", "1 ", "01", "1.", ".5", "+1", "1_0", "١", "inf", "nan"])
def test_text_that_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(OffGrid, match="no plain decimal"):
        DecimalGrid(Fraction(1), least=0)[text]


def test_a_quantity_beyond_int64_is_refused() -> None:
    grid = DecimalGrid(Fraction(1), least=0)
    assert grid[str(2**63 - 1)] == 2**63 - 1
    with pytest.raises(OffGrid, match="range"):
        grid[str(2**63)]


OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no dialect": ({}, "dialect"),
    "an unknown dialect": ({"dialect": "kraken"}, "dialect"),
    "an unknown key": ({"dialect": "binance-spot", "tik": "1"}, "tik"),
    "a tick that is a number": ({"dialect": "binance-spot", "tick": 1}, "tick"),
    "a tick of zero": ({"dialect": "binance-spot", "tick": "0.0"}, "tick"),
    "a lot of its own": ({"dialect": "binance-spot", "lot": "0.00001"}, "lot"),
    "a step with an exponent": ({"dialect": "binance-spot", "step": "1e-3"}, "step"),
    "a capture elsewhere": ({"dialect": "binance-spot", "capture": "../a.gz"}, "capture"),
    "an endless watchdog": ({"dialect": "binance-spot", "stale_ms": 0}, "stale_ms"),
    "a watchdog of truth": ({"dialect": "binance-spot", "stale_ms": True}, "stale_ms"),
    "an unknown rule for gaps": ({"dialect": "binance-spot", "gaps": "ignore"}, "gaps"),
    "a name in capitals": ({"dialect": "binance-spot", "canonical": "BTC"}, "canonical"),
    "a tick that JSON cannot carry": ({"dialect": "binance-spot", "tick": "01"}, "tick"),
}


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [("dialect", (1,), "[1]"), ("tick", (True, "1"), '[true, "1"]'), ("lots", False, "false")],
)
def test_a_wrong_value_is_shown_as_toml_writes_it(
    key: str, value: Any, text: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as caught:
        RecordedVenue({"dialect": "binance-spot", key: value}, tmp_path)
    assert (caught.value.field, caught.value.value) == (f"venue_config.{key}", text)


@pytest.mark.parametrize("sentence", sorted(OPTIONS))
def test_a_wrong_option_is_named(sentence: str, tmp_path: Path) -> None:
    config, field = OPTIONS[sentence]
    with pytest.raises(BadInput) as caught:
        RecordedVenue(config, tmp_path)
    assert caught.value.field == f"venue_config.{field}"


def test_the_tick_is_an_option(tmp_path: Path) -> None:
    venue = opened(USDM, tmp_path, session(), tick="0.05")
    assert venue.pin(at(2)).state.asks.tolist() == [[2 * (PRICE + 1), 5]]
    assert venue.instrument.tick == "0.05"


def test_the_stamp_does_not_know_the_future(tmp_path: Path) -> None:
    short = opened(USDM, tmp_path / "short", session()).pin(at(2)).state.stamp
    later = Change(at(3), 111, 112, 110)
    long = opened(USDM, tmp_path / "long", [*session(), later]).pin(at(2)).state.stamp
    assert short == long
    assert int(short.offset) == -1_270_000_000
    assert int(short.half_width) == 500_000


def test_offsets_say_which_clock_and_spot_has_no_transaction_time(tmp_path: Path) -> None:
    spot = opened(SPOT, tmp_path / "spot", session()).facts()
    futures = opened(USDM, tmp_path / "usdm", session()).facts()
    assert spot["offset_event_ns"] == futures["offset_event_ns"] == -1_270_000_000
    assert spot["offset_transaction_ns"] is None
    assert futures["offset_transaction_ns"] == -1_265_000_000


def test_the_envelope_wanders_with_a_drifting_clock(tmp_path: Path) -> None:
    drifting = [*session()]
    last = 110
    for step in range(30):
        time = at(10 + 10 * step) + step * 1_000_000
        drifting.append(Change(time, last + 1, last + 1, last))
        last += 1
    lines = capture_lines(SPOT, drifting[:3])
    for step, event in enumerate(drifting[3:]):
        document = message(SPOT, event)
        document["data"]["E"] = at(10 + 10 * step) // 1_000_000 + 1_270
        lines.append(line(event.time, document))
    save(tmp_path, lines)
    facts = RecordedVenue({"dialect": "binance-spot"}, tmp_path).facts()
    width = facts["offset_event_half_width_ns"]
    assert isinstance(width, int)
    assert 5_000_000 < width <= 15_500_000


def test_errors_of_a_pin_hold_no_price_and_no_quantity(tmp_path: Path) -> None:
    venue = opened(SPOT, tmp_path, session())
    with pytest.raises(StateStale) as caught:
        venue.pin(at(900))
    assert str(PRICE)[:4] not in str(caught.value).replace(str(at(900)), "").replace(str(at(2)), "")
