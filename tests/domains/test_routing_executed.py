"""Orders on recorded books, plan after plan: what is really filled stays within the goal."""

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.venues.captures import THREE, opened

from covenue.hooks.domains import EMPTY, Acted
from covenue.numerics import fills
from covenue.numerics.words import words
from covenue.testing.domains import commit_query
from covenue.testing.solvers import play
from covenue.testing.venues import LATER, PRICE, Change, Depth, Levels, MarketEvent, at, order_id
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Fill, Leg
from covenue_contracts.plan import Goal, Member
from covenue_contracts.shared import Query
from covenue_domain_routing import Routing
from covenue_domain_routing.goals import read_terms
from covenue_solver_search import Search
from covenue_venue_recorded import venue
from covenue_venue_recorded.dialects import COINM, SPOT, Dialect
from covenue_venue_recorded.venue import RecordedVenue

MEMBER = Member(did="did:key:z" + "6" * 46 + "11", name="venue-0", slot=0)
SETTLE = Query(kind="settle", after=None, multipliers=None, points=())
PLANS = 12
LOTS = ("0.00001", "0.00037", "0.001", "0.1", "1", "3")


def market(asks: Levels) -> list[MarketEvent]:
    """A book whose levels come back with every diff, a second apart."""
    changes = [
        Change(at(10 * k), 100 + k, 100 + k, 99 + k if k > 1 else 100, asks=asks)
        for k in range(1, PLANS + 1)
    ]
    return [Depth(at(0), 101, ((PRICE - 1, 10**6),), asks), *changes]


def coins(venue: RecordedVenue, fill: Fill) -> Fraction:
    """The base quantity that a fill really is."""
    made = venue.instrument
    amount = int(fill.quantity_steps) * Fraction(made.step) * Fraction(made.multiplier)
    if made.payoff == "linear":
        return amount
    return amount / (int(fill.price_ticks) * Fraction(made.tick))


def run(goal: Goal, source: RecordedVenue) -> tuple[Fraction, int]:
    """(base quantity filled, number of fills) of an order, plan after plan."""
    domain = Routing()
    filled, fills = Fraction(0), 0
    told = []
    whole = domain.coupling(goal, [MEMBER])
    left = goal
    for number in range(1, PLANS + 1):
        if left.remaining == ("0",):
            break
        problem = domain.problem(left, [MEMBER], MEMBER, source.pin(at(10 * number)), {})
        solution = play(Search(), domain.coupling(left, [MEMBER]), [problem]).solution
        if solution.status != "certified":
            continue
        actions, planned, _ = problem.commit(commit_query(solution.points), EMPTY, order_id(number))
        outcomes = source.apply(order_id(number), actions, LATER, at(10 * number))
        got = [fill for outcome in outcomes for fill in outcome.fills]
        filled += sum((coins(source, fill) for fill in got), Fraction(0))
        fills += len(got)
        told.append(Acted(planned, actions, outcomes))
        executed, unknown = problem.settle(SETTLE, told)
        left = whole.left(executed, unknown, words([0]))
    return filled, fills


def within(goal: Goal, source: RecordedVenue) -> bool:
    """Whether the order stayed within its quantity, but for less than a lot a fill."""
    terms = read_terms(goal)
    filled, fills = run(goal, source)
    assert filled > 0 or not fills
    return filled <= terms.quantity * terms.lot + fills * terms.lot


def a_goal(lot: str, lots: int, pace: int | None) -> Goal:
    quantity, paced = lots * Fraction(lot), None if pace is None else pace * Fraction(lot)
    table = {"side": "buy", "lot": lot, "mode": "executed", "quantity": decimal(quantity)}
    return Routing().goal(table if paced is None else {**table, "pace": decimal(paced)})


def decimal(value: Fraction) -> str:
    scaled = value * 100_000
    assert scaled.denominator == 1
    return f"{int(scaled) // 100_000}.{int(scaled) % 100_000:05d}"


@settings(max_examples=60, deadline=None)
@given(
    dialect=st.sampled_from(THREE),
    lot=st.sampled_from(LOTS),
    lots=st.integers(1, 300),
    pace=st.none() | st.integers(1, 300),
    sizes=st.lists(st.integers(1, 4_000), min_size=1, max_size=5),
)
def test_with_any_lot_what_is_really_filled_stays_within_the_goal(
    dialect: Dialect, lot: str, lots: int, pace: int | None, sizes: list[int]
) -> None:
    scale = 100_000 if dialect is SPOT else 1
    asks = tuple((PRICE + k, size * scale) for k, size in enumerate(sizes))
    with TemporaryDirectory() as folder:
        assert within(a_goal(lot, lots, pace), opened(dialect, Path(folder), market(asks)))


def ignored(unit: str) -> object:
    """Mutant: a venue that counts in a unit of its own, whatever the actions say."""

    def execute(
        levels: list[tuple[int, int]], leg: Leg, number: int, traded: Instrument, _: Fraction
    ) -> fills.Executed:
        return fills.execute(levels, leg, number, traded, Fraction(unit))

    return execute


@pytest.mark.parametrize("dialect", THREE)
def test_a_venue_with_a_unit_of_its_own_fills_the_order_again_and_again(
    dialect: Dialect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = {SPOT.name: 10**8, COINM.name: 700}.get(dialect.name, 1_000)
    goal = a_goal("0.00001", 50_000, None)
    book = market(((PRICE, steps),))
    assert within(goal, opened(dialect, tmp_path / "sound", book))
    filled, _ = run(goal, opened(dialect, tmp_path / "again", book))
    assert Fraction("0.49") < filled < Fraction("0.501")
    monkeypatch.setattr(venue, "execute", ignored("1"))
    assert not within(goal, opened(dialect, tmp_path / "mutant", book))
