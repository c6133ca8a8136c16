"""The solver `dual`: projected semismooth Newton, with curvature asked for only while it pays."""

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from covenue.hooks.solvers import Choice, Coupling, Solution, State, Suits, Total
from covenue_contracts.contract import Scalar
from covenue_contracts.shared import Capability, Query
from covenue_solver_dual import tracked_entry
from covenue_solver_dual.costs import Costs, Hessian
from covenue_solver_dual.descent import Descent, ask, begun, tell
from covenue_solver_dual.held import Held
from covenue_solver_dual.lbfgs import LbfgsMethod
from covenue_solver_dual.newton import Curvature, NewtonMethod
from covenue_solver_dual.options import DEFAULT_MEMORY, check_names, costs_of, tolerance_of
from covenue_solver_dual.pairs import Pairs
from covenue_solver_dual.selftest import require_self_test
from covenue_solver_dual.terms import Terms, is_dual, terms_of
from covenue_solver_dual.tracked_entry import NAMES, Apart, Manner, manner_of
from covenue_solver_dual.warm import WarmDual, check_tolerance, start_at


class Dual:
    """Newton on the dual, certified by sums alone; see the README for its ends and options."""

    def __init__(
        self,
        tolerance: Fraction = Fraction(1, 10**6),
        hessian: Hessian = "auto",
        costs: Costs | None = None,
        manner: Manner | None = None,
    ) -> None:
        self.tolerance = tolerance
        self.manner = Manner() if manner is None else manner
        self.costs = Costs(hessian) if costs is None else costs

    @classmethod
    def from_options(cls, options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> "Dual":
        """Build from `{"tolerance": "0.000001", "hessian": "auto" | "cached" | "every"}`.

        And `rtt_ms`, `bandwidth_mbps`: what `auto` weighs; `lot_tolerance`, `probes`, `mode`,
        `slopes`: see tracked_entry. Raises BadInput, naming the option and its value; PluginBroken
        if this machine does not compute as it must.
        """
        check_names("dual", options, ("tolerance", "hessian", "rtt_ms", "bandwidth_mbps", *NAMES))
        require_self_test()
        tolerance = tolerance_of(options)
        manner = manner_of(options, tolerance)
        return cls(tolerance, costs=costs_of(options), manner=manner)

    @property
    def needs(self) -> frozenset[Capability]:
        """Answers, and their slopes unless a schedule does without."""
        return self.manner.needs

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """Where multipliers solve the coupling; slopes have to be offered, even unasked."""
        if not is_dual(coupling) or not self.manner.suits(coupling, offered):
            return None
        size = len(coupling.reference)
        price = f"slopes of {size} coordinates cost {self.costs.price(size):.2f} rounds of bytes"
        if self.costs.asks(size):
            return Suits(20, f"answers are smooth, and {price}: a Newton step is a round")
        return Suits(20, f"answers are smooth, but {price}: quasi-Newton steps from answers alone")

    def start(self, coupling: Coupling, warm: State | None) -> Descent | Apart:
        """Begin at the reference, or where an earlier plan of the same shape ended.

        Raises CapabilityMissing unless the coupling is a DualCoupling, BadInput where it or the
        tolerance cannot be.
        """
        every = self.costs.hessian == "every"
        apart = tracked_entry.start(coupling, self.manner, self.tolerance, every, warm)
        if apart is not None:
            return apart
        terms = terms_of(coupling, "dual")
        check_tolerance(terms, self.tolerance)
        known = warm if isinstance(warm, WarmDual) and warm.fits(terms) else None
        trial, stands = start_at(terms, known)
        return begun(terms, self.tolerance, trial, self._memory(terms, known), stands)

    def ask(self, state: Descent | Apart, digest_of: Callable[[Query], str]) -> Query:
        """The question of the round that is due; answers leave no memory, so `after` is None."""
        if isinstance(state, Apart):
            return tracked_entry.ask(state, digest_of)
        return ask(state, _method(state).with_slopes(state.memory))

    def tell(self, state: Descent | Apart, release: Total | Choice) -> Descent | Apart | Solution:
        """One round further, or the end; a total with noise turns a descent into a schedule."""
        if isinstance(state, Apart):
            return tracked_entry.tell(state, release)
        return tracked_entry.noised(state, release) or tell(_method(state), state, release)

    def _memory(self, terms: Terms, known: WarmDual | None) -> Curvature | Pairs:
        """What the first step starts from: a copy of the slopes, or pairs where those cost more."""
        matrix = known.matrix if known else None
        if terms.smoothing:
            return Curvature(self.costs, walls=Held(np.zeros(terms.size)))
        if matrix is None and not self.costs.asks(terms.size):
            pairs = known.pairs if known else None
            return Pairs(DEFAULT_MEMORY) if pairs is None else pairs
        scaled = known.scaled if known else None
        return Curvature(self.costs, matrix, scaled, warm=matrix is not None)


NEWTON, LBFGS = NewtonMethod(), LbfgsMethod()


def _method(state: Descent) -> NewtonMethod | LbfgsMethod:
    return LBFGS if isinstance(state.memory, Pairs) else NEWTON
