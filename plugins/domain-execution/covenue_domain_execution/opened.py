"""What a run came to, with all venues opened outside the cohort: schedules, fills, certificates."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any

from covenue.hooks.domains import OpenedParty, OpenedPlan
from covenue_contracts.plan import PlanDelta
from covenue_contracts.shared import Query
from covenue_domain_execution.central import Checked, check
from covenue_domain_execution.goals import BPS, GRID, Terms, read_terms
from covenue_domain_execution.kernels import Integers, Rows
from covenue_domain_execution.problem import ExecutionProblem, problem_of
from covenue_domain_execution.shares import why_share

SHOWN_PLACES = 9


def opened_figures(
    plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]
) -> Mapping[str, Any]:
    """Figures of a run, as JSON types; amounts are lots, money is decimal text.

    `gap` is the greatest certified gap of any plan, relative to its bound or the goal's floor;
    `uncertified` counts plans that ended without certificate; `certificate_holds` says whether
    every standing plan, recomputed in fractions, can be carried out, places every lot, is worth
    what was claimed, and no dual value contradicts its bound. A plan that was executed changed the
    books that it was made on, so only its claims are shown.
    """
    ordered = sorted(parties, key=lambda party: (party.member.slot, party.member.did))
    solved = [plan for plan in plans if plan.delta is not None and plan.delta.multipliers]
    rows = [_row(plan, ordered) for plan in solved]
    certified = [row for row in rows if row["status"] == "certified"]
    executed = [plan for plan in plans if plan.mode != "standing"]
    return {
        "gap": max((row["gap"] for row in certified), default=None),
        "uncertified": len(rows) - len(certified),
        "certificate_holds": all(row["holds"] is not False for row in certified),
        "venues": [party.member.name for party in ordered],
        "plans": rows,
        "executed": _executed(executed, ordered) if executed else None,
    }


def plan_figures(plan: OpenedPlan, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    """One standing plan's row, and the venues that its lists are of."""
    ordered = sorted(parties, key=lambda party: (party.member.slot, party.member.did))
    venues = [party.member.name for party in ordered]
    if plan.delta is None or not plan.delta.multipliers:
        return {"venues": venues, "status": plan.delta.status if plan.delta else "none"}
    return {"venues": venues, **_row(plan, ordered)}


def _row(plan: OpenedPlan, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    delta = plan.delta
    assert delta is not None  # noqa: S101 -- only called for plans with a proposal
    terms = read_terms(plan.goal)
    unit = 2**terms.value_bits
    floor = max(terms.floor, abs(int(delta.bound)))
    row = {
        "k": plan.number,
        "mode": plan.mode,
        "as_of": str(plan.as_of),
        "status": delta.status,
        "rounds": delta.rounds,
        "wanted": terms.wanted,
        "target": list(terms.remaining),
        "value": decimal(int(delta.value) * terms.lot / unit),
        "bound": decimal(int(delta.bound) * terms.lot / unit),
        "gap": int(delta.gap) / floor,
        "bytes": [plan.bytes_left.get(party.member.name, 0) for party in parties],
    }
    if plan.mode != "standing":
        return {**row, "schedule": None, "lots": [], "why": [], "lot_gap": None, "holds": None}
    opened = [_opened(plan, delta, terms, party, parties) for party in parties]
    multipliers = [int(value) for value in delta.multipliers.values] if delta.multipliers else []
    checked = check(terms, multipliers, [each for each in opened if each is not None])
    why = [why_share(*(each or (None, None))) for each in opened]
    return {
        **row,
        "schedule": list(checked.by_slice),
        "lots": [sum(share["lots"]) for share in why],
        "why": why,
        "lot_gap": float(max(Fraction(0), checked.dual - checked.value) * unit / floor),
        "holds": _holds(delta, terms, checked),
    }


def _opened(
    plan: OpenedPlan,
    delta: PlanDelta,
    terms: Terms,
    party: OpenedParty,
    parties: Sequence[OpenedParty],
) -> tuple[Rows, Integers] | None:
    """A cohort member's venues and its schedule; None for who was not in the cohort."""
    if party.member.did not in delta.cohort:
        return None
    query = Query(kind="commit", after=None, multipliers=delta.multipliers, points=delta.solution)
    problem = _problem(plan, terms, party, parties)
    return problem.rows, problem.schedule(query)


def _problem(
    plan: OpenedPlan, terms: Terms, party: OpenedParty, parties: Sequence[OpenedParty]
) -> ExecutionProblem:
    members = [each.member for each in parties]
    return problem_of(terms, members, party.member, party.venue.pin(plan.as_of), party.config)


def _holds(delta: PlanDelta, terms: Terms, checked: Checked) -> bool:
    """Whether the plan can be carried out, is worth its value, and no less than no plan passes."""
    unit = 2**terms.value_bits
    value, bound = Fraction(int(delta.value), unit), Fraction(int(delta.bound), unit)
    return checked.feasible and value <= checked.value <= min(checked.dual, bound)


# ---- executed plans


def _executed(plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]) -> dict[str, Any]:
    """Lots by slice against the target, and what each venue's fills cost beyond arrival."""
    terms = read_terms(plans[0].goal)
    done = [0] * terms.size
    names = [party.member.name for party in parties]
    lots = dict.fromkeys(names, 0)
    shortfall = dict.fromkeys(names, Fraction(0))
    for plan in plans:
        due = terms.due(plan.as_of)
        for party in parties:
            filled, cost = _filled(plan, terms, party, parties)
            done[due] += filled
            lots[party.member.name] += filled
            shortfall[party.member.name] += cost
    notional = sum(done) * terms.lot * Fraction(terms.price, GRID)
    total = sum(shortfall.values(), Fraction(0))
    return {
        "plans": len(plans),
        "go": sum(plan.went for plan in plans),
        "void": sum(plan.closed.startswith("void") for plan in plans),
        "quantity": terms.quantity,
        "filled": sum(done),
        "target": list(terms.target),
        "done": list(accumulate(done)),
        "lots": lots,
        "shortfall": {name: decimal(amount) for name, amount in shortfall.items()},
        "shortfall_total": decimal(total),
        "shortfall_bps": float(total * BPS / notional) if notional else 0.0,
    }


def _filled(
    plan: OpenedPlan, terms: Terms, party: OpenedParty, parties: Sequence[OpenedParty]
) -> tuple[int, Fraction]:
    """Lots of one party's fills, and what they cost beyond the arrival price, fees included."""
    fills = [fill for outcome in plan.executed.get(party.member.name, ()) for fill in outcome.fills]
    if not fills:
        return 0, Fraction(0)
    venue = _problem(plan, terms, party, parties).venue
    assert venue is not None  # noqa: S101 -- fills come from a book
    sign = 1 if terms.side == "buy" else -1
    arrival, cost = Fraction(terms.price, GRID), Fraction(0)
    for fill in fills:
        paid = int(fill.price_ticks) * Fraction(venue.instrument.tick) * (1 + sign * venue.fee)
        cost += sign * (paid - arrival) * int(fill.quantity_steps) * terms.lot / venue.steps
    return sum(int(fill.units) for fill in fills), cost


def decimal(amount: Fraction) -> str:
    """Money as text of nine places, rounded once."""
    scaled = round(amount * 10**SHOWN_PLACES)
    sign, digits = ("-" if scaled < 0 else ""), str(abs(scaled)).rjust(SHOWN_PLACES + 1, "0")
    return f"{sign}{digits[:-SHOWN_PLACES]}.{digits[-SHOWN_PLACES:]}"
