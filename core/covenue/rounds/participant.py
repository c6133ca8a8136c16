"""A participant as a pure machine: `advance(state, event) -> step` and `due(state)`.

Rules
1. A node folds the coordinator's log in order and reacts only at its head.
2. It pins its venue state once a plan; every answer of the plan comes from that state.
3. It charges its budget in the same append that records what will leave; nothing leaves before.
4. It answers a round once; the bytes it sent are the bytes it sends again.
5. It continues from the memory of `query.after`, else from the empty one, never from another.
6. It acts only after `plan.go` names its commitment, in time, before it has read the settle
   query, and never after the kill switch.
7. What it settles is the fold over this order in its log minus what was last counted.
Source: architecture.md, sections 3 and 4; privacy.md, section 5.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from covenue.errors import CovenueError
from covenue.hooks.domains import Acted, LocalProblem, Memory
from covenue.hooks.privacy import (
    Begin,
    PlanContext,
    Received,
    Role,
    RoundContext,
    Send,
    Sign,
    Signed,
    StageEffect,
    StageEvent,
)
from covenue.hooks.venues import Snapshot
from covenue.identity.consents import all_consent
from covenue.identity.envelopes import seal
from covenue.identity.keys import derive
from covenue.identity.roster import roster_digest
from covenue.ledger.audit_log import blob_digest
from covenue.numerics.words import Words, frozen, subtract, total
from covenue.privacy.composition import Mechanism
from covenue.privacy.guards import (
    Attendance,
    differencing,
    fixed_cohort,
    large_enough,
    remembered,
)
from covenue.rounds.messages import (
    DECLINE,
    JOIN,
    PAYLOADS,
    open_message,
    opened_digest,
    plan_id,
    query_digest,
    round_context,
)
from covenue.rounds.node_state import (
    Act,
    Deed,
    Due,
    Event,
    NodePlan,
    Owed,
    Self,
    State,
    Step,
    View,
)
from covenue.rounds.votes import choice_text, is_abort, sign_vote, votes_of
from covenue_contracts.canonical import canonical, digest, sha256
from covenue_contracts.contract import Contract
from covenue_contracts.envelope import Decline, Join, Upload
from covenue_contracts.ledger import (
    ActionPlanned,
    KillSwitch,
    MemoryKept,
    OutcomeSeen,
    Reply,
    SnapshotPinned,
    Submit,
    Tail,
)
from covenue_contracts.local import Outcome, Outcomes
from covenue_contracts.plan import (
    Goal,
    Order,
    PlanClose,
    PlanGo,
    PlanJoined,
    PlanOpen,
    PlanVoid,
    QueryAsked,
    RoundAbort,
    StageMessage,
)
from covenue_contracts.privacy import BudgetCharged, BudgetRefunded, BudgetRefused, Charge
from covenue_contracts.shared import Query, SharedSignals

ANSWER_QUERY = Query(kind="depth", after=None, multipliers=None, points=())
COMMIT_QUERY = Query(kind="commit", after=None, multipliers=None, points=())
SETTLE_QUERY = Query(kind="settle", after=None, multipliers=None, points=())
NOBODY = Attendance((), ())


@dataclass
class _Turn:
    """One step in the making; it lives inside one call of `advance`."""

    own: Self
    state: State
    wall: int
    entries: list[Contract] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)

    def set(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)

    def see(self, **changes: Any) -> None:
        self.set(view=replace(self.state.view, **changes))

    def set_plan(self, **changes: Any) -> None:
        assert self.state.plan is not None  # noqa: S101 -- only called inside a plan
        self.set(plan=replace(self.state.plan, **changes))

    def say(self, entry: Contract) -> None:
        self.entries.append(entry)


def advance(own: Self, state: State, event: Event) -> Step:
    """Fold one input; the derived entries follow it in the node's log, in this order."""
    turn = _Turn(own, state, event.wall)
    if isinstance(event.body, Tail):
        for entry in event.entries:
            _read(turn, entry.body, event.blobs)
        turn.set(size=event.body.end)
    elif isinstance(event.body, SnapshotPinned):
        _take_snapshot(turn, event.body, event)
    else:
        _take_outcome(turn, event.body, event.outcomes)
    _react(turn)
    return Step(turn.state, tuple(turn.entries), tuple(turn.blobs))


def due(state: State) -> Due:
    """Obligations as a function of state; after a restart they are the same."""
    view = state.view
    if state.behind:
        return Due(None, (), ())
    pin = view.plan if not view.closed and not _pinned(state) else None
    allowed = view.go is not None and not _settling(view) and not view.killed and not view.closed
    acts = tuple(
        Act(
            d.order,
            d.actions,
            d.valid_until,
            may_apply=allowed and view.plan is not None and d.plan == view.plan.plan,
        )
        for d in state.deeds
        if d.open and d.order is not None and d.actions is not None
    )
    return Due(pin, acts, tuple(o for o in state.outbox if _wanted(view, o)))


def _pinned(state: State) -> bool:
    view = state.view
    return state.plan is not None and view.plan is not None and state.plan.plan == view.plan.plan


def _wanted(view: View, owed: Owed) -> bool:
    if view.plan is None or view.closed or owed.plan != view.plan.plan:
        return False
    if owed.phase == JOIN:
        return not view.joined and view.rounds == 0
    return view.query is not None and view.query.round == owed.round


# ---- reading the coordinator's log


def _read(  # noqa: PLR0912 -- one arm a kind
    turn: _Turn, body: Contract, blobs: Mapping[str, bytes]
) -> None:
    if _foreign(turn.state.view, body):
        return
    match body:
        case Order():
            _read_order(turn, body)
        case PlanOpen():
            _read_open(turn, body)
        case PlanJoined():
            _read_joined(turn, body, blobs)
        case QueryAsked():
            _read_query(turn, body)
        case StageMessage():
            turn.see(messages=(*turn.state.view.messages, body))
        case SharedSignals():
            _read_total(turn, body)
        case RoundAbort():
            _read_abort(turn, body)
        case PlanGo():
            _read_go(turn, body)
        case PlanVoid():
            _read_void(turn, body)
        case PlanClose():
            turn.see(closed=True, query=None)
            turn.set(outbox=())
        case KillSwitch():
            turn.see(killed=True)
        case Submit():
            _read_submit(turn, body)
        case _:
            pass


def _read_order(turn: _Turn, order: Order) -> None:
    """Begin an order; in the middle of a plan it would change the rules that the plan began with.

    What is still open at the venue stays, whoever orders next: it has to be reconciled.
    """
    view = turn.state.view
    if not view.closed:
        turn.see(distrust="order-in-plan")
        return
    turn.see(order=order, orders=view.orders + 1, plans=0)
    turn.set(deeds=tuple(deed for deed in turn.state.deeds if deed.open), counted=None)


def _read_submit(turn: _Turn, body: Submit) -> None:
    """Tick off what the coordinator has; a message of ours that our log lacks stops this node."""
    state = turn.state
    if body.sender != turn.own.did:
        return
    if state.view.plan is not None and body.plan == state.view.plan.plan:
        turn.set(behind=state.behind or body.blob not in state.said)
    turn.set(outbox=tuple(owed for owed in state.outbox if owed.blob != body.blob))


def _foreign(view: View, body: Contract) -> bool:
    """Whether an entry speaks of another plan than the one that is open."""
    if isinstance(body, PlanOpen | Submit) or not hasattr(body, "plan"):
        return False
    return view.plan is None or body.plan != view.plan.plan


def _read_open(turn: _Turn, opened: PlanOpen) -> None:
    view = turn.state.view
    has_released = view.cohort is not None or _voted_for_a_total(turn.state)
    turn.set(
        view=View(
            order=view.order,
            orders=view.orders,
            plans=max(view.plans, opened.number + 1),
            plan=opened,
            opening=opened_digest(opened),
            closed=False,
            past=view.past.after(view.attendance or NOBODY) if has_released else view.past,
            distrust="" if _is_next_plan(view, opened) else "plan-unproven",
        ),
        outbox=(),
        said=frozenset(),
        charged={},
        sent_settle={},
        memories={d: m for d, m in turn.state.memories.items() if d in turn.state.kept},
        kept=(),
    )


def _voted_for_a_total(state: State) -> bool:
    """Whether this node's vote may have brought about a total that the log does not show."""
    plan, opened = state.plan, state.view.plan
    if plan is None or opened is None or plan.plan != opened.plan:
        return False
    return any(not is_abort(choice) for choice in plan.votes.values())


def _is_next_plan(view: View, opened: PlanOpen) -> bool:
    """Whether a plan is what it says: of this order and roster, under an id that is never reused.

    A plan opened twice would ask under secrets that were used before.
    """
    if view.order is None or opened.number < view.plans:
        return False
    order = digest(view.order, "covenue/order/1")
    return (
        opened.order == order
        and opened.plan == plan_id(order, view.orders - 1, opened.number)
        and opened.roster == roster_digest(view.order.roster)
    )


def _read_joined(turn: _Turn, joined: PlanJoined, blobs: Mapping[str, bytes]) -> None:
    """Check every join for oneself: the coordinator's word alone is not enough.

    A plan's members are fixed once: a second list would be another cohort.
    """
    view = turn.state.view
    joins: dict[str, Join] = {}
    distrust = view.distrust if view.attendance is None else "joined-twice"
    roster = set() if view.order is None else {m.did for m in view.order.roster.members}
    for member in joined.members:
        join = _checked_join(joined.plan, member.did, blobs.get(member.envelope, b""))
        if join is None or member.did not in roster:
            distrust = "join-unproven"
        else:
            joins[member.did] = join
    members = tuple(sorted(joins))
    changed = tuple(did for did in members if joins[did].changed)
    turn.see(
        joined=members,
        setups={did: base64.b64decode(joins[did].setup) for did in members},
        attendance=Attendance(members, changed),
        distrust=distrust,
    )


def _checked_join(plan: str, did: str, data: bytes) -> Join | None:
    try:
        message = open_message(data)
    except CovenueError:
        return None
    sent, payload = message.envelope, message.payload
    fits = sent.sender == did and sent.plan == plan and isinstance(payload, Join)
    return payload if fits and isinstance(payload, Join) and payload.accepts else None


def _read_query(turn: _Turn, asked: QueryAsked) -> None:
    view = turn.state.view
    distrust = view.distrust
    if asked.round <= view.rounds:
        distrust = "round-reused"
    turn.see(
        query=asked,
        rounds=max(view.rounds, asked.round),
        messages=(),
        distrust=distrust,
        settle_read=view.settle_read or asked.query.kind == "settle",
    )


def _read_total(turn: _Turn, signals: SharedSignals) -> None:
    view, state = turn.state.view, turn.state
    asked, plan = view.query, state.plan
    if asked is None or not set(signals.cohort) <= set(asked.expected):
        turn.see(distrust="total-unproven")
    turn.see(query=None, cohort=view.cohort or signals.cohort)
    is_in = plan is not None and plan.plan == signals.plan and turn.own.did in signals.cohort
    if view.cohort is None and is_in and plan is not None and plan.pinned is not None:
        turn.set(snapshot=plan.pinned)
    if asked is None or asked.query.kind != "settle" or turn.own.did not in signals.cohort:
        return
    sent = state.sent_settle.get(signals.round)
    if sent is not None:
        turn.set(counted=sent)


def _read_abort(turn: _Turn, abort: RoundAbort) -> None:
    charge = turn.state.charged.get(abort.round)
    ctx = turn.state.plan.ctx if turn.state.plan is not None else None
    turn.see(query=None)
    if charge is None or ctx is None or ctx.round != abort.round:
        return
    if not _refundable(turn.own.mechanism, _plan_context(turn), ctx, abort):
        return
    signal = _signal(turn)
    account = turn.state.accounts[signal].refund(charge)
    turn.set(
        accounts={**turn.state.accounts, signal: account},
        charged={r: c for r, c in turn.state.charged.items() if r != abort.round},
    )
    turn.say(BudgetRefunded(plan=abort.plan, round=abort.round, signal=signal, charge=charge))


def _refundable(
    mechanism: Mechanism, plan: PlanContext, ctx: RoundContext, abort: RoundAbort
) -> bool:
    """Only a proof that the round released nothing brings a charge back."""
    if abort.proof is None:
        return False
    return mechanism.stage.proves_abort(plan, ctx, base64.b64decode(abort.proof))


def _read_go(turn: _Turn, go: PlanGo) -> None:
    turn.see(go=go)
    plan = turn.state.plan
    if plan is None or plan.planned is None or plan.plan != go.plan:
        return
    if turn.own.did in {c.did for c in go.commitments}:
        deed = Deed(
            go.plan,
            plan.planned,
            actions=plan.actions,
            valid_until=int(go.valid_until),
            orders=turn.state.view.orders,
        )
        turn.set(deeds=(*turn.state.deeds, deed))


def _read_void(turn: _Turn, void: PlanVoid) -> None:
    plan = turn.state.plan
    turn.see(go=None, query=None)
    if plan is None or plan.plan != void.plan:
        return  # this node had not pinned that plan yet, and so committed to nothing
    memories = {d: m for d, m in turn.state.memories.items() if d != plan.commit_query}
    turn.set(memories=memories)
    turn.set_plan(actions=None, planned=None, commitment="")


# ---- pinning and joining


def _take_snapshot(turn: _Turn, pinned: SnapshotPinned, event: Event) -> None:
    view = turn.state.view
    if view.plan is None or view.order is None or pinned.plan != view.plan.plan:
        return
    problem, reason = _build(turn, event.snapshot, pinned)
    reason = view.distrust or _unagreed(turn, view.order) or reason or _unaffordable(turn, problem)
    turn.set(plan=NodePlan(pinned.plan, problem if not reason else None, pinned.digest))
    join = Join(
        accepts=not reason,
        reason=reason or None,
        changed=pinned.changed,
        checkpoint=event.checkpoint,
        setup=base64.b64encode(_setup(turn, pinned.plan)).decode("ascii"),
    )
    _send(turn, 0, JOIN, join)


def _unagreed(turn: _Turn, order: Order) -> str:
    """Why this node takes no part in an order that its members did not agree to.

    Where the coordinator sees every answer anyway there is nothing that consent could protect.
    """
    hides = not turn.own.mechanism.stage.coordinator_sees_everything
    return "order-unsigned" if hides and not all_consent(order) else ""


def _continues(own: Self, order: Goal, plan: Goal) -> bool:
    """Whether a plan's goal continues the order's; one that the domain cannot read does not."""
    try:
        return own.continues(order, plan)
    except CovenueError:
        return False


def _build(
    turn: _Turn, snapshot: Snapshot | None, pinned: SnapshotPinned
) -> tuple[LocalProblem | None, str]:
    view, own = turn.state.view, turn.own
    if snapshot is None or view.order is None or view.plan is None:
        return None, pinned.reason or "no-state"
    member = next((m for m in view.order.roster.members if m.did == own.did), None)
    if member is None:
        return None, "not-in-roster"
    goal = view.plan.goal
    if not _continues(own, view.order.goal, goal):
        return None, "goal-unproven"
    try:
        return own.build(goal, view.order.roster.members, member, snapshot), ""
    except CovenueError:
        return None, "no-problem"


def _unaffordable(turn: _Turn, problem: LocalProblem | None) -> str:
    """Why the budget does not even allow one answer and what follows from it."""
    view = turn.state.view
    if problem is None or view.plan is None:
        return ""
    account = turn.state.accounts.get(problem.space.signal)
    if account is None:
        return "no-budget"
    cost = turn.own.mechanism.cost(ANSWER_QUERY, problem.space)
    answer = () if view.plan.mode == "settle-only" else (cost,)
    allowed = account.allows(*answer, *_reserve(turn, problem, "answer"))
    return "" if allowed else "budget-exhausted"


def _setup(turn: _Turn, plan: str) -> bytes:
    return turn.own.mechanism.stage.setup(plan, derive(turn.own.master, b"plan", plan.encode()))


def _plan_context(turn: _Turn) -> PlanContext:
    view = turn.state.view
    assert view.order is not None  # noqa: S101 -- a plan has its order
    assert view.plan is not None  # noqa: S101 -- only called inside a plan
    return PlanContext(
        view.plan.plan,
        turn.own.did,
        view.joined,
        view.order.policy,
        derive(turn.own.master, b"plan", view.plan.plan.encode()),
        view.setups,
        votes_of(view.plan.plan),
    )


# ---- reacting at the head


def _react(turn: _Turn) -> None:
    view = turn.state.view
    if view.closed or view.plan is None or not _pinned(turn.state) or turn.state.behind:
        return
    if turn.own.did in view.joined and turn.state.plan and turn.state.plan.problem is not None:
        _start_stage(turn)
        _answer_round(turn)
        _hear(turn)
    if _may_act(turn.state.view, turn.state.plan, turn.own.did, turn.wall):
        _act(turn)


def _start_stage(turn: _Turn) -> None:
    if turn.state.plan is None or turn.state.plan.stage is not None:
        return
    stage, effects = turn.own.mechanism.stage.start(Role.PARTICIPANT, _plan_context(turn))
    turn.set_plan(stage=stage)
    _perform(turn, 0, effects)


def _answer_round(turn: _Turn) -> None:
    view, plan = turn.state.view, turn.state.plan
    asked = view.query
    if asked is None or plan is None or plan.begun >= asked.round:
        return
    if turn.own.did not in asked.expected:
        return
    if asked.query.kind == "settle" and any(
        deed.order is not None and deed.outcomes is None for deed in turn.state.deeds
    ):
        return  # the venue's word comes first; `due` asks for it
    ctx = _context(turn, asked)
    turn.set_plan(begun=asked.round, heard=0, ctx=ctx)
    refusal = _refusal(turn, asked)
    if refusal:
        _decline(turn, ctx, refusal)
        return
    answer = _words(turn, asked)
    if answer is None:
        _decline(turn, ctx, "no-answer")
        return
    words, attached = answer
    signal = _signal(turn)
    charge = turn.own.mechanism.cost(asked.query, _problem(turn).space)
    account = turn.state.accounts[signal].spend(charge)
    turn.set(
        accounts={**turn.state.accounts, signal: account},
        charged={**turn.state.charged, asked.round: charge},
    )
    turn.say(BudgetCharged(plan=asked.plan, round=asked.round, signal=signal, charge=charge))
    seed = derive(turn.own.master, b"noise", asked.plan.encode(), str(asked.round).encode())
    protected = turn.own.mechanism.protect(words, _problem(turn).space, seed)
    _stage(turn, asked.round, Begin(ctx, protected, attached))


def _problem(turn: _Turn) -> LocalProblem:
    plan = turn.state.plan
    assert plan is not None  # noqa: S101 -- only called inside a plan
    assert plan.problem is not None  # noqa: S101 -- a member that joined has a problem
    return plan.problem


def _signal(turn: _Turn) -> str:
    return _problem(turn).space.signal


def _context(turn: _Turn, asked: QueryAsked) -> RoundContext:
    view = turn.state.view
    assert view.plan is not None  # noqa: S101 -- a query has its plan
    return round_context(
        view.opening,
        asked.plan,
        asked.round,
        view.plan.roster,
        asked.digest,
        asked.width,
        turn.own.mechanism.name,
        asked.expected,
        asked.expected if asked.cohort_fixed else None,
    )


def _refusal(turn: _Turn, asked: QueryAsked) -> str:
    """Why this node answers nothing this round; an empty text means that it answers."""
    view, own = turn.state.view, turn.own
    assert view.order is not None  # noqa: S101 -- a query has its order
    policy = view.order.policy
    if view.distrust:
        return view.distrust
    if asked.digest != query_digest(asked.plan, asked.query):
        return "query-digest"
    noised = own.mechanism.noise is not None
    fixed = fixed_cohort(policy, view.joined, view.cohort, noised=noised)
    if fixed is not None and not (asked.cohort_fixed and asked.expected == fixed):
        return "cohort-changed"
    if not _all_joined(view, asked.expected):
        return "cohort-unproven"
    if not large_enough(policy, own.mechanism.stage.least_cohort, asked.expected):
        return "cohort-too-small"
    if differencing(policy, view.past, view.attendance or NOBODY, noised=noised) == "void":
        return "differencing"
    if asked.query.kind == "disclose" and not own.mechanism.stage.coordinator_sees_everything:
        return "disclose"
    problem = _problem(turn)
    account = turn.state.accounts[problem.space.signal]
    kind = asked.query.kind if asked.query.kind in {"commit", "settle"} else "answer"
    cost = own.mechanism.cost(asked.query, problem.space)
    if not account.allows(cost, *_reserve(turn, problem, kind)):
        return "budget-exhausted"
    return ""


def _all_joined(view: View, expected: tuple[str, ...]) -> bool:
    """Whether a round expects members that joined, each once: a stranger protects nobody."""
    return list(expected) == sorted(set(expected)) and set(expected) <= set(view.joined)


def _reserve(turn: _Turn, problem: LocalProblem, kind: str) -> tuple[Charge, ...]:
    """What must still be affordable after this round: commit, settle and their retries."""
    view = turn.state.view
    if view.order is None or view.plan is None or view.plan.mode == "standing" or kind == "settle":
        return ()
    tries = 1 + view.order.retries
    settle = (turn.own.mechanism.cost(SETTLE_QUERY, problem.space),) * tries
    if kind == "commit" or view.plan.mode == "settle-only":
        return settle
    return (turn.own.mechanism.cost(COMMIT_QUERY, problem.space),) * tries + settle


def _words(turn: _Turn, asked: QueryAsked) -> tuple[Words, bytes] | None:
    """What answers a question, or None where the problem refuses it or another width is asked."""
    try:
        words, attached = _asked_words(turn, asked)
    except CovenueError:
        return None
    return (words, attached) if len(words) == asked.width else None


def _asked_words(turn: _Turn, asked: QueryAsked) -> tuple[Words, bytes]:
    """The words of an answer, a commitment or a settlement, and what rides with them."""
    problem, query = _problem(turn), asked.query
    memory = Memory(remembered(turn.state.memories, query.after))
    if query.kind == "settle":
        return _settle_words(turn, asked), b""
    if query.kind == "commit":
        actions, words, kept = problem.commit(query, memory, asked.plan)
        body = canonical(actions)
        commitment = _commitment(turn, asked, body)
        turn.set_plan(
            actions=actions, planned=words, commitment=commitment, commit_query=asked.digest
        )
        turn.blobs.append(body)
        _keep(turn, asked, kept)
        return words, bytes.fromhex(commitment)
    words, kept = problem.answer(query, memory)
    _keep(turn, asked, kept)
    return words, b""


def _commitment(turn: _Turn, asked: QueryAsked, actions: bytes) -> str:
    """SHA-256(tag | 32-byte nonce from the master key | canonical actions), length-prefixed.

    A nonce for each round: equal actions in two rounds must not show as equal.
    """
    number = str(asked.round).encode()
    nonce = derive(turn.own.master, b"commitment", asked.plan.encode(), number)
    return sha256(b"covenue/commitment/1", nonce, actions)


def _keep(turn: _Turn, asked: QueryAsked, memory: Memory) -> None:
    turn.set(
        memories={**turn.state.memories, asked.digest: bytes(memory)},
        kept=(*turn.state.kept, asked.digest),
    )
    turn.say(
        MemoryKept(plan=asked.plan, query=asked.digest, memory=sha256(b"covenue/memory/1", memory))
    )


def _settle_words(turn: _Turn, asked: QueryAsked) -> Words:
    """The fold over this order minus what was last counted: (executed, unknown, planned)."""
    state, problem = turn.state, _problem(turn)
    view = state.view
    assert view.plan is not None  # noqa: S101 -- a query has its plan
    zero = frozen(np.zeros(len(view.plan.goal.remaining), dtype=np.int64))
    deeds = [deed for deed in state.deeds if deed.orders == view.orders]
    acted = [
        Acted(deed.planned, deed.actions, deed.outcomes)
        for deed in deeds
        if deed.order is not None and deed.actions is not None
    ]
    executed, unknown = problem.settle(asked.query, acted)
    planned = total([zero, *(deed.planned for deed in deeds)])
    cumulative = frozen(np.concatenate([executed, unknown, planned]))
    turn.set(sent_settle={**state.sent_settle, asked.round: cumulative})
    return cumulative if state.counted is None else subtract(cumulative, state.counted)


def _decline(turn: _Turn, ctx: RoundContext, reason: str) -> None:
    turn.say(BudgetRefused(plan=ctx.plan, round=ctx.round, signal=_signal(turn), reason=reason))
    _send(turn, ctx.round, DECLINE, Decline(query=ctx.query, reason=reason))
    _stage(turn, ctx.round, Begin(ctx, None, b""))


def _hear(turn: _Turn) -> None:
    """Hand the stage what the coordinator broadcast in this round, once each."""
    view, plan = turn.state.view, turn.state.plan
    if view.query is None or plan is None or plan.begun != view.query.round:
        return
    fresh = view.messages[plan.heard :]
    turn.set_plan(heard=len(view.messages))
    for message in (message for message in fresh if message.round == view.query.round):
        body = base64.b64decode(message.body)
        _stage(turn, message.round, Received("", message.phase, body))


def _stage(turn: _Turn, number: int, event: StageEvent) -> None:
    plan = turn.state.plan
    assert plan is not None  # noqa: S101 -- only called inside a plan
    stage, effects = turn.own.mechanism.stage.advance(plan.stage, event)
    turn.set_plan(stage=stage)
    _perform(turn, number, effects)


def _perform(turn: _Turn, number: int, effects: Sequence[StageEffect]) -> None:
    for effect in effects:
        if isinstance(effect, Send):
            query = turn.state.view.query
            named = query.digest if query is not None else "0" * 64
            body = base64.b64encode(effect.body).decode("ascii")
            payload = Upload.model_construct(query=named, body=body)  # its receiver validates it
            _send(turn, number, effect.phase, payload)
        elif isinstance(effect, Sign):
            _vote(turn, number, effect)


def _vote(turn: _Turn, number: int, sign: Sign) -> None:
    """Sign one choice a round; a second, different one is never signed."""
    plan = turn.state.plan
    assert plan is not None  # noqa: S101 -- only called inside a plan
    choice = choice_text(sign.choice, abort=sign.abort)
    if plan.votes.get(number, choice) != choice:
        return
    turn.set_plan(votes={**plan.votes, number: choice})
    if not sign.abort and plan.pinned is not None:
        turn.set(snapshot=plan.pinned)
    signature = sign_vote(turn.own.key, plan.plan, number, choice)
    _stage(turn, number, Signed(sign.choice, sign.abort, signature))


def _send(turn: _Turn, number: int, phase: str, payload: Contract) -> None:
    """Seal a message; it becomes an entry now and leaves only after that entry is durable."""
    plan = turn.state.plan
    assert plan is not None  # noqa: S101 -- only called inside a plan
    body = seal(
        turn.own.key,
        plan=plan.plan,
        round=number,
        phase=phase,
        sequence=turn.state.sequence,
        sent=str(turn.wall),
        contract=turn.own.schema_digest(PAYLOADS.get(phase, Upload).kind_name),
        payload=canonical(payload),
    )
    owed = Owed(plan.plan, number, phase, blob_digest(body), body)
    turn.set(
        outbox=(*turn.state.outbox, owed),
        said=turn.state.said | {owed.blob},
        sequence=turn.state.sequence + 1,
    )
    turn.blobs.append(body)
    turn.say(Reply(plan=plan.plan, round=number, phase=phase, blob=owed.blob))


# ---- acting


def _may_act(view: View, plan: NodePlan | None, did: str, wall: int) -> bool:
    """Whether the go is for this node's commitment, in time, and nothing forbids to act."""
    go = view.go
    if go is None or plan is None or not plan.commitment or plan.plan != go.plan:
        return False
    mine = {c.did: c.commitment for c in go.commitments}.get(did)
    return (
        mine == plan.commitment
        and in_time(wall, int(go.valid_until))
        and not _settling(view)
        and not view.killed
    )


def in_time(wall: int, valid_until: int) -> bool:
    """Whether a node may still act, on its own clock."""
    return wall <= valid_until


def _settling(view: View) -> bool:
    return view.settle_read


def _act(turn: _Turn) -> None:
    plan = turn.state.plan
    if plan is None or plan.actions is None:
        return
    deeds = turn.state.deeds
    index = next((i for i, d in enumerate(deeds) if d.plan == plan.plan), None)
    idle = not plan.actions.legs and not plan.actions.swaps
    if index is None or deeds[index].order is not None or idle:
        return
    order = sha256(b"covenue/act/1", plan.plan.encode(), plan.commitment.encode())
    deed = replace(deeds[index], order=order)
    turn.set(deeds=(*deeds[:index], deed, *deeds[index + 1 :]))
    turn.say(
        ActionPlanned(
            plan=plan.plan,
            order=order,
            actions=blob_digest(canonical(plan.actions)),
            valid_until=str(deed.valid_until),
        )
    )


def _take_outcome(turn: _Turn, seen: OutcomeSeen, outcomes: tuple[Outcome, ...]) -> None:
    deeds = turn.state.deeds
    index = next((i for i, d in enumerate(deeds) if d.order == seen.order), None)
    if index is None:
        return
    deed = replace(deeds[index], outcomes=outcomes)
    turn.set(deeds=(*deeds[:index], deed, *deeds[index + 1 :]))


def outcome_entry(plan: str, order: str, outcomes: Sequence[Outcome]) -> tuple[OutcomeSeen, bytes]:
    """The input entry for what a venue answered, and the bytes that it names."""
    body = canonical(Outcomes(order=order, outcomes=tuple(outcomes)))
    return OutcomeSeen(plan=plan, order=order, outcomes=blob_digest(body)), body
