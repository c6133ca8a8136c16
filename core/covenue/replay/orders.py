"""The orders that a scenario gives, compared with those that a ledger was begun with.

Replay takes parties' settings and folders from the scenario that a run's notes name. Notes and
scenario lie outside the ledger, so they are compared with what it holds before they are believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from covenue.errors import ReplayDiffers
from covenue.identity.roster import make_roster
from covenue.ledger.audit_log import AuditLog
from covenue.registry.load import Registry
from covenue.replay.verdict import Check
from covenue.rounds.choosing import AUTO
from covenue.rounds.fold import first_difference
from covenue.rounds.identities import demo_identity
from covenue.rounds.parts import domain_of
from covenue.rounds.preflight import goal_of, members_of, order_of
from covenue.rounds.scenario import ScenarioFile
from covenue_contracts.plan import Order

ADVICE = (
    "give the scenario and the options of the run itself: see run.json beside the ledger, or "
    "--data with its scenario.toml"
)


def check_orders(log: AuditLog, scenario: ScenarioFile, registry: Registry) -> Check:
    """Compare every recorded order with the scenario's.

    Raises ReplayDiffers, naming the order's entry and the first field that differs, and
    CovenueErrors for a scenario whose domain or goals cannot be read here.
    """
    domain = domain_of(registry, scenario.domain)
    recorded = [(i, e.body) for i, e in enumerate(log.entries()) if isinstance(e.body, Order)]
    for number, (index, order) in enumerate(recorded):
        if number == len(scenario.orders):
            raise _differs(index, "/", f"order {number}", f"{number} orders in the scenario")
        entry = scenario.orders[number]
        scenario = _with_choice(scenario, order)
        goal = goal_of(domain, number, entry, str(scenario.path))
        _check_roster(index, order, scenario)
        _check_plugins(index, order, scenario)
        expected = order_of(scenario, entry, goal, order.roster, order.plugins)
        expected = expected.model_copy(update={"consents": order.consents})
        found = first_difference(order.model_dump(), expected.model_dump())
        if found is not None:
            raise _differs(index, f"/body{found[0]}", found[1], found[2])
    return ("scenario", "pass", f"{len(recorded)} of its {len(scenario.orders)} orders, as begun")


def _with_choice(scenario: ScenarioFile, order: Order) -> ScenarioFile:
    """The scenario with the solver that was taken, where its file leaves the choice open."""
    return replace(scenario, solver=order.solver) if scenario.solver == AUTO else scenario


def _check_roster(index: int, order: Order, scenario: ScenarioFile) -> None:
    """Parties by name and slot; in a demo, whose keys derive from its seed, by key as well."""
    if scenario.demo:
        who = {p.name: demo_identity(scenario.seed, "party", p.name) for p in scenario.parties}
        coordinator = demo_identity(scenario.seed, "coordinator", "coordinator")
        roster = make_roster(coordinator.key.did, members_of(scenario, who))
        _compare(index, "/body/roster", order.roster.model_dump(), roster.model_dump())
    recorded = sorted((m.name, m.slot) for m in order.roster.members)
    given = sorted((party.name, party.slot) for party in scenario.parties)
    _compare(index, "/body/roster/members", _rows(recorded), _rows(given))


def _rows(parties: Sequence[tuple[str, int]]) -> list[Mapping[str, Any]]:
    return [{"name": name, "slot": slot} for name, slot in parties]


def _check_plugins(index: int, order: Order, scenario: ScenarioFile) -> None:
    """Families and names; contents are compared with what is installed, by `verify`."""
    wanted = {("domains", scenario.domain), ("solvers", scenario.solver)}
    wanted |= {("ledgers", scenario.ledger), ("engines", scenario.engine)}
    wanted |= {("privacy", name) for name in scenario.privacy}
    wanted |= {("venues", party.venue) for party in scenario.parties}
    recorded = [(plugin.family, plugin.name) for plugin in order.plugins]
    for position, (family, name) in enumerate(recorded):
        if (family, name) not in wanted:
            others = sorted(other for of, other in wanted if of == family)
            place = f"/body/plugins/{position}/name"
            raise _differs(index, place, f"{family} {name}", f"{family} {', '.join(others)}")
    for family, name in sorted(wanted - set(recorded)):
        raise _differs(index, "/body/plugins", "no such plugin", f"{family} {name}")


def _compare(index: int, where: str, recorded: object, given: object) -> None:
    found = first_difference(recorded, given)
    if found is not None:
        raise _differs(index, f"{where}{found[0]}", found[1], found[2])


def _differs(index: int, pointer: str, recorded: object, given: object) -> ReplayDiffers:
    return ReplayDiffers(
        "the scenario is not the one that this ledger was made from",
        ADVICE,
        index,
        pointer,
        str(recorded),
        str(given),
    )
