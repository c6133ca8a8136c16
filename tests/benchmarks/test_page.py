"""The benchmark page is what the kept results give, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import page
from benchmarks.solvers import Wanted

RESULT: dict[str, Any] = {
    "ours_ms": 2.0,
    "replan_ms_median": 0.5,
    "replan_rounds_median": 2.0,
    "replan_rounds_p99": 3,
    "rounds": 7,
    "status": "certified",
    "gap": 1.5e-7,
    "feasible": True,
    "bytes_per_venue": 12_000,
    "replan_bytes_per_venue": 900.0,
    "replan_gap_max": 4e-7,
    "replans": 60,
    "replans_certified": 59,
    "peak_mb": 1.5,
    "peers": {
        "clarabel": {"ms": 900.0, "objective_gap": 2e-9, "status": "AlmostSolved", "peak_mb": 9.0},
        "lbfgsb_scaled": {
            "ms": 1.0, "objective_gap": 3e-8, "status": "converged", "rounds": 41, "peak_mb": 2.0,
        },
        "ecos": {"ms": None, "objective_gap": None, "status": "not installed: no wheel"},
    },
    "ratios": {"clarabel": 450.0, "lbfgsb_scaled": 0.5},
    "versions": {"numpy": "2.0", "clarabel": "0.11"},
    "instance": {
        "family": "cfmm", "kind": "market", "n": 1000, "m": 63, "seed": 0, "cpu": "Abacus",
    },
}  # fmt: skip


def test_the_page_and_its_plots_are_what_the_kept_results_give() -> None:
    assert page.kept()
    assert page.main(["--check"]) == 0


def test_every_kept_result_lies_under_its_own_name() -> None:
    for file in page.KEPT.glob("*.json"):
        assert file.stem == page.name_of(json.loads(file.read_text()))


@pytest.mark.parametrize(("given", "families"), [((), set(page.TITLES)), (("sor",), {"sor"})])
def test_what_is_measured_again_is_kept_and_one_family_may_be_alone(
    given: tuple[str, ...], families: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Wanted] = []

    def measure(wanted: Wanted) -> dict[str, Any]:
        measured.append(wanted)
        at = {**RESULT["instance"], "family": wanted.family, "kind": wanted.kind, "n": wanted.n}
        return {**RESULT, "instance": {**at, "m": wanted.m, "seed": wanted.seed}}

    monkeypatch.setattr(page, "measure", measure)
    monkeypatch.setattr(page, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    chosen = ("--family", *given) if given else ()
    assert page.main(["--run", "--seed", "3", "--peer-seconds", "9", *chosen]) == 0
    assert {wanted.family for wanted in measured} == families
    assert len(measured) == sum(run[0] in families for run in page.RUNS)
    assert all(wanted.seed == 3 and wanted.peer_seconds == 9.0 for wanted in measured)
    assert len(page.kept()) == len(measured)
    assert page.main(["--check"]) == 0


def test_a_loss_is_shown_beside_the_wins() -> None:
    told = page.page([RESULT])
    assert "| clarabel | 900 | 450 | 2.0e-09 |" in told
    assert "| lbfgsb_scaled | 1 | **0.5** | 3.0e-08 | 41 |" in told
    assert "AlmostSolved" in told
    assert "not installed: no wheel" in told
    assert "59 of 60 certified" in told


def test_an_infeasible_plan_of_ours_would_be_seen() -> None:
    assert "**infeasible**" in page.page([{**RESULT, "feasible": False}])


def test_the_kernels_share_is_told_where_it_was_measured() -> None:
    cold = {"kernel_ms": 30.0, "bare_ms": 10.0, "ratio": 3.0}
    warm = {"replan_kernel_ms": 8.0, "replan_bare_ms": 4.0, "replan_ratio": 2.0}
    told = page.page([{**RESULT, "kernel_overhead": cold | warm}])
    assert "30 ms against 10 ms, 3 times; a re-plan of a running cohort 8 ms against 4 ms" in told
    assert "kernel" not in page.page([RESULT]).split("##")[1]


def test_provenance_names_versions_and_processor_and_no_day() -> None:
    assert "Processor: Abacus. Versions: clarabel 0.11, numpy 2.0." in page.page([RESULT])


def test_a_plot_stands_alone_and_has_a_line_a_peer() -> None:
    drawn = page.plot("cfmm", [RESULT])
    assert drawn.startswith("<svg")
    assert "<style>" in drawn
    assert "clarabel, market" in drawn
    assert "ecos" not in drawn


def test_a_changed_result_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(page, "KEPT", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    page.keep(RESULT)
    assert page.main([]) == 0
    assert page.main(["--check"]) == 0
    page.keep({**RESULT, "ours_ms": 9.0})
    assert page.main(["--check"]) == 1
    assert "python benchmarks/page.py" in capsys.readouterr().err
