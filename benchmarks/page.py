"""docs/benchmarks.md and its plots, made from the kept results in docs/benchmarks/*.json.

    python benchmarks/page.py            # write the page from what is kept
    python benchmarks/page.py --check    # fail if page or plots are not what the results give
    python benchmarks/page.py --run      # measure RUNS again first, and keep the results
    python benchmarks/page.py --run --family sor     # of one family only

Every figure of the page is in a kept result; nothing on it depends on when it is made.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from math import log10, nan
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.solvers import Wanted, measure

from covenue.hooks.domains import Plot
from covenue.reports.markup import element, xml_text
from covenue.reports.plot import draw
from covenue.reports.style import SHEET

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "benchmarks"
PAGE = ROOT / "docs" / "benchmarks.md"
Result = Mapping[str, Any]

RUNS = (
    ("cfmm", "random", 1000, None),
    ("cfmm", "market", 1000, None),
    ("cfmm", "random", 10_000, None),
    ("cfmm", "market", 10_000, None),
    ("cfmm", "random", 100_000, None),
    ("cfmm", "market", 100_000, None),
    ("sor", "random", 100, None),
    ("sor", "random", 1000, None),
    ("sor", "random", 100, 20),
    ("vwap", "random", 100, None),
    ("vwap", "random", 1000, None),
    ("arb", "random", 10, 10),
    ("arb", "random", 100, 50),
)
TITLES = {
    "cfmm": "Pools: net amounts at the best public value",
    "sor": "Order books: one order over many venues",
    "vwap": "Execution: one order over venues and time",
    "arb": "Coupled ladders: capital, inventory and net limits",
}
SIZES = {"cfmm": "tokens", "sor": "instruments", "vwap": "slices", "arb": "instruments"}
COLUMNS = (
    "instance", "solver", "ms", "times ours", "gap", "rounds", "KB a venue", "MB", "end"
)  # fmt: skip
HEAD = """# Benchmarks

Made by `python benchmarks/page.py` from `docs/benchmarks/*.json`; `python benchmarks/solvers.py`
measures, and `benchmarks/README.md` says how. The instances are generated, the seeds are in the
results. A peer sees all data in one place; we see sums. One thread each, in turns, medians; our
times are those of all venues in one process, without network, sums unprotected: **the ratios are
what to compare**, and a ratio below 1, in bold, is a loss. `gap` of every solver is what its plan,
made feasible, lacks of our dual bound, relative to the bound. A round is one question to all
venues and one sum: on a network it costs a round trip, which a central peer does not pay.
`re-plan` is the median after one venue's market moved, from the state of the plan before."""


def kept() -> list[Result]:
    """The kept results, in the order of their file names."""
    return [json.loads(file.read_text()) for file in sorted(KEPT.glob("*.json"))]


def name_of(result: Result) -> str:
    """The file of a result, without its suffix."""
    at = result["instance"]
    return f"{at['family']}-{at['kind']}-n{at['n']:06d}-m{at['m']}-s{at['seed']}"


def page(results: Sequence[Result]) -> str:
    """The page."""
    parts = [HEAD]
    for family in TITLES:
        chosen = [result for result in results if result["instance"]["family"] == family]
        if chosen:
            parts.append(section(family, chosen))
    parts.append(provenance(results))
    return "\n\n".join(parts) + "\n"


def section(family: str, results: Sequence[Result]) -> str:
    """One family: its plot, its table, and what the kernel adds where that was measured."""
    rows = [row for result in results for row in rows_of(result)]
    table = [_line(COLUMNS), _line(["---"] * len(COLUMNS)), *map(_line, rows)]
    image = f"![{TITLES[family]}: a peer's time over ours](benchmarks/{family}.svg)"
    parts = [f"## {TITLES[family]}", image, "\n".join(table)]
    parts += [_overhead(result) for result in results if "kernel_overhead" in result]
    return "\n\n".join(parts)


def rows_of(result: Result) -> list[tuple[str, ...]]:
    """Our cold solve, our re-plan, then every peer."""
    at = result["instance"]
    kind = f" {at['kind']}" if at["family"] == "cfmm" else ""
    where = f"{at['n']:,} × {at['m']} {SIZES[at['family']]}{kind}"
    cold = _gap(result["gap"])
    if "lot_gap" in result:
        cold += f" (lots {_gap(result['lot_gap'])})"
    feasible = "feasible" if result["feasible"] else "**infeasible**"
    rounds = f"{result['replan_rounds_median']:g}, p99 {result['replan_rounds_p99']}"
    ours = (
        (where, "Covenue", _ms(result["ours_ms"]), "1", cold, str(result["rounds"]),
         _kb(result["bytes_per_venue"]), f"{result['peak_mb']:g}",
         f"{result['status']}, {feasible}"),
        (where, "Covenue, re-plan", _ms(result["replan_ms_median"]), "",
         f"at most {_gap(result['replan_gap_max'])}", rounds,
         _kb(result["replan_bytes_per_venue"]), "",
         f"{result['replans_certified']} of {result['replans']} certified"),
    )  # fmt: skip
    return [*ours, *(_peer(where, name, result) for name in result["peers"])]


def _peer(where: str, name: str, result: Result) -> tuple[str, ...]:
    peer = result["peers"][name]
    if peer["ms"] is None:
        return (where, name, "", "", "", "", "", "", peer["status"])
    ratio = result["ratios"][name]
    times = f"{ratio:g}" if ratio >= 1 else f"**{ratio:g}**"
    gap = "" if peer["objective_gap"] is None else _gap(peer["objective_gap"])
    end = "; ".join(part for part in (peer["status"], peer.get("note", "")) if part)
    against = f"{times} (re-plan)" if name.endswith("_warm") else times
    memory = "" if peer["peak_mb"] is None else f"{peer['peak_mb']:g}"
    return (where, name, _ms(peer["ms"]), against, gap, str(peer.get("rounds", "")), "", memory,
            end)  # fmt: skip


def _overhead(result: Result) -> str:
    told, at = result["kernel_overhead"], result["instance"]
    return (
        f"Whole plans through the kernel (engine, ledger in memory, contracts, open sums), "
        f"{at['n']:,} pools, {at['kind']}, against the same without it (problem built, solved, "
        f"swaps made): the first plan of a cohort {_ms(told['kernel_ms'])} ms against "
        f"{_ms(told['bare_ms'])} ms, {told['ratio']:g} times; a re-plan of a running cohort "
        f"{_ms(told['replan_kernel_ms'])} ms against {_ms(told['replan_bare_ms'])} ms, "
        f"{told['replan_ratio']:g} times."
    )


def plot(family: str, results: Sequence[Result]) -> str:
    """How many times slower each peer is, over size; both axes are powers of ten."""
    chosen = [result for result in results if result["instance"]["family"] == family]
    sizes = sorted({_size(result) for result in chosen})
    series: dict[str, list[float]] = {}
    for result in chosen:
        kind = f", {result['instance']['kind']}" if family == "cfmm" else ""
        for name, ratio in result["ratios"].items():
            line = series.setdefault(f"{name}{kind}", [nan] * len(sizes))
            line[sizes.index(_size(result))] = log10(ratio)
    drawn = draw(
        Plot(
            title=f"{TITLES[family]}: a peer's time over ours",
            kind="line",
            x_label="log10 of pools or venues",
            y_label="log10 of the ratio",
            x=tuple(sizes),
            series={name: tuple(values) for name, values in sorted(series.items())},
        )
    )
    drawn.insert(0, element("style", None, SHEET))
    return xml_text(drawn) + "\n"


def provenance(results: Sequence[Result]) -> str:
    """Versions and processors that the results name."""
    versions = sorted({f"{k} {v}" for result in results for k, v in result["versions"].items()})
    processors = sorted({result["instance"]["cpu"] for result in results})
    return (
        "## Where the figures come from\n\n"
        f"Processor: {', '.join(processors)}. Versions: {', '.join(versions)}."
    )


def files(results: Sequence[Result]) -> dict[Path, str]:
    """Everything that is generated."""
    families = {result["instance"]["family"] for result in results}
    plots = {KEPT / f"{family}.svg": plot(family, results) for family in sorted(families)}
    return {PAGE: page(results), **plots}


def run_all(families: Sequence[str], seed: int, peer_seconds: float) -> None:
    """Measure those of RUNS that are of these families, and keep the results."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for family, kind, n, m in (run for run in RUNS if run[0] in families):
        wanted = Wanted(
            family, kind, n, m, seed, None, repeats=5, replans=60, peers=(),
            peer_seconds=peer_seconds, environments=True,
        )  # fmt: skip
        keep(measure(wanted))


def keep(result: Result) -> None:
    """Write one result where the page reads it."""
    (KEPT / f"{name_of(result)}.json").write_text(json.dumps(result, indent=2) + "\n")


def main(arguments: Sequence[str]) -> int:
    """Write or check the page; 1 where it is not what the results give."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", action="store_true", help="measure first")
    parser.add_argument("--family", choices=tuple(TITLES), help="measure this one only")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer-seconds", type=float, default=300.0)
    given = parser.parse_args(arguments)
    if given.run:
        families = tuple(TITLES) if given.family is None else (given.family,)
        run_all(families, given.seed, given.peer_seconds)
    stale = 0
    for file, text in files(kept()).items():
        if given.check:
            stale += not file.exists() or file.read_text() != text
        else:
            file.write_text(text)
    if stale:
        print("run `python benchmarks/page.py`", file=sys.stderr)
    return 1 if stale else 0


def _size(result: Result) -> float:
    return round(log10(result["instance"]["n"]), 4)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _ms(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _gap(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}"


def _kb(value: float) -> str:
    return f"{value / 1000:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
