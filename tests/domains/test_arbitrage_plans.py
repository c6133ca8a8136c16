"""Arbitrage plans found on sums of net amounts, held against closed forms and exact arithmetic."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import isqrt, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domains.pool_markets import (
    UNIT,
    book,
    book_example,
    drawn,
    example,
    goal,
    member,
    pool_example,
    pools,
    ranged,
)

from covenue.errors import BadInput, CapabilityMissing, HeadroomMissing
from covenue.hooks.domains import EMPTY, Acted, LocalProblem
from covenue.hooks.solvers import DualCoupling, Solution
from covenue.hooks.venues import BookState, PoolBatch, Snapshot
from covenue.numerics.words import integers, total, words
from covenue.testing.domains import DomainExample
from covenue.testing.dual_domains import (
    SETTLE,
    dual_domain_conformance,
    multiplier_query,
)
from covenue.testing.solvers import play
from covenue_contracts.local import Actions, Fill, Outcome, SwapFill
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_arbitrage import pools as pools_module
from covenue_domain_arbitrage.coupling import ArbitrageCoupling
from covenue_domain_arbitrage.pools import pools_of, swapped
from covenue_domain_arbitrage.problem import ArbitrageProblem
from covenue_solver_dual.dual import Dual

SCALE = 2**30
GRID = 2**40


def examples() -> list[DomainExample]:
    return [pool_example(), book_example()]


TestArbitrageConformance = dual_domain_conformance(Arbitrage, examples)


def solved(given_: DomainExample, **options: str) -> tuple[ArbitrageCoupling, Solution]:
    domain = Arbitrage()
    coupling = domain.coupling(given_.goal, given_.members)
    problems: Sequence[LocalProblem] = given_.problems(domain)
    return coupling, play(Dual.from_options(options), coupling, problems).solution


def committed(given_: DomainExample, solution: Solution) -> list[tuple[Actions, tuple[int, ...]]]:
    domain = Arbitrage()
    coupling = domain.coupling(given_.goal, given_.members)
    assert solution.multipliers is not None
    values = [int(v) for v in solution.multipliers.values]
    query = multiplier_query("commit", coupling, values)
    query = query.model_copy(update={"points": tuple(str(p) for p in solution.points)})
    made = [problem.commit(query, EMPTY, "0" * 64) for problem in given_.problems(domain)]
    return [(actions, integers(net)) for actions, net, _ in made]


# ---- against closed forms


def test_two_pools_of_one_pair_meet_where_the_closed_form_says() -> None:
    """x = (sqrt(g Ea Eb) - Ea) / g: a into one pool, all of the b into the other (venues.md 6)."""
    fee, keep = 3000, 0.997
    r_a, r_b, s_a, s_b = 1000.0, 600.0, 1500.0, 700.0
    states = [
        pools(("a", "b"), [(0, 1, r_a, r_b, fee)]),
        pools(("a", "b"), [(0, 1, s_a, s_b, fee)]),
    ]
    made = example(goal(("a", "b"), references=("1", "1"), floor="0.000001"), states)
    _, solution = solved(made)
    e_a = r_a * s_b / (s_b + keep * r_b)
    e_b = keep * r_b * s_a / (s_b + keep * r_b)
    x = (sqrt(keep * e_a * e_b) - e_a) / keep
    y = e_b * keep * x / (e_a + keep * x)
    assert solution.status == "certified"
    assert solution.value / SCALE == pytest.approx(y - x, rel=2e-5)
    (first, _), (second, _) = committed(made, solution)
    (swap,) = first.swaps
    assert (swap.pays, swap.gets) == ("a", "b")
    assert int(swap.paid) / UNIT == pytest.approx(x, rel=1e-3)
    assert int(swap.least) >= int(second.swaps[0].paid), "no b is owed"


def test_pools_inside_their_no_trade_band_do_nothing() -> None:
    made = example(goal(("a", "b")), [pools(("a", "b"), [(0, 1, 2000.0, 1001.0, 3000)])] * 2)
    coupling, solution = solved(made)
    assert (solution.status, solution.value) == ("certified", 0)
    assert all(not actions.swaps for actions, _ in committed(made, solution))
    assert not coupling.admits(words([0, 0]), made.goal), "nothing is no plan"


def test_a_pool_and_a_book_meet_at_a_level_of_the_book() -> None:
    """The pool buys b as long as it pays more for it than the book's next level asks."""
    made = book_example()
    _, solution = solved(made, tolerance="0.001")
    assert solution.status == "certified"
    (pool, pool_net), (held, book_net) = committed(made, solution)
    (leg,) = held.legs
    assert (leg.side, pool.swaps[0].pays) == ("buy", "b")
    totals = [a + b for a, b in zip(pool_net, book_net, strict=True)]
    assert min(totals) >= 0
    best = _best_by_steps()
    assert solution.value / SCALE <= best + 1e-6
    assert solution.bound / SCALE >= best - 1e-6
    assert solution.value / SCALE == pytest.approx(best, rel=5e-3)


def _best_by_steps() -> float:
    """All quantities of whole steps tried: b bought on the book and sold to the pool."""
    levels = [(2005, 400), (2010, 700), (2020, 2000)]
    best, cost, bought = 0.0, 0.0, 0
    for ticks, steps in levels:
        for _ in range(steps):
            bought += 1
            cost += ticks * 0.001 * 0.01 * 1.0001
            got = swapped(1000 * UNIT, 2100 * UNIT, 3000, bought * UNIT // 100) / UNIT
            best = max(best, got - cost)
    return best


# ---- every pool, exactly


pool_rows = st.tuples(
    st.just(0),
    st.just(1),
    st.floats(1e-3, 1e6, allow_nan=False),
    st.floats(1e-3, 1e6, allow_nan=False),
    st.sampled_from([0, 1, 100, 3000, 10000, 500000, 999999]),
)
ratios = st.tuples(st.integers(2**36, 2**44), st.integers(2**36, 2**44))


@given(st.lists(pool_rows, min_size=1, max_size=6), ratios)
def test_every_swap_can_be_delivered_and_phi_is_a_bound(
    rows: list[tuple[int, int, float, float, int]], at: tuple[int, int]
) -> None:
    terms = Arbitrage().coupling(goal(("a", "b"), band=16), [member(0)]).terms
    batch = pools(("a", "b"), rows)
    held = pools_of(batch, terms)
    trades = held.trades(np.array(at, dtype=np.float64) / GRID)
    exact = Fraction(0)
    for row in range(len(rows)):
        exact += _phi(batch, row, at)
    assert exact * 2**terms.value_bits <= held.value(trades)
    columns = (trades.pool, trades.pays, trades.paid, trades.paid_words, trades.received_words)
    rounding = zip(*(column.tolist() for column in columns), strict=True)
    for pool, pays, paid, paid_words, received_words in rounding:
        r_in, r_out = (int(batch.reserves[pool, side]) for side in (pays, 1 - pays))
        received = swapped(r_in, r_out, int(batch.fee_ppm[pool]), paid)
        assert Fraction(paid, UNIT) * SCALE <= paid_words
        assert received_words <= Fraction(received, UNIT) * SCALE


def _phi(batch: PoolBatch, row: int, at: tuple[int, int]) -> Fraction:
    """(sqrt(A) - sqrt(B))^2 from below, in exact integers."""
    best = Fraction(0)
    keep = Fraction(10**6 - int(batch.fee_ppm[row]), 10**6)
    for pays, gets in ((0, 1), (1, 0)):
        up = Fraction(at[gets] * int(batch.reserves[row, gets]), GRID * UNIT)
        down = Fraction(at[pays] * int(batch.reserves[row, pays]), GRID * UNIT) / keep
        if up > down:
            product = up * down
            root = Fraction(isqrt(product.numerator * product.denominator * 4**80) + 1,
                            product.denominator * 2**80)  # fmt: skip
            best = max(best, up + down - 2 * root)
    return best


@given(
    st.integers(1, 10**18), st.integers(1, 10**18), st.integers(0, 999_999), st.integers(0, 10**18)
)
def test_a_swap_never_lowers_the_invariant(r_in: int, r_out: int, fee: int, paid: int) -> None:
    received = swapped(r_in, r_out, fee, paid)
    kept = paid * (10**6 - fee)
    assert received < r_out or paid == 0
    assert (r_in * 10**6 + kept) * (r_out - received) >= r_in * r_out * 10**6
    assert (r_in * 10**6 + kept) * (r_out - received - 1) < r_in * r_out * 10**6


def test_slopes_are_the_derivative_of_the_net_amounts() -> None:
    """diag(v) H diag(v) against central differences of the unrounded responses."""
    assets = ("a", "b", "c")
    terms = Arbitrage().coupling(goal(assets, slope_bits=30), [member(0)]).terms
    held = pools_of(drawn(assets, 40, 9, noise=0.4), terms)
    v = np.array([1.0, 2.0, 3.0])
    packed = np.zeros(6, dtype=np.int64)
    held.slopes(held.trades(v), packed)
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-6
        up, down = (held.net(held.trades(v * (1 + sign * step))) for sign in (1, -1))
        for row in range(3):
            high, low = max(row, column), min(row, column)
            slope = packed[high * (high + 1) // 2 + low] / 2**30
            assert v[row] * (up[row] - down[row]) / 2e-6 / SCALE == pytest.approx(slope, rel=1e-3)


def test_without_rounding_against_ourselves_a_plan_may_promise_what_no_pool_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: round to nearest; some swap then pays less than its words say it receives."""
    monkeypatch.setattr(pools_module, "_down", pools_module._nearest)
    monkeypatch.setattr(pools_module, "RECEIVED_SLACK", -1e-9)
    with pytest.raises(AssertionError):
        test_every_swap_can_be_delivered_and_phi_is_a_bound()


# ---- the coupling


def test_no_asset_may_be_owed_and_no_bound_passed() -> None:
    made = goal(("a", "b"), most=("1", "2"))
    coupling = Arbitrage().coupling(made, [member(0)])
    cases = {(0, 0): False, (1, 0): True, (-1, 5): False, (SCALE, 2 * SCALE): True,
             (SCALE + 1, 0): False, (0, 2 * SCALE + 1): False}  # fmt: skip
    assert {case: coupling.admits(words(case), made) for case in cases} == cases


def test_without_that_guard_a_cohort_could_owe_what_it_does_not_have() -> None:
    """Mutant: admit by value alone; a plan that sells what nobody has is worth most."""
    made = goal(("a", "b"))
    coupling = Arbitrage().coupling(made, [member(0)])
    short = words([-1 * SCALE, 10 * SCALE])
    worth = sum(r * n for r, n in zip(coupling.reference, integers(short), strict=True))
    assert worth > 0
    assert not coupling.admits(short, made)


@given(st.tuples(*(st.integers(-(2**40), 2**40),) * 6))
def test_whatever_the_doubt_comes_to_the_position_ends_within_its_bounds(
    amounts: tuple[int, ...],
) -> None:
    """Settled a, b; in doubt c, d; committed e, f: each may still happen or not."""
    a, b, c, d, e, f = amounts
    made = goal(("a", "b"), most=("1000", "2000"))
    coupling = Arbitrage().coupling(made, [member(0)])
    left = coupling.left(words([a, b]), words([c, d]), words([e, f]))
    following = Arbitrage().coupling(left, [member(0)])
    for doubt, planned in product((0, 1), repeat=2):
        held = (a + doubt * c + planned * e, b + doubt * d + planned * f)
        rows = zip(held, following.least, following.terms.remaining, coupling.most, strict=True)
        for position, least, remaining, most in rows:
            assert position + least >= 0 or (least == 0 and position >= 0)
            assert position + remaining <= max(most, position)


def test_what_was_taken_is_kept_unless_something_is_owed() -> None:
    coupling = Arbitrage().coupling(goal(("a", "b")), [member(0)])
    zero = words([0, 0])
    assert coupling.left(words([5, 7]), zero, zero).terms["least"] == ("0", "0")
    assert coupling.left(words([5, -7]), zero, zero).terms["least"] == ("-5", "7")
    assert coupling.left(words([5, 7]), zero, words([9, -9])).terms["least"] == ("-5", "2")


def test_the_next_plan_brings_back_what_a_half_done_plan_owes() -> None:
    """Half-done legs leave a debt of b and an excess of a: the next plan buys b with it."""
    made = pool_example()
    coupling = Arbitrage().coupling(made.goal, made.members)
    assert isinstance(coupling, DualCoupling)
    zero = words([0, 0, 0])
    owed = coupling.left(words([16 * SCALE, -7 * SCALE, 0]), zero, zero)
    again = DomainExample(owed, made.members, made.states, made.configs)
    _, solution = solved(again)
    assert solution.status == "certified"
    totals = [
        sum(column) for column in zip(*(n for _, n in committed(again, solution)), strict=True)
    ]
    assert totals[1] >= 7 * SCALE
    assert totals[0] >= -16 * SCALE
    assert totals[2] >= 0


# ---- settlement


def outcome(status: str, *swaps: SwapFill, fills: Sequence[Fill] = ()) -> Outcome:
    return Outcome.model_validate(
        {"order": "0" * 64, "status": status, "fills": tuple(fills), "swaps": swaps, "reason": None}
    )


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_swaps_are_made_in_blocks_of_any_size_and_share_what_takes_memory(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = ("a", "b", "c")
    terms = Arbitrage().coupling(goal(assets), [member(0)]).terms
    for state in (drawn(assets, 40, 3), ranged(assets, 40, 3)):
        held = pools_of(state, terms)
        trades = held.trades(np.array([1.3, 2.0, 2.6]))
        whole, net = held.swaps(trades)
        with monkeypatch.context() as patch:
            patch.setattr(pools_module, "BLOCK", block)
            parts, also = held.swaps(trades)
        assert parts == whole
        assert also.tolist() == net.tolist()
        assert len(whole) > 7
        assert {id(swap.model_fields_set) for swap in parts} == {id(pools_module.SWAP_FIELDS)}


def test_settling_counts_what_swaps_paid_and_received() -> None:
    made = pool_example()
    problem = made.problems(Arbitrage())[0]
    coupling = Arbitrage().coupling(made.goal, made.members)
    query = multiplier_query("commit", coupling, [r + r // 50 * (k - 1) for k, r in
                                                  enumerate(coupling.reference)])  # fmt: skip
    actions, planned, _ = problem.commit(query, EMPTY, "0" * 64)
    whole = [SwapFill(swap=n, paid=s.paid, received=s.least) for n, s in enumerate(actions.swaps)]
    assert len(whole) > 3
    executed, unknown = problem.settle(SETTLE, [Acted(planned, actions, [outcome("done", *whole)])])
    assert integers(executed) == integers(planned)
    assert set(integers(unknown)) == {0}
    part = [outcome("unknown", *whole[:2])]
    executed, unknown = problem.settle(SETTLE, [Acted(planned, actions, part)])
    assert integers(total([executed, unknown])) == integers(planned)
    assert integers(executed) != integers(planned)


def test_settling_counts_fills_of_a_book_with_the_partys_fee() -> None:
    made = book_example()
    problem = made.problems(Arbitrage())[1]
    coupling = Arbitrage().coupling(made.goal, made.members)
    query = multiplier_query("commit", coupling, [GRID, 2 * GRID + GRID // 100], 2**13)
    actions, planned, _ = problem.commit(query, EMPTY, "0" * 64)
    (leg,) = actions.legs
    fills = [
        Fill(leg=0, price_ticks="2005", quantity_steps="400", units="400"),
        Fill(leg=0, price_ticks="2010", quantity_steps="100", units="100"),
    ]
    done, _ = problem.settle(SETTLE, [Acted(planned, actions, [outcome("partial", fills=fills)])])
    paid = (Fraction(2005 * 400 + 2010 * 100, 1000) / 100) * Fraction(10001, 10000)
    base = Fraction(500, 100)
    assert leg.side == "buy"
    assert integers(done) == (int(-(paid * SCALE) // 1), int(base * SCALE // 1))


# ---- states and refusals


def build(state: object, made: object = None, **config: str) -> ArbitrageProblem:
    chosen = goal(("a", "b")) if made is None else made
    return Arbitrage().problem(chosen, [member(0)], member(0), state, config)  # type: ignore[arg-type]  # a goal, or its default


def test_a_table_a_frame_and_a_batch_of_the_same_pools_answer_alike() -> None:
    pandas = pytest.importorskip("pandas")
    rows = [("a", "b", 2000.0, 900.0, 3000), ("b", "a", 500.0, 1100.0, 100)]
    columns = ["asset_a", "asset_b", "reserve_a", "reserve_b", "fee_ppm"]
    frame = pandas.DataFrame(rows, columns=columns)
    numbered = np.array([(0, 1, 2000.0, 900.0, 3000), (1, 0, 500.0, 1100.0, 100)])
    batch = pools(("a", "b"), [(0, 1, 2000.0, 900.0, 3000), (1, 0, 500.0, 1100.0, 100)])
    snapshot = Snapshot("pool-set/v1", 0, "0" * 64, batch)
    coupling = Arbitrage().coupling(goal(("a", "b")), [member(0)])
    query = multiplier_query("curvature", coupling, coupling.reference)
    answers = {
        bytes(build(state).answer(query, EMPTY)[0])
        for state in (rows, frame, numbered, batch, snapshot)
    }
    assert len(answers) == 1


BAD_TABLES = {
    "a reserve of zero": ([("a", "b", 0.0, 1.0, 0)], "reserve_a"),
    "a negative reserve": ([("a", "b", 1.0, -1.0, 0)], "reserve_b"),
    "a reserve that is no number": ([("a", "b", float("nan"), 1.0, 0)], "reserve_a"),
    "a fee of 100 %": ([("a", "b", 1.0, 1.0, 1_000_000)], "fee_ppm"),
    "a negative fee": ([("a", "b", 1.0, 1.0, -1)], "fee_ppm"),
    "an asset without reference": ([("a", "z", 1.0, 1.0, 0)], "asset_b"),
    "a row of four": ([("a", "b", 1.0, 1.0)], "row 0"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_table_that_holds_no_pools_is_refused_by_row_and_column(case: str) -> None:
    table, field = BAD_TABLES[case]
    with pytest.raises(BadInput) as caught:
        build(table)
    assert field in caught.value.field
    assert caught.value.advice


def test_a_pool_of_one_asset_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="both sides are one asset"):
        build(pools(("a", "b"), [(1, 1, 1.0, 1.0, 0)]))


def test_an_asset_without_a_reference_is_named_with_its_pool() -> None:
    batch = pools(("a", "b", "z"), [(0, 1, 1.0, 1.0, 0), (1, 2, 1.0, 1.0, 0)])
    with pytest.raises(BadInput) as caught:
        build(batch)
    assert (caught.value.field, caught.value.value) == ("domain.goal.references", "z")
    assert "pool-1" in caught.value.what


def test_a_book_without_references_for_its_assets_is_named() -> None:
    held = book([(1990, 1)], [(2000, 1)])
    with pytest.raises(BadInput) as caught:
        build(held, goal(("x", "y")))
    assert (caught.value.field, caught.value.value) == ("domain.goal.references", "b")
    assert build(held, goal(("x", "y")), base="x", quote="y").offers is not None


def test_an_inverse_instrument_is_refused() -> None:
    held = book([(1990, 1)], [(2000, 1)])
    inverse = replace(held, instrument=held.instrument.model_copy(update={"payoff": "inverse"}))
    with pytest.raises(CapabilityMissing):
        build(inverse)


def test_a_foreign_state_is_refused_by_its_kind() -> None:
    with pytest.raises(CapabilityMissing) as caught:
        build(Snapshot("ladder/v1", 0, "0" * 64, ((1, 2),)))
    assert caught.value.value == "ladder/v1"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"scale_bits": 48}, "'a'"),
        ({"value_bits": 48}, "'value'"),
        ({"slope_bits": 48}, "'slopes'"),
    ],
)
def test_an_overflow_of_the_fixed_point_is_refused_before_any_round_by_coordinate(
    more: dict[str, int], named: str
) -> None:
    large = pools(("a", "b"), [(0, 1, 60_000_000.0, 100.0, 0)])
    small = pools(("a", "b"), [(0, 1, 100.0, 50.0, 0)])
    if named != "'a'":
        large = pools(("a", "b"), [(0, 1, 90_000_000.0, 45_000_000.0, 0)])
        more = {**more, "scale_bits": 20}
    with pytest.raises(HeadroomMissing) as caught:
        build(large, goal(("a", "b"), **more))
    assert f"coordinate {named}" in caught.value.what
    assert f"{next(k for k in ('value_bits', 'slope_bits', 'scale_bits') if k in more)}" in (
        caught.value.advice
    )
    assert build(small).offers is not None


def test_without_that_check_a_word_would_be_clipped_and_the_sum_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: no headroom check; the answer passes the bound that the kernel clips at."""
    monkeypatch.setattr(pools_module, "check_headroom", lambda *_: None)
    made = goal(("a", "b"), scale_bits=40, band=2**10)
    batch = pools(("a", "b"), [(0, 1, 4e6, 4e6, 0)])
    members = [member(slot) for slot in range(3)]
    problem = Arbitrage().problem(made, members, members[0], batch, {})
    coupling = Arbitrage().coupling(made, members)
    low, high = zip(*coupling.multiplier_range, strict=True)
    answer, _ = problem.answer(multiplier_query("respond", coupling, (low[0], high[1])), EMPTY)
    assert max(map(abs, integers(answer))) > int(coupling.space.bound)


BAD_CONFIG = {
    "an unknown key": ({"fee": "1"}, "party.config.fee"),
    "a fee of 100 %": ({"fee_bps": "10000"}, "party.config.fee_bps"),
    "a fee that is no number": ({"fee_bps": "x"}, "party.config.fee_bps"),
    "an asset that is no name": ({"base": "B!"}, "party.config.base"),
}


def test_a_setting_that_would_change_nothing_is_refused() -> None:
    batch = pools(("a", "b"), [(0, 1, 1e3, 1e3, 0)])
    with pytest.raises(BadInput, match="for order books") as caught:
        build(batch, goal(("a", "b")), fee_bps="1")
    assert caught.value.field == "party.config.fee_bps"


@pytest.mark.parametrize("case", BAD_CONFIG)
def test_a_partys_settings_are_refused_by_field(case: str) -> None:
    config, field = BAD_CONFIG[case]
    state: BookState = book([(1990, 1)], [(2000, 1)])
    with pytest.raises(BadInput) as caught:
        build(state, None, **config)
    assert caught.value.field == field
