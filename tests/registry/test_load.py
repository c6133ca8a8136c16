"""Loading: one plugin at a time, broken ones named, the others unharmed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from covenue.errors import BadInput, PluginBroken, PluginUnknown
from covenue.registry import load
from covenue.registry.load import Registry
from covenue.testing.hostile import Hostility, PluginSketch, write_plugin

Install = Callable[..., Registry]

BROKEN = {
    Hostility.IMPORT_ERROR: (
        "fails at import: ModuleNotFoundError: No module named 'no_such_module_anywhere' "
        "(covenue_solver_sketch/__init__.py:5)"
    ),
    Hostility.SYNTAX_ERROR: "fails at import: SyntaxError",
    Hostility.EXIT_AT_IMPORT: (
        "fails at import: SystemExit: 3 (covenue_solver_sketch/__init__.py:5)"
    ),
    Hostility.OTHER_NAMES: (
        "fails at registration: it registers ['somethingelse'], its manifest provides ['sketch']"
    ),
    Hostility.NO_HOOK: "fails at registration: it registers [], its manifest provides ['sketch']",
    Hostility.HOOK_RAISES: (
        "fails at registration: ZeroDivisionError: while registering "
        "(covenue_solver_sketch/__init__.py:13)"
    ),
    Hostility.HOOK_WRONG_ARGUMENTS: "fails at registration: PluginValidationError",
    Hostility.OTHER_FAMILY: "fails at registration: PluginValidationError",
    Hostility.NOT_CALLABLE: "fails at registration: 'sketch' is int, not a factory",
    Hostility.TWICE: "fails at registration: 'sketch' is registered twice",
    Hostility.NAME_NO_TEXT: "fails at registration: a name is int, not text",
    Hostility.OBJECT_MISSING: "fails at registration: AttributeError",
}


def test_a_good_plugin_hands_over_its_factory(install: Install) -> None:
    registry = install(PluginSketch())
    assert registry.load("solvers", "sketch")(1, probes=2) == ((1,), {"probes": 2})


@pytest.mark.parametrize("hostility", BROKEN, ids=lambda hostility: hostility.value)
def test_a_broken_plugin_is_named_and_the_others_go_on_working(
    install: Install, hostility: Hostility
) -> None:
    registry = install(PluginSketch(hostility=hostility), PluginSketch(name="well"))
    for _ in range(2):
        with pytest.raises(PluginBroken) as caught:
            registry.load("solvers", "sketch")
        assert f"plugin covenue-solver-sketch 0.1.0 {BROKEN[hostility]}" in caught.value.what
    assert registry.load("solvers", "well")() == ((), {})


def test_no_error_of_a_plugin_tells_a_path_of_this_machine(install: Install) -> None:
    registry = install(PluginSketch(hostility=Hostility.SYNTAX_ERROR))
    with pytest.raises(PluginBroken) as caught:
        registry.load("solvers", "sketch")
    assert str(registry.rows()[0].package) not in str(caught.value)
    assert "covenue_solver_sketch/__init__.py:" in caught.value.what


def test_an_interruption_at_import_is_not_caught(install: Install) -> None:
    registry = install(PluginSketch(hostility=Hostility.INTERRUPT_AT_IMPORT))
    with pytest.raises(KeyboardInterrupt):
        registry.load("solvers", "sketch")


def test_a_factory_that_raises_is_blamed_on_its_plugin(install: Install) -> None:
    registry = install(PluginSketch(hostility=Hostility.FACTORY_RAISES))
    with pytest.raises(PluginBroken, match="fails at factory: ZeroDivisionError: while building"):
        registry.build("solvers", "sketch")


def test_a_factory_that_builds_something_else_is_told_what_is_missing(install: Install) -> None:
    registry = install(PluginSketch(hostility=Hostility.BUILDS_WRONG_OBJECT))
    lacking = "built object, which lacks ask, needs, start, suits, tell"
    with pytest.raises(PluginBroken, match=lacking):
        registry.build("solvers", "sketch")


def test_a_plugin_s_own_bad_input_passes_as_it_is() -> None:
    with pytest.raises(BadInput):
        Registry().build("solvers", "search", {"probes": "many"})


def test_two_plugins_of_one_name_are_refused_since_load_order_must_not_choose(
    install: Install,
) -> None:
    twin = json.loads('[{"name": "sketch", "object": "covenue_solver_twin:build", "config": {}}]')
    registry = install(PluginSketch(), PluginSketch(name="twin", manifest=(("provides", twin),)))
    with pytest.raises(PluginBroken, match="2 plugins provide solver 'sketch'"):
        registry.find("solvers", "sketch")


def test_a_manifest_error_is_said_when_that_plugin_is_wanted(install: Install) -> None:
    registry = install(PluginSketch(hostility=Hostility.MANIFEST_NO_JSON))
    with pytest.raises(PluginBroken, match=r"fails at manifest: plugin\.json is no JSON"):
        registry.find("solvers", "sketch")


def test_an_unknown_name_gets_the_nearest_installed_one(install: Install) -> None:
    registry = install(PluginSketch(name="newton"), PluginSketch(name="admm"))
    with pytest.raises(PluginUnknown) as caught:
        registry.find("solvers", "newtn")
    assert caught.value.what == "no installed plugin provides solver 'newtn'"
    assert caught.value.advice == "did you mean 'newton'?"


def test_a_starter_plugin_that_is_not_installed_gets_the_pip_command(install: Install) -> None:
    registry = install(PluginSketch(name="newton"))
    for wanted in ("search", "serach"):
        with pytest.raises(PluginUnknown) as caught:
            registry.find("solvers", wanted)
        assert "install covenue-solver-search: pip install" in caught.value.advice


def test_a_plugin_is_never_advised_alone_from_an_index_beside_a_local_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from covenue.registry import names

    monkeypatch.setattr(names, "_kernel_is_local", lambda: True)
    assert names.pip_command("covenue-solver-search").startswith("pip install -r starter.txt")
    monkeypatch.setattr(names, "_kernel_is_local", lambda: False)
    assert names.pip_command("covenue-solver-search") == "pip install covenue covenue-solver-search"


def test_a_family_without_a_hook_is_refused(install: Install) -> None:
    registry = install(PluginSketch(family="policies", name="quorum"))
    with pytest.raises(PluginBroken, match="no hook for family 'policies'"):
        registry.load("policies", "quorum")


def test_a_package_that_stands_before_the_indexed_one_is_not_run(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = install(PluginSketch())
    registry.rows()
    shadow = tmp_path / "shadow" / "covenue_solver_sketch"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise RuntimeError('the shadow ran')")
    monkeypatch.syspath_prepend(str(shadow.parent))
    with pytest.raises(PluginBroken, match="stands before it on the path"):
        registry.load("solvers", "sketch")


def test_without_the_shadow_guard_the_other_package_runs(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = install(PluginSketch())
    registry.rows()
    shadow = tmp_path / "shadow" / "covenue_solver_sketch"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise RuntimeError('the shadow ran')")
    monkeypatch.syspath_prepend(str(shadow.parent))
    monkeypatch.setattr(load, "_refuse_shadow", lambda *_: None)
    with pytest.raises(PluginBroken, match="the shadow ran"):
        registry.load("solvers", "sketch")


def test_a_reference_pins_plugin_version_and_content(install: Install) -> None:
    registry = install(PluginSketch())
    ref = registry.ref("solvers", "sketch")
    assert (ref.family, ref.plugin, ref.name) == ("solvers", "covenue-solver-sketch", "sketch")
    assert (ref.version, ref.content) == ("0.1.0", registry.rows()[0].content)


def test_choosing_one_plugin_imports_exactly_one() -> None:
    code = (
        "import sys;from covenue.registry.load import Registry;"
        "registry = Registry(); registry.load('ledgers', 'memory');"
        "packages = {row.package.name for row in registry.rows() if row.package};"
        "print(sorted(packages & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['covenue_ledger_memory']"


def test_the_shared_registry_is_made_once_and_again_when_a_folder_of_the_path_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(load, "search_path", lambda: [str(site), str(tmp_path / "not there")])
    first = load.installed()
    assert first.rows() == ()
    assert load.installed() is first
    write_plugin(site, PluginSketch())
    again = load.installed()
    assert again is not first
    assert [row.family for row in again.rows()] == ["solvers"]
    monkeypatch.setattr(load, "search_path", list)
    assert load.installed() is not again
