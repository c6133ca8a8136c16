"""Our solvers against the peers that a serious user would run with all data in one place.

    python benchmarks/solvers.py --family cfmm|sor|vwap|arb --kind random|market --n N [--m M]
        [--seed S] [--levels L] [--repeats R] [--replans K] [--peers a,b] [--peer-seconds T]
        [--no-environments] [--overhead] [--json]

Every process has one thread; ours and the peers take turns; times are medians. All get the same
quantised instance. A ratio is a peer's time over ours (`*_warm`: over our median re-plan); above 1
we are faster. Peers run in environments of their own, made on first use, or, with
--no-environments, in this one. Our time is one process without network: see README.md beside this
file for what each figure means.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from benchmarks.child import Child, Died
from benchmarks.environments import environment_of
from benchmarks.families import KINDS, NAMES, drawn
from benchmarks.instances import Instance, digest, quantised, saved
from benchmarks.judge import judged, objective_gap, said
from benchmarks.peers import PEERS, WARM

from covenue.errors import BadInput

LONG_MS = 10_000.0
OUR_SECONDS = 600.0
OVERHEAD_POOLS = 10_000
SIGNIFICANT = 4


@dataclass(frozen=True)
class Wanted:
    """What to measure. sizes: m and levels, None for the family's own."""

    family: str
    kind: str
    n: int
    m: int | None
    seed: int
    levels: int | None
    repeats: int
    replans: int
    peers: tuple[str, ...]
    peer_seconds: float
    environments: bool
    overhead: bool = False


@dataclass
class Contender:
    """A peer's process and what it has said so far."""

    name: str
    child: Child | None
    problem: str = ""
    answers: list[dict[str, Any]] = field(default_factory=list)
    is_slow: bool = False
    version: str = ""
    peak_mb: float | None = None

    def turn(self, wanted: str, seconds: float, **details: Any) -> None:
        """One more answer; a peer that fails or is late says so and gets no further turn."""
        told = self.said(wanted, seconds, **details)
        if told is not None:
            self.answers.append(told)
            self.is_slow = told["ms"] > LONG_MS

    def said(self, wanted: str, seconds: float, **details: Any) -> dict[str, Any] | None:
        """What the child says, or None where it has ended."""
        try:
            return None if self.child is None else self.child.ask(wanted, seconds, **details)
        except Died as end:
            self.problem = str(end)
            self.child = None
            return None

    @property
    def is_done(self) -> bool:
        """Whether further turns would take too long."""
        return self.child is None or self.is_slow


def measure(wanted: Wanted) -> dict[str, Any]:
    """All figures of one instance.

    Raises BadInput on a size or name that is none, Died where our own side cannot go on.
    """
    _check(wanted)
    raw = drawn(wanted.family, wanted.kind, wanted.n, wanted.m, wanted.seed, wanted.levels)
    names = chosen(wanted)
    instance = quantised(raw)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        path = str(Path(folder) / "instance.npz")
        saved(raw, path)
        sort = "budget" if getattr(raw, "B", 0) else "plain"

        def started(python: str, module: str, *arguments: str) -> Child:
            child = Child(python, f"benchmarks.{module}", *arguments)
            closing.callback(child.close)
            child.ask("start", max(OUR_SECONDS, wanted.peer_seconds))
            return child

        ours = started(sys.executable, "our_child", wanted.family, path, sort)
        peers = [_contender(name, wanted, (path, sort), started) for name in names]
        times = [ours.ask("cold", OUR_SECONDS)["ms"]]
        for turn in range(wanted.repeats):
            times.append(ours.ask("cold", OUR_SECONDS)["ms"])
            for peer in peers:
                _take_turn(peer, wanted, turn)
        end = ours.ask("end", OUR_SECONDS)
        again = ours.ask("follow", OUR_SECONDS, count=wanted.replans)
        facts = ours.ask("facts", OUR_SECONDS)
        memory = started(sys.executable, "our_child", wanted.family, path, sort)
        peak = memory.ask("memory", OUR_SECONDS)
        told = _ours(times[1:], end, again, peak)
        told["peers"] = _peers(peers, instance, end)
        told.update(_ratios(told))
        if wanted.family == "cfmm" and (wanted.overhead or wanted.n == OVERHEAD_POOLS):
            told["kernel_overhead"] = ours.ask("overhead", OUR_SECONDS)
        told["versions"] = {**facts["versions"], **_versions(peers)}
    return {**told, "instance": _address(wanted, raw)}


def _check(wanted: Wanted) -> None:
    """Refuse counts that measure nothing. Raises BadInput."""
    counts = (
        ("--repeats", wanted.repeats),
        ("--replans", wanted.replans),
        ("--levels", 1 if wanted.levels is None else wanted.levels),
    )
    for option, value in counts:
        if value < 1:
            raise BadInput("a count does not fit", "give 1 or more", field=option, value=str(value))
    if not wanted.peer_seconds > 0.0:
        raise BadInput(
            "a peer has no time",
            "give more than 0 seconds",
            field="--peer-seconds",
            value=str(wanted.peer_seconds),
        )


def chosen(wanted: Wanted) -> tuple[str, ...]:
    """The peers of the family, or those named. Raises BadInput on a name that is none."""
    known = [*PEERS[wanted.family], *WARM[wanted.family]]
    for name in wanted.peers:
        if name not in known:
            raise BadInput(
                f"'{name}' is no peer of family {wanted.family}",
                f"give some of {','.join(known)}",
                field="--peers",
                value=name,
            )
    usable = [name for name in known if name != "argsort" or not _has_budget(wanted)]
    return tuple(name for name in usable if not wanted.peers or name in wanted.peers)


def _has_budget(wanted: Wanted) -> bool:
    return wanted.family == "sor" and (wanted.m or 1) > 1


def _contender(
    name: str, wanted: Wanted, data: tuple[str, str], started: Callable[..., Child]
) -> Contender:
    python = sys.executable
    if wanted.environments:
        made = environment_of(name)
        if made.problem:
            return Contender(name, None, made.problem)
        python = made.python
    try:
        child = started(python, "peer_child", wanted.family, name, *data)
    except Died as end:
        return Contender(name, None, str(end))
    return Contender(name, child)


def _take_turn(peer: Contender, wanted: Wanted, turn: int) -> None:
    """One cold solve; a warm peer follows the ticks once, in the first turn."""
    if peer.is_done or (turn and peer.name in WARM[wanted.family]):
        return
    if peer.name in WARM[wanted.family]:
        peer.turn("follow", wanted.peer_seconds, count=wanted.replans)
    else:
        peer.turn("solve", wanted.peer_seconds)
    facts = peer.said("facts", wanted.peer_seconds) if turn == 0 else None
    if facts is not None:
        peer.version, peer.peak_mb = facts["version"], facts["peak_mb"]


def _ours(
    times: Sequence[float], end: dict[str, Any], again: dict[str, Any], peak: dict[str, Any]
) -> dict[str, Any]:
    """The agreed keys, and what else a family has to say."""
    return {
        "ours_ms": _short(median(times)),
        "ours_ms_least": _short(min(times)),
        "setup_ms": _short(end["setup_ms"]),
        "replan_ms_median": _short(again["replan_ms_median"]),
        "replan_setup_ms_median": _short(again["replan_setup_ms_median"]),
        "replan_rounds_median": again["replan_rounds_median"],
        "replan_rounds_p99": again["replan_rounds_p99"],
        "rounds": end["rounds"],
        "status": end["status"],
        "value": end["value"],
        "bound": end["bound"],
        "gap": end["gap"],
        "feasible": end["feasible"],
        "bytes_per_venue": end["bytes"],
        "replan_bytes_per_venue": again["replan_bytes_per_venue"],
        "replan_gap_max": again["replan_gap_max"],
        "replans": again["replans"],
        "replans_certified": again["replans_certified"],
        "peak_mb": peak["peak_mb"],
        **end["further"],
    }


def _peers(
    peers: Sequence[Contender], instance: Instance, end: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    prices = None if end["prices"] is None else np.load(end["prices"])
    return {peer.name: _peer(peer, instance, prices, end) for peer in peers}


def _peer(peer: Contender, instance: Instance, prices: Any, end: dict[str, Any]) -> dict[str, Any]:
    """Time, gap and status of a peer. A warm peer's plan belongs to another instance: no gap."""
    if not peer.answers:
        return {"ms": None, "objective_gap": None, "status": peer.problem}
    last = peer.answers[-1]
    told: dict[str, Any] = {"objective_gap": None, "status": last["status"]}
    if "times_ms" in last:
        told = {"ms": _short(median(last["times_ms"])), **told, "cold_ms": _short(last["ms"])}
    else:
        told = {"ms": _short(median(answer["ms"] for answer in peer.answers)), **told}
        told["build_ms"] = _short(median(answer["build_ms"] for answer in peer.answers))
        if last["plan"] is not None:
            verdict = judged(instance, np.load(last["plan"]), prices)
            told["objective_gap"] = objective_gap(end["bound"], verdict.value, end["floor"])
            told["status"] = said(last["status"], verdict)
            told["violation"] = verdict.violation
    told |= {"iterations": last["iterations"], "runs": len(peer.answers)}
    told |= {} if last["rounds"] is None else {"rounds": last["rounds"]}
    if peer.is_slow or peer.problem:
        runs = f"{len(peer.answers)} run(s), because one took more than {LONG_MS / 1e3:.0f} s"
        told["note"] = peer.problem or runs
    return {**told, "peak_mb": peer.peak_mb}


def _ratios(told: dict[str, Any]) -> dict[str, Any]:
    """A peer's time over ours, cold over cold and warm over re-plan; cold over re-plan beside."""
    ratios, replans, rounds = {}, {}, {}
    for name, peer in told["peers"].items():
        if peer["ms"] is None:
            continue
        is_warm = name.endswith("_warm")
        ours = told["replan_ms_median"] if is_warm else told["ours_ms"]
        ratios[name] = _short(peer["ms"] / ours)
        if not is_warm:
            replans[name] = _short(peer["ms"] / told["replan_ms_median"])
        if peer.get("rounds"):
            rounds[name] = _short(peer["rounds"] / told["rounds"])
    return {"ratios": ratios, "replan_ratios": replans, "rounds_ratios": rounds}


def _versions(peers: Sequence[Contender]) -> dict[str, str]:
    pairs = [peer.version.split(" ") for peer in peers if peer.version]
    return dict(sorted((name, version) for name, version in pairs))


def _address(wanted: Wanted, raw: Instance) -> dict[str, Any]:
    return {
        "family": wanted.family,
        "kind": wanted.kind,
        "n": wanted.n,
        "m": getattr(raw, "m", None) or getattr(raw, "T", None),
        "levels": getattr(raw, "L", None),
        "seed": wanted.seed,
        "digest": digest(raw),
        "cpu": cpu_model(),
    }


def cpu_model() -> str:
    """The processor's own name, as far as the system tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")


def _short(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT}g}")


def parsed(arguments: Sequence[str]) -> tuple[Wanted, argparse.Namespace]:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", required=True, help=", ".join(NAMES))
    parser.add_argument("--kind", default="random", help=f"{', '.join(KINDS)}; for cfmm only")
    parser.add_argument("--n", type=int, required=True, help="pools or venues")
    parser.add_argument("--m", type=int, help="tokens, instruments (sor: above 1 a basket), slices")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--levels", type=int, help="of books (50) and ladders (20)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--replans", type=int, default=60)
    parser.add_argument("--peers", default="", help="some of them, by commas")
    parser.add_argument("--peer-seconds", type=float, default=300.0, help="patience with a peer")
    parser.add_argument("--no-environments", action="store_true")
    parser.add_argument("--overhead", action="store_true", help="what the kernel adds (cfmm)")
    parser.add_argument("--json", action="store_true", help="print JSON (and nothing else)")
    given = parser.parse_args(arguments)
    peers = tuple(name for name in given.peers.split(",") if name)
    return Wanted(
        given.family, given.kind, given.n, given.m, given.seed, given.levels,
        given.repeats, given.replans, peers, given.peer_seconds,
        environments=not given.no_environments, overhead=given.overhead,
    ), given  # fmt: skip


def lines(told: dict[str, Any]) -> str:
    """The figures for people: ours, then one line a peer."""
    kept = {k: v for k, v in told.items() if not isinstance(v, dict)}
    rows = [f"{name}: {value}" for name, value in kept.items()]
    for name, peer in told["peers"].items():
        ratio, gap = told["ratios"].get(name), peer["objective_gap"]
        shown = "no gap" if gap is None else f"gap {gap:.1e}"
        rows.append(f"  {name}: {peer['ms']} ms, ratio {ratio}, {shown}, {peer['status']}")
    return "\n".join(rows)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 2 with advice when the wish cannot be met, 1 when our own side ends."""
    wanted, given = parsed(arguments)
    try:
        told = measure(wanted)
    except BadInput as refused:
        print(refused, file=sys.stderr)
        return 2
    except Died as end:
        print(f"our own side: {end}\nadvice: give a smaller --n or --m", file=sys.stderr)
        return 1
    print(json.dumps(told, indent=2) if given.json else lines(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
