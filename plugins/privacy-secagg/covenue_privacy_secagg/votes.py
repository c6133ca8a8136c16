"""The one choice that a node signs in a round, and how many signatures make it hold.

A quorum is of the round's whole expected set: two of them share an honest node, which signs once,
so that at most one set of uploads, or the abort, can ever be certified. Source: privacy.md, 4.
"""

from collections.abc import Mapping

from covenue.hooks.privacy import PlanContext, RoundContext
from covenue_contracts.canonical import sha256


def quorum(expected: int, colluders: int) -> int:
    """The least number of votes such that two quorums share an honest node."""
    return (expected + colluders) // 2 + 1


def quorum_of(plan: PlanContext, ctx: RoundContext) -> int:
    """The votes that a round needs."""
    return quorum(len(ctx.expected), plan.policy.colluders)


def survivors_choice(ctx: RoundContext, beacon: bytes, survivors: bytes) -> str:
    """What a vote for a set of uploads signs; the bytes name each upload by digest.

    The beacon is in it: who was shown other keys than the rest can never be given their votes.
    """
    return sha256(b"covenue/secagg/survivors/1", ctx.digest.encode(), beacon, survivors)


def abort_choice(ctx: RoundContext) -> str:
    """What a vote to abort signs."""
    return sha256(b"covenue/secagg/abort/1", ctx.digest.encode())


def certified(
    plan: PlanContext,
    ctx: RoundContext,
    choice: str,
    signatures: Mapping[str, bytes],
    *,
    abort: bool,
) -> bool:
    """Whether a quorum of the round's expected set signed the choice."""
    valid = [
        did
        for did, signature in signatures.items()
        if did in ctx.expected and plan.vote_holds(did, ctx.round, choice, abort, signature)
    ]
    return len(valid) >= quorum_of(plan, ctx)
