"""Everything about a scenario that can be checked before a ledger exists."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from covenue.errors import (
    BadInput,
    BudgetExhausted,
    CapabilityMissing,
    PluginUnknown,
    StateStale,
    replaced,
)
from covenue.hooks.domains import Domain, LocalProblem
from covenue.hooks.engines import Engine
from covenue.hooks.solvers import Solver
from covenue.hooks.venues import VenueAdapter
from covenue.privacy.composition import Mechanism
from covenue.registry.index import PluginRow
from covenue.registry.load import Registry
from covenue.registry.negotiate import (
    check_company,
    check_contracts,
    check_needs,
    check_privacy,
)
from covenue.rounds import participant
from covenue.rounds.identities import Identity, demo_identity
from covenue.rounds.parts import domain_of, mechanism_of, solver_of
from covenue.rounds.scenario import OrderEntry, PartyEntry, ScenarioFile
from covenue_contracts.canonical import sha256
from covenue_contracts.ledger import DsseSignature
from covenue_contracts.plan import Goal, Member, Order, PluginRef, Roster


@dataclass(frozen=True)
class PreparedParty:
    """One party, checked: its entry and its venue."""

    entry: PartyEntry
    venue: VenueAdapter


@dataclass(frozen=True)
class Prepared:
    """A scenario whose plugins, data, goals and budgets have been checked."""

    scenario: ScenarioFile
    registry: Registry
    domain: Domain
    solver: Solver
    mechanism: Mechanism
    goals: tuple[Goal, ...]
    parties: tuple[PreparedParty, ...]
    plugins: tuple[PluginRef, ...]


def prepare(scenario: ScenarioFile, registry: Registry) -> Prepared:
    """Check everything that can be checked before a ledger exists; nothing is written.

    Raises CovenueErrors that name file, field, value and what to do.
    """
    file = str(scenario.path)
    wanted = _wanted(scenario)
    rows = {row.id: row for row in (_found(registry, scenario, *pair) for pair in wanted)}
    check_contracts(list(rows.values()))
    check_company(list(rows.values()), registry.rows())
    domain = domain_of(registry, scenario.domain)
    solver = solver_of(registry, scenario.solver, scenario.solver_options)
    mechanism = mechanism_of(registry, scenario.privacy)
    _check_mechanism(scenario, registry, solver)
    registry.load("ledgers", scenario.ledger)
    _check_reopens(scenario, registry)
    engine_of(scenario, registry)
    goals = tuple(
        goal_of(domain, number, order, file) for number, order in enumerate(scenario.orders)
    )
    parties = tuple(
        PreparedParty(entry, _checked_venue(registry, entry, file)) for entry in scenario.parties
    )
    plugins = tuple(registry.ref(family, name) for family, name in wanted)
    prepared = Prepared(scenario, registry, domain, solver, mechanism, goals, parties, plugins)
    _check_problems(prepared)
    return prepared


def _check_mechanism(scenario: ScenarioFile, registry: Registry, solver: Solver) -> None:
    rows = [registry.find("privacy", name) for name in scenario.privacy]
    manifests = [row.manifest for row in rows if row.manifest is not None]
    check_privacy(manifests, scenario.policy, frozenset(solver.needs))


def _found(registry: Registry, scenario: ScenarioFile, family: str, name: str) -> PluginRow:
    """The plugin of a name; when there is none, the file and field that ask for it."""
    try:
        return registry.find(family, name)
    except PluginUnknown as error:
        party = next((p.name for p in scenario.parties if p.venue == name), "")
        fields = {
            "domains": "domain.name",
            "solvers": "solver.name",
            "privacy": "privacy.mechanism",
            "ledgers": "ledger.backend",
            "engines": "engine.name",
            "venues": f"party.{party}.venue",
        }
        raise replaced(error, file=str(scenario.path), field=fields[family]) from error


def _wanted(scenario: ScenarioFile) -> list[tuple[str, str]]:
    venues = sorted({entry.venue for entry in scenario.parties})
    return [
        ("domains", scenario.domain),
        ("solvers", scenario.solver),
        *(("privacy", name) for name in scenario.privacy),
        ("ledgers", scenario.ledger),
        ("engines", scenario.engine),
        *(("venues", name) for name in venues),
    ]


def goal_of(domain: Domain, number: int, order: OrderEntry, file: str) -> Goal:
    """An order's goal; `mode` is the order's own, and an error says which order it is."""
    table: dict[str, Any] = {**order.goal, "mode": order.mode}
    try:
        return domain.goal(table, file)
    except BadInput as error:
        raise replaced(error, file=file, field=f"{error.field} (order {number})") from error


def _check_reopens(scenario: ScenarioFile, registry: Registry) -> None:
    """A run is kept in files: refuse a backend that forgets when its process ends."""
    manifest = registry.find("ledgers", scenario.ledger).manifest
    levels = {c.name: c.level for c in manifest.capabilities} if manifest is not None else {}
    if levels.get("REOPEN") != "FULL":
        raise CapabilityMissing(
            f"ledger '{scenario.ledger}' cannot be reopened, so nobody could verify the run",
            'write backend = "sqlite"; a ledger in memory is for notebooks',
            file=str(scenario.path),
            field="ledger.backend",
            value=scenario.ledger,
        )


def engine_of(scenario: ScenarioFile, registry: Registry) -> Engine:
    """The engine of a scenario, with its options."""
    return cast("Engine", registry.build("engines", scenario.engine, scenario.engine_options))


def venue_of(registry: Registry, entry: PartyEntry, journal: Path | None) -> VenueAdapter:
    """A party's venue; with `journal`, one that writes there what it did, for a restart."""
    config = dict(entry.venue_config)
    if journal is not None:
        config["journal"] = str(journal)
    return cast("VenueAdapter", registry.build("venues", entry.venue, config, entry.folder))


def _checked_venue(registry: Registry, entry: PartyEntry, file: str) -> VenueAdapter:
    with party_blamed(file, entry.name):
        return venue_of(registry, entry, None)


@contextmanager
def party_blamed(file: str, name: str) -> Iterator[None]:
    """Say whose settings an error is about: its field in the scenario, and the file."""
    try:
        yield
    except StateStale as error:
        raise BadInput(error.what, error.advice, file=file, field=f"party.{name}.folder") from error
    except BadInput as error:
        own = error.field.startswith(("config.", "party.config.", "venue_config."))
        field = f"party.{name}.{error.field.removeprefix('party.')}" if own else error.field
        raise replaced(error, file=error.file or file, field=field or f"party.{name}") from error


def _check_problems(prepared: Prepared) -> None:
    """Build every party's first problem, as a node will, and match what the solver needs."""
    scenario = prepared.scenario
    members = members_of(scenario, {p.name: preview(scenario, p.name) for p in scenario.parties})
    others = prepared.registry.names("solvers")
    problems: dict[str, LocalProblem] = {}
    for entry, goal in zip(scenario.orders, prepared.goals, strict=True):
        for party in prepared.parties:
            member = next(m for m in members if m.name == party.entry.name)
            with party_blamed(str(scenario.path), party.entry.name):
                snapshot = party.venue.pin(entry.start)
                problems[party.entry.name] = prepared.domain.problem(
                    goal, members, member, snapshot, party.entry.config
                )
        check_needs(prepared.solver, problems, scenario.solver, others)
        _check_budgets(prepared, problems, entry)


def preview(scenario: ScenarioFile, name: str) -> Identity:
    """A stand-in identity for checks: problems and budgets do not depend on who signs."""
    return demo_identity(scenario.seed, "party", name)


def _check_budgets(
    prepared: Prepared, problems: Mapping[str, LocalProblem], order: OrderEntry
) -> None:
    """Refuse a budget that does not carry one plan of this order to its end."""
    for party in prepared.parties:
        space = problems[party.entry.name].space
        tries = 1 + order.retries
        settling = 0 if order.mode == "standing" else 2 * tries
        cost = prepared.mechanism.cost(participant.COMMIT_QUERY, space)
        need = int(cost.amount) * (1 + settling)
        have = party.entry.exact_max if cost.kind == "exact" else party.entry.rho_max
        if have < need:
            raise BudgetExhausted(
                f"party '{party.entry.name}' cannot carry one plan to its end: "
                f"that takes {need} {cost.kind} charges",
                "raise the budget of this party",
                file=str(prepared.scenario.path),
                field=f"party.{party.entry.name}.budget."
                f"{'exact_max' if cost.kind == 'exact' else 'rho_max'}",
                value=str(have),
            )


def order_of(
    scenario: ScenarioFile,
    entry: OrderEntry,
    goal: Goal,
    roster: Roster,
    plugins: Sequence[PluginRef],
    *,
    consents: Sequence[DsseSignature],
) -> Order:
    """An order of a scenario, as the ledger records it."""
    return Order(
        goal=goal,
        mode=entry.mode,
        plans_max=entry.plans,
        every=str(entry.every),
        until=str(entry.until),
        roster=roster,
        policy=scenario.policy,
        consents=tuple(consents),
        deadlines=scenario.deadlines,
        plugins=tuple(plugins),
        solver=scenario.solver,
        solver_options=dict(scenario.solver_options),
        privacy=scenario.privacy,
        rounds_max=entry.rounds_max,
        retries=entry.retries,
        seed=sha256(b"covenue/order-seed/1", scenario.seed.encode()),
    )


def members_of(scenario: ScenarioFile, who: Mapping[str, Identity]) -> tuple[Member, ...]:
    """The roster's members, in order of did."""
    members = [
        Member(did=who[entry.name].key.did, name=entry.name, slot=entry.slot)
        for entry in scenario.parties
    ]
    return tuple(sorted(members, key=lambda member: member.did))
