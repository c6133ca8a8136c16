"""The test domain passes the cases that every keyed domain must."""

import pytest

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.domains import EMPTY, Acted
from covenue.hooks.venues import Snapshot
from covenue.numerics.words import integers, words
from covenue.testing.domains import (
    DomainExample,
    LadderCoupling,
    LadderDomain,
    LadderProblem,
    commit_query,
    depth_query,
    keyed_domain_conformance,
    ladder_goal,
)
from covenue_contracts.local import Fill, Outcome
from covenue_contracts.plan import Member
from covenue_contracts.shared import Query


def members(count: int) -> tuple[Member, ...]:
    return tuple(
        Member(did="did:key:z" + "6" * 46 + "123456789"[slot], name=f"p{slot}", slot=slot)
        for slot in range(count)
    )


def examples() -> list[DomainExample]:
    three = (((3, 2), (5, 9)), ((3, 4),), ((4, 1), (90, 7)))
    snapshot = Snapshot("ladder/v1", 0, "0" * 64, ((2, 3),))
    return [
        DomainExample(ladder_goal(12, pace=9), members(3), three, ({},) * 3),
        DomainExample(ladder_goal(2), members(1), (snapshot,), ({},)),
    ]


TestLadderConformance = keyed_domain_conformance(LadderDomain, examples)


def test_a_ladder_answers_commits_and_settles() -> None:
    goal = ladder_goal(6)
    problem = LadderProblem(((5, 2), (3, 4), (5, 1), (9, 0)), 1, 2, goal)
    assert problem.offers == ((7, 4), (11, 3))
    assert integers(problem.answer(depth_query([8, 7, 12]), EMPTY)[0]) == (4, 0, 7, 12)
    actions, planned, _ = problem.commit(commit_query([11, 2]), EMPTY, "0" * 64)
    assert integers(planned) == (6,)
    assert (actions.legs[0].limit_ticks, actions.legs[0].most_units) == ("5", "6")
    nothing, planned, _ = problem.commit(commit_query([7, 0]), EMPTY, "0" * 64)
    assert (nothing.legs, integers(planned)) == ((), (0,))
    fill = Fill(leg=0, price_ticks="3", quantity_steps="4", units="4")
    done = Outcome(order="0" * 64, status="partial", fills=(fill,), swaps=(), reason=None)
    settle = Query(kind="settle", after=None, multipliers=None, points=())
    executed, unknown = problem.settle(
        settle, [Acted(words([6]), actions, [done]), Acted(words([5]), actions, None)]
    )
    assert (integers(executed), integers(unknown)) == ((4,), (5,))


def test_a_ladder_refuses_what_it_does_not_offer() -> None:
    query = Query(kind="prox", after=None, multipliers=None, points=())
    with pytest.raises(CapabilityMissing):
        LadderProblem((), 0, 1, ladder_goal(1)).answer(query, EMPTY)
    for quantity in (0, -1, "5", None):
        with pytest.raises(BadInput):
            LadderDomain().goal({"quantity": quantity})


def test_a_ladder_goal_keeps_its_pace_and_its_least() -> None:
    goal = LadderDomain().goal({"quantity": 10, "pace": 4, "least": 3})
    coupling = LadderCoupling(goal, 1)
    assert (coupling.wanted, coupling.least) == (4, 3)
    assert [n for n in range(6) if coupling.admits(words([n]), goal)] == [3, 4]
    left = coupling.left(words([8]), words([0]), words([0]))
    assert LadderCoupling(left, 1).admits(words([2]), left)
    assert LadderDomain().sections(LadderDomain().opened_figures([], []), [])
    assert LadderDomain().scenarios() == ()
