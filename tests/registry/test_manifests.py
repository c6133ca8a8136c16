"""Stamping: digests of this host's contracts in every manifest, drift found."""

import json
from pathlib import Path
from typing import Any

import pytest

from covenue.testing.manifests import main
from covenue_contracts.catalogue import schema_digest


def write(
    room: Path, *, kind: str = "query/v1", project: str = "covenue-solver-try", **fields: Any
) -> Path:
    """A plugin's source folder with an unstamped manifest in a layout of its own."""
    plugin = room / "solver-try"
    package = plugin / "covenue_solver_try"
    package.mkdir(parents=True)
    (plugin / "pyproject.toml").write_text(
        f'[project]\nname = "{project}"\n[project.entry-points."covenue.plugins"]\n'
        f'"{project}" = "covenue_solver_try"\n'
    )
    use = json.dumps({"kind": kind, "digest": "0" * 64})
    document = {
        "id": "covenue-solver-try", "family": "solvers", "summary": "", "licence": "Apache-2.0",
        "provides": [{"name": "try", "object": "covenue_solver_try:Try", "config": {}}],
        "consumes": [], "requires": [], "conflicts": [], "capabilities": [], "privacy": None,
        "determinism": "identical", "profile": "solver-1",
    } | fields  # fmt: skip
    text = json.dumps(document)[:-1] + f',\n    "produces": [{use}]}}\n'
    (package / "plugin.json").write_text(text)
    return plugin


def test_stamping_writes_digests_keeps_the_layout_and_then_holds(tmp_path: Path) -> None:
    plugin = write(tmp_path)
    path = plugin / "covenue_solver_try" / "plugin.json"
    before = path.read_text()
    assert main(["--check", str(plugin)]) == 1
    assert path.read_text() == before
    assert main(["--write", str(plugin)]) == 0
    assert path.read_text() == before.replace("0" * 64, schema_digest("query/v1"))
    assert main(["--check", str(plugin)]) == 0


def test_drift_is_named_with_the_command_that_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check", str(write(tmp_path))]) == 1
    assert "solver-try: drifts; run python -m covenue.testing.manifests --write" in (
        capsys.readouterr().err
    )


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a kind this host does not have": ({"kind": "querry/v1"}, "did you mean 'query/v1'?"),
    "an unknown key": ({"colour": "green"}, "field: colour"),
    "another family": ({"family": "venues"}, "field: family"),
    "another distribution": ({"project": "covenue-solver-other"}, "field: distribution"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_manifest_that_cannot_be_used_exits_2_and_stays_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    fields, said = WRONG[case]
    plugin = write(tmp_path, **fields)
    before = (plugin / "covenue_solver_try" / "plugin.json").read_text()
    assert main(["--write", str(plugin)]) == 2
    assert said in capsys.readouterr().err
    assert (plugin / "covenue_solver_try" / "plugin.json").read_text() == before


def test_a_folder_without_manifest_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check", str(tmp_path)]) == 2
    assert "0 manifests instead of one" in capsys.readouterr().err
