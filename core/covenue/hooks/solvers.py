"""Family `solvers`: pure ask and tell state machines.

A solver and the coordinator see a plan only through its Coupling; this module therefore imports
nothing of what stays at a venue.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

from covenue.hooks import hookspec
from covenue.numerics.words import Words
from covenue_contracts.contract import Scalar
from covenue_contracts.ledger import ENTRY_BYTES_MAX
from covenue_contracts.plan import Goal, SolutionStatus
from covenue_contracts.shared import Capability, DualVariables, Query, Space

State = Any
"""A solver's own frozen state; the kernel never looks inside."""

COHORT_BYTES = 16 * 1024
QUERY_BYTES_MAX = ENTRY_BYTES_MAX - COHORT_BYTES
"""A query of so many canonical bytes fits its entry beside a cohort of 250 members.

A larger one may not fit: the coordinator then voids the plan.
"""


@dataclass(frozen=True)
class Total:
    """The sum that a round released: its words, the cohort (dids, sorted), exact or noised.

    query: the digest of the query that it answers, for `after`; the kernel fills it in.
    """

    words: Words
    cohort: tuple[str, ...]
    exact: bool
    query: str = ""


@dataclass(frozen=True)
class Choice:
    """The winner that a private selection released, and the cohort; `query` as in Total."""

    winner: int
    cohort: tuple[str, ...]
    query: str = ""


@dataclass(frozen=True)
class Solution:
    """Where a solver ended.

    after: digest of the query whose memory the commitment continues from; None for the empty
    memory. points: the shared integers of the plan (key and residual of a key search); of an
    `infeasible` end at most one, the coordinate that cannot be met. value, bound: in the domain's
    value unit; |bound - value| is the certified gap. shortfall: what could not be planned. warm:
    what the next plan of the order may start from. stands: the first round of a warm start has
    shown that the plan before is still within tolerance, so nothing changes (round 0 of
    solvers.md, section 3).
    """

    status: SolutionStatus
    after: str | None
    multipliers: DualVariables | None
    points: tuple[int, ...]
    value: int
    bound: int
    shortfall: int
    warm: State
    stands: bool = False


@dataclass(frozen=True)
class Tracking:
    """A public cost of leaving a path: half the weight times |cumulative(y) - path|^2.

    The total over all coordinates is exactly `path[-1]`, a whole number of lots. path: cumulative
    words, one a coordinate. weight: positive, in value units for a squared unit of the Space. lot:
    words of one lot. tie_bits: low bits of a lot's key that hold its participant.

    A plan is whole lots: a participant rounds each of its amounts at v down to lots, and offers one
    more lot for each that it rounded, as far as its own limits allow, the greatest part cut off
    first; limits are whole lots as well. The key of such a lot is (lot - 1 - words cut off) *
    2^tie_bits + (the participant's slot), so the greatest part comes first, and equal keys are one
    participant's. Where a limit over several amounts binds, its lots are worth more than their
    multiplier, and the key is the slot alone. Two further queries, both at v:

    - `recover`, points = probe keys: one word a probe (lots offered at keys below it), then one
      word: the lots that all amounts rounded down come to.
    - `certify`, points = (t, r): 1 + m + 1 words of the plan of whole lots that takes every offered
      lot below key t and r lots at t: phi as in `respond`, net amounts, and its cost f, rounded up.

    `Solution.points` and the commit query carry (t, r).
    Source: solvers.md, sections 2(c) and 5.
    """

    path: tuple[int, ...]
    weight: Fraction
    lot: int
    tie_bits: int


@dataclass(frozen=True)
class Suits:
    """That a solver can serve a plan: the least rank of all installed solvers is chosen.

    why: one sentence for people, with the property of the problem that decides.
    """

    rank: int
    why: str


class Coupling(Protocol):
    """The coordinator's public side of the problem."""

    @property
    def goal(self) -> Goal:
        """What this plan has to do."""
        ...

    @property
    def space(self) -> Space:
        """The shared coordinates; every local problem of the plan has the same."""
        ...

    def width(self, query: Query) -> int:
        """How many words an answer to `query` has."""
        ...

    def admits(self, total: Words, goal: Goal) -> bool:
        """Whether the summed commitment is a plan that may go."""
        ...

    def left(self, settled: Words, reserved: Words, committed: Words) -> Goal:
        """What the next plan of the order still has to do."""
        ...


@runtime_checkable
class KeyedCoupling(Coupling, Protocol):
    """A coupling whose offers lie on one public axis of integer keys, cheapest first.

    Each key belongs to at most one participant and one value a unit. A `depth` query is answered
    by one word a point (units offered at keys below it) and one last word: the value of all units
    below the first point. The commit query is (t, r): everything below key t, and r units at t.
    """

    @property
    def key_range(self) -> tuple[int, int]:
        """(first, end): every offer's key k has first <= k < end."""
        ...

    @property
    def key_shift(self) -> int:
        """Low bits of a key that break ties between participants; they carry no value."""
        ...

    @property
    def wanted(self) -> int:
        """Units that this plan asks for; 0 when nothing is left."""
        ...

    @property
    def least(self) -> int:
        """Fewest units that make a plan; 0 without such a limit."""
        ...

    def unit_value(self, key: int) -> int:
        """What one unit at `key` costs (or earns), in the domain's value unit."""
        ...


@runtime_checkable
class BasketCoupling(Coupling, Protocol):
    """A coupling of m instruments that one budget buys; an offer has an integer cost a unit.

        max sum_k (v_k x_k - spend_k)    x_k <= quantities_k,  sum_k spend_k <= budget

    Only what costs less than it is worth counts: cost < v_k. Two sorts of keys order the offers:

    - `cut` keys, of one instrument: cost * 2^cut_shift + tie. A cut (t, r) takes all units below
      key t and r units at t: the cheapest quantities_k of them.
    - `ratio` keys, of all instruments: floor(cost * 2^30 / v_k) * 2^ratio_shift + tie. Within the
      cuts the budget is spent in their order.

    A key of either sort belongs to at most one participant, instrument and cost. Points of a
    `depth` query: m counts c_k, then the c_k cut keys of each instrument in turn, then nothing, or
    the cuts t_1, r_1, ..., t_m, r_m and at least one ratio key. Words of an answer: units of
    instrument k at keys below each of its cut keys; then, with cuts, the spend of the units within
    them at keys below each ratio key, and the units of each instrument below the *first* ratio key.

    The commit query is (t_1, r_1, ..., t_m, r_m, key, x): of what is within the cuts, everything
    below the ratio key and x units at it. Its words are the units of each instrument, then the
    most that they can cost.
    Source: solvers.md, section 2(b), budget form.
    """

    @property
    def values(self) -> tuple[int, ...]:
        """v_k: what a unit of each instrument is worth; 0 < v_k < 2^30."""
        ...

    @property
    def quantities(self) -> tuple[int, ...]:
        """Most units of each instrument that this plan may take; all 0 when nothing is left."""
        ...

    @property
    def budget(self) -> int:
        """Most that this plan may cost, in the unit of the values."""
        ...

    @property
    def cut_shift(self) -> int:
        """Low bits of a cut key that break ties; keys of instrument k end at v_k * 2^cut_shift."""
        ...

    @property
    def ratio_shift(self) -> int:
        """Low bits of a ratio key that break ties; keys end at 2^(30 + ratio_shift)."""
        ...

    def offer_at(self, key: int) -> tuple[int, int] | None:
        """(instrument, cost a unit) of a ratio key, or None where no offer can be."""
        ...


@runtime_checkable
class DualCoupling(Coupling, Protocol):
    """A coupling that multipliers solve: participants answer with what they would give and take.

        primal   max r'y - sum_i f_i(x_i)    y = sum of net amounts, least <= y <= most
        dual     D(v) = sum_k max((r_k - v_k) least_k, (r_k - v_k) most_k) + sum_i phi_i(v)

    v: multipliers; phi_i(v): the best that participant i can make of them, before the coupling.
    Whatever v and whatever feasible y: r'y - sum_i f_i <= D(v), and at the answer to v itself the
    difference is sum_k [max(...) - (r_k - v_k) y_k]: the certificate needs no further words.

    Words of an answer, all int64, rounded by each participant *before* anything is summed:

    - `respond` (1 + m): phi_i in 2^-value_bits, rounded up so that D stays a bound; then m net
      amounts in words of the Space, rounded so that the participant can surely deliver them.
    - `curvature` (1 + m + m (m + 1) / 2): the same, then the lower triangle, row by row, of
      diag(v) H_i diag(v) in 2^-slope_bits, where H_i is the derivative of the net amounts in v.

    With a `tracking`, U(y) = r'y - (its cost), the coordinates are slices in order of time, and
    least and most do not bind; D then has its conjugate in place of the first sum.

    A query carries v on the grid 2^-multiplier_bits, and `points`: (), or (width,) from
    `smoothing`. `Solution.multipliers` and `points`, and so the commit query, carry v again, and
    the m net words of the plan followed by its width, if any. What is committed is never less
    than what was answered.

    Doing nothing costs nothing: where every least <= 0 <= most and there is no tracking, m words
    of 0 are a plan worth 0 at any v. Nobody acts on it, whatever was answered.
    Source: solvers.md, sections 1 and 2.
    """

    @property
    def reference(self) -> tuple[int, ...]:
        """r, on the grid of the multipliers; positive."""
        ...

    @property
    def multiplier_bits(self) -> int:
        """Multipliers lie on the grid 2^-multiplier_bits."""
        ...

    @property
    def multiplier_range(self) -> tuple[tuple[int, int], ...]:
        """(lowest, highest) multiplier of each coordinate: answers are defined on these."""
        ...

    @property
    def least(self) -> tuple[int, ...]:
        """Least total of each coordinate, in words."""
        ...

    @property
    def most(self) -> tuple[int, ...]:
        """Greatest total of each coordinate, in words."""
        ...

    @property
    def margin(self) -> tuple[int, ...]:
        """Distance from least and most, in words, that covers the rounding of the answers."""
        ...

    @property
    def value_bits(self) -> int:
        """The value word counts 2^-value_bits; so do `Solution.value` and `Solution.bound`."""
        ...

    @property
    def value_floor(self) -> int:
        """Value words below which a plan is worth nothing; gaps are relative to no less."""
        ...

    @property
    def slope_bits(self) -> int:
        """Curvature words count 2^-slope_bits of the value unit of `reference`."""
        ...

    @property
    def smoothing(self) -> tuple[int, ...]:
        """Relative widths, widest first, over which answers that jump are spread; () if none do.

        In 2^-multiplier_bits. Smoothed net amounts stay deliverable, and phi is not smoothed.
        """
        ...

    @property
    def tracking(self) -> Tracking | None:
        """The path that the totals follow, or None."""
        ...


class Solver(Protocol):
    """Pure: no clock, no randomness of its own, no I/O; equal inputs give equal states."""

    @property
    def needs(self) -> frozenset[Capability]:
        """Matched against every local problem before round 1."""
        ...

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """Whether, and how well, it can serve a plan; `auto` chooses by this. Cheap, and pure.

        offered: what every local problem offers. None where it cannot.
        """
        ...

    def start(self, coupling: Coupling, warm: State | None) -> State:
        """The first state of a plan; `warm` comes from an earlier Solution of the same order."""
        ...

    def ask(self, state: State, digest_of: Callable[[Query], str]) -> Query:
        """The next question. digest_of names a query in this plan, for `after`.

        It has at most QUERY_BYTES_MAX canonical bytes.
        """
        ...

    def tell(self, state: State, release: Total | Choice) -> State | Solution:
        """Take what the round released; either a new state or the end."""
        ...


SolverFactory = Callable[[Mapping[str, Scalar | tuple[Scalar, ...]]], Solver]
"""Builds a solver from its options. Raises BadInput, naming the option."""

RegisterSolver = Callable[[str, SolverFactory], None]


@hookspec
def register_solvers(register: RegisterSolver) -> None:
    """Hand over solver factories: `register("search", SearchSolver.from_options)`."""
