"""Writes a linear or logistic model with weights in fixed point."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cairn.exact.models import RAW_MAX, SHIFT_BITS_MAX, Feature, Linear, Weight
from cairn.learning.conversion_errors import ConversionError, UnsupportedModelError
from cairn.learning.conversion_rows import Floats, Int64s
from cairn.learning.conversion_trees import quantise
from cairn.primitives.fixed import RAW_BITS

RANGE_MARGIN = 4
"""Inputs are clamped this many times the seen range beyond its ends."""


def write_linear(
    coefficients: Floats, intercept: float, *, features: Sequence[Feature], rows: Int64s
) -> Linear:
    """Return the model with as many fractional bits as fit in int64 for every allowed input.

    Args:
        coefficients: Shape (features,), per unit of the original value.
        intercept: Raw output where all inputs are 0.
        features: The input schema.
        rows: Encoded rows, at least one; inputs far beyond their range will be clamped.

    Raises:
        UnsupportedModelError: A feature is not of kind `integer`.
        ConversionError: Weights or ranges are too large for 64 bits.
    """
    if any(feature.kind != "integer" for feature in features):
        raise UnsupportedModelError(
            "a linear model reads features of kind integer",
            hint="describe fractions with fixed_point_features(names, rows)",
        )
    if not np.isfinite(coefficients).all():
        raise ConversionError("a coefficient is not finite", hint="fit the model again")
    limits = [_limits(rows[:, place]) for place in range(len(features))]
    largest = [max(abs(low), abs(high)) for low, high in limits]
    scales = [feature.scale_bits for feature in features]
    for shift_bits in range(SHIFT_BITS_MAX, -1, -1):
        weights = [
            round(coefficient * 2.0 ** (RAW_BITS + shift_bits - scale))
            for coefficient, scale in zip(coefficients.tolist(), scales, strict=True)
        ]
        if sum(abs(w) * size for w, size in zip(weights, largest, strict=True)) <= RAW_MAX:
            entries = zip(limits, weights, strict=True)
            return Linear(
                base=quantise(intercept),
                shift_bits=shift_bits,
                weights=tuple(
                    Weight(low, high, weight, reference=min(max(0, low), high))
                    for (low, high), weight in entries
                ),
            )
    raise ConversionError(
        "weights times inputs do not fit in 64 bits",
        hint="express large inputs in larger units, or use fixed_point_features(names, rows)",
    )


def _limits(column: npt.NDArray[np.int64]) -> tuple[int, int]:
    low, high = int(column.min()), int(column.max())
    margin = RANGE_MARGIN * max(high - low, 1)
    return max(low - margin, -(2**62)), min(high + margin, 2**62)
