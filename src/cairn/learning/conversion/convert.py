"""Converts a trained model to an exact one and states how far the two are apart.

The source is read into plain arrays (`reading`), its columns as functions of single inputs
(`symbols`), and written as an exact model (`trees`, `additive_models`). Then both score the rows
that the caller gives, each by its own code, so that no claim rests on the conversion being right.
"""

import importlib.metadata
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from cairn.exact.errors import ModelFormError
from cairn.exact.models import (
    FORMAT_VERSION,
    MODEL_SIZE_BYTES_MAX,
    ExactModel,
    Linear,
    Scorecard,
    Trees,
    check_form,
    encode_model,
)
from cairn.exact.schema import Feature
from cairn.exact.scoring import Scorer
from cairn.learning.conversion.additive_models import write_linear
from cairn.learning.conversion.errors import (
    ConversionError,
    DifferenceError,
    UnsupportedModelError,
)
from cairn.learning.conversion.frames import Frame, read_frame
from cairn.learning.conversion.reading import read_source
from cairn.learning.conversion.report import ConversionReport, count_flips, rank_correlation
from cairn.learning.conversion.rows import Floats, Int64s, encode_column
from cairn.learning.conversion.schema import check_features, infer_features
from cairn.learning.conversion.sources import Source, TreeSource
from cairn.learning.conversion.symbols import Binned, Symbol
from cairn.learning.conversion.trees import write_trees
from cairn.primitives.fixed import PPM, RAW_BITS

LARGEST_DIFFERENCE_MAX = 1e-4
"""Difference of a score above which a conversion is refused unless the caller says otherwise."""

_PACKAGES = {"xgboost": ("xgboost-cpu", "xgboost")}


class Conversion(NamedTuple):
    """An exact model and how far it is from its source."""

    model: ExactModel
    report: ConversionReport


def convert(
    source: Any,
    features: Sequence[Feature | str] | None = None,
    rows: Any = None,
    *,
    threshold: float = 0.5,
    largest_difference_max: float = LARGEST_DIFFERENCE_MAX,
) -> Conversion:
    """Return the exact form of a trained model, compared with it on rows.

    Args:
        source: A fitted Pipeline, model or booster of scikit-learn, LightGBM or XGBoost, or what
            `model_files.load_model` returned. The README lists what converts.
        features: The input schema, one entry per column, a bare name being an integer read as it
            is; without it the schema follows from the source and the rows.
        rows: Rows like those to score, at least one, in the form in which the source takes them.
            They are what the two are compared on, and for linear models the range of the inputs.
        threshold: Score from which a decision is positive, for counting flips.
        largest_difference_max: Refuse if a row's two scores are further apart.

    Raises:
        UnsupportedModelError: Exact models have no form for the source or one of its steps.
        ConversionError: The rows do not fit, or the result breaks a limit.
        DifferenceError: A row's scores are further apart than the bound; the message names it.
    """
    frame = None if rows is None else read_frame(rows)
    if frame is None or not frame.row_count:
        raise ConversionError("there are no reference rows", hint="give rows like those to score")
    schema = None
    if features is not None:
        schema = tuple(Feature(f, "integer") if isinstance(f, str) else f for f in features)
        if not frame.named and len(schema) != len(frame.names):
            raise ConversionError(
                f"the rows have {len(frame.names)} columns, the schema {len(schema)} features",
                hint="give one column per feature, in the order of the schema",
            )
    with warnings.catch_warnings():
        # A model that was fitted on a table says so when it is given an array, or the converse.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        warnings.filterwarnings("ignore", message="X has feature names, but")
        read = read_source(source, frame, schema)
        if schema is None:
            schema, places = infer_features(read)
        else:
            check_features(read, schema)
            places = tuple(range(len(schema)))
        encoded = _encode(read.frame, schema, places)
        model = _write(read, schema, places, encoded)
        report, source_score, exact_ppm = _compare(model, read, encoded, threshold=threshold)
    _check_difference(report, source_score, exact_ppm, bound=largest_difference_max)
    return Conversion(model, report)


def _encode(frame: Frame, features: Sequence[Feature], places: Sequence[int]) -> Int64s:
    columns = [
        encode_column(feature, frame.columns[place])
        for feature, place in zip(features, places, strict=True)
    ]
    return np.stack(columns, axis=1)


def _write(
    read: Source, features: tuple[Feature, ...], places: Sequence[int], encoded: Int64s
) -> ExactModel:
    symbols = [_moved(symbol, places.index(symbol.input)) for symbol in read.columns]
    body: Trees | Linear | Scorecard
    if isinstance(read.model, TreeSource):
        body, columns = write_trees(read.model, symbols, features)
    else:
        body, columns = write_linear(read.model, symbols, features, encoded)
    model = ExactModel(
        version=FORMAT_VERSION,
        features=features,
        link=read.model.link,
        body=body,
        columns=columns,
    )
    _check_limits(model)
    return model


def _moved(symbol: Symbol, place: int) -> Symbol:
    if isinstance(symbol, Binned):
        return replace(symbol, numbers=replace(symbol.numbers, input=place))
    return replace(symbol, input=place)


def _source_scores(read: Source) -> tuple[Floats, Floats]:
    """Return the raw outputs and the scores of the rows by the source's own code."""
    rows = read.frame.source
    prepared = read.prepare(rows.to_pandas() if hasattr(rows, "column_names") else rows)
    if read.model.library == "xgboost" and hasattr(prepared, "tocsr"):
        raise UnsupportedModelError(
            "XGBoost takes the zeros for missing in the sparse columns of the steps before it",
            hint="use OneHotEncoder(sparse_output=False) or ColumnTransformer(sparse_threshold=0), "
            "and train again",
        )
    with np.errstate(all="ignore"):
        return read.model.raw(prepared), np.clip(read.model.score(prepared), 0.0, 1.0)


def _compare(
    model: ExactModel, read: Source, encoded: Int64s, *, threshold: float
) -> tuple[ConversionReport, Floats, Int64s]:
    """Return the report, and the source's and the exact model's scores."""
    exact_raw, exact_ppm = Scorer(model, kernel="numpy").score(encoded)
    source_raw, source_score = _source_scores(read)
    difference = np.abs(exact_ppm / PPM - source_score)
    report = ConversionReport(
        kind=read.model.kind,
        library=read.model.library,
        library_version=_version(read.model.library),
        row_count=len(encoded),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        rank_correlation=rank_correlation(exact_ppm.astype(np.float64), source_score),
        flips_at_threshold=count_flips(exact_ppm, source_score, threshold),
        threshold=threshold,
        largest_raw_difference=float(np.abs(exact_raw / 2.0**RAW_BITS - source_raw).max()),
        size_bytes=len(encode_model(model)),
        steps=read.steps,
        notes=(*read.notes, *_notes(read, model)),
    )
    return report, source_score, exact_ppm


def _notes(read: Source, model: ExactModel) -> list[str]:
    notes = []
    used = {column.input for column in read.columns}
    if read.frame.named and len(used) < len(read.frame.names):
        left_out = [name for place, name in enumerate(read.frame.names) if place not in used]
        notes.append(f"left out, since no step reads them: {', '.join(left_out)}")
    renamed = [
        f"{name} is {feature.name}"
        for name, feature in zip(
            (
                n
                for place, n in enumerate(read.frame.names)
                if place in used or not read.frame.named
            ),
            model.features,
            strict=False,
        )
        if name.lower() != feature.name and read.frame.named
    ]
    if renamed:
        notes.append(f"renamed: {'; '.join(renamed[:40])}")
    return notes


def _version(library: str) -> str:
    for package in _PACKAGES.get(library, (library,)):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def _check_difference(
    report: ConversionReport, source_score: Floats, exact_ppm: Int64s, *, bound: float
) -> None:
    """Refuse a model that is too far from its source.

    Raises:
        DifferenceError: It names the row that is furthest, and both of its scores.
    """
    if report.largest_difference <= bound:
        return
    difference = np.abs(exact_ppm / PPM - source_score)
    row = int(np.argmax(difference))
    count = int((difference > bound).sum())
    raise DifferenceError(
        f"row {row}: the source scores {source_score[row]:.6f}, the exact model "
        f"{exact_ppm[row] / PPM:.6f}; they differ by more than {bound:g} in {count} of "
        f"{report.row_count} rows",
        hint="an input of the row lies between two steps of its kind at a threshold: declare it "
        "with more scale_bits (features=…), round the data before training, or allow the "
        "difference (largest_difference_max)",
    )


def _check_limits(model: ExactModel) -> None:
    size_bytes = len(encode_model(model))
    if size_bytes > MODEL_SIZE_BYTES_MAX:
        raise ConversionError(
            f"the exact model has {size_bytes} bytes, more than {MODEL_SIZE_BYTES_MAX}",
            hint="train fewer or smaller trees (max_leaf_nodes, min_samples_leaf)",
        )
    try:
        check_form(model)
    except ModelFormError as error:
        raise ConversionError(
            f"the exact model breaks a limit: {error}",
            hint="train a smaller model, and name features with a-z 0-9 . _ -",
        ) from error
