"""What ladders, schedules and baskets disclose, the programs made of it, and what they certify."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog  # type: ignore[import-untyped]  # scipy ships no types
from tests.domains import execution_markets, ladder_markets
from tests.domains.test_routing_baskets import Market, examples, markets, relaxed

from covenue.errors import LayoutMismatch
from covenue.hooks.domains import EMPTY
from covenue.hooks.programs import DisclosedCoupling, Program, halves
from covenue.numerics.words import Words, integers, total
from covenue.testing.solvers import play
from covenue_contracts.shared import Query
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_execution import Execution, disclosed
from covenue_domain_execution.coupling import ExecutionCoupling
from covenue_domain_execution.problem import ExecutionProblem
from covenue_domain_routing.disclosed_basket import disclose_basket, offers
from covenue_solver_dual import Dual
from covenue_solver_reference import Reference, basket
from covenue_solver_reference.certificate import Best


def bits(*floats: float) -> Words:
    return halves(np.array(floats).view(np.int64))


# ---- execution


def schedules(seed: int = 1, quantity: int = 700, slices: int = 5, **terms: Any) -> Any:
    tables = [execution_markets.table(n, slices, seed + n) for n in (2, 3)]
    made = execution_markets.example(tables, execution_markets.goal(quantity, slices, **terms))
    domain = Execution()
    coupling = domain.coupling(made.goal, made.members)
    assert isinstance(coupling, ExecutionCoupling)
    return made, coupling, made.problems(domain)


def test_what_venues_disclose_is_what_they_are_to_the_last_bit() -> None:
    _, coupling, problems = schedules()
    for problem in problems:
        assert isinstance(problem, ExecutionProblem)
        given = disclosed.opened([disclosed.disclose(problem.rows)], coupling.terms).slots[0]
        for name in ("costs", "steep", "inverse", "caps", "credits"):
            assert getattr(given, name).tobytes() == getattr(problem.rows, name).tobytes()


@pytest.mark.parametrize(
    "part",
    [
        bits(1.0, 0.5, 0.25),
        bits(-1.0, 0.5, 0.25, 8.0),
        bits(1.0, float("nan"), 0.25, 8.0),
        bits(1.0, 0.5, 0.0, 8.0),
        bits(1.0, 0.5, 0.25, -8.0),
        bits(1.0, 0.5, 0.25, float("inf")),
    ],
)
def test_words_that_are_no_venues_are_refused(part: Words) -> None:
    _, coupling, _ = schedules(slices=1)
    assert len(disclosed.opened([bits(1.0, 0.5, 0.25, 8.0)], coupling.terms).caps) == 1
    with pytest.raises(LayoutMismatch):
        disclosed.opened([part], coupling.terms)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from([40, 700, 1500]), st.integers(1, 6))
def test_the_central_plan_of_whole_lots_is_as_good_as_that_on_sums(
    seed: int, quantity: int, slices: int
) -> None:
    """Held against the little solver of the tests: bounds alike, and values within both."""
    made, coupling, problems = schedules(seed, quantity, slices)
    found = play(Reference(), coupling, problems).solution
    if found.status == "infeasible":
        return
    other = execution_markets.solve(made)
    unit = 2**coupling.value_bits
    assert other.exact
    assert found.value <= other.bound * unit + 1
    assert other.value * unit <= found.bound + 1
    assert abs(found.bound - other.bound * unit) <= 1e-4 * abs(found.bound) + 2


def test_lots_that_nobody_recovered_certify_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: the key is not where the lots reach the total."""
    _, coupling, problems = schedules()
    assert play(Reference(), coupling, problems).solution.status == "certified"
    monkeypatch.setattr(disclosed, "recovered", lambda *_: ((0, 0), 0))
    ended = play(Reference(), coupling, problems).solution
    assert (ended.status, ended.multipliers) == ("stalled", None)


@pytest.mark.parametrize("solver", [Dual(), Reference()])
def test_what_no_price_in_the_band_buys_is_infeasible(solver: Any) -> None:
    """All venues ask for more than the arrival price and the band above it."""
    _, coupling, problems = schedules(band="0.001")
    assert play(solver, coupling, problems).solution.status == "infeasible"


def test_multipliers_that_are_off_are_moved_until_the_lots_reach_the_total() -> None:
    """Half the duals would place too few lots, twice of them too many."""
    _, coupling, problems = schedules()
    words = [disclosed.disclose(problem.rows) for problem in problems]
    terms, tracking = coupling.terms, coupling.tracking
    given = disclosed.opened(words, terms)
    right = play(Reference(), coupling, problems).queries[-1]
    assert right.multipliers is not None
    excess = [int(v) - terms.price for v in right.multipliers.values]
    assert disclosed.recovered(given, terms, tracking, excess)[1] == 0
    assert disclosed.recovered(given, terms, tracking, [e // 2 for e in excess])[1] > 0
    assert disclosed.recovered(given, terms, tracking, [2 * e for e in excess])[1] < 0


# ---- ladders


def test_ladders_disclose_and_are_bounded_by_their_linear_program() -> None:
    made = ladder_markets.drawn_example(2, 2, 4, seed=5)
    domain = Arbitrage()
    coupling, problems = domain.coupling(made.goal, made.members), made.problems(domain)
    assert isinstance(coupling, DisclosedCoupling)
    assert all("DISCLOSE" in problem.capabilities for problem in problems)
    bound = play(Reference(), coupling, problems).solution.bound
    best = ladder_markets.optimum(made.states, 20.0) * 2**30
    assert abs(bound - best) <= 1e-8 * best


# ---- baskets


def lp(program: Program) -> Fraction | None:
    """The optimum by another hand than the solver's; None where there is no point."""
    e = program.rows
    matrix = np.zeros((len(program.row_low), len(program.cost)))
    np.add.at(matrix, (e.row, e.column), e.value)
    upper, lower = np.isfinite(program.row_high), np.isfinite(program.row_low)
    found = linprog(
        program.cost,
        A_ub=np.vstack([matrix[upper], -matrix[lower]]),
        b_ub=np.concatenate([program.row_high[upper], -program.row_low[lower]]),
        bounds=list(zip(program.low, program.high, strict=True)),
        method="highs",
    )
    return -Fraction(found.fun) if found.status == 0 else None


def parts_of(market: Market) -> list[Words]:
    return [disclose_basket([s.stack for s in problem.shelves]) for problem in market.problems]


@settings(max_examples=40, deadline=None)
@given(markets())
def test_the_program_of_a_basket_is_the_relaxed_optimum(market: Market) -> None:
    """A budget for less than one lot has no plan; the relaxed one would buy a part of it."""
    best = lp(market.coupling.program(parts_of(market), (), None))
    dearest = max((price for _, price, _ in market.offers), default=0)
    if market.budget >= dearest:
        assert abs((best or 0) * max(market.values) - relaxed(market)) <= Fraction(1, 10**6)
    elif best is not None:
        assert best * max(market.values) <= relaxed(market) + Fraction(1, 10**6)


@settings(max_examples=40, deadline=None)
@given(markets())
def test_a_basket_is_certified_within_one_lot_of_it(market: Market) -> None:
    found = play(Reference(), market.coupling, market.problems).solution
    if found.status == "certified":
        assert found.value <= relaxed(market) <= found.bound
        assert relaxed(market) - found.value < max(market.values)


def asked(market: Market, points: Sequence[int]) -> Best:
    query = Query(
        kind="depth", after=None, multipliers=None, points=tuple(str(point) for point in points)
    )
    answers = [problem.answer(query, EMPTY)[0] for problem in market.problems]
    return basket.counted(market.coupling, query, integers(total(answers)))


def shifted(market: Market) -> list[Best]:
    """What the honest answers show at the right points with one of them moved."""
    (query,) = market.coupling.proposals(parts_of(market), _NO_OPTIMUM)
    points = [int(point) for point in query.points]
    found = [asked(market, points)]
    for place in range(len(market.values), len(points)):
        for by in (-1, 1):
            moved = [point + by * (k == place) for k, point in enumerate(points)]
            try:
                found.append(asked(market, moved))
            except LayoutMismatch:
                continue
    return found


_NO_OPTIMUM: Any = None


@settings(max_examples=25, deadline=None)
@given(markets())
def test_whatever_is_asked_a_basket_claims_no_more_than_there_is(market: Market) -> None:
    for best in shifted(market):
        assert best.bound is None or best.bound >= relaxed(market)
        assert best.plan is None or best.plan.value <= relaxed(market)


def test_without_the_check_of_cuts_a_false_claim_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: any cut will do; then some bound lies below the optimum."""
    every = [(best, relaxed(m)) for m in examples() for best in shifted(m)]
    assert all(best.bound is None or best.bound >= most for best, most in every)
    monkeypatch.setattr(basket, "_is_cut", lambda *_: True)
    every = [(best, relaxed(m)) for m in examples() for best in shifted(m)]
    assert any(best.bound is not None and best.bound < most for best, most in every)


@pytest.mark.parametrize("rows", [[0, 5], [2, 5, 1], [-1, 5, 1], [0, 0, 1], [0, 100, 1], [0, 5, 0]])
def test_words_that_are_no_levels_are_refused(rows: list[int]) -> None:
    assert len(offers([halves(np.array([0, 5, 1]))], (100, 200)).lots) == 1
    with pytest.raises(LayoutMismatch):
        offers([halves(np.array(rows))], (100, 200))
