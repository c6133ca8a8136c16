"""What one plan would have been with another setting: no ledger, no messages, nothing written.

Whoever asks holds every party's folder, as in a backtest; the rounds are the same as in a cohort,
but summed in one place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from covenue.errors import BadInput
from covenue.hooks.domains import EMPTY, LocalProblem, Memory, OpenedParty, OpenedPlan
from covenue.hooks.solvers import Coupling, Solution, Solver, Total
from covenue.numerics.words import check_headroom, total
from covenue.registry.load import Registry
from covenue.registry.names import nearest
from covenue.rounds.messages import query_digest
from covenue.rounds.preflight import NO_PLAN, Prepared, members_of, prepare, preview
from covenue.rounds.scenario import OrderEntry, PartyEntry, ScenarioFile
from covenue_contracts.plan import Goal, Member, PlanDelta

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
    """One row of standing figures an order."""
    names = ["coordinator", *(party.entry.name for party in prepared.parties)]
    members = members_of(
        prepared.scenario, {name: preview(prepared.scenario, name) for name in names}
    )
    by_name = {member.name: member for member in members}
    opened = [
        OpenedParty(by_name[party.entry.name], party.entry.config, party.venue)
        for party in prepared.parties
    ]
    rows = []
    for entry, goal in zip(prepared.scenario.orders, prepared.goals, strict=True):
        plan = _planned(prepared, entry, goal, members, opened)
        figures = prepared.domain.opened_figures([plan], opened)["standing"]
        found = figures["plans"]
        rows.append({"venues": list(figures.get("venues", names[1:])), **(found[0] if found else
                     {"status": plan.delta.status if plan.delta else "none"})})  # fmt: skip
    return rows


def _planned(
    prepared: Prepared,
    entry: OrderEntry,
    goal: Goal,
    members: Sequence[Member],
    opened: Sequence[OpenedParty],
) -> OpenedPlan:
    coupling = prepared.domain.coupling(goal, members)
    check_headroom(int(coupling.space.bound), len(members))
    problems = [
        prepared.domain.problem(
            goal, members, party.member, party.venue.pin(entry.start), party.config
        )
        for party in opened
    ]
    cohort = tuple(member.did for member in members)
    solution, rounds = solved(prepared.solver, coupling, problems, cohort, entry.rounds_max)
    return OpenedPlan(
        number=0,
        mode="standing",
        as_of=entry.start,
        goal=goal,
        delta=_delta(solution, rounds, cohort),
        rounds=rounds,
        closed="what if",
    )


def solved(
    solver: Solver,
    coupling: Coupling,
    problems: Sequence[LocalProblem],
    cohort: tuple[str, ...],
    rounds_max: int,
) -> tuple[Solution, int]:
    """Ask, answer, sum and tell until the end, in one place; the solution and its rounds.

    Raises BadInput where no solution is found within `rounds_max`.
    """
    memories: dict[str | None, list[Memory]] = {None: [EMPTY] * len(problems)}
    state = solver.start(coupling, None)
    for number in range(1, rounds_max + 1):
        query = solver.ask(state, lambda asked: query_digest(NO_PLAN, asked))
        named = query_digest(NO_PLAN, query)
        before = memories.get(query.after, memories[None])
        answers = [p.answer(query, m) for p, m in zip(problems, before, strict=True)]
        memories[named] = [memory for _, memory in answers]
        summed = total([words for words, _ in answers])
        state = solver.tell(state, Total(summed, cohort, exact=True, query=named))
        if isinstance(state, Solution):
            return state, number
    raise BadInput(
        f"no solution within {rounds_max} rounds",
        "raise rounds_max of the order, or choose another solver",
        field="order.rounds_max",
        value=str(rounds_max),
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
