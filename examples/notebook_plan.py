"""Two venues' books, one order: the ten lines of a notebook."""

import numpy as np

import covenue
from covenue_domain_routing import buy

books = {
    "north": np.array([["100.00", "5"], ["100.10", "7"]]),
    "south": np.array([["100.05", "6.5"], ["100.20", "10"]]),
}
first = covenue.plan(buy("12", lot="0.001"), books)
print(first.status, first.value, first.gap, first.rounds, first.plan.tolist())
again = covenue.plan(buy("11", lot="0.001"), books, warm=first.warm)
print(again.status, again.value, again.gap, again.rounds, again.plan.tolist())
