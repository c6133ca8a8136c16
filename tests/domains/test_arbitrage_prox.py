"""Venues of domain-arbitrage pulled to centres: minima by another hand, and plans that are kept."""

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domains.execution_markets import book
from tests.domains.ladder_markets import (
    Played,
    Reals,
    Table,
    commit_query,
    deal,
    drawn_example,
    example,
    goal,
    optimum,
    play,
    table,
)
from tests.domains.pool_markets import pools

from covenue.errors import CapabilityMissing, LayoutMismatch
from covenue.hooks.domains import EMPTY, Memory
from covenue.hooks.prox import COEFFICIENT_BITS, ProxQuestion, prox_memory
from covenue.hooks.solvers import Solver
from covenue.hooks.venues import BookState
from covenue.numerics.words import Words, integers, total
from covenue.testing.domains import DomainExample
from covenue_contracts.local import Actions
from covenue_contracts.shared import DualVariables, Query
from covenue_domain_arbitrage import Arbitrage, ladders_kernel, prox_kernel
from covenue_domain_arbitrage.goals import read_terms
from covenue_domain_arbitrage.ladders import Ladders
from covenue_domain_arbitrage.ladders_table import ladders_of
from covenue_domain_arbitrage.problem import ArbitrageProblem
from covenue_domain_arbitrage.prox import LadderProx
from covenue_solver_admm import Admm

PLAN = "0" * 64
clarabel: Any = import_module("clarabel")
csc_matrix: Any = import_module("scipy.sparse").csc_matrix
ONE = 1 << COEFFICIENT_BITS
WORD = 2.0**-30
EXPONENT = -24
UNITS = {"references": ("100", "100", "1")}


def ladders(made: Table, instruments: int, exposure: str = "20") -> Ladders:
    return ladders_of(made, read_terms(goal(instruments, exposure)))


def pull(loose: bool, instruments: int, exponent: int = EXPONENT) -> Reals:
    """Weights of a query; the quote asset is free where `loose`."""
    worth = np.array([100.0] * instruments + [1.0])
    weights = worth * worth * 2.0**exponent
    weights[-1] *= 0.0 if loose else 1.0
    return np.asarray(weights)


def objective(nets: Reals, offs: Reals, weights: Reals) -> float:
    """What is minimised around references: w (net - off - r / w)^2 / 2, less what is constant."""
    worth = np.array([100.0] * (len(weights) - 1) + [1.0])
    return float((weights * (nets - offs) ** 2).sum()) / 2 - float((worth * nets).sum())


def least(made: Table, offs: Reals, weights: Reals) -> float:
    """The minimum by a quadratic program of all levels, venue by venue, in Clarabel.

    Variables: levels bought and sold, and net amounts, all as parts of one great value.
    """
    worth = np.array([100.0] * (len(weights) - 1) + [1.0])
    pull_, found = weights / worth**2, 0.0
    far = max(1000.0, float(np.abs(offs * worth).max()))
    scale = max(float(pull_.max()) * far * far, far)
    for i in range(len(made["ask"])):
        ask, bid = made["ask"][i], made["bid"][i]
        size, m = ask.size, len(ask)
        count = 2 * size + m + 1
        equal = np.zeros((m + 1, count))
        equal[:, 2 * size :] = -np.eye(m + 1)
        for k in range(m):
            own = slice(k * ask.shape[1], (k + 1) * ask.shape[1])
            equal[k, :size][own], equal[k, size : 2 * size][own] = 1.0, -1.0
        equal[m, :size], equal[m, size : 2 * size] = -ask.ravel() / 100.0, bid.ravel() / 100.0
        rows = [np.eye(count)[: 2 * size], -np.eye(count)[: 2 * size]]
        right = [made["ask_size"][i].ravel() * 100.0, made["bid_size"][i].ravel() * 100.0]
        right.append(np.zeros(2 * size))
        rows.append(np.concatenate([ask.ravel() / 100.0, np.zeros(size + m + 1)])[None])
        right.append(np.array([made["capital"][i]]))
        held = np.zeros((m, count))
        held[:, size : 2 * size] = np.maximum(-equal[:m, size : 2 * size], 0.0)
        rows.append(held)
        right.append(100.0 * made["inventory"][i])
        square = np.concatenate([np.zeros(2 * size), pull_]) * far * far / scale
        linear = np.concatenate([np.zeros(2 * size), -pull_ * offs[i] * worth * far - far]) / scale
        chosen = clarabel.DefaultSettings()
        chosen.verbose = False
        chosen.tol_gap_abs = chosen.tol_gap_rel = chosen.tol_feas = 1e-10
        cones = [clarabel.ZeroConeT(m + 1), clarabel.NonnegativeConeT(len(np.concatenate(right)))]
        end = clarabel.DefaultSolver(
            csc_matrix(np.diag(square)),
            linear,
            csc_matrix(np.concatenate([equal, *rows])),
            np.concatenate([np.zeros(m + 1), *right]) / far,
            cones,
            chosen,
        ).solve()
        constant = float((weights * offs[i] ** 2).sum()) / 2
        assert str(end.status) in {"Solved", "AlmostSolved"}
        found += end.obj_val * scale + constant
    return found


# ---- the minimum


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    far=st.floats(-300.0, 300.0),
    loose=st.booleans(),
    crossed=st.booleans(),
    exponent=st.sampled_from([-26, -20, -12]),
)
def test_what_is_nearest_is_the_minimum_of_a_quadratic_program(
    seed: int, far: float, loose: bool, crossed: bool, exponent: int
) -> None:
    """Also where a venue's own bids are above its asks, and where its capital binds."""
    made = table(2, 2, 5, seed)
    if crossed:
        made["bid"] = made["bid"] * 1.004
    weights = pull(loose, 2, exponent)
    offs = np.array([[far, -far / 3, -far], [-far / 7, far / 2, 5.0 * far]])
    worth = np.array([100.0, 100.0, 1.0])
    centres = offs + worth / np.where(weights > 0.0, weights, 1.0)
    found = LadderProx(ladders(made, 2)).nearest(centres, weights)
    value = objective(np.asarray(found.nets * WORD), offs, weights)
    best = least(made, offs, weights)
    away = float((weights * offs**2).sum())
    assert abs(value - best) <= 1e-6 * max(abs(best), 1.0) + 1e-8 * away


def test_an_instrument_that_nobody_limits_is_taken_at_its_reference() -> None:
    """Whole levels below it are bought, whole levels above it sold; the best at those prices."""
    made = table(1, 2, 6, 4)
    made["capital"] = np.array([1e9])
    found = LadderProx(ladders(made, 2)).nearest(np.zeros((1, 3)), np.zeros(3))
    worth = np.array([100.0, 100.0, 1.0])
    gain = float((found.nets[0] * WORD * worth).sum())
    asks = np.maximum(100.0 - made["ask"], 0.0) * made["ask_size"]
    held = np.cumsum(made["bid_size"], axis=2) - made["bid_size"]
    kept = np.clip(made["inventory"][:, :, None] - held, 0.0, made["bid_size"])
    bids = np.maximum(made["bid"] - 100.0, 0.0) * kept
    assert gain > 0
    assert abs(gain - float(asks.sum() + bids.sum())) <= 1e-5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loose", [True, False])
def test_the_kernels_have_the_same_bits_compiled_and_as_written(seed: int, loose: bool) -> None:
    held = ladders(table(3, 3, 6, seed), 3)
    draw = np.random.Generator(np.random.PCG64(seed))
    centres = 400.0 * draw.random((3, 4)) - 200.0
    weights, worth = pull(loose, 3), np.array([100.0, 100.0, 100.0, 1.0])
    parts = [np.zeros(held.levels.price.shape, dtype=np.int32) for _ in range(2)]
    nets = [np.zeros(centres.shape) for _ in range(2)]
    kernels = prox_kernel.nearest, _plain("nearest")
    for kernel, out, net in zip(kernels, parts, nets, strict=True):
        kernel(held.levels, held.grid, centres, weights, worth, out, net)
    assert parts[0].any()
    assert parts[0].tobytes() == parts[1].tobytes()
    assert nets[0].tobytes() == nets[1].tobytes()
    at = ladders_kernel.At(worth[:3], 1.0, np.ones(3), np.zeros((0, 0, 0, 0), dtype=np.int32))
    surplus = prox_kernel.surplus(held.levels, at, held.grid)
    assert surplus == _plain("surplus")(held.levels, at, held.grid)


def _plain(name: str) -> Any:
    return getattr(prox_kernel, name).plain


PRINTS = """
from tests.domains.test_arbitrage_prox import drawn_example, solved
found = solved(drawn_example(2, 2, 4, 3)).solution
print(found.value, found.bound, found.points)
"""


def test_without_a_compiler_the_same_plan_is_found() -> None:
    """Callees as well: in another process, where nothing is compiled."""
    env = {**os.environ, "COVENUE_COMPILED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", PRINTS], env=env, capture_output=True, text=True,
                         check=True)  # fmt: skip
    found = solved(drawn_example(2, 2, 4, 3)).solution
    assert run.stdout.strip() == f"{found.value} {found.bound} {found.points}"


# ---- what is answered


WORTH = round(2**-EXPONENT / 100 * 2**30)
"""Words of a shift that the pull to it is worth the reference of an instrument."""


def asked(size: int, shift: tuple[int, ...] = (), shares: tuple[int, ...] = ()) -> Query:
    """A query around nothing, at the references; the quote asset is loose."""
    zeros = (0,) * size
    beyond = tuple(WORTH + part for part in (shift or zeros)[:-1])
    made = ProxQuestion(EXPONENT, 0, (size - 1,), zeros, (*beyond, 0), shares)
    values = tuple(str(v << 40) for v in (*(100,) * (size - 1), 1))
    return made.query(None, DualVariables(scale_bits=40, values=values))


def problem(made: DomainExample, place: int = 0) -> ArbitrageProblem:
    found = made.problems(Arbitrage())[place]
    assert isinstance(found, ArbitrageProblem)
    return found


def committed(party: ArbitrageProblem, memory: Memory) -> tuple[Actions, Words]:
    """What a party does for some plan of all; nothing is done for a plan of nothing."""
    bare = asked(len(party.terms.assets))
    some = ("1",) * len(party.terms.assets)
    query = bare.model_copy(update={"kind": "commit", "points": some})
    actions, nets, _ = party.commit(query, memory, PLAN)
    return actions, nets


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), far=st.integers(-(2**37), 2**37))
def test_a_commitment_is_what_was_answered_and_keeps_every_limit(seed: int, far: int) -> None:
    made = example(goal(2), [{**table(2, 2, 5, seed), "unit": "1"}])
    party = problem(made)
    words, memory = party.answer(asked(3, (far, -far, 0)), EMPTY)
    actions, nets = committed(party, memory)
    assert integers(nets) == integers(words)[1:4]
    given_ = made.states[0]
    for i in range(len(given_["ask"])):
        spent = Fraction(0)
        for leg in actions.legs:
            venue, k = map(int, leg.instrument.split("-")[1:])
            if venue != i:
                continue
            side = "ask" if leg.side == "buy" else "bid"
            left = Fraction(int(leg.quantity_steps)) * Fraction(actions.unit)
            if leg.side == "sell":
                assert left <= Fraction(float(given_["inventory"][i, k]))
            rows = zip(given_[side][i, k], given_[f"{side}_size"][i, k], strict=True)
            for price, size in sorted(rows, reverse=leg.side == "sell"):
                taken = min(left, Fraction(float(size)))
                left -= taken
                spent += taken * Fraction(float(price)) if leg.side == "buy" else 0
            assert left <= 0
        assert spent <= Fraction(float(given_["capital"][i]))


def test_legs_are_whole_units() -> None:
    tables = [{**table(2, 2, 5, 7), "unit": "5"}]
    party = problem(example(goal(2), tables))
    words, memory = party.answer(asked(3, (2**36, -(2**36), 0)), EMPTY)
    actions, nets = committed(party, memory)
    assert actions.unit == "5"
    assert {leg.side for leg in actions.legs} == {"buy", "sell"}
    assert integers(nets) == integers(words)[1:4]
    steps = 5 * sum(
        int(leg.quantity_steps) * (1 if leg.side == "buy" else -1) for leg in actions.legs
    )
    assert abs(sum(integers(nets)[:2]) * WORD - steps) <= 1e-6


def test_each_venue_of_a_party_is_a_point_and_continues_from_its_own_answer() -> None:
    """Two parties of one venue and one party of both: the same sums, round by round."""
    whole = table(2, 2, 5, 5)
    apart = example(goal(2), deal(whole, 2)).problems(Arbitrage())
    both = example(goal(2), [whole, table(1, 2, 5, 9)]).problems(Arbitrage())[0]
    memories, memory = [EMPTY, EMPTY], EMPTY
    for shift, shares in (((2**36, 2**35, 0), ()), ((2**33, -(2**34), 0), (ONE,)),
                          ((0, 2**33, 0), (2 * ONE, -ONE))):  # fmt: skip
        query = asked(3, shift, shares)
        answers = [p.answer(query, m) for p, m in zip(apart, memories, strict=True)]
        memories = [kept for _, kept in answers]
        words, memory = both.answer(query, memory)
        assert integers(total([each for each, _ in answers])) == integers(words)
        assert integers(words)[5] == 2


def test_a_memory_of_a_prox_serves_other_queries_as_the_plan_that_it_is() -> None:
    """A solver of another kind may take over: parts are parts."""
    party = problem(drawn_example(1, 2, 5, 1))
    _, memory = party.answer(asked(3, (2**34, -(2**34), 0)), EMPTY)
    assert prox_memory(memory)
    width = str(max(party.terms.widths))
    bare = asked(3).model_copy(update={"kind": "respond", "points": (width,)})
    _, spread = party.answer(bare, memory)
    assert not prox_memory(spread)
    assert spread != party.answer(bare, EMPTY)[1]


def test_pools_offer_no_prox_and_a_multiplier_outside_its_band_is_refused() -> None:
    batch = pools(("i0", "cash"), [(0, 1, 1000.0, 100_000.0, 0), (0, 1, 1000.0, 101_000.0, 0)])
    swaps = problem(example(goal(1), [batch]))
    assert "PROX" not in swaps.capabilities
    with pytest.raises(CapabilityMissing):
        swaps.answer(asked(2), EMPTY)
    party = problem(drawn_example(1, 2, 5, 1))
    high = asked(3).model_copy(
        update={"multipliers": DualVariables(scale_bits=40, values=("1", "1", "1"))}
    )
    with pytest.raises(LayoutMismatch, match="band"):
        party.answer(high, EMPTY)


# ---- whole solves


def solved(made: DomainExample, solver: Solver | None = None) -> Played:
    domain = Arbitrage()
    coupling = domain.coupling(made.goal, made.members)
    return play(solver or Admm(), coupling, made.problems(domain), rounds_most=1000)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), instruments=st.integers(1, 4), levels=st.integers(1, 7))
def test_admm_on_ladders_encloses_the_linear_program(
    seed: int, instruments: int, levels: int
) -> None:
    made = drawn_example(2, instruments, levels, seed)
    found = solved(made).solution
    best = optimum(made.states, 20.0)
    slack = 1e-9 * max(1.0, best)
    assert found.value / 2**30 <= best + slack
    assert found.bound / 2**30 >= best - slack
    assert found.status == "certified"
    assert (found.bound - found.value) / 2**30 <= 1e-6 * max(1.0, best) + slack


@pytest.mark.parametrize("seed", range(3))
def test_ten_venues_of_ten_instruments_need_no_thousand_rounds(seed: int) -> None:
    """Seed 0 took 758 rounds, and stalled, while the quote asset was steered like the others."""
    played = solved(example(goal(10, "150"), deal(table(10, 10, 20, seed), 2)))
    assert played.solution.status == "certified"
    assert played.rounds <= 200


def test_the_plan_of_a_solve_is_committed_to_and_settles_as_planned() -> None:
    made = drawn_example(2, 3, 5, 2)
    domain = Arbitrage()
    coupling, parties = domain.coupling(made.goal, made.members), made.problems(domain)
    played = play(Admm(), coupling, parties)
    found = played.solution
    pairs = list(zip(parties, played.memories[str(found.after)], strict=True))
    plans = [party.commit(commit_query(found), memory, PLAN) for party, memory in pairs]
    summed = total([nets for _, nets, _ in plans])
    assert integers(summed) == found.points
    assert coupling.admits(summed, made.goal)
    assert all(kept == memory for (_, _, kept), (_, memory) in zip(plans, pairs, strict=True))


def test_a_party_that_lost_its_memory_commits_to_a_plan_of_its_own() -> None:
    made = drawn_example(2, 2, 5, 2)
    found = solved(made).solution
    party = problem(made)
    _, nets, _ = party.commit(commit_query(found), EMPTY, PLAN)
    assert len(nets) == 3


# ---- books


def state(
    asks: list[tuple[int, int]], bids: list[tuple[int, int]], minimum: str = "1"
) -> BookState:
    made = book(asks, bids)
    return replace(made, instrument=made.instrument.model_copy(update={"minimum": minimum}))


def book_example(minimum: str = "1") -> DomainExample:
    """One venue sells below what the other pays; ticks of 0.01 around 100, whole steps."""
    cheap = state([(9950, 7), (9960, 5), (9980, 9)], [(9940, 10)], minimum)
    dear = state([(10060, 4)], [(10040, 6), (10020, 8), (9990, 3)], minimum)
    made = example(goal(1, "1000"), [cheap, dear])
    names = {"base": "i0", "quote": "cash", "fee_bps": "1"}
    return replace(made, configs=(names, names))


def test_books_trade_whole_steps_up_to_where_it_no_longer_pays() -> None:
    made = book_example()
    played = solved(made)
    found = played.solution
    assert found.status == "certified"
    parties = made.problems(Arbitrage())
    pairs = zip(parties, played.memories[str(found.after)], strict=True)
    plans = [party.commit(commit_query(found), memory, PLAN)[:2] for party, memory in pairs]
    assert integers(total([nets for _, nets in plans])) == found.points
    bought = [leg for actions, _ in plans for leg in actions.legs if leg.side == "buy"]
    sold = [leg for actions, _ in plans for leg in actions.legs if leg.side == "sell"]
    assert [leg.quantity_steps for leg in bought] == ["21"]
    assert [leg.quantity_steps for leg in sold] == ["14"]


def test_a_book_below_its_minimum_order_is_not_said_to_trade() -> None:
    party = problem(book_example("10"))
    sizes = []
    for far in range(-800, 801, 50):
        words, memory = party.answer(asked(2, (far << 30, 0)), EMPTY)
        actions, nets = committed(party, memory)
        assert integers(nets) == integers(words)[1:3]
        sizes += [int(leg.quantity_steps) for leg in actions.legs]
        assert bool(actions.legs) == any(integers(nets))
    assert min(sizes) >= 10
    assert len(set(sizes)) > 2
