"""Kills what keeps a journal: in the middle of a write, or from outside at any moment."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from covenue.hooks.venues import VenueAdapter
from covenue.testing.venues import LATER, at, order_id
from covenue_contracts.local import Actions


def dies_before_it_is_kept(
    venue: VenueAdapter, actions: Actions, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apply order 1, and die where its line would become durable."""

    def killed(handle: int) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        venue.apply(order_id(1), actions, LATER, now)


def applies_for_ever(venue: VenueAdapter, actions: Actions) -> NoReturn:
    """Apply one order after the other, and say how many have had an answer."""
    number = int(str(venue.facts()["orders"]))
    while True:
        venue.apply(order_id(number), actions, LATER, at(1) + number)
        number += 1
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def lives(writer: Path, folder: Path, kills: int, *words: str) -> Sequence[int]:
    """How many orders each of so many killed writers had answered."""
    answered = []
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, str(writer), str(folder), *words], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            said = [child.stdout.readline() for _ in range(5)]
            child.send_signal(signal.SIGKILL)
            said += child.stdout.readlines()
        whole = [line for line in said if line.endswith("\n")]
        answered.append(int(whole[-1]))
    return answered
