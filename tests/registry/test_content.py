"""The content digest: equal from wheel and copy, different for any counted byte."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.registry.content import digest_of, wheel_digest
from covenue.registry.index import PluginRow, scan
from covenue.testing.hostile import PluginSketch, write_plugin

PLUGIN = Path(__file__).parents[2] / "plugins" / "ledger-memory"


def only(site: Path) -> PluginRow:
    (row,) = scan([str(site)])
    return row


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a shipped plugin, built offline from a copy of its sources."""
    room = tmp_path_factory.mktemp("wheel")
    shutil.copytree(PLUGIN, room / PLUGIN.name)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(room)],
        cwd=room / PLUGIN.name,
        check=True,
        capture_output=True,
    )
    return next(room.glob("*.whl"))


def test_a_wheel_and_its_installed_copy_have_one_digest(wheel: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--compile",
         "--disable-pip-version-check", "--target", str(tmp_path), str(wheel)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    row = only(tmp_path)
    assert list(tmp_path.rglob("*.pyc"))
    assert row.content == wheel_digest(wheel, "covenue_ledger_memory")


def test_byte_code_in_its_cache_is_not_counted_but_beside_the_sources_it_is(tmp_path: Path) -> None:
    package = write_plugin(tmp_path, PluginSketch())
    before = only(tmp_path).content
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"cached")
    assert only(tmp_path).content == before
    (package / "sneaked.pyc").write_bytes(b"importable")
    assert only(tmp_path).content != before


@pytest.mark.parametrize(
    "touched", ["covenue_solver_sketch/__init__.py", "covenue_solver_sketch/plugin.json"]
)
def test_a_changed_byte_of_the_package_changes_the_digest(tmp_path: Path, touched: str) -> None:
    write_plugin(tmp_path, PluginSketch())
    before = only(tmp_path).content
    with (tmp_path / touched).open("a") as file:
        file.write("\n")
    assert only(tmp_path).content != before


def test_changed_metadata_changes_the_digest(tmp_path: Path) -> None:
    write_plugin(tmp_path, PluginSketch())
    before = only(tmp_path).content
    (records,) = tmp_path.glob("*.dist-info")
    with (records / "METADATA").open("a") as file:
        file.write("Summary: other\n")
    assert only(tmp_path).content != before


files = st.dictionaries(st.text("ab/", min_size=1, max_size=4), st.binary(max_size=4), max_size=4)


@given(files)
def test_the_order_of_files_cannot_matter(found: dict[str, bytes]) -> None:
    assert digest_of(found) == digest_of(dict(reversed(found.items())))


@given(files, files)
def test_different_files_have_different_digests(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    assert (digest_of(one) == digest_of(other)) == (one == other)


def test_the_digest_of_known_files_does_not_change() -> None:
    assert digest_of({"p/a.py": b"a", "METADATA": b"m"}) == (
        "d78a3baaa665db957cfa21e07aa503afd3791afb67bf307664bacfa4d1f208a8"
    )
