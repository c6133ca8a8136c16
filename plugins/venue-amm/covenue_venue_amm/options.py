"""A party's venue configuration, parsed once into frozen options."""

import re
from dataclasses import dataclass
from pathlib import Path

from covenue.hooks.venue_options import VenueOptions
from covenue.hooks.venues import VenueConfig

KEYS = ("venue", "since", "stale_ms", "journal")
NAME = re.compile(r"[a-z][a-z0-9]*([-._][a-z0-9]+)*")
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
    options = VenueOptions(config, KEYS)
    options.refuse_unknown()
    return Options(
        venue=_venue(options),
        since=options.time("since", TIME_MAX),
        stale_ns=options.silence_ns_if_set(),
        journal=options.journal(),
    )


def _venue(options: VenueOptions) -> str:
    name = options.text("venue", "amm")
    if not NAME.fullmatch(name) or len(name) > 64:
        raise options.wrong(
            "the venue's name is not well formed",
            "use at most 64 lower-case letters, digits, and single - . _ between them",
            "venue",
            name,
        )
    return name
