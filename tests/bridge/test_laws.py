"""Translation loses nothing, composes, and changes no canonical byte: on generated messages."""

import copy
from collections.abc import Callable
from itertools import product
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from tests.bridge.documents import messages, problems
from tests.contracts.test_agreement import sites

from covenue.bridge.energibridge import EnergiBridge
from covenue.bridge.messages import Message
from covenue.errors import BadInput

NAMES = ("canonical", "arbsphere", "exoroute", "exprove")
Law = Callable[[Message], None]


def check(law: Law, examples: int = 60, given_: st.SearchStrategy[Message] | None = None) -> None:
    """Search for a message that breaks a law."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(messages() if given_ is None else given_)
    def run(message: Message) -> None:
        law(message)

    run()


def test_a_message_comes_back_from_every_dialect_in_the_same_bytes(bridge: EnergiBridge) -> None:
    def law(message: Message) -> None:
        for name in NAMES:
            there = bridge.translate(message, name)
            back = bridge.translate(there.message, "canonical")
            assert there.message.dialect == name
            assert there.canonical.raw() == back.message.raw() == message.raw()

    check(law)


def test_translating_into_its_own_dialect_changes_no_byte(bridge: EnergiBridge) -> None:
    def law(message: Message) -> None:
        for name in NAMES:
            spoken = bridge.translate(message, name).message
            assert bridge.translate(spoken, name).message.raw() == spoken.raw()

    check(law, examples=30)


def test_composing_two_translations_is_translating_the_composition(bridge: EnergiBridge) -> None:
    def law(message: Message) -> None:
        for first, second, third in product(NAMES, repeat=3):
            start = bridge.translate(message, first).message
            by_way = bridge.translate(bridge.translate(start, second).message, third)
            at_once = bridge.translate(start, third)
            assert by_way.message.raw() == at_once.message.raw()
            assert by_way.canonical.raw() == at_once.canonical.raw() == message.raw()

    check(law, examples=40)


def test_different_messages_stay_different_in_every_dialect(bridge: EnergiBridge) -> None:
    seen: dict[tuple[str, bytes], bytes] = {}

    def law(message: Message) -> None:
        for name in NAMES:
            spoken = bridge.translate(message, name).message.raw()
            assert seen.setdefault((name, spoken), message.raw()) == message.raw()

    check(law)


OTHERS: tuple[Any, ...] = (None, True, 0, 1, -1, "", "0", "1.5", "1.50", "-0", [], {}, [None], "é")


@st.composite
def edited(draw: st.DrawFn, message: Message) -> Message:
    """A message after one edit in metadata or body: a field dropped, added or replaced."""
    changed = copy.deepcopy({"metadata": message.metadata, "body": message.body})
    places = [place for place in sites(changed) if place[0] is not changed]
    texts = [(c, k) for c, k in places if isinstance(c[k], str) and c[k][-1:].isdigit()]
    verb = draw(st.sampled_from(["drop", "add", "replace", "near", "near", "near"]))
    container, key = draw(st.sampled_from(texts if verb == "near" and texts else places))
    value = container[key]
    if verb == "drop":
        del container[key]
    elif verb == "add" and isinstance(container, dict):
        container[draw(st.sampled_from(["unknown", "a", "planId", "terms"]))] = "x"
    elif verb == "near" and isinstance(value, str):
        near = (value[:-1] + "5", value + "0", "0" + value, value + ".0", value + "\n")
        container[key] = draw(st.sampled_from(near))
    else:
        container[key] = draw(st.sampled_from(OTHERS))
    return Message(message.dialect, message.type, changed["metadata"], changed["body"])


def canonical_or_refused(bridge: EnergiBridge, message: Message) -> Message | BadInput:
    try:
        return bridge.to_canonical(message)
    except BadInput as error:
        return error


@pytest.mark.parametrize("name", ["arbsphere", "exoroute", "exprove"])
def test_whatever_a_dialect_accepts_after_an_edit_comes_back_as_it_was(
    bridge: EnergiBridge, name: str
) -> None:
    verdicts = {"accepted": 0, "refused": 0}

    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def law(data: st.DataObject) -> None:
        spoken = bridge.translate(data.draw(messages()), name).message
        changed = data.draw(edited(spoken))
        known = canonical_or_refused(bridge, changed)
        if isinstance(known, BadInput):
            verdicts["refused"] += 1
            assert known.field.startswith(("/metadata", "/body"))
            assert known.advice
        else:
            verdicts["accepted"] += 1
            assert bridge.from_canonical(known, name).raw() == changed.raw()

    law()
    assert min(verdicts.values()) > 10, verdicts


def test_a_problem_on_pools_has_no_form_in_exoroute(bridge: EnergiBridge) -> None:
    def law(message: Message) -> None:
        spoken = bridge.translate(message, "arbsphere").message
        with pytest.raises(BadInput) as refused:
            bridge.translate(spoken, "exoroute")
        assert "LocalArbProblem" in refused.value.what
        assert "exoroute" in refused.value.what
        assert (refused.value.field, refused.value.value) == ("/body/market_kind", "pool-set/v1")

    check(law, 15, problems(domain="routing", state="pool-set/v1"))


def test_a_problem_of_another_domain_has_no_form_in_exoroute(bridge: EnergiBridge) -> None:
    def law(message: Message) -> None:
        with pytest.raises(BadInput) as refused:
            bridge.translate(message, "exoroute")
        assert (refused.value.field, refused.value.value) == ("/body/domain", "arbitrage")

    check(law, 5, problems(domain="arbitrage"))
