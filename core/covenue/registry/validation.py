r"""Documents against JSON Schemas: our contracts' and those that plugins bring.

`jsonschema-rs` answers where it is installed; `jsonschema` is the fallback and the oracle, with the
anchors of patterns translated: Python's `$` also matches before a final newline, so that it would
accept "1\n" under `^[0-9]+$`. Nothing is ever fetched. Source: plugins.md, section 4.

A schema speaks about documents of the canonical profile; check bytes with
`covenue_contracts.canonical.parse` first.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from covenue.errors import BadInput
from covenue_contracts import catalogue
from covenue_contracts.subschemas import Schema, transform

_TEXT_MAX = 80


@dataclass(frozen=True)
class Violation:
    """A place in a document (a JSON pointer) that breaks a rule of its schema.

    what: the rule, in the validator's words, with values of the document in it: show it only to
    whom the document belongs.
    """

    field: str
    what: str


@dataclass(frozen=True)
class Validator:
    """One schema, compiled: whether a document is valid, and where it is not."""

    is_valid: Callable[[Any], bool]
    violations: Callable[[Any], Iterator[Violation]]


def validator(schema: Schema) -> Validator:
    """Compile a schema with the fastest validator that is installed.

    Raises BadInput when it is no schema, or refers to what it does not hold.
    """
    return with_jsonschema_rs(schema) if find_spec("jsonschema_rs") else with_jsonschema(schema)


def validate(kind: str, document: Any, file: str = "") -> None:
    """Raise BadInput, naming field and value, unless a document is valid under a contract.

    For input that a person gave: the error shows the value. For what crosses the trust boundary
    ask `is_valid`. Also raises BadInput for an unknown kind.
    """
    compiled = contract_validator(kind)
    if compiled.is_valid(document):
        return
    first = min(compiled.violations(document), key=lambda item: (item.field, item.what))
    raise BadInput(
        f"the document is no {kind}: {_short(first.what)}",
        f"compare it with `covenue contracts show {kind}`",
        file=file,
        field=first.field or "/",
        value=_short(repr(_value_at(document, first.field))),
    )


def is_valid(kind: str, document: Any) -> bool:
    """Whether a document is valid under a contract. Raises BadInput for an unknown kind."""
    return contract_validator(kind).is_valid(document)


@lru_cache(maxsize=256)
def contract_validator(kind: str) -> Validator:
    """The compiled schema of a shipped contract. Raises BadInput for an unknown kind."""
    try:
        return validator(catalogue.schema(kind))
    except catalogue.KindUnknown as error:
        raise BadInput(
            str(error), "see `covenue contracts list`", field="kind", value=_short(kind)
        ) from error


def with_jsonschema_rs(schema: Schema) -> Validator:
    """Compile with `jsonschema-rs`, whose regular expressions run in linear time."""
    import jsonschema_rs

    try:
        compiled = jsonschema_rs.Draft202012Validator(
            schema, retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise _no_schema(schema, error) from error

    def violations(document: Any) -> Iterator[Violation]:
        for error in compiled.iter_errors(document):
            yield Violation(_pointer(error.instance_path), error.message)

    return Validator(compiled.is_valid, violations)


def with_jsonschema(schema: Schema) -> Validator:
    """Compile with `jsonschema`, anchors translated."""
    from jsonschema import Draft202012Validator, SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    translated = transform(schema, _translate)
    try:
        Draft202012Validator.check_schema(translated)
    except SchemaError as error:
        raise _no_schema(schema, error) from error
    compiled = Draft202012Validator(translated, registry=Registry())

    def is_valid(document: Any) -> bool:
        try:
            return bool(compiled.is_valid(document))
        except Unresolvable as error:
            raise _no_schema(schema, error) from error

    def violations(document: Any) -> Iterator[Violation]:
        try:
            for error in compiled.iter_errors(document):
                yield Violation(_pointer(error.absolute_path), error.message)
        except Unresolvable as error:
            raise _no_schema(schema, error) from error

    return Validator(is_valid, violations)


def _translate(part: Schema) -> Schema:
    translated = dict(part)
    if isinstance(part.get("pattern"), str):
        translated["pattern"] = anchored(part["pattern"])
    if isinstance(part.get("patternProperties"), dict):
        translated["patternProperties"] = {
            anchored(pattern): item for pattern, item in part["patternProperties"].items()
        }
    return translated


def anchored(pattern: str) -> str:
    r"""A pattern of JSON Schema for Python's `re`: every `$` that is an anchor becomes `\Z`."""
    translated, in_class, index = [], False, 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            translated.append(pattern[index : index + 2])
            index += 2
            continue
        if char in "[]":
            in_class = char == "["
        translated.append(r"\Z" if char == "$" and not in_class else char)
        index += 1
    return "".join(translated)


def _refuse(uri: str) -> Any:
    message = f"{uri} lies outside the schema, and nothing is fetched"
    raise ValueError(message)


def _no_schema(schema: Schema, error: Exception) -> BadInput:
    return BadInput(
        f"the schema cannot be used: {_short(str(error).partition(chr(10))[0])}",
        "write it in JSON Schema 2020-12, with all that it refers to inside",
        field="$id",
        value=_short(str(schema.get("$id", ""))),
    )


def _pointer(path: Any) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in steps)


def _value_at(document: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…"
