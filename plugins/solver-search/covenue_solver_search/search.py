"""Exact key search: the marginal key of integer offers, from sums alone.

    S(t) = units offered at keys below t      t* = max{t : S(t) < Q}
    plan: everything below t*, and Q - S(t*) units at t*

Source: solvers.md, sections 2(b), 3.2 and 5.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from operator import le

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.solvers import (
    BasketCoupling,
    Choice,
    Coupling,
    KeyedCoupling,
    Solution,
    State,
    Suits,
    Total,
)
from covenue_contracts.contract import Scalar
from covenue_contracts.shared import Capability, Query
from covenue_solver_search import basket
from covenue_solver_search.basket import BasketState, refused
from covenue_solver_search.probing import (
    LEAST_WARM_PROBES,
    MOST_PROBES,
    balanced,
    room,
    spread,
    tiers,
)

AUTO = "auto"


@dataclass(frozen=True)
class WarmKey:
    """What the next plan starts from: the last marginal key, and the tie bits it carries.

    residual: units at the key, None where they are not known.
    """

    key: int
    shift: int
    residual: int | None = None


@dataclass(frozen=True)
class SearchState:
    """A bracket `low <= t* < high` of keys, what is known at both ends, and what is asked next.

    at_low: S(low), always below what is wanted. at_high: S(high), or None before the first total.
    points: the probes of the round now due; the cost word belongs to the first of them. earlier:
    in the first round of a warm start the (t*, residual) of the plan before, else None.
    """

    coupling: KeyedCoupling
    probes: int
    low: int
    at_low: int
    high: int
    at_high: int | None
    points: tuple[int, ...]
    earlier: tuple[int, int] | None = None


@dataclass(frozen=True)
class Depths:
    """One released total, read: rising keys, S at each of them, and the first point's value."""

    keys: list[int]
    at: list[int]
    anchor: int
    value_below_anchor: int

    def __getitem__(self, key: int) -> int:
        """S(key) of a probe."""
        return self.at[bisect_left(self.keys, key)]


class Search:
    """K probes a round; at most ceil(log(range) / log(K + 1)) + 1 rounds from cold.

    Without a K it is chosen by plan, for at most five rounds where the size of a query allows, by
    what round trips and words cost (`probing.balanced`). A BasketCoupling is searched in two
    stages (`basket`).

    The gap is zero, and the certificate is in the same sums: with the multiplier v = the unit
    value at t*, the Lagrangian bound of the linear program (least cost of Q units) is
    v Q - sum max(0, v - c) q. Units below t* cost c <= v and count fully; units at t* or above
    count nothing; what is left is cost(t*) + v (Q - S(t*)), which is the plan's own cost.
    Selling is the mirror image. So `bound` and `value` are one number.

    Refusals: a goal that asks for nothing or cannot be met (no depth, or less than its minimum)
    ends `infeasible`. A total that no integer offers can give (wrong width, negative, falling in
    the key, in conflict with an earlier round), a noised total, or a Choice ends `stalled`: what
    arrives in a round is an event, not an exception.

    `Solution.after` is None: a depth answer leaves no memory, so a commitment starts from none.
    """

    def __init__(self, probes: int | None = None) -> None:
        self.probes = probes

    @classmethod
    def from_options(cls, options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> "Search":
        """Build from `{"probes": K}`, a number or "auto". Raises BadInput, naming the option."""
        for name, value in options.items():
            if name != "probes":
                near = get_close_matches(name, ["probes"]) or ["probes"]
                raise BadInput(
                    f"solver 'search' has no option '{name}'",
                    f"did you mean '{near[0]}'?",
                    field=f"solver.options.{name}",
                    value=str(value),
                )
        probes = options.get("probes", AUTO)
        if probes == AUTO:
            return cls()
        if isinstance(probes, bool) or not isinstance(probes, int):
            raise _bad_probes(probes)
        if not 2 <= probes <= MOST_PROBES:
            raise _bad_probes(probes)
        return cls(probes)

    @property
    def needs(self) -> frozenset[Capability]:
        """Depth at probe keys."""
        return frozenset({"DEPTH"})

    def suits(self, coupling: Coupling, offered: frozenset[Capability]) -> Suits | None:
        """Where offers have keys: exact, so it comes before all others."""
        if not self.needs <= offered:
            return None
        if isinstance(coupling, BasketCoupling):
            return Suits(10, "one budget buys offers at integer prices: two key searches are exact")
        if isinstance(coupling, KeyedCoupling):
            return Suits(10, "offers lie on integer keys, and a key search is exact")
        return None

    def start(self, coupling: Coupling, warm: State | None) -> SearchState | BasketState:
        """Begin with the whole range; a warm state only chooses where the first probes lie.

        Raises CapabilityMissing unless the coupling is a KeyedCoupling or a BasketCoupling.
        """
        if isinstance(coupling, BasketCoupling):
            return basket.start(coupling, self.probes, warm)
        if not isinstance(coupling, KeyedCoupling):
            raise CapabilityMissing(
                "solver 'search' needs offers on integer keys (KeyedCoupling or BasketCoupling)",
                "choose a domain with keyed offers, or another solver",
                field="solver.name",
                value="search",
            )
        first, end = coupling.key_range
        probes = self.probes or balanced(end - first, room(end))
        state = SearchState(coupling, probes, first, 0, end, None, (end,))
        if isinstance(warm, WarmKey) and probes >= LEAST_WARM_PROBES:
            points = tiers(first, end, _rescaled(warm, coupling.key_shift), probes)
            return replace(state, points=points, earlier=_earlier(warm, coupling))
        return replace(state, points=(end, *spread(first, end, probes - 1)))

    def ask(self, state: SearchState | BasketState, digest_of: Callable[[Query], str]) -> Query:
        """The depth query of the round that is due."""
        points = state.points if isinstance(state, SearchState) else basket.points(state)
        return Query(kind="depth", after=None, multipliers=None, points=tuple(map(str, points)))

    def tell(
        self, state: SearchState | BasketState, release: Total | Choice
    ) -> SearchState | BasketState | Solution:
        """Narrow the bracket by one total, or end."""
        if isinstance(state, BasketState):
            return basket.tell(state, release)
        coupling = state.coupling
        depths = _read(state, release)
        if depths is None:
            return refused("stalled", 0)
        end = coupling.key_range[1]
        if state.at_high is None:
            depth = depths[end]
            if coupling.wanted < 1 or depth < max(1, min(coupling.least, coupling.wanted)):
                return refused("infeasible", max(0, coupling.wanted - depth))
        if end in state.points and depths[end] < coupling.wanted:
            return _all_depth(state, depths)
        return _next(_narrowed(state, depths), depths)


def _bad_probes(value: object) -> BadInput:
    return BadInput(
        "the number of probes a round is not usable",
        f'give a whole number from 2 to {MOST_PROBES}, what one entry holds, or "auto"',
        field="solver.options.probes",
        value=str(value),
    )


def _rescaled(warm: WarmKey, shift: int) -> int:
    """An earlier key under today's number of tie bits."""
    return warm.key if warm.shift == shift else (warm.key >> warm.shift) << shift


def _earlier(warm: WarmKey, coupling: KeyedCoupling) -> tuple[int, int] | None:
    """The earlier plan's points, where they mean the same today."""
    if warm.residual is None or warm.shift != coupling.key_shift:
        return None
    return warm.key, warm.residual


def _read(state: SearchState, release: Total | Choice) -> Depths | None:
    """A total as depths by key, or None if no integer offers could have given it.

    All points of a round but the first are rising.
    """
    if not isinstance(release, Total) or not release.exact:
        return None
    values = release.words.tolist()
    if len(values) != len(state.points) + 1:
        return None
    keys, at = list(state.points[1:]), values[1:-1]
    place = bisect_left(keys, state.points[0])
    keys.insert(place, state.points[0])
    at.insert(place, values[0])
    agrees = _agrees(keys[0], at[0], state.low, state.at_low)
    if state.at_high is not None:
        agrees = agrees and _agrees(state.high, state.at_high, keys[-1], at[-1])
    if not agrees or values[-1] < 0 or not all(map(le, at, at[1:])):
        return None
    return Depths(keys, at, state.points[0], values[-1])


def _agrees(key: int, depth: int, lower: int, depth_there: int) -> bool:
    """Whether two depths can be of the same offers; lower <= key."""
    return depth == depth_there if key == lower else depth >= depth_there


def _narrowed(state: SearchState, depths: Depths) -> SearchState:
    """The bracket after a total: the last probe below what is wanted, the first that reaches it."""
    place = bisect_left(depths.at, state.coupling.wanted)
    if place:
        state = replace(state, low=depths.keys[place - 1], at_low=depths.at[place - 1])
    if place < len(depths.at):
        state = replace(state, high=depths.keys[place], at_high=depths.at[place])
    return state


def _next(state: SearchState, depths: Depths) -> SearchState | Solution:
    """The solution if key and cost are both known; else the probes that narrow furthest."""
    if state.high == state.low + 1:
        cost = _value_below(state, depths)
        if cost is not None:
            return _certified(state, cost)
        return replace(state, points=(state.low,), earlier=None)
    points = spread(state.low, state.high, state.probes)
    return replace(state, points=points, earlier=None)


def _value_below(state: SearchState, depths: Depths) -> int | None:
    """The value of all units below `low`, or None if this total does not tell.

    From the anchor on, probes at consecutive keys tell the units at each key, and so their value.
    The anchor may also be the key after `low`: then the units at `low` are taken off again.
    """
    unit_value = state.coupling.unit_value
    keys, at, anchor = depths.keys, depths.at, depths.anchor
    first = bisect_left(keys, anchor)
    if anchor == state.low + 1:
        return depths.value_below_anchor - (at[first] - state.at_low) * unit_value(state.low)
    last = bisect_left(keys, state.low)
    known = last < len(keys) and keys[last] == state.low
    if anchor > state.low or not known or last - first != state.low - anchor:
        return None
    steps = range(first, last)
    between = sum((at[j + 1] - at[j]) * unit_value(keys[j]) for j in steps if at[j + 1] > at[j])
    return depths.value_below_anchor + between


def _certified(state: SearchState, cost: int) -> Solution:
    coupling = state.coupling
    residual = coupling.wanted - state.at_low
    value = cost + residual * coupling.unit_value(state.low)
    return Solution(
        status="certified",
        after=None,
        multipliers=None,
        points=(state.low, residual),
        value=value,
        bound=value,
        shortfall=0,
        warm=WarmKey(state.low, coupling.key_shift, residual),
        stands=state.earlier == (state.low, residual),
    )


def _all_depth(state: SearchState, depths: Depths) -> SearchState | Solution:
    """Less is offered than wanted: plan all of it, and say what is missing."""
    end, depth = state.coupling.key_range[1], depths[state.coupling.key_range[1]]
    if depths.anchor != end:
        return replace(state, high=end, at_high=depth, points=(end,), earlier=None)
    value = depths.value_below_anchor
    return Solution(
        status="certified",
        after=None,
        multipliers=None,
        points=(end, 0),
        value=value,
        bound=value,
        shortfall=state.coupling.wanted - depth,
        warm=None,
    )
