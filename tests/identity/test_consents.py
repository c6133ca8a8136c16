"""Consents: what members sign, and what a node asks for before it joins a small cohort."""

from typing import Any

import pytest
from tests.rounds.machine import Around

from covenue.identity.consents import all_consent, consent
from covenue.identity.keys import SigningKey
from covenue.identity.roster import make_roster
from covenue.rounds import participant
from covenue.testing import cohorts
from covenue.testing.cohorts import Cohort, Setting
from covenue_contracts.plan import CohortPolicy, Member, Order, PlanClose, PlanGo

KEYS = [SigningKey.from_seed(bytes([number]) * 32) for number in range(4)]


def policy(**more: Any) -> CohortPolicy:
    return CohortPolicy.model_validate(
        {"least": 3, "colluders": 0, "drops": 0, "min_changed": 2, "differencing": "override",
         "reason": "a test", **more}
    )  # fmt: skip


def order(**more: Any) -> Order:
    """An order of a simulated cohort with this policy, signed by all of its members."""
    members = [Member(did=k.did, name=f"p{n}", slot=n) for n, k in enumerate(KEYS[:3])]
    roster = make_roster(KEYS[3].did, members)
    given = Cohort(Around("open"), Setting()).order
    signed = {"policy": policy(), "roster": roster, "consents": consent(KEYS[:3], policy(), roster)}
    return given.model_copy(update={**signed, **more})


def test_the_consent_of_all_members_is_accepted() -> None:
    assert all_consent(order())


def test_a_consent_covers_every_field_of_the_policy() -> None:
    changes: dict[str, Any] = {"least": 2, "colluders": 1, "drops": 1, "min_changed": 0,
                               "differencing": "refuse", "reason": None}  # fmt: skip
    assert set(changes) == set(CohortPolicy.model_fields)
    accepted = [n for n, v in changes.items() if all_consent(order(policy=policy(**{n: v})))]
    assert accepted == []


def test_a_consent_is_for_one_roster() -> None:
    members = [Member(did=k.did, name=f"p{n}", slot=n) for n, k in enumerate(KEYS[:2])]
    smaller = make_roster(KEYS[3].did, members)
    assert not all_consent(order(roster=smaller))


def test_one_missing_consent_is_no_consent_of_all() -> None:
    whole = order().consents
    assert not all_consent(order(consents=whole[1:]))
    assert not all_consent(order(consents=(whole[0], whole[0], whole[1])))


def test_the_coordinators_own_signature_counts_for_nobody() -> None:
    given = order()
    forged = consent([*KEYS[:2], KEYS[3]], given.policy, given.roster)
    assert not all_consent(order(consents=forged))


def small(monkeypatch: pytest.MonkeyPatch, stage: str) -> Cohort:
    """A cohort of three whose members signed nothing."""
    monkeypatch.setattr(cohorts, "consent", lambda *_: ())
    at = Cohort(Around(stage), Setting(plans=2))
    at.calm()
    return at


def gone(at: Cohort) -> int:
    return sum(isinstance(body, PlanGo) for body in at.public)


def test_a_node_takes_no_part_in_a_small_cohort_that_nobody_agreed_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = small(monkeypatch, "voted")
    reasons = [body.reason for body in at.public if isinstance(body, PlanClose)]
    assert gone(at) == 0
    assert all("policy-unsigned" in reason for reason in reasons)


def test_where_everything_is_seen_anyway_no_consent_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert gone(small(monkeypatch, "open")) > 0


def test_without_that_guard_a_coordinator_lowers_the_cohort_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutant: no consent is asked for; an order for two of three goes through, masked or not."""
    monkeypatch.setattr(participant, "needs_consent", lambda *_, **__: False)
    assert gone(small(monkeypatch, "voted")) > 0
