"""A1 with kill -9: a node dies while it uploads, and comes back with another input.

Run as `python test_secagg_killed.py FOLDER TRIALS order|late`, it is the child that this module
starts: each trial forks a first life of one node on a copy of its SQLite ledger, kills it with
SIGKILL at a time drawn from a seed or as soon as bytes have left, and lets a second life, whose
input differs, read the same question. A third, where the second was refused, has the first one's
input again. It prints, one JSON line a trial, the masked words that left in each life.

`order` is the machine as it is: what leaves is durable before. `late` stores after sending: the
mark is then only in memory, and the difference of two uploads is the change of the input.
"""

import base64
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from covenue.errors import CovenueError
from covenue.hooks.engines import TailReply
from covenue.hooks.ledgers import LedgerBackend
from covenue.hooks.privacy import PrivacyStage
from covenue.ledger.audit_log import AuditLog
from covenue.numerics.words import integers, words
from covenue.rounds.messages import open_message
from covenue.rounds.run import NodeProcess, follower
from covenue.testing.cohorts import Cohort, Setting, identity
from covenue_contracts.envelope import Upload
from covenue_contracts.plan import QueryAsked
from covenue_contracts.shared import Query, SharedSignals
from covenue_ledger_memory import MemoryLedger
from covenue_ledger_sqlite import open_sqlite
from covenue_privacy_secagg.stage import SecAgg

SHIFTS = (1_000, 77_000)


class Around:
    """The first party's ledger on disk, the others' in memory."""

    def __init__(self, path: Path) -> None:
        self._first = deque([path])

    def ledger(self) -> LedgerBackend:
        if self._first:
            return open_sqlite(self._first.popleft(), create=True, writable=True)
        return MemoryLedger()

    def stage(self) -> PrivacyStage:
        return SecAgg()


@dataclass(frozen=True)
class Shifted:
    """A problem whose answer to one question depends on the process that answers."""

    inner: Any
    query: Query
    shift: int

    def answer(self, query: Query, memory: Any) -> Any:
        answer, after = self.inner.answer(query, memory)
        if query == self.query:
            answer = words([value + self.shift for value in integers(answer)])
        return answer, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def until_the_second_question(path: Path) -> tuple[Cohort, TailReply, Query]:
    """A cohort whose first party has yet to read the question of the second round."""
    cohort = Cohort(Around(path), Setting(parties=4, least=3, plans=1))
    while not any(isinstance(body, SharedSignals) for body in cohort.public):
        cohort.beat()
    (asked,) = (b for b in cohort.public if isinstance(b, QueryAsked) and b.round == 2)
    return cohort, cohort.coordinator.tail(cohort.node(0).wants()), asked.query


def a_life(
    cohort: Cohort, path: Path, tail: TailReply, query: Query, shift: int
) -> tuple[NodeProcess, Callable[[], list[bytes]]]:
    """A node on a ledger that was left behind, and what reads the tail."""
    own, who = cohort._own(0), identity("party", "p0")
    build = own.build

    def shifted(*arguments: Any) -> Any:
        return Shifted(build(*arguments), query, shift)

    log = AuditLog.open(
        open_sqlite(path, create=False, writable=True), who.key, secret=who.log_secret
    )
    followed = follower("covenue/coordinator", cohort.did(4))
    node = NodeProcess(replace(own, build=shifted), log, cohort.venues[0], followed)
    fresh = tail if node.wants() == tail.start else replace(tail, start=node.wants(), entries=())
    return node, lambda: list(node.deliver(fresh, cohort.clock(0)))


def masked_words(envelopes: list[bytes]) -> list[list[int]]:
    """The masked words of the uploads among some messages."""
    found = []
    for body in envelopes:
        message = open_message(body)
        if message.envelope.phase == "upload" and isinstance(message.payload, Upload):
            seen = SecAgg().seen("upload", base64.b64decode(message.payload.body), 2)
            assert seen is not None
            found.append(list(integers(seen)))
    return found


def live(out: int, read: Callable[[], list[bytes]]) -> None:
    """Say what leaves, then wait to be killed."""
    os.write(out, json.dumps(masked_words(read())).encode() + b"\n")
    time.sleep(60)


def killed(start: Callable[[int], None], after_s: float | None) -> list[list[int]]:
    """Fork a life, kill it after some time, or as soon as it has spoken; what it had said."""
    read, out = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        start(out)
    os.close(out)
    if after_s is None:
        select.select([read], [], [])
    else:
        time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    said = b""
    while more := os.read(read, 65536):
        said += more
    os.close(read)
    whole = said.split(b"\n")[:-1]
    return json.loads(whole[0]) if whole else []


def trial(
    base: Path, at: Path, world: tuple[Cohort, TailReply, Query], after_s: float | None
) -> dict[str, Any]:
    """Two lives on one ledger: what left in each."""
    for kept in base.parent.glob(f"{base.name}*"):
        shutil.copy(kept, at.with_name(at.name + kept.name.removeprefix(base.name)))
    cohort, tail, query = world
    first = killed(lambda out: live(out, a_life(cohort, at, tail, query, SHIFTS[0])[1]), after_s)
    try:
        second = masked_words(a_life(cohort, at, tail, query, SHIFTS[1])[1]())
    except CovenueError as error:
        again = masked_words(a_life(cohort, at, tail, query, SHIFTS[0])[1]())
        return {"first": first, "second": [], "again": again, "refused": type(error).__name__}
    return {"first": first, "second": second, "again": [], "refused": ""}


def store_late() -> None:
    """Let bytes leave before the step that says so is durable."""
    NodeProcess._store = lambda *_: None  # type: ignore[method-assign]  # the mutant


def main() -> None:
    folder, trials, order = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    base = folder / "base.ledger"
    world = until_the_second_question(base)
    world[0].hosts[0].backend._inner.close()
    if order == "late":
        store_late()
    drawn = random.Random(5)
    for number in range(trials):
        after_s = None if number % 2 else drawn.uniform(0.0, 0.012)
        found = trial(base, folder / f"{number}.ledger", world, after_s)
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


def trials_of(folder: Path, number: int, order: str) -> list[dict[str, Any]]:
    child = subprocess.run(
        [sys.executable, __file__, str(folder), str(number), order],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return [json.loads(line) for line in child.stdout.splitlines()]


needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="not run: this platform cannot fork a node"
)


@needs_fork
def test_after_kill_9_another_input_never_leaves_under_the_same_masks(tmp_path: Path) -> None:
    found = trials_of(tmp_path, 24, "order")
    assert len(found) == 24
    for lives in found:
        assert not (lives["first"] and lives["second"])
    said_first = [lives for lives in found if lives["first"]]
    assert len(said_first) >= 12
    assert {lives["refused"] for lives in said_first} == {"ReplayDiffers"}
    assert all(lives["again"] == lives["first"] for lives in said_first)


@needs_fork
def test_a_mark_that_is_only_in_memory_gives_the_change_away(tmp_path: Path) -> None:
    found = trials_of(tmp_path, 4, "late")
    both = [lives for lives in found if lives["first"] and lives["second"]]
    assert len(both) >= 2
    for lives in both:
        ((old,), (new,)) = lives["first"], lives["second"]
        changes = {(b - a) % 2**64 for a, b in zip(old, new, strict=True)}
        assert changes == {SHIFTS[1] - SHIFTS[0]}


if __name__ == "__main__":
    main()
