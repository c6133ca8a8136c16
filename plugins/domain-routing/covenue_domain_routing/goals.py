"""What an order asks for: public terms, parsed exactly.

Amounts are whole lots of the base currency; prices are whole price units, `price_scale` of them to
one unit of the quote currency. One lot at one price unit is the value unit: with lots of 1e-5 and
price units of 1e-4 it is 1e-9 of the quote currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Literal

from covenue.errors import BadInput
from covenue.hooks.domains import PartyConfig
from covenue_contracts.contract import SAFE_INTEGER, Scalar
from covenue_contracts.plan import Goal
from covenue_domain_routing.decimals import parse_decimal

DOMAIN = "routing"
PRICE_SCALE = 10_000
DEFAULT_LOT = "0.00001"
KEYS = (
    "side",
    "instrument",
    "quantity",
    "lot",
    "limit_price",
    "minimum",
    "pace",
    "deadline",
    "price_scale",
)
Side = Literal["buy", "sell"]


@dataclass(frozen=True)
class Terms:
    """The public terms of an order, read back from a goal.

    left: lots that this plan and later ones still have to do. quantity, minimum, pace: lots.
    limit: price units, or None. minimum: fewest lots of a plan (the last one may be smaller).
    """

    side: Side
    instrument: str | None
    lot: Fraction
    price_scale: int
    limit: int | None
    minimum: int
    quantity: int
    pace: int | None
    left: int

    @property
    def wanted(self) -> int:
        """Lots that this plan asks for: what is left, at most the pace."""
        return self.left if self.pace is None else min(self.left, self.pace)


def read_terms(goal: Goal) -> Terms:
    """The terms of a routing goal. Raises BadInput, naming the term that does not fit."""
    terms = goal.terms
    if goal.domain != DOMAIN or len(goal.remaining) != 1:
        raise BadInput(
            "this is no goal of domain 'routing'",
            "build goals with Routing.goal, buy or sell",
            field="goal.domain",
            value=goal.domain,
        )
    side = _side(terms.get("side"), "")
    instrument = terms.get("instrument")
    scale = terms.get("price_scale")
    if not isinstance(scale, int) or isinstance(scale, bool) or scale < 1:
        raise _misfit("price_scale", scale, "a positive whole number")
    return Terms(
        side=side,
        instrument=instrument if isinstance(instrument, str) else None,
        lot=_positive(terms.get("lot"), "lot", ""),
        price_scale=scale,
        limit=_count(terms, "limit_price"),
        minimum=_count(terms, "minimum_lots") or 0,
        quantity=_count(terms, "quantity_lots") or 0,
        pace=_count(terms, "pace_lots"),
        left=int(goal.remaining[0]),
    )


def parse_goal(config: PartyConfig, file: str = "") -> Goal:
    """The goal of a scenario's `[domain.goal]`.

    side: buy or sell. quantity: in base currency, a whole number of lots. lot: default 0.00001.
    limit_price: worst all-in price, on the grid of price units. minimum: fewest that a plan may
    act on. pace: at most this much a plan. deadline: nanoseconds. price_scale: price units to one
    unit of the quote currency, default 10000. Raises BadInput, naming file, field and value.
    """
    for key in config:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1)
            advice = f"did you mean '{near[0]}'?" if near else f"use only {', '.join(KEYS)}"
            raise BadInput(
                "a goal has no such field", advice, file=file, field=key, value=str(config[key])
            )
    lot = _positive(config.get("lot", DEFAULT_LOT), "lot", file)
    scale = _scale(config.get("price_scale", PRICE_SCALE), file)
    quantity = _lots(config, "quantity", lot, file)
    if quantity is None:
        raise _misfit("quantity", None, 'a decimal like "100"', file)
    minimum = _lots(config, "minimum", lot, file)
    pace = _lots(config, "pace", lot, file)
    for name, amount, most in (
        ("minimum", minimum, quantity),
        ("pace", pace, SAFE_INTEGER),
        ("minimum", minimum, quantity if pace is None else pace),
    ):
        if amount is not None and amount > most:
            raise _misfit(name, config[name], "no more than the quantity and the pace", file)
    terms: dict[str, Scalar] = {
        "side": _side(config.get("side"), file),
        "instrument": _instrument(config.get("instrument"), file),
        "lot": str(config.get("lot", DEFAULT_LOT)),
        "price_scale": scale,
        "limit_price": _limit(config.get("limit_price"), scale, quantity, file),
        "minimum_lots": None if minimum is None else str(minimum),
        "quantity_lots": str(quantity),
        "pace_lots": None if pace is None else str(pace),
        "deadline": _deadline(config.get("deadline"), file),
    }
    return Goal(domain=DOMAIN, remaining=(str(quantity),), terms={**terms})


def _misfit(field: str, value: object, wanted: str, file: str = "") -> BadInput:
    return BadInput(
        f"{field} does not fit", f"give {wanted}", file=file, field=field, value=str(value)
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


def _scale(value: object, file: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**12:
        return value
    raise _misfit("price_scale", value, "a whole number from 1 to 10^12", file)


def _positive(value: object, field: str, file: str) -> Fraction:
    amount = parse_decimal(value, field, file)
    if amount <= 0:
        raise _misfit(field, value, "a decimal above 0", file)
    return amount


def _lots(config: PartyConfig, field: str, lot: Fraction, file: str) -> int | None:
    """Whole lots of an amount, or None where it is not given."""
    value = config.get(field)
    if value is None:
        return None
    lots = _positive(value, field, file) / lot
    if lots.denominator != 1:
        raise BadInput(
            f"tick or lot violation: {field} is no whole number of lots",
            f"round it to a multiple of {config.get('lot', DEFAULT_LOT)}",
            file=file,
            field=field,
            value=str(value),
        )
    if lots > SAFE_INTEGER:
        raise _misfit(field, value, "fewer than 2^53 lots", file)
    return int(lots)


def _limit(value: object, scale: int, quantity: int, file: str) -> str | None:
    """A limit in price units, or None where it is not given."""
    if value is None:
        return None
    units = _positive(value, "limit_price", file) * scale
    if units.denominator != 1:
        raise BadInput(
            "tick or lot violation: limit_price is off the price grid",
            f"round it to a multiple of 1/{scale}",
            file=file,
            field="limit_price",
            value=str(value),
        )
    if units * quantity >= 2**63:
        raise _misfit("limit_price", value, "a limit whose total value stays below 2^63", file)
    return str(int(units))


def _deadline(value: object, file: str) -> str | None:
    if value is None:
        return None
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 19:
        raise _misfit("deadline", value, "nanoseconds since 1970 as a whole number", file)
    return str(int(text))


def _count(terms: Mapping[str, object], field: str) -> int | None:
    value = terms.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise _misfit(field, value, "a whole number as a string")
    return int(value)
