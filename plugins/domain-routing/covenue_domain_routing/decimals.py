"""Exact decimals: text, integers and table cells become fractions, never by way of binary."""

from fractions import Fraction
from re import compile as pattern

from covenue.errors import BadInput

PLAIN = pattern(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
LONGEST = 64


def parse_decimal(value: object, field: str, file: str = "") -> Fraction:
    """An exact value of a plain decimal (no exponent). Raises BadInput, naming field and value."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    text = str(value) if whole or isinstance(value, str) else ""
    if len(text) > LONGEST or not PLAIN.fullmatch(text):
        raise BadInput(
            f"{field} is no plain decimal",
            'write it as digits with at most one point, like "62000.5"',
            file=file,
            field=field,
            value=str(value)[:LONGEST],
        )
    return Fraction(text)
