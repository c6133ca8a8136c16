"""`covenue bridge`: files of messages from one dialect into another, and what is refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from covenue.identity.envelopes import seal
from covenue.identity.keys import SigningKey
from covenue_contracts.canonical import canonical, parse
from covenue_contracts.catalogue import schema_digest
from covenue_contracts.examples import PLAN, QUERY

Invoke = Callable[..., Result]
PRICES = {"gridBits": 4, "prices": ["1.25", "-0.5"]}


def message(
    type_: str = "DualVariables", body: Any = PRICES, dialect: str = "exoroute", **metadata: Any
) -> dict[str, Any]:
    return {"dialect": dialect, "type": type_, "metadata": metadata, "body": body}


def given(*messages: Any, name: str = "in.jsonl") -> str:
    """A file with those messages in the folder."""
    Path(name).write_bytes(b"".join(canonical(item) + b"\n" for item in messages))
    return name


def pools() -> dict[str, Any]:
    stamp = {
        "exchange_time_s": None,
        "local_time_s": "1.5",
        "clock_id": "a",
        "clock_offset_us": "0",
        "clock_error_us": "0",
    }
    market = {"exchange": "dex", "assets": [{"asset": "X", "exp": 2}], "pools": []}
    objective = {"domain": "arbitrage", "aim": "fill", "remaining_units": ["1"], "terms": {}}
    body = {
        "domain": "arbitrage",
        "market_kind": "pools",
        "market_sha256": "ab" * 32,
        "market": {**market, "observed": stamp},
        "private_terms": {},
        "objective": objective,
    }
    return message("LocalArbProblem", body, "arbsphere")


def signed(body: str = "AAEC") -> dict[str, Any]:
    """An upload in the canonical dialect, signed over the body "AAEC"."""
    upload = {"query": QUERY, "body": "AAEC"}
    envelope = parse(
        seal(
            SigningKey.from_seed(b"k" * 32),
            plan=PLAN,
            round=1,
            phase="upload",
            sequence=2,
            sent="3",
            contract=schema_digest("upload/v1"),
            payload=canonical(upload),
        )
    )
    del envelope["payload"]
    return message("upload/v1", {**upload, "body": body}, "canonical", **envelope)


def translated(covenue: Invoke, *arguments: str) -> Result:
    return covenue("bridge", "translate", *arguments)


def test_a_file_is_translated_line_by_line_and_back_to_the_same_bytes(covenue: Invoke) -> None:
    file = given(message(), message(roundNumber=1) | {"metadata": {"round": 1}})
    there = translated(covenue, "--from", "exoroute", "--to", "arbsphere", file)
    assert (there.exit_code, there.stderr) == (0, "")
    first, second = map(json.loads, there.stdout.splitlines())
    assert first["body"] == {"price_bits": 4, "asset_prices": ["20", "-8"]}
    assert second["metadata"] == {"round_number": 1}
    Path("there.jsonl").write_text(there.stdout, encoding="utf-8")
    back = translated(covenue, "--from", "arbsphere", "--to", "exoroute", "there.jsonl")
    assert back.stdout.encode() == Path(file).read_bytes()


def test_one_pretty_printed_document_is_a_file_of_messages_too(covenue: Invoke) -> None:
    Path("one.json").write_text(json.dumps(message(), indent=2), encoding="utf-8")
    done = translated(covenue, "--from", "exoroute", "--to", "canonical", "one.json")
    assert json.loads(done.stdout)["type"] == "dual-variables/v1"


def test_the_report_names_dialects_messages_and_signatures(covenue: Invoke) -> None:
    done = translated(
        covenue, "--from", "exoroute", "--to", "arbsphere", given(message()), "--json"
    )
    report = json.loads(done.stdout)
    assert (done.exit_code, report["ok"]) == (0, True)
    assert (report["from"], report["to"], report["signatures"]) == (
        "exoroute",
        "arbsphere",
        ["absent"],
    )
    assert report["messages"][0]["type"] == "DualVariables"


def test_a_signature_is_carried_and_never_said_to_cover_the_translation(covenue: Invoke) -> None:
    done = translated(covenue, "--from", "canonical", "--to", "arbsphere", given(signed()))
    assert done.exit_code == 0
    assert "they cover the canonical form, not this one" in done.stderr
    report = json.loads(
        translated(
            covenue, "--from", "canonical", "--to", "exoroute", given(signed()), "--json"
        ).stdout
    )
    assert report["signatures"] == ["holds"]
    assert report["signatures_cover"] == "the canonical form"


def test_a_signature_that_is_not_its_sender_s_exits_1_and_names_the_message(
    covenue: Invoke,
) -> None:
    file = given(signed(), signed(body="AAED"))
    done = translated(covenue, "--from", "canonical", "--to", "arbsphere", file)
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 2
    assert "NOT SIGNED BY THEIR SENDER: messages 2" in done.stderr
    report = json.loads(
        translated(covenue, "--from", "canonical", "--to", "arbsphere", file, "--json").stdout
    )
    assert (report["ok"], report["broken"]) == (False, [2])


def test_an_output_file_is_written_once_and_never_overwritten(covenue: Invoke) -> None:
    arguments = ("--from", "exoroute", "--to", "arbsphere", given(message()), "--out", "out.jsonl")
    done = translated(covenue, *arguments)
    assert (done.exit_code, done.stdout) == (0, "out.jsonl: 1 messages\n")
    before = Path("out.jsonl").read_bytes()
    again = translated(covenue, *arguments)
    assert again.exit_code == 2
    assert "OutputExists" in again.stderr
    assert Path("out.jsonl").read_bytes() == before


def test_a_dangling_link_is_not_written_through(covenue: Invoke) -> None:
    os.symlink("elsewhere", "out.jsonl")
    arguments = ("--from", "exoroute", "--to", "arbsphere", given(message()), "--out", "out.jsonl")
    assert translated(covenue, *arguments).exit_code == 2
    assert not Path("elsewhere").exists()


OFF_GRID = message(body={"gridBits": 1, "prices": ["0.25"]})
HALF_WORD = message(
    "signals.total/v1",
    {
        "plan": PLAN,
        "round": 1,
        "query": QUERY,
        "words": "AP8=",
        "digest": "0" * 64,
        "cohort": [],
        "exact": True,
    },
    "canonical",
)
LOSSY: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "pools in exoroute": (
        pools(),
        "exoroute",
        ["message 2 (arbsphere LocalArbProblem)", "/body/market_kind", "value: pool-set/v1"],
    ),
    "an amount off its grid": (
        OFF_GRID,
        "arbsphere",
        ["message 2 (exoroute DualVariables)", "field: /body/prices/0", "value: 0.25"],
    ),
    "half a word": (
        HALF_WORD,
        "exoroute",
        ["message 2 (canonical signals.total/v1)", "field: /body/words", "value: AP8="],
    ),
    "a contract without words": (
        message(
            "goal/v1",
            {"domain": "a", "aim": "fill", "remaining": ["1"], "terms": {}},
            "canonical",
        ),
        "exoroute",
        ["message 2", "no message that stands for goal/v1", "field: /type"],
    ),
    "an unknown field": (
        message(body={**PRICES, "note": "x"}),
        "arbsphere",
        ["message 2", "no such field", "field: /body/note", "value: x"],
    ),
    "a field of metadata that nobody knows": (
        message(note="x"),
        "arbsphere",
        ["message 2", "no such field", "field: /metadata/note", "value: x"],
    ),
}


@pytest.mark.parametrize("sentence", LOSSY)
def test_what_would_be_lost_exits_2_names_message_field_and_value_and_writes_nothing(
    covenue: Invoke, sentence: str
) -> None:
    lossy, to, said = LOSSY[sentence]
    good = {
        "exoroute": message(),
        "arbsphere": message("Decline", {"query": QUERY, "reason": "late"}, "arbsphere"),
        "canonical": message("decline/v1", {"query": QUERY, "reason": "late"}, "canonical"),
    }[lossy["dialect"]]
    file = given(good, lossy)
    done = translated(covenue, "--from", lossy["dialect"], "--to", to, file, "--out", "out.jsonl")
    assert (done.exit_code, done.stdout) == (2, "")
    assert [text for text in (*said, "file: in.jsonl", "try: ") if text not in done.stderr] == []
    assert not Path("out.jsonl").exists()


BAD: dict[str, tuple[bytes, str, str]] = {
    "malformed JSON": (b'{"dialect": ', "message 1 is no JSON", "write JSON documents"),
    "a float": (
        b'{"dialect":"exoroute","type":"DualVariables","metadata":{},"body":{"gridBits":4.0}}',
        "field: /body/gridBits",
        "write amounts and times as decimal strings",
    ),
    "nothing": (b"", "holds no message", "write one JSON document a message"),
    "another dialect": (
        canonical(message(dialect="arbsphere")),
        "field: /dialect",
        "give --from arbsphere",
    ),
    "an unknown type": (
        canonical(message("DualVariable")),
        "value: DualVariable",
        "did you mean 'DualVariables'?",
    ),
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_bad_file_exits_2_with_one_screen(covenue: Invoke, sentence: str) -> None:
    data, said, advice = BAD[sentence]
    Path("in.jsonl").write_bytes(data)
    done = translated(covenue, "--from", "exoroute", "--to", "arbsphere", "in.jsonl")
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert advice in done.stderr
    assert "file: in.jsonl" in done.stderr
    assert len(done.stderr.splitlines()) <= 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "exorute", "--to", "arbsphere", "x"], "did you mean 'exoroute'?"),
        (["--from", "exoroute", "--to", "arbspher", "x"], "did you mean 'arbsphere'?"),
        (["--from", "exoroute", "--to", "qqq", "x"], "see `covenue bridge dialects`"),
        (["--from", "exoroute", "--to", "arbsphere", "gone"], "there is no file of messages"),
        (["--from", "exoroute", "--to", "arbsphere", "."], "a folder stands at that path"),
        (["--from", "exoroute", "x"], "to is missing"),
    ],
)
def test_bad_arguments_exit_2_with_advice(covenue: Invoke, arguments: list[str], said: str) -> None:
    done = translated(covenue, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_file_too_large_is_refused(covenue: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covenue.cli.bridge.FILE_BYTES_MAX", 10)
    done = translated(covenue, "--from", "exoroute", "--to", "arbsphere", given(message()))
    assert done.exit_code == 2
    assert "larger than 10 bytes" in done.stderr


def test_the_dialects_are_listed_with_their_messages(covenue: Invoke) -> None:
    listed = json.loads(covenue("bridge", "dialects", "--json").stdout)["dialects"]
    rows = {row["dialect"]: row for row in listed}
    assert set(rows) >= {"canonical", "arbsphere", "exoroute"}
    assert rows["exoroute"]["domain"] == "routing"
    assert "LocalArbProblem" in rows["arbsphere"]["types"]
    shown = covenue("bridge", "dialects").stdout
    assert "SharedVariables" in shown
    assert "every contract" in shown


def test_a_broken_domain_is_listed_and_said_when_its_dialect_is_asked_for(
    covenue: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    from covenue.bridge import installed
    from covenue.errors import PluginBroken

    def broken(registry: object) -> tuple[installed.Speaker, ...]:
        return (installed.Speaker("routing", (), PluginBroken("it fails at import", "repair")),)

    monkeypatch.setattr(installed, "speakers", broken)
    assert "broken: it fails at import" in covenue("bridge", "dialects").stdout
    done = translated(covenue, "--from", "exoroute", "--to", "canonical", given(message()))
    assert done.exit_code == 2
    assert "not usable: domain routing" in done.stderr
