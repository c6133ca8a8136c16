"""What an arbitrage order allows: assets, public references, bounds on what may be taken.

Amounts are words: fixed point at `scale_bits`, in units of each asset. References and multipliers
lie on the grid 2^-40; values count 2^-value_bits of the unit that the references are quoted in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from re import compile as pattern

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput
from covenue.numerics.decimals import as_toml, parse_decimal
from covenue_contracts.contract import Scalar
from covenue_contracts.plan import Goal

DOMAIN = "arbitrage"
MULTIPLIER_BITS = 40
GRID = Fraction(1 << MULTIPLIER_BITS)
FINEST_REFERENCE = 2**16
GREATEST_REFERENCE = 2**60
GREATEST_BOUND = 2**62
ASSETS_MOST = 1000
"""As many as the questions and the solution of a plan hold (hooks.solvers.QUERY_BYTES_MAX).

What an order, its parties and a settlement come to is known to the kernel alone: it refuses an
order whose entries would be too large. 200 assets of any name fit beside 64 parties.
"""
NAME_MOST = 64
DIGITS_EXACT = 18
INT64_MOST = 2**63 - 1
DEFAULTS: Mapping[str, Scalar] = {
    "most": None,
    "scale_bits": 26,
    "value_bits": 26,
    "slope_bits": 20,
    "band": 128,
    "margin": None,
    "floor": "1",
    "jumps": False,
    "owed": None,
    "widths": None,
}
KEYS = ("assets", "references", *DEFAULTS, "mode")
ROOM = "domain.goal."
MODES = ("standing", "executed")
ROUNDING_WORDS = 4096
WIDTHS = (2**30, 2**24, 2**18, 2**13)
"""Relative widths 2^-10 … 2^-27 over which offers at one price are spread, for order books."""
WIDTH_BITS_MOST = 27
UNLIMITED = "unlimited"
ASSET = pattern(r"[a-z][a-z0-9]*([-._][a-z0-9]+)*")

WHOLE = pattern(r"0|-?[1-9][0-9]{0,38}")

Value = Scalar | tuple[Scalar, ...]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Terms:
    """The public terms of an order, read back from a goal; one item an asset where plural.

    references: on the grid 2^-40. most: words of each asset that the whole order may take.
    remaining: words that this plan may still take. least: words that it has to bring back, because
    earlier legs were done in part; below 0 where it may give what was taken for that, or may
    owe: `owed` words in the end. margin: words that cover rounding. floor: value words that gaps
    are relative to at least. band: how far multipliers may move from the references, as a factor.
    jumps: whether a party's answer jumps at a price (order books), so that it is
    spread over `widths`, in 2^-40.
    """

    assets: tuple[str, ...]
    references: tuple[int, ...]
    most: tuple[int, ...]
    remaining: tuple[int, ...]
    least: tuple[int, ...]
    margin: tuple[int, ...]
    floor: int
    scale_bits: int
    value_bits: int
    slope_bits: int
    band: int
    jumps: bool
    owed: tuple[int, ...]
    widths: tuple[int, ...]

    @cached_property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """(lowest, highest) multiplier of each asset."""
        return tuple(zip(*self.ends, strict=True))

    @cached_property
    def ends(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """All lowest, and all highest multipliers."""
        lowest = tuple(max(1, r // self.band) for r in self.references)
        return lowest, tuple(r * self.band for r in self.references)

    def within_band(self, asked: Sequence[str]) -> Floats | None:
        """Multipliers on their grid, one an asset, as floats; None if one lies outside its band."""
        if max(map(len, asked)) > DIGITS_EXACT:
            grid = list(map(int, asked))
            inside = all(low <= v <= high for v, (low, high) in zip(grid, self.ranges, strict=True))
            return np.array(grid, dtype=np.float64) if inside else None
        whole = np.fromstring(" ".join(asked), dtype=np.int64, sep=" ")
        lowest, highest = self._cut_ends
        inside = bool(((lowest <= whole) & (whole <= highest)).all())
        return whole.astype(np.float64) if inside else None

    @cached_property
    def _cut_ends(self) -> tuple[Integers, Integers]:
        """The same, cut to what int64 holds: more than DIGITS_EXACT digits can say."""
        lowest, highest = ([min(end, INT64_MOST) for end in ends] for ends in self.ends)
        return np.array(lowest, dtype=np.int64), np.array(highest, dtype=np.int64)


def parse_goal(config: Mapping[str, Value], file: str = "") -> Goal:
    """The goal of a scenario's `[domain.goal]`.

    assets: names. references: their public values, decimals in one unit of account. most: how
    much of each asset the order may take, one decimal for all or one each; without it, as much as
    the words hold. scale_bits, value_bits, slope_bits: fixed-point scales. band: factor by which
    multipliers may leave the references. margin: amounts that cover rounding, for native lots.
    floor: value that gaps are relative to at least, default 1. jumps: true when a party holds an
    order book. owed: how much of each asset may be owed in the end, default nothing. widths: b_1 <
    b_2 < ... in place of the widths 2^-b over which jumps are spread. mode: the order's. An amount
    in `most` and `owed` may be "unlimited". Raises BadInput, naming file, field and value.
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
    given = {**DEFAULTS, **config}
    assets = _assets(given.get("assets"), file)
    references = _references(given.get("references"), assets, file)
    bits = {name: _bits(name, given[name], file) for name in ("scale_bits", "value_bits")}
    bits["slope_bits"] = _bits("slope_bits", given["slope_bits"], file)
    if given.get("mode", MODES[0]) not in MODES:
        raise _misfit("mode", given["mode"], " or ".join(MODES), file)
    scale = bits["scale_bits"]
    most = _amounts("most", given["most"], assets, scale, GREATEST_BOUND, file)
    margin = _amounts("margin", given["margin"], assets, scale, ROUNDING_WORDS, file)
    owed = _amounts("owed", given["owed"], assets, scale, 0, file)
    terms: dict[str, Value] = {
        "assets": assets,
        "references": tuple(str(value) for value in references),
        "most": tuple(str(amount) for amount in most),
        "least": tuple(str(-amount) for amount in owed),
        "margin": tuple(str(max(amount, ROUNDING_WORDS)) for amount in margin),
        **bits,
        "floor": str(_floor(given["floor"], bits["value_bits"], file)),
        "band": _band(given["band"], file),
        "jumps": _flag("jumps", given["jumps"], file),
    }
    if any(owed):
        terms["owed"] = tuple(str(amount) for amount in owed)
    if given["widths"] is not None:
        terms["widths"] = _width_bits(given["widths"], file, jumps=bool(terms["jumps"]))
    remaining = tuple(str(amount) for amount in most)
    return Goal(domain=DOMAIN, aim="allow", remaining=remaining, terms=terms)


def read_terms(goal: Goal) -> Terms:
    """The terms of an arbitrage goal. Raises BadInput, naming the term that does not fit."""
    terms = goal.terms
    if goal.domain != DOMAIN:
        raise BadInput(
            "this is no goal of domain 'arbitrage'",
            "build goals with Arbitrage.goal or `against`",
            field="goal.domain",
            value=goal.domain,
        )
    assets = _assets(terms.get("assets"), "")
    read = Terms(
        assets=assets,
        references=_counts(terms, "references", assets, 1),
        most=_counts(terms, "most", assets),
        remaining=tuple(int(amount) for amount in goal.remaining),
        least=_counts(terms, "least", assets, signed=True),
        margin=_counts(terms, "margin", assets),
        scale_bits=_bits("scale_bits", terms.get("scale_bits"), ""),
        value_bits=_bits("value_bits", terms.get("value_bits"), ""),
        slope_bits=_bits("slope_bits", terms.get("slope_bits"), ""),
        floor=_count(terms, "floor"),
        band=_band(terms.get("band"), ""),
        jumps=_flag("jumps", terms.get("jumps"), ""),
        owed=_counts(terms, "owed", assets) if "owed" in terms else (0,) * len(assets),
        widths=_widths(terms),
    )
    if any(not FINEST_REFERENCE <= r <= GREATEST_REFERENCE for r in read.references):
        raise _misfit("references", terms.get("references"), "references from 2^16 to 2^60", "")
    if len(read.remaining) != len(assets):
        raise _misfit("remaining", len(read.remaining), "one amount an asset", "")
    return read


def _assets(value: object, file: str) -> tuple[str, ...]:
    names = tuple(value) if isinstance(value, list | tuple) else ()
    if not names or not all(map(is_asset, names)):
        wanted = f'a list of lower-case names of at most {NAME_MOST} characters, like ["btc"]'
        raise _misfit("assets", value, wanted, file)
    if len(names) > ASSETS_MOST:
        raise _misfit("assets", len(names), f"at most {ASSETS_MOST} names", file)
    twice = [a for a, b in pairwise(sorted(map(str, names))) if a == b]
    if twice:
        raise _misfit("assets", twice[0], "every asset once", file)
    return tuple(str(name) for name in names)


def is_asset(name: object) -> bool:
    """Whether this can name a coordinate."""
    return isinstance(name, str) and len(name) <= NAME_MOST and bool(ASSET.fullmatch(name))


def _references(value: object, assets: Sequence[str], file: str) -> tuple[int, ...]:
    given = tuple(value) if isinstance(value, list | tuple) else ()
    for index, asset in enumerate(assets):
        if index >= len(given):
            raise BadInput(
                f"asset '{asset}' has no reference",
                "give one reference an asset, in the order of `assets`",
                file=file,
                field=f"{ROOM}references",
                value=asset,
            )
    if len(given) > len(assets):
        raise _misfit("references", len(given), f"{len(assets)} decimals, one an asset", file)
    return tuple(_reference(item, asset, file) for item, asset in zip(given, assets, strict=True))


def _reference(value: object, asset: str, file: str) -> int:
    exact = parse_decimal(value, f"{ROOM}references", file)
    grid = round(exact * GRID)
    if not FINEST_REFERENCE <= grid <= GREATEST_REFERENCE:
        wanted = f"a positive decimal from 2^-24 to 2^20 for asset '{asset}'"
        raise _misfit("references", value, wanted, file)
    return grid


def _amounts(  # noqa: PLR0917 -- a field with all that its refusal names
    name: str, value: object, assets: Sequence[str], scale: int, default: int, file: str
) -> tuple[int, ...]:
    """Words of one amount for all assets or one each, rounded down; the default without any."""
    if value is None:
        return (default,) * len(assets)
    each = tuple(value) if isinstance(value, list | tuple) else (value,) * len(assets)
    if len(each) != len(assets):
        raise _misfit(name, value, f"one decimal, or {len(assets)}, one an asset", file)
    found = []
    for item in each:
        if item == UNLIMITED:
            found.append(GREATEST_BOUND)
            continue
        amount = parse_decimal(item, f"{ROOM}{name}", file) * Fraction(2**scale)
        if not 0 <= amount <= GREATEST_BOUND:
            raise _misfit(name, item, f"no less than 0 and within 2^{62 - scale} units", file)
        found.append(int(amount))
    return tuple(found)


def _counts(
    terms: Mapping[str, object],
    name: str,
    assets: Sequence[str],
    least: int = 0,
    *,
    signed: bool = False,
) -> tuple[int, ...]:
    value = terms.get(name)
    items = value if isinstance(value, list | tuple) else ()
    least = -GREATEST_BOUND if signed else least
    whole = all(isinstance(item, str) and WHOLE.fullmatch(item) for item in items)
    if len(items) != len(assets) or not whole:
        raise _misfit(name, value, "one whole number an asset, as text", "")
    if any(not least <= int(item) <= GREATEST_BOUND for item in items):
        raise _misfit(name, value, "one whole number an asset, as text", "")
    return tuple(int(item) for item in items)


def _count(terms: Mapping[str, object], name: str) -> int:
    value = terms.get(name)
    if not isinstance(value, str) or not WHOLE.fullmatch(value) or int(value) < 1:
        raise _misfit(name, value, "a positive whole number, as text", "")
    return int(value)


def _bits(name: str, value: object, file: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 8 <= value <= 48:
        raise _misfit(name, value, "a whole number from 8 to 48", file)
    return value


def _band(value: object, file: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= 2**16:
        raise _misfit("band", value, "a whole number from 2 to 65536", file)
    return value


def _floor(value: object, bits: int, file: str) -> int:
    words = int(parse_decimal(value, f"{ROOM}floor", file) * 2**bits)
    if not 1 <= words <= GREATEST_BOUND:
        raise _misfit("floor", value, "a positive value in the unit of the references", file)
    return words


def _width_bits(value: object, file: str, *, jumps: bool) -> tuple[int, ...]:
    bits = tuple(value) if isinstance(value, list | tuple) else ()
    whole = all(isinstance(b, int) and not isinstance(b, bool) for b in bits)
    if not jumps or not bits or not whole or list(bits) != sorted(set(bits)):
        raise _misfit("widths", value, "whole numbers that rise, with jumps = true", file)
    if not 1 <= bits[0] <= bits[-1] <= WIDTH_BITS_MOST:
        raise _misfit("widths", value, f"whole numbers from 1 to {WIDTH_BITS_MOST}", file)
    return bits


def _widths(terms: Mapping[str, object]) -> tuple[int, ...]:
    """Widths on the grid of the multipliers, widest first; those of order books without any."""
    if "widths" not in terms:
        return WIDTHS
    bits = _width_bits(terms["widths"], "", jumps=terms.get("jumps") is True)
    return tuple(2 ** (MULTIPLIER_BITS - b) for b in bits)


def _flag(name: str, value: object, file: str) -> bool:
    if not isinstance(value, bool):
        raise _misfit(name, value, "true or false", file)
    return value


def _advice(key: str) -> str:
    close = get_close_matches(key, KEYS, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"use only {', '.join(KEYS)}"


def _misfit(name: str, value: object, wanted: str, file: str) -> BadInput:
    return BadInput(
        f"{name} does not fit",
        f"give {wanted}",
        file=file,
        field=f"{ROOM}{name}",
        value=as_toml(value)[:80],
    )
