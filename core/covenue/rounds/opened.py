"""Reads finished logs for reports: what was planned, what left each party, what was executed.

Everything here is opened outside the cohort; nothing of it ran during the plan.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from covenue.hooks.domains import OpenedPlan
from covenue.ledger.audit_log import AuditLog
from covenue.ledger.entries import Entry
from covenue_contracts.canonical import parse_as
from covenue_contracts.ledger import ActionPlanned, KillSwitch, OutcomeSeen, Submit
from covenue_contracts.local import Actions, Outcome, Outcomes
from covenue_contracts.plan import (
    PlanClose,
    PlanDelta,
    PlanGo,
    PlanOpen,
    PlanStands,
    PlanVoid,
    QueryAsked,
)


@dataclass(frozen=True)
class Traffic:
    """Bytes of envelopes that left the parties, and in how many rounds of one party."""

    bytes: Mapping[str, int] = field(default_factory=dict)
    round_bytes: int = 0
    party_rounds: int = 0

    def per_party_per_round(self) -> int:
        """Mean bytes of all that one party sent in one round, rounded up."""
        return -(-self.round_bytes // self.party_rounds) if self.party_rounds else 0


def opened_plans(log: AuditLog, nodes: Mapping[str, AuditLog]) -> tuple[OpenedPlan, ...]:
    """Every plan of a coordinator's log, with the outcomes of the nodes' logs (by party name)."""
    outcomes, actions = _outcomes(nodes), _actions(nodes)
    names = {node.did: name for name, node in nodes.items()}
    plans: dict[str, OpenedPlan] = {}
    before: PlanDelta | None = None
    for entry in log.entries():
        body = entry.body
        if isinstance(body, PlanOpen):
            plans[body.plan] = OpenedPlan(
                number=body.number,
                mode=body.mode,
                as_of=int(body.as_of),
                goal=body.goal,
                delta=None,
                rounds=0,
                closed="",
                executed=outcomes.get(body.plan, {}),
                actions=actions.get(body.plan, {}),
            )
        elif isinstance(body, Submit):
            size = len(log.get_blob(body.blob))
            plans[body.plan] = _sent(plans[body.plan], names[body.sender], size)
        elif isinstance(body, PlanStands) and before is not None:
            held = replace(plans[body.plan], delta=in_force(before, body), stands=True)
            plans[body.plan] = held
        elif isinstance(body, QueryAsked | PlanDelta | PlanGo | PlanClose):
            plans[body.plan] = _told(plans[body.plan], body)
            before = body if isinstance(body, PlanDelta) else before
    return tuple(plans.values())


def in_force(delta: PlanDelta, stands: PlanStands) -> PlanDelta:
    """An earlier proposal as it stands today: the same plan, with today's certificate."""
    return delta.model_copy(
        update={
            "plan": stands.plan,
            "value": stands.value,
            "bound": stands.bound,
            "gap": stands.gap,
            "rounds": stands.rounds,
            "transcript": stands.transcript,
            "cohort": stands.cohort,
        }
    )


def _sent(plan: OpenedPlan, name: str, size: int) -> OpenedPlan:
    left = {**plan.bytes_left, name: plan.bytes_left.get(name, 0) + size}
    return replace(plan, bytes_left=left)


def _told(plan: OpenedPlan, body: QueryAsked | PlanDelta | PlanGo | PlanClose) -> OpenedPlan:
    if isinstance(body, QueryAsked):
        return replace(plan, rounds=plan.rounds + 1)
    if isinstance(body, PlanDelta):
        return replace(plan, delta=body)
    if isinstance(body, PlanGo):
        return replace(plan, went=True)
    return replace(plan, closed=body.reason)


def _outcomes(nodes: Mapping[str, AuditLog]) -> dict[str, dict[str, Sequence[Outcome]]]:
    found: dict[str, dict[str, Sequence[Outcome]]] = {}
    for name in sorted(nodes):
        for entry in nodes[name].entries():
            if isinstance(entry.body, OutcomeSeen):
                body = nodes[name].get_blob(entry.body.outcomes)
                found.setdefault(entry.body.plan, {})[name] = parse_as(Outcomes, body).outcomes
    return found


def _actions(nodes: Mapping[str, AuditLog]) -> dict[str, dict[str, Actions]]:
    found: dict[str, dict[str, Actions]] = {}
    for name in sorted(nodes):
        for entry in nodes[name].entries():
            if isinstance(entry.body, ActionPlanned):
                body = nodes[name].get_blob(entry.body.actions)
                found.setdefault(entry.body.plan, {})[name] = parse_as(Actions, body)
    return found


def traffic(log: AuditLog, entries: Iterable[Entry] | None = None) -> Traffic:
    """What left each party (by did), from the envelopes that were kept.

    entries: those of the log that are meant, by default all.
    """
    sizes: dict[str, int] = {}
    round_bytes = 0
    rounds: set[tuple[str, str, int]] = set()
    for entry in log.entries() if entries is None else entries:
        if isinstance(entry.body, Submit):
            size = len(log.get_blob(entry.body.blob))
            sizes[entry.body.sender] = sizes.get(entry.body.sender, 0) + size
            if entry.body.round > 0:
                round_bytes += size
                rounds.add((entry.body.sender, entry.body.plan, entry.body.round))
    return Traffic(sizes, round_bytes, len(rounds))


def rounds_median(plans: Iterable[OpenedPlan]) -> float:
    """The median number of rounds of the plans that reached a proposal."""
    counts = [plan.delta.rounds for plan in plans if plan.delta is not None]
    return float(median(counts)) if counts else 0.0


def void_reasons(log: AuditLog) -> dict[str, int]:
    """Why plans were void, and how many each: in order of the log."""
    return dict(Counter(e.body.reason for e in log.entries() if isinstance(e.body, PlanVoid)))


def ending(log: AuditLog) -> str:
    """How a run ended: `ok`, `killed`, `unfilled`, or why a standing plan was void.

    Unfilled: an order met its deadline, or nothing on offer fitted it.
    """
    modes: dict[str, str] = {}
    aims: dict[str, str] = {}
    status = "ok"
    for entry in log.entries():
        body = entry.body
        if isinstance(body, KillSwitch):
            return "killed"
        if isinstance(body, PlanOpen):
            modes[body.plan] = body.mode
            aims[body.plan] = body.goal.aim
        elif isinstance(body, PlanClose) and status == "ok":
            status = _status(modes[body.plan], aims[body.plan], body)
    return status


def _status(mode: str, aim: str, close: PlanClose) -> str:
    if mode == "standing":
        if "infeasible" in close.reason:
            return "unfilled"
        return close.reason if close.reason.startswith("void") else "ok"
    wanted = close.left if aim == "fill" else ()
    whole = all(int(amount) == 0 for amount in (*wanted, *close.reserved, *close.committed))
    return "unfilled" if close.order_done and not whole else "ok"
