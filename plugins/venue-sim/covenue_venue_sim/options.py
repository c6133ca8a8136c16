"""A party's venue configuration, parsed once into frozen options."""

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from covenue.errors import BadInput
from covenue.hooks.venues import VenueConfig
from covenue_venue_sim.engine import SELF_TRADE, Rules, SelfTrade
from covenue_venue_sim.flow import Flow

FLOW_KEYS = (
    "seed",
    "walk_seed",
    "start",
    "seconds",
    "rate",
    "mid_ticks",
    "spread_ticks",
    "levels",
    "size_steps",
    "walk_ticks",
)
KEYS = ("maker_ppm", "taker_ppm", "self_trade", "stale_ms", "journal", *FLOW_KEYS)
STALE_MS_MAX = 86_400_000
FEE_PPM_MAX = 100_000
NUMBER_MAX = 2**40
TIME = re.compile(r"0|[1-9][0-9]{0,18}")
TIME_MAX = 2**62


@dataclass(frozen=True)
class Options:
    """What a simulated venue is told.

    stale_ns: silence that makes the book unusable, or None: the engine's book does not age.
    flow: what everybody else's orders are generated from, or None: they are read from a table.
    """

    rules: Rules
    stale_ns: int | None
    flow: Flow | None
    journal: Path | None


def parse_options(config: VenueConfig) -> Options:
    """Options from a party's table. Raises BadInput; its field is `venue_config.<key>`."""
    for key in config:
        if key not in KEYS:
            raise _wrong("the venue knows no such key", _instead(key), key, config[key])
    journal = _text(config, "journal", "")
    return Options(
        rules=_rules(config),
        stale_ns=_stale_ns(config),
        flow=_flow(config),
        journal=Path(journal) if journal else None,
    )


def _instead(key: str) -> str:
    close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.5)
    asked = f"did you mean {close[0]}? " if close else ""
    return f"{asked}use only {', '.join(KEYS)}"


def _rules(config: VenueConfig) -> Rules:
    return Rules(
        maker_ppm=_integer(config, "maker_ppm", 0, -FEE_PPM_MAX, FEE_PPM_MAX),
        taker_ppm=_integer(config, "taker_ppm", 0, -FEE_PPM_MAX, FEE_PPM_MAX),
        self_trade=_self_trade(config),
    )


def _self_trade(config: VenueConfig) -> SelfTrade:
    text = _text(config, "self_trade", Rules.self_trade)
    for known in SELF_TRADE:
        if text == known:
            return known
    raise _wrong("no such rule for self-trades", f"use {_listed()}", "self_trade", text)


def _listed() -> str:
    return ", ".join(SELF_TRADE)


def _stale_ns(config: VenueConfig) -> int | None:
    if config.get("stale_ms") is None:
        return None
    return _integer(config, "stale_ms", 1, 1, STALE_MS_MAX) * 1_000_000


def _flow(config: VenueConfig) -> Flow | None:
    """The flow of a seed; without a seed, no key of a flow means anything."""
    if config.get("seed") is None:
        for key in FLOW_KEYS[1:]:
            if key in config:
                raise _wrong("only a generated flow has this", "set seed as well", key, config[key])
        return None
    return Flow(
        seed=_integer(config, "seed", 0, 0, NUMBER_MAX),
        walk_seed=_integer(config, "walk_seed", Flow.walk_seed, 0, NUMBER_MAX),
        start=_time(config, "start"),
        seconds=_integer(config, "seconds", Flow.seconds, 0, 86_400),
        rate=_integer(config, "rate", Flow.rate, 0, 100_000),
        mid_ticks=_integer(config, "mid_ticks", Flow.mid_ticks, 1, NUMBER_MAX),
        spread_ticks=_integer(config, "spread_ticks", Flow.spread_ticks, 1, 1_000_000),
        levels=_integer(config, "levels", Flow.levels, 1, 10_000),
        size_steps=_integer(config, "size_steps", Flow.size_steps, 1, 10**9),
        walk_ticks=_integer(config, "walk_ticks", Flow.walk_ticks, 0, 1_000_000),
    )


def _time(config: VenueConfig, key: str) -> int:
    text = _text(config, key, "0")
    if not TIME.fullmatch(text) or int(text) > TIME_MAX:
        raise _wrong(
            "a time in nanoseconds is expected",
            'write it as text, like "1700000000000000000"',
            key,
            text,
        )
    return int(text)


def _integer(config: VenueConfig, key: str, default: int, least: int, most: int) -> int:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _wrong("a whole number is expected", f"use {least} to {most}", key, value)
    return value


def _text(config: VenueConfig, key: str, default: str) -> str:
    value = config.get(key, default)
    if not isinstance(value, str):
        raise _wrong("text is expected", f"quote the value of {key}", key, value)
    return value


def _wrong(what: str, advice: str, key: str, value: object) -> BadInput:
    """An error at a key of the party's table, with the value as JSON writes it."""
    text = value if isinstance(value, str) else json.dumps(value)
    return BadInput(what, advice, field=f"venue_config.{key}", value=text[:200])
