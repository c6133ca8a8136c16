"""Small venues of execution plans, and the least solver that the agreement of `Tracking` allows.

The solver is a float Newton method on the sums, then bisection of keys: nothing that the product
uses, so the domain is tested without any solver plugin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covenue.hooks.domains import EMPTY, LocalProblem
from covenue.hooks.venues import BookState
from covenue.numerics.words import integers, total
from covenue.testing.domains import DomainExample
from covenue.testing.dual_domains import multiplier_query
from covenue_contracts.contract import Scalar
from covenue_contracts.energibridge import ClockStamp, Instrument
from covenue_contracts.plan import Goal, Member
from covenue_contracts.shared import Query, QueryKind
from covenue_domain_execution import Execution, buy
from covenue_domain_execution.coupling import ExecutionCoupling
from covenue_domain_execution.goals import GRID

Floats = NDArray[np.float64]
STAMP = ClockStamp(venue_time=None, local_time="0", clock="test", offset="0", half_width="0")
DIDS = (
    "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
    "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG",
)


def member(slot: int) -> Member:
    return Member(did=DIDS[slot], name=f"p{slot}", slot=slot)


def table(venues: int, slices: int, seed: int) -> dict[str, Floats]:
    """Venues by drawing, as the family `vwap` of solvers.md has them, in small."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, seed, venues, slices])))
    volume = 1000.0 * (0.2 + random.random((venues, slices)))
    cap = 0.2 * volume
    return {
        "a": 0.2 + 0.8 * random.random((venues, 1)) + 0.3 * random.random((venues, slices)),
        "eta": 2.0 / volume * (0.5 + random.random((venues, 1))),
        "cap": cap,
        "credit": cap.sum(axis=1) * (0.3 + 0.5 * random.random(venues)),
    }


def book(asks: Sequence[tuple[int, int]], bids: Sequence[tuple[int, int]] = ()) -> BookState:
    """A book of (ticks, steps); ticks of 0.01, steps of 1."""
    instrument = Instrument(
        venue="v",
        symbol="XY",
        canonical="x-y",
        base="X",
        quote="Y",
        tick="0.01",
        step="1",
        minimum="1",
        multiplier="1",
        payoff="linear",
        hours="",
        zone="UTC",
    )
    asked, bid = (np.array(side, dtype=np.int64).reshape(-1, 2) for side in (asks, bids))
    return BookState(instrument, bids=bid, asks=asked, last=0, stamp=STAMP)


def goal(quantity: int, slices: int, **terms: Scalar | tuple[Scalar, ...]) -> Goal:
    return buy(quantity, "100", slices, **{"tracking_bps": "100", **terms})


def example(
    states: Sequence[Any], made: Goal, configs: Sequence[Mapping[str, Scalar]] | None = None
) -> DomainExample:
    members = tuple(member(slot) for slot in range(len(states)))
    return DomainExample(made, members, tuple(states), tuple(configs or [{}] * len(states)))


def drawn_example(seed: int = 1, quantity: int = 700, slices: int = 5) -> DomainExample:
    return example([table(2, slices, seed), table(3, slices, seed + 1)], goal(quantity, slices))


def book_example() -> DomainExample:
    states = [book([(10001, 500), (10003, 800)]), book([(10002, 900)])]
    config = {"volume": "4000", "impact_bps": "30", "participation": "0.2", "fee_bps": "1"}
    return example(states, goal(400, 4), [config, {**config, "credit": "150"}])


@dataclass(frozen=True)
class Solved:
    """Where the little solver ended. gap: bound less value, in words; exact: that all is placed."""

    values: tuple[int, ...]
    points: tuple[int, int]
    value: Fraction
    bound: Fraction
    lots: tuple[int, ...]
    exact: bool


class Sums:
    """What a coordinator sees: sums of answers."""

    def __init__(self, coupling: ExecutionCoupling, problems: Sequence[LocalProblem]) -> None:
        self.coupling, self.problems = coupling, problems

    def ask(self, kind: QueryKind, values: Sequence[int], points: Sequence[int] = ()) -> list[int]:
        query = multiplier_query(kind, self.coupling, values)
        query = query.model_copy(update={"points": tuple(map(str, points))})
        return list(integers(total([p.answer(query, EMPTY)[0] for p in self.problems])))


def commit_query(coupling: ExecutionCoupling, solved: Solved) -> Query:
    query = multiplier_query("commit", coupling, solved.values)
    return query.model_copy(update={"points": tuple(map(str, solved.points))})


def solve(given: DomainExample) -> Solved:
    """The plan of whole lots by a float Newton method and a bisection, on sums alone."""
    domain = Execution()
    coupling = domain.coupling(given.goal, given.members)
    sums = Sums(coupling, given.problems(domain))
    values = _newton(coupling, sums)
    tracking = coupling.tracking
    low, high = 0, (tracking.lot - 1) << tracking.tie_bits
    wanted = tracking.path[-1] // tracking.lot
    while low < high:
        middle = (low + high + 1) // 2
        offers, down = sums.ask("recover", values, [middle])
        low, high = (middle, high) if down + offers <= wanted else (low, middle - 1)
    offers, down = sums.ask("recover", values, [low])
    points = (low, max(0, wanted - down - offers))
    phi, *nets, cost = sums.ask("certify", values, points)
    unit = 2**coupling.value_bits
    lots = tuple(net // tracking.lot for net in nets)
    bound = Fraction(phi, unit) + public_dual(coupling, values)
    value = utility(coupling, lots) - Fraction(cost, unit)
    return Solved(values, points, value, bound, lots, sum(lots) == wanted)


def public_dual(coupling: ExecutionCoupling, values: Sequence[int]) -> Fraction:
    """sup over z of r'z - v'z - kappa/2 |cum z - w|^2 with the total fixed, lot by lot."""
    tracking, lot = coupling.tracking, coupling.tracking.lot
    kappa, path = tracking.weight, [Fraction(w, lot) for w in tracking.path]
    q = [Fraction(r - v, GRID) for r, v in zip(coupling.reference, values, strict=True)]
    cumulative = [w + (a - b) / kappa for w, a, b in zip(path, q, q[1:], strict=False)]
    cumulative.append(path[-1])
    moved = [b - a for a, b in zip([Fraction(0), *cumulative], cumulative, strict=False)]
    gain = sum((a * z for a, z in zip(q, moved, strict=True)), Fraction(0))
    off = sum(((c - w) ** 2 for c, w in zip(cumulative, path, strict=True)), Fraction(0))
    return gain - kappa / 2 * off


def utility(coupling: ExecutionCoupling, lots: Sequence[int]) -> Fraction:
    """r'y less what it costs to be off the path."""
    tracking, upto, off = coupling.tracking, 0, Fraction(0)
    for placed, w in zip(lots, tracking.path, strict=True):
        upto += placed
        off += (upto - Fraction(w, tracking.lot)) ** 2
    return Fraction(coupling.reference[0] * sum(lots), GRID) - tracking.weight / 2 * off


def _newton(coupling: ExecutionCoupling, sums: Sums) -> tuple[int, ...]:
    size = coupling.terms.size
    (low, high), *_ = coupling.multiplier_range
    values = np.full(size, coupling.terms.price / GRID)
    laplacian = np.zeros((size, size))
    for t in range(size - 1):
        laplacian[t : t + 2, t : t + 2] += np.array([[1.0, -1.0], [-1.0, 1.0]])
    laplacian /= float(coupling.tracking.weight)
    damping = 1e-9
    best = _dual(coupling, sums, values)
    for _ in range(60):
        gradient, slopes = best[1], best[2]
        matrix = slopes + laplacian
        matrix += damping * max(1.0, float(np.abs(matrix).max())) * np.eye(size)
        trial = np.clip(values - np.linalg.solve(matrix, gradient), low / GRID, high / GRID)
        there = _dual(coupling, sums, trial)
        if there[0] < best[0]:
            values, best, damping = trial, there, max(damping / 10, 1e-13)
        elif damping > 1e3:
            break
        else:
            damping = max(damping * 30, 1e-9)
    return _on_grid(values, low, high)


def _on_grid(values: Floats, low: int, high: int) -> tuple[int, ...]:
    return tuple(min(max(round(float(v) * GRID), low), high) for v in values)


def _dual(
    coupling: ExecutionCoupling, sums: Sums, values: Floats
) -> tuple[Fraction, Floats, Floats]:
    size, scale = coupling.terms.size, float(coupling.tracking.lot)
    grid = _on_grid(values, *coupling.multiplier_range[0])
    phi, *rest = sums.ask("curvature", grid)
    lower = np.zeros((size, size))
    lower[np.tril_indices(size)] = np.array(rest[size:]) / 2.0**coupling.slope_bits
    slopes = (lower + np.tril(lower, -1).T) / np.outer(values, values)
    kappa, path = float(coupling.tracking.weight), np.array(coupling.tracking.path) / scale
    cumulative = path.copy()
    cumulative[:-1] -= (values[:-1] - values[1:]) / kappa
    wished = np.diff(np.concatenate([[0.0], cumulative]))
    value = Fraction(phi, 2**coupling.value_bits) + public_dual(coupling, grid)
    return value, np.array(rest[:size]) / scale - wished, slopes
