"""The adapter: pins the engine's book, and sends it orders that take at once or not at all."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from covenue.errors import BadInput, StateStale
from covenue.hooks.journal import Applied, Journal, outcome_of, refused
from covenue.hooks.venues import (
    ORDER_BOOK,
    BookState,
    NeverSeen,
    Snapshot,
    VenueConfig,
    own_clock,
    pack_book,
    refuse_silence,
    state_digest,
)
from covenue.numerics.fills import execute, refusal
from covenue_contracts.canonical import canonical, sha256
from covenue_contracts.contract import Scalar
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Actions, Fill, Outcome
from covenue_venue_sim.engine import BUY, SELL, Engine
from covenue_venue_sim.execution import less, side_of
from covenue_venue_sim.flow import Timed, generated
from covenue_venue_sim.fold import EngineFold, Take
from covenue_venue_sim.journal import FORMAT
from covenue_venue_sim.options import Options, parse_options
from covenue_venue_sim.tables import orders_file, read_instrument, read_orders, request_text

Levels = NDArray[np.int64]


class SimVenue:
    """One instrument's matching engine as a venue.

    `pin` is a function of everybody's orders, the instant and the orders applied until that
    instant: going back in time, or asking in another order, changes nothing. What an order of ours
    takes is gone for good, and others' later orders meet what is left. The venue's clock does not
    go back for us: an order that comes with an earlier time than one that took happens at the time
    of that one. Raises BadInput when it is opened.
    """

    def __init__(self, config: VenueConfig, folder: Path) -> None:
        self._options = parse_options(config)
        self._instrument = read_instrument(folder)
        self._flow = _flow(self._options, folder)
        self._fold = EngineFold(self._options.rules, self._flow)
        self._journal = Journal(self._options.journal, FORMAT, self._source())

    @property
    def instrument(self) -> Instrument:
        """What is traded here."""
        return self._instrument

    def pin(self, as_of: int) -> Snapshot:
        """The book after every order with time <= as_of, ours included.

        Raises StateStale before the first one, and after a silence where `stale_ms` is set.
        """
        heard = self._heard(as_of)
        engine = self._fold.at(as_of, self._journal.takes)
        bids, asks = _levels(engine, BUY), _levels(engine, SELL)
        last = self._fold.seen_until(as_of)
        state = BookState(self._instrument, bids, asks, last, own_clock(heard))
        return Snapshot(ORDER_BOOK, as_of, state_digest(state), state, pack_book(state))

    def apply(self, order: str, actions: Actions, valid_until: int, now: int) -> Sequence[Outcome]:
        """Execute the legs, immediate or cancel, on the book at `now`; once an order id.

        Fills count in the unit of the actions. The outcome is in the journal before it is
        returned; the same id again returns it.
        """
        return self._journal.once(order, lambda: self._execute(order, actions, valid_until, now))

    def reconcile(self, order: str) -> Sequence[Outcome] | NeverSeen:
        """The stored outcome of an order id, or NEVER_SEEN."""
        return self._journal.outcomes(order)

    def facts(self) -> Mapping[str, Scalar]:
        """Requests of others; our position in base, cash and fees in quote currency, as text."""
        account, traded = self._fold.account(self._journal.takes), self._instrument
        times, money = self._fold.times, (traded.tick, traded.step, traded.multiplier)
        return {
            "venue": traded.venue,
            "symbol": traded.symbol,
            "requests": len(times),
            "first_time": str(int(times[0])),
            "last_time": str(int(times[-1])),
            "stale_ms": None
            if self._options.stale_ns is None
            else self._options.stale_ns // 1_000_000,
            "maker_ppm": self._options.rules.maker_ppm,
            "taker_ppm": self._options.rules.taker_ppm,
            "self_trade": self._options.rules.self_trade,
            "orders": len(self._journal.orders),
            "executions": account.executions,
            "position": _product(account.position, traded.step, traded.multiplier),
            "cash": _product(account.cash, *money),
            "fees": _product(account.fees, *money),
        }

    def close(self) -> None:
        """Nothing of ours is open: every order is immediate or cancel."""

    def _source(self) -> str:
        """Which instrument, rules and flow a journal belongs to; their packing does not matter."""
        rules = self._options.rules
        return sha256(
            canonical(self._instrument),
            canonical([rules.maker_ppm, rules.taker_ppm, rules.self_trade]),
            *(f"{timed.time},{request_text(timed.request)}".encode() for timed in self._flow),
        )

    def _heard(self, as_of: int) -> int:
        """When the newest request of others arrived. Raises StateStale."""
        seen = self._fold.seen_until(as_of)
        if not seen:
            raise StateStale(
                f"the book is not known before {self._flow[0].time}, asked for {as_of}",
                "ask for a later time",
            )
        heard = int(self._fold.times[seen - 1])
        refuse_silence(heard, as_of, self._options.stale_ns, "flow")
        return heard

    def _execute(self, order: str, actions: Actions, valid_until: int, now: int) -> Applied[Take]:
        """One pass over the legs; each sees what the ones before it took.

        The engine itself executes when the takes are folded in, after they are kept: a crash
        before that leaves no trace of the order.
        """
        made = self._journal.takes
        instant = max(now, made[-1].time) if made else now
        why = refusal(actions, self._instrument, valid_until, instant)
        if why:
            return refused(order, why)
        try:
            self._heard(instant)
        except StateStale as error:
            return refused(order, f"book unusable: {error.what}")
        engine = self._fold.at(instant, made)
        levels = [engine.levels(BUY), engine.levels(SELL)]
        fills: list[Fill] = []
        takes: list[Take] = []
        short = ""
        for number, leg in enumerate(actions.legs):
            side = side_of(leg)
            against = levels[1 - side]
            got = execute(against, leg, number, self._instrument, Fraction(actions.unit))
            levels[1 - side] = less(against, got.fills)
            fills += got.fills
            if got.fills:
                takes.append(Take(instant, side, int(leg.limit_ticks), got.steps))
            short = short or got.short
        return Applied(outcome_of(order, tuple(fills), (), short), tuple(takes))


def _flow(options: Options, folder: Path) -> tuple[Timed, ...]:
    """Everybody else's requests, from a seed or from a table. Raises BadInput."""
    file = orders_file(folder)
    if options.flow is None:
        if file is None:
            raise BadInput(
                "there is neither a table of orders nor a seed",
                "put orders.csv into the party's folder, or set seed",
                file=str(folder / "orders.csv"),
            )
        return read_orders(file)
    if file is not None:
        raise BadInput(
            "there is a table of orders as well as a seed",
            f"delete {file.name}, or leave out seed",
            file=str(file),
            field="venue_config.seed",
            value=str(options.flow.seed),
        )
    try:
        return generated(options.flow)
    except BadInput as error:
        raise BadInput(
            error.what, error.advice, field=f"venue_config.{error.field}", value=error.value
        ) from error


def _levels(engine: Engine, side: int) -> Levels:
    levels = np.array(engine.levels(side), dtype=np.int64).reshape(-1, 2)
    levels.flags.writeable = False
    return levels


def _product(number: int, *increments: str) -> str:
    """A number of increments as exact decimal text."""
    with localcontext() as context:
        context.prec = 200
        product = Decimal(number)
        for increment in increments:
            product *= Decimal(increment)
        return f"{product:f}"
