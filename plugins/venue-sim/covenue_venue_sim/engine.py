"""A matching engine on integers: price-time priority, and nothing but what it is told.

It knows no clock, no randomness and no currency: prices are ticks, quantities steps, money is
counted in ticks·steps. It never leaves a crossed book.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

WHOLE = 1_000_000
BUY, SELL = 0, 1
Terms = Literal["limit", "ioc", "fok", "post"]
SelfTrade = Literal["cancel-resting", "cancel-incoming", "cancel-both"]
TERMS: tuple[Terms, ...] = get_args(Terms)
SELF_TRADE: tuple[SelfTrade, ...] = get_args(SelfTrade)


@dataclass(frozen=True)
class Rules:
    """Fees of both sides of an execution, negative for a rebate, and what stops a self-trade.

    An order that meets one of its own owner does not execute with it: the resting one goes, what
    is left of the incoming one goes, or both.
    """

    maker_ppm: int = 0
    taker_ppm: int = 0
    self_trade: SelfTrade = "cancel-resting"


@dataclass(frozen=True)
class New:
    """A new order. terms: rest what is left, or take at once, all at once, or never take."""

    id: str
    owner: str
    side: int
    ticks: int
    steps: int
    terms: Terms = "limit"


@dataclass(frozen=True)
class Cancel:
    """Take an order out of the book."""

    id: str


@dataclass(frozen=True)
class Amend:
    """Change a resting order's price and what is left of it.

    Less at the same price keeps its place in the queue; another price or more loses it.
    """

    id: str
    ticks: int
    steps: int


Request = New | Cancel | Amend


@dataclass(frozen=True)
class Execution:
    """Two orders met at the price of the one that was there; fees in ticks·steps."""

    maker: str
    taker: str
    ticks: int
    steps: int
    maker_fee: int
    taker_fee: int


@dataclass(frozen=True)
class Report:
    """What became of a request.

    rests: steps that rest now. dropped: steps that neither executed nor rest. refused: why nothing
    was done, or empty. prevented: resting orders that went because they were the owner's own.
    """

    executions: tuple[Execution, ...] = ()
    rests: int = 0
    dropped: int = 0
    refused: str = ""
    prevented: tuple[str, ...] = ()


@dataclass
class _Resting:
    """An order in the book; `steps` is what is left of it."""

    id: str
    owner: str
    side: int
    ticks: int
    steps: int
    terms: Terms


class _Queue:
    """One side of the book: at each price the orders by time of arrival, best price first.

    A key orders prices from the best on: ticks for offers to sell, minus ticks for offers to buy.
    """

    def __init__(self, side: int) -> None:
        self._sign = 1 if side == SELL else -1
        self._keys: list[int] = []
        self._levels: dict[int, dict[str, _Resting]] = {}

    def add(self, order: _Resting) -> None:
        """Put an order behind all others of its price."""
        key = order.ticks * self._sign
        if key not in self._levels:
            self._keys.insert(bisect_left(self._keys, key), key)
            self._levels[key] = {}
        self._levels[key][order.id] = order

    def remove(self, order: _Resting) -> None:
        """Take an order out."""
        key = order.ticks * self._sign
        del self._levels[key][order.id]
        if not self._levels[key]:
            del self._levels[key]
            del self._keys[bisect_left(self._keys, key)]

    def within(self, ticks: int) -> Iterator[_Resting]:
        """The orders that a limit reaches, in order of priority."""
        for key in self._keys:
            if key > ticks * self._sign:
                return
            yield from self._levels[key].values()

    def first_within(self, ticks: int) -> _Resting | None:
        """The order that a limit meets first."""
        return next(self.within(ticks), None)

    def levels(self) -> list[tuple[int, int]]:
        """(ticks, steps of all orders there), best first."""
        return [
            (key * self._sign, sum(order.steps for order in self._levels[key].values()))
            for key in self._keys
        ]


@dataclass
class _Match:
    """An incoming order while it executes."""

    left: int
    executions: list[Execution] = field(default_factory=list)
    prevented: list[str] = field(default_factory=list)
    dropped: int = 0


class Engine:
    """One instrument's book. The state is a function of the requests in their order."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._queues = (_Queue(BUY), _Queue(SELL))
        self._resting: dict[str, _Resting] = {}

    def submit(self, request: Request) -> Report:
        """Do what is asked, whole or as far as its terms allow; or refuse it and change nothing."""
        if isinstance(request, New):
            return self._new(request)
        resting = self._resting.get(request.id)
        if resting is None:
            return Report(refused="no such order rests")
        if isinstance(request, Cancel):
            self._remove(resting)
            return Report(dropped=resting.steps)
        return self._amend(resting, request)

    def levels(self, side: int) -> list[tuple[int, int]]:
        """One side of the book as (ticks, steps), best first."""
        return self._queues[side].levels()

    def resting(self, order: str) -> int:
        """Steps of an order that rest; 0 for any other."""
        return self._resting[order].steps if order in self._resting else 0

    def _new(self, new: New) -> Report:
        why = self._refusal(new)
        if why:
            return Report(refused=why)
        match = self._match(new)
        if new.terms in {"ioc", "fok"}:
            match.dropped, match.left = match.dropped + match.left, 0
        if match.left:
            self._rest(new, match.left)
        return Report(
            tuple(match.executions), match.left, match.dropped, "", tuple(match.prevented)
        )

    def _refusal(self, new: New) -> str:
        """Why an order is not taken at all, or empty."""
        if new.id in self._resting:
            return "an order of this id rests"
        if new.ticks <= 0 or new.steps <= 0:
            return "price and quantity are positive"
        if new.terms == "post" and takes_at_once(self._against(new), new.ticks):
            return "it would take"
        if new.terms == "fok" and self._fillable(new) < new.steps:
            return "it cannot be filled at once"
        return ""

    def _fillable(self, new: New) -> int:
        """Steps that would execute at once, at most those asked for."""
        found = 0
        for maker in self._against(new).within(new.ticks):
            if found >= new.steps:
                break
            if maker.owner != new.owner:
                found += maker.steps
            elif self._rules.self_trade != "cancel-resting":
                break
        return min(found, new.steps)

    def _match(self, new: New) -> _Match:
        against, match = self._against(new), _Match(new.steps)
        while match.left and (maker := against.first_within(new.ticks)):
            if maker.owner == new.owner:
                self._prevent(maker, match)
                continue
            steps = min(match.left, maker.steps)
            match.executions.append(self._execution(maker, new, steps))
            match.left -= steps
            maker.steps -= steps
            if not maker.steps:
                self._remove(maker)
        return match

    def _prevent(self, maker: _Resting, match: _Match) -> None:
        """Keep two orders of one owner from executing with each other."""
        if self._rules.self_trade != "cancel-incoming":
            self._remove(maker)
            match.prevented.append(maker.id)
        if self._rules.self_trade != "cancel-resting":
            match.dropped, match.left = match.left, 0

    def _execution(self, maker: _Resting, new: New, steps: int) -> Execution:
        return Execution(
            maker.id,
            new.id,
            maker.ticks,
            steps,
            fee(maker.ticks * steps, self._rules.maker_ppm),
            fee(maker.ticks * steps, self._rules.taker_ppm),
        )

    def _amend(self, resting: _Resting, amend: Amend) -> Report:
        if amend.ticks <= 0 or amend.steps <= 0:
            return Report(refused="price and quantity are positive")
        if keeps_priority(resting, amend):
            dropped, resting.steps = resting.steps - amend.steps, amend.steps
            return Report(rests=amend.steps, dropped=dropped)
        moved = New(
            resting.id, resting.owner, resting.side, amend.ticks, amend.steps, resting.terms
        )
        if moved.terms == "post" and takes_at_once(self._against(moved), moved.ticks):
            return Report(refused="it would take")
        self._remove(resting)
        return self._new(moved)

    def _rest(self, new: New, steps: int) -> None:
        resting = _Resting(new.id, new.owner, new.side, new.ticks, steps, new.terms)
        self._resting[new.id] = resting
        self._queues[new.side].add(resting)

    def _remove(self, resting: _Resting) -> None:
        del self._resting[resting.id]
        self._queues[resting.side].remove(resting)

    def _against(self, new: New) -> _Queue:
        return self._queues[1 - new.side]


def fee(money: int, ppm: int) -> int:
    """A fee on money in ticks·steps, rounded against who pays; a rebate is negative."""
    return -(-money * ppm // WHOLE)


def takes_at_once(against: _Queue, ticks: int) -> bool:
    """Whether a limit reaches something on the other side."""
    return against.first_within(ticks) is not None


def keeps_priority(resting: _Resting, amend: Amend) -> bool:
    """Whether an amended order keeps its place: the same price, and no more than before."""
    return amend.ticks == resting.ticks and amend.steps <= resting.steps
