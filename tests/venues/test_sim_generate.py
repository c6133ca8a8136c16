"""Generated flows: the same bytes for the same arguments, a shared middle, two venues apart."""

from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.venues.simulated import INSTRUMENT

from covenue.errors import BadInput, OutputExists
from covenue.testing.venues import asks, bids
from covenue_venue_sim.engine import Amend, Cancel, New
from covenue_venue_sim.flow import Flow, generated
from covenue_venue_sim.generate import generate, linear, main, ticks_of
from covenue_venue_sim.tables import read_orders
from covenue_venue_sim.venue import SimVenue

START = 1_700_000_000_000_000_000
FLOW = Flow(seed=7, start=START, seconds=20, rate=50)
GOLDEN = "b9d0a001a2acbdafda12eaae22fed0cec576fdc1ad0c488349cd4e7cf21b8912"


def digest(folder: Path) -> str:
    return sha256(b"".join(file.read_bytes() for file in sorted(folder.iterdir()))).hexdigest()


def test_the_same_arguments_give_the_same_bytes_on_every_machine(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate(tmp_path / name, INSTRUMENT, FLOW)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") == GOLDEN
    assert read_orders(tmp_path / "a" / "orders.csv") == generated(FLOW)


def test_a_flow_has_every_sort_of_request_in_order_of_time() -> None:
    flow = generated(FLOW)
    times = [timed.time for timed in flow]
    assert times == sorted(times)
    assert START == times[0] <= times[-1] < START + 20 * 10**9
    sorts = Counter(
        timed.request.terms if isinstance(timed.request, New) else type(timed.request)
        for timed in flow
    )
    assert set(sorts) == {"limit", "ioc", "fok", "post", Cancel, Amend}
    assert sorts["limit"] > sorts[Cancel] > sorts["ioc"] > sorts["fok"] > 0


def middle(venue: SimVenue, time: int) -> float:
    pinned = venue.pin(time)
    return (asks(pinned)[0][0] + bids(pinned)[0][0]) / 2


def test_two_venues_with_one_walk_stay_apart_by_their_offset(tmp_path: Path) -> None:
    """The middle walks 40 ticks a second at most; the distance of 30 bp stays near 300 ticks."""
    venues = []
    for name, seed, offset in (("a", 1, 0), ("b", 2, 30)):
        mid = ticks_of("10000", "0.1", offset)
        flow = Flow(seed=seed, start=START, seconds=20, rate=200, mid_ticks=mid, walk_ticks=40)
        generate(tmp_path / name, INSTRUMENT, flow)
        venues.append(SimVenue({}, tmp_path / name))
    apart = [
        middle(venues[1], START + second * 10**9) - middle(venues[0], START + second * 10**9)
        for second in range(20)
    ]
    assert apart[0] == 300
    assert all(150 < distance < 450 for distance in apart)
    moved = [middle(venues[0], START + second * 10**9) for second in range(20)]
    assert max(moved) - min(moved) > 40


def test_a_price_is_moved_by_basis_points_and_lies_on_a_tick() -> None:
    assert ticks_of("10000", "0.1") == 100_000
    assert ticks_of("10000", "0.1", -25) == 99_750
    assert ticks_of("0.00123", "0.00001", 1) == 123
    for price in ("ten", "1/0", ""):
        with pytest.raises(BadInput):
            ticks_of(price, "0.1")


def test_an_instrument_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        linear("Sim", "base-quote", base="B", quote="Q", tick="0.1", step="1")
    assert (caught.value.field, caught.value.value) == ("venue", "Sim")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    generate(tmp_path / "a", INSTRUMENT, FLOW)
    with pytest.raises(OutputExists):
        generate(tmp_path / "a", INSTRUMENT, Flow(seed=8))
    assert digest(tmp_path / "a") == GOLDEN


def test_the_command_writes_a_folder_that_the_venue_opens(tmp_path: Path) -> None:
    words = (
        f"--out {tmp_path / 'a'} --venue sim --seed 7 --start {START} --seconds 20 --rate 50"
    ).split()
    told = CliRunner().invoke(main, words)
    assert told.exit_code == 0, told.output
    assert digest(tmp_path / "a") == GOLDEN
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1
    assert "OutputExists" in again.output
    bad = CliRunner().invoke(main, ["--out", str(tmp_path / "b"), "--venue", "A", "--seed", "1"])
    assert bad.exit_code == 1
    assert "BadInput" in bad.output
