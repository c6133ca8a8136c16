"""Runs the cases of a venue's suite with one guard switched off; what every paper venue shares."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from covenue.errors import CovenueError
from covenue.hooks.journal import Applied, Journal
from covenue.numerics import fills
from covenue.numerics.fills import Executed, execute, refusal
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Leg, Outcome

LOT = Fraction(1, 100_000)
PINS = count()
Levels = Sequence[tuple[int, int]]

Mutant = tuple[Any, str, Any, str]
"""Where the guard is, its name there, what replaces it, and the start of the case that sees it."""


def blind(self: Journal[Any], order: str, execute: Callable[[], Applied[Any]]) -> Sequence[Outcome]:
    applied = execute()
    self.keep(order, applied)
    return (applied.outcome,)


def invented(self: Journal[Any], order: str) -> Sequence[Outcome]:
    return (Outcome(order=order, status="refused", fills=(), swaps=(), reason="not found"),)


def forgetful(
    self: Journal[Any], order: str, execute: Callable[[], Applied[Any]]
) -> Sequence[Outcome]:
    if order not in self.orders:
        self.keep(order, Applied(execute().outcome, ()))
    return (self.orders[order].outcome,)


JOURNAL_MUTANTS: Mapping[str, Mutant] = {
    "a blind re-send executes again": (Journal, "once", blind, "ven_013_the_same_order"),
    "an outcome is invented for an unknown order": (
        Journal,
        "outcomes",
        invented,
        "ven_013_reconcile",
    ),
    "orders are kept in memory only": (
        Journal,
        "_append",
        lambda self, path, data: None,
        "ven_013_an_order_survives",
    ),
}


def steps_read_as_units(
    levels: Levels, leg: Leg, number: int, traded: Instrument, unit: Fraction
) -> Executed:
    got = execute(levels, leg, number, traded, unit)
    counted = [fill.model_copy(update={"units": fill.quantity_steps}) for fill in got.fills]
    return Executed(tuple(counted), got.short)


def units_of_ones_own(
    levels: Levels, leg: Leg, number: int, traded: Instrument, unit: Fraction
) -> Executed:
    return execute(levels, leg, number, traded, LOT)


def leg_mutants(venue: ModuleType) -> Mapping[str, Mutant]:
    """Mutants of a venue that executes legs on a book; `venue` is the module of its adapter."""
    return {
        "a late order executes": (
            venue,
            "refusal",
            lambda actions, traded, valid_until, instant: refusal(
                actions, traded, instant, instant
            ),
            "ven_013_nothing_executes_after",
        ),
        "steps are read as units": (
            venue,
            "execute",
            steps_read_as_units,
            "ven_014_units_are_whole",
        ),
        "the unit of the actions is ignored": (
            venue,
            "execute",
            units_of_ones_own,
            "ven_014_units_are_those",
        ),
        "most_units is ignored": (
            fills,
            "affordable",
            lambda steps, ticks, units_left, traded, unit: steps,
            "ven_014_no_more_than_most",
        ),
        "the limit is ignored": (
            fills,
            "is_within",
            lambda ticks, leg: True,
            "ven_014_no_more_than_the_quantity",
        ),
        "the digest depends on the instant": (
            venue,
            "state_digest",
            lambda state: str(next(PINS)),
            "ven_019_neither_chunks",
        ),
    }


def is_killed(
    suites: Sequence[type], mutant: Mutant, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that the mutant's case passes without it and fails with it, in every suite."""
    home, name, replacement, case = mutant
    for number, suite in enumerate(suites):
        run(suite, case, folder / f"clean-{number}")
    monkeypatch.setattr(home, name, replacement)
    for number, suite in enumerate(suites):
        with pytest.raises((AssertionError, CovenueError)):
            run(suite, case, folder / f"mutant-{number}")


def run(suite: type, case: str, folder: Path) -> None:
    """Run one case by the start of its name."""
    (name,) = named(suite, case)
    folder.mkdir()
    getattr(suite(), name)(folder)


def named(suite: type, case: str) -> list[str]:
    """The cases of a suite whose names start so."""
    return [name for name in dir(suite) if name.startswith(f"test_{case}")]


def without_mutant(suite: type, mutants: Mapping[str, Mutant]) -> set[str]:
    """The cases of a suite that no mutant is killed by."""
    killed = {name for *_, case in mutants.values() for name in named(suite, case)}
    return set(named(suite, "ven_")) - killed
