"""From one state of the solver `admm` to the next: balanced, back at the best, or accelerated."""

from dataclasses import replace
from fractions import Fraction
from math import frexp

from covenue.hooks.prox import EXPONENT_MOST, GRAM_MOST, KEPT
from covenue_solver_admm.anderson import PLAIN, Gram, coefficients
from covenue_solver_admm.answers import Answer
from covenue_solver_admm.sharing import Point, combined, product
from covenue_solver_admm.state import Search
from covenue_solver_admm.terms import Terms, Whole

WORSE = 4.0
"""Times the best squared residual: twice the best residual."""
BALANCED_EVERY, BALANCED_UNTIL = 8, 96
UNBALANCED, STEP = 16.0, 2
GRAM_BITS, LEAST_SQUARED = 40, 2.0**-300
INSET_SHARE = Fraction(1, 8)


def onward(state: Search, answer: Answer, point: Point) -> Search:
    """The next state: balanced, back at the best, or accelerated."""
    memory = state.memory
    own = tuple(product(point, other, answer.count) for other in (point, *state.points))
    unit = 2.0**-state.gram_bits
    theirs = tuple(float(word) * unit for word in answer.products)
    row = tuple(a + b for a, b in zip(theirs, own, strict=False))
    exponent = _balanced(state, answer, point, theirs[0])
    state = replace(state, inset=_inset(state), gram_bits=gram_bits(row[0]))
    if exponent != state.exponent:
        return _rescaled(state, point, exponent)
    if state.anchor is None or row[0] < state.least:
        state = replace(state, least=row[0], anchor=point)
    elif is_diverging(row[0], state.least):
        return _restarted(state, state.anchor)
    points = (point, *state.points)[: memory + 1]
    gram = _grown(state.gram, row)[: memory + 1]
    gram = tuple(each[: memory + 1] for each in gram)
    shares = coefficients(gram)
    kept = len(shares) if shares != PLAIN else 1
    stand = combined(state.terms, points[:kept], shares)
    keep = min(kept, KEPT)
    return replace(
        state,
        stand=stand,
        shares=shares,
        after=point.query or None,
        points=points[:keep],
        gram=tuple(each[:keep] for each in gram[:keep]),
    )


def is_diverging(squared: float, least: float) -> bool:
    """Whether a residual is so far beyond the best that acceleration starts anew from there."""
    return squared > WORSE * least


def _restarted(state: Search, point: Point) -> Search:
    """From an image alone, with nothing before it."""
    return replace(
        state,
        stand=combined(state.terms, (point,), PLAIN),
        shares=PLAIN,
        after=point.query or None,
        points=(),
        gram=(),
        anchor=None,
    )


def _rescaled(state: Search, point: Point, exponent: int) -> Search:
    """From an image, at another weight: u is rescaled so that the multipliers stay."""
    ratio = 2.0 ** (state.exponent - exponent)
    scaled = replace(point, u=tuple(ratio * value for value in point.u))
    return _restarted(replace(state, exponent=exponent), scaled)


def _balanced(state: Search, answer: Answer, point: Point, moved: float) -> int:
    """The exponent at which the x_i move about as fast as they come to agree with z."""
    if state.rounds % BALANCED_EVERY or state.rounds > BALANCED_UNTIL:
        return state.exponent
    terms, apart = state.terms, 0.0
    means = terms.totals(answer.at) / float(answer.count)
    for price, mean, z in zip(terms.prices.tolist(), means.tolist(), point.z, strict=True):
        away = price * (mean - z)
        apart += away * away * float(answer.count)
    if apart > UNBALANCED * moved:
        return min(state.exponent + STEP, EXPONENT_MOST)
    return max(state.exponent - STEP, -EXPONENT_MOST) if moved > UNBALANCED * apart else (
        state.exponent
    )  # fmt: skip


def _grown(gram: Gram, row: tuple[float, ...]) -> Gram:
    """The products with those of a newer residual before them."""
    later = zip(row[1:], gram, strict=True)
    return (row, *((cross, *each) for cross, each in later))


def _inset(state: Search) -> Whole:
    """How far within their limits totals are steered: a part of the tolerance pays for it."""
    if state.rounds % BALANCED_EVERY or state.rounds > 2 * BALANCED_UNTIL:
        return state.inset
    terms, best = state.terms, state.best
    floor = terms.of_words(terms.value_floor)
    worth = max(abs(best.bound) if best else 0, floor)
    share = int(state.tolerance * INSET_SHARE * worth) >> (terms.fine_bits - terms.product_bits)
    rows = zip(state.multipliers, terms.reference, terms.least, terms.most, terms.margin,
               strict=True)  # fmt: skip
    return tuple(
        max(e, min(share // terms.size // max(abs(v - r), r >> 10, 1), (most - least) // 4))
        for v, r, least, most, e in rows
    )


def extent(terms: Terms) -> float:
    """The square of the least room of a coordinate, in value units."""
    rows = zip(terms.most, terms.least, terms.reference, strict=True)
    room = min((most - least) * r for most, least, r in rows)
    value = max(float(room) * 2.0**-terms.product_bits, 2.0**-terms.value_bits)
    return value * value


def gram_bits(squared: float) -> int:
    """The grid of products around a squared residual."""
    return max(-GRAM_MOST, min(GRAM_MOST, GRAM_BITS - frexp(max(squared, LEAST_SQUARED))[1]))


def exponent_of(terms: Terms) -> int:
    """Of the weights to begin with: on a path, that of its own weight."""
    if terms.tracking is None:
        return -frexp(extent(terms))[1] // 2 - 10
    price = min(terms.prices.tolist())
    return min(max(frexp(float(terms.tracking.weight) / price / price)[1], -EXPONENT_MOST),
               EXPONENT_MOST)  # fmt: skip
