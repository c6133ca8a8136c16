"""Secure aggregation as a stage: the coordinator sees sums, and no party any other's words.

A round is nonce (once a plan) -> upload -> survivors -> vote -> certificate -> answer; see
`participant`, `coordinator`, and `wire` for the bytes. Every member that a round expects takes
part to its end, or the round aborts: pair masks cancel over the whole set only.
Source: privacy.md, section 4.
"""

from collections.abc import Sequence
from typing import Any

from covenue.hooks.privacy import PlanContext, Role, RoundContext, StageEffect, StageEvent
from covenue.numerics.words import Words
from covenue_contracts.privacy import Charge
from covenue_contracts.shared import Query, Space
from covenue_privacy_secagg import coordinator, participant, phases, wire
from covenue_privacy_secagg.setup import own_setup


class SecAgg:
    """The secure aggregation stage."""

    coordinator_sees_everything = False
    least_cohort = participant.LEAST_COHORT

    def cost(self, query: Query, space: Space) -> Charge:
        """One noiseless sum."""
        return Charge(kind="exact", amount="1")

    def setup(self, plan: str, secret: bytes) -> bytes:
        """An epoch key and a commitment to a nonce, both from the plan secret."""
        return own_setup(plan, secret)

    def start(self, role: Role, plan: PlanContext) -> tuple[Any, Sequence[StageEffect]]:
        """The state of one role."""
        return (coordinator if role is Role.COORDINATOR else participant).start(plan), ()

    def advance(self, state: Any, event: StageEvent) -> tuple[Any, Sequence[StageEffect]]:
        """Fold one event; an ignored one returns the same state."""
        if isinstance(state, participant.Masking):
            return participant.advance(state, event)
        return coordinator.advance(state, event)

    def seen(self, phase: str, body: bytes, width: int) -> Words | None:
        """The words under their masks."""
        upload = wire.read_upload(body, width) if phase == phases.UPLOAD else None
        return None if upload is None else upload.words

    def proves_abort(self, plan: PlanContext, ctx: RoundContext, proof: bytes) -> bool:
        """Whether a quorum of the round's expected set signed ABORT."""
        return coordinator.proves_abort(plan, ctx, proof)
