"""The three raw dialects as tables: what a line may hold, how diffs link, what is traded.

A field that is not listed here ends the reading: fail closed. Source of the rules: the exchange's
"how to manage a local order book correctly", for spot, USD-M and COIN-M; venues.md, section 7.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec

from covenue_contracts.energibridge import Instrument, Payoff

RawLevel = tuple[str, str]
Id = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]


class SpotDiff(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A spot depth diff: no transaction time, no previous id."""

    e: Literal["depthUpdate"]
    E: Milliseconds
    s: str
    U: Id
    u: Id
    b: list[RawLevel]
    a: list[RawLevel]


class UsdmDiff(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A USD-M depth diff."""

    e: Literal["depthUpdate"]
    E: Milliseconds
    T: Milliseconds
    s: str
    U: Id
    u: Id
    pu: Id
    b: list[RawLevel]
    a: list[RawLevel]


class CoinmDiff(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A COIN-M depth diff: as USD-M, and the pair."""

    e: Literal["depthUpdate"]
    E: Milliseconds
    T: Milliseconds
    s: str
    ps: str
    U: Id
    u: Id
    pu: Id
    b: list[RawLevel]
    a: list[RawLevel]


class SpotDepth(msgspec.Struct, forbid_unknown_fields=True):
    """A spot REST snapshot: no times at all."""

    lastUpdateId: Id  # noqa: N815 -- the wire's own name
    bids: list[RawLevel]
    asks: list[RawLevel]


class UsdmDepth(msgspec.Struct, forbid_unknown_fields=True):
    """A USD-M REST snapshot."""

    lastUpdateId: Id  # noqa: N815 -- the wire's own name
    E: Milliseconds
    T: Milliseconds
    bids: list[RawLevel]
    asks: list[RawLevel]


class CoinmDepth(msgspec.Struct, forbid_unknown_fields=True):
    """A COIN-M REST snapshot: as USD-M, with symbol and pair."""

    lastUpdateId: Id  # noqa: N815 -- the wire's own name
    E: Milliseconds
    T: Milliseconds
    symbol: str
    pair: str
    bids: list[RawLevel]
    asks: list[RawLevel]


RawDiff = SpotDiff | UsdmDiff | CoinmDiff
RawDepth = SpotDepth | UsdmDepth | CoinmDepth


@dataclass(frozen=True)
class Dialect:
    """One dialect.

    lead: a diff is dropped while `u < L + lead`, and the first kept has `U <= L + lead <= u`:
    1 for spot, whose diffs carry on after the snapshot; 0 for futures, whose diffs overlap it.
    step: the quantum of what rests in the book, finer than what an order may ask for on spot.
    """

    name: str
    diff: type[RawDiff]
    depth: type[RawDepth]
    lead: int
    link_field: str
    symbol: str
    canonical: str
    base: str
    quote: str
    tick: str
    step: str
    minimum: str
    multiplier: str
    payoff: Payoff

    def previous(self, diff: RawDiff) -> int:
        """The id that the diff says it follows."""
        return diff.U - 1 if isinstance(diff, SpotDiff) else diff.pu

    def instrument(self, symbol: str, canonical: str, tick: str, step: str) -> Instrument:
        """The instrument of a capture in this dialect."""
        return Instrument(
            venue=self.name,
            symbol=symbol,
            canonical=canonical,
            base=self.base,
            quote=self.quote,
            tick=tick,
            step=step,
            minimum=self.minimum,
            multiplier=self.multiplier,
            payoff=self.payoff,
            hours="24/7",
            zone="UTC",
        )


SPOT = Dialect(
    name="binance-spot",
    diff=SpotDiff,
    depth=SpotDepth,
    lead=1,
    link_field="U",
    symbol="BTCUSDT",
    canonical="btc-usdt-spot",
    base="BTC",
    quote="USDT",
    tick="0.01",
    step="0.00000001",
    minimum="0.00001",
    multiplier="1",
    payoff="linear",
)
USDM = Dialect(
    name="binance-usdm",
    diff=UsdmDiff,
    depth=UsdmDepth,
    lead=0,
    link_field="pu",
    symbol="BTCUSDT",
    canonical="btc-usdt-perp",
    base="BTC",
    quote="USDT",
    tick="0.1",
    step="0.001",
    minimum="0.001",
    multiplier="1",
    payoff="linear",
)
COINM = Dialect(
    name="binance-coinm",
    diff=CoinmDiff,
    depth=CoinmDepth,
    lead=0,
    link_field="pu",
    symbol="BTCUSD_PERP",
    canonical="btc-usd-perp",
    base="BTC",
    quote="USD",
    tick="0.1",
    step="1",
    minimum="1",
    multiplier="100",
    payoff="inverse",
)
DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.name: dialect for dialect in (SPOT, USDM, COINM)}
)
