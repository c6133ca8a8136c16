"""The plugin as the registry meets it: a manifest first, then one factory."""

from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pluggy
from tests.venues.captures import opened
from tests.venues.test_join import DEPTH, chain

from covenue import hooks
from covenue.hooks import venues
from covenue.hooks.venues import VenueAdapter, VenueFactory
from covenue_contracts.plugin import PluginManifest
from covenue_venue_recorded.dialects import COINM
from covenue_venue_recorded.venue import RecordedVenue


def manifest() -> PluginManifest:
    text = (files("covenue_venue_recorded") / "plugin.json").read_text("utf-8")
    return PluginManifest.model_validate_json(text)


def test_the_manifest_names_what_is_registered() -> None:
    registered: dict[str, VenueFactory] = {}
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(venues)
    manager.register(import_module("covenue_venue_recorded"))
    manager.hook.register_venues(register=registered.__setitem__)
    for provided in manifest().provides:
        module, _, name = provided.object.partition(":")
        assert registered.pop(provided.name) is getattr(import_module(module), name)
    assert not registered


def test_the_manifests_defaults_are_the_defaults(tmp_path: Path) -> None:
    (provided,) = manifest().provides
    plain = opened(COINM, tmp_path, [DEPTH, *chain([(1_000, 1_010, 999)])])
    config = {key: value for key, value in provided.config.items() if not isinstance(value, tuple)}
    spelled: VenueAdapter = RecordedVenue({**config, "dialect": COINM.name}, tmp_path)
    assert spelled.facts() == plain.facts()


def test_facts_are_scalars_that_the_canonical_profile_can_carry(tmp_path: Path) -> None:
    venue = opened(COINM, tmp_path, [DEPTH, *chain([(1_000, 1_010, 999)])])
    for value in venue.facts().values():
        assert value is None or isinstance(value, str) or abs(value) < 2**53
    venue.close()
