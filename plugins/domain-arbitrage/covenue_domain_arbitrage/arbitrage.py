"""ArbSphere: pools and books against public references, on sums of net amounts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from covenue.hooks.dialects import Dialect
from covenue.hooks.domains import OpenedParty, OpenedPlan, PartyConfig, Scenario, Section
from covenue_contracts.plan import Goal, Member
from covenue_domain_arbitrage.coupling import ArbitrageCoupling, continues, coupling, slots_of
from covenue_domain_arbitrage.dialect import ARBSPHERE
from covenue_domain_arbitrage.goals import parse_goal, read_terms
from covenue_domain_arbitrage.opened import opened_figures, plan_figures
from covenue_domain_arbitrage.problem import ArbitrageProblem, problem_of
from covenue_domain_arbitrage.sections import sections
from covenue_domain_arbitrage.selftest import kind_of, require_self_test

SCENARIOS = Path(__file__).parent / "scenarios"


class Arbitrage:
    """Many venues, one plan: take what can be taken so that no asset is owed in the end.

    Everybody who takes part learns the multipliers (prices at which the venues meet) and the sums
    of net amounts; which pools there are, and what is done with each, stays with its party. Legs
    that are done in part leave a position; the next plan of the order has to bring it back.
    """

    def goal(self, config: PartyConfig, file: str = "") -> Goal:
        """The goal of an order; fields and errors as in `goals.parse_goal`."""
        return parse_goal(config, file)

    def continues(self, order: Goal, plan: Goal) -> bool:
        """The same terms, but for what has to be brought back and what may still be taken."""
        return continues(order, plan)

    def coupling(self, goal: Goal, members: Sequence[Member]) -> ArbitrageCoupling:
        """The public side of one plan."""
        return coupling(goal, members)

    def problem(
        self, goal: Goal, members: Sequence[Member], member: Member, state: Any, config: PartyConfig
    ) -> ArbitrageProblem:
        """One party's pools or book.

        state: a Snapshot of pools or of a book, or a table of pools (`frames.COLUMNS`) or of
        ladders (`ladders_table`). config: for books `fee_bps`, `capital`, `inventory`, and `base`
        and `quote` where the venue calls its assets otherwise. Raises PluginBroken if this machine
        does not compute as it must.
        """
        require_self_test(kind_of(state))
        terms, slots = read_terms(goal), slots_of(members)
        return problem_of(terms, len(members), state, config, member.slot, slots)

    def scenarios(self) -> Sequence[Scenario]:
        """Five parties with pools, and two simulated venues."""
        return (
            Scenario(
                "arbitrage",
                "Five parties with thousands of pools each, under secure aggregation",
                SCENARIOS / "five-parties" / "scenario.toml",
            ),
            Scenario(
                "arbitrage-two-venues",
                "Two simulated order books whose prices differ, arbitraged until they meet",
                SCENARIOS / "two-venues" / "scenario.toml",
            ),
        )

    def dialects(self) -> Sequence[Dialect]:
        """ArbSphere's own words for what crosses its boundaries."""
        return (ARBSPHERE,)

    def opened_figures(
        self, plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]
    ) -> Mapping[str, Any]:
        """Figures of a run with all venues opened, outside the cohort; see `opened`."""
        return opened_figures(plans, parties)

    def plan_figures(self, plan: OpenedPlan, parties: Sequence[OpenedParty]) -> Mapping[str, Any]:
        """One plan with all venues opened: what each gives, and why; see `opened`."""
        return plan_figures(plan, parties)

    def sections(
        self, figures: Mapping[str, Any], plans: Sequence[OpenedPlan]
    ) -> Sequence[Section]:
        """Report sections from those figures."""
        return sections(figures, plans)


def against(
    references: Mapping[str, str | int],
    *,
    most: str | int | tuple[str, ...] | None = None,
    owed: str | tuple[str, ...] | None = None,
    widths: tuple[int, ...] | None = None,
    scale_bits: int = 26,
    value_bits: int = 26,
    slope_bits: int = 20,
    band: int = 128,
    jumps: bool = False,
) -> Goal:
    """A goal for notebooks: take what is worth something at these references, owe nothing.

    references: value of one unit by asset, decimals as text; the order of the assets is that of
    the coordinates. most, owed: how much of any asset to take, and to owe in the end; one for all
    or one each, "unlimited" allowed. widths, slope_bits: for ladders, see the README. Raises
    BadInput, naming the field.
    """
    return parse_goal(
        {
            "assets": tuple(references),
            "references": tuple(references.values()),
            "most": most,
            "owed": owed,
            "widths": widths,
            "scale_bits": scale_bits,
            "value_bits": value_bits,
            "slope_bits": slope_bits,
            "band": band,
            "jumps": jumps,
        }
    )
