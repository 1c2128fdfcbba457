"""Trees as arrays that a program can walk quickly, made from the compact columns of `Trees`.

Shallow trees are padded to perfect ones of one depth: the children of node i are 2i+1 and 2i+2, so
that walking needs no branch and no child index. Deep trees keep their shape, with two child
indexes per node.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.exact.models import LEFT_IS_LEAF, RIGHT_IS_LEAF, Trees, tree_columns, tree_depths

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Thresholds = npt.NDArray[np.int32] | npt.NDArray[np.int64]

PERFECT_DEPTH_MAX = 8
"""Deepest trees that are padded; a perfect tree of this depth has 255 nodes and 256 leaves."""


@dataclass(frozen=True, slots=True)
class PerfectTrees:
    """Trees padded to one depth; padding compares feature 0 with 0 above leaves that are equal."""

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


def lay_out(trees: Trees, feature_count: int) -> PerfectTrees | SparseTrees:
    """Return the faster layout for trees whose form is checked."""
    sparse = lay_out_sparse(trees, feature_count)
    return sparse if sparse.depth > PERFECT_DEPTH_MAX else pad(sparse)


def lay_out_sparse(trees: Trees, feature_count: int) -> SparseTrees:
    """Return the trees in the layout with child indexes."""
    columns = tree_columns(trees, feature_count)
    flags = np.frombuffer(columns.leaf_flags, np.uint8)
    is_inner = np.stack((flags & LEFT_IS_LEAF == 0, flags & RIGHT_IS_LEAF == 0), axis=1)
    sizes = np.array(columns.tree_sizes, np.int64)
    starts = np.cumsum(sizes) - sizes
    # Every inner node but a root is the child of an earlier one, in the same order; so is every leaf.
    children = np.empty(is_inner.shape, np.int32)
    is_root = np.zeros(len(flags), np.bool_)
    is_root[starts[sizes > 0]] = True
    children[is_inner] = np.flatnonzero(~is_root)
    is_lone = np.repeat(sizes == 0, sizes + 1)
    children[~is_inner] = ~np.flatnonzero(~is_lone)
    first_leaves = starts + np.arange(len(sizes))
    wide = len(trees.thresholds) == 8 * len(flags) and len(flags) > 0
    return SparseTrees(
        depth=max(tree_depths(trees)),
        roots=np.where(sizes > 0, starts, ~first_leaves).astype(np.int32),
        features=np.array(columns.features, np.int32),
        thresholds=np.array(columns.thresholds, np.int64 if wide else np.int32),
        children=children,
        leaves=np.array(columns.leaves, np.int64),
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
