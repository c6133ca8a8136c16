"""A mechanism is at most one noise and exactly one stage; clipped first, then noised."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.errors import BadInput
from covenue.hooks.privacy import Noise, PrivacyStage
from covenue.numerics.words import Words, clip, integers, words
from covenue.privacy.accountant import zcdp
from covenue.privacy.composition import Mechanism, compose
from covenue_contracts.privacy import Charge
from covenue_contracts.shared import Query, Space
from covenue_privacy_open.stage import OpenSum

SPACE = Space(signal="depth", names=("lots",), units=("lot",), scale_bits=0, bound="100")
QUERY = Query(kind="depth", after=None, multipliers=None, points=())
SEED = bytes(32)


@dataclass(frozen=True)
class Shift:
    """A noise that everybody can see: it adds the same to every word."""

    by: int = 50

    def cost(self, query: Query, space: Space) -> Charge:
        return zcdp(int(space.bound) ** 2, self.by**2)

    def draw(self, values: Words, seed: bytes) -> Words:
        return words(value + self.by + seed[0] for value in integers(values))


class Both(OpenSum):
    """Something that is a noise and a stage at once."""

    def draw(self, values: Words, seed: bytes) -> Words:
        return values


OPEN = OpenSum()
WRONG: dict[str, Sequence[Any]] = {
    "nothing": (),
    "no stage": (Shift(),),
    "two stages": (OPEN, OpenSum()),
    "two noises": (Shift(), Shift(), OPEN),
    "noise after the stage": (OPEN, Shift()),
    "noise on both sides": (Shift(), OPEN, Shift()),
    "something that is both": (Both(),),
    "something that is neither": (object(), OPEN),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_mechanism_is_refused(name: str) -> None:
    parts = WRONG[name]
    names = [f"p{index}" for index in range(len(parts))]
    with pytest.raises(BadInput) as refused:
        compose(names, parts)
    assert refused.value.field == "privacy.mechanism"
    assert refused.value.value == ", ".join(names)
    assert refused.value.advice


def test_a_stage_alone_and_a_noise_before_a_stage_compose() -> None:
    alone = compose(["open"], [OPEN])
    assert (alone.name, alone.noise, alone.stage) == ("open", None, OPEN)
    noised = compose(["shift", "open"], [Shift(), OPEN])
    assert (noised.name, noised.noise, noised.stage) == ("shift+open", Shift(), OPEN)


def test_a_round_costs_what_the_noise_says_where_there_is_noise() -> None:
    assert compose(["open"], [OPEN]).cost(QUERY, SPACE) == Charge(kind="exact", amount="1")
    noised = compose(["shift", "open"], [Shift(), OPEN])
    assert noised.cost(QUERY, SPACE) == zcdp(100**2, 50**2)


NUMBERS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6)


@given(NUMBERS)
def test_what_leaves_without_noise_is_the_clipped_answer(values: list[int]) -> None:
    protected = compose(["open"], [OPEN]).protect(words(values), SPACE, SEED)
    assert integers(protected) == tuple(max(-100, min(100, value)) for value in values)


@given(NUMBERS)
def test_noise_is_drawn_on_the_clipped_answer(values: list[int]) -> None:
    protected = compose(["shift", "open"], [Shift(), OPEN]).protect(words(values), SPACE, SEED)
    assert integers(protected) == tuple(max(-100, min(100, value)) + 50 for value in values)


def test_the_seed_reaches_the_noise_and_repeats_it() -> None:
    mechanism = compose(["shift", "open"], [Shift(), OPEN])
    first = [integers(mechanism.protect(words([1]), SPACE, bytes([n]) * 32)) for n in (1, 1, 2)]
    assert first[0] == first[1] != first[2]


class ClipsAfter(Mechanism):
    """A mutant: what it lets out shows where the bound was met, and the noise is cut."""

    def protect(self, values: Words, space: Space, seed: bytes) -> Words:
        assert self.noise is not None
        return clip(self.noise.draw(values, seed), int(space.bound))


class NeverClips(Mechanism):
    """A mutant: one diverging answer is in the total whole."""

    def protect(self, values: Words, space: Space, seed: bytes) -> Words:
        assert self.noise is not None
        return self.noise.draw(values, seed)


def spread(build: Callable[[str, Noise, PrivacyStage], Mechanism]) -> int:
    """How far what leaves can move when a venue's whole answer is replaced: twice the bound."""
    mechanism = build("shift+open", Shift(), OPEN)
    answers = [-(10**6), -100, 0, 100, 10**6]
    left = [integers(mechanism.protect(words([v]), SPACE, SEED))[0] for v in answers]
    return max(left) - min(left)


def test_mutants_of_the_order_break_sensitivity_or_the_noise() -> None:
    assert spread(Mechanism) == 200
    assert spread(NeverClips) > 200, "the charge was made for less"
    top = ClipsAfter("shift+open", Shift(), OPEN).protect(words([100]), SPACE, SEED)
    assert integers(top) == (100,), "at the bound there is no noise left"
    assert integers(Mechanism("shift+open", Shift(), OPEN).protect(words([100]), SPACE, SEED)) == (
        150,
    )
