"""The simulated venue over time: our takes go through the queue, once, and survive a crash."""

import json
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.venues.crashes import dies_before_it_is_kept, lives
from tests.venues.simulated import INSTRUMENT, legs_of, opened, save, taking

from covenue.errors import BadInput, StateStale
from covenue.hooks.venues import NEVER_SEEN
from covenue.testing.venues import LATER, asks, at, bids, filled, order_id
from covenue_contracts.contract import Scalar
from covenue_contracts.local import Leg
from covenue_venue_sim.engine import BUY, SELL, Amend, Cancel, Engine, New, Request, Rules
from covenue_venue_sim.flow import Flow, Timed, generated
from covenue_venue_sim.fold import EngineFold, Take
from covenue_venue_sim.venue import SimVenue

WRITER = Path(__file__).with_name("take_writer.py")


def timed(*requests: Request) -> list[Timed]:
    """Requests a tenth of a second apart."""
    return [Timed(at(number), request) for number, request in enumerate(requests)]


def resting(name: str, side: int, ticks: int, steps: int) -> New:
    return New(name, name, side, ticks, steps)


BOOK = timed(
    resting("a", SELL, 101, 4),
    resting("b", SELL, 101, 6),
    resting("c", SELL, 103, 5),
    resting("d", BUY, 99, 7),
)


def test_a_side_may_be_empty(tmp_path: Path) -> None:
    venue = opened(tmp_path, BOOK)
    assert (bids(venue.pin(at(2))), asks(venue.pin(at(2)))) == ((), ((101, 10), (103, 5)))
    (none,) = venue.apply(order_id(1), legs_of(taking("sell", 1, 1)), LATER, at(2))
    assert (none.status, none.reason) == ("refused", "no more quantity within the limit")
    with pytest.raises(StateStale):
        venue.pin(at(0) - 1)


def test_our_take_goes_through_the_queue_and_later_orders_meet_what_is_left(
    tmp_path: Path,
) -> None:
    """We take the first of a price; its later cancel finds nothing, the second one stands."""
    later = [
        *BOOK,
        Timed(at(5), Cancel("a")),
        Timed(at(6), Amend("b", 101, 2)),
        Timed(at(7), New("e", "e", BUY, 101, 9, "ioc")),
    ]
    venue = opened(tmp_path, later)
    (done,) = venue.apply(order_id(1), legs_of(taking("buy", 101, 5)), LATER, at(4))
    assert (done.status, filled((done,))) == ("done", ((101, 5),))
    assert asks(venue.pin(at(4))) == ((101, 5), (103, 5))
    assert asks(venue.pin(at(5))) == ((101, 5), (103, 5))
    assert asks(venue.pin(at(6))) == ((101, 2), (103, 5))
    assert asks(venue.pin(at(7))) == ((103, 5),)
    assert asks(venue.pin(at(3))) == ((101, 10), (103, 5))


def test_legs_of_one_order_see_what_the_ones_before_took(tmp_path: Path) -> None:
    venue = opened(tmp_path, BOOK)
    order = legs_of(taking("buy", 103, 12), taking("buy", 103, 12), taking("sell", 99, 3))
    (partial,) = venue.apply(order_id(1), order, LATER, at(4))
    assert partial.status == "partial"
    assert filled((partial,)) == ((101, 10), (103, 2), (103, 3), (99, 3))
    assert [fill.leg for fill in partial.fills] == [0, 0, 1, 2]
    assert (bids(venue.pin(at(4))), asks(venue.pin(at(4)))) == (((99, 4),), ())


def test_facts_tell_position_cash_and_fees(tmp_path: Path) -> None:
    venue = opened(tmp_path, BOOK, taker_ppm=70_000, maker_ppm=-1)
    venue.apply(order_id(1), legs_of(taking("buy", 103, 12)), LATER, at(4))
    venue.apply(order_id(2), legs_of(taking("sell", 99, 7)), LATER, at(4))
    facts = venue.facts()
    # Fees: ceil(4·101·0.07) + ceil(6·101·0.07) + ceil(2·103·0.07) + ceil(7·99·0.07) ticks·steps.
    fees = 29 + 43 + 15 + 49
    assert facts["position"] == "0.005"
    assert Fraction(str(facts["fees"])) == Fraction(fees, 10_000)
    assert Fraction(str(facts["cash"])) == Fraction(-1_010 - 206 + 693 - fees, 10_000)
    assert (facts["orders"], facts["executions"], facts["requests"]) == (2, 4, 4)
    for value in facts.values():
        assert value is None or isinstance(value, str) or abs(value) < 2**53
    venue.close()


def test_a_fee_that_is_switched_off_shows_in_the_cash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cash() -> object:
        with TemporaryDirectory() as place:
            venue = opened(Path(place), BOOK, taker_ppm=1)
            venue.apply(order_id(1), legs_of(taking("buy", 103, 12)), LATER, at(4))
            return venue.facts()["cash"]

    paid = cash()
    monkeypatch.setattr("covenue_venue_sim.engine.fee", lambda money, ppm: money * ppm // 10**6)
    assert cash() != paid


REFUSED: dict[str, tuple[Leg, str, str]] = {
    "another instrument": (
        taking("buy", 101, 1).model_copy(update={"instrument": "other"}),
        "0.001",
        "other",
    ),
    "a unit of zero": (taking("buy", 101, 1), "0", "counts nothing"),
    "less than the minimum": (taking("buy", 101, 1), "0.001", "minimum"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_order_that_cannot_be_meant_is_refused_whole(case: str, tmp_path: Path) -> None:
    leg, unit, why = REFUSED[case]
    large = INSTRUMENT.model_copy(update={"minimum": "0.002"})
    venue = opened(tmp_path, BOOK, large)
    order = legs_of(taking("buy", 101, 2), leg).model_copy(update={"unit": unit})
    (outcome,) = venue.apply(order_id(1), order, LATER, at(4))
    assert (outcome.status, outcome.fills) == ("refused", ())
    assert why in str(outcome.reason)


def test_an_order_on_a_stale_book_is_refused_and_stays_refused(tmp_path: Path) -> None:
    venue = opened(tmp_path, BOOK, stale_ms=100)
    order = legs_of(taking("buy", 101, 1))
    (stale,) = venue.apply(order_id(1), order, LATER, at(9))
    assert "book unusable" in str(stale.reason)
    assert venue.apply(order_id(1), order, LATER, at(3)) == (stale,)


def test_an_order_with_an_earlier_time_happens_after_the_one_before_it(tmp_path: Path) -> None:
    venue = opened(tmp_path, BOOK)
    venue.apply(order_id(1), legs_of(taking("buy", 101, 1)), LATER, at(3))
    (late,) = venue.apply(order_id(2), legs_of(taking("buy", 101, 1)), at(2), at(1))
    assert (late.status, late.reason) == ("refused", "late")
    venue.apply(order_id(3), legs_of(taking("buy", 101, 1)), LATER, at(1))
    assert asks(venue.pin(at(3) - 1))[0] == (101, 10)
    assert asks(venue.pin(at(3)))[0] == (101, 8)


def test_a_hundred_later_instants_fold_every_request_once(tmp_path: Path) -> None:
    venue = opened(tmp_path, BOOK)
    for tenths in range(100):
        venue.pin(at(tenths))
    venue.facts()
    assert venue._fold.folded == len(BOOK)
    venue.pin(at(0))
    venue.pin(at(100))
    assert venue._fold.folded == 2 * len(BOOK)


def test_a_fold_that_forgets_takes_behind_it_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = [*BOOK, Timed(at(8), New("e", "e", BUY, 101, 10, "ioc"))]
    takes = (Take(at(5), BUY, 103, 10),)

    def ahead_then_back() -> list[tuple[int, int]]:
        fold = EngineFold(Rules(), flow)
        fold.at(at(9), ())
        return fold.at(at(9), takes).levels(SELL)

    assert ahead_then_back() == EngineFold(Rules(), flow).at(at(9), takes).levels(SELL)
    monkeypatch.setattr(
        EngineFold,
        "_is_ahead",
        lambda self, seen, made, takes: seen < self._seen or made < self._made,
    )
    assert ahead_then_back() == []


FLOW = Flow(seed=3, start=at(0), seconds=2, rate=150, mid_ticks=60, levels=6, size_steps=8)
MOVES = st.lists(
    st.tuples(
        st.integers(0, 21),
        st.lists(
            st.tuples(
                st.sampled_from(["buy", "sell"]),
                st.integers(50, 70),
                st.integers(0, 60),
                st.integers(0, 80),
            ),
            max_size=3,
        ),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(moves=MOVES)
def test_outcomes_are_what_the_engine_executes_in_any_order_of_pins(
    moves: list[tuple[int, list[tuple[str, int, int, int]]]],
) -> None:
    """An engine that gets everybody's requests in time order executes just what was reported."""
    with TemporaryDirectory() as folder:
        venue = opened(Path(folder), generated(FLOW))
        reported: list[tuple[int, Leg, list[tuple[int, int]]]] = []
        latest = 0
        for number, (tenths, drawn) in enumerate(moves):
            legs = [taking(*leg) for leg in drawn]
            (outcome,) = venue.apply(order_id(number), legs_of(*legs), LATER, at(tenths))
            for index, leg in enumerate(legs):
                fills = [fill for fill in outcome.fills if fill.leg == index]
                assert sum(int(fill.quantity_steps) for fill in fills) <= int(leg.quantity_steps)
                assert sum(int(fill.units) for fill in fills) <= int(leg.most_units)
                if fills:
                    latest = max(latest, at(tenths))
                    own = [(int(f.price_ticks), int(f.quantity_steps)) for f in fills]
                    reported.append((latest, leg, own))
            venue.pin(at(21 - tenths))
        made = Engine(Rules())
        requests = list(generated(FLOW))
        for number, (time, leg, own) in enumerate(reported):
            while requests and requests[0].time <= time:
                made.submit(requests.pop(0).request)
            steps = sum(size for _, size in own)
            side = BUY if leg.side == "buy" else SELL
            report = made.submit(
                New(f"ours-{number}", "ours", side, int(leg.limit_ticks), steps, "ioc")
            )
            merged: dict[int, int] = {}
            for e in report.executions:
                merged[e.ticks] = merged.get(e.ticks, 0) + e.steps
            assert list(merged.items()) == own
        for rest in requests:
            made.submit(rest.request)
        last = venue.pin(at(30)).state
        assert [tuple(level) for level in last.asks.tolist()] == made.levels(SELL)
        assert [tuple(level) for level in last.bids.tolist()] == made.levels(BUY)


def test_a_generated_flow_is_the_same_from_a_seed_and_from_its_table(tmp_path: Path) -> None:
    table = opened(tmp_path / "table", generated(FLOW))
    save(tmp_path / "seed", ())
    (tmp_path / "seed" / "orders.csv").unlink()
    config: dict[str, Scalar] = {
        "seed": 3,
        "start": str(at(0)),
        "seconds": 2,
        "rate": 150,
        "mid_ticks": 60,
        "levels": 6,
        "size_steps": 8,
    }
    seeded = SimVenue(config, tmp_path / "seed")
    for tenths in (0, 7, 20):
        assert seeded.pin(at(tenths)).digest == table.pin(at(tenths)).digest


def kept(folder: Path) -> SimVenue:
    return opened(folder, BOOK, journal=str(folder / "journal"))


def test_the_journal_is_written_before_the_outcome_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = kept(tmp_path)
    dies_before_it_is_kept(venue, legs_of(taking("buy", 101, 3)), at(4), monkeypatch)
    assert venue.reconcile(order_id(1)) is NEVER_SEEN
    assert asks(venue.pin(at(4)))[0] == (101, 10)


def test_the_journal_has_pinned_bytes(tmp_path: Path) -> None:
    kept(tmp_path).apply(order_id(1), legs_of(taking("buy", 102, 3)), LATER, at(4))
    header, line, rest = (tmp_path / "journal").read_bytes().split(b"\n")
    assert json.loads(header)["format"] == "venue-sim/1"
    assert rest == b""
    assert line.decode() == (
        '{"outcome":{"fills":[{"leg":0,"price_ticks":"101","quantity_steps":"3","units":"3"}],'
        f'"order":"{order_id(1)}","reason":null,"status":"done","swaps":[]}},'
        f'"takes":[{{"side":"0","steps":"3","ticks":"102","time":"{at(4)}"}}]}}'
    )


def test_a_restart_restores_book_position_and_fees(tmp_path: Path) -> None:
    journal = str(tmp_path / "journal")
    before = opened(tmp_path, BOOK, journal=journal, taker_ppm=500)
    before.apply(order_id(1), legs_of(taking("buy", 103, 12)), LATER, at(4))
    before.apply(order_id(2), legs_of(taking("sell", 99, 2)), LATER, at(5))
    after = opened(tmp_path, BOOK, journal=journal, taker_ppm=500)
    assert after.facts() == before.facts()
    for time in (at(3), at(4), at(5)):
        assert after.pin(time).digest == before.pin(time).digest


def test_a_journal_of_another_flow_or_other_fees_is_refused(tmp_path: Path) -> None:
    kept(tmp_path).apply(order_id(1), legs_of(taking("buy", 101, 3)), LATER, at(4))
    journal = str(tmp_path / "journal")
    with pytest.raises(BadInput, match="not the journal of this source"):
        opened(tmp_path / "flow", BOOK[:3], journal=journal)
    with pytest.raises(BadInput, match="not the journal of this source"):
        opened(tmp_path / "fees", BOOK, journal=journal, taker_ppm=1)


def test_every_answered_order_survives_kill_9(tmp_path: Path) -> None:
    save(tmp_path, timed(resting("a", SELL, 101, 10**9)))
    answered = lives(WRITER, tmp_path, 2)[-1]
    assert answered >= 10
    venue = SimVenue({"journal": str(tmp_path / "journal")}, tmp_path)
    known = int(str(venue.facts()["orders"]))
    assert answered <= known <= answered + 1
    assert all(venue.reconcile(order_id(number)) is not NEVER_SEEN for number in range(known))
    assert asks(venue.pin(at(99))) == ((101, 10**9 - known),)
