from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import EnvelopeRefused
from covenue.identity.envelopes import seal
from covenue.rounds.messages import open_message, plan_id, query_digest, round_context
from covenue.testing.cohorts import NO_SCHEMA, identity
from covenue_contracts.canonical import canonical
from covenue_contracts.contract import Contract
from covenue_contracts.envelope import Decline, Join, Upload
from covenue_contracts.shared import Query

KEY = identity("party", "p0").key
JOIN = Join(accepts=True, reason=None, changed=False, checkpoint="", setup="")
DECLINE = Decline(query="0" * 64, reason="budget-exhausted")
UPLOAD = Upload(query="0" * 64, body="")


def sealed(phase: str, payload: bytes) -> bytes:
    return seal(
        KEY,
        plan="a" * 64,
        round=3,
        phase=phase,
        sequence=1,
        sent="5",
        contract=NO_SCHEMA,
        payload=payload,
    )


@pytest.mark.parametrize(
    ("phase", "payload"), [("join", JOIN), ("decline", DECLINE), ("upload", UPLOAD), ("v", UPLOAD)]
)
def test_a_message_is_opened_by_its_phase(phase: str, payload: Contract) -> None:
    message = open_message(sealed(phase, canonical(payload)))
    assert message.payload == payload
    entry = message.entry()
    assert (entry.sender, entry.round, entry.phase) == (KEY.did, 3, phase)
    assert entry.blob == message.blob


@pytest.mark.parametrize(
    ("phase", "payload"),
    [("join", canonical(UPLOAD)), ("upload", canonical(JOIN)), ("upload", b"no json"), ("v", b"")],
)
def test_a_payload_of_another_phase_is_refused(phase: str, payload: bytes) -> None:
    with pytest.raises(EnvelopeRefused) as caught:
        open_message(sealed(phase, payload))
    assert caught.value.field == "payload"


def test_a_query_is_named_by_plan_and_content_and_not_by_round() -> None:
    query = Query(kind="depth", after=None, multipliers=None, points=("1",))
    other = Query(kind="depth", after=None, multipliers=None, points=("2",))
    names = {
        query_digest("a" * 64, query),
        query_digest("b" * 64, query),
        query_digest("a" * 64, other),
    }
    assert len(names) == 3
    assert query_digest("a" * 64, query) == (
        "e974f249e7c6359797a478fb412827b92dfb544ea6d4de875efb2bdd12b7a765"
    )


BASE: dict[str, Any] = {
    "opened": "e" * 64,
    "plan": "a" * 64,
    "number": 1,
    "roster": "b" * 64,
    "query": "c" * 64,
    "width": 2,
    "mechanism": "open",
    "expected": ("x", "y"),
    "cohort": None,
}


@pytest.mark.parametrize(
    "change",
    [
        {"opened": "d" * 64},
        {"plan": "d" * 64},
        {"number": 2},
        {"roster": "d" * 64},
        {"query": "d" * 64},
        {"width": 3},
        {"mechanism": "voted"},
        {"expected": ("x", "z")},
        {"expected": ("x",)},
        {"expected": ("xy",)},
        {"cohort": ("x", "y")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_round_context_binds_every_field(change: dict[str, Any]) -> None:
    assert round_context(**BASE).digest != round_context(**{**BASE, **change}).digest


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_a_plan_id_is_used_once(a: int, b: int, c: int, d: int) -> None:
    assert (plan_id("o", a, b) == plan_id("o", c, d)) == ((a, b) == (c, d))
