"""Routing plans found on sums, held against a merge of all opened levels."""

import ast
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import covenue_domain_routing
from covenue.errors import BadInput, CapabilityMissing, HeadroomMissing, LayoutMismatch
from covenue.hooks.domains import EMPTY, Acted
from covenue.hooks.solvers import KeyedCoupling, Solution
from covenue.hooks.venues import BookState, Snapshot
from covenue.numerics.words import integers, total, words
from covenue.testing.domains import (
    DomainExample,
    commit_query,
    depth_query,
    keyed_domain_conformance,
)
from covenue.testing.solvers import SolverExample, play, solver_conformance
from covenue_contracts.energibridge import ClockStamp, Instrument, Payoff
from covenue_contracts.local import Actions, Fill, Outcome, OutcomeStatus
from covenue_contracts.plan import Goal, Member
from covenue_contracts.shared import Query
from covenue_domain_routing import Routing
from covenue_domain_routing.central import OpenedVenue, central_plan
from covenue_domain_routing.coupling import RoutingCoupling
from covenue_domain_routing.goals import read_terms
from covenue_domain_routing.grid import KeyGrid
from covenue_domain_routing.ladders import Ladder
from covenue_domain_routing.problem import RoutingProblem
from covenue_solver_search import Search, WarmKey

LOT = Fraction(1, 100_000)
STAMP = ClockStamp(venue_time=None, local_time="0", clock="test", offset="0", half_width="0")
PLAN = "0" * 64
KINDS: Mapping[str, tuple[Payoff, str, str, str]] = {
    "fine": ("linear", "0.01", "0.00000001", "1"),
    "coarse": ("linear", "0.1", "0.001", "1"),
    "contracts": ("inverse", "0.1", "1", "100"),
}


def instrument(kind: str, minimum: str | None = None) -> Instrument:
    payoff, tick, step, multiplier = KINDS[kind]
    return Instrument(
        venue=kind,
        symbol="BTC",
        canonical=f"btc-{kind}",
        base="BTC",
        quote="USD",
        tick=tick,
        step=step,
        minimum=minimum or step,
        multiplier=multiplier,
        payoff=payoff,
        hours="24/7",
        zone="UTC",
    )


def book(kind: str, levels: Sequence[tuple[int, int]], side: str = "buy") -> BookState:
    """A book whose one side is the levels, best first."""
    ordered = sorted(dict(levels).items(), reverse=side == "sell")
    taken = np.array(ordered, dtype=np.int64).reshape(-1, 2)
    empty = np.zeros((0, 2), dtype=np.int64)
    asks, bids = (taken, empty) if side == "buy" else (empty, taken)
    return BookState(instrument(kind), bids, asks, 1, STAMP)


def member(slot: int) -> Member:
    digits = "123456789"
    tail = digits[slot // 9] + digits[slot % 9]
    return Member(did="did:key:z" + "6" * 46 + tail, name=f"venue-{slot}", slot=slot)


def keyed(goal: Goal, members: Sequence[Member]) -> RoutingCoupling:
    made = Routing().coupling(goal, members)
    assert isinstance(made, RoutingCoupling)
    return made


def of_book(
    goal: Goal, members: Sequence[Member], who: Member, state: Any, config: Mapping[str, str]
) -> RoutingProblem:
    made = Routing().problem(goal, members, who, state, config)
    assert isinstance(made, RoutingProblem)
    return made


@dataclass(frozen=True)
class Market:
    """Everybody's book and charges, and what is asked for."""

    goal: Goal
    books: tuple[BookState, ...]
    configs: tuple[dict[str, str], ...]

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(member(slot) for slot in range(len(self.books)))

    @property
    def coupling(self) -> RoutingCoupling:
        return keyed(self.goal, self.members)

    @property
    def problems(self) -> tuple[RoutingProblem, ...]:
        rows = zip(self.members, self.books, self.configs, strict=True)
        return tuple(of_book(self.goal, self.members, m, b, c) for m, b, c in rows)

    @property
    def opened(self) -> list[OpenedVenue]:
        rows = zip(self.members, self.books, self.configs, strict=True)
        return [OpenedVenue(m.slot, b, c) for m, b, c in rows]


def goal(lots: int, side: str = "buy", **more: str | int) -> Goal:
    quantity = f"{lots // 100_000}.{lots % 100_000:05d}" if lots else "0.00001"
    made = Routing().goal({"side": side, "quantity": quantity, **more})
    return made if lots else made.model_copy(update={"remaining": ("0",)})


@dataclass(frozen=True)
class Optimum:
    key: int
    residual: int
    lots: tuple[int, ...]
    value: int
    missing: int


def merge(market: Market) -> Optimum:
    """Every level of every venue in one sorted list, in fractions; nothing of the product."""
    terms = read_terms(market.goal)
    buying = terms.side == "buy"
    size = len(market.books)
    top = 2**40 - 1
    tie = 2 ** math.ceil(math.log2(size))
    offers = []
    for slot, (state, config) in enumerate(zip(market.books, market.configs, strict=True)):
        made = state.instrument
        for ticks, steps in (state.asks if buying else state.bids).tolist():
            px = ticks * Fraction(made.tick)
            amount = steps * Fraction(made.step) * Fraction(made.multiplier)
            base = amount / px if made.payoff == "inverse" else amount
            unit = base / steps if steps else Fraction(0)
            lots = math.floor(base / LOT)
            fee = Fraction(config["fee_bps"]) / 10_000
            basis = Fraction(config["basis_bps"]) / 10_000
            worth = px * 10_000 * (1 + fee if buying else 1 - fee) / (1 + basis)
            price = math.ceil(worth) if buying else math.floor(worth)
            limit = terms.limit
            beyond = limit is not None and (price > limit if buying else price < limit)
            usable = unit <= terms.wanted * LOT or not terms.whole_steps
            if lots and not beyond and usable:
                key = (price if buying else top - price) * tie + slot
                offers.append((key, slot, price, lots))
    shares, value, missing = [0] * size, 0, terms.wanted
    marginal, residual = 0, 0
    for key, slot, price, lots in sorted(offers):
        taken = min(lots, missing)
        if not taken:
            break
        residual = residual + taken if key == marginal else taken
        marginal = key
        shares[slot] += taken
        value += taken * price
        missing -= taken
    return Optimum(marginal, residual, tuple(shares), value, missing)


def solve(market: Market, probes: int = 255, warm: WarmKey | None = None) -> Solution:
    return play(Search(probes), market.coupling, market.problems, warm).solution


CHARGES = st.fixed_dictionaries(
    {
        "fee_bps": st.sampled_from(["0", "2.4", "1.7", "-0.5", "10"]),
        "basis_bps": st.sampled_from(["0", "-3.5", "-2.8", "4.123456789"]),
    }
)


@st.composite
def markets(draw: st.DrawFn, most: int = 9) -> Market:
    """Books with few distinct prices (so that keys tie and levels merge), of any kind."""
    size = draw(st.integers(1, most))
    side = draw(st.sampled_from(["buy", "sell"]))
    books = []
    for _ in range(size):
        kind = draw(st.sampled_from(sorted(KINDS)))
        scale = 10 if kind == "fine" else 1
        quantity = st.integers(0, 40_000_000 if kind == "fine" else 400)
        levels = draw(st.lists(st.tuples(st.integers(600_000, 600_030), quantity), max_size=8))
        books.append(book(kind, [(ticks * scale, steps) for ticks, steps in levels], side))
    configs = tuple(draw(CHARGES) for _ in range(size))
    more: dict[str, str | int] = {"mode": draw(st.sampled_from(["standing", "executed"]))}
    if draw(st.booleans()):
        more["limit_price"] = draw(st.sampled_from(["60000.5", "60001", "60020", "59990"]))
    wanted = draw(st.one_of(st.integers(1, 400), st.integers(1, 200_000)))
    return Market(goal(wanted, side, **more), tuple(books), configs)


def sor(seed: int, venues: int, depth: int = 50) -> Market:
    """The routing family of the benchmarks: long books, fees from a table, 30 % of the depth."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([2, seed, venues])))
    mid = int(random.integers(500_000, 2_000_000))
    books, configs, lots = [], [], 0
    for _ in range(venues):
        steps = random.integers(1, 4, depth)
        ticks = mid + int(random.integers(1, 12)) + np.cumsum(steps)
        quantity = random.integers(1, 200, depth) * (1 + np.arange(depth) // 5)
        books.append(book("coarse", list(zip(ticks.tolist(), quantity.tolist(), strict=True))))
        fee = ("0", "0.5", "1", "2", "4.5")[int(random.integers(0, 5))]
        configs.append({"fee_bps": fee, "basis_bps": "0"})
        lots += int(quantity.sum()) * 100
    return Market(goal(lots * 3 // 10), tuple(books), tuple(configs))


def examples() -> list[Market]:
    made = [sor(1, 3), sor(2, 1, depth=5), sor(3, 5, depth=20)]
    inverse = book("contracts", [(618_000, 900), (618_010, 5_000)])
    mixed = (made[1].books[0], inverse, book("fine", [(6_180_010, 123_456_789)]))
    charges = {"fee_bps": "2.4", "basis_bps": "-2.8"}
    return [*made, Market(goal(150_000, pace="1"), mixed, (charges,) * 3)]


def domain_examples() -> list[DomainExample]:
    return [DomainExample(m.goal, m.members, m.books, m.configs) for m in examples()]


def solver_examples() -> list[SolverExample]:
    return [SolverExample(m.coupling, m.problems) for m in examples()]


TestRoutingConformance = keyed_domain_conformance(Routing, domain_examples)
TestSearchOnRouting = solver_conformance(Search, solver_examples)


# ---- the plan


@given(markets(), st.sampled_from([2, 9, 255]))
def test_a_plan_found_on_sums_is_the_merge_of_all_books(market: Market, probes: int) -> None:
    best, solution = merge(market), solve(market, probes)
    wanted = market.coupling.wanted
    if best.missing == wanted:
        assert (solution.status, solution.shortfall) == ("infeasible", wanted)
        return
    assert (solution.status, solution.shortfall) == ("certified", best.missing)
    assert (solution.value, solution.bound) == (best.value, best.value)
    end = market.coupling.key_range[1]
    assert solution.points == ((end, 0) if best.missing else (best.key, best.residual))
    shares = tuple(sum(p.shares(*solution.points)) for p in market.problems)
    assert shares == best.lots


@given(markets())
def test_the_independent_optimum_is_the_merge_of_all_books(market: Market) -> None:
    assume(not read_terms(market.goal).whole_steps)
    central, best = central_plan(market.opened, read_terms(market.goal)), merge(market)
    assert (central.lots, central.value, central.missing) == (best.lots, best.value, best.missing)


@given(markets(), st.integers(-1, 2**44))
def test_any_earlier_key_leads_to_the_same_plan(market: Market, key: int) -> None:
    cold = solve(market)
    warm = solve(market, warm=WarmKey(key, market.coupling.key_shift))
    assert (warm.status, warm.points, warm.value) == (cold.status, cold.points, cold.value)


@pytest.mark.parametrize("venues", [1, 2, 9, 40])
def test_long_books_are_merged_exactly(venues: int) -> None:
    for seed in range(3):
        market = sor(seed, venues)
        best, solution = merge(market), solve(market)
        assert solution.points == (best.key, best.residual)
        assert solution.value == best.value


def test_equal_prices_go_to_the_lower_slot_first() -> None:
    same = book("coarse", [(600_000, 10)])
    market = Market(goal(1_500), (same, same), ({"fee_bps": "0", "basis_bps": "0"},) * 2)
    solution = solve(market)
    assert solution.points == (600_000_000 * 2 + 1, 500)
    assert [sum(p.shares(*solution.points)) for p in market.problems] == [1_000, 500]


def test_levels_that_round_to_one_price_are_one_offer() -> None:
    """Prices finer than the grid: two native levels share a key, the residual takes the first."""
    table = [("1.00001", "3"), ("1.00002", "5")]
    made = Routing().goal({"side": "buy", "quantity": "4", "lot": "1"})
    problem = of_book(made, [member(0)], member(0), table, {})
    solution = play(Search(), keyed(made, [member(0)]), [problem]).solution
    assert solution.points == (10_001, 4)
    assert problem.shares(10_001, 4) == (3, 1)


@given(markets())
def test_the_order_of_parties_changes_no_byte(market: Market) -> None:
    turned = market.problems[::-1]
    assert market.coupling == Routing().coupling(market.goal, market.members[::-1])
    forward = play(Search(), market.coupling, market.problems)
    backward = play(Search(), market.coupling, turned)
    assert forward.transcript() == backward.transcript()


def test_prices_and_lots_of_the_three_kinds_by_hand() -> None:
    """61800 with fee 2.4 bps and basis -2.8 bps; 100 USD a contract at the level's own price."""
    charges = {"fee_bps": "2.4", "basis_bps": "-2.8"}
    three = (
        book("fine", [(6_180_000, 123_456_789)]),
        book("coarse", [(618_000, 7)]),
        book("contracts", [(618_000, 10)]),
    )
    market = Market(goal(10**7), three, (charges,) * 3)
    fine, coarse, contracts = (p.ladder for p in market.problems)
    # 61800 × 10^4 × 1.00024 = 618148320; 618321450 × 0.99972 = 618148319.994, a little too low
    price = 618_321_451
    assert [int(x.prices[0]) for x in (fine, coarse, contracts)] == [price] * 3
    assert [int(x.lots[0]) for x in (fine, coarse, contracts)] == [123_456, 700, 1_618]
    assert [int(x.keys[0]) % 4 for x in (fine, coarse, contracts)] == [0, 1, 2]


def test_without_rounding_up_a_plan_would_look_cheaper_than_it_is() -> None:
    """Mutant: round the all-in price down when buying; the plan is then sold short."""
    market = Market(
        goal(100), (book("coarse", [(618_000, 1)]),), ({"fee_bps": "2.4", "basis_bps": "0"},)
    )
    exact = 61_800 * 10_000 * Fraction(100_024, 100_000)
    price = int(market.problems[0].ladder.prices[0])
    assert exact <= price < exact + 1
    odd = replace(market, configs=({"fee_bps": "2.41237", "basis_bps": "0"},))
    exact = 61_800 * 10_000 * (1 + Fraction("0.000241237"))
    assert math.floor(exact) < exact <= int(odd.problems[0].ladder.prices[0])


@given(markets(), st.integers(0, 5))
def test_charges_too_fine_for_64_bits_are_still_exact(market: Market, extra: int) -> None:
    fine = f"2.{'1234567890' * 2}{extra}"
    charged = replace(
        market, configs=({"fee_bps": fine, "basis_bps": "-0.0000000000001"},) * len(market.books)
    )
    best, solution = merge(charged), solve(charged)
    assume(solution.status == "certified")
    assert solution.value == best.value


# ---- what is revealed, and what cannot wrap


@given(markets())
def test_a_ladder_reveals_no_more_than_the_quantity(market: Market) -> None:
    for problem in market.problems:
        assert int(problem.ladder.lots.sum()) <= market.coupling.wanted
        assert np.all(np.diff(problem.ladder.keys) >= 0)


@given(markets(), st.lists(st.integers(0, 2**45), min_size=1, max_size=6))
def test_no_word_and_no_sum_can_leave_the_ring(market: Market, points: list[int]) -> None:
    bound = int(market.coupling.space.bound)
    answers = [p.answer(depth_query(points), EMPTY)[0] for p in market.problems]
    exact = [sum(column) for column in zip(*map(integers, answers), strict=True)]
    assert all(0 <= word <= bound for answer in answers for word in integers(answer))
    assert exact == list(integers(total(answers)))


def test_cutting_a_ladder_changes_no_comparison() -> None:
    """The cut is a guard for privacy only: with whole ladders the plan is the same."""
    market = sor(7, 4)
    wide = replace(market, goal=goal(sum(int(b.asks[:, 1].sum()) * 100 for b in market.books)))
    wanted = market.coupling.wanted

    def depth(problems: Sequence[RoutingProblem], key: int) -> int:
        return sum(int(p.answer(depth_query([key]), EMPTY)[0][0]) for p in problems)

    keys = sorted(int(k) for p in wide.problems for k in p.ladder.keys)
    for key in keys[:: len(keys) // 40]:
        cut, whole = depth(market.problems, key), depth(wide.problems, key)
        assert (cut < wanted) == (whole < wanted)
        assert whole >= cut
        assert whole == cut or cut >= wanted


def test_an_order_too_large_for_the_ring_is_refused_before_anything_is_asked() -> None:
    huge = Routing().goal({"side": "buy", "quantity": "9000000000000000", "lot": "1"})
    crowd = [seated(slot) for slot in range(1_025)]
    with pytest.raises(BadInput) as caught:
        Routing().coupling(huge, crowd)
    assert (caught.value.field, caught.value.value) == ("domain.goal.quantity", "9000000000000000")
    assert keyed(huge, crowd[:1_024]).wanted == 9_000_000_000_000_000


def seated(slot: int) -> Member:
    return member(0).model_copy(update={"slot": slot})


def test_a_ladder_whose_value_could_wrap_a_sum_is_refused_without_naming_it() -> None:
    """Mutant: without the rule, the sum of two such words is negative."""
    made = Routing().goal({"side": "buy", "quantity": "200000000000", "lot": "0.01"})
    members = [member(0), member(1)]
    with pytest.raises(HeadroomMissing) as caught:
        Routing().problem(made, members, member(0), [("6000000", "1000000")], {})
    assert "6000" not in str(caught.value)
    value = 6_000_000 * 10_000 * 1_000_000 * 100
    assert int(total([words([value]), words([value])])[0]) < 0
    less = of_book(made, members, member(0), [("6000000", "700000")], {})
    assert int(less.ladder.value_before[-1]) <= int(less.space.bound)


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_book_above_the_grid_is_refused_without_naming_it(side: str) -> None:
    made = goal(9_000, side)
    market = Market(made, (book("coarse", [(7_777_777_777, 1)], side),), ({},))
    with pytest.raises(HeadroomMissing) as caught:
        _ = market.problems
    assert "777" not in str(caught.value)


def test_an_offer_far_above_the_market_does_not_stop_a_buyer() -> None:
    far = book("coarse", [(600_000, 1), (7_777_777_777, 1)])
    market = Market(goal(9_000), (far,), ({"fee_bps": "0", "basis_bps": "0"},))
    assert (solve(market).status, solve(market).shortfall) == ("certified", 8_900)


@pytest.mark.parametrize("pace", [None, "20000", "50000", "100000"])
def test_a_quantity_beyond_depth_is_a_certified_shortfall_whatever_the_pace(
    pace: str | None,
) -> None:
    """The highest price must not shrink with the quantity, or real offers would vanish."""
    made = Routing().goal({"side": "buy", "quantity": "100000", "pace": pace})
    state = book("coarse", [(618_000, 5_000)])
    free = {"fee_bps": "0", "basis_bps": "0"}
    market = Market(made, (state,) * 3, (free,) * 3)
    solution = solve(market)
    wanted = market.coupling.wanted
    assert (solution.status, solution.shortfall) == ("certified", wanted - 1_500_000)
    assert solution.value == 1_500_000 * 618_000_000
    central = central_plan(market.opened, read_terms(made))
    assert (central.value, central.missing) == (solution.value, solution.shortfall)


def test_a_limit_below_the_market_and_a_minimum_beyond_depth_have_no_plan() -> None:
    state = book("coarse", [(618_000, 5_000)])
    free = {"fee_bps": "0", "basis_bps": "0"}
    for more in ({"limit_price": "61799"}, {"minimum": "6"}):
        market = Market(goal(1_000_000, **more), (state,), (free,))
        assert solve(market).status == "infeasible"


def test_an_executed_plan_below_a_venues_native_step_gets_no_offer_from_it() -> None:
    coarse, contracts = book("coarse", [(600_000, 5)]), book("contracts", [(600_000, 5)])
    free = {"fee_bps": "0", "basis_bps": "0"}
    small = Market(goal(99, mode="executed"), (coarse, contracts), (free, free))
    assert [len(p.ladder.keys) for p in small.problems] == [0, 0]
    larger = Market(goal(150, mode="executed"), (coarse, contracts), (free, free))
    assert [len(p.ladder.keys) for p in larger.problems] == [1, 0]


def test_a_standing_plan_of_one_lot_is_the_merge_by_all_in_price() -> None:
    """No native step enters a standing plan; what could not be acted on is never committed."""
    fine, coarse = book("fine", [(6_000_100, 10**8)]), book("coarse", [(600_000, 5)])
    contracts = book("contracts", [(600_005, 5)])
    free = {"fee_bps": "0", "basis_bps": "0"}
    market = Market(goal(1), (fine, coarse, contracts), (free,) * 3)
    solution = solve(market)
    assert [sum(p.shares(*solution.points)) for p in market.problems] == [0, 1, 0]
    assert central_plan(market.opened, read_terms(market.goal)).lots == (0, 1, 0)
    assert _planned(market.problems, solution) == [0, 0, 0]


def test_without_that_rule_an_order_would_plan_nothing_for_ever() -> None:
    """Mutant: offer anyway; the cheapest venue wins the plan and can fill none of it."""
    fine = book("fine", [(6_000_100, 10**8)])
    coarse = book("coarse", [(600_000, 5)])
    free = {"fee_bps": "0", "basis_bps": "0"}
    market = Market(goal(37, mode="executed"), (fine, coarse), (free, free))
    mutant = replace(market, goal=goal(37)).problems
    planned = _planned(mutant, play(Search(), market.coupling, mutant).solution)
    assert sum(planned) == 0
    assert sum(_planned(market.problems, solve(market))) == 37


# ---- commit, execute, settle


def _planned(problems: Sequence[RoutingProblem], solution: Solution) -> list[int]:
    query = commit_query(solution.points)
    return [int(p.commit(query, EMPTY, PLAN)[1][0]) for p in problems]


@given(markets())
def test_what_is_committed_is_native_within_the_plan_and_fills_on_the_same_book(
    market: Market,
) -> None:
    solution = solve(market)
    assume(solution.status == "certified")
    for problem, state in zip(market.problems, market.books, strict=True):
        share = sum(problem.shares(*solution.points))
        actions, planned, memory = problem.commit(commit_query(solution.points), EMPTY, PLAN)
        assert memory == EMPTY
        assert 0 <= int(planned[0]) <= share
        for leg in actions.legs:
            assert leg.most_units == str(int(planned[0]))
            units, steps = _execute(state, leg.side, int(leg.limit_ticks), int(leg.quantity_steps))
            assert steps == int(leg.quantity_steps)
            assert units >= int(planned[0])
        assert bool(actions.legs) == bool(int(planned[0]))
    total_planned = words([sum(_planned(market.problems, solution))])
    assert market.coupling.admits(total_planned, market.goal) == (int(total_planned[0]) > 0)


def _execute(state: BookState, side: str, limit: int, steps: int) -> tuple[int, int]:
    """(lots, steps) that a leg without a cap on units finds on a book within its limit."""
    levels = state.asks if side == "buy" else state.bids
    base, filled = Fraction(0), 0
    made = state.instrument
    for ticks, resting in levels.tolist():
        if (ticks > limit if side == "buy" else ticks < limit) or filled == steps:
            break
        taken = min(resting, steps - filled)
        amount = taken * Fraction(made.step) * Fraction(made.multiplier)
        base += amount / (ticks * Fraction(made.tick)) if made.payoff == "inverse" else amount
        filled += taken
    return math.floor(base / LOT), filled


def test_a_share_below_the_instruments_minimum_is_no_order() -> None:
    made = book("coarse", [(600_000, 5)])
    minimum = replace(made, instrument=instrument("coarse", minimum="0.003"))
    free = {"fee_bps": "0", "basis_bps": "0"}
    dearer = book("coarse", [(600_001, 500)])
    market = Market(goal(1_000), (dearer, minimum), (free, free))
    assert _planned(market.problems, solve(market)) == [500, 500]
    first = book("coarse", [(599_999, 8)])
    market = Market(goal(1_000), (first, minimum), (free, free))
    assert _planned(market.problems, solve(market)) == [800, 0]


def test_a_malformed_commit_query_is_refused() -> None:
    (problem, *_) = examples()[0].problems
    for points in ((), (1,), (1, 2, 3)):
        with pytest.raises(LayoutMismatch):
            problem.commit(commit_query(points), EMPTY, PLAN)
    with pytest.raises(LayoutMismatch):
        problem.answer(depth_query([]), EMPTY)


def test_probes_beyond_64_bits_are_answered_as_the_ends() -> None:
    (problem, *_) = examples()[0].problems
    answer = integers(problem.answer(depth_query([2**70, -(2**70)]), EMPTY)[0])
    assert answer[:2] == (int(problem.ladder.lots.sum()), 0)


def outcome(status: OutcomeStatus, *units: int) -> Outcome:
    fills = tuple(
        Fill(leg=0, price_ticks="600000", quantity_steps="1", units=str(each)) for each in units
    )
    return Outcome(order=PLAN, status=status, fills=fills, swaps=(), reason=None)


def acted(planned: int, outcomes: list[Outcome] | None) -> Acted:
    return Acted(words([planned]), Actions(plan=PLAN, unit="1", legs=(), swaps=()), outcomes)


def test_settling_counts_fills_and_what_is_not_known() -> None:
    (problem, *_) = examples()[0].problems
    settle = Query(kind="settle", after=None, multipliers=None, points=())
    told = [
        acted(100, [outcome("done", 60, 40)]),
        acted(50, [outcome("partial", 20)]),
        acted(30, [outcome("refused")]),
        acted(70, None),
        acted(40, [outcome("unknown", 15)]),
    ]
    executed, unknown = problem.settle(settle, told)
    assert (integers(executed), integers(unknown)) == ((135,), (95,))
    assert [integers(x) for x in problem.settle(settle, [])] == [(0,), (0,)]


def test_only_a_whole_plan_within_the_goal_is_admitted() -> None:
    made = goal(1_000, pace="0.004", minimum="0.003")
    coupling = Routing().coupling(made, [member(0)])
    admitted = [
        n for n in (-1, 0, 1, 299, 300, 399, 400, 401, 1_000) if coupling.admits(words([n]), made)
    ]
    assert admitted == [300, 399, 400]
    ending = coupling.left(words([850]), words([0]), words([0]))
    last = Routing().coupling(ending, [member(0)])
    assert [n for n in (149, 150, 151) if last.admits(words([n]), ending)] == [150]


def test_without_that_guard_a_lying_venue_could_make_the_order_overfill() -> None:
    """Mutant: admit any total; the remainder cannot undo it, it only stops at nothing."""
    made = goal(1_000)
    coupling = Routing().coupling(made, [member(0)])
    over = words([1_200])
    assert not coupling.admits(over, made)
    assert coupling.left(over, words([0]), words([0])).remaining == ("0",)


@given(*(st.integers(0, 10**6),) * 3)
def test_what_is_left_counts_settled_doubtful_and_committed(a: int, b: int, c: int) -> None:
    coupling = Routing().coupling(goal(10**6), [member(0)])
    left = coupling.left(words([a]), words([b]), words([c]))
    assert left.remaining == (str(max(0, 10**6 - a - b - c)),)


def test_a_plan_with_nothing_left_still_settles() -> None:
    """A settle-only plan: the problem is built, offers nothing, and folds its outcomes."""
    market = replace(examples()[0], goal=goal(0))
    settle = Query(kind="settle", after=None, multipliers=None, points=())
    for problem in market.problems:
        assert len(problem.ladder.keys) == 0
        assert integers(problem.settle(settle, [acted(5, [outcome("done", 5)])])[0]) == (5,)
    assert market.coupling.width(settle) == 3


# ---- states


def test_a_snapshot_a_book_and_a_table_make_the_same_problem() -> None:
    made = goal(900)
    asks = [(60_000.1, 0.005), (60_000.2, 0.01)]
    held = book("coarse", [(600_001, 5), (600_002, 10)])
    states = [
        held,
        Snapshot("order-book/v1", 1, PLAN, held),
        np.array(asks),
        asks,
        [("60000.2", "0.01"), ("60000.1", "0.005")],
        np.array(asks, dtype=object),
    ]
    problems = [Routing().problem(made, [member(0)], member(0), s, {}) for s in states]
    query = depth_query([600_001_000, 600_001_001, 2**44])
    answers = {integers(p.answer(query, EMPTY)[0]) for p in problems}
    assert answers == {(0, 500, 900, 0)}


def test_a_data_frame_is_a_table_too() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"quantity": [0.01, 0.005], "price": [60_000.2, 60_000.1]})
    problem = Routing().problem(goal(900), [member(0)], member(0), frame, {})
    assert integers(problem.answer(depth_query([2**44]), EMPTY)[0])[0] == 900
    with pytest.raises(BadInput, match="column"):
        Routing().problem(goal(9), [member(0)], member(0), frame[["price"]], {})


SECRET = 48_121_373
BAD_TABLES = {
    "a negative price": [(-SECRET, 1)],
    "a price of nothing": [(0, SECRET)],
    "a negative quantity": [(SECRET, -1)],
    "not a number": [(SECRET, float("nan"))],
    "an endless quantity": [(SECRET, float("inf"))],
    "text": [(SECRET, "much")],
    "a truth value": [(SECRET, True)],
    "three columns": [(SECRET, 1, 1)],
    "one column": [SECRET],
    "too many places": [(SECRET, "0.0000000000000000001")],
    "beyond 64 bits": [(SECRET * 10**12, "0.000001"), (SECRET * 10**12 + 1, "1e12")],
    "beyond reason": [("1e60", 1)],
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_makes_no_book_is_refused_without_naming_its_numbers(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        Routing().problem(goal(9), [member(0)], member(0), BAD_TABLES[name], {})
    text = str(caught.value) + json.dumps(caught.value.diagnostics())
    assert str(SECRET) not in text
    assert caught.value.field.startswith("state")


@pytest.mark.parametrize("levels", [[(2, 1), (1, 1)], [(1, 1), (1, 1)], [(0, 1)], [(1, -1)]])
def test_a_book_out_of_order_is_refused(levels: list[tuple[int, int]]) -> None:
    asks = np.array(levels, dtype=np.int64)
    broken = BookState(instrument("coarse"), asks[:0], asks, 1, STAMP)
    with pytest.raises(BadInput, match="no book"):
        Routing().problem(goal(9), [member(0)], member(0), broken, {})


def test_another_kind_of_state_is_refused() -> None:
    for state in (None, "book", 3, Snapshot("pool-state/v1", 0, PLAN, {"reserves": 1})):
        with pytest.raises(CapabilityMissing):
            Routing().problem(goal(9), [member(0)], member(0), state, {})


def test_a_book_of_another_instrument_is_refused() -> None:
    made = goal(900, instrument="eth")
    with pytest.raises(BadInput) as caught:
        Routing().problem(made, [member(0)], member(0), book("coarse", [(1, 1)]), {})
    assert (caught.value.field, caught.value.value) == ("domain.goal.instrument", "eth")
    for name in ("btc", "btc-coarse"):
        Routing().problem(
            goal(900, instrument=name), [member(0)], member(0), book("coarse", [(1, 1)]), {}
        )


def test_two_books_are_needed_for_no_rule_and_an_empty_one_is_fine() -> None:
    empty = book("coarse", [])
    market = Market(goal(100), (empty,), ({"fee_bps": "0", "basis_bps": "0"},))
    assert solve(market).status == "infeasible"


def test_arrays_of_a_problem_are_read_only() -> None:
    ladder: Ladder = examples()[0].problems[0].ladder
    for array in (ladder.keys, ladder.lots, ladder.lots_before, ladder.prices):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_the_grid_is_that_of_the_whole_order_so_that_old_keys_stay_true() -> None:
    made = goal(1_000_000)
    whole = keyed(made, [member(0)])
    later = keyed(whole.left(words([999_000]), words([0]), words([0])), [member(0)])
    assert isinstance(whole, KeyedCoupling)
    assert whole.key_range == later.key_range
    grid: KeyGrid = whole.grid
    assert grid.price_of(whole.key_range[1]) == grid.limit + 1


def test_the_independent_optimum_uses_nothing_of_the_plans_own_code() -> None:
    assert covenue_domain_routing.__file__ is not None
    source = Path(covenue_domain_routing.__file__).with_name("central.py").read_text()
    used = {
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }
    assert {name for name in used if name.startswith("covenue_domain_routing")} == {
        "covenue_domain_routing.goals"
    }
