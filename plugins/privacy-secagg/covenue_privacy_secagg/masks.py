"""Seeds and keystreams: what hides a participant's words for one round.

A seed serves one round: it is derived from the round's context, and its keystream is AES-256-CTR
under the seed from a zero counter, read as little-endian uint64. Source: privacy.md, section 4.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from covenue.numerics.words import Words, frozen
from covenue_contracts.canonical import sha256

SEED_BYTES = 32
BLOCK_BYTES = 16
CHUNK_WORDS = 16_384
ZEROS = memoryview(bytes(8 * CHUNK_WORDS))

Ring = NDArray[np.uint64]
Fold = Callable[[Ring, Ring, Ring], object]


def prefixed(*parts: bytes) -> bytes:
    """The parts one after another, each behind its length, so that `a|bc` differs from `ab|c`."""
    return b"".join(piece for part in parts for piece in (len(part).to_bytes(8, "big"), part))


def keyed(key: bytes, *parts: bytes | memoryview) -> bytes:
    """HMAC-SHA256 over length-prefixed parts."""
    state = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def hashed(*parts: bytes) -> bytes:
    """SHA-256 over length-prefixed parts."""
    return bytes.fromhex(sha256(*parts))


def raw(words: Words) -> memoryview:
    """Little-endian bytes, eight a word; no copy where the machine has them that way."""
    return words.astype("<i8", copy=False).view(np.uint8).data


def self_seed(secret: bytes, ctx: str) -> bytes:
    """The seed of a participant's own mask in the round of a context."""
    return keyed(secret, b"covenue/secagg/self/1", ctx.encode())


def pair_seed(root: bytes, ctx: str) -> bytes:
    """The seed of the mask that two participants share in the round of a context."""
    return keyed(root, b"covenue/secagg/mask/1", ctx.encode())


def seed_hash(seed: bytes) -> bytes:
    """What an upload says of a seed, so that a revealed one can be checked."""
    return hashed(b"covenue/secagg/seed/1", seed)


def masked(words: Words, added: Sequence[bytes], removed: Sequence[bytes]) -> Words:
    """words + the keystreams of `added` - those of `removed`, modulo 2^64.

    Chunks of 128 KB pass through all keystreams while they are in the cache.
    """
    ring = words.view(np.uint64).copy()
    folds: list[tuple[CipherContext, Fold]] = [
        *((keystream(seed), np.add) for seed in added),
        *((keystream(seed), np.subtract) for seed in removed),
    ]
    buffer = bytearray(len(ZEROS) + BLOCK_BYTES - 1)
    keys = np.frombuffer(buffer, dtype="<u8", count=CHUNK_WORDS)
    for start in range(0, len(ring), CHUNK_WORDS):
        part = ring[start : start + CHUNK_WORDS]
        zeros = ZEROS[: 8 * len(part)]
        for stream, fold in folds:
            stream.update_into(zeros, buffer)
            fold(part, keys[: len(part)], part)
    return frozen(ring.view(np.int64))


def keystream(seed: bytes) -> CipherContext:
    """AES-256-CTR from a zero counter: safe because a seed is the key of one keystream only."""
    return Cipher(AES(seed), CTR(bytes(BLOCK_BYTES))).encryptor()
