"""Decimal strings as whole multiples of an increment: exact, refused when off the grid."""

import re
from fractions import Fraction

INT64_MAX = 2**63 - 1
DECIMAL = re.compile(r"(0|[1-9][0-9]{0,20})(?:\.([0-9]{1,18}))?", re.ASCII)


class OffGrid(ValueError):
    """A decimal string is no whole multiple of the increment; `text` is what was read."""

    def __init__(self, text: str, why: str) -> None:
        """Keep the text and the rule that it breaks."""
        super().__init__(f"{text!r} {why}")
        self.text = text
        self.why = why


class DecimalGrid(dict[str, int]):
    """Maps decimal strings to multiples of `increment`; each distinct string is parsed once.

    No float is involved, and nothing is rounded. Raises OffGrid for text that is no plain decimal,
    lies between two multiples, is below `least` multiples or beyond int64.
    """

    def __init__(self, increment: Fraction, least: int) -> None:
        super().__init__()
        self._increment = increment
        self._least = least

    def __missing__(self, text: str) -> int:
        """Parse a string that has not been met before."""
        found = DECIMAL.fullmatch(text)
        if found is None:
            raise OffGrid(text, "is no plain decimal number")
        whole, part = found[1], found[2] or ""
        scaled = int(whole + part) * self._increment.denominator
        unit: int = self._increment.numerator * 10 ** len(part)
        multiples = scaled // unit
        if multiples * unit != scaled:
            raise OffGrid(text, f"is no multiple of {_plain(self._increment)}")
        if not self._least <= multiples <= INT64_MAX:
            raise OffGrid(text, "is out of range")
        self[text] = multiples
        return multiples


def _plain(increment: Fraction) -> str:
    """An increment as people write it."""
    return f"{increment.numerator}/{increment.denominator}" if increment < 1 else str(increment)
