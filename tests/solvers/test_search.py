"""Key search against brute force, and what it refuses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.domains import EMPTY
from covenue.hooks.solvers import Choice, KeyedCoupling, Solution, Total
from covenue.numerics.words import words
from covenue.testing.domains import LADDER_TOP, LadderCoupling, LadderProblem, Levels, ladder_goal
from covenue.testing.solvers import SolverExample, play, query_digest, solver_conformance
from covenue_contracts.plan import Goal
from covenue_contracts.shared import Query, Space
from covenue_solver_search import Search, WarmKey
from covenue_solver_search.search import Depths, SearchState, _narrowed

LEVEL = st.one_of(st.integers(0, 30), st.integers(0, LADDER_TOP - 1))
LADDER = st.lists(st.tuples(LEVEL, st.integers(0, 50)), max_size=12)
LADDERS = st.lists(LADDER, min_size=1, max_size=9)
PROBES = st.sampled_from([2, 3, 7, 8, 9, 16, 255])


def instance(
    ladders: Sequence[Levels], quantity: int, pace: int | None = None, least: int = 0
) -> tuple[LadderCoupling, list[LadderProblem]]:
    goal = ladder_goal(quantity, pace, least)
    problems = [LadderProblem(tuple(x), i, len(ladders), goal) for i, x in enumerate(ladders)]
    return LadderCoupling(goal, len(ladders)), problems


@dataclass(frozen=True)
class Optimum:
    key: int
    residual: int
    cost: int


def greedy(ladders: Sequence[Levels], quantity: int) -> Optimum | None:
    """Every lot of every ladder in one sorted list; the marginal one and the cost of the rest."""
    shift = math.ceil(math.log2(len(ladders)))
    lots = sorted(
        (level * 2**shift + slot, level)
        for slot, ladder in enumerate(ladders)
        for level, count in ladder
        for _ in range(count)
    )
    if len(lots) < quantity:
        return None
    bought = lots[:quantity]
    marginal = bought[-1][0]
    residual = sum(key == marginal for key, _ in bought)
    return Optimum(marginal, residual, sum(level for _, level in bought))


def examples() -> list[SolverExample]:
    cases = [
        ([[(3, 2), (5, 9)], [(3, 4)], [(4, 1), (90, 7)]], 12),
        ([[(1, 1)]], 1),
        ([[(7, 5)], [(7, 5)], [(7, 5)], [(7, 5)]], 11),
    ]
    made = [instance(ladders, quantity) for ladders, quantity in cases]
    return [SolverExample(coupling, tuple(problems)) for coupling, problems in made]


TestSearchConformance = solver_conformance(Search, examples)


@given(LADDERS, st.integers(1, 400), PROBES)
def test_key_residual_and_cost_are_those_of_the_greedy_merge(
    ladders: list[Levels], quantity: int, probes: int
) -> None:
    coupling, problems = instance(ladders, quantity)
    solution = play(Search(probes), coupling, problems).solution
    best = greedy(ladders, quantity)
    offered = sum(lots for ladder in ladders for _, lots in ladder)
    if best is not None:
        assert solution.points == (best.key, best.residual)
        assert (solution.value, solution.bound) == (best.cost, best.cost)
        assert (solution.status, solution.shortfall) == ("certified", 0)
    elif offered:
        assert solution.points == (coupling.key_range[1], 0)
        assert solution.value == sum(level * lots for ladder in ladders for level, lots in ladder)
        assert (solution.status, solution.shortfall) == ("certified", quantity - offered)
    else:
        assert (solution.status, solution.shortfall) == ("infeasible", quantity)


@given(LADDERS, st.integers(1, 400), PROBES, st.integers(-(2**40), 2**40), st.integers(0, 5))
def test_a_warm_start_from_any_key_ends_at_the_same_plan(
    ladders: list[Levels], quantity: int, probes: int, key: int, shift: int
) -> None:
    coupling, problems = instance(ladders, quantity)
    cold = play(Search(probes), coupling, problems).solution
    warm = play(Search(probes), coupling, problems, WarmKey(key, shift)).solution
    assert (warm.points, warm.value, warm.status) == (cold.points, cold.value, cold.status)


@given(LADDERS, st.integers(1, 400), PROBES)
def test_rounds_stay_within_the_stated_bound(
    ladders: list[Levels], quantity: int, probes: int
) -> None:
    coupling, problems = instance(ladders, quantity)
    first, end = coupling.key_range
    bound = math.ceil(math.log(end - first) / math.log(probes + 1) - 1e-9) + 1
    ended = play(Search(probes), coupling, problems)
    assert len(ended.queries) <= bound
    assert all(len(set(query.points)) == len(query.points) <= probes for query in ended.queries)


@given(LADDERS, st.integers(1, 400))
def test_the_commitments_add_up_to_the_quantity(ladders: list[Levels], quantity: int) -> None:
    coupling, problems = instance(ladders, quantity)
    solution = play(Search(), coupling, problems).solution
    if solution.status != "certified":
        return
    query = Query(
        kind="commit", after=None, multipliers=None, points=tuple(map(str, solution.points))
    )
    planned = [int(problem.commit(query, EMPTY, "0" * 64)[1][0]) for problem in problems]
    assert sum(planned) == quantity - solution.shortfall


def test_an_unchanged_plan_is_found_again_in_one_round() -> None:
    coupling, problems = instance([[(1000, 5), (2000, 5)], [(1500, 4)]], 11)
    cold = play(Search(), coupling, problems)
    warm = play(Search(), coupling, problems, cold.solution.warm)
    assert len(warm.queries) == 1
    assert warm.solution == replace(cold.solution, stands=True)
    assert not cold.solution.stands


def test_a_key_that_moved_a_little_is_found_in_two_rounds_and_further_in_three() -> None:
    for moved, rounds in ((1, 2), (6_000, 2), (-6_000, 2), (60_000, 3), (-60_000, 3)):
        coupling, problems = instance([[(100_000 + moved, 5)], [(4, 4)]], 7)
        old = WarmKey(200_000, 1)
        assert len(play(Search(255), coupling, problems, old).queries) == rounds


def test_a_minimum_that_the_depth_cannot_meet_is_infeasible() -> None:
    coupling, problems = instance([[(5, 3)], [(6, 3)]], 10, least=7)
    solution = play(Search(), coupling, problems).solution
    assert (solution.status, solution.shortfall, solution.points) == ("infeasible", 4, ())
    reachable, problems = instance([[(5, 3)], [(6, 3)]], 10, least=6)
    assert play(Search(), reachable, problems).solution.status == "certified"


def test_a_goal_with_nothing_left_is_infeasible() -> None:
    coupling, problems = instance([[(5, 3)]], 10)
    done = coupling.left(words([10]), words([0]), words([0]))
    spent = LadderCoupling(done, 1)
    assert play(Search(), spent, problems).solution.status == "infeasible"


def test_the_pace_bounds_a_plan() -> None:
    coupling, problems = instance([[(5, 30)], [(6, 30)]], 50, pace=4)
    assert play(Search(), coupling, problems).solution.points == (10, 4)


@pytest.mark.parametrize(
    "options",
    [
        {"probes": 1},
        {"probes": 0},
        {"probes": -3},
        {"probes": 65_536},
        {"probes": "255"},
        {"probes": "automatic"},
        {"probes": True},
        {"probes": None},
        {"probe": 9},
    ],
)
def test_an_unusable_option_is_refused_by_name(options: dict[str, int | str | bool | None]) -> None:
    with pytest.raises(BadInput) as caught:
        Search.from_options(options)
    (name,) = options
    assert caught.value.field == f"solver.options.{name}"
    assert caught.value.value == str(options[name])


def test_a_coupling_without_keys_is_refused() -> None:
    class Bare:
        def __init__(self) -> None:
            self.goal: Goal = ladder_goal(1)
            self.space: Space = LadderCoupling(self.goal, 1).space

        def width(self, query: Query) -> int:
            return 1

        def admits(self, total: object, goal: Goal) -> bool:
            return True

        def left(self, settled: object, reserved: object, committed: object) -> Goal:
            return self.goal

    with pytest.raises(CapabilityMissing):
        Search().start(Bare(), None)


def _ask(ladders: Sequence[Levels], quantity: int, probes: int) -> tuple[Search, SearchState, int]:
    coupling, _ = instance(ladders, quantity)
    solver = Search(probes)
    state = solver.start(coupling, None)
    assert isinstance(state, SearchState)
    return solver, state, len(solver.ask(state, query_digest).points)


MALFORMED = {
    "a word too many": [9, 1, 2, 3, 4, 0],
    "a word too few": [9, 1, 2, 0],
    "falling depth": [9, 3, 2, 4, 0],
    "more below a probe than below the end": [9, 1, 2, 10, 0],
    "negative depth": [9, -1, 2, 3, 0],
    "negative cost": [9, 1, 2, 3, -1],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_total_that_no_offers_can_give_stalls(name: str) -> None:
    solver, state, width = _ask([[(1, 9)]], 5, 4)
    assert width == 4
    end = solver.tell(state, Total(words(MALFORMED[name]), ("a",), exact=True))
    assert isinstance(end, Solution)
    assert (end.status, end.points) == ("stalled", ())


def test_a_total_in_conflict_with_an_earlier_round_stalls() -> None:
    solver, state, _ = _ask([[(1, 9)]], 5, 4)
    later = solver.tell(state, Total(words([9, 0, 3, 7, 0]), ("a",), exact=True))
    assert isinstance(later, SearchState)
    for beyond in ([2, 4, 5, 6, 0], [3, 4, 5, 8, 0]):
        end = solver.tell(later, Total(words(beyond), ("a",), exact=True))
        assert isinstance(end, Solution)
        assert end.status == "stalled"


def test_without_the_check_a_lying_total_would_be_certified() -> None:
    """Mutant: read the total unchecked; a falling depth then narrows to a bracket that is wrong."""
    _, state, _ = _ask([[(1, 9)]], 5, 4)
    keys = sorted(state.points)
    narrowed = _narrowed(state, Depths(keys, [3, 6, 2, 9], state.points[0], 0))
    assert (narrowed.low, narrowed.at_low) == (keys[2], 2)
    assert keys[1] < narrowed.low, "an earlier key has 6 of the 5 that are wanted"


def test_another_residual_or_another_tie_or_more_rounds_let_no_plan_stand() -> None:
    coupling, problems = instance([[(1000, 5), (2000, 5)], [(1500, 4)]], 11)
    cold = play(Search(), coupling, problems).solution
    key, residual = cold.points
    for warm in (
        WarmKey(key, cold.warm.shift),
        WarmKey(key, cold.warm.shift, residual + 1),
        WarmKey(key, cold.warm.shift + 1, residual),
        WarmKey(key + 2, cold.warm.shift, residual),
    ):
        again = play(Search(), coupling, problems, warm).solution
        assert (again.points, again.stands) == (cold.points, False)


def test_what_is_offered_below_may_move_while_the_plan_stands() -> None:
    """The plan is its key and residual; what it is worth today the solution says."""
    coupling, problems = instance([[(1000, 5), (2000, 5)], [(1500, 4)]], 11)
    cold = play(Search(), coupling, problems).solution
    _, moved = instance([[(990, 5), (2000, 5)], [(1500, 4)]], 11)
    again = play(Search(), coupling, moved, cold.warm).solution
    assert (again.points, again.stands) == (cold.points, True)
    assert again.value == cold.value - 50


def test_a_shortfall_never_stands() -> None:
    coupling, problems = instance([[(1000, 5)]], 11)
    cold = play(Search(), coupling, problems).solution
    assert (cold.shortfall, cold.warm) == (6, None)


def test_noise_and_choices_stall() -> None:
    solver, state, width = _ask([[(1, 9)]], 5, 4)
    for release in (
        Total(words([9, *range(width)]), ("a",), exact=False),
        Choice(0, ("a",)),
    ):
        end = solver.tell(state, release)
        assert isinstance(end, Solution)
        assert end.status == "stalled"


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(0, 40), PROBES)
def test_a_range_of_few_keys_is_searched_as_well(width: int, marginal: int, probes: int) -> None:
    """A coupling may have any range, even of one key."""

    class Narrow(LadderCoupling):
        @property
        def key_range(self) -> tuple[int, int]:
            return 5, 5 + width

    level = 5 + marginal % width
    coupling = Narrow(ladder_goal(2), 1)
    assert isinstance(coupling, KeyedCoupling)
    problem = LadderProblem(((level, 3),), 0, 1, ladder_goal(2))
    for warm in (None, WarmKey(0, 0), WarmKey(99, 0), WarmKey(level, 0)):
        solution = play(Search(probes), coupling, [problem], warm).solution
        assert (solution.points, solution.value) == ((level, 2), 2 * level)


def test_a_plan_that_is_found_again_unchanged_stands() -> None:
    ladders = [[(3, 5), (9, 9)], [(4, 5)]]
    coupling, problems = instance(ladders, 8)
    cold = play(Search(), coupling, problems)
    again = play(Search(), coupling, problems, cold.solution.warm)
    assert not cold.solution.stands
    assert again.solution.stands
    assert (again.solution.points, len(again.queries)) == (cold.solution.points, 1)


@pytest.mark.parametrize("ladder", [[(3, 4), (9, 9)], [(2, 5), (3, 1)]], ids=["units", "key"])
def test_a_plan_that_changed_does_not_stand(ladder: Levels) -> None:
    coupling, problems = instance([[(3, 5), (9, 9)], [(4, 5)]], 8)
    cold = play(Search(), coupling, problems).solution
    _, others = instance([ladder, [(4, 5)]], 8)
    changed = play(Search(), coupling, others, cold.warm).solution
    assert changed.status == "certified"
    assert changed.points != cold.points
    assert not changed.stands
