"""Pools: domain `arbitrage`, solver `dual`; feasibility in exact integers from the swaps."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from benchmarks.families import Plan
from benchmarks.instances import PPM, Cfmm, Instance, Reals, decimals_of
from benchmarks.loop import MEMBER, Built

from covenue.errors import BadInput, HeadroomMissing
from covenue.hooks.solvers import Solution
from covenue.hooks.venues import PoolBatch
from covenue_contracts.energibridge import Asset, ClockStamp
from covenue_contracts.plan import Goal
from covenue_domain_arbitrage import Arbitrage, against
from covenue_solver_dual import Dual

AT_NO_TIME = ClockStamp(venue_time=None, local_time="0", clock="none", offset="0", half_width="0")
SCALE_BITS = tuple(range(32, 15, -1))
REFERENCE_DIGITS = 15
TOKENS_LEAST, TOKENS_MOST = 2, 1000


def check(n: int, m: int | None) -> None:
    """Refuse one token, and more than an order of the domain can name. Raises BadInput."""
    tokens = m or round(2 * n**0.5)
    if tokens < TOKENS_LEAST:
        raise BadInput("a pool has two tokens", f"give --m {TOKENS_LEAST} or more", field="--m",
                       value=str(tokens))  # fmt: skip
    if tokens > TOKENS_MOST:
        raise BadInput(
            f"{n} pools have {tokens} tokens unless --m says otherwise; an order names at most "
            f"{TOKENS_MOST}",
            f"give --m {TOKENS_MOST}",
            field="--m",
            value=str(tokens),
        )


def names_of(instance: Cfmm) -> tuple[str, ...]:
    """Names of the tokens."""
    return tuple(f"t{k}" for k in range(instance.m))


def batch_of(instance: Cfmm) -> PoolBatch:
    """The pools as one venue's canonical state, in native units."""
    unit = 10.0 ** decimals_of(instance)
    reserves = np.column_stack([np.rint(instance.Ra * unit), np.rint(instance.Rb * unit)])
    assets = tuple(Asset(name=name, decimals=decimals_of(instance)) for name in names_of(instance))
    return PoolBatch(
        "benchmark",
        assets,
        tuple(f"p{i}" for i in range(instance.n)),
        sides=np.column_stack([instance.ia, instance.ib]),
        reserves=reserves.astype(np.int64),
        fee_ppm=np.rint((1.0 - instance.gam) * PPM).astype(np.int64),
        stamp=AT_NO_TIME,
    )


def goal_of(instance: Cfmm, bits: int) -> Goal:
    """The order: take what is worth something at the references, owe nothing."""
    texts = [f"{c:.{REFERENCE_DIGITS}f}" for c in instance.c.tolist()]
    references = dict(zip(names_of(instance), texts, strict=True))
    return against(references, scale_bits=bits, value_bits=bits)


def built(instance: Instance, bits: int | None = None) -> Built:
    """Problem objects on the finest grid that has room for the instance.

    Raises HeadroomMissing where no grid has.
    """
    if not isinstance(instance, Cfmm):
        raise TypeError("family cfmm takes pools")
    batch, domain = batch_of(instance), Arbitrage()
    refusal: HeadroomMissing | None = None
    for tried in SCALE_BITS if bits is None else (bits,):
        goal = goal_of(instance, tried)
        try:
            problem = domain.problem(goal, [MEMBER], MEMBER, batch, {})
        except HeadroomMissing as error:
            refusal = error
            continue
        return Built(domain.coupling(goal, [MEMBER]), problem, Dual())
    raise refusal or RuntimeError("no grid was tried")


def rebuilt(instance: Instance, before: Built) -> Built:
    """The same for the next instance, on the same grids."""
    return built(instance, bits_of(before))


def bits_of(made: Built) -> int:
    """The grid that was found, for the next instance."""
    return int(made.coupling.space.scale_bits)


def certificate(made: Built, solution: Solution) -> tuple[float, float, float]:
    """(value, bound, floor) in the unit of the references."""
    unit = Fraction(1, 2 ** bits_of(made))
    floor = 2 ** bits_of(made)
    return float(solution.value * unit), float(solution.bound * unit), float(floor * unit)


def multipliers(made: Built, solution: Solution) -> Reals | None:
    """Our multipliers, for charging what peers owe."""
    asked = solution.multipliers
    return None if asked is None else np.array([int(v) / 2.0**40 for v in asked.values])


def feasible(instance: Instance, made: Built, plan: Plan, solution: Solution) -> bool:
    """Whether the swaps can all be made, owe nothing, and are worth what the solution says.

    Each swap: (R_in PPM + keep paid)(R_out - got) >= R_in R_out PPM, in native integers.
    """
    actions, _, _ = plan
    assert isinstance(instance, Cfmm)  # noqa: S101 -- `built` has refused all else
    batch = batch_of(instance)
    place = {name: k for k, name in enumerate(batch.pools)}
    token = {asset.name: k for k, asset in enumerate(batch.assets)}
    net = [0] * instance.m
    for swap in actions.swaps:
        row = place.pop(swap.pool)
        side = batch.sides[row].tolist().index(token[swap.pays])
        r_in, r_out = int(batch.reserves[row, side]), int(batch.reserves[row, 1 - side])
        keep, paid, got = PPM - int(batch.fee_ppm[row]), int(swap.paid), int(swap.least)
        if paid < 0 or got < 0 or token[swap.gets] != int(batch.sides[row, 1 - side]):
            return False
        if (r_in * PPM + keep * paid) * (r_out - got) < r_in * r_out * PPM:
            return False
        net[token[swap.pays]] -= paid
        net[token[swap.gets]] += got
    grid = [round(c * 2.0**40) for c in instance.c.tolist()]
    worth = Fraction(sum(c * y for c, y in zip(grid, net, strict=True)))
    worth /= 2**40 * 10 ** decimals_of(instance)
    return min(net) >= 0 and worth >= Fraction(solution.value, 2 ** bits_of(made))


def further(instance: Instance, made: Built, plan: Plan, solution: Solution) -> Mapping[str, Any]:
    """Nothing beside the common figures."""
    return {}
