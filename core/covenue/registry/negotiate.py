"""What this running host and the chosen plugins can do together, settled before round 1."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from covenue.errors import (
    BadInput,
    CapabilityMissing,
    ContractMismatch,
    PluginBroken,
    PluginUnknown,
)
from covenue.registry.index import PluginRow
from covenue.registry.names import nearest_kind, pip_command, starter_ids

if TYPE_CHECKING:
    from covenue.hooks.domains import LocalProblem
    from covenue.hooks.solvers import Solver
    from covenue_contracts.plan import CohortPolicy
    from covenue_contracts.plugin import ContractUse, PluginManifest

UNSTAMPED = "0" * 64


def check_needs(
    solver: "Solver",
    problems: "Mapping[str, LocalProblem]",
    name: str = "",
    others: Iterable[str] = (),
) -> None:
    """Match what a solver needs against built local problems, by venue.

    name: the solver's name; others: further installed solvers, for the advice.
    Raises CapabilityMissing, naming the first venue (in order) whose problem does not suffice.
    """
    called = name or type(solver).__name__
    for venue in sorted(problems):
        offered = problems[venue].capabilities
        if missing := solver.needs - offered:
            raise CapabilityMissing(
                f"solver {called!r} needs {_listed(missing)}; the problem of venue {venue!r} "
                f"offers {_listed(offered)}",
                _other_solver(called, others)
                + f"a venue or domain setting that offers {_listed(missing)}",
                field="solver.name",
                value=called,
            )


def _listed(capabilities: Iterable[str]) -> str:
    return ", ".join(sorted(capabilities, key=_rank)) or "nothing"


def _rank(capability: str) -> int:
    """Place in the order in which architecture.md lists the capabilities."""
    from typing import get_args

    from covenue_contracts.shared import Capability

    known = get_args(Capability)
    return known.index(capability) if capability in known else len(known)


def _other_solver(called: str, others: Iterable[str]) -> str:
    named = [repr(other) for other in sorted(set(others)) if other != called]
    return f"choose solver {' or '.join(named)}, or " if named else "choose "


def check_contracts(rows: Sequence[PluginRow]) -> None:
    """Compare each plugin's contracts, by schema digest, with those of this host.

    Raises ContractMismatch, naming plugin, kind and both digests, and PluginBroken on a row
    without a manifest.
    """
    from covenue_contracts.catalogue import kinds, schema_digest

    known = set(kinds())
    for row in sorted(rows, key=lambda row: row.id):
        manifest = _manifest(row)
        for use in (*manifest.produces, *manifest.consumes):
            _check_use(row, use, schema_digest(use.kind) if use.kind in known else None, known)


def _check_use(row: PluginRow, use: "ContractUse", host: str | None, known: set[str]) -> None:
    if use.digest == host:
        return
    if host is None:
        close = nearest_kind(use.kind, known)
        what = "which this host does not have" + (f" (nearest: {close})" if close else "")
        advice = "install a covenue that has it, see `covenue contracts list`"
    elif use.digest == UNSTAMPED:
        what = f"with an unstamped digest; this host's is {host}"
        advice = "stamp the manifest: python -m covenue.testing.manifests --write"
    else:
        what = f"with digest {use.digest}; this host's is {host}"
        advice = f"install versions of covenue-contracts and {row.id} that were released together"
    raise ContractMismatch(
        f"plugin {row.id} {row.version} speaks {use.kind} {what}",
        advice,
        field=use.kind,
        value=use.digest,
    )


def check_company(rows: Sequence[PluginRow], installed: Sequence[PluginRow]) -> None:
    """Check `requires` against what is installed and `conflicts` against what is chosen.

    Raises PluginUnknown for a required plugin that is not there, BadInput for a conflict.
    """
    usable = {row.id for row in installed if row.manifest}
    chosen = {row.id for row in rows}
    for row in sorted(rows, key=lambda row: row.id):
        manifest = _manifest(row)
        for needed in sorted(set(manifest.requires) - usable):
            raise PluginUnknown(
                f"plugin {row.id} requires {needed}, which is not installed",
                pip_command(needed) if needed in starter_ids() else f"install {needed}",
                field="requires",
                value=needed,
            )
        for other in sorted(set(manifest.conflicts) & chosen):
            raise BadInput(
                f"plugin {row.id} conflicts with {other}, and both are chosen",
                f"choose another plugin in place of {row.id} or {other}",
                field="conflicts",
                value=other,
            )


def _manifest(row: PluginRow) -> "PluginManifest":
    if row.manifest is None:
        raise PluginBroken(
            f"plugin {row.id} {row.version} fails at manifest: {row.error}",
            f"repair or uninstall {row.id}",
        )
    return row.manifest


def check_privacy(
    manifests: "Sequence[PluginManifest]",
    policy: "CohortPolicy",
    needs: frozenset[str] = frozenset(),
) -> None:
    """Check the chosen mechanisms against the cohort policy and what the solver asks for.

    DISCLOSE runs only where every mechanism says that the coordinator sees everything.
    Raises CapabilityMissing, BadInput (`cohort.least`) or PluginBroken (no privacy facts).
    """
    for manifest in manifests:
        facts = manifest.privacy
        if facts is None:
            raise PluginBroken(
                f"plugin {manifest.id} fails at manifest: a mechanism without privacy facts",
                f"repair or uninstall {manifest.id}",
            )
        if "DISCLOSE" in needs and facts.coordinator_sees != "everything":
            raise CapabilityMissing(
                f"the solver needs DISCLOSE; under {manifest.id} the coordinator sees "
                f"{facts.coordinator_sees} only",
                "choose privacy mechanism 'open', or a solver that works on sums",
                field="privacy.mechanism",
                value=manifest.id,
            )
        if facts.least_cohort > policy.least:
            raise BadInput(
                f"{manifest.id} protects cohorts of at least {facts.least_cohort}; the policy "
                f"allows {policy.least}",
                f"set least = {facts.least_cohort} or more in [cohort]",
                field="cohort.least",
                value=str(policy.least),
            )
