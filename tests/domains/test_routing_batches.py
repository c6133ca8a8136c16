"""Parties with many books: the plan is the merge of all of them, whoever holds which."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import covenue
from covenue.errors import BadInput, CapabilityMissing, HeadroomMissing, LayoutMismatch
from covenue.hooks.domains import EMPTY, Acted
from covenue.numerics.words import integers, to_bytes, total
from covenue.testing.domains import (
    DomainExample,
    commit_query,
    depth_query,
    keyed_domain_conformance,
)
from covenue.testing.solvers import SolverExample, play, solver_conformance
from covenue_contracts.local import Fill, Outcome
from covenue_contracts.plan import Goal, Member
from covenue_contracts.shared import Query
from covenue_domain_routing import Books, Routing, buy, sell, stacks
from covenue_domain_routing.batch import BatchProblem
from covenue_domain_routing.coupling import RoutingCoupling
from covenue_domain_routing.goals import HIGHEST_PRICE
from covenue_domain_routing.stacks import counted, edge_above, level_from, swept, walked
from covenue_solver_search import Search

Array = NDArray[np.int64]
PLAN = "0" * 64
Book = Sequence[tuple[int, int]]


def member(slot: int) -> Member:
    return Member(did="did:key:z" + "6" * 46 + "123456789"[slot], name=f"p{slot}", slot=slot)


@dataclass(frozen=True)
class Market:
    """What each party holds: its books, best first; and what is asked for."""

    goal: Goal
    parties: tuple[tuple[Book, ...], ...]

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(member(slot) for slot in range(len(self.parties)))

    @property
    def coupling(self) -> RoutingCoupling:
        made = Routing().coupling(self.goal, self.members)
        assert isinstance(made, RoutingCoupling)
        return made

    @property
    def states(self) -> tuple[Books, ...]:
        return tuple(table(books) for books in self.parties)

    @property
    def problems(self) -> tuple[BatchProblem, ...]:
        return tuple(self._problem(*pair) for pair in zip(self.members, self.states, strict=True))

    def _problem(self, who: Member, state: Books) -> BatchProblem:
        made = Routing().problem(self.goal, self.members, who, state, {})
        assert isinstance(made, BatchProblem)
        return made


def table(books: Sequence[Book]) -> Books:
    """Books of one depth; short ones are filled up with their last price and no lots."""
    depth = max((len(book) for book in books), default=0)
    rows = [[*book, *([(book[-1][0] if book else 1, 0)] * (depth - len(book)))] for book in books]
    levels = np.array(rows, dtype=np.int64).reshape(len(books), depth, 2)
    return Books(levels[:, :, 0], levels[:, :, 1])


def goal(quantity: int, side: str = "buy", **more: int) -> Goal:
    make = buy if side == "buy" else sell
    return make(quantity, lot="1", price_scale=1, **more)


@st.composite
def markets(draw: st.DrawFn, most: int = 5) -> Market:
    """Few distinct prices, so that books tie within a party and between parties."""
    side = draw(st.sampled_from(["buy", "sell"]))
    levels = st.lists(st.tuples(st.integers(90, 110), st.integers(0, 30)), max_size=6)
    parties = []
    for _ in range(draw(st.integers(1, most))):
        books = draw(st.lists(levels, min_size=1, max_size=4))
        ordered = [sorted(book, key=lambda x: x[0], reverse=side == "sell") for book in books]
        parties.append(tuple(ordered))
    more = {"limit_price": 100} if draw(st.booleans()) else {}
    return Market(goal(draw(st.integers(1, 300)), side, **more), tuple(parties))


@dataclass(frozen=True)
class Optimum:
    """Lots by party, book and level; their value; and what found no offer."""

    lots: dict[tuple[int, int, int], int]
    value: int
    missing: int


def merge(market: Market) -> Optimum:
    """Every level of every book of every party in one sorted list; nothing of the product."""
    terms = market.goal.terms
    sign = 1 if terms["side"] == "buy" else -1
    limit = terms["limit_price"]
    offers = sorted(
        (sign * price, slot, number, level, lots)
        for slot, books in enumerate(market.parties)
        for number, book in enumerate(books)
        for level, (price, lots) in enumerate(book)
        if limit is None or sign * price <= sign * int(str(limit))
    )
    missing, value = int(market.goal.remaining[0]), 0
    taken = {}
    for signed, slot, number, level, lots in offers:
        share = min(lots, missing)
        if share:
            taken[slot, number, level] = share
        missing -= share
        value += share * signed * sign
    return Optimum(taken, value, missing)


def examples() -> list[Market]:
    return [
        Market(goal(12), ((((100, 4), (101, 9)), ((100, 3),)), (((99, 2), (100, 9)),))),
        Market(goal(9, "sell"), ((((100, 4), (98, 9)), ((100, 3), (97, 5))),)),
    ]


def domain_examples() -> list[DomainExample]:
    return [DomainExample(m.goal, m.members, m.states, ({},) * len(m.parties)) for m in examples()]


def solver_examples() -> list[SolverExample]:
    return [SolverExample(m.coupling, m.problems) for m in examples()]


TestBatchConformance = keyed_domain_conformance(Routing, domain_examples)
TestSearchOnBatches = solver_conformance(Search, solver_examples)


@settings(max_examples=60, deadline=None)
@given(markets(), st.sampled_from([2, 9, None]))
def test_a_plan_over_batches_is_the_merge_of_all_books(market: Market, probes: int | None) -> None:
    best, problems = merge(market), market.problems
    solution = play(Search(probes), market.coupling, problems).solution
    if not best.lots:
        assert solution.status == "infeasible"
        return
    assert (solution.value, solution.bound) == (best.value, best.value)
    assert solution.shortfall == best.missing
    key, residual = solution.points
    for slot, problem in enumerate(problems):
        books = market.parties[slot]
        shares = problem.shares(key, residual).reshape(len(books), max(map(len, books)))
        assert {
            (slot, *map(int, at)): int(shares[at]) for at in zip(*np.nonzero(shares), strict=True)
        } == {place: lots for place, lots in best.lots.items() if place[0] == slot}


@settings(max_examples=40, deadline=None)
@given(markets(most=3))
def test_books_of_one_party_plan_as_if_each_had_a_party(market: Market) -> None:
    alone = replace(market, parties=tuple((b,) for books in market.parties for b in books)[:9])
    if len(alone.parties) < sum(map(len, market.parties)):
        return
    one = play(Search(), market.coupling, market.problems).solution
    many = play(Search(), alone.coupling, alone.problems).solution
    assert (one.status, one.value, one.shortfall) == (many.status, many.value, many.shortfall)


@settings(max_examples=40, deadline=None)
@given(markets(), st.sampled_from(["cold", "warm"]))
def test_a_single_book_is_planned_as_a_table_of_one_book(market: Market, start: str) -> None:
    """The ladder of one book and the stack of many are two pieces of code for one thing."""
    market = Market(market.goal, tuple((books[0],) for books in market.parties))
    single = []
    for who, books in zip(market.members, market.parties, strict=True):
        merged: dict[int, int] = {}
        for price, lots in books[0]:
            merged[price] = merged.get(price, 0) + lots
        single.append(Routing().problem(market.goal, market.members, who, list(merged.items()), {}))
    warm = play(Search(), market.coupling, single).solution.warm if start == "warm" else None
    a = play(Search(), market.coupling, market.problems, warm).solution
    b = play(Search(), market.coupling, single, warm).solution
    assert replace(a, warm=None) == replace(b, warm=None)


# ---- kernels


@st.composite
def stacked(draw: st.DrawFn) -> tuple[Array, Array, Array, Array]:
    """Axis, running sums, starts and edges of some books."""
    books = draw(st.lists(st.lists(st.integers(0, 60), max_size=9), min_size=1, max_size=6))
    axis = np.array([step for book in books for step in sorted(book)], dtype=np.int64)
    lots = draw(st.lists(st.integers(0, 9), min_size=len(axis), max_size=len(axis)))
    before = np.array([0, *np.cumsum(lots)], dtype=np.int64)[: len(axis) + 1]
    starts = np.array([0, *np.cumsum([len(book) for book in books])], dtype=np.int64)
    wide = st.integers(-(2**40), 2**40)
    edges = sorted(draw(st.lists(st.one_of(st.integers(-3, 70), wide), max_size=12)))
    return axis, before, starts, np.array(edges, dtype=np.int64)


@settings(deadline=None)
@given(stacked())
def test_machine_code_numpy_and_plain_loops_count_alike(case: tuple[Array, ...]) -> None:
    axis, before, starts, edges = case
    expected = [int(np.diff(before)[axis < edge].sum()) for edge in edges]
    plain = walked.plain  # type: ignore[attr-defined]  # what `compiled` adds
    for count in (walked, plain, swept, counted):
        assert count(axis, before, starts, edges).tolist() == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=9), st.integers(0, 60))
def test_an_edge_is_found_from_any_guess(values: list[int], step: int) -> None:
    edges = np.array(sorted(values), dtype=np.int64)
    if step >= edges[-1]:
        return
    expected = int(np.searchsorted(edges, step, side="right"))
    for guess in range(len(edges)):
        assert edge_above(edges, step, guess) == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(0, 60))
def test_the_next_level_is_found_in_jumps(values: list[int], edge: int) -> None:
    axis = np.array(sorted(values), dtype=np.int64)
    for here in range(int(np.searchsorted(axis, edge))):
        assert level_from(axis, edge, here, len(axis)) == int(np.searchsorted(axis, edge))


SCRIPT = """
import tests.domains.test_routing_batches as t
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


def test_the_switch_decides_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(stacks, "walked", lambda *_: called.append("loops"))
    monkeypatch.setattr(stacks, "swept", lambda *_: called.append("arrays"))
    empty = np.zeros(0, dtype=np.int64)
    for compiling in (True, False):
        monkeypatch.setattr(stacks, "is_compiling", lambda compiling=compiling: compiling)
        counted(empty, empty, empty, empty)
    assert called == ["loops", "arrays"]


# ---- orders and their outcomes


def test_a_leg_a_book_is_sent_and_limited_to_its_worst_level() -> None:
    market = examples()[0]
    solution = play(Search(), market.coupling, market.problems).solution
    actions, planned, _ = market.problems[0].commit(commit_query(solution.points), EMPTY, PLAN)
    assert [(leg.instrument, leg.limit_ticks, leg.most_units) for leg in actions.legs] == [
        ("asset.0", "100", "4"),
        ("asset.1", "100", "3"),
    ]
    assert integers(planned) == (7,)
    everyone = [p.commit(commit_query(solution.points), EMPTY, PLAN)[1] for p in market.problems]
    assert integers(total(everyone)) == (12,)


def test_a_sold_book_is_limited_to_its_lowest_price() -> None:
    market = examples()[1]
    solution = play(Search(), market.coupling, market.problems).solution
    (problem,) = market.problems
    actions, _, _ = problem.commit(commit_query(solution.points), EMPTY, PLAN)
    limits = [(leg.side, leg.limit_ticks, leg.most_units) for leg in actions.legs]
    assert limits == [("sell", "98", "6"), ("sell", "100", "3")]


def test_fills_of_a_batch_are_settled_as_those_of_a_book() -> None:
    (problem, _) = examples()[0].problems
    actions, planned, _ = problem.commit(commit_query((100 << 1, 9)), EMPTY, PLAN)
    fill = Fill(leg=0, price_ticks="100", quantity_steps="3", units="3")
    report = Outcome(order=PLAN, status="unknown", fills=(fill,), swaps=(), reason=None)
    settle = Query(kind="settle", after=None, multipliers=None, points=())
    deeds = [Acted(planned, actions, [report]), Acted(planned, actions, None)]
    executed, unknown = problem.settle(settle, deeds)
    assert (integers(executed), integers(unknown)) == ((3,), (4 + 7,))


# ---- what is refused


BAD: dict[str, tuple[object, object]] = {
    "a price of nothing": ([[0]], [[1]]),
    "a price that improves": ([[5, 4]], [[1, 1]]),
    "negative lots": ([[5]], [[-1]]),
    "another shape": ([[5]], [[1, 2]]),
    "another dimension": ([5], [1]),
    "no integers": ([[5.0]], [[1]]),
    "beyond 64 bits": (np.array([[2**64 - 1]], dtype=np.uint64), [[1]]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_table_that_makes_no_books_is_refused(name: str) -> None:
    prices, lots = (np.asarray(each) for each in BAD[name])
    with pytest.raises(BadInput) as caught:
        Routing().problem(goal(5), [member(0)], member(0), Books(prices, lots), {})
    assert caught.value.field == "state"


def test_books_may_end_and_begin_at_any_price() -> None:
    books = Books(np.array([[5, 9], [2, 7]]), np.array([[1, 1], [1, 1]]))
    made = Routing().problem(goal(5), [member(0)], member(0), books, {})
    assert integers(made.answer(depth_query([6, 0, 9]), EMPTY)[0]) == (2, 0, 3, 7)


def test_what_could_leave_64_bits_is_refused_and_nothing_less() -> None:
    largest, price = (2**63 - 1) // 3, 2**39
    fits = largest // price
    members = [member(0), member(1), member(2)]
    for lots in (fits, fits + 1, 2**62):
        books = Books(np.array([[price]]), np.array([[lots]]))
        wanted = goal(1).model_copy(update={"remaining": (str(lots),)})
        if lots > fits:
            with pytest.raises(HeadroomMissing):
                Routing().problem(wanted, members, members[0], books, {})
            continue
        made = Routing().problem(wanted, members, members[0], books, {})
        assert integers(made.answer(depth_query([2**45]), EMPTY)[0]) == (lots, lots * price)
    above = Books(np.array([[HIGHEST_PRICE + 1]]), np.array([[1]]))
    with pytest.raises(HeadroomMissing):
        Routing().problem(goal(5), [member(0)], member(0), above, {})


def test_without_the_exact_sum_a_wrapped_value_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: no exact sum where 64 bits might not hold it; 2^64 lots' value then looks like 0."""
    books = Books(np.full((1, 4), 2**31), np.full((1, 4), 2**31))
    wanted = goal(2**40)
    with pytest.raises(HeadroomMissing):
        Routing().problem(wanted, [member(0)], member(0), books, {})
    monkeypatch.setattr(stacks, "_exactly", lambda _lots, _price: (0, 0))
    made = Routing().problem(wanted, [member(0)], member(0), books, {})
    assert integers(made.answer(depth_query([2**40]), EMPTY)[0])[-1] == 0


@pytest.mark.parametrize("key", ["fee_bps", "basis_bps"])
def test_charges_beside_all_in_prices_are_refused(key: str) -> None:
    books = Books(np.array([[5]]), np.array([[1]]))
    with pytest.raises(BadInput) as caught:
        Routing().problem(goal(5), [member(0)], member(0), books, {key: "1"})
    assert caught.value.field == f"party.config.{key}"
    Routing().problem(goal(5), [member(0)], member(0), books, {key: "0"})


def test_what_a_batch_does_not_offer_is_refused() -> None:
    (problem, _) = examples()[0].problems
    for kind in ("respond", "score"):
        with pytest.raises(CapabilityMissing):
            problem.answer(
                Query(kind=kind, after=None, multipliers=None, points=("1",)),
                EMPTY,
            )
    with pytest.raises(LayoutMismatch):
        problem.answer(depth_query([]), EMPTY)
    with pytest.raises(LayoutMismatch):
        problem.commit(commit_query([1]), EMPTY, PLAN)


def test_degenerate_batches_are_planned_as_far_as_they_go() -> None:
    empty = Market(goal(5), (((),), (((7, 3),),)))
    solution = play(Search(), empty.coupling, empty.problems).solution
    assert (solution.status, solution.shortfall, solution.value) == ("certified", 2, 21)
    nothing = Market(goal(5), (((), ()),))
    assert play(Search(), nothing.coupling, nothing.problems).solution.status == "infeasible"
    below = Market(goal(5, limit_price=6), ((((7, 3),),),))
    assert play(Search(), below.coupling, below.problems).solution.status == "infeasible"
    done = goal(5).model_copy(update={"remaining": ("0",)})
    over = Market(done, ((((7, 3),),),))
    assert play(Search(), over.coupling, over.problems).solution.status == "infeasible"


def test_probes_beyond_64_bits_are_the_ends() -> None:
    (problem, _) = examples()[0].problems
    points = [-(2**70), 2**70]
    assert integers(problem.answer(depth_query(points), EMPTY)[0]) == (0, 16, 0)


# ---- at scale, and through the kernel


def large(venues: int = 1000, depth: int = 50, seed: int = 1) -> Market:
    """The family `sor` of the benchmarks, all books in two parties."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([2, seed, venues, depth])))
    ticks = 12_000 + random.integers(1, 12, venues)[:, None]
    ticks = ticks + np.cumsum(random.integers(1, 4, (venues, depth)), axis=1)
    fee = np.array([0, 5, 10, 20, 45])[random.integers(0, 5, venues)][:, None]
    prices = ticks * 10_000 - (-ticks * 10_000 * fee) // 100_000
    lots = random.integers(1, 200, (venues, depth)) * (1 + np.arange(depth) // 5)
    half = venues // 2
    parts = [zip(prices[a], lots[a], strict=True) for a in (slice(half), slice(half, None))]
    parties = tuple(
        tuple(tuple(zip(p.tolist(), q.tolist(), strict=True)) for p, q in part) for part in parts
    )
    return Market(goal(int(lots.sum()) * 3 // 10), parties)


def test_a_thousand_books_are_merged_exactly_in_at_most_five_rounds() -> None:
    market = large()
    ended = play(Search(), market.coupling, market.problems)
    best = merge(market)
    assert (ended.solution.value, ended.solution.shortfall) == (best.value, 0)
    assert len(ended.queries) <= 5
    planned = [
        p.commit(commit_query(ended.solution.points), EMPTY, PLAN)[1] for p in market.problems
    ]
    assert integers(total(planned)) == (market.coupling.wanted,)
    again = play(Search(), market.coupling, market.problems, ended.solution.warm)
    assert (len(again.queries), again.solution.stands) == (1, True)
    books = list(market.parties[0])
    books[0] = tuple((price, 2 * lots) for price, lots in books[0])
    moved = Market(market.goal, (tuple(books), market.parties[1]))
    assert len(play(Search(), moved.coupling, moved.problems, ended.solution.warm).queries) <= 2


def test_equal_tables_say_equal_bytes_whatever_their_layout() -> None:
    market = large(40)
    books = market.states[0]
    turned = Books(np.asfortranarray(books.prices), np.asfortranarray(books.lots))
    answers = [
        Routing()
        .problem(market.goal, market.members, member(0), state, {})
        .answer(depth_query([2**28, 2**29]), EMPTY)[0]
        for state in (books, turned)
    ]
    assert to_bytes(answers[0]) == to_bytes(answers[1])


def test_a_notebook_plans_with_tables_of_books() -> None:
    market = examples()[0]
    given = dict(zip(("north", "south"), market.states, strict=True))
    result = covenue.plan(market.goal, given)
    assert (result.value, result.gap) == (merge(market).value, 0)
    assert np.asarray(result.plan).sum() == 12
    other = dict(given, north=Books(given["north"].prices + 1, given["north"].lots))
    assert covenue.plan(market.goal, other).value > result.value
