"""One judge for every peer: a plan is first made feasible, then held against our dual bound.

A plan that breaks a limit is repaired where a feasible plan lies beside it; what still is owed or
in excess is charged at our multipliers. Such a value is at most D at these multipliers (weak
duality), so no peer can come out below a gap of zero by breaking a limit. `violation` says by what
share the plan as it was given broke its worst limit.
"""

from dataclasses import dataclass
from math import fsum, isfinite

import numpy as np
from benchmarks.instances import Arb, Cfmm, Instance, Reals, Sor, Vwap

TELLING = 1e-6
FLOAT_SLACK = 2.0**-47


@dataclass(frozen=True)
class Verdict:
    """value: of the repaired plan, in the family's unit, to be maximised. violation: a share."""

    value: float
    violation: float


def objective_gap(bound: float, value: float, floor: float) -> float:
    """What a feasible value lacks of the bound, relative to the bound, or to the floor."""
    return (bound - value) / max(abs(bound), floor)


def judged(instance: Instance, plan: Reals, multipliers: Reals | None) -> Verdict:
    """The verdict on a plan in the form of `peers`; multipliers: ours, for pools and ladders.

    Raises ValueError when the plan has another shape, or no multipliers are given and are needed.
    """
    if isinstance(instance, Sor):
        _check_shape(plan, instance.q.shape)
        return _books(instance, plan) if not instance.B else _basket(instance, plan)
    if isinstance(instance, Vwap):
        _check_shape(plan, instance.a.shape)
        return _execution(instance, plan)
    if multipliers is None:
        raise ValueError("pools and ladders are judged at multipliers")
    if isinstance(instance, Cfmm):
        _check_shape(plan, (4, instance.n))
        return _pools(instance, plan, multipliers)
    _check_shape(plan, (2, *instance.ask.shape))
    return _ladders(instance, plan, multipliers)


def said(status: str, verdict: Verdict) -> str:
    """A peer's status, with the infeasibility of its plan where that is more than rounding."""
    if verdict.violation <= TELLING:
        return status
    return f"{status}; plan infeasible by {verdict.violation:.1e}, repaired or charged"


def _pools(inst: Cfmm, plan: Reals, v: Reals) -> Verdict:
    """Every pool gives for its net payment what its invariant allows, whatever the peer says."""
    net_a, net_b = plan[0] - plan[2], plan[1] - plan[3]
    forward, backward = (net_a > 0) & (net_b < 0), (net_b > 0) & (net_a < 0)
    paid = np.where(forward, net_a, np.where(backward, net_b, 0.0))
    claimed = np.where(forward, -net_b, np.where(backward, -net_a, 0.0))
    r_in, r_out = np.where(backward, inst.Rb, inst.Ra), np.where(backward, inst.Ra, inst.Rb)
    pays, gets = np.where(backward, inst.ib, inst.ia), np.where(backward, inst.ia, inst.ib)
    kept = inst.gam * paid
    got = r_out * kept / (r_in + kept) * (1.0 - FLOAT_SLACK)
    # Both sides given for nothing: the pool is left alone. Both taken: nothing is, and it is told.
    taken = np.where((net_a < 0) & (net_b < 0), np.maximum(-net_a / inst.Ra, -net_b / inst.Rb), 0.0)
    broken = max(float(((claimed - got) / r_out).max(initial=0.0)), float(taken.max(initial=0.0)))
    profit, volume = np.zeros(inst.m), np.zeros(inst.m)
    for token in range(inst.m):
        received, given = got[gets == token], paid[pays == token]
        profit[token] = fsum([*received.tolist(), *(-given).tolist()])
        volume[token] = fsum(given.tolist())
    owed = np.maximum(-profit, 0.0)
    worth = np.where(profit > 0, inst.c, np.maximum(v, inst.c)) * profit
    shares = owed / np.maximum(volume, 1.0)
    return Verdict(fsum(worth.tolist()), max(broken, float(shares.max(initial=0.0)), 0.0))


def _books(inst: Sor, plan: Reals) -> Verdict:
    """Cost in whole price units, negated; missing lots are bought at the dearest price there is."""
    lots = np.clip(plan, 0.0, inst.q)
    over = float(np.abs(plan - lots).max(initial=0.0))
    missing = inst.Q - lots.sum((0, 2))
    dearest = inst.px.max((0, 2))
    cost = fsum((lots * inst.px).ravel().tolist()) + fsum(
        (np.maximum(missing, 0.0) * dearest).tolist()
    )
    violation = float((np.abs(missing) / np.maximum(inst.Q, 1)).max(initial=0.0))
    return Verdict(-cost, max(violation, over / max(1.0, float(inst.Q.max()))))


def _basket(inst: Sor, plan: Reals) -> Verdict:
    """Surplus over the reservation values; whatever is too much is scaled down."""
    lots = np.clip(plan, 0.0, inst.q)
    over = np.maximum(lots.sum((0, 2)) / np.maximum(inst.Q, 1), 1.0)
    lots /= over[None, :, None]
    spent = fsum((lots * inst.px).ravel().tolist())
    too_much = max(1.0, spent / max(inst.B, 1))
    surplus = fsum((lots * (inst.v[None, :, None] - inst.px)).ravel().tolist()) / too_much
    return Verdict(surplus, max(float(over.max(initial=1.0)), too_much) - 1.0)


def _execution(inst: Vwap, plan: Reals) -> Verdict:
    """Cost and tracking, negated; a total that is not Q is spread over the room that is left."""
    x = np.clip(plan, 0.0, inst.cap)
    outside = float((np.abs(plan - x).max(1) / np.maximum(inst.cap.max(1), 1.0)).max(initial=0.0))
    over = np.maximum(x.sum(1) / np.maximum(inst.C, 1e-300), 1.0)
    x /= over[:, None]
    missing = inst.Q - fsum(x.ravel().tolist())
    violation = max(abs(missing) / inst.Q, outside, float(over.max(initial=1.0)) - 1.0)
    if missing < 0:
        x *= inst.Q / (inst.Q - missing)
    elif missing > 0:
        x += _room_filled(inst, x, missing)
    left = np.cumsum(x.sum(0))[:-1] - inst.w[:-1]
    costs = (inst.a * x).ravel().tolist() + (0.5 * inst.eta * x * x).ravel().tolist()
    return Verdict(-fsum(costs + (0.5 * inst.kappa * left * left).tolist()), violation)


def _room_filled(inst: Vwap, x: Reals, missing: float) -> Reals:
    """So much more, in proportion to what caps and limits leave."""
    room = inst.cap - x
    by_venue = np.minimum(room.sum(1), np.maximum(inst.C - x.sum(1), 0.0))
    share = by_venue / np.maximum(room.sum(1), 1e-300)
    added = room * share[:, None]
    return np.asarray(added * min(1.0, missing / max(float(added.sum()), 1e-300)))


def _ladders(inst: Arb, plan: Reals, v: Reals) -> Verdict:
    """Profit at the marks; what passes a net limit is charged with |mark - multiplier|."""
    bought, sold = np.clip(plan[0], 0.0, inst.aq), np.clip(plan[1], 0.0, inst.bq)
    outside = max(
        float((np.abs(plan[0] - bought) / inst.aq).max(initial=0.0)),
        float((np.abs(plan[1] - sold) / inst.bq).max(initial=0.0)),
    )
    spent = np.maximum((inst.ask * bought).sum((1, 2)) / np.maximum(inst.C, 1e-300), 1.0)
    used = np.maximum(sold.sum(2) / np.maximum(inst.inv, 1e-300), 1.0)
    bought, sold = bought / spent[:, None, None], sold / used[:, :, None]
    net = [fsum((bought[:, k] - sold[:, k]).ravel().tolist()) for k in range(inst.m)]
    excess = np.maximum(np.abs(net) - inst.h, 0.0)
    ref = inst.ref[None, :, None]
    profit = ((ref - inst.ask) * bought).ravel().tolist() + (
        (inst.bid - ref) * sold
    ).ravel().tolist()
    value = fsum(profit) - fsum((np.abs(inst.ref - v) * excess).tolist())
    worst = float((excess / np.maximum(inst.h, 1e-300)).max(initial=0.0))
    return Verdict(value, max(outside, float(spent.max()) - 1.0, float(used.max()) - 1.0, worst))


def _check_shape(plan: Reals, wanted: tuple[int, ...]) -> None:
    if plan.shape != wanted or not all(isfinite(v) for v in (float(plan.sum()),)):
        raise ValueError(f"a plan of shape {plan.shape} is judged as {wanted}")
