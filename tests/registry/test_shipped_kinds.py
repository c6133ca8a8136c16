"""What the plugins here say that they produce and consume is what crosses their family's hook."""

import pytest

from covenue.registry.index import PluginRow
from covenue.registry.load import Registry
from covenue.registry.traffic import traffic

STATES = frozenset({"order-book/v1", "pool-set/v1"})
"""What venues pin: it crosses the hook as a snapshot, whose kind its signature does not say."""
FAMILIES = ("domains", "engines", "privacy", "solvers")
ROWS = {row.id: row for row in Registry().rows() if row.family in FAMILIES}
PRODUCED = {"domains": "space/v1", "engines": "clock-reading/v1", "solvers": "question/v1"}


def kinds(row: PluginRow) -> tuple[set[str], set[str]]:
    assert row.manifest is not None
    produced = {use.kind for use in row.manifest.produces}
    return produced, {use.kind for use in row.manifest.consumes}


@pytest.mark.parametrize("plugin", sorted(ROWS))
def test_a_plugin_claims_only_kinds_that_cross_its_hook(plugin: str) -> None:
    produced, consumed = kinds(ROWS[plugin])
    crossing = traffic(ROWS[plugin].family)
    assert produced <= crossing.takes
    assert consumed - STATES <= crossing.hands


@pytest.mark.parametrize("plugin", sorted(p for p in ROWS if ROWS[p].family in PRODUCED))
def test_a_plugin_claims_what_its_family_is_there_for(plugin: str) -> None:
    produced, consumed = kinds(ROWS[plugin])
    assert PRODUCED[ROWS[plugin].family] in produced
    if ROWS[plugin].family == "domains":
        assert "question/v1" in consumed


def test_only_a_venue_speaks_of_instruments() -> None:
    speaking = {
        row.id for row in ROWS.values() if "instrument/v1" in set.union(*map(set, kinds(row)))
    }
    assert speaking == set()
