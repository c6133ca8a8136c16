"""Pools over time: any order of pins and orders tells the same, and a crash loses nothing."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.venues.crashes import dies_before_it_is_kept, lives
from tests.venues.pools import opened, save_script

from covenue.errors import BadInput
from covenue.hooks.venues import NEVER_SEEN
from covenue.testing.venues import (
    LATER,
    OWN_TRADES,
    POOL_SCRIPT,
    SWAP,
    PoolTrade,
    at,
    held,
    order_id,
    swap_of,
    swapping,
)
from covenue_contracts.local import Swap
from covenue_venue_amm.fold import OwnSwap, ReserveFold
from covenue_venue_amm.tables import NATIVE_MAX, read_pools, read_trades
from covenue_venue_amm.venue import PoolVenue

WRITER = Path(__file__).with_name("swap_writer.py")
MOVES = st.lists(
    st.tuples(st.integers(0, 12), st.none() | st.tuples(st.integers(0, 4), st.integers(1, 10**12))),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(moves=MOVES, last=st.integers(0, 12))
def test_pins_and_swaps_in_any_order_fold_as_if_all_were_known_before(
    moves: list[tuple[int, tuple[int, int] | None]], last: int
) -> None:
    """Every pin equals the suite's oracle over the whole history, our swaps at their places."""
    ours: list[PoolTrade] = []
    with TemporaryDirectory() as folder:
        venue = opened(Path(folder), POOL_SCRIPT)
        for number, (tenths, wanted) in enumerate(moves):
            if wanted is not None:
                which, paid = wanted
                instant = max(at(tenths), ours[-1].time) if ours else at(tenths)
                trade = PoolTrade(instant, OWN_TRADES[which].pool, OWN_TRADES[which].pays, paid)
                venue.apply(order_id(number), swapping(swap_of(trade, 0)), LATER, at(tenths))
                ours.append(trade)
            for time in (at(tenths), at(last)):
                history = sorted(
                    [(t.time, 0, n, t) for n, t in enumerate(POOL_SCRIPT.trades)]
                    + [(t.time, 1, n, t) for n, t in enumerate(ours)]
                )
                known = [trade for when, _, _, trade in history if when <= time]
                assert held(venue.pin(time)) == POOL_SCRIPT.after(known)


def test_a_hundred_later_instants_fold_every_swap_once(tmp_path: Path) -> None:
    venue = opened(tmp_path, POOL_SCRIPT)
    for tenths in range(100):
        venue.pin(at(tenths))
    assert venue._fold.folded == len(POOL_SCRIPT.trades)
    venue.pin(at(0))
    venue.pin(at(100))
    assert venue._fold.folded == 2 * len(POOL_SCRIPT.trades)


def test_a_fold_that_forgets_own_swaps_behind_it_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pin ran ahead, then we swapped before it: without the guard the fold misplaces our swap."""
    save_script(tmp_path, POOL_SCRIPT)
    pools = read_pools(tmp_path)
    trades = read_trades(tmp_path, pools, at(0))

    def ahead_then_back() -> list[list[int]]:
        fold = ReserveFold(pools, trades)
        fold.at(at(9), ())
        own = OwnSwap(at(2), 0, 0, 10**12, 10**12)
        return [list(row) for row in fold.at(at(9), (own,)).tolist()]

    fresh = ReserveFold(pools, trades).at(at(9), (OwnSwap(at(2), 0, 0, 10**12, 10**12),))
    assert ahead_then_back() == fresh.tolist()
    monkeypatch.setattr(
        ReserveFold,
        "_is_ahead",
        lambda self, seen, made, own: seen < self._seen or made < self._own,
    )
    assert ahead_then_back() != fresh.tolist()


def test_an_order_with_an_earlier_time_happens_after_the_one_before_it(tmp_path: Path) -> None:
    venue = opened(tmp_path, POOL_SCRIPT)
    venue.apply(order_id(1), swapping(SWAP), LATER, at(8))
    (late,) = venue.apply(order_id(2), swapping(SWAP), at(7), at(2))
    assert (late.status, late.reason) == ("refused", "late")
    venue.apply(order_id(3), swapping(SWAP), LATER, at(2))
    assert held(venue.pin(at(8) - 1)) == POOL_SCRIPT.after(POOL_SCRIPT.trades[:4])
    assert venue.facts()["own_swaps"] == 2


def test_arrays_of_a_pinned_state_cannot_be_written(tmp_path: Path) -> None:
    state = opened(tmp_path, POOL_SCRIPT).pin(at(1)).state
    for array in (state.sides, state.reserves, state.fee_ppm):
        assert array.dtype == np.int64
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_packed_tables_and_another_folder_give_the_same_digest(tmp_path: Path) -> None:
    plain = opened(tmp_path / "a", POOL_SCRIPT)
    packed = opened(tmp_path / "b", POOL_SCRIPT, packed=True)
    named = opened(tmp_path / "c", POOL_SCRIPT, venue="another")
    assert plain.pin(at(5)).digest == packed.pin(at(5)).digest
    assert plain.pin(at(5)).digest != named.pin(at(5)).digest


def test_an_order_without_swaps_is_done(tmp_path: Path) -> None:
    (done,) = opened(tmp_path, POOL_SCRIPT).apply(order_id(1), swapping(), LATER, at(1))
    assert (done.status, done.swaps, done.reason) == ("done", (), None)


def test_an_order_on_stale_or_unknown_pools_is_refused_and_stays_refused(tmp_path: Path) -> None:
    venue = opened(tmp_path, POOL_SCRIPT, stale_ms=1_000)
    for number, now in enumerate((at(0) - 1, at(60))):
        (refused,) = venue.apply(order_id(number), swapping(SWAP), LATER, now)
        assert refused.status == "refused"
        assert "pools unusable" in str(refused.reason)
        assert venue.apply(order_id(number), swapping(SWAP), LATER, at(5)) == (refused,)


def test_no_pool_is_paid_more_than_it_can_count(tmp_path: Path) -> None:
    venue = opened(tmp_path, POOL_SCRIPT)
    most = NATIVE_MAX - 1 - held(venue.pin(at(9)))["near"][1]

    def paying(paid: int) -> Swap:
        return SWAP.model_copy(update={"paid": str(paid)})

    (refused,) = venue.apply(order_id(1), swapping(paying(most + 1)), LATER, at(9))
    assert (refused.status, refused.swaps) == ("refused", ())
    (done,) = venue.apply(order_id(2), swapping(paying(most)), LATER, at(9))
    assert done.status == "done"
    assert held(venue.pin(at(9)))["near"][1] == NATIVE_MAX - 1


def test_facts_are_scalars_that_the_canonical_profile_can_carry(tmp_path: Path) -> None:
    venue = opened(tmp_path, POOL_SCRIPT)
    venue.apply(order_id(1), swapping(SWAP), LATER, at(3))
    facts = venue.facts()
    assert (facts["pools"], facts["assets"], facts["trades"]) == (3, 3, 5)
    assert (facts["first_time"], facts["last_time"]) == (str(at(1)), str(at(9)))
    assert (facts["orders"], facts["own_swaps"]) == (1, 1)
    for value in facts.values():
        assert value is None or isinstance(value, str) or abs(value) < 2**53
    venue.close()


def kept(folder: Path) -> PoolVenue:
    return opened(folder, POOL_SCRIPT, journal=str(folder / "orders.jsonl"))


def test_the_journal_is_written_before_the_outcome_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = kept(tmp_path)
    before = venue.pin(at(3)).digest
    dies_before_it_is_kept(venue, swapping(SWAP), at(3), monkeypatch)
    assert venue.reconcile(order_id(1)) is NEVER_SEEN
    assert venue.pin(at(3)).digest == before


def test_the_journal_has_pinned_bytes(tmp_path: Path) -> None:
    (outcome,) = kept(tmp_path).apply(order_id(1), swapping(SWAP), LATER, at(1))
    got = outcome.swaps[0].received
    header, line, rest = (tmp_path / "orders.jsonl").read_bytes().split(b"\n")
    assert json.loads(header)["format"] == "venue-amm/1"
    assert rest == b""
    assert line.decode() == (
        f'{{"outcome":{{"fills":[],"order":"{order_id(1)}","reason":null,"status":"done",'
        f'"swaps":[{{"paid":"500000000001","received":"{got}","swap":0}}]}},'
        f'"takes":[{{"paid":"500000000001","received":"{got}","row":"0","side":"1",'
        f'"time":"{at(1)}"}}]}}'
    )


def test_a_journal_cut_off_anywhere_keeps_whole_orders_only(tmp_path: Path) -> None:
    venue = kept(tmp_path)
    first = venue.apply(order_id(1), swapping(SWAP), LATER, at(1))
    journal = tmp_path / "orders.jsonl"
    size = journal.stat().st_size
    venue.apply(order_id(2), swapping(SWAP, SWAP), LATER, at(2))
    whole, after = journal.read_bytes(), venue.pin(at(9)).digest
    for length in range(size, len(whole), 17):
        journal.write_bytes(whole[:length])
        again = kept(tmp_path)
        assert again.reconcile(order_id(1)) == first
        assert again.reconcile(order_id(2)) is NEVER_SEEN
        again.apply(order_id(2), swapping(SWAP, SWAP), LATER, at(2))
        assert journal.read_bytes() == whole
        assert again.pin(at(9)).digest == after


def test_a_journal_of_other_pools_is_refused(tmp_path: Path) -> None:
    kept(tmp_path).apply(order_id(1), swapping(SWAP), LATER, at(1))
    journal = str(tmp_path / "orders.jsonl")
    with pytest.raises(BadInput, match="not the journal of this source") as caught:
        opened(tmp_path / "other", POOL_SCRIPT.until(at(5)), journal=journal)
    assert caught.value.file == journal
    assert opened(tmp_path / "packed", POOL_SCRIPT, packed=True, journal=journal).facts()["orders"]


def check_lives(folder: Path, answered: Sequence[int]) -> None:
    """Every answered order is known, at most one more, and the pools hold what they made."""
    venue = opened(folder, POOL_SCRIPT, journal=str(folder / "journal"))
    known = int(str(venue.facts()["orders"]))
    assert answered[-1] <= known <= answered[-1] + 1
    ours = [
        PoolTrade(at(1) + number, SWAP.pool, SWAP.pays, int(SWAP.paid)) for number in range(known)
    ]
    assert all(venue.reconcile(order_id(number)) is not NEVER_SEEN for number in range(known))
    history = sorted([*POOL_SCRIPT.trades, *ours], key=lambda trade: trade.time)
    assert held(venue.pin(at(9))) == POOL_SCRIPT.after(history)


def test_every_answered_order_survives_kill_9(tmp_path: Path) -> None:
    check_lives(tmp_path, lives(WRITER, tmp_path, 3))


def test_a_writer_that_answers_before_it_keeps_loses_orders(tmp_path: Path) -> None:
    answered = lives(WRITER, tmp_path, 1, "forgetful")
    assert answered[-1] >= 5
    with pytest.raises(AssertionError):
        check_lives(tmp_path, answered)
