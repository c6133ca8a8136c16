"""Peer solvers, by family and name: model building apart from solving, one thread, fixed settings.

`PEERS[family][name]` builds a model of an instance; the model's `solve` runs it and is all that is
timed. A library is imported only where it is used, so that every peer can live in an environment of
its own. What a plan is: pools (4, n): paid a, paid b, got a, got b; books (n, m, L) lots; execution
(n, T) amounts; ladders (2, n, m, L): bought, sold.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp  # type: ignore[import-untyped]  # scipy has no stubs
from benchmarks.instances import Arb, Cfmm, Instance, Reals, Sor, Vwap
from benchmarks.programs import Cones, Rows, cfmm_cones, cones_of_rows, rows_of

OSQP_RHO_INTERVAL = 50
TIGHT = 1e-6
ITERATIONS_MOST = 100_000
CFMMROUTER = {"maxcor": 5, "factr": 1e1, "pgtol": 1e-5}
SCALED = {"maxcor": 10, "factr": 1e1, "pgtol": 1e-9}
WITH_PLAN = ("optimal", "optimal_inaccurate")
"""What cvxpy says where there are values to take."""
RIDGE = 2**16
"""Multipliers of L-BFGS-B stay within this factor of the references."""


@dataclass(frozen=True)
class Answer:
    """What a peer ended with. plan: as the module says, None without one. rounds: evaluations."""

    seconds: float
    status: str
    plan: Reals | None
    iterations: int
    rounds: int | None = None


class Model(Protocol):
    """A model that was built; `solve` may be called again, cold each time."""

    def solve(self) -> Answer:
        """Solve, timing nothing but the solver."""
        ...


class Warm(Protocol):
    """A model that follows a moving instance from its last end."""

    def solve(self) -> Answer:
        """The first solve, cold."""
        ...

    def resolve(self, instance: Instance) -> Answer:
        """Take the new data over, untimed where the library allows, and solve from the last end."""
        ...


class ConeModel:
    """A cone program in one of three libraries."""

    def __init__(self, instance: Instance, run: Callable[..., Answer]) -> None:
        self.instance = instance
        self.run = run
        if isinstance(instance, Cfmm):
            cones: Cones = cfmm_cones(instance)
            self.column = cones.column
            self.A, self.b, self.q = cones.A, cones.b, cones.q
            self.equalities, self.linear, self.cones = 0, cones.linear, cones.cones
            self.P = sp.csc_matrix((len(cones.q), len(cones.q)))
        else:
            rows = rows_of(instance)
            size = len(rows.c)
            self.A, self.b, self.equalities, self.linear = cones_of_rows(rows)
            self.q, self.cones, self.column = rows.c, 0, np.ones(size)
            self.P = rows.P if rows.P is not None else sp.csc_matrix((size, size))

    def solve(self) -> Answer:
        """Solve, and bring the plan into the family's form."""
        return shaped(self.instance, self.run(self), self.column)


def run_clarabel(model: ConeModel) -> Answer:
    """Clarabel's own settings, one thread."""
    clarabel: Any = import_module("clarabel")

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    cones = [clarabel.ZeroConeT(model.equalities)] if model.equalities else []
    cones.append(clarabel.NonnegativeConeT(model.linear))
    cones += [clarabel.SecondOrderConeT(3)] * model.cones
    began = perf_counter()
    upper = sp.triu(model.P).tocsc()
    solved = clarabel.DefaultSolver(upper, model.q, model.A, model.b, cones, settings).solve()
    spent = perf_counter() - began
    return Answer(spent, str(solved.status), np.array(solved.x), solved.iterations)


def run_ecos(model: ConeModel) -> Answer:
    """ECOS with its own settings."""
    ecos: Any = import_module("ecos")

    dims = {"l": model.linear, "q": [3] * model.cones}
    began = perf_counter()
    solved = ecos.solve(model.q, model.A, model.b, dims, verbose=False)
    spent = perf_counter() - began
    info = solved["info"]
    return Answer(spent, info["infostring"], np.array(solved["x"]), info["iter"])


def run_scs(model: ConeModel) -> Answer:
    """SCS to 1e-6, absolute and relative."""
    scs: Any = import_module("scs")

    data = {"A": model.A, "b": model.b, "c": model.q, "P": sp.triu(model.P).tocsc()}
    cone = {"z": model.equalities, "l": model.linear, "q": [3] * model.cones}
    began = perf_counter()
    solver = scs.SCS(
        data, cone, verbose=False, eps_abs=TIGHT, eps_rel=TIGHT, max_iters=ITERATIONS_MOST
    )
    solved = solver.solve()
    spent = perf_counter() - began
    info = solved["info"]
    return Answer(spent, info["status"], np.array(solved["x"]), info["iter"])


class CvxpyModel:
    """The same problem as a cvxpy user writes it, vectorised, for Clarabel.

    cvxpy's own translation is part of every solve, because it is part of what its user waits for.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.problem, self.plan = self._built()

    def _built(self) -> tuple[Any, Callable[[], Reals]]:
        if isinstance(self.instance, Cfmm):
            return _cvxpy_pools(self.instance)
        if isinstance(self.instance, Vwap):
            return _cvxpy_execution(self.instance)
        return _cvxpy_rows(rows_of(self.instance))

    def solve(self) -> Answer:
        """Translate and solve a fresh problem: cvxpy keeps translations of one that it knows."""
        import warnings

        problem, plan = self._built()
        began = perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem.solve(solver="CLARABEL", max_threads=1)
        spent = perf_counter() - began
        steps = int(problem.solver_stats.num_iters or 0)
        found = plan() if problem.status in WITH_PLAN else None
        return shaped(self.instance, Answer(spent, problem.status, found, steps), 1.0)


def _cvxpy_pools(inst: Cfmm) -> tuple[Any, Callable[[], Reals]]:
    cp: Any = import_module("cvxpy")

    n, m = inst.n, inst.m
    paid, got = cp.Variable((2, n), nonneg=True), cp.Variable((2, n), nonneg=True)
    at = [
        sp.csr_matrix((np.ones(n), (side, np.arange(n))), shape=(m, n))
        for side in (inst.ia, inst.ib)
    ]
    net = at[0] @ (got[0] - paid[0]) + at[1] @ (got[1] - paid[1])
    left = np.vstack([inst.Ra, inst.Rb]) + cp.multiply(np.vstack([inst.gam] * 2), paid) - got
    scale = 1 / np.sqrt(inst.Ra * inst.Rb)
    one, other = cp.multiply(scale, left[0]), cp.multiply(scale, left[1])
    cone = cp.SOC(one + other, cp.vstack([one - other, 2 * np.ones(n)]), axis=0)
    problem = cp.Problem(cp.Maximize(inst.c @ net), [cone, net >= 0])
    return problem, lambda: np.concatenate([paid.value.ravel(), got.value.ravel()])


def _cvxpy_execution(inst: Vwap) -> tuple[Any, Callable[[], Reals]]:
    cp: Any = import_module("cvxpy")

    x = cp.Variable((inst.n, inst.T))
    z = cp.sum(x, axis=0)
    cost = cp.sum(cp.multiply(inst.a, x)) + 0.5 * cp.sum(cp.multiply(inst.eta, cp.square(x)))
    left = 0.5 * inst.kappa * cp.sum_squares(cp.cumsum(z) - inst.w)
    limits = [x >= 0, x <= inst.cap, cp.sum(x, axis=1) <= inst.C, cp.sum(z) == inst.Q]
    return cp.Problem(cp.Minimize(cost + left), limits), lambda: np.asarray(x.value).ravel()


def _cvxpy_rows(rows: Rows) -> tuple[Any, Callable[[], Reals]]:
    cp: Any = import_module("cvxpy")

    x = cp.Variable(len(rows.c))
    equal = rows.lo == rows.hi
    above, below = ~equal & np.isfinite(rows.hi), ~equal & np.isfinite(rows.lo)
    limits = [x >= rows.xl, x <= rows.xu]
    limits += [rows.A[equal] @ x == rows.hi[equal]] if equal.any() else []
    limits += [rows.A[above] @ x <= rows.hi[above]] if above.any() else []
    limits += [rows.A[below] @ x >= rows.lo[below]] if below.any() else []
    return cp.Problem(cp.Minimize(rows.c @ x), limits), lambda: np.asarray(x.value)


class OsqpModel:
    """OSQP to 1e-6; its step size adapts every so many iterations, never by the clock."""

    def __init__(self, instance: Instance) -> None:
        osqp: Any = import_module("osqp")

        self.instance = instance
        self.osqp = osqp
        self.data = self._data(instance)
        self.solver: Any = None

    def _data(self, instance: Instance) -> tuple[Any, Any, Any, Any, Any]:
        if isinstance(instance, Cfmm):
            raise TypeError("OSQP has no cones of second order")
        rows = rows_of(instance)
        size = len(rows.c)
        limits = sp.vstack([rows.A, sp.identity(size)]).tocsc()
        squares = rows.P if rows.P is not None else sp.csc_matrix((size, size))
        low, high = np.concatenate([rows.lo, rows.xl]), np.concatenate([rows.hi, rows.xu])
        return sp.triu(squares).tocsc(), rows.c, limits, low, high

    def solve(self) -> Answer:
        """Set up and solve: the factorisation is part of a cold solve."""
        squares, q, limits, low, high = self.data
        began = perf_counter()
        self.solver = self.osqp.OSQP()
        self.solver.setup(
            squares, q, limits, low, high, verbose=False, eps_abs=TIGHT, eps_rel=TIGHT,
            max_iter=ITERATIONS_MOST, adaptive_rho_interval=OSQP_RHO_INTERVAL,
        )  # fmt: skip
        return self._ended(began)

    def resolve(self, instance: Instance) -> Answer:
        """`update` and solve again: OSQP keeps factorisation and iterates."""
        self.instance = instance
        _, q, _, low, high = self._data(instance)
        began = perf_counter()
        self.solver.update(q=q, l=low, u=high)
        return self._ended(began)

    def _ended(self, began: float) -> Answer:
        solved = self.solver.solve(raise_error=False)
        spent = perf_counter() - began
        answer = Answer(spent, solved.info.status, np.array(solved.x), int(solved.info.iter))
        return shaped(self.instance, answer, 1.0)


class HighsModel:
    """HiGHS on one thread: its dual simplex, or its interior point; warm from the last basis."""

    def __init__(self, instance: Instance, method: str = "simplex") -> None:
        highspy: Any = import_module("highspy")

        self.instance = instance
        self.highspy = highspy
        self.method = method
        self.rows = self._rows(instance)
        self.solver: Any = None

    def _rows(self, instance: Instance) -> Rows:
        if isinstance(instance, Cfmm):
            raise TypeError("HiGHS has no cones")
        return rows_of(instance)

    def solve(self) -> Answer:
        """Pass the model and run."""
        self.solver = self.highspy.Highs()
        self.solver.silent()
        self.solver.setOptionValue("solver", self.method)
        self.solver.setOptionValue("threads", 1)
        self._pass()
        return self._run()

    def resolve(self, instance: Instance) -> Answer:
        """Pass the new model, set the basis of the last end, and run; only the run is timed."""
        self.instance, self.rows = instance, self._rows(instance)
        basis = self.solver.getBasis()
        self._pass()
        self.solver.setBasis(basis)
        return self._run()

    def _pass(self) -> None:
        rows, lp = self.rows, self.highspy.HighsLp()
        matrix = rows.A.tocsc()
        lp.num_col_, lp.num_row_ = matrix.shape[1], matrix.shape[0]
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = rows.c, rows.xl, rows.xu
        lp.row_lower_, lp.row_upper_ = rows.lo, rows.hi
        lp.a_matrix_.format_ = self.highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_ = matrix.indptr, matrix.indices
        lp.a_matrix_.value_ = matrix.data
        self.solver.passModel(lp)

    def _run(self) -> Answer:
        began = perf_counter()
        self.solver.run()
        spent = perf_counter() - began
        info = self.solver.getInfo()
        steps = info.simplex_iteration_count + max(0, info.ipm_iteration_count)
        status = self.solver.modelStatusToString(self.solver.getModelStatus())
        plan = np.array(self.solver.getSolution().col_value)
        return shaped(self.instance, Answer(spent, status, plan, int(steps)), 1.0)


class DescentModel:
    """SciPy's L-BFGS-B on the dual of pools; one evaluation is one round of our protocol.

    scaled: unknowns are multipliers over references, and the tolerance is tight; otherwise
    everything is as CFMMRouter.jl has it.
    """

    def __init__(self, instance: Instance, *, scaled: bool) -> None:
        from benchmarks.pool_kernel import Dual

        if not isinstance(instance, Cfmm):
            raise TypeError("L-BFGS-B is a peer on pools only")
        self.instance = instance
        self.dual = Dual(instance)
        self.scale = instance.c if scaled else np.ones(instance.m)
        self.settings = SCALED if scaled else CFMMROUTER
        self.dual.value_and_gradient(instance.c)

    def solve(self) -> Answer:
        """Minimise from the references."""
        optimize: Any = import_module("scipy.optimize")

        c, scale = self.instance.c, self.scale
        bounds = list(zip(c / scale, c / scale * RIDGE, strict=True))

        def dual(at: Reals) -> tuple[float, Reals]:
            value, net = self.dual.value_and_gradient(at * scale)
            return value, net * scale

        began = perf_counter()
        at, _, info = optimize.fmin_l_bfgs_b(
            dual, c / scale, bounds=bounds, m=self.settings["maxcor"],
            factr=self.settings["factr"], pgtol=self.settings["pgtol"],
            maxfun=ITERATIONS_MOST, maxiter=ITERATIONS_MOST,
        )  # fmt: skip
        spent = perf_counter() - began
        status = "converged" if info["warnflag"] == 0 else str(info["task"])
        plan = self.dual.plan(at * scale)
        return Answer(spent, status, plan, int(info["nit"]), int(info["funcalls"]))


class SortModel:
    """The best central algorithm for one instrument: sort all levels, take the cheapest."""

    def __init__(self, instance: Instance) -> None:
        if not isinstance(instance, Sor) or instance.B:
            raise TypeError("sorting solves books without a budget only")
        self.instance = instance

    def solve(self) -> Answer:
        """argsort, cumsum, cut."""
        inst = self.instance
        began = perf_counter()
        plan = np.zeros_like(inst.q)
        for k in range(inst.m):
            prices, lots = inst.px[:, k].ravel(), inst.q[:, k].ravel()
            order = np.argsort(prices, kind="stable")
            taken = np.empty_like(lots)
            upto = np.minimum(np.cumsum(lots[order]), inst.Q[k])
            taken[order] = np.diff(upto, prepend=0)
            plan[:, k] = taken.reshape(inst.n, inst.L)
        spent = perf_counter() - began
        return Answer(spent, "exact", plan.astype(np.float64), 1)


def shaped(instance: Instance, answer: Answer, column: Reals | float) -> Answer:
    """The answer with its plan in the family's form, in units."""
    if answer.plan is None or not np.all(np.isfinite(answer.plan)):
        return Answer(answer.seconds, answer.status, None, answer.iterations, answer.rounds)
    plan = np.asarray(answer.plan) * column
    if isinstance(instance, Cfmm):
        plan = plan.reshape(4, instance.n)
    elif isinstance(instance, Sor):
        plan = plan.reshape(instance.n, instance.m, instance.L)
    elif isinstance(instance, Vwap):
        plan = plan[: instance.n * instance.T].reshape(instance.n, instance.T)
    elif isinstance(instance, Arb):
        plan = plan.reshape(2, instance.n, instance.m, instance.L)
    return Answer(answer.seconds, answer.status, plan, answer.iterations, answer.rounds)


def clarabel(instance: Instance) -> ConeModel:
    """Clarabel, called directly."""
    return ConeModel(instance, run_clarabel)


def ecos(instance: Instance) -> ConeModel:
    """ECOS, called directly."""
    return ConeModel(instance, run_ecos)


def scs(instance: Instance) -> ConeModel:
    """SCS, called directly."""
    return ConeModel(instance, run_scs)


def highs_ipm(instance: Instance) -> HighsModel:
    """HiGHS' interior point with crossover."""
    return HighsModel(instance, "ipm")


def lbfgsb_cfmmrouter(instance: Instance) -> DescentModel:
    """L-BFGS-B with the settings of CFMMRouter.jl."""
    return DescentModel(instance, scaled=False)


def lbfgsb_scaled(instance: Instance) -> DescentModel:
    """L-BFGS-B as well as we could set it."""
    return DescentModel(instance, scaled=True)


Build = Callable[[Instance], Model]
PEERS: Mapping[str, Mapping[str, Build]] = {
    "cfmm": {
        "clarabel": clarabel,
        "cvxpy": CvxpyModel,
        "ecos": ecos,
        "scs": scs,
        "lbfgsb_cfmmrouter": lbfgsb_cfmmrouter,
        "lbfgsb_scaled": lbfgsb_scaled,
    },
    "sor": {
        "highs": HighsModel,
        "highs_ipm": highs_ipm,
        "clarabel": clarabel,
        "cvxpy": CvxpyModel,
        "argsort": SortModel,
    },
    "vwap": {"clarabel": clarabel, "osqp": OsqpModel, "cvxpy": CvxpyModel, "scs": scs},
    "arb": {
        "highs": HighsModel,
        "highs_ipm": highs_ipm,
        "clarabel": clarabel,
        "cvxpy": CvxpyModel,
    },
}
WARM: Mapping[str, Mapping[str, Callable[[Instance], Warm]]] = {
    "cfmm": {},
    "sor": {"highs_warm": HighsModel},
    "vwap": {"osqp_warm": OsqpModel},
    "arb": {"highs_warm": HighsModel},
}
