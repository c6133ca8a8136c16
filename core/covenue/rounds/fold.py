"""The one fold of live runs, restarts and replay: inputs go in, derived entries come out.

A restart and a replay feed recorded inputs; a mismatch with a recorded derived entry names the
first difference. Source: architecture.md, sections 3 and 6.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from covenue.errors import ReplayDiffers
from covenue.hooks.programs import RecordedSolver
from covenue.hooks.solvers import Choice, Coupling, Solution, State, Suits, Total
from covenue.ledger.entries import Entry
from covenue.rounds import coordinator, node_state, participant
from covenue.rounds.messages import Message, open_message
from covenue_contracts.contract import Contract
from covenue_contracts.ledger import ClockReading
from covenue_contracts.plan import Order, PlanDelta, QueryAsked
from covenue_contracts.shared import Capability, Query

COORDINATOR_INPUTS = frozenset({"order", "submit", "deadline", "kill_switch"})
NODE_INPUTS = frozenset({"tail", "snapshot", "outcome"})
SETUP = frozenset({"genesis", "budget.open", "clock_regression"})
ADVICE = "install the plugins that the plan names, by digest, and replay again"


Said = Query | PlanDelta
"""How a recorded solver went on after a total: its next question, or its end."""


@dataclass(frozen=True)
class Followed:
    """A recorded solver in a step that is on record: it goes on as it did then.

    Another machine may not compute its questions alike; what a certificate rests on are sums.
    """

    solver: RecordedSolver
    said: Said

    @property
    def needs(self) -> frozenset[Capability]:
        """As the solver."""
        return self.solver.needs

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """As the solver."""
        return self.solver.suits(coupling, offered)

    def start(self, coupling: Coupling, warm: State | None) -> State:
        """As the solver."""
        return self.solver.start(coupling, warm)

    def ask(self, state: State, digest_of: Callable[[Query], str]) -> Query:
        """As the solver."""
        return self.solver.ask(state, digest_of)

    def tell(self, state: State, release: Total | Choice) -> State | Solution:
        """Follow the record."""
        return self.solver.follow(state, release, self.said)


class CoordinatorFold:
    """The coordinator's state under its inputs; `resolve` gives an order's pure parts."""

    def __init__(self, resolve: Callable[[Order], coordinator.Parts]) -> None:
        self._resolve = resolve
        self._parts: coordinator.Parts | None = None
        self.state = coordinator.State()

    def apply(
        self,
        wall: int,
        body: Contract,
        envelope: bytes | Message | None = None,
        said: Said | None = None,
    ) -> tuple[Contract, ...] | None:
        """Fold one input; None when it changed nothing and is therefore no entry.

        envelope: a participant's bytes, or the message that they were opened to.
        said: what the step's record holds of the solver, for one that is replayed from its record.
        Raises EnvelopeRefused for a message that does not verify.
        """
        if isinstance(body, Order) and coordinator.done(self.state):
            self._parts = self._resolve(body)
        if self._parts is None:
            return None
        message = open_message(envelope) if isinstance(envelope, bytes) else envelope
        event = coordinator.Event(wall, cast("coordinator.Input", body), message)
        state, derived = coordinator.advance(_following(self._parts, said), self.state, event)
        if state is self.state and not derived:
            return None
        self.state = state
        return derived


def _following(parts: coordinator.Parts, said: Said | None) -> coordinator.Parts:
    if said is None or not isinstance(parts.solver, RecordedSolver):
        return parts
    return replace(parts, solver=Followed(parts.solver, said))


class NodeFold:
    """A node's state under its inputs."""

    def __init__(self, own: node_state.Self, state: node_state.State) -> None:
        self.own = own
        self.state = state

    def apply(self, event: node_state.Event) -> node_state.Step:
        """Fold one input."""
        step = participant.advance(self.own, self.state, event)
        self.state = step.state
        return step


@dataclass(frozen=True)
class Group:
    """One recorded step: its input, its index, and what was derived from it.

    start: where the step's append began; a `clock_regression` may stand before the input.
    """

    index: int
    start: int
    input: Entry
    derived: tuple[Entry, ...]

    @property
    def clock(self) -> ClockReading:
        """The reading that the whole step carries."""
        return self.input.header.clock

    @property
    def said(self) -> Said | None:
        """How the solver went on in this step, if it did."""
        for entry in self.derived:
            if isinstance(entry.body, PlanDelta):
                return entry.body
            if isinstance(entry.body, QueryAsked):
                return entry.body.query
        return None


def groups(entries: Iterable[Entry], inputs: frozenset[str]) -> Iterator[Group]:
    """Split a log into its steps. Raises ReplayDiffers when a derived entry has no input."""
    at, start, regressed = -1, -1, False
    pending: list[Entry] = []
    for index, entry in enumerate(entries):
        kind = entry.header.kind
        if kind in SETUP:
            regressed = kind == "clock_regression"
            continue
        if kind in inputs:
            if pending:
                yield Group(at, start, pending[0], tuple(pending[1:]))
            at, start, pending = index, index - regressed, [entry]
            regressed = False
        elif pending:
            pending.append(entry)
        else:
            raise ReplayDiffers(
                f"a {kind} entry stands before any input", ADVICE, index, "/kind", kind, "no entry"
            )
    if pending:
        yield Group(at, start, pending[0], tuple(pending[1:]))


def check(group: Group, derived: tuple[Contract, ...] | None) -> None:
    """Compare a recorded step with its recomputation. Raises ReplayDiffers at the first byte."""
    if derived is None:
        raise _differs(group.index, "/", "an entry", "no effect, therefore no entry")
    for offset, (recorded, recomputed) in enumerate(zip(group.derived, derived, strict=False)):
        index = group.index + 1 + offset
        kind = recomputed.kind_name.rpartition("/")[0]
        if recorded.header.kind != kind:
            raise _differs(index, "/kind", recorded.header.kind, kind)
        found = first_difference(recorded.body.model_dump(), recomputed.model_dump())
        if found is not None:
            raise _differs(index, f"/body{found[0]}", found[1], found[2])
    if len(group.derived) != len(derived):
        index = group.index + 1 + min(len(group.derived), len(derived))
        raise _differs(
            index, "/", f"{len(group.derived)} derived entries", f"{len(derived)} derived entries"
        )


def first_difference(
    recorded: Any, recomputed: Any, where: str = ""
) -> tuple[str, Any, Any] | None:
    """The first place, in order of key or index, where two documents differ; and both values."""
    if isinstance(recorded, dict) and isinstance(recomputed, dict):
        for key in sorted({*recorded, *recomputed}):
            found = first_difference(recorded.get(key), recomputed.get(key), f"{where}/{key}")
            if found is not None:
                return found
        return None
    if isinstance(recorded, list | tuple) and isinstance(recomputed, list | tuple):
        for index, (left, right) in enumerate(zip(recorded, recomputed, strict=False)):
            found = first_difference(left, right, f"{where}/{index}")
            if found is not None:
                return found
        if len(recorded) != len(recomputed):
            return f"{where}/length", len(recorded), len(recomputed)
        return None
    return None if recorded == recomputed else (where, recorded, recomputed)


def _differs(index: int, pointer: str, recorded: object, recomputed: object) -> ReplayDiffers:
    return ReplayDiffers(
        "a recomputed entry differs from the recorded one",
        ADVICE,
        index,
        pointer,
        str(recorded),
        str(recomputed),
    )
