"""The dual at two points, and the step from one of them: kernels over coordinates, in one order.

The dual has a kink at v_k = r_k. With s_k the total of coordinate k, its slope in v_k is

    v_k > r_k:  s_k - lower_k        v_k < r_k:  s_k - upper_k        v_k = r_k:  anything between

so a multiplier rests at its reference while lower_k <= s_k <= upper_k. The step is that of a model
of the price-scaled totals z = v s, with M = diag(v) H diag(v), in one of two coordinates:

    straight:  z + M d,                           v' = v (1 + d)
    bent:      z + (M + diag(z - limit) / 2) d,   v' = v (1 + d/2)^2

The bent model is exact for exchanges of constant product: sqrt(v_k) s_k is linear in sqrt(v) as
long as the same pools trade in the same direction. Each coordinate is free on its side of the
reference (its model meets the limit of that side), at the reference (d leads there, and the model
lies between the limits), or held at the end of its range; an active set decides.

limits: int64[6, m], rows as in REFERENCE to MARGIN. inset: int64[m]; lower = least + inset, upper =
most - inset. at, nets: int64[m], |nets| < 2^62. v_unit, s_unit: what one of them is worth.
Source: solvers.md, sections 2(a) and 3.1.
"""

from math import sqrt

import numpy as np

from covenue.numerics.compiled import compiled
from covenue_solver_dual.algebra import conjugated, times
from covenue_solver_dual.held import Flags, Reals, Whole

REFERENCE, LOWEST, HIGHEST, LEAST, MOST, MARGIN = range(6)
NEAR = 10
ACTIVE_SETS = 24
GRAIN = 8.0
FLAT, SINGULAR, TINY = 1e-6, 1e-12, 2.0**-40
ROUGH_SETS = 4
SOLVED, ROUGHLY = 1e-12, 1e-4
"""How far a step is solved; and how far at first, while its active set has just changed."""

FARTHEST = 2.0**62

Surveyed = tuple[float, float, bool, float, float, float]
Compared = tuple[float, float, float, float, float, float]


@compiled
def steered(least: int, most: int, inset: int, net: int) -> tuple[int, int]:
    """(lower, upper): where a total is steered to, or where it is if that is good enough.

    From outside its limits it is steered inside by the inset; once it is inside it may stay. What
    no participant would answer for any multiplier is so not asked of them forever.
    """
    lower, upper = least + inset, most - inset
    if least <= net < lower:
        lower = net
    if upper < net <= most:
        upper = net
    return lower, upper


@compiled
def pull(at: int, reference: int, net: int, lower: int, upper: int) -> int:
    """The subgradient of least size of one coordinate, in words; 0 where it may rest."""
    if at > reference:
        return net - lower
    if at < reference:
        return net - upper
    return min(net - lower, 0) + max(net - upper, 0)


@compiled
def side(at: int, reference: int, slope: int) -> int:
    """The branch of one coordinate, or that it leaves its reference for: 1 above, -1 below."""
    if at > reference or (at == reference and slope < 0):
        return 1
    if at < reference or slope > 0:
        return -1
    return 0


@compiled
def movable(at: int, branch: int, slope: int, lowest: int, highest: int) -> bool:
    """Whether one multiplier may move: it is not at rest, nor pushed against its range."""
    return branch != 0 and not (slope < 0 and at >= highest) and not (slope > 0 and at <= lowest)


@compiled
def misplaced(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    limits: Whole, inset: Whole, at: Whole, nets: Whole, v_unit: float, s_unit: float
) -> float:
    """Value of what is out of place: the sum of v_k |slope_k| over those that may move."""
    result = 0.0
    for k in range(len(at)):
        lower, upper = steered(limits[LEAST, k], limits[MOST, k], inset[k], nets[k])
        slope = pull(at[k], limits[REFERENCE, k], nets[k], lower, upper)
        branch = side(at[k], limits[REFERENCE, k], slope)
        if movable(at[k], branch, slope, limits[LOWEST, k], limits[HIGHEST, k]):
            result += float(at[k]) * v_unit * (float(abs(slope)) * s_unit)
    return result


@compiled
def surveyed(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    limits: Whole, inset: Whole, at: Whole, nets: Whole, v_unit: float, s_unit: float
) -> Surveyed:
    """What one answer shows, without its own value phi, in the unit of the references.

    (bound: D - phi within least and most; the same within lower and upper; whether every total is
    within least and most; worth r's; rest (r - v)'s; made v's).
    """
    bound = steered = worth = rest = made = 0.0
    within = True
    for k in range(len(at)):
        r, least, most = limits[REFERENCE, k], limits[LEAST, k], limits[MOST, k]
        total, over = float(nets[k]) * s_unit, float(r - at[k]) * v_unit
        bound += max(over * (float(least) * s_unit), over * (float(most) * s_unit))
        steered += max(
            over * (float(least + inset[k]) * s_unit), over * (float(most - inset[k]) * s_unit)
        )
        within = within and bool(least <= nets[k] <= most)
        worth += float(r) * v_unit * total
        rest += over * total
        made += float(at[k]) * v_unit * total
    return bound, steered, within, worth, rest, made


@compiled
def compared(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    limits: Whole,
    inset: Whole,
    start: Whole,
    before: Whole,
    end: Whole,
    after: Whole,
    v_unit: float,
    s_unit: float,
) -> Compared:
    """What two answers show together, in the unit of the references.

    start, end: multipliers; before, after: totals. (slope of the dual along the step at its start,
    and at its end; the tangent at the start for the whole step, and that at the end back; what
    rounding explains of both; the largest relative move). A step never crosses a reference, so it
    lies on one branch of every coordinate, and there the slope is linear in the total.
    """
    first = last = onward = back = slack = farthest = 0.0
    for k in range(len(start)):
        move = float(end[k] - start[k]) * v_unit
        if max(start[k], end[k]) > limits[REFERENCE, k]:
            limit = limits[LEAST, k] + inset[k]
        else:
            limit = limits[MOST, k] - inset[k]
        first += float(before[k] - limit) * s_unit * move
        last += float(after[k] - limit) * s_unit * move
        onward += float(before[k]) * s_unit * move
        back -= float(after[k]) * s_unit * move
        both = (float(start[k]) + float(end[k])) * v_unit
        slack += both * (float(limits[MARGIN, k] + 1) * s_unit)
        farthest = max(farthest, abs(float(end[k] - start[k])) / float(start[k]))
    return first, last, onward, back, slack, farthest


@compiled
def judged(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    limits: Whole,
    inset: Whole,
    start: Whole,
    before: Whole,
    end: Whole,
    after: Whole,
    v_unit: float,
    s_unit: float,
) -> tuple[Surveyed, Surveyed, float, float, Compared]:
    """(survey at the start, at the end, out of place at the start, at the end, both compared)."""
    return (
        surveyed(limits, inset, start, before, v_unit, s_unit),
        surveyed(limits, inset, end, after, v_unit, s_unit),
        misplaced(limits, inset, start, before, v_unit, s_unit),
        misplaced(limits, inset, end, after, v_unit, s_unit),
        compared(limits, inset, start, before, end, after, v_unit, s_unit),
    )


@compiled
def insets(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    limits: Whole,
    at: Whole,
    share: float,
    diagonal: Reals,
    v_unit: float,
    s_unit: float,
    widest: Whole,
) -> Whole:
    """How far inside its limits each total is steered: what `share` of value pays for.

    A total that is off its limit by e costs |v - r| e. One step of the multipliers' grid moves a
    total by what `diagonal` (that of M) says, and finer it cannot be steered: for that it may cost
    up to GRAIN shares. Never less than the margin, never more than a quarter of the room, nor than
    `widest`.
    """
    result = np.empty(len(at), np.int64)
    for k in range(len(at)):
        r = limits[REFERENCE, k]
        price = float(max(abs(at[k] - r), r >> NEAR, 1)) * v_unit
        room = 0.25 * (float(limits[MOST, k]) - float(limits[LEAST, k]))
        paid, v = share / (price * s_unit), float(at[k]) * v_unit
        grain = diagonal[k] * v_unit / (v * v * s_unit)
        wide = np.int64(min(max(paid, min(grain, GRAIN * paid)), room))
        result[k] = min(max(limits[MARGIN, k], wide), widest[k])
    return result


@compiled
def newton_trial(  # noqa: C901, PLR0912, PLR0915, PLR0917 -- reads from top to bottom
    limits: Whole,
    inset: Whole,
    at: Whole,
    nets: Whole,
    matrix: Reals,
    walls: Reals,
    v_unit: float,
    s_unit: float,
    damping: float,
    fall: float,
    rise: float,
    bent: bool,
) -> tuple[bool, Whole]:
    """Multipliers after one step, on the grid; those of the point where none can move.

    matrix: M at the point. walls: what its diagonal is not to fall below. fall, rise: how far any
    multiplier may go, relative to itself. The first of both says whether the model was convex.
    """
    m = len(at)
    scaled, low, high = np.empty(m), np.empty(m), np.empty(m)
    kink, extra, diagonal = np.empty(m), np.empty(m), np.empty(m)
    branch, moves, lands = np.empty(m, np.int64), np.empty(m), np.empty(m, np.bool_)
    step, right, image = np.zeros(m), np.empty(m), np.empty(m)
    least = 2.0 * (sqrt(1.0 + fall) - 1.0) if bent else fall
    most = 2.0 * (sqrt(1.0 + rise) - 1.0) if bent else rise
    top, changed = 0.0, 0
    for k in range(m):
        top = max(top, matrix[k, k], walls[k])
    for k in range(m):
        r = limits[REFERENCE, k]
        lower, upper = steered(limits[LEAST, k], limits[MOST, k], inset[k], nets[k])
        slope = pull(at[k], r, nets[k], lower, upper)
        branch[k] = side(at[k], r, slope)
        able = movable(at[k], branch[k], slope, limits[LOWEST, k], limits[HIGHEST, k])
        moves[k], lands[k] = 1.0 if able else 0.0, branch[k] == 0
        changed += able and at[k] == r
        v = float(at[k]) * v_unit
        scaled[k] = v * (float(nets[k]) * s_unit)
        low[k] = v * (float(lower) * s_unit)
        high[k] = v * (float(upper) * s_unit)
        kink[k] = float(r - at[k]) / float(at[k])
        if bent:
            kink[k] = 2.0 * (sqrt(float(r) / float(at[k])) - 1.0)
        base = max(matrix[k, k], walls[k])
        lift = damping * max(base, FLAT * top)
        extra[k] = base - matrix[k, k] + max(lift, SINGULAR * top + TINY)
    for tried in range(ROUGH_SETS + ACTIVE_SETS):
        solved = ROUGHLY if changed > 0 and tried < ROUGH_SETS else SOLVED
        for k in range(m):
            if lands[k]:
                step[k] = kink[k]
            elif moves[k] == 0.0:
                step[k] = 0.0
        diagonal[:] = 1.0
        for k in range(m):
            step[k] = step[k] if moves[k] == 0.0 else min(max(step[k], least), most)
        free = np.zeros(m)
        for k in range(m):
            if moves[k] == 1.0:
                limit = low[k] if branch[k] > 0 else high[k]
                held = matrix[k, k] + extra[k]
                if held <= 2.0 * SINGULAR * top + 2.0 * TINY:
                    step[k] = min(max((limit - scaled[k]) / held, least), most)
                    continue
                free[k] = 1.0
                diagonal[k] = held + (0.5 * (scaled[k] - limit) if bent else 0.0)
                if not diagonal[k] > 0.0:
                    return False, at
        for k in range(m):
            image[k] = step[k] * (1.0 - free[k])
        times(matrix, image, right)
        for k in range(m):
            limit = low[k] if branch[k] > 0 else high[k]
            right[k] = limit - scaled[k] - right[k]
            image[k] = extra[k] + (0.5 * (scaled[k] - limit) if bent else 0.0)
        if conjugated(matrix, diagonal, image, right, free, step, solved) < 0:
            return False, at
        times(matrix, step, image)
        changed = 0
        for k in range(m):
            half = 0.5 * step[k] if bent else 0.0
            resting = kink[k] == 0.0
            if moves[k] == 1.0 and branch[k] * (step[k] - kink[k]) < 0.0:
                moves[k], lands[k] = 0.0, True
                changed += 1
                continue
            if not lands[k]:
                continue
            under = (scaled[k] - low[k]) * (1.0 + half) + image[k]
            over = (scaled[k] - high[k]) * (1.0 + half) + image[k]
            if under < 0.0 and at[k] < limits[HIGHEST, k] and (resting or branch[k] > 0):
                moves[k], lands[k], branch[k] = 1.0, False, 1
                changed += 1
            elif over > 0.0 and at[k] > limits[LOWEST, k] and (resting or branch[k] < 0):
                moves[k], lands[k], branch[k] = 1.0, False, -1
                changed += 1
        if changed == 0 and solved == SOLVED:
            break
    return True, landed(limits, at, branch, lands, step, kink, least, most, bent)


@compiled
def landed(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    limits: Whole,
    at: Whole,
    branch: Whole,
    lands: Flags,
    step: Reals,
    kink: Reals,
    least: float,
    most: float,
    bent: bool,
) -> Whole:
    """The trial of a step: cut to its reach, within range, and on its side of the reference."""
    trial = at.copy()
    for k in range(len(at)):
        if step[k] == 0.0 or branch[k] == 0:
            continue
        r = limits[REFERENCE, k]
        if lands[k] and least <= kink[k] <= most:
            wanted = r
        else:
            cut = min(max(step[k], least), most)
            factor = (1.0 + 0.5 * cut) * (1.0 + 0.5 * cut) if bent else 1.0 + cut
            wanted = np.int64(np.rint(min(float(at[k]) * factor, FARTHEST)))
        kept = max(wanted, r) if branch[k] > 0 else min(wanted, r)
        trial[k] = min(max(kept, limits[LOWEST, k]), limits[HIGHEST, k])
    return trial


@compiled
def seen(  # noqa: PLR0917 -- a kernel takes arrays and numbers, no objects
    start: Whole, before: Whole, end: Whole, after: Whole, v_unit: float, s_unit: float, bent: bool
) -> tuple[Reals, Reals, Reals]:
    """(relative step, price-scaled gain of the totals, growth of the scale) between two answers.

    Only answers are compared, not the coupling: a step stays on one branch of every kink, where
    the gradient gains what the totals gain. A matrix at the start maps step to gain, and to the
    end it goes by growth on both sides; where the model is straight, it is that of the middle.
    """
    m = len(start)
    moved, gained, grown = np.empty(m), np.empty(m), np.ones(m)
    for k in range(m):
        v, w = float(start[k]), float(end[k])
        gain = (float(after[k]) - float(before[k])) * s_unit
        if bent:
            grown[k] = sqrt(w / v)
            moved[k] = 2.0 * (grown[k] - 1.0)
            gained[k] = v * grown[k] * v_unit * gain
        else:
            middle = 0.5 * (v + w)
            moved[k] = (w - v) / middle
            gained[k] = middle * v_unit * gain
    return moved, gained, grown
