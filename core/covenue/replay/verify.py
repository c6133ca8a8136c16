"""Depth one: everything that needs no private data.

Every stored byte is recomputed (entries, leaves, tree, checkpoints, blobs); then the coordinator's
machine runs again from its inputs: signatures, totals, the solver's transcript, every decision.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from covenue.errors import BadInput, CovenueError, LedgerDamaged, LedgerUnavailable, ReplayDiffers
from covenue.hooks.ledgers import LedgerBackend
from covenue.ledger.audit_log import AuditLog
from covenue.ledger.checkpoint import open_checkpoint
from covenue.ledger.integrity import IntegrityReport, check_integrity
from covenue.privacy.accountant import Account
from covenue.registry.load import Registry
from covenue.replay.verdict import NOT_HERE, Check, Verdict, failed
from covenue.rounds.fold import (
    ADVICE,
    COORDINATOR_INPUTS,
    CoordinatorFold,
    Group,
    check,
    first_difference,
    groups,
)
from covenue.rounds.messages import open_message
from covenue.rounds.output import PARTIES
from covenue.rounds.parts import parts_of
from covenue.rounds.run import refold_coordinator
from covenue_contracts.contract import Contract
from covenue_contracts.ledger import Submit, Tail
from covenue_contracts.plan import Order
from covenue_contracts.privacy import BudgetCharged, BudgetOpened, BudgetRefunded, Charge

TRANSCRIPT = "transcript"
NOT_BY_THESE_ROUNDS = (
    "the plugins are those that the order names: this ledger was not written by their rounds; "
    "keep it, its signatures prove who wrote it"
)
MAGIC = b"SQLite format 3\0"
"""How a SQLite file begins; a file that does not even resemble it never was a ledger."""


@dataclass(frozen=True)
class Beside:
    """A party's log beside a ledger: the newest head of that ledger that the party holds.

    fault: why the party's log cannot be read.
    """

    name: str
    path: Path
    head: bytes | None = None
    fault: CovenueError | None = None


@contextmanager
def open_ledger(path: Path, registry: Registry) -> Iterator[LedgerBackend]:
    """A ledger file, opened for reading by whichever installed backend knows it.

    Raises BadInput when there is no such file, it never was a ledger, or no backend knows it;
    LedgerDamaged when it is no ledger any more, LedgerUnavailable when it cannot be read now.
    """
    if not path.is_file():
        raise BadInput("there is no ledger", "give the path of a ledger file", file=str(path))
    reasons: list[CovenueError] = []
    for name in registry.names("ledgers"):
        try:
            factory = registry.load("ledgers", name)
            backend = cast("LedgerBackend", factory(path, create=False, writable=False))
        except CovenueError as error:
            reasons.append(error)
            continue
        try:
            yield backend
        finally:
            backend.close()
        return
    raise _unreadable(path, reasons)


def _unreadable(path: Path, reasons: list[CovenueError]) -> CovenueError:
    said = next((e for e in reasons if isinstance(e, LedgerDamaged | LedgerUnavailable)), None)
    if isinstance(said, LedgerDamaged) and not _resembles_a_ledger(path):
        return BadInput("the file is no ledger", "give the path of a ledger file", file=str(path))
    if said is not None:
        return said
    return BadInput(
        "no installed ledger backend can read this file",
        "see `covenue plugins list`; a SQLite ledger needs covenue-ledger-sqlite",
        file=str(path),
    )


def _resembles_a_ledger(path: Path) -> bool:
    """Whether a file begins nearly as SQLite's do; damage to a few bytes does not hide one."""
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    same = sum(here == there for here, there in zip(start, MAGIC, strict=False))
    return 2 * same >= len(MAGIC)


def verify(ledger: Path, registry: Registry) -> Verdict:
    """Verify one ledger without private data. Raises BadInput when there is none."""
    beside = logs_beside(ledger, registry)  # first: a run under way only grows the log
    try:
        with open_ledger(ledger, registry) as backend:
            verdict = verify_backend(backend, registry)
            if not verdict.ok or verdict.depth != TRANSCRIPT:
                return verdict
            log = AuditLog.open(backend)
            try:
                seen = followers(log, beside, registry)
            except LedgerDamaged as error:
                checks = (*verdict.checks, ("followers", "fail", error.what))
                return failed("damaged", TRANSCRIPT, checks, error)
            return replace(verdict, checks=(*verdict.checks, seen))
    except LedgerDamaged as error:
        return failed("damaged", "integrity", (("integrity", "fail", error.what),), error)


def verify_backend(backend: LedgerBackend, registry: Registry) -> Verdict:
    """Verify an open ledger."""
    checks: list[Check] = []
    try:
        report = check_integrity(backend)
        checks.append(("integrity", "pass", _counted(report)))
        log = AuditLog.open(backend)
        if log.genesis.config.get("role") != "coordinator":
            checks.append(budgets(log))
            checks.append((TRANSCRIPT, NOT_HERE, "a node's log: replay its plan's ledger"))
            return Verdict(True, "ok", "budgets", tuple(checks))
        checks.extend(transcript(log, registry))
    except ReplayDiffers as error:
        checks.append((TRANSCRIPT, "fail", error.what))
        return failed("differs", TRANSCRIPT, tuple(checks), error)
    except LedgerDamaged as error:
        checks.append(("integrity", "fail", error.what))
        return failed("damaged", "integrity", tuple(checks), error)
    return Verdict(True, "ok", TRANSCRIPT, tuple(checks))


def _counted(report: IntegrityReport) -> str:
    """What was recomputed. Blobs that no entry names are stated; they are no damage.

    A party keeps the actions of a commitment before it knows whether the plan goes, and an
    interrupted append leaves the blob that it was about to name. Nothing is derived from either.
    """
    unnamed = report.blobs - report.blobs_named
    extra = f"; {unnamed} blobs that no entry names" if unnamed else ""
    return f"{report.size} entries, {report.blobs_named} blobs, root {report.root}{extra}"


def logs_beside(ledger: Path, registry: Registry) -> tuple[Beside, ...]:
    """Every party's log that lies beside a ledger, with the head that it followed last."""
    folder = ledger.resolve().parent / PARTIES
    return tuple(_beside(path, registry) for path in sorted(folder.glob("*.ledger")))


def _beside(path: Path, registry: Registry) -> Beside:
    try:
        with open_ledger(path, registry) as backend:
            party = AuditLog.open(backend)
            entries = (party.entry(index).body for index in range(party.size - 1, 0, -1))
            tail = next((body for body in entries if isinstance(body, Tail)), None)
    except CovenueError as error:
        return Beside(path.stem, path, fault=error)
    return Beside(path.stem, path, None if tail is None else base64.b64decode(tail.checkpoint))


def followers(log: AuditLog, beside: Sequence[Beside], registry: Registry) -> Check:
    """Compare the log with heads of it that the parties beside it hold.

    A log that was cut at its end still verifies by itself; a head that it signed for more
    entries, or for others, proves the cut. A party's log that does not verify could hide one.
    Raises LedgerDamaged.
    """
    faults = {party.name: _fault(party, log, registry) for party in beside}
    away = {name: why.what for name, why in faults.items() if isinstance(why, LedgerUnavailable)}
    broken = {name: why.what for name, why in faults.items() if why and name not in away}
    if broken:
        raise LedgerDamaged(
            f"party logs beside the ledger do not verify: {_listed(broken)}",
            "restore them from copies that verify",
            ", ".join(f"{PARTIES}/{name}.ledger" for name in broken),
        )
    held = len(beside) - len(away)
    if away:
        return ("followers", NOT_HERE, f"{_listed(away)}; {held} others hold heads that it extends")
    if not beside:
        return ("followers", NOT_HERE, "no party's log lies beside it")
    return ("followers", "pass", f"{held} party logs verify and hold heads that this log extends")


def _listed(reasons: dict[str, str]) -> str:
    return "; ".join(f"{name} ({why})" for name, why in reasons.items())


def _fault(party: Beside, log: AuditLog, registry: Registry) -> CovenueError | None:
    """Why a party's log is no witness. Raises LedgerDamaged where it proves a cut or a fork."""
    if party.fault is not None:
        return party.fault
    if party.head is not None:
        try:
            head = open_checkpoint(party.head, log.origin, log.did)
        except LedgerDamaged as error:
            return replace(error, what="it follows another log")
        is_cut = head.size > log.size
        if is_cut or log.root(head.size) != head.root:
            raise LedgerDamaged(
                f"{'ROLLBACK' if is_cut else 'FORK'}: party {party.name} holds a head that this "
                f"log signed for {head.size} entries; there are {log.size}",
                "keep both logs: the signed checkpoint proves it",
                f"checkpoint of size {head.size}",
            )
    try:
        with open_ledger(party.path, registry) as backend:
            check_integrity(backend)
    except CovenueError as error:
        return error
    return None


def advised(error: ReplayDiffers, advice: str) -> ReplayDiffers:
    """The same difference with advice that fits where it was found; the fold cannot know that."""
    return replace(error, advice=advice) if error.advice == ADVICE else error


def transcript(log: AuditLog, registry: Registry) -> tuple[Check, ...]:
    """Run the coordinator's machine again. Raises ReplayDiffers at the first difference."""
    check_plugins(log, registry)
    fold = CoordinatorFold(parts_of(registry))
    steps = 0
    try:
        for group in groups(log.entries(), COORDINATOR_INPUTS):
            check(group, _step(fold, group, log))
            steps += 1
    except ReplayDiffers as error:
        raise advised(error, NOT_BY_THESE_ROUNDS) from error
    return (
        ("plugins", "pass", "those that the orders name, by digest"),
        (TRANSCRIPT, "pass", f"{steps} steps recomputed: signatures, totals, solver, decisions"),
        *_recorded(log, registry),
    )


def _recorded(log: AuditLog, registry: Registry) -> tuple[Check, ...]:
    """Which solvers' questions were taken as they are on record."""
    orders = [entry.body for entry in log.entries() if isinstance(entry.body, Order)]
    names = sorted({order.solver for order in orders})
    rows = {name: registry.find("solvers", name).manifest for name in names}
    recorded = [name for name, row in rows.items() if row and row.determinism == "recorded"]
    detail = "questions as recorded; bounds, values and certificates recomputed from the sums"
    return tuple((f"solver {name}", "pass", detail) for name in recorded)


def _step(fold: CoordinatorFold, group: Group, log: AuditLog) -> tuple[Contract, ...] | None:
    """One step recomputed; a message must be what its entry says, and be signed by its sender."""
    body = group.input.body
    try:
        if isinstance(body, Submit):
            sent = open_message(log.get_blob(body.blob)).entry()
            check(replace(group, index=group.index - 1, derived=(group.input,)), (sent,))
        return refold_coordinator(fold, group, log)
    except (LedgerDamaged, ReplayDiffers):
        raise
    except CovenueError as error:
        raise ReplayDiffers(
            f"a recorded step is refused: {error.what}",
            "this log was not written by a coordinator that checks its input",
            group.index,
            "/body",
            group.input.header.kind,
            type(error).__name__,
        ) from error


def budgets(log: AuditLog) -> Check:
    """Count every charge and refund of a node's log again; none may pass its allowance.

    Raises ReplayDiffers, naming the entry that overspends or gives back what was never charged.
    """
    accounts: dict[str, Account] = {}
    charged: dict[tuple[str, int, str], Charge] = {}
    for index, entry in enumerate(log.entries()):
        body = entry.body
        if isinstance(body, BudgetOpened):
            accounts[body.budget.signal] = Account(body.budget)
        elif isinstance(body, BudgetCharged):
            account = accounts.get(body.signal)
            if account is None or not account.allows(body.charge):
                raise _overspent(index, "a charge within its allowance", body.charge.amount)
            accounts[body.signal] = account.spend(body.charge)
            charged[body.plan, body.round, body.signal] = body.charge
        elif isinstance(body, BudgetRefunded):
            if charged.pop((body.plan, body.round, body.signal), None) != body.charge:
                raise _overspent(index, "a refund of what was charged", body.charge.amount)
            accounts[body.signal] = accounts[body.signal].refund(body.charge)
    spent = ", ".join(
        f"{signal}: {a.sums} of {a.budget.exact_max} sums, {a.rho} of {a.budget.rho_max} units"
        for signal, a in sorted(accounts.items())
    )
    return ("budgets", "pass", spent or "none opened")


def _overspent(index: int, expected: str, amount: str) -> ReplayDiffers:
    return ReplayDiffers(
        "a budget is overspent",
        "this log was not written by a node that keeps its budget",
        index,
        "/body/charge",
        amount,
        expected,
    )


def check_plugins(log: AuditLog, registry: Registry) -> None:
    """Compare the plugins of every order, by content, with those installed here."""
    for index, entry in enumerate(log.entries()):
        if not isinstance(entry.body, Order):
            continue
        for position, pinned in enumerate(entry.body.plugins):
            here = registry.ref(pinned.family, pinned.name)
            found = first_difference(pinned.model_dump(), here.model_dump())
            if found is not None:
                raise ReplayDiffers(
                    f"plugin {pinned.plugin} is not the one that this plan was made with",
                    f"install {pinned.plugin} {pinned.version} with the recorded content",
                    index,
                    f"/body/plugins/{position}{found[0]}",
                    str(found[1]),
                    str(found[2]),
                )
