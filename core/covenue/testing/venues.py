"""For authors of venue adapters: numbered conformance cases, and a venue that does as it is told.

`venue_conformance` turns a builder over scripted market events into a class of test cases;
`ScriptedVenue` is an adapter without market data for tests of what drives adapters.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from covenue.errors import CaptureDamaged, CovenueError, StateStale
from covenue.hooks.venues import (
    NEVER_SEEN,
    BookState,
    NeverSeen,
    Snapshot,
    VenueAdapter,
    pack_book,
)
from covenue_contracts.canonical import canonical, sha256
from covenue_contracts.contract import Scalar
from covenue_contracts.energibridge import ClockStamp, Instrument
from covenue_contracts.local import Actions, Fill, Leg, Outcome, OutcomeStatus

Levels = tuple[tuple[int, int], ...]
"""(price ticks, quantity steps) pairs."""

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
PRICE = 618_000
LATER = 2**63 - 1


@dataclass(frozen=True)
class Change:
    """A delta as a venue sends it: ids first to last, after `previous`; quantity 0 deletes."""

    time: int
    first: int
    last: int
    previous: int
    bids: Levels = ()
    asks: Levels = ()


@dataclass(frozen=True)
class Depth:
    """A snapshot as a venue sends it: everything up to id `last`, best levels first."""

    time: int
    last: int
    bids: Levels
    asks: Levels


MarketEvent = Change | Depth


class BuildVenue(Protocol):
    """What an adapter's author supplies: an adapter that has received these events, in order."""

    def __call__(
        self,
        events: Sequence[MarketEvent],
        folder: Path,
        *,
        stale_ms: int,
        journal: Path,
        chunk_bytes: int,
    ) -> VenueAdapter:
        """Build it in an empty folder; it may refuse events by raising CaptureDamaged.

        stale_ms: silence that it must not bridge. journal: what survives a restart, if the adapter
        keeps such a file. chunk_bytes: how much it may read at a time.
        """
        ...


@contextmanager
def refuses(*errors: type[CovenueError]) -> Iterator[None]:
    """Assert that the block raises one of the errors."""
    try:
        yield
    except errors:
        return
    names = " or ".join(error.__name__ for error in errors)
    raise AssertionError(f"nothing was refused; {names} was expected")


def at(tenths: int) -> int:
    """A local time, in tenths of a second from the start of a script."""
    return START + tenths * SECOND // 10


def order_id(number: int) -> str:
    """An order id."""
    return sha256(b"order", number.to_bytes(8, "big"))


class Market:
    """The suite's script, in quantities that the instrument can trade."""

    def __init__(self, instrument: Instrument, lot: Fraction) -> None:
        self.instrument = instrument
        self.lot = lot
        self.unit = f"{Decimal(lot.numerator) / Decimal(lot.denominator):f}"
        self.least = -(-Fraction(instrument.minimum) // Fraction(instrument.step))

    def levels(self, *pairs: tuple[int, int]) -> Levels:
        """(ticks above PRICE, multiples of the least quantity) as levels."""
        return tuple((PRICE + ticks, size * self.least) for ticks, size in pairs)

    def events(self) -> tuple[MarketEvent, ...]:
        """A session: an old diff, the bridging diff, the snapshot after it, and two more diffs."""
        return (
            Change(at(0), 81, 90, 80, asks=self.levels((1, 99))),
            Change(at(1), 91, 105, 90, bids=self.levels((-1, 7)), asks=self.levels((3, 0))),
            Depth(
                at(2),
                100,
                self.levels((-1, 5), (-2, 6)),
                self.levels((1, 4), (2, 5), (3, 6), (4, 9)),
            ),
            Change(at(5), 106, 110, 105, asks=self.levels((2, 3), (77, 0))),
            Change(at(9), 111, 120, 110, bids=self.levels((-2, 0)), asks=self.levels((1, 4))),
        )

    def actions(self, number: int, side: str, limit: int, size: int, units: int) -> Actions:
        """One leg: limit in ticks above PRICE, size in least quantities."""
        leg = Leg(
            side="buy" if side == "buy" else "sell",
            instrument=self.instrument.canonical,
            limit_ticks=str(PRICE + limit),
            quantity_steps=str(size * self.least),
            most_units=str(units),
        )
        return Actions(plan=order_id(number), unit=self.unit, legs=(leg,))

    def units(self, levels: Levels) -> int:
        """Units of fills at these levels, each rounded down."""
        return sum(self.instrument.base_lots(size, price, self.lot) for price, size in levels)


def asks(snapshot: Snapshot) -> Levels:
    """The asks of a pinned book."""
    return tuple((price, size) for price, size in snapshot.state.asks.tolist())


def bids(snapshot: Snapshot) -> Levels:
    """The bids of a pinned book."""
    return tuple((price, size) for price, size in snapshot.state.bids.tolist())


def filled(outcomes: Sequence[Outcome]) -> Levels:
    """Price and quantity of every fill."""
    return tuple(
        (int(fill.price_ticks), int(fill.quantity_steps))
        for outcome in outcomes
        for fill in outcome.fills
    )


def units_of(outcomes: Sequence[Outcome]) -> int:
    """Units of all fills."""
    return sum(int(fill.units) for outcome in outcomes for fill in outcome.fills)


MUCH = 10**15


class VenueConformance:
    """Cases VEN-001 to VEN-019, as far as a recorded or simulated book can show them.

    A subclass made by `venue_conformance` sets `build` and `market`. Source: venues.md, section 4.
    """

    build: BuildVenue
    market: Market

    def venue(
        self, folder: Path, events: Sequence[MarketEvent] | None = None, chunk_bytes: int = 4096
    ) -> VenueAdapter:
        """An adapter over a script, in a fresh folder."""
        place = folder / f"venue-{len(list(folder.iterdir()))}"
        place.mkdir()
        return self.build(
            self.market.events() if events is None else events,
            place,
            stale_ms=3_000,
            journal=place / "journal",
            chunk_bytes=chunk_bytes,
        )

    def unusable(self, folder: Path, events: Sequence[MarketEvent], as_of: int) -> None:
        """Assert that the script is refused when built, or at `as_of`."""
        with refuses(CaptureDamaged, StateStale):
            self.venue(folder, events).pin(as_of)

    def test_ven_001_a_missing_diff_makes_the_book_unusable(self, tmp_path: Path) -> None:
        """VEN-001: a missing diff makes the book unusable."""
        events = self.market.events()
        self.unusable(tmp_path, (*events[:3], events[4]), at(9))

    def test_ven_001_a_repeated_diff_makes_the_book_unusable(self, tmp_path: Path) -> None:
        """VEN-001: a repeated diff makes the book unusable."""
        events = self.market.events()
        again = replace(events[3], time=at(6))
        self.unusable(tmp_path, (*events[:4], again, events[4]), at(9))

    def test_ven_002_the_bridging_diff_may_lie_before_the_snapshot(self, tmp_path: Path) -> None:
        """VEN-002: the bridging diff may lie before the snapshot."""
        pinned = self.venue(tmp_path).pin(at(2))
        assert bids(pinned) == self.market.levels((-1, 7), (-2, 6))
        assert asks(pinned) == self.market.levels((1, 4), (2, 5), (4, 9))
        assert pinned.state.instrument == self.market.instrument

    def test_ven_002_the_last_diff_counts(self, tmp_path: Path) -> None:
        """VEN-002: the last diff counts."""
        pinned = self.venue(tmp_path).pin(at(9))
        assert bids(pinned) == self.market.levels((-1, 7))
        assert asks(pinned) == self.market.levels((1, 4), (2, 3), (4, 9))

    def test_ven_002_a_snapshot_older_than_the_diffs_is_refused(self, tmp_path: Path) -> None:
        """VEN-002: a snapshot older than the diffs is refused."""
        events = self.market.events()
        self.unusable(tmp_path, events[2:], at(9))

    def test_ven_005_nothing_is_known_before_the_snapshot(self, tmp_path: Path) -> None:
        """VEN-005: nothing is known before the snapshot."""
        venue = self.venue(tmp_path)
        with refuses(StateStale):
            venue.pin(at(2) - 1)

    def test_ven_005_silence_makes_the_book_stale(self, tmp_path: Path) -> None:
        """VEN-005: silence makes the book stale."""
        venue = self.venue(tmp_path)
        venue.pin(at(39))
        with refuses(StateStale):
            venue.pin(at(39) + 1)

    def test_ven_005_a_crossed_book_is_not_served(self, tmp_path: Path) -> None:
        """VEN-005: a crossed book is not served."""
        crossing = Change(at(10), 121, 130, 120, bids=self.market.levels((1, 1)))
        self.unusable(tmp_path, (*self.market.events(), crossing), at(10))

    def test_ven_013_the_same_order_twice_executes_once(self, tmp_path: Path) -> None:
        """VEN-013: the same order twice executes once."""
        venue = self.venue(tmp_path)
        actions = self.market.actions(1, "buy", 1, 3, MUCH)
        once = venue.apply(order_id(1), actions, LATER, at(3))
        assert venue.apply(order_id(1), actions, LATER, at(4)) == once
        assert asks(venue.pin(at(4)))[0] == self.market.levels((1, 1))[0]

    def test_ven_013_reconcile_tells_what_happened_and_invents_nothing(
        self, tmp_path: Path
    ) -> None:
        """VEN-013: reconcile tells what happened and invents nothing."""
        venue = self.venue(tmp_path)
        assert venue.reconcile(order_id(1)) is NEVER_SEEN
        done = venue.apply(order_id(1), self.market.actions(1, "buy", 1, 3, MUCH), LATER, at(3))
        assert venue.reconcile(order_id(1)) == done
        assert venue.reconcile(order_id(2)) is NEVER_SEEN
        assert len(done) == 1
        assert done[0].status == "done"

    def test_ven_013_an_order_survives_a_restart(self, tmp_path: Path) -> None:
        """VEN-013: an order survives a restart."""
        place, events = tmp_path / "kept", self.market.events()
        actions = self.market.actions(1, "buy", 1, 3, MUCH)

        def start(folder: str) -> VenueAdapter:
            (place / folder).mkdir(parents=True)
            return self.build(
                events,
                place / folder,
                stale_ms=3_000,
                journal=place / "journal",
                chunk_bytes=4096,
            )

        before = start("first").apply(order_id(1), actions, LATER, at(3))
        again = start("second")
        assert again.reconcile(order_id(1)) == before
        assert again.apply(order_id(1), actions, LATER, at(4)) == before
        assert asks(again.pin(at(4)))[0] == self.market.levels((1, 1))[0]

    def test_ven_013_nothing_executes_after_valid_until(self, tmp_path: Path) -> None:
        """VEN-013: nothing executes after valid until."""
        venue = self.venue(tmp_path)
        actions = self.market.actions(1, "buy", 1, 3, MUCH)
        late = venue.apply(order_id(1), actions, at(3), at(3) + 1)
        assert [outcome.status for outcome in late] == ["refused"]
        assert venue.apply(order_id(1), actions, LATER, at(4)) == late
        in_time = venue.apply(order_id(2), actions, at(5), at(5))
        assert [outcome.status for outcome in in_time] == ["done"]

    def test_ven_014_units_are_whole_lots_of_each_fill(self, tmp_path: Path) -> None:
        """VEN-014: units are whole lots of each fill."""
        venue = self.venue(tmp_path)
        done = venue.apply(order_id(1), self.market.actions(1, "buy", 4, 8, MUCH), LATER, at(3))
        assert filled(done) == self.market.levels((1, 4), (2, 4))
        assert units_of(done) == self.market.units(filled(done))

    def test_ven_014_units_are_those_of_the_actions(self, tmp_path: Path) -> None:
        """VEN-014: what is counted is the unit of the actions, not one of the venue's own."""
        fine = Market(self.market.instrument, self.market.lot / 10)
        done = self.venue(tmp_path).apply(
            order_id(1), fine.actions(1, "buy", 4, 8, MUCH), LATER, at(3)
        )
        assert units_of(done) == fine.units(filled(done))
        assert units_of(done) > self.market.units(filled(done)) > 0

    def test_ven_014_no_more_than_most_units(self, tmp_path: Path) -> None:
        """VEN-014: no more than most units."""
        first = self.market.units(self.market.levels((1, 1)))
        for most in (0, 1, first - 1, first, first + 1, 3 * first, 5 * first):
            actions = self.market.actions(1, "buy", 4, 8, most)
            done = self.venue(tmp_path).apply(order_id(1), actions, LATER, at(3))
            assert units_of(done) <= most
            assert done[0].status == ("partial" if done[0].fills else "refused")

    def test_ven_014_no_more_than_the_quantity_and_none_beyond_the_limit(
        self, tmp_path: Path
    ) -> None:
        """VEN-014: no more than the quantity and none beyond the limit."""
        venue = self.venue(tmp_path)
        few = venue.apply(order_id(1), self.market.actions(1, "sell", -1, 8, MUCH), LATER, at(3))
        assert filled(few) == self.market.levels((-1, 7))
        assert few[0].status == "partial"
        none = venue.apply(order_id(2), self.market.actions(2, "buy", 0, 8, MUCH), LATER, at(3))
        assert filled(none) == ()
        assert none[0].status == "refused"

    def test_ven_014_a_side_of_quantity_zero_is_no_price(self, tmp_path: Path) -> None:
        """VEN-014: a side of quantity zero is no price."""
        pinned = self.venue(tmp_path).pin(at(9))
        assert all(size > 0 for _, size in (*bids(pinned), *asks(pinned)))
        assert PRICE + 77 not in dict(asks(pinned))

    def test_ven_015_a_future_row_is_not_visible(self, tmp_path: Path) -> None:
        """VEN-015: a future row is not visible."""
        events = self.market.events()
        known = self.venue(tmp_path, events[:4]).pin(at(9) - 1)
        assert self.venue(tmp_path).pin(at(9) - 1).digest == known.digest
        assert self.venue(tmp_path).pin(at(9)).digest != known.digest

    def test_ven_019_neither_chunks_nor_the_order_of_pins_matter(self, tmp_path: Path) -> None:
        """VEN-019: neither chunks nor the order of pins matter."""
        times = (at(2), at(5), at(9))
        plain = self.venue(tmp_path)
        expected = {time: plain.pin(time).digest for time in times}
        for index, order in enumerate(permutations(times)):
            venue = self.venue(tmp_path, chunk_bytes=1 + 7 * index)
            assert {time: venue.pin(time).digest for time in order} == expected

    def test_ven_019_what_was_taken_is_gone_until_the_level_refreshes(self, tmp_path: Path) -> None:
        """VEN-019: what was taken is gone until the level refreshes."""
        venue = self.venue(tmp_path)
        before = venue.pin(at(3)).digest
        fresh = venue.pin(at(9)).digest
        venue.apply(order_id(1), self.market.actions(1, "buy", 1, 4, MUCH), LATER, at(4))
        assert asks(venue.pin(at(4)))[0][0] == PRICE + 2
        assert asks(venue.pin(at(9) - 1))[0][0] == PRICE + 2
        assert venue.pin(at(9)).digest == fresh
        assert venue.pin(at(3)).digest == before


def venue_conformance(
    build: BuildVenue, instrument: Instrument, lot: Fraction
) -> type[VenueConformance]:
    """The numbered cases for adapters that keep a book of levels and act on it.

    Give the result to pytest under a name that begins with Test. instrument: what the built
    adapters trade; lot: a unit for `most_units`, in base currency.
    """
    own = {"build": staticmethod(build), "market": Market(instrument, lot)}
    return type("VenueConformance", (VenueConformance,), own)


class Behaviour(Enum):
    """What a ScriptedVenue does with the next order id it has not seen."""

    FILL = "executes all that the ladder and the leg allow"
    PARTIAL = "executes half of each leg, rounded down"
    REFUSE = "executes nothing and says so"
    SILENT = "executes as FILL, but the answer is lost: unknown until reconciled"
    LOST = "the order never arrives: unknown, and reconcile has never seen it"
    BREAK_BEFORE = "raises LinkDown; nothing was executed or seen"
    BREAK_AFTER = "executes as FILL, then raises LinkDown"


class LinkDown(CovenueError):
    """The link to the venue broke while an order was on its way."""


LADDER_INSTRUMENT = Instrument(
    venue="scripted",
    symbol="LADDER",
    canonical="ladder",
    base="UNIT",
    quote="COIN",
    tick="1",
    step="1",
    minimum="1",
    multiplier="1",
    payoff="linear",
    hours="24/7",
    zone="UTC",
)


def ladder(bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> BookState:
    """A book of (price, quantity) pairs, in any order; one step is one unit at any price."""
    stamp = ClockStamp(venue_time=None, local_time="0", clock="none", offset="0", half_width="0")
    return BookState(
        LADDER_INSTRUMENT,
        _rungs(sorted(bids, reverse=True)),
        _rungs(sorted(asks)),
        0,
        stamp,
    )


def _rungs(pairs: Sequence[tuple[int, int]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    rungs = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    rungs.flags.writeable = False
    return rungs


def book_digest(state: BookState) -> str:
    """SHA-256 over a book; equal books have equal digests."""
    return sha256(
        canonical(state.instrument),
        state.bids.astype("<i8").tobytes(),
        state.asks.astype("<i8").tobytes(),
        state.last.to_bytes(8, "little"),
    )


class ScriptedVenue:
    """A venue that fills from a ladder, in memory, and fails when told to.

    It stands for the far side: keep the object across a restart of the node. The ladder is whole
    again for every order. sent, executions: how often each order id was sent, and really executed;
    `doubled` names those executed more than once, which an adapter with `idempotent=False` (a
    naive venue) allows. `obeys_deadline=False` executes after valid_until.
    """

    def __init__(
        self,
        state: BookState | Callable[[int], BookState] | None = None,
        script: Iterable[Behaviour] = (),
        *,
        kind: str = "order-book/v1",
        idempotent: bool = True,
        obeys_deadline: bool = True,
    ) -> None:
        self._state = ladder([(99, 10**6)], [(101, 10**6)]) if state is None else state
        self._script = deque(script)
        self._kind = kind
        self._idempotent = idempotent
        self._obeys_deadline = obeys_deadline
        self._known: dict[str, Outcome] = {}
        self.stale = False
        self.sent: Counter[str] = Counter()
        self.executions: Counter[str] = Counter()
        self.executed_units = 0

    @property
    def doubled(self) -> tuple[str, ...]:
        """Order ids that were executed more than once."""
        return tuple(sorted(order for order, count in self.executions.items() if count > 1))

    def then(self, *behaviours: Behaviour) -> None:
        """Behave so with the next order ids; afterwards FILL."""
        self._script.extend(behaviours)

    def pin(self, as_of: int) -> Snapshot:
        """The scripted state. Raises StateStale while `stale` is set."""
        if self.stale:
            raise StateStale(f"the scripted venue is stale at {as_of}", "wait")
        state = self._at(as_of)
        return Snapshot(self._kind, as_of, book_digest(state), state, pack_book(state))

    def apply(self, order: str, actions: Actions, valid_until: int, now: int) -> Sequence[Outcome]:
        """Do what the script says; a known order id only repeats its outcome."""
        self.sent[order] += 1
        if self._idempotent and order in self._known:
            return (self._known[order],)
        if self._obeys_deadline and now > valid_until:
            return (self._keep(order, "refused", (), "late"),)
        return self._behave(self._script.popleft() if self._script else Behaviour.FILL)(
            order, actions, now
        )

    def reconcile(self, order: str) -> Sequence[Outcome] | NeverSeen:
        """The true outcome, or NEVER_SEEN."""
        return (self._known[order],) if order in self._known else NEVER_SEEN

    def facts(self) -> dict[str, Scalar]:
        """How many orders were sent and executed."""
        return {"sent": self.sent.total(), "executed": self.executions.total()}

    def close(self) -> None:
        """Nothing is held."""

    def _at(self, as_of: int) -> BookState:
        return self._state(as_of) if callable(self._state) else self._state

    def _behave(self, behaviour: Behaviour) -> Callable[[str, Actions, int], Sequence[Outcome]]:
        def act(order: str, actions: Actions, now: int) -> Sequence[Outcome]:
            if behaviour is Behaviour.BREAK_BEFORE:
                raise LinkDown("the link broke before the order was sent", "reconcile")
            if behaviour is Behaviour.LOST:
                return (_outcome(order, "unknown", (), "no answer"),)
            if behaviour is Behaviour.REFUSE:
                return (self._keep(order, "refused", (), "as scripted"),)
            share = 2 if behaviour is Behaviour.PARTIAL else 1
            outcome = self._fill(order, actions, now, share)
            if behaviour is Behaviour.BREAK_AFTER:
                raise LinkDown("the link broke after the order was sent", "reconcile")
            if behaviour is Behaviour.SILENT:
                return (_outcome(order, "unknown", (), "no answer"),)
            return (outcome,)

        return act

    def _fill(self, order: str, actions: Actions, now: int, share: int) -> Outcome:
        state, unit = self._at(now), Fraction(actions.unit)
        fills: list[Fill] = []
        whole = True
        for number, leg in enumerate(actions.legs):
            wanted, units_left = int(leg.quantity_steps), int(leg.most_units)
            left = wanted // share
            for price, size in _within(state, leg):
                steps = min(left, size)
                units = state.instrument.base_lots(steps, price, unit)
                if not steps or units > units_left:
                    break
                fills.append(
                    Fill(
                        leg=number,
                        price_ticks=str(price),
                        quantity_steps=str(steps),
                        units=str(units),
                    )
                )
                left, units_left, wanted = left - steps, units_left - units, wanted - steps
            whole = whole and not wanted
        self.executions[order] += 1
        self.executed_units += sum(int(fill.units) for fill in fills)
        status: OutcomeStatus = "done" if whole else "partial" if fills else "refused"
        return self._keep(order, status, tuple(fills), None if whole else "as scripted")

    def _keep(
        self, order: str, status: OutcomeStatus, fills: tuple[Fill, ...], reason: str | None
    ) -> Outcome:
        self._known[order] = _outcome(order, status, fills, reason)
        return self._known[order]


def _within(state: BookState, leg: Leg) -> Levels:
    """The levels that a leg may take, best first."""
    limit = int(leg.limit_ticks)
    if leg.side == "buy":
        return tuple((price, size) for price, size in state.asks.tolist() if price <= limit)
    return tuple((price, size) for price, size in state.bids.tolist() if price >= limit)


def _outcome(
    order: str, status: OutcomeStatus, fills: tuple[Fill, ...], reason: str | None
) -> Outcome:
    return Outcome(order=order, status=status, fills=fills, reason=reason)
