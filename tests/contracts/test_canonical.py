"""Canonical bytes: one spelling a document, the same as RFC 8785 inside the profile."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from covenue_contracts import canonical as canonical_module
from covenue_contracts.canonical import (
    MAX_DEPTH,
    ProfileBroken,
    ValidationError,
    canonical,
    check_profile,
    digest,
    parse,
    parse_as,
    sha256,
)
from covenue_contracts.catalogue import model
from covenue_contracts.contract import SAFE_INTEGER

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-SAFE_INTEGER, SAFE_INTEGER)
    | st.text(st.characters(codec="utf-8"))
)
KEYS = st.text(st.characters(codec="ascii"))
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(DOCUMENTS)
def test_canonical_bytes_are_those_of_rfc_8785(document: Any) -> None:
    assert canonical(document) == rfc8785.dumps(document)


@given(DOCUMENTS)
def test_canonical_bytes_are_those_of_the_standard_library(document: Any) -> None:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(document) == text.encode()


def test_every_character_is_spelled_as_rfc_8785_spells_it() -> None:
    letters = [chr(code) for code in range(0x3000) if not 0xD800 <= code < 0xE000]
    assert canonical(letters) == rfc8785.dumps(letters)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=3) | st.just("\ud800"), max_size=4))
def test_a_row_of_texts_is_checked_like_each_of_them(row: list[str]) -> None:
    broken = [index for index, text in enumerate(row) if text == "\ud800"]
    for document, where in ((row, "/{}"), ({"a": tuple(row)}, "/a/{}")):
        if not broken:
            check_profile(document)
            continue
        with pytest.raises(ProfileBroken) as refused:
            check_profile(document)
        assert refused.value.where == where.format(broken[0])


@given(DOCUMENTS)
def test_canonical_bytes_read_back_to_the_same_bytes(document: Any) -> None:
    data = canonical(document)
    assert parse(data) == document
    assert canonical(parse(data)) == data


@given(DOCUMENTS, st.sampled_from([{"indent": 1}, {"ensure_ascii": True}, {"sort_keys": False}]))
def test_another_spelling_is_never_read(document: Any, style: dict[str, Any]) -> None:
    data = json.dumps(document, **{"ensure_ascii": False, "sort_keys": True, **style}).encode()
    if data == canonical(document):
        assert parse(data) == document
    else:
        with pytest.raises(ProfileBroken):
            parse(data)


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_or_their_own_canonical_form(data: bytes) -> None:
    try:
        document = parse(data)
    except ProfileBroken:
        return
    assert canonical(document) == data


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"a": [1, 2.0]}, "/a/1"),
        ({"a": {"b": SAFE_INTEGER + 1}}, "/a/b"),
        ([b"bytes"], "/0"),
        ({"a": {1: 2}}, "/a"),
        ({"é": 1}, ""),
        (["\ud800"], "/0"),
        ({"a": {3, 4}}, "/a"),
        (float("nan"), ""),
    ],
)
def test_the_place_outside_the_profile_is_named(document: Any, where: str) -> None:
    with pytest.raises(ProfileBroken) as caught:
        check_profile(document)
    assert caught.value.where == where
    assert str(caught.value).startswith(where or "/")


def test_a_value_has_at_most_sixteen_containers_around_it() -> None:
    document: Any = 1
    for _ in range(MAX_DEPTH):
        document = [document]
    assert parse(canonical(document)) == document
    with pytest.raises(ProfileBroken, match="deeper"):
        canonical([document])


def test_a_contract_and_its_document_have_the_same_bytes() -> None:
    goal = model("goal/v1").model_validate_json(
        '{"aim":"fill","domain":"a","remaining":["1"],"terms":{}}'
    )
    assert canonical(goal) == b'{"aim":"fill","domain":"a","remaining":["1"],"terms":{}}'
    assert digest(goal) == digest(goal.model_dump(mode="json"))


GOAL = b'{"aim":"fill","domain":"a","remaining":["1"],"terms":{}}'
RESPELLED = {
    "a space": GOAL.replace(b",", b", ", 1),
    "another order": GOAL.replace(b'"aim":"fill","domain":"a"', b'"domain":"a","aim":"fill"'),
    "a key twice": GOAL.replace(b"{", b'{"aim":"fill",', 1),
    "an escape": GOAL.replace(b'"a"', b'"\\u0061"'),
    "a space, in what is no goal either": b'{"aim": 1}',
    "no JSON": b"{",
}


@pytest.mark.parametrize("case", RESPELLED)
def test_another_spelling_of_a_contract_is_never_read(case: str) -> None:
    with pytest.raises(ProfileBroken):
        parse_as(model("goal/v1"), RESPELLED[case])


def test_canonical_bytes_of_another_contract_are_invalid() -> None:
    with pytest.raises(ValidationError):
        parse_as(model("goal/v1"), b'{"aim":1}')


def test_without_the_comparison_another_spelling_of_a_contract_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = RESPELLED["a space"]
    monkeypatch.setattr(canonical_module, "canonical", lambda _: data)
    assert parse_as(model("goal/v1"), data) == model("goal/v1").model_validate_json(GOAL)


def test_digests_separate_their_parts_and_their_tags() -> None:
    assert sha256(b"a", b"bc") != sha256(b"ab", b"c")
    assert digest({}, "one") != digest({}, "two")
    assert digest({}, "tag") == sha256(b"tag", b"{}")
