"""Reads scikit-learn's fitted models: public attributes wherever there are any."""

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np

from cairn.learning.conversion.errors import UnsupportedModelError
from cairn.learning.conversion.preprocessing import Columns, chosen_places, transform
from cairn.learning.conversion.rows import Floats
from cairn.learning.conversion.sources import (
    LEAF,
    CategorySplit,
    LinearSource,
    Link,
    Predict,
    SourceTree,
    TreeSource,
)

Model = TreeSource | LinearSource

ADVICE = {
    "CalibratedClassifierCV": "convert the model inside, and calibrate by `calibration: platt`",
    "LinearSVC": "use LogisticRegression, which gives probabilities",
    "SVC": "use boosted trees",
    "MLPClassifier": "use boosted trees",
    "KNeighborsClassifier": "use boosted trees or a random forest",
    "GaussianNB": "use LogisticRegression",
    "AdaBoostClassifier": "use GradientBoostingClassifier",
    "VotingClassifier": "convert one of its members",
    "StackingClassifier": "convert one of its members",
    "GridSearchCV": "convert its best_estimator_",
    "RandomizedSearchCV": "convert its best_estimator_",
}
_LOSSES = ("squared_error", "absolute_error", "huber", "quantile")
_LINEAR = (
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "LassoLars", "ElasticNet",
    "ElasticNetCV", "BayesianRidge", "HuberRegressor",
)  # fmt: skip


def read_sklearn(source: Any) -> Model:
    """Return the parts of a fitted model of scikit-learn.

    Raises:
        UnsupportedModelError: It has no exact form; it is named, with what to use instead.
    """
    name = type(source).__name__
    reader = _READERS.get(name)
    if reader is None:
        raise UnsupportedModelError(
            f"{name} of scikit-learn has no exact form",
            ADVICE.get(name, "use a linear or logistic model, a tree, a forest or boosting"),
        )
    return reader(source)


def histogram_columns(source: Any, columns: Columns, told: list[str]) -> Columns:
    """Return the columns that histogram boosting's trees compare: categories first, as codes."""
    preprocessor = getattr(source, "_preprocessor", None)
    if preprocessor is None:
        return columns
    names = [str(name) for name in getattr(preprocessor, "feature_names_in_", ())]
    after: Columns = []
    for _, part, chosen in preprocessor.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        picked = [columns[place] for place in chosen_places(chosen, names, len(columns))]
        # What the numbers pass only checks them.
        checks_only = type(part).__name__ == "FunctionTransformer"
        after += picked if checks_only else transform(part, picked, told)
    return after


# --- linear models -------------------------------------------------------------------------------


def _logistic(source: Any) -> LinearSource:
    if type(source).__name__ == "SGDClassifier" and source.loss != "log_loss":
        raise UnsupportedModelError(
            f"SGDClassifier with loss {source.loss} has no exact form", "train with loss='log_loss'"
        )
    _check_binary(source)
    return LinearSource(
        library="scikit-learn",
        kind=type(source).__name__,
        link="logistic",
        raw=_floats(source.decision_function),
        score=_second_class(source),
        takes_missing=False,
        coefficients=np.asarray(source.coef_, np.float64)[0],
        intercept=float(np.ravel(source.intercept_)[0]),
    )


def _regression(source: Any) -> LinearSource:
    coefficients = np.asarray(source.coef_, np.float64)
    _check_one_output(1 if coefficients.ndim == 1 else coefficients.shape[0])
    predict = _floats(source.predict)
    return LinearSource(
        library="scikit-learn",
        kind=type(source).__name__,
        link="identity",
        raw=predict,
        score=predict,
        takes_missing=False,
        coefficients=coefficients.ravel(),
        intercept=float(np.ravel(source.intercept_)[0]),
    )


# --- trees ---------------------------------------------------------------------------------------


def _forest(source: Any) -> TreeSource:
    members = getattr(source, "estimators_", None) or [source]
    is_classifier = hasattr(source, "predict_proba")
    if is_classifier:
        _check_binary(source)
        predict = _second_class(source)
    else:
        _check_one_output(source.n_outputs_)
        predict = _floats(source.predict)
    trees = tuple(_tree(member.tree_, shares=is_classifier) for member in members)
    return _trees(source, "identity", predict, predict, trees, divisor=len(trees), is_narrow=True)


def _boosting(source: Any) -> TreeSource:
    is_classifier = hasattr(source, "predict_proba")
    _check_loss(source, ("log_loss",) if is_classifier else _LOSSES)
    if is_classifier:
        _check_binary(source)
    rate = float(source.learning_rate)
    trees = tuple(_tree(row[0].tree_, factor=rate) for row in source.estimators_)
    raw = _floats(source.decision_function if is_classifier else source.predict)
    score = _second_class(source) if is_classifier else raw
    link: Link = "logistic" if is_classifier else "identity"
    return _trees(source, link, raw, score, trees, base=_prior(source), is_narrow=True)


def _prior(source: Any) -> float:
    """Return the raw output that gradient boosting begins from."""
    init = source.init_
    if isinstance(init, str) and init == "zero":
        return 0.0
    if type(init).__name__ == "DummyRegressor":
        return float(np.ravel(init.constant_)[0])
    if type(init).__name__ != "DummyClassifier":
        raise UnsupportedModelError(
            "gradient boosting that begins from another model has no exact form",
            hint="train with init=None or init='zero'",
        )
    share = float(init.class_prior_[1])
    smallest = float(np.finfo(np.float32).eps)
    share = min(max(share, smallest), 1 - smallest)
    return log(share / (1 - share))


def _histogram(source: Any) -> TreeSource:
    """Read the trees of histogram boosting, which scikit-learn keeps in attributes of its own."""
    is_classifier = hasattr(source, "predict_proba")
    _check_loss(source, ("log_loss",) if is_classifier else _LOSSES)
    if is_classifier:
        _check_binary(source)
    mapper = getattr(source, "_bin_mapper")  # noqa: B009 - no public way to it
    known, places = mapper.make_known_categories_bitsets()
    predictors = getattr(source, "_predictors")  # noqa: B009 - no public way to the trees
    trees = tuple(_histogram_tree(row[0], known, places) for row in predictors)
    base = float(np.ravel(getattr(source, "_baseline_prediction"))[0])  # noqa: B009 - as above
    raw = _floats(source.decision_function if is_classifier else source.predict)
    score = _second_class(source) if is_classifier else raw
    return _trees(source, "logistic" if is_classifier else "identity", raw, score, trees, base=base)


def _histogram_tree(predictor: Any, known: Any, places: Any) -> SourceTree:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    splits = {}
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf).tolist():
        feature = int(nodes["feature_idx"][node])
        chosen = predictor.raw_left_cat_bitsets[int(nodes["bitset_idx"][node])]
        splits[node] = CategorySplit(_bits(chosen), True, _bits(known[int(places[feature])]))
    return SourceTree(
        left=np.where(is_leaf, LEAF, nodes["left"].astype(np.int64)),
        right=np.where(is_leaf, LEAF, nodes["right"].astype(np.int64)),
        features=nodes["feature_idx"].astype(np.int64),
        thresholds=nodes["num_threshold"].astype(np.float64),
        values=nodes["value"].astype(np.float64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        categories=splits,
    )


def _bits(words: Any) -> frozenset[int]:
    return frozenset(
        32 * place + bit
        for place, word in enumerate(np.asarray(words).tolist())
        for bit in range(32)
        if word >> bit & 1
    )


def _isolation(source: Any) -> TreeSource:
    """Read an isolation forest: the raw output is the mean depth over the expected one."""

    def score(rows: Any) -> Floats:
        return -np.asarray(source.score_samples(rows), np.float64)

    def raw(rows: Any) -> Floats:
        logarithm: Floats = -np.log2(score(rows))
        return logarithm

    expected = _path_length(float(getattr(source, "_max_samples")))  # noqa: B009 - not public
    if not expected:
        raise UnsupportedModelError("the isolation forest saw one sample a tree", "raise it")
    trees = []
    for member, chosen in zip(source.estimators_, source.estimators_features_, strict=True):
        tree = member.tree_
        counts = np.asarray(tree.n_node_samples, np.float64)
        depths = _depths(tree) + np.array([_path_length(count) for count in counts])
        read = _tree(tree)
        trees.append(
            SourceTree(
                left=read.left,
                right=read.right,
                features=np.asarray(chosen, np.int64)[np.maximum(read.features, 0)],
                thresholds=read.thresholds,
                values=depths / expected,
                missing_left=read.missing_left,
            )
        )
    return _trees(source, "isolation", raw, score, tuple(trees), divisor=len(trees), is_narrow=True)


def _depths(tree: Any) -> Floats:
    """Return how many comparisons lead to each node."""
    depths = np.zeros(tree.node_count)
    for node in range(tree.node_count):
        for child in (tree.children_left[node], tree.children_right[node]):
            if child != LEAF:
                depths[child] = depths[node] + 1
    return depths


def _path_length(count: float) -> float:
    """Return the mean depth at which a search among so many samples ends.

    Source: Liu, Ting, Zhou: Isolation Forest, ICDM 2008, equation 1.
    """
    if count <= 1:
        return 0.0
    if count <= 2:
        return 1.0
    return float(2.0 * (np.log(count - 1.0) + np.euler_gamma) - 2.0 * (count - 1.0) / count)


def _tree(tree: Any, *, shares: bool = False, factor: float = 1.0) -> SourceTree:
    values = np.asarray(tree.value, np.float64)[:, 0, :]
    missing_left = getattr(tree, "missing_go_to_left", None)
    if missing_left is None:
        missing_left = np.zeros(tree.node_count, bool)
    return SourceTree(
        left=np.asarray(tree.children_left, np.int64),
        right=np.asarray(tree.children_right, np.int64),
        features=np.asarray(tree.feature, np.int64),
        thresholds=np.asarray(tree.threshold, np.float64),
        values=values[:, 1] / values.sum(axis=1) if shares else factor * values[:, 0],
        missing_left=np.asarray(missing_left, bool),
    )


def _trees(
    source: Any,
    link: Link,
    raw: Predict,
    score: Predict,
    trees: tuple[SourceTree, ...],
    *,
    base: float = 0.0,
    divisor: int = 1,
    is_narrow: bool = False,
) -> TreeSource:
    return TreeSource(
        library="scikit-learn",
        kind=type(source).__name__,
        link=link,
        raw=raw,
        score=score,
        takes_missing=_takes_missing(source),
        trees=trees,
        base=base,
        divisor=divisor,
        is_narrow=is_narrow,
    )


def _takes_missing(source: Any) -> bool:
    return bool(source.__sklearn_tags__().input_tags.allow_nan)


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


def _check_loss(source: Any, allowed: tuple[str, ...]) -> None:
    if source.loss not in allowed:
        raise UnsupportedModelError(
            f"{type(source).__name__} with loss {source.loss} has no exact form",
            hint=f"train with loss='{allowed[0]}'",
        )


def _second_class(source: Any) -> Predict:
    def probability(rows: Any) -> Floats:
        return np.asarray(source.predict_proba(rows), np.float64)[:, 1]

    return probability


def _floats(predict: Callable[[Any], Any]) -> Predict:
    def floats(rows: Any) -> Floats:
        return np.asarray(predict(rows), np.float64).ravel()

    return floats


_FORESTS = (
    "DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor",
    "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier",
    "ExtraTreesRegressor",
)  # fmt: skip

_READERS: dict[str, Callable[[Any], Model]] = {
    "LogisticRegression": _logistic,
    "LogisticRegressionCV": _logistic,
    "SGDClassifier": _logistic,
    "GradientBoostingClassifier": _boosting,
    "GradientBoostingRegressor": _boosting,
    "HistGradientBoostingClassifier": _histogram,
    "HistGradientBoostingRegressor": _histogram,
    "IsolationForest": _isolation,
    **dict.fromkeys(_LINEAR, _regression),
    **dict.fromkeys(_FORESTS, _forest),
}
