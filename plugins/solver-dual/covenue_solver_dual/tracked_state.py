"""What a tracked solve knows between two rounds."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from covenue.hooks.solvers import Solution
from covenue_solver_dual import lots
from covenue_solver_dual.lots import Bracket
from covenue_solver_dual.tracked_terms import Place, Track
from covenue_solver_dual.tracked_warm import WarmTracked

Phase = Literal["top", "descend", "recover", "certify", "stands"]
UNKNOWN = lots.whole(0)


@dataclass(frozen=True)
class Wishes:
    """The options: continuous and lot tolerance, probes a round, slopes in every round."""

    tolerance: Fraction
    lot_tolerance: Fraction
    probes: int
    every: bool


@dataclass(frozen=True)
class Tracked:
    """A tracked solve between two rounds; arrays are bytes, so that states compare.

    trial: the multipliers of the round now due; curved: whether it asks for slopes. aim: words by
    which the last slice is steered off, so that whole lots can meet the total. at: the accepted
    place. slopes: H, b"" while unknown. gap, dual: of the last accepted answer as a plan, and D
    there; None before. seen: accepted answers; answers: all of trials. reach: the largest move of a
    multiplier. rejected, flat, aims: trials in a row that were rejected, or led nowhere; times that
    lots were out of reach. careful: a step that was taken on trust failed, so all are answered.
    across: where the total was last seen on the other side; a step that would pass it is led
    between, for where all are at their limits, slopes lead too far. least: where D was least.
    points: probes, or (t, r). centre: key around which the first probes lie. pending: the end if
    careful rounds change nothing. uneven: lots by which rounding to the nearest would pass the
    order. best: the plan of whole lots that is worth most; tries: how often a better one was looked
    for; worse: how often in a row none was found.
    """

    terms: Track
    wishes: Wishes
    phase: Phase
    trial: bytes
    curved: bool = False
    aim: int = 0
    at: Place | None = None
    slopes: bytes = b""
    gap: float | None = None
    dual: float | None = None
    seen: int = 0
    answers: int = 0
    reach: float = 0.0
    rejected: int = 0
    flat: int = 0
    aims: int = 0
    careful: bool = False
    across: Place | None = None
    least: Place | None = None
    bracket: Bracket = UNKNOWN
    points: tuple[int, ...] = ()
    centre: int | None = None
    before: WarmTracked | None = None
    pending: Solution | None = None
    uneven: int = 0
    best: Solution | None = None
    tries: int = 0
    worse: int = 0
