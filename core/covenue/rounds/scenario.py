"""Reads a SCENARIO.toml into frozen values; everything is checked before anything runs.

Amounts and rules of the domain stay flat tables here: only the domain can read them. Parties are
sorted by name, so that their order in the file cannot matter. `path` and `folder` are places on
this machine; they reach no ledger.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

from covenue.errors import BadInput, BudgetExhausted
from covenue.rounds.scenario_options import (
    ScenarioOption,
    apply_options,
    check_places,
    read_options,
)
from covenue.rounds.scenario_table import Table, Value, read_toml
from covenue_contracts.contract import Scalar
from covenue_contracts.plan import CohortPolicy, Deadlines, Differencing

NS_PER_MS = 1_000_000
NS_MAX = 2**63 - 1
MS_MAX = NS_MAX // NS_PER_MS
UNITS_MAX = 10**38
ROOT = (
    "scenario", "domain", "solver", "privacy", "ledger", "engine", "cohort", "deadlines", "order",
    "party", "options",
)  # fmt: skip
DEADLINES_MS = {
    "join": 5_000, "upload": 5_000, "vote": 5_000, "answer": 5_000, "act": 1_000, "skew": 250,
}  # fmt: skip


@dataclass(frozen=True)
class OrderEntry:
    """One order of a scenario; times in nanoseconds.

    goal: the scenario's goal table with this order's overrides. until: when the order ends
    unfilled; by default one interval after its last plan.
    """

    mode: Literal["standing", "executed"]
    start: int
    every: int
    plans: int
    until: int
    rounds_max: int
    retries: int
    goal: Mapping[str, Value]


@dataclass(frozen=True)
class PartyEntry:
    """One party: its venue, its own folder, its private configuration and its allowance.

    exact_max: noiseless sums; rho_max: zCDP in units of 2^-40.
    """

    name: str
    slot: int
    venue: str
    folder: Path = field(repr=False)
    venue_config: Mapping[str, Scalar] = field(repr=False)
    config: Mapping[str, Scalar] = field(repr=False)
    exact_max: int
    rho_max: int


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario, checked as far as the kernel can; names of plugins are not yet looked up.

    chosen: the values given for its own options; with them the file reads the same again.
    """

    path: Path = field(repr=False)
    name: str
    summary: str
    demo: bool
    seed: str
    domain: str
    goal: Mapping[str, Value]
    solver: str
    solver_options: Mapping[str, Value]
    privacy: tuple[str, ...]
    ledger: str
    engine: str
    engine_options: Mapping[str, Value]
    policy: CohortPolicy
    deadlines: Deadlines
    orders: tuple[OrderEntry, ...]
    parties: tuple[PartyEntry, ...]
    options: tuple[ScenarioOption, ...]
    chosen: Mapping[str, str]


def read_scenario(
    path: Path, given: Mapping[str, str] | None = None, *, data: Path | None = None
) -> ScenarioFile:
    """Parse a scenario; `given` holds values of its own options, by name.

    data: where the parties' folders lie by their names, instead of where the file says; not all
    of them need be there.
    Raises BadInput, and BudgetExhausted for a party that may not answer at all; both name file,
    field, value and what to do.
    """
    document = copy.deepcopy(read_toml(path))
    file = str(path)
    options = read_options(Table(file, "", document, ROOT))
    chosen = apply_options(file, document, options, given or {})
    scenario = _scenario(path, Table(file, "", document, ROOT), options, chosen, data)
    check_places(file, document, options)
    return scenario


def scenario_options(path: Path) -> tuple[ScenarioOption, ...]:
    """The options that a scenario declares. Raises BadInput."""
    return read_options(Table(str(path), "", read_toml(path), ROOT))


def _scenario(
    path: Path,
    root: Table,
    options: tuple[ScenarioOption, ...],
    chosen: Mapping[str, str],
    data: Path | None,
) -> ScenarioFile:
    head = root.table("scenario", ("name", "summary", "demo", "seed"))
    domain = root.table("domain", ("name", "goal"))
    solver = root.table("solver", ("name", "options"))
    engine = root.table("engine", ("name", "options"))
    goal = domain.document("goal")
    parties = _parties(path, root, data)
    return ScenarioFile(
        path=path,
        name=head.name("name"),
        summary=head.text("summary", ""),
        demo=head.flag("demo", default=False),
        seed=_seed(head),
        domain=domain.name("name"),
        goal=MappingProxyType(goal),
        solver=solver.name("name"),
        solver_options=MappingProxyType(solver.document("options")),
        privacy=root.table("privacy", ("mechanism",)).names("mechanism"),
        ledger=root.table("ledger", ("backend",)).name("backend"),
        engine=engine.name("name"),
        engine_options=MappingProxyType(engine.document("options")),
        policy=_policy(root, len(parties)),
        deadlines=_deadlines(root),
        orders=_orders(root, goal),
        parties=parties,
        options=options,
        chosen=MappingProxyType(dict(chosen)),
    )


def _seed(head: Table) -> str:
    """A text or a whole number; both derive the same seed when they read the same."""
    if isinstance(head.values.get("seed"), int):
        return str(head.whole("seed"))
    seed = head.text("seed")
    if not seed and head.flag("demo", default=False):
        raise head.bad(
            "seed",
            "a demo's identities derive from its seed, and the seed is empty",
            "give the seed some text of its own",
            '""',
        )
    return seed


def _policy(root: Table, parties: int) -> CohortPolicy:
    keys = ("least", "colluders", "drops", "min_changed", "differencing", "reason")
    table = root.table("cohort", keys)
    known = ("charge", "hold", "refuse", "override")
    policy = CohortPolicy(
        least=table.whole("least", least=1),
        colluders=table.whole("colluders", 0, most=parties - 1),
        drops=table.whole("drops", 0),
        min_changed=table.whole("min_changed"),
        differencing=cast("Differencing", table.choice("differencing", known)),
        reason=table.text("reason") if "reason" in table.values else None,
    )
    if policy.least > parties:
        raise table.bad(
            "least",
            f"no cohort can be had: {policy.least} needed, {parties} parties in the file",
            f"set least to {parties} or less, or add parties",
            policy.least,
        )
    if policy.drops > parties - policy.least:
        raise table.bad(
            "drops",
            f"of {parties} parties {policy.drops} may drop, and {policy.least} are needed",
            f"set drops to {parties - policy.least} or less, or lower least",
            policy.drops,
        )
    if policy.min_changed > parties + 1:
        raise table.bad(
            "min_changed",
            f"no more than {parties} parties can change",
            f"set min_changed to {parties + 1} for every re-plan, or to less",
            policy.min_changed,
        )
    if policy.differencing == "override" and not policy.reason:
        raise table.bad(
            "reason",
            "a guard is overridden without a reason",
            'add reason = "…" to [cohort]; it is written into the ledger',
        )
    return policy


def _deadlines(root: Table) -> Deadlines:
    table = root.table("deadlines", tuple(DEADLINES_MS))
    milliseconds = {
        key: table.whole(key, default, least=0 if key == "skew" else 1, most=MS_MAX)
        for key, default in DEADLINES_MS.items()
    }
    return Deadlines(**{key: str(ms * NS_PER_MS) for key, ms in milliseconds.items()})


def _orders(root: Table, goal: Mapping[str, Value]) -> tuple[OrderEntry, ...]:
    keys = ("mode", "start", "every_ms", "plans", "until", "rounds_max", "retries", "goal")
    return tuple(_order(table, goal) for table in root.tables("order", keys))


def _order(table: Table, goal: Mapping[str, Value]) -> OrderEntry:
    mode = table.choice("mode", ("standing", "executed"))
    start = table.whole("start", most=NS_MAX)
    every = table.whole("every_ms", least=1, most=MS_MAX) * NS_PER_MS
    plans = table.whole("plans", least=1)
    until = table.whole("until", start + every * plans, most=NS_MAX)
    if until <= start:
        raise table.bad("until", "the order ends before it starts", "set until after start", until)
    return OrderEntry(
        mode=cast("Literal['standing', 'executed']", mode),
        start=start,
        every=every,
        plans=plans,
        until=until,
        rounds_max=table.whole("rounds_max", 64, least=1),
        retries=table.whole("retries", 2),
        goal=MappingProxyType({**goal, **table.document("goal")}),
    )


def _parties(path: Path, root: Table, data: Path | None) -> tuple[PartyEntry, ...]:
    keys = ("name", "slot", "venue", "folder", "venue_config", "config", "budget")
    tables = root.tables("party", keys)
    parties = [_party(path, table, data) for table in tables]
    _refuse_twins(tables, parties, "name", lambda party: party.name)
    _refuse_twins(tables, parties, "slot", lambda party: party.slot)
    return tuple(sorted(parties, key=lambda party: party.name))


def _party(path: Path, table: Table, data: Path | None) -> PartyEntry:
    exact_max, rho_max = _budget(table)
    return PartyEntry(
        name=table.name("name"),
        slot=table.whole("slot"),
        venue=table.name("venue"),
        folder=_folder(path, table) if data is None else data / table.name("name"),
        venue_config=MappingProxyType(table.scalars("venue_config")),
        config=MappingProxyType(table.scalars("config")),
        exact_max=exact_max,
        rho_max=rho_max,
    )


def _folder(path: Path, table: Table) -> Path:
    text = table.text("folder")
    folder = (path.parent / text).resolve()
    if not folder.is_dir():
        raise table.bad(
            "folder",
            "the party's folder does not exist",
            "give a folder relative to the scenario file",
            text,
        )
    return folder


def _budget(party: Table) -> tuple[int, int]:
    table = party.table("budget", ("exact_max", "rho_max"))
    exact_max = table.whole("exact_max", 0, most=UNITS_MAX)
    rho_max = table.whole("rho_max", 0, most=UNITS_MAX)
    if exact_max == 0 and rho_max == 0:
        raise BudgetExhausted(
            "a party without allowance can answer nothing",
            "set exact_max (noiseless sums) or rho_max (zCDP, units of 2^-40) above 0",
            file=table.file,
            field=table.place("exact_max"),
            value="0",
        )
    return exact_max, rho_max


def _refuse_twins(
    tables: tuple[Table, ...],
    parties: list[PartyEntry],
    key: str,
    of: Callable[[PartyEntry], Any],
) -> None:
    seen: dict[Any, str] = {}
    for table, party in zip(tables, parties, strict=True):
        value = of(party)
        if value in seen:
            raise table.bad(
                key,
                f"two parties have {key} {value!r}",
                f"give each party its own {key}",
                value,
            )
        seen[value] = party.name


__all__ = [
    "BadInput",
    "OrderEntry",
    "PartyEntry",
    "ScenarioFile",
    "ScenarioOption",
    "read_scenario",
    "scenario_options",
]
