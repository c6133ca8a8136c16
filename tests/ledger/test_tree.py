"""The tree: certificate-transparency vectors, the definition, and strict verification."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covenue.ledger import tree as tree_module
from covenue.ledger.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    range_root,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# The eight-leaf tree of certificate-transparency's merkle_tree_test (RFC 6962 hashing).
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
L0_0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
L0_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
L0_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
L1_0 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
L1_1 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
L1_2 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
L1_3 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
L2_0 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
L2_1 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
INCLUSION: list[tuple[int, int, list[str]]] = [
    (0, 1, []),
    (0, 8, [L0_1, L1_1, L2_1]),
    (5, 8, [L0_4, L1_3, L2_0]),
    (2, 3, [L1_0]),
    (1, 5, [L0_0, L1_1, L0_4]),
]
CONSISTENCY: list[tuple[int, int, list[str]]] = [
    (1, 1, []),
    (1, 8, [L0_1, L1_1, L2_1]),
    (6, 8, [L1_2, L1_3, L2_0]),
    (2, 5, [L1_1, L0_4]),
]
SIZES = st.integers(1, 70)


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % index) for index in range(size)]


class Stored:
    """Perfect subtrees over fixed leaves, straight from the definition."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves

    def node(self, level: int, index: int) -> bytes:
        part = self.leaves[index << level : (index + 1) << level]
        assert len(part) == 1 << level
        return root_of(part)


def proofs(size: int) -> tuple[list[bytes], Stored]:
    leaves = leaves_of(size)
    return leaves, Stored(leaves)


def hexes(values: Sequence[bytes]) -> list[str]:
    return [value.hex() for value in values]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert Frontier().root() == root_of([]) == EMPTY_ROOT


@pytest.mark.parametrize("size", range(1, 9))
def test_the_published_roots(size: int) -> None:
    leaves = [leaf_hash(data) for data in INPUTS[:size]]
    assert root_of(leaves).hex() == ROOTS[size - 1]
    assert Frontier().extended(leaves)[0].root().hex() == ROOTS[size - 1]
    assert range_root(0, size, Stored(leaves).node).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_the_published_audit_paths(index: int, size: int, path: list[str]) -> None:
    leaves = [leaf_hash(data) for data in INPUTS[:size]]
    proof = inclusion_proof(index, size, Stored(leaves).node)
    assert hexes(proof) == path
    assert verify_inclusion(leaves[index], index, size, proof, bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCY)
def test_the_published_consistency_proofs(old: int, new: int, path: list[str]) -> None:
    leaves = [leaf_hash(data) for data in INPUTS[:new]]
    proof = consistency_proof(old, new, Stored(leaves).node)
    assert hexes(proof) == path
    roots = (bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1]))
    assert verify_consistency(old, new, *roots, proof)


@given(st.lists(st.integers(0, 40), max_size=6))
def test_the_frontier_has_the_root_of_the_definition_whatever_the_groups(groups: list[int]) -> None:
    leaves = leaves_of(sum(groups))
    frontier, start = Frontier(), 0
    for size in groups:
        frontier, _ = frontier.extended(leaves[start : start + size])
        start += size
        assert frontier.root() == root_of(leaves[:start])
    assert frontier == Frontier().extended(leaves)[0]


def test_completed_tiles_are_the_roots_of_their_leaves() -> None:
    leaves = leaves_of(1000)
    one, first = Frontier().extended(leaves[:300])
    two, second = one.extended(leaves[300:])
    assert two.size == 1000
    tiles = first + second
    assert [(level, index) for level, index, _ in tiles] == [(8, 0), (8, 1), (8, 2)]
    for _, index, node in tiles:
        assert node == root_of(leaves[index * 256 : (index + 1) * 256])


@pytest.mark.parametrize(
    ("size", "hashes"), [(1, ()), (0, (bytes(32),)), (3, (bytes(32),)), (1, (b"",)), (-1, ())]
)
def test_a_frontier_that_no_tree_has_is_refused(size: int, hashes: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="do not make up"):
        Frontier(size, hashes)


@given(SIZES, st.data())
def test_every_leaf_is_proved(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves, stored = proofs(size)
    proof = inclusion_proof(index, size, stored.node)
    assert verify_inclusion(leaves[index], index, size, proof, root_of(leaves))


@given(SIZES, st.data())
def test_every_growth_is_proved(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, size))
    leaves, stored = proofs(size)
    proof = consistency_proof(old, size, stored.node)
    assert verify_consistency(old, size, root_of(leaves[:old]), root_of(leaves), proof)


def flipped(parts: Sequence[bytes], bit: int) -> list[bytes]:
    whole = bytearray(b"".join(parts))
    whole[bit // 8 % len(whole)] ^= 1 << bit % 8
    return [bytes(whole[at : at + 32]) for at in range(0, len(whole), 32)]


@given(SIZES, st.data(), st.integers(min_value=0))
def test_any_flipped_bit_fails_an_inclusion_proof(size: int, data: st.DataObject, bit: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves, stored = proofs(size)
    proof = inclusion_proof(index, size, stored.node)
    leaf, root, *path = flipped([leaves[index], root_of(leaves), *proof], bit)
    assert not verify_inclusion(leaf, index, size, path, root)


@given(SIZES, st.data(), st.integers(min_value=0))
def test_any_flipped_bit_fails_a_consistency_proof(
    size: int, data: st.DataObject, bit: int
) -> None:
    old = data.draw(st.integers(0, size))
    leaves, stored = proofs(size)
    proof = consistency_proof(old, size, stored.node)
    parts = [root_of(leaves[:old]), root_of(leaves), *proof]
    old_root, new_root, *path = flipped(parts, bit)
    if old == 0:
        new_root = root_of(leaves)  # every tree extends the empty one, whatever its root
        old_root = flipped([EMPTY_ROOT], bit)[0]
    assert not verify_consistency(old, size, old_root, new_root, path)


@given(SIZES, st.data())
def test_a_proof_of_another_shape_is_no_proof(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    leaves, stored = proofs(size)
    root, old_root = root_of(leaves), root_of(leaves[:old])
    inclusion = inclusion_proof(index, size, stored.node)
    consistency = consistency_proof(old, size, stored.node)
    for change in (lambda p: (*p, bytes(32)), lambda p: (bytes(32), *p), lambda p: p[:-1]):
        if change(inclusion) != inclusion:
            assert not verify_inclusion(leaves[index], index, size, change(inclusion), root)
        if change(consistency) != consistency:
            assert not verify_consistency(old, size, old_root, root, change(consistency))
    for shape in ((*inclusion, b""), (*inclusion, bytes(31)), (*inclusion, bytes(64))):
        assert not verify_inclusion(leaves[index], index, size, shape, root)


@given(SIZES, st.data())
def test_a_proof_holds_for_its_own_index_and_size_only(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves, stored = proofs(size)
    proof = inclusion_proof(index, size, stored.node)
    root = root_of(leaves)
    for other in (-1, index - 1, index + 1, size, size + index):
        assert not verify_inclusion(leaves[index], other, size, proof, root)
    # Another size may demand a path of the same shape; index and root then still bind the leaf.
    for other in (0, index, size * 4 + 5):
        assert not verify_inclusion(leaves[index], index, other, proof, root)


def test_sizes_out_of_order_prove_nothing() -> None:
    leaves, stored = proofs(8)
    root = root_of(leaves)
    assert not verify_consistency(8, 7, root, root, ())
    assert not verify_consistency(-1, 8, root, root, ())
    assert not verify_consistency(0, 8, root, root, ())
    assert not verify_consistency(0, 8, EMPTY_ROOT, root, (root,))
    assert not verify_consistency(8, 8, root, EMPTY_ROOT, ())
    assert not verify_consistency(8, 8, root, root, (root,))
    assert not verify_consistency(4, 8, root_of(leaves[:4]), root, ())
    for index, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(ValueError, match="not in a tree"):
            inclusion_proof(index, size, stored.node)
    for old, new in ((9, 8), (-1, 8)):
        with pytest.raises(ValueError, match="does not extend"):
            consistency_proof(old, new, stored.node)


def test_a_node_cannot_pose_as_a_leaf() -> None:
    leaves, _ = proofs(4)
    inner = node_hash(leaves[0], leaves[1])
    posing = leaf_hash(leaves[0] + leaves[1])
    assert posing != inner
    assert not verify_inclusion(posing, 0, 2, [node_hash(*leaves[2:])], root_of(leaves))


def test_without_the_prefix_a_node_poses_as_a_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    monkeypatch.setattr(tree_module, "leaf_hash", plain)
    monkeypatch.setattr(tree_module, "node_hash", lambda left, right: plain(left + right))
    leaves = [plain(b"%d" % index) for index in range(4)]
    forged_entry = leaves[0] + leaves[1]  # 64 bytes that nobody entered
    proof = [plain(leaves[2] + leaves[3])]
    assert verify_inclusion(plain(forged_entry), 0, 2, proof, root_of(leaves))
