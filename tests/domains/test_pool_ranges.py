"""Pools and ranges against an exact oracle; one compiled pass gives the bits of plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.domains.pool_markets import (
    STAMP,
    drawn,
    example,
    goal,
    member,
    pool_example,
    range_example,
    ranged,
)

from covenue.errors import BadInput, HeadroomMissing
from covenue.hooks.domains import EMPTY
from covenue.hooks.venues import PoolBatch
from covenue.numerics.compiled import is_compiling
from covenue.numerics.words import integers
from covenue.testing.domains import DomainExample
from covenue.testing.dual_domains import dual_domain_conformance, multiplier_query
from covenue.testing.solvers import play
from covenue_contracts.energibridge import Asset
from covenue_domain_arbitrage import Arbitrage, opened, pool_kernels
from covenue_domain_arbitrage import pools as pools_module
from covenue_domain_arbitrage.goals import Terms
from covenue_domain_arbitrage.pools import (
    PPM,
    Pools,
    check_headroom,
    most_words,
    paid_for_all,
    pools_of,
    swapped,
)
from covenue_solver_dual.dual import Dual

GRID = 2**40
NAMES = ("a", "b", "c")
DECIMALS = (6, 9, 2)
SCALE = 2**10
GUARD = 2**120


def examples() -> list[DomainExample]:
    return [range_example(), pool_example()]


TestRangesConformance = dual_domain_conformance(Arbitrage, examples)


@dataclass(frozen=True)
class Row:
    """One drawn pool or range, in native units."""

    sides: tuple[int, int]
    reserves: tuple[int, int]
    parts: tuple[int, int]
    fee: int

    @property
    def available(self) -> list[int]:
        return [
            reserve * part // 1000 for reserve, part in zip(self.reserves, self.parts, strict=True)
        ]


RESERVES = st.builds(lambda digit, zeros: digit * 10**zeros, st.integers(1, 99), st.integers(0, 12))
PARTS = st.sampled_from([0, 1, 37, 500, 999, 1000])
ROWS = st.builds(
    Row,
    st.sampled_from([(0, 1), (1, 0), (1, 2), (2, 0)]),
    st.tuples(RESERVES, RESERVES),
    st.tuples(PARTS, PARTS),
    st.sampled_from([0, 1, 3_000, 500_000, 999_999]),
)
MULTIPLIERS = st.tuples(*(st.integers(GRID // 16, GRID * 16) for _ in NAMES))


def batch(rows: Sequence[Row]) -> PoolBatch:
    return PoolBatch(
        "v",
        tuple(Asset(name=n, decimals=d) for n, d in zip(NAMES, DECIMALS, strict=True)),
        tuple(f"pool-{number}" for number in range(len(rows))),
        sides=np.array([row.sides for row in rows], dtype=np.int64).reshape(-1, 2),
        reserves=np.array([row.reserves for row in rows], dtype=np.int64).reshape(-1, 2),
        fee_ppm=np.array([row.fee for row in rows], dtype=np.int64),
        stamp=STAMP,
        available=np.array([row.available for row in rows], dtype=np.int64).reshape(-1, 2),
    )


def terms(**more: int) -> Terms:
    made = goal(NAMES, **{"scale_bits": 10, "value_bits": 10, "slope_bits": 10, **more})
    return Arbitrage().coupling(made, [member(0)]).terms


def root(number: Fraction) -> Fraction:
    """A root to 200 bits, from below."""
    return Fraction(isqrt(number.numerator * GUARD * GUARD // number.denominator), GUARD)


def best(row: Row, side: int, at: Sequence[int]) -> Fraction:
    """Phi of paying one side, on the real curve: the oracle."""
    r_in, r_out = row.reserves[side], row.reserves[1 - side]
    most, keep = row.available[1 - side], Fraction(PPM - row.fee, PPM)
    v_in, v_out = (
        Fraction(at[row.sides[s]], GRID * 10 ** DECIMALS[row.sides[s]]) for s in (side, 1 - side)
    )
    paid = max(Fraction(0), (root(keep * r_in * r_out * v_out / v_in) - r_in) / keep)
    if most < r_out:
        paid = min(paid, r_in * most / (keep * (r_out - most)))
    received = r_out * keep * paid / (r_in + keep * paid)
    return v_out * received - v_in * paid


def fitting(rows: Sequence[Row]) -> Pools:
    """The drawn batch, where every answer to it fits a word."""
    held = pools_of(batch(rows), terms())
    try:
        check_headroom(most_words(held), held.terms, 2**62)
    except HeadroomMissing:
        assume(False)
    return held


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS, max_size=4), MULTIPLIERS)
def test_an_answer_is_within_rounding_of_the_exact_best(
    rows: list[Row], at: tuple[int, int, int]
) -> None:
    """Phi is no less than the exact one, and no more than rounding above; so is what is done."""
    held = fitting(rows)
    value, net = held.answer(np.array(at, dtype=np.float64) / GRID, None)
    exact, above, below = Fraction(0), Fraction(1 + len(rows)), Fraction(0)
    for row in rows:
        exact += max(best(row, side, at) for side in (0, 1))
        parts = (
            Fraction(at[place] * reserve, GRID * 10 ** DECIMALS[place])
            for place, reserve in zip(row.sides, row.reserves, strict=True)
        )
        worth = sum(parts, Fraction(0)) * PPM / (PPM - row.fee)
        above += worth * SCALE / 2**44
        grains = (Fraction(3, 10 ** DECIMALS[place]) + Fraction(2, SCALE) for place in row.sides)
        rounding = (Fraction(at[p], GRID) * g for p, g in zip(row.sides, grains, strict=True))
        below += sum(rounding, worth / 2**40)
    assert exact * SCALE <= value <= exact * SCALE + above
    done = sum(
        (Fraction(word * v, GRID * SCALE) for word, v in zip(net.tolist(), at, strict=True)),
        Fraction(0),
    )
    assert exact - below <= done <= Fraction(value, SCALE)


@settings(max_examples=100, deadline=None)
@given(st.lists(ROWS, max_size=4), MULTIPLIERS)
def test_the_dual_of_opened_ranges_is_the_exact_one_rounded_up(
    rows: list[Row], at: tuple[int, int, int]
) -> None:
    exact = sum((max(best(row, side, at) for side in (0, 1)) for row in rows), Fraction(0))
    found = opened._pool_dual(terms(), batch(rows), at)
    below = sum((Fraction(1, 2**40) for _ in rows), Fraction(0))
    assert exact - Fraction(1, 2**60) <= found <= exact + below


def check_swaps(held: Pools, at: Sequence[int]) -> int:
    """Every swap is one that its pool or range makes; no less than answered. Returns how many."""
    multipliers, state = np.array(at, dtype=np.float64) / GRID, held.batch
    swaps, net = held.swaps(held.trades(multipliers))
    _, answered = held.answer(multipliers, None)
    assert all(now >= before for now, before in zip(net.tolist(), answered.tolist(), strict=True))
    assert state.available is not None
    for swap in swaps:
        row = state.pools.index(swap.pool)
        side = [state.assets[place].name for place in state.sides[row]].index(swap.pays)
        r_in, r_out = (int(state.reserves[row, s]) for s in (side, 1 - side))
        kept, got = int(swap.paid) * (PPM - int(state.fee_ppm[row])), int(swap.least)
        assert 0 < got <= state.available[row, 1 - side]
        assert (r_in * PPM + kept) * (r_out - got) >= r_in * r_out * PPM
    return len(swaps)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS, max_size=4), MULTIPLIERS)
def test_every_swap_is_one_that_its_range_makes(rows: list[Row], at: tuple[int, int, int]) -> None:
    check_swaps(fitting(rows), at)


def test_a_range_that_ignores_its_limit_promises_what_it_does_not_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: no limits; some swap then gives more than its range can."""
    made = Arbitrage().coupling(goal(NAMES), [member(0)]).terms
    at = (GRID, 2 * GRID, 2 * GRID)
    assert check_swaps(pools_of(ranged(NAMES, 20, 1), made), at) > 5
    monkeypatch.setattr(pools_module, "_limits", lambda *_: np.zeros((0, 6)))
    monkeypatch.setattr(
        pools_module,
        "swapped",
        lambda r_in, r_out, fee, paid, most: swapped(r_in, r_out, fee, paid),
    )
    with pytest.raises(AssertionError):
        check_swaps(pools_of(ranged(NAMES, 20, 1), made), at)


@given(st.integers(1, 10**18), st.integers(2, 10**18), st.integers(0, 999_999), st.data())
def test_what_is_paid_for_all_is_the_least_that_gives_all(
    r_in: int, r_out: int, fee: int, data: st.DataObject
) -> None:
    most = data.draw(st.integers(1, r_out - 1))
    paid = paid_for_all(r_in, r_out, fee, most)
    assert swapped(r_in, r_out, fee, paid) >= most == swapped(r_in, r_out, fee, 2 * paid, most)
    assert swapped(r_in, r_out, fee, paid - 1) < most


# ---- compiled and plain


def both(held: Pools, multipliers: NDArray[np.float64]) -> list[tuple[int, bytes, bytes]]:
    """The answer of the compiled pass (where there is a compiler), of arrays, of the plain pass."""
    size = len(multipliers)
    found = []
    for is_compiled in (True, False):
        slopes = np.zeros(size * (size + 1) // 2, dtype=np.int64)
        value, net = replace(held, is_compiled=is_compiled).answer(multipliers, slopes)
        found.append((value, net.tobytes(), slopes.tobytes()))
    return found


@settings(max_examples=100, deadline=None)
@given(st.lists(ROWS, max_size=6), MULTIPLIERS)
def test_the_compiled_pass_and_arrays_give_the_same_bits(
    rows: list[Row], at: tuple[int, int, int]
) -> None:
    bounded = batch(rows)
    for state in (bounded, replace(bounded, available=None)):
        held = pools_of(state, terms(scale_bits=8, value_bits=8))
        assert len(set(both(held, np.array(at, dtype=np.float64) / GRID))) == 1


@pytest.mark.parametrize("seed", range(4))
def test_so_do_a_thousand_pools_and_the_kernel_as_it_is_written(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tuple(f"a{number}" for number in range(12))
    made = Arbitrage().coupling(goal(assets), [member(0)]).terms
    random = np.random.Generator(np.random.PCG64(seed))
    v = np.arange(1.0, 13.0) * (1.0 + 0.05 * (random.random(12) - 0.5))
    for state in (drawn(assets, 1000, seed, noise=0.2), ranged(assets, 1000, seed)):
        held = pools_of(state, made)
        compiled = both(held, v)
        with monkeypatch.context() as patched:
            patched.setattr(pools_module, "summed", pool_kernels.summed.plain)  # type: ignore[attr-defined]  # as `compiled` says
            assert set(both(held, v)) == set(compiled)
        assert len(set(compiled)) == 1
        assert compiled[0][0] > 1


def test_arrays_that_round_otherwise_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: the array path rounds phi by another slack than the compiled pass."""
    made = Arbitrage().coupling(goal(NAMES), [member(0)]).terms
    held, v = pools_of(ranged(NAMES, 500, 1), made), np.array([1.0, 2.1, 2.9])
    assert len(set(both(held, v))) == 1
    monkeypatch.setattr(pools_module, "EDGE_SLACK", 2.0**-40)
    assert len(set(both(held, v))) == 2


def test_a_batch_knows_whether_kernels_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    state = drawn(NAMES, 4, 1)
    assert pools_of(state, terms()).is_compiled == is_compiling()
    monkeypatch.setenv("COVENUE_COMPILED", "0")
    assert not pools_of(state, terms()).is_compiled


# ---- slopes, plans, degenerate batches


def test_slopes_of_ranges_are_the_derivative_of_the_net_amounts() -> None:
    """Central differences; where a range's end lies between the two points, there is none."""
    made = Arbitrage().coupling(goal(NAMES, slope_bits=30), [member(0)]).terms
    held = pools_of(ranged(NAMES, 60, 3), made)
    v = np.array([1.01, 2.0, 2.97])
    full = len([w for w in held.trades(v).slope_words if not w])
    assert 0 < full < len(held.trades(v).pool)
    packed = np.zeros(6, dtype=np.int64)
    held.answer(v, packed)
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-7
        up, down = (held.answer(v * (1 + sign * step), None)[1] for sign in (1, -1))
        for row in range(3):
            high, low = max(row, column), min(row, column)
            slope = packed[high * (high + 1) // 2 + low] / 2**30
            found = v[row] * (up[row] - down[row]) / 2e-7 / 2**30
            assert found == pytest.approx(slope, rel=2e-3)


def test_a_plan_over_ranges_is_certified_and_owes_nothing() -> None:
    made = range_example()
    domain = Arbitrage()
    coupling, problems = domain.coupling(made.goal, made.members), made.problems(domain)
    solution = play(Dual.from_options({}), coupling, problems).solution
    assert solution.status == "certified"
    assert solution.value > 0
    assert solution.multipliers is not None
    values = [int(v) for v in solution.multipliers.values]
    query = multiplier_query("commit", coupling, values)
    query = query.model_copy(update={"points": tuple(map(str, solution.points))})
    nets = [integers(problem.commit(query, EMPTY, "0" * 64)[1]) for problem in problems]
    assert min(map(sum, zip(*nets, strict=True))) >= 0


def test_a_party_without_pools_and_one_whose_pools_agree_do_nothing() -> None:
    same = batch([Row((0, 1), (2_000_000, 10**9), (1000, 50), 0)] * 3)
    for state in (batch([]), same):
        made = example(goal(NAMES), [state])
        (problem,) = made.problems(Arbitrage())
        coupling = Arbitrage().coupling(made.goal, made.members)
        query = multiplier_query("curvature", coupling, coupling.reference)
        phi, *rest = integers(problem.answer(query, EMPTY)[0])
        assert phi == 1
        assert set(rest) == {0}


@pytest.mark.parametrize("available", [(-1, 5), (0, 10**9)])
def test_a_side_that_gives_less_than_nothing_or_more_than_all_is_refused(
    available: tuple[int, int],
) -> None:
    state = replace(
        batch([Row((0, 1), (10**6, 10**6), (1000, 1000), 0)]),
        available=np.array([available], dtype=np.int64),
    )
    with pytest.raises(BadInput) as caught:
        pools_of(state, terms())
    assert (caught.value.field, caught.value.value) == ("pools.available", "pool-0")


def test_an_asset_that_is_there_twice_is_refused() -> None:
    """It could have two sizes of native units."""
    whole = batch([Row((0, 1), (10**6, 10**6), (1000, 1000), 0)])
    with pytest.raises(BadInput) as caught:
        pools_of(replace(whole, assets=(*whole.assets, Asset(name="a", decimals=9))), terms())
    assert (caught.value.field, caught.value.value) == ("assets", "a")
