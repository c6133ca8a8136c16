"""What a run came to, recomputed with every venue opened; and what would not be believed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import pytest
from tests.domains.execution_markets import (
    Solved,
    book,
    commit_query,
    example,
    goal,
    solve,
)

from covenue.hooks.domains import EMPTY, OpenedParty, OpenedPlan
from covenue.hooks.venues import BookState, Snapshot
from covenue.testing.domains import DomainExample
from covenue_contracts.local import Fill, Outcome
from covenue_contracts.plan import PlanDelta
from covenue_contracts.shared import DualVariables
from covenue_domain_execution import Execution, central
from covenue_domain_execution.kernels import Rows
from covenue_domain_execution.opened import decimal
from covenue_domain_execution.shares import why_share

START, SECOND = 1_700_000_000 * 10**9, 10**9
CONFIG = {"volume": "4000", "impact_bps": "30", "participation": "0.2", "fee_bps": "1"}


@dataclass(frozen=True)
class Pinned:
    """A venue that shows one book at any time, and nothing else."""

    state: BookState

    def pin(self, as_of: int) -> Snapshot:
        return Snapshot("order-book/v1", as_of, "0" * 64, self.state)


def timed(side: str = "buy") -> DomainExample:
    books = [book([(10001, 500)], [(9999, 500)]), book([(10002, 900)], [(9998, 900)])]
    times: dict[str, Any] = {"start": str(START), "every_ms": 1000, "mode": "executed"}
    made = goal(400, 4, **times)
    made = made.model_copy(update={"terms": {**made.terms, "side": side}})
    return example(books, made, [CONFIG, {**CONFIG, "credit": "150"}])


def at(given_: DomainExample, as_of: int) -> DomainExample:
    pinned = tuple(Snapshot("order-book/v1", as_of, "0" * 64, s) for s in given_.states)
    return replace(given_, states=pinned)


def delta_of(given_: DomainExample, solved: Solved) -> PlanDelta:
    coupling = Execution().coupling(given_.goal, given_.members)
    unit = 2**coupling.value_bits
    value, bound = floor(solved.value * unit), ceil(solved.bound * unit)
    return PlanDelta(
        plan="0" * 64,
        parent=None,
        after=None,
        status="certified",
        multipliers=DualVariables(scale_bits=40, values=tuple(map(str, solved.values))),
        solution=tuple(map(str, solved.points)),
        change=tuple(map(str, solved.points)),
        value=str(value),
        bound=str(bound),
        gap=str(bound - value),
        shortfall="0",
        rounds=9,
        transcript="0" * 64,
        cohort=tuple(member.did for member in given_.members),
    )


def opened(given_: DomainExample, mode: str = "standing", number: int = 1) -> OpenedPlan:
    """The first plan, solved when its second slice is due; each venue fills half of its leg."""
    as_of = START + SECOND
    pinned = at(given_, as_of)
    solved = solve(pinned)
    domain = Execution()
    coupling = domain.coupling(given_.goal, given_.members)
    actions, executed = {}, {}
    for member, problem in zip(pinned.members, pinned.problems(domain), strict=True):
        made, _, _ = problem.commit(commit_query(coupling, solved), EMPTY, "0" * 64)
        half = str(int(made.legs[0].quantity_steps) // 2)
        fill = Fill(leg=0, price_ticks="10002", quantity_steps=half, units=half)
        actions[member.name] = made
        executed[member.name] = (
            Outcome(order="0" * 64, status="partial", fills=(fill,), swaps=(), reason=None),
        )
    return OpenedPlan(
        number,
        mode,
        as_of,
        given_.goal,
        delta_of(pinned, solved),
        rounds=9,
        closed="settled",
        executed=executed if mode == "executed" else {},
        went=True,
        bytes_left={member.name: 100 for member in given_.members},
        actions=actions,
    )


def parties(given_: DomainExample) -> list[OpenedParty]:
    rows = zip(given_.members, given_.configs, given_.states, strict=True)
    return [OpenedParty(m, c, Pinned(s)) for m, c, s in rows]  # type: ignore[arg-type]  # pins only


def figures(given_: DomainExample, plans: Sequence[OpenedPlan]) -> dict[str, Any]:
    return dict(Execution().opened_figures(plans, parties(given_)))


def test_a_certificate_is_borne_out_by_the_opened_venues() -> None:
    given_ = timed()
    plan = opened(given_)
    found = figures(given_, [plan])
    (row,) = found["plans"]
    assert found["certificate_holds"]
    assert row["schedule"][0] == 0
    assert sum(row["schedule"]) == row["wanted"] == 400
    assert 0 <= row["lot_gap"] <= row["gap"] < 1e-3
    assert found["uncertified"] == 0


@pytest.mark.parametrize(("field", "change"), [("value", 50_000), ("bound", -50_000)])
def test_a_claim_that_the_venues_do_not_bear_out_is_seen(field: str, change: int) -> None:
    given_ = timed()
    plan = opened(given_)
    assert plan.delta is not None
    claimed = str(int(getattr(plan.delta, field)) + change * 2**10)
    broken = replace(plan, delta=plan.delta.model_copy(update={field: claimed}))
    assert not figures(given_, [broken])["certificate_holds"]


def test_a_plan_of_another_total_is_seen() -> None:
    given_ = timed()
    plan = opened(given_)
    assert plan.delta is not None
    more = (str(2**62), plan.delta.solution[1])
    broken = replace(plan, delta=plan.delta.model_copy(update={"solution": more}))
    assert not figures(given_, [broken])["certificate_holds"]


def test_without_the_check_of_caps_a_plan_beyond_them_would_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant: a schedule of one lot too many, and nobody looks at the caps."""
    given_ = timed()
    plan = opened(given_)
    assert plan.delta is not None
    values = [int(v) for v in plan.delta.multipliers.values] if plan.delta.multipliers else []
    (problem, _) = at(given_, plan.as_of).problems(Execution())
    rows, terms = problem.rows, problem.terms  # type: ignore[attr-defined]  # an ExecutionProblem
    full = rows.caps.astype(int)
    wanted = replace(terms, remaining=tuple(full[0].tolist()))
    assert central.check(wanted, values, [(rows, full)]).feasible
    full[0, 0] += 1
    beyond = replace(terms, remaining=tuple(full[0].tolist()))
    assert not central.check(beyond, values, [(rows, full)]).feasible
    monkeypatch.setattr(central.Venue, "holds", lambda *_: True)
    assert central.check(beyond, values, [(rows, full)]).feasible


@pytest.mark.parametrize(("side", "sign"), [("buy", 1), ("sell", -1)])
def test_shortfall_is_what_the_fills_cost_beyond_the_arrival_price(side: str, sign: int) -> None:
    given_ = timed(side)
    plan = opened(given_, "executed")
    done = figures(given_, [plan])["executed"]
    lots = {name: int(outcomes[0].fills[0].units) for name, outcomes in plan.executed.items()}
    assert done["lots"] == lots
    assert done["filled"] == sum(lots.values())
    assert done["done"] == [0, *[sum(lots.values())] * 3]
    paid = Fraction("100.02") * (1 + sign * Fraction(1, 10_000))
    for name, count in lots.items():
        assert Fraction(done["shortfall"][name]) == sign * (paid - 100) * count
    bps = float(sign * (paid - 100) / 100 * 10_000)
    assert done["shortfall_bps"] == pytest.approx(bps)


def test_sections_show_schedule_target_and_gap() -> None:
    given_ = timed()
    standing, executed = opened(given_, "standing"), opened(given_, "executed", 2)
    plans = [standing, executed]
    found = figures(given_, plans)
    planned, shares, done = Execution().sections(found, plans)
    assert planned.figures["every standing certificate borne out by the opened venues"] == "true"
    assert len(planned.rows) == 2
    assert planned.plots[0].series["planned"] == tuple(map(float, found["plans"][0]["schedule"]))
    assert [row[0] for row in done.rows] == ["p0", "p1"]
    assert done.plots[0].series["target"] == tuple(map(float, found["executed"]["target"]))
    behind = done.plots[1].series["behind"]
    assert behind[-1] == 400 - found["executed"]["filled"]
    assert [row[0] for row in shares.rows] == ["p0", "p1"]
    alone = figures(given_, [standing])
    assert len(Execution().sections(alone, [standing])) == 2
    assert alone["executed"] is None


def test_a_plan_says_what_each_venue_trades_and_what_stopped_it() -> None:
    given_ = timed()
    plan = opened(given_)
    row = Execution().plan_figures(plan, parties(given_))
    assert row["venues"] == ["p0", "p1"]
    assert row["lots"] == [sum(share["lots"]) for share in row["why"]]
    assert sum(row["lots"]) == row["wanted"]
    assert [share["because"] for share in row["why"]] == [
        "its marginal cost meets the marginal price of each slice",
        "its credit is used up",
    ]


def test_a_venue_outside_the_cohort_and_a_plan_without_a_proposal_are_named_as_such() -> None:
    given_ = timed()
    plan = opened(given_)
    assert plan.delta is not None
    first = plan.delta.model_copy(update={"cohort": plan.delta.cohort[:1]})
    row = Execution().plan_figures(replace(plan, delta=first), parties(given_))
    assert row["why"][1] == {"lots": [], "because": "it was not in the cohort"}
    nothing = Execution().plan_figures(replace(plan, delta=None), parties(given_))
    assert nothing == {"venues": ["p0", "p1"], "status": "none"}


@pytest.mark.parametrize(
    ("lots", "caps", "credit", "said"),
    [
        ([2, 2], [5, 5], 100, "its marginal cost meets the marginal price of each slice"),
        ([2, 5], [5, 5], 100, "its participation is used up in 1 of 2 slices"),
        ([2, 3], [5, 5], 5, "its credit is used up"),
        ([0, 0], [5, 5], 100, "its first lot costs more than every slice's marginal price"),
        ([0, 0], [0.5, 0], 100, "its limits leave no whole lot to trade"),
    ],
)
def test_what_stopped_a_venue_is_said_in_words(
    lots: list[int], caps: list[float], credit: float, said: str
) -> None:
    flat = np.zeros((1, 2))
    rows = Rows(flat, flat + 1, flat + 1, np.array([caps], dtype=float), np.array([credit]))
    assert said in why_share(rows, np.array([lots]))["because"]


def test_an_executed_plan_is_not_recomputed_on_the_books_that_it_changed() -> None:
    given_ = timed()
    plan = opened(given_, "executed")
    found = figures(given_, [plan])
    (row,) = found["plans"]
    assert (row["schedule"], row["lot_gap"], row["holds"]) == (None, None, None)
    planned, _ = Execution().sections(found, [plan])
    assert planned.rows[0][7] == "-"
    assert not planned.plots


def test_a_run_without_any_plan_has_figures() -> None:
    given_ = timed()
    found = figures(given_, [])
    assert (found["gap"], found["plans"], found["executed"]) == (None, [], None)
    assert not Execution().sections(found, [])
    plan = replace(
        opened(given_, "executed"), delta=None, executed={}, went=False, closed="void: test"
    )
    nothing = figures(given_, [plan])
    assert nothing["executed"]["filled"] == 0
    assert nothing["executed"]["shortfall_bps"] == 0.0
    assert nothing["executed"]["void"] == 1


def test_money_is_text_of_nine_places() -> None:
    assert decimal(Fraction(-1, 3)) == "-0.333333333"
    assert decimal(Fraction(5)) == "5.000000000"
