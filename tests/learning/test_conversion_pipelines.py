"""Pipelines of scikit-learn: every step with every kind of model, row by row as the source."""

import warnings
from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn import ensemble, linear_model, tree
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from threadpoolctl import threadpool_limits

from cairn.exact.explain import contributions
from cairn.exact.models import Linear, Scorecard, Trees, decode_model, encode_model
from cairn.exact.reference import ReferenceScorer
from cairn.exact.schema import MISSING, UNKNOWN_CATEGORY
from cairn.exact.scoring import Scorer
from cairn.learning.conversion.convert import convert
from cairn.learning.conversion.errors import ConversionError, UnsupportedModelError
from cairn.learning.conversion.rows import encode_rows
from cairn.primitives.fixed import PPM
from tests.learning.conversion_data import beside_thresholds, make_table

TRAIN, LABELS = make_table(1_000, 1)
TEST, _ = make_table(2_000, 2, unknown=True)
NUMBERS = ["Age", "amount"]

MODELS: dict[str, Any] = {
    "logistic": linear_model.LogisticRegression(max_iter=500),
    "sgd": linear_model.SGDClassifier(loss="log_loss", random_state=1),
    "ridge": linear_model.Ridge(),
    "lasso": linear_model.Lasso(alpha=0.01),
    "elastic-net": linear_model.ElasticNet(alpha=0.01),
    "linear": linear_model.LinearRegression(),
    "tree": tree.DecisionTreeClassifier(random_state=1),
    "forest": ensemble.RandomForestClassifier(15, random_state=1),
    "extra-trees": ensemble.ExtraTreesClassifier(10, random_state=1),
    "boosting": ensemble.GradientBoostingClassifier(n_estimators=20, random_state=1),
    "histogram": ensemble.HistGradientBoostingClassifier(max_iter=15, random_state=1),
    "isolation": ensemble.IsolationForest(n_estimators=20, max_features=0.7, random_state=1),
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=15, verbose=-1, n_jobs=1),
    "xgboost": xgboost.XGBClassifier(n_estimators=15, n_jobs=1),
}
TREES = ("tree", "forest", "extra-trees", "boosting", "histogram", "isolation", "lightgbm",
         "xgboost")  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep OpenMP to one thread: with more, small models wait for each other."""
    with threadpool_limits(1):
        yield


def prepared(scaler: Any, *, encoder: Any = None, add_indicator: bool = True) -> Any:
    """Return a ColumnTransformer with nested Pipelines, by names, and the rest passed through."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=add_indicator), scaler)
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        encoder or OneHotEncoder(handle_unknown="ignore"),
    )
    return ColumnTransformer(
        [("n", numbers, NUMBERS), ("t", texts, ["city"]), ("e", OneHotEncoder(), ["EDU"])],
        remainder="passthrough",
    )


def scores_of(source: Any, rows: Any) -> Any:
    """Return the scores as a user of the source gets them."""
    if hasattr(source, "predict_proba"):
        return source.predict_proba(rows)[:, 1]
    predict = source.score_samples if hasattr(source, "score_samples") else source.predict
    scores = predict(rows) * (-1 if hasattr(source, "score_samples") else 1)
    return np.clip(scores, 0, 1)


def check(source: Any, rows: Any, *, bound: float = 1e-6, beside: bool = True) -> Any:
    """Convert, and check rows, also those beside thresholds, and the canonical form."""
    model, report = convert(source, rows=rows)
    assert report.row_count == len(rows)
    assert report.largest_difference <= bound
    assert report.flips_at_threshold == 0
    assert report.rank_correlation > 0.999
    assert decode_model(encode_model(model)) == model
    scorer = Scorer(model, kernel="numpy")
    if isinstance(model.body, Trees) and hasattr(rows, "iloc") and beside:
        close = beside_thresholds(model, rows)
        _, scores = scorer.score(encode_rows(model.features, close))
        assert np.abs(scores / PPM - scores_of(source, close)).max() <= bound
    encoded = encode_rows(model.features, rows[:25])
    reference = ReferenceScorer(model)
    raws, scores = scorer.score(encoded)
    expected = [reference.score(row) for row in encoded.tolist()]
    assert list(zip(raws.tolist(), scores.tolist(), strict=True)) == expected
    return model


@pytest.mark.parametrize("name", MODELS)
def test_every_model_behind_a_column_transformer(name: str) -> None:
    source = Pipeline([("prepare", prepared(StandardScaler())), ("model", MODELS[name])])
    model = check(source.fit(TRAIN, LABELS), TEST)
    assert isinstance(model.body, Trees if name in TREES else Linear)
    kinds = {feature.name: feature.kind for feature in model.features}
    assert list(kinds) == ["age", "amount", "city", "edu", "change"]
    assert (kinds["age"], kinds["city"], kinds["edu"]) == ("integer", "category", "category")
    city = model.features[2]
    assert city.categories == ("Bern", "Kyiv", "Oslo", "Rome")
    assert city.nullable
    assert city.unknown_allowed
    assert not model.features[3].unknown_allowed


@pytest.mark.parametrize(
    "scaler",
    [
        MinMaxScaler(),
        MinMaxScaler(feature_range=(2, 5), clip=True),
        RobustScaler(),
        MaxAbsScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        make_pipeline(StandardScaler(), MinMaxScaler()),
        "passthrough",
    ],
    ids=lambda scaler: type(scaler).__name__ if not isinstance(scaler, str) else scaler,
)
@pytest.mark.parametrize("name", ["logistic", "boosting"])
def test_every_scaler(scaler: Any, name: str) -> None:
    source = Pipeline([("prepare", prepared(scaler)), ("model", MODELS[name])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source.fit(TRAIN, LABELS)
    check(source, TEST, bound=1e-5 if name == "logistic" else 1e-6)


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        OneHotEncoder(drop="first", handle_unknown="ignore"),
        OneHotEncoder(drop="if_binary", handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=99),
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), StandardScaler(with_mean=False)),
    ],
    ids=["one-hot", "drop-first", "if-binary", "ordinal-below", "ordinal-above", "scaled"],
)
@pytest.mark.parametrize("name", ["logistic", "tree"])
def test_every_encoder(encoder: Any, name: str) -> None:
    source = Pipeline(
        [("prepare", prepared(StandardScaler(), encoder=encoder)), ("model", MODELS[name])]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn tells of each unknown category
        check(source.fit(TRAIN, LABELS), TEST)


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
@pytest.mark.parametrize("name", ["logistic", "lightgbm"])
def test_every_imputer(strategy: str, name: str) -> None:
    imputer = SimpleImputer(strategy=strategy, fill_value=-7.5 if strategy == "constant" else None)
    source = make_pipeline(
        make_column_transformer((imputer, NUMBERS), (MissingIndicator(), ["amount"])),
        MODELS[name],
    )
    model = check(source.fit(TRAIN, LABELS), TEST)
    assert [feature.name for feature in model.features] == ["age", "amount"]
    assert all(feature.nullable for feature in model.features)


def test_missing_text_can_be_a_category_of_its_own() -> None:
    source = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["city"]), (SimpleImputer(), ["Age"])),
        linear_model.LogisticRegression(),
    ).fit(TRAIN, LABELS)
    known = TEST[TEST.city != "Atlantis"]
    city = check(source, known).features[1]
    assert city.nullable
    assert not city.unknown_allowed
    with pytest.raises(ConversionError, match="'Atlantis' is no category that the model knows"):
        encode_rows([city], TEST)


def test_values_go_through_untouched_where_trees_take_missing_ones() -> None:
    source = make_pipeline(
        make_column_transformer(
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), ["city"]),
            (StandardScaler(), ["Age", "amount"]),
            remainder="drop",
        ),
        ensemble.HistGradientBoostingClassifier(max_iter=20, categorical_features=[0]),
    ).fit(TRAIN, LABELS)
    model = check(source, TEST)
    assert [feature.nullable for feature in model.features] == [True, True, True]


@pytest.mark.parametrize("encode", ["onehot", "onehot-dense", "ordinal"])
def test_bins_make_a_scorecard(encode: str) -> None:
    bins = KBinsDiscretizer(5, encode=encode, quantile_method="averaged_inverted_cdf")
    source = make_pipeline(
        ColumnTransformer(
            [
                ("n", make_pipeline(SimpleImputer(), bins), [*NUMBERS, "change"]),
                ("t", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ]
        ),
        linear_model.LogisticRegression(max_iter=500),
    ).fit(TRAIN, LABELS)
    edges = source[0].transformers_[0][1][-1].bin_edges_[1]
    rows = TEST.copy()
    rows.loc[: len(edges) - 1, "amount"] = edges  # rows exactly on the edges
    model = check(source, rows, bound=3e-6)
    assert isinstance(model.body, Scorecard)
    row = encode_rows(model.features, TEST[:1])[0].tolist()
    assert len(contributions(model, row)) >= 2


def test_ordinal_bins_before_trees() -> None:
    bins = KBinsDiscretizer(6, encode="ordinal", quantile_method="averaged_inverted_cdf")
    source = make_pipeline(
        make_column_transformer((make_pipeline(SimpleImputer(), bins), [*NUMBERS, "change"])),
        ensemble.RandomForestClassifier(10, random_state=1),
    ).fit(TRAIN, LABELS)
    # The edges are values of the training rows, and lie above themselves.
    check(source, TRAIN, beside=False)
    check(source, TEST, beside=False)


def test_negative_scales_swap_the_branches() -> None:
    scaler = StandardScaler().fit(TRAIN[["change", "EDU"]])
    scaler.scale_ = -scaler.scale_
    rows = scaler.transform(TRAIN[["change", "EDU"]])
    for name in ("forest", "histogram", "xgboost", "logistic"):
        source = Pipeline([("scale", scaler), ("model", MODELS[name].fit(rows, LABELS))])
        check(source, TEST[["change", "EDU"]])


def test_one_number_may_be_scaled_and_encoded_too() -> None:
    source = make_pipeline(
        FeatureUnion(
            [
                ("scaled", make_column_transformer((StandardScaler(), ["EDU"]))),
                ("codes", make_column_transformer((OneHotEncoder(), ["EDU"]))),
                ("best", make_pipeline(make_column_transformer((SimpleImputer(), NUMBERS)),
                                       SelectKBest(k=1))),
            ]
        ),
        linear_model.LogisticRegression(max_iter=500),
    )  # fmt: skip
    model = check(source.fit(TRAIN, LABELS), TEST)
    assert model.features[1].kind == "integer"


def test_columns_by_position_in_an_array() -> None:
    train = TRAIN[["change", "EDU", "Age"]].to_numpy()
    test = TEST[["change", "EDU", "Age"]].to_numpy()
    source = make_pipeline(
        ColumnTransformer(
            [("n", make_pipeline(SimpleImputer(), StandardScaler()), [0, -1]),
             ("c", OneHotEncoder(handle_unknown="ignore"), slice(1, 2))]
        ),
        linear_model.LogisticRegression(),
    ).fit(train, LABELS)  # fmt: skip
    model = check(source, test)
    assert [feature.name for feature in model.features] == ["f0", "f1", "f2"]


def test_float32_rows_are_scaled_as_float32() -> None:
    train = TRAIN[["change", "EDU"]].to_numpy(np.float32)
    test = TEST[["change", "EDU"]].to_numpy(np.float32)
    source = make_pipeline(StandardScaler(), MODELS["forest"]).fit(train, LABELS)
    check(source, test)


def test_reference_is_the_scalers_mean_and_the_usual_category() -> None:
    source = make_pipeline(
        ColumnTransformer(
            [("n", make_pipeline(SimpleImputer(strategy="mean"), StandardScaler()), ["Age"]),
             ("t", OneHotEncoder(handle_unknown="ignore"), ["city"])]
        ),
        linear_model.LogisticRegression(),
    ).fit(TRAIN, LABELS)  # fmt: skip
    model = check(source, TEST)
    mean = round(float(TRAIN.Age.mean()))
    usual = TEST.city.value_counts().index[0]
    places = {text: place for place, text in enumerate(model.features[1].categories)}
    assert contributions(model, (mean, places[usual])) == ()
    moved = contributions(model, (mean + 30, places[usual]))
    assert [one.feature_index for one in moved] == [0]
    assert len(contributions(model, (MISSING, UNKNOWN_CATEGORY))) <= 2


@pytest.mark.parametrize(
    ("step", "message", "advice"),
    [
        (FunctionTransformer(np.sign), "FunctionTransformer", "apply the function"),
        (PolynomialFeatures(), "PolynomialFeatures", "products as columns"),
        (KNNImputer(), "KNNImputer", "SimpleImputer"),
        (SimpleImputer(missing_values=-1), "SimpleImputer", "missing_values=nan"),
        (OneHotEncoder(min_frequency=3, handle_unknown="ignore"), "min_frequency", "'other'"),
        (make_pipeline(StandardScaler(), OneHotEncoder(handle_unknown="ignore")), "OneHotEncoder",
         "before any scaling"),
    ],
)  # fmt: skip
def test_a_step_without_exact_form_is_named(step: Any, message: str, advice: str) -> None:
    source = make_pipeline(step, ensemble.HistGradientBoostingClassifier(max_iter=2))
    rows = TRAIN[["EDU", "change"]]
    if isinstance(step, OneHotEncoder | Pipeline):
        source = make_pipeline(step, linear_model.LogisticRegression())
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        convert(source.fit(rows, LABELS), rows=rows)
    assert advice in caught.value.hint


def test_bins_beside_plain_numbers_are_refused() -> None:
    bins = KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf")
    columns = make_column_transformer((bins, ["change"]), remainder="passthrough")
    rows = TRAIN[["change", "EDU"]]
    source = make_pipeline(columns, linear_model.LogisticRegression()).fit(rows, LABELS)
    with pytest.raises(UnsupportedModelError, match="weighted as a number") as caught:
        convert(source, rows=rows)
    assert "all numbers" in caught.value.hint
    trees = make_pipeline(columns, tree.DecisionTreeClassifier()).fit(rows, LABELS)
    with pytest.raises(UnsupportedModelError, match="one-hot bins"):
        convert(trees, rows=rows)


def test_sparse_columns_are_zeros_for_lightgbm_and_missing_for_xgboost() -> None:
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["city", "EDU"]),
                                      sparse_threshold=1.0)  # fmt: skip
    check(make_pipeline(columns, MODELS["lightgbm"]).fit(TRAIN, LABELS), TEST)
    source = make_pipeline(columns, MODELS["xgboost"]).fit(TRAIN, LABELS)
    with pytest.raises(UnsupportedModelError, match="takes the zeros for missing") as caught:
        convert(source, rows=TEST)
    assert "sparse_output=False" in caught.value.hint


def test_wrong_rows_say_which_column_and_row() -> None:
    source = make_pipeline(prepared(StandardScaler()), linear_model.LogisticRegression()).fit(
        TRAIN, LABELS
    )
    with pytest.raises(ConversionError, match="no column 'city'"):
        convert(source, rows=TEST.drop(columns="city"))
    text = TEST.astype({"Age": object})
    text.loc[7, "Age"] = "unknown"
    with pytest.raises(ConversionError, match="row 7, column 'Age' holds 'unknown'"):
        convert(source, rows=text)
    more = TEST.assign(label=1)
    assert convert(source, rows=more).report.flips_at_threshold == 0
    model = convert(source, rows=TEST).model
    broken = TEST.copy()
    broken.loc[3, "change"] = np.nan
    with pytest.raises(ConversionError, match="row 3: change is missing"):
        encode_rows(model.features, broken)
