"""The Merkle tree of RFC 9162 with SHA-256: growth, roots, proofs, and strict verification.

A leaf hash starts from 0x00 and a node hash from 0x01, so that no leaf can pose as a node.
Source: RFC 9162, section 2.1.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
TILE_HEIGHT = 8

Tile = tuple[int, int, bytes]
"""(level, index, hash) of a completed subtree; levels are multiples of TILE_HEIGHT."""

NodeReader = Callable[[int, int], bytes]
"""The hash of the perfect subtree over leaves [index << level, (index + 1) << level)."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """The perfect subtrees that make up a tree, largest first: all that growing it needs.

    Raises ValueError unless there is one 32-byte hash for every bit of `size`.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a frontier that no tree has."""
        fits = self.size >= 0 and len(self.hashes) == self.size.bit_count()
        if not fits or any(len(node) != HASH_BYTES for node in self.hashes):
            message = f"{len(self.hashes)} hashes do not make up a tree of {self.size} leaves"
            raise ValueError(message)

    def extended(self, leaves: Iterable[bytes]) -> tuple["Frontier", tuple[Tile, ...]]:
        """The frontier after more leaf hashes, and the tiles' nodes that they completed."""
        stack = list(self.hashes)
        size = self.size
        tiles: list[Tile] = []
        for leaf in leaves:
            node, index, level = leaf, size, 0
            while index & 1:
                node = node_hash(stack.pop(), node)
                index >>= 1
                level += 1
                if level % TILE_HEIGHT == 0:
                    tiles.append((level, index, node))
            stack.append(node)
            size += 1
        return Frontier(size, tuple(stack)), tuple(tiles)

    def root(self) -> bytes:
        """The root hash of the whole tree."""
        if not self.hashes:
            return EMPTY_ROOT
        node = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            node = node_hash(left, node)
        return node


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, straight from the definition (RFC 9162, section 2.1.1)."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


def range_root(start: int, end: int, node: NodeReader) -> bytes:
    """The root over leaves [start, end), where `start` is a multiple of every subtree in it."""
    count = end - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(count)
    return node_hash(range_root(start, middle, node), range_root(middle, end, node))


def inclusion_proof(index: int, size: int, node: NodeReader) -> tuple[bytes, ...]:
    """The audit path of a leaf (RFC 9162, section 2.1.3.1). Raises ValueError out of range."""
    if not 0 <= index < size:
        message = f"leaf {index} is not in a tree of {size}"
        raise ValueError(message)
    start, end = 0, size
    path: list[bytes] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_root(middle, end, node))
            end = middle
        else:
            path.append(range_root(start, middle, node))
            start = middle
    return tuple(reversed(path))


def consistency_proof(old: int, new: int, node: NodeReader) -> tuple[bytes, ...]:
    """The proof that the tree of `new` extends that of `old` (RFC 9162, section 2.1.4.1).

    Empty where old is 0 or equals new. Raises ValueError out of range.
    """
    if not 0 <= old <= new:
        message = f"a tree of {new} leaves does not extend one of {old}"
        raise ValueError(message)
    if old in (0, new):
        return ()
    start, end = 0, new
    path: list[bytes] = []
    is_known = True  # whether [start, end) is a subtree whose root the verifier holds
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(range_root(middle, end, node))
            end = middle
        else:
            path.append(range_root(start, middle, node))
            start = middle
            is_known = False
    if not is_known:
        path.append(range_root(start, end, node))
    return tuple(reversed(path))


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether the path leads from the leaf hash to the root (RFC 9162, section 2.1.3.2).

    A proof of any other length than index and size demand is no proof.
    """
    if not 0 <= index < size or not _are_hashes((leaf, root, *proof)):
        return False
    at, last = index, size - 1
    node = leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            at, last = _skip(at, last)
        else:
            node = node_hash(node, sibling)
        at >>= 1
        last >>= 1
    return last == 0 and node == root


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `new` leaves extends the tree of `old` (RFC 9162, section 2.1.4.2).

    Every tree extends the empty one, whose root is fixed; equal sizes need equal roots; both
    with an empty proof.
    """
    if not 0 <= old <= new or not _are_hashes((old_root, new_root, *proof)):
        return False
    if old in (0, new):
        return not proof and old_root == (EMPTY_ROOT if old == 0 else new_root)
    path = (old_root, *proof) if old & (old - 1) == 0 else tuple(proof)
    if not path or not proof:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at >>= 1
        last >>= 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first = node_hash(sibling, first)
            second = node_hash(sibling, second)
            at, last = _skip(at, last)
        else:
            second = node_hash(second, sibling)
        at >>= 1
        last >>= 1
    return last == 0 and first == old_root and second == new_root


def _skip(at: int, last: int) -> tuple[int, int]:
    while at != 0 and not at & 1:
        at >>= 1
        last >>= 1
    return at, last


def _split(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
