"""What ladders answer, remember and commit to, held against exact arithmetic."""

import hashlib
import json
import os
import subprocess
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domains.ladder_markets import (
    Table,
    commit_query,
    deal,
    drawn_example,
    example,
    goal,
    play,
    table,
)

from covenue.errors import BadInput, HeadroomMissing
from covenue.hooks.domains import EMPTY, Acted, Memory
from covenue.hooks.solvers import DualCoupling
from covenue.numerics.words import integers, to_bytes, total
from covenue.testing.domains import DomainExample
from covenue.testing.dual_domains import SETTLE, dual_domain_conformance, multiplier_query
from covenue_contracts.local import Actions, Fill, Outcome
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_arbitrage import ladders as ladders_module
from covenue_domain_arbitrage.ladders import Ladders
from covenue_domain_arbitrage.ladders_kernel import WHOLE, amount_words
from covenue_domain_arbitrage.ladders_memory import packed, unpacked
from covenue_domain_arbitrage.problem import ArbitrageProblem
from covenue_solver_proximal import Proximal

GRID = 2**40
PLAN = "0" * 64


def bounded() -> DomainExample:
    """An instance whose limits can fall: DOM-112 counts what is taken against them."""
    made = goal(2, owed=None, most=("20", "20", "1000000"))
    return example(made, deal(table(4, 2, 4, 7), 2))


def examples() -> list[DomainExample]:
    return [bounded(), example(goal(2, owed=None, most="1000000"), deal(table(3, 2, 3, 1), 3))]


TestLaddersConformance = dual_domain_conformance(Arbitrage, examples)


def built(made: DomainExample) -> tuple[DualCoupling, list[ArbitrageProblem]]:
    domain = Arbitrage()
    coupling = domain.coupling(made.goal, made.members)
    assert isinstance(coupling, DualCoupling)
    problems = made.problems(domain)
    return coupling, [p for p in problems if isinstance(p, ArbitrageProblem)]


def ladders(problem: ArbitrageProblem) -> Ladders:
    assert isinstance(problem.offers, Ladders)
    return problem.offers


def tilted(coupling: DualCoupling, seed: int, reach: int = 12) -> list[int]:
    """Multipliers up to 2^-reach beside the references; cash at its own."""
    draw = np.random.Generator(np.random.PCG64(seed))
    parts = draw.integers(-1024, 1025, len(coupling.reference)).tolist()
    moved = [
        r + (r * part >> (reach + 10)) for r, part in zip(coupling.reference, parts, strict=True)
    ]
    return [*moved[:-1], coupling.reference[-1]]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), reach=st.integers(6, 16), cash=st.integers(-1, 1))
def test_phi_is_the_knapsack_rounded_up_and_no_more_than_a_hair_above(
    seed: int, reach: int, cash: int
) -> None:
    coupling, problems = built(drawn_example(seed=seed % 50))
    values = tilted(coupling, seed, reach)
    values[-1] += cash * (values[-1] >> 8)
    query = multiplier_query("respond", coupling, values, coupling.smoothing[1])
    for problem in problems:
        word = int(problem.answer(query, EMPTY)[0][0])
        exact = ladders(problem).phi(values) * 2**coupling.value_bits
        assert exact <= word <= exact + 4 + exact / 10**9 + 2**14


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), stage=st.integers(0, 2), reach=st.integers(8, 16))
def test_no_plan_passes_capital_or_inventory_or_what_a_level_holds(
    seed: int, stage: int, reach: int
) -> None:
    made = drawn_example(seed=seed % 50)
    coupling, problems = built(made)
    memory = Memory(b"")
    for problem, held in zip(problems, made.states, strict=True):
        for turn in range(3):
            values = tilted(coupling, seed + turn, reach)
            query = multiplier_query("respond", coupling, values, coupling.smoothing[stage])
            answered, memory = problem.answer(query, memory)
            commit = multiplier_query("commit", coupling, values, coupling.smoothing[stage])
            actions, words, _ = problem.commit(commit, memory, PLAN)
            assert to_bytes(words) == to_bytes(answered[1:])
            check_deliverable(actions, held, integers(words), coupling.space.scale_bits)


def check_deliverable(actions: Actions, held: Table, words: tuple[int, ...], bits: int) -> None:
    """Every leg filled from the best level on, in exact arithmetic."""
    unit, net = Fraction(actions.unit), [Fraction(0)] * len(words)
    spent = [Fraction(0)] * len(held["ask"])
    for leg in actions.legs:
        i, k = (int(part) for part in leg.instrument.split("-")[1:])
        side = "ask" if leg.side == "buy" else "bid"
        left, paid = int(leg.quantity_steps) * unit, Fraction(0)
        if side == "bid":
            assert left <= Fraction(float(held["inventory"][i, k]))
        limit = Fraction(int(leg.limit_ticks), GRID)
        net[k] += left if side == "ask" else -left
        for price, size in zip(held[side][i, k], held[f"{side}_size"][i, k], strict=True):
            taken = min(left, Fraction(float(size)))
            left -= taken
            paid += taken * Fraction(float(price))
            assert not taken or (limit >= price if side == "ask" else limit <= price)
        assert left == 0
        net[-1] -= paid if side == "ask" else -paid
        if side == "ask":
            spent[i] += paid
    assert all(a <= Fraction(float(b)) for a, b in zip(spent, held["capital"], strict=True))
    assert all(word <= amount * 2**bits for word, amount in zip(words, net, strict=True))
    assert all(word >= amount * 2**bits - 99 for word, amount in zip(words, net, strict=True))


def test_slopes_are_what_nets_gain_between_two_close_multipliers() -> None:
    made = drawn_example(parties=1, instruments=3, levels=20, slope_bits=12)
    coupling, (problem,) = built(made)
    size = len(coupling.reference)
    values = tilted(coupling, 3, 11)
    words = problem.answer(multiplier_query("curvature", coupling, values, 2**28), EMPTY)[0]
    packed_slopes = np.zeros((size, size))
    packed_slopes[np.tril_indices(size)] = words[1 + size :] / 2.0**12
    slopes = packed_slopes + np.tril(packed_slopes, -1).T
    for k in range(size):
        step = values[k] >> 20
        ends = []
        for sign in (-1, 1):
            moved = [v + sign * step * (place == k) for place, v in enumerate(values)]
            query = multiplier_query("respond", coupling, moved, 2**28)
            ends.append(problem.answer(query, EMPTY)[0][1 : 1 + size] / 2.0**30)
        v = np.array(values) / 2.0**40
        gained = v * (ends[1] - ends[0]) / (2 * step / values[k])
        if k < size - 1:  # what is greedily filled pays less cash than its parts would
            assert np.allclose(gained[:-1], slopes[k, :-1], rtol=2e-3, atol=0.02 * slopes.max())


def test_an_answer_that_continues_from_its_own_parts_takes_more() -> None:
    coupling, (problem, _) = built(drawn_example())
    values = [v + (v >> 12) for v in coupling.reference[:-1]] + [coupling.reference[-1]]
    query = multiplier_query("respond", coupling, values, coupling.smoothing[0])
    first, memory = problem.answer(query, EMPTY)
    second, _ = problem.answer(query, memory)
    assert sum(integers(second)[1:-1]) > sum(integers(first)[1:-1])
    assert second[0] == first[0]


def test_without_a_memory_answers_are_spread_to_both_sides_of_a_price() -> None:
    held = {**ONE, "ask": [[[100.0]]], "bid": [[[1.0]]], "ask_size": [[[4.0]]]}
    coupling, (problem,) = built(example(goal(1), [held]))
    width = coupling.smoothing[0]
    taken = []
    for quarters in (-3, -1, 0, 1, 3):
        at = [coupling.reference[0] + 100 * width * quarters // 4, coupling.reference[1]]
        taken.append(problem.answer(multiplier_query("respond", coupling, at, width), EMPTY)[0][1])
    assert [round(float(word) / 2**30, 3) for word in taken] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_whole_levels_lose_no_word() -> None:
    """A word lost on each ladder is dearer than all else: hundreds of units are whole numbers."""
    _, (problem, _) = built(drawn_example())
    grid = ladders(problem).grid
    assert grid.run > 0
    for lots in (10**6, 123 * 10**6, 10**12):
        assert amount_words(grid, lots, 0) == amount_words(grid, lots, 1) == lots * 2**30 // 10**6
    assert amount_words(grid, 1, 1) - amount_words(grid, 1, 0) == 1
    whole = grid._replace(run=0)
    for lots in (1, 10**6, 123456789):
        exact = Fraction(lots) / 10**6 * 2**30
        for one in (grid, whole):
            assert amount_words(one, lots, 0) <= exact <= amount_words(one, lots, 1)
    assert amount_words(whole, 10**6, 0) < amount_words(grid, 10**6, 0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), stage=st.integers(0, 2), turns=st.integers(1, 3))
def test_no_slope_passes_the_bound_that_headroom_is_checked_against(
    seed: int, stage: int, turns: int
) -> None:
    coupling, problems = built(drawn_example(seed=seed % 50))
    for problem in problems:
        memory, most = EMPTY, ladders(problem).most_words()
        for turn in range(turns):
            values = tilted(coupling, seed + turn, 9)
            query = multiplier_query("curvature", coupling, values, coupling.smoothing[stage])
            words, memory = problem.answer(query, memory)
            assert max(map(abs, integers(words[1 + len(values) :]))) <= most.slope


def test_a_memory_of_other_ladders_is_as_none() -> None:
    coupling, (problem, _) = built(drawn_example())
    _, (other, _) = built(drawn_example(instruments=4))
    query = multiplier_query("respond", coupling, tilted(coupling, 1), coupling.smoothing[0])
    foreign, _ = built(drawn_example(instruments=4))
    asked = multiplier_query("respond", foreign, tilted(foreign, 1), coupling.smoothing[0])
    memory = other.answer(asked, EMPTY)[1]
    assert to_bytes(problem.answer(query, memory)[0]) == to_bytes(problem.answer(query, EMPTY)[0])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), ladders_=st.integers(1, 6), levels=st.integers(0, 8))
def test_parts_survive_their_bytes(data: Any, ladders_: int, levels: int) -> None:
    drawn = st.lists(st.integers(0, WHOLE), min_size=levels, max_size=levels)
    rows = [sorted(data.draw(drawn), reverse=True) for _ in range(ladders_)]
    parts = np.array(rows, dtype=np.int32).reshape(ladders_, 1, levels)
    assert np.array_equal(unpacked(packed(parts), parts.shape), parts)


def test_a_richer_memory_does_not_pass_todays_capital() -> None:
    rich, poor = commitments(table(2, 2, 6, 5))
    assert spent(rich) > 1000
    assert spent(poor) <= 1


def test_without_the_check_of_capital_a_remembered_plan_would_pass_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ladders_module, "fsum", lambda _: 0.0)
    _, poor = commitments(table(2, 2, 6, 5))
    assert spent(poor) > 1000


def commitments(held: Table) -> tuple[Actions, Actions]:
    """Of the same memory, with capital and with next to none."""
    made = goal(2)
    found = []
    memory = EMPTY
    for capital in (held["capital"], np.full(2, 0.5)):
        coupling, (problem,) = built(example(made, [{**held, "capital": capital}]))
        values = [v + (v >> 8) for v in coupling.reference[:-1]] + [coupling.reference[-1]]
        query = multiplier_query("respond", coupling, values, coupling.smoothing[0])
        memory = memory or problem.answer(query, EMPTY)[1]
        commit = multiplier_query("commit", coupling, values, coupling.smoothing[0])
        found.append(problem.commit(commit, memory, PLAN)[0])
    return found[0], found[1]


def spent(actions: Actions) -> Fraction:
    buys = [leg for leg in actions.legs if leg.side == "buy"]
    prices = [Fraction(int(leg.limit_ticks), GRID) for leg in buys]
    steps = [int(leg.quantity_steps) * Fraction(actions.unit) for leg in buys]
    return sum((p * q for p, q in zip(prices, steps, strict=True)), Fraction(0))


def test_fills_settle_as_planned_or_better() -> None:
    made = drawn_example()
    coupling, problems = built(made)
    solution = play(Proximal(), coupling, problems)
    for number, problem in enumerate(problems):
        memory = solution.memories[str(solution.solution.after)][number]
        actions, planned, _ = problem.commit(commit_query(solution.solution), memory, PLAN)
        fills = tuple(
            Fill(leg=n, price_ticks=leg.limit_ticks, quantity_steps=leg.quantity_steps, units="1")
            for n, leg in enumerate(actions.legs)
        )
        done = Outcome(order=PLAN, status="done", fills=fills, swaps=(), reason=None)
        executed, unknown = problem.settle(SETTLE, [Acted(planned, actions, [done])])
        assert not any(integers(unknown))
        rows = zip(integers(executed)[:-1], integers(planned)[:-1], strict=True)
        assert all(abs(a - b) <= 99 for a, b in rows)
        assert executed[-1] <= planned[-1] + 99


def test_a_frame_says_the_same_as_arrays() -> None:
    whole = table(2, 2, 3, 4)
    rows = [
        (f"v{i}", f"i{k}", side, float(whole[side][i, k, j]), float(whole[f"{side}_size"][i, k, j]),
         float(whole["capital"][i]), float(whole["inventory"][i, k]))
        for i in range(2) for k in range(2) for side in ("bid", "ask") for j in range(3)
    ]  # fmt: skip
    frame = Frame(rows, ("venue", "asset", "side", "price", "size", "capital", "inventory"))
    coupling, (by_arrays,) = built(example(goal(2), [whole]))
    _, (by_frame,) = built(example(goal(2), [frame]))
    query = multiplier_query("curvature", coupling, tilted(coupling, 2), coupling.smoothing[0])
    assert to_bytes(by_arrays.answer(query, EMPTY)[0]) == to_bytes(by_frame.answer(query, EMPTY)[0])


class Frame:
    """As much of a data frame as is read."""

    def __init__(self, rows: list[tuple[Any, ...]], columns: tuple[str, ...]) -> None:
        self.columns = list(columns)
        self._data = dict(zip(columns, zip(*rows, strict=True), strict=True))

    def __getitem__(self, name: str) -> Any:
        return np.array(self._data[name], dtype=object)


def test_levels_in_any_order_are_the_same_ladder() -> None:
    whole = table(1, 1, 6, 3)
    order = [3, 0, 5, 1, 4, 2]
    mixed = {k: v[:, :, order] if v.ndim == 3 else v for k, v in whole.items()}
    coupling, (sorted_,) = built(example(goal(1), [whole]))
    _, (shuffled,) = built(example(goal(1), [mixed]))
    query = multiplier_query("curvature", coupling, tilted(coupling, 5), coupling.smoothing[0])
    assert to_bytes(sorted_.answer(query, EMPTY)[0]) == to_bytes(shuffled.answer(query, EMPTY)[0])


ONE = {"ask": [[[101.0]]], "ask_size": [[[1.0]]], "bid": [[[99.0]]], "bid_size": [[[1.0]]]}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a field that ladders do not have": ({"depth": 1}, "depth"),
    "an asset without a reference": ({"assets": ["x"]}, "assets"),
    "a quote that is also an instrument": ({"assets": ["cash"]}, "assets"),
    "levels of another shape": ({"ask": [[101.0]]}, "ask"),
    "levels that are text": ({"bid": [[["x"]]]}, "bid"),
    "a negative size": ({"bid_size": [[[-1.0]]]}, "bid_size"),
    "prices without sizes": ({"ask_size": [[[1.0, 2.0]]]}, "ask_size"),
    "a negative capital": ({"capital": [-1.0]}, "capital"),
    "an inventory of another shape": ({"inventory": [1.0, 2.0]}, "inventory"),
    "a lot of nothing": ({"unit": "0"}, "unit"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_table_that_does_not_fit_names_its_field(case: str) -> None:
    change, field = BAD[case]
    with pytest.raises(BadInput) as caught:
        built(example(goal(1), [{**ONE, **change}]))
    assert caught.value.field == f"ladders.{field}"
    assert caught.value.advice


def test_sizes_beyond_a_word_are_refused_before_anything_is_asked() -> None:
    with pytest.raises(HeadroomMissing):
        built(example(goal(1), [{**ONE, "ask_size": [[[1e12]]]}]))


def test_compiled_or_not_the_bits_are_the_same() -> None:
    """The kernel is one source; here it runs in another process as plain Python."""
    code = "from tests.domains.test_ladders_answers import fingerprint; print(fingerprint())"
    env = {**os.environ, "COVENUE_COMPILED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.strip() == fingerprint()


def fingerprint() -> str:
    """SHA-256 over answers, memories and commitments of a small cohort."""
    parts = []
    for seed in range(3):
        coupling, problems = built(drawn_example(levels=6, seed=seed))
        for problem in problems:
            memory = EMPTY
            for turn, width in enumerate(coupling.smoothing):
                query = multiplier_query("curvature", coupling, tilted(coupling, turn), width)
                words, memory = problem.answer(query, memory)
                parts += [to_bytes(words), bytes(memory)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_nothing_is_offered_where_there_is_nothing() -> None:
    none = {name: np.zeros((1, 1, 0)) for name in ("ask", "ask_size", "bid", "bid_size")}
    for held in (none, {**ONE, "capital": [0.0], "inventory": [[0.0]]}):
        coupling, (problem,) = built(example(goal(1), [held]))
        query = multiplier_query(
            "curvature", coupling, [r for r, _ in coupling.multiplier_range], 2**28
        )
        words = integers(problem.answer(query, EMPTY)[0])
        assert max(map(abs, words)) <= 1
        assert problem.commit(commit_at(coupling), EMPTY, PLAN)[0].legs == ()


def commit_at(coupling: DualCoupling) -> Any:
    return multiplier_query("commit", coupling, coupling.reference, coupling.smoothing[0])


def test_the_sums_of_parties_are_those_of_one_that_holds_all_venues() -> None:
    """Each venue is rounded for itself: who holds it cannot matter."""
    whole = table(4, 2, 5, 9)
    coupling, (one,) = built(example(goal(2), [whole]))
    _, many = built(example(goal(2), deal(whole, 2)))
    query = multiplier_query("curvature", coupling, tilted(coupling, 4), coupling.smoothing[0])
    summed = total([problem.answer(query, EMPTY)[0] for problem in many])
    assert json.dumps(integers(summed)) == json.dumps(integers(one.answer(query, EMPTY)[0]))
