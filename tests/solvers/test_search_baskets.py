"""The search under a budget, on the smallest coupling: one participant's integer offers."""

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue.hooks.solvers import BasketCoupling, Choice, Solution, Total
from covenue.numerics.words import Words, integers, words
from covenue.testing.domains import LadderCoupling, ladder_goal
from covenue.testing.solvers import query_digest
from covenue_contracts.plan import Goal
from covenue_contracts.shared import Query, Space
from covenue_solver_search import BasketState, Search, WarmBasket, basket
from covenue_solver_search.basket import Bracket

Offers = tuple[tuple[int, int, int], ...]
"""(instrument, price, units), at most one for each instrument and price."""


@dataclass(frozen=True)
class Stall:
    """A basket of one participant: the coupling, and what it would answer. No tie bits but k's."""

    values: tuple[int, ...]
    quantities: tuple[int, ...]
    budget: int
    offers: Offers

    cut_shift = 0

    @property
    def goal(self) -> Goal:
        return ladder_goal(1)

    @property
    def space(self) -> Space:
        return LadderCoupling(self.goal, 1).space

    @property
    def ratio_shift(self) -> int:
        return (len(self.values) - 1).bit_length()

    def key(self, k: int, price: int) -> int:
        return ((price << 30) // self.values[k] << self.ratio_shift) + k

    def offer_at(self, key: int) -> tuple[int, int] | None:
        k = key & ((1 << self.ratio_shift) - 1)
        if k >= len(self.values):
            return None
        price = -(-(key >> self.ratio_shift) * self.values[k] >> 30)
        return (k, price) if 0 < price < self.values[k] and self.key(k, price) == key else None

    def width(self, query: Query) -> int:
        raise NotImplementedError

    def admits(self, total: Words, goal: Goal) -> bool:
        raise NotImplementedError

    def left(self, settled: Words, reserved: Words, committed: Words) -> Goal:
        raise NotImplementedError

    def answer(self, points: tuple[int, ...]) -> list[int]:
        """Words as a BasketCoupling has them, by plain loops over offers."""
        size = len(self.values)
        places = [size, *accumulate(points[:size], initial=size)][1:]
        said = [
            sum(n for j, price, n in self.offers if j == k and price < key)
            for k, (a, b) in enumerate(pairwise(places))
            for key in points[a:b]
        ]
        rest = points[places[-1] :]
        if not rest:
            return said
        cuts, ratios = rest[: 2 * size], rest[2 * size :]
        held = []
        for k, price, n in self.offers:
            cut, residual = cuts[2 * k], cuts[2 * k + 1]
            units = n if price < cut else min(n, residual) if price == cut else 0
            held.append((self.key(k, price) if price < self.values[k] else 2**62, k, price, units))
        said += [sum(p * n for key, _, p, n in held if key < ratio) for ratio in ratios]
        below = [h for h in held if h[0] < ratios[0]]
        return said + [sum(n for _, j, _, n in below if j == k) for k in range(size)]


@st.composite
def stalls(draw: st.DrawFn) -> Stall:
    values = tuple(draw(st.integers(2, 400)) for _ in range(draw(st.integers(1, 3))))
    offers = {
        (k, draw(st.integers(1, 2 * value))): draw(st.integers(0, 30))
        for k, value in enumerate(values)
        for _ in range(draw(st.integers(0, 5)))
    }
    quantities = tuple(draw(st.integers(0, 60)) for _ in values)
    flat = tuple((k, price, n) for (k, price), n in offers.items())
    return Stall(values, quantities, draw(st.integers(0, 9_000)), flat)


def run(stall: Stall, probes: int | None = None, warm: Any = None) -> tuple[Solution, int]:
    solver = Search(probes)
    state: Any = solver.start(stall, warm)
    for rounds in range(1, 200):
        points = tuple(map(int, solver.ask(state, query_digest).points))
        state = solver.tell(state, Total(words(stall.answer(points)), ("a",), exact=True))
        if isinstance(state, Solution):
            return state, rounds
    raise AssertionError("no end")


def greedy(stall: Stall) -> tuple[dict[tuple[int, int], int], int]:
    """Units by offer and their gain: cheapest of each first, then by key while money lasts."""
    kept = []
    for k, most in enumerate(stall.quantities):
        left = most
        for price, n in sorted((p, n) for j, p, n in stall.offers if j == k):
            if price < stall.values[k]:
                kept.append((stall.key(k, price), k, price, min(n, left)))
                left -= kept[-1][-1]
    money, taken = stall.budget, {}
    for _, k, price, n in sorted(kept):
        taken[k, price] = min(n, money // price)
        money -= taken[k, price] * price
        if taken[k, price] < n:
            break
    gain = sum((stall.values[k] - price) * n for (k, price), n in taken.items())
    return {place: n for place, n in taken.items() if n}, gain


@settings(max_examples=150, deadline=None)
@given(stalls(), st.sampled_from([2, 3, 30, None]))
def test_the_plan_is_the_greedy_one_and_its_value_is_what_it_gains(
    stall: Stall, probes: int | None
) -> None:
    assert isinstance(stall, BasketCoupling)
    solution, _ = run(stall, probes)
    taken, gain = greedy(stall)
    if not taken:
        assert (solution.status, solution.points) == ("infeasible", ())
        return
    assert (solution.status, solution.value) == ("certified", gain)
    assert solution.bound >= gain
    assert solution.shortfall == sum(stall.quantities) - sum(taken.values())
    again, rounds = run(stall, None, solution.warm)
    assert (again.points, again.stands, rounds) == (solution.points, True, 1)


SMALL = Stall((100, 200), (9, 9), 1_000, ((0, 90, 5), (0, 95, 9), (1, 150, 4), (1, 190, 9)))


def first(solver: Search, stall: Stall = SMALL) -> tuple[BasketState, list[int]]:
    state = solver.start(stall, None)
    assert isinstance(state, BasketState)
    return state, stall.answer(basket.points(state))


def ends(state: BasketState, said: list[int]) -> Solution:
    end = Search().tell(state, Total(words(said), ("a",), exact=True))
    assert isinstance(end, Solution)
    return end


def test_totals_that_no_offers_can_give_stall() -> None:
    state, said = first(Search(40))
    size = len(state.cut_points[0])
    for wrong in (
        said[:-1],
        [*said, 0],
        [-1, *said[1:]],
        [said[0], said[0] + 1, *said[2:]],
        [*said[:size], *said[size + 1 :], said[-1] + 99],
    ):
        assert ends(state, wrong).status == "stalled"


def test_noise_and_choices_stall() -> None:
    state, said = first(Search(40))
    for release in (Total(words(said), ("a",), exact=False), Choice(0, ("a",))):
        end = Search().tell(state, release)
        assert isinstance(end, Solution)
        assert end.status == "stalled"


def last(stall: Stall = SMALL) -> BasketState:
    """The state before the last total of a search."""
    solver = Search(400)
    state: Any = solver.start(stall, None)
    while True:
        total = Total(words(stall.answer(basket.points(state))), ("a",), exact=True)
        told = solver.tell(state, total)
        if isinstance(told, Solution):
            assert told.status == "certified"
            return state  # type: ignore[no-any-return]  # a state is the solver's own
        state = told


def lying(state: BasketState) -> list[int]:
    """One unit of money too much at all keys between the first probe and the known upper end."""
    said = SMALL.answer(basket.points(state))
    keys = state.ratio_points
    between = [keys[0] < key < state.ratio.high for key in keys]
    assert any(between)
    spends = [n + lie for n, lie in zip(said, between, strict=False)]
    return [*spends, *said[len(keys) :]]


def test_spend_where_no_offer_can_be_certifies_nothing() -> None:
    """Between the last probes money appears that no price divides: a lie, and so no plan."""
    state = last()
    assert ends(state, lying(state)).status == "stalled"
    said = SMALL.answer(basket.points(state))
    assert ends(state, [*said[:-1], -1]).status == "stalled"


def test_without_the_check_on_units_a_lie_would_be_certified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: every key is a possible offer of price 1."""
    state = last()
    monkeypatch.setattr(Stall, "offer_at", lambda _self, _key: (0, 1))
    assert ends(state, lying(state)).status == "certified"


def test_a_conflict_with_an_earlier_round_stalls() -> None:
    bracket = Bracket(10, 5, 20, 9)
    assert bracket.agrees(((12, 5), (18, 9)))
    assert not bracket.agrees(((12, 4),))
    assert not bracket.agrees(((12, 10),))
    assert not bracket.agrees(((10, 6),))
    assert not bracket.agrees(((12, 8), (13, 7)))


def test_a_goal_with_nothing_left_is_infeasible() -> None:
    for stall in (
        replace(SMALL, budget=0),
        replace(SMALL, quantities=(0, 0)),
        replace(SMALL, offers=()),
        replace(SMALL, budget=80),
    ):
        assert run(stall)[0].status == "infeasible"


def test_a_warm_state_of_another_order_is_left_aside() -> None:
    cold = run(SMALL)[0]
    for warm in (
        WarmBasket((1,) * 6, 5, 1),
        WarmBasket((1,) * 8, 0, 1),
        WarmBasket((10**12,) * 6, 0, 1),
        "other",
        None,
    ):
        again = run(SMALL, None, warm)[0]
        assert replace(again, stands=False) == replace(cold, stands=False)
        assert not again.stands


def test_a_plan_stands_only_where_all_of_it_is_the_same() -> None:
    cold = run(SMALL)[0]
    *cuts, key, units = cold.points
    for points in (
        (*cuts, key, units + 1),
        (*cuts, key + 2, units),
        (cuts[0] + 1, *cuts[1:], key, units),
    ):
        again = run(SMALL, None, replace(cold.warm, points=points))[0]
        assert (again.points, again.stands) == (cold.points, False)


def test_a_search_suits_baskets_and_says_why() -> None:
    suits = Search().suits(SMALL, frozenset({"DEPTH"}))
    assert suits is not None
    assert "budget" in suits.why
    assert Search().suits(SMALL, frozenset({"RESPOND"})) is None
    assert integers(words(SMALL.answer((1, 1, 100, 200)))) == (14, 13)
