"""Execution plans found on sums of lots, held against convex programs and exact arithmetic."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domains.execution_markets import (
    Solved,
    Sums,
    book,
    book_example,
    commit_query,
    drawn_example,
    example,
    goal,
    member,
    public_dual,
    solve,
    table,
)

from covenue.errors import BadInput, CapabilityMissing, HeadroomMissing, LayoutMismatch
from covenue.hooks.domains import EMPTY, Acted
from covenue.hooks.solvers import DualCoupling
from covenue.hooks.venues import Snapshot
from covenue.numerics.words import integers, words
from covenue.testing.domains import DomainExample
from covenue.testing.dual_domains import SETTLE, dual_domain_conformance, multiplier_query
from covenue_contracts.local import Actions, Fill, Outcome
from covenue_domain_execution import Execution, sell
from covenue_domain_execution.central import check
from covenue_domain_execution.coupling import ExecutionCoupling
from covenue_domain_execution.goals import GRID, read_terms
from covenue_domain_execution.problem import ExecutionProblem

CONFIG = {"volume": "4000", "impact_bps": "30", "participation": "0.2"}
SECOND = 10**9


def examples() -> list[DomainExample]:
    return [drawn_example(), book_example(), example([table(1, 1, 3)], goal(20, 1))]


TestExecutionConformance = dual_domain_conformance(Execution, examples)


def problems(given_: DomainExample) -> list[ExecutionProblem]:
    made = given_.problems(Execution())
    assert all(isinstance(problem, ExecutionProblem) for problem in made)
    return [problem for problem in made if isinstance(problem, ExecutionProblem)]


def schedules(given_: DomainExample, solved: Solved) -> list[np.ndarray[Any, Any]]:
    coupling = Execution().coupling(given_.goal, given_.members)
    return [problem.schedule(commit_query(coupling, solved)) for problem in problems(given_)]


def optimum(given_: DomainExample) -> float:
    """What no plan can pass: the same problem in fractions of lots, as a convex program."""
    cp: Any = import_module("cvxpy")
    terms = read_terms(given_.goal)
    price, path = terms.price / GRID, np.array(list(accumulate(terms.remaining)), dtype=float)
    kappa = float(Execution().coupling(given_.goal, given_.members).tracking.weight)
    cost: Any = 0
    total: Any = 0
    limits: list[Any] = []
    for problem in problems(given_):
        rows = problem.rows
        x = cp.Variable(rows.costs.shape, nonneg=True)
        linear = cp.sum(cp.multiply(rows.costs + price, x))
        cost = cost + linear + cp.sum(cp.multiply(rows.steep / 2, cp.square(x)))
        total = total + cp.sum(x, axis=0)
        limits += [x <= rows.caps, cp.sum(x, axis=1) <= rows.credits]
    off = kappa / 2 * cp.sum_squares(cp.cumsum(total) - path)
    limits.append(cp.sum(total) == terms.wanted)
    program = cp.Problem(cp.Maximize(price * cp.sum(total) - cost - off), limits)
    return float(program.solve(solver="CLARABEL"))


# ---- optimal, certified, and whole


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(5, 60))
def test_a_plan_is_the_optimum_but_for_whole_lots(seed: int, slices: int, part: int) -> None:
    states = [table(1, slices, seed), table(3, slices, seed + 1)]
    most = sum(int(np.floor(state["credit"]).sum()) for state in states)
    given_ = example(states, goal(max(1, most * part // 100), slices))
    solved = solve(given_)
    best = optimum(given_)
    scale = abs(best) + 1.0
    assert solved.exact
    assert float(solved.bound) >= best - 1e-6 * scale
    assert float(solved.value) <= best + 1e-6 * scale
    assert float(solved.bound) <= best + 1e-4 * scale
    rows = [(problem.rows, lots) for problem, lots in zip(
        problems(given_), schedules(given_, solved), strict=True)]  # fmt: skip
    checked = check(read_terms(given_.goal), solved.values, rows)
    assert checked.feasible
    assert checked.value >= solved.value
    assert checked.dual <= solved.bound
    assert checked.by_slice == solved.lots


def test_more_lots_narrow_the_gap() -> None:
    """The gap is that of rounding to lots: finer lots, less of it."""
    coarse = solve(drawn_example(quantity=700))
    fine_states = [
        {**state, "eta": state["eta"] / 1000, "cap": state["cap"] * 1000,
         "credit": state["credit"] * 1000}
        for state in (table(2, 5, 1), table(3, 5, 2))
    ]  # fmt: skip
    fine = solve(example(fine_states, goal(700_000, 5)))
    gaps = [float((s.bound - s.value) / abs(s.bound)) for s in (coarse, fine)]
    assert gaps[1] < gaps[0] < 1e-4
    assert gaps[1] < 1e-7


def test_the_public_part_of_the_dual_is_the_same_by_other_code() -> None:
    given_ = drawn_example()
    coupling = Execution().coupling(given_.goal, given_.members)
    terms = read_terms(given_.goal)
    values = [terms.price + (7 * t % 5 + 1) * GRID // 9 for t in range(terms.size)]
    assert check(terms, values, []).dual == public_dual(coupling, values)


# ---- edges


def test_without_demand_nothing_is_planned_and_nothing_is_admitted() -> None:
    given_ = drawn_example()
    coupling = Execution().coupling(given_.goal, given_.members)
    size = coupling.terms.size
    none, all_ = words([0] * size), words([coupling.terms.quantity, *[0] * (size - 1)])
    done = coupling.left(all_, none, none)
    assert set(done.remaining) == {"0"}
    empty = replace(given_, goal=done)
    solved = solve(empty)
    assert (solved.lots, solved.exact) == ((0,) * size, True)
    assert not coupling.admits(none, done)


def test_demand_above_all_caps_is_not_placed_however_high_the_price() -> None:
    """What the solver's status `infeasible` is read from: the answer at the top of the range."""
    state = table(2, 4, 1)
    most = int(np.floor(state["cap"]).sum())
    given_ = example([{**state, "credit": np.full(2, 1e9)}], goal(most + 1, 4))
    coupling = Execution().coupling(given_.goal, given_.members)
    top = [high for _, high in coupling.multiplier_range]
    _, *amounts = Sums(coupling, problems(given_)).ask("respond", top)
    assert sum(amounts) == most << coupling.terms.scale_bits < coupling.tracking.path[-1]
    assert not solve(given_).exact


def test_demand_of_exactly_all_caps_takes_them_all() -> None:
    state = table(2, 4, 1)
    caps = np.floor(state["cap"]).sum(axis=0).astype(int)
    given_ = example([{**state, "credit": np.full(2, 1e9)}], goal(int(caps.sum()), 4))
    solved = solve(given_)
    assert solved.exact
    assert list(solved.lots) == caps.tolist()


def test_closed_slices_and_venues_without_credit_trade_nothing() -> None:
    state = table(3, 5, 2)
    state["cap"][:, 2] = 0.0
    state["credit"][1] = 0.0
    given_ = example([state, table(1, 5, 3)], goal(400, 5))
    first, _ = schedules(given_, solve(given_))
    assert first[:, 2].tolist() == [0, 0, 0]
    assert first[1].tolist() == [0] * 5
    assert first.sum() > 0


def test_venues_of_equal_cost_share_and_the_total_is_exact() -> None:
    state = {"a": [[0.5] * 3] * 4, "eta": [[0.01] * 3] * 4, "cap": [[50] * 3] * 4}
    given_ = example([state, state], goal(101, 3, curve="flat"))
    solved = solve(given_)
    assert solved.exact
    lots = np.concatenate(schedules(given_, solved))
    assert lots.max() - lots.min() <= 1


def test_selling_is_buying_in_the_mirror() -> None:
    config = {**CONFIG, "fee_bps": "0"}
    bought = example([book([(10002, 900)])], goal(100, 3), [config])
    sold = example([book([], [(9998, 900)])], sell("100", "100", 3, tracking_bps="100"), [config])
    buying, selling = solve(bought), solve(sold)
    assert (buying.values, buying.lots, buying.value) == (
        selling.values,
        selling.lots,
        selling.value,
    )
    legs = []
    for given_, solved in ((bought, buying), (sold, selling)):
        coupling = Execution().coupling(given_.goal, given_.members)
        (problem,) = problems(given_)
        actions, _, _ = problem.commit(commit_query(coupling, solved), EMPTY, "0" * 64)
        (leg,) = actions.legs
        legs.append((leg.side, int(leg.limit_ticks), int(leg.quantity_steps)))
    (buy_side, high, quantity), (sell_side, low, other) = legs
    assert (buy_side, sell_side, quantity) == ("buy", "sell", other)
    assert high + low == 20000
    assert high > 10000


# ---- what is due, and what is acted on


def started(**terms: str) -> DomainExample:
    timed = goal(120, 4, start=str(100 * SECOND), every_ms=1000, mode="executed", **terms)
    return example([book([(10001, 500)])], timed, [{**CONFIG, "fee_bps": "2"}])


def at(given_: DomainExample, as_of: int) -> ExecutionProblem:
    (state,) = given_.states
    pinned = replace(given_, states=(Snapshot("order-book/v1", as_of, "0" * 64, state),))
    (problem,) = problems(pinned)
    return problem


def test_slices_that_are_over_are_closed_and_the_last_stays_open() -> None:
    given_ = started()
    for seconds, due in ((0, 0), (100, 0), (101, 1), (102.5, 2), (103, 3), (900, 3)):
        problem = at(given_, int(seconds * SECOND))
        assert problem.venue is not None
        assert problem.venue.due == due
        assert (problem.rows.caps[0] > 0).tolist() == [t >= due for t in range(4)]


def test_a_leg_is_the_due_slice_within_its_marginal_price_after_the_fee() -> None:
    given_ = started()
    coupling = Execution().coupling(given_.goal, given_.members)
    problem = at(given_, 101 * SECOND)
    values = tuple(coupling.terms.price + GRID // 5 for _ in range(4))
    query = multiplier_query("commit", coupling, values)
    actions, planned, memory = problem.commit(query, EMPTY, "0" * 64)
    (leg,) = actions.legs
    assert (actions.unit, memory) == ("1", EMPTY)
    assert planned[0] == 0
    assert int(leg.quantity_steps) == int(leg.most_units) == planned[1] > 0
    worst = Fraction(values[1], GRID) / (1 + Fraction(2, 10_000))
    assert int(leg.limit_ticks) == worst / Fraction("0.01") // 1


def test_no_leg_goes_beyond_the_limit_price() -> None:
    """Caps end where the limit does; and the leg's own limit is the better of both prices."""
    given_ = started(limit_price="100.05")
    coupling = Execution().coupling(given_.goal, given_.members)
    problem = at(given_, 100 * SECOND)
    rows = problem.rows
    assert bool(np.all(rows.costs + rows.steep * rows.caps <= 0.05 + 1e-9))
    top = tuple(high for _, high in coupling.multiplier_range)
    actions, _, _ = problem.commit(multiplier_query("commit", coupling, top), EMPTY, "0" * 64)
    (leg,) = actions.legs
    assert int(leg.limit_ticks) * Fraction("0.01") * Fraction(10_002, 10_000) <= Fraction("100.05")
    loose = at(started(), 100 * SECOND)
    assert bool((loose.rows.caps > rows.caps).all())


def test_the_due_slice_is_capped_by_what_the_book_shows() -> None:
    thin = example([book([(10001, 7)])], goal(100, 4), [CONFIG])
    (problem,) = problems(thin)
    assert problem.rows.caps[0, 0] == 7
    assert bool((problem.rows.caps[0, 1:] > 7).all())
    (nothing,) = problems(example([book([])], goal(100, 4), [CONFIG]))
    assert not nothing.rows.caps.any()


def filled(lots: int) -> Fill:
    return Fill(leg=0, price_ticks="10001", quantity_steps=str(lots), units=str(lots))


def settled(outcomes: list[Outcome] | None) -> tuple[list[int], list[int]]:
    given_ = started()
    coupling = Execution().coupling(given_.goal, given_.members)
    problem = at(given_, 101 * SECOND)
    values = tuple(coupling.terms.price + GRID // 5 for _ in range(4))
    actions, planned, _ = problem.commit(
        multiplier_query("commit", coupling, values), EMPTY, "0" * 64
    )
    executed, unknown = problem.settle(SETTLE, [Acted(planned, actions, outcomes)])
    assert int(actions.legs[0].most_units) == planned[1]
    return [int(w) for w in executed], [int(w) - int(planned[1]) for w in unknown[1:2]]


def outcome(status: str, *fills: Fill) -> Outcome:
    return Outcome.model_validate(
        {"order": "0" * 64, "status": status, "fills": fills, "swaps": (), "reason": "test"}
    )


def test_fills_count_in_the_slice_that_was_due() -> None:
    executed, _ = settled([outcome("partial", filled(3), filled(4))])
    assert executed == [0, 7, 0, 0]


def test_what_is_in_doubt_is_the_leg_less_what_was_filled() -> None:
    assert settled(None)[1] == [0]
    executed, unknown = settled([outcome("unknown", filled(3))])
    assert (executed[1], unknown) == (3, [-3])


def test_more_than_planned_is_not_hidden() -> None:
    executed, _ = settled([outcome("done", filled(5000))])
    assert executed == [0, 5000, 0, 0]


def test_nothing_was_acted_on_without_a_leg() -> None:
    given_ = drawn_example()
    first, _ = problems(given_)
    actions = Actions(plan="0" * 64, unit="1", legs=(), swaps=())
    planned = words([1, 2, 3, 4, 5])
    executed, unknown = first.settle(SETTLE, [Acted(planned, actions, None)])
    assert not executed.any()
    assert not unknown.any()


# ---- what rolls on


@given(st.lists(st.integers(0, 90), min_size=15, max_size=15))
def test_what_is_left_is_the_path_less_what_is_gone(amounts: list[int]) -> None:
    domain, given_ = Execution(), drawn_example()
    coupling = domain.coupling(given_.goal, given_.members)
    parts = [words(amounts[i : i + 5]) for i in (0, 5, 10)]
    left = coupling.left(*parts)
    quantity = coupling.terms.quantity
    remaining = [int(lots) for lots in left.remaining]
    assert sum(remaining) == max(0, quantity - sum(amounts))
    assert min(remaining) >= 0
    assert domain.continues(given_.goal, left)
    for now, then in zip(accumulate(remaining), coupling.terms.target, strict=True):
        assert now == min(sum(remaining), max(0, then - sum(amounts)))


def test_a_plan_for_another_path_or_other_terms_does_not_continue_the_order() -> None:
    domain, order = Execution(), drawn_example().goal
    more = order.model_copy(update={"remaining": ("900", *order.remaining[1:])})
    moved = [int(lots) for lots in order.remaining]
    moved[0], moved[1] = moved[0] - 1, moved[1] + 1
    other_path = order.model_copy(update={"remaining": tuple(map(str, moved))})
    other_terms = order.model_copy(update={"terms": {**order.terms, "tracking_bps": "1"}})
    for plan in (more, other_path, other_terms):
        assert not domain.continues(order, plan)
    assert domain.continues(order, order)


def test_only_the_exact_total_is_admitted() -> None:
    given_ = drawn_example()
    coupling = Execution().coupling(given_.goal, given_.members)
    right = [int(lots) for lots in given_.goal.remaining]
    assert coupling.admits(words(right), given_.goal)
    for change in (1, -1):
        assert not coupling.admits(words([right[0] + change, *right[1:]]), given_.goal)
    shifted = [right[0] + right[1] + 1, -1, *right[2:]]
    assert sum(shifted) == sum(right)
    assert not coupling.admits(words(shifted), given_.goal)


# ---- refusals


def build(state: Any, made: Any = None, config: Mapping[str, str] | None = None) -> object:
    given_ = example([state], made or goal(100, 4), [config or {}])
    return problems(given_)


@pytest.mark.parametrize(
    ("break_", "field"),
    [
        (lambda s: s.pop("eta"), "state"),
        (lambda s: s.update(eta=s["eta"] * 0), "state.eta"),
        (lambda s: s.update(cap=-s["cap"]), "state.cap"),
        (lambda s: s.update(a=s["a"] * np.nan), "state.a"),
        (lambda s: s.update(a=s["a"][:, :3]), "state.a"),
        (lambda s: s.update(a=s["a"][:1]), "state"),
        (lambda s: s.update(credit=[1.0]), "state.credit"),
        (lambda s: s.update(credit=[1.0, -1.0]), "state.credit"),
        (lambda s: s.update(cap=[["x"] * 4] * 2), "state.cap"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_column_without_its_numbers(
    break_: Callable[[dict[str, Any]], object], field: str
) -> None:
    state: dict[str, Any] = dict(table(2, 4, 1))
    break_(state)
    with pytest.raises(BadInput) as refused:
        build(state)
    assert refused.value.field == field
    assert not refused.value.value


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "volume"),
        ({**CONFIG, "volumes": "1"}, "volumes"),
        ({**CONFIG, "participation": "1.5"}, "participation"),
        ({**CONFIG, "impact_bps": "0"}, "impact_bps"),
        ({**CONFIG, "fee_bps": "10000"}, "fee_bps"),
        ({**CONFIG, "credit": "-1"}, "credit"),
    ],
)
def test_a_forecast_that_does_not_fit_is_refused_by_field(
    config: dict[str, str], field: str
) -> None:
    with pytest.raises(BadInput) as refused:
        build(book([(10001, 500)]), config=config or {"fee_bps": "1"})
    assert refused.value.field == f"party.config.{field}"


def test_foreign_states_and_instruments_are_refused() -> None:
    state = book([(10001, 500)])
    inverse = replace(state, instrument=state.instrument.model_copy(update={"payoff": "inverse"}))
    coarse = replace(state, instrument=state.instrument.model_copy(update={"step": "3"}))
    with pytest.raises(CapabilityMissing):
        build(inverse, config=CONFIG)
    with pytest.raises(CapabilityMissing):
        build(Snapshot("pool-set/v1", 0, "0" * 64, object()))
    with pytest.raises(BadInput) as lot:
        build(coarse, config=CONFIG)
    with pytest.raises(BadInput) as other:
        build(state, goal(100, 4, instrument="other"), CONFIG)
    with pytest.raises(BadInput):
        build(7)
    assert (lot.value.field, other.value.field) == ("domain.goal.lot", "domain.goal.instrument")


def test_words_that_could_leave_64_bits_are_refused_before_anything_is_asked() -> None:
    state = table(2, 4, 1)
    for change, field in (
        ({"cap": state["cap"] * 1e11}, "scale_bits"),
        ({"a": state["a"] + 1e12}, "value_bits"),
        ({"eta": state["eta"] * 1e-14}, "slope_bits"),
    ):
        with pytest.raises(HeadroomMissing) as refused:
            build({**state, **change})
        assert refused.value.field == f"domain.goal.{field}"


def test_points_and_multipliers_that_do_not_fit_are_refused() -> None:
    given_ = drawn_example()
    coupling = Execution().coupling(given_.goal, given_.members)
    first, _ = problems(given_)
    reference = coupling.reference
    bare = multiplier_query("respond", coupling, reference)
    for query in (
        bare.model_copy(update={"kind": "certify"}),
        bare.model_copy(update={"multipliers": None}),
        multiplier_query("recover", coupling, reference[1:]),
    ):
        with pytest.raises(LayoutMismatch):
            first.answer(query, EMPTY)
    with pytest.raises(LayoutMismatch):
        first.commit(bare.model_copy(update={"kind": "commit"}), EMPTY, "0" * 64)
    assert coupling.width(bare.model_copy(update={"kind": "settle"})) == 15
    with pytest.raises(CapabilityMissing):
        coupling.width(bare.model_copy(update={"kind": "depth"}))


def test_probes_beyond_64_bits_are_as_good_as_the_ends() -> None:
    given_ = drawn_example()
    coupling = Execution().coupling(given_.goal, given_.members)
    asked = Sums(coupling, problems(given_))
    values = [high for _, high in coupling.multiplier_range]
    low, high, _ = asked.ask("recover", values, [-(2**70), 2**70])
    assert (low, high) == (0, asked.ask("recover", values, [2**62])[0])


def test_keys_belong_to_one_party_each() -> None:
    """Equal parts of two parties differ by the slot, so a residual has one owner."""
    state = {"a": [[0.5] * 3], "eta": [[0.01] * 3], "cap": [[50] * 3]}
    given_ = example([state, state], goal(31, 3))
    coupling = Execution().coupling(given_.goal, given_.members)
    values = [coupling.terms.price + (GRID * 3) // 5 + GRID // 333] * 3
    query = multiplier_query("respond", coupling, values)
    keys = []
    for problem in problems(given_):
        lots = problem._lots(problem._response(problem._asked(query)))
        keys.append(set(lots.offered.tolist()))
    assert keys[0]
    assert not keys[0] & keys[1]
    assert {key + 1 for key in keys[0]} == keys[1]


def test_a_frame_of_venues_is_read_like_arrays() -> None:
    pandas = pytest.importorskip("pandas")
    state = table(2, 4, 1)
    frame = pandas.DataFrame(
        {
            "venue": ["a"] * 4 + ["b"] * 4,
            **{name: state[name].ravel() for name in ("a", "eta", "cap")},
            "credit": np.repeat(state["credit"], 4),
        }
    )
    (by_frame,), (by_array,) = (problems(example([s], goal(100, 4))) for s in (frame, state))
    for name in ("costs", "steep", "caps", "credits"):
        assert (getattr(by_frame.rows, name) == getattr(by_array.rows, name)).all()
    for broken in (
        frame.iloc[:7],
        frame.drop(columns="eta"),
        frame.sample(frac=1, random_state=1),
    ):
        with pytest.raises(BadInput):
            problems(example([broken], goal(100, 4)))


def test_the_coupling_is_one_for_multipliers() -> None:
    coupling = Execution().coupling(goal(10, 3), (member(1), member(0)))
    assert isinstance(coupling, DualCoupling)
    assert isinstance(coupling, ExecutionCoupling)
    assert coupling.tracking.tie_bits == 1
    assert coupling.tracking.path[-1] == 10 << 20
    assert coupling.tracking.weight == Fraction(100 * 100, 10_000 * 10)
    assert integers(words([coupling.most[0]])) == (10 << 20,)
