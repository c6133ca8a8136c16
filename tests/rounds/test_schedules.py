import pytest
from hypothesis.stateful import run_state_machine_as_test
from tests.rounds.machine import profile, schedules


@pytest.mark.parametrize(("stage", "examples"), [("open", 2200), ("voted", 500)])
def test_no_schedule_of_faults_breaks_a_law(stage: str, examples: int) -> None:
    machine = schedules(stage)
    run_state_machine_as_test(machine, settings=profile(examples))
    assert machine.count >= examples


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["open", "voted"])
def test_no_long_schedule_of_faults_breaks_a_law(stage: str) -> None:
    run_state_machine_as_test(schedules(stage), settings=profile(10_000, steps=60))
