"""The dialects of the installed domains, and of domains that are broken."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.bridge.test_soundness import budget, speaking, without

from covenue.bridge.installed import bridge_of, speakers
from covenue.errors import PluginBroken
from covenue.hooks.dialects import Dialect
from covenue.registry.load import Registry
from covenue.testing.domains import LadderDomain


class Speaking(LadderDomain):
    """A ladder domain that speaks what it is given."""

    def __init__(self, *dialects: Dialect) -> None:
        self.spoken = dialects

    def dialects(self) -> Sequence[Dialect]:
        return self.spoken


class Domains(Registry):
    """A registry of domains at hand."""

    def __init__(self, **domains: Callable[[], Any]) -> None:
        super().__init__([])
        self.domains = domains

    def names(self, family: str) -> tuple[str, ...]:
        return tuple(sorted(self.domains))

    def build(self, family: str, name: str, *arguments: Any, **options: Any) -> Any:
        return self.domains[name]()


def unimportable() -> None:
    raise PluginBroken("plugin fails at import", "repair it")


def test_the_installed_domains_speak_their_systems_dialects() -> None:
    found = speakers(Registry())
    assert [speaker.error for speaker in found] == [None] * len(found)
    assert {"exoroute", "arbsphere", "exprove"} <= set(bridge_of(found).names)


def test_a_broken_domain_does_not_silence_the_others() -> None:
    good, bad = speaking(budget()), speaking(without("privacy-budget/v1", "rho_max"), name="bad")
    found = speakers(
        Domains(good=lambda: Speaking(good), losing=lambda: Speaking(bad), none=unimportable)
    )
    assert [(item.domain, item.error is None) for item in found] == [
        ("good", True),
        ("losing", False),
        ("none", False),
    ]
    assert "dialect 'bad' is refused at Thing/rho_max" in str(found[1].error)
    assert bridge_of(found).names == ("canonical", "tiny")


def test_two_domains_with_one_dialect_are_refused() -> None:
    found = speakers(Domains(a=lambda: Speaking(speaking()), b=lambda: Speaking(speaking())))
    with pytest.raises(PluginBroken, match="load order must not choose"):
        bridge_of(found)


def test_a_domain_may_speak_no_dialect() -> None:
    (found,) = speakers(Domains(ladder=LadderDomain))
    assert (found.dialects, found.error) == ((), None)
