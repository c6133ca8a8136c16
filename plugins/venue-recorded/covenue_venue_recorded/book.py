"""The recorded book at any instant, less what was taken from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covenue_venue_recorded.capture import ASK, BID, Capture, Column
from covenue_venue_recorded.join import Span

Levels = NDArray[np.int64]
"""int64[n, 2]: price ticks and quantity steps, best first."""


@dataclass(frozen=True)
class Take:
    """Quantity that we took from a level, and the local time of the diff that refreshes it."""

    time: int
    side: int
    ticks: int
    steps: int
    refreshed: int | None

    def counts_at(self, as_of: int) -> bool:
        """Whether the take still lowers the level."""
        return self.time <= as_of and (self.refreshed is None or as_of < self.refreshed)


@dataclass(frozen=True)
class Sides:
    """Both sides of a book."""

    bids: Levels
    asks: Levels

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid reaches the best ask, which no matching engine leaves standing."""
        return bool(len(self.bids) and len(self.asks) and self.bids[0, 0] >= self.asks[0, 0])


class BookReplay:
    """Recorded levels after a number of diffs; going forward only new rows are folded.

    The result depends on the span and the number of diffs alone, never on what was asked before.
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._span: Span | None = None
        self._end = 0
        self._levels: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def sides(self, span: Span, end: int, takes: Sequence[Take]) -> Sides:
        """Both sides after diffs [span.first, end), less the takes given."""
        self._seek(span, end)
        return Sides(
            _levels(self._levels[BID], [take for take in takes if take.side == BID], -1),
            _levels(self._levels[ASK], [take for take in takes if take.side == ASK], 1),
        )

    def _seek(self, span: Span, end: int) -> None:
        if span is not self._span or end < self._end:
            self._span, self._end, self._levels = span, span.first, ({}, {})
            self._fold(span.depth.side, span.depth.ticks, span.depth.steps)
        if end > self._end:
            capture = self._capture
            rows = slice(int(capture.starts[self._end]), int(capture.starts[end]))
            self._fold(capture.side[rows], capture.ticks[rows], capture.steps[rows])
            self._end = end

    def _fold(self, side: Column, ticks: Column, steps: Column) -> None:
        """Later rows win; a level of quantity 0 is gone, whether it was there or not."""
        for which in (BID, ASK):
            rows = side == which
            self._levels[which].update(zip(ticks[rows].tolist(), steps[rows].tolist(), strict=True))


def refreshed_at(
    capture: Capture, spans: Sequence[Span], time: int, side: int, ticks: int
) -> int | None:
    """The local time of the first line after `time` that sets the level, or None.

    A later snapshot sets every level.
    """
    start = int(capture.starts[capture.diffs_until(time)])
    hits = np.flatnonzero((capture.ticks[start:] == ticks) & (capture.side[start:] == side))
    times = [span.since for span in spans if span.since > time][:1]
    if len(hits):
        diff = int(np.searchsorted(capture.starts, start + int(hits[0]), side="right")) - 1
        times.append(int(capture.local[diff]))
    return min(times, default=None)


def _levels(recorded: dict[int, int], takes: Sequence[Take], sign: int) -> Levels:
    size = len(recorded)
    ticks = np.fromiter(recorded.keys(), dtype=np.int64, count=size)
    steps = np.fromiter(recorded.values(), dtype=np.int64, count=size)
    for take in takes:
        steps[ticks == take.ticks] -= take.steps
    rest = np.flatnonzero(steps > 0)
    rest = rest[np.argsort(ticks[rest] * sign, kind="stable")]
    levels = np.stack((ticks[rest], steps[rest]), axis=1)
    levels.flags.writeable = False
    return levels
