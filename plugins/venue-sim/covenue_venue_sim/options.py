"""A party's venue configuration, parsed once into frozen options."""

from dataclasses import dataclass
from pathlib import Path

from covenue.hooks.venue_options import VenueOptions
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
FEE_PPM_MAX = 100_000
NUMBER_MAX = 2**40
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
    options = VenueOptions(config, KEYS)
    options.refuse_unknown()
    return Options(
        rules=_rules(options),
        stale_ns=options.silence_ns_if_set(),
        flow=_flow(options),
        journal=options.journal(),
    )


def _rules(options: VenueOptions) -> Rules:
    return Rules(
        maker_ppm=options.integer("maker_ppm", 0, -FEE_PPM_MAX, FEE_PPM_MAX),
        taker_ppm=options.integer("taker_ppm", 0, -FEE_PPM_MAX, FEE_PPM_MAX),
        self_trade=_self_trade(options),
    )


def _self_trade(options: VenueOptions) -> SelfTrade:
    text = options.text("self_trade", Rules.self_trade)
    for known in SELF_TRADE:
        if text == known:
            return known
    advice = f"use {', '.join(SELF_TRADE)}"
    raise options.wrong("no such rule for self-trades", advice, "self_trade", text)


def _flow(options: VenueOptions) -> Flow | None:
    """The flow of a seed; without a seed, no key of a flow means anything."""
    given = options.config
    if given.get("seed") is None:
        for key in FLOW_KEYS[1:]:
            if key in given:
                what, advice = "only a generated flow has this", "set seed as well"
                raise options.wrong(what, advice, key, given[key])
        return None
    return Flow(
        seed=options.integer("seed", 0, 0, NUMBER_MAX),
        walk_seed=options.integer("walk_seed", Flow.walk_seed, 0, NUMBER_MAX),
        start=options.time("start", TIME_MAX),
        seconds=options.integer("seconds", Flow.seconds, 0, 86_400),
        rate=options.integer("rate", Flow.rate, 0, 100_000),
        mid_ticks=options.integer("mid_ticks", Flow.mid_ticks, 1, NUMBER_MAX),
        spread_ticks=options.integer("spread_ticks", Flow.spread_ticks, 1, 1_000_000),
        levels=options.integer("levels", Flow.levels, 1, 10_000),
        size_steps=options.integer("size_steps", Flow.size_steps, 1, 10**9),
        walk_ticks=options.integer("walk_ticks", Flow.walk_ticks, 0, 1_000_000),
    )
