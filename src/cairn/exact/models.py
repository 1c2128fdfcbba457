"""Exact models: their canonical records, the limits on them and the check of their form.

A model maps a row of int64 features to a raw output, an int64 counted in 2^-32, and to a score in
parts per million. Every step is integer arithmetic with stated rounding, and `check_form` proves
for each model that no step can leave int64, whatever the row. `reference` is the readable
specification of the arithmetic, `scoring` the fast one.

An input is compared or weighted as the integer that it is. What the integer stands for is the
feature's kind:

- `integer`: the value times 2^scale_bits, rounded half to even by whoever makes the row.
- `float32`: the value's float32 bits `i`, mapped by `i ^ ((i >> 31) & 0x7fffffff)` to an int32
  that sorts like the float. NaN is not allowed, and -0 is written +0.

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
from cairn.primitives.encoding import Decoder, Record, encode
from cairn.primitives.fixed import INT64_MAX, INT64_MIN
from cairn.primitives.ids import is_name

FORMAT_VERSION: Final = 1
"""Version of this format; a kind of feature or body that is added later takes the next one."""

MODEL_SIZE_BYTES_MAX: Final = 4_000_000
FEATURE_COUNT_MAX: Final = 1_024
TREE_COUNT_MAX: Final = 4_096
TREE_DEPTH_MAX: Final = 64
STEP_COUNT_MAX: Final = 131_072
"""Most comparisons that one row can cost, the depths of all trees added up."""

ELEMENT_COUNT_MAX: Final = 600_000
"""Most elements of all arrays together in a model's bytes; no model within the limits has more."""

BIN_COUNT_MAX: Final = 256
"""Most bins of one feature in a scorecard."""

SCALE_BITS_MAX: Final = 40
SHIFT_BITS_MAX: Final = 48
RAW_MAX: Final = 2**62
"""Bound on the magnitude of every sum inside a model, half of what int64 holds."""

FLOAT32_KEY_MAX: Final = 0x7F800000
"""Key of plus infinity; what lies above is NaN."""

FLOAT32_KEY_MIN: Final = -0x7F800001
"""Key of minus infinity; what lies below is NaN."""

FLOAT32_KEY_MINUS_ZERO: Final = -1

_INT32_MAX: Final = 2**31 - 1
_INT32_MIN: Final = -(2**31)
_CHILD_COUNTS: Final = (2, 1, 1, 0)
"""Inner children of a node, by its leaf flags."""

LEFT_IS_LEAF: Final = 1
RIGHT_IS_LEAF: Final = 2


class Feature(Record):
    """One column of the input."""

    name: str
    kind: Literal["integer", "float32"]
    scale_bits: int = 0
    """For `integer`: how many bits of the number are behind the binary point."""


class Bins(Record):
    """Points of one feature of a scorecard.

    The value falls into the first bin whose upper bound it does not exceed, or else into the last.
    """

    feature: int
    upper_bounds: tuple[int, ...]
    """Strictly ascending; a value equal to a bound belongs below it."""
    points: tuple[int, ...]
    """One more than there are bounds."""


class Scorecard(Record, tag="scorecard"):
    """Raw output: `base + (base_points + the points of every feature) * raw_per_point`."""

    base: int
    base_points: int
    raw_per_point: int
    bins: tuple[Bins, ...]
    """At most one entry per feature, in ascending order of the feature."""


class Weight(Record):
    """Weight of one feature of a linear model."""

    low: int
    """Smaller inputs count as this."""
    high: int
    """Larger inputs count as this."""
    weight: int
    """What one unit of the input adds, in 2^-(32 + shift_bits)."""


class Linear(Record, tag="linear"):
    """Raw output: `base + floor(sum of weight * clamped input / 2^shift_bits)`."""

    base: int
    shift_bits: int
    weights: tuple[Weight, ...]
    """One per feature, in the order of the schema; all features are of kind `integer`."""


class Trees(Record, tag="trees"):
    """Raw output: `floor((base + the leaf of every tree) / divisor + 1/2)`.

    At an inner node a row goes left if its feature is at most the threshold.
    """

    base: int
    divisor: int
    """1 for boosting, the number of trees for an average."""
    tree_sizes: bytes
    """Inner nodes of each tree, uint32; a tree without any is one leaf."""
    leaf_flags: bytes
    """Per inner node, uint8: bit 0: the left child is a leaf; bit 1: the right one is."""
    features: bytes
    """Per inner node, uint8, or uint16 if the model has more than 256 features."""
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
    link: Literal["identity", "logistic"]
    """How the raw output becomes the score: as a share clipped to 0..1, or through the sigmoid."""
    body: Scorecard | Linear | Trees


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
    _check_features(model.features)
    body = model.body
    if isinstance(body, Scorecard):
        _check_scorecard(body, len(model.features))
    elif isinstance(body, Linear):
        _check_linear(body, model.features)
    else:
        _check_trees(body, len(model.features))


def check_row(model: ExactModel, row: Sequence[int]) -> None:
    """Check that a row fits the model's input schema.

    Raises:
        ModelInputError: Wrong number of values, a value outside int64, or an integer that is the
            key of no float32 (NaN or -0) where one is expected.
    """
    if len(row) != len(model.features):
        raise ModelInputError(f"the row has {len(row)} values, the model {len(model.features)}")
    for value, feature in zip(row, model.features, strict=True):
        if feature.kind == "float32":
            if not FLOAT32_KEY_MIN <= value <= FLOAT32_KEY_MAX or value == FLOAT32_KEY_MINUS_ZERO:
                raise ModelInputError(f"{feature.name}: {value} is not the key of a float32")
        elif not INT64_MIN <= value <= INT64_MAX:
            raise ModelInputError(f"{feature.name}: {value} does not fit in 64 bits")


def count_steps(model: ExactModel) -> int:
    """Return the most comparisons or products that scoring one row takes: its cost."""
    body = model.body
    if isinstance(body, Trees):
        return sum(max(1, depth) for depth in tree_depths(body))
    if isinstance(body, Linear):
        return len(body.weights)
    return sum(len(entry.points) for entry in body.bins)


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


def tree_columns(trees: Trees, feature_count: int) -> TreeColumns:
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
        features=_uint(trees.features, feature_width(feature_count)),
        thresholds=_int64(trees.thresholds) if wide else _int32(trees.thresholds),
        leaves=values,
    )


def feature_width(feature_count: int) -> int:
    """Return the bytes per entry of the column `features`."""
    return 1 if feature_count <= 256 else 2


def leaf_index_width(leaf_count: int, value_count: int) -> int:
    """Return the bytes per entry of `leaf_index`, 0 where naming each value is smaller."""
    width = 1 if value_count <= 256 else 2
    if value_count > 65_536 or 8 * value_count + width * leaf_count >= 8 * leaf_count:
        return 0
    return width


def _check_features(features: tuple[Feature, ...]) -> None:
    if not 1 <= len(features) <= FEATURE_COUNT_MAX:
        raise ModelFormError(f"a model has 1 to {FEATURE_COUNT_MAX} features, not {len(features)}")
    for feature in features:
        if not is_name(feature.name):
            raise ModelFormError(f"{feature.name!r} is not a name for a feature")
        scale_bits_max = SCALE_BITS_MAX if feature.kind == "integer" else 0
        if not 0 <= feature.scale_bits <= scale_bits_max:
            raise ModelFormError(f"{feature.name}: scale_bits is not within 0 to {scale_bits_max}")
    if len({feature.name for feature in features}) != len(features):
        raise ModelFormError("two features have the same name")


def _check_scorecard(card: Scorecard, feature_count: int) -> None:
    if not 1 <= len(card.bins) <= feature_count:
        raise ModelFormError("a scorecard has at least one and at most one entry per feature")
    previous = -1
    for entry in card.bins:
        if not previous < entry.feature < feature_count:
            raise ModelFormError("the scorecard's features are not ascending within the schema")
        previous = entry.feature
        if len(entry.points) > BIN_COUNT_MAX or len(entry.points) != len(entry.upper_bounds) + 1:
            raise ModelFormError(f"feature {entry.feature}: points and bounds do not match")
        bounds = entry.upper_bounds
        if any(low >= high for low, high in pairwise(bounds)):
            raise ModelFormError(f"feature {entry.feature}: the bounds are not ascending")
    points = abs(card.base_points) + sum(max(map(abs, entry.points)) for entry in card.bins)
    if max(points, abs(card.base) + points * abs(card.raw_per_point)) > RAW_MAX:
        raise ModelFormError("the scorecard's sum can overflow")


def _check_linear(linear: Linear, features: tuple[Feature, ...]) -> None:
    if len(linear.weights) != len(features):
        raise ModelFormError("a linear model has one weight per feature")
    if any(feature.kind != "integer" for feature in features):
        raise ModelFormError("the features of a linear model are of kind integer")
    if not 0 <= linear.shift_bits <= SHIFT_BITS_MAX:
        raise ModelFormError(f"shift_bits is not within 0 to {SHIFT_BITS_MAX}")
    if any(weight.low > weight.high for weight in linear.weights):
        raise ModelFormError("a weight's low is above its high")
    terms = sum(abs(w.weight) * max(abs(w.low), abs(w.high)) for w in linear.weights)
    if terms > RAW_MAX or abs(linear.base) > RAW_MAX // 2:
        raise ModelFormError("the linear model's sum can overflow")


def _check_trees(trees: Trees, feature_count: int) -> None:
    _check_column_sizes(trees, feature_count)
    depths = tree_depths(trees)
    if sum(depths) > STEP_COUNT_MAX:
        raise ModelFormError(f"one row can take more than {STEP_COUNT_MAX} comparisons")
    used = _uint(trees.features, feature_width(feature_count))
    if used and max(used) >= feature_count:
        raise ModelFormError(f"a node compares feature {max(used)} of {feature_count}")
    if len(trees.thresholds) == 8 * len(trees.leaf_flags) and trees.thresholds:
        thresholds = _int64(trees.thresholds)
        if min(thresholds) >= _INT32_MIN and max(thresholds) <= _INT32_MAX:
            raise ModelFormError("the thresholds fit in 32 bits and are written in 64")
    values = _check_leaves(trees)
    leaf_max = max(max(values), -min(values))
    if abs(trees.base) + len(depths) * leaf_max + trees.divisor > RAW_MAX:
        raise ModelFormError("the sum of the leaves can overflow")


def _check_column_sizes(trees: Trees, feature_count: int) -> None:
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
    if len(trees.features) != node_count * feature_width(feature_count):
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
