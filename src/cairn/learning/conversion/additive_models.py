"""Writes linear models: as weights in fixed point, or as a scorecard where inputs are binned.

What the source adds up column by column is added up by input first. A number keeps one weight. A
missing one counts as the value that stands in for it; where that is no input, a yes or no has the
rest. A category has a yes or no per distinct amount. `reference` is where an input contributes
nothing: the mean of a number, by the source's own scaler or else of the rows, and the most frequent
category.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cairn.exact.models import (
    BIN_COUNT_MAX,
    RAW_MAX,
    SHIFT_BITS_MAX,
    Bins,
    Linear,
    Scorecard,
    Weight,
)
from cairn.exact.schema import (
    MISSING,
    UNKNOWN_CATEGORY,
    Column,
    Feature,
    IndicatorColumn,
    ValueColumn,
    arrange_columns,
)
from cairn.learning.conversion.errors import ConversionError, UnsupportedModelError
from cairn.learning.conversion.rows import Int64s, decode_keys
from cairn.learning.conversion.sources import LinearSource
from cairn.learning.conversion.symbols import Binned, Flag, Labels, Numbers, Symbol
from cairn.learning.conversion.trees import bin_keys, is_plain, label_keys, label_value, quantise
from cairn.primitives.fixed import RAW_BITS

RANGE_MARGIN = 4
"""Inputs are clamped this many times the seen range beyond its ends."""

_POINT = 4_295
"""Raw output of one point of a scorecard: a millionth, 4295.0 times 2^-32."""

_SMALLEST = 2.0**-34

Term = tuple[float, Symbol]
"""A coefficient and its column."""


class Part(NamedTuple):
    """What one exact column adds."""

    column: Column
    slope: float
    """Per unit of the column."""
    low: int
    high: int
    reference: int


def write_linear(
    source: LinearSource, symbols: Sequence[Symbol], features: Sequence[Feature], rows: Int64s
) -> tuple[Linear | Scorecard, tuple[Column, ...]]:
    """Return the model with as many fractional bits as fit in int64, and its columns.

    Args:
        source: The model; its coefficients are one per symbol.
        symbols: Its columns as functions of the inputs.
        features: The input schema.
        rows: Encoded rows, at least one; inputs far beyond their range will be clamped.

    Raises:
        UnsupportedModelError: Numbers are mixed with bins, or a feature is of kind float32.
        ConversionError: Weights or ranges are too large for 64 bits.
    """
    if not np.isfinite(source.coefficients).all():
        raise ConversionError("a coefficient is not finite", hint="fit the model again")
    terms: dict[int, list[Term]] = {}
    for coefficient, symbol in zip(source.coefficients.tolist(), symbols, strict=True):
        terms.setdefault(symbol.input, []).append((coefficient, symbol))
    if any(isinstance(symbol, Binned) for symbol in symbols):
        return _write_scorecard(source, terms, features, rows)
    base, parts = source.intercept, []
    for place in range(len(features)):
        added, made = _parts(place, terms.get(place, []), features[place], rows[:, place])
        base += added
        parts += made
    return _finish(base, parts, features)


def _finish(
    base: float, parts: list[Part], features: Sequence[Feature]
) -> tuple[Linear, tuple[Column, ...]]:
    plain = is_plain(features) and all(isinstance(part.column, ValueColumn) for part in parts)
    if plain:
        parts += [
            Part(ValueColumn(place), 0.0, 0, 0, 0)
            for place in sorted(set(range(len(features))) - {one.column.feature for one in parts})
        ]
    elif not parts:
        parts = [Part(ValueColumn(0), 0.0, 0, 0, 0)]
    columns, places = arrange_columns([part.column for part in parts])
    ordered = [part for _, part in sorted(zip(places, parts, strict=True), key=lambda one: one[0])]
    return _fixed_point(base, ordered), () if plain else columns


def _fixed_point(base: float, parts: Sequence[Part]) -> Linear:
    for shift_bits in range(SHIFT_BITS_MAX, -1, -1):
        weights = [round(math.ldexp(part.slope, RAW_BITS + shift_bits)) for part in parts]
        reach = sum(
            abs(weight) * max(abs(part.low), abs(part.high), part.high - part.low)
            for weight, part in zip(weights, parts, strict=True)
        )
        if reach <= RAW_MAX:
            return Linear(
                base=quantise(base),
                shift_bits=shift_bits,
                weights=tuple(
                    Weight(part.low, part.high, weight, part.reference)
                    for weight, part in zip(weights, parts, strict=True)
                ),
            )
    raise ConversionError(
        "weights times inputs do not fit in 64 bits",
        hint="express large inputs in larger units, or use fixed_point_features(names, rows)",
    )


# --- one input -----------------------------------------------------------------------------------


def _parts(
    place: int, terms: Sequence[Term], feature: Feature, keys: Int64s
) -> tuple[float, list[Part]]:
    """Return what an input adds in any case, and what its columns add beside that."""
    numbers = [(weight, one) for weight, one in terms if isinstance(one, Numbers)]
    base, parts, rest = 0.0, [], 0.0
    if numbers:
        base, made, rest = _number(place, numbers, feature, keys)
        parts.append(made)
    flags = [(weight, one) for weight, one in terms if isinstance(one, Flag)]
    base += sum(weight * one.present for weight, one in flags)
    rest += sum(weight * (one.missing - one.present) for weight, one in flags)
    tables = [(weight, one) for weight, one in terms if isinstance(one, Labels)]
    if tables and feature.kind == "integer":
        amounts, other = _integer_amounts(tables, feature)
        base += other
    elif tables:
        amounts = _category_amounts(tables, feature)
    else:
        amounts = {}
    if feature.nullable and rest:
        amounts[MISSING] = amounts.get(MISSING, 0.0) + rest
    known = keys if feature.kind == "category" else keys[keys != MISSING]
    return base, parts + _indicators(place, amounts, known)


def _number(
    place: int, terms: Sequence[tuple[float, Numbers]], feature: Feature, keys: Int64s
) -> tuple[float, Part, float]:
    """Return what a number adds at zero, its weight, and what a missing one adds to its fill."""
    if feature.kind == "float32":
        raise UnsupportedModelError(
            "a linear model reads features of kind integer",
            hint="describe fractions with fixed_point_features(names, rows)",
        )
    slope = offset = at_missing = 0.0
    limits: tuple[float, float] | None = None
    reference: float | None = None
    for weight, symbol in terms:
        rise, start, clip = _affine(symbol)
        slope += weight * rise
        offset += weight * start
        at_missing += weight * (0.0 if symbol.missing is None else symbol.missing)
        limits = clip or limits
        if symbol.steps and symbol.steps[0].operation == "subtract" and reference is None:
            reference = symbol.steps[0].first
    if limits is not None and len(terms) > 1:
        raise UnsupportedModelError(
            f"{feature.name} is used clipped and again", hint="use MinMaxScaler(clip=False)"
        )
    per_key = math.ldexp(slope, -feature.scale_bits)
    known = keys[keys != MISSING]
    low, high = _range(known, limits, feature)
    fill, rest = 0, 0.0
    if feature.nullable:
        if per_key:
            fill = min(max(round((at_missing - offset) / per_key), low), high)
        rest = at_missing - offset - per_key * fill
        rest = rest if abs(rest) > _SMALLEST else 0.0
    if reference is None:
        centre = float(decode_keys(feature, known).mean()) if len(known) else 0.0
    else:
        centre = reference
    middle = min(max(round(math.ldexp(centre, feature.scale_bits)), low), high)
    part = Part(ValueColumn(place, fill), per_key, low, high, middle)
    return offset, part, rest


def _affine(symbol: Numbers) -> tuple[float, float, tuple[float, float] | None]:
    """Return slope and offset of a number's steps, and the input's range where they clip it."""
    slope, offset = 1.0, 0.0
    limits: tuple[float, float] | None = None
    for step in symbol.steps:
        if step.operation == "clip":
            if slope:
                ends = sorted(((step.first - offset) / slope, (step.second - offset) / slope))
                limits = (ends[0], ends[1])
        elif step.operation in ("add", "subtract"):
            offset += step.first if step.operation == "add" else -step.first
        else:
            factor = step.first if step.operation == "multiply" else 1 / step.first
            slope, offset = slope * factor, offset * factor
    return slope, offset, limits


def _range(keys: Int64s, limits: tuple[float, float] | None, feature: Feature) -> tuple[int, int]:
    low, high = (int(keys.min()), int(keys.max())) if len(keys) else (0, 0)
    margin = RANGE_MARGIN * max(high - low, 1)
    low, high = max(low - margin, -(2**62)), min(high + margin, 2**62)
    if limits is not None:
        low = max(low, round(math.ldexp(limits[0], feature.scale_bits)))
        high = max(min(high, round(math.ldexp(limits[1], feature.scale_bits))), low)
    return low, high


def _category_amounts(terms: Sequence[tuple[float, Labels]], feature: Feature) -> dict[int, float]:
    """Return what each category adds."""
    amounts = {
        code: sum(weight * label_value(feature, symbol, label) for weight, symbol in terms)
        for code, label in enumerate(feature.categories)
    }
    if feature.unknown_allowed:
        amounts[UNKNOWN_CATEGORY] = sum(weight * (one.unknown or 0.0) for weight, one in terms)
    if feature.nullable:
        amounts[MISSING] = sum(weight * (one.missing or 0.0) for weight, one in terms)
    return amounts


def _integer_amounts(
    terms: Sequence[tuple[float, Labels]], feature: Feature
) -> tuple[dict[int, float], float]:
    """Return what whole numbers add beside the others, and what the others add."""
    other = sum(weight * (one.unknown or 0.0) for weight, one in terms)
    tables = [(weight, one, label_keys(feature, one)) for weight, one in terms]
    keys = {key for _, _, table in tables for key in table}
    amounts = {
        key: sum(weight * table.get(key, one.unknown or 0.0) for weight, one, table in tables)
        - other
        for key in keys
    }
    if feature.nullable:
        amounts[MISSING] = sum(weight * (one.missing or 0.0) for weight, one in terms) - other
    return amounts, other


def _indicators(place: int, amounts: dict[int, float], keys: Int64s) -> list[Part]:
    """Return a yes or no for each distinct amount, with the most frequent input as reference."""
    groups: dict[float, list[int]] = {}
    for key, amount in sorted(amounts.items()):
        if amount:
            groups.setdefault(amount, []).append(key)
    seen, counts = np.unique(keys, return_counts=True)
    usual = int(seen[int(np.argmax(counts))]) if len(seen) else MISSING
    return [
        Part(IndicatorColumn(place, tuple(members)), amount, 0, 1, int(usual in members))
        for amount, members in groups.items()
    ]


# --- scorecards ----------------------------------------------------------------------------------


def _write_scorecard(
    source: LinearSource,
    terms: dict[int, list[Term]],
    features: Sequence[Feature],
    rows: Int64s,
) -> tuple[Scorecard, tuple[Column, ...]]:
    entries: list[tuple[Column, Bins]] = []
    for place, feature in enumerate(features):
        mine = terms.get(place, [])
        if not mine:
            continue
        made = _bins(place, mine, feature)
        if made is not None:
            column, bounds, amounts = made
            entries.append((column, _points(column, bounds, amounts, rows[:, place])))
    if not entries:
        entries = [(ValueColumn(0), Bins(0, (), (0,), 0))]
    plain = is_plain(features) and all(isinstance(column, ValueColumn) for column, _ in entries)
    columns, places = arrange_columns([column for column, _ in entries])
    if plain:
        columns, places = (), tuple(column.feature for column, _ in entries)
    bins = tuple(
        Bins(place, entry.upper_bounds, entry.points, entry.reference_points)
        for place, (_, entry) in sorted(zip(places, entries, strict=True), key=lambda one: one[0])
    )
    card = Scorecard(quantise(source.intercept), 0, _POINT, bins)
    return card, columns


def _bins(
    place: int, terms: Sequence[Term], feature: Feature
) -> tuple[Column, list[int], list[float]] | None:
    """Return an input's column, upper bounds and amounts per bin."""
    binned = [(weight, one) for weight, one in terms if isinstance(one, Binned)]
    if any(isinstance(one, Numbers) for _, one in terms):
        raise UnsupportedModelError(
            f"{feature.name} is weighted as a number, and other inputs are binned",
            hint="bin all numbers by KBinsDiscretizer, or none",
        )
    if not binned:
        if feature.kind != "category":
            raise UnsupportedModelError(
                f"{feature.name} is a number that is used as a category beside binned inputs",
                hint="give it as text",
            )
        return _category_bins(place, terms, feature)
    if len(binned) != len(terms) or len({one.edges for _, one in binned}) != 1:
        raise UnsupportedModelError(
            f"{feature.name} is binned in two ways", hint="bin each input once"
        )
    edges = binned[0][1]
    bounds = bin_keys(feature, edges)
    amounts = [
        sum(weight * one.bins[bin_] for weight, one in binned) for bin_ in range(len(bounds) + 1)
    ]
    fill = 0
    if feature.nullable:
        number = edges.numbers.missing or 0.0
        at = int(np.searchsorted(edges.edges, number, side="right"))
        fill = bounds[at] if at < len(bounds) else bounds[-1] + 1
    # Two edges may lie so close that no input is between them.
    kept = [at for at in range(len(bounds)) if at + 1 == len(bounds) or bounds[at] < bounds[at + 1]]
    return (
        ValueColumn(place, fill),
        [bounds[at] for at in kept],
        [*(amounts[at] for at in kept), amounts[-1]],
    )


def _category_bins(
    place: int, terms: Sequence[Term], feature: Feature
) -> tuple[Column, list[int], list[float]]:
    tables = [(weight, one) for weight, one in terms if isinstance(one, Labels)]
    if len(tables) != len(terms):
        raise UnsupportedModelError(
            f"of {feature.name} both bins and whether it is missing are used",
            hint="leave out add_indicator",
        )
    amounts = _category_amounts(tables, feature)
    count = len(feature.categories)
    if count + 2 > BIN_COUNT_MAX:
        raise ConversionError(
            f"{feature.name} has {count} categories beside binned inputs",
            hint=f"join rare ones; {BIN_COUNT_MAX - 2} are the most",
        )
    order = [*([UNKNOWN_CATEGORY] if feature.unknown_allowed else []), *range(count)]
    ordered = [amounts[code] for code in order]
    if feature.nullable:
        order.append(count)
        ordered.append(amounts[MISSING])
    return ValueColumn(place, count if feature.nullable else 0), order[:-1], ordered


def _points(column: Column, bounds: Sequence[int], amounts: Sequence[float], keys: Int64s) -> Bins:
    assert isinstance(column, ValueColumn)
    points = [round(math.ldexp(amount, RAW_BITS) / _POINT) for amount in amounts]
    values = np.where(keys == MISSING, column.fill, keys)
    reached = np.array(points, np.int64)[np.searchsorted(bounds, values, side="left")]
    return Bins(0, tuple(bounds), tuple(points), int(np.rint(reached.mean())))
