"""L-BFGS on the dual: the same certificates from answers alone, in more rounds than Newton."""

import pytest
from tests.solvers.pools import Kind, coupling, generate, instance, problems, ticked

from covenue.testing.solvers import SolverExample, play, solver_conformance
from covenue_solver_dual import Dual, Lbfgs
from covenue_solver_dual.pairs import Pairs, with_pair
from covenue_solver_dual.terms import terms_of
from covenue_solver_dual.totals import Point


def examples() -> list[SolverExample]:
    made = [instance(100), instance(200, seed=3)]
    return [SolverExample(public, tuple(private)) for public, private in made]


TestLbfgsConformance = solver_conformance(Lbfgs, examples)


@pytest.mark.parametrize("n", [100, 1000, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_random_pools_are_certified_from_answers_alone(n: int, seed: int) -> None:
    ended = play(Lbfgs(), *instance(n, seed))
    assert ended.solution.status == "certified"
    assert {query.kind for query in ended.queries} == {"respond"}
    assert len(ended.queries) <= 25


@pytest.mark.parametrize("kind", ["random", "market"])
@pytest.mark.parametrize("n", [300, 1000])
def test_it_takes_more_rounds_than_newton_and_ends_at_the_same_value(n: int, kind: Kind) -> None:
    public, private = instance(n, 1, kind)
    newton, other = play(Dual(), public, private), play(Lbfgs(), public, private)
    assert other.solution.status == "certified"
    assert len(other.queries) > len(newton.queries)
    assert other.solution.value <= newton.solution.bound
    assert newton.solution.value <= other.solution.bound


def test_a_warm_start_is_one_of_multipliers_and_serves_newton_as_well() -> None:
    pools = generate(300)
    cold = play(Lbfgs(), coupling(pools), problems(pools))
    later = ticked(pools, 5)
    for solver in (Lbfgs(), Dual()):
        again = play(solver, coupling(later), problems(later), cold.solution.warm)
        assert again.solution.status == "certified"
        assert len(again.queries) < len(cold.queries)


def test_the_number_of_remembered_steps_is_kept() -> None:
    public, _ = instance(20)
    terms = terms_of(public, "lbfgs")
    memory = Pairs(3)
    start = Point(public.reference, 0, (0,) * terms.size, 0)
    for round_ in range(1, 6):
        moved = tuple(v + v * round_ // 100 for v in public.reference)
        end = Point(moved, 0, (round_ * 2**30,) * terms.size, 0)
        memory = with_pair(terms, memory, start, end)
    assert (len(memory.steps), len(memory.gains)) == (3, 3)


def test_a_step_without_curvature_is_not_remembered() -> None:
    public, _ = instance(20)
    terms = terms_of(public, "lbfgs")
    start = Point(public.reference, 0, (0,) * terms.size, 0)
    moved = tuple(v + v // 100 for v in public.reference)
    for nets in ((0,) * terms.size, (-(2**30),) * terms.size):
        assert with_pair(terms, Pairs(3), start, Point(moved, 0, nets, 0)) == Pairs(3)


def test_a_longer_memory_changes_the_path() -> None:
    public, private = instance(1000)
    short, long = play(Lbfgs(memory=1), public, private), play(Lbfgs(memory=20), public, private)
    assert short.transcript() != long.transcript()
