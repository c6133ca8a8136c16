"""Family `venues`: native data to canonical state; actions to native orders; outcomes back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from covenue.errors import StateStale
from covenue.hooks import hookspec
from covenue_contracts.canonical import canonical, parse, sha256
from covenue_contracts.contract import Scalar
from covenue_contracts.energibridge import Asset, ClockStamp, Instrument
from covenue_contracts.local import Actions, Outcome

VenueConfig = Mapping[str, Scalar]
ORDER_BOOK = "order-book/v1"
POOL_SET = "pool-set/v1"


class NeverSeen(Enum):
    """What `reconcile` returns for an order id that the venue does not know."""

    NEVER_SEEN = "never-seen"


NEVER_SEEN = NeverSeen.NEVER_SEEN


@dataclass(frozen=True)
class BookState:
    """One instrument's book: int64[n, 2] arrays of (price ticks, quantity steps), best first."""

    instrument: Instrument
    bids: NDArray[np.int64]
    asks: NDArray[np.int64]
    last: int
    stamp: ClockStamp


@dataclass(frozen=True)
class PoolBatch:
    """All constant-product pools of one venue, as arrays; row i is one pool, or a range of one.

    pools: its name, each once. sides: int64[n, 2], indices into `assets`. reserves: int64[n, 2] in
    native units, positive; virtual ones for a range of concentrated liquidity. fee_ppm: int64[n],
    below one million. available: int64[n, 2], the most native units that each side can pay out, 0
    to its reserve; None where every row is a whole pool, which gives up to its reserve.
    """

    venue: str
    assets: tuple[Asset, ...]
    pools: tuple[str, ...]
    sides: NDArray[np.int64]
    reserves: NDArray[np.int64]
    fee_ppm: NDArray[np.int64]
    stamp: ClockStamp
    available: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Snapshot:
    """Venue state pinned for one plan.

    kind: contract of the canonical form (`order-book/v1`, `pool-set/v1`). digest: SHA-256 over the
    state, equal for equal states, in any process. state: the canonical object (a BookState, a
    PoolBatch). body: bytes that a restarted node restores the state from; empty where it has to
    pin again.
    """

    kind: str
    as_of: int
    digest: str
    state: Any
    body: bytes = b""


def own_clock(heard: int) -> ClockStamp:
    """The stamp of a state that others last changed at `heard`, by the venue's clock alone."""
    return ClockStamp(
        venue_time=str(heard),
        local_time=str(heard),
        clock="venue-time",
        offset="0",
        half_width="0",
    )


def refuse_silence(heard: int, as_of: int, stale_ns: int | None, source: str) -> None:
    """Raise StateStale where nothing arrived for longer than `stale_ns`; None: it does not age.

    source: what the party has of the venue, as the advice calls it.
    """
    if stale_ns is not None and as_of - heard > stale_ns:
        raise StateStale(
            f"nothing arrived after {heard}, asked for {as_of}",
            f"ask for a time within the {source}, or raise stale_ms",
        )


def state_digest(state: BookState) -> str:
    """SHA-256 over length-prefixed kind, instrument, bids, asks and last id of a book.

    Nothing of the path or of the instant enters: equal states have equal digests anywhere.
    """
    return sha256(
        ORDER_BOOK.encode(),
        canonical(state.instrument),
        state.bids.astype("<i8").tobytes(),
        state.asks.astype("<i8").tobytes(),
        state.last.to_bytes(8, "little"),
    )


def pack_book(state: BookState) -> bytes:
    """A book as bytes: a length-prefixed canonical head, then asks, then bids."""
    head = canonical(
        {
            "instrument": state.instrument.model_dump(mode="json"),
            "stamp": state.stamp.model_dump(mode="json"),
            "last": str(state.last),
            "asks": len(state.asks),
        }
    )
    levels = np.concatenate([state.asks, state.bids]).astype("<i8").tobytes()
    return len(head).to_bytes(4, "big") + head + levels


def unpack_book(body: bytes) -> BookState:
    """The book of packed bytes. Raises ValueError when they are not of that form."""
    end = 4 + int.from_bytes(body[:4], "big")
    head = parse(body[4:end])
    levels = np.frombuffer(body[end:], dtype="<i8").astype(np.int64).reshape(-1, 2)
    levels.flags.writeable = False
    return BookState(
        Instrument.model_validate_json(canonical(head["instrument"])),
        bids=levels[head["asks"] :],
        asks=levels[: head["asks"]],
        last=int(head["last"]),
        stamp=ClockStamp.model_validate_json(canonical(head["stamp"])),
    )


def pack_pools(state: PoolBatch) -> bytes:
    """Pools as bytes: a length-prefixed canonical head, then sides, reserves, fees, and limits."""
    head = canonical(
        {
            "venue": state.venue,
            "assets": [asset.model_dump(mode="json") for asset in state.assets],
            "pools": list(state.pools),
            "bounded": state.available is not None,
            "stamp": state.stamp.model_dump(mode="json"),
        }
    )
    limits = () if state.available is None else (state.available,)
    columns = np.column_stack([state.sides, state.reserves, state.fee_ppm, *limits])
    return len(head).to_bytes(4, "big") + head + columns.astype("<i8").tobytes()


def unpack_pools(body: bytes) -> PoolBatch:
    """The pools of packed bytes. Raises ValueError when they are not of that form."""
    end = 4 + int.from_bytes(body[:4], "big")
    head = parse(body[4:end])
    columns = (
        np.frombuffer(body[end:], dtype="<i8")
        .astype(np.int64)
        .reshape(-1, 7 if head["bounded"] else 5)
    )
    columns.flags.writeable = False
    return PoolBatch(
        head["venue"],
        tuple(Asset.model_validate_json(canonical(asset)) for asset in head["assets"]),
        tuple(head["pools"]),
        sides=columns[:, 0:2],
        reserves=columns[:, 2:4],
        fee_ppm=columns[:, 4],
        stamp=ClockStamp.model_validate_json(canonical(head["stamp"])),
        available=columns[:, 5:7] if head["bounded"] else None,
    )


UNPACK: Mapping[str, Callable[[bytes], Any]] = {ORDER_BOOK: unpack_book, POOL_SET: unpack_pools}
"""How the state of a kind is read back from the bytes that a node kept."""


def restored(kind: str, as_of: int, digest: str, body: bytes) -> Snapshot | None:
    """A pinned state from its kept bytes, or None for a kind that keeps none."""
    if kind not in UNPACK or not body:
        return None
    return Snapshot(kind, as_of, digest, UNPACK[kind](body), body)


class VenueAdapter(Protocol):
    """One party's venue.

    Duties: `pin` sees nothing that arrived after `as_of` and raises StateStale rather than serve a
    gapped, stale or self-crossed state; equal inputs give equal digests. `apply` is idempotent by
    order id, refuses after `valid_until` and never executes more than a leg's quantity or
    `most_units`. `reconcile` tells what became of an order id, and never invents an outcome.
    """

    def pin(self, as_of: int) -> Snapshot:
        """The state as of a wall time in nanoseconds. Raises StateStale."""
        ...

    def apply(self, order: str, actions: Actions, valid_until: int, now: int) -> Sequence[Outcome]:
        """Send the legs, once, at wall time `now`; one outcome covers the whole order id."""
        ...

    def reconcile(self, order: str) -> Sequence[Outcome] | NeverSeen:
        """What became of an order id."""
        ...

    def facts(self) -> Mapping[str, Scalar]:
        """What an operator wants to know of the source: rows, gaps, clock offset."""
        ...

    def close(self) -> None:
        """Release what is held; open orders are cancelled or listed as left."""
        ...


class VenueFactory(Protocol):
    """Builds an adapter from a party's own configuration and its own folder."""

    def __call__(self, config: VenueConfig, folder: Path) -> VenueAdapter:
        """Raises CaptureDamaged or BadInput, naming file, field and value."""
        ...


RegisterVenue = Callable[[str, VenueFactory], None]


@hookspec
def register_venues(register: RegisterVenue) -> None:
    """Hand over venue factories: `register("recorded", RecordedVenue)`."""
