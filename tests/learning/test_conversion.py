"""Conversion: models of every kind keep their decisions; the rest is refused with a hint."""

import json
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pytest
from sklearn import ensemble, linear_model, neural_network, pipeline, preprocessing, tree

from cairn.exact.models import Feature, Linear, Trees, decode_model, encode_model
from cairn.exact.reference import ReferenceScorer
from cairn.exact.scoring import Scorer
from cairn.learning.conversion import convert as conversion
from cairn.learning.conversion.convert import convert
from cairn.learning.conversion.errors import (
    ConversionError,
    DifferenceError,
    UnsupportedModelError,
)
from cairn.learning.conversion.rows import (
    boundary_keys,
    encode_rows,
    first_right,
    fixed_point_features,
    float32_features,
    float32_keys,
    integer_features,
)

COLUMN_COUNT = 6
NAMES = [f"f{place}" for place in range(COLUMN_COUNT)]
FLOATS = float32_features(NAMES)


def make_rows(count: int, seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return rows with a heavy tail, few values and a constant, and labels that depend on them."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, COLUMN_COUNT)).astype(np.float32)
    rows[:, 1] = random.integers(0, 4, count)
    rows[:, 2] = np.exp(4 * rows[:, 2])
    rows[:, 5] = 1
    margin = rows[:, 0] * rows[:, 3] + 0.5 * rows[:, 1] + 0.2 * np.log(rows[:, 2]) - 1
    labels = (random.random(count) < 1 / (1 + np.exp(-margin))).astype(np.int64)
    return rows, labels


TRAIN, LABELS = make_rows(1_500, 1)
TEST, _ = make_rows(4_000, 2)
TARGETS = TRAIN[:, 0] + TRAIN[:, 1]


def boosted(labels: Any = LABELS, rows: Any = TRAIN, rounds: int = 40, **settings: Any) -> Any:
    parameters = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1, **settings}
    return lightgbm.train(parameters, lightgbm.Dataset(rows, labels), rounds)


TREE_MODELS: list[tuple[str, Any]] = [
    ("lightgbm", boosted()),
    ("lightgbm-sigmoid", boosted(sigmoid=2.0)),
    ("lightgbm-forest", boosted(boosting="rf", bagging_freq=1, bagging_fraction=0.6)),
    ("lightgbm-dart", boosted(boosting="dart")),
    ("lightgbm-regression", boosted(TARGETS, objective="regression")),
    ("lightgbm-sklearn", lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(TRAIN, LABELS)),
    ("lightgbm-constant", boosted(np.r_[np.zeros(1_499), 1], rounds=2, min_data_in_leaf=1_000)),
    ("tree", tree.DecisionTreeClassifier(random_state=1).fit(TRAIN, LABELS)),
    ("tree-regression", tree.DecisionTreeRegressor(random_state=1).fit(TRAIN, TARGETS)),
    ("forest", ensemble.RandomForestClassifier(20, random_state=1).fit(TRAIN, LABELS)),
    ("forest-regression", ensemble.RandomForestRegressor(7, random_state=1).fit(TRAIN, TARGETS)),
    (
        "extra-trees",
        ensemble.ExtraTreesClassifier(15, min_samples_leaf=3, random_state=1).fit(TRAIN, LABELS),
    ),
    (
        "boosting",
        ensemble.GradientBoostingClassifier(n_estimators=20, random_state=1).fit(TRAIN, LABELS),
    ),
    (
        "boosting-from-zero",
        ensemble.GradientBoostingClassifier(n_estimators=5, init="zero").fit(TRAIN, LABELS),
    ),
    (
        "histogram-boosting",
        ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=1).fit(TRAIN, LABELS),
    ),
]


@pytest.mark.parametrize(("name", "source"), TREE_MODELS, ids=[name for name, _ in TREE_MODELS])
def test_trees_keep_every_decision(name: str, source: Any) -> None:
    threshold = 1.2 if name.endswith("regression") else 0.5
    model, report = convert(source, FLOATS, TEST, threshold=threshold)
    assert isinstance(model.body, Trees)
    assert report.row_count == len(TEST)
    assert report.largest_raw_difference <= 1e-8
    assert report.mean_difference <= report.largest_difference
    assert report.rank_correlation > 0.9999
    assert report.largest_difference <= 1e-6
    assert report.flips_at_threshold == 0
    raw = encode_model(model)
    assert decode_model(raw) == model
    assert report.size_bytes == len(raw)
    encoded = encode_rows(FLOATS, TEST[:40])
    reference = ReferenceScorer(model)
    expected = [reference.score(row) for row in encoded.tolist()]
    margins, scores = Scorer(model).score(encoded)
    assert list(zip(margins.tolist(), scores.tolist(), strict=True)) == expected


def test_whole_numbers_need_no_float() -> None:
    rows = np.rint(TRAIN * 1000).astype(np.int64)
    rows[:, 2] <<= 34
    source = boosted(rows=rows.astype(np.float64))
    test = np.rint(TEST * 1000).astype(np.int64)
    test[:, 2] <<= 34
    model, report = convert(source, NAMES, test)
    assert model.features == integer_features(NAMES)
    assert report.largest_raw_difference <= 1e-8
    assert report.flips_at_threshold == 0
    assert isinstance(model.body, Trees)
    assert len(model.body.thresholds) == 8 * len(model.body.leaf_flags)


@pytest.mark.parametrize(
    "source",
    [
        linear_model.LogisticRegression(max_iter=300).fit(np.log1p(np.abs(TRAIN)), LABELS),
        pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear_model.LogisticRegression()
        ).fit(TRAIN, LABELS),
        pipeline.make_pipeline(
            preprocessing.StandardScaler(with_mean=False), linear_model.LogisticRegression()
        ).fit(TRAIN, LABELS),
        pipeline.make_pipeline(
            preprocessing.StandardScaler(with_std=False), linear_model.LinearRegression()
        ).fit(TRAIN, LABELS),
        linear_model.LinearRegression().fit(TRAIN, LABELS),
        linear_model.LinearRegression().fit(TRAIN, LABELS[:, None]),
    ],
    ids=["logistic", "scaled", "scaled-without-mean", "centred", "linear", "linear-column"],
)
def test_linear_models_are_close(source: Any) -> None:
    rows = TEST if not isinstance(source, linear_model.LogisticRegression) else np.log1p(abs(TEST))
    model, report = convert(source, fixed_point_features(NAMES, rows), rows)
    assert isinstance(model.body, Linear)
    assert report.largest_raw_difference <= 1e-5
    assert report.largest_difference <= 2e-6
    assert report.flips_at_threshold == 0


def test_a_linear_model_on_the_ledgers_own_integers() -> None:
    rows = np.stack([np.arange(500) * 10**9, np.arange(500) % 24], axis=1)
    labels = (rows[:, 1] > 12).astype(int)
    source = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression()
    ).fit(rows, labels)
    _, report = convert(source, ["amount_units", "hour_of_day"], rows)
    assert report.largest_raw_difference <= 1e-4
    assert report.flips_at_threshold == 0


def test_a_model_too_far_from_its_source_is_refused() -> None:
    source = boosted()
    coarse = integer_features(NAMES, scale_bits=1)
    with pytest.raises(DifferenceError, match=r"row \d+: the source scores 0\.\d+") as caught:
        convert(source, coarse, TEST)
    assert "scale_bits" in caught.value.hint
    _, wrong = convert(source, coarse, TEST, largest_difference_max=1.0)
    assert wrong.largest_raw_difference > 0.01
    assert wrong.flips_at_threshold > 0
    assert 0 < wrong.rank_correlation < 0.9999


def test_the_report_reads_as_table_json_and_page() -> None:
    _, report = convert(boosted(), FLOATS, TEST, threshold=0.3)
    assert "0 decisions flip at 0.3" in report.summary()
    assert "rank correlation (Spearman)" in report.describe()
    read = json.loads(report.to_json())
    assert read["flips_at_threshold"] == 0
    assert read["library"] == "lightgbm"
    assert "counts in full" in read["input_rounding"]
    kinds = [block["block"] for block in report.to_html()]
    assert kinds == ["heading", "table", "paragraph"]


FLOAT_EDGES = np.array(
    [
        -np.inf, -3.4e38, -1.5, -1.4e-45, 0.0, 1.4e-45, 1e-30, 1.0, 1.0000001, 16_777_217.0, np.inf,
    ]
)  # fmt: skip


def test_keys_sort_like_floats() -> None:
    keys = float32_keys(FLOAT_EDGES).tolist()
    assert keys == sorted(set(keys))
    assert float32_keys([-0.0]).tolist() == float32_keys([0.0]).tolist() == [0]


@pytest.mark.parametrize("kind", ["float32", "integer", "fraction"])
def test_a_threshold_parts_the_rows_as_before(kind: str) -> None:
    random = np.random.default_rng(3)
    feature = {
        "float32": Feature("x", "float32"),
        "integer": Feature("x", "integer"),
        "fraction": Feature("x", "integer", 10),
    }[kind]
    grid = {"float32": 0.0, "integer": 1.0, "fraction": 2.0**-10}[kind]
    values = random.normal(size=2_000) * 50
    values = np.rint(values / grid) * grid if grid else values.astype(np.float32).astype(float)
    thresholds = np.r_[
        random.normal(size=60) * 50, values[:40], -0.0, 1e-35, -1e-50, np.inf, -np.inf
    ]
    keys = encode_rows([feature], values[:, None])[:, 0]
    bounds = boundary_keys(feature, lambda each: each <= thresholds, len(thresholds))
    for threshold, bound in zip(thresholds.tolist(), bounds.tolist(), strict=True):
        assert ((keys <= bound) == (values <= threshold)).all(), threshold


def test_the_first_number_that_goes_right_is_found() -> None:
    thresholds = np.r_[np.random.default_rng(4).normal(size=50) * 1e3, 0.0, -1e-300, 1e300]
    found = first_right(lambda each: each < thresholds, len(thresholds))
    assert (found == thresholds).all()
    after = first_right(lambda each: each <= thresholds, len(thresholds))
    assert (after == np.nextafter(thresholds, np.inf)).all()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (object(), "object is no model"),
        (neural_network.MLPClassifier(), "MLPClassifier"),
        (boosted(np.arange(1_500) % 3, objective="multiclass", num_class=3), "several classes"),
        (boosted(objective="poisson"), "objective poisson"),
        (boosted(objective="regression", reg_sqrt=True), "reg_sqrt"),
        (
            ensemble.RandomForestClassifier(2).fit(TRAIN, np.arange(1_500) % 3),
            "exactly two classes",
        ),
        (tree.DecisionTreeRegressor().fit(TRAIN, TRAIN[:, :2]), "2 outputs"),
        (linear_model.LinearRegression().fit(TRAIN, TRAIN[:, :2]), "2 outputs"),
        (
            ensemble.GradientBoostingClassifier(n_estimators=2, loss="exponential").fit(
                TRAIN, LABELS
            ),
            "exponential",
        ),
        (
            ensemble.GradientBoostingClassifier(
                n_estimators=2, init=linear_model.LogisticRegression(max_iter=500)
            ).fit(np.log1p(abs(TRAIN)), LABELS),
            "begins from another model",
        ),
        (boosted(linear_tree=True), "linear leaves"),
        (linear_model.SGDClassifier().fit(np.log1p(abs(TRAIN)), LABELS), "loss hinge"),
        (ensemble.AdaBoostClassifier(n_estimators=2).fit(TRAIN, LABELS), "AdaBoostClassifier"),
        (linear_model.LogisticRegression().fit(TRAIN[:, :2], LABELS), "kind integer"),
    ],
)
def test_what_has_no_exact_form_is_refused_with_a_hint(source: Any, message: str) -> None:
    features = FLOATS[:2] if message == "kind integer" else FLOATS
    rows = TEST[:, :2] if message == "kind integer" else TEST
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        convert(source, features, rows)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("features", "rows", "message"),
    [
        (FLOATS[:5], TEST, "5 features"),
        (FLOATS, TEST[:0], "no reference rows"),
        (FLOATS, np.where(TEST > 1, np.nan, TEST), "is missing"),
        (integer_features(NAMES, scale_bits=40), TEST * 2.0**23, "does not fit in 64 bits"),
        ([name.upper() for name in NAMES], TEST, "not a name"),
    ],
)
def test_rows_and_schemas_that_do_not_fit_are_refused(
    features: Any, rows: npt.NDArray[np.float64], message: str
) -> None:
    with pytest.raises(ConversionError, match=message) as caught:
        convert(boosted(rounds=2), features, rows)
    assert caught.value.hint


def test_a_model_over_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    many = boosted(LABELS[:50], TRAIN[:50], rounds=4_097, num_leaves=2, min_data_in_leaf=1)
    with pytest.raises(ConversionError, match="breaks a limit: a model has 1 to 4096 trees"):
        convert(many, FLOATS, TEST[:5])
    huge = linear_model.LinearRegression().fit(TRAIN, TARGETS * 1e12)
    with pytest.raises(ConversionError, match=r"finite number|do not fit"):
        convert(huge, fixed_point_features(NAMES, TEST), TEST)
    monkeypatch.setattr(conversion, "MODEL_SIZE_BYTES_MAX", 500)
    with pytest.raises(ConversionError, match="bytes, more than 500"):
        convert(boosted(rounds=2), FLOATS, TEST)
