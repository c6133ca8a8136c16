"""A coordinator that counts in its own memory, and enters in its logs only what it likes.

It runs the counting side of secure aggregation to the end of every round and writes no total down.
It may hold several logs and let each node read one of them; it may run parties of its own, whose
answers are zero, so that a sum over them and one victim is the victim's words.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.attacks.forger import Forger
from tests.domains.pool_markets import pools
from tests.rounds.machine import STAGES

from covenue.hooks.domains import EMPTY
from covenue.hooks.privacy import (
    Aborted,
    Begin,
    PlanContext,
    Received,
    Released,
    Role,
    RoundContext,
    Send,
    Sign,
    Signed,
    StageEffect,
    StageEvent,
)
from covenue.hooks.solvers import Total
from covenue.hooks.venues import Snapshot
from covenue.identity.envelopes import open_envelope, payload_of, seal
from covenue.identity.keys import SigningKey
from covenue.numerics.words import Words, integers, subtract, words
from covenue.rounds import participant
from covenue.rounds.messages import opened_digest, plan_id, round_context
from covenue.rounds.votes import choice_text, sign_vote, votes_of
from covenue.testing import cohorts
from covenue.testing.cohorts import NO_SCHEMA, SimulatedVenue, identity
from covenue_contracts.canonical import canonical, parse_as
from covenue_contracts.envelope import Decline, Join, Upload
from covenue_contracts.plan import Goal, Order, PlanClose, PlanOpen, QueryAsked, StageMessage
from covenue_domain_arbitrage import Arbitrage
from covenue_domain_arbitrage.coupling import SIGNAL
from covenue_privacy_secagg.stage import SecAgg

STAGES.setdefault("secagg", SecAgg)

SYBILS = tuple(SigningKey.from_seed(bytes([90 + number]) * 32) for number in range(5))
MOST_TURNS = 12

Ended = Released | Aborted | None
Integers = tuple[int, ...]
Learnt = tuple[Integers | None, Integers]
"""What an attack computed, None where it came to no sum; and the truth that it was after."""
Mutant = Callable[[pytest.MonkeyPatch], None]


class Liar(Forger):
    """A forger that sums.

    policy: what it runs the stage under. views: whose log a node reads, where it is not this one.
    refusals: reasons of those that declined a round. puppets: parties that it runs itself.
    """

    def __init__(self, **setting: Any) -> None:
        super().__init__("secagg", **setting)
        self.policy = self.cohort.order.policy
        self.views: dict[str, Liar] = {}
        self.refusals: list[str] = []
        self.puppets = {key.did: key for key in SYBILS}
        self._states: dict[str, Any] = {}
        self._said: list[Received] = []
        self._counting: Any = None

    def index(self, did: str) -> int:
        """Which node of the cohort a did is."""
        return next(i for i in range(len(self.dids)) if self.cohort.did(i) == did)

    def begin(self, joins: Mapping[str, bytes]) -> None:
        """Say who joined, in every log, and start to count."""
        entry = self.joined(joins)
        for log in self._logs():
            log.blobs.update(self.blobs)
            log.write(entry)
        name, members = self.plan.plan, tuple(sorted(joins))
        setups = {did: base64.b64decode(_join(body).setup) for did, body in joins.items()}
        plan = PlanContext(name, "", members, self.policy, b"", setups, votes_of(name))
        self._counting, _ = SecAgg().start(Role.COORDINATOR, plan)
        for did in sorted(self.puppets.keys() & set(members)):
            own = replace(plan, own=did, secret=_secret(did))
            self._states[did], _ = SecAgg().start(Role.PARTICIPANT, own)

    def sum_round(self, asked: QueryAsked) -> Ended:
        """Ask, collect, certify and unmask; how the round ended, or None when nobody said more."""
        for log in self._logs():
            log.write(asked)
        ctx = self._context(asked)
        for did in self._own(asked):
            self._move(did, Begin(ctx, words([0] * ctx.width), b""))
        heard: set[tuple[str, str]] = set()
        effects = self._count(Begin(ctx, None, b""))
        for _ in range(MOST_TURNS):
            told = [effect for effect in effects if isinstance(effect, Send)]
            for send in told:
                self._tell(asked, send)
            said = self._listen(asked, heard)
            if not told and not said:
                return None
            effects = [effect for event in said for effect in self._count(event)]
            ends = [effect for effect in effects if isinstance(effect, Released | Aborted)]
            if ends:
                return ends[0]
        return None

    def summed(self, asked: QueryAsked) -> Words | None:
        """The words of a round's total, if there is one."""
        end = self.sum_round(asked)
        if not isinstance(end, Released) or not isinstance(end.release, Total):
            return None
        return end.release.words

    def true_words(self, did: str, asked: QueryAsked) -> Integers:
        """What a node answers, read in its own memory: what the attacks are after."""
        log = self.views.get(did, self)
        plan = log.cohort.node(log.index(did)).state.plan
        assert plan is not None
        assert plan.problem is not None
        return integers(plan.problem.answer(asked.query, EMPTY)[0])

    def heard(self, did: str, phase: str) -> list[bytes]:
        """What a node says now in a phase."""
        payloads = [m.payload for m in self.show(did) if m.envelope.phase == phase]
        return [base64.b64decode(p.body) for p in payloads if isinstance(p, Upload)]

    def sybil_join(self, key: SigningKey) -> bytes:
        """The join of a party of the liar's own."""
        setup = SecAgg().setup(self.plan.plan, _secret(key.did))
        join = Join(
            accepts=True,
            reason=None,
            changed=True,
            checkpoint="",
            setup=base64.b64encode(setup).decode("ascii"),
        )
        return seal(
            key,
            plan=self.plan.plan,
            round=0,
            phase="join",
            sequence=0,
            sent="0",
            contract=NO_SCHEMA,
            payload=canonical(join),
        )

    def next_plan(self, **changes: Any) -> PlanOpen:
        """Close the plan and open the next one of the order."""
        first = self.plan
        number = first.number + 1
        named = {"number": number, "plan": plan_id(first.order, 0, number)}
        opened = first.model_copy(update={**named, **changes})
        self.write(closing(first), opened)
        return opened

    # ---- inside

    def _logs(self) -> list["Liar"]:
        others = {id(log): log for log in self.views.values() if log is not self}
        return [self, *others.values()]

    def _own(self, asked: QueryAsked) -> list[str]:
        return [did for did in asked.expected if did in self._states]

    def _context(self, asked: QueryAsked) -> RoundContext:
        return round_context(
            opened_digest(self.plan),
            asked.plan,
            asked.round,
            self.plan.roster,
            asked.digest,
            asked.width,
            "stage",
            asked.expected,
            asked.expected if asked.cohort_fixed else None,
        )

    def _count(self, event: StageEvent) -> Sequence[StageEffect]:
        self._counting, effects = SecAgg().advance(self._counting, event)
        return effects

    def _move(self, did: str, event: StageEvent) -> None:
        """Hand a puppet one event; what it says waits to be counted."""
        self._states[did], effects = SecAgg().advance(self._states[did], event)
        for effect in effects:
            if isinstance(effect, Send):
                self._said.append(Received(did, effect.phase, effect.body))
            elif isinstance(effect, Sign):
                ctx = self._states[did].ctx
                text = choice_text(effect.choice, abort=effect.abort)
                signature = sign_vote(self.puppets[did], ctx.plan, ctx.round, text)
                self._move(did, Signed(effect.choice, effect.abort, signature))

    def _tell(self, asked: QueryAsked, send: Send) -> None:
        for log in self._logs():
            log.write(stage_message(asked.plan, asked.round, send.phase, send.body))
        for did in self._own(asked):
            self._move(did, Received("", send.phase, send.body))

    def _listen(self, asked: QueryAsked, heard: set[tuple[str, str]]) -> list[Received]:
        """What the expected say that they had not said before."""
        said, self._said = self._said, []
        for did in (did for did in asked.expected if did in self.dids):
            for message in self.views.get(did, self).show(did):
                sent, payload = message.envelope, message.payload
                is_new = (sent.plan, sent.round) == (asked.plan, asked.round)
                if not is_new or (did, sent.phase) in heard:
                    continue
                heard.add((did, sent.phase))
                if isinstance(payload, Decline):
                    self.refusals.append(payload.reason)
                elif isinstance(payload, Upload):
                    said.append(Received(did, sent.phase, base64.b64decode(payload.body)))
        return said


def begun(**setting: Any) -> Liar:
    """Six parties, of which five make a cohort, have joined the first plan."""
    liar = Liar(**{"parties": 6, "least": 5, **setting})
    liar.begin(liar.joins())
    return liar


def hold_pools(at: pytest.MonkeyPatch, goal: Goal) -> None:
    """From now on the cohort's domain is arbitrage: party n holds one pool of n + 1 parts."""
    at.setattr(cohorts, "SIGNAL", SIGNAL)
    at.setattr(cohorts, "TrialDomain", Arbitrage)
    at.setattr(cohorts, "ladder_goal", lambda quantity, pace: goal)
    at.setattr(cohorts.Cohort, "_check_books", lambda cohort: None)
    at.setattr(cohorts.SimulatedVenue, "pin", one_pool)


def one_pool(venue: SimulatedVenue, as_of: int) -> Snapshot:
    """A pool at par of references 1 and 2, as large as the venue's seed says."""
    parts = 1 + int(venue._seed.split("/")[1])
    held = pools(("a", "b"), [(0, 1, 1000.0 * parts, 500.0 * parts, 3000)])
    return Snapshot("pool-set/v1", as_of, f"{parts}" * 64, held)


def party_keys(parties: int) -> list[SigningKey]:
    """The keys of the honest parties, in order of index."""
    return [identity("party", f"p{number}").key for number in range(parties)]


def difference(first: Words | None, second: Words | None) -> Integers | None:
    """What two totals differ by, where both exist."""
    if first is None or second is None:
        return None
    return integers(subtract(first, second))


def closing(plan: PlanOpen) -> PlanClose:
    """The entry that ends a plan."""
    return PlanClose(
        plan=plan.plan,
        reason="void: for a test",
        settled=("0",),
        reserved=("0",),
        committed=("0",),
        left=("6",),
        order_done=False,
    )


def stage_message(plan: str, number: int, phase: str, body: bytes = b"") -> StageMessage:
    """A broadcast of the stage."""
    text = base64.b64encode(body).decode("ascii")
    return StageMessage(plan=plan, round=number, phase=phase, body=text)


def trusting(reader: str) -> Mutant:
    """A mutant of the node that reads such an entry and believes it."""

    def patch(at: pytest.MonkeyPatch) -> None:
        original = getattr(participant, reader)

        def read(turn: Any, *rest: Any) -> None:
            distrust = turn.state.view.distrust
            original(turn, *rest)
            turn.see(distrust=distrust)

        at.setattr(participant, reader, read)

    return patch


def reads_orders_in_plans(at: pytest.MonkeyPatch) -> None:
    """A mutant of the node that takes another order in the middle of a plan."""
    original = participant._read_order

    def read(turn: Any, order: Order) -> None:
        closed = turn.state.view.closed
        turn.see(closed=True)
        original(turn, order)
        turn.see(closed=closed)

    at.setattr(participant, "_read_order", read)


def _join(body: bytes) -> Join:
    return parse_as(Join, payload_of(open_envelope(body)))


def _secret(did: str) -> bytes:
    return did.encode()[-32:]
