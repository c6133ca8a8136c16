"""A party's venue configuration, read key by key; each error names the key and its value."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeGuard

from covenue.errors import BadInput
from covenue.hooks.venues import VenueConfig
from covenue.numerics.decimals import as_toml

JOURNAL = "journal"
SILENCE = "stale_ms"
SILENCE_MS_MAX = 86_400_000
TIME = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class VenueOptions:
    """The table of one venue. keys: all that this sort of venue knows.

    Every reader raises BadInput; its field is `venue_config.<key>`.
    """

    config: VenueConfig
    keys: tuple[str, ...]

    def refuse_unknown(self) -> None:
        """Raise BadInput for a key that the venue does not know, with the nearest that it does."""
        for key in self.config:
            if key not in self.keys:
                close = get_close_matches(key, self.keys, n=1, cutoff=0.5)
                asked = f"did you mean {close[0]}? " if close else ""
                only = f"{asked}use only {', '.join(self.keys)}"
                raise self.wrong("the venue knows no such key", only, key, self.config[key])

    def text(self, key: str, default: str) -> str:
        """A text."""
        value = self.config.get(key, default)
        if not isinstance(value, str):
            raise self.wrong("text is expected", f"quote the value of {key}", key, value)
        return value

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        value = self.config.get(key, default)
        if not _is_whole(value, least, most):
            raise self.wrong("a whole number is expected", f"use {least} to {most}", key, value)
        return value

    def time(self, key: str, most: int) -> int:
        """A time in nanoseconds, which is written as text; absent, it is 0."""
        text = self.text(key, "0")
        if not TIME.fullmatch(text) or int(text) > most:
            raise self.wrong(
                "a time in nanoseconds is expected",
                'write it as text, like "1700000000000000000"',
                key,
                text,
            )
        return int(text)

    def silence_ns(self, default_ms: int) -> int:
        """How long nothing may arrive before a state is unusable, ns."""
        value = self.config.get(SILENCE, default_ms)
        if not _is_whole(value, 1, SILENCE_MS_MAX):
            raise self.wrong(
                "a positive number of milliseconds is expected",
                f"use 1 to {SILENCE_MS_MAX}, or leave it out",
                SILENCE,
                value,
            )
        return value * 1_000_000

    def silence_ns_if_set(self) -> int | None:
        """The same for a state that does not age by itself: None where it is not set."""
        return None if self.config.get(SILENCE) is None else self.silence_ns(1)

    def journal(self) -> Path | None:
        """Where the venue keeps its orders; None: in memory only."""
        path = self.text(JOURNAL, "")
        return Path(path) if path else None

    def wrong(self, what: str, advice: str, key: str, value: object) -> BadInput:
        """An error at a key of the party's table, with the value as TOML writes it."""
        return BadInput(what, advice, field=f"venue_config.{key}", value=as_toml(value)[:200])


def _is_whole(value: object, least: int, most: int) -> TypeGuard[int]:
    """Whether a value is a whole number within its range; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
