"""Fits a model of a library to prepared rows, and converts it to an exact one.

Rows are whole numbers where every feature is one; else floats with NaN for what is missing; else,
where a feature is a category, objects: text, numbers, and NaN for what is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.exact.models import ExactModel, Feature
from cairn.learning.conversion.convert import convert
from cairn.learning.conversion.report import ConversionReport
from cairn.learning.conversion.rows import encode_rows, fixed_point_features
from cairn.learning.errors import TrainingError
from cairn.learning.extras import Untyped, require
from cairn.primitives.encoding import Record
from cairn.primitives.encoding import replace as changed

REFERENCE_ROWS_MAX = 50_000
"""On how many rows the exact model is compared with its source, spread over the training rows."""
FEATURE_MAX = 2**53
"""Integers up to here are exact as the floats that the training libraries take."""
CALIBRATIONS = ("none", "platt")

Labels = NDArray[np.int64]
Matrix = NDArray[Any]
Parameter = int | float | str | bool | None
Parameters = Mapping[str, Parameter]


class SplitRows(Record):
    """Rows `first_row` up to, but without, `end_row` of a data set, and what they were used for."""

    dataset: int
    """Place of the data set in the run's list."""
    split: str
    first_row: int
    end_row: int


@dataclass(frozen=True)
class TrainingSet:
    """What a recipe makes of the data."""

    splits: tuple[SplitRows, ...]
    features: tuple[Feature | str, ...]
    """The input schema; a bare name is an integer read as it is."""
    train: Matrix
    train_labels: Labels
    test: Matrix
    """May have no rows: under a plan they come later."""
    test_labels: Labels
    validation: Matrix | None = None
    """Rows to calibrate on, if there are any."""
    validation_labels: Labels | None = None

    @property
    def schema(self) -> tuple[Feature, ...]:
        """Return the input schema with every feature spelled out."""
        return tuple(
            Feature(one, "integer") if isinstance(one, str) else one for one in self.features
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the features."""
        return tuple(feature.name for feature in self.schema)


@dataclass(frozen=True)
class TrainingSettings:
    """How to train."""

    algorithm: str = "lightgbm"
    """One of `LIBRARIES`."""
    parameters: Parameters = field(default_factory=dict)
    """What to set differently from `DEFAULT_PARAMETERS` of the algorithm."""
    seed: int = 1
    threads: int = 1
    calibration: str = "none"
    """`platt` scales the raw output to fit frequencies on the validation rows; `none` does not."""

    def __post_init__(self) -> None:
        """Refuse an unknown calibration.

        Raises:
            TrainingError: It is not one of `CALIBRATIONS`.
        """
        if self.calibration not in CALIBRATIONS:
            raise TrainingError(
                f"unknown calibration {self.calibration!r}",
                "none or platt; an isotonic curve has no exact form",
            )


@dataclass(frozen=True)
class Fit:
    """A fitted model in its exact form."""

    model: ExactModel
    report: ConversionReport
    source_text: str
    """LightGBM's text form of the model; empty for the other libraries."""
    parameters: Parameters
    """All parameters, defaults included."""

    def with_model(self, model: ExactModel) -> "Fit":
        """Return the same with another model."""
        return replace(self, model=model)


LIBRARIES = {
    "lightgbm": "lightgbm",
    "xgboost": "xgboost-cpu",
    "logistic": "scikit-learn",
    "scorecard": "lightgbm",
    "random_forest": "scikit-learn",
}
"""Algorithms, and the package that each is in."""

_LIGHTGBM: Parameters = {
    "num_iterations": 100,
    "num_leaves": 31,
    "max_depth": 6,
    "learning_rate": 0.05,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.6,
}
DEFAULT_PARAMETERS: Mapping[str, Parameters] = {
    "lightgbm": _LIGHTGBM,
    "xgboost": {
        "num_boost_round": 100,
        "max_depth": 6,
        "learning_rate": 0.05,
        "min_child_weight": 5.0,
        "subsample": 0.8,
        "colsample_bytree": 0.6,
    },
    "logistic": {"C": 1.0, "max_iter": 1000},
    "scorecard": {**_LIGHTGBM, "num_iterations": 300, "num_leaves": 2, "max_depth": 1},
    "random_forest": {"n_estimators": 100, "max_depth": 12, "min_samples_leaf": 5},
}


def fit_exact(prepared: TrainingSet, settings: TrainingSettings) -> Fit:
    """Return a model fitted to the training rows, converted and compared with its source.

    Raises:
        TrainingError: Unknown algorithm or parameter, or the library refuses.
        ConversionError: The fitted model has no exact form, or breaks a limit.
        MissingExtraError: The machine-learning extra is not installed.
    """
    check_algorithm(settings)
    algorithm = settings.algorithm
    parameters = {**DEFAULT_PARAMETERS[algorithm], **settings.parameters}
    if algorithm != "logistic":
        prepared = _narrowed(prepared)
    fitted, source_text = _FITTERS[algorithm](prepared, settings, parameters)
    schema = _linear_schema(prepared) if algorithm == "logistic" else prepared.schema
    reference = _reference_rows(prepared)
    if algorithm in _CODED and reference.dtype == object:
        # These were given each category as its number, which is also its place in the schema.
        model, report = convert(fitted, _coded_schema(schema), _codes(schema, reference))
        model = changed(model, features=schema)
    else:
        model, report = convert(fitted, schema, reference)
    if algorithm == "scorecard":
        from cairn.learning.additive import additive_scorecard

        model = additive_scorecard(model, exact_rows(model, reference))
    return Fit(model, report, source_text, parameters)


def check_algorithm(settings: TrainingSettings) -> None:
    """Check that there is such an algorithm, and that its package is installed.

    Raises:
        TrainingError: There is none.
        MissingExtraError: The package is not installed.
    """
    if settings.algorithm not in LIBRARIES:
        raise TrainingError(
            f"unknown algorithm {settings.algorithm!r}", f"one of {', '.join(LIBRARIES)}"
        )
    package = LIBRARIES[settings.algorithm]
    require({"scikit-learn": "sklearn", "xgboost-cpu": "xgboost"}.get(package, package))


def exact_rows(model: ExactModel, rows: Matrix) -> NDArray[np.int64]:
    """Return rows as a recipe makes them in the integers that the exact model reads."""
    if rows.dtype == np.int64 and all(
        one == Feature(one.name, "integer") for one in model.features
    ):
        return rows
    return encode_rows(model.features, rows)


def _narrowed(prepared: TrainingSet) -> TrainingSet:
    """Return the set with training rows rounded to float32 where the exact model reads it so.

    So the library learns from the very numbers that are scored, and no row changes sides.
    """
    places = [at for at, one in enumerate(prepared.schema) if one.kind == "float32"]
    if not places:
        return prepared
    train = prepared.train.copy()
    for place in places:
        train[:, place] = train[:, place].astype(np.float32)
    return replace(prepared, train=train)


def _linear_schema(prepared: TrainingSet) -> tuple[Feature, ...]:
    """Return the schema with floats in fixed point, as linear models weight them."""
    schema = []
    for place, feature in enumerate(prepared.schema):
        if feature.kind == "float32":
            column = prepared.train[:, place].astype(np.float64)
            known = column[~np.isnan(column)].reshape(-1, 1)
            fixed = fixed_point_features([feature.name], known)[0]
            feature = Feature(
                feature.name, "integer", fixed.scale_bits, (), feature.nullable, False
            )
        schema.append(feature)
    return tuple(schema)


def _reference_rows(prepared: TrainingSet) -> Matrix:
    """Return training rows, evenly spread and with each feature's extremes, for the conversion."""
    count = len(prepared.train)
    picked = [np.arange(0, count, -(-count // REFERENCE_ROWS_MAX))]
    if prepared.train.dtype != object:
        known = np.where(np.isnan(prepared.train), 0, prepared.train)
        picked += [known.argmin(0), known.argmax(0)]
    rows: Matrix = prepared.train[np.unique(np.concatenate(picked))]
    return rows if rows.dtype == object else rows.astype(np.float64)


# --- the libraries -------------------------------------------------------------------------------


_CODED = ("lightgbm", "xgboost", "scorecard")
"""Algorithms that take categories as numbers."""


def _coded_schema(schema: Sequence[Feature]) -> tuple[Feature, ...]:
    """Return the schema with each category called by its number."""
    return tuple(
        changed(one, categories=tuple(map(str, range(len(one.categories))))) for one in schema
    )


def _codes(schema: Sequence[Feature], rows: Matrix) -> NDArray[np.float64]:
    """Return rows as floats, each category as its number, NaN for what is missing."""
    if rows.dtype != object:
        return rows.astype(np.float64)
    codes = np.empty(rows.shape, np.float64)
    for place, feature in enumerate(schema):
        column = rows[:, place]
        if feature.kind == "category":
            places: dict[Any, float] = {text: at for at, text in enumerate(feature.categories)}
            codes[:, place] = [places.get(cell, np.nan) for cell in column]
        else:
            codes[:, place] = column.astype(np.float64)
    return codes


def _category_places(prepared: TrainingSet) -> list[int]:
    return [at for at, feature in enumerate(prepared.schema) if feature.kind == "category"]


def _fit_lightgbm(
    prepared: TrainingSet, settings: TrainingSettings, parameters: Parameters
) -> tuple[Untyped, str]:
    lightgbm = require("lightgbm")
    fixed: dict[str, Parameter] = {
        "objective": "binary",
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.threads,
        "seed": settings.seed,
        "verbosity": -1,
    }
    _check_free(parameters, fixed)
    categories = _category_places(prepared)
    data = lightgbm.Dataset(
        _codes(prepared.schema, prepared.train),
        prepared.train_labels,
        feature_name=list(prepared.names),
        categorical_feature=categories or "auto",
        params={"verbosity": -1},
    )
    try:
        booster = lightgbm.train({**parameters, **fixed}, data)
    except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
        raise TrainingError(f"LightGBM refused: {error}", "see the parameters") from error
    return booster, str(booster.model_to_string())


def _fit_xgboost(
    prepared: TrainingSet, settings: TrainingSettings, parameters: Parameters
) -> tuple[Untyped, str]:
    xgboost = require("xgboost")
    fixed: dict[str, Parameter] = {
        "objective": "binary:logistic",
        "nthread": settings.threads,
        "seed": settings.seed,
        "tree_method": "hist",
        "verbosity": 0,
    }
    _check_free(parameters, fixed)
    rounds = parameters["num_boost_round"]
    own = {name: value for name, value in parameters.items() if name != "num_boost_round"}
    kinds = ["c" if feature.kind == "category" else "q" for feature in prepared.schema]
    try:
        data = xgboost.DMatrix(
            _codes(prepared.schema, prepared.train),
            prepared.train_labels,
            feature_names=list(prepared.names),
            feature_types=kinds,
            enable_categorical=True,
            nthread=settings.threads,
        )
        booster = xgboost.train({**own, **fixed}, data, num_boost_round=rounds)
    except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
        raise TrainingError(f"XGBoost refused: {error}", "see the parameters") from error
    return booster, ""


def _fit_random_forest(
    prepared: TrainingSet, settings: TrainingSettings, parameters: Parameters
) -> tuple[Untyped, str]:
    ensemble = require("sklearn.ensemble")
    fixed: dict[str, Parameter] = {"random_state": settings.seed, "n_jobs": settings.threads}
    _check_free(parameters, fixed)
    try:
        forest = ensemble.RandomForestClassifier(**parameters, **fixed)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"scikit-learn refused: {error}", "see the parameters") from error
    return _fit_pipeline(prepared, forest, scaled=False), ""


def _fit_logistic(
    prepared: TrainingSet, settings: TrainingSettings, parameters: Parameters
) -> tuple[Untyped, str]:
    linear = require("sklearn.linear_model")
    fixed: dict[str, Parameter] = {"random_state": settings.seed}
    _check_free(parameters, fixed)
    try:
        regression = linear.LogisticRegression(**parameters, **fixed)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"scikit-learn refused: {error}", "see the parameters") from error
    return _fit_pipeline(prepared, regression, scaled=True), ""


def _fit_pipeline(prepared: TrainingSet, estimator: Untyped, *, scaled: bool) -> Untyped:
    """Return an estimator, fitted behind what its rows need: imputing, scaling, one-hot columns."""
    pipeline, preprocessing = require("sklearn.pipeline"), require("sklearn.preprocessing")
    schema = prepared.schema
    steps: list[Untyped] = []
    if any(one.kind == "category" for one in schema) or any(one.nullable for one in schema):
        compose, impute = require("sklearn.compose"), require("sklearn.impute")
        categories = _category_places(prepared)
        numbers = [at for at in range(len(schema)) if at not in categories]
        numeric: list[Untyped] = [impute.SimpleImputer(strategy="median")]
        if scaled:
            numeric.append(preprocessing.StandardScaler())
        encoder = preprocessing.OneHotEncoder(
            categories=[list(schema[at].categories) for at in categories],
            handle_unknown="ignore",
            sparse_output=False,
        )
        parts = [("numbers", pipeline.make_pipeline(*numeric), numbers)] if numbers else []
        parts += [("categories", encoder, categories)] if categories else []
        steps.append(compose.ColumnTransformer(parts))
    elif scaled:
        steps.append(preprocessing.StandardScaler())
    chain = pipeline.make_pipeline(*steps, estimator) if steps else estimator
    rows = prepared.train if prepared.train.dtype == object else prepared.train.astype(np.float64)
    try:
        chain.fit(rows, prepared.train_labels)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"scikit-learn refused: {error}", "see the parameters") from error
    return chain


_Fitter = Callable[[TrainingSet, TrainingSettings, Parameters], tuple[Untyped, str]]
_FITTERS: Mapping[str, _Fitter] = {
    "lightgbm": _fit_lightgbm,
    "xgboost": _fit_xgboost,
    "logistic": _fit_logistic,
    "scorecard": _fit_lightgbm,
    "random_forest": _fit_random_forest,
}


def _check_free(parameters: Parameters, fixed: Parameters) -> None:
    """Check that no parameter sets what the run itself sets."""
    for name in fixed:
        if name in parameters:
            raise TrainingError(
                f"the parameter {name!r} is set by the run", "use its seed and threads"
            )
