"""The only module of the rounds with I/O: processes that fold, append, then do what is due.

One append a step: the input and all that it derives, atomically; what is due happens after.
Source: architecture.md, section 3.
"""

import base64
from collections.abc import Callable, Mapping, Sequence

from covenue.errors import CovenueError, EnvelopeRefused, LedgerDamaged, StateStale
from covenue.hooks.engines import TailReply
from covenue.hooks.venues import NeverSeen, Snapshot, VenueAdapter, restored
from covenue.ledger.audit_log import AuditLog, blob_digest
from covenue.ledger.entries import entry_kind
from covenue.ledger.tree import Frontier
from covenue.privacy.accountant import Account
from covenue.rounds import coordinator, node_state, participant
from covenue.rounds.delta_sync import Followed, follow, pack, read_entry, unpack
from covenue.rounds.fold import (
    COORDINATOR_INPUTS,
    NODE_INPUTS,
    CoordinatorFold,
    Group,
    NodeFold,
    check,
    groups,
)
from covenue.rounds.messages import Message, open_message, plan_id
from covenue.rounds.room import check_order
from covenue_contracts.canonical import parse_as
from covenue_contracts.contract import Contract
from covenue_contracts.ledger import ClockReading, KillSwitch, OutcomeSeen, SnapshotPinned, Tail
from covenue_contracts.local import Outcome, Outcomes
from covenue_contracts.plan import Order, PlanJoined
from covenue_contracts.privacy import BudgetOpened, PrivacyBudget


class CoordinatorProcess:
    """The coordinator: its log, its fold, and the handle that an engine drives.

    Opening it on a log with entries folds them again; a difference raises ReplayDiffers.
    """

    def __init__(self, log: AuditLog, resolve: Callable[[Order], coordinator.Parts]) -> None:
        self.log = log
        self._fold = CoordinatorFold(resolve)
        self._joined: list[tuple[int, tuple[str, ...]]] = []
        for group in groups(log.entries(0, log.size), COORDINATOR_INPUTS):
            check(group, refold_coordinator(self._fold, group, log))
            self._note_joined(group.index, (group.input.body, *(e.body for e in group.derived)))

    @property
    def state(self) -> coordinator.State:
        """The folded state."""
        return self._fold.state

    def order(self, order: Order, clock: ClockReading) -> bool:
        """Take an order; False when another one is still open.

        Raises EntryTooLarge, before anything is entered, for one whose plans could not be written.
        """
        check_order(order)
        return self._take(order, clock)

    def kill(self, plan: str, reason: str, clock: ClockReading) -> bool:
        """Pull the kill switch; False when that plan cannot be stopped any more.

        Any plan of the open order stops the one that is under way: it may have closed meanwhile.
        """
        mandate = self.state.mandate
        if mandate is None:
            return False
        numbers = range(mandate.plans)
        if plan not in {plan_id(mandate.digest, mandate.ordinal, number) for number in numbers}:
            return False
        current = mandate.last_plan if mandate.plan is None else mandate.plan.id
        return self._take(KillSwitch(plan=current, reason=reason), clock)

    def size(self) -> int:
        """Entries in the log."""
        return self.log.size

    def tail(self, start: int) -> TailReply:
        """Entries from `start` on, with the envelopes that nodes check themselves."""
        named = [d for index, digests in self._joined if start <= index for d in digests]
        return TailReply(
            start,
            tuple(self.log.raw(start)),
            self.log.checkpoint(),
            {digest: self.log.get_blob(digest) for digest in named},
        )

    def submit(self, sender: str, envelope: bytes, clock: ClockReading) -> None:
        """Take a participant's message; one that does not verify, or is not its own, is dropped."""
        try:
            message = open_message(envelope)
        except EnvelopeRefused:
            return
        if message.envelope.sender == sender:
            self._take(message.entry(), clock, (message, envelope))

    def next_due(self) -> int | None:
        """The earliest timer, or None."""
        timers = coordinator.due(self.state)
        return int(timers[0].due) if timers else None

    def fire(self, clock: ClockReading) -> None:
        """Fire every timer that is due now."""
        for timer in coordinator.due(self.state):
            if int(timer.due) <= int(clock.wall):
                self._take(timer, clock)

    def done(self) -> bool:
        """Whether no order is open."""
        return coordinator.done(self.state)

    def _take(
        self, body: Contract, clock: ClockReading, sent: tuple[Message, bytes] | None = None
    ) -> bool:
        """Fold an input and store its step; sent: the message behind it, and its envelope."""
        before = self._fold.state
        derived = self._fold.apply(int(clock.wall), body, sent and sent[0])
        if derived is None:
            return False
        try:
            if sent is not None:
                self.log.put_blob(sent[1])
            start = self.log.append(items(body, *derived), clock).start
        except BaseException:
            self._fold.state = before  # what is not stored did not happen
            raise
        self._note_joined(start, (body, *derived))
        return True

    def _note_joined(self, start: int, bodies: Sequence[Contract]) -> None:
        for offset, body in enumerate(bodies):
            if isinstance(body, PlanJoined):
                index = start + offset
                self._joined.append((index, tuple(m.envelope for m in body.members)))


def refold_coordinator(
    fold: CoordinatorFold, group: Group, log: AuditLog
) -> tuple[Contract, ...] | None:
    """Feed a recorded coordinator step to a fold."""
    blob = getattr(group.input.body, "blob", None)
    envelope = None if blob is None else log.get_blob(blob)
    return fold.apply(int(group.clock.wall), group.input.body, envelope, group.said)


class NodeProcess:
    """A participant: its log, its fold, its venue, and the handle that an engine drives."""

    def __init__(
        self,
        own: node_state.Self,
        log: AuditLog,
        venue: VenueAdapter,
        followed: Followed,
    ) -> None:
        self.log = log
        self._venue = venue
        self._followed = followed
        self._fold = NodeFold(own, opened_state(log))
        heads = log.heads()
        for group in groups(log.entries(0, log.size), NODE_INPUTS):
            event = self._recorded_event(group, heads)
            check(group, self._fold.apply(event).entries)

    @property
    def did(self) -> str:
        """This node's did:key."""
        return self._fold.own.did

    @property
    def state(self) -> node_state.State:
        """The folded state."""
        return self._fold.state

    def wants(self) -> int:
        """The size of the coordinator's log that this node has folded."""
        return self._followed.size()

    def deliver(self, tail: TailReply, clock: ClockReading) -> Sequence[bytes]:
        """Fold a tail, do what is due, and return the envelopes that now leave."""
        if tail.entries:
            self._take_tail(tail, clock)
        if self.state.behind:
            raise LedgerDamaged(
                "this party's log is older than what the party has sent: it was set back",
                "restore the newest copy of the party's ledger; nothing is sent until then",
                f"the log of {self.did}",
            )
        self._pin(clock)
        self._act(clock)
        self._pin(clock)
        return [owed.body for owed in participant.due(self.state).sends]

    def _take_tail(self, tail: TailReply, clock: ClockReading) -> None:
        followed = follow(self._followed, tail)
        bundle = pack(tail)
        body = Tail(
            start=tail.start,
            end=followed.size(),
            bundle=self.log.put_blob(bundle),
            checkpoint=base64.b64encode(tail.checkpoint).decode("ascii"),
        )
        entries = tuple(read_entry(data) for data in tail.entries)
        _, blobs = unpack(bundle)  # named by their own digests, as after a restart
        self._take(node_state.Event(int(clock.wall), body, entries, blobs), clock)
        self._followed = followed

    def _pin(self, clock: ClockReading) -> None:
        """Pin the venue's state once a plan, where the machine asks for it."""
        opened = participant.due(self.state).pin
        if opened is None:
            return
        snapshot, reason = pin_state(self._venue, int(opened.as_of))
        body = pinned_entry(opened.plan, opened.as_of, snapshot, reason, self.state.snapshot)
        if snapshot is not None and body.blob is not None:
            self.log.put_blob(snapshot.body)
        event = node_state.Event(
            int(clock.wall), body, snapshot=snapshot, checkpoint=head(self.log)
        )
        self._take(event, clock)

    def _act(self, clock: ClockReading) -> None:
        """Reconcile every open order id first; apply one that the venue has never seen."""
        for act in participant.due(self.state).acts:
            outcomes = self._outcomes(act, clock)
            deed = next(d for d in self.state.deeds if d.order == act.order)
            if deed.outcomes == tuple(outcomes):
                continue
            body, blob = participant.outcome_entry(deed.plan, act.order, outcomes)
            self.log.put_blob(blob)
            event = node_state.Event(int(clock.wall), body, outcomes=tuple(outcomes))
            self._take(event, clock)

    def _outcomes(self, act: node_state.Act, clock: ClockReading) -> Sequence[Outcome]:
        try:
            known = reconciled(self._venue, act.order)
            if not isinstance(known, NeverSeen):
                return known
            now = int(clock.wall)
            if act.may_apply and participant.in_time(now, act.valid_until):
                return self._venue.apply(act.order, act.actions, act.valid_until, now)
        except CovenueError:
            return (
                Outcome(
                    order=act.order, status="unknown", fills=(), swaps=(), reason="venue error"
                ),
            )
        return (Outcome(order=act.order, status="refused", fills=(), swaps=(), reason="late"),)

    def _take(self, event: node_state.Event, clock: ClockReading) -> None:
        before = self._fold.state
        step = self._fold.apply(event)
        try:
            self._store(event, step, clock)
        except BaseException:
            self._fold.state = before  # what is not stored did not happen
            raise

    def _store(self, event: node_state.Event, step: node_state.Step, clock: ClockReading) -> None:
        """Make a step durable; nothing that it says leaves before this returns."""
        for blob in step.blobs:
            self.log.put_blob(blob)
        self.log.append(items(event.body, *step.entries), clock)

    def _recorded_event(self, group: Group, heads: Mapping[int, bytes]) -> node_state.Event:
        body = group.input.body
        if isinstance(body, Tail):
            event, self._followed = tail_event(self.log, group, self._followed)
            return event
        if isinstance(body, SnapshotPinned):
            snapshot = self._kept_snapshot(body)
            return snapshot_event(group, snapshot, heads[group.start])
        return outcome_event(self.log, group)

    def _kept_snapshot(self, pinned: SnapshotPinned) -> Snapshot | None:
        """The state pinned before a restart; a node that cannot have it back sits the plan out."""
        if pinned.state is None or pinned.digest is None:
            return None
        as_of = int(pinned.as_of)
        if pinned.blob is not None:
            body = self.log.get_blob(pinned.blob)
            return restored(pinned.state, as_of, pinned.digest, body)
        snapshot, _ = pin_state(self._venue, as_of)
        return snapshot if snapshot is not None and snapshot.digest == pinned.digest else None


def reconciled(venue: VenueAdapter, order: str) -> Sequence[Outcome] | NeverSeen:
    """What the venue knows of an order id; asked before anything is sent to it."""
    return venue.reconcile(order)


def pin_state(venue: VenueAdapter, as_of: int) -> tuple[Snapshot | None, str]:
    """The venue's state, or why there is none."""
    try:
        return venue.pin(as_of), ""
    except StateStale:
        return None, "stale"


def pinned_entry(
    plan: str, as_of: str, snapshot: Snapshot | None, reason: str, last: str
) -> SnapshotPinned:
    """The input entry of a pinned state; `last` is the digest pinned for the plan before."""
    return SnapshotPinned(
        plan=plan,
        as_of=as_of,
        state=None if snapshot is None else snapshot.kind,
        digest=None if snapshot is None else snapshot.digest,
        blob=blob_digest(snapshot.body) if snapshot is not None and snapshot.body else None,
        changed=snapshot is None or snapshot.digest != last,
        reason=reason or None,
    )


def items(*bodies: Contract) -> list[tuple[str, Contract]]:
    """Bodies with the kinds under which they are entered."""
    return [(entry_kind(body), body) for body in bodies]


def head(log: AuditLog) -> str:
    """The log's newest checkpoint, as base64."""
    return base64.b64encode(log.checkpoint()).decode("ascii")


def opened_state(log: AuditLog) -> node_state.State:
    """A node's first state: the budgets that its log opened."""
    accounts = {
        entry.body.budget.signal: Account(entry.body.budget)
        for entry in log.entries(0, log.size)
        if isinstance(entry.body, BudgetOpened)
    }
    return node_state.State(accounts)


def open_budgets(log: AuditLog, budgets: Sequence[PrivacyBudget], clock: ClockReading) -> None:
    """Write a node's allowances into its log, once."""
    log.append(items(*(BudgetOpened(budget=budget) for budget in budgets)), clock)


def tail_event(
    log: AuditLog, group: Group, followed: Followed
) -> tuple[node_state.Event, Followed]:
    """A recorded tail as an event, checked against the coordinator's signed root again."""
    body = group.input.body
    assert isinstance(body, Tail)  # noqa: S101 -- the caller asked by kind
    raw, blobs = unpack(log.get_blob(body.bundle))
    checkpoint = base64.b64decode(body.checkpoint)
    after = follow(followed, TailReply(body.start, raw, checkpoint, blobs))
    if after.size() != body.end:
        raise LedgerDamaged(
            f"a tail names {body.end} entries, its bundle reaches {after.size()}",
            "restore the node's ledger",
            f"entry {group.index}",
        )
    entries = tuple(read_entry(data) for data in raw)
    return node_state.Event(int(group.clock.wall), body, entries, blobs), after


def snapshot_event(group: Group, snapshot: Snapshot | None, before: bytes) -> node_state.Event:
    """A recorded pinning as an event; `before` is the log's head before the step."""
    body = group.input.body
    assert isinstance(body, SnapshotPinned)  # noqa: S101 -- the caller asked by kind
    checkpoint = base64.b64encode(before).decode("ascii")
    return node_state.Event(int(group.clock.wall), body, snapshot=snapshot, checkpoint=checkpoint)


def outcome_event(log: AuditLog, group: Group) -> node_state.Event:
    """A recorded outcome as an event."""
    body = group.input.body
    assert isinstance(body, OutcomeSeen)  # noqa: S101 -- the caller asked by kind
    outcomes = parse_as(Outcomes, log.get_blob(body.outcomes)).outcomes
    return node_state.Event(int(group.clock.wall), body, outcomes=outcomes)


def follower(origin: str, log_key: str) -> Followed:
    """A node that has read nothing of a coordinator's log yet."""
    return Followed(origin, log_key, Frontier())
