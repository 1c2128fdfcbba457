"""XGBoost, LightGBM and histogram boosting alone: missing values, categories, saved spellings."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas
import pytest
import xgboost
from sklearn import ensemble
from threadpoolctl import threadpool_limits

from cairn.exact.models import Trees
from cairn.exact.schema import MISSING, Feature
from cairn.exact.scoring import Scorer
from cairn.learning.conversion.convert import convert
from cairn.learning.conversion.errors import ConversionError, UnsupportedModelError
from cairn.learning.conversion.rows import encode_rows
from cairn.learning.conversion.xgboost_models import XGBoostFile
from cairn.primitives.fixed import PPM
from tests.learning.conversion_data import CITIES, as_array, beside_thresholds, make_table

TRAIN, LABELS = make_table(1_200, 3)
TEST, _ = make_table(3_000, 4)
ARRAY, TEST_ARRAY = as_array(TRAIN), as_array(TEST)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep OpenMP to one thread: with more, small models wait for each other."""
    with threadpool_limits(1):
        yield


def with_categories(table: Any) -> Any:
    """Return the table with its text as pandas categoricals."""
    known = table.city.where(table.city.isin(CITIES))
    return table.assign(city=pandas.Categorical(known, categories=CITIES))


def trained(rows: Any = ARRAY, **settings: Any) -> Any:
    parameters = {"n_estimators": 15, "max_depth": 4, "n_jobs": 1, "max_cat_to_onehot": 1}
    model = {**parameters, **settings}
    if str(settings.get("objective", "")).startswith("reg:s"):
        return xgboost.XGBRegressor(**model).fit(rows, LABELS)
    return xgboost.XGBClassifier(**model).fit(rows, LABELS)


def boosted(rows: Any = ARRAY, *, data: dict[str, Any] | None = None, **settings: Any) -> Any:
    parameters = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1}
    parameters |= {"min_data_per_group": 5, "max_cat_to_onehot": 1, "cat_smooth": 1.0}
    return lightgbm.train(
        {**parameters, **settings}, lightgbm.Dataset(rows, LABELS, **(data or {})), 15
    )


def check(source: Any, rows: Any, expected: npt.NDArray[Any], *, bound: float = 2e-6) -> Any:
    """Convert, and compare with what a user of the source gets, also beside thresholds."""
    model, report = convert(source, rows=rows)
    assert report.largest_difference <= bound
    assert report.flips_at_threshold == 0
    _, scores = Scorer(model, kernel="numpy").score(encode_rows(model.features, rows))
    assert np.abs(scores / PPM - np.clip(expected, 0, 1)).max() <= bound
    return model


# --- XGBoost -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"objective": "reg:logistic"},
        {"base_score": 0.25, "reg_alpha": 1.0},
        {"num_parallel_tree": 3, "n_estimators": 4, "subsample": 0.5},
        {"grow_policy": "lossguide", "max_leaves": 20, "max_depth": 0},
        {"tree_method": "exact"},
        {"objective": "reg:squarederror"},
    ],
    ids=lambda settings: "-".join(map(str, settings)) or "plain",
)
def test_xgboost_on_numbers_with_missing_values(settings: dict[str, Any]) -> None:
    source = trained(**settings)
    predict = getattr(source, "predict_proba", None)
    expected = source.predict(TEST_ARRAY) if predict is None else predict(TEST_ARRAY)[:, 1]
    model = check(source, TEST_ARRAY, expected)
    assert [feature.kind for feature in model.features] == [
        "integer", "float32", "integer", "float32",
    ]  # fmt: skip
    assert all(feature.nullable for feature in model.features)
    check(source.get_booster(), TEST_ARRAY, expected)


def test_xgboost_rows_beside_thresholds() -> None:
    rows = TRAIN.drop(columns="city")
    source = trained(rows)
    model = convert(source, rows=TEST).model
    close = beside_thresholds(model, TEST).drop(columns="city")
    check(source, close, source.predict_proba(close)[:, 1])


def test_xgboost_with_categories_of_a_table() -> None:
    rows = with_categories(TRAIN)
    source = trained(rows, enable_categorical=True)
    expected = source.predict_proba(with_categories(TEST))[:, 1]
    model = check(source, with_categories(TEST), expected)
    city = next(feature for feature in model.features if feature.name == "city")
    assert sorted(city.categories) == list(CITIES)
    assert city.nullable
    assert not city.unknown_allowed
    check(source, TEST, expected)  # the same as plain text


def test_categories_that_xgboost_cuts_are_refused_by_the_name_of_their_column() -> None:
    rows = TRAIN.assign(city=pandas.Categorical(["Köln", "Łódź"] * (len(TRAIN) // 2)))
    with pytest.raises(UnsupportedModelError, match="all categories of 'city'"):
        check(trained(rows, enable_categorical=True), rows, np.zeros(len(rows)))


def test_xgboost_with_categories_as_numbers() -> None:
    kinds = ["q", "q", "c", "q"]
    data = xgboost.DMatrix(ARRAY, LABELS, feature_types=kinds, enable_categorical=True)
    settings = {"objective": "binary:logistic", "max_cat_to_onehot": 1, "nthread": 1}
    source = xgboost.train(settings, data, 10)
    test = TEST_ARRAY.copy()
    test[::50, 2] = 9  # a category that no row had
    expected = source.predict(xgboost.DMatrix(test, feature_types=kinds, enable_categorical=True))
    model = check(source, test, expected)
    assert model.features[2].kind == "category"
    fixed = [*model.features[:2], Feature("edu", "category", categories=tuple("abcde"),
                                          nullable=True), model.features[3]]  # fmt: skip
    table = pandas.DataFrame(TEST_ARRAY, columns=["f0", "f1", "edu", "f3"])
    table["edu"] = [None if code != code else "abcde"[int(code)] for code in table.edu]
    assert convert(source, fixed, table.to_numpy(object)).report.largest_difference <= 2e-6


def test_xgboost_stops_at_the_best_iteration() -> None:
    noise = np.random.default_rng(1).integers(0, 2, 500)
    source = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=3, n_jobs=1).fit(
        ARRAY, LABELS, eval_set=[(TEST_ARRAY[:500], noise)], verbose=False
    )
    model, report = convert(source, rows=TEST_ARRAY)
    assert report.largest_difference <= 2e-6
    assert isinstance(model.body, Trees)
    assert len(model.body.tree_sizes) // 4 == source.best_iteration + 1
    assert any("best iteration" in note for note in report.notes)
    document = json.loads(bytes(source.get_booster().save_raw("json")))
    again = convert(XGBoostFile(document, source.get_booster()), rows=TEST_ARRAY).model
    assert again == model


@pytest.mark.parametrize("spelling", ["3E-1", "[3E-1]", [0.3]])
def test_xgboost_spells_its_base_score_in_three_ways(spelling: Any) -> None:
    source = trained(base_score=0.3)
    document = json.loads(bytes(source.get_booster().save_raw("json")))
    document["learner"]["learner_model_param"]["base_score"] = spelling
    model, report = convert(XGBoostFile(document), rows=TEST_ARRAY)
    assert any("not installed" in note for note in report.notes)
    check(source, TEST_ARRAY, source.predict_proba(TEST_ARRAY)[:, 1])
    assert model.body == convert(source, rows=TEST_ARRAY).model.body


def test_xgboost_files_are_read_without_the_library() -> None:
    source = trained(with_categories(TRAIN), enable_categorical=True)
    document = json.loads(bytes(source.get_booster().save_raw("json")))
    alone = convert(XGBoostFile(copy.deepcopy(document)), rows=TEST)
    beside = convert(XGBoostFile(document, source.get_booster()), rows=TEST)
    assert alone.model == beside.model
    assert alone.report.largest_difference <= 2e-6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"booster": "dart"}, "booster dart"),
        ({"booster": "gblinear"}, "booster gblinear"),
        ({"objective": "binary:hinge"}, "objective binary:hinge"),
        ({"missing": -1.0}, "takes -1.0 for missing"),
    ],
)
def test_what_xgboost_can_do_more_is_refused(settings: dict[str, Any], message: str) -> None:
    settings = {"max_cat_to_onehot": None, **settings}
    if settings.get("booster") == "gblinear":
        settings |= {"max_depth": None}
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        convert(trained(**settings), rows=TEST_ARRAY)
    assert caught.value.hint


def test_several_classes_of_xgboost_are_refused() -> None:
    source = xgboost.XGBClassifier(n_estimators=2).fit(ARRAY, np.arange(len(ARRAY)) % 3)
    with pytest.raises(UnsupportedModelError, match="several classes"):
        convert(source, rows=TEST_ARRAY)
    with pytest.raises(ConversionError, match="not as the library writes it"):
        convert(XGBoostFile({"learner": {"objective": {}}}), rows=TEST_ARRAY)


# --- LightGBM ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_missing": False},
        {"zero_as_missing": True},
        {"zero_as_missing": True, "num_leaves": 4},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
        {"objective": "cross_entropy"},
    ],
    ids=lambda settings: "-".join(map(str, settings)) or "plain",
)
def test_lightgbm_on_numbers_with_missing_values(settings: dict[str, Any]) -> None:
    random = np.random.default_rng(6)
    train: Any = ARRAY.copy()
    test: Any = TEST_ARRAY.copy()
    for rows in (train, test):
        rows[random.random(rows.shape) < 0.2] = 0.0
        rows[:, 2] -= 2  # zeros between others, and no missing ones in training
    source = boosted(train, **settings)
    test[::17, 2] = np.nan
    model = check(source, test, source.predict(test))
    assert all(feature.nullable for feature in model.features)


def test_lightgbm_with_categories_of_a_table() -> None:
    source = boosted(with_categories(TRAIN))
    test = with_categories(make_table(3_000, 8, unknown=True)[0])  # unknown is missing in pandas
    model = check(source, test, source.predict(test))
    city = next(feature for feature in model.features if feature.name == "city")
    assert city.categories == CITIES
    assert city.unknown_allowed
    text = make_table(3_000, 8, unknown=True)[0]
    check(source, text, source.predict(test))


def test_lightgbm_with_categories_as_numbers() -> None:
    source = boosted(data={"categorical_feature": [2]})
    test = TEST_ARRAY.copy()
    test[::40, 2], test[1::40, 2] = 17, np.nan
    model = check(source, test, source.predict(test))
    assert model.features[2].kind == "category"
    encoded = encode_rows(model.features, test)
    assert (encoded[1::40, 2] == MISSING).all()


def test_lightgbm_in_its_scikit_learn_form() -> None:
    source = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1).fit(TRAIN[["Age"]],
                                                                                LABELS)  # fmt: skip
    model = check(source, TEST, source.predict_proba(TEST[["Age"]])[:, 1])
    assert [feature.name for feature in model.features] == ["age"]
    with pytest.raises(ConversionError, match="no column 'Age'"):
        convert(source, rows=TEST.drop(columns="Age"))


# --- histogram boosting --------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_histogram_boosting_with_categories_and_missing_values(loss: str) -> None:
    rows, test = with_categories(TRAIN), with_categories(make_table(3_000, 8, unknown=True)[0])
    is_classifier = loss == "log_loss"
    kind = "HistGradientBoosting" + ("Classifier" if is_classifier else "Regressor")
    source = getattr(ensemble, kind)(loss=loss, max_iter=15, random_state=1).fit(rows, LABELS)
    expected = source.predict_proba(test)[:, 1] if is_classifier else source.predict(test)
    model = check(source, test, expected)
    city = next(feature for feature in model.features if feature.name == "city")
    assert city.unknown_allowed
    assert city.nullable
    assert any(split.categories for split in _trees(source))


def test_histogram_boosting_with_categories_as_numbers() -> None:
    source = ensemble.HistGradientBoostingClassifier(
        max_iter=15, categorical_features=[2], random_state=1
    ).fit(ARRAY, LABELS)
    test = TEST_ARRAY.copy()
    test[::30, 2], test[1::30, 2] = 11, np.nan
    check(source, test, source.predict_proba(test)[:, 1])


def test_a_forest_sends_missing_values_where_it_learned_to() -> None:
    source = ensemble.RandomForestClassifier(10, random_state=1).fit(ARRAY, LABELS)
    model = check(source, TEST_ARRAY, source.predict_proba(TEST_ARRAY)[:, 1])
    assert all(feature.nullable for feature in model.features)


def _trees(source: Any) -> Any:
    from cairn.learning.conversion.sklearn_models import read_sklearn

    return read_sklearn(source).trees  # type: ignore[union-attr]
