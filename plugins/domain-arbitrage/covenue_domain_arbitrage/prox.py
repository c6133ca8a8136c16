"""The prox of venues: what `hooks/prox.py` asks, in parts of levels that `actions` carries out.

A venue that shares nothing with another but the totals is a point of its own. Every cost is paid
in the quote asset, which is a coordinate, so that the cost beside it is nothing. The plan of an
answer is the memory from which `actions` commits: parts of levels, and what is answered is what
those come to in whole units or native steps. Source: solvers.md, sections 2(d) and 3.4.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from covenue.hooks.prox import Nearest, Reals
from covenue.numerics.words import frozen
from covenue_domain_arbitrage import ladders_kernel as kernel
from covenue_domain_arbitrage import prox_kernel
from covenue_domain_arbitrage.books import Book, Integers, Ladder
from covenue_domain_arbitrage.goals import MULTIPLIER_BITS, Terms
from covenue_domain_arbitrage.ladders import Ladders
from covenue_domain_arbitrage.ladders_memory import packed

COVERED = 1.0 + 2.0**-32
HALF = 0.5


@dataclass(frozen=True, eq=False)
class LadderProx:
    """Ladders, each venue a point."""

    ladders: Ladders

    @property
    def points(self) -> int:
        """Venues; a party without any is one that does nothing."""
        return max(1, len(self.ladders.levels.capital))

    def nearest(self, centres: Reals, weights: Reals) -> Nearest:
        """As LocalProx says."""
        held, grid = self.ladders.levels, self.ladders.grid
        parts = np.zeros(held.price.shape, dtype=np.int32)
        at = np.zeros(centres.shape)
        prox_kernel.nearest(held, grid, centres, weights, worth(self.ladders.terms), parts, at)
        lots = np.zeros(held.depth.shape, dtype=np.int64)
        kernel.whole_lots(held, grid, parts, lots)
        nets = np.zeros(centres.shape, dtype=np.int64)
        prox_kernel.each_delivered(held, grid, lots, nets)
        return Nearest(frozen(nets), 0, packed(parts), in_words(at, grid.amounts))

    def surplus(self, multipliers: Reals) -> int:
        """phi of all venues."""
        ladders = self.ladders
        nothing = np.zeros((0, 0, 0, 0), dtype=np.int32)
        v, quote = multipliers[ladders.place], float(multipliers[ladders.cash])
        at = kernel.At(v=v, quote=quote, pace=np.ones(len(v)), centre=nothing)
        return int(prox_kernel.surplus(ladders.levels, at, ladders.grid))


@dataclass(frozen=True, eq=False)
class BookProx:
    """One order book: a point; what it takes is whole native steps, and no less than its minimum.

    Capital and inventory have cut off its levels already.
    """

    book: Book

    @property
    def points(self) -> int:
        """One."""
        return 1

    def nearest(self, centres: Reals, weights: Reals) -> Nearest:
        """As LocalProx says."""
        book, (levels, grid) = self.book, self._arrays
        parts = np.zeros(levels.price.shape, dtype=np.int32)
        at = np.zeros(centres.shape)
        prox_kernel.nearest(levels, grid, centres, weights, worth(book.terms), parts, at)
        lots = np.zeros(levels.depth.shape, dtype=np.int64)
        kernel.whole_lots(levels, grid, parts, lots)
        pairs = zip(book.ladders, lots[0, :, 0].tolist(), strict=True)
        buys, sells = (_steps(ladder, made) for ladder, made in pairs)
        net = np.zeros(centres.shape, dtype=np.int64)
        base, quoted = book.planned(book.legs((buys, sells)), (buys, sells))
        net[0, book.base], net[0, book.quote] = base, quoted
        plan = self._memory((buys, sells))
        return Nearest(frozen(net), 0, plan, in_words(at, grid.amounts))

    def surplus(self, multipliers: Reals) -> int:
        """phi of whole levels."""
        net = np.zeros(len(multipliers), dtype=np.int64)
        asks, bids = (np.zeros(len(ladder.price)) for ladder in self.book.ladders)
        return self.book.add((asks, bids), multipliers, 0.0, net, None)

    @cached_property
    def _arrays(self) -> tuple[kernel.Levels, kernel.Grid]:
        """The book as a batch of one venue with one instrument, which its capital covers."""
        book = self.book
        depth = [len(ladder.price) for ladder in book.ladders]
        price, size = np.ones((2, 1, 2, 1, max(depth)))
        size[:] = 0.0
        for side, ladder in enumerate(book.ladders):
            price[0, side, 0, : depth[side]] = ladder.price
            size[0, side, 0, : depth[side]] = ladder.amount
        held, costs = running(size), running(price * size)
        lots = [int(ladder.steps.sum(dtype=np.int64)) for ladder in book.ladders]
        levels = kernel.Levels(
            price, size, held, costs,
            depth=np.array(depth, dtype=np.int64).reshape(1, 2, 1),
            lots=np.array(lots, dtype=np.int64).reshape(1, 2, 1),
            capital=costs[:, 0, 0, -1] * COVERED,
        )  # fmt: skip
        terms = book.terms
        grid = kernel.Grid(
            unit=float(book.step),
            rise=0,
            run=0,
            amounts=float(2**terms.scale_bits),
            values=float(2**terms.value_bits),
            slopes=1.0,
            slack=0.0,
            place=np.array([book.base], dtype=np.int64),
            cash=book.quote,
        )
        return levels, grid

    def _memory(self, steps: tuple[Integers, Integers]) -> bytes:
        """Parts of levels of which the floor is these steps, as `BookOffers` remembers them."""
        pairs = zip(self.book.ladders, steps, strict=True)
        parts = [np.minimum((taken + HALF) / ladder.steps, 1.0) * (taken > 0)
                 for ladder, taken in pairs]  # fmt: skip
        return np.concatenate(parts).astype("<f8").tobytes()


def worth(terms: Terms) -> Reals:
    """The references, as floats."""
    return np.array([float(r) for r in terms.references]) * 2.0**-MULTIPLIER_BITS


def in_words(amounts: Reals, scale: float) -> Integers:
    """Amounts in words, to the nearest."""
    return np.asarray(np.rint(amounts * scale).astype(np.int64))


def _steps(ladder: Ladder, made: int) -> Integers:
    """Native steps of each level, from the best on."""
    before = np.cumsum(ladder.steps) - ladder.steps
    return np.asarray(np.clip(made - before, 0, ladder.steps), dtype=np.int64)


def running(amounts: Reals) -> Reals:
    """Sums of the levels before each, one longer, added level by level."""
    sums = np.zeros((*amounts.shape[:-1], amounts.shape[-1] + 1))
    for level in range(amounts.shape[-1]):
        sums[..., level + 1] = sums[..., level] + amounts[..., level]
    return sums
