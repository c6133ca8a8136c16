"""Both solvers on answers that jump: order ladders spread over widths, with a true certificate."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.solvers.pools import MULTIPLIER_BITS, SCALE_BITS, SLOPE_BITS, VALUE_BITS, PoolCoupling

from covenue.errors import CapabilityMissing
from covenue.hooks.domains import EMPTY, Acted, Memory
from covenue.numerics.words import Words, frozen, integers, total, words
from covenue.testing.solvers import play
from covenue_contracts.local import Actions
from covenue_contracts.shared import Capability, Query, Space
from covenue_solver_dual import Dual, Lbfgs, newton
from covenue_solver_dual.newton import Curvature

Solver = type[Dual] | type[Lbfgs]
Reals = NDArray[np.float64]
WIDTHS = (2**30, 2**24, 2**18, 2**13)
BY_EIGHT = tuple(2**bits for bits in (30, 27, 24, 21, 18, 15, 12))
TICK = 1e-4


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


@dataclass(frozen=True)
class LadderCoupling(PoolCoupling):
    """As for pools, with a last coordinate that everything is paid in."""

    @cached_property
    def space(self) -> Space:
        return space(len(self.reference) - 1)


def space(size: int) -> Space:
    names = (*(f"c{k}" for k in range(size)), "cash")
    return Space(
        signal="ladders", names=names, units=names, scale_bits=SCALE_BITS, bound=str(2**60)
    )


@dataclass(frozen=True, eq=False)
class Cohort:
    """An instance of family 4 of solvers.md, section 6, without capital limits."""

    coupling: LadderCoupling
    problems: list[Ladders]
    reference: Reals
    limit: Reals


def cohort(
    parties: int, size: int, seed: int, widths: tuple[int, ...] = WIDTHS, levels: int = 20
) -> Cohort:
    draw = np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([4, seed, parties, size, levels]))
    )
    reference, held = 0.5 + draw.random(size), np.zeros(size)
    made = []
    for _ in range(parties):
        middle = reference * (1 + 8e-4 * (draw.random((12, size)).sum(0) - 6.0))
        steps = [np.cumsum(1 + draw.integers(0, 2, (size, levels)), 1) for _ in range(2)]
        fee = (0.0, 1e-4, 2e-4, 4e-4)[int(draw.integers(0, 4))]
        ticks = TICK * reference[:, None]
        asks = (middle[:, None] + ticks * steps[0]) * (1 + fee)
        bids = (middle[:, None] - ticks * steps[1]) * (1 - fee)
        units = 1.0 + draw.integers(1, 100, (2, size, levels))
        held += units[0].sum(1)
        coordinate = np.tile(np.repeat(np.arange(size), levels), 2)
        price: Reals = np.concatenate([asks.ravel(), bids.ravel()]).astype(np.float64)
        buying = np.repeat([True, False], size * levels)
        flat: Reals = units.reshape(-1).astype(np.float64)
        made.append(Ladders(coordinate, price, flat, buying, space(size)))
    grid = tuple(round(float(r) * 2**MULTIPLIER_BITS) for r in reference)
    limit = tuple(int(0.002 * float(h) * 2**SCALE_BITS) for h in held)
    one = 2**MULTIPLIER_BITS
    public = LadderCoupling(
        reference=(*grid, one),
        multiplier_range=(*((r // 2, 2 * r) for r in grid), (one, one)),
        least=(*(-h for h in limit), -(2**60)),
        most=(*limit, 2**60),
        margin=(4096,) * (size + 1),
        smoothing=widths,
    )
    exact = np.array([float(h) for h in limit]) * 2.0**-SCALE_BITS
    return Cohort(public, made, np.array([float(r) for r in grid]) / one, exact)


def optimum(given: Cohort) -> float:
    """The least of the dual, coordinate by coordinate: at one of its corners, all of them tried."""
    coordinate = np.concatenate([each.coordinate for each in given.problems])
    price = np.concatenate([each.price for each in given.problems])
    units = np.concatenate([each.units for each in given.problems])
    sign = np.concatenate([np.where(each.buying, 1.0, -1.0) for each in given.problems])
    least = 0.0
    for k, r in enumerate(given.reference):
        mine = coordinate == k
        corners = np.concatenate([price[mine], [r]])
        edges = np.maximum(sign[mine] * (corners[:, None] - price[mine]), 0.0) * units[mine]
        least += float((given.limit[k] * np.abs(r - corners) + edges.sum(1)).min())
    return least


CASES: list[tuple[int, int, int, tuple[int, ...]]] = [
    (5, 1, 0, WIDTHS),
    (5, 1, 1, WIDTHS),
    (5, 1, 2, WIDTHS),
    (5, 3, 3, WIDTHS),
    (20, 10, 1, BY_EIGHT),
    (20, 10, 2, BY_EIGHT),
]


@pytest.mark.parametrize(("parties", "size", "seed", "widths"), CASES)
def test_newton_closes_the_gap_on_ladders_and_encloses_the_optimum(
    parties: int, size: int, seed: int, widths: tuple[int, ...]
) -> None:
    given = cohort(parties, size, seed, widths)
    ended = play(Dual(), given.coupling, given.problems)
    solution, best = ended.solution, optimum(given)
    assert solution.status == "certified"
    assert len(ended.queries) <= 70
    # Both sides of the oracle are floats of a few thousand terms.
    assert solution.value / 2**VALUE_BITS <= best * (1 + 1e-12)
    assert solution.bound / 2**VALUE_BITS >= best * (1 - 1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_lbfgs_is_honest_on_ladders_whether_or_not_it_closes_the_gap(seed: int) -> None:
    given = cohort(5, 3, seed)
    solution = play(Lbfgs(), given.coupling, given.problems, rounds_max=1000).solution
    assert solution.status in {"certified", "stalled"}
    best = optimum(given) * 2**VALUE_BITS
    assert solution.value <= best * (1 + 1e-12)
    assert solution.bound >= best * (1 - 1e-12)


@pytest.mark.parametrize("solver", [Dual, Lbfgs])
def test_widths_are_asked_from_the_widest_on_and_the_plan_names_its_own(solver: Solver) -> None:
    given = cohort(5, 1, 1)
    ended = play(solver(), given.coupling, given.problems, rounds_max=1000)
    asked = [int(query.points[0]) for query in ended.queries]
    assert all(len(query.points) == 1 for query in ended.queries)
    assert asked[0] == WIDTHS[0]
    assert asked == sorted(asked, reverse=True)
    assert set(asked) <= set(WIDTHS)
    *nets, width = ended.solution.points
    assert len(nets) == 2
    assert width in set(asked)


def test_the_plan_is_what_is_answered_at_its_multipliers_and_width() -> None:
    given = cohort(5, 3, 0)
    solution = play(Dual(), given.coupling, given.problems).solution
    query = Query(
        kind="respond",
        after=None,
        multipliers=solution.multipliers,
        points=(str(solution.points[-1]),),
    )
    answers = [each.answer(query, EMPTY)[0] for each in given.problems]
    assert integers(total(answers))[1:] == solution.points[:-1]


def test_a_wide_width_alone_cannot_close_the_gap() -> None:
    """What smoothing costs is in the certificate: phi is that of the answers that jump."""
    given = cohort(5, 1, 0, (2**30,))
    solution = play(Dual(), given.coupling, given.problems).solution
    assert solution.status == "stalled"
    assert solution.bound - solution.value > 2 ** (VALUE_BITS - 10)


def test_without_walls_steps_between_offers_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: where answers are flat, slopes say nothing of the jump ahead, and no wall does."""
    given = cohort(20, 10, 1, BY_EIGHT)

    def forgetful(terms: object, memory: Curvature, *_: object, **__: object) -> Curvature:
        return memory

    monkeypatch.setattr(newton, "_walled", forgetful)
    with_walls_off = play(Dual(), given.coupling, given.problems, rounds_max=2000).solution
    assert with_walls_off.status != "certified"


def test_a_warm_start_on_ladders_takes_multipliers_and_no_slopes() -> None:
    given = cohort(5, 1, 1)
    cold = play(Dual(), given.coupling, given.problems)
    again = play(Dual(), given.coupling, given.problems, cold.solution.warm)
    assert again.solution.status == "certified"
    assert cold.solution.warm.matrix is None
    assert again.queries[0].kind == "curvature"
    assert again.queries[0].multipliers == cold.solution.multipliers
