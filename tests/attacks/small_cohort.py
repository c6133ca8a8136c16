"""A small arbitrage run of real plugins: three parties, one standing and one executed order."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from covenue.hooks.domains import EMPTY
from covenue.identity.dsse import decode_base64
from covenue.ledger.audit_log import AuditLog
from covenue.numerics.words import Words
from covenue.registry.load import Registry
from covenue.replay.verify import open_ledger
from covenue.rounds import preflight, session
from covenue.rounds.messages import open_message
from covenue.rounds.output import LEDGER
from covenue.rounds.preflight import Prepared
from covenue.rounds.scenario import read_scenario
from covenue.rounds.session import RunResult
from covenue_contracts.ledger import Submit
from covenue_contracts.plan import Order, PlanDelta, PlanOpen, QueryAsked
from covenue_venue_amm.generate import generate

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
NAMES = ("east", "north", "west")
ASSETS = ("a", "b", "c", "d")

HEAD = f"""
[scenario]
name = "small"
demo = true
seed = "small"

[domain]
name = "arbitrage"

[domain.goal]
assets = ["a", "b", "c", "d"]
references = [REFERENCES]
band = 4
value_bits = 32

[solver]
name = "dual"

[privacy]
mechanism = ["secagg"]

[ledger]
backend = "sqlite"

[engine]
name = "inprocess"

[cohort]
least = LEAST
min_changed = 3
differencing = "override"
reason = "synthetic pools in a test"

[[order]]
mode = "standing"
start = {START + SECOND}
every_ms = 1000
plans = 4

[[order]]
mode = "executed"
start = {START + SECOND}
every_ms = 1000
plans = 3
"""
PARTY = """
[[party]]
name = "{name}"
slot = {slot}
venue = "amm"
folder = "{name}"

[party.budget]
exact_max = 1000
"""


def write_scenario(folder: Path, parties: int = 3, least: int = 3) -> Path:
    """Party folders and the scenario beside them."""
    for slot, name in enumerate(NAMES[:parties]):
        generate(
            folder / name,
            pools=40,
            assets=ASSETS,
            seed=slot + 1,
            start=START,
            seconds=8,
            trades_per_second=2,
        )
    rows = (folder / NAMES[0] / "references.csv").read_text().splitlines()[1:]
    references = ", ".join(f'"{row.split(",")[1]}"' for row in rows)
    text = HEAD.replace("REFERENCES", references).replace("LEAST", str(least))
    text += "".join(PARTY.format(name=name, slot=slot) for slot, name in enumerate(NAMES[:parties]))
    path = folder / "scenario.toml"
    path.write_text(text)
    return path


def prepared(path: Path, **options: str) -> Prepared:
    return preflight.prepare(read_scenario(path, options), Registry())


def run(path: Path, out: Path, **options: str) -> RunResult:
    return session.run(prepared(path, **options), out)


def bodies(ledger: Path) -> list[Any]:
    with open_ledger(ledger, Registry()) as backend:
        return [entry.body for entry in AuditLog.open(backend).entries()]


def transcripts(ledger: Path) -> list[str]:
    return [body.transcript for body in bodies(ledger) if isinstance(body, PlanDelta)]


def received(ledger: Path) -> Iterator[tuple[str, bytes]]:
    """(what, bytes) of all that the coordinator holds: entries, blobs, and payloads as decoded."""
    with open_ledger(ledger, Registry()) as backend:
        log = AuditLog.open(backend)
        for index, raw in enumerate(log.raw(0)):
            yield f"entry {index}", raw
        for digest, body in backend.blobs():
            yield f"blob {digest}", body
        for entry in log.entries():
            if isinstance(entry.body, Submit):
                payload = open_message(log.get_blob(entry.body.blob)).payload
                text = str(getattr(payload, "body", "") or getattr(payload, "setup", ""))
                yield f"{entry.body.phase} of round {entry.body.round}", _decoded(text)


def _decoded(text: str) -> bytes:
    return decode_base64(text)


def own_answers(ready: Prepared, ledger: Path) -> Mapping[tuple[str, int, int], Words]:
    """Every party's words of every standing answer, from its own data: what must not leave."""
    members = {m.name: m for m in _members(ledger)}
    found: dict[tuple[str, int, int], Words] = {}
    opened: PlanOpen | None = None
    for body in bodies(ledger):
        if isinstance(body, PlanOpen):
            opened = body
        if not isinstance(body, QueryAsked) or opened is None or opened.mode != "standing":
            continue
        for party in ready.parties:
            state = party.venue.pin(int(opened.as_of))
            problem = ready.domain.problem(
                opened.goal,
                tuple(members.values()),
                members[party.entry.name],
                state,
                party.entry.config,
            )
            words, _ = problem.answer(body.query, EMPTY)
            found[party.entry.name, opened.number, body.round] = words
    return found


def _members(ledger: Path) -> tuple[Any, ...]:
    return next(body for body in bodies(ledger) if isinstance(body, Order)).roster.members


__all__ = ["LEDGER", "own_answers", "prepared", "received", "run", "transcripts", "write_scenario"]
