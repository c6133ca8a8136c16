"""Pools of any size, fee and unit: what passes the headroom check can be asked anything."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.domains.pool_markets import STAMP, goal, member

from covenue.errors import HeadroomMissing, LayoutMismatch
from covenue.hooks.domains import EMPTY
from covenue.hooks.venues import PoolBatch
from covenue.numerics.words import integers
from covenue.testing.dual_domains import multiplier_query
from covenue_contracts.energibridge import Asset
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_arbitrage import pools as pools_module
from covenue_domain_arbitrage.coupling import ArbitrageCoupling
from covenue_domain_arbitrage.pools import pools_of
from covenue_domain_arbitrage.problem import ArbitrageProblem

NAMES = ("a", "b", "c")
RESERVES = st.one_of(st.integers(1, 50), st.integers(1, 2**62), st.sampled_from([2**61, 2**62]))
FEES = st.sampled_from([0, 1, 3_000, 500_000, 999_999])
ROWS = st.tuples(st.sampled_from([(0, 1), (1, 0), (1, 2), (2, 0)]), RESERVES, RESERVES, FEES)
SCALES = st.fixed_dictionaries(
    {
        "scale_bits": st.sampled_from([8, 26, 40, 48]),
        "value_bits": st.sampled_from([8, 26, 48]),
        "slope_bits": st.sampled_from([8, 20, 40]),
        "band": st.sampled_from([2, 128, 65_536]),
    }
)


def batch(rows: list[tuple[tuple[int, int], int, int, int]], decimals: list[int]) -> PoolBatch:
    return PoolBatch(
        "v",
        tuple(Asset(name=n, decimals=d) for n, d in zip(NAMES, decimals, strict=True)),
        tuple(f"pool-{number}" for number in range(len(rows))),
        sides=np.array([row[0] for row in rows], dtype=np.int64),
        reserves=np.array([[row[1], row[2]] for row in rows], dtype=np.int64),
        fee_ppm=np.array([row[3] for row in rows], dtype=np.int64),
        stamp=STAMP,
    )


def corners(coupling: ArbitrageCoupling) -> list[tuple[int, ...]]:
    low, high = zip(*coupling.multiplier_range, strict=True)
    return [low, high, (low[0], high[1], low[2]), (high[0], low[1], high[2]), coupling.reference]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(ROWS, min_size=1, max_size=5),
    st.lists(st.sampled_from([0, 6, 18]), min_size=3, max_size=3),
    SCALES,
    st.integers(1, 5),
)
def test_whatever_passes_the_headroom_check_answers_and_commits_within_its_words(
    rows: list[tuple[tuple[int, int], int, int, int]],
    decimals: list[int],
    scales: dict[str, int],
    parties: int,
) -> None:
    members = [member(0)] * parties
    made = goal(NAMES, **scales)
    try:
        problem = Arbitrage().problem(made, members, members[0], batch(rows, decimals), {})
    except HeadroomMissing:
        assume(False)
    check(problem, Arbitrage().coupling(made, members))


def check(problem: ArbitrageProblem, coupling: ArbitrageCoupling) -> None:
    bound = int(coupling.space.bound)
    for values in corners(coupling):
        answer, _ = problem.answer(multiplier_query("curvature", coupling, values), EMPTY)
        assert max(map(abs, integers(answer))) <= bound
        commit = multiplier_query("commit", coupling, values)
        actions, planned, _ = problem.commit(commit, EMPTY, "0" * 64)
        pairs = zip(integers(planned), integers(answer)[1:4], strict=True)
        assert all(now >= before for now, before in pairs)
        assert all(int(swap.paid) > 0 and int(swap.least) > 0 for swap in actions.swaps)


def overflowing() -> tuple[ArbitrageProblem, ArbitrageCoupling]:
    """One small pool of 18 decimals that a far price would have paid beyond 64 bits."""
    made = goal(NAMES, band=65_536, scale_bits=8)
    rows = [((0, 1), 5 * 10**18 // 4, 5 * 10**18 // 4, 3_000)]
    members = [member(0)] * 3
    problem = Arbitrage().problem(made, members, members[0], batch(rows, [18, 18, 18]), {})
    return problem, Arbitrage().coupling(made, members)


def test_a_pool_that_could_be_paid_beyond_64_bits_is_refused() -> None:
    with pytest.raises(HeadroomMissing, match="native units"):
        overflowing()


def test_without_that_check_a_swap_gives_less_than_was_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: no headroom check; what is paid is cut to 62 bits, not what was answered."""
    monkeypatch.setattr(pools_module, "check_headroom", lambda *_: None)
    problem, coupling = overflowing()
    with pytest.raises(AssertionError):
        check(problem, coupling)


def test_a_batch_beyond_the_headroom_answers_the_same_compiled_or_not() -> None:
    """Nearly all is fee, and one side has nine decimals: more native units than 63 bits hold."""
    terms = Arbitrage().coupling(goal(NAMES, scale_bits=8, value_bits=8), [member(0)]).terms
    state = batch([((0, 1), 10**14, 10**14, 999_999)], [9, 2, 6])
    held, at = pools_of(state, terms), np.array([1 / 16, 32.0, 3.0])
    assert held.trades(at).paid.tolist() == [2**62]
    words = [replace(held, is_compiled=way).answer(at, None) for way in (True, False)]
    assert words[0][0] == words[1][0]
    assert words[0][1].tobytes() == words[1][1].tobytes()


def test_a_width_that_the_domain_does_not_spread_over_is_refused() -> None:
    made = goal(("a", "b"), jumps=True, slope_bits=12)
    coupling = Arbitrage().coupling(made, [member(0)])
    pool = [((0, 1), 10**9, 10**9, 100)]
    state = batch(pool, [9, 9, 9])
    problem = Arbitrage().problem(made, [member(0)], member(0), state, {})
    width = coupling.smoothing[0]
    assert len(
        problem.answer(multiplier_query("respond", coupling, coupling.reference, width), EMPTY)
    )
    with pytest.raises(LayoutMismatch):
        problem.answer(multiplier_query("respond", coupling, coupling.reference, width + 1), EMPTY)
