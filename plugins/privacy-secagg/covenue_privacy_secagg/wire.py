"""Bytes of the phases: compact, length-prefixed, and strict where they are read.

A member is named by its place in the expected set, or among all members for nonces: two bytes.

    open          places of the members whose nonce is not known yet
    nonce         32 bytes
    nonces        32 bytes for every member, in order
    upload        length of what is attached (4) | that | hash of the self seed | number of pair
                  seeds (2) | their hashes, in order of neighbour | words, little-endian int64
    survivors     (place | SHA-256 of the upload) of each
    vote          0 for the survivors or 1 for an abort | signature
    certificate   (place | signature) of each; so is the proof of an abort
    answer        the self seed

Numbers are big-endian, places ascend, nothing may follow. What is not of this form reads as None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from covenue.numerics.words import Words, from_bytes
from covenue_privacy_secagg.masks import SEED_BYTES, raw
from covenue_privacy_secagg.setup import NONCE_BYTES

PLACE_BYTES = 2
LENGTH_BYTES = 4
DIGEST_BYTES = 32
SIGNATURE_BYTES = 64


@dataclass(frozen=True)
class Upload:
    """Masked words, what rides with them, and hashes of the seeds that mask them."""

    attached: bytes
    self_hash: bytes
    pair_hashes: tuple[bytes, ...]
    words: Words = field(repr=False)


def write_upload(upload: Upload) -> bytes:
    """An upload's bytes."""
    return b"".join(
        (
            len(upload.attached).to_bytes(LENGTH_BYTES, "big"),
            upload.attached,
            upload.self_hash,
            len(upload.pair_hashes).to_bytes(PLACE_BYTES, "big"),
            *upload.pair_hashes,
            raw(upload.words),
        )
    )


def read_upload(body: bytes, width: int) -> Upload | None:
    """An upload of so many words."""
    hash_at = LENGTH_BYTES + int.from_bytes(body[:LENGTH_BYTES], "big")
    count_at = hash_at + DIGEST_BYTES
    pairs_at = count_at + PLACE_BYTES
    words_at = pairs_at + DIGEST_BYTES * int.from_bytes(body[count_at:pairs_at], "big")
    if len(body) < pairs_at or len(body) != words_at + 8 * width:
        return None
    return Upload(
        body[LENGTH_BYTES:hash_at],
        body[hash_at:count_at],
        tuple(_slices(body[pairs_at:words_at], DIGEST_BYTES)),
        from_bytes(body[words_at:]),
    )


def write_places(named: Sequence[str], among: Sequence[str]) -> bytes:
    """Members, by their places."""
    return b"".join(_place(at) for at, did in enumerate(among) if did in named)


def read_places(body: bytes, among: Sequence[str]) -> tuple[str, ...] | None:
    """Members, from their places."""
    rows = _rows(body, 0, among)
    return None if rows is None else tuple(rows)


def write_rows(rows: Mapping[str, bytes], among: Sequence[str]) -> bytes:
    """Something of one size of each named member."""
    return b"".join(_place(at) + rows[did] for at, did in enumerate(among) if did in rows)


def read_survivors(body: bytes, expected: Sequence[str]) -> Mapping[str, bytes] | None:
    """Digests of uploads, by member."""
    return _rows(body, DIGEST_BYTES, expected)


def read_signatures(body: bytes, expected: Sequence[str]) -> Mapping[str, bytes] | None:
    """Signatures, by member."""
    return _rows(body, SIGNATURE_BYTES, expected)


def read_nonces(body: bytes, members: Sequence[str]) -> Mapping[str, bytes] | None:
    """Everybody's nonce."""
    if len(body) != NONCE_BYTES * len(members):
        return None
    return dict(zip(members, _slices(body, NONCE_BYTES), strict=True))


def write_vote(signature: bytes, *, abort: bool) -> bytes:
    """A vote's bytes."""
    return bytes([abort]) + signature


def read_vote(body: bytes) -> tuple[bool, bytes] | None:
    """Whether a vote is for an abort, and its signature."""
    if len(body) != 1 + SIGNATURE_BYTES or body[0] > 1:
        return None
    return bool(body[0]), body[1:]


def read_seed(body: bytes) -> bytes | None:
    """A revealed seed."""
    return body if len(body) == SEED_BYTES else None


def _rows(body: bytes, size: int, among: Sequence[str]) -> Mapping[str, bytes] | None:
    step = PLACE_BYTES + size
    if len(body) % step:
        return None
    rows = list(_slices(body, step))
    places = [int.from_bytes(row[:PLACE_BYTES], "big") for row in rows]
    if places != sorted(set(places)) or any(place >= len(among) for place in places):
        return None
    return {among[at]: row[PLACE_BYTES:] for at, row in zip(places, rows, strict=True)}


def _place(at: int) -> bytes:
    return at.to_bytes(PLACE_BYTES, "big")


def _slices(body: bytes, size: int) -> Sequence[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]
