"""Many books of one instrument side by side: depth below any number of probes in one pass.

A kernel walks each book from bracket to bracket: it touches levels that lie between two probes and
jumps over all others. The sums are of integers, so the order of the walk cannot change them.
Source: solvers.md, sections 2(b) and 3.2.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput, HeadroomMissing
from covenue.numerics.compiled import compiled, is_compiling

Array = NDArray[np.int64]
SAFE = 2**62


@dataclass(frozen=True, eq=False)
class Books:
    """A table of many books that one party holds, for notebooks and benchmarks.

    prices: int64[n, L], or int64[n, m, L] for m instruments: all-in, in price units, so that a
    party's fee and basis are in them; best first along L. lots: the same shape; 0 is no level. At
    equal prices the plan takes the party's books in order of n.
    """

    prices: Array
    lots: Array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Both arrays, stacked: what a digest of the table is made from."""
        return np.stack([np.asarray(self.prices), np.asarray(self.lots)]).astype(dtype or np.int64)

    def checked(self, dimensions: int) -> tuple[Array, Array]:
        """Prices and lots as int64. Raises BadInput, without a number, on what is no such table."""
        prices, lots = np.asarray(self.prices), np.asarray(self.lots)
        whole = prices.dtype.kind in "iu" and lots.dtype.kind in "iu"
        if not whole or prices.shape != lots.shape or prices.ndim != dimensions:
            shape = "(n, L)" if dimensions == 2 else "(n, m, L)"
            raise BadInput(
                "the table of books has another form than this order needs",
                f"give two integer arrays of shape {shape}: prices and lots",
                field="state",
            )
        big = np.uint64(SAFE)
        if any(a.dtype.kind == "u" and a.size and a.max() > big for a in (prices, lots)):
            raise _broken()
        return prices.astype(np.int64, copy=False), lots.astype(np.int64, copy=False)


@dataclass(frozen=True, eq=False)
class Stack:
    """Books of one instrument; all arrays int64, read-only.

    axis: steps from the best price that there can be, [N], never falling within a book. lots: [N].
    starts: where each book begins, [books + 1]. lots_before, value_before: sums over the levels
    before each, [N + 1], so that a difference within a book is that book's own.
    """

    axis: Array
    lots: Array
    starts: Array
    lots_before: Array
    value_before: Array

    def depth(self, edges: Array) -> Array:
        """Lots at steps below each edge; edges int64[K], never falling."""
        return counted(self.axis, self.lots_before, self.starts, edges)

    def value(self, edges: Array) -> Array:
        """Value of the lots at steps below each edge; edges int64[K], never falling."""
        return counted(self.axis, self.value_before, self.starts, edges)

    def taken(self, step: int, residual: int) -> Array:
        """Lots of every level under a cut: all below the step, the residual at it, in book order.

        residual: 0 where the level at the step is another party's.
        """
        shares = np.where(self.axis < step, self.lots, 0)
        at = np.flatnonzero(self.axis == step) if residual > 0 else self.starts[:0]
        reached = np.minimum(np.cumsum(self.lots[at]), max(0, residual))
        shares[at] = np.diff(reached, prepend=0)
        return shares

    @cached_property
    def book(self) -> Array:
        """The number of each level's book."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def stack(axis: Array, *, lots: Array, starts: Array, price: Array, most: int, scale: int) -> Stack:
    """Books from flat arrays, checked. price: of each level; most: largest word that may be sent.

    scale: named in the advice. Raises BadInput on what makes no book, HeadroomMissing where lots or
    value, in a sum, could leave 64 bits; neither names a number.
    """
    falls = np.diff(axis) < 0
    seams = starts[1:-1]
    falls[seams[(seams > 0) & (seams < len(axis))] - 1] = False
    if np.any(falls) or np.any(lots < 0) or np.any(price < 1):
        raise _broken()
    largest = int(lots.max(initial=0)) * len(lots) * int(price.max(initial=0))
    if largest >= SAFE and max(_exactly(lots, price)) > most:
        raise headroom(scale)
    before = np.zeros((2, len(axis) + 1), dtype=np.int64)
    np.cumsum(lots, out=before[0, 1:])
    np.cumsum(lots * price, out=before[1, 1:])
    if int(before[:, -1].max()) > most:
        raise headroom(scale)
    return Stack(*map(_frozen, (axis, lots, starts, before[0], before[1])))


def _exactly(lots: Array, price: Array) -> tuple[int, int]:
    """All lots and their value, where 64 bits might not hold them."""
    pairs = list(zip(lots.tolist(), price.tolist(), strict=True))
    return sum(lot for lot, _ in pairs), sum(lot * each for lot, each in pairs)


def headroom(scale: int) -> HeadroomMissing:
    """What is offered does not fit the words of a sum. scale: named in the advice."""
    return HeadroomMissing(
        "what the books offer to this order could leave 64 bits in a sum",
        "use a larger lot, a smaller price_scale, or a smaller quantity",
        field="domain.goal.price_scale",
        value=str(scale),
    )


def counted(axis: Array, before: Array, starts: Array, edges: Array) -> Array:
    """Sums of what lies below each edge, over all books: machine code, or numpy without it."""
    return (
        walked(axis, before, starts, edges)
        if is_compiling()
        else swept(axis, before, starts, edges)
    )


@compiled
def walked(axis: Array, before: Array, starts: Array, edges: Array) -> Array:
    """From bracket to bracket, each found from a guess: as if edges were even.

    axis, before, starts: as in Stack. edges: int64[K], never falling. Returns int64[K].
    """
    count = len(edges)
    sums = np.zeros(count, dtype=np.int64)
    if count == 0:
        return sums
    slope = count / (1.0 + edges[count - 1] - edges[0])
    for number in range(len(starts) - 1):
        here, stop = starts[number], starts[number + 1]
        while here < stop and axis[here] < edges[count - 1]:
            guess = int((axis[here] - edges[0]) * slope)
            place = edge_above(edges, axis[here], max(0, min(count - 1, guess)))
            then = level_from(axis, edges[place], here, stop)
            sums[place] += before[then] - before[here]
            here = then
    for place in range(1, count):
        sums[place] += sums[place - 1]
    return sums


@compiled
def edge_above(edges: Array, step: int, guess: int) -> int:
    """The first edge above a step that has one; at once where the guess is right."""
    if edges[guess] > step and (guess == 0 or edges[guess - 1] <= step):
        return guess
    low, high = 0, len(edges) - 1
    while low < high:
        middle = (low + high) // 2
        if edges[middle] > step:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def level_from(axis: Array, edge: int, here: int, stop: int) -> int:
    """The first level of a book at or beyond an edge, after one below it: in doubling jumps."""
    low, high, jump = here, here + 1, 1
    while high < stop and axis[high] < edge:
        low, jump = high, 2 * jump
        high = min(stop, high + jump)
    while low + 1 < high:
        middle = (low + high) // 2
        if axis[middle] < edge:
            low = middle
        else:
            high = middle
    return high


def swept(axis: Array, before: Array, starts: Array, edges: Array) -> Array:
    """The same sums in whole-array steps, for machines without a compiler."""
    sums = np.zeros(len(edges) + 1, dtype=np.int64)
    np.add.at(sums, np.searchsorted(edges, axis, side="right"), np.diff(before))
    return np.cumsum(sums[:-1])


def counted_each(  # noqa: PLR0917 -- the arrays of a rack, and edges of each
    axis: Array, before: Array, starts: Array, first: Array, edges: Array, ends: Array
) -> Array:
    """Sums of what lies below each edge, instrument by instrument."""
    count = walked_each if is_compiling() else swept_each
    return count(axis, before, starts, first, edges, ends)


@compiled
def walked_each(  # noqa: PLR0917 -- the arrays of a rack, and edges of each
    axis: Array, before: Array, starts: Array, first: Array, edges: Array, ends: Array
) -> Array:
    """`walked` for each instrument; arrays as in Rack. Returns int64[K]."""
    sums = np.empty(len(edges), dtype=np.int64)
    for k in range(len(first) - 1):
        own = starts[first[k] : first[k + 1] + 1]
        sums[ends[k] : ends[k + 1]] = walked(axis, before, own, edges[ends[k] : ends[k + 1]])
    return sums


def swept_each(  # noqa: PLR0917 -- the arrays of a rack, and edges of each
    axis: Array, before: Array, starts: Array, first: Array, edges: Array, ends: Array
) -> Array:
    """The same sums in whole-array steps, for machines without a compiler."""
    sums = np.empty(len(edges), dtype=np.int64)
    for k in range(len(first) - 1):
        here, stop = starts[first[k]], starts[first[k + 1]]
        levels = axis[here:stop], before[here : stop + 1], starts[first[k] : first[k + 1] + 1]
        sums[ends[k] : ends[k + 1]] = swept(*levels, edges[ends[k] : ends[k + 1]])
    return sums


def _broken() -> BadInput:
    return BadInput(
        "the table makes no books: prices must be positive and not improve level by level, lots "
        "must not be negative",
        "sort each book best first",
        field="state",
    )


def _frozen(array: Array) -> Array:
    array = np.ascontiguousarray(array, dtype=np.int64)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array
