"""Reserves at any instant: the pool table, somebody else's swaps and our own, in order of time."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from covenue_venue_amm.ranges import crossing, refilled
from covenue_venue_amm.swaps import received
from covenue_venue_amm.tables import Column, Pools, Trades


@dataclass(frozen=True)
class OwnSwap:
    """A swap that we made: when, with the pool of which row, paying which side, and how much."""

    time: int
    row: int
    side: int
    paid: int
    received: int


class ReserveFold:
    """Reserves after all swaps until an instant; going forward only new ones are folded.

    Ours at an instant come after everybody else's. What others get is worked out from what they
    find, so a swap of ours changes it. The result depends on the instant and our swaps alone,
    never on what was asked before.
    """

    def __init__(self, pools: Pools, trades: Trades) -> None:
        self._pools = pools
        self._trades = trades
        self._reserves = pools.reserves.copy()
        self._seen = 0
        self._own = 0
        self.folded = 0

    def at(self, as_of: int, own: Sequence[OwnSwap]) -> Column:
        """int64[n, 2], read-only. own: all swaps of ours, in order of time."""
        seen = self.seen_until(as_of)
        made = bisect_right(own, as_of, key=lambda swap: swap.time)
        if self._is_ahead(seen, made, own):
            self._reserves, self._seen, self._own = self._pools.reserves.copy(), 0, 0
        for swap in own[self._own : made]:
            self._fold_trades(self.seen_until(swap.time))
            self._put(swap.row, swap.side, swap.paid, swap.received)
        self._own = made
        self._fold_trades(seen)
        reserves = self._reserves.copy()
        reserves.flags.writeable = False
        return reserves

    def seen_until(self, as_of: int) -> int:
        """How many swaps of others had happened at an instant."""
        return int(np.searchsorted(self._trades.time, as_of, side="right"))

    def _is_ahead(self, seen: int, made: int, own: Sequence[OwnSwap]) -> bool:
        """Whether something is folded that comes after the instant, or after an own swap to come.

        The latter: others' swaps were folded for a later pin before we swapped at an earlier time.
        """
        if seen < self._seen or made < self._own:
            return True
        return self._own < made and self.seen_until(own[self._own].time) < self._seen

    def _fold_trades(self, until: int) -> None:
        columns = (self._trades.row, self._trades.side, self._trades.paid)
        rows = slice(self._seen, until)
        for row, side, paid in zip(*(column[rows].tolist() for column in columns), strict=True):
            if row >= self._pools.whole:
                self._walk(row, side, paid)
                continue
            held = self._reserves[row].tolist()
            fee = int(self._pools.fee_ppm[row])
            self._put(row, side, paid, received(held[side], held[1 - side], paid, fee))
        self.folded += until - self._seen
        self._seen = until

    def _walk(self, row: int, side: int, paid: int) -> None:
        """A payment into a pool of ranges: nearest first; what none of them takes is not paid."""
        rows = self._pools.neighbours[row]
        fee = int(self._pools.fee_ppm[row])
        for place in reversed(rows) if side == 0 else rows:
            held, floors = self._reserves[place].tolist(), self._pools.floors[place].tolist()
            taken, got = crossing(held[side], held[1 - side], floors[1 - side], paid, fee)
            self._put(place, side, taken, got)
            paid -= taken

    def _put(self, row: int, side: int, paid: int, got: int) -> None:
        left = int(self._reserves[row, 1 - side]) - got
        if row < self._pools.whole:
            self._reserves[row, side] += paid
        elif got:
            self._reserves[row, side] = refilled(self._pools.product(row), left)
        self._reserves[row, 1 - side] = left
