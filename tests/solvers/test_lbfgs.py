"""L-BFGS on the dual: the same certificates from answers alone, in more rounds than Newton."""

import numpy as np
import pytest
from tests.solvers.pools import Kind, coupling, generate, instance, problems, ticked

from covenue.testing.solvers import SolverExample, play, solver_conformance
from covenue_solver_dual import Dual, Lbfgs, model, pairs
from covenue_solver_dual.held import Reals
from covenue_solver_dual.pairs import Pairs, scaled, with_pair
from covenue_solver_dual.terms import terms_of
from covenue_solver_dual.totals import point


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


@pytest.mark.parametrize("n", [100, 1000])
def test_every_market_is_certified_cold_and_after_one_pool_moved(n: int) -> None:
    for seed in range(5):
        pools = generate(n, seed, "market")
        later = ticked(pools, seed)
        cold = play(Lbfgs(), coupling(pools), problems(pools, 1)).solution
        warm = play(Lbfgs(), coupling(later), problems(later, 1), cold.warm).solution
        assert (cold.status, warm.status) == ("certified", "certified")


def test_with_a_pull_that_ends_inside_the_limits_markets_stall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: totals inside their limits stop pulling, as in the Newton model; then gains jump."""
    true = model.pull

    def ending(at: int, reference: int, net: int, lower: int, upper: int) -> int:
        return 0 if 0 <= net < lower else int(true(at, reference, net, lower, upper))

    monkeypatch.setattr(pairs, "pull", ending)
    plain = pairs.quasi_newton_trial.plain  # type: ignore[attr-defined]  # what `compiled` adds
    monkeypatch.setattr(pairs, "quasi_newton_trial", plain)
    ends = {play(Lbfgs(), *instance(100, seed, "market")).solution.status for seed in range(4)}
    assert "stalled" in ends


MARKET_ROUNDS = 32


@pytest.mark.parametrize("seed", range(2))
def test_a_market_takes_fewer_rounds_with_the_stiffness_of_each_coordinate(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the mutant: with one number for all, as usual, a thousand pools take a third more."""
    public, private = instance(1000, seed, "market")
    rounds = len(play(Lbfgs(), public, private).queries)
    assert rounds <= MARKET_ROUNDS

    def alike(steps: Reals, gains: Reals, base: float) -> Reals:
        return np.full(steps.shape[1], base)

    monkeypatch.setattr(pairs, "stiffness", alike)
    monkeypatch.setattr(pairs, "SOFTEST", 1e9)
    plain = pairs.quasi_newton_trial.plain  # type: ignore[attr-defined]  # what `compiled` adds
    monkeypatch.setattr(pairs, "quasi_newton_trial", plain)
    assert len(play(Lbfgs(), public, private).queries) >= 4 * rounds // 3


def test_a_warm_start_is_one_of_multipliers_and_serves_newton_as_well() -> None:
    pools = generate(300)
    cold = play(Lbfgs(), coupling(pools), problems(pools))
    later = ticked(pools, 5)
    for solver in (Lbfgs(), Dual()):
        again = play(solver, coupling(later), problems(later), cold.solution.warm)
        assert again.solution.status == "certified"
        assert len(again.queries) < len(cold.queries)


@pytest.mark.parametrize("bent", [False, True])
def test_the_number_of_remembered_steps_is_kept(bent: bool) -> None:
    public, _ = instance(20)
    terms = terms_of(public, "lbfgs")
    memory = Pairs(3)
    start = point(public.reference, 0, (0,) * terms.size)
    for round_ in range(1, 6):
        moved = tuple(v + v * round_ // 100 for v in public.reference)
        end = point(moved, 0, (round_ * 2**30,) * terms.size)
        memory = with_pair(terms, memory, start, end, bent=bent)
    assert memory.steps is not None
    assert memory.gains is not None
    assert memory.steps.array.shape == memory.gains.array.shape == (3, terms.size)


@pytest.mark.parametrize("bent", [False, True])
def test_a_step_without_curvature_is_not_remembered(bent: bool) -> None:
    public, _ = instance(20)
    terms = terms_of(public, "lbfgs")
    start = point(public.reference, 0, (0,) * terms.size)
    moved = tuple(v + v // 100 for v in public.reference)
    for nets in ((0,) * terms.size, (-(2**30),) * terms.size):
        kept = with_pair(terms, Pairs(3), start, point(moved, 0, nets), bent=bent)
        assert kept.steps is not None
        assert len(kept.steps.array) == 0


def test_remembered_pairs_move_with_the_multipliers() -> None:
    """A step shrinks and a gain grows as the root of the price does; their product stays."""
    public, _ = instance(20)
    terms = terms_of(public, "lbfgs")
    start = point(public.reference, 0, (0,) * terms.size)
    near = point([v + v // 100 for v in public.reference], 0, (2**30,) * terms.size)
    far = point([4 * v for v in public.reference], 0, (2**31,) * terms.size)
    memory = with_pair(terms, Pairs(3), start, near, bent=True)
    moved = scaled(memory, far)
    assert memory.steps is not None
    assert memory.gains is not None
    assert moved.steps is not None
    assert moved.gains is not None
    assert np.allclose(
        moved.steps.array * moved.gains.array, memory.steps.array * memory.gains.array
    )
    assert np.allclose(moved.steps.array, memory.steps.array * np.sqrt(near.v / far.v))
    assert moved.at == far.at


def test_a_longer_memory_changes_the_path() -> None:
    public, private = instance(1000)
    short, long = play(Lbfgs(memory=1), public, private), play(Lbfgs(memory=20), public, private)
    assert short.transcript() != long.transcript()
