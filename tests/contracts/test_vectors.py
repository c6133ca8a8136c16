"""Every vector gets the same answer from the model and from both schema validators."""

import base64
import hashlib
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from covenue.registry.validation import Validator, with_jsonschema, with_jsonschema_rs
from covenue_contracts import catalogue, vector_files
from covenue_contracts.canonical import ProfileBroken, canonical, parse, parse_as
from covenue_contracts.catalogue import CANONICAL_BYTES, Vector
from covenue_contracts.edits import put
from covenue_contracts.samples import PATTERN_SAMPLES, fullest, smallest, text_like

MODELS = catalogue.load_all()


def answers(kind: str) -> tuple[Validator, Validator]:
    schema = catalogue.schema(kind)
    return with_jsonschema_rs(schema), with_jsonschema(schema)


@pytest.mark.parametrize("kind", MODELS)
def test_every_vector_gets_its_answer_three_times(kind: str) -> None:
    validators = answers(kind)
    vectors = list(catalogue.vectors(kind))
    for vector in vectors:
        document = vector.content["document"]
        for validator in validators:
            assert validator.is_valid(document) == vector.is_valid, vector.sentence
            assert bool(list(validator.violations(document))) != vector.is_valid, vector.sentence
        if vector.is_valid:
            check_bytes_of(kind, vector)
        else:
            with pytest.raises((ValidationError, ProfileBroken)):
                parse_as(MODELS[kind], canonical(document))
    assert sum(vector.is_valid for vector in vectors) >= 1
    assert sum(not vector.is_valid for vector in vectors) >= 3


def check_bytes_of(kind: str, vector: Vector) -> None:
    data = vector.content["canonical"].encode()
    assert canonical(vector.content["document"]) == data
    assert hashlib.sha256(data).hexdigest() == vector.content["sha256"]
    assert canonical(parse_as(MODELS[kind], data)) == data


@pytest.mark.parametrize("vector", [*catalogue.vectors(CANONICAL_BYTES)], ids=lambda v: v.sentence)
def test_canonical_bytes_are_read_and_nothing_else(vector: Vector) -> None:
    data = base64.b64decode(vector.content["base64"], validate=True)
    assert hashlib.sha256(data).hexdigest() == vector.content["sha256"]
    if vector.is_valid:
        assert canonical(parse(data)) == data
    else:
        with pytest.raises(ProfileBroken):
            parse(data)


def test_a_reader_that_does_not_write_again_would_take_duplicate_keys() -> None:
    accepted = {
        vector.sentence
        for vector in catalogue.vectors(CANONICAL_BYTES)
        if not vector.is_valid and is_json(base64.b64decode(vector.content["base64"]))
    }
    assert {"duplicate-keys", "keys-out-of-order", "a-lone-surrogate-escaped"} <= accepted


def is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


@pytest.mark.parametrize("pattern", PATTERN_SAMPLES)
def test_a_newline_at_the_end_is_refused_under_every_pattern(pattern: str) -> None:
    schema = {"$id": "urn:covenue:test", "type": "string", "pattern": pattern}
    naive = Draft202012Validator(schema)
    for text in PATTERN_SAMPLES[pattern]:
        for validator in (with_jsonschema_rs(schema), with_jsonschema(schema)):
            assert validator.is_valid(text)
            assert not validator.is_valid(text + "\n")
        assert naive.is_valid(text + "\n"), "the trap is gone: the translation can go too"


def test_without_translated_anchors_the_fallback_accepts_a_newline() -> None:
    document = put("/remaining/0", "1\n")(smallest(catalogue.schema("goal/v1")))
    assert Draft202012Validator(catalogue.schema("goal/v1")).is_valid(document)
    for validator in answers("goal/v1"):
        assert not validator.is_valid(document)
    with pytest.raises(ValidationError):
        parse_as(MODELS["goal/v1"], canonical(document))


def test_a_vector_of_a_pattern_in_a_key_ends_in_a_newline() -> None:
    sentences = {vector.sentence for vector in catalogue.vectors("genesis/v1")}
    assert "a-genesis-whose-configuration-has-a-key-with-a-newline" in sentences


@pytest.mark.parametrize("kind", MODELS)
def test_samples_sit_on_both_edges(kind: str) -> None:
    schema = catalogue.schema(kind)
    small: dict[str, Any] = smallest(schema)
    full: dict[str, Any] = fullest(schema)
    assert small.keys() == full.keys() == MODELS[kind].model_fields.keys()
    assert all(value is not None for value in full.values())


def test_a_kind_is_spoken_with_its_article() -> None:
    assert vector_files.words_of("order-book/v1") == ("an", "order-book")
    assert vector_files.words_of("kill_switch/v1") == ("a", "kill-switch")


def test_a_pattern_without_samples_asks_for_them() -> None:
    with pytest.raises(ValueError, match=r"add a sample of '\^new\$'"):
        text_like("^new$", 0)


def test_a_refusal_that_the_model_accepts_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = {"goal/v1": {"a-goal-of-another-domain": put("/domain", "arbitrage")}}
    monkeypatch.setattr(vector_files, "REFUSALS", harmless)
    with pytest.raises(ValueError, match="the model accepts a-goal-of-another-domain"):
        vector_files.vector_files()


def test_examples_of_what_is_no_contract_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_files, "EXAMPLES", {"goal/v9": {}})
    with pytest.raises(ValueError, match=r"no contract: .*goal/v9"):
        vector_files.vector_files()
