"""Orders at the edge of what venues have: exactly enough, ties, walls, few lots; by `dual`.

Held against a convex program, exact fractions, and a flow of least cost, lot by lot.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.domains.execution_markets import example
from tests.domains.test_execution_plans import optimum

from covenue.hooks.solvers import Solution
from covenue.testing.domains import DomainExample
from covenue.testing.solvers import Play, play
from covenue_contracts.contract import Scalar
from covenue_contracts.shared import Query
from covenue_domain_execution import Execution, buy
from covenue_domain_execution.central import Checked, check
from covenue_domain_execution.coupling import ExecutionCoupling
from covenue_domain_execution.goals import read_terms
from covenue_domain_execution.problem import ExecutionProblem
from covenue_solver_dual import Dual, tracked, tracked_model, tracked_steps
from covenue_solver_dual.tracked_ends import refused

Floats = NDArray[np.float64]
PRICE = 100
LOT_TOLERANCE = 1e-5
HALF_U = np.array([69130.0, 58695.0, 50347.0, 44086.0, 39913.0, 37826.0])
BITS: dict[str, Scalar] = {"value_bits": 24, "slope_bits": 4, "band": "0.3"}
SHAPES = ("plain", "one", "ties", "gaps", "dear", "enough", "all")


@dataclass(frozen=True)
class Solved:
    """A play, and its plan opened: recomputed in exact fractions."""

    play: Play
    checked: Checked
    coupling: ExecutionCoupling
    rows: tuple[Any, ...]

    @property
    def solution(self) -> Solution:
        return self.play.solution

    @property
    def scale(self) -> float:
        floor = self.coupling.value_floor
        return max(abs(self.solution.bound), floor) / 2.0**self.coupling.value_bits

    @property
    def closes(self) -> bool:
        return self.bound - self.value <= Fraction(LOT_TOLERANCE) * Fraction(self.scale)

    @property
    def value(self) -> Fraction:
        return Fraction(self.solution.value, 2**self.coupling.value_bits)

    @property
    def bound(self) -> Fraction:
        return Fraction(self.solution.bound, 2**self.coupling.value_bits)


def opened(order: DomainExample, warm: Any = None) -> Play:
    domain = Execution()
    return play(Dual(), domain.coupling(order.goal, order.members), order.problems(domain), warm)


def solved(order: DomainExample, warm: Any = None) -> Solved:
    ended, domain = opened(order, warm), Execution()
    coupling = domain.coupling(order.goal, order.members)
    solution = ended.solution
    assert solution.multipliers is not None
    points = tuple(map(str, solution.points))
    query = Query(kind="commit", after=None, multipliers=solution.multipliers, points=points)
    problems = [each for each in order.problems(domain) if isinstance(each, ExecutionProblem)]
    plans = [(each.rows, each.schedule(query)) for each in problems]
    values = [int(value) for value in solution.multipliers.values]
    checked = check(read_terms(order.goal), values, plans)
    return Solved(ended, checked, coupling, tuple(rows for rows, _ in plans))


def venue(caps: Floats, cost: float, slope: float, credit: float | None = None) -> dict[str, Any]:
    held = caps.sum() if credit is None else credit
    return {"a": np.full((1, len(caps)), cost), "eta": (slope / caps)[None], "cap": caps[None],
            "credit": np.array([held])}  # fmt: skip


def dear_third(missing: int = 0) -> DomainExample:
    """Two cheap venues hold all but a few lots of the order; the third is 5 bps dearer."""
    alder, birch, cedar = (np.concatenate([each, each[::-1]]) for each in (
        HALF_U, np.floor(HALF_U * 2 / 3), np.floor(HALF_U * 0.75)))  # fmt: skip
    states = [venue(alder, 31.0, 1.2), venue(birch, 3.9, 1.8), venue(cedar, 2.3, 2.7, 200_000.0)]
    quantity = int(birch.sum()) + 200_000 + missing
    return example(states, buy(quantity, "60000", 12, tracking_bps="4", value_bits=20))


def supply(states: Sequence[dict[str, Any]]) -> int:
    return sum(
        int(np.minimum(np.floor(each["cap"]).sum(axis=1), np.floor(each["credit"])).sum())
        for each in states
    )


def drawn(shape: str, seed: int, fine: int, part: float = 0.4, **terms: Scalar) -> DomainExample:
    """Venues by drawing, `fine` lots where the coarsest would have one."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([8, seed])))
    n, size = int(random.integers(2, 5)), int(random.integers(1, 8))
    n = 1 if shape == "one" else n
    cap = np.floor(1.0 + 20.0 * random.random((n, size))) * fine
    a = 0.01 * (5.0 * random.random((n, 1)) + random.random((n, size)))
    eta = 0.01 * 10.0 ** random.uniform(-2.0, 1.0) / cap * (0.5 + random.random((n, 1)))
    if shape == "ties":
        a[:], eta[:], cap[:] = a[0, 0], eta[0, 0], cap[0]
    if shape == "gaps":
        cap[random.random((n, size)) < 0.4] = 0.0
        cap[0, 0] = fine
    credit = np.floor(cap.sum(axis=1) * random.choice([0.4, 0.7, 1.0, 1.5], n))
    rank = np.argsort(np.argsort(a[:, 0]))
    a += {"dear": 0.3 * (rank == n - 1), "enough": 0.03 * rank}.get(shape, 0.0 * rank)[:, None]
    states = [{"a": a[k:k + 1], "eta": eta[k:k + 1], "cap": cap[k:k + 1],
               "credit": credit[k:k + 1]} for k in range(n)]  # fmt: skip
    cheap = [state for state, place in zip(states, rank, strict=True) if place < max(1, n - 1)]
    quantity = {
        "dear": supply(cheap),
        "enough": supply(cheap),
        "all": supply(states),
    }.get(shape, int(supply(states) * part))
    goal = buy(max(1, quantity), str(PRICE), size, **{**BITS, **terms})
    return example([*states[:2], *_joined(states[2:])], goal)


def _joined(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not states:
        return []
    return [{name: np.concatenate([each[name] for each in states]) for name in states[0]}]


def ticked(order: DomainExample) -> DomainExample:
    """The first party's venues became dearer and thinner."""
    first = {**order.states[0]}
    first["a"] = first["a"] * 1.05
    first["cap"] = np.floor(first["cap"] * 0.95)
    return replace(order, states=(first, *order.states[1:]))


# ---- exactly enough


def test_what_the_cheap_venues_have_and_six_lots_of_a_dear_one_are_planned_in_few_rounds() -> None:
    ended = solved(dear_third(missing=6))
    assert ended.solution.status == "certified"
    assert len(ended.play.queries) <= 8
    assert ended.checked.feasible
    assert float(ended.bound - ended.value) < 1e-6 * ended.scale


@pytest.mark.parametrize("missing", [-1, 0, 1])
def test_around_exactly_enough_every_order_is_certified(missing: int) -> None:
    ended = solved(dear_third(missing))
    assert ended.solution.status == "certified"
    assert len(ended.play.queries) <= 12
    assert ended.checked.feasible


def test_without_the_tangents_the_wall_between_two_plateaus_takes_more_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutants: a rejected trial is followed by half of it, whatever its answer said."""
    few = len(opened(dear_third(6)).queries)
    monkeypatch.setattr(tracked_steps, "meeting", lambda *_: 0.5)
    monkeypatch.setattr(tracked_steps, "hopped", lambda *_: None)
    assert len(opened(dear_third(6)).queries) > few + 3


@pytest.mark.parametrize("shape", SHAPES)
def test_at_every_edge_fine_lots_are_certified_in_few_rounds(shape: str) -> None:
    rounds = []
    for seed, tracking in product(range(4), ("0.01", "5", "500")):
        ended = solved(drawn(shape, seed, 1000, tracking_bps=tracking))
        assert ended.solution.status == "certified"
        assert ended.checked.feasible
        rounds.append(len(ended.play.queries))
    assert sorted(rounds)[len(rounds) // 2] <= 16


@settings(max_examples=24, deadline=None)
@given(st.sampled_from(SHAPES), st.integers(0, 10**6), st.sampled_from(["0.01", "5", "500"]))
def test_whatever_the_edge_the_bound_is_one_and_the_gap_is_true(
    shape: str, seed: int, tracking: str
) -> None:
    order = drawn(shape, seed, 1000, tracking_bps=tracking)
    if not opened(order).solution.points:
        return
    ended = solved(order)
    slack = 1e-7 * (ended.scale + abs(optimum(order)))
    assert ended.checked.feasible
    assert ended.value <= ended.checked.value
    assert float(ended.value) <= optimum(order) + slack <= float(ended.bound) + 2.0 * slack
    assert ended.solution.status == ("certified" if ended.closes else "stalled")


@pytest.mark.parametrize("shape", SHAPES)
def test_after_a_tick_from_an_edge_the_plan_is_certified_or_known_to_be_impossible(
    shape: str,
) -> None:
    for seed in range(3):
        order = drawn(shape, seed, 1000)
        later = ticked(order)
        again = opened(later, opened(order).solution.warm).solution
        lacking = read_terms(order.goal).wanted - supply(later.states)
        assert again.status == ("certified" if lacking <= 0 else "infeasible")
        if lacking > 0:
            assert again.shortfall == lacking << read_terms(order.goal).scale_bits


# ---- more than there is


@pytest.mark.parametrize("missing", [1, 7])
def test_a_lot_more_than_there_is_is_infeasible_and_the_lots_are_named(missing: int) -> None:
    order = drawn("all", 4, 10)
    wanted = read_terms(order.goal).wanted + missing
    size = read_terms(order.goal).size
    order = replace(order, goal=buy(wanted, str(PRICE), size, **BITS))
    ended = opened(order)
    scale_bits = read_terms(order.goal).scale_bits
    assert (ended.solution.status, ended.solution.shortfall) == (
        "infeasible",
        missing << scale_bits,
    )
    assert len(ended.queries) == 1


def test_a_warm_start_that_does_not_help_is_given_up_for_the_top(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: without the way back to the top, what cannot be is only a stall."""
    order = drawn("all", 3, 1000)
    warm = opened(order).solution.warm
    lacking = read_terms(order.goal).wanted - supply(ticked(order).states)
    ended = opened(ticked(order), warm).solution
    scale_bits = read_terms(order.goal).scale_bits
    assert (ended.status, ended.shortfall) == ("infeasible", lacking << scale_bits)
    monkeypatch.setattr(tracked, "_afresh", lambda _: refused("stalled"))
    assert opened(ticked(order), warm).solution.status == "stalled"


# ---- few lots: the best plan of whole lots by a flow of least cost


Arc = tuple[int, int, Callable[[int], Fraction], int]


def best_whole(ended: Solved, order: DomainExample) -> Fraction:
    """What the best plan of whole lots is worth: one lot after another on the cheapest way.

    venue -> slice -> next slice -> ... -> end, each with convex costs, so the ways are exact.
    """
    terms, weight = read_terms(order.goal), ended.coupling.tracking.weight
    path = list(accumulate(terms.remaining))
    arcs: list[Arc] = []
    count = sum(len(rows.credits) for rows in ended.rows)
    first = 1 + count
    at = 0
    for rows in ended.rows:
        for k in range(len(rows.credits)):
            at += 1
            arcs.append((0, at, lambda _: Fraction(0), int(rows.credits[k])))
            for t in range(terms.size):
                a, eta = Fraction(rows.costs[k, t]), Fraction(rows.steep[k, t])
                arcs.append((at, first + t, _marginal(a, eta), int(rows.caps[k, t])))
    for t in range(terms.size - 1):
        arcs.append((first + t, first + t + 1, _marginal(-weight * path[t], weight), path[-1]))
    cost = sum((weight / 2 * w * w for w in path[:-1]), Fraction(0))
    flows = [0] * len(arcs)
    for _ in range(path[-1]):
        cost += _one_more(arcs, flows, first + terms.size - 1)
    return -cost


def _marginal(linear: Fraction, square: Fraction) -> Callable[[int], Fraction]:
    return lambda x: linear + square * (x + Fraction(1, 2))


def _one_more(arcs: Sequence[Arc], flows: list[int], end: int) -> Fraction:
    """Send one lot on the cheapest way from node 0; Bellman and Ford."""
    far: dict[int, Fraction] = {0: Fraction(0)}
    by: dict[int, tuple[int, int, int]] = {}
    moved = True
    while moved:
        moved = False
        for k, (tail, head, price, most) in enumerate(arcs):
            for start, stop, sign in ((tail, head, 1), (head, tail, -1)):
                if start not in far or (flows[k] >= most if sign > 0 else flows[k] == 0):
                    continue
                length = far[start] + (price(flows[k]) if sign > 0 else -price(flows[k] - 1))
                if stop not in far or length < far[stop]:
                    far[stop], by[stop], moved = length, (start, k, sign), True
    node = end
    while node:
        node, k, sign = by[node]
        flows[k] += sign
    return far[end]


@settings(max_examples=16, deadline=None)
@given(st.sampled_from(SHAPES), st.integers(0, 10**6), st.integers(1, 12))
def test_with_few_lots_no_plan_of_whole_lots_is_beyond_the_bound_and_the_gap_is_true(
    shape: str, seed: int, lots: int
) -> None:
    order = drawn(shape, seed, 1)
    lots = min(lots, supply(order.states))
    terms = {**BITS, "value_bits": 30, "tracking_bps": "50"}
    size = read_terms(order.goal).size
    order = replace(order, goal=buy(lots, str(PRICE), size, **terms))
    ended = solved(order)
    best = best_whole(ended, order)
    assert ended.checked.feasible
    assert ended.value <= ended.checked.value <= best <= ended.bound
    assert ended.solution.status == ("certified" if ended.closes else "stalled")


def test_a_second_look_at_the_lots_finds_better_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: what rounding leaves of the path is taken as it comes."""
    orders = [
        drawn(shape, seed, fine, tracking_bps="50")
        for shape, seed, fine in (("one", 5, 2), ("one", 6, 1), ("ties", 3, 4), ("plain", 3, 2))
    ]
    better = [opened(order).solution.value for order in orders]
    monkeypatch.setattr(tracked, "nearer", lambda *_: None)
    first = [opened(order).solution.value for order in orders]
    assert all(a > b for a, b in zip(better, first, strict=True))


# ---- large prices


def test_multipliers_beyond_what_floats_hold_keep_their_range() -> None:
    high = np.array([2**61 + 1], dtype=np.int64)
    moved = tracked_model.moved_by(high - 3, np.array([1.0]), 1.0, (high - 9, high), 2.0**-40)
    assert moved.tolist() == high.tolist()
    back = tracked_model.moved_by(high - 3, np.array([-1.0]), 1.0, (high - 9, high), 2.0**-40)
    assert back.tolist() == (high - 9).tolist()
