"""int64 fixed-point words modulo 2^64: sums, bounds, bytes.

Sums are the same in any order, on any machine. Source: architecture.md, section 1; solvers.md R2.
"""

import base64
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from covenue.errors import HeadroomMissing, LayoutMismatch

Words = NDArray[np.int64]
RING_HALF = 2**63


def words(values: Iterable[int]) -> Words:
    """An array of words from integers; each is taken modulo 2^64."""
    ring = np.array([value % 2**64 for value in values], dtype=np.uint64)
    return frozen(ring.view(np.int64))


def frozen(array: Words) -> Words:
    """The same array, read-only."""
    array.flags.writeable = False
    return array


def integers(array: Words) -> tuple[int, ...]:
    """The words as signed Python integers."""
    return tuple(int(value) for value in array)


def total(uploads: Sequence[Words]) -> Words:
    """Sum words modulo 2^64; no order of uploads can change the result.

    uploads: k >= 1 arrays of int64[w]. Raises LayoutMismatch, naming the first whose w differs.
    """
    width = len(uploads[0])
    result = np.zeros(width, dtype=np.uint64)
    for index, upload in enumerate(uploads):
        if len(upload) != width:
            raise LayoutMismatch(
                f"upload {index} has {len(upload)} words, the first has {width}",
                "check that all participants answer the same query",
            )
        result += upload.view(np.uint64)
    return frozen(result.view(np.int64))


def subtract(left: Words, right: Words) -> Words:
    """left - right modulo 2^64, elementwise."""
    return frozen((left.view(np.uint64) - right.view(np.uint64)).view(np.int64))


def clip(array: Words, bound: int) -> Words:
    """Clip every word to [-bound, bound], so that a diverging answer cannot wrap the ring."""
    return frozen(np.clip(array, -bound, bound).astype(np.int64))


def check_headroom(bound: int, participants: int) -> None:
    """Raise HeadroomMissing unless `participants` words of size `bound` sum below 2^63."""
    if bound * participants >= RING_HALF:
        raise HeadroomMissing(
            f"{participants} words of bound {bound} can reach 2^63",
            "lower the space's bound or its scale",
            field="space.bound",
            value=str(bound),
        )


def to_bytes(array: Words) -> bytes:
    """Little-endian bytes, eight a word."""
    return array.astype("<i8").tobytes()


def from_bytes(data: bytes) -> Words:
    """Words from little-endian bytes. Raises LayoutMismatch unless they are whole words."""
    if len(data) % 8:
        raise LayoutMismatch(f"{len(data)} bytes are no whole words", "send eight bytes a word")
    return frozen(np.frombuffer(data, dtype="<i8").astype(np.int64))


def to_text(array: Words) -> str:
    """Base64 of the little-endian bytes."""
    return base64.b64encode(to_bytes(array)).decode("ascii")


def from_text(text: str) -> Words:
    """Words from base64."""
    return from_bytes(base64.b64decode(text, validate=True))
