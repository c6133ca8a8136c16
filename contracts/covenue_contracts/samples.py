"""Documents made from a schema: the smallest that it allows, and one with every part filled.

Both sit on the edges of what is allowed: bounds of integers, shortest and longest pattern strings.
"""

from typing import Any

from pydantic import TypeAdapter

from covenue_contracts import contract as types
from covenue_contracts.subschemas import Schema

_DID = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"


def _pattern(alias: Any) -> str:
    return str(TypeAdapter(alias).json_schema()["pattern"])


PATTERN_SAMPLES = {
    _pattern(types.Integer): ("0", "-" + "9" * 39),
    _pattern(types.Natural): ("0", "9" * 39),
    _pattern(types.Decimal): ("0", "-" + "9" * 21 + "." + "9" * 18),
    _pattern(types.Positive): ("1", "0." + "0" * 17 + "1"),
    _pattern(types.Time): ("0", "1723161260000000000"),
    _pattern(types.Digest): ("0" * 64, "0123456789abcdef" * 4),
    _pattern(types.Did): (_DID, "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG"),
    _pattern(types.Base64): ("", "AP8="),
    _pattern(types.Name): ("a", "a0-b.c"),
    _pattern(types.Kind): ("a/v1", "order-book/v9999"),
    "^[0-9a-f]{32}$": ("0" * 32, "0123456789abcdef" * 2),
    "^[a-z0-9][a-z0-9.-]*(/[a-z0-9.-]+)*$": ("0", "covenue.example/plans/2024"),
    "^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$": ("_:_", "package.module:Thing.part"),
    "^[A-Z][A-Z_]{0,31}$": ("A", "A_CAPABILITY"),
    "^[a-z][a-z0-9_]{0,63}$": ("a", "a_key_0"),
}
"""The shortest and a long text of every pattern that contracts use."""


def smallest(schema: Schema) -> Any:
    """The smallest document: nulls, empty arrays and maps, least integers, shortest texts."""
    return _sample(schema, schema, 0)


def fullest(schema: Schema) -> Any:
    """A document with every part filled: no nulls, two items an array, greatest integers."""
    return _sample(schema, schema, 1)


def _sample(root: Schema, part: Schema, size: int) -> Any:
    part = resolve(root, part)
    if "const" in part:
        return part["const"]
    if "enum" in part:
        return part["enum"][-size]
    if "anyOf" in part:
        return _sample(root, _alternative(part["anyOf"], size), size)
    if part["type"] == "object":
        return _object(root, part, size)
    if part["type"] == "array":
        count = max(part.get("minItems", 0), 2 * size)
        return [_sample(root, part["items"], size) for _ in range(count)]
    return _scalar(part, size)


def resolve(root: Schema, part: Schema) -> Schema:
    """The definition that a local `$ref` names, else the part itself."""
    while "$ref" in part:
        part = root["$defs"][part["$ref"].removeprefix("#/$defs/")]
    return part


def _alternative(parts: list[Schema], size: int) -> Schema:
    null = [part for part in parts if part.get("type") == "null"]
    return null[0] if null and not size else parts[0]


def _object(root: Schema, part: Schema, size: int) -> dict[str, Any]:
    document = {
        name: _sample(root, item, size)
        for name, item in part.get("properties", {}).items()
        if size or name in part.get("required", ())
    }
    for pattern, item in part.get("patternProperties", {}).items() if size else ():
        for index, alternative in enumerate(item.get("anyOf", [item])):
            document[f"{text_like(pattern, 1)}{index}"] = _sample(root, alternative, size)
    return document


def _scalar(part: Schema, size: int) -> Any:
    if part["type"] == "integer":
        return part["maximum"] if size else part["minimum"]
    if part["type"] == "string":
        return text_like(part["pattern"], size) if "pattern" in part else "Čas ☂ 時" * size
    return {"boolean": bool(size), "null": None}[part["type"]]


def text_like(pattern: str, size: int) -> str:
    """The shortest (0) or a long (1) text of a pattern. Raises ValueError where none is known."""
    try:
        return PATTERN_SAMPLES[pattern][size]
    except KeyError:
        message = f"add a sample of {pattern!r} to covenue_contracts.samples"
        raise ValueError(message) from None
