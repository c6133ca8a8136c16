"""One pass over a batch of pools: from multipliers to the words of an answer, nothing in between.

The same arithmetic, operation by operation, as `pools.Pools.trades` does in arrays: equal bits.
Source: solvers.md, sections 2(a) and 4.
"""

import numpy as np
from numpy.typing import NDArray

from covenue.numerics.compiled import compiled

Integers = NDArray[np.int64]
Places = NDArray[np.int32]
Floats = NDArray[np.float64]

SLACK = 2.0**-50
EDGE_SLACK = 2.0**-49
"""More than roots, and sums of what they are multiplied with, can be wrong by; relative."""
STEP_SLACK = 2.0**-90
"""More than phi gains between a range's end and where floats see it; relative to reserves."""
RECEIVED_SLACK = 2.0**-47
FLOAT_MOST = 2.0**62

A, B = 0, 1
RESERVES, ROOTS, INVERSE, INVERSE_ROOT = 0, 2, 4, 5
"""Columns of `shapes`: reserves in units of both sides, their roots, 1/g and its root."""
MOST_PAID, AVAILABLE, MOST_IN = 0, 2, 4
"""Columns of `limits`, each for both sides: native units paid at most, what can be given, in units,
and what is paid for all of that, in units."""


@compiled
def summed(  # noqa: PLR0915, PLR0917 -- one pass, arrays in and arrays out, reads top to bottom
    multipliers: Floats,
    coordinates: Places,
    starts: Floats,
    shapes: Floats,
    limits: Floats,
    units: Floats,
    scales: Floats,
    net: Integers,
    slopes: Integers,
) -> int:
    """Add all pools' net words to `net`, and their slopes to the packed triangle `slopes`.

    Returns the words of phi. coordinates, starts, shapes: n rows. limits: n rows, or none where no
    pool is bounded. units: native units to one, by coordinate. scales: (words, values, slopes).
    slopes: empty where they are not asked for.
    """
    size = len(multipliers)
    roots, inverses = np.empty(size), np.empty(size)
    steps, grains = np.empty(size), np.empty(size)
    for place in range(size):
        roots[place] = np.sqrt(multipliers[place])
        inverses[place] = 1.0 / roots[place]
        steps[place] = 1.0 / units[place]
        grains[place] = scales[0] / units[place]
    with_slopes, bounded = len(slopes) > 0, len(limits) > 0
    diagonal = np.zeros(size, np.int64)
    value = np.int64(0)
    for row in range(len(coordinates)):
        a, b = coordinates[row, A], coordinates[row, B]
        if multipliers[b] * starts[row, A] > multipliers[a]:
            pays, gets, side, other = a, b, A, B
        elif multipliers[a] * starts[row, B] > multipliers[b]:
            pays, gets, side, other = b, a, B, A
        else:
            continue
        shape = shapes[row]
        ratio = roots[gets] * inverses[pays]
        deep = shape[ROOTS] * shape[ROOTS + 1] * shape[INVERSE_ROOT]
        level = shape[RESERVES + side] * shape[INVERSE]
        native = np.floor(max(deep * ratio - level, 0.0) * units[pays])
        up = roots[gets] * shape[ROOTS + other]
        down = roots[pays] * (shape[ROOTS + side] * shape[INVERSE_ROOT])
        if bounded and native >= limits[row, MOST_PAID + side]:
            native = limits[row, MOST_PAID + side]
            most = limits[row, AVAILABLE + other]
            received = most * (1.0 - RECEIVED_SLACK)
            for_all = multipliers[pays] * limits[row, MOST_IN + side]
            of_all = multipliers[gets] * most
            whole = up + down
            worth = (
                max(of_all - for_all, 0.0)
                + (of_all + for_all) * EDGE_SLACK
                + whole * whole * STEP_SLACK
            )
            steep = 0.0
        else:
            paid = native * steps[pays]
            received = shape[RESERVES + other] * paid / (level + paid)
            if bounded:
                received = min(received, limits[row, AVAILABLE + other])
            received = received * (1.0 - RECEIVED_SLACK) - steps[gets]
            edge = max(up - down, 0.0) + (up + down) * EDGE_SLACK
            worth = edge * edge
            steep = 0.5 * deep * roots[pays] * roots[gets]
        paid_words = np.ceil(native * grains[pays] * (1.0 + SLACK))
        net[pays] -= np.int64(min(paid_words, FLOAT_MOST))
        net[gets] += np.int64(min(max(np.floor(received * scales[0]), 0.0), FLOAT_MOST))
        value += np.int64(min(np.ceil(worth * scales[1] * (1.0 + SLACK)), FLOAT_MOST))
        if with_slopes:
            slope = np.int64(min(np.rint(steep * scales[2]), FLOAT_MOST))
            diagonal[a] += slope
            diagonal[b] += slope
            high, low = max(a, b), min(a, b)
            slopes[np.int64(high) * (high + 1) // 2 + low] -= slope
    if with_slopes:
        for place in range(size):
            slopes[place * (place + 3) // 2] += diagonal[place]
    return int(value)
