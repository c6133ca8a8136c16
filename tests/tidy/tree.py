"""The repository as tests see it: its files, its Python modules, its distributions."""

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOMS = ("contracts", "core", "plugins", "marketplace")


@cache
def files() -> tuple[Path, ...]:
    """Every file that git tracks or would track, in order."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    found = (ROOT / name for name in sorted(listed.split("\0")) if name)
    return tuple(path for path in found if path.is_file())


def python(*rooms: str) -> Iterator[Path]:
    """Python files below the given rooms, or everywhere."""
    for path in files():
        inside = path.relative_to(ROOT).parts[0]
        if path.suffix == ".py" and (not rooms or inside in rooms):
            yield path


def name(path: Path) -> str:
    """A file's name as a reader of the repository writes it."""
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def distributions() -> tuple[Path, ...]:
    """The folder of every distribution: the kernel, the contracts, each plugin."""
    return tuple(path.parent for path in files() if path.name == "pyproject.toml")


def settings(folder: Path) -> dict[str, Any]:
    """A distribution's pyproject."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def requirement_paths(listing: str) -> tuple[Path, ...]:
    """The folders that starter.txt or all.txt names, without their extras."""
    lines = (ROOT / listing).read_text(encoding="utf-8").splitlines()
    folders = (line.partition("[")[0] for line in lines if line.startswith("."))
    return tuple((ROOT / folder).resolve() for folder in folders)
