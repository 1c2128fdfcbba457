"""Writes the trees of a trained ensemble in the columns of an exact model.

A node of the source compares a function of one input. It becomes a comparison of the input itself:
the threshold is looked up through the function (`rows.boundary_keys`), a falling function swaps the
children, a set of categories becomes a yes or no, and where missing values go is written into what
fills them. A node at which every input goes one way is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack
from typing import NamedTuple

import numpy as np

from cairn.exact.models import (
    LEFT_IS_LEAF,
    RIGHT_IS_LEAF,
    Trees,
    feature_width,
    leaf_index_width,
)
from cairn.exact.schema import (
    FLOAT32_FILL_ABOVE,
    FLOAT32_FILL_BELOW,
    MISSING,
    UNKNOWN_CATEGORY,
    Column,
    Feature,
    IndicatorColumn,
    ValueColumn,
    arrange_columns,
)
from cairn.learning.conversion.errors import ConversionError, UnsupportedModelError
from cairn.learning.conversion.rows import (
    Booleans,
    Floats,
    Int64s,
    boundary_keys,
    encode_column,
    first_right,
    key_bounds,
)
from cairn.learning.conversion.sources import (
    LEAF,
    CategorySplit,
    SourceTree,
    TreeSource,
    goes_left,
)
from cairn.learning.conversion.symbols import NAN, Binned, Flag, Labels, Numbers, Symbol
from cairn.primitives.fixed import INT64_MAX, INT64_MIN, RAW_BITS

NODE_COUNT_MAX = 1_000_000
"""Nodes at which writing stops; no model of so many fits in an exact one."""

_CODES = {1: "B", 2: "H"}


class Test(NamedTuple):
    """What a node asks of an input: whether the column is at most the threshold."""

    column: Column
    threshold: int
    is_swapped: bool
    """Whether those who answer yes go right in the source."""


class Input(NamedTuple):
    """A feature and its place in the schema."""

    place: int
    feature: Feature


class Always(NamedTuple):
    """A node at which every input goes the same way."""

    left: bool


Answer = Test | Always


def write_trees(
    source: TreeSource, symbols: Sequence[Symbol], features: Sequence[Feature]
) -> tuple[Trees, tuple[Column, ...]]:
    """Return the trees and the columns that they compare.

    Leaves are rounded to 2^-32, half to even.

    Raises:
        ConversionError: A leaf or the base is not finite or too large, or there are too many nodes.
        UnsupportedModelError: A node compares what no exact column can hold.
    """
    answers = _answers(source, symbols, features)
    writer = _Writer()
    for tree, by_node in zip(source.trees, answers, strict=True):
        writer.add(tree, by_node)
    columns, places = _arrange(writer.tests, features)
    return (
        writer.finish(
            places=places,
            column_count=len(columns) or len(features),
            base=quantise(source.base),
            divisor=source.divisor,
        ),
        columns,
    )


def quantise(value: float) -> int:
    """Return a raw output as a multiple of 2^-32, rounded half to even.

    Raises:
        ConversionError: It is not finite or too large.
    """
    if not abs(value) < 2.0**30:  # also refuses NaN
        raise ConversionError(
            f"the model adds {value}, which is not a finite number below 2^30",
            hint="scale the target down before training",
        )
    return round(value * 2.0**RAW_BITS)


def is_plain(features: Sequence[Feature]) -> bool:
    """Return whether a body may read the inputs as they are, without columns."""
    return not any(feature.nullable or feature.kind == "category" for feature in features)


def _arrange(
    tests: Sequence[Test], features: Sequence[Feature]
) -> tuple[tuple[Column, ...], list[int]]:
    """Return the model's columns, and the place of each test's column among them."""
    wanted = [test.column for test in tests]
    if is_plain(features) and all(isinstance(column, ValueColumn) for column in wanted):
        return (), [column.feature for column in wanted]
    if not wanted:
        return (ValueColumn(0),), []
    columns, places = arrange_columns(wanted)
    return columns, list(places)


# --- nodes as tests of inputs --------------------------------------------------------------------


def _answers(
    source: TreeSource, symbols: Sequence[Symbol], features: Sequence[Feature]
) -> list[dict[int, Answer]]:
    """Return for each tree what its inner nodes ask."""
    answers: list[dict[int, Answer]] = [{} for _ in source.trees]
    by_column: dict[int, list[tuple[int, int]]] = {}
    for number, tree in enumerate(source.trees):
        for node in np.flatnonzero(tree.left != LEAF).tolist():
            by_column.setdefault(int(tree.features[node]), []).append((number, node))
    for place, nodes in by_column.items():
        symbol = symbols[place]
        at = Input(symbol.input, features[symbol.input])
        if isinstance(symbol, Numbers):
            made = _number_answers(source, nodes, symbol, at)
        else:
            made = _table_answers(source, nodes, symbol, at)
        for (number, node), answer in zip(nodes, made, strict=True):
            answers[number][node] = answer
    return answers


@dataclass(frozen=True, slots=True)
class _Sides:
    """Where the values of a column go at one node."""

    source: TreeSource
    tree: SourceTree
    node: int

    def of(self, values: Sequence[float]) -> list[bool]:
        found = goes_left(self.source, self.tree, self.node, np.array(values, np.float64))
        return [bool(side) for side in found]

    def one(self, value: float | None) -> bool:
        return self.of([NAN if value is None else value])[0]


def _number_answers(
    source: TreeSource, nodes: Sequence[tuple[int, int]], symbol: Numbers, at: Input
) -> list[Answer]:
    trees = source.trees
    if any(node in trees[number].categories for number, node in nodes):
        raise UnsupportedModelError(
            f"{at.feature.name} is split into sets after it was scaled",
            hint="leave categories unscaled",
        )
    thresholds = np.array([trees[number].thresholds[node] for number, node in nodes])
    missing_left = np.array([trees[number].missing_left[node] for number, node in nodes], bool)
    if symbol.missing is not None and not np.isnan(symbol.missing):
        missing_left = source.goes_left(np.full(len(nodes), symbol.missing), thresholds)

    def keeps_low(values: Floats) -> Booleans:
        is_left = source.goes_left(symbol.values(values), thresholds)
        return ~is_left if symbol.falls else is_left

    keys = boundary_keys(at.feature, keeps_low, len(nodes))
    return [
        _number_answer(at, key, missing_left=goes, is_swapped=symbol.falls)
        for key, goes in zip(keys.tolist(), missing_left.tolist(), strict=True)
    ]


def _table_answers(
    source: TreeSource,
    nodes: Sequence[tuple[int, int]],
    symbol: Labels | Flag | Binned,
    at: Input,
) -> list[Answer]:
    known: dict[tuple[float, bool, CategorySplit | None], Answer] = {}
    made: list[Answer] = []
    for number, node in nodes:
        tree = source.trees[number]
        asks = (
            float(tree.thresholds[node]),
            bool(tree.missing_left[node]),
            tree.categories.get(node),
        )
        if asks not in known:
            side = _Sides(source, tree, node)
            if isinstance(symbol, Labels):
                known[asks] = _label_answer(side, symbol, at)
            elif isinstance(symbol, Flag):
                known[asks] = _flag_answer(side, symbol, at)
            else:
                known[asks] = _bin_answer(side, symbol, at)
        made.append(known[asks])
    return made


def _number_answer(at: Input, key: int, *, missing_left: bool, is_swapped: bool) -> Answer:
    """Return the question whether a number is at most `key`."""
    feature = at.feature
    lowest, highest = key_bounds(feature)
    if lowest <= key < highest:
        if not feature.nullable:
            return Test(ValueColumn(at.place), key, is_swapped)
        below, above = INT64_MIN + 1, INT64_MAX
        if feature.kind == "float32":
            below, above = FLOAT32_FILL_BELOW, FLOAT32_FILL_ABOVE
        says_yes = missing_left != is_swapped
        fill = below if says_yes else above
        if fill == below and key < below:
            fill = key
        return Test(ValueColumn(at.place, fill), key, is_swapped)
    present_left = (key >= highest) != is_swapped
    if not feature.nullable or missing_left == present_left:
        return Always(present_left)
    return _members_answer(at, (MISSING,), members_left=missing_left)


def _members_answer(at: Input, members: Sequence[int], *, members_left: bool) -> Test:
    column = IndicatorColumn(at.place, tuple(sorted(members)))
    return Test(column, 0, is_swapped=members_left)


def _flag_answer(side: _Sides, symbol: Flag, at: Input) -> Answer:
    present_left, missing_left = side.of([symbol.present, symbol.missing])
    if not at.feature.nullable or present_left == missing_left:
        return Always(present_left)
    return _members_answer(at, (MISSING,), members_left=missing_left)


def _bin_answer(side: _Sides, symbol: Binned, at: Input) -> Answer:
    feature = at.feature
    lefts = side.of(symbol.bins)
    missing_left = side.one(symbol.missing)
    changes = [bin_ for bin_ in range(1, len(lefts)) if lefts[bin_] != lefts[bin_ - 1]]
    if not changes:
        if not feature.nullable or missing_left == lefts[0]:
            return Always(lefts[0])
        return _members_answer(at, (MISSING,), members_left=missing_left)
    if len(changes) > 1:
        raise UnsupportedModelError(
            f"trees behind one-hot bins of {feature.name} have no exact form",
            hint="use KBinsDiscretizer(encode='ordinal'), or give the trees the number itself",
        )
    key = bin_keys(feature, symbol)[changes[0] - 1]
    return _number_answer(at, key, missing_left=missing_left, is_swapped=not lefts[0])


def bin_keys(feature: Feature, symbol: Binned) -> list[int]:
    """Return the largest key below each edge.

    Edges are often values of the data. So an edge itself lies above, also where its key stands for
    a number that is a little smaller.
    """
    edges = np.array(symbol.edges, np.float64)
    if symbol.numbers.falls:
        raise UnsupportedModelError(
            f"{feature.name} is scaled by a negative number before it is binned",
            hint="bin the number itself",
        )

    def is_below(values: Floats) -> Booleans:
        below: Booleans = symbol.numbers.values(values) < edges
        return below

    keys = boundary_keys(feature, is_below, len(edges))
    firsts = first_right(is_below, len(edges))
    present = Feature(feature.name, feature.kind, feature.scale_bits)
    within = np.abs(firsts) < 2.0 ** (62 - feature.scale_bits)
    at_edges = encode_column(present, np.where(within, firsts, 0.0)) - 1
    lower: Int64s = np.where(within, np.minimum(keys, at_edges), keys)
    return [int(key) for key in lower]


def _label_answer(side: _Sides, symbol: Labels, at: Input) -> Answer:
    """Return the question whether the input is in the set of categories that go left."""
    feature = at.feature
    missing_left = side.one(symbol.missing)
    unknown_left = side.one(symbol.unknown)
    if feature.kind == "integer":
        return _integer_label_answer(side, symbol, at, missing_left=missing_left)
    lefts = side.of([label_value(feature, symbol, label) for label in feature.categories])
    if not feature.nullable:
        missing_left = lefts[0]
    if not feature.unknown_allowed:
        unknown_left = lefts[0]
    if len({*lefts, missing_left, unknown_left}) == 1:
        return Always(lefts[0])
    changes = [code for code in range(1, len(lefts)) if lefts[code] != lefts[code - 1]]
    if len(changes) == 1 and unknown_left == lefts[0]:
        fill = 0
        if feature.nullable:
            fill = changes[0] - (missing_left == lefts[0])
        column = ValueColumn(at.place, fill)
        return Test(column, changes[0] - 1, is_swapped=not lefts[0])
    inputs = [*range(len(lefts))]
    sides = list(lefts)
    if feature.nullable:
        inputs.append(MISSING)
        sides.append(missing_left)
    if feature.unknown_allowed:
        inputs.append(UNKNOWN_CATEGORY)
        sides.append(unknown_left)
    members_left = 2 * sum(sides) <= len(sides)
    members = [one for one, left in zip(inputs, sides, strict=True) if left == members_left]
    return _members_answer(at, members, members_left=members_left)


def _integer_label_answer(side: _Sides, symbol: Labels, at: Input, *, missing_left: bool) -> Answer:
    """Return the same of a whole number; those in no category go as the unknown ones."""
    feature = at.feature
    table = label_keys(feature, symbol)
    other_left = side.one(symbol.unknown) if symbol.unknown is not None else side.one(0.0)
    members = [
        key
        for key, left in zip(table, side.of(list(table.values())), strict=True)
        if left != other_left
    ]
    if feature.nullable and missing_left != other_left:
        members.append(MISSING)
    if not members:
        return Always(other_left)
    return _members_answer(at, members, members_left=not other_left)


def label_value(feature: Feature, symbol: Labels, label: str) -> float:
    """Return what a category of the feature becomes in one of the source's columns.

    Raises:
        UnsupportedModelError: The source refuses it there.
    """
    value = symbol.value_of(label)
    if value is None:
        raise UnsupportedModelError(
            f"{feature.name}: one step knows the category {label!r}, another refuses it",
            hint="give all encoders of a column the same categories, or handle_unknown='ignore'",
        )
    return value


def label_keys(feature: Feature, symbol: Labels) -> dict[int, float]:
    """Return what each whole number becomes that is used as a category.

    Raises:
        UnsupportedModelError: A category is no whole number.
    """
    try:
        return {int(label) << feature.scale_bits: value for label, value in symbol.values.items()}
    except ValueError as error:
        raise UnsupportedModelError(
            f"{feature.name} is used as a number and as a category that is none: {error}",
            hint="give the category as a column of its own",
        ) from error


# --- writing -------------------------------------------------------------------------------------


class _Writer:
    """Collects the columns, level by level within each tree."""

    def __init__(self) -> None:
        self.tests: list[Test] = []
        self._sizes: list[int] = []
        self._flags = bytearray()
        self._leaves: list[int] = []

    def add(self, source: SourceTree, answers: dict[int, Answer]) -> None:
        left, right = source.left.tolist(), source.right.tolist()
        values = source.values

        def settle(node: int) -> int:
            """Return the first node from here on that asks something, or the leaf."""
            while left[node] != LEAF:
                answer = answers[node]
                if isinstance(answer, Test):
                    break
                node = left[node] if answer.left else right[node]
            return node

        root = settle(0)
        if left[root] == LEAF:
            self._sizes.append(0)
            self._leaves.append(quantise(float(values[root])))
            return
        queue = [root]
        for node in queue:
            answer = answers[node]
            assert isinstance(answer, Test)
            children = (left[node], right[node])
            flags = 0
            for child, flag in zip(
                map(settle, reversed(children) if answer.is_swapped else children),
                (LEFT_IS_LEAF, RIGHT_IS_LEAF),
                strict=True,
            ):
                if left[child] == LEAF:
                    flags |= flag
                    self._leaves.append(quantise(float(values[child])))
                else:
                    queue.append(child)
            self._flags.append(flags)
            self.tests.append(answer)
            if len(self.tests) > NODE_COUNT_MAX:
                raise ConversionError(
                    f"the exact model has more than {NODE_COUNT_MAX} nodes",
                    hint="train fewer or smaller trees (max_leaf_nodes, min_samples_leaf)",
                )
        self._sizes.append(len(queue))

    def finish(self, *, places: Sequence[int], column_count: int, base: int, divisor: int) -> Trees:
        thresholds = [test.threshold for test in self.tests]
        narrow = all(-(2**31) <= threshold < 2**31 for threshold in thresholds)
        values = sorted(set(self._leaves))
        width = leaf_index_width(len(self._leaves), len(values))
        ranks = {value: rank for rank, value in enumerate(values)}
        return Trees(
            base=base,
            divisor=divisor,
            tree_sizes=_column("I", self._sizes),
            leaf_flags=bytes(self._flags),
            features=_column(_CODES[feature_width(column_count)], places),
            thresholds=_column("i" if narrow else "q", thresholds),
            leaf_values=_column("q", values if width else self._leaves),
            leaf_index=_column(_CODES[width], [ranks[leaf] for leaf in self._leaves])
            if width
            else b"",
        )


def _column(code: str, values: Sequence[int]) -> bytes:
    return pack(f"<{len(values)}{code}", *values)
