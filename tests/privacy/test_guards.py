"""Guards, each with the attack that succeeds once it is switched off."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.numerics.words import integers, subtract, total, words
from covenue.privacy.guards import (
    Attendance,
    Past,
    Verdict,
    differencing,
    fixed_cohort,
    large_enough,
    moved,
    remembered,
)
from covenue_contracts.plan import CohortPolicy, Differencing

Rule = Literal["charge", "hold", "refuse", "override"]
PARTIES = ("a", "b", "c", "d")
BOOKS: Mapping[str, int] = {"a": 10, "b": 200, "c": 3_000, "d": 40_000}
CHANGED: Mapping[str, int] = {"a": 17, "b": 202, "c": 3_003, "d": 40_004}


def policy(rule: Differencing = "refuse", min_changed: int = 2, least: int = 2) -> CohortPolicy:
    return CohortPolicy(
        least=least,
        colluders=0,
        drops=0,
        min_changed=min_changed,
        differencing=rule,
        reason="said" if rule == "override" else None,
    )


def all_of(*changed: str, members: tuple[str, ...] = PARTIES) -> Attendance:
    return Attendance(members, changed)


def after(*plans: Attendance) -> Past:
    """A past of these plans, in order."""
    past = Past()
    for plan in plans:
        past = past.after(plan)
    return past


# ---- differencing

TABLE: dict[str, tuple[Attendance | None, Attendance, bool, Verdict]] = {
    "the first plan": (None, all_of("a"), False, "pass"),
    "nobody changed: the sums say nothing new": (all_of(), all_of(), False, "pass"),
    "one changed": (all_of(), all_of("a"), False, "void"),
    "as many as needed changed": (all_of(), all_of("a", "b"), False, "pass"),
    "all changed": (all_of(), all_of(*PARTIES), False, "pass"),
    "one changed, under noise": (all_of(), all_of("a"), True, "pass"),
    "one left": (all_of(), all_of(members=("a", "b", "c")), False, "void"),
    "one joined": (all_of(members=("a", "b", "c")), all_of("d"), False, "void"),
    "one left and one joined": (
        all_of(members=("a", "b", "c")), all_of(members=("a", "b", "d")), False, "pass",
    ),
    "one left and another changed": (
        all_of(), all_of("a", members=("a", "b", "c")), False, "pass",
    ),
    "who joined counts once, changed or not": (
        all_of(members=("a", "b", "c")), all_of("d", members=PARTIES), False, "void",
    ),
    "what changed before is no matter": (all_of("a", "b"), all_of("c"), False, "void"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_a_replan_is_judged_by_how_many_inputs_differ(case: str) -> None:
    before, now, noised, verdict = TABLE[case]
    past = Past() if before is None else after(before)
    assert differencing(policy(), past, now, noised=noised) == verdict


@pytest.mark.parametrize("rule", ["charge", "hold", "refuse", "override"])
def test_only_a_configured_override_lets_a_nearly_unchanged_replan_through(rule: Rule) -> None:
    """Without noise there is nothing to charge, and at a cadence nothing has changed yet."""
    verdict = differencing(policy(rule), after(all_of()), all_of("a"), noised=False)
    assert verdict == ("override" if rule == "override" else "void")
    assert differencing(policy(rule), after(all_of()), all_of("a", "b"), noised=False) == "pass"


def test_nothing_is_asked_for_where_no_change_need_be_hidden() -> None:
    assert differencing(policy(min_changed=0), after(all_of()), all_of("a"), noised=False) == "pass"
    assert differencing(policy(min_changed=1), after(all_of()), all_of("a"), noised=False) == "pass"


SETS = st.sets(st.sampled_from(PARTIES))


@given(SETS, SETS, SETS)
def test_how_many_moved_is_the_number_of_inputs_that_differ(
    before: set[str], now: set[str], changed: set[str]
) -> None:
    """An input differs when a party has another state, or is there in one plan only."""
    inputs = [
        {p: (CHANGED if p in changed & now else BOOKS)[p] for p in now},
        {p: BOOKS[p] for p in before},
    ]
    differ = sum(inputs[0].get(p) != inputs[1].get(p) for p in PARTIES)
    past = after(Attendance(tuple(sorted(before)), ()))
    here = past.at(Attendance(tuple(sorted(now)), tuple(sorted(changed & now))))
    assert moved(past.plans[-1], here) == differ


def test_an_earlier_plan_than_the_last_counts_as_well() -> None:
    """{a} then {b} then {b} undone: two steps of two changes lead back to one change in all."""
    past = after(all_of(), all_of("a", "b"))
    assert differencing(policy(), past, all_of("c", "d"), noised=False) == "pass"
    leaving = after(all_of(), all_of(members=("a", "b")), all_of(members=("a", "b")))
    back = all_of(members=("a", "b", "c"))
    assert differencing(policy(), leaving, back, noised=False) == "void"


def test_mutant_that_compares_with_the_last_plan_only_lets_one_party_out() -> None:
    """All four, then one, then three: each step moves enough; first and third differ by d."""
    wide = ("a", "b", "c", "d")
    past = after(all_of(members=wide), all_of(members=("a",)))
    third = all_of(members=("a", "b", "c"))
    assert differencing(policy(), past, third, noised=False) == "void"
    last_only = Past(past.versions, past.plans[-1:])
    assert differencing(policy(), last_only, third, noised=False) == "pass"


def test_a_change_that_colluders_only_say_protects_nobody() -> None:
    with_one = policy().model_copy(update={"colluders": 1})
    past = after(all_of())
    assert differencing(policy(), past, all_of("a", "b"), noised=False) == "pass"
    assert differencing(with_one, past, all_of("a", "b"), noised=False) == "void"
    assert differencing(with_one, past, all_of("a", "b", "c"), noised=False) == "pass"
    assert differencing(with_one, past, all_of(), noised=False) == "pass"


def learnt(guard: Callable[..., Verdict], changed: tuple[str, ...]) -> int | None:
    """What two sums give away: their difference, or None where the second is not made."""
    first = total([words([BOOKS[p]]) for p in PARTIES])
    if guard(policy(), after(all_of()), all_of(*changed), noised=False) == "void":
        return None
    second = total([words([(CHANGED if p in changed else BOOKS)[p]]) for p in PARTIES])
    return integers(subtract(second, first))[0]


def test_mutant_without_the_guard_one_partys_change_comes_out_exactly() -> None:
    assert learnt(differencing, ("c",)) is None
    assert learnt(lambda *_, **__: "pass", ("c",)) == CHANGED["c"] - BOOKS["c"]
    several = learnt(differencing, ("b", "c"))
    assert several is not None
    assert several not in {CHANGED[p] - BOOKS[p] for p in PARTIES}, "a sum of changes, of nobody"


def test_mutant_that_counts_changes_only_a_party_that_leaves_comes_out_exactly() -> None:
    def changes_only(rules: CohortPolicy, past: Past, now: Attendance, *, noised: bool) -> Verdict:
        count = len(set(now.changed) & set(past.plans[-1]))
        return "void" if 0 < count < rules.min_changed else "pass"

    gone = all_of(members=("a", "b", "c"))
    assert differencing(policy(), after(all_of()), gone, noised=False) == "void"
    assert changes_only(policy(), after(all_of()), gone, noised=False) == "pass"
    whole = total([words([BOOKS[p]]) for p in PARTIES])
    rest = total([words([BOOKS[p]]) for p in gone.members])
    assert integers(subtract(whole, rest)) == (BOOKS["d"],)


# ---- cohorts


@pytest.mark.parametrize(
    ("least", "stage", "count", "enough"),
    [(3, 1, 3, True), (3, 1, 2, False), (2, 3, 2, False), (2, 3, 3, True), (1, 1, 0, False)],
)
def test_a_cohort_reaches_what_policy_and_stage_demand(
    least: int, stage: int, count: int, enough: bool
) -> None:
    assert large_enough(policy(least=least), stage, PARTIES[:count]) is enough


def test_mutant_without_a_least_cohort_a_sum_is_one_partys_words() -> None:
    def answered(guard: Callable[[CohortPolicy, int, tuple[str, ...]], bool]) -> int | None:
        if not guard(policy(least=2), 1, ("c",)):
            return None
        return integers(total([words([BOOKS["c"]])]))[0]

    assert answered(large_enough) is None
    assert answered(lambda *_: True) == BOOKS["c"]


@pytest.mark.parametrize(
    ("rule", "min_changed", "noised", "fixed"),
    [
        ("refuse", 2, False, True),
        ("hold", 1, False, True),
        ("charge", 2, False, True),
        ("charge", 2, True, False),
        ("override", 2, False, False),
        ("refuse", 0, False, False),
    ],
)
def test_a_cohort_is_fixed_by_a_total_or_from_the_start_where_one_change_is_too_few(
    rule: Rule, min_changed: int, noised: bool, fixed: bool
) -> None:
    rules = policy(rule, min_changed)
    first = fixed_cohort(rules, PARTIES, None, noised=noised)
    assert first == (PARTIES if fixed else None)
    after = fixed_cohort(rules, PARTIES, ("a", "b"), noised=noised)
    assert after == ("a", "b"), "a total has been released over these"


def test_mutant_with_a_cohort_that_may_shrink_two_answers_to_one_query_tell_one_party() -> None:
    def asked(cohort: Callable[..., tuple[str, ...] | None]) -> tuple[int, ...]:
        """Two rounds of one plan; before the second, d is gone."""
        released = total([words([BOOKS[p]]) for p in PARTIES])
        required = cohort(policy("override"), PARTIES, PARTIES, noised=False)
        here = PARTIES[:3]
        if required is not None and here != required:
            return ()
        return integers(subtract(released, total([words([BOOKS[p]]) for p in here])))

    assert asked(fixed_cohort) == ()
    assert asked(lambda *_, **__: None) == (BOOKS["d"],)


# ---- memory


def test_an_answer_continues_from_the_query_it_names_and_from_no_other() -> None:
    kept = {"one": b"1", "two": b"2"}
    assert remembered(kept, "one") == b"1"
    assert remembered(kept, None) == b"", "a question that names none begins anew"
    assert remembered(kept, "gone") == b"", "what was voided or never kept begins anew"


def test_mutant_that_takes_the_newest_memory_a_rejected_trial_changes_the_answer() -> None:
    """A trial query is asked and rejected; the next continues from the one before it."""

    def answer(memory: bytes) -> np.int64:
        return np.int64(100 + len(memory))

    kept = {"accepted": b"x", "rejected trial": b"xxx"}
    newest = list(kept.values())[-1]
    assert answer(remembered(kept, "accepted")) == 101
    assert answer(newest) == 103
