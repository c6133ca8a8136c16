"""The solver `lbfgs`: projected limited-memory BFGS, from answers alone.

What a user swaps in to compare, or where slopes would be too many bytes. Same certificate, same
ends as `dual`; more rounds.
Source: solvers.md, section 3.1.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from covenue.hooks.solvers import Choice, Coupling, Solution, State, Suits, Total
from covenue_contracts.contract import Scalar
from covenue_contracts.shared import Capability, Query
from covenue_solver_dual.descent import Descent, ask, begun, tell
from covenue_solver_dual.held import Held, Whole
from covenue_solver_dual.method import Reach, Seen
from covenue_solver_dual.options import DEFAULT_MEMORY, check_names, memory_of, tolerance_of
from covenue_solver_dual.pairs import Pairs, quasi_newton_step, scaled, with_pair
from covenue_solver_dual.selftest import require_self_test
from covenue_solver_dual.terms import Terms, is_dual, terms_of
from covenue_solver_dual.totals import Answer, Point
from covenue_solver_dual.warm import WarmDual, check_tolerance, start_at, warm_for

SHORTEST, LONGEST = 0.1, 0.5
WIDE_REACH: Reach = (-0.7, 1.5)


class LbfgsMethod:
    """Two-loop recursion on the coordinates that may move, and backtracking by slopes."""

    detours = False
    patience = 8

    def with_slopes(self, memory: Pairs) -> bool:
        """Never."""
        return False

    def accepted(
        self, terms: Terms, memory: Pairs, origin: Point | None, answer: Answer, seen: Seen
    ) -> Pairs:
        """One more pair, and full length again."""
        if origin is None:
            return scaled(memory._replace(bent=seen.exchanges, length=1.0), answer.point)
        return with_pair(terms, memory, origin, answer.point, bent=memory.bent)

    def detoured(self, terms: Terms, memory: Pairs, at: Point, answer: Answer) -> Pairs:
        """Not reached: this method starts from accepted points only."""
        return self.rejected(terms, memory, at, answer, LONGEST)

    def rejected(
        self, terms: Terms, memory: Pairs, at: Point, answer: Answer, share: float
    ) -> Pairs:
        """Shorten to where the slopes at both ends put the least of the dual."""
        return memory._replace(length=memory.length * min(max(share, SHORTEST), LONGEST))

    def narrowed(self, memory: Pairs) -> Pairs:
        """Gains at another width are of another order: forget them."""
        return Pairs(memory.most)

    def next(self, terms: Terms, memory: Pairs, origin: Point, inset: Held, reach: Reach) -> Whole:
        """A step along the quasi-Newton direction; its length is found by backtracking alone."""
        return quasi_newton_step(terms, memory, origin, inset, WIDE_REACH)

    def diagonal(self, terms: Terms, memory: Pairs) -> Held:
        """Unknown."""
        return Held(np.zeros(terms.size))

    def warm(self, terms: Terms, memory: Pairs, plan: Point) -> WarmDual:
        """The plan, and the pairs, unless they belong to a width."""
        return warm_for(terms, plan) if terms.smoothing else warm_for(terms, plan, pairs=memory)


class Lbfgs:
    """Limited-memory BFGS on the dual, certified by sums alone; needs answers only."""

    def __init__(
        self, tolerance: Fraction = Fraction(1, 10**6), memory: int = DEFAULT_MEMORY
    ) -> None:
        self.tolerance = tolerance
        self.memory = memory

    @classmethod
    def from_options(cls, options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> "Lbfgs":
        """Build from `{"tolerance": "0.000001", "memory": 10}`.

        Raises BadInput, naming the option and its value; PluginBroken if this machine does not
        compute as it must.
        """
        check_names("lbfgs", options, ("tolerance", "memory"))
        require_self_test()
        return cls(tolerance_of(options), memory_of(options))

    @property
    def needs(self) -> frozenset[Capability]:
        """Answers."""
        return frozenset({"RESPOND"})

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """Where multipliers solve the coupling."""
        if not is_dual(coupling) or not self.needs <= offered:
            return None
        return Suits(40, "answers are smooth; without slopes more rounds are needed")

    def start(self, coupling: Coupling, warm: State | None) -> Descent:
        """Begin at the reference, or where an earlier plan of the same shape ended.

        Raises CapabilityMissing unless the coupling is a DualCoupling, BadInput where it or the
        tolerance cannot be.
        """
        terms = terms_of(coupling, "lbfgs")
        check_tolerance(terms, self.tolerance)
        known = warm if isinstance(warm, WarmDual) and warm.fits(terms) else None
        trial, stands = start_at(terms, known)
        pairs = known.pairs if known else None
        memory = Pairs(self.memory) if pairs is None else pairs._replace(most=self.memory)
        return begun(terms, self.tolerance, trial, memory, stands)

    def ask(self, state: Descent, digest_of: Callable[[Query], str]) -> Query:
        """The question of the round that is due; answers leave no memory, so `after` is None."""
        return ask(state, with_slopes=False)

    def tell(self, state: Descent, release: Total | Choice) -> Descent | Solution:
        """One round further, or the end."""
        return tell(METHOD, state, release)


METHOD = LbfgsMethod()
