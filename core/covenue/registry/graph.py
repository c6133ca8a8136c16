"""GraphOfContracts: who produces and who consumes each contract, read from manifests alone.

An edge leads from a producer over a contract to a consumer. Plugins stand where their manifests put
them. The kernel stands at the other end of a plugin's contract only where the hook of that plugin's
family hands over or takes that contract (`traffic`); nothing else about it is claimed.
Source: plugins.md, section 4.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from covenue.registry.negotiate import UNSTAMPED

if TYPE_CHECKING:
    from covenue.registry.index import PluginRow
    from covenue_contracts.plugin import PluginManifest

KERNEL = "covenue"
"""The id under which the kernel stands in the graph: the name of its distribution."""

Role = Literal["produces", "consumes"]
Agreement = Literal["agree", "differ", "unknown here"]
Verdict = Literal["PROVED", "REFUTED", "UNKNOWN"]


@dataclass(frozen=True)
class KernelNode:
    """The kernel, which stands at the other side of every hook."""

    id: str
    version: str


@dataclass(frozen=True)
class Endpoint:
    """A name that can be chosen, and the object `module:object` behind it."""

    name: str
    object: str


@dataclass(frozen=True)
class PluginNode:
    """One usable plugin: its entry point (`id = package`) and its endpoints, in order of name."""

    id: str
    version: str
    family: str
    entry_point: str
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that stands nowhere in the graph, and the sentence that says why."""

    id: str
    version: str
    error: str


@dataclass(frozen=True)
class Use:
    """What one plugin states of a contract, and whether its digest is this host's."""

    plugin: str
    role: Role
    digest: str
    here: Agreement


@dataclass(frozen=True)
class ContractNode:
    """One contract: this host's digest (None where it does not have it), and who speaks it.

    producers, consumers: ids, the kernel's among them where an edge says so; empty means nobody.
    """

    kind: str
    version: int
    digest: str | None
    uses: tuple[Use, ...]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]


@dataclass(frozen=True)
class Edge:
    """A contract from who produces it to who consumes it, with the digest that each of them holds.

    agreement: `differ` where the two differ, one is unstamped, or this host has another digest.
    verdict: whether every document of the producer's schema is one of the consumer's. Equal digests
    are one schema, which is PROVED; about different schemas digests say nothing, which is UNKNOWN.
    witness: where REFUTED, a document that the producer's schema admits and the consumer's does
    not.
    """

    producer: str
    kind: str
    consumer: str
    producer_digest: str | None
    consumer_digest: str | None
    agreement: Agreement
    verdict: Verdict
    witness: str | None = None


@dataclass(frozen=True)
class GraphOfContracts:
    """Plugins, contracts and edges, each in order; equal for equal rows in whatever order."""

    kernel: KernelNode
    plugins: tuple[PluginNode, ...]
    broken: tuple[BrokenPlugin, ...]
    contracts: tuple[ContractNode, ...]
    edges: tuple[Edge, ...]

    @property
    def agrees(self) -> bool:
        """Whether no edge differs, and no plugin states another digest than this host's."""
        stated = [use.here for contract in self.contracts for use in contract.uses]
        return "differ" not in [*stated, *(edge.agreement for edge in self.edges)]

    def about_contract(self, kind: str) -> "GraphOfContracts":
        """The part that speaks one contract; broken plugins stay, since nobody knows theirs."""
        edges = tuple(edge for edge in self.edges if edge.kind == kind)
        contracts = tuple(node for node in self.contracts if node.kind == kind)
        ids = {use.plugin for node in contracts for use in node.uses}
        return self._part(ids, contracts, edges)

    def about_plugin(self, plugin: str) -> "GraphOfContracts":
        """One plugin (or the kernel), its contracts, and whoever stands at their other end."""
        edges = tuple(edge for edge in self.edges if plugin in (edge.producer, edge.consumer))
        ids = {plugin, *(end for edge in edges for end in (edge.producer, edge.consumer))}
        kinds = {edge.kind for edge in edges} | {
            node.kind for node in self.contracts if plugin in {use.plugin for use in node.uses}
        }
        contracts = tuple(_of(node, ids) for node in self.contracts if node.kind in kinds)
        part = self._part(ids, contracts, edges)
        return replace(part, broken=tuple(row for row in self.broken if row.id == plugin))

    def _part(
        self, ids: set[str], contracts: tuple[ContractNode, ...], edges: tuple[Edge, ...]
    ) -> "GraphOfContracts":
        plugins = tuple(node for node in self.plugins if node.id in ids)
        return replace(self, plugins=plugins, contracts=contracts, edges=edges)

    def document(self) -> dict[str, Any]:
        """The graph as JSON types: fields as named in the classes of this module.

        {kernel: {id, version},
         plugins: [{id, version, family, entry_point, endpoints: [{name, object}]}],
         broken: [{id, version, error}],
         contracts: [{kind, version, digest | null, uses: [{plugin, role, digest, here}],
                      producers: [id], consumers: [id]}],
         edges: [{producer, kind, consumer, producer_digest | null, consumer_digest | null,
                  agreement, verdict, witness | null}],
         agrees: bool}
        """
        return {**asdict(self), "agrees": self.agrees}


def graph_of(rows: Iterable["PluginRow"]) -> GraphOfContracts:
    """The graph of installed plugins on this host; no plugin is imported."""
    from importlib.metadata import version

    ordered = sorted(rows, key=lambda row: (row.id, row.version, row.error or ""))
    usable = [(row, row.manifest) for row in ordered if row.manifest is not None]
    here = _digests_here()
    edges = tuple(sorted(set(_edges([manifest for _, manifest in usable], here)), key=_place))
    return GraphOfContracts(
        kernel=KernelNode(KERNEL, version(KERNEL)),
        plugins=tuple(_plugin(row, manifest) for row, manifest in usable),
        broken=tuple(
            BrokenPlugin(row.id, row.version, row.error or "it has no manifest")
            for row in ordered
            if row.manifest is None
        ),
        contracts=_contracts([manifest for _, manifest in usable], here, edges),
        edges=edges,
    )


def _digests_here() -> dict[str, str]:
    from covenue_contracts.catalogue import kinds, schema_digest

    return {kind: schema_digest(kind) for kind in kinds()}


def _plugin(row: "PluginRow", manifest: "PluginManifest") -> PluginNode:
    package = row.package.name if row.package else row.id.replace("-", "_")
    provided = sorted(manifest.provides, key=lambda one: one.name)
    return PluginNode(
        id=row.id,
        version=row.version,
        family=row.family,
        entry_point=f"{row.id} = {package}",
        endpoints=tuple(Endpoint(one.name, one.object) for one in provided),
    )


def _edges(manifests: Sequence["PluginManifest"], here: dict[str, str]) -> Iterator[Edge]:
    """Edges between plugins, and those between a plugin and the kernel at its family's hook."""
    from covenue.registry.traffic import traffic

    consumers = [(manifest.id, use) for manifest in manifests for use in manifest.consumes]
    for manifest in manifests:
        hook = traffic(manifest.family)
        for made in manifest.produces:
            own, ours = made.digest, here.get(made.kind)
            for other, use in consumers:
                if use.kind == made.kind and other != manifest.id:
                    yield _edge(manifest.id, made.kind, other, (own, use.digest), ours)
            if made.kind in hook.takes:
                yield _edge(manifest.id, made.kind, KERNEL, (own, ours), ours)
        for use in manifest.consumes:
            if use.kind in hook.hands:
                ours = here.get(use.kind)
                yield _edge(KERNEL, use.kind, manifest.id, (ours, use.digest), ours)


def _edge(
    producer: str,
    kind: str,
    consumer: str,
    digests: tuple[str | None, str | None],
    here: str | None,
) -> Edge:
    is_one_schema = digests[0] == digests[1] and not {None, UNSTAMPED} & set(digests)
    return Edge(
        producer=producer,
        kind=kind,
        consumer=consumer,
        producer_digest=digests[0],
        consumer_digest=digests[1],
        agreement=_agreement(digests, here),
        verdict="PROVED" if is_one_schema else "UNKNOWN",
    )


def _agreement(digests: Iterable[str | None], here: str | None) -> Agreement:
    held = set(digests)
    if len(held) > 1 or UNSTAMPED in held:
        return "differ"
    if here is None:
        return "unknown here"
    return "agree" if held == {here} else "differ"


def _place(edge: Edge) -> tuple[str, ...]:
    held = (edge.producer_digest or "", edge.consumer_digest or "")
    return (edge.kind, edge.producer, edge.consumer, *held)


def _contracts(
    manifests: Sequence["PluginManifest"], here: dict[str, str], edges: Sequence[Edge]
) -> tuple[ContractNode, ...]:
    """Every contract of this host, and every other one that a plugin states."""
    uses = sorted(set(_uses(manifests, here)), key=lambda pair: (pair[0], _order(pair[1])))
    kinds = sorted({*here, *(kind for kind, _ in uses)})
    return tuple(
        _contract(kind, here.get(kind), tuple(use for name, use in uses if name == kind), edges)
        for kind in kinds
    )


def _uses(manifests: Sequence["PluginManifest"], here: dict[str, str]) -> Iterator[tuple[str, Use]]:
    for manifest in manifests:
        for use in manifest.produces:
            agreement = _agreement([use.digest], here.get(use.kind))
            yield use.kind, Use(manifest.id, "produces", use.digest, agreement)
        for use in manifest.consumes:
            agreement = _agreement([use.digest], here.get(use.kind))
            yield use.kind, Use(manifest.id, "consumes", use.digest, agreement)


def _order(use: Use) -> tuple[str, ...]:
    return (use.plugin, use.role, use.digest)


def _contract(
    kind: str, digest: str | None, uses: tuple[Use, ...], edges: Sequence[Edge]
) -> ContractNode:
    producers = {edge.producer for edge in edges if edge.kind == kind}
    consumers = {edge.consumer for edge in edges if edge.kind == kind}
    return ContractNode(
        kind=kind,
        version=int(kind.rpartition("/v")[2]),
        digest=digest,
        uses=uses,
        producers=tuple(sorted(producers | {u.plugin for u in uses if u.role == "produces"})),
        consumers=tuple(sorted(consumers | {u.plugin for u in uses if u.role == "consumes"})),
    )


def _of(contract: ContractNode, ids: set[str]) -> ContractNode:
    """A contract as seen by a few: what others state of it is left out."""
    return replace(
        contract,
        uses=tuple(use for use in contract.uses if use.plugin in ids),
        producers=tuple(one for one in contract.producers if one in ids),
        consumers=tuple(one for one in contract.consumers if one in ids),
    )


__all__ = [
    "KERNEL",
    "Agreement",
    "BrokenPlugin",
    "ContractNode",
    "Edge",
    "Endpoint",
    "GraphOfContracts",
    "KernelNode",
    "PluginNode",
    "Role",
    "Use",
    "Verdict",
    "graph_of",
]
