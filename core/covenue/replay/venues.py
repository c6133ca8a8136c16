"""Depths two and three: a venue's answers from its own data; all venues, byte for byte."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from covenue.errors import BadInput, CovenueError, LedgerDamaged, ReplayDiffers
from covenue.hooks.venues import VenueAdapter
from covenue.ledger.audit_log import AuditLog
from covenue.ledger.entries import Entry, encode_entry
from covenue.ledger.integrity import check_integrity
from covenue.ledger.tree import Frontier, leaf_hash
from covenue.registry.load import Registry
from covenue.replay.orders import check_orders
from covenue.replay.verdict import NOT_HERE, VENUES, Check, Verdict, failed
from covenue.replay.verify import TRANSCRIPT, advised, open_ledger, verify
from covenue.rounds import node_state, participant
from covenue.rounds.delta_sync import Followed
from covenue.rounds.fold import (
    COORDINATOR_INPUTS,
    NODE_INPUTS,
    SETUP,
    CoordinatorFold,
    Group,
    NodeFold,
    check,
    groups,
)
from covenue.rounds.identities import Identity, demo_identity, kept_identity
from covenue.rounds.output import SIDECAR, party_ledger
from covenue.rounds.parts import builder, domain_of, mechanism_of, parts_of
from covenue.rounds.run import (
    follower,
    opened_state,
    outcome_event,
    pin_state,
    pinned_entry,
    snapshot_event,
    tail_event,
)
from covenue.rounds.scenario import PartyEntry, ScenarioFile, read_scenario
from covenue_contracts.catalogue import schema_digest
from covenue_contracts.contract import Contract
from covenue_contracts.ledger import ActionPlanned, OutcomeSeen, SnapshotPinned, Submit, Tail
from covenue_contracts.local import Outcome
from covenue_contracts.plan import Order

ADVICE = "compare the parties' data and configuration with what they ran with"


@dataclass
class _Rebuilt:
    """A log as it comes out again: every entry encoded anew under its recorded header."""

    frontier: Frontier = field(default_factory=Frontier)

    def add(self, entry: Entry, body: Contract, index: int) -> None:
        data = encode_entry(entry.header, body)
        if data != entry.raw:
            raise ReplayDiffers("an entry comes out different", ADVICE, index, "/", "…", "…")
        self.frontier, _ = self.frontier.extended([leaf_hash(data)])


@dataclass
class _VenueReplay:
    """One party's log run again over its own data; `uploads` are the bytes that it sent."""

    log: AuditLog
    venue: VenueAdapter
    fold: NodeFold
    followed: Followed
    heads: Mapping[int, bytes]
    open_venue: Callable[[], VenueAdapter]
    actions: dict[str, node_state.Act] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    applied: list[tuple[node_state.Act, int]] = field(default_factory=list)
    walls: dict[str, list[int]] = field(default_factory=dict)
    snapshots: int = 0

    def run(self) -> None:
        """Recompute every step. Raises ReplayDiffers at the first difference."""
        for group in groups(self.log.entries(), NODE_INPUTS):
            event = self.event(group)
            if event.body != group.input.body:
                alone = replace(group, index=group.index - 1, derived=(group.input,))
                check(alone, (event.body,))
            step = self.fold.apply(event)
            check(group, step.entries)
            self.uploads.update({o.blob: o.body for o in self.fold.state.outbox})
            self.note_actions(group)

    def event(self, group: Group) -> node_state.Event:
        """The input as this party's data gives it, at the recorded time."""
        body = group.input.body
        if isinstance(body, Tail):
            event, self.followed = tail_event(self.log, group, self.followed)
            return event
        if isinstance(body, SnapshotPinned):
            self.snapshots += 1
            snapshot, reason = pin_state(self.venue, int(body.as_of))
            last = self.fold.state.snapshot
            pinned = pinned_entry(body.plan, body.as_of, snapshot, reason, last)
            event = snapshot_event(group, snapshot, self.heads[group.start])
            return replace(event, body=pinned)
        return self.acted(group)

    def acted(self, group: Group) -> node_state.Event:
        """What the venue answers when it is asked again at the recorded time."""
        body = group.input.body
        assert isinstance(body, OutcomeSeen)  # noqa: S101 -- the only input left
        recorded = outcome_event(self.log, group)
        act = self.actions.get(body.order)
        if act is None or recorded.outcomes[0].reason in {"late", "venue error"}:
            return recorded
        times = dict.fromkeys((int(group.clock.wall), *self.walls[body.order]))
        for wall in times:
            outcomes = self.applied_at(act, wall)
            if outcomes == recorded.outcomes:
                break
        entry, _ = participant.outcome_entry(body.plan, body.order, outcomes)
        return replace(recorded, body=entry, outcomes=outcomes)

    def applied_at(self, act: node_state.Act, wall: int) -> tuple[Outcome, ...]:
        """What the venue answers to an order at a time; a venue asked at another time forgets.

        A crash after the venue's answer and before its entry leaves only times of earlier entries
        to say when the order was applied.
        """
        if any(earlier.order == act.order for earlier, _ in self.applied):
            self.applied = [(known, at) for known, at in self.applied if known.order != act.order]
            self.venue.close()
            self.venue = self.open_venue()
            for known, at in self.applied:
                self.venue.apply(known.order, known.actions, known.valid_until, at)
        self.applied.append((act, wall))
        return tuple(self.venue.apply(act.order, act.actions, act.valid_until, wall))

    def note_actions(self, group: Group) -> None:
        """Keep the actions of an order id, and the times since, until its outcome is recomputed."""
        if any(isinstance(entry.body, ActionPlanned) for entry in group.derived):
            for act in participant.due(self.fold.state).acts:
                self.actions[act.order] = act
        for act in participant.due(self.fold.state).acts:
            self.walls.setdefault(act.order, []).append(int(group.clock.wall))


def replay(ledger: Path, data: Path | None, registry: Registry) -> Verdict:
    """Replay a plan's ledger as deep as the data given allows.

    data: a folder with one folder a party (and, where it moved, scenario.toml); without it, the
    folders that the run itself named beside its ledger. `identical` is said of all of it only;
    what could not be run leaves `partial`. Raises BadInput when there is no ledger, and when
    `data` holds none of the parties.
    """
    first = verify(ledger, registry)
    if not first.ok:
        return first
    if first.depth != TRANSCRIPT:
        return _node_alone(first, ledger, data)
    checks = list(first.checks)
    try:
        source = _source(ledger, data)
        with open_ledger(ledger, registry) as backend:
            checks.append(check_orders(AuditLog.open(backend), source, registry))
    except ReplayDiffers as error:
        checks.append(("scenario", "fail", error.what))
        return failed("differs", TRANSCRIPT, tuple(checks), error)
    except CovenueError as error:
        if data is not None:
            raise
        checks.append((VENUES, NOT_HERE, error.what))
        return Verdict(True, "partial", TRANSCRIPT, tuple(checks))
    return _replay_parties(ledger, registry, source, checks)


def _node_alone(first: Verdict, ledger: Path, data: Path | None) -> Verdict:
    """A node's own log: its budgets are counted; its answers are replayed beside its plan's."""
    if data is not None:
        raise BadInput(
            "a node's own ledger is replayed beside its plan's",
            "give the plan's ledger, with this one in parties/ beside it",
            file=str(ledger),
            field="LEDGER",
        )
    return replace(first, status="partial")


def _replay_parties(
    ledger: Path, registry: Registry, source: ScenarioFile, checks: list[Check]
) -> Verdict:
    """Depths two and three: every party that is here; then, if none is missing, all of it."""
    uploads: dict[str, dict[str, bytes]] = {}
    try:
        for party in source.parties:
            name = f"venue {party.name}"
            done = _replay_party(ledger, registry, source, party)
            if isinstance(done, str):
                checks.append((name, NOT_HERE, done))
                continue
            uploads[done.fold.own.did] = done.uploads
            counts = f"{done.snapshots} states, {len(done.applied)} outcomes"
            checks.append((name, "pass", f"{counts}, all answers and charges"))
        if len(uploads) < len(source.parties):
            depth = VENUES if uploads else TRANSCRIPT
            return Verdict(True, "partial", depth, tuple(checks))
        with open_ledger(ledger, registry) as backend:
            checks.append(_rebuild(AuditLog.open(backend), registry, uploads))
    except ReplayDiffers as error:
        return failed("differs", VENUES, tuple(checks), advised(error, ADVICE))
    except LedgerDamaged as error:
        return failed("damaged", VENUES, tuple(checks), error)
    return Verdict(True, "identical", "full", tuple(checks))


def _source(ledger: Path, data: Path | None) -> ScenarioFile:
    """The scenario of a run, its parties' folders taken from `data` where that is given."""
    if data is not None and not data.is_dir():
        raise BadInput("there is no such folder", "give a folder with one folder a party",
                       file=str(data), field="--data")  # fmt: skip
    sidecar = ledger.resolve().parent / SIDECAR
    chosen: dict[str, str] = {}
    path: Path | None = None
    if sidecar.is_file():
        path, chosen = _notes(sidecar)
    if data is not None and (data / "scenario.toml").is_file():
        path = data / "scenario.toml"
    if path is None or not path.is_file():
        raise BadInput("the run's scenario is not here", "give --data with its scenario.toml",
                       file=str(sidecar))  # fmt: skip
    scenario = read_scenario(path, chosen, data=data)
    if data is not None and not any(party.folder.is_dir() for party in scenario.parties):
        raise BadInput(
            "the folder holds none of the parties' folders",
            f"give the folder that holds {', '.join(party.name for party in scenario.parties)}",
            file=str(data),
            field="--data",
        )
    return scenario


def _notes(sidecar: Path) -> tuple[Path, dict[str, str]]:
    try:
        notes: dict[str, Any] = json.loads(sidecar.read_text())
        options = {str(name): str(value) for name, value in notes["options"].items()}
        return Path(notes["scenario"]), options
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            "the run's own notes are unreadable",
            "put run.json back, or give --data with its scenario.toml and no run.json",
            file=str(sidecar),
        ) from error


def _replay_party(
    ledger: Path, registry: Registry, source: ScenarioFile, party: PartyEntry
) -> _VenueReplay | str:
    """One party's log run again, or what is missing for that."""
    out = ledger.resolve().parent
    path, identity = party_ledger(out, party.name), _identity(source, party, out)
    if not path.is_file():
        return "its own ledger is not here"
    if not party.folder.is_dir():
        return "its data is not here"
    if identity is None:
        return "its key is not here"
    with open_ledger(ledger, registry) as plan:
        coordinator = AuditLog.open(plan)
        order = next((e.body for e in coordinator.entries() if isinstance(e.body, Order)), None)
        if order is None:
            return "no order was begun"
        followed = follower(coordinator.origin, coordinator.did)
        with open_ledger(path, registry) as backend:
            check_integrity(backend, identity.key.did)
            run = _venue_replay(AuditLog.open(backend), registry, party, identity, order, followed)
            try:
                run.run()
            except ReplayDiffers as error:
                raise advised(error, _advice(party)) from error
            finally:
                run.venue.close()
        _check_followed(coordinator, run.followed)
    return run


def _advice(party: PartyEntry) -> str:
    return (
        f"compare the data and configuration of party '{party.name}' with what it ran with: its "
        "folder, and its table in the scenario"
    )


def _check_followed(coordinator: AuditLog, followed: Followed) -> None:
    """Refuse a plan's ledger that is not the one that the party followed: forked, or cut."""
    size = followed.size()
    here = coordinator.root(size).hex() if size <= coordinator.size else "fewer entries"
    if here != followed.frontier.root().hex():
        raise ReplayDiffers("the party followed another history than this ledger's",
                            "keep both ledgers: their signed checkpoints prove it", size,
                            "/root", here, followed.frontier.root().hex())  # fmt: skip


def _venue_replay(  # noqa: PLR0917 -- wiring: each argument is one part
    log: AuditLog,
    registry: Registry,
    party: PartyEntry,
    identity: Identity,
    order: Order,
    followed: Followed,
) -> _VenueReplay:
    def open_venue() -> VenueAdapter:
        config = dict(party.venue_config)
        return cast("VenueAdapter", registry.build("venues", party.venue, config, party.folder))

    domain = domain_of(registry, order.goal.domain)
    own = node_state.Self(
        identity.key,
        identity.master,
        builder(domain, party.config),
        domain.continues,
        mechanism_of(registry, order.privacy),
        schema_digest,
    )
    fold = NodeFold(own, opened_state(log))
    return _VenueReplay(log, open_venue(), fold, followed, log.heads(), open_venue)


def _identity(source: ScenarioFile, party: PartyEntry, out: Path) -> Identity | None:
    """A demo's identity is derived; another's master is beside the run or the data, or not here."""
    if source.demo:
        return demo_identity(source.seed, "party", party.name)
    for folder in (out / "keys", party.folder):
        if (folder / f"{party.name}.master").is_file():
            return kept_identity(folder / f"{party.name}.master", create=False)
    return None


def _rebuild(
    log: AuditLog, registry: Registry, uploads: Mapping[str, Mapping[str, bytes]]
) -> Check:
    """Fold the plan's ledger again from the replayed parties' own bytes; the root must come out."""
    fold = CoordinatorFold(parts_of(registry))
    rebuilt = _Rebuilt()
    recorded = list(enumerate(log.entries()))
    steps = {group.index: group for group in groups(log.entries(), COORDINATOR_INPUTS)}
    bodies: dict[int, Contract] = {}
    for index, group in steps.items():
        body = group.input.body
        envelope = None
        if isinstance(body, Submit):
            envelope = uploads.get(body.sender, {}).get(body.blob)
            if envelope is None:
                raise ReplayDiffers("a message in the ledger is not the replayed party's", ADVICE,
                                    index, "/body/blob", body.blob, "not sent")  # fmt: skip
        derived = fold.apply(int(group.clock.wall), body, envelope, group.said)
        check(group, derived)
        bodies[index] = body
        bodies.update({index + 1 + n: entry for n, entry in enumerate(derived or ())})
    for index, entry in recorded:
        body = entry.body if entry.header.kind in SETUP else bodies[index]
        rebuilt.add(entry, body, index)
    if rebuilt.frontier.root() != log.root():
        raise ReplayDiffers("the root comes out different", ADVICE, log.size, "/root",
                            log.root().hex(), rebuilt.frontier.root().hex())  # fmt: skip
    return ("full", "pass", f"the ledger comes out byte-identical, root {log.root().hex()}")
