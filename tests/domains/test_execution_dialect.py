"""ExProve's words: lossless on generated messages, and refusing what they cannot say."""

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bridge.documents import contract, messages, problems

from covenue.bridge.energibridge import EnergiBridge
from covenue.bridge.messages import Message
from covenue.errors import BadInput
from covenue_contracts.canonical import canonical
from covenue_domain_arbitrage.dialect import ARBSPHERE
from covenue_domain_execution.dialect import EXPROVE
from covenue_domain_routing.dialect import EXOROUTE

BRIDGE = EnergiBridge((EXPROVE, EXOROUTE, ARBSPHERE))
DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(st.one_of(messages(), problems("execution")))
def test_every_message_comes_back_in_the_same_bytes(message: Message) -> None:
    said = BRIDGE.translate(message, "exprove").message
    back = BRIDGE.translate(said, "canonical").message
    assert canonical(back.document()) == canonical(message.document())


@SLOW
@given(contract("attestation/v1"))
def test_a_signed_statement_keeps_its_bytes(body: dict[str, object]) -> None:
    message = Message("canonical", "attestation/v1", {}, body)
    said = BRIDGE.translate(message, "exprove").message
    assert said.type == "Attestation"
    assert said.body["statement"] == body["payload"]
    assert BRIDGE.translate(said, "canonical").message.body == body


def test_a_sum_is_a_market_context() -> None:
    words = base64.b64encode((7).to_bytes(8, "little") + (-2).to_bytes(8, "little", signed=True))
    body = {
        "plan": "ab" * 32,
        "round": 2,
        "query": "cd" * 32,
        "words": words.decode(),
        "digest": "ef" * 32,
        "cohort": [DID],
        "exact": True,
    }
    said = BRIDGE.translate(Message("canonical", "signals.total/v1", {}, body), "exprove").message
    assert said.type == "SharedMarketContext"
    assert said.body["words"] == ["7", "-2"]
    assert said.body["agents"] == [DID]


@SLOW
@given(problems("execution", state="pool-set/v1"))
def test_a_task_that_holds_pools_has_no_form(message: Message) -> None:
    with pytest.raises(BadInput):
        BRIDGE.translate(message, "exprove")
