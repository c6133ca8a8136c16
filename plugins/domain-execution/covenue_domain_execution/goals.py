"""What an order asks for: whole lots over time slices, along a public curve.

Amounts are lots; words count 2^-scale_bits of a lot. Prices are absolute, in the quote currency for
one unit of the base currency, on the grid 2^-40. One lot at price one is the value unit: times the
lot, it is quote currency.

A sell order is planned as its mirror image in the arrival price P: what is sold at P - e is
planned as if it were bought at P + e, so the marginal price of a multiplier v is 2 P - v.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise
from math import lcm
from re import compile as pattern
from typing import Literal

from covenue.errors import BadInput
from covenue.numerics.decimals import FINEST, as_toml, parse_decimal
from covenue_contracts.contract import SAFE_INTEGER, Scalar
from covenue_contracts.plan import Goal

DOMAIN = "execution"
MULTIPLIER_BITS = 40
GRID = 1 << MULTIPLIER_BITS
BPS = 10_000
SLICES_MOST = 200
WEIGHT_MOST = 2**48
TIME_MOST = 2**63 - 1
PRICE_BITS_MOST = 20
VALUE_ROOM = 56
SLOPE_ROOM = 58
ROOM = "domain.goal."
MODES = ("standing", "executed")
CURVES = ("u", "flat")
DEFAULTS: Mapping[str, Scalar] = {
    "instrument": None,
    "lot": "1",
    "start": None,
    "every_ms": None,
    "curve": "u",
    "tracking_bps": "10",
    "limit_price": None,
    "band": "0.1",
    "scale_bits": 20,
    "value_bits": None,
    "slope_bits": None,
    "floor_bps": "1",
}
KEYS = ("side", "quantity", "price", "slices", *DEFAULTS, "mode")
WHOLE = pattern(r"0|[1-9][0-9]{0,30}")
Side = Literal["buy", "sell"]
Value = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True)
class Terms:
    """The public terms of an order, read back from a goal.

    price, limit: on the grid 2^-40; limit None without one. curve: a weight a slice. quantity: lots
    of the whole order. remaining: lots by slice that this plan follows. start, every: nanoseconds,
    or None: then every plan begins its schedule anew. reach: how far multipliers go from the
    price, on the grid. floor: value words.
    """

    side: Side
    instrument: str | None
    lot: Fraction
    price: int
    limit: int | None
    curve: tuple[int, ...]
    quantity: int
    remaining: tuple[int, ...]
    start: int | None
    every: int | None
    tracking_bps: Fraction
    reach: int
    floor: int
    scale_bits: int
    value_bits: int
    slope_bits: int

    @property
    def size(self) -> int:
        """How many slices."""
        return len(self.curve)

    @property
    def wanted(self) -> int:
        """Lots that this plan has to place, over all slices."""
        return sum(self.remaining)

    @cached_property
    def target(self) -> tuple[int, ...]:
        """Lots of the whole order up to the end of each slice, along the curve."""
        whole = sum(self.curve)
        return tuple(self.quantity * upto // whole for upto in accumulate(self.curve))

    def rest(self, taken: int) -> tuple[int, ...]:
        """Lots by slice that are left of the target when so many are taken, earliest first."""
        left = max(0, self.quantity - taken)
        path = [min(left, max(0, lots - taken)) for lots in self.target]
        return tuple(b - a for a, b in pairwise([0, *path]))

    def due(self, as_of: int | None) -> int:
        """The slice that trades at an instant: the first before the start, the last at the end."""
        if as_of is None or self.start is None or self.every is None:
            return 0
        return min(self.size - 1, max(0, (as_of - self.start) // self.every))

    def market_price(self, multiplier: int) -> int:
        """The marginal price of a multiplier, on the grid: its mirror image when selling."""
        return multiplier if self.side == "buy" else 2 * self.price - multiplier


def parse_goal(config: Mapping[str, Value], file: str = "") -> Goal:
    """The goal of a scenario's `[domain.goal]`.

    side: buy or sell. quantity: in base currency, rounded down to whole lots. price: the arrival
    price. lot: default 1. slices: how many. start: wall time in nanoseconds of the first, every_ms:
    how long each lasts; both together, and needed for an executed order. curve: "u" (most volume at
    both ends), "flat", or a weight a slice. tracking_bps: what it adds to the price of the next
    lot to be off the curve by the whole quantity for one slice. limit_price: worst all-in price.
    band: part by which marginal prices may leave the arrival price. floor_bps: part of the notional
    that gaps are relative to at least. scale_bits, value_bits, slope_bits: fixed point. mode: the
    order's. Raises BadInput, naming file, field and value.
    """
    _check_keys(config, file)
    given = {**DEFAULTS, **config}
    lot = _lot(given["lot"], file)
    price = _price("price", given.get("price"), file)
    quantity = int(_positive("quantity", given.get("quantity"), file) / lot)
    if not 1 <= quantity <= SAFE_INTEGER:
        raise _misfit("quantity", given.get("quantity"), "from 1 to 2^53 lots", file)
    curve = _curve(given["curve"], _count("slices", given.get("slices"), SLICES_MOST, file), file)
    start, every = _times(given, file)
    notional = (price * quantity) >> MULTIPLIER_BITS
    bits = {
        "scale_bits": _bits("scale_bits", given["scale_bits"], 20, file),
        "value_bits": _bits("value_bits", given["value_bits"], _room(VALUE_ROOM, notional), file),
        "slope_bits": _bits(
            "slope_bits", given["slope_bits"], _room(SLOPE_ROOM, notional * BPS), file
        ),
    }
    floor = _positive("floor_bps", given["floor_bps"], file) * price * quantity / (BPS * GRID)
    terms: dict[str, Value] = {
        "side": _side(given.get("side"), file),
        "instrument": _instrument(given["instrument"], file),
        "lot": str(given["lot"]),
        "price": str(price),
        "limit": _limit(given["limit_price"], file),
        "curve": tuple(str(weight) for weight in curve),
        "quantity": str(quantity),
        "start": start,
        "every": every,
        "tracking_bps": _decimal("tracking_bps", given["tracking_bps"], file),
        "reach": str(_reach(given["band"], price, file)),
        "floor": str(max(1, int(floor * 2 ** bits["value_bits"]))),
        **bits,
    }
    blank = Goal(domain=DOMAIN, aim="fill", remaining=("0",) * len(curve), terms=terms)
    remaining = tuple(str(lots) for lots in read_terms(blank).rest(0))
    return blank.model_copy(update={"remaining": remaining})


def read_terms(goal: Goal) -> Terms:
    """The terms of an execution goal. Raises BadInput, naming the term that does not fit."""
    terms = goal.terms
    if goal.domain != DOMAIN:
        raise BadInput(
            "this is no goal of domain 'execution'",
            "build goals with Execution.goal, buy or sell",
            field="goal.domain",
            value=goal.domain,
        )
    weights = terms.get("curve")
    curve = _curve(weights, len(weights) if isinstance(weights, list | tuple) else 0, "")
    if len(goal.remaining) != len(curve):
        raise _misfit("remaining", len(goal.remaining), "one number of lots a slice", "")
    price = _whole(terms, "price", 1, GRID << PRICE_BITS_MOST)
    start, every = (_maybe(terms, name, TIME_MOST) for name in ("start", "every"))
    if (start is None) != (every is None) or every == 0:
        raise _misfit("every", terms.get("every"), "start and every together", "")
    return Terms(
        side=_side(terms.get("side"), ""),
        instrument=_instrument(terms.get("instrument"), ""),
        lot=_lot(terms.get("lot"), ""),
        price=price,
        limit=_maybe(terms, "limit", GRID << PRICE_BITS_MOST),
        curve=curve,
        quantity=_whole(terms, "quantity", 1, SAFE_INTEGER),
        remaining=tuple(int(lots) for lots in goal.remaining),
        start=start,
        every=every,
        tracking_bps=_positive("tracking_bps", terms.get("tracking_bps"), ""),
        reach=_whole(terms, "reach", 1, price - 1),
        floor=_whole(terms, "floor", 1, 2**62),
        scale_bits=_bits("scale_bits", terms.get("scale_bits"), 20, ""),
        value_bits=_bits("value_bits", terms.get("value_bits"), 0, ""),
        slope_bits=_bits("slope_bits", terms.get("slope_bits"), 0, ""),
    )


def _check_keys(config: Mapping[str, Value], file: str) -> None:
    for key in config:
        if key not in KEYS:
            close = get_close_matches(key, KEYS, n=1, cutoff=0.5)
            raise BadInput(
                "a goal has no such field",
                f"did you mean '{close[0]}'?" if close else f"use only {', '.join(KEYS)}",
                file=file,
                field=f"{ROOM}{key}",
                value=as_toml(config[key]),
            )


def _side(value: object, file: str) -> Side:
    if value == "buy":
        return "buy"
    if value == "sell":
        return "sell"
    raise _misfit("side", value, '"buy" or "sell"', file)


def _instrument(value: object, file: str) -> str | None:
    if value is None or (isinstance(value, str) and value and len(value) <= 64):
        return value
    raise _misfit("instrument", value, 'a canonical name like "btc"', file)


def _positive(field: str, value: object, file: str) -> Fraction:
    amount = parse_decimal(value, f"{ROOM}{field}", file)
    if amount <= 0:
        raise _misfit(field, value, "a decimal above 0", file)
    return amount


def _decimal(field: str, value: object, file: str) -> str:
    _positive(field, value, file)
    return str(value)


def _lot(value: object, file: str) -> Fraction:
    """A lot that `actions/v1` can carry as its unit."""
    lot = _positive("lot", value, file)
    if (lot * 10**FINEST).denominator != 1 or lot >= 10**21:
        raise _misfit("lot", value, f"at most {FINEST} decimal places, and less than 10^21", file)
    return lot


def _price(field: str, value: object, file: str) -> int:
    grid = round(_positive(field, value, file) * GRID)
    if not 2**16 <= grid <= GRID << PRICE_BITS_MOST:
        raise _misfit(field, value, "a decimal from 2^-24 to 2^20", file)
    return grid


def _limit(value: object, file: str) -> str | None:
    return None if value is None else str(_price("limit_price", value, file))


def _curve(value: object, slices: int, file: str) -> tuple[int, ...]:
    """Whole weights, one a slice; "u" is proportional to 0.6 + 2.4 u^2, u from -1/2 to 1/2."""
    if value == "u":
        return tuple(slices**2 + (2 * t + 1 - slices) ** 2 for t in range(slices))
    if value == "flat":
        return (1,) * slices
    given = value if isinstance(value, list | tuple) else ()
    if len(given) != slices or not 1 <= slices <= SLICES_MOST:
        wanted = f'"u", "flat" or {slices} decimals, one a slice, for up to {SLICES_MOST} slices'
        raise _misfit("curve", value, wanted, file)
    exact = [parse_decimal(weight, f"{ROOM}curve", file) for weight in given]
    scale = lcm(*(weight.denominator for weight in exact))
    weights = tuple(int(weight * scale) for weight in exact)
    if min(weights) < 0 or not 0 < sum(weights) <= WEIGHT_MOST:
        raise _misfit("curve", value, "weights of at least 0, not all 0, with few decimals", file)
    return weights


def _count(field: str, value: object, most: int, file: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise _misfit(field, value, f"a whole number from 1 to {most}", file)
    return value


def _times(given: Mapping[str, Value], file: str) -> tuple[str | None, str | None]:
    """Start and length of slices in nanoseconds, as texts."""
    start, every, mode = given["start"], given["every_ms"], given.get("mode", MODES[0])
    if mode not in MODES:
        raise _misfit("mode", mode, " or ".join(MODES), file)
    if start is None and every is None and mode == "standing":
        return None, None
    if not isinstance(start, str | int) or not WHOLE.fullmatch(str(start)):
        raise _misfit("start", start, "the wall time of the first slice, in nanoseconds", file)
    length = _count("every_ms", every, SAFE_INTEGER // 10**6, file)
    if int(start) > TIME_MOST:
        raise _misfit("start", start, "nanoseconds since 1970", file)
    return str(start), str(length * 10**6)


def _room(bits: int, magnitude: int) -> int:
    """As many binary places as leave room for such magnitudes in a sum, at most 20."""
    return min(20, max(0, bits - magnitude.bit_length()))


def _bits(field: str, value: object, default: int, file: str) -> int:
    if value is None:
        return default
    least = 1 if field == "scale_bits" else 0
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 40:
        raise _misfit(field, value, f"a whole number from {least} to 40", file)
    return value


def _reach(value: object, price: int, file: str) -> int:
    band = _positive("band", value, file)
    reach = int(band * price)
    if band >= 1 or reach < 1:
        raise _misfit("band", value, "a decimal above 0 and below 1", file)
    return reach


def _whole(terms: Mapping[str, object], field: str, least: int, most: int) -> int:
    value = terms.get(field)
    if not isinstance(value, str) or not WHOLE.fullmatch(value) or not least <= int(value) <= most:
        raise _misfit(field, value, f"a whole number from {least} to {most}, as text", "")
    return int(value)


def _maybe(terms: Mapping[str, object], field: str, most: int) -> int | None:
    return None if terms.get(field) is None else _whole(terms, field, 0, most)


def _misfit(field: str, value: object, wanted: str, file: str) -> BadInput:
    return BadInput(
        f"{field} does not fit",
        f"give {wanted}",
        file=file,
        field=f"{ROOM}{field}",
        value=as_toml(value)[:80],
    )
