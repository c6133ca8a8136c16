"""One shipped scenario, run twice with one flag changed: sums alone find what all data would."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import covenue_domain_routing
from covenue.registry.load import Registry
from covenue.replay import differential

SOLVERS = ("search", "reference")
COMMAND = str(Path(sys.executable).with_name("covenue"))
shipped = Path(covenue_domain_routing.__file__).parent / "scenarios" / "btc-three-engines"

with tempfile.TemporaryDirectory() as folder:
    copied = shutil.copytree(shipped, Path(folder) / "scenario")
    scenario = copied / "scenario.toml"
    scenario.write_text(scenario.read_text().replace("plans = 100", "plans = 3"))  # a short run
    for solver in SOLVERS:
        out = str(Path(folder) / solver)
        run = [COMMAND, "run", str(scenario), "--solver", solver, "--quantity", "5", "--out", out]
        subprocess.run(run, check=True, capture_output=True)  # noqa: S603 -- our own command
    ledgers = [Path(folder) / solver / "plan.ledger" for solver in SOLVERS]
    found = differential.compare(ledgers[0], ledgers[1], SOLVERS, Registry())

for row in found["plans"]:
    print(f"plan {row['k']}: {row['value']} by search, {row['other_value']} by reference")
if not found["agree"]:
    sys.exit("the plans differ by more than their certificates allow")
print("both solvers made the same plans; only one of them saw the books")
