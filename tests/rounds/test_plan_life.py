"""The life of plans, as sentences: what opens, goes, voids, settles and ends them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.rounds.machine import Around

from covenue.errors import CapabilityMissing
from covenue.hooks.solvers import Solution
from covenue.numerics.words import words
from covenue.rounds import coordinator, participant
from covenue.rounds.opened import in_force
from covenue.testing.cohorts import SECOND, START, Cohort, Setting
from covenue.testing.domains import LadderCoupling
from covenue.testing.laws import broken_laws
from covenue.testing.trials import TrialSolver
from covenue.testing.venues import Behaviour
from covenue_contracts.contract import Contract
from covenue_contracts.ledger import Deadline, Submit
from covenue_contracts.plan import (
    Order,
    Override,
    PlanClose,
    PlanDelta,
    PlanGo,
    PlanJoined,
    PlanOpen,
    PlanSettled,
    PlanStands,
    PlanVoid,
    QueryAsked,
    RoundAbort,
)
from covenue_contracts.privacy import BudgetCharged, BudgetRefused


def cohort(stage: str = "open", **setting: Any) -> Cohort:
    return Cohort(Around(stage), Setting(**setting))


def until(at: Cohort, kind: type[Contract], count: int = 1) -> None:
    """Let ordinary life go on until the coordinator has entered `count` bodies of a kind."""
    for _ in range(200):
        if len(every(at, kind)) >= count:
            return
        at.beat()
    raise AssertionError(f"no {kind.__name__}")


def every(at: Cohort, kind: type[Any]) -> list[Any]:
    return [body for body in at.public if isinstance(body, kind)]


def reasons(at: Cohort) -> list[str]:
    return [body.reason for body in every(at, PlanClose)]


def ended(at: Cohort) -> Cohort:
    at.calm()
    assert broken_laws(at) == []
    return at


# ---- the whole life


@pytest.mark.parametrize("stage", ["open", "voted"])
def test_an_order_is_planned_executed_settled_and_done(stage: str) -> None:
    at = ended(cohort(stage))
    assert at.executed() == at.goal() == 6
    assert reasons(at) == ["settled"]
    assert every(at, PlanClose)[-1].order_done
    assert [int(body.executed[0]) for body in every(at, PlanSettled)] == [6]


def test_what_one_plan_leaves_the_next_one_does() -> None:
    at = ended(cohort(pace=2))
    assert [int(body.goal.remaining[0]) for body in every(at, PlanOpen)] == [6, 4, 2]
    assert at.executed() == 6


def test_a_partial_fill_leaves_a_smaller_remainder() -> None:
    at = cohort(still=True)
    at.venues[0].then(Behaviour.PARTIAL)
    ended(at)
    assert at.executed() == 6
    assert len(every(at, PlanOpen)) == 2


def test_a_standing_plan_ends_at_its_proposal_and_nobody_acts() -> None:
    at = ended(cohort(mode="standing", plans=3))
    assert reasons(at) == ["standing plan: nothing is acted on"] * 3
    assert at.executed() == 0
    assert every(at, PlanGo) == []
    assert {body.goal.remaining for body in every(at, PlanOpen)} == {("6",)}


def test_a_proposal_names_its_parent_and_the_change_from_it() -> None:
    at = ended(cohort(mode="standing", plans=2))
    first, second = every(at, PlanDelta)
    assert first.parent is None
    assert first.change == first.solution
    assert second.parent is not None
    moved = [int(a) - int(b) for a, b in zip(second.solution, first.solution, strict=True)]
    assert [int(part) for part in second.change] == moved


class _Unmoved(TrialSolver):
    """Ends in the first round of a warm start, and says that the plan before stands."""

    def tell(self, state: Any, release: Any) -> Any:
        if state.after is None:
            return super().tell(state, release)
        last = state.coupling.key_range[0], 0
        return Solution("certified", state.after, None, last, 7, 7, 0, state.after, stands=True)


def unmoved(monkeypatch: pytest.MonkeyPatch, **setting: Any) -> Cohort:
    monkeypatch.setattr("covenue.testing.cohorts.TrialSolver", _Unmoved)
    return ended(cohort(**setting))


def test_a_plan_that_stands_is_no_change_and_says_what_it_is_worth_today(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = unmoved(monkeypatch, mode="standing", plans=3)
    (delta,) = every(at, PlanDelta)
    first, second = every(at, PlanStands)
    parents = {body.parent for body in every(at, PlanOpen)[1:]}
    assert parents == {first.delta} == {second.delta}
    assert (first.value, first.bound, first.gap, first.rounds) == ("7", "7", "0", 1)
    assert first.transcript != delta.transcript
    assert reasons(at)[1:] == ["the plan before still stands"] * 2
    assert in_force(delta, first).solution == delta.solution
    assert in_force(delta, first).value == "7"


def test_what_was_acted_on_does_not_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    at = unmoved(monkeypatch, mode="executed", pace=2, plans=3)
    assert every(at, PlanStands) == []
    assert len(every(at, PlanDelta)) == len(every(at, PlanOpen)) > 1


def test_a_second_order_waits_for_the_end_of_the_first() -> None:
    at = cohort()
    clock = at.clock(at.setting.parties)
    assert not at.coordinator.order(at.order, clock)
    at.calm()
    assert at.coordinator.order(at.order, at.clock(at.setting.parties))
    at._publish()
    plans = [body.plan for body in every(at, PlanOpen)]
    assert len(set(plans)) == len(plans)


# ---- joining


def test_a_second_join_is_ignored() -> None:
    at = cohort()
    at.read(0)
    at.duplicate(0)
    at.arrive()
    size = at.coordinator.size()
    at.arrived.clear()
    at.arrive()
    assert at.coordinator.size() == size


def test_the_plan_begins_at_the_join_deadline_with_those_who_joined() -> None:
    at = cohort()
    at.hosts[2].online = False
    until(at, PlanJoined)
    assert {m.did for m in every(at, PlanJoined)[0].members} == {at.did(0), at.did(1)}
    at.hosts[2].online = True
    assert ended(at).executed() == 6


def test_a_join_after_the_rounds_have_begun_is_ignored() -> None:
    at = cohort()
    at.read(2)
    (late,) = (flight for flight in at.flights if flight.sender == 2)
    at.flights.clear()
    at.hosts[2].online = False
    until(at, QueryAsked)
    size = at.coordinator.size()
    at._submit(late)
    assert at.coordinator.size() == size


def test_too_small_a_cohort_voids_the_plan() -> None:
    at = cohort(least=3, plans=1)
    at.hosts[1].online = False
    until(at, PlanVoid)
    assert every(at, PlanVoid)[0].reason == "cohort of 2 is too small"


def test_a_party_without_a_usable_state_does_not_join() -> None:
    at = cohort(plans=1)
    at.venues[0].stale = True
    until(at, PlanJoined)
    assert at.did(0) not in {m.did for m in every(at, PlanJoined)[0].members}


def test_three_plans_without_effect_end_the_order() -> None:
    at = cohort(plans=9)
    for host in at.hosts[:3]:
        host.online = False
    for _ in range(40):
        at.beat()
    assert len(every(at, PlanOpen)) == coordinator.IDLE_PLANS
    assert at.coordinator.done()
    assert every(at, PlanClose)[-1].order_done


# ---- rounds


def test_a_message_of_a_past_round_is_ignored() -> None:
    at = cohort()
    until(at, QueryAsked)
    at.read(0)
    (late,) = at.flights
    until(at, QueryAsked, 2)
    size = at.coordinator.size()
    at._submit(late)
    assert at.coordinator.size() == size


@pytest.mark.parametrize("what", ["a plan unknown", "a stranger", "no order"])
def test_a_message_from_nowhere_is_ignored(what: str) -> None:
    at, other = cohort(), cohort(parties=3, quantity=5)
    other.read(0)
    (flight,) = other.flights
    if what == "a stranger":
        at, other = cohort(parties=2), cohort(parties=3)
        other.read(2)
        (flight,) = other.flights
    if what == "no order":
        at.calm()
    size = at.coordinator.size()
    clock = at.clock(at.setting.parties)
    at.coordinator.submit(other.did(flight.sender), flight.body, clock)
    assert at.coordinator.size() == size


def test_bytes_that_are_no_message_and_messages_in_anothers_name_are_dropped() -> None:
    at = cohort()
    at.read(0)
    (flight,) = at.flights
    size, clock = at.coordinator.size(), at.clock(at.setting.parties)
    at.coordinator.submit(at.did(0), b"no envelope", clock)
    at.coordinator.submit(at.did(1), flight.body, clock)
    assert at.coordinator.size() == size
    at.coordinator.submit(at.did(0), flight.body, clock)
    assert at.coordinator.size() == size + 1


def test_a_lost_party_aborts_the_round_and_after_the_retries_voids_the_plan() -> None:
    at = cohort(retries=1, plans=1)
    until(at, QueryAsked, 2)
    at.hosts[2].online = False
    until(at, PlanVoid)
    assert len(every(at, RoundAbort)) == 2
    asked = every(at, QueryAsked)
    assert [body.retry_of for body in asked] == [None, None, 2]
    assert asked[1].digest == asked[2].digest
    assert asked[1].round != asked[2].round
    assert every(at, PlanVoid)[0].reason == "cohort lost"


def test_a_retry_repeats_its_answer_and_is_charged_again() -> None:
    at = cohort(retries=1)
    until(at, QueryAsked, 2)
    at.hosts[2].online = False
    until(at, RoundAbort)
    at.hosts[2].online = True
    ended(at)
    assert at.executed() == 6
    charges = [e.body for e in at.log(0).entries() if isinstance(e.body, BudgetCharged)]
    assert len(charges) == len(every(at, QueryAsked))


def test_a_proven_abort_is_free() -> None:
    at = cohort("voted", retries=1)
    until(at, QueryAsked, 2)
    at.hosts[2].online = False
    until(at, RoundAbort)
    assert every(at, RoundAbort)[0].proof is not None
    at.hosts[2].online = True
    ended(at)
    accounts = at.node(0).state.accounts
    (account,) = accounts.values()
    assert account.sums == len(every(at, QueryAsked)) - 1


def test_no_solution_within_the_rounds_voids_the_plan() -> None:
    at = ended(cohort(rounds=1, plans=1))
    assert every(at, PlanVoid)[0].reason == "no solution within 1 rounds"


ENDS: Mapping[str, tuple[tuple[int, ...], str]] = {
    "infeasible": ((), "ended infeasible"),
    "infeasible, by name": ((0,), "ended infeasible: 'lots' cannot be met"),
    "infeasible, elsewhere": ((7,), "ended infeasible"),
}


class _Refusing(TrialSolver):
    """Refuses at one of its verbs."""

    def __init__(self, verb: str) -> None:
        self.verb = verb

    def start(self, *arguments: Any) -> Any:
        if self.verb == "start":
            raise CapabilityMissing("no", "no")
        return super().start(*arguments)

    def ask(self, *arguments: Any) -> Any:
        if self.verb == "ask":
            raise CapabilityMissing("no", "no")
        return super().ask(*arguments)

    def tell(self, *arguments: Any) -> Any:
        if self.verb == "tell":
            raise CapabilityMissing("no", "no")
        if self.verb in ENDS:
            return Solution("infeasible", None, None, ENDS[self.verb][0], 0, 0, 6, None)
        return super().tell(*arguments)


@pytest.mark.parametrize("verb", ["start", "ask", "tell", *ENDS])
def test_a_solver_that_refuses_voids_the_plan(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covenue.testing.cohorts.TrialSolver", lambda: _Refusing(verb))
    at = ended(cohort(plans=1))
    said = ENDS[verb][1] if verb in ENDS else "refused: CapabilityMissing"
    assert every(at, PlanVoid)[0].reason == f"the solver {said}"


def test_a_commitment_that_is_not_admitted_voids_the_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LadderCoupling, "admits", lambda self, total, goal: False)
    at = ended(cohort(plans=1))
    assert every(at, PlanVoid)[0].reason == "the summed commitment is not admitted"
    assert at.executed() == 0


# ---- acting and settling


def test_nobody_acts_after_the_time_on_the_go() -> None:
    at = cohort(plans=1)
    until(at, PlanDelta)
    for index in range(3):
        at.skew(index, 300)
    at.calm()
    assert at.executed() == 0
    assert every(at, PlanGo) != []
    assert broken_laws(at) == []


def test_a_party_that_never_reports_stays_committed_and_the_goal_is_kept() -> None:
    at = cohort(plans=4, still=True)
    until(at, PlanGo)
    at.read(0)
    at.hosts[0].online = False
    until(at, PlanClose)
    close = every(at, PlanClose)[0]
    assert close.reason == "settlement incomplete: a party is missing"
    assert int(close.committed[0]) == 6
    assert close.left == ("0",)
    until(at, PlanOpen, 2)
    assert every(at, PlanOpen)[1].mode == "settle-only"
    ended(at)
    assert at.executed() == 6


def test_an_unknown_outcome_is_reserved_until_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    at = cohort(still=True)
    for venue in at.venues:
        venue.then(Behaviour.SILENT)
    with monkeypatch.context() as patch:
        for venue in at.venues:
            patch.setattr(venue, "reconcile", venue_broken)
        until(at, PlanClose)
        assert int(every(at, PlanClose)[0].reserved[0]) > 0
    ended(at)
    last = every(at, PlanClose)[-1]
    assert (last.settled, last.reserved, last.committed) == (("6",), ("0",), ("0",))


def venue_broken(order: str) -> Any:
    raise CapabilityMissing("the link is down", "wait")


def test_an_order_that_never_reached_its_venue_is_sent_again_in_time_and_refused_later() -> None:
    at = cohort(plans=1, still=True)
    for venue in at.venues:
        venue.then(Behaviour.LOST)
    until(at, PlanGo)
    at.read(0)
    assert at.venues[0].executions == []
    at.read(0)
    assert len(at.venues[0].executions) == 1
    for index in range(3):
        at.skew(index, 300)
    ended(at)
    assert at.executed() == at.venues[0].executed()


# ---- the kill switch


def test_the_kill_switch_before_go_voids_the_plan() -> None:
    at = cohort()
    until(at, PlanDelta)
    at.kill()
    ended(at)
    assert reasons(at) == ["void: kill switch"]
    assert at.executed() == 0


def test_the_kill_switch_after_go_stops_those_who_have_not_acted_and_still_settles() -> None:
    at = cohort(still=True)
    until(at, PlanGo)
    at.read(0)
    done = at.executed()
    at.kill()
    ended(at)
    assert at.executed() == done
    assert [int(body.executed[0]) for body in every(at, PlanSettled)] == [done]
    assert every(at, PlanClose)[-1].order_done


def test_a_kill_switch_that_changes_nothing_is_no_entry() -> None:
    at = cohort()
    until(at, PlanGo)
    at.kill()
    size = at.coordinator.size()
    at.kill()
    clock = at.clock(at.setting.parties)
    assert not at.coordinator.kill("0" * 64, "unknown", clock)
    assert at.coordinator.size() == size
    at.calm()
    assert not at.coordinator.kill(every(at, PlanOpen)[-1].plan, "late", clock)


def test_the_kill_switch_between_two_plans_ends_the_order() -> None:
    at = cohort(pace=2)
    until(at, PlanClose)
    at.kill()
    assert at.coordinator.done()
    assert len(every(at, PlanOpen)) == 1


# ---- timers


def test_a_timer_fires_once_and_not_before_its_time() -> None:
    at = cohort()
    (timer,) = coordinator.due(at.coordinator.state)
    assert timer.phase == "join"
    size = at.coordinator.size()
    at.coordinator.fire(at.clock(at.setting.parties))
    assert at.coordinator.size() == size
    early = at.clock(at.setting.parties)
    assert not at.coordinator._take(timer, early)
    at.now += SECOND
    assert at.coordinator._take(timer, at.clock(at.setting.parties))
    assert not at.coordinator._take(timer, at.clock(at.setting.parties))


def test_a_timer_that_nobody_set_changes_nothing() -> None:
    at = cohort()
    forged = Deadline(plan="0" * 64, round=0, phase="act", due="0")
    assert not at.coordinator._take(forged, at.clock(at.setting.parties))


# ---- budgets


def test_a_budget_keeps_enough_for_commitment_and_settlement() -> None:
    at = ended(cohort(budget=9, plans=3, retries=0))
    refused = [e.body for e in at.log(0).entries() if isinstance(e.body, BudgetRefused)]
    for entry in (e.body for e in at.log(0).entries()):
        assert not isinstance(entry, BudgetCharged) or int(entry.charge.amount) == 1
    assert all(body.reason == "budget-exhausted" for body in refused)
    if every(at, PlanGo):
        assert every(at, PlanSettled)


@pytest.mark.parametrize("budget", range(14))
def test_no_budget_strands_a_plan_between_go_and_settlement(budget: int) -> None:
    at = ended(cohort(budget=budget, plans=2, retries=0))
    assert len(every(at, PlanGo)) == len(every(at, PlanSettled))


def test_a_plan_that_only_settles_needs_no_budget_for_answers() -> None:
    """Answers, commitment, two tries to settle, and one settlement a plan later."""
    probe = ended(cohort(still=True, retries=0))
    answers = len(every(probe, QueryAsked))
    at = cohort(still=True, retries=0, budget=answers + 1)
    until(at, PlanGo)
    at.read(0)
    at.hosts[0].online = False
    until(at, PlanClose)
    at.hosts[0].online = True
    ended(at)
    assert every(at, PlanOpen)[1].mode == "settle-only"
    assert at.executed() == 6
    assert int(every(at, PlanSettled)[-1].executed[0]) == 6


# ---- the differencing guard, as the coordinator keeps it


def changes(at: Cohort, moving: Sequence[int]) -> None:
    """From now on only the states of these parties change from plan to plan."""
    for index, venue in enumerate(at.venues):
        venue._still = index not in moving


def test_a_replan_in_which_too_few_states_changed_is_refused() -> None:
    at = cohort(mode="standing", plans=2, min_changed=2, differencing="refuse")
    changes(at, [0])
    ended(at)
    assert reasons(at) == [
        "standing plan: nothing is acted on",
        "void: differencing guard: refuse",
    ]


def moves_once(at: Cohort, patch: pytest.MonkeyPatch) -> None:
    """Party 0 has another state from the second plan on, and keeps it; the others never change."""
    changes(at, [0])
    real = at.venues[0].pin
    patch.setattr(at.venues[0], "pin", lambda as_of: real(min(as_of, START + 1)))


def test_a_refused_replan_asked_again_is_refused_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the last plan that released something, not the last that was tried."""
    at = cohort(mode="standing", plans=3, min_changed=2, differencing="refuse")
    moves_once(at, monkeypatch)
    ended(at)
    refused = "void: differencing guard: refuse"
    assert reasons(at) == ["standing plan: nothing is acted on", refused, refused]


def test_a_coordinator_without_the_guard_gets_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "differencing", lambda *_, **__: "pass")
    at = cohort(mode="standing", plans=3, min_changed=2, differencing="refuse", retries=0)
    moves_once(at, monkeypatch)
    ended(at)
    assert reasons(at)[1:] == ["void: cohort lost (differencing)"] * 2
    refused = {e.body.reason for e in at.log(0).entries() if isinstance(e.body, BudgetRefused)}
    assert refused == {"differencing"}


def test_with_both_guards_off_the_difference_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (coordinator, participant):
        monkeypatch.setattr(module, "differencing", lambda *_, **__: "pass")
    at = cohort(mode="standing", plans=2, min_changed=2, differencing="refuse")
    moves_once(at, monkeypatch)
    ended(at)
    assert reasons(at) == ["standing plan: nothing is acted on"] * 2


def test_an_unchanged_replan_says_nothing_new_and_passes() -> None:
    at = ended(cohort(mode="standing", plans=2, min_changed=2, differencing="refuse", still=True))
    assert reasons(at) == ["standing plan: nothing is acted on"] * 2


def test_an_override_is_written_down() -> None:
    at = cohort(mode="standing", plans=2, min_changed=2, differencing="override")
    changes(at, [0])
    ended(at)
    (override,) = every(at, Override)
    assert override.guard == "differencing"
    assert override.reason == "a test"
    assert reasons(at)[1] == "standing plan: nothing is acted on"


def test_where_replans_are_guarded_a_dropped_party_ends_the_plan() -> None:
    """Totals without it, minus totals with it, would be its answer."""
    at = cohort(mode="standing", plans=1, min_changed=2, differencing="refuse", retries=0)
    until(at, QueryAsked)
    assert every(at, QueryAsked)[0].cohort_fixed
    at.hosts[2].online = False
    until(at, PlanClose)
    assert reasons(at) == ["void: cohort lost"]


# ---- totals and commitments that must not go


def test_a_commitment_missing_from_the_cohort_voids_the_plan() -> None:
    at = cohort(plans=1)
    until(at, PlanDelta)
    parts = at._resolve(at.order)
    turn = coordinator._Turn(parts, at.coordinator.state, at.now)
    coordinator._decide(turn, words([6]), {at.did(0): bytes(32)})
    assert isinstance(turn.entries[0], PlanVoid)
    assert turn.entries[0].reason == "a commitment is missing"


def test_what_the_ledger_keeps_of_messages_is_their_digest() -> None:
    at = ended(cohort())
    for body in every(at, Submit):
        assert at.log(at.setting.parties).get_blob(body.blob)
    assert len(every(at, Order)) == 1
