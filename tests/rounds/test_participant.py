"""A node's own rules: what it remembers, owes, signs and does."""

from dataclasses import replace
from typing import Any

import pytest
from tests.attacks.forger import Forger
from tests.rounds.machine import Around

from covenue.errors import BadInput
from covenue.ledger.entries import Entry
from covenue.rounds import node_state, participant
from covenue.rounds.messages import open_message
from covenue.rounds.run import NodeProcess
from covenue.testing.cohorts import Cohort, Setting, identity
from covenue.testing.domains import LadderCoupling
from covenue_contracts.envelope import Join
from covenue_contracts.ledger import (
    ActionPlanned,
    EntryHeader,
    OutcomeSeen,
    Reply,
    SnapshotPinned,
    Tail,
)
from covenue_contracts.plan import (
    Commitment,
    PlanClose,
    PlanDelta,
    PlanGo,
    PlanOpen,
    PlanVoid,
    QueryAsked,
)


def cohort(stage: str = "open", **setting: Any) -> Cohort:
    return Cohort(Around(stage), Setting(**setting))


def every(at: Cohort, kind: type[Any]) -> list[Any]:
    return [body for body in at.public if isinstance(body, kind)]


def until(at: Cohort, kind: type[Any], count: int = 1) -> None:
    for _ in range(200):
        if len(every(at, kind)) >= count:
            return
        at.beat()
    raise AssertionError(f"no {kind.__name__}")


def own(at: Cohort, index: int, kind: type[Any]) -> list[Any]:
    return [e.body for e in at.log(index).entries() if isinstance(e.body, kind)]


# ---- memory


def committed_then_voided(patch: pytest.MonkeyPatch) -> tuple[Cohort, str]:
    """A plan whose commitment was not admitted, read by everybody; its commit query's digest."""
    patch.setattr(LadderCoupling, "admits", lambda self, total, goal: False)
    at = cohort(plans=1)
    at.calm()
    commit = [body for body in every(at, QueryAsked) if body.query.kind == "commit"]
    return at, commit[0].digest


def test_a_void_drops_what_its_commitment_left(monkeypatch: pytest.MonkeyPatch) -> None:
    at, commit = committed_then_voided(monkeypatch)
    state = at.node(0).state
    assert commit in state.kept
    assert commit not in state.memories
    assert state.memories
    monkeypatch.setattr(participant, "_read_void", lambda turn, void: None)
    at, commit = committed_then_voided(monkeypatch)
    assert commit in at.node(0).state.memories


def test_a_void_of_a_plan_that_a_node_missed_leaves_what_it_had() -> None:
    at = cohort(plans=3, pace=2)
    until(at, PlanClose)
    at.read(0)
    before = at.node(0).state.memories
    at.hosts[0].online = False
    until(at, PlanOpen, 2)
    at.kill()
    at.hosts[0].online = True
    at.read(0)
    commits = {b.digest for b in every(at, QueryAsked) if b.query.kind == "commit"}
    assert commits & set(before)
    assert every(at, PlanVoid)
    assert at.node(0).state.memories == before


def test_memory_survives_to_the_next_plan_and_no_further() -> None:
    at = cohort(mode="standing", plans=3)
    at.calm()
    plans = [body.plan for body in every(at, PlanOpen)]
    held = {body.plan for body in every(at, QueryAsked) if body.digest in at.node(0).state.memories}
    assert held == set(plans[1:])


# ---- what is owed


def test_a_message_is_owed_until_the_ledger_shows_it() -> None:
    at = cohort()
    at.read(0)
    (first,) = participant.due(at.node(0).state).sends
    at.restart(0)
    (again,) = participant.due(at.node(0).state).sends
    assert again == first
    at.arrive()
    at.read(0)
    assert participant.due(at.node(0).state).sends == ()


def test_an_answer_is_owed_only_while_its_round_lasts() -> None:
    at = cohort(retries=0, plans=1)
    until(at, QueryAsked, 2)
    at.read(0)
    at.drop(0)
    assert len(participant.due(at.node(0).state).sends) == 1
    for index in (1, 2):
        at.hosts[index].online = False
    until(at, PlanClose)
    at.read(0)
    assert participant.due(at.node(0).state).sends == ()


def test_an_action_is_entered_before_it_is_done_and_done_after_a_restart() -> None:
    at = cohort(still=True)
    until(at, PlanGo)
    at.crash(0, 1)
    at.read(0)
    assert len(own(at, 0, ActionPlanned)) == 1
    assert at.venues[0].executions == []
    at.read(0)
    assert len(at.venues[0].executions) == 1
    assert len(own(at, 0, OutcomeSeen)) == 1


def test_an_executed_order_whose_outcome_was_not_written_is_reconciled() -> None:
    at = cohort(still=True)
    until(at, PlanGo)
    at.crash(0, 3)
    at.read(0)
    assert len(at.venues[0].executions) == 1
    assert own(at, 0, OutcomeSeen) == []
    at.read(0)
    assert len(at.venues[0].executions) == 1
    assert len(own(at, 0, OutcomeSeen)) == 1


def test_an_outcome_of_an_unknown_order_changes_no_deed() -> None:
    at = cohort()
    node = at.node(0)
    stray = OutcomeSeen(plan="0" * 64, order="0" * 64, outcomes="0" * 64)
    step = participant.advance(at._own(0), node.state, node_state.Event(0, stray))
    assert step.entries == ()
    assert step.state.deeds == node.state.deeds


def test_a_state_pinned_for_another_plan_is_ignored() -> None:
    at = cohort()
    node = at.node(0)
    pinned = SnapshotPinned(
        plan="0" * 64, as_of="0", state=None, digest=None, blob=None, changed=True, reason="stale"
    )
    step = participant.advance(at._own(0), node.state, node_state.Event(0, pinned))
    assert step.entries == ()
    assert step.state.plan is None


# ---- joining


def joined_by(at: Cohort, **changes: Any) -> Join:
    """The join of node 0 once its parts are changed; from its reply's bytes."""
    own_parts = replace(at._own(0), **changes)
    node = at.node(0)
    node._fold.own = own_parts
    at.read(0)
    message = at.flights[0]
    payload = open_message(message.body).payload
    assert isinstance(payload, Join)
    return payload


def test_a_node_that_cannot_build_its_problem_says_so() -> None:
    def impossible(*_: Any) -> Any:
        raise BadInput("no such instrument", "name another")

    assert joined_by(cohort(), build=impossible).reason == "no-problem"


def test_a_node_without_a_budget_for_the_signal_says_so() -> None:
    at = cohort()
    node = at.node(0)
    node._fold.state = replace(node.state, accounts={})
    assert joined_by(at).reason == "no-budget"


def test_a_node_whose_budget_cannot_end_a_plan_does_not_join_it() -> None:
    assert joined_by(cohort(budget=4, retries=1)).reason == "budget-exhausted"
    assert joined_by(cohort(budget=5, retries=1)).accepts


def test_a_node_outside_the_roster_does_not_join() -> None:
    at = cohort()
    assert joined_by(at, key=identity("party", "stranger").key).reason == "not-in-roster"


def test_a_join_whose_bytes_nobody_shows_is_not_believed() -> None:
    forger = Forger()
    joined = forger.joined(forger.joins())
    forger.blobs.clear()
    forger.write(joined, forger.ask(1, forger.dids))
    messages = forger.show(forger.dids[0])
    assert "upload" not in {message.envelope.phase for message in messages}


# ---- acting


def go_for(at: Cohort, commitments: dict[str, str]) -> PlanGo:
    opened = every(at, PlanOpen)[-1]
    return PlanGo(
        plan=opened.plan,
        total=("6",),
        commitments=tuple(Commitment(did=d, commitment=c) for d, c in sorted(commitments.items())),
        valid_until=str(at.now * 2),
    )


def proposed() -> tuple[Cohort, NodeProcess]:
    """A cohort in which node 0 has committed and waits for the word to go."""
    at = cohort(still=True)
    until(at, PlanDelta)
    at.read(0)
    return at, at.node(0)


def told(at: Cohort, go: PlanGo) -> node_state.Step:
    """What node 0 makes of a go, whoever gave it."""
    header = EntryHeader(
        v=1, kind="plan.go", author=at.did(3), nonce="0" * 32, clock=at.clock(3), refs=()
    )
    node = at.node(0)
    tail = Tail(start=node.wants(), end=node.wants() + 1, bundle="0" * 64, checkpoint="")
    event = node_state.Event(at.now, tail, (Entry(header, go, b""),))
    return participant.advance(at._own(0), node.state, event)


def test_a_node_acts_on_its_own_commitment_only() -> None:
    at, node = proposed()
    assert node.state.plan is not None
    mine = node.state.plan.commitment
    acted = told(at, go_for(at, {at.did(0): mine}))
    assert [type(entry) for entry in acted.entries] == [ActionPlanned]
    for commitments in ({at.did(0): "f" * 64}, {at.did(1): mine}):
        assert told(at, go_for(at, commitments)).entries == ()


def test_a_go_that_does_not_name_a_node_obliges_it_to_nothing() -> None:
    at, _ = proposed()
    step = told(at, go_for(at, {at.did(1): "f" * 64}))
    assert step.state.deeds == ()


def test_a_go_for_a_node_that_committed_to_nothing_is_not_acted_on() -> None:
    at = cohort()
    at.read(0)
    assert told(at, go_for(at, {at.did(0): "f" * 64})).state.deeds == ()


def test_a_commitment_hides_equal_actions_and_repeats_for_one_plan() -> None:
    first, second = cohort(still=True), cohort(still=True)
    for at in (first, second):
        until(at, PlanGo)
    assert every(first, PlanGo)[0].commitments == every(second, PlanGo)[0].commitments
    values = [c.commitment for c in every(first, PlanGo)[0].commitments]
    assert len(set(values)) == len(values)


def test_everything_said_is_a_reply_in_the_log() -> None:
    at = cohort("voted")
    at.calm()
    phases = {body.phase for body in own(at, 0, Reply)}
    assert phases == {"join", "upload", "vote", "reveal"}
    assert {sent.phase for sent in own(at, 0, Reply)} == {
        phase for did, _, _, phase in at.said if did == at.did(0)
    }
