import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from covenue.numerics.compiled import SWITCH, compiled, is_compiling

Reals = NDArray[np.float64]


@compiled
def mixed(left: Reals, right: Reals) -> Reals:
    """Each of the operations that kernels may use, where a contraction would show."""
    result = np.empty(len(left))
    for i in range(len(left)):
        product = left[i] * right[i] + left[i]
        result[i] = np.sqrt(abs(product)) / (1.0 + right[i] * right[i]) - np.rint(left[i])
    return result


@compiled
def folded(left: Reals, right: Reals) -> float:
    """A sum in order, by way of another kernel."""
    total = 0.0
    for value in mixed(left, right):
        total += value * 0.1
    return total


REALS = st.lists(st.floats(-1e9, 1e9, allow_subnormal=False), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(REALS)
def test_machine_code_and_plain_python_give_the_same_bits(values: list[float]) -> None:
    left = np.array(values)
    right = left[::-1].copy() * 0.3
    plain: Reals = mixed.plain(left, right)  # type: ignore[attr-defined]  # set by the decorator
    assert mixed(left, right).tobytes() == plain.tobytes()


def test_a_kernel_may_call_another_one() -> None:
    left = np.arange(30.0) / 7
    assert folded(left, left) == folded.plain(left, left)  # type: ignore[attr-defined]  # set by the decorator


@pytest.mark.parametrize(
    "environment",
    [{SWITCH: "0"}, {SWITCH: "1", "NUMBA_CPU_NAME": "generic"}, {SWITCH: "1"}],
    ids=["switched off", "a generic processor", "as it is"],
)
def test_every_process_computes_the_same(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import numpy as np; from tests.numerics.test_compiled import folded\n"
        "print(float(folded(np.arange(900.) / 7, np.arange(900.) / 3)).hex())"
    )
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment, "NUMBA_CACHE_DIR": str(tmp_path)},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = folded(np.arange(900.0) / 7, np.arange(900.0) / 3)
    assert ran.stdout.strip() == float(wanted).hex()


def ran(folder: Path, cache: Path, without_digest: bool) -> str:
    """What a kernel of one file says by way of another's, in a process of its own."""
    code = "from caller import doubled; print(doubled(3.0))"
    mutant = "import covenue.numerics.compiled as home; home._digest = lambda function: '0' * 64; "
    done = subprocess.run(
        [sys.executable, "-c", (mutant if without_digest else "") + code],
        env={**os.environ, SWITCH: "1", "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


HEAD = "from covenue.numerics.compiled import compiled\n"
CALLER = "from callee import FACTOR, moved\n" + HEAD + "@compiled\n"


@pytest.mark.parametrize("without_digest", [False, True])
def test_kept_machine_code_is_not_used_once_another_file_has_changed(
    without_digest: bool, tmp_path: Path
) -> None:
    """And the mutant: without the digest in its name, old machine code says what it said."""
    if not is_compiling():
        pytest.skip("numba is not installed, so no machine code is kept")
    body = "def doubled(x: float) -> float:\n    return moved(x) * FACTOR\n"
    (tmp_path / "caller.py").write_text(CALLER + body)
    told = []
    for constant, added in ((2.0, 1.0), (7.0, 5.0)):
        callee = f"FACTOR = {constant}\n@compiled\ndef moved(x):\n    return x + {added}\n"
        (tmp_path / "callee.py").write_text(HEAD + callee)
        told.append(float(ran(tmp_path, tmp_path / "kept", without_digest)))
    assert told == [8.0, 8.0 if without_digest else 56.0]


def test_the_switch_leaves_the_function_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    assert not is_compiling()

    def double(value: float) -> float:
        return 2 * value

    assert compiled(double)(2.0) == 4.0
    assert compiled(double).machine_code() is double  # type: ignore[attr-defined]  # set by the decorator


def test_without_numba_kernels_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covenue.numerics.compiled.find_spec", lambda _: None)
    assert not is_compiling()
