"""EnergiBridge's canonical IR: market state and order events, free of any venue's dialect.

Prices are ticks and quantities are steps of the instrument, as decimal strings of integers.
Source: venues.md, section 1.
"""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from covenue_contracts.contract import (
    Contract,
    Count,
    Decimal,
    Digest,
    Integer,
    Name,
    Natural,
    Positive,
    SafeInt,
    Text,
    Time,
    contract,
)

Payoff = Literal["linear", "inverse"]
Side = Literal["buy", "sell"]


@contract("instrument/v1")
class Instrument(Contract):
    """What is traded where, and in which steps.

    tick: price increment in the quote currency. step: quantity increment, in base units (linear)
    or contracts (inverse). multiplier: base units per quantity unit (linear), or quote currency
    per contract (inverse: one contract is multiplier / price base units).
    """

    venue: Name
    symbol: Text
    canonical: Name
    base: Text
    quote: Text
    tick: Positive
    step: Positive
    minimum: Decimal
    multiplier: Positive
    payoff: Payoff
    hours: Text
    zone: Text

    def base_lots(self, quantity_steps: int, price_ticks: int, lot: Fraction) -> int:
        """Whole lots of the base currency in `quantity_steps` at a price, rounded down."""
        quantity = quantity_steps * Fraction(self.step) * Fraction(self.multiplier)
        if self.payoff == "linear":
            return quantity // lot
        return quantity / (price_ticks * Fraction(self.tick)) // lot


@contract("level/v1")
class Level(Contract):
    """Resting quantity at one price; in a delta, quantity 0 deletes the level."""

    price_ticks: Natural
    quantity_steps: Natural


@contract("order-book/v1")
class OrderBook(Contract):
    """A snapshot (levels best first) or a delta of one instrument's book."""

    instrument: Instrument
    form: Literal["snapshot", "delta"]
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    first: Natural
    last: Natural
    previous: Natural | None
    stamp: "ClockStamp"


@contract("clock-stamp/v1")
class ClockStamp(Contract):
    """When it happened there and arrived here, and how far the clocks are apart (local - venue)."""

    venue_time: Time | None
    local_time: Time
    clock: Name
    offset: Integer
    half_width: Natural


@contract("quote/v1")
class Quote(Contract):
    """Best bid and offer; an absent side is absent, never zero."""

    instrument: Instrument
    bid: Level | None
    ask: Level | None
    stamp: ClockStamp


@contract("trade/v1")
class Trade(Contract):
    """A print: who was the aggressor, its id and condition codes."""

    instrument: Instrument
    price_ticks: Natural
    quantity_steps: Natural
    aggressor: Side | None
    trade: Text
    conditions: tuple[Text, ...]
    stamp: ClockStamp


@contract("ack/v1")
class Ack(Contract):
    """The venue accepted an order."""

    order: Digest
    venue_order: Text
    stamp: ClockStamp


@contract("reject/v1")
class Reject(Contract):
    """The venue refused an order: a reason of a closed list, and its own words."""

    order: Digest
    reason: Literal["price", "quantity", "halted", "duplicate", "credit", "late", "other"]
    raw: Text
    stamp: ClockStamp


@contract("execution/v1")
class Execution(Contract):
    """One execution of an order, with its liquidity flag and fee."""

    order: Digest
    venue_order: Text
    execution: Text
    price_ticks: Natural
    quantity_steps: Natural
    liquidity: Literal["maker", "taker"]
    fee: Decimal
    fee_currency: Text
    stamp: ClockStamp


@contract("pool-state/v1")
class PoolState(Contract):
    """A liquidity pool, or one range of it: integer reserves, fee in parts per million, its block.

    available: the most that can be paid out of each asset, in native units. A whole pool gives up
    to its reserves; a range ("bounded-product") has virtual reserves and gives less.
    """

    venue: Name
    pool: Text
    invariant: Literal["constant-product", "bounded-product"]
    assets: Annotated[tuple[Text, ...], Field(min_length=2)]
    reserves: Annotated[tuple[Natural, ...], Field(min_length=2)]
    available: Annotated[tuple[Natural, ...], Field(min_length=2)]
    fee_ppm: Count
    block: Count
    log_index: Count


@contract("asset/v1")
class Asset(Contract):
    """One asset; a native unit of it is 10^-decimals."""

    name: Text
    decimals: Annotated[int, Field(ge=0, le=18)]


@contract("pool-set/v1")
class PoolSet(Contract):
    """All pools of one venue at an instant; `pools` name their assets by those listed."""

    venue: Name
    assets: Annotated[tuple[Asset, ...], Field(min_length=1)]
    pools: tuple[PoolState, ...]
    stamp: ClockStamp


@contract("fee-tier/v1")
class FeeTier(Contract):
    """Fees from a volume on; negative is a rebate."""

    volume: Decimal
    maker_ppm: SafeInt
    taker_ppm: SafeInt


@contract("fee-schedule/v1")
class FeeSchedule(Contract):
    """Fees of one venue; they are always rounded against us."""

    venue: Name
    currency: Text
    per: Literal["notional", "unit"]
    tiers: Annotated[tuple[FeeTier, ...], Field(min_length=1)]
    valid_from: Time
    valid_until: Time | None


@contract("gap/v1")
class Gap(Contract):
    """Messages are missing: recorded and replayed, never smoothed over."""

    instrument: Instrument
    last_good: Natural
    first_seen: Natural
    cause: Literal["sequence", "overflow", "disconnect", "checksum"]
    stamp: ClockStamp


OrderBook.model_rebuild()
