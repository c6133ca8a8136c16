"""The coordinator as a pure machine: `advance(state, event) -> (state, entries)` and `due(state)`.

Rules
1. Inputs are orders, participants' messages, timers and the kill switch; everything else that the
   ledger holds is derived here, so replay is this fold.
2. One kind of round for answer, commit and settle.
3. The first total of a plan fixes its cohort; a lost party aborts the round, and after the
   retries voids the plan.
4. Nobody may act before `plan.go`, which follows only a whole cohort and an admitted total.
5. What was committed is owed until its party is counted in a settlement.
6. An event that changes nothing returns the same state object and no entries.
Source: architecture.md, sections 3 and 4.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from covenue.errors import CovenueError
from covenue.hooks.privacy import (
    Aborted,
    Begin,
    PlanContext,
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
from covenue.hooks.solvers import Choice, Coupling, Solution, Solver, Total
from covenue.identity.roster import roster_digest
from covenue.numerics.words import (
    Words,
    check_headroom,
    frozen,
    integers,
    subtract,
    to_bytes,
    to_text,
    total,
)
from covenue.privacy.composition import Mechanism
from covenue.privacy.guards import Attendance, Past, differencing, fixed_cohort, large_enough
from covenue.rounds.messages import (
    Message,
    opened_digest,
    plan_id,
    query_digest,
    round_context,
    transcript_digest,
)
from covenue.rounds.room import fits
from covenue.rounds.votes import votes_of
from covenue_contracts.canonical import digest, sha256
from covenue_contracts.contract import Contract
from covenue_contracts.envelope import Decline, Join, Upload
from covenue_contracts.ledger import ENTRY_BYTES_MAX, Deadline, KillSwitch, Submit
from covenue_contracts.plan import (
    Commitment,
    Goal,
    JoinedMember,
    Member,
    Order,
    Override,
    PlanClose,
    PlanDelta,
    PlanGo,
    PlanJoined,
    PlanMode,
    PlanOpen,
    PlanSettled,
    PlanStands,
    PlanVoid,
    QueryAsked,
    RoundAbort,
    StageMessage,
)
from covenue_contracts.shared import Query, SharedSignals

IDLE_PLANS = 3
STANDS = "the plan before still stands"
KERNEL_KINDS = ("commit", "settle")
REASONS_SHOWN = 8


Input = Order | Submit | Deadline | KillSwitch


@dataclass(frozen=True)
class Parts:
    """The pure parts that an order's plugins give the coordinator."""

    couple: Callable[[Goal, Sequence[Member]], Coupling]
    solver: Solver
    mechanism: Mechanism


@dataclass(frozen=True)
class Event:
    """An input: what happened, the coordinator's wall time, and a participant's message."""

    wall: int
    body: Input
    message: Message | None = None


@dataclass(frozen=True)
class Round:
    """A round in progress: its context, its question, and how often it was retried.

    declined: why members of it do not answer, as they said it, by did.
    """

    ctx: RoundContext
    query: Query
    retries: int
    declined: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A plan in progress; `opening` is the digest of all that it opened with."""

    opened: PlanOpen
    opening: str
    coupling: Coupling
    joins: Mapping[str, tuple[Join, str]] = field(default_factory=dict)
    stage: Any = None
    solver: Any = None
    round: Round | None = None
    rounds: int = 0
    answers: int = 0
    cohort: tuple[str, ...] | None = None
    transcript: str = ""
    delta: PlanDelta | None = None
    go: PlanGo | None = None
    owed_before: tuple[int, ...] = ()
    attendance: Attendance | None = None

    @property
    def id(self) -> str:
        """The plan's digest."""
        return self.opened.plan


@dataclass(frozen=True)
class Mandate:
    """An order in progress: its plans, what is settled, reserved and committed."""

    order: Order
    digest: str
    ordinal: int
    roster: str
    settled: Words
    reserved: Words
    committed: Words
    plans: int = 0
    idle: int = 0
    opened_at: int = 0
    parent: PlanDelta | None = None
    plan: Plan | None = None
    last_plan: str = ""


@dataclass(frozen=True)
class State:
    """Everything the coordinator knows; `timers` is what it waits for.

    past: whose inputs were in the plans that released a total. warm: by solver and domain, where
    the last solution of any order ended.
    """

    mandate: Mandate | None = None
    orders: int = 0
    warm: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    past: Past = field(default_factory=Past)
    timers: tuple[Deadline, ...] = ()


@dataclass
class _Turn:
    """One step in the making; it lives inside one call of `advance`."""

    parts: Parts
    state: State
    wall: int
    entries: list[Contract] = field(default_factory=list)

    @property
    def mandate(self) -> Mandate:
        mandate = self.state.mandate
        assert mandate is not None  # noqa: S101 -- a turn with a plan has its order
        return mandate

    @property
    def plan(self) -> Plan:
        plan = self.mandate.plan
        assert plan is not None  # noqa: S101 -- only called inside a plan
        return plan

    def set_mandate(self, **changes: Any) -> None:
        self.state = replace(self.state, mandate=replace(self.mandate, **changes))

    def set_plan(self, **changes: Any) -> None:
        self.set_mandate(plan=replace(self.plan, **changes))

    def say(self, entry: Contract) -> None:
        self.entries.append(entry)

    def wait(self, plan: str, number: int, phase: str, due: int) -> None:
        timer = Deadline(plan=plan, round=number, phase=phase, due=str(due))
        self.state = replace(self.state, timers=(*self.state.timers, timer))

    def forget_timers(self, keep: Callable[[Deadline], bool] = lambda _: False) -> None:
        kept = tuple(t for t in self.state.timers if keep(t))
        self.state = replace(self.state, timers=kept)


def advance(parts: Parts, state: State, event: Event) -> tuple[State, tuple[Contract, ...]]:
    """Fold one input; the derived entries follow it in the ledger, in this order."""
    turn = _Turn(parts, state, event.wall)
    if isinstance(event.body, Order):
        _take_order(turn, event.body)
    elif isinstance(event.body, Submit):
        _take_message(turn, event.message)
    elif isinstance(event.body, Deadline):
        _take_deadline(turn, event.body)
    else:
        _take_kill(turn, event.body)
    return turn.state, tuple(turn.entries)


def due(state: State) -> tuple[Deadline, ...]:
    """The timers that are running, earliest first; sending is what the ledger's tail does."""
    return tuple(sorted(state.timers, key=lambda t: (int(t.due), t.plan, t.round, t.phase)))


def done(state: State) -> bool:
    """Whether no order is open."""
    return state.mandate is None


# ---- inputs


def _take_order(turn: _Turn, order: Order) -> None:
    if turn.state.mandate is not None:
        return
    width = len(order.goal.remaining)
    zero = frozen(np.zeros(width, dtype=np.int64))
    mandate = Mandate(
        order,
        digest(order, "covenue/order/1"),
        turn.state.orders,
        roster_digest(order.roster),
        zero,
        zero,
        zero,
    )
    turn.state = replace(turn.state, mandate=mandate, orders=turn.state.orders + 1)
    _open_plan(turn, order.goal, order.mode)


def _take_message(turn: _Turn, message: Message | None) -> None:
    mandate = turn.state.mandate
    if message is None or mandate is None or mandate.plan is None:
        return
    sent = message.envelope
    known = {member.did for member in mandate.order.roster.members}
    if sent.plan != mandate.plan.id or sent.sender not in known:
        return
    if isinstance(message.payload, Join):
        _take_join(turn, sent.sender, message.payload, message.blob)
    elif mandate.plan.round is not None and sent.round == mandate.plan.round.ctx.round:
        _take_upload(turn, message)


def _take_deadline(turn: _Turn, timer: Deadline) -> None:
    if timer not in turn.state.timers or turn.wall < int(timer.due):
        return
    turn.forget_timers(lambda t: t != timer)
    if timer.phase == "next":
        _next_plan(turn)
    elif timer.phase == "join":
        _begin_rounds(turn)
    elif timer.phase == "act":
        _ask_settle(turn)
    elif turn.plan.round is not None and turn.plan.round.ctx.round == timer.round:
        _stage(turn, StageDeadline(timer.phase, int(timer.due)))


def _take_kill(turn: _Turn, kill: KillSwitch) -> None:
    mandate = turn.state.mandate
    if mandate is None:
        return
    if mandate.plan is None and kill.plan == mandate.last_plan:
        turn.forget_timers()
        turn.state = replace(turn.state, mandate=None)
    elif mandate.plan is not None and kill.plan == mandate.plan.id and mandate.idle < IDLE_PLANS:
        turn.set_mandate(idle=IDLE_PLANS, order=_stopped(mandate.order, mandate.plans))
        if mandate.plan.go is None and mandate.plan.opened.mode != "settle-only":
            _void(turn, "kill switch")


def _stopped(order: Order, plans: int) -> Order:
    return order.model_copy(update={"plans_max": max(1, plans)})


# ---- opening and joining


def _open_plan(turn: _Turn, goal: Goal, mode: PlanMode) -> None:
    mandate = turn.mandate
    order = mandate.order
    plan = plan_id(mandate.digest, mandate.ordinal, mandate.plans)
    opened = PlanOpen(
        plan=plan,
        number=mandate.plans,
        order=mandate.digest,
        parent=None if mandate.parent is None else digest(mandate.parent, "covenue/delta/1"),
        goal=goal,
        mode=mode,
        as_of=str(turn.wall),
        roster=mandate.roster,
        seed=sha256(b"covenue/seed/1", order.seed.encode(), plan.encode()),
    )
    coupling = turn.parts.couple(goal, order.roster.members)
    check_headroom(int(coupling.space.bound), len(order.roster.members))
    turn.set_mandate(
        plan=Plan(opened, opened_digest(opened), coupling, owed_before=integers(mandate.committed)),
        plans=mandate.plans + 1,
        opened_at=turn.wall,
        last_plan=plan,
    )
    turn.say(opened)
    turn.wait(plan, 0, "join", turn.wall + int(order.deadlines.join))


def _take_join(turn: _Turn, sender: str, join: Join, blob: str) -> None:
    plan = turn.plan
    if sender in plan.joins or plan.stage is not None:
        return
    turn.set_plan(joins={**plan.joins, sender: (join, blob)})
    if len(turn.plan.joins) == len(turn.mandate.order.roster.members):
        _begin_rounds(turn)


def _begin_rounds(turn: _Turn) -> None:
    """Fix who takes part, pass the guards, and ask the first question."""
    turn.forget_timers()
    plan, order = turn.plan, turn.mandate.order
    accepted = tuple(sorted(did for did, (join, _) in plan.joins.items() if join.accepts))
    turn.say(
        PlanJoined(
            plan=plan.id,
            members=tuple(JoinedMember(did=d, envelope=plan.joins[d][1]) for d in accepted),
        )
    )
    mechanism = turn.parts.mechanism
    if not large_enough(order.policy, mechanism.stage.least_cohort, accepted):
        _void(turn, f"cohort of {len(accepted)} is too small{_reasons(plan)}")
        return
    now = Attendance(accepted, tuple(d for d in accepted if plan.joins[d][0].changed))
    turn.set_plan(attendance=now)
    if not _passes_differencing(turn, now, mechanism):
        return
    setups = {d: _setup(plan.joins[d][0]) for d in accepted}
    context = PlanContext(plan.id, "", accepted, order.policy, b"", setups, votes_of(plan.id))
    stage, effects = mechanism.stage.start(Role.COORDINATOR, context)
    turn.set_plan(stage=stage)
    _perform(turn, effects)
    if plan.opened.mode == "settle-only":
        _ask_settle(turn)
        return
    try:
        solver = turn.parts.solver.start(plan.coupling, _warm(turn))
    except CovenueError as error:
        _void(turn, f"the solver refused: {type(error).__name__}")
        return
    turn.set_plan(solver=solver)
    _ask_solver(turn)


def _reasons(plan: Plan) -> str:
    """Why parties do not take part, as they said it; silence is a reason of its own."""
    return _said(join.reason or "" for join, _ in plan.joins.values() if not join.accepts)


def _said(reasons: Iterable[str]) -> str:
    """Reasons in brackets, each once and only some: whoever gave them may have written anything."""
    said = sorted(set(reasons))
    if len(said) > REASONS_SHOWN:
        said = [*said[:REASONS_SHOWN], "others"]
    return f" ({', '.join(said)})" if said else ""


def _setup(join: Join) -> bytes:
    return base64.b64decode(join.setup)


def _passes_differencing(turn: _Turn, now: Attendance, mechanism: Mechanism) -> bool:
    policy = turn.mandate.order.policy
    verdict = differencing(policy, turn.state.past, now, noised=mechanism.noise is not None)
    if verdict == "override":
        turn.say(
            Override(
                plan=turn.plan.id,
                guard="differencing",
                reason=policy.reason or "the policy overrides the guard",
                detail=f"differencing-exposed: fewer than {policy.min_changed} inputs changed",
            )
        )
    if verdict == "void":
        _void(turn, f"differencing guard: {policy.differencing}")
    return verdict != "void"


# ---- rounds


def _ask_solver(turn: _Turn) -> None:
    plan = turn.plan
    if plan.answers >= turn.mandate.order.rounds_max:
        _void(turn, f"no solution within {turn.mandate.order.rounds_max} rounds")
        return
    try:
        query = turn.parts.solver.ask(plan.solver, lambda q: query_digest(plan.id, q))
    except CovenueError as error:
        _void(turn, f"the solver refused: {type(error).__name__}")
        return
    turn.set_plan(answers=plan.answers + 1)
    _ask(turn, query, retries=0, retry_of=None)


def _ask(turn: _Turn, query: Query, retries: int, retry_of: int | None) -> None:
    plan, mandate = turn.plan, turn.mandate
    cohort = _cohort(turn)
    expected = _joined(plan) if cohort is None else cohort
    named = query_digest(plan.id, query)
    ctx = round_context(
        plan.opening,
        plan.id,
        plan.rounds + 1,
        mandate.roster,
        named,
        _width(plan, query),
        turn.parts.mechanism.name,
        expected,
        cohort,
    )
    asked = QueryAsked(
        plan=plan.id,
        round=ctx.round,
        digest=named,
        query=query,
        width=ctx.width,
        expected=expected,
        cohort_fixed=cohort is not None,
        retry_of=retry_of,
    )
    if retry_of is None and query.kind != "settle" and not fits(asked):
        _void(turn, "the solver's question does not fit an entry")
        return
    turn.set_plan(round=Round(ctx, query, retries), rounds=ctx.round)
    turn.say(asked)
    _stage(turn, Begin(ctx, None, b""))


def _cohort(turn: _Turn) -> tuple[str, ...] | None:
    noised = turn.parts.mechanism.noise is not None
    plan = turn.plan
    return fixed_cohort(turn.mandate.order.policy, _joined(plan), plan.cohort, noised=noised)


def _joined(plan: Plan) -> tuple[str, ...]:
    return tuple(sorted(did for did, (join, _) in plan.joins.items() if join.accepts))


def _width(plan: Plan, query: Query) -> int:
    coordinates = len(plan.opened.goal.remaining)
    if query.kind == "commit":
        return coordinates
    return 3 * coordinates if query.kind == "settle" else plan.coupling.width(query)


def _take_upload(turn: _Turn, message: Message) -> None:
    sent, payload = message.envelope, message.payload
    current = turn.plan.round
    if current is None or sent.sender not in current.ctx.expected:
        return
    if isinstance(payload, Decline) and payload.query == current.ctx.query:
        _take_decline(turn, current, Received(sent.sender, sent.phase, b""), payload.reason)
    elif isinstance(payload, Upload) and payload.query == current.ctx.query:
        _stage(turn, Received(sent.sender, sent.phase, base64.b64decode(payload.body)))


def _take_decline(turn: _Turn, current: Round, event: Received, reason: str) -> None:
    """Keep why a member declines, unless the stage has no use for it (rule 6)."""
    before = turn.state
    turn.set_plan(round=replace(current, declined={**current.declined, event.sender: reason}))
    kept = turn.state
    _stage(turn, event)
    if turn.state is kept:
        turn.state = before


def _stage(turn: _Turn, event: StageEvent) -> None:
    """Let the aggregation stage fold an event; ignored ones leave the state untouched."""
    plan = turn.plan
    stage, effects = turn.parts.mechanism.stage.advance(plan.stage, event)
    if stage is plan.stage and not effects:
        return
    turn.set_plan(stage=stage)
    _perform(turn, effects)


def _perform(turn: _Turn, effects: Sequence[StageEffect]) -> None:
    for effect in effects:
        plan = turn.plan
        if isinstance(effect, Send):
            turn.say(
                StageMessage(
                    plan=plan.id,
                    round=plan.rounds,
                    phase=effect.phase,
                    body=base64.b64encode(effect.body).decode("ascii"),
                )
            )
        elif isinstance(effect, Timer):
            turn.wait(plan.id, plan.rounds, effect.phase, turn.wall + _patience(turn, effect.phase))
        elif isinstance(effect, Released):
            _released(turn, effect)
            return
        elif isinstance(effect, Aborted):
            _aborted(turn, effect)
            return


def _patience(turn: _Turn, phase: str) -> int:
    deadlines = turn.mandate.order.deadlines
    known = {"vote": deadlines.vote, "revote": deadlines.vote, "answer": deadlines.answer}
    return int(known.get(phase, deadlines.upload))


def _released(turn: _Turn, effect: Released) -> None:
    """A round ended in a total: write it down, fix the cohort, go on by the kind of question."""
    plan, current = turn.plan, turn.plan.round
    if current is None:
        return
    release = replace(effect.release, query=current.ctx.query)
    turn.forget_timers()
    summed = to_text(_release_words(release))
    turn.say(_signals(plan, current, release, summed))
    transcript = transcript_digest(plan.transcript, current.query, summed)
    if plan.cohort is None and plan.attendance is not None:
        turn.state = replace(turn.state, past=turn.state.past.after(plan.attendance))
    turn.set_plan(cohort=release.cohort, round=None, transcript=transcript)
    if current.query.kind == "commit":
        _decide(turn, _release_words(release), effect.attached)
    elif current.query.kind == "settle":
        _settled(turn, _release_words(release), release.cohort)
    else:
        _tell(turn, release)


def _release_words(release: Total | Choice) -> Words:
    if isinstance(release, Total):
        return release.words
    return frozen(np.array([release.winner], dtype=np.int64))


def _signals(plan: Plan, current: Round, release: Total | Choice, summed: str) -> SharedSignals:
    """What a round released: its words where an entry holds them, and their digest always.

    summed: the words as text; one that is too long by itself is not tried.
    """
    signals = SharedSignals(
        plan=plan.id,
        round=current.ctx.round,
        query=current.ctx.query,
        words=summed if len(summed) <= ENTRY_BYTES_MAX else None,
        digest=hashlib.sha256(to_bytes(_release_words(release))).hexdigest(),
        cohort=release.cohort,
        exact=release.exact if isinstance(release, Total) else False,
    )
    return signals if fits(signals) else signals.model_copy(update={"words": None})


def _aborted(turn: _Turn, effect: Aborted) -> None:
    """A round ended without a total: ask the same again of the same cohort, or give up."""
    plan, current = turn.plan, turn.plan.round
    if current is None:
        return
    turn.forget_timers()
    why = _said(current.declined.values())
    proof = None if effect.proof is None else base64.b64encode(effect.proof).decode("ascii")
    turn.say(
        RoundAbort(
            plan=plan.id,
            round=current.ctx.round,
            present=effect.present,
            proof=proof,
            reason=f"{len(effect.present)} of {len(current.ctx.expected)} present{why}",
        )
    )
    turn.set_plan(round=None)
    if current.retries < turn.mandate.order.retries:
        _ask(turn, current.query, current.retries + 1, current.ctx.round)
    elif plan.go is not None or plan.opened.mode == "settle-only":
        _close(turn, f"settlement incomplete: a party is missing{why}")
    else:
        _void(turn, f"cohort lost{why}")


# ---- solution, go, settlement


def _tell(turn: _Turn, release: Total | Choice) -> None:
    plan = turn.plan
    try:
        outcome = turn.parts.solver.tell(plan.solver, release)
    except CovenueError as error:
        _void(turn, f"the solver refused: {type(error).__name__}")
        return
    if not isinstance(outcome, Solution):
        turn.set_plan(solver=outcome)
        _ask_solver(turn)
        return
    warm = {**turn.state.warm, _warm_key(turn): outcome.warm}
    if _stands(turn, outcome):
        turn.say(_unchanged(turn, outcome, release.cohort))
        turn.state = replace(turn.state, warm=warm)
        _close(turn, STANDS, worked=True)
        return
    delta = _delta(turn, outcome, release.cohort)
    if not fits(delta):
        _void(turn, "the solver's solution does not fit an entry")
        return
    turn.say(delta)
    turn.set_plan(delta=delta)
    turn.set_mandate(parent=delta)
    turn.state = replace(turn.state, warm=warm)
    if outcome.status not in {"certified", "estimated"}:
        _void(turn, f"the solver ended {_ending(turn, outcome)}")
    elif plan.opened.mode == "standing":
        _close(turn, "standing plan: nothing is acted on")
    else:
        query = Query(
            kind="commit",
            after=outcome.after,
            multipliers=outcome.multipliers,
            points=delta.solution,
        )
        _ask(turn, query, retries=0, retry_of=None)


def _ending(turn: _Turn, solution: Solution) -> str:
    """A status, and the coordinate that makes a plan infeasible, where the solver names one."""
    names = turn.plan.coupling.space.names
    places = [k for k in solution.points if solution.status == "infeasible" and 0 <= k < len(names)]
    named = "".join(f": '{names[k]}' cannot be met" for k in places[:1])
    return f"{solution.status}{named}"


def _stands(turn: _Turn, solution: Solution) -> bool:
    """Whether the plan before, which nobody has acted on, is still within tolerance.

    Then there is no change, and so no plan.delta (round 0 of solvers.md, section 3).
    """
    parent = turn.mandate.parent
    standing = turn.plan.opened.mode == "standing" and turn.plan.answers == 1
    certified = parent is not None and parent.status == solution.status == "certified"
    return solution.stands and standing and certified


def _warm_key(turn: _Turn) -> tuple[str, str]:
    order = turn.mandate.order
    return order.solver, digest([order.goal.domain, dict(order.solver_options)])


def _warm(turn: _Turn) -> Any:
    return turn.state.warm.get(_warm_key(turn))


def _delta(turn: _Turn, solution: Solution, cohort: tuple[str, ...]) -> PlanDelta:
    plan, parent = turn.plan, turn.mandate.parent
    same_shape = parent is not None and len(parent.solution) == len(solution.points)
    before = _ints(parent.solution) if parent and same_shape else (0,) * len(solution.points)
    change = tuple(str(a - b) for a, b in zip(solution.points, before, strict=True))
    return PlanDelta(
        plan=plan.id,
        parent=plan.opened.parent,
        after=solution.after,
        status=solution.status,
        multipliers=solution.multipliers,
        solution=tuple(str(point) for point in solution.points),
        change=change,
        value=str(solution.value),
        bound=str(solution.bound),
        gap=str(abs(solution.bound - solution.value)),
        shortfall=str(solution.shortfall),
        rounds=plan.answers,
        transcript=plan.transcript,
        cohort=cohort,
    )


def _unchanged(turn: _Turn, solution: Solution, cohort: tuple[str, ...]) -> PlanStands:
    plan = turn.plan
    assert plan.opened.parent is not None  # noqa: S101 -- what stands is the parent
    return PlanStands(
        plan=plan.id,
        delta=plan.opened.parent,
        value=str(solution.value),
        bound=str(solution.bound),
        gap=str(abs(solution.bound - solution.value)),
        rounds=plan.answers,
        transcript=plan.transcript,
        cohort=cohort,
    )


def _ints(texts: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(int(text) for text in texts)


def _decide(turn: _Turn, committed: Words, attached: Mapping[str, bytes]) -> None:
    """Every member of the cohort committed: the plan goes if the sum is admitted."""
    plan, mandate = turn.plan, turn.mandate
    cohort = plan.cohort or ()
    if set(attached) != set(cohort) or any(len(body) != 32 for body in attached.values()):
        _void(turn, "a commitment is missing")
        return
    if not committed.any():
        _void(turn, "the plan is to do nothing")
        return
    if not plan.coupling.admits(committed, plan.opened.goal):
        _void(turn, "the summed commitment is not admitted")
        return
    valid_until = turn.wall + int(mandate.order.deadlines.act)
    go = PlanGo(
        plan=plan.id,
        total=tuple(str(word) for word in integers(committed)),
        commitments=tuple(Commitment(did=d, commitment=attached[d].hex()) for d in sorted(cohort)),
        valid_until=str(valid_until),
    )
    turn.say(go)
    turn.set_plan(go=go)
    turn.set_mandate(committed=total([mandate.committed, committed]))
    turn.wait(plan.id, plan.rounds, "act", valid_until + int(mandate.order.deadlines.skew))


def _ask_settle(turn: _Turn) -> None:
    query = Query(kind="settle", after=None, multipliers=None, points=())
    _ask(turn, query, retries=0, retry_of=None)


def _settled(turn: _Turn, words: Words, cohort: tuple[str, ...]) -> None:
    mandate, width = turn.mandate, len(turn.plan.opened.goal.remaining)
    executed, unknown, planned = words[:width], words[width : 2 * width], words[2 * width :]
    turn.say(
        PlanSettled(
            plan=turn.plan.id,
            members=cohort,
            executed=_texts(executed),
            unknown=_texts(unknown),
            planned=_texts(planned),
        )
    )
    turn.set_mandate(
        settled=total([mandate.settled, executed]),
        reserved=total([mandate.reserved, unknown]),
        committed=subtract(mandate.committed, planned),
    )
    worked = bool(np.any(executed) or np.any(unknown)) or _freed(turn)
    _close(turn, "settled", worked=worked)


def _freed(turn: _Turn) -> bool:
    now = integers(turn.mandate.committed)
    return any(a < b for a, b in zip(now, turn.plan.owed_before, strict=True))


def _texts(words: Words) -> tuple[str, ...]:
    return tuple(str(word) for word in integers(words))


# ---- the end of a plan, and the next one


def _void(turn: _Turn, reason: str) -> None:
    turn.say(PlanVoid(plan=turn.plan.id, reason=reason))
    _close(turn, f"void: {reason}")


def _close(turn: _Turn, reason: str, *, worked: bool = False) -> None:
    mandate, plan = turn.mandate, turn.plan
    effect = worked or (plan.opened.mode == "standing" and plan.delta is not None)
    idle = 0 if effect and mandate.idle < IDLE_PLANS else mandate.idle + 1
    goal = _left(turn)
    turn.forget_timers()
    ends = _ends(turn, goal, idle)
    turn.say(
        PlanClose(
            plan=plan.id,
            reason=reason,
            settled=_texts(mandate.settled),
            reserved=_texts(mandate.reserved),
            committed=_texts(mandate.committed),
            left=goal.remaining,
            order_done=ends,
        )
    )
    if ends:
        turn.state = replace(turn.state, mandate=None)
        return
    turn.set_mandate(plan=None, idle=idle)
    turn.wait(plan.id, plan.rounds, "next", _next_at(turn))


def _left(turn: _Turn) -> Goal:
    mandate, plan = turn.mandate, turn.plan
    if mandate.order.mode == "standing":
        return mandate.order.goal
    return plan.coupling.left(mandate.settled, mandate.reserved, mandate.committed)


def _next_at(turn: _Turn) -> int:
    return max(turn.wall, turn.mandate.opened_at + int(turn.mandate.order.every))


def _ends(turn: _Turn, goal: Goal, idle: int) -> bool:
    mandate = turn.mandate
    owed = bool(np.any(mandate.committed) or np.any(mandate.reserved))
    nothing_left = all(int(amount) == 0 for amount in goal.remaining)
    return (
        idle >= IDLE_PLANS
        or mandate.plans >= mandate.order.plans_max
        or _next_at(turn) > int(mandate.order.until)
        or (nothing_left and not owed)
    )


def _next_plan(turn: _Turn) -> None:
    """Open the plan of what is left; when only debts are left, a settle-only plan."""
    mandate = turn.mandate
    goal = mandate.order.goal
    mode: PlanMode = mandate.order.mode
    if mandate.order.mode != "standing":
        coupling = turn.parts.couple(goal, mandate.order.roster.members)
        goal = coupling.left(mandate.settled, mandate.reserved, mandate.committed)
        if all(int(amount) == 0 for amount in goal.remaining):
            mode = "settle-only"
    _open_plan(turn, goal, mode)
