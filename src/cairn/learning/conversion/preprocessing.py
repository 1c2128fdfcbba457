"""Reads scikit-learn's fitted preprocessing steps as functions of single inputs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cairn.learning.conversion.errors import ConversionError, UnsupportedModelError
from cairn.learning.conversion.frames import category_label, is_missing
from cairn.learning.conversion.rows import Floats
from cairn.learning.conversion.symbols import (
    Binned,
    Encoded,
    Flag,
    Labels,
    Numbers,
    Step,
    Text,
)

Columns = list[Encoded]

ADVICE = {
    "PolynomialFeatures": "add the products as columns of your data, or use boosted trees",
    "FunctionTransformer": "apply the function to the data before, and give its result as a column",
    "PowerTransformer": "use KBinsDiscretizer, or trees, which need no such step",
    "QuantileTransformer": "use KBinsDiscretizer, or trees, which need no such step",
    "SplineTransformer": "use KBinsDiscretizer, or boosted trees",
    "KNNImputer": "use SimpleImputer, or histogram boosting, which takes missing values",
    "IterativeImputer": "use SimpleImputer, or boosted trees, which take missing values",
    "PCA": "leave it out: each input must keep its own meaning",
    "TruncatedSVD": "leave it out: each input must keep its own meaning",
    "Normalizer": "use StandardScaler: a row's inputs cannot be divided by each other",
    "TargetEncoder": "use OneHotEncoder, or OrdinalEncoder with trees",
    "Binarizer": "use KBinsDiscretizer, or trees",
    "TfidfVectorizer": "free text has no exact form; give its categories as columns",
    "CountVectorizer": "free text has no exact form; give its categories as columns",
}


def transform(step: Any, columns: Columns, told: list[str]) -> Columns:
    """Return the columns after a fitted step; `told` takes a line of what became of it.

    Raises:
        UnsupportedModelError: The step has no exact form; it is named, with what to use instead.
    """
    name = type(step).__name__
    module = type(step).__module__
    if step is None or step == "passthrough":
        return columns
    if not module.startswith("sklearn."):
        raise _refuse(step, "use the preprocessing steps of scikit-learn")
    if name == "Pipeline":
        for _, part in step.steps:
            columns = transform(part, columns, told)
        return columns
    if name == "FeatureUnion":
        parts = [transform(part, columns, told) for _, part in step.transformer_list]
        return [column for part in parts for column in part]
    if name == "ColumnTransformer":
        return _column_transformer(step, columns, told)
    if name == "FunctionTransformer" and step.func is None:
        return columns
    if module.startswith("sklearn.feature_selection.") and hasattr(step, "get_support"):
        kept = np.flatnonzero(step.get_support())
        told.append(f"{name}: {len(kept)} of {len(columns)} columns kept")
        return [columns[place] for place in kept]
    reader = _READERS.get(name)
    if reader is None:
        raise _refuse(step, ADVICE.get(name, "leave it out, or convert the data before training"))
    after = reader(step, columns)
    told.append(f"{name}: {len(columns)} columns in, {len(after)} out")
    return after


def _column_transformer(step: Any, columns: Columns, told: list[str]) -> Columns:
    names = [str(name) for name in getattr(step, "feature_names_in_", ())]
    after: Columns = []
    for _, part, chosen in step.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        places = chosen_places(chosen, names, len(columns))
        if places:
            after += transform(part, [columns[place] for place in places], told)
    return after


def chosen_places(chosen: Any, names: Sequence[str], count: int) -> list[int]:
    """Return the places of the columns that a part of a ColumnTransformer takes."""
    if isinstance(chosen, str):
        return [names.index(chosen)]
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            first = 0 if chosen.start is None else names.index(chosen.start)
            last = count - 1 if chosen.stop is None else names.index(chosen.stop)
            return list(range(first, last + 1, chosen.step or 1))
        return list(range(count))[chosen]
    if np.ndim(chosen) == 0:
        return [int(chosen) % count]
    picked = list(chosen)
    if picked and all(isinstance(one, bool | np.bool_) for one in picked):
        return [place for place, is_in in enumerate(picked) if is_in]
    return [names.index(one) if isinstance(one, str) else int(one) % count for one in picked]


# --- numbers -------------------------------------------------------------------------------------


def _standard(step: Any, columns: Columns) -> Columns:
    return _scaled(
        step,
        columns,
        subtract=step.mean_ if step.with_mean else None,
        divide=step.scale_ if step.with_std else None,
    )


def _robust(step: Any, columns: Columns) -> Columns:
    return _scaled(
        step,
        columns,
        subtract=step.center_ if step.with_centering else None,
        divide=step.scale_ if step.with_scaling else None,
    )


def _max_abs(step: Any, columns: Columns) -> Columns:
    clip = (-1.0, 1.0) if getattr(step, "clip", False) else None
    return _scaled(step, columns, divide=step.scale_, clip=clip)


def _min_max(step: Any, columns: Columns) -> Columns:
    clip = step.feature_range if step.clip else None
    return _scaled(step, columns, multiply=step.scale_, add=step.min_, clip=clip)


def _scaled(
    step: Any, columns: Columns, *, clip: tuple[float, float] | None = None, **operations: Any
) -> Columns:
    """Return the columns after operations, in their order, with one number per column each."""
    after: Columns = []
    for place, column in enumerate(columns):
        if isinstance(column, Text):
            raise ConversionError(
                f"the step {type(step).__name__} takes numbers, and {column.example}",
                hint="correct the data, or encode text by OneHotEncoder before scaling it",
            )
        for operation, numbers in operations.items():
            if numbers is not None:
                column = column.then(Step(operation, float(numbers[place])))  # type: ignore[arg-type]
        if clip is not None:
            column = column.then(Step("clip", float(clip[0]), float(clip[1])))
        after.append(column)
    return after


def _bins(step: Any, columns: Columns) -> Columns:
    after: Columns = []
    for place, column in enumerate(columns):
        if not isinstance(column, Numbers):
            raise _refuse(step, "bin numbers only; encode categories by OneHotEncoder")
        edges = tuple(float(edge) for edge in step.bin_edges_[place][1:-1])
        count = len(edges) + 1
        if step.encode == "ordinal":
            after.append(Binned(column, edges, tuple(map(float, range(count)))))
            continue
        for chosen in range(count):
            after.append(Binned(column, edges, tuple(float(at == chosen) for at in range(count))))
    return after


# --- missing values ------------------------------------------------------------------------------


def _impute(step: Any, columns: Columns) -> Columns:
    if not is_missing(step.missing_values):
        raise _refuse(step, "mark missing values by NaN or an empty cell (missing_values=nan)")
    after: Columns = []
    for fill, column in zip(step.statistics_, columns, strict=True):
        if is_missing(fill):
            if getattr(step, "keep_empty_features", False):
                raise _refuse(step, "leave out columns that are empty in the training data")
            continue
        after.append(_filled(step, column, fill))
    if step.add_indicator:
        after += _indicate(step.indicator_, columns)
    return after


def _filled(step: Any, column: Encoded, fill: Any) -> Encoded:
    if isinstance(column, Text):
        return column if column.fill is not None else replace(column, fill=category_label(fill))
    if isinstance(column, Numbers):
        if column.missing is not None and np.isnan(column.missing):
            return replace(column, missing=float(fill))
        return column
    if isinstance(column, Binned):
        raise _refuse(step, "impute before the values are binned")

    def fill_in(values: Floats) -> Floats:
        return np.where(np.isnan(values), float(fill), values)

    return column.then(fill_in)


def _indicate(step: Any, columns: Columns) -> Columns:
    if not is_missing(step.missing_values):
        raise _refuse(step, "mark missing values by NaN or an empty cell (missing_values=nan)")
    after: Columns = []
    for place in step.features_:
        column = columns[int(place)]
        passes: bool = isinstance(column, Text) and column.fill is None
        if isinstance(column, Numbers) and column.missing is not None:
            passes = bool(np.isnan(column.missing))
        if not isinstance(column, Text | Numbers) or not passes:
            raise _refuse(step, "use it on inputs, before they are imputed or encoded")
        after.append(Flag(column.input, 0.0, 1.0))
    return after


# --- categories ----------------------------------------------------------------------------------


def _one_hot(step: Any, columns: Columns) -> Columns:
    _check_frequencies(step)
    refuses = step.handle_unknown == "error"
    after: Columns = []
    for place, column in enumerate(columns):
        categories = list(step.categories_[place])
        dropped = None if step.drop_idx_ is None else step.drop_idx_[place]
        for chosen in range(len(categories)):
            if dropped is not None and chosen == dropped:
                continue
            values = [float(at == chosen) for at in range(len(categories))]
            after.append(_table(step, column, categories, values, None if refuses else 0.0))
    return after


def _ordinal(step: Any, columns: Columns) -> Columns:
    _check_frequencies(step)
    unknown = None if step.handle_unknown == "error" else float(step.unknown_value)
    after: Columns = []
    for place, column in enumerate(columns):
        categories = list(step.categories_[place])
        values = [
            float(step.encoded_missing_value) if is_missing(category) else float(at)
            for at, category in enumerate(categories)
        ]
        after.append(_table(step, column, categories, values, unknown))
    return after


def _table(
    step: Any, column: Encoded, categories: list[Any], values: list[float], unknown: float | None
) -> Labels:
    """Return the column that an encoder makes of one input."""
    table: dict[str, float] = {}
    missing: float | None = unknown
    for category, value in zip(categories, values, strict=True):
        if is_missing(category):
            missing = value
        else:
            table[category_label(category)] = value
    if len(table) + sum(map(is_missing, categories)) != len(categories):
        raise _refuse(step, "two categories are spelled alike; rename one of them in the data")
    if isinstance(column, Labels):
        return _encoded_again(column, table, missing, unknown)
    if isinstance(column, Text):
        fill = column.fill
    elif isinstance(column, Numbers) and not column.steps:
        number = column.missing
        fill = None if number is None or np.isnan(number) else category_label(number)
    else:
        raise _refuse(step, "encode the input itself, before any scaling")
    if fill is not None:
        missing = table.get(fill, unknown)
    return Labels(column.input, table, missing, unknown)


def _encoded_again(
    column: Labels, table: dict[str, float], missing: float | None, unknown: float | None
) -> Labels:
    """Return the column that an encoder makes of another's codes."""

    def encode(code: float | None) -> float | None:
        if code is None:
            return None
        return missing if np.isnan(code) else table.get(category_label(code), unknown)

    values = {label: encode(code) for label, code in column.values.items()}
    kept = {label: value for label, value in values.items() if value is not None}
    return Labels(column.input, kept, encode(column.missing), encode(column.unknown))


def _check_frequencies(step: Any) -> None:
    if step.min_frequency is not None or step.max_categories is not None:
        raise UnsupportedModelError(
            f"{type(step).__name__} groups rare categories (min_frequency, max_categories)",
            hint="name the rare ones 'other' in the data, and train without these settings",
        )


def _refuse(step: Any, hint: str) -> UnsupportedModelError:
    return UnsupportedModelError(f"the step {type(step).__name__} has no exact form here", hint)


_READERS: dict[str, Callable[[Any, Columns], Columns]] = {
    "StandardScaler": _standard,
    "RobustScaler": _robust,
    "MaxAbsScaler": _max_abs,
    "MinMaxScaler": _min_max,
    "KBinsDiscretizer": _bins,
    "SimpleImputer": _impute,
    "MissingIndicator": lambda step, columns: _indicate(step, columns),
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
}
