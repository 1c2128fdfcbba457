"""Converts a trained model to an exact one and states how far the two are apart.

Trees keep their decisions: thresholds are rounded down on the inputs' own grid and leaves to 2^-32,
so that only the last digits of the raw output differ. Linear models get as many bits as fit. The
report compares both on reference rows, each by its own code, so that no claim rests on the
conversion being right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cairn.exact.errors import ModelFormError
from cairn.exact.models import (
    FORMAT_VERSION,
    MODEL_SIZE_BYTES_MAX,
    ExactModel,
    Feature,
    Linear,
    Trees,
    check_form,
    encode_model,
)
from cairn.exact.scoring import Scorer
from cairn.learning.conversion_errors import ConversionError
from cairn.learning.conversion_linear import write_linear
from cairn.learning.conversion_rows import Int64s, encode_rows
from cairn.learning.conversion_sources import SourceModel, TreeSource, read_source
from cairn.learning.conversion_trees import write_trees
from cairn.primitives.fixed import PPM, RAW_BITS


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """Differences between the source and the exact model on reference rows."""

    rows: int
    raw_difference_max: float
    raw_difference_mean: float
    probability_difference_max: float
    """The exact model's probability is its score, so half a part per million is rounding."""
    probability_difference_mean: float
    score_differences: int
    """Rows whose score differs from the source's probability rounded to parts per million."""
    threshold_ppm: int
    decision_flips: int
    """Rows on different sides of the threshold, both in parts per million."""
    size_bytes: int

    def summary(self) -> str:
        """Return the report in one sentence."""
        return (
            f"{self.rows} rows: raw output differs by at most {self.raw_difference_max:.2g} "
            f"(mean {self.raw_difference_mean:.2g}), "
            f"probability by {self.probability_difference_max:.2g} "
            f"(mean {self.probability_difference_mean:.2g}); "
            f"{self.decision_flips} decisions flip at {self.threshold_ppm} ppm; "
            f"{self.size_bytes} bytes"
        )


class Conversion(NamedTuple):
    """An exact model and how far it is from its source."""

    model: ExactModel
    report: ConversionReport


def convert(
    source: Any,
    features: Sequence[Feature | str],
    reference_rows: npt.ArrayLike,
    *,
    threshold_ppm: int = PPM // 2,
) -> Conversion:
    """Return the exact form of a trained model, compared with it on reference rows.

    Args:
        source: A fitted binary classifier or regression of scikit-learn (LogisticRegression and
            LinearRegression, alone or behind a StandardScaler; decision trees, forests, extra
            trees; gradient and histogram boosting), or a LightGBM model (binary or regression).
        features: The input schema, one entry per column; a bare name is an integer read as it is.
            Trees read integers or float32, linear models integers.
        reference_rows: Shape (rows, features), at least one row: what the two are compared on, and
            for linear models the range of the inputs.
        threshold_ppm: Score from which a decision is positive, for counting flips.

    Raises:
        UnsupportedModelError: Exact models have no form for the source.
        ConversionError: The rows do not fit the schema, or the result breaks a limit.
    """
    parts = read_source(source)
    schema = tuple(Feature(f, "integer") if isinstance(f, str) else f for f in features)
    rows = np.asarray(reference_rows)
    encoded = encode_rows(schema, rows)
    if not len(encoded):
        raise ConversionError("there are no reference rows", hint="give rows like those to score")
    body: Trees | Linear
    if isinstance(parts, TreeSource):
        body = write_trees(parts.trees, schema, base=parts.base, divisor=parts.divisor)
    else:
        body = write_linear(parts.coefficients, parts.intercept, features=schema, rows=encoded)
    model = ExactModel(
        version=FORMAT_VERSION,
        features=schema,
        link="logistic" if parts.logistic else "identity",
        body=body,
    )
    _check_limits(model)
    report = _compare(model, parts, rows, encoded, threshold_ppm=threshold_ppm)
    return Conversion(model, report)


def _compare(
    model: ExactModel,
    parts: SourceModel,
    rows: npt.NDArray[Any],
    encoded: Int64s,
    *,
    threshold_ppm: int,
) -> ConversionReport:
    exact_raw, exact_ppm = Scorer(model, kernel="numpy").score(encoded)
    probability = np.clip(parts.probability(rows), 0, 1)
    source_ppm = np.floor(probability * PPM + 0.5).astype(np.int64)
    raw_difference = np.abs(exact_raw / 2.0**RAW_BITS - parts.raw(rows))
    probability_difference = np.abs(exact_ppm / PPM - probability)
    return ConversionReport(
        rows=len(rows),
        raw_difference_max=float(raw_difference.max()),
        raw_difference_mean=float(raw_difference.mean()),
        probability_difference_max=float(probability_difference.max()),
        probability_difference_mean=float(probability_difference.mean()),
        score_differences=int((exact_ppm != source_ppm).sum()),
        threshold_ppm=threshold_ppm,
        decision_flips=int(((exact_ppm >= threshold_ppm) != (source_ppm >= threshold_ppm)).sum()),
        size_bytes=len(encode_model(model)),
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
