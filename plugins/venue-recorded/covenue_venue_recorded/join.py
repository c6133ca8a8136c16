"""Joins snapshots and diffs: from when to when the book is known, and where it is not.

Captures begin with diffs; the snapshot comes later, and the diff that bridges it may lie before
it, so all diffs are a buffer. A missing diff makes the book unusable until the next snapshot.
"""

from dataclasses import dataclass

import numpy as np

from covenue.errors import CaptureDamaged
from covenue_venue_recorded.capture import Capture, Depth


@dataclass(frozen=True)
class Span:
    """A stretch of known book: one snapshot, and diffs [first, end) on top of it.

    since: local time from which it is known. until: local time of the diff that does not link,
    or None.
    """

    depth: Depth
    first: int
    end: int
    since: int
    until: int | None


@dataclass(frozen=True)
class Missing:
    """A gap: the capture's line, the last good id, and what the next diff says it follows."""

    line: int
    last_good: int
    follows: int


@dataclass(frozen=True)
class Joined:
    """All spans in order of time, and all gaps. unbridged: why the last snapshot tried failed."""

    spans: tuple[Span, ...]
    gaps: tuple[Missing, ...]


def drops(last: int, snapshot: int, lead: int) -> bool:
    """Whether the snapshot already holds a buffered diff."""
    return last < snapshot + lead


def bridges(first: int, last: int, snapshot: int, lead: int) -> bool:
    """Whether a diff straddles the end of the snapshot."""
    return first <= snapshot + lead <= last


def links(previous: int, last: int) -> bool:
    """Whether a diff follows the one before it."""
    return previous == last


def join(capture: Capture) -> Joined:
    """Find spans and gaps. Raises CaptureDamaged when no snapshot can be joined at all."""
    spans: list[Span] = []
    gaps: list[Missing] = []
    buffered = 0
    for depth in capture.depths:
        if spans and spans[-1].until is None:
            break
        first = _first_kept(capture, depth, buffered)
        if first is None:
            continue
        end = _end_of_links(capture, first)
        gap_before_snapshot = end < depth.position
        if end < len(capture.local):
            gaps.append(_missing(capture, end))
            buffered = end
        if gap_before_snapshot:
            continue
        until = int(capture.local[end]) if end < len(capture.local) else None
        spans.append(Span(depth, first, end, depth.local, until))
    if not spans:
        _refuse_unjoined(capture, gaps)
    return Joined(tuple(spans), tuple(gaps))


def refuse_gaps(capture: Capture, joined: Joined) -> None:
    """Raise CaptureDamaged, naming the line of the first gap, if there is one."""
    for gap in joined.gaps[:1]:
        raise _gapped(capture, gap)


def _first_kept(capture: Capture, depth: Depth, buffered: int) -> int | None:
    """The first diff not yet in the snapshot, if it bridges it."""
    for index in range(buffered, len(capture.local)):
        last = int(capture.last[index])
        if not drops(last, depth.last, capture.dialect.lead):
            first = int(capture.first[index])
            return index if bridges(first, last, depth.last, capture.dialect.lead) else None
    return None


def _end_of_links(capture: Capture, first: int) -> int:
    """The first diff after `first` that does not link, or the end."""
    previous = capture.previous[first + 1 :].tolist()
    for index, (follows, last) in enumerate(
        zip(previous, capture.last[first:-1].tolist(), strict=True)
    ):
        if not links(follows, last):
            return first + 1 + index
    return len(capture.local)


def _missing(capture: Capture, index: int) -> Missing:
    return Missing(
        int(capture.line[index]), int(capture.last[index - 1]), int(capture.previous[index])
    )


def _gapped(capture: Capture, gap: Missing) -> CaptureDamaged:
    return CaptureDamaged(
        f"the capture has a gap: the diff in line {gap.line} does not follow the one before it",
        "record the capture again, cut it before the gap, or set gaps to wait",
        file=str(capture.file),
        field=f"line {gap.line}: {capture.dialect.link_field}",
        value=f"follows {gap.follows}, the last good id is {gap.last_good}",
    )


def _refuse_unjoined(capture: Capture, gaps: list[Missing]) -> None:
    if gaps:
        raise _gapped(capture, gaps[0])
    if not capture.depths:
        raise CaptureDamaged(
            "the capture holds no snapshot",
            "record the REST snapshot with the diffs",
            file=str(capture.file),
            field="lastUpdateId",
            value="missing",
        )
    depth = capture.depths[0]
    ids = "no diffs"
    if np.size(capture.last):
        ids = f"diffs from {capture.first[0]} to {capture.last[-1]}"
    raise CaptureDamaged(
        f"no diff bridges the snapshot in line {depth.line}",
        "record diffs from before the snapshot until after it, in one session",
        file=str(capture.file),
        field=f"line {depth.line}: lastUpdateId",
        value=f"{depth.last}; {ids}",
    )
