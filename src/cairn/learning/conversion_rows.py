"""Maps the floating-point world to the integers that exact models read: rows and thresholds.

A client makes rows with `encode_rows`; a conversion makes thresholds with `threshold_key`. They fit
together: `encode(x) <= threshold_key(t)` if and only if `x <= t`, for every x that the feature's
kind can hold. Thresholds are rounded down, so that no row changes sides.

Source: the order of float32 bits, https://en.wikipedia.org/wiki/IEEE_754-1985#Comparing_floating-point_numbers
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cairn.exact.models import SCALE_BITS_MAX, Feature
from cairn.learning.conversion_errors import ConversionError
from cairn.primitives.fixed import INT64_MAX, INT64_MIN

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

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
    features = []
    for place, name in enumerate(names):
        column = np.abs(values[:, place])
        is_whole = bool((column == np.floor(column)).all())
        _, exponent = math.frexp(float(column.max(initial=0.0)))
        scale_bits = 0 if is_whole else min(max(_INPUT_BITS - exponent, 0), SCALE_BITS_MAX)
        features.append(Feature(name, "integer", scale_bits))
    return tuple(features)


def float32_features(names: Sequence[str]) -> tuple[Feature, ...]:
    """Return features that are read as float32; only trees and scorecards compare such."""
    return tuple(Feature(name, "float32") for name in names)


def encode_rows(features: Sequence[Feature], rows: npt.ArrayLike) -> Int64s:
    """Return the rows as an exact model with these features reads them.

    Args:
        features: The model's input schema.
        rows: Shape (rows, features), integers or floats, finite.

    Raises:
        ConversionError: Another shape, a value that is not finite, or one that does not fit.
    """
    values = np.asarray(rows)
    if values.ndim != 2 or values.shape[1] != len(features):
        raise ConversionError(
            f"the rows have shape {values.shape}, the model {len(features)} features",
            hint="give one column per feature, in the order of the model's schema",
        )
    encoded = np.empty(values.shape, np.int64)
    for place, feature in enumerate(features):
        encoded[:, place] = _encode_column(feature, values[:, place])
    return encoded


def float32_keys(values: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Return the order-preserving key of each value's nearest float32; -0 counts as +0."""
    narrow = np.asarray(values).astype(np.float32) + np.float32(0)  # -0 + 0 is +0
    bits = narrow.view(np.int32)
    return bits ^ ((bits >> 31) & _KEY_MASK)


def threshold_key(feature: Feature, threshold: float) -> int:
    """Return the largest integer whose input lies at or below `threshold`."""
    if feature.kind == "float32":
        with np.errstate(over="ignore"):
            narrow = np.float32(threshold)
        if float(narrow) > threshold:
            narrow = np.nextafter(narrow, np.float32(-np.inf))
        return int(float32_keys([narrow])[0])
    if math.isinf(threshold):
        return INT64_MAX if threshold > 0 else INT64_MIN
    scaled = math.floor(math.ldexp(threshold, feature.scale_bits))
    return min(max(scaled, INT64_MIN), INT64_MAX)


def _encode_column(feature: Feature, column: npt.NDArray[np.generic]) -> Int64s:
    if column.dtype.kind in "iub" and feature.kind == "integer" and feature.scale_bits == 0:
        return column.astype(np.int64)
    values = column.astype(np.float64)
    if not np.isfinite(values).all():
        raise ConversionError(
            f"{feature.name} holds a value that is missing or infinite",
            hint="fill in missing values before scoring; exact models have no rule for them yet",
        )
    if feature.kind == "float32":
        return float32_keys(values).astype(np.int64)
    scaled = np.rint(np.ldexp(values, feature.scale_bits))
    if (np.abs(scaled) >= 2.0**63).any():
        raise ConversionError(
            f"{feature.name} does not fit in 64 bits at {feature.scale_bits} fractional bits",
            hint="lower scale_bits for this feature, or use float32 with trees",
        )
    return scaled.astype(np.int64)
