"""The engine at any instant: everybody's requests and ours, in order of time."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from covenue_venue_sim.engine import BUY, Engine, Execution, New, Rules
from covenue_venue_sim.flow import Timed

OURS = "\x00ours"
"""Our owner name; no name that is read from a file can be equal to it."""


@dataclass(frozen=True)
class Take:
    """An order of ours that took something: at once or not at all, at a time."""

    time: int
    side: int
    ticks: int
    steps: int


@dataclass(frozen=True)
class Account:
    """What our takes made of us: steps held, money and fees in ticks·steps, executions."""

    position: int = 0
    cash: int = 0
    fees: int = 0
    executions: int = 0

    def after(self, side: int, execution: Execution) -> "Account":
        """The account after one more execution of ours."""
        sign = 1 if side == BUY else -1
        return Account(
            self.position + sign * execution.steps,
            self.cash - sign * execution.ticks * execution.steps - execution.taker_fee,
            self.fees + execution.taker_fee,
            self.executions + 1,
        )


class EngineFold:
    """The engine after all requests until an instant; going forward only new ones are folded.

    Ours at an instant come after everybody else's. The result depends on the instant and our takes
    alone, never on what was asked before.
    """

    def __init__(self, rules: Rules, flow: Sequence[Timed]) -> None:
        self._rules = rules
        self._flow = flow
        self.times = np.fromiter((timed.time for timed in flow), np.int64, len(flow))
        self.folded = 0
        self._engine = Engine(rules)
        self._account = Account()
        self._seen = 0
        self._made = 0

    def account(self, takes: Sequence[Take]) -> Account:
        """Our account after all takes."""
        if self._made < len(takes):
            self.at(takes[-1].time, takes)
        return self._account

    def at(self, as_of: int, takes: Sequence[Take]) -> Engine:
        """The engine at an instant, for reading. takes: all of ours, in order of time."""
        seen = self.seen_until(as_of)
        made = bisect_right(takes, as_of, key=lambda take: take.time)
        if self._is_ahead(seen, made, takes):
            self._restart()
        for number, take in enumerate(takes[self._made : made], start=self._made):
            self._fold_flow(self.seen_until(take.time))
            self._take(number, take)
        self._made = made
        self._fold_flow(seen)
        return self._engine

    def seen_until(self, as_of: int) -> int:
        """How many requests of others had arrived at an instant."""
        return int(np.searchsorted(self.times, as_of, side="right"))

    def _restart(self) -> None:
        self._engine, self._account = Engine(self._rules), Account()
        self._seen, self._made = 0, 0

    def _is_ahead(self, seen: int, made: int, takes: Sequence[Take]) -> bool:
        """Whether something is folded that comes after the instant, or after a take to come.

        The latter: others' requests were folded for a later pin before we took at an earlier time.
        """
        if seen < self._seen or made < self._made:
            return True
        return self._made < made and self.seen_until(takes[self._made].time) < self._seen

    def _fold_flow(self, until: int) -> None:
        for timed in self._flow[self._seen : until]:
            self._engine.submit(timed.request)
        self.folded += until - self._seen
        self._seen = until

    def _take(self, number: int, take: Take) -> None:
        order = New(f"{OURS}{number}", OURS, take.side, take.ticks, take.steps, "ioc")
        for execution in self._engine.submit(order).executions:
            self._account = self._account.after(take.side, execution)
