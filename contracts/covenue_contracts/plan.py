"""The life of one plan: order, opening, change from the parent plan, go or void, settlement."""

from typing import Annotated, Literal

from pydantic import Field

from covenue_contracts.contract import (
    Base64,
    Contract,
    Count,
    Did,
    Digest,
    Document,
    Integer,
    Name,
    Natural,
    Text,
    Time,
    contract,
)
from covenue_contracts.ledger import DsseSignature
from covenue_contracts.shared import DualVariables, Query

PlanMode = Literal["standing", "executed", "settle-only"]
Differencing = Literal["charge", "hold", "refuse", "override"]
SolutionStatus = Literal["certified", "estimated", "stalled", "max_rounds", "infeasible"]


@contract("goal/v1")
class Goal(Contract):
    """What is left to do: one integer per committed coordinate, and the domain's public terms.

    aim: whether what remains is wanted (`fill`: an order that ends with some of it left is
    unfilled) or only allowed (`allow`: it bounds what may still be done).
    """

    domain: Name
    aim: Literal["fill", "allow"]
    remaining: Annotated[tuple[Natural, ...], Field(min_length=1)]
    terms: Document


@contract("member/v1")
class Member(Contract):
    """One participant of a roster; `slot` is its public number, for ties and for disclosing."""

    did: Did
    name: Name
    slot: Count


@contract("roster/v1")
class Roster(Contract):
    """Who may take part, in order of did; its digest is in every plan and every round context."""

    coordinator: Did
    members: Annotated[tuple[Member, ...], Field(min_length=1)]


@contract("cohort-policy/v1")
class CohortPolicy(Contract):
    """Least cohort, colluders assumed, drops tolerated, what a nearly unchanged re-plan does."""

    least: Annotated[int, Field(ge=1, le=2**53 - 1)]
    colluders: Count
    drops: Count
    min_changed: Count
    differencing: Differencing
    reason: Text | None


@contract("plugin-ref/v1")
class PluginRef(Contract):
    """A plugin that takes part in a plan, pinned by the digest of its content."""

    family: Name
    plugin: Name
    name: Name
    version: Text
    content: Digest


@contract("deadlines/v1")
class Deadlines(Contract):
    """How long the coordinator waits, in nanoseconds; `skew` is the clock difference assumed."""

    join: Time
    upload: Time
    vote: Time
    answer: Time
    act: Time
    skew: Time


@contract("order/v1")
class Order(Contract):
    """What the cohort is asked to plan, and under which rules; the input that starts plans.

    consents: DSSE signatures of members over all of the order but these, in order of did. Where
    answers are hidden, a node asks for those of all members before it takes part.
    """

    goal: Goal
    mode: PlanMode
    plans_max: Annotated[int, Field(ge=1, le=2**53 - 1)]
    every: Time
    until: Time
    roster: Roster
    policy: CohortPolicy
    consents: tuple[DsseSignature, ...]
    deadlines: Deadlines
    plugins: tuple[PluginRef, ...]
    solver: Name
    solver_options: Document
    privacy: Annotated[tuple[Name, ...], Field(min_length=1)]
    rounds_max: Annotated[int, Field(ge=1, le=2**53 - 1)]
    retries: Count
    seed: Digest


@contract("plan.open/v1")
class PlanOpen(Contract):
    """A plan begins: everything its participants must agree on before the first question."""

    plan: Digest
    number: Count
    order: Digest
    parent: Digest | None
    goal: Goal
    mode: PlanMode
    as_of: Time
    roster: Digest
    seed: Digest


@contract("plan.delta/v1")
class PlanDelta(Contract):
    """A proposal: the change from the parent plan, by hash, with its provenance.

    solution: the plan's shared integers; change: solution minus the parent's (or itself, without
    parent). value, bound, gap: integers in the domain's value unit; gap = |bound - value|.
    transcript: SHA-256 over (query, sums) of every round (solvers.md R8).
    """

    plan: Digest
    parent: Digest | None
    after: Digest | None
    status: SolutionStatus
    multipliers: DualVariables | None
    solution: tuple[Integer, ...]
    change: tuple[Integer, ...]
    value: Integer
    bound: Integer
    gap: Natural
    shortfall: Natural
    rounds: Count
    transcript: Digest
    cohort: tuple[Did, ...]


@contract("plan.stands/v1")
class PlanStands(Contract):
    """The plan before, on which nobody has acted, is still within tolerance: nothing changes.

    delta: digest of the plan.delta that stays in force. value, bound, gap, rounds, transcript,
    cohort: of today, as in plan.delta.
    """

    plan: Digest
    delta: Digest
    value: Integer
    bound: Integer
    gap: Natural
    rounds: Count
    transcript: Digest
    cohort: tuple[Did, ...]


@contract("commitment/v1")
class Commitment(Contract):
    """A hiding commitment of one participant to the actions that it plans."""

    did: Did
    commitment: Digest


@contract("plan.go/v1")
class PlanGo(Contract):
    """The whole cohort committed and the sum is admitted: members may act until valid_until."""

    plan: Digest
    total: tuple[Integer, ...]
    commitments: tuple[Commitment, ...]
    valid_until: Time


@contract("plan.void/v1")
class PlanVoid(Contract):
    """Nobody acts on this plan."""

    plan: Digest
    reason: Text


@contract("plan.settled/v1")
class PlanSettled(Contract):
    """Sums over the counted members since each was last counted; unknown may go down."""

    plan: Digest
    members: tuple[Did, ...]
    executed: tuple[Integer, ...]
    unknown: tuple[Integer, ...]
    planned: tuple[Integer, ...]


@contract("plan.close/v1")
class PlanClose(Contract):
    """A plan ends; `order_done` says that no further plan of this order follows, and why."""

    plan: Digest
    reason: Text
    settled: tuple[Integer, ...]
    reserved: tuple[Integer, ...]
    committed: tuple[Integer, ...]
    left: tuple[Natural, ...]
    order_done: bool


@contract("joined-member/v1")
class JoinedMember(Contract):
    """One participant that joined, with the digest of the envelope that says so."""

    did: Did
    envelope: Digest


@contract("plan.joined/v1")
class PlanJoined(Contract):
    """Who takes part in a plan; nodes fetch the envelopes and check them themselves."""

    plan: Digest
    members: tuple[JoinedMember, ...]


@contract("query/v1")
class QueryAsked(Contract):
    """A round begins: the question, the words expected back, and who is expected.

    cohort_fixed: the expected set is the cohort of an earlier total and may not shrink.
    """

    plan: Digest
    round: Count
    digest: Digest
    query: Query
    width: Count
    expected: tuple[Did, ...]
    cohort_fixed: bool
    retry_of: Count | None


@contract("stage/v1")
class StageMessage(Contract):
    """A broadcast of the aggregation stage, from the coordinator to every node of the round."""

    plan: Digest
    round: Count
    phase: Name
    body: Base64


@contract("round.abort/v1")
class RoundAbort(Contract):
    """A round ended without a total; `proof` (if any) lets a node claim its charge back."""

    plan: Digest
    round: Count
    present: tuple[Did, ...]
    proof: Base64 | None
    reason: Text


@contract("override/v1")
class Override(Contract):
    """A guard was overridden by policy, and says so."""

    plan: Digest
    guard: Name
    reason: Text
    detail: Text
