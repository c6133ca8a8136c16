"""Ed25519 keys, tagged signatures, and secrets derived from a node's master.

Verification rule, one for all and pinned by tests: RFC 8032, section 5.1.7, without cofactor
(encode(S*B - k*A) equals the bytes of R), S below the group order, A canonical and not of small
order. The rule keeps signatures unforgeable and unmalleable, and every verifier in agreement.
"""

import hashlib
import hmac
import os
import stat
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from covenue.errors import IdentityRefused, OutputExists
from covenue.identity.did import did_of, public_key

SEED_BYTES = 32
SIGNATURE_BYTES = 64
KEY_FILE_BYTES = 4096


@dataclass(frozen=True)
class SigningKey:
    """A private Ed25519 key and its name; the key never shows in text and is never pickled."""

    did: str
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The key of a 32-byte seed (RFC 8032, section 5.1.5)."""
        if len(seed) != SEED_BYTES:
            raise IdentityRefused(
                f"a seed has {len(seed)} bytes", f"give {SEED_BYTES} bytes", field="seed"
            )
        return cls._of(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def generate(cls) -> "SigningKey":
        """A fresh key from the operating system's randomness."""
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> "SigningKey":
        """Read a key file (PKCS #8, PEM).

        Raises IdentityRefused when it is missing, readable by others, or no Ed25519 key.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except OSError as error:
            raise _bad_key_file(path, error.strerror or "cannot be read") from error
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) or (os.name == "posix" and mode & 0o077):
                raise _bad_key_file(path, "others may read or write it")
            body = file.read(KEY_FILE_BYTES + 1)
        try:
            private = load_pem_private_key(body, password=None)
        except (ValueError, TypeError) as error:
            raise _bad_key_file(path, "no private key in PEM form") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise _bad_key_file(path, "the key is not Ed25519")
        return cls._of(private)

    def save(self, path: Path) -> None:
        """Write a key file with mode 0600, durably. Raises OutputExists rather than replace one."""
        body = self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise OutputExists(
                "a key file is already there", "choose another path", file=str(path)
            ) from error
        except OSError as error:
            raise _bad_key_file(path, error.strerror or "cannot be written") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())

    @property
    def public(self) -> bytes:
        """The 32-byte public key."""
        return public_key(self.did)

    def sign(self, tag: str, data: bytes) -> bytes:
        """A 64-byte signature over the length-prefixed tag and the data.

        The prefix begins with a zero byte, so no tagged message is also a note or a DSSE text.
        """
        return self._private.sign(tagged(tag, data))

    def sign_untagged(self, message: bytes) -> bytes:
        """A signature over bytes whose own format separates domains (signed note, DSSE)."""
        return self._private.sign(message)

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse to be pickled: a private key crosses no process boundary by accident."""
        message = "a SigningKey is not pickled; save it to a file"
        raise TypeError(message)

    @classmethod
    def _of(cls, private: Ed25519PrivateKey) -> "SigningKey":
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(did_of(public), private)


def verify(did: str, tag: str, data: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `did` over the tag and the data.

    Raises IdentityRefused when `did` names no usable key.
    """
    return verify_untagged(did, tagged(tag, data), signature)


def verify_untagged(did: str, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `did` over bytes of a format that separates domains itself."""
    try:
        _parsed(did).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def tagged(tag: str, data: bytes) -> bytes:
    """What `sign` signs: the tag's length in 8 bytes, the tag, the data."""
    name = tag.encode()
    return len(name).to_bytes(8, "big") + name + data


def derive(master: bytes, *labels: bytes) -> bytes:
    """A 32-byte secret for the labels: HMAC-SHA256 under `master`, every label length-prefixed.

    Lengths keep ("a", "bc") apart from ("ab", "c").
    """
    message = b"".join(len(label).to_bytes(8, "big") + label for label in labels)
    return hmac.new(master, message, hashlib.sha256).digest()


@lru_cache(maxsize=4096)
def _parsed(did: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key(did))


def _bad_key_file(path: Path, why: str) -> IdentityRefused:
    return IdentityRefused(
        f"the key file is not usable: {why}",
        "give a PKCS #8 PEM file with an Ed25519 key and mode 0600",
        file=str(path),
    )
