"""A masked run has one root: on any threads, kernel, instruction set, hash seed or order."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.attacks.small_cohort import write_scenario

ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    "two threads, another zone and hash seed": {
        "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2",
        "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7", "LC_ALL": "C",
    },
    "no instructions beyond the least": {
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL "
        "AVX512_ICL AVX512_SPR", "PYTHONHASHSEED": "4242",
    },
    "another kernel of the linear algebra library": {"OPENBLAS_CORETYPE": "Prescott"},
}  # fmt: skip


def root(path: Path, out: Path, more: Mapping[str, str]) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": "0", **more}
    done = subprocess.run(
        ["covenue", "run", str(path), "--json", "--out", str(out)],
        env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["root"])


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenario(tmp_path_factory.mktemp("one-root"))


@pytest.fixture(scope="module")
def usual(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return root(scenario, tmp_path_factory.mktemp("usual") / "out", {})


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_another_environment_gives_the_same_root(
    scenario: Path, usual: str, tmp_path: Path, name: str
) -> None:
    assert root(scenario, tmp_path / "out", ENVIRONMENTS[name]) == usual


def test_parties_in_another_order_give_the_same_root(
    scenario: Path, usual: str, tmp_path: Path
) -> None:
    head, *parties = scenario.read_text().split("[[party]]")
    turned = scenario.with_name("turned.toml")
    turned.write_text("[[party]]".join([head, *reversed(parties)]))
    assert root(turned, tmp_path / "out", {}) == usual
