"""A plan held against all venues opened, in exact fractions and by arithmetic of its own.

Nothing here shares code with the answers: mu is found by walking the kinks of its piecewise linear
equation in order, and the public part of the dual from its closed form,

    Uhat(v) = sum_{t<T} (d_t w_t + d_t^2 / 2 kappa) + q_T w_T,   q = P - v,  d_t = q_t - q_{t+1}

so that no plan at all can be worth more than Uhat + sum phi. Source: solvers.md, sections 1, 2(c).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise

from covenue_domain_execution.goals import BPS, GRID, Terms
from covenue_domain_execution.kernels import Integers, Rows


@dataclass(frozen=True)
class Venue:
    """One row in exact numbers: what the party's floats say, digit by digit."""

    costs: tuple[Fraction, ...]
    steep: tuple[Fraction, ...]
    caps: tuple[Fraction, ...]
    credit: Fraction

    def value(self, excess: Sequence[Fraction]) -> Fraction:
        """phi: the best that the venue can make of prices above the arrival."""
        amounts = self.amounts(excess)
        gains = zip(excess, amounts, strict=True)
        return sum((e * x for e, x in gains), Fraction(0)) - self.cost(amounts)

    def amounts(self, excess: Sequence[Fraction]) -> list[Fraction]:
        """What attains it."""
        edges = [e - a for e, a in zip(excess, self.costs, strict=True)]
        if sum(self._at(edges, Fraction(0))) <= self.credit:
            return self._at(edges, Fraction(0))
        kinks = {s for s in edges if s > 0}
        ends = zip(edges, self.steep, self.caps, strict=True)
        kinks |= {k for s, eta, cap in ends if (k := s - eta * cap) > 0}
        for low, high in pairwise([Fraction(0), *sorted(kinks)]):
            most, least = sum(self._at(edges, low)), sum(self._at(edges, high))
            if most >= self.credit >= least:
                part = (most - self.credit) / (most - least) if most > least else Fraction(0)
                return self._at(edges, low + part * (high - low))
        return [Fraction(0)] * len(edges)

    def cost(self, amounts: Sequence[Fraction | int]) -> Fraction:
        """What amounts cost beyond the arrival price."""
        rows = zip(self.costs, self.steep, amounts, strict=True)
        return sum((a * x + eta * x * x / 2 for a, eta, x in rows), Fraction(0))

    def holds(self, lots: Sequence[int]) -> bool:
        """Whether caps and credit hold so many lots."""
        pairs = zip(lots, self.caps, strict=True)
        return all(0 <= x <= cap for x, cap in pairs) and sum(lots) <= self.credit

    def _at(self, edges: Sequence[Fraction], mu: Fraction) -> list[Fraction]:
        rows = zip(edges, self.steep, self.caps, strict=True)
        return [min(max((s - mu) / eta, Fraction(0)), cap) for s, eta, cap in rows]


@dataclass(frozen=True)
class Checked:
    """A plan recomputed. by_slice: lots. value, dual: below zero, in price times lots."""

    by_slice: tuple[int, ...]
    value: Fraction
    dual: Fraction
    feasible: bool


def check(
    terms: Terms, multipliers: Sequence[int], plans: Sequence[tuple[Rows, Integers]]
) -> Checked:
    """The plan of whole lots at some multipliers, one (rows, schedule) a participant."""
    excess = [Fraction(v - terms.price, GRID) for v in multipliers]
    by_slice = [0] * terms.size
    cost, dual, feasible = Fraction(0), public_dual(terms, excess), True
    for rows, schedule in plans:
        for venue, lots in zip(venues(rows), schedule.tolist(), strict=True):
            feasible = feasible and venue.holds(lots)
            cost += venue.cost(lots)
            dual += venue.value(excess)
            by_slice = [a + b for a, b in zip(by_slice, lots, strict=True)]
    feasible = feasible and sum(by_slice) == terms.wanted
    return Checked(tuple(by_slice), -cost - off_path(terms, by_slice), dual, feasible)


def public_dual(terms: Terms, excess: Sequence[Fraction]) -> Fraction:
    """Uhat: the part of the dual that everybody knows."""
    kappa, path = _weight(terms), list(accumulate(terms.remaining))
    steps = [b - a for a, b in pairwise(excess)]
    rows = zip(steps, path, strict=False)
    inner = sum((d * w + d * d / (2 * kappa) for d, w in rows), Fraction(0))
    return inner - excess[-1] * path[-1]


def off_path(terms: Terms, by_slice: Sequence[int]) -> Fraction:
    """What it costs to leave the path: half the weight times the squared distances."""
    rows = zip(accumulate(by_slice), accumulate(terms.remaining), strict=True)
    return _weight(terms) / 2 * sum((now - then) ** 2 for now, then in rows)


def venues(rows: Rows) -> Iterator[Venue]:
    """The rows in exact numbers."""
    tables = (rows.costs.tolist(), rows.steep.tolist(), rows.caps.tolist())
    for costs, steep, caps, credit in zip(*tables, rows.credits.tolist(), strict=True):
        yield Venue(_exact(costs), _exact(steep), _exact(caps), Fraction(credit))


def _exact(numbers: Sequence[float]) -> tuple[Fraction, ...]:
    return tuple(map(Fraction, numbers))


def _weight(terms: Terms) -> Fraction:
    return terms.tracking_bps * Fraction(terms.price, BPS * GRID) / terms.quantity
