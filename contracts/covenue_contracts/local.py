"""What never leaves a venue: its problem's private data, its planned actions, their outcomes."""

from typing import Annotated, Literal

from pydantic import Field

from covenue_contracts.contract import (
    Contract,
    Count,
    Decimal,
    Digest,
    Document,
    Kind,
    Name,
    Natural,
    Text,
    contract,
)

OutcomeStatus = Literal["done", "partial", "refused", "unknown"]


@contract("local-problem/v1")
class LocalProblem(Contract):
    """The public envelope of one participant's subproblem; the data itself is named by digest."""

    domain: Name
    state: Kind
    digest: Digest
    config: Document


@contract("leg/v1")
class Leg(Contract):
    """One immediate-or-cancel order in native steps.

    limit_ticks: worst acceptable price; quantity_steps: native quantity; most_units: stop before
    the executed amount, in units of the actions, would pass this.
    """

    side: Literal["buy", "sell"]
    instrument: Name
    limit_ticks: Natural
    quantity_steps: Natural
    most_units: Natural


@contract("swap/v1")
class Swap(Contract):
    """One exchange with a pool, all or nothing: pay `paid` of one asset, get at least `least`.

    Both amounts are in native units of their asset.
    """

    pool: Text
    pays: Text
    gets: Text
    paid: Natural
    least: Natural


@contract("actions/v1")
class Actions(Contract):
    """What one participant does when its plan goes; committed to by hash before it may.

    unit: what `most_units` and a fill's `units` count, in the domain's own measure (base currency
    for orders on books); positive. It travels with the legs so that both sides count alike.
    legs go to a book, swaps to pools; a venue refuses what it does not have.
    """

    plan: Digest
    unit: Decimal
    legs: tuple[Leg, ...]
    swaps: tuple[Swap, ...]


@contract("fill/v1")
class Fill(Contract):
    """A part execution of a leg; `units` is the amount in whole units of the actions."""

    leg: Count
    price_ticks: Natural
    quantity_steps: Natural
    units: Natural


@contract("swap-fill/v1")
class SwapFill(Contract):
    """A swap that was made: what was paid and what was received, in native units."""

    swap: Count
    paid: Natural
    received: Natural


@contract("outcome-report/v1")
class Outcome(Contract):
    """What the venue made of one order id; unknown until reconciled.

    fills: of the legs; swaps: those that were made.
    """

    order: Digest
    status: OutcomeStatus
    fills: tuple[Fill, ...]
    swaps: tuple[SwapFill, ...]
    reason: Text | None


@contract("outcomes/v1")
class Outcomes(Contract):
    """All outcomes of one order id, as the venue reported them."""

    order: Digest
    outcomes: Annotated[tuple[Outcome, ...], Field(min_length=1)]
