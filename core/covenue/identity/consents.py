"""Consents: members sign an order before they take part in it.

Under a mechanism that hides answers a cohort protects only as far as its roster and policy do. So
a node takes part only in an order that every member of its roster signed, itself included: nobody
else can lower the policy, bring strangers in, or ask for another goal. Source: privacy.md, 5.
"""

import base64
from collections.abc import Sequence

from covenue.errors import IdentityRefused
from covenue.identity.dsse import attest, open_attestation
from covenue.identity.keys import SigningKey
from covenue_contracts.canonical import canonical
from covenue_contracts.ledger import Attestation
from covenue_contracts.plan import Order

PAYLOAD_TYPE = "application/vnd.covenue.order+json"


def agreed(order: Order, keys: Sequence[SigningKey]) -> Order:
    """The order with the signatures of these members, in order of did."""
    signatures = attest(keys, PAYLOAD_TYPE, _payload(order)).signatures
    return order.model_copy(update={"consents": signatures})


def all_consent(order: Order) -> bool:
    """Whether every member of the roster signed the order, policy and all."""
    if not order.consents:
        return False
    members = [member.did for member in order.roster.members]
    signed = Attestation(
        payload_type=PAYLOAD_TYPE,
        payload=base64.b64encode(_payload(order)).decode("ascii"),
        signatures=order.consents,
    )
    try:
        open_attestation(signed, PAYLOAD_TYPE, members, threshold=len(members))
    except IdentityRefused:
        return False
    return True


def _payload(order: Order) -> bytes:
    """What members sign: all of the order but the signatures."""
    return canonical(order.model_copy(update={"consents": ()}))
