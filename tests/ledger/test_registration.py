"""What the plugins hand over is what their manifests say."""

import json
from importlib import import_module, resources
from types import ModuleType

import pluggy
import pytest

import covenue_ledger_memory
import covenue_ledger_sqlite
from covenue.hooks import PROJECT, ledgers
from covenue.hooks.ledgers import LedgerFactory
from covenue_contracts.plugin import PluginManifest


@pytest.mark.parametrize("package", [covenue_ledger_memory, covenue_ledger_sqlite])
def test_a_ledger_plugin_registers_what_its_manifest_provides(package: ModuleType) -> None:
    text = resources.files(package).joinpath("plugin.json").read_bytes()
    manifest = PluginManifest.model_validate_json(text)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(ledgers)
    manager.register(package)
    found: dict[str, LedgerFactory] = {}
    manager.hook.register_ledgers(register=found.__setitem__)
    assert sorted(found) == [provided.name for provided in manifest.provides]
    for provided in manifest.provides:
        module, _, name = provided.object.partition(":")
        assert getattr(import_module(module), name) is found[provided.name]
    assert manifest.id == json.loads(text)["id"] == package.__name__.replace("_", "-")
    assert {c.name for c in manifest.capabilities} == {"DURABLE", "REOPEN"}
