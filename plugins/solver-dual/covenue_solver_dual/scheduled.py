"""A fixed schedule of steps that noise cannot mislead: no trial is judged by a noisy value.

    tracked only: one round at the highest multipliers, for the level
    4 Newton steps (10 where limits have kinks and the reference may be far), no line search
    20 steps v <- v - (1/k) B^-1 g with B frozen: the running mean of one-step Newton points; none
    goes further than the last Newton step, since beyond it a frozen B knows no kink

The end is `estimated`, never `certified`. Over the last K = 10 rounds, with D~, g~ as released:

    bound  mean D~ + 3 s / sqrt(K)                                 s: the scatter of D~
    value  mean D~ - 3 s / sqrt(K) - mean g~'B^-1 g~ / 2 - own gap

Every D(v) is a bound, so the mean is one but for its noise. What their mean lies above the least
D is less than noisy gradients make of it, since noise only adds to a square. The own gap of the
answer at the last multipliers follows from the mean gap of the rounds: the mean of 20 leaves 1/20
of a square, taken four times, and 1/sqrt(20) of a line, taken three times. This is an interval of
statistics, from the scatter that was seen; no proof, and it needs no word on how noise was drawn.
Where it is wider than what the plan is worth, the end is `stalled`. Under noise `infeasible` means
that the total at the top was short as it was released.
Source: solvers.md, section 3.1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, floor, sqrt

import numpy as np

from covenue.errors import BadInput
from covenue.hooks.solvers import Choice, DualCoupling, Solution, Total, Tracking
from covenue.numerics.ldlt import Reals
from covenue.numerics.words import Words
from covenue_contracts.contract import Scalar
from covenue_contracts.shared import Query
from covenue_solver_dual.scheduled_box import Box
from covenue_solver_dual.tracked import premium_of, raised, shortage
from covenue_solver_dual.tracked_ends import refused
from covenue_solver_dual.tracked_model import assembled, product, solved, unscaled
from covenue_solver_dual.tracked_terms import (
    Place,
    Survey,
    Track,
    answered,
    array,
    matrix,
    real,
    track_of,
)
from covenue_solver_dual.tracked_warm import warm_from

PATH_ROUNDS, KINK_ROUNDS = 4, 10
CHORD_ROUNDS, JUDGED_ROUNDS = 20, 10
DAMPING, SINGULAR = 2.0**-10, 2.0**-20
SURE, SQUARES = 3.0, 4.0
FURTHEST = 0.5
"""A step moves no multiplier by more than this part of itself."""


@dataclass(frozen=True)
class Scheduled:
    """A schedule between two rounds; arrays are bytes, so that states compare.

    trial: the multipliers of the round now due. level: whether that is the one at the top. round:
    Newton and chord rounds told. asks: whether slopes are asked for in Newton rounds. slopes: the
    last two H. premium: of the level, 0 before. reach: the most that a step may move, 0 before
    chords. duals, falls, gaps: D~, half g~'B^-1 g~ and the own gap of the last chord rounds. nets:
    the sum of totals over chord rounds.
    """

    frame: Track | Box
    trial: bytes
    level: bool
    asks: bool
    round: int = 0
    slopes: tuple[bytes, ...] = ()
    premium: float = 0.0
    reach: float = 0.0
    duals: tuple[float, ...] = ()
    falls: tuple[float, ...] = ()
    gaps: tuple[float, ...] = ()
    nets: bytes = b""

    @property
    def newton(self) -> int:
        """How many Newton rounds there are."""
        return PATH_ROUNDS if isinstance(self.frame, Track) else KINK_ROUNDS


def start(coupling: DualCoupling, tracking: Tracking, *, asks: bool) -> Scheduled:
    """Begin on a coupling with a tracking; see `begun`."""
    return begun(track_of(coupling, tracking), asks=asks)


def begun(frame: Track | Box, *, asks: bool) -> Scheduled:
    """Begin at the top (tracked), or at the reference.

    asks: whether slopes are asked for. Without them, a tracked slice's slope is taken to be what
    its total gained over its premium, and other couplings raise BadInput.
    """
    if isinstance(frame, Track):
        return Scheduled(frame, frame.top.tobytes(), level=True, asks=asks)
    if not asks:
        raise BadInput(
            "without slopes a schedule has no scale for its steps here",
            "leave the option 'slopes' at \"ask\", or use a coupling that follows a path",
            field="solver.options.slopes",
            value="never",
        )
    return Scheduled(frame, frame.origin.tobytes(), level=False, asks=True)


def is_curved(state: Scheduled) -> bool:
    """Whether the round now due asks for slopes."""
    return state.asks and not state.level and state.round < state.newton


def ask(state: Scheduled, digest_of: Callable[[Query], str]) -> Query:
    """The question of the round now due."""
    return Query(
        kind="curvature" if is_curved(state) else "respond",
        after=None,
        multipliers=state.frame.broadcast(state.trial),
        points=(),
    )


def tell(state: Scheduled, release: Total | Choice) -> Scheduled | Solution:
    """One round further, or the end; noise is expected, a wrong width is not."""
    frame = state.frame
    if not isinstance(release, Total) or len(release.words) != _width(state):
        return refused("stalled")
    place = answered(frame, state.trial, release)
    if place is None:
        return refused("stalled")
    if state.level and isinstance(frame, Track):
        return _levelled(state, frame, place)
    slopes = state.slopes
    if state.round < state.newton:
        slopes = (*slopes, _slopes(state, place, release.words[1 + frame.size :]).tobytes())[-2:]
    return _stepped(replace(state, slopes=slopes, round=state.round + 1), place)


def taken_over(state: Scheduled, release: Total) -> Scheduled | Solution:
    """A schedule in place of what met noise: that total counts if it answers the first question."""
    return tell(state, release) if len(release.words) == _width(state) else state


def _width(state: Scheduled) -> int:
    size = state.frame.size
    return 1 + size + (size * (size + 1) // 2 if is_curved(state) else 0)


def _levelled(state: Scheduled, frame: Track, place: Place) -> Scheduled | Solution:
    short = shortage(frame, place)
    if short is not None:
        return refused("infeasible", short)
    premium = premium_of(frame, place)
    trial = raised(frame, premium).tobytes()
    return replace(state, level=False, trial=trial, premium=max(abs(premium), frame.grid))


def _slopes(state: Scheduled, place: Place, triangle: Words) -> Reals:
    """H as it was answered, or what totals gained over their premiums."""
    frame, v = state.frame, array(state.trial)
    if state.asks:
        return unscaled(triangle, v, 2.0 ** -frame.bits[3], frame.grid)[0]
    over = np.maximum(real(v - frame.origin, frame.grid), FURTHEST * state.premium)
    slopes: Reals = np.diag(np.maximum(real(array(place.nets), frame.unit), 0.0) / over)
    return slopes


def _stepped(state: Scheduled, place: Place) -> Scheduled | Solution:
    frame, v = state.frame, array(state.trial)
    survey, loose = frame.survey(place, 0), frame.loose if isinstance(frame, Track) else 0.0
    fixed = frame.fixed(v, survey.slope)
    step = _newton(state, survey.slope, fixed, loose)
    chord = state.round - state.newton
    if chord > 0:
        state = _noted(state, survey, place, step)
        step = step / float(chord)
    moved = _moved(state, v, step)
    if chord == CHORD_ROUNDS:
        return _ended(state, moved.tobytes())
    if chord == 0:
        state = replace(state, reach=float((np.abs(moved - v) / v).max()))
    return replace(state, trial=moved.tobytes())


def _newton(state: Scheduled, slope: Reals, fixed: Words, loose: float) -> Reals:
    """-B^-1 g with the mean of the last two H: two are less noisy than one."""
    size = state.frame.size
    slopes = matrix(state.slopes[-1], size)
    if len(state.slopes) > 1 and state.round >= state.newton:
        slopes = 0.5 * (matrix(state.slopes[0], size) + slopes)
    full = assembled(slopes, fixed, loose, DAMPING)
    top = max(float(full.diagonal().max()), SINGULAR)
    return solved(full, np.where(fixed != 0, 0.0, -slope), SINGULAR * top)


def _moved(state: Scheduled, v: Words, step: Reals) -> Words:
    """v + step on the grid, within range; no part moves too far, or across a kink."""
    frame = state.frame
    prices = real(v, frame.grid)
    furthest = (state.reach or FURTHEST) * prices
    if state.premium and not state.reach:
        furthest = np.full(frame.size, state.premium)
    wanted = np.rint((prices + np.clip(step, -furthest, furthest)) / frame.grid)
    inside = np.clip(wanted, frame.bottom.astype(np.float64), frame.top.astype(np.float64))
    moved = inside.astype(np.int64)
    return frame.landed(v, moved) if isinstance(frame, Box) else moved


def _noted(state: Scheduled, survey: Survey, place: Place, step: Reals) -> Scheduled:
    """One more chord round in the statistics."""
    nets = array(place.nets)
    return replace(
        state,
        duals=(*state.duals, survey.dual)[-JUDGED_ROUNDS:],
        falls=(*state.falls, abs(0.5 * product(survey.slope, step)))[-JUDGED_ROUNDS:],
        gaps=(*state.gaps, survey.shape)[-JUDGED_ROUNDS:],
        nets=(nets + array(state.nets) if state.nets else nets).tobytes(),
    )


def _ended(state: Scheduled, multipliers: bytes) -> Solution:
    frame, count = state.frame, float(CHORD_ROUNDS)
    mean, fall, gap = (_mean(part) for part in (state.duals, state.falls, state.gaps))
    scatter = sqrt(_mean(tuple((each - mean) * (each - mean) for each in state.duals)))
    spread = SURE * scatter / sqrt(JUDGED_ROUNDS - 1.0)
    tracked = isinstance(frame, Track)
    own = gap * SQUARES / count if tracked else gap * SURE / sqrt(count)
    unit = 2.0 ** frame.bits[2]
    points = tuple(round(net / CHORD_ROUNDS) for net in array(state.nets).tolist())
    warm = None
    if isinstance(frame, Track):
        points = ((frame.lot // 2) << frame.tie_bits, 0)
        warm = warm_from(frame, multipliers, state.slopes[-1], (), b"")
    value, bound = floor((mean - spread - fall - own) * unit), ceil((mean + spread) * unit)
    wide = bound - value > max(abs(bound), frame.value_floor)
    return Solution(
        status="stalled" if wide else "estimated",
        after=None,
        multipliers=frame.broadcast(multipliers),
        points=points,
        value=value,
        bound=bound,
        shortfall=0,
        warm=warm,
    )


def _mean(values: tuple[float, ...]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


def mode_of(options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> tuple[bool, bool]:
    """(whether every plan is scheduled, whether a schedule asks for slopes) of the options.

    `{"mode": "judged" | "scheduled", "slopes": "ask" | "never"}`; "never" is for schedules only.
    Raises BadInput, naming the option and its value.
    """
    mode = _choice(options, "mode", ("judged", "scheduled"))
    slopes = _choice(options, "slopes", ("ask", "never"))
    if mode == "judged" and slopes == "never":
        raise BadInput(
            "only a schedule does without slopes",
            "set the option 'mode' to \"scheduled\", or choose solver 'lbfgs'",
            field="solver.options.slopes",
            value="never",
        )
    return mode == "scheduled", slopes == "ask"


def _choice(
    options: Mapping[str, Scalar | tuple[Scalar, ...]], name: str, known: tuple[str, ...]
) -> str:
    value = options.get(name, known[0])
    if isinstance(value, str) and value in known:
        return value
    raise BadInput(
        f"the option '{name}' is not usable",
        f"give one of {', '.join(known)}",
        field=f"solver.options.{name}",
        value=str(value),
    )
