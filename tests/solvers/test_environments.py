"""The determinism proof: one digest of every plan, whatever computes it and who answers first.

Each environment is a process of its own that runs the same plans (`environment_plans`): threads,
kernels of BLAS, what numpy and numba may use of the processor, machine code or none, hash seeds,
orders of venues. Where one digest differs, the test names the plan and the environment.
Source: solvers.md, section 4.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from itertools import product
from pathlib import Path

import pytest
from tests.solvers.environment_plans import ORDERS, cases

ROOT = Path(__file__).parents[2]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
CHOSEN = (*THREADS, "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "NUMBA_CPU_NAME",
          "NUMBA_CPU_FEATURES", "COVENUE_COMPILED", "PYTHONHASHSEED")  # fmt: skip
SCENARIO = "scenario, kernel"
AS_IT_IS = "as it is"
LIMIT_S = 240

Environment = Mapping[str, str]
Digests = dict[str, str]


def numpy_features(which: str) -> list[str]:
    """Names of what numpy was built for (`__cpu_dispatch__`) that this processor has."""
    core = vars(import_module("numpy._core._multiarray_umath"))
    found: Mapping[str, bool] = core["__cpu_features__"]
    return [name for name in core[which] if found.get(name)]


def features_off(*, all_of_them: bool) -> str:
    """What numpy shall not use: AVX-512, or whatever it can do without."""
    wide = ("AVX512", "X86_V4")
    names = numpy_features("__cpu_dispatch__")
    return " ".join(n for n in names if all_of_them or n.startswith(wide))


def blas_kernels() -> tuple[str, ...]:
    """Kernels of OpenBLAS that this processor can run."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return ()
    has = set(numpy_features("__cpu_features__"))
    wide = ("Haswell", "Zen") if "AVX2" in has else ()
    widest = ("SkylakeX",) if "AVX512_SKX" in has else ()
    return ("Prescott", "Nehalem", *wide, *widest)


def environments() -> dict[str, Environment]:
    """Every environment of the default run, by what is said of it."""
    kernels = {f"BLAS for {kernel}": {"OPENBLAS_CORETYPE": kernel} for kernel in blas_kernels()}
    off = {
        f"numpy without {names}": {"NPY_DISABLE_CPU_FEATURES": names}
        for names in (features_off(all_of_them=False), features_off(all_of_them=True))
        if names
    }
    plain = {"COVENUE_COMPILED": "0"}
    return {
        AS_IT_IS: {},
        "machine code for any processor": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        "nothing compiled": plain,
        "two threads": dict.fromkeys(THREADS, "2"),
        **kernels,
        **off,
        **{f"nothing compiled, {name}": {**plain, **more} for name, more in list(off.items())[-1:]},
        "hash seed 0": {"PYTHONHASHSEED": "0"},
        "hash seed 1": {"PYTHONHASHSEED": "1"},
        **{f"venues {order}": {"order": order} for order in ORDERS if order != "given"},
    }


WITH_SCENARIO = {AS_IT_IS, "nothing compiled", "machine code for any processor"}
"""A whole run goes through files: only where the machine code differs, to save time."""


def digests(environment: Environment, *arguments: str) -> Digests:
    """What a process prints that runs the plans in an environment."""
    order = ("--order", environment.get("order", "given"))
    base = {k: v for k, v in os.environ.items() if k not in CHOSEN}
    chosen = {**dict.fromkeys(THREADS, "1"), "PYTHONHASHSEED": "random", **environment}
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-m", "tests.solvers.environment_plans",
         *order, *arguments],
        cwd=ROOT, env={**base, **chosen}, capture_output=True, text=True, check=False,
        timeout=LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout))


def differing(left: Digests, right: Digests) -> list[str]:
    """Names of the plans that are not the same in both."""
    return [name for name in left if name in right and left[name] != right[name]]


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, Future[Digests]]]:
    """Every environment's digests, two processes at a time.

    The two that may have to compile first come first: what they leave on disk serves the rest.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {
            name: pool.submit(
                digests, given, *(() if name in WITH_SCENARIO else ("--without", SCENARIO))
            )
            for name, given in environments().items()
        }


@pytest.mark.parametrize("environment", [name for name in environments() if name != AS_IT_IS])
def test_every_plan_has_the_bits_that_it_has_elsewhere(
    environment: str, answers: dict[str, Future[Digests]]
) -> None:
    here, there = answers[AS_IT_IS].result(), answers[environment].result()
    assert set(here) == set(cases(ORDERS["given"]))
    assert set(here) - set(there) <= {SCENARIO}
    assert differing(here, there) == [], f"these plans have other bits: {environment}"


@pytest.mark.slow
@pytest.mark.parametrize("compiled", ["0", "1"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_every_plan_has_the_same_bits_in_every_combination(compiled: str, threads: str) -> None:
    """Kernels of BLAS by what numpy may use, for each number of threads, compiled and plain."""
    here = digests({}, "--without", SCENARIO)
    offs = {"", features_off(all_of_them=False), features_off(all_of_them=True)}
    chosen = {**dict.fromkeys(THREADS, threads), "COVENUE_COMPILED": compiled}
    for kernel, off in product(blas_kernels() or ("",), sorted(offs)):
        more = {"OPENBLAS_CORETYPE": kernel, "NPY_DISABLE_CPU_FEATURES": off}
        given = {**chosen, **{name: value for name, value in more.items() if value}}
        assert differing(here, digests(given, "--without", SCENARIO)) == [], given


def found_by(mutant: str, case: str, rows: list[Environment]) -> bool:
    """Whether a mutated kernel shows in a case: another digest in one of the environments."""
    plain = {"COVENUE_COMPILED": "0"}
    with ThreadPoolExecutor(max_workers=2) as pool:
        made = pool.map(lambda row: digests({**plain, **row}, "--mutant", mutant, case), rows)
        return len({each[case] for each in made}) > 1


@pytest.mark.skipif(len(blas_kernels()) < 3, reason="OpenBLAS has one kernel here, or none to tell")
def test_a_product_of_blas_in_a_kernel_is_found() -> None:
    rows: list[Environment] = [{"OPENBLAS_CORETYPE": name} for name in blas_kernels()[::2]]
    assert found_by("dot", "self-test of dual", rows)


@pytest.mark.skipif(not features_off(all_of_them=False), reason="this processor has no AVX-512")
def test_an_exponential_in_a_kernel_is_found() -> None:
    off = features_off(all_of_them=False)
    assert found_by("exp", "pools, lbfgs", [{}, {"NPY_DISABLE_CPU_FEATURES": off}])
