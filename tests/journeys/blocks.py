"""The runnable blocks of a Markdown page.

A block is shell (```bash) or Python (```python). A comment `<!-- not run here: why -->` on the line
above leaves one out. The blocks of one page run in order, in one folder.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(
    r"(?:<!-- not run here: (?P<why>[^\n]+?) -->\n)?"
    r"```(?P<language>bash|python)\n(?P<code>.*?)\n```",
    re.DOTALL,
)
RUNNERS = {"bash": ("bash", "-euo", "pipefail", "-c"), "python": (sys.executable, "-c")}


@dataclass(frozen=True)
class Block:
    """One block: its language and text, and why it is not run (empty when it is)."""

    language: str
    code: str
    why_not: str

    def run(self, folder: Path) -> None:
        """Run it with the gate's commands on PATH; an assertion shows what it said."""
        env = {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
        }
        told = subprocess.run(
            [*RUNNERS[self.language], self.code],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, f"{self.code}\n{told.stdout}\n{told.stderr}"


def blocks(page: Path) -> Iterator[Block]:
    """Every runnable block of a page, in order."""
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(found["language"], found["code"], found["why"] or "")
