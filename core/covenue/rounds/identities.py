"""Who the processes of a run are: derived from a demo's seed, or kept as files of their own."""

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from covenue.errors import ForeignLedger
from covenue.identity.keys import SigningKey, derive

MASTER_BYTES = 32


@dataclass(frozen=True)
class Identity:
    """One process: the master that all of its secrets derive from, and its signing key."""

    master: bytes

    @property
    def key(self) -> SigningKey:
        """The key that signs messages and checkpoints."""
        return SigningKey.from_seed(derive(self.master, b"key"))

    @property
    def log_secret(self) -> bytes:
        """The secret that entry nonces derive from."""
        return derive(self.master, b"log")


def demo_identity(seed: str, role: str, name: str) -> Identity:
    """An identity that anyone can derive: for demonstrations, and marked as such in genesis."""
    root = hashlib.sha256(b"covenue/demo/1" + seed.encode()).digest()
    return Identity(derive(root, role.encode(), name.encode()))


def kept_identity(path: Path, *, create: bool) -> Identity:
    """The identity of a master file, made on first use, readable by its owner only.

    Raises ForeignLedger when it is missing where a ledger already exists.
    """
    if create:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        master = secrets.token_bytes(MASTER_BYTES)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(master.hex())
        return Identity(master)
    try:
        return Identity(bytes.fromhex(path.read_text().strip()))
    except (OSError, ValueError) as error:
        raise ForeignLedger(
            "the key that wrote this ledger is not here",
            "put the key file back, or start a new ledger",
            file=str(path),
            field="key",
        ) from error
