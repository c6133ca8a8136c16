"""What a ledger holds: entries, their clock, and the bodies of control and node entries."""

from typing import Annotated, Literal

from pydantic import Field

from covenue_contracts.contract import (
    Base64,
    Contract,
    Count,
    Did,
    Digest,
    Document,
    Kind,
    Name,
    Text,
    Time,
    contract,
)

Durability = Literal["full", "relaxed"]
ENTRY_BYTES_MAX = 65_535
"""An entry's canonical bytes are no more; bulk is a blob, and its digest is entered."""
EntryBody = dict[str, object]


@contract("clock-reading/v1")
class ClockReading(Contract):
    """A reading of the injected clock: wall and monotonic nanoseconds, boot, source, divergence."""

    wall: Time
    monotonic: Time
    boot: Name
    source: Name
    divergence: Time


@contract("genesis/v1")
class Genesis(Contract):
    """The first entry of a log: its origin, keys, durability and clock."""

    origin: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*(/[a-z0-9.-]+)*$", max_length=255)]
    author: Did
    log_key: Did
    durability: Durability
    clock_source: Name
    demo: bool
    config: Document


@contract("submit/v1")
class Submit(Contract):
    """A message of a participant, by the digest of its envelope's bytes."""

    plan: Digest
    round: Count
    sender: Did
    phase: Name
    blob: Digest


@contract("deadline/v1")
class Deadline(Contract):
    """A timer of the coordinator fired; `due` is the time it was set for."""

    plan: Digest
    round: Count
    phase: Name
    due: Time


@contract("kill_switch/v1")
class KillSwitch(Contract):
    """Somebody stopped a plan."""

    plan: Digest
    reason: Text


@contract("clock_regression/v1")
class ClockRegression(Contract):
    """The wall clock went back between two entries."""

    before: Time
    after: Time


@contract("tail/v1")
class Tail(Contract):
    """A node folded the coordinator's entries [start, end): one bundle, under `checkpoint`."""

    start: Count
    end: Count
    bundle: Digest
    checkpoint: Base64


@contract("snapshot/v1")
class SnapshotPinned(Contract):
    """The venue state that every answer of a plan comes from, or why there is none.

    changed: it differs from the state pinned for the last plan. blob: its bytes, kept by the node.
    reason: set where state and digest are absent.
    """

    plan: Digest
    as_of: Time
    state: Kind | None
    digest: Digest | None
    blob: Digest | None
    changed: bool
    reason: Name | None


@contract("reply/v1")
class Reply(Contract):
    """A message that this node owes the coordinator, by the digest of its envelope's bytes."""

    plan: Digest
    round: Count
    phase: Name
    blob: Digest


@contract("action/v1")
class ActionPlanned(Contract):
    """The node will act: the actions' digest and the idempotent order id."""

    plan: Digest
    order: Digest
    actions: Digest
    valid_until: Time


@contract("outcome/v1")
class OutcomeSeen(Contract):
    """What the venue answered, by the digest of the outcomes' bytes."""

    plan: Digest
    order: Digest
    outcomes: Digest


@contract("memory/v1")
class MemoryKept(Contract):
    """The participant's memory after a query, by digest only."""

    plan: Digest
    query: Digest
    memory: Digest


@contract("attestation/v1")
class Attestation(Contract):
    """A DSSE envelope: a signed statement, its type inside the signature."""

    payload_type: Text
    payload: Base64
    signatures: Annotated[tuple["DsseSignature", ...], Field(min_length=1)]


@contract("dsse-signature/v1")
class DsseSignature(Contract):
    """One signature of a DSSE envelope by a did:key."""

    keyid: Did
    sig: Base64


@contract("entry/v1")
class EntryHeader(Contract):
    """An entry without its body; the body is a contract of its own, named by `kind`.

    nonce: first 16 bytes of HMAC(log secret, index), so that a leaf does not betray a short body.
    """

    v: Annotated[int, Field(ge=1, le=1)]
    kind: Name
    author: Did
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    clock: ClockReading
    refs: tuple[Digest, ...]


Attestation.model_rebuild()
