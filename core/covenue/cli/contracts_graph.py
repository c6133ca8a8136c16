"""`covenue contracts graph`: the GraphOfContracts as tables, or as one JSON object."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from covenue.cli.failures import FAILED
from covenue.cli.printing import json_option, print_json, print_table
from covenue.errors import BadInput

if TYPE_CHECKING:
    from covenue.registry.graph import ContractNode, GraphOfContracts

DIGEST_SHOWN = 12


@click.command("graph")
@click.option("--contract", "kind", metavar="KIND", help="Only what speaks one contract.")
@click.option("--plugin", metavar="ID", help="Only one plugin, its contracts and neighbours.")
@json_option
@click.pass_context
def graph_contracts(
    ctx: click.Context, kind: str | None, plugin: str | None, as_json: bool
) -> None:
    """Show who produces and who consumes each contract.

    No plugin is imported. The kernel stands as `covenue` where the hook of a plugin's family hands
    over or takes a contract. A broken plugin is listed with its error, and stands nowhere else.

    --json: {kernel, plugins, broken, contracts, edges, agrees}; an edge is {producer, kind,
    consumer, producer_digest, consumer_digest, agreement, verdict, witness}, where agreement is
    "agree", "differ" or "unknown here" (this host does not have the contract).

    Exit 0: all digests that are shown agree, or are unknown here. Exit 1: some differ. Exit 2: no
    such contract or plugin.
    """
    from covenue.registry.graph import graph_of
    from covenue.registry.load import Registry

    graph = graph_of(Registry().rows())
    wanted = _known_plugin(plugin, graph) if plugin is not None else None
    if kind is not None:
        graph = graph.about_contract(_known_kind(kind, graph))
    if wanted is not None:
        graph = graph.about_plugin(wanted)
    if as_json:
        print_json(graph.document())
    else:
        _print(graph)
    if not graph.agrees:
        ctx.exit(FAILED)


def _known_kind(kind: str, graph: "GraphOfContracts") -> str:
    """The contract's name with its version. Raises BadInput, naming the nearest."""
    from covenue.registry.names import nearest_kind

    known = {node.kind for node in graph.contracts}
    versioned = kind if "/" in kind else f"{kind}/v1"
    if versioned not in known:
        close = nearest_kind(kind, known)
        raise BadInput(
            f"neither this host nor a plugin has a contract {kind!r}",
            f"did you mean {close!r}?" if close else "see `covenue contracts list`",
            field="--contract",
            value=kind,
        )
    return versioned


def _known_plugin(plugin: str, graph: "GraphOfContracts") -> str:
    """The plugin's id; `solver-search` will do. Raises BadInput, naming the nearest."""
    from covenue.registry.names import PREFIX, nearest

    known = {graph.kernel.id, *(node.id for node in graph.plugins)}
    known |= {row.id for row in graph.broken}
    for spelling in (plugin, PREFIX + plugin):
        if spelling in known:
            return spelling
    close = nearest(plugin.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in known])
    raise BadInput(
        f"no plugin {plugin!r} is installed",
        f"did you mean {close!r}?" if close else "see `covenue plugins list`",
        field="--plugin",
        value=plugin,
    )


def _print(graph: "GraphOfContracts") -> None:
    tables = (
        (
            f"plugins, and the kernel {graph.kernel.id} {graph.kernel.version}",
            ("id", "version", "family", "name", "endpoint"),
            list(_plugins(graph)),
        ),
        (
            "edges: who produces a contract, and who consumes it",
            ("contract", "producer", "consumer", "digests", "verdict"),
            [(e.kind, e.producer, e.consumer, e.agreement, e.verdict) for e in graph.edges],
        ),
        ("open ends", ("contract", "what is missing"), list(_open_ends(graph))),
        (
            "digests that differ from this host's, or that it cannot compare",
            ("contract", "plugin", "role", "states", "this host"),
            list(_strange_digests(graph)),
        ),
        (
            "broken plugins, which stand nowhere in the graph",
            ("id", "version", "error"),
            [(row.id, row.version, row.error) for row in graph.broken],
        ),
    )
    for title, columns, rows in tables:
        if rows:
            print_table(title, columns, rows)
            click.echo()
    click.echo(_summary(graph))


def _plugins(graph: "GraphOfContracts") -> Iterator[tuple[str, ...]]:
    for node in graph.plugins:
        for endpoint in node.endpoints:
            yield node.id, node.version, node.family, endpoint.name, endpoint.object


def _open_ends(graph: "GraphOfContracts") -> Iterator[tuple[str, str]]:
    for node in graph.contracts:
        if node.uses:
            yield from ((node.kind, what) for what in _missing(node, graph.kernel.id))


def _missing(node: "ContractNode", kernel: str) -> Iterator[str]:
    """Which side of a contract that plugins speak has no plugin."""
    if not node.producers:
        yield "nobody produces it"
    elif node.producers == (kernel,):
        yield "no plugin produces it; the kernel hands it over"
    if not node.consumers:
        yield "nobody consumes it"
    elif node.consumers == (kernel,):
        yield "no plugin consumes it; the kernel takes it"


def _strange_digests(graph: "GraphOfContracts") -> Iterator[tuple[str, ...]]:
    for node in graph.contracts:
        here = node.digest[:DIGEST_SHOWN] if node.digest else "does not have it"
        for use in node.uses:
            if use.here != "agree":
                yield node.kind, use.plugin, use.role, use.digest[:DIGEST_SHOWN], here


def _summary(graph: "GraphOfContracts") -> str:
    agreements = [edge.agreement for edge in graph.edges]
    counted = ", ".join(
        f"{agreements.count(one)} {one}" for one in ("agree", "differ", "unknown here")
    )
    silent = [node.kind for node in graph.contracts if not node.uses]
    spoken = f"; no plugin speaks {silent[0]}" if len(silent) == 1 else ""
    if len(silent) > 1:
        spoken = f"; no plugin speaks {len(silent)} further contracts of this host"
    return f"{len(agreements)} edges: {counted}{spoken}"
