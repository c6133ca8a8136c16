"""A party's venue configuration, parsed once into frozen options."""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from covenue.errors import BadInput
from covenue.hooks.venues import VenueConfig
from covenue_contracts.energibridge import Instrument
from covenue_venue_recorded.dialects import DIALECTS, Dialect

KEYS = (
    "dialect",
    "capture",
    "symbol",
    "canonical",
    "tick",
    "step",
    "stale_ms",
    "gaps",
    "journal",
)
STALE_MS_MAX = 86_400_000
Gaps = Literal["refuse", "wait"]


@dataclass(frozen=True)
class Options:
    """What a recorded venue is told.

    stale_ns: silence that makes the book unusable.
    gaps: `refuse` a gapped capture when it is opened, or `wait` for the next snapshot in it.
    """

    dialect: Dialect
    instrument: Instrument
    stale_ns: int
    capture: Path
    journal: Path | None
    gaps: Gaps


def parse_options(config: VenueConfig, folder: Path) -> Options:
    """Options from a party's table. Raises BadInput; its field is `venue_config.<key>`."""
    for key in config:
        if key not in KEYS:
            raise _wrong(
                "the venue knows no such key", f"use only {', '.join(KEYS)}", key, config[key]
            )
    dialect = _dialect(config)
    journal = _text(config, "journal", "")
    return Options(
        dialect=dialect,
        instrument=_instrument(config, dialect),
        stale_ns=_stale_ms(config) * 1_000_000,
        capture=folder / _file_name(config),
        journal=Path(journal) if journal else None,
        gaps=_gaps(config),
    )


def _dialect(config: VenueConfig) -> Dialect:
    name = _text(config, "dialect", "")
    if name not in DIALECTS:
        raise _wrong("no such dialect", f"use one of {', '.join(DIALECTS)}", "dialect", name)
    return DIALECTS[name]


def _instrument(config: VenueConfig, dialect: Dialect) -> Instrument:
    for key, default in (("tick", dialect.tick), ("step", dialect.step)):
        _increment(config, key, default)
    try:
        return dialect.instrument(
            symbol=_text(config, "symbol", dialect.symbol),
            canonical=_text(config, "canonical", dialect.canonical),
            tick=_text(config, "tick", dialect.tick),
            step=_text(config, "step", dialect.step),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise _wrong(
            "the instrument is not well formed",
            "write names in lower case and increments as plain decimals",
            str(first["loc"][0]),
            first["input"],
        ) from error


def _text(config: VenueConfig, key: str, default: str) -> str:
    value = config.get(key, default)
    if not isinstance(value, str):
        raise _wrong("text is expected", f"quote the value of {key}", key, value)
    return value


def _increment(config: VenueConfig, key: str, default: str) -> Fraction:
    text = _text(config, key, default)
    if not text.isascii() or not text.replace(".", "", 1).isdigit() or Fraction(text) <= 0:
        raise _wrong("a positive decimal is expected", f'write {key} like "{default}"', key, text)
    return Fraction(text)


def _stale_ms(config: VenueConfig) -> int:
    value = config.get("stale_ms", 10_000)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= STALE_MS_MAX:
        raise _wrong(
            "a positive number of milliseconds is expected",
            f"use 1 to {STALE_MS_MAX}",
            "stale_ms",
            value,
        )
    return value


def _file_name(config: VenueConfig) -> str:
    name = _text(config, "capture", "capture.gz")
    if name in {"", ".", ".."} or "/" in name or "\\" in name:
        raise _wrong(
            "a file of the party's own folder is expected",
            "name the capture without a folder",
            "capture",
            name,
        )
    return name


def _gaps(config: VenueConfig) -> Gaps:
    value = _text(config, "gaps", "refuse")
    if value == "refuse":
        return "refuse"
    if value == "wait":
        return "wait"
    raise _wrong("no such rule for gaps", "use refuse or wait", "gaps", value)


def _wrong(what: str, advice: str, key: str, value: object) -> BadInput:
    """An error at a key of the party's table, with the value as TOML writes it."""
    text = value if isinstance(value, str) else _toml(value)
    return BadInput(what, advice, field=f"venue_config.{key}", value=text[:200])


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value) if isinstance(value, str) else str(value)
