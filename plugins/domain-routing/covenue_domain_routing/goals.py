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
from covenue.numerics.decimals import FINEST, as_toml, parse_decimal
from covenue_contracts.contract import SAFE_INTEGER, Scalar
from covenue_contracts.plan import Goal

DOMAIN = "routing"
PRICE_SCALE = 10_000
DEFAULT_LOT = "0.00001"
HIGHEST_PRICE = 2**40 - 1
LARGEST_LOT = 10**21
KEYS = (
    "side",
    "instrument",
    "quantity",
    "lot",
    "limit_price",
    "minimum",
    "pace",
    "price_scale",
    "mode",
)
ROOM = "domain.goal."
MODES = ("standing", "executed")
Side = Literal["buy", "sell"]


@dataclass(frozen=True)
class Terms:
    """The public terms of an order, read back from a goal.

    left: lots that this plan and later ones still have to do. quantity, minimum, pace: lots.
    limit: price units, or None. minimum: fewest lots of a plan (the last one may be smaller).
    whole_steps: leave out levels at which the plan's quantity fills no native order; for orders
    that are executed, as such a level could win every plan and never fill.
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
    whole_steps: bool = False

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
        raise broken("price_scale", scale, "a positive whole number")
    whole_steps = terms.get("whole_steps", False)
    if not isinstance(whole_steps, bool):
        raise broken("whole_steps", whole_steps, "true or false")
    return Terms(
        side=side,
        instrument=instrument if isinstance(instrument, str) else None,
        lot=read_lot(terms.get("lot"), ""),
        price_scale=scale,
        limit=_count(terms, "limit_price"),
        minimum=_count(terms, "minimum_lots") or 0,
        quantity=_count(terms, "quantity_lots") or 0,
        pace=_count(terms, "pace_lots"),
        left=int(goal.remaining[0]),
        whole_steps=whole_steps,
    )


def parse_goal(config: PartyConfig, file: str = "") -> Goal:
    """The goal of a scenario's `[domain.goal]`.

    side: buy or sell. quantity: in base currency, a whole number of lots. lot: default 0.00001.
    limit_price: worst all-in price, on the grid of price units. minimum: fewest that a plan may
    act on. pace: at most this much a plan. price_scale: price units to one unit of the quote
    currency, default 10000. mode: the order's, standing (default) or executed. Raises BadInput,
    naming file, field (`domain.goal.<key>`) and value.
    """
    for key in config:
        if key not in KEYS:
            raise BadInput(
                "a goal has no such field",
                _advice(key),
                file=file,
                field=f"{ROOM}{key}",
                value=as_toml(config[key]),
            )
    lot = read_lot(config.get("lot", DEFAULT_LOT), file)
    scale = read_scale(config.get("price_scale", PRICE_SCALE), file)
    quantity = _lots(config, "quantity", lot, file)
    if quantity is None:
        raise misfit("quantity", None, 'a decimal like "100"', file)
    minimum = _lots(config, "minimum", lot, file)
    pace = _lots(config, "pace", lot, file)
    for name, amount, most in (
        ("minimum", minimum, quantity),
        ("pace", pace, SAFE_INTEGER),
        ("minimum", minimum, quantity if pace is None else pace),
    ):
        if amount is not None and amount > most:
            raise misfit(name, config[name], "no more than the quantity and the pace", file)
    terms: dict[str, Scalar] = {
        "side": _side(config.get("side"), file),
        "instrument": _instrument(config.get("instrument"), file),
        "lot": str(config.get("lot", DEFAULT_LOT)),
        "price_scale": scale,
        "limit_price": _limit(config.get("limit_price"), scale, file),
        "minimum_lots": None if minimum is None else str(minimum),
        "quantity_lots": str(quantity),
        "pace_lots": None if pace is None else str(pace),
        "whole_steps": read_mode(config.get("mode", MODES[0]), file) == "executed",
    }
    return Goal(domain=DOMAIN, aim="fill", remaining=(str(quantity),), terms={**terms})


def _advice(key: str) -> str:
    """What to do about a key that a goal does not have."""
    if key == "deadline":
        return "an order ends at `until` of its [[order]]; write the deadline there"
    near = get_close_matches(key, KEYS, n=1)
    return f"did you mean '{near[0]}'?" if near else f"use only {', '.join(KEYS)}"


def misfit(field: str, value: object, wanted: str, file: str = "") -> BadInput:
    """A field of a scenario's table that does not fit."""
    return BadInput(
        f"{field} does not fit",
        f"give {wanted}",
        file=file,
        field=f"{ROOM}{field}",
        value=as_toml(value),
    )


def broken(term: str, value: object, wanted: str) -> BadInput:
    """A term that no parsed goal has."""
    return BadInput(
        f"the goal's term {term} does not fit",
        f"build goals with Routing.goal, buy or sell: {wanted} is expected",
        field=f"goal.terms.{term}",
        value=as_toml(value),
    )


def _side(value: object, file: str) -> Side:
    if value == "buy":
        return "buy"
    if value == "sell":
        return "sell"
    raise misfit("side", value, '"buy" or "sell"', file)


def _instrument(value: object, file: str) -> str | None:
    if value is None or (isinstance(value, str) and value and len(value) <= 64):
        return value
    raise misfit("instrument", value, 'a canonical name like "btc"', file)


def read_scale(value: object, file: str) -> int:
    """Price units to one unit of the quote currency. Raises BadInput."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**12:
        return value
    raise misfit("price_scale", value, "a whole number from 1 to 10^12", file)


def read_mode(value: object, file: str) -> str:
    """The order's mode. Raises BadInput."""
    if isinstance(value, str) and value in MODES:
        return value
    raise misfit("mode", value, '"standing" or "executed"', file)


def read_lot(value: object, file: str) -> Fraction:
    """A lot that `actions/v1` can carry as its unit."""
    lot = _positive(value, "lot", file)
    if (lot * 10**FINEST).denominator != 1 or lot >= LARGEST_LOT:
        raise misfit("lot", value, f"at most {FINEST} decimal places, and less than 10^21", file)
    return lot


def _positive(value: object, field: str, file: str) -> Fraction:
    amount = parse_decimal(value, f"{ROOM}{field}", file)
    if amount <= 0:
        raise misfit(field, value, "a decimal above 0", file)
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
            field=f"{ROOM}{field}",
            value=as_toml(value),
        )
    if lots > SAFE_INTEGER:
        raise misfit(field, value, "fewer than 2^53 lots", file)
    return int(lots)


def _limit(value: object, scale: int, file: str) -> str | None:
    """A limit in price units, or None where it is not given."""
    if value is None:
        return None
    units = _positive(value, "limit_price", file) * scale
    if units.denominator != 1:
        raise BadInput(
            "tick or lot violation: limit_price is off the price grid",
            f"round it to a multiple of 1/{scale}",
            file=file,
            field=f"{ROOM}limit_price",
            value=as_toml(value),
        )
    if units > HIGHEST_PRICE:
        raise misfit("limit_price", value, f"at most {HIGHEST_PRICE} price units", file)
    return str(int(units))


def _count(terms: Mapping[str, object], field: str) -> int | None:
    value = terms.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise broken(field, value, "a whole number as text")
    return int(value)
