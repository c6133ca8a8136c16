"""Discovery: rows without imports, and errors as rows."""

import subprocess
import sys
from pathlib import Path

import pytest

from covenue.registry.index import scan, search_path
from covenue.registry.load import Registry
from covenue.testing.hostile import Hostility, PluginSketch, write_plugin

BAD_MANIFESTS = {
    Hostility.NO_MANIFEST: "plugin.json cannot be read: No such file or directory",
    Hostility.MANIFEST_NO_JSON: "plugin.json is no JSON",
    Hostility.MANIFEST_UNKNOWN_KEY: "colour",
    Hostility.MANIFEST_HUGE: "larger than 65536 bytes",
    Hostility.MANIFEST_KEY_TWICE: "key 'family' stands twice",
    Hostility.OTHER_ID: "one plugin, one id",
    Hostility.FOREIGN_OBJECT: "lies outside covenue_solver_sketch",
    Hostility.PACKAGE_MISSING: "is not installed",
}


@pytest.mark.parametrize("hostility", BAD_MANIFESTS, ids=lambda hostility: hostility.value)
def test_a_bad_manifest_becomes_a_row_with_an_error_and_hides_no_other(
    tmp_path: Path, hostility: Hostility
) -> None:
    write_plugin(tmp_path, PluginSketch(hostility=hostility))
    write_plugin(tmp_path, PluginSketch(name="well"))
    bad, good = scan([str(tmp_path)])
    assert BAD_MANIFESTS[hostility] in str(bad.error)
    assert bad.manifest is None
    assert (good.id, good.error, good.names) == ("covenue-solver-well", None, ("well",))


def test_the_manifest_of_a_wrong_type_names_its_field(tmp_path: Path) -> None:
    write_plugin(tmp_path, PluginSketch(manifest=(("determinism", "perhaps"),)))
    (row,) = scan([str(tmp_path)])
    assert str(row.error).startswith("plugin.json: determinism: ")


def test_a_dotted_entry_point_is_refused_since_finding_it_would_import_its_parent(
    tmp_path: Path,
) -> None:
    sketch = PluginSketch(hostility=Hostility.EXIT_AT_IMPORT)
    write_plugin(tmp_path, sketch)
    (records,) = tmp_path.glob("*.dist-info")
    (records / "entry_points.txt").write_text(
        f"[covenue.plugins]\n{sketch.id} = {sketch.package}.inner\n", encoding="utf-8"
    )
    (row,) = scan([str(tmp_path)])
    assert "is not a top-level package" in str(row.error)


def test_rows_come_in_order_of_id_whatever_the_order_of_installation(tmp_path: Path) -> None:
    for name in ("zeta", "alpha", "mid"):
        write_plugin(tmp_path, PluginSketch(name=name))
    names = [row.id for row in scan([str(tmp_path)])]
    assert names == sorted(names)


def test_the_first_distribution_of_a_name_wins_as_in_import(tmp_path: Path) -> None:
    write_plugin(tmp_path / "a", PluginSketch(version="2.0"))
    write_plugin(tmp_path / "b", PluginSketch(version="1.0"))
    (row,) = scan([str(tmp_path / "a"), str(tmp_path / "b")])
    assert row.version == "2.0"


def test_a_folder_where_a_user_stands_adds_no_plugin(tmp_path: Path) -> None:
    write_plugin(tmp_path, PluginSketch(name="lurking"))
    code = (
        "from covenue.registry.load import Registry;"
        "print([r.id for r in Registry().rows() if 'lurking' in r.id])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_without_the_rule_a_folder_where_a_user_stands_would_add_a_plugin(tmp_path: Path) -> None:
    write_plugin(tmp_path, PluginSketch(name="lurking"))
    assert [row.id for row in scan(["", str(tmp_path)])] == ["covenue-solver-lurking"]


def test_empty_entries_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["first", "", "second"])
    assert search_path() == ["first", "second"]


def test_reading_all_rows_and_their_digests_imports_no_plugin() -> None:
    code = (
        "import sys;from covenue.registry.load import Registry;"
        "rows = Registry().rows(); [row.content for row in rows];"
        "packages = {row.package.name for row in rows if row.package};"
        "print(len(rows), sorted(packages & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, loaded = done.stdout.split(maxsplit=1)
    assert int(count) >= 7
    assert loaded.strip() == "[]"


def test_the_starter_plugins_are_found_in_this_environment() -> None:
    ids = {row.id for row in Registry().rows()}
    assert {"covenue-solver-search", "covenue-ledger-sqlite", "covenue-domain-routing"} <= ids
