"""A test-side cohort of execution schedules on DualCoupling: formulas written out again here.

    f_i = sum_t (P + a_it) x_it + eta_it x_it^2 / 2      0 <= x_it <= cap_it      sum_t x_it <= C_i
    x_it = clip((v_t - P - a_it - mu_i) / eta_it, 0, cap_it)     mu_i >= 0, and 0 where C_i is room
    phi_i <= mu C_i + sum_t max over x_t in [0, cap_t] of (v_t - P - a_it - mu) x_t - eta x_t^2 / 2

Whole lots as the docstring of `Tracking` says. Source: solvers.md, sections 2(c), 5 and 6.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covenue.errors import CapabilityMissing
from covenue.hooks.domains import Acted, Memory
from covenue.hooks.solvers import Tracking
from covenue.numerics.words import Words, frozen, words
from covenue_contracts.local import Actions
from covenue_contracts.plan import Goal
from covenue_contracts.shared import Capability, DualVariables, Query, Space

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]

ARRIVAL = 100
MULTIPLIER_BITS = 40
SCALE_BITS = 20
VALUE_BITS = 24
SLOPE_BITS = 20
LOT = 2**SCALE_BITS
BOUND = 2**60
HALVINGS = 60
FLOAT_SLACK = 2.0**-40


@dataclass(frozen=True, eq=False)
class Schedules:
    """n venues over T slices: linear cost, impact and cap (n, T), credit (n,), and the order.

    path: cumulative target (T,), path[-1] is the quantity. weight: of leaving it.
    """

    linear: Reals
    impact: Reals
    cap: Reals
    credit: Reals
    path: Reals
    weight: float

    def digest(self) -> str:
        """SHA-256 over the bytes of every array: equal instances on every machine."""
        arrays = (self.linear, self.impact, self.cap, self.credit, self.path)
        joined = b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)
        return hashlib.sha256(joined + repr(self.weight).encode()).hexdigest()

    def part(self, index: int, parts: int) -> "Schedules":
        """Every `parts`-th venue from `index` on: one participant's batch."""
        return replace(
            self,
            linear=self.linear[index::parts],
            impact=self.impact[index::parts],
            cap=self.cap[index::parts],
            credit=self.credit[index::parts],
        )


def vwap(n: int, T: int = 78, seed: int = 0) -> Schedules:  # noqa: N803 -- the source's name
    """The benchmark family `vwap` of solvers.md, section 6."""
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, seed, n, T])))
    u = (np.arange(T) + 0.5) / T - 0.5
    shape = 0.6 + 2.4 * u * u
    share = draw.random(n) + 0.05
    share /= share.sum()
    volume = 1000.0 * n * share[:, None] * shape[None, :] * (0.6 + 0.8 * draw.random((n, T)))
    cap = 0.2 * volume
    linear = 0.2 + 0.8 * draw.random((n, 1)) + 0.3 * draw.random((n, T))
    impact = 2.0 / volume * (0.5 + draw.random((n, 1)))
    quantity = 0.35 * cap.sum()
    credit = cap.sum(1) * (0.3 + 0.5 * draw.random(n))
    path = np.cumsum(shape)
    path = path / path[-1] * quantity
    return Schedules(linear, impact, cap, credit, path, 4.0 / (1000.0 * n))


def ticked(schedules: Schedules, moved: int) -> Schedules:
    """The same venues after one became dearer and thinner."""
    linear, cap = schedules.linear.copy(), schedules.cap.copy()
    linear[moved] *= 1.05
    cap[moved] *= 0.9
    return replace(schedules, linear=linear, cap=cap)


@dataclass(frozen=True)
class ScheduleCoupling:
    """Reference prices on the grid, and the path that totals follow."""

    tracking: Tracking
    reference: tuple[int, ...]
    multiplier_range: tuple[tuple[int, int], ...]
    margin: tuple[int, ...]
    multiplier_bits: int = MULTIPLIER_BITS
    value_bits: int = VALUE_BITS
    value_floor: int = 2**VALUE_BITS
    slope_bits: int = SLOPE_BITS
    smoothing: tuple[int, ...] = ()
    first: int = 0

    @property
    def least(self) -> tuple[int, ...]:
        """Does not bind."""
        return (0,) * len(self.reference)

    @property
    def most(self) -> tuple[int, ...]:
        """Does not bind."""
        return (BOUND,) * len(self.reference)

    @property
    def space(self) -> Space:
        """One coordinate a slice; `first` is the number of the first that is left."""
        return space(len(self.reference), self.first)

    @property
    def goal(self) -> Goal:
        """Nothing more than to find a plan."""
        return Goal(domain="schedules", aim="fill", remaining=("1",), terms={})

    def width(self, query: Query) -> int:
        """As the docstrings of DualCoupling and Tracking say."""
        m = len(self.reference)
        widths = {
            "curvature": 1 + m + m * (m + 1) // 2,
            "recover": len(query.points) + 1,
            "certify": 1 + m + 1,
        }
        return widths.get(query.kind, 1 + m)

    def admits(self, total: Words, goal: Goal) -> bool:
        """Whether the total is exactly the quantity."""
        return sum(int(word) for word in total) == self.tracking.path[-1]

    def left(self, settled: Words, reserved: Words, committed: Words) -> Goal:
        """The goal of a test stays."""
        return self.goal


def space(m: int, first: int = 0) -> Space:
    """m slices with the scale of this module."""
    names = tuple(f"s{first + k}" for k in range(m))
    return Space(signal="slices", names=names, units=names, scale_bits=SCALE_BITS, bound=str(BOUND))


def coupling(
    schedules: Schedules, lot: int = LOT, tie_bits: int = 10, **options: Any
) -> ScheduleCoupling:
    """The quantity rounded down to lots, the path scaled to it; prices from a half to twice P."""
    size = len(schedules.path)
    quantity = int(schedules.path[-1] * 2.0**SCALE_BITS) // lot * lot
    path = [int(value * 2.0**SCALE_BITS) for value in schedules.path.tolist()[:-1]]
    price = ARRIVAL << MULTIPLIER_BITS
    tracking = Tracking(
        path=(*(min(value, quantity) for value in path), quantity),
        weight=Fraction(schedules.weight),
        lot=lot,
        tie_bits=tie_bits,
    )
    return ScheduleCoupling(
        tracking=tracking,
        reference=(price,) * size,
        multiplier_range=((price // 2, price * 2),) * size,
        margin=(len(schedules.credit) + 1,) * size,
        **options,
    )


def problems(schedules: Schedules, parts: int = 5, lot: int = LOT) -> list["ScheduleProblem"]:
    """The venues dealt out to participants."""
    return [ScheduleProblem(schedules.part(k, parts), k, lot=lot) for k in range(parts)]


def instance(
    n: int,
    T: int = 78,  # noqa: N803 -- the source's name
    seed: int = 0,
    parts: int = 5,
    lot: int = LOT,
) -> tuple[ScheduleCoupling, list["ScheduleProblem"]]:
    """Coupling and participants of a generated instance."""
    schedules = vwap(n, T, seed)
    return coupling(schedules, lot), problems(schedules, min(parts, n), lot)


@dataclass(frozen=True, eq=False)
class Response:
    """Amounts in words (n, T), mu (n,), and phi in value words."""

    amounts: Whole
    credit_price: Reals
    phi: int


@dataclass(frozen=True, eq=False)
class ScheduleProblem:
    """One participant's batch of venues."""

    schedules: Schedules
    slot: int
    tie_bits: int = 10
    lot: int = LOT
    known: dict[tuple[int, ...], Response] = field(default_factory=dict)

    @property
    def space(self) -> Space:
        """That of all participants."""
        return space(len(self.schedules.path))

    @property
    def capabilities(self) -> frozenset[Capability]:
        """All that a schedule is asked."""
        return frozenset({"RESPOND", "CURVATURE", "RECOVER", "CERTIFY"})

    @cached_property
    def limits(self) -> tuple[Whole, Whole]:
        """Cap and credit in words, rounded down to whole lots: no plan can use more of them."""
        words_a_lot = 2.0**SCALE_BITS / self.lot
        cap = np.floor(self.schedules.cap * words_a_lot).astype(np.int64)
        credit = np.floor(self.schedules.credit * words_a_lot).astype(np.int64)
        return cap * self.lot, credit * self.lot

    @cached_property
    def real_limits(self) -> tuple[Reals, Reals]:
        """Cap and credit in units."""
        cap, credit = self.limits
        unit = 2.0**-SCALE_BITS
        return cap.astype(np.float64) * unit, credit.astype(np.float64) * unit

    def respond(self, values: tuple[int, ...]) -> Response:
        """The best amounts at multipliers on the grid, kept for the next query at them."""
        if values not in self.known:
            self.known[values] = self._respond(values)
        return self.known[values]

    def _respond(self, values: tuple[int, ...]) -> Response:
        s, (cap, credit) = self.schedules, self.limits
        real_cap, real_credit = self.real_limits
        premium = np.array([value - (ARRIVAL << MULTIPLIER_BITS) for value in values])
        margin = premium * 2.0**-MULTIPLIER_BITS - s.linear
        credit_price = self._credit_price(margin)
        rest = margin - credit_price[:, None]
        x = np.clip(rest / s.impact, 0.0, real_cap)
        amounts = np.minimum(np.floor(x * 2.0**SCALE_BITS).astype(np.int64), cap)
        over = np.maximum(amounts.sum(1) - credit, 0)
        amounts = _less(amounts, over)
        gains = rest * x - 0.5 * s.impact * x * x
        slack = (np.abs(rest) * x + s.impact * x * x) * FLOAT_SLACK
        phi = np.ceil((gains + slack) * 2.0**VALUE_BITS).astype(np.int64).sum()
        held = credit_price * real_credit * (1.0 + FLOAT_SLACK)
        phi += np.ceil(held * 2.0**VALUE_BITS).astype(np.int64).sum()
        return Response(amounts, credit_price, int(phi))

    def _credit_price(self, margin: Reals) -> Reals:
        """mu of each venue, halved down to the last bits: the amounts keep the credit."""
        s, (cap, credit) = self.schedules, self.real_limits
        low, high = np.zeros(len(margin)), np.maximum(margin.max(1), 0.0)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            x = np.clip((margin - middle[:, None]) / s.impact, 0.0, cap)
            over = x.sum(1) > credit
            low, high = np.where(over, middle, low), np.where(over, high, middle)
        free = np.clip(margin / s.impact, 0.0, cap).sum(1) <= credit
        return np.where(free, 0.0, high)

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """The words of `respond`, `curvature`, `recover` or `certify`."""
        if query.multipliers is None or query.kind not in (
            "respond",
            "curvature",
            "recover",
            "certify",
        ):
            raise CapabilityMissing("schedules respond, recover and certify", "ask `respond`")
        values = tuple(int(value) for value in query.multipliers.values)
        response = self.respond(values)
        points = [int(point) for point in query.points]
        if query.kind == "recover":
            return self._recovered(response, points), memory
        if query.kind == "certify":
            return self._certified(response, points[0], points[1]), memory
        parts = [words([response.phi]), response.amounts.sum(0)]
        if query.kind == "curvature":
            parts.append(self._triangle(values, response))
        return frozen(np.concatenate(parts)), memory

    def _triangle(self, values: tuple[int, ...], response: Response) -> Words:
        """diag(v) J diag(v), J = diag(g) - [mu > 0] g g' / 1'g: its lower triangle, row by row."""
        s, v = self.schedules, np.array(values, dtype=np.float64) * 2.0**-MULTIPLIER_BITS
        premium = np.array([value - (ARRIVAL << MULTIPLIER_BITS) for value in values])
        rest = premium * 2.0**-MULTIPLIER_BITS - s.linear - response.credit_price[:, None]
        inside = (rest > 0.0) & (rest < s.impact * self.real_limits[0])
        gains = np.where(inside, 1.0 / s.impact, 0.0)
        whole = gains.sum(1)
        share = np.where(
            (response.credit_price > 0) & (whole > 0), 1 / np.maximum(whole, 1e-300), 0
        )
        size = len(v)
        scaled = gains * v
        result = np.zeros((size, size), dtype=np.int64)
        for row, part in zip(scaled, share.tolist(), strict=True):
            if part:
                outer = row[:, None] * (row * part)[None, :]
                result -= np.rint(outer * 2.0**SLOPE_BITS).astype(np.int64)
        diagonal = np.rint(scaled * v * 2.0**SLOPE_BITS).astype(np.int64).sum(0)
        result[np.arange(size), np.arange(size)] += diagonal
        return result[np.tril_indices(size)]

    def offers(self, response: Response) -> tuple[Whole, Whole]:
        """Lots after rounding down (n, T), and the key of one more lot, -1 where none is offered.

        Where the credit binds, each of its lots is worth more than its price: they come first.
        """
        cap, credit = self.limits
        lots = response.amounts // self.lot
        cut = response.amounts - lots * self.lot
        able = (cut > 0) & ((lots + 1) * self.lot <= cap)
        room = credit // self.lot - lots.sum(1)
        order = np.argsort(np.where(able, -cut, 1), axis=1, kind="stable")
        rank = np.argsort(order, axis=1, kind="stable")
        bound = (response.credit_price > 0.0)[:, None]
        keys = (np.where(bound, 0, self.lot - 1 - cut) << self.tie_bits) + self.slot
        return lots, np.where(able & (rank < room[:, None]), keys, -1)

    def _recovered(self, response: Response, probes: Sequence[int]) -> Words:
        lots, keys = self.offers(response)
        offered = np.sort(keys[keys >= 0])
        return words([*np.searchsorted(offered, probes).tolist(), int(lots.sum())])

    def plan(self, values: tuple[int, ...], key: int, rest: int) -> Whole:
        """Whole lots of the plan (t, r) at v, in words (n, T)."""
        lots, keys = self.offers(self.respond(values))
        taken = (keys >= 0) & (keys < key)
        marginal = np.flatnonzero(keys.ravel() == key)[:rest]
        taken.ravel()[marginal] = True
        return (lots + taken) * self.lot

    def cost(self, amounts: Whole) -> int:
        """f of amounts in words, in value words, rounded up."""
        s, x = self.schedules, amounts * 2.0**-SCALE_BITS
        item = (ARRIVAL + s.linear) * x + 0.5 * s.impact * x * x
        return int(np.ceil(item * (1.0 + FLOAT_SLACK) * 2.0**VALUE_BITS).astype(np.int64).sum())

    def _certified(self, response: Response, key: int, rest: int) -> Words:
        values = next(k for k, known in self.known.items() if known is response)
        amounts = self.plan(values, key, rest)
        nets = amounts.sum(0).tolist()
        return words([response.phi, *nets, self.cost(amounts)])

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """The whole lots of the solution."""
        assert query.multipliers is not None
        values = tuple(int(value) for value in query.multipliers.values)
        key, rest = (int(point) for point in query.points)
        nets = self.plan(values, key, rest).sum(0)
        return Actions(plan=plan, unit="1", legs=(), swaps=()), words(nets.tolist()), memory

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """Nothing is carried out in these tests."""
        nothing = words([0] * len(self.schedules.path))
        return nothing, nothing


def _less(amounts: Whole, over: Whole) -> Whole:
    """Amounts after each row gave up `over` words, from its greatest amount."""
    result = amounts.copy()
    rows = np.arange(len(result))
    result[rows, result.argmax(1)] -= over
    return result


def at(values: Sequence[int]) -> DualVariables:
    """Multipliers of a query."""
    return DualVariables(
        scale_bits=MULTIPLIER_BITS, values=tuple(str(int(value)) for value in values)
    )
