"""One message at a time: what is carried, what is refused and by which words; and the mutants."""

import base64
import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from tests.bridge.test_soundness import budget, speaking, valued, without

from covenue.bridge import decimals, energibridge, kinds, spelling
from covenue.bridge.energibridge import EnergiBridge, Signature, envelope_of
from covenue.bridge.export import envelope_message
from covenue.bridge.messages import Message, read_messages, written
from covenue.errors import BadInput, EnvelopeRefused
from covenue.hooks.dialects import Dialect, Field, Named
from covenue.identity.envelopes import open_envelope, seal
from covenue.identity.keys import SigningKey
from covenue_contracts.canonical import canonical
from covenue_contracts.catalogue import schema_digest
from covenue_contracts.examples import CLOCK, PLAN, PLAN_DELTA, QUERY

KEY = SigningKey.from_seed(b"tests/bridge".ljust(32, b"."))
BUDGET: dict[str, Any] = {
    "signal": "depth",
    "rho_max": str(2**38),
    "exact_max": "4096",
    "delta_exponent": 9,
    "adjacency": "replace-one-venue",
}
UPLOAD = {"query": QUERY, "body": "AAECAw=="}
ENTRY = {
    "v": 1,
    "kind": "decline",
    "author": KEY.did,
    "nonce": "0" * 32,
    "clock": CLOCK,
    "refs": [],
}
NAMES = ("canonical", "arbsphere", "exoroute", "exprove")


def known(kind: str = "privacy-budget/v1", body: Any = None, **metadata: Any) -> Message:
    return Message("canonical", kind, metadata, BUDGET if body is None else body)


def sealed(body: dict[str, Any] = UPLOAD, kind: str = "upload/v1") -> bytes:
    return seal(
        KEY,
        plan=PLAN,
        round=3,
        phase="upload",
        sequence=17,
        sent="1723161260000000000",
        contract=schema_digest(kind),
        payload=canonical(body),
    )


def test_both_dialects_say_the_same_budget_in_their_own_words(bridge: EnergiBridge) -> None:
    exoroute = bridge.translate(known(round=3, sent="1500000000"), "exoroute").message
    assert exoroute.type == "PrivacyBudget"
    assert exoroute.metadata == {"round": 3, "sentAt": "1970-01-01T00:00:01.500000000Z"}
    assert exoroute.body == {
        "signal": "depth",
        "maxRho": "0.25",
        "maxNoiselessSums": "4096",
        "deltaExponent": 9,
        "adjacency": "VENUE",
    }
    arbsphere = bridge.translate(exoroute, "arbsphere").message
    assert arbsphere.metadata == {"round_number": 3, "sent_at_s": "1.5"}
    assert arbsphere.body["rho_limit"] == "0.25"
    assert arbsphere.body["neighbours"] == "replace-one-venue"


def test_prices_are_decimals_in_exoroute_and_integers_in_arbsphere(bridge: EnergiBridge) -> None:
    delta = known(
        "plan.delta/v1", {**PLAN_DELTA, "multipliers": {"scale_bits": 2, "values": ["5"]}}
    )
    exoroute = bridge.translate(delta, "exoroute").message
    assert exoroute.body["dualVariables"] == {"gridBits": 2, "prices": ["1.25"]}
    arbsphere = bridge.translate(exoroute, "arbsphere").message
    assert arbsphere.body["prices"] == {"price_bits": 2, "asset_prices": ["5"]}


def test_a_price_off_its_grid_is_refused_never_rounded(bridge: EnergiBridge) -> None:
    spoken = Message("exoroute", "DualVariables", {}, {"gridBits": 2, "prices": ["1", "0.3"]})
    with pytest.raises(BadInput, match="nothing is rounded") as refused:
        bridge.translate(spoken, "arbsphere")
    assert (refused.value.field, refused.value.value) == ("/body/prices/1", "0.3")


def test_a_signature_holds_from_every_dialect_and_covers_none_but_the_canonical_form(
    bridge: EnergiBridge,
) -> None:
    envelope = sealed()
    message = envelope_message(envelope)
    for name in NAMES:
        there = bridge.translate(message, name).message
        back = bridge.translate(there, "canonical")
        assert back.signature is Signature.HOLDS
        assert envelope_of(back.message) == envelope
    spoken = bridge.translate(message, "exoroute").message
    payload = base64.b64encode(canonical({"queryId": QUERY, **spoken.body})).decode()
    with pytest.raises(EnvelopeRefused):
        open_envelope(canonical({**message.metadata, "payload": payload}))


def test_a_changed_body_breaks_the_signature_and_a_part_of_an_envelope_cannot_be_checked(
    bridge: EnergiBridge,
) -> None:
    message = envelope_message(sealed())
    changed = replace(message, body={**message.body, "body": "AAECBA=="})
    assert bridge.translate(changed, "exoroute").signature is Signature.BROKEN
    partly = {name: message.metadata[name] for name in message.metadata if name != "sequence"}
    told = bridge.translate(replace(message, metadata=partly), "exoroute")
    assert told.signature is Signature.INCOMPLETE
    assert told.message.metadata["signature"] == message.metadata["signature"]
    assert bridge.translate(replace(message, metadata={}), "exoroute").signature is Signature.ABSENT


def test_metadata_that_names_another_contract_is_refused(
    bridge: EnergiBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying = known(contract=schema_digest("upload/v1"))
    spoken = Message(
        "exoroute",
        "PrivacyBudget",
        {"schemaDigest": schema_digest("upload/v1")},
        bridge.translate(known(), "exoroute").message.body,
    )
    for message, field in ((lying, "/metadata/contract"), (spoken, "/metadata/schemaDigest")):
        with pytest.raises(BadInput, match="another digest") as refused:
            bridge.translate(message, "arbsphere")
        assert refused.value.field == field
    monkeypatch.setattr(energibridge, "_require_contract", lambda known: None)
    assert bridge.translate(lying, "arbsphere").message.metadata["contract_sha256"]


REFUSED: dict[str, tuple[Message, str, str, str]] = {
    "a type that no contract has": (
        known("privacy-budgets/v1"),
        "/type",
        "privacy-budgets/v1",
        "did you mean 'privacy-budget/v1'?",
    ),
    "a type that the dialect has not": (
        Message("exoroute", "PrivacyBudgets", {}, {}),
        "/type",
        "PrivacyBudgets",
        "did you mean 'PrivacyBudget'?",
    ),
    "a type like none": (
        Message("exoroute", "Xyz", {}, {}),
        "/type",
        "Xyz",
        "use LocalProblem, SharedVariables",
    ),
    "a contract that the target has no message for": (
        known("goal/v1", {"domain": "a", "aim": "fill", "remaining": ["1"], "terms": {}}),
        "/type",
        "goal/v1",
        "keep the message in 'canonical'",
    ),
    "a dialect that nobody speaks": (
        Message("exorouter", "PrivacyBudget", {}, {}),
        "/dialect",
        "exorouter",
        "did you mean 'exoroute'?",
    ),
    "an unknown field of the contract": (
        known(body={**BUDGET, "epsilon": "1"}),
        "/body",
        "",
        "covenue contracts show privacy-budget/v1",
    ),
    "an unknown field of metadata": (
        known(sneder="did:key:z6"),
        "/metadata",
        "",
        "metadata is what is known of an envelope/v1",
    ),
    "a body that is no map": (
        known(body=[1]),
        "/body",
        "[1]",
        "covenue contracts show",
    ),
    "a value that the contract forbids, named as the dialect names it": (
        Message("arbsphere", "DualVariables", {}, {"price_bits": 63, "asset_prices": []}),
        "/body/price_bits",
        "63",
        "covenue contracts show dual-variables/v1",
    ),
    "a nested value that the contract forbids": (
        Message("arbsphere", "DualVariables", {}, {"price_bits": 1, "asset_prices": ["1", "0x"]}),
        "/body/asset_prices/1",
        "0x",
        "covenue contracts show dual-variables/v1",
    ),
    "an entry of a kind that nobody knows": (
        known("entry/v1", {**ENTRY, "kind": "nothing", "body": {}}),
        "/body/kind",
        "nothing",
        "covenue contracts show entry/v1",
    ),
    "an entry without a body": (
        known("entry/v1", ENTRY),
        "/body/body",
        "",
        "covenue contracts show entry/v1",
    ),
    "a float from a notebook": (
        known(body={**BUDGET, "delta_exponent": 9.0}),
        "/",
        "",
        "write amounts and times as decimal strings",
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_no_message_is_refused_with_field_value_and_advice(
    bridge: EnergiBridge, sentence: str
) -> None:
    message, field, value, advice = REFUSED[sentence]
    with pytest.raises(BadInput) as refused:
        bridge.translate(message, "exoroute" if message.dialect == "canonical" else "arbsphere")
    assert refused.value.field == field
    if value:
        assert refused.value.value == value
    assert advice in refused.value.advice


def test_the_target_is_asked_for_by_its_option(bridge: EnergiBridge) -> None:
    with pytest.raises(BadInput, match="no installed domain speaks 'arbspere'") as refused:
        bridge.translate(known(), "arbspere")
    assert (refused.value.field, refused.value.advice) == ("--to", "did you mean 'arbsphere'?")


SHARED = speaking(budget(Field("rho_max", "limit"), Field("exact_max", "limit")))
DROPPED = speaking(without("privacy-budget/v1", "rho_max"))
MERGED = speaking(
    valued(
        "privacy-budget/v1",
        "adjacency",
        Named({"replace-one-venue": "ONE", "replace-one-program": "ONE"}),
    )
)


def unchecked(dialect: Dialect) -> EnergiBridge:
    """A bridge to a dialect whose tables nobody checked: the first guard is off."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(energibridge, "check", lambda dialect: None)
        return EnergiBridge([dialect])


@pytest.mark.parametrize("dialect", [SHARED, DROPPED, MERGED], ids=["shared", "dropped", "merged"])
def test_a_losing_dialect_that_nobody_checked_still_translates_nothing(dialect: Dialect) -> None:
    with pytest.raises(BadInput, match="cannot say it") as refused:
        unchecked(dialect).translate(known(), "tiny")
    assert refused.value.field in {f"/body/{name}" for name in BUDGET}


@pytest.mark.parametrize(
    ("dialect", "change"),
    [
        (SHARED, {"exact_max": "1"}),
        (DROPPED, {"rho_max": "1"}),
        (MERGED, {"adjacency": "replace-one-program"}),
    ],
    ids=["shared", "dropped", "merged"],
)
def test_without_the_guards_two_messages_become_one(
    dialect: Dialect, change: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energibridge, "_require_same", lambda given, again: None)
    monkeypatch.setattr(spelling, "_refuse_others", lambda given, paths, where: None)
    one, other = known(), known(body={**BUDGET, **change})
    said = [unchecked(dialect).translate(message, "tiny").message.raw() for message in (one, other)]
    assert one.raw() != other.raw()
    assert said[0] == said[1]


def test_an_amount_with_idle_zeros_is_refused_even_where_the_reader_would_take_it(
    bridge: EnergiBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = bridge.translate(known(), "exoroute").message
    loose = replace(spoken, body={**spoken.body, "maxRho": "0.250"})
    with pytest.raises(BadInput, match="idle zeros"):
        bridge.to_canonical(loose)
    monkeypatch.setattr(decimals, "read", Fraction)
    with pytest.raises(BadInput, match="does not come back as it was") as refused:
        bridge.to_canonical(loose)
    assert (refused.value.field, refused.value.value) == ("/body/maxRho", "0.250")
    monkeypatch.setattr(energibridge, "_require_same", lambda given, again: None)
    back = bridge.from_canonical(bridge.to_canonical(loose), "exoroute")
    assert back.raw() != loose.raw(), "two spellings of one message: the guard keeps them apart"


def test_a_writer_that_rounds_is_found_out(
    bridge: EnergiBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = known(body={**BUDGET, "rho_max": str(2**38 + 1)})
    monkeypatch.setattr(decimals, "written", lambda value: f"{float(value):.2f}")
    with pytest.raises(BadInput, match="cannot say it") as refused:
        bridge.translate(fine, "exoroute")
    assert refused.value.field == "/body/rho_max"
    monkeypatch.setattr(energibridge, "_require_same", lambda given, again: None)
    lossy = bridge.translate(known(), "exoroute").message
    assert (
        lossy.raw()
        == bridge.translate(
            known(body={**BUDGET, "rho_max": str(2**38 + 2**30)}), "exoroute"
        ).message.raw()
    )


def test_an_unknown_field_is_refused_by_the_first_guard_that_stands(
    bridge: EnergiBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = bridge.translate(known(), "exoroute").message
    more = replace(spoken, body={**spoken.body, "epsilon": "1"})
    with pytest.raises(BadInput, match="no such field") as refused:
        bridge.to_canonical(more)
    assert refused.value.field == "/body/epsilon"
    monkeypatch.setattr(spelling, "_refuse_others", lambda given, paths, where: None)
    with pytest.raises(BadInput, match="does not come back as it was"):
        bridge.to_canonical(more)
    monkeypatch.setattr(energibridge, "_require_same", lambda given, again: None)
    assert bridge.to_canonical(more).raw() == bridge.to_canonical(spoken).raw(), "it is dropped"


def test_a_message_that_breaks_its_contract_passes_only_without_the_validator(
    bridge: EnergiBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = bridge.translate(known(), "exoroute").message
    wrong = replace(spoken, body={**spoken.body, "signal": "Not A Name"})
    with pytest.raises(BadInput, match="breaks a rule of privacy-budget/v1") as refused:
        bridge.to_canonical(wrong)
    assert (refused.value.field, refused.value.value) == ("/body/signal", "Not A Name")
    monkeypatch.setattr(kinds, "validate", lambda kind, body: None)
    assert bridge.to_canonical(wrong).body["signal"] == "Not A Name"


def test_messages_come_back_from_a_file_as_they_were_written() -> None:
    messages = (known(), known(round=3))
    again = read_messages(written(messages), "x.jsonl")
    assert [item.raw() for item in again] == [item.raw() for item in messages]
    assert [item.place for item in again] == [("x.jsonl", 1), ("x.jsonl", 2)]
    pretty = json.dumps(messages[0].document(), indent=4).encode() + b"\n \t\r\n"
    assert read_messages(pretty * 2)[1].raw() == messages[0].raw()


MALFORMED: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b" \n", "holds no message", ""),
    "no UTF-8": (b"\xff", "no UTF-8", ""),
    "cut off": (b'{"dialect":', "message 1 is no JSON", ""),
    "two on one line, the second cut off": (written((known(),)) + b"{", "message 2 is no", ""),
    "a float": (b'{"body":{"a":[1,1.5]}}', "float is not in the profile", "/body/a/1"),
    "not a number": (b'{"body":NaN}', "float is not in the profile", "/body"),
    "a number too large": (b'{"body":9007199254740993}', "2^53 - 1", "/body"),
    "a number of thousands of digits": (b"9" * 5000, "message 1 is no JSON", ""),
    "a key twice": (b'{"type":"a","type":"a"}', "key 'type' stands twice", ""),
    "nested without end": (b"[" * 100_000, "message 1 is no JSON", ""),
    "no map": (b"[]", "it is no map", "/"),
    "a field too few": (b'{"dialect":"a","type":"b","metadata":{}}', "missing", "/body"),
    "a field too many": (
        b'{"dialect":"a","type":"b","metadata":{},"body":{},"extensions":{}}',
        "no such field",
        "/extensions",
    ),
    "a type that is no text": (
        b'{"dialect":"a","type":1,"metadata":{},"body":{}}',
        "it is no text",
        "/type",
    ),
    "metadata that is no map": (
        b'{"dialect":"a","type":"b","metadata":[],"body":{}}',
        "it is no map",
        "/metadata",
    ),
}


@pytest.mark.parametrize("sentence", MALFORMED)
def test_a_malformed_file_is_refused_with_the_message_and_the_field(sentence: str) -> None:
    data, why, field = MALFORMED[sentence]
    with pytest.raises(BadInput) as refused:
        read_messages(data, "x.jsonl")
    assert why in refused.value.what
    assert (refused.value.file, refused.value.field) == ("x.jsonl", field)


def test_a_long_value_is_cut_short_in_an_error(bridge: EnergiBridge) -> None:
    spoken = Message("exoroute", "DualVariables", {}, {"gridBits": 2, "prices": ["x" * 500]})
    with pytest.raises(BadInput) as refused:
        bridge.to_canonical(spoken)
    assert len(refused.value.value) == 80
