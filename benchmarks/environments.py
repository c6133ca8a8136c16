"""Environments that peers run in: made once, kept in the user's cache, named by their content.

Each `requirements-<group>.txt` beside this file becomes a virtual environment under
`$XDG_CACHE_HOME/covenue-bench/<hash of the file and the interpreter>`; pip uses whatever index it
is configured for. What cannot be installed is said in the report and stops nothing.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
READY = ".ready"
INSTALL_SECONDS = 900
GROUPS = {
    "clarabel": "conic",
    "osqp": "conic",
    "osqp_warm": "conic",
    "scs": "conic",
    "ecos": "ecos",
    "cvxpy": "cvxpy",
    "highs": "highs",
    "highs_ipm": "highs",
    "highs_warm": "highs",
    "lbfgsb_cfmmrouter": "scipy",
    "lbfgsb_scaled": "scipy",
    "argsort": "scipy",
}


@dataclass(frozen=True)
class Environment:
    """An interpreter for some peers; problem: why there is none, or an empty text."""

    python: str
    problem: str = ""


def cache() -> Path:
    """Where environments are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "covenue-bench"


def environment_of(peer: str) -> Environment:
    """The environment of a peer, made where it is missing."""
    wanted = HERE / f"requirements-{GROUPS[peer]}.txt"
    name = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]
    place = cache() / name
    place.parent.mkdir(parents=True, exist_ok=True)
    python = str(place / "bin" / "python")
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / READY).exists():
            print(f"making the environment of {wanted.name}, once: {place}", file=sys.stderr)
            problem = _made(place, wanted)
            if problem:
                return Environment("", problem)
            (place / READY).write_text(wanted.name)
    return Environment(python)


def _made(place: Path, wanted: Path) -> str:
    """Make an environment; what went wrong, or an empty text."""
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(place)],
        [*pip, "--disable-pip-version-check", "--requirement", str(wanted)],
    ):
        try:
            ended = subprocess.run(  # noqa: S603 -- our own interpreter and our own file
                command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"not installed: pip took more than {INSTALL_SECONDS} s"
        if ended.returncode:
            lines = [line for line in ended.stderr.splitlines() if line.strip()]
            told = next((line for line in lines if line.startswith("ERROR")), "no reason given")
            return f"not installed: {told[:160]}"
    return ""
