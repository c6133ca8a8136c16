"""Family `engines`: how a cohort is reached."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from covenue.hooks import hookspec
from covenue_contracts.contract import Scalar
from covenue_contracts.ledger import ClockReading


@dataclass(frozen=True)
class TailReply:
    """The coordinator's entries from `start` on, their checkpoint, and the blobs nodes need."""

    start: int
    entries: tuple[bytes, ...]
    checkpoint: bytes
    blobs: Mapping[str, bytes]


class NodeHandle(Protocol):
    """A participant's process, as an engine sees it. The bytes are the kernel's own."""

    @property
    def did(self) -> str:
        """Who it is."""
        ...

    def wants(self) -> int:
        """The size of the coordinator's log that the node has folded."""
        ...

    def deliver(self, tail: TailReply, clock: ClockReading) -> Sequence[bytes]:
        """Fold a tail and do what is due; the envelopes that now leave for the coordinator."""
        ...


class CoordinatorHandle(Protocol):
    """The coordinator's process, as an engine sees it."""

    def size(self) -> int:
        """Entries in its log."""
        ...

    def tail(self, start: int) -> TailReply:
        """Entries from `start` on."""
        ...

    def submit(self, sender: str, envelope: bytes, clock: ClockReading) -> None:
        """Take a participant's message; a malformed one changes nothing."""
        ...

    def next_due(self) -> int | None:
        """The earliest wall time of a timer, or None when nothing is awaited."""
        ...

    def fire(self, clock: ClockReading) -> None:
        """Fire the timers that are due."""
        ...

    def done(self) -> bool:
        """Whether every order has ended."""
        ...


class Engine(Protocol):
    """Carries tails and envelopes until the coordinator is done.

    Duties: a node's envelopes are delivered in the order it sent them, at least once; a crash of
    one node stops no other. What is delivered when may differ between engines, never what is said.
    """

    def run(
        self,
        coordinator: CoordinatorHandle,
        nodes: Sequence[NodeHandle],
        clock: "EngineClock",
        stop: Callable[[], bool],
    ) -> None:
        """Run until done, or until `stop` says so."""
        ...


class EngineClock(Protocol):
    """A clock that an engine may wait on; a recorded one jumps."""

    def read(self) -> ClockReading:
        """The time now."""
        ...

    def wait_until(self, wall: int) -> None:
        """Return when the wall clock has reached `wall`."""
        ...


EngineFactory = Callable[[Mapping[str, Scalar | tuple[Scalar, ...]]], Engine]
RegisterEngine = Callable[[str, EngineFactory], None]


@hookspec
def register_engines(register: RegisterEngine) -> None:
    """Hand over engines: `register("inprocess", InProcess.from_options)`."""
