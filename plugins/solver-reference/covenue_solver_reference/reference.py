"""The central reference: everybody discloses, one optimum is computed, and sums certify it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import accumulate, pairwise

from covenue.errors import CapabilityMissing, CovenueError, LayoutMismatch
from covenue.hooks.programs import (
    DISCLOSED_WORDS_MAX,
    DisclosedCoupling,
    Optimum,
    Program,
    Verdict,
)
from covenue.hooks.solvers import (
    BasketCoupling,
    Choice,
    Coupling,
    DualCoupling,
    KeyedCoupling,
    Solution,
    State,
    Suits,
    Total,
)
from covenue.numerics.words import Words, integers, words
from covenue_contracts.contract import Scalar
from covenue_contracts.plan import PlanDelta, SolutionStatus
from covenue_contracts.shared import Capability, DualVariables, Query, QueryKind
from covenue_solver_reference.basket import counted
from covenue_solver_reference.certificate import Best, answered, keyed
from covenue_solver_reference.options import (
    Modelling,
    check_names,
    lot_tolerance_of,
    modelling_of,
    tolerance_of,
)

CERTIFYING: frozenset[QueryKind] = frozenset({"depth", "respond", "certify"})
FOUND: frozenset[Verdict] = frozenset({"optimal", "inaccurate"})
CERTIFYING_ROUNDS = 12
GROWTH = 2
RANK = 90
NOTHING = words([])
FIRST = Query(kind="disclose", after=None, multipliers=None, points=())


@dataclass(frozen=True, eq=False)
class Central:
    """What is known of a plan: `asked` is the question that is due.

    parts: what the slots disclosed. rest: questions after this one. slack: words by which the
    program keeps from its limits. rounds: certifying rounds that have been answered.
    """

    coupling: DisclosedCoupling
    asked: Query
    parts: tuple[Words, ...] = ()
    rest: tuple[Query, ...] = ()
    slack: tuple[int, ...] = ()
    best: Best = field(default_factory=Best)
    rounds: int = 0
    is_last: bool = False


class Reference:
    """Clarabel and HiGHS on disclosed data; see the README for what it needs and how it ends."""

    def __init__(
        self,
        tolerance: Fraction = Fraction(1, 10**6),
        modelling: Modelling = "direct",
        lot_tolerance: Fraction = Fraction(1, 10**5),
    ) -> None:
        self.tolerance = tolerance
        self.lot_tolerance = lot_tolerance
        self.modelling: Modelling = modelling

    @classmethod
    def from_options(cls, options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> "Reference":
        """Build from `{"tolerance": "0.000001", "modelling": "direct" | "cvxpy"}`.

        And `lot_tolerance`, for plans of whole lots along a path: "0.00001" is usual. Raises
        BadInput, naming the option and its value.
        """
        check_names(options)
        return cls(tolerance_of(options), modelling_of(options), lot_tolerance_of(options))

    @property
    def needs(self) -> frozenset[Capability]:
        """The data themselves."""
        return frozenset({"DISCLOSE"})

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """Last of all, and only where everybody's data may be seen."""
        if not isinstance(coupling, DisclosedCoupling) or not self.needs <= offered:
            return None
        return Suits(RANK, "the data are open, so that one optimum can be computed centrally")

    def start(self, coupling: Coupling, warm: State | None) -> Central:
        """Begin with how much everybody discloses; nothing is taken from an earlier plan.

        Raises CapabilityMissing unless the coupling is a DisclosedCoupling.
        """
        if not isinstance(coupling, DisclosedCoupling):
            raise CapabilityMissing(
                "solver 'reference' needs a domain that can disclose (DisclosedCoupling)",
                "choose another solver",
                field="solver.name",
                value="reference",
            )
        return Central(coupling, FIRST, slack=(0,) * len(_margin(coupling)))

    def ask(self, state: Central, digest_of: Callable[[Query], str]) -> Query:
        """The question that is due; no answer leaves a memory, so `after` is None."""
        return state.asked

    def tell(self, state: Central, release: Total | Choice) -> Central | Solution:
        """One round further: after the disclosure with the optimum's own questions."""
        return self._step(state, release, None)

    def follow(
        self, state: Central, release: Total | Choice, said: Query | PlanDelta
    ) -> Central | Solution:
        """One round further on the questions of the record (hooks/programs.py)."""
        return self._step(state, release, said)

    def _step(
        self, state: Central, release: Total | Choice, said: Query | PlanDelta | None
    ) -> Central | Solution:
        found = _read(state, release)
        if found is None:
            return _refused("stalled")
        if state.asked.kind == "disclose":
            if not state.asked.points:
                return self._asked_for_all(state, integers(found), said)
            return self._planned(replace(state, parts=_parts(state.asked, found)), said)
        state = _judged(state, found)
        if self._is_closed(state):
            return _ended(state, "certified")
        if state.rounds >= CERTIFYING_ROUNDS:
            return _ended(state, "stalled")
        if said is None and state.rest:
            return replace(state, asked=state.rest[0], rest=state.rest[1:])
        slack = _steered(state)
        if said is None and (state.is_last or slack == state.slack):
            return _ended(state, "stalled")
        return self._planned(replace(state, slack=slack), said)

    def _asked_for_all(
        self, state: Central, widths: tuple[int, ...], said: Query | PlanDelta | None
    ) -> Central | Solution:
        """Ask everybody for its own range; where nobody has anything, that is the problem."""
        if min(widths) < 0 or sum(widths) > DISCLOSED_WORDS_MAX:
            return _refused("stalled")
        if not any(widths):
            return self._planned(replace(state, parts=(NOTHING,) * len(widths)), said)
        offsets = tuple(str(offset) for offset in accumulate(widths, initial=0))
        return replace(state, asked=FIRST.model_copy(update={"points": offsets}))

    def _planned(self, state: Central, said: Query | PlanDelta | None) -> Central | Solution:
        """The first question of a new optimum, or as it was recorded."""
        if said is not None:
            return _followed(state, said)
        try:
            optimum = self._optimum(state)
            if optimum.verdict == "infeasible" and not any(state.slack):
                return _refused("infeasible", optimum.culprit)
            if optimum.verdict not in FOUND:
                return _last(state)
            first, *rest = state.coupling.proposals(state.parts, optimum)
        except CovenueError:
            return _ended(state, "stalled")
        return replace(state, asked=first, rest=tuple(rest))

    def _is_closed(self, state: Central) -> bool:
        """Whether the best plan is certified: a basket's misses less than its marginal lot."""
        coupling, best = state.coupling, state.best
        if isinstance(coupling, BasketCoupling):
            return best.is_found
        if not isinstance(coupling, DualCoupling):
            return best.is_closed(self.tolerance, 1)
        tolerance = self.tolerance if coupling.tracking is None else self.lot_tolerance
        return best.is_closed(tolerance, coupling.value_floor)

    def _optimum(self, state: Central) -> Optimum:
        """The central optimum; where multipliers are asked at, a second one near the first."""
        program = state.coupling.program(state.parts, state.slack, None)
        found = self._solved(program)
        coupling = state.coupling
        if not isinstance(coupling, DualCoupling) or coupling.tracking is not None:
            return found
        if found.verdict not in FOUND:
            return found
        again = self._solved(state.coupling.program(state.parts, state.slack, found))
        return again if again.verdict in FOUND else found

    def _solved(self, program: Program) -> Optimum:
        """Each library is imported where a plan needs it."""
        if self.modelling == "cvxpy":
            from covenue_solver_reference import modelled

            return modelled.solve(program)
        if len(program.quadratic.value) or len(program.products.middle):
            from covenue_solver_reference import conic

            return conic.solve(program)
        from covenue_solver_reference import linear

        return linear.solve(program)


def _last(state: Central) -> Central | Solution:
    """Where no optimum leads to a plan, the references may: if nothing is worth it, nothing is."""
    coupling = state.coupling
    if state.best.is_found or not isinstance(coupling, DualCoupling):
        return _ended(state, "stalled")
    values = tuple(str(value) for value in coupling.reference)
    at = DualVariables(scale_bits=coupling.multiplier_bits, values=values)
    asked = Query(kind="respond", after=None, multipliers=at, points=())
    return replace(state, asked=asked, rest=(), is_last=True)


def _margin(coupling: Coupling) -> tuple[int, ...]:
    return coupling.margin if isinstance(coupling, DualCoupling) else ()


def _read(state: Central, release: Total | Choice) -> Words | None:
    """The words of an exact total of the right width, or None."""
    if not isinstance(release, Total) or not release.exact:
        return None
    try:
        width = state.coupling.width(state.asked)
    except CovenueError:
        return None
    return release.words if len(release.words) == width else None


def _parts(asked: Query, joined: Words) -> tuple[Words, ...]:
    offsets = [int(point) for point in asked.points]
    return tuple(joined[a:b] for a, b in pairwise(offsets))


def _judged(state: Central, answer: Words) -> Central:
    """The certificate after one more answer."""
    read = integers(answer)
    best = state.best
    if state.asked.kind == "depth" and isinstance(state.coupling, KeyedCoupling):
        best = keyed(state.coupling, state.asked, read)
    elif state.asked.kind == "depth" and isinstance(state.coupling, BasketCoupling):
        best = counted(state.coupling, state.asked, read)
    elif isinstance(state.coupling, DualCoupling):
        best = answered(state.coupling, state.asked, read, best)
    return replace(state, best=best, rounds=state.rounds + 1)


def _steered(state: Central) -> tuple[int, ...]:
    """More slack where the last answer missed a limit; with a plan, less where it kept too far."""
    best, margins = state.best, _margin(state.coupling)
    if not best.lacking:
        return state.slack
    rows = zip(state.slack, margins, best.lacking, best.spare, strict=True)
    return tuple(
        max(slack + margin + abs(missed), GROWTH * slack)
        if missed
        else slack - max(0, spare - margin)
        if best.is_found
        else slack
        for slack, margin, missed, spare in rows
    )


def _followed(state: Central, said: Query | PlanDelta) -> Central | Solution:
    """As it was recorded: a question that certifies, or an end that claims nothing."""
    if isinstance(said, Query):
        if said.kind not in CERTIFYING:
            raise LayoutMismatch("the record holds a question that certifies nothing", "keep it")
        return replace(state, asked=said, rest=())
    if said.status == "infeasible" and state.best.plan is None:
        return _refused("infeasible", int(said.solution[0]) if said.solution else None)
    return _ended(state, "stalled")


def _ended(state: Central, status: SolutionStatus) -> Solution:
    """The end with the best plan, if there is one, and its bound."""
    plan = state.best.plan
    value, bound = state.best.gap()
    return Solution(
        status=status,
        after=None,
        multipliers=plan.multipliers if plan else None,
        points=plan.points if plan else (),
        value=value,
        bound=bound,
        shortfall=plan.shortfall if plan else 0,
        warm=None,
    )


def _refused(status: SolutionStatus, coordinate: int | None = None) -> Solution:
    """An end without a plan; for an infeasible one, `points` names the coordinate."""
    return Solution(
        status=status,
        after=None,
        multipliers=None,
        points=() if coordinate is None else (coordinate,),
        value=0,
        bound=0,
        shortfall=0,
        warm=None,
    )
