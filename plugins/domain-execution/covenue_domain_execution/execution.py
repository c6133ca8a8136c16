"""ExProve: an order over time slices and venues, near a public curve, on sums of lots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from covenue.hooks.dialects import Dialect
from covenue.hooks.domains import OpenedParty, OpenedPlan, PartyConfig, Scenario, Section
from covenue_contracts.contract import Scalar
from covenue_contracts.plan import Goal, Member
from covenue_domain_execution.coupling import ExecutionCoupling, continues, coupling
from covenue_domain_execution.dialect import EXPROVE
from covenue_domain_execution.goals import parse_goal, read_terms
from covenue_domain_execution.opened import opened_figures, plan_figures
from covenue_domain_execution.problem import ExecutionProblem, problem_of
from covenue_domain_execution.sections import sections
from covenue_domain_execution.selftest import require_self_test

SCENARIOS = Path(__file__).parent / "scenarios"


class Execution:
    """One order, many slices, many venues: least cost beyond the arrival price, near the curve.

    Everybody who takes part learns the marginal price and the sum of lots of each slice. Forecasts
    of volume, spreads, impact and credits stay with their party; so does who trades what.
    """

    def goal(self, config: PartyConfig, file: str = "") -> Goal:
        """The goal of an order; fields and errors as in `goals.parse_goal`."""
        return parse_goal(config, file)

    def continues(self, order: Goal, plan: Goal) -> bool:
        """The same terms, and what is left of the order's path."""
        return continues(order, plan)

    def coupling(self, goal: Goal, members: Sequence[Member]) -> ExecutionCoupling:
        """The public side of one plan."""
        return coupling(goal, members)

    def problem(
        self, goal: Goal, members: Sequence[Member], member: Member, state: Any, config: PartyConfig
    ) -> ExecutionProblem:
        """One party's venues.

        state: a Snapshot of a book, with config as in `books.parse_forecast`; or a table as in
        `tables.rows_of`, which needs no config. Raises PluginBroken if this machine does not
        compute as it must.
        """
        require_self_test()
        return problem_of(read_terms(goal), members, member, state, config)

    def scenarios(self) -> Sequence[Scenario]:
        """Three simulated venues."""
        return (
            Scenario(
                "vwap",
                "Three parties buy along a U-shaped volume curve, each on its own simulated book",
                SCENARIOS / "vwap" / "scenario.toml",
            ),
        )

    def dialects(self) -> Sequence[Dialect]:
        """ExProve's own words for what crosses its boundaries."""
        return (EXPROVE,)

    def opened_figures(
        self, plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]
    ) -> Mapping[str, Any]:
        """Figures of a run with all venues opened, outside the cohort; see `opened`."""
        return opened_figures(plans, parties)

    def plan_figures(self, plan: OpenedPlan, parties: Sequence[OpenedParty]) -> Mapping[str, Any]:
        """One plan with all venues opened: lots by venue and slice, and why; see `opened`."""
        return plan_figures(plan, parties)

    def sections(
        self, figures: Mapping[str, Any], plans: Sequence[OpenedPlan]
    ) -> Sequence[Section]:
        """Report sections from those figures."""
        return sections(figures, plans)


def buy(
    quantity: str | int, price: str | int, slices: int, **terms: Scalar | tuple[Scalar, ...]
) -> Goal:
    """A goal for notebooks: buy `quantity` over so many slices; the arrival price is `price`.

    terms: further fields of `goals.parse_goal`, as lot="0.001", curve="flat". Raises BadInput,
    naming the field. Floats are refused: write decimals as text.
    """
    return parse_goal(
        {"side": "buy", "quantity": quantity, "price": price, "slices": slices, **terms}
    )


def sell(
    quantity: str | int, price: str | int, slices: int, **terms: Scalar | tuple[Scalar, ...]
) -> Goal:
    """A goal for notebooks: sell `quantity` over so many slices; see `buy`."""
    return parse_goal(
        {"side": "sell", "quantity": quantity, "price": price, "slices": slices, **terms}
    )
