"""A site folder on the path, into which tests write plugins."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from covenue.registry.load import Registry
from covenue.testing.hostile import PluginSketch, write_plugin

Install = Callable[..., Registry]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write sketches into a site and return a registry over nothing else."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def write(*sketches: PluginSketch) -> Registry:
        for sketch in sketches:
            write_plugin(site, sketch)
        return Registry([str(site)])

    yield write
    for name in set(sys.modules) - before:
        if name.startswith(("covenue_solver_sketch", "covenue_solver_well", "covenue_policy_")):
            del sys.modules[name]
