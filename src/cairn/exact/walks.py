"""Loops over trees with NumPy alone: every row in every tree goes down one level at a time."""

import numpy as np

from cairn.exact.layouts import Int64s, PerfectTrees, SparseTrees

_PAIR_COUNT = 32_768
"""Pairs of row and tree that go down together, so that they stay in the cache."""


def sum_leaves(layout: PerfectTrees | SparseTrees, rows: Int64s) -> Int64s:
    """Return for each row the sum of the leaves that it reaches."""
    sums = np.empty(len(rows), np.int64)
    if isinstance(layout, PerfectTrees):
        step = max(1, _PAIR_COUNT // len(layout.leaves))
        for start in range(0, len(rows), step):
            sums[start : start + step] = _walk_perfect(layout, rows[start : start + step])
    else:
        step = max(1, _PAIR_COUNT // len(layout.roots))
        for start in range(0, len(rows), step):
            sums[start : start + step] = _walk_sparse(layout, rows[start : start + step])
    return sums


def _walk_perfect(layout: PerfectTrees, rows: Int64s) -> Int64s:
    tree_count, inner = layout.features.shape
    features, thresholds = layout.features.ravel().astype(np.intp), layout.thresholds.ravel()
    first = np.arange(tree_count) * inner
    node = np.zeros((len(rows), tree_count), np.int64)
    for _ in range(layout.depth):
        place = first + node
        compared = np.take_along_axis(rows, features[place], axis=1)
        node = 2 * node + 1 + (compared > thresholds[place])
    # The leaves of tree t begin at t * (inner + 1), and leaf 0 is node `inner`.
    sums: Int64s = layout.leaves.ravel()[node + first + np.arange(tree_count) - inner].sum(axis=1)
    return sums


def _walk_sparse(layout: SparseTrees, rows: Int64s) -> Int64s:
    children = layout.children.ravel()
    node = np.tile(layout.roots, len(rows))
    pair = np.flatnonzero(node >= 0)
    row = pair // len(layout.roots)
    while len(pair):
        inner = node[pair]
        right = rows[row, layout.features[inner]] > layout.thresholds[inner]
        below = children[2 * inner + right]
        node[pair] = below
        still = below >= 0
        pair, row = pair[still], row[still]
    sums: Int64s = layout.leaves[~node].reshape(len(rows), -1).sum(axis=1)
    return sums
