"""What commitments tell a coordinator that holds them: nothing, until their nonces are opened."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from tests.attacks.liar import Liar, begun

from covenue.hooks.domains import EMPTY
from covenue.hooks.privacy import Released
from covenue.identity.keys import derive
from covenue.rounds import participant
from covenue_contracts.canonical import canonical, sha256
from covenue_contracts.local import Actions, Leg
from covenue_contracts.plan import QueryAsked

KEYS = ("0", "8", "16", "999", "1000")
"""Nothing, part of what is offered, and twice all of it."""


def asked(liar: Liar, number: int, key: str) -> QueryAsked:
    return liar.ask(number, liar.dids, kind="commit", points=(key, "0"), width=1)


def commitments(liar: Liar) -> list[Mapping[str, bytes]]:
    """Everybody's commitment at each of the keys, in rounds of one plan."""
    found = []
    for number, key in enumerate(KEYS, 1):
        end = liar.sum_round(asked(liar, number, key))
        assert isinstance(end, Released)
        found.append(end.attached)
    return found


def actions(liar: Liar, did: str, key: str) -> Actions:
    """What a party does at a key, read in its own memory."""
    plan = liar.cohort.node(liar.index(did)).state.plan
    assert plan is not None
    assert plan.problem is not None
    return plan.problem.commit(asked(liar, 1, key).query, EMPTY, liar.plan.plan)[0]


def unchanged(values: list[Any]) -> list[bool]:
    """At which keys a value is that of the key before."""
    return [before == now for before, now in pairwise(values)]


def told_by_equal_digests() -> tuple[dict[str, list[bool]], dict[str, list[bool]]]:
    """Between which keys each party's commitment stays the same; and its actions."""
    liar = begun()
    held = commitments(liar)
    told = {did: unchanged([each[did] for each in held]) for did in liar.dids}
    truth = {did: unchanged([actions(liar, did, key) for key in KEYS]) for did in liar.dids}
    return told, truth


def one_nonce_a_plan(turn: Any, asked: QueryAsked, planned: bytes) -> str:
    nonce = derive(turn.own.master, b"commitment", asked.plan.encode())
    return sha256(b"covenue/commitment/1", nonce, planned)


def nonce_of_public_things(turn: Any, asked: QueryAsked, planned: bytes) -> str:
    return sha256(b"covenue/commitment/1", b"", planned)


def test_equal_actions_of_two_rounds_have_different_commitments() -> None:
    told, truth = told_by_equal_digests()
    assert any(True in each for each in truth.values())
    assert not any(True in each for each in told.values())


def test_under_one_nonce_a_plan_commitments_tell_at_which_keys_a_party_acts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(participant, "_commitment", one_nonce_a_plan)
    told, truth = told_by_equal_digests()
    assert len({tuple(each) for each in truth.values()}) > 1
    assert told == truth


def guessed() -> tuple[dict[str, int], dict[str, int]]:
    """Lots by party, as a coordinator finds that tries all small plans; and the true ones."""
    liar = begun()
    end = liar.sum_round(asked(liar, 1, "999"))
    assert isinstance(end, Released)
    tries = {
        bytes.fromhex(sha256(b"covenue/commitment/1", b"", canonical(plan))): lots
        for plan, lots in small_plans(liar.plan.plan)
    }
    found = {did: tries[held] for did, held in end.attached.items() if held in tries}
    truth = {did: lots_of(actions(liar, did, "999")) for did in liar.dids}
    return found, truth


def small_plans(plan: str) -> list[tuple[Actions, int]]:
    """All actions of up to twelve lots at one of four levels, and none at all."""
    idle = Actions(plan=plan, unit="1", legs=(), swaps=())
    plans = [(idle, 0)]
    for level in range(4):
        for lots in range(1, 13):
            leg = Leg(
                side="buy",
                instrument="ladder",
                limit_ticks=str(level),
                quantity_steps=str(lots),
                most_units=str(lots),
            )
            plans.append((idle.model_copy(update={"legs": (leg,)}), lots))
    return plans


def lots_of(planned: Actions) -> int:
    return sum(int(leg.most_units) for leg in planned.legs)


def test_a_commitment_cannot_be_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    found, truth = guessed()
    assert any(truth.values())
    assert found == {}
    monkeypatch.setattr(participant, "_commitment", nonce_of_public_things)
    found, truth = guessed()
    assert found == truth
