"""A solve in one place: ask, answer, clip, sum, tell; no messages, no noise, no ledger.

For whoever holds every problem: a what-if, a test, a benchmark. The words are those of a cohort.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from covenue.hooks.domains import EMPTY, LocalProblem, Memory
from covenue.hooks.solvers import Coupling, Solution, Solver, State, Total
from covenue.numerics.words import Words, clip, total
from covenue_contracts.shared import Query


@dataclass(frozen=True)
class Solve:
    """Every query, every total, and the solution; None where it did not end in time."""

    queries: tuple[Query, ...]
    totals: tuple[Words, ...]
    solution: Solution | None


def solve(
    solver: Solver,
    coupling: Coupling,
    problems: Sequence[LocalProblem],
    *,
    cohort: tuple[str, ...],
    digest_of: Callable[[Query], str],
    rounds_max: int,
    warm: State | None = None,
) -> Solve:
    """Run a solver to its end, or through `rounds_max` rounds.

    Every problem keeps its memory by the digest of the query that left it, as at a participant; of
    a query that it never answered, it continues from the empty one.
    """
    bound = int(coupling.space.bound)
    nothing: list[Memory] = [EMPTY] * len(problems)
    memories: dict[str, list[Memory]] = {}
    queries: list[Query] = []
    totals: list[Words] = []
    state: State = solver.start(coupling, warm)
    while len(queries) < rounds_max:
        query = solver.ask(state, digest_of)
        named = digest_of(query)
        before = nothing if query.after is None else memories.get(query.after, nothing)
        answers = [p.answer(query, memory) for p, memory in zip(problems, before, strict=True)]
        memories[named] = [memory for _, memory in answers]
        queries.append(query)
        totals.append(total([clip(words, bound) for words, _ in answers]))
        state = solver.tell(state, Total(totals[-1], cohort, exact=True, query=named))
        if isinstance(state, Solution):
            return Solve(tuple(queries), tuple(totals), state)
    return Solve(tuple(queries), tuple(totals), None)
