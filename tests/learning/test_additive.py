"""A sum of one-comparison trees, written as a scorecard, scores the same bit for bit."""

from struct import pack

import numpy as np
import pytest
from lightgbm import LGBMClassifier

from cairn.exact.explain import contributions
from cairn.exact.models import (
    FORMAT_VERSION,
    LEFT_IS_LEAF,
    RIGHT_IS_LEAF,
    ExactModel,
    Feature,
    Scorecard,
    Trees,
    check_form,
)
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


def test_too_many_thresholds_are_refused_by_name() -> None:
    stumps = [(place, -place - 1, place + 1) for place in range(256)]
    trees = ExactModel(
        version=FORMAT_VERSION,
        features=(Feature("income", "integer"),),
        link="logistic",
        body=Trees(
            base=0,
            divisor=1,
            tree_sizes=pack("<256I", *[1] * 256),
            leaf_flags=bytes([LEFT_IS_LEAF | RIGHT_IS_LEAF]) * 256,
            features=bytes(256),
            thresholds=pack("<256i", *(bound for bound, _, _ in stumps)),
            leaf_values=pack("<512q", *(leaf for _, *leaves in stumps for leaf in leaves)),
            leaf_index=b"",
        ),
    )
    check_form(trees)
    with pytest.raises(ConversionError, match="256 thresholds"):
        additive_scorecard(trees, [[5]])
