"""The adapter: pins the reserves of all pools, and swaps with them on paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from covenue.errors import StateStale
from covenue.hooks.journal import Applied, Journal, outcome_of, refused
from covenue.hooks.venues import (
    POOL_SET,
    NeverSeen,
    PoolBatch,
    Snapshot,
    VenueConfig,
    own_clock,
    pack_pools,
    refuse_silence,
)
from covenue_contracts.canonical import canonical, sha256
from covenue_contracts.contract import Scalar
from covenue_contracts.local import Actions, Outcome, Swap, SwapFill
from covenue_venue_amm.fold import OwnSwap, ReserveFold
from covenue_venue_amm.journal import FORMAT
from covenue_venue_amm.options import parse_options
from covenue_venue_amm.ranges import crossing, is_used_up, refilled
from covenue_venue_amm.swaps import received
from covenue_venue_amm.tables import NATIVE_MAX, Column, Pools, read_pools, read_trades


@dataclass
class _Attempt:
    """The pools while the swaps of one order are made; nothing of it counts before it is kept."""

    reserves: Column
    own: list[OwnSwap] = field(default_factory=list)
    fills: list[SwapFill] = field(default_factory=list)
    short: str = ""

    def make(self, number: int, swap: OwnSwap, filled: int) -> None:
        """Move the reserves, and note the swap and its fill.

        filled: the reserve that was paid into, as the swap leaves it.
        """
        self.reserves[swap.row, swap.side] = filled
        self.reserves[swap.row, 1 - swap.side] -= swap.received
        self.own.append(swap)
        self.fills.append(SwapFill(swap=number, paid=str(swap.paid), received=str(swap.received)))


class PoolVenue:
    """One party's pools as a venue.

    `pin` is a function of the tables, the instant and the orders applied until that instant: going
    back in time, or asking in another order, changes nothing. A swap of ours moves the reserves of
    every pin at or after it, for good: others trade against what we left. The venue's clock does
    not go back for us: an order that comes with an earlier time than one that has swapped happens
    at the time of that one. Raises BadInput when it is opened.
    """

    def __init__(self, config: VenueConfig, folder: Path) -> None:
        self._options = parse_options(config)
        self._pools = read_pools(folder)
        self._trades = read_trades(folder, self._pools, self._options.since)
        self._fold = ReserveFold(self._pools, self._trades)
        self._names = tuple(self._pools.rows)
        self._fixed = _fixed_parts(self._options.venue, self._pools)
        self._journal = Journal(self._options.journal, FORMAT, self._source())

    def pin(self, as_of: int) -> Snapshot:
        """All pools after every swap with time <= as_of.

        Raises StateStale before `since`, and after a silence of `stale_ms` where that is set.
        """
        heard = self._heard(as_of)
        reserves = self._fold.at(as_of, self._journal.takes)
        state = PoolBatch(
            self._options.venue,
            self._pools.assets,
            self._names,
            self._pools.sides,
            reserves,
            self._pools.fee_ppm,
            own_clock(heard),
            _available(self._pools, reserves),
        )
        return Snapshot(POOL_SET, as_of, self._digest(reserves), state, pack_pools(state))

    def apply(self, order: str, actions: Actions, valid_until: int, now: int) -> Sequence[Outcome]:
        """Make the swaps in their order, each all or nothing, once an order id.

        Those that pay one side of ranges of one pool are made in order of price. A range takes no
        more than it needs to give all that it has.
        The outcome is in the journal before it is returned; the same id again returns it.
        """
        return self._journal.once(order, lambda: self._execute(order, actions, valid_until, now))

    def reconcile(self, order: str) -> Sequence[Outcome] | NeverSeen:
        """The stored outcome of an order id, or NEVER_SEEN."""
        return self._journal.outcomes(order)

    def facts(self) -> Mapping[str, Scalar]:
        """Pools, assets, swaps of others and of ours; times are ns, as text."""
        time = self._trades.time
        return {
            "venue": self._options.venue,
            "pools": self._pools.whole + len(self._pools.ranges),
            "ranges": len(self._pools.rows) - self._pools.whole,
            "assets": len(self._pools.assets),
            "trades": len(time),
            "first_time": str(int(time[0])) if len(time) else None,
            "last_time": str(int(time[-1])) if len(time) else None,
            "since": str(self._options.since),
            "stale_ms": None
            if self._options.stale_ns is None
            else self._options.stale_ns // 1_000_000,
            "orders": len(self._journal.orders),
            "own_swaps": len(self._journal.takes),
        }

    def close(self) -> None:
        """Nothing is open: every swap is made at once or not at all."""

    def _source(self) -> str:
        """Which pools and history a journal belongs to; how they are packed does not matter."""
        trades = self._trades
        return sha256(
            *self._fixed,
            str(self._options.since).encode(),
            *(
                column.astype("<i8").tobytes()
                for column in (
                    self._pools.reserves,
                    trades.time,
                    trades.row,
                    trades.side,
                    trades.paid,
                )
            ),
        )

    def _digest(self, reserves: Column) -> str:
        """SHA-256 over length-prefixed kind, venue, assets, pools, sides, fees, floors, reserves.

        Nothing of the path or of the instant enters: equal states have equal digests anywhere.
        """
        return sha256(*self._fixed, reserves.astype("<i8").tobytes())

    def _heard(self, as_of: int) -> int:
        """When the reserves at an instant last became known. Raises StateStale."""
        since = self._options.since
        if as_of < since:
            raise StateStale(
                f"the pools are not known before {since}, asked for {as_of}", "ask for a later time"
            )
        seen = self._fold.seen_until(as_of)
        heard = int(self._trades.time[seen - 1]) if seen else since
        refuse_silence(heard, as_of, self._options.stale_ns, "history")
        return heard

    def _execute(
        self, order: str, actions: Actions, valid_until: int, now: int
    ) -> Applied[OwnSwap]:
        """One pass over the swaps; each sees what the ones before it left."""
        own = self._journal.takes
        instant = max(now, own[-1].time) if own else now
        why = _refusal(actions, valid_until, instant)
        if why:
            return refused(order, why)
        try:
            self._heard(instant)
        except StateStale as error:
            return refused(order, f"pools unusable: {error.what}")
        attempt = _Attempt(self._fold.at(instant, own).copy())
        for number in _in_price_order(actions.swaps, self._pools):
            short = self._swap(attempt, number, actions.swaps[number], instant)
            attempt.short = attempt.short or short
        outcome = outcome_of(order, (), tuple(attempt.fills), attempt.short)
        return Applied(outcome, tuple(attempt.own))

    def _swap(self, attempt: _Attempt, number: int, swap: Swap, instant: int) -> str:
        """Make one swap within an attempt; or say why not, and leave everything as it was."""
        row = self._pools.rows.get(swap.pool)
        if row is None:
            return f"there is no pool {swap.pool[:80]}"
        side, other = self._pools.side(row, swap.pays), self._pools.side(row, swap.gets)
        if side is None or other is None or side == other:
            return f"the pool {swap.pool} does not swap these assets"
        paid, held = int(swap.paid), attempt.reserves[row].tolist()
        if not paid:
            return "nothing is paid"
        if row >= self._pools.whole:
            return self._cross(attempt, number, swap, OwnSwap(instant, row, side, paid, 0))
        if held[side] + paid >= NATIVE_MAX:
            return f"the pool {swap.pool} would hold more than it can count"
        got = received(held[side], held[other], paid, int(self._pools.fee_ppm[row]))
        if is_too_little(got, swap):
            return f"less than the least from the pool {swap.pool}"
        attempt.make(number, OwnSwap(instant, row, side, paid, got), held[side] + paid)
        return ""

    def _cross(self, attempt: _Attempt, number: int, swap: Swap, wanted: OwnSwap) -> str:
        """The same with one range of a pool, which lies at the pool's price."""
        row, side = wanted.row, wanted.side
        fee, floors = int(self._pools.fee_ppm[row]), self._pools.floors
        for nearer in self._pools.nearer(row, side):
            held = attempt.reserves[nearer].tolist()
            if not is_used_up(held[side], held[1 - side], int(floors[nearer, 1 - side]), fee):
                return f"a nearer range than {swap.pool} is not used up"
        held = attempt.reserves[row].tolist()
        floor = int(floors[row, 1 - side])
        taken, got = crossing(held[side], held[1 - side], floor, wanted.paid, fee)
        if not got:
            return f"the range {swap.pool} gives nothing for this"
        if is_too_little(got, swap):
            return f"less than the least from the range {swap.pool}"
        own = replace(wanted, paid=taken, received=got)
        attempt.make(number, own, refilled(self._pools.product(row), held[1 - side] - got))
        return ""


def is_too_little(got: int, swap: Swap) -> bool:
    """Whether a swap would get less than it asks for at least."""
    return got < int(swap.least)


def _in_price_order(swaps: Sequence[Swap], pools: Pools) -> list[int]:
    """Numbers of swaps as they are made: ranges of one pool, paid on one side, nearest first.

    They share the places that they had in the order; all others keep theirs.
    """
    places: dict[tuple[int, str], list[int]] = {}
    for number, swap in enumerate(swaps):
        row = pools.rows.get(swap.pool, -1)
        if row >= pools.whole:
            places.setdefault((pools.neighbours[row].start, swap.pays), []).append(number)
    ordered = list(range(len(swaps)))
    for (first, pays), numbers in places.items():
        is_rising = pools.side(first, pays) == 1
        nearest = sorted(
            numbers, key=lambda number: pools.rows[swaps[number].pool], reverse=not is_rising
        )
        for place, number in zip(numbers, nearest, strict=True):
            ordered[place] = number
    return ordered


def _available(pools: Pools, reserves: Column) -> Column | None:
    """What each side can pay out, where some rows are ranges."""
    if not pools.ranges:
        return None
    available = reserves - pools.floors
    available.flags.writeable = False
    return available


def _fixed_parts(venue: str, pools: Pools) -> tuple[bytes, ...]:
    """What a digest covers of the pools that no swap changes."""
    return (
        POOL_SET.encode(),
        venue.encode(),
        canonical([asset.model_dump(mode="json") for asset in pools.assets]),
        canonical(list(pools.rows)),
        pools.sides.astype("<i8").tobytes(),
        pools.fee_ppm.astype("<i8").tobytes(),
        *((pools.floors.astype("<i8").tobytes(),) if pools.ranges else ()),
    )


def _refusal(actions: Actions, valid_until: int, instant: int) -> str:
    """Why nothing of an order may happen, or empty."""
    if instant > valid_until:
        return "late"
    if actions.legs:
        return "there is no book for legs here"
    return ""
