"""One party's side of an arbitrage plan: a batch of pools, or a book, at the multipliers asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from covenue.errors import BadInput, CapabilityMissing, LayoutMismatch
from covenue.hooks.domains import EMPTY, Acted, Memory, PartyConfig
from covenue.hooks.programs import disclosure
from covenue.hooks.prox import ProxAnswers, prox_memory
from covenue.hooks.venues import BookState, PoolBatch, Snapshot
from covenue.numerics.decimals import as_toml, parse_decimal, plain
from covenue.numerics.words import Words, frozen, subtract, total
from covenue_contracts.local import Actions, Outcome, Swap
from covenue_contracts.shared import Capability, Query, Space
from covenue_domain_arbitrage import books, pools
from covenue_domain_arbitrage.coupling import space, triangle
from covenue_domain_arbitrage.disclosed import disclose_book, disclose_pools
from covenue_domain_arbitrage.frames import batch_of
from covenue_domain_arbitrage.goals import MULTIPLIER_BITS, Terms, is_asset
from covenue_domain_arbitrage.ladders import Ladders
from covenue_domain_arbitrage.ladders_table import is_ladders, ladders_of
from covenue_domain_arbitrage.prox import BookProx, LadderProx, worth

PARTY_KEYS = ("base", "capital", "fee_bps", "inventory", "quote")
AMOUNT_KEYS = ("capital", "fee_bps", "inventory")

ANSWERS: frozenset[Capability] = frozenset({"RESPOND", "CURVATURE"})
PROX: frozenset[Capability] = frozenset({"PROX"})


class Offers(Protocol):
    """What a venue offers between assets, whatever sort of venue it is."""

    def answer(
        self, multipliers: books.Floats, width: float, slopes: books.Integers | None, memory: Memory
    ) -> tuple[int, books.Integers, Memory]:
        """Words of phi, and of the net amounts; slopes are added to the triangle, if given.

        memory: the parts that a spread answer continues from; what comes back are its own.
        """
        ...

    def actions(
        self, plan: str, multipliers: books.Floats, width: float, memory: Memory
    ) -> tuple[Actions, books.Integers, Memory]:
        """What the party does at these multipliers, and its net words.

        memory: the parts of the accepted answer; empty where answers continue from nothing.
        """
        ...

    def executed(self, actions: Actions, outcomes: Sequence[Outcome]) -> books.Integers:
        """Net words of what was done."""
        ...

    def most_words(self) -> pools.Mostly:
        """Bounds of an answer's words, anywhere in the band."""
        ...

    def disclosed(self) -> Words:
        """All of it, for a coordinator that may see everything."""
        ...


@dataclass(frozen=True)
class PoolOffers:
    """A batch of pools."""

    batch: pools.Pools

    def answer(
        self, multipliers: books.Floats, width: float, slopes: books.Integers | None, memory: Memory
    ) -> tuple[int, books.Integers, Memory]:
        """Pools answer smoothly: neither the width nor what went before matters."""
        return *self.batch.answer(multipliers, slopes), memory

    def actions(
        self, plan: str, multipliers: books.Floats, width: float, memory: Memory
    ) -> tuple[Actions, books.Integers, Memory]:
        """One swap a pool."""
        swaps, net = self.batch.swaps(self.batch.trades(multipliers))
        return Actions(plan=plan, unit="1", legs=(), swaps=swaps), net, memory

    def executed(self, actions: Actions, outcomes: Sequence[Outcome]) -> books.Integers:
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

    def disclosed(self) -> Words:
        """Every pool."""
        return disclose_pools(self.batch)


@dataclass(frozen=True)
class BookOffers:
    """One order book."""

    book: books.Book

    def answer(
        self, multipliers: books.Floats, width: float, slopes: books.Integers | None, memory: Memory
    ) -> tuple[int, books.Integers, Memory]:
        """Both sides of the book."""
        net = np.zeros(len(self.book.terms.assets), dtype=np.int64)
        parts = self.book.parts(multipliers, width, memory)
        return self.book.add(parts, multipliers, width, net, slopes), net, _packed(parts)

    def actions(
        self, plan: str, multipliers: books.Floats, width: float, memory: Memory
    ) -> tuple[Actions, books.Integers, Memory]:
        """A leg a side, of the parts that were answered; units are native steps."""
        asks, bids = self.book.ladders
        kept = np.frombuffer(memory, dtype="<f8").astype(np.float64)
        fits = len(kept) == len(asks.price) + len(bids.price)
        held = tuple(np.split(kept, [len(asks.price)])) if fits else ()
        parts = held or self.book.parts(multipliers, width, EMPTY)
        pairs = zip(self.book.ladders, parts, strict=True)
        buys, sells = (np.floor(part * side.steps).astype(np.int64) for side, part in pairs)
        legs = self.book.legs((buys, sells))
        net = self._net(*self.book.planned(legs, (buys, sells)))
        actions = Actions(plan=plan, unit=plain(self.book.step), legs=legs, swaps=())
        return actions, net, _packed((parts[0], parts[1]))

    def executed(self, actions: Actions, outcomes: Sequence[Outcome]) -> books.Integers:
        """Every fill at its own price, with the party's fee."""
        base = quote = 0
        for number, leg in enumerate(actions.legs):
            moved = self.book.moved(leg, _fills(number, outcomes))
            base, quote = base + moved[0], quote + moved[1]
        return self._net(base, quote)

    def most_words(self) -> pools.Mostly:
        """As the book says."""
        return books.most_words(self.book)

    def disclosed(self) -> Words:
        """Every level."""
        return disclose_book(self.book)

    def _net(self, base: int, quote: int) -> books.Integers:
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
    """A party's problem for one plan; every method is pure.

    Ladders and books leave a memory of what was answered, pools leave none. slot: the party's, of
    so many slots; None for a problem outside a cohort, which discloses nothing.
    """

    space: Space
    terms: Terms
    offers: Offers
    slot: int | None = None
    slots: int = 0

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Responses to multipliers, with slopes; a prox but for pools; all of it where it may."""
        opened: frozenset[Capability] = frozenset()
        if self.slot is not None:
            opened = frozenset({"DISCLOSE"})
        return ANSWERS | opened | (frozenset() if self._prox is None else PROX)

    def answer(self, query: Query, memory: Memory) -> tuple[Words, Memory]:
        """Phi, net amounts, and for `curvature` the packed triangle of slopes.

        Raises CapabilityMissing for another kind of query, LayoutMismatch for multipliers that do
        not fit.
        """
        if query.kind == "disclose" and self.slot is not None:
            return disclosure(query, self.slots, self.slot, self.offers.disclosed()), memory
        if query.kind == "prox" and self._prox is not None:
            self._asked(query)
            return self._prox.answer(query, memory)
        if query.kind not in {"respond", "curvature"}:
            raise CapabilityMissing(
                f"domain 'arbitrage' offers RESPOND and CURVATURE and was asked '{query.kind}'",
                "choose a solver that needs these, such as 'dual'",
                field="solver.name",
                value=query.kind,
            )
        if prox_memory(memory):
            memory = self._planned(memory)
        multipliers, width = self._asked(query)
        size = len(self.terms.assets)
        with_slopes = query.kind == "curvature"
        words = np.zeros(1 + size + (triangle(size) if with_slopes else 0), dtype=np.int64)
        slopes = words[1 + size :] if with_slopes else None
        words[0], words[1 : 1 + size], memory = self.offers.answer(
            multipliers, width, slopes, memory
        )
        return frozen(words), memory

    def commit(self, query: Query, memory: Memory, plan: str) -> tuple[Actions, Words, Memory]:
        """What the party does at the multipliers of a solution, and its net words.

        Nothing, where the plan's words are all zero.
        """
        multipliers, width = self._asked(query)
        size = len(multipliers)
        if len(query.points) >= size and not any(map(int, query.points[:size])):
            nothing = np.zeros(size, dtype=np.int64)
            return Actions(plan=plan, unit="1", legs=(), swaps=()), frozen(nothing), memory
        if prox_memory(memory):
            actions, net, _ = self.offers.actions(plan, multipliers, width, self._planned(memory))
            return actions, frozen(net), memory
        actions, net, memory = self.offers.actions(plan, multipliers, width, memory)
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

    @cached_property
    def _prox(self) -> ProxAnswers | None:
        """Answers to prox queries; pools have slopes instead."""
        references = worth(self.terms)
        if isinstance(self.offers, BookOffers):
            return ProxAnswers(self.space, references, BookProx(self.offers.book))
        if isinstance(self.offers, Ladders):
            return ProxAnswers(self.space, references, LadderProx(self.offers))
        return None

    def _planned(self, memory: Memory) -> Memory:
        """What `actions` continues from, out of a memory of prox answers."""
        return Memory((self._prox.plan(memory) if self._prox else None) or b"")

    def _asked(self, query: Query) -> tuple[books.Floats, float]:
        """Multipliers as floats, and the width over which jumps are spread."""
        asked = query.multipliers
        if asked is None or asked.scale_bits != MULTIPLIER_BITS:
            raise LayoutMismatch(
                "a query has no multipliers on the grid 2^-40", "ask at multipliers"
            )
        size = len(asked.values)
        if size != len(self.terms.assets):
            raise LayoutMismatch(
                f"{size} multipliers were asked of {len(self.terms.assets)} assets",
                "ask one an asset",
            )
        multipliers = self.terms.within_band(asked.values)
        if multipliers is None:
            raise LayoutMismatch("a multiplier lies outside its band", "keep to multiplier_range")
        known = {"commit": size, "prox": len(query.points)}.get(query.kind, 0)
        width = int(query.points[known]) if len(query.points) > known else 0
        if width not in (0, *self.terms.widths):
            raise LayoutMismatch("a width is none that this domain spreads over", "see smoothing")
        return multipliers / 2.0**MULTIPLIER_BITS, width / 2.0**MULTIPLIER_BITS


def problem_of(  # noqa: PLR0917 -- a problem with all that makes it
    terms: Terms,
    members: int,
    state: Any,
    config: PartyConfig,
    slot: int | None = None,
    slots: int = 0,
) -> ArbitrageProblem:
    """One party's problem. state: a Snapshot, a PoolBatch, a BookState, or a table.

    A table is one of pools (`frames.COLUMNS`) or of ladders (`ladders_table`).

    Raises BadInput naming field and value, CapabilityMissing on a foreign state, HeadroomMissing
    where an answer could pass the bound of a word.
    """
    _check_config(config)
    held = state.state if isinstance(state, Snapshot) else state
    if not isinstance(held, BookState):
        _refuse_settings(config)
    offers = _offers(terms, held, config, state)
    shared = space(terms, members)
    pools.check_headroom(offers.most_words(), terms, int(shared.bound))
    return ArbitrageProblem(shared, terms, offers, slot, slots)


def _offers(terms: Terms, held: Any, config: PartyConfig, state: Any) -> Offers:
    if isinstance(held, BookState):
        return BookOffers(_book(terms, held, config))
    if is_ladders(held):
        return ladders_of(held, terms)
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
    limits = books.Limits(_amount(config, "capital"), _amount(config, "inventory"))
    return books.book_of(state, terms, base, quote, Fraction(fee), limits)


def _amount(config: PartyConfig, name: str) -> Fraction | None:
    """What a party puts into a plan at most, or None without a limit."""
    if name not in config:
        return None
    amount = parse_decimal(config[name], f"party.config.{name}")
    if amount < 0:
        raise BadInput(
            f"{name} is negative",
            "give a decimal of at least 0",
            field=f"party.config.{name}",
            value=as_toml(config[name]),
        )
    return amount


def _refuse_settings(config: Mapping[str, object]) -> None:
    """Pools carry their own fees, ladders their own limits: a setting would change nothing."""
    for key, value in config.items():
        raise BadInput(
            f"{key} is a setting for order books, and this party has none",
            "leave it out: fees and limits are part of the venue's own state",
            field=f"party.config.{key}",
            value=as_toml(value),
        )


def _packed(parts: books.Parts) -> Memory:
    return Memory(np.concatenate(parts).astype("<f8").tobytes())


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
        if key not in AMOUNT_KEYS and not is_asset(value):
            raise BadInput(
                f"{key} names no asset",
                "give one of domain.goal.assets",
                field=f"party.config.{key}",
                value=as_toml(value),
            )
