"""One peer in a process of its own: `python -m benchmarks.peer_child FAMILY PEER INSTANCE SORT`."""

import sys
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from benchmarks.child import serve
from benchmarks.instances import Instance, arb, cfmm, loaded, quantised, sor, ticked, vwap
from benchmarks.memory import peak_above, reset_peak
from benchmarks.peers import PEERS, WARM, Answer, Warm

DISTRIBUTIONS = {
    "highs": "highspy",
    "highs_ipm": "highspy",
    "highs_warm": "highspy",
    "osqp_warm": "osqp",
    "lbfgsb_cfmmrouter": "scipy",
    "lbfgsb_scaled": "scipy",
    "argsort": "numpy",
}


def small(family: str, *, budget: bool) -> Instance:
    """An instance that imports and compiles everything before anything is timed."""
    made: dict[str, Instance] = {
        "cfmm": cfmm(12),
        "sor": sor(4, m=2 if budget else 1, budget=budget),
        "vwap": vwap(3, T=6),
        "arb": arb(3, 2, L=4),
    }
    return quantised(made[family])


class Peer:
    """A peer with its instance; every answer's plan goes to a file."""

    def __init__(self, family: str, name: str, path: str, sort: str) -> None:
        self.name, self.path = name, path
        self.build = (WARM if name in WARM[family] else PEERS)[family][name]
        first: Any = self.build(small(family, budget=sort == "budget"))
        first.solve()
        self.base = reset_peak()
        self.raw: Instance = loaded(path)
        self.instance = quantised(self.raw)

    def solve(self) -> dict[str, Any]:
        """Build a fresh model, and solve it cold."""
        began = perf_counter()
        model = self.build(self.instance)
        spent = perf_counter() - began
        return {**self._told(model.solve()), "build_ms": 1e3 * spent}

    def follow(self, count: int) -> dict[str, Any]:
        """Solve, then follow so many ticks, one venue each; the times of all but the first."""
        model: Any = self.build(self.instance)
        cold: Warm = model
        last, moved, times = cold.solve(), self.raw, []
        for venue in range(count):
            moved = ticked(moved, venue % moved.n)
            last = cold.resolve(quantised(moved))
            times.append(1e3 * last.seconds)
        return {**self._told(last), "times_ms": times}

    def facts(self) -> dict[str, Any]:
        """Version, and peak memory above imports and what they load at a first solve."""
        named = DISTRIBUTIONS.get(self.name, self.name)
        return {"version": f"{named} {metadata.version(named)}", "peak_mb": peak_above(self.base)}

    def _told(self, answer: Answer) -> dict[str, Any]:
        file = str(Path(self.path).with_suffix(f".{self.name}.npy"))
        if answer.plan is not None:
            np.save(file, answer.plan)
        return {
            "ms": 1e3 * answer.seconds,
            "status": answer.status,
            "iterations": answer.iterations,
            "rounds": answer.rounds,
            "plan": file if answer.plan is not None else None,
        }


def main() -> None:
    """Serve one peer."""
    serve(lambda: Peer(*sys.argv[1:5]), ("solve", "follow", "facts"))


if __name__ == "__main__":
    main()
