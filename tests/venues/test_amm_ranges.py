"""Ranges of concentrated liquidity: exact reserves, swaps in order of price, ends that stay."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.domains.pool_markets import member
from tests.venues.pools import Rows, save

from covenue.errors import BadInput
from covenue.hooks.domains import EMPTY
from covenue.hooks.venues import PoolBatch, restored
from covenue.testing.dual_domains import multiplier_query
from covenue.testing.venues import LATER, order_id, swapping
from covenue_contracts.local import Outcome, Swap
from covenue_domain_arbitrage import Arbitrage, against
from covenue_venue_amm import fold as fold_module
from covenue_venue_amm import venue as venue_module
from covenue_venue_amm.generate import asset_names, generate
from covenue_venue_amm.ranges import ENDS_MAX, crossing, needed, range_of, refilled
from covenue_venue_amm.swaps import WHOLE
from covenue_venue_amm.tables import read_pools
from covenue_venue_amm.venue import PoolVenue

ONE = 2**96
ASSETS = (("aa", 6), ("bb", 6), ("cc", 0))
ENDS = (ONE * 9 // 10, ONE * 99 // 100, ONE * 101 // 100, ONE * 11 // 10)
LIQUIDITY = (10**12, 4 * 10**12, 2 * 10**12)
DEEP: Sequence[Sequence[object]] = tuple(
    ("deep", "aa", "bb", 3000, ONE, low, high, liquidity)
    for low, high, liquidity in zip(ENDS, ENDS[1:], LIQUIDITY, strict=False)
)
WHOLE_POOL: Rows = (("near", "aa", "bb", "5000", "5100", 500),)


def folder_of(
    place: Path, ranges: Rows = DEEP, pools: Rows = WHOLE_POOL, trades: Rows = ()
) -> Path:
    place.mkdir(exist_ok=True)
    save(place, "assets", ASSETS)
    save(place, "ranges", ranges)
    save(place, "trades", trades)
    if pools:
        save(place, "pools", pools)
    return place


def state_of(venue: PoolVenue, as_of: int = 0) -> PoolBatch:
    state = venue.pin(as_of).state
    assert isinstance(state, PoolBatch)
    return state


def available(venue: PoolVenue, as_of: int = 0) -> dict[str, list[int]]:
    state = state_of(venue, as_of)
    assert state.available is not None
    return dict(zip(state.pools, state.available.tolist(), strict=True))


def products(venue: PoolVenue, as_of: int) -> NDArray[np.object_]:
    """Of the reserves of all ranges."""
    return np.asarray(state_of(venue, as_of).reserves[1:].astype(object).prod(axis=1))


def swap(row: int, pays: str, paid: int, least: int = 1) -> Swap:
    gets = "bb" if pays == "aa" else "aa"
    return Swap(pool=f"deep/{row}", pays=pays, gets=gets, paid=str(paid), least=str(least))


def applied(venue: PoolVenue, *swaps: Swap, number: int = 1, now: int = 5) -> Outcome:
    (outcome,) = venue.apply(order_id(number), swapping(*swaps), LATER, now)
    return outcome


# ---- one range, exactly

ROOTS = st.integers(ONE // 2**20, ONE * 2**20)


@given(ROOTS, ROOTS, ROOTS, st.integers(1, 2**60))
def test_a_range_holds_what_its_liquidity_says_rounded_down(
    root: int, one: int, other: int, liquidity: int
) -> None:
    lower, upper = min(one, other), max(one, other)
    assume(lower < upper)
    held = range_of(root, lower, upper, liquidity)
    assume(held is not None)
    assert held is not None
    at = min(max(root, lower), upper)
    exact = (
        liquidity * (Fraction(ONE, at) - Fraction(ONE, upper)),
        liquidity * Fraction(at - lower, ONE),
    )
    for reserve, floor, real in zip(held.reserves, held.floors, exact, strict=True):
        assert 0 < floor <= reserve <= ENDS_MAX
        assert real - 2 < reserve - floor <= real


@given(
    st.integers(1, 2**60),
    st.integers(1, 2**60),
    st.integers(0, 999_999),
    st.integers(1, 2**62),
    st.data(),
)
def test_a_crossing_gives_no_more_than_is_left_and_never_lowers_the_product(
    r_in: int, r_out: int, fee: int, paid: int, data: st.DataObject
) -> None:
    floor = data.draw(st.integers(1, r_out))
    taken, got = crossing(r_in, r_out, floor, paid, fee)
    assert 0 <= got <= r_out - floor
    assert taken <= paid
    filled = refilled(r_in * r_out, r_out - got)
    assert filled * (r_out - got) >= r_in * r_out
    assert (filled - r_in) * WHOLE < taken * (WHOLE - fee) + WHOLE
    assert (taken < paid) <= (got == r_out - floor)
    all_of_it = needed(r_in, r_out, r_out - floor, fee)
    assert crossing(r_in, r_out, floor, all_of_it, fee) == (all_of_it, r_out - floor)
    if all_of_it:
        assert crossing(r_in, r_out, floor, all_of_it - 1, fee)[1] < r_out - floor


def test_a_range_that_rounds_for_the_payer_loses_its_product(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: what is paid into is rounded down; the product falls, at the providers' cost."""
    trades = [(number, "deep", "ab"[number % 2] * 2, "70.000001") for number in range(20)]
    venue = PoolVenue({}, folder_of(tmp_path, trades=trades))
    first = read_pools(tmp_path).reserves[1:].astype(object).prod(axis=1)
    assert (products(venue, 19) >= first).all()
    monkeypatch.setattr(fold_module, "refilled", lambda product, left: product // left)
    assert not (products(venue, 18) >= first).all()


# ---- the tables


def test_ranges_are_rows_behind_the_whole_pools(tmp_path: Path) -> None:
    state = state_of(PoolVenue({}, folder_of(tmp_path)))
    assert state.pools == ("near", "deep/0", "deep/1", "deep/2")
    assert state.available is not None
    whole, below, around, above = state.available.tolist()
    assert whole == state.reserves[0].tolist()
    assert (below[0], above[1]) == (0, 0)
    assert min(around) > 0
    assert not state.available.flags.writeable
    alone = PoolVenue({}, folder_of(tmp_path / "alone", pools=()))
    assert state_of(alone).pools == ("deep/0", "deep/1", "deep/2")
    assert (alone.facts()["pools"], alone.facts()["ranges"]) == (1, 3)


def changed(row: int, column: int, value: object) -> Rows:
    rows = [list(line) for line in DEEP]
    rows[row][column] = value
    return rows


BAD: dict[str, tuple[Rows, str]] = {
    "a whole pool of this name": ([["near", *line[1:]] for line in DEEP], "line 2: pool"),
    "a pool in two places": ([*DEEP, ["x", *DEEP[0][1:]], DEEP[2]], "line 6: pool"),
    "a name that leaves no room": ([["x" * 63, *DEEP[0][1:]]], "line 2: pool"),
    "another fee": (changed(1, 3, 500), "line 3: fee_ppm"),
    "another price": (changed(1, 4, ONE + 1), "line 3: root_x96"),
    "other assets": (changed(2, 2, "cc"), "line 4: asset_b"),
    "an unknown asset": (changed(0, 1, "zz"), "line 2: asset_a"),
    "overlapping ranges": (changed(1, 5, ENDS[1] - 1), "line 3: lower_x96"),
    "an end before its beginning": (changed(0, 6, ENDS[0]), "line 2: upper_x96"),
    "no liquidity": (changed(0, 7, 0), "line 2: liquidity"),
    "liquidity beyond 2^61": (changed(0, 7, 2**61), "line 2: liquidity"),
    "liquidity of which nothing can be given": (changed(1, 7, 2), "line 3: liquidity"),
    "a root with a point": (changed(0, 4, "1.5"), "line 2: root_x96"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_range_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    rows, field = BAD[case]
    with pytest.raises(BadInput) as caught:
        PoolVenue({}, folder_of(tmp_path, rows))
    assert caught.value.file == str(tmp_path / "ranges.csv")
    assert caught.value.field == field
    assert caught.value.advice


def test_a_trade_names_the_pool_and_not_a_range_of_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        PoolVenue({}, folder_of(tmp_path, trades=((5, "deep/1", "aa", "1"),)))
    assert caught.value.field == "line 2: pool"


# ---- over time


def test_a_trade_of_others_walks_the_ranges_from_the_price(tmp_path: Path) -> None:
    """Beside an exact walk on real curves, in fractions: within a native unit a range."""
    paid = 60_000 * 10**6
    venue = PoolVenue({}, folder_of(tmp_path, trades=((5, "deep", "aa", "60000"),)))
    before, after = available(venue), available(venue, 5)
    left, got, at = Fraction(paid) * (WHOLE - 3000) / WHOLE, Fraction(0), Fraction(1)
    for low, liquidity in ((ENDS[1], LIQUIDITY[1]), (ENDS[0], LIQUIDITY[0])):
        inverse = 1 / at + left / liquidity
        stop = max(1 / inverse, Fraction(low, ONE))
        left -= liquidity * (1 / stop - 1 / at)
        got, at = got + liquidity * (at - stop), stop
    assert left == 0
    assert after["deep/1"][1] == 0
    assert 0 < after["deep/0"][1] < before["deep/0"][1]
    given_ = sum(before[row][1] - after[row][1] for row in ("deep/0", "deep/1"))
    assert got - 4 < given_ <= got
    assert after["deep/2"] == before["deep/2"]


def test_what_no_range_takes_is_not_paid(tmp_path: Path) -> None:
    venue = PoolVenue({}, folder_of(tmp_path, trades=((5, "deep", "bb", "900000000"),)))
    after = available(venue, 5)
    assert [after[f"deep/{row}"][0] for row in range(3)] == [0, 0, 0]
    assert state_of(venue, 5).reserves.max() < ENDS_MAX


MOVES = st.lists(st.tuples(st.booleans(), st.integers(1, 10**11)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(MOVES)
def test_the_ends_of_ranges_stay_wherever_the_price_goes(moves: list[tuple[bool, int]]) -> None:
    """No floor is passed, no product falls, and there is one price."""
    trades = [
        (number, "deep", "aa" if is_a else "bb", f"{paid // 10**6}.{paid % 10**6:06d}")
        for number, (is_a, paid) in enumerate(moves)
    ]
    with TemporaryDirectory() as folder:
        venue = PoolVenue({}, folder_of(Path(folder), trades=trades))
        first = read_pools(Path(folder)).reserves[1:].astype(object).prod(axis=1)
        for time in range(len(moves)):
            state = state_of(venue, time)
            assert state.available is not None
            assert (state.available >= 0).all()
            assert (products(venue, time) >= first).all()
            both = [k for k, pair in enumerate(state.available[1:].tolist()) if min(pair) > 0]
            assert len(both) <= 1


def test_a_pinned_state_with_ranges_comes_back_and_its_digest_covers_them(tmp_path: Path) -> None:
    venue = PoolVenue({}, folder_of(tmp_path / "a"))
    pinned = venue.pin(0)
    again = restored(pinned.kind, pinned.as_of, pinned.digest, pinned.body)
    assert again is not None
    np.testing.assert_array_equal(again.state.available, pinned.state.available)
    wider = PoolVenue({}, folder_of(tmp_path / "b", changed(2, 6, ENDS[3] + ONE)))
    assert wider.pin(0).digest != pinned.digest


# ---- our swaps


def crossing_all(venue: PoolVenue) -> tuple[Swap, ...]:
    """Paying a: the rest of the range at the price, and half of the one below."""
    state = state_of(venue)
    held = dict(zip(state.pools, state.reserves.tolist(), strict=True))
    (a, b), left = held["deep/1"], available(venue)["deep/1"][1]
    return swap(1, "aa", needed(a, b, left, 3000), left), swap(0, "aa", 20_000 * 10**6)


@pytest.mark.parametrize("order", list(permutations((0, 1, 2))))
def test_swaps_of_an_order_are_made_in_order_of_price(order: Sequence[int], tmp_path: Path) -> None:
    venue = PoolVenue({}, folder_of(tmp_path))
    near = Swap(pool="near", pays="bb", gets="aa", paid="1000000", least="1")
    swaps = (*crossing_all(venue), near)
    done = applied(venue, *(swaps[place] for place in order))
    assert (done.status, done.reason) == ("done", None)
    assert sorted(fill.swap for fill in done.swaps) == [0, 1, 2]
    by_price = [order.index(0), order.index(1)]
    assert [fill.swap for fill in done.swaps if fill.swap != order.index(2)] == by_price
    assert available(venue, 5)["deep/1"][1] == 0


def test_a_swap_that_passes_over_a_range_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: every range counts as used up; the pool then has two prices."""
    venue = PoolVenue({}, folder_of(tmp_path))
    _, farther = crossing_all(venue)
    assert applied(venue, farther).reason == "a nearer range than deep/0 is not used up"
    assert applied(venue, swap(2, "bb", 10**6), number=2).status == "refused"
    assert available(venue, 5) == available(venue, 0)
    monkeypatch.setattr(venue_module, "is_used_up", lambda *_: True)
    assert applied(venue, farther, number=3).status == "done"
    assert min(available(venue, 5)["deep/0"]) > 0 < min(available(venue, 5)["deep/1"])


def test_a_range_takes_no_more_than_it_needs_and_asks_for_no_less(tmp_path: Path) -> None:
    venue = PoolVenue({}, folder_of(tmp_path))
    exact, _ = crossing_all(venue)
    assert applied(venue, swap(1, "aa", 10**18, int(exact.least) + 1)).status == "refused"
    done = applied(venue, swap(1, "aa", 10**18, int(exact.least)), number=2)
    assert [(fill.paid, fill.received) for fill in done.swaps] == [(exact.paid, exact.least)]
    assert applied(venue, swap(1, "aa", 10**9), number=3).status == "refused"
    back = applied(venue, swap(1, "bb", 10**18, 0), number=4)
    assert available(venue, 5)["deep/1"][0] == 0
    got_back = int(back.swaps[0].received)
    held = read_pools(tmp_path)
    ends = [refilled(held.product(2), int(floor)) for floor in held.floors[2]]
    assert state_of(venue, 5).reserves[2].tolist() == [int(held.floors[2, 0]), ends[0]]
    assert got_back == ends[1] - int(held.floors[2, 0])


def test_swaps_with_ranges_survive_a_restart_and_meet_later_trades(tmp_path: Path) -> None:
    trades = ((9, "deep", "aa", "20"),)
    folder = folder_of(tmp_path, trades=trades)
    journal = str(tmp_path / "orders.jsonl")
    venue = PoolVenue({"journal": journal}, folder)
    applied(venue, *crossing_all(venue))
    again = PoolVenue({"journal": journal}, folder)
    for time in (0, 5, 9):
        assert again.pin(time).digest == venue.pin(time).digest
    assert len({venue.pin(time).digest for time in (0, 5, 9)}) == 3


# ---- plans of the domain, on generated folders


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_domain_plans_the_venue_makes_in_full(seed: int, tmp_path: Path) -> None:
    generate(
        tmp_path / "made",
        pools=60,
        assets=asset_names("6"),
        seed=seed,
        seconds=10,
        trades_per_second=10,
        concentrated=50,
    )
    venue = PoolVenue({}, tmp_path / "made")
    lines = (tmp_path / "made" / "references.csv").read_text().splitlines()[1:]
    goal = against(
        dict(line.split(",") for line in lines), scale_bits=30, value_bits=24, slope_bits=12, band=4
    )
    coupling, members = Arbitrage().coupling(goal, [member(0)]), [member(0)]
    random = np.random.Generator(np.random.PCG64(seed))
    crossed = 0
    for number in range(12):
        now = number * 10**9
        problem = Arbitrage().problem(goal, members, members[0], venue.pin(now), {})
        values = [
            r * int(f) // 2**20
            for r, f in zip(
                coupling.reference,
                random.integers(2**20 * 9 // 10, 2**20 * 11 // 10, 6),
                strict=True,
            )
        ]
        query = multiplier_query("commit", coupling, values)
        actions, _, _ = problem.commit(query, EMPTY, "0" * 64)
        (outcome,) = venue.apply(order_id(number), actions, LATER, now)
        assert (outcome.status, outcome.reason) == ("done", None)
        pools = [s.pool.split("/")[0] for s in actions.swaps if "/" in s.pool]
        crossed += len(pools) - len(set(pools))
    assert crossed > 10


def test_a_generated_folder_has_the_ranges_that_were_asked_for(tmp_path: Path) -> None:
    for name, whole in (("some", 20), ("all", 0)):
        out = tmp_path / name
        generate(out, pools=30, assets=asset_names("4"), seed=5, concentrated=30 - whole)
        pools = read_pools(out)
        assert pools.whole == whole
        assert len(pools.ranges) == 30 - whole
        at_price = replace(pools).floors[whole:] < pools.reserves[whole:]
        assert 0 < int(at_price.all(axis=1).sum()) <= 30 - whole
