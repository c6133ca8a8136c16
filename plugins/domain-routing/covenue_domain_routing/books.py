"""What a party holds, as a canonical book: a pinned snapshot, or price and quantity columns."""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.venues import BookState, Snapshot
from covenue.numerics.decimals import FINEST, plain
from covenue_contracts.energibridge import ClockStamp, Instrument
from covenue_contracts.plan import Member
from covenue_domain_routing.goals import ROOM, Terms

RING_HALF = 2**63
Side = NDArray[np.int64]


def book_of(state: Any, terms: Terms, member: Member) -> BookState:
    """The book of a Snapshot, a BookState, or a table of prices and quantities.

    A table is an (n, 2) array, a sequence of pairs, or a DataFrame with columns `price` and
    `quantity`; it is the side of the book that the order takes from. Its numbers become exact
    decimals by way of their shortest text (0.1 is one tenth). Raises CapabilityMissing on another
    kind of state, BadInput on another instrument or on levels that make no book.
    """
    held = state.state if isinstance(state, Snapshot) else state
    if isinstance(held, BookState):
        _check_instrument(held.instrument, terms)
        return held
    if isinstance(state, Snapshot) or isinstance(held, str | bytes) or held is None:
        raise _foreign(member)
    return _tabled(held, terms, member)


def taken_side(book: BookState, terms: Terms) -> Side:
    """The levels that the order takes from: int64[n, 2] of ticks and steps, best first.

    Raises BadInput unless ticks are positive and strictly worsen, and steps are not negative.
    """
    levels = book.asks if terms.side == "buy" else book.bids
    ticks, steps = levels[:, 0], levels[:, 1]
    worsening = np.diff(ticks) > 0 if terms.side == "buy" else np.diff(ticks) < 0
    if not (np.all(ticks > 0) and np.all(steps >= 0) and np.all(worsening)):
        raise BadInput(
            "the levels make no book: prices must be positive and worsen level by level, "
            "quantities must not be negative",
            "check the venue's feed",
            field="state",
        )
    return levels


def _check_instrument(instrument: Instrument, terms: Terms) -> None:
    wanted = terms.instrument
    if wanted is not None and wanted not in {instrument.canonical, instrument.base.lower()}:
        raise BadInput(
            f"the venue trades {instrument.canonical}, the order is for {wanted}",
            "give the party a venue of that instrument",
            field=f"{ROOM}instrument",
            value=wanted,
        )


def _foreign(member: Member) -> CapabilityMissing:
    return CapabilityMissing(
        f"domain 'routing' needs an order book; party '{member.name}' holds another kind of state",
        "give a venue with books, or a table of prices and quantities",
        field="state",
    )


def _tabled(table: Any, terms: Terms, member: Member) -> BookState:
    rows = _rows(table, member)
    prices = [_cell(price, "price") for price, _ in rows]
    quantities = [_cell(quantity, "quantity") for _, quantity in rows]
    merged: dict[Fraction, Fraction] = {}
    for price, quantity in zip(prices, quantities, strict=True):
        merged[price] = merged.get(price, Fraction(0)) + quantity
    tick = _increment(prices)
    step = _increment([*quantities, terms.lot])
    ordered = sorted(merged.items(), reverse=terms.side == "sell")
    side = _side([(p / tick, q / step) for p, q in ordered])
    empty = np.zeros((0, 2), dtype=np.int64)
    asks, bids = (side, empty) if terms.side == "buy" else (empty, side)
    instrument = _instrument(terms, member, tick, step)
    stamp = ClockStamp(venue_time=None, local_time="0", clock="table", offset="0", half_width="0")
    return BookState(instrument, bids, asks, 0, stamp)


def _rows(table: Any, member: Member) -> list[tuple[Any, Any]]:
    """Pairs of cells. Raises CapabilityMissing when the object is no table."""
    columns = getattr(table, "columns", None)
    if columns is not None:
        if not {"price", "quantity"} <= set(columns):
            raise BadInput(
                "the frame lacks a column", "name them `price` and `quantity`", field="state"
            )
        return list(zip(table["price"].tolist(), table["quantity"].tolist(), strict=True))
    listed = table.tolist() if isinstance(table, np.ndarray) else table
    if not isinstance(listed, Iterable):
        raise _foreign(member)
    rows = [tuple(row) if isinstance(row, Iterable) else (row,) for row in listed]
    if any(len(row) != 2 for row in rows):
        raise BadInput(
            "a level is a price and a quantity", "give an array of shape (n, 2)", field="state"
        )
    return [(row[0], row[1]) for row in rows]


def _cell(value: Any, column: str) -> Fraction:
    """An exact value of a cell. The error names no value: it is private."""
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        exact = Decimal("NaN")
    fits = exact.is_finite() and not isinstance(value, bool) and abs(exact.adjusted()) < 40
    if not fits or exact < 0 or (column == "price" and exact == 0):
        raise BadInput(
            f"a {column} of the table is no usable number",
            "give positive finite prices, and quantities that are not negative",
            field=f"state.{column}",
        )
    return Fraction(exact)


def _increment(values: list[Fraction]) -> Fraction:
    """The coarsest power of ten, at most 1, that divides all values."""
    for places in range(FINEST + 1):
        if all((value * 10**places).denominator == 1 for value in values):
            return Fraction(1, 10**places)
    raise BadInput(
        f"the table holds numbers with more than {FINEST} decimal places",
        "round them first",
        field="state",
    )


def _side(levels: list[tuple[Fraction, Fraction]]) -> Side:
    if any(max(ticks, steps) >= RING_HALF for ticks, steps in levels):
        raise BadInput(
            "the table holds numbers beyond 64 bits of their increment",
            "round prices and quantities, or leave far levels out",
            field="state",
        )
    side = np.array([(int(t), int(s)) for t, s in levels], dtype=np.int64).reshape(-1, 2)
    side.flags.writeable = False
    return side


def _instrument(terms: Terms, member: Member, tick: Fraction, step: Fraction) -> Instrument:
    name = terms.instrument or "asset"
    return Instrument(
        venue=member.name,
        symbol=name,
        canonical=name,
        base=name,
        quote="quote",
        tick=plain(tick),
        step=plain(step),
        minimum=plain(step),
        multiplier="1",
        payoff="linear",
        hours="",
        zone="UTC",
    )
