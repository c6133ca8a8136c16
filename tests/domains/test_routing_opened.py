"""Figures with all books opened, by hand on small books; report sections from them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from covenue.errors import StateStale
from covenue.hooks.domains import OpenedParty, OpenedPlan
from covenue.hooks.venues import NEVER_SEEN, BookState, NeverSeen, Snapshot
from covenue.testing.solvers import play
from covenue_contracts.contract import Scalar
from covenue_contracts.energibridge import ClockStamp, Instrument
from covenue_contracts.local import Actions, Fill, Outcome
from covenue_contracts.plan import Goal, Member, PlanDelta, PlanMode
from covenue_domain_routing import Routing, buy
from covenue_solver_search import Search

STAMP = ClockStamp(venue_time=None, local_time="0", clock="test", offset="0", half_width="0")
ZERO = "0" * 64
BOOK = Sequence[tuple[int, int]]


class Recorded:
    """A venue that serves one book for each instant; steps of one lot, or of ten."""

    def __init__(self, books: Mapping[int, BOOK], step: str = "1") -> None:
        self.books = books
        self.instrument = Instrument(
            venue="test",
            symbol="X",
            canonical="x",
            base="X",
            quote="Q",
            tick="1",
            step=step,
            minimum=step,
            multiplier="1",
            payoff="linear",
            hours="",
            zone="UTC",
        )

    def pin(self, as_of: int) -> Snapshot:
        if as_of not in self.books:
            raise StateStale("no state", "ask at another instant")
        asks = np.array(self.books[as_of], dtype=np.int64).reshape(-1, 2)
        return Snapshot("order-book/v1", as_of, ZERO, self._book(asks))

    def _book(self, asks: Any) -> BookState:
        return BookState(self.instrument, asks[:0], asks, 1, STAMP)

    def apply(self, order: str, actions: Actions, valid_until: int, now: int) -> Sequence[Outcome]:
        return ()

    def reconcile(self, order: str) -> Sequence[Outcome] | NeverSeen:
        return NEVER_SEEN

    def facts(self) -> Mapping[str, Scalar]:
        return {}

    def close(self) -> None:
        """Nothing is held."""


def member(slot: int, name: str) -> Member:
    return Member(did="did:key:z" + "6" * 46 + "123"[slot], name=name, slot=slot)


CHEAP: dict[int, BOOK] = {0: [(100, 4), (103, 9)], 1: [(101, 4), (103, 9)], 2: [(110, 40)]}
DEAR: dict[int, BOOK] = {0: [(102, 30)], 1: [(102, 30)], 2: [(102, 30)]}


def parties(step: str = "1") -> list[OpenedParty]:
    """Given out of order on purpose: figures are in order of slot."""
    second = OpenedParty(member(1, "dear"), {}, Recorded(DEAR, step))
    first = OpenedParty(member(0, "cheap"), {}, Recorded(CHEAP))
    return [second, first]


def standing(
    opened: Sequence[OpenedParty], goal: Goal, instants: Sequence[int] = (0, 1, 2)
) -> list[OpenedPlan]:
    """Standing plans as the kernel would have made them, by search on sums."""
    domain, members = Routing(), [party.member for party in opened]
    made = []
    for number in instants:
        problems = [
            domain.problem(goal, members, p.member, p.venue.pin(number), p.config) for p in opened
        ]
        ended = play(Search(), domain.coupling(goal, members), problems)
        delta = PlanDelta(
            plan=ZERO,
            parent=None,
            after=None,
            status=ended.solution.status,
            multipliers=None,
            solution=tuple(map(str, ended.solution.points)),
            change=(),
            value=str(ended.solution.value),
            bound=str(ended.solution.bound),
            gap="0",
            shortfall=str(ended.solution.shortfall),
            rounds=len(ended.queries),
            transcript=ZERO,
            cohort=tuple(member.did for member in members),
        )
        made.append(_plan(number, "standing", goal=goal, delta=delta, closed="standing plan"))
    return made


def _plan(
    number: int,
    mode: PlanMode,
    *,
    goal: Goal,
    delta: PlanDelta | None,
    closed: str,
    executed: Mapping[str, Sequence[Outcome]] | None = None,
) -> OpenedPlan:
    return OpenedPlan(
        number=number,
        mode=mode,
        as_of=number,
        goal=goal,
        delta=delta,
        rounds=3,
        closed=closed,
        executed=executed or {},
        went=bool(executed),
    )


def goal(quantity: int = 10, **more: str) -> Goal:
    return buy(quantity, lot="1", price_scale=1, **more)


def figures(plans: Sequence[OpenedPlan], opened: Sequence[OpenedParty]) -> dict[str, Any]:
    made = Routing().opened_figures(plans, opened)
    return json.loads(json.dumps(made))  # type: ignore[no-any-return]  # on purpose: what is refused or handed on


def test_the_figures_of_three_plans_by_hand() -> None:
    opened = parties()
    made = figures(standing(opened, goal()), opened)["standing"]
    assert made["venues"] == ["cheap", "dear"]
    first, second, third = made["plans"]
    assert (first["k"], first["price"], first["lots"], first["cost"]) == (0, 102, [4, 6], 1_012)
    assert (second["lots"], second["cost"]) == ([4, 6], 1_016)
    assert (third["lots"], third["cost"]) == ([0, 10], 1_020)
    assert [row["best_single"] for row in made["plans"]] == ["cheap", "dear", "dear"]
    assert first["best_single_cost"] == 4 * 100 + 6 * 103
    assert first["saving_vs_best_single_bps"] == pytest.approx(6 / 1_018 * 10_000)
    assert second["best_single_cost"] == 1_020
    assert made["cost_vs_central_optimum_lots"] == 0
    assert made["cost_vs_central_optimum"] == 0
    assert (made["changed_share"], made["moved_lots"]) == (0.5, 4)


def test_an_odd_number_of_moved_lots_is_rounded_up_and_stays_whole() -> None:
    opened = parties()
    first, second, third = standing(opened, goal())
    assert third.delta is not None
    key, residual = third.delta.solution
    smaller = third.delta.model_copy(update={"solution": (key, str(int(residual) - 1))})
    made = figures([first, second, replace(third, delta=smaller)], opened)["standing"]
    assert [sum(row["lots"]) for row in made["plans"]] == [10, 10, 9]
    assert made["moved_lots"] == 4
    assert type(made["moved_lots"]) is int


def test_limits_of_earlier_plans_leave_what_moved_away() -> None:
    """From 0 to 1 the cheap level moves within the limit; from 1 to 2 four lots leave it."""
    opened = parties()
    made = figures(standing(opened, goal()), opened)["standing"]
    assert made["unfilled_share"] == {"1": 0.2, "5": None, "10": None}


def test_a_wrong_plan_shows_its_distance_from_the_optimum() -> None:
    """Mutant: a proposal one key too high; the independent merge sees lots and cost."""
    opened = parties()
    (plan, *_) = standing(opened, goal())
    assert plan.delta is not None
    lie = plan.delta.model_copy(update={"solution": (str(103 * 2), "0"), "value": "1020"})
    wrong = OpenedPlan(0, "standing", 0, goal(), lie, 3, "")
    made = figures([wrong], opened)["standing"]
    assert made["cost_vs_central_optimum_lots"] > 0
    assert made["cost_vs_central_optimum"] == 8


def test_native_steps_cost_lots_and_say_so() -> None:
    opened = parties(step="4")
    made = figures(standing(opened, goal(), [0]), opened)["standing"]
    assert made["plans"][0]["lots"] == [4, 6]
    assert made["plans"][0]["rounding_lots"] == [0, 2]
    assert made["rounding_lots"] == 2


def test_a_shortfall_plans_all_there_is_at_the_worst_price() -> None:
    opened = parties()
    made = figures(standing(opened, goal(1_000), [0]), opened)["standing"]
    (row,) = made["plans"]
    assert (row["lots"], row["shortfall"], row["price"]) == ([13, 30], 957, 103)
    assert (row["best_single"], row["saving_vs_best_single_bps"]) == (None, None)
    assert made["saving_vs_best_single_bps"] is None


def test_who_was_not_in_the_cohort_has_no_share() -> None:
    opened = parties()
    (plan, *_) = standing(opened, goal(5), [1])
    assert plan.delta is not None
    alone = plan.delta.model_copy(update={"cohort": (member(0, "cheap").did,)})
    lone = OpenedPlan(1, "standing", 1, goal(5), alone, 3, "")
    assert figures([lone], opened)["standing"]["plans"][0]["lots"] == [4, 0]


def _outcome(*fills: tuple[int, int]) -> Outcome:
    made = tuple(
        Fill(leg=0, price_ticks=str(price), quantity_steps=str(lots), units=str(lots))
        for price, lots in fills
    )
    return Outcome(order=ZERO, status="done", fills=made, swaps=(), reason=None)


def test_executed_figures_count_fills_at_their_own_prices() -> None:
    opened = [
        OpenedParty(p.member, {"fee_bps": "100"} if p.member.slot else {}, p.venue)
        for p in parties()
    ]
    (planned, *_) = standing(opened, goal())
    cheap, dear = "cheap", "dear"
    after = (
        Routing()
        .coupling(goal(), [member(0, "cheap")])
        .left(np.array([6]), np.array([0]), np.array([0]))
    )
    plans = [
        _plan(
            0,
            "executed",
            goal=goal(),
            delta=planned.delta,
            closed="settled",
            executed={cheap: [_outcome((100, 3), (101, 1))], dear: [_outcome((102, 2))]},
        ),
        _plan(1, "executed", goal=after, delta=None, closed="void: cohort of 1 is too small"),
        _plan(2, "settle-only", goal=after, delta=None, closed="settled"),
    ]
    made = figures(plans, opened)["executed"]
    dear_price = 104  # 102 and one per cent, rounded up
    assert made["cost"] == 300 + 101 + 2 * dear_price
    assert (made["filled_lots"], made["plans"], made["go"], made["void"]) == (6, 3, 1, 1)
    assert [row["lots"] for row in made["fills"]] == [[4, 2], [0, 0], [0, 0]]
    assert [row["left_lots"] for row in made["fills"]] == [10, 4, 4]


def numbered(plans: Sequence[OpenedPlan]) -> list[OpenedPlan]:
    """The plans as those of one order, numbered from the start."""
    return [replace(plan, number=number) for number, plan in enumerate(plans)]


def two_orders_of_each_mode(opened: Sequence[OpenedParty]) -> list[OpenedPlan]:
    """Standing, executed, standing, executed; each numbers its own plans from 0."""
    small = buy("0.4", lot="0.1", price_scale=1)
    made: list[OpenedPlan] = []
    for each, price in ((goal(), 100), (small, 101)):
        made += numbered(standing(opened, each))
        fills = {"cheap": [_outcome((price, 4))]}
        made += [
            _plan(0, "executed", goal=each, delta=None, closed="settled", executed=fills),
            _plan(1, "executed", goal=each, delta=None, closed="void: nobody came"),
        ]
    return made


def test_plans_of_several_orders_are_numbered_through_and_say_which_order() -> None:
    opened = parties()
    plans = two_orders_of_each_mode(opened)
    made = figures(plans, opened)
    rows = made["standing"]["plans"]
    assert [(row["k"], row["order"]) for row in rows] == [
        *((k, 0) for k in range(3)),
        *((k, 1) for k in range(3, 6)),
    ]
    fills = made["executed"]["fills"]
    assert [(row["k"], row["order"]) for row in fills] == [(0, 0), (1, 0), (2, 1), (3, 1)]
    assert (made["executed"]["filled_lots"], made["executed"]["go"]) == (8, 2)
    assert made["standing"]["cost_vs_central_optimum_lots"] == 0


def test_each_order_has_the_figures_that_it_would_have_alone() -> None:
    opened = parties()
    plans = two_orders_of_each_mode(opened)
    made = figures(plans, opened)
    for number, alone in enumerate((plans[:5], plans[5:])):
        single = figures(alone, opened)
        assert made["standing"]["orders"][number] == single["standing"]
        assert made["executed"]["orders"][number] == single["executed"]
        assert "orders" not in single["standing"]
        assert all("order" not in row for row in single["standing"]["plans"])


def test_no_change_is_counted_from_one_order_to_the_next() -> None:
    """Mutant: one series over both orders counts the jump between them as a move."""
    opened = parties()
    first, second = standing(opened, goal(), [0]), standing(opened, goal(), [2])
    made = figures([*numbered(first), *numbered(second)], opened)["standing"]
    assert (made["changed_share"], made["moved_lots"]) == (None, 0)
    assert made["unfilled_share"]["1"] is None
    mutant = figures([*first, *second], opened)["standing"]
    assert (mutant["changed_share"], mutant["moved_lots"]) == (1, 4)


def test_sections_of_several_orders_have_rising_plots_in_each_orders_own_units() -> None:
    opened = parties()
    plans = two_orders_of_each_mode(opened)
    made = Routing().sections(figures(plans, opened), plans)
    assert [section.title for section in made] == [
        "A standing plan: cost, order 0",
        "A standing plan: split, order 0",
        "Why each venue got its share, order 0",
        "A standing plan: cost, order 1",
        "A standing plan: split, order 1",
        "Why each venue got its share, order 1",
        "An executed order, order 0",
        "An executed order, order 1",
    ]
    for section in made:
        for plot in section.plots:
            assert all(a < b for a, b in pairwise(plot.x))
    assert made[6].figures["filled, base currency"] == "4.00000"
    assert made[7].figures["filled, base currency"] == "0.40000"


def test_a_run_without_plans_has_figures_all_the_same() -> None:
    made = figures([], parties())
    assert made["standing"]["plans"] == []
    assert made["standing"]["changed_share"] is None
    assert (made["executed"]["plans"], made["executed"]["cost"]) == (0, 0)
    assert Routing().sections(made, []) == ()


def test_sections_say_what_was_not_done_and_who_learns_what() -> None:
    opened = parties()
    plans = standing(opened, goal())
    cheap = "cheap"
    fills = {cheap: [_outcome((100, 4))]}
    plans.append(_plan(0, "executed", goal=goal(), delta=None, closed="settled", executed=fills))
    made = Routing().sections(figures(plans, opened), plans)
    titles = [section.title for section in made]
    assert titles == [
        "A standing plan: cost",
        "A standing plan: split",
        "Why each venue got its share",
        "An executed order",
    ]
    cost, split, _, executed = made
    assert "nothing is executed" in cost.text
    assert "not consumed" in cost.text
    assert "marginal level" in cost.text
    assert "outside the cohort" in cost.text
    assert [plot.kind for section in made for plot in section.plots] == [
        "line",
        "line",
        "area",
        "bar",
        "line",
    ]
    assert split.plots[0].series == {"cheap": (4.0, 4.0, 0.0), "dear": (6.0, 6.0, 10.0)}
    for section in made:
        assert all(len(row) == len(section.columns) for row in section.rows)
        for plot in section.plots:
            assert all(len(values) == len(plot.x) for values in plot.series.values())
    assert executed.figures["filled, base currency"] == "4.00000"


def test_missing_figures_print_as_not_available() -> None:
    opened = parties()
    plans = standing(opened, goal(1_000), [0])
    cost = Routing().sections(figures(plans, opened), plans)[0]
    assert cost.figures["saving against the best single venue, mean bps"] == "not available"
    assert "none can" in cost.rows[0]
    assert cost.plots[0].x == ()


def test_a_capture_without_the_instant_of_a_fill_is_named() -> None:
    opened = parties()
    fills = {"cheap": [_outcome((1, 1))]}
    plans = [_plan(9, "executed", goal=goal(), delta=None, closed="settled", executed=fills)]
    with pytest.raises(StateStale, match="filled an order"):
        Routing().opened_figures(plans, opened)


def test_each_venue_is_told_why_it_got_its_share() -> None:
    opened = parties()
    for quantity, cheap, dear in (
        ("3", "holds the marginal level, of which 1 lots", "beyond the marginal level"),
        ("4", "all that it offers within the marginal price", "beyond the marginal level"),
        ("5", "all that it offers within the marginal price", "of which 29 lots are not needed"),
    ):
        plans = standing(opened, buy(quantity, lot="1"), (0,))
        (row,) = figures(plans, opened)["standing"]["plans"]
        assert cheap in row["why"][0]["because"]
        assert dear in row["why"][1]["because"]
        section = Routing().sections(figures(plans, opened), plans)[2]
        assert [each[0] for each in section.rows] == ["cheap", "dear"]
        assert cheap in section.rows[0][-1]
        assert section.rows[0][1] == "100.0000"


def test_a_venue_without_an_offer_is_told_so() -> None:
    opened = parties()
    plans = standing(opened, buy("3", lot="1", limit_price="101"), (0,))
    (row,) = figures(plans, opened)["standing"]["plans"]
    assert row["why"][1] == {
        "best": None,
        "offered": 0,
        "because": "it offers nothing that the order may take",
    }


def test_a_plan_that_stands_is_shown_as_one() -> None:
    opened = parties()
    first, second, third = standing(opened, goal())
    plans = [first, replace(second, stands=True), third]
    made = figures(plans, opened)
    assert [row["stands"] for row in made["standing"]["plans"]] == [False, True, False]
    cost = Routing().sections(made, plans)[0]
    assert [row[1] for row in cost.rows] == ["certified", "certified, stands", "certified"]
