"""One party's side of an arbitrage plan: a batch of pools, or a book, at the multipliers asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from covenue.errors import BadInput, CapabilityMissing, LayoutMismatch
from covenue.hooks.domains import Acted, Memory, PartyConfig
from covenue.hooks.venues import BookState, PoolBatch, Snapshot
from covenue.numerics.decimals import as_toml, parse_decimal, plain
from covenue.numerics.words import Words, frozen, subtract, total
from covenue_contracts.local import Actions, Outcome, Swap
from covenue_contracts.shared import Capability, Query, Space
from covenue_domain_arbitrage import books, pools
from covenue_domain_arbitrage.coupling import space, triangle
from covenue_domain_arbitrage.frames import batch_of
from covenue_domain_arbitrage.goals import MULTIPLIER_BITS, WIDTHS, Terms, is_asset

PARTY_KEYS = ("base", "fee_bps", "quote")


class Offers(Protocol):
    """What a venue offers between assets, whatever sort of venue it is."""

    def answer(
        self, multipliers: pools.Floats, width: float, slopes: pools.Integers | None
    ) -> tuple[int, pools.Integers]:
        """Words of phi, and of the net amounts; slopes are added to the triangle, if given."""
        ...

    def actions(
        self, plan: str, multipliers: pools.Floats, width: float
    ) -> tuple[Actions, pools.Integers]:
        """What the party does at these multipliers, and its net words."""
        ...

    def executed(self, actions: Actions, outcomes: Sequence[Outcome]) -> pools.Integers:
        """Net words of what was done."""
        ...

    def most_words(self) -> pools.Mostly:
        """Bounds of an answer's words, anywhere in the band."""
        ...


@dataclass(frozen=True)
class PoolOffers:
    """A batch of pools."""

    batch: pools.Pools

    def answer(
        self, multipliers: pools.Floats, width: float, slopes: pools.Integers | None
    ) -> tuple[int, pools.Integers]:
        """Pools answer smoothly: the width does not matter."""
        trades = self.batch.trades(multipliers)
        if slopes is not None:
            self.batch.slopes(trades, slopes)
        return self.batch.value(trades), self.batch.net(trades)

    def actions(
        self, plan: str, multipliers: pools.Floats, width: float
    ) -> tuple[Actions, pools.Integers]:
        """One swap a pool."""
        swaps, net = self.batch.swaps(self.batch.trades(multipliers))
        return Actions(plan=plan, unit="1", legs=(), swaps=swaps), net

    def executed(self, actions: Actions, outcomes: Sequence[Outcome]) -> pools.Integers:
        """Paid, rounded up, and received, rounded down, of every swap that was made."""
        terms = self.batch.terms
        places = {asset: place for place, asset in enumerate(terms.assets)}
        decimals = {asset.name: asset.decimals for asset in self.batch.batch.assets}
        amounts = [0] * len(terms.assets)
        scale = 2**terms.scale_bits
        for fill in (fill for outcome in outcomes for fill in outcome.swaps):
            swap: Swap = actions.swaps[fill.swap]
            amounts[places[swap.pays]] -= -(-int(fill.paid) * scale // 10 ** decimals[swap.pays])
            amounts[places[swap.gets]] += int(fill.received) * scale // 10 ** decimals[swap.gets]
        return np.array(amounts, dtype=np.int64)

    def most_words(self) -> pools.Mostly:
        """As the pools say."""
        return pools.most_words(self.batch)


@dataclass(frozen=True)
class BookOffers:
    """One order book."""

    book: books.Book

    def answer(
        self, multipliers: pools.Floats, width: float, slopes: pools.Integers | None
    ) -> tuple[int, pools.Integers]:
        """Both sides of the book."""
        net = np.zeros(len(self.book.terms.assets), dtype=np.int64)
        return self.book.add(multipliers, width, net, slopes), net

    def actions(
        self, plan: str, multipliers: pools.Floats, width: float
    ) -> tuple[Actions, pools.Integers]:
        """A leg a side; units are native steps."""
        legs = self.book.legs(multipliers, width)
        base, quote = self.book.planned(legs, multipliers, width)
        net = self._net(base, quote)
        return Actions(plan=plan, unit=plain(self.book.step), legs=legs, swaps=()), net

    def executed(self, actions: Actions, outcomes: Sequence[Outcome]) -> pools.Integers:
        """Every fill at its own price, with the party's fee."""
        base = quote = 0
        for number, leg in enumerate(actions.legs):
            moved = self.book.moved(leg, _fills(number, outcomes))
            base, quote = base + moved[0], quote + moved[1]
        return self._net(base, quote)

    def most_words(self) -> pools.Mostly:
        """As the book says."""
        return books.most_words(self.book)

    def _net(self, base: int, quote: int) -> pools.Integers:
        net = np.zeros(len(self.book.terms.assets), dtype=np.int64)
        net[self.book.base], net[self.book.quote] = base, quote
        return net


def _fills(number: int, outcomes: Sequence[Outcome]) -> list[tuple[int, int]]:
    return [
        (int(fill.price_ticks), int(fill.quantity_steps))
        for outcome in outcomes
        for fill in outcome.fills
        if fill.leg == number
    ]


@dataclass(frozen=True, eq=False)
class ArbitrageProblem:
    """A party's problem for one plan; every method is pure and leaves no memory."""

    space: Space
    terms: Terms
    offers: Offers

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Responses to multipliers, with slopes."""
        return frozenset({"RESPOND", "CURVATURE"})

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """Phi, net amounts, and for `curvature` the packed triangle of slopes.

        Raises CapabilityMissing for another kind of query, LayoutMismatch for multipliers that do
        not fit.
        """
        if query.kind not in {"respond", "curvature"}:
            raise CapabilityMissing(
                f"domain 'arbitrage' offers RESPOND and CURVATURE and was asked '{query.kind}'",
                "choose a solver that needs these, such as 'dual'",
                field="solver.name",
                value=query.kind,
            )
        multipliers, width = self._asked(query)
        size = len(self.terms.assets)
        slopes = np.zeros(triangle(size), dtype=np.int64) if query.kind == "curvature" else None
        value, net = self.offers.answer(multipliers, width, slopes)
        head = np.array([value], dtype=np.int64)
        parts = [head, net] if slopes is None else [head, net, slopes]
        return frozen(np.concatenate(parts)), memory

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """What the party does at the multipliers of a solution, and its net words."""
        multipliers, width = self._asked(query)
        actions, net = self.offers.actions(plan, multipliers, width)
        return actions, frozen(net), memory

    def settle(self, query: Query, acted: Sequence[Acted]) -> tuple[Words, Words]:
        """(executed, unknown) net words: without a report all that was planned may still come."""
        zero = frozen(np.zeros(len(self.terms.assets), dtype=np.int64))
        executed, unknown = [zero], [zero]
        for deed in acted:
            done = frozen(self.offers.executed(deed.actions, deed.outcomes or ()))
            executed.append(done)
            if deed.outcomes is None or any(o.status == "unknown" for o in deed.outcomes):
                unknown.append(subtract(deed.planned, done))
        return total(executed), total(unknown)

    def _asked(self, query: Query) -> tuple[pools.Floats, float]:
        """Multipliers as floats, and the width over which jumps are spread."""
        asked = query.multipliers
        if asked is None or asked.scale_bits != MULTIPLIER_BITS:
            raise LayoutMismatch(
                "a query has no multipliers on the grid 2^-40", "ask at multipliers"
            )
        grid = [int(value) for value in asked.values]
        if len(grid) != len(self.terms.assets):
            raise LayoutMismatch(
                f"{len(grid)} multipliers were asked of {len(self.terms.assets)} assets",
                "ask one an asset",
            )
        if not all(
            low <= v <= high for v, (low, high) in zip(grid, self.terms.ranges, strict=True)
        ):
            raise LayoutMismatch("a multiplier lies outside its band", "keep to multiplier_range")
        known = len(grid) if query.kind == "commit" else 0
        width = int(query.points[known]) if len(query.points) > known else 0
        if width not in (0, *WIDTHS):
            raise LayoutMismatch("a width is none that this domain spreads over", "see smoothing")
        return np.array(grid, dtype=np.float64) / 2.0**MULTIPLIER_BITS, width / 2.0**MULTIPLIER_BITS


def problem_of(terms: Terms, members: int, state: Any, config: PartyConfig) -> ArbitrageProblem:
    """One party's problem. state: a Snapshot, a PoolBatch, a BookState, or a table of pools.

    Raises BadInput naming field and value, CapabilityMissing on a foreign state, HeadroomMissing
    where an answer could pass the bound of a word.
    """
    _check_config(config)
    held = state.state if isinstance(state, Snapshot) else state
    offers = _offers(terms, held, config, state)
    shared = space(terms, members)
    pools.check_headroom(offers.most_words(), terms, int(shared.bound))
    return ArbitrageProblem(shared, terms, offers)


def _offers(terms: Terms, held: Any, config: PartyConfig, state: Any) -> Offers:
    if isinstance(held, BookState):
        return BookOffers(_book(terms, held, config))
    if isinstance(held, PoolBatch):
        return PoolOffers(pools.pools_of(held, terms))
    if isinstance(state, Snapshot):
        raise CapabilityMissing(
            f"domain 'arbitrage' cannot read a state of kind {state.kind}",
            "use a venue that pins pool-set/v1 or order-book/v1",
            field="venue",
            value=state.kind,
        )
    return PoolOffers(pools.pools_of(batch_of(held, terms.assets, terms.band), terms))


def _book(terms: Terms, state: BookState, config: PartyConfig) -> books.Book:
    base = str(config.get("base", state.instrument.base.lower()))
    quote = str(config.get("quote", state.instrument.quote.lower()))
    fee = parse_decimal(config.get("fee_bps", "0"), "party.config.fee_bps") / books.BPS
    if not -1 < fee < 1:
        raise BadInput(
            "fee_bps is no plausible number of basis points",
            "give a decimal between -10000 and 10000",
            field="party.config.fee_bps",
            value=as_toml(config.get("fee_bps")),
        )
    return books.book_of(state, terms, base, quote, Fraction(fee))


def _check_config(config: Mapping[str, object]) -> None:
    for key, value in config.items():
        if key not in PARTY_KEYS:
            close = get_close_matches(key, PARTY_KEYS, n=1, cutoff=0.5)
            raise BadInput(
                "domain 'arbitrage' has no such party setting",
                f"did you mean '{close[0]}'?" if close else f"use only {', '.join(PARTY_KEYS)}",
                field=f"party.config.{key}",
                value=as_toml(value),
            )
        if key != "fee_bps" and not is_asset(value):
            raise BadInput(
                f"{key} names no asset",
                "give one of domain.goal.assets",
                field=f"party.config.{key}",
                value=as_toml(value),
            )
