"""What a coordinator may try, and what every node answers; each guard is also switched off."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.attacks.forger import STRANGER, Forger, refusal

from covenue.identity.envelopes import open_envelope, payload_of
from covenue.rounds import participant
from covenue.rounds.messages import plan_id
from covenue.testing.cohorts import identity
from covenue_contracts.canonical import parse_as
from covenue_contracts.envelope import Join
from covenue_contracts.plan import PlanClose, PlanOpen

Guard = Callable[[pytest.MonkeyPatch], None]


def begun(stage: str = "open", **setting: Any) -> Forger:
    """A plan whose three parties have truly joined."""
    forger = Forger(stage, **setting)
    forger.write(forger.joined(forger.joins()))
    return forger


def a_join_that_nobody_signed() -> str:
    forger = Forger()
    joins = forger.joins()
    victim = forger.dids[0]
    joins[forger.dids[1]] = forger.forged_join(STRANGER)
    forger.write(forger.joined(joins), forger.ask(1, forger.dids))
    return refusal(forger.show(victim))


def a_join_of_another_plan() -> str:
    forger = Forger()
    joins = forger.joins()
    replayed = next(i for i in range(3) if forger.cohort.did(i) == forger.dids[2])
    key = identity("party", f"p{replayed}").key
    joins[forger.dids[2]] = forger.forged_join(key, "f" * 64)
    forger.write(forger.joined(joins), forger.ask(1, forger.dids))
    return refusal(forger.show(forger.dids[0]))


def a_crowd_of_strangers() -> str:
    forger = Forger()
    victim = forger.dids[0]
    joins = {victim: forger.joins()[victim], STRANGER.did: forger.forged_join(STRANGER)}
    forger.write(forger.joined(joins), forger.ask(1, sorted((victim, STRANGER.did))))
    return refusal(forger.show(victim))


def a_stranger_among_the_expected() -> str:
    forger = begun()
    victim = forger.dids[0]
    forger.write(forger.ask(1, sorted((victim, STRANGER.did))))
    return refusal(forger.show(victim))


def one_party_counted_twice() -> str:
    forger = begun()
    victim = forger.dids[0]
    forger.write(forger.ask(1, (victim, victim)))
    return refusal(forger.show(victim))


def a_cohort_of_one() -> str:
    forger = begun()
    forger.write(forger.ask(1, forger.dids[:1]))
    return refusal(forger.show(forger.dids[0]))


def another_cohort_after_the_first_total() -> str:
    forger = begun()
    forger.write(
        forger.ask(1, forger.dids), forger.total(1, forger.dids), forger.ask(2, forger.dids[:2])
    )
    return refusal(forger.show(forger.dids[0]))


def a_cohort_that_may_shrink_after_the_first_total() -> str:
    forger = begun()
    forger.write(
        forger.ask(1, forger.dids), forger.total(1, forger.dids), forger.ask(2, forger.dids)
    )
    return refusal(forger.show(forger.dids[0]))


def a_round_that_was_asked_before() -> str:
    forger = begun()
    forger.write(forger.ask(1, forger.dids), forger.ask(3, forger.dids))
    victim = forger.dids[0]
    forger.show(victim)
    forger.write(forger.ask(2, forger.dids), forger.ask(4, forger.dids))
    return refusal(forger.show(victim))


def a_question_under_another_name() -> str:
    forger = begun()
    forger.write(forger.ask(1, forger.dids, digest="e" * 64))
    return refusal(forger.show(forger.dids[0]))


def a_question_of_another_plan() -> str:
    forger = begun()
    forger.show(forger.dids[0])
    forger.write(forger.ask(1, forger.dids, plan="d" * 64))
    return refusal(forger.show(forger.dids[0]))


ATTACKS: dict[str, tuple[Callable[[], str], str]] = {
    "a join that nobody signed": (a_join_that_nobody_signed, "join-unproven"),
    "a join of another plan": (a_join_of_another_plan, "join-unproven"),
    "a crowd of strangers": (a_crowd_of_strangers, "join-unproven"),
    "a stranger among the expected": (a_stranger_among_the_expected, "cohort-unproven"),
    "one party counted twice": (one_party_counted_twice, "cohort-unproven"),
    "a cohort of one": (a_cohort_of_one, "cohort-too-small"),
    "another cohort after the first total": (
        another_cohort_after_the_first_total,
        "cohort-changed",
    ),
    "a cohort that may shrink after the first total": (
        a_cohort_that_may_shrink_after_the_first_total,
        "cohort-changed",
    ),
    "a round that was asked before": (a_round_that_was_asked_before, "round-reused"),
    "a question under another name": (a_question_under_another_name, "query-digest"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_node_declines(name: str) -> None:
    attack, reason = ATTACKS[name]
    assert attack() == reason


@pytest.mark.parametrize("name", ATTACKS)
def test_without_the_guard_the_answer_leaves(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(participant, "_refusal", lambda turn, asked: "")
    assert ATTACKS[name][0]() == "upload"


def test_a_question_of_another_plan_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert a_question_of_another_plan() == "silence"
    monkeypatch.setattr(participant, "_foreign", lambda view, body: False)
    assert a_question_of_another_plan() == "upload"


@pytest.mark.parametrize("wrong", [{"width": 3}, {"kind": "depth"}], ids=["width", "kind"])
def test_a_question_that_the_problem_refuses_is_declined(wrong: dict[str, Any]) -> None:
    forger = begun()
    forger.write(forger.ask(1, forger.dids, **wrong))
    assert refusal(forger.show(forger.dids[0])) == "no-answer"


def reopened() -> tuple[Forger, str]:
    """The first plan again after the second, under its old id and its old secrets."""
    forger = begun()
    victim, first = forger.dids[0], forger.plan
    forger.show(victim)
    number = first.number + 1
    second = first.model_copy(update={"number": number, "plan": plan_id(first.order, 0, number)})
    forger.write(closing(first), second)
    forger.show(victim)
    again = first.model_copy(update={"as_of": str(int(first.as_of) + 1)})
    forger.write(closing(second), again)
    (message,) = forger.show(victim)
    join = parse_as(Join, payload_of(open_envelope(forger.sent(victim)[message.blob])))
    return forger, "accepts" if join.accepts else str(join.reason)


def closing(plan: PlanOpen) -> PlanClose:
    return PlanClose(
        plan=plan.plan,
        reason="void: for a test",
        settled=("0",),
        reserved=("0",),
        committed=("0",),
        left=("6",),
        order_done=False,
    )


def test_a_plan_is_joined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reopened()[1] == "plan-unproven"
    monkeypatch.setattr(participant, "_is_next_plan", lambda view, opened: True)
    assert reopened()[1] == "accepts"


def test_a_node_that_declined_to_join_answers_nothing_whatever_the_ledger_says() -> None:
    forger, _ = reopened()
    victim = forger.dids[0]
    old = forger.blobs
    joins = {open_envelope(body).sender: body for body in old.values()}
    forger.write(forger.joined(joins), forger.ask(1, forger.dids))
    assert "upload" not in {message.envelope.phase for message in forger.show(victim)}


@pytest.mark.parametrize(
    "lie",
    [{"plan": "c" * 64}, {"order": "c" * 64}, {"roster": "c" * 64}, {"number": 5}],
    ids=["plan", "order", "roster", "number"],
)
def test_a_plan_that_is_not_what_it_says_is_not_joined(lie: dict[str, Any]) -> None:
    forger = begun()
    first = forger.plan
    forger.write(closing(first), first.model_copy(update=lie))
    for message in forger.show(forger.dids[0]):
        assert isinstance(message.payload, Join)
        assert message.payload.reason == "plan-unproven"
