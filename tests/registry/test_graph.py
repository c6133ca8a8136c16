"""GraphOfContracts: edges that manifests and hooks state, and no others; digests compared."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import ContractMismatch
from covenue.registry import graph as graph_module
from covenue.registry import traffic as traffic_module
from covenue.registry.graph import KERNEL, Edge, GraphOfContracts, graph_of
from covenue.registry.index import PluginRow
from covenue.registry.load import PROTOCOLS, Registry
from covenue.registry.negotiate import UNSTAMPED, check_contracts
from covenue.registry.traffic import traffic, traffic_of
from covenue.testing.hostile import Hostility, PluginSketch
from covenue_contracts.catalogue import kinds, schema_digest
from covenue_contracts.plugin import ContractUse, PluginManifest, Provided
from covenue_contracts.shared import DualVariables, Query, Space

Install = Callable[..., Registry]
OTHER, THIRD = "a" * 64, "b" * 64
FOREIGN = "moon-phase/v1"
QUESTION = "question/v1"


def use(kind: str, digest: str | None = None) -> dict[str, str]:
    return {"kind": kind, "digest": digest or schema_digest(kind)}


def sketch(
    family: str,
    name: str,
    produces: tuple[dict[str, str], ...] = (),
    consumes: tuple[dict[str, str], ...] = (),
    **options: Any,
) -> PluginSketch:
    stated = (("produces", list(produces)), ("consumes", list(consumes)))
    return PluginSketch(family=family, name=name, manifest=stated, **options)


def ends(graph: GraphOfContracts) -> list[tuple[str, str, str]]:
    return [(edge.producer, edge.kind, edge.consumer) for edge in graph.edges]


def of(*rows: PluginRow) -> GraphOfContracts:
    return graph_of(rows)


def row(
    name: str,
    produces: tuple[tuple[str, str], ...] = (),
    consumes: tuple[tuple[str, str], ...] = (),
    family: str = "solvers",
) -> PluginRow:
    """A row as the index makes it, without a file."""
    singular = {"solvers": "solver", "venues": "venue", "tools": "tool"}[family]
    identity = f"covenue-{singular}-{name}"
    manifest = PluginManifest(
        id=identity,
        family=family,  # type: ignore[arg-type]  # a text here, checked by the model
        summary="Written for a test.",
        licence="Apache-2.0",
        provides=(Provided(name=name, object="json:loads", config={}),),
        produces=tuple(ContractUse(kind=kind, digest=digest) for kind, digest in produces),
        consumes=tuple(ContractUse(kind=kind, digest=digest) for kind, digest in consumes),
        requires=(),
        conflicts=(),
        capabilities=(),
        privacy=None,
        determinism="identical",
        profile="solver-1",
    )
    return PluginRow(identity, family, "0.1.0", manifest, None)


def test_an_edge_leads_from_each_producer_to_each_consumer_of_a_contract(install: Install) -> None:
    registry = install(
        sketch("venues", "one", produces=(use("order-book/v1"),)),
        sketch("venues", "two", produces=(use("order-book/v1"),)),
        sketch("domains", "both", consumes=(use("order-book/v1"),)),
    )
    assert ends(graph_of(registry.rows())) == [
        ("covenue-venue-one", "order-book/v1", "covenue-domain-both"),
        ("covenue-venue-two", "order-book/v1", "covenue-domain-both"),
    ]


def test_the_kernel_takes_and_hands_over_what_the_hook_of_the_family_says(install: Install) -> None:
    registry = install(
        sketch("solvers", "asks", produces=(use(QUESTION),), consumes=(use("space/v1"),)),
        sketch("domains", "answers", produces=(use("space/v1"),), consumes=(use(QUESTION),)),
    )
    assert ends(graph_of(registry.rows())) == [
        (KERNEL, QUESTION, "covenue-domain-answers"),
        ("covenue-solver-asks", QUESTION, KERNEL),
        ("covenue-solver-asks", QUESTION, "covenue-domain-answers"),
        (KERNEL, "space/v1", "covenue-solver-asks"),
        ("covenue-domain-answers", "space/v1", KERNEL),
        ("covenue-domain-answers", "space/v1", "covenue-solver-asks"),
    ]


def test_the_kernel_stands_at_no_contract_that_its_hook_does_not_carry(install: Install) -> None:
    registry = install(
        sketch("solvers", "boasts", produces=(use("plan.go/v1"),), consumes=(use("genesis/v1"),)),
        sketch("ledgers", "deaf", consumes=(use("space/v1"),)),
        sketch("tools", "hookless", produces=(use(QUESTION),)),
    )
    assert graph_of(registry.rows()).edges == ()


def test_a_plugin_is_no_neighbour_of_itself() -> None:
    both = ((FOREIGN, OTHER),)
    assert of(row("alone", produces=both, consumes=both)).edges == ()


AGREEMENTS = {
    "both are this host's": (QUESTION, None, None, "agree", "PROVED"),
    "they differ from each other": (QUESTION, None, OTHER, "differ", "UNKNOWN"),
    "they agree, but not with this host": (QUESTION, OTHER, OTHER, "differ", "PROVED"),
    "neither is stamped": (QUESTION, UNSTAMPED, UNSTAMPED, "differ", "UNKNOWN"),
    "this host does not have it": (FOREIGN, OTHER, OTHER, "unknown here", "PROVED"),
    "it is foreign and they differ": (FOREIGN, OTHER, THIRD, "differ", "UNKNOWN"),
    "it is foreign and unstamped": (FOREIGN, UNSTAMPED, UNSTAMPED, "differ", "UNKNOWN"),
}


@pytest.mark.parametrize("case", AGREEMENTS)
def test_the_digests_of_an_edge_are_compared_with_each_other_and_with_this_host(case: str) -> None:
    kind, made, wanted, agreement, verdict = AGREEMENTS[case]
    here = schema_digest(kind) if kind in kinds() else ""
    graph = of(
        row("makes", produces=((kind, made or here),), family="tools"),
        row("takes", consumes=((kind, wanted or here),), family="tools"),
    )
    (edge,) = graph.edges
    assert (edge.producer_digest, edge.consumer_digest) == (made or here, wanted or here)
    assert (edge.agreement, edge.verdict, edge.witness) == (agreement, verdict, None)
    assert graph.agrees is (agreement != "differ")


def test_a_mutant_that_takes_a_missing_stamp_for_a_digest_calls_two_unknown_schemas_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unstamped = ((FOREIGN, UNSTAMPED),)
    rows = (row("makes", produces=unstamped), row("takes", consumes=unstamped))
    assert not graph_of(rows).agrees
    monkeypatch.setattr(graph_module, "UNSTAMPED", "no digest")
    mutant = graph_of(rows)
    assert (mutant.agrees, mutant.edges[0].verdict) == (True, "PROVED")


def test_a_digest_that_nobody_shares_an_edge_with_is_compared_with_this_host_too() -> None:
    graph = of(row("alone", produces=(("order-book/v1", OTHER),)))
    assert graph.edges == ()
    assert not graph.agrees


def test_the_kernels_end_of_an_edge_holds_this_hosts_digest() -> None:
    (edge,) = of(row("asks", produces=((QUESTION, OTHER),))).edges
    assert edge == Edge(
        "covenue-solver-asks",
        QUESTION,
        KERNEL,
        producer_digest=OTHER,
        consumer_digest=schema_digest(QUESTION),
        agreement="differ",
        verdict="UNKNOWN",
    )


def test_contracts_that_nobody_produces_or_consumes_say_so(install: Install) -> None:
    registry = install(
        sketch("venues", "made", produces=(use("order-book/v1"),)),
        sketch("domains", "wants", consumes=(use(FOREIGN, OTHER),)),
    )
    nodes = {node.kind: node for node in graph_of(registry.rows()).contracts}
    assert nodes["order-book/v1"].producers == ("covenue-venue-made",)
    assert nodes["order-book/v1"].consumers == ()
    assert nodes[FOREIGN].producers == ()
    assert nodes[FOREIGN].digest is None
    assert nodes["plan.go/v1"].uses == ()
    assert nodes["plan.go/v1"].digest == schema_digest("plan.go/v1")


def test_every_contract_of_this_host_is_a_node_and_carries_its_version() -> None:
    graph = of(row("old", produces=((f"{FOREIGN}2", OTHER),)))
    assert [node.kind for node in graph.contracts] == sorted([*kinds(), f"{FOREIGN}2"])
    assert {node.kind: node.version for node in graph.contracts}[f"{FOREIGN}2"] == 12


def test_a_plugin_node_tells_its_entry_point_and_endpoints(install: Install) -> None:
    (node,) = graph_of(install(PluginSketch(version="2.5")).rows()).plugins
    assert (node.id, node.version, node.family) == ("covenue-solver-sketch", "2.5", "solvers")
    assert node.entry_point == "covenue-solver-sketch = covenue_solver_sketch"
    (endpoint,) = node.endpoints
    assert (endpoint.name, endpoint.object) == ("sketch", "covenue_solver_sketch:build")


def test_a_broken_plugin_is_listed_with_its_error_and_stands_at_no_edge(install: Install) -> None:
    registry = install(
        sketch(
            "solvers",
            "sketch",
            produces=(use(QUESTION),),
            hostility=Hostility.MANIFEST_UNKNOWN_KEY,
        ),
        sketch("domains", "well", consumes=(use(QUESTION),)),
    )
    graph = graph_of(registry.rows())
    (broken,) = graph.broken
    assert broken.id == "covenue-solver-sketch"
    assert "colour" in broken.error
    assert [node.id for node in graph.plugins] == ["covenue-domain-well"]
    assert ends(graph) == [(KERNEL, QUESTION, "covenue-domain-well")]
    assert graph.agrees


def test_one_contract_stated_twice_keeps_both_digests() -> None:
    graph = of(
        row("torn", produces=((FOREIGN, OTHER), (FOREIGN, THIRD), (FOREIGN, OTHER))),
        row("takes", consumes=((FOREIGN, OTHER),)),
    )
    assert [edge.producer_digest for edge in graph.edges] == [OTHER, THIRD]
    assert not graph.agrees


def test_no_plugin_runs_a_line_to_be_drawn(install: Install) -> None:
    registry = install(
        sketch("solvers", "sketch", produces=(use(QUESTION),), hostility=Hostility.EXIT_AT_IMPORT)
    )
    assert len(graph_of(registry.rows()).edges) == 1
    assert "covenue_solver_sketch" not in sys.modules


def test_importing_the_graph_loads_nothing_that_start_up_can_do_without() -> None:
    code = (
        "import covenue.registry.graph, sys;"
        "print(sorted({'pluggy', 'pydantic', 'numpy', 'jsonschema', 'importlib.metadata'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_installed_plugins_agree_with_each_other_and_with_this_host() -> None:
    rows = [row for row in Registry().rows() if row.manifest]
    graph = graph_of(rows)
    assert graph.agrees
    assert {"covenue-domain-routing", "covenue-venue-recorded"} <= {n.id for n in graph.plugins}
    assert ("covenue-venue-recorded", "order-book/v1", "covenue-domain-routing") in ends(graph)


# Laws

KINDS = (QUESTION, "space/v1", "order-book/v1", FOREIGN)
DIGESTS = st.sampled_from((OTHER, UNSTAMPED, schema_digest(QUESTION), schema_digest("space/v1")))
USES = st.lists(st.tuples(st.sampled_from(KINDS), DIGESTS), max_size=3).map(tuple)
FAMILIES = st.sampled_from(("solvers", "venues", "tools"))


@st.composite
def companies(draw: st.DrawFn) -> list[PluginRow]:
    """A few plugins of made-up statements."""
    names = draw(st.lists(st.sampled_from("abcd"), unique=True, max_size=4))
    return [row(name, draw(USES), draw(USES), draw(FAMILIES)) for name in names]


@given(companies(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(company: list[PluginRow], chance: Any) -> None:
    shuffled = list(company)
    chance.shuffle(shuffled)
    assert graph_of(shuffled) == graph_of(company)


@given(companies())
def test_edges_are_those_that_brute_force_finds(company: list[PluginRow]) -> None:
    expected = set()
    for one, other in itertools.permutations(company, 2):
        assert one.manifest is not None
        assert other.manifest is not None
        for made, taken in itertools.product(one.manifest.produces, other.manifest.consumes):
            if made.kind == taken.kind:
                expected.add((one.id, made.kind, made.digest, other.id, taken.digest))
    found = [
        (e.producer, e.kind, e.producer_digest, e.consumer, e.consumer_digest)
        for e in graph_of(company).edges
        if KERNEL not in (e.producer, e.consumer)
    ]
    assert len(found) == len(set(found))
    assert set(found) == expected


@given(companies())
def test_negotiation_refuses_exactly_the_plugins_whose_digests_do_not_agree_here(
    company: list[PluginRow],
) -> None:
    told = [use for node in graph_of(company).contracts for use in node.uses]
    for one in company:
        agrees = all(use.here == "agree" for use in told if use.plugin == one.id)
        assert is_accepted(one) is agrees


def is_accepted(one: PluginRow) -> bool:
    try:
        check_contracts([one])
    except ContractMismatch:
        return False
    return True


@given(companies())
def test_the_document_is_json_and_names_only_nodes_at_its_edges(company: list[PluginRow]) -> None:
    document = json.loads(json.dumps(graph_of(company).document()))
    ids = {KERNEL, *(node["id"] for node in document["plugins"])}
    stood = {node["kind"]: (node["producers"], node["consumers"]) for node in document["contracts"]}
    for edge in document["edges"]:
        assert {edge["producer"], edge["consumer"]} <= ids
        assert edge["producer"] in stood[edge["kind"]][0]
        assert edge["consumer"] in stood[edge["kind"]][1]


# Parts

COMPANY = (
    row("asks", produces=((QUESTION, OTHER), ("order-book/v1", OTHER))),
    row("hears", consumes=((QUESTION, OTHER),), family="tools"),
    row("apart", produces=((FOREIGN, OTHER),), family="venues"),
)


def test_the_part_about_a_contract_holds_who_speaks_it() -> None:
    part = of(*COMPANY).about_contract(FOREIGN)
    assert [node.id for node in part.plugins] == ["covenue-venue-apart"]
    assert [node.kind for node in part.contracts] == [FOREIGN]
    assert (part.edges, part.agrees) == ((), True)


def test_the_part_about_a_plugin_holds_its_contracts_and_neighbours() -> None:
    part = of(*COMPANY).about_plugin("covenue-tool-hears")
    assert [node.id for node in part.plugins] == ["covenue-solver-asks", "covenue-tool-hears"]
    assert [node.kind for node in part.contracts] == [QUESTION]
    assert ends(part) == [("covenue-solver-asks", QUESTION, "covenue-tool-hears")]


def test_the_part_about_the_kernel_holds_whatever_crosses_a_hook() -> None:
    part = of(*COMPANY).about_plugin(KERNEL)
    assert ends(part) == [("covenue-solver-asks", QUESTION, KERNEL)]


@dataclass(frozen=True)
class Offer:
    """A value that carries contracts."""

    space: Space
    rest: tuple[DualVariables | None, ...]


class Callee(Protocol):
    """What a plugin is given to call."""

    def hear(self, query: Query) -> Space:
        """A question goes in, a space comes out."""
        ...


class Asker(Protocol):
    """What a plugin hands over."""

    def ask(self, callee: Callee) -> int:
        """Call what is given."""
        ...


class Maker(Protocol):
    """What a plugin hands over."""

    def make(self, name: Callable[[Space], Query]) -> Offer:
        """Make a value, with the help of a function."""
        ...


def test_what_a_method_returns_is_taken_and_what_a_function_is_given_too() -> None:
    crossing = traffic_of((Maker,))
    assert crossing.takes == {"space/v1", "dual-variables/v1"}
    assert crossing.hands == {"question/v1", "dual-variables/v1"}  # a query carries multipliers


def test_directions_turn_around_where_a_plugin_is_given_something_to_call() -> None:
    crossing = traffic_of((Asker,))
    assert crossing.takes == {"question/v1", "dual-variables/v1"}
    assert crossing.hands == {"space/v1"}


def test_a_mutant_that_forgets_to_turn_takes_the_space_that_it_hands_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = traffic_module._parts
    monkeypatch.setattr(
        traffic_module, "_parts", lambda hint: ((part, False) for part, _ in parts(hint))
    )
    assert "space/v1" in traffic_of((Asker,)).takes


@pytest.mark.parametrize(
    ("family", "hands", "takes"),
    [
        ("venues", "actions/v1", "outcome-report/v1"),
        ("domains", "question/v1", "space/v1"),
        ("solvers", "space/v1", QUESTION),
        ("privacy", QUESTION, "charge/v1"),
        ("engines", "clock-reading/v1", "clock-reading/v1"),
    ],
)
def test_each_hook_carries_what_its_protocols_say(family: str, hands: str, takes: str) -> None:
    assert hands in traffic(family).hands
    assert takes in traffic(family).takes


def test_whatever_crosses_a_hook_is_a_contract_of_this_host() -> None:
    crossing = [kind for family in PROTOCOLS for kind in traffic(family).hands]
    crossing += [kind for family in PROTOCOLS for kind in traffic(family).takes]
    assert set(crossing) <= set(kinds())


def test_a_family_without_a_hook_carries_nothing() -> None:
    assert traffic("tools").hands | traffic("tools").takes == frozenset()


def test_a_row_without_a_package_names_the_package_of_its_id(tmp_path: Path) -> None:
    (node,) = of(row("bare")).plugins
    assert node.entry_point == "covenue-solver-bare = covenue_solver_bare"
