import time

import pytest

from covenue.rounds.clocks import RecordedClock


def test_a_recorded_clock_stands_still_until_somebody_waits() -> None:
    clock = RecordedClock(100)
    assert clock.read() == clock.read()
    clock.wait_until(150)
    reading = clock.read()
    assert (reading.wall, reading.monotonic, reading.source) == ("150", "50", "recorded")


def test_a_recorded_clock_never_goes_back_by_waiting() -> None:
    clock = RecordedClock(100)
    clock.wait_until(50)
    assert clock.read().wall == "100"


def test_a_rewound_clock_is_a_new_boot() -> None:
    clock = RecordedClock(100)
    clock.start_at(130)
    assert clock.read().boot == "recorded-1"
    clock.start_at(90)
    reading = clock.read()
    assert (reading.boot, reading.wall, reading.monotonic) == ("recorded-2", "90", "0")


def test_a_pace_sleeps_that_share_of_recorded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    RecordedClock(0, pace=4.0).wait_until(2_000_000_000)
    assert slept == [0.5]
