"""Writers killed with SIGKILL while they append: what was acknowledged is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from covenue.identity.keys import SigningKey
from covenue.ledger.integrity import check_integrity
from covenue_ledger_sqlite import open_sqlite

KEY = SigningKey.from_seed(bytes(32))
SECRET = bytes(range(32))
WRITER = Path(__file__).with_name("crash_writer.py")
GROUP_MAX = 4

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="not run: this platform cannot fork a writer"
)


def kill_writers(path: Path, kills: int) -> int:
    """Kill that many writers; how many of them had appended something."""
    known = 1
    productive = 0
    with subprocess.Popen(
        [sys.executable, str(WRITER), str(path), str(kills)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(kills):
            acknowledged = max(known, int(child.stdout.readline()))
            reader = open_sqlite(path, create=False, writable=False)
            report = check_integrity(reader, KEY.did, secret=SECRET)
            reader.close()
            assert acknowledged <= report.size <= acknowledged + GROUP_MAX
            productive += acknowledged > known
            known = report.size
            child.stdin.write("\n")
            child.stdin.flush()
    assert child.returncode == 0
    return productive


def test_everything_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    assert kill_writers(tmp_path / "a.ledger", 30) >= 10


@pytest.mark.slow
def test_everything_acknowledged_survives_a_thousand_kills(tmp_path: Path) -> None:
    for part in range(20):
        assert kill_writers(tmp_path / f"{part}.ledger", 50) >= 15
