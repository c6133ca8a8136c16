"""When slopes are worth their bytes: rounds x RTT + bytes / bandwidth, in one public rule.

A round is `rtt_ms`; the packed triangle of m coordinates is 8 m (m + 1) / 2 bytes on the slowest
uplink. Everything below follows from their ratio, the price of slopes in rounds: whether to ask for
any, and when to ask again.
Source: solvers.md, section 3.5 (the rule and its defaults).
"""

from dataclasses import dataclass
from typing import Literal

Hessian = Literal["auto", "cached", "every"]
ASKED, SAVED = 3, 6
"""A cold plan asks for slopes about three times, and saves about six rounds by them."""

CURVED_ROUNDS = (1, 3, 5)
CONTRACTION = 4.0
CLOSING, MOST_LEFT = 2.0, 20
"""New slopes close a plan in about two rounds; no more than so many are looked ahead."""

CHEAP = 0.25
FAR = 1e6
WARM_CONTRACTIONS = (30.0, 10.0)


@dataclass(frozen=True)
class Costs:
    """How slopes are asked for, what a round costs, and what a megabit does.

    rtt_ms: a round trip in milliseconds. bandwidth_mbps: the slowest uplink in megabits a second.
    """

    hessian: Hessian = "auto"
    rtt_ms: float = 20.0
    bandwidth_mbps: float = 80.0

    def price(self, size: int) -> float:
        """What the slopes of `size` coordinates cost, in rounds."""
        bits = 8.0 * 4.0 * size * (size + 1)
        return bits / (1000.0 * self.bandwidth_mbps) / self.rtt_ms

    def asks(self, size: int) -> bool:
        """Whether slopes are asked for at all."""
        return self.hessian != "auto" or ASKED * self.price(size) <= SAVED

    def is_cheap(self, size: int) -> bool:
        """Whether slopes cost so little that they are asked for in a second round too."""
        return self.price(size) <= CHEAP

    def asks_again(self, size: int) -> bool:
        """Whether `auto` asks for slopes in the second round of a plan that has far to go."""
        return self.hessian == "auto" and self.is_cheap(size)

    def is_far(self, left: float, enough: float) -> bool:
        """Whether a warm plan starts so far off that slopes of the plan before will not close it.

        At a tolerance of 1e-6: more is out of place than the plan is worth.
        """
        return left > FAR * enough

    def renews(self, size: int, before: float, left: float, enough: float, *, warm: bool) -> bool:
        """Whether to ask for slopes, now that a step took what is out of place from before to left.

        enough: what may stay out of place. `auto` asks if steps as good as this one would take more
        rounds than new slopes and their price; in a warm plan, whose slopes were good, only where
        the step was poor as well.
        """
        if self.hessian != "auto":
            return CONTRACTION * left > before
        if warm and WARM_CONTRACTIONS[not self.is_cheap(size)] * left <= before:
            return False
        return _rounds_left(before, left, enough) > CLOSING + self.price(size)


def _rounds_left(before: float, left: float, enough: float) -> float:
    """How many steps, each as good as the last, lead below `enough`."""
    count = 0
    while left > enough and count < MOST_LEFT:
        left, count = left * (left / before), count + 1
        if left >= before:
            return float(MOST_LEFT)
    return float(count)
