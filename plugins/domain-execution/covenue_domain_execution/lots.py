"""Whole lots of a response: rounded down, and which of the cut-off parts may become a lot more.

Source: hooks/solvers.py (Tracking); solvers.md, section 5.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from covenue_domain_execution.kernels import Floats, Integers, Response, Rows

COST_SLACK = 2.0**-43


@dataclass(frozen=True, eq=False)
class Lots:
    """A participant's response in lots; int64[n, T] all.

    down: rounded down. parts: words cut off where a lot more is offered, else 0. keys: of that lot,
    or -1 where none is offered.
    """

    down: Integers
    parts: Integers
    keys: Integers

    @cached_property
    def offered(self) -> Integers:
        """All keys that are offered, in ascending order."""
        return np.sort(self.keys[self.keys >= 0])

    def below(self, probes: Integers) -> Integers:
        """Lots that are offered at keys below each probe."""
        return np.searchsorted(self.offered, probes, side="left").astype(np.int64)

    def taken(self, key: int, more: int) -> Integers:
        """The plan that takes each lot offered below a key, and `more` of those at it.

        Lots of equal key are the participant's own: the greatest parts are taken first.
        """
        taken = (self.keys >= 0) & (self.keys < key)
        (equal,) = np.nonzero((self.keys == key).ravel())
        first = equal[np.argsort(-self.parts.ravel()[equal], kind="stable")]
        taken.ravel()[first[: max(0, more)]] = True
        return self.down + taken


def lots_of(response: Response, rows: Rows, scale_bits: int, tie_bits: int, slot: int) -> Lots:
    """Lots of amounts in words.

    Each amount that was cut offers a lot, the greatest part of a row first, while the row's credit
    holds them all; a cap is whole lots, so it holds one for what was cut below it. Where the credit
    binds, its lots are worth more than their price: their key is the slot alone.
    """
    lot = 1 << scale_bits
    down = response.amounts >> scale_bits
    parts = response.amounts & (lot - 1)
    room = rows.credits.astype(np.int64) - down.sum(axis=1, dtype=np.int64)
    many = np.nonzero((parts > 0).sum(axis=1, dtype=np.int64) > room)[0]
    order = np.argsort(-parts[many], axis=1, kind="stable")
    ranks = np.argsort(order, axis=1, kind="stable")
    parts[many] = np.where(ranks < room[many, None], parts[many], 0)
    cut_off = np.where(response.shadows[:, None] > 0.0, 0, lot - 1 - parts)
    keys = np.where(parts > 0, (cut_off << tie_bits) + slot, -1)
    return Lots(down, parts, keys)


def cost(  # noqa: PLR0917 -- a plan, and the scales of all that it is counted in
    plan: Integers, rows: Rows, price: int, price_bits: int, value_bits: int, lot_bits: int = 0
) -> int:
    """Words of what a plan costs, rounded up: the arrival price, and all beyond it.

    plan: in 2^-lot_bits of a lot. The part at the arrival price is exact; each row of the rest is
    rounded up on its own.
    """
    x: Floats = plan.astype(np.float64) * 2.0**-lot_bits
    linear, quadratic = rows.costs * x, 0.5 * rows.steep * x * x
    beyond, size = np.zeros(len(x)), np.zeros(len(x))
    for t in range(x.shape[1]):
        beyond += linear[:, t] + quadratic[:, t]
        size += np.abs(linear[:, t]) + quadratic[:, t]
    rounded = np.ceil((beyond + size * COST_SLACK) * float(2**value_bits)).astype(np.int64)
    notional = int(plan.sum(dtype=np.int64)) * price << value_bits
    return int(rounded.sum(dtype=np.int64)) - (-notional >> (price_bits + lot_bits))
