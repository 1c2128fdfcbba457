"""Compiled loops over trees and over the input stage; imported only where Numba is installed.

In perfect trees four rows are walked at a time, and for a single row four trees, because each step
waits for the one before it while the four chains do not wait for each other. Sums stay within int64
by `models.check_form`.

Nothing is cached on disk: compiling takes well under a second, and Numba's cache unpickles files
and can, when two processes write it at once, hand out code that was compiled for another type.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from cairn.exact.models import MISSING, UNKNOWN_CATEGORY
from cairn.exact.stages import IS_EQUAL, IS_LISTED, IS_VALUE, TABLE_FIRST, StageArrays

Int64s = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

_BATCH_ROWS = 256

_compile: Callable[[Callable[..., Any]], Callable[..., Any]] = numba.njit(
    nogil=True, boundscheck=False, error_model="numpy"
)


@_compile
def sum_perfect_one(
    row: Int64s, features: Array, thresholds: Array, leaves: Int64s, depth: int
) -> int:
    """Return the sum of the leaves that one row reaches in perfect trees."""
    tree_count, inner = features.shape
    total = 0
    fours = tree_count - tree_count % 4
    for tree in range(0, fours, 4):
        node0 = node1 = node2 = node3 = 0
        for _ in range(depth):
            right0 = row[features[tree, node0]] > thresholds[tree, node0]
            right1 = row[features[tree + 1, node1]] > thresholds[tree + 1, node1]
            right2 = row[features[tree + 2, node2]] > thresholds[tree + 2, node2]
            right3 = row[features[tree + 3, node3]] > thresholds[tree + 3, node3]
            node0 = 2 * node0 + 1 + right0
            node1 = 2 * node1 + 1 + right1
            node2 = 2 * node2 + 1 + right2
            node3 = 2 * node3 + 1 + right3
        total += leaves[tree, node0 - inner] + leaves[tree + 1, node1 - inner]
        total += leaves[tree + 2, node2 - inner] + leaves[tree + 3, node3 - inner]
    for tree in range(fours, tree_count):
        node = 0
        for _ in range(depth):
            node = 2 * node + 1 + (row[features[tree, node]] > thresholds[tree, node])
        total += leaves[tree, node - inner]
    return total


@_compile
def sum_perfect(
    rows: Int64s, features: Array, thresholds: Array, leaves: Int64s, depth: int
) -> Int64s:
    """Return for each row the sum of the leaves that it reaches in perfect trees."""
    row_count, (tree_count, inner) = rows.shape[0], features.shape
    sums = np.empty(row_count, np.int64)
    fours = row_count - row_count % 4
    for row in range(0, fours, 4):
        sum0 = sum1 = sum2 = sum3 = 0
        for tree in range(tree_count):
            node0 = node1 = node2 = node3 = 0
            for _ in range(depth):
                right0 = rows[row, features[tree, node0]] > thresholds[tree, node0]
                right1 = rows[row + 1, features[tree, node1]] > thresholds[tree, node1]
                right2 = rows[row + 2, features[tree, node2]] > thresholds[tree, node2]
                right3 = rows[row + 3, features[tree, node3]] > thresholds[tree, node3]
                node0 = 2 * node0 + 1 + right0
                node1 = 2 * node1 + 1 + right1
                node2 = 2 * node2 + 1 + right2
                node3 = 2 * node3 + 1 + right3
            sum0 += leaves[tree, node0 - inner]
            sum1 += leaves[tree, node1 - inner]
            sum2 += leaves[tree, node2 - inner]
            sum3 += leaves[tree, node3 - inner]
        sums[row], sums[row + 1], sums[row + 2], sums[row + 3] = sum0, sum1, sum2, sum3
    for row in range(fours, row_count):
        sums[row] = sum_perfect_one(rows[row], features, thresholds, leaves, depth)
    return sums


@_compile
def sum_sparse_one(
    row: Int64s, roots: Array, features: Array, thresholds: Array, children: Array, leaves: Int64s
) -> int:
    """Return the sum of the leaves that one row reaches in sparse trees."""
    total = 0
    for node in roots:
        while node >= 0:
            node = children[node, int(row[features[node]] > thresholds[node])]
        total += leaves[~node]
    return total


@_compile
def sum_sparse(
    rows: Int64s, roots: Array, features: Array, thresholds: Array, children: Array, leaves: Int64s
) -> Int64s:
    """Return for each row the sum of the leaves that it reaches in sparse trees.

    A batch of rows goes down each tree together; rows at a leaf drop out without a branch, so that
    the processor does not guess where each way ends.
    """
    row_count = rows.shape[0]
    sums = np.zeros(row_count, np.int64)
    nodes = np.empty(_BATCH_ROWS, np.int32)
    walkers = np.empty(_BATCH_ROWS, np.int64)
    for root in roots:
        for start in range(0, row_count, _BATCH_ROWS):
            count = min(_BATCH_ROWS, row_count - start)
            for place in range(count):
                nodes[place], walkers[place] = root, start + place
                if root < 0:
                    sums[start + place] += leaves[~root]
            if root < 0:
                continue
            while count > 0:
                kept = 0
                for place in range(count):
                    row, node = walkers[place], nodes[place]
                    node = children[node, int(rows[row, features[node]] > thresholds[node])]
                    if node < 0:
                        sums[row] += leaves[~node]
                    nodes[kept], walkers[kept] = node, row
                    kept += int(node >= 0)
                count = kept
    return sums


@_compile
def expand(rows: Int64s, stage: StageArrays) -> Int64s:
    """Return the columns of rows; an input that the schema does not allow is no member."""
    row_count, column_count = rows.shape[0], len(stage.features)
    values = np.empty((row_count, column_count), np.int64)
    for row in range(row_count):
        for place in range(column_count):
            value, kind = rows[row, stage.features[place]], stage.kinds[place]
            if kind == IS_VALUE:
                values[row, place] = stage.fills[place] if value == MISSING else value
            elif kind == IS_EQUAL:
                values[row, place] = value == stage.fills[place]
            elif kind == IS_LISTED:
                # Compared before anything is added to it, which could leave int64.
                is_within = UNKNOWN_CATEGORY <= value < stage.sizes[place] - TABLE_FIRST
                entry = TABLE_FIRST + value if is_within else 0
                is_listed = stage.table[stage.starts[place] + entry]
                values[row, place] = is_listed if is_within or value == MISSING else 0
            else:
                # The last member that is at most the value, or the first of all.
                start, left = stage.starts[place], stage.sizes[place]
                while left > 1:
                    half = left // 2
                    start = start + half if stage.members[start + half] <= value else start
                    left -= half
                values[row, place] = stage.members[start] == value
    return values
