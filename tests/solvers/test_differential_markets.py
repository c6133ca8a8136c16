"""Every solver on every family it claims against the one that sees everything: the harder markets.

Ranges of liquidity, order books beside pools, whole lots along a path, baskets under a budget, and
their degenerate instances.
"""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tests.domains import execution_markets, ladder_markets
from tests.domains.pool_markets import book, example, goal, pools
from tests.domains.test_routing_baskets import Market

from covenue.hooks.solvers import Solution, Solver
from covenue.hooks.venues import BookState, PoolBatch
from covenue.testing.differential import Rules, differential_conformance
from covenue.testing.domains import DomainExample
from covenue.testing.solvers import SolverExample, play
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_execution import Execution
from covenue_solver_dual import Dual, Lbfgs
from covenue_solver_dual.tracked_entry import Manner
from covenue_solver_proximal import Proximal
from covenue_solver_reference import Reference
from covenue_solver_search import Search

ENCLOSING = Rules(must_certify=False)
LOTS = Rules(tolerance=Fraction(1, 10**5), must_certify=False)


def patiently(solver: Solver, case: SolverExample) -> Solution:
    """For solvers that may take more rounds than a test allows as a rule."""
    return play(solver, case.coupling, case.problems, rounds_max=600).solution


def arbitraged(made: DomainExample) -> SolverExample:
    domain = Arbitrage()
    return SolverExample(domain.coupling(made.goal, made.members), made.problems(domain))


def executed(made: DomainExample) -> SolverExample:
    domain = Execution()
    return SolverExample(domain.coupling(made.goal, made.members), made.problems(domain))


# ---- ranges of liquidity: parts of reserves, sides that give nothing, reserves over twelve orders


@st.composite
def ranged(draw: st.DrawFn, *, spread: int = 2, fees: tuple[int, ...] = (100, 3000)) -> Any:
    """Pools whose sides give a part of what they hold; `spread` powers of ten between them."""
    size = draw(st.integers(2, 4))
    names = tuple("abcd"[:size])
    states = []
    for _ in range(draw(st.integers(1, 3))):
        rows, parts = [], []
        for _ in range(draw(st.integers(1, 5))):
            a = draw(st.integers(0, size - 1))
            b = (a + draw(st.integers(1, size - 1))) % size
            worth = 10.0 ** draw(st.integers(-(spread // 2), spread - spread // 2))
            off = draw(st.sampled_from([1.0, 1.0, 0.97, 1.05]))
            rows.append((a, b, worth / (a + 1), worth * off / (b + 1), draw(st.sampled_from(fees))))
            parts.append(draw(st.tuples(*[st.sampled_from([0, 1, 30, 500, 1000])] * 2)))
        whole = pools(names, rows)
        available = whole.reserves // 1000 * np.array(parts, dtype=np.int64)
        full = np.array(parts, dtype=np.int64) == 1000
        states.append(replace(whole, available=np.where(full, whole.reserves, available)))
    return arbitraged(example(goal(names), states))


TestDualOnRanges = differential_conformance(Dual, Reference, ranged(), ENCLOSING, 25)
TestLbfgsOnRanges = differential_conformance(Lbfgs, Reference, ranged(), ENCLOSING, 25)
EXTREME = ranged(spread=12, fees=(0, 3000, 999_999))
TestDualOnExtremeRanges = differential_conformance(Dual, Reference, EXTREME, ENCLOSING, 25)
TestLbfgsOnExtremeRanges = differential_conformance(Lbfgs, Reference, EXTREME, ENCLOSING, 25)


# ---- order books: empty, crossed, of equal prices; beside a pool or alone

LEVEL = st.tuples(st.integers(1990, 2010), st.sampled_from([1, 40, 900, 10**5]))


@st.composite
def booked(draw: st.DrawFn) -> SolverExample:
    states: list[BookState | PoolBatch] = []
    for _ in range(draw(st.integers(1, 2))):
        sides = [draw(st.lists(LEVEL, max_size=4, unique_by=lambda row: row[0])) for _ in "ab"]
        states.append(book(sorted(sides[0], reverse=True), sorted(sides[1])))
    if draw(st.booleans()):
        off = draw(st.sampled_from([1.0, 0.95, 1.05]))
        states.append(pools(("a", "b"), [(0, 1, 2000.0 * off, 1000.0, 3000)]))
    made = goal(("a", "b"), jumps=True, slope_bits=12, margin=("0", "0.05"), band=2)
    return arbitraged(example(made, states))


TestDualOnBooks = differential_conformance(Dual, Reference, booked(), ENCLOSING, 25)
TestLbfgsOnBooks = differential_conformance(Lbfgs, Reference, booked(), ENCLOSING, 12, patiently)
TestProximalOnBooks = differential_conformance(
    Proximal, Reference, booked(), ENCLOSING, 12, patiently
)


# ---- ladders: nothing on one side, one price everywhere, no capital, no room


@st.composite
def laddered(draw: st.DrawFn) -> SolverExample:
    parties, instruments, levels = draw(st.integers(1, 2)), draw(st.integers(1, 2)), 3
    whole = ladder_markets.table(2 * parties, instruments, levels, draw(st.integers(0, 2**20)))
    sort = draw(st.sampled_from(["no asks", "no bids", "one price", "no capital", "plain"]))
    if sort == "one price":
        whole["ask"], whole["bid"] = (
            np.full_like(whole["ask"], 99.5),
            np.full_like(whole["bid"], 100.5),
        )
    if sort == "no capital":
        whole["capital"] = np.zeros_like(whole["capital"])
    if sort in {"no asks", "no bids"}:
        side = "ask_size" if sort == "no asks" else "bid_size"
        whole[side] = np.zeros_like(whole[side])
    made = ladder_markets.goal(instruments)
    return arbitraged(ladder_markets.example(made, ladder_markets.deal(whole, parties)))


TestProximalOnDegenerateLadders = differential_conformance(
    Proximal, Reference, laddered(), ENCLOSING, 10, patiently
)


# ---- execution: whole lots, little and much wanted, caps and credits of nothing, one slice


@st.composite
def scheduled(draw: st.DrawFn, *, plain: bool = False) -> SolverExample:
    slices, parties = draw(st.integers(2 if plain else 1, 6)), draw(st.integers(1, 3))
    tables = [
        execution_markets.table(draw(st.integers(1, 3)), slices, draw(st.integers(0, 2**20)))
        for _ in range(parties)
    ]
    for each in tables:
        if plain:  # so many lots that whole ones cost next to nothing
            each.update(
                cap=40.0 * each["cap"], credit=40.0 * each["credit"], eta=each["eta"] / 40.0
            )
        sort = "plain" if plain else draw(st.sampled_from(["plain", "shut", "broke", "alike"]))
        if sort == "shut":
            each["cap"][:, draw(st.integers(0, slices - 1))] = 0.0
        if sort == "broke":
            each["credit"][0] = 0.0
        if sort == "alike":
            each["a"][:], each["eta"][:] = 0.5, 0.01
    depth = sum(
        int(np.minimum(np.floor(each["cap"]).sum(axis=1), np.floor(each["credit"])).sum())
        for each in tables
    )
    parts = [depth // 3, depth // 2] if plain else [1, 3, depth // 2, depth, depth + 1, 3 * depth]
    made = execution_markets.goal(max(1, draw(st.sampled_from(parts))), slices)
    if not plain and draw(st.sampled_from([False] * 9 + [True])):
        made = made.model_copy(update={"remaining": ("0",) * slices})
    return executed(execution_markets.example(tables, made))


TestDualOnExecution = differential_conformance(
    Dual, Reference, scheduled(plain=True), Rules(tolerance=LOTS.tolerance), 20
)
TestDualOnDegenerateExecution = differential_conformance(Dual, Reference, scheduled(), LOTS, 25)
TestDualOnASchedule = differential_conformance(
    lambda: Dual(manner=Manner(scheduled=True)), Reference, scheduled(plain=True), LOTS, 10
)
TestModellingOnExecution = differential_conformance(
    lambda: Reference(modelling="cvxpy"), Reference, scheduled(plain=True), LOTS, 8
)


# ---- baskets: empty books, equal prices and ratios, budgets below one price and above all


@st.composite
def baskets(draw: st.DrawFn, *, plain: bool = False) -> SolverExample:
    """Without `plain`, the budget may be less than any lot costs.

    Between the two there may be a lot to be had, but not of the best ratio: then `search` ends
    `infeasible`, and the reference without a certificate.
    """
    values = tuple(
        draw(st.lists(st.sampled_from([5, 100, 200, 107, 2**20]), min_size=1, max_size=3))
    )
    parties = tuple(
        tuple(
            tuple(tuple(sorted(draw(_levels(value)))) for value in values)
            for _ in range(draw(st.integers(1, 2)))
        )
        for _ in range(draw(st.integers(1, 3)))
    )
    prices = [price for party in parties for each in party for side in each for price, _ in side]
    least, most = max(values), 12_000
    if not plain and draw(st.booleans()):
        least, most = 1, max(0, min(prices, default=1) - 2)
    quantities = tuple(draw(st.sampled_from([1, 7, 60, 10**6])) for _ in values)
    market = Market(values, quantities, least + draw(st.integers(0, most)), parties)
    return SolverExample(market.coupling, market.problems)


def _levels(value: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    price = st.integers(max(1, value * 8 // 10), value * 11 // 10)
    return st.lists(st.tuples(price, st.sampled_from([1, 3, 20])), max_size=3)


TestSearchOnBaskets = differential_conformance(
    Search, Reference, baskets(plain=True), Rules(), examples_most=40
)
TestSearchOnDegenerateBaskets = differential_conformance(
    Search, Reference, baskets(), ENCLOSING, examples_most=30
)
TestModellingOnBaskets = differential_conformance(
    lambda: Reference(modelling="cvxpy"), Reference, baskets(plain=True), ENCLOSING, 8
)
