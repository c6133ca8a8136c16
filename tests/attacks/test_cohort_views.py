"""Sums that a coordinator never writes down, and nodes that it shows different things.

Secure aggregation hides an answer in one sum. What is tried here is a second sum that differs from
it by one party: another set of parties, another time, another goal, other rules. Each attack is
tried with all of its guards off, where it learns exactly what it is after, and with each of them
on alone.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from math import isqrt
from typing import Any

import pytest
from tests.attacks import liar as liar_module
from tests.attacks.liar import (
    SYBILS,
    Learnt,
    Liar,
    Mutant,
    begun,
    closing,
    difference,
    hold_pools,
    reads_orders_in_plans,
    trusting,
)
from tests.domains import pool_markets as markets

from covenue.hooks.privacy import PlanContext, RoundContext
from covenue.hooks.venues import Snapshot
from covenue.identity.consents import agreed
from covenue.identity.roster import make_roster, roster_digest
from covenue.numerics.words import Words, integers, total, words
from covenue.privacy import guards
from covenue.privacy.guards import Past
from covenue.rounds import participant
from covenue.rounds.messages import plan_id, query_digest
from covenue.testing.trials import TrialDomain
from covenue_contracts.canonical import digest
from covenue_contracts.envelope import Join
from covenue_contracts.plan import Member, Order, PlanVoid, QueryAsked, RoundAbort
from covenue_contracts.shared import DualVariables, Query, SharedSignals
from covenue_domain_arbitrage import Arbitrage
from covenue_privacy_secagg import participant as masking
from covenue_privacy_secagg import phases
from covenue_privacy_secagg.stage import SecAgg

ALL = ("999",)
REFUSES: dict[str, Any] = {"min_changed": 3, "differencing": "refuse"}

# ---- the guards, switched off


def masks_any_large_set(at: pytest.MonkeyPatch) -> None:
    def may_be_masked(plan: PlanContext, ctx: RoundContext) -> bool:
        whole = ctx.cohort in (None, ctx.expected)
        return whole and plan.own in ctx.expected and masking.large_enough(plan, ctx.expected)

    at.setattr(masking, "may_be_masked", may_be_masked)


def counts_written_totals_only(at: pytest.MonkeyPatch) -> None:
    at.setattr(participant, "_voted_for_a_total", lambda state: False)


def forgets_what_it_voted_on(at: pytest.MonkeyPatch) -> None:
    original = participant._vote

    def vote(turn: Any, number: int, sign: Any) -> None:
        snapshot = turn.state.snapshot
        original(turn, number, sign)
        turn.set(snapshot=snapshot)

    at.setattr(participant, "_vote", vote)


def compares_with_the_last_plan(at: pytest.MonkeyPatch) -> None:
    def differencing(policy: Any, past: Past, now: Any, *, noised: bool) -> str:
        return guards.differencing(policy, Past(past.versions, past.plans[-1:]), now, noised=noised)

    at.setattr(participant, "differencing", differencing)


def counts_colluders(at: pytest.MonkeyPatch) -> None:
    def differencing(policy: Any, past: Past, now: Any, *, noised: bool) -> str:
        believed = policy.model_copy(update={"colluders": 0})
        return guards.differencing(believed, past, now, noised=noised)

    at.setattr(participant, "differencing", differencing)


def binds_no_opening(at: pytest.MonkeyPatch) -> None:
    for module in (participant, liar_module):
        at.setattr(module, "opened_digest", lambda opened: "0" * 64)


def takes_any_goal(at: pytest.MonkeyPatch) -> None:
    for domain in (Arbitrage, TrialDomain):
        at.setattr(domain, "continues", lambda domain, order, plan: True)


def asks_for_no_consent(at: pytest.MonkeyPatch) -> None:
    at.setattr(participant, "all_consent", lambda order: True)


def learnt(attack: Callable[[], Learnt], off: Sequence[Mutant]) -> Learnt:
    """What an attack learns where these guards are off."""
    with pytest.MonkeyPatch.context() as patch:
        for switch_off in off:
            switch_off(patch)
        return attack()


# ---- two sums in one plan (C1)


def less_one(how: str, **setting: Any) -> Learnt:
    """The sum over all of a plan less the sum over all but one, in the same plan."""
    liar = Liar(parties=6, least=5, **setting)
    joins = liar.joins()
    liar.begin(joins)
    victim = liar.dids[2]
    rest = tuple(did for did in liar.dids if did != victim)
    fixed = how != "a total that is never written down"
    asked = liar.ask(1, liar.dids, points=ALL, fixed=fixed)
    first = liar.summed(asked)
    if how == "a total over others is written down":
        liar.write(liar.total(1, rest))
    if how == "a total over others follows an abort":
        liar.write(an_abort(asked), liar.total(1, rest))
    if how == "the members are listed again":
        liar.write(liar.joined({did: joins[did] for did in rest}))
    second = liar.summed(liar.ask(2, rest, points=ALL, fixed=fixed))
    return difference(first, second), liar.true_words(victim, asked)


def an_abort(asked: QueryAsked) -> RoundAbort:
    present = asked.expected
    return RoundAbort(plan=asked.plan, round=asked.round, present=present, proof=None, reason="a")


def hidden() -> Learnt:
    return less_one("a total that is never written down")


def forged() -> Learnt:
    return less_one("a total over others is written down", **REFUSES)


def listed_again() -> Learnt:
    return less_one("the members are listed again", **REFUSES)


def unasked() -> Learnt:
    return less_one("a total over others follows an abort", **REFUSES)


# ---- two plans of nearly one input (C2)


def plan_over(liar: Liar, members: Sequence[str], *, first: bool = False) -> Any:
    """A plan that these join, its sum over all their offers, and whether it is written down."""
    if not first:
        liar.next_plan()
        liar.begin({did: body for did, body in liar.joins().items() if did in members})
    asked = liar.ask(1, sorted(members), points=ALL, fixed=True)
    return asked, liar.summed(asked)


def without_one_in_the_next_plan() -> Learnt:
    """No total of the first plan is written down; the second plan is the first less one party."""
    liar = begun(**REFUSES, still=True)
    victim = liar.dids[2]
    asked, first = plan_over(liar, liar.dids, first=True)
    truth = liar.true_words(victim, asked)
    liar.write(PlanVoid(plan=liar.plan.plan, reason="void"))
    _, second = plan_over(liar, [did for did in liar.dids if did != victim])
    return difference(first, second), truth


def written(liar: Liar, asked: Any, found: Any) -> None:
    liar.write(
        SharedSignals(
            plan=asked.plan,
            round=asked.round,
            query=asked.digest,
            words=base64.b64encode(found.tobytes()).decode("ascii"),
            digest=sha256(found.tobytes()).hexdigest(),
            cohort=asked.expected,
            exact=True,
        )
    )


def without_one_two_plans_later() -> Learnt:
    """Two leave; then they come back, and one leaves: no two neighbours differ by one."""
    liar = Liar(parties=8, least=6, min_changed=2, differencing="refuse", still=True)
    liar.begin(liar.joins())
    did = liar.dids
    asked, first = plan_over(liar, did, first=True)
    truth = liar.true_words(did[5], asked)
    written(liar, asked, first)
    between, second = plan_over(liar, did[:6])
    if second is not None:
        written(liar, between, second)
    _, third = plan_over(liar, (*did[:5], *did[6:]))
    return difference(first, third), truth


def a_colluder_says_that_it_changed() -> Learnt:
    """One party changes, and a colluder says that it did too: two, of whom one hides nothing.

    The colluder's books are still, and so is everybody's but the victim's: the change of the sum
    is the victim's own.
    """
    liar = begun(min_changed=2, differencing="refuse", colluders=1, still=True)
    victim, colluder = liar.dids[2], liar.dids[4]
    asked, first = plan_over(liar, liar.dids, first=True)
    before = liar.true_words(victim, asked)
    for did in (victim, colluder):
        venue = liar.cohort.venues[liar.index(did)]
        venue._still = False
    as_of = str(int(liar.plan.as_of) + 1)
    pinned = liar.cohort.venues[liar.index(colluder)].pin(int(liar.plan.as_of))
    liar.next_plan(as_of=as_of)
    liar.cohort.venues[liar.index(colluder)]._pinned[int(as_of)] = said_anew(pinned)
    liar.begin(liar.joins())
    asked = liar.ask(1, liar.dids, points=ALL, fixed=True)
    second = liar.summed(asked)
    after = liar.true_words(victim, asked)
    return difference(second, first), minus(after, before)


def said_anew(snapshot: Snapshot) -> Snapshot:
    """The same levels under another digest."""
    return replace(snapshot, digest="e" * 64)


def minus(left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(left, right, strict=True))


# ---- another order in mid-plan (C3)


def a_lower_policy_in_mid_plan() -> Learnt:
    """Six agreed that six make a cohort; an order entered after they joined says that one does."""
    liar = Liar(parties=6, least=6)
    joins, order = liar.joins(), liar.cohort.order
    policy = order.policy.model_copy(update={"least": 1})
    liar.write(order.model_copy(update={"policy": policy}))
    liar.policy = policy
    three = liar.dids[:3]
    liar.begin({did: joins[did] for did in three})
    asked = liar.ask(1, three, points=ALL)
    found = liar.summed(asked)
    truth = total([words(liar.true_words(did, asked)) for did in three])
    return (None if found is None else integers(found)), integers(truth)


def with_strangers(order: Order, victim: str) -> Order:
    """The order with the liar's own parties beside one victim."""
    members = [Member(did=victim, name="victim", slot=0)]
    members += [Member(did=k.did, name=f"s{n}", slot=n + 1) for n, k in enumerate(SYBILS)]
    return order.model_copy(update={"roster": make_roster(order.roster.coordinator, members)})


def among_strangers(liar: Liar, victim: str, join: bytes) -> Learnt:
    """The sum over a victim and five parties that answer zero."""
    liar.begin({victim: join, **{key.did: liar.sybil_join(key) for key in SYBILS}})
    expected = sorted((victim, *(key.did for key in SYBILS)))
    asked = liar.ask(1, expected, points=ALL)
    found = liar.summed(asked)
    return (None if found is None else integers(found)), liar.true_words(victim, asked)


def strangers_in_mid_plan() -> Learnt:
    liar = Liar(parties=6, least=6)
    joins, victim = liar.joins(), liar.dids[0]
    liar.write(with_strangers(liar.cohort.order, victim))
    return among_strangers(liar, victim, joins[victim])


# ---- an order of the coordinator's own (C5)


def under_an_order_of_strangers() -> Liar:
    """A second order, for one victim and the liar's own parties; those alone signed it."""
    liar = Liar(parties=6, least=5)
    mine = with_strangers(liar.cohort.order, liar.dids[0])
    mine = agreed(mine.model_copy(update={"consents": ()}), SYBILS)
    first, name = liar.plan, digest(mine, "covenue/order/1")
    opened = first.model_copy(
        update={
            "order": name,
            "plan": plan_id(name, 1, 0),
            "number": 0,
            "roster": roster_digest(mine.roster),
        }
    )
    liar.write(closing(first), mine, opened)
    return liar


def of_strangers() -> Learnt:
    liar = under_an_order_of_strangers()
    victim = liar.dids[0]
    (message,) = liar.show(victim)
    join = liar.sent(victim)[message.blob]
    if isinstance(message.payload, Join) and not message.payload.accepts:
        return None, (0,)
    return among_strangers(liar, victim, join)


# ---- two views of one plan (C4)


def two_views(left: dict[str, Any], right: dict[str, Any], **setting: Any) -> tuple[Liar, Liar]:
    """One plan id in two logs, opened differently; one victim reads the first."""
    liar, other = (Liar(**{"parties": 6, "least": 5, **setting}) for _ in range(2))
    liar.next_plan(**left)
    other.next_plan(**right)
    victim = liar.dids[0]
    liar.views = {did: other for did in liar.dids if did != victim}
    return liar, other


def joined_in_their_views(liar: Liar) -> bool:
    """Whether all accept what they are shown; then they are entered as the plan's members."""
    joins = {}
    for did in liar.dids:
        log = liar.views.get(did, liar)
        (message,) = [m for m in log.show(did) if m.envelope.plan == liar.plan.plan]
        assert isinstance(message.payload, Join)
        if not message.payload.accepts:
            return False
        joins[did] = log.sent(did)[message.blob]
    liar.begin(joins)
    return True


def another_goal_for_one() -> Learnt:
    """Everybody else is shown a goal of which nothing is left: they might answer nothing."""
    order = Liar(parties=2).cohort.order.goal
    liar, _ = two_views({}, {"goal": order.model_copy(update={"remaining": ("0",)})})
    assert joined_in_their_views(liar)
    asked = liar.ask(1, liar.dids, points=ALL)
    found = liar.summed(asked)
    truth = total([words(liar.true_words(did, asked)) for did in liar.dids])
    return (None if found is None else integers(found)), integers(truth)


def another_time_for_one() -> Learnt:
    """All are summed once; then once more, where everybody else is shown the old time again.

    A new total would hide the victim's change among everybody's: this one is that change.
    """
    start = Liar(parties=2).plan.as_of
    new = str(int(start) + 1)
    liar, other = two_views({"as_of": new}, {"as_of": start})
    earlier = Liar(parties=6, least=5)
    earlier.begin(earlier.joins())
    asked = earlier.ask(1, earlier.dids, points=ALL)
    first = earlier.summed(asked)
    before = earlier.true_words(liar.dids[0], asked)
    assert joined_in_their_views(liar)
    asked = liar.ask(1, liar.dids, points=ALL)
    second = liar.summed(asked)
    after = liar.true_words(liar.dids[0], asked)
    assert other.plan.plan == liar.plan.plan
    return difference(second, first), minus(after, before)


def a_finer_scale_for_one() -> Learnt:
    """The victim answers at 2^-44 and everybody else at 2^-8: the sum is the victim's own words.

    Compared to 2^-18, since everybody else's words, of another scale, are noise below it.
    """
    with pytest.MonkeyPatch.context() as at:
        order = markets.goal(("a", "b"), scale_bits=8, value_bits=8, slope_bits=8)
        hold_pools(at, order)
        finer = order.model_copy(update={"terms": {**order.terms, "scale_bits": 44}})
        liar, _ = two_views({"goal": finer}, {})
        if not joined_in_their_views(liar):
            return None, (0,)
        asked = at_multipliers(liar, (5 * 2**38, 2**41))
        found = liar.summed(asked)
        truth = liar.true_words(liar.dids[0], asked)
    coarse = None if found is None else tuple(word >> 26 for word in integers(found)[1:])
    return coarse, tuple(word >> 26 for word in truth[1:])


def at_multipliers(liar: Liar, values: Sequence[int]) -> QueryAsked:
    """Asks everybody for net amounts at multipliers."""
    asked = liar.ask(1, liar.dids, width=1 + len(values))
    priced = DualVariables(scale_bits=40, values=tuple(map(str, values)))
    query = Query(kind="respond", after=None, multipliers=priced, points=())
    named = {"query": query, "digest": query_digest(asked.plan, query)}
    return asked.model_copy(update=named)


ATTACKS: dict[str, tuple[Callable[[], Learnt], tuple[Mutant, ...]]] = {
    "a total that is never written down": (hidden, (masks_any_large_set,)),
    "a total over others that is written down": (forged, (masks_any_large_set,)),
    "a second list of members": (
        listed_again,
        (masks_any_large_set, trusting("_read_joined")),
    ),
    "a total that nobody asked for": (
        unasked,
        (masks_any_large_set, trusting("_read_total")),
    ),
    "the next plan less one party": (
        without_one_in_the_next_plan,
        (counts_written_totals_only,),
    ),
    "the next plan less one party, of nodes that forget their votes": (
        without_one_in_the_next_plan,
        (forgets_what_it_voted_on,),
    ),
    "a plan less one party, two plans later": (
        without_one_two_plans_later,
        (compares_with_the_last_plan,),
    ),
    "a colluder that says that it changed": (a_colluder_says_that_it_changed, (counts_colluders,)),
    "a lower policy in mid-plan": (a_lower_policy_in_mid_plan, (reads_orders_in_plans,)),
    "strangers in mid-plan": (strangers_in_mid_plan, (reads_orders_in_plans,)),
    "an order of strangers": (of_strangers, (asks_for_no_consent,)),
    "another goal for one party": (another_goal_for_one, (binds_no_opening,)),
    "a finer scale for one party": (a_finer_scale_for_one, (binds_no_opening, takes_any_goal)),
    "another time for one party": (another_time_for_one, (binds_no_opening,)),
}
CASES = [(name, kept) for name, (_, mutants) in ATTACKS.items() for kept in range(len(mutants))]


@pytest.mark.parametrize(("name", "kept"), CASES)
def test_one_guard_alone_ends_the_attack(name: str, kept: int) -> None:
    attack, mutants = ATTACKS[name]
    found, _ = learnt(attack, [off for at, off in enumerate(mutants) if at != kept])
    assert found is None


@pytest.mark.parametrize("name", ATTACKS)
def test_without_its_guards_the_attack_learns_all_that_it_is_after(name: str) -> None:
    attack, mutants = ATTACKS[name]
    found, truth = learnt(attack, mutants)
    assert any(truth)
    assert found == truth


# ---- one keystream for two inputs


def one_round_of_a_log_set_back(number: int) -> tuple[Words, tuple[int, ...]]:
    """The victim's masked words of the second plan's first round, and its true ones.

    number: which of two copies of every party's log; each is shown another time for the plan.
    """
    liar = begun()
    liar.next_plan(as_of=str(int(liar.plan.as_of) + number))
    liar.begin(liar.joins())
    asked, victim = liar.ask(1, liar.dids, points=ALL), liar.dids[0]
    assert liar.summed(asked) is not None
    (upload,) = liar.heard(victim, phases.UPLOAD)
    seen = SecAgg().seen(phases.UPLOAD, upload, asked.width)
    assert seen is not None
    return seen, liar.true_words(victim, asked)


def masked_twice() -> Learnt:
    """What two uploads of one round differ by, and what their inputs differ by."""
    (first, before), (second, after) = map(one_round_of_a_log_set_back, (1, 2))
    return difference(second, first), minus(after, before)


def test_another_time_of_a_plan_is_masked_by_other_bytes() -> None:
    found, truth = masked_twice()
    assert found is not None
    assert found != truth


def test_unless_the_opening_is_bound_a_log_set_back_gives_the_exact_change() -> None:
    found, truth = learnt(masked_twice, [binds_no_opening])
    assert any(truth)
    assert found == truth


# ---- what a join may tell


def largest_reference(liar: Liar, did: str) -> Fraction:
    """By bisection: up to which reference a party accepts; at no charge, since nothing is asked."""
    low, high = Fraction(2**16), Fraction(2**60)
    order = liar.cohort.order.goal
    while high / low > Fraction(101, 100):
        middle = isqrt(int(low * high))
        terms = {**order.terms, "references": (str(middle), "2199023255552")}
        opened = liar.next_plan(goal=order.model_copy(update={"terms": terms}))
        (message,) = [m for m in liar.show(did) if m.envelope.plan == opened.plan]
        assert isinstance(message.payload, Join)
        if message.payload.accepts:
            low = Fraction(middle)
        else:
            high = Fraction(middle)
    return low / 2**40


def told_by_joins() -> tuple[float, float]:
    """How much larger one party's pool seems than another's, and how much larger it is."""
    with pytest.MonkeyPatch.context() as at:
        hold_pools(at, markets.goal(("a", "b"), value_bits=44))
        liar = Liar(parties=4, least=3)
        small, large = (liar.cohort.did(number) for number in (0, 3))
        found = largest_reference(liar, small) / largest_reference(liar, large)
    return float(found), 4.0


def test_joins_under_other_goals_tell_nothing_of_reserves() -> None:
    found, _ = told_by_joins()
    assert found == 1.0


def test_a_node_that_takes_any_goal_tells_the_size_of_its_pool() -> None:
    with pytest.MonkeyPatch.context() as at:
        takes_any_goal(at)
        found, truth = told_by_joins()
    assert abs(found / truth - 1) < 0.1
