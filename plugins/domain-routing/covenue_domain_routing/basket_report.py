"""Figures and sections of baskets with all books opened, outside the cohort."""

from collections.abc import Mapping, Sequence
from typing import Any

from covenue.hooks.domains import EMPTY, Acted, OpenedParty, OpenedPlan, Section
from covenue_contracts.plan import PlanDelta
from covenue_contracts.shared import Query
from covenue_domain_routing.basket_coupling import coupling_of, read_plan
from covenue_domain_routing.basket_goals import BasketTerms, is_basket, read_basket
from covenue_domain_routing.basket_problem import BasketProblem, basket_of

TEXT = (
    "Several instruments under one budget: offers of all venues are taken in order of all-in price "
    "against value until the budget is spent or nothing more is wanted. Value and bound are what "
    "the sums certify; planned spend is the most that the orders can cost. Computed with all books "
    "opened, outside the cohort."
)


ABSENT = "it was not in the cohort"


def is_of_basket(plan: OpenedPlan) -> bool:
    """Whether a plan is of a basket."""
    return is_basket(plan.goal.terms)


def basket_figures(
    plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]
) -> list[dict[str, Any]]:
    """One row a plan, as JSON types; values and spend in lots times price units."""
    ordered = sorted(parties, key=lambda party: (party.member.slot, party.member.did))
    return [_row(plan, ordered) for plan in plans]


def basket_plan(plan: OpenedPlan, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    """One plan's row, with lots by instrument and spend a venue, and why."""
    ordered = sorted(parties, key=lambda party: (party.member.slot, party.member.did))
    row = _row(plan, ordered)
    venues = [party.member.name for party in ordered]
    if row["status"] is None:
        status = plan.delta.status if plan.delta else "none"
        return {"venues": venues, "status": status}
    found = {venue["venue"]: venue for venue in row.pop("venues")}
    is_bound = row["marginal"] is not None
    return {
        **row,
        "venues": venues,
        "planned": [found[name]["planned"] if name in found else [] for name in venues],
        "why": [
            {"because": _because(found[name], is_bound=is_bound) if name in found else ABSENT}
            for name in venues
        ],
    }


def _row(plan: OpenedPlan, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    terms, delta = read_basket(plan.goal), plan.delta
    row = {
        "k": plan.number,
        "mode": plan.mode,
        "rounds": plan.rounds,
        "closed": plan.closed,
        "left": list(terms.left),
        "budget": terms.budget_left,
    }
    if delta is None or not delta.solution:
        return {**row, "status": None, "venues": []}
    members = [party.member for party in parties]
    key = read_plan(delta.solution, len(terms.instruments)).key
    offer = coupling_of(plan.goal, members).offer_at(key)
    return {
        **row,
        "status": delta.status,
        "value": int(delta.value),
        "bound": int(delta.bound),
        "marginal": None if offer is None else [terms.instruments[offer[0]], offer[1]],
        "venues": [
            _venue(party, plan, delta, _problem(party, plan, terms, parties))
            for party in parties
            if party.member.did in delta.cohort
        ],
    }


def _problem(
    party: OpenedParty, plan: OpenedPlan, terms: BasketTerms, parties: Sequence[OpenedParty]
) -> BasketProblem:
    members = [each.member for each in parties]
    return basket_of(terms, members, party.member, party.venue.pin(plan.as_of), party.config)


def _venue(
    party: OpenedParty, plan: OpenedPlan, delta: PlanDelta, problem: BasketProblem
) -> dict[str, Any]:
    """What a venue offered and was to do, and did: lots by instrument, then spend."""
    commit = Query(kind="commit", after=None, multipliers=None, points=delta.solution)
    actions, planned, _ = problem.commit(commit, EMPTY, delta.plan)
    row = {
        "venue": party.member.name,
        "offered": [int(shelf.stack.lots.sum()) for shelf in problem.shelves],
        "planned": planned.tolist(),
    }
    reports = plan.executed.get(party.member.name)
    if reports is None:
        return row
    settle = Query(kind="settle", after=None, multipliers=None, points=())
    acted = Acted(planned, plan.actions.get(party.member.name, actions), reports)
    return {**row, "executed": problem.settle(settle, [acted])[0].tolist()}


def basket_sections(
    rows: Sequence[Mapping[str, Any]], plans: Sequence[OpenedPlan]
) -> tuple[Section, ...]:
    """One section for the plans of each basket, in its own units."""
    made: list[Section] = []
    while rows:
        terms, mode = plans[0].goal.terms, plans[0].mode
        same = [plan.goal.terms == terms and plan.mode == mode for plan in plans]
        count = same.index(False) if False in same else len(same)
        made.append(_section(mode, rows[:count], read_basket(plans[0].goal)))
        rows, plans = rows[count:], plans[count:]
    return tuple(made)


def _section(mode: str, rows: Sequence[Mapping[str, Any]], terms: BasketTerms) -> Section:
    planned = [row for row in rows if row["status"]]
    done = [venue["executed"] for row in planned for venue in row["venues"] if "executed" in venue]
    figures = {
        "budget": _money(terms.budget, terms),
        "plans": str(len(rows)),
        "with a proposal": str(len(planned)),
    }
    if done:
        *lots, spend = (sum(column) for column in zip(*done, strict=True))
        figures |= {
            f"bought, {name}": _amount(each, terms)
            for name, each in zip(terms.instruments, lots, strict=True)
        }
        figures["spent"] = _money(spend, terms)
    return Section(
        title=f"A basket under a budget, {mode}",
        text=TEXT,
        figures=figures,
        columns=("plan", "status", "rounds", "value", "bound", "marginal offer", "venue",
                 *terms.instruments, "planned spend", "because"),
        rows=tuple(
            _cells(row, venue, terms) for row in planned for venue in row["venues"]
        ),
    )  # fmt: skip


def _cells(row: Mapping[str, Any], venue: Mapping[str, Any], terms: BasketTerms) -> tuple[str, ...]:
    *lots, spend = venue["planned"]
    marginal = row["marginal"]
    at = "none" if marginal is None else f"{marginal[0]} at {marginal[1] / terms.price_scale:,.4f}"
    return (
        str(row["k"]),
        row["status"],
        str(row["rounds"]),
        _money(row["value"], terms),
        _money(row["bound"], terms),
        at,
        venue["venue"],
        *(_amount(each, terms) for each in lots),
        _money(spend, terms),
        _because(venue, is_bound=marginal is not None),
    )


def _because(venue: Mapping[str, Any], *, is_bound: bool) -> str:
    offered, planned = sum(venue["offered"]), sum(venue["planned"][:-1])
    if not offered:
        return "it offers nothing below its value"
    if planned == offered:
        return "all that it offers below its value is taken"
    limit = "the budget or a quantity" if is_bound else "a quantity"
    if not planned:
        return f"{limit} is used up by better offers"
    return f"its best offers are taken; {limit} is used up before the others"


def _amount(lots: int, terms: BasketTerms) -> str:
    return f"{float(lots * terms.lot):,.5f}"


def _money(value: int, terms: BasketTerms) -> str:
    """A value in the quote currency."""
    return f"{float(value * terms.lot / terms.price_scale):,.2f}"
