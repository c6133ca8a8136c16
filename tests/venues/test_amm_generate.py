"""Generated folders: the same bytes for the same arguments, near the marks, never overwritten."""

from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from covenue.errors import BadInput, OutputExists
from covenue_venue_amm.generate import asset_names, generate, main
from covenue_venue_amm.tables import read_pools, read_trades
from covenue_venue_amm.venue import PoolVenue

START = 1_700_000_000_000_000_000
GOLDEN = "171fbdc592ca14f5e31bff64636ebfc8417d93a0bfee0b874164da78f062a2ce"


def made(out: Path, *, seed: int = 7, bps: int = 100, asset_seed: int = 0) -> Path:
    generate(
        out,
        pools=60,
        assets=asset_names("12"),
        seed=seed,
        asset_seed=asset_seed,
        start=START,
        seconds=10,
        trades_per_second=20,
        mispricing_bps=bps,
    )
    return out


def digest(folder: Path) -> str:
    return sha256(b"".join(file.read_bytes() for file in sorted(folder.iterdir()))).hexdigest()


def marks(folder: Path) -> list[Fraction]:
    rows = (folder / "references.csv").read_text().splitlines()[1:]
    return [Fraction(row.split(",")[1]) for row in rows]


def test_the_same_arguments_give_the_same_bytes_on_every_machine(tmp_path: Path) -> None:
    assert digest(made(tmp_path / "a")) == digest(made(tmp_path / "b"))
    assert digest(tmp_path / "a") == GOLDEN
    assert digest(made(tmp_path / "c", seed=8)) != digest(tmp_path / "a")


def test_parties_share_assets_and_marks_and_nothing_else(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a", seed=1), made(tmp_path / "b", seed=2)
    for name in ("assets.csv", "references.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    for name in ("pools.csv", "trades.csv"):
        assert (one / name).read_bytes() != (other / name).read_bytes()
    assert marks(made(tmp_path / "c", asset_seed=1)) != marks(one)


@pytest.mark.parametrize("bps", [0, 20, 1_000])
def test_pools_stand_at_the_marks_up_to_noise(bps: int, tmp_path: Path) -> None:
    folder = made(tmp_path / "a", bps=bps)
    pools, worth = read_pools(folder), marks(folder)
    ratios = []
    for (a, b), (held_a, held_b) in zip(pools.sides.tolist(), pools.reserves.tolist(), strict=True):
        value_a = held_a * worth[a] / 10 ** pools.assets[a].decimals
        value_b = held_b * worth[b] / 10 ** pools.assets[b].decimals
        assert 99 < value_a <= 100 * 2**11
        ratios.append(value_b / value_a - 1)
    assert max(map(abs, ratios)) <= Fraction(6 * bps, 10_000) + Fraction(1, 1_000)
    if bps:
        assert max(map(abs, ratios)) > Fraction(bps, 10_000)


def test_the_first_pools_tie_all_assets_together(tmp_path: Path) -> None:
    sides = read_pools(made(tmp_path / "a")).sides.tolist()
    assert sides[:12] == [[k, (k + 1) % 12] for k in range(12)]
    assert all(a != b for a, b in sides)


def test_the_history_lies_within_its_seconds_and_the_venue_takes_it(tmp_path: Path) -> None:
    folder = made(tmp_path / "a")
    trades = read_trades(folder, read_pools(folder), START)
    assert len(trades.time) == 200
    assert trades.time.min() >= START
    assert trades.time.max() < START + 10 * 10**9
    venue = PoolVenue({"since": str(START)}, folder)
    assert venue.pin(START).digest != venue.pin(START + 10**10).digest


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    made(tmp_path / "a")
    with pytest.raises(OutputExists):
        made(tmp_path / "a", seed=8)
    assert digest(tmp_path / "a") == digest(made(tmp_path / "b"))


@pytest.mark.parametrize("assets", ["a,a", "a", "1", "0", "", "a,b c"])
def test_assets_that_are_no_two_different_names_are_refused(assets: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        generate(tmp_path / "a", pools=1, assets=asset_names(assets), seed=0)
    assert caught.value.field == "assets"
    assert not (tmp_path / "a").exists()


def test_the_command_writes_what_the_function_writes(tmp_path: Path) -> None:
    words = (
        f"--out {tmp_path / 'a'} --pools 60 --assets 12 --seed 7 --start {START}"
        " --seconds 10 --trades-per-second 20 --mispricing-bps 100"
    ).split()
    told = CliRunner().invoke(main, words)
    assert told.exit_code == 0, told.output
    assert digest(tmp_path / "a") == digest(made(tmp_path / "b"))
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1
    assert "OutputExists" in again.output
