"""Kernels of the dual solvers: compiled and plain give the same bits, and do what they say."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.solvers.pools import Kind, PoolProblem, instance

from covenue.hooks.domains import EMPTY
from covenue.numerics.words import Words, integers, total
from covenue.testing.solvers import play
from covenue_contracts.shared import DualVariables, Query
from covenue_solver_dual import Dual, algebra, model, newton, pairs, selftest, totals
from covenue_solver_dual.costs import Costs
from covenue_solver_dual.held import Held, Reals
from covenue_solver_dual.newton import Curvature, NewtonMethod
from covenue_solver_dual.terms import Terms, terms_of
from covenue_solver_dual.totals import SLOPE_SLACK, Point, point

Bits = bytes | int | float | bool


def bits(result: Any) -> list[Bits]:
    """What a kernel returned, as bytes and numbers."""
    if isinstance(result, tuple):
        return [each for part in result for each in bits(part)]
    return [result.tobytes()] if isinstance(result, np.ndarray) else [result]


def same(kernel: Callable[..., Any], *given: Any) -> None:
    """Both forms of a kernel on the same arguments; arrays that it fills count as results."""
    plain = kernel.plain  # type: ignore[attr-defined]  # what `compiled` adds
    ends = []
    for form in (kernel, plain):
        own = [
            each.copy() if isinstance(each, np.ndarray) and each.flags.writeable else each
            for each in given
        ]
        with np.errstate(all="ignore"):
            ends.append((bits(form(*own)), [bits(each) for each in own]))
    assert ends[0] == ends[1]


def answered(n: int, seed: int, kind: Kind, lifts: int) -> tuple[Terms, Point, Reals]:
    """An instance, an answer at multipliers off their reference by `lifts` percent, its slopes."""
    public, private = instance(n, seed, kind)
    terms = terms_of(public, "dual")
    multipliers = [r + r * (k % 3) * lifts // 100 for k, r in enumerate(public.reference)]
    here, triangle = asked(private, multipliers)
    slopes = algebra.unpacked(triangle, terms.size, 2.0**-terms.slope_bits, SLOPE_SLACK)[1]
    return terms, here, Held(slopes).array


@settings(max_examples=12, deadline=None)
@given(
    st.integers(4, 150),
    st.integers(0, 10**6),
    st.sampled_from(["random", "market"]),
    st.integers(0, 9),
    st.booleans(),
)
def test_compiled_and_plain_kernels_give_the_same_bits(
    n: int, seed: int, kind: Kind, lifts: int, bent: bool
) -> None:
    terms, here, slopes = answered(n, seed, kind, lifts)
    _, there, _ = answered(n, seed, kind, lifts + 1)
    inset, walls = Held(np.full(terms.size, 5000)).array, Held(np.zeros(terms.size)).array
    units = terms.v_unit, terms.s_unit
    both = here.v, here.s, there.v, there.s
    same(model.judged, terms.limits, inset, *both, *units)
    same(model.misplaced, terms.limits, inset, here.v, here.s, *units)
    diagonal, widest = Held(slopes.diagonal().copy()).array, Held(np.full(terms.size, 2**60)).array
    same(model.insets, terms.limits, here.v, 1e-3, diagonal, *units, widest)
    same(model.seen, *both, *units, bent)
    rest = (*units, 1e-9, -0.7, 1.5, bent)
    same(model.newton_trial, terms.limits, inset, here.v, here.s, slopes, walls, *rest)
    moved, gained = (Held(each).array for each in model.seen(*both, *units, bent)[:2])
    same(algebra.ranks, slopes, moved, gained)
    same(algebra.dot, moved, gained)
    steps, gains = (Held(np.stack((each, 2.0 * each))).array for each in (moved, gained))
    tail = (*units, 1.0, -0.7, 1.5, bent)
    same(pairs.quasi_newton_trial, terms.limits, inset, here.v, here.s, steps, gains, *tail)
    words = np.rint(slopes[np.tril_indices(terms.size)] * 2.0**20).astype(np.int64)
    same(algebra.unpacked, Held(words).array, terms.size, 2.0**-20, SLOPE_SLACK)
    same(algebra.extremes, words)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 63, 97])
def test_products_and_updates_by_entries_are_those_by_rows(size: int) -> None:
    draw = np.random.Generator(np.random.PCG64(size))
    matrix = draw.random((size, size)) - 0.5
    matrix = Held(matrix + matrix.T).array
    vector = np.where(draw.random(size) < 0.3, 0.0, draw.random(size))
    left, right, found = np.empty(size), np.empty(size), np.empty(size)
    algebra._by_entries(matrix, vector, left)
    algebra._by_rows(matrix, vector, right)
    algebra.times(matrix, vector, found)
    assert left.tobytes() == right.tobytes() == found.tobytes()
    image, gained, grown = (draw.random(size) for _ in range(3))
    for held, gain in ((0.7, 0.3), (np.inf, np.inf)):
        given_ = (matrix, image, gained, held, gain, grown)
        ends = [form(*given_).tobytes() for form in FORMS]
        assert ends[0] == ends[1] == algebra.spread(*given_).tobytes()


FORMS = (algebra._updated_by_entries, algebra._updated_by_rows)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(0, 10**6), st.booleans())
def test_slopes_are_unpacked_by_entries_as_by_rows(size: int, seed: int, broken: bool) -> None:
    """And refused by both alike, where one entry is more than its diagonal allows."""
    draw = np.random.Generator(np.random.PCG64(seed))
    half = draw.integers(-(2**20), 2**20, (size, size))
    rows, columns = np.tril_indices(size)
    words = (half @ half.T)[rows, columns]
    at = int(draw.integers(0, len(words)))
    if broken:
        beyond = -(2**17) if rows[at] == columns[at] else 2**62
        words[at] = beyond
    given_ = Held(words).array, size, 2.0**-20, SLOPE_SLACK
    ends = [form(*given_) for form in (algebra._unpacked_by_entries, algebra._unpacked_by_rows)]
    (able, full), (also, other) = ends
    assert bits(full) == bits(other) == bits(algebra.unpacked(*given_)[1])
    assert bool(able) == bool(also) == (not broken)
    assert bits(full) == bits(full.T.copy())


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 60), st.integers(0, 10**6))
def test_the_stiffness_of_an_exchange_of_all_with_all_is_found_again(size: int, seed: int) -> None:
    draw = np.random.Generator(np.random.PCG64(seed))
    own = 1.0 + draw.random(size)
    steps = draw.random((10, size)) - 0.5
    gains = steps * own - np.outer(steps @ own, own) / own.sum()
    given_ = Held(steps).array, Held(gains).array, float(own.mean())
    same(pairs.stiffness, *given_)
    found = pairs.stiffness(*given_)
    # A part TRUSTED of what pairs say is drawn to the mean, so it comes nearer and not all the way.
    assert float(np.abs(found - own).max()) < 0.7 * float(np.abs(own.mean() - own).max())


def conjugated(matrix: Reals, right: Reals, moves: Reals) -> tuple[int, Reals]:
    """The solution on the coordinates that move, from zero."""
    size = len(right)
    diagonal = np.where(moves == 1.0, matrix.diagonal(), 1.0)
    step = np.zeros(size)
    took = algebra.conjugated(
        Held(matrix).array, diagonal, np.zeros(size), right, moves, step, model.SOLVED
    )
    return took, step


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10**6))
def test_conjugate_gradients_solve_what_lapack_solves(size: int, seed: int) -> None:
    draw = np.random.Generator(np.random.PCG64(seed))
    half = draw.random((size, 2 * size)) - 0.5
    matrix = half @ half.T + np.eye(size)
    right, moves = draw.random(size), (draw.random(size) < 0.7).astype(np.float64)
    took, step = conjugated(matrix, right, moves)
    chosen = np.flatnonzero(moves)
    assert 0 <= took <= size + algebra.SPARE_PRODUCTS
    assert not step[moves == 0.0].any()
    if len(chosen):
        oracle = np.linalg.solve(matrix[np.ix_(chosen, chosen)], right[chosen])
        # It ends at 1e-6 of the first residual, in a norm that the condition number distorts.
        allowed = 1e-6 * float(np.linalg.cond(matrix)) * float(np.linalg.norm(oracle))
        assert float(np.linalg.norm(step[chosen] - oracle)) <= allowed


def test_a_direction_without_curvature_is_told() -> None:
    matrix = np.array([[1.0, 2.0], [2.0, 1.0]])
    assert conjugated(matrix, np.array([1.0, -1.0]), np.ones(2))[0] == -1
    assert conjugated(matrix, np.array([1.0, 1.0]), np.ones(2))[0] >= 0


def test_a_model_that_is_not_convex_gives_no_trial() -> None:
    terms, here, slopes = answered(60, 1, "random", 3)
    false = 4.0 * slopes - np.diag(3.0 * slopes.diagonal())
    inset, walls = Held(np.zeros(terms.size, np.int64)).array, Held(np.zeros(terms.size)).array
    convex, trial = model.newton_trial(
        terms.limits, inset, here.v, here.s, Held(false).array, walls, terms.v_unit, terms.s_unit,
        1e-9, -0.7, 1.5, False,
    )  # fmt: skip
    assert not convex
    assert trial.tobytes() == here.v.tobytes()


def asked(private: Sequence[PoolProblem], multipliers: Sequence[int]) -> tuple[Point, Words]:
    """What a cohort answers, and the packed triangle of its slopes."""
    query = Query(
        kind="curvature",
        after=None,
        multipliers=DualVariables(scale_bits=40, values=tuple(map(str, multipliers))),
        points=(),
    )
    summed = total([each.answer(query, EMPTY)[0] for each in private])
    value, *nets = integers(summed[: 1 + len(multipliers)])
    return point(multipliers, value, nets), Held(summed[1 + len(multipliers) :].copy()).array


@pytest.mark.parametrize("seed", range(3))
def test_a_bent_step_leaves_less_out_of_place_than_a_straight_one(seed: int) -> None:
    """The bent model is exact as long as the same pools trade: here almost all of them do."""
    public, private = instance(400, seed)
    terms = terms_of(public, "dual")
    best = play(Dual(), public, private).solution.multipliers
    assert best is not None
    off = [int(v) + int(v) * (k % 3) // 10 for k, v in enumerate(best.values)]
    here, triangle = asked(private, off)
    slopes = algebra.unpacked(triangle, terms.size, 2.0**-terms.slope_bits, SLOPE_SLACK)[1]
    left = []
    for bent in (True, False):
        memory = Curvature(Costs(), Held(slopes), here.at, bent=bent)
        inset = Held(np.full(terms.size, 4096))
        trial = NewtonMethod().next(terms, memory, here, inset, (-0.7, 1.5))
        left.append(out_of_place(terms, asked(private, trial.tolist())[0]))
    assert left[0] * 5.0 < left[1] < out_of_place(terms, here)


def out_of_place(terms: Terms, at: Point) -> float:
    inset = Held(np.full(terms.size, 4096)).array
    return model.misplaced(terms.limits, inset, at.v, at.s, terms.v_unit, terms.s_unit)


def test_what_is_out_of_place_is_the_value_of_the_exact_slopes() -> None:
    terms, here, _ = answered(80, 2, "market", 1)
    expected = 0
    for k in range(terms.size):
        v, r, net = (int(each[k]) for each in (here.v, terms.limits[0], here.s))
        low = net if terms.least[k] <= net < terms.least[k] + 4096 else terms.least[k] + 4096
        high = terms.most[k] - 4096
        slope = net - low if v > r else min(net - low, 0) + max(net - high, 0)
        expected += v * abs(slope)
    assert out_of_place(terms, here) == pytest.approx(expected * 2.0**-70, rel=1e-12)


def test_the_self_test_runs_every_kernel() -> None:
    """A kernel that the pinned digest does not run could differ unseen."""
    ran: set[str] = set()
    kernels = {
        name: each
        for module in HOMES
        for name, each in vars(module).items()
        if hasattr(each, "machine_code") and each.__module__ == module.__name__
    }
    with pytest.MonkeyPatch.context() as patch:
        for module in (*HOMES, selftest, totals, newton):
            for name in kernels.keys() & vars(module).keys():
                patch.setattr(module, name, noting(ran, name, kernels[name]))
        assert selftest.computed() == selftest.PINNED
    assert ran == kernels.keys()


HOMES = (algebra, model, pairs)


def noting(ran: set[str], name: str, kernel: Any) -> Callable[..., Any]:
    """The plain form, whose callees are looked up at each call."""

    def noted(*given_: Any) -> Any:
        ran.add(name)
        with np.errstate(all="ignore"):
            return kernel.plain(*given_)

    return noted
