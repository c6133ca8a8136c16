"""What the kernel adds: whole plans through it against the same work without it, on the same pools.

The kernel's run has an in-process engine, a ledger in memory, open sums and all contracts: queries
and totals are canonical bytes, hashed, signed, appended, read back and checked by one node. A first
plan also makes a cohort: identities and ledgers; a re-plan goes on with them. Imports and the
search for plugins happen once a process, before anything is timed. Both sides build the problem
from the same state, solve it and make the swaps.
"""

from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.family_cfmm import batch_of, bits_of, built, goal_of
from benchmarks.instances import Cfmm, Instance, quantised, ticked
from benchmarks.loop import MEMBER, Built, Memories, committed, solve

from covenue import plan
from covenue.hooks.solvers import State
from covenue.hooks.venues import PoolBatch
from covenue_contracts.plan import Goal
from covenue_domain_arbitrage import Arbitrage
from covenue_solver_dual import Dual

REPEATS = 5
REPLANS = 20
FIGURES = 4


def overhead(raw: Instance, repeats: int = REPEATS, replans: int = REPLANS) -> dict[str, Any]:
    """Medians in ms, taken in turns, and their ratios, of cold plans and of re-plans.

    Raises TypeError for another family than pools.
    """
    instance = _pools(raw)
    bits = bits_of(built(instance))
    cold = [_cold(instance, bits) for _ in range(repeats + 1)]
    moved = [raw]
    for venue in range(replans):
        moved.append(ticked(moved[-1], venue % raw.n))
    warm = _followed([_pools(each) for each in moved], bits)
    return {**_told("", cold[1:]), **_told("replan_", warm)}


def _pools(raw: Instance) -> Cfmm:
    instance = quantised(raw)
    if not isinstance(instance, Cfmm):
        raise TypeError("the kernel's share is measured on pools")
    return instance


def _cold(instance: Cfmm, bits: int) -> tuple[float, float]:
    """Seconds of one plan through the kernel, and without it."""
    goal, batch = goal_of(instance, bits), batch_of(instance)
    began = perf_counter()
    done = plan(goal, {"all": batch}, solver="dual")
    middle = perf_counter()
    _bare(goal, batch, None)
    ended = perf_counter()
    done.warm.close()
    return middle - began, ended - middle


def _followed(instances: Sequence[Cfmm], bits: int) -> list[tuple[float, float]]:
    """The same of every re-plan after the first plan."""
    goal = goal_of(instances[0], bits)
    done = plan(goal, {"all": batch_of(instances[0])}, solver="dual")
    warm = _bare(goal, batch_of(instances[0]), None)
    rows = []
    for instance in instances[1:]:
        batch = batch_of(instance)
        began = perf_counter()
        done = plan(goal, {"all": batch}, solver="dual", warm=done.warm)
        middle = perf_counter()
        warm = _bare(goal, batch, warm)
        rows.append((middle - began, perf_counter() - middle))
    done.warm.close()
    return rows


def _bare(goal: Goal, batch: PoolBatch, warm: State) -> State:
    """Build, solve and commit without the kernel; what the next plan starts from."""
    domain, memories = Arbitrage(), Memories()
    problem = domain.problem(goal, [MEMBER], MEMBER, batch, {})
    made = Built(domain.coupling(goal, [MEMBER]), problem, Dual())
    solution = solve(made, warm, memories).solution
    committed(made, solution, memories)
    return solution.warm


def _told(prefix: str, rows: Sequence[tuple[float, float]]) -> dict[str, float]:
    through, bare = (median(row[side] for row in rows) for side in (0, 1))
    figures = {"kernel_ms": 1e3 * through, "bare_ms": 1e3 * bare, "ratio": through / bare}
    return {prefix + name: float(f"{value:.{FIGURES}g}") for name, value in figures.items()}
