"""Order books: domain `routing`, solver `search`; one party holds all books, as one batch.

Prices are all-in already, in 1e-4 ticks, and lots are whole, so nothing is quantised and every
figure is an exact integer. With --m above 1 it is a basket under one budget: its bound is that of
the linear program, which may hold a part of one lot.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from benchmarks.families import Plan
from benchmarks.instances import Instance, Reals, Sor
from benchmarks.loop import MEMBER, Built

from covenue.errors import BadInput
from covenue.hooks.solvers import Solution
from covenue_domain_routing import Books, Routing, basket, buy
from covenue_solver_search import Search

PRICE_SCALE = 10_000
INSTRUMENTS_MOST = 64
DECIMALS = 4


def check(n: int, m: int | None) -> None:
    """Refuse more instruments than a basket of the domain can name. Raises BadInput."""
    if m is not None and m > INSTRUMENTS_MOST:
        raise BadInput(
            "a basket has fewer instruments",
            f"give --m up to {INSTRUMENTS_MOST}",
            field="--m",
            value=str(m),
        )


def built(instance: Instance) -> Built:
    """All books as one party's; a basket where there is a budget."""
    if not isinstance(instance, Sor):
        raise TypeError("family sor takes books")
    if instance.B:
        rows = zip(instance.Q.tolist(), instance.v.tolist(), strict=True)
        wanted = {f"i{k}": (str(lots), _price(v)) for k, (lots, v) in enumerate(rows)}
        goal = basket(wanted, _price(instance.B), lot="1", price_scale=PRICE_SCALE)
        books = Books(instance.px, instance.q)
    else:
        goal = buy(str(int(instance.Q[0])), lot="1", price_scale=PRICE_SCALE)
        books = Books(instance.px[:, 0], instance.q[:, 0])
    domain = Routing()
    problem = domain.problem(goal, [MEMBER], MEMBER, books, {})
    return Built(domain.coupling(goal, [MEMBER]), problem, Search())


def rebuilt(instance: Instance, before: Built) -> Built:
    """The same for the next instance: grids follow from what is public and stays."""
    return built(instance)


def certificate(made: Built, solution: Solution) -> tuple[float, float, float]:
    """(value, bound, floor) in 1e-4 ticks times lots: surplus, or costs negated."""
    sign = 1.0 if made.coupling.goal.aim == "allow" else -1.0
    return sign * float(solution.value), sign * float(solution.bound), 1.0


def multipliers(made: Built, solution: Solution) -> Reals | None:
    """None: books need no price to be judged."""
    return None


def feasible(instance: Instance, made: Built, plan: Plan, solution: Solution) -> bool:
    """Whether the legs can be filled from the books, keep every limit, and are worth the value.

    Legs of one book are filled together, from the best level on, each within its limit.
    """
    assert isinstance(instance, Sor)  # noqa: S101 -- `built` has refused all else
    actions, planned, _ = plan
    left = instance.q.tolist()
    lots, worth, spent = [0] * instance.m, 0, 0
    for leg in sorted(actions.legs, key=lambda leg: int(leg.limit_ticks)):
        name, book = leg.instrument.rsplit(".", 1)
        k, i, wanted = int(name[1:]) if instance.B else 0, int(book), int(leg.quantity_steps)
        lots[k] += wanted
        for level, price in enumerate(instance.px[i, k].tolist()):
            taken = min(wanted, left[i][k][level]) if price <= int(leg.limit_ticks) else 0
            left[i][k][level] -= taken
            wanted -= taken
            spent += taken * price
            worth += taken * (int(instance.v[k]) - price)
        if wanted:
            return False
    if not instance.B:
        return lots == [int(planned[0])] == instance.Q.tolist() and spent == solution.value
    kept = all(a <= b for a, b in zip(lots, instance.Q.tolist(), strict=True))
    return (
        kept and spent <= instance.B and lots == planned.tolist()[:-1] and (worth >= solution.value)
    )


def further(instance: Instance, made: Built, plan: Plan, solution: Solution) -> Mapping[str, Any]:
    """exact: whether the cost is that of sorting all levels, to the last unit; not of baskets."""
    assert isinstance(instance, Sor)  # noqa: S101 -- `built` has refused all else
    if instance.B:
        return {}
    prices, lots = instance.px.ravel(), instance.q.ravel()
    order = np.argsort(prices, kind="stable")
    taken = np.diff(np.minimum(np.cumsum(lots[order]), instance.Q[0]), prepend=0)
    best = sum(a * b for a, b in zip(taken.tolist(), prices[order].tolist(), strict=True))
    return {"exact": best == solution.value}


def _price(units: int) -> str:
    """Price units as a decimal."""
    return f"{units // PRICE_SCALE}.{units % PRICE_SCALE:0{DECIMALS}d}"
