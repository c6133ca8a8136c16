"""The adapter: pins the recorded book, and executes on paper against it."""

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from covenue.errors import StateStale
from covenue.hooks.journal import Applied, Journal, outcome_of, refused
from covenue.hooks.venues import (
    ORDER_BOOK,
    BookState,
    NeverSeen,
    Snapshot,
    VenueConfig,
    pack_book,
    refuse_silence,
    state_digest,
)
from covenue.numerics.fills import execute, refusal
from covenue_contracts.canonical import canonical, sha256
from covenue_contracts.contract import Scalar
from covenue_contracts.energibridge import ClockStamp, Instrument
from covenue_contracts.local import Actions, Fill, Leg, Outcome
from covenue_venue_recorded.book import BookReplay, Levels, Sides, Take, refreshed_at
from covenue_venue_recorded.capture import ASK, BID, CHUNK_BYTES, read_capture
from covenue_venue_recorded.join import Span, join, refuse_gaps
from covenue_venue_recorded.journal import FORMAT
from covenue_venue_recorded.offsets import MILLISECOND, Offset, offset
from covenue_venue_recorded.options import parse_options

CLOCK_NOTE = (
    "local minus exchange: offset plus least one-way delay, which one-way stamps cannot part"
)


class RecordedVenue:
    """One capture as a venue.

    `pin` is a function of the capture, the instant and the orders applied until that instant:
    going back in time, or asking in another order, changes nothing. What an order took at time t
    is gone from every pin at or after t, until a recorded line sets that level again; a pin before
    t does not see it. Raises CaptureDamaged or BadInput when it is opened.
    """

    def __init__(
        self, config: VenueConfig, folder: Path, *, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        options = parse_options(config, folder)
        instrument = options.instrument
        self._options = options
        self._capture = read_capture(
            options.capture,
            options.dialect,
            instrument.symbol,
            Fraction(instrument.tick),
            Fraction(instrument.step),
            chunk_bytes=chunk_bytes,
        )
        self._joined = join(self._capture)
        if options.gaps == "refuse":
            refuse_gaps(self._capture, self._joined)
        self._replay = BookReplay(self._capture)
        self._journal = Journal(options.journal, FORMAT, self._source())

    @property
    def instrument(self) -> Instrument:
        """What is traded here."""
        return self._options.instrument

    def pin(self, as_of: int) -> Snapshot:
        """The book from every line with local time <= as_of, less what was taken until then.

        Raises StateStale before the snapshot, behind a gap, after a silence, or when crossed.
        """
        span = self._span(as_of)
        end = self._end(span, as_of)
        sides = self._sides(span, end, as_of)
        last = max(span.depth.last, int(self._capture.last[end - 1]) if end > span.first else 0)
        state = BookState(self.instrument, sides.bids, sides.asks, last, self._stamp(span, end))
        return Snapshot(ORDER_BOOK, as_of, state_digest(state), state, pack_book(state))

    def apply(self, order: str, actions: Actions, valid_until: int, now: int) -> Sequence[Outcome]:
        """Execute the legs, immediate or cancel, on the book at `now`; once an order id.

        Fills count in the unit of the actions, which the domain set: the venue has none of its own.
        The outcome is in the journal before it is returned; the same id again returns it.
        """
        return self._journal.once(order, lambda: self._execute(order, actions, valid_until, now))

    def reconcile(self, order: str) -> Sequence[Outcome] | NeverSeen:
        """The stored outcome of an order id, or NEVER_SEEN."""
        return self._journal.outcomes(order)

    def facts(self) -> Mapping[str, Scalar]:
        """Rows, gaps, times and clock offsets of the capture; times are ns, as text."""
        capture, spans = self._capture, self._joined.spans
        event = offset(capture.local, capture.event)
        transaction = offset(capture.local, capture.transaction)
        return {
            "venue": self._options.dialect.name,
            "symbol": self.instrument.symbol,
            "lines": capture.lines,
            "diffs": len(capture.local),
            "rows": len(capture.ticks),
            "skipped_lines": capture.skipped,
            "snapshots": len(capture.depths),
            "gaps": len(self._joined.gaps),
            "first_time": str(min(int(capture.local[0]), spans[0].since)),
            "last_time": str(max(int(capture.local[-1]), capture.depths[-1].local)),
            "usable_from": str(spans[0].since),
            "stale_ms": self._options.stale_ns // MILLISECOND,
            **_offset_facts("event", event),
            **_offset_facts("transaction", transaction),
            "offset_note": CLOCK_NOTE,
            "orders": len(self._journal.orders),
        }

    def close(self) -> None:
        """Nothing is open: every order is immediate or cancel."""

    def _source(self) -> str:
        """Which instrument and capture a journal belongs to."""
        bytes_of_file = self._options.capture.read_bytes()
        return sha256(canonical(self.instrument), hashlib.sha256(bytes_of_file).digest())

    def _span(self, as_of: int) -> Span:
        """The span that an instant lies in. Raises StateStale."""
        begun = [span for span in self._joined.spans if span.since <= as_of]
        if not begun:
            raise StateStale(
                f"the book is not known before {self._joined.spans[0].since}, asked for {as_of}",
                "ask for a later time",
            )
        span = begun[-1]
        if span.until is not None and as_of >= span.until:
            raise StateStale(
                f"the capture has a gap at {span.until}, asked for {as_of}",
                "ask for an earlier time, or for one after the next snapshot",
            )
        return span

    def _end(self, span: Span, as_of: int) -> int:
        """Diffs to fold. Raises StateStale after a silence."""
        end = min(max(self._capture.diffs_until(as_of), span.first), span.end)
        heard = self._heard(span, end)
        refuse_silence(heard, as_of, self._options.stale_ns, "capture")
        return end

    def _heard(self, span: Span, end: int) -> int:
        """Local time of the newest line that the book rests on."""
        newest = int(self._capture.local[end - 1]) if end > span.first else span.since
        return max(span.since, newest)

    def _sides(self, span: Span, end: int, as_of: int, also: Sequence[Take] = ()) -> Sides:
        """The book less active takes, and less `also`. Raises StateStale when crossed."""
        taken = [take for take in self._journal.takes if take.counts_at(as_of)]
        if self._replay.sides(span, end, ()).is_crossed:
            raise StateStale(
                f"the recorded book is crossed at {as_of}",
                "ask for another time; the capture may be damaged",
            )
        return self._replay.sides(span, end, [*taken, *also])

    def _stamp(self, span: Span, end: int) -> ClockStamp:
        """When the newest line arrived, and the offset that the lines until then show."""
        capture = self._capture
        known = offset(capture.local[:end], capture.event[:end]) or Offset(0, 0)
        is_diff = end > span.first
        return ClockStamp(
            venue_time=str(int(capture.event[end - 1]) * MILLISECOND) if is_diff else None,
            local_time=str(self._heard(span, end)),
            clock="event-time",
            offset=str(known.estimate),
            half_width=str(known.half_width),
        )

    def _execute(self, order: str, actions: Actions, valid_until: int, now: int) -> Applied[Take]:
        """One pass over the legs; each sees what the ones before it took."""
        why = refusal(actions, self.instrument, valid_until, now)
        if why:
            return refused(order, why)
        try:
            span = self._span(now)
            end = self._end(span, now)
            fills: list[Fill] = []
            takes: list[Take] = []
            short = ""
            unit = Fraction(actions.unit)
            for number, leg in enumerate(actions.legs):
                levels = against(leg, self._sides(span, end, now, takes))
                got = execute(levels.tolist(), leg, number, self.instrument, unit)
                fills += got.fills
                takes += [self._take(leg, fill, now) for fill in got.fills]
                short = short or got.short
        except StateStale as error:
            return refused(order, f"book unusable: {error.what}")
        return Applied(outcome_of(order, tuple(fills), (), short), tuple(takes))

    def _take(self, leg: Leg, fill: Fill, now: int) -> Take:
        side = ASK if leg.side == "buy" else BID
        ticks = int(fill.price_ticks)
        refreshed = refreshed_at(self._capture, self._joined.spans, now, side, ticks)
        return Take(now, side, ticks, int(fill.quantity_steps), refreshed)


def against(leg: Leg, sides: Sides) -> Levels:
    """The side of a book that a leg takes from, best level first."""
    return sides.asks if leg.side == "buy" else sides.bids


def _offset_facts(clock: str, known: Offset | None) -> dict[str, Scalar]:
    """Offset against one of the exchange's clocks; absent where the dialect does not send it."""
    if known is None:
        return {f"offset_{clock}_ns": None, f"offset_{clock}_half_width_ns": None}
    return {
        f"offset_{clock}_ns": known.estimate,
        f"offset_{clock}_half_width_ns": known.half_width,
    }
