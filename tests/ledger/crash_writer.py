"""Child of test_crash.py: writers that are killed while they append.

Run as `python crash_writer.py PATH KILLS`. It imports once, then forks one writer at a time: each
writer opens the ledger and appends for ever, saying every acknowledged size; this process kills
it with SIGKILL at a time drawn from a seed, and prints the last size that was acknowledged.
"""

import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from covenue.identity.keys import SigningKey
from covenue.ledger.audit_log import AuditLog
from covenue_contracts.ledger import ClockReading, KillSwitch
from covenue_ledger_sqlite import open_sqlite

KEY = SigningKey.from_seed(bytes(32))
SECRET = bytes(range(32))


def clock(wall: int) -> ClockReading:
    return ClockReading(wall=str(wall), monotonic="0", boot="boot", source="sim", divergence="0")


def write_for_ever(path: Path, out: int) -> None:
    log = AuditLog.open(open_sqlite(path, create=False, writable=True), KEY, secret=SECRET)
    number = log.size
    while True:
        refs = (log.put_blob(os.urandom(300) + number.to_bytes(8, "big")),)
        body = KillSwitch(plan="a" * 64, reason="x" * (number * 37 % 3000))
        log.append([("kill_switch", body)] * (1 + number % 4), clock(number), refs)
        number = log.size
        os.write(out, b"%d\n" % number)


def one_life(path: Path, after_s: float, *, after_its_first_word: bool) -> int:
    """Start a writer, kill it; the last size that it acknowledged, or 0.

    The time runs from its start, which may hit the opening of the ledger, or from its first
    acknowledgement, which a slow machine cannot miss.
    """
    read, out = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        write_for_ever(path, out)
    os.close(out)
    said = os.read(read, 65536) if after_its_first_word else b""
    until = time.monotonic() + after_s
    while (left := until - time.monotonic()) > 0:
        if select.select([read], [], [], left)[0]:
            said += os.read(read, 65536)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(read, 65536):
        said += more
    os.close(read)
    lines = said.split(b"\n")[:-1]
    return int(lines[-1]) if lines else 0


def main() -> None:
    path, kills = Path(sys.argv[1]), int(sys.argv[2])
    log = AuditLog.create(
        open_sqlite(path, create=True, writable=True),
        KEY,
        origin="a.org/b",
        secret=SECRET,
        clock=clock(0),
    )
    log.close()
    drawn = random.Random(7)
    for number in range(kills):
        after_s, late = drawn.uniform(0.002, 0.08), number % 2 == 1
        sys.stdout.write(f"{one_life(path, after_s, after_its_first_word=late)}\n")
        sys.stdout.flush()
        sys.stdin.readline()


if __name__ == "__main__":
    main()
