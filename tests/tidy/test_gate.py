import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.tidy.tree import ROOT

STEPS = ["format", "lint", "types", "layers", "schemas", "tests"]


def gate(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / "test.sh"), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_gate_names_its_steps_from_anywhere(tmp_path: Path) -> None:
    told = gate("--list", cwd=tmp_path)
    assert told.stdout.split() == STEPS
    assert told.returncode == 0


def test_the_gate_refuses_a_step_that_it_does_not_know(tmp_path: Path) -> None:
    told = gate("lints", cwd=tmp_path)
    assert told.returncode == 2
    assert "lints" in told.stderr
    assert "format lint types layers schemas tests" in told.stderr


def test_ci_calls_the_gate_and_nothing_else() -> None:
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    said = [line for line in lines if not line.startswith(("#", "set "))]
    assert said == ['exec bash "$(dirname "$0")/../test.sh" --system-packages']
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_only_the_flag_installs_outside_the_environment() -> None:
    text = (ROOT / "test.sh").read_text(encoding="utf-8")
    assert text.count("apt-get install") == text.count("apt-get update") == 1
    function = text[text.index("system_packages() {") : text.index("step_format()")]
    assert "apt-get install" in function
    assert re.findall(r"^ +.*system_packages.*$", text, re.MULTILINE) == [
        "  if [[ $system == yes ]]; then system_packages; fi"
    ]


def test_the_gate_installs_ours_in_one_command_and_offers_them_no_index_alone() -> None:
    text = (ROOT / "test.sh").read_text(encoding="utf-8")
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert sum('"${editable[@]}"' in line for line in installs) == 1
    assert all("--constraint constraints.txt" in line for line in installs)


@pytest.mark.parametrize("line", (ROOT / "constraints.txt").read_text().splitlines())
def test_a_constraint_is_one_exact_version(line: str) -> None:
    assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line)
