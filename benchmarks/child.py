"""A child process that answers JSON lines: pinned threads, a clean environment, a deadline.

The parent's side is `Child`; the child's side is `serve`. Whatever a library prints goes to the
child's standard error, so that it cannot be taken for an answer.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
LINES_KEPT = 3


class Died(RuntimeError):
    """A child ended or passed its deadline; the text says which."""


class Child:
    """One child and its lines."""

    def __init__(self, python: str, module: str, *arguments: str) -> None:
        environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(  # noqa: S603 -- our own module in our own environment
            [python, "-m", module, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, wanted: str, seconds: float, **details: Any) -> dict[str, Any]:
        """What the child answers. Raises Died where it does not within so many seconds."""
        if self.process.poll() is not None:
            raise Died("died")
        into, out = self.process.stdin, self.process.stdout
        if into is None or out is None:
            raise Died("died")
        try:
            into.write(json.dumps({"do": wanted, **details}) + "\n")
            into.flush()
        except BrokenPipeError as error:
            raise Died("died") from error
        ready, _, _ = select.select([out], [], [], seconds)
        if not ready:
            self.close()
            raise Died(f"no end within {seconds:.0f} s")
        line = out.readline()
        if not line:
            self.process.wait()
            raise Died(f"died with status {self.process.returncode}")
        told: dict[str, Any] = json.loads(line)
        if "failed" in told:
            raise Died(str(told["failed"]))
        return told

    def close(self) -> None:
        """End the child."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process.wait()


def serve(build: Callable[[], object], known: Collection[str]) -> None:
    """Build what serves when asked to `start`, then call its methods, until the parent closes.

    known: names of methods that may be asked. What one raises is told, and ends nothing.
    """
    answers = _quiet_stdout()
    served: list[object] = []
    for line in sys.stdin:
        asked = json.loads(line)
        told: dict[str, Any] = {}
        name = asked.pop("do")
        try:
            if name == "start":
                served = [build()]
            elif name in known:
                told = getattr(served[0], name)(**asked)
        except Exception as error:
            told = {"failed": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


def _quiet_stdout() -> IO[str]:
    """The real standard output; descriptor 1 becomes standard error, for libraries in C."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers
