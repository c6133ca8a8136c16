"""The dual of a batch of pools in plain floats, for L-BFGS-B: one compiled pass, nothing rounded.

Formulas as in the domain's own kernel (solvers.md, section 2a), so that an evaluation costs a peer
what it costs us; without rounding, so that its line search sees no steps.
"""

import numba
import numpy as np
from benchmarks.instances import Cfmm, Reals, Whole


@numba.njit(cache=False, fastmath=False)
def _pass(ia: Whole, ib: Whole, Ra: Reals, Rb: Reals, gam: Reals, v: Reals, net: Reals) -> float:  # noqa: N803, PLR0917 -- as in the formulas
    value = 0.0
    for i in range(len(ia)):
        a, b = ia[i], ib[i]
        at_a, at_b = Ra[i] * v[a], Rb[i] * v[b]
        if gam[i] * at_b > at_a:
            pays, gets, r_in, r_out = a, b, Ra[i], Rb[i]
        elif gam[i] * at_a > at_b:
            pays, gets, r_in, r_out = b, a, Rb[i], Ra[i]
        else:
            continue
        paid = (np.sqrt(gam[i] * r_in * r_out * v[gets] / v[pays]) - r_in) / gam[i]
        got = r_out * gam[i] * paid / (r_in + gam[i] * paid)
        net[pays] -= paid
        net[gets] += got
        value += v[gets] * got - v[pays] * paid
    return value


class Dual:
    """D(v) = sum of what every pool makes of v, and its gradient: the net amounts."""

    def __init__(self, instance: Cfmm) -> None:
        self.of = instance

    def value_and_gradient(self, v: Reals) -> tuple[float, Reals]:
        """D and net amounts at v."""
        of, net = self.of, np.zeros(self.of.m)
        return float(_pass(of.ia, of.ib, of.Ra, of.Rb, of.gam, v, net)), net

    def plan(self, v: Reals) -> Reals:
        """(4, n): paid a, paid b, got a, got b at v."""
        of, plan = self.of, np.zeros((4, self.of.n))
        sides = ((of.ia, of.ib, of.Ra, of.Rb, 0, 3), (of.ib, of.ia, of.Rb, of.Ra, 1, 2))
        for pays, gets, r_in, r_out, row_in, row_out in sides:
            worth = of.gam * r_out * v[gets] > r_in * v[pays]
            paid = (np.sqrt(of.gam * r_in * r_out * v[gets] / v[pays]) - r_in) / of.gam
            paid = np.where(worth, np.maximum(paid, 0.0), 0.0)
            plan[row_in] = paid
            plan[row_out] = r_out * of.gam * paid / (r_in + of.gam * paid)
        return plan
