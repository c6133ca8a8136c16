"""A domain and a solver that show whether memory is kept as it should be.

Every answer carries a number that depends on the whole line of accepted queries before it, and
the solver rejects trials: memory taken from anywhere but `query.after` gives a wrong sum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from covenue.errors import CapabilityMissing
from covenue.hooks.domains import Acted, LocalProblem, Memory
from covenue.hooks.solvers import Choice, Coupling, Solution, State, Suits, Total
from covenue.hooks.venues import Snapshot
from covenue.numerics.words import Words, integers, words
from covenue.testing.domains import LadderCoupling, LadderDomain, LadderProblem
from covenue_contracts.local import Actions
from covenue_contracts.plan import Goal, Member
from covenue_contracts.shared import Capability, Query, Space

LEVELS = 4
TRAIL_MODULUS = 1_000_003


@dataclass(frozen=True)
class TrialCoupling(LadderCoupling):
    """A ladder of few levels that is asked by trials."""

    @property
    def key_range(self) -> tuple[int, int]:
        """Keys of LEVELS levels."""
        return 0, LEVELS << self.key_shift

    def width(self, query: Query) -> int:
        """Words of an answer: lots and trail for a trial, one to commit, three to settle."""
        return {"prox": 2, "commit": 1, "settle": 3}[query.kind]


@dataclass(frozen=True)
class TrialProblem:
    """One participant's offers, with a trail of the queries that it continues from."""

    ladder: LadderProblem
    capabilities: frozenset[Capability] = frozenset({"PROX"})

    @property
    def space(self) -> Space:
        """That of the ladder."""
        return self.ladder.space

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """Lots offered below the key, and the trail after it."""
        if query.kind != "prox":
            raise CapabilityMissing(
                f"a trial offers PROX and was asked '{query.kind}'", "choose the trial solver"
            )
        (key,) = (int(point) for point in query.points)
        lots = sum(amount for offered, amount in self.ladder.offers if offered < key)
        trail = (31 * int.from_bytes(memory, "big") + 7 * key + lots + 1) % TRAIL_MODULUS
        return words([lots, trail]), Memory(trail.to_bytes(4, "big"))

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """What the ladder does."""
        return self.ladder.commit(query, memory, plan)

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """What the ladder does."""
        return self.ladder.settle(query, acted)


class TrialDomain(LadderDomain):
    """The ladder domain, asked by trials."""

    def coupling(self, goal: Goal, members: Sequence[Member]) -> Coupling:
        """The public side of one plan."""
        return TrialCoupling(goal, len(members))

    def problem(
        self, goal: Goal, members: Sequence[Member], member: Member, state: Any, config: object
    ) -> LocalProblem:
        """One participant's offers; `state` as for the ladder."""
        levels = state.state if isinstance(state, Snapshot) else state
        return TrialProblem(LadderProblem(tuple(levels), member.slot, len(members), goal))


@dataclass(frozen=True)
class TrialState:
    """A bracket of keys with S(low) < wanted <= S(high), and the query to continue from."""

    coupling: TrialCoupling
    low: int
    at_low: int
    high: int
    after: str | None
    is_bounded: bool = False


class TrialSolver:
    """Bisection of keys: a trial that reaches what is wanted is rejected, the others accepted.

    The first trial of a plan continues from the last accepted one of the plan before (`warm`).
    """

    needs: frozenset[Capability] = frozenset({"PROX"})

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """Only the trial coupling of this module."""
        return Suits(99, "a trial") if isinstance(coupling, TrialCoupling) else None

    def start(self, coupling: Coupling, warm: State | None) -> TrialState:
        """The whole range."""
        assert isinstance(coupling, TrialCoupling)
        low, high = coupling.key_range
        return TrialState(coupling, low, 0, high, warm)

    def ask(self, state: TrialState, digest_of: Callable[[Query], str]) -> Query:
        """The end of the range first, then the middle of the bracket."""
        return Query(kind="prox", after=state.after, multipliers=None, points=(str(_key(state)),))

    def tell(self, state: TrialState, release: Total | Choice) -> TrialState | Solution:
        """Accept or reject the trial; end when the bracket is one key wide."""
        assert isinstance(release, Total)
        lots = integers(release.words)[0]
        if not state.is_bounded:
            if lots < state.coupling.wanted:
                return _solution(state, (state.high, 0), state.coupling.wanted - lots)
            return _ended(replace(state, is_bounded=True))
        if lots < state.coupling.wanted:
            return _ended(replace(state, low=_key(state), at_low=lots, after=release.query))
        return _ended(replace(state, high=_key(state)))


def _key(state: TrialState) -> int:
    return (state.low + state.high) // 2 if state.is_bounded else state.high


def _ended(state: TrialState) -> TrialState | Solution:
    if state.high - state.low > 1:
        return state
    return _solution(state, (state.low, state.coupling.wanted - state.at_low), 0)


def _solution(state: TrialState, points: tuple[int, int], shortfall: int) -> Solution:
    return Solution(
        status="certified",
        after=state.after,
        multipliers=None,
        points=points,
        value=0,
        bound=0,
        shortfall=shortfall,
        warm=state.after,
    )
