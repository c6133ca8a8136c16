"""The engine: rule by rule, and against a slow list that is searched anew for every request."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue_venue_sim import engine
from covenue_venue_sim.engine import (
    BUY,
    SELF_TRADE,
    SELL,
    TERMS,
    Amend,
    Cancel,
    Engine,
    Execution,
    New,
    Report,
    Request,
    Rules,
    SelfTrade,
    Terms,
    fee,
)


def buy(name: str, ticks: int, steps: int, terms: Terms = "limit", owner: str = "") -> New:
    return New(name, owner or name, BUY, ticks, steps, terms)


def sell(name: str, ticks: int, steps: int, terms: Terms = "limit", owner: str = "") -> New:
    return New(name, owner or name, SELL, ticks, steps, terms)


def after(*requests: Request, rules: Rules | None = None) -> Engine:
    made = Engine(rules or Rules())
    for request in requests:
        made.submit(request)
    return made


def met(report: Report) -> list[tuple[str, int, int]]:
    return [(e.maker, e.ticks, e.steps) for e in report.executions]


def test_a_better_price_executes_first_and_then_who_came_first() -> None:
    made = after(sell("late", 11, 5), sell("first", 10, 5), sell("second", 10, 5))
    report = made.submit(buy("b", 11, 12))
    assert met(report) == [("first", 10, 5), ("second", 10, 5), ("late", 11, 2)]
    assert made.levels(SELL) == [(11, 3)]
    assert made.levels(BUY) == []


def test_what_is_left_of_a_limit_order_rests_and_is_partly_filled_later() -> None:
    made = after(sell("s", 10, 3))
    assert made.submit(buy("b", 10, 8)).rests == 5
    assert met(made.submit(sell("t", 9, 2))) == [("b", 10, 2)]
    assert made.levels(BUY) == [(10, 3)]


def test_immediate_or_cancel_never_rests() -> None:
    made = after(sell("s", 10, 3))
    report = made.submit(buy("b", 10, 8, "ioc"))
    assert (met(report), report.rests, report.dropped) == ([("s", 10, 3)], 0, 5)
    assert made.levels(BUY) == made.levels(SELL) == []


def test_fill_or_kill_takes_all_or_changes_nothing() -> None:
    made = after(sell("s", 10, 3), sell("t", 11, 3), sell("u", 12, 9))
    killed = made.submit(buy("b", 11, 7, "fok"))
    assert (killed.refused != "", met(killed), killed.rests) == (True, [], 0)
    assert made.levels(SELL) == [(10, 3), (11, 3), (12, 9)]
    assert met(made.submit(buy("c", 11, 6, "fok"))) == [("s", 10, 3), ("t", 11, 3)]


def test_post_only_never_takes() -> None:
    made = after(sell("s", 10, 3))
    assert made.submit(buy("b", 10, 1, "post")).refused
    assert made.submit(buy("c", 9, 1, "post")).rests == 1
    assert made.levels(SELL) == [(10, 3)]


def test_less_at_the_same_price_keeps_its_place() -> None:
    made = after(sell("first", 10, 5), sell("second", 10, 5), Amend("first", 10, 2))
    assert met(made.submit(buy("b", 10, 3))) == [("first", 10, 2), ("second", 10, 1)]


@pytest.mark.parametrize("steps", [6, 5_000])
def test_more_loses_its_place(steps: int) -> None:
    made = after(sell("first", 10, 5), sell("second", 10, 5), Amend("first", 10, steps))
    assert met(made.submit(buy("b", 10, 6))) == [("second", 10, 5), ("first", 10, 1)]


def test_another_price_loses_its_place_and_may_take_at_once() -> None:
    made = after(sell("first", 10, 5), sell("second", 11, 5), Amend("first", 11, 5))
    assert met(made.submit(buy("b", 11, 6, "ioc"))) == [("second", 11, 5), ("first", 11, 1)]
    made.submit(buy("bid", 8, 9))
    crossing = made.submit(Amend("first", 8, 4))
    assert met(crossing) == [("bid", 8, 4)]
    assert made.levels(BUY) == [(8, 5)]


def test_a_post_only_order_amended_into_the_other_side_stays_where_it_was() -> None:
    made = after(buy("b", 8, 2), sell("first", 10, 5, "post"), sell("second", 10, 5))
    assert made.submit(Amend("first", 8, 5)).refused
    assert met(made.submit(buy("c", 10, 6))) == [("first", 10, 5), ("second", 10, 1)]


def test_what_does_not_rest_is_neither_cancelled_nor_amended() -> None:
    made = after(sell("s", 10, 3), buy("b", 10, 3))
    for request in (Cancel("s"), Amend("s", 10, 1), Cancel("never")):
        assert made.submit(request).refused == "no such order rests"
    assert made.submit(Cancel("b")).refused


def test_a_cancelled_order_is_gone_and_its_id_is_free_again() -> None:
    made = after(sell("s", 10, 3))
    assert made.submit(sell("s", 11, 1)).refused
    assert made.submit(Cancel("s")).dropped == 3
    assert made.submit(sell("s", 11, 1)).rests == 1


@pytest.mark.parametrize("request_", [buy("b", 0, 1), buy("b", 1, 0), sell("b", -1, 5)])
def test_a_price_or_quantity_of_zero_is_refused(request_: New) -> None:
    made = after(sell("s", 10, 3))
    assert made.submit(request_).refused
    assert made.submit(Amend("s", 10, 0)).refused
    assert made.submit(Amend("s", 0, 3)).refused
    assert made.levels(SELL) == [(10, 3)]


SELF: dict[SelfTrade, tuple[list[tuple[str, int, int]], list[tuple[int, int]], int]] = {
    "cancel-resting": ([("a", 10, 2), ("c", 10, 3)], [], 0),
    "cancel-incoming": ([("a", 10, 2)], [(10, 8)], 3),
    "cancel-both": ([("a", 10, 2)], [(10, 3)], 3),
}


@pytest.mark.parametrize("rule", SELF_TRADE)
def test_nobody_executes_with_themselves(rule: SelfTrade) -> None:
    executed, left, dropped = SELF[rule]
    made = after(
        sell("a", 10, 2), sell("mine", 10, 5, owner="me"), sell("c", 10, 3), rules=Rules(0, 0, rule)
    )
    report = made.submit(buy("b", 10, 5, owner="me"))
    assert met(report) == executed
    assert made.levels(SELL) == left
    assert (report.dropped, report.rests) == (dropped, 0)
    assert report.prevented == (() if rule == "cancel-incoming" else ("mine",))


@pytest.mark.parametrize("rule", SELF_TRADE)
def test_fill_or_kill_counts_no_order_of_its_own(rule: SelfTrade) -> None:
    made = after(sell("mine", 10, 5, owner="me"), sell("c", 10, 3), rules=Rules(0, 0, rule))
    report = made.submit(buy("b", 10, 3, "fok", owner="me"))
    assert bool(report.refused) == (rule != "cancel-resting")
    assert made.levels(SELL) == ([] if rule == "cancel-resting" else [(10, 8)])


def test_fees_are_rounded_against_who_pays_them() -> None:
    assert [fee(money, 1) for money in (0, 1, 10**6, 10**6 + 1)] == [0, 1, 1, 2]
    assert [fee(money, -1) for money in (0, 1, 10**6, 2 * 10**6 - 1)] == [0, 0, -1, -1]
    made = after(sell("s", 10, 3), rules=Rules(-50_000, 70_001))
    (execution,) = made.submit(buy("b", 10, 3)).executions
    assert (execution.maker_fee, execution.taker_fee) == (-1, 3)


@dataclass
class Line:
    """A resting order of the oracle."""

    new: New
    left: int
    arrival: int


@dataclass
class ListOracle:
    """Resting orders in one list, searched from scratch for every execution."""

    rule: SelfTrade
    lines: list[Line] = field(default_factory=list)
    arrivals: int = 0

    def best(self, new: New) -> Line | None:
        """The order on the other side that comes first, within the limit."""
        sign = 1 if new.side == BUY else -1
        reached = [
            line
            for line in self.lines
            if line.new.side != new.side and (new.ticks - line.new.ticks) * sign >= 0
        ]
        return min(reached, key=lambda line: (line.new.ticks * sign, line.arrival), default=None)

    def submit(self, request: Request) -> list[tuple[str, str, int, int]]:
        """Do a request; every execution as (maker, taker, ticks, steps)."""
        if isinstance(request, New):
            if any(line.new.id == request.id for line in self.lines):
                return []
            return self.take_and_rest(request)
        line = next((line for line in self.lines if line.new.id == request.id), None)
        if line is None:
            return []
        if isinstance(request, Amend):
            return self.amend(line, request)
        self.lines.remove(line)
        return []

    def amend(self, line: Line, request: Amend) -> list[tuple[str, str, int, int]]:
        new = line.new
        if request.ticks == new.ticks and request.steps <= line.left:
            line.left = request.steps
            return []
        moved = New(new.id, new.owner, new.side, request.ticks, request.steps, new.terms)
        if new.terms == "post" and self.best(moved) is not None:
            return []
        self.lines.remove(line)
        return self.take_and_rest(moved)

    def take_and_rest(self, new: New) -> list[tuple[str, str, int, int]]:
        if new.terms == "post" and self.best(new) is not None:
            return []
        before = [Line(line.new, line.left, line.arrival) for line in self.lines]
        executed, left, stopped = [], new.steps, False
        while left and not stopped and (line := self.best(new)) is not None:
            if line.new.owner == new.owner:
                if self.rule != "cancel-incoming":
                    self.lines.remove(line)
                stopped = self.rule != "cancel-resting"
                continue
            steps = min(left, line.left)
            executed.append((line.new.id, new.id, line.new.ticks, steps))
            left, line.left = left - steps, line.left - steps
            if not line.left:
                self.lines.remove(line)
        if new.terms == "fok" and left:
            self.lines = before
            return []
        if left and not stopped and new.terms in {"limit", "post"}:
            self.arrivals += 1
            self.lines.append(Line(new, left, self.arrivals))
        return executed

    def levels(self, side: int) -> list[tuple[int, int]]:
        """One side as (ticks, steps), best first."""
        sums: Counter[int] = Counter()
        for line in self.lines:
            if line.new.side == side:
                sums[line.new.ticks] += line.left
        return sorted(sums.items(), key=lambda level: level[0] * (1 if side == SELL else -1))


NAMES = st.sampled_from([f"o{number}" for number in range(9)])
TICKS, STEPS = st.integers(1, 7), st.integers(1, 9)
REQUESTS = st.one_of(
    st.builds(
        New,
        NAMES,
        st.sampled_from(["x", "y", "z"]),
        st.sampled_from([BUY, SELL]),
        TICKS,
        STEPS,
        st.sampled_from(TERMS),
    ),
    st.builds(Cancel, NAMES),
    st.builds(Amend, NAMES, TICKS, STEPS),
)
STREAMS = st.lists(REQUESTS, max_size=60)


def pairs(executions: tuple[Execution, ...]) -> list[tuple[str, str, int, int]]:
    return [(e.maker, e.taker, e.ticks, e.steps) for e in executions]


def agree_with_the_oracle(rule: SelfTrade, stream: list[Request]) -> None:
    made, oracle = Engine(Rules(0, 0, rule)), ListOracle(rule)
    for request in stream:
        assert pairs(made.submit(request).executions) == oracle.submit(request)
        for side in (BUY, SELL):
            assert made.levels(side) == oracle.levels(side)


@settings(max_examples=300, deadline=None)
@given(rule=st.sampled_from(SELF_TRADE), stream=STREAMS)
def test_the_engine_agrees_with_a_slow_list_on_every_stream(
    rule: SelfTrade, stream: list[Request]
) -> None:
    agree_with_the_oracle(rule, stream)


@settings(max_examples=200, deadline=None)
@given(
    rule=st.sampled_from(SELF_TRADE),
    maker=st.integers(-900_000, 900_000),
    taker=st.integers(-900_000, 900_000),
    stream=STREAMS,
)
def test_quantity_and_cash_are_conserved_and_the_book_is_never_crossed(
    rule: SelfTrade, maker: int, taker: int, stream: list[Request]
) -> None:
    """Every step of an order executes, rests or is dropped; what one pays the others receive."""
    made = Engine(Rules(maker, taker, rule))
    position: Counter[str] = Counter()
    cash: Counter[str] = Counter()
    owners: dict[str, New] = {}
    fees = resting = 0
    for request in stream:
        had = made.resting(request.id)
        report = made.submit(request)
        executed = sum(e.steps for e in report.executions)
        gone = sum(made.resting(name) for name in report.prevented)
        assert gone == 0
        if not report.refused:
            if isinstance(request, New):
                owners[request.id] = request
                assert request.steps == executed + report.rests + report.dropped
            elif isinstance(request, Amend):
                least = min(had, request.steps)
                assert least <= executed + report.rests + report.dropped
            else:
                assert report.dropped == had
        for e in report.executions:
            taking, making = owners[e.taker], owners[e.maker]
            assert taking.owner != making.owner
            sign = 1 if taking.side == BUY else -1
            position[taking.owner] += sign * e.steps
            position[making.owner] -= sign * e.steps
            cash[taking.owner] -= sign * e.ticks * e.steps + e.taker_fee
            cash[making.owner] += sign * e.ticks * e.steps - e.maker_fee
            fees += e.taker_fee + e.maker_fee
            assert e.taker_fee * 1_000_000 >= e.ticks * e.steps * taker
            assert e.maker_fee * 1_000_000 >= e.ticks * e.steps * maker
        assert sum(position.values()) == 0
        assert sum(cash.values()) + fees == 0
        bids, asks = made.levels(BUY), made.levels(SELL)
        assert not bids or not asks or bids[0][0] < asks[0][0]
        resting = sum(steps for _, steps in (*bids, *asks))
        assert resting == sum(made.resting(name) for name in owners)
        assert all(steps > 0 for _, steps in (*bids, *asks))


def ignore_priority(self: Any, order: Any) -> None:
    ADD(self, order)
    level = self._levels[order.ticks * self._sign]
    first = dict(reversed(level.items()))
    level.clear()
    level.update(first)


ADD = engine._Queue.add
MUTANTS: dict[str, tuple[Any, str, Any, list[Request]]] = {
    "who came last executes first": (
        engine._Queue,
        "add",
        ignore_priority,
        [sell("a", 5, 1), sell("b", 5, 1), buy("c", 5, 1)],
    ),
    "more keeps its place": (
        engine,
        "keeps_priority",
        lambda resting, amend: amend.ticks == resting.ticks,
        [sell("a", 5, 1), sell("b", 5, 1), Amend("a", 5, 2), buy("c", 5, 1)],
    ),
    "less loses its place": (
        engine,
        "keeps_priority",
        lambda resting, amend: False,
        [sell("a", 5, 2), sell("b", 5, 1), Amend("a", 5, 1), buy("c", 5, 1)],
    ),
    "post-only takes": (
        engine,
        "takes_at_once",
        lambda against, ticks: False,
        [sell("a", 5, 2), buy("b", 5, 1, "post")],
    ),
    "fill or kill fills partly": (
        Engine,
        "_fillable",
        lambda self, new: new.steps,
        [sell("a", 5, 2), buy("b", 5, 3, "fok")],
    ),
    "one owner executes with themselves": (
        Engine,
        "_prevent",
        lambda self, maker, match: (
            match.executions.append(Execution(maker.id, "b", maker.ticks, maker.steps, 0, 0)),
            self._remove(maker),
        ),
        [sell("a", 5, 2, owner="me"), buy("b", 5, 2, owner="me")],
    ),
}


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_each_rule_switched_off_disagrees_with_the_oracle(
    mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, name, replacement, stream = MUTANTS[mutant]
    agree_with_the_oracle("cancel-resting", stream)
    monkeypatch.setattr(home, name, replacement)
    with pytest.raises(AssertionError):
        agree_with_the_oracle("cancel-resting", stream)
