import gc
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import pytest

from covenue.identity import envelopes
from covenue.ledger import audit_log, note
from covenue.rounds import fold, participant, run

PURE: tuple[tuple[Any, str], ...] = (
    (audit_log, "decode_entry"),
    (envelopes, "verify"),
    (fold, "open_message"),
    (note, "verify_untagged"),
    (participant, "open_message"),
    (run, "open_message"),
)


@pytest.fixture(scope="session", autouse=True)
def pure_work_is_remembered() -> Iterator[None]:
    """Signatures and entries are the same bytes again and again; each is checked once."""
    patch = pytest.MonkeyPatch()
    known: dict[Callable[..., Any], Callable[..., Any]] = {}
    for module, name in PURE:
        pure = getattr(module, name)
        known.setdefault(pure, lru_cache(maxsize=65536)(pure))
        patch.setattr(module, name, known[pure])
    gc.freeze()
    yield
    gc.unfreeze()
    patch.undo()
