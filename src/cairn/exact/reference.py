"""The arithmetic of exact models, readable, in plain integers, without NumPy.

This is the specification: the compiled and the vectorised scorers must give the same bits, and a
stand-alone verifier replays scores with it.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from cairn.exact.models import (
    LEFT_IS_LEAF,
    MISSING,
    RIGHT_IS_LEAF,
    Column,
    ExactModel,
    Linear,
    Scorecard,
    TreeColumns,
    Trees,
    ValueColumn,
    check_row,
    column_count,
    tree_columns,
)
from cairn.primitives.fixed import PPM, RAW_BITS, halving_ppm, sigmoid_ppm

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
            self._trees = unpack_trees(model.body, column_count(model))

    def score(self, row: Sequence[int]) -> tuple[int, int]:
        """Return the raw output in 2^-32 and the score in parts per million.

        Raises:
            ModelInputError: The row does not fit the input schema.
        """
        check_row(self._model, row)
        values = column_values(self._model, row)
        body = self._model.body
        if isinstance(body, Scorecard):
            raw = scorecard_raw(body, values)
        elif isinstance(body, Linear):
            raw = linear_raw(body, values)
        else:
            total = body.base + sum(_leaf(tree, values) for tree in self._trees)
            raw = (total + body.divisor // 2) // body.divisor
        return raw, score_of_raw(raw, self._model.link)


def score_one_pure(model: ExactModel, row: Sequence[int]) -> tuple[int, int]:
    """Return raw output and score of one row; `ReferenceScorer` does it for many."""
    return ReferenceScorer(model).score(row)


def score_of_raw(raw: int, link: str) -> int:
    """Return the score in parts per million of a raw output in 2^-32.

    `logistic` is `primitives.fixed.sigmoid_ppm`, `isolation` is `halving_ppm`, which takes what is
    below zero as zero; `identity` clips to 0..1 and rounds half up.
    """
    if link == "logistic":
        return sigmoid_ppm(raw)
    if link == "isolation":
        return halving_ppm(max(raw, 0))
    share = min(max(raw, 0), RAW_ONE)
    return (share * PPM + RAW_ONE // 2) >> RAW_BITS


def column_values(model: ExactModel, row: Sequence[int]) -> Sequence[int]:
    """Return the columns of a row that fits the input schema; without an input stage, the row."""
    return [_column_value(column, row[column.feature]) for column in model.columns] or row


def _column_value(column: Column, value: int) -> int:
    if isinstance(column, ValueColumn):
        return column.fill if value == MISSING else value
    place = bisect_left(column.members, value)
    return int(column.members[place : place + 1] == (value,))


def unpack_trees(trees: Trees, column_count: int) -> tuple[Tree, ...]:
    """Return trees whose form is checked as linked nodes."""
    columns = tree_columns(trees, column_count)
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


def _leaf(tree: Tree, values: Sequence[int]) -> int:
    while isinstance(tree, Node):
        tree = tree.left if values[tree.feature] <= tree.threshold else tree.right
    return tree


def linear_raw(linear: Linear, values: Sequence[int]) -> int:
    """Return the raw output of a linear model on a row's columns; `Linear` states it."""
    total = 0
    for entry, value in zip(linear.weights, values, strict=True):
        total += entry.weight * min(max(value, entry.low), entry.high)
    return linear.base + (total >> linear.shift_bits)


def scorecard_raw(card: Scorecard, values: Sequence[int]) -> int:
    """Return the raw output of a scorecard on a row's columns; `Scorecard` states it."""
    points = card.base_points
    for entry in card.bins:
        points += entry.points[bisect_left(entry.upper_bounds, values[entry.column])]
    return card.base + points * card.raw_per_point
