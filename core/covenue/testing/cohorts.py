"""A whole cohort in one process under faults: real processes, real logs, simulated everything else.

`Cohort` holds a coordinator and its nodes on ledgers that outlive them. Its methods are the moves
of a schedule: messages and tails arrive late, twice or never; a process dies at any boundary and
is rebuilt from its log; clocks differ by minutes; nodes go offline; somebody pulls the kill
switch. Nothing is random here: whoever calls decides. `covenue.testing.laws` says what must hold
whatever happens.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Protocol, cast

from covenue.errors import CovenueError, LedgerDamaged, LedgerUnavailable, StateStale
from covenue.hooks.engines import TailReply
from covenue.hooks.ledgers import LedgerBackend, Seal
from covenue.hooks.privacy import PrivacyStage
from covenue.hooks.venues import NEVER_SEEN, NeverSeen, Snapshot
from covenue.identity.consents import agreed
from covenue.identity.roster import make_roster
from covenue.ledger.audit_log import AuditLog, blob_digest
from covenue.numerics.words import Words, words
from covenue.privacy.composition import Mechanism
from covenue.rounds import node_state
from covenue.rounds.coordinator import Parts
from covenue.rounds.delta_sync import read_entry
from covenue.rounds.identities import Identity, demo_identity
from covenue.rounds.run import CoordinatorProcess, NodeProcess, follower, open_budgets
from covenue.testing.domains import ladder_goal
from covenue.testing.trials import LEVELS, TrialDomain, TrialProblem, TrialSolver
from covenue.testing.venues import Behaviour, LinkDown
from covenue_contracts.canonical import sha256
from covenue_contracts.contract import Contract, Scalar
from covenue_contracts.envelope import Envelope
from covenue_contracts.ledger import ClockReading, KillSwitch
from covenue_contracts.local import Actions, Fill, Outcome, OutcomeStatus
from covenue_contracts.plan import (
    CohortPolicy,
    Deadlines,
    Differencing,
    Member,
    Order,
    PlanClose,
    PlanGo,
    PlanMode,
    PlanOpen,
    QueryAsked,
)
from covenue_contracts.privacy import PrivacyBudget

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
SIGNAL = "ladder-depth"
NO_SCHEMA = "0" * 64
MOST_BEATS = 4_000


class Crash(Exception):
    """The process ended here; its object is thrown away."""


@dataclass
class Faults:
    """Counts boundaries down to a crash, or to a disk that refuses one write."""

    crash_in: int | None = None
    refusals: int = 0
    crashes: int = 0

    def boundary(self) -> None:
        """Pass one boundary. Raises Crash when its count is out."""
        if self.crash_in is None:
            return
        self.crash_in -= 1
        if self.crash_in < 0:
            self.crash_in = None
            self.crashes += 1
            raise Crash


class FaultyLedger:
    """A backend that dies before or after an append, or refuses it; what it stored stays.

    replies: digests of the messages that its durable entries name.
    """

    def __init__(self, inner: LedgerBackend, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults
        self.replies: set[str] = set()

    def append(self, entries: Sequence[bytes], expected_size: int, seal: Seal) -> None:
        """Append between two boundaries. Raises LedgerUnavailable when told to refuse."""
        self._faults.boundary()
        if self._faults.refusals:
            self._faults.refusals -= 1
            raise LedgerUnavailable("the disk is full", "free some space")
        self._inner.append(entries, expected_size, seal)
        for entry in entries:
            if b'"kind":"reply"' in entry:
                self.replies.add(json.loads(entry)["body"]["blob"])
        self._faults.boundary()

    def __getattr__(self, name: str) -> Any:
        """Everything else is the inner backend's."""
        return getattr(self._inner, name)


@dataclass(frozen=True)
class Execution:
    """One call of `apply` that reached the venue, and what it executed."""

    order: str
    plan: str
    now: int
    valid_until: int
    units: int


class SimulatedVenue:
    """A venue without idempotence and without deadlines: the node alone keeps from acting twice.

    It executes every order that it is sent, and counts. Levels depend on the seed and on the time
    that is pinned; what it once pinned it pins again. before_apply sees every order first.
    """

    def __init__(
        self, seed: str, faults: Faults, before_apply: Callable[[str], None], *, still: bool
    ) -> None:
        self._seed = seed
        self._faults = faults
        self._before_apply = before_apply
        self._still = still
        self._script: deque[Behaviour] = deque()
        self._known: dict[str, Outcome] = {}
        self._pinned: dict[int, Snapshot | None] = {}
        self.stale = False
        self.executions: list[Execution] = []

    def then(self, behaviour: Behaviour) -> None:
        """Behave so with the next order; afterwards FILL."""
        self._script.append(behaviour)

    def executed(self) -> int:
        """Units executed so far, double executions included."""
        return sum(execution.units for execution in self.executions)

    def pin(self, as_of: int) -> Snapshot:
        """The levels of a time. Raises StateStale where it was stale when first asked."""
        if as_of not in self._pinned:
            self._pinned[as_of] = None if self.stale else self._levels(as_of)
        snapshot = self._pinned[as_of]
        if snapshot is None:
            raise StateStale(f"stale at {as_of}", "wait")
        return snapshot

    def apply(self, order: str, actions: Actions, valid_until: int, now: int) -> Sequence[Outcome]:
        """Execute, as the script says, whatever was executed before."""
        self._before_apply(actions.plan)
        self._faults.boundary()
        behaviour = self._script.popleft() if self._script else Behaviour.FILL
        if behaviour is Behaviour.BREAK_BEFORE:
            raise LinkDown("the link broke before the order was sent", "reconcile")
        if behaviour is Behaviour.LOST:
            return (_outcome(order, "unknown", 0),)
        units = _units(actions, behaviour)
        self.executions.append(Execution(order, actions.plan, now, valid_until, units))
        status: OutcomeStatus = "refused" if not units else "done"
        if behaviour is Behaviour.PARTIAL:
            status = "partial" if units else "refused"
        self._known[order] = _outcome(order, status, units)
        self._faults.boundary()
        if behaviour is Behaviour.BREAK_AFTER:
            raise LinkDown("the link broke after the order was sent", "reconcile")
        if behaviour is Behaviour.SILENT:
            return (_outcome(order, "unknown", 0),)
        return (self._known[order],)

    def reconcile(self, order: str) -> Sequence[Outcome] | NeverSeen:
        """The true outcome, or NEVER_SEEN."""
        return (self._known[order],) if order in self._known else NEVER_SEEN

    def facts(self) -> Mapping[str, Scalar]:
        """How many orders were executed."""
        return {"executed": len(self.executions)}

    def close(self) -> None:
        """Nothing is held."""

    def _levels(self, as_of: int) -> Snapshot:
        moment = b"" if self._still else str(as_of).encode()
        drawn = bytes.fromhex(sha256(self._seed.encode(), moment))
        levels = tuple((level, drawn[level] % 3) for level in range(LEVELS))
        return Snapshot("ladder/v1", as_of, sha256(repr(levels).encode()), levels)


def _units(actions: Actions, behaviour: Behaviour) -> int:
    whole = sum(int(leg.most_units) for leg in actions.legs)
    if behaviour is Behaviour.REFUSE:
        return 0
    return whole // 2 if behaviour is Behaviour.PARTIAL else whole


def _outcome(order: str, status: OutcomeStatus, units: int) -> Outcome:
    fill = Fill(leg=0, price_ticks="1", quantity_steps=str(units), units=str(units))
    reason = None if status == "done" else "as scripted"
    return Outcome(
        order=order, status=status, fills=(fill,) if units else (), swaps=(), reason=reason
    )


@dataclass(frozen=True)
class Setting:
    """What is ordered, of whom, and under which rules; times in seconds."""

    parties: int = 3
    quantity: int = 6
    pace: int | None = None
    mode: PlanMode = "executed"
    plans: int = 6
    least: int = 2
    colluders: int = 0
    retries: int = 1
    rounds: int = 12
    budget: int = 10_000
    budgets: tuple[int, ...] = ()
    min_changed: int = 0
    differencing: Differencing = "override"
    act: int = 3
    still: bool = False
    seed: str = "0"


class Surroundings(Protocol):
    """What tests bring: a backend of a ledger plugin, and an aggregation stage."""

    def ledger(self) -> LedgerBackend:
        """An empty backend."""
        ...

    def stage(self) -> PrivacyStage:
        """The aggregation stage."""
        ...


@lru_cache(maxsize=64)
def identity(role: str, name: str) -> Identity:
    """A party's identity; the same in every schedule."""
    return demo_identity("cohorts", role, name)


@lru_cache(maxsize=64)
def _keyed(role: str, name: str) -> tuple[Any, bytes]:
    who = identity(role, name)
    return who.key, who.log_secret


@dataclass
class Host:
    """What outlives a process: its log's backend, its clock's error, and its faults."""

    name: str
    backend: FaultyLedger
    faults: Faults
    skew: int = 0
    online: bool = True
    boots: int = 1


@dataclass
class Flight:
    """A message under way."""

    sender: int
    body: bytes


@dataclass
class Cohort:
    """A coordinator, its nodes, the network between them, and one order.

    Indices: nodes are 0 … n-1, the coordinator is n.
    """

    around: Surroundings
    setting: Setting = field(default_factory=Setting)
    now: int = START
    hosts: list[Host] = field(default_factory=list)
    venues: list[SimulatedVenue] = field(default_factory=list)
    nodes: list[NodeProcess | None] = field(default_factory=list)
    flights: list[Flight] = field(default_factory=list)
    held: dict[int, TailReply] = field(default_factory=dict)
    arrived: set[bytes] = field(default_factory=set)
    said: dict[tuple[str, str, int, str], bytes] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    public: list[Contract] = field(default_factory=list)
    moves: Counter[str] = field(default_factory=Counter)
    _coordinator: CoordinatorProcess | None = None

    def __post_init__(self) -> None:
        self.mechanism = Mechanism("stage", None, self.around.stage())
        self.domain = TrialDomain()
        count = self.setting.parties
        for index in range(count + 1):
            faults = Faults()
            name = f"p{index}" if index < count else "coordinator"
            self.hosts.append(Host(name, FaultyLedger(self.around.ledger(), faults), faults))
            self._create_log(index)
        for index in range(count):
            seed = f"{self.setting.seed}/{index}"
            self.venues.append(
                SimulatedVenue(
                    seed,
                    self.hosts[index].faults,
                    partial(self._check_act, index),
                    still=self.setting.still,
                )
            )
            self.nodes.append(None)
        self.order = self._order()
        self.coordinator.order(self.order, self.clock(count))
        self._publish()

    # ---- processes

    @property
    def coordinator(self) -> CoordinatorProcess:
        """The coordinator's process, rebuilt from its log after a crash."""
        if self._coordinator is None:
            self._coordinator = self.fresh_coordinator()
        return self._coordinator

    def node(self, index: int) -> NodeProcess:
        """A node's process, rebuilt from its log after a crash."""
        process = self.nodes[index]
        if process is None:
            process = self.nodes[index] = self.fresh_node(index)
        return process

    def fresh_coordinator(self) -> CoordinatorProcess:
        """A new process on the coordinator's log: it folds all of it again."""
        return CoordinatorProcess(self.log(self.setting.parties), self._resolve)

    def fresh_node(self, index: int) -> NodeProcess:
        """A new process on a node's log: it folds all of it again."""
        origin = f"covenue/{self.hosts[-1].name}"
        followed = follower(origin, self.did(self.setting.parties))
        return NodeProcess(self._own(index), self.log(index), self.venues[index], followed)

    def log(self, index: int) -> AuditLog:
        """A process's log, opened anew."""
        key, secret = _keyed(*self._role(index))
        return AuditLog.open(cast("LedgerBackend", self.hosts[index].backend), key, secret=secret)

    def did(self, index: int) -> str:
        """A process's did:key."""
        return cast("str", _keyed(*self._role(index))[0].did)

    def clock(self, index: int) -> ClockReading:
        """The time as a process sees it."""
        host = self.hosts[index]
        return ClockReading(
            wall=str(self.now + host.skew),
            monotonic=str(self.now - START),
            boot=f"boot-{host.boots}",
            source="simulated",
            divergence="0",
        )

    # ---- moves

    def read(self, index: int) -> bool:
        """A node reads the tail as it stands and does what is due; whether there was news."""
        if not self.hosts[index].online:
            return False
        self._pass(1)
        tail = self.coordinator.tail(self.node(index).wants())
        return self._deliver(index, tail)

    def hold(self, index: int) -> None:
        """A tail leaves for a node now and arrives when `release` says so."""
        self.held[index] = self.coordinator.tail(self.node(index).wants())

    def release(self, index: int) -> None:
        """A held tail arrives, perhaps after a newer one, perhaps again."""
        if index in self.held and self.hosts[index].online:
            self._pass(1)
            self._deliver(index, self.held[index])

    def arrive(self, which: int = 0) -> None:
        """One message under way reaches the coordinator."""
        if self.flights:
            self._pass(1)
            self._submit(self.flights.pop(which % len(self.flights)))

    def drop(self, which: int) -> None:
        """One message under way is lost; its sender owes it still."""
        if self.flights:
            self.flights.pop(which % len(self.flights))

    def duplicate(self, which: int) -> None:
        """One message under way arrives twice."""
        if self.flights:
            flight = self.flights[which % len(self.flights)]
            self.flights.append(Flight(flight.sender, flight.body))

    def crash(self, index: int, boundary: int = 0) -> None:
        """A process dies at the boundary-th of its boundaries from now on."""
        self.hosts[index].faults.crash_in = boundary

    def restart(self, index: int) -> None:
        """A process dies now, between two steps."""
        self._lose(index)

    def refuse_write(self, index: int) -> None:
        """A process's disk refuses its next append; the process lives on."""
        self.hosts[index].faults.refusals = 1

    def skew(self, index: int, seconds: int) -> None:
        """A process's clock is wrong by so much from now on."""
        self.hosts[index].skew = seconds * SECOND

    def wait(self, seconds: float) -> None:
        """Time passes, and the coordinator's timers with it."""
        self._pass(int(seconds * SECOND))
        self._fire()

    def kill(self) -> None:
        """Somebody pulls the kill switch on the newest plan."""
        opened = [body.plan for body in self.public if isinstance(body, PlanOpen)]
        self._coordinate(
            lambda c: c.kill(opened[-1], "as scheduled", self.clock(self.setting.parties))
        )

    def beat(self) -> bool:
        """Everybody online reads and is heard; if nothing moved, time jumps to the next timer.

        False when nothing is left to wait for.
        """
        news = [self.read(index) for index in range(self.setting.parties)]
        heard = bool(self.flights)
        while self.flights:
            self.arrive()
        if any(news) or heard:
            return True
        due = self.coordinator.next_due()
        if due is None:
            return False
        self.wait(max(0, due - self.now - self.hosts[-1].skew) / SECOND)
        return True

    def calm(self) -> None:
        """Faults end and time runs on until the order has ended and everybody has read it.

        Clocks stay as wrong as they are.
        """
        for host in self.hosts:
            host.online, host.faults.crash_in, host.faults.refusals = True, None, 0
        for venue in self.venues:
            venue.stale = False
        for _ in range(MOST_BEATS):
            if not self.beat():
                return
        raise AssertionError("the order does not end although nothing fails any more")

    # ---- what happened

    def executed(self) -> int:
        """Units executed at all venues."""
        return sum(venue.executed() for venue in self.venues)

    def goal(self) -> int:
        """Units ordered."""
        return self.setting.quantity

    def problem(self, index: int, plan: PlanOpen) -> TrialProblem | None:
        """A party's problem of a plan, opened; None where it had no state."""
        members = self.order.roster.members
        member = next(m for m in members if m.did == self.did(index))
        try:
            snapshot = self.venues[index].pin(int(plan.as_of))
        except StateStale:
            return None
        problem = self.domain.problem(plan.goal, members, member, snapshot, {})
        assert isinstance(problem, TrialProblem)
        return problem

    def owed(self) -> Iterator[Words]:
        """What the coordinator's state counts as settled, reserved and committed."""
        mandate = self.coordinator.state.mandate
        if mandate is not None:
            yield from (mandate.settled, mandate.reserved, mandate.committed)
        else:
            last = [body for body in self.public if isinstance(body, PlanClose)][-1]
            yield from (_words(last.settled), _words(last.reserved), _words(last.committed))

    # ---- inside

    def _role(self, index: int) -> tuple[str, str]:
        host = self.hosts[index]
        return ("coordinator" if index == self.setting.parties else "party"), host.name

    def _create_log(self, index: int) -> None:
        key, secret = _keyed(*self._role(index))
        host = self.hosts[index]
        log = AuditLog.create(
            cast("LedgerBackend", host.backend),
            key,
            origin=f"covenue/{host.name}",
            secret=secret,
            clock=self.clock(index),
        )
        if index < self.setting.parties:
            budget = PrivacyBudget(
                signal=SIGNAL,
                rho_max="0",
                exact_max=str(self.allowance(index)),
                delta_exponent=6,
                adjacency="replace-one-venue",
            )
            open_budgets(log, [budget], self.clock(index))

    def allowance(self, index: int) -> int:
        """Noiseless sums that a node may take part in."""
        budgets = self.setting.budgets
        return budgets[index % len(budgets)] if budgets else self.setting.budget

    def _own(self, index: int) -> node_state.Self:
        key, _ = _keyed(*self._role(index))

        def build(goal: Any, members: Any, member: Member, snapshot: Snapshot) -> Any:
            return self.domain.problem(goal, members, member, snapshot, {})

        master = identity(*self._role(index)).master
        return node_state.Self(
            key, master, build, self.domain.continues, self.mechanism, lambda _: NO_SCHEMA
        )

    def _resolve(self, order: Order) -> Parts:
        return Parts(self.domain.coupling, TrialSolver(), self.mechanism)

    def _order(self) -> Order:
        s = self.setting
        members = [Member(did=self.did(i), name=f"p{i}", slot=i) for i in range(s.parties)]
        roster = make_roster(self.did(s.parties), members)
        policy = CohortPolicy(
            least=s.least,
            colluders=s.colluders,
            drops=1,
            min_changed=s.min_changed,
            differencing=s.differencing,
            reason="a test",
        )
        keys = [_keyed(*self._role(i))[0] for i in range(s.parties)]
        order = Order(
            goal=ladder_goal(s.quantity, s.pace),
            mode=s.mode,
            plans_max=s.plans,
            every=str(SECOND),
            until=str(START + 10**9 * SECOND),
            roster=roster,
            policy=policy,
            consents=(),
            deadlines=Deadlines(
                join=str(SECOND),
                upload=str(SECOND),
                vote=str(SECOND),
                answer=str(SECOND),
                act=str(s.act * SECOND),
                skew=str(SECOND),
            ),
            plugins=(),
            solver="trial",
            solver_options={},
            privacy=("stage",),
            rounds_max=s.rounds,
            retries=s.retries,
            seed="0" * 64,
        )
        return agreed(order, keys)

    def _pass(self, nanoseconds: int) -> None:
        self.now += nanoseconds

    def _fire(self) -> None:
        self._coordinate(lambda c: c.fire(self.clock(self.setting.parties)))

    def _coordinate(self, step: Callable[[CoordinatorProcess], object]) -> bool:
        """Let the coordinator do something; False when it died or could not write it down."""
        try:
            step(self.coordinator)
        except Crash:
            self._lose(self.setting.parties)
        except CovenueError:
            self.moves["refused write"] += 1
        else:
            self._publish()
            return True
        self._publish()
        return False

    def _publish(self) -> None:
        known = len(self.public)
        backend = self.hosts[-1].backend
        seal = backend.latest()
        self.public.extend(read_entry(data).body for data in backend.read(known, seal.size))
        self._check_books()

    def _lose(self, index: int) -> None:
        self.hosts[index].boots += 1
        self.moves["crash"] += 1
        if index == self.setting.parties:
            self._coordinator = None
        else:
            self.nodes[index] = None

    def _deliver(self, index: int, tail: TailReply) -> bool:
        """Hand a tail to a node; whether there was news in it or a message that is new."""
        node = self.node(index)
        before = node.wants()
        try:
            messages = node.deliver(tail, self.clock(index))
        except Crash:
            self._lose(index)
            return True
        except LedgerDamaged:
            self.moves["refused tail"] += 1  # it starts elsewhere: nothing of it was folded
            return False
        except CovenueError:
            self.moves["refused write"] += 1
            return True
        finally:
            self._check_books()
        fresh = [self._post(index, body) for body in messages]
        return any(fresh) or node.wants() > before

    def _post(self, index: int, body: bytes) -> bool:
        self._check_message(index, body)
        if body in self.arrived or any(flight.body == body for flight in self.flights):
            return False
        self.flights.append(Flight(index, body))
        return True

    def _submit(self, flight: Flight) -> None:
        clock = self.clock(self.setting.parties)
        did = self.did(flight.sender)
        if self._coordinate(lambda c: c.submit(did, flight.body, clock)):
            self.arrived.add(flight.body)

    # ---- laws that are checked at once, where the moment counts

    def _check_message(self, index: int, body: bytes) -> None:
        """Nothing leaves before its entry is durable; one byte string for everything said."""
        if blob_digest(body) not in self.hosts[index].backend.replies:
            self.broken.append("a message left before its entry was durable")
        sent = Envelope.model_validate_json(body)
        place = (sent.sender, sent.plan, sent.round, sent.phase)
        if self.said.setdefault(place, body) != body:
            self.broken.append(f"two messages for round {sent.round}, phase {sent.phase}")

    def _check_act(self, index: int, plan: str) -> None:
        """A node acts on a go that it has read, in no plan that it has seen settling or killed."""
        process = self.nodes[index]
        assert process is not None
        read = self.public[: process.wants()]
        if not any(isinstance(body, PlanGo) and body.plan == plan for body in read):
            self.broken.append("somebody acted without a go")
        if any(isinstance(body, KillSwitch) and body.plan == plan for body in read):
            self.broken.append("somebody acted after the kill switch")
        if any(
            isinstance(body, QueryAsked) and body.plan == plan and body.query.kind == "settle"
            for body in read
        ):
            self.broken.append("somebody acted after the settle query")

    def _check_books(self) -> None:
        """settled <= executed <= settled + reserved + committed <= goal, at every moment."""
        if self._coordinator is None or len(self.public) < 2:
            return
        settled, reserved, committed = (int(each[0]) for each in self.owed())
        executed = self.executed()
        if executed > self.goal():
            self.broken.append(f"{executed} executed, {self.goal()} ordered")
        if not settled <= executed <= settled + reserved + committed <= self.goal():
            self.broken.append(
                f"settled {settled}, reserved {reserved}, committed {committed}, "
                f"executed {executed} of {self.goal()}"
            )


def _words(texts: Sequence[str]) -> Words:
    return words(int(text) for text in texts)
