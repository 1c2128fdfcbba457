"""The arithmetic of exact models, readable, in plain integers, without NumPy.

This is the specification: the compiled and the vectorised scorers must give the same bits, and a
stand-alone verifier replays scores with it.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from cairn.exact.models import (
    LEFT_IS_LEAF,
    RIGHT_IS_LEAF,
    ExactModel,
    Linear,
    Scorecard,
    TreeColumns,
    Trees,
    check_row,
    tree_columns,
)
from cairn.primitives.fixed import PPM, RAW_BITS, sigmoid_ppm

RAW_ONE = 1 << RAW_BITS
"""A raw output of one."""


class Node(NamedTuple):
    """One inner node with its children."""

    feature: int
    threshold: int
    left: "Node | int"
    """The child of rows at most the threshold: a node, or the value of a leaf."""
    right: "Node | int"


Tree = Node | int
"""A tree: its root, or the value of its only leaf."""


class ReferenceScorer:
    """Scores rows by walking the trees one comparison at a time.

    The form of the model is checked before.
    """

    def __init__(self, model: ExactModel) -> None:
        """Unpack the model's columns."""
        self._model = model
        self._trees: tuple[Tree, ...] = ()
        if isinstance(model.body, Trees):
            self._trees = unpack_trees(model.body, len(model.features))

    def score(self, row: Sequence[int]) -> tuple[int, int]:
        """Return the raw output in 2^-32 and the score in parts per million.

        Raises:
            ModelInputError: The row does not fit the input schema.
        """
        check_row(self._model, row)
        body = self._model.body
        if isinstance(body, Scorecard):
            raw = scorecard_raw(body, row)
        elif isinstance(body, Linear):
            raw = linear_raw(body, row)
        else:
            total = body.base + sum(_leaf(tree, row) for tree in self._trees)
            raw = (total + body.divisor // 2) // body.divisor
        return raw, score_of_raw(raw, self._model.link)


def score_one_pure(model: ExactModel, row: Sequence[int]) -> tuple[int, int]:
    """Return raw output and score of one row; `ReferenceScorer` does it for many."""
    return ReferenceScorer(model).score(row)


def score_of_raw(raw: int, link: str) -> int:
    """Return the score in parts per million of a raw output in 2^-32.

    `logistic` is `primitives.fixed.sigmoid_ppm`; `identity` clips to 0..1 and rounds half up.
    """
    if link == "logistic":
        return sigmoid_ppm(raw)
    share = min(max(raw, 0), RAW_ONE)
    return (share * PPM + RAW_ONE // 2) >> RAW_BITS


def unpack_trees(trees: Trees, feature_count: int) -> tuple[Tree, ...]:
    """Return trees whose form is checked as linked nodes."""
    columns = tree_columns(trees, feature_count)
    unpacked = []
    first_node, first_leaf = 0, 0
    for size in columns.tree_sizes:
        unpacked.append(_unpack_tree(columns, first_node, first_leaf, size=size))
        first_node += size
        first_leaf += size + 1
    return tuple(unpacked)


def _unpack_tree(columns: TreeColumns, first_node: int, first_leaf: int, *, size: int) -> Tree:
    leaves = iter(columns.leaves[first_leaf : first_leaf + size + 1])
    if not size:
        return next(leaves)
    # Leaves are named in the order of their parents; None stands for a child that is a node.
    children: list[Tree | None] = []
    for flags in columns.leaf_flags[first_node : first_node + size]:
        children.append(next(leaves) if flags & LEFT_IS_LEAF else None)
        children.append(next(leaves) if flags & RIGHT_IS_LEAF else None)
    # So are the nodes: made from the last to the first, each finds its children made, in order.
    made: list[Node] = []
    claimed = 0
    for place in range(size - 1, -1, -1):
        left, right = children[2 * place : 2 * place + 2]
        if right is None:
            right = made[claimed]
            claimed += 1
        if left is None:
            left = made[claimed]
            claimed += 1
        node = first_node + place
        made.append(Node(columns.features[node], columns.thresholds[node], left, right))
    return made[-1]


def _leaf(tree: Tree, row: Sequence[int]) -> int:
    while isinstance(tree, Node):
        tree = tree.left if row[tree.feature] <= tree.threshold else tree.right
    return tree


def linear_raw(linear: Linear, row: Sequence[int]) -> int:
    """Return the raw output of a linear model; `Linear` states it."""
    total = 0
    for entry, value in zip(linear.weights, row, strict=True):
        total += entry.weight * min(max(value, entry.low), entry.high)
    return linear.base + (total >> linear.shift_bits)


def scorecard_raw(card: Scorecard, row: Sequence[int]) -> int:
    """Return the raw output of a scorecard; `Scorecard` states it."""
    points = card.base_points
    for entry in card.bins:
        points += entry.points[bisect_left(entry.upper_bounds, row[entry.feature])]
    return card.base + points * card.raw_per_point
