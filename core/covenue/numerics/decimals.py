"""Exact decimals: text, integers and table cells become fractions, never by way of binary."""

import json
from fractions import Fraction
from re import compile as pattern

from covenue.errors import BadInput

PLAIN = pattern(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
LONGEST = 64
FINEST = 18


def parse_decimal(value: object, field: str, file: str = "") -> Fraction:
    """An exact value of a plain decimal (no exponent). Raises BadInput, naming field and value."""
    if isinstance(value, float):
        raise BadInput(
            f"{field} is a float, which holds no exact decimal",
            'a float; write it in quotes, like "62000.5"',
            file=file,
            field=field,
            value=repr(value),
        )
    whole = isinstance(value, int) and not isinstance(value, bool)
    text = str(value) if whole or isinstance(value, str) else ""
    if len(text) > LONGEST or not PLAIN.fullmatch(text):
        raise BadInput(
            f"{field} is no plain decimal",
            'write it as digits with at most one point, like "62000.5"',
            file=file,
            field=field,
            value=as_toml(value)[:LONGEST],
        )
    return Fraction(text)


def plain(value: Fraction) -> str:
    """A decimal of at most 18 places as a contract writes it: no exponent, no idle zeros.

    Raises ValueError for a value that is no such decimal.
    """
    scaled = value * 10**FINEST
    if scaled.denominator != 1:
        message = f"no decimal of {FINEST} places"
        raise ValueError(message)
    sign = "-" if scaled < 0 else ""
    digits = str(abs(int(scaled))).rjust(FINEST + 1, "0")
    return f"{sign}{digits[:-FINEST]}.{digits[-FINEST:]}".rstrip("0").rstrip(".")


def as_toml(value: object) -> str:
    """A value as an error shows it: as a scenario would write it, text without quotes."""
    if isinstance(value, str):
        return value
    return "missing" if value is None else _toml(value)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value) if isinstance(value, str) else str(value)
