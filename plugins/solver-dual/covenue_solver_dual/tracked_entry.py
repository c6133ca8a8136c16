"""Where `dual` leaves its descent: for couplings that follow a path, and for schedules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from covenue.errors import BadInput
from covenue.hooks.solvers import Choice, Coupling, DualCoupling, Solution, State, Total
from covenue_contracts.contract import Scalar
from covenue_contracts.shared import Capability, Query
from covenue_solver_dual import scheduled, tracked
from covenue_solver_dual.descent import Descent
from covenue_solver_dual.lots import (
    DEFAULT_LOT_TOLERANCE,
    DEFAULT_PROBES,
    lot_tolerance_of,
    probes_of,
)
from covenue_solver_dual.scheduled import Scheduled
from covenue_solver_dual.scheduled_box import box_of
from covenue_solver_dual.terms import Terms, is_dual, terms_of
from covenue_solver_dual.tracked_selftest import require_self_test
from covenue_solver_dual.tracked_state import Tracked, Wishes

Apart = Tracked | Scheduled
NAMES = ("lot_tolerance", "probes", "mode", "slopes")
"""Options that are read here."""

ANSWERS: frozenset[Capability] = frozenset({"RESPOND"})
SLOPES: frozenset[Capability] = frozenset({"CURVATURE"})
LOTS: frozenset[Capability] = frozenset({"RECOVER", "CERTIFY"})


@dataclass(frozen=True)
class Manner:
    """Options of `dual` beside its descent: whole lots, and schedules."""

    lot_tolerance: Fraction = Fraction(DEFAULT_LOT_TOLERANCE)
    probes: int = DEFAULT_PROBES
    scheduled: bool = False
    asks: bool = True

    @property
    def needs(self) -> frozenset[Capability]:
        """Answers, and slopes unless a schedule does without."""
        return ANSWERS | SLOPES if self.asks else ANSWERS

    def suits(self, coupling: DualCoupling, offered: frozenset[Capability]) -> bool:
        """Whether everything that the coupling will be asked is offered."""
        whole = coupling.tracking is not None and not self.scheduled
        return (self.needs | LOTS if whole else self.needs) <= offered


def manner_of(options: Mapping[str, Scalar | tuple[Scalar, ...]], tolerance: Fraction) -> Manner:
    """Read the options named in NAMES. Raises BadInput, naming the option and its value.

    Raises PluginBroken if this machine does not compute as it must.
    """
    require_self_test()
    is_scheduled, asks = scheduled.mode_of(options)
    return Manner(lot_tolerance_of(options, tolerance), probes_of(options), is_scheduled, asks)


def start(
    coupling: Coupling, manner: Manner, tolerance: Fraction, every: bool, warm: State | None
) -> Apart | None:
    """The first state of a path or a schedule; None where a descent is due."""
    if not is_dual(coupling):
        return None
    tracking = coupling.tracking
    if tracking is None:
        boxed = manner.scheduled
        return _boxed(terms_of(coupling, "dual"), asks=manner.asks) if boxed else None
    if manner.scheduled:
        return scheduled.start(coupling, tracking, asks=manner.asks)
    wishes = Wishes(tolerance, max(manner.lot_tolerance, tolerance), manner.probes, every)
    return tracked.start(coupling, tracking, wishes, warm)


def ask(state: Apart, digest_of: Callable[[Query], str]) -> Query:
    """The question of the round now due."""
    if isinstance(state, Scheduled):
        return scheduled.ask(state, digest_of)
    return tracked.ask(state, digest_of)


def tell(state: Apart, release: Total | Choice) -> Apart | Solution:
    """One round further, or the end; noise turns a path into a schedule."""
    if isinstance(state, Scheduled):
        return scheduled.tell(state, release)
    return noised(state, release) or tracked.tell(state, release)


def noised(state: Any, release: Total | Choice) -> Scheduled | Solution | None:
    """The schedule that takes over where a total came with noise; None where it did not.

    Where answers jump (smoothing widths), there is none: steps cannot be judged without values.
    """
    if not isinstance(release, Total) or release.exact:
        return None
    if isinstance(state, Tracked):
        return scheduled.taken_over(scheduled.begun(state.terms, asks=True), release)
    if isinstance(state, Descent) and not state.terms.smoothing:
        return scheduled.taken_over(_boxed(state.terms, asks=True), release)
    return None


def _boxed(terms: Terms, *, asks: bool) -> Scheduled:
    if terms.smoothing:
        raise BadInput(
            "answers of this coupling jump, and a schedule cannot step over what it does not see",
            "leave the option 'mode' at \"judged\", or choose solver 'admm' where noise is on",
            field="solver.options.mode",
            value="scheduled",
        )
    return scheduled.begun(box_of(terms), asks=asks)
