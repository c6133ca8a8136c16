"""Quadratic programs and products by Clarabel, in its own standard form.

    min q'x + x'Px / 2   s.t.  Ax + s = b,  s in zero x nonnegative x second-order cones

Equal bounds of a row go to the zero cone, others to the nonnegative one, and a product
x_f x_s >= x_m^2 becomes |(x_f - x_s, 2 x_m)| <= x_f + x_s. One thread, fixed limits of iterations.
"""

from dataclasses import dataclass

import clarabel  # type: ignore[import-untyped] # no stubs
import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # type: ignore[import-untyped] # no stubs

from covenue.hooks.programs import Optimum, Program, Reals, Verdict

ITERATIONS = 500
TOLERANCE = 1e-11
VERDICTS: dict[str, Verdict] = {
    "Solved": "optimal",
    "AlmostSolved": "inaccurate",
    "InsufficientProgress": "inaccurate",
    "MaxIterations": "inaccurate",
    "PrimalInfeasible": "infeasible",
    "AlmostPrimalInfeasible": "infeasible",
    "DualInfeasible": "unbounded",
    "AlmostDualInfeasible": "unbounded",
}


@dataclass(frozen=True, eq=False)
class Standard:
    """A, b and cones; origin and sign: the program's row of each of the first rows, or -1."""

    matrix: sparse.csc_matrix
    bounds: Reals
    cones: list[object]
    origin: NDArray[np.int64]
    sign: Reals


def solve(program: Program) -> Optimum:
    """The optimum of a program, or why there is none."""
    standard = _standard(program)
    size = len(program.cost)
    p = program.quadratic
    quadratic = sparse.csc_matrix((p.value, (p.row, p.column)), shape=(size, size))
    solver = clarabel.DefaultSolver(
        sparse.csc_matrix(sparse.triu(quadratic)),
        program.cost,
        standard.matrix,
        standard.bounds,
        standard.cones,
        _settings(),
    )
    found = solver.solve()
    verdict = VERDICTS.get(str(found.status), "failed")
    duals = _duals(standard, np.array(found.z), len(program.row_low))
    return Optimum(verdict, np.array(found.x), duals, culprit(program, duals, verdict))


def culprit(program: Program, duals: Reals, verdict: Verdict) -> int | None:
    """The coordinate whose row weighs most in a proof of infeasibility.

    A row weighs what its bound adds to the proof; where no bound adds anything, its dual.
    """
    if verdict != "infeasible" or not program.coupling:
        return None
    rows = list(program.coupling)
    low, high, dual = program.row_low[rows], program.row_high[rows], np.abs(duals[rows])
    held = np.where(np.isfinite(low) & ((duals[rows] > 0.0) | np.isinf(high)), low, high)
    added = dual * np.where(np.isfinite(held), np.abs(held), 0.0)
    weights = added if added.max() > 0.0 else dual
    return int(np.argmax(weights)) if weights.max() > 0.0 else None


def _settings() -> object:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.equilibrate_enable = False  # a Program is scaled by what its maker knows of it
    settings.direct_solve_method = "qdldl"
    settings.max_iter = ITERATIONS
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = TOLERANCE
    return settings


def _standard(program: Program) -> Standard:
    """Stack rows and bounds as equalities, then inequalities, then second-order cones."""
    size, count = len(program.cost), len(program.row_low)
    e = program.rows
    matrix = sparse.csr_matrix((e.value, (e.row, e.column)), shape=(count, size))
    everything = sparse.vstack([matrix, sparse.identity(size, format="csr")], format="csr")
    low = np.concatenate([program.row_low, program.low])
    high = np.concatenate([program.row_high, program.high])
    equal = np.flatnonzero(low == high)
    upper = np.flatnonzero((low != high) & np.isfinite(high))
    lower = np.flatnonzero((low != high) & np.isfinite(low))
    cones: list[object] = [clarabel.ZeroConeT(len(equal))] if len(equal) else []
    if len(upper) + len(lower):
        cones.append(clarabel.NonnegativeConeT(len(upper) + len(lower)))
    places = np.concatenate([equal, upper, lower])
    sign = np.concatenate([np.ones(len(equal) + len(upper)), -np.ones(len(lower))])
    bounds = np.concatenate([high[equal], high[upper], -low[lower]])
    products = _products(program)
    cones += [clarabel.SecondOrderConeT(3)] * len(program.products.middle)
    blocks = sparse.vstack([sparse.diags(sign) @ everything[places], products], format="csc")
    origin = np.where(places < count, places, -1)
    return Standard(
        sparse.csc_matrix(blocks),
        np.concatenate([bounds, np.zeros(products.shape[0])]),
        cones,
        origin,
        sign,
    )


def _products(program: Program) -> sparse.csr_matrix:
    """Rows -(f + s), -(f - s) and -2 m of every product."""
    cones = program.products
    count = len(cones.middle)
    top = 3 * np.arange(count)
    row = np.concatenate([top, top, top + 1, top + 1, top + 2])
    column = np.concatenate([cones.first, cones.second, cones.first, cones.second, cones.middle])
    value = np.concatenate([-np.ones(3 * count), np.ones(count), np.full(count, -2.0)])
    return sparse.csr_matrix((value, (row, column)), shape=(3 * count, len(program.cost)))


def _duals(standard: Standard, z: Reals, count: int) -> Reals:
    """Derivatives of the optimal cost in the bounds of the program's rows."""
    duals = np.zeros(count)
    mine = standard.origin >= 0
    heads = z[: len(standard.origin)]
    np.add.at(duals, standard.origin[mine], -(standard.sign * heads)[mine])
    return duals
