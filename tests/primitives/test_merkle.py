"""RFC 6962 trees: published vectors, a recursive reference, and forged proofs."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.primitives import merkle
from cairn.primitives.encoding import Decoder, encode
from cairn.primitives.errors import ProofError
from cairn.primitives.hashes import Digest
from cairn.primitives.merkle import EMPTY_ROOT, SIZE_MAX, Frontier, Node
from tests.vector_files import load, replay

VECTORS = load("merkle")
LEAVES = [merkle.leaf_hash(number.to_bytes(2, "big")) for number in range(300)]
quick = settings(max_examples=60, deadline=None)


# The recursive definitions of RFC 6962, section 2.1, as they stand there


def reference_root(leaves: Sequence[Digest]) -> Digest:
    if len(leaves) <= 1:
        return leaves[0] if leaves else EMPTY_ROOT
    split = largest_power_below(len(leaves))
    return merkle.node_hash(reference_root(leaves[:split]), reference_root(leaves[split:]))


def reference_path(index: int, leaves: Sequence[Digest]) -> list[Digest]:
    if len(leaves) == 1:
        return []
    split = largest_power_below(len(leaves))
    if index < split:
        return [*reference_path(index, leaves[:split]), reference_root(leaves[split:])]
    return [*reference_path(index - split, leaves[split:]), reference_root(leaves[:split])]


def reference_consistency(
    old_size: int, leaves: Sequence[Digest], *, is_whole: bool = True
) -> list[Digest]:
    if old_size == len(leaves):
        return [] if is_whole else [reference_root(leaves)]
    split = largest_power_below(len(leaves))
    if old_size <= split:
        rest = reference_consistency(old_size, leaves[:split], is_whole=is_whole)
        return [*rest, reference_root(leaves[split:])]
    rest = reference_consistency(old_size - split, leaves[split:], is_whole=False)
    return [*rest, reference_root(leaves[:split])]


def largest_power_below(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


class Tree:
    """A tree with its nodes in a dict, and what was read of them."""

    def __init__(self, leaves: Sequence[Digest]) -> None:
        self.leaves = list(leaves)
        self.frontier, nodes = Frontier().extend(leaves)
        self.nodes = {(level, index): digest for level, index, digest in nodes}
        self.reads: list[tuple[int, int]] = []
        self.size, self.root = len(self.leaves), self.frontier.root()

    def read(self, level: int, index: int) -> Digest:
        self.reads.append((level, index))
        return self.nodes[level, index]


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    """Draw size, start and end of a range that is not empty."""
    size = draw(st.integers(1, 130))
    start = draw(st.integers(0, size - 1))
    return size, start, draw(st.integers(start + 1, size))


# Published vectors


def test_the_hasher_is_rfc_6962s() -> None:
    for case in VECTORS["hasher"]:
        if "data" in case:
            assert merkle.leaf_hash(bytes.fromhex(case["data"])).hex() == case["leaf_hash"]
        else:
            pair = bytes.fromhex(case["left"]), bytes.fromhex(case["right"])
            assert merkle.node_hash(*pair).hex() == case["node_hash"]


def test_the_published_tree() -> None:
    leaves = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
    for size, root in enumerate(VECTORS["roots"]):
        assert Tree(leaves[:size]).root.hex() == merkle.root_of(leaves[:size]).hex() == root
    tree = Tree(leaves)
    for level, nodes in enumerate(VECTORS["nodes"]):
        assert [tree.nodes[level, i].hex() for i in range(len(nodes))] == nodes
    for case in VECTORS["inclusion"]:
        index, size = case["index"], case["size"]
        proof = merkle.inclusion_proof(index, size, tree.read)
        assert [digest.hex() for digest in proof] == case["proof"]
        root = bytes.fromhex(VECTORS["roots"][size])
        merkle.verify_inclusion(root, size, index, leaves[index], proof)
    for case in VECTORS["consistency"]:
        old_size, size = case["old_size"], case["size"]
        proof = merkle.consistency_proof(old_size, size, tree.read)
        assert [digest.hex() for digest in proof] == case["proof"]
        old_root, root = (bytes.fromhex(VECTORS["roots"][n]) for n in (old_size, size))
        merkle.verify_consistency(old_root, old_size, root, size, proof)


def test_range_proofs_are_written_down() -> None:
    """Ranges are ours, not RFC 6962's; the leaves are those of the published tree, and more."""
    cases: list[dict[str, Any]] = []
    for size, start, end in [(8, 0, 8), (8, 2, 5), (7, 3, 7), (7, 6, 7), (5, 0, 4), (13, 5, 6)]:
        tree = Tree(LEAVES[:size])
        proof = merkle.range_proof(start, end, size, tree.read)
        cases.append(
            {
                "size": size,
                "root": tree.root.hex(),
                "start": start,
                "leaf_hashes": [digest.hex() for digest in LEAVES[start:end]],
                "proof": [digest.hex() for digest in proof],
            }
        )
    about = (
        "Range proofs: from the leaves up, at each level first the missing neighbour on the left,"
        " then the one on the right; leaf n holds n as two big-endian bytes"
    )
    replay("merkle_ranges", {"about": about, "cases": cases})


# Against the reference


@pytest.mark.parametrize("size", [*range(20), 31, 32, 33, 63, 64, 65, 100])
def test_every_proof_of_a_tree_is_the_references(size: int) -> None:
    leaves, tree = LEAVES[:size], Tree(LEAVES[:size])
    assert tree.root == merkle.root_of(leaves) == reference_root(leaves)
    assert merkle.frontier_at(size, tree.read) == tree.frontier
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, tree.read)
        assert list(proof) == reference_path(index, leaves)
        assert merkle.inclusion_proof_of(leaves, index) == proof
        merkle.verify_inclusion(tree.root, size, index, leaves[index], proof)
    for old_size in range(1, size + 1):
        proof = merkle.consistency_proof(old_size, size, tree.read)
        assert list(proof) == reference_consistency(old_size, leaves)
        old_root = merkle.frontier_at(old_size, tree.read).root()
        assert old_root == reference_root(leaves[:old_size])
        merkle.verify_consistency(old_root, old_size, tree.root, size, proof)


@quick
@given(st.lists(st.integers(0, 40), max_size=8))
def test_appending_in_any_batches_gives_one_tree(batches: list[int]) -> None:
    frontier, nodes, size = Frontier(), list[Node](), 0
    for batch in batches:
        frontier, completed = frontier.extend(LEAVES[size : size + batch])
        nodes += completed
        size += len(LEAVES[size : size + batch])
    tree = Tree(LEAVES[:size])
    assert frontier == tree.frontier
    assert len(nodes) == len(tree.nodes) == sum(size >> level for level in range(10))
    assert {(level, index): digest for level, index, digest in nodes} == tree.nodes
    for (level, index), digest in tree.nodes.items():
        assert digest == reference_root(LEAVES[index << level : (index + 1) << level])
    decoder: Decoder[Frontier] = Decoder(Frontier)
    assert decoder.decode(encode(frontier)) == frontier


def test_appending_one_by_one_is_extending() -> None:
    frontier = Frontier()
    for size in range(70):
        assert frontier.root() == reference_root(LEAVES[:size])
        assert len(frontier.peaks) == size.bit_count()
        frontier, nodes = frontier.append(LEAVES[size])
        assert nodes[0] == (0, size, LEAVES[size])
        assert [level for level, _, _ in nodes] == list(range(len(nodes)))


@quick
@given(ranges())
def test_ranges_verify_and_read_only_complete_nodes(drawn: tuple[int, int, int]) -> None:
    size, start, end = drawn
    tree = Tree(LEAVES[:size])
    proof = merkle.range_proof(start, end, size, tree.read)
    assert merkle.range_proof_of(LEAVES[:size], start, end) == proof
    assert all((index + 1) << level <= size for level, index in tree.reads)
    merkle.verify_range(tree.root, size, start, LEAVES[start:end], proof)
    if end == start + 1:
        assert list(proof) == reference_path(start, LEAVES[:size])
    assert len(proof) <= 2 * size.bit_length()


# Forgeries


def mutations(proof: tuple[Digest, ...]) -> list[tuple[bytes, ...]]:
    """Return proofs that differ from `proof`: cut, longer, swapped, a bit flipped, odd lengths."""
    forged: list[tuple[bytes, ...]] = [(*proof, proof[-1] if proof else LEAVES[0])]
    forged.append((LEAVES[1], *proof))
    for at, digest in enumerate(proof):
        before, after = proof[:at], proof[at + 1 :]
        forged.append((*before, *after))
        forged.append((*before, bytes([digest[0] ^ 1]) + digest[1:], *after))
        forged.append((*before, digest[:-1] + bytes([digest[-1] ^ 0x80]), *after))
        forged += [(*before, digest[:-1], *after), (*before, digest + b"\0", *after)]
        forged.append((*before, b"", *after))
        forged.append((*before, digest, digest, *after))
    if len(dict.fromkeys(proof)) > 1:
        forged.append(tuple(reversed(proof)))
    return forged


@quick
@given(ranges(), st.integers(0, 2**32))
def test_forged_ranges_are_refused(drawn: tuple[int, int, int], seed: int) -> None:
    size, start, end = drawn
    tree = Tree(LEAVES[:size])
    leaves = LEAVES[start:end]
    proof = merkle.range_proof(start, end, size, tree.read)
    at = seed % len(leaves)
    claims: list[tuple[bytes, int, int, Sequence[bytes], Sequence[bytes]]] = [
        (tree.root, size, start, leaves, forged) for forged in mutations(proof)
    ]
    claims += [
        (LEAVES[0][::-1], size, start, leaves, proof),
        (tree.root[:31], size, start, leaves, proof),
        (tree.root, size, start, [*leaves[:at], LEAVES[299], *leaves[at + 1 :]], proof),
        (tree.root, size, start, [*leaves[:at], b"", *leaves[at + 1 :]], proof),
        (tree.root, size, start, [*leaves[:at], *leaves[at + 1 :]], proof),
        (tree.root, size, start, [*leaves[: at + 1], *leaves[at:]], proof),
        (tree.root, size, start, [], proof),
        (tree.root, size, -1, leaves, proof),
        (tree.root, size, size - len(leaves) + 1, leaves, proof),
        (tree.root, 0, start, leaves, proof),
        (tree.root, -size, start, leaves, proof),
        (tree.root, SIZE_MAX + 1, start, leaves, proof),
        (tree.root, SIZE_MAX, start, leaves, proof),
    ]
    if len(leaves) > 1:
        claims.append((tree.root, size, start, [*reversed(leaves)], proof))
    for root, claimed_size, claimed_start, hashes, path in claims:
        with pytest.raises(ProofError):
            merkle.verify_range(root, claimed_size, claimed_start, hashes, path)


@quick
@given(st.integers(1, 130), st.data())
def test_a_leaf_is_at_no_other_index(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size + 2))
    tree = Tree(LEAVES[:size])
    proof = merkle.inclusion_proof(index, size, tree.read)
    if other != index:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(tree.root, size, other, LEAVES[index], proof)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(tree.root, size, 2**70, LEAVES[index], proof)


@quick
@given(st.integers(1, 130), st.data())
def test_forged_consistency_is_refused(size: int, data: st.DataObject) -> None:
    old_size = data.draw(st.integers(1, size))
    tree = Tree(LEAVES[:size])
    old_root = reference_root(LEAVES[:old_size])
    proof = merkle.consistency_proof(old_size, size, tree.read)
    claims: list[tuple[bytes, int, bytes, int, Sequence[bytes]]] = [
        (old_root, old_size, tree.root, size, forged) for forged in mutations(proof)
    ]
    wrong = LEAVES[299]
    claims += [
        (wrong, old_size, tree.root, size, proof),
        (old_root, old_size, wrong, size, proof),
        (old_root[:31], old_size, tree.root, size, proof),
        (old_root, size + 1, tree.root, size, proof),
        (old_root, -1, tree.root, size, proof),
        (old_root, old_size, tree.root, SIZE_MAX + 1, proof),
        (old_root, 0, tree.root, size, proof),
    ]
    for claim in claims:
        with pytest.raises(ProofError):
            merkle.verify_consistency(*claim)


def test_a_rewritten_past_has_no_consistency_proof() -> None:
    honest, rewritten = Tree(LEAVES[:40]), Tree([*LEAVES[:7], LEAVES[200], *LEAVES[8:60]])
    for old_size in range(8, 41):
        old_root = reference_root(LEAVES[:old_size])
        proof = merkle.consistency_proof(old_size, 60, rewritten.read)
        with pytest.raises(ProofError, match="another root"):
            merkle.verify_consistency(old_root, old_size, rewritten.root, 60, proof)
    assert honest.root == reference_root(LEAVES[:40])


def test_the_empty_tree() -> None:
    tree = Tree(LEAVES[:5])
    merkle.verify_consistency(EMPTY_ROOT, 0, tree.root, 5, ())
    merkle.verify_consistency(EMPTY_ROOT, 0, EMPTY_ROOT, 0, ())
    assert merkle.consistency_proof(0, 5, tree.read) == ()
    assert merkle.root_of([]) == Frontier().root() == EMPTY_ROOT
    with pytest.raises(ProofError):
        merkle.verify_consistency(tree.root, 0, tree.root, 5, ())
    with pytest.raises(ProofError):
        merkle.verify_consistency(tree.root, 0, tree.root, 0, ())
    with pytest.raises(ProofError):
        merkle.verify_consistency(EMPTY_ROOT, 0, tree.root, 0, ())
    with pytest.raises(ProofError):
        merkle.verify_range(EMPTY_ROOT, 0, 0, (), ())


def test_nothing_is_proved_outside_the_tree() -> None:
    tree = Tree(LEAVES[:5])
    for start, end, size in [(0, 0, 5), (3, 2, 5), (0, 6, 5), (-1, 2, 5), (0, 1, 0), (0, 1, 2**63)]:
        with pytest.raises(ProofError):
            merkle.range_proof(start, end, size, tree.read)
    with pytest.raises(ProofError):
        merkle.inclusion_proof(5, 5, tree.read)
    with pytest.raises(ProofError):
        merkle.range_proof_of(LEAVES[:5], 4, 6)
    for old_size, size in [(6, 5), (-1, 5), (1, 2**63)]:
        with pytest.raises(ProofError):
            merkle.consistency_proof(old_size, size, tree.read)


def test_the_largest_tree_is_verified_in_few_steps() -> None:
    """Every loop is bounded by the levels, whatever sizes a forger writes."""
    path = [merkle.leaf_hash(bytes([level])) for level in range(63)]
    digest = LEAVES[0]
    for sibling in path:
        digest = merkle.node_hash(digest, sibling)
    merkle.verify_inclusion(digest, SIZE_MAX, 0, LEAVES[0], path)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(digest, SIZE_MAX, SIZE_MAX - 1, LEAVES[0], path)


def test_the_border_between_two_hashes_cannot_be_moved() -> None:
    """A node's preimage stays the same when a byte goes from one child to the other."""
    left, right = LEAVES[:2]
    root = merkle.node_hash(left, right)
    shorter, longer = left[:31], left[31:] + right
    assert merkle.node_hash(shorter, longer) == root
    with pytest.raises(ProofError, match="31 bytes"):
        merkle.verify_inclusion(root, 2, 0, shorter, (Digest(longer),))
    with pytest.raises(ProofError, match="33 bytes"):
        merkle.verify_inclusion(root, 2, 1, longer, (Digest(shorter),))
    with pytest.raises(ProofError, match="31 bytes"):
        merkle.verify_consistency(shorter, 1, root, 2, (Digest(longer),))


def test_a_node_is_never_a_leaf() -> None:
    tree = Tree(LEAVES[:4])
    inner = merkle.node_hash(LEAVES[0], LEAVES[1])
    with pytest.raises(ProofError):
        merkle.verify_inclusion(tree.root, 4, 0, inner, (tree.nodes[1, 1],))
    assert merkle.leaf_hash(LEAVES[0] + LEAVES[1]) != inner
