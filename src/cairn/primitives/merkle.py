"""Append-only Merkle trees: roots, and proofs of inclusion, of ranges and of consistency.

The rule: a leaf is hashed as SHA-256(0x00 || data), a node as SHA-256(0x01 || left || right), and
the root of n leaves splits at the largest power of two below n. Bottom up that is: pair the nodes
of a level from the left, and promote an odd last node unchanged. A root does not bind its size, so
whoever signs a root signs the size beside it.

A range proof lists, from the leaves up, the neighbours that a verifier lacks: at each level first
the one on the left, then the one on the right. The proof of one leaf is its RFC 6962 audit path.

Source: RFC 6962, section 2.1, and RFC 9162, section 2.1.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

from cairn.primitives.encoding import Record
from cairn.primitives.errors import ProofError
from cairn.primitives.hashes import DIGEST_SIZE_BYTES, Digest

SIZE_MAX = 2**63 - 1
"""Largest number of leaves; it bounds the levels of every loop here to 64."""

NodeReader = Callable[[int, int], Digest]
"""Returns the hash of the complete node (level, index), which covers `2**level` leaves."""

Node = tuple[int, int, Digest]
"""A complete node: level (0 for a leaf hash), index within the level, hash."""

_sha256 = hashlib.sha256

EMPTY_ROOT = Digest(_sha256(b"").digest())


def leaf_hash(data: bytes) -> Digest:
    """Return the hash of a leaf that holds `data`."""
    return Digest(_sha256(b"\x00" + data).digest())


def node_hash(left: bytes, right: bytes) -> Digest:
    """Return the hash of the node over two child hashes."""
    return Digest(_sha256(b"\x01" + left + right).digest())


def _hash_pairs(hashes: list[Digest]) -> list[Digest]:
    """Return the parents of an even number of neighbouring hashes."""
    sha256 = _sha256
    pairs = zip(hashes[::2], hashes[1::2], strict=True)
    return cast("list[Digest]", [sha256(b"\x01" + a + b).digest() for a, b in pairs])


def _fold_right(peaks: Sequence[bytes]) -> Digest:
    """Return the root over perfect subtrees given from left (largest) to right (smallest)."""
    root = Digest(peaks[-1])
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


class Frontier(Record):
    """What appending needs to know of a tree: its size and its perfect subtrees, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()
    """One hash for each set bit of `size`, from the highest bit to the lowest."""

    def append(self, hash_of_leaf: Digest) -> tuple["Frontier", list[Node]]:
        """Return the frontier with one leaf more, and the nodes that this leaf completes."""
        return self.extend((hash_of_leaf,))

    def extend(self, leaf_hashes: Iterable[Digest]) -> tuple["Frontier", list[Node]]:
        """Return the frontier after appending `leaf_hashes` in order, and all nodes completed.

        The nodes come level by level, by index within a level, the leaf hashes first.
        """
        current = list(leaf_hashes)
        size = self.size + len(current)
        peaks = list(self.peaks)
        peaks_new: list[bytes] = []
        nodes: list[Node] = []
        level, start = 0, self.size
        while current:
            nodes += [(level, index, node) for index, node in enumerate(current, start)]
            if start & 1:
                current.insert(0, Digest(peaks.pop()))
            if len(current) & 1:
                peaks_new.append(current.pop())
            current = _hash_pairs(current)
            level, start = level + 1, start >> 1
        return Frontier(size=size, peaks=(*peaks, *reversed(peaks_new))), nodes

    def root(self) -> Digest:
        """Return the root of the tree."""
        return _fold_right(self.peaks) if self.peaks else EMPTY_ROOT


def frontier_at(size: int, read: NodeReader) -> Frontier:
    """Return the frontier that a tree had when it held `size` leaves."""
    return Frontier(size=size, peaks=tuple(_peaks(0, size, read)))


def root_of(leaf_hashes: Iterable[Digest]) -> Digest:
    """Return the root over leaf hashes that are in memory."""
    current = list(leaf_hashes)
    if not current:
        return EMPTY_ROOT
    while len(current) > 1:
        current = _parents(current)
    return current[0]


# Proving


def inclusion_proof(index: int, size: int, read: NodeReader) -> tuple[Digest, ...]:
    """Return the audit path of leaf `index` in the tree of `size` leaves, from the leaf up.

    Raises:
        ProofError: There is no such leaf.
    """
    return range_proof(index, index + 1, size, read)


def range_proof(start: int, end: int, size: int, read: NodeReader) -> tuple[Digest, ...]:
    """Return the hashes that, with the leaves [start, end), lead to the root of `size` leaves.

    Raises:
        ProofError: The range is empty or not within the tree.
    """
    _check_range(start, end, size)
    proof: list[Digest] = []
    level = 0
    while level < (size - 1).bit_length():
        width = ((size - 1) >> level) + 1
        if start & 1:
            proof.append(read(level, start - 1))
        if end & 1 and end < width:
            proof.append(_node_at(level, end, size, read))
        level, start, end = level + 1, start >> 1, (end + 1) >> 1
    return tuple(proof)


def consistency_proof(old_size: int, size: int, read: NodeReader) -> tuple[Digest, ...]:
    """Return the proof that the tree of `size` leaves begins with the tree of `old_size` leaves.

    It is empty when the sizes are equal, and when the old tree is empty.

    Raises:
        ProofError: The old tree is not smaller than or equal to the new one.
    """
    _check_sizes(old_size, size)
    if old_size in (0, size):
        return ()
    # Start at the last complete subtree of the old tree, and climb to the root of the new one.
    level = (old_size & -old_size).bit_length() - 1
    index = (old_size - 1) >> level
    proof = [read(level, index)] if index else []
    while level < (size - 1).bit_length():
        if index & 1:
            proof.append(read(level, index - 1))
        elif index < (size - 1) >> level:
            proof.append(_node_at(level, index + 1, size, read))
        level, index = level + 1, index >> 1
    return tuple(proof)


def inclusion_proof_of(leaf_hashes: Sequence[Digest], index: int) -> tuple[Digest, ...]:
    """Return the audit path of leaf `index` of a tree whose leaf hashes are in memory."""
    return range_proof_of(leaf_hashes, index, index + 1)


def range_proof_of(leaf_hashes: Sequence[Digest], start: int, end: int) -> tuple[Digest, ...]:
    """Return the range proof of the leaves [start, end) of a tree that is in memory."""
    current = list(leaf_hashes)
    _check_range(start, end, len(current))
    proof: list[Digest] = []
    while len(current) > 1:
        if start & 1:
            proof.append(current[start - 1])
        if end & 1 and end < len(current):
            proof.append(current[end])
        current = _parents(current)
        start, end = start >> 1, (end + 1) >> 1
    return tuple(proof)


def _parents(hashes: list[Digest]) -> list[Digest]:
    """Return the next level up, an odd last node promoted."""
    if len(hashes) & 1:
        return [*_hash_pairs(hashes[:-1]), hashes[-1]]
    return _hash_pairs(hashes)


def _peaks(start: int, end: int, read: NodeReader) -> list[Digest]:
    """Return the hashes of the perfect subtrees of leaves [start, end), largest first.

    `start` is a multiple of a power of two that is at least `end - start`, or 0.
    """
    peaks: list[Digest] = []
    for level in reversed(range((end - start).bit_length())):
        if (end - start) >> level & 1:
            peaks.append(read(level, start >> level))
            start += 1 << level
    return peaks


def _node_at(level: int, index: int, size: int, read: NodeReader) -> Digest:
    """Return the node (level, index) of a tree, which at its right edge may be incomplete."""
    start, end = index << level, (index + 1) << level
    return read(level, index) if end <= size else _fold_right(_peaks(start, size, read))


# Verifying


def verify_inclusion(
    root: bytes, size: int, index: int, hash_of_leaf: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `size` leaves under `root` has this leaf hash at `index`.

    Raises:
        ProofError: It does not, or the proof is not the one audit path of that leaf.
    """
    verify_range(root, size, index, (hash_of_leaf,), proof)


def verify_range(
    root: bytes, size: int, start: int, leaf_hashes: Sequence[bytes], proof: Sequence[bytes]
) -> None:
    """Check that `leaf_hashes` are the leaves from `start` on in the tree of `size` leaves.

    Raises:
        ProofError: The range is empty or not within the tree; a hash is not 32 bytes; the proof has
            too few or too many hashes; the root differs.
    """
    end = start + len(leaf_hashes)
    _check_range(start, end, size)
    _check_hashes((root, *leaf_hashes, *proof))
    current = cast("list[Digest]", list(leaf_hashes))
    rest = iter(cast("Sequence[Digest]", proof))
    for level in range((size - 1).bit_length()):
        width = ((size - 1) >> level) + 1
        if start & 1:
            current.insert(0, _next(rest))
        if end & 1 and end < width:
            current.append(_next(rest))
        current = _parents(current)
        start, end = start >> 1, (end + 1) >> 1
    _check_end(rest)
    _check_root(current[0], root)


def verify_consistency(
    old_root: bytes, old_size: int, root: bytes, size: int, proof: Sequence[bytes]
) -> None:
    """Check that the tree under `root` extends the tree under `old_root`.

    Raises:
        ProofError: The sizes are out of order; a hash is not 32 bytes; the proof has too few or too
            many hashes; one of the roots differs.
    """
    _check_sizes(old_size, size)
    _check_hashes((old_root, root, *proof))
    rest = iter(cast("Sequence[Digest]", proof))
    if old_size in (0, size):
        _check_end(rest)
        _check_root(old_root, EMPTY_ROOT if old_size == 0 else root)
        if size == 0:
            _check_root(root, EMPTY_ROOT)
        return
    level = (old_size & -old_size).bit_length() - 1
    index = (old_size - 1) >> level
    old_node = node = _next(rest) if index else Digest(old_root)
    while level < (size - 1).bit_length():
        if index & 1:
            left = _next(rest)
            old_node, node = node_hash(left, old_node), node_hash(left, node)
        elif index < (size - 1) >> level:
            node = node_hash(node, _next(rest))
        level, index = level + 1, index >> 1
    _check_end(rest)
    _check_root(old_node, old_root)
    _check_root(node, root)


def _check_range(start: int, end: int, size: int) -> None:
    if not 0 <= size <= SIZE_MAX:
        raise ProofError("the size of the tree is out of range")
    if not 0 <= start < end <= size:
        raise ProofError(f"no leaves from {start} to {end} in a tree of {size}")


def _check_sizes(old_size: int, size: int) -> None:
    if not 0 <= old_size <= size <= SIZE_MAX:
        raise ProofError(f"a tree of {size} leaves cannot extend one of {old_size}")


def _check_hashes(hashes: Iterable[bytes]) -> None:
    for digest in hashes:
        if len(digest) != DIGEST_SIZE_BYTES:
            raise ProofError(f"a hash of {len(digest)} bytes")


def _next(rest: Iterator[Digest]) -> Digest:
    digest = next(rest, None)
    if digest is None:
        raise ProofError("the proof has too few hashes")
    return digest


def _check_end(rest: Iterator[Digest]) -> None:
    if next(rest, None) is not None:
        raise ProofError("the proof has too many hashes")


def _check_root(computed: bytes, root: bytes) -> None:
    if computed != root:
        raise ProofError("the proof leads to another root")
