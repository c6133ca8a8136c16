"""Coupled ladders: domain `arbitrage`, solver `proximal`; feasibility in exact integers from legs.

Cash is one more asset that may be owed and taken without limit; its reference is 1.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

import numpy as np
from benchmarks.families import Plan
from benchmarks.instances import Arb, Instance, Reals
from benchmarks.loop import MEMBER, Built

from covenue.errors import BadInput, HeadroomMissing
from covenue.hooks.solvers import DualCoupling, Solution
from covenue_domain_arbitrage import Arbitrage, against
from covenue_solver_proximal import Proximal

GRID = 2**40
INSTRUMENTS_MOST = 199
SCALE_BITS = tuple(range(26, 11, -1))
WIDTHS = (12, 14, 16, 18, 20, 22)
SLOPE_LESS = 16
SLOPE_MOST = 16
BAND = 2
CASH = "cash"
UNLIMITED = "unlimited"


def check(n: int, m: int | None) -> None:
    """Refuse more instruments than an order of the domain can name. Raises BadInput."""
    if m is not None and m > INSTRUMENTS_MOST:
        raise BadInput(
            "an order names fewer instruments",
            f"give --m up to {INSTRUMENTS_MOST}",
            field="--m",
            value=str(m),
        )


def built(instance: Instance, bits: int | None = None) -> Built:
    """Problem objects on the finest grid that has room. Raises HeadroomMissing without one."""
    if not isinstance(instance, Arb):
        raise TypeError("family arb takes ladders")
    table = {
        "ask": instance.ask,
        "ask_size": instance.aq,
        "bid": instance.bid,
        "bid_size": instance.bq,
        "capital": instance.C,
        "inventory": instance.inv,
        "quote": CASH,
    }
    limits = (*(f"{h:.20f}" for h in instance.h.tolist()), UNLIMITED)
    marks = {f"i{k}": f"{ref:.15f}" for k, ref in enumerate(instance.ref.tolist())}
    domain, refusal = Arbitrage(), HeadroomMissing("no grid was tried", "try one")
    for tried in SCALE_BITS if bits is None else (bits,):
        goal = against(
            {**marks, CASH: "1"}, most=limits, owed=limits, scale_bits=tried, value_bits=tried,
            slope_bits=max(8, min(tried - SLOPE_LESS, SLOPE_MOST)),
            widths=WIDTHS, band=BAND, jumps=True,
        )  # fmt: skip
        try:
            problem = domain.problem(goal, [MEMBER], MEMBER, table, {})
        except HeadroomMissing as error:
            refusal = error
            continue
        return Built(domain.coupling(goal, [MEMBER]), problem, Proximal(), remembers=True)
    raise refusal


def rebuilt(instance: Instance, before: Built) -> Built:
    """The same for the next instance, on the same grids."""
    return built(instance, before.coupling.space.scale_bits)


def certificate(made: Built, solution: Solution) -> tuple[float, float, float]:
    """(value, bound, floor) in cash."""
    coupling = cast("DualCoupling", made.coupling)
    unit = Fraction(1, 2**coupling.value_bits)
    floor = float(coupling.value_floor * unit)
    return float(solution.value * unit), float(solution.bound * unit), floor


def multipliers(made: Built, solution: Solution) -> Reals | None:
    """Prices of the instruments, in cash."""
    asked = solution.multipliers
    return None if asked is None else np.array([int(v) / GRID for v in asked.values[:-1]])


def feasible(instance: Instance, made: Built, plan: Plan, solution: Solution) -> bool:
    """Whether the legs keep every limit and are worth what the solution says; exact.

    A leg takes levels from the best on; an amount is a whole number of the actions' units.
    """
    assert isinstance(instance, Arb)  # noqa: S101 -- `built` has refused all else
    actions, _, _ = plan
    unit = Fraction(actions.unit)
    net = [Fraction(0)] * instance.m
    spent = [Fraction(0)] * instance.n
    cash = Fraction(0)
    for leg in actions.legs:
        _, venue, instrument = leg.instrument.split("-")
        i, k, is_buy = int(venue), int(instrument), leg.side == "buy"
        amount = int(leg.quantity_steps) * unit
        prices, sizes = (instance.ask, instance.aq) if is_buy else (instance.bid, instance.bq)
        paid = _swept(prices[i, k].tolist(), sizes[i, k].tolist(), amount)
        if paid is None or (not is_buy and amount > Fraction(float(instance.inv[i, k]))):
            return False
        net[k] += amount if is_buy else -amount
        spent[i] += paid if is_buy else 0
        cash += -paid if is_buy else paid
    kept = all(abs(y) <= Fraction(h) for y, h in zip(net, instance.h.tolist(), strict=True))
    covered = all(s <= Fraction(c) for s, c in zip(spent, instance.C.tolist(), strict=True))
    worth = cash + sum(Fraction(r) * y for r, y in zip(instance.ref.tolist(), net, strict=True))
    bits = cast("DualCoupling", made.coupling).value_bits
    return kept and covered and worth >= Fraction(solution.value, 2**bits)


def further(instance: Instance, made: Built, plan: Plan, solution: Solution) -> Mapping[str, Any]:
    """Nothing beside the common figures."""
    return {}


def _swept(prices: list[float], sizes: list[float], amount: Fraction) -> Fraction | None:
    """What the best levels cost or bring for an amount; None where they do not hold it."""
    paid = Fraction(0)
    for price, size in zip(prices, sizes, strict=True):
        taken = min(amount, Fraction(size))
        paid += taken * Fraction(price)
        amount -= taken
        if not amount:
            return paid
    return None
