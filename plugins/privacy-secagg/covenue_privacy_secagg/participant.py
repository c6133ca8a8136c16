"""A participant's side: masks its words once a round, signs one choice, reveals one seed.

What each phase carries, and what recovery after drop-outs will add to it:

    upload       masked words, hashes of all seeds   + a blob per neighbour: shares of b_i, all s_ij
    survivors    every expected member's upload      + any set that the policy allows
    answer       b_i                                 + a share of each neighbour's b, and those of
                                                       its pair seeds with the lost

The guards stand here and not at the coordinator, which may be the attacker:
- One input a round: the mark is the newest round that this node has masked, with a keyed digest of
  its words. The same input gives the same bytes; another one, or an older round, sends nothing.
  The mark lives in this state. The kernel folds the node's durable log into the very same state
  before anything is sent, and records what will be sent before it leaves (rounds/run.py), so the
  mark is as old as the newest byte that left, whenever the process dies.
- One choice a round: who signed for a set never signs the abort, and the other way round.
- One seed a round: b_i leaves only for a certified set that is everybody expected, three at least.
Source: privacy.md, sections 4 and 5.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from covenue.hooks.privacy import (
    Begin,
    PlanContext,
    Received,
    RoundContext,
    Send,
    Sign,
    Signed,
    StageEffect,
    StageEvent,
)
from covenue.numerics.words import Words
from covenue_privacy_secagg import phases, wire
from covenue_privacy_secagg.graph import neighbours
from covenue_privacy_secagg.masks import (
    hashed,
    keyed,
    masked,
    pair_seed,
    raw,
    seed_hash,
    self_seed,
)
from covenue_privacy_secagg.setup import (
    Setup,
    beacon,
    opens,
    own_nonce,
    pair_roots,
    read_setups,
)
from covenue_privacy_secagg.votes import abort_choice, certified, survivors_choice

LEAST_COHORT = 3


@dataclass(frozen=True)
class Mark:
    """The newest round that was begun, and a keyed digest of what was to be masked in it."""

    round: int
    input: bytes


@dataclass(frozen=True)
class Masking:
    """A participant's state: what holds for the plan, then the newest round.

    setups: None where the plan cannot be masked. waiting: the input until the beacon is known.
    upload: the digest of what was sent. choice: the set that was signed for.
    """

    plan: PlanContext
    setups: Mapping[str, Setup] | None
    beacon: bytes = b""
    roots: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    mark: Mark = field(default_factory=lambda: Mark(0, b""))
    ctx: RoundContext | None = None
    waiting: tuple[Words, bytes] | None = field(default=None, repr=False)
    opened: bool = False
    upload: bytes = b""
    voted: bool = False
    choice: str = ""
    answered: bool = False


Result = tuple[Masking, Sequence[StageEffect]]


def start(plan: PlanContext) -> Masking:
    """The state at the start of a plan."""
    return Masking(plan, read_setups(plan))


def advance(state: Masking, event: StageEvent) -> Result:
    """Fold one event; an ignored one returns the same state."""
    if isinstance(event, Begin):
        return _begin(state, event)
    if state.ctx is None:
        return state, ()
    if isinstance(event, Signed):
        return state, (Send(phases.VOTE, wire.write_vote(event.signature, abort=event.abort)),)
    if isinstance(event, Received):
        return _hear(state, state.ctx, event)
    return state, ()


def _hear(state: Masking, ctx: RoundContext, event: Received) -> Result:
    match event.phase:
        case phases.OPEN:
            return _open(state, event.body)
        case phases.NONCES:
            return _take_nonces(state, ctx, event.body)
        case phases.SURVIVORS:
            return _judge(state, ctx, event.body)
        case phases.ABORT if not has_voted(state):
            return replace(state, voted=True), (Sign(abort_choice(ctx), abort=True),)
        case phases.CERTIFICATE:
            return _answer(state, ctx, event.body)
        case _:
            return state, ()


# ---- the input of a round, once


def _begin(state: Masking, event: Begin) -> Result:
    mark = Mark(event.ctx.round, input_digest(state.plan.secret, event))
    if state.ctx is not None and not may_mask_again(state.mark, mark):
        return state, ()
    if state.ctx is not None and state.mark == mark:
        return state, _sent_again(state, event)
    fresh = Masking(state.plan, state.setups, state.beacon, state.roots, mark, event.ctx)
    if event.words is None or not may_be_masked(state.plan, event.ctx):
        return fresh, ()
    waiting = replace(fresh, waiting=(event.words, event.attached))
    return _upload(waiting, event.ctx) if state.beacon else (waiting, ())


def input_digest(secret: bytes, event: Begin) -> bytes:
    """A digest of all that a round's bytes depend on; keyed, since small inputs can be guessed."""
    words = () if event.words is None else (raw(event.words), event.attached)
    return keyed(secret, b"covenue/secagg/input/1", event.ctx.digest.encode(), *words)


def may_mask_again(mark: Mark, new: Mark) -> bool:
    """Whether a round is newer than the mark, or the same with the same input."""
    if new.round == mark.round:
        return hmac.compare_digest(new.input, mark.input)
    return new.round > mark.round


def may_be_masked(plan: PlanContext, ctx: RoundContext) -> bool:
    """Whether a round's expected set protects this node, whatever the coordinator says.

    It is all that joined, in every round: two sums over sets that differ by one give that one away.
    """
    expected = ctx.expected
    whole = expected == plan.members and ctx.cohort in (None, expected)
    return whole and plan.own in expected and large_enough(plan, expected)


def large_enough(plan: PlanContext, members: Sequence[str]) -> bool:
    """Whether so many may be summed: three are the least of which a sum hides anybody."""
    return len(members) >= max(plan.policy.least, LEAST_COHORT)


def _sent_again(state: Masking, event: Begin) -> Sequence[StageEffect]:
    if not state.upload or event.words is None:
        return ()
    return (Send(phases.UPLOAD, upload_bytes(state, event.ctx, event.words, event.attached)),)


# ---- nonces, beacon, upload


def _open(state: Masking, body: bytes) -> Result:
    """Open one's nonce, once a round, where the coordinator does not know it yet."""
    missing = wire.read_places(body, state.plan.members)
    if missing is None or state.setups is None or state.opened or state.plan.own not in missing:
        return state, ()
    nonce = own_nonce(state.plan.plan, state.plan.secret)
    return replace(state, opened=True), (Send(phases.NONCE, nonce),)


def _take_nonces(state: Masking, ctx: RoundContext, body: bytes) -> Result:
    """Check every opening against its commitment; only then there is a beacon, and an upload."""
    nonces = wire.read_nonces(body, state.plan.members)
    if state.beacon or state.setups is None or nonces is None:
        return state, ()
    if not all_opened(state.plan.plan, state.setups, nonces):
        return state, ()
    state = replace(state, beacon=beacon(state.plan.plan, state.setups, nonces))
    return (state, ()) if state.waiting is None else _upload(state, ctx)


def all_opened(plan: str, setups: Mapping[str, Setup], nonces: Mapping[str, bytes]) -> bool:
    """Whether every nonce is the one that its member committed to."""
    return all(opens(plan, setups[did], nonces[did]) for did in setups)


def _upload(state: Masking, ctx: RoundContext) -> Result:
    """Mask what waits; a neighbour without a usable key leaves nothing to send."""
    roots = _roots(state, ctx)
    waiting, state = state.waiting, replace(state, waiting=None)
    if roots is None or waiting is None:
        return state, ()
    state = replace(state, roots=roots)
    body = upload_bytes(state, ctx, *waiting)
    return replace(state, upload=hashed(body)), (Send(phases.UPLOAD, body),)


def _roots(state: Masking, ctx: RoundContext) -> Mapping[str, bytes] | None:
    """The roots of this round's neighbours; each is computed once a plan."""
    assert state.setups is not None  # noqa: S101 -- the beacon was made of them
    near = neighbours(state.plan, ctx, state.beacon, state.plan.own)
    new = pair_roots(state.plan, state.setups, [did for did in near if did not in state.roots])
    return None if new is None else {**state.roots, **new}


def upload_bytes(state: Masking, ctx: RoundContext, words: Words, attached: bytes) -> bytes:
    """y_i = q_i + PRG(b_i) + sum over neighbours of sgn(i, j) PRG(s_ij), and the seeds' hashes."""
    own = state.plan.own
    seed = self_seed(state.plan.secret, ctx.digest)
    near = neighbours(state.plan, ctx, state.beacon, own)
    pairs = {did: pair_seed(state.roots[did], ctx.digest) for did in near}
    added = [pairs[did] for did in near if own < did]
    removed = [pairs[did] for did in near if did < own]
    return wire.write_upload(
        wire.Upload(
            attached,
            seed_hash(seed),
            tuple(seed_hash(pairs[did]) for did in near),
            masked(words, [seed, *added], removed),
        )
    )


# ---- one choice, one seed


def has_voted(state: Masking) -> bool:
    """Whether this node has signed its one choice of the round."""
    return state.voted


def _judge(state: Masking, ctx: RoundContext, body: bytes) -> Result:
    """Sign for the named uploads if they may be summed; else for nothing."""
    named = wire.read_survivors(body, ctx.expected)
    if has_voted(state) or named is None or not may_be_summed(state.plan, ctx, tuple(named)):
        return state, ()
    if not names_own_upload(state, named):
        return state, ()
    choice = survivors_choice(ctx, state.beacon, body)
    return replace(state, voted=True, choice=choice), (Sign(choice, abort=False),)


def names_own_upload(state: Masking, named: Mapping[str, bytes]) -> bool:
    """Whether the set names, for this node, the very bytes that it sent."""
    return state.upload != b"" and named.get(state.plan.own) == state.upload


def may_be_summed(plan: PlanContext, ctx: RoundContext, members: tuple[str, ...]) -> bool:
    """Whether these are all that were expected, and enough: their pair masks cancel."""
    return members == ctx.expected and large_enough(plan, members)


def _answer(state: Masking, ctx: RoundContext, body: bytes) -> Result:
    """Reveal the self mask, once, of an upload that a quorum has signed into the sum."""
    signatures = wire.read_signatures(body, ctx.expected)
    if signatures is None or state.answered or not state.choice:
        return state, ()
    if not certified(state.plan, ctx, state.choice, signatures, abort=False):
        return state, ()
    seed = self_seed(state.plan.secret, ctx.digest)
    return replace(state, answered=True), (Send(phases.ANSWER, seed),)
