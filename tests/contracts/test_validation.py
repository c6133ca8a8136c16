"""Documents against schemas: errors that advise, nothing fetched, the same answers either way."""

from collections.abc import Callable
from typing import Any

import pytest

from covenue.errors import BadInput
from covenue.registry import validation
from covenue.registry.validation import (
    Validator,
    contract_validator,
    is_valid,
    validate,
    validator,
    with_jsonschema,
    with_jsonschema_rs,
)

GOAL: dict[str, Any] = {"domain": "routing", "aim": "fill", "remaining": ["1"], "terms": {}}
COMPILERS = [with_jsonschema_rs, with_jsonschema]
Compile = Callable[[Any], Validator]


def test_a_valid_document_passes_in_silence() -> None:
    validate("goal/v1", GOAL)
    assert is_valid("goal/v1", GOAL)


def test_an_invalid_document_is_refused_with_file_field_value_and_advice() -> None:
    document = {**GOAL, "remaining": ["1", "-5"]}
    with pytest.raises(BadInput) as caught:
        validate("goal/v1", document, file="goal.json")
    error = caught.value
    assert (error.file, error.field, error.value) == ("goal.json", "/remaining/1", "'-5'")
    assert "goal/v1" in error.what
    assert "covenue contracts show goal/v1" in error.advice


def test_a_long_value_is_shortened_and_the_root_has_a_name() -> None:
    with pytest.raises(BadInput) as caught:
        validate("goal/v1", ["x" * 1000])
    assert caught.value.field == "/"
    assert len(str(caught.value)) < 400


def test_an_unknown_kind_is_bad_input() -> None:
    for ask in (is_valid, validate):
        with pytest.raises(BadInput, match="covenue contracts list"):
            ask("goal/v9", {})


@pytest.mark.parametrize("compile_schema", COMPILERS)
def test_places_are_json_pointers(compile_schema: Compile) -> None:
    schema = {"type": "object", "properties": {"a/b~c": {"items": {"type": "string"}}}}
    found = list(compile_schema(schema).violations({"a/b~c": ["x", 1]}))
    assert [violation.field for violation in found] == ["/a~1b~0c/1"]
    assert validation._value_at({"a/b~c": ["x", 1]}, "/a~1b~0c/1") == 1


@pytest.mark.parametrize("compile_schema", COMPILERS)
@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://covenue.invalid/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"$ref": "#/$defs/absent"},
        {"type": "strin"},
        {"pattern": "("},
    ],
)
def test_a_schema_that_cannot_stand_alone_is_refused(
    compile_schema: Compile, schema: dict[str, Any]
) -> None:
    with pytest.raises(BadInput, match="the schema cannot be used"):
        compile_schema(schema).is_valid({})
    with pytest.raises(BadInput, match="the schema cannot be used"):
        list(compile_schema(schema).violations({}))


@pytest.mark.parametrize("compile_schema", COMPILERS)
def test_names_and_data_that_look_like_keywords_are_left_alone(compile_schema: Compile) -> None:
    schema = {
        "properties": {"pattern": {"const": {"pattern": "^a$"}}, "properties": True},
        "patternProperties": {"^k$": False},
        "allOf": [{"not": {"required": ["z"]}}],
    }
    compiled = compile_schema(schema)
    assert compiled.is_valid({"pattern": {"pattern": "^a$"}, "k\n": 1})
    assert not compiled.is_valid({"pattern": {"pattern": r"^a\Z"}})
    assert not compiled.is_valid({"k": 1})
    assert not compiled.is_valid({"z": 1})


def test_without_the_fast_validator_the_fallback_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "find_spec", lambda _name: None)
    monkeypatch.setattr(validation, "with_jsonschema_rs", None)
    slow = validator({"type": "string", "pattern": "^[0-9]+$"})
    assert slow.is_valid("1")
    assert not slow.is_valid("1\n")


def test_a_contract_is_compiled_once() -> None:
    assert contract_validator("goal/v1") is contract_validator("goal/v1")
