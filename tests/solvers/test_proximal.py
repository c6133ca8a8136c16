"""The solver `proximal` on coupled ladders: exact certificates, an oracle, and its ends."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domains.ladder_markets import (
    Played,
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
from tests.solvers.pools import instance

from covenue.errors import BadInput, CapabilityMissing, PluginBroken
from covenue.hooks.domains import EMPTY, LocalProblem, Memory
from covenue.hooks.solvers import Choice, DualCoupling, Solution, Total
from covenue.numerics.words import Words, integers, to_bytes, total, words
from covenue.testing.domains import DomainExample
from covenue.testing.dual_domains import multiplier_query
from covenue.testing.solvers import SolverExample, query_digest, solver_conformance
from covenue_contracts.shared import Query
from covenue_domain_arbitrage import Arbitrage
from covenue_solver_proximal import Proximal, WarmProximal, proximal, selftest
from covenue_solver_proximal.answers import Best, read
from covenue_solver_proximal.narrowing import PACE, Move, paced
from covenue_solver_proximal.selftest import computed, require_self_test, self_test
from covenue_solver_proximal.step import aim_of
from covenue_solver_proximal.terms import check, terms_of

PLAN = "0" * 64
GRID = 2**40
NARROW = (10, 14, 18, 22, 25, 27)


def built(made: DomainExample) -> tuple[DualCoupling, tuple[LocalProblem, ...]]:
    domain = Arbitrage()
    coupling = domain.coupling(made.goal, made.members)
    assert isinstance(coupling, DualCoupling)
    return coupling, made.problems(domain)


def loose() -> Proximal:
    """Of a tolerance that answers reach without a memory, which this suite does not keep."""
    return Proximal.from_options({"tolerance": "0.0001"})


def examples() -> list[SolverExample]:
    made = [example(goal(2, widths=NARROW), deal(table(4, 2, 8, seed), 2)) for seed in (0, 1, 2)]
    return [SolverExample(*built(each)) for each in made]


TestProximalConformance = solver_conformance(loose, examples)


def solve(tables: Sequence[Any], **more: Any) -> Played:
    return play(Proximal(), *built(example(goal(tables[0]["ask"].shape[1], **more), tables)))


def units(amount: int) -> float:
    return amount / 2**30


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    venues=st.integers(1, 5),
    instruments=st.integers(1, 4),
    levels=st.integers(1, 8),
    exposure=st.sampled_from(["3", "20", "500"]),
)
def test_the_certificate_encloses_the_linear_program(
    seed: int, venues: int, instruments: int, levels: int, exposure: str
) -> None:
    """Whatever the end, the bound is above the optimum and the plan below it."""
    tables = [table(venues, instruments, levels, seed)]
    played = solve(tables, exposure=exposure)
    best = optimum(tables, float(exposure))
    solution = played.solution
    assert solution.status in {"certified", "stalled"}
    slack = 1e-9 * max(1.0, best)
    if solution.status == "certified":
        assert units(solution.value) <= best + slack
        assert units(solution.bound) >= best - slack
        assert units(solution.bound - solution.value) <= 1e-6 * max(1.0, best) + slack


@pytest.mark.parametrize(("seed", "most"), [(0, 80), (1, 80), (2, 80)])
def test_ten_venues_of_ten_instruments_close_to_a_millionth(seed: int, most: int) -> None:
    """Few venues with coarse ladders are where proximal Newton used to stay at 1e-5."""
    tables = [table(10, 10, 20, seed)]
    played = solve(tables, exposure="150", scale_bits=26, value_bits=26)
    best = optimum(tables, 150.0)
    assert played.solution.status == "certified"
    assert abs(played.solution.value / 2**26 - best) <= 2e-6 * best
    assert played.rounds <= most


def test_what_is_committed_is_the_plan_that_was_certified() -> None:
    coupling, problems = built(drawn_example(parties=3, instruments=3, levels=8, seed=5))
    played = play(Proximal(), coupling, problems)
    solution = played.solution
    assert solution.status == "certified"
    memories = played.memories[str(solution.after)]
    pairs = zip(problems, memories, strict=True)
    committed = total([p.commit(commit_query(solution), m, PLAN)[1] for p, m in pairs])
    assert integers(committed) == solution.points[:-1]
    assert coupling.admits(committed, coupling.goal)
    worth = sum(r * y for r, y in zip(coupling.reference, integers(committed), strict=True))
    assert worth >> 40 >= solution.value


def test_the_order_of_participants_changes_no_byte() -> None:
    made = drawn_example(parties=3, instruments=2, levels=6, seed=2)
    coupling, problems = built(made)
    forward = play(Proximal(), coupling, problems)
    backward = play(Proximal(), coupling, problems[::-1])
    assert forward.solution == backward.solution
    assert forward.queries == backward.queries
    pairs = zip(forward.totals, backward.totals, strict=True)
    assert all(to_bytes(a) == to_bytes(b) for a, b in pairs)


def test_an_unchanged_market_stands_after_one_round() -> None:
    made = drawn_example(parties=2, instruments=3, levels=8, seed=3)
    cold = play(Proximal(), *built(made))
    warm = play(Proximal(), *built(made), warm=cold.solution.warm, kept=cold.memories)
    assert (cold.solution.stands, warm.solution.stands) == (False, True)
    assert warm.rounds == 1
    assert warm.solution.status == "certified"
    assert isinstance(cold.solution.warm, WarmProximal)
    assert warm.queries[0].after == cold.solution.warm.centre


def test_a_market_that_moved_a_little_is_planned_again_from_where_it_was() -> None:
    whole = table(10, 6, 20, 1)
    cold = play(Proximal(), *built(example(goal(6, exposure="150"), deal(whole, 2))))
    moved = {**whole, "ask": whole["ask"].copy(), "bid": whole["bid"].copy()}
    moved["ask"][3] *= 1.0003
    moved["bid"][3] *= 1.0003
    again = example(goal(6, exposure="150"), deal(moved, 2))
    warm = play(Proximal(), *built(again), warm=cold.solution.warm, kept=cold.memories)
    assert warm.solution.status == "certified"
    assert not warm.solution.stands
    assert abs(units(warm.solution.value) - optimum([moved], 150.0)) <= 2e-6 * units(
        warm.solution.bound
    )


def test_a_start_whose_memory_is_lost_finds_its_plan_all_the_same() -> None:
    """A venue that does not remember answers from nothing: the sums show it, and all begin anew."""
    made = drawn_example(parties=2, instruments=3, levels=8, seed=4)
    cold = play(Proximal(), *built(made))
    lost = play(Proximal(), *built(made), warm=cold.solution.warm)
    assert lost.solution.status == "certified"
    assert abs(lost.solution.value - cold.solution.value) <= 2e-6 * cold.solution.bound


def test_a_warm_start_of_another_space_or_grid_is_left_aside() -> None:
    warm = play(Proximal(), *built(drawn_example(instruments=2, seed=1))).solution.warm
    coupling, _ = built(drawn_example(instruments=3, seed=1))
    assert Proximal().start(coupling, warm) == Proximal().start(coupling, None)
    other, _ = built(drawn_example(instruments=2, seed=1, widths=(10, 18)))
    assert Proximal().start(other, warm) == Proximal().start(other, None)


def test_thirty_venues_are_planned_again_in_few_rounds() -> None:
    """One step a width, and a few at the last; steps of before took some thirty rounds."""
    whole, widths = table(30, 12, 20, 1), (12, 14, 16, 18, 20, 22)
    grids: dict[str, Any] = {
        "exposure": "300",
        "widths": widths,
        "scale_bits": 28,
        "value_bits": 28,
    }
    cold = play(Proximal(), *built(example(goal(12, **grids), [whole])))
    warm, kept, rounds = cold.solution.warm, dict(cold.memories), []
    for venue in range(4):
        moved = {k: v.copy() for k, v in whole.items()}
        for side in ("ask", "bid"):
            moved[side][venue] *= 1.0003
        whole = moved
        again = play(Proximal(), *built(example(goal(12, **grids), [whole])), warm=warm, kept=kept)
        assert again.solution.status == "certified"
        best = optimum([whole], 300.0)
        assert abs(again.solution.value / 2**28 - best) <= 2e-6 * best
        warm, kept = again.solution.warm, {**kept, **again.memories}
        rounds.append(again.rounds)
    assert cold.rounds <= 24
    assert sorted(rounds)[1] <= 16
    assert max(rounds) <= 32


def test_what_leads_past_the_plan_is_tried_again_around_centres(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without that, some small markets end without their plan."""
    tables = [table(1, 4, 8, 15)]
    monkeypatch.setattr(proximal, "MOST_IDLE", 12)
    again = solve(tables, exposure="3")
    ends = proximal._without_certificate
    monkeypatch.setattr(
        proximal, "_without_certificate", lambda s, b: ends(replace(s, is_afresh=True), b)
    )
    at_once = solve(tables, exposure="3")
    assert at_once.solution.status == "stalled"
    assert at_once.rounds < again.rounds


def test_a_pace_grows_where_totals_stand_still_and_falls_where_they_pass() -> None:
    coupling, problems = built(example(goal(1), [single([99, 99.5], [98])]))
    terms, answers = terms_of(coupling), []
    for v in (100 * GRID, 100 * GRID - (100 << 20), 197 * GRID // 2):
        query = multiplier_query("curvature", coupling, [v, GRID], coupling.smoothing[1])
        words_ = problems[0].answer(query, EMPTY)[0]
        read_ = read(terms, (v, GRID), coupling.smoothing[1], "", Total(words_, ("p",), exact=True))
        assert read_ is not None
        answers.append(read_)
    still, passed = (
        Move(
            answers[0],
            end,
            *(aim_of(terms, a, ((0,) * 2, (2**31,) * 2)) for a in (answers[0], end)),
        )
        for end in answers[1:]
    )
    slow = np.array([2.0**-16, PACE])
    assert paced(terms, still, slow)[0][0] == 2.0**-15
    paces, slopes = paced(terms, passed, np.full(2, PACE))
    assert paces[0] == PACE * 0.7
    assert slopes[0, 0] > answers[2].matrix(2)[0, 0]


def single(ask: Sequence[float], bid: Sequence[float], size: float = 5.0, **more: Any) -> Table:
    """One venue, one instrument: levels of equal size."""
    row = {"ask": [[list(ask)]], "bid": [[list(bid)]]}
    sizes = {f"{k}_size": np.full(np.shape(v), size) for k, v in row.items()}
    return {**{k: np.array(v, dtype=float).reshape(1, 1, -1) for k, v in row.items()},
            **{k: v.reshape(1, 1, -1) for k, v in sizes.items()}, **more}  # fmt: skip


CHEAP, DEAR = single([99.5, 102], [98, 97]), single([103, 104], [100.5, 100.4])
DEGENERATE: dict[str, tuple[list[Table], dict[str, Any], float]] = {
    "one venue, nothing to take": ([single([101], [99])], {}, 0.0),
    "one venue, a cheap ask": ([single([99], [98])], {"exposure": "100"}, 5.0),
    "a crossed book": ([single([99, 102], [101, 97])], {"exposure": "100"}, 10.0),
    "no asks": ([single([], [101, 97])], {"exposure": "100"}, 5.0),
    "no levels at all": ([single([], [])], {}, 0.0),
    "no capital": ([{**CHEAP, "capital": np.zeros(1)}, DEAR], {}, 4.5),
    "no inventory": ([CHEAP, {**DEAR, "inventory": np.zeros((1, 1))}], {}, 2.5),
    "one price for many": ([CHEAP, single([99.5] * 3, [97] * 3), DEAR], {}, 14.5),
    "a limit that binds": ([CHEAP, CHEAP, DEAR], {"exposure": "2", "scale_bits": 36}, 9.5),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_ladders_are_certified(case: str) -> None:
    tables, more, best = DEGENERATE[case]
    filled = [
        {"capital": np.full(1, 1e6), "inventory": np.full((1, 1), 1e6), **each} for each in tables
    ]
    found = solve(filled, **more).solution
    assert optimum(filled, float(more.get("exposure", "20"))) == pytest.approx(best)
    assert found.status == "certified"
    assert units(found.bound) == pytest.approx(best, abs=1e-5)


def test_exposure_of_nothing_ends_by_name() -> None:
    """No sum of rounded amounts hits zero for certain, so nothing is claimed."""
    found = solve([CHEAP, DEAR], exposure="0").solution
    assert found.status in {"certified", "stalled"}
    assert found.multipliers is None or found.status == "certified"


def test_a_debt_that_no_venue_can_bring_back_is_infeasible() -> None:
    made = goal(1, exposure="100")
    least = (str(50 * 2**30), str(-(2**62)))
    debt = made.model_copy(update={"terms": {**made.terms, "least": least}})
    found = play(Proximal(), *built(example(debt, [CHEAP]))).solution
    assert (found.status, found.points) == ("infeasible", (0,))
    assert found.multipliers is None


def test_a_multiplier_whose_exposure_is_slack_rests_at_its_reference() -> None:
    found = solve([table(3, 2, 6, 8)], exposure="5000").solution
    assert found.multipliers is not None
    assert [int(v) for v in found.multipliers.values] == [100 * GRID, 100 * GRID, GRID]


def test_no_step_crosses_a_reference() -> None:
    played = play(Proximal(), *built(drawn_example(parties=2, instruments=4, levels=8, seed=6)))
    trail = [[int(v) for v in q.multipliers.values] for q in played.queries if q.multipliers]
    for k, r in enumerate([100 * GRID] * 4 + [GRID]):
        sides = [(values[k] > r) - (values[k] < r) for values in trail]
        assert all(a * b >= 0 for a, b in pairwise(sides))


def test_the_first_steps_are_no_longer_than_they_may_be() -> None:
    played = play(Proximal(), *built(drawn_example(parties=2, instruments=4, levels=8, seed=6)))
    trail = [[int(v) for v in q.multipliers.values] for q in played.queries if q.multipliers]
    moves = [
        abs(b - a) / a
        for before, after in pairwise(trail)
        for a, b in zip(before, after, strict=True)
    ]
    assert 0 < max(moves) <= proximal.CAP * (1 + 1e-6)


# ---- what cannot be true ends without a plan


def first_total(made: DomainExample) -> tuple[Any, Words]:
    coupling, problems = built(made)
    state = Proximal().start(coupling, None)
    query = Proximal().ask(state, query_digest)
    return state, total([p.answer(query, EMPTY)[0] for p in problems])


def altered(summed: Words, place: int, by: int) -> Words:
    values = list(integers(summed))
    values[place] += by
    return words(values)


@pytest.mark.parametrize(
    "release",
    [
        lambda w: Choice(winner=1, cohort=("p",)),
        lambda w: Total(w, ("p",), exact=False),
        lambda w: Total(w[:-1], ("p",), exact=True),
        lambda w: Total(altered(w, 1, 2**62), ("p",), exact=True),
        lambda w: Total(altered(w, 5, -(2**50)), ("p",), exact=True),
        lambda w: Total(altered(w, 6, 2**60), ("p",), exact=True),
        lambda w: Total(altered(altered(w, 0, -(2**58)), 4, 2**58), ("p",), exact=True),
    ],
    ids=["a choice", "noised", "a word short", "beyond the bound", "a negative slope",
         "slopes that are no matrix", "a plan above its bound"],
)  # fmt: skip
def test_a_release_that_cannot_be_true_certifies_nothing(release: Any) -> None:
    state, summed = first_total(drawn_example(parties=1, instruments=3, seed=1))
    end = Proximal().tell(state, release(summed))
    if isinstance(end, Solution):
        assert (end.status, end.multipliers) == ("stalled", None)
    else:
        assert end.best is not None
        assert end.best.plan is None


def test_without_the_check_a_plan_above_its_bound_would_be_certified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bound that falls below a plan of an earlier round: one of the two sums is false."""
    state, summed = first_total(example(goal(2, exposure="5000"), [table(3, 2, 6, 8)]))
    onward = Proximal().tell(state, Total(summed, ("p",), exact=True))
    assert not isinstance(onward, Solution)
    assert onward.best is not None
    assert onward.best.plan is not None
    release = Total(altered(summed, 0, -(2**40)), ("p",), exact=True)
    kept = Proximal().tell(onward, release)
    assert isinstance(kept, Solution)
    assert (kept.status, kept.multipliers) == ("stalled", None)
    monkeypatch.setattr(Best, "contradicts", lambda *_: False)
    fooled = Proximal().tell(onward, release)
    assert isinstance(fooled, Solution)
    assert fooled.status == "certified"


def test_idle_rounds_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proximal, "MOST_IDLE", 0)
    found = solve([table(3, 3, 6, 1)]).solution
    assert found.status == "stalled"


def test_rounds_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proximal, "MOST_ROUNDS", 3)
    played = solve([table(5, 3, 6, 1)])
    assert (played.rounds, played.solution.status) == (3, "max_rounds")


# ---- who it serves, and with which options


def test_it_suits_what_jumps_and_can_be_spread() -> None:
    coupling, problems = built(drawn_example())
    offered = problems[0].capabilities
    suits = Proximal().suits(coupling, offered)
    assert suits is not None
    assert suits.rank == 15
    assert Proximal().suits(coupling, frozenset({"RESPOND"})) is None
    smooth, _ = instance(20)
    assert Proximal().suits(smooth, offered) is None
    with pytest.raises(CapabilityMissing):
        Proximal().start(smooth, None)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"tolerance": 0.1}, "tolerance"),
        ({"tolerance": "1"}, "tolerance"),
        ({"tolerance": "0.0"}, "tolerance"),
        ({"tolerances": "0.1"}, "tolerances"),
    ],
)
def test_an_option_that_is_none_is_named(options: Any, field: str) -> None:
    with pytest.raises(BadInput) as caught:
        Proximal.from_options(options)
    assert caught.value.field == f"solver.options.{field}"


def test_a_tolerance_below_one_value_word_is_refused_at_the_start() -> None:
    coupling, _ = built(drawn_example(most="1", owed="1"))
    with pytest.raises(BadInput) as caught:
        Proximal(Fraction(1, 10**15)).start(coupling, None)
    assert caught.value.field == "solver.options.tolerance"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"least": (0,)}, "least"),
        ({"slope_bits": 63}, "slope_bits"),
        ({"widths": (2, 4)}, "smoothing"),
        ({"reference": (0,) * 4}, "multiplier_range"),
        ({"margin": (2**61,) * 4}, "margin"),
    ],
)
def test_a_coupling_that_cannot_be_names_its_field(change: Any, field: str) -> None:
    coupling, _ = built(drawn_example())
    terms = replace(terms_of(coupling), **change)
    with pytest.raises(BadInput) as caught:
        check(terms)
    assert caught.value.field == f"coupling.{field}"


def test_the_self_test_holds_and_another_result_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert self_test()
    assert computed() == computed()
    monkeypatch.setattr(selftest, "self_test", lambda: False)
    with pytest.raises(PluginBroken):
        require_self_test()


def test_states_are_values() -> None:
    coupling, _ = built(drawn_example())
    assert Proximal().start(coupling, None) == Proximal().start(coupling, None)
    warm = play(Proximal(), *built(drawn_example())).solution.warm
    assert isinstance(warm, WarmProximal)
    assert hash(warm) == hash(replace(warm))
    assert isinstance(Memory(b""), bytes)
    assert isinstance(Proximal().ask(Proximal().start(coupling, None), query_digest), Query)
