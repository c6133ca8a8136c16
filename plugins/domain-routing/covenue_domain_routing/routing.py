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
from covenue_domain_routing.basket_coupling import BasketRouting, coupling_of
from covenue_domain_routing.basket_goals import is_basket, parse_basket, read_basket
from covenue_domain_routing.basket_problem import BasketProblem, basket_of
from covenue_domain_routing.basket_report import (
    basket_figures,
    basket_plan,
    basket_sections,
    is_of_basket,
)
from covenue_domain_routing.batch import BatchProblem, batch_of
from covenue_domain_routing.coupling import RoutingCoupling, coupling
from covenue_domain_routing.goals import parse_goal, read_terms
from covenue_domain_routing.opened import opened_figures, plan_figures
from covenue_domain_routing.problem import RoutingProblem, problem_of
from covenue_domain_routing.sections import sections
from covenue_domain_routing.selftest import require_self_test
from covenue_domain_routing.stacks import Books

SCENARIOS = Path(__file__).parent / "scenarios"


class Routing:
    """One order, many books: buy or sell at least all-in cost, on sums of depth alone.

    Everybody who takes part learns the marginal level's venue and quantity (the key carries the
    tie). Prices of books stay where they are; so do a party's fees and basis.
    """

    def goal(self, config: PartyConfig, file: str = "") -> Goal:
        """The goal of an order; fields and errors as in `goals.parse_goal`.

        With `instruments` it is a basket's, as in `basket_goals.parse_basket`.
        """
        return parse_basket(config, file) if is_basket(config) else parse_goal(config, file)

    def continues(self, order: Goal, plan: Goal) -> bool:
        """The same terms, and no more left than the order began with."""
        same = plan.model_copy(update={"remaining": order.remaining}) == order
        if not same or len(plan.remaining) != len(order.remaining):
            return False
        pairs = zip(plan.remaining, order.remaining, strict=True)
        return all(int(left) <= int(whole) for left, whole in pairs)

    def coupling(self, goal: Goal, members: Sequence[Member]) -> RoutingCoupling | BasketRouting:
        """The public side of one plan. Raises BadInput when the order leaves 64 bits."""
        return coupling_of(goal, members) if is_basket(goal.terms) else coupling(goal, members)

    def problem(
        self, goal: Goal, members: Sequence[Member], member: Member, state: Any, config: PartyConfig
    ) -> RoutingProblem | BatchProblem | BasketProblem:
        """One venue's problem.

        state: a Snapshot of an order book, or a table (array of shape (n, 2), pairs, or a
        DataFrame with columns `price` and `quantity`), or many books as Books. A basket's states
        are those of `basket_problem.basket_of`. config: `fee_bps` and `basis_bps`. Raises
        PluginBroken if this machine does not count as it must.
        """
        require_self_test()
        if is_basket(goal.terms):
            return basket_of(read_basket(goal), members, member, state, config)
        terms = read_terms(goal)
        if isinstance(state, Books):
            return batch_of(terms, members, member, state, config)
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
        """Figures of a run with all books opened, outside the cohort; see `opened`.

        Plans of baskets are apart, under `baskets`, where there are any.
        """
        single = [plan for plan in plans if not is_of_basket(plan)]
        baskets = [plan for plan in plans if is_of_basket(plan)]
        figures = dict(opened_figures(single, parties))
        return {**figures, "baskets": basket_figures(baskets, parties)} if baskets else figures

    def plan_figures(self, plan: OpenedPlan, parties: Sequence[OpenedParty]) -> Mapping[str, Any]:
        """One plan with all books opened: lots by venue, and why; see `opened`."""
        return basket_plan(plan, parties) if is_of_basket(plan) else plan_figures(plan, parties)

    def sections(
        self, figures: Mapping[str, Any], plans: Sequence[OpenedPlan]
    ) -> Sequence[Section]:
        """Report sections from those figures."""
        single = [plan for plan in plans if not is_of_basket(plan)]
        baskets = [plan for plan in plans if is_of_basket(plan)]
        made = sections(figures, single) if single else ()
        return (*made, *basket_sections(figures.get("baskets", ()), baskets))


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


def basket(
    wanted: Mapping[str, tuple[str | int, str | int]],
    budget: str | int,
    *,
    lot: str = "0.00001",
    price_scale: int = 10_000,
) -> Goal:
    """A goal for notebooks: buy up to so much of each instrument, and spend no more than a budget.

    wanted: by instrument, the most to buy and what one unit is worth, as (quantity, value). Raises
    BadInput, naming the field.
    """
    table: Mapping[str, Any] = {
        "instruments": tuple(wanted),
        "quantities": tuple(quantity for quantity, _ in wanted.values()),
        "values": tuple(value for _, value in wanted.values()),
        "budget": budget,
        "lot": lot,
        "price_scale": price_scale,
    }
    return parse_basket(table)
