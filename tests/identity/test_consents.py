"""Consents: what members sign, and what a node asks for before it takes part."""

from typing import Any

import pytest
from tests.rounds.machine import Around

from covenue.identity.consents import agreed, all_consent
from covenue.identity.keys import SigningKey
from covenue.identity.roster import make_roster
from covenue.rounds import participant
from covenue.testing import cohorts
from covenue.testing.cohorts import Cohort, Setting
from covenue_contracts.plan import CohortPolicy, Member, Order, PlanClose, PlanGo, PluginRef

KEYS = [SigningKey.from_seed(bytes([number]) * 32) for number in range(4)]


def policy(**more: Any) -> CohortPolicy:
    return CohortPolicy.model_validate(
        {"least": 3, "colluders": 0, "drops": 0, "min_changed": 2, "differencing": "override",
         "reason": "a test", **more}
    )  # fmt: skip


def unsigned() -> Order:
    """An order of a simulated cohort with three members."""
    members = [Member(did=k.did, name=f"p{n}", slot=n) for n, k in enumerate(KEYS[:3])]
    roster = make_roster(KEYS[3].did, members)
    given = Cohort(Around("open"), Setting()).order
    return given.model_copy(update={"policy": policy(), "roster": roster, "consents": ()})


def order(**more: Any) -> Order:
    """That order, signed by all of its members, then changed."""
    return agreed(unsigned(), KEYS[:3]).model_copy(update=more)


def test_the_consent_of_all_members_is_accepted() -> None:
    assert all_consent(order())


def test_a_consent_covers_every_field_of_the_policy() -> None:
    changes: dict[str, Any] = {"least": 2, "colluders": 1, "drops": 1, "min_changed": 0,
                               "differencing": "refuse", "reason": None}  # fmt: skip
    assert set(changes) == set(CohortPolicy.model_fields)
    accepted = [n for n, v in changes.items() if all_consent(order(policy=policy(**{n: v})))]
    assert accepted == []


def test_a_consent_covers_every_other_field_of_the_order() -> None:
    given = order()
    changes: dict[str, Any] = {
        "goal": given.goal.model_copy(update={"remaining": ("7",)}),
        "mode": "settle-only",
        "plans_max": given.plans_max + 1,
        "every": "1",
        "until": "1",
        "roster": make_roster(KEYS[3].did, given.roster.members[:2]),
        "policy": policy(least=2),
        "deadlines": given.deadlines.model_copy(update={"act": "9"}),
        "plugins": (PluginRef(family="x", plugin="x", name="x", version="1", content="0" * 64),),
        "solver": "other",
        "solver_options": {"x": 1},
        "privacy": ("other",),
        "rounds_max": given.rounds_max + 1,
        "retries": given.retries + 1,
        "seed": "1" * 64,
    }
    assert set(changes) | {"consents"} == set(Order.model_fields)
    assert [name for name, value in changes.items() if all_consent(order(**{name: value}))] == []


def test_one_missing_consent_is_no_consent_of_all() -> None:
    whole = order().consents
    assert not all_consent(order(consents=()))
    assert not all_consent(order(consents=whole[1:]))
    assert not all_consent(order(consents=(whole[0], whole[0], whole[1])))


def test_the_coordinators_own_signature_counts_for_nobody() -> None:
    assert not all_consent(agreed(unsigned(), [*KEYS[:2], KEYS[3]]))


def small(monkeypatch: pytest.MonkeyPatch, stage: str) -> Cohort:
    """A cohort of three whose members signed nothing."""
    monkeypatch.setattr(cohorts, "agreed", lambda order, _keys: order)
    at = Cohort(Around(stage), Setting(plans=2))
    at.calm()
    return at


def gone(at: Cohort) -> int:
    return sum(isinstance(body, PlanGo) for body in at.public)


def test_a_node_takes_no_part_in_an_order_that_nobody_agreed_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = small(monkeypatch, "voted")
    reasons = [body.reason for body in at.public if isinstance(body, PlanClose)]
    assert gone(at) == 0
    assert all("order-unsigned" in reason for reason in reasons)


def test_where_everything_is_seen_anyway_no_consent_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert gone(small(monkeypatch, "open")) > 0


def test_without_that_guard_a_coordinator_orders_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: nobody's consent is asked for; an order of the coordinator's own goes through."""
    monkeypatch.setattr(participant, "all_consent", lambda _: True)
    assert gone(small(monkeypatch, "voted")) > 0
