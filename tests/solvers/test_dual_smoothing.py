"""Both solvers on answers that jump: order ladders spread over widths, with a true certificate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.solvers.pools import MULTIPLIER_BITS, SCALE_BITS, SLOPE_BITS, VALUE_BITS, PoolCoupling

from covenue.errors import CapabilityMissing
from covenue.hooks.domains import Acted, Memory
from covenue.numerics.words import Words, frozen, words
from covenue.testing.solvers import play
from covenue_contracts.local import Actions
from covenue_contracts.shared import Capability, Query, Space
from covenue_solver_dual import Dual, Lbfgs

Reals = NDArray[np.float64]
WIDTHS = (2**30, 2**26, 2**22, 2**18, 2**14)


@dataclass(frozen=True, eq=False)
class Ladders:
    """One participant's levels: coordinate, value a unit, units; buys from it or sells to it."""

    coordinate: NDArray[np.int64]
    price: Reals
    units: Reals
    buying: NDArray[np.bool_]
    space: Space

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({"RESPOND", "CURVATURE"})

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        if query.multipliers is None or len(query.points) != 1:
            raise CapabilityMissing("ladders answer multipliers and a width", "ask so")
        v = np.array([float(int(x)) for x in query.multipliers.values]) * 2.0**-MULTIPLIER_BITS
        width = int(query.points[0]) * 2.0**-MULTIPLIER_BITS
        sign = np.where(self.buying, 1.0, -1.0)
        over = sign * (v[self.coordinate] / self.price - 1.0)
        part = np.clip(over / width, 0.0, 1.0)
        steps = np.floor(part * self.units * 2.0**SCALE_BITS)
        moved = (sign * steps).astype(np.int64)
        cash = np.ceil(sign * steps * self.price + (steps > 0)).astype(np.int64)
        edge = np.maximum(sign * (v[self.coordinate] - self.price), 0.0)
        phi = np.ceil(edge * (1 + 2.0**-40) * self.units * 2.0**VALUE_BITS).astype(np.int64)
        m = len(self.space.names)
        nets = np.zeros(m, dtype=np.int64)
        np.add.at(nets, self.coordinate, moved)
        nets[m - 1] -= cash.sum()
        parts = [words([int(phi.sum())]), nets]
        if query.kind == "curvature":
            inside = (part > 0) & (part < 1)
            slope = np.where(inside, v[self.coordinate] * self.units / width, 0.0)
            slope_words = np.rint(slope * 2.0**SLOPE_BITS).astype(np.int64)
            full = np.zeros((m, m), dtype=np.int64)
            np.add.at(full, (self.coordinate, self.coordinate), slope_words)
            np.subtract.at(full, (np.full_like(self.coordinate, m - 1), self.coordinate),
                           slope_words)  # fmt: skip
            full[m - 1, m - 1] = slope_words.sum()
            parts.append(full[np.tril_indices(m)])
        return frozen(np.concatenate(parts)), memory

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        raise NotImplementedError

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        raise NotImplementedError
