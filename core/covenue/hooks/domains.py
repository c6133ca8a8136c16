"""Family `domains`: what is planned; how venue state becomes a local problem."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NewType, Protocol

from covenue.hooks import hookspec
from covenue.hooks.dialects import Dialect
from covenue.hooks.solvers import Coupling, KeyedCoupling
from covenue.hooks.venues import Snapshot, VenueAdapter
from covenue.numerics.words import Words
from covenue_contracts.contract import Scalar
from covenue_contracts.local import Actions, Outcome
from covenue_contracts.plan import Goal, Member, PlanDelta
from covenue_contracts.shared import Capability, Query, Space

Memory = NewType("Memory", bytes)
"""Opaque bytes that a local problem keeps between queries; b"" is the empty memory."""

EMPTY = Memory(b"")
PartyConfig = Mapping[str, Scalar]


@dataclass(frozen=True)
class Acted:
    """What one plan of the order came to: planned words, the actions sent, what was reported.

    outcomes: None while the venue has said nothing.
    """

    planned: Words
    actions: Actions
    outcomes: Sequence[Outcome] | None


class LocalProblem(Protocol):
    """One participant's subproblem, built from pinned venue state; every method is pure.

    Words come back in the order of the Space, as int64. `commit` also returns the actions that
    the participant will take; `settle` folds all outcomes of an order so far into
    (executed, unknown) words, in the coordinates of `Goal.remaining`.
    """

    @property
    def space(self) -> Space:
        """Names, units, scale and bound of the shared coordinates."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Which queries `answer` understands."""
        ...

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """Answer one query. Raises CapabilityMissing for a kind it does not offer."""
        ...

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """The actions that carry out a solution, and the words (planned amounts) to be summed.

        Planned is an upper bound on what the actions can execute.
        """
        ...

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """(executed, unknown) over all of an order that was acted on.

        No report, or an outcome with status unknown, counts as unknown up to what was planned.
        """
        ...


@dataclass(frozen=True)
class Scenario:
    """A runnable example that a domain ships: its TOML file, parties' folders beside it.

    rank: the least of all installed scenarios is the one that runs when none is named.
    """

    name: str
    summary: str
    path: Path
    rank: int = 100


@dataclass(frozen=True)
class OpenedPlan:
    """One plan with everything opened, outside the cohort: for reports and checks only.

    closed: why the plan ended. delta: the plan in force at its end; stands: whether that is the one
    before, with its value and bound of today. went: whether `plan.go` was given. executed, actions,
    bytes_left: outcomes, what was sent to the venue, and bytes of messages that left, by party
    name.
    """

    number: int
    mode: str
    as_of: int
    goal: Goal
    delta: PlanDelta | None
    rounds: int
    closed: str
    executed: Mapping[str, Sequence[Outcome]] = field(default_factory=dict)
    went: bool = False
    bytes_left: Mapping[str, int] = field(default_factory=dict)
    actions: Mapping[str, Actions] = field(default_factory=dict)
    stands: bool = False


@dataclass(frozen=True)
class OpenedParty:
    """One party with everything opened: its public member, private configuration and venue."""

    member: Member
    config: PartyConfig
    venue: VenueAdapter


@dataclass(frozen=True)
class Section:
    """A report section: headline figures, a table and plots, made by a domain."""

    title: str
    text: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    plots: tuple["Plot", ...] = ()


@dataclass(frozen=True)
class Plot:
    """A plot of named series over one x axis; kind is `line`, `area` (stacked) or `bar`."""

    title: str
    kind: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    series: Mapping[str, tuple[float, ...]]


class Domain(Protocol):
    """What is planned."""

    def goal(self, config: PartyConfig, file: str = "") -> Goal:
        """The goal of an order from a scenario's table.

        The kernel adds the key `mode` to the table: "standing" for proposals only (also where it
        is not given), "executed" for an order that is acted on. Raises BadInput with the field
        `domain.goal.<key>`.
        """
        ...

    def continues(self, order: Goal, plan: Goal) -> bool:
        """Whether a plan's goal is one that an order may come to: its terms, and what is left.

        Every node asks this of each plan: the coordinator may not plan for other terms.
        """
        ...

    def coupling(self, goal: Goal, members: Sequence[Member]) -> Coupling:
        """The public side of one plan."""
        ...

    def problem(
        self, goal: Goal, members: Sequence[Member], member: Member, state: Any, config: PartyConfig
    ) -> LocalProblem:
        """One participant's problem.

        state: a Snapshot, or arrays for the notebook facade. Raises BadInput on private
        configuration that does not fit, and CapabilityMissing on a foreign kind of state.
        """
        ...

    def scenarios(self) -> Sequence[Scenario]:
        """Scenarios that this domain ships."""
        ...

    def dialects(self) -> Sequence[Dialect]:
        """Vocabularies that EnergiBridge translates from and to; often none or one."""
        ...

    def opened_figures(
        self, plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]
    ) -> Mapping[str, Any]:
        """Figures of a run with all data opened outside the cohort; JSON types only."""
        ...

    def plan_figures(self, plan: OpenedPlan, parties: Sequence[OpenedParty]) -> Mapping[str, Any]:
        """One plan that was not acted on, with all data opened; JSON types only.

        `venues` names the parties, and `why` has for each of them a mapping with `because`: why it
        got its share, in a sentence. Any other list as long as `venues` is one figure each. A plan
        without a proposal has its `status` alone beside `venues`.
        """
        ...

    def sections(
        self, figures: Mapping[str, Any], plans: Sequence[OpenedPlan]
    ) -> Sequence[Section]:
        """Report sections from those figures."""
        ...


RegisterDomain = Callable[[str, Callable[[], Domain]], None]

__all__ = [
    "EMPTY",
    "Acted",
    "Coupling",
    "Dialect",
    "Domain",
    "KeyedCoupling",
    "LocalProblem",
    "Memory",
    "OpenedParty",
    "OpenedPlan",
    "PartyConfig",
    "Plot",
    "RegisterDomain",
    "Scenario",
    "Section",
    "Snapshot",
    "register_domains",
]


@hookspec
def register_domains(register: RegisterDomain) -> None:
    """Hand over domain factories: `register("routing", Routing)`."""
