"""Clock offset from one-way stamps: the lower envelope of local minus exchange time.

One-way stamps identify only offset plus least delay, never the two apart. Source: venues.md,
section 5.
"""

from dataclasses import dataclass

import numpy as np

from covenue_venue_recorded.capture import ABSENT, Column

MILLISECOND = 1_000_000
WINDOW = 10_000_000_000


@dataclass(frozen=True)
class Offset:
    """Local minus exchange, ns: the middle of the windows' envelopes, and how far they wander.

    half_width holds that wandering and half of the exchange's millisecond, not the least delay.
    """

    estimate: int
    half_width: int


def offset(local: Column, venue_ms: Column) -> Offset | None:
    """Estimate over lines so far; None where there is no line or the dialect has no such time.

    The envelope is taken in windows of 10 s; a last, shorter window counts with the one before it.
    """
    if not len(local) or venue_ms[0] == ABSENT:
        return None
    delays = local - venue_ms * MILLISECOND
    windows = (local - local[0]) // WINDOW
    whole = max(int(windows[-1]), 1)
    windows = np.minimum(windows, whole - 1)
    starts = np.flatnonzero(np.diff(windows, prepend=-1))
    envelope = np.minimum.reduceat(delays, starts)
    low, high = int(envelope.min()), int(envelope.max())
    return Offset((low + high) // 2, (high - low + 1) // 2 + MILLISECOND // 2)
