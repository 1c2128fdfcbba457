"""Figures with bounds: sorted rows give the figures of `metrics`, bounds are as wide as known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.learning import metrics
from cairn.learning.errors import TrainingError
from cairn.learning.resampling import (
    FIGURES,
    FIGURES_WITHOUT_BUDGET,
    Ranking,
    Resampling,
    estimate,
)

ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 3)), min_size=2, max_size=60
).filter(lambda rows: 0 < sum(row[0] for row in rows) < len(rows))


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(0, 20), st.integers(1, 5))
def test_figures_are_those_of_the_metrics(
    rows: list[tuple[bool, int, int]], threshold: int, budget: int
) -> None:
    labels = np.array([row[0] for row in rows], int)
    scores = np.array([row[1] for row in rows]) / 20
    days = np.array([row[2] for row in rows])
    at = threshold / 20
    ranking = Ranking(labels, scores, threshold=at, days=days, alerts_per_day=budget)
    quality = metrics.at_threshold(labels, scores, at)
    daily = metrics.at_daily_budget(labels, scores, days=days, alerts_per_day=budget)
    assert ranking.figures() == pytest.approx(
        {
            "average_precision": metrics.average_precision(labels, scores),
            "brier": metrics.brier_score(labels, scores),
            "calibration_error": metrics.calibration_error(labels, scores),
            "ks": metrics.kolmogorov_smirnov(labels, scores),
            "precision_at_budget": daily.precision,
            "precision_at_threshold": quality.precision,
            "recall_at_budget": daily.recall,
            "recall_at_threshold": quality.recall,
            "roc_auc": metrics.roc_auc(labels, scores),
        },
        abs=1e-12,
    )


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter_to_calibration(
    rows: list[tuple[bool, int, int]], shuffler: object
) -> None:
    labels = np.array([row[0] for row in rows], int)
    scores = np.array([row[1] for row in rows]) / 20
    order = np.arange(len(rows))
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    first = metrics.calibration_error(labels, scores)
    assert metrics.calibration_error(labels[order], scores[order]) == pytest.approx(first)


def sample(count: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    truth = rng.random(count)
    return (rng.random(count) < truth).astype(int), truth


def test_weights_count_rows_so_many_times() -> None:
    labels, scores = sample(200)
    weights = np.random.default_rng(1).integers(0, 4, 200)
    weights[:10] = 1
    order = np.argsort(-scores, kind="stable")
    ranking = Ranking(labels, scores, threshold=0.5)
    repeated = Ranking(np.repeat(labels, weights), np.repeat(scores, weights), threshold=0.5)
    weighted = ranking.figures(weights[order].astype(float))
    assert weighted == pytest.approx(repeated.figures(), abs=1e-12)


def test_bounds_hold_the_figure_and_repeat_with_the_seed() -> None:
    labels, scores = sample()
    ranking = Ranking(labels, scores, threshold=0.5)
    first = estimate(ranking, Resampling(count=200, seed=7))
    assert first == estimate(ranking, Resampling(count=200, seed=7))
    assert first != estimate(ranking, Resampling(count=200, seed=8))
    assert tuple(first) == FIGURES_WITHOUT_BUDGET == tuple(sorted(first))
    for name in ("average_precision", "roc_auc", "brier"):
        one = first[name]
        assert one.lower < one.value < one.upper
    wide = estimate(ranking, Resampling(count=200, seed=7, confidence=0.99))["roc_auc"]
    assert wide.upper - wide.lower > first["roc_auc"].upper - first["roc_auc"].lower
    assert first["calibration_error"].value < 0.05
    without = estimate(ranking, Resampling(count=0))["roc_auc"]
    assert without.lower == without.value == without.upper


def test_the_bounds_of_an_auc_are_those_of_theory() -> None:
    """Hanley and McNeil 1982: the standard error of an AUC from its own value."""
    rng = np.random.default_rng(3)
    positives, negatives = 400, 1_600
    labels = np.repeat([1, 0], [positives, negatives])
    scores = rng.normal(size=2_000) + labels
    scores = (scores - scores.min()) / (scores.max() - scores.min())
    one = estimate(Ranking(labels, scores, threshold=0.5), Resampling(count=600))["roc_auc"]
    area = one.value
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (q1 - area**2)
    variance = (variance + (negatives - 1) * (q2 - area**2)) / (positives * negatives)
    assert (one.upper - one.lower) / (2 * 1.96) == pytest.approx(variance**0.5, rel=0.15)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.5], "same length"),
        ([0, 2], [0.5, 0.5], "not 0 or 1"),
        ([0, 0], [0.5, 0.5], "0 of 2 test rows are positive"),
        ([0, 1], [0.5, float("nan")], "not finite"),
    ],
)
def test_lists_that_do_not_fit(labels: list[int], scores: list[float], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Ranking(labels, scores, threshold=0.5)


def test_all_figures_have_names() -> None:
    labels, scores = sample(50)
    found = Ranking(labels, scores, threshold=0.5, alerts_per_day=3).figures()
    assert tuple(sorted(found)) == FIGURES


def test_bounds_hold_the_figure_though_resampling_only_raises_it() -> None:
    draw = np.random.default_rng(3)
    labels = np.concatenate([np.repeat([1, 0], [n, 200 - n]) for n in range(10, 200, 20)])
    scores = np.repeat((np.arange(10) + 0.5) / 10, 200)
    order = draw.permutation(len(labels))
    found = estimate(Ranking(labels[order], scores[order], threshold=0.5), Resampling(count=100))
    error = found["calibration_error"]
    assert error.value == pytest.approx(0)
    assert all(one.lower <= one.value <= one.upper for one in found.values())
