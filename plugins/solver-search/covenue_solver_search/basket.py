"""Two key searches under one budget: what each instrument would take, then what is affordable.

    stage 1, per instrument:   t_k = max{t : S_k(t) < Q_k}, r_k = Q_k - S_k(t_k), all in parallel
    stage 2, over all of them: key = max{key : W(key) <= B}, x = floor((B - W(key)) / price)

S counts units, W the spend within the cuts. With the multiplier 1 + l = v / price of the marginal
offer the dual bound is (value below the key) + l (B - W(key)): the plan misses it by less than the
gain of one unit. Offers of other instruments whose ratio to the marginal one is the same down to
2^-30 may lie on the wrong side of it; their spend E widens the bound by E 2^30 / (R (R + 1)), where
R is the rounded ratio. A budget that does not bind has multiplier 0, and no gap.
Source: solvers.md, sections 2(b) and 5.1.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from operator import itemgetter, le

from covenue.hooks.solvers import BasketCoupling, Choice, Solution, State, Total
from covenue_contracts.plan import SolutionStatus
from covenue_solver_search.probing import (
    LEAST_WARM_PROBES,
    ROUND_KEYS,
    balanced,
    room,
    spread,
    tiers,
)

RATIO_BITS = 30
WARM_KEYS = ROUND_KEYS // 2
"""A warm first round is mostly the last, and may ask for half of what a trip is worth."""
FRAME = 5
"""Keys of room that an instrument's count and cut take, and both ends of a block of ratios."""
Pairs = tuple[tuple[int, int], ...]
_KEY, _SUM = itemgetter(0), itemgetter(1)


@dataclass(frozen=True)
class WarmBasket:
    """What the next plan starts from: the points of the last, under these tie bits."""

    points: tuple[int, ...]
    cut_shift: int
    ratio_shift: int


@dataclass(frozen=True)
class Bracket:
    """low <= key < high, with the sums at both ends; at_high None before it is known."""

    low: int
    at_low: int
    high: int
    at_high: int | None

    @property
    def is_found(self) -> bool:
        """Whether one key is left, and the sums on both sides of it are known."""
        return self.high == self.low + 1 and self.at_high is not None

    def narrowed(self, sums: Pairs, target: int) -> "Bracket":
        """The last key whose sum is at most the target, and the first whose sum is above it."""
        place = bisect_right(sums, target, key=_SUM)
        low, at_low = max(((self.low, self.at_low), *sums[:place][-1:]))
        highs = sums[place : place + 1]
        if self.at_high is not None:
            highs = (*highs, (self.high, self.at_high))
        high, at_high = min(highs) if highs else (self.high, self.at_high)
        return Bracket(low, at_low, high, at_high)

    def agrees(self, sums: Pairs) -> bool:
        """Whether sums never fall along the keys, these and the known ones."""
        known = [(self.low, self.at_low)]
        if self.at_high is not None:
            known.append((self.high, self.at_high))
        rising = [at for _, at in sums]
        return all(map(le, rising, rising[1:])) and all(_fits_among(sums, *end) for end in known)


def _fits_among(sums: Pairs, key: int, at: int) -> bool:
    """Whether a known sum is that of its key, or between those of the keys beside it."""
    place = bisect_left(sums, key, key=_KEY)
    if place < len(sums) and sums[place][0] == key:
        return sums[place][1] == at
    return all(below <= at for _, below in sums[:place][-1:]) and all(
        at <= above for _, above in sums[place : place + 1]
    )


@dataclass(frozen=True)
class BasketState:
    """Brackets of both stages, and what is asked next.

    probes, ratio_probes: most keys of a round in either stage. cuts: one bracket an instrument.
    depths: units below the end of its keys, () before the first total. cut_points, ratio_points:
    probes of the round now due. chosen: the cuts t_1, r_1, ... that the ratio probes rest on; a
    guess in the first round of a warm start.
    """

    coupling: BasketCoupling
    probes: int
    ratio_probes: int
    cuts: tuple[Bracket, ...]
    depths: tuple[int, ...]
    cut_points: tuple[tuple[int, ...], ...]
    ratio: Bracket
    ratio_points: tuple[int, ...]
    chosen: tuple[int, ...] | None
    warm: WarmBasket | None
    is_first: bool = True


@dataclass(frozen=True)
class Sums:
    """One released total, read.

    cuts: by instrument, units below each of its keys. ratio: spend below each ratio key. below:
    units of each instrument below the first of these.
    """

    cuts: tuple[Pairs, ...]
    ratio: Pairs
    below: tuple[int, ...]


def start(coupling: BasketCoupling, probes: int | None, warm: State | None) -> BasketState:
    """All cuts in parallel; a warm state also guesses the cuts, and asks for the budget at once."""
    ends = _cut_ends(coupling)
    whole = 1 << (RATIO_BITS + coupling.ratio_shift)
    most = room(max(*ends, whole)) - FRAME * (len(ends) + 1)
    held = max(2, min(probes or most, most))
    held_ratio = held if probes else balanced(whole, held)
    cuts = tuple(Bracket(0, 0, end, None) for end in ends)
    known = isinstance(warm, WarmBasket) and _fits(warm, coupling)
    share = max(2, min(held, most if probes else WARM_KEYS) // (len(ends) + 1))
    state = BasketState(
        coupling, held, held_ratio, cuts, (), (), Bracket(0, 0, whole, None), (), None, None
    )
    if not isinstance(warm, WarmBasket) or not known or share < LEAST_WARM_PROBES:
        return replace(state, cut_points=tuple(_cold(end, state, bool(probes)) for end in ends))
    old = warm.points[: 2 * len(ends) : 2]
    near = tuple(tiers(0, end, key, share) for end, key in zip(ends, old, strict=True))
    return replace(
        state,
        cut_points=near,
        ratio_points=_near(state, warm.points[-2], share if probes else held_ratio),
        chosen=warm.points[: 2 * len(ends)],
        warm=warm,
    )


def points(state: BasketState) -> tuple[int, ...]:
    """Points of the depth query that is due; see BasketCoupling."""
    counts = (len(each) for each in state.cut_points)
    flat = (point for each in state.cut_points for point in each)
    chosen = state.chosen if state.chosen is not None and state.ratio_points else ()
    return (*counts, *flat, *chosen, *state.ratio_points)


def tell(state: BasketState, release: Total | Choice) -> BasketState | Solution:
    """Narrow the brackets by one total, or end."""
    sums = _read(state, release)
    if sums is None:
        return refused("stalled", 0)
    depths = state.depths or tuple(
        dict(pairs)[cut.high] for pairs, cut in zip(sums.cuts, state.cuts, strict=True)
    )
    wanted = state.coupling.quantities
    if not any(map(min, depths, wanted)) or state.coupling.budget < 1:
        return refused("infeasible", sum(wanted))
    cuts = tuple(
        cut.narrowed(pairs, max(0, most - 1)) if depth > most else cut
        for cut, pairs, depth, most in zip(state.cuts, sums.cuts, depths, wanted, strict=True)
    )
    chosen = _chosen(cuts, depths, wanted)
    told = replace(state, cuts=cuts, depths=depths)
    if chosen is None:
        return _cut_further(told)
    if chosen != state.chosen:
        return _first_spend(replace(told, chosen=chosen))
    return _spent(told, sums)


def refused(status: SolutionStatus, shortfall: int) -> Solution:
    """An end without a plan."""
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


def _cut_ends(coupling: BasketCoupling) -> tuple[int, ...]:
    return tuple(value << coupling.cut_shift for value in coupling.values)


def _fits(warm: WarmBasket, coupling: BasketCoupling) -> bool:
    """Whether an earlier plan's keys mean the same today."""
    shifts = (warm.cut_shift, warm.ratio_shift) == (coupling.cut_shift, coupling.ratio_shift)
    return shifts and len(warm.points) == 2 * len(coupling.values) + 2


def _cold(end: int, state: BasketState, is_given: bool) -> tuple[int, ...]:
    """First probes of one instrument's keys; the number is a part of what was given, or chosen."""
    lanes = len(state.cuts)
    share = max(2, state.probes // lanes)
    probes = share if is_given else balanced(end, share, lanes)
    return (end, *spread(0, end, probes - 1))


def _near(state: BasketState, key: int, probes: int) -> tuple[int, ...]:
    """Ratio probes around an earlier key, with both ends of its block of equal ratios."""
    whole = state.ratio.high
    near = tiers(0, whole, key, probes)
    low, high = _block(near[0], state)
    return (*near, *(point for point in (low, high) if point not in near))


def _block(key: int, state: BasketState) -> tuple[int, int]:
    """First key of the block of one rounded ratio that holds a key, and of the next block."""
    shift = state.coupling.ratio_shift
    return key >> shift << shift, ((key >> shift) + 1) << shift


# ---- reading a total


def _read(state: BasketState, release: Total | Choice) -> Sums | None:
    """A total as sums by key, or None if no integer offers could have given it."""
    if not isinstance(release, Total) or not release.exact:
        return None
    values = release.words.tolist()
    size = len(state.coupling.values)
    counts = [len(each) for each in state.cut_points]
    places = list(accumulate(counts, initial=0))
    width = places[-1] + (len(state.ratio_points) + size if state.ratio_points else 0)
    if len(values) != width or min(values) < 0:
        return None
    cuts = tuple(
        tuple(sorted(zip(asked, values[a:b], strict=True)))
        for asked, (a, b) in zip(state.cut_points, pairwise(places), strict=True)
    )
    spends = values[places[-1] : places[-1] + len(state.ratio_points)]
    ratio = tuple(sorted(zip(state.ratio_points, spends, strict=True)))
    below = values[len(values) - size :] if state.ratio_points else ()
    sound = all(cut.agrees(pairs) for cut, pairs in zip(state.cuts, cuts, strict=True))
    return Sums(cuts, ratio, below) if sound and state.ratio.agrees(ratio) else None


def _chosen(
    cuts: tuple[Bracket, ...], depths: tuple[int, ...], wanted: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The cuts t_1, r_1, ..., t_m, r_m, or None while one of them is not known.

    A bracket is not narrowed where the depth is no more than what is wanted: it still ends where
    the keys do.
    """
    chosen: list[int] = []
    for cut, depth, most in zip(cuts, depths, wanted, strict=True):
        if depth <= most:
            chosen += [cut.high, 0]
        elif most < 1:
            chosen += [0, 0]
        elif cut.is_found:
            chosen += [cut.low, most - cut.at_low]
        else:
            return None
    return tuple(chosen)


# ---- what is asked next


def _cut_further(state: BasketState) -> BasketState:
    """Divide a query among the instruments whose cut is not known."""
    wanted = state.coupling.quantities
    open_ = [
        depth > most > 0 and not cut.is_found
        for cut, depth, most in zip(state.cuts, state.depths, wanted, strict=True)
    ]
    share = max(2, state.probes // sum(open_))
    asked = tuple(
        spread(cut.low, cut.high, share) if is_open else ()
        for cut, is_open in zip(state.cuts, open_, strict=True)
    )
    return replace(state, cut_points=asked, ratio_points=(), chosen=None, is_first=False)


def _first_spend(state: BasketState) -> BasketState:
    """Ask what the cuts cost, and where the budget ends."""
    whole = state.ratio.high
    asked = (whole, *spread(0, whole, state.ratio_probes - 1))
    if state.warm is not None:
        asked = _near(state, state.warm.points[-2], state.ratio_probes)
    nothing = tuple(() for _ in state.cuts)
    return replace(state, cut_points=nothing, ratio_points=asked, is_first=False)


def _spent(state: BasketState, sums: Sums) -> BasketState | Solution:
    """The plan, if the total tells all of it; else the probes that narrow furthest."""
    budget = state.coupling.budget
    spend = dict(sums.ratio)
    if state.ratio.at_high is None and spend[state.ratio.high] <= budget:
        return _unbound(state, spend[state.ratio.high])
    ratio = state.ratio.narrowed(sums.ratio, budget)
    told = replace(state, ratio=ratio, is_first=False, cut_points=tuple(() for _ in state.cuts))
    if ratio.is_found:
        solution = _marginal(replace(told, is_first=state.is_first), sums)
        if solution is not None:
            return solution
    low, high = _block(ratio.low, state)[0], _block(ratio.high - 1, state)[1]
    asked = spread(ratio.low, ratio.high, state.ratio_probes)
    if ratio.high - ratio.low - 1 <= state.ratio_probes:
        first = asked or (ratio.low,)
        asked = (*first, *(point for point in (low, high) if point not in first))
    return replace(told, ratio_points=asked)


# ---- the end


def _unbound(state: BasketState, spend: int) -> Solution:
    """All that the cuts hold is affordable."""
    coupling = state.coupling
    units = tuple(map(min, state.depths, coupling.quantities))
    value = _worth(coupling, units) - spend
    return _certified(state, (state.ratio.high, 0), value, value, units)


def _marginal(state: BasketState, sums: Sums) -> Solution | None:
    """The plan that ends at the one key left; None if the total leaves something of it open."""
    ratio, coupling = state.ratio, state.coupling
    at = {**dict(sums.ratio), 0: 0, ratio.low: ratio.at_low, ratio.high: int(ratio.at_high or 0)}
    low, high = _block(ratio.low, state)
    if low not in at or high not in at:
        return None
    units = _units_below(state, sums, at)
    offer = coupling.offer_at(ratio.low)
    if units is None:
        return None
    own = at[ratio.high] - at[ratio.low]
    if offer is None or own % offer[1] or min(units) < 0:
        return refused("stalled", 0)
    instrument, price = offer
    left = coupling.budget - at[ratio.low]
    taken, gain = left // price, coupling.values[instrument] - price
    below = _worth(coupling, units) - at[ratio.low]
    others = at[high] - at[low] - own
    rounded = ratio.low >> coupling.ratio_shift
    slack = -(-(others << RATIO_BITS) // (rounded * (rounded + 1)))
    bound = below - (-left * gain // price) + slack
    planned = tuple(n + taken * (k == instrument) for k, n in enumerate(units))
    return _certified(state, (ratio.low, taken), below + gain * taken, bound, planned)


def _units_below(state: BasketState, sums: Sums, at: dict[int, int]) -> tuple[int, ...] | None:
    """Units of each instrument below the key, or None if this total does not tell.

    From the first ratio probe on, spends at consecutive keys tell the units at each key. It may
    also be the key's successor: then the units at the key are taken off again. A spend where no
    offer can be leaves a negative number of units, which no plan has.
    """
    key, anchor = state.ratio.low, state.ratio_points[0]
    if anchor == key + 1:
        steps, sign = range(key, anchor), -1
    elif anchor <= key and all(point in at for point in range(anchor, key + 1)):
        steps, sign = range(anchor, key), 1
    else:
        return None
    units = list(sums.below)
    for step in steps:
        spend = at[step + 1] - at[step]
        offer = state.coupling.offer_at(step) if spend else None
        if spend and (offer is None or spend % offer[1]):
            return (-1,) * len(units)
        if offer is not None:
            units[offer[0]] += sign * (spend // offer[1])
    return tuple(units)


def _worth(coupling: BasketCoupling, units: tuple[int, ...]) -> int:
    return sum(value * n for value, n in zip(coupling.values, units, strict=True))


def _certified(
    state: BasketState, end: tuple[int, int], value: int, bound: int, units: tuple[int, ...]
) -> Solution:
    """A plan with its certificate; one of nothing is none."""
    coupling, chosen = state.coupling, state.chosen or ()
    missing = sum(most - n for most, n in zip(coupling.quantities, units, strict=True))
    if not any(units):
        return refused("infeasible", missing)
    warm = WarmBasket((*chosen, *end), coupling.cut_shift, coupling.ratio_shift)
    return Solution(
        status="certified",
        after=None,
        multipliers=None,
        points=warm.points,
        value=value,
        bound=bound,
        shortfall=missing,
        warm=warm,
        stands=state.is_first and state.warm == warm,
    )
