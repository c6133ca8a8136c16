"""`covenue.plan(...)`: one plan from a notebook, through the same machine as every other run.

All data is in one process here, so identities are derived and marked as demo; what leaves each
party is the same as if it were not.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from numbers import Real
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput, OutputExists, replaced
from covenue.hooks.domains import Domain, LocalProblem, Memory
from covenue.hooks.engines import Engine
from covenue.hooks.ledgers import LedgerBackend
from covenue.hooks.solvers import Coupling
from covenue.hooks.venues import NEVER_SEEN, NeverSeen, Snapshot
from covenue.identity.consents import agreed
from covenue.identity.roster import make_roster
from covenue.ledger.audit_log import AuditLog
from covenue.privacy.guards import remembered
from covenue.registry.load import Registry, installed
from covenue.registry.negotiate import check_contracts, check_needs, check_privacy
from covenue.rounds import coordinator, node_state
from covenue.rounds.choosing import AUTO, choose
from covenue.rounds.clocks import RecordedClock
from covenue.rounds.delta_sync import read_entry
from covenue.rounds.identities import Identity, demo_identity
from covenue.rounds.opened import traffic
from covenue.rounds.parts import domain_of, mechanism_of, solver_of
from covenue.rounds.run import CoordinatorProcess, NodeProcess, follower, open_budgets
from covenue_contracts.canonical import sha256
from covenue_contracts.catalogue import schema_digest
from covenue_contracts.contract import Contract, Scalar
from covenue_contracts.local import Actions, Outcome
from covenue_contracts.plan import (
    CohortPolicy,
    Deadlines,
    Goal,
    Member,
    Order,
    PlanDelta,
    PlanVoid,
    PluginRef,
)
from covenue_contracts.privacy import PrivacyBudget
from covenue_contracts.shared import Query

SEED = "covenue/notebook"
BUDGET = str(10**12)
COUPLING = ("goal", "space", "width", "admits", "left")
VALUE_SHOWN = 80
DATA_ROOMS = frozenset({"state", "pools", "problems"})
LEDGER_THERE = (
    "give another path, or go on with `warm` of the result that wrote it; `warm.close()` lets go "
    "of the ledger"
)
WAIT = Deadlines(join="1", upload="1", vote="1", answer="1", act="1", skew="0")


@dataclass(frozen=True)
class PlanResult:
    """One plan: what it is worth, how it was found, and where it is written down.

    value, bound: integers in the domain's value unit; gap = |bound - value|, certified where
    status says so. within_tol: gap <= tol * max(|bound|, 1). plan: int64[parties, coordinates],
    or a DataFrame when a party's data was one; rows in order of `parties`. actions: what each
    party would do. warm: hand it to the next call.
    """

    status: str
    value: int
    bound: int
    gap: int
    within_tol: bool
    shortfall: int
    rounds: int
    bytes_per_participant: dict[str, int]
    transcript: str
    parties: tuple[str, ...]
    coordinates: tuple[str, ...]
    plan: Any
    actions: dict[str, Actions]
    solution: tuple[int, ...]
    root: str
    warm: "Warm" = field(repr=False)


def plan(
    coupling: Goal | Coupling,
    problems: Mapping[str, Any],
    *,
    solver: str = "search",
    solver_options: Mapping[str, Scalar | tuple[Scalar, ...]] | None = None,
    privacy: str | Sequence[str] = "open",
    ledger: str | Path = "memory",
    configs: Mapping[str, Mapping[str, Scalar]] | None = None,
    warm: "Warm | None" = None,
    tol: float = 1e-6,
) -> PlanResult:
    """Make one plan across parties and return it with its certificate.

    coupling: a domain's goal (`covenue_domain_routing.buy("100")`), or a Coupling with built
    problems. solver: a name, or "auto" for the one that fits best. problems: by party name, each an
    array, a DataFrame or a LocalProblem. configs: each party's private configuration. ledger:
    "memory", or the path of a new SQLite ledger.
    Raises CovenueErrors with advice; BadInput when the plan is void.
    """
    _check_coupling(coupling)
    _check_problems(problems)
    mechanisms = _listed(privacy)
    configs = _checked_configs(configs, problems)
    options = _named({} if solver_options is None else solver_options, "solver_options")
    _check_text(solver, "solver", "give the name of a solver, as 'search'")
    _check_tol(tol)
    _check_ledger(ledger)
    _check_warm(warm)
    if warm is None:
        warm = Warm(tuple(sorted(problems)), solver, mechanisms, ledger)
    return warm.plan(coupling, problems, configs, dict(options), tol)


def _check_coupling(coupling: object) -> None:
    if isinstance(coupling, Goal) or all(hasattr(coupling, name) for name in COUPLING):
        return
    raise _refused(
        "the coupling is neither a goal nor a coupling",
        "give a domain's goal, as covenue_domain_routing.buy('100'), or a Coupling of your own",
        "coupling",
        coupling,
    )


def _check_problems(problems: object) -> None:
    advice = "give one problem a party: {'north': …, 'south': …}"
    if not _mapping(problems, "problems", advice):
        raise BadInput("no party takes part", advice, field="problems")
    _named(problems, "problems")


def _checked_configs(
    configs: object, problems: Mapping[str, Any]
) -> Mapping[str, Mapping[str, Scalar]]:
    """The configurations, none for a party that does not take part."""
    advice = "give one mapping a party: {'north': {'fee_bps': '5'}}"
    given = _mapping({} if configs is None else configs, "configs", advice)
    for name, config in given.items():
        if name not in problems:
            raise _refused("a configuration is of no party", f"parties: {', '.join(problems)}",
                           "configs", name)  # fmt: skip
        _named(config, f"configs[{name!r}]")
    return given


def _listed(privacy: object) -> tuple[str, ...]:
    names = (privacy,) if isinstance(privacy, str) else privacy
    advice = "give a mechanism's name, as 'open', or a list of names"
    if not isinstance(names, Sequence) or not names:
        raise _refused("no mechanism is named", advice, "privacy", privacy)
    for name in names:
        _check_text(name, "privacy", advice)
    return tuple(names)


def _check_tol(tol: object) -> None:
    is_number = isinstance(tol, Real) and not isinstance(tol, bool)
    if not is_number or not 0 <= float(cast("Real", tol)) < float("inf"):
        raise _refused("a tolerance is a share of the value, 0 or more", "give a number, as 1e-6",
                       "tol", tol)  # fmt: skip


def _check_ledger(ledger: object) -> None:
    if not isinstance(ledger, str | Path) or not str(ledger):
        raise _refused("a ledger is no place", "give 'memory', or the path of a new file",
                       "ledger", ledger)  # fmt: skip


def _check_warm(warm: object) -> None:
    if warm is not None and not isinstance(warm, Warm):
        raise _refused("a warm start is no result's", "give `warm` of an earlier result, or none",
                       "warm", warm)  # fmt: skip


def _check_text(value: object, field: str, advice: str) -> None:
    if not isinstance(value, str) or not value:
        raise _refused("a name is no text", advice, field, value)


def _named(value: object, field: str) -> Mapping[str, Any]:
    """A mapping whose keys are texts."""
    given = _mapping(value, field, "give a mapping from names to values")
    for name in given:
        _check_text(name, field, "name every one by a text")
    return given


def _mapping(value: object, field: str, advice: str) -> Mapping[Any, Any]:
    """The value, if it is a mapping; the error says its type only, for it may be private data."""
    if not isinstance(value, Mapping):
        raise BadInput("a mapping is expected", advice, field=field, value=type(value).__name__)
    return value


def _refused(what: str, advice: str, field: str, value: object) -> BadInput:
    return BadInput(what, advice, field=field, value=repr(value)[:VALUE_SHOWN])


class Warm:
    """The processes of a notebook's plans: the next plan continues their ledger and state."""

    def __init__(
        self, parties: tuple[str, ...], solver: str, privacy: tuple[str, ...], ledger: str | Path
    ) -> None:
        self._registry = installed()
        self._parties = parties
        self._solver = solver
        self._privacy = privacy
        self._clock = RecordedClock(0)
        self._venues = {name: _Given() for name in parties}
        self._identities = {name: demo_identity(SEED, "party", name) for name in parties}
        self._coordinator = demo_identity(SEED, "coordinator", "coordinator")
        self._members = self._numbered()
        self._parts: coordinator.Parts | None = None
        self._log = self._new_log(ledger)
        self._process = CoordinatorProcess(
            self._log, lambda _: cast("coordinator.Parts", self._parts)
        )
        self._nodes: dict[str, NodeProcess] = {}

    def plan(
        self,
        coupling: Goal | Coupling,
        problems: Mapping[str, Any],
        configs: Mapping[str, Mapping[str, Scalar]],
        solver_options: dict[str, Scalar | tuple[Scalar, ...]],
        tol: float,
    ) -> PlanResult:
        """One further plan of the same parties. Raises BadInput when they are others."""
        if tuple(sorted(problems)) != self._parties:
            raise BadInput(
                "a warm start is for the same parties",
                "leave `warm` out for another cohort",
                field="problems",
                value=", ".join(sorted(problems)),
            )
        goal, domain = self._resolve(coupling)
        built = self._build(goal, domain, coupling, problems, configs)
        if self._solver == AUTO:
            shared = domain.coupling(goal, self.members) if domain is not None else coupling
            shared = cast("Coupling", shared)
            self._solver = choose(self._registry, shared, built, self._privacy).name
        solver = solver_of(self._registry, self._solver, solver_options)
        check_needs(solver, built, self._solver, self._registry.names("solvers"))
        self._check_privacy(solver.needs)
        mechanism = mechanism_of(self._registry, self._privacy)
        couple = domain.coupling if domain is not None else (lambda _goal, _members: coupling)
        self._parts = coordinator.Parts(cast("Any", couple), solver, mechanism)
        for name, problem in built.items():
            self._venues[name].hold(problem, problems[name])
            self._join(name, problem, mechanism)
        before = self._log.size
        self._process.order(self._order(goal, solver_options), self._clock.read())
        engine = cast("Engine", self._registry.build("engines", "inprocess", {}))
        engine.run(self._process, tuple(self._nodes.values()), self._clock, lambda: False)
        return self._result(goal, built, problems, before, tol)

    def _check_privacy(self, needs: frozenset[Any]) -> None:
        """Refuse a cohort that is too small for a mechanism, in a notebook's own words."""
        rows = [self._registry.find("privacy", name) for name in self._privacy]
        manifests = [row.manifest for row in rows if row.manifest is not None]
        try:
            check_privacy(manifests, self._policy(), frozenset(needs))
        except BadInput as error:
            if error.field != "cohort.least":
                raise
            least = max(m.privacy.least_cohort for m in manifests if m.privacy is not None)
            raise BadInput(
                f"{error.what} ({len(self._parties)} parties are given)",
                f"give at least {least} parties, or plan with privacy='open'",
                field="problems",
                value=", ".join(self._parties),
            ) from error

    def _policy(self) -> CohortPolicy:
        """All parties, or nobody: whoever runs a notebook holds all data."""
        return CohortPolicy(
            least=len(self._parties),
            colluders=0,
            drops=0,
            min_changed=0,
            differencing="override",
            reason="a notebook holds all data",
        )

    @property
    def members(self) -> tuple[Member, ...]:
        """The roster of these plans, for building problems of one's own."""
        return self._ordered()

    def close(self) -> None:
        """Release the ledgers; a kept one may then be verified."""
        self._log.close()
        for node in self._nodes.values():
            node.log.close()

    def _numbered(self) -> dict[str, Member]:
        return {
            name: Member(did=self._identities[name].key.did, name=_safe(name), slot=slot)
            for slot, name in enumerate(self._parties)
        }

    def _new_log(self, ledger: str | Path) -> AuditLog:
        backend = self._backend(ledger)
        return self._create(backend, self._coordinator, "coordinator")

    def _backend(self, ledger: str | Path) -> LedgerBackend:
        in_memory = ledger == "memory"
        factory = self._registry.load("ledgers", "memory" if in_memory else "sqlite")
        path = None if in_memory else Path(ledger)
        try:
            return cast("LedgerBackend", factory(path, create=True, writable=True))
        except OutputExists as error:
            if error.file != str(path):
                raise
            raise replaced(error, advice=LEDGER_THERE, field="ledger") from error

    def _create(self, backend: LedgerBackend, who: Identity, role: str) -> AuditLog:
        return AuditLog.create(
            backend,
            who.key,
            origin=f"covenue/notebook/{role}",
            secret=who.log_secret,
            clock=self._clock.read(),
            config={"role": "coordinator" if role == "coordinator" else "node"},
            demo=True,
        )

    def _resolve(self, coupling: Goal | Coupling) -> tuple[Goal, Domain | None]:
        if isinstance(coupling, Goal):
            return coupling, domain_of(self._registry, coupling.domain)
        return coupling.goal, None

    def _build(
        self,
        goal: Goal,
        domain: Domain | None,
        coupling: Goal | Coupling,
        problems: Mapping[str, Any],
        configs: Mapping[str, Mapping[str, Scalar]],
    ) -> dict[str, LocalProblem]:
        members = self._ordered()
        built: dict[str, LocalProblem] = {}
        for name in self._parties:
            given = problems[name]
            if hasattr(given, "answer") and hasattr(given, "commit"):
                built[name] = given
            elif domain is None:
                raise BadInput(
                    "a coupling of one's own needs built problems",
                    "give LocalProblem objects, or a domain's goal as the coupling",
                    field=f"problems[{name!r}]",
                    value=type(given).__name__,
                )
            else:
                member = self._members[name]
                config = configs.get(name, {})
                with _party_named(name, member.name):
                    built[name] = domain.problem(goal, members, member, given, config)
        return built

    def _ordered(self) -> tuple[Member, ...]:
        return tuple(sorted(self._members.values(), key=lambda member: member.did))

    def _join(self, name: str, problem: LocalProblem, mechanism: Any) -> None:
        """Start a party's node, once."""
        if name in self._nodes:
            return
        backend = self._backend("memory")
        log = self._create(backend, self._identities[name], _safe(name))
        signal = problem.space.signal
        budget = PrivacyBudget(
            signal=signal,
            rho_max=BUDGET,
            exact_max=BUDGET,
            delta_exponent=6,
            adjacency="replace-one-venue",
        )
        open_budgets(log, [budget], self._clock.read())
        venue, identity = self._venues[name], self._identities[name]
        own = node_state.Self(
            identity.key,
            identity.master,
            venue.problem_of,
            lambda order, plan: order == plan,
            mechanism,
            schema_digest,
        )
        followed = follower(self._log.origin, self._log.did)
        self._nodes[name] = NodeProcess(own, log, venue, followed)

    def _order(
        self, goal: Goal, solver_options: Mapping[str, Scalar | tuple[Scalar, ...]]
    ) -> Order:
        wanted = [
            *(() if _own(goal, self._registry) else (("domains", goal.domain),)),
            ("solvers", self._solver),
            *(("privacy", name) for name in self._privacy),
            ("engines", "inprocess"),
        ]
        check_contracts([self._registry.find(*pair) for pair in wanted])
        plugins: tuple[PluginRef, ...] = tuple(self._registry.ref(*pair) for pair in wanted)
        policy = self._policy()
        roster = make_roster(self._coordinator.key.did, self._ordered())
        keys = [self._identities[name].key for name in self._parties]
        order = Order(
            goal=goal,
            mode="standing",
            plans_max=1,
            every="1",
            until=str(2**63 - 1),
            roster=roster,
            policy=policy,
            consents=(),
            deadlines=WAIT,
            plugins=plugins,
            solver=self._solver,
            solver_options=dict(solver_options),
            privacy=self._privacy,
            rounds_max=10_000,
            retries=0,
            seed=sha256(SEED.encode()),
        )
        return agreed(order, keys)

    def _result(
        self,
        goal: Goal,
        built: Mapping[str, LocalProblem],
        problems: Mapping[str, Any],
        before: int,
        tol: float,
    ) -> PlanResult:
        entries = [read_entry(raw) for raw in self._log.raw(before)]
        bodies = [entry.body for entry in entries]
        voided = next((body.reason for body in bodies if isinstance(body, PlanVoid)), None)
        if voided is not None:
            raise BadInput(f"the plan is void: {voided}", "check problems and solver options")
        delta = next(body for body in bodies if isinstance(body, PlanDelta))
        query = Query(
            kind="commit",
            after=delta.after,
            multipliers=delta.multipliers,
            points=delta.solution,
        )
        actions, rows = {}, []
        for name in self._parties:
            kept = remembered(self._nodes[name].state.memories, delta.after)
            actions[name], words, _ = built[name].commit(query, Memory(kept), delta.plan)
            rows.append(words)
        coordinates = built[self._parties[0]].space.names[: len(goal.remaining)]
        sent = traffic(self._log, entries)
        names = {self._members[name].did: name for name in self._parties}
        gap, bound = int(delta.gap), int(delta.bound)
        return PlanResult(
            status=delta.status,
            value=int(delta.value),
            bound=bound,
            gap=gap,
            within_tol=gap <= tol * max(abs(bound), 1),
            shortfall=int(delta.shortfall),
            rounds=delta.rounds,
            bytes_per_participant={names[did]: size for did, size in sorted(sent.bytes.items())},
            transcript=delta.transcript,
            parties=self._parties,
            coordinates=tuple(coordinates),
            plan=_table(np.array(rows, dtype=np.int64), self._parties, coordinates, problems),
            actions=actions,
            solution=tuple(int(point) for point in delta.solution),
            root=self._log.root().hex(),
            warm=self,
        )


class _Given:
    """A venue that holds what the notebook gave it; it executes nothing."""

    def __init__(self) -> None:
        self._problem: LocalProblem | None = None
        self._digest = ""

    def hold(self, problem: LocalProblem, given: Any) -> None:
        """Take the data of the next plan."""
        self._problem, self._digest = problem, _state_digest(given)

    def problem_of(self, *_: Any) -> LocalProblem:
        """The problem that was built from it."""
        assert self._problem is not None  # noqa: S101 -- held before any plan opens
        return self._problem

    def pin(self, as_of: int) -> Snapshot:
        """The data as given."""
        return Snapshot("given/v1", as_of, self._digest, None)

    def apply(self, order: str, actions: Actions, valid_until: int, now: int) -> list[Outcome]:
        """Refuse: a notebook's plan is a proposal."""
        return [
            Outcome(order=order, status="refused", fills=(), swaps=(), reason="a notebook's plan")
        ]

    def reconcile(self, order: str) -> NeverSeen:
        """Nothing was ever sent."""
        return NEVER_SEEN

    def facts(self) -> dict[str, Scalar]:
        """Nothing is known of where the data came from."""
        return {}

    def close(self) -> None:
        """Nothing is held open."""


@contextmanager
def _party_named(name: str, called: str) -> Iterator[None]:
    """Say whose data or settings an error is about, by the name that the notebook gave.

    called: the party's name in the roster, which a domain knows it by.
    """
    try:
        yield
    except BadInput as error:
        what = error.what.replace(f"'{called}'", repr(name))
        field = _own_field(error.field, name)
        if field == error.field and repr(name) not in what:
            what = f"party {name!r}: {what}"
        raise replaced(error, what=what, field=field) from error


def _own_field(field: str, name: str) -> str:
    """A party's field as an argument of `plan`: `problems['north'].column`."""
    if field.startswith("party.config."):
        return f"configs[{name!r}][{field.removeprefix('party.config.')!r}]"
    room, dot, rest = field.partition(".")
    return f"problems[{name!r}]{dot}{rest}" if room in DATA_ROOMS else field


def _own(goal: Goal, registry: Registry) -> bool:
    return goal.domain not in registry.names("domains")


def _safe(name: str) -> str:
    """A party's name in the form that contracts allow."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    return "-".join(part for part in f"p-{kept}".split("-") if part)[:64].rstrip("-")


def _state_digest(given: Any) -> str:
    """Equal for equal data, and other for other data, down to the last number of an array."""
    return sha256(b"covenue/given/1", *_state_parts(given))


def _state_parts(given: Any) -> Iterator[bytes]:
    if isinstance(given, Contract):
        yield from (given.kind_name.encode(), given.model_dump_json().encode())
    elif isinstance(given, Mapping):
        for key in sorted(given, key=repr):
            yield f"{key!r}={_state_digest(given[key])}".encode()
    elif is_dataclass(given):
        yield type(given).__qualname__.encode()
        for each in fields(given):
            yield f"{each.name}={_state_digest(getattr(given, each.name))}".encode()
    elif isinstance(given, tuple) and given and not isinstance(given[0], int | float | list):
        yield from _row_parts(given)
    elif hasattr(given, "answer"):
        yield repr(given).encode()
    else:
        array = np.asarray(given)
        body = array.tobytes() if array.dtype != object else repr(array.tolist()).encode()
        yield from (str(array.dtype).encode(), repr(array.shape).encode(), body)


def _row_parts(row: tuple[Any, ...]) -> Iterator[bytes]:
    """Of names, their text, which is quick; else of every item by itself."""
    if isinstance(row[0], str):
        yield repr(row).encode()
    else:
        yield from (_state_digest(item).encode() for item in row)


def _table(
    rows: NDArray[np.int64],
    parties: tuple[str, ...],
    coordinates: Sequence[str],
    problems: Mapping[str, Any],
) -> Any:
    """The plan as an array, or as a frame where a party gave one."""
    frames = [
        given for given in problems.values() if type(given).__module__.split(".")[0] == "pandas"
    ]
    if not frames:
        return rows
    import pandas as pd

    return pd.DataFrame(rows, index=list(parties), columns=list(coordinates))
