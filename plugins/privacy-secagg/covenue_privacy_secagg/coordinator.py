"""The coordinator's side: collects, names, certifies, and adds up what the members unmask.

It sees masked words, hashes, signatures, and one self seed of each member of a certified set: the
masks that two members share cancel in the sum and in nothing less.

A nonce or an upload that is missing, a decline, or a pair whose hashes differ ends in a question
to abort; a quorum of signatures proves it, and nothing was revealed. A seed that is wrong or
missing after the certificate ends the round without a proof: others could have completed it.
Source: privacy.md, section 4.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from covenue.hooks.privacy import (
    Aborted,
    Begin,
    PlanContext,
    Ready,
    Received,
    Released,
    RoundContext,
    Send,
    StageDeadline,
    StageEffect,
    StageEvent,
    Timer,
)
from covenue.hooks.solvers import Total
from covenue.numerics.words import total
from covenue_privacy_secagg import phases, wire
from covenue_privacy_secagg.graph import degree_of, neighbours
from covenue_privacy_secagg.masks import hashed, masked, seed_hash
from covenue_privacy_secagg.participant import may_be_summed
from covenue_privacy_secagg.setup import Setup, beacon, opens, read_setups
from covenue_privacy_secagg.votes import abort_choice, certified, quorum_of, survivors_choice


@dataclass(frozen=True)
class Counting:
    """The coordinator's state: what holds for the plan, then the round.

    nonces: those that were opened. beacon: once all are. spread: a total was released, so that
    everybody has the beacon. phase: what is waited for. named: the bytes that name the survivors,
    once they are out.
    """

    plan: PlanContext
    setups: Mapping[str, Setup] | None
    nonces: Mapping[str, bytes] = field(default_factory=dict)
    beacon: bytes = b""
    spread: bool = False
    ctx: RoundContext | None = None
    phase: str = ""
    uploads: Mapping[str, bytes] = field(default_factory=dict)
    declined: frozenset[str] = frozenset()
    named: bytes = b""
    votes: Mapping[str, bytes] = field(default_factory=dict)
    aborts: Mapping[str, bytes] = field(default_factory=dict)
    seeds: Mapping[str, bytes] = field(default_factory=dict, repr=False)


Result = tuple[Counting, Sequence[StageEffect]]


def start(plan: PlanContext) -> Counting:
    """The state at the start of a plan."""
    return Counting(plan, read_setups(plan))


def advance(state: Counting, event: StageEvent) -> Result:
    """Fold one event; an ignored one returns the same state."""
    if isinstance(event, Begin):
        return _begin(state, event.ctx)
    if state.ctx is None:
        return state, ()
    if isinstance(event, StageDeadline):
        return _late(state, event.phase)
    if isinstance(event, Received) and event.sender in state.ctx.expected:
        return _received(state, state.ctx, event)
    return state, ()


def _begin(state: Counting, ctx: RoundContext) -> Result:
    """Ask for the nonces that are missing, else for uploads; who was away gets all nonces again."""
    state = replace(_idle(state), ctx=ctx)
    if state.beacon:
        return _ask_uploads(state)
    missing = [did for did in state.plan.members if did not in state.nonces]
    ask = Send(phases.OPEN, wire.write_places(missing, state.plan.members))
    return replace(state, phase=phases.NONCE), (ask, Timer(phases.NONCE))


def _idle(state: Counting) -> Counting:
    """What outlives a round."""
    return Counting(state.plan, state.setups, state.nonces, state.beacon, state.spread)


def _ask_uploads(state: Counting) -> Result:
    state = replace(state, phase=phases.UPLOAD)
    if state.spread:
        return state, (Timer(phases.UPLOAD),)
    body = b"".join(state.nonces[did] for did in state.plan.members)
    return state, (Send(phases.NONCES, body), Timer(phases.UPLOAD))


def _received(state: Counting, ctx: RoundContext, event: Received) -> Result:
    match event.phase:
        case phases.NONCE:
            return _take_nonce(state, event)
        case phases.DECLINE if state.phase in {phases.NONCE, phases.UPLOAD}:
            return _take_decline(state, event)
        case phases.UPLOAD if state.phase == phases.UPLOAD:
            return _take_upload(state, ctx, event)
        case phases.VOTE if state.phase in {phases.VOTE, phases.ABORT}:
            return _take_vote(state, ctx, event)
        case phases.ANSWER if state.phase == phases.ANSWER:
            return _take_seed(state, ctx, event)
        case _:
            return state, ()


# ---- nonces and uploads


def _take_nonce(state: Counting, event: Received) -> Result:
    """Keep a nonce that is the committed one; it counts for later rounds of the plan as well."""
    setups = state.setups
    if setups is None or event.sender in state.nonces:
        return state, ()
    if not opens(state.plan.plan, setups[event.sender], event.body):
        return state, ()
    state = replace(state, nonces={**state.nonces, event.sender: event.body})
    if len(state.nonces) < len(state.plan.members):
        return state, ()
    state = replace(state, beacon=beacon(state.plan.plan, setups, state.nonces))
    return _ask_uploads(state) if state.phase == phases.NONCE else (state, ())


def _take_decline(state: Counting, event: Received) -> Result:
    """One that declines is not waited for: the pair masks of the others with it do not cancel."""
    if event.sender in state.uploads:
        return state, ()
    return _ask_abort(replace(state, declined=state.declined | {event.sender}))


def _take_upload(state: Counting, ctx: RoundContext, event: Received) -> Result:
    upload = wire.read_upload(event.body, ctx.width)
    if upload is None or event.sender in state.uploads:
        return state, ()
    if len(upload.pair_hashes) != degree_of(state.plan, ctx):
        return state, ()
    state = replace(state, uploads={**state.uploads, event.sender: event.body})
    if len(state.uploads) < len(ctx.expected):
        return state, ()
    return _name_survivors(state, ctx)


def _name_survivors(state: Counting, ctx: RoundContext) -> Result:
    present = tuple(sorted(state.uploads))
    if not may_be_summed(state.plan, ctx, present) or _in_conflict(state, ctx):
        return _ask_abort(state)
    digests = {did: hashed(body) for did, body in state.uploads.items()}
    body = wire.write_rows(digests, ctx.expected)
    state = replace(state, phase=phases.VOTE, named=body)
    return state, (Send(phases.SURVIVORS, body), Timer(phases.VOTE))


def _in_conflict(state: Counting, ctx: RoundContext) -> frozenset[str]:
    """Members of pairs whose two ends do not name the same seed: their masks would not cancel."""
    said = {did: _pair_hashes(state, ctx, did) for did in state.uploads}
    return frozenset(
        did for did, pairs in said.items() if any(said[o][did] != h for o, h in pairs.items())
    )


def _pair_hashes(state: Counting, ctx: RoundContext, did: str) -> Mapping[str, bytes]:
    near = neighbours(state.plan, ctx, state.beacon, did)
    return dict(zip(near, _opened(state, ctx, did).pair_hashes, strict=True))


def _opened(state: Counting, ctx: RoundContext, did: str) -> wire.Upload:
    upload = wire.read_upload(state.uploads[did], ctx.width)
    assert upload is not None  # noqa: S101 -- it was read before it was kept
    return upload


# ---- votes


def _take_vote(state: Counting, ctx: RoundContext, event: Received) -> Result:
    """Count a vote that holds; a quorum certifies the set, or proves the abort."""
    vote = wire.read_vote(event.body)
    if vote is None or event.sender in state.votes or event.sender in state.aborts:
        return state, ()
    abort, signature = vote
    if not abort and not state.named:
        return state, ()
    choice = abort_choice(ctx) if abort else survivors_choice(ctx, state.beacon, state.named)
    if not state.plan.vote_holds(event.sender, ctx.round, choice, abort, signature):
        return state, ()
    if abort:
        return _count_abort(state, ctx, event.sender, signature)
    return _count_vote(state, ctx, event.sender, signature)


def _count_vote(state: Counting, ctx: RoundContext, sender: str, signature: bytes) -> Result:
    state = replace(state, votes={**state.votes, sender: signature})
    if len(state.votes) < quorum_of(state.plan, ctx):
        return state, ()
    certificate = Send(phases.CERTIFICATE, wire.write_rows(state.votes, ctx.expected))
    return replace(state, phase=phases.ANSWER), (certificate, Timer(phases.ANSWER))


def _count_abort(state: Counting, ctx: RoundContext, sender: str, signature: bytes) -> Result:
    state = replace(state, aborts={**state.aborts, sender: signature})
    if len(state.aborts) < quorum_of(state.plan, ctx):
        return state, ()
    proof = wire.write_rows(state.aborts, ctx.expected)
    return _idle(state), (Aborted(proof, _present(state, ctx)),)


def proves_abort(plan: PlanContext, ctx: RoundContext, proof: bytes) -> bool:
    """Whether a quorum of the round's expected set signed ABORT: then nobody reveals anything."""
    signatures = wire.read_signatures(proof, ctx.expected)
    if signatures is None:
        return False
    return certified(plan, ctx, abort_choice(ctx), signatures, abort=True)


def _ask_abort(state: Counting) -> Result:
    if state.phase == phases.ABORT:
        return state, ()
    return replace(state, phase=phases.ABORT), (Send(phases.ABORT, b""), Timer(phases.REVOTE))


# ---- answers and the total


def _take_seed(state: Counting, ctx: RoundContext, event: Received) -> Result:
    """Check a seed against its upload's hash; whoever reveals another one ends the round."""
    seed, sender = wire.read_seed(event.body), event.sender
    if seed is None or sender in state.seeds or sender not in state.uploads:
        return state, ()
    if not is_the_seed(_opened(state, ctx, sender), seed):
        return _idle(state), (Aborted(None, tuple(sorted(set(state.uploads) - {sender}))),)
    state = replace(state, seeds={**state.seeds, sender: seed})
    if len(state.seeds) < len(state.uploads):
        return state, ()
    members = tuple(sorted(state.uploads))
    released = _released(state, ctx, members)
    return replace(_idle(state), spread=True), (Ready(members), released)


def is_the_seed(upload: wire.Upload, seed: bytes) -> bool:
    """Whether a revealed seed is the one that the upload was masked with."""
    return hmac.compare_digest(upload.self_hash, seed_hash(seed))


def _released(state: Counting, ctx: RoundContext, members: tuple[str, ...]) -> Released:
    """The members' words without their self masks; pair masks have cancelled in the sum."""
    opened = {did: _opened(state, ctx, did) for did in members}
    under_masks = total([upload.words for upload in opened.values()])
    words = masked(under_masks, [], [state.seeds[did] for did in members])
    attached = {did: upload.attached for did, upload in opened.items()}
    return Released(Total(words, members, exact=True), attached)


# ---- time


def _late(state: Counting, phase: str) -> Result:
    assert state.ctx is not None  # noqa: S101 -- only called inside a round
    if phase != state.phase and (phase, state.phase) != (phases.REVOTE, phases.ABORT):
        return state, ()
    if phase in {phases.NONCE, phases.UPLOAD, phases.VOTE}:
        return _ask_abort(state)
    return _idle(state), (Aborted(None, _present(state, state.ctx)),)


def _present(state: Counting, ctx: RoundContext) -> tuple[str, ...]:
    """Who did all that was asked so far: seeds, uploads without a conflict, or nonces."""
    if state.phase == phases.ANSWER:
        return tuple(sorted(state.seeds))
    if len(state.uploads) == len(ctx.expected):
        return tuple(sorted(set(state.uploads) - _in_conflict(state, ctx)))
    known = state.uploads or {d: n for d, n in state.nonces.items() if d in ctx.expected}
    return tuple(sorted(set(known) - state.declined))
