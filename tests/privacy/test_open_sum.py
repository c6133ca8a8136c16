"""The open stage: the bytes of an upload, and every way in which a round can end."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.hooks.privacy import (
    Aborted,
    Begin,
    PlanContext,
    Ready,
    Received,
    Released,
    Role,
    RoundContext,
    Send,
    Signed,
    StageDeadline,
    StageEffect,
    StageEvent,
    Timer,
)
from covenue.hooks.solvers import Total
from covenue.numerics.words import integers, words
from covenue.registry.load import Registry
from covenue_contracts.plan import CohortPolicy
from covenue_contracts.privacy import Charge
from covenue_contracts.shared import Query, Space
from covenue_privacy_open import register_privacy
from covenue_privacy_open.stage import DECLINE, UPLOAD, Collecting, OpenSum, pack, unpack

DIDS = ("did:a", "did:b", "did:c")
WIDTH = 2
STAGE = OpenSum()
DEADLINE = StageDeadline(UPLOAD, 5)
WORDS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=WIDTH, max_size=WIDTH)


def plan(least: int = 2) -> PlanContext:
    policy = CohortPolicy(
        least=least, colluders=0, drops=0, min_changed=0, differencing="override", reason="test"
    )
    return PlanContext("a" * 64, "", DIDS, policy, b"", {})


def context(number: int = 1, cohort: tuple[str, ...] | None = None) -> RoundContext:
    return RoundContext("a" * 64, number, "b" * 64, WIDTH, cohort or DIDS, cohort, "c" * 64)


def upload(did: str, values: Sequence[int] = (1, 2), attached: bytes = b"") -> Received:
    return Received(did, UPLOAD, pack(words(values), attached))


def played(
    *events: StageEvent, least: int = 2, cohort: tuple[str, ...] | None = None
) -> tuple[Collecting, list[StageEffect]]:
    """The coordinator's state and effects after a round begins and these events."""
    state, effects = STAGE.start(Role.COORDINATOR, plan(least))
    said = list(effects)
    for event in (Begin(context(cohort=cohort), None, b""), *events):
        state, effects = STAGE.advance(state, event)
        said += effects
    return state, said


def end(effects: Sequence[StageEffect]) -> StageEffect:
    return effects[-1]


# ---- bytes


def test_the_bytes_of_an_upload_are_these() -> None:
    """Golden: length of the attachment in two bytes, it, then little-endian words."""
    assert pack(words([1, -2]), b"").hex() == (
        "0000" "0100000000000000" "feffffffffffffff"
    )  # fmt: skip
    assert pack(words([258]), b"\xca\xfe").hex() == "0002cafe0201000000000000"
    assert pack(words([]), b"").hex() == "0000"


@given(WORDS, st.binary(max_size=70))
def test_an_upload_is_read_as_it_was_written(values: list[int], attached: bytes) -> None:
    read = unpack(pack(words(values), attached), WIDTH)
    assert read is not None
    assert (integers(read[0]), read[1]) == (tuple(values), attached)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_upload_that_writes_back_or_none(body: bytes) -> None:
    read = unpack(body, WIDTH)
    assert read is None or pack(*read) == body


MALFORMED = {
    "nothing": b"",
    "half a length": b"\0",
    "a word too few": pack(words([1]), b""),
    "a word too many": pack(words([1, 2, 3]), b""),
    "a byte too many": pack(words([1, 2]), b"") + b"\0",
    "a byte too few": pack(words([1, 2]), b"")[:-1],
    "an attachment longer than the rest": b"\xff\xff" + bytes(16),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_upload_is_as_none(name: str) -> None:
    before, _ = played(upload("did:a"))
    after, effects = STAGE.advance(before, Received("did:b", UPLOAD, MALFORMED[name]))
    assert after is before
    assert effects == ()
    mended, _ = STAGE.advance(after, upload("did:b"))
    assert set(mended.uploads) == {"did:a", "did:b"}, "a good one may follow"


# ---- participants


def begin(number: int, values: Sequence[int] | None = (1, 2), attached: bytes = b"") -> Begin:
    return Begin(context(number), None if values is None else words(values), attached)


def test_a_participant_sends_its_words_and_what_is_attached_once() -> None:
    state, effects = STAGE.start(Role.PARTICIPANT, plan())
    assert effects == ()
    state, effects = STAGE.advance(state, begin(1, (5, -6), b"seal"))
    assert effects == (Send(UPLOAD, pack(words([5, -6]), b"seal")),)
    for late in (begin(1), begin(0)):
        assert STAGE.advance(state, late) == (state, ())
    _, effects = STAGE.advance(state, begin(2))
    assert effects == (Send(UPLOAD, pack(words([1, 2]), b"")),)


def test_a_participant_that_declines_sends_nothing_of_its_own() -> None:
    """The kernel's `decline` says it; the stage has no words to send."""
    state, _ = STAGE.start(Role.PARTICIPANT, plan())
    assert STAGE.advance(state, begin(1, None)) == (state, ())


@pytest.mark.parametrize(
    "event", [Received("", "anything", b""), Signed("x", False, b""), DEADLINE]
)
def test_a_participant_ignores_what_the_stage_never_says(event: StageEvent) -> None:
    state, _ = STAGE.start(Role.PARTICIPANT, plan())
    after, effects = STAGE.advance(state, event)
    assert after is state
    assert effects == ()


# ---- the coordinator


def test_a_round_begins_with_a_timer_and_ends_with_the_last_upload() -> None:
    _, effects = played(
        upload("did:c", (100, 7), b"C"), upload("did:a", (1, -9), b"A"), upload("did:b", (10, 0))
    )
    assert effects == [
        Timer(UPLOAD),
        Ready(DIDS),
        Released(effects[-1].release, {"did:a": b"A", "did:b": b"", "did:c": b"C"}),  # type: ignore[union-attr]  # checked below
    ]
    last = end(effects)
    assert isinstance(last, Released)
    assert isinstance(last.release, Total)
    assert integers(last.release.words) == (111, -2)
    assert (last.release.cohort, last.release.exact) == (DIDS, True)


def test_no_order_of_arrival_changes_the_release() -> None:
    uploads = [upload(did, (n, n * n)) for n, did in enumerate(DIDS)]
    ends = {repr(end(played(*order)[1])) for order in permutations(uploads)}
    assert len(ends) == 1


def test_sums_wrap_and_are_not_widened() -> None:
    _, effects = played(*(upload(did, (2**63 - 1, 1)) for did in DIDS))
    last = end(effects)
    assert isinstance(last, Released)
    assert isinstance(last.release, Total)
    assert integers(last.release.words) == (2**63 - 3, 3)


def test_a_deadline_releases_what_is_there() -> None:
    _, effects = played(upload("did:a"), upload("did:c"), DEADLINE)
    last = end(effects)
    assert isinstance(last, Released)
    assert last.release.cohort == ("did:a", "did:c")


def test_a_deadline_aborts_below_the_least_cohort_and_proves_nothing() -> None:
    _, effects = played(upload("did:a"), DEADLINE)
    assert end(effects) == Aborted(None, ("did:a",))
    assert not STAGE.proves_abort(plan(), context(), b"anything")
    assert end(played(DEADLINE, least=1)[1]) == Aborted(None, ()), "a sum of nobody is none"


def test_a_declining_party_is_not_waited_for() -> None:
    _, effects = played(upload("did:a"), upload("did:b"), Received("did:c", DECLINE, b""))
    last = end(effects)
    assert isinstance(last, Released)
    assert last.release.cohort == ("did:a", "did:b")
    all_decline = [Received(did, DECLINE, b"") for did in DIDS]
    assert end(played(*all_decline, least=1)[1]) == Aborted(None, ())


def test_the_first_word_of_a_party_stands() -> None:
    state, _ = played(upload("did:a", (1, 1)))
    for again in (upload("did:a", (9, 9)), Received("did:a", DECLINE, b"")):
        after, effects = STAGE.advance(state, again)
        assert after is state
        assert effects == ()
    state, _ = played(Received("did:a", DECLINE, b""))
    assert STAGE.advance(state, upload("did:a"))[0] is state


@pytest.mark.parametrize(
    "event",
    [
        upload("did:stranger"),
        Received("did:a", "vote", b""),
        StageDeadline("vote", 5),
        Signed("x", False, b""),
    ],
    ids=["a stranger", "another phase", "another deadline", "a signature"],
)
def test_what_the_round_does_not_wait_for_changes_nothing(event: StageEvent) -> None:
    state, _ = played(upload("did:b"))
    after, effects = STAGE.advance(state, event)
    assert after is state
    assert effects == ()


def test_a_fixed_cohort_is_whole_or_there_is_no_total() -> None:
    pair = ("did:a", "did:b")
    whole = end(played(upload("did:a"), upload("did:b"), cohort=pair)[1])
    assert isinstance(whole, Released)
    assert whole.release.cohort == pair
    for lost in (DEADLINE, Received("did:b", DECLINE, b"")):
        aborted = end(played(upload("did:a"), lost, cohort=pair, least=1)[1])
        assert aborted == Aborted(None, ("did:a",))


def test_nothing_follows_the_end_of_a_round() -> None:
    for last in (upload("did:c"), DEADLINE):
        state, _ = played(upload("did:a"), upload("did:b"), last)
        for late in (upload("did:c"), DEADLINE, Received("did:b", DECLINE, b"")):
            assert STAGE.advance(state, late) == (state, ())


def test_a_new_round_forgets_the_one_before() -> None:
    state, _ = played(upload("did:a"), upload("did:b"))
    state, effects = STAGE.advance(state, Begin(context(2), None, b""))
    assert effects == (Timer(UPLOAD),)
    assert not state.uploads
    assert state.ctx == context(2)


def test_what_it_says_of_itself_is_what_its_manifest_says() -> None:
    row = Registry().find("privacy", "open")
    assert row.manifest is not None
    assert row.manifest.privacy is not None
    assert row.manifest.privacy.coordinator_sees == "everything"
    assert STAGE.coordinator_sees_everything
    assert row.manifest.privacy.least_cohort == STAGE.least_cohort
    space = Space(signal="s", names=("n",), units=("u",), scale_bits=0, bound="1")
    query = Query(kind="depth", after=None, multipliers=None, points=())
    assert STAGE.cost(query, space) == Charge(kind="exact", amount="1")
    assert STAGE.setup("a" * 64, bytes(32)) == b""
    found: dict[str, object] = {}
    register_privacy(found.__setitem__)
    assert found == {"open": OpenSum}
