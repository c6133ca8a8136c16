"""The solver `admm` on venues that offer only a prox: certificates, an oracle, and its ends."""

from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domains.ladder_markets import Played, commit_query, play, table
from tests.solvers.prox_cohort import (
    SCALE_BITS,
    VALUE_BITS,
    ProxCoupling,
    coupling,
    optimum,
    problems,
)

from covenue.errors import BadInput, CapabilityMissing, PluginBroken
from covenue.hooks.prox import prox_width
from covenue.hooks.solvers import Choice, Coupling, Solution, Total, Tracking
from covenue.numerics.words import integers, to_bytes, total, words
from covenue.testing.solvers import SolverExample, query_digest, solver_conformance
from covenue_contracts.shared import Query
from covenue_solver_admm import Admm, ends, selftest, sharing, steps
from covenue_solver_admm.anderson import ONE, PLAIN, coefficients
from covenue_solver_admm.answers import Best
from covenue_solver_admm.ends import MOST_ROUNDS
from covenue_solver_admm.state import Search, WarmAdmm

PLAN = "0" * 64


def solve(venues: int, instruments: int, levels: int, seed: int, exposure: float) -> Played:
    made = table(venues, instruments, levels, seed)
    limits = [exposure] * instruments
    return play(Admm(), coupling(instruments, limits), problems(made), rounds_most=1000)


def plain() -> Admm:
    """Plain steps: this suite keeps no memory, so nobody could combine earlier answers."""
    return Admm(memory=0)


def examples() -> list[SolverExample]:
    """Each of one venue or of equal ones: without a memory a venue takes the mean for its own."""
    made = []
    for seed, copies in ((0, 1), (1, 2), (2, 1)):
        own = problems(table(1, 2, 6, seed))
        made.append(SolverExample(coupling(2, [20.0, 30.0]), tuple(own * copies)))
    return made


TestAdmmConformance = solver_conformance(plain, examples)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    venues=st.integers(1, 5),
    instruments=st.integers(1, 4),
    levels=st.integers(1, 8),
    exposure=st.sampled_from([3.0, 20.0, 500.0]),
)
def test_the_certificate_encloses_the_linear_program(
    seed: int, venues: int, instruments: int, levels: int, exposure: float
) -> None:
    """Whatever the end, the bound is above the optimum and the plan below it."""
    found = solve(venues, instruments, levels, seed, exposure).solution
    best = optimum(table(venues, instruments, levels, seed), [exposure] * instruments)
    slack = 1e-9 * max(1.0, best)
    assert found.status == "certified"
    assert found.value / 2**VALUE_BITS <= best + slack
    assert found.bound / 2**VALUE_BITS >= best - slack
    assert (found.bound - found.value) / 2**VALUE_BITS <= 1e-6 * max(1.0, best) + slack


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ten_venues_of_ten_instruments_close_to_a_millionth(seed: int) -> None:
    played = solve(10, 10, 20, seed, 150.0)
    best = optimum(table(10, 10, 20, seed), [150.0] * 10)
    assert played.solution.status == "certified"
    assert abs(played.solution.value / 2**VALUE_BITS - best) <= 1e-6 * best
    assert played.rounds <= 300


def test_acceleration_saves_rounds_over_plain_steps() -> None:
    made, limits = table(4, 3, 8, 1), coupling(3, [20.0] * 3)
    fast = play(Admm(), limits, problems(made))
    slow = play(plain(), limits, problems(made))
    assert fast.solution.status == slow.solution.status == "certified"
    assert 2 * fast.rounds < slow.rounds


def test_what_is_committed_is_the_plan_that_was_certified() -> None:
    limits, venues = coupling(3, [20.0] * 3), problems(table(3, 3, 8, 5))
    played = play(Admm(), limits, venues)
    found = played.solution
    assert found.status == "certified"
    pairs = zip(venues, played.memories[str(found.after)], strict=True)
    committed = total([p.commit(commit_query(found), m, PLAN)[1] for p, m in pairs])
    assert integers(committed) == found.points
    assert limits.admits(committed, limits.goal)


def test_the_order_of_participants_changes_no_byte() -> None:
    limits, venues = coupling(2, [20.0] * 2), problems(table(4, 2, 6, 2))
    forward, backward = play(Admm(), limits, venues), play(Admm(), limits, venues[::-1])
    assert forward.solution == backward.solution
    assert forward.queries == backward.queries
    pairs = zip(forward.totals, backward.totals, strict=True)
    assert all(to_bytes(a) == to_bytes(b) for a, b in pairs)


def test_a_warm_start_that_still_holds_stands_after_few_rounds() -> None:
    limits, venues = coupling(3, [20.0] * 3), problems(table(4, 3, 8, 1))
    cold = play(Admm(), limits, venues)
    warm = play(Admm(), limits, venues, warm=cold.solution.warm, kept=cold.memories)
    assert isinstance(cold.solution.warm, WarmAdmm)
    assert warm.solution.status == "certified"
    assert warm.rounds < cold.rounds


def test_participants_that_lost_their_memory_are_planned_for_all_the_same() -> None:
    limits, venues = coupling(3, [20.0] * 3), problems(table(4, 3, 8, 1))
    cold = play(Admm(), limits, venues)
    lost = play(Admm(), limits, venues, warm=cold.solution.warm)
    assert lost.solution.status == "certified"


def test_a_warm_start_of_another_shape_is_not_used() -> None:
    warm = play(Admm(), coupling(2, [20.0] * 2), problems(table(2, 2, 5, 1))).solution.warm
    other = coupling(3, [20.0] * 3)
    assert Admm().start(other, warm) == Admm().start(other, None)


def following(made: ProxCoupling, **changed: Any) -> ProxCoupling:
    """The same coordinates as slices of a path of twelve lots."""
    lot = 1 << SCALE_BITS
    given_ = {"path": (5 * lot, 12 * lot), "weight": Fraction(1, 3), "lot": lot, "tie_bits": 1}
    return replace(made, tracking=Tracking(**{**given_, **changed}))


def _diverging() -> tuple[ProxCoupling, list[Any]]:
    return coupling(10, [150.0] * 10), problems(table(10, 10, 20, 0))


def test_without_the_safeguard_a_wrong_acceleration_is_never_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Coefficients that extrapolate away: with the safeguard the solve ends, without it not."""
    limits, venues = coupling(2, [20.0] * 2), problems(table(2, 2, 5, 0))

    def away(gram: tuple[tuple[float, ...], ...]) -> tuple[int, ...]:
        return (5 * ONE, -4 * ONE) if len(gram) == 2 else PLAIN

    monkeypatch.setattr(steps, "coefficients", away)
    monkeypatch.setattr(ends, "MOST_ROUNDS", 300)
    kept = play(Admm(), limits, venues).solution
    monkeypatch.setattr(steps, "is_diverging", lambda squared, least: False)
    lost = play(Admm(), limits, venues)
    assert kept.status == "certified"
    assert (lost.solution.status, lost.rounds) == ("max_rounds", 300)


def _first(made: ProxCoupling) -> tuple[Search, int]:
    state = Admm().start(made, None)
    return state, made.width(Admm().ask(state, query_digest))


def test_a_total_that_no_cohort_can_give_ends_without_a_plan() -> None:
    made = coupling(2, [20.0] * 2)
    state, width = _first(made)
    high = int(made.space.bound) + 1
    bad: list[Total | Choice] = [
        Total(words([0] * (width + 1)), ("p",), exact=True),
        Total(words([0] * width), ("p",), exact=False),
        Total(words([high] + [0] * (width - 1)), ("p",), exact=True),
        Total(words([0] * 4 + [1, 0, 0, -1]), ("p",), exact=True),
        Choice(0, ("p",)),
    ]
    for release in bad:
        end = Admm().tell(state, release)
        assert isinstance(end, Solution)
        assert (end.status, end.points) == ("stalled", ())


def test_a_plan_above_its_bound_ends_without_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Participants that claim a cost of minus a million: no bound can explain it."""
    made = coupling(2, [20.0] * 2)
    state, width = _first(made)
    lie = words([0, 0, 0, -(10**6) * 2**VALUE_BITS, 1, *[0] * (width - 5)])
    release = Total(lie, ("p",), exact=True)
    end = Admm().tell(state, release)
    assert isinstance(end, Solution)
    assert (end.status, end.points) == ("stalled", ())
    monkeypatch.setattr(Best, "contradicts", lambda best, terms: False)
    fooled = Admm().tell(state, release)
    assert isinstance(fooled, Solution)
    assert fooled.status == "certified"


def test_the_limit_of_rounds_ends_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "MOST_ROUNDS", 3)
    played = play(Admm(), *_diverging())
    assert (played.solution.status, played.rounds) == ("max_rounds", 3)


def test_a_search_that_brings_nothing_more_is_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "MOST_IDLE", 0)
    assert play(Admm(), *_diverging()).solution.status == "stalled"


def test_it_serves_limits_where_everybody_has_a_prox_and_nothing_else() -> None:
    made = coupling(2, [20.0] * 2)
    suits = Admm().suits(made, frozenset({"PROX"}))
    assert suits is not None
    assert suits.rank == 60
    assert Admm().suits(made, frozenset({"RESPOND"})) is None
    assert Admm().suits(following(made), frozenset({"PROX"})) is None
    assert Admm().suits(following(made), frozenset({"PROX", "RECOVER", "CERTIFY"})) is not None
    with pytest.raises(CapabilityMissing, match="multipliers"):
        Admm().start(cast("Coupling", Keyed()), None)


class Keyed:
    """A coupling of another kind."""

    goal, space, width, admits, left = (None,) * 5


@pytest.mark.parametrize(
    "changed",
    [{"reference": (0, 1)}, {"margin": (2**60, 1)}, {"least": (0,)}, {"value_bits": 63}],
)
def test_a_coupling_that_cannot_be_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Admm().start(replace(coupling(2, [20.0] * 2), **changed), None)


@pytest.mark.parametrize(
    "changed",
    [
        {"path": (1 << SCALE_BITS,)},
        {"path": (0, 1)},
        {"path": (0, 2**62)},
        {"weight": Fraction(0)},
        {"lot": 1},
        {"tie_bits": -1},
        {"tie_bits": 40},
    ],
)
def test_a_path_that_cannot_be_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"path|keys"):
        Admm().start(following(coupling(2, [20.0] * 2), **changed), None)


@pytest.mark.parametrize(
    "options",
    [{"tolerance": "2"}, {"tolerance": 1}, {"tolerence": "0.1"}, {"lot_tolerance": "0"}],
)
def test_an_option_that_is_none_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"tolerance"):
        Admm.from_options(options)


def test_a_tolerance_finer_than_a_word_is_refused() -> None:
    with pytest.raises(BadInput, match="finer"):
        Admm(Fraction(1, 10**18)).start(coupling(1, [1.0]), None)


def test_the_coefficients_of_a_linear_map_reach_its_fixed_point() -> None:
    """Two residuals on one line, 4 and 1: what makes their combination vanish is 4/3 and -1/3."""
    newest, older = coefficients(((1.0, 4.0), (4.0, 16.0)))
    assert newest + older == ONE
    assert abs(newest / ONE - 4 / 3) < 1e-6


@pytest.mark.parametrize(
    "gram",
    [((1.0,),), ((1.0, 1.0), (1.0, 1.0)), ((1.0, 1.0 + 1e-9), (1.0 + 1e-9, 1.0 + 2e-9 + 1e-13))],
)
def test_coefficients_that_cannot_be_trusted_are_plain(gram: Any) -> None:
    assert coefficients(gram) == PLAIN


def test_equal_inputs_give_equal_states_and_questions() -> None:
    made = coupling(2, [20.0] * 2)
    assert Admm().start(made, None) == Admm().start(made, None)
    asked = Admm().ask(Admm().start(made, None), query_digest)
    assert isinstance(asked, Query)


# ---- every state ends


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 3), scale=st.sampled_from([1, 2**40, 2**58]),
       on_path=st.booleans(), loose=st.booleans())  # fmt: skip
def test_whatever_a_cohort_answers_a_search_has_an_end(
    seed: int, size: int, scale: int, on_path: bool, loose: bool
) -> None:
    """Drawn words of every magnitude: no state asks on after the last round, none raises."""
    draw = Random(seed)
    made = coupling(size, [draw.choice([1e-3, 20.0, 1e6]) for _ in range(size)])
    if loose:
        made = replace(made, least=(*made.least[:-1], -(2**62)), most=(*made.most[:-1], 2**62))
    if on_path:
        made = following(made, path=(*range(size - 1), 12 << SCALE_BITS))
    state: Any = Admm().start(made, None)
    for asked in range(MOST_ROUNDS + 1):
        if isinstance(state, Solution):
            break
        assert asked < MOST_ROUNDS
        query = Admm().ask(state, query_digest)
        release = Total(words(_drawn(draw, query, size, scale)), ("a", "b"), exact=True,
                        query=query_digest(query))  # fmt: skip
        state = Admm().tell(state, release)
    assert isinstance(state, Solution)


def _drawn(draw: Random, query: Query, size: int, scale: int) -> list[int]:
    """Words that a cohort could have given, as far as each on its own can show."""
    if query.kind == "recover":
        depths = sorted(draw.randint(0, scale) for _ in query.points)
        return [*depths, draw.choice([0, 10, scale])]
    width = size + 2 if query.kind == "certify" else prox_width(query, size)
    drawn = [draw.randint(-scale, scale) for _ in range(width)]
    drawn[0] = 2**57 + abs(drawn[0])
    if query.kind == "prox":
        drawn[size + 2] = draw.choice([1, 3, 10**6])
        drawn[2 * size + 3] = abs(drawn[2 * size + 3])
    return drawn


def test_a_self_test_that_fails_keeps_the_solver_from_being_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert selftest.computed() == selftest.PINNED
    monkeypatch.setattr(selftest, "PINNED", "0" * 64)
    selftest.self_test.cache_clear()
    with pytest.raises(PluginBroken, match="other bits"):
        Admm.from_options({})
    selftest.self_test.cache_clear()


def test_the_self_test_sees_another_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: a relaxation that is off by one unit in the last place."""
    monkeypatch.setattr(sharing, "RELAXED", 1.6000000000000003)
    assert selftest.computed() != selftest.PINNED
