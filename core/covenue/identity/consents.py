"""Consents: members sign the cohort policy of an order, so that nobody else can lower it.

A cohort below the default size protects less; a node takes part in one only where every member
of the roster agreed to just this policy. Source: privacy.md, section 5.
"""

import base64
from collections.abc import Sequence

from covenue.errors import IdentityRefused
from covenue.identity.dsse import attest, open_attestation
from covenue.identity.keys import SigningKey
from covenue.identity.roster import roster_digest
from covenue_contracts.canonical import canonical
from covenue_contracts.ledger import Attestation, DsseSignature
from covenue_contracts.plan import CohortPolicy, Order, Roster

PAYLOAD_TYPE = "application/vnd.covenue.cohort-policy+json"


def policy_payload(policy: CohortPolicy, roster: Roster) -> bytes:
    """What a member signs: the policy, and whom it is for."""
    return canonical({"policy": policy.model_dump(mode="json"), "roster": roster_digest(roster)})


def consent(
    keys: Sequence[SigningKey], policy: CohortPolicy, roster: Roster
) -> tuple[DsseSignature, ...]:
    """The signatures of these members, in order of did."""
    return attest(keys, PAYLOAD_TYPE, policy_payload(policy, roster)).signatures


def all_consent(order: Order) -> bool:
    """Whether every member of the roster signed the order's policy."""
    members = [member.did for member in order.roster.members]
    if not order.consents:
        return False
    payload = policy_payload(order.policy, order.roster)
    signed = Attestation(
        payload_type=PAYLOAD_TYPE,
        payload=base64.b64encode(payload).decode("ascii"),
        signatures=order.consents,
    )
    try:
        open_attestation(signed, PAYLOAD_TYPE, members, threshold=len(members))
    except IdentityRefused:
        return False
    return True
