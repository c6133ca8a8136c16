"""Newton on the dual: certified against independent optima, in few rounds, and what it refuses."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.solvers.pools import (
    MARGIN,
    MOST,
    MULTIPLIER_BITS,
    SCALE_BITS,
    VALUE_BITS,
    Kind,
    PoolCoupling,
    PoolProblem,
    Pools,
    Reals,
    coupling,
    generate,
    instance,
    problems,
    ticked,
)

from covenue.errors import BadInput, CapabilityMissing, PluginBroken
from covenue.hooks.domains import EMPTY
from covenue.hooks.solvers import Choice, Solution, Solver, Total
from covenue.numerics import ldlt
from covenue.numerics.words import Words, integers, total, words
from covenue.testing.domains import LadderCoupling, ladder_goal
from covenue.testing.solvers import Play, SolverExample, play, query_digest, solver_conformance
from covenue_contracts.shared import Capability, DualVariables, Query
from covenue_solver_dual import (
    Dual,
    Lbfgs,
    WarmDual,
    algebra,
    certificate,
    descent,
    model,
    newton,
    selftest,
    totals,
)
from covenue_solver_dual.certificate import (
    Best,
    Survey,
    closed,
    conflicts,
    first,
    plan_value,
    survey,
)
from covenue_solver_dual.costs import Costs
from covenue_solver_dual.descent import Descent
from covenue_solver_dual.held import Held
from covenue_solver_dual.newton import Curvature, NewtonMethod, secant
from covenue_solver_dual.terms import Terms, terms_of
from covenue_solver_dual.totals import Point, point

UNIT = 2**VALUE_BITS
TOLERANCE = Fraction(1, 10**6)
SOLVERS: list[type[Dual] | type[Lbfgs]] = [Dual, Lbfgs]

DIGESTS = {
    ("random", 100): "5abdc13608c305ab88a1580183a48766858ad1a97f6d66a7c5a5adb5a89cb6a7",
    ("random", 1000): "a5c0d309284861a48f3e2682af39693931def2702a40131bdd5cfd1dc99d2e26",
    ("market", 1000): "e3d0d492a0827139722709b52d00452c5b6b4f9129b7d63bd1e294bdf5eee60c",
    ("random", 10_000): "5756292bb3b2c3ee5af98c9d168c5872740c05a4fb1ca60546ddf24eb8b918da",
}


def gap(solution: Solution) -> Fraction:
    """The certified gap, relative as the solver measures it."""
    return Fraction(solution.bound - solution.value, max(abs(solution.bound), UNIT))


def two_pools() -> Pools:
    """One coordinate pair, two pools that disagree; the second coordinate is nearly worthless."""
    return Pools(
        side_a=np.array([0, 1]),
        side_b=np.array([1, 0]),
        reserve_a=np.array([1000.0, 900.0]),
        reserve_b=np.array([1200.0, 1000.0]),
        kept=np.array([0.997, 0.997]),
        reference=np.array([1.0, 2.0**-8]),
    )


def examples() -> list[SolverExample]:
    made = [
        instance(100),
        instance(60, seed=3, kind="market"),
        (coupling(two_pools()), problems(two_pools(), 2)),
    ]
    return [SolverExample(public, tuple(private)) for public, private in made]


TestDualConformance = solver_conformance(Dual, examples)
TestDualEveryConformance = solver_conformance(lambda: Dual(hessian="every"), examples)


@pytest.mark.parametrize(("kind", "n"), DIGESTS)
def test_the_generator_gives_the_same_bytes_on_every_machine(kind: Kind, n: int) -> None:
    assert generate(n, 0, kind).digest() == DIGESTS[kind, n]


# ---- rounds and certificates


@pytest.mark.parametrize("n", [100, 1000, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_random_pools_are_certified_within_twelve_rounds(n: int, seed: int) -> None:
    ended = play(Dual(), *instance(n, seed))
    assert ended.solution.status == "certified"
    assert gap(ended.solution) <= TOLERANCE
    assert len(ended.queries) <= 12


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_pools_with_bands_where_nothing_pays_are_certified_as_well(n: int, seed: int) -> None:
    cached = play(Dual(), *instance(n, seed, "market"))
    every = play(Dual(hessian="every"), *instance(n, seed, "market"))
    assert (cached.solution.status, every.solution.status) == ("certified", "certified")
    assert len(cached.queries) <= 20
    assert len(every.queries) <= 8


def test_slopes_are_asked_for_in_rounds_one_three_and_five_and_then_frozen() -> None:
    ended = play(Dual(hessian="cached"), *instance(1000, seed=2, kind="market"))
    kinds = [query.kind for query in ended.queries]
    assert [kinds[n] for n in (0, 2, 4)] == ["curvature"] * 3
    assert kinds[1] == "respond"
    assert set(kinds[5:]) <= {"respond"}


def test_slopes_are_asked_for_in_every_round_on_request() -> None:
    ended = play(Dual(hessian="every"), *instance(100))
    assert {query.kind for query in ended.queries} == {"curvature"}


@pytest.mark.parametrize("kind", ["random", "market"])
@pytest.mark.parametrize("moved", [0, 7, 250])
def test_a_plan_after_one_pool_moved_takes_few_rounds_without_slopes(
    kind: Kind, moved: int
) -> None:
    pools = generate(1000, 0, kind)
    cold = play(Dual(), coupling(pools), problems(pools)).solution
    later = ticked(pools, moved)
    again = play(Dual(), coupling(later), problems(later), cold.warm)
    assert again.solution.status == "certified"
    kinds = [query.kind for query in again.queries]
    assert len(kinds) <= 6
    assert kinds[0] == "respond"
    assert kind == "market" or set(kinds) == {"respond"}


def test_until_a_trial_is_rejected_steps_go_far_and_random_pools_take_three_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the mutant: held back at once, they take five."""
    public, private = instance(1000)
    assert len(play(Dual(), public, private).queries) <= 4
    monkeypatch.setattr(newton, "UNREJECTED", newton.FURTHER)
    assert len(play(Dual(), public, private).queries) >= 5


def test_after_a_far_start_slopes_are_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the mutant: plans in a row take more rounds where that is only seen one step later."""

    def rounds() -> list[int]:
        pools = generate(1000, 1, "market")
        warm = play(Dual(), coupling(pools), problems(pools, 1)).solution.warm
        counts = []
        for moved in range(24):
            pools = ticked(pools, moved)
            again = play(Dual(), coupling(pools), problems(pools, 1), warm)
            assert again.solution.status == "certified"
            warm = again.solution.warm
            counts.append(len(again.queries))
        return counts

    kept = rounds()
    assert sorted(kept)[len(kept) // 2] <= 3
    monkeypatch.setattr("covenue_solver_dual.costs.FAR", float("inf"))
    assert sum(rounds()) > sum(kept)


def test_a_plan_where_nothing_moved_stands_after_one_round() -> None:
    public, private = instance(300)
    cold = play(Dual(), public, private).solution
    again = play(Dual(), public, private, cold.warm)
    assert [query.kind for query in again.queries] == ["respond"]
    assert (again.solution.points, again.solution.value) == (cold.points, cold.value)
    assert again.solution.stands
    assert not cold.stands


@pytest.mark.parametrize("solver", [Dual(), Lbfgs()])
def test_a_plan_whose_amounts_or_multipliers_changed_does_not_stand(solver: Solver) -> None:
    """The same gap is not enough: the amounts that were agreed to have to be the answer again."""
    public, private = instance(300)
    cold = play(solver, public, private).solution
    state = solver.start(public, cold.warm)
    same = answered(private, solver.ask(state, query_digest))
    more = words([*integers(same)[:-1], integers(same)[-1] + 1])
    for told, stands in ((same, True), (more, False)):
        end = solver.tell(state, Total(told, ("a",), exact=True))
        assert isinstance(end, Solution)
        assert (end.status, end.stands) == ("certified", stands)
    dearer = replace(public, reference=tuple(r + r // 10**6 for r in public.reference))
    moved = play(solver, dearer, private, cold.warm).solution
    assert moved.multipliers != cold.multipliers
    assert not moved.stands


TAILS: dict[tuple[Kind, int], tuple[int, int]] = {
    ("random", 100): (3, 4),
    ("random", 1000): (2, 3),
    ("market", 300): (3, 8),
    ("market", 1000): (3, 6),
}


@pytest.mark.parametrize(("kind", "n"), TAILS)
def test_plans_one_after_another_stay_within_few_rounds(kind: Kind, n: int) -> None:
    """Thirty pools move one after another; each plan starts from the one before."""
    pools = generate(n, 1, kind)
    warm = play(Dual(), coupling(pools), problems(pools, 1)).solution.warm
    rounds = []
    for moved in range(0, 210, 7):
        pools = ticked(pools, moved % n)
        again = play(Dual(), coupling(pools), problems(pools, 1), warm)
        assert again.solution.status == "certified"
        warm = again.solution.warm
        rounds.append(len(again.queries))
    median, most = TAILS[kind, n]
    assert sorted(rounds)[len(rounds) // 2] <= median
    assert max(rounds) <= most


@pytest.mark.parametrize("n", [10, 30])
def test_tiny_markets_are_certified_as_well(n: int) -> None:
    for seed in range(12):
        ended = play(Dual(), *instance(n, seed, "market"))
        assert ended.solution.status == "certified"


def test_without_an_inset_as_wide_as_the_grid_a_tiny_market_stalls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: totals are steered finer than one step of their multiplier moves them.

    With the slopes of the plan before: new ones hide it here.
    """
    monkeypatch.setattr("covenue_solver_dual.costs.FAR", float("inf"))
    pools = generate(30, 4, "market")
    later = [ticked(pools, moved) for moved in (4, 8)]

    def ends() -> set[str]:
        warm = play(Dual(), coupling(pools), problems(pools, 1)).solution.warm
        solves = [play(Dual(), coupling(p), problems(p, 1), warm).solution for p in later]
        return {each.status for each in solves}

    assert ends() == {"certified"}

    def blind(method: NewtonMethod, terms: Terms, memory: Curvature) -> Held:
        return Held(np.zeros(terms.size))

    monkeypatch.setattr(NewtonMethod, "diagonal", blind)
    assert "stalled" in ends()


def test_a_total_inside_its_limits_is_not_steered_further_inside() -> None:
    """Below its inset but within its limits it stays; outside it is steered to the inset."""
    assert model.steered(0, 100, 10, 3) == (3, 90)
    assert model.steered(0, 100, 10, -1) == (10, 90)
    assert model.steered(0, 100, 10, 97) == (10, 97)
    assert model.steered(0, 100, 10, 101) == (10, 90)
    assert model.steered(0, 100, 10, 50) == (10, 90)


# ---- what rounds and bytes cost


def kinds_of(ended: Play) -> set[str]:
    return {query.kind for query in ended.queries}


def test_slopes_are_asked_for_where_their_bytes_cost_less_than_the_rounds_they_save() -> None:
    public, private = instance(1000)
    slow = Dual.from_options({"bandwidth_mbps": "0.5"})
    far = Dual.from_options({"bandwidth_mbps": "0.5", "rtt_ms": 5000})
    assert "curvature" in kinds_of(play(Dual(), public, private))
    assert kinds_of(play(slow, public, private)) == {"respond"}
    assert "curvature" in kinds_of(play(far, public, private))


@pytest.mark.parametrize(("size", "asks"), [(2, True), (63, True), (300, True), (632, False)])
def test_many_coordinates_are_too_many_for_slopes_at_usual_costs(size: int, asks: bool) -> None:
    assert Costs().asks(size) is asks
    assert Costs("every").asks(size)
    assert Costs("cached").asks(size)


def test_the_price_of_slopes_is_their_bytes_over_the_bandwidth_in_round_trips() -> None:
    megabits = 8 * 8 * 63 * 64 / 2 / 10**6
    assert Costs().price(63) == pytest.approx(1000 * megabits / 80 / 20)
    assert Costs(rtt_ms=200.0).price(63) == pytest.approx(Costs().price(63) / 10)


def test_slopes_are_asked_for_again_only_while_that_saves_rounds() -> None:
    costs = Costs()
    assert costs.renews(63, 1e3, 1e2, 1e-3, warm=False)
    assert not costs.renews(63, 1e3, 1e-1, 1e-3, warm=False)
    assert not costs.renews(63, 1e3, 1.0, 1e-9, warm=True)
    assert costs.renews(63, 1e3, 5e2, 1e-9, warm=True)
    assert costs.renews(63, 1e3, 2e3, 1e-9, warm=False)
    assert not costs.renews(300, 1e3, 1.0, 1e-6, warm=False)


def test_the_reason_says_which_way_it_went() -> None:
    offered: frozenset[Capability] = frozenset({"RESPOND", "CURVATURE"})
    near = Dual().suits(instance(1000)[0], offered)
    far = Dual.from_options({"bandwidth_mbps": 1}).suits(instance(1000)[0], offered)
    assert near is not None
    assert far is not None
    assert "a Newton step is a round" in near.why
    assert "quasi-Newton steps from answers alone" in far.why
    assert Dual().suits(instance(1000)[0], frozenset({"RESPOND"})) is None
    assert Dual().suits(LadderCoupling(ladder_goal(1), 1), offered) is None


def test_a_warm_start_of_another_shape_or_grid_is_a_cold_start() -> None:
    public, private = instance(100)
    cold = play(Dual(), public, private)
    warm = cold.solution.warm
    assert isinstance(warm, WarmDual)
    other = play(Dual(), *instance(50)).solution.warm
    for unfit in (other, replace(warm, bits=(30, 41, 20)), "warm", 7):
        assert play(Dual(), public, private, unfit).transcript() == cold.transcript()


def test_multipliers_at_rest_stay_at_rest_when_their_reference_moves() -> None:
    public, private = instance(100, kind="market")
    cold = play(Dual(), public, private).solution
    warm = cold.warm
    assert isinstance(warm, WarmDual)
    rested = replace(warm, multipliers=public.reference)
    moved = replace(public, reference=tuple(3 * r // 2 for r in public.reference))
    state = Dual().start(moved, rested)
    assert isinstance(state, Descent)
    assert tuple(state.trial.array.tolist()) == moved.reference


# ---- the plan is a plan, and it is the best


@pytest.mark.parametrize("solver", [Dual(), Lbfgs()])
def test_what_is_committed_adds_up_to_the_points_and_is_admitted(solver: Solver) -> None:
    public, private = instance(300, seed=2)
    solution = play(solver, public, private).solution
    query = Query(
        kind="commit",
        after=solution.after,
        multipliers=solution.multipliers,
        points=tuple(str(point) for point in solution.points),
    )
    committed = total([each.commit(query, EMPTY, "0" * 64)[1] for each in private])
    assert integers(committed) == solution.points
    assert public.admits(committed, public.goal)
    worth = sum(r * net for r, net in zip(public.reference, solution.points, strict=True))
    assert solution.value == worth >> (MULTIPLIER_BITS + SCALE_BITS - VALUE_BITS)


def test_every_swap_of_the_oracle_can_be_delivered() -> None:
    """The invariant never falls, in exact fractions: what is summed is what pools can do."""
    pools = generate(200, 5)
    solution = play(Dual(), coupling(pools), problems(pools)).solution
    assert solution.multipliers is not None
    v = np.array([float(int(x)) for x in solution.multipliers.values]) * 2.0**-MULTIPLIER_BITS
    swaps = PoolProblem(pools).swaps(v)
    moving = 0
    for n in range(200):
        net = Fraction(int(swaps.net_a[n]), 2**SCALE_BITS), Fraction(int(swaps.net_b[n]), 2**30)
        held = Fraction(float(pools.reserve_a[n])), Fraction(float(pools.reserve_b[n]))
        kept = Fraction(float(pools.kept[n]))
        after = [
            reserve - amount if amount > 0 else reserve - kept * amount
            for reserve, amount in zip(held, net, strict=True)
        ]
        assert min(after) > 0
        assert after[0] * after[1] >= held[0] * held[1]
        moving += any(net)
    assert moving > 100


@pytest.mark.parametrize("solver", [Dual(), Lbfgs()])
def test_two_pools_reach_the_closed_form(solver: Solver) -> None:
    """Source: venues.md, section 6; a into the first pool, then b into the second."""
    pools = two_pools()
    g, (ra, sb), (rb, sa) = 0.997, pools.reserve_a, pools.reserve_b
    assert g * g * (rb / ra) * (sa / sb) > 1.0
    ea, eb = ra * sb / (sb + g * rb), g * rb * sa / (sb + g * rb)
    paid = ((g * ea * eb) ** 0.5 - ea) / g
    profit = g * paid * eb / (ea + g * paid) - paid
    solution = play(solver, coupling(pools), problems(pools, 2)).solution
    assert solution.status == "certified"
    assert solution.value <= profit * UNIT <= solution.bound
    assert gap(solution) <= TOLERANCE


def searched_phi(pools: Pools, first: Reals, second: Reals) -> Reals:
    """The best value of all pools by bisection on their marginal rates; no closed form.

    first, second: multipliers of both coordinates, any number of candidates at once.
    """
    v = np.stack([first, second])
    best = np.zeros(len(first))
    for n in range(len(pools.side_a)):
        sides = (pools.side_a[n], pools.side_b[n])
        held = (pools.reserve_a[n], pools.reserve_b[n])
        for (pays, gets), (ra, rb) in ((sides, held), (sides[::-1], held[::-1])):
            low, high = np.zeros(len(first)), np.full(len(first), 1e6)
            for _ in range(60):
                paid = 0.5 * (low + high)
                rate = v[gets] * pools.kept[n] * ra * rb / (ra + pools.kept[n] * paid) ** 2
                low, high = (
                    np.where(rate > v[pays], paid, low),
                    np.where(rate > v[pays], high, paid),
                )
            received = rb - ra * rb / (ra + pools.kept[n] * low)
            best += v[gets] * received - v[pays] * low
    return best


def searched_optimum(pools: Pools) -> float:
    """The least of D over v >= c for two coordinates, by zooming into a grid."""
    low, high = pools.reference, 64.0 * pools.reference
    least = np.inf
    for _ in range(40):
        axes = [np.linspace(a, b, 17) for a, b in zip(low, high, strict=True)]
        first, second = (each.ravel() for each in np.meshgrid(*axes))
        values = searched_phi(pools, first, second)
        at = np.array([first[values.argmin()], second[values.argmin()]])
        least = min(least, float(values.min()))
        span = 0.3 * (high - low)
        low, high = np.maximum(at - span, pools.reference), at + span
    return least


@pytest.mark.parametrize("seed", range(3))
def test_a_small_instance_encloses_the_optimum_found_by_search(seed: int) -> None:
    pools = generate(5, seed, m=2)
    optimum = searched_optimum(pools)
    for solver in (Dual(), Dual(hessian="every"), Lbfgs()):
        solution = play(solver, coupling(pools), problems(pools, 2)).solution
        assert solution.status == "certified"
        assert solution.value / UNIT <= optimum * (1 + 1e-9)
        assert solution.bound / UNIT >= optimum * (1 - 1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 80), st.integers(0, 10**6), st.sampled_from(["random", "market"]))
def test_no_bound_of_one_solver_is_passed_by_a_plan_of_another(
    n: int, seed: int, kind: Kind
) -> None:
    """Tiny markets, and up to five pools of any sort, may stall 1e-6 to 4e-6 apart on the grid.

    What is said holds all the same.
    """
    public, private = instance(n, seed, kind, margin=256)
    ends = [
        play(each, public, private, rounds_max=2000).solution
        for each in (Dual(), Dual(hessian="every"), Lbfgs())
    ]
    if kind == "random" and n > 5:
        assert {each.status for each in ends} == {"certified"}
    plans = [each for each in ends if each.points]
    assert all(one.value <= other.bound for one in plans for other in plans)


def test_limits_above_bind_as_limits_below_do() -> None:
    """A ceiling that the unlimited plan passes is kept, and costs value."""
    public, private = instance(100)
    unlimited = play(Dual(), public, private).solution
    most_taken = max(range(public_size(public)), key=lambda k: unlimited.points[k])
    ceiling = unlimited.points[most_taken] // 2
    most = tuple(ceiling if k == most_taken else MOST for k in range(public_size(public)))
    limited = replace(public, most=most)
    for solver in (Dual(), Lbfgs()):
        solution = play(solver, limited, private).solution
        assert solution.status == "certified"
        assert solution.points[most_taken] <= ceiling
        assert solution.value < unlimited.value
        assert solution.multipliers is not None
        below = int(solution.multipliers.values[most_taken]) < public.reference[most_taken]
        assert below


def public_size(public: PoolCoupling) -> int:
    return len(public.reference)


def test_nothing_to_gain_is_certified_at_zero_in_one_round() -> None:
    pools = generate(100)
    level = replace(
        pools,
        reserve_a=1000.0 / pools.reference[pools.side_a],
        reserve_b=1000.0 / pools.reference[pools.side_b],
        kept=np.full(100, 0.9),
    )
    ended = play(Dual(), coupling(level), problems(level))
    assert len(ended.queries) == 1
    assert (ended.solution.status, ended.solution.value) == ("certified", 0)
    assert set(ended.solution.points) == {0}


# ---- ends without a certificate


@pytest.mark.parametrize("solver", [Dual(), Lbfgs()])
def test_a_total_that_no_multiplier_in_range_brings_is_infeasible(solver: Solver) -> None:
    public, private = instance(100)
    owed = replace(public, least=(2**55, *public.least[1:]))
    solution = play(solver, owed, private, rounds_max=500).solution
    assert (solution.status, solution.points) == ("infeasible", (0,))


@pytest.mark.parametrize("solver", [Dual(Fraction(1, 10**14)), Lbfgs(Fraction(1, 10**14))])
def test_a_tolerance_below_the_rounding_of_the_answers_stalls_with_its_best_plan(
    solver: Solver,
) -> None:
    solution = play(solver, *instance(100), rounds_max=500).solution
    assert solution.status == "stalled"
    assert len(solution.points) == 20
    assert 0 < gap(solution) < TOLERANCE


def asked(solver: Solver, public: PoolCoupling) -> tuple[Any, Query]:
    state = solver.start(public, None)
    return state, solver.ask(state, query_digest)


def answered(private: list[PoolProblem], query: Query) -> Words:
    return total([each.answer(query, EMPTY)[0] for each in private])


@pytest.mark.parametrize("solver", [Dual(), Lbfgs()])
def test_choices_and_wrong_widths_stall(solver: Solver) -> None:
    public, private = instance(100)
    state, query = asked(solver, public)
    true = answered(private, query)
    for release in (
        Total(true[:-1], ("a",), exact=True),
        Total(words([*integers(true), 0]), ("a",), exact=True),
        Choice(0, ("a",)),
    ):
        end = solver.tell(state, release)
        assert isinstance(end, Solution)
        assert (end.status, end.points) == ("stalled", ())


def test_a_total_with_noise_proves_nothing() -> None:
    """Without slopes there is no schedule for it either (scheduled.py, for those who have them)."""
    public, private = instance(100)
    state, query = asked(Lbfgs(), public)
    end = Lbfgs().tell(state, Total(answered(private, query), ("a",), exact=False))
    assert isinstance(end, Solution)
    assert (end.status, end.points) == ("stalled", ())


def test_slopes_that_no_convex_answer_has_stall() -> None:
    public, private = instance(100)
    state, query = asked(Dual(), public)
    true = list(integers(answered(private, query)))
    first_diagonal, first_off = 1 + 20, 1 + 20 + 1
    for place, value in ((first_diagonal, -(2**40)), (first_off, 2**55)):
        false = [*true[:place], value, *true[place + 1 :]]
        end = Dual().tell(state, Total(words(false), ("a",), exact=True))
        assert isinstance(end, Solution)
        assert end.status == "stalled"


def unchecked(*given: Any) -> tuple[bool, Reals]:
    return True, true_unpacked(*given)[1]


true_unpacked = algebra.unpacked


def test_without_the_check_of_slopes_a_false_matrix_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: the minors are not looked at; a matrix that no answers have then steers."""
    public, private = coupling(two_pools()), problems(two_pools(), 2)
    state, query = asked(Dual(), public)
    false = list(integers(answered(private, query)))
    false[1 + 2 + 1] *= 4
    assert isinstance(Dual().tell(state, Total(words(false), ("a",), exact=True)), Solution)
    monkeypatch.setattr(totals, "unpacked", unchecked)
    assert isinstance(Dual().tell(state, Total(words(false), ("a",), exact=True)), Descent)


@pytest.mark.parametrize(("place", "sign"), [(0, 1), (5, -1)])
def test_words_beyond_what_the_cohort_may_send_stall(place: int, sign: int) -> None:
    public, private = instance(100)
    state, query = asked(Dual(), public)
    true = list(integers(answered(private, query)))
    true[place] = sign * (2**60 + 1)
    alone = Dual().tell(state, Total(words(true), ("a",), exact=True))
    assert isinstance(alone, Solution)
    assert alone.status == "stalled"
    assert isinstance(Dual().tell(state, Total(words(true), ("a", "b"), exact=True)), Descent)


def test_a_cohort_that_could_make_less_than_nothing_is_not_believed() -> None:
    """Whoever does nothing makes 0 of any multipliers, so phi is at least that."""
    public, private = instance(100)
    state, query = asked(Dual(), public)
    answer = list(integers(answered(private, query)))
    answer[0] = -(2**50)
    ended = Dual().tell(state, Total(words(answer), ("a", "b"), exact=True))
    assert isinstance(ended, Solution)
    assert (ended.status, ended.multipliers) == ("stalled", None)


def inflated(
    private: list[PoolProblem], from_round: int, change: Callable[[list[int]], None]
) -> Play:
    """A solve in which the sum is falsified from some round on."""
    public, solver = coupling(private[0].pools), Dual()
    state: Any = solver.start(public, None)
    queries: list[Query] = []
    while not isinstance(state, Solution):
        query = solver.ask(state, query_digest)
        queries.append(query)
        summed = list(integers(answered(private, query)))
        if len(queries) >= from_round:
            change(summed)
        state = solver.tell(state, Total(words(summed), ("a",), exact=True))
        assert len(queries) < 100
    return Play(tuple(queries), (), state)


def lower_the_value(summed: list[int]) -> None:
    summed[0] -= 2**44


def promise_more(summed: list[int]) -> None:
    summed[1:21] = [net + 2**44 for net in summed[1:21]]


@pytest.mark.parametrize("change", [lower_the_value, promise_more])
def test_answers_in_conflict_with_an_earlier_round_stall(
    change: Callable[[list[int]], None],
) -> None:
    _, private = instance(100)
    ended = inflated(private, 3, change)
    assert ended.solution.status == "stalled"
    assert len(ended.queries) <= 4


def test_without_the_checks_of_convexity_a_lowered_bound_is_certified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: answers are not compared; a cohort that understates phi then proves a false bound."""
    public, private = instance(100)
    true = play(Dual(), public, private).solution
    monkeypatch.setattr(descent, "conflicts", lambda terms, left, right: False)
    monkeypatch.setattr(Best, "contradicts", lambda best, terms: False)
    ended = inflated(private, 3, lower_the_value).solution
    assert ended.status == "certified"
    assert ended.bound < true.value


def test_without_the_check_of_the_limits_a_plan_that_owes_is_certified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: any answer counts as a plan; the first one then owes some coordinate."""
    public, private = instance(100)

    def careless(*given: Any) -> Survey:
        return true(*given)._replace(within=True)

    true = certificate.surveyed_at
    monkeypatch.setattr(descent, "surveyed_at", careless)
    ended = play(Dual(), public, private).solution
    assert min(ended.points, default=0) < 0


# ---- the certificate itself


def terms_and_point() -> tuple[Terms, Point]:
    public, private = instance(40)
    terms = terms_of(public, "dual")
    multipliers = tuple(r + r // 50 * (k % 3) for k, r in enumerate(public.reference))
    query = Query(
        kind="respond",
        after=None,
        multipliers=DualVariables(scale_bits=40, values=tuple(map(str, multipliers))),
        points=(),
    )
    value, *nets = integers(answered(private, query))
    return terms, point(multipliers, value, nets)


def surveyed(terms: Terms, at: Point) -> Survey:
    return survey(terms, Held(np.zeros(terms.size, dtype=np.int64)), at)


def test_the_bound_counts_limits_below_and_above_in_exact_integers() -> None:
    terms, at = terms_and_point()
    terms = replace(terms, least=tuple(range(-5, terms.size - 5)))
    expected = Fraction(at.value, UNIT)
    for r, v, low, high in zip(
        terms.reference, at.v.tolist(), terms.least, terms.most, strict=True
    ):
        expected += Fraction(max((r - v) * low, (r - v) * high), 2**70)
    assert Fraction(certificate.dual(terms, at), 2**terms.fine_bits) == expected
    # m products and their sum, each rounded once.
    error = abs(Fraction(surveyed(terms, at).bound) - expected)
    assert error <= abs(expected) * Fraction(3 * terms.size, 2**53)


@given(st.integers(-(2**60), 2**60), st.integers(-(2**60), 2**60))
def test_values_round_down_and_bounds_round_up(value: int, bound: int) -> None:
    terms, _ = terms_and_point()
    low, high = certificate.rounded(terms, min(value, bound), bound)
    shift = terms.fine_bits - terms.value_bits
    assert low << shift <= min(value, bound)
    assert high << shift >= bound
    assert high - low <= ((bound - min(value, bound)) >> shift) + 2


def test_a_value_never_counts_a_cost_as_worth() -> None:
    """Where phi is less than v'y, something was paid for: the plan is worth less than r'y."""
    terms, at = terms_and_point()
    worth = sum(r * net for r, net in zip(terms.reference, at.s.tolist(), strict=True))
    assert plan_value(terms, at) == worth
    costly = at._replace(value=at.value - UNIT)
    assert plan_value(terms, costly) < worth - (2**69)
    assert surveyed(terms, costly).value < surveyed(terms, at).value - 0.5


def test_a_gap_is_relative_to_no_less_than_the_value_floor() -> None:
    terms, _ = terms_and_point()
    nothing = point(terms.reference, 2**10, (0,) * terms.size)
    best = first(terms, surveyed(terms, nothing), nothing)
    assert closed(terms, best, Fraction(1, 10**6)) == (0, 2**10)
    assert closed(replace(terms, value_floor=0), best, Fraction(1, 10**6)) is None
    assert closed(terms, best._replace(plan=None), Fraction(1, 10**6)) is None


def test_no_estimate_certifies_what_the_integers_do_not() -> None:
    """Estimates only choose what is looked at: a false one costs rounds, and proves nothing."""
    terms, at = terms_and_point()
    flattered = Best(bound=1.0, value=1.0, lowest=at, plan=at)
    assert closed(terms, flattered, Fraction(1, 10**6)) is None


def test_equal_answers_never_conflict_and_a_plan_never_passes_its_own_bound() -> None:
    terms, at = terms_and_point()
    assert not conflicts(terms, at, at)
    assert not first(terms, surveyed(terms, at), at).contradicts(terms)
    worthless = point(terms.reference, -(2**50), (0,) * terms.size)
    rich = point(terms.reference, 2**50, (2**40,) * terms.size)
    low, high = surveyed(terms, worthless), surveyed(terms, rich)
    assert Best(low.bound, high.value, worthless, rich).contradicts(terms)
    assert not Best(low.bound, high.value, worthless, None).contradicts(terms)


@pytest.mark.parametrize("bent", [False, True])
def test_a_secant_update_maps_the_step_to_what_was_gained(bent: bool) -> None:
    terms, before = terms_and_point()
    moved = tuple(v + v // 100 for v in before.v.tolist())
    gained = tuple(net + (k + 1) * 2**30 for k, net in enumerate(before.s.tolist()))
    after = point(moved, before.value, gained)
    matrix = Held(np.eye(terms.size) * 100.0)
    learned = secant(terms, matrix.array, before, after, bent=bent).array
    v, w = before.v * terms.v_unit, after.v * terms.v_unit
    grown = np.sqrt(w / v) if bent else np.ones(terms.size)
    step = 2 * (grown - 1) if bent else (w - v) / (0.5 * (v + w))
    middle = np.sqrt(v * w) if bent else 0.5 * (v + w)
    image = grown * (learned / np.outer(grown, grown) @ step)
    wanted = grown * middle * np.arange(1.0, terms.size + 1.0)
    assert np.allclose(image, wanted, rtol=1e-9)
    falls = [2 * a - b for a, b in zip(before.s.tolist(), gained, strict=True)]
    falling = point(moved, before.value, falls)
    same = secant(terms, matrix.array, before, falling, bent=bent).array
    assert np.array_equal(same, matrix.array * np.outer(grown, grown))


# ---- what is refused at the start


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        (Dual, {"tolerance": "0"}),
        (Dual, {"tolerance": "1"}),
        (Dual, {"tolerance": "-0.1"}),
        (Dual, {"tolerance": "1e-6"}),
        (Dual, {"tolerance": "0.0000000000000000001"}),
        (Dual, {"tolerance": 1}),
        (Dual, {"tolerance": None}),
        (Dual, {"hessian": "sometimes"}),
        (Dual, {"hessian": True}),
        (Dual, {"rtt_ms": 0}),
        (Dual, {"rtt_ms": "fast"}),
        (Dual, {"rtt_ms": True}),
        (Dual, {"bandwidth_mbps": "-1"}),
        (Dual, {"bandwidth_mbps": "1e3"}),
        (Dual, {"hesian": "every"}),
        (Dual, {"memory": 10}),
        (Lbfgs, {"memory": 0}),
        (Lbfgs, {"memory": 101}),
        (Lbfgs, {"memory": "10"}),
        (Lbfgs, {"memory": True}),
        (Lbfgs, {"hessian": "every"}),
    ],
)
def test_an_unusable_option_is_refused_by_name(
    solver: type[Dual] | type[Lbfgs], options: dict[str, Any]
) -> None:
    with pytest.raises(BadInput) as caught:
        solver.from_options(options)
    (name,) = options
    assert caught.value.field == f"solver.options.{name}"
    assert caught.value.value == str(options[name])


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_tolerance_that_no_value_word_can_meet_is_refused(
    solver: type[Dual] | type[Lbfgs],
) -> None:
    public, _ = instance(20)
    narrow = replace(public, most=(2**40,) * len(public.most))
    with pytest.raises(BadInput) as caught:
        solver.from_options({"tolerance": "0.0000000000001"}).start(narrow, None)
    assert caught.value.field == "solver.options.tolerance"


COUPLINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "a reference of zero": ("reference", {"reference": (0,)}),
    "an empty range": ("multiplier_range", {"multiplier_range": ((9, 8),)}),
    "a range from zero": ("multiplier_range", {"multiplier_range": ((0, 2**50),)}),
    "a negative margin": ("margin", {"margin": (-1,)}),
    "no room for the margin": ("margin", {"most": (2 * MARGIN - 1,)}),
    "least above most": ("margin", {"least": (7,), "most": (6,), "margin": (0,)}),
}


@pytest.mark.parametrize("case", COUPLINGS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_coupling_that_cannot_be_is_refused_by_coordinate(
    case: str, solver: type[Dual] | type[Lbfgs]
) -> None:
    field, changes = COUPLINGS[case]
    public, _ = instance(20)
    spoilt = {name: value + getattr(public, name)[1:] for name, value in changes.items()}
    with pytest.raises(BadInput) as caught:
        solver().start(replace(public, **spoilt), None)
    assert caught.value.field == f"coupling.{field}"
    assert "'c0'" in caught.value.what


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("least", (0,)),
        ("margin", ()),
        ("multiplier_bits", 63),
        ("value_bits", -1),
        ("slope_bits", 99),
        ("value_floor", -1),
        ("smoothing", (5, 5)),
        ("smoothing", (5, 9)),
        ("smoothing", (5, 0)),
    ],
)
def test_a_coupling_of_another_shape_is_refused_by_field(field: str, value: object) -> None:
    public, _ = instance(20)
    with pytest.raises(BadInput) as caught:
        Dual().start(replace(public, **{field: value}), None)  # type: ignore[arg-type]  # on purpose
    assert caught.value.field == f"coupling.{field}"


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_coupling_without_multipliers_is_refused(solver: type[Dual] | type[Lbfgs]) -> None:
    with pytest.raises(CapabilityMissing) as caught:
        solver().start(LadderCoupling(ladder_goal(1), 1), None)
    assert caught.value.field == "solver.name"


# ---- the same bits everywhere


def transcripts(n: int = 150) -> str:
    """One digest over whole solves of both solvers, cold and warm, participants in both orders."""
    seal = hashlib.sha256()
    for kind in ("random", "market"):
        pools = generate(n, 4, kind)
        later = ticked(pools, 3)
        for solver in (Dual(), Dual(hessian="cached"), Lbfgs()):
            for order in (1, -1):
                cold = play(solver, coupling(pools), problems(pools)[::order])
                warm = play(solver, coupling(later), problems(later)[::order], cold.solution.warm)
                seal.update(b"".join((*cold.transcript(), *warm.transcript())))
                ends = [replace(each.solution, warm=None) for each in (cold, warm)]
                seal.update(repr(ends).encode())
    return seal.hexdigest()


SURROUNDINGS: dict[str, dict[str, str]] = {
    "one thread of Haswell's BLAS": {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"},
    "two threads of Prescott's": {
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "OPENBLAS_CORETYPE": "Prescott",
    },
    "numpy without AVX2 and AVX-512": {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"
    },
    "machine code for any CPU": {"NUMBA_CPU_NAME": "generic", "OMP_NUM_THREADS": "1"},
    "no machine code": {"COVENUE_COMPILED": "0"},
    "numba that does not compile": {"NUMBA_DISABLE_JIT": "1"},
    "another order of hashes": {"PYTHONHASHSEED": "12"},
}


@pytest.mark.parametrize("case", SURROUNDINGS)
def test_another_machine_says_the_same_bytes(case: str) -> None:
    code = "from tests.solvers.test_dual import transcripts; print(transcripts(60))"
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, **SURROUNDINGS[case]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == transcripts(60)


@pytest.fixture
def untested() -> Any:
    selftest.self_test.cache_clear()
    yield
    selftest.self_test.cache_clear()


@pytest.mark.usefixtures("untested")
def test_loading_runs_the_self_test_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    true = selftest.computed

    def counted() -> str:
        runs.append(true())
        return runs[-1]

    monkeypatch.setattr(selftest, "computed", counted)
    for solver in SOLVERS * 2:
        solver.from_options({})
    assert len(runs) == 1


@pytest.mark.usefixtures("untested")
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_machine_that_computes_other_bits_is_refused(
    solver: type[Dual] | type[Lbfgs], monkeypatch: pytest.MonkeyPatch
) -> None:

    def fused(factor: ldlt.Factor, right: Reals) -> Reals:
        return ldlt.solved(factor, right) * (1.0 + 2.0**-52)

    monkeypatch.setattr(selftest, "solved", fused)
    with pytest.raises(PluginBroken) as caught:
        solver.from_options({})
    assert "other bits" in caught.value.what
