"""Exact models: their canonical records, the limits on them and the check of their form.

A model maps a row of int64 inputs to a raw output, an int64 counted in 2^-32, and to a score in
parts per million. Every step is integer arithmetic with stated rounding, and `check_form` proves
for each model that no step can leave int64, whatever the row. `reference` is the readable
specification of the arithmetic, `scoring` the fast one.

What the integer of an input stands for is the feature's kind:

- `integer`: the value times 2^scale_bits, rounded half to even by whoever makes the row.
- `float32`: the value's float32 bits `i`, mapped by `i ^ ((i >> 31) & 0x7fffffff)` to an int32
  that sorts like the float. NaN is not allowed, and -0 is written +0.
- `category`: the index of the text in the feature's list, or `UNKNOWN_CATEGORY` for a text that is
  not in the list, where the feature allows it.

Where a feature is nullable, `MISSING` stands for no value. Nowhere else is it an input.

The body compares or weights *columns*. Without an input stage these are the inputs as they are;
else each is the value of an input, with what stands in for a missing one, or a yes or no: whether
the input is one of stated members. A tree that sends missing values left in one node and right in
another reads two columns of one feature: one filled below every value, one above.

One layout serves trees of every depth. Inner nodes are listed tree by tree, and within a tree level
by level, left before right, so that the position of every child follows from two bits per node and
no index can point out of range, backwards or to a shared node. Columns are little-endian and as
narrow as the values allow. One model has one spelling.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from struct import unpack
from typing import Final, Literal

from cairn.exact.errors import ModelFormError, ModelInputError
from cairn.exact.schema import CATEGORY_COUNT_MAX as CATEGORY_COUNT_MAX
from cairn.exact.schema import CATEGORY_SIZE_CHARACTERS_MAX as CATEGORY_SIZE_CHARACTERS_MAX
from cairn.exact.schema import CATEGORY_TOTAL_MAX as CATEGORY_TOTAL_MAX
from cairn.exact.schema import COLUMN_COUNT_MAX as COLUMN_COUNT_MAX
from cairn.exact.schema import FEATURE_COUNT_MAX as FEATURE_COUNT_MAX
from cairn.exact.schema import FLOAT32_FILL_ABOVE as FLOAT32_FILL_ABOVE
from cairn.exact.schema import FLOAT32_FILL_BELOW as FLOAT32_FILL_BELOW
from cairn.exact.schema import FLOAT32_KEY_MAX as FLOAT32_KEY_MAX
from cairn.exact.schema import FLOAT32_KEY_MIN as FLOAT32_KEY_MIN
from cairn.exact.schema import FLOAT32_KEY_MINUS_ZERO as FLOAT32_KEY_MINUS_ZERO
from cairn.exact.schema import MEMBER_TOTAL_MAX as MEMBER_TOTAL_MAX
from cairn.exact.schema import MISSING as MISSING
from cairn.exact.schema import SCALE_BITS_MAX as SCALE_BITS_MAX
from cairn.exact.schema import UNKNOWN_CATEGORY as UNKNOWN_CATEGORY
from cairn.exact.schema import Column as Column
from cairn.exact.schema import Feature as Feature
from cairn.exact.schema import IndicatorColumn as IndicatorColumn
from cairn.exact.schema import ValueColumn as ValueColumn
from cairn.exact.schema import arrange_columns as arrange_columns
from cairn.exact.schema import check_columns, check_features, refusal
from cairn.exact.schema import column_order as column_order
from cairn.exact.schema import is_input as is_input
from cairn.primitives.encoding import Decoder, Record, encode

FORMAT_VERSION: Final = 1
"""Version of this format; a kind of feature or body that is added later takes the next one."""

MODEL_SIZE_BYTES_MAX: Final = 4_000_000
TREE_COUNT_MAX: Final = 4_096
TREE_DEPTH_MAX: Final = 64
STEP_COUNT_MAX: Final = 131_072
"""Most comparisons that one row can cost, the depths of all trees added up."""

BIN_COUNT_MAX: Final = 256
"""Most bins of one column in a scorecard."""

BIN_TOTAL_MAX: Final = 262_144
"""Most bins of all columns of a scorecard together."""

ELEMENT_COUNT_MAX: Final = (
    32  # the fields of the model and of its body
    + 7 * FEATURE_COUNT_MAX
    + CATEGORY_TOTAL_MAX
    + 4 * COLUMN_COUNT_MAX
    + MEMBER_TOTAL_MAX
    + 5 * COLUMN_COUNT_MAX  # an entry of a body for each column, beside its bins
    + 2 * BIN_TOTAL_MAX
)
"""Most elements of all arrays together in a model's bytes; no model within the limits has more."""

SHIFT_BITS_MAX: Final = 48
RAW_MAX: Final = 2**62
"""Bound on the magnitude of every sum inside a model, half of what int64 holds."""

_INT32_MAX: Final = 2**31 - 1
_INT32_MIN: Final = -(2**31)
_CHILD_COUNTS: Final = (2, 1, 1, 0)
"""Inner children of a node, by its leaf flags."""

_LOOKUP_STEPS: Final = 8

LEFT_IS_LEAF: Final = 1
RIGHT_IS_LEAF: Final = 2


class Bins(Record):
    """Points of one column of a scorecard.

    The value falls into the first bin whose upper bound it does not exceed, or else into the last.
    """

    column: int
    upper_bounds: tuple[int, ...]
    """Strictly ascending; a value equal to a bound belongs below it."""
    points: tuple[int, ...]
    """One more than there are bounds."""
    reference_points: int = 0
    """Points that count as no contribution: from here `explain` measures."""


class Scorecard(Record, tag="scorecard"):
    """Raw output: `base + (base_points + the points of every entry) * raw_per_point`."""

    base: int
    base_points: int
    raw_per_point: int
    bins: tuple[Bins, ...]
    """At most one entry per column, in ascending order of the column."""


class Weight(Record):
    """Weight of one column of a linear model."""

    low: int
    """Smaller values count as this."""
    high: int
    """Larger values count as this."""
    weight: int
    """What one unit of the value adds, in 2^-(32 + shift_bits)."""
    reference: int = 0
    """Value within `low` to `high` that counts as no contribution: from here `explain` measures."""


class Linear(Record, tag="linear"):
    """Raw output: `base + floor(sum of weight * clamped value / 2^shift_bits)`."""

    base: int
    shift_bits: int
    weights: tuple[Weight, ...]
    """One per column, in order; no column is the value of a `float32`."""


class Trees(Record, tag="trees"):
    """Raw output: `floor((base + the leaf of every tree) / divisor + 1/2)`.

    At an inner node a row goes left if its column is at most the threshold.
    """

    base: int
    divisor: int
    """1 for boosting, the number of trees for an average."""
    tree_sizes: bytes
    """Inner nodes of each tree, uint32; a tree without any is one leaf."""
    leaf_flags: bytes
    """Per inner node, uint8: bit 0: the left child is a leaf; bit 1: the right one is."""
    features: bytes
    """The column compared, per inner node: uint8, or uint16 if the model has more than 256."""
    thresholds: bytes
    """Per inner node, int32, or int64 if one of them needs it."""
    leaf_values: bytes
    """int64. Without `leaf_index`: per leaf. With it: the distinct values, ascending."""
    leaf_index: bytes
    """Per leaf its place in `leaf_values`, uint8 or uint16; empty unless that is smaller."""


class ExactModel(Record):
    """A model that consensus can recompute bit for bit."""

    version: int
    features: tuple[Feature, ...]
    link: Literal["identity", "logistic", "isolation"]
    """How the raw output becomes the score: as a share clipped to 0..1, through the sigmoid, or as
    2 to the power of its negative (the score of an isolation forest)."""
    body: Scorecard | Linear | Trees
    """What it indexes are columns."""
    columns: tuple[Column, ...] = ()
    """The input stage, ascending by `column_order`. Empty: one column per feature, the input as it
    is; so it is written wherever that says the same."""


class TreeColumns(Record):
    """The columns of `Trees` as integers, the same values whatever their width was."""

    tree_sizes: tuple[int, ...]
    leaf_flags: bytes
    features: Sequence[int]
    thresholds: tuple[int, ...]
    leaves: tuple[int, ...]
    """Value of every leaf, tree by tree, in the order in which the nodes name them."""


_decoder: Decoder[ExactModel] = Decoder(ExactModel, elements_max=ELEMENT_COUNT_MAX)


def encode_model(model: ExactModel) -> bytes:
    """Return the canonical bytes of a model."""
    return encode(model)


def decode_model(raw: bytes) -> ExactModel:
    """Return the model that `raw` spells, its form checked.

    Raises:
        ModelFormError: A limit or a rule of the form is broken.
        NonCanonicalError: The bytes are not the canonical spelling of a model.
    """
    if len(raw) > MODEL_SIZE_BYTES_MAX:
        raise ModelFormError(f"the model has {len(raw)} bytes, more than {MODEL_SIZE_BYTES_MAX}")
    model = _decoder.decode(raw)
    check_form(model)
    return model


def check_form(model: ExactModel) -> None:
    """Check every limit and rule of the form, in the order in which the records state them.

    Raises:
        ModelFormError: The first one that is broken.
    """
    if model.version != FORMAT_VERSION:
        raise ModelFormError(f"format version {model.version} is not {FORMAT_VERSION}")
    check_features(model.features)
    check_columns(model.columns, model.features)
    body = model.body
    if isinstance(body, Scorecard):
        _check_scorecard(body, column_count(model))
    elif isinstance(body, Linear):
        _check_linear(body, model)
    else:
        _check_trees(body, column_count(model))


def check_row(model: ExactModel, row: Sequence[int]) -> None:
    """Check that a row fits the model's input schema.

    Raises:
        ModelInputError: Another number of values than the model has features, or a value that its
            feature does not allow; the message names the feature and what it allows.
    """
    if len(row) != len(model.features):
        raise ModelInputError(f"the row has {len(row)} values, the model {len(model.features)}")
    for value, feature in zip(row, model.features, strict=True):
        if not is_input(feature, value):
            raise ModelInputError(f"{feature.name}: {refusal(feature, value)}")


def column_count(model: ExactModel) -> int:
    """Return how many columns the body of a model sees."""
    return len(model.columns) or len(model.features)


def count_steps(model: ExactModel) -> int:
    """Return the most comparisons or products that scoring one row takes: its cost.

    A value column is one step; an indicator is as many as looking its members up by halves takes.
    An entry of a scorecard is as many as it has bins, and `_LOOKUP_STEPS` for the looking up.
    """
    steps = 0
    for column in model.columns:
        steps += len(column.members).bit_length() if isinstance(column, IndicatorColumn) else 1
    body = model.body
    if isinstance(body, Trees):
        return steps + sum(max(1, depth) for depth in tree_depths(body))
    if isinstance(body, Linear):
        return steps + len(body.weights)
    return steps + sum(_LOOKUP_STEPS + len(entry.points) for entry in body.bins)


def tree_depths(trees: Trees) -> tuple[int, ...]:
    """Return the depth of every tree: the most comparisons on a way to a leaf.

    Raises:
        ModelFormError: A tree's nodes do not form one tree in level order, or it is too deep.
    """
    inner_before = [0, *accumulate(map(_CHILD_COUNTS.__getitem__, trees.leaf_flags))]
    depths: list[int] = []
    first = 0
    for size in _uint32(trees.tree_sizes):
        end = first + size
        depth, level, below = 0, first, first + min(size, 1)
        # The children of the nodes in [level, below) are the nodes from `below` on.
        while level < below <= end:
            depth += 1
            level, below = below, below + inner_before[below] - inner_before[level]
        if below != end:
            raise ModelFormError(f"tree {len(depths)}: its {size} nodes do not form one tree")
        if depth > TREE_DEPTH_MAX:
            raise ModelFormError(f"tree {len(depths)}: deeper than {TREE_DEPTH_MAX}")
        depths.append(depth)
        first = end
    return tuple(depths)


def tree_columns(trees: Trees, column_count: int) -> TreeColumns:
    """Return the columns of trees whose form was checked, as integers."""
    node_count = len(trees.leaf_flags)
    values = _int64(trees.leaf_values)
    if trees.leaf_index:
        leaf_count = node_count + len(trees.tree_sizes) // 4
        places = _uint(trees.leaf_index, len(trees.leaf_index) // leaf_count)
        values = tuple(map(values.__getitem__, places))
    wide = len(trees.thresholds) == 8 * node_count
    return TreeColumns(
        tree_sizes=_uint32(trees.tree_sizes),
        leaf_flags=trees.leaf_flags,
        features=_uint(trees.features, feature_width(column_count)),
        thresholds=_int64(trees.thresholds) if wide else _int32(trees.thresholds),
        leaves=values,
    )


def feature_width(column_count: int) -> int:
    """Return the bytes per entry of `Trees.features`."""
    return 1 if column_count <= 256 else 2


def leaf_index_width(leaf_count: int, value_count: int) -> int:
    """Return the bytes per entry of `leaf_index`, 0 where naming each value is smaller."""
    width = 1 if value_count <= 256 else 2
    if value_count > 65_536 or 8 * value_count + width * leaf_count >= 8 * leaf_count:
        return 0
    return width


def _check_scorecard(card: Scorecard, column_count: int) -> None:
    if not 1 <= len(card.bins) <= column_count:
        raise ModelFormError("a scorecard has at least one and at most one entry per column")
    if sum(len(entry.points) for entry in card.bins) > BIN_TOTAL_MAX:
        raise ModelFormError(f"the scorecard has more than {BIN_TOTAL_MAX} bins")
    previous = -1
    for entry in card.bins:
        if not previous < entry.column < column_count:
            raise ModelFormError("the scorecard's columns are not ascending within the model's")
        previous = entry.column
        if len(entry.points) > BIN_COUNT_MAX or len(entry.points) != len(entry.upper_bounds) + 1:
            raise ModelFormError(f"column {entry.column}: points and bounds do not match")
        bounds = entry.upper_bounds
        if any(low >= high for low, high in pairwise(bounds)):
            raise ModelFormError(f"column {entry.column}: the bounds are not ascending")
    points = abs(card.base_points) + sum(max(map(abs, entry.points)) for entry in card.bins)
    distances = sum(
        max(max(entry.points) - entry.reference_points, entry.reference_points - min(entry.points))
        for entry in card.bins
    )
    most = max(points, distances)
    if max(most, abs(card.base) + most * abs(card.raw_per_point)) > RAW_MAX:
        raise ModelFormError("the scorecard's sum can overflow")


def _check_linear(linear: Linear, model: ExactModel) -> None:
    if len(linear.weights) != column_count(model):
        raise ModelFormError("a linear model has one weight per column")
    columns = model.columns or tuple(map(ValueColumn, range(len(model.features))))
    values = (column.feature for column in columns if isinstance(column, ValueColumn))
    if any(model.features[feature].kind == "float32" for feature in values):
        raise ModelFormError("a linear model weights no value of kind float32")
    if not 0 <= linear.shift_bits <= SHIFT_BITS_MAX:
        raise ModelFormError(f"shift_bits is not within 0 to {SHIFT_BITS_MAX}")
    if any(weight.low > weight.high for weight in linear.weights):
        raise ModelFormError("a weight's low is above its high")
    if any(not weight.low <= weight.reference <= weight.high for weight in linear.weights):
        raise ModelFormError("a weight's reference is not within its low and high")
    terms = sum(abs(w.weight) * max(abs(w.low), abs(w.high)) for w in linear.weights)
    distances = sum(
        abs(w.weight) * max(w.high - w.reference, w.reference - w.low) for w in linear.weights
    )
    if max(terms, distances) > RAW_MAX or abs(linear.base) > RAW_MAX // 2:
        raise ModelFormError("the linear model's sum can overflow")


def _check_trees(trees: Trees, column_count: int) -> None:
    _check_column_sizes(trees, column_count)
    depths = tree_depths(trees)
    if sum(depths) > STEP_COUNT_MAX:
        raise ModelFormError(f"one row can take more than {STEP_COUNT_MAX} comparisons")
    used = _uint(trees.features, feature_width(column_count))
    if used and max(used) >= column_count:
        raise ModelFormError(f"a node compares column {max(used)} of {column_count}")
    if len(trees.thresholds) == 8 * len(trees.leaf_flags) and trees.thresholds:
        thresholds = _int64(trees.thresholds)
        if min(thresholds) >= _INT32_MIN and max(thresholds) <= _INT32_MAX:
            raise ModelFormError("the thresholds fit in 32 bits and are written in 64")
    values = _check_leaves(trees)
    leaf_max = max(max(values), -min(values))
    if abs(trees.base) + len(depths) * leaf_max + trees.divisor > RAW_MAX:
        raise ModelFormError("the sum of the leaves can overflow")


def _check_column_sizes(trees: Trees, column_count: int) -> None:
    tree_count, odd = divmod(len(trees.tree_sizes), 4)
    if odd or not 1 <= tree_count <= TREE_COUNT_MAX:
        raise ModelFormError(f"a model has 1 to {TREE_COUNT_MAX} trees")
    if not 1 <= trees.divisor <= TREE_COUNT_MAX:
        raise ModelFormError(f"the divisor is not within 1 to {TREE_COUNT_MAX}")
    node_count = len(trees.leaf_flags)
    if sum(_uint32(trees.tree_sizes)) != node_count:
        raise ModelFormError("the sizes of the trees do not add up to the nodes")
    if node_count and max(trees.leaf_flags) > LEFT_IS_LEAF | RIGHT_IS_LEAF:
        raise ModelFormError("a node has unknown leaf flags")
    if len(trees.features) != node_count * feature_width(column_count):
        raise ModelFormError("the column of features has the wrong size")
    if len(trees.thresholds) not in (4 * node_count, 8 * node_count):
        raise ModelFormError("the column of thresholds has the wrong size")
    if len(trees.leaf_values) % 8 or not trees.leaf_values:
        raise ModelFormError("the column of leaf values has the wrong size")


def _check_leaves(trees: Trees) -> tuple[int, ...]:
    """Check the one allowed form of the leaves; return their values."""
    leaf_count = len(trees.leaf_flags) + len(trees.tree_sizes) // 4
    values = _int64(trees.leaf_values)
    width = leaf_index_width(leaf_count, len(set(values)))
    if len(trees.leaf_index) != width * leaf_count:
        raise ModelFormError("the leaves are not written in the smaller of their two forms")
    if not width:
        if len(values) != leaf_count:
            raise ModelFormError(f"{len(values)} leaf values for {leaf_count} leaves")
        return values
    places = _uint(trees.leaf_index, width)
    if any(low >= high for low, high in pairwise(values)):
        raise ModelFormError("the distinct leaf values are not ascending")
    if len(set(places)) != len(values) or max(places) >= len(values):
        raise ModelFormError("a leaf has no value, or a value no leaf")
    return values


def _uint32(column: bytes) -> tuple[int, ...]:
    return unpack(f"<{len(column) // 4}I", column)


def _int32(column: bytes) -> tuple[int, ...]:
    return unpack(f"<{len(column) // 4}i", column)


def _int64(column: bytes) -> tuple[int, ...]:
    return unpack(f"<{len(column) // 8}q", column)


def _uint(column: bytes, width: int) -> Sequence[int]:
    return column if width == 1 else unpack(f"<{len(column) // 2}H", column)
