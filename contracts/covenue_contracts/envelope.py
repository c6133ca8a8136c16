"""The envelope that every message between processes travels in."""

from covenue_contracts.contract import Base64, Contract, Count, Did, Digest, Name, Time, contract


@contract("envelope/v1")
class Envelope(Contract):
    """One signed message: who, for which plan and round, in which order, under which contract.

    contract: digest of the schema of the payload; signature: Ed25519 over the canonical bytes of
    this document without `signature`, tagged "covenue/envelope/1".
    """

    sender: Did
    plan: Digest
    round: Count
    phase: Name
    sequence: Count
    sent: Time
    contract: Digest
    payload: Base64
    signature: Base64


@contract("upload/v1")
class Upload(Contract):
    """The payload of a message of the aggregation stage, for one query."""

    query: Digest
    body: Base64


@contract("join/v1")
class Join(Contract):
    """A node takes part in a plan, or says why not.

    changed: its pinned state differs from the one it pinned for its last plan (public: the
    differencing guard counts it). checkpoint: the head of its own log, as a signed note.
    setup: what the aggregation stage exchanges before the first round.
    """

    accepts: bool
    reason: Name | None
    changed: bool
    checkpoint: Base64
    setup: Base64


@contract("decline/v1")
class Decline(Contract):
    """A node takes no part in a round, and says why; it still votes."""

    query: Digest
    reason: Name
