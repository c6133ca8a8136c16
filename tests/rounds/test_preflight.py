"""Before a ledger exists: every refusal names its place, and warnings say what is short."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.replay.tiny import SECONDS, scenario_text, write_scenario

from covenue.errors import BadInput, EntryTooLarge, HeadroomMissing
from covenue.registry.load import Registry
from covenue.rounds import preflight, session
from covenue.rounds.preflight import Prepared
from covenue.rounds.scenario import read_scenario
from covenue_solver_search import search

Prepare = Callable[..., Prepared]
LONG_ENOUGH = scenario_text().replace("plans = 20", "plans = 5")


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Prepare the tiny scenario; replacements say what differs."""

    def prepared(*replacements: tuple[str, str], text: str = LONG_ENOUGH) -> Prepared:
        for old, new in replacements:
            assert old in text, old
            text = text.replace(old, new)
        path = write_scenario(tmp_path / "data", text)
        return preflight.prepare(read_scenario(path), Registry())

    return prepared


def test_a_scenario_that_lasts_is_prepared_without_a_warning(prepare: Prepare) -> None:
    assert prepare().warnings == ()


SOLVER = 'name = "search"'
BAD_OPTIONS: dict[str, tuple[tuple[str, str], str, str]] = {
    "no probes": (
        (SOLVER, f"{SOLVER}\n[solver.options]\nprobes = 0"),
        "solver.options.probes",
        "0",
    ),
    "probes that no entry holds": (
        (SOLVER, f"{SOLVER}\n[solver.options]\nprobes = 5000"),
        "solver.options.probes",
        "5000",
    ),
    "an option misspelt": (
        (SOLVER, f"{SOLVER}\n[solver.options]\nprobess = 9"),
        "solver.options.probess",
        "9",
    ),
    "a negative latency": (
        ("latency_ms = 5", "latency_ms = -1"),
        "engine.options.latency_ms",
        "-1",
    ),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_an_option_that_cannot_be_is_refused_with_its_file_field_and_value(
    prepare: Prepare, tmp_path: Path, case: str
) -> None:
    replacement, field, value = BAD_OPTIONS[case]
    with pytest.raises(BadInput) as caught:
        prepare(replacement)
    error = caught.value
    assert (error.field, error.value) == (field, value)
    assert error.file == str(tmp_path / "data" / "scenario.toml")
    assert not (tmp_path / "out").exists()


def test_a_first_question_that_no_entry_holds_is_refused_before_there_is_a_ledger(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the solver says of its options; without this check the run voids its plans."""
    monkeypatch.setattr(search, "MOST_PROBES", 10**6)
    many = (SOLVER, f"{SOLVER}\n[solver.options]\nprobes = 5000")
    with pytest.raises(EntryTooLarge, match="5000 points") as caught:
        prepare(many)
    assert (caught.value.field, caught.value.value) == ("solver.name", "search")
    assert caught.value.file == str(tmp_path / "data" / "scenario.toml")
    monkeypatch.setattr(preflight, "_check_first_question", lambda *_: None)
    result = session.run(prepare(many), tmp_path / "out")
    assert set(result.summary["void"]) == {"the solver's question does not fit an entry"}
    assert result.status == "void: the solver's question does not fit an entry"


def test_values_that_leave_no_headroom_are_refused_with_party_file_field_and_value(
    prepare: Prepare, tmp_path: Path
) -> None:
    with pytest.raises(HeadroomMissing) as caught:
        prepare(('lot = "0.00001"', 'lot = "0.00001"\nprice_scale = 100000000'))
    error = caught.value
    assert error.what.startswith("party '")
    assert (error.field, error.value) == ("domain.goal.price_scale", "100000000")
    assert error.file == str(tmp_path / "data" / "scenario.toml")


def test_plans_beyond_the_end_of_a_capture_are_warned_of_and_run(
    prepare: Prepare, tmp_path: Path
) -> None:
    prepared = prepare(("plans = 5", f"plans = {SECONDS + 60}"))
    assert len(prepared.warnings) == len(prepared.parties)
    for warning, name in zip(prepared.warnings, ("coinm", "spot", "usdm"), strict=True):
        assert warning.startswith(f"party '{name}' has no state for the last plan of order 1 at ")
        assert "nothing arrived after" in warning
    assert session.run(prepared, tmp_path / "out").status == "ok"


def test_an_order_that_ends_before_its_plans_do_is_asked_at_its_end(prepare: Prepare) -> None:
    text = LONG_ENOUGH.replace("plans = 5", f"plans = {SECONDS + 60}")
    start = int(text.rpartition("start = ")[2].split()[0])
    until = f"start = {start}\nuntil = {start + 5 * 10**9}\nevery_ms = 1000\nplans = {SECONDS + 60}"
    old = f"start = {start}\nevery_ms = 1000\nplans = {SECONDS + 60}"
    assert not any("has no state" in w for w in prepare((old, until), text=text).warnings)


def test_a_budget_that_ends_before_the_plans_do_is_warned_of_and_runs(
    prepare: Prepare, tmp_path: Path
) -> None:
    """Two standing plans take one answer each, five executed ones three each: 17."""
    assert prepare(("exact_max = 500", "exact_max = 17")).warnings == ()
    prepared = prepare(("exact_max = 500", "exact_max = 16"))
    assert len(prepared.warnings) == 3
    assert prepared.warnings[0] == (
        "the budget of party 'coinm' does not last: exact_max is 16, and the planned plans take at "
        "least 17 of signal 'routing-depth'; raise party.coinm.budget.exact_max, or lower plans"
    )
    result = session.run(prepared, tmp_path / "out")
    assert any("budget-exhausted" in why for why in result.summary["void"])
