"""Messages of participants, and the digests that bind rounds: parsed once, at the border."""

from dataclasses import dataclass

from covenue.errors import EnvelopeRefused
from covenue.hooks.privacy import RoundContext
from covenue.identity.envelopes import open_envelope, payload_of
from covenue.ledger.audit_log import blob_digest
from covenue_contracts.canonical import ProfileBroken, ValidationError, digest, parse_as, sha256
from covenue_contracts.contract import Contract
from covenue_contracts.envelope import Decline, Envelope, Join, Upload
from covenue_contracts.ledger import Submit
from covenue_contracts.plan import PlanOpen
from covenue_contracts.shared import Query

JOIN = "join"
DECLINE = "decline"
PAYLOADS: dict[str, type[Contract]] = {JOIN: Join, DECLINE: Decline}


@dataclass(frozen=True)
class Message:
    """A verified envelope and its payload; `blob` is the digest of the bytes it came as."""

    envelope: Envelope
    payload: Contract
    blob: str

    def entry(self) -> Submit:
        """The entry by which the coordinator records the message."""
        sent = self.envelope
        return Submit(
            plan=sent.plan,
            round=sent.round,
            sender=sent.sender,
            phase=sent.phase,
            blob=self.blob,
        )


def open_message(data: bytes) -> Message:
    """Verify an envelope and parse its payload. Raises EnvelopeRefused on anything else."""
    envelope = open_envelope(data)
    model = PAYLOADS.get(envelope.phase, Upload)
    try:
        payload = parse_as(model, payload_of(envelope))
    except (ProfileBroken, ValidationError) as error:
        raise EnvelopeRefused(
            f"the payload of phase '{envelope.phase}' is no {model.kind_name}",
            "upgrade the node so that both sides speak the same contracts",
            field="payload",
        ) from error
    return Message(envelope, payload, blob_digest(data))


def query_digest(plan: str, query: Query) -> str:
    """Names a query within a plan by what it asks, not by its round."""
    return sha256(b"covenue/query/1", plan.encode(), digest(query).encode())


def transcript_digest(before: str, query: Query, words: str) -> str:
    """The transcript after one more round: what was asked and what came of it (solvers.md R8).

    Neither the plan's name nor its protection enters: masked and open runs of one scenario agree.
    """
    asked = query.model_copy(update={"after": None})
    return sha256(b"covenue/transcript/1", before.encode(), digest(asked).encode(), words.encode())


def plan_id(order: str, ordinal: int, number: int) -> str:
    """Names the number-th plan of the ordinal-th order of a ledger."""
    return sha256(b"covenue/plan/1", order.encode(), str(ordinal).encode(), str(number).encode())


def opened_digest(opened: PlanOpen) -> str:
    """Names all that a plan opened with: goal, mode, time, roster, seed."""
    return digest(opened, "covenue/opened/1")


def round_context(  # noqa: PLR0917 -- the fields of ctx in the order of privacy.md 4
    opened: str,
    plan: str,
    number: int,
    roster: str,
    query: str,
    width: int,
    mechanism: str,
    expected: tuple[str, ...],
    cohort: tuple[str, ...] | None,
) -> RoundContext:
    """The context that binds a round. Source: privacy.md, section 4."""
    bound = sha256(
        b"covenue/ctx/1",
        opened.encode(),
        plan.encode(),
        str(number).encode(),
        roster.encode(),
        query.encode(),
        str(width).encode(),
        mechanism.encode(),
        *(did.encode() for did in expected),
        b"fixed" if cohort is not None else b"open",
    )
    return RoundContext(plan, number, query, width, expected, cohort, bound)
