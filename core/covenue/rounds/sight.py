"""What the coordinator saw of a run's first round, and what it did not: for the report.

The words that it did not see are computed again from every party's data, outside the cohort.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from covenue.hooks.domains import EMPTY, LocalProblem, Section
from covenue.hooks.privacy import PrivacyStage
from covenue.identity.dsse import decode_base64
from covenue.ledger.audit_log import AuditLog
from covenue.numerics.words import Words, from_text, integers, total, words
from covenue.rounds.messages import open_message
from covenue_contracts.envelope import Upload
from covenue_contracts.ledger import Submit
from covenue_contracts.plan import Override, PlanOpen, QueryAsked
from covenue_contracts.shared import SharedSignals

SHOWN = 3
SEEN = (
    "The coordinator holds exactly what the second column shows, in each round, and the sum. "
    "Masked words look drawn at random: without the others' masks they say nothing, and only the "
    "sum over the whole cohort comes out."
)
OPEN = "The mechanism is open: the coordinator saw every answer as it is, and its sum."
NOT_SEEN = (
    "It did not see the third column: that is computed here from each party's own data, after the "
    "run and outside the cohort."
)


@dataclass(frozen=True)
class Sight:
    """One round: words by party's name, as the coordinator held them and as they were."""

    plan: PlanOpen
    asked: QueryAsked
    seen: Mapping[str, Words]
    total: Words

    def shown(self, own: Mapping[str, Words]) -> dict[str, Any]:
        """JSON types: the first words of each, as text, since they use all 64 bits."""
        return {
            "plan": self.plan.number,
            "round": self.asked.round,
            "words": self.asked.width,
            "parties": {
                name: {"seen": first(self.seen[name]), "own": first(own[name])}
                for name in sorted(self.seen)
                if name in own
            },
            "total": first(self.total),
        }


def first(words: Words) -> list[str]:
    """The first words, as text."""
    return [str(word) for word in integers(words[:SHOWN])]


def first_sight(log: AuditLog, stage: PrivacyStage, names: Mapping[str, str]) -> Sight | None:
    """The first answer round that released a sum; names: of parties by did. None without one."""
    opened: PlanOpen | None = None
    asked: QueryAsked | None = None
    seen: dict[str, Words] = {}
    for entry in log.entries():
        body = entry.body
        if isinstance(body, PlanOpen):
            opened = body
        elif isinstance(body, QueryAsked):
            asked, seen = body, {}
        elif isinstance(body, Submit) and asked is not None and body.round == asked.round:
            words = _seen(log, stage, body, asked.width)
            seen = seen if words is None else {**seen, names[body.sender]: words}
        elif isinstance(body, SharedSignals) and opened is not None and asked is not None:
            return Sight(opened, asked, seen, _summed(body, seen, stage))
    return None


def _summed(body: SharedSignals, seen: Mapping[str, Words], stage: PrivacyStage) -> Words:
    """The total; where its entry holds no words and nothing is masked, the sum of what was seen."""
    if body.words is not None:
        return from_text(body.words)
    return total(list(seen.values())) if stage.coordinator_sees_everything else words([])


def _seen(log: AuditLog, stage: PrivacyStage, sent: Submit, width: int) -> Words | None:
    payload = open_message(log.get_blob(sent.blob)).payload
    if not isinstance(payload, Upload):
        return None
    return stage.seen(sent.phase, decode_base64(payload.body), width)


def own_words(problem: LocalProblem, asked: QueryAsked) -> Words:
    """A party's answer as it was before anything protected it."""
    return problem.answer(asked.query, EMPTY)[0]


def sight_section(shown: Mapping[str, Any], *, is_open: bool) -> Section:
    """The section of a report."""
    return Section(
        title="What the coordinator saw, and what it did not",
        text=OPEN if is_open else f"{SEEN} {NOT_SEEN}",
        figures={
            "plan": str(shown["plan"]),
            "round": str(shown["round"]),
            "words a party": str(shown["words"]),
            "first words of the sum": ", ".join(shown["total"]),
        },
        columns=("party", "first words that the coordinator saw", "the party's own first words"),
        rows=tuple(
            (name, ", ".join(words["seen"]), ", ".join(words["own"]))
            for name, words in shown["parties"].items()
        ),
    )


def overrides(log: AuditLog) -> list[dict[str, Any]]:
    """Every guard that a policy overrode, by the number of its plan."""
    numbers: dict[str, int] = {}
    found = []
    for entry in log.entries():
        body = entry.body
        if isinstance(body, PlanOpen):
            numbers[body.plan] = body.number
        elif isinstance(body, Override):
            found.append({"k": numbers[body.plan], "guard": body.guard, "detail": body.detail,
                          "reason": body.reason})  # fmt: skip
    return found
