"""The certificate of a plan: bound and value from sums alone, in exact fractions of a value word.

The optimum that a central solver reports is only where to look: what it is worth is judged by the
participants' own answers, in the words of the couplings of hooks/solvers.py.
Source: solvers.md, section 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from math import ceil, floor

from covenue.hooks.solvers import DualCoupling, KeyedCoupling, Tracking
from covenue_contracts.shared import DualVariables, Query


@dataclass(frozen=True)
class Plan:
    """A plan that the answers show to be feasible, as a Solution carries it. value: value words."""

    multipliers: DualVariables | None
    points: tuple[int, ...]
    value: Fraction
    shortfall: int = 0


@dataclass(frozen=True)
class Best:
    """The least bound and the best plan so far; None while there is none.

    lacking: words by which each coordinate of the last answer missed its limits. spare: words by
    which it keeps from the limit that its multiplier holds it to, 0 where none does.
    """

    bound: Fraction | None = None
    plan: Plan | None = None
    lacking: tuple[int, ...] = ()
    spare: tuple[int, ...] = ()

    @property
    def is_found(self) -> bool:
        """Whether there is a plan that somebody acts on."""
        return self.plan is not None and any(self.plan.points)

    def gap(self) -> tuple[int, int]:
        """(value, bound) in value words: the value rounded down, the bound up, or value alike.

        Where rounding of answers lifts a value above its bound, the value is the bound.
        """
        value = floor(self.plan.value) if self.plan else 0
        bound = value if self.bound is None else ceil(self.bound)
        return min(value, bound), bound

    def is_closed(self, tolerance: Fraction, value_floor: int) -> bool:
        """Whether there is a plan within the tolerance of the bound."""
        if self.plan is None or self.bound is None:
            return False
        value, bound = self.gap()
        return bound - value <= tolerance * max(abs(bound), value_floor)


def keyed(coupling: KeyedCoupling, query: Query, words: Sequence[int]) -> Best:
    """What depth at (t, t + 1), or at the end of the keys, shows of the plan that stops at t.

    The plan is optimal iff S(t) < Q <= S(t + 1), and then its value is its own bound; at the end
    of the keys all that there is, less than Q.
    """
    wanted, end = coupling.wanted, coupling.key_range[1]
    key, below, value = int(query.points[0]), words[0], words[-1]
    if len(query.points) == 1:
        enough = max(1, min(coupling.least, wanted))
        if key != end or not enough <= below < wanted:
            return Best()
        return Best(Fraction(value), Plan(None, (end, 0), Fraction(value), wanted - below))
    residual = wanted - below
    if int(query.points[1]) != key + 1 or not 0 <= below < wanted <= words[1]:
        return Best()
    worth = Fraction(value + residual * coupling.unit_value(key))
    return Best(worth, Plan(None, (key, residual), worth))


def answered(coupling: DualCoupling, query: Query, words: Sequence[int], best: Best) -> Best:
    """The better of what is known and what an answer to `respond` or `certify` shows."""
    if query.multipliers is None:
        return best
    at = [int(value) for value in query.multipliers.values]
    size = len(coupling.reference)
    value, nets = words[0], tuple(words[1 : 1 + size])
    bound = Fraction(value) + _conjugate(coupling, at)
    least = bound if best.bound is None else min(bound, best.bound)
    missed = _lacking(coupling, nets)
    plan = best.plan or _at_rest(coupling, query)
    found = _plan(coupling, query, at, words)
    if found is not None and not any(missed) and (plan is None or found.value > plan.value):
        plan = found
    return Best(least, plan, missed, _spare(coupling, at, nets))


def _plan(
    coupling: DualCoupling, query: Query, at: Sequence[int], words: Sequence[int]
) -> Plan | None:
    """The plan of an answer; with a tracking, only whole lots make one."""
    size, tracking = len(coupling.reference), coupling.tracking
    nets = tuple(words[1 : 1 + size])
    worth = _worth(coupling, coupling.reference, nets)
    if tracking is None:
        rest = [r - v for r, v in zip(coupling.reference, at, strict=True)]
        value = min(worth, Fraction(words[0]) + _worth(coupling, rest, nets))
        width = tuple(int(point) for point in query.points)
        return Plan(query.multipliers, (*nets, *width), value)
    if query.kind != "certify" or sum(nets) != tracking.path[-1]:
        return None
    value = worth - _left(coupling, tracking, nets) - words[1 + size]
    return Plan(query.multipliers, tuple(int(point) for point in query.points), value)


def _at_rest(coupling: DualCoupling, query: Query) -> Plan | None:
    """The plan that nobody acts on, where that is one."""
    rows = zip(coupling.least, coupling.most, strict=True)
    if coupling.tracking is not None or not all(least <= 0 <= most for least, most in rows):
        return None
    return Plan(query.multipliers, (0,) * len(coupling.reference), Fraction(0))


def _worth(coupling: DualCoupling, prices: Sequence[int], nets: Sequence[int]) -> Fraction:
    """prices'nets in value words; prices on the multipliers' grid, nets in words."""
    products = sum(price * net for price, net in zip(prices, nets, strict=True))
    return products * _product_words(coupling)


def _product_words(coupling: DualCoupling) -> Fraction:
    """Value words of one multiplier unit times one word."""
    bits = coupling.multiplier_bits + coupling.space.scale_bits
    return Fraction(1 << coupling.value_bits, 1 << bits)


def _lacking(coupling: DualCoupling, nets: Sequence[int]) -> tuple[int, ...]:
    """Words by which each total is below its least (positive) or above its most (negative)."""
    if coupling.tracking is not None:
        return (0,) * len(nets)
    rows = zip(coupling.least, nets, coupling.most, strict=True)
    return tuple(max(0, low - net) - max(0, net - high) for low, net, high in rows)


def _spare(coupling: DualCoupling, at: Sequence[int], nets: Sequence[int]) -> tuple[int, ...]:
    if coupling.tracking is not None:
        return (0,) * len(nets)
    rows = zip(coupling.reference, at, coupling.least, nets, coupling.most, strict=True)
    return tuple(
        max(0, net - low if v > r else high - net if v < r else 0) for r, v, low, net, high in rows
    )


def _conjugate(coupling: DualCoupling, at: Sequence[int]) -> Fraction:
    """What U is worth beyond the multipliers, at best: sup over y of U(y) - v'y."""
    rest = [r - v for r, v in zip(coupling.reference, at, strict=True)]
    if coupling.tracking is not None:
        return _tracked(coupling, coupling.tracking, rest)
    rows = zip(rest, coupling.least, coupling.most, strict=True)
    products = sum(max(d * low, d * high) for d, low, high in rows)
    return products * _product_words(coupling)


def _tracked(coupling: DualCoupling, tracking: Tracking, rest: Sequence[int]) -> Fraction:
    """sup of rest'y - weight/2 |cumulative(y) - path|^2 with the last of the path met exactly.

    In cumulative amounts c: each but the last is free, at c_t = w_t + (d_t - d_t+1) / weight.
    """
    unit = 2**coupling.space.scale_bits
    d = [Fraction(value, 2**coupling.multiplier_bits) for value in rest]
    path = [Fraction(word, unit) for word in tracking.path]
    worth = d[-1] * path[-1]
    for (here, after), aim in zip(pairwise(d), path, strict=False):
        step = here - after
        worth += step * aim + step * step / (2 * tracking.weight)
    return worth * (1 << coupling.value_bits)


def _left(coupling: DualCoupling, tracking: Tracking, nets: Sequence[int]) -> Fraction:
    """The cost of leaving the path, in value words."""
    away = [at - aim for at, aim in zip(accumulate(nets), tracking.path, strict=True)]
    squares = sum(word * word for word in away)
    scale = Fraction(1 << coupling.value_bits, 1 << (2 * coupling.space.scale_bits + 1))
    return tracking.weight * squares * scale
