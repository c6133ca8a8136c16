"""What one plan would have been with another setting: no ledger, no messages, nothing written.

Whoever asks holds every party's folder, as in a backtest; the rounds are the same as in a cohort,
but summed in one place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from covenue.errors import BadInput
from covenue.hooks.domains import OpenedParty, OpenedPlan
from covenue.hooks.solvers import Solution
from covenue.registry.load import Registry
from covenue.registry.names import nearest
from covenue.rounds.messages import query_digest
from covenue.rounds.preflight import (
    NO_PLAN,
    Prepared,
    first_problems,
    prepare,
    previewed_members,
)
from covenue.rounds.scenario import OrderEntry, PartyEntry, ScenarioFile
from covenue.rounds.solving import solve
from covenue_contracts.plan import Goal, PlanDelta

UNIT = "_bps"


@dataclass(frozen=True)
class Setting:
    """One party's private setting and the value to try: `fee.spot=1.0`."""

    text: str
    key: str
    party: str
    value: str


def parse_setting(text: str) -> Setting:
    """`KEY.PARTY=VALUE`. Raises BadInput."""
    place, equals, value = text.partition("=")
    key, dot, party = place.partition(".")
    if not (equals and dot and key and party and value):
        raise BadInput(
            "a what-if names a setting, a party and a value",
            "write it like --what-if fee.spot=1.0",
            field="--what-if",
            value=text,
        )
    return Setting(text, key, party, value)


def with_settings(scenario: ScenarioFile, settings: Sequence[Setting]) -> ScenarioFile:
    """The scenario with other private settings; the domain checks their values.

    `fee` stands for `fee_bps` where the party has no setting `fee`. Raises BadInput on an unknown
    party or a setting given twice.
    """
    parties = {entry.name: entry for entry in scenario.parties}
    seen = set()
    for setting in settings:
        entry = parties.get(setting.party)
        if entry is None:
            raise _no_party(setting, sorted(parties))
        key = setting.key if setting.key in entry.config else setting.key.removesuffix(UNIT) + UNIT
        if (setting.party, key) in seen:
            raise BadInput(
                f"{key} of party '{setting.party}' is given twice",
                "give each setting once",
                field="--what-if",
                value=setting.text,
            )
        seen.add((setting.party, key))
        parties[setting.party] = _with(entry, key, setting.value)
    return replace(scenario, parties=tuple(parties[entry.name] for entry in scenario.parties))


def _with(entry: PartyEntry, key: str, value: str) -> PartyEntry:
    return replace(entry, config={**entry.config, key: value})


def _no_party(setting: Setting, names: Sequence[str]) -> BadInput:
    close = nearest(setting.party, names)
    return BadInput(
        f"the scenario has no party '{setting.party}'",
        f"did you mean '{close}'?" if close else f"parties: {', '.join(names)}",
        field="--what-if",
        value=setting.text,
    )


def what_if(
    scenario: ScenarioFile, settings: Sequence[Setting], registry: Registry
) -> dict[str, Any]:
    """The first plan of every order as it is and as it would be, as the domain's own figures.

    Raises what `prepare` raises, for the scenario as it stands and as it would be.
    """
    other = with_settings(scenario, settings)
    return {
        "what_if": {setting.text.partition("=")[0]: setting.value for setting in settings},
        "before": _figures(prepare(scenario, registry)),
        "after": _figures(prepare(other, registry)),
    }


def _figures(prepared: Prepared) -> list[Any]:
    """The domain's figures of each order's first plan."""
    members = {member.name: member for member in previewed_members(prepared.scenario)}
    opened = [
        OpenedParty(members[party.entry.name], party.entry.config, party.venue)
        for party in prepared.parties
    ]
    orders = zip(prepared.scenario.orders, prepared.goals, strict=True)
    plans = (_planned(prepared, entry, goal) for entry, goal in orders)
    return [dict(prepared.domain.plan_figures(plan, opened)) for plan in plans]


def _planned(prepared: Prepared, entry: OrderEntry, goal: Goal) -> OpenedPlan:
    """The first plan of an order, solved in one place. Raises BadInput without a solution."""
    members = previewed_members(prepared.scenario)
    cohort = tuple(member.did for member in members)
    problems = first_problems(prepared.scenario, prepared.domain, prepared.parties, entry, goal)
    ended = solve(
        prepared.solver,
        prepared.domain.coupling(goal, members),
        tuple(problems.values()),
        cohort=cohort,
        digest_of=lambda query: query_digest(NO_PLAN, query),
        rounds_max=entry.rounds_max,
    )
    rounds = len(ended.queries)
    if ended.solution is None:
        raise BadInput(
            f"no solution within {rounds} rounds",
            "raise rounds_max of the order, or choose another solver",
            file=str(prepared.scenario.path),
            field="order.rounds_max",
            value=str(entry.rounds_max),
        )
    return OpenedPlan(
        number=0,
        mode="standing",
        as_of=entry.start,
        goal=goal,
        delta=_delta(ended.solution, rounds, cohort),
        rounds=rounds,
        closed="what if",
    )


def _delta(solution: Solution, rounds: int, cohort: tuple[str, ...]) -> PlanDelta:
    """The proposal, with no plan, no parent and no transcript behind it."""
    return PlanDelta(
        plan=NO_PLAN,
        parent=None,
        after=solution.after,
        status=solution.status,
        multipliers=solution.multipliers,
        solution=tuple(map(str, solution.points)),
        change=tuple(map(str, solution.points)),
        value=str(solution.value),
        bound=str(solution.bound),
        gap=str(abs(solution.bound - solution.value)),
        shortfall=str(solution.shortfall),
        rounds=rounds,
        transcript=NO_PLAN,
        cohort=cohort,
    )


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Figures that are not the same before and after, in order of the figures."""
    return [(key, before.get(key), after[key]) for key in after if before.get(key) != after[key]]
