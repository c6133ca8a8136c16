"""Paper execution: never more than asked for, once an order id, kept across a crash."""

import json
import os
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.venues.captures import LOT, THREE, instrument, opened
from tests.venues.crashes import dies_before_it_is_kept

from covenue.errors import BadInput
from covenue.hooks.venues import NEVER_SEEN
from covenue.numerics.fills import affordable
from covenue.testing.venues import (
    LATER,
    PRICE,
    Change,
    Depth,
    Levels,
    MarketEvent,
    at,
    filled,
    order_id,
    units_of,
)
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Actions, Leg
from covenue_venue_recorded.dialects import COINM, SPOT, USDM, Dialect
from covenue_venue_recorded.venue import RecordedVenue

MUCH = 10**15


def market(asks: Levels, *later: Change) -> list[MarketEvent]:
    return [
        Depth(at(0), 100, ((PRICE - 1, 10**6),), asks),
        Change(at(1), 100, 105, 99),
        *later,
    ]


def buy(dialect: Dialect, limit: int, steps: int, units: int = MUCH) -> Leg:
    return Leg(
        side="buy",
        instrument=dialect.canonical,
        limit_ticks=str(limit),
        quantity_steps=str(steps),
        most_units=str(units),
    )


def actions(*legs: Leg, unit: str = "0.00001") -> Actions:
    return Actions(plan=order_id(0), unit=unit, legs=legs, swaps=())


def top(venue: RecordedVenue, time: int) -> list[list[int]]:
    asks: list[list[int]] = venue.pin(time).state.asks.tolist()
    return asks


def test_a_contract_is_worth_its_coins_at_the_price_of_its_own_level(tmp_path: Path) -> None:
    venue = opened(COINM, tmp_path, market(((618_000, 2), (700_000, 3))))
    done = venue.apply(order_id(1), actions(buy(COINM, 700_000, 5)), LATER, at(1))
    coins = [2 * Fraction(100) / Fraction("61800.0"), 3 * Fraction(100) / Fraction("70000.0")]
    assert [int(fill.units) for fill in done[0].fills] == [int(coin / LOT) for coin in coins]
    assert [int(fill.units) for fill in done[0].fills] == [323, 428]


def test_a_contract_that_would_pass_most_units_is_not_split(tmp_path: Path) -> None:
    asks = ((618_000, 5),)
    for most, steps in ((160, 0), (161, 1), (322, 1), (323, 2), (808, 4), (809, 5)):
        venue = opened(COINM, tmp_path, market(asks))
        done = venue.apply(order_id(1), actions(buy(COINM, 618_000, 5, most)), LATER, at(1))
        assert sum(size for _, size in filled(done)) == steps


def test_a_cut_by_most_units_takes_no_steps_that_count_for_nothing(tmp_path: Path) -> None:
    venue = opened(SPOT, tmp_path, market(((PRICE, 9_999),)))
    done = venue.apply(order_id(1), actions(buy(SPOT, PRICE, 9_999, 5)), LATER, at(1))
    assert filled(done) == ((PRICE, 5_000),)
    assert units_of(done) == 5
    assert done[0].reason == "most units reached"


def test_units_are_counted_in_the_unit_of_the_actions(tmp_path: Path) -> None:
    venue = opened(SPOT, tmp_path, market(((PRICE, 10**8),)))
    leg = buy(SPOT, PRICE, 10**8, 7)
    done = venue.apply(order_id(1), actions(leg, unit="0.1"), LATER, at(1))
    assert (units_of(done), filled(done)) == (7, ((PRICE, 7 * 10**7),))


@pytest.mark.parametrize("unit", ["0", "0.0", "-0.00001"])
def test_a_unit_that_counts_nothing_is_refused(unit: str, tmp_path: Path) -> None:
    venue = opened(SPOT, tmp_path, market(((PRICE, 10**8),)))
    (done,) = venue.apply(order_id(1), actions(buy(SPOT, PRICE, 10**8), unit=unit), LATER, at(1))
    assert (done.status, done.fills) == ("refused", ())
    assert "counts nothing" in str(done.reason)


def test_legs_of_one_order_do_not_fill_from_the_same_quantity(tmp_path: Path) -> None:
    venue = opened(USDM, tmp_path, market(((PRICE, 5), (PRICE + 1, 5))))
    legs = (buy(USDM, PRICE, 4), buy(USDM, PRICE + 1, 4))
    (done,) = venue.apply(order_id(1), actions(*legs), LATER, at(1))
    assert [(fill.leg, fill.price_ticks, fill.quantity_steps) for fill in done.fills] == [
        (0, str(PRICE), "4"),
        (1, str(PRICE), "1"),
        (1, str(PRICE + 1), "3"),
    ]
    assert done.status == "done"


def test_an_order_without_legs_is_done(tmp_path: Path) -> None:
    venue = opened(USDM, tmp_path, market(((PRICE, 5),)))
    (done,) = venue.apply(order_id(1), actions(), LATER, at(1))
    assert (done.status, done.fills, done.reason) == ("done", (), None)


def test_a_quantity_below_the_venues_minimum_is_refused(tmp_path: Path) -> None:
    venue = opened(SPOT, tmp_path, market(((PRICE, 5_000),)))
    (small,) = venue.apply(order_id(1), actions(buy(SPOT, PRICE, 999)), LATER, at(1))
    assert small.status == "refused"
    assert "minimum" in str(small.reason)
    (least,) = venue.apply(order_id(2), actions(buy(SPOT, PRICE, 1_000)), LATER, at(1))
    assert least.status == "done"


def test_an_order_on_an_unusable_book_is_refused_and_stays_refused(tmp_path: Path) -> None:
    venue = opened(USDM, tmp_path, market(((PRICE, 5),)))
    order = actions(buy(USDM, PRICE, 5))
    (early,) = venue.apply(order_id(1), order, LATER, at(0) - 1)
    (stale,) = venue.apply(order_id(2), order, LATER, at(1_000))
    assert early.status == stale.status == "refused"
    assert venue.apply(order_id(1), order, LATER, at(1)) == (early,)
    assert top(venue, at(1)) == [[PRICE, 5]]


def test_a_diff_that_repeats_the_same_quantity_refreshes_the_level(tmp_path: Path) -> None:
    repeat = Change(at(5), 106, 110, 105, asks=((PRICE, 5),))
    other = Change(at(3), 106, 106, 105, asks=((PRICE + 1, 7),), bids=((PRICE - 1, 9),))
    later = Change(at(5), 107, 110, 106, asks=((PRICE, 5),))
    for changes in ((repeat,), (other, later)):
        venue = opened(USDM, tmp_path, market(((PRICE, 5), (PRICE + 1, 7)), *changes))
        venue.apply(order_id(1), actions(buy(USDM, PRICE, 5)), LATER, at(2))
        assert top(venue, at(5) - 1) == [[PRICE + 1, 7]]
        assert top(venue, at(5)) == [[PRICE, 5], [PRICE + 1, 7]]


def test_a_diff_at_the_instant_of_the_take_came_before_it(tmp_path: Path) -> None:
    venue = opened(
        USDM, tmp_path, market(((PRICE, 5),), Change(at(2), 106, 110, 105, asks=((PRICE, 8),)))
    )
    (done,) = venue.apply(order_id(1), actions(buy(USDM, PRICE, 6)), LATER, at(2))
    assert done.status == "done"
    assert top(venue, at(2)) == [[PRICE, 2]]


def test_a_later_snapshot_refreshes_every_level(tmp_path: Path) -> None:
    events = [
        *market(((PRICE, 5),)),
        Change(at(3), 110, 115, 109),
        Depth(at(4), 112, ((PRICE - 1, 9),), ((PRICE, 5),)),
    ]
    venue = opened(USDM, tmp_path, events, gaps="wait")
    venue.apply(order_id(1), actions(buy(USDM, PRICE, 5)), LATER, at(2))
    assert top(venue, at(2)) == []
    assert top(venue, at(4)) == [[PRICE, 5]]


def test_rewinding_forgets_no_order(tmp_path: Path) -> None:
    venue = opened(USDM, tmp_path, market(((PRICE, 5),)))
    order = actions(buy(USDM, PRICE, 3))
    done = venue.apply(order_id(1), order, LATER, at(8))
    assert top(venue, at(7)) == [[PRICE, 5]]
    assert venue.apply(order_id(1), order, LATER, at(7)) == done
    assert top(venue, at(7)) == [[PRICE, 5]]
    assert top(venue, at(8)) == [[PRICE, 2]]


def journal_of(folder: Path) -> Path:
    return folder / "orders.jsonl"


def kept(folder: Path) -> RecordedVenue:
    return opened(USDM, folder, market(((PRICE, 5),)), journal=str(journal_of(folder)))


def test_the_journal_is_written_before_the_outcome_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = kept(tmp_path)
    dies_before_it_is_kept(venue, actions(buy(USDM, PRICE, 3)), at(1), monkeypatch)
    assert venue.reconcile(order_id(1)) is NEVER_SEEN


def test_a_journal_cut_off_anywhere_keeps_whole_orders_only(tmp_path: Path) -> None:
    venue = kept(tmp_path)
    order = actions(buy(USDM, PRICE, 2))
    first = venue.apply(order_id(1), order, LATER, at(1))
    size = journal_of(tmp_path).stat().st_size
    venue.apply(order_id(2), order, LATER, at(2))
    whole = journal_of(tmp_path).read_bytes()
    for length in range(size, len(whole)):
        journal_of(tmp_path).write_bytes(whole[:length])
        again = kept(tmp_path)
        assert again.reconcile(order_id(1)) == first
        assert again.reconcile(order_id(2)) is NEVER_SEEN
        again.apply(order_id(2), order, LATER, at(2))
        assert journal_of(tmp_path).read_bytes() == whole


def applied(folder: Path) -> RecordedVenue:
    venue = kept(folder)
    venue.apply(order_id(1), actions(buy(USDM, PRICE, 2)), LATER, at(1))
    return venue


def test_opening_a_venue_makes_no_journal(tmp_path: Path) -> None:
    kept(tmp_path)
    assert not journal_of(tmp_path).exists()


def test_a_journal_cut_within_its_header_starts_anew(tmp_path: Path) -> None:
    applied(tmp_path)
    whole = journal_of(tmp_path).read_bytes()
    for length in range(whole.index(b"\n") + 2):
        journal_of(tmp_path).write_bytes(whole[:length])
        assert kept(tmp_path).reconcile(order_id(1)) is NEVER_SEEN
        applied(tmp_path)
        assert journal_of(tmp_path).read_bytes() == whole


def test_a_full_disk_returns_no_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venue, write = kept(tmp_path), os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:20]))
    order = actions(buy(USDM, PRICE, 2))
    with pytest.raises(BadInput, match="disk is full"):
        venue.apply(order_id(1), order, LATER, at(1))
    monkeypatch.undo()
    with pytest.raises(BadInput, match="a write of this one failed"):
        venue.apply(order_id(1), order, LATER, at(1))
    assert kept(tmp_path).reconcile(order_id(1)) is NEVER_SEEN


def test_a_restored_journal_refreshes_levels_as_before(tmp_path: Path) -> None:
    events = market(((PRICE, 5),), Change(at(5), 106, 110, 105, asks=((PRICE, 6),)))
    config = {"journal": str(journal_of(tmp_path))}
    before = opened(USDM, tmp_path, events, **config)
    before.apply(order_id(1), actions(buy(USDM, PRICE, 3)), LATER, at(2))
    after = opened(USDM, tmp_path, events, **config)
    for time in (at(1), at(2), at(5) - 1, at(5)):
        assert after.pin(time).digest == before.pin(time).digest
    assert after.facts()["orders"] == 1


def test_a_journal_of_another_capture_is_refused(tmp_path: Path) -> None:
    applied(tmp_path)
    with pytest.raises(BadInput, match="not the journal of this source") as caught:
        opened(USDM, tmp_path, market(((PRICE, 6),)), journal=str(journal_of(tmp_path)))
    assert caught.value.file == str(journal_of(tmp_path))


@pytest.mark.parametrize("garbage", [b"nonsense\n", b'{"outcome":{},"takes":[]}\n', b"[]\n", b"\n"])
def test_a_changed_journal_is_refused_with_its_line(garbage: bytes, tmp_path: Path) -> None:
    applied(tmp_path)
    with journal_of(tmp_path).open("ab") as file:
        file.write(garbage)
    with pytest.raises(BadInput) as caught:
        kept(tmp_path)
    assert caught.value.field == "line 3"


def test_two_processes_do_not_share_a_journal(tmp_path: Path) -> None:
    one, two = kept(tmp_path), kept(tmp_path)
    order = actions(buy(USDM, PRICE, 2))
    one.apply(order_id(1), order, LATER, at(1))
    with pytest.raises(BadInput, match="another process"):
        two.apply(order_id(2), order, LATER, at(1))
    assert two.reconcile(order_id(2)) is NEVER_SEEN


def test_the_journal_has_pinned_bytes(tmp_path: Path) -> None:
    venue = kept(tmp_path)
    venue.apply(order_id(1), actions(buy(USDM, PRICE, 2)), LATER, at(1))
    header, line, rest = journal_of(tmp_path).read_bytes().split(b"\n")
    assert json.loads(header)["format"] == "venue-recorded/1"
    assert rest == b""
    assert line.decode() == (
        '{"outcome":{"fills":[{"leg":0,"price_ticks":"618000","quantity_steps":"2","units":"200"}],'
        f'"order":"{order_id(1)}","reason":null,"status":"done","swaps":[]}},'
        '"takes":[{"refreshed":null,"side":1,"steps":"2","ticks":"618000",'
        f'"time":"{at(1)}"}}]}}'
    )


@given(
    dialect=st.sampled_from(THREE),
    steps=st.integers(0, 10**9),
    ticks=st.integers(1, 10**7),
    left=st.integers(0, 10**6),
)
def test_affordable_steps_are_the_most_that_count(
    dialect: Dialect, steps: int, ticks: int, left: int
) -> None:
    traded: Instrument = instrument(dialect)
    got = affordable(steps, ticks, left, traded, LOT)
    units = traded.base_lots(got, ticks, LOT)
    assert 0 <= got <= steps
    assert units <= left
    if got < steps:
        assert traded.base_lots(got + 1, ticks, LOT) == units or (
            traded.base_lots(got + 1, ticks, LOT) > left
        )
        assert got == 0 or traded.base_lots(got - 1, ticks, LOT) < units


SIZES = st.integers(1, 50)
LEGS = st.tuples(
    st.sampled_from(["buy", "sell"]),
    st.integers(-4, 4),
    st.integers(0, 60),
    st.integers(0, 9_000),
)


@settings(max_examples=60, deadline=None)
@given(
    dialect=st.sampled_from((USDM, COINM)),
    bids=st.lists(SIZES, min_size=1, max_size=4),
    asks=st.lists(SIZES, min_size=1, max_size=4),
    orders=st.lists(
        st.tuples(st.integers(0, 5), st.lists(LEGS, max_size=3), st.integers(1, 30)), max_size=8
    ),
)
def test_no_order_gets_more_than_asked_for_and_all_together_no_more_than_rests(
    dialect: Dialect,
    bids: list[int],
    asks: list[int],
    orders: list[tuple[int, list[tuple[str, int, int, int]], int]],
) -> None:
    resting = {PRICE - 1 - k: size for k, size in enumerate(bids)}
    resting |= {PRICE + 1 + k: size for k, size in enumerate(asks)}
    depth = Depth(
        at(0),
        100,
        tuple((PRICE - 1 - k, size) for k, size in enumerate(bids)),
        tuple((PRICE + 1 + k, size) for k, size in enumerate(asks)),
    )
    taken = dict.fromkeys(resting, 0)
    with TemporaryDirectory() as folder:
        venue = opened(dialect, Path(folder), [depth, Change(at(1), 100, 105, 99)])
        now = at(1)
        seen: dict[str, object] = {}
        for number, legs, wait in orders:
            now += wait * 1_000_000
            wanted = tuple(
                Leg(
                    side="buy" if side == "buy" else "sell",
                    instrument=dialect.canonical,
                    limit_ticks=str(PRICE + limit),
                    quantity_steps=str(size),
                    most_units=str(units),
                )
                for side, limit, size, units in legs
            )
            outcome = venue.apply(order_id(number), actions(*wanted), LATER, now)
            if order_id(number) in seen:
                assert outcome == seen[order_id(number)]
                continue
            seen[order_id(number)] = outcome
            for index, leg in enumerate(wanted):
                fills = [fill for fill in outcome[0].fills if fill.leg == index]
                assert sum(int(fill.quantity_steps) for fill in fills) <= int(leg.quantity_steps)
                assert sum(int(fill.units) for fill in fills) <= int(leg.most_units)
                for fill in fills:
                    price = int(fill.price_ticks)
                    taken[price] += int(fill.quantity_steps)
                    limit = int(leg.limit_ticks)
                    assert price <= limit if leg.side == "buy" else price >= limit
        state = venue.pin(now).state
    left = dict((*state.bids.tolist(), *state.asks.tolist()))
    assert {price: resting[price] - taken[price] for price in resting} == {
        price: left.get(price, 0) for price in resting
    }
