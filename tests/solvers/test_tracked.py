"""Newton on tracked couplings: against an independent optimum, in few rounds, in whole lots."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from typing import Any

import clarabel  # type: ignore[import-untyped]  # no stubs
import numpy as np
import pytest
import scipy.sparse as sp  # type: ignore[import-untyped]  # no stubs
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.solvers.schedules import (
    ARRIVAL,
    LOT,
    MULTIPLIER_BITS,
    SCALE_BITS,
    VALUE_BITS,
    ScheduleCoupling,
    ScheduleProblem,
    Schedules,
    coupling,
    instance,
    problems,
    ticked,
    vwap,
)

from covenue.errors import BadInput, PluginBroken
from covenue.hooks.domains import EMPTY
from covenue.hooks.solvers import Solution, Total
from covenue.numerics.words import Words, integers, total, words
from covenue.testing.solvers import Play, SolverExample, play, query_digest, solver_conformance
from covenue_contracts.shared import Query
from covenue_solver_dual import Dual, tracked, tracked_model, tracked_selftest
from covenue_solver_dual.tracked_entry import Manner, manner_of
from covenue_solver_dual.tracked_state import Tracked

DIGESTS = {
    10: "cc71df54dfdf473c5fa2914212226fdcb5bd6cc191eb156ebc5713cfaa9628f1",
    1000: "7cbfca3d82d311e667f529cfec0f904e2ab22c0b09b527039daa56d480745cac",
}
FINE_LOT = 2**10
LOT_TOLERANCE = Fraction(1, 10**5)


def dual(lot_tolerance: str = "0.00001") -> Dual:
    return Dual(manner=manner_of({"lot_tolerance": lot_tolerance}, Fraction(1, 10**6)))


def gap(solution: Solution) -> Fraction:
    return Fraction(solution.bound - solution.value, max(abs(solution.bound), 2**VALUE_BITS))


def kinds(ended: Play) -> list[str]:
    return [query.kind for query in ended.queries]


def plans(solution: Solution, private: list[ScheduleProblem]) -> list[Any]:
    """Every participant's amounts in words, whole lots."""
    assert solution.multipliers is not None
    values = tuple(int(value) for value in solution.multipliers.values)
    return [each.plan(values, *solution.points) for each in private]


def optimum(schedules: Schedules, public: ScheduleCoupling, lot: int) -> float:
    """The least cost by an interior point method; limits are whole lots, amounts need not be."""
    n, size = schedules.cap.shape
    unit = 2.0**-SCALE_BITS
    cap = np.floor(schedules.cap / (lot * unit)) * (lot * unit)
    credit = np.floor(schedules.credit / (lot * unit)) * (lot * unit)
    path = np.array(public.tracking.path) * unit
    weight = float(public.tracking.weight)
    sums = sp.csc_matrix(np.tril(np.ones((size, size)))[: size - 1])
    pick = sp.kron(np.ones((1, n)), sp.identity(size))
    follow = sums @ pick
    quadratic = sp.diags(schedules.impact.ravel()) + weight * (follow.T @ follow)
    linear = schedules.linear.ravel() - weight * (follow.T @ path[:-1])
    rows = [
        sp.csc_matrix(np.ones((1, n * size))),
        sp.identity(n * size),
        -sp.identity(n * size),
        sp.kron(sp.identity(n), np.ones((1, size))),
    ]
    right = np.concatenate([[path[-1]], cap.ravel(), np.zeros(n * size), credit])
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(2 * n * size + n)]
    options = clarabel.DefaultSettings()
    options.verbose = False
    options.tol_gap_rel = 1e-10
    options.tol_gap_abs = 1e-10
    solver = clarabel.DefaultSolver(
        sp.triu(quadratic).tocsc(), linear, sp.vstack(rows).tocsc(), right, cones, options
    )
    return float(solver.solve().obj_val + 0.5 * weight * (path[:-1] ** 2).sum())


def examples() -> list[SolverExample]:
    made = [
        instance(40, 20, 1),
        instance(5, 6, 2, lot=FINE_LOT),
        instance(1, 4, 0, lot=FINE_LOT),
        instance(9, 1, 3, lot=FINE_LOT),
    ]
    return [SolverExample(public, tuple(private)) for public, private in made]


TestTrackedConformance = solver_conformance(Dual, examples)


@pytest.mark.parametrize("n", DIGESTS)
def test_the_generator_gives_the_same_bytes_on_every_machine(n: int) -> None:
    assert vwap(n).digest() == DIGESTS[n]


# ---- rounds and certificates


@pytest.mark.parametrize("seed", range(2))
def test_a_thousand_venues_are_planned_in_whole_lots_within_eight_rounds(seed: int) -> None:
    public, private = instance(1000, seed=seed)
    ended = play(Dual(), public, private)
    assert ended.solution.status == "certified"
    assert gap(ended.solution) <= LOT_TOLERANCE
    asked = kinds(ended)
    assert len(asked) <= 8
    assert asked.index("recover") <= 6
    assert asked.count("curvature") <= 3
    nets = sum(plan.sum() for plan in plans(ended.solution, private))
    assert nets == public.tracking.path[-1]


@pytest.mark.parametrize("seed", range(6))
def test_bound_and_value_enclose_an_independent_optimum(seed: int) -> None:
    schedules = vwap(3 + 5 * seed, 2 + 3 * seed, seed)
    public = coupling(schedules, FINE_LOT)
    ended = play(Dual(), public, problems(schedules, 3, FINE_LOT))
    least = optimum(schedules, public, FINE_LOT)
    value, bound = (
        each * 2.0**-VALUE_BITS for each in (ended.solution.value, ended.solution.bound)
    )
    assert ended.solution.status == "certified"
    assert value <= -least + 1e-7 * abs(least)
    assert bound >= -least - 1e-7 * abs(least)
    assert bound - value <= 1e-5 * abs(least)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 12),
    size=st.integers(1, 12),
    seed=st.integers(0, 99),
    lot_bits=st.integers(6, 20),
    share=st.sampled_from([0.1, 0.6, 1.0, 1.5]),
)
def test_totals_are_exact_limits_hold_and_no_multiplier_leaves_its_range(
    n: int, size: int, seed: int, lot_bits: int, share: float
) -> None:
    schedules = vwap(n, size, seed)
    schedules = replace(schedules, path=schedules.path * share)
    lot = 2**lot_bits
    public, private = coupling(schedules, lot), problems(schedules, min(n, 3), lot)
    ended = play(dual("0.05"), public, private)
    low, high = public.multiplier_range[0]
    for query in ended.queries:
        assert query.multipliers is not None
        assert all(low <= int(value) <= high for value in query.multipliers.values)
    solution = ended.solution
    if not solution.points:
        assert solution.status in {"infeasible", "stalled"}
        return
    assert solution.value <= solution.bound
    amounts = plans(solution, private)
    assert sum(plan.sum() for plan in amounts) == public.tracking.path[-1]
    for plan, each in zip(amounts, private, strict=True):
        cap, credit = each.limits
        assert not (plan % lot).any()
        assert ((plan >= 0) & (plan <= cap)).all()
        assert (plan.sum(1) <= credit).all()


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.9999, 1.0])
def test_demand_close_to_all_there_is_is_planned(share: float) -> None:
    schedules = vwap(20, 12, 4)
    lots = np.minimum(np.floor(schedules.cap).sum(1), np.floor(schedules.credit)).sum()
    schedules = replace(schedules, path=schedules.path / schedules.path[-1] * (lots * share + 1e-6))
    public, private = coupling(schedules), problems(schedules)
    ended = play(dual("0.001"), public, private)
    assert ended.solution.status == "certified"
    assert sum(plan.sum() for plan in plans(ended.solution, private)) == public.tracking.path[-1]


def test_demand_above_all_caps_is_infeasible_and_names_what_is_missing() -> None:
    schedules = vwap(20, 12, 4)
    lots = int(np.minimum(np.floor(schedules.cap).sum(1), np.floor(schedules.credit)).sum())
    schedules = replace(schedules, path=schedules.path / schedules.path[-1] * (lots + 5.5))
    ended = play(Dual(), coupling(schedules), problems(schedules))
    assert (ended.solution.status, ended.solution.points) == ("infeasible", ())
    assert 4 * LOT < ended.solution.shortfall <= 5 * LOT
    assert len(ended.queries) == 1


def test_an_order_for_nothing_is_infeasible() -> None:
    schedules = replace(vwap(4, 5), path=np.zeros(5))
    ended = play(Dual(), coupling(schedules), problems(schedules, 2))
    assert (ended.solution.status, ended.solution.shortfall) == ("infeasible", 0)


def test_slices_without_caps_and_venues_without_credit_take_no_part() -> None:
    base = vwap(8, 9, 2)
    cap, credit = base.cap.copy(), base.credit.copy()
    cap[:, 3] = 0.0
    credit[::2] = 0.0
    schedules = replace(base, cap=cap, credit=credit, path=0.5 * base.path)
    private = problems(schedules, 2, FINE_LOT)
    ended = play(Dual(), coupling(schedules, FINE_LOT), private)
    assert ended.solution.status == "certified"
    first, second = plans(ended.solution, private)
    assert not first.any()
    assert not second[:, 3].any()


def test_equal_costs_are_planned_as_well() -> None:
    base = vwap(12, 10, 5)
    linear, impact = np.full_like(base.linear, 0.5), np.full_like(base.impact, 2.0**-9)
    schedules = replace(base, linear=linear, impact=impact)
    assert play(Dual(), coupling(schedules), problems(schedules)).solution.status == "certified"


# ---- warm


def test_after_one_venue_moved_few_rounds_and_no_slopes_are_needed() -> None:
    rounds = []
    schedules = vwap(200, 40, 3)
    cold = play(Dual(), coupling(schedules), problems(schedules)).solution
    for moved in range(12):
        later = ticked(schedules, moved)
        again = play(Dual(), coupling(schedules), problems(later), cold.warm)
        assert again.solution.status == "certified"
        assert "curvature" not in kinds(again)
        rounds.append(len(again.queries))
    assert sorted(rounds)[len(rounds) // 2] <= 3
    assert max(rounds) <= 6


def test_a_plan_that_is_still_within_tolerance_stands_after_one_round() -> None:
    public, private = instance(40, 20, 1)
    cold = play(Dual(), public, private).solution
    again = play(Dual(), public, private, cold.warm)
    assert (kinds(again), again.solution.stands) == (["certify"], True)
    assert (again.solution.value, again.solution.points) == (cold.value, cold.points)
    assert not cold.stands


def test_a_plan_that_lost_much_does_not_stand() -> None:
    public, private = instance(10, 20, 1, lot=FINE_LOT)
    cold = play(Dual(), public, private).solution
    moved = ticked(ticked(vwap(10, 20, 1), 0), 3)
    again = play(Dual(), public, problems(moved, 5, FINE_LOT), cold.warm)
    assert (again.solution.status, again.solution.stands) == ("certified", False)
    assert kinds(again)[0] == "certify"
    assert len(again.queries) > 1


def test_the_slices_that_are_left_start_from_where_they_were() -> None:
    schedules = vwap(30, 20, 6)
    cold = play(Dual(), coupling(schedules), problems(schedules))
    rest = replace(
        schedules,
        linear=schedules.linear[:, 1:],
        impact=schedules.impact[:, 1:],
        cap=schedules.cap[:, 1:],
        path=schedules.path[1:] - schedules.path[0],
    )
    public = coupling(rest, first=1)
    warm = play(dual("0.0001"), public, problems(rest), cold.solution.warm)
    afresh = play(dual("0.0001"), public, problems(rest))
    assert warm.solution.status == afresh.solution.status == "certified"
    assert len(warm.queries) <= len(afresh.queries)
    assert kinds(warm).count("curvature") < kinds(afresh).count("curvature")


# ---- what arrives in a round is an event


def told(state: Tracked, private: list[ScheduleProblem]) -> tuple[Query, Words]:
    query = Dual().ask(state, query_digest)
    return query, total([each.answer(query, EMPTY)[0] for each in private])


def until(kind: str, public: ScheduleCoupling, private: list[ScheduleProblem]) -> tuple[Any, Words]:
    """The state before the first round of a kind, and its true total."""
    state: Any = Dual().start(public, None)
    while True:
        query, true = told(state, private)
        if query.kind == kind:
            return state, true
        state = Dual().tell(state, Total(true, ("a",), exact=True))


@pytest.mark.parametrize("kind", ["respond", "curvature", "recover", "certify"])
def test_totals_that_cannot_be_true_stall(kind: str) -> None:
    state, true = until(kind, *instance(20, 10, 1))
    first = list(integers(true))
    false: dict[str, list[int]] = {
        "of the wrong width": first[:-1],
        "too large": [2**61, *first[1:]],
    }
    if kind == "recover":
        false["falling"] = [first[-2] + 1, *first[1:]]
    if kind == "certify":
        false["not the order"] = [first[0], first[1] + LOT, *first[2:]]
        false["worth more than its bound"] = [*first[:-1], 0]
    for name, value in false.items():
        end = Dual().tell(state, Total(words(value), ("a",), exact=True))
        assert isinstance(end, Solution), name
        assert (end.status, end.points) == ("stalled", ()), name


def contradictory() -> tuple[Any, Total]:
    """A second answer whose value is far below the tangent of the first."""
    public, private = instance(20, 10, 1)
    state: Any = Dual().start(public, None)
    for _ in range(2):
        _, true = told(state, private)
        state = Dual().tell(state, Total(true, ("a",), exact=True))
    _, true = told(state, private)
    return state, Total(words([0, *integers(true)[1:]]), ("a",), exact=True)


def test_answers_that_no_convex_cohort_gives_stall() -> None:
    state, false = contradictory()
    end = Dual().tell(state, false)
    assert isinstance(end, Solution)
    assert end.status == "stalled"


def test_without_the_check_of_tangents_a_contradiction_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: convexity is not looked at, and the false value becomes the least bound."""
    monkeypatch.setattr(tracked, "conflict", lambda *_: False)
    state, false = contradictory()
    after = Dual().tell(state, false)
    assert isinstance(after, Tracked)
    assert after.least is not None
    assert after.least.value == 0


def test_without_the_check_of_the_total_a_plan_for_another_order_is_certified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: a plan is taken for the order's whatever it comes to: here a lot less."""
    public, private = instance(20, 10, 1)
    state, true = until("certify", public, private)
    phi, first, *others, cost = integers(true)
    less = words([phi, first - LOT, *others, cost - (ARRIVAL << VALUE_BITS)])
    end = Dual().tell(state, Total(less, ("a",), exact=True))
    assert isinstance(end, Solution)
    assert end.status == "stalled"
    monkeypatch.setattr(tracked, "is_whole_order", lambda *_: True)
    mutant = Dual().tell(state, Total(less, ("a",), exact=True))
    assert isinstance(mutant, Solution)
    assert mutant.status == "certified"


# ---- options and couplings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lot_tolerance", "1"),
        ("lot_tolerance", 0.1),
        ("lot_tolerance", "0.x"),
        ("probes", 7),
        ("probes", True),
        ("probes", 10**6),
        ("mode", "fast"),
        ("slopes", "never"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(BadInput) as refusal:
        manner_of({name: value}, Fraction(1, 10**6))
    assert refusal.value.field == f"solver.options.{name}"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"weight": Fraction(0)}, "weight"),
        ({"lot": 1}, "path"),
        ({"path": (1,) * 6}, "path"),
        ({"path": (LOT,) * 5}, "path"),
        ({"tie_bits": 60}, "tie_bits"),
    ],
)
def test_trackings_that_cannot_be_are_refused(change: dict[str, Any], field: str) -> None:
    public, _ = instance(4, 6)
    wrong = replace(public, tracking=replace(public.tracking, **change))
    with pytest.raises(BadInput) as refusal:
        Dual().start(wrong, None)
    assert refusal.value.field == f"coupling.{field}"


def test_a_tolerance_below_one_value_word_is_refused() -> None:
    public, _ = instance(4, 6)
    with pytest.raises(BadInput, match="finer than one value word"):
        Dual(Fraction(1, 10**18)).start(public, None)


def test_lots_must_be_offered_for_the_solver_to_suit() -> None:
    public, private = instance(4, 6)
    assert Dual().suits(public, private[0].capabilities) is not None
    assert Dual().suits(public, frozenset({"RESPOND", "CURVATURE"})) is None
    assert Dual(manner=Manner(scheduled=True)).suits(public, frozenset({"RESPOND", "CURVATURE"}))


# ---- the same bits everywhere


def random_system(size: int) -> tuple[Any, Any]:
    draw = np.random.Generator(np.random.PCG64(7))
    half = draw.random((size, size)) - 0.5
    full = np.zeros((size, size))
    for row in range(size):
        full += half[row][:, None] * half[row][None, :]
    return full, draw.random(size)


def test_rows_and_entries_give_the_same_bits_and_solve_the_system() -> None:
    full, right = random_system(37)
    by_entries = tracked_model.by_entries(full.copy(), right, 2.0**-40)
    by_rows = tracked_model.by_rows(full.copy(), right, 2.0**-40)
    kernel: Any = tracked_model.by_entries
    plain = kernel.plain(full.copy(), right, 2.0**-40)
    assert by_entries.tobytes() == by_rows.tobytes() == plain.tobytes()
    assert np.allclose(full @ by_rows, right, atol=1e-6)


def flat(result: Any) -> list[bytes]:
    parts = result if isinstance(result, tuple) else (result,)
    return [np.asarray(part).tobytes() for part in parts]


def test_kernels_give_the_same_bits_compiled_and_plain() -> None:
    full, right = random_system(13)
    under = (right * 2.0**30).astype(np.int64)
    nets, path = (full[0] * 2.0**40).astype(np.int64), np.sort((full[1] * 2.0**40).astype(np.int64))
    triangle = (full[np.tril_indices(13)] * 2.0**30).astype(np.int64)
    ends = (under - 5, under + 2**40)
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (tracked_model.surveyed, (under, nets, path, (2.0**-40, 2.0**-20), 3.7)),
        (tracked_model.unscaled, (triangle, under + 2**40, 2.0**-20, 2.0**-40)),
        (tracked_model.assembled, (full, (nets > 0).astype(np.int64), 0.3, 2.0**-40)),
        (tracked_model.learned, (full, right, full[2])),
        (tracked_model.along, (full, right)),
        (tracked_model.product, (right, full[3])),
        (tracked_model.moved_by, (under, right, 0.1, ends, 2.0**-40)),
    ]
    for function, arguments in calls:
        assert flat(function(*arguments)) == flat(function.plain(*arguments)), function


def test_a_machine_with_other_bits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracked_selftest.self_test()
    monkeypatch.setattr(tracked_selftest, "self_test", lambda: False)
    with pytest.raises(PluginBroken):
        tracked_selftest.require_self_test()


PROGRAM = """
import hashlib
from tests.solvers.schedules import instance
from covenue.testing.solvers import play
from covenue_solver_dual import Dual
ended = play(Dual(), *instance(30, 24, 2))
print(hashlib.sha256(b"".join(ended.transcript())).hexdigest(), ended.solution.status)
"""


@pytest.mark.parametrize("environment", [{"COVENUE_COMPILED": "0"}, {"PYTHONHASHSEED": "7"}])
def test_a_whole_solve_has_one_transcript(environment: dict[str, str]) -> None:
    ended = play(Dual(), *instance(30, 24, 2))
    here = hashlib.sha256(b"".join(ended.transcript())).hexdigest()
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [here, "certified"]


def test_states_and_solutions_of_equal_inputs_are_equal() -> None:
    public, private = instance(6, 5, 1, lot=FINE_LOT)
    first: Any = Dual().start(public, None)
    second: Any = Dual().start(public, None)
    while not isinstance(first, Solution):
        assert first == second
        _, true = told(first, private)
        first, second = (
            Dual().tell(each, Total(true, ("a",), exact=True)) for each in (first, second)
        )
    assert first == second
    assert first.multipliers is not None
    assert first.multipliers.scale_bits == MULTIPLIER_BITS
