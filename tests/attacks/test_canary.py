"""What the coordinator holds after a masked run contains no party's words, nor their changes."""

import base64
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from tests.attacks.small_cohort import (
    LEDGER,
    bodies,
    own_answers,
    prepared,
    received,
    run,
    transcripts,
    write_scenario,
)

from covenue.errors import BadInput
from covenue.numerics.words import Words, subtract, to_bytes
from covenue.registry.load import Registry
from covenue.replay import replay
from covenue.rounds.sight import first_sight
from covenue_contracts.plan import Order, Override
from covenue_privacy_secagg import masks

TELLING = 2**20
"""A word that is at least so large does not occur by chance among the bytes of a run."""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenario(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def masked(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("masked")
    assert run(scenario, out).status == "ok"
    return out / LEDGER


def canaries(own: Mapping[tuple[str, int, int], Words]) -> Iterator[tuple[str, bytes]]:
    """Every telling word of every party, and pairs of neighbouring small ones, as bytes."""
    for (name, plan, number), words in own.items():
        for place, word in enumerate(words.tolist()):
            if abs(word) >= TELLING:
                where = f"{name}, plan {plan}, round {number}, word {place}"
                yield where, word.to_bytes(8, "little", signed=True)
                yield f"{where} as text", str(word).encode()


def leaks(ledger: Path, own: Mapping[tuple[str, int, int], Words]) -> list[str]:
    """Which canaries occur in what the coordinator holds, as bytes, text or base64."""
    held = b"\0".join(body for _, body in received(ledger))
    whole = [base64.b64encode(to_bytes(words)) for words in own.values()]
    found = [where for where, canary in canaries(own) if canary in held]
    return found + [f"answer {n}" for n, text in enumerate(whole) if text in held]


def test_nothing_that_the_coordinator_received_contains_a_partys_words(
    scenario: Path, masked: Path
) -> None:
    own = own_answers(prepared(scenario), masked)
    assert len(list(canaries(own))) > 300, "the canaries are alive"
    assert leaks(masked, own) == []


def test_no_two_uploads_differ_by_the_change_of_the_words(scenario: Path, masked: Path) -> None:
    """Two-time pad: equal masks in two rounds would give away exactly what changed."""
    seen = uploads(masked)
    own = own_answers(prepared(scenario), masked)
    compared = 0
    for one, other in combinations(sorted(set(seen) & set(own)), 2):
        if one[0] == other[0] and len(seen[one]) == len(seen[other]):
            plain = subtract(own[one], own[other])
            assert not np.any(subtract(seen[one], seen[other]) == plain)
            compared += 1
    assert compared > 10


def uploads(ledger: Path) -> dict[tuple[str, int, int], Words]:
    """The words that the coordinator holds, by party, plan and round."""
    from covenue.ledger.audit_log import AuditLog
    from covenue.replay.verify import open_ledger
    from covenue.rounds.messages import open_message
    from covenue_contracts.envelope import Upload
    from covenue_contracts.ledger import Submit
    from covenue_contracts.plan import PlanOpen, QueryAsked
    from covenue_privacy_secagg.stage import SecAgg

    found: dict[tuple[str, int, int], Words] = {}
    plan = width = 0
    with open_ledger(ledger, Registry()) as backend:
        log = AuditLog.open(backend)
        names = {}
        for entry in log.entries():
            body = entry.body
            if isinstance(body, Order):
                names = {member.did: member.name for member in body.roster.members}
            elif isinstance(body, PlanOpen):
                plan = body.number
            elif isinstance(body, QueryAsked):
                width = body.width
            elif isinstance(body, Submit):
                payload = open_message(log.get_blob(body.blob)).payload
                if isinstance(payload, Upload):
                    content = base64.b64decode(payload.body)
                    words = SecAgg().seen(body.phase, content, width)
                    if words is not None:
                        found.setdefault((names[body.sender], plan, body.round), words)
    return found


def test_without_masks_the_canaries_are_found(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: every mask is zero; the sums stay right, and every party's words lie open."""
    no_mask(monkeypatch)
    result = run(scenario, tmp_path / "leaky")
    assert result.status == "ok"
    own = own_answers(prepared(scenario), result.ledger)
    assert len(leaks(result.ledger, own)) > 300


class Silence:
    """A keystream of zeros."""

    def update_into(self, data: bytes, buffer: bytearray) -> int:
        buffer[: len(data)] = bytes(len(data))
        return len(data)


def no_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "keystream", lambda _seed: Silence())


def test_masked_and_open_runs_give_the_same_transcripts(
    scenario: Path, masked: Path, tmp_path: Path
) -> None:
    opened = run(scenario, tmp_path / "open", privacy="open")
    assert transcripts(opened.ledger) == transcripts(masked)
    assert len(set(transcripts(masked))) > 4


def test_a_masked_run_replays_byte_for_byte(masked: Path) -> None:
    verdict = replay(masked, None, Registry())
    assert (verdict.status, verdict.difference) == ("identical", None)


def test_the_policy_is_signed_by_every_party_and_every_override_is_written_down(
    masked: Path,
) -> None:
    entries = bodies(masked)
    orders = [body for body in entries if isinstance(body, Order)]
    for order in orders:
        signers = {signature.keyid for signature in order.consents}
        assert signers == {member.did for member in order.roster.members}
        assert order.policy.least == 3
    overrides = [body for body in entries if isinstance(body, Override)]
    assert overrides
    assert all("differencing-exposed" in body.detail for body in overrides)


def test_the_report_shows_masked_words_that_are_not_the_partys(masked: Path) -> None:
    from covenue.ledger.audit_log import AuditLog
    from covenue.replay.verify import open_ledger
    from covenue_privacy_secagg.stage import SecAgg

    with open_ledger(masked, Registry()) as backend:
        log = AuditLog.open(backend)
        (order, *_) = [e.body for e in log.entries() if isinstance(e.body, Order)]
        names = {member.did: member.name for member in order.roster.members}
        sight = first_sight(log, SecAgg(), names)
    assert sight is not None
    assert set(sight.seen) == set(names.values())
    assert len({bytes(words) for words in sight.seen.values()}) == 3


def test_a_cohort_of_two_is_refused_under_secagg_before_anything_is_written(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, parties=2, least=2)
    with pytest.raises(BadInput) as caught:
        prepared(path)
    assert "secagg" in str(caught.value)
    assert caught.value.advice
    assert prepared(path, privacy="open").mechanism.name == "open"
