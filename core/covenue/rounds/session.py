"""One run of a scenario: its ledgers, its processes, its orders; started or resumed."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from covenue.errors import BadInput, ForeignLedger, replaced
from covenue.hooks.domains import OpenedParty, Section
from covenue.hooks.ledgers import LedgerBackend
from covenue.identity.consents import agreed
from covenue.identity.roster import make_roster
from covenue.ledger.audit_log import AuditLog
from covenue.registry.load import Registry
from covenue.rounds import node_state
from covenue.rounds.clocks import RecordedClock
from covenue.rounds.identities import Identity
from covenue.rounds.opened import ending, opened_plans, rounds_median, traffic, void_reasons
from covenue.rounds.output import (
    LEDGER,
    PARTIES,
    STOP,
    STOPPED,
    clear_start,
    identities,
    locked,
    party_journal,
    party_ledger,
    read_stop,
    refuse_begun,
    reopen,
    write_private,
    write_sidecar,
)
from covenue.rounds.parts import builder, parts_of
from covenue.rounds.pinned import Pins, check_orders, check_party, order_pins, party_pins
from covenue.rounds.preflight import (
    Prepared,
    PreparedParty,
    engine_of,
    members_of,
    order_of,
    preview,
    venue_of,
)
from covenue.rounds.run import CoordinatorProcess, NodeProcess, follower, open_budgets
from covenue.rounds.scenario import OrderEntry
from covenue.rounds.sight import first_sight, overrides, own_words, sight_section
from covenue_contracts.catalogue import schema_digest
from covenue_contracts.ledger import ClockReading
from covenue_contracts.plan import CohortPolicy, Order
from covenue_contracts.privacy import PrivacyBudget

DELTA_EXPONENT = 6


@dataclass(frozen=True)
class Progress:
    """How far a run is: the act, plans done of plans expected, and a word on the last one."""

    act: str
    done: int
    total: int
    note: str


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
    logs: dict[str, AuditLog]
    seen: int = 0
    act: str = ""
    total: int = 0


@dataclass(frozen=True)
class RecordedPace:
    """How a run is watched, and how fast recorded time goes by (0: as fast as it can)."""

    progress: Callable[[Progress], None]
    pace: float


def run(
    prepared: Prepared,
    out: Path,
    progress: Callable[[Progress], None] = lambda _: None,
    pace: float = 0.0,
) -> RunResult:
    """Run a prepared scenario into an empty place.

    pace: multiple of recorded time; 0 runs as fast as it can. Raises OutputExists when the
    folder already holds a ledger; what a start that was cut short left there is taken away.
    """
    out = out.resolve()
    refuse_begun(out)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(out), ExitStack() as held:
        refuse_begun(out)
        clear_start(out)
        write_sidecar(prepared, out, begun=False)
        (out / PARTIES).mkdir(mode=0o700, exist_ok=True)
        return _finish(_start(prepared, out, RecordedPace(progress, pace), held, create=True))


def resume(
    ledger: Path,
    registry: Registry,
    progress: Callable[[Progress], None] = lambda _: None,
    pace: float = 0.0,
) -> RunResult:
    """Continue an interrupted run where its ledger ends; what is due is done, nothing twice."""
    prepared, out = reopen(ledger, registry)
    with locked(out), ExitStack() as held:
        return _finish(_start(prepared, out, RecordedPace(progress, pace), held, create=False))


def _orders(
    prepared: Prepared, who: Mapping[str, Identity]
) -> tuple[tuple[OrderEntry, Order], ...]:
    scenario = prepared.scenario
    roster = make_roster(who["coordinator"].key.did, members_of(scenario, who))
    keys = [who[entry.name].key for entry in scenario.parties]
    return tuple(
        (entry, agreed(order_of(scenario, entry, goal, roster, prepared.plugins), keys))
        for entry, goal in zip(scenario.orders, prepared.goals, strict=True)
    )


def _start(
    prepared: Prepared, out: Path, how: RecordedPace, held: ExitStack, *, create: bool
) -> _Run:
    """Open every log and venue; `held` closes them. The plan's ledger comes last.

    A crash before all are there leaves nothing to resume, and the run's notes say so.
    """
    who = identities(prepared, out, create=create)
    orders = _orders(prepared, who)
    prepared = _journalled(prepared, out, held)
    clock = RecordedClock(min(order.start for order in prepared.scenario.orders), how.pace)

    def opened(name: str, path: Path, pins: Pins) -> AuditLog:
        log = open_log(prepared, path, who[name], name, clock, create=create, pins=pins)
        held.callback(log.close)
        return log

    def opened_plan() -> AuditLog:
        return opened("coordinator", out / LEDGER, order_pins(orders))

    plan = None if create else check_orders(opened_plan(), orders, prepared.scenario.path)
    logs: dict[str, AuditLog] = {}
    for party in prepared.parties:
        name = party.entry.name
        logs[name] = opened(name, party_ledger(out, name), party_pins(party.entry, who[name]))
        if create:
            open_budgets(logs[name], _budgets(prepared, party), clock.read())
        else:
            check_party(logs[name], party, who[name], prepared.scenario.path)
    log = opened_plan() if plan is None else plan
    if create:
        write_sidecar(prepared, out, begun=True)
    else:
        _catch_up_clock(clock, (log, *logs.values()))
    process = CoordinatorProcess(log, parts_of(prepared.registry))
    nodes = {
        party.entry.name: _node(prepared, party, who[party.entry.name], logs, log)
        for party in prepared.parties
    }
    return _Run(prepared, out, clock, log, process, nodes, orders, how.progress, logs)


def _journalled(prepared: Prepared, out: Path, held: ExitStack) -> Prepared:
    """The same parties with venues that keep their journals in the run's folder."""
    parties = []
    for party in prepared.parties:
        party.venue.close()
        entry = party.entry
        venue = venue_of(prepared.registry, entry, party_journal(out, entry.name))
        held.callback(venue.close)
        parties.append(PreparedParty(entry, venue))
    return replace(prepared, parties=tuple(parties))


def open_log(
    prepared: Prepared,
    path: Path,
    identity: Identity,
    role: str,
    clock: RecordedClock,
    *,
    create: bool,
    pins: Pins,
) -> AuditLog:
    """Begin or continue one process's log.

    Raises ForeignLedger when another key wrote it, BadInput when the one to continue is gone.
    pins: what a new log's genesis says of the scenario, so that no other one continues it.
    """
    scenario = prepared.scenario
    if not create and not path.exists():
        raise _log_gone(role, path)
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
        config={"role": "coordinator" if role == "coordinator" else "node", **pins},
        demo=scenario.demo,
    )


def _log_gone(role: str, path: Path) -> BadInput:
    return BadInput(
        f"the log of party '{role}' is gone",
        "restore the newest copy of that party's log to this path; without it nobody knows what "
        "the party has sent, spent and done",
        file=str(path),
        field=f"party.{role}",
    )


def _node(
    prepared: Prepared,
    party: PreparedParty,
    identity: Identity,
    logs: Mapping[str, AuditLog],
    plan: AuditLog,
) -> NodeProcess:
    own = node_state.Self(
        identity.key,
        identity.master,
        builder(prepared.domain, party.entry.config),
        prepared.domain.continues,
        prepared.mechanism,
        schema_digest,
    )
    followed = follower(plan.origin, plan.did)
    return NodeProcess(own, logs[party.entry.name], party.venue, followed)


def _budgets(prepared: Prepared, party: PreparedParty) -> Sequence[PrivacyBudget]:
    """One allowance for each signal that the domain's couplings name."""
    members = members_of(
        prepared.scenario,
        {p.name: preview(prepared.scenario, p.name) for p in prepared.scenario.parties},
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


def _catch_up_clock(clock: RecordedClock, logs: Sequence[AuditLog]) -> None:
    """Continue the recorded clock where the newest entry of any log read it."""
    readings = [log.entry(log.size - 1).header.clock for log in logs]
    latest = max(readings, key=lambda r: (_boot(r), int(r.monotonic)))
    clock.wall, clock.elapsed = int(latest.wall), int(latest.monotonic)
    clock.boot = _boot(latest)


def _boot(reading: ClockReading) -> int:
    return int(reading.boot.rpartition("-")[2])


def _finish(started: _Run) -> RunResult:
    """Run what is left of every order, let every node hear the end, and sum up."""
    process = started.process
    done = process.state.orders
    if done:
        _drive(started, started.orders[done - 1][0])
    for entry, order in started.orders[done:]:
        if ending(started.log) == "killed":
            break
        started.clock.start_at(entry.start)
        process.order(order, started.clock.read())
        _drive(started, entry)
    return _result(started)


def _drive(started: _Run, entry: OrderEntry) -> None:
    started.act, started.total, started.seen = entry.mode, entry.plans, 0
    engine = engine_of(started.prepared.scenario, started.prepared.registry)
    engine.run(
        started.process,
        tuple(started.nodes.values()),
        started.clock,
        lambda: _between(started),
    )


def _between(started: _Run) -> bool:
    """Between two steps: tell how far we are, and look for somebody's kill switch."""
    mandate = started.process.state.mandate
    if mandate is not None and mandate.plans != started.seen:
        started.seen = mandate.plans
        left = ", ".join(mandate.plan.opened.goal.remaining) if mandate.plan else ""
        started.progress(Progress(started.act, mandate.plans, started.total, f"left: {left}"))
    stop = started.out / STOP
    if stop.exists():
        wish = read_stop(stop)
        stopped = started.process.kill(wish["plan"], wish["reason"], started.clock.read())
        stop.unlink(missing_ok=True)
        write_private(started.out / STOPPED, json.dumps({"plan": wish["plan"], "stopped": stopped}))
    return False


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
            venue_of(prepared.registry, party.entry, None),  # as recorded: nothing consumed
        )
        for party in prepared.parties
    ]
    figures = prepared.domain.opened_figures(plans, parties)
    shown = _sight(started, parties)
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
        "void": void_reasons(log),
        "venues": {p.entry.name: dict(p.venue.facts()) for p in prepared.parties},
        "solver": prepared.scenario.solver,
        **({"solver_why": prepared.why} if prepared.why else {}),
        "mechanism": prepared.mechanism.name,
        "cohort_policy": prepared.scenario.policy.model_dump(mode="json"),
        "overrides": overrides(log),
        "coordinator_saw": shown,
        **figures,
    }
    facts = {
        "scenario": prepared.scenario.name,
        "status": status,
        "root": log.root().hex(),
        "entries": str(log.size),
        "solver": _solver_text(prepared),
        "mechanism": prepared.mechanism.name,
        "cohort": _policy_text(prepared.scenario.policy),
        "identities": "derived from the scenario's seed (demo)"
        if prepared.scenario.demo
        else "own",
    }
    if summary["void"]:
        facts["void plans"] = "; ".join(f"{n} x {why}" for why, n in summary["void"].items())
    sections = tuple(prepared.domain.sections(figures, plans))
    if shown is not None:
        is_open = prepared.mechanism.stage.coordinator_sees_everything
        sections = (*sections, sight_section(shown, is_open=is_open))
    return RunResult(status, started.out / LEDGER, log.root().hex(), summary, facts, sections)


def _sight(started: _Run, parties: Sequence[OpenedParty]) -> dict[str, Any] | None:
    """The first answers as the coordinator held them, beside what they were."""
    prepared = started.prepared
    names = {party.member.did: party.member.name for party in parties}
    sight = first_sight(started.log, prepared.mechanism.stage, names)
    if sight is None:
        return None
    members = started.orders[0][1].roster.members
    own = {}
    for party in parties:
        if party.member.name in sight.seen:
            state = party.venue.pin(int(sight.plan.as_of))
            problem = prepared.domain.problem(
                sight.plan.goal, members, party.member, state, party.config
            )
            own[party.member.name] = own_words(problem, sight.asked)
    return sight.shown(own)


def _solver_text(prepared: Prepared) -> str:
    """The solver, and where `auto` chose it, why."""
    chosen = f" (chosen by auto: {prepared.why})" if prepared.why else ""
    return f"{prepared.scenario.solver}{chosen}"


def _policy_text(policy: CohortPolicy) -> str:
    """A cohort policy as one line."""
    return (
        f"at least {policy.least}, {policy.colluders} colluders assumed, {policy.drops} drops "
        f"tolerated; fewer than {policy.min_changed} changed inputs: {policy.differencing}"
    )
