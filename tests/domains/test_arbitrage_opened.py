"""What each venue gives in a plan, and why, with every venue opened."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from tests.domains.pool_markets import book_example, pool_example

from covenue.hooks.domains import OpenedParty, OpenedPlan
from covenue.hooks.venues import PoolBatch, Snapshot
from covenue.testing.domains import DomainExample
from covenue.testing.solvers import play
from covenue_contracts.plan import PlanDelta
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_arbitrage.shares import why_share
from covenue_solver_dual import Dual


class Pinned:
    """A venue that shows one state at any time, and nothing else."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def pin(self, as_of: int) -> Snapshot:
        kind = "pool-set/v1" if isinstance(self.state, PoolBatch) else "order-book/v1"
        return Snapshot(kind, as_of, "0" * 64, self.state)


def parties(given_: DomainExample) -> list[OpenedParty]:
    rows = zip(given_.members, given_.configs, given_.states, strict=True)
    return [OpenedParty(m, c, Pinned(s)) for m, c, s in rows]  # type: ignore[arg-type]  # pins only


def planned(given_: DomainExample) -> OpenedPlan:
    domain = Arbitrage()
    coupling = domain.coupling(given_.goal, given_.members)
    ended = play(Dual.from_options({}), coupling, given_.problems(domain))
    solution = ended.solution
    delta = PlanDelta(
        plan="0" * 64,
        parent=None,
        after=solution.after,
        status=solution.status,
        multipliers=solution.multipliers,
        solution=tuple(map(str, solution.points)),
        change=(),
        value=str(solution.value),
        bound=str(solution.bound),
        gap=str(abs(solution.bound - solution.value)),
        shortfall="0",
        rounds=len(ended.queries),
        transcript="0" * 64,
        cohort=tuple(member.did for member in given_.members),
    )
    return OpenedPlan(0, "standing", 0, given_.goal, delta, len(ended.queries), "standing plan")


@pytest.mark.parametrize("example", [pool_example, book_example])
def test_what_the_venues_give_together_is_the_opened_value_of_the_plan(example: Any) -> None:
    given_ = example()
    plan = planned(given_)
    row = Arbitrage().plan_figures(plan, parties(given_))
    assert row["venues"] == [member.name for member in given_.members]
    given = sum(Fraction(why["value"]) for why in row["why"])
    assert abs(given - Fraction(row["opened_profit"])) <= Fraction(len(row["why"]), 10**9)
    assert sum(" of its " in why["because"] for why in row["why"]) > 0


def test_the_report_says_it_of_the_last_standing_plan() -> None:
    given_ = pool_example()
    plan = planned(given_)
    found = Arbitrage().opened_figures([plan], parties(given_))
    shares = Arbitrage().sections(found, [plan])[1]
    assert shares.title == "Why each venue got its share"
    assert [row[0] for row in shares.rows] == [member.name for member in given_.members]


def test_who_is_not_in_the_cohort_gives_nothing() -> None:
    given_ = pool_example()
    plan = planned(given_)
    assert plan.delta is not None
    fewer = plan.delta.model_copy(update={"cohort": plan.delta.cohort[:1]})
    row = Arbitrage().plan_figures(replace(plan, delta=fewer), parties(given_))
    assert row["why"][-1] == {"value": None, "because": "it was not in the cohort"}
    nothing = Arbitrage().plan_figures(replace(plan, delta=None), parties(given_))
    assert nothing["status"] == "none"


@pytest.mark.parametrize(
    ("offered", "acting", "said"),
    [
        (0, 0, "it has no pools"),
        (7, 0, "none of its 7 pools is off the plan's values by more than its fee"),
        (7, 2, "2 of its 7 pools are off the plan's values by more than their fee"),
    ],
)
def test_what_a_venue_has_is_said_in_words(offered: int, acting: int, said: str) -> None:
    assert why_share(offered, acting, "pools", "0")["because"] == said
