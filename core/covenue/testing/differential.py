"""Two solvers on drawn instances: the same plan, by certificate, or the same refusal.

A solver that works on sums is held against one that sees everything. Neither is believed: each
certificate encloses the optimum, so two that do not overlap prove one of them wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from covenue.hooks.solvers import DualCoupling, Solution, Solver
from covenue.testing.solvers import SolverExample, play

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TOLERANCE = Fraction(1, 10**6)


@dataclass(frozen=True)
class Rules:
    """What agreement means for a family of instances.

    tolerance: of both solvers, relative to the greater bound and the value floor. must_certify:
    whether both have to end `certified`, or both `infeasible`. Without it (whole lots, degenerate
    instances) a solver may end without a certificate, and `infeasible` says that no plan is worth
    anything; bounds and values still have to enclose one optimum. is_tight: the reference's bound
    is the optimum, whatever its plan (linear programs): a certified value comes as near as that.
    """

    tolerance: Fraction = TOLERANCE
    must_certify: bool = True
    is_tight: bool = False


Play = Callable[[Solver, SolverExample], Solution]
"""Runs a solver on an instance to its end."""


def without_memory(solver: Solver, example: SolverExample) -> Solution:
    """For problems whose answers leave no memory."""
    return play(solver, example.coupling, example.problems).solution


def floor_of(example: SolverExample) -> int:
    """Value words below which nothing counts."""
    coupling = example.coupling
    return coupling.value_floor if isinstance(coupling, DualCoupling) else 1


def check_agreement(
    example: SolverExample, solver: Solution, reference: Solution, rules: Rules
) -> None:
    """Assert that two solutions of one instance agree.

    Bounds and values enclose one optimum when neither value passes the other's bound; certified
    values are no further apart than the tolerance. Where the reference's bound shows that
    nothing is worth anything, an end without a plan gives nothing away, whatever it is called.
    """
    ends = {solver.status, reference.status}
    nothing = rules.tolerance * floor_of(example)
    has_bound = reference.status != "infeasible"
    is_worthless = has_bound and abs(reference.bound) <= nothing
    if rules.must_certify and not is_worthless:
        assert ends in ({"certified"}, {"infeasible"}), f"{solver.status}, {reference.status}"
    assert ends == {"infeasible"} or solver.shortfall == reference.shortfall
    greatest = max(abs(solver.bound), abs(reference.bound), floor_of(example))
    slack = int(rules.tolerance * greatest) + 1
    if rules.is_tight and solver.status == "certified":
        assert reference.bound - solver.value <= slack, f"{solver.value} of {reference.bound}"
    for one, other in ((solver, reference), (reference, solver)):
        if one.status == other.status == "certified":
            assert abs(one.value - other.value) <= slack, f"{one.value} and {other.value}"
        elif other.status == "infeasible":
            assert one.value <= slack, f"{one.value} where nothing can be done"
        elif other.bound != other.value:
            assert one.value <= other.bound + slack, f"{one.value} passes {other.bound}"


class DifferentialConformance:
    """Numbered cases; a number never changes its meaning."""

    build: Callable[[], Solver]
    reference: Callable[[], Solver]
    draw: "SearchStrategy[SolverExample]"
    rules: Rules
    play: Play
    examples_most: int

    def test_dif_001_every_drawn_instance_ends_alike(self) -> None:
        """Plain and degenerate instances: what one solver misses, the other shows."""
        from hypothesis import HealthCheck, given, settings

        @settings(
            max_examples=self.examples_most,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(self.draw)
        def agree(example: SolverExample) -> None:
            solver = self.play(self.build(), example)
            reference = self.play(self.reference(), example)
            check_agreement(example, solver, reference, self.rules)

        agree()


def differential_conformance(  # noqa: PLR0917 -- two solvers, instances, and what they mean
    build: Callable[[], Solver],
    reference: Callable[[], Solver],
    draw: "SearchStrategy[SolverExample]",
    rules: Rules | None = None,
    examples_most: int = 40,
    play: Play = without_memory,
) -> type[DifferentialConformance]:
    """A test class with the case DIF-001; needs `hypothesis`.

    Use: `TestSearch = differential_conformance(Search, Reference, drawn_books())`. draw: instances
    that both solvers accept; every local problem offers what both need. play: for problems that
    keep a memory between answers, one that keeps it.
    """
    cases = {
        "build": staticmethod(build),
        "reference": staticmethod(reference),
        "draw": draw,
        "rules": rules or Rules(),
        "examples_most": examples_most,
        "play": staticmethod(play),
    }
    return type("DifferentialConformance", (DifferentialConformance,), cases)
