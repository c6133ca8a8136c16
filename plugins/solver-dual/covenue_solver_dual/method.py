"""What the frame of a descent asks of a method: when slopes, what to learn, where to go next."""

from typing import Any, NamedTuple, Protocol

from covenue_solver_dual.held import Held, Whole
from covenue_solver_dual.terms import Terms
from covenue_solver_dual.totals import Answer, Point
from covenue_solver_dual.warm import WarmDual

Reach = tuple[float, float]
"""How far a multiplier may fall and rise in one step, relative to itself."""


class Seen(NamedTuple):
    """What the last accepted answer and the trial show together.

    misplaced: value of what is out of place at the trial, before: where the step began, enough:
    what may stay so. exchanges: whether phi is v'y, as it is for those who only exchange, without
    cost.
    """

    misplaced: float
    before: float
    enough: float
    exchanges: bool


class Method(Protocol):
    """How a solver chooses its next multipliers; its memory is frozen and only its own."""

    def with_slopes(self, memory: Any) -> bool:
        """Whether the round now due asks for slopes."""
        ...

    def accepted(
        self, terms: Terms, memory: Any, origin: Point | None, answer: Answer, seen: Seen
    ) -> Any:
        """Memory after an accepted trial; `origin` is where it started, None for the first."""
        ...

    @property
    def patience(self) -> int:
        """How many accepted steps in a row may lead nowhere."""
        ...

    @property
    def detours(self) -> bool:
        """Whether a step may start from a trial that was just rejected, where nothing jumps."""
        ...

    def detoured(self, terms: Terms, memory: Any, at: Point, answer: Answer) -> Any:
        """Memory after a rejected trial, if the next step starts from that trial."""
        ...

    def rejected(self, terms: Terms, memory: Any, at: Point, answer: Answer, share: float) -> Any:
        """Memory after a rejected trial, if the next step starts from the accepted point.

        share: of the step, where the slopes at both ends put the least of the dual.
        """
        ...

    def narrowed(self, memory: Any) -> Any:
        """Memory at the first trial of the next width."""
        ...

    def next(self, terms: Terms, memory: Any, origin: Point, inset: Held, reach: Reach) -> Whole:
        """The trial after a point; its own multipliers if there is none."""
        ...

    def diagonal(self, terms: Terms, memory: Any) -> Held:
        """How much totals gain for a relative step of their own multiplier; zeros if unknown."""
        ...

    def warm(self, terms: Terms, memory: Any, plan: Point) -> WarmDual:
        """What the next plan may start from."""
        ...
