"""The same program as CVXPY would be told it: another path to the optimum, for comparison."""

from typing import Any
from warnings import catch_warnings, simplefilter

import cvxpy
import numpy as np
from scipy import sparse  # type: ignore[import-untyped] # no stubs

from covenue.hooks.programs import Optimum, Program, Verdict
from covenue_solver_reference.conic import TOLERANCE, culprit

cp: Any = cvxpy  # its functions are exported without types
VERDICTS: dict[str, Verdict] = {
    cp.OPTIMAL: "optimal",
    cp.OPTIMAL_INACCURATE: "inaccurate",
    cp.INFEASIBLE: "infeasible",
    cp.INFEASIBLE_INACCURATE: "infeasible",
    cp.UNBOUNDED: "unbounded",
    cp.UNBOUNDED_INACCURATE: "unbounded",
}


def solve(program: Program) -> Optimum:
    """The optimum by CVXPY with Clarabel, or why there is none."""
    size, count = len(program.cost), len(program.row_low)
    x = cp.Variable(size)
    e, p = program.rows, program.quadratic
    matrix = sparse.csr_matrix((e.value, (e.row, e.column)), shape=(count, size))
    quadratic = sparse.csc_matrix((p.value, (p.row, p.column)), shape=(size, size))
    objective = program.cost @ x
    if quadratic.nnz:
        objective += 0.5 * cp.quad_form(x, cp.psd_wrap(quadratic))
    sides = _sides(matrix, x, program)
    problem = cp.Problem(
        cp.Minimize(objective), [*(side for *_, side in sides), *_limits(x, program)]
    )
    try:
        with catch_warnings():
            simplefilter("ignore")  # that it may be inaccurate is its status, and judged by sums
            problem.solve(
                solver=cp.CLARABEL,
                max_threads=1,
                tol_gap_abs=TOLERANCE,
                tol_gap_rel=TOLERANCE,
                tol_feas=TOLERANCE,
            )
    except cp.error.SolverError:
        return Optimum("failed", np.zeros(size), np.zeros(count))
    verdict = VERDICTS.get(problem.status, "failed")
    duals = np.zeros(count)
    for places, sign, side in sides:
        if side.dual_value is not None:
            duals[places] += sign * np.atleast_1d(side.dual_value)
    found = np.zeros(size) if x.value is None else np.asarray(x.value)
    return Optimum(verdict, found, duals, culprit(program, duals, verdict))


def _sides(
    matrix: sparse.csr_matrix, x: Any, program: Program
) -> list[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], float, Any]]:
    """Rows, the sign that makes their duals derivatives of the cost, and constraints."""
    low, high = program.row_low, program.row_high
    equal = np.flatnonzero(low == high)
    upper = np.flatnonzero((low != high) & np.isfinite(high))
    lower = np.flatnonzero((low != high) & np.isfinite(low))
    found = []
    if len(equal):
        found.append((equal, -1.0, matrix[equal] @ x == high[equal]))
    if len(upper):
        found.append((upper, -1.0, matrix[upper] @ x <= high[upper]))
    if len(lower):
        found.append((lower, 1.0, matrix[lower] @ x >= low[lower]))
    return found


def _limits(x: Any, program: Program) -> list[Any]:
    cones = program.products
    below, above = np.isfinite(program.low), np.isfinite(program.high)
    limits = [x[below] >= program.low[below]] if below.any() else []
    limits += [x[above] <= program.high[above]] if above.any() else []
    if len(cones.middle):
        first, second = x[cones.first], x[cones.second]
        sides = cp.vstack([first - second, 2.0 * x[cones.middle]])
        limits.append(cp.SOC(first + second, sides))
    return limits
