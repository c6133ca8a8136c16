"""A tiny run of real plugins: three short captures, one standing and one executed order."""

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.venues.captures import capture_lines, save

from covenue.ledger.audit_log import AuditLog
from covenue.registry.load import Registry
from covenue.replay import Verdict, open_ledger
from covenue.rounds import preflight, session
from covenue.rounds.output import LEDGER, SIDECAR, party_ledger
from covenue.rounds.scenario import read_scenario
from covenue.rounds.session import RunResult
from covenue.testing.venues import SECOND, START, Change, Depth, Levels, MarketEvent
from covenue_contracts.canonical import parse_as
from covenue_contracts.ledger import OutcomeSeen
from covenue_contracts.local import Outcome, Outcomes
from covenue_venue_recorded.dialects import COINM, SPOT, USDM, Dialect
from covenue_venue_recorded.venue import RecordedVenue

GOAL_LOTS = 40_000
PACE_LOTS = 10_000
NAMES = ("spot", "usdm", "coinm")
DIALECTS = (SPOT, USDM, COINM)
SOURCE = Path(__file__)
SECONDS = 30

HEAD = f"""
[scenario]
name = "tiny"
demo = true
seed = "tiny"

[domain]
name = "routing"

[domain.goal]
side = "buy"
instrument = "btc"
quantity = "0.4"
lot = "0.00001"

[solver]
name = "search"

[privacy]
mechanism = ["open"]

[ledger]
backend = "sqlite"

[engine]
name = "inprocess"

[engine.options]
latency_ms = 5

[cohort]
least = 3
min_changed = 2
differencing = "override"
reason = "synthetic books in a test"

[deadlines]
join = 200
upload = 200
act = 200
skew = 100

[[order]]
mode = "standing"
start = {START + SECOND}
every_ms = 1000
plans = 2

[order.goal]
quantity = "1.5"

[[order]]
mode = "executed"
start = {START + SECOND}
every_ms = 1000
plans = 20

[order.goal]
pace = "0.1"
"""


def party(name: str, slot: int, fee_bps: str = "2.4") -> str:
    """One party's table."""
    return f"""
[[party]]
name = "{name}"
slot = {slot}
venue = "recorded"
folder = "{name}"

[party.venue_config]
dialect = "{DIALECTS[slot].name}"

[party.config]
basis_bps = "0"
fee_bps = "{fee_bps}"

[party.budget]
exact_max = 500
"""


def scenario_text(order: Sequence[int] = (0, 1, 2), **fees: str) -> str:
    """The scenario, its parties in any order, with a fee of their own where one is given."""
    return HEAD + "".join(party(NAMES[i], i, fees.get(NAMES[i], "2.4")) for i in order)


def asks(dialect: Dialect) -> Levels:
    """Twenty levels, the three venues interleaved; whole lots of a thousandth BTC but on COIN-M."""
    ticks, steps, first = {
        "binance-spot": (100, 5_000_000, 6_000_000),
        "binance-usdm": (10, 50, 600_005),
        "binance-coinm": (10, 30, 600_033),
    }[dialect.name]
    return tuple((first + level * ticks, steps) for level in range(20))


def events(dialect: Dialect) -> list[MarketEvent]:
    """A snapshot, then four diffs a second: each sets one level again, so that states differ."""
    levels = asks(dialect)
    best = levels[0][0]
    found: list[MarketEvent] = [
        Depth(START, 100, bids=((best - 50, levels[0][1]),), asks=levels),
        Change(START + 1, 99, 101, 98),
    ]
    for number in range(4 * SECONDS):
        price, size = levels[number % 4]
        last = 102 + number
        time = START + (number + 1) * SECOND // 4
        change = Change(time, last, last, last - 1, asks=((price, size + number % 2 * 1_000),))
        found.append(change)
    return found


def write_scenario(folder: Path, text: str | None = None) -> Path:
    """The scenario and a folder for each party with nothing but its own capture."""
    for name, dialect in zip(NAMES, DIALECTS, strict=True):
        (folder / name).mkdir(parents=True, exist_ok=True)
        save(folder / name, capture_lines(dialect, events(dialect)))
    path = folder / "scenario.toml"
    path.write_text(text or scenario_text())
    return path


@dataclass(frozen=True)
class Done:
    """A finished run: where its data lies, where it wrote, and what it returned."""

    data: Path
    out: Path
    result: RunResult

    @property
    def ledger(self) -> Path:
        """The plan's ledger."""
        return self.out / LEDGER

    def moved(self, folder: Path) -> "Done":
        """The same run, data and all, copied; what is changed there changes nothing here."""
        shutil.copytree(self.data, folder / "data")
        shutil.copytree(self.out, folder / "out")
        notes = json.loads((folder / "out" / SIDECAR).read_text())
        notes["scenario"] = str(folder / "data" / "scenario.toml")
        (folder / "out" / SIDECAR).write_text(json.dumps(notes))
        return Done(folder / "data", folder / "out", self.result)


def run_tiny(folder: Path, text: str | None = None, pace: float = 0.0) -> Done:
    """Write the scenario and run it."""
    path = write_scenario(folder / "data", text)
    prepared = preflight.prepare(read_scenario(path), Registry())
    return Done(folder / "data", folder / "out", session.run(prepared, folder / "out", pace=pace))


def check_of(verdict: Verdict, name: str) -> str:
    """What a verdict says under a name."""
    return next(result for check, result, _ in verdict.checks if check == name)


def executed_lots(out: Path) -> dict[str, int]:
    """Lots that each party's own log says were filled."""
    lots = {}
    for name in NAMES:
        with open_ledger(party_ledger(out, name), Registry()) as backend:
            log = AuditLog.open(backend)
            latest: dict[str, int] = {}
            for entry in log.entries():
                if isinstance(entry.body, OutcomeSeen):
                    outcomes = parse_as(Outcomes, log.get_blob(entry.body.outcomes)).outcomes
                    latest[entry.body.order] = sum(int(f.units) for o in outcomes for f in o.fills)
            lots[name] = sum(latest.values())
    return lots


def journalled(out: Path) -> dict[str, list[tuple[str, int]]]:
    """(order id, lots) of every line of each venue's own journal."""
    found: dict[str, list[tuple[str, int]]] = {}
    for name in NAMES:
        path = out / "parties" / f"{name}.journal"
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        outcomes = [json.loads(line)["outcome"] for line in lines]
        found[name] = [(o["order"], sum(int(f["units"]) for f in o["fills"])) for o in outcomes]
    return found


def child(*arguments: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a process that runs this module."""
    root = SOURCE.parents[2]
    command = [sys.executable, "-m", "tests.replay.tiny", *arguments]
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return command, {**os.environ, "PYTHONPATH": paths, **environment}


def die_at(point: str, number: int) -> None:
    """End this process, as kill -9 does, at the number-th time that a point is reached.

    point: append (before it), appended (after it is durable), applied (a venue has answered).
    """
    reached: Counter[str] = Counter()

    def reach(name: str) -> None:
        reached[name] += 1
        if (name, reached[name]) == (point, number):
            os._exit(9)

    def append(self: AuditLog, *arguments: Any, **named: Any) -> range:
        reach("append")
        done = real_append(self, *arguments, **named)
        reach("appended")
        return done

    def apply(self: RecordedVenue, *arguments: Any, **named: Any) -> Sequence[Outcome]:
        outcomes = real_apply(self, *arguments, **named)
        reach("applied")
        return outcomes

    real_append, real_apply = AuditLog.append, RecordedVenue.apply
    setattr(AuditLog, "append", append)  # noqa: B010 -- mypy refuses to assign to a method
    setattr(RecordedVenue, "apply", apply)  # noqa: B010 -- mypy refuses to assign to a method


def main(folder: Path, pace: float) -> None:
    """Run a scenario that is already written; say so at every plan and at the end."""
    prepared = preflight.prepare(read_scenario(folder / "data" / "scenario.toml"), Registry())
    result = session.run(prepared, folder / "out", lambda at: say(f"plan {at.done}"), pace)
    say(f"root {result.root}")


def say(line: str) -> None:
    """A line for the test that waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        die_at(sys.argv[3], int(sys.argv[4]))
    main(Path(sys.argv[1]), float(sys.argv[2]))
