"""Markets without any profitable trade, and goals that cannot be met: the ends that say so."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domains.pool_markets import example, goal, pools
from tests.solvers.pools import instance

from covenue.errors import BadInput
from covenue.hooks.domains import EMPTY
from covenue.hooks.solvers import DualCoupling, Solution, Solver
from covenue.numerics.words import integers
from covenue.testing.solvers import SolverExample, play
from covenue_contracts.shared import Query
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_arbitrage.problem import ArbitrageProblem
from covenue_solver_dual import Dual, Lbfgs
from covenue_solver_dual.terms import Terms
from covenue_solver_reference import Reference

SOLVERS: list[Solver] = [Dual(), Lbfgs(), Reference()]
Rows = list[tuple[int, int, float, float, int]]


def case_of(parties: list[Rows], size: int, **terms: Any) -> SolverExample:
    names = tuple("abcd"[:size])
    made = example(goal(names, **terms), [pools(names, rows) for rows in parties])
    domain = Arbitrage()
    return SolverExample(domain.coupling(made.goal, made.members), made.problems(domain))


@st.composite
def fair(draw: st.DrawFn) -> SolverExample:
    """Every pool lies at one set of prices, off by less than its fee, or exactly without one."""
    size = draw(st.integers(2, 4))
    tilts = [draw(st.sampled_from([1.0, 1.1, 0.8])) for _ in range(size)]
    parties = []
    for _ in range(draw(st.integers(1, 3))):
        rows: Rows = []
        for _ in range(draw(st.integers(1, 5))):
            a = draw(st.integers(0, size - 1))
            b = (a + draw(st.integers(1, size - 1))) % size
            fee = draw(st.sampled_from([0, 3000, 10_000, 999_999]))
            off = draw(st.sampled_from([1.0, 1.0005, 0.9995])) if fee else 1.0
            worth = 10.0 ** draw(st.integers(0, 4))
            rows.append((a, b, worth * tilts[a] / (a + 1), worth * off * tilts[b] / (b + 1), fee))
        parties.append(rows)
    return case_of(parties, size)


@pytest.mark.parametrize("solver", SOLVERS)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(fair())
def test_where_nothing_is_worth_it_doing_nothing_is_certified(
    solver: Solver, case: SolverExample
) -> None:
    coupling = case.coupling
    assert isinstance(coupling, DualCoupling)
    solution = play(solver, coupling, case.problems).solution
    assert solution.status == "certified"
    assert 0 <= solution.value <= solution.bound <= coupling.value_floor // 10**6
    assert len(acted(case, solution)) <= 1 or solution.value > 0


def commit_of(solution: Solution) -> Query:
    points = tuple(map(str, solution.points))
    return Query(kind="commit", after=None, multipliers=solution.multipliers, points=points)


def acted(case: SolverExample, solution: Solution) -> list[Any]:
    commits = [p.commit(commit_of(solution), EMPTY, "0" * 64) for p in case.problems]
    return [swap for actions, _, _ in commits for swap in actions.swaps]


def stuck() -> SolverExample:
    """Two pools at one price without a fee: no multiplier on the grid is exactly theirs."""
    rows: Rows = [(0, 1, 10_000.0, 3_333.3, 0), (1, 0, 6_666.6, 20_000.0, 0)]
    return case_of([rows], 2)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_plan_of_nothing_is_acted_on_by_nobody(solver: Solver) -> None:
    case = stuck()
    solution = play(solver, case.coupling, case.problems).solution
    assert (solution.status, solution.value, set(solution.points)) == ("certified", 0, {0})
    assert solution.multipliers is not None
    assert acted(case, solution) == []


def test_without_that_plan_a_solver_ends_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: doing nothing is no plan."""
    monkeypatch.setattr(Terms, "may_rest", False)
    case = stuck()
    ended = play(Dual(), case.coupling, case.problems, rounds_max=300).solution
    assert ended.status in {"stalled", "infeasible"}
    assert ended.multipliers is None


def test_a_party_that_acts_on_it_breaks_the_limits() -> None:
    """Mutant: a party that answers the multipliers, as it did before, gives more than it gets."""
    case = stuck()
    solution = play(Dual(), case.coupling, case.problems).solution
    query = commit_of(replace(solution, points=(1, *solution.points[1:])))
    nets = [integers(p.commit(query, EMPTY, "0" * 64)[1]) for p in case.problems]
    assert min(map(sum, zip(*nets, strict=True))) < 0


def test_a_market_that_stays_as_it_is_lets_the_plan_of_nothing_stand() -> None:
    case = stuck()
    first = play(Dual(), case.coupling, case.problems).solution
    again = play(Dual(), case.coupling, case.problems, warm=first.warm)
    assert (again.solution.stands, len(again.queries)) == (True, 1)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_debt_that_nobody_can_pay_is_infeasible_and_named(solver: Solver) -> None:
    """What is owed of the second asset is more than all pools hold."""
    case = case_of([[(0, 1, 1000.0, 500.0, 100)], [(0, 1, 1010.0, 500.0, 100)]], 2)
    assert isinstance(case.coupling, DualCoupling)
    terms = {**case.coupling.goal.terms, "least": ("0", str(2**30 * 5000))}
    owed = case.coupling.goal.model_copy(update={"terms": terms})
    coupling = replace(case.coupling, goal=owed)  # type: ignore[type-var] # a frozen dataclass
    solution = play(solver, coupling, case.problems, rounds_max=600).solution
    assert (solution.status, solution.points) == ("infeasible", (1,))


@pytest.mark.parametrize("solver", [Dual(), Lbfgs()])
def test_a_debt_is_never_met_by_doing_nothing(solver: Solver) -> None:
    public, private = instance(100)
    owed = replace(public, least=(2**20, *public.least[1:]))
    solution = play(solver, owed, private, rounds_max=500).solution
    assert any(solution.points)


def test_a_fee_of_all_is_refused_by_name() -> None:
    with pytest.raises(BadInput) as caught:
        case_of([[(0, 1, 1000.0, 500.0, 1_000_000)]], 2)
    assert (caught.value.field, caught.value.value) == ("pools.fee_ppm", "pool-0")


def test_a_party_without_any_pool_plans_nothing() -> None:
    case = case_of([[]], 3)
    (problem,) = case.problems
    assert isinstance(problem, ArbitrageProblem)
    for solver in SOLVERS:
        solution = play(solver, case.coupling, case.problems).solution
        assert (solution.status, solution.value) == ("certified", 0)
        assert np.array_equal(solution.points, [0, 0, 0])
