"""Entries: three encoders agree, readers are strict, sizes are bounded."""

import json
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import BadInput, EntryTooLarge, LedgerDamaged
from covenue.identity.keys import SigningKey
from covenue.ledger import entries as entries_module
from covenue.ledger.entries import (
    HEADER_BYTES_MAX,
    contract_of,
    decode_entry,
    encode_entry,
    entry_kind,
    named_blobs,
    room_beside,
)
from covenue_contracts.canonical import canonical
from covenue_contracts.contract import SAFE_INTEGER, Contract
from covenue_contracts.ledger import (
    ENTRY_BYTES_MAX,
    ClockReading,
    EntryHeader,
    Genesis,
    KillSwitch,
    MemoryKept,
    OutcomeSeen,
    Reply,
    SnapshotPinned,
    Submit,
    Tail,
)
from covenue_contracts.plan import Goal, PlanOpen

DID = SigningKey.from_seed(bytes(32)).did
CLOCK = ClockReading(
    wall="1723161260000000000", monotonic="5", boot="b", source="s", divergence="0"
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
SCALARS = st.none() | st.booleans() | st.integers(-SAFE_INTEGER, SAFE_INTEGER) | TEXT
DOCUMENTS = st.dictionaries(
    st.text(st.characters(max_codepoint=127), max_size=12),
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.text(st.characters(max_codepoint=127), max_size=6), inner, max_size=4
            )
        ),
        max_leaves=12,
    ),
    max_size=6,
)


def header(kind: str, **changes: Any) -> EntryHeader:
    fields: dict[str, Any] = {
        "v": 1, "kind": kind, "author": DID, "nonce": "0" * 32, "clock": CLOCK, "refs": (),
    }  # fmt: skip
    return EntryHeader(**{**fields, **changes})


def kill(reason: str) -> KillSwitch:
    return KillSwitch(plan="a" * 64, reason=reason)


def test_the_bytes_of_an_entry_are_pinned() -> None:
    data = encode_entry(header("kill_switch", refs=("b" * 64,)), kill("é\n"), ask_oracle=True)
    assert data.decode() == (
        '{"author":"did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",'
        '"body":{"plan":"' + "a" * 64 + '","reason":"é\\n"},'
        '"clock":{"boot":"b","divergence":"0","monotonic":"5","source":"s",'
        '"wall":"1723161260000000000"},'
        '"kind":"kill_switch","nonce":"' + "0" * 32 + '","refs":["' + "b" * 64 + '"],"v":1}'
    )


@given(DOCUMENTS)
def test_three_encoders_agree_inside_the_profile(document: dict[str, Any]) -> None:
    fast = msgspec.json.encode(document, order="sorted")
    assert fast == canonical(document) == rfc8785.dumps(document)


@given(TEXT, st.lists(st.integers(0, 2**256 - 1).map("{:064x}".format), max_size=3))
def test_an_entry_reads_back(reason: str, refs: list[str]) -> None:
    data = encode_entry(header("kill_switch", refs=tuple(refs)), kill(reason), ask_oracle=True)
    entry = decode_entry(data)
    assert (entry.header.refs, entry.body, entry.raw) == (tuple(refs), kill(reason), data)
    assert canonical(json.loads(data)) == data


@given(st.dictionaries(st.from_regex(r"\A[a-z][a-z0-9_]{0,9}\Z"), SCALARS, max_size=5))
def test_a_nested_body_reads_back(terms: dict[str, Any]) -> None:
    body = PlanOpen(
        plan="a" * 64,
        number=SAFE_INTEGER,
        order="b" * 64,
        parent=None,
        goal=Goal(domain="x", aim="fill", remaining=("10000000",), terms=terms),
        mode="standing",
        as_of="1723161260000000000",
        roster="c" * 64,
        seed="d" * 64,
    )
    entry = decode_entry(encode_entry(header("plan.open"), body, ask_oracle=True))
    assert entry.body == body


def good(**changes: Any) -> dict[str, Any]:
    return {**json.loads(encode_entry(header("kill_switch"), kill("r"))), **changes}


def raw(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


REFUSED = {
    "no JSON": b"{",
    "nothing": b"",
    "not UTF-8": b'"\xff"',
    "a list": b"[]",
    "a number": b"1",
    "an empty document": b"{}",
    "a space": raw(good()).replace(b":", b": ", 1),
    "a final newline": raw(good()) + b"\n",
    "a byte order mark": b"\xef\xbb\xbf" + raw(good()),
    "a key twice": raw(good()).replace(b'"kind"', b'"kind":"kill_switch","kind"'),
    "keys out of order": json.dumps(good(), separators=(",", ":")).encode()[::1].replace(
        b'{"author"', b'{"v":1,"author"'
    ),
    "an escape that is not needed": raw(good()).replace(b'"r"', b'"\\u0072"'),
    "an escaped slash": raw(good(body={"plan": "a" * 64, "reason": "/"})).replace(b"/", b"\\/"),
    "a lone surrogate": raw(good()).replace(b'"r"', b'"\\ud800"'),
    "a float": raw(good()).replace(b'"v":1', b'"v":1.0'),
    "an exponent": raw(good()).replace(b'"v":1', b'"v":1e0'),
    "an integer beyond 2^53": raw(good()).replace(b'"v":1', b'"v":9007199254740993'),
    "an integer beyond 2^64": raw(good()).replace(b'"v":1', b'"v":99999999999999999999999'),
    "a key beyond ASCII": raw(good(é=1)),
    "deep nesting": b'{"body":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a little too deep": raw(good(body=json.loads("[" * 17 + "]" * 17))),
    "no body": raw({name: value for name, value in good().items() if name != "body"}),
    "a body that is a text": raw(good(body="x")),
    "an unknown field": raw(good(extra=1)),
    "an unknown field in the body": raw(good(body={"plan": "a" * 64, "reason": "", "x": 1})),
    "a missing field": raw(good(body={"plan": "a" * 64})),
    "an unknown kind": raw(good(kind="nothing-known")),
    "a kind that is no name": raw(good(kind="Kill Switch")),
    "a body of another kind": raw(good(kind="memory")),
    "another version": raw(good(v=2)),
    "a version that is a text": raw(good(v="1")),
    "a version that is true": raw(good(v=True)),
    "a short nonce": raw(good(nonce="0" * 31)),
    "a nonce in capitals": raw(good(nonce="A" * 32)),
    "a time that is a number": raw(good(clock={**good()["clock"], "wall": 1})),
    "an author that is no did": raw(good(author="me")),
    "too many bytes": b'"' + b"x" * ENTRY_BYTES_MAX + b'"',
}  # fmt: skip


@pytest.mark.parametrize("rule", REFUSED)
def test_bytes_with_one_broken_rule_are_refused(rule: str) -> None:
    with pytest.raises(LedgerDamaged) as refused:
        decode_entry(REFUSED[rule], "entry 3")
    assert refused.value.place == "entry 3"
    assert "entry 3" in str(refused.value)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_typed_refusal(data: bytes) -> None:
    with pytest.raises(LedgerDamaged):
        decode_entry(data)


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_reads_as_another_entry(at: int, mask: int) -> None:
    data = bytearray(encode_entry(header("kill_switch"), kill("reason")))
    data[at % len(data)] ^= mask
    try:
        entry = decode_entry(bytes(data))
    except LedgerDamaged:
        return
    assert encode_entry(entry.header, entry.body) == entry.raw == bytes(data)


def test_65535_bytes_are_an_entry_and_65536_need_a_blob() -> None:
    overhead = len(encode_entry(header("tail"), tail("")))
    room = (ENTRY_BYTES_MAX - overhead) // 4 * 4
    fill = ENTRY_BYTES_MAX - overhead - room
    fits = encode_entry(header("tail"), tail("A" * room, fill))
    assert len(fits) == ENTRY_BYTES_MAX
    assert decode_entry(fits).raw == fits
    with pytest.raises(EntryTooLarge, match="put_blob"):
        encode_entry(header("tail"), tail("A" * room, fill + 1))


def test_no_header_takes_more_than_is_kept_for_it() -> None:
    longest = EntryHeader(
        v=1,
        kind="k" * 64,
        author="did:key:z" + "9" * 50,
        nonce="0" * 32,
        clock=ClockReading(
            wall="9" * 20, monotonic="9" * 20, boot="b" * 64, source="s" * 64, divergence="9" * 20
        ),
        refs=(),
    )
    spent = len(canonical(longest)) + len(',"body":')
    assert spent <= HEADER_BYTES_MAX < spent + 64


def test_a_body_that_leaves_room_is_an_entry_and_one_byte_more_is_refused() -> None:
    spare = room_beside(tail(""))
    body = tail("A" * (spare // 4 * 4), spare % 4)
    assert room_beside(body) == 0
    assert len(encode_entry(header("tail"), body)) <= ENTRY_BYTES_MAX
    assert room_beside(tail("A" * (spare // 4 * 4), spare % 4 + 1)) == -1


def tail(checkpoint: str, zeros: int = 0) -> Tail:
    """A body of any size; single bytes come from the digits of a number."""
    return Tail(start=0, end=10**zeros, bundle="a" * 64, checkpoint=checkpoint)


def test_a_body_that_the_kind_does_not_name_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        encode_entry(header("memory"), kill("r"))
    assert refused.value.field == "kind"


def test_a_body_outside_the_profile_is_refused_before_hashing() -> None:
    class Outside(Contract):
        kind_name = "kill_switch/v1"
        value: float

    with pytest.raises(BadInput) as refused:
        encode_entry(header("kill_switch"), Outside(value=1.5))
    assert refused.value.field == "/body/value"


def test_the_oracle_stops_a_writer_whose_encoder_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries_module, "_ENCODE", lambda document: json.dumps(document).encode())
    encode_entry(header("kill_switch"), kill("r"))  # the mutant: nobody asks
    with pytest.raises(LedgerDamaged, match="disagree"):
        encode_entry(header("kill_switch"), kill("r"), ask_oracle=True)


def test_without_the_canonical_check_one_entry_has_two_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spaced = raw(good()).replace(b":", b": ", 1)

    class Any(bytes):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = bytes.__hash__

    encode = entries_module._ENCODE
    monkeypatch.setattr(entries_module, "_ENCODE", lambda document: Any(encode(document)))
    assert decode_entry(spaced).body == decode_entry(raw(good())).body


def test_entries_say_which_blobs_they_name() -> None:
    a, b, c = "a" * 64, "b" * 64, "c" * 64
    bodies: dict[str, Contract] = {
        "submit": Submit(plan=c, round=1, sender=DID, phase="upload", blob=a),
        "reply": Reply(plan=c, round=1, phase="upload", blob=a),
        "tail": Tail(start=0, end=1, bundle=a, checkpoint=""),
        "outcome": OutcomeSeen(plan=c, order=c, outcomes=a),
        "memory": MemoryKept(plan=c, query=c, memory=a),
        "snapshot": SnapshotPinned(
            plan=c, as_of="1", state="x/v1", digest=c, blob=a, changed=True, reason=None
        ),
    }
    for kind, body in bodies.items():
        assert entry_kind(body) == kind
        entry = decode_entry(encode_entry(header(kind, refs=(b,)), body))
        assert named_blobs(entry) == ((b,) if kind == "memory" else (a, b))
    absent = SnapshotPinned(
        plan=c, as_of="1", state=None, digest=None, blob=None, changed=False, reason="stale"
    )
    assert named_blobs(decode_entry(encode_entry(header("snapshot"), absent))) == ()


def test_a_kind_names_its_contract() -> None:
    assert contract_of("genesis") is Genesis
    assert contract_of("plan.open") is PlanOpen
    assert contract_of("nothing-known") is None
