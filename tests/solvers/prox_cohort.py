"""A test-side cohort of venues that offer only a prox: ladders that share capital.

A venue holds per instrument one rising curve of prices over net amounts, from minus its inventory
up: the bids that inventory reaches, the worst first, then the asks. With b bought, s sold

    f(y) = sum ask b - sum bid s    y = b - s    sum ask b <= capital
    argmin f + w (y - c)^2 / 2:     fill_l = clip(c - p_l (1 + mu) / w - start_l, 0, q_l)

mu >= 0 on the asks alone, so that capital covers what is bought. Formulas written out here.
Source: solvers.md, sections 2(d), 3.4 and 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog  # type: ignore[import-untyped]  # scipy has no stubs

from covenue.errors import CapabilityMissing
from covenue.hooks.domains import Acted, Memory
from covenue.hooks.prox import Nearest, ProxAnswers, prox_width
from covenue.hooks.solvers import Tracking
from covenue.numerics.words import Words, frozen
from covenue_contracts.local import Actions
from covenue_contracts.plan import Goal
from covenue_contracts.shared import Capability, Query, Space

Reals = NDArray[np.float64]
Table = dict[str, Any]

MULTIPLIER_BITS = 40
SCALE_BITS = 30
VALUE_BITS = 24
MARGIN = 64
BOUND = 2**58
SAVED = 1.0 - 2.0**-36
SLACK = 2.0**-46
HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Venue:
    """One venue. price, size: (instruments, levels) along the curve; start: (instruments,), what
    is held at its beginning, at most 0; bids: how many levels of each curve are bids.
    """

    price: Reals
    size: Reals
    is_ask: NDArray[np.bool_]
    start: Reals
    capital: float

    @cached_property
    def ends(self) -> Reals:
        """Net amount at the beginning of each level."""
        before = np.cumsum(self.size, axis=1) - self.size
        return np.asarray(self.start[:, None] + before)

    def fills(self, centre: Reals, weights: Reals, mu: float) -> Reals:
        """How much of each level is taken at a private price of capital."""
        price = np.where(self.is_ask, self.price * (1.0 + mu), self.price)
        reach = centre[:, None] - price / weights[:, None] - self.ends
        return np.clip(reach, 0.0, self.size)

    def spent(self, fills: Reals) -> float:
        """What the asks among them cost, added up in order."""
        return float(np.cumsum(np.where(self.is_ask, fills * self.price, 0.0))[-1])

    @property
    def points(self) -> int:
        """One venue, one point."""
        return 1

    def nearest(self, centres: Reals, weights: Reals) -> Nearest:
        """As LocalProx says: bisection on the price of capital, words rounded down."""
        (centre,) = centres
        fills = self.fills(centre, weights, 0.0)
        if self.spent(fills) > self.capital * SAVED:
            low, high = 0.0, 1.0
            while self.spent(self.fills(centre, weights, high)) > self.capital * SAVED:
                low, high = high, 2.0 * high
            for _ in range(HALVINGS):
                middle = 0.5 * (low + high)
                enough = self.spent(self.fills(centre, weights, middle)) <= self.capital * SAVED
                low, high = (low, middle) if enough else (middle, high)
            fills = self.fills(centre, weights, high)
        nets = np.cumsum(np.column_stack([self.start, fills]), axis=1)[:, -1]
        words = np.floor(nets * 2.0**SCALE_BITS).astype(np.int64)
        return Nearest(frozen(words[None]), self.cost(words))

    def cost(self, words: Words) -> int:
        """What exactly these nets cost: asks are paid, bids bring."""
        taken = np.clip(words[:, None] * 2.0**-SCALE_BITS - self.ends, 0.0, self.size)
        paid = np.where(self.is_ask, taken, taken - self.size) * self.price * 2.0**VALUE_BITS
        slack = np.abs(paid) * SLACK
        return sum(int(part) for part in np.ceil(paid + slack).ravel())

    def surplus(self, multipliers: Reals) -> int:
        """phi <= C mu + sum max(v - p (1 + mu), 0) q over asks + sum max(p - v, 0) q over bids.

        Whatever mu; the best is where the capital runs out in order of v / p.
        """
        v = np.broadcast_to(multipliers[:, None], self.price.shape)
        gain = np.where(self.is_ask, 0.0, np.maximum(self.price - v, 0.0) * self.size)
        ratio = np.where(self.is_ask & (self.size > 0.0), v / self.price, 0.0).ravel()
        order = np.argsort(-ratio, kind="stable")
        costs = np.cumsum((self.price * self.size).ravel()[order])
        at = int(np.searchsorted(costs, self.capital))
        mu = max(float(ratio[order[at]]) - 1.0, 0.0) if at < len(order) else 0.0
        kept = np.maximum(v - self.price * (1.0 + mu), 0.0) * self.size
        gain = gain + np.where(self.is_ask, kept, 0.0)
        scaled = np.ceil(gain * 2.0**VALUE_BITS * (1.0 + SLACK)).ravel()
        rent = int(np.ceil(mu * self.capital * 2.0**VALUE_BITS * (1.0 + SLACK)))
        return rent + sum(int(part) for part in scaled)


def venues_of(table: Table) -> list[Venue]:
    """The venues of a table of ladders, as `tests.domains.ladder_markets.table` draws them."""
    made = []
    for i in range(len(table["ask"])):
        bid, held = table["bid"][i], table["bid_size"][i]
        left = np.maximum(table["inventory"][i][:, None] - (np.cumsum(held, 1) - held), 0.0)
        size = np.minimum(held, left)
        price = np.concatenate([bid[:, ::-1], table["ask"][i]], axis=1)
        sizes = np.concatenate([size[:, ::-1], table["ask_size"][i]], axis=1)
        is_ask = np.zeros(price.shape, dtype=np.bool_)
        is_ask[:, bid.shape[1] :] = True
        start = -np.cumsum(size, axis=1)[:, -1]
        made.append(Venue(price, sizes, is_ask, start, float(table["capital"][i])))
    return made


@dataclass(frozen=True)
class ProxCoupling:
    """References on the grid, and limits of every coordinate's total."""

    reference: tuple[int, ...]
    multiplier_range: tuple[tuple[int, int], ...]
    least: tuple[int, ...]
    most: tuple[int, ...]
    margin: tuple[int, ...]
    multiplier_bits: int = MULTIPLIER_BITS
    value_bits: int = VALUE_BITS
    value_floor: int = 2**VALUE_BITS
    slope_bits: int = 20
    smoothing: tuple[int, ...] = ()
    tracking: Tracking | None = None

    @property
    def space(self) -> Space:
        """One coordinate an instrument."""
        return space(len(self.reference))

    @property
    def goal(self) -> Goal:
        """Nothing more than to find a plan."""
        return Goal(domain="proxes", aim="allow", remaining=("1",), terms={})

    def width(self, query: Query) -> int:
        """As prox_width; a commitment has the net amounts."""
        m = len(self.reference)
        return m if query.kind == "commit" else prox_width(query, m)

    def admits(self, total: Words, goal: Goal) -> bool:
        """Whether every total is within its limits."""
        values = [int(word) for word in total]
        return all(a <= x <= b for a, x, b in zip(self.least, values, self.most, strict=True))

    def left(self, settled: Words, reserved: Words, committed: Words) -> Goal:
        """The goal of a test stays."""
        return self.goal


def space(m: int) -> Space:
    """m coordinates with the scale of this module."""
    names = tuple(f"i{k}" for k in range(m))
    return Space(signal="proxes", names=names, units=names, scale_bits=SCALE_BITS, bound=str(BOUND))


def coupling(m: int, exposure: Sequence[float], reference: float = 100.0) -> ProxCoupling:
    """No total beyond its exposure, either way."""
    at = int(reference * 2**MULTIPLIER_BITS)
    most = tuple(int(each * 2**SCALE_BITS) for each in exposure)
    least = tuple(-each for each in most)
    return ProxCoupling((at,) * m, ((at // 4, at * 4),) * m, least, most, (MARGIN,) * m)


@dataclass(frozen=True, eq=False)
class ProxProblem:
    """A venue's problem: PROX and nothing else."""

    venue: Venue
    reference: float = 100.0
    capabilities: frozenset[Capability] = frozenset({"PROX"})

    @cached_property
    def answers(self) -> ProxAnswers:
        """The participant's side of the agreement."""
        m = len(self.venue.start)
        return ProxAnswers(space(m), np.full(m, self.reference), self.venue)

    @property
    def space(self) -> Space:
        """One coordinate an instrument."""
        return self.answers.space

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """A prox; nothing else is understood."""
        if query.kind != "prox":
            raise CapabilityMissing(f"only a prox, not '{query.kind}'", "choose the solver 'admm'")
        return self.answers.answer(query, memory)

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """Net amounts as they were answered."""
        return (
            Actions(plan=plan, unit="1", legs=(), swaps=()),
            self.answers.planned(memory)[0],
            memory,
        )

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """Nothing is executed here."""
        zero = frozen(np.zeros(len(self.venue.start), dtype=np.int64))
        return zero, zero


def problems(table: Table) -> list[ProxProblem]:
    """One participant a venue."""
    return [ProxProblem(venue) for venue in venues_of(table)]


def optimum(table: Table, exposure: Sequence[float], reference: float = 100.0) -> float:
    """What the linear program of all venues is worth, by HiGHS."""
    ask, bid = table["ask"], table["bid"]
    n, m, levels = ask.shape
    count = n * m * levels
    costs = np.concatenate([(ask - reference).ravel(), (reference - bid).ravel()])
    sizes = np.concatenate([table["ask_size"].ravel(), table["bid_size"].ravel()])
    rows, right = [], []
    place = np.arange(count).reshape(n, m, levels)
    for k in range(m):
        net = np.zeros(2 * count)
        net[place[:, k].ravel()], net[count + place[:, k].ravel()] = 1.0, -1.0
        rows += [net, -net]
        right += [exposure[k], exposure[k]]
    for i in range(n):
        spent = np.zeros(2 * count)
        spent[place[i].ravel()] = ask[i].ravel()
        rows.append(spent)
        right.append(float(table["capital"][i]))
        for k in range(m):
            sold = np.zeros(2 * count)
            sold[count + place[i, k]] = 1.0
            rows.append(sold)
            right.append(float(table["inventory"][i, k]))
    bounds = np.stack([np.zeros(2 * count), sizes], axis=1)
    found = linprog(costs, A_ub=np.array(rows), b_ub=right, bounds=bounds, method="highs")
    assert found.status == 0
    return -float(found.fun)
