"""Whole runs by the central solver beside those on sums: the same plans, and recorded so."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.small_cohort import run
from tests.domains import ladder_markets
from tests.domains.pool_markets import goal, pools
from tests.domains.test_routing_baskets import examples

import covenue
import covenue_domain_execution
from covenue.errors import BadInput, CapabilityMissing
from covenue.registry.load import Registry
from covenue.replay import differential, replay, verify

VWAP = Path(covenue_domain_execution.__file__).parent / "scenarios" / "vwap"


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped scenario, standing plans only."""
    copied = shutil.copytree(VWAP, tmp_path_factory.mktemp("vwap") / "vwap")
    path = copied / "scenario.toml"
    text = path.read_text()
    before, executed, parties = text.partition('[[order]]\nmode = "executed"')
    assert executed
    path.write_text(before + "[[party]]" + parties.partition("[[party]]")[2])
    return path


def test_a_shipped_schedule_is_planned_alike_with_one_flag_changed(
    scenario: Path, tmp_path: Path
) -> None:
    ledgers = [run(scenario, tmp_path / name, solver=name).ledger for name in ("reference", "dual")]
    found = differential.compare(ledgers[0], ledgers[1], ("reference", "dual"), Registry())
    assert found["agree"] is True
    assert len(found["plans"]) == 3
    assert verify(ledgers[0], Registry()).ok
    assert replay(ledgers[0], None, Registry()).status == "identical"


def basket_of() -> tuple[Any, dict[str, Any]]:
    market = examples()[0]
    return market.goal, {f"p{k}": state for k, state in enumerate(market.states)}


def ladders_of() -> tuple[Any, dict[str, Any]]:
    """One of few where the central optimum is a plan as well: its vertex fits one answer."""
    made = ladder_markets.drawn_example(2, 1, 4, seed=10)
    return made.goal, {f"p{k}": state for k, state in enumerate(made.states)}


@pytest.mark.parametrize(("made", "solver"), [(basket_of, "search"), (ladders_of, "proximal")])
def test_baskets_and_ladders_of_a_notebook_are_planned_centrally_too(
    made: Any, solver: str
) -> None:
    aim, problems = made()
    ours = covenue.plan(aim, problems, solver=solver)
    central = covenue.plan(aim, problems, solver="reference")
    assert ours.status == central.status == "certified"
    gaps = abs(ours.bound - ours.value) + abs(central.bound - central.value)
    assert abs(ours.value - central.value) <= gaps


@pytest.mark.parametrize("made", [basket_of, ladders_of])
def test_under_a_mechanism_that_hides_nothing_is_disclosed(made: Any) -> None:
    aim, problems = made()
    with pytest.raises(CapabilityMissing, match="DISCLOSE"):
        covenue.plan(aim, problems, solver="reference", privacy="secagg")


def test_a_debt_that_nobody_can_pay_is_named_to_the_user() -> None:
    made = goal(("a", "b"))
    owed = made.model_copy(update={"terms": {**made.terms, "least": ("0", str(2**30 * 5000))}})
    states = {"one": pools(("a", "b"), [(0, 1, 1000.0, 500.0, 100)])}
    for solver in ("dual", "lbfgs", "reference"):
        with pytest.raises(BadInput, match="infeasible: 'b' cannot be met"):
            covenue.plan(owed, states, solver=solver)
