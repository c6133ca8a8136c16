"""The manifest that every plugin wheel carries as `plugin.json`."""

from typing import Annotated, Literal

from pydantic import Field

from covenue_contracts.contract import (
    Contract,
    Count,
    Digest,
    Document,
    Kind,
    Name,
    Text,
    contract,
)

Family = Literal[
    "venues", "domains", "solvers", "privacy", "ledgers", "anchors", "policies", "engines", "tools"
]
Level = Literal["UNKNOWN", "UNSUPPORTED", "NOT_IMPLEMENTED", "PARTIAL", "FULL"]


@contract("provided/v1")
class Provided(Contract):
    """One thing that a plugin registers, chosen by `name`."""

    name: Name
    object: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$")]
    config: Document


@contract("contract-use/v1")
class ContractUse(Contract):
    """A contract that a plugin produces or consumes, with the digest of its schema."""

    kind: Kind
    digest: Digest


@contract("capability-level/v1")
class CapabilityLevel(Contract):
    """How far a capability is supported; PARTIAL states its limits."""

    name: Annotated[str, Field(pattern=r"^[A-Z][A-Z_]{0,31}$")]
    level: Level
    limits: Text | None


@contract("privacy-facts/v1")
class PrivacyFacts(Contract):
    """What a privacy mechanism lets the coordinator see, and the cohort it needs."""

    coordinator_sees: Literal["everything", "sums", "winner"]
    least_cohort: Count
    replay: Literal["identical", "eps-certified"]


@contract("plugin/v1")
class PluginManifest(Contract):
    """What a plugin says of itself, read before any of its code."""

    id: Name
    family: Family
    summary: Text
    licence: Text
    provides: Annotated[tuple[Provided, ...], Field(min_length=1)]
    produces: tuple[ContractUse, ...]
    consumes: tuple[ContractUse, ...]
    requires: tuple[Name, ...]
    conflicts: tuple[Name, ...]
    capabilities: tuple[CapabilityLevel, ...]
    privacy: PrivacyFacts | None
    determinism: Literal["identical", "recorded"]
    profile: Name
