"""A folder or an option that does not fit: an error names file or key, field, and value."""

import gzip
import json
from pathlib import Path

import pytest
from tests.venues.simulated import INSTRUMENT, save

from covenue.errors import BadInput
from covenue_contracts.contract import Scalar
from covenue_venue_sim.engine import BUY, SELL, Amend, Cancel, New
from covenue_venue_sim.flow import Timed
from covenue_venue_sim.tables import read_orders
from covenue_venue_sim.venue import SimVenue

GOOD = (
    Timed(5, New("a", "a", SELL, 101, 4)),
    Timed(5, New("b", "mm", BUY, 99, 6, "post")),
    Timed(6, Amend("a", 102, 3)),
    Timed(7, Cancel("b")),
    Timed(7, New("c", "c", BUY, 102, 1, "fok")),
)


def refused(folder: Path, **config: Scalar) -> BadInput:
    with pytest.raises(BadInput) as caught:
        SimVenue(config, folder)
    return caught.value


def with_line(folder: Path, line: str) -> Path:
    save(folder, GOOD)
    file = folder / "orders.csv"
    file.write_text(file.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    return file


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    save(tmp_path, GOOD)
    file = tmp_path / "orders.csv"
    assert read_orders(file) == GOOD
    packed = tmp_path / "orders.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes().replace(b"\n", b"\r\n")))
    assert read_orders(packed) == GOOD
    file.write_text("time_ns,kind,id,side,ticks,steps\n5,limit,a,sell,101,4\n")
    assert read_orders(file) == GOOD[:1]


BAD = {
    "a time that goes back": ("6,limit,x,buy,1,1,", "line 7: time_ns", "6"),
    "a time that is none": ("-7,limit,x,buy,1,1,", "line 7: time_ns", "-7"),
    "an unknown kind": ("7,market,x,buy,1,1,", "line 7: kind", "market"),
    "an id twice": ("7,limit,a,buy,1,1,", "line 7: id", "a"),
    "an id with a blank": ("7,limit,a b,buy,1,1,", "line 7: id", "a b"),
    "a cancel of nothing": ("7,cancel,zz,,,,", "line 7: id", "zz"),
    "an amendment of nothing": ("7,amend,zz,,1,1,", "line 7: id", "zz"),
    "a cancel with a price": ("7,cancel,a,,5,,", "line 7: ticks", "5"),
    "an amendment with a side": ("7,amend,a,buy,5,1,", "line 7: side", "buy"),
    "an amendment to nothing": ("7,amend,a,,5,0,", "line 7: steps", "0"),
    "an unknown side": ("7,limit,x,bid,1,1,", "line 7: side", "bid"),
    "a price of zero": ("7,limit,x,buy,0,1,", "line 7: ticks", "0"),
    "a price with a point": ("7,limit,x,buy,1.5,1,", "line 7: ticks", "1.5"),
    "a negative quantity": ("7,limit,x,buy,1,-1,", "line 7: steps", "-1"),
    "a quantity beyond 10^12": (f"7,limit,x,buy,1,{10**12 + 1},", "line 7: steps", f"{10**12 + 1}"),
    "an unknown flag": ("7,limit,x,buy,1,1,hidden", "line 7: flags", "hidden"),
    "an owner without a name": ("7,limit,x,buy,1,1,owner=", "line 7: flags", "owner="),
    "a field too few": ("7,limit,x,buy,1,1", "line 7", "7,limit,x,buy,1,1"),
    "an empty line": ("", "line 7", ""),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_refused_with_its_number(case: str, tmp_path: Path) -> None:
    line, field, value = BAD[case]
    file = with_line(tmp_path, line)
    error = refused(tmp_path)
    assert (error.file, error.field, error.value) == (str(file), field, value)
    assert error.advice


def test_a_table_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    save(tmp_path, GOOD)
    file = tmp_path / "orders.csv"
    whole = file.read_bytes()
    for data, field in (
        (b"", "line 1"),
        (b"time,kind\n", "line 1"),
        (whole.split(b"\n")[0] + b"\n", "line 2"),
        (whole + b"\xff\n", "line 7"),
    ):
        file.write_bytes(data)
        assert refused(tmp_path).field == field
    file.unlink()
    packed = tmp_path / "orders.csv.gz"
    packed.write_bytes(gzip.compress(whole)[:-9])
    assert "cannot be read" in refused(tmp_path).what
    file.write_bytes(whole)
    assert "there twice" in refused(tmp_path).what


def test_orders_come_from_a_table_or_from_a_seed(tmp_path: Path) -> None:
    save(tmp_path, GOOD)
    assert refused(tmp_path, seed=5).field == "venue_config.seed"
    (tmp_path / "orders.csv").unlink()
    assert "neither" in refused(tmp_path).what
    assert SimVenue({"seed": 5, "seconds": 0}, tmp_path).facts()["requests"] == 40


def test_an_instrument_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    save(tmp_path, GOOD)
    file = tmp_path / "instrument.json"
    document = INSTRUMENT.model_dump(mode="json")
    for change, field in (
        ({"tick": "0"}, "tick"),
        ({"tick": 1}, "tick"),
        ({"payoff": "inverse"}, "payoff"),
        ({"colour": "red"}, "colour"),
    ):
        file.write_text(json.dumps({**document, **change}), encoding="utf-8")
        error = refused(tmp_path)
        assert (error.file, error.field) == (str(file), field)
    file.write_bytes(b"{")
    assert "instrument/v1" in refused(tmp_path).what
    file.unlink()
    assert "not there" in refused(tmp_path).what
    file.mkdir()
    assert "cannot be read" in refused(tmp_path).what


OPTIONS: dict[str, tuple[dict[str, Scalar], str, str]] = {
    "an unknown key": ({"taker": 5}, "taker", "did you mean taker_ppm?"),
    "a fee as text": ({"taker_ppm": "5"}, "taker_ppm", "use -100000 to 100000"),
    "a fee beyond 10 %": ({"maker_ppm": 100_001}, "maker_ppm", "use -100000 to 100000"),
    "a fee that is true": ({"maker_ppm": True}, "maker_ppm", "use -100000 to 100000"),
    "an unknown rule": ({"self_trade": "allow"}, "self_trade", "cancel-resting"),
    "a rule that is a number": ({"self_trade": 5}, "self_trade", "quote"),
    "no silence at all": ({"stale_ms": 0}, "stale_ms", "use 1 to"),
    "a flow without a seed": ({"rate": 5}, "rate", "set seed"),
    "a negative seed": ({"seed": -1}, "seed", "use 0 to"),
    "a start that is a number": ({"seed": 1, "start": 5}, "start", "quote"),
    "a start in words": ({"seed": 1, "start": "now"}, "start", "nanoseconds"),
    "levels below zero": ({"seed": 1, "mid_ticks": 21, "levels": 20}, "mid_ticks", "raise"),
    "a flow without end": ({"seed": 1, "rate": 10**5, "seconds": 86_400}, "rate", "lower"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_bad_option_is_refused_with_its_key(case: str, tmp_path: Path) -> None:
    config, key, told = OPTIONS[case]
    save(tmp_path, GOOD)
    (tmp_path / "orders.csv").unlink()
    error = refused(tmp_path, **config)
    assert error.field == f"venue_config.{key}"
    assert told in f"{error.what} {error.advice}"
