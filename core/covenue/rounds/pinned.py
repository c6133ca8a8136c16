"""What a ledger's genesis pins of its scenario, so that only the same one can continue it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from covenue.errors import BadInput, LedgerDamaged
from covenue.hooks.venues import NeverSeen
from covenue.identity.keys import derive
from covenue.ledger.audit_log import AuditLog
from covenue.rounds.fold import first_difference
from covenue.rounds.identities import Identity
from covenue.rounds.preflight import PreparedParty
from covenue.rounds.scenario import OrderEntry, PartyEntry
from covenue_contracts.canonical import canonical, digest, parse_as
from covenue_contracts.contract import Scalar
from covenue_contracts.ledger import OutcomeSeen
from covenue_contracts.local import Outcomes
from covenue_contracts.plan import Order

Pins = Mapping[str, Scalar | tuple[Scalar, ...]]
Orders = Sequence[tuple[OrderEntry, Order]]
ADVICE = "undo the change, or start a new run with another --out"


def order_pins(orders: Orders) -> Pins:
    """The digests of all orders of a run, begun or not."""
    return {"orders": tuple(digest(order, "covenue/order/1") for _, order in orders)}


def party_pins(entry: PartyEntry, identity: Identity) -> Pins:
    """A keyed digest of a party's own settings: fees are easily guessed from a bare one."""
    settings = {
        "config": dict(entry.config),
        "venue": entry.venue,
        "venue_config": dict(entry.venue_config),
        "exact_max": str(entry.exact_max),
        "rho_max": str(entry.rho_max),
    }
    return {"settings": derive(identity.master, b"settings", canonical(settings)).hex()}


def check_orders(log: AuditLog, orders: Orders, scenario: Path) -> AuditLog:
    """The log itself, if these are the orders that it was begun with. Raises BadInput."""
    pinned = log.genesis.config.get("orders")
    ours = order_pins(orders)["orders"]
    if pinned == ours:
        return log
    field, value = "order", f"{pinned} is pinned, the file gives {ours}"
    begun = [entry.body for entry in log.entries() if isinstance(entry.body, Order)]
    for number, (recorded, (_, order)) in enumerate(zip(begun, orders, strict=False)):
        found = first_difference(_asked(recorded), _asked(order))
        if found is not None:
            field, value = f"order.{number}{found[0]}", f"begun with {found[1]}, now {found[2]}"
            break
    raise BadInput(
        "the scenario is not the one that this ledger was begun with",
        ADVICE,
        file=str(scenario),
        field=field,
        value=value,
    )


def _asked(order: Order) -> dict[str, Any]:
    """An order without its signatures: they only follow what differs."""
    return order.model_dump(exclude={"consents"})


def check_party(log: AuditLog, party: PreparedParty, identity: Identity, scenario: Path) -> None:
    """Refuse settings other than the log was begun with, and a venue that forgot what it did."""
    entry = party.entry
    if log.genesis.config.get("settings") != party_pins(entry, identity)["settings"]:
        raise BadInput(
            f"the settings of party '{entry.name}' are not those that its ledger was begun with",
            ADVICE,
            file=str(scenario),
            field=f"party.{entry.name}",
        )
    for item in log.entries():
        if isinstance(item.body, OutcomeSeen) and _filled(log, item.body):
            if not isinstance(party.venue.reconcile(item.body.order), NeverSeen):
                continue
            raise LedgerDamaged(
                f"the venue of party '{entry.name}' has forgotten an order that its log settled",
                "restore the venue's journal beside the party's ledger",
                f"order {item.body.order}",
            )


def _filled(log: AuditLog, seen: OutcomeSeen) -> bool:
    outcomes = parse_as(Outcomes, log.get_blob(seen.outcomes)).outcomes
    return any(outcome.fills or outcome.swaps for outcome in outcomes)
