"""`solver = "auto"`: which installed solver fits a plan best, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from covenue.errors import CapabilityMissing, CovenueError
from covenue.hooks.domains import LocalProblem
from covenue.hooks.solvers import Coupling, Solver, Suits
from covenue.registry.load import Registry
from covenue_contracts.shared import Capability

AUTO = "auto"
NOTHING: frozenset[Capability] = frozenset()
DISCLOSE: frozenset[Capability] = frozenset({"DISCLOSE"})


@dataclass(frozen=True)
class Chosen:
    """A solver's name, and the sentence that says why it was taken."""

    name: str
    why: str


def choose(
    registry: Registry,
    coupling: Coupling,
    problems: Mapping[str, LocalProblem],
    privacy: Sequence[str],
) -> Chosen:
    """The solver of least rank among those that fit; of equal ranks, the first by name.

    What counts is what every problem offers; DISCLOSE only where no mechanism of `privacy` hides
    anything, since no node would answer. A solver that cannot be built is passed over. Raises
    CapabilityMissing, with what is offered, where none fits.
    """
    offers = [problem.capabilities for problem in problems.values()]
    offered = frozenset.intersection(*offers) if offers else NOTHING
    if not all(_shows_everything(registry, name) for name in privacy):
        offered -= DISCLOSE
    found = sorted(
        (suits.rank, name, suits.why) for name, suits in _fitting(registry, coupling, offered)
    )
    if not found:
        raise CapabilityMissing(
            "no installed solver fits this plan: its problems offer "
            + (", ".join(sorted(offered)) or "nothing in common"),
            "install a solver for these (see all.txt), or name one",
            field="solver.name",
            value=AUTO,
        )
    _, name, why = found[0]
    return Chosen(name, why)


def _shows_everything(registry: Registry, mechanism: str) -> bool:
    manifest = registry.find("privacy", mechanism).manifest
    facts = manifest.privacy if manifest is not None else None
    return facts is not None and facts.coordinator_sees == "everything"


def _fitting(
    registry: Registry, coupling: Coupling, offered: frozenset[Capability]
) -> Iterator[tuple[str, Suits]]:
    for name in registry.names("solvers"):
        try:
            solver = cast("Solver", registry.build("solvers", name, {}))
        except CovenueError:
            continue
        suits = solver.suits(coupling, offered)
        if suits is not None:
            yield name, suits
