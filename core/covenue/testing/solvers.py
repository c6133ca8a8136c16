"""Drives a solver on opened problems, and numbered cases that every solver passes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from covenue.hooks.domains import EMPTY, LocalProblem
from covenue.hooks.solvers import Coupling, Solution, Solver, State, Total
from covenue.numerics.words import Words, to_bytes, total, words
from covenue.rounds.solving import solve
from covenue_contracts.canonical import digest
from covenue_contracts.shared import Query

MOST_ROUNDS = 200


def query_digest(query: Query) -> str:
    """A stand-in for the kernel's name of a query."""
    return digest(query, "testing/query")


@dataclass(frozen=True)
class Play:
    """A solve that ran to its end: every query, every total, and the solution."""

    queries: tuple[Query, ...]
    totals: tuple[Words, ...]
    solution: Solution

    def transcript(self) -> tuple[bytes, ...]:
        """Everything that was said, as bytes."""
        asked = [query.model_dump_json().encode() for query in self.queries]
        return (*asked, *(to_bytes(each) for each in self.totals))


def play(
    solver: Solver,
    coupling: Coupling,
    problems: Sequence[LocalProblem],
    warm: State | None = None,
    rounds_max: int = MOST_ROUNDS,
) -> Play:
    """Ask, answer, clip, sum, tell, until the solver ends; no noise, no network.

    Asserts that the solver ends within `rounds_max` rounds.
    """
    cohort = tuple(f"p{index}" for index in range(len(problems)))
    ended = solve(
        solver,
        coupling,
        problems,
        cohort=cohort,
        digest_of=query_digest,
        rounds_max=rounds_max,
        warm=warm,
    )
    assert ended.solution is not None, f"no solution after {rounds_max} rounds"
    return Play(ended.queries, ended.totals, ended.solution)


@dataclass(frozen=True)
class SolverExample:
    """One instance for a solver's conformance: public side and opened problems."""

    coupling: Coupling
    problems: tuple[LocalProblem, ...]


class SolverConformance:
    """Numbered cases; a number never changes its meaning."""

    build: Callable[[], Solver]
    examples: Callable[[], Sequence[SolverExample]]

    def test_sol_001_equal_inputs_give_equal_bytes(self) -> None:
        """Replay recomputes the whole transcript from the totals, byte for byte."""
        for first, second in zip(self.examples(), self.examples(), strict=True):
            a = play(self.build(), first.coupling, first.problems)
            b = play(self.build(), second.coupling, second.problems)
            assert a.transcript() == b.transcript()
            assert a.solution == b.solution

    def test_sol_002_asking_twice_asks_the_same(self) -> None:
        """A retry is a new round that names the same query."""
        for example in self.examples():
            solver = self.build()
            state = solver.start(example.coupling, None)
            assert solver.ask(state, query_digest) == solver.ask(state, query_digest)

    def test_sol_003_an_earlier_state_is_left_as_it_was(self) -> None:
        """States are values: the kernel keeps earlier ones across crashes and retries."""
        for example in self.examples():
            solver = self.build()
            state = solver.start(example.coupling, None)
            before = solver.ask(state, query_digest)
            answers = [each.answer(before, EMPTY)[0] for each in example.problems]
            release = Total(total(answers), ("p0",), exact=True)
            solver.tell(state, release)
            assert solver.ask(state, query_digest) == before
            solver.tell(state, release)
            assert solver.ask(state, query_digest) == before

    def test_sol_004_one_solver_serves_many_plans_at_once(self) -> None:
        """A solver object holds no plan of its own; everything is in the state."""
        solver = self.build()
        alone = [play(self.build(), e.coupling, e.problems).solution for e in self.examples()]
        shared = [play(solver, e.coupling, e.problems).solution for e in self.examples()]
        assert alone == shared

    def test_sol_005_the_order_of_participants_changes_no_byte(self) -> None:
        """Only sums arrive, so no order of participants can be visible."""
        for example in self.examples():
            forward = play(self.build(), example.coupling, example.problems)
            backward = play(self.build(), example.coupling, example.problems[::-1])
            assert forward.transcript() == backward.transcript()

    def test_sol_006_every_capability_it_needs_is_offered_and_every_width_agrees(self) -> None:
        """Negotiation before round 1 rests on `needs`; the stage rests on the width."""
        for example in self.examples():
            for problem in example.problems:
                assert self.build().needs <= problem.capabilities
            ended = play(self.build(), example.coupling, example.problems)
            for query, summed in zip(ended.queries, ended.totals, strict=True):
                assert len(summed) == example.coupling.width(query)

    def test_sol_007_a_certificate_encloses_the_value_and_warm_finds_it_again(self) -> None:
        """A certificate that excludes a better or equal plan found later is no certificate."""
        for example in self.examples():
            cold = play(self.build(), example.coupling, example.problems).solution
            assert cold.status == "certified"
            again = play(self.build(), example.coupling, example.problems, cold.warm).solution
            assert again.status == "certified"
            gap, again_gap = abs(cold.bound - cold.value), abs(again.bound - again.value)
            assert abs(again.value - cold.value) <= gap + again_gap

    def test_sol_008_a_total_of_the_wrong_width_certifies_nothing(self) -> None:
        """A total that cannot be right must not end in a plan."""
        for example in self.examples():
            solver = self.build()
            state = solver.start(example.coupling, None)
            width = example.coupling.width(solver.ask(state, query_digest))
            end = solver.tell(state, Total(words([0] * (width + 1)), ("p0",), exact=True))
            assert isinstance(end, Solution)
            assert end.status not in {"certified", "estimated"}


def solver_conformance(
    build: Callable[[], Solver], examples: Callable[[], Sequence[SolverExample]]
) -> type[SolverConformance]:
    """A test class with the cases SOL-001 to SOL-008.

    Use: `TestSearch = solver_conformance(Search, examples)`. Examples are built anew for each
    case; every one of them has a solution.
    """
    cases = {"build": staticmethod(build), "examples": staticmethod(examples)}
    return type("SolverConformance", (SolverConformance,), cases)
