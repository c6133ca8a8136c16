"""A test-side cohort of constant-product pools on DualCoupling: formulas written out again here.

    a to b iff sqrt(gamma k) r > R_a, r = sqrt(v_b / v_a), k = R_a R_b:
        pay (sqrt(gamma k) r - R_a) / gamma, get R_b - sqrt(k / gamma) / r
        phi = (sqrt(v_b R_b) - sqrt(v_a R_a / gamma))^2        w = sqrt(k v_a v_b / gamma) / 2

Source: solvers.md, sections 2(a) and 6.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from covenue.errors import CapabilityMissing
from covenue.hooks.domains import Acted, Memory
from covenue.hooks.solvers import Tracking
from covenue.numerics.words import Words, frozen, words
from covenue_contracts.local import Actions
from covenue_contracts.plan import Goal
from covenue_contracts.shared import Capability, Query, Space

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]
Kind = Literal["random", "market"]
FEES = np.array([1e-4, 5e-4, 3e-3, 1e-2])

MULTIPLIER_BITS = 40
SCALE_BITS = 30
VALUE_BITS = 30
SLOPE_BITS = 20
MARGIN = 4096
REACH = 2**12
BOUND = 2**60
MOST = 2**60


@dataclass(frozen=True, eq=False)
class Pools:
    """n pools over m coordinates: sides a and b, reserves, 1 - fee, and reference values."""

    side_a: Whole
    side_b: Whole
    reserve_a: Reals
    reserve_b: Reals
    kept: Reals
    reference: Reals

    def digest(self) -> str:
        """SHA-256 over the bytes of every array: equal instances on every machine."""
        arrays = (self.side_a, self.side_b, self.reserve_a, self.reserve_b, self.kept)
        joined = b"".join(each.tobytes() for each in (*arrays, self.reference))
        return hashlib.sha256(joined).hexdigest()

    def part(self, index: int, parts: int) -> "Pools":
        """Every `parts`-th pool from `index` on: one participant's batch."""
        return Pools(
            self.side_a[index::parts],
            self.side_b[index::parts],
            self.reserve_a[index::parts],
            self.reserve_b[index::parts],
            self.kept[index::parts],
            self.reference,
        )


def generate(n: int, seed: int = 0, kind: Kind = "random", m: int | None = None) -> Pools:
    """The benchmark family `cfmm` of solvers.md, section 6."""
    m = m or round(2 * n**0.5)
    entropy = [1, seed, n, m, int(kind == "market")]
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
    side_a = draw.integers(0, m, n)
    side_b = (side_a + 1 + draw.integers(0, m - 1, n)) % m
    ring = min(n, m)
    side_a[:ring] = np.arange(ring)
    side_b[:ring] = (np.arange(ring) + 1) % m
    reference = 0.01 + 0.99 * draw.random(m)
    if kind == "random":
        reserve_a, reserve_b = 1000 * draw.random(n) + 1.0, 1000 * draw.random(n) + 1.0
        kept = np.where(draw.random(n) < 0.5, 0.997, 1.0)
    else:
        held = 2.0 ** draw.integers(0, 12, n) * 100.0
        noise = draw.random((12, n)).sum(0) - 6.0
        reserve_a = held / reference[side_a]
        reserve_b = held / reference[side_b] * (1 + 0.01 * noise)
        kept = 1 - FEES[draw.integers(0, 4, n)]
    return Pools(side_a, side_b, reserve_a, reserve_b, kept, reference)


def ticked(pools: Pools, moved: int | slice) -> Pools:
    """The same pools after the reserves of some moved by one percent against each other."""
    reserve_a, reserve_b = pools.reserve_a.copy(), pools.reserve_b.copy()
    reserve_a[moved] *= 1.01
    reserve_b[moved] *= 1 / 1.01
    return replace(pools, reserve_a=reserve_a, reserve_b=reserve_b)


@dataclass(frozen=True)
class PoolCoupling:
    """Reference values on the grid, and the limits of every coordinate's total."""

    reference: tuple[int, ...]
    multiplier_range: tuple[tuple[int, int], ...]
    least: tuple[int, ...]
    most: tuple[int, ...]
    margin: tuple[int, ...]
    multiplier_bits: int = MULTIPLIER_BITS
    value_bits: int = VALUE_BITS
    value_floor: int = 2**VALUE_BITS
    slope_bits: int = SLOPE_BITS
    smoothing: tuple[int, ...] = ()
    tracking: Tracking | None = None

    @property
    def space(self) -> Space:
        """One coordinate each."""
        return space(len(self.reference))

    @property
    def goal(self) -> Goal:
        """Nothing more than to find a plan."""
        return Goal(domain="pools", aim="allow", remaining=("1",), terms={})

    def width(self, query: Query) -> int:
        """1 + m words, and the triangle where slopes are asked for."""
        m = len(self.reference)
        return 1 + m + (m * (m + 1) // 2 if query.kind == "curvature" else 0)

    def admits(self, total: Words, goal: Goal) -> bool:
        """Whether every total is within its limits."""
        values = [int(word) for word in total]
        return all(a <= x <= b for a, x, b in zip(self.least, values, self.most, strict=True))

    def left(self, settled: Words, reserved: Words, committed: Words) -> Goal:
        """The goal of a test stays."""
        return self.goal


def space(m: int) -> Space:
    """m coordinates with the scale of this module."""
    names = tuple(f"c{k}" for k in range(m))
    return Space(signal="pools", names=names, units=names, scale_bits=SCALE_BITS, bound=str(BOUND))


def coupling(pools: Pools, margin: int = MARGIN) -> PoolCoupling:
    """No total below zero, no limit above."""
    grid = tuple(round(float(value) * 2**MULTIPLIER_BITS) for value in pools.reference)
    return PoolCoupling(
        reference=grid,
        multiplier_range=tuple((max(1, r // REACH), r * REACH) for r in grid),
        least=(0,) * len(grid),
        most=(MOST,) * len(grid),
        margin=(margin,) * len(grid),
    )


def problems(pools: Pools, parts: int = 5) -> list["PoolProblem"]:
    """The pools dealt out to participants."""
    return [PoolProblem(pools.part(index, parts)) for index in range(parts)]


@dataclass(frozen=True, eq=False)
class Swaps:
    """What every pool does at given multipliers; amounts in words, phi and w in their words."""

    net_a: Whole
    net_b: Whole
    phi: Whole
    slope: Whole


@dataclass(frozen=True, eq=False)
class PoolProblem:
    """One participant's batch of pools."""

    pools: Pools

    @property
    def space(self) -> Space:
        """That of all participants."""
        return space(len(self.pools.reference))

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Net amounts and their slopes."""
        return frozenset({"RESPOND", "CURVATURE"})

    @cached_property
    def roots(self) -> tuple[Reals, Reals, Reals]:
        """Square roots of k, of gamma and of the reserves' product over gamma."""
        pools = self.pools
        root = np.sqrt(pools.reserve_a) * np.sqrt(pools.reserve_b)
        kept = np.sqrt(pools.kept)
        return root, kept, root / kept

    def swaps(self, v: Reals) -> Swaps:
        """Every pool's best exchange, rounded so that it can be delivered."""
        pools = self.pools
        va, vb = v[pools.side_a], v[pools.side_b]
        forward = self._one_way(va, vb, pools.reserve_a, pools.reserve_b)
        backward = self._one_way(vb, va, pools.reserve_b, pools.reserve_a)
        weight = 0.5 * self.roots[2] * np.sqrt(va * vb)
        moves = (forward[0] > 0) | (backward[0] > 0)
        slope = np.where(moves, np.rint(weight * 2.0**SLOPE_BITS), 0.0)
        return Swaps(
            net_a=(backward[1] - forward[0]).astype(np.int64),
            net_b=(forward[1] - backward[0]).astype(np.int64),
            phi=(forward[2] + backward[2]).astype(np.int64),
            slope=slope.astype(np.int64),
        )

    def _one_way(self, v_in: Reals, v_out: Reals, held: Reals, out: Reals) -> tuple[Reals, ...]:
        """(paid, received, phi) in words as whole floats; zeros where it does not pay."""
        root, kept, over = self.roots
        ratio = np.sqrt(v_out) / np.sqrt(v_in)
        scale = 2.0**SCALE_BITS
        slack = 1.0 + held * (scale * 2.0**-48)
        paid = np.ceil((kept * root * ratio - held) / self.pools.kept * scale + slack)
        slack = 1.0 + out * (scale * 2.0**-48)
        received = np.floor((out - over / ratio) * scale - slack)
        side_out, side_in = np.sqrt(v_out * out), np.sqrt(v_in * held) / kept
        edge = side_out - side_in
        noise = (side_out + side_in) * np.abs(edge) * 2.0**-49 + 2.0**-40
        phi = np.ceil((edge * edge + noise) * 2.0**VALUE_BITS)
        able = edge > 0
        active = able & (paid > 0) & (received > 0)
        return (
            np.where(active, paid, 0.0),
            np.where(active, received, 0.0),
            np.where(able, phi, 0.0),
        )

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """The words of `respond` or `curvature`."""
        if query.kind not in ("respond", "curvature") or query.multipliers is None:
            raise CapabilityMissing("pools respond, with slopes or without", "ask `respond`")
        v = np.array([float(int(value)) for value in query.multipliers.values])
        swaps = self.swaps(v * 2.0**-MULTIPLIER_BITS)
        parts = [words([int(swaps.phi.sum())]), self.nets(swaps)]
        if query.kind == "curvature":
            parts.append(self.triangle(swaps))
        return frozen(np.concatenate(parts)), memory

    def nets(self, swaps: Swaps) -> Words:
        """Sums by coordinate, in int64."""
        result = np.zeros(len(self.pools.reference), dtype=np.int64)
        np.add.at(result, self.pools.side_a, swaps.net_a)
        np.add.at(result, self.pools.side_b, swaps.net_b)
        return result

    def triangle(self, swaps: Swaps) -> Words:
        """The price-scaled Laplacian: its lower triangle, row by row."""
        m, a, b = len(self.pools.reference), self.pools.side_a, self.pools.side_b
        full = np.zeros((m, m), dtype=np.int64)
        np.add.at(full, (a, a), swaps.slope)
        np.add.at(full, (b, b), swaps.slope)
        np.subtract.at(full, (np.maximum(a, b), np.minimum(a, b)), swaps.slope)
        return full[np.tril_indices(m)]

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """What was answered at the same multipliers, again."""
        asked = query.model_copy(update={"kind": "respond"})
        nets = self.answer(asked, memory)[0][1:]
        return Actions(plan=plan, unit="1", legs=(), swaps=()), frozen(nets.copy()), memory

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """Nothing is carried out in these tests."""
        nothing = words([0] * len(self.pools.reference))
        return nothing, nothing


def instance(
    n: int, seed: int = 0, kind: Kind = "random", **options: Any
) -> tuple[PoolCoupling, list[PoolProblem]]:
    """Coupling and five participants of a generated instance."""
    pools = generate(n, seed, kind)
    return coupling(pools, **options), problems(pools)
