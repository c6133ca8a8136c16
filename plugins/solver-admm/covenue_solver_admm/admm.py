"""The solver `admm`: sharing ADMM with Anderson acceleration, on sums of prox answers alone.

Each participant is one point x_i, or several. A round moves all x_i, and the coordinator's z and u,
by one step of ADMM; the next starts from a combination of the last such steps, whose coefficients
rest on a Gram matrix of sums: participants combine what they keep to themselves, the coordinator
the rest. Every answer is a plan, and carries phi at the round's multipliers, so every round bounds
all plans: the certificate needs no query of another kind. Only where a path is followed, whole lots
are asked for at the end. Source: solvers.md, section 3.4.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from covenue.hooks.prox import KEPT
from covenue.hooks.solvers import Choice, Coupling, DualCoupling, Solution, State, Suits, Total
from covenue_contracts.contract import Scalar
from covenue_contracts.shared import Capability, Query
from covenue_solver_admm import lots
from covenue_solver_admm.anderson import PLAIN
from covenue_solver_admm.answers import first, is_better, read
from covenue_solver_admm.ends import broadcast, ended, grids, halted, refused
from covenue_solver_admm.options import tolerances_of
from covenue_solver_admm.selftest import require_self_test
from covenue_solver_admm.sharing import image, opening
from covenue_solver_admm.state import Search, WarmAdmm
from covenue_solver_admm.steps import exponent_of, extent, gram_bits, onward
from covenue_solver_admm.terms import check_tolerance, terms_of

PROX: frozenset[Capability] = frozenset({"PROX"})
LOTS: frozenset[Capability] = frozenset({"RECOVER", "CERTIFY"})


class Admm:
    """Sharing ADMM, certified by sums alone.

    memory: how many earlier images a step combines with the newest; 0 is plain ADMM. lot_tolerance:
    the gap that certifies whole lots on a path.
    """

    def __init__(
        self,
        tolerance: Fraction = Fraction(1, 10**6),
        memory: int = KEPT,
        lot_tolerance: Fraction = Fraction(1, 10**5),
    ) -> None:
        require_self_test()
        self.tolerance, self.memory = tolerance, memory
        self.lot_tolerance = max(tolerance, lot_tolerance)

    @classmethod
    def from_options(cls, options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> "Admm":
        """Build from `{"tolerance": "0.000001"}`. Raises BadInput, naming option and value.

        Raises PluginBroken if this machine does not compute as it must.
        """
        tolerance, lot_tolerance = tolerances_of(options)
        return cls(tolerance, lot_tolerance=lot_tolerance)

    @property
    def needs(self) -> frozenset[Capability]:
        """Prox answers; on a path lots are asked for as well."""
        return PROX

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """Where everybody has a prox; every other solver that can serve comes first."""
        if not isinstance(coupling, DualCoupling):
            return None
        if not (PROX if coupling.tracking is None else PROX | LOTS) <= offered:
            return None
        return Suits(60, "participants answer with a prox: sharing ADMM needs nothing else")

    def start(self, coupling: Coupling, warm: State | None) -> Search:
        """Begin at the references, or where an earlier plan of the same shape ended.

        Raises CapabilityMissing unless the coupling is a DualCoupling, BadInput where it or the
        tolerance cannot be.
        """
        terms = terms_of(coupling)
        check_tolerance(terms, self.tolerance)
        exponent = exponent_of(terms)
        state = Search(
            terms=terms,
            tolerance=self.tolerance,
            memory=self.memory,
            exponent=exponent,
            gram_bits=gram_bits(extent(terms)),
            stand=opening(terms, exponent),
            shares=(),
            after=None,
            inset=terms.margin,
        )
        if terms.tracking is not None:
            asked = lots.opening(terms, terms.tracking, self.lot_tolerance)
            state = replace(state, tolerance=self.lot_tolerance, lots=asked)
        known = warm if isinstance(warm, WarmAdmm) else None
        if known is None or (known.names, known.grids) != (terms.names, grids(terms)):
            return state
        return replace(
            state,
            exponent=known.exponent,
            stand=known.stand,
            shares=PLAIN if known.query else (),
            after=known.query or None,
            is_warm=True,
        )

    def ask(self, state: Search, digest_of: Callable[[Query], str]) -> Query:
        """The question of the round that is due: a prox, and phi at its multipliers; or of lots."""
        if state.lots is not None and state.lots.phase != "prox":
            return lots.query(state.terms, state.lots)
        return state.question.query(state.after, broadcast(state.terms, state.multipliers))

    def tell(self, state: Search, release: Total | Choice) -> Search | Solution:
        """One round further, or the end: no state is left after MOST_ROUNDS of them."""
        if not isinstance(release, Total) or not release.exact:
            return refused("stalled")
        counted = replace(state, rounds=state.rounds + 1)
        tracking, asked = state.terms.tracking, state.lots
        if tracking is not None and asked is not None and asked.phase != "prox":
            found = lots.told(counted, asked, tracking, release)
            return found if isinstance(found, Solution) else halted(found) or found
        return _moved(counted, release)


def _moved(state: Search, release: Total) -> Search | Solution:
    """What a prox answer leads to."""
    terms = state.terms
    answer = read(terms, state.multipliers, state.question.products, release)
    if answer is None:
        return refused("stalled")
    best = state.best.with_answer(terms, answer) if state.best else first(terms, answer)
    if best.contradicts(terms):
        return refused("stalled")
    idle = 0 if is_better(best, state.best) else state.idle + 1
    point = image(terms, state.stand, state.exponent, answer.at, answer.count,
                  state.inset, answer.query)  # fmt: skip
    state = replace(state, best=best, idle=idle, newest=point)
    if best.is_closed(terms, state.tolerance):
        return ended(state, "certified")
    end = halted(state)
    if end is not None:
        return end
    state = onward(state, answer, point)
    if terms.tracking is None or state.lots is None:
        return state
    return lots.after_prox(state, state.lots, terms.tracking, answer)
