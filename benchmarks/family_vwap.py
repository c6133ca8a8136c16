"""Execution: domain `execution`, solver `dual` on a tracked coupling; one share is one lot.

`gap` is that of amounts that may be parts of lots, as all peers have them: our answers at the last
multipliers, made feasible by the judge as a peer's plan is. `lot_gap` is the certified gap of the
whole lots that are committed, against the same bound.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Protocol, cast

import numpy as np
from benchmarks.families import Plan
from benchmarks.instances import Instance, Reals, Vwap
from benchmarks.judge import judged, objective_gap
from benchmarks.loop import MEMBER, Built
from numpy.typing import NDArray

from covenue.errors import BadInput
from covenue.hooks.solvers import DualCoupling, Solution
from covenue_contracts.shared import Query
from covenue_domain_execution import Execution, buy
from covenue_solver_dual import Dual

ARRIVAL = 100
BPS = 10_000
SLICES_MOST = 200
GRID = 2**40
HALVINGS = 200


class Scheduled(Protocol):
    """A problem that tells its own party the lots of each venue and slice."""

    def schedule(self, query: Query) -> NDArray[np.int64]:
        """Lots of a solution, int64[n, T]."""
        ...


def check(n: int, m: int | None) -> None:
    """Refuse more slices than an order of the domain can have. Raises BadInput."""
    if m is not None and not 2 <= m <= SLICES_MOST:
        raise BadInput(
            "an order has another number of slices",
            f"give --m from 2 to {SLICES_MOST}",
            field="--m",
            value=str(m),
        )


def built(instance: Instance) -> Built:
    """Problem objects; the arrival price is public and adds the same to every plan."""
    if not isinstance(instance, Vwap):
        raise TypeError("family vwap takes an execution order")
    worst = Fraction(instance.kappa) * Fraction(instance.Q) * BPS / ARRIVAL
    goal = buy(
        str(int(instance.Q)),
        str(ARRIVAL),
        instance.T,
        curve=tuple(int(lots) for lots in np.diff(instance.w, prepend=0.0)),
        tracking_bps=f"{float(worst):.18f}",
    )
    table = {"a": instance.a, "eta": instance.eta, "cap": instance.cap, "credit": instance.C}
    domain = Execution()
    problem = domain.problem(goal, [MEMBER], MEMBER, table, {})
    return Built(domain.coupling(goal, [MEMBER]), problem, Dual())


def rebuilt(instance: Instance, before: Built) -> Built:
    """The same for the next instance: grids follow from what is public and stays."""
    return built(instance)


def certificate(made: Built, solution: Solution) -> tuple[float, float, float]:
    """(value, bound, floor) in price times shares, without the arrival price."""
    coupling = cast("DualCoupling", made.coupling)
    unit = Fraction(1, 2**coupling.value_bits)
    floor = coupling.value_floor * unit
    return float(solution.value * unit), float(solution.bound * unit), float(floor)


def multipliers(made: Built, solution: Solution) -> Reals | None:
    """Marginal costs beyond the arrival price, by slice."""
    asked = solution.multipliers
    if asked is None:
        return None
    return np.array([(int(v) - ARRIVAL * GRID) / GRID for v in asked.values])


def feasible(instance: Instance, made: Built, plan: Plan, solution: Solution) -> bool:
    """Whether the lots keep caps and credits, add up to the order, and cost what is said; exact."""
    assert isinstance(instance, Vwap)  # noqa: S101 -- `built` has refused all else
    _, planned, _ = plan
    lots = _schedule(made, solution)
    if lots.min(initial=0) < 0 or np.any(lots > instance.cap):
        return False
    if np.any(lots.sum(axis=1) > instance.C) or int(lots.sum()) != int(instance.Q):
        return False
    coupling = cast("DualCoupling", made.coupling)
    value = Fraction(solution.value, 2**coupling.value_bits)
    same = planned.tolist() == lots.sum(axis=0).tolist()
    return same and -_cost(instance, lots) >= value


def further(instance: Instance, made: Built, plan: Plan, solution: Solution) -> Mapping[str, Any]:
    """gap of amounts, lot_gap of lots; see the module."""
    assert isinstance(instance, Vwap)  # noqa: S101 -- `built` has refused all else
    value, bound, floor = certificate(made, solution)
    prices = multipliers(made, solution)
    told: dict[str, Any] = {"lot_gap": objective_gap(bound, value, floor)}
    if prices is not None:
        amounts = judged(instance, response(instance, prices), None)
        told["gap"] = objective_gap(bound, amounts.value, floor)
    return told


def response(instance: Vwap, prices: Reals) -> Reals:
    """x_it = clip((v_t - a_it - mu_i) / eta_it, 0, cap_it), mu_i by halving; for the judge only."""
    low = np.zeros((instance.n, 1))
    high = np.full((instance.n, 1), max(0.0, float((prices - instance.a).max())))

    def at(mu: Reals) -> Reals:
        wanted = (prices[None, :] - instance.a - mu) / instance.eta
        return np.asarray(np.clip(wanted, 0.0, instance.cap))

    free = at(low)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        over = at(middle).sum(1, keepdims=True) > instance.C[:, None]
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    within = free.sum(1, keepdims=True) <= instance.C[:, None]
    return np.asarray(np.where(within, free, at(high)))


def _schedule(made: Built, solution: Solution) -> NDArray[np.int64]:
    points = tuple(str(point) for point in solution.points)
    query = Query(kind="commit", after=None, multipliers=solution.multipliers, points=points)
    return cast("Scheduled", made.problem).schedule(query)


def _cost(instance: Vwap, lots: NDArray[np.int64]) -> Fraction:
    """a x + eta x^2 / 2 and the tracking cost of the goal's own weight, in fractions."""
    total = Fraction(0)
    rows = zip(lots.ravel(), instance.a.ravel(), instance.eta.ravel(), strict=True)
    for x, a, eta in ((int(x), a, eta) for x, a, eta in rows if x):
        total += Fraction(a) * x + Fraction(eta) * x * x / 2
    upto = np.cumsum(lots.sum(axis=0)).tolist()
    left = sum((int(done) - int(aim)) ** 2 for done, aim in zip(upto, instance.w, strict=True))
    worst = Fraction(f"{float(Fraction(instance.kappa) * int(instance.Q) * BPS / ARRIVAL):.18f}")
    return total + worst * ARRIVAL / BPS / int(instance.Q) * left / 2
