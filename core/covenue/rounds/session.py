"""One run of a scenario: checked first, then its ledgers, its processes, its orders.

`prepare` touches no output; `run` starts, `resume` continues, `kill` stops.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from covenue.errors import (
    BadInput,
    BudgetExhausted,
    ForeignLedger,
    OutputExists,
    PluginUnknown,
    replaced,
)
from covenue.hooks.domains import Domain, LocalProblem, OpenedParty, Section
from covenue.hooks.engines import Engine
from covenue.hooks.ledgers import LedgerBackend
from covenue.hooks.solvers import Solver
from covenue.hooks.venues import VenueAdapter
from covenue.identity.roster import make_roster
from covenue.ledger.audit_log import AuditLog
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
from covenue.rounds.clocks import RecordedClock
from covenue.rounds.identities import Identity, demo_identity, kept_identity
from covenue.rounds.opened import ending, opened_plans, rounds_median, traffic
from covenue.rounds.parts import builder, domain_of, mechanism_of, parts_of, solver_of
from covenue.rounds.run import CoordinatorProcess, NodeProcess, follower, open_budgets
from covenue.rounds.scenario import OrderEntry, PartyEntry, ScenarioFile, read_scenario
from covenue_contracts.canonical import sha256
from covenue_contracts.catalogue import schema_digest
from covenue_contracts.ledger import ClockReading
from covenue_contracts.plan import Goal, Member, Order, PluginRef
from covenue_contracts.privacy import PrivacyBudget

LEDGER = "plan.ledger"
SIDECAR = "run.json"
LOCK = "run.lock"
STOP = "stop.json"
DELTA_EXPONENT = 6


@dataclass(frozen=True)
class Progress:
    """How far a run is: the act, plans done of plans expected, and a word on the last one."""

    act: str
    done: int
    total: int
    note: str


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


@dataclass(frozen=True)
class RunResult:
    """What a run produced; `summary` holds JSON types only."""

    status: str
    ledger: Path
    root: str
    summary: dict[str, Any]
    facts: dict[str, str]
    sections: tuple[Section, ...]


@dataclass
class _Run:
    """A run under way: its folder, logs and processes."""

    prepared: Prepared
    out: Path
    clock: RecordedClock
    log: AuditLog
    process: CoordinatorProcess
    nodes: dict[str, NodeProcess]
    orders: tuple[tuple[OrderEntry, Order], ...]
    progress: Callable[[Progress], None]
    seen: int = 0
    act: str = ""
    total: int = 0
    logs: dict[str, AuditLog] = field(default_factory=dict)


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
    _engine(scenario, registry)
    goals = tuple(domain.goal(_flat(order.goal), file) for order in scenario.orders)
    parties = tuple(
        PreparedParty(entry, _venue(registry, entry, None)) for entry in scenario.parties
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


def _flat(goal: Mapping[str, Any]) -> dict[str, Any]:
    return dict(goal)


def _engine(scenario: ScenarioFile, registry: Registry) -> Engine:
    return cast("Engine", registry.build("engines", scenario.engine, scenario.engine_options))


def _venue(registry: Registry, entry: PartyEntry, out: Path | None) -> VenueAdapter:
    """A party's venue; with `out`, one that keeps a journal there and survives a restart."""
    config = dict(entry.venue_config)
    if out is not None:
        config["journal"] = str(out / "parties" / f"{entry.name}.journal")
    return cast("VenueAdapter", registry.build("venues", entry.venue, config, entry.folder))


def _check_problems(prepared: Prepared) -> None:
    """Build every party's first problem, as a node will, and match what the solver needs."""
    scenario = prepared.scenario
    members = _members(scenario, {p.name: _preview(scenario, p.name) for p in scenario.parties})
    others = prepared.registry.names("solvers")
    problems: dict[str, LocalProblem] = {}
    for entry, goal in zip(scenario.orders, prepared.goals, strict=True):
        for party in prepared.parties:
            member = next(m for m in members if m.name == party.entry.name)
            snapshot = party.venue.pin(entry.start)
            problems[party.entry.name] = prepared.domain.problem(
                goal, members, member, snapshot, party.entry.config
            )
        check_needs(prepared.solver, problems, scenario.solver, others)
        _check_budgets(prepared, problems, entry)


def _preview(scenario: ScenarioFile, name: str) -> Identity:
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


# ---- starting


def run(
    prepared: Prepared,
    out: Path,
    progress: Callable[[Progress], None] = lambda _: None,
    pace: float = 0.0,
) -> RunResult:
    """Run a prepared scenario into an empty place.

    pace: multiple of recorded time; 0 runs as fast as it can. Raises OutputExists when the
    folder already holds a ledger.
    """
    out = out.resolve()
    if (out / LEDGER).exists():
        raise OutputExists(
            "there is a ledger already",
            "choose another --out, or continue it with `covenue run --resume`",
            file=str(out / LEDGER),
        )
    (out / "parties").mkdir(parents=True, exist_ok=True)
    with _locked(out):
        _write_sidecar(prepared, out)
        started = _start(prepared, out, progress, pace, create=True)
        return _finish(started)


def resume(
    ledger: Path,
    registry: Registry,
    progress: Callable[[Progress], None] = lambda _: None,
    pace: float = 0.0,
) -> RunResult:
    """Continue an interrupted run where its ledger ends; what is due is done, nothing twice."""
    prepared, out = reopen(ledger, registry)
    with _locked(out):
        return _finish(_start(prepared, out, progress, pace, create=False))


def reopen(ledger: Path, registry: Registry) -> tuple[Prepared, Path]:
    """The scenario that a ledger was written from, prepared again."""
    out = ledger.resolve().parent
    if not ledger.is_file():
        raise BadInput("there is no ledger", "give the path of a plan.ledger", file=str(ledger))
    try:
        sidecar = json.loads((out / SIDECAR).read_text())
        path, chosen = Path(sidecar["scenario"]), dict(sidecar["options"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            "the run's own notes are missing or unreadable",
            "keep run.json beside the ledger; it names the scenario and the parties' folders",
            file=str(out / SIDECAR),
        ) from error
    return prepare(read_scenario(path, chosen), registry), out


def _write_sidecar(prepared: Prepared, out: Path) -> None:
    """What describes this machine stays outside the ledger: paths, and the options chosen."""
    scenario = prepared.scenario
    body = {
        "scenario": str(scenario.path.resolve()),
        "options": dict(scenario.chosen),
        "folders": {party.entry.name: str(party.entry.folder) for party in prepared.parties},
    }
    (out / SIDECAR).write_text(json.dumps(body, indent=2, sort_keys=True) + "\n")


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the folder: one run at a time."""
    handle = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInput(
                "another process is running this ledger",
                "wait for it, or stop its plan with `covenue kill`",
                file=str(out / LEDGER),
            ) from error
        yield
    finally:
        os.close(handle)


def _identities(prepared: Prepared, out: Path, *, create: bool) -> dict[str, Identity]:
    scenario = prepared.scenario
    names = ["coordinator", *(party.entry.name for party in prepared.parties)]
    if scenario.demo:
        roles = ["coordinator", *(["party"] * len(prepared.parties))]
        return {
            name: demo_identity(scenario.seed, role, name)
            for role, name in zip(roles, names, strict=True)
        }
    return {name: kept_identity(out / "keys" / f"{name}.master", create=create) for name in names}


def _members(scenario: ScenarioFile, who: Mapping[str, Identity]) -> tuple[Member, ...]:
    members = [
        Member(did=who[entry.name].key.did, name=entry.name, slot=entry.slot)
        for entry in scenario.parties
    ]
    return tuple(sorted(members, key=lambda member: member.did))


def _orders(
    prepared: Prepared, who: Mapping[str, Identity]
) -> tuple[tuple[OrderEntry, Order], ...]:
    scenario = prepared.scenario
    roster = make_roster(who["coordinator"].key.did, _members(scenario, who))
    return tuple(
        (
            entry,
            Order(
                goal=goal,
                mode=entry.mode,
                plans_max=entry.plans,
                every=str(entry.every),
                until=str(entry.until),
                roster=roster,
                policy=scenario.policy,
                deadlines=scenario.deadlines,
                plugins=prepared.plugins,
                solver=scenario.solver,
                solver_options=dict(scenario.solver_options),
                privacy=scenario.privacy,
                rounds_max=entry.rounds_max,
                retries=entry.retries,
                seed=sha256(b"covenue/order-seed/1", scenario.seed.encode()),
            ),
        )
        for entry, goal in zip(scenario.orders, prepared.goals, strict=True)
    )


def _start(
    prepared: Prepared,
    out: Path,
    progress: Callable[[Progress], None],
    pace: float,
    *,
    create: bool,
) -> _Run:
    who = _identities(prepared, out, create=create)
    prepared = _journalled(prepared, out)
    clock = RecordedClock(min(order.start for order in prepared.scenario.orders), pace)
    log = _log(prepared, out / LEDGER, who["coordinator"], "coordinator", clock, create=create)
    process = CoordinatorProcess(log, parts_of(prepared.registry))
    started = _Run(prepared, out, clock, log, process, {}, _orders(prepared, who), progress)
    for party in prepared.parties:
        started.nodes[party.entry.name] = _node(started, party, who, create=create)
    if not create:
        _catch_up_clock(started)
    return started


def _journalled(prepared: Prepared, out: Path) -> Prepared:
    """The same parties with venues that keep their journals in the run's folder."""
    for party in prepared.parties:
        party.venue.close()
    parties = tuple(
        PreparedParty(party.entry, _venue(prepared.registry, party.entry, out))
        for party in prepared.parties
    )
    return replace(prepared, parties=parties)


def _log(
    prepared: Prepared,
    path: Path,
    identity: Identity,
    role: str,
    clock: RecordedClock,
    *,
    create: bool,
) -> AuditLog:
    scenario = prepared.scenario
    factory = prepared.registry.load("ledgers", scenario.ledger)
    backend = cast("LedgerBackend", factory(path, create=create, writable=True))
    if not create:
        try:
            return AuditLog.open(backend, identity.key, secret=identity.log_secret)
        except ForeignLedger as error:
            backend.close()
            raise replaced(error, file=str(path)) from error
    return AuditLog.create(
        backend,
        identity.key,
        origin=f"covenue/{scenario.name}/{role}",
        secret=identity.log_secret,
        clock=clock.read(),
        config={"role": "coordinator" if role == "coordinator" else "node"},
        demo=scenario.demo,
    )


def _node(
    started: _Run, party: PreparedParty, who: Mapping[str, Identity], *, create: bool
) -> NodeProcess:
    prepared, name = started.prepared, party.entry.name
    path = party_ledger(started.out, name)
    log = _log(prepared, path, who[name], name, started.clock, create=create)
    started.logs[name] = log
    if create:
        open_budgets(log, _budgets(prepared, party), started.clock.read())
    own = participant.Self(
        who[name].key,
        who[name].master,
        builder(prepared.domain, party.entry.config),
        prepared.mechanism,
        schema_digest,
    )
    return NodeProcess(own, log, party.venue, follower(started.log.origin, started.log.did))


def party_ledger(out: Path, name: str) -> Path:
    """Where a party's own ledger lies beside the plan's."""
    return out / "parties" / f"{name}.ledger"


def _budgets(prepared: Prepared, party: PreparedParty) -> Sequence[PrivacyBudget]:
    """One allowance for each signal that the domain's couplings name."""
    members = _members(
        prepared.scenario,
        {p.name: _preview(prepared.scenario, p.name) for p in prepared.scenario.parties},
    )
    signals = {prepared.domain.coupling(goal, members).space.signal for goal in prepared.goals}
    return [
        PrivacyBudget(
            signal=signal,
            rho_max=str(party.entry.rho_max),
            exact_max=str(party.entry.exact_max),
            delta_exponent=DELTA_EXPONENT,
            adjacency="replace-one-venue",
        )
        for signal in sorted(signals)
    ]


def _catch_up_clock(started: _Run) -> None:
    """Continue the recorded clock where the ledger's last entry read it."""
    logs = [started.log, *started.logs.values()]
    readings = [log.entry(log.size - 1).header.clock for log in logs]
    latest = max(readings, key=lambda r: (_boot(r), int(r.monotonic)))
    started.clock.wall = int(latest.wall)
    started.clock.elapsed = int(latest.monotonic)
    started.clock.boot = _boot(latest)


def _boot(reading: ClockReading) -> int:
    return int(reading.boot.rpartition("-")[2])


# ---- running


def _finish(started: _Run) -> RunResult:
    """Run what is left of every order, close the ledgers, and sum up."""
    process = started.process
    done = process.state.orders
    if not process.done():
        _drive(started, started.orders[done - 1][0])
    for entry, order in started.orders[done:]:
        started.clock.start_at(entry.start)
        process.order(order, started.clock.read())
        _drive(started, entry)
    result = _result(started)
    for log in (started.log, *started.logs.values()):
        log.close()
    for party in started.prepared.parties:
        party.venue.close()
    return result


def _drive(started: _Run, entry: OrderEntry) -> None:
    started.act, started.total, started.seen = entry.mode, entry.plans, 0
    engine = _engine(started.prepared.scenario, started.prepared.registry)
    engine.run(
        started.process,
        tuple(started.nodes.values()),
        started.clock,
        lambda: _between(started),
    )


def _between(started: _Run) -> bool:
    """Between two steps: tell how far we are, and look for somebody's kill switch."""
    book = started.process.state.book
    if book is not None and book.plans != started.seen:
        started.seen = book.plans
        left = ", ".join(book.plan.opened.goal.remaining) if book.plan else ""
        started.progress(Progress(started.act, book.plans, started.total, f"left: {left}"))
    stop = started.out / STOP
    if stop.exists():
        order = _read_stop(stop)
        started.process.kill(order["plan"], order["reason"], started.clock.read())
        stop.unlink()
    return False


def _read_stop(path: Path) -> dict[str, str]:
    try:
        body = json.loads(path.read_text())
        return {"plan": str(body["plan"]), "reason": str(body["reason"])}
    except (ValueError, KeyError, TypeError):
        return {"plan": "0" * 64, "reason": "unreadable"}


def _result(started: _Run) -> RunResult:
    prepared, log = started.prepared, started.log
    plans = opened_plans(log, started.logs)
    status = ending(log)
    names = {node.did: name for name, node in started.nodes.items()}
    left = traffic(log)
    members = {m.name: m for m in started.orders[0][1].roster.members}
    parties = [
        OpenedParty(
            members[party.entry.name],
            party.entry.config,
            _venue(prepared.registry, party.entry, None),  # as recorded: nothing consumed
        )
        for party in prepared.parties
    ]
    figures = prepared.domain.opened_figures(plans, parties)
    summary: dict[str, Any] = {
        "status": status,
        "scenario": prepared.scenario.name,
        "parties": len(prepared.parties),
        "ledger": str(started.out / LEDGER),
        "root": log.root().hex(),
        "entries": log.size,
        "bytes_per_party_per_round": left.per_party_per_round(),
        "bytes_left": {names[did]: size for did, size in sorted(left.bytes.items())},
        "rounds_median": rounds_median(plans),
        "venues": {p.entry.name: dict(p.venue.facts()) for p in prepared.parties},
        **figures,
    }
    facts = {
        "scenario": prepared.scenario.name,
        "status": status,
        "root": log.root().hex(),
        "entries": str(log.size),
        "mechanism": prepared.mechanism.name,
        "identities": "derived from the scenario's seed (demo)"
        if prepared.scenario.demo
        else "own",
    }
    sections = tuple(prepared.domain.sections(figures, plans))
    return RunResult(status, started.out / LEDGER, log.root().hex(), summary, facts, sections)


# ---- stopping


def kill(plan: str, reason: str, ledger: Path, registry: Registry) -> dict[str, Any]:
    """Stop a plan: through its running process, or, where none runs, in the ledger itself.

    Raises BadInput when the ledger knows no such plan, or it cannot be stopped any more.
    """
    out = ledger.resolve().parent
    if not ledger.is_file():
        raise BadInput("there is no ledger", "give the path of a plan.ledger", file=str(ledger))
    try:
        with _locked(out):
            return _kill_at_rest(plan, reason, ledger, registry)
    except BadInput as error:
        if "another process" not in error.what:
            raise
    waiting = out / f"{STOP}.part"
    waiting.write_text(json.dumps({"plan": plan, "reason": reason}))
    waiting.replace(out / STOP)
    return {"plan": plan, "ledger": str(ledger), "how": "told the running process"}


def _kill_at_rest(plan: str, reason: str, ledger: Path, registry: Registry) -> dict[str, Any]:
    prepared, out = reopen(ledger, registry)
    who = _identities(prepared, out, create=False)
    clock = RecordedClock(0)
    log = _log(prepared, ledger, who["coordinator"], "coordinator", clock, create=False)
    try:
        last = log.entry(log.size - 1).header.clock
        process = CoordinatorProcess(log, parts_of(registry))
        if not process.kill(plan, reason, last):
            raise BadInput(
                "this plan cannot be stopped: it is unknown or its order has ended",
                "see the open plans with `covenue ledger show --kind plan.open`",
                file=str(ledger),
                field="plan",
                value=plan,
            )
    finally:
        log.close()
    return {"plan": plan, "ledger": str(ledger), "how": "written into the resting ledger"}
