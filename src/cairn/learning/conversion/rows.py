"""Maps what people have to the integers that exact models read.

A client makes rows with `encode_rows`. A conversion finds thresholds with `boundary_keys`: the
largest key whose value still goes left by the source's own arithmetic. So every value that the
feature's kind can hold goes where the source sends it; what rounding to the kind does to a value
that it cannot hold is part of the difference that a conversion reports.

Source: the order of float32 bits, https://en.wikipedia.org/wiki/IEEE_754-1985#Comparing_floating-point_numbers
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.exact.schema import (
    FLOAT32_KEY_MAX,
    FLOAT32_KEY_MIN,
    MISSING,
    SCALE_BITS_MAX,
    UNKNOWN_CATEGORY,
    Feature,
)
from cairn.learning.conversion.errors import ConversionError
from cairn.learning.conversion.frames import Cells, Frame, category_label, read_frame
from cairn.primitives.fixed import INT64_MAX, INT64_MIN

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

_INPUT_BITS = 30
_KEY_MASK = np.int32(0x7FFFFFFF)


def integer_features(names: Sequence[str], *, scale_bits: int = 0) -> tuple[Feature, ...]:
    """Return features that are read as whole multiples of 2^-scale_bits."""
    return tuple(Feature(name, "integer", scale_bits) for name in names)


def fixed_point_features(names: Sequence[str], rows: npt.ArrayLike) -> tuple[Feature, ...]:
    """Return integer features with about 30 bits for the largest value seen in each column.

    Linear models fare best with these: what the inputs leave of 62 bits is for the weights. Columns
    of whole numbers get no fractional bits.
    """
    values = np.asarray(rows, np.float64)
    return tuple(
        Feature(name, "integer", fixed_point_bits(values[:, place], input_bits=_INPUT_BITS))
        for place, name in enumerate(names)
    )


def fixed_point_bits(column: npt.ArrayLike, *, input_bits: int = _INPUT_BITS) -> int:
    """Return how many fractional bits give the largest value `input_bits`; 0 for whole numbers."""
    sizes = np.abs(np.asarray(column, np.float64))
    sizes = sizes[np.isfinite(sizes)]
    if (sizes == np.floor(sizes)).all():
        return 0
    _, exponent = math.frexp(float(sizes.max(initial=0.0)))
    return min(max(input_bits - exponent, 0), SCALE_BITS_MAX)


def float32_features(names: Sequence[str]) -> tuple[Feature, ...]:
    """Return features that are read as float32; only trees and scorecards compare such."""
    return tuple(Feature(name, "float32") for name in names)


def encode_rows(features: Sequence[Feature], rows: Any) -> Int64s:
    """Return the rows as an exact model with these features reads them.

    Args:
        features: The model's input schema.
        rows: A table whose columns are found by their names (`LIMIT_BAL` is `limit_bal`), or an
            array with one column per feature in the schema's order.

    Raises:
        ConversionError: A column is missing, or a value does not fit its feature; it names the row.
    """
    frame = read_frame(rows)
    if not frame.named and len(frame.columns) != len(features):
        raise ConversionError(
            f"the rows have shape {(frame.row_count, len(frame.columns))}, "
            f"the model {len(features)} features",
            hint="give one column per feature, in the order of the model's schema",
        )
    encoded = np.empty((frame.row_count, len(features)), np.int64)
    for place, feature in enumerate(features):
        encoded[:, place] = encode_column(feature, _column_of(frame, feature.name, place))
    return encoded


def encode_column(feature: Feature, column: Cells) -> Int64s:
    """Return one column of values as the integers that an exact model reads.

    Raises:
        ConversionError: A value does not fit the feature; it names the row.
    """
    if feature.kind == "category":
        return _encode_categories(feature, column)
    is_whole = feature.kind == "integer" and feature.scale_bits == 0
    if column.dtype.kind in "iub" and is_whole:
        return column.astype(np.int64)
    values = _numbers(feature, column)
    missing = np.isnan(values)
    if missing.any() and not feature.nullable:
        raise _refusal(
            feature, missing, "is missing", "give a value: this input has no rule for a missing one"
        )
    if np.isinf(values).any():
        raise _refusal(feature, np.isinf(values), "is infinite", "give a finite number")
    if feature.kind == "float32":
        encoded = float32_keys(np.where(missing, 0, values)).astype(np.int64)
    else:
        scaled = np.rint(np.ldexp(np.where(missing, 0, values), feature.scale_bits))
        if (np.abs(scaled) >= 2.0**63).any():
            raise _refusal(
                feature,
                np.abs(scaled) >= 2.0**63,
                f"does not fit in 64 bits at {feature.scale_bits} fractional bits",
                "lower scale_bits for this feature, or use float32 with trees",
            )
        encoded = scaled.astype(np.int64)
    encoded[missing] = MISSING
    return encoded


def float32_keys(values: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Return the order-preserving key of each value's nearest float32; -0 counts as +0."""
    with np.errstate(over="ignore"):
        narrow = np.asarray(values).astype(np.float32) + np.float32(0)  # -0 + 0 is +0
    bits = narrow.view(np.int32)
    return bits ^ ((bits >> 31) & _KEY_MASK)


def decode_keys(feature: Feature, keys: Int64s) -> Floats:
    """Return the values for which the keys of a number stand."""
    if feature.kind == "float32":
        bits = keys.astype(np.int32)
        return (bits ^ ((bits >> 31) & _KEY_MASK)).view(np.float32).astype(np.float64)
    return np.ldexp(keys.astype(np.float64), -feature.scale_bits)


def key_bounds(feature: Feature) -> tuple[int, int]:
    """Return the smallest and the largest key that `boundary_keys` looks at."""
    if feature.kind == "float32":
        return FLOAT32_KEY_MIN, FLOAT32_KEY_MAX
    return INT64_MIN + 1, INT64_MAX - 1


def boundary_keys(feature: Feature, goes_left: Callable[[Floats], Booleans], count: int) -> Int64s:
    """Return for each of `count` tests the largest key whose value goes left.

    It is one below the smallest key where none does.

    Args:
        feature: A number.
        goes_left: Takes one value per test; where a value goes left, all smaller ones do.
        count: How many tests are answered at once.
    """
    lowest, highest = key_bounds(feature)
    return _bisect(
        lambda keys: goes_left(decode_keys(feature, keys)), lowest - 1, highest + 1, count
    )


def first_right(goes_left: Callable[[Floats], Booleans], count: int) -> Floats:
    """Return for each of `count` tests the smallest float64 that does not go left."""
    limit = int(np.float64(np.inf).view(np.int64))
    last = _bisect(lambda keys: goes_left(_float64_of(keys)), -limit - 2, limit, count)
    return _float64_of(last + 1)


def _float64_of(keys: Int64s) -> Floats:
    return (keys ^ ((keys >> 63) & INT64_MAX)).view(np.float64)


def _bisect(
    goes_left: Callable[[Int64s], Booleans], lowest: int, highest: int, count: int
) -> Int64s:
    """Return the last key that goes left; `lowest` is taken to, and `highest` not to."""
    low, high = np.full(count, lowest, np.int64), np.full(count, highest, np.int64)
    with np.errstate(all="ignore"):
        for _ in range(64):
            middle = (low & high) + ((low ^ high) >> 1)
            is_left = (middle == low) | goes_left(middle)
            low, high = np.where(is_left, middle, low), np.where(is_left, high, middle)
    return low


def _column_of(frame: Frame, name: str, place: int) -> Cells:
    return frame.columns[frame.place_of(name) if frame.named else place]


def _numbers(feature: Feature, column: Cells) -> Floats:
    if column.dtype.kind != "O":
        return column.astype(np.float64)
    numbers = np.empty(len(column), np.float64)
    for row, cell in enumerate(column):
        try:
            numbers[row] = np.nan if cell is None else cell
        except (TypeError, ValueError) as error:
            raise ConversionError(
                f"row {row}, {feature.name}: {str(cell)[:40]!r} is text where a number belongs",
                hint="correct the cell, or leave it empty where missing values are allowed",
            ) from error
    return numbers


def _encode_categories(feature: Feature, column: Cells) -> Int64s:
    places = {text: place for place, text in enumerate(feature.categories)}
    if column.dtype.kind == "O":
        texts = [None if cell is None else category_label(cell) for cell in column]
    else:
        distinct, inverse = np.unique(column, return_inverse=True)
        labels = [None if value != value else category_label(value) for value in distinct]
        texts = [labels[at] for at in inverse]
    codes = np.array(
        [MISSING if text is None else places.get(text, UNKNOWN_CATEGORY) for text in texts],
        np.int64,
    )
    if not feature.nullable and (codes == MISSING).any():
        raise _refusal(
            feature, codes == MISSING, "is missing", "give a category: a missing one is not allowed"
        )
    if not feature.unknown_allowed and (codes == UNKNOWN_CATEGORY).any():
        row = int(np.argmax(codes == UNKNOWN_CATEGORY))
        raise ConversionError(
            f"row {row}, {feature.name}: {texts[row]!r} is no category that the model knows",
            hint=f"one of: {', '.join(feature.categories[:40])}; or allow unknown ones in training",
        )
    return codes


def _refusal(feature: Feature, where: Booleans, what: str, hint: str) -> ConversionError:
    return ConversionError(f"row {int(np.argmax(where))}: {feature.name} {what}", hint=hint)
