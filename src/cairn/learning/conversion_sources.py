"""Reads trained models: public attributes of scikit-learn's, LightGBM's JSON; nothing is unpickled.

Every reader returns plain arrays and the model's own prediction functions, against which the
conversion is measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from cairn.learning.conversion_errors import UnsupportedModelError
from cairn.learning.conversion_rows import Floats
from cairn.learning.conversion_trees import LEAF, SourceTree

Predict = Callable[[Any], Floats]


@dataclass(frozen=True, slots=True)
class SourceModel:
    """What every source has: how its raw output becomes a probability, and its own predictions."""

    logistic: bool
    raw: Predict
    """The raw output of rows, by the source's own code."""
    probability: Predict
    """The probability of the second class, or the prediction of a regression."""


@dataclass(frozen=True, slots=True)
class TreeSource(SourceModel):
    """An ensemble: the raw output is (base + sum over trees) / divisor."""

    trees: tuple[SourceTree, ...]
    base: float = 0.0
    divisor: int = 1


@dataclass(frozen=True, slots=True)
class LinearSource(SourceModel):
    """The raw output is intercept + coefficients times row."""

    coefficients: Floats
    intercept: float


def read_source(source: Any) -> TreeSource | LinearSource:
    """Return the parts of a trained model.

    Raises:
        UnsupportedModelError: Exact models have no form for it.
    """
    module = type(source).__module__.partition(".")[0]
    if module == "lightgbm":
        return _read_lightgbm(getattr(source, "booster_", source))
    if module == "sklearn":
        return _read_sklearn(source)
    raise UnsupportedModelError(
        f"{type(source).__name__} is no model that can be converted",
        hint="use LightGBM, or linear models, trees, forests or boosting of scikit-learn",
    )


def _read_lightgbm(booster: Any) -> TreeSource:
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
    elif objective[0] not in ("regression", "regression_l1", "huber", "fair", "quantile", "mape"):
        raise UnsupportedModelError(
            f"the LightGBM objective {' '.join(objective)} has no exact form",
            hint="train with objective binary or regression",
        )
    if "sqrt" in objective:
        raise UnsupportedModelError(
            "the LightGBM objective uses reg_sqrt", hint="train with reg_sqrt=False"
        )
    trees = tuple(
        _read_lightgbm_tree(tree["tree_structure"], sigmoid) for tree in model["tree_info"]
    )
    divisor = len(trees) if model.get("average_output") else 1

    def raw(rows: Any) -> Floats:
        # LightGBM averages a random forest's trees only on the way to the probability.
        return sigmoid / divisor * np.asarray(booster.predict(rows, raw_score=True), np.float64)

    def probability(rows: Any) -> Floats:
        return np.asarray(booster.predict(rows), np.float64)

    return TreeSource(
        logistic=objective[0] == "binary",
        raw=raw,
        probability=probability,
        trees=trees,
        divisor=divisor,
    )


def _read_lightgbm_tree(root: dict[str, Any], sigmoid: float) -> SourceTree:
    queue = [root]
    left, right, features, thresholds, values = [], [], [], [], []
    for node in queue:
        if "split_index" not in node:
            left.append(LEAF)
            right.append(LEAF)
            features.append(0)
            thresholds.append(0.0)
            values.append(sigmoid * node["leaf_value"])
            continue
        if node["decision_type"] != "<=":
            raise UnsupportedModelError(
                "the LightGBM model splits on categories",
                hint="encode categories as numbers before training",
            )
        if node["missing_type"] == "Zero":
            raise UnsupportedModelError(
                "the LightGBM model treats zero as missing", hint="train with zero_as_missing=False"
            )
        left.append(len(queue))
        right.append(len(queue) + 1)
        queue += (node["left_child"], node["right_child"])
        features.append(node["split_feature"])
        thresholds.append(float(node["threshold"]))
        values.append(0.0)
    return _source_tree(left, right, features, thresholds, values)


def _read_sklearn(source: Any) -> TreeSource | LinearSource:
    from sklearn import ensemble, linear_model, pipeline, tree

    if isinstance(source, pipeline.Pipeline):
        return _read_pipeline(source)
    if isinstance(source, linear_model.LogisticRegression):
        _check_binary(source)
        return LinearSource(
            logistic=True,
            raw=source.decision_function,
            probability=_second_class(source),
            coefficients=np.asarray(source.coef_, np.float64)[0],
            intercept=float(source.intercept_[0]),
        )
    if isinstance(source, linear_model.LinearRegression):
        return _read_regression(source)
    if isinstance(source, ensemble.HistGradientBoostingClassifier):
        return _read_hist_boosting(source)
    if isinstance(source, ensemble.GradientBoostingClassifier):
        return _read_boosting(source)
    forests = (ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier)
    if isinstance(source, (*forests, tree.DecisionTreeClassifier)):
        _check_binary(source)
        members = source.estimators_ if isinstance(source, forests) else [source]
        predict = _second_class(source)
        trees = tuple(_read_sklearn_tree(member.tree_, shares=True) for member in members)
        return TreeSource(False, predict, predict, trees, divisor=len(trees))
    forests = (ensemble.RandomForestRegressor, ensemble.ExtraTreesRegressor)
    if isinstance(source, (*forests, tree.DecisionTreeRegressor)):
        _check_one_output(source.n_outputs_)
        members = source.estimators_ if isinstance(source, forests) else [source]
        trees = tuple(_read_sklearn_tree(member.tree_) for member in members)
        return TreeSource(False, source.predict, source.predict, trees, divisor=len(trees))
    raise UnsupportedModelError(
        f"{type(source).__name__} of scikit-learn has no exact form",
        hint="use a linear or logistic model, a tree, a forest or gradient boosting",
    )


def _read_pipeline(source: Any) -> LinearSource:
    """Fold the scaling of inputs into the coefficients that follow it."""
    from sklearn.preprocessing import StandardScaler

    steps = [step for _, step in source.steps if step not in (None, "passthrough")]
    if len(steps) != 2 or not isinstance(steps[0], StandardScaler):
        raise UnsupportedModelError(
            "only a pipeline of StandardScaler and a linear model has an exact form",
            hint="convert the last step and give it rows that are already transformed",
        )
    scaler, model = steps[0], _read_sklearn(steps[1])
    if not isinstance(model, LinearSource):
        raise UnsupportedModelError(
            "trees behind a scaler have no exact form", hint="train the trees without the scaler"
        )
    scale = np.ones_like(model.coefficients) if scaler.scale_ is None else scaler.scale_
    mean = np.zeros_like(model.coefficients) if scaler.mean_ is None else scaler.mean_
    if not scaler.with_mean:
        mean = np.zeros_like(model.coefficients)
    coefficients = model.coefficients / scale
    return LinearSource(
        logistic=model.logistic,
        raw=source.decision_function if model.logistic else source.predict,
        probability=_second_class(source) if model.logistic else source.predict,
        coefficients=coefficients,
        intercept=model.intercept - float(coefficients @ mean),
    )


def _read_regression(source: Any) -> LinearSource:
    coefficients = np.asarray(source.coef_, np.float64)
    _check_one_output(1 if coefficients.ndim == 1 else coefficients.shape[0])

    def predict(rows: Any) -> Floats:
        return np.asarray(source.predict(rows), np.float64).ravel()

    return LinearSource(
        logistic=False,
        raw=predict,
        probability=predict,
        coefficients=coefficients.ravel(),
        intercept=float(np.ravel(source.intercept_)[0]),
    )


def _read_boosting(source: Any) -> TreeSource:
    _check_binary(source)
    if source.loss != "log_loss":
        raise UnsupportedModelError(
            f"gradient boosting with loss {source.loss} has no exact form",
            hint="train with loss='log_loss'",
        )
    base = 0.0
    if source.init_ != "zero":
        if type(source.init_).__name__ != "DummyClassifier":
            raise UnsupportedModelError(
                "gradient boosting that begins from another model has no exact form",
                hint="train with init=None or init='zero'",
            )
        share = float(source.init_.class_prior_[1])
        smallest = float(np.finfo(np.float32).eps)
        share = min(max(share, smallest), 1 - smallest)
        base = log(share / (1 - share))
    rate = float(source.learning_rate)
    trees = tuple(_read_sklearn_tree(row[0].tree_, factor=rate) for row in source.estimators_)
    return TreeSource(True, source.decision_function, _second_class(source), trees, base)


def _read_hist_boosting(source: Any) -> TreeSource:
    """Read the trees of histogram boosting, which scikit-learn keeps in attributes of its own."""
    _check_binary(source)
    trees = []
    for (predictor,) in getattr(source, "_predictors"):  # noqa: B009 - no public way to the trees
        nodes = predictor.nodes
        if nodes["is_categorical"].any():
            raise UnsupportedModelError(
                "histogram boosting splits on categories",
                hint="encode categories as numbers before training",
            )
        is_leaf = nodes["is_leaf"].astype(bool)
        trees.append(
            SourceTree(
                left=np.where(is_leaf, LEAF, nodes["left"].astype(np.int64)),
                right=np.where(is_leaf, LEAF, nodes["right"].astype(np.int64)),
                features=nodes["feature_idx"].astype(np.int64),
                thresholds=nodes["num_threshold"].astype(np.float64),
                values=nodes["value"].astype(np.float64),
            )
        )
    base = float(np.ravel(getattr(source, "_baseline_prediction"))[0])  # noqa: B009 - as above
    return TreeSource(True, source.decision_function, _second_class(source), tuple(trees), base)


def _read_sklearn_tree(tree: Any, *, shares: bool = False, factor: float = 1.0) -> SourceTree:
    values = np.asarray(tree.value, np.float64)[:, 0, :]
    return SourceTree(
        left=np.asarray(tree.children_left, np.int64),
        right=np.asarray(tree.children_right, np.int64),
        features=np.asarray(tree.feature, np.int64),
        thresholds=np.asarray(tree.threshold, np.float64),
        values=values[:, 1] / values.sum(axis=1) if shares else factor * values[:, 0],
    )


def _source_tree(
    left: list[int],
    right: list[int],
    features: list[int],
    thresholds: list[float],
    values: list[float],
) -> SourceTree:
    return SourceTree(
        left=np.array(left, np.int64),
        right=np.array(right, np.int64),
        features=np.array(features, np.int64),
        thresholds=np.array(thresholds, np.float64),
        values=np.array(values, np.float64),
    )


def _check_binary(source: Any) -> None:
    if np.ndim(source.classes_[0]) or len(source.classes_) != 2:
        raise UnsupportedModelError(
            f"{type(source).__name__} does not tell exactly two classes apart",
            hint="train one binary model per class",
        )


def _check_one_output(count: int) -> None:
    if count != 1:
        raise UnsupportedModelError(
            f"the model has {count} outputs", hint="train one model per output"
        )


def _second_class(source: Any) -> Predict:
    def probability(rows: Any) -> Floats:
        return np.asarray(source.predict_proba(rows), np.float64)[:, 1]

    return probability
