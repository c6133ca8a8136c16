"""A coordinator that changes the rules in mid-plan, or shows different plans; with mutants."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.attacks.forger import Forger, refusal

from covenue.identity.keys import derive
from covenue.rounds import participant
from covenue.rounds.messages import opened_digest, plan_id, round_context
from covenue_contracts.canonical import canonical
from covenue_contracts.envelope import Join
from covenue_contracts.local import Actions
from covenue_contracts.plan import PlanClose, PlanOpen

Patch = pytest.MonkeyPatch


def begun(**setting: Any) -> Forger:
    """A plan whose three parties have truly joined."""
    forger = Forger("open", **setting)
    forger.write(forger.joined(forger.joins()))
    return forger


def a_second_list_of_members() -> str:
    """The first list had all three; a second, true but shorter one would drop a party."""
    forger = Forger("open")
    joins = forger.joins()
    fewer = {did: joins[did] for did in forger.dids[:2]}
    forger.write(forger.joined(joins), forger.joined(fewer), forger.ask(1, forger.dids[:2]))
    return refusal(forger.show(forger.dids[0]))


def a_total_over_strangers() -> str:
    """A forged first total names others than were asked: the cohort it fixes is nobody's."""
    forger = begun()
    victim = forger.dids[0]
    forger.write(forger.ask(1, forger.dids[:2]), forger.total(1, forger.dids))
    forger.write(forger.ask(2, forger.dids, fixed=True))
    return refusal(forger.show(victim))


def an_order_in_mid_plan() -> str:
    """The plan began under one policy; a second order would put another in its place."""
    forger = begun()
    order = forger.cohort.order
    lower = order.policy.model_copy(update={"least": 1})
    forger.write(order.model_copy(update={"policy": lower}), forger.ask(1, forger.dids[:1]))
    return refusal(forger.show(forger.dids[0]))


def a_question_to_disclose() -> str:
    forger = Forger("voted")
    forger.write(forger.joined(forger.joins()))
    forger.write(forger.ask(1, forger.dids, kind="disclose"))
    return refusal(forger.show(forger.dids[0]))


ATTACKS: dict[str, tuple[Callable[[], str], str]] = {
    "a second list of members": (a_second_list_of_members, "joined-twice"),
    "a total over strangers": (a_total_over_strangers, "total-unproven"),
    "an order in mid-plan": (an_order_in_mid_plan, "order-in-plan"),
    "a question to disclose": (a_question_to_disclose, "disclose"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_node_declines_and_says_why(name: str) -> None:
    attack, reason = ATTACKS[name]
    assert attack() == reason


@pytest.mark.parametrize("name", [n for n in ATTACKS if n != "a question to disclose"])
def test_without_distrust_a_node_would_answer_or_miss_the_change(
    name: str, monkeypatch: Patch
) -> None:
    """Mutant: nothing that the log says makes a node distrust it."""
    true_see = participant._Turn.see

    def trusting(turn: Any, **changes: Any) -> None:
        true_see(turn, **{**changes, "distrust": ""} if "distrust" in changes else changes)

    monkeypatch.setattr(participant._Turn, "see", trusting)
    attack, reason = ATTACKS[name]
    assert attack() != reason


def opened_with(goal: Any) -> str:
    """How a node joins a plan whose goal is not one that the order may come to."""
    forger = Forger("open")
    forger.show(forger.dids[0])
    first = forger.plan
    reason = "closed for the test"
    zero = ("0",)
    forger.write(
        PlanClose(plan=first.plan, reason=reason, settled=zero, reserved=zero, committed=zero,
                  left=first.goal.remaining, order_done=False)
    )  # fmt: skip
    order = first.order
    name = plan_id(order, 0, 1)
    forger.write(first.model_copy(update={"plan": name, "number": 1, "goal": goal(first.goal)}))
    (message,) = forger.show(forger.dids[0])
    assert isinstance(message.payload, Join)
    return "accepts" if message.payload.accepts else str(message.payload.reason)


def test_a_plan_for_other_terms_than_the_orders_is_not_joined() -> None:
    assert opened_with(lambda goal: goal) == "accepts"
    fewer = {"remaining": ("1",)}
    assert opened_with(lambda goal: goal.model_copy(update=fewer)) == "accepts"
    more = {"remaining": ("7",)}
    assert opened_with(lambda goal: goal.model_copy(update=more)) == "goal-unproven"
    other = {"terms": {"quantity": "6", "pace": 1, "least": 0}}
    assert opened_with(lambda goal: goal.model_copy(update=other)) == "goal-unproven"


def test_without_that_guard_a_coordinator_plans_whatever_it_likes(monkeypatch: Patch) -> None:
    """Mutant: any goal continues the order's; joins then answer questions about private data."""
    from covenue.testing.trials import TrialDomain

    monkeypatch.setattr(TrialDomain, "continues", lambda *_: True)
    more = {"remaining": ("7",)}
    assert opened_with(lambda goal: goal.model_copy(update=more)) == "accepts"


def context(opened: PlanOpen) -> str:
    dids = ("x", "y")
    return round_context(opened_digest(opened), opened.plan, 1, opened.roster, "c" * 64, 2, "open",
                         dids, None).digest  # fmt: skip


def test_two_views_of_one_plan_never_share_a_context() -> None:
    """Goal, time, mode and seed are bound: votes for one view certify nothing of the other."""
    opened = Forger("open").plan
    changes: dict[str, Any] = {
        "goal": opened.goal.model_copy(update={"remaining": ("7",)}),
        "as_of": "1",
        "mode": "standing",
        "seed": "e" * 64,
        "parent": "e" * 64,
        "number": 9,
        "order": "e" * 64,
    }
    views = {context(opened.model_copy(update={name: value})) for name, value in changes.items()}
    assert len(views) == len(changes)
    assert context(opened) not in views


def committed(forger: Forger, rounds: tuple[int, int]) -> list[str]:
    """A node's commitments to the same actions in two rounds."""
    index = next(i for i in range(3) if forger.cohort.did(i) == forger.dids[0])
    own = forger.cohort.node(index)._fold.own
    actions = canonical(Actions(plan=forger.plan.plan, unit="1", legs=(), swaps=()))
    found = []
    for number in rounds:
        asked = forger.ask(number, forger.dids, kind="commit", points=("4", "0"), width=1)
        turn = participant._Turn(own, forger.cohort.node(index).state, 0)
        found.append(participant._commitment(turn, asked, actions))
    return found


def test_equal_actions_in_two_rounds_have_different_commitments(monkeypatch: Patch) -> None:
    one, other = committed(begun(), (1, 2))
    assert one != other
    again, _ = committed(begun(), (1, 2))
    assert one == again, "a restart commits to the same"


def test_with_one_nonce_a_plan_equal_actions_would_show_as_equal(monkeypatch: Patch) -> None:
    """Mutant: a nonce for the plan alone; two commit rounds then compare a party's actions."""
    true_derive = derive

    def without_round(master: bytes, *labels: bytes) -> bytes:
        return true_derive(master, *labels[:2])

    monkeypatch.setattr(participant, "derive", without_round)
    one, other = committed(begun(), (1, 2))
    assert one == other
