"""Fixed-order LDL' against LAPACK, against its own definition, and bit for bit."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue.errors import BadInput, LayoutMismatch
from covenue.numerics import ldlt
from covenue.numerics.ldlt import Factor, Reals, factored, solved

PINNED = "0c024cd43a8225a74ec59ccaf74d8c79ec09950935e34537077d41dfa89462ee"
SIZES = (1, 2, 31, 32, 33, 97, 200)


def tiny(size: int) -> Reals:
    return np.full(size, 1e-12)


def random_matrix(size: int, seed: int, rank: int | None = None) -> Reals:
    """A Gram matrix of small integers over 3, so that every operation rounds."""
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7, seed, size])))
    rows = draw.integers(-9, 10, (rank or 2 * size, size)) / 3.0
    matrix = np.zeros((size, size))
    for row in rows:
        matrix += row[:, None] * row[None, :]
    return matrix


def laplacian(size: int, seed: int) -> Reals:
    """Singular by construction: every row sums to zero."""
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([8, seed, size])))
    matrix = np.zeros((size, size))
    for row in range(size):
        for other in (row + 1, row + 3):
            weight, column = float(draw.integers(1, 99)), other % size
            if column != row:
                matrix[[row, column], [row, column]] += weight
                matrix[[row, column], [column, row]] -= weight
    return matrix


def naive(matrix: Reals, least: Reals) -> tuple[Reals, Reals]:
    """The definition, one entry at a time in Python floats."""
    size = len(matrix)
    a = [[float(x) for x in row] for row in matrix]
    unit, pivots = np.eye(size), np.zeros(size)
    for k in range(size):
        pivots[k] = max(a[k][k], float(least[k]))
        for i in range(k + 1, size):
            unit[k, i] = a[k][i] / float(pivots[k])
        for i in range(k + 1, size):
            for j in range(i, size):
                a[i][j] = a[i][j] - float(unit[k, i]) * a[k][j]
    return unit, pivots


def fingerprint(factor: Factor, x: Reals) -> str:
    parts = (factor.unit_upper.tobytes(), factor.pivots.tobytes(), x.tobytes())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def pinned_results() -> str:
    """One digest over sizes on both sides of a block and of a tile."""
    found = []
    for size in (5, 33, 150):
        factor = factored(random_matrix(size, 1), tiny(size))
        found.append(fingerprint(factor, solved(factor, np.arange(size) / 7.0)))
    return hashlib.sha256("".join(found).encode()).hexdigest()


@pytest.mark.parametrize("size", SIZES)
def test_the_factors_multiply_back_to_the_matrix(size: int) -> None:
    matrix = random_matrix(size, 0)
    factor = factored(matrix, tiny(size))
    lower = factor.unit_upper.T
    again = (lower * factor.pivots) @ lower.T
    # Backward error of LDL' without pivoting on a definite matrix: a few m * 2^-53 of its norm.
    assert float(np.abs(again - matrix).max()) <= 4 * size * 2.0**-53 * float(matrix.max())
    assert factor.raised == 0
    assert bool((np.diagonal(factor.unit_upper) == 1.0).all())
    assert not np.tril(factor.unit_upper, -1).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 80), st.integers(0, 10**6))
def test_a_solution_agrees_with_lapack(size: int, seed: int) -> None:
    matrix = random_matrix(size, seed) + np.eye(size)
    right = np.arange(1.0, size + 1.0)
    x = solved(factored(matrix, tiny(size)), right)
    oracle = np.linalg.solve(matrix, right)
    # Both solutions are off by about the condition number in units of rounding.
    allowed = float(np.linalg.cond(matrix)) * size * 2.0**-52
    assert float(np.abs(x - oracle).max()) <= allowed * float(np.abs(oracle).max())


@pytest.mark.parametrize("size", [1, 7, 40, 70])
def test_every_bit_is_that_of_the_definition(size: int) -> None:
    matrix, least = random_matrix(size, 3, rank=max(1, size - 2)), np.full(size, 1e-6)
    factor = factored(matrix, least)
    unit, pivots = naive(matrix, least)
    assert factor.unit_upper.tobytes() == unit.tobytes()
    assert factor.pivots.tobytes() == pivots.tobytes()


@pytest.mark.parametrize(("block", "rows", "columns"), [(1, 1, 1), (8, 16, 8), (64, 7, 1000)])
def test_blocks_and_tiles_change_no_bit(
    block: int, rows: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pinned_results()
    monkeypatch.setattr(ldlt, "eliminate", ldlt._eliminate_by_tiles)
    monkeypatch.setattr(ldlt, "BLOCK", block)
    monkeypatch.setattr(ldlt, "TILE_ROWS", rows)
    monkeypatch.setattr(ldlt, "TILE_COLUMNS", columns)
    assert pinned_results() == before


FORMS = (ldlt._eliminate_by_entries, ldlt._eliminate_by_tiles)
SOLVES = (ldlt._substitute_by_entries, ldlt._substitute_by_columns)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 70), st.integers(0, 10**6), st.booleans())
def test_entries_tiles_and_machine_code_give_the_same_bits(
    size: int, seed: int, singular: bool
) -> None:
    matrix = random_matrix(size, seed, rank=max(1, size - 3) if singular else None)
    least, right = np.full(size, 1e-6), np.arange(1.0, size + 1.0)
    ends = []
    for eliminate, substitute in (
        *zip(FORMS, SOLVES, strict=True),
        (ldlt.eliminate, ldlt.substitute),
    ):
        upper, pivots, x = matrix.copy(), np.empty(size), right.copy()
        raised = eliminate(upper, least, pivots)
        substitute(upper, pivots, x)
        triangle = upper[np.triu_indices(size, 1)]
        ends.append((raised, triangle.tobytes(), pivots.tobytes(), x.tobytes()))
    assert ends[0] == ends[1] == ends[2]


def test_the_bits_are_pinned() -> None:
    assert pinned_results() == PINNED


@pytest.mark.parametrize(
    "surroundings",
    [
        {"OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"},
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"},
        {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"},
        {"COVENUE_COMPILED": "0"},
        {"NUMBA_CPU_NAME": "generic"},
    ],
    ids=lambda each: " ".join(each.values()).replace(" ", "-"),
)
def test_another_machine_computes_the_same_bits(surroundings: dict[str, str]) -> None:
    code = "from tests.numerics.test_ldlt import pinned_results; print(pinned_results())"
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, **surroundings},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == PINNED


@pytest.mark.parametrize("size", [2, 20, 65])
def test_a_singular_matrix_is_factored_with_raised_pivots(size: int) -> None:
    matrix, least = laplacian(size, 1), np.full(size, 1e-9)
    factor = factored(matrix, least)
    assert factor.raised >= 1
    assert bool((factor.pivots >= least).all())
    right = matrix @ np.arange(float(size))
    x = solved(factor, right)
    assert float(np.abs(matrix @ x - right).max()) <= 1e-6 * float(np.abs(right).max())


def test_only_the_upper_triangle_is_read_and_nothing_is_overwritten() -> None:
    matrix = random_matrix(50, 4)
    spoilt = np.triu(matrix)
    before = spoilt.copy()
    assert factored(spoilt, tiny(50)).unit_upper.tobytes() == (
        factored(matrix, tiny(50)).unit_upper.tobytes()
    )
    assert spoilt.tobytes() == before.tobytes()


def test_a_factor_is_read_only() -> None:
    factor = factored(random_matrix(4, 5), tiny(4))
    with pytest.raises(ValueError, match="read-only"):
        factor.pivots[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        factor.unit_upper[0, 0] = 2.0


@pytest.mark.parametrize(
    ("matrix", "least"),
    [
        (np.zeros((2, 3)), np.ones(2)),
        (np.zeros(4), np.ones(4)),
        (np.eye(3), np.ones(2)),
        (np.eye(3), np.ones((3, 1))),
    ],
)
def test_shapes_that_do_not_fit_are_refused(matrix: Reals, least: Reals) -> None:
    with pytest.raises(LayoutMismatch):
        factored(matrix, least)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_value(wrong: float) -> None:
    matrix = np.eye(3)
    matrix[0, 2] = wrong
    with pytest.raises(BadInput) as caught:
        factored(matrix, tiny(3))
    assert (caught.value.field, caught.value.value) == ("matrix", str(wrong))


def test_a_matrix_far_from_semidefinite_is_refused_when_its_factors_pass_all_floats() -> None:
    matrix = np.ones((40, 40)) * 1e150 - np.eye(40) * 1e150
    matrix[::2] *= -1.0
    with pytest.raises(BadInput) as caught:
        factored(matrix, tiny(40))
    assert caught.value.field == "factor"


def test_a_solution_beyond_all_floats_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        solved(factored(np.eye(2) * 1e-12, tiny(2)), np.array([1.0, 1e300]))
    assert caught.value.field == "solution"


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_a_least_pivot_that_is_not_positive_is_refused_by_value(wrong: float) -> None:
    with pytest.raises(BadInput) as caught:
        factored(np.eye(2), np.array([1.0, wrong]))
    assert (caught.value.field, caught.value.value) == ("least_pivots", str(wrong))


def test_a_right_side_of_another_length_is_refused() -> None:
    with pytest.raises(LayoutMismatch):
        solved(factored(np.eye(3), tiny(3)), np.ones(2))
