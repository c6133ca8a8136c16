"""Our solve in a process of its own: `python -m benchmarks.our_child FAMILY INSTANCE SORT`.

SORT is `budget` for baskets, else `plain`: what is warmed up before memory is counted.
"""

import platform
import sys
from importlib import metadata
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from benchmarks.child import serve
from benchmarks.families import Family, family_of
from benchmarks.instances import Instance, loaded, quantised, ticked
from benchmarks.judge import objective_gap
from benchmarks.loop import Built, Memories, Solve, committed, solve
from benchmarks.memory import peak_above, reset_peak
from benchmarks.peer_child import small

from covenue.errors import CovenueError
from covenue.hooks.solvers import Solution

SHOWN = ("covenue", "numpy", "numba")


class Ours:
    """One instance, set up and warmed: kernels are compiled before anything is timed."""

    def __init__(self, name: str, path: str, sort: str) -> None:
        self.family: Family = family_of(name)
        self.path = path
        solve(self.family.built(small(name, budget=sort == "budget")), None, Memories())
        self.base_kib = reset_peak()
        self.raw: Instance = loaded(path)
        self.instance = quantised(self.raw)
        self.made: Built = self.family.built(self.instance)

    def cold(self) -> dict[str, Any]:
        """One cold solve."""
        return {"ms": 1e3 * self._solved().seconds}

    def end(self) -> dict[str, Any]:
        """What a cold solve ends with: certificate, feasibility, bytes; multipliers in a file."""
        began = perf_counter()
        self.family.rebuilt(self.instance, self.made)
        setup = perf_counter() - began
        memories = Memories()
        done = solve(self.made, None, memories)
        value, bound, floor = self.family.certificate(self.made, done.solution)
        checked = self._checked(done.solution, memories)
        prices = self.family.multipliers(self.made, done.solution)
        file = str(Path(self.path).with_suffix(".prices.npy"))
        if prices is not None:
            np.save(file, prices)
        return {
            "setup_ms": 1e3 * setup,
            "status": done.solution.status,
            "rounds": done.rounds,
            "bytes": done.sent,
            "value": value,
            "bound": bound,
            "floor": floor,
            "gap": objective_gap(bound, value, floor),
            "prices": file if prices is not None else None,
            **checked,
        }

    def _checked(self, solution: Solution, memories: Memories) -> dict[str, Any]:
        """Whether what is committed is feasible; a solution that nobody can commit to is not."""
        try:
            plan = committed(self.made, solution, memories)
        except CovenueError as refused:
            return {"feasible": False, "further": {"commit": f"{type(refused).__name__}"}}
        arguments = (self.instance, self.made, plan, solution)
        further = dict(self.family.further(*arguments))
        return {"feasible": self.family.feasible(*arguments), "further": further}

    def follow(self, count: int) -> dict[str, Any]:
        """So many re-plans, one venue's tick each on top of all before, warm."""
        memories = Memories()
        warm, moved = solve(self.made, None, memories).solution.warm, self.raw
        rows: list[tuple[float, float, Solve]] = []
        worst = 0.0
        for venue in range(count):
            moved = ticked(moved, venue % moved.n)
            instance = quantised(moved)
            began = perf_counter()
            made = self.family.rebuilt(instance, self.made)
            setup = perf_counter() - began
            done = solve(made, warm, memories)
            value, bound, floor = self.family.certificate(made, done.solution)
            worst = max(worst, objective_gap(bound, value, floor))
            warm = done.solution.warm
            rows.append((1e3 * done.seconds, 1e3 * setup, done))
        rounds = sorted(done.rounds for _, _, done in rows)
        return {
            "replan_ms_median": median(row[0] for row in rows),
            "replan_setup_ms_median": median(row[1] for row in rows),
            "replan_rounds_median": median(rounds),
            "replan_rounds_p99": quantile(rounds, 99),
            "replan_bytes_per_venue": median(done.sent for _, _, done in rows),
            "replan_gap_max": worst,
            "replans": count,
            "replans_certified": sum(d.solution.status == "certified" for _, _, d in rows),
        }

    def memory(self) -> dict[str, Any]:
        """Peak memory of loading, building and one solve, above what imports and kernels take."""
        self._solved()
        return {"peak_mb": peak_above(self.base_kib)}

    def overhead(self) -> dict[str, Any]:
        """What the kernel adds to a plan; imported late, because it needs more than the family."""
        from benchmarks.kernel import overhead

        return overhead(self.raw)

    def facts(self) -> dict[str, Any]:
        """Versions."""
        versions = {name: _version(name) for name in SHOWN}
        return {"versions": {**versions, "python": platform.python_version()}}

    def _solved(self) -> Solve:
        return solve(self.made, None, Memories())


def quantile(values: list[int], percent: int) -> int:
    """The least value that so many percent of a sorted list do not pass."""
    return values[max(0, -(-percent * len(values) // 100) - 1)]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def main() -> None:
    """Serve our side."""
    serve(lambda: Ours(*sys.argv[1:4]), ("cold", "end", "follow", "memory", "overhead", "facts"))


if __name__ == "__main__":
    main()
