"""The prox of venues: what `hooks/prox.py` asks, each venue a point of its own.

With the pull w (x - c)^2 / 2 a venue's curve is steeper by w, and lower by w c less the arrival
price P in which the quote is counted:

    x_t = clip((w_t c_t - P - a_t - mu) / (eta_t + w_t), 0, cap_t),  mu >= 0 where the credit binds

which is the answer of `kernels` at an excess of nothing. Source: solvers.md, sections 2(c), 3.4.
"""

from dataclasses import dataclass

import numpy as np

from covenue.hooks.prox import Nearest, Reals
from covenue_domain_execution.goals import GRID, MULTIPLIER_BITS, Terms
from covenue_domain_execution.kernels import Rows, respond
from covenue_domain_execution.lots import cost


@dataclass(frozen=True, eq=False)
class RowProx:
    """A participant's venues, in parts of lots."""

    terms: Terms
    rows: Rows

    @property
    def points(self) -> int:
        """One a venue."""
        return len(self.rows.credits)

    def nearest(self, centres: Reals, weights: Reals) -> Nearest:
        """As LocalProx says; amounts are rounded down, and keep caps and credits."""
        terms, rows = self.terms, self.rows
        steep = rows.steep + weights
        lowered = rows.costs - (weights * centres - terms.price / GRID)
        pulled = Rows(lowered, steep, 1.0 / steep, rows.caps, rows.credits)
        word = float(2**terms.scale_bits)
        amounts = respond(np.zeros(terms.size), pulled, word, 0.0).amounts
        paid = cost(amounts, rows, terms.price, MULTIPLIER_BITS, terms.value_bits, terms.scale_bits)
        return Nearest(amounts, paid)

    def surplus(self, multipliers: Reals) -> int:
        """phi of all venues, as they respond."""
        excess = multipliers - self.terms.price / GRID
        word, unit = float(2**self.terms.scale_bits), float(2**self.terms.value_bits)
        return int(respond(excess, self.rows, word, unit).values.sum(dtype=np.int64))
