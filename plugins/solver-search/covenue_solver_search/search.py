"""Exact key search: the marginal key of integer offers, from sums alone.

    S(t) = units offered at keys below t      t* = max{t : S(t) < Q}
    plan: everything below t*, and Q - S(t*) units at t*

Source: solvers.md, sections 2(b), 3.2 and 5.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import pairwise

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.solvers import (
    QUERY_BYTES_MAX,
    Choice,
    Coupling,
    KeyedCoupling,
    Solution,
    State,
    Suits,
    Total,
)
from covenue.numerics.words import integers
from covenue_contracts.contract import INTEGER_DIGITS, Scalar
from covenue_contracts.plan import SolutionStatus
from covenue_contracts.shared import Capability, Query

DEFAULT_PROBES = 255
LONGEST_KEY = len('"",') + INTEGER_DIGITS
QUERY_FRAME = 128
MOST_PROBES = (QUERY_BYTES_MAX - QUERY_FRAME) // LONGEST_KEY
"""As many keys as a query holds whatever their length, and so as its entry does."""
LEAST_WARM_PROBES = 8


@dataclass(frozen=True)
class WarmKey:
    """What the next plan starts from: the last marginal key, the tie bits it carries, its units.

    residual: units taken at the key, never 0 in a plan; 0 where it is not known.
    """

    key: int
    shift: int
    residual: int = 0


@dataclass(frozen=True)
class SearchState:
    """A bracket `low <= t* < high` of keys, what is known at both ends, and what is asked next.

    at_low: S(low), always below what is wanted. at_high: S(high), or None before the first total.
    points: the probes of the round now due; the cost word belongs to the first of them. before:
    what the plan started from.
    """

    coupling: KeyedCoupling
    probes: int
    low: int
    at_low: int
    high: int
    at_high: int | None
    points: tuple[int, ...]
    before: WarmKey | None = None


@dataclass(frozen=True)
class Depths:
    """One released total, read: S at each probe in order of key, and the first point's value."""

    at: tuple[tuple[int, int], ...]
    anchor: int
    value_below_anchor: int

    def __getitem__(self, key: int) -> int:
        """S(key) of a probe."""
        return dict(self.at)[key]


class Search:
    """K probes a round; at most ceil(log(range) / log(K + 1)) + 1 rounds from cold.

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

    def __init__(self, probes: int = DEFAULT_PROBES) -> None:
        self.probes = probes

    @classmethod
    def from_options(cls, options: Mapping[str, Scalar | tuple[Scalar, ...]]) -> "Search":
        """Build from `{"probes": K}`. Raises BadInput, naming the option and its value."""
        for name, value in options.items():
            if name != "probes":
                near = get_close_matches(name, ["probes"]) or ["probes"]
                raise BadInput(
                    f"solver 'search' has no option '{name}'",
                    f"did you mean '{near[0]}'?",
                    field=f"solver.options.{name}",
                    value=str(value),
                )
        probes = options.get("probes", DEFAULT_PROBES)
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
        if not isinstance(coupling, KeyedCoupling) or not self.needs <= offered:
            return None
        return Suits(10, "offers lie on integer keys, and a key search is exact")

    def start(self, coupling: Coupling, warm: State | None) -> SearchState:
        """Begin with the whole range; a WarmKey only chooses where the first probes lie.

        Raises CapabilityMissing unless the coupling is a KeyedCoupling.
        """
        if not isinstance(coupling, KeyedCoupling):
            raise CapabilityMissing(
                "solver 'search' needs offers on one axis of integer keys (KeyedCoupling)",
                "choose a domain with keyed offers, or another solver",
                field="solver.name",
                value="search",
            )
        first, end = coupling.key_range
        state = SearchState(coupling, self.probes, first, 0, end, None, (end,))
        if isinstance(warm, WarmKey) and self.probes >= LEAST_WARM_PROBES:
            points = _warm_points(state, _rescaled(warm, coupling.key_shift))
            return replace(state, points=points, before=warm)
        spread = _spread(first, end, self.probes - 1)
        return replace(state, points=(end, *spread))

    def ask(self, state: SearchState, digest_of: Callable[[Query], str]) -> Query:
        """The depth query of the round that is due."""
        return Query(
            kind="depth",
            after=None,
            multipliers=None,
            points=tuple(str(point) for point in state.points),
        )

    def tell(self, state: SearchState, release: Total | Choice) -> SearchState | Solution:
        """Narrow the bracket by one total, or end."""
        coupling = state.coupling
        depths = _read(state, release)
        if depths is None:
            return _refused(state, "stalled", 0)
        end = coupling.key_range[1]
        if state.at_high is None:
            depth = depths[end]
            if coupling.wanted < 1 or depth < max(1, min(coupling.least, coupling.wanted)):
                return _refused(state, "infeasible", max(0, coupling.wanted - depth))
        if end in state.points and depths[end] < coupling.wanted:
            return _all_depth(state, depths)
        return _next(_narrowed(state, depths), depths)


def _bad_probes(value: object) -> BadInput:
    return BadInput(
        "the number of probes a round is not usable",
        f"give a whole number from 2 to {MOST_PROBES}, what one entry holds; {DEFAULT_PROBES} is "
        "usual",
        field="solver.options.probes",
        value=str(value),
    )


def _rescaled(warm: WarmKey, shift: int) -> int:
    """An earlier key under today's number of tie bits."""
    return warm.key if warm.shift == shift else (warm.key >> warm.shift) << shift


def _spread(low: int, high: int, count: int) -> tuple[int, ...]:
    """At most `count` keys strictly between low and high, as evenly as integers allow."""
    width = high - low
    if width - 1 <= count:
        return tuple(range(low + 1, high))
    return tuple(low + width * j // (count + 1) for j in range(1, count + 1))


def _warm_points(state: SearchState, key: int) -> tuple[int, ...]:
    """Probes around an earlier key: itself and its successor, then tiers on both sides.

    Tier j steps by (K + 1)^j, so that whatever falls into it takes j more rounds; each tier has
    half of the probes that are left, so nearness is favoured and the whole range is covered.
    """
    first, end = state.low, state.high
    centre = min(max(key, first), end - 1)
    step, below, above = 1, centre, centre + 1
    points = {centre, centre + 1, end}
    left = (state.probes - 3) // 2
    while left > 0 and (below > first or above < end):
        step *= state.probes + 1
        for _ in range(max(1, left // 2)):
            below, above, left = below - step, above + step, left - 1
            points |= {p for p in (below, above) if first < p < end}
    return (centre, *sorted(points - {centre}))


def _read(state: SearchState, release: Total | Choice) -> Depths | None:
    """A total as depths by key, or None if no integer offers could have given it."""
    if not isinstance(release, Total) or not release.exact:
        return None
    values = integers(release.words)
    if len(values) != len(state.points) + 1:
        return None
    depths = tuple(sorted(zip(state.points, values[:-1], strict=True)))
    known = [(state.low, state.at_low), *depths]
    if state.at_high is not None:
        known.append((state.high, state.at_high))
    known.sort(key=lambda pair: pair[0])
    falling = any(b[1] < a[1] for a, b in pairwise(known))
    differing = any(b[1] != a[1] for a, b in pairwise(known) if b[0] == a[0])
    if falling or differing or min(values) < 0:
        return None
    return Depths(depths, state.points[0], values[-1])


def _narrowed(state: SearchState, depths: Depths) -> SearchState:
    """The bracket after a total: the last probe below what is wanted, the first that reaches it."""
    wanted = state.coupling.wanted
    lows = [(state.low, state.at_low), *(pair for pair in depths.at if pair[1] < wanted)]
    highs = [pair for pair in depths.at if pair[1] >= wanted]
    if state.at_high is not None:
        highs.append((state.high, state.at_high))
    (low, at_low), (high, at_high) = max(lows), min(highs)
    return replace(state, low=low, at_low=at_low, high=high, at_high=at_high)


def _next(state: SearchState, depths: Depths) -> SearchState | Solution:
    """The solution if key and cost are both known; else the probes that narrow furthest."""
    if state.high == state.low + 1:
        cost = _value_below(state, depths)
        if cost is not None:
            return _certified(state, cost)
        return replace(state, points=(state.low,))
    return replace(state, points=_spread(state.low, state.high, state.probes))


def _value_below(state: SearchState, depths: Depths) -> int | None:
    """The value of all units below `low`, or None if this total does not tell.

    From the anchor on, probes at consecutive keys tell the units at each key, and so their value.
    The anchor may also be the key after `low`: then the units at `low` are taken off again.
    """
    unit_value = state.coupling.unit_value
    at = dict(depths.at)
    at.setdefault(state.low, state.at_low)
    anchor, value = depths.anchor, depths.value_below_anchor
    if anchor == state.low + 1:
        return value - (at[anchor] - state.at_low) * unit_value(state.low)
    if anchor > state.low or any(key not in at for key in range(anchor, state.low + 1)):
        return None
    steps = range(anchor, state.low)
    return value + sum((at[key + 1] - at[key]) * unit_value(key) for key in steps)


def _certified(state: SearchState, cost: int) -> Solution:
    coupling = state.coupling
    residual = coupling.wanted - state.at_low
    value = cost + residual * coupling.unit_value(state.low)
    warm = WarmKey(state.low, coupling.key_shift, residual)
    return Solution(
        status="certified",
        after=None,
        multipliers=None,
        points=(state.low, residual),
        value=value,
        bound=value,
        shortfall=0,
        warm=warm,
        stands=warm == state.before,
    )


def _all_depth(state: SearchState, depths: Depths) -> SearchState | Solution:
    """Less is offered than wanted: plan all of it, and say what is missing."""
    end, depth = state.coupling.key_range[1], depths[state.coupling.key_range[1]]
    if depths.anchor != end:
        return replace(state, high=end, at_high=depth, points=(end,))
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


def _refused(state: SearchState, status: SolutionStatus, shortfall: int) -> Solution:
    return Solution(
        status=status,
        after=None,
        multipliers=None,
        points=(),
        value=0,
        bound=0,
        shortfall=shortfall,
        warm=None,
    )
