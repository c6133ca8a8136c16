"""Checkpoints: the signed head of a log, `origin`, size and root as a note.

Source: C2SP tlog-checkpoint; the key name is the origin; extension lines are refused.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from covenue.errors import LedgerDamaged
from covenue.identity.keys import SigningKey
from covenue.ledger.note import open_note, sign_note
from covenue.ledger.tree import HASH_BYTES

_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log: its number of entries and its root hash."""

    size: int
    root: bytes


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """The three lines that a checkpoint's signatures cover."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode('ascii')}\n"


def sign_checkpoint(key: SigningKey, origin: str, size: int, root: bytes) -> bytes:
    """The signed note of a head; equal heads give equal bytes."""
    return sign_note(key, origin, checkpoint_text(origin, size, root))


def open_checkpoint(data: bytes, origin: str, did: str) -> Checkpoint:
    """The head that `did` signed for the log `origin`.

    Raises LedgerDamaged, naming the broken rule of note or checkpoint.
    """
    lines = open_note(data, origin, did).split("\n")[:-1]
    if len(lines) < 3:
        raise _refused("it has fewer than three lines")
    if len(lines) > 3:
        raise _refused("it has extension lines")
    if lines[0] != origin:
        raise _refused("it is of another log")
    if not _SIZE.match(lines[1]):
        raise _refused("its size is no decimal number without leading zeros")
    return Checkpoint(int(lines[1]), _root(lines[2]))


def _root(text: str) -> bytes:
    try:
        root = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused("its root is no base64") from error
    if len(root) != HASH_BYTES or base64.b64encode(root).decode("ascii") != text:
        raise _refused("its root is not the canonical base64 of 32 bytes")
    return root


def _refused(why: str) -> LedgerDamaged:
    return LedgerDamaged(
        f"a checkpoint is not acceptable: {why}",
        "fetch the checkpoint again from its source; do not trust the ledger it describes",
        "checkpoint",
    )
