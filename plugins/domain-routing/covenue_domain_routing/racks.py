"""The books of several instruments end to end: sums below edges of each of them, in one pass.

Source: solvers.md, section 2(b), budget form.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from covenue_domain_routing.stacks import Array, Stack, counted_each


@dataclass(frozen=True, eq=False)
class Rack:
    """Stacks of m instruments, one after the other; all arrays int64.

    axis: as in Stack, [N]. starts: where each book begins, [books + 1]. first: the first book of
    each instrument, [m + 1]. lots_before, value_before: sums over the levels before each, modulo
    2^64, [N + 1]: differences within a book are exact.
    """

    axis: Array
    starts: Array
    first: Array
    lots_before: Array
    value_before: Array

    def depth(self, edges: Array, ends: Array) -> Array:
        """Lots of an instrument at steps below each of its edges.

        edges: int64[K], those of instrument k from ends[k] to ends[k + 1], never falling.
        """
        return counted_each(self.axis, self.lots_before, self.starts, self.first, edges, ends)

    def value(self, edges: Array, ends: Array) -> Array:
        """Value of the lots at steps below each edge; edges as in `depth`."""
        return counted_each(self.axis, self.value_before, self.starts, self.first, edges, ends)


def racked(stacks: Sequence[Stack]) -> Rack:
    """Stacks end to end; at least one."""
    books = [len(each.starts) - 1 for each in stacks]
    within = np.concatenate([np.diff(each.starts) for each in stacks])
    return Rack(
        axis=np.concatenate([each.axis for each in stacks]),
        starts=_before(within),
        first=_before(np.array(books, dtype=np.int64)),
        lots_before=_before(np.concatenate([np.diff(each.lots_before) for each in stacks])),
        value_before=_before(np.concatenate([np.diff(each.value_before) for each in stacks])),
    )


def _before(parts: Array) -> Array:
    """Sums over what comes before each part, and over all of them."""
    sums = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum(parts, out=sums[1:])
    return sums
