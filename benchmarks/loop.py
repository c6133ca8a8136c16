"""Our side of a benchmark: ask, answer, tell through the public Protocols, one batch participant.

There is no network, no ledger and no protection of sums here; `kernel.py` measures what the kernel
adds. Words are counted as a venue would upload them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from covenue.hooks.domains import EMPTY, LocalProblem, Memory
from covenue.hooks.solvers import Coupling, Solution, Solver, State, Total
from covenue.numerics.words import Words, clip
from covenue_contracts.canonical import digest
from covenue_contracts.local import Actions
from covenue_contracts.plan import Member
from covenue_contracts.shared import Query

ROUNDS_MOST = 5000
WORD_BYTES = 8
PLAN = "a" * 64
MEMBER = Member(did="did:key:z" + "A" * 47, name="all", slot=0)
"""The one participant, with all venues."""


@dataclass(frozen=True)
class Built:
    """One instance as problem objects. remembers: whether answers continue from earlier ones."""

    coupling: Coupling
    problem: LocalProblem
    solver: Solver
    remembers: bool = False


@dataclass
class Memories:
    """What the participant remembers, by the digest of the query that left it."""

    held: dict[str, Memory] = field(default_factory=dict)

    def of(self, query: Query) -> Memory:
        """The memory that a query continues from."""
        return EMPTY if query.after is None else self.held[str(query.after)]


@dataclass(frozen=True)
class Solve:
    """One solve: time of the loop alone, rounds, bytes that a venue uploads, and the end."""

    seconds: float
    rounds: int
    sent: int
    solution: Solution


def digest_of(query: Query) -> str:
    """A stand-in for the kernel's name of a query."""
    return str(digest(query, "benchmarks/query"))


def solve(built: Built, warm: State, memories: Memories) -> Solve:
    """From the first question to the solution. Raises RuntimeError after ROUNDS_MOST rounds."""
    solver, problem, remembers = built.solver, built.problem, built.remembers
    bound = int(built.coupling.space.bound)
    sent = 0
    began = perf_counter()
    state: Any = solver.start(built.coupling, warm)
    for count in range(1, ROUNDS_MOST + 1):
        query = solver.ask(state, digest_of)
        words, memory = problem.answer(query, memories.of(query))
        name = digest_of(query) if remembers else ""
        if remembers:
            memories.held[name] = memory
        sent += len(words)
        state = solver.tell(state, Total(clip(words, bound), ("all",), exact=True, query=name))
        if isinstance(state, Solution):
            return Solve(perf_counter() - began, count, WORD_BYTES * sent, state)
    raise RuntimeError(f"no solution after {ROUNDS_MOST} rounds")


def committed(
    built: Built, solution: Solution, memories: Memories
) -> tuple[Actions, Words, Sequence[int]]:
    """(actions, words, points) of the plan, as the kernel would ask for it."""
    points = tuple(str(point) for point in solution.points)
    query = Query(
        kind="commit", after=solution.after, multipliers=solution.multipliers, points=points
    )
    actions, words, _ = built.problem.commit(query, memories.of(query), PLAN)
    return actions, words, solution.points
