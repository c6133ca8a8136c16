"""Several instruments under one budget, held against greedy merges and linear programs."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog  # type: ignore[import-untyped]  # scipy ships no types
from tests.venues.captures import opened

import covenue
from covenue.bridge.energibridge import EnergiBridge
from covenue.bridge.messages import Message
from covenue.errors import BadInput, CapabilityMissing, HeadroomMissing, LayoutMismatch
from covenue.hooks.domains import EMPTY, Acted, OpenedParty, OpenedPlan
from covenue.hooks.solvers import BasketCoupling, KeyedCoupling, Solution
from covenue.hooks.venues import BookState, Snapshot
from covenue.numerics.decimals import plain
from covenue.numerics.words import integers, total, words
from covenue.testing.domains import (
    DomainExample,
    basket_domain_conformance,
    commit_query,
    depth_query,
)
from covenue.testing.solvers import SolverExample, play, solver_conformance
from covenue.testing.venues import LATER, PRICE, Change, Depth, at, order_id
from covenue_contracts.canonical import canonical
from covenue_contracts.energibridge import ClockStamp, Instrument
from covenue_contracts.local import Actions, Fill, Leg, Outcome
from covenue_contracts.plan import Goal, Member, PlanDelta
from covenue_contracts.shared import Query
from covenue_domain_routing import Books, Routing, basket
from covenue_domain_routing.basket_coupling import BasketGrid, BasketRouting
from covenue_domain_routing.basket_goals import MOST_INSTRUMENTS, read_basket
from covenue_domain_routing.basket_problem import BasketProblem, Shelf
from covenue_domain_routing.dialect import EXOROUTE
from covenue_solver_search import Search, WarmBasket
from covenue_venue_recorded.dialects import SPOT

PLAN = "0" * 64
SETTLE = Query(kind="settle", after=None, multipliers=None, points=())
STAMP = ClockStamp(venue_time=None, local_time="0", clock="test", offset="0", half_width="0")
Levels = Sequence[tuple[int, int]]


def member(slot: int) -> Member:
    return Member(did="did:key:z" + "6" * 46 + "123456789"[slot], name=f"p{slot}", slot=slot)


@dataclass(frozen=True)
class Market:
    """parties: by party its books, each with the levels of every instrument, best first."""

    values: tuple[int, ...]
    quantities: tuple[int, ...]
    budget: int
    parties: tuple[tuple[tuple[Levels, ...], ...], ...]

    @property
    def goal(self) -> Goal:
        return Routing().goal(table(self.values, self.quantities, self.budget))

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(member(slot) for slot in range(len(self.parties)))

    @property
    def coupling(self) -> BasketRouting:
        made = Routing().coupling(self.goal, self.members)
        assert isinstance(made, BasketRouting)
        return made

    @property
    def states(self) -> tuple[Books, ...]:
        return tuple(map(books, self.parties))

    @property
    def problems(self) -> tuple[BasketProblem, ...]:
        rows = zip(self.members, self.states, strict=True)
        return tuple(problem(self.goal, self.members, who, state) for who, state in rows)

    @property
    def offers(self) -> list[tuple[int, int, int]]:
        """(instrument, price, lots) of every level of everybody."""
        return [
            (k, price, lots)
            for party in self.parties
            for book in party
            for k, levels in enumerate(book)
            for price, lots in levels
        ]


def table(values: Sequence[int], quantities: Sequence[int], budget: int) -> dict[str, Any]:
    names = tuple(f"i{k}" for k in range(len(values)))
    amounts = {"quantities": tuple(quantities), "values": tuple(values), "budget": budget}
    return {"instruments": names, **amounts, "lot": "1", "price_scale": 1}


def problem(
    goal: Goal, members: Sequence[Member], who: Member, state: Any, **config: str
) -> BasketProblem:
    made = Routing().problem(goal, members, who, state, config)
    assert isinstance(made, BasketProblem)
    return made


def books(party: Sequence[Sequence[Levels]]) -> Books:
    """Books of one depth; short ones are filled up with their last price and no lots."""
    depth = max(len(levels) for book in party for levels in book)
    filled = [
        [[*each, *([(each[-1][0] if each else 1, 0)] * (depth - len(each)))] for each in book]
        for book in party
    ]
    made = np.array(filled, dtype=np.int64).reshape(len(party), len(party[0]), depth, 2)
    return Books(made[..., 0], made[..., 1])


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """Few prices and values, so that levels tie in price, in ratio, and are worth nothing."""
    size = draw(st.integers(1, 3))
    values = tuple(draw(st.sampled_from([100, 200, 300, 107])) for _ in range(size))
    parties = []
    for _ in range(draw(st.integers(1, 4))):
        party = []
        for _ in range(draw(st.integers(1, 2))):
            book = []
            for value in values:
                price = st.integers(value * 8 // 10, value * 11 // 10)
                level = st.tuples(price, st.integers(0, 20))
                book.append(tuple(sorted(draw(st.lists(level, max_size=4)), key=lambda x: x[0])))
            party.append(tuple(book))
        parties.append(tuple(party))
    quantities = tuple(draw(st.integers(1, 60)) for _ in range(size))
    return Market(values, quantities, draw(st.integers(1, 12_000)), tuple(parties))


def relaxed(market: Market) -> Fraction:
    """The optimum of the linear program: greedy by ratio within each instrument's cheapest."""
    kept: list[tuple[Fraction, int, int, int]] = []
    for k, most in enumerate(market.quantities):
        left = most
        for price, lots in sorted((p, n) for j, p, n in market.offers if j == k):
            taken = min(lots, left)
            left -= taken
            if price < market.values[k]:
                kept.append((Fraction(price, market.values[k]), k, price, taken))
    money, value = Fraction(market.budget), Fraction(0)
    for _, k, price, lots in sorted(kept):
        amount = min(Fraction(lots), money / price)
        money -= amount * price
        value += amount * (market.values[k] - price)
    return value


def solve(market: Market, warm: Any = None, probes: int | None = None) -> Solution:
    return play(Search(probes), market.coupling, market.problems, warm).solution


def planned(market: Market, solution: Solution) -> tuple[int, ...]:
    done = [p.commit(commit_query(solution.points), EMPTY, PLAN)[1] for p in market.problems]
    return integers(total(done))


def gain_at_the_end(market: Market, solution: Solution) -> int:
    """What one unit more at the marginal level would bring; 0 where the budget does not bind."""
    offer = market.coupling.offer_at(solution.points[-2])
    return 0 if offer is None else market.values[offer[0]] - offer[1]


def examples() -> list[Market]:
    north = ((((90, 5), (95, 9)), ((180, 4),)), (((91, 3),), ((150, 2), (195, 8))))
    south = ((((88, 2), (99, 7)), ((170, 6), (210, 5))),)
    return [
        Market((100, 200), (14, 12), 2_500, (north, south)),
        Market((100, 200), (14, 12), 10**6, (north, south)),
        Market((100,), (9,), 500, ((((((90, 5), (95, 9))),),),)),
    ]


def domain_examples() -> list[DomainExample]:
    return [DomainExample(m.goal, m.members, m.states, ({},) * len(m.parties)) for m in examples()]


def solver_examples() -> list[SolverExample]:
    return [SolverExample(m.coupling, m.problems) for m in examples()]


TestBasketConformance = basket_domain_conformance(Routing, domain_examples)
TestSearchOnBaskets = solver_conformance(Search, solver_examples)


# ---- the plan


@settings(max_examples=80, deadline=None)
@given(markets(), st.sampled_from([2, 40, None]))
def test_value_and_bound_enclose_the_linear_program_within_one_lot(
    market: Market, probes: int | None
) -> None:
    best, solution = relaxed(market), solve(market, probes=probes)
    if solution.status == "infeasible":
        cheapest = [p for k, p, n in market.offers if n and p < market.values[k]]
        assert not cheapest or min(cheapest) > market.budget or best < max(market.values)
        return
    assert solution.status == "certified"
    assert solution.value <= best <= solution.bound
    assert best - solution.value <= gain_at_the_end(market, solution)
    assert solution.bound - solution.value <= gain_at_the_end(market, solution) + 1
    *lots, spend = planned(market, solution)
    worth = sum(v * n for v, n in zip(market.values, lots, strict=True))
    assert worth - spend == solution.value
    assert spend <= market.budget
    assert all(n <= most for n, most in zip(lots, market.quantities, strict=True))
    assert sum(market.quantities) - sum(lots) == solution.shortfall


@settings(max_examples=25, deadline=None)
@given(markets())
def test_the_greedy_oracle_is_the_linear_program(market: Market) -> None:
    offers = [offer for offer in market.offers if offer[2]]
    if not offers:
        return
    cost = [price - market.values[k] for k, price, _ in offers]
    rows = [[float(k == j) for k, _, _ in offers] for j in range(len(market.values))]
    limits = [*map(float, market.quantities), float(market.budget)]
    rows.append([float(price) for _, price, _ in offers])
    bounds = [(0, lots) for _, _, lots in offers]
    found = linprog(cost, A_ub=rows, b_ub=limits, bounds=bounds, method="highs")
    assert -found.fun == pytest.approx(float(relaxed(market)), rel=1e-9, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(markets(), markets())
def test_a_warm_start_from_any_plan_ends_at_the_same_one(market: Market, other: Market) -> None:
    cold = solve(market)
    earlier = solve(other).warm
    for warm in (cold.warm, earlier, WarmBasket((0,) * 8, 1, 1), None):
        again = solve(market, warm)
        assert replace(again, warm=None, stands=False) == replace(cold, warm=None, stands=False)


def family(seed: int, venues: int, instruments: int, depth: int = 20) -> Market:
    """The budget form of the family `sor` of the benchmarks, over three parties."""
    sizes = [2, seed, venues, instruments]
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(sizes)))
    mid = random.integers(5_000, 20_000, instruments)
    steps = random.integers(1, 4, (venues, instruments, depth))
    offset = mid[:, None] + random.integers(1, 12, (venues, instruments))[..., None]
    prices = (offset + np.cumsum(steps, axis=2)) * 10_000 + random.integers(0, 900, steps.shape)
    prices = np.sort(prices, axis=2)
    lots = random.integers(1, 200, steps.shape)
    values = mid * 10_000 + 10_000 * random.integers(20, 60, instruments)
    quantities = lots.sum(axis=(0, 2)) * 3 // 10
    parties: list[Any] = [[], [], []]
    for venue in range(venues):
        pairs = np.stack([prices[venue], lots[venue]], axis=-1).tolist()
        parties[venue % 3].append(tuple(tuple(map(tuple, each)) for each in pairs))
    whole = tuple(map(tuple, parties))
    rough = Market(tuple(values.tolist()), tuple(quantities.tolist()), 2**61, whole)
    free = planned(rough, solve(rough))[-1]
    return replace(rough, budget=free * 6 // 10)


def test_a_basket_of_the_benchmarks_is_certified_within_one_lot_in_few_rounds() -> None:
    market = family(1, 30, 4)
    ended = play(Search(), market.coupling, market.problems)
    solution = ended.solution
    assert solution.value <= relaxed(market) <= solution.bound
    assert solution.bound - solution.value <= gain_at_the_end(market, solution) + 1
    assert len(ended.queries) <= 8
    again = play(Search(), market.coupling, market.problems, solution.warm)
    assert (len(again.queries), again.solution.stands) == (1, True)
    first = list(market.parties[0])
    first[0] = tuple(tuple((p, 2 * n) for p, n in levels) for levels in first[0])
    moved = replace(market, parties=(tuple(first), *market.parties[1:]))
    after = play(Search(), moved.coupling, moved.problems, solution.warm)
    assert len(after.queries) <= 5
    assert after.solution.value == solve(moved).value


def test_an_offer_of_the_same_rounded_ratio_widens_the_bound_and_no_more() -> None:
    """Two instruments whose ratios differ only beyond 2^-30: the tie may order them wrongly."""
    large, small = 2**30 - 1, 2**30 - 3
    market = Market(
        (large, small),
        (50, 50),
        (large - 9) * 50 + 7,
        ((((((large - 9, 50),), ((small - 9, 50),)),)),),
    )
    keys = [market.coupling.grid.ratio_key(p, k, 0) for k, p in ((0, large - 9), (1, small - 9))]
    assert len({key >> market.coupling.ratio_shift for key in keys}) == 1
    solution = solve(market)
    best = relaxed(market)
    assert solution.value <= best <= solution.bound
    exact = solution.value + gain_at_the_end(market, solution) + 1
    assert exact < solution.bound + gain_at_the_end(market, solution)
    assert solution.bound - solution.value <= gain_at_the_end(market, solution) + 50 * 2 + 1


@given(st.lists(st.integers(2, 2**30 - 1), min_size=1, max_size=5), st.integers(1, 300), st.data())
def test_a_ratio_key_is_one_offer_and_no_other(
    values: list[int], slots: int, data: st.DataObject
) -> None:
    grid = BasketGrid(tuple(values), slots)
    k = data.draw(st.integers(0, len(values) - 1))
    slot = data.draw(st.integers(0, slots - 1))
    price = data.draw(st.integers(1, values[k] - 1))
    key = grid.ratio_key(price, k, slot)
    assert grid.offer_at(key) == (k, price)
    assert 0 <= key < 1 << (30 + grid.ratio_shift)
    nearby = [key + step for step in (-1, 0, 1)]
    edges = grid.ratio_edges(np.array(nearby, dtype=np.int64), k, slot).tolist()
    expected = [grid.ratio_key(price, k, slot) < each for each in nearby]
    assert [price < edge for edge in edges] == expected
    cut = (price << grid.cut_shift) + slot
    edges = grid.cut_edges(np.array([cut, cut + 1], dtype=np.int64), k, slot).tolist()
    assert edges == [price, price + 1]


def test_values_of_2_to_the_30_would_let_two_prices_share_a_key() -> None:
    """Mutant of the limit on values: with a larger one, prices side by side have one ratio."""
    at_limit, beyond = BasketGrid((2**30 - 1,), 1), BasketGrid((2**31,), 1)
    prices = [2**29, 2**29 + 1]
    assert len({at_limit.ratio_key(p, 0, 0) for p in prices}) == 2
    assert len({beyond.ratio_key(p, 0, 0) for p in prices}) == 1


# ---- degenerate markets


def test_degenerate_baskets_are_planned_as_far_as_they_go() -> None:
    cheap = Market((100,), (5,), 10_000, (((((90, 3),),),),))
    solution = solve(cheap)
    assert (solution.status, solution.value, solution.bound, solution.shortfall) == (
        "certified", 30, 30, 2,
    )  # fmt: skip
    for market in (
        replace(cheap, parties=((((),),),)),
        replace(cheap, parties=(((((100, 3),),),),)),
        replace(cheap, budget=89),
    ):
        assert solve(market).status == "infeasible"
    exact = solve(replace(cheap, budget=270))
    assert (exact.value, exact.bound) == (30, 30)
    short = solve(replace(cheap, budget=269))
    assert (short.value, short.bound) == (20, 30)


def test_what_is_used_up_leaves_the_others_to_be_planned() -> None:
    market = examples()[0]
    goal = market.goal.model_copy(update={"remaining": ("0", "12", "2500")})
    problems = [
        problem(goal, market.members, w, s)
        for w, s in zip(market.members, market.states, strict=True)
    ]
    coupling = Routing().coupling(goal, market.members)
    solution = play(Search(), coupling, problems).solution
    done = [p.commit(commit_query(solution.points), EMPTY, PLAN)[1] for p in problems]
    lots = integers(total(done))
    assert lots[0] == 0
    assert lots[1] > 0


# ---- goals


def test_a_basket_s_goal_carries_lots_price_units_and_a_budget() -> None:
    goal = basket({"btc": ("0.5", "60000"), "eth": ("10", "2500.5")}, "20000")
    assert goal.remaining == ("50000", "1000000", "20000000000000")
    assert goal.terms == {
        "side": "buy",
        "instruments": ("btc", "eth"),
        "lot": "0.00001",
        "price_scale": 10_000,
        "quantities_lots": ("50000", "1000000"),
        "values": ("600000000", "25005000"),
        "budget": "20000000000000",
        "whole_steps": False,
    }
    assert goal.aim == "allow"
    canonical(goal)
    terms = read_basket(goal)
    assert (terms.left, terms.budget_left) == ((50_000, 1_000_000), 20_000_000_000_000)
    executed = Routing().goal({**table((9,), (9,), 9), "mode": "executed"})
    assert executed.terms["whole_steps"] is True


BAD_GOALS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "a sale": ({"side": "sell"}, "side"),
    "a pace": ({"pace": "1"}, "pace"),
    "a limit": ({"limit_price": "1"}, "limit_price"),
    "one quantity": ({"quantity": "1"}, "quantity"),
    "no instruments": ({"instruments": ()}, "instruments"),
    "no list": ({"instruments": "btc"}, "instruments"),
    "one twice": ({"instruments": ("i0", "i0")}, "instruments"),
    "a name that no space has": ({"instruments": ("i0", "I 1")}, "instruments"),
    "the name of the spend": ({"instruments": ("i0", "spend")}, "instruments"),
    "too few values": ({"values": (1,)}, "values"),
    "a value of nothing": ({"values": (0, 1)}, "values"),
    "a value of 2^30": ({"values": (1, 2**30)}, "values"),
    "a value off the grid": ({"values": ("1", "1.5")}, "values"),
    "a quantity off the grid": ({"quantities": ("1", "1.5")}, "quantities"),
    "a negative quantity": ({"quantities": (1, -1)}, "quantities"),
    "no quantities": ({"quantities": None}, "quantities"),
    "no budget": ({"budget": None}, "budget"),
    "a budget of nothing": ({"budget": 0}, "budget"),
    "a budget off the grid": ({"budget": "0.5"}, "budget"),
    "an endless budget": ({"budget": str(2**62 + 1)}, "budget"),
    "a mode of its own": ({"mode": "paper"}, "mode"),
}


@pytest.mark.parametrize("name", BAD_GOALS)
def test_a_basket_that_does_not_fit_is_refused_by_file_and_field(name: str) -> None:
    change, field = BAD_GOALS[name]
    with pytest.raises(BadInput) as caught:
        Routing().goal({**table((9, 9), (9, 9), 99), **change}, "order.toml")
    assert (caught.value.file, caught.value.field) == ("order.toml", f"domain.goal.{field}")
    assert caught.value.advice


def test_more_instruments_than_a_query_holds_well_are_refused() -> None:
    most = (5,) * MOST_INSTRUMENTS
    Routing().goal(table(most, most, 9))
    with pytest.raises(BadInput, match="instruments"):
        Routing().goal(table((*most, 5), (*most, 5), 9))


def test_broken_terms_of_a_basket_are_refused() -> None:
    goal = Routing().goal(table((9, 9), (9, 9), 99))
    changes: list[dict[str, Any]] = [
        {"instruments": ()},
        {"values": ("9",)},
        {"values": ("9", "0")},
        {"values": ("9", str(2**30))},
        {"quantities_lots": ("9", 9)},
        {"budget": "-9"},
        {"budget": None},
        {"lot": None},
        {"price_scale": True},
        {"whole_steps": 1},
    ]
    for change in changes:
        with pytest.raises(BadInput):
            read_basket(goal.model_copy(update={"terms": {**goal.terms, **change}}))
    with pytest.raises(BadInput):
        read_basket(goal.model_copy(update={"remaining": ("9", "9")}))


def test_a_basket_continues_with_less_and_never_with_more() -> None:
    goal = Routing().goal(table((9, 9), (9, 9), 99))
    for remaining, sound in (
        (("9", "9", "99"), True),
        (("0", "9", "1"), True),
        (("9", "9", "100"), False),
        (("10", "9", "99"), False),
        (("9", "9"), False),
    ):
        plan = goal.model_copy(update={"remaining": remaining})
        assert Routing().continues(goal, plan) is sound
    other = goal.model_copy(update={"terms": {**goal.terms, "budget": "98"}})
    assert not Routing().continues(goal, other)


def test_the_two_sorts_of_couplings_are_told_apart() -> None:
    market = examples()[0]
    assert isinstance(market.coupling, BasketCoupling)
    assert not isinstance(market.coupling, KeyedCoupling)
    single = Routing().coupling(Routing().goal({"side": "buy", "quantity": 1}), market.members)
    assert isinstance(single, KeyedCoupling)
    assert not isinstance(single, BasketCoupling)


def test_an_order_too_large_to_sum_is_refused() -> None:
    goal = Routing().goal(table((9,), (2**53 - 1,), 99))
    crowd = [Member(did=member(0).did, name="p", slot=2**12)]
    with pytest.raises(BadInput, match="too large"):
        Routing().coupling(goal, crowd)
    far = [Member(did=member(0).did, name="p", slot=2**20)]
    with pytest.raises(BadInput, match="slot"):
        Routing().coupling(goal, far)


def test_nothing_is_left_once_quantities_or_budget_are_used_up() -> None:
    coupling = examples()[0].coupling
    zero = words([0, 0, 0])
    assert coupling.left(words([3, 0, 400]), zero, zero).remaining == ("11", "12", "2100")
    assert coupling.left(words([3, 0, 400]), words([1, 0, 90]), zero).remaining == (
        "10", "12", "2010",
    )  # fmt: skip
    assert coupling.left(words([14, 12, 400]), zero, zero).remaining == ("0", "0", "0")
    assert coupling.left(words([3, 0, 400]), zero, words([1, 1, 2100])).remaining == ("0",) * 3


# ---- what a party may hold


def instrument(name: str, step: str = "1", minimum: str | None = None, **more: Any) -> Instrument:
    fields = {
        "venue": "test",
        "symbol": name.upper(),
        "canonical": f"{name}-spot",
        "base": name.upper(),
        "quote": "USD",
        "tick": "0.5",
        "step": step,
        "minimum": minimum or step,
        "multiplier": "1",
        "payoff": "linear",
        "hours": "",
        "zone": "UTC",
        **more,
    }
    return Instrument.model_validate(fields)


def book(levels: Levels, made: Instrument) -> BookState:
    asks = np.array(levels, dtype=np.int64).reshape(-1, 2)
    return BookState(made, asks[:0], asks, 1, STAMP)


MIXED = basket({"btc": ("10", "100"), "eth": ("20", "50")}, "1200", lot="0.1", price_scale=10)


def test_a_venue_of_one_instrument_offers_that_one_all_in() -> None:
    two = [member(0), member(1)]
    held = book([(190, 7), (196, 2), (210, 9)], instrument("btc"))
    alone = problem(MIXED, two, two[0], Snapshot("order-book/v1", 0, PLAN, held), fee_bps="100")
    stack = alone.shelves[0].stack
    assert stack.axis.tolist() == [960, 990, 1061]
    assert stack.lots.tolist() == [70, 20, 0]
    assert len(alone.shelves[1].stack.axis) == 0
    other = problem(MIXED, two, two[1], book([(90, 30)], instrument("eth")))
    coupling = Routing().coupling(MIXED, two)
    solution = play(Search(), coupling, [alone, other]).solution
    actions, words_, _ = alone.commit(commit_query(solution.points), EMPTY, PLAN)
    assert [(leg.instrument, leg.limit_ticks) for leg in actions.legs] == [("btc-spot", "190")]
    assert integers(words_)[1] == 0


def test_a_mapping_holds_tables_and_books_by_instrument() -> None:
    held = {"btc": [("95", "7"), ("98", "2")], "eth": book([(90, 30)], instrument("eth"))}
    one = [member(0)]
    made = problem(MIXED, one, one[0], held)
    assert [shelf.stack.lots.tolist() for shelf in made.shelves] == [[70, 20], [200]]
    assert made.shelves[1].stack.axis.tolist() == [450]
    with pytest.raises(BadInput) as caught:
        problem(MIXED, one, one[0], {"sol": [("1", "1")]})
    assert caught.value.value == "sol"


STATES: Mapping[str, tuple[Any, type[Exception]]] = {
    "no book at all": (None, CapabilityMissing),
    "a number": (3, CapabilityMissing),
    "another instrument": (book([(190, 7)], instrument("sol")), BadInput),
    "an inverse contract": (
        book([(190, 7)], instrument("btc", payoff="inverse")),
        CapabilityMissing,
    ),
    "no book of any": ({}, BadInput),
    "books of one instrument": (Books(np.ones((1, 1, 1), int), np.ones((1, 1, 1), int)), BadInput),
    "flat books": (Books(np.ones((1, 1), int), np.ones((1, 1), int)), BadInput),
    "a price beyond 2^33": (book([(2**33 // 5 + 1, 7)], instrument("btc")), HeadroomMissing),
    "two names for one": (
        {"btc": book([(9, 7)], instrument("btc", canonical="x", base="ETH")), "eth": [(9, 7)]},
        BadInput,
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_does_not_fit_is_refused(name: str) -> None:
    state, error = STATES[name]
    with pytest.raises(error):
        problem(MIXED, [member(0)], member(0), state)


def test_what_no_native_order_fills_is_not_offered_to_an_executed_basket() -> None:
    coarse = instrument("btc", step="3", minimum="3")
    held = book([(190, 1), (191, 2)], coarse)
    for quantity, offered in (("2", []), ("10", [30, 60])):
        terms: Mapping[str, Any] = {
            "instruments": ("btc",),
            "quantities": (quantity,),
            "values": ("100",),
            "budget": "1200",
            "lot": "0.1",
            "price_scale": 10,
            "mode": "executed",
        }
        goal = Routing().goal(terms)
        made = problem(goal, [member(0)], member(0), held)
        assert made.shelves[0].stack.lots.tolist() == offered


def test_questions_of_another_form_are_refused() -> None:
    market = examples()[0]
    (made, _) = market.problems
    for points in (
        (),
        (1,),
        (1, 0),
        (-1, 1, 5),
        (5, 5, 1),
        (0, 0),
        (1, 0, 5, 1),
        (0, 0, 1, 1, 1, 1),
    ):
        for refuse in (lambda q: made.answer(q, EMPTY), market.coupling.width):
            with pytest.raises(LayoutMismatch):
                refuse(depth_query(points))
    query = Query(kind="respond", after=None, multipliers=None, points=("1",))
    for refuse in (lambda q: made.answer(q, EMPTY), market.coupling.width):
        with pytest.raises(CapabilityMissing):
            refuse(query)
    with pytest.raises(LayoutMismatch):
        made.commit(commit_query([1, 2]), EMPTY, PLAN)


# ---- executed: never over the budget


def report(actions: Actions, fills: Sequence[Fill], status: str = "partial") -> list[Outcome]:
    made = {"order": PLAN, "status": status, "fills": tuple(fills), "swaps": (), "reason": None}
    return [Outcome.model_validate(made)]


def cost(fills: Sequence[Fill]) -> int:
    return sum(int(fill.price_ticks) * int(fill.quantity_steps) for fill in fills)


@settings(max_examples=60, deadline=None)
@given(markets(), st.data())
def test_no_partial_fills_take_an_order_over_its_budget(
    market: Market, data: st.DataObject
) -> None:
    """Any part of any leg fills, in pieces, at any prices within its limit; plan after plan."""
    spent, bought, left = 0, [0] * len(market.values), market.goal
    acted: list[list[Acted]] = [[] for _ in market.parties]
    for _ in range(3):
        if not any(map(int, left.remaining)):
            break
        rows = zip(market.members, market.states, strict=True)
        problems = [problem(left, market.members, who, state) for who, state in rows]
        coupling = Routing().coupling(left, market.members)
        solution = play(Search(), coupling, problems).solution
        if solution.status != "certified":
            break
        for made, deeds in zip(problems, acted, strict=True):
            actions, words_, _ = made.commit(commit_query(solution.points), EMPTY, PLAN)
            fills = []
            for number, leg in enumerate(actions.legs):
                steps = data.draw(st.integers(0, int(leg.quantity_steps)))
                price = data.draw(
                    st.integers(max(1, int(leg.limit_ticks) - 3), int(leg.limit_ticks))
                )
                for part, ticks in (
                    (steps // 2, price),
                    (steps - steps // 2, int(leg.limit_ticks)),
                ):
                    if part:
                        fills.append(
                            Fill(leg=number, price_ticks=str(ticks), quantity_steps=str(part),
                                 units=str(part))
                        )  # fmt: skip
                        bought[int(leg.instrument[1 : leg.instrument.index(".")])] += part
            spent += cost(fills)
            deeds.append(Acted(words_, actions, report(actions, fills)))
        settled = [m.settle(SETTLE, deeds) for m, deeds in zip(problems, acted, strict=True)]
        executed = total([pair[0] for pair in settled])
        assert integers(executed) == (*bought, spent)
        assert integers(total([pair[1] for pair in settled])) == (0,) * (len(bought) + 1)
        left = market.coupling.left(
            executed, words([0] * len(executed)), words([0] * len(executed))
        )
        assert int(left.remaining[-1]) in {0, market.budget - spent}
    assert spent <= market.budget
    assert all(n <= most for n, most in zip(bought, market.quantities, strict=True))


def merged(self: BasketProblem, shelf: Shelf, shares: Any) -> list[tuple[Leg, int]]:
    """Mutant: one leg for all levels, limited to the worst of them."""
    taken = np.flatnonzero(shares)
    if not len(taken):
        return []
    lots = str(int(shares.sum()))
    leg = Leg(
        side="buy",
        instrument=shelf.names[0],
        limit_ticks=str(shelf.ticks[taken[-1]]),
        quantity_steps=lots,
        most_units=lots,
    )
    return [(leg, int((shares * shelf.stack.axis).sum()))]


def test_one_leg_for_all_levels_would_overspend_when_cheap_ones_vanish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market = Market((100,), (20,), 1_400, (((((50, 10), (90, 10)),),),))
    solution = solve(market)
    for mutant, worst in ((False, 50 * 10 + 90 * 10), (True, 90 * 20)):
        if mutant:
            monkeypatch.setattr(BasketProblem, "_legs", merged)
        actions, words_, _ = market.problems[0].commit(commit_query(solution.points), EMPTY, PLAN)
        spend = sum(int(leg.limit_ticks) * int(leg.quantity_steps) for leg in actions.legs)
        assert spend == worst
        assert (spend > market.budget) is mutant
        assert integers(words_)[-1] <= market.budget


def test_what_is_not_known_counts_up_to_what_was_planned() -> None:
    market = examples()[0]
    solution = solve(market)
    made = market.problems[0]
    actions, words_, _ = made.commit(commit_query(solution.points), EMPTY, PLAN)
    leg = actions.legs[0]
    fill = Fill(leg=0, price_ticks=leg.limit_ticks, quantity_steps="1", units="1")
    deeds = [
        Acted(words_, actions, report(actions, [fill], "unknown")),
        Acted(words_, actions, None),
    ]
    executed, unknown = made.settle(SETTLE, deeds)
    *lots, spend = integers(executed)
    assert (sum(lots), spend) == (1, int(leg.limit_ticks))
    both = [2 * n for n in integers(words_)]
    assert [a + b for a, b in zip(integers(executed), integers(unknown), strict=True)] == both


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["0.00001", "0.00037", "0.001"]),
    st.integers(3, 400),
    st.lists(st.integers(40, 4_000), min_size=1, max_size=4),
    st.sampled_from(["0", "2.4", "-0.5"]),
)
def test_a_recorded_venue_fills_a_basket_within_its_budget(
    tmp_path_factory: pytest.TempPathFactory, lot: str, lots: int, sizes: list[int], fee: str
) -> None:
    """Spot steps are finer than lots: what is really paid, fee and all, stays in the budget."""
    folder = tmp_path_factory.mktemp("basket")
    asks = tuple((PRICE + k, size * 100_000) for k, size in enumerate(sizes))
    changes = [
        Change(at(10 * k), 100 + k, 100 + k, 99 + k if k > 1 else 100, asks=asks) for k in (1, 2, 3)
    ]
    venue = opened(SPOT, folder, [Depth(at(0), 101, ((PRICE - 1, 10**6),), asks), *changes])
    made = venue.instrument
    price = PRICE * Fraction(made.tick)
    scale, value = 1_000, int(price) + 5_000
    unit = Fraction(lot) / scale
    budget = math.ceil(lots * Fraction(lot) * price * 2 / 3 / unit) * unit
    terms: Mapping[str, Any] = {
        "instruments": (made.base.lower(),),
        "quantities": (plain(lots * Fraction(lot)),),
        "values": (value,),
        "budget": plain(budget),
        "lot": lot,
        "price_scale": scale,
        "mode": "executed",
    }
    goal = Routing().goal(terms)
    paid, acted, left = Fraction(0), [], goal
    for number in (1, 2, 3):
        if not any(map(int, left.remaining)):
            break
        local = problem(left, [member(0)], member(0), venue.pin(at(10 * number)), fee_bps=fee)
        solution = play(Search(), Routing().coupling(left, [member(0)]), [local]).solution
        if solution.status != "certified":
            break
        actions, words_, _ = local.commit(commit_query(solution.points), EMPTY, order_id(number))
        outcomes = venue.apply(order_id(number), actions, LATER, at(10 * number))
        for fill in (fill for outcome in outcomes for fill in outcome.fills):
            steps = int(fill.quantity_steps) * Fraction(made.step)
            paid += (
                steps * int(fill.price_ticks) * Fraction(made.tick) * (1 + Fraction(fee) / 10_000)
            )
        acted.append(Acted(words_, actions, outcomes))
        executed, unknown = local.settle(SETTLE, acted)
        zero = words([0, 0])
        left = Routing().coupling(goal, [member(0)]).left(executed, unknown, zero)
    assert acted
    assert 0 < paid <= budget


# ---- determinism, the kernel, reports

SCRIPT = """
import tests.domains.test_routing_baskets as t
from covenue.testing.solvers import play
plays = [play(t.Search(), m.coupling, m.problems) for m in t.examples()]
print([part.hex() for each in plays for part in each.transcript()])
"""


def test_without_a_compiler_the_same_bytes_are_said() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "COVENUE_COMPILED": switch},
            check=True,
            capture_output=True,
        ).stdout
        for switch in ("0", "1")
    ]
    assert said[0] == said[1]
    assert len(said[0]) > 1_000


def test_a_notebook_plans_a_basket() -> None:
    market = examples()[0]
    given_ = dict(zip(("north", "south"), market.states, strict=True))
    result = covenue.plan(market.goal, given_)
    solution = solve(market)
    assert (result.status, result.value, result.bound) == (
        "certified", solution.value, solution.bound,
    )  # fmt: skip
    assert result.coordinates == ("i0", "i1", "spend")
    assert tuple(np.asarray(result.plan).sum(axis=0)) == planned(market, solution)
    tables = {"east": {"btc": [("95", "7")]}, "west": {"eth": [("45", "30")], "btc": [("90", "1")]}}
    assert covenue.plan(MIXED, tables).status == "certified"


def test_exoroute_says_a_basket_in_human_units_and_reads_it_back() -> None:
    instant = {"venue_time": None, "local_time": "0", "clock": "test", "offset": "0"}
    data: dict[str, Any] = {
        "instrument": instrument("btc").model_dump(mode="json"),
        "form": "snapshot",
        "bids": [],
        "asks": [],
        "first": "1",
        "last": "1",
        "previous": None,
        "stamp": {**instant, "half_width": "0"},
    }
    body = {
        "domain": "routing",
        "state": "order-book/v1",
        "digest": PLAN,
        "config": {},
        "goal": json.loads(canonical(MIXED)),
        "data": data,
    }
    bridge = EnergiBridge((EXOROUTE,))
    message = Message("canonical", "local-problem/v1", {}, body)
    spoken = bridge.translate(message, "exoroute").message
    terms = spoken.body["parentOrder"]["terms"]
    assert terms["instrumentIds"] == ["btc", "eth"]
    assert (terms["quantities"], terms["values"]) == (["10", "20"], ["100", "50"])
    assert Fraction(terms["budget"]) == 1_200 * 10
    assert bridge.translate(spoken, "canonical").message.raw() == message.raw()


class Still:
    """A venue that always serves one state."""

    def __init__(self, state: BookState) -> None:
        self.state = state

    def pin(self, as_of: int) -> Snapshot:
        return Snapshot("order-book/v1", as_of, PLAN, self.state)


def test_a_report_says_what_each_venue_was_to_do_and_why() -> None:
    who = [member(0), member(1), member(2)]
    held = [
        book([(190, 7), (196, 2)], instrument("btc")),
        book([(90, 30)], instrument("eth")),
        book([(400, 30)], instrument("eth")),
    ]
    parties: list[OpenedParty] = [
        OpenedParty(w, {}, Still(state))  # type: ignore[arg-type]  # it is only asked for its state
        for w, state in zip(who, held, strict=True)
    ]
    problems = [problem(MIXED, who, w, state) for w, state in zip(who, held, strict=True)]
    solution = play(Search(), Routing().coupling(MIXED, who), problems).solution
    delta = PlanDelta(
        plan=PLAN,
        parent=None,
        after=None,
        status=solution.status,
        multipliers=None,
        solution=tuple(map(str, solution.points)),
        change=(),
        value=str(solution.value),
        bound=str(solution.bound),
        gap=str(solution.bound - solution.value),
        shortfall=str(solution.shortfall),
        rounds=3,
        transcript=PLAN,
        cohort=tuple(w.did for w in who),
    )
    actions, _, _ = problems[1].commit(commit_query(solution.points), EMPTY, PLAN)
    fill = Fill(leg=0, price_ticks="90", quantity_steps="2", units="20")
    plans = [
        OpenedPlan(0, "standing", 0, MIXED, delta, 3, "standing plan"),
        OpenedPlan(1, "standing", 0, MIXED, None, 3, "void"),
        OpenedPlan(
            0, "executed", 0, MIXED, delta, 3, "settled",
            executed={"p1": report(actions, [fill])}, actions={"p1": actions}, went=True,
        ),
    ]  # fmt: skip
    figures = json.loads(json.dumps(Routing().opened_figures(plans, parties)))
    first, void, done = figures["baskets"]
    assert (first["value"], first["bound"]) == (solution.value, solution.bound)
    assert (void["status"], void["venues"]) == (None, [])
    assert done["venues"][1]["executed"] == [0, 20, 20 * 450]
    assert sum(v["planned"][-1] for v in first["venues"]) <= first["budget"]
    told = json.loads(json.dumps(Routing().plan_figures(plans[0], parties)))
    assert told["venues"] == ["p0", "p1", "p2"]
    assert told["planned"] == [venue["planned"] for venue in first["venues"]]
    assert [why["because"] for why in told["why"]] == [
        "its best offers are taken; the budget or a quantity is used up before the others",
        "all that it offers below its value is taken",
        "it offers nothing below its value",
    ]
    assert Routing().plan_figures(plans[1], parties) == {
        "venues": ["p0", "p1", "p2"],
        "status": "none",
    }
    standing, executed = Routing().sections(figures, plans)
    assert standing.title == "A basket under a budget, standing"
    assert executed.title == "A basket under a budget, executed"
    assert executed.figures["bought, eth"] == "2.00000"
    assert executed.figures["spent"] == "90.00"
    because = {row[6]: row[-1] for row in standing.rows}
    assert because["p2"] == "it offers nothing below its value"
    assert set(because) == {"p0", "p1", "p2"}
    assert "baskets" not in Routing().opened_figures([], parties)
