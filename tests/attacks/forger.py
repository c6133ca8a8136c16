"""A coordinator that writes what it likes under its own key, and honest nodes that read it."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tests.rounds.machine import Around

from covenue.hooks.engines import TailReply
from covenue.identity.envelopes import seal
from covenue.identity.keys import SigningKey
from covenue.ledger.audit_log import blob_digest
from covenue.rounds.messages import Message, open_message, query_digest
from covenue.rounds.run import items
from covenue.testing.cohorts import NO_SCHEMA, Cohort, Setting
from covenue_contracts.canonical import canonical
from covenue_contracts.contract import Contract
from covenue_contracts.envelope import Decline, Join
from covenue_contracts.plan import JoinedMember, PlanJoined, PlanOpen, QueryAsked
from covenue_contracts.shared import Query, SharedSignals

STRANGER = SigningKey.from_seed(b"\x77" * 32)


class Forger:
    """The log of a cohort's coordinator in the hands of somebody else."""

    def __init__(self, stage: str = "open", **setting: Any) -> None:
        self.cohort = Cohort(Around(stage), Setting(**setting))
        self.log = self.cohort.log(self.cohort.setting.parties)
        self.blobs: dict[str, bytes] = {}

    @property
    def plan(self) -> PlanOpen:
        """The newest plan."""
        opened = [e.body for e in self.log.entries() if isinstance(e.body, PlanOpen)]
        return opened[-1]

    @property
    def dids(self) -> tuple[str, ...]:
        """The honest nodes, sorted."""
        return tuple(m.did for m in self.cohort.order.roster.members)

    def write(self, *bodies: Contract) -> None:
        """Enter anything."""
        self.log.append(items(*bodies), self.cohort.clock(self.cohort.setting.parties))

    def show(self, did: str) -> tuple[Message, ...]:
        """Let a node read everything written so far; what it then sends."""
        index = next(i for i in range(len(self.dids)) if self.cohort.did(i) == did)
        node = self.cohort.node(index)
        start = node.wants()
        raw = tuple(self.log.raw(start))
        tail = TailReply(start, raw, self.log.checkpoint(), self.blobs)
        return tuple(open_message(body) for body in node.deliver(tail, self.cohort.clock(index)))

    def joins(self) -> dict[str, bytes]:
        """Every node's true join of the newest plan."""
        joins = {}
        for did in self.dids:
            (message,) = self.show(did)
            joins[did] = self.sent(did)[message.blob]
        return joins

    def sent(self, did: str) -> dict[str, bytes]:
        """The bytes of everything that a node owes, by digest."""
        index = next(i for i in range(len(self.dids)) if self.cohort.did(i) == did)
        return {o.blob: o.body for o in self.cohort.node(index).state.outbox}

    def joined(self, joins: Mapping[str, bytes], plan: str | None = None) -> PlanJoined:
        """The entry that says who takes part, with any envelopes."""
        self.blobs.update({blob_digest(body): body for body in joins.values()})
        members = tuple(
            JoinedMember(did=did, envelope=blob_digest(joins[did])) for did in sorted(joins)
        )
        return PlanJoined(plan=plan or self.plan.plan, members=members)

    def forged_join(self, key: SigningKey, plan: str | None = None) -> bytes:
        """A join signed by any key."""
        join = Join(
            accepts=True,
            reason=None,
            changed=False,
            checkpoint="",
            setup=base64.b64encode(b"").decode("ascii"),
        )
        return seal(
            key,
            plan=plan or self.plan.plan,
            round=0,
            phase="join",
            sequence=0,
            sent="0",
            contract=NO_SCHEMA,
            payload=canonical(join),
        )

    def ask(
        self,
        number: int,
        expected: Sequence[str],
        *,
        points: Sequence[str] = ("4",),
        kind: Any = "prox",
        fixed: bool = False,
        width: int = 2,
        digest: str | None = None,
        plan: str | None = None,
    ) -> QueryAsked:
        """Any question."""
        query = Query(kind=kind, after=None, multipliers=None, points=tuple(points))
        name = plan or self.plan.plan
        return QueryAsked(
            plan=name,
            round=number,
            digest=digest or query_digest(name, query),
            query=query,
            width=width,
            expected=tuple(expected),
            cohort_fixed=fixed,
            retry_of=None,
        )

    def total(self, number: int, cohort: Sequence[str], plan: str | None = None) -> SharedSignals:
        """A released total; its words do not matter."""
        return SharedSignals(
            plan=plan or self.plan.plan,
            round=number,
            query="0" * 64,
            words=base64.b64encode(bytes(16)).decode("ascii"),
            digest=hashlib.sha256(bytes(16)).hexdigest(),
            cohort=tuple(cohort),
            exact=True,
        )


def refusal(messages: Sequence[Message]) -> str:
    """Why the newest message declines, or how it answers: its phase."""
    payload = messages[-1].payload if messages else None
    if isinstance(payload, Decline):
        return payload.reason
    return messages[-1].envelope.phase if messages else "silence"
