"""Linear programs by HiGHS: dual simplex on one thread, so that the optimum is a vertex."""

from typing import Any

import highspy
import numpy as np
from scipy import sparse  # type: ignore[import-untyped] # no stubs

from covenue.hooks.programs import Optimum, Program, Reals, Verdict
from covenue_solver_reference.conic import culprit

SEED = 0
TOLERANCE = 1e-10
OPTIONS: dict[str, bool | float | str] = {
    "output_flag": False,
    "threads": 1,
    "parallel": "off",
    "solver": "simplex",
    "random_seed": SEED,
    "primal_feasibility_tolerance": TOLERANCE,
    "dual_feasibility_tolerance": TOLERANCE,
}


def solve(program: Program) -> Optimum:
    """The optimum of a linear program, or why there is none."""
    highs = _quiet()
    for name, value in OPTIONS.items():
        highs.setOptionValue(name, value)
    highs.passModel(_model(program))
    highs.run()
    status = highs.getModelStatus()
    if status == highspy.HighsModelStatus.kUnboundedOrInfeasible:
        highs.setOptionValue("presolve", "off")
        highs.run()
        status = highs.getModelStatus()
    verdict = _verdicts().get(status, "failed")
    if verdict == "infeasible":
        return Optimum(verdict, np.zeros(0), np.zeros(0), culprit(program, _ray(highs), verdict))
    solution = highs.getSolution()
    return Optimum(verdict, np.array(solution.col_value), np.array(solution.row_dual))


def _quiet() -> Any:
    """The class that Highs is made on: its own constructor prints a banner, which nothing stops."""
    return highspy.Highs.__base__()  # type: ignore[misc] # a class, though typed as optional


def _verdicts() -> dict[object, Verdict]:
    return {
        highspy.HighsModelStatus.kOptimal: "optimal",
        highspy.HighsModelStatus.kInfeasible: "infeasible",
        highspy.HighsModelStatus.kUnbounded: "unbounded",
    }


def _ray(highs: Any) -> Reals:
    """The proof that no point is feasible; presolve finds none that could be read."""
    highs.setOptionValue("presolve", "off")
    highs.clearSolver()
    highs.run()
    _, has_ray, ray = highs.getDualRay()
    rows = highs.getNumRow()
    return np.asarray(ray[:rows], dtype=np.float64) if has_ray else np.zeros(rows)


def _model(program: Program) -> highspy.HighsLp:
    e = program.rows
    shape = (len(program.row_low), len(program.cost))
    matrix = sparse.csc_matrix((e.value, (e.row, e.column)), shape=shape)
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = shape
    model.col_cost_ = program.cost
    model.col_lower_, model.col_upper_ = program.low, program.high
    model.row_lower_, model.row_upper_ = program.row_low, program.row_high
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = matrix.indptr
    model.a_matrix_.index_ = matrix.indices
    model.a_matrix_.value_ = matrix.data
    return model
