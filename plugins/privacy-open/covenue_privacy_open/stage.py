"""Aggregation without protection: uploads are the words themselves.

The coordinator sees every answer, so an aborted round has still released what was uploaded:
nothing proves an abort, and no charge comes back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from covenue.hooks.privacy import (
    Aborted,
    Begin,
    PlanContext,
    Ready,
    Received,
    Released,
    Role,
    RoundContext,
    Send,
    StageDeadline,
    StageEffect,
    StageEvent,
    Timer,
)
from covenue.hooks.solvers import Total
from covenue.numerics.words import Words, from_bytes, to_bytes, total
from covenue_contracts.privacy import Charge
from covenue_contracts.shared import Query, Space

UPLOAD = "upload"
DECLINE = "decline"


@dataclass(frozen=True)
class Collecting:
    """The coordinator's state: the round, what is in, and who said no."""

    plan: PlanContext
    ctx: RoundContext | None = None
    uploads: Mapping[str, tuple[Words, bytes]] = field(default_factory=dict)
    declined: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Answering:
    """A participant's state: the last round that it answered."""

    plan: PlanContext
    round: int = -1


class OpenSum:
    """The open aggregation stage."""

    coordinator_sees_everything = True
    least_cohort = 1

    def cost(self, query: Query, space: Space) -> Charge:
        """One noiseless sum."""
        return Charge(kind="exact", amount="1")

    def setup(self, plan: str, secret: bytes) -> bytes:
        """Nothing is exchanged before the first round."""
        return b""

    def start(self, role: Role, plan: PlanContext) -> tuple[Any, Sequence[StageEffect]]:
        """The state of one role."""
        return (Collecting(plan) if role is Role.COORDINATOR else Answering(plan)), ()

    def advance(self, state: Any, event: StageEvent) -> tuple[Any, Sequence[StageEffect]]:
        """Fold one event; an ignored one returns the same state."""
        if isinstance(state, Answering):
            return _answer(state, event)
        return _collect(state, event)

    def seen(self, phase: str, body: bytes, width: int) -> Words | None:
        """The words themselves."""
        content = unpack(body, width) if phase == UPLOAD else None
        return None if content is None else content[0]

    def proves_abort(self, plan: PlanContext, ctx: RoundContext, proof: bytes) -> bool:
        """Nothing does: the coordinator has seen the words."""
        return False


def pack(words: Words, attached: bytes) -> bytes:
    """The upload's bytes: the length of what is attached, that, then the words."""
    return len(attached).to_bytes(2, "big") + attached + to_bytes(words)


def unpack(body: bytes, width: int) -> tuple[Words, bytes] | None:
    """Words and attachment of an upload, or None when the bytes are not of that form."""
    if len(body) < 2:
        return None
    start = 2 + int.from_bytes(body[:2], "big")
    if len(body) != start + 8 * width:
        return None
    return from_bytes(body[start:]), body[2:start]


def _answer(state: Answering, event: StageEvent) -> tuple[Answering, Sequence[StageEffect]]:
    if not isinstance(event, Begin) or event.ctx.round <= state.round or event.words is None:
        return state, ()
    return replace(state, round=event.ctx.round), (Send(UPLOAD, pack(event.words, event.attached)),)


def _collect(state: Collecting, event: StageEvent) -> tuple[Collecting, Sequence[StageEffect]]:
    if isinstance(event, Begin):
        return Collecting(state.plan, event.ctx), (Timer(UPLOAD),)
    if state.ctx is None:
        return state, ()
    if isinstance(event, Received):
        return _received(state, state.ctx, event)
    if isinstance(event, StageDeadline) and event.phase == UPLOAD:
        return Collecting(state.plan), _result(state, state.ctx)
    return state, ()


def _received(
    state: Collecting, ctx: RoundContext, event: Received
) -> tuple[Collecting, Sequence[StageEffect]]:
    known = event.sender in state.uploads or event.sender in state.declined
    if known or event.sender not in ctx.expected:
        return state, ()
    if event.phase == DECLINE:
        state = replace(state, declined=state.declined | {event.sender})
    elif event.phase == UPLOAD:
        content = unpack(event.body, ctx.width)
        if content is None:
            return state, ()
        state = replace(state, uploads={**state.uploads, event.sender: content})
    else:
        return state, ()
    if len(state.uploads) + len(state.declined) < len(ctx.expected):
        return state, ()
    return Collecting(state.plan), _result(state, ctx)


def _result(state: Collecting, ctx: RoundContext) -> Sequence[StageEffect]:
    present = tuple(sorted(state.uploads))
    whole = present == ctx.cohort if ctx.cohort is not None else True
    if not whole or not present or len(present) < state.plan.policy.least:
        return (Aborted(None, present),)
    words = total([state.uploads[did][0] for did in present])
    attached = {did: state.uploads[did][1] for did in present}
    return Ready(present), Released(Total(words, present, exact=True), attached)
