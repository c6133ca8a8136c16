"""Venues of domain-execution pulled to centres, and whole lots that `admm` finds on a path."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domains.execution_markets import book_example, drawn_example, example, goal, table
from tests.domains.ladder_markets import Played, commit_query, play

from covenue.errors import LayoutMismatch
from covenue.hooks.domains import EMPTY
from covenue.hooks.prox import COEFFICIENT_BITS, ProxQuestion
from covenue.hooks.solvers import Solution, Solver, Total
from covenue.numerics.words import integers, total, words
from covenue.testing.domains import DomainExample
from covenue.testing.solvers import SolverExample, query_digest, solver_conformance
from covenue_contracts.shared import DualVariables, Query
from covenue_domain_execution import Execution, kernels
from covenue_domain_execution.goals import GRID, read_terms
from covenue_domain_execution.kernels import Rows
from covenue_domain_execution.prox import RowProx
from covenue_domain_execution.tables import rows_of
from covenue_solver_admm import Admm, lots
from covenue_solver_dual import Dual

optimize: Any = import_module("scipy.optimize")
PLAN = "0" * 64
ONE = 1 << COEFFICIENT_BITS


def solved(made: DomainExample, solver: Solver | None = None) -> Played:
    domain = Execution()
    coupling = domain.coupling(made.goal, made.members)
    return play(solver or Admm(), coupling, made.problems(domain), rounds_most=1000)


# ---- the minimum


def nearest_by_bisection(rows: Rows, i: int, slope: Any, weights: Any) -> Any:
    """A row's minimum of (a - slope) x + (eta + w) x^2 / 2 by a general root finder on mu."""

    def taken(mu: float) -> Any:
        return np.clip((slope - rows.costs[i] - mu) / (rows.steep[i] + weights), 0, rows.caps[i])

    if taken(0.0).sum() <= rows.credits[i]:
        return taken(0.0)
    top = float((slope - rows.costs[i]).max())
    return taken(optimize.brentq(lambda mu: taken(mu).sum() - rows.credits[i], 0.0, top,
                                 xtol=1e-15, rtol=1e-14))  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), far=st.floats(-500.0, 500.0), bits=st.integers(-24, -8))
def test_what_is_nearest_is_the_minimum_within_caps_and_credit(
    seed: int, far: float, bits: int
) -> None:
    terms = read_terms(goal(700, 4))
    rows = rows_of(table(3, 4, seed), terms)
    price = terms.price / GRID
    weights = np.full(4, price * price * 2.0**bits)
    offs = far * np.array([[1.0, -0.5, 0.3, 2.0], [0.1, 0.2, 0.3, 0.4], [-1.0, 1.0, 0.0, 3.0]])
    found = RowProx(terms, rows).nearest(offs + price / weights, weights)
    lot = 2**terms.scale_bits
    for i in range(3):
        wanted = nearest_by_bisection(rows, i, weights * offs[i], weights)
        assert np.abs(found.nets[i] / lot - wanted).max() <= 1e-5
    amounts = found.nets / lot
    assert bool((found.nets >= 0).all() and (amounts <= rows.caps).all())
    assert bool((found.nets.sum(axis=1) <= rows.credits * lot).all())
    exact = float(
        (rows.costs * amounts + rows.steep * amounts**2 / 2).sum() + price * amounts.sum()
    )
    assert 0 <= found.cost / 2**terms.value_bits - exact <= 1e-4


def test_the_prox_has_the_same_bits_in_loops_and_in_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terms = read_terms(goal(700, 5))
    prox = RowProx(terms, rows_of(table(4, 5, 3), terms))
    weights = np.full(5, 1e4 * 2.0**-20)
    centres = np.linspace(-90.0, 200.0, 20).reshape(4, 5) + 100.0 / weights
    found = []
    for is_compiled in (True, False):
        monkeypatch.setattr(kernels, "is_compiling", lambda answer=is_compiled: answer)
        found.append(prox.nearest(centres, weights))
    assert found[0].nets.any()
    assert found[0].nets.tobytes() == found[1].nets.tobytes()
    assert found[0].cost == found[1].cost


def asked(size: int, shares: tuple[int, ...] = (), price: int = 100) -> Query:
    made = ProxQuestion(-20, 0, (), (0,) * size, (2**34,) * size, shares)
    values = (str(price << 40),) * size
    return made.query(None, DualVariables(scale_bits=40, values=values))


def test_every_row_is_a_point_and_the_width_is_what_the_coupling_says() -> None:
    made = drawn_example()
    domain = Execution()
    coupling = domain.coupling(made.goal, made.members)
    for party, rows in zip(made.problems(domain), (2, 3), strict=True):
        memory = EMPTY
        for shares in ((), (ONE,), (2 * ONE, -ONE)):
            found, memory = party.answer(asked(5, shares), memory)
            assert len(found) == coupling.width(asked(5, shares))
            assert integers(found)[7] == rows
        with pytest.raises(LayoutMismatch, match="band"):
            party.answer(asked(5, price=10**6), EMPTY)


# ---- whole lots on a path


def examples() -> list[SolverExample]:
    domain = Execution()
    made = [drawn_example(), example([table(1, 1, 3)], goal(20, 1)), drawn_example(3, 1200, 12)]
    return [SolverExample(domain.coupling(m.goal, m.members), m.problems(domain)) for m in made]


def plain() -> Admm:
    """Plain steps: this suite keeps no memory, so that everybody starts from the mean."""
    return Admm(memory=0)


TestAdmmOnPaths = solver_conformance(plain, lambda: examples()[1:2])


@pytest.mark.parametrize("seed", range(4))
def test_both_solvers_of_paths_place_all_lots_within_each_others_bounds(seed: int) -> None:
    made = drawn_example(seed, 900 + 100 * seed, 6 + 5 * seed)
    played, other = solved(made), solved(made, Dual()).solution
    found = played.solution
    assert found.status == other.status == "certified"
    assert found.value <= other.bound
    assert other.value <= found.bound
    assert played.rounds <= 80
    parties = made.problems(Execution())
    plans = [party.commit(commit_query(found), EMPTY, PLAN)[1] for party in parties]
    summed = total(plans)
    assert sum(integers(summed)) == 900 + 100 * seed
    assert Execution().coupling(made.goal, made.members).admits(summed, made.goal)


def test_an_order_beyond_all_that_is_offered_is_infeasible_by_what_is_missing() -> None:
    made = drawn_example(1, 10**6)
    found, other = solved(made), solved(made, Dual()).solution
    assert (found.solution.status, found.rounds) == ("infeasible", 1)
    lot = Execution().coupling(made.goal, made.members).tracking.lot
    assert abs(found.solution.shortfall - other.shortfall) <= 5 * 5 * lot


def test_lots_too_coarse_for_the_tolerance_end_with_the_best_plan() -> None:
    """Books of few lots: no plan is within 1e-5, and trying again has an end."""
    made = book_example()
    played = solved(made)
    assert played.solution.status == "stalled"
    assert played.rounds <= 300
    assert played.solution.value <= played.solution.bound
    parties = made.problems(Execution())
    plans = [p.commit(commit_query(played.solution), EMPTY, PLAN)[1] for p in parties]
    assert sum(integers(total(plans))) == 400


def test_a_warm_start_on_a_path_needs_fewer_rounds() -> None:
    made = drawn_example(1, 1000, 11)
    domain = Execution()
    coupling, parties = domain.coupling(made.goal, made.members), made.problems(domain)
    cold = play(Admm(), coupling, parties)
    warm = play(Admm(), coupling, parties, warm=cold.solution.warm, kept=cold.memories)
    assert warm.solution.status == "certified"
    assert warm.rounds < cold.rounds


def _until(phase: str) -> tuple[Any, Query]:
    """A search on a path up to where this is due."""
    made = drawn_example()
    domain = Execution()
    coupling, parties = domain.coupling(made.goal, made.members), made.problems(domain)
    state: Any = Admm().start(coupling, None)
    memories = [EMPTY] * len(parties)
    while True:
        query = Admm().ask(state, query_digest)
        if state.lots.phase == phase:
            return state, query
        answers = [p.answer(query, m) for p, m in zip(parties, memories, strict=True)]
        memories = [kept for _, kept in answers] if query.kind == "prox" else memories
        state = Admm().tell(state, Total(total([each for each, _ in answers]), ("a", "b"), True,
                                         query_digest(query)))  # fmt: skip


@pytest.mark.parametrize("phase", ["supply", "recover", "certify"])
def test_totals_that_no_lots_can_give_end_without_a_plan(phase: str) -> None:
    state, query = _until(phase)
    width = 7 if query.kind == "certify" else len(query.points) + 1
    for values in ([0] * (width + 1), [-1] * width, [2**62] * width, [1] * width):
        if phase == "supply" and values == [1] * width:
            continue
        end = Admm().tell(state, Total(words(values), ("a",), exact=True))
        if isinstance(end, Solution):
            assert (end.status, end.points) == ("stalled", ())
        else:
            assert phase == "recover"
            assert end.lots is not None
            assert end.lots.tries == 1


def test_without_the_check_of_the_whole_order_a_plan_that_lacks_lots_is_certified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: a cohort says of a plan that it is one lot short, and cheap."""
    state, query = _until("certify")
    path, best = state.terms.tracking.path, state.best
    nets = [b - a for a, b in zip((0, *path), path, strict=False)]
    nets[-1] -= state.terms.tracking.lot
    value = best.bound - state.terms.of_products(
        sum(r * n for r, n in zip(state.terms.reference, nets, strict=True))
    )
    cost = -value >> (state.terms.fine_bits - state.terms.value_bits)
    release = Total(words([2**50, *nets, cost]), ("a", "b"), exact=True)
    honest = Admm().tell(state, release)
    assert isinstance(honest, Solution)
    assert honest.status == "stalled"
    monkeypatch.setattr(lots, "is_whole_order", lambda tracking, nets: True)
    monkeypatch.setattr("covenue_solver_admm.answers.admitted", lambda terms, answer: True)
    fooled = Admm().tell(state, release)
    assert isinstance(fooled, Solution)
    assert fooled.status == "certified"
    assert query.kind == "certify"
