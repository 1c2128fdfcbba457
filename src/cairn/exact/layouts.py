"""Trees as arrays that a program can walk quickly, made from the compact columns of `Trees`.

Shallow trees are padded to perfect ones of one depth: the children of node i are 2i+1 and 2i+2, so
that walking needs no branch and no child index. Deep trees keep their shape, with two child
indexes per node.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.exact.models import (
    LEFT_IS_LEAF,
    RIGHT_IS_LEAF,
    Trees,
    feature_width,
    tree_depths,
)

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]
Thresholds = npt.NDArray[np.int32] | npt.NDArray[np.int64]

PERFECT_DEPTH_MAX = 8
"""Deepest trees that are padded; a perfect tree of this depth has 255 nodes and 256 leaves."""

PADDED_COUNT_FREE = 2**18
"""Leaves that padding may always come to, under 5 MB; beyond, it may double what there is."""


@dataclass(frozen=True, slots=True)
class PerfectTrees:
    """Trees padded to one depth; padding compares column 0 with 0 above leaves that are equal."""

    depth: int
    features: npt.NDArray[np.uint16]
    """Shape (trees, 2^depth - 1)."""
    thresholds: Thresholds
    """Same shape."""
    leaves: Int64s
    """Shape (trees, 2^depth)."""


@dataclass(frozen=True, slots=True)
class SparseTrees:
    """Trees of any shape; a child that is negative is the leaf `leaves[~child]`."""

    depth: int
    roots: Int32s
    """Shape (trees,)."""
    features: Int32s
    """Shape (nodes,), like the next two."""
    thresholds: Thresholds
    children: Int32s
    """Shape (nodes, 2): left, right."""
    leaves: Int64s


def lay_out(trees: Trees, column_count: int) -> PerfectTrees | SparseTrees:
    """Return the faster layout for trees whose form is checked."""
    sparse = lay_out_sparse(trees, column_count)
    padded_count = len(sparse.roots) << min(sparse.depth, PERFECT_DEPTH_MAX)
    is_small = padded_count <= max(PADDED_COUNT_FREE, 2 * len(sparse.leaves))
    return pad(sparse) if sparse.depth <= PERFECT_DEPTH_MAX and is_small else sparse


def lay_out_sparse(trees: Trees, column_count: int) -> SparseTrees:
    """Return the trees in the layout with child indexes."""
    flags = np.frombuffer(trees.leaf_flags, np.uint8)
    is_inner = np.stack((flags & LEFT_IS_LEAF == 0, flags & RIGHT_IS_LEAF == 0), axis=1)
    sizes = np.frombuffer(trees.tree_sizes, "<u4").astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    # Nodes and leaves are named in the order of their parents: the n-th inner child is the n-th
    # node that is no root, and the n-th leaf child the n-th leaf that is no tree by itself.
    is_child = np.ones(len(flags), np.bool_)
    is_child[starts[sizes > 0]] = False
    is_leaf_child = np.repeat(sizes > 0, sizes + 1)
    children = np.empty(is_inner.shape, np.int32)
    children[is_inner] = np.flatnonzero(is_child)
    children[~is_inner] = ~np.flatnonzero(is_leaf_child)
    first_leaves = starts + np.arange(len(sizes))
    stored = "<i8" if len(trees.thresholds) == 8 * len(flags) else "<i4"
    return SparseTrees(
        depth=max(tree_depths(trees)),
        roots=np.where(sizes > 0, starts, ~first_leaves).astype(np.int32),
        features=_integers(trees.features, f"<u{feature_width(column_count)}", np.int32),
        thresholds=_integers(trees.thresholds, stored, np.int64 if stored == "<i8" else np.int32),
        children=children,
        leaves=_leaves(trees, leaf_count=len(flags) + len(sizes)),
    )


def pad(sparse: SparseTrees) -> PerfectTrees:
    """Return the same trees padded to perfect ones of the depth of the deepest."""
    tree_count, depth = len(sparse.roots), sparse.depth
    features = np.zeros((tree_count, (1 << depth) - 1), np.uint16)
    thresholds = np.zeros(features.shape, sparse.thresholds.dtype)
    leaves = np.empty((tree_count, 1 << depth), np.int64)
    tree, position = np.arange(tree_count), np.zeros(tree_count, np.int64)
    node = sparse.roots
    for level in range(depth + 1):
        is_leaf = node < 0
        width = 1 << (depth - level)
        below = (position[is_leaf] - (1 << level) + 1)[:, None] * width + np.arange(width)
        leaves[tree[is_leaf, None], below] = sparse.leaves[~node[is_leaf]][:, None]
        tree, position, node = tree[~is_leaf], position[~is_leaf], node[~is_leaf]
        features[tree, position] = sparse.features[node]
        thresholds[tree, position] = sparse.thresholds[node]
        tree = np.repeat(tree, 2)
        position = (2 * position[:, None] + (1, 2)).ravel()
        node = sparse.children[node].ravel()
    return PerfectTrees(depth, features, thresholds, leaves)


def _leaves(trees: Trees, *, leaf_count: int) -> Int64s:
    values: Int64s = _integers(trees.leaf_values, "<i8", np.int64)
    if not trees.leaf_index:
        return values
    places = np.frombuffer(trees.leaf_index, f"<u{len(trees.leaf_index) // leaf_count}")
    return values[places.astype(np.intp)]


def _integers(column: bytes, stored: str, used: type[np.signedinteger[Any]]) -> npt.NDArray[Any]:
    return np.frombuffer(column, stored).astype(used)
