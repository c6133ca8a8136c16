"""Carries tails and envelopes between objects of one process, in order of arrival time.

Every link has the same one-way latency, on the clock that the run brings: a recorded clock jumps
from arrival to arrival, the system's sleeps. Ties are broken by the order of sending, and nodes
are served in order of did, so that a run is the same however its parties are listed.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from covenue.errors import BadInput
from covenue.hooks.engines import CoordinatorHandle, EngineClock, NodeHandle
from covenue_contracts.contract import Scalar

LATENCY_MS_MAX = 60_000


@dataclass(frozen=True)
class InProcess:
    """The engine; latency_ns is one way, from coordinator to node or back."""

    latency_ns: int = 0

    @classmethod
    def from_options(cls, options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> "InProcess":
        """Build from `latency_ms`. Raises BadInput, naming the option."""
        unknown = sorted(set(options) - {"latency_ms"})
        if unknown:
            raise BadInput(
                "the in-process engine has no such option",
                "its only option is latency_ms",
                field=f"engine.options.{unknown[0]}",
            )
        latency = options.get("latency_ms", 0)
        if isinstance(latency, bool) or not isinstance(latency, int):
            raise _bad_latency(latency)
        if not 0 <= latency <= LATENCY_MS_MAX:
            raise _bad_latency(latency)
        return cls(latency * 1_000_000)

    def run(
        self,
        coordinator: CoordinatorHandle,
        nodes: Sequence[NodeHandle],
        clock: EngineClock,
        stop: Callable[[], bool],
    ) -> None:
        """Run until the coordinator is done, and every node has heard it, or `stop` says so.

        A node that raises is down from then on; the others go on without it, and what it raised
        is raised at the end.
        """
        run = _Run(self.latency_ns, coordinator, clock)
        for node in sorted(nodes, key=lambda n: n.did):
            run.links.append(_Link(node))
        while not stop() and run.next_arrival():
            pass
        for link in run.links:
            if link.fault is not None:
                raise link.fault


@dataclass
class _Link:
    """One node: whether news is on its way to it, and what it has sent on this reliable link."""

    node: NodeHandle
    known: int = -1
    pending: bool = False
    sent: set[bytes] = field(default_factory=set)
    fault: Exception | None = None


@dataclass
class _Run:
    latency_ns: int
    coordinator: CoordinatorHandle
    clock: EngineClock
    links: list[_Link] = field(default_factory=list)
    arrivals: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    sent: int = 0

    def next_arrival(self) -> bool:
        """Handle the next arrival or timer; False when nothing is left to wait for."""
        self.notify()  # `stop` may have pulled the kill switch
        timer = None if self.coordinator.done() else self.coordinator.next_due()
        if self.arrivals and (timer is None or self.arrivals[0][0] <= timer):
            due, _, arrive = heapq.heappop(self.arrivals)
            self.clock.wait_until(due)
            arrive()
        elif timer is not None:
            self.clock.wait_until(timer)
            self.coordinator.fire(self.clock.read())
        else:
            return False
        return True

    def notify(self) -> None:
        """Send each node the news that the coordinator's log has grown."""
        size = self.coordinator.size()
        for link in self.links:
            if link.known < size and not link.pending and link.fault is None:
                link.pending = True
                self.send(partial(self.deliver, link))

    def deliver(self, link: _Link) -> None:
        """A node reads the log's tail, as it stands on arrival, and answers."""
        link.pending, link.known = False, self.coordinator.size()
        tail = self.coordinator.tail(link.node.wants())
        try:
            envelopes = link.node.deliver(tail, self.clock.read())
        except Exception as fault:
            link.fault = fault
            return
        for envelope in envelopes:
            if envelope not in link.sent:
                link.sent.add(envelope)
                self.send(partial(self.submit, link, envelope))

    def submit(self, link: _Link, envelope: bytes) -> None:
        """A node's envelope reaches the coordinator."""
        self.coordinator.submit(link.node.did, envelope, self.clock.read())

    def send(self, arrive: Callable[[], None]) -> None:
        """Put something on its way; it arrives one latency later."""
        self.sent += 1
        due = int(self.clock.read().wall) + self.latency_ns
        heapq.heappush(self.arrivals, (due, self.sent, arrive))


def _bad_latency(latency: object) -> BadInput:
    return BadInput(
        "latency_ms is a whole number of milliseconds, at most a minute",
        "write for example latency_ms = 20",
        field="engine.options.latency_ms",
        value=str(latency),
    )
