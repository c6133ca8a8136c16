"""Builds the pure parts that an order names, from installed plugins."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from covenue.errors import PluginBroken
from covenue.hooks.domains import Domain, LocalProblem, PartyConfig
from covenue.hooks.programs import RecordedSolver
from covenue.hooks.solvers import Solver
from covenue.hooks.venues import Snapshot
from covenue.privacy.composition import Mechanism, compose
from covenue.registry.load import Registry
from covenue.rounds.coordinator import Parts
from covenue_contracts.contract import Scalar
from covenue_contracts.plan import Goal, Member, Order

Options = Mapping[str, Scalar | tuple[Scalar, ...]]


def domain_of(registry: Registry, name: str) -> Domain:
    """The domain of a name."""
    return cast("Domain", registry.build("domains", name))


def solver_of(registry: Registry, name: str, options: Options) -> Solver:
    """The solver of a name, with its options.

    Raises PluginBroken where its manifest and its code differ on whether replay computes its
    questions again (`determinism`).
    """
    solver = cast("Solver", registry.build("solvers", name, options))
    row = registry.find("solvers", name)
    declared = "identical" if row.manifest is None else row.manifest.determinism
    found = "recorded" if isinstance(solver, RecordedSolver) else "identical"
    if found != declared:
        raise PluginBroken(
            f"solver {name!r} declares determinism {declared!r} and is {found!r}",
            f"repair {row.id}: only a recorded solver has `follow`, and every one does",
        )
    return solver


def mechanism_of(registry: Registry, names: Sequence[str]) -> Mechanism:
    """The mechanism that a list of names composes to."""
    return compose(names, [registry.build("privacy", name) for name in names])


def parts_of(registry: Registry) -> Callable[[Order], Parts]:
    """A function from an order to the coordinator's pure parts."""

    def resolve(order: Order) -> Parts:
        domain = domain_of(registry, order.goal.domain)
        return Parts(
            domain.coupling,
            solver_of(registry, order.solver, order.solver_options),
            mechanism_of(registry, order.privacy),
        )

    return resolve


def builder(
    domain: Domain, config: PartyConfig
) -> Callable[[Goal, Sequence[Member], Member, Snapshot], LocalProblem]:
    """A function that builds one party's problems from its own configuration."""

    def build(goal: Goal, members: Sequence[Member], member: Member, state: Any) -> LocalProblem:
        return domain.problem(goal, members, member, state, config)

    return build
