"""Venues of a notebook or a benchmark: arrays, or a frame with one row a venue and slice.

Costs are prices above (selling: below) the arrival price, in the quote currency; slopes are prices
a lot; amounts are lots, and caps and credits are rounded down to whole ones.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from covenue.errors import BadInput
from covenue_domain_execution.goals import Terms
from covenue_domain_execution.kernels import Floats, Rows

TABLES = ("a", "eta", "cap")
LOTS_MOST = 2.0**53
PRICE_MOST = 2.0**40
DUST = 2.0**-80


def rows_of(given: Any, terms: Terms) -> Rows:
    """Rows of a mapping {"a", "eta", "cap": float[n, T] or float[T], "credit": float[n]}.

    credit may be absent: then only the caps bind. A frame has the columns a, eta, cap, and where it
    holds several venues `venue`, in blocks of T rows; `credit` is read from the first row of each.
    Raises BadInput, naming what does not fit and no value: it is private.
    """
    columns = getattr(given, "columns", None)
    arrays = _framed(given, terms) if columns is not None else given
    if not isinstance(arrays, Mapping):
        raise _misfit("state", "the venues are no table", "give a mapping or a frame")
    if set(arrays) - {"credit"} != set(TABLES):
        raise _misfit("state", "the table has other columns", f"give {', '.join(TABLES)}, credit")
    a, eta, cap = (_table(arrays[name], name, terms.size) for name in TABLES)
    if not a.shape == eta.shape == cap.shape:
        raise _misfit("state", "the tables have other shapes", "give all of them n x T numbers")
    credit = arrays.get("credit")
    if credit is None:
        held = np.cumsum(cap, axis=1)[:, -1]
    else:
        held = np.atleast_1d(np.asarray(credit, np.float64))
    if held.shape != (len(a),) or not bool(np.all((held >= 0) & (held <= LOTS_MOST))):
        raise _misfit("credit", "the credits do not fit", "give n numbers of at least 0")
    return limited(a, eta, cap, held, terms)


def limited(a: Floats, eta: Floats, cap: Floats, credit: Floats, terms: Terms) -> Rows:
    """Rows whose caps are whole lots within the limit price.

    a, eta, cap: float64[n, T]. credit: float64[n]. A cost whose square floats cannot hold is none,
    so that no product in phi is lost.
    """
    a = np.where(np.abs(a) < DUST, 0.0, a)
    caps = np.floor(cap)
    if terms.limit is not None:
        reach = terms.market_price(terms.limit) - terms.price
        room = (float(reach) / float(2**40) - a) / eta
        caps = np.minimum(caps, np.floor(np.maximum(room, 0.0)))
    return Rows(
        costs=np.ascontiguousarray(a),
        steep=np.ascontiguousarray(eta),
        inverse=1.0 / np.ascontiguousarray(eta),
        caps=np.ascontiguousarray(caps),
        credits=np.floor(credit),
    )


def _table(value: Any, name: str, slices: int) -> Floats:
    try:
        table = np.atleast_2d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise _misfit(name, f"{name} holds what is no number", "give floats") from error
    if table.ndim != 2 or table.shape[1] != slices or not len(table):
        raise _misfit(name, f"{name} has another shape", f"give n x {slices} numbers")
    low, high = {"a": (-PRICE_MOST, PRICE_MOST), "eta": (2.0**-60, PRICE_MOST)}.get(
        name, (0.0, LOTS_MOST)
    )
    if not bool(np.all((table >= low) & (table <= high))):
        wanted = "positive slopes" if name == "eta" else f"numbers from {low:g} to {high:g}"
        raise _misfit(name, f"{name} holds numbers that do not fit", f"give {wanted}")
    return table


def _framed(frame: Any, terms: Terms) -> dict[str, Floats]:
    """A frame's columns as arrays."""
    missing = [name for name in TABLES if name not in frame.columns]
    if missing:
        raise _misfit(missing[0], "a frame lacks a column", f"name columns {', '.join(TABLES)}")
    count, slices = len(frame), terms.size
    if count % slices:
        raise _misfit("state", "a frame holds no whole venues", f"give {slices} rows a venue")
    if "venue" in frame.columns:
        names = frame["venue"].tolist()
        blocks = [set(names[at : at + slices]) for at in range(0, count, slices)]
        if any(len(block) != 1 for block in blocks):
            raise _misfit("venue", "a frame mixes venues", f"give {slices} rows after each other")
    arrays = {name: np.array(frame[name].tolist()).reshape(-1, slices) for name in TABLES}
    if "credit" in frame.columns:
        arrays["credit"] = np.array(frame["credit"].tolist()[::slices])
    return arrays


def _misfit(field: str, what: str, advice: str) -> BadInput:
    place = "state" if field == "state" else f"state.{field}"
    return BadInput(what, advice, field=place)
