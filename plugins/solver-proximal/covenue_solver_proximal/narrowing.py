"""How far each multiplier may go in a round while widths fall, and what it learns from overshoot.

Spread over a width, an answer is linear only as far as its levels' ramps reach. So a multiplier
moves at most its pace, a part of the width; the pace grows where the total did not answer at all,
and falls, with a steeper slope for the next step, where the total passed its aim. Then one step a
width is enough until the last, and a few there end it exactly. Source: solvers.md, section 3.3.
"""

from dataclasses import dataclass

import numpy as np

from covenue.numerics.ldlt import Reals
from covenue_solver_proximal.answers import Answer
from covenue_solver_proximal.step import Aim
from covenue_solver_proximal.terms import Terms, Whole, reals

PACE, PACE_MOST, PACE_LEAST = 0.7, 16.0, 0.02
SLOWER, FASTER, AT_ITS_PACE = 0.7, 2.0, 0.95
STILL = 0.8


@dataclass(frozen=True, eq=False)
class Move:
    """One round's move at one width: where totals were pulled before it and after it."""

    start: Answer
    end: Answer
    before: Aim
    after: Aim


def first_paces(terms: Terms) -> Reals:
    """The pace of every multiplier at a new width."""
    return np.full(terms.size, PACE)


def paced(terms: Terms, move: Move, paces: Reals) -> tuple[Reals, Reals]:
    """(paces, slopes) for the step after a move.

    Where a total passed its aim, its own slope is no less than what it gained by the move: between
    two levels an answer is flat, and its slopes say nothing of the jump ahead.
    """
    v, w = terms.values(move.start.multipliers), terms.values(move.end.multipliers)
    relative = (w - v) / v
    pulled, pulls = reals(move.before.pull), reals(move.after.pull)
    passed = pulls * pulled < 0.0
    width = terms.relative(move.end.width)
    full = np.abs(relative) >= AT_ITS_PACE * paces * width
    still = full & ~passed & (np.abs(pulls) > STILL * np.abs(pulled))
    kept = np.where(paces >= PACE, paces, np.minimum(paces * FASTER, PACE))
    faster = np.where(still, np.minimum(paces * FASTER, PACE_MOST), kept)
    slower = np.maximum(paces * SLOWER, PACE_LEAST)
    gained = v * (terms.totals(move.end.nets) - terms.totals(move.start.nets))
    moved = passed & (relative != 0.0)
    met = np.where(moved, gained / np.where(moved, relative, 1.0), 0.0)
    slopes = move.end.matrix(terms.size)
    raised = np.maximum(met - np.diagonal(slopes), 0.0)
    return np.where(passed, slower, faster), slopes + np.diag(raised)


def held_back(terms: Terms, at: Whole, far: Whole, reach: Reals) -> int:
    """How many multipliers would go further than their reach, relative to themselves."""
    start, end = terms.values(at), terms.values(far)
    return int(np.count_nonzero(np.abs(end - start) > reach * start * (1.0 + 2.0**-20)))
