"""Why a party is missing is written down where its absence ends a round and voids a plan."""

from pathlib import Path

import pytest
from tests.replay.tiny import run_tiny, scenario_text
from tests.rounds.test_plan_life import cohort, ended, every, reasons, until

from covenue.rounds import coordinator
from covenue_contracts.envelope import Decline
from covenue_contracts.plan import PlanVoid, QueryAsked, RoundAbort


def test_a_budget_that_runs_out_is_named_in_the_abort_and_in_the_void() -> None:
    at = ended(cohort(mode="standing", plans=1, retries=0, budgets=(2, 99, 99)))
    assert [body.reason for body in every(at, RoundAbort)] == ["2 of 3 present (budget-exhausted)"]
    assert every(at, PlanVoid)[0].reason == "cohort lost (budget-exhausted)"
    assert reasons(at) == ["void: cohort lost (budget-exhausted)"]


def test_a_party_that_is_silent_gives_no_reason() -> None:
    at = cohort(retries=0, plans=1)
    until(at, QueryAsked, 2)
    at.hosts[2].online = False
    until(at, PlanVoid)
    assert every(at, RoundAbort)[0].reason == "2 of 3 present"
    assert every(at, PlanVoid)[0].reason == "cohort lost"


def test_a_decline_that_arrives_twice_is_entered_once() -> None:
    at = cohort(mode="standing", plans=1, retries=0, budgets=(2, 99, 99))
    until(at, QueryAsked, 3)
    at.read(0)
    (flight,) = (flight for flight in at.flights if flight.sender == 0)
    clock = at.clock(at.setting.parties)
    at.coordinator.submit(at.did(0), flight.body, clock)
    size = at.coordinator.size()
    at.coordinator.submit(at.did(0), flight.body, clock)
    assert at.coordinator.size() == size
    mandate = at.coordinator.state.mandate
    assert mandate is not None
    assert mandate.plan is not None
    assert mandate.plan.round is not None
    assert mandate.plan.round.declined == {at.did(0): "budget-exhausted"}


def test_reasons_of_hostile_parties_fit_a_text() -> None:
    hostile = [f"r{number:063d}" for number in range(500)]
    Decline(query="0" * 64, reason=hostile[0])
    said = f"cohort lost{coordinator._said(hostile)}"
    assert PlanVoid(plan="0" * 64, reason=said).reason.endswith(", others)")
    with pytest.MonkeyPatch.context() as mutant:
        mutant.setattr(coordinator, "REASONS_SHOWN", 10**6)
        with pytest.raises(ValueError, match="at most 4096 characters"):
            PlanVoid(plan="0" * 64, reason=f"cohort lost{coordinator._said(hostile)}")


def test_a_run_whose_budget_ends_says_so_in_its_status_and_summary(
    tmp_path: Path,
) -> None:
    text = scenario_text().replace("exact_max = 500", "exact_max = 1")
    text = text.partition('[[order]]\nmode = "executed"')[0] + "".join(
        f"[[party]]{part}" for part in text.split("[[party]]")[1:]
    )
    done = run_tiny(tmp_path, text)
    why = "cohort lost (budget-exhausted)"
    assert done.result.status == f"void: {why}"
    assert done.result.summary["void"] == {why: 1, "cohort of 0 is too small (budget-exhausted)": 1}
    assert done.result.facts["void plans"].startswith(f"1 x {why}; 1 x ")
