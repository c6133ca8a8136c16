"""Family `privacy`: what leaves a venue; noise first, then an aggregation stage."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from covenue.hooks import hookspec
from covenue.hooks.solvers import Choice, Total
from covenue.numerics.words import Words
from covenue_contracts.plan import CohortPolicy
from covenue_contracts.privacy import Charge
from covenue_contracts.shared import Query, Space

StageState = Any


class Role(Enum):
    """Who runs the stage."""

    PARTICIPANT = "participant"
    COORDINATOR = "coordinator"
    COMMITTEE = "committee"


VoteHolds = Callable[[str, int, str, bool, bytes], bool]
"""Whether (did, round, choice, abort, signature) is that node's vote, as in `Signed`."""


def no_vote_holds(did: str, number: int, choice: str, abort: bool, signature: bytes) -> bool:
    """The check of a plan without votes: none holds."""
    return False


@dataclass(frozen=True)
class PlanContext:
    """What a stage knows of its plan. `own` is this node's did; `secret` its plan secret.

    secret: 32 bytes from the node's master key, empty for the coordinator. setups: what every
    member exchanged when joining (did to bytes), the same on all sides. vote_holds: the kernel's
    check of a vote, so that a stage can certify a choice without knowing keys.
    """

    plan: str
    own: str
    members: tuple[str, ...]
    policy: CohortPolicy
    secret: bytes
    setups: Mapping[str, bytes]
    vote_holds: VoteHolds = field(default=no_vote_holds, compare=False, repr=False)


@dataclass(frozen=True)
class RoundContext:
    """What a stage knows of a round; `digest` binds all of it.

    expected: the members whose uploads are due. cohort: fixed by an earlier total, or None.
    """

    plan: str
    round: int
    query: str
    width: int
    expected: tuple[str, ...]
    cohort: tuple[str, ...] | None
    digest: str


@dataclass(frozen=True)
class Begin:
    """A round begins; a participant's words, or None where it declines; the coordinator's None.

    attached rides with the upload and is handed on with the release.
    """

    ctx: RoundContext
    words: Words | None
    attached: bytes


@dataclass(frozen=True)
class Received:
    """Bytes of one phase arrived from a node (or were broadcast by the coordinator)."""

    sender: str
    phase: str
    body: bytes


@dataclass(frozen=True)
class Signed:
    """The kernel signed the node's one choice of this round."""

    choice: str
    abort: bool
    signature: bytes


@dataclass(frozen=True)
class StageDeadline:
    """A timer that the stage asked for fired."""

    phase: str
    due: int


StageEvent = Begin | Received | Signed | StageDeadline


@dataclass(frozen=True)
class Send:
    """Send bytes: a participant to the coordinator, the coordinator to all nodes."""

    phase: str
    body: bytes


@dataclass(frozen=True)
class Sign:
    """Ask the kernel to sign one choice; it signs at most one a (plan, round)."""

    choice: str
    abort: bool


@dataclass(frozen=True)
class Timer:
    """Coordinator: wait for this phase, as long as the plan's deadlines say."""

    phase: str


@dataclass(frozen=True)
class Ready:
    """Coordinator: these members' uploads are in."""

    members: tuple[str, ...]


@dataclass(frozen=True)
class Released:
    """Coordinator: the round's sum or winner, and what was attached, by did."""

    release: Total | Choice
    attached: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Aborted:
    """Coordinator: the round released nothing; a proof lets nodes claim their charge back."""

    proof: bytes | None
    present: tuple[str, ...]


StageEffect = Send | Sign | Timer | Ready | Released | Aborted


class Noise(Protocol):
    """Pure; runs before the stage, on clipped words."""

    def cost(self, query: Query, space: Space) -> Charge:
        """What one round costs; it replaces the stage's own charge."""
        ...

    def draw(self, words: Words, seed: bytes) -> Words:
        """The words with noise; the same seed gives the same bytes."""
        ...


class PrivacyStage(Protocol):
    """Aggregation: a state machine, because the protocols have many phases.

    Duties: `advance` is pure, and an ignored event returns the same state object. A stage
    releases at most once a round, over exactly the members it names, and never releases over
    another set than `ctx.cohort` once that is fixed.
    """

    @property
    def coordinator_sees_everything(self) -> bool:
        """Whether DISCLOSE may run under this stage."""
        ...

    @property
    def least_cohort(self) -> int:
        """The smallest cohort that the stage protects."""
        ...

    def cost(self, query: Query, space: Space) -> Charge:
        """What one round costs without noise."""
        ...

    def setup(self, plan: str, secret: bytes) -> bytes:
        """What a participant exchanges when it joins a plan."""
        ...

    def start(self, role: Role, plan: PlanContext) -> tuple[StageState, Sequence[StageEffect]]:
        """The stage's state at the start of a plan."""
        ...

    def advance(
        self, state: StageState, event: StageEvent
    ) -> tuple[StageState, Sequence[StageEffect]]:
        """Fold one event."""
        ...

    def seen(self, phase: str, body: bytes, width: int) -> Words | None:
        """The words of an upload as whoever holds it reads them: for reports and attack tests.

        None for bytes of a phase that carries no words.
        """
        ...

    def proves_abort(self, plan: PlanContext, ctx: RoundContext, proof: bytes) -> bool:
        """Whether the proof shows that the round released nothing: then the charge comes back."""
        ...


RegisterPrivacy = Callable[[str, Callable[[], PrivacyStage | Noise]], None]


@hookspec
def register_privacy(register: RegisterPrivacy) -> None:
    """Hand over mechanisms: `register("open", OpenSum)`."""
