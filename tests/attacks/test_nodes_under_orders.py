"""What a node keeps, drops and survives, whatever orders, blobs and broadcasts it is shown."""

import base64
from typing import Any

import pytest
from tests.attacks.liar import (
    Liar,
    begun,
    closing,
    hold_pools,
    party_keys,
    reads_orders_in_plans,
    stage_message,
)
from tests.domains import pool_markets as markets

from covenue.errors import CovenueError, ReplayDiffers
from covenue.hooks.engines import TailReply
from covenue.hooks.privacy import Received, Released
from covenue.identity.consents import agreed
from covenue.numerics.words import integers, words
from covenue.rounds import delta_sync, participant, run
from covenue.rounds.messages import plan_id
from covenue.rounds.node_state import Deed
from covenue.testing.trials import TrialProblem
from covenue.testing.venues import Behaviour
from covenue_contracts.canonical import digest
from covenue_contracts.contract import Scalar
from covenue_contracts.envelope import Join
from covenue_contracts.plan import (
    Commitment,
    JoinedMember,
    Order,
    PlanGo,
    PlanJoined,
    QueryAsked,
)
from covenue_domain_arbitrage import Arbitrage, goals
from covenue_privacy_secagg import phases
from covenue_privacy_secagg.stage import SecAgg

FAR = str(10**19)

# ---- deeds, from one order to the next


def acted(behaviour: Behaviour) -> tuple[Liar, str]:
    """A cohort that went, and one party of it whose venue behaves so; the others' fill."""
    liar = begun()
    offers = liar.ask(1, liar.dids, points=("999",))
    did = next(d for d in liar.dids if liar.true_words(d, offers)[0])
    liar.cohort.venues[liar.index(did)].then(behaviour)
    asked = liar.ask(1, liar.dids, kind="commit", points=("999", "0"), width=1)
    end = liar.sum_round(asked)
    assert isinstance(end, Released)
    named = tuple(Commitment(did=d, commitment=end.attached[d].hex()) for d in liar.dids)
    liar.write(PlanGo(plan=liar.plan.plan, total=("0",), commitments=named, valid_until=FAR))
    liar.show(did)
    return liar, did


def deeds(liar: Liar, did: str) -> tuple[Deed, ...]:
    return liar.cohort.node(liar.index(did)).state.deeds


def next_order(liar: Liar) -> Order:
    """Close the plan and begin another order, which all have signed."""
    other = liar.cohort.order.model_copy(update={"seed": "1" * 64, "consents": ()})
    order = agreed(other, party_keys(len(liar.dids)))
    name, first = digest(order, "covenue/order/1"), liar.plan
    named = {"order": name, "plan": plan_id(name, 1, 0), "number": 0}
    liar.write(closing(first), order, first.model_copy(update=named))
    return order


def units(deed: Deed) -> int:
    return sum(int(f.units) for outcome in deed.outcomes or () for f in outcome.fills)


def drops_deeds(at: pytest.MonkeyPatch) -> None:
    original = participant._read_order

    def read(turn: Any, order: Order) -> None:
        original(turn, order)
        turn.set(deeds=())

    at.setattr(participant, "_read_order", read)


def counts_older_deeds(at: pytest.MonkeyPatch) -> None:
    original = participant._settle_words

    def settle(turn: Any, asked: QueryAsked) -> Any:
        kept = [{**vars(deed), "orders": turn.state.view.orders} for deed in turn.state.deeds]
        turn.set(deeds=tuple(Deed(**fields) for fields in kept))
        return original(turn, asked)

    at.setattr(participant, "_settle_words", settle)


def executed_and_known() -> tuple[int, int]:
    """Units that a venue executed in silence, and those that its node knows of an order later."""
    liar, did = acted(Behaviour.SILENT)
    venue = liar.cohort.venues[liar.index(did)]
    assert [units(deed) for deed in deeds(liar, did)] == [0]
    next_order(liar)
    liar.show(did)
    return venue.executed(), sum(units(deed) for deed in deeds(liar, did))


def test_a_deed_that_is_open_is_reconciled_whoever_orders_next() -> None:
    executed, known = executed_and_known()
    assert executed == known > 0


def test_a_node_that_drops_its_deeds_never_learns_what_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drops_deeds(monkeypatch)
    executed, known = executed_and_known()
    assert executed > known == 0


def test_a_deed_is_not_forgotten_for_an_order_in_mid_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def remaining() -> int:
        liar, did = acted(Behaviour.FILL)
        assert deeds(liar, did)
        liar.write(liar.cohort.order)
        liar.show(did)
        return len(deeds(liar, did))

    assert remaining() == 1
    reads_orders_in_plans(monkeypatch)
    assert remaining() == 0


def settled_in_the_next_order() -> tuple[int, ...]:
    """The sum of what the parties settle in an order in which nobody has acted yet."""
    liar, _ = acted(Behaviour.SILENT)
    next_order(liar)
    liar.begin(liar.joins())
    found = liar.summed(liar.ask(1, liar.dids, kind="settle", points=(), width=3))
    assert found is not None
    return integers(found)


def test_a_deed_of_an_earlier_order_is_settled_in_no_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settled_in_the_next_order() == (0, 0, 0)
    counts_older_deeds(monkeypatch)
    executed, _, planned = settled_in_the_next_order()
    assert planned >= executed > 0


# ---- an order in mid-plan


def refusals_after_the_same_order() -> list[str]:
    liar = begun()
    liar.write(liar.cohort.order)
    liar.sum_round(liar.ask(1, liar.dids))
    return liar.refusals


def test_no_order_is_heard_in_mid_plan_not_even_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusals_after_the_same_order() == ["order-in-plan"] * 6
    reads_orders_in_plans(monkeypatch)
    assert refusals_after_the_same_order() == []


# ---- envelopes under false names


def under_false_names() -> tuple[Liar, int]:
    """A node that is sent true joins, each under a digest that is not its own."""
    liar = Liar(parties=6, least=5)
    joins = liar.joins()
    names = {did: f"{number}" * 64 for number, did in enumerate(liar.dids)}
    liar.blobs.update({names[did]: body for did, body in joins.items()})
    members = tuple(JoinedMember(did=did, envelope=names[did]) for did in liar.dids)
    liar.write(PlanJoined(plan=liar.plan.plan, members=members), liar.ask(1, liar.dids))
    liar.show(liar.dids[0])
    return liar, liar.index(liar.dids[0])


def test_an_envelope_is_known_by_its_own_digest_only() -> None:
    liar, index = under_false_names()
    view = liar.cohort.node(index).state.view
    assert (view.distrust, view.joined) == ("join-unproven", ())
    assert liar.cohort.fresh_node(index).state == liar.cohort.node(index).state


def test_a_node_that_believes_the_names_of_blobs_cannot_start_again() -> None:
    told: dict[str, bytes] = {}

    def pack(tail: TailReply) -> bytes:
        told.update(tail.blobs)
        return delta_sync.pack(tail)

    def unpack(bundle: bytes) -> tuple[tuple[bytes, ...], dict[str, bytes]]:
        return delta_sync.unpack(bundle)[0], told

    with pytest.MonkeyPatch.context() as at:
        at.setattr(run, "pack", pack)
        at.setattr(run, "unpack", unpack)
        liar, index = under_false_names()
    assert liar.cohort.node(index).state.view.joined == liar.dids
    with pytest.raises(ReplayDiffers):
        liar.cohort.fresh_node(index)


# ---- terms of any form

BAD_TERMS: dict[str, Scalar | tuple[str, ...]] = {
    "floor": "x",
    "band": 1,
    "margin": ("0",),
    "most": "1",
    "references": ("1", "9" * 38),
    "slope_bits": 99,
    "least": ("0", "-"),
}


def joined_with(name: str) -> str | None:
    """Why a node does not join a plan of which one term is of no form; None if it does."""
    with pytest.MonkeyPatch.context() as at:
        order = markets.goal(("a", "b"))
        hold_pools(at, order)
        liar = Liar(parties=4, least=3)
        goal = order.model_copy(update={"terms": {**order.terms, name: BAD_TERMS[name]}})
        opened = liar.next_plan(goal=goal)
        (message,) = [m for m in liar.show(liar.dids[0]) if m.envelope.plan == opened.plan]
    assert isinstance(message.payload, Join)
    return message.payload.reason


@pytest.mark.parametrize("name", BAD_TERMS)
def test_terms_of_no_form_are_refused_before_and_after_they_are_compared(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert joined_with(name) == "goal-unproven"
    monkeypatch.setattr(Arbitrage, "continues", lambda domain, order, plan: True)
    assert joined_with(name) == "no-problem"


def test_a_node_that_reads_terms_as_they_come_falls_over_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Arbitrage, "continues", lambda domain, order, plan: True)
    monkeypatch.setattr(goals, "_count", lambda terms, name: int(terms[name]))
    with pytest.raises(ValueError, match="invalid literal") as caught:
        joined_with("floor")
    assert not isinstance(caught.value, CovenueError)


# ---- broadcasts of another round


def after_a_broadcast(number: int, phase: str) -> tuple[Liar, str]:
    """Nodes in round 1 that are shown a broadcast of another round; and one of them."""
    liar = begun()
    for entry in (liar.ask(1, liar.dids), stage_message(liar.plan.plan, number, phase)):
        liar.write(entry)
        for did in liar.dids:
            liar.show(did)
    return liar, liar.dids[0]


def hears_every_round(at: pytest.MonkeyPatch) -> None:
    def hear(turn: Any) -> None:
        messages, plan = turn.state.view.messages, turn.state.plan
        turn.set_plan(heard=len(messages))
        for message in messages[plan.heard :]:
            body = base64.b64decode(message.body)
            participant._stage(turn, message.round, Received("", message.phase, body))

    at.setattr(participant, "_hear", hear)


def signed_rounds(liar: Liar, did: str) -> list[int]:
    plan = liar.cohort.node(liar.index(did)).state.plan
    assert plan is not None
    return list(plan.votes)


def test_a_broadcast_of_another_round_is_not_heard() -> None:
    assert signed_rounds(*after_a_broadcast(7, phases.ABORT)) == []
    liar, _ = after_a_broadcast(2, phases.ABORT)
    assert liar.summed(liar.ask(2, liar.dids)) is not None


def test_nodes_that_hear_them_sign_away_a_round_that_was_not_asked_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hears_every_round(monkeypatch)
    liar, did = after_a_broadcast(2, phases.ABORT)
    assert signed_rounds(liar, did) == [2]
    assert liar.summed(liar.ask(2, liar.dids)) is None


# ---- DISCLOSE


def disclosed() -> tuple[Liar, tuple[int, ...] | None, tuple[int, ...]]:
    """The sum of a round in which each party would fill its own slot; and all their lots."""
    liar = begun()
    found = liar.summed(liar.ask(1, liar.dids, kind="disclose", points=(), width=6))
    problems = [vars(liar.cohort.node(at).state.plan)["problem"] for at in range(6)]
    truth = tuple(sum(lots for _, lots in problem.ladder.offers) for problem in problems)
    return liar, (None if found is None else integers(found)), truth


def fills_its_slot(at: pytest.MonkeyPatch) -> None:
    original = TrialProblem.answer

    def answer(problem: TrialProblem, query: Any, memory: Any) -> Any:
        if query.kind != "disclose":
            return original(problem, query, memory)
        slots = [0] * problem.ladder.members
        slots[problem.ladder.slot] = sum(lots for _, lots in problem.ladder.offers)
        return words(slots), memory

    at.setattr(TrialProblem, "answer", answer)


def test_no_node_discloses_under_a_mechanism_that_hides(monkeypatch: pytest.MonkeyPatch) -> None:
    fills_its_slot(monkeypatch)
    liar, found, _ = disclosed()
    assert found is None
    assert liar.refusals == ["disclose"] * 6


def test_a_sum_of_disclosures_is_everybodys_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    fills_its_slot(monkeypatch)
    monkeypatch.setattr(SecAgg, "coordinator_sees_everything", True)
    _, found, truth = disclosed()
    assert any(truth)
    assert found == truth
