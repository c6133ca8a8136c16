"""Walking a JSON Schema without mistaking data for schemas.

A property may be called `pattern`, and an enum may hold an object that looks like a schema: only
the places that Draft 2020-12 defines as subschemas are visited.
"""

from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]

_MAPS = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SINGLES = frozenset(
    {
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)


def transform(schema: Any, edit: Callable[[Schema], Schema]) -> Any:
    """A copy of `schema` in which every subschema, innermost first, went through `edit`.

    Boolean schemas stay as they are.
    """
    if not isinstance(schema, dict):
        return schema
    return edit({key: _transform_keyword(key, value, edit) for key, value in schema.items()})


def _transform_keyword(key: str, value: Any, edit: Callable[[Schema], Schema]) -> Any:
    if key in _MAPS and isinstance(value, dict):
        return {name: transform(item, edit) for name, item in value.items()}
    if key in _LISTS and isinstance(value, list):
        return [transform(item, edit) for item in value]
    if key in _SINGLES:
        return transform(value, edit)
    return value


def walk(schema: Any, where: str = "") -> Iterator[tuple[str, Schema]]:
    """Every subschema with its place in the schema, the schema itself first."""
    if not isinstance(schema, dict):
        return
    yield where, schema
    for key, value in schema.items():
        if key in _MAPS and isinstance(value, dict):
            for name, item in value.items():
                yield from walk(item, f"{where}/{key}/{name}")
        elif key in _LISTS and isinstance(value, list):
            for index, item in enumerate(value):
                yield from walk(item, f"{where}/{key}/{index}")
        elif key in _SINGLES:
            yield from walk(value, f"{where}/{key}")
