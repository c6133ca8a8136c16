"""Everything about a scenario that can be checked before a ledger exists."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from covenue.errors import (
    BadInput,
    BudgetExhausted,
    CapabilityMissing,
    EntryTooLarge,
    HeadroomMissing,
    PluginUnknown,
    StateStale,
    replaced,
)
from covenue.hooks.domains import Domain, LocalProblem
from covenue.hooks.engines import Engine
from covenue.hooks.solvers import Solver
from covenue.hooks.venues import VenueAdapter
from covenue.identity.consents import agreed
from covenue.identity.roster import make_roster
from covenue.numerics.words import check_headroom
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
from covenue.rounds.choosing import AUTO, choose
from covenue.rounds.identities import Identity, demo_identity
from covenue.rounds.messages import query_digest
from covenue.rounds.parts import domain_of, mechanism_of, solver_of
from covenue.rounds.room import check_order, fits
from covenue.rounds.scenario import OrderEntry, PartyEntry, ScenarioFile
from covenue.rounds.scenario_options import SOLVER_OPTION
from covenue_contracts.canonical import sha256
from covenue_contracts.plan import Goal, Member, Order, PluginRef, QueryAsked, Roster

NO_PLAN = "0" * 64

Charges = Counter[tuple[str, str]]
"""Amounts by signal and kind of charge."""


@dataclass(frozen=True)
class PreparedParty:
    """One party, checked: its entry and its venue."""

    entry: PartyEntry
    venue: VenueAdapter


@dataclass(frozen=True)
class Prepared:
    """A scenario whose plugins, data, goals and budgets have been checked.

    warnings: what can run, but not to the end of all plans. why: why `auto` chose the solver, or
    empty where one was named.
    """

    scenario: ScenarioFile
    registry: Registry
    domain: Domain
    solver: Solver
    mechanism: Mechanism
    goals: tuple[Goal, ...]
    parties: tuple[PreparedParty, ...]
    plugins: tuple[PluginRef, ...]
    warnings: tuple[str, ...] = ()
    why: str = ""


def prepare(scenario: ScenarioFile, registry: Registry) -> Prepared:
    """Check everything that can be checked before a ledger exists; nothing is written.

    Raises CovenueErrors that name file, field, value and what to do.
    """
    file = str(scenario.path)
    scenario, why = _with_solver(scenario, registry)
    wanted = _wanted(scenario)
    rows = {row.id: row for row in (_found(registry, scenario, *pair) for pair in wanted)}
    check_contracts(list(rows.values()))
    check_company(list(rows.values()), registry.rows())
    domain = domain_of(registry, scenario.domain)
    with placed(file, "solver.options"):
        solver = solver_of(registry, scenario.solver, scenario.solver_options)
    mechanism = mechanism_of(registry, scenario.privacy)
    with placed(file, "privacy.mechanism"):
        _check_mechanism(scenario, registry, solver)
    registry.load("ledgers", scenario.ledger)
    _check_reopens(scenario, registry)
    with placed(file, "engine.options"):
        engine_of(scenario, registry)
    goals = tuple(
        goal_of(domain, number, order, file) for number, order in enumerate(scenario.orders)
    )
    parties = tuple(
        PreparedParty(entry, _checked_venue(registry, entry, file)) for entry in scenario.parties
    )
    plugins = tuple(registry.ref(family, name) for family, name in wanted)
    prepared = Prepared(scenario, registry, domain, solver, mechanism, goals, parties, plugins)
    _check_orders(prepared)
    return replace(prepared, warnings=_check_problems(prepared), why=why)


def _with_solver(scenario: ScenarioFile, registry: Registry) -> tuple[ScenarioFile, str]:
    """The scenario with the solver that `auto` chooses for its first order, and why.

    The choice becomes one of the given options, so that a run goes on with it, whatever has been
    installed meanwhile.
    """
    if scenario.solver != AUTO:
        return scenario, ""
    file = str(scenario.path)
    if scenario.solver_options:
        raise BadInput(
            "options belong to a solver, and `auto` is none",
            "leave solver.options out, or name the solver that they are for",
            file=file,
            field="solver.options",
            value=", ".join(sorted(scenario.solver_options)),
        )
    domain = domain_of(registry, scenario.domain)
    goal = goal_of(domain, 0, scenario.orders[0], file)
    parties = [PreparedParty(e, _checked_venue(registry, e, file)) for e in scenario.parties]
    try:
        problems = first_problems(scenario, domain, parties, scenario.orders[0], goal)
    finally:
        for party in parties:
            party.venue.close()
    members = previewed_members(scenario)
    chosen = choose(registry, domain.coupling(goal, members), problems, scenario.privacy)
    taken = replace(scenario, solver=chosen.name)
    if SOLVER_OPTION not in scenario.options:
        return taken, chosen.why
    given = {**scenario.chosen, SOLVER_OPTION.name: chosen.name}
    return replace(taken, chosen=given), chosen.why


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
def placed(file: str, field: str) -> Iterator[None]:
    """Say where in the scenario an error is about, where it does not say so itself."""
    try:
        yield
    except BadInput as error:
        raise replaced(error, file=error.file or file, field=error.field or field) from error


@contextmanager
def party_blamed(file: str, name: str) -> Iterator[None]:
    """Say whose settings an error is about: its field in the scenario, and the file."""
    try:
        yield
    except StateStale as error:
        raise BadInput(error.what, error.advice, file=file, field=f"party.{name}.folder") from error
    except HeadroomMissing as error:
        what = f"party '{name}': {error.what}"
        raise replaced(error, what=what, file=file, field=error.field or f"party.{name}") from error
    except BadInput as error:
        own = error.field.startswith(("config.", "party.config.", "venue_config."))
        field = f"party.{name}.{error.field.removeprefix('party.')}" if own else error.field
        raise replaced(error, file=error.file or file, field=field or f"party.{name}") from error


def _check_orders(prepared: Prepared) -> None:
    """Refuse an order that its own entry, or one of its first plan, could not hold."""
    scenario = prepared.scenario
    who = {name: preview(scenario, name) for name in _names(scenario)}
    roster = make_roster(who["coordinator"].key.did, members_of(scenario, who))
    keys = [who[entry.name].key for entry in scenario.parties]
    for entry, goal in zip(scenario.orders, prepared.goals, strict=True):
        order = agreed(order_of(scenario, entry, goal, roster, prepared.plugins), keys)
        with placed(str(scenario.path), "domain.goal"):
            check_order(order)
            _check_first_question(prepared, order)


def _names(scenario: ScenarioFile) -> Sequence[str]:
    return ["coordinator", *(entry.name for entry in scenario.parties)]


def _check_first_question(prepared: Prepared, order: Order) -> None:
    """Ask the solver what it would ask, and refuse what no entry holds."""
    coupling = prepared.domain.coupling(order.goal, order.roster.members)
    check_headroom(int(coupling.space.bound), len(order.roster.members))
    solver = prepared.solver
    query = solver.ask(solver.start(coupling, None), lambda asked: query_digest(NO_PLAN, asked))
    width = coupling.width(query)
    asked = QueryAsked(
        plan=NO_PLAN,
        round=1,
        digest=query_digest(NO_PLAN, query),
        query=query,
        width=width,
        expected=tuple(member.did for member in order.roster.members),
        cohort_fixed=False,
        retry_of=None,
    )
    if not fits(asked):
        raise EntryTooLarge(
            f"solver '{order.solver}' asks what no entry of the ledger holds: "
            f"{len(query.points)} points, answered by {width} words",
            "choose another solver, make its questions smaller, or plan fewer coordinates",
            field="solver.name",
            value=order.solver,
        )


def _check_problems(prepared: Prepared) -> tuple[str, ...]:
    """Build every party's first problem, as a node will, and match what the solver needs.

    Returns warnings: of budgets that do not carry all plans, and of states that end before them.
    """
    scenario = prepared.scenario
    others = prepared.registry.names("solvers")
    least: dict[str, Charges] = {entry.name: Counter() for entry in scenario.parties}
    stale: list[str] = []
    for number, (entry, goal) in enumerate(zip(scenario.orders, prepared.goals, strict=True)):
        problems = first_problems(scenario, prepared.domain, prepared.parties, entry, goal)
        for party in prepared.parties:
            with party_blamed(str(scenario.path), party.entry.name):
                stale.extend(_stale_at_end(party, entry, number))
        check_needs(prepared.solver, problems, scenario.solver, others)
        _check_budgets(prepared, problems, entry)
        for name, problem in problems.items():
            least[name] += _least_charges(prepared, problem, entry)
    short = (w for entry in scenario.parties for w in _short_budget(entry, least[entry.name]))
    return (*short, *stale)


def first_problems(
    scenario: ScenarioFile,
    domain: Domain,
    parties: Sequence[PreparedParty],
    order: OrderEntry,
    goal: Goal,
) -> dict[str, LocalProblem]:
    """Every party's problem of an order's first plan, by name, as a node will build it."""
    members = {member.name: member for member in previewed_members(scenario)}
    problems: dict[str, LocalProblem] = {}
    for party in parties:
        name = party.entry.name
        with party_blamed(str(scenario.path), name):
            state = party.venue.pin(order.start)
            problems[name] = domain.problem(
                goal, tuple(members.values()), members[name], state, party.entry.config
            )
    return problems


def _stale_at_end(party: PreparedParty, entry: OrderEntry, number: int) -> Iterator[str]:
    """A warning where the venue has no state for the last plan that an order may open."""
    last = min(entry.start + entry.every * (entry.plans - 1), entry.until)
    try:
        party.venue.pin(last)
    except StateStale as error:
        yield (
            f"party '{party.entry.name}' has no state for the last plan of order {number} at "
            f"{last}: {error.what}; lower plans, or set until"
        )


def _least_charges(prepared: Prepared, problem: LocalProblem, entry: OrderEntry) -> Charges:
    """What an order's plans take at least, by signal and kind.

    Each takes one answer, and where it is executed a commitment and a settlement.
    """
    asked = [participant.ANSWER_QUERY]
    if entry.mode != "standing":
        asked += [participant.COMMIT_QUERY, participant.SETTLE_QUERY]
    least: Charges = Counter()
    for query in asked:
        cost = prepared.mechanism.cost(query, problem.space)
        least[problem.space.signal, cost.kind] += entry.plans * int(cost.amount)
    return least


def _short_budget(entry: PartyEntry, least: Charges) -> Iterator[str]:
    """A warning where a party's allowance ends before the planned plans do."""
    for (signal, kind), need in sorted(least.items()):
        field, have = _allowance(entry, kind)
        if have < need:
            yield (
                f"the budget of party '{entry.name}' does not last: {field} is {have}, and the "
                f"planned plans take at least {need} of signal '{signal}'; raise "
                f"party.{entry.name}.budget.{field}, or lower plans"
            )


def _allowance(entry: PartyEntry, kind: str) -> tuple[str, int]:
    """A party's allowance for one kind of charge: its field, and how much it is."""
    return ("exact_max", entry.exact_max) if kind == "exact" else ("rho_max", entry.rho_max)


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
        field, have = _allowance(party.entry, cost.kind)
        if have < need:
            raise BudgetExhausted(
                f"party '{party.entry.name}' cannot carry one plan to its end: "
                f"that takes {need} {cost.kind} charges",
                "raise the budget of this party",
                file=str(prepared.scenario.path),
                field=f"party.{party.entry.name}.budget.{field}",
                value=str(have),
            )


def previewed_members(scenario: ScenarioFile) -> tuple[Member, ...]:
    """The roster's members under stand-in identities."""
    return members_of(scenario, {e.name: preview(scenario, e.name) for e in scenario.parties})


def order_of(
    scenario: ScenarioFile,
    entry: OrderEntry,
    goal: Goal,
    roster: Roster,
    plugins: Sequence[PluginRef],
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
        consents=(),
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
