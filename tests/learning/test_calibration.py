"""Platt scaling folded into exact models: the score is the calibrated probability."""

import numpy as np
import pytest

from cairn.exact.models import (
    Bins,
    ExactModel,
    Feature,
    Linear,
    Scorecard,
    Trees,
    Weight,
    check_form,
)
from cairn.exact.scoring import Scorer
from cairn.learning.calibration import Platt, fit_platt, fold
from cairn.learning.conversion.convert import convert
from cairn.learning.errors import TrainingError
from cairn.learning.extras import require
from cairn.primitives.encoding import replace

FEATURES = (Feature("a", "integer"), Feature("b", "integer"))


def rows(count: int = 400) -> np.ndarray:
    return np.random.default_rng(2).integers(-500, 500, (count, 2))


def labels_of(values: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(4).integers(-400, 400, len(values))
    labels: np.ndarray = (values.sum(1) + noise > 150).astype(int)
    return labels


def tree_model(*, averaged: bool) -> ExactModel:
    values = rows()
    if averaged:
        ensemble = require("sklearn.ensemble")
        source = ensemble.RandomForestClassifier(n_estimators=7, max_depth=4, random_state=1)
    else:
        ensemble = require("sklearn.ensemble")
        source = ensemble.GradientBoostingClassifier(n_estimators=9, max_depth=3, random_state=1)
    source.fit(values, labels_of(values))
    return convert(source, FEATURES, values).model


def linear_model() -> ExactModel:
    weights = (Weight(-500, 500, 3 << 26), Weight(-500, 500, 5 << 25))
    return ExactModel(1, FEATURES, "logistic", Linear(-(1 << 30), 10, weights))


def scorecard() -> ExactModel:
    bins = (Bins(0, (-100, 100), (-9, 2, 30)), Bins(1, (0,), (-5, 17)))
    return ExactModel(1, FEATURES, "logistic", Scorecard(1 << 31, 4, 1 << 27, bins))


@pytest.mark.parametrize(
    "model",
    [tree_model(averaged=False), tree_model(averaged=True), linear_model(), scorecard()],
    ids=["boosting", "forest", "linear", "scorecard"],
)
@pytest.mark.parametrize("platt", [Platt(0.37, -1.25), Platt(4.5, 0.5)])
def test_the_folded_model_gives_the_calibrated_probability(model: ExactModel, platt: Platt) -> None:
    values = rows()
    raw, _ = Scorer(model, kernel="numpy").score(values)
    folded = fold(model, platt)
    check_form(folded)
    _, scores = Scorer(folded, kernel="numpy").score(values)
    wanted = platt.probabilities(raw / 2.0**32)
    assert np.abs(scores / 1e6 - wanted).max() < 1e-6
    assert folded.features == model.features


def test_a_known_scaling_is_found_again() -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(size=40_000) * 3
    true = Platt(0.6, -1.1)
    labels = (rng.random(len(raw)) < true.probabilities(raw)).astype(int)
    found = fit_platt(labels, raw)
    assert (found.slope, found.offset) == pytest.approx((0.6, -1.1), abs=0.03)
    shifted = fit_platt(labels, raw * 1e4 + 7e4)
    assert shifted.slope * 1e4 == pytest.approx(found.slope, rel=1e-6)


def test_what_cannot_be_calibrated() -> None:
    with pytest.raises(TrainingError, match="positives and negatives"):
        fit_platt([0, 0, 0], [1.0, 2.0, 3.0])
    with pytest.raises(TrainingError, match="turn the ranking around"):
        fold(linear_model(), Platt(-1.0, 0.0))
    with pytest.raises(TrainingError, match="breaks a limit"):
        fold(linear_model(), Platt(1e9, 0.0))
    isolation = replace(linear_model(), link="isolation")
    assert fold(isolation, Platt(-1.0, 0.0)).link == "logistic"


def test_separated_classes_stay_finite() -> None:
    found = fit_platt([0] * 20 + [1] * 20, list(range(20)) + list(range(100, 120)))
    assert 0 < found.slope < 10
    assert np.isfinite(found.offset)


def test_trees_stay_canonical() -> None:
    folded = fold(tree_model(averaged=False), Platt(1e-9, 0.0))
    assert isinstance(folded.body, Trees)
    check_form(folded)
