"""What does not fit an entry is an event of the machine, or refused before anything is begun."""

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from tests.rounds.test_plan_life import cohort, ended, every

import covenue
from covenue.errors import EntryTooLarge
from covenue.hooks.solvers import Solution
from covenue.identity.consents import agreed
from covenue.identity.roster import make_roster
from covenue.rounds import coordinator
from covenue.rounds.identities import demo_identity
from covenue.rounds.room import check_order, fits
from covenue.testing.cohorts import Cohort
from covenue.testing.trials import TrialSolver
from covenue_contracts.canonical import sha256
from covenue_contracts.plan import (
    CohortPolicy,
    Deadlines,
    Goal,
    Member,
    Order,
    PlanDelta,
    PlanGo,
    PlanVoid,
    PluginRef,
    QueryAsked,
)
from covenue_contracts.shared import DualVariables, Query
from covenue_domain_arbitrage.frames import COLUMNS
from covenue_domain_arbitrage.goals import GREATEST_REFERENCE, NAME_MOST, parse_goal

PARTIES_MOST = 64
ASSETS_SURE = 200
NO_DIGEST = "0" * 64
LONG = "9" * 19


class _Talkative(TrialSolver):
    """Asks, or answers, with as many points as it is told."""

    def __init__(self, asked: int = 0, found: int = 0) -> None:
        self.asked, self.found = asked, found

    def ask(self, state: Any, digest_of: Any) -> Query:
        query = super().ask(state, digest_of)
        return (
            query if not self.asked else query.model_copy(update={"points": (LONG,) * self.asked})
        )

    def tell(self, state: Any, release: Any) -> Any:
        outcome = super().tell(state, release)
        if isinstance(outcome, Solution) and self.found:
            return Solution("certified", None, None, (int(LONG),) * self.found, 0, 0, 0, None)
        return outcome


def talking(monkeypatch: pytest.MonkeyPatch, solver: _Talkative) -> Cohort:
    monkeypatch.setattr("covenue.testing.cohorts.TrialSolver", lambda: solver)
    return cohort(plans=1)


def test_a_question_that_no_entry_holds_voids_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    at = ended(talking(monkeypatch, _Talkative(asked=5000)))
    assert every(at, PlanVoid)[0].reason == "the solver's question does not fit an entry"
    assert every(at, QueryAsked) == []


def test_without_the_guard_such_a_question_can_never_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unguarded(talking(monkeypatch, _Talkative(asked=5000)), monkeypatch)


def test_a_solution_that_no_entry_holds_voids_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    at = ended(talking(monkeypatch, _Talkative(found=2000)))
    assert every(at, PlanVoid)[0].reason == "the solver's solution does not fit an entry"
    assert every(at, PlanDelta) == every(at, PlanGo) == []


def test_without_the_guard_such_a_solution_can_never_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unguarded(talking(monkeypatch, _Talkative(found=2000)), monkeypatch)


def unguarded(at: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: every write is refused, and the order never ends."""
    monkeypatch.setattr(coordinator, "fits", lambda _: True)
    monkeypatch.setattr("covenue.testing.cohorts.MOST_BEATS", 60)
    with pytest.raises(AssertionError, match="does not end"):
        at.calm()
    assert at.moves["refused write"] > 0
    assert every(at, PlanVoid) == []


# ---- sizes


def wide_order(assets: int, parties: int) -> Order:
    """An arbitrage order with the longest names and numbers that its goal allows."""
    who = [demo_identity("room", "party", str(number)) for number in range(parties)]
    members = tuple(
        Member(did=one.key.did, name=f"n{number:063d}", slot=10**9 + number)
        for number, one in enumerate(who)
    )
    roster = make_roster(
        demo_identity("room", "coordinator", "").key.did,
        tuple(sorted(members, key=lambda member: member.did)),
    )
    policy = CohortPolicy(
        least=3, colluders=0, drops=0, min_changed=0, differencing="override", reason="r" * 200
    )
    plugin = PluginRef(
        family="privacy", plugin="p" * 64, name="n" * 64, version="1.0.0", content=NO_DIGEST
    )
    order = Order(
        goal=wide_goal(assets),
        mode="executed",
        plans_max=10**9,
        every=LONG,
        until=LONG,
        roster=roster,
        policy=policy,
        consents=(),
        deadlines=Deadlines(join=LONG, upload=LONG, vote=LONG, answer=LONG, act=LONG, skew=LONG),
        plugins=(plugin,) * 8,
        solver="lbfgs",
        solver_options={"tolerance": "0.000001"},
        privacy=("secagg",),
        rounds_max=64,
        retries=2,
        seed=sha256(b"room"),
    )
    return agreed(order, [one.key for one in who])


def wide_goal(assets: int) -> Goal:
    """Names of 64 characters, references and amounts at their bounds."""
    references = (GREATEST_REFERENCE >> 40,) * assets
    config: dict[str, Any] = {"assets": names(assets), "references": references}
    goal = parse_goal({**config, "scale_bits": 48, "margin": "16000"})
    assert max(map(len, goal.terms["assets"])) == NAME_MOST  # type: ignore[arg-type]  # a tuple
    return goal


def names(assets: int) -> tuple[str, ...]:
    return tuple(f"a{number:063d}" for number in range(assets))


def test_two_hundred_assets_fit_the_order_of_many_parties_whatever_their_names() -> None:
    check_order(wide_order(ASSETS_SURE, PARTIES_MOST))


def test_an_order_that_no_entry_holds_is_refused_before_anything_is_entered() -> None:
    order = wide_order(400, 3)
    at = ended(cohort(plans=1))
    size, clock = at.coordinator.size(), at.clock(at.setting.parties)
    with pytest.raises(EntryTooLarge, match="400 coordinates and 3 members"):
        at.coordinator.order(order, clock)
    assert at.coordinator.size() == size


def test_an_order_that_leaves_its_plans_no_room_is_refused_as_well() -> None:
    """It fits by itself; its goal's numbers may grow, and what settles it may not fit."""
    order = wide_order(ASSETS_SURE, 80)
    assert fits(order)
    with pytest.raises(EntryTooLarge, match="the order of 200 coordinates and 80 members"):
        check_order(order)
    many = order.goal.model_copy(update={"remaining": ("0",) * 700, "terms": {}})
    with pytest.raises(EntryTooLarge, match="a settlement of 700 coordinates"):
        check_order(wide_order(1, 3).model_copy(update={"goal": many}))


def asked(order: Order, query: Query, width: int) -> QueryAsked:
    return QueryAsked(
        plan=NO_DIGEST,
        round=1,
        digest=NO_DIGEST,
        query=query,
        width=width,
        expected=tuple(member.did for member in order.roster.members),
        cohort_fixed=False,
        retry_of=None,
    )


def test_a_thousand_multipliers_and_their_answers_fit() -> None:
    values = (str(2**76),) * 1000
    query = Query(
        kind="respond",
        after=NO_DIGEST,
        multipliers=DualVariables(scale_bits=40, values=values),
        points=(),
    )
    order = wide_order(1, PARTIES_MOST)
    assert fits(asked(order, query, 1001))


# ---- a plan of many assets


def market(tilt: float) -> pd.DataFrame:
    """A pool of every asset against the first, at reserves that differ from party to party."""
    rows = [
        (name, names(1)[0], 10_000 * (1 + 0.05 * tilt), 10_000.0 * (1 + number / 100), 3000)
        for number, name in enumerate(names(ASSETS_SURE)[1:], start=1)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def widest_goal() -> Goal:
    return parse_goal(
        {
            "assets": names(ASSETS_SURE),
            "references": tuple(str(Decimal(100 + n) / 100) for n in range(ASSETS_SURE)),
            "margin": "0.00390625",
            "floor": "100",
            "most": "1000000",
            "band": 2,
            "slope_bits": 8,
        }
    )


@pytest.mark.parametrize("solver", ["lbfgs", "dual"])
def test_a_plan_of_two_hundred_assets_is_made_through_the_machine(solver: str) -> None:
    parties = {"north": market(1), "south": market(-1), "west": market(2)}
    result = covenue.plan(widest_goal(), parties, solver=solver)
    assert result.status == "certified"
    assert result.value > 0
    assert result.plan.shape == (3, ASSETS_SURE)
    assert (result.plan.sum() >= 0).all(), "no asset is owed"
