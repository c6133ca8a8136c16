"""Depth one: everything that needs no private data.

Every stored byte is recomputed (entries, leaves, tree, checkpoints, blobs); then the coordinator's
machine runs again from its inputs: signatures, totals, the solver's transcript, every decision.
"""

import base64
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from covenue.errors import BadInput, CovenueError, LedgerDamaged, LedgerUnavailable, ReplayDiffers
from covenue.hooks.ledgers import LedgerBackend
from covenue.ledger.audit_log import AuditLog
from covenue.ledger.checkpoint import Checkpoint, open_checkpoint
from covenue.ledger.integrity import check_integrity
from covenue.privacy.accountant import Account
from covenue.registry.load import Registry
from covenue.replay.verdict import Check, Verdict, failed
from covenue.rounds.fold import (
    COORDINATOR_INPUTS,
    CoordinatorFold,
    Group,
    check,
    first_difference,
    groups,
)
from covenue.rounds.messages import open_message
from covenue.rounds.parts import parts_of
from covenue.rounds.run import refold_coordinator
from covenue_contracts.contract import Contract
from covenue_contracts.ledger import Submit, Tail
from covenue_contracts.plan import Order
from covenue_contracts.privacy import BudgetCharged, BudgetOpened, BudgetRefunded, Charge

TRANSCRIPT = "transcript"


@contextmanager
def open_ledger(path: Path, registry: Registry) -> Iterator[LedgerBackend]:
    """A ledger file, opened for reading by whichever installed backend knows it.

    Raises BadInput when there is no such file or no backend for it, LedgerDamaged when it is no
    ledger any more, LedgerUnavailable when it cannot be read now.
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
    known = (LedgerDamaged, LedgerUnavailable)
    said = next((error for error in reasons if isinstance(error, known)), None)
    if said is not None:
        return said
    return BadInput(
        "no installed ledger backend can read this file",
        "see `covenue plugins list`; a SQLite ledger needs covenue-ledger-sqlite",
        file=str(path),
    )


def verify(ledger: Path, registry: Registry) -> Verdict:
    """Verify one ledger without private data. Raises BadInput when there is none."""
    try:
        heads = heads_beside(ledger, registry)  # first: a run under way only grows the log
        with open_ledger(ledger, registry) as backend:
            verdict = verify_backend(backend, registry)
            if not verdict.ok or verdict.depth != TRANSCRIPT:
                return verdict
            seen = followers(AuditLog.open(backend), heads)
            return replace(verdict, checks=(*verdict.checks, seen))
    except LedgerDamaged as error:
        return failed("damaged", "integrity", (("integrity", "fail", error.what),), error)


def verify_backend(backend: LedgerBackend, registry: Registry) -> Verdict:
    """Verify an open ledger."""
    checks: list[Check] = []
    try:
        report = check_integrity(backend)
        checks.append(("integrity", "pass", f"{report.size} entries, root {report.root}"))
        log = AuditLog.open(backend)
        if log.genesis.config.get("role") != "coordinator":
            checks.append(budgets(log))
            checks.append((TRANSCRIPT, "not available", "a node's log: replay it with its data"))
            return Verdict(True, "ok", "budgets", tuple(checks))
        checks.extend(transcript(log, registry))
    except ReplayDiffers as error:
        checks.append((TRANSCRIPT, "fail", error.what))
        return failed("differs", TRANSCRIPT, tuple(checks), error)
    except LedgerDamaged as error:
        checks.append(("integrity", "fail", error.what))
        return failed("damaged", "integrity", tuple(checks), error)
    return Verdict(True, "ok", TRANSCRIPT, tuple(checks))


def heads_beside(ledger: Path, registry: Registry) -> tuple[bytes, ...]:
    """The newest checkpoint of this log in each party's log beside it; none where it is damaged."""
    found = []
    for path in sorted((ledger.resolve().parent / "parties").glob("*.ledger")):
        with contextlib.suppress(CovenueError), open_ledger(path, registry) as backend:
            party = AuditLog.open(backend)
            entries = (party.entry(index).body for index in range(party.size - 1, 0, -1))
            tail = next((body for body in entries if isinstance(body, Tail)), None)
            found += [] if tail is None else [base64.b64decode(tail.checkpoint)]
    return tuple(found)


def followers(log: AuditLog, heads: tuple[bytes, ...]) -> Check:
    """Compare the log with heads of it that others hold.

    A log that was cut at its end still verifies by itself; a head that it signed for more
    entries, or for others, proves the cut. Raises LedgerDamaged.
    """
    known: list[Checkpoint] = []
    for data in heads:
        with contextlib.suppress(LedgerDamaged):  # of another log, or not signed: it proves nothing
            known.append(open_checkpoint(data, log.origin, log.did))
    for head in known:
        is_cut = head.size > log.size
        if is_cut or log.root(head.size) != head.root:
            raise LedgerDamaged(
                f"{'ROLLBACK' if is_cut else 'FORK'}: a party holds a head that this log signed "
                f"for {head.size} entries; there are {log.size}",
                "keep both logs: the signed checkpoint proves it",
                f"checkpoint of size {head.size}",
            )
    if not known:
        return ("followers", "not available", "no party's log lies beside it")
    return ("followers", "pass", f"{len(known)} parties hold heads that this log extends")


def transcript(log: AuditLog, registry: Registry) -> tuple[Check, ...]:
    """Run the coordinator's machine again. Raises ReplayDiffers at the first difference."""
    check_plugins(log, registry)
    fold = CoordinatorFold(parts_of(registry))
    steps = 0
    for group in groups(log.entries(), COORDINATOR_INPUTS):
        check(group, _step(fold, group, log))
        steps += 1
    return (
        ("plugins", "pass", "those that the orders name, by digest"),
        (TRANSCRIPT, "pass", f"{steps} steps recomputed: signatures, totals, solver, decisions"),
    )


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
