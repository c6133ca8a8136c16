"""What a participant is, sees, owes and knows: the frozen values that its machine folds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from covenue.hooks.domains import LocalProblem
from covenue.hooks.privacy import (
    RoundContext,
)
from covenue.hooks.venues import Snapshot
from covenue.identity.keys import SigningKey
from covenue.ledger.entries import Entry
from covenue.numerics.words import Words
from covenue.privacy.accountant import Account
from covenue.privacy.composition import Mechanism
from covenue.privacy.guards import (
    Attendance,
    Past,
)
from covenue_contracts.contract import Contract
from covenue_contracts.ledger import (
    OutcomeSeen,
    SnapshotPinned,
    Tail,
)
from covenue_contracts.local import Actions, Outcome
from covenue_contracts.plan import (
    Goal,
    Member,
    Order,
    PlanGo,
    PlanOpen,
    QueryAsked,
    StageMessage,
)
from covenue_contracts.privacy import Charge

Continues = Callable[[Goal, Goal], bool]
"""Whether a plan's goal is one that an order's goal may come to."""

BuildProblem = Callable[[Goal, Sequence[Member], Member, Snapshot], LocalProblem]


@dataclass(frozen=True)
class Self:
    """Who this node is, and the pure parts that its plugins give it."""

    key: SigningKey
    master: bytes
    build: BuildProblem
    continues: Continues
    mechanism: Mechanism
    schema_digest: Callable[[str], str]

    @property
    def did(self) -> str:
        """This node's did:key."""
        return self.key.did


@dataclass(frozen=True)
class Event:
    """An input: its entry, the node's wall time, and what the entry names by digest.

    checkpoint: the head of the node's own log before this input, base64.
    """

    wall: int
    body: Tail | SnapshotPinned | OutcomeSeen
    entries: tuple[Entry, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    outcomes: tuple[Outcome, ...] = ()
    checkpoint: str = ""


@dataclass(frozen=True)
class View:
    """What the coordinator's log says, as far as this node has read it.

    orders, plans: how many orders there were, and how many plans of the newest. opening: digest of
    all that the plan opened with. attendance: of this plan; past: whose inputs were in the plans
    that may have released a total. distrust: why this node takes no part, however it is asked.
    """

    order: Order | None = None
    orders: int = 0
    plans: int = 0
    plan: PlanOpen | None = None
    opening: str = ""
    joined: tuple[str, ...] = ()
    setups: Mapping[str, bytes] = field(default_factory=dict)
    distrust: str = ""
    query: QueryAsked | None = None
    rounds: int = 0
    messages: tuple[StageMessage, ...] = ()
    cohort: tuple[str, ...] | None = None
    go: PlanGo | None = None
    settle_read: bool = False
    killed: bool = False
    closed: bool = True
    attendance: Attendance | None = None
    past: Past = field(default_factory=Past)


@dataclass(frozen=True)
class Owed:
    """A message that this node owes the coordinator until the ledger shows it."""

    plan: str
    round: int
    phase: str
    blob: str
    body: bytes


@dataclass(frozen=True)
class Deed:
    """What a go obliged this node to: planned words, its order id once acted, what came of it.

    orders: how many orders the coordinator's log held then; a settlement counts those of its own.
    """

    plan: str
    planned: Words
    order: str | None = None
    actions: Actions | None = None
    valid_until: int = 0
    outcomes: tuple[Outcome, ...] | None = None
    orders: int = 0

    @property
    def open(self) -> bool:
        """Whether the venue still owes a final word."""
        if self.order is None:
            return False
        return self.outcomes is None or any(o.status == "unknown" for o in self.outcomes)


@dataclass(frozen=True)
class NodePlan:
    """This node's side of the current plan."""

    plan: str
    problem: LocalProblem | None
    pinned: str | None = None
    stage: Any = None
    begun: int = 0
    heard: int = 0
    ctx: RoundContext | None = None
    votes: Mapping[int, str] = field(default_factory=dict)
    actions: Actions | None = None
    planned: Words | None = None
    commitment: str = ""
    commit_query: str = ""


@dataclass(frozen=True)
class State:
    """Everything a node knows; `snapshot` names the state behind the last total it was in.

    said: the messages of this plan, by blob. behind: the coordinator holds a message of ours that
    this log never recorded: the log was set back, and whatever it says of budgets and deeds is old.
    """

    accounts: Mapping[str, Account]
    size: int = 0
    view: View = field(default_factory=View)
    plan: NodePlan | None = None
    memories: Mapping[str, bytes] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    charged: Mapping[int, Charge] = field(default_factory=dict)
    deeds: tuple[Deed, ...] = ()
    counted: Words | None = None
    sent_settle: Mapping[int, Words] = field(default_factory=dict)
    outbox: tuple[Owed, ...] = ()
    said: frozenset[str] = frozenset()
    behind: bool = False
    sequence: int = 0
    snapshot: str = ""


@dataclass(frozen=True)
class Act:
    """An order id that wants reconciling, and applying where that is still allowed."""

    order: str
    actions: Actions
    valid_until: int
    may_apply: bool


@dataclass(frozen=True)
class Due:
    """What the node's surroundings must now do for it."""

    pin: PlanOpen | None
    acts: tuple[Act, ...]
    sends: tuple[Owed, ...]


@dataclass(frozen=True)
class Step:
    """The result of one input: the new state, derived entries, and bytes they name."""

    state: State
    entries: tuple[Contract, ...]
    blobs: tuple[bytes, ...]
