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
    """Scores rows by walking the trees one comparison at a time; for models whose form is checked."""

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
            raw = _scorecard_raw(body, row)
        elif isinstance(body, Linear):
            raw = _linear_raw(body, row)
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
    """Return the trees as linked nodes, made from the last node to the first."""
    columns = tree_columns(trees, feature_count)
    nodes: list[Node] = []
    unpacked: list[Tree] = []
    node, leaf = len(columns.thresholds), len(columns.leaves)
    for size in reversed(columns.tree_sizes):
        if not size:
            leaf -= 1
            unpacked.append(columns.leaves[leaf])
            continue
        # Children come after their parent and are read backwards: `queue` holds those not yet
        # claimed, the last of the tree first, and each node takes its own from the far end.
        nodes = []
        child = size
        for position in range(node - 1, node - size - 1, -1):
            flags = columns.leaf_flags[position]
            right: Tree
            left: Tree
            if flags & RIGHT_IS_LEAF:
                leaf -= 1
                right = columns.leaves[leaf]
            else:
                child -= 1
                right = nodes[size - 1 - child]
            if flags & LEFT_IS_LEAF:
                leaf -= 1
                left = columns.leaves[leaf]
            else:
                child -= 1
                left = nodes[size - 1 - child]
            nodes.append(Node(columns.features[position], columns.thresholds[position], left, right))
        node -= size
        unpacked.append(nodes[-1])
    return tuple(reversed(unpacked))


def _leaf(tree: Tree, row: Sequence[int]) -> int:
    while isinstance(tree, Node):
        tree = tree.left if row[tree.feature] <= tree.threshold else tree.right
    return tree


def _linear_raw(linear: Linear, row: Sequence[int]) -> int:
    total = 0
    for entry, value in zip(linear.weights, row, strict=True):
        total += entry.weight * min(max(value, entry.low), entry.high)
    return linear.base + (total >> linear.shift_bits)


def _scorecard_raw(card: Scorecard, row: Sequence[int]) -> int:
    points = card.base_points
    for entry in card.bins:
        points += entry.points[bisect_left(entry.upper_bounds, row[entry.feature])]
    return card.base + points * card.raw_per_point
