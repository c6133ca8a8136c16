"""The certificate of a basket, from one answer: depth around all cuts, spend around one ratio key.

    cut         S(t) < Q <= S(t + 1), r = Q - S(t); or all there is, where that is no more than Q
    ratio key   W(key) <= B < W(key + 1); or all that is within the cuts, where B pays for it

With the multiplier 1 + l = v / price of the marginal offer, what is below its key is worth its
spend and what is above is not, so no plan passes

    (value below the key, less its spend) + l (B - W(key)) + slack

Offers of other instruments in the block of one rounded ratio R may be on the wrong side, by no more
than 2^30 / (R (R + 1)) of what they cost: that is the slack. Source: solvers.md, section 2(b).
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise

from covenue.hooks.solvers import BasketCoupling
from covenue_contracts.shared import Query
from covenue_solver_reference.certificate import Best, Plan

RATIO_UNIT = 2**30
NONE = Best()


def counted(coupling: BasketCoupling, query: Query, words: Sequence[int]) -> Best:
    """What the answer shows of the plan that its points stand for; nothing, where they are none."""
    size = len(coupling.values)
    points = [int(point) for point in query.points]
    places = list(accumulate(points[:size], initial=0))
    keys, rest = points[size : size + places[-1]], points[size + places[-1] :]
    chosen, ratio = tuple(rest[: 2 * size]), rest[2 * size :]
    spends = words[places[-1] : places[-1] + len(ratio)]
    units = words[places[-1] + len(ratio) :]
    if len(ratio) not in {1, 4} or len(chosen) != 2 * size:
        return NONE
    for k, (a, b) in enumerate(pairwise(places)):
        if not _is_cut(coupling, k, keys[a:b], words[a:b], chosen[2 * k : 2 * k + 2]):
            return NONE
    if len(ratio) == 1:
        whole = 1 << (RATIO_UNIT.bit_length() - 1 + coupling.ratio_shift)
        affordable = ratio[0] == whole and spends[0] <= coupling.budget
        return _plan(coupling, (*chosen, whole, 0), units, spends[0]) if affordable else NONE
    return _marginal(coupling, chosen, ratio, spends, units)


def _is_cut(
    coupling: BasketCoupling,
    k: int,
    keys: Sequence[int],
    depths: Sequence[int],
    chosen: Sequence[int],
) -> bool:
    """Whether a cut takes the cheapest units of an instrument, as many as are wanted."""
    most, end = coupling.quantities[k], coupling.values[k] << coupling.cut_shift
    if len(keys) == 1:
        return keys[0] == end and (
            tuple(chosen) == (0, 0) if most < 1 else tuple(chosen) == (end, 0) and depths[0] <= most
        )
    if len(keys) != 2 or keys[1] != keys[0] + 1:
        return False
    key, residual = chosen
    return key == keys[0] and depths[0] < most <= depths[1] and residual == most - depths[0]


def _marginal(
    coupling: BasketCoupling,
    chosen: tuple[int, ...],
    ratio: Sequence[int],
    spends: Sequence[int],
    units: Sequence[int],
) -> Best:
    """The plan that spends the budget up to one offer, and what that offer still gets of it."""
    key, shift = ratio[0], coupling.ratio_shift
    rounded, offer = key >> shift, coupling.offer_at(key)
    block = (key + 1, rounded << shift, (rounded + 1) << shift)
    left, own = coupling.budget - spends[0], spends[1] - spends[0]
    if tuple(ratio[1:]) != block or offer is None or not 0 <= left < own or own % offer[1]:
        return NONE
    instrument, price = offer
    taken, value = left // price, coupling.values[instrument]
    planned = [n + taken * (k == instrument) for k, n in enumerate(units)]
    others = spends[3] - spends[2] - own
    beyond = Fraction(left * (value - price), price)
    slack = Fraction(others * RATIO_UNIT, rounded * (rounded + 1))
    below = _worth(coupling, units) - spends[0]
    found = _plan(coupling, (*chosen, key, taken), planned, spends[0] + taken * price)
    return Best(below + beyond + slack, found.plan) if found.plan else NONE


def _plan(
    coupling: BasketCoupling, points: tuple[int, ...], units: Sequence[int], spend: int
) -> Best:
    """A plan that buys something, as its own bound."""
    if not any(units):
        return NONE
    missing = sum(most - n for most, n in zip(coupling.quantities, units, strict=True))
    value = Fraction(_worth(coupling, units) - spend)
    return Best(value, Plan(None, points, value, missing))


def _worth(coupling: BasketCoupling, units: Sequence[int]) -> int:
    return sum(v * n for v, n in zip(coupling.values, units, strict=True))
