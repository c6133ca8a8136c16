"""Child of test_amm_venue.py: swaps for ever, and says how many orders it has had an answer to.

Run as `python swap_writer.py FOLDER [forgetful]`; its parent kills it. A forgetful writer is the
mutant: it answers without having written anything down.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.venues.crashes import applies_for_ever
from tests.venues.pools import opened

from covenue.hooks.journal import Journal
from covenue.testing.venues import POOL_SCRIPT, SWAP, swapping


def forget(journal: Journal[Any], path: Path, line: bytes) -> None:
    """Write nothing."""


def main() -> None:
    folder = Path(sys.argv[1])
    if sys.argv[2:] == ["forgetful"]:
        pytest.MonkeyPatch().setattr(Journal, "_append", forget)
    venue = opened(folder, POOL_SCRIPT, journal=str(folder / "journal"))
    applies_for_ever(venue, swapping(SWAP))


if __name__ == "__main__":
    main()
