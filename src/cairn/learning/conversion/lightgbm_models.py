"""Reads LightGBM's models from its own JSON form; nothing is unpickled.

Missing values and categories go where `Tree::NumericalDecision` and `Tree::CategoricalDecision` of
LightGBM's source send them: https://github.com/microsoft/LightGBM/blob/master/include/LightGBM/tree.h
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cairn.learning.conversion.errors import UnsupportedModelError
from cairn.learning.conversion.rows import Floats
from cairn.learning.conversion.sources import LEAF, CategorySplit, SourceTree, TreeSource

_ZERO = 1e-35
"""LightGBM counts numbers as zero up to here."""

_REGRESSIONS = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")


def read_lightgbm(booster: Any) -> TreeSource:
    """Return the parts of a booster.

    Raises:
        UnsupportedModelError: It has several classes, linear leaves or another objective.
    """
    model = booster.dump_model()
    objective = str(model.get("objective", "custom")).split()
    if model["num_class"] != 1 or model["num_tree_per_iteration"] != 1:
        raise UnsupportedModelError(
            "the LightGBM model has several classes", hint="train one binary model per class"
        )
    sigmoid = 1.0
    if objective[0] == "binary":
        settings = dict(part.split(":") for part in objective[1:] if ":" in part)
        sigmoid = float(settings.get("sigmoid", "1"))
    elif objective[0] not in (*_REGRESSIONS, "cross_entropy"):
        raise UnsupportedModelError(
            f"the LightGBM objective {' '.join(objective)} has no exact form",
            hint="train with objective binary or regression",
        )
    if "sqrt" in objective:
        raise UnsupportedModelError(
            "the LightGBM objective uses reg_sqrt", hint="train with reg_sqrt=False"
        )
    trees = tuple(_read_tree(tree["tree_structure"], sigmoid) for tree in model["tree_info"])
    divisor = len(trees) if model.get("average_output") else 1

    def raw(rows: Any) -> Floats:
        # LightGBM averages a random forest's trees only on the way to the probability.
        return sigmoid / divisor * np.asarray(booster.predict(rows, raw_score=True), np.float64)

    def score(rows: Any) -> Floats:
        return np.asarray(booster.predict(rows), np.float64)

    return TreeSource(
        library="lightgbm",
        kind="LightGBM",
        link="identity" if objective[0] in _REGRESSIONS else "logistic",
        raw=raw,
        score=score,
        takes_missing=True,
        trees=trees,
        divisor=divisor,
    )


def category_lists(
    booster: Any, names: Sequence[str], text: Sequence[bool]
) -> dict[int, list[Any]]:
    """Return the categories of each column that was a pandas categorical in training.

    Args:
        booster: The model, which holds the lists but not the columns they are of.
        names: The model's columns.
        text: Of each column, whether the rows hold text there.

    Raises:
        UnsupportedModelError: It cannot be told which list is which column's.
    """
    lists = booster.pandas_categorical or []
    if not lists:
        return {}
    infos = booster.dump_model()["feature_infos"]
    listed = [name in infos and bool(infos[name].get("values")) for name in names]
    for candidates in (
        [place for place in range(len(names)) if listed[place] or text[place]],
        [place for place in range(len(names)) if listed[place]],
        [place for place in range(len(names)) if text[place]],
    ):
        if len(candidates) == len(lists):
            return dict(zip(candidates, lists, strict=True))
    raise UnsupportedModelError(
        f"the LightGBM model has {len(lists)} lists of categories, and not as many columns of text",
        hint="give rows in which each categorical column holds its categories as text",
    )


class _Reader:
    """Collects the nodes of one tree; a child may get several parents."""

    def __init__(self, sigmoid: float) -> None:
        self.sigmoid = sigmoid
        self.rows: list[list[Any]] = []
        self.categories: dict[int, CategorySplit] = {}

    def leaf(self, value: float) -> int:
        self.rows.append([LEAF, LEAF, 0, 0.0, self.sigmoid * value, False])
        return len(self.rows) - 1

    def node(self, feature: int, threshold: float, *, missing_left: bool) -> int:
        self.rows.append([0, 0, feature, threshold, 0.0, missing_left])
        return len(self.rows) - 1

    def add(self, root: dict[str, Any]) -> None:
        """Add a node with what is below it, each child before the next level."""
        pending: list[tuple[dict[str, Any], list[tuple[int, int]]]] = [(root, [])]
        for source, parents in pending:
            place, left, right = self._make(source)
            for parent, side in parents:
                self.rows[parent][side] = place
            if left or right:
                pending.append((source["left_child"], left))
                pending.append((source["right_child"], right))

    def _make(
        self, source: dict[str, Any]
    ) -> tuple[int, list[tuple[int, int]], list[tuple[int, int]]]:
        """Make the nodes for one of the source; return the places that its children go to."""
        if "split_index" not in source:
            return self.leaf(float(source["leaf_value"])), [], []
        feature = int(source["split_feature"])
        if source["decision_type"] == "==":
            codes = frozenset(int(code) for code in str(source["threshold"]).split("||"))
            place = self.node(feature, 0.0, missing_left=False)
            self.categories[place] = CategorySplit(codes, codes_go_left=True)
            return place, [(place, 0)], [(place, 1)]
        threshold = float(source["threshold"])
        kind, default_left = source["missing_type"], bool(source["default_left"])
        zero_left = threshold >= 0.0
        if kind == "None":
            default_left = zero_left
        if kind != "Zero" or default_left == zero_left:
            place = self.node(feature, threshold, missing_left=default_left)
            return place, [(place, 0)], [(place, 1)]
        return self._zero_apart(feature, threshold, default_left=default_left)

    def _zero_apart(
        self, feature: int, threshold: float, *, default_left: bool
    ) -> tuple[int, list[tuple[int, int]], list[tuple[int, int]]]:
        """Make three nodes of one that sends zero against its threshold."""
        below_zero = float(np.nextafter(-_ZERO, -1.0))
        if default_left:  # at most the threshold, or zero
            first = self.node(feature, threshold, missing_left=True)
            second = self.node(feature, below_zero, missing_left=False)
            third = self.node(feature, _ZERO, missing_left=True)
            self.rows[first][1], self.rows[second][1] = second, third
            return first, [(first, 0), (third, 0)], [(second, 0), (third, 1)]
        first = self.node(feature, below_zero, missing_left=False)
        second = self.node(feature, _ZERO, missing_left=True)
        third = self.node(feature, threshold, missing_left=True)
        self.rows[first][1], self.rows[second][1] = second, third
        return first, [(first, 0), (third, 0)], [(second, 0), (third, 1)]


def _read_tree(root: dict[str, Any], sigmoid: float) -> SourceTree:
    if "leaf_coeff" in _first_leaf(root):
        raise UnsupportedModelError(
            "the LightGBM model has linear leaves", hint="train with linear_tree=False"
        )
    reader = _Reader(sigmoid)
    reader.add(root)
    left, right, features, thresholds, values, missing = zip(*reader.rows, strict=True)
    return SourceTree(
        left=np.array(left, np.int64),
        right=np.array(right, np.int64),
        features=np.array(features, np.int64),
        thresholds=np.array(thresholds, np.float64),
        values=np.array(values, np.float64),
        missing_left=np.array(missing, bool),
        categories=reader.categories,
    )


def _first_leaf(root: dict[str, Any]) -> dict[str, Any]:
    while "split_index" in root:
        root = root["left_child"]
    return root
