"""Platt scaling that stays exact: slope and offset are folded into the model's own integers.

A model's raw output f becomes slope * f + offset, and the score its sigmoid. As the raw output of
every body is a sum, the sum can be scaled term by term: leaves, weights or points by the slope, the
base by slope and offset. The calibrated model is an exact model like any other, and costs nothing
more to score.

An isotonic curve would need a table behind the sum, which exact models do not have, so it is not
offered.

Source: Platt 1999, Probabilistic outputs for support vector machines; Lin, Lin and Weng 2007, A
note on Platt's probabilistic outputs (the smoothed targets, and Newton's method with backtracking).
"""

from dataclasses import dataclass
from struct import pack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.exact.errors import ModelFormError
from cairn.exact.models import (
    ExactModel,
    Linear,
    Scorecard,
    Trees,
    check_form,
    column_count,
    leaf_index_width,
    tree_columns,
)
from cairn.learning.errors import TrainingError
from cairn.primitives.encoding import replace
from cairn.primitives.fixed import RAW_BITS

_STEPS_MAX = 100
_STEP_MIN = 1e-10
_GRADIENT_MAX = 1e-7
_RIDGE = 1e-12
_CODES = {1: "B", 2: "H"}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Platt:
    """The probability is the sigmoid of `slope` times the raw output plus `offset`."""

    slope: float
    offset: float

    def probabilities(self, raw: ArrayLike) -> Floats:
        """Return the calibrated probabilities of raw outputs (not counted in 2^-32)."""
        shifted = self.slope * np.asarray(raw, np.float64) + self.offset
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(shifted, -700, 700))))


def fit_platt(labels: ArrayLike, raw: ArrayLike) -> Platt:
    """Return the scaling that fits labelled raw outputs best.

    Args:
        labels: 0 or 1, both of them there; of rows that the model was not trained on.
        raw: The raw outputs, not counted in 2^-32.

    Raises:
        TrainingError: A class is missing, or the raw outputs do not tell the classes apart.
    """
    truth, outputs = np.asarray(labels, np.float64), np.asarray(raw, np.float64)
    positives = float(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        raise TrainingError(
            "calibration needs positives and negatives in the validation part",
            "take a larger validation part, or calibrate with `none`",
        )
    target = np.where(truth == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # Newton's method on standardised outputs, so that the scale of the raw output does not matter.
    mean, spread = float(outputs.mean()), float(outputs.std()) or 1.0
    slope, offset = _newton((outputs - mean) / spread, target, positives / negatives)
    found = Platt(slope / spread, offset - slope * mean / spread)
    if not abs(found.slope) > 0 or not np.isfinite([found.slope, found.offset]).all():
        raise TrainingError("the model's outputs do not tell the classes apart")
    return found


def _newton(outputs: Floats, target: Floats, odds: float) -> tuple[float, float]:
    slope, offset = 0.0, float(np.log(odds))
    loss = _loss(slope * outputs + offset, target)
    for _ in range(_STEPS_MAX):
        chance = 1 / (1 + np.exp(-(slope * outputs + offset)))
        error, weight = chance - target, chance * (1 - chance)
        gradient = np.array([(error * outputs).sum(), error.sum()])
        if np.abs(gradient).max() < _GRADIENT_MAX * len(outputs):
            break
        cross = (weight * outputs).sum()
        hessian = np.array(
            [[(weight * outputs**2).sum() + _RIDGE, cross], [cross, weight.sum() + _RIDGE]]
        )
        step, size = -np.linalg.solve(hessian, gradient), 1.0
        while size >= _STEP_MIN:
            tried = slope + size * step[0], offset + size * step[1]
            tried_loss = _loss(tried[0] * outputs + tried[1], target)
            if tried_loss < loss + 1e-4 * size * float(gradient @ step):
                (slope, offset), loss = tried, tried_loss
                break
            size /= 2
        else:
            break
    return float(slope), float(offset)


def _loss(shifted: Floats, target: Floats) -> float:
    return float((np.logaddexp(0, shifted) - target * shifted).sum())


def fold(model: ExactModel, platt: Platt) -> ExactModel:
    """Return the exact model whose score is the calibrated probability.

    Raises:
        TrainingError: The slope would turn the ranking around, or the scaled numbers break a limit.
    """
    rises = model.link != "isolation"
    if (platt.slope > 0) != rises:
        raise TrainingError(
            "calibration would turn the ranking around: on the validation part, higher scores are "
            "less often right",
            "look at the labels and the split before calibrating",
        )
    scaled = replace(model, link="logistic", body=_scaled(model, platt))
    try:
        check_form(scaled)
    except ModelFormError as error:
        raise TrainingError(
            f"the calibrated model breaks a limit: {error}", "calibrate with `none`"
        ) from error
    return scaled


def _scaled(model: ExactModel, platt: Platt) -> Scorecard | Linear | Trees:
    body, offset = model.body, round(platt.offset * 2.0**RAW_BITS)
    if isinstance(body, Scorecard):
        return replace(
            body,
            base=round(platt.slope * body.base) + offset,
            raw_per_point=round(platt.slope * body.raw_per_point),
        )
    if isinstance(body, Linear):
        weights = tuple(
            replace(one, weight=round(platt.slope * one.weight)) for one in body.weights
        )
        return replace(body, base=round(platt.slope * body.base) + offset, weights=weights)
    leaves = [round(platt.slope * one) for one in tree_columns(body, column_count(model)).leaves]
    values = sorted(set(leaves))
    width = leaf_index_width(len(leaves), len(values))
    places = {value: place for place, value in enumerate(values)}
    stored = values if width else leaves
    return replace(
        body,
        base=round(platt.slope * body.base) + offset * body.divisor,
        leaf_values=pack(f"<{len(stored)}q", *stored),
        leaf_index=pack(f"<{len(leaves)}{_CODES[width]}", *(places[leaf] for leaf in leaves))
        if width
        else b"",
    )
