"""For authors of venue adapters: numbered conformance cases, and a venue that does as it is told.

`venue_conformance` turns a builder over scripted market events into a class of test cases,
`engine_conformance` does so for venues that match orders, `pool_conformance` for pools;
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
    restored,
)
from covenue_contracts.canonical import canonical, sha256
from covenue_contracts.contract import Scalar
from covenue_contracts.energibridge import ClockStamp, Instrument
from covenue_contracts.local import Actions, Fill, Leg, Outcome, OutcomeStatus, Swap

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
        return Actions(plan=order_id(number), unit=self.unit, legs=(leg,), swaps=())

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


class EngineConformance:
    """The cases for a venue that keeps a book and acts on it, wherever the book comes from.

    A subclass made by `engine_conformance` sets `build` and `market`. Source: venues.md, section 4.
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

    def test_ven_002_the_last_diff_counts(self, tmp_path: Path) -> None:
        """VEN-002: the last diff counts."""
        pinned = self.venue(tmp_path).pin(at(9))
        assert bids(pinned) == self.market.levels((-1, 7))
        assert asks(pinned) == self.market.levels((1, 4), (2, 3), (4, 9))

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

    def test_ven_022_what_the_venue_does_not_have_is_refused(self, tmp_path: Path) -> None:
        """VEN-022: a book has no pools: an order with a swap is refused whole."""
        venue = self.venue(tmp_path)
        before = venue.pin(at(3)).digest
        actions = self.market.actions(1, "buy", 1, 3, MUCH).model_copy(update={"swaps": (SWAP,)})
        (outcome,) = venue.apply(order_id(1), actions, LATER, at(3))
        assert (outcome.status, outcome.fills, outcome.swaps) == ("refused", (), ())
        assert venue.pin(at(3)).digest == before


class VenueConformance(EngineConformance):
    """The cases of EngineConformance, and those of a book that comes as a feed of diffs.

    VEN-001 to VEN-019, as far as a recorded book can show them.
    """

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

    def test_ven_002_a_snapshot_older_than_the_diffs_is_refused(self, tmp_path: Path) -> None:
        """VEN-002: a snapshot older than the diffs is refused."""
        events = self.market.events()
        self.unusable(tmp_path, events[2:], at(9))

    def test_ven_005_a_crossed_book_is_not_served(self, tmp_path: Path) -> None:
        """VEN-005: a crossed book is not served."""
        crossing = Change(at(10), 121, 130, 120, bids=self.market.levels((1, 1)))
        self.unusable(tmp_path, (*self.market.events(), crossing), at(10))


def venue_conformance(
    build: BuildVenue, instrument: Instrument, lot: Fraction
) -> type[VenueConformance]:
    """The numbered cases for adapters that keep a book of levels and act on it.

    Give the result to pytest under a name that begins with Test. instrument: what the built
    adapters trade; lot: a unit for `most_units`, in base currency.
    """
    own = {"build": staticmethod(build), "market": Market(instrument, lot)}
    return type("VenueConformance", (VenueConformance,), own)


def engine_conformance(
    build: BuildVenue, instrument: Instrument, lot: Fraction
) -> type[EngineConformance]:
    """The numbered cases for adapters that match orders themselves.

    Such a venue receives no diffs, so it has no gaps (VEN-001), no snapshot to join (part of
    VEN-002) and nothing that could cross its book (part of VEN-005). The builder turns each event
    into orders: a level that an event names is placed anew. Else as `venue_conformance`.
    """
    own = {"build": staticmethod(build), "market": Market(instrument, lot)}
    return type("EngineConformance", (EngineConformance,), own)


@dataclass(frozen=True)
class PoolLine:
    """One constant-product pool of a script, reserves in native units."""

    pool: str
    assets: tuple[str, str]
    reserves: tuple[int, int]
    fee_ppm: int


@dataclass(frozen=True)
class PoolTrade:
    """Somebody else's swap, paid in native units."""

    time: int
    pool: str
    pays: str
    paid: int


@dataclass(frozen=True)
class PoolScript:
    """What a venue of pools has received: assets with their decimals, pools, and a history."""

    assets: tuple[tuple[str, int], ...]
    pools: tuple[PoolLine, ...]
    trades: tuple[PoolTrade, ...]

    def until(self, time: int) -> "PoolScript":
        """The script of one who knew nothing after an instant."""
        return replace(self, trades=tuple(t for t in self.trades if t.time <= time))

    def after(self, trades: Iterable[PoolTrade]) -> dict[str, list[int]]:
        """Reserves by pool after trades, worked out in fractions: the suite's own oracle."""
        held = {line.pool: list(line.reserves) for line in self.pools}
        for trade in trades:
            self.swap(held, trade)
        return held

    def swap(self, held: dict[str, list[int]], trade: PoolTrade) -> int:
        """Make one swap in `held`, and tell what it gives."""
        (line,) = (line for line in self.pools if line.pool == trade.pool)
        paying = line.assets.index(trade.pays)
        reserves = held[trade.pool]
        counted = trade.paid * (1 - Fraction(line.fee_ppm, 1_000_000))
        got = int(reserves[1 - paying] * counted / (reserves[paying] + counted))
        reserves[paying] += trade.paid
        reserves[1 - paying] -= got
        return got


POOL_SCRIPT = PoolScript(
    assets=(("aa", 6), ("bb", 8), ("cc", 0)),
    pools=(
        PoolLine("near", ("aa", "bb"), (1_000_000_000_000, 30_000_000_000_000), 3_000),
        PoolLine("far", ("bb", "aa"), (77_000_000_000_001, 2_500_000_000_003), 500),
        PoolLine("whole", ("cc", "bb"), (1_013, 4_000_000_007), 0),
    ),
    trades=(
        PoolTrade(at(1), "near", "aa", 5_000_000_007),
        PoolTrade(at(3), "near", "bb", 90_000_000_001),
        PoolTrade(at(5), "far", "aa", 123_456_789),
        PoolTrade(at(5), "near", "aa", 7_777_777_777),
        PoolTrade(at(9), "whole", "cc", 3),
    ),
)


class BuildPools(Protocol):
    """What an adapter's author supplies: an adapter of pools that knows a script."""

    def __call__(
        self, script: PoolScript, folder: Path, *, stale_ms: int | None, journal: Path
    ) -> VenueAdapter:
        """Build it in an empty folder.

        The pools hold their first reserves at `at(0)`, before which nothing is known. stale_ms:
        silence that it must not bridge; None: pools do not age. journal: what survives a restart.
        """
        ...


class PoolConformance:
    """The cases for a venue of constant-product pools; VEN-020 and 021 are for pools alone.

    A subclass made by `pool_conformance` sets `build`.
    """

    build: BuildPools

    def venue(
        self,
        folder: Path,
        script: PoolScript = POOL_SCRIPT,
        stale_ms: int | None = None,
        journal: Path | None = None,
    ) -> VenueAdapter:
        """An adapter over a script, in a fresh folder."""
        place = folder / f"venue-{len(list(folder.iterdir()))}"
        place.mkdir()
        return self.build(script, place, stale_ms=stale_ms, journal=journal or place / "journal")

    def test_ven_005_nothing_is_known_before_the_first_reserves(self, tmp_path: Path) -> None:
        """VEN-005: nothing is known before the first reserves."""
        venue = self.venue(tmp_path)
        assert held(venue.pin(at(0))) == POOL_SCRIPT.after(())
        with refuses(StateStale):
            venue.pin(at(0) - 1)

    def test_ven_005_silence_makes_pools_stale_where_that_is_declared(self, tmp_path: Path) -> None:
        """VEN-005: silence makes pools stale where that is declared."""
        self.venue(tmp_path).pin(at(10**6))
        venue = self.venue(tmp_path, stale_ms=3_000)
        venue.pin(at(39))
        with refuses(StateStale):
            venue.pin(at(39) + 1)

    def test_ven_013_the_same_order_twice_swaps_once(self, tmp_path: Path) -> None:
        """VEN-013: the same order twice swaps once."""
        venue = self.venue(tmp_path)
        once = venue.apply(order_id(1), swapping(SWAP), LATER, at(3))
        after = held(venue.pin(at(4)))
        assert venue.apply(order_id(1), swapping(SWAP), LATER, at(4)) == once
        assert held(venue.pin(at(4))) == after != POOL_SCRIPT.after(POOL_SCRIPT.trades[:2])

    def test_ven_013_reconcile_tells_what_happened_and_invents_nothing(
        self, tmp_path: Path
    ) -> None:
        """VEN-013: reconcile tells what happened and invents nothing."""
        venue = self.venue(tmp_path)
        assert venue.reconcile(order_id(1)) is NEVER_SEEN
        done = venue.apply(order_id(1), swapping(SWAP), LATER, at(3))
        assert venue.reconcile(order_id(1)) == done
        assert venue.reconcile(order_id(2)) is NEVER_SEEN
        assert [outcome.status for outcome in done] == ["done"]

    def test_ven_013_an_order_survives_a_restart(self, tmp_path: Path) -> None:
        """VEN-013: an order survives a restart."""
        journal = tmp_path / "journal"
        first = self.venue(tmp_path, journal=journal)
        before = first.apply(order_id(1), swapping(SWAP), LATER, at(3))
        again = self.venue(tmp_path, journal=journal)
        assert again.reconcile(order_id(1)) == before
        assert again.apply(order_id(1), swapping(SWAP), LATER, at(4)) == before
        for time in (at(2), at(3), at(9)):
            assert again.pin(time).digest == first.pin(time).digest

    def test_ven_013_nothing_is_swapped_after_valid_until(self, tmp_path: Path) -> None:
        """VEN-013: nothing is swapped after valid until."""
        venue = self.venue(tmp_path)
        late = venue.apply(order_id(1), swapping(SWAP), at(3), at(3) + 1)
        assert [outcome.status for outcome in late] == ["refused"]
        assert venue.apply(order_id(1), swapping(SWAP), LATER, at(4)) == late
        assert held(venue.pin(at(4))) == POOL_SCRIPT.after(POOL_SCRIPT.trades[:2])
        in_time = venue.apply(order_id(2), swapping(SWAP), at(5), at(5))
        assert [outcome.status for outcome in in_time] == ["done"]

    def test_ven_014_amounts_are_native_units_of_each_asset(self, tmp_path: Path) -> None:
        """VEN-014: amounts are native units of each asset, whatever its decimals."""
        state = self.venue(tmp_path).pin(at(0)).state
        assert tuple((asset.name, asset.decimals) for asset in state.assets) == POOL_SCRIPT.assets
        for row, line in enumerate(POOL_SCRIPT.pools):
            assert state.pools[row] == line.pool
            assert tuple(state.assets[side].name for side in state.sides[row]) == line.assets
            assert tuple(state.reserves[row].tolist()) == line.reserves
            assert state.fee_ppm[row] == line.fee_ppm

    def test_ven_015_a_future_swap_is_not_visible(self, tmp_path: Path) -> None:
        """VEN-015: a future swap is not visible."""
        known = self.venue(tmp_path, POOL_SCRIPT.until(at(4))).pin(at(5) - 1)
        assert self.venue(tmp_path).pin(at(5) - 1).digest == known.digest
        assert self.venue(tmp_path).pin(at(5)).digest != known.digest

    def test_ven_017_a_swap_gives_what_the_formula_says_rounded_down(self, tmp_path: Path) -> None:
        """VEN-017: the fee is taken from what is paid, and the rest is rounded against us."""
        venue = self.venue(tmp_path)
        assert held(venue.pin(at(9))) == POOL_SCRIPT.after(POOL_SCRIPT.trades)
        for number, trade in enumerate(OWN_TRADES):
            now = at(10 + number)
            expected = held(venue.pin(now))
            got = POOL_SCRIPT.swap(expected, trade)
            done = venue.apply(order_id(number), swapping(swap_of(trade, got)), LATER, now)
            assert [(int(s.paid), int(s.received)) for s in done[0].swaps] == [(trade.paid, got)]
            assert held(venue.pin(now)) == expected

    def test_ven_019_the_order_of_pins_does_not_matter(self, tmp_path: Path) -> None:
        """VEN-019: neither the order of pins nor the instant within a silence matters."""
        times = (at(0), at(1), at(5), at(9))
        plain = self.venue(tmp_path)
        expected = {time: plain.pin(time).digest for time in times}
        assert plain.pin(at(8)).digest == expected[at(5)]
        assert len(set(expected.values())) == len(times)
        for order in permutations(times):
            venue = self.venue(tmp_path)
            assert {time: venue.pin(time).digest for time in order} == expected

    def test_ven_019_others_trade_against_what_we_left(self, tmp_path: Path) -> None:
        """VEN-019: a swap of ours comes after others of its instant, and stays for those later."""
        venue = self.venue(tmp_path)
        before, untouched = venue.pin(at(2)).digest, venue.pin(at(9)).digest
        venue.apply(order_id(1), swapping(SWAP), LATER, at(3))
        ours = PoolTrade(at(3), SWAP.pool, SWAP.pays, int(SWAP.paid))
        history = (*POOL_SCRIPT.trades[:2], ours, *POOL_SCRIPT.trades[2:])
        assert held(venue.pin(at(9))) == POOL_SCRIPT.after(history)
        assert venue.pin(at(9)).digest != untouched
        assert venue.pin(at(2)).digest == before

    def test_ven_020_a_swap_below_its_least_is_not_made(self, tmp_path: Path) -> None:
        """VEN-020: a swap that would give less than its least is not made, and moves nothing."""
        venue = self.venue(tmp_path)
        reserves = held(venue.pin(at(3)))
        trade = OWN_TRADES[0]
        got = POOL_SCRIPT.swap(reserves, trade)
        greedy = swap_of(trade, got + 1)
        alone = venue.apply(order_id(1), swapping(greedy), LATER, at(3))
        assert [(o.status, o.swaps) for o in alone] == [("refused", ())]
        assert held(venue.pin(at(3))) == POOL_SCRIPT.after(POOL_SCRIPT.trades[:2])
        mixed = venue.apply(order_id(2), swapping(greedy, swap_of(trade, got)), LATER, at(3))
        assert [o.status for o in mixed] == ["partial"]
        assert [(s.swap, int(s.received)) for s in mixed[0].swaps] == [(1, got)]
        assert held(venue.pin(at(3))) == reserves

    def test_ven_021_the_product_of_reserves_never_falls(self, tmp_path: Path) -> None:
        """VEN-021: the product of a pool's reserves never falls, and neither reaches zero."""
        venue = self.venue(tmp_path)
        known = held(venue.pin(at(0)))
        for number, time in enumerate(range(1, 12)):
            for trade in OWN_TRADES:
                order = order_id(100 * number + OWN_TRADES.index(trade))
                venue.apply(order, swapping(swap_of(trade, 0)), LATER, at(time))
            found = held(venue.pin(at(time)))
            for pool, (one, other) in found.items():
                assert one > 0 < other
                assert one * other >= known[pool][0] * known[pool][1]
            known = found

    def test_ven_022_what_the_venue_does_not_have_is_refused(self, tmp_path: Path) -> None:
        """VEN-022: an unknown pool, an asset that the pool does not hold, and a leg are refused."""
        venue = self.venue(tmp_path)
        before = venue.pin(at(3)).digest
        leg = Leg(side="buy", instrument="aa", limit_ticks="9", quantity_steps="1", most_units="9")
        refused = (
            swapping(SWAP.model_copy(update={"pool": "nowhere"})),
            swapping(SWAP.model_copy(update={"pays": "cc"})),
            swapping(SWAP.model_copy(update={"gets": "cc"})),
            swapping(SWAP.model_copy(update={"gets": SWAP.pays})),
            swapping(SWAP.model_copy(update={"paid": "0"})),
            swapping(SWAP).model_copy(update={"legs": (leg,)}),
        )
        for number, actions in enumerate(refused):
            (outcome,) = venue.apply(order_id(number), actions, LATER, at(3))
            assert (outcome.status, outcome.fills, outcome.swaps) == ("refused", (), ())
            assert outcome.reason
        assert venue.pin(at(3)).digest == before

    def test_ven_023_a_pinned_state_comes_back_from_its_bytes(self, tmp_path: Path) -> None:
        """VEN-023: a restarted node reads the pinned state back from the bytes that it kept."""
        venue = self.venue(tmp_path)
        venue.apply(order_id(1), swapping(SWAP), LATER, at(3))
        pinned = venue.pin(at(5))
        again = restored(pinned.kind, pinned.as_of, pinned.digest, pinned.body)
        assert again is not None
        assert again.digest == pinned.digest
        assert held(again) == held(pinned)
        assert (again.state.assets, again.state.stamp) == (pinned.state.assets, pinned.state.stamp)


SWAP = Swap(pool="near", pays="bb", gets="aa", paid="500000000001", least="1")
OWN_TRADES = (
    PoolTrade(0, "near", "bb", 500_000_000_001),
    PoolTrade(0, "far", "aa", 1),
    PoolTrade(0, "far", "bb", 10**15),
    PoolTrade(0, "whole", "bb", 4_000_000_007),
    PoolTrade(0, "whole", "cc", 1),
)


def swap_of(trade: PoolTrade, least: int) -> Swap:
    """A swap of ours that pays what a trade pays, and asks for at least so much."""
    (line,) = (line for line in POOL_SCRIPT.pools if line.pool == trade.pool)
    gets = line.assets[1 - line.assets.index(trade.pays)]
    return Swap(pool=trade.pool, pays=trade.pays, gets=gets, paid=str(trade.paid), least=str(least))


def swapping(*swaps: Swap) -> Actions:
    """An order of swaps only."""
    return Actions(plan=order_id(0), unit="1", legs=(), swaps=swaps)


def held(snapshot: Snapshot) -> dict[str, list[int]]:
    """Reserves by pool of a pinned batch."""
    state = snapshot.state
    return dict(zip(state.pools, state.reserves.tolist(), strict=True))


def pool_conformance(build: BuildPools) -> type[PoolConformance]:
    """The numbered cases for adapters of constant-product pools, for pytest as the others are."""
    return type("PoolConformance", (PoolConformance,), {"build": staticmethod(build)})


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
    return Outcome(order=order, status=status, fills=fills, swaps=(), reason=reason)
