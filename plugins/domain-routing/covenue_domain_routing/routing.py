"""ExoRoute: parent orders across books at least all-in cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from covenue.hooks.domains import (
    Dialect,
    OpenedParty,
    OpenedPlan,
    PartyConfig,
    Scenario,
    Section,
)
from covenue_contracts.plan import Goal, Member
from covenue_domain_routing.coupling import RoutingCoupling, coupling
from covenue_domain_routing.goals import parse_goal, read_terms
from covenue_domain_routing.opened import opened_figures
from covenue_domain_routing.problem import RoutingProblem, problem_of
from covenue_domain_routing.sections import sections

SCENARIOS = Path(__file__).parent / "scenarios"


class Routing:
    """One order, many books: buy or sell at least all-in cost, on sums of depth alone.

    Everybody who takes part learns the marginal level's venue and quantity (the key carries the
    tie). Prices of books stay where they are; so do a party's fees and basis.
    """

    def goal(self, config: PartyConfig, file: str = "") -> Goal:
        """The goal of an order; fields and errors as in `goals.parse_goal`."""
        return parse_goal(config, file)

    def continues(self, order: Goal, plan: Goal) -> bool:
        """The same terms, and no more left than the order began with."""
        same = plan.model_copy(update={"remaining": order.remaining}) == order
        return same and int(plan.remaining[0]) <= int(order.remaining[0])

    def coupling(self, goal: Goal, members: Sequence[Member]) -> RoutingCoupling:
        """The public side of one plan. Raises BadInput when the order leaves 64 bits."""
        return coupling(goal, members)

    def problem(
        self, goal: Goal, members: Sequence[Member], member: Member, state: Any, config: PartyConfig
    ) -> RoutingProblem:
        """One venue's problem.

        state: a Snapshot of an order book, or a table (array of shape (n, 2), pairs, or a
        DataFrame with columns `price` and `quantity`). config: `fee_bps` and `basis_bps`.
        """
        terms = read_terms(goal)
        return problem_of(terms, members, member, state, config)

    def scenarios(self) -> Sequence[Scenario]:
        """Three Binance engines, 2024-08-08."""
        return (
            Scenario(
                "btc-three-engines",
                "Three parties buy BTC at least all-in cost, on recorded books of three engines",
                SCENARIOS / "btc-three-engines" / "scenario.toml",
                rank=0,
            ),
        )

    def dialects(self) -> Sequence[Dialect]:
        """ExoRoute's own vocabulary."""
        from covenue_domain_routing.dialect import EXOROUTE

        return (EXOROUTE,)

    def opened_figures(
        self, plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]
    ) -> Mapping[str, Any]:
        """Figures of a run with all books opened, outside the cohort; see `opened`."""
        return opened_figures(plans, parties)

    def sections(
        self, figures: Mapping[str, Any], plans: Sequence[OpenedPlan]
    ) -> Sequence[Section]:
        """Report sections from those figures."""
        return sections(figures, plans)


def buy(
    quantity: str | int,
    *,
    lot: str = "0.00001",
    limit_price: str | int | None = None,
    minimum: str | int | None = None,
    pace: str | int | None = None,
    price_scale: int = 10_000,
) -> Goal:
    """A goal for notebooks: buy `quantity` of the base currency at least all-in cost.

    Raises BadInput, naming the field. Floats are refused: write decimals as text.
    """
    amounts = {"quantity": quantity, "lot": lot, "limit_price": limit_price}
    pacing = {"minimum": minimum, "pace": pace, "price_scale": price_scale}
    return parse_goal({"side": "buy", **amounts, **pacing})


def sell(
    quantity: str | int,
    *,
    lot: str = "0.00001",
    limit_price: str | int | None = None,
    minimum: str | int | None = None,
    pace: str | int | None = None,
    price_scale: int = 10_000,
) -> Goal:
    """A goal for notebooks: sell `quantity` of the base currency for the most, all-in.

    Raises BadInput, naming the field. Floats are refused: write decimals as text.
    """
    amounts = {"quantity": quantity, "lot": lot, "limit_price": limit_price}
    pacing = {"minimum": minimum, "pace": pace, "price_scale": price_scale}
    return parse_goal({"side": "sell", **amounts, **pacing})
