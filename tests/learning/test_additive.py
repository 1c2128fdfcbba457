"""A sum of one-comparison trees, written as a scorecard, scores the same bit for bit."""

import numpy as np
import pytest
from lightgbm import LGBMClassifier

from cairn.exact.explain import contributions
from cairn.exact.models import ExactModel, Scorecard, Trees
from cairn.exact.scoring import Scorer
from cairn.learning.additive import additive_scorecard
from cairn.learning.conversion.convert import convert
from cairn.learning.conversion.errors import ConversionError

NAMES = ("income", "age", "debts")


def fitted(rows: np.ndarray, labels: np.ndarray, *, depth: int, **settings: object) -> ExactModel:
    model = LGBMClassifier(
        n_estimators=40, max_depth=depth, num_leaves=2**depth, verbose=-1, **settings
    ).fit(rows, labels)
    return convert(model, NAMES, rows[:100]).model


@pytest.fixture
def rows() -> np.ndarray:
    random = np.random.default_rng(5)
    return np.column_stack(
        [
            random.integers(0, 90_000, 3_000),
            random.integers(18, 99, 3_000),
            random.integers(0, 9, 3_000),
        ]
    )


@pytest.fixture
def labels(rows: np.ndarray) -> np.ndarray:
    risk = rows[:, 2] - rows[:, 0] / 30_000 + np.random.default_rng(6).normal(0, 1, len(rows))
    return (risk > 2).astype(np.int64)


def test_the_scorecard_scores_as_the_trees_do(rows: np.ndarray, labels: np.ndarray) -> None:
    trees = fitted(rows, labels, depth=1)
    card = additive_scorecard(trees, rows)
    assert isinstance(trees.body, Trees)
    assert isinstance(card.body, Scorecard)
    edges = np.vstack([rows, rows + 1, rows - 1])
    for ours, theirs in zip(Scorer(card).score(edges), Scorer(trees).score(edges), strict=True):
        assert np.array_equal(ours, theirs)


def test_contributions_make_up_the_distance_from_the_reference(
    rows: np.ndarray, labels: np.ndarray
) -> None:
    card = additive_scorecard(fitted(rows, labels, depth=1), rows)
    body = card.body
    assert isinstance(body, Scorecard)
    reference = body.base + sum(bins.reference_points for bins in body.bins)
    raw, _ = Scorer(card).score(rows[:200])
    for row, output in zip(rows[:200].tolist(), raw.tolist(), strict=True):
        assert reference + sum(c.raw for c in contributions(card, row, 9)) == output
    # Over the reference rows the contributions of an input cancel out, up to rounding down.
    total = sum(c.raw for row in rows.tolist() for c in contributions(card, row, 9))
    assert 0 <= total < len(rows) * len(body.bins)


def test_what_is_no_sum_of_single_comparisons_is_refused(
    rows: np.ndarray, labels: np.ndarray
) -> None:
    with pytest.raises(ConversionError, match="more than once"):
        additive_scorecard(fitted(rows, labels, depth=2), rows)
    with pytest.raises(ConversionError, match="no reference rows"):
        additive_scorecard(fitted(rows, labels, depth=1), rows[:0])
    with pytest.raises(ConversionError, match="no sum of trees"):
        additive_scorecard(additive_scorecard(fitted(rows, labels, depth=1), rows), rows)


def test_too_many_thresholds_are_refused_by_name(labels: np.ndarray, rows: np.ndarray) -> None:
    model = LGBMClassifier(
        n_estimators=900, max_depth=1, num_leaves=2, max_bin=1_023, min_child_samples=1, verbose=-1
    )
    noisy = np.where(np.random.default_rng(1).random(len(labels)) < 0.5, labels, 1 - labels)
    model.fit(rows[:, :1], noisy)
    trees = convert(model, ("income",), rows[:10, :1]).model
    with pytest.raises(ConversionError, match="max_bin"):
        additive_scorecard(trees, rows[:, :1])
