"""Tables that do not fit: each ends in an error that names file, line, column and value."""

import gzip
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest
from tests.venues.pools import Rows, save

from covenue.errors import BadInput
from covenue_contracts.contract import Scalar
from covenue_venue_amm.generate import asset_names, generate
from covenue_venue_amm.tables import read_pools, read_trades
from covenue_venue_amm.venue import PoolVenue

ASSETS = (("aa", 6), ("bb", 2), ("cc", 0))
POOLS = (("p", "aa", "bb", "1.5", "20.25", 3000), ("q", "bb", "cc", "7", "9", 0))
TRADES = ((5, "p", "aa", "0.5"), (5, "q", "cc", "1"), (6, "p", "bb", "2.25"))
WHOLE: dict[str, Rows] = {"assets": ASSETS, "pools": POOLS, "trades": TRADES}


def folder_of(place: Path, name: str = "", rows: Rows = ()) -> Path:
    """A folder of good tables, one of them replaced."""
    place.mkdir(exist_ok=True)
    for table, good in WHOLE.items():
        save(place, table, rows if table == name else good)
    return place


def refused(folder: Path, **config: Scalar) -> BadInput:
    with pytest.raises(BadInput) as caught:
        PoolVenue(config, folder)
    return caught.value


def test_a_good_folder_is_read_in_native_units(tmp_path: Path) -> None:
    pools = read_pools(folder_of(tmp_path))
    assert pools.reserves.tolist() == [[1_500_000, 2_025], [700, 9]]
    assert pools.sides.tolist() == [[0, 1], [1, 2]]
    trades = read_trades(tmp_path, pools, 0)
    assert trades.paid.tolist() == [500_000, 1, 225]
    assert trades.side.tolist() == [0, 1, 1]


BAD: dict[str, tuple[str, Rows, str, str]] = {
    "an asset twice": ("assets", (*ASSETS, ("aa", 1)), "line 5: asset", "aa"),
    "an asset without a name": ("assets", (("", 6),), "line 2: asset", ""),
    "an asset with a blank": ("assets", (("a a", 6),), "line 2: asset", "a a"),
    "decimals beyond 18": ("assets", (("aa", 19),), "line 2: decimals", "19"),
    "decimals that are no number": ("assets", (("aa", "six"),), "line 2: decimals", "six"),
    "a field too many": ("assets", (("aa", 6, 7),), "line 2", "aa,6,7"),
    "no assets": ("assets", (), "line 2", ""),
    "a pool twice": ("pools", (*POOLS, POOLS[0]), "line 4: pool", "p"),
    "an unknown asset": ("pools", (("p", "aa", "zz", "1", "1", 0),), "line 2: asset_b", "zz"),
    "the same asset twice": ("pools", (("p", "aa", "aa", "1", "1", 0),), "line 2: asset_b", "aa"),
    "a reserve of zero": ("pools", (("p", "aa", "bb", "0", "1", 0),), "line 2: reserve_a", "0"),
    "a reserve of 0.00": (
        "pools",
        (("p", "aa", "bb", "1", "0.00", 0),),
        "line 2: reserve_b",
        "0.00",
    ),
    "a negative reserve": ("pools", (("p", "aa", "bb", "-1", "1", 0),), "line 2: reserve_a", "-1"),
    "a reserve in words": (
        "pools",
        (("p", "aa", "bb", "ten", "1", 0),),
        "line 2: reserve_a",
        "ten",
    ),
    "an exponent": ("pools", (("p", "aa", "bb", "1e3", "1", 0),), "line 2: reserve_a", "1e3"),
    "not a number": ("pools", (("p", "aa", "bb", "nan", "1", 0),), "line 2: reserve_a", "nan"),
    "a leading zero": ("pools", (("p", "aa", "bb", "01", "1", 0),), "line 2: reserve_a", "01"),
    "digits of another script": (
        "pools",
        (("p", "aa", "bb", "٣", "1", 0),),
        "line 2: reserve_a",
        "٣",
    ),
    "more digits than decimals": (
        "pools",
        (("p", "aa", "bb", "1", "1.005", 0),),
        "line 2: reserve_b",
        "1.005",
    ),
    "a reserve beyond 2^62": (
        "pools",
        (("p", "aa", "bb", f"{2**62 // 10**6 + 1}", "1", 0),),
        "line 2: reserve_a",
        f"{2**62 // 10**6 + 1}",
    ),
    "a fee of 100 %": (
        "pools",
        (("p", "aa", "bb", "1", "1", 10**6),),
        "line 2: fee_ppm",
        "1000000",
    ),
    "a negative fee": ("pools", (("p", "aa", "bb", "1", "1", -1),), "line 2: fee_ppm", "-1"),
    "a fee with a point": (
        "pools",
        (("p", "aa", "bb", "1", "1", "0.3"),),
        "line 2: fee_ppm",
        "0.3",
    ),
    "a trade with an unknown pool": ("trades", ((5, "r", "aa", "1"),), "line 2: pool", "r"),
    "a trade that pays a foreign asset": ("trades", ((5, "p", "cc", "1"),), "line 2: pays", "cc"),
    "a trade that pays an unknown asset": ("trades", ((5, "p", "dd", "1"),), "line 2: pays", "dd"),
    "a negative amount": ("trades", ((5, "p", "aa", "-1"),), "line 2: amount", "-1"),
    "an amount of zero": ("trades", ((5, "p", "aa", "0"),), "line 2: amount", "0"),
    "an amount too fine": ("trades", ((5, "q", "cc", "1.0"),), "line 2: amount", "1.0"),
    "time that goes back": (
        "trades",
        ((5, "p", "aa", "1"), (4, "p", "aa", "1")),
        "line 3: time_ns",
        "4",
    ),
    "a time with a point": ("trades", (("5.0", "p", "aa", "1"),), "line 2: time_ns", "5.0"),
    "a time beyond 2^63": ("trades", ((2**63, "p", "aa", "1"),), "line 2: time_ns", str(2**63)),
    "trades that fill a pool beyond 2^62": (
        "trades",
        ((5, "p", "aa", 2**62 // 10**6 - 2), (5, "q", "cc", "1"), (5, "p", "aa", "1")),
        "line 4: amount",
        "1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    name, rows, field, value = BAD[case]
    error = refused(folder_of(tmp_path, name, rows))
    assert error.file == str(tmp_path / f"{name}.csv")
    assert (error.field, error.value) == (field, value)
    assert error.advice


def broken_gzip(file: Path) -> None:
    packed = file.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(file.read_bytes())[:-9])
    file.unlink()


def folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a table that is not there": (Path.unlink, "is not there", ""),
    "an empty file": (lambda file: file.write_bytes(b""), "header", "line 1"),
    "another header": (lambda file: file.write_text("pool,fee\n"), "header", "line 1"),
    "a byte-order mark": (
        lambda file: file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes()),
        "header",
        "line 1",
    ),
    "bytes that are no text": (
        lambda file: file.write_bytes(file.read_bytes() + b"\xff\n"),
        "UTF-8",
        "line 4",
    ),
    "an empty line": (
        lambda file: file.write_bytes(file.read_bytes() + b"\n"),
        "fields are expected",
        "line 4",
    ),
    "a truncated gzip": (broken_gzip, "cannot be read", ""),
    "a plain and a packed table": (
        lambda file: file.with_suffix(".csv.gz").write_bytes(b""),
        "there twice",
        "",
    ),
    "a folder in its place": (folder_instead, "cannot be read", ""),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_table_is_refused(case: str, tmp_path: Path) -> None:
    damage, what, field = DAMAGE[case]
    damage(folder_of(tmp_path) / "pools.csv")
    error = refused(tmp_path)
    assert what in error.what
    assert error.field == field
    assert Path(error.file).name.startswith("pools.csv")


def test_lines_may_end_as_on_windows_and_trades_may_be_missing(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "trades.csv").unlink()
    before = PoolVenue({}, folder).pin(0).digest
    for name in ("assets.csv", "pools.csv"):
        (folder / name).write_bytes((folder / name).read_bytes().replace(b"\n", b"\r\n"))
    assert PoolVenue({}, folder).pin(0).digest == before
    assert PoolVenue({}, folder).facts()["first_time"] is None


def test_a_trade_before_the_first_reserves_is_refused(tmp_path: Path) -> None:
    error = refused(folder_of(tmp_path), since="6")
    assert (error.field, error.value) == ("line 2: time_ns", "5")


OPTIONS: dict[str, tuple[dict[str, Scalar], str, str]] = {
    "an unknown key": ({"stale": 5}, "venue_config.stale", "did you mean stale_ms?"),
    "an unknown key like none": ({"x": 5}, "venue_config.x", "use only"),
    "a name in capitals": ({"venue": "AMM"}, "venue_config.venue", "lower-case"),
    "a name that is no text": ({"venue": 5}, "venue_config.venue", "quote"),
    "a time that is a number": ({"since": 5}, "venue_config.since", "quote"),
    "a time with a sign": ({"since": "-5"}, "venue_config.since", "nanoseconds"),
    "no silence at all": ({"stale_ms": 0}, "venue_config.stale_ms", "use 1 to"),
    "a silence that is true": ({"stale_ms": True}, "venue_config.stale_ms", "use 1 to"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_bad_option_is_refused_with_its_key(case: str, tmp_path: Path) -> None:
    config, field, told = OPTIONS[case]
    error = refused(folder_of(tmp_path), **config)
    assert error.field == field
    assert told in f"{error.what} {error.advice}"


def test_twenty_thousand_pools_are_read_fast_and_the_line_is_still_named(tmp_path: Path) -> None:
    generate(tmp_path / "many", pools=20_000, assets=asset_names("100"), seed=1)
    spent = []
    for _ in range(3):
        begun = perf_counter()
        read_pools(tmp_path / "many")
        spent.append(perf_counter() - begun)
    assert min(spent) < 1.5  # 0.12 s when nothing else runs; a busy machine gets room
    file = tmp_path / "many" / "pools.csv"
    lines = file.read_text().split("\n")
    lines[19_999] = lines[19_999].replace("pool-19998,", "pool-00000,")
    file.write_text("\n".join(lines))
    with pytest.raises(BadInput, match="first in line 2") as caught:
        read_pools(tmp_path / "many")
    assert caught.value.field == "line 20000: pool"
