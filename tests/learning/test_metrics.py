"""Metrics against scikit-learn, and by hand where it has none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from cairn.learning.errors import TrainingError
from cairn.learning.metrics import (
    AlertQuality,
    at_budget,
    at_threshold,
    average_precision,
    ppm,
    roc_auc,
    subject_precision_at_k,
    threshold_for_budget,
)

RANKINGS = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=60)


@settings(max_examples=150, deadline=None)
@given(RANKINGS)
def test_auc_and_average_precision_agree_with_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    labels, scores = zip(*rows, strict=True)
    if len(set(labels)) < 2:
        with pytest.raises(TrainingError):
            roc_auc(labels, scores)
        return
    assert roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    expected = average_precision_score(labels, scores)
    assert average_precision(labels, scores) == pytest.approx(expected)


def test_average_precision_needs_a_positive() -> None:
    with pytest.raises(TrainingError, match="needs positives"):
        average_precision([0, 0], [1, 2])


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([0, 1], [1.0]), ([0, 2], [1, 2]), ([0, 1], [1, float("nan")]), ([[0], [1]], [[1], [2]])],
)
def test_inputs_that_do_not_fit_are_refused(labels: list[int], scores: list[float]) -> None:
    with pytest.raises(TrainingError):
        roc_auc(labels, scores)


def test_threshold_and_budget() -> None:
    labels, scores = [0, 1, 1, 0, 1], [5, 9, 5, 1, 0]
    assert at_threshold(labels, scores, 5) == AlertQuality(alerts=3, found=2, positives=3)
    assert at_budget(labels, scores, 1) == AlertQuality(alerts=1, found=1, positives=3)
    # Of two equal scores the earlier counts.
    assert at_budget(labels, scores, 2).found == 1
    assert at_budget(labels, scores, 3).recall == pytest.approx(2 / 3)
    assert at_budget(labels, scores, 99).alerts == 5
    assert at_budget(labels, scores, 0).precision == 0.0
    assert at_budget([0], [1], 1).recall == 0.0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 45))
def test_the_threshold_of_a_budget_is_the_lowest_within_it(scores: list[int], alerts: int) -> None:
    threshold = threshold_for_budget(scores, alerts)
    reached = sum(score >= threshold for score in scores)
    assert reached <= alerts or alerts >= len(scores)
    below = [score for score in scores if score < threshold]
    if below:
        assert sum(score >= max(below) for score in scores) > alerts


def test_a_found_victim_is_not_counted_again() -> None:
    precision = subject_precision_at_k(
        [1, 0, 1, 0, 1],
        [9, 8, 9, 8, 7],
        subjects=["a", "b", "a", "b", "c"],
        days=[0, 0, 1, 1, 1],
        k=2,
    )
    # Day 0: a and b, one right. Day 1: a is blocked; b and c, one right.
    assert precision == pytest.approx(0.5)
    assert subject_precision_at_k([], [], subjects=[], days=[], k=2) == 0.0


def test_a_subject_counts_once_a_day_with_his_highest_score() -> None:
    precision = subject_precision_at_k(
        [0, 1, 0], [1, 0, 5], subjects=["a", "a", "b"], days=[0, 0, 0], k=2
    )
    assert precision == pytest.approx(0.5)


def test_parts_per_million_are_rounded() -> None:
    assert [ppm(value) for value in (0.0, 1.0, 0.1234564, 0.1234566)] == [0, 10**6, 123456, 123457]
    assert isinstance(ppm(float(np.float64(0.5))), int)
