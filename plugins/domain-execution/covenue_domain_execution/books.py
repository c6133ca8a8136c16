"""One venue's book and a party's own forecast as a row of a plan, and as orders on the book.

    a = best ask (1 + fee) - P buying,   P - best bid (1 - fee) selling
    volume_t = the party's forecast, along the public curve,   cap_t = part of it,
    eta_t = impact / volume_t: trading all of a slice's volume moves the marginal price by `impact`

The slice that trades now is capped by what the book shows as well; later slices are a forecast at
today's spread. Source: solvers.md, section 2(c).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction

import numpy as np

from covenue.errors import BadInput, CapabilityMissing
from covenue.hooks.domains import PartyConfig
from covenue.hooks.venues import BookState
from covenue.numerics.decimals import as_toml, parse_decimal
from covenue_contracts.contract import Scalar
from covenue_contracts.energibridge import Instrument
from covenue_contracts.local import Leg
from covenue_domain_execution.goals import BPS, GRID, Terms
from covenue_domain_execution.kernels import Rows
from covenue_domain_execution.tables import limited

PARTY: Mapping[str, Scalar] = {
    "volume": None,
    "participation": "0.1",
    "impact_bps": "10",
    "credit": None,
    "fee_bps": "0",
}


@dataclass(frozen=True)
class Forecast:
    """A party's private expectations and limits, exact; amounts in base currency.

    volume: of all slices together. participation: part of a slice's volume that may be traded.
    impact: part of the arrival price that trading all of it costs at the margin. credit: most that
    one plan may place here, or None. fee: part of the notional.
    """

    volume: Fraction
    participation: Fraction
    impact: Fraction
    credit: Fraction | None
    fee: Fraction


@dataclass(frozen=True)
class Venue:
    """Where a party's legs go. steps: native steps of one lot. due: the slice that trades now."""

    instrument: Instrument
    fee: Fraction
    steps: int
    due: int

    def leg(self, terms: Terms, multiplier: int, lots: int) -> Leg | None:
        """An immediate-or-cancel order for the due slice at its marginal price, all-in.

        None where there is nothing to trade, or less than the venue takes.
        """
        quantity = lots * self.steps
        least = Fraction(self.instrument.minimum) / Fraction(self.instrument.step)
        price = Fraction(self._worst(terms, multiplier), GRID) / Fraction(self.instrument.tick)
        if terms.side == "buy":
            ticks = price / (1 + self.fee) // 1
        else:
            ticks = -(-price / (1 - self.fee) // 1)
        if not lots or quantity < least or ticks <= 0:
            return None
        return Leg(
            side=terms.side,
            instrument=self.instrument.canonical,
            limit_ticks=str(ticks),
            quantity_steps=str(quantity),
            most_units=str(lots),
        )

    def _worst(self, terms: Terms, multiplier: int) -> int:
        """The worst all-in price on the grid: the marginal one, and never beyond the limit."""
        price = terms.market_price(multiplier)
        if terms.limit is None:
            return price
        return min(price, terms.limit) if terms.side == "buy" else max(price, terms.limit)


def parse_forecast(config: PartyConfig) -> Forecast:
    """A party's `[party.config]`: volume, participation, impact_bps, credit, fee_bps.

    Raises BadInput, naming field and value.
    """
    for key in config:
        if key not in PARTY:
            close = get_close_matches(key, PARTY, n=1, cutoff=0.5)
            only = f"use only {', '.join(PARTY)}"
            raise _misfit(key, config[key], f"did you mean '{close[0]}'?" if close else only)
    given = {**PARTY, **config}
    volume = _within(given, "volume", Fraction(0), None)
    participation = _within(given, "participation", Fraction(0), Fraction(1))
    impact = _within(given, "impact_bps", Fraction(1, 10**6), None)
    fee = _within(given, "fee_bps", Fraction(1 - BPS), Fraction(BPS - 1))
    credit = None if given["credit"] is None else _within(given, "credit", Fraction(0), None)
    return Forecast(volume, participation, impact / BPS, credit, fee / BPS)


def book_rows(state: BookState, terms: Terms, forecast: Forecast, due: int) -> tuple[Rows, Venue]:
    """The row of a venue, and where its legs go. Slices before the due one are over.

    Raises CapabilityMissing for an inverse instrument, BadInput for another instrument or a lot
    that is no whole number of native steps.
    """
    instrument = state.instrument
    steps = _steps(instrument, terms)
    levels = state.asks if terms.side == "buy" else state.bids
    venue = Venue(instrument, forecast.fee, steps, due)
    price, size = Fraction(terms.price, GRID), terms.size
    whole = sum(terms.curve)
    volumes = [forecast.volume * weight / whole / terms.lot for weight in terms.curve]
    caps = [volume * forecast.participation // 1 for volume in volumes]
    caps[:due] = [0] * due
    shown = int(levels[:, 1].sum(dtype=np.int64)) // steps if len(levels) else 0
    caps[due] = min(caps[due], shown)
    if not len(levels):
        caps = [0] * size
    best = int(levels[0, 0]) * Fraction(instrument.tick) if len(levels) else price
    sign = 1 if terms.side == "buy" else -1
    beyond = sign * (best * (1 + sign * forecast.fee) - price)
    slopes = [float(forecast.impact * price / volume) if volume else 1.0 for volume in volumes]
    credit = sum(caps) if forecast.credit is None else forecast.credit / terms.lot
    return limited(
        np.full((1, size), float(beyond)),
        np.array([slopes]),
        np.array([[float(cap) for cap in caps]]),
        np.array([float(credit)]),
        terms,
    ), venue


def _steps(instrument: Instrument, terms: Terms) -> int:
    """Native steps of one lot."""
    if instrument.payoff != "linear":
        raise CapabilityMissing(
            f"domain 'execution' plans linear instruments; {instrument.canonical} is inverse",
            "leave this venue out, or plan it with domain 'routing'",
            field="payoff",
            value=instrument.payoff,
        )
    wanted = terms.instrument
    if wanted is not None and wanted not in {instrument.canonical, instrument.base.lower()}:
        raise BadInput(
            f"the venue trades {instrument.canonical}, the order is for {wanted}",
            "give the party a venue of that instrument",
            field="domain.goal.instrument",
            value=wanted,
        )
    steps = terms.lot / (Fraction(instrument.step) * Fraction(instrument.multiplier))
    if steps.denominator != 1:
        raise BadInput(
            f"a lot is no whole number of steps of {instrument.canonical}",
            "give a lot that every venue can trade",
            field="domain.goal.lot",
            value=str(terms.lot),
        )
    return int(steps)


def _within(
    given: Mapping[str, Scalar], key: str, least: Fraction, most: Fraction | None
) -> Fraction:
    value = parse_decimal(given[key], f"party.config.{key}")
    if value < least or (most is not None and value > most):
        wanted = f"a decimal of at least {float(least):g}"
        wanted += "" if most is None else f" and at most {float(most):g}"
        raise _misfit(key, given[key], f"give {wanted}")
    return value


def _misfit(key: str, value: object, advice: str) -> BadInput:
    return BadInput(
        f"{key} does not fit domain 'execution'",
        advice,
        field=f"party.config.{key}",
        value=as_toml(value)[:80],
    )
