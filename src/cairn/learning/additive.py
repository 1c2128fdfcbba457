"""Trees of depth one are a scorecard: the same function, bit for bit, that can give its reasons.

Boosting with trees of one comparison gives a sum in which every term looks at one column. Added up
column by column, the terms are steps between thresholds: points by bins. The scores stay exactly
what they were, and each column's points are its contribution.

Source: Lou, Caruana, Gehrke: Intelligible Models for Classification and Regression, KDD 2012, who
fit such sums of shape functions by boosting.
"""

from bisect import bisect_left
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from cairn.exact.errors import ModelFormError
from cairn.exact.models import (
    BIN_COUNT_MAX,
    Bins,
    ExactModel,
    Scorecard,
    TreeColumns,
    Trees,
    check_form,
    column_count,
    tree_columns,
    tree_depths,
)
from cairn.exact.reference import column_values
from cairn.learning.conversion.errors import ConversionError


def additive_scorecard(model: ExactModel, reference_rows: npt.ArrayLike) -> ExactModel:
    """Return the scorecard that scores as a sum of trees of depth one does.

    Args:
        model: Trees of at most one comparison each, with divisor 1 (boosting).
        reference_rows: Shape (rows, features), in the model's own integers: rows like those to
            score. The mean points over them count as no contribution.

    Raises:
        ConversionError: A tree is deeper, the trees are averaged, a column has too many thresholds,
            or there are no rows.
    """
    rows = np.asarray(reference_rows, np.int64)
    if rows.ndim != 2 or not len(rows):
        raise ConversionError("there are no reference rows", hint="give rows like those to score")
    trees = _check_trees(model)
    steps, constant = _steps(tree_columns(trees, column_count(model)))
    values = [column_values(model, row) for row in rows.tolist()]
    bins = tuple(
        _bins(column, leaves, sorted(row[column] for row in values))
        for column, leaves in sorted(steps.items())
    )
    card = Scorecard(base=trees.base + constant, base_points=0, raw_per_point=1, bins=bins)
    scorecard = ExactModel(
        version=model.version,
        features=model.features,
        link=model.link,
        body=card,
        columns=model.columns,
    )
    try:
        check_form(scorecard)
    except ModelFormError as error:
        raise ConversionError(
            f"the scorecard breaks a limit: {error}",
            hint="train with fewer bins for each feature (max_bin=63)",
        ) from error
    return scorecard


def _check_trees(model: ExactModel) -> Trees:
    trees = model.body
    if not isinstance(trees, Trees):
        raise ConversionError("the model is no sum of trees", hint="it needs no such step")
    if trees.divisor != 1:
        raise ConversionError(
            "the trees are averaged, not added", hint="use boosting with trees of depth one"
        )
    if max(tree_depths(trees)) > 1:
        raise ConversionError(
            "a tree compares more than once, so its leaf depends on more than one column",
            hint="train with max_depth=1, or keep the trees as they are, without contributions",
        )
    return trees


def _steps(columns: TreeColumns) -> tuple[dict[int, dict[int, list[int]]], int]:
    """Return per column and threshold the sums of left and right leaves, and lone leaves."""
    steps: dict[int, dict[int, list[int]]] = {}
    node = leaf = constant = 0
    for size in columns.tree_sizes:
        if not size:
            constant += columns.leaves[leaf]
            leaf += 1
            continue
        at = steps.setdefault(columns.features[node], {})
        sums = at.setdefault(columns.thresholds[node], [0, 0])
        sums[0] += columns.leaves[leaf]
        sums[1] += columns.leaves[leaf + 1]
        node, leaf = node + 1, leaf + 2
    return steps, constant


def _bins(column: int, leaves: dict[int, list[int]], values: list[int]) -> Bins:
    """Return the points between a column's thresholds, and their mean over sorted values."""
    bounds = tuple(sorted(leaves))
    if len(bounds) >= BIN_COUNT_MAX:
        raise ConversionError(
            f"column {column} has {len(bounds)} thresholds, more than {BIN_COUNT_MAX - 1}",
            hint="train with fewer bins for each feature (max_bin=63)",
        )
    # In the first bin every comparison goes left; each threshold passed turns one to the right.
    first = sum(left for left, _ in leaves.values())
    points = tuple(accumulate((leaves[b][1] - leaves[b][0] for b in bounds), initial=first))
    cuts = [0, *(_count_up_to(values, bound) for bound in bounds), len(values)]
    weighted = sum(
        p * (end - start) for p, start, end in zip(points, cuts[:-1], cuts[1:], strict=True)
    )
    return Bins(column, bounds, points, weighted // len(values))


def _count_up_to(values: list[int], bound: int) -> int:
    """Return how many of the sorted values are at most `bound`."""
    return bisect_left(values, bound + 1)
