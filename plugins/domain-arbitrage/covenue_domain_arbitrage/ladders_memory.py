"""Parts of levels as compact bytes: what an answer leaves for the next one to continue from.

Parts never rise along a ladder, so a ladder is its number of full levels, its number of levels
taken in part, and those parts, in 2^-30: little-endian, two bytes a number, four a part.
"""

import numpy as np

from covenue.hooks.domains import Memory
from covenue.numerics.compiled import compiled
from covenue_domain_arbitrage.ladders_kernel import WHOLE, Integers, Parts

LEVELS_MOST = 2**16 - 1
HALF = WHOLE // 2


def packed(parts: Parts) -> Memory:
    """The bytes of parts, int32[..., levels] from 0 to 2^30."""
    ladders = int(np.prod(parts.shape[:-1], dtype=np.int64))
    flat = parts.reshape(ladders, parts.shape[-1])
    heads = np.zeros((2, len(flat)), dtype=np.int64)
    ramp = np.zeros(flat.size, dtype=np.int64)
    taken = _taken_apart(flat, heads, ramp)
    return Memory(heads.astype("<u2").tobytes() + ramp[:taken].astype("<u4").tobytes())


def unpacked(memory: Memory, shape: tuple[int, ...]) -> Parts:
    """The parts that bytes stand for; half of every level where they are of no or other ladders.

    Then an answer is spread to both sides of a price, and prices are hardly off for that.
    """
    flat = np.zeros((int(np.prod(shape[:-1], dtype=np.int64)), shape[-1]), dtype=np.int32)
    split = 4 * len(flat)
    if len(memory) < split or (len(memory) - split) % 4:
        return np.full(shape, HALF, dtype=np.int32)
    heads = np.frombuffer(memory[:split], dtype="<u2").astype(np.int64).reshape(2, -1)
    ramp = np.frombuffer(memory[split:], dtype="<u4").astype(np.int64)
    fits = int(heads.sum(axis=0, dtype=np.int64).max(initial=0)) <= shape[-1]
    if fits and int(heads[1].sum(dtype=np.int64)) == len(ramp):
        _put_together(heads, ramp, flat)
        return flat.reshape(shape)
    return np.full(shape, HALF, dtype=np.int32)


@compiled
def _taken_apart(flat: Parts, heads: Integers, ramp: Integers) -> int:
    """Fill the numbers of full and of partly taken levels, and the parts; returns how many."""
    taken = 0
    for row in range(flat.shape[0]):
        for level in range(flat.shape[1]):
            part = flat[row, level]
            if part == WHOLE:
                heads[0, row] += 1
            elif part > 0:
                heads[1, row] += 1
                ramp[taken] = part
                taken += 1
            else:
                break
    return taken


@compiled
def _put_together(heads: Integers, ramp: Integers, flat: Parts) -> None:
    """Fill the parts of each ladder from its two numbers and its parts."""
    taken = 0
    for row in range(flat.shape[0]):
        full = heads[0, row]
        for level in range(full):
            flat[row, level] = WHOLE
        for level in range(full, full + heads[1, row]):
            flat[row, level] = ramp[taken]
            taken += 1
