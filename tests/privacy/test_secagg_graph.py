"""Who masks with whom: the degree from exact tails, the order from the beacon."""

from collections import Counter
from fractions import Fraction
from itertools import combinations, permutations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covenue.hooks.privacy import PlanContext, RoundContext
from covenue_contracts.plan import CohortPolicy
from covenue_privacy_secagg import graph

DERANDOMISED = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def dids(members: int) -> tuple[str, ...]:
    return tuple(f"did:{index:04d}" for index in range(members))


def drawn_for(members: int, colluders: int = 0, drops: int = 0) -> tuple[PlanContext, RoundContext]:
    policy = CohortPolicy(
        least=3,
        colluders=colluders,
        drops=drops,
        min_changed=0,
        differencing="override",
        reason=None,
    )
    names = dids(members)
    plan = PlanContext("a" * 64, names[0], names, policy, b"", {})
    return plan, RoundContext("a" * 64, 1, "b" * 64, 1, names, None, "c" * 64)


@pytest.mark.parametrize(("members", "degree"), [(100, 22), (200, 32), (1000, 46)])
def test_the_degree_is_that_of_the_note(members: int, degree: int) -> None:
    """privacy.md, section 4: a tenth corrupt, a tenth lost."""
    assert graph.least_degree(members, members // 10, members // 10) == degree


@pytest.mark.parametrize("members", [3, 8, 32])
def test_up_to_thirty_two_everybody_masks_with_everybody(members: int) -> None:
    plan, ctx = drawn_for(members)
    for did in plan.members:
        others = tuple(other for other in plan.members if other != did)
        assert graph.neighbours(plan, ctx, b"", did) == others


def test_where_no_degree_is_safe_everybody_masks_with_everybody() -> None:
    plan, ctx = drawn_for(40, colluders=30, drops=9)
    assert graph.degree_of(plan, ctx) == 39
    assert len(graph.neighbours(plan, ctx, b"", plan.members[3])) == 39


def test_a_policy_that_assumes_no_colluders_gets_no_thinner_graph() -> None:
    assert graph.least_degree(100, 0, 10) == graph.least_degree(100, 10, 10)
    assert graph.least_degree(100, 20, 10) > graph.least_degree(100, 10, 10)


@DERANDOMISED
@given(members=st.integers(33, 70), beacon=st.binary(min_size=32, max_size=32))
def test_both_ends_know_of_each_pair_and_all_have_the_same_degree(
    members: int, beacon: bytes
) -> None:
    plan, ctx = drawn_for(members, colluders=3, drops=3)
    near = {did: graph.neighbours(plan, ctx, beacon, did) for did in plan.members}
    degree = graph.degree_of(plan, ctx)
    for did, others in near.items():
        assert len(others) == len(set(others)) == degree
        assert did not in others
        assert list(others) == sorted(others)
        assert all(did in near[other] for other in others)


@DERANDOMISED
@given(members=st.integers(33, 60), beacon=st.binary(min_size=32, max_size=32), data=st.data())
def test_honest_members_stay_connected_unless_half_a_degree_of_others_stands_in_a_row(
    members: int, beacon: bytes, data: st.DataObject
) -> None:
    plan, ctx = drawn_for(members, colluders=3, drops=3)
    reach = graph.degree_of(plan, ctx) // 2
    ring = graph.permutation(beacon, ctx.expected)
    corrupt = set(data.draw(st.lists(st.sampled_from(ring), max_size=members // 2, unique=True)))
    rows = [{ring[(at + step) % members] for step in range(reach)} for at in range(members)]
    honest = [did for did in ring if did not in corrupt]
    reached, fresh = {honest[0]}, [honest[0]]
    while fresh:
        near = set(graph.neighbours(plan, ctx, beacon, fresh.pop())) - corrupt - reached
        reached |= near
        fresh += near
    assert reached == set(honest) or any(row <= corrupt for row in rows)


@pytest.mark.parametrize(("others", "marked", "drawn"), [(9, 3, 4), (12, 5, 6), (7, 7, 3)])
def test_the_tail_is_that_of_counting_every_choice(others: int, marked: int, drawn: int) -> None:
    choices = list(combinations(range(others), drawn))
    for least in range(drawn + 2):
        hits = sum(sum(at < marked for at in choice) >= least for choice in choices)
        assert graph._tail(others, marked, drawn, least) == Fraction(hits, len(choices))


@pytest.mark.parametrize(("members", "corrupt", "length"), [(8, 4, 3), (9, 3, 2), (6, 2, 3)])
def test_a_row_of_corrupt_members_is_as_likely_as_counting_says(
    members: int, corrupt: int, length: int
) -> None:
    placings = list(combinations(range(members), corrupt))
    hits = sum(set(range(length)) <= set(placing) for placing in placings)
    assert graph._in_a_row(members, corrupt, length) == Fraction(hits, len(placings))


@pytest.mark.parametrize("members", [50, 100, 333])
def test_the_degree_meets_the_bounds_and_two_less_do_not(members: int) -> None:
    tenth = -(-members // 10)

    def meets(degree: int) -> bool:
        row = members * Fraction(comb(tenth, degree // 2), comb(members, degree // 2))
        return row <= Fraction(1, 2**40) and any(
            members * graph._tail(members - 1, tenth, degree, least) <= Fraction(1, 2**40)
            and members * graph._tail(members - 1, tenth, degree, degree - least + 1)
            <= Fraction(1, 2**20)
            for least in range(1, degree + 1)
        )

    degree = graph.least_degree(members, tenth, tenth)
    assert meets(degree)
    assert not meets(degree - 2)


def test_every_order_is_drawn_equally_often() -> None:
    """Of four members over 9600 beacons: 24 orders, chi-square on 23 degrees of freedom."""
    names = dids(4)
    drawn = Counter(graph.permutation(n.to_bytes(32, "big"), names) for n in range(9600))
    spread = sum((drawn[order] - 400) ** 2 for order in permutations(names)) / 400
    assert 7 < spread < 50


def test_draws_above_the_largest_multiple_are_rejected() -> None:
    whole = 2**32 // 3 * 3
    assert graph._below(3, iter([whole, 2**32 - 1, 7])) == 1
    assert graph._below(3, iter([whole - 1])) == 2


def test_another_beacon_or_set_gives_another_order() -> None:
    names = dids(40)
    first = graph.permutation(bytes(32), names)
    assert sorted(first) == list(names)
    assert graph.permutation(b"\x01" + bytes(31), names) != first
    assert graph.permutation(bytes(32), names[:-1]) != first[:-1]
