"""What a family's adapter does, and which families there are."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from benchmarks.instances import Instance, Reals, arb, cfmm, sor, vwap
from benchmarks.loop import Built

from covenue.errors import BadInput
from covenue.hooks.solvers import Solution
from covenue.numerics.words import Words
from covenue_contracts.local import Actions

NAMES = ("cfmm", "sor", "vwap", "arb")
KINDS = ("random", "market")
Plan = tuple[Actions, Words, Sequence[int]]


class Family(Protocol):
    """One adapter module, `family_<name>`; all values are in one unit and to be maximised."""

    def check(self, n: int, m: int | None) -> None:
        """Raise BadInput on a size that the domain cannot hold."""
        ...

    def built(self, instance: Instance) -> Built:
        """Problem objects of a quantised instance."""
        ...

    def rebuilt(self, instance: Instance, before: Built) -> Built:
        """The same for the next instance of a sequence, on the same grids."""
        ...

    def certificate(self, made: Built, solution: Solution) -> tuple[float, float, float]:
        """(value, bound, floor)."""
        ...

    def multipliers(self, made: Built, solution: Solution) -> Reals | None:
        """Multipliers in units, for the judge."""
        ...

    def feasible(self, instance: Instance, made: Built, plan: Plan, solution: Solution) -> bool:
        """Whether committed actions keep every limit and are worth the value; exact."""
        ...

    def further(
        self, instance: Instance, made: Built, plan: Plan, solution: Solution
    ) -> Mapping[str, Any]:
        """Further figures of the family."""
        ...


def family_of(name: str) -> Family:
    """The adapter of a family. Raises BadInput, naming the known ones."""
    if name not in NAMES:
        raise BadInput(
            f"there is no family '{name}'",
            f"give one of {', '.join(NAMES)}",
            field="--family",
            value=name,
        )
    return cast("Family", import_module(f"benchmarks.family_{name}"))


def drawn(  # noqa: PLR0917 -- an instance's whole address
    family: str, kind: str, n: int, m: int | None, seed: int, levels: int | None = None
) -> Instance:
    """An instance as generated, not yet quantised. Raises BadInput on a size or kind that is none.

    m: tokens, instruments or time slices; levels: of books and ladders.
    """
    for field, value, least in (("--n", n, 1), ("--m", m or 2, 1), ("--seed", seed, 0)):
        if value < least:
            raise BadInput("a size does not fit", f"give {least} or more", field=field,
                           value=str(value))  # fmt: skip
    if kind not in KINDS:
        raise BadInput(f"there is no kind '{kind}'", f"give one of {', '.join(KINDS)}",
                       field="--kind", value=kind)  # fmt: skip
    family_of(family).check(n, m)
    depth = {} if levels is None else {"L": levels}
    if family == "cfmm":
        return cfmm(n, seed, kind, m)
    if family == "sor":
        return sor(n, m=m or 1, seed=seed, budget=m is not None and m > 1, **depth)
    if family == "vwap":
        return vwap(n, seed=seed, **({} if m is None else {"T": m}))
    return arb(n, m or 50, seed=seed, **depth)
