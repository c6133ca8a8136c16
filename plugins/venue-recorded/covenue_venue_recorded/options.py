"""A party's venue configuration, parsed once into frozen options."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from covenue.hooks.venue_options import VenueOptions
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
STALE_MS = 10_000
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
    options = VenueOptions(config, KEYS)
    options.refuse_unknown()
    dialect = _dialect(options)
    return Options(
        dialect=dialect,
        instrument=_instrument(options, dialect),
        stale_ns=options.silence_ns(STALE_MS),
        capture=folder / _file_name(options),
        journal=options.journal(),
        gaps=_gaps(options),
    )


def _dialect(options: VenueOptions) -> Dialect:
    name = options.text("dialect", "")
    if name not in DIALECTS:
        raise options.wrong("no such dialect", f"use one of {', '.join(DIALECTS)}", "dialect", name)
    return DIALECTS[name]


def _instrument(options: VenueOptions, dialect: Dialect) -> Instrument:
    for key, default in (("tick", dialect.tick), ("step", dialect.step)):
        _increment(options, key, default)
    try:
        return dialect.instrument(
            symbol=options.text("symbol", dialect.symbol),
            canonical=options.text("canonical", dialect.canonical),
            tick=options.text("tick", dialect.tick),
            step=options.text("step", dialect.step),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise options.wrong(
            "the instrument is not well formed",
            "write names in lower case and increments as plain decimals",
            str(first["loc"][0]),
            first["input"],
        ) from error


def _increment(options: VenueOptions, key: str, default: str) -> Fraction:
    text = options.text(key, default)
    if not text.isascii() or not text.replace(".", "", 1).isdigit() or Fraction(text) <= 0:
        raise options.wrong(
            "a positive decimal is expected", f'write {key} like "{default}"', key, text
        )
    return Fraction(text)


def _file_name(options: VenueOptions) -> str:
    name = options.text("capture", "capture.gz")
    if name in {"", ".", ".."} or "/" in name or "\\" in name:
        raise options.wrong(
            "a file of the party's own folder is expected",
            "name the capture without a folder",
            "capture",
            name,
        )
    return name


def _gaps(options: VenueOptions) -> Gaps:
    value = options.text("gaps", "refuse")
    if value == "refuse":
        return "refuse"
    if value == "wait":
        return "wait"
    raise options.wrong("no such rule for gaps", "use refuse or wait", "gaps", value)
