"""An aggregation stage of many phases for tests, and numbered cases that every stage passes.

`VotedSum` shows that the hooks carry what secure aggregation needs: nothing readable leaves
before a quorum has signed one set of uploads, and an abort is proven by a quorum of its own.
After the certificate the coordinator reads every upload, so this is no secure aggregation.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import permutations, product
from typing import Any

from covenue.hooks.privacy import (
    Aborted,
    Begin,
    PlanContext,
    PrivacyStage,
    Ready,
    Received,
    Released,
    Role,
    RoundContext,
    Send,
    Sign,
    Signed,
    StageDeadline,
    StageEffect,
    StageEvent,
    Timer,
)
from covenue.hooks.solvers import Total
from covenue.identity.keys import SigningKey
from covenue.numerics.words import Words, from_bytes, integers, subtract, to_bytes, total, words
from covenue.rounds.votes import choice_text, sign_vote, votes_of
from covenue_contracts.canonical import sha256
from covenue_contracts.plan import CohortPolicy
from covenue_contracts.privacy import Charge
from covenue_contracts.shared import Query, Space

UPLOAD, DECLINE, SURVIVORS, VOTE = "upload", "decline", "survivors", "vote"
CERTIFICATE, REVEAL, ABORT, REVOTE, ANSWER = "certificate", "reveal", "abort", "revote", "answer"
SEED_BYTES = 32


def quorum(expected: int, colluders: int) -> int:
    """The least number of votes such that two quorums share an honest node."""
    return (expected + colluders) // 2 + 1


def mask(seed: bytes, width: int) -> Words:
    """A round's self mask: SHAKE-256 of its seed, read as words."""
    return from_bytes(hashlib.shake_256(b"covenue/voted/mask/1" + seed).digest(8 * width))


def round_seed(secret: bytes, ctx: RoundContext) -> bytes:
    """The seed of a round's self mask; another context gives another one."""
    return bytes.fromhex(sha256(b"covenue/voted/self/1", secret, ctx.digest.encode()))


def choice_of(ctx: RoundContext, survivors: Mapping[str, str]) -> str:
    """What a vote for a set of uploads (did to digest) signs."""
    listed = (f"{did}={survivors[did]}".encode() for did in sorted(survivors))
    return sha256(b"covenue/voted/set/1", ctx.digest.encode(), *listed)


def abort_of(ctx: RoundContext) -> str:
    """What a vote to abort signs."""
    return sha256(b"covenue/voted/abort/1", ctx.digest.encode())


@dataclass(frozen=True)
class Voter:
    """A participant's state in the newest round that it has begun.

    upload: digest of what it sent, empty where it declined. survivors: the set that it voted for.
    """

    plan: PlanContext
    ctx: RoundContext | None = None
    upload: str = ""
    voted: bool = False
    survivors: Mapping[str, str] = field(default_factory=dict)
    revealed: bool = False


@dataclass(frozen=True)
class Counter:
    """The coordinator's state: what is in, who said no, who voted for what, which masks."""

    plan: PlanContext
    ctx: RoundContext | None = None
    phase: str = UPLOAD
    uploads: Mapping[str, bytes] = field(default_factory=dict)
    declined: frozenset[str] = frozenset()
    named: bool = False
    votes: Mapping[str, bytes] = field(default_factory=dict)
    aborts: Mapping[str, bytes] = field(default_factory=dict)
    seeds: Mapping[str, bytes] = field(default_factory=dict)


Result = tuple[Any, Sequence[StageEffect]]


class VotedSum:
    """Upload under a self mask, vote on one set, reveal the masks of that set."""

    coordinator_sees_everything = False
    least_cohort = 2

    def cost(self, query: Query, space: Space) -> Charge:
        """One noiseless sum."""
        return Charge(kind="exact", amount="1")

    def setup(self, plan: str, secret: bytes) -> bytes:
        """A digest of the plan secret: nobody uses it, everybody must see the same."""
        return bytes.fromhex(sha256(b"covenue/voted/setup/1", plan.encode(), secret))

    def start(self, role: Role, plan: PlanContext) -> Result:
        """The state of one role."""
        return (Counter(plan) if role is Role.COORDINATOR else Voter(plan)), ()

    def advance(self, state: Any, event: StageEvent) -> Result:
        """Fold one event; an ignored one returns the same state."""
        return _vote(state, event) if isinstance(state, Voter) else _count(state, event)

    def seen(self, phase: str, body: bytes, width: int) -> Words | None:
        """The words under their self mask."""
        content = _upload(body, width) if phase == UPLOAD else None
        return None if content is None else content[0]

    def proves_abort(self, plan: PlanContext, ctx: RoundContext, proof: bytes) -> bool:
        """Whether a quorum of the round's expected set signed ABORT."""
        signatures = _read(proof)
        if signatures is None:
            return False
        return _certified(plan, ctx, abort_of(ctx), signatures, abort=True)


# ---- bytes of the phases: JSON objects of text, since this stage is for tests


def _write(document: Mapping[str, bytes | str]) -> bytes:
    text = {
        key: value if isinstance(value, str) else base64.b64encode(value).decode("ascii")
        for key, value in document.items()
    }
    return json.dumps(text, sort_keys=True, separators=(",", ":")).encode()


@lru_cache(maxsize=1024)
def _document(body: bytes) -> Mapping[str, str] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
        return None
    return document


def _read(body: bytes) -> Mapping[str, bytes] | None:
    document = _document(body)
    try:
        return (
            None
            if document is None
            else {key: base64.b64decode(value, validate=True) for key, value in document.items()}
        )
    except ValueError:
        return None


def _certified(
    plan: PlanContext,
    ctx: RoundContext,
    choice: str,
    signatures: Mapping[str, bytes],
    *,
    abort: bool,
) -> bool:
    """Whether a quorum of the expected set signed the choice."""
    valid = [
        did
        for did, signature in signatures.items()
        if did in ctx.expected and plan.vote_holds(did, ctx.round, choice, abort, signature)
    ]
    return len(valid) >= quorum(len(ctx.expected), plan.policy.colluders)


# ---- the participant


def _vote(state: Voter, event: StageEvent) -> Result:
    if isinstance(event, Begin):
        return _begin(state, event)
    ctx = state.ctx
    if ctx is None:
        return state, ()
    if isinstance(event, Signed):
        body = _write({"abort" if event.abort else "total": event.signature})
        return state, (Send(VOTE, body),)
    if not isinstance(event, Received):
        return state, ()
    if event.phase == SURVIVORS and not state.voted:
        return _judge(state, ctx, event.body)
    if event.phase == ABORT and not state.voted:
        return replace(state, voted=True), (Sign(abort_of(ctx), abort=True),)
    if event.phase == CERTIFICATE and not state.revealed:
        return _reveal(state, ctx, event.body)
    return state, ()


def _begin(state: Voter, event: Begin) -> Result:
    if state.ctx is not None and event.ctx.round <= state.ctx.round:
        return state, ()
    if event.words is None:
        return Voter(state.plan, event.ctx), ()
    seed = round_seed(state.plan.secret, event.ctx)
    body = _write(
        {
            "attached": event.attached,
            "words": to_bytes(total([event.words, mask(seed, event.ctx.width)])),
            "seed": bytes.fromhex(sha256(seed)),
        }
    )
    return Voter(state.plan, event.ctx, sha256(body)), (Send(UPLOAD, body),)


def _judge(state: Voter, ctx: RoundContext, body: bytes) -> Result:
    """Vote for the named set if it is one that may be summed; else for nothing."""
    named = _document(body)
    if named is None or not _may_be_summed(state.plan, ctx, tuple(sorted(named))):
        return state, ()
    own = named.get(state.plan.own)
    if own is not None and own != state.upload:
        return state, ()
    voted = replace(state, voted=True, survivors=dict(named))
    return voted, (Sign(choice_of(ctx, named), abort=False),)


def _may_be_summed(plan: PlanContext, ctx: RoundContext, members: tuple[str, ...]) -> bool:
    enough = len(members) >= max(plan.policy.least, VotedSum.least_cohort)
    fixed = ctx.cohort is None or members == ctx.cohort
    return enough and fixed and set(members) <= set(ctx.expected)


def _reveal(state: Voter, ctx: RoundContext, body: bytes) -> Result:
    """Open the mask, once, of an upload that a quorum has signed into the sum."""
    signatures = _read(body)
    if signatures is None or state.plan.own not in state.survivors:
        return state, ()
    choice = choice_of(ctx, state.survivors)
    if not _certified(state.plan, ctx, choice, signatures, abort=False):
        return state, ()
    seed = round_seed(state.plan.secret, ctx)
    return replace(state, revealed=True), (Send(REVEAL, _write({"seed": seed})),)


# ---- the coordinator


def _count(state: Counter, event: StageEvent) -> Result:
    if isinstance(event, Begin):
        return Counter(state.plan, event.ctx), (Timer(UPLOAD),)
    if state.ctx is None:
        return state, ()
    if isinstance(event, StageDeadline):
        return _late(state, state.ctx, event.phase)
    if isinstance(event, Received) and event.sender in state.ctx.expected:
        return _received(state, state.ctx, event)
    return state, ()


def _received(state: Counter, ctx: RoundContext, event: Received) -> Result:
    if state.phase == UPLOAD and event.phase in {UPLOAD, DECLINE}:
        return _take_upload(state, ctx, event)
    if event.phase == VOTE:
        return _take_vote(state, ctx, event)
    if event.phase == REVEAL and state.phase == ANSWER:
        return _take_seed(state, ctx, event)
    return state, ()


def _take_upload(state: Counter, ctx: RoundContext, event: Received) -> Result:
    if event.sender in state.uploads or event.sender in state.declined:
        return state, ()
    if event.phase == DECLINE:
        state = replace(state, declined=state.declined | {event.sender})
    elif _upload(event.body, ctx.width) is not None:
        state = replace(state, uploads={**state.uploads, event.sender: event.body})
    else:
        return state, ()
    if len(state.uploads) + len(state.declined) == len(ctx.expected):
        return _name_survivors(state, ctx)
    return state, ()


def _upload(body: bytes, width: int) -> tuple[Words, bytes, bytes] | None:
    """Masked words, attachment and the digest of the mask's seed, if the bytes are of that form."""
    parts = _read(body)
    if parts is None or set(parts) != {"attached", "words", "seed"}:
        return None
    if len(parts["words"]) != 8 * width or len(parts["seed"]) != SEED_BYTES:
        return None
    return from_bytes(parts["words"]), parts["attached"], parts["seed"]


def _survivors(state: Counter) -> dict[str, str]:
    return {did: sha256(body) for did, body in state.uploads.items()}


def _name_survivors(state: Counter, ctx: RoundContext) -> Result:
    if not _may_be_summed(state.plan, ctx, tuple(sorted(state.uploads))):
        return replace(state, phase=ABORT), (Send(ABORT, b""), Timer(REVOTE))
    naming = Send(SURVIVORS, _write(_survivors(state)))
    return replace(state, phase=VOTE, named=True), (naming, Timer(VOTE))


def _take_vote(state: Counter, ctx: RoundContext, event: Received) -> Result:
    """Count a vote that holds; a quorum certifies its set, or proves the abort."""
    parts = _read(event.body)
    if state.phase not in {VOTE, ABORT} or parts is None:
        return state, ()
    if event.sender in state.votes or event.sender in state.aborts:
        return state, ()
    check, total_vote, abort_vote = state.plan.vote_holds, parts.get("total"), parts.get("abort")
    enough = quorum(len(ctx.expected), state.plan.policy.colluders)
    if abort_vote is not None and check(event.sender, ctx.round, abort_of(ctx), True, abort_vote):
        state = replace(state, aborts={**state.aborts, event.sender: abort_vote})
        if len(state.aborts) == enough:
            return Counter(state.plan), (Aborted(_write(state.aborts), _present(state)),)
        return state, ()
    choice = choice_of(ctx, _survivors(state))
    if (
        state.named
        and total_vote is not None
        and check(event.sender, ctx.round, choice, False, total_vote)
    ):
        state = replace(state, votes={**state.votes, event.sender: total_vote})
        if len(state.votes) == enough:
            certificate = Send(CERTIFICATE, _write(state.votes))
            return replace(state, phase=ANSWER), (certificate, Timer(ANSWER))
        return state, ()
    return state, ()


def _take_seed(state: Counter, ctx: RoundContext, event: Received) -> Result:
    parts, known = _read(event.body), state.uploads.get(event.sender)
    if parts is None or known is None or event.sender in state.seeds:
        return state, ()
    seed, upload = parts.get("seed", b""), _upload(known, ctx.width)
    if upload is None or bytes.fromhex(sha256(seed)) != upload[2]:
        return state, ()
    state = replace(state, seeds={**state.seeds, event.sender: seed})
    if len(state.seeds) < len(state.uploads):
        return state, ()
    return Counter(state.plan), (Ready(_present(state)), _released(state, ctx))


def _released(state: Counter, ctx: RoundContext) -> Released:
    opened = {did: _upload(body, ctx.width) for did, body in state.uploads.items()}
    rows = {did: row for did, row in opened.items() if row is not None}
    masked = total([row[0] for row in rows.values()])
    masks = total([mask(seed, ctx.width) for seed in state.seeds.values()])
    attached = {did: row[1] for did, row in rows.items()}
    return Released(Total(subtract(masked, masks), _present(state), exact=True), attached)


def _late(state: Counter, ctx: RoundContext, phase: str) -> Result:
    if phase == UPLOAD and state.phase == UPLOAD:
        return _name_survivors(state, ctx)
    if phase == VOTE and state.phase == VOTE:
        return replace(state, phase=ABORT), (Send(ABORT, b""), Timer(REVOTE))
    if (phase, state.phase) in {(REVOTE, ABORT), (ANSWER, ANSWER)}:
        return Counter(state.plan), (Aborted(None, _present(state)),)
    return state, ()


def _present(state: Counter) -> tuple[str, ...]:
    return tuple(sorted(state.uploads))


# ---- conformance


@lru_cache(maxsize=256)
def _key(index: int) -> SigningKey:
    return SigningKey.from_seed(bytes([index + 1]) * 32)


@dataclass(frozen=True)
class Bench:
    """A stage with its coordinator and `n` participants, driven without a kernel.

    It plays the kernel's part as the hooks describe it: what is sent arrives, what is asked to be
    signed is signed once, the coordinator's broadcasts reach everybody.
    """

    stage: PrivacyStage
    n: int = 4
    least: int = 2
    colluders: int = 0
    width: int = 2

    @property
    def dids(self) -> tuple[str, ...]:
        """The participants, sorted."""
        return tuple(sorted(_key(index).did for index in range(self.n)))

    def plan(self, own: str = "") -> PlanContext:
        """The plan as one side knows it; an empty `own` is the coordinator."""
        policy = CohortPolicy(
            least=self.least,
            colluders=self.colluders,
            drops=1,
            min_changed=0,
            differencing="override",
            reason=None,
        )
        plan = "a" * 64
        setups = {did: self.stage.setup(plan, did.encode()) for did in self.dids}
        secret = own.encode()
        return PlanContext(plan, own, self.dids, policy, secret, setups, votes_of(plan))

    def context(self, number: int = 1, cohort: tuple[str, ...] | None = None) -> RoundContext:
        """A round of the plan."""
        expected = self.dids if cohort is None else cohort
        bound = sha256(str(number).encode(), str(cohort).encode())
        return RoundContext("a" * 64, number, "b" * 64, self.width, expected, cohort, bound)

    def answer(self, did: str) -> Words:
        """What a participant answers: words that would show in any wrong sum."""
        index = self.dids.index(did) + 1
        return words([10**index, -(7**index)][: self.width])

    def plain(self, members: Sequence[str]) -> tuple[int, ...]:
        """The sum of the members' answers."""
        return integers(total([self.answer(did) for did in members]))


@dataclass
class Session:
    """One run of a bench: every state, what is under way, and how the round ended.

    sent, told: everything that a participant sent, and that the coordinator broadcast.
    """

    bench: Bench
    coordinator: Any = None
    nodes: dict[str, Any] = field(default_factory=dict)
    uplink: list[tuple[str, str, bytes]] = field(default_factory=list)
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)
    told: list[tuple[str, bytes]] = field(default_factory=list)
    ends: list[Released | Aborted] = field(default_factory=list)
    signed: dict[tuple[str, int], str] = field(default_factory=dict)
    timers: list[str] = field(default_factory=list)
    ctx: RoundContext | None = None

    def __post_init__(self) -> None:
        stage = self.bench.stage
        self.coordinator, effects = stage.start(Role.COORDINATOR, self.bench.plan())
        self._broadcast(effects)
        for did in self.bench.dids:
            self.nodes[did], effects = stage.start(Role.PARTICIPANT, self.bench.plan(did))
            self._sent(did, effects)

    def begin(self, ctx: RoundContext, declining: Sequence[str] = ()) -> None:
        """Begin a round at everybody; those who decline say so.

        Nobody hears a broadcast before it has begun the round, as in the kernel.
        """
        self.ctx, self.ends, self.timers = ctx, [], []
        for did in ctx.expected:
            answers = did not in declining
            if not answers:
                self.uplink.append((did, DECLINE, b""))
            words_ = self.bench.answer(did) if answers else None
            self.node(did, Begin(ctx, words_, did.encode() if answers else b""))
        self.tell(Begin(ctx, None, b""))

    def node(self, did: str, event: StageEvent) -> None:
        """Hand a participant one event."""
        self.nodes[did], effects = self.bench.stage.advance(self.nodes[did], event)
        self._sent(did, effects)

    def tell(self, event: StageEvent) -> bool:
        """Hand the coordinator one event; whether it changed anything."""
        before = self.coordinator
        self.coordinator, effects = self.bench.stage.advance(before, event)
        self._broadcast(effects)
        return self.coordinator is not before or bool(effects)

    def run(
        self,
        silent: Sequence[str] = (),
        order: Callable[[int], int] = lambda _: 0,
        lost: Sequence[str] = (),
    ) -> None:
        """Carry what is under way until the round ends; when nothing moves, time passes.

        silent: whose messages never arrive; where `lost` names phases, only those of these phases.
        order: which of k messages arrives next.
        """
        while not self.ends and (self.uplink or self.timers):
            if self.uplink:
                sender, phase, body = self.uplink.pop(order(len(self.uplink)))
                if sender not in silent or (lost and phase not in lost):
                    self.tell(Received(sender, phase, body))
            else:
                self.tell(StageDeadline(self.timers.pop(0), 0))

    def _broadcast(self, effects: Sequence[StageEffect]) -> None:
        for effect in effects:
            if isinstance(effect, Send) and self.ctx is not None:
                self.told.append((effect.phase, effect.body))
                for did in self.ctx.expected:
                    self.node(did, Received("", effect.phase, effect.body))
            elif isinstance(effect, Timer):
                self.timers.append(effect.phase)
            elif isinstance(effect, Released | Aborted):
                self.ends.append(effect)

    def _sent(self, did: str, effects: Sequence[StageEffect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.uplink.append((did, effect.phase, effect.body))
                self.sent.append((did, effect.phase, effect.body))
            elif isinstance(effect, Sign):
                self._sign(did, effect)

    def _sign(self, did: str, sign: Sign) -> None:
        number = 0 if self.ctx is None else self.ctx.round
        text = choice_text(sign.choice, abort=sign.abort)
        if self.signed.setdefault((did, number), text) == text:
            key = next(_key(i) for i in range(self.bench.n) if _key(i).did == did)
            signature = sign_vote(key, "a" * 64, number, text)
            self.node(did, Signed(sign.choice, sign.abort, signature))


def arrivals(n: int) -> Iterator[Callable[[int], int]]:
    """Ways to choose the next of k messages: every rotation that small cohorts can tell apart."""
    for pattern in permutations(range(n)):

        def choose(k: int, pattern: tuple[int, ...] = pattern) -> int:
            return pattern[k % n] % k

        yield choose


class PrivacyConformance:
    """Numbered cases; a number never changes its meaning.

    whole: the stage sums everybody that a round expects, or nothing.
    """

    build: Callable[[], PrivacyStage]
    whole: bool = False

    def bench(self, n: int = 4, least: int = 2) -> Bench:
        """A bench for the stage under test."""
        stage = self.build()
        return Bench(stage, n, max(least, stage.least_cohort))

    def ended(self, session: Session) -> Released | Aborted:
        """How the round ended: exactly once."""
        assert len(session.ends) == 1
        return session.ends[0]

    def test_prv_001_the_total_is_the_plain_sum_of_those_it_names(self) -> None:
        """PRV-001: for every set of silent parties, the total is the named members' sum."""
        bench = self.bench()
        for pattern in product((False, True), repeat=bench.n):
            silent = [did for did, drops in zip(bench.dids, pattern, strict=True) if drops]
            session = Session(bench)
            session.begin(bench.context())
            session.run(silent)
            end = self.ended(session)
            if isinstance(end, Released):
                assert isinstance(end.release, Total)
                assert integers(end.release.words) == bench.plain(end.release.cohort)
                assert set(end.release.cohort) == set(bench.dids) - set(silent)
                assert set(end.attached) == set(end.release.cohort)
            assert isinstance(end, Released) or silent

    def test_prv_002_the_order_of_arrival_changes_no_total(self) -> None:
        """PRV-002: whatever arrives first, the total is the same."""
        bench = self.bench(3)
        for order in arrivals(bench.n):
            session = Session(bench)
            session.begin(bench.context())
            session.run(order=order)
            end = self.ended(session)
            assert isinstance(end, Released)
            assert isinstance(end.release, Total)
            assert integers(end.release.words) == bench.plain(bench.dids)

    def test_prv_003_an_ignored_event_returns_the_same_object(self) -> None:
        """PRV-003: what changes nothing leaves the very state, so that it is no entry."""
        bench = self.bench()
        session = Session(bench)
        noise: tuple[StageEvent, ...] = (
            Received("did:key:zStranger", UPLOAD, b""),
            Received(bench.dids[0], "no-such-phase", b""),
            StageDeadline("no-such-phase", 0),
        )
        for event in noise:
            assert not session.tell(event)
        session.begin(bench.context())
        for event in noise:
            assert not session.tell(event)
        before = dict(session.nodes)
        session.node(bench.dids[0], Received("", "no-such-phase", b""))
        assert session.nodes[bench.dids[0]] is before[bench.dids[0]]

    def test_prv_004_a_fixed_cohort_is_whole_or_there_is_no_total(self) -> None:
        """PRV-004: once fixed, no other set is ever summed."""
        bench = self.bench()
        for missing in bench.dids:
            session = Session(bench)
            session.begin(bench.context(2, bench.dids))
            session.run([missing])
            assert isinstance(self.ended(session), Aborted)

    def test_prv_005_a_late_upload_changes_nothing(self) -> None:
        """PRV-005: after the round has ended, an upload is ignored."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context())
        session.run([bench.dids[0]], lost=[UPLOAD])
        late = next(m for m in session.sent if m[0] == bench.dids[0] and m[1] == UPLOAD)
        self.ended(session)
        assert not session.tell(Received(*late))

    def test_prv_006_a_malformed_upload_counts_as_none(self) -> None:
        """PRV-006: bytes of no upload leave the state; a true one may still follow."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context())
        for body in (b"", b"\xff" * 5, b"\xff" * 1000, b"[]", b"{}", b'{"words":1}', b'{"a":"!"}'):
            assert not session.tell(Received(bench.dids[0], UPLOAD, body))
        session.run()
        assert isinstance(self.ended(session), Released)

    def test_prv_007_a_decline_counts_as_an_answer(self) -> None:
        """PRV-007: who declines is not waited for, and is in no sum."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context(), declining=bench.dids[:1])
        waited = list(session.timers)
        session.run()
        end = self.ended(session)
        assert waited[0] in session.timers
        if self.whole:
            assert isinstance(end, Aborted)
            return
        assert isinstance(end, Released)
        assert isinstance(end.release, Total)
        assert end.release.cohort == bench.dids[1:]
        assert integers(end.release.words) == bench.plain(bench.dids[1:])

    def test_prv_008_an_upload_sent_twice_counts_once(self) -> None:
        """PRV-008: a network that repeats changes no total."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context())
        session.uplink = [message for message in session.uplink for _ in range(2)]
        session.run()
        end = self.ended(session)
        assert isinstance(end, Released)
        assert isinstance(end.release, Total)
        assert integers(end.release.words) == bench.plain(bench.dids)

    def test_prv_009_too_few_are_no_cohort(self) -> None:
        """PRV-009: below the least cohort nothing is released."""
        bench = self.bench(least=3)
        session = Session(bench)
        session.begin(bench.context())
        session.run(bench.dids[2:])
        assert isinstance(self.ended(session), Aborted)

    def test_prv_010_nothing_proves_the_abort_of_a_round_that_released(self) -> None:
        """PRV-010: an abort's proof is for its own round, and no other bytes are one."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context(1, bench.dids))
        session.run(bench.dids[:1])
        end = self.ended(session)
        assert isinstance(end, Aborted)
        stage, plan = bench.stage, bench.plan()
        if end.proof is not None:
            assert stage.proves_abort(plan, bench.context(1, bench.dids), end.proof)
        forged = (b"", b"[]", b"{}", b'{"a":"!"}', end.proof or b"")
        assert not any(stage.proves_abort(plan, bench.context(2), proof) for proof in forged)

    def test_prv_011_a_round_is_answered_once(self) -> None:
        """PRV-011: the same round begun again sends nothing, and an older one neither."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context(2))
        sent = len(session.uplink)
        for number in (2, 1):
            session.node(
                bench.dids[0], Begin(bench.context(number), bench.answer(bench.dids[1]), b"")
            )
        assert len(session.uplink) == sent

    def test_prv_012_rounds_follow_one_another(self) -> None:
        """PRV-012: a retry after an abort ends in the right total."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context(1))
        session.run(bench.dids)
        assert isinstance(self.ended(session), Aborted)
        session.uplink = []
        session.begin(bench.context(2))
        session.run()
        end = self.ended(session)
        assert isinstance(end, Released)
        assert isinstance(end.release, Total)
        assert integers(end.release.words) == bench.plain(bench.dids)

    def test_prv_013_a_truncated_message_is_none(self) -> None:
        """PRV-013: in every phase, a message cut short changes nothing at the coordinator."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context())
        while session.uplink:
            sender, phase, body = session.uplink.pop(0)
            for cut in (body[:-1], body[: len(body) // 2]):
                assert not session.tell(Received(sender, phase, cut))
            session.tell(Received(sender, phase, body))
        assert isinstance(self.ended(session), Released)

    def test_prv_014_a_truncated_broadcast_is_none(self) -> None:
        """PRV-014: in every phase, a broadcast cut short changes nothing at a participant."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context())
        session.run()
        assert isinstance(self.ended(session), Released)
        again = Session(bench)
        again.begin(bench.context())
        first = bench.dids[0]
        for phase, body in session.told:
            before = again.nodes[first]
            for cut in {body[:-1], body[: len(body) // 2]} - {body}:
                after, effects = bench.stage.advance(before, Received("", phase, cut))
                assert after is before
                assert not effects
            again.node(first, Received("", phase, body))

    def test_prv_015_what_a_holder_of_an_upload_sees_is_what_the_stage_says(self) -> None:
        """PRV-015: `seen` reads uploads only, and the answer itself where all is seen."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context())
        session.run()
        for did, phase, body in session.sent:
            seen = bench.stage.seen(phase, body, bench.width)
            assert (seen is not None) is (phase == UPLOAD)
            if seen is not None:
                is_plain = integers(seen) == integers(bench.answer(did))
                assert is_plain is bench.stage.coordinator_sees_everything
        assert bench.stage.seen(UPLOAD, b"", bench.width) is None

    def test_prv_016_one_input_leaves_as_one_byte_string(self) -> None:
        """PRV-016: a round begun again with the same input sends the same bytes, or nothing."""
        bench = self.bench()
        session = Session(bench)
        session.begin(bench.context())
        session.run()
        for did in bench.dids:
            uploads = [m for m in session.sent if m[:2] == (did, UPLOAD)]
            session.node(did, Begin(bench.context(), bench.answer(did), did.encode()))
            assert {m for m in session.sent if m[:2] == (did, UPLOAD)} == set(uploads)


def privacy_conformance(
    build: Callable[[], PrivacyStage], *, whole: bool = False
) -> type[PrivacyConformance]:
    """A test class with the cases PRV-001 to PRV-016.

    whole: the stage sums everybody that a round expects, or nothing, so that a decline ends the
    round at once. Use: `TestOpen = privacy_conformance(OpenSum)`.
    """
    cases = {"build": staticmethod(build), "whole": whole}
    return type("PrivacyConformance", (PrivacyConformance,), cases)
