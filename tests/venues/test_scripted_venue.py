"""The scripted venue does as it is told, and counts what was really executed."""

import pytest

from covenue.errors import StateStale
from covenue.hooks.venues import NEVER_SEEN, VenueAdapter
from covenue.testing.venues import Behaviour, LinkDown, ScriptedVenue, ladder, order_id
from covenue_contracts.local import Actions, Leg, OutcomeStatus


def buying(steps: int, limit: int = 200, units: int = 10**9) -> Actions:
    leg = Leg(
        side="buy",
        instrument="ladder",
        limit_ticks=str(limit),
        quantity_steps=str(steps),
        most_units=str(units),
    )
    return Actions(plan=order_id(0), unit="1", legs=(leg,), swaps=())


def test_it_is_a_venue_adapter() -> None:
    venue: VenueAdapter = ScriptedVenue()
    assert venue.pin(5).digest == venue.pin(6).digest
    assert venue.facts() == {"sent": 0, "executed": 0}
    venue.close()


def test_it_fills_from_its_ladder_up_to_limit_quantity_and_units() -> None:
    venue = ScriptedVenue(ladder([], [(103, 5), (101, 2)]))
    (done,) = venue.apply(order_id(1), buying(4), 10, 5)
    assert [(fill.price_ticks, fill.quantity_steps) for fill in done.fills] == [
        ("101", "2"),
        ("103", "2"),
    ]
    assert done.status == "done"
    (limited,) = venue.apply(order_id(2), buying(4, limit=102), 10, 5)
    assert limited.status == "partial"
    (capped,) = venue.apply(order_id(3), buying(4, units=1), 10, 5)
    assert capped.status == "refused"
    assert venue.executed_units == 6


SCRIPT: dict[Behaviour, tuple[OutcomeStatus, int, OutcomeStatus | None]] = {
    Behaviour.FILL: ("done", 1, "done"),
    Behaviour.PARTIAL: ("partial", 1, "partial"),
    Behaviour.REFUSE: ("refused", 0, "refused"),
    Behaviour.SILENT: ("unknown", 1, "done"),
    Behaviour.LOST: ("unknown", 0, None),
}


@pytest.mark.parametrize("behaviour", SCRIPT)
def test_it_behaves_as_scripted_and_reconcile_tells_the_truth(behaviour: Behaviour) -> None:
    status, executions, truth = SCRIPT[behaviour]
    venue = ScriptedVenue(script=[behaviour])
    (outcome,) = venue.apply(order_id(1), buying(5), 10, 5)
    assert outcome.status == status
    assert venue.executions[order_id(1)] == executions
    known = venue.reconcile(order_id(1))
    assert (None if known is NEVER_SEEN else known[0].status) == truth


@pytest.mark.parametrize("behaviour", [Behaviour.BREAK_BEFORE, Behaviour.BREAK_AFTER])
def test_a_broken_link_raises_and_the_truth_stays_at_the_venue(behaviour: Behaviour) -> None:
    venue = ScriptedVenue()
    venue.then(behaviour)
    with pytest.raises(LinkDown):
        venue.apply(order_id(1), buying(5), 10, 5)
    seen = venue.reconcile(order_id(1)) is not NEVER_SEEN
    assert seen == (behaviour is Behaviour.BREAK_AFTER)


def test_a_blind_re_send_shows_at_a_naive_venue_only() -> None:
    careful, naive = ScriptedVenue(), ScriptedVenue(idempotent=False)
    for venue in (careful, naive):
        venue.apply(order_id(1), buying(5), 10, 5)
        venue.apply(order_id(1), buying(5), 10, 6)
        assert venue.sent[order_id(1)] == 2
    assert careful.doubled == ()
    assert naive.doubled == (order_id(1),)


def test_a_late_order_executes_only_where_the_deadline_is_not_obeyed() -> None:
    strict, lax = ScriptedVenue(), ScriptedVenue(obeys_deadline=False)
    assert strict.apply(order_id(1), buying(5), 10, 11)[0].status == "refused"
    assert lax.apply(order_id(1), buying(5), 10, 11)[0].status == "done"
    assert strict.executions.total() == 0


def test_its_state_may_change_with_time_or_be_stale() -> None:
    venue = ScriptedVenue(lambda now: ladder([], [(100 + now, 1)]))
    assert venue.pin(1).digest != venue.pin(2).digest
    venue.stale = True
    with pytest.raises(StateStale):
        venue.pin(1)
