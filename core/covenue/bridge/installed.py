"""The dialects that the installed domains speak; one that is broken does not silence the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from covenue.bridge.energibridge import EnergiBridge
from covenue.bridge.soundness import check
from covenue.errors import CovenueError
from covenue.hooks.dialects import Dialect
from covenue.registry.load import Registry


@dataclass(frozen=True)
class Speaker:
    """A domain and the dialects that it speaks, or why it cannot be used."""

    domain: str
    dialects: tuple[Dialect, ...]
    error: CovenueError | None = None


def speakers(registry: Registry) -> tuple[Speaker, ...]:
    """Every installed domain, in order of name; each is imported."""
    return tuple(_speaker(registry, name) for name in registry.names("domains"))


def bridge_of(found: Sequence[Speaker]) -> EnergiBridge:
    """The bridge between all dialects that can be used. Raises PluginBroken on two of one name."""
    return EnergiBridge([dialect for speaker in found for dialect in speaker.dialects])


def _speaker(registry: Registry, name: str) -> Speaker:
    try:
        dialects = tuple(registry.build("domains", name).dialects())
        for dialect in dialects:
            check(dialect)
    except CovenueError as error:
        return Speaker(name, (), error)
    return Speaker(name, dialects)
