"""Exact decimals of one spelling each: no exponent, no idle zeros, no minus zero."""

from fractions import Fraction
from re import compile as pattern

INTEGER = pattern(r"0|-?[1-9][0-9]*")
PLAIN = pattern(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")
LOOSE = pattern(r"-?[0-9]+(?:\.[0-9]+)?")
LONGEST = 512


def is_finite(value: Fraction) -> bool:
    """Whether a fraction ends as a decimal: its denominator has no primes but 2 and 5."""
    return _places(value) is not None


def written(value: Fraction) -> str | None:
    """The one decimal of a fraction, or None where it does not end."""
    places = _places(value)
    if places is None:
        return None
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def read(text: object) -> Fraction | None:
    """The fraction of a decimal in that one spelling; None for anything else."""
    if not isinstance(text, str) or len(text) > LONGEST or not PLAIN.fullmatch(text):
        return None
    return None if text == "-0" else Fraction(text)


def positive(value: object) -> Fraction | None:
    """A unit that another field states: a positive integer, or a decimal in any plain spelling."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    if len(text) > LONGEST or not LOOSE.fullmatch(text):
        return None
    found = Fraction(text)
    return found if found > 0 else None


def integer(value: object) -> int | None:
    """An integer, as such or as text in its one spelling; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= LONGEST and INTEGER.fullmatch(value):
        return int(value)
    return None


def _places(value: Fraction) -> int | None:
    """Places after the point of a fraction in lowest terms; None where it does not end."""
    rest, places = value.denominator, [0, 0]
    for index, prime in enumerate((2, 5)):
        while rest % prime == 0:
            rest //= prime
            places[index] += 1
    return max(places) if rest == 1 else None
