"""Rounds, certified gaps and bytes a party of `dual` and `lbfgs` on pools, and LDL' beside LAPACK.

    python benchmarks/dual_rounds.py [--seeds N] [--sizes 100,1000,10000] [--ticks N]

Cold solves over seeds, then one instance whose pools move one after another, each plan starting
from the one before.

Prints JSON. Ratios are lbfgs / dual of one run on the same instances; times are one process, no
network. Run from the root of a checkout: the instances are those of the tests.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.solvers.pools import Kind, coupling, generate, problems, ticked

from covenue.hooks.solvers import Solver
from covenue.numerics import ldlt
from covenue.numerics.ldlt import factored
from covenue.testing.solvers import Play, play
from covenue_solver_dual import Dual, Lbfgs

MOST_ROUNDS = 3000
SIZES_OF_MATRICES = (63, 200, 632)
SOLVERS: dict[str, Callable[[], Solver]] = {
    "dual": Dual,
    "dual cached": lambda: Dual(hessian="cached"),
    "dual every": lambda: Dual(hessian="every"),
    "lbfgs": Lbfgs,
}


def bytes_of(ended: Play) -> int:
    """What one party uploads over a solve: eight bytes a word."""
    return 8 * sum(len(words) for words in ended.totals)


def figures(ended: Play, seconds: float) -> dict[str, Any]:
    """One solve as it is reported."""
    solution = ended.solution
    gap = (solution.bound - solution.value) / max(abs(solution.bound), 2**30)
    return {
        "status": solution.status,
        "rounds": len(ended.queries),
        "slopes": sum(query.kind == "curvature" for query in ended.queries),
        "gap": float(f"{gap:.2e}"),
        "bytes": bytes_of(ended),
        "seconds": round(seconds, 3),
    }


def measured(kind: Kind, n: int, seed: int) -> dict[str, Any]:
    """All solvers on one instance, cold, and after one pool moved."""
    pools = generate(n, seed, kind)
    row: dict[str, Any] = {"kind": kind, "pools": n, "seed": seed}
    later = ticked(pools, seed)
    for name, build in SOLVERS.items():
        started = time.perf_counter()
        cold = play(build(), coupling(pools), problems(pools), None, MOST_ROUNDS)
        middle = time.perf_counter()
        warm_from = cold.solution.warm
        warm = play(build(), coupling(later), problems(later), warm_from, MOST_ROUNDS)
        ended = time.perf_counter()
        row[name] = {
            "cold": figures(cold, middle - started),
            "warm": figures(warm, ended - middle),
        }
    return row


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians and extremes over seeds, and ratios lbfgs / dual."""
    told: dict[str, Any] = {}
    for name in SOLVERS:
        for start in ("cold", "warm"):
            solves = [row[name][start] for row in rows]
            rounds = [solve["rounds"] for solve in solves]
            told[f"{name}, {start}"] = {
                "certified": sum(solve["status"] == "certified" for solve in solves),
                "rounds median": statistics.median(rounds),
                "rounds max": max(rounds),
                "gap max": max(solve["gap"] for solve in solves),
                "bytes median": statistics.median(solve["bytes"] for solve in solves),
            }
    for what in ("rounds", "bytes", "seconds"):
        ratios = [row["lbfgs"]["cold"][what] / row["dual"]["cold"][what] for row in rows]
        told[f"lbfgs / dual, {what}"] = round(statistics.median(ratios), 2)
    return told


def fastest(run: Callable[[], object], times: int = 7) -> float:
    """The least of several durations, in seconds."""
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        durations.append(time.perf_counter() - started)
    return min(durations)


def replans(kind: Kind, n: int, ticks: int) -> dict[str, Any]:
    """Rounds and bytes of `dual` while pools move one after another; seconds are the solver's."""
    pools = generate(n, 0, kind)
    warm = play(Dual(), coupling(pools), problems(pools, 1)).solution.warm
    solves = []
    for tick in range(ticks):
        pools = ticked(pools, 7 * tick % n)
        ended = play(Dual(), coupling(pools), problems(pools, 1), warm)
        solves.append(figures(ended, 0.0))
        warm = ended.solution.warm or warm
    rounds, bytes_ = (sorted(solve[what] for solve in solves) for what in ("rounds", "bytes"))
    high = (99 * ticks + 99) // 100 - 1
    return {
        "ticks": ticks,
        "stalled": sum(solve["status"] != "certified" for solve in solves),
        "asked for slopes": sum(solve["slopes"] > 0 for solve in solves),
        "rounds median": rounds[ticks // 2],
        "rounds p99": rounds[high],
        "rounds max": rounds[-1],
        "bytes median": bytes_[ticks // 2],
        "bytes p90": bytes_[9 * ticks // 10],
        "bytes max": bytes_[-1],
    }


def factoring() -> list[dict[str, Any]]:
    """LDL' against LAPACK's Cholesky: machine code where there is numba, and numpy's tiles."""
    rows = []
    for size in SIZES_OF_MATRICES:
        draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([size])))
        half = draw.random((size, 2 * size))
        matrix, least = half @ half.T / size + np.eye(size), np.full(size, 1e-12)

        def run(matrix: ldlt.Reals = matrix, least: ldlt.Reals = least) -> object:
            return factored(matrix, least)

        run()
        lapack = fastest(lambda matrix=matrix: np.linalg.cholesky(matrix))  # type: ignore[misc]  # mypy does not infer a lambda's default
        ours, compiled = fastest(run), ldlt.eliminate
        ldlt.eliminate = ldlt._eliminate_by_tiles
        tiles = fastest(run, 3)
        ldlt.eliminate = compiled
        rows.append(
            {
                "size": size,
                "ours / LAPACK": round(ours / lapack, 1),
                "numpy's tiles / LAPACK": round(tiles / lapack, 1),
                "milliseconds": round(1000 * ours, 3),
            }
        )
    return rows


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sizes", default="100,1000,10000")
    parser.add_argument("--ticks", type=int, default=100)
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    told: dict[str, Any] = {"factoring": factoring(), "pools": []}
    for kind in get_args(Kind):
        for n in sizes:
            rows = [measured(kind, n, seed) for seed in range(given.seeds)]
            one = {"kind": kind, "pools": n, "one after another": replans(kind, n, given.ticks)}
            told["pools"].append({**one, **summary(rows), "solves": rows})
    json.dump(told, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
