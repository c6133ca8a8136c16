"""Figures of a run with all books opened, outside the cohort: for reports and checks only.

Nothing here took part in planning. Lots are the goal's lots, prices its price units, values one
lot at one price unit; all of them integers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from covenue.errors import StateStale
from covenue.hooks.domains import OpenedParty, OpenedPlan
from covenue.hooks.venues import BookState
from covenue_contracts.local import Outcome
from covenue_contracts.plan import PlanDelta
from covenue_domain_routing.central import OpenedVenue, central_plan
from covenue_domain_routing.goals import Terms, read_terms
from covenue_domain_routing.grid import key_grid
from covenue_domain_routing.ladders import all_in, parse_charges
from covenue_domain_routing.problem import RoutingProblem, problem_of
from covenue_domain_routing.shares import why_share

LAGS = (1, 5, 10)
Orders = Sequence[Sequence[OpenedPlan]]
BPS = 10_000


@dataclass(frozen=True)
class OpenedSplit:
    """One standing plan, opened. problems: by party, in order of slot; None outside the cohort."""

    number: int
    key: int
    lots: tuple[int, ...]
    problems: tuple[RoutingProblem | None, ...]
    terms: Terms
    row: Mapping[str, Any]


def opened_figures(
    plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]
) -> Mapping[str, Any]:
    """`standing` and `executed` figures of a run, as JSON types.

    Where a mode has several orders, its plans are numbered through, each row says which `order` it
    is of (from 0, within the mode), and `orders` holds each order's own figures; the others are
    over all of them, in the orders' own lots and price units.

    A party's venue is asked for its state at each plan's instant; it must not hold what a later
    order took. `OpenedPlan.executed` is keyed by the party's name.
    """
    ordered = sorted(parties, key=lambda party: (party.member.slot, party.member.did))
    standing, executed = orders_of(plans)
    return {"standing": _standing(standing, ordered), "executed": _executed(executed, ordered)}


def plan_figures(plan: OpenedPlan, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    """One standing plan's row, and the venues that its lists are of."""
    ordered = sorted(parties, key=lambda party: (party.member.slot, party.member.did))
    split = _opened_split(plan, ordered)
    nothing = {"status": plan.delta.status if plan.delta else "none"}
    venues = [party.member.name for party in ordered]
    return {"venues": venues, **(split.row if split else nothing)}


def orders_of(plans: Sequence[OpenedPlan]) -> tuple[Orders, Orders]:
    """Plans by order: those of standing orders, and those of executed ones.

    Plans come in the order in which they were opened; an order numbers its own from the start.
    """
    standing: list[list[OpenedPlan]] = []
    executed: list[list[OpenedPlan]] = []
    last: tuple[bool, int] | None = None
    for plan in plans:
        is_standing = plan.mode == "standing"
        orders = standing if is_standing else executed
        if last is None or last[0] != is_standing or plan.number <= last[1]:
            orders.append([])
        orders[-1].append(plan)
        last = (is_standing, plan.number)
    return standing, executed


def _numbered(orders: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of all orders; of several, numbered through and with the number of the order."""
    if len(orders) < 2:
        return [dict(row) for rows in orders for row in rows]
    numbered: list[dict[str, Any]] = []
    for order, rows in enumerate(orders):
        start = numbered[-1]["k"] + 1 if numbered else 0
        numbered += [{**row, "k": start + row["k"], "order": order} for row in rows]
    return numbered


# ---- standing plans


def _standing(orders: Orders, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    splits = [[_opened_split(plan, parties) for plan in order] for order in orders]
    figures = _standing_figures(splits, parties)
    if len(orders) > 1:
        figures["orders"] = [_standing_figures([order], parties) for order in splits]
    return figures


def _opened_split(plan: OpenedPlan, parties: Sequence[OpenedParty]) -> OpenedSplit | None:
    """A standing plan's split, or None where it proposed nothing."""
    if plan.delta is None or not plan.delta.solution:
        return None
    return _split(plan, plan.delta, parties)


def _standing_figures(
    orders: Sequence[Sequence[OpenedSplit | None]], parties: Sequence[OpenedParty]
) -> dict[str, Any]:
    """Figures over orders; a change is one between plans of the same order.

    moved_lots: half of what venues lost and gained together, rounded up: where plans differ in
    size, a lot that comes or goes has moved as well.
    """
    groups = [[split for split in order if split is not None] for order in orders]
    known = [split for group in groups for split in group]
    pairs = [(a, b) for order in orders for a, b in pairwise(order) if a and b]
    moved = [sum(abs(x - y) for x, y in zip(a.lots, b.lots, strict=True)) for a, b in pairs]
    savings = [s.row["saving_vs_best_single_bps"] for s in known]
    savings = [saving for saving in savings if saving is not None]
    return {
        "venues": [party.member.name for party in parties],
        "plans": _numbered([[split.row for split in group] for group in groups]),
        "cost_vs_central_optimum_lots": _sum(known, "central_difference_lots"),
        "cost_vs_central_optimum": _sum(known, "central_difference_cost"),
        "saving_vs_best_single_bps": _mean(savings),
        "changed_share": _mean([int(lots > 0) for lots in moved]),
        "moved_lots": -(-sum(moved) // 2),
        "unfilled_share": {str(lag): _unfilled(orders, lag) for lag in LAGS},
        "rounding_lots": sum(sum(split.row["rounding_lots"]) for split in known),
    }


def _split(plan: OpenedPlan, delta: PlanDelta, parties: Sequence[OpenedParty]) -> OpenedSplit:
    """A standing plan's split, and how it compares with what one could do with all books open."""
    terms = read_terms(plan.goal)
    members = [party.member for party in parties]
    books = [_book(party, plan.as_of, delta) for party in parties]
    problems = tuple(
        None if book is None else problem_of(terms, members, party.member, book, party.config)
        for party, book in zip(parties, books, strict=True)
    )
    key, residual = (int(point) for point in delta.solution)
    shares = [() if problem is None else problem.shares(key, residual) for problem in problems]
    venues = [
        None if book is None else OpenedVenue(party.member.slot, book, party.config)
        for party, book in zip(parties, books, strict=True)
    ]
    lots = tuple(sum(share) for share in shares)
    native = [
        0 if problem is None else problem.native(share).planned
        for problem, share in zip(problems, shares, strict=True)
    ]
    cost = int(delta.value)
    all_taken = int(delta.shortfall) > 0
    price = _worst(problems, shares) if all_taken else key_grid(terms, members).price_of(key)
    central = _compare(terms, parties, books, lots, cost)
    row = {
        "k": plan.number,
        "as_of": str(plan.as_of),
        "status": delta.status,
        "stands": plan.stands,
        "price": price,
        "lots": list(lots),
        "cost": cost,
        "shortfall": int(delta.shortfall),
        "rounds": plan.rounds,
        "bytes": [plan.bytes_left.get(member.name, 0) for member in members],
        "rounding_lots": [a - b for a, b in zip(lots, native, strict=True)],
        "why": [
            why_share(venue, terms, key_grid(terms, members), key, share)
            for venue, share in zip(venues, lots, strict=True)
        ],
        **central,
    }
    return OpenedSplit(plan.number, key, lots, problems, terms, row)


def _book(party: OpenedParty, as_of: int, delta: PlanDelta) -> BookState | None:
    """A cohort member's book at the plan's instant; None for who was not in the cohort."""
    if party.member.did not in delta.cohort:
        return None
    state = party.venue.pin(as_of).state
    return state if isinstance(state, BookState) else None


def _worst(
    problems: Sequence[RoutingProblem | None], shares: Sequence[tuple[int, ...]]
) -> int | None:
    """The worst price that was filled, when everything on offer was."""
    worst = [
        (int(problem.ladder.keys[len(share) - 1]), int(problem.ladder.prices[len(share) - 1]))
        for problem, share in zip(problems, shares, strict=True)
        if problem is not None and share
    ]
    return max(worst)[1] if worst else None


def _compare(
    terms: Terms,
    parties: Sequence[OpenedParty],
    books: Sequence[BookState | None],
    lots: Sequence[int],
    cost: int,
) -> dict[str, Any]:
    """Against the central optimum and the best single venue, by independent code."""
    sign = 1 if terms.side == "buy" else -1
    opened = [
        (index, OpenedVenue(party.member.slot, book, party.config))
        for index, (party, book) in enumerate(zip(parties, books, strict=True))
        if book is not None
    ]
    central = central_plan([venue for _, venue in opened], terms)
    optimum = [0] * len(parties)
    for (index, _), amount in zip(opened, central.lots, strict=True):
        optimum[index] = amount
    alone = [(index, central_plan([venue], terms)) for index, venue in opened]
    able = [(sign * plan.value, index) for index, plan in alone if plan.missing == 0]
    best = min(able) if able else None
    single = None if best is None else sign * best[0]
    saving = None if not single else float(round(Fraction(sign * (single - cost) * BPS, single), 9))
    return {
        "central_lots": optimum,
        "central_cost": central.value,
        "central_difference_lots": sum(abs(a - b) for a, b in zip(lots, optimum, strict=True)),
        "central_difference_cost": sign * (cost - central.value),
        "best_single": None if best is None else parties[best[1]].member.name,
        "best_single_cost": single,
        "saving_vs_best_single_bps": saving,
    }


def _unfilled(orders: Sequence[Sequence[OpenedSplit | None]], lag: int) -> float | None:
    """Mean part of an order that limits set `lag` plans ago would leave unfilled on today's books.

    Each venue gets the lots of the old plan with the old marginal key as its limit.
    """
    pairs = [pair for order in orders for pair in zip(order, order[lag:], strict=False)]
    shares = [_unfilled_part(old, now) for old, now in pairs if old and now]
    known = [share for share in shares if share is not None]
    return _mean(known)


def _unfilled_part(old: OpenedSplit, now: OpenedSplit) -> Fraction | None:
    if old.terms.wanted < 1:
        return None
    missing = 0
    for lots, problem in zip(old.lots, now.problems, strict=True):
        offered = 0 if problem is None else _offered(problem, old.key)
        missing += max(0, lots - offered)
    return Fraction(missing, old.terms.wanted)


def _offered(problem: RoutingProblem, key: int) -> int:
    place = int(np.searchsorted(problem.ladder.keys, key, side="right"))
    return int(problem.ladder.lots_before[place])


def _sum(splits: Sequence[OpenedSplit], column: str) -> int:
    return sum(int(split.row[column]) for split in splits)


def _mean(values: Sequence[Any]) -> float | None:
    """The exact mean, rounded once; None of nothing."""
    if not values:
        return None
    return float(round(sum(map(Fraction, values), Fraction(0)) / len(values), 9))


# ---- executed plans


def _executed(orders: Orders, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    """What was filled, at the fills' own prices with the parties' own charges."""
    rows = [[_filled(plan, parties) for plan in order] for order in orders]
    figures = _executed_figures(orders, rows, parties)
    if len(orders) > 1:
        pairs = zip(orders, rows, strict=True)
        figures["orders"] = [_executed_figures([o], [r], parties) for o, r in pairs]
    return figures


def _executed_figures(
    orders: Orders, by_order: Sequence[Sequence[dict[str, Any]]], parties: Sequence[OpenedParty]
) -> dict[str, Any]:
    plans = [plan for order in orders for plan in order]
    rows = _numbered(by_order)
    return {
        "venues": [party.member.name for party in parties],
        "filled_lots": sum(sum(row["lots"]) for row in rows),
        "plans": len(plans),
        "go": sum(plan.went for plan in plans),
        "void": sum(plan.closed.startswith("void") for plan in plans),
        "cost": sum(row["cost"] for row in rows),
        "fills": rows,
    }


def _filled(plan: OpenedPlan, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    terms = read_terms(plan.goal)
    lots: list[int] = []
    cost = 0
    for party in parties:
        named = plan.executed.get(party.member.name, ())
        fills = [fill for outcome in named for fill in outcome.fills]
        lots.append(sum(int(fill.units) for fill in fills))
        cost += _cost(named, terms, party, plan.as_of) if fills else 0
    return {
        "k": plan.number,
        "wanted_lots": terms.wanted,
        "left_lots": terms.left,
        "lots": lots,
        "cost": cost,
    }


def _cost(outcomes: Sequence[Outcome], terms: Terms, party: OpenedParty, as_of: int) -> int:
    """All-in value of a party's fills, each at its own price."""
    fills = [fill for outcome in outcomes for fill in outcome.fills]
    ticks = np.array([int(fill.price_ticks) for fill in fills], dtype=np.int64)
    instrument = _instrument_at(party.venue.pin, as_of)
    prices = all_in(ticks, instrument, terms, parse_charges(party.config))
    return sum(price * int(fill.units) for price, fill in zip(prices, fills, strict=True))


def _instrument_at(pin: Callable[[int], Any], as_of: int) -> Any:
    """The instrument of a venue that filled at that instant, so its state was usable then."""
    try:
        return pin(as_of).state.instrument
    except StateStale as error:
        raise StateStale(
            "a venue that filled an order has no usable state at that plan's instant",
            "give the capture that the run was made with",
        ) from error
