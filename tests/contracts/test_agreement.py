"""Model and schema accept the same documents: the law, and mutants that break it.

For every contract, documents come from its exported schema; each is judged as it is and after edits
at single places, by the strict model, by `jsonschema-rs` and by `jsonschema`.
"""

import copy
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import ConfigDict, Field, ValidationError, create_model

from covenue.registry.validation import Validator, anchored, with_jsonschema, with_jsonschema_rs
from covenue_contracts import catalogue
from covenue_contracts.canonical import ProfileBroken, canonical
from covenue_contracts.contract import SAFE_INTEGER, Contract
from covenue_contracts.samples import fullest, resolve
from covenue_contracts.schema_files import schema_of
from covenue_contracts.subschemas import Schema

MODELS = catalogue.load_all()
NEAR = ("\n", " ", "0", "=", ".", "-", "A", "é", "\u0000", "٣")
OTHERS: tuple[Any, ...] = (None, True, 0, 1, -1, "", "1", [], {}, [None], {"a": 1})
Site = tuple[Any, Any]


def sites(document: Any) -> Iterator[Site]:
    """Every (container, key) of a document, in order."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(pairs):
        yield document, key
        if isinstance(value, dict | list):
            yield from sites(value)


def variants(value: Any) -> list[Any]:
    """What a value may be replaced by: other types, bounds off by one, near-pattern strings."""
    found = [other for other in OTHERS if other != value or type(other) is not type(value)]
    if isinstance(value, bool) or value is None:
        return found
    if isinstance(value, int):
        return [*found, value + 1, value - 1, SAFE_INTEGER, -SAFE_INTEGER, str(value)]
    if isinstance(value, str):
        tails = [value + near for near in NEAR]
        heads = [near + value for near in NEAR]
        return [*found, *tails, *heads, value[1:], value[:-1], value * 2, value.upper()]
    if isinstance(value, list):
        return [*found, value[:1], value[1:], value + value]
    return found


@st.composite
def edited(draw: st.DrawFn, document: Any) -> Any:
    """A document after one edit: a key dropped or added, or a value replaced."""
    changed = copy.deepcopy(document)
    container, key = draw(st.sampled_from([*sites({"": changed})]))
    verb = draw(st.sampled_from(["drop", "add", "replace", "replace", "replace"]))
    value = container[key]
    if verb == "drop" and key != "":
        del container[key]
    elif verb == "add" and isinstance(value, dict):
        name = draw(st.sampled_from(["unknown", "a", "a\n", "", "Kind", "é"]))
        value[name] = draw(st.sampled_from(OTHERS))
    else:
        container[key] = draw(st.sampled_from(variants(value)))
    return changed


def accepts(model: type[Contract], document: Any) -> bool | None:
    """Whether the strict model accepts a document; None outside the canonical profile."""
    try:
        data = canonical(document)
    except ProfileBroken:
        return None
    try:
        model.model_validate_json(data)
    except ValidationError:
        return False
    return True


def check_agreement(
    model: type[Contract], validators: tuple[Validator, ...], document: Any
) -> None:
    """Assert that the model and every validator say the same of one document."""
    verdict = accepts(model, document)
    if verdict is None:
        return
    said = [validator.is_valid(document) for validator in validators]
    assert said == [verdict] * len(said), document


def documents(root: Schema, part: Schema) -> st.SearchStrategy[Any]:
    """Documents that a schema of the portable subset accepts."""
    part = resolve(root, part)
    if "enum" in part:
        return st.sampled_from(part["enum"])
    if "anyOf" in part:
        return st.one_of(*(documents(root, option) for option in part["anyOf"]))
    if part["type"] == "object":
        return maps(root, part)
    if part["type"] == "array":
        return st.lists(
            documents(root, part["items"]), min_size=part.get("minItems", 0), max_size=3
        )
    if part["type"] == "integer":
        low, high = part["minimum"], part["maximum"]
        return st.sampled_from([low, high]) | st.integers(low, high)
    return {"string": texts(part), "boolean": st.booleans(), "null": st.none()}[part["type"]]


def maps(root: Schema, part: Schema) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: documents(root, item) for name, item in part.get("properties", {}).items()}
    required = {name: item for name, item in fields.items() if name in part.get("required", ())}
    optional = {name: item for name, item in fields.items() if name not in required}
    fixed = st.fixed_dictionaries(required, optional=optional)
    free = [
        st.dictionaries(st.from_regex(anchored(pattern)), documents(root, item), max_size=2)
        for pattern, item in part.get("patternProperties", {}).items()
    ]
    return st.tuples(fixed, *free).map(
        lambda found: {k: v for one in found for k, v in one.items()}
    )


def texts(part: Schema) -> st.SearchStrategy[str]:
    longest = part.get("maxLength", 5000)
    if "pattern" in part:
        return st.from_regex(anchored(part["pattern"])).filter(lambda text: len(text) <= longest)
    return st.text(st.characters(codec="utf-8"), max_size=8) | st.just("x" * min(longest, 5000))


def check_law(model: type[Contract], schema: Schema, examples: int, *, shrink: bool = True) -> None:
    """State the law for one model and one schema, and search for a document that breaks it."""
    validators = (with_jsonschema_rs(schema), with_jsonschema(schema))
    full, generated = fullest(schema), documents(schema, schema)

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def law(data: st.DataObject) -> None:
        document = data.draw(st.just(full) | generated)
        check_agreement(model, validators, document)
        for _ in range(6):
            once = data.draw(edited(document))
            check_agreement(model, validators, once)
        if isinstance(once, dict):
            check_agreement(model, validators, data.draw(edited(once)))

    law()


@pytest.mark.parametrize("kind", MODELS)
def test_model_and_schema_accept_the_same_documents(kind: str) -> None:
    check_law(MODELS[kind], catalogue.schema(kind), examples=20)


@pytest.mark.parametrize("kind", MODELS)
def test_every_single_edit_of_a_full_document_is_judged_alike(kind: str) -> None:
    schema = catalogue.schema(kind)
    fast = (with_jsonschema_rs(schema),)
    full = {"": fullest(schema)}
    for container, key in list(sites(full)):
        value = container[key]
        for variant in variants(value):
            container[key] = variant
            check_agreement(MODELS[kind], fast, full[""])
        container[key] = value
        if isinstance(container, dict) and key:
            del container[key]
            check_agreement(MODELS[kind], fast, full[""])
            container[key] = value


@pytest.mark.parametrize("kind", MODELS)
def test_what_a_model_writes_its_schema_accepts(kind: str) -> None:
    schema = catalogue.schema(kind)
    message = MODELS[kind].model_validate_json(canonical(fullest(schema)))
    assert with_jsonschema(schema).is_valid(message.model_dump(mode="json"))


def mutant(change: str) -> type[Contract]:
    """The goal contract with one guard taken out."""
    true = MODELS["goal/v1"]
    fields: dict[str, Any] = {
        name: (field.rebuild_annotation(), field) for name, field in true.model_fields.items()
    }
    if change == "unknown fields are ignored":
        return create_model("Goal", __base__=Ignoring, **fields)
    if change == "types are coerced":
        return create_model("Goal", __base__=Coercing, **fields)
    if change == "the domain's pattern is unanchored":
        fields["domain"] = (str, Field(pattern="[a-z]+", max_length=64))
    if change == "an empty goal is allowed":
        fields["remaining"] = (tuple[str, ...], Field())
    if change == "a field may be left out":
        fields["terms"] = (fields["terms"][0], {})
    return create_model("Goal", __base__=Contract, **fields)


class Ignoring(Contract):
    model_config = ConfigDict(extra="ignore")


class Coercing(Contract):
    model_config = ConfigDict(strict=False, coerce_numbers_to_str=True)


@pytest.mark.parametrize(
    "change",
    [
        "unknown fields are ignored",
        "types are coerced",
        "the domain's pattern is unanchored",
        "an empty goal is allowed",
        "a field may be left out",
    ],
)
def test_a_model_without_a_guard_breaks_the_law(change: str) -> None:
    with pytest.raises(AssertionError):
        check_law(mutant(change), catalogue.schema("goal/v1"), examples=500, shrink=False)


def test_the_unchanged_goal_built_the_same_way_keeps_the_law() -> None:
    check_law(mutant("nothing"), catalogue.schema("goal/v1"), examples=10)


def test_a_fallback_with_python_s_anchors_breaks_the_law() -> None:
    from jsonschema import Draft202012Validator

    schema = schema_of(MODELS["goal/v1"], "goal/v1")
    naive = Draft202012Validator(schema)
    document = {"domain": "a\n", "aim": "fill", "remaining": ["0"], "terms": {}}
    with pytest.raises(AssertionError):
        check_agreement(
            MODELS["goal/v1"], (Validator(naive.is_valid, lambda _: iter(())),), document
        )


@pytest.mark.parametrize(
    ("pattern", "translated"),
    [
        ("^a$", r"^a\Z"),
        (r"^a\$$", r"^a\$\Z"),
        ("^[$]$", r"^[$]\Z"),
        (r"^[\]$]$", r"^[\]$]\Z"),
        ("^(a$|b$)", r"^(a\Z|b\Z)"),
    ],
)
def test_only_anchors_are_translated(pattern: str, translated: str) -> None:
    assert anchored(pattern) == translated


def test_a_reference_is_resolved_inside_the_schema() -> None:
    assert resolve({"$defs": {"A": {"type": "null"}}}, {"$ref": "#/$defs/A"}) == {"type": "null"}
