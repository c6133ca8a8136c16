"""Books of several instruments end to end: one pass counts what one by one does."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue.errors import HeadroomMissing
from covenue.hooks.domains import EMPTY
from covenue.numerics.words import integers
from covenue.testing.domains import commit_query, depth_query
from covenue_contracts.plan import Goal, Member
from covenue_domain_routing import Books, Routing, basket, stacks
from covenue_domain_routing.racks import racked
from covenue_domain_routing.stacks import (
    Array,
    Stack,
    counted_each,
    stack,
    swept_each,
    walked_each,
)

Case = tuple[list[Stack], Array, Array]


@st.composite
def shelves(draw: st.DrawFn) -> Case:
    """Stacks of some instruments, none or some books each; their edges, and where these end."""
    held_by, edges = [], []
    for _ in range(draw(st.integers(1, 4))):
        books = draw(st.lists(st.lists(st.integers(1, 60), max_size=7), max_size=4))
        axis = np.array([step for book in books for step in sorted(book)], dtype=np.int64)
        lots = draw(st.lists(st.integers(0, 9), min_size=len(axis), max_size=len(axis)))
        starts = np.array([0, *np.cumsum([len(book) for book in books])], dtype=np.int64)
        held = np.array(lots, dtype=np.int64)
        held_by.append(stack(axis, lots=held, starts=starts, price=axis, most=2**62, scale=1))
        edges.append(sorted(draw(st.lists(st.integers(-3, 70), max_size=9))))
    ends = np.array([0, *np.cumsum([len(own) for own in edges])], dtype=np.int64)
    return held_by, np.array([each for own in edges for each in own], dtype=np.int64), ends


@settings(deadline=None)
@given(shelves())
def test_machine_code_numpy_and_plain_loops_count_each_instrument_alike(case: Case) -> None:
    alone, edges, ends = case
    rack = racked(alone)
    sides = ((rack.lots_before, Stack.depth), (rack.value_before, Stack.value))
    plain = walked_each.plain  # type: ignore[attr-defined]  # what `compiled` adds
    for before, by_stack in sides:
        parts = [by_stack(one, edges[ends[k] : ends[k + 1]]) for k, one in enumerate(alone)]
        for count in (walked_each, plain, swept_each, counted_each):
            said = count(rack.axis, before, rack.starts, rack.first, edges, ends)
            assert said.tolist() == np.concatenate(parts).tolist()


def test_the_switch_decides_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(stacks, "walked_each", lambda *_: called.append("loops"))
    monkeypatch.setattr(stacks, "swept_each", lambda *_: called.append("arrays"))
    empty = np.zeros(0, dtype=np.int64)
    for compiling in (True, False):
        monkeypatch.setattr(stacks, "is_compiling", lambda compiling=compiling: compiling)
        counted_each(empty, empty, empty, empty, empty, empty)
    assert called == ["loops", "arrays"]


def goal() -> Goal:
    """Three instruments of one value, and money enough."""
    wanted = {name: (str(2**33), str(2**30 - 1)) for name in ("btc", "eth", "sol")}
    return basket(wanted, str(2**61), lot="1", price_scale=1)


def made(lots: int) -> Any:
    """One party's book of each, one level of 2^62 at most in value."""
    books = Books(np.full((1, 3, 1), 2**29), np.full((1, 3, 1), lots))
    alone = Member(did="did:key:z" + "A" * 47, name="all", slot=0)
    return Routing().problem(goal(), [alone], alone, books, {})


def test_spend_of_all_instruments_together_must_fit_a_word() -> None:
    """Each instrument's fits: a sum of three would come out negative."""
    whole = [1 << 30] * 3
    query = depth_query([1, 1, 1, *whole, *(0, 0) * 3, 1 << 40])
    held = made(2**31)
    keys = [key for cut in (2**30,) * 3 for key in (cut, 0)]
    said = integers(held.answer(depth_query([1, 1, 1, *whole, *keys, 1 << 40]), EMPTY)[0])
    assert said == (2**31, 2**31, 2**31, 3 * 2**60, 2**31, 2**31, 2**31)
    assert integers(held.answer(query, EMPTY)[0])[3] == 0, "cuts at 0 take nothing"
    with pytest.raises(HeadroomMissing, match="64 bits"):
        made(2**33)


def test_without_the_check_of_the_whole_a_spend_comes_out_negative(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("covenue_domain_routing.basket_problem.sum", lambda _: 0, raising=False)
    keys = [key for cut in (2**30,) * 3 for key in (cut, 0)]
    query = depth_query([1, 1, 1, *[1 << 30] * 3, *keys, 1 << 40])
    assert integers(made(2**33).answer(query, EMPTY)[0])[3] < 0


def test_a_solution_beyond_64_bits_is_read_as_their_end() -> None:
    actions, planned, _ = made(2**31).commit(
        commit_query([2**80, 0] * 3 + [2**80, 0]), EMPTY, "a" * 64
    )
    assert integers(planned) == (2**31, 2**31, 2**31, 3 * 2**60)
    assert len(actions.legs) == 3
