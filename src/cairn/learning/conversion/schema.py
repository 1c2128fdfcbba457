"""Decides what the exact model's inputs are: one feature per input column of the source.

A column that the source reads as a category becomes one. Whole numbers become integers. Other
numbers become fixed-point integers for a linear model. For trees they become float32 where the
source itself compares float32, and else integers with up to 40 bits behind the point, so that
hardly any row lies so close to a threshold that rounding the input moves it.
"""

import math
from collections.abc import Sequence

import numpy as np

from cairn.exact.schema import SCALE_BITS_MAX, Feature
from cairn.learning.conversion.errors import ConversionError, UnsupportedModelError
from cairn.learning.conversion.frames import Cells, feature_names
from cairn.learning.conversion.rows import fixed_point_bits
from cairn.learning.conversion.sources import Source, TreeSource
from cairn.learning.conversion.symbols import Flag, Labels, Numbers, Symbol

_SPARE_BITS = 54
"""Bits that the largest value seen may take; some are left for larger ones."""

_SMALL_BITS = 16
"""Values that begin this many bits behind the point keep at least the precision of float32."""


def infer_features(source: Source) -> tuple[tuple[Feature, ...], tuple[int, ...]]:
    """Return the input schema that a source calls for, and each feature's column of the rows.

    Columns of a table that no step reads are left out; those of an array are kept, in their places.

    Raises:
        UnsupportedModelError: An input is used in ways that no one kind of feature allows.
    """
    frame = source.frame
    features, places = [], []
    for place, name in enumerate(feature_names(frame.names)):
        symbols = [column for column in source.columns if column.input == place]
        if not symbols and frame.named:
            continue
        features.append(_feature(source, name, symbols, frame.columns[place]))
        places.append(place)
    if not features:
        raise UnsupportedModelError("the model reads no input", hint="fit it again")
    return tuple(features), tuple(places)


def is_nullable(source: Source, symbols: Sequence[Symbol]) -> bool:
    """Return whether the source takes an input without a value."""
    return bool(symbols) and all(_takes(source, symbol.missing) for symbol in symbols)


def takes_unknown(source: Source, symbols: Sequence[Symbol]) -> bool:
    """Return whether the source takes a category that it does not know."""
    return all(_takes(source, one.unknown) for one in symbols if isinstance(one, Labels))


def _takes(source: Source, value: float | None) -> bool:
    return value is not None and (source.model.takes_missing or not math.isnan(value))


def _feature(source: Source, name: str, symbols: Sequence[Symbol], cells: Cells) -> Feature:
    nullable = is_nullable(source, symbols)
    tables = [symbol for symbol in symbols if isinstance(symbol, Labels)]
    numbers = [symbol for symbol in symbols if not isinstance(symbol, Labels | Flag)]
    if cells.dtype.kind == "O" or (tables and not numbers):
        if not tables:
            raise UnsupportedModelError(
                f"of {name!r} only whether it is missing is used", hint="encode its categories too"
            )
        labels = list(dict.fromkeys(label for table in tables for label in table.values))
        return Feature(
            name,
            "category",
            categories=tuple(labels),
            nullable=nullable,
            unknown_allowed=takes_unknown(source, symbols),
        )
    kind, scale_bits = _number_kind(source, symbols, cells)
    if tables and (kind, scale_bits) != ("integer", 0):
        raise UnsupportedModelError(
            f"{name!r} is used as a number with fractions and as a category",
            hint="give the category as a column of its own",
        )
    return Feature(name, "float32" if kind == "float32" else "integer", scale_bits, (), nullable)


def _number_kind(source: Source, symbols: Sequence[Symbol], cells: Cells) -> tuple[str, int]:
    values = cells.astype(np.float64)
    values = np.abs(values[np.isfinite(values)])
    if len(values) and (values == np.floor(values)).all() and values.max() < 2.0**53:
        return "integer", 0
    if not isinstance(source.model, TreeSource) and not any(
        type(symbol).__name__ == "Binned" for symbol in source.columns
    ):
        return "integer", fixed_point_bits(values)
    is_plain = all(isinstance(one, Numbers) and not one.steps for one in symbols)
    if is_plain and isinstance(source.model, TreeSource) and source.model.is_narrow:
        return "float32", 0
    if not len(values):
        return "float32", 0
    _, exponent = math.frexp(float(values.max()))
    smallest = float(values[values > 0].min())
    if _SPARE_BITS - exponent < SCALE_BITS_MAX // 2 or smallest < 2.0**-_SMALL_BITS:
        return "float32", 0
    return "integer", min(SCALE_BITS_MAX, _SPARE_BITS - exponent)


def check_features(source: Source, features: Sequence[Feature]) -> None:
    """Check that a schema that was given fits what the source reads.

    Raises:
        ConversionError: Another number of features, or one of another kind than the source reads.
    """
    if len(features) != len(source.frame.names):
        raise ConversionError(
            f"the rows have {len(source.frame.names)} columns, the schema {len(features)} features",
            hint="give one feature per column, in the order of the columns",
        )
    for place, feature in enumerate(features):
        symbols = [column for column in source.columns if column.input == place]
        reads_numbers = any(not isinstance(one, Labels | Flag) for one in symbols)
        if feature.kind == "category" and reads_numbers:
            raise ConversionError(
                f"the source reads {feature.name} as a number", hint="declare it as a number"
            )
        if feature.kind == "float32" and any(isinstance(one, Labels) for one in symbols):
            raise ConversionError(
                f"the source reads {feature.name} as a category",
                hint="declare it as a category with its texts",
            )
        if feature.nullable and symbols and not is_nullable(source, symbols):
            raise ConversionError(
                f"the source takes no missing value in {feature.name}",
                hint="declare it as always given, or impute it in a Pipeline",
            )
