"""Solvers on sums against the one that sees everything, on plain and on degenerate instances."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from tests.domains import ladder_markets
from tests.domains.pool_markets import example, goal, member, pools

from covenue.hooks.solvers import Solution, Solver
from covenue.hooks.venues import PoolBatch
from covenue.testing.differential import (
    Rules,
    check_agreement,
    differential_conformance,
)
from covenue.testing.domains import DomainExample
from covenue.testing.solvers import SolverExample, play
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_routing import Routing, buy, sell
from covenue_solver_dual import Dual, Lbfgs
from covenue_solver_proximal import Proximal
from covenue_solver_reference import Reference
from covenue_solver_search import Search

# ---- books: empty, one venue, duplicate prices, crossed, zero demand, demand above depth


@st.composite
def routed(draw: st.DrawFn) -> SolverExample:
    """Up to three venues; prices from a few, so that many are equal; sizes over six orders."""
    venues = draw(st.integers(1, 3))
    price = st.integers(1, draw(st.sampled_from([3, 40, 10**6])))
    lots = st.one_of(st.integers(1, 9), st.sampled_from([1, 10**4, 10**6]))
    level = st.tuples(price, lots)
    books = [draw(st.lists(level, max_size=8, unique_by=lambda row: row[0])) for _ in range(venues)]
    depth = sum(size for book in books for _, size in book)
    wanted = max(1, draw(st.sampled_from([1, depth // 2, depth - 1, depth, depth + 1, 3 * depth])))
    least = draw(st.sampled_from([0, 0, 1, wanted]))
    selling = draw(st.booleans())
    made = (sell if selling else buy)(str(wanted), lot="1", minimum=str(least) if least else None)
    if draw(st.sampled_from([False] * 9 + [True])):
        made = made.model_copy(update={"remaining": ("0",)})
    tables = tuple(np.array(_text(book), dtype=str).reshape(-1, 2) for book in books)
    domain, members = Routing(), tuple(member(slot) for slot in range(venues))
    case = DomainExample(made, members, tables, ({},) * venues)
    return SolverExample(domain.coupling(made, members), case.problems(domain))


def _text(book: Sequence[tuple[int, int]]) -> list[list[str]]:
    return [[str(price), str(size)] for price, size in sorted(book)]


TestSearchOnBooks = differential_conformance(Search, Reference, routed(), examples_most=60)


# ---- pools: equal prices, no fee and nearly all of it, reserves over twelve orders


@st.composite
def arbitraged(draw: st.DrawFn, *, spread: int = 0, degenerate: bool = False) -> SolverExample:
    """Up to three parties with pools of up to five assets.

    spread: reserves lie within so many powers of ten.
    """
    size = draw(st.integers(2, 5))
    parties = draw(st.integers(1, 3))
    drawn = batch(size, spread, DEGENERATE if degenerate else PLAIN)
    made = example(goal(tuple("abcde"[:size])), [draw(drawn) for _ in range(parties)])
    domain = Arbitrage()
    return SolverExample(domain.coupling(made.goal, made.members), made.problems(domain))


Sorts = tuple[tuple[float, ...], tuple[int, ...]]
PLAIN: Sorts = ((1.0, 0.99, 1.02, 1.05, 0.97), (100, 500, 3000, 10_000))
DEGENERATE: Sorts = ((1.0, 1.0, 0.99, 1.02, 1.3, 0.5), (0, 0, 100, 10_000, 999_999))
"""How far pools lie from the references, and fees in parts per million."""


@st.composite
def batch(draw: st.DrawFn, size: int, spread: int, sorts: Sorts) -> PoolBatch:
    offs, fees = sorts
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        a = draw(st.integers(0, size - 1))
        b = (a + draw(st.integers(1, size - 1))) % size
        lowest = min(3 - spread // 2, 6 - spread)
        worth = 10.0 ** draw(st.integers(lowest, lowest + spread))
        off, fee = draw(st.sampled_from(offs)), draw(st.sampled_from(fees))
        rows.append((a, b, worth / (a + 1), worth * off / (b + 1), fee))
    return pools(tuple("abcde"[:size]), rows)


ENCLOSING = Rules(must_certify=False)
TestDualOnPools = differential_conformance(Dual, Reference, arbitraged(), examples_most=25)
TestLbfgsOnPools = differential_conformance(Lbfgs, Reference, arbitraged(), examples_most=25)
TestDualOnDegeneratePools = differential_conformance(
    Dual, Reference, arbitraged(degenerate=True), ENCLOSING, examples_most=25
)
TestLbfgsOnDegeneratePools = differential_conformance(
    Lbfgs, Reference, arbitraged(degenerate=True), ENCLOSING, examples_most=25
)
TestDualOnUnlikePools = differential_conformance(
    Dual, Reference, arbitraged(spread=12, degenerate=True), ENCLOSING, examples_most=25
)
TestLbfgsOnUnlikePools = differential_conformance(
    Lbfgs, Reference, arbitraged(spread=12, degenerate=True), ENCLOSING, examples_most=15
)
TestModellingOnPools = differential_conformance(
    lambda: Reference(modelling="cvxpy"), Reference, arbitraged(), ENCLOSING, examples_most=8
)


# ---- ladders that share capital: the linear program's bound, on plans of another kind


@st.composite
def laddered(draw: st.DrawFn) -> SolverExample:
    parties, instruments, levels = (draw(st.integers(1, most)) for most in (3, 5, 8))
    seed = draw(st.integers(0, 2**20))
    made = ladder_markets.drawn_example(parties, instruments, levels, seed)
    domain = Arbitrage()
    return SolverExample(domain.coupling(made.goal, made.members), made.problems(domain))


def with_memory(solver: Solver, case: SolverExample) -> Solution:
    return ladder_markets.play(solver, case.coupling, case.problems).solution


TestProximalOnLadders = differential_conformance(
    Proximal, Reference, laddered(), Rules(must_certify=False, is_tight=True), 15, with_memory
)


def test_the_bound_on_ladders_is_the_linear_program_of_another_hand() -> None:
    made = ladder_markets.drawn_example(2, 3, 6, seed=3)
    domain = Arbitrage()
    case = SolverExample(domain.coupling(made.goal, made.members), made.problems(domain))
    bound = with_memory(Reference(), case).bound
    optimum = ladder_markets.optimum(made.states, 20.0) * 2**30
    assert abs(bound - optimum) <= 1e-8 * optimum


# ---- the suite can fail


def test_a_worse_plan_another_end_and_a_false_bound_are_seen() -> None:
    made = example(goal(("a", "b")), [pools(("a", "b"), [(0, 1, 2100.0, 1000.0, 0)]),
                                      pools(("a", "b"), [(0, 1, 2000.0, 1000.0, 0)])])  # fmt: skip
    domain = Arbitrage()
    case = SolverExample(domain.coupling(made.goal, made.members), made.problems(domain))
    true = play(Dual(), case.coupling, case.problems).solution
    other = play(Reference(), case.coupling, case.problems).solution
    assert true.value > 2**20
    check_agreement(case, true, other, Rules())
    for wrong in (
        replace(true, value=true.value * 99 // 100),
        replace(true, status="infeasible"),
        replace(true, status="stalled"),
        replace(true, shortfall=1),
    ):
        with pytest.raises(AssertionError):
            check_agreement(case, wrong, other, Rules())
    tight = Rules(must_certify=False, is_tight=True)
    with pytest.raises(AssertionError):
        check_agreement(case, replace(true, value=true.value * 99 // 100), other, tight)
    low = replace(other, status="stalled", value=0, bound=other.value // 2)
    none = replace(other, status="infeasible", value=0, bound=0)
    for wrong in (low, none):
        with pytest.raises(AssertionError):
            check_agreement(case, true, wrong, ENCLOSING)


def test_a_solver_that_claims_another_value_is_caught() -> None:
    """Mutant: the suite as it is applied, on a solver that lies."""

    class Boastful(Search):
        def tell(self, state: Any, release: Any) -> Any:
            end = super().tell(state, release)
            return replace(end, value=end.value + 10**9) if isinstance(end, Solution) else end

    members, table = (member(0),), np.array([["1", "5"], ["2", "9"]])
    problems = DomainExample(buy("7", lot="1"), members, (table,), ({},)).problems(Routing())
    case = SolverExample(Routing().coupling(buy("7", lot="1"), members), problems)
    suite = differential_conformance(Boastful, Reference, st.just(case), examples_most=1)
    with pytest.raises(AssertionError):
        suite().test_dif_001_every_drawn_instance_ends_alike()
