"""The plugins as the registry meets them: a manifest first, then one factory."""

from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pluggy
import pytest
from tests.venues import pools, simulated
from tests.venues.test_sim_venue import BOOK

from covenue import hooks
from covenue.hooks import venues
from covenue.hooks.venues import ORDER_BOOK, POOL_SET, VenueAdapter, VenueFactory
from covenue.registry.load import Registry
from covenue.testing.venues import POOL_SCRIPT, at
from covenue_contracts.plugin import PluginManifest

PACKAGES = ("covenue_venue_amm", "covenue_venue_sim")


def manifest(package: str) -> PluginManifest:
    return PluginManifest.model_validate_json((files(package) / "plugin.json").read_text("utf-8"))


def saved(package: str, folder: Path) -> VenueAdapter:
    """A venue with its defaults spelled out as the manifest does."""
    (provided,) = manifest(package).provides
    if package == "covenue_venue_amm":
        pools.save_script(folder, POOL_SCRIPT)
    else:
        simulated.save(folder, BOOK)
    built: VenueAdapter = Registry().build("venues", provided.name, dict(provided.config), folder)
    return built


@pytest.mark.parametrize("package", PACKAGES)
def test_the_manifest_names_what_is_registered(package: str) -> None:
    registered: dict[str, VenueFactory] = {}
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(venues)
    manager.register(import_module(package))
    manager.hook.register_venues(register=registered.__setitem__)
    for provided in manifest(package).provides:
        module, _, name = provided.object.partition(":")
        assert registered.pop(provided.name) is getattr(import_module(module), name)
    assert not registered


@pytest.mark.parametrize("package", PACKAGES)
def test_the_registry_builds_a_venue_with_the_manifests_defaults(
    package: str, tmp_path: Path
) -> None:
    venue = saved(package, tmp_path)
    name = manifest(package).provides[0].name
    plain = Registry().build("venues", name, {}, tmp_path)
    assert venue.facts() == plain.facts()
    pinned = venue.pin(at(9))
    assert pinned.kind == (POOL_SET if name == "amm" else ORDER_BOOK)
    assert pinned.kind in {use.kind for use in manifest(package).produces}
    assert pinned.digest == plain.pin(at(9)).digest
    assert pinned.body
