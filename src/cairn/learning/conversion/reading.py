"""Reads a trained model of any library: its last step, and its columns as functions of inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cairn.exact.schema import CATEGORY_COUNT_MAX, Feature
from cairn.learning.conversion.errors import ConversionError, UnsupportedModelError
from cairn.learning.conversion.frames import Cells, Frame, category_label, is_missing
from cairn.learning.conversion.lightgbm_models import category_lists, read_lightgbm
from cairn.learning.conversion.preprocessing import Columns, transform
from cairn.learning.conversion.rows import Floats
from cairn.learning.conversion.sklearn_models import histogram_columns, read_sklearn
from cairn.learning.conversion.sources import LinearSource, Source, TreeSource
from cairn.learning.conversion.symbols import NAN, Labels, Numbers, Symbol, Text
from cairn.learning.conversion.xgboost_models import XGBoostFile, read_xgboost
from cairn.learning.extras import Untyped

Model = TreeSource | LinearSource
Prepare = Callable[[Untyped], Untyped]


def read_source(source: Any, frame: Frame, features: Sequence[Feature] | None = None) -> Source:
    """Return the parts of a trained model.

    Args:
        source: A fitted estimator or Pipeline, a Booster, or an XGBoost file that was read.
        frame: Rows like those to score; they say which inputs are text.
        features: The input schema, if it is fixed; its categories are codes 0, 1, … of the source.

    Raises:
        UnsupportedModelError: Exact models have no form for it.
        ConversionError: The rows do not fit it.
    """
    last = _last_step(source)
    names = input_names(source)
    if frame.named and names:
        frame = frame.select(names)
    elif names and len(names) == len(frame.names):
        frame = replace(frame, names=tuple(names))
    _check_count(source, last, frame)
    told: list[str] = []
    columns: Columns = [_raw_column(frame, place) for place in range(len(frame.names))]
    is_pipeline = last is not source
    if is_pipeline:
        for _, step in source.steps[:-1]:
            columns = transform(step, columns, told)
    model, columns, prepare, notes = _read_last(
        last, columns, frame, features, told, is_pipeline=is_pipeline
    )
    if is_pipeline:
        prepare = source[:-1].transform if len(source.steps) > 1 else _as_they_are
    for column in columns:
        if isinstance(column, Text):
            raise ConversionError(
                f"the model takes numbers, and {column.example}",
                hint="correct the data, or encode text by OneHotEncoder in a Pipeline",
            )
    ready: list[Symbol] = [column for column in columns if not isinstance(column, Text)]
    return Source(model, tuple(ready), frame, prepare, tuple(told), notes)


def input_names(source: Any) -> list[str]:
    """Return the names of a model's input columns, none if it was trained without names."""
    if isinstance(source, XGBoostFile):
        return list(source.document.get("learner", {}).get("feature_names") or ())
    known = getattr(source, "feature_names_in_", None)
    if known is None and hasattr(source, "steps"):
        known = getattr(source.steps[0][1], "feature_names_in_", None)
    if known is not None:
        return [str(name) for name in known]
    if _library(source) == "lightgbm":
        names = [str(name) for name in getattr(source, "booster_", source).feature_name()]
        return [] if names == [f"Column_{place}" for place in range(len(names))] else names
    if _library(source) == "xgboost" and not hasattr(source, "get_booster"):
        return list(source.feature_names or ())
    return []


def _library(source: Any) -> str:
    return type(source).__module__.partition(".")[0]


def _last_step(source: Any) -> Any:
    if type(source).__name__ == "Pipeline" and hasattr(source, "steps"):
        return source.steps[-1][1]
    return source


def _check_count(source: Any, last: Any, frame: Frame) -> None:
    count = getattr(source, "n_features_in_", None)
    if count is None and hasattr(last, "num_feature"):
        count = last.num_feature()
    if count is None and hasattr(last, "num_features"):
        count = last.num_features()
    if count is not None and int(count) != len(frame.names):
        raise ConversionError(
            f"the model takes {count} features, the rows have {len(frame.names)} columns",
            hint="give the columns that it was trained on, in their order, and no others",
        )


def _raw_column(frame: Frame, place: int) -> Numbers | Text:
    cells = frame.columns[place]
    if cells.dtype.kind != "O":
        narrow = not frame.named and getattr(frame.source, "dtype", None) == np.float32
        return Numbers(place, narrow=narrow)
    row = next((at for at, cell in enumerate(cells) if not _is_number(cell)), 0)
    return Text(place, f"row {row}, column {frame.names[place]!r} holds {str(cells[row])[:40]!r}")


def _is_number(cell: Any) -> bool:
    try:
        return cell is None or bool(float(cell) == float(cell))
    except (TypeError, ValueError):
        return False


def _read_last(
    last: Any,
    columns: Columns,
    frame: Frame,
    features: Sequence[Feature] | None,
    told: list[str],
    *,
    is_pipeline: bool,
) -> tuple[Model, Columns, Prepare, tuple[str, ...]]:
    """Return the model, its columns, how rows become what it takes, and notes."""
    library = _library(last)
    notes: tuple[str, ...] = ()
    lists: Mapping[int, list[Any]] = {}
    text = [isinstance(column, Text) for column in columns]
    model: Model
    if library == "lightgbm":
        booster = getattr(last, "booster_", last)
        model = read_lightgbm(booster)
        lists = category_lists(booster, booster.feature_name(), text)
    elif library == "xgboost" or isinstance(last, XGBoostFile):
        model, schema, notes = read_xgboost(last)
        lists = schema.categories
    elif library == "sklearn":
        model = read_sklearn(last)
        if type(last).__name__.startswith("HistGradientBoosting"):
            columns = histogram_columns(last, columns, told)
        return model, columns, _as_they_are, notes
    else:
        raise UnsupportedModelError(
            f"{type(last).__name__} is no model that can be converted",
            hint="use XGBoost, LightGBM, or linear models, trees, forests or boosting of "
            "scikit-learn",
        )
    columns = _coded(model, columns, frame, features, lists)
    if is_pipeline:
        return model, columns, _as_they_are, notes
    return model, columns, lambda _: _matrix(columns, frame), notes


def _as_they_are(rows: Untyped) -> Untyped:
    return rows


# --- categories by code --------------------------------------------------------------------------


def _coded(
    model: TreeSource,
    columns: Columns,
    frame: Frame,
    features: Sequence[Feature] | None,
    lists: Mapping[int, list[Any]],
) -> Columns:
    """Return the columns, with tables of codes where the trees ask for categories."""
    asked: dict[int, set[int]] = {}
    for tree in model.trees:
        for node, split in tree.categories.items():
            asked.setdefault(int(tree.features[node]), set()).update(split.codes)
    after = list(columns)
    for place, column in enumerate(columns):
        fixed = features[column.input].categories if features else ()
        if not isinstance(column, Numbers | Text) or (isinstance(column, Numbers) and column.steps):
            continue
        if place in lists:
            labels = [category_label(one) for one in lists[place] if not is_missing(one)]
            # XGBoost refuses a category that is not in the model's list.
            unknown = None if model.library == "xgboost" else NAN
            after[place] = _codes(column.input, labels, unknown)
        elif fixed:
            after[place] = _codes(column.input, fixed, NAN)
        elif place in asked:
            if isinstance(column, Text):
                continue
            highest = max(asked[place], default=0)
            seen = frame.columns[column.input].astype(np.float64)
            highest = max(highest, int(np.nanmax(seen, initial=0.0)))
            if highest >= CATEGORY_COUNT_MAX:
                raise UnsupportedModelError(
                    f"column {frame.names[column.input]!r} has the category {highest}",
                    hint=f"number categories from 0, at most {CATEGORY_COUNT_MAX} of them",
                )
            after[place] = _codes(column.input, [str(code) for code in range(highest + 1)], -1.0)
    return after


def _codes(place: int, labels: Sequence[str], unknown: float | None) -> Labels:
    table = {label: float(code) for code, label in enumerate(labels)}
    return Labels(place, table, NAN, unknown)


def _matrix(columns: Columns, frame: Frame) -> Floats:
    """Return the rows as floats, categories as codes."""
    matrix = np.empty((frame.row_count, len(columns)), np.float64)
    for place, column in enumerate(columns):
        cells = frame.columns[place]
        if isinstance(column, Labels):
            matrix[:, place] = _look_up(column, cells)
        else:
            matrix[:, place] = cells.astype(np.float64)
    return matrix


def _look_up(column: Labels, cells: Cells) -> Floats:
    values = np.empty(len(cells), np.float64)
    for row, cell in enumerate(cells):
        if is_missing(cell):
            values[row] = NAN
            continue
        value = column.value_of(category_label(cell))
        if value is None:
            raise ConversionError(
                f"row {row}: {category_label(cell)!r} is no category that the model knows",
                hint=f"one of: {', '.join(list(column.values)[:40])}",
            )
        values[row] = value
    return values
