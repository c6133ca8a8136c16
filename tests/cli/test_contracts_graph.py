"""`covenue contracts graph`: text, JSON, filters and exit codes, over plugins of a test's own."""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from covenue.registry import load
from covenue.testing.hostile import Hostility, PluginSketch, write_plugin
from covenue_contracts.catalogue import kinds, schema_digest

Invoke = Callable[..., Result]
Install = Callable[..., None]
OTHER = "a" * 64
QUESTION = "question/v1"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Make the plugins of these sketches the only ones that are installed."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(load, "search_path", lambda: [str(site)])

    def write(*sketches: PluginSketch) -> None:
        for sketch in sketches:
            write_plugin(site, sketch)

    return write


def solver(digest: str | None = None, **options: Any) -> PluginSketch:
    stated = [{"kind": QUESTION, "digest": digest or schema_digest(QUESTION)}]
    return PluginSketch(manifest=(("produces", stated),), **options)


def domain(digest: str | None = None) -> PluginSketch:
    stated = [{"kind": QUESTION, "digest": digest or schema_digest(QUESTION)}]
    return PluginSketch("domains", "well", manifest=(("consumes", stated),))


def document(result: Result) -> dict[str, Any]:
    assert result.stdout.count("\n") == 1
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


def test_the_text_names_plugins_endpoints_edges_and_open_ends(
    covenue: Invoke, install: Install, golden: Callable[[str, str], None]
) -> None:
    idle = PluginSketch("ledgers", "idle", hostility=Hostility.MANIFEST_UNKNOWN_KEY)
    foreign = [{"kind": "moon-phase/v1", "digest": OTHER}]
    moon = PluginSketch("tools", "moon", manifest=(("consumes", foreign),))
    install(solver(), domain(), idle, moon)
    result = covenue("contracts", "graph")
    assert result.exit_code == 0
    text = result.stdout.replace(f" {len(kinds()) - 1} further", " MANY further")
    golden("contracts-graph", text.replace(f"covenue {version('covenue')}\n", "covenue VERSION\n"))


def test_json_has_the_shape_that_the_graph_documents(covenue: Invoke, install: Install) -> None:
    install(solver(), domain())
    printed = document(covenue("contracts", "graph", "--json"))
    assert list(printed) == ["kernel", "plugins", "broken", "contracts", "edges", "agrees"]
    assert printed["plugins"][1] == {
        "id": "covenue-solver-sketch",
        "version": "0.1.0",
        "family": "solvers",
        "entry_point": "covenue-solver-sketch = covenue_solver_sketch",
        "endpoints": [{"name": "sketch", "object": "covenue_solver_sketch:build"}],
    }
    held = schema_digest(QUESTION)
    assert printed["edges"][-1] == {
        "producer": "covenue-solver-sketch",
        "kind": QUESTION,
        "consumer": "covenue-domain-well",
        "producer_digest": held,
        "consumer_digest": held,
        "agreement": "agree",
        "verdict": "PROVED",
        "witness": None,
    }
    (node,) = [node for node in printed["contracts"] if node["kind"] == QUESTION]
    assert (node["version"], node["digest"]) == (1, held)
    assert node["uses"][1] == {
        "plugin": "covenue-solver-sketch",
        "role": "produces",
        "digest": held,
        "here": "agree",
    }
    assert printed["agrees"] is True


def test_an_edge_whose_digests_differ_fails_the_check_and_shows_both(
    covenue: Invoke, install: Install
) -> None:
    install(solver(OTHER), domain())
    result = covenue("contracts", "graph")
    assert result.exit_code == 1
    assert "covenue-solver-sketch  covenue-domain-well  differ   UNKNOWN" in result.stdout
    assert f"aaaaaaaaaaaa  {schema_digest(QUESTION)[:12]}" in result.stdout
    as_json = covenue("contracts", "graph", "--json")
    assert as_json.exit_code == 1
    assert document(as_json)["agrees"] is False


def test_a_difference_outside_the_part_that_is_shown_does_not_count(
    covenue: Invoke, install: Install
) -> None:
    install(solver(OTHER), domain())
    assert covenue("contracts", "graph", "--contract", "space").exit_code == 0
    assert covenue("contracts", "graph", "--contract", "question").exit_code == 1
    assert covenue("contracts", "graph", "--plugin", "domain-well").exit_code == 1


def test_a_contract_that_this_host_does_not_have_is_no_failure(
    covenue: Invoke, install: Install
) -> None:
    stated = [{"kind": "moon-phase/v1", "digest": OTHER}]
    install(PluginSketch(manifest=(("produces", stated),)))
    result = covenue("contracts", "graph", "--contract", "moon-phase")
    assert result.exit_code == 0
    assert "nobody consumes it" in result.stdout
    assert "does not have it" in result.stdout


def test_a_contract_that_no_plugin_speaks_is_said_to_be_so(
    covenue: Invoke, install: Install
) -> None:
    install(solver())
    result = covenue("contracts", "graph", "--contract", "plan.go")
    assert (result.exit_code, "no plugin speaks plan.go/v1" in result.stdout) == (0, True)


def test_both_filters_together_show_what_both_admit(covenue: Invoke, install: Install) -> None:
    install(solver(), domain())
    both = ("--contract", "question", "--plugin", "covenue", "--json")
    printed = document(covenue("contracts", "graph", *both))
    assert [edge["producer"] for edge in printed["edges"]] == ["covenue", "covenue-solver-sketch"]


def test_a_broken_plugin_can_be_asked_for_and_shows_its_error(
    covenue: Invoke, install: Install
) -> None:
    install(solver(hostility=Hostility.MANIFEST_UNKNOWN_KEY), domain())
    result = covenue("contracts", "graph", "--plugin", "solver-sketch")
    assert result.exit_code == 0
    assert "colour" in result.stdout
    assert "colour" not in covenue("contracts", "graph", "--plugin", "domain-well").stdout


BAD_NAMES = {
    "a contract that is misspelt": (("--contract", "qestion"), "did you mean 'question/v1'?"),
    "a contract of another version": (("--contract", "question/v7"), "'question/v1'?"),
    "a contract like no other": (("--contract", "zzz"), "see `covenue contracts list`"),
    "an empty contract": (("--contract", ""), "see `covenue contracts list`"),
    "a plugin that is misspelt": (("--plugin", "solver-sktch"), "'solver-sketch'?"),
    "a plugin like no other": (("--plugin", "zzz"), "see `covenue plugins list`"),
}


@pytest.mark.parametrize("case", BAD_NAMES)
def test_a_name_that_nothing_has_is_bad_input_with_advice(
    covenue: Invoke, install: Install, case: str
) -> None:
    arguments, advice = BAD_NAMES[case]
    install(solver())
    result = covenue("contracts", "graph", *arguments)
    assert result.exit_code == 2
    assert f"field: {arguments[0]}" in result.stderr
    assert advice in result.stderr
    assert result.stdout == ""


def test_no_plugin_is_imported_and_an_error_cannot_steer_the_terminal(
    covenue: Invoke, install: Install
) -> None:
    steering = solver(hostility=Hostility.EXIT_AT_IMPORT, version="1.0")
    clear = PluginSketch("ledgers", "clear", manifest=(("profile", "\x1b[2J"),))
    install(steering, clear)
    result = covenue("contracts", "graph")
    assert "\x1b" not in result.stdout
    assert "covenue-ledger-clear" in result.stdout
    assert "covenue_solver_sketch" not in sys.modules


def test_without_any_plugin_the_graph_is_empty_and_sound(covenue: Invoke, install: Install) -> None:
    install()
    result = covenue("contracts", "graph")
    assert result.exit_code == 0
    assert result.stdout.startswith("0 edges: 0 agree, 0 differ, 0 unknown here; ")


def test_a_mutant_that_does_not_look_at_the_digests_passes_what_differs(
    covenue: Invoke, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(solver(OTHER), domain())
    monkeypatch.setattr("covenue.registry.graph.GraphOfContracts.agrees", True)
    assert covenue("contracts", "graph").exit_code == 0
