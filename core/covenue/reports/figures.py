"""Numbers as text: exact, the same on every machine, and readable.

No logarithm is taken: exponents are read off decimal digits, which no library rounds differently.
"""

import math
import re
from decimal import Decimal

LONGEST_TICK = 16
DECIMAL_TEXT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


def is_decimal(text: str) -> bool:
    """Whether a cell is a plain decimal number, and nothing else."""
    return DECIMAL_TEXT.fullmatch(text) is not None


def decimal_text(value: float) -> str:
    """The shortest decimal text that reads back as `value`, without an exponent."""
    text = format(Decimal(repr(value)), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def shown(value: object) -> str:
    """A figure as a reader sees it: thousands apart, absent values said so."""
    if value is None:
        return "not available"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return grouped(decimal_text(value)) if math.isfinite(value) else "not available"
    return str(value)


def grouped(text: str) -> str:
    """A decimal text with commas between thousands; any other text as it is."""
    if not is_decimal(text):
        return text
    whole, dot, part = text.partition(".")
    return f"{int(whole):,}{dot}{part}" if whole != "-0" else text


def step_near(span: float, parts: int) -> Decimal:
    """The round step (1, 2, 2.5 or 5 times a power of ten) that cuts `span` into about `parts`."""
    raw = Decimal(repr(span)) / parts
    power = Decimal(1).scaleb(raw.adjusted())
    for factor in (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5)):
        if raw <= factor * power:
            return factor * power
    return 10 * power


def ticks(low: float, high: float, parts: int = 5) -> tuple[Decimal, ...]:
    """Round numbers that enclose [low, high], evenly spaced; low and high are finite.

    A range too narrow for float64 to place anything in is widened, as a single value is.
    """
    start, end = Decimal(repr(low)), Decimal(repr(high))
    if end - start <= max(abs(start), abs(end), Decimal("1e-9")) * Decimal("1e-9"):
        room = max(abs(start), abs(end)) / 100 or Decimal(1)
        start, end = start - room, end + room
    step = step_near(float(end - start), parts)
    first = int((start / step).to_integral_value(rounding="ROUND_FLOOR"))
    last = int((end / step).to_integral_value(rounding="ROUND_CEILING"))
    return tuple(step * count for count in range(first, last + 1))


def tick_texts(marks: tuple[Decimal, ...]) -> tuple[str, ...]:
    """Labels of ticks, all with the decimals that their step needs; extreme ones get exponents."""
    step = (marks[1] - marks[0]).normalize()
    places = max(0, -int(step.as_tuple().exponent))
    texts = tuple(f"{mark:,.{places}f}" for mark in marks)
    if max(len(text) for text in texts) <= LONGEST_TICK:
        return texts
    return tuple(f"{mark.normalize():.6g}" for mark in marks)
