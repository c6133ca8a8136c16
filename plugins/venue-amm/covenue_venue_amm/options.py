"""A party's venue configuration, parsed once into frozen options."""

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from covenue.errors import BadInput
from covenue.hooks.venues import VenueConfig

KEYS = ("venue", "since", "stale_ms", "journal")
STALE_MS_MAX = 86_400_000
NAME = re.compile(r"[a-z][a-z0-9]*([-._][a-z0-9]+)*")
TIME = re.compile(r"0|[1-9][0-9]{0,18}")
TIME_MAX = 2**63 - 1


@dataclass(frozen=True)
class Options:
    """What a pool venue is told.

    since: the instant at which the reserves of the pool table hold; before it, nothing is known.
    stale_ns: silence that makes the pools unusable, or None: pools do not age by themselves.
    """

    venue: str
    since: int
    stale_ns: int | None
    journal: Path | None


def parse_options(config: VenueConfig) -> Options:
    """Options from a party's table. Raises BadInput; its field is `venue_config.<key>`."""
    for key in config:
        if key not in KEYS:
            raise _wrong("the venue knows no such key", _instead(key), key, config[key])
    journal = _text(config, "journal", "")
    return Options(
        venue=_venue(config),
        since=_since(config),
        stale_ns=_stale_ns(config),
        journal=Path(journal) if journal else None,
    )


def _instead(key: str) -> str:
    close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.5)
    asked = f"did you mean {close[0]}? " if close else ""
    return f"{asked}use only {', '.join(KEYS)}"


def _venue(config: VenueConfig) -> str:
    name = _text(config, "venue", "amm")
    if not NAME.fullmatch(name) or len(name) > 64:
        raise _wrong(
            "the venue's name is not well formed",
            "use at most 64 lower-case letters, digits, and single - . _ between them",
            "venue",
            name,
        )
    return name


def _since(config: VenueConfig) -> int:
    text = _text(config, "since", "0")
    if not TIME.fullmatch(text) or int(text) > TIME_MAX:
        raise _wrong(
            "a time in nanoseconds is expected",
            'write it as text, like "1700000000000000000"',
            "since",
            text,
        )
    return int(text)


def _stale_ns(config: VenueConfig) -> int | None:
    value = config.get("stale_ms")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= STALE_MS_MAX:
        raise _wrong(
            "a positive number of milliseconds is expected",
            f"use 1 to {STALE_MS_MAX}, or leave it out",
            "stale_ms",
            value,
        )
    return value * 1_000_000


def _text(config: VenueConfig, key: str, default: str) -> str:
    value = config.get(key, default)
    if not isinstance(value, str):
        raise _wrong("text is expected", f"quote the value of {key}", key, value)
    return value


def _wrong(what: str, advice: str, key: str, value: object) -> BadInput:
    """An error at a key of the party's table, with the value as JSON writes it."""
    text = value if isinstance(value, str) else json.dumps(value)
    return BadInput(what, advice, field=f"venue_config.{key}", value=text[:200])
