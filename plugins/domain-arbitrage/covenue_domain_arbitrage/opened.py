"""What a run came to, with all venues opened outside the cohort, checked by arithmetic of its own.

Weak duality needs no second solver: whatever multipliers a plan ends at, no plan at all is worth
more than the dual value there. Here it is recomputed in exact integers from every pool and level,
and every swap of the plan is held against the pool's invariant. A plan that continues from what
only its parties remember (`after`) has no actions that others could work out: there the totals that
were claimed are checked, which at no multipliers may be worth more than the venues could make.
Source: solvers.md, section 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from statistics import median
from typing import Any

from covenue.hooks.domains import EMPTY, OpenedParty, OpenedPlan
from covenue.hooks.venues import BookState, PoolBatch
from covenue_contracts.local import Actions, Fill, Outcome
from covenue_contracts.plan import PlanDelta
from covenue_contracts.shared import Query
from covenue_domain_arbitrage.goals import MULTIPLIER_BITS, Terms, read_terms
from covenue_domain_arbitrage.pools import PPM
from covenue_domain_arbitrage.problem import ArbitrageProblem, BookOffers, problem_of
from covenue_domain_arbitrage.shares import ABSENT, REMEMBERED, why_share

SHOWN_PLACES = 9
GUARD_BITS = 40
PROBED = 1000


@dataclass(frozen=True)
class Checked:
    """A plan recomputed with everything opened: exact sums in the unit of account.

    net: of every asset, in units. value: at the references. dual: what no plan can pass. why: each
    party's share. attained: whether the venues could deliver the net amounts, as far as multipliers
    show it.
    """

    net: tuple[Fraction, ...]
    value: Fraction
    dual: Fraction
    active: int
    why: tuple[Mapping[str, Any], ...]
    attained: bool = True


def opened_figures(
    plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]
) -> Mapping[str, Any]:
    """Figures of a run, as JSON types; amounts of value are decimal texts.

    `gap` is the greatest certified gap of any plan, relative to its bound or, where that is less,
    to the goal's floor: a small plan is no more exact than the floor asks. `uncertified` counts
    plans that ended without certificate; `certificate_holds` says whether every standing plan that
    was recomputed bears out its value and its bound.
    """
    ordered = sorted(parties, key=lambda party: (party.member.slot, party.member.did))
    standing = [plan for plan in plans if plan.mode == "standing"]
    executed = [plan for plan in plans if plan.mode != "standing"]
    rows = [_standing_row(plan, ordered) for plan in standing if plan.delta is not None]
    solved = [plan for plan in plans if plan.delta is not None]
    gaps = [gap_of(p) for p in solved if p.delta and p.delta.status == "certified"]
    replans = [plan.delta.rounds for plan in solved[1:] if plan.delta]
    filled = _executed(executed, ordered)
    return {
        "pools": _count(plans, ordered),
        "gap": max(gaps, default=None),
        "uncertified": len(solved) - len(gaps),
        "replan_rounds_median": float(median(replans)) if replans else None,
        "profit": filled["profit"] if executed else (rows[-1]["profit"] if rows else "0"),
        "certificate_holds": all(row["holds"] for row in rows),
        "standing": {"venues": [party.member.name for party in ordered], "plans": rows},
        "executed": filled,
    }


def plan_figures(plan: OpenedPlan, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    """One standing plan's row, and the venues that its lists are of."""
    ordered = sorted(parties, key=lambda party: (party.member.slot, party.member.did))
    venues = [party.member.name for party in ordered]
    row = {"status": "none"} if plan.delta is None else _standing_row(plan, ordered)
    return {"venues": venues, **row}


def gap_of(plan: OpenedPlan) -> float:
    """A plan's gap over its bound, or over the goal's floor where there is less to take."""
    if plan.delta is None:
        return 0.0
    return int(plan.delta.gap) / max(read_terms(plan.goal).floor, abs(int(plan.delta.bound)))


def _count(plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]) -> int:
    """Pools of all parties when the first plan opened; a book counts as none."""
    if not plans:
        return 0
    states = [party.venue.pin(plans[0].as_of).state for party in parties]
    return sum(len(state.pools) for state in states if isinstance(state, PoolBatch))


# ---- standing plans, recomputed


def _standing_row(plan: OpenedPlan, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    delta = plan.delta
    assert delta is not None  # noqa: S101 -- only called for plans with a proposal
    terms = read_terms(plan.goal)
    unit = 2**terms.value_bits
    checked = check_plan(plan, delta, terms, parties) if delta.multipliers is not None else None
    row = {
        "k": plan.number,
        "as_of": str(plan.as_of),
        "status": delta.status,
        "stands": plan.stands,
        "profit": decimal(Fraction(int(delta.value), unit)),
        "bound": decimal(Fraction(int(delta.bound), unit)),
        "gap": gap_of(plan),
        "rounds": delta.rounds,
        "bytes": [plan.bytes_left.get(party.member.name, 0) for party in parties],
    }
    if checked is None:
        return {
            **row,
            "active": 0,
            "why": [],
            "opened_profit": None,
            "opened_bound": None,
            "holds": True,
        }
    return {
        **row,
        "active": checked.active,
        "why": list(checked.why),
        "opened_profit": decimal(checked.value),
        "opened_bound": decimal(checked.dual),
        "holds": _holds(delta, terms, checked),
    }


def _holds(delta: PlanDelta, terms: Terms, checked: Checked) -> bool:
    """Whether the opened plan is feasible and worth what was claimed, and no bound is passed."""
    scale = 2**terms.scale_bits
    rows = zip(checked.net, terms.least, terms.remaining, strict=True)
    feasible = all(low <= net * scale <= high + 1 for net, low, high in rows)
    value, bound = (Fraction(int(part), 2**terms.value_bits) for part in (delta.value, delta.bound))
    within = checked.value >= value and checked.dual >= value and bound >= value
    return feasible and within and checked.attained


def check_plan(
    plan: OpenedPlan, delta: PlanDelta, terms: Terms, parties: Sequence[OpenedParty]
) -> Checked:
    """Every member's actions at the plan's multipliers, and the dual value there."""
    if delta.after is not None:
        return _check_claimed(plan, delta, terms, parties)
    assert delta.multipliers is not None  # noqa: S101 -- only plans that ended at multipliers
    multipliers = tuple(int(value) for value in delta.multipliers.values)
    query = Query(kind="commit", after=None, multipliers=delta.multipliers, points=delta.solution)
    net = [Fraction(0)] * len(terms.assets)
    dual = _public_dual(terms, multipliers)
    active, why = 0, []
    for party in parties:
        if party.member.did not in delta.cohort:
            why.append(ABSENT)
            continue
        state = party.venue.pin(plan.as_of).state
        problem = problem_of(terms, len(parties), state, party.config)
        actions, _, _ = problem.commit(query, EMPTY, "0" * 64)
        active += len(actions.swaps) + len(actions.legs)
        own = [Fraction(0)] * len(terms.assets)
        for place, amount in _moved(problem, terms, state, actions):
            own[place] += amount
        net = [a + b for a, b in zip(net, own, strict=True)]
        why.append(_why(state, actions, decimal(_worth(terms.references, own))))
        dual += _dual(problem, terms, state, multipliers)
    value = _worth(terms.references, net)
    return Checked(tuple(net), value, dual, active, tuple(why))


def _why(state: Any, actions: Actions, value: str) -> dict[str, Any]:
    if isinstance(state, PoolBatch):
        return why_share(len(state.pools), len(actions.swaps), "pools", value)
    sides = zip((state.asks, state.bids), ("buy", "sell"), strict=True)
    acting = sum(_reached(levels, side, actions) for levels, side in sides)
    return why_share(len(state.asks) + len(state.bids), acting, "levels", value)


def _reached(levels: Any, side: str, actions: Actions) -> int:
    """Levels of one side that a plan's leg takes from."""
    left = sum(int(leg.quantity_steps) for leg in actions.legs if leg.side == side)
    count = 0
    for _, steps in levels.tolist():
        if left <= 0:
            break
        left, count = left - steps, count + 1
    return count


def _check_claimed(
    plan: OpenedPlan, delta: PlanDelta, terms: Terms, parties: Sequence[OpenedParty]
) -> Checked:
    """The totals of a plan whose parts only its parties remember, at multipliers near and far."""
    assert delta.multipliers is not None  # noqa: S101 -- only plans that ended at multipliers
    multipliers = tuple(int(value) for value in delta.multipliers.values)
    unit = 2**terms.scale_bits
    net = tuple(Fraction(int(word), unit) for word in delta.solution[: len(terms.assets)])
    held = [
        (problem_of(terms, len(parties), state, party.config), state)
        for party in parties
        if party.member.did in delta.cohort
        for state in (party.venue.pin(plan.as_of).state,)
    ]

    def phi(at: Sequence[int]) -> Fraction:
        parts = (_dual(problem, terms, state, at) for problem, state in held)
        return sum(parts, Fraction(0))

    return Checked(
        net,
        _worth(terms.references, net),
        _public_dual(terms, multipliers) + phi(multipliers),
        active=0,
        why=tuple(REMEMBERED if p.member.did in delta.cohort else ABSENT for p in parties),
        attained=all(_worth(at, net) <= phi(at) for at in _probes(terms, multipliers)),
    )


def _probes(terms: Terms, multipliers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The plan's multipliers, the references, and each asset alone a little up and down."""
    yield tuple(multipliers)
    yield terms.references
    for place, value in enumerate(multipliers):
        for shifted in (value - value // PROBED, value + value // PROBED):
            yield (*multipliers[:place], shifted, *multipliers[place + 1 :])


def _worth(prices: Sequence[int], net: Sequence[Fraction]) -> Fraction:
    """What net amounts are worth at prices on the grid 2^-40."""
    rows = zip(prices, net, strict=True)
    return sum((Fraction(p, 2**MULTIPLIER_BITS) * n for p, n in rows), Fraction(0))


def _public_dual(terms: Terms, multipliers: Sequence[int]) -> Fraction:
    """The part of the dual that everybody knows: what the bounds allow at these multipliers."""
    total = 0
    rows = zip(terms.references, multipliers, terms.least, terms.remaining, strict=True)
    for reference, multiplier, low, high in rows:
        total += max((reference - multiplier) * low, (reference - multiplier) * max(low, high))
    return Fraction(total, 2 ** (MULTIPLIER_BITS + terms.scale_bits))


def _moved(
    problem: ArbitrageProblem, terms: Terms, state: Any, actions: Actions
) -> Iterator[tuple[int, Fraction]]:
    """(coordinate, units) of everything that the actions pay and get."""
    places = {asset: place for place, asset in enumerate(terms.assets)}
    if isinstance(state, PoolBatch):
        rows = {name: row for row, name in enumerate(state.pools)}
        names = [asset.name for asset in state.assets]
        for swap in actions.swaps:
            row, paid, received = rows[swap.pool], int(swap.paid), int(swap.least)
            side = 0 if names[int(state.sides[row, 0])] == swap.pays else 1
            _check_invariant(state, row, side, paid, received)
            given, got = (state.assets[int(state.sides[row, s])] for s in (side, 1 - side))
            yield places[swap.pays], Fraction(-paid, 10**given.decimals)
            yield places[swap.gets], Fraction(received, 10**got.decimals)
    elif isinstance(problem.offers, BookOffers):
        for place, words in enumerate(problem.offers.executed(actions, _at_levels(state, actions))):
            yield place, Fraction(int(words), 2**terms.scale_bits)


def _check_invariant(state: PoolBatch, row: int, side: int, paid: int, received: int) -> None:
    """After the fee, the product of the reserves does not fall, and a range gives what it has."""
    most = None if state.available is None else int(state.available[row, 1 - side])
    r_in, r_out = int(state.reserves[row, side]), int(state.reserves[row, 1 - side])
    kept = PPM - int(state.fee_ppm[row])
    falls = (r_in * PPM + paid * kept) * (r_out - received) < r_in * r_out * PPM
    if falls or (most is not None and received > most):
        message = f"pool {state.pools[row]} cannot give {received} for {paid}"
        raise AssertionError(message)


def _at_levels(state: BookState, actions: Actions) -> tuple[Outcome, ...]:
    """The legs filled level by level, as an immediate-or-cancel order would be."""
    fills: list[Fill] = []
    for number, leg in enumerate(actions.legs):
        left = int(leg.quantity_steps)
        for ticks, steps in (state.asks if leg.side == "buy" else state.bids).tolist():
            taken = min(left, steps)
            left -= taken
            if taken:
                fills.append(Fill(leg=number, price_ticks=str(ticks), quantity_steps=str(taken),
                                  units=str(taken)))  # fmt: skip
    return (Outcome(order="0" * 64, status="done", fills=tuple(fills), swaps=(), reason=None),)


def _dual(
    problem: ArbitrageProblem, terms: Terms, state: Any, multipliers: Sequence[int]
) -> Fraction:
    if isinstance(state, PoolBatch):
        return _pool_dual(terms, state, multipliers)
    assert isinstance(problem.offers, BookOffers)  # noqa: S101 -- there is no third sort of offers
    book = problem.offers.book
    v_base = Fraction(multipliers[book.base], 2**MULTIPLIER_BITS)
    v_quote = Fraction(multipliers[book.quote], 2**MULTIPLIER_BITS)
    tick = Fraction(book.instrument.tick)
    total = Fraction(0)
    for levels, sign in ((state.asks, 1), (state.bids, -1)):
        for ticks, steps in levels.tolist():
            price = ticks * tick * (1 + sign * book.fee)
            total += max(Fraction(0), sign * (v_base - price * v_quote)) * steps * book.step
    return total


def _pool_dual(terms: Terms, state: PoolBatch, multipliers: Sequence[int]) -> Fraction:
    """What all pools can make of multipliers, each rounded up in integers."""
    places = {asset: place for place, asset in enumerate(terms.assets)}
    of_asset = [(multipliers[places[a.name]], 10**a.decimals) for a in state.assets]
    shift = 2**GUARD_BITS
    total = 0
    limits = state.reserves if state.available is None else state.available
    columns = (state.sides, state.reserves, limits, state.fee_ppm)
    for sides, reserves, most, fee in zip(*(c.tolist() for c in columns), strict=True):
        worth = [
            of_asset[side][0] * reserve * shift // of_asset[side][1]
            for side, reserve in zip(sides, reserves, strict=True)
        ]
        for pays, gets in ((0, 1), (1, 0)):
            up, down = worth[gets], worth[pays] * PPM // (PPM - fee)
            total += _phi(up, down, reserves[gets], most[gets])
    return Fraction(total, 2**MULTIPLIER_BITS * shift)


def _phi(up: int, down: int, reserve: int, most: int) -> int:
    """(sqrt(A) - sqrt(B))^2 = A + B - 2 sqrt(AB), or what a range gives that gives all it has.

    up, down: A, what the reserve is worth that is paid out, and B, the other's over 1 - fee.
    """
    if up <= down or not most:
        return 0
    left = reserve - most
    if up * left * left >= down * reserve * reserve:
        return up * most // reserve - down * most // left + 4
    return up + down + 4 - 2 * isqrt(up * down)


# ---- executed plans


def _executed(plans: Sequence[OpenedPlan], parties: Sequence[OpenedParty]) -> dict[str, Any]:
    """What was done: by plan, and the position that it left, at the references."""
    rows = [_done(plan, parties) for plan in plans]
    position: dict[str, Fraction] = {}
    for row in rows:
        for asset, amount in row.pop("net").items():
            position[asset] = position.get(asset, Fraction(0)) + amount
    return {
        "plans": len(plans),
        "go": sum(plan.went for plan in plans),
        "void": sum(plan.closed.startswith("void") for plan in plans),
        "fills": rows,
        "profit": decimal(sum((Fraction(row["profit"]) for row in rows), Fraction(0))),
        "position": {asset: decimal(amount) for asset, amount in sorted(position.items())},
        "owed": sorted(asset for asset, amount in position.items() if amount < 0),
    }


def _done(plan: OpenedPlan, parties: Sequence[OpenedParty]) -> dict[str, Any]:
    terms = read_terms(plan.goal)
    net = [Fraction(0)] * len(terms.assets)
    swaps = 0
    for party in parties:
        name = party.member.name
        if name not in plan.actions:
            continue
        outcomes = plan.executed.get(name, ())
        problem = problem_of(terms, len(parties), party.venue.pin(plan.as_of).state, party.config)
        swaps += sum(len(o.swaps) + len(o.fills) for o in outcomes)
        done = problem.offers.executed(plan.actions[name], outcomes)
        for place, words in enumerate(done.tolist()):
            net[place] += Fraction(words, 2**terms.scale_bits)
    value = _worth(terms.references, net)
    named = {asset: amount for asset, amount in zip(terms.assets, net, strict=True) if amount}
    return {"k": plan.number, "fills": swaps, "profit": decimal(value), "net": named}


def decimal(amount: Fraction) -> str:
    """A value as text of nine places, rounded once."""
    scaled = round(amount * 10**SHOWN_PLACES)
    sign, digits = ("-" if scaled < 0 else ""), str(abs(scaled)).rjust(SHOWN_PLACES + 1, "0")
    return f"{sign}{digits[:-SHOWN_PLACES]}.{digits[-SHOWN_PLACES:]}"
