"""A real run's ledger in the words of each dialect, and back to its own bytes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.replay.tiny import Done, run_tiny

from covenue.bridge.energibridge import EnergiBridge, Signature, envelope_of
from covenue.bridge.export import entry_message, envelope_message, messages_of
from covenue.cli.program import program
from covenue.errors import BadInput, LedgerDamaged
from covenue.identity.envelopes import seal
from covenue.identity.keys import SigningKey
from covenue.registry.load import Registry
from covenue.replay import open_ledger
from covenue_contracts.canonical import canonical, parse
from covenue_contracts.catalogue import schema_digest


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return run_tiny(tmp_path_factory.mktemp("bridge"))


@pytest.mark.parametrize("dialect", ["arbsphere", "exoroute"])
@pytest.mark.parametrize("log", ["plan.ledger", "parties/spot.ledger"])
def test_every_entry_and_envelope_comes_back_in_the_bytes_of_the_ledger(
    ran: Done, bridge: EnergiBridge, dialect: str, log: str
) -> None:
    with open_ledger(ran.out / log, Registry()) as ledger:
        latest = ledger.latest()
        assert latest is not None
        entries = list(ledger.read(0, latest.size))
        blobs = dict(ledger.blobs())
        found = list(messages_of(ledger, log))
    backs = [
        bridge.translate(bridge.translate(message, dialect).message, "canonical")
        for message in found
    ]
    read = [canonical(item.message.body) for item in backs if item.message.type == "entry/v1"]
    sent = [item for item in backs if item.message.type != "entry/v1"]
    assert read == entries
    assert {item.signature for item in sent} == {Signature.HOLDS}
    assert {envelope_of(item.message) for item in sent} <= set(blobs.values())
    assert {item.message.type for item in sent} >= {"join/v1", "upload/v1"}


def test_the_command_exports_what_translates_back(ran: Done, tmp_path: Path) -> None:
    out = tmp_path / "messages.jsonl"
    done = CliRunner().invoke(
        program, ["bridge", "export", str(ran.out), "--to", "exoroute", "--out", str(out), "--json"]
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert set(report["signatures"]) == {"holds", "absent"}
    lines = out.read_bytes().splitlines()
    assert [parse(line) for line in lines] == report["messages"]
    events = {line["body"]["event"] for line in report["messages"] if line["type"] == "AuditLog"}
    assert events >= {"genesis", "plan.open", "query", "signals.total", "plan.delta", "plan.go"}
    again = CliRunner().invoke(
        program, ["bridge", "export", str(ran.out), "--to", "exoroute", "--out", str(out)]
    )
    assert again.exit_code == 2
    assert out.read_bytes().splitlines() == lines


@pytest.mark.parametrize("raw", [b"{}", b"[]", b"{", b'{"body":1,"kind":"join"}', b'{"body":{}}'])
def test_bytes_that_are_no_entry_are_named_by_their_index(raw: bytes) -> None:
    with pytest.raises(LedgerDamaged) as damaged:
        entry_message(raw, 7)
    assert damaged.value.place == "entry 7"


@pytest.mark.parametrize(
    ("contract", "payload", "value"),
    [
        ("00" * 32, b"{}", "00" * 32),
        (schema_digest("decline/v1"), b'{"reason": "late"}', "decline/v1"),
    ],
    ids=["a contract that nobody knows", "a payload that is not canonical"],
)
def test_an_envelope_that_would_not_come_back_is_refused(
    contract: str, payload: bytes, value: str
) -> None:
    key = SigningKey.from_seed(b"k" * 32)
    raw = seal(
        key,
        plan="11" * 32,
        round=0,
        phase="join",
        sequence=0,
        sent="0",
        contract=contract,
        payload=payload,
    )
    with pytest.raises(BadInput) as refused:
        envelope_message(raw)
    assert refused.value.value == value
