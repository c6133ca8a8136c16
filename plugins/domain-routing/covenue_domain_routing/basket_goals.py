"""What a basket asks for: several instruments, what each is worth, and one budget for all.

Amounts are whole lots, the same lot for every instrument; values and prices are price units. Spend
counts one lot at one price unit, as the value of any routing plan does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from covenue.errors import BadInput
from covenue.hooks.domains import PartyConfig
from covenue.numerics.decimals import as_toml, parse_decimal
from covenue_contracts.contract import SAFE_INTEGER, Scalar
from covenue_contracts.plan import Goal
from covenue_domain_routing.goals import (
    DEFAULT_LOT,
    DOMAIN,
    PRICE_SCALE,
    ROOM,
    broken,
    misfit,
    read_lot,
    read_mode,
    read_scale,
)

BASKET_KEYS = ("instruments", "quantities", "values", "budget")
SHARED_KEYS = ("side", "lot", "price_scale", "mode")
MOST_INSTRUMENTS = 64
VALUE_BITS = 30
HIGHEST_BASKET_PRICE = 2**33
MOST_SPEND = 2**62
NAME_PARTS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")


@dataclass(frozen=True)
class BasketTerms:
    """The public terms of a basket, read back from a goal; tuples by instrument.

    lot: in base currency. values: price units. quantities, left: lots of the order, and of it what
    this plan and later ones may still take; budget, budget_left: the same of spend.
    """

    instruments: tuple[str, ...]
    lot: Fraction
    price_scale: int
    values: tuple[int, ...]
    quantities: tuple[int, ...]
    budget: int
    left: tuple[int, ...]
    budget_left: int
    whole_steps: bool


def is_basket(terms: Mapping[str, Any]) -> bool:
    """Whether a goal's terms, or a scenario's table, are those of a basket."""
    return any(key in terms for key in BASKET_KEYS)


def parse_basket(config: PartyConfig, file: str = "") -> Goal:
    """The goal of a scenario's `[domain.goal]` with `instruments`.

    instruments: names, each a canonical name or a base currency in lower case. quantities: most of
    each, whole lots. values: what one unit of each is worth, on the grid of price units and less
    than 2^30 of them. budget: most that all may cost, in the quote currency. lot, price_scale and
    mode: as in `goals.parse_goal`. Raises BadInput, naming file, field and value.
    """
    table: Mapping[str, Any] = config
    for key in table:
        if key not in BASKET_KEYS + SHARED_KEYS:
            raise BadInput(
                "a basket has no such field",
                f"use only {', '.join(BASKET_KEYS + SHARED_KEYS)}",
                file=file,
                field=f"{ROOM}{key}",
                value=as_toml(table[key]),
            )
    if table.get("side", "buy") != "buy":
        raise misfit("side", table["side"], '"buy": a budget is spent', file)
    lot = read_lot(table.get("lot", DEFAULT_LOT), file)
    scale = read_scale(table.get("price_scale", PRICE_SCALE), file)
    instruments = _names(table.get("instruments"), file)
    count = len(instruments)
    quantities = tuple(
        _whole(each, "quantities", 1 / lot, SAFE_INTEGER, file)
        for each in _listed(table, "quantities", count, file)
    )
    values = tuple(
        _whole(each, "values", Fraction(scale), 2**VALUE_BITS - 1, file)
        for each in _listed(table, "values", count, file)
    )
    budget = _whole(table.get("budget"), "budget", scale / lot, MOST_SPEND, file)
    terms: dict[str, Scalar | tuple[Scalar, ...]] = {
        "side": "buy",
        "instruments": instruments,
        "lot": str(table.get("lot", DEFAULT_LOT)),
        "price_scale": scale,
        "quantities_lots": tuple(map(str, quantities)),
        "values": tuple(map(str, values)),
        "budget": str(budget),
        "whole_steps": read_mode(table.get("mode", "standing"), file) == "executed",
    }
    remaining = tuple(map(str, (*quantities, budget)))
    return Goal(domain=DOMAIN, aim="allow", remaining=remaining, terms=terms)


def read_basket(goal: Goal) -> BasketTerms:
    """The terms of a basket's goal. Raises BadInput, naming the term that does not fit."""
    terms = goal.terms
    instruments = terms.get("instruments")
    if not isinstance(instruments, tuple) or not instruments:
        raise broken("instruments", instruments, "a list of names")
    names = tuple(str(name) for name in instruments)
    whole_steps = terms.get("whole_steps", False)
    scale = terms.get("price_scale")
    if goal.domain != DOMAIN or len(goal.remaining) != len(names) + 1:
        raise broken("instruments", instruments, "as many as the goal has coordinates, less one")
    if not isinstance(scale, int) or isinstance(scale, bool) or scale < 1:
        raise broken("price_scale", scale, "a positive whole number")
    if not isinstance(whole_steps, bool):
        raise broken("whole_steps", whole_steps, "true or false")
    values = _counts(terms, "values", len(names))
    if not all(0 < value < 2**VALUE_BITS for value in values):
        raise broken("values", terms["values"], f"numbers from 1 to 2^{VALUE_BITS} - 1")
    (budget,) = _counts({"budget": (terms.get("budget"),)}, "budget", 1)
    left = tuple(map(int, goal.remaining))
    return BasketTerms(
        instruments=names,
        lot=read_lot(terms.get("lot"), ""),
        price_scale=scale,
        values=values,
        quantities=_counts(terms, "quantities_lots", len(names)),
        budget=budget,
        left=left[:-1],
        budget_left=left[-1],
        whole_steps=whole_steps,
    )


def _names(value: Any, file: str) -> tuple[str, ...]:
    """Names that a Space can carry, each once."""
    names = tuple(value) if isinstance(value, tuple | list) else ()
    sound = all(isinstance(name, str) and _is_name(name) for name in names)
    if not names or not sound or len(set(names)) < len(names) or "spend" in names:
        raise misfit("instruments", value, 'a list of different names like ["btc", "eth"]', file)
    if len(names) > MOST_INSTRUMENTS:
        raise misfit("instruments", len(names), f"at most {MOST_INSTRUMENTS} of them", file)
    return names


def _is_name(text: str) -> bool:
    parts = text.replace(".", "-").replace("_", "-").split("-")
    return 0 < len(text) <= 64 and set(text) <= NAME_PARTS and text[0].isalpha() and all(parts)


def _listed(table: Mapping[str, Any], field: str, count: int, file: str) -> tuple[Any, ...]:
    value = table.get(field)
    if not isinstance(value, tuple | list) or len(value) != count:
        raise misfit(field, value, f"a list of {count}, one an instrument", file)
    return tuple(value)


def _whole(value: object, field: str, unit: Fraction, most: int, file: str) -> int:
    """A positive decimal as a whole number of units, at most so many."""
    amount = parse_decimal(value, f"{ROOM}{field}", file) * unit
    if amount <= 0:
        raise misfit(field, value, "decimals above 0", file)
    if amount.denominator != 1:
        raise BadInput(
            f"tick or lot violation: {field} is off the grid of lots and price units",
            "round it, or choose another lot or price_scale",
            file=file,
            field=f"{ROOM}{field}",
            value=as_toml(value),
        )
    if amount > most:
        raise misfit(field, value, f"at most {most} units; a smaller price_scale helps", file)
    return int(amount)


def _counts(terms: Mapping[str, Any], field: str, size: int) -> tuple[int, ...]:
    value = terms.get(field)
    listed = value if isinstance(value, tuple) else ()
    texts = all(isinstance(each, str) and each.isascii() and each.isdigit() for each in listed)
    if len(listed) != size or not texts:
        raise broken(field, value, f"{size} whole numbers as text")
    return tuple(map(int, listed))
