"""Negotiation: needs, contracts, company and privacy facts, each refusal in words."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from covenue.errors import (
    BadInput,
    CapabilityMissing,
    ContractMismatch,
    PluginBroken,
    PluginUnknown,
)
from covenue.registry.load import Registry
from covenue.registry.negotiate import check_company, check_contracts, check_needs, check_privacy
from covenue.testing.hostile import PluginSketch
from covenue_contracts.catalogue import schema_digest
from covenue_contracts.plan import CohortPolicy

Install = Callable[..., Registry]


@dataclass(frozen=True)
class Offering:
    """A problem, or a solver, as far as negotiation looks at it."""

    capabilities: frozenset[str] = field(default_factory=frozenset)
    needs: frozenset[str] = field(default_factory=frozenset)


def offering(*capabilities: str) -> Any:
    return Offering(capabilities=frozenset(capabilities))


def needing(*capabilities: str) -> Any:
    return Offering(needs=frozenset(capabilities))


def policy(least: int) -> CohortPolicy:
    return CohortPolicy(
        least=least, colluders=0, drops=0, min_changed=0, differencing="refuse", reason=None
    )


def uses(edge: str, kind: str, digest: str) -> PluginSketch:
    return PluginSketch(manifest=((edge, [{"kind": kind, "digest": digest}]),))


def facts(sees: str, least: int) -> PluginSketch:
    stated = {"coordinator_sees": sees, "least_cohort": least, "replay": "identical"}
    return PluginSketch(family="privacy", manifest=(("privacy", stated),))


def test_a_missing_capability_is_said_as_the_style_note_says_it() -> None:
    problems = {"recorded": offering("DEPTH", "RESPOND"), "sim": offering("CURVATURE")}
    with pytest.raises(CapabilityMissing) as caught:
        check_needs(needing("CURVATURE"), problems, "dual", ["dual", "search"])
    assert caught.value.what == (
        "solver 'dual' needs CURVATURE; the problem of venue 'recorded' offers RESPOND, DEPTH"
    )
    assert caught.value.advice == (
        "choose solver 'search', or a venue or domain setting that offers CURVATURE"
    )


def test_the_first_venue_in_order_is_named_whatever_the_mapping_s_order() -> None:
    problems = {"z": offering(), "a": offering()}
    with pytest.raises(CapabilityMissing, match="venue 'a' offers nothing"):
        check_needs(needing("DEPTH"), problems)


def test_sufficient_problems_pass() -> None:
    check_needs(needing("DEPTH"), {"a": offering("DEPTH", "SCORE")}, "search")


def test_contracts_of_this_host_are_accepted(install: Install) -> None:
    check_contracts(install(uses("consumes", "query/v1", schema_digest("query/v1"))).rows())


@pytest.mark.parametrize("edge", ["produces", "consumes"])
def test_another_schema_is_refused_with_both_digests(install: Install, edge: str) -> None:
    registry = install(uses(edge, "query/v1", "ab" * 32))
    with pytest.raises(ContractMismatch) as caught:
        check_contracts(registry.rows())
    said = caught.value.what
    assert said.startswith("plugin covenue-solver-sketch 0.1.0 speaks query/v1 with digest abab")
    assert schema_digest("query/v1") in said
    assert "covenue-contracts and covenue-solver-sketch" in caught.value.advice


def test_an_unstamped_digest_is_refused_with_the_command_that_stamps_it(install: Install) -> None:
    registry = install(uses("produces", "query/v1", "0" * 64))
    with pytest.raises(ContractMismatch, match="unstamped digest") as caught:
        check_contracts(registry.rows())
    assert "covenue.testing.manifests --write" in caught.value.advice


def test_a_contract_unknown_to_this_host_is_refused_with_the_nearest(install: Install) -> None:
    registry = install(uses("consumes", "query/v9", "ab" * 32))
    with pytest.raises(ContractMismatch, match=r"does not have \(nearest: query/v1\)"):
        check_contracts(registry.rows())


def test_a_row_without_manifest_cannot_be_negotiated(install: Install) -> None:
    registry = install(PluginSketch(manifest=(("colour", "green"),)))
    with pytest.raises(PluginBroken, match="fails at manifest"):
        check_contracts(registry.rows())


def test_a_requirement_that_is_not_installed_is_named(install: Install) -> None:
    registry = install(PluginSketch(manifest=(("requires", ["covenue-venue-recorded"]),)))
    with pytest.raises(PluginUnknown, match="requires covenue-venue-recorded") as caught:
        check_company(registry.rows(), registry.rows())
    assert caught.value.advice.startswith("pip install")


def test_a_conflict_matters_only_where_both_are_chosen(install: Install) -> None:
    clash = PluginSketch(manifest=(("conflicts", ["covenue-solver-other"]),))
    registry = install(clash, PluginSketch(name="other"))
    one, other = registry.row("covenue-solver-sketch"), registry.row("covenue-solver-other")
    check_company([one], registry.rows())
    with pytest.raises(BadInput, match="conflicts with covenue-solver-other"):
        check_company([other, one], registry.rows())


def test_disclosing_runs_only_where_the_coordinator_sees_everything(install: Install) -> None:
    registry = install(facts("sums", 2))
    manifest = registry.rows()[0].manifest
    assert manifest is not None
    check_privacy([manifest], policy(2), frozenset({"DEPTH"}))
    with pytest.raises(CapabilityMissing, match="the coordinator sees sums only"):
        check_privacy([manifest], policy(2), frozenset({"DISCLOSE"}))


def test_a_cohort_smaller_than_a_mechanism_protects_is_refused(install: Install) -> None:
    manifest = install(facts("everything", 3)).rows()[0].manifest
    assert manifest is not None
    check_privacy([manifest], policy(3), frozenset({"DISCLOSE"}))
    with pytest.raises(BadInput, match="at least 3; the policy allows 2") as caught:
        check_privacy([manifest], policy(2))
    assert caught.value.field == "cohort.least"


def test_a_mechanism_without_privacy_facts_is_broken(install: Install) -> None:
    manifest = install(PluginSketch(family="privacy")).rows()[0].manifest
    assert manifest is not None
    with pytest.raises(PluginBroken, match="without privacy facts"):
        check_privacy([manifest], policy(2))


def test_what_negotiation_asks_is_what_the_protocols_offer() -> None:
    from covenue.hooks.domains import LocalProblem
    from covenue.hooks.solvers import Solver

    assert "capabilities" in vars(cast("type", LocalProblem))
    assert "needs" in vars(cast("type", Solver))
