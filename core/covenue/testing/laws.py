"""What must hold after any schedule of faults; each law recomputes from the logs what was said.

`broken_laws` returns sentences, one for every law that a cohort has broken; none when all hold.
"""

import base64
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from covenue.errors import CovenueError
from covenue.hooks.domains import Memory
from covenue.hooks.privacy import PlanContext
from covenue.ledger.entries import Entry
from covenue.numerics.words import from_text, integers
from covenue.rounds.messages import opened_digest, query_digest, round_context
from covenue.rounds.votes import votes_of
from covenue.testing.cohorts import Cohort
from covenue.testing.trials import TrialProblem
from covenue_contracts.canonical import parse_as
from covenue_contracts.ledger import MemoryKept, OutcomeSeen, Reply, Submit
from covenue_contracts.local import Outcomes
from covenue_contracts.plan import (
    PlanClose,
    PlanOpen,
    PlanSettled,
    QueryAsked,
    RoundAbort,
)
from covenue_contracts.privacy import BudgetCharged, BudgetRefunded, BudgetRefused
from covenue_contracts.shared import Query, SharedSignals

Sentences = Iterator[str]


def broken_laws(cohort: Cohort) -> list[str]:
    """Every law that the cohort has broken, checked at once or now; call it after `calm`."""
    record = Record.of(cohort)
    found = list(dict.fromkeys(cohort.broken))
    for law in LAWS:
        found.extend(law(cohort, record))
    return found


@dataclass(frozen=True)
class Record:
    """What the logs say, sorted for the laws; indices of nodes as in the cohort."""

    plans: Mapping[str, PlanOpen]
    rounds: Mapping[tuple[str, int], QueryAsked]
    totals: tuple[SharedSignals, ...]
    nodes: tuple[tuple[Entry, ...], ...]

    @classmethod
    def of(cls, cohort: Cohort) -> "Record":
        """Read every log once."""
        count = cohort.setting.parties
        bodies = cohort.public
        return cls(
            {b.plan: b for b in bodies if isinstance(b, PlanOpen)},
            {(b.plan, b.round): b for b in bodies if isinstance(b, QueryAsked)},
            tuple(b for b in bodies if isinstance(b, SharedSignals)),
            tuple(tuple(cohort.log(index).entries()) for index in range(count)),
        )


def totals_are_plain_sums(cohort: Cohort, record: Record) -> Sentences:
    """Every released total is the sum of what its cohort answers to that question."""
    oracle = Oracle(cohort, record)
    for signals in record.totals:
        asked = record.rounds[signals.plan, signals.round]
        if asked.query.kind == "settle":
            continue
        answers = [oracle.words(did, asked) for did in signals.cohort]
        plain = tuple(sum(column) for column in zip(*answers, strict=True))
        assert signals.words is not None
        said = integers(from_text(signals.words))
        if said != plain:
            yield f"round {signals.round} released {said}, the plain sum is {plain}"


def totals_of_a_plan_have_one_cohort(cohort: Cohort, record: Record) -> Sentences:
    """The difference of totals over two cohorts would be somebody's answer."""
    seen: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for signals in record.totals:
        seen[signals.plan].add(signals.cohort)
    for plan, cohorts in seen.items():
        if len(cohorts) > 1:
            yield f"plan {record.plans[plan].number} has totals over {len(cohorts)} cohorts"


def nobody_acts_twice_or_late(cohort: Cohort, record: Record) -> Sentences:
    """Each order id is executed once, and not after its time on its own node's clock."""
    for venue in cohort.venues:
        orders = [execution.order for execution in venue.executions]
        if len(orders) != len(set(orders)):
            yield "an order was executed twice"
        plans = [execution.plan for execution in venue.executions]
        if len(plans) != len(set(plans)):
            yield "a plan was acted on twice"
        if any(execution.now > execution.valid_until for execution in venue.executions):
            yield "somebody acted late"


def settled_is_what_was_counted(cohort: Cohort, record: Record) -> Sentences:
    """Each settlement is the fold over its members' logs, minus what was counted before."""
    reported = [_reported(cohort, index, record) for index in range(cohort.setting.parties)]
    index_of = {cohort.did(index): index for index in range(cohort.setting.parties)}
    counted: dict[str, int] = defaultdict(int)
    settled = {b.plan: b for b in cohort.public if isinstance(b, PlanSettled)}
    for signals in record.totals:
        if record.rounds[signals.plan, signals.round].query.kind != "settle":
            continue
        expected = 0
        for did in signals.cohort:
            now = reported[index_of[did]].get((signals.plan, signals.round), 0)
            expected += now - counted[did]
            counted[did] = now
        said = int(settled[signals.plan].executed[0])
        if said != expected:
            yield f"plan {record.plans[signals.plan].number} settled {said}, logs say {expected}"


def _reported(cohort: Cohort, index: int, record: Record) -> dict[tuple[str, int], int]:
    """What a node's log had seen executed when it answered each settle query."""
    log, units, reported = cohort.log(index), dict[str, int](), dict[tuple[str, int], int]()
    for entry in record.nodes[index]:
        body = entry.body
        if isinstance(body, OutcomeSeen):
            seen = parse_as(Outcomes, log.get_blob(body.outcomes)).outcomes
            units[body.order] = sum(int(f.units) for outcome in seen for f in outcome.fills)
        elif isinstance(body, Reply) and body.phase == "upload":
            reported[body.plan, body.round] = sum(units.values())
    return reported


def budgets_hold(cohort: Cohort, record: Record) -> Sentences:
    """Spends minus refunds stay within the budget, at every entry of every node's log."""
    for index, entries in enumerate(record.nodes):
        spent = 0
        for entry in entries:
            if isinstance(entry.body, BudgetCharged):
                spent += int(entry.body.charge.amount)
            elif isinstance(entry.body, BudgetRefunded):
                spent -= int(entry.body.charge.amount)
            if not 0 <= spent <= cohort.allowance(index):
                yield f"node {index} has spent {spent} of {cohort.allowance(index)}"
                break


def no_budget_strands_a_plan(cohort: Cohort, record: Record) -> Sentences:
    """Who answers keeps enough to commit and to settle, retries included."""
    for index, entries in enumerate(record.nodes):
        for entry in entries:
            body = entry.body
            if isinstance(body, BudgetRefused) and body.reason == "budget-exhausted":
                kind = record.rounds[body.plan, body.round].query.kind
                if kind in {"commit", "settle"}:
                    yield f"node {index} cannot afford to {kind}"


def what_was_released_stays_charged(cohort: Cohort, record: Record) -> Sentences:
    """A charge comes back only for a round whose abort is proven; a total is never free."""
    for index, entries in enumerate(record.nodes):
        did = cohort.did(index)
        charged = _net_charges(entries)
        for signals in record.totals:
            if did in signals.cohort and charged.get((signals.plan, signals.round), 0) < 1:
                yield f"node {index} is in the total of round {signals.round} free of charge"
        for body in cohort.public:
            if _is_upload(body, did) and not _may_be_free(cohort, record, body):
                assert isinstance(body, Submit)
                if charged.get((body.plan, body.round), 0) < 1:
                    yield f"node {index} uploaded in round {body.round} free of charge"


def _net_charges(entries: tuple[Entry, ...]) -> dict[tuple[str, int], int]:
    charged: dict[tuple[str, int], int] = defaultdict(int)
    for entry in entries:
        body = entry.body
        if isinstance(body, BudgetCharged):
            charged[body.plan, body.round] += int(body.charge.amount)
        elif isinstance(body, BudgetRefunded):
            charged[body.plan, body.round] -= int(body.charge.amount)
    return charged


def _is_upload(body: object, did: str) -> bool:
    return isinstance(body, Submit) and body.sender == did and body.phase == "upload"


def _may_be_free(cohort: Cohort, record: Record, sent: object) -> bool:
    """Whether the round of an upload ended in an abort that its stage accepts as proven."""
    assert isinstance(sent, Submit)
    for body in cohort.public:
        if isinstance(body, RoundAbort) and (body.plan, body.round) == (sent.plan, sent.round):
            return body.proof is not None and _proves(cohort, record, body)
    return False


def _proves(cohort: Cohort, record: Record, abort: RoundAbort) -> bool:
    asked = record.rounds[abort.plan, abort.round]
    plan = PlanContext(abort.plan, "", (), cohort.order.policy, b"", {}, votes_of(abort.plan))
    opened = record.plans[abort.plan]
    ctx = round_context(
        opened_digest(opened),
        abort.plan,
        abort.round,
        opened.roster,
        asked.digest,
        asked.width,
        cohort.mechanism.name,
        asked.expected,
        asked.expected if asked.cohort_fixed else None,
    )
    assert abort.proof is not None
    return cohort.mechanism.stage.proves_abort(plan, ctx, base64.b64decode(abort.proof))


def every_plan_closes(cohort: Cohort, record: Record) -> Sentences:
    """After the faults, time alone ends every plan and the order."""
    closed = {body.plan for body in cohort.public if isinstance(body, PlanClose)}
    for plan, opened in record.plans.items():
        if plan not in closed:
            yield f"plan {opened.number} never closes"
    if not cohort.coordinator.done():
        yield "the order never ends"


def replay_is_identical(cohort: Cohort, record: Record) -> Sentences:
    """Every log, folded into a fresh process, derives its own entries and the very same state."""
    try:
        same = repr(cohort.fresh_coordinator().state) == repr(cohort.coordinator.state)
    except CovenueError as error:
        yield f"the coordinator's log does not fold: {error.what}"
    else:
        if not same:
            yield "the coordinator's log folds into another state"
    for index in range(cohort.setting.parties):
        try:
            same = repr(cohort.fresh_node(index).state) == repr(cohort.node(index).state)
        except CovenueError as error:
            yield f"the log of node {index} does not fold: {error.what}"
        else:
            if not same:
                yield f"the log of node {index} folds into another state"


LAWS: tuple[Callable[[Cohort, Record], Sentences], ...] = (
    totals_are_plain_sums,
    totals_of_a_plan_have_one_cohort,
    nobody_acts_twice_or_late,
    settled_is_what_was_counted,
    budgets_hold,
    no_budget_strands_a_plan,
    what_was_released_stays_charged,
    every_plan_closes,
    replay_is_identical,
)


class Oracle:
    """What each party answers, recomputed from opened data and the rule of `query.after` alone."""

    def __init__(self, cohort: Cohort, record: Record) -> None:
        self._cohort = cohort
        self._record = record
        self._index = {cohort.did(i): i for i in range(cohort.setting.parties)}
        self._asked = {b.digest: b for b in record.rounds.values()}
        order = list(record.plans)
        self._before = dict(zip(order[1:], order, strict=False))
        self._answered = [
            {e.body.query for e in entries if isinstance(e.body, MemoryKept)}
            for entries in record.nodes
        ]
        self._problems: dict[tuple[int, str], TrialProblem | None] = {}
        self._known: dict[tuple[str, str], Memory] = {}

    def words(self, did: str, asked: QueryAsked) -> tuple[int, ...]:
        """The clipped words of one party's answer or commitment."""
        problem = self._problem(did, asked.plan)
        if problem is None or asked.digest != query_digest(asked.plan, asked.query):
            return ()
        memory = self._memory(did, asked.query.after, asked.plan)
        if asked.query.kind == "commit":
            return integers(problem.commit(asked.query, memory, asked.plan)[1])
        return integers(problem.answer(asked.query, memory)[0])

    def _memory(self, did: str, after: str | None, plan: str) -> Memory:
        """The memory of `after`, if this party answered it in this plan or the one before."""
        if after is None or after not in self._answered[self._index[did]]:
            return Memory(b"")
        earlier = self._asked[after]
        if earlier.plan not in {plan, self._before.get(plan)}:
            return Memory(b"")
        if (did, after) not in self._known:
            self._known[did, after] = self._answer(did, earlier.plan, earlier.query)
        return self._known[did, after]

    def _answer(self, did: str, plan: str, query: Query) -> Memory:
        problem = self._problem(did, plan)
        assert problem is not None
        return problem.answer(query, self._memory(did, query.after, plan))[1]

    def _problem(self, did: str, plan: str) -> TrialProblem | None:
        key = (self._index[did], plan)
        if key not in self._problems:
            self._problems[key] = self._cohort.problem(key[0], self._record.plans[plan])
        return self._problems[key]
